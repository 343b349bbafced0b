"""What must hold after every event.  Source: spec 5, "Invariants" 1 to 3."""

from typing import Callable, Dict, Sequence, Tuple

from xha.hostset import EMPTY, HostSet

from sim.host import Host

#: Two hosts that are let in at the same time learn of each other a moment later, ms.
ACQUAINTED_MS = 3000


class Breach(AssertionError):
    """The promise is broken."""


class Checkers:
    """Looks at every host whose core may have changed."""

    def __init__(self, hosts: Sequence[Host], now_ms: Callable[[], int]) -> None:
        """``now_ms``: the world's time."""
        self._hosts = hosts
        self._now_ms = now_ms
        # Pairs of members that are not in each other's livesets, since when.
        self._apart_ms = {}  # type: Dict[Tuple[int, int], int]
        self._livesets = {}  # type: Dict[int, HostSet]
        self._seen = {}  # type: Dict[int, Tuple[object, ...]]

    def check(self, host: Host) -> None:
        """Raise Breach if what ``host`` believes now breaks an invariant.

        Only armed hosts count: a disarmed host promises nothing, and drops nobody.
        """
        view = host.view
        if view is None or not host.dangerous or not view.online:
            self._livesets.pop(host.index, None)
            self._seen.pop(host.index, None)
            return
        if self._apart_ms:
            self._look_at_strangers()
        state = (view.liveset, view.holding)
        if self._seen.get(host.index) == state:
            return
        self._seen[host.index] = state
        before = self._livesets.get(host.index, EMPTY)
        self._livesets[host.index] = view.liveset
        self._dropped_hosts_are_dead(host, before - view.liveset)
        self._livesets_meet(host)
        self._note_strangers(host)
        self._one_master()

    def _dropped_hosts_are_dead(self, host: Host, dropped: HostSet) -> None:
        """When a host's liveset loses i, i was reset, or stopped cleanly, or is disarmed."""
        for index in dropped:
            if self._hosts[index].dangerous:
                raise Breach("host {} dropped host {}, which still runs".format(
                    host.index, index))

    def _members(self) -> Sequence[Host]:
        return [host for host in self._hosts
                if host.dangerous and host.view is not None and host.view.online]

    def _livesets_meet(self, host: Host) -> None:
        """No two unfenced online hosts have disjoint livesets."""
        assert host.view is not None
        for other in self._members():
            assert other.view is not None
            if not other.view.liveset & host.view.liveset:
                raise Breach("hosts {} and {} have disjoint livesets {} and {}".format(
                    host.index, other.index, host.view.liveset, other.view.liveset))

    def _note_strangers(self, host: Host) -> None:
        """Two members that both go on without the other are two pools."""
        assert host.view is not None
        for other in self._members():
            assert other.view is not None
            pair = (min(host.index, other.index), max(host.index, other.index))
            if host.index in other.view.liveset or other.index in host.view.liveset:
                self._apart_ms.pop(pair, None)
            else:
                self._apart_ms.setdefault(pair, self._now_ms())

    def _look_at_strangers(self) -> None:
        members = {host.index for host in self._members()}
        for pair, since_ms in sorted(self._apart_ms.items()):
            if not members.issuperset(pair):
                del self._apart_ms[pair]
            elif self._now_ms() - since_ms > ACQUAINTED_MS:
                raise Breach("hosts {} and {} both go on without the other".format(*pair))

    def _one_master(self) -> None:
        """At most one unfenced armed host believes that it holds the master lock."""
        holders = [host.index for host in self._members()
                   if host.view is not None and host.view.holding]
        if len(holders) > 1:
            raise Breach("hosts {} all hold the master lock".format(holders))
