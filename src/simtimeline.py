"""Virtual time: what happens when, in an order that never depends on anything else.

Whatever is due at the same millisecond happens in the order in which it was asked for.
"""

from heapq import heappop, heappush
from typing import Any, Callable, List, Tuple

#: The clock of a host gains at most one part in this many over the world's (spec 13, proof 1).
DRIFT_UNIT = 1000000


class Timeline:
    """The world's clock, ms from 0, and everything that is still to happen."""

    __slots__ = ("now_ms", "_queue", "_serial")

    def __init__(self) -> None:
        self.now_ms = 0
        self._queue = []  # type: List[Tuple[int, int, Callable[..., None], Tuple[Any, ...]]]
        self._serial = 0

    def at(self, at_ms: int, call: Callable[..., None], *arguments: Any) -> None:
        """Let ``call(*arguments)`` happen at ``at_ms``; what is past happens now."""
        self._serial = serial = self._serial + 1
        now_ms = self.now_ms
        heappush(self._queue, (at_ms if at_ms > now_ms else now_ms, serial, call, arguments))

    def after(self, delay_ms: int, call: Callable[..., None], *arguments: Any) -> None:
        """Let ``call(*arguments)`` happen in ``delay_ms``."""
        self._serial = serial = self._serial + 1
        heappush(self._queue, (self.now_ms + delay_ms, serial, call, arguments))

    def run_until(self, until_ms: int) -> None:
        """Let everything happen that is due by ``until_ms``, which becomes now."""
        queue = self._queue
        while queue and queue[0][0] <= until_ms:
            self.now_ms, _, call, arguments = heappop(queue)
            call(*arguments)
        self.now_ms = max(self.now_ms, until_ms)


class Clock:
    """A host's monotonic clock: its own zero, and its own rate."""

    __slots__ = ("_timeline", "_offset_ms", "_rate")

    def __init__(self, timeline: Timeline, offset_ms: int = 0, drift_ppm: int = 0) -> None:
        """``drift_ppm``: what it gains, or loses, of a million."""
        self._timeline = timeline
        self._offset_ms = offset_ms
        self._rate = DRIFT_UNIT + drift_ppm

    def now_ms(self) -> int:
        """What it shows now."""
        return self._offset_ms + self._timeline.now_ms * self._rate // DRIFT_UNIT

    def true_ms(self, shown_ms: int) -> int:
        """The world's first millisecond at which it shows ``shown_ms`` or more."""
        return -(-(shown_ms - self._offset_ms) * DRIFT_UNIT // self._rate)
