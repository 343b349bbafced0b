"""The fault handler of a simulated xhad (spec 5), without what ours adds.

No rendezvous is bounded: a host that is heard and never comes keeps all others.  The wait for the
dead is the standard one, with no guard of signs of life and no proof.  What it remembers of others
counts after a gap of its own as if nothing had been.
"""

from typing import FrozenSet

from xha import lifesigns, timing
from xha.liveset import Verdict, merge, survival_test, views_agree
from xha.published import Phase
from xha.simxhadshared import Shared, Thread
from xha.startfacts import picture_of

#: The rendezvous, in order: the phases a, b and c of spec 5.
READY = (Phase.FHREADY, Phase.FH1, Phase.FH1DONE)
EXCHANGE = (Phase.FH1DONE, Phase.FH2, Phase.FH2DONE)
DECIDE = (Phase.FH2DONE, Phase.FH3, Phase.FH3DONE)
CONDEMN = (Phase.FH3DONE, Phase.FH4, Phase.FH4DONE)
FINISH = (Phase.FH4DONE, Phase.STARTED, Phase.FHREADY)


class Fault:
    """The fault handler."""

    def __init__(self, shared: Shared) -> None:
        self._shared = shared
        self._view = shared.view

    def run(self) -> Thread:
        """One run, from the loss that was noticed to the liveset without who was lost."""
        shared, view = self._shared, self._view
        began_ms = shared.now_ms
        lost = view.liveset - view.heartbeat_domain
        stale = view.liveset - view.statefile_domain
        view.log("fh-started", reason=(
            "hosts not heard ({}), hosts whose State-File record does not advance ({})".format(
                view.picture(lost), view.picture(stale))))
        view.join_blocked = True
        view.waiting_for = "the end of the original's fault handler"
        yield from self._meet(*READY)
        yield from self._stable()
        yield from self._meet_on_disk(*EXCHANGE)
        entered_ms = shared.now_ms
        yield from shared.until(lambda: views_agree(picture_of(view)),
                                entered_ms + timing.patience_ms(view.common))
        picture = picture_of(view)
        if not views_agree(picture):
            picture = merge(picture)
            view.log("fh-views-differ", ms=shared.now_ms - entered_ms)
        # What is lost from here on is for another run.
        shared.loss = False
        yield from self._meet(*DECIDE)
        decided_ms = shared.now_ms
        extended = False
        if view.armed:
            verdict = survival_test(picture)
            if verdict is Verdict.FENCE:
                shared.fence("no-survival-rule", "no survival rule applies")
            keep = picture.heartbeat_domain
            if verdict is Verdict.ALL_LOST_STATEFILE:
                view.set_sr2(decided_ms, True)
                view.log("surviving-by-rule-2", liveset=view.picture(view.liveset & keep))
            else:
                keep = keep & picture.statefile_domain
                view.log("surviving-by-rule-1", liveset=view.picture(view.liveset & keep))
            condemned = view.liveset - keep
            extended = any(lifesigns.seen_lately(view, decided_ms, host) for host in condemned)
            view.set_liveset(view.liveset, view.proposed - condemned)
            shared.set_heartbeat_domain(view.heartbeat_domain - condemned)
            shared.set_statefile_domain(view.statefile_domain - condemned)
        yield from self._meet(*CONDEMN)
        yield from self._wait_out(decided_ms, extended)
        yield from self._meet(*FINISH)
        view.join_blocked = False
        view.waiting_for = ""
        view.log("fh-ended", ms=shared.now_ms - began_ms, liveset=view.picture(view.liveset))

    # ---- rendezvous

    def _meet(self, first: Phase, second: Phase, third: Phase) -> Thread:
        shared = self._shared
        yield from shared.enter(first)
        yield from shared.until(lambda: self._all_in(frozenset((first, second))))
        yield from shared.enter(second)
        yield from shared.until(lambda: self._all_in(frozenset((second, third))))

    def _meet_on_disk(self, first: Phase, second: Phase, third: Phase) -> Thread:
        yield from self._half_on_disk(first, frozenset((first, second)))
        yield from self._half_on_disk(second, frozenset((second, third)))

    def _half_on_disk(self, phase: Phase, accepted: FrozenSet[Phase]) -> Thread:
        shared = self._shared
        yield from shared.enter(phase)
        yield from shared.accelerate("fault-handler", True)
        yield from shared.until(lambda: self._all_in(accepted) and self._all_written(accepted))
        yield from shared.accelerate("fault-handler", False)

    def _all_in(self, accepted: FrozenSet[Phase]) -> bool:
        view = self._view
        for host in (view.liveset & view.heartbeat_domain).minus(view.me):
            heartbeat = view.peers[host].heartbeat
            if heartbeat is not None and heartbeat.phase not in accepted:
                return False
        return True

    def _all_written(self, accepted: FrozenSet[Phase]) -> bool:
        view = self._view
        for host in (view.liveset & view.statefile_domain).minus(view.me):
            content = view.peers[host].record
            if content is not None and content.phase not in accepted:
                return False
        return True

    # ---- the steps

    def _stable(self) -> Thread:
        shared, view = self._shared, self._view
        since_ms = shared.now_ms

        def stable() -> bool:
            heard_ms = min(since_ms, shared.now_ms - timing.stable_heartbeat_ms(view.common))
            read_ms = min(since_ms, shared.now_ms - timing.stable_statefile_ms(view.common))
            return (all(view.peers[host].heard_at_ms >= heard_ms
                        for host in view.heartbeat_domain.minus(view.me))
                    and all(view.peers[host].advanced_at_ms >= read_ms
                            for host in view.statefile_domain))

        yield from shared.until(stable)
        if view.committed_weight != view.weight:
            view.committed_weight = view.weight
            view.log("weight-committed", weight=view.weight)

    def _wait_out(self, decided_ms: int, extended: bool) -> Thread:
        """The standard wait for the dead, then drop them."""
        shared, view = self._shared, self._view
        dropped = view.liveset - view.proposed
        if not dropped or not view.armed:
            return
        wait_ms = timing.dead_wait_ms(view.common, shared.now_ms - decided_ms, extended)
        view.log("fence-requested", dropped=view.picture(dropped))
        view.fence_request = True
        yield wait_ms
        for host in view.liveset - view.proposed:
            view.log("host-dropped", host=host)
        view.set_liveset(view.liveset & view.proposed, view.proposed)
        view.fence_request = False
        shared.lock()
