"""Chance, decided by a seed: the same draws on every machine and Python.

Only ``random.Random.random`` is used: its sequence for a seed is the one thing that Python
promises never to change; ``choice`` and its like draw differently from version to version.
"""

import random
from typing import List, Sequence, TypeVar

T = TypeVar("T")


class Dice:
    """Draws from one seed."""

    __slots__ = ("draw",)

    def __init__(self, seed: str) -> None:
        #: A number in [0, 1).
        self.draw = random.Random(seed).random

    def below(self, count: int) -> int:
        """A whole number from 0 to ``count`` - 1."""
        return int(self.draw() * count)

    def between(self, least: int, most: int) -> int:
        """A whole number from ``least`` to ``most``, both included."""
        return least + int(self.draw() * (most - least + 1))

    def chance(self, part: float) -> bool:
        """True in this part of all cases."""
        return self.draw() < part

    def choice(self, items: Sequence[T]) -> T:
        """One of them."""
        return items[self.below(len(items))]

    def some(self, items: Sequence[T], count: int) -> List[T]:
        """``count`` different ones, in the order drawn."""
        left = list(items)
        return [left.pop(self.below(len(left))) for _ in range(min(count, len(left)))]
