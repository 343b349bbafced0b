"""Until when a host that is to be dropped may still run.

Source: spec 5, "Sign-of-life guard"; spec 13, proof 1.  Wh = 5 s, Ws = 8 s, t = 1 s, T = 5 s:
a sealed host is certain 8000 + 8 (drift) + 100 (reset) after its last advance was noticed;
another 8000 + 1000 (a beat) + 8 (drift) + 100 after the later of its last signs.
"""

import pytest
from core_samples import heartbeat, heartbeat_seal, host_record, hosts, record_seal, view_of

from xha import lifesigns
from xha.published import NEVER, FencingMode, WatchdogMode

NOTICED_MS = 50000
BY_WRITE = NOTICED_MS + 8108
BY_BOTH = 9108


def condemned(noticed=NOTICED_MS, member=NOTICED_MS, record=None, said=None, **facts):
    """Host 2 of three, to be dropped by host 0."""
    view = view_of(**facts)
    peer = view.peers[2]
    peer.advanced_at_ms = noticed
    peer.own_member_at_ms = peer.heard_at_ms = member
    peer.record = host_record(2, **(record or {}))
    peer.heartbeat = heartbeat(2, **(said or {}))
    return view, peer


def until(**given):
    return lifesigns.uncertain_until_ms(*condemned(**given))


def test_a_sealed_host_is_bound_by_its_last_write_alone():
    """n + Ws + drift + reset.  Heartbeats bound nothing: lost ones moved its timer all the same."""
    assert until(member=NOTICED_MS - 4000) == BY_WRITE
    assert until(member=NOTICED_MS + 4000) == BY_WRITE
    assert until(member=NEVER) == BY_WRITE


BOUND_BY_BOTH = [
    (dict(record=dict(seal=None)), "an xhad peer moves its timers by other rules"),
    (dict(sr2=True), "under rule 2 its timer lives on evidence"),
    (dict(sr2_seen_at_ms=NOTICED_MS - 5000), "rule 2 was heard of at, or after, n - T2"),
    (dict(statefile_access=False), "I have no access, so it may have none"),
    (dict(without_access_at_ms=NOTICED_MS - 5000), "I had none at n - T2"),
    (dict(record=dict(seal=record_seal(sr2=True))), "its record said rule 2"),
    (dict(said=dict(sr2=True)), "its heartbeat said rule 2"),
    (dict(record=dict(seal=record_seal(watchdog_mode=WatchdogMode.NONE))), "it has no watchdog"),
    (dict(record=dict(seal=record_seal(watchdog_mode=WatchdogMode.UNKNOWN))), "nor says which"),
]


@pytest.mark.parametrize("given, why", BOUND_BY_BOTH, ids=[row[-1] for row in BOUND_BY_BOTH])
def test_other_hosts_are_bound_by_the_later_of_both_signs(given, why):
    assert until(**given) == NOTICED_MS + BY_BOTH
    assert until(member=NOTICED_MS + 700, **given) == NOTICED_MS + 700 + BY_BOTH
    assert until(member=NOTICED_MS - 700, **given) == NOTICED_MS + BY_BOTH


BOUND_BY_WRITE = [
    (dict(sr2_seen_at_ms=NOTICED_MS - 5001), "rule 2 was over when it wrote"),
    (dict(without_access_at_ms=NOTICED_MS - 5001), "I had access all the time since"),
    (dict(record=dict(seal=record_seal(watchdog_mode=WatchdogMode.USER))), "a process is as good"),
]


@pytest.mark.parametrize("given, why", BOUND_BY_WRITE, ids=[row[-1] for row in BOUND_BY_WRITE])
def test_what_lies_further_back_does_not_matter(given, why):
    assert until(**given) == BY_WRITE


def test_a_host_whose_advance_was_never_noticed_is_bound_by_its_heartbeats():
    assert until(noticed=NEVER) == NOTICED_MS + BY_BOTH


def test_a_host_that_says_it_is_disarmed_gives_no_sign():
    """Nothing resets it, and waiting would prove nothing."""
    assert until(said=dict(seal=heartbeat_seal(fencing=FencingMode.DISARMED))) == NEVER


def test_a_host_of_which_nothing_is_known_gives_no_sign():
    assert until(noticed=NEVER, member=NEVER) == NEVER


LATELY = [
    # heard, advancing, last heard, last advance, lately  why
    (True,   False,     0,          0,            True,   "in the heartbeat domain"),
    (False,  True,      0,          0,            True,   "in the State-File domain"),
    (False,  False,     55000,      0,            True,   "heard min(T1,T2) ago"),
    (False,  False,     54999,      0,            False,  "heard longer ago"),
    (False,  False,     0,          55000,        True,   "advanced min(T1,T2) ago"),
    (False,  False,     NEVER,      NEVER,        False,  "never seen"),
]


@pytest.mark.parametrize("heard, advancing, heard_at_ms, advanced_at_ms, lately, why", LATELY,
                         ids=[row[-1] for row in LATELY])
def test_a_sign_of_life_makes_the_wait_longer(heard, advancing, heard_at_ms, advanced_at_ms,
                                              lately, why):
    view, peer = condemned()
    peer.heard_at_ms, peer.advanced_at_ms = heard_at_ms, advanced_at_ms
    view.heartbeat_domain = hosts(0, 1, 2) if heard else hosts(0, 1)
    view.statefile_domain = hosts(0, 1, 2) if advancing else hosts(0, 1)
    assert lifesigns.seen_lately(view, 60000, 2) is lately
