"""The fault handler: how hosts agree on who goes on after a loss.

Theory of operation
===================

When a host of the liveset is lost, those who remain walk through the same
steps together.  Between the steps they *rendezvous*: nobody enters a step
before all who can be seen have left the one before, so all decide from what
all knew at the same time.  The walk:

    ready         rendezvous FHREADY, FH1, FH1DONE
    stable        until everybody seen has been seen anew: no stale memory
    exchange      rendezvous FH1DONE, FH2, FH2DONE, on the State-File too
    consistent    until all publish the same view (``timing.merge_at_ms``); freeze a picture;
                  where they never agree (a cut network), reduce it by ``liveset.merge``
    decide        rendezvous FH2DONE, FH3, FH3DONE; the survival test, or death
    condemn       rendezvous FH3DONE, FH4, FH4DONE
    wait          until whoever was put out is certainly dead; then drop them
    finish        rendezvous FH4DONE, STARTED, FHREADY

A rendezvous (a, b, c) is two waits: publish a and wait until all are in a or
b; publish b and wait until all are in b or c.  Whoever leaves has been seen
in b by all, so a phase can be reused by the next walk.

Nobody is waited for without a bound: a host that is heard but does not move
is taken out of its domain ("alive, but stuck") and becomes a loss like any.

A walk is of those who were members when it began.  A host that was let in, but has not said
yet that it knows, is not waited for, and not judged while it is heard: it waits itself, for
the word of one who lets nobody in while it walks.  Nor is one that comes in later; and that
one begins no walk of its own, and leaves one, while others are so far in theirs that they
cannot have counted it.  They and it would wait for each other for ever.  Let in just as a walk
began, it goes with those who count it, and does not wait for who is ahead.

**The wait is the safety of the whole system.**  The last sign of life of a
dropped host is min(T1, T2) old when it is put out, its watchdogs were last
moved before that sign was sent or at most max(t1, t2) after, so after
max(Wh, Ws) - min(T1, T2) + max(t1, t2) more it has been reset.  On top stands
the *sign-of-life guard*: for each condemned host, the instant by which it
must have been reset is computed from the last advance of its own record that
this host noticed, and nobody is dropped before that instant has passed and
one more good reading shows no new advance.  A host that gives new signs for
too long is not dropped: it stays, and another walk follows.

Source: spec 5, "Fault handler"; the steps are in ``faultsteps``, the instants in ``timing``,
the guard in ``lifesigns``.
"""

from typing import Callable, Dict, List, Optional, Tuple

from xha import lifesigns, startfacts, timing
from xha.domains import Domains
from xha.faultsteps import MEETINGS, TAKES_UP, Meeting, Step
from xha.fencing import Fencing
from xha.hostset import EMPTY, HostSet
from xha.liveset import Picture, Verdict, merge, survival_test, views_agree
from xha.published import NEVER, Phase
from xha.view import View


class FaultHandling:
    """One host's side of the walk."""

    __slots__ = ("_view", "_domains", "_fencing", "_step", "_entered_at_ms", "_picture",
                 "_decided_at_ms", "_began_at_ms", "_extended", "_wait_until_ms", "_guards",
                 "_said", "_walkers", "_walked", "_newcomer_until_ms", "_views", "_news_at_ms")

    def __init__(self, view: View, domains: Domains, fencing: Fencing) -> None:
        self._view = view
        self._domains = domains
        self._fencing = fencing
        self._step = Step.IDLE
        self._entered_at_ms = NEVER
        self._began_at_ms = NEVER
        # Who is waited for and judged: the members when the walk began, and who is lost since.
        self._walkers = EMPTY
        # Whether this host has been through one.
        self._walked = False
        # Until then at most this host waits for the end of a walk that it is not in.
        self._newcomer_until_ms = NEVER
        self._picture = None  # type: Optional[Picture]
        # Whom each member says on either path that it hears, and when that last changed.
        self._views = []  # type: List[Tuple[HostSet, HostSet]]
        self._news_at_ms = NEVER
        # Instant at which the rendezvous of FH3 was complete.
        self._decided_at_ms = NEVER
        self._extended = False
        self._wait_until_ms = NEVER
        # Hosts whose signs of life during the wait were logged.
        self._said = EMPTY
        self._guards = {
            Step.STABLE: self._stable,
            Step.CONSISTENT: self._consistent,
            Step.WAIT: self._wait,
        }  # type: Dict[Step, Callable[[int], Optional[Step]]]

    def step(self, now_ms: int, summoned: bool) -> None:
        """Start a walk if one is due; go as far as the facts allow.

        Args:
            summoned: a heartbeat in phase FHREADY arrived from a host of the liveset.
        """
        view = self._view
        if self._step is Step.IDLE:
            if view.phase is not Phase.STARTED or not (view.loss_pending or summoned):
                return
            if self._came_in_late(now_ms):
                view.waiting_for = "the end of a fault handler that began without this host"
                return
            self._begin(now_ms)
        while not view.ended and self._step is not Step.IDLE:
            if self._step in TAKES_UP:
                view.loss_pending = False
            meeting = MEETINGS.get(self._step)
            following = (self._meet(now_ms, meeting) if meeting
                         else self._guards[self._step](now_ms))
            if following is None:
                break
            self._go(now_ms, following)
        view.waiting_for = self._step.value

    # ---- moving

    def _came_in_late(self, now_ms: int) -> bool:
        """Whether others are in a walk that began before this host came in."""
        view = self._view
        if self._walked:
            return False
        if self._newcomer_until_ms == NEVER:
            self._newcomer_until_ms = now_ms + timing.walk_bound_ms(view.common)
        if not self._ahead(view.liveset, Phase.FH1) or now_ms >= self._newcomer_until_ms:
            return False
        view.wake(self._newcomer_until_ms)
        return True

    def _left_behind(self, meeting: Meeting) -> bool:
        """Whether others go on without waiting for this host: it came in too late for them."""
        return (not self._walked and self._step in (Step.READY_ENTER, Step.READY_LEAVE)
                and bool(self._ahead(self._walkers, max(meeting.accepted))))

    def _ahead(self, hosts: HostSet, phase: Phase) -> HostSet:
        """Those of these hosts that are heard, and in a later phase."""
        beats = [(host, self._view.peers[host].heartbeat)
                 for host in (hosts & self._view.heartbeat_domain).minus(self._view.me)]
        return HostSet(host for host, beat in beats if beat is not None and beat.phase > phase)

    def _begin(self, now_ms: int) -> None:
        view = self._view
        on_their_way = HostSet(
            host for host in (view.liveset & view.heartbeat_domain).minus(view.me)
            if not startfacts.is_member(view.peers[host]))
        self._walkers = view.liveset - on_their_way
        lost = view.liveset - view.heartbeat_domain
        stale = EMPTY if view.sr2 else view.liveset - view.statefile_domain
        view.log("fh-started", reason=(
            "hosts not heard ({}), hosts whose State-File record does not advance ({})".format(
                view.picture(lost), view.picture(stale))
            if lost | stale else "another host has started it"))
        self._began_at_ms = now_ms
        view.join_blocked = True
        self._extended = False
        self._picture = None
        self._said = EMPTY
        view.set_accelerate("fault-handler", True)
        self._go(now_ms, Step.READY_ENTER)

    def _go(self, now_ms: int, following: Step) -> None:
        view = self._view
        if following is Step.CONDEMN_ENTER:
            self._decided_at_ms = now_ms
            self._decide(now_ms)
            if view.ended:
                return
        if following is Step.DECIDE_ENTER:
            view.set_accelerate("fault-handler", False)
        if following is Step.WAIT:
            self._begin_wait(now_ms)
        if following is Step.IDLE:
            self._finish(now_ms)
        self._step = following
        self._entered_at_ms = now_ms
        meeting = MEETINGS.get(following)
        if meeting is not None:
            view.enter(meeting.publish)

    def _finish(self, now_ms: int) -> None:
        view = self._view
        through = self._step is Step.FINISH_LEAVE
        self._walked = self._walked or through
        view.join_blocked = False
        view.frozen = False
        view.set_accelerate("fault-handler", False)
        view.enter(Phase.STARTED)
        # Who came in later was not judged; who leaves a walk has judged nobody.
        judged = self._walkers if through else EMPTY
        view.loss_pending = (not view.sees(view.liveset - judged)
                             or view.loss_pending and not view.sees(view.liveset))
        view.log("fh-ended", ms=now_ms - self._began_at_ms,
                 liveset=view.picture(view.liveset))

    # ---- rendezvous

    def _meet(self, now_ms: int, meeting: Meeting) -> Optional[Step]:
        """One wait of a rendezvous; hosts that do not come in time are taken out."""
        view = self._view
        if now_ms <= self._entered_at_ms:
            # A phase is sent before it is left: who sees nobody would otherwise be through with
            # FHREADY before anybody was told of it.
            view.wake(now_ms + 1)
            return None
        if self._left_behind(meeting):
            return Step.IDLE
        late = False
        walkers = view.liveset & self._walkers
        if not self._walked and meeting.publish is not Phase.STARTED:
            walkers -= self._ahead(walkers, max(meeting.accepted))
        for host in (walkers & view.heartbeat_domain).minus(view.me):
            heartbeat = view.peers[host].heartbeat
            if heartbeat is None or heartbeat.phase in meeting.accepted:
                continue
            if self._stuck(now_ms, host, heartbeat.phase):
                self._domains.expel_heard(host)
            else:
                late = True
        if meeting.on_statefile:
            for host in (walkers & view.statefile_domain).minus(view.me):
                content = view.peers[host].record
                if content is None or content.phase in meeting.accepted:
                    continue
                if self._stuck(now_ms, host, content.phase):
                    self._domains.expel_advancing(host)
                else:
                    late = True
        if late or (meeting is MEETINGS[Step.DECIDE_LEAVE] and not view.settled):
            return None
        return meeting.following

    def _stuck(self, now_ms: int, host: int, phase: Phase) -> bool:
        """Whether a host that is awaited has had longer than any healthy one needs."""
        until_ms = self._entered_at_ms + timing.rendezvous_bound_ms(self._view.common, phase)
        if now_ms < until_ms:
            self._view.wake(until_ms)
            return False
        if not self._view.settled:
            return False
        self._view.log("fh-host-stuck", host=host, phase=phase.name)
        return True

    # ---- step 1: stable

    def _stable(self, now_ms: int) -> Optional[Step]:
        view = self._view
        since_ms = self._entered_at_ms
        heard_after_ms = min(since_ms, now_ms - timing.stable_heartbeat_ms(view.common))
        for host in view.heartbeat_domain.minus(view.me):
            if view.peers[host].heard_at_ms < heard_after_ms:
                return None
        read_after_ms = min(since_ms, now_ms - timing.stable_statefile_ms(view.common))
        for host in view.statefile_domain:
            if view.peers[host].advanced_at_ms < read_after_ms:
                return None
        if view.committed_weight != view.weight:
            view.committed_weight = view.weight
            view.log("weight-committed", weight=view.weight)
        return Step.EXCHANGE_ENTER

    # ---- step 2: a consistent view

    def _consistent(self, now_ms: int) -> Optional[Step]:
        view = self._view
        if not view.settled:
            return None
        # Who was on its way in and is not heard any more is judged like any that is lost.
        self._walkers |= view.liveset - view.heartbeat_domain
        picture = startfacts.picture_of(view)._replace(liveset=view.liveset & self._walkers)
        agreed = views_agree(picture)
        views = [(picture.heartbeat_on_heartbeat[host] & picture.liveset,
                  picture.heartbeat_on_statefile[host] & picture.liveset)
                 for host in picture.liveset]
        if views != self._views:
            self._views, self._news_at_ms = views, now_ms
        until_ms = timing.merge_at_ms(view.common, self._entered_at_ms, self._news_at_ms)
        if not agreed and now_ms < until_ms:
            view.wake(until_ms)
            return None
        if not agreed:
            picture = merge(picture)
            view.log("fh-views-differ", ms=now_ms - self._entered_at_ms)
        view.log("fh-views-agree", heartbeat=view.picture(picture.heartbeat_domain),
                 statefile=view.picture(picture.statefile_domain))
        self._picture = picture
        view.frozen = True
        return Step.DECIDE_ENTER

    # ---- step 3: the survival test

    def _decide(self, now_ms: int) -> None:
        view = self._view
        picture = self._picture
        assert picture is not None
        verdict = survival_test(picture)
        if not view.armed:
            return
        if verdict is Verdict.FENCE:
            self._fencing.fence(
                now_ms, "no-survival-rule",
                "no survival rule applies: heard {}, State-File {}, liveset {}".format(
                    view.picture(picture.heartbeat_domain),
                    view.picture(picture.statefile_domain), view.picture(view.liveset)))
            return
        keep = picture.heartbeat_domain
        if verdict is Verdict.ALL_LOST_STATEFILE:
            view.set_sr2(now_ms, True)
            view.log("surviving-by-rule-2", liveset=view.picture(view.liveset & keep))
        else:
            keep = keep & picture.statefile_domain
            # Who survives by rule 1 has the State-File; rule 2, whose end waits for hosts that
            # are being dropped, would never end.
            view.set_sr2(now_ms, False)
            view.log("surviving-by-rule-1", liveset=view.picture(view.liveset & keep))
        condemned = (view.liveset & self._walkers) - keep
        for host in condemned:
            self._extended = self._extended or lifesigns.seen_lately(view, now_ms, host)
        view.set_liveset(view.liveset, view.proposed - condemned)
        self._domains.expel(condemned)

    # ---- step 4: wait out the dead

    def _begin_wait(self, now_ms: int) -> None:
        view = self._view
        wait_ms = timing.dead_wait_ms(view.common, now_ms - self._decided_at_ms, self._extended)
        self._wait_until_ms = now_ms + wait_ms
        condemned = self._condemned()
        if condemned:
            view.log("fence-requested", dropped=view.picture(condemned))
            view.log("fh-waiting", ms=wait_ms, dropped=view.picture(condemned))
            view.fence_request = True
            view.burst()

    def _condemned(self) -> HostSet:
        view = self._view
        return view.liveset - view.proposed if view.armed else EMPTY

    def _wait(self, now_ms: int) -> Optional[Step]:
        view = self._view
        if not self._condemned():
            return self._end_wait()
        if now_ms < self._wait_until_ms:
            view.wake(self._wait_until_ms)
            return None
        if view.me not in view.statefile_domain and not view.sr2:
            # No reading can prove anything any more; the next walk decides about us.
            self._spare(self._condemned())
            return self._end_wait()
        limit_ms = self._wait_until_ms + timing.standard_wait_ms(view.common)
        certain_ms = self._wait_until_ms
        for host in self._condemned():
            until_ms = lifesigns.uncertain_until_ms(view, view.peers[host])
            if until_ms > limit_ms:
                self._spare(HostSet([host]))
            else:
                certain_ms = max(certain_ms, until_ms)
        if not self._condemned():
            return self._end_wait()
        if now_ms < certain_ms:
            self._say_waiting(now_ms, certain_ms)
            view.wake(certain_ms)
            return None
        if not view.settled:
            return None
        if not view.sr2 and view.reading_issued_at_ms < certain_ms:
            view.set_accelerate("drop", True)
            return None
        dropped = self._condemned()
        for host in dropped:
            disarmed = lifesigns.is_disarmed(view.peers[host])
            view.log("disarmed-host-dropped" if disarmed else "host-dropped", host=host)
        view.set_liveset(view.liveset & view.proposed, view.proposed)
        return self._end_wait()

    def _say_waiting(self, now_ms: int, certain_ms: int) -> None:
        """Say once for each host that new signs of it make the wait longer."""
        view = self._view
        for host in self._condemned() - self._said:
            if lifesigns.uncertain_until_ms(view, view.peers[host]) > self._wait_until_ms:
                self._said = self._said.plus(host)
                view.log("fh-sign-of-life", host=host, ms=certain_ms - now_ms)

    def _end_wait(self) -> Step:
        self._view.set_accelerate("drop", False)
        self._view.fence_request = False
        return Step.FINISH_ENTER

    def _spare(self, hosts: HostSet) -> None:
        """Do not drop hosts that cannot be proven dead; another walk follows."""
        view = self._view
        for host in hosts:
            view.log("fh-host-kept", host=host)
        view.set_liveset(view.liveset, view.proposed | hosts)
        view.loss_pending = True
