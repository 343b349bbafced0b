"""Which persisting conditions were said lately, and how often they came again.

A condition is a message that the catalogue marks with ``repeats``, with its
fields but for those that measure it.  Source: style guide 8, "edges, not levels".
"""

from collections import OrderedDict
from typing import Optional, Tuple

from xha.actions import Log

#: A condition that persists is printed at most once in this time.
REPEAT_S = 60
#: Conditions that are remembered at most.
_MAX_CONDITIONS = 256
#: Fields that are measures of a condition and not part of what it is.
_MEASURES = frozenset(("ms", "left_ms", "count"))


def condition_of(message: Log) -> Tuple[object, ...]:
    """What makes two messages the same condition."""
    return (message.name,) + tuple(
        (name, str(value)) for name, value in message.fields if name not in _MEASURES)


class Repeats:
    """Which persisting conditions were printed lately, and how often they came again."""

    def __init__(self) -> None:
        """None so far."""
        # Condition: since when, s, monotonic; and how often it was held back.
        self._held = OrderedDict()  # type: OrderedDict[Tuple[object, ...], Tuple[float, int]]

    def fresh(self, condition: Tuple[object, ...], now_s: float) -> bool:
        """Whether to print a condition now, at this time of the monotonic clock; else count it."""
        if condition in self._held:
            since_s, count = self._held[condition]
            self._held[condition] = (since_s, count + 1)
            return False
        if len(self._held) < _MAX_CONDITIONS:
            self._held[condition] = (now_s, 0)
        return True

    def waiting(self) -> bool:
        """Whether there is any minute to wait for."""
        return bool(self._held)

    def ended(self, now_s: Optional[float]) -> Tuple[Tuple[str, int, int], ...]:
        """(name, times held back, in s) of each whose minute is over (None: of all); forget it."""
        ended = []
        for condition in list(self._held):
            since_s, count = self._held[condition]
            if now_s is not None and now_s - since_s < REPEAT_S:
                break
            del self._held[condition]
            if count:
                ended.append((str(condition[0]), count, REPEAT_S))
        return tuple(ended)
