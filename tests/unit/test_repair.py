"""Repairing bad records, and changing the global record.

Source: spec 3, steps 3 to 5 and "Global changes".  T2 = 5 s, Ws = 8 s, t2 = 1 s.
"""

import pytest
from core_samples import (
    bad, global_record, good, host_record, hosts, reading, record_seal, uuid_of, view_of)

from xha.globalrecord import GlobalChanges, Invalidation
from xha.published import NEVER, Fault, LastWords, Phase, PoolState, WatchdogMode
from xha.repair import Repair

ALL = hosts(0, 1, 2)
GOOD = [host_record(host) for host in range(3)]
BLANK = bad(blank=True, text="all bytes are zero")


def repair_of(me=0, **facts):
    facts.setdefault("global_record", global_record())
    view = view_of(me=me, **facts)
    return view, Repair(view)


def seen(repair, at_ms, section, host_sections=GOOD):
    """What host 0 writes after a reading that shows this global section."""
    return repair.global_record(at_ms, reading(at_ms - 4, host_sections, section))


# ---- the global record


def test_it_is_rewritten_from_the_last_good_content_key_included():
    view, repair = repair_of()
    assert seen(repair, 1000, bad()) is None
    assert seen(repair, 1400, bad()) == global_record()
    assert global_record().pool_key is not None


NOT_YET = [
    (1399, bad(), "two readings at least 0.4 s apart"),
    (1400, bad(fingerprint=78), "that showed the same bad bytes"),
    (1400, good(global_record()), "it has healed"),
    (1400, bad(generation_uuid="9" * 32), "never if it names another generation"),
    (1400, bad(Fault.VERSION), "a format we do not speak is nobody's to repair"),
    (1400, bad(Fault.UNREADABLE), "what cannot be read may be good"),
]


@pytest.mark.parametrize("at_ms, section, why", NOT_YET, ids=[row[-1] for row in NOT_YET])
def test_it_is_not_rewritten(at_ms, section, why):
    view, repair = repair_of()
    first = section if section.generation_uuid else bad()
    assert seen(repair, 1000, first) is None
    assert seen(repair, at_ms, section) is None


def test_a_good_reading_in_between_begins_the_count_anew():
    view, repair = repair_of()
    seen(repair, 1000, bad())
    seen(repair, 1400, good(global_record()))
    assert seen(repair, 1800, bad()) is None
    assert seen(repair, 2200, bad()) is not None


def test_bad_bytes_that_name_our_generation_are_ours_to_repair():
    view, repair = repair_of()
    ours = bad(generation_uuid=view.common.generation_uuid)
    seen(repair, 1000, ours)
    assert seen(repair, 1400, ours) == global_record()


def test_a_statefile_that_is_all_zeros_is_left_alone_for_ten_seconds():
    """An older tool is initialising it."""
    view, repair = repair_of()
    for at_ms in (1000, 6000, 10999):
        assert seen(repair, at_ms, BLANK, [BLANK] * 3) is None
    assert seen(repair, 11000, BLANK, [BLANK] * 3) == global_record()


def test_a_global_record_of_zeros_beside_good_host_records_is_just_bad():
    view, repair = repair_of()
    seen(repair, 1000, BLANK)
    assert seen(repair, 1400, BLANK) == global_record()


TASK = [
    # me, liveset,     heard,       advancing,   mine,  why
    (0,   ALL,         ALL,         ALL,         True,  "the lowest index"),
    (1,   ALL,         ALL,         ALL,         False, "not the lowest index"),
    (1,   hosts(1, 2), ALL,         ALL,         True,  "0 is not in L"),
    (1,   ALL,         hosts(1, 2), ALL,         True,  "0 is not heard"),
    (1,   ALL,         ALL,         hosts(1, 2), True,  "0 does not advance"),
]


@pytest.mark.parametrize("me, liveset, heard, advancing, mine, why", TASK,
                         ids=[row[-1] for row in TASK])
def test_one_host_alone_repairs(me, liveset, heard, advancing, mine, why):
    """The lowest-index host of L n HB n SF."""
    view, repair = repair_of(me, liveset=liveset, heartbeat_domain=heard,
                             statefile_domain=advancing)
    seen(repair, 1000, bad())
    assert (seen(repair, 1400, bad()) is not None) is mine


def test_a_starting_host_repairs_nothing():
    view, repair = repair_of(phase=Phase.STARTING)
    seen(repair, 1000, bad())
    assert seen(repair, 1400, bad()) is None


# ---- another host's record


def bad_record(since_ms=1000, fingerprint=77, **facts):
    facts.setdefault("heartbeat_domain", hosts(0, 1))
    view, repair = repair_of(**facts)
    peer = view.peers[2]
    peer.bad_since_ms, peer.bad_fingerprint = since_ms, fingerprint
    peer.incarnation = 1234
    return view, repair


def test_the_record_of_a_silent_host_is_rewritten_when_its_bytes_have_not_changed_for_T2():
    view, repair = bad_record()
    assert repair.host_record(5999) is None
    assert repair.host_record(6000).host == 2
    assert repair.host_record(6000).expected == 77


def test_what_must_not_be_forgotten_of_a_host_is_kept():
    """Excluded, incarnation, last words and sequence as last known; the rest is initialised."""
    words = LastWords(code="no-survival-rule", text="x", at_wall_s=1, incarnation=1234,
                      liveset=ALL, heartbeat_domain=ALL, statefile_domain=ALL)
    view, repair = bad_record()
    view.peers[2].record = host_record(
        2, excluded=True, sequence=99, lock_request=True,
        seal=record_seal(1234, last_words=words, holding=True))
    content = repair.host_record(6000).content
    assert (content.excluded, content.sequence) == (True, 99)
    assert (content.seal.incarnation, content.seal.last_words) == (1234, words)
    assert (content.host_index, content.host_uuid) == (2, uuid_of(2))
    assert not content.lock_request and not content.seal.holding
    assert content.seal.watchdog_mode is WatchdogMode.UNKNOWN
    assert not content.current_liveset


def test_the_record_of_an_xhad_gets_no_seal():
    """A seal would say that a host of ours had written it."""
    view, repair = bad_record()
    view.peers[2].incarnation = 0
    view.peers[2].record = host_record(2, excluded=True, sequence=99, seal=None)
    content = repair.host_record(6000).content
    assert (content.excluded, content.sequence, content.seal) == (True, 99, None)


LEFT_ALONE = [
    (dict(heartbeat_domain=ALL), "a host that is heard rewrites its own"),
    (dict(fingerprint=0), "bytes that cannot be read cannot be told from changed ones"),
    (dict(since_ms=NEVER), "it is good"),
    (dict(me=1), "another host's task"),
]


@pytest.mark.parametrize("facts, why", LEFT_ALONE, ids=[row[-1] for row in LEFT_ALONE])
def test_a_record_is_left_alone(facts, why):
    view, repair = bad_record(**facts)
    assert repair.host_record(100000) is None


def test_my_own_record_is_not_repaired_but_written():
    view, repair = repair_of()
    view.peers[0].bad_since_ms, view.peers[0].bad_fingerprint = 0, 77
    assert repair.host_record(100000) is None


# ---- changes of the global record


ORDER = [
    # on disk            wanted             written            why
    (PoolState.INIT,     PoolState.ACTIVE,  PoolState.ACTIVE,  "it rises"),
    (PoolState.ACTIVE,   PoolState.INVALID, PoolState.INVALID, "it rises"),
    (PoolState.ACTIVE,   PoolState.ACTIVE,  None,              "it is there"),
    (PoolState.INVALID,  PoolState.ACTIVE,  None,              "it is never walked back"),
    (PoolState.ACTIVE,   None,              None,              "nothing is wanted"),
]


@pytest.mark.parametrize("found, wanted, written, why", ORDER, ids=[
    "{} {}".format(row[0].name, row[-1]) for row in ORDER])
def test_the_pool_state_only_rises(found, wanted, written, why):
    changes = GlobalChanges(view_of())
    if wanted is not None:
        changes.want_state(wanted)
    rewritten = changes.read(global_record(found))
    assert (rewritten.pool_state if rewritten else None) == written


def test_a_change_stays_pending_until_a_later_reading_shows_it():
    changes = GlobalChanges(view_of())
    changes.want_state(PoolState.ACTIVE)
    for _ in range(3):
        assert changes.read(global_record(PoolState.INIT)).pool_state is PoolState.ACTIVE
    assert changes.pending_state is PoolState.ACTIVE
    assert changes.read(global_record(PoolState.ACTIVE)) is None
    assert changes.pending_state is None


def test_a_writer_never_lowers_the_state_it_has_seen():
    """A slow writer put an older state back: whoever has seen the newer one says so again."""
    changes = GlobalChanges(view_of())
    changes.read(global_record(PoolState.ACTIVE))
    assert changes.read(global_record(PoolState.INIT)).pool_state is PoolState.ACTIVE


def test_a_lower_wish_changes_nothing():
    changes = GlobalChanges(view_of())
    changes.want_state(PoolState.INVALID)
    changes.want_state(PoolState.ACTIVE)
    assert changes.pending_state is PoolState.INVALID


def test_state_and_master_are_folded_into_one_record():
    changes = GlobalChanges(view_of())
    changes.want_state(PoolState.ACTIVE)
    changes.want_master(uuid_of(0))
    rewritten = changes.read(global_record(PoolState.INIT))
    assert (rewritten.pool_state, rewritten.master) == (PoolState.ACTIVE, uuid_of(0))


def test_two_hosts_that_rewrite_in_one_instant_both_prevail_in_the_end():
    """One with active, one with master: the later write carries the other's field as it was."""
    disk = global_record(PoolState.INIT)
    state, master = GlobalChanges(view_of()), GlobalChanges(view_of())
    state.want_state(PoolState.ACTIVE)
    master.want_master(uuid_of(1))
    first, second = state.read(disk), master.read(disk)
    disk = second._replace(seal=first.seal)        # The second write came last.
    for _ in range(2):
        for changes in (state, master):
            disk = changes.read(disk) or disk
    assert (disk.pool_state, disk.master) == (PoolState.ACTIVE, uuid_of(1))


def test_the_key_and_what_else_the_record_holds_are_carried_on():
    changes = GlobalChanges(view_of())
    changes.want_master(uuid_of(0))
    found = global_record(pool_key=bytes(range(1, 33)), host_count=7)
    assert changes.read(found)._replace(master=found.master, seal=found.seal) == found


def test_whoever_set_invalid_looks_again_for_ws_and_t2():
    view = view_of()
    watch = Invalidation(1000, view)
    assert not watch.is_over(9999)
    assert watch.is_over(10000)
    assert watch.until_ms == 10000
