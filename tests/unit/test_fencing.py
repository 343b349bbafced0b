"""When this host must die: watchdogs move by proofs alone; SR2 evidence; every way to end.

Source: spec 3 (step 1), spec 4 (last paragraph), spec 5 ("SR2", "Fencing"), spec 7.
Wh = 5 s, Ws = 8 s.
"""

import pytest
from core_samples import (
    EMPTY, ages, heartbeat, heartbeat_seal, hosts, names_of, of_kind, view_of)

from xha import actions
from xha.actions import Watchdog
from xha.echoes import REMEMBERED, Echoes, mark
from xha.errors import ExitCode
from xha.fencing import REMIND_MS, Fencing
from xha.published import FencingMode, Phase

ALL = hosts(0, 1, 2)


def timers(view):
    """Where the timers were moved to, in order."""
    return [(one.watchdog, one.expires_at_ms) for one in of_kind(view.out, actions.SetWatchdog)]


# ---- proofs


def test_heartbeats_move_the_heartbeat_timer_counted_from_their_issue():
    view = view_of()
    Fencing(view, Echoes(view)).heartbeats_sent(10000)
    assert timers(view) == [(Watchdog.HEARTBEAT, 15000)]


def test_a_write_moves_the_statefile_timer_counted_from_its_issue():
    view = view_of()
    Fencing(view, Echoes(view)).record_written(10000)
    assert timers(view) == [(Watchdog.STATEFILE, 18000)]


def test_a_timer_never_moves_back():
    view = view_of()
    fencing = Fencing(view, Echoes(view))
    for issued_at_ms in (10000, 9000, 10000, 10001):
        fencing.heartbeats_sent(issued_at_ms)
    assert timers(view) == [(Watchdog.HEARTBEAT, 15000), (Watchdog.HEARTBEAT, 15001)]


def test_time_alone_moves_nothing():
    view = view_of()
    fencing = Fencing(view, Echoes(view))
    fencing.heartbeats_sent(1000)
    fencing.record_written(1000)
    del view.out[:]
    for now_ms in range(1000, 20000, 500):
        fencing.check(now_ms)
        fencing.weigh_evidence(now_ms)
    assert timers(view) == []


def test_a_closed_timer_is_never_moved_again():
    view = view_of()
    fencing = Fencing(view, Echoes(view))
    fencing.disarm()
    fencing.heartbeats_sent(1000)
    fencing.record_written(1000)
    assert timers(view) == []


def test_a_timer_about_to_expire_is_said_once_when_less_than_t1_is_left():
    view = view_of()
    fencing = Fencing(view, Echoes(view))
    fencing.heartbeats_sent(1000)
    del view.out[:]
    for now_ms in (5000, 5001, 5500):
        fencing.check(now_ms)
    assert names_of(view.out) == ["watchdog-expiring"]
    assert view.wake_at_ms == 5001
    fencing.heartbeats_sent(5600)
    fencing.check(9601)
    assert names_of(view.out) == ["watchdog-expiring"] * 2, "each time it comes so far"


# ---- evidence of survival rule 2


def evidence(now_ms=10000, count=3, after=None, sealed=True, **facts):
    """A host that wrote last at 1000 and has no access.

    Host j proves to have heard what was issued at 9100 + 100 j; unsealed, it says that it had
    heard this host 300 ms before.
    """
    facts.setdefault("statefile_access", False)
    view = view_of(count, **facts)
    echoes = Echoes(view)
    for sequence in range(1, 80):
        echoes.issued(sequence, 9000 + 10 * sequence)
    fencing = Fencing(view, echoes)
    fencing.record_written(1000)
    del view.out[:]
    for peer in view.peers:
        if peer.index != view.me:
            peer.heartbeat = heartbeat(peer.index, count, statefile_access=False,
                                       since_heartbeat_ms=ages(count, 300),
                                       seal=echo(10 + 10 * peer.index) if sealed else None)
            peer.heard_at_ms = peer.heard_since_ms = 9500 + 100 * peer.index
    if after is not None:
        after(view)
    fencing.weigh_evidence(now_ms)
    return timers(view)


def echo(sequence, incarnation=1000):
    """The seal of a host that heard this sequence of host 0 last."""
    return heartbeat_seal(heard=(mark(incarnation, sequence),) + (0,) * 63)


def test_the_timer_stands_at_the_oldest_issue_that_all_echo_and_ws():
    assert evidence() == [(Watchdog.STATEFILE, 9200 + 8000)]


def test_of_xhad_peers_it_stands_at_the_oldest_receipt_less_the_age_that_they_report():
    """E = the oldest of (receipt - the age it reports for my heartbeats)."""
    assert evidence(sealed=False) == [(Watchdog.STATEFILE, 9600 - 300 + 8000)]


def change(host, **changes):
    def after(view):
        peer = view.peers[host]
        peer.heartbeat = peer.heartbeat._replace(**changes)
    return after


def silence(view):
    view.peers[2].heartbeat = None


def exclude(view):
    from core_samples import host_record
    view.peers[2].heartbeat = None
    view.peers[2].record = host_record(2, excluded=True)


NO_EVIDENCE = [
    (change(2, statefile_access=True), "somebody has access: rule 2 cannot hold"),
    (change(2, current_liveset=hosts(1, 2)), "I am not in its liveset"),
    (change(2, heartbeat_domain=hosts(1, 2)), "it does not hear me"),
    (change(2, seal=None, since_heartbeat_ms=(-1,) * 64), "an xhad peer never heard me"),
    (change(2, seal=heartbeat_seal()), "it echoes nothing"),
    (change(2, seal=echo(5000)), "it echoes what I never sent"),
    (change(2, seal=echo(20, incarnation=999)), "it echoes what my last instance sent"),
    (silence, "a host that is not excluded was never heard"),
]


@pytest.mark.parametrize("after, why", NO_EVIDENCE, ids=[row[-1] for row in NO_EVIDENCE])
def test_there_is_no_evidence_when(after, why):
    assert evidence(after=after) == []


def test_an_excluded_host_gives_no_evidence_and_none_is_needed():
    assert evidence(after=exclude) == [(Watchdog.STATEFILE, 9200 + 8000)]


def test_with_access_the_timer_lives_on_writes_alone():
    assert evidence(statefile_access=True) == []


def test_evidence_is_weighed_before_rule_2_is_declared():
    """Or a slow fault handler would be cut short by the timer."""
    assert evidence(sr2=False) == evidence(sr2=True) != []


def test_a_host_alone_in_its_pool_is_its_own_evidence():
    assert evidence(count=1, now_ms=10000) == [(Watchdog.STATEFILE, 18000)]


def test_evidence_never_moves_a_timer_back():
    def old(view):
        view.peers[2].heard_since_ms = 500
    assert evidence(after=old, sealed=False) == []


def test_a_host_that_never_wrote_has_no_timer_to_move():
    view = view_of(1, statefile_access=False)
    Fencing(view, Echoes(view)).weigh_evidence(5000)
    assert timers(view) == []


def test_a_heartbeat_that_waited_while_this_host_was_frozen_is_no_newer_than_that():
    def waited(view):
        for peer in view.peers:
            peer.heard_at_ms, peer.heard_since_ms = 9900, 4000
    assert evidence(after=waited, sealed=False) == [(Watchdog.STATEFILE, 4000 - 300 + 8000)]


def test_what_was_sent_too_long_ago_to_be_remembered_proves_nothing():
    view = view_of()
    echoes = Echoes(view)
    for sequence in range(1, REMEMBERED + 2):
        echoes.issued(sequence, 1000 * sequence)
    assert echoes.heard_by(heartbeat(1, seal=echo(1))) == -1
    assert echoes.heard_by(heartbeat(1, seal=echo(2))) == 2000


# ---- fencing


def test_an_armed_host_fences_itself_and_leaves_its_last_words():
    view = view_of(liveset=ALL, heartbeat_domain=hosts(0, 1), statefile_domain=hosts(0))
    Fencing(view, Echoes(view)).fence(1000, "no-survival-rule", "no rule applies")
    (end,) = of_kind(view.out, actions.SelfFence)
    assert (end.words.code, end.words.incarnation) == ("no-survival-rule", 1000)
    assert (end.words.liveset, end.words.heartbeat_domain, end.words.statefile_domain) == (
        ALL, hosts(0, 1), hosts(0))
    assert view.last_words == end.words
    assert view.ended


@pytest.mark.parametrize("mode", [FencingMode.NONE, FencingMode.DISARMED])
def test_only_an_armed_host_fences(mode):
    view = view_of(fencing=mode)
    Fencing(view, Echoes(view)).fence(1000, "no-survival-rule", "no rule applies")
    assert not view.out and not view.ended


def test_arming_is_noted_where_a_later_daemon_finds_it():
    view = view_of(fencing=FencingMode.NONE)
    Fencing(view, Echoes(view)).arm()
    assert view.armed
    assert type(view.out[0]) is actions.RecordArmed


def test_disarming_closes_both_timers_once_and_takes_the_fence_request_back():
    view = view_of(fence_request=True)
    fencing = Fencing(view, Echoes(view))
    fencing.disarm()
    fencing.disarm()
    assert len(of_kind(view.out, actions.CloseWatchdogs)) == 1
    assert view.fencing is FencingMode.DISARMED
    assert not view.fence_request


def test_a_disarmed_host_stays_so_after_its_term_and_says_so_every_ten_minutes():
    view = view_of()
    fencing = Fencing(view, Echoes(view))
    fencing.disarm()
    fencing.expect(1000, 60000)
    assert view.out[-1] == actions.log("disarm-term", term="1m")
    said = []
    for now_ms in range(1000, 61000 + 2 * REMIND_MS + 1, 1000):
        del view.out[:]
        view.wake_at_ms = -1
        fencing.heartbeats_sent(now_ms)
        fencing.record_written(now_ms)
        fencing.check(now_ms)
        said += [(now_ms, one) for one in view.out]
        assert now_ms < view.wake_at_ms <= max(61000, now_ms + REMIND_MS)
        assert view.fencing is FencingMode.DISARMED
    assert said == [(61000 + number * REMIND_MS, actions.log("still-disarmed", since=since))
                    for number, since in enumerate(("0s", "10m", "20m"))]


@pytest.mark.parametrize("term_ms, until_ms", [(5000, 35000), (600000, 630000), (0, -1)])
def test_what_is_said_last_of_how_long_it_is_meant_counts(term_ms, until_ms):
    view = view_of()
    fencing = Fencing(view, Echoes(view))
    fencing.disarm()
    fencing.expect(0, 20000)
    fencing.check(30000)
    fencing.expect(30000, term_ms)
    del view.out[:]
    assert view.disarm_until_ms == until_ms
    for now_ms in range(30000, 700000, 5000):
        fencing.check(now_ms)
        if view.out:
            break
    assert (names_of(view.out), now_ms if view.out else -1) == (
        ["still-disarmed"] if view.out else [], until_ms)


ENDS = [
    # how     fencing                timers      left   why
    ("abort", FencingMode.NONE,      "closed",   False, "an abort while starting"),
    ("abort", FencingMode.ARMED,     "closed",   False, "an abort ends without fencing"),
    ("leave", FencingMode.ARMED,     "running",  True,  "an armed, online host will be reset"),
    ("leave", FencingMode.DISARMED,  "closed",   False, "a disarmed host just ends"),
    ("leave", FencingMode.NONE,      "closed",   False, "a starting host just ends"),
]


@pytest.mark.parametrize("how, mode, closed, left, why", ENDS, ids=[row[-1] for row in ENDS])
def test_the_daemon_ends(how, mode, closed, left, why):
    view = view_of(fencing=mode)
    getattr(Fencing(view, Echoes(view)), how)(ExitCode.INVALID_POOL_STATE, "because")
    assert bool(of_kind(view.out, actions.CloseWatchdogs)) is (closed == "closed")
    assert view.out[-1] == actions.Terminate(
        code=ExitCode.INVALID_POOL_STATE, text="because", watchdogs_left=left)
    assert view.ended


def test_a_daemon_ends_once():
    view = view_of()
    fencing = Fencing(view, Echoes(view))
    fencing.fence(1, "one", "first")
    fencing.abort(ExitCode.SUCCESS, "second")
    fencing.leave(ExitCode.SUCCESS, "third")
    fencing.fence(2, "four", "fourth")
    assert len(of_kind(view.out, actions.SelfFence)) == 1
    assert not of_kind(view.out, actions.Terminate)


SAID = [
    (Phase.STARTING, "abort", ["watchdogs-closed", "start-aborted", "terminated"]),
    (Phase.STARTED, "abort", ["watchdogs-closed", "terminated"]),
    (Phase.STARTED, "leave", ["watchdogs-left", "terminated"]),
]


@pytest.mark.parametrize("phase, how, names", SAID, ids=["{} {}".format(*row[:2]) for row in SAID])
def test_what_is_said_at_the_end(phase, how, names):
    view = view_of(phase=phase)
    getattr(Fencing(view, Echoes(view)), how)(ExitCode.INVALID_POOL_STATE, "because")
    assert names_of(view.out) == names


def test_a_host_that_left_the_pool_first_did_not_fail_to_start():
    """Who set the pool state to invalid has left, and watches over it; then it ends."""
    view = view_of(phase=Phase.ABORTED, liveset=EMPTY)
    Fencing(view, Echoes(view)).abort(ExitCode.INVALID_POOL_STATE, "the pool state is invalid")
    assert "start-aborted" not in names_of(view.out)
