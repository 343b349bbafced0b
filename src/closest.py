"""The largest of a value in the last hour, in the last day and since the start.

Theory of operation
===================

There are many *slots*, and each has its own value.  Noting one is a comparison
with the largest of the running bucket, and mostly nothing more.  When a bucket
of ``BUCKET_MS`` ends, its largest goes into three places: that since the
start, and two windows that slide by buckets.  A window keeps only what may
still become its largest: values that fall with time.  So it holds at most one
value for each of its buckets, mostly two or three, and its first one is the
answer.

A window reaches back over its whole length and, as it slides by buckets, up to
one of these more.  Time is monotonic; what wall clock an approach had is a part
of it, and decides nothing.
"""

from typing import List, Optional, Tuple

from xha.published import NEVER
from xha.snapshot import Approach

#: The finest that is told apart, ms.
BUCKET_MS = 300000

#: Of the two windows: of how many of these one of their own is made, and how many they have.
HOUR = (1, 12)
DAY = (12, 24)

_Window = List[Tuple[int, Approach]]


class Closest:
    """The largest approaches of some slots."""

    __slots__ = ("largest_ms", "_largest", "_hour", "_day", "_ever", "_bucket")

    def __init__(self, slots: int) -> None:
        #: Of each slot the largest in the running bucket, ms; NEVER for none.
        self.largest_ms = [NEVER] * slots
        self._largest = [None] * slots  # type: List[Optional[Approach]]
        self._hour = [[] for _ in range(slots)]  # type: List[_Window]
        self._day = [[] for _ in range(slots)]  # type: List[_Window]
        self._ever = [None] * slots  # type: List[Optional[Approach]]
        self._bucket = NEVER

    def note(self, slot: int, approach: Approach) -> None:
        """Take an approach in; after ``roll``."""
        if approach.used_ms > self.largest_ms[slot]:
            self.largest_ms[slot] = approach.used_ms
            self._largest[slot] = approach

    def roll(self, now_ms: int) -> bool:
        """Begin another bucket if the time has come; whether one began."""
        bucket = now_ms // BUCKET_MS
        if bucket == self._bucket:
            return False
        for slot, approach in enumerate(self._largest):
            if approach is not None:
                for window, size in ((self._hour[slot], HOUR), (self._day[slot], DAY)):
                    _push(window, self._bucket // size[0], approach)
                self._ever[slot] = _larger(self._ever[slot], approach)
        for window in self._hour:
            _expire(window, bucket, HOUR)
        for window in self._day:
            _expire(window, bucket, DAY)
        self._bucket = bucket
        self._largest = [None] * len(self._largest)
        self.largest_ms[:] = [NEVER] * len(self._largest)
        return True

    def read(self, slot: int) -> Tuple[
            Optional[Approach], Optional[Approach], Optional[Approach]]:
        """The largest of the last hour, of the last day and since the start; after ``roll``."""
        running, hour, day = self._largest[slot], self._hour[slot], self._day[slot]
        return (_larger(hour[0][1] if hour else None, running),
                _larger(day[0][1] if day else None, running),
                _larger(self._ever[slot], running))


def _larger(before: Optional[Approach], after: Optional[Approach]) -> Optional[Approach]:
    """The larger of two; of equal ones the later."""
    if before is None or after is None:
        return after if before is None else before
    return before if before.used_ms > after.used_ms else after


def _push(window: _Window, bucket: int, approach: Approach) -> None:
    while window and window[-1][1].used_ms <= approach.used_ms:
        window.pop()
    if not window or window[-1][0] != bucket:
        window.append((bucket, approach))


def _expire(window: _Window, bucket: int, size: Tuple[int, int]) -> None:
    while window and window[0][0] < bucket // size[0] - size[1]:
        window.pop(0)
