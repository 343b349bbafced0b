"""The whole core of one host, its rooms composed: what no room decides alone.

Source: spec 5 ("Pool state, always", "SR2", "Fencing"), spec 4 (receiving, key, bursts).
"""

import pytest
from core_samples import (
    EMPTY, KEY, bad, common, global_record, good, heartbeat, heartbeat_seal, host_record, hosts,
    names_of, of_kind, reading, record_seal, uuid_of)

from xha import actions, compose, events
from xha.actions import Watchdog
from xha.echoes import mark
from xha.errors import ExitCode
from xha.hostset import MAX_HOSTS
from xha.membership import Membership
from xha.published import (NEVER, TERM_IS_OVER, FencingMode, Phase, PoolState, Proof,
                           WatchdogMode)

ALL = hosts(0, 1, 2)
DISK = (actions.WriteRecord, actions.ReadStateFile, actions.WriteGlobal)


class Core:
    """Host 0 of three; the others, the disk and the network are played by the test."""

    def __init__(self, state=PoolState.INIT, key=KEY):
        self.now_ms = 1000
        self.core = Membership(common(), 0, self.now_ms, 5000, "xha test",
                               WatchdogMode.HYPERVISOR, 1, lambda: 0)
        self.view = self.core.view
        self.state, self.key, self.global_section = state, key, None
        self.sequences = {0: 0, 1: 0, 2: 0}
        self.beats = 100
        # The hosts that nothing can be sent to, with the reason.
        self.unsent = ()
        # The mark of what this host sent last, which the others have heard.
        self.echo = 0
        self.own = None
        self.done = []
        self.waits = []
        self.others = {1: dict(), 2: dict()}

    def step(self, event=events.Tick(), ms=0):
        """One step; what is asked for is remembered, and heartbeats are sent at once."""
        self.now_ms += ms
        waiting = [event]
        while waiting:
            for action in self.core.step(self.now_ms, waiting.pop(0)):
                self.done.append(action)
                if type(action) is actions.SendHeartbeat:
                    self.echo = mark(self.view.incarnation, action.heartbeat.sequence)
                    waiting.append(events.HeartbeatsSent(
                        issued_at_ms=self.now_ms, failed=self.unsent))
                elif type(action) in DISK:
                    self.waits.append(action)
        return self

    def took(self, kind=None):
        """What was asked for since the last look: all, or of one kind."""
        found, self.done = self.done, []
        return found if kind is None else of_kind(found, kind)

    def disk(self):
        """Answer what the cycle waits for, until it waits no more."""
        while self.waits:
            asked = self.waits.pop(0)
            self.now_ms += 2
            times = dict(issued_at_ms=self.now_ms - 2, completed_at_ms=self.now_ms, error="")
            if type(asked) is actions.ReadStateFile:
                self.step(events.StateFileRead(reading=self.found()))
            elif type(asked) is actions.WriteRecord:
                self.own = asked.content
                self.step(events.RecordWritten(**times))
            else:
                self.step(events.GlobalWritten(**times))
        return self

    def found(self):
        sections = [self.own or host_record(0, starting=True, current_liveset=EMPTY,
                                            seal=record_seal(1))]
        for host in (1, 2):
            self.sequences[host] += 1
            sections.append(host_record(host, sequence=self.sequences[host], **self.others[host]))
        return reading(self.now_ms - 2, sections, self.global_section or good(
            global_record(self.state, pool_key=self.key)), completed_at_ms=self.now_ms)

    def beat(self, host, proof=Proof.AUTHENTIC, **changes):
        """A heartbeat of another host arrives."""
        self.beats += 1
        changes.setdefault("sequence", self.beats)
        changes.setdefault("seal", heartbeat_seal(heard=(self.echo,) * MAX_HOSTS))
        return self.step(events.HeartbeatReceived(
            heartbeat=heartbeat(host, **changes), proof=proof,
            source="10.0.0.{}".format(1 + host), received_at_ms=self.now_ms))

    def form(self):
        """Form a liveset of all three, and set the pool active."""
        starting = dict(phase=Phase.STARTING, current_liveset=EMPTY)
        for host in (1, 2):
            self.others[host] = dict(starting=True, current_liveset=EMPTY, phase=Phase.STARTING)
        self.step()
        for _ in range(4):
            self.disk()
            for host in (1, 2):
                self.beat(host, **starting)
            self.step(ms=400)
        assert self.view.online, self.view.waiting_for
        for host in (1, 2):
            self.others[host] = dict()
            self.beat(host)
        self.state = PoolState.ACTIVE
        self.idle(2)
        self.took()
        return self

    def idle(self, seconds):
        """Nothing happens but what always does."""
        for _ in range(int(seconds * 2)):
            self.step(ms=500)
            for host in (1, 2):
                self.beat(host)
            self.disk()
        return self

    @property
    def ended(self):
        """The exit code, once the daemon has ended."""
        found = of_kind(self.done, actions.Terminate)
        return found[0].code if found else None


def test_three_hosts_form_a_liveset():
    core = Core().form()
    assert core.view.liveset == ALL
    assert core.view.armed
    assert core.view.pool_state is PoolState.ACTIVE


def test_a_quiet_pool_says_nothing():
    core = Core().form().idle(5)
    core.took()
    core.idle(20)
    assert names_of(core.took()) == []


# ---- the order of a start


def test_nothing_is_sent_or_received_before_the_first_good_reading():
    """The first State-File reading comes before the first heartbeat that counts."""
    core = Core().step()
    core.beat(1)
    assert core.view.peers[1].heartbeat is None
    assert not of_kind(core.done, actions.SendHeartbeat)
    core.disk().step()
    assert of_kind(core.done, actions.SendHeartbeat)
    core.beat(1)
    assert core.view.peers[1].heartbeat is not None


def test_no_watchdog_is_moved_before_the_first_proof():
    core = Core().step()
    assert not of_kind(core.done, actions.SetWatchdog)


def test_the_pool_key_is_used_from_the_first_reading_on():
    core = Core().step()
    core.now_ms += 4
    core.step(events.StateFileRead(reading=core.found()))
    assert of_kind(core.done, actions.UsePoolKey) == [actions.UsePoolKey(key=KEY, also=None)]
    assert core.view.keyed


def test_a_daemon_that_has_read_a_key_keeps_it():
    """An unreadable key later is an error event, never a downgrade."""
    core = Core().form()
    core.key = None
    core.idle(3)
    assert core.view.keyed
    assert core.view.global_record.pool_key == KEY
    assert names_of(core.took()).count("key-unreadable") == 1
    core.view.peers[1].heartbeat = None
    core.beat(1, proof=Proof.UNSEALED, seal=None)
    assert core.view.peers[1].heartbeat is None


# ---- beats


def test_the_heartbeat_watchdog_is_moved_once_per_t1_by_regular_beats_alone():
    """By the loop that has received and decided: a burst, or a step without a tick, moves none."""
    core = Core().form()
    start_ms = core.now_ms
    moved = []
    for _ in range(100):
        core.step(ms=50)
        core.view.burst()
        core.beat(1)
        core.beat(2)
        core.disk()
        moved += [one.expires_at_ms for one in core.took(actions.SetWatchdog)
                  if one.watchdog is Watchdog.HEARTBEAT]
    assert core.now_ms - start_ms > 5000
    assert len(moved) == 5
    assert all(0 <= one - start_ms - 5000 - 1000 * beat < 1100 for beat, one in enumerate(moved))


def test_a_loop_that_never_ticks_feeds_no_watchdog():
    core = Core().form()
    for _ in range(40):
        core.now_ms += 100
        core.beat(1)
        core.beat(2)
    assert not [one for one in of_kind(core.done, actions.SetWatchdog)
                if one.watchdog is Watchdog.HEARTBEAT]


def test_a_host_that_nothing_can_be_sent_to_is_told_once_and_when_it_works_again():
    core = Core().form()
    core.took()
    told = []
    for unsent in ([2], [2], [1, 2], [1], [], []):
        core.unsent = tuple((host, "Network is unreachable") for host in unsent)
        core.idle(2)
        told.append([(one.name, dict(one.fields)["host"]) for one in core.took(actions.Log)])
    assert told == [[("heartbeat-send-failed", 2)], [], [("heartbeat-send-failed", 1)],
                    [("heartbeat-send-works", 2)], [("heartbeat-send-works", 1)], []]


def test_a_burst_is_three_heartbeats_100_ms_apart():
    core = Core().form().idle(1)
    core.took()
    core.view.burst()
    sent_at_ms = []
    for _ in range(9):
        core.step(ms=50)
        sent_at_ms += [core.now_ms] * len(of_kind(core.took(), actions.SendHeartbeat))
    assert [later - sent_at_ms[0] for later in sent_at_ms[:3]] == [0, 100, 200]


# ---- pool state, always


def test_a_pool_state_of_invalid_ends_an_online_daemon_with_11():
    """This is how xapi disables HA."""
    core = Core().form()
    core.state = PoolState.INVALID
    core.idle(2)
    (end,) = of_kind(core.done, actions.Terminate)
    assert (end.code, end.watchdogs_left) == (ExitCode.INVALID_POOL_STATE, False)


def test_a_pending_active_of_mine_counts_at_once():
    """I formed the pool; until my active is read back, init is no reason to end."""
    core = Core()
    starting = dict(phase=Phase.STARTING, current_liveset=EMPTY)
    for host in (1, 2):
        core.others[host] = dict(starting=True, current_liveset=EMPTY, phase=Phase.STARTING)
    core.step()
    for _ in range(12):
        core.disk()
        for host in (1, 2):
            core.beat(host, **starting) if not core.view.online else core.beat(host)
        core.step(ms=400)
    assert core.view.online and not core.view.ended
    assert core.view.pool_state is PoolState.INIT


# ---- fence requests


def test_a_fence_request_resets_an_armed_host_at_once():
    core = Core().form()
    core.beat(1, fence_request=True, current_liveset=ALL, proposed_liveset=hosts(1, 2))
    (end,) = of_kind(core.done, actions.SelfFence)
    assert end.words.code == "fence-requested"


@pytest.mark.parametrize("life, fenced, why", [
    (-1, False, "the sender had heard an earlier life of this host: it is recorded"),
    (0, True, "the sender had heard this life"),
    (None, True, "the sender has heard nothing"),
])
def test_a_fence_request_is_meant_for_the_life_that_its_sender_had_heard(life, fenced, why):
    core = Core().form()
    echo = 0 if life is None else mark(core.view.incarnation + life, 3)
    core.beat(1, fence_request=True, current_liveset=ALL, proposed_liveset=hosts(1, 2),
              seal=heartbeat_seal(heard=(echo,) * MAX_HOSTS))
    assert bool(of_kind(core.done, actions.SelfFence)) is fenced, why


def test_a_disarmed_host_does_not_obey_it():
    core = Core().form()
    core.step(events.DisarmRequested(ticket=1))
    assert of_kind(core.done, actions.CloseWatchdogs)
    core.beat(1, fence_request=True, current_liveset=ALL, proposed_liveset=hosts(1, 2))
    assert not of_kind(core.done, actions.SelfFence)


def test_the_last_words_are_sent_and_written_before_the_reset():
    core = Core().form()
    core.step(events.FenceRequested(code="thread-died", text="a bug"))
    kinds = [type(one) for one in core.took() if type(one) is not actions.Log]
    assert kinds == [actions.SendHeartbeat, actions.WriteRecord, actions.SelfFence]


def test_nothing_happens_after_the_end():
    core = Core().form()
    core.step(events.StopRequested())
    core.took()
    core.idle(3)
    assert core.took() == []


# ---- the fault handler is summoned


SUMMONS = [
    (Phase.FHREADY, True, "spec 5"),
    (Phase.FH1, True, "the datagrams that said FHREADY were lost"),
    (Phase.FH1DONE, False, "they have not waited for this host: it waits for their end"),
    (Phase.STARTED, False, "no fault handler"),
    (Phase.ABORTED, False, "no fault handler"),
]


@pytest.mark.parametrize("phase, starts, why", SUMMONS, ids=[row[0].name for row in SUMMONS])
def test_a_member_in_the_fault_handler_starts_mine(phase, starts, why):
    core = Core().form()
    core.beat(1, phase=phase)
    assert (core.view.phase is Phase.FHREADY) is starts


# ---- survival rule 2


TAKEN_OVER = [
    (dict(statefile_access=False), True, "it has no access itself"),
    (dict(joining=True), True, "it is joining"),
    (dict(), False, "it has access: spec 14, 9, a forged flag changes nothing"),
]


@pytest.mark.parametrize("facts, taken, why", TAKEN_OVER, ids=[row[-1] for row in TAKEN_OVER])
def test_rule_2_is_taken_over_from_a_heartbeat_by_a_host_that(facts, taken, why):
    core = Core().form()
    for name, value in facts.items():
        setattr(core.view, name, value)
    core.beat(1, sr2=True, statefile_access=False, statefile_domain=EMPTY)
    assert core.view.sr2 is taken


def under_rule_2():
    core = Core().form()
    core.view.set_sr2(core.now_ms, True)
    core.view.statefile_access = False
    for host in (1, 2):
        core.beat(host, statefile_domain=EMPTY)
    core.step()
    assert core.view.sr2
    return core


def test_rule_2_ends_when_i_have_access_and_every_host_heard_sees_itself():
    core = under_rule_2()
    core.view.statefile_access = True
    core.beat(1)
    assert core.view.sr2, "2 does not see itself"
    core.beat(2)
    assert not core.view.sr2


def test_rule_2_does_not_end_while_i_have_no_access():
    core = under_rule_2()
    core.beat(1)
    core.beat(2)
    assert core.view.sr2


@pytest.mark.parametrize("excluded", [True, False])
def test_rule_2_ends_only_when_every_host_that_is_not_heard_is_excluded(excluded):
    core = under_rule_2()
    core.view.peers[2].record = host_record(2, excluded=excluded)
    core.view.peers[2].heard_at_ms = core.now_ms - 6000
    core.view.heartbeat_domain = hosts(0, 1)
    core.view.loss_pending = False
    core.view.statefile_access = True
    core.beat(1)
    assert core.view.sr2 is not excluded


def test_a_rule_2_taken_over_is_tested_for_its_end_in_the_same_step():
    core = Core().form()
    core.view.joining = True
    core.beat(1, sr2=True)
    assert not core.view.sr2


# ---- stopping


STOPS = [
    (FencingMode.ARMED, True, "an armed, online host will be reset"),
    (FencingMode.DISARMED, False, "a disarmed host just ends"),
]


@pytest.mark.parametrize("mode, left, why", STOPS, ids=[row[-1] for row in STOPS])
def test_sigterm(mode, left, why):
    core = Core().form()
    core.view.fencing = mode
    core.took()
    core.step(events.StopRequested())
    (end,) = of_kind(core.done, actions.Terminate)
    assert (end.code, end.watchdogs_left) == (ExitCode.SUCCESS, left)
    assert bool(of_kind(core.done, actions.CloseWatchdogs)) is not left


def test_a_host_that_cannot_note_that_it_is_armed_does_not_go_on():
    core = Core().form()
    core.step(events.ArmingFailed(error="the disk is full"))
    (end,) = of_kind(core.done, actions.Terminate)
    assert end.code is ExitCode.WATCHDOG_ERROR


def test_who_sets_invalid_answers_leaves_and_watches_that_it_stands():
    """Spec 14, 7: written, then ended.  It checks again for Ws + t2 = 9 s."""
    core = Core().form()
    core.step(events.PoolStateRequested(ticket=9, pool_state=PoolState.INVALID))
    core.disk()
    core.state = PoolState.INVALID
    seen = []
    for _ in range(4):
        core.step(ms=400)
        seen += core.done
        core.disk()
        seen += core.done
    assert actions.Answer(ticket=9, code=ExitCode.SUCCESS, text="") in seen
    assert of_kind(seen, actions.StopServing) and of_kind(seen, actions.CloseWatchdogs)
    assert not core.view.ended
    core.state = PoolState.ACTIVE       # A slow write of another host puts it back.
    written = []
    for _ in range(6):
        core.step(ms=400)
        written += of_kind(core.done, actions.WriteGlobal)
        core.disk()
        written += of_kind(core.done, actions.WriteGlobal)
    assert written and written[-1].content.pool_state is PoolState.INVALID


def test_a_corrupt_global_record_is_repaired_with_the_bytes_that_were_seen():
    core = Core().form()
    core.global_section = bad(fingerprint=4711)
    written = []
    for _ in range(12):
        core.step(ms=300)
        for host in (1, 2):
            core.beat(host)
        written += of_kind(core.done, actions.WriteGlobal)
        core.disk()
        written += of_kind(core.done, actions.WriteGlobal)
    assert written and {one.expected for one in written} == {4711}
    assert written[0].content.pool_key == KEY


def test_the_snapshot_has_no_side_effect():
    core = Core().form()
    before = core.core.snapshot(core.now_ms)
    assert core.core.snapshot(core.now_ms) == before
    assert before.online and before.current_liveset == ALL
    assert before.hosts[1].uuid == uuid_of(1) and before.hosts[1].sealed


def held(core):
    """How long nothing is asked of each host's xapi, as this host shows it."""
    return [host.xapi_held_ms for host in core.core.snapshot(core.now_ms).hosts]


def test_a_hold_of_xapi_is_shown_of_this_host_and_of_those_that_say_so():
    core = Core().form()
    assert held(core) == [-1, -1, -1]
    core.step(events.XapiChanged(restart_at_ms=-1, error="",
                                 held_until_ms=core.now_ms + 300000))
    core.beat(1, seal=heartbeat_seal()._replace(xapi_held_s=60))
    core.beat(2, seal=None, proof=Proof.UNSEALED)
    assert held(core) == [300000, 60000, -1]
    # Until it says more, what a host said runs down, and ends.
    at_ms = core.now_ms + 59999
    assert [host.xapi_held_ms for host in core.core.snapshot(at_ms).hosts] == [240001, 1, -1]
    assert core.core.snapshot(at_ms + 1).hosts[1].xapi_held_ms == -1
    core.beat(1)
    assert held(core)[1] == -1


def test_a_hold_of_xapi_is_told_in_whole_seconds_and_never_as_none_before_its_end():
    core = Core().form()
    until_ms = core.now_ms + 3500
    core.step(events.XapiChanged(restart_at_ms=-1, error="", held_until_ms=until_ms))
    for left_ms, said in ((3500, 4), (3000, 3), (2999, 3), (1, 1), (0, 0), (-1, 0), (-9999, 0)):
        assert compose.heartbeat(core.view, until_ms - left_ms, 1).seal.xapi_held_s == said
    core.step(events.XapiChanged(restart_at_ms=-1, error=""))
    assert compose.heartbeat(core.view, core.now_ms, 1).seal.xapi_held_s == 0


def terms(core, at_ms=0):
    """Who is disarmed, and for how long that is meant yet, as this host shows it."""
    return [(host.disarmed, host.disarm_term_ms)
            for host in core.core.snapshot(at_ms or core.now_ms).hosts]


def test_how_long_hosts_are_meant_to_be_disarmed_is_shown_and_said_when_it_is_over():
    core = Core().form()
    assert terms(core) == [(False, -1)] * 3
    core.step(events.DisarmRequested(ticket=1, term_ms=60000))
    assert actions.Answer(ticket=1, code=ExitCode.SUCCESS, text="") in core.done
    assert "disarm-term" in names_of(core.done)
    core.beat(1, seal=heartbeat_seal(fencing=FencingMode.DISARMED)._replace(disarm_term_s=30))
    assert "peer-disarmed" in names_of(core.done)
    core.beat(2, seal=heartbeat_seal(fencing=FencingMode.DISARMED))
    assert terms(core) == [(True, 60000), (True, 30000), (True, -1)]
    assert terms(core, core.now_ms + 60000) == [(True, 0), (True, 0), (True, -1)]
    over = heartbeat_seal(fencing=FencingMode.DISARMED)._replace(disarm_term_s=TERM_IS_OVER)
    for _ in range(3):
        core.beat(1, seal=over)
        assert terms(core)[1] == (True, 0)
    assert names_of(core.done).count("peer-still-disarmed") == 1


def test_a_term_is_told_to_the_others_until_it_is_over_and_then_that_it_is():
    core = Core().form()
    assert compose.heartbeat(core.view, core.now_ms, 1).seal.disarm_term_s == 0
    core.step(events.DisarmRequested(ticket=1, term_ms=3000))
    until_ms = core.view.disarm_until_ms
    for left_ms, said in ((3000, 3), (1, 1), (0, TERM_IS_OVER), (-99999, TERM_IS_OVER)):
        assert compose.heartbeat(core.view, until_ms - left_ms, 1).seal.disarm_term_s == said
    # Who disarms it for good has thought again.
    core.step(events.DisarmRequested(ticket=2))
    assert compose.heartbeat(core.view, core.now_ms, 1).seal.disarm_term_s == 0


def test_a_host_that_is_not_online_is_disarmed_for_no_term_either():
    core = Core()
    core.step(events.DisarmRequested(ticket=1, term_ms=3000))
    assert core.view.disarm_until_ms == NEVER


def test_a_disarmed_peer_is_shown_as_such():
    core = Core().form()
    core.beat(1, seal=heartbeat_seal(fencing=FencingMode.DISARMED))
    assert "peer-disarmed" in names_of(core.done)
