"""The pool key, as a value that does not give itself away.

Theory of operation
===================

Whoever knows the key can speak in the name of any host, so it may be in three
places: on the State-File, in the memory of daemons, and nowhere else.  It is
easily said by accident: a record's text shows its fields, and a record ends up
in the message of an error, in a traceback's last line, in a log.  So the key
is a kind of bytes whose every text is its *fingerprint*: 16 hex digits of its
SHA-256, by which two hosts' keys can be compared, and from which 32 random
bytes cannot be found.

While a key is replaced by another there are two: a ``Ring``.  Its *step*
counts up by one at each change, from 0, the key that the pool was initialised
with:

============ ============================== ==================================
 step mod 3   heartbeats are sent with       accepted, too
============ ============================== ==================================
0  settled    the key                        no other
1  announced  the old key                    the new one
2  changed    the new key                    the old one
============ ============================== ==================================

So of any two rings that lie one step apart, each accepts what the other sends.
Source: spec 4, seal; docs/key.md.
"""

import functools
from typing import NamedTuple, Optional

from xha import keyedhash
from xha.records import record

KEY_BYTES = 32

#: Steps from one key to the next.
STEPS = 3
SETTLED, ANNOUNCED, CHANGED = range(STEPS)
STAGES = ("settled", "announced", "changed")

#: What a host publishes that says nothing of its ring.
NOT_SAID = 0


class PoolKey(bytes):
    """A key of the pool, 32 bytes; as a text, its fingerprint."""

    __slots__ = ()

    def __repr__(self) -> str:
        return "<pool key {}>".format(fingerprint(self))

    __str__ = __repr__

    def __format__(self, spec: str) -> str:
        return format(repr(self), spec)


def fingerprint(key: bytes) -> str:
    """16 hex digits that are equal for equal keys, and do not tell the key."""
    return "".join("{:02x}".format(byte) for byte in keyedhash.digest(bytes(key))[:8])


@record
class Ring(NamedTuple):
    """The keys that a host goes by."""

    # Grows by one at each change, within a generation.
    step: int
    # Heartbeats are sent with it, and accepted.
    key: PoolKey
    # Accepted, too; None at rest.
    also: Optional[PoolKey]

    @property
    def stage(self) -> int:
        """SETTLED, ANNOUNCED or CHANGED."""
        return self.step % STEPS

    @property
    def mark(self) -> int:
        """What a host publishes to show that it goes by this ring: 64 bits, not ``NOT_SAID``."""
        return _mark(self.step, self.key, self.also)

    def announced(self, key: PoolKey) -> "Ring":
        """The ring after this one, which is settled: ``key`` is to come."""
        assert self.stage == SETTLED
        return Ring(step=self.step + 1, key=self.key, also=key)

    def following(self) -> "Ring":
        """The ring after this one, of a change that is under way."""
        assert self.stage != SETTLED and self.also is not None
        if self.stage == ANNOUNCED:
            return Ring(step=self.step + 1, key=self.also, also=self.key)
        return Ring(step=self.step + 1, key=self.key, also=None)


@functools.lru_cache(4)
def _mark(step: int, key: PoolKey, also: Optional[PoolKey]) -> int:
    """It is published with each record, and seldom another one."""
    data = b"xha ring" + step.to_bytes(8, "little") + bytes(key) + bytes(also or b"")
    return int.from_bytes(keyedhash.digest(data)[:8], "little") or 1
