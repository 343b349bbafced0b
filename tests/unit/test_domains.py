"""Who is heard, and whose record advances.  Source: spec 4 "hbdomain", spec 5 "sfdomain"."""

import pytest
from core_samples import EMPTY, heartbeat, hosts, names_of, view_of

from xha.domains import Domains
from xha.published import NEVER, Phase

ALL = hosts(0, 1, 2)


def domains(heard=None, advanced=None, now_ms=10000, **facts):
    """The domains of host 0 of three, evaluated at ``now_ms``.

    Args:
        heard: for a host, when it was last heard; 9000 if nothing is said.
        advanced: for a host, when its record was last seen to advance; 9000 likewise.
    """
    view = view_of(**facts)
    view.reading_completed_at_ms = now_ms
    for peer in view.peers:
        peer.heartbeat = heartbeat(peer.index)
        peer.heard_at_ms = (heard or {}).get(peer.index, 9000)
        peer.advanced_at_ms = (advanced or {}).get(peer.index, 9000)
        peer.sequence = 4711
    Domains(view).evaluate(now_ms)
    return view


HEARD = [
    # before      heard at   blocked   in after   why
    (ALL,         5001,      False,    True,      "in, and heard within T1: it stays in"),
    (ALL,         5000,      False,    False,     "not heard within T1: out"),
    (hosts(0, 1), 9000,      False,    True,      "not in, and heard: it comes in"),
    (hosts(0, 1), 9000,      True,     False,     "not in while joining is blocked: it stays out"),
    (ALL,         9000,      True,     True,      "in, and joining is blocked: it stays in"),
    (ALL,         NEVER,     False,    False,     "never heard"),
]


@pytest.mark.parametrize("before, heard_at_ms, blocked, inside, why", HEARD,
                         ids=[row[-1] for row in HEARD])
def test_a_host_is_in_the_heartbeat_domain(before, heard_at_ms, blocked, inside, why):
    view = domains(heard={2: heard_at_ms}, heartbeat_domain=before, join_blocked=blocked)
    assert (2 in view.heartbeat_domain) is inside


def test_a_host_hears_itself_always():
    view = domains(heard={0: NEVER, 1: NEVER, 2: NEVER})
    assert view.heartbeat_domain == hosts(0)


def test_the_sequence_of_a_host_that_is_not_heard_is_forgotten():
    view = domains(heard={1: 0})
    assert [peer.sequence for peer in view.peers] == [4711, NEVER, 4711]


ONE_WAY = [
    # my phase       its phase        it hears me  stays in  why
    (Phase.FHREADY,  Phase.FHREADY,   False,       False,    "both are in the fault handler"),
    (Phase.FH2,      Phase.FH1,       False,       False,    "whatever the phase"),
    (Phase.FHREADY,  Phase.FHREADY,   True,        True,     "it hears me"),
    (Phase.STARTED,  Phase.FHREADY,   False,       True,     "I have not entered it"),
    (Phase.FHREADY,  Phase.STARTED,   False,       True,     "it has not entered it"),
    (Phase.STARTING, Phase.STARTING,  False,       True,     "while starting, links come singly"),
]


@pytest.mark.parametrize("mine, its, hears_me, inside, why", ONE_WAY,
                         ids=[row[-1] for row in ONE_WAY])
def test_a_link_that_works_one_way_counts_as_broken_in_the_fault_handler(
        mine, its, hears_me, inside, why):
    view = view_of(phase=mine, join_blocked=mine > Phase.STARTED)
    for peer in view.peers:
        peer.heartbeat = heartbeat(
            peer.index, phase=its, heartbeat_domain=ALL if hears_me else hosts(1, 2))
        peer.heard_at_ms = peer.advanced_at_ms = 9000
    Domains(view).evaluate(10000)
    assert (2 in view.heartbeat_domain) is inside


ADVANCING = [
    # before      advanced at  blocked   in after   why
    (ALL,         5001,        False,    True,      "in, advanced within T2: it stays in"),
    (ALL,         5000,        False,    False,     "did not advance within T2: out"),
    (hosts(0, 1), 9000,        False,    True,      "not in, and advanced: it comes in"),
    (hosts(0, 1), 9000,        True,     False,     "joining is blocked: it stays out"),
    (ALL,         9000,        True,     True,      "in, and joining is blocked: it stays in"),
    (hosts(0, 1), NEVER,       False,    False,     "it has only a baseline"),
]


@pytest.mark.parametrize("before, advanced_at_ms, blocked, inside, why", ADVANCING,
                         ids=[row[-1] for row in ADVANCING])
def test_a_host_is_in_the_statefile_domain(before, advanced_at_ms, blocked, inside, why):
    view = domains(advanced={2: advanced_at_ms}, statefile_domain=before, join_blocked=blocked,
                   frozen=blocked)
    assert (2 in view.statefile_domain) is inside


COMES_BACK = [
    # liveset     frozen   in after   why
    (ALL,         False,   True,      "of the liveset, before the picture is frozen"),
    (ALL,         True,    False,     "the picture is frozen: all decide from what it shows"),
    (hosts(0, 1), False,   False,     "joining is what is blocked: it is no member"),
]


@pytest.mark.parametrize("liveset, frozen, inside, why", COMES_BACK,
                         ids=[row[-1] for row in COMES_BACK])
def test_while_the_fault_handler_runs_an_advancing_host_comes_in(liveset, frozen, inside, why):
    """Source: spec 13, proof 0: blocked joining applies to hosts outside the liveset."""
    view = domains(statefile_domain=hosts(0, 1), liveset=liveset, join_blocked=True,
                   frozen=frozen)
    assert (2 in view.statefile_domain) is inside


def test_a_host_put_out_as_stuck_stays_out_until_the_fault_handler_ends():
    """It advances all the while: it would come in again in the same millisecond."""
    view = domains(join_blocked=True)
    kept = Domains(view)
    kept.expel_advancing(2)
    kept.evaluate(10000)
    assert 2 not in view.statefile_domain
    view.join_blocked = False
    kept.evaluate(10000)
    assert 2 in view.statefile_domain


def test_when_it_is_me_that_goes_out_statefile_access_becomes_false():
    view = domains(advanced={0: 5000})
    assert 0 not in view.statefile_domain
    assert not view.statefile_access
    assert view.without_access_at_ms == 10000


def test_a_host_that_cannot_read_accuses_nobody_one_by_one():
    """No good reading for 2 x t2 + 1 s: others stay in until I am out, then all go at once."""
    view = view_of()
    view.reading_completed_at_ms = 6000
    for peer in view.peers:
        peer.heartbeat = heartbeat(peer.index)
        peer.heard_at_ms = 9000
        peer.advanced_at_ms = {0: 6000, 1: 4000, 2: 5500}[peer.index]
    one = Domains(view)
    one.evaluate(9001)
    assert view.statefile_domain == ALL
    one.evaluate(10500)
    assert view.statefile_domain == ALL, "1 and 2 have not been seen within T2, nor has a reading"
    one.evaluate(11000)
    assert view.statefile_domain == EMPTY, "nor has my own record: I am out, and see nobody"
    assert not view.statefile_access


LOSSES = [
    # liveset      sr2    out of          loss   why
    (ALL,          False, "heartbeat",    True,  "a member is not heard any more"),
    (ALL,          False, "statefile",    True,  "a member does not advance any more"),
    (hosts(0, 1),  False, "heartbeat",    False, "no member, no loss"),
    (ALL,          True,  "heartbeat",    True,  "under rule 2 hosts must be heard"),
    (ALL,          True,  "statefile",    False, "under rule 2 the State-File means nothing"),
]


@pytest.mark.parametrize("liveset, sr2, path, loss, why", LOSSES, ids=[row[-1] for row in LOSSES])
def test_a_member_that_leaves_a_domain_is_a_loss(liveset, sr2, path, loss, why):
    """Source: spec 5: the fault handler starts when a host of L leaves HB or SF."""
    silent = {2: 5000}
    view = domains(heard=silent if path == "heartbeat" else None,
                   advanced=silent if path == "statefile" else None,
                   liveset=liveset, sr2=sr2)
    assert view.loss_pending is loss


def test_every_host_that_left_counts():
    """The original lets a later host in the scan overwrite the finding of an earlier one."""
    view = domains(heard={1: 5000})
    assert view.loss_pending, "although 2, after it, is fine"


def test_hosts_put_out_by_decision_are_no_new_loss():
    view = domains()
    Domains(view).expel(hosts(2))
    assert view.heartbeat_domain == view.statefile_domain == hosts(0, 1)
    assert not view.loss_pending


@pytest.mark.parametrize("path", ["heard", "advancing"])
def test_a_host_put_out_as_stuck_is_a_loss(path):
    view = domains()
    getattr(Domains(view), "expel_" + path)(2)
    assert view.loss_pending
    assert (2 in view.heartbeat_domain) is (path != "heard")
    assert (2 in view.statefile_domain) is (path != "advancing")


def test_the_next_change_by_silence_wakes_the_core():
    """Evaluated on each receipt and whenever a deadline passes."""
    view = domains(heard={1: 8000, 2: 7000}, advanced={0: 9500, 1: 9500, 2: 9500})
    assert view.wake_at_ms == 12000


def test_a_discount_for_my_own_gap_lengthens_a_silence():
    """Source: spec 5: silence is counted without the part that lies in the gap."""
    view = view_of(heartbeat_domain=ALL, statefile_domain=ALL, reading_completed_at_ms=10000)
    for peer in view.peers:
        peer.heartbeat = heartbeat(peer.index)
        peer.heard_at_ms = peer.advanced_at_ms = 4000
        peer.heartbeat_discount_ms = peer.statefile_discount_ms = 1001
    Domains(view).evaluate(10000)
    assert view.heartbeat_domain == view.statefile_domain == ALL
    Domains(view).evaluate(10001)
    assert view.heartbeat_domain == hosts(0)
    assert view.statefile_domain == EMPTY


def test_changes_are_said_once_each():
    view = domains(heard={2: 0}, advanced={2: 0})
    assert names_of(view.out) == ["hb-domain-changed", "sf-domain-changed"]
    del view.out[:]
    Domains(view).evaluate(10001)
    assert not view.out
