"""No host that is well is deaf to another because the pool key is changed.

Of two members that are in each other's livesets each accepts the key that the other sends with;
and for as long as a daemon lives, no older key comes back.  Whether a member is frozen does not
matter: when it thaws, and is one still, it is understood.  Source: docs/key.md.
"""

from typing import Callable, Dict, Optional, Sequence, Tuple

from xha.hostset import HostSet
from xha.poolkey import Ring
from xha.simhost import Host
from xha.view import View

_Seen = Tuple[View, Optional[Ring], HostSet]


class Keys:
    """Looks at the keys that each host goes by."""

    def __init__(self, hosts: Sequence[Host], accuse: Callable[[Sequence[int], str], None]) -> None:
        """``accuse`` is told who has broken the promise, and how."""
        self._hosts = hosts
        self._accuse = accuse
        self._seen = {}  # type: Dict[int, _Seen]

    def look(self, host: Host) -> None:
        """Accuse ``host``, which runs our daemon, if its keys are not what they must be."""
        view = host.view
        if view is None:
            return
        before = self._seen.get(host.index)
        if before is not None and (before[0] is view and before[1] is view.ring
                                   and before[2] is view.liveset):
            return      # As most turns leave it.
        if view.ring is None:
            return
        self._seen[host.index] = (view, view.ring, view.liveset)
        if before is not None and before[0] is view and before[1] is not None:
            if view.ring.step < before[1].step:
                self._accuse([host.index], "host {} goes back to an older key".format(host.index))
        for other in self._hosts:
            if (other is not host and self._are_members(view, other)
                    and not self._understand(view, other)):
                self._accuse([host.index, other.index], "hosts {} and {} go by keys that the other "
                             "does not accept".format(host.index, other.index))

    @staticmethod
    def _are_members(view: View, other: Host) -> bool:
        theirs = other.view
        return (other.up and not other.runs_xhad and theirs is not None and theirs.online
                and view.online and other.index in view.liveset and view.me in theirs.liveset)

    @staticmethod
    def _understand(view: View, other: Host) -> bool:
        mine, theirs = view.ring, other.view.ring if other.view is not None else None
        return (mine is not None and theirs is not None and mine.key in (theirs.key, theirs.also)
                and theirs.key in (mine.key, mine.also))
