"""A host that stalled accuses nobody.  Source: spec 5, the section of that name.

With t1 = t2 = 1 s and T1 = T2 = 5 s: a gap is 2 s without a step, or more than 3 s without a
good reading; at most 5 s are discounted in one silence.
"""

import pytest
from core_samples import common, names_of, view_of

from xha.stall import Stall


def stalled(gap_ms=3000, heard_at_ms=900, **facts):
    """A host that was stepped at 1000, and not again for ``gap_ms``; its peers spoke before."""
    view = view_of(reading_completed_at_ms=900, **facts)
    for peer in view.peers:
        peer.heard_at_ms = peer.advanced_at_ms = heard_at_ms
    stall = Stall(view)
    stall.stepped(1000, True)
    stall.stepped(1000 + gap_ms, False)
    return view, stall


GAPS = [
    (1, 1999, False, "shorter than 2 x t1"),
    (1, 2000, True, "2 x t1"),
    (4, 7999, False, "2 x t1 of a slower pool"),
    (4, 8000, True, "2 x t1 of a slower pool"),
]


@pytest.mark.parametrize("t1, gap_ms, noticed, why", GAPS, ids=[
    "{} {}".format(*row[1:3]) for row in GAPS])
def test_a_core_that_was_not_stepped_for_so_long_has_stalled(t1, gap_ms, noticed, why):
    view, stall = stalled(gap_ms, settings=common(3, HeartbeatInterval=t1, HeartbeatTimeout=30,
                                                  HeartbeatWatchdogTimeout=30))
    assert ("gap-noticed" in names_of(view.out)) is noticed
    assert view.settled is not noticed


def test_the_silence_of_others_is_counted_without_the_gap():
    view, stall = stalled(3000, heard_at_ms=900)
    assert [peer.heartbeat_discount_ms for peer in view.peers] == [3000] * 3
    assert [peer.statefile_discount_ms for peer in view.peers] == [3000] * 3


def test_only_the_part_of_a_silence_that_lies_in_the_gap_is_discounted():
    """A record read in the gap, by a thread that ran on, is silent only since then."""
    view, stall = stalled(3000, heard_at_ms=3500)
    assert [peer.statefile_discount_ms for peer in view.peers] == [500] * 3


def test_at_most_the_longer_timeout_is_discounted_in_one_silence():
    view, stall = stalled(60000)
    assert [peer.heartbeat_discount_ms for peer in view.peers] == [5000] * 3


def test_a_host_that_was_never_heard_has_no_silence_to_discount():
    view = view_of()
    stall = Stall(view)
    stall.stepped(1000, True)
    stall.stepped(9000, True)
    assert [peer.heartbeat_discount_ms for peer in view.peers] == [0] * 3


def test_after_a_gap_it_listens_first_to_what_waits_then_reads_once():
    """It takes in all datagrams that wait and completes one reading issued after the gap."""
    view, stall = stalled(3000)
    stall.stepped(4001, False)
    assert not view.settled, "a datagram was taken in; others may wait"
    stall.stepped(4002, True)
    assert not view.settled, "no reading issued after the gap yet"
    stall.read(900, 3000, 4003)
    stall.stepped(4003, True)
    assert not view.settled, "that one was issued within the gap"
    stall.read(4003, 4004, 4010)
    stall.stepped(4010, True)
    assert view.settled


def test_the_tick_that_finds_the_gap_does_not_end_it():
    """A tick says that what came before it was taken in; the gap lies before it as well."""
    view = view_of()
    stall = Stall(view)
    stall.stepped(1000, True)
    stall.stepped(4000, True)
    assert not view.settled


def test_without_statefile_access_there_is_no_reading_to_wait_for():
    view, stall = stalled(3000, statefile_access=False)
    stall.stepped(4001, True)
    assert view.settled


READINGS = [
    (3000, False, "2 x t2 + 1 s: a slow cycle"),
    (3001, True, "longer: what is remembered of others is stale by my own fault"),
]


@pytest.mark.parametrize("gap_ms, noticed, why", READINGS, ids=[row[-1] for row in READINGS])
def test_no_good_reading_for_so_long_is_a_gap(gap_ms, noticed, why):
    view = view_of()
    for peer in view.peers:
        peer.advanced_at_ms = 1000
    stall = Stall(view)
    stall.read(1000, 996 + gap_ms, 1000 + gap_ms)
    assert ("gap-noticed" in names_of(view.out)) is noticed
    assert [peer.statefile_discount_ms for peer in view.peers] == [gap_ms * noticed] * 3
    assert [peer.heartbeat_discount_ms for peer in view.peers] == [0] * 3, "heartbeats were heard"


def test_the_first_reading_ends_no_gap():
    view = view_of()
    Stall(view).read(-1, 100000, 100004)
    assert not view.out


def test_a_pause_seen_by_the_loop_and_by_the_next_reading_is_one_gap():
    view, stall = stalled(3500)
    stall.stepped(4501, True)
    stall.read(900, 4502, 4506)
    assert names_of(view.out).count("gap-noticed") == 1


def gaps(count, apart_ms=2100):
    """A host with this many gaps, one after another."""
    view = view_of(reading_completed_at_ms=0)
    for peer in view.peers:
        peer.heard_at_ms = peer.advanced_at_ms = 0
    stall = Stall(view)
    now_ms = 0
    for _ in range(count + 1):
        stall.stepped(now_ms, True)
        now_ms += apart_ms
    return view, stall, now_ms - apart_ms


def test_three_gaps_within_the_longer_timeout_switch_the_rule_off():
    """Or a constantly slow host would never notice a death."""
    view, stall, now_ms = gaps(2)
    assert "gap-rule-off" not in names_of(view.out)
    view, stall, now_ms = gaps(3)
    assert "gap-rule-off" in names_of(view.out)
    assert view.settled, "it decides again"
    discounts = [peer.heartbeat_discount_ms for peer in view.peers]
    stall.stepped(now_ms + 2100, True)
    assert [peer.heartbeat_discount_ms for peer in view.peers] == discounts, "nothing is added"


def test_gaps_that_are_far_apart_do_not_switch_it_off():
    view, stall, now_ms = gaps(6, apart_ms=2600)
    assert "gap-rule-off" not in names_of(view.out)


def test_one_quiet_longer_timeout_switches_it_on_again():
    view, stall, now_ms = gaps(3)
    for quiet_ms in range(0, 5001, 500):
        stall.stepped(now_ms + quiet_ms, True)
    stall.stepped(now_ms + 5000 + 2500, True)
    assert "gap-rule-on" in names_of(view.out)
    assert not view.settled


def test_it_listened_last_at_the_tick_before_last():
    """The last tick's instant is no bound: the host may have been frozen before it."""
    view = view_of()
    stall = Stall(view)
    for now_ms, drained in ((1000, True), (1100, False), (1200, True), (1250, False)):
        stall.stepped(now_ms, drained)
    assert view.listened_at_ms == 1000
