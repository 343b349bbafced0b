"""What follows from the facts of a sandbox: who is master, who agrees, what changed."""
import pytest

from sandbox_samples import host, pool
from xha import sandboxfacts
from xha.sandboxfacts import State

GONE = dict(silent=True)


def test_a_healthy_pool_agrees_and_is_calm():
    facts = pool(3)
    assert sandboxfacts.agree_on(facts, frozenset((0, 1, 2)))
    assert sandboxfacts.calm(facts)
    assert sandboxfacts.waits(facts) == []


AGREEMENT = [
    # hosts that differ, liveset, agreed?, why
    ({2: host(2, 3, State.FENCED, **GONE)}, {0, 1}, False, "the others still count host 2"),
    ({0: host(0, 3, current_liveset=[0, 1]), 1: host(1, 3, current_liveset=[0, 1]),
      2: host(2, 3, State.FENCED, **GONE)}, {0, 1}, True, "both dropped host 2"),
    ({0: host(0, 3, current_liveset=[0, 1])}, {0, 1, 2}, False, "host 0 differs"),
    ({1: host(1, 3, State.HANDLING, phase="fh4")}, {0, 1, 2}, False, "host 1 is not at rest"),
    ({}, set(), False, "nobody agrees on nothing"),
]


@pytest.mark.parametrize("hosts, liveset, agreed, why", AGREEMENT,
                         ids=[row[-1] for row in AGREEMENT])
def test_hosts_agree_when_each_says_the_same_and_is_at_rest(hosts, liveset, agreed, why):
    assert sandboxfacts.agree_on(pool(3, hosts), frozenset(liveset)) is agreed


MASTERS = [
    # hosts that differ, master, why
    ({}, 1, "all name host 1"),
    ({2: host(2, 3, master=0)}, -1, "host 2 has not read it yet"),
    ({2: host(2, 3, State.STARTING, master=0)}, 1, "a host that starts has no say"),
    ({2: host(2, 3, State.CRASHED, **GONE)}, 1, "a dead host has no say"),
]


@pytest.mark.parametrize("hosts, master, why", MASTERS, ids=[row[-1] for row in MASTERS])
def test_the_master_is_whom_all_members_name(hosts, master, why):
    assert sandboxfacts.master(pool(3, hosts, master=1)) == master


def test_two_holders_of_the_lock_would_be_seen():
    facts = pool(3, {2: host(2, 3, master=1, holding_master_lock=True)}, master=1)
    assert sandboxfacts.holders(facts) == [1, 2]


AGES = [
    # hosts that differ, age of host 2's heartbeat, why
    ({}, 400, "what the others report"),
    ({0: host(0, 3, ages={2: 7000})}, 400, "the newest sign that anybody noticed"),
    ({0: host(0, 3, ages={2: 7000}), 1: host(1, 3, ages={2: 6000})}, 6000, "of the others only"),
    ({0: host(0, 3, ages={2: None}), 1: host(1, 3, ages={2: None})}, sandboxfacts.UNKNOWN,
     "nobody ever heard it"),
    ({0: host(0, 3, State.FENCED, **GONE), 1: host(1, 3, State.FENCED, **GONE)},
     sandboxfacts.UNKNOWN, "nobody is there to say"),
]


@pytest.mark.parametrize("hosts, age, why", AGES, ids=[row[-1] for row in AGES])
def test_the_age_of_a_sign_of_life_is_what_others_noticed_last(hosts, age, why):
    assert sandboxfacts.age_ms(pool(3, hosts), 2, "heartbeat") == age


def test_a_host_that_is_alone_tells_its_own_age():
    assert sandboxfacts.age_ms(pool(1), 0, "statefile") == 900


CUTS = [
    # hosts, links, words, why
    (3, {(0, 2), (2, 0), (1, 2), (2, 1)}, "network 0 1 | 2", "two groups"),
    (3, {(a, b) for a in range(3) for b in range(3) if a != b}, "network 0 | 1 | 2",
     "everybody alone"),
    (3, {(0, 1)}, "network 0-/>1", "one way"),
    (3, {(0, 1), (0, 2)}, "network 0-/>1,2", "one host's cable, one way"),
    (3, {(0, 1), (1, 0)}, "network 0-/-1", "a link, while both hear the third"),
]


@pytest.mark.parametrize("count, cut, words, why", CUTS, ids=[row[-1] for row in CUTS])
def test_a_cut_is_said_as_a_person_would(count, cut, words, why):
    assert sandboxfacts.broken(pool(count, cut=cut)) == words


def test_broken_disks_are_named():
    facts = pool(3, {0: host(0, 3, disk="fail"), 2: host(2, 3, disk="fail"),
                     1: host(1, 3, disk="slow")})
    assert sandboxfacts.broken(facts) == "disk fail: 0 2, disk slow: 1"


NAMES = [
    ([1], "host 1"), ([0, 2], "hosts 0, 2"), ([0, 1, 2], "hosts 0-2"),
    ([0, 1, 2, 3, 7, 8], "hosts 0-3, 7, 8"),
]


@pytest.mark.parametrize("hosts, words", NAMES, ids=[row[-1] for row in NAMES])
def test_hosts_are_named_shortly(hosts, words):
    assert sandboxfacts.named(hosts) == words


def test_equal_changes_are_one_line_and_a_master_is_told():
    before = pool(3, master=-1)
    after = pool(3, {index: host(index, 3, State.HANDLING, phase="fh1", master=1,
                                 waiting_for="all views to agree", heartbeat_domain=[0, 1])
                     for index in (0, 1)}, master=1)
    assert sandboxfacts.changes(before, after) == [
        "hosts 0, 1: fault handler FH1, waiting for all views to agree",
        "hosts 0, 1: hears 110",
        "the State-File names host 1 as master"]


def test_nothing_new_is_nothing_said():
    assert sandboxfacts.changes(pool(3), pool(3, at_s=99.0)) == []


def test_the_end_of_a_host_and_survival_rule_2_are_said():
    after = pool(3, {0: host(0, 3, survival_rule_2=True),
                     2: host(2, 3, State.FENCED, "the heartbeat timer expired", **GONE)})
    assert sandboxfacts.changes(pool(3), after) == [
        "host 2: fenced: the heartbeat timer expired", "host 0: survival rule 2 holds"]
