"""Requests of clients that change the State-File.  Source: spec 6; spec 3 and 5, pool state."""

import pytest
from core_samples import global_record, host_record, names_of, of_kind, view_of

from xha import actions
from xha.echoes import Echoes
from xha.errors import ExitCode
from xha.fencing import Fencing
from xha.globalrecord import GlobalChanges
from xha.published import FencingMode, PoolState
from xha.requests import Requests

BOUND_MS = 15000        # max(T1,T2) + 10 s.


class Bench:
    def __init__(self, state=PoolState.ACTIVE, **facts):
        self.view = view_of(global_record=global_record(state) if state is not None else None,
                            **facts)
        self.view.peers[0].record = host_record(0)
        self.changes = GlobalChanges(self.view)
        self.requests = Requests(self.view, self.changes, Fencing(self.view, Echoes(self.view)))

    def answers(self):
        found = of_kind(self.view.out, actions.Answer)
        return {one.ticket: one.code for one in found}

    def shows(self, state=None, excluded=None):
        """A good reading shows this pool state, or this flag of mine."""
        if state is not None:
            self.view.global_record = global_record(state)
        if excluded is not None:
            self.view.peers[0].record = host_record(0, excluded=excluded)
        return self.requests.read()


def test_a_pool_state_is_answered_when_a_reading_shows_it():
    bench = Bench(PoolState.INIT)
    bench.requests.set_pool_state(0, 1, PoolState.ACTIVE)
    assert bench.changes.pending_state is PoolState.ACTIVE
    assert bench.answers() == {}
    bench.shows(state=PoolState.INIT)
    assert bench.answers() == {}, "a write can be overwritten"
    bench.shows(state=PoolState.ACTIVE)
    assert bench.answers() == {1: ExitCode.SUCCESS}


def test_a_corrupt_global_record_shows_nothing():
    bench = Bench(PoolState.INIT, global_corrupted=True)
    bench.requests.set_pool_state(0, 1, PoolState.ACTIVE)
    bench.shows(state=PoolState.ACTIVE)
    assert bench.answers() == {}


STATES = [
    (None, PoolState.ACTIVE, ExitCode.STATEFILE_INACCESSIBLE, "nothing was read yet"),
    (PoolState.INVALID, PoolState.ACTIVE, ExitCode.INVALID_POOL_STATE, "it is not walked back"),
]


@pytest.mark.parametrize("state, wanted, code, why", STATES, ids=[row[-1] for row in STATES])
def test_a_pool_state_that_cannot_be_set_is_refused_at_once(state, wanted, code, why):
    bench = Bench(state)
    bench.requests.set_pool_state(0, 1, wanted)
    assert bench.answers() == {1: code}


def test_what_is_set_already_is_answered_by_the_next_reading():
    bench = Bench()
    bench.requests.set_pool_state(0, 1, PoolState.ACTIVE)
    bench.shows(state=PoolState.ACTIVE)
    assert bench.answers() == {1: ExitCode.SUCCESS}


def test_who_set_invalid_is_told_so_when_it_shows():
    """Its daemon ends only after that: the original's ended before the state was written."""
    bench = Bench()
    bench.requests.set_pool_state(0, 1, PoolState.INVALID)
    assert bench.shows(state=PoolState.ACTIVE) is False
    assert bench.shows(state=PoolState.INVALID) is True
    assert bench.answers() == {1: ExitCode.SUCCESS}


def test_what_does_not_show_in_time_is_answered_with_3_and_stays_wanted():
    bench = Bench()
    bench.requests.set_pool_state(0, 1, PoolState.INVALID)
    bench.requests.expire(BOUND_MS - 1)
    assert bench.answers() == {}
    assert bench.view.wake_at_ms == BOUND_MS
    bench.requests.expire(BOUND_MS)
    assert bench.answers() == {1: ExitCode.TRANSIENT_ERROR}
    assert bench.changes.pending_state is PoolState.INVALID


def test_the_statefile_is_accelerated_while_a_request_waits():
    bench = Bench()
    bench.requests.set_excluded(0, 1, True)
    assert bench.view.accelerate_reasons == {"request"}
    bench.shows(excluded=True)
    bench.requests.expire(1)
    assert not bench.view.accelerate_reasons


@pytest.mark.parametrize("state", [PoolState.NONE, PoolState.INIT, PoolState.INVALID])
def test_excluding_needs_an_active_pool(state):
    bench = Bench(state)
    bench.requests.set_excluded(0, 1, True)
    assert bench.answers() == {1: ExitCode.INVALID_POOL_STATE}
    assert not bench.view.excluded


def test_an_active_that_is_pending_counts_at_once():
    bench = Bench(PoolState.INIT)
    bench.changes.want_state(PoolState.ACTIVE)
    bench.requests.set_excluded(0, 1, True)
    assert bench.view.excluded


@pytest.mark.parametrize("mode, left", [(FencingMode.ARMED, True), (FencingMode.DISARMED, False)])
def test_a_daemon_whose_host_is_excluded_ends_with_19_when_that_is_written(mode, left):
    """Watchdogs left running unless disarmed before."""
    bench = Bench(fencing=mode)
    bench.requests.set_excluded(0, 1, True)
    assert bench.view.excluded and not bench.view.ended
    bench.shows(excluded=True)
    (end,) = of_kind(bench.view.out, actions.Terminate)
    assert (end.code, end.watchdogs_left) == (ExitCode.EXCLUDED_WHILE_RUNNING, left)
    assert bench.answers() == {1: ExitCode.SUCCESS}


def test_clearing_the_flag_ends_nothing():
    bench = Bench(excluded=True)
    bench.view.peers[0].record = host_record(0, excluded=True)
    bench.requests.set_excluded(0, 1, False)
    assert not bench.view.excluded
    assert bench.answers() == {}
    bench.shows(excluded=False)
    assert bench.answers() == {1: ExitCode.SUCCESS}
    assert not bench.view.ended


def test_the_flag_is_said_when_it_changes():
    bench = Bench()
    for excluded in (True, True, False):
        bench.requests.exclude(excluded)
    assert names_of(bench.view.out) == ["excluded-set", "excluded-cleared"]


def test_nobody_is_answered_who_is_gone():
    bench = Bench(PoolState.INIT)
    bench.requests.set_pool_state(0, 1, PoolState.ACTIVE)
    bench.requests.client_gone(1)
    bench.shows(state=PoolState.ACTIVE)
    assert bench.answers() == {}
