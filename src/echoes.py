"""Echoes: what the others prove to have heard of this host.

Theory of operation
===================

"I heard you 300 ms ago" does not say when what was heard had been sent: a
datagram that was on its way for three seconds proves nothing about the last
three.  So every heartbeat of ours repeats, for each host, a mark of the last
heartbeat of that host that was taken over; and this host remembers when it
issued each mark.  Whatever the network did to either, the host that echoes a
mark had heard everything up to that issue.

The mark is 32 bits: the sequence, moved by a multiple of the incarnation, so
that what an earlier incarnation sent is not taken for what this one sent.  A
mark that is not among the last ``REMEMBERED`` proves nothing; 0 is "none".

Source: spec 5, "SR2": evidence is the moment by which all of them provably had
heard me.
"""

from typing import Dict, Optional, Tuple

from xha.hostset import MAX_HOSTS
from xha.published import NEVER, Heartbeat
from xha.view import View

#: Heartbeats whose issue is remembered: more than are sent within any Ws that is short enough
#: to matter, bursts included; what is forgotten proves nothing, which is safe.
REMEMBERED = 512

#: Marks of one life lie no further apart than the heartbeats of a day at ten a second.
ONE_LIFE = 1 << 20

#: The golden ratio of 2^32: incarnations that follow one another lie far apart.
_SPREAD = 0x9E3779B1

_PADDING = (0,) * MAX_HOSTS


def mark(incarnation: int, sequence: int) -> int:
    """The mark of one heartbeat, 32 bits."""
    return (incarnation * _SPREAD + sequence) & 0xFFFFFFFF


def heard(view: View) -> Tuple[int, ...]:
    """The marks of the last heartbeats taken over, one for each host; 0 for none."""
    marks = [_mark_of(peer.heartbeat) for peer in view.peers]
    return tuple(marks) + _PADDING[len(marks):]


def _mark_of(heartbeat: Optional[Heartbeat]) -> int:
    if heartbeat is None or heartbeat.seal is None:
        return 0
    return mark(heartbeat.seal.incarnation, heartbeat.sequence)


def heard_another_life(view: View, heartbeat: Heartbeat, host: int) -> bool:
    """Whether the sender of a heartbeat last heard another life of a host than this host did.

    False where that cannot be told; two lives in some thousands are taken for one.
    """
    echo = heartbeat.seal.heard[host] if heartbeat.seal is not None else 0
    mine = _mark_of(view.peers[host].heartbeat)
    apart = (echo - mine) & 0xFFFFFFFF
    return echo != 0 and mine != 0 and ONE_LIFE <= apart <= (1 << 32) - ONE_LIFE


class Echoes:
    """When this host issued what the others echo."""

    __slots__ = ("_view", "_issued_at_ms", "_oldest", "_newest")

    def __init__(self, view: View) -> None:
        self._view = view
        self._issued_at_ms = {}  # type: Dict[int, int]
        self._oldest = self._newest = 0

    def issued(self, sequence: int, issued_at_ms: int) -> None:
        """The heartbeat of this sequence was sent to everybody, as far as this host could."""
        self._issued_at_ms[sequence] = issued_at_ms
        self._newest = sequence
        if not self._oldest:
            self._oldest = sequence
        while len(self._issued_at_ms) > REMEMBERED:
            self._issued_at_ms.pop(self._oldest, None)
            self._oldest += 1

    def heard_by(self, heartbeat: Heartbeat) -> int:
        """When this host issued what the sender of a heartbeat had last heard of it.

        Returns: ms of this host's clock; NEVER when nothing is proven.
        """
        view = self._view
        assert heartbeat.seal is not None
        echo = heartbeat.seal.heard[view.me]
        if not echo:
            return NEVER
        return self._issued_at_ms.get(self._sequence(echo), NEVER)

    def of_another_life(self, heartbeat: Heartbeat) -> bool:
        """Whether its sender had last heard an earlier life of this host: it speaks to that one.

        False where that cannot be told.
        """
        echo = heartbeat.seal.heard[self._view.me] if heartbeat.seal is not None else 0
        return echo != 0 and self._sequence(echo) > self._newest

    def _sequence(self, echo: int) -> int:
        return (echo - mark(self._view.incarnation, 0)) & 0xFFFFFFFF
