"""The two watchdogs of a virtual machine: they outlive the daemon, as the hypervisor's do.

An instant is set on the machine's own clock; the reset follows as much later as a real one may.
They stand still with a machine that is frozen as a whole.
"""

from typing import Callable, Dict, Optional

from xha.actions import Watchdog
from xha.simtimeline import Clock, Timeline


class Timers:
    """Both timers of one machine."""

    def __init__(self, timeline: Timeline, clock: Clock,
                 expired: Callable[[Watchdog], None]) -> None:
        """``expired`` resets the machine."""
        self._timeline = timeline
        self._clock = clock
        self._expired = expired
        self._expires_at_ms = {}  # type: Dict[Watchdog, int]
        # World's time of the next look at each.
        self._look_at_ms = {}  # type: Dict[Watchdog, int]
        #: From the expiry to the reset, ms (spec 13: 100, with what the drift leaves).
        self.reset_ms = 0
        #: The machine as a whole does not run.
        self.frozen = False

    def set(self, watchdog: Watchdog, expires_at_ms: int) -> None:
        """Let a timer expire at an instant of the machine's clock."""
        self._expires_at_ms[watchdog] = expires_at_ms
        self._look(watchdog, self._due_ms(watchdog))

    def stop(self) -> None:
        """Stop both."""
        self._expires_at_ms = {}

    def thaw(self) -> Optional[Watchdog]:
        """The machine runs again; answer which timer ran out meanwhile."""
        self.frozen = False
        overdue = self.overdue()
        if overdue is None:
            # What was planned for the time in which it stood still was not looked at.
            for watchdog in self._expires_at_ms:
                self._look(watchdog, self._due_ms(watchdog))
        return overdue

    def overdue(self) -> Optional[Watchdog]:
        """A timer that has run out; None: none has."""
        for watchdog in Watchdog:
            if self._clock.now_ms() >= self._expires_at_ms.get(
                    watchdog, self._clock.now_ms() + 1):
                return watchdog
        return None

    def _due_ms(self, watchdog: Watchdog) -> int:
        return self._clock.true_ms(self._expires_at_ms[watchdog]) + self.reset_ms

    def _look(self, watchdog: Watchdog, at_ms: int) -> None:
        planned_ms = self._look_at_ms.get(watchdog)
        if planned_ms is None or planned_ms > at_ms:
            self._look_at_ms[watchdog] = at_ms
            self._timeline.at(at_ms, self._fire, watchdog, at_ms)

    def _fire(self, watchdog: Watchdog, planned_ms: int) -> None:
        """A look that was planned; the timer may have been moved meanwhile."""
        if self._look_at_ms.get(watchdog) != planned_ms:
            return
        del self._look_at_ms[watchdog]
        if watchdog not in self._expires_at_ms or self.frozen:
            return
        due_ms = self._due_ms(watchdog)
        if due_ms > self._timeline.now_ms:
            self._look(watchdog, due_ms)
        else:
            self._expired(watchdog)
