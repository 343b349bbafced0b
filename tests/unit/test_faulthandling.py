"""The fault handler's walk, step by step.  Source: spec 5, "Fault handler".

Host 0 of three is me; host 2 is the one that is lost, if nothing else is said.  t = 1 s,
T1 = T2 = 5 s, Wh = 5 s, Ws = 8 s: standard wait 8 - 5 + 1 = 4 s, at least 10 s.
"""

import pytest
from core_samples import (
    EMPTY, heartbeat, heartbeat_seal, host_record, hosts, names_of, of_kind, view_of)

from xha import actions
from xha.domains import Domains
from xha.echoes import Echoes
from xha.faulthandling import FaultHandling
from xha.faultsteps import MEETINGS, Step
from xha.fencing import Fencing
from xha.published import NEVER, FencingMode, Phase

ALL = hosts(0, 1, 2)
PAIR = hosts(0, 1)
START_MS = 100000


class Bench:
    """The fault handler of host 0; the others are played by the test."""

    def __init__(self, lost=hosts(2), count=3, **facts):
        facts.setdefault("heartbeat_domain", ALL - lost)
        facts.setdefault("statefile_domain", ALL - lost)
        self.view = view_of(count, **facts)
        self.view.loss_pending = True
        self.domains = Domains(self.view)
        self.faults = FaultHandling(self.view, self.domains, Fencing(self.view, Echoes(self.view)))
        self.now_ms = START_MS
        for host in range(1, count):
            self.say(host, Phase.STARTED)
        for peer in self.view.peers:
            seen = peer.index not in lost
            peer.heard_at_ms = peer.advanced_at_ms = START_MS - (100 if seen else 5000)
            peer.own_member_at_ms = peer.heard_at_ms
        self.view.reading_issued_at_ms = START_MS

    def say(self, host, phase, on_statefile=None, **domains):
        """What another host publishes: its phase, and what it sees (what I see, if not said)."""
        domains.setdefault("heartbeat_domain", self.view.heartbeat_domain)
        domains.setdefault("statefile_domain", self.view.statefile_domain)
        peer = self.view.peers[host]
        peer.heartbeat = heartbeat(host, phase=phase, **domains)
        peer.record = host_record(host, phase=phase if on_statefile is None else on_statefile,
                                  **domains)
        return self

    def step(self, ms=10, summoned=False):
        self.now_ms += ms
        self.view.wake_at_ms = NEVER
        self.faults.step(self.now_ms, summoned)
        return self

    @property
    def at(self):
        return self.faults._step

    def follow(self, phase):
        """All who are seen reach ``phase``, freshly seen; I go as far as that lets me."""
        for host in (self.view.heartbeat_domain | self.view.statefile_domain).minus(0):
            self.say(host, phase)
        for peer in self.view.peers:
            if peer.index in self.view.heartbeat_domain:
                peer.heard_at_ms = peer.own_member_at_ms = self.now_ms
            if peer.index in self.view.statefile_domain:
                peer.advanced_at_ms = self.now_ms
        self.view.reading_issued_at_ms = self.now_ms
        for _ in range(4):
            self.step(1)
        return self

    def walk(self, until):
        """Walk with the others until I am at a step."""
        self.step()
        for phase in (Phase.FHREADY, Phase.FH1, Phase.FH1DONE, Phase.FH2, Phase.FH2DONE,
                      Phase.FH3, Phase.FH3DONE, Phase.FH4, Phase.FH4DONE, Phase.STARTED):
            if self.at is until:
                break
            self.follow(phase)
            if self.at is Step.WAIT and until is not Step.WAIT:
                self.view.reading_issued_at_ms = self.now_ms + 20000
                self.step(20000)
        assert self.at is until, self.at
        return self


# ---- how it starts


def test_it_starts_with_a_loss():
    bench = Bench().step()
    assert bench.at is Step.READY_ENTER
    assert bench.view.phase is Phase.FHREADY
    assert bench.view.join_blocked
    assert bench.view.burst_wanted


def test_it_starts_when_another_host_has_started_it():
    bench = Bench(lost=EMPTY)
    bench.view.loss_pending = False
    assert bench.step().at is Step.IDLE
    assert bench.step(summoned=True).at is Step.READY_ENTER


@pytest.mark.parametrize("phase", [Phase.STARTING, Phase.ABORTED])
def test_it_does_not_start_before_online(phase):
    assert Bench(phase=phase).step(summoned=True).at is Step.IDLE


def test_a_phase_is_published_before_it_is_left():
    """Who sees nobody would be through with FHREADY before anybody was told of it."""
    bench = Bench(lost=hosts(1, 2))
    phases = [bench.step(0).view.phase]
    for _ in range(4):
        assert bench.step(0).view.phase is phases[-1]
        phases.append(bench.step(1).view.phase)
    assert phases == [Phase.FHREADY, Phase.FH1, Phase.FH1DONE, Phase.FH2, Phase.FH2DONE]


# ---- rendezvous


WAITS = [(step, meeting) for step, meeting in MEETINGS.items()]


def test_each_rendezvous_is_two_waits_of_adjacent_phases():
    """Rendezvous(a, b, c): publish a until all are in a or b; publish b until all in b or c."""
    assert [(meeting.publish, max(meeting.accepted - {meeting.publish}, key=lambda phase: phase))
            for _, meeting in WAITS] == [
        (Phase.FHREADY, Phase.FH1), (Phase.FH1, Phase.FH1DONE),
        (Phase.FH1DONE, Phase.FH2), (Phase.FH2, Phase.FH2DONE),
        (Phase.FH2DONE, Phase.FH3), (Phase.FH3, Phase.FH3DONE),
        (Phase.FH3DONE, Phase.FH4), (Phase.FH4, Phase.FH4DONE),
        (Phase.FH4DONE, Phase.STARTED), (Phase.STARTED, Phase.FHREADY)]


def test_only_the_exchange_of_views_is_held_on_the_statefile_too():
    assert [step for step, meeting in WAITS if meeting.on_statefile] == [
        Step.EXCHANGE_ENTER, Step.EXCHANGE_LEAVE]


def test_it_waits_for_every_member_that_is_heard():
    bench = Bench().step().step()
    assert bench.at is Step.READY_ENTER
    bench.say(1, Phase.FHREADY)
    assert bench.step().at is Step.READY_LEAVE


def test_it_does_not_wait_for_a_host_that_is_not_heard_or_no_member():
    for facts in (dict(lost=hosts(1, 2)), dict(lost=hosts(2), liveset=hosts(0, 2))):
        assert Bench(**facts).step().step().at is not Step.READY_ENTER, facts


def test_on_the_statefile_it_waits_for_every_member_that_advances():
    bench = Bench().walk(Step.EXCHANGE_ENTER)
    bench.say(1, Phase.FH2, on_statefile=Phase.FH1)
    assert bench.step().at is Step.EXCHANGE_ENTER
    bench.say(1, Phase.FH2)
    assert bench.step().at is Step.EXCHANGE_LEAVE


def test_a_member_that_advances_but_is_not_heard_is_waited_for_there():
    bench = Bench(lost=EMPTY, heartbeat_domain=hosts(0)).step()
    for _ in range(4):
        bench.step(1)
    assert bench.at is Step.EXCHANGE_ENTER


STUCK = [
    (Phase.STARTED, 10000, "max(T1,T2) to hear of it, and as long as it may stay there"),
    (Phase.STARTING, 7000, "a phase that a healthy member leaves within 2 x max(t1,t2)"),
]


@pytest.mark.parametrize("phase, bound_ms, why", STUCK, ids=[row[-1] for row in STUCK])
def test_a_host_that_is_heard_but_does_not_come_is_waited_for_no_longer_than(
        phase, bound_ms, why):
    bench = Bench().step()
    bench.say(1, phase)
    bench.step(bound_ms - 1)
    assert bench.at is Step.READY_ENTER and 1 in bench.view.heartbeat_domain
    assert bench.view.wake_at_ms == START_MS + 10 + bound_ms
    bench.step(1)
    assert 1 not in bench.view.heartbeat_domain
    assert "fh-host-stuck" in names_of(bench.view.out)


def test_a_host_whose_record_does_not_come_is_taken_out_of_the_statefile_domain():
    """Spec 14, 6: heartbeats go on, the record stops; the original waits for ever."""
    bench = Bench().walk(Step.EXCHANGE_ENTER)
    bench.say(1, Phase.FH2, on_statefile=Phase.FH1)
    bench.step(20000)
    assert 1 in bench.view.heartbeat_domain
    assert 1 not in bench.view.statefile_domain


@pytest.mark.parametrize("step", [step for step, _ in WAITS], ids=lambda step: step.name)
def test_no_rendezvous_waits_for_ever(step):
    """Whatever a host that is seen says, the walk ends."""
    bench = Bench().walk(step)
    for phase in Phase:
        bench.say(1, phase)
    bench.say(1, Phase.ABORTED)
    for _ in range(10):
        bench.view.reading_issued_at_ms = bench.now_ms
        bench.step(20000)
    assert bench.at is not step


# ---- step 1: stable


def test_it_waits_until_everybody_was_heard_and_advanced_lately_or_since():
    """Each host of HB within T1/4, of SF within T2/4, or since the wait began."""
    for path in ("heard_at_ms", "advanced_at_ms"):
        bench = Bench().step()
        bench.say(1, Phase.FHREADY)
        setattr(bench.view.peers[1], path, bench.now_ms - 1300)
        bench.step(1)
        bench.say(1, Phase.FH1DONE)
        bench.step(1).step(1)
        assert bench.at is Step.STABLE, path
        setattr(bench.view.peers[1], path, bench.now_ms)
        assert bench.step(1).at is Step.EXCHANGE_ENTER, path


def test_the_weight_is_committed_when_all_is_stable():
    bench = Bench(weight=5)
    assert bench.view.committed_weight == 1
    bench.walk(Step.EXCHANGE_ENTER)
    assert bench.view.committed_weight == 5


# ---- step 2: a consistent view


def test_views_that_agree_are_frozen_at_once():
    bench = Bench().walk(Step.DECIDE_ENTER)
    assert "fh-views-differ" not in names_of(bench.view.out)
    assert bench.faults._picture.heartbeat_domain == PAIR


DIFFERENT = [
    (dict(heartbeat_domain=ALL), "whom it hears"),
    (dict(statefile_domain=ALL), "whom it sees"),
]


@pytest.mark.parametrize("domains, what", DIFFERENT, ids=[row[-1] for row in DIFFERENT])
def test_views_that_differ_are_waited_for_at_most_the_longer_timeout_then_merged(domains, what):
    bench = Bench().walk(Step.EXCHANGE_LEAVE)
    bench.say(1, Phase.FH2DONE, **domains)
    bench.step(1)
    assert bench.at is Step.CONSISTENT
    began_ms = bench.now_ms
    bench.step(4999)
    assert bench.at is Step.CONSISTENT
    assert bench.view.wake_at_ms == began_ms + 5000
    bench.step(1)
    assert bench.at is Step.DECIDE_ENTER
    assert "fh-views-differ" in names_of(bench.view.out)


LATE = [
    (dict(lost=hosts(1)), "I hear one less"),
    (dict(on_heartbeat=hosts(1)), "another says so in a heartbeat"),
    (dict(on_statefile=hosts(1)), "another says so on the State-File"),
]


@pytest.mark.parametrize("news, what", LATE, ids=[row[-1] for row in LATE])
def test_views_that_change_late_are_given_time_to_reach_everybody(news, what):
    """Story 134: who merged fresh views with stale ones took a healthy host for cut off."""
    bench = Bench().walk(Step.EXCHANGE_LEAVE)
    bench.say(1, Phase.FH2DONE, heartbeat_domain=ALL)
    bench.step(1).step(4900)
    peer = bench.view.peers[1]
    if "lost" in news:
        bench.view.heartbeat_domain -= news["lost"]
    if "on_heartbeat" in news:
        peer.heartbeat = peer.heartbeat._replace(heartbeat_domain=news["on_heartbeat"])
    if "on_statefile" in news:
        peer.record = peer.record._replace(heartbeat_domain=news["on_statefile"])
    bench.step(50).step(1999)
    assert bench.at is Step.CONSISTENT
    assert bench.step(1).at is Step.DECIDE_ENTER


def test_news_of_hosts_outside_the_liveset_do_not_make_the_merge_wait():
    bench = Bench(lost=EMPTY, liveset=PAIR, proposed=PAIR).walk(Step.EXCHANGE_LEAVE)
    bench.say(1, Phase.FH2DONE, heartbeat_domain=hosts(1))
    bench.step(1).step(4950)
    bench.say(2, Phase.STARTING, heartbeat_domain=hosts(2))
    assert bench.step(50).at is Step.DECIDE_ENTER


def test_hosts_outside_the_liveset_do_not_make_views_differ():
    """All sets are cut to L."""
    bench = Bench(lost=EMPTY, liveset=PAIR, proposed=PAIR).walk(Step.EXCHANGE_LEAVE)
    bench.say(1, Phase.FH2DONE, heartbeat_domain=PAIR, statefile_domain=ALL)
    bench.step(1)
    assert bench.step(1).at is not Step.CONSISTENT


def test_a_loss_before_the_picture_is_frozen_is_taken_up_by_this_run():
    bench = Bench().walk(Step.EXCHANGE_LEAVE)
    bench.view.loss_pending = True
    bench.follow(Phase.FH2DONE)
    assert not bench.view.loss_pending


def test_a_later_loss_is_left_to_another_run():
    bench = Bench().walk(Step.DECIDE_LEAVE)
    bench.view.loss_pending = True
    bench.step()
    assert bench.view.loss_pending


def test_the_decision_reads_the_picture_only():
    """Live domains that shrink after the freeze change nothing in this run."""
    bench = Bench().walk(Step.DECIDE_LEAVE)
    bench.view.heartbeat_domain = bench.view.statefile_domain = hosts(0)
    bench.view.loss_pending = True
    bench.step()
    assert bench.view.proposed == PAIR, "1 was in the picture"


def test_nothing_is_decided_while_a_gap_is_digested():
    bench = Bench().walk(Step.DECIDE_LEAVE)
    bench.view.settled = False
    bench.say(1, Phase.FH3DONE)
    assert bench.step().step().at is Step.DECIDE_LEAVE
    bench.view.settled = True
    assert bench.step().at is not Step.DECIDE_LEAVE


# ---- step 3: the survival test


def test_a_survivor_takes_the_lost_out_of_its_proposal_and_domains():
    bench = Bench(lost=EMPTY, heartbeat_domain=PAIR).walk(Step.DECIDE_ENTER)
    bench.follow(Phase.FH3)
    bench.follow(Phase.FH3DONE)
    assert bench.view.proposed == PAIR
    assert bench.view.statefile_domain == PAIR, "2 advanced, and is out by decision"
    assert bench.view.liveset == ALL, "it is not dropped yet"


def test_who_does_not_survive_fences_itself():
    bench = Bench(lost=EMPTY, heartbeat_domain=hosts(0))
    bench.step()
    while not bench.view.ended and bench.now_ms < START_MS + 60000:
        for host in (1, 2):
            bench.say(host, bench.view.phase, heartbeat_domain=hosts(1, 2), statefile_domain=ALL)
            bench.view.peers[host].advanced_at_ms = bench.now_ms
        bench.view.peers[0].advanced_at_ms = bench.now_ms
        bench.step(100)
    (end,) = of_kind(bench.view.out, actions.SelfFence)
    assert end.words.code == "no-survival-rule"


def test_rule_2_is_declared_by_those_who_survive_by_it():
    bench = Bench(lost=EMPTY, statefile_domain=EMPTY, statefile_access=False)
    bench.walk(Step.DECIDE_LEAVE)
    bench.follow(Phase.FH3DONE)
    assert bench.view.sr2
    assert bench.view.proposed == ALL


def test_with_fencing_disarmed_the_run_takes_place_but_changes_nothing():
    bench = Bench(fencing=FencingMode.DISARMED).walk(Step.FINISH_LEAVE)
    bench.follow(Phase.STARTED)
    assert bench.at is Step.IDLE
    assert bench.view.liveset == bench.view.proposed == ALL
    assert not bench.view.fence_request


# ---- step 4: wait out the dead


def waiting(**facts):
    """A host that waits for the certain death of host 2, which it has put out."""
    return Bench(**facts).walk(Step.WAIT)


def test_the_fence_request_is_set_while_it_waits_and_then_cleared():
    bench = waiting()
    assert bench.view.fence_request
    for _ in range(11):
        bench.step(1000)
        bench.view.reading_issued_at_ms = bench.now_ms
    bench.step(1)
    assert bench.view.liveset == PAIR
    assert not bench.view.fence_request


def test_it_waits_at_least_ten_seconds():
    bench = waiting()
    began_ms = bench.faults._entered_at_ms
    bench.view.reading_issued_at_ms = began_ms + 10000
    bench.step(began_ms + 9999 - bench.now_ms)
    assert bench.view.liveset == ALL
    bench.step(1)
    assert bench.view.liveset == PAIR


def test_it_is_dropped_only_after_a_reading_issued_after_that_instant():
    bench = waiting()
    began_ms = bench.faults._entered_at_ms
    bench.view.reading_issued_at_ms = began_ms + 9999
    bench.step(began_ms + 12000 - bench.now_ms)
    assert bench.view.liveset == ALL
    assert "drop" in bench.view.accelerate_reasons
    bench.view.reading_issued_at_ms = began_ms + 10000
    assert bench.step(1).view.liveset == PAIR


def test_under_rule_2_there_is_no_reading_to_wait_for():
    """An excluded host that is not heard is dropped under rule 2, too."""
    bench = Bench(lost=EMPTY, heartbeat_domain=PAIR, statefile_domain=EMPTY,
                  statefile_access=False)
    bench.view.peers[2].record = host_record(2, excluded=True)
    bench.view.peers[2].heard_at_ms = bench.view.peers[2].own_member_at_ms = START_MS - 5000
    bench.view.peers[2].advanced_at_ms = START_MS - 9000
    bench.walk(Step.WAIT)
    assert bench.view.sr2
    bench.view.reading_issued_at_ms = START_MS
    bench.step(10000)
    assert bench.view.liveset == PAIR


def test_new_signs_of_life_make_it_wait_until_they_bound_the_host():
    """The sign-of-life guard: n + Ws + drift + reset, from the last advance noticed."""
    bench = waiting()
    began_ms = bench.faults._entered_at_ms
    noticed_ms = began_ms + 3000
    bench.view.peers[2].advanced_at_ms = noticed_ms
    bench.view.reading_issued_at_ms = noticed_ms + 8108
    bench.step(noticed_ms + 8107 - bench.now_ms)
    assert bench.view.liveset == ALL
    assert "fh-sign-of-life" in names_of(bench.view.out)
    bench.step(1)
    assert bench.view.liveset == PAIR


def test_a_host_that_lives_on_is_not_dropped_and_another_run_follows():
    """Two sides that each believe they won must never both go on."""
    bench = waiting()
    began_ms = bench.faults._entered_at_ms
    bench.view.peers[2].advanced_at_ms = began_ms + 9000
    bench.step(began_ms + 10000 - bench.now_ms)
    assert bench.view.liveset == bench.view.proposed == ALL
    assert bench.view.loss_pending
    assert not bench.view.fence_request
    assert "fh-host-kept" in names_of(bench.view.out)


def test_it_alone_stays_the_others_are_dropped():
    bench = Bench(lost=hosts(1, 2)).walk(Step.WAIT)
    began_ms = bench.faults._entered_at_ms
    bench.view.peers[2].advanced_at_ms = began_ms + 9000
    bench.view.reading_issued_at_ms = began_ms + 10001
    bench.step(began_ms + 10001 - bench.now_ms)
    assert bench.view.liveset == hosts(0, 2)


def test_a_host_that_lost_the_statefile_itself_drops_nobody():
    """No reading can prove anything any more; the next run decides about it."""
    bench = waiting()
    bench.view.statefile_domain = EMPTY
    bench.step(30000)
    assert bench.view.liveset == bench.view.proposed == ALL
    assert bench.view.loss_pending


def test_a_host_that_disarms_while_it_waits_drops_nobody():
    bench = waiting()
    bench.view.fencing = FencingMode.DISARMED
    bench.step(30000)
    assert bench.view.liveset == ALL


def test_nobody_is_dropped_while_a_gap_is_digested():
    bench = waiting()
    bench.view.settled = False
    bench.view.reading_issued_at_ms = bench.now_ms + 20000
    assert bench.step(20000).view.liveset == ALL
    bench.view.settled = True
    assert bench.step(1).view.liveset == PAIR


def test_a_disarmed_host_is_dropped_after_the_standard_wait_whatever_it_does():
    bench = waiting()
    bench.view.peers[2].heartbeat = heartbeat(
        2, seal=heartbeat_seal(fencing=FencingMode.DISARMED))
    bench.view.peers[2].advanced_at_ms = bench.now_ms + 9000
    bench.view.reading_issued_at_ms = bench.now_ms + 10000
    assert bench.step(10000).view.liveset == PAIR


def test_when_nobody_is_lost_there_is_nothing_to_wait_for():
    bench = Bench(lost=EMPTY).walk(Step.FINISH_LEAVE)
    assert not bench.view.fence_request


def test_it_ends_online_with_joining_allowed():
    bench = waiting()
    bench.walk(Step.FINISH_LEAVE).follow(Phase.STARTED)
    assert bench.at is Step.IDLE
    assert bench.view.phase is Phase.STARTED
    assert not bench.view.join_blocked
    assert not bench.view.loss_pending
    assert not bench.view.accelerate_reasons


# ---- who comes in while others walk


def test_it_neither_waits_for_nor_judges_a_host_that_is_on_its_way_in():
    """It is let in, but has not said that it knows; it may be waiting for a word of one of us."""
    seen = hosts(0, 1, 3)
    bench = Bench(count=4, heartbeat_domain=seen, statefile_domain=seen)
    bench.say(3, Phase.STARTING, current_liveset=hosts(0, 1, 2)).step()
    bench.say(1, Phase.FHREADY).step().step()
    assert bench.at is Step.READY_LEAVE, "host 3 is in no phase of a walk"


def test_a_host_that_came_in_and_is_lost_before_the_views_agree_is_judged():
    """Left to another run, it would keep every host out that starts meanwhile."""
    seen = hosts(0, 1, 3)
    bench = Bench(count=4, heartbeat_domain=seen, statefile_domain=seen)
    bench.say(3, Phase.STARTING, current_liveset=hosts(0, 1, 2)).step()
    bench.view.heartbeat_domain = bench.view.statefile_domain = PAIR
    bench.walk(Step.WAIT)
    assert bench.view.liveset - bench.view.proposed == hosts(2, 3)


@pytest.mark.parametrize("phase, begins", [
    (Phase.FHREADY, True), (Phase.FH1, True), (Phase.FH1DONE, False), (Phase.FH3, False),
])
def test_a_newcomer_begins_no_run_that_others_are_far_in(phase, begins):
    bench = Bench()
    bench.say(1, phase).step()
    assert (bench.at is Step.READY_ENTER) is begins
    if not begins:
        bench.say(1, Phase.STARTED).step()
        assert bench.at is Step.READY_ENTER, "they are through"


def test_a_newcomer_waits_for_a_run_of_others_not_for_ever():
    bench = Bench()
    bench.say(1, Phase.FH2).step()
    wake_ms = bench.view.wake_at_ms
    assert bench.step(wake_ms - bench.now_ms - 1).at is Step.IDLE
    assert bench.step(1).at is Step.READY_ENTER


class Four(Bench):
    """Hosts 1 and 3 are well, and say that all four are members."""

    def __init__(self):
        super().__init__(count=4, heartbeat_domain=hosts(0, 1, 3),
                         statefile_domain=hosts(0, 1, 3))

    def say(self, host, phase, on_statefile=None, **domains):
        return super().say(host, phase, on_statefile, current_liveset=hosts(0, 1, 2, 3),
                           **domains)


def test_a_newcomer_does_not_wait_for_who_went_on_without_it_in_a_run_that_others_share():
    """Let in just as host 1 began: host 3 counts me and host 1 does not, and both are well."""
    bench = Four().step().follow(Phase.FH1).follow(Phase.FH1DONE)
    bench.say(1, Phase.FH3).say(3, Phase.FH1DONE).step()
    assert bench.at is Step.EXCHANGE_LEAVE, "host 3 is waited for"
    bench.say(3, Phase.FH2).step(1).step(1).step(1)
    assert bench.at is Step.DECIDE_ENTER
    bench.say(1, Phase.FH4DONE).say(3, Phase.FH3).step(1).step(1)
    assert bench.at is Step.CONDEMN_ENTER
    assert bench.view.heartbeat_domain == hosts(0, 1, 3) == bench.view.proposed


def test_who_has_walked_before_waits_for_all():
    """It was a member before the run began, so all count it: who seems ahead is ill."""
    bench = Four()
    bench.faults._walked = True
    bench.step().follow(Phase.FH1).follow(Phase.FH1DONE)
    bench.say(1, Phase.FH3).say(3, Phase.FH2).step(1).step(1).step(1)
    assert bench.at is Step.EXCHANGE_LEAVE


def test_a_newcomer_leaves_a_run_that_does_not_wait_for_it():
    bench = Bench().step()
    bench.say(1, Phase.FH2).step()
    assert bench.at is Step.IDLE
    assert bench.view.phase is Phase.STARTED
    assert not bench.view.join_blocked and not bench.view.accelerate_reasons
    assert bench.view.loss_pending, "its own loss is still to be handled"
    bench.say(1, Phase.STARTED).step()
    assert bench.at is Step.READY_ENTER
