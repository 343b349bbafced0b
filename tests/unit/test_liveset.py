"""Who may go on: survival rules, largest partition, merge; exhaustive where they are pure.

Source: spec 5, "Fault handler" step 3, "Largest partition", "Merge".
"""

import itertools

import pytest
from core_samples import hosts

from xha.hostset import EMPTY, HostIndex, HostSet
from xha.liveset import (
    Picture, Verdict, all_lost_statefile, in_largest_partition, merge, partition_of, poverty,
    size, survival_test, winner)

SURVIVES = (Verdict.SEES_ALL, Verdict.LARGEST_PARTITION, Verdict.ALL_LOST_STATEFILE)


def picture(me, heard, advancing, access=None, weights=None, excluded=EMPTY, liveset=None,
            told=None,
            unsealed=EMPTY):
    """What host ``me`` knows when every host publishes what it sees.

    Args:
        heard: for each host, whom it hears.
        advancing: for each host, whose records it sees advance (also by heartbeat).
        told: what each host says of the State-File by heartbeat, where that differs.
        unsealed: hosts that are xhad peers.
    """
    count = len(heard)
    return Picture(
        me=HostIndex(me), everyone=HostSet.first(count),
        liveset=HostSet.first(count) if liveset is None else liveset,
        heartbeat_domain=heard[me], statefile_domain=advancing[me],
        statefile_access=me in advancing[me] if access is None else access,
        heartbeat_on_statefile=tuple(heard), statefile_on_statefile=tuple(advancing),
        heartbeat_on_heartbeat=tuple(heard), statefile_on_heartbeat=tuple(told or advancing),
        weights=tuple(weights or (1,) * count), excluded=excluded, unsealed=unsealed)


def splits(count):
    """Every split of hosts 0 to count - 1 into sides: for each host, its side's number."""
    for sides in itertools.product(range(count), repeat=count):
        if all(side <= max(sides[:host], default=-1) + 1 for host, side in enumerate(sides)):
            yield sides


def side_of(sides, host):
    return HostSet(other for other, side in enumerate(sides) if side == sides[host])


def decide(me, heard, advancing, weights=None, excluded=EMPTY):
    """The verdict of a host whose view cannot agree with everybody's."""
    return survival_test(merge(picture(me, heard, advancing, weights=weights, excluded=excluded)))


# ---- exhaustive


@pytest.mark.parametrize("count, choices", [(1, (1, 2, 5)), (2, (1, 2, 5)), (3, (1, 2, 5)),
                                            (4, (1, 2, 5)), (5, (1, 3))])
def test_of_every_clean_split_and_weighting_exactly_the_best_side_survives(count, choices):
    """Source: spec 5: the largest wins, the lowest index on a tie."""
    everyone = HostSet.first(count)
    for sides in splits(count):
        heard = [side_of(sides, host) for host in range(count)]
        for weights in itertools.product(choices, repeat=count):
            best = max(set(heard), key=lambda side: (size(side, weights), -side.lowest()))
            survivors = HostSet(host for host in range(count) if decide(
                host, heard, [everyone] * count, weights) in SURVIVES)
            assert survivors == best, (sides, weights)


@pytest.mark.parametrize("count", [1, 2, 3, 4])
def test_of_every_split_and_loss_of_storage_only_hosts_with_storage_of_one_side_survive(count):
    """Source: spec 5: without SR2 a host outside its own sfd never survives."""
    everyone = HostSet.first(count)
    for sides in splits(count):
        heard = [side_of(sides, host) for host in range(count)]
        for bits in range(1, 1 << count):
            able = HostSet.of_bits(bits)
            advancing = [able if host in able else EMPTY for host in everyone]
            survivors = HostSet(host for host in everyone if decide(
                host, heard, advancing) in SURVIVES)
            best = max((heard[host] & able for host in able),
                       key=lambda side: (len(side), -side.lowest()))
            assert survivors == best, (sides, able)


@pytest.mark.parametrize("count", [1, 2, 3, 4, 5])
def test_without_any_storage_all_survive_a_whole_network_and_none_a_split_one(count):
    """Source: spec 5: SR2 needs every host of N in hbd, or excluded."""
    for sides in splits(count):
        heard = [side_of(sides, host) for host in range(count)]
        whole = len(set(sides)) == 1
        for me in range(count):
            verdict = survival_test(picture(me, heard, [EMPTY] * count))
            assert (verdict is Verdict.ALL_LOST_STATEFILE) == whole, (sides, me)
            assert (verdict in SURVIVES) == whole, (sides, me)


@pytest.mark.parametrize("count", [2, 3, 4])
def test_whatever_links_are_broken_one_way_those_who_survive_all_hear_each_other(count):
    """Every directed pattern of links: the survivors are a clique, and there are some."""
    everyone = HostSet.first(count)
    links = [(one, other) for one in everyone for other in everyone if one != other]
    for pattern in itertools.product((False, True), repeat=len(links)):
        heard = [hosts(host, *[other for link, (one, other) in enumerate(links)
                               if pattern[link] and one == host]) for host in everyone]
        survivors = HostSet(host for host in everyone if decide(
            host, heard, [everyone] * count) in SURVIVES)
        assert survivors, heard
        for host in survivors:
            assert survivors <= heard[host], (heard, survivors)


@pytest.mark.parametrize("count, choices", [(3, (1, 2, 5)), (4, (1, 5)), (5, (1,))])
def test_whatever_links_are_broken_the_survivors_are_those_of_the_reduced_matrix(count, choices):
    """All hosts reduce the same matrix to the same clique; nobody else survives."""
    everyone = HostSet.first(count)
    links = list(itertools.combinations(range(count), 2))
    for weights in itertools.product(choices, repeat=count):
        for pattern in itertools.product((False, True), repeat=len(links)):
            heard = [hosts(host, *[sum(link) - host for keep, link in zip(pattern, links)
                                   if keep and host in link]) for host in everyone]
            reduced = [merge(picture(me, heard, [everyone] * count, weights=weights))
                       for me in everyone]
            rows = reduced[0].heartbeat_on_statefile
            assert all(one.heartbeat_on_statefile == rows for one in reduced)
            clique = HostSet(host for host in everyone if rows[host])
            assert all(rows[host] == (clique if host in clique else EMPTY) for host in everyone)
            assert all((survival_test(one) in SURVIVES) == (one.me in clique) for one in reduced)


# ---- the survival test, sentence by sentence


ALL = hosts(0, 1, 2)
ONE_SIDED = [hosts(0, 1), hosts(0, 1), hosts(2)]

# heard, advancing (of host 0, 1, 2), what host 0 may do, and why
SURVIVAL = [
    ([ALL] * 3, [ALL] * 3, Verdict.SEES_ALL, "it sees all who have the State-File"),
    (ONE_SIDED, [hosts(0, 1)] * 3, Verdict.SEES_ALL, "who has no State-File need not be heard"),
    (ONE_SIDED, [ALL] * 3, Verdict.LARGEST_PARTITION, "it does not hear 2, but has more hosts"),
    ([hosts(0), hosts(1, 2), hosts(1, 2)], [ALL] * 3, Verdict.FENCE, "the others are more"),
    ([ALL] * 3, [hosts(1, 2)] * 3, Verdict.FENCE, "its own record does not advance"),
    ([ALL] * 3, [EMPTY] * 3, Verdict.ALL_LOST_STATEFILE, "nobody has it, all are heard"),
    (ONE_SIDED, [EMPTY] * 3, Verdict.FENCE, "nobody has it, and 2 is not heard"),
    ([ALL] * 3, [EMPTY, hosts(1), EMPTY], Verdict.FENCE, "1 has it, so rule 2 does not hold"),
    ([hosts(0)] * 3, [hosts(0)] * 3, Verdict.SEES_ALL, "alone on both paths"),
]


@pytest.mark.parametrize("heard, advancing, verdict, why", SURVIVAL,
                         ids=[row[-1] for row in SURVIVAL])
def test_a_host_survives_by_this_rule(heard, advancing, verdict, why):
    assert survival_test(picture(0, heard, advancing)) is verdict


def test_hosts_outside_the_liveset_count_in_no_rule():
    """hbd = HB n L, sfd = SF n L: host 2 is starting, is not heard, and hinders nobody."""
    heard = [hosts(0, 1), hosts(0, 1), hosts(2)]
    assert survival_test(picture(0, heard, [ALL] * 3, liveset=hosts(0, 1))) is Verdict.SEES_ALL


def test_rule_2_needs_hosts_that_are_heard_to_be_of_the_liveset():
    assert survival_test(picture(
        0, [ALL] * 3, [EMPTY] * 3, liveset=hosts(0, 1))) is Verdict.FENCE


def test_rule_2_does_not_wait_for_an_excluded_host():
    heard = [hosts(0, 1)] * 2 + [EMPTY]
    assert all_lost_statefile(picture(0, heard, [EMPTY] * 3, excluded=hosts(2)))
    assert not all_lost_statefile(picture(0, heard, [EMPTY] * 3))


def test_rule_2_does_not_hold_for_a_host_that_has_access_itself():
    assert not all_lost_statefile(picture(0, [ALL] * 3, [EMPTY] * 3, access=True))


def test_rule_2_asks_what_the_others_say_by_heartbeat_not_on_the_statefile():
    said = picture(0, [ALL] * 3, [EMPTY, ALL, ALL], access=False, told=[EMPTY] * 3)
    assert all_lost_statefile(said._replace(statefile_domain=EMPTY))


# ---- the largest partition


def test_the_size_of_a_partition_is_one_for_each_host_and_256_for_each_unit_of_weight():
    assert size(hosts(0, 2), (1, 9, 3)) == (1 + 256) + (1 + 3 * 256)


def test_a_heavier_host_outweighs_any_number_of_light_ones():
    light = HostSet.first(63)
    assert size(hosts(63), (0,) * 63 + (1,)) > size(light, (0,) * 64)


WINNERS = [
    # heard by 0,1,2         seen by 0,1,2    weights    winner  why
    ([ALL] * 3, [ALL] * 3, (1, 1, 1), 0, "a tie is the lowest index's"),
    ([hosts(0), hosts(1, 2), hosts(1, 2)], [ALL] * 3, (1, 1, 1), 1, "two are more than one"),
    ([hosts(0), hosts(1), hosts(2)], [ALL] * 3, (1, 1, 2), 2, "weight counts more than index"),
    ([ALL] * 3, [EMPTY] * 3, (1, 1, 1), None, "size 0 never wins"),
    ([ALL] * 3, [hosts(1, 2), EMPTY, hosts(1, 2)], (1, 1, 1), 2, "SF_1 is empty: so is its part"),
]


@pytest.mark.parametrize("heard, advancing, weights, expected, why", WINNERS,
                         ids=[row[-1] for row in WINNERS])
def test_the_largest_partition_is_that_of(heard, advancing, weights, expected, why):
    assert winner(picture(0, heard, advancing, weights=weights)) == expected


def test_a_partition_is_whom_a_host_says_it_hears_and_sees():
    """The partition is HB_i n SF_i as i published them."""
    one = picture(0, [ALL, hosts(0, 1), ALL], [ALL, hosts(1, 2), ALL])
    assert partition_of(one, 1) == hosts(1)


def test_a_partition_is_not_cut_to_the_liveset():
    one = picture(0, [ALL] * 3, [ALL] * 3, liveset=hosts(0, 1))
    assert partition_of(one, 1) == ALL


def test_only_hosts_of_my_statefile_domain_have_a_partition():
    one = picture(0, [hosts(0), ALL, ALL], [hosts(0, 2), ALL, ALL], weights=(1, 9, 1))
    assert winner(one) == 2


MEMBERS = [
    (0, [ALL] * 3, True, "the winner itself"),
    (2, [ALL] * 3, True, "in the winner's, and hears it"),
    (2, [hosts(0, 1), hosts(0, 1), hosts(0, 2)], False, "the winner does not hear it"),
    (2, [ALL, ALL, hosts(1, 2)], False, "it does not hear the winner"),
]


@pytest.mark.parametrize("me, heard, expected, why", MEMBERS, ids=[row[-1] for row in MEMBERS])
def test_a_host_is_in_the_largest_partition(me, heard, expected, why):
    assert in_largest_partition(picture(me, heard, [ALL] * 3, weights=(5, 1, 1))) is expected


def test_nobody_is_in_the_largest_partition_when_there_is_none():
    assert not in_largest_partition(picture(0, [ALL] * 3, [EMPTY] * 3))


# ---- the merge


def test_the_poorest_row_is_by_weight_then_count_then_the_highest_lowest_index():
    """Poorest = smallest sum of weights x 65536 + count x 256 + (64 - lowest index)."""
    assert poverty(hosts(1, 2), (9, 2, 3)) == 5 * 65536 + 2 * 256 + 63
    assert poverty(EMPTY, (1,)) == 0


def test_of_rows_that_are_equally_poor_the_highest_index_is_removed():
    """0 and 1 do not hear each other; both hear 2: rows {0,2}, {1,2}; then the richer stays."""
    reduced = merge(picture(2, [hosts(0, 2), hosts(1, 2), ALL], [ALL] * 3))
    assert reduced.heartbeat_on_statefile == (hosts(0, 2), EMPTY, hosts(0, 2))


def test_of_equal_rows_the_highest_index_is_removed():
    """Rows of 1 and 2 are equal and poorest; 2 goes, then 1 is whole."""
    reduced = merge(picture(1, [ALL, hosts(1, 2), hosts(1, 2)], [ALL] * 3, unsealed=hosts(0)))
    assert reduced.heartbeat_on_statefile[2] == EMPTY


def test_a_link_that_one_end_alone_claims_takes_nobody_down():
    """0 is cut off and still writes that it hears all; 1 and 2 hear each other."""
    heard = [ALL, hosts(1, 2), hosts(1, 2)]
    reduced = merge(picture(1, heard, [ALL] * 3))
    assert reduced.heartbeat_on_statefile == (EMPTY, hosts(1, 2), hosts(1, 2))
    assert [decide(host, heard, [ALL] * 3) for host in range(3)] == [
        Verdict.FENCE, Verdict.LARGEST_PARTITION, Verdict.LARGEST_PARTITION]


def test_with_an_xhad_peer_one_end_of_a_link_is_believed_as_that_peer_does():
    heard = [ALL, hosts(1, 2), hosts(1, 2)]
    assert merge(picture(0, heard, [ALL] * 3, unsealed=hosts(1))).heartbeat_domain


def test_hosts_that_are_removed_stay_in_the_statefile_domain():
    reduced = merge(picture(0, ONE_SIDED, [ALL] * 3))
    assert reduced.statefile_domain == ALL
    assert reduced.heartbeat_on_statefile == (hosts(0, 1), hosts(0, 1), EMPTY)


def test_a_host_that_was_removed_hears_nobody_and_has_to_go():
    reduced = merge(picture(2, ONE_SIDED, [ALL] * 3))
    assert reduced.heartbeat_domain == EMPTY
    assert survival_test(reduced) is Verdict.FENCE


EMPTY_SF = [
    ([ALL, EMPTY, ALL], None, "on the State-File"),
    ([ALL] * 3, [ALL, EMPTY, ALL], "by heartbeat"),
]


@pytest.mark.parametrize("advancing, told, why", EMPTY_SF, ids=[row[-1] for row in EMPTY_SF])
def test_a_host_that_says_it_sees_nobody_is_out_of_the_statefile_domain(advancing, told, why):
    """SF := SF without every host whose own published SF is empty on either path."""
    reduced = merge(picture(0, [ALL] * 3, advancing, told=told))
    assert reduced.statefile_domain == hosts(0, 2)
    assert reduced.heartbeat_domain == hosts(0, 2)


def test_a_starting_host_outside_the_liveset_empties_no_matrix():
    reduced = merge(picture(0, [hosts(0, 1), hosts(0, 1), hosts(2)], [ALL] * 3,
                            liveset=hosts(0, 1)))
    assert reduced.heartbeat_domain == hosts(0, 1)
