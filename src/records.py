"""What a value is: an immutable record with identity by type as well as by value.

A bare ``NamedTuple`` compares equal to any tuple with the same items, so
``PeerLost(1) == PeerJoined(1)`` would hold, and a record without fields would
be false.  A base class cannot mend that: Python 3.6 to 3.8 drop it silently
and 3.9 refuses it.  Hence a decorator.
"""

from typing import Any, Type, TypeVar

T = TypeVar("T")


def record(cls: Type[T]) -> Type[T]:
    """Give a NamedTuple class identity by type as well as by value."""

    def __eq__(self: Any, other: Any) -> bool:
        return type(self) is type(other) and bool(tuple.__eq__(self, other))

    def __ne__(self: Any, other: Any) -> bool:
        return not __eq__(self, other)

    def __hash__(self: Any) -> int:
        return hash((cls, tuple(self)))

    for method in (__eq__, __ne__, __hash__):
        setattr(cls, method.__name__, method)
    setattr(cls, "__bool__", lambda self: True)
    return cls
