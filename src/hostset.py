"""Sets of hosts.

A host is named by its index: its position among the configured hosts in the
order of their UUIDs, 0 to 63.  A ``HostSet`` is an immutable bitmap; it
iterates in index order on every Python, so nothing that is decided from it
can depend on a hash seed.
"""

import functools
from typing import Iterable, Iterator, List, NewType, Tuple

HostIndex = NewType("HostIndex", int)

#: The most hosts a pool can have.  Source: spec 1, glossary "pool".
MAX_HOSTS = 64

_FULL = (1 << MAX_HOSTS) - 1


class HostSet:
    """An immutable set of host indexes, 0 to 63."""

    __slots__ = ("bits",)

    bits: int

    def __init__(self, hosts: Iterable[int] = ()) -> None:
        bits = 0
        for host in hosts:
            assert 0 <= host < MAX_HOSTS, host
            bits |= 1 << host
        self.bits = bits

    @staticmethod
    @functools.lru_cache(maxsize=1024)
    def of_bits(bits: int) -> "HostSet":
        """The set whose member j is bit j of ``bits`` (64 bits)."""
        assert 0 <= bits <= _FULL, bits
        made = HostSet()
        made.bits = bits
        return made

    @classmethod
    def first(cls, count: int) -> "HostSet":
        """Hosts 0 to ``count`` - 1."""
        assert 0 <= count <= MAX_HOSTS, count
        return cls.of_bits((1 << count) - 1)

    def __contains__(self, host: int) -> bool:
        return self.bits >> host & 1 != 0

    def __iter__(self) -> Iterator[HostIndex]:
        return iter(_members(self.bits))

    def __len__(self) -> int:
        return bin(self.bits).count("1")

    def __bool__(self) -> bool:
        return self.bits != 0

    def __eq__(self, other: object) -> bool:
        return isinstance(other, HostSet) and self.bits == other.bits

    def __ne__(self, other: object) -> bool:
        return not self == other

    def __hash__(self) -> int:
        return hash((HostSet, self.bits))

    def __and__(self, other: "HostSet") -> "HostSet":
        return HostSet.of_bits(self.bits & other.bits)

    def __or__(self, other: "HostSet") -> "HostSet":
        return HostSet.of_bits(self.bits | other.bits)

    def __sub__(self, other: "HostSet") -> "HostSet":
        return HostSet.of_bits(self.bits & ~other.bits)

    def __le__(self, other: "HostSet") -> bool:
        """Whether every member is in ``other``."""
        return not self.bits & ~other.bits

    def plus(self, host: int) -> "HostSet":
        """This set and ``host``."""
        return HostSet.of_bits(self.bits | 1 << host)

    def minus(self, host: int) -> "HostSet":
        """This set without ``host``."""
        return HostSet.of_bits(self.bits & ~(1 << host))

    def lowest(self) -> HostIndex:
        """The lowest member; the set must not be empty."""
        assert self.bits
        return HostIndex((self.bits & -self.bits).bit_length() - 1)

    def picture(self, count: int) -> str:
        """The operator's picture: a digit for each of ``count`` hosts, 1 for a member."""
        return "".join("1" if host in self else "0" for host in range(count))

    def __repr__(self) -> str:
        return "HostSet({})".format(list(self))


@functools.lru_cache(maxsize=1024)
def _members(bits: int) -> Tuple[HostIndex, ...]:
    """Of the few sets that a pool knows each is gone through again and again."""
    return tuple(HostIndex(host) for host in range(bits.bit_length()) if bits >> host & 1)


EMPTY = HostSet()


def runs(hosts: Iterable[int]) -> List[str]:
    """Hosts in index order as people name them; three and more in a row are one: ``0-5``, ``9``."""
    found = []  # type: List[List[int]]
    for host in hosts:
        if found and found[-1][-1] == host - 1:
            found[-1].append(host)
        else:
            found.append([host])
    words = []  # type: List[str]
    for run in found:
        words += (["{}-{}".format(run[0], run[-1])] if len(run) > 2
                  else [str(host) for host in run])
    return words
