"""What must hold of whoever becomes a member: its past is settled, and nobody is surprised by it.

    again        a host that was dropped is never let in again as the instance that was dropped
    old and new  a host that was reset is no member again while another counts its old instance
                 as alive: that one's virtual machines would never be started elsewhere
    by all       who lets a host in, or comes in, has the word of every member that runs; of two
                 that are let in at the same time each comes in by the word of the members alone,
                 and so does who comes in beside an xhad host that formed a liveset by itself

Source: spec 5, "Starting", steps 3 and 7, and "Letting others join".  A member that is taken in
under survival rule 2 is excepted, as it is there; so is an xhad host whose old heartbeats arrive
again: nothing tells them from new ones.
"""

from typing import Callable, Dict, List, Sequence, Set, Tuple

from xha.config import Common
from xha.hostset import HostSet
from xha.published import NEVER
from xha.simhost import Host


class Joining:
    """Looks at every host whose liveset has changed."""

    def __init__(self, hosts: Sequence[Host], common: Common, now_ms: Callable[[], int],
                 accuse: Callable[[Sequence[int], str], None]) -> None:
        """Begin with a pool in which nothing has happened yet.

        Args:
            now_ms: the world's time.
            accuse: is told who has broken the promise, and how.
        """
        self._hosts = hosts
        self._accuse = accuse
        self._now_ms = now_ms
        # For so long a host is let in beside others, who may not have seen it yet.
        self._beside_ms = common.heartbeat_timeout_ms
        #: The hosts whose old heartbeats have arrived again.
        self.replayed = set()  # type: Set[int]
        # By host: its daemon, and when it came in.
        self._came_in = {}  # type: Dict[int, Tuple[object, int]]
        # By who dropped and who was dropped: the daemon that was.
        self._dropped = {}  # type: Dict[Tuple[int, int], object]
        # By host: its daemon that came in as what was before it.
        self._ghosts = {}  # type: Dict[int, object]
        # By host that was reset: the members that count what it was as alive, by their daemons.
        self._counted_by = {}  # type: Dict[int, List[Tuple[int, object]]]

    def changed(self, host: Host, before: HostSet, members: Sequence[Host]) -> None:
        """The liveset of a member is another than ``before``, which is empty when it comes in.

        ``members``: all that are armed and online.
        """
        view = host.view
        assert view is not None
        for index in before - view.liveset:
            other = self._hosts[index]
            # Who starts anew by now is not who was dropped.
            self._dropped[host.index, index] = (
                other.node if other.view is not None and other.view.online else None)
        if not before:
            self._came_in[host.index] = host.node, self._now_ms()
            self._old_and_new(host, members)
        if view.sr2:
            return
        for index in view.liveset - before:
            node = self._hosts[index].node
            if node is not None and self._dropped.get((host.index, index)) is node:
                self._accuse([host.index], (
                    "host {} has dropped host {}, and lets it in again".format(host.index, index)))
            if before or index == host.index:
                self._by_all(host, index, members)

    def is_ghost(self, host: Host) -> bool:
        """Whether a daemon of the original came in while others counted its predecessor."""
        return host.runs_xhad and self._ghosts.get(host.index) is host.node is not None

    def was_reset(self, host: Host, members: Sequence[Host]) -> None:
        """A machine went down."""
        for pair in [pair for pair in self._dropped if pair[1] == host.index]:
            del self._dropped[pair]
        self._counted_by[host.index] = [
            (other.index, other.node) for other in members
            if other is not host and other.view is not None
            and host.index in other.view.liveset]

    def _old_and_new(self, host: Host, members: Sequence[Host]) -> None:
        running = {(other.index, other.node) for other in members}
        for index, node in self._counted_by.pop(host.index, ()):
            if (index, node) in running and (index, host.index) not in self._dropped:
                self._ghosts[host.index] = host.node
                self._accuse([host.index], (
                    "host {} is a member again, and host {} has not dropped what it was".format(
                        host.index, index)))

    def _by_all(self, host: Host, index: int, members: Sequence[Host]) -> None:
        view = host.view
        assert view is not None
        if index != host.index and any(other.index == index for other in members):
            # It has come in by the word of all whom it knew, which was looked at then.
            return
        if self._hosts[index].runs_xhad and index in self.replayed:
            return
        for other in members:
            if other.view is None or other.index not in view.liveset or other.index == index:
                continue
            daemon, came_in_ms = self._came_in.get(other.index, (None, NEVER))
            if daemon is other.node and self._now_ms() < came_in_ms + self._beside_ms:
                continue
            if index not in other.view.proposed | other.view.liveset:
                self._accuse([index if self._says_so_itself(index) else host.index], (
                    "host {} is let in without the word of host {}".format(index, other.index)))

    def _says_so_itself(self, index: int) -> bool:
        """Whether a host runs xhad and counts itself in already: by late words, perhaps.

        Whoever proposed it takes its word for that; only ours can tell words for an earlier life.
        """
        host = self._hosts[index]
        return host.runs_xhad and host.view is not None and index in host.view.liveset
