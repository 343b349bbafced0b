"""Whether a host that was reset ought to have been: invariant 4 of spec 5.

Healthy is who was not touched: its links to all others who were not, and its disk, have always
been good.  Where they are a majority by weight, of all hosts and of the members, a fault of the
rest must not take any of them down.  (Who is only starting has no say in a survival test.)

A host that runs xhad is not healthy either once it has shown a known fault of the original (spec
14): it lost a State-File that may be well, for the bad record of another; or it waits in its fault
handler without a bound, and ours no longer wait for it; or it takes a host that it let in, and
that has not heard so for T2, for one that was lost.  What it suffers then is its own fault.

Where xhad hosts are members, all merge views that do not agree as xhad does, and that can take
away the rows of the healthy (``liveset.merge``).  So it is the original's fault, too, when one of
ours dies by that rule and would have gone on by the one of pools that are all ours.
"""

from typing import Callable, Dict, List, Optional, Sequence, Set, Tuple

from xha import liveset, startfacts, timing
from xha.config import Common
from xha.hostset import EMPTY, HostSet
from xha.published import Phase
from xha.simhost import Host
from xha.view import View


class Deaths:
    """Looks at every host that ends."""

    def __init__(self, hosts: Sequence[Host], common: Common, now_ms: Callable[[], int],
                 accuse: Callable[[Sequence[int], str], None]) -> None:
        """Look at ``hosts``.

        Args:
            now_ms: the world's time.
            accuse: told who has broken the promise, and how.
        """
        self._hosts = hosts
        self._common = common
        self._now_ms = now_ms
        self._accuse = accuse
        #: Hosts that a fault, or a command, has touched since all was well.
        self.touched = set()  # type: Set[int]
        # Members that run xhad and have shown a known fault of it.
        self._faulty = set()  # type: Set[int]
        # By member that runs xhad: its phase, since when.
        self._waits = {}  # type: Dict[int, Tuple[Phase, int]]
        # By member that runs xhad: the daemons of those whom it counts as alive, as it let them in.
        self._let_in = {}  # type: Dict[int, Dict[int, object]]
        # By host: the least and the largest weight that it had.
        self._weights = {}  # type: Dict[int, Tuple[int, int]]

    def note_weight(self, host: int, weight: int) -> None:
        """The host's weight is this; where it is in doubt which one counts, it may become this.

        One that changes while no fault handler runs counts from the next one on, in which all
        commit their weights before anybody decides (spec 5, step 1).
        """
        least, most = self._weights.get(host, (weight, weight))
        views = [one.view for one in self._hosts]
        if not self._hosts[host].paused and all(
                view is None or view.phase in (Phase.STARTING, Phase.STARTED) for view in views):
            least = most = weight
        self._weights[host] = (min(least, weight), max(most, weight))

    def check(self, host: Host, why: str, members: Sequence[Host], view: Optional[View]) -> None:
        """Accuse whoever had a healthy host reset although a majority is healthy.

        ``members``: all that are armed and online; ``view``: what it believed as one, if known.
        """
        if why == "crashed" or host.index in self.touched:
            return
        for one in self._hosts:
            if one.runs_xhad:
                self.look_at_xhad(one)
        healthy = HostSet(one.index for one in self._hosts if one.index not in self.touched
                          and (one is host or one.index not in self._faulty))
        others = HostSet.first(len(self._hosts)) - healthy
        least = tuple(self._weights.get(index, (1, 1))[0] for index in range(len(self._hosts)))
        most = tuple(self._weights.get(index, (1, 1))[1] for index in range(len(self._hosts)))
        if liveset.size(healthy, least) > liveset.size(others, most) and (
                view is None or liveset.size(healthy & view.liveset, least)
                > liveset.size(view.liveset - healthy, most)):
            culprits = [host.index]
            if why == "fenced" and host.index not in self._faulty:
                # It obeyed: whose request was it?
                culprits = self._who_put_out(host.index, members) or (
                    [] if host.runs_xhad else _merged_as_xhad(view)) or culprits
            self._accuse(culprits, (
                "host {} was reset ({}) although nothing was wrong with it, nor with "
                "the majority that it belongs to".format(host.index, why)))

    def lives_on_rule_two(self, host: Host) -> bool:
        """Whether a host runs xhad and moves its State-File timer without any proof.

        Under survival rule 2 that daemon moves it in each cycle, whether anybody hears it or not,
        so one that then hangs in its fault handler is never reset, and nothing tells when it
        would have been.
        """
        return (host.runs_xhad and host.view is not None and host.view.sr2
                and host.index in self._faulty)

    def look_at_xhad(self, host: Host) -> None:
        """Note a host that has shown a known fault of the original."""
        view, now_ms = host.view, self._now_ms()
        if view is None:
            return
        if not view.online:
            self._faulty.discard(host.index)
            self._waits.pop(host.index, None)
            self._let_in.pop(host.index, None)
            return
        let_in = self._let_in.get(host.index, {})
        self._let_in[host.index] = let_in = {
            index: let_in.get(index, self._hosts[index].node) for index in view.liveset}
        phase, since_ms = self._waits.get(host.index, (Phase.STARTED, now_ms))
        hangs = (phase is not Phase.STARTED
                 and now_ms - since_ms > timing.rendezvous_bound_ms(self._common, phase))
        if hangs or not view.statefile_access or any(
                let_in[index] is self._hosts[index].node and self._waits_outside(index)
                for index in view.liveset - view.statefile_domain):
            self._faulty.add(host.index)
        if view.phase is not phase:
            self._waits[host.index] = (view.phase, now_ms)

    def _waits_outside(self, index: int) -> bool:
        """Whether a host runs, and is no member in its own eyes."""
        view = self._hosts[index].view
        return view is not None and not view.online

    @staticmethod
    def _who_put_out(index: int, members: Sequence[Host]) -> List[int]:
        """The members that ask a host to fence itself."""
        return [other.index for other in members
                if other.view is not None and other.view.fence_request
                and index in other.view.liveset - other.view.proposed]


def _merged_as_xhad(view: Optional[View]) -> List[int]:
    """The members that run xhad, if it is for their rule that a host did not survive."""
    if view is None:
        return []
    picture = startfacts.picture_of(view)
    ours = liveset.merge(picture._replace(unsealed=EMPTY))
    survives = liveset.survival_test(ours) is not liveset.Verdict.FENCE
    return list(picture.unsealed) if survives else []
