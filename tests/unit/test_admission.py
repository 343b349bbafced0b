"""Letting other hosts join.  Source: spec 5, "Letting others join".  Host 0 of three is me."""

import pytest
from core_samples import EMPTY, heartbeat, heartbeat_seal, hosts, names_of, view_of

from xha.admission import Admission
from xha.compose import heartbeat as composed
from xha.echoes import mark
from xha.hostset import MAX_HOSTS
from xha.published import Phase

ALL = hosts(0, 1, 2)
PAIR = hosts(0, 1)


def pool(joiner=None, member=None, known=False, **facts):
    """Hosts 0 and 1 are the liveset; host 2 proposes itself, 1 proposes nobody new."""
    facts.setdefault("liveset", PAIR)
    facts.setdefault("proposed", PAIR)
    view = view_of(**facts)
    view.peers[1].heartbeat = heartbeat(1, **dict(
        dict(current_liveset=PAIR, proposed_liveset=PAIR), **(member or {})))
    view.peers[2].heartbeat = heartbeat(2, **dict(
        dict(current_liveset=PAIR, proposed_liveset=ALL, joining=True), **(joiner or {})))
    admission = Admission(view)
    if known:
        # Host 2 was in the liveset of this daemon, and was dropped.
        view.liveset, before = view.everyone, view.liveset
        admission.step(0)
        view.liveset = before
    admission.step(1000)
    return view


PROPOSED = [
    (dict(), dict(), True, "it proposes itself, and is seen on both paths"),
    (dict(), dict(heartbeat_domain=PAIR), False, "it is not heard"),
    (dict(), dict(statefile_domain=PAIR), False, "its record does not advance"),
    (dict(), dict(statefile_domain=PAIR, sr2=True), True, "under rule 2 nobody's does"),
    (dict(), dict(join_blocked=True), False, "joining is blocked"),
    (dict(), dict(settled=False), False, "a gap is being digested"),
    (dict(proposed_liveset=PAIR), dict(), False, "it does not propose itself"),
    (dict(), dict(liveset=EMPTY, proposed=EMPTY), False, "we have no liveset"),
]


@pytest.mark.parametrize("joiner, facts, proposed, why", PROPOSED,
                         ids=[row[-1] for row in PROPOSED])
def test_a_host_that_is_let_in_is_proposed(joiner, facts, proposed, why):
    view = pool(joiner, **facts)
    assert (2 in view.proposed) is proposed
    assert 2 not in view.liveset, "1 does not propose it yet"
    assert view.burst_wanted is proposed


ADMITTED = [
    (dict(proposed_liveset=ALL), dict(proposed=ALL), True, "every member proposes it"),
    (dict(), dict(proposed=ALL), False, "a member does not propose it"),
    (dict(proposed_liveset=ALL), dict(proposed=ALL, join_blocked=True), False, "it is blocked"),
    (dict(proposed_liveset=ALL), dict(proposed=ALL, settled=False), False, "a gap"),
    (dict(proposed_liveset=ALL), dict(), True, "I propose it in this very step"),
    (dict(proposed_liveset=ALL), dict(proposed=ALL, heartbeat_domain=PAIR), False,
     "it is not heard any more"),
    (dict(proposed_liveset=ALL), dict(proposed=ALL, heartbeat_domain=hosts(0, 2)), False,
     "the member is not heard any more: its word is old"),
    (dict(proposed_liveset=ALL, current_liveset=hosts(0)), dict(proposed=ALL), False,
     "the member does not know yet that it is one: it speaks as one that joins"),
]


@pytest.mark.parametrize("member, facts, admitted, why", ADMITTED,
                         ids=[row[-1] for row in ADMITTED])
def test_a_host_is_admitted(member, facts, admitted, why):
    """Once every host of L (me included) has i in its P, L := L + i; a burst follows."""
    view = pool(member=member, **facts)
    assert (2 in view.liveset) is admitted
    assert view.burst_wanted is admitted


def test_a_host_that_is_no_member_itself_admits_nobody():
    view = pool(member=dict(proposed_liveset=ALL), liveset=hosts(1), proposed=hosts(0, 1, 2))
    assert view.liveset == hosts(1)


def test_a_proposal_is_never_taken_back():
    """Another member may have admitted the host on the strength of ours."""
    view = pool(joiner=dict(proposed_liveset=PAIR, joining=False), proposed=ALL)
    assert view.proposed == ALL


MEMBER = dict(current_liveset=ALL, proposed_liveset=ALL, joining=False)
FOREIGN = [
    (dict(proposed=ALL), True, "I have it in P: the others have accepted it"),
    (dict(phase=Phase.STARTING), True, "I am still starting"),
    (dict(sr2=True), True, "under rule 2"),
    (dict(), False, "otherwise it was dropped, and runs"),
    (dict(join_blocked=True), False, "the fault handler runs"),
]


@pytest.mark.parametrize("facts, taken, why", FOREIGN, ids=[row[-1] for row in FOREIGN])
def test_a_host_that_is_in_its_own_liveset_but_not_in_mine(facts, taken, why):
    view = pool(joiner=MEMBER, known=True, member=dict(proposed_liveset=ALL), **facts)
    assert (view.liveset == ALL) is taken
    assert (2 in view.proposed) is taken
    assert ("dropped-host-runs" in names_of(view.out)) is not taken
    assert composed(view, 0, 1).fence_request is not taken


@pytest.mark.parametrize("facts", [dict(proposed=ALL), dict(phase=Phase.STARTING)])
@pytest.mark.parametrize("word, taken", [
    (dict(proposed_liveset=ALL), True), (dict(current_liveset=ALL), True), (dict(), False),
    (dict(current_liveset=hosts(0)), True),
], ids=["proposes it", "counts it", "dropped it", "is no member yet"])
def test_what_a_host_says_of_itself_may_be_late(word, taken, facts):
    """A member that has dropped it denies it: it is neither taken in nor accused."""
    view = pool(joiner=MEMBER, known=True, **facts)
    view.liveset, view.burst_wanted = PAIR, False
    view.peers[1].heartbeat = heartbeat(1, **dict(
        dict(current_liveset=PAIR, proposed_liveset=PAIR), **word))
    Admission(view).step(1001)
    assert (view.liveset == ALL) is taken
    assert not composed(view, 0, 1).fence_request


@pytest.mark.parametrize("heard, advancing, sr2, loss", [
    (PAIR, ALL, False, True), (ALL, PAIR, False, True), (ALL, ALL, False, False),
    (ALL, PAIR, True, False)])
def test_a_host_that_was_let_in_beside_this_one_and_is_not_seen_is_a_loss(
        heard, advancing, sr2, loss):
    view = pool(joiner=MEMBER, heartbeat_domain=PAIR)
    view.heartbeat_domain, view.statefile_domain, view.sr2 = heard, advancing, sr2
    view.peers[1].heartbeat = heartbeat(1, current_liveset=ALL, proposed_liveset=ALL)
    view.loss_pending = False
    Admission(view).step(1001)
    assert view.liveset == ALL
    assert view.loss_pending is loss


@pytest.mark.parametrize("heard_by_member, heard, taken, why", [
    (mark(1000, 10), ALL, True, "the life that this host hears"),
    (mark(1000, 900), ALL, True, "what it hears is late"),
    (mark(999, 10), ALL, False, "an earlier life"),
    (mark(999, 10), PAIR, True, "an earlier life; nothing is heard of it: a loss"),
    (0, ALL, True, "the member does not say: it runs xhad, or has heard nothing"),
])
def test_the_members_mean_the_life_that_they_hear(heard_by_member, heard, taken, why):
    view = pool(joiner=dict(proposed_liveset=EMPTY, current_liveset=EMPTY), heartbeat_domain=PAIR)
    view.heartbeat_domain = heard
    view.peers[1].heartbeat = heartbeat(
        1, current_liveset=ALL, proposed_liveset=ALL,
        seal=heartbeat_seal(heard=(0, 0, heard_by_member) + (0,) * (MAX_HOSTS - 3)))
    Admission(view).step(1001)
    assert (view.liveset == ALL) is taken


def test_a_dropped_host_that_runs_is_told_to_fence_until_it_is_silent():
    """The gravest error is said once; the heartbeats carry the request as long as it is heard."""
    view = pool(liveset=ALL, proposed=ALL)
    admission = Admission(view)
    admission.step(1000)
    view.liveset = view.proposed = PAIR
    view.peers[2].heartbeat = heartbeat(2, **MEMBER)
    for at_ms in (2000, 3000):
        admission.step(at_ms)
        assert names_of(view.out) == ["dropped-host-runs"]
        assert composed(view, 0, 1).fence_request
    view.heartbeat_domain = PAIR
    admission.step(4000)
    assert not composed(view, 0, 1).fence_request


# Host 2 was let in beside this host, which is a member since 1 s.  T1 is 5 s.
MEMBERS_SAY_SO = dict(current_liveset=ALL, proposed_liveset=ALL)
NEW = [
    # at,   the member's word,           facts,                     in,    accused, why
    (1001, MEMBERS_SAY_SO,              {},                         True,  False, "all say so"),
    (1001, dict(current_liveset=ALL),   {},                         False, False, "put out"),
    (1001, dict(proposed_liveset=ALL),  {},                         False, False, "not in yet"),
    (1001, MEMBERS_SAY_SO,              dict(frozen=True),          False, False, "frozen"),
    (1001, MEMBERS_SAY_SO,              dict(settled=False),        False, False, "a gap"),
    (1001, MEMBERS_SAY_SO,              dict(heartbeat_domain=hosts(0, 2)),
     False, False, "a member is not heard"),
    (5999, dict(),                      {},                         False, False, "almost T1"),
    (6000, dict(),                      {},                         False, True,  "T1"),
    (6000, dict(),                      dict(join_blocked=True),    False, False, "the walk"),
]


@pytest.mark.parametrize("at_ms, member, facts, taken, accused, why", NEW,
                         ids=[row[-1] for row in NEW])
def test_two_hosts_that_were_let_in_at_the_same_time(at_ms, member, facts, taken, accused, why):
    view = pool(joiner=MEMBER, heartbeat_domain=PAIR)
    admission = Admission(view)
    admission.step(1000)
    view.heartbeat_domain = ALL
    for name, value in facts.items():
        setattr(view, name, value)
    view.peers[1].heartbeat = heartbeat(1, **dict(
        dict(current_liveset=PAIR, proposed_liveset=PAIR), **member))
    admission.step(at_ms)
    assert (view.liveset == ALL) is taken
    assert ("dropped-host-runs" in names_of(view.out)) is accused


def test_a_disarmed_host_asks_nobody_to_fence():
    view = pool(joiner=MEMBER, known=True)
    view.fencing = type(view.fencing).DISARMED
    assert not composed(view, 0, 1).fence_request
