"""Who goes on and who drops whom, in every small pool, cut in every way: never two winners.

Exhaustive over the links between up to 4 hosts, who has the State-File, and weights.  Source:
spec 5, "Fault handler" step 3, "Merge", invariants 3 and 4.
"""

import itertools

import pytest
from survivalmodel import World, able_ones, both_ways, is_clean, one_way, outcome, winners_apart

from xha.hostset import EMPTY, HostSet
from xha.liveset import Verdict, size

#: What it takes is the core's, and the same on every Python.
pytestmark = pytest.mark.ends

RULE_2 = Verdict.ALL_LOST_STATEFILE


def weightings(count, choices):
    return list(itertools.product(choices, repeat=count))


def judged(world):
    """The outcome, once it is known that there are no two winners, and that each keeps the rest."""
    kept, rules = outcome(world)
    assert not winners_apart(world, kept), (world, kept, rules)
    for keeps in kept.values():
        assert keeps == HostSet(kept), "who goes on keeps just those who go on: " + repr(world)
    return HostSet(kept), rules


def majority(world):
    """Hosts with the State-File that hear each other and nobody else, and weigh more than half."""
    half = size(world.everyone, world.weights) / 2
    for host in world.able:
        side = world.heard[host] & world.able
        if all(world.heard[other] & world.able == side for other in side) and size(
                side, world.weights) > half:
            return side
    return EMPTY


@pytest.mark.parametrize("count, choices", [(1, (1, 5)), (2, (1, 2, 5)), (3, (1, 2, 5)),
                                            (4, (1, 5))])
def test_whatever_links_and_storage_are_lost_the_survivors_hear_each_other(count, choices):
    for heard in both_ways(count):
        for able in able_ones(count):
            for weights in weightings(count, choices):
                world = World(heard, able, weights)
                survivors, rules = judged(world)
                assert all(world.hear_each_other(one, other)
                           for one in survivors for other in survivors)
                assert survivors or not able, "somebody with the State-File goes on"
                assert not majority(world) or survivors == majority(world), world
                for host in survivors:
                    assert (host in able) == (rules[host] is not RULE_2), world


@pytest.mark.parametrize("count, lost", [(2, 2), (3, 3), (4, 1)])
def test_whatever_one_way_links_are_lost_there_are_no_two_winners(count, lost):
    """One-way losses become two-way ones while views are exchanged; not every one in time.

    Args:
        lost: how many hosts at most have no State-File.
    """
    for heard in one_way(count):
        for able in able_ones(count):
            if count - len(able) <= lost:
                judged(World(heard, able, (1,) * count))


@pytest.mark.parametrize("count", [2, 3, 4])
def test_one_host_whose_record_is_late_takes_nobody_else_down(count):
    """What it writes of whom it hears is old: it still says everybody."""
    for heard in both_ways(count):
        for weights in weightings(count, (1, 5)):
            world = World(heard, HostSet.first(count), weights)
            for late in world.everyone:
                survivors, _ = judged(world)
                misled, _ = judged(world._replace(late=HostSet([late])))
                assert survivors == misled, (world, late)


def test_two_hosts_whose_records_are_late_can_make_two_winners_only_of_a_network_in_no_sides():
    """Known: what the ballot of spec 13 cures; until then fence requests and the guard decide."""
    apart = set()
    for heard in both_ways(4):
        for late in able_ones(4):
            world = World(heard, HostSet.first(4), (1,) * 4, late=late)
            kept, _ = outcome(world)
            if winners_apart(world, kept):
                assert len(late) > 1 and not is_clean(world), world
                apart.add(world)
    assert len(apart) == 18


@pytest.mark.parametrize("count", [2, 3, 4])
def test_hosts_that_are_out_of_the_liveset_hinder_nobody_and_win_nothing(count):
    for heard in both_ways(count):
        for out in able_ones(count)[:-1]:
            for able in able_ones(count):
                world = World(heard, able, (1,) * count, excluded=out,
                              liveset=HostSet.first(count) - out)
                survivors, rules = judged(world)
                assert not survivors & out
                whole = all(world.liveset <= heard[host] for host in world.liveset)
                if not able & world.liveset:
                    assert survivors == (world.liveset if whole else EMPTY), world
                    assert set(rules.values()) <= {RULE_2}


def test_with_an_xhad_peer_the_rule_is_its_own_and_one_late_record_kills_the_healthy():
    """Known, spec 5: in a mixed pool both kinds must decide alike, so one end is believed."""
    heard = (HostSet([0]), HostSet([1, 2]), HostSet([1, 2]))
    world = World(heard, HostSet.first(3), (1,) * 3, late=HostSet([0]), unsealed=HostSet([1]))
    assert outcome(world)[0] == {}
    assert outcome(world._replace(unsealed=EMPTY))[0] == {1: HostSet([1, 2]), 2: HostSet([1, 2])}
