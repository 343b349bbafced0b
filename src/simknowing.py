"""What a host knows of another never goes back: no old heartbeat, and no old record, is believed.

Of a sender with a seal the incarnation, and within one the sequence, is never less than what was
taken over before, for as long as a daemon lives: a recorded datagram revives nobody, and a late
write of the past tells nothing.  Who runs xhad proves neither.  Source: spec 4, the pool key and
check 7; spec 3, "Reading and writing in the daemon", step 3.
"""

from typing import Callable, Dict, List, Optional, Sequence, Tuple, Union

from xha.published import NEVER, Heartbeat, HostRecord
from xha.simhost import Host
from xha.view import View

_Word = Optional[Union[Heartbeat, HostRecord]]
_Seen = Tuple[View, List[_Word], List[_Word], int]


class Knowing:
    """Looks at what each host has taken over of the others."""

    def __init__(self, accuse: Callable[[Sequence[int], str], None]) -> None:
        """``accuse`` is told who has broken the promise, and how."""
        self._accuse = accuse
        # By host: its view, the last heartbeats that were seen in it, the last records, and
        # which reading had brought those.
        self._seen = {}  # type: Dict[int, _Seen]

    def look(self, host: Host) -> None:
        """Accuse ``host``, which runs our daemon, if it took over what is older than it knew."""
        view = host.view
        if view is None:
            return
        before = self._seen.get(host.index)
        if before is None or before[0] is not view:
            nothing = [None] * len(view.peers)  # type: List[_Word]
            before = (view, nothing, nothing, NEVER)
        _, heard, read, read_at_ms = before
        # Most turns bring nothing, and all turns are looked at.
        hears = [peer.heartbeat for peer in view.peers]  # type: List[_Word]
        reads, reads_at_ms = read, view.reading_completed_at_ms
        if reads_at_ms != read_at_ms:
            reads = [peer.record for peer in view.peers]
        self._seen[host.index] = (view, hears, reads, reads_at_ms)
        if hears != heard:
            self._compare(host, "heartbeat", heard, hears)
        if reads is not read:
            self._compare(host, "record", read, reads)

    def _compare(self, host: Host, what: str, before: List[_Word], now: List[_Word]) -> None:
        for index, (old, new) in enumerate(zip(before, now)):
            if old is new or old is None or new is None or old.seal is None or new.seal is None:
                continue
            if new.seal.incarnation < old.seal.incarnation or (
                    new.seal.incarnation == old.seal.incarnation
                    and (new.sequence - old.sequence) & 0xFFFFFFFF >= 0x80000000):
                self._accuse([host.index], "host {} believes an old {} of host {}".format(
                    host.index, what, index))
