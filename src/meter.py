"""Last, largest and smallest of a measured duration."""

from xha.published import NEVER
from xha.snapshot import Latency


class Meter:
    """Measures since the last reset; the last value outlives it."""

    __slots__ = ("_last_ms", "_max_ms", "_min_ms")

    def __init__(self) -> None:
        self._last_ms = NEVER
        self._max_ms = NEVER
        self._min_ms = NEVER

    def note(self, duration_ms: int) -> None:
        """Take a measurement in, in ms; NEVER is none."""
        if duration_ms == NEVER:
            return
        self._last_ms = duration_ms
        self._max_ms = max(self._max_ms, duration_ms)
        self._min_ms = duration_ms if self._min_ms == NEVER else min(self._min_ms, duration_ms)

    def reset(self) -> None:
        """Forget the extremes: xapi has asked (spec 6)."""
        self._max_ms = NEVER  # unreached: no story resets a meter
        self._min_ms = NEVER

    def read(self) -> Latency:
        """The values now; an extreme without a measurement since the reset is the last value."""
        return Latency(  # unreached: no story asks for a report
            last_ms=self._last_ms,
            max_ms=self._last_ms if self._max_ms == NEVER else self._max_ms,
            min_ms=self._last_ms if self._min_ms == NEVER else self._min_ms)
