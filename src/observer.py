"""What the flight recorder and the margins get from the daemon's loop.

Theory of operation
===================

The loop tells what happens (a datagram was taken in, an access to the
State-File ended) and, after each turn, shows the facts of the core.  Nothing
here decides anything, and the core does not know of it.

*State*: what differs from the last turn is recorded, by name.  It is compared where the
core's rooms have looked, for nothing changes else (``View.looks``).

*Measurements* are of spans of ``SPAN_MS``: of each host how many heartbeats
were believed, the longest silence between two, and how old the last one and
the last advance of its record are; of the State-File how many reads and
writes ended, how long the longest took, how many failed; the longest turn of
the loop; and what each watchdog timer had used up at most when it was moved.
A host that is reset loses the measurements of the span that has not ended, and
they are the ones that matter: so while anything takes more than half of its
time-out, a span is ``CLOSE_MS``: with the time that a sync takes, the newest is
less than a second old when a timer resets the host.

*Margins* (``margin``) are told the same, and of each timer that is moved; the
near misses that they find are said, and so recorded.

What a turn costs is a comparison of a number, and of a dozen facts where the
core looked; what a datagram costs, one look at one peer; every few seconds
each peer is looked at.  With what the thread does it is below 2 % of the
daemon's time at rest (tests/e2e/rest.py tells).  Ages are in ms, -1 is
"never".  Source: spec 9.
"""

import operator
import time
from typing import Any, List, Tuple

from xha.actions import Log, Watchdog
from xha.catalogue import Catalogue
from xha.config import Common, Config
from xha.margin import Margins
from xha.published import NEVER, Phase
from xha.recorder import Recorder
from xha.snapshot import Snapshot
from xha.statefile import Done
from xha.view import Peer, View

#: A span of measurements, ms; and one in which something comes close to a time-out.
SPAN_MS = 120000
CLOSE_MS = 500
#: How often it is looked, at rest, whether anything does: in half of the shorter time-out.
LOOKS = 2

#: The facts of ``View`` whose changes are recorded.
STATE = ("incarnation", "phase", "fencing", "liveset", "proposed", "heartbeat_domain",
         "statefile_domain", "statefile_access", "sr2", "excluded", "holding", "waiting_for")

_state_of = operator.attrgetter(*STATE)


class Observer:
    """Watches one daemon's loop for its flight recorder."""

    def __init__(self, recorder: Recorder, common: Common, view: View,
                 device: str = "the State-File") -> None:
        """``device``: how the State-File is called in messages."""
        self._recorder = recorder
        self._view = view
        self._margins = Margins(common, view.me, device)
        self._watchdog_ms = {Watchdog.HEARTBEAT: common.heartbeat_watchdog_timeout_ms,
                             Watchdog.STATEFILE: common.statefile_watchdog_timeout_ms}
        # The last good reading that ``_margins`` knows.
        self._read_at_ms = NEVER
        self._index_of = {host.address: index for index, host in enumerate(common.hosts)}
        self._half_ms = (common.heartbeat_timeout_ms // 2, common.statefile_timeout_ms // 2)
        self._state = ()  # type: Tuple[Any, ...]
        # ``View.looks`` at that state.
        self._looks = NEVER
        # The others in the liveset: nothing is expected of anybody else.
        self._expected = []  # type: List[Peer]
        self._heard_at_ms = [NEVER] * len(common.hosts)
        # Between two looks at rest, and until the next, ms.
        self._rest_ms = max(CLOSE_MS, min(self._half_ms) // LOOKS)
        self._patience_ms = self._rest_ms
        self._begin(NEVER)

    def _begin(self, now_ms: int) -> None:
        """Begin a span."""
        self._began_at_ms = now_ms
        self._looked_at_ms = now_ms
        self._heard = [0] * len(self._heard_at_ms)
        self._silence_ms = [NEVER] * len(self._heard_at_ms)
        # How many ended, the longest, ms, and how many failed.
        self._accesses = {"read": [0, NEVER, 0], "write": [0, NEVER, 0], "replace": [0, NEVER, 0]}
        self._turn_ms_max = 0
        self._timer_ms = {Watchdog.HEARTBEAT: NEVER, Watchdog.STATEFILE: NEVER}

    def datagram(self, source: str) -> None:
        """A datagram from that address was taken in; it was believed, or not."""
        index = self._index_of.get(source, -1)
        if index < 0:
            return
        peer, before_ms = self._view.peers[index], self._heard_at_ms[index]
        at_ms = peer.heard_at_ms
        if at_ms != before_ms:
            self._heard_at_ms[index] = at_ms
            self._heard[index] += 1
            if before_ms != NEVER and at_ms - before_ms > self._silence_ms[index]:
                self._silence_ms[index] = at_ms - before_ms
            said = peer.heartbeat
            self._margins.heard(index, at_ms, NEVER if said is None
                                else said.since_heartbeat_ms[self._view.me])

    def access(self, done: Done) -> None:
        """An access to the State-File ended."""
        if done.kind in self._accesses:
            row = self._accesses[done.kind]
            row[0] += 1
            row[1] = max(row[1], done.completed_at_ms - done.issued_at_ms)
            row[2] += bool(done.error)
            self._margins.access(done.kind, done.section == 1 + self._view.me,
                                 done.issued_at_ms, done.completed_at_ms, done.error)

    def timer(self, watchdog: Watchdog, expires_at_ms: int, now_ms: int) -> None:
        """A timer was moved."""
        used_ms = self._margins.timer(
            watchdog, expires_at_ms - self._watchdog_ms[watchdog], now_ms)
        if used_ms > self._timer_ms[watchdog]:
            self._timer_ms[watchdog] = used_ms

    def complete(self, snapshot: Snapshot) -> Snapshot:
        """The snapshot of the core, with the margins."""
        return snapshot._replace(margins=self._margins.read(snapshot.at_ms),
                                 near_misses=self._margins.near_misses())

    def turn(self, began_at_ms: int, now_ms: int) -> Tuple[Log, ...]:
        """A turn of the loop ended, which had begun then; near misses, and about the recorder."""
        view = self._view
        if view.looks != self._looks:
            self._looks = view.looks
            self._look_at_state(now_ms)
        if view.reading_completed_at_ms != self._read_at_ms:
            self._read_at_ms = view.reading_completed_at_ms
            self._margins.reading(self._read_at_ms, [peer.advanced_at_ms for peer in view.peers])
        self._margins.turn(began_at_ms, now_ms)
        if now_ms - began_at_ms > self._turn_ms_max:
            self._turn_ms_max = now_ms - began_at_ms
        if now_ms - self._looked_at_ms < self._patience_ms:
            return ()
        if self._began_at_ms == NEVER:
            self._begin(now_ms)
        self._looked_at_ms = now_ms
        close = self._is_close(now_ms)
        self._patience_ms = CLOSE_MS if close else self._rest_ms
        if close or now_ms - self._began_at_ms >= SPAN_MS:
            self._measure(now_ms)
        return self._recorder.news() + self._margins.look(now_ms, int(time.time() * 1000))

    def _look_at_state(self, now_ms: int) -> None:
        view, state = self._view, _state_of(self._view)
        if state != self._state:
            self._record_state(state)
            self._margins.expect(now_ms, view.online and view.armed, view.phase is Phase.STARTED,
                                 view.sr2, view.liveset)

    def _record_state(self, state: Tuple[Any, ...]) -> None:
        view = self._view
        self._recorder.incarnation = view.incarnation
        self._expected = [view.peers[host] for host in view.liveset if host != view.me]
        if view.online:
            self._recorder.keep()
        before = self._state or (None,) * len(STATE)
        self._recorder.state({name: value for name, value, was in zip(STATE, state, before)
                              if was is None or value != was})
        self._state = state

    def _measure(self, now_ms: int) -> None:
        """End the span."""
        view = self._view
        self._recorder.measure({
            "span_ms": now_ms - self._began_at_ms, "heartbeats": self._heard,
            "silence_ms_max": self._silence_ms,
            "heartbeat_age_ms": [_age(now_ms, peer.heard_at_ms) for peer in view.peers],
            "record_age_ms": [_age(now_ms, peer.advanced_at_ms) for peer in view.peers],
            "reading_age_ms": _age(now_ms, view.reading_completed_at_ms),
            "reads": self._accesses["read"], "writes": self._accesses["write"],
            "repairs": self._accesses["replace"], "turn_ms_max": self._turn_ms_max,
            "heartbeat_timer_ms_max": self._timer_ms[Watchdog.HEARTBEAT],
            "statefile_timer_ms_max": self._timer_ms[Watchdog.STATEFILE]})
        self._begin(now_ms)

    def _is_close(self, now_ms: int) -> bool:
        """Whether anything of this span took more than half of its time-out."""
        heartbeat_ms, statefile_ms = self._half_ms
        if self._turn_ms_max > min(self._half_ms) or (
                _age(now_ms, self._view.reading_completed_at_ms) > statefile_ms):
            return True
        for ended, longest_ms, failed in self._accesses.values():
            if failed or ended and longest_ms > statefile_ms:
                return True
        for peer in self._expected:
            if (_age(now_ms, peer.heard_at_ms) > heartbeat_ms
                    or self._silence_ms[peer.index] > heartbeat_ms
                    or _age(now_ms, peer.advanced_at_ms) > statefile_ms):
                return True
        return False


def recorder_of(settings: Config, messages: Catalogue, folder: str, software: str) -> Recorder:
    """The flight recorder of this host, with its files in ``folder``; not started."""
    hosts, index = settings.common.hosts, int(settings.local.index)
    times = (settings.common.heartbeat_timeout_ms, settings.common.statefile_timeout_ms)
    return Recorder(folder, messages, [host.address for host in hosts], index,
                    hosts[index].uuid, software, timeouts_ms=times)


def _age(now_ms: int, at_ms: int) -> int:
    return NEVER if at_ms == NEVER else now_ms - at_ms
