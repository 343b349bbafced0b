"""When to send heartbeats.

Theory of operation
===================

Every t1 a heartbeat goes to every other host: the regular beat.  Where the
others should know something at once, a burst of three follows, the first
immediately, 100 ms apart; a burst never delays or replaces a beat.

Only the regular beat moves the heartbeat watchdog, and it is sent only in a
step that follows the taking-in of every datagram that waited (``Tick``).  So
a loop that sends without receiving or deciding fences itself.

Source: spec 4.
"""

from typing import Sequence, Tuple

from xha import actions, compose, timing
from xha.echoes import Echoes
from xha.fencing import Fencing
from xha.published import NEVER
from xha.view import View


class Beat:
    """The rhythm of this host's heartbeats."""

    __slots__ = ("_view", "_fencing", "_echoes", "_sequence", "_next_at_ms", "_burst_left",
                 "_burst_at_ms", "_regular", "_failing", "lateness_ms", "enabled")

    def __init__(self, view: View, fencing: Fencing, echoes: Echoes) -> None:
        self._view = view
        self._fencing = fencing
        self._echoes = echoes
        self._sequence = 0
        self._next_at_ms = NEVER
        self._burst_left = 0
        self._burst_at_ms = NEVER
        # Whether the heartbeat that was asked for and not answered yet is a regular beat.
        self._regular = False
        self._failing = ()  # type: Tuple[int, ...]
        #: How late the last regular beat was issued, ms; NEVER before the first.
        self.lateness_ms = NEVER
        #: Sending begins with the first good reading of the State-File.
        self.enabled = False

    def step(self, now_ms: int, ticked: bool, answered: bool) -> None:
        """Send what is due.

        Args:
            ticked: this loop has just received and decided.
            answered: this step was told that a heartbeat was sent.  It begins no burst: a
                change in each such step would send without end.
        """
        view = self._view
        if not self.enabled or view.ended:
            return
        if self._next_at_ms == NEVER:
            self._next_at_ms = now_ms
        if view.burst_wanted and not answered:
            view.burst_wanted = False
            self._burst_left = timing.BURST_COUNT
            self._burst_at_ms = now_ms
        if ticked and now_ms >= self._next_at_ms:
            self._regular = True
            self.lateness_ms = now_ms - self._next_at_ms
            self._next_at_ms += view.common.heartbeat_interval_ms
            if self._next_at_ms <= now_ms:
                self._next_at_ms = now_ms + view.common.heartbeat_interval_ms
            self._send(now_ms)
        elif self._burst_left and now_ms >= self._burst_at_ms and not answered:
            self._burst_left -= 1
            self._burst_at_ms = now_ms + timing.BURST_SPACING_MS
            self._send(now_ms)
        view.wake(self._next_at_ms)
        if self._burst_left:
            view.wake(self._burst_at_ms)
        if view.burst_wanted:
            # unreached: virtual sending takes no time, in which a burst could be wanted
            view.wake(now_ms)

    def sent(self, issued_at_ms: int, failed: Sequence[Tuple[int, str]]) -> None:
        """The heartbeat asked for last was sent to everybody, as far as this host could."""
        self._view.sent_at_ms = issued_at_ms
        self._echoes.issued(self._sequence, issued_at_ms)
        if self._regular:
            self._regular = False
            self._fencing.heartbeats_sent(issued_at_ms)
        for host, error in failed:
            if host not in self._failing:  # unreached: the virtual network refuses no send
                self._view.log("heartbeat-send-failed", host=host, reason=error)
        now_failing = tuple(host for host, _ in failed)
        for host in self._failing:
            if host not in now_failing:  # unreached: the virtual network refuses no send
                self._view.log("heartbeat-send-works", host=host)
        self._failing = now_failing

    def last(self, now_ms: int) -> None:
        """Send once more, at once: what this host wants to be known of its end."""
        if self.enabled:  # unreached: who fences is armed, and sends
            self._send(now_ms)

    def _send(self, now_ms: int) -> None:
        self._sequence += 1
        self._view.emit(actions.SendHeartbeat(
            heartbeat=compose.heartbeat(self._view, now_ms, self._sequence),
            composed_at_ms=now_ms))
