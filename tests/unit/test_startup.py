"""Starting: listening, the start criteria, forming, joining.  Source: spec 5, "Starting".

Host 0 of three is me; T1 = T2 = 5 s, Tboot = 60 s, Tenable = 50 s, t = 1 s; the start is at 1000.
"""

import pytest
from core_samples import (
    EMPTY, common, heartbeat, heartbeat_seal, host_record, hosts, names_of, of_kind, view_of)

from xha import actions
from xha.echoes import Echoes, mark
from xha.errors import ExitCode
from xha.fencing import Fencing
from xha.globalrecord import GlobalChanges
from xha.hostset import MAX_HOSTS
from xha.published import NEVER, FencingMode, Phase, PoolState
from xha.startup import Startup

ALL = hosts(0, 1, 2)
ALONE = hosts(0)
START_MS = 1000
BOOT_MS = START_MS + 60000
#: What is waited beyond the deadline for two that look at it a moment apart.
GRACE_MS = 10000
ENABLE_MS = START_MS + 50000


class Bench:
    """The start of host 0."""

    def __init__(self, state=PoolState.ACTIVE, excluded=False, **facts):
        facts.setdefault("heartbeat_domain", ALONE)
        facts.setdefault("statefile_domain", ALONE)
        self.view = view_of(
            settings=common(3, EnableJoinTimeout=50), phase=Phase.STARTING, liveset=EMPTY,
            proposed=EMPTY, fencing=FencingMode.NONE, excluded=excluded, **facts)
        self.state(state)
        self.cleared = []
        self.changes = GlobalChanges(self.view)
        self.echoes = Echoes(self.view)
        fencing = Fencing(self.view, self.echoes)
        fencing.heartbeats_sent(START_MS)
        fencing.record_written(START_MS)
        self.startup = Startup(self.view, fencing, self.echoes, self.changes,
                               lambda: self.cleared.append(True))
        self.sequence, self.now_ms = 0, START_MS
        for host in (1, 2):
            self.peer(host)
        self.startup.begin(START_MS)

    def state(self, state):
        from core_samples import global_record
        self.view.global_record = global_record(state)

    def peer(self, host, starting=True, current=EMPTY, proposed=EMPTY, joining=False,
             excluded=False, weight=1, sees=ALL, heard_ms=None):
        """What another host says, on both paths, when it has heard what this host sent last.

        ``heard_ms``: what it has heard was sent then; NEVER: by an earlier life of this host.
        """
        self.sequence += 1
        self.echoes.issued(self.sequence, self.now_ms if heard_ms is None else heard_ms)
        echo = mark(self.view.incarnation - (heard_ms == NEVER), self.sequence)
        self.view.peers[host].heartbeat = heartbeat(
            host, current_liveset=current, proposed_liveset=proposed, joining=joining,
            heartbeat_domain=sees, statefile_domain=sees,
            seal=heartbeat_seal(heard=(echo,) * MAX_HOSTS))
        self.view.peers[host].record = host_record(
            host, starting=starting, current_liveset=current, proposed_liveset=proposed,
            excluded=excluded, weight=weight, heartbeat_domain=sees, statefile_domain=sees)
        return self

    def sees(self, heard, advancing=None):
        self.view.heartbeat_domain = heard
        self.view.statefile_domain = heard if advancing is None else advancing
        return self

    def step(self, now_ms):
        self.now_ms = now_ms
        self.startup.step(now_ms)
        return self

    def proposal_shown(self, now_ms, rival=None):
        """My record with my proposal is read, then read once more."""
        self.view.peers[0].record = host_record(0, proposed_liveset=self.view.proposed)
        if rival is not None:
            self.view.peers[1].record = host_record(1, starting=True, proposed_liveset=rival)
        for issued_at_ms in (now_ms, now_ms + 400):
            self.view.reading_issued_at_ms = issued_at_ms
            self.view.reading_completed_at_ms = issued_at_ms + 10
            self.step(issued_at_ms + 10)
        return self

    @property
    def code(self):
        """The exit code, when the start was given up."""
        found = of_kind(self.view.out, actions.Terminate)
        return found[0].code if found else None

    @property
    def stage(self):
        return self.startup._stage.name

    @property
    def online(self):
        return self.view.online and self.startup.done


def at_criteria(**facts):
    """A host that has listened, and whose previous instance nobody counts."""
    return Bench(**facts).step(START_MS + 5000)


# ---- listening


def test_it_waits_until_all_are_heard_then_until_all_advance():
    bench = Bench().step(START_MS)
    assert bench.stage == "LISTEN_HEARTBEAT"
    bench.sees(ALL, hosts(0, 1)).step(START_MS + 100)
    assert bench.stage == "LISTEN_STATEFILE"
    assert not bench.view.joining
    bench.sees(ALL).step(START_MS + 200)
    assert bench.stage == "FORMING"


def test_it_listens_at_most_T1_and_T2_since_the_start():
    bench = Bench().step(START_MS + 4999)
    assert bench.stage == "LISTEN_HEARTBEAT"
    assert bench.view.wake_at_ms == START_MS + 5000
    assert bench.step(START_MS + 5000).stage == "CRITERIA"
    assert bench.view.joining


def test_it_asks_for_acceleration_while_it_listens():
    bench = Bench()
    assert bench.view.accelerate_reasons == {"starting"}
    bench.step(START_MS + 5000)
    assert not bench.view.accelerate_reasons


# ---- the previous instance


@pytest.mark.parametrize("heard, advancing, why", [
    (hosts(0, 1), ALONE, "one that is heard, by its heartbeat"),
    (ALONE, hosts(0, 1), "one that advances, by its record"),
])
def test_it_waits_until_nobody_else_has_it_in_its_liveset(heard, advancing, why):
    bench = Bench().peer(1, starting=False, current=hosts(0, 1)).sees(heard, advancing)
    bench.step(START_MS + 5000)
    assert bench.stage == "PREDECESSOR"
    bench.peer(1, starting=False, current=hosts(1))
    assert bench.step(START_MS + 20000).stage == "CRITERIA"


def test_who_is_seen_on_no_path_is_not_waited_for():
    bench = Bench().peer(1, starting=False, current=hosts(0, 1))
    assert bench.step(START_MS + 5000).stage == "CRITERIA"


@pytest.mark.parametrize("state, deadline_ms", [
    (PoolState.ACTIVE, BOOT_MS), (PoolState.INIT, ENABLE_MS)])
def test_a_previous_instance_that_is_never_removed_ends_the_start_with_12(state, deadline_ms):
    """At most Tboot, or Tenable when the pool state is init."""
    bench = Bench(state=state).peer(1, starting=False, current=hosts(0, 1)).sees(hosts(0, 1))
    bench.step(START_MS + 5000).step(deadline_ms - 1)
    assert bench.code is None
    assert bench.step(deadline_ms).code is ExitCode.JOIN_TIMEOUT


# ---- the start criteria


REFUSED = [
    (PoolState.NONE, ExitCode.STATEFILE_INACCESSIBLE, "never initialised"),
    (PoolState.INVALID, ExitCode.INVALID_POOL_STATE, "disabled"),
]


@pytest.mark.parametrize("state, code, why", REFUSED, ids=[row[-1] for row in REFUSED])
def test_a_pool_state_that_allows_no_start(state, code, why):
    assert at_criteria(state=state).code is code


def test_the_pool_state_is_taken_once():
    """A pool must not become active under a host's feet while it decides."""
    bench = at_criteria(state=PoolState.INIT)
    bench.state(PoolState.ACTIVE)
    assert bench.step(ENABLE_MS).code is ExitCode.JOIN_TIMEOUT


def test_access_that_is_lost_ends_the_start_with_8():
    bench = at_criteria()
    bench.view.statefile_access = False
    assert bench.step(START_MS + 6000).code is ExitCode.STATEFILE_INACCESSIBLE


@pytest.mark.parametrize("stage_ms", [START_MS + 100, START_MS + 6000])
def test_a_record_of_mine_that_advanced_once_and_then_not_ends_the_start_with_8(stage_ms):
    """At any step while STARTING."""
    bench = Bench().step(START_MS)
    bench.sees(ALONE, EMPTY)
    assert bench.step(stage_ms).code is ExitCode.STATEFILE_INACCESSIBLE


def test_before_my_record_advanced_at_all_that_does_not_hold():
    bench = Bench().sees(ALONE, EMPTY)
    assert bench.step(START_MS + 100).code is None


NEVER_WRITTEN = [
    # state, ms since the start, more, exit code, why
    (PoolState.INIT,   49999, {},             None,                            "Tenable"),
    (PoolState.INIT,   50000, {},             ExitCode.STATEFILE_INACCESSIBLE, "a write hangs"),
    (PoolState.ACTIVE, 59999, {},             None,                            "Tboot"),
    (PoolState.ACTIVE, 60000, {},             ExitCode.STATEFILE_INACCESSIBLE, "a write hangs"),
    (PoolState.ACTIVE, 60000, {"sr2": True},  None,                            "rule 2: no disk"),
    (PoolState.ACTIVE, 60000, {"gap": True},  None,                            "a gap first"),
]


@pytest.mark.parametrize("state, after_ms, more, code, why", NEVER_WRITTEN)
def test_a_record_of_mine_that_cannot_be_written_ends_the_start_with_8(
        state, after_ms, more, code, why):
    """The first reading was good, and the first write hangs."""
    bench = Bench(state).sees(ALONE, EMPTY)
    bench.view.sr2 = "sr2" in more
    bench.view.settled = "gap" not in more
    assert bench.step(START_MS + after_ms).code is code, why


def test_until_then_it_is_stepped():
    bench = Bench().sees(ALONE, EMPTY).step(START_MS)
    bench.view.wake_at_ms = NEVER
    bench.step(START_MS + 6000)
    assert bench.view.wake_at_ms == START_MS + 60000


def running(bench, members=hosts(1, 2), **changes):
    """An active liveset of ``members`` exists, seen on both paths."""
    for host in members:
        bench.peer(host, starting=False, current=members, proposed=members, **changes)
    return bench.sees(members.plus(0))


def test_init_and_a_liveset_that_exists_end_the_start_with_11():
    bench = running(Bench(state=PoolState.INIT)).step(START_MS + 5000)
    assert bench.code is ExitCode.INVALID_POOL_STATE


def test_a_liveset_exists_when_some_host_of_SF_is_not_starting():
    bench = at_criteria().sees(ALL)
    bench.peer(2, starting=False)
    bench.step(START_MS + 6000)
    assert bench.stage != "FORMING"


@pytest.mark.parametrize("heard, excluded, exists", [
    (ALL, False, True), (hosts(0, 1), True, True), (hosts(0, 1), False, False)])
def test_a_liveset_exists_under_rule_2_when_all_but_excluded_hosts_are_heard(
        heard, excluded, exists):
    """A heartbeat told me SR2, and HB u excluded = N."""
    bench = Bench(state=PoolState.INIT, sr2=True).peer(2, excluded=excluded)
    bench.peer(2, excluded=excluded, starting=not excluded)
    bench.sees(heard, ALONE).step(START_MS + 5000)
    assert (bench.code is ExitCode.INVALID_POOL_STATE) is exists


# ---- forming


def test_a_new_liveset_is_formed_when_all_are_heard_and_advance_and_none_exists():
    bench = Bench().sees(ALL).step(START_MS)
    assert bench.stage == "FORMING"
    assert (bench.view.liveset, bench.view.proposed) == (EMPTY, ALL)
    for host in (1, 2):
        bench.peer(host, proposed=ALL)
    bench.step(START_MS + 100)
    assert bench.online
    assert bench.view.liveset == ALL
    assert not bench.view.joining


def test_it_waits_until_every_host_still_heard_has_it_in_its_proposal():
    bench = Bench().sees(ALL).step(START_MS)
    bench.peer(1, proposed=ALL).step(START_MS + 100)
    assert not bench.online
    bench.sees(hosts(0, 1), ALL).step(START_MS + 200)
    assert bench.online, "2 is not heard any more"


@pytest.mark.parametrize("proposed, current, online, why", [
    (hosts(0, 1), EMPTY, False, "at the deadline it proposes those whom it sees"),
    (hosts(0, 1), ALL, True, "it has formed the same, and has lost somebody since"),
    (ALL, EMPTY, True, "it proposes the same"),
])
def test_a_liveset_is_formed_with_those_who_form_the_same(proposed, current, online, why):
    bench = Bench().sees(ALL).step(START_MS)
    bench.peer(1, proposed=proposed, current=current).peer(2, proposed=ALL)
    assert bench.step(START_MS + 100).online is online, why


def test_a_smaller_liveset_that_was_formed_with_it_is_taken_over():
    bench = Bench().sees(ALL).step(START_MS)
    bench.peer(1, starting=False, current=hosts(0, 1), proposed=hosts(0, 1)).step(START_MS + 100)
    assert bench.online
    assert bench.view.liveset == hosts(0, 1)


def test_while_forming_the_criteria_are_not_evaluated_again():
    """A peer that is ready a second earlier must not look like an existing liveset."""
    bench = Bench(state=PoolState.INIT).sees(ALL).step(START_MS)
    bench.peer(1, starting=False, current=ALL, proposed=ALL)
    bench.step(START_MS + 100)
    assert bench.code is None and bench.stage == "FORMING"


def test_who_forms_a_pool_that_is_init_sets_it_active():
    for state, wanted in ((PoolState.INIT, PoolState.ACTIVE), (PoolState.ACTIVE, None)):
        bench = Bench(state=state).sees(ALL).step(START_MS)
        for host in (1, 2):
            bench.peer(host, proposed=ALL)
        bench.step(START_MS + 100)
        assert bench.changes.pending_state is wanted


def test_forming_may_take_three_intervals_longer_than_the_deadline():
    """At most the deadline plus 3 x max(t1,t2); then as at the deadline."""
    bench = Bench(state=PoolState.INIT).sees(ALL).step(ENABLE_MS - 1)
    assert bench.step(ENABLE_MS + 2999).code is None
    assert bench.step(ENABLE_MS + 3000).code is ExitCode.JOIN_TIMEOUT


def test_a_pool_of_init_is_never_formed_without_everybody():
    bench = at_criteria(state=PoolState.INIT).sees(hosts(0, 1))
    assert bench.step(ENABLE_MS - 1).code is None
    assert bench.step(ENABLE_MS).code is ExitCode.JOIN_TIMEOUT


def test_a_gap_is_digested_before_anything_is_formed():
    bench = at_criteria().sees(ALL)
    bench.view.settled = False
    bench.step(START_MS + 6000)
    assert bench.stage == "CRITERIA"


def test_a_gap_is_digested_before_nobody_is_thought_to_count_its_previous_instance():
    bench = Bench().peer(1, starting=False, current=hosts(0, 1))
    bench.view.settled = False
    assert bench.step(START_MS + 5000).stage == "PREDECESSOR"
    bench.view.settled = True
    bench.sees(ALONE, hosts(0, 1))
    assert bench.step(START_MS + 5100).stage == "PREDECESSOR"


# ---- joining


def test_a_host_that_has_been_accepted_adopts_that_liveset():
    """A non-starting host of SF (the lowest index) has me in its L on the State-File."""
    bench = at_criteria().sees(ALONE, hosts(0, 1)).step(START_MS + 5500)
    bench.sees(ALL, hosts(0, 1))
    for host, liveset in ((1, hosts(0, 1)), (2, ALL)):
        bench.view.peers[host].record = host_record(
            host, starting=False, current_liveset=liveset)
    bench.step(START_MS + 6000)
    assert bench.online
    assert bench.view.liveset == bench.view.proposed == hosts(0, 1)


@pytest.mark.parametrize("first, second, taken", [
    (hosts(0, 1), hosts(2), EMPTY),         # two livesets, it may be; it belongs to neither yet
    (hosts(0, 1), ALL, ALL),                # one of them counts everybody
    (ALL, hosts(0, 2), ALL),
])
def test_no_liveset_is_taken_over_beside_a_host_that_runs_outside_it(first, second, taken):
    """Hosts of the original form two at their deadlines, and each may name this host."""
    bench = at_criteria().sees(ALONE, ALL).step(START_MS + 5500)
    for host, liveset in ((1, first), (2, second)):
        bench.view.peers[host].record = host_record(
            host, starting=False, current_liveset=liveset)
    bench.step(START_MS + 6000)
    assert (bench.view.liveset if bench.online else EMPTY) == taken


def test_whom_it_never_saw_without_it_may_mean_its_previous_instance():
    """No liveset is taken over from such a host; it must be asked, and have heard the question."""
    bench = at_criteria()
    for host in (1, 2):
        bench.peer(host, starting=False, current=ALL, proposed=ALL)
    bench.sees(ALL).step(START_MS + 6000)
    assert bench.stage == "JOINING"
    for host in (1, 2):
        bench.peer(host, starting=False, current=ALL, proposed=ALL, heard_ms=NEVER)
    assert not bench.step(START_MS + 6100).online
    for host in (1, 2):
        bench.peer(host, starting=False, current=hosts(1, 2), proposed=ALL)
    assert bench.step(START_MS + 6200).online


def test_a_record_that_is_older_than_the_heartbeat_is_no_liveset_to_be_taken_over():
    """Its host has dropped the previous instance; the record of before is read once more."""
    bench = at_criteria().peer(1, starting=False, current=hosts(1), proposed=hosts(1))
    bench.view.peers[1].record = host_record(1, starting=False, current_liveset=hosts(0, 1))
    bench.sees(hosts(0, 1), ALONE).step(START_MS + 6000)
    bench.sees(ALONE, hosts(0, 1)).step(START_MS + 6100)
    assert not bench.online


def test_a_liveset_that_exists_is_joined_when_all_of_SF_are_heard():
    bench = running(at_criteria()).step(START_MS + 6000)
    assert bench.stage == "JOINING"
    assert (bench.view.liveset, bench.view.proposed) == (hosts(1, 2), ALL)
    assert bench.view.burst_wanted


def test_it_is_not_joined_while_a_host_of_SF_is_not_heard():
    bench = running(at_criteria()).sees(hosts(0, 1), ALL).step(START_MS + 6000)
    assert bench.stage == "CRITERIA"


def test_starting_hosts_of_SF_are_no_part_of_the_liveset_that_is_joined():
    bench = running(at_criteria(), hosts(1)).sees(ALL).step(START_MS + 6000)
    assert bench.view.liveset == hosts(1)


def test_under_rule_2_the_liveset_is_that_of_the_heartbeats():
    bench = Bench(sr2=True)
    for host in (1, 2):
        bench.peer(host, starting=False, current=hosts(1, 2), proposed=hosts(1, 2))
    bench.sees(ALL, ALONE).step(START_MS + 5000)
    assert bench.stage == "JOINING"
    assert bench.view.liveset == hosts(1, 2)


def test_it_is_a_member_once_every_other_member_has_it_in_its_proposal():
    bench = running(at_criteria()).step(START_MS + 6000)
    bench.peer(1, starting=False, current=hosts(1, 2), proposed=ALL).step(START_MS + 6100)
    assert not bench.online
    bench.peer(2, starting=False, current=hosts(1, 2), proposed=ALL).step(START_MS + 6200)
    assert bench.online
    assert bench.view.liveset == ALL


def test_a_liveset_that_does_not_admit_it_ends_the_start_with_13_after_Tboot():
    bench = running(at_criteria()).step(START_MS + 6000)
    assert bench.step(START_MS + 65999).code is None
    assert bench.step(START_MS + 66000).code is ExitCode.CANNOT_JOIN
    assert 0 not in bench.view.proposed


def test_a_member_that_all_others_have_dropped_is_not_waited_for():
    bench = running(at_criteria()).step(START_MS + 6000)
    bench.peer(1, starting=False, current=hosts(1), proposed=hosts(0, 1))
    bench.sees(hosts(0, 1)).step(START_MS + 6100)
    assert bench.online
    assert bench.view.liveset == hosts(0, 1)


def test_a_member_that_was_dropped_and_starts_anew_is_not_waited_for():
    """It is heard, but not in its own liveset; it waits for this host in its turn."""
    bench = running(at_criteria()).step(START_MS + 6000)
    bench.peer(1, starting=False, current=hosts(1), proposed=hosts(0, 1))
    bench.peer(2, starting=True, current=EMPTY, proposed=EMPTY, joining=True)
    bench.step(START_MS + 6100)
    assert bench.online
    assert bench.view.liveset == hosts(0, 1)


@pytest.mark.parametrize("sr2", [False, True])
def test_a_member_whose_record_still_names_it_has_not_dropped_it(sr2):
    """Its last heartbeat may be older than that admission; under rule 2 its record is older."""
    bench = running(at_criteria()).step(START_MS + 6000)
    bench.peer(1, starting=False, current=hosts(1), proposed=hosts(0, 1))
    bench.view.peers[1].record = host_record(1, starting=False, current_liveset=hosts(1, 2))
    bench.view.sr2 = sr2
    bench.sees(hosts(0, 1)).step(START_MS + 6100)
    assert bench.view.liveset == (hosts(0, 1) if sr2 else hosts(1, 2))


def test_members_that_were_dropped_together_do_not_keep_each_other_in():
    bench = running(at_criteria()).step(START_MS + 6000)
    bench.view.liveset = hosts(1, 2)
    for host in (1, 2):
        bench.peer(host, starting=True, current=EMPTY, proposed=EMPTY, joining=True)
    bench.step(START_MS + 6100)
    assert bench.view.liveset == hosts(1, 2), "nobody is left to say that they were dropped"
    bench.peer(1, starting=False, current=hosts(1), proposed=hosts(0, 1)).step(START_MS + 6200)
    assert bench.online and bench.view.liveset == hosts(0, 1)


def test_a_member_that_is_heard_was_not_dropped():
    """A member's last heartbeat may be older than the admission of the one it lacks."""
    bench = running(at_criteria()).step(START_MS + 6000)
    bench.peer(1, starting=False, current=hosts(1), proposed=hosts(0, 1)).step(START_MS + 6100)
    assert bench.view.liveset == hosts(1, 2)


# ---- at the deadline


def test_a_liveset_that_exists_and_does_not_let_it_in_ends_the_start_with_13():
    bench = running(at_criteria()).sees(hosts(0, 1), ALL)
    assert bench.step(BOOT_MS + GRACE_MS - 1).code is None
    assert bench.step(BOOT_MS + GRACE_MS).code is ExitCode.CANNOT_JOIN


def test_at_the_deadline_it_looks_once_more_whether_it_was_accepted():
    bench = running(at_criteria()).sees(hosts(0, 1), ALL)
    bench.step(BOOT_MS - 1)
    bench.view.peers[1].record = host_record(1, starting=False, current_liveset=ALL)
    assert bench.step(BOOT_MS).online


EXCLUDED = [
    (True, False, ExitCode.START_BLOCKED_BY_EXCLUSION, "others know more than it does"),
    (True, True, None, "everybody is excluded: somebody must begin"),
    (False, True, None, "it is not excluded"),
]


@pytest.mark.parametrize("me, others, code, why", EXCLUDED, ids=[row[-1] for row in EXCLUDED])
def test_an_excluded_host_forms_no_liveset_unless_all_are(me, others, code, why):
    bench = at_criteria(excluded=me)
    for host in (1, 2):
        bench.peer(host, excluded=others)
    bench.step(BOOT_MS)
    assert bench.code is code
    assert bench.proposal_shown(BOOT_MS + 10).online is (code is None)


def test_in_the_largest_partition_it_forms_a_liveset_of_those_who_are_joining():
    """L := P := HB minus the hosts not joining."""
    bench = at_criteria().peer(1, joining=True).peer(2, joining=False).sees(ALL, hosts(0, 1))
    bench.step(BOOT_MS)
    assert (bench.stage, bench.view.liveset, bench.view.proposed) == (
        "PROPOSING", EMPTY, hosts(0, 1))
    bench.proposal_shown(BOOT_MS + 10)
    assert bench.online
    assert bench.view.liveset == bench.view.proposed == hosts(0, 1)


def test_it_forms_nothing_before_a_reading_issued_after_one_that_showed_its_proposal():
    """Two that look at the deadline a moment apart must not form two livesets."""
    bench = at_criteria().peer(1, joining=True).sees(hosts(0, 1)).step(BOOT_MS)
    bench.view.peers[0].record = host_record(0, proposed_liveset=hosts(0, 1))
    bench.view.reading_issued_at_ms = BOOT_MS + 10
    bench.view.reading_completed_at_ms = BOOT_MS + 20
    assert bench.step(BOOT_MS + 20).stage == "PROPOSING"


@pytest.mark.parametrize("rival, stage, why", [
    (hosts(0, 1), "DONE", "it proposes the same"),
    (hosts(1), "PROPOSING", "a higher index will withdraw its own"),
])
def test_a_rival_proposal_is_waited_for(rival, stage, why):
    bench = at_criteria().peer(1, joining=True).sees(hosts(0, 1)).step(BOOT_MS)
    assert bench.proposal_shown(BOOT_MS + 10, rival).stage == stage


def test_a_host_that_is_heard_to_be_a_member_is_a_liveset_that_exists():
    bench = at_criteria().peer(1, current=hosts(1), joining=False).sees(hosts(0, 1))
    assert bench.step(BOOT_MS).stage == "CRITERIA"


def test_it_forms_nothing_before_a_member_that_fell_silent_has_been_reset():
    """It may be frozen: silence is no proof.  Its last advance + Ws + drift + reset."""
    bench = at_criteria()
    bench.peer(2, starting=False, current=hosts(2))
    bench.view.peers[2].advanced_at_ms = BOOT_MS - 5000
    bench.step(BOOT_MS).step(BOOT_MS + 3107)
    assert bench.stage == "CRITERIA"
    assert bench.step(BOOT_MS + 3108).stage == "PROPOSING"


def test_outside_of_the_largest_partition_it_gives_up_with_13():
    bench = at_criteria().peer(1, weight=5, sees=hosts(1)).sees(ALONE, hosts(0, 1))
    assert bench.step(BOOT_MS).code is None
    assert bench.step(BOOT_MS + GRACE_MS).code is ExitCode.CANNOT_JOIN


# ---- online


def test_a_start_that_succeeds_arms_fencing_and_bursts_in_phase_started():
    bench = at_criteria().step(BOOT_MS).proposal_shown(BOOT_MS + 10)
    assert bench.view.phase is Phase.STARTED
    assert bench.view.fencing is FencingMode.ARMED
    assert bench.view.burst_wanted
    assert not bench.view.joining
    assert "host-online" in names_of(bench.view.out)


@pytest.mark.parametrize("excluded", [True, False])
def test_the_excluded_flag_is_cleared_when_it_was_set(excluded):
    bench = running(at_criteria(excluded=excluded)).step(START_MS + 6000)
    for host in (1, 2):
        bench.peer(host, starting=False, current=hosts(1, 2), proposed=ALL)
    bench.step(START_MS + 6100)
    assert bench.online
    assert bool(bench.cleared) is excluded


MISSING = [
    (ALL, hosts(0, 1), False, True, "a member does not advance"),
    (ALL, hosts(0, 1), True, False, "under rule 2 nobody does"),
    (ALL, ALL, False, False, "all are there"),
]


@pytest.mark.parametrize("heard, advancing, sr2, loss, why", MISSING,
                         ids=[row[-1] for row in MISSING])
def test_a_member_that_is_missing_at_this_moment_starts_a_fault_handler(
        heard, advancing, sr2, loss, why):
    bench = running(at_criteria(sr2=sr2)).step(START_MS + 6000)
    for host in (1, 2):
        bench.peer(host, starting=False, current=hosts(1, 2), proposed=ALL)
    bench.sees(heard, advancing).step(START_MS + 6100)
    assert bench.online
    assert bench.view.loss_pending is loss


def test_the_word_of_a_member_that_is_not_heard_any_more_is_not_enough():
    """It may be of a life that is over: its new instance is not the one that was asked."""
    bench = running(at_criteria()).step(START_MS + 6000)
    for host in (1, 2):
        bench.peer(host, starting=False, current=hosts(1, 2), proposed=ALL)
    bench.sees(hosts(0, 1), ALL).step(START_MS + 6100)
    assert not bench.online
    bench.sees(ALL, ALL).step(START_MS + 6200)
    assert bench.online


@pytest.mark.parametrize("heard_ms, online, why", [
    (NEVER, False, "an earlier life of this host was heard, and is answered"),
    (START_MS + 5999, False, "this host had not asked yet"),
    (START_MS + 6000, True, "what asks was heard"),
])
def test_a_member_answers_what_it_has_heard(heard_ms, online, why):
    bench = running(at_criteria()).step(START_MS + 6000)
    assert bench.stage == "JOINING"
    for host in (1, 2):
        bench.peer(host, starting=False, current=hosts(1, 2), proposed=ALL, heard_ms=heard_ms)
    assert bench.step(START_MS + 6100).online is online, why


@pytest.mark.parametrize("heard_ms, online", [(NEVER, False), (START_MS, True)])
def test_a_liveset_is_formed_with_those_who_have_heard_this_life(heard_ms, online):
    bench = Bench().sees(ALL).step(START_MS)
    for host in (1, 2):
        bench.peer(host, proposed=ALL, heard_ms=heard_ms)
    assert bench.step(START_MS + 100).online is online


def test_a_start_that_is_given_up_closes_the_watchdogs_and_fences_nobody():
    bench = at_criteria(state=PoolState.INVALID)
    assert of_kind(bench.view.out, actions.CloseWatchdogs)
    assert not of_kind(bench.view.out, actions.SelfFence)
    assert bench.view.phase is Phase.ABORTED
