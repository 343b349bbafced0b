"""What a host knows of another never goes back: no old heartbeat, and no old record, is believed.

Of a sender with a seal the incarnation, and within one the sequence, is never less than what was
taken over before, for as long as a daemon lives: a recorded datagram revives nobody, and a late
write of the past tells nothing.  Who runs xhad proves neither.  Source: spec 4, the pool key and
check 7; spec 3, "Reading and writing in the daemon", step 3.
"""

from typing import Callable, Dict, List, Optional, Sequence, Tuple, Union

from xha.published import Heartbeat, HostRecord
from xha.simhost import Host
from xha.view import View

_Word = Optional[Union[Heartbeat, HostRecord]]


class Knowing:
    """Looks at what each host has taken over of the others."""

    def __init__(self, accuse: Callable[[Sequence[int], str], None]) -> None:
        """``accuse`` is told who has broken the promise, and how."""
        self._accuse = accuse
        # By host: its view, and the last heartbeats and records that were seen in it.
        self._seen = {}  # type: Dict[int, Tuple[View, List[_Word], List[_Word]]]

    def look(self, host: Host) -> None:
        """Accuse ``host``, which runs our daemon, if it took over what is older than it knew."""
        view = host.view
        if view is None:
            return
        seen = self._seen.get(host.index)
        if seen is None or seen[0] is not view:
            count = len(view.peers)
            seen = self._seen[host.index] = (view, [None] * count, [None] * count)
        _, heard, read = seen
        for index, peer in enumerate(view.peers):
            if peer.heartbeat is not heard[index]:
                self._compare(host, index, "heartbeat", heard[index], peer.heartbeat)
                heard[index] = peer.heartbeat
            if peer.record is not read[index]:
                self._compare(host, index, "record", read[index], peer.record)
                read[index] = peer.record

    def _compare(self, host: Host, index: int, what: str, before: _Word, now: _Word) -> None:
        if before is None or now is None or before.seal is None or now.seal is None:
            return
        older = now.seal.incarnation < before.seal.incarnation or (
            now.seal.incarnation == before.seal.incarnation
            and (now.sequence - before.sequence) & 0xFFFFFFFF >= 0x80000000)
        if older:
            self._accuse([host.index], "host {} believes an old {} of host {}".format(
                host.index, what, index))
