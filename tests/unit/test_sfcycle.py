"""The State-File cycle: when it writes and reads, and what a reading means.

Source: spec 3, "Reading and writing in the daemon: one cycle".  t2 = 1 s, T2 = 5 s, Ws = 8 s.
"""

import pytest
from core_samples import (
    EMPTY, bad, common, failed_reading, global_record, good, heartbeat, host_record, hosts,
    names_of, of_kind, reading, record_seal, uuid_of, view_of)

from xha import actions
from xha.actions import Watchdog
from xha.domains import Domains
from xha.echoes import Echoes
from xha.errors import ExitCode
from xha.fencing import Fencing
from xha.globalrecord import GlobalChanges
from xha.published import BLANK_RECORD, NEVER, Fault, Phase
from xha.sfcycle import MAX_TRIES, Cycle
from xha.stall import Stall

WALL_S = 5000


class Bench:
    """A cycle of host 0 of three, its disk played by the test."""

    def __init__(self, settings=None, offset_ms=0, **facts):
        facts.setdefault("incarnation", 0)
        self.view = view_of(settings=settings, **facts)
        self.called = []
        self.cycle = Cycle(
            self.view, Domains(self.view), Fencing(self.view, Echoes(self.view)), Stall(self.view),
            GlobalChanges(self.view),
            composed=lambda: self.called.append("composed"),
            written=lambda at_ms: self.called.append("written"),
            first_reading=lambda at_ms: self.called.append("first reading"),
            good_reading=lambda at_ms, found: self.called.append("good reading"),
            born_at_ms=0, wall_s=WALL_S, offset_ms=lambda: offset_ms)

    def asked(self):
        """What was asked for since the last look, messages aside."""
        found = [one for one in self.view.out if type(one) is not actions.Log]
        del self.view.out[:]
        return found

    def step(self, now_ms):
        self.view.wake_at_ms = NEVER
        self.cycle.step(now_ms)
        return self.asked()

    def alive(self, now_ms=4, sections=None):
        """Let it have its first good reading."""
        self.step(0)
        self.cycle.read(reading(now_ms - 4, sections or whole()))
        self.asked()
        return self

    def write(self, now_ms, error="", took_ms=2):
        """Let it write; give the record."""
        self.asked()
        (asked,) = self.step(now_ms)
        assert type(asked) is actions.WriteRecord, asked
        self.cycle.record_written(now_ms, now_ms + took_ms, error)
        return asked.content


def whole(**changed):
    """The sections of three hosts; ``h1=...`` puts another in place of host 1's."""
    return [changed.get("h{}".format(host), host_record(host)) for host in range(3)]


# ---- the life of a cycle


def test_a_daemon_reads_at_once_and_writes_nothing_before_a_good_reading():
    bench = Bench()
    assert bench.step(0) == [actions.ReadStateFile()]
    assert bench.step(1) == [], "it waits for the answer"


def test_the_first_good_reading_begins_writing_and_heartbeats():
    bench = Bench(statefile_access=False).alive()
    assert bench.called == ["first reading", "good reading"]
    assert bench.view.statefile_access
    assert type(bench.step(4)[0]) is actions.WriteRecord


def test_the_first_write_continues_the_sequence_found_and_the_excluded_flag():
    bench = Bench().alive(sections=whole(h0=host_record(0, sequence=41, excluded=True)))
    record = bench.write(4)
    assert record.sequence == 42
    assert record.excluded


def test_the_sequence_goes_round_at_32_bits():
    bench = Bench().alive(sections=whole(h0=host_record(0, sequence=2 ** 32 - 1)))
    assert bench.write(4).sequence == 0


INCARNATIONS = [
    (100, 200, WALL_S, "seconds since the epoch"),
    (WALL_S + 7, 200, WALL_S + 8, "the last one + 1, when the clock went back"),
    (100, WALL_S + 9, WALL_S + 10, "above what others publish as seen of it"),
]


@pytest.mark.parametrize("own, seen, expected, why", INCARNATIONS,
                         ids=[row[-1] for row in INCARNATIONS])
def test_the_incarnation_is(own, seen, expected, why):
    bench = Bench().alive(sections=whole(
        h0=host_record(0, seal=record_seal(own)),
        h1=host_record(1, seal=record_seal(incarnations_seen=(seen,) + (0,) * 63))))
    assert bench.view.incarnation == expected
    assert bench.write(4).seal.incarnation == expected


def test_a_cycle_writes_then_reads():
    bench = Bench().alive()
    bench.write(4)
    assert bench.asked()[-1] == actions.ReadStateFile()
    assert bench.called[2:] == ["composed", "written"]


PACE = [
    (0, 0, False, 1004, "every t2"),
    (500, 0, False, 1504, "with an offset, at most half a second later"),
    (-500, 0, False, 504, "or earlier"),
    (0, 900, False, 1004, "paced by its start: a slow disk makes it no busier"),
    (0, 3000, False, 3004, "nor does a disk that is slower than t2"),
    (0, 0, True, 404, "every 0.4 s while accelerated"),
]


@pytest.mark.parametrize("offset_ms, took_ms, accelerated, next_ms, why", PACE,
                         ids=[row[-1] for row in PACE])
def test_the_next_cycle_begins(offset_ms, took_ms, accelerated, next_ms, why):
    bench = Bench(offset_ms=offset_ms).alive()
    bench.view.set_accelerate("test", accelerated)
    bench.write(4, took_ms=took_ms // 2)
    bench.cycle.read(reading(4 + took_ms // 2, whole(), completed_at_ms=4 + took_ms))
    bench.asked()
    if took_ms < 1000:
        assert bench.step(next_ms - 1) == []
        assert bench.view.wake_at_ms == next_ms
    assert type(bench.step(next_ms)[0]) is actions.WriteRecord


ACCELERATED = [
    (True, False, True, True, "I ask for it"),
    (False, True, True, True, "a host of HB asks for it"),
    (True, True, False, False, "without State-File access nobody hurries"),
    (False, False, True, False, "nobody asks"),
]


@pytest.mark.parametrize("mine, another, access, expected, why", ACCELERATED,
                         ids=[row[-1] for row in ACCELERATED])
def test_it_is_accelerated(mine, another, access, expected, why):
    bench = Bench().alive()
    bench.view.set_accelerate("test", mine)
    bench.view.statefile_access = access
    bench.view.peers[1].heartbeat = heartbeat(1, accelerate=another)
    bench.step(4)
    assert bench.view.accelerated is expected


def test_a_host_outside_the_heartbeat_domain_accelerates_nobody():
    bench = Bench(heartbeat_domain=hosts(0, 2)).alive()
    bench.view.peers[1].heartbeat = heartbeat(1, accelerate=True)
    bench.step(4)
    assert not bench.view.accelerated


# ---- writes


def test_a_successful_write_moves_the_statefile_watchdog_counted_from_its_issue():
    bench = Bench().alive()
    bench.step(4)
    bench.cycle.record_written(4, 3004, "")
    moved = of_kind(bench.view.out, actions.SetWatchdog)
    assert moved == [actions.SetWatchdog(watchdog=Watchdog.STATEFILE, expires_at_ms=8004)]


def test_a_failed_write_moves_nothing_and_takes_access_and_acceleration():
    bench = Bench().alive()
    bench.view.set_accelerate("test", True)
    bench.step(4)
    bench.asked()
    bench.cycle.record_written(4, 6, "Input/output error")
    assert bench.asked() == [actions.ReadStateFile()], "the reading follows all the same"
    assert not bench.view.statefile_access
    bench.cycle.read(reading(6, whole()))
    assert not bench.view.statefile_access, "it needs a good reading and a successful last write"
    bench.step(7)
    assert not bench.view.accelerated


def test_access_is_back_with_a_successful_write_and_a_good_reading():
    bench = Bench().alive()
    bench.write(4, error="Input/output error")
    bench.cycle.read(reading(6, whole()))
    bench.asked()
    bench.write(1004)
    assert not bench.view.statefile_access
    bench.cycle.read(reading(1006, whole()))
    assert bench.view.statefile_access


def test_each_attempt_to_write_has_a_sequence_of_its_own():
    """One that was refused may have reached the disk.  The next, which moves the timer, would
    then be no advance for the peers, and they would count from the one before."""
    bench = Bench().alive()
    first = bench.write(4, error="Input/output error")
    bench.cycle.read(reading(6, whole()))
    bench.asked()
    assert bench.write(1004).sequence == first.sequence + 1


def test_a_write_that_does_not_end_leaves_the_cycle_waiting():
    """So a disk that hangs ends in a reset that no code of ours has to perform."""
    bench = Bench().alive()
    bench.step(4)
    bench.asked()
    assert [one for now in range(1004, 9004, 500) for one in bench.step(now)] == []


# ---- judging a reading


FAILURES = [
    (failed_reading, "the device"),
    (lambda at_ms: reading(at_ms, whole(), bad(Fault.UNREADABLE)), "the global record"),
    (lambda at_ms: reading(at_ms, whole(h0=bad(Fault.UNREADABLE))), "my own record"),
]


@pytest.mark.parametrize("failing, what", FAILURES, ids=[row[-1] for row in FAILURES])
def test_what_is_mine_is_tried_up_to_three_times_one_second_apart(failing, what):
    bench = Bench().alive()
    bench.write(4)
    bench.asked()
    now_ms = 10
    for _ in range(MAX_TRIES - 1):
        found = failing(now_ms)
        bench.cycle.read(found)
        assert bench.asked() == [] == bench.step(found.completed_at_ms + 999)
        now_ms = found.completed_at_ms + 1000
        assert bench.step(now_ms) == [actions.ReadStateFile()]
    bench.cycle.read(failing(now_ms))
    assert type(bench.step(now_ms + 5)[0]) is actions.WriteRecord, "the next cycle"


def test_a_device_that_is_not_readable_takes_access():
    bench = Bench().alive()
    bench.write(4)
    for now_ms in (10, 1100, 2200):
        bench.cycle.read(failed_reading(now_ms))
        bench.step(now_ms + 1050)
    assert not bench.view.statefile_access
    assert not bench.view.statefile_corrupted
    assert bench.called.count("good reading") == 1


def test_at_the_start_a_device_that_is_not_readable_ends_the_daemon():
    bench = Bench(phase=Phase.STARTING)
    bench.step(0)
    for now_ms in (10, 1100, 2200):
        bench.cycle.read(failed_reading(now_ms))
        if now_ms < 2200:
            bench.step(now_ms + 1050)
    (end,) = of_kind(bench.view.out, actions.Terminate)
    assert end.code is ExitCode.STATEFILE_INACCESSIBLE


def test_at_the_start_a_device_that_never_answers_ends_the_daemon_after_T2():
    bench = Bench(phase=Phase.STARTING)
    assert bench.step(0) == [actions.ReadStateFile()]
    assert bench.step(4999) == []
    (end,) = [one for one in bench.step(5000) if type(one) is actions.Terminate]
    assert end.code is ExitCode.STATEFILE_INACCESSIBLE


def test_at_the_start_a_corrupt_global_record_ends_the_daemon_with_9():
    bench = Bench(phase=Phase.STARTING)
    bench.step(0)
    for now_ms in (10, 1100, 2200):
        bench.cycle.read(reading(now_ms, whole(), bad()))
        if now_ms < 2200:
            bench.step(now_ms + 1050)
    (end,) = of_kind(bench.view.out, actions.Terminate)
    assert end.code is ExitCode.INVALID_STATEFILE


MISMATCHES = [
    (good(global_record(generation_uuid="9" * 32)), ExitCode.GENERATION_MISMATCH),
    (bad(Fault.VERSION), ExitCode.INVALID_STATEFILE),
]


@pytest.mark.parametrize("section, code", MISMATCHES, ids=["generation", "version"])
@pytest.mark.parametrize("online", [True, False])
def test_another_generation_or_version_ends_the_daemon_and_leaves_armed_timers(
        section, code, online):
    """Armed and online, its timers run on: spec 7."""
    bench = Bench().alive()
    if not online:
        bench.view.phase = Phase.STARTING
        bench.view.fencing = type(bench.view.fencing).NONE
    bench.write(4)
    bench.cycle.read(reading(6, whole(), section))
    (end,) = of_kind(bench.view.out, actions.Terminate)
    assert (end.code, end.watchdogs_left) == (code, online)
    assert bool(of_kind(bench.view.out, actions.CloseWatchdogs)) is not online


def test_a_corrupt_global_record_is_no_bad_reading_for_a_host_that_knows_its_content():
    bench = Bench(global_record=global_record()).alive()
    bench.write(4)
    bench.asked()
    bench.cycle.read(reading(6, whole(), bad()))
    assert bench.asked() == [actions.ReadStateFile()], "it is looked at once more, at once"
    bench.cycle.read(reading(10, whole(h1=host_record(1, sequence=11)), bad()))
    assert bench.view.statefile_access
    assert bench.called[-1] == "good reading"
    assert bench.view.peers[1].advanced_at_ms == 14, "host records are published"
    bench.write(1004)


# ---- host records


def test_the_first_reading_of_a_record_only_sets_the_baseline():
    bench = Bench().alive()
    assert [peer.advanced_at_ms for peer in bench.view.peers] == [NEVER] * 3


ADVANCES = [
    # what is found after sequence 10 of incarnation 1000          advances  why
    (dict(sequence=11), True, "another sequence"),
    (dict(sequence=10), False, "the same record"),
    (dict(sequence=9), False, "a late write of the past"),
    (dict(sequence=1, seal=record_seal(1001)), True, "a newer incarnation"),
    (dict(sequence=11, seal=record_seal(999)), False, "an older incarnation"),
    (dict(sequence=9, seal=None), True, "an xhad peer: any other sequence"),
    (dict(sequence=10, seal=None), False, "an xhad peer that wrote nothing"),
]


@pytest.mark.parametrize("changes, advances, why", ADVANCES, ids=[row[-1] for row in ADVANCES])
def test_a_record_advances(changes, advances, why):
    bench = Bench().alive()
    before = bench.view.peers[1].record
    bench.write(4)
    bench.cycle.read(reading(6, whole(h1=host_record(1, weight=9, **changes)),
                             completed_at_ms=16))
    assert bench.view.peers[1].advanced_at_ms == (16 if advances else NEVER)
    if "past" in why or "older" in why:
        assert bench.view.peers[1].record is before, "it does not replace"


def test_a_late_write_of_my_own_past_is_written_over_at_once():
    bench = Bench().alive(sections=whole(h0=host_record(0, sequence=10, seal=record_seal(7000))))
    assert bench.write(4).seal.incarnation == 7001
    bench.cycle.read(reading(6, whole(h0=host_record(0, sequence=11, seal=record_seal(7001)))))
    bench.asked()
    bench.write(1004)
    bench.cycle.read(reading(1006, whole(h0=host_record(0, sequence=3, seal=record_seal(7000)))))
    assert bench.view.peers[0].advanced_at_ms == 10, "it is no advance"
    bench.asked()
    assert type(bench.step(1011)[0]) is actions.WriteRecord


def test_another_hosts_bad_record_is_that_hosts_trouble_alone():
    """Its last good content stays, it does not advance, it is shown as bad."""
    bench = Bench().alive()
    bench.write(4)
    bench.asked()
    rotten = whole(h1=bad(), h2=host_record(2, sequence=11))
    bench.cycle.read(reading(6, rotten))
    assert bench.asked() == [actions.ReadStateFile()], "read once more, at once"
    bench.cycle.read(reading(11, rotten))
    peer = bench.view.peers[1]
    assert bench.view.statefile_access
    assert peer.record == host_record(1)
    assert peer.advanced_at_ms == NEVER
    assert (peer.bad_since_ms, peer.bad_fingerprint) == (15, 77)
    assert bench.view.peers[2].advanced_at_ms == 15


def test_a_bad_record_is_said_once_and_its_recovery_once():
    bench = Bench().alive()
    said = []
    for now_ms, section in ((1004, bad()), (2004, bad()), (3004, host_record(1, sequence=12)),
                            (4004, host_record(1, sequence=13))):
        bench.write(now_ms)
        bench.cycle.read(reading(now_ms + 2, whole(h1=section)))
        if bench.cycle._state.name == "READING":
            bench.cycle.read(reading(now_ms + 6, whole(h1=section)))
        said += names_of(bench.view.out)
        del bench.view.out[:]
    assert [name for name in said if name.startswith("statefile-record")] == [
        "statefile-record-corrupt", "statefile-record-good"]


def test_my_own_bad_record_is_rewritten_at_the_next_cycle_which_begins_at_once():
    bench = Bench().alive()
    bench.write(4)
    bench.cycle.read(reading(6, whole()))
    bench.write(1004)
    for now_ms in (1006, 1010):
        bench.cycle.read(reading(now_ms, whole(h0=bad())))
    bench.asked()
    assert type(bench.step(1015)[0]) is actions.WriteRecord


def test_what_never_shows_is_asked_for_at_the_pace_of_an_accelerated_cycle():
    """A record of mine that is bad at each reading must not keep the disk busy (spec 14, 8)."""
    bench = Bench().alive()
    writes = []
    for now_ms in range(4, 10000, 4):
        for asked in bench.step(now_ms):
            if type(asked) is actions.WriteRecord:
                writes.append(now_ms)
                bench.cycle.record_written(now_ms, now_ms + 1, "")
                for later_ms in (2, 3):
                    if bench.cycle._state.name == "READING":
                        bench.cycle.read(reading(now_ms + later_ms, whole(h0=bad()),
                                                 completed_at_ms=now_ms + later_ms))
                bench.asked()
    assert 20 < len(writes) <= 26


def test_a_good_record_in_the_wrong_place_is_bad_and_never_repaired_by_others():
    """Its fingerprint is 0: only the owner of the place may write there."""
    bench = Bench().alive()
    bench.write(4)
    bench.cycle.read(reading(6, whole(h1=host_record(2, sequence=99))))
    peer = bench.view.peers[1]
    assert (peer.bad_since_ms, peer.bad_fingerprint) == (10, 0)
    assert peer.record == host_record(1)


def test_a_record_that_was_only_initialised_is_nobodys_and_good():
    bench = Bench().alive(sections=whole(h1=BLANK_RECORD))
    assert bench.view.peers[1].bad_since_ms == NEVER
    assert bench.view.peers[1].record == BLANK_RECORD


def test_the_advance_of_a_starting_instance_is_no_sign_of_the_one_in_our_liveset():
    """The fault handler must first remove the old instance; the advances count from then on."""
    bench = Bench().alive()
    bench.write(4)
    starting = host_record(1, sequence=1, starting=True, current_liveset=EMPTY,
                           seal=record_seal(1001))
    bench.cycle.read(reading(6, whole(h1=starting)))
    peer = bench.view.peers[1]
    assert peer.record == starting, "its contents are taken over"
    assert peer.advanced_at_ms == NEVER
    assert peer.withheld_advance_at_ms == 10


def test_a_host_is_an_xhad_peer_when_it_advances_unsealed_in_two_readings_running():
    bench = Bench().alive()
    now_ms, found = 4, []
    for sequence, seal in ((11, None), (11, None), (12, None), (13, record_seal()), (14, None)):
        bench.write(now_ms)
        bench.cycle.read(reading(now_ms + 2, whole(
            h1=host_record(1, sequence=sequence, seal=seal))))
        found.append(bench.view.peers[1].is_xhad)
        now_ms += 1000
    assert found == [False, False, True, False, False]


def test_the_incarnation_in_a_record_is_remembered_for_the_heartbeats():
    bench = Bench().alive(sections=whole(h1=host_record(1, seal=record_seal(1234))))
    assert bench.view.peers[1].incarnation == 1234


def test_the_ages_published_of_unconfigured_hosts_are_never():
    bench = Bench().alive()
    record = bench.write(4)
    assert record.since_heartbeat_ms[3:] == record.since_statefile_ms[3:] == (NEVER,) * 61
    assert record.host_uuid == uuid_of(0)


def test_the_last_words_are_written_with_a_sequence_that_advances():
    bench = Bench().alive()
    content = bench.write(4)
    bench.asked()
    bench.cycle.last_words(20)
    (last,) = bench.asked()
    assert last.content.sequence == content.sequence + 1


def test_the_settings_of_these_tests_are_those_in_their_tables():
    assert common().statefile_interval_ms == 1000
    assert common().statefile_watchdog_timeout_ms == 8000
