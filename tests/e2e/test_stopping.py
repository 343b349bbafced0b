"""Daemons stop on purpose, by accident, and start again."""

import signal
import time

import pytest

from rig.host import FENCED, KILLED
from rig.stateformat import ACTIVE, INVALID, excluded, pool_state

Wh, Ws = 5.0, 8.0


def test_a_host_leaves_on_purpose_and_comes_back(pool_of, measured):
    """What xapi does for a clean shutdown: disarm, exclude; later a plain start."""
    pool = pool_of(3)
    pool.form()
    leaver = pool.hosts[2]
    time.sleep(2)       # it has read that the pool is active
    leaver.must("disarm-fencing")
    asked_at = time.monotonic()
    leaver.must("set-excluded", "--config=" + leaver.config)
    assert leaver.daemon.wait(10) == 19
    assert excluded(pool.disk.peek(3)) == 1
    left_at = pool.wait([0, 1], lambda view: view.live == (0, 1) and view.excluded == (2,), 45,
                        "the others know that it left", asked_at)
    measured("exclusion to the others' liveset", left_at - asked_at)
    time.sleep(3)
    assert pool.hosts[0].running and pool.hosts[1].running

    since = pool.start([2])
    measured("rejoin after an exclusion",
             pool.wait_live([0, 1, 2], [0, 1, 2], 50, since) - since)
    pool.wait([0, 1, 2], lambda view: view.excluded == (), 15, "nobody is excluded")


def test_a_host_may_leave_as_soon_as_it_is_online(pool_of):
    """Its own pending "active" counts at once (spec 5, "Pool state, always")."""
    pool = pool_of(2)
    pool.initialise()
    since = pool.start()
    pool.wait_live([0, 1], [0, 1], 30, since)
    leaver = pool.hosts[1]
    leaver.must("disarm-fencing")
    leaver.must("set-excluded", "--config=" + leaver.config)
    assert leaver.daemon.wait(10) == 19
    pool.wait([0], lambda view: view.live == (0,) and view.excluded == (1,), 45, "it has left")


def test_a_restart_right_after_a_clean_exit_joins_again(pool_of, measured):
    pool = pool_of(3)
    pool.form()
    pool.hosts[1].must("disarm-fencing")
    pool.hosts[1].must("stop-daemon")
    status = pool.hosts[1].daemon.wait(5)
    assert status == 0, status
    since = pool.start([1])
    measured("restart right after a clean exit to one liveset", pool.wait(
        [1], lambda view: view.live == (0, 1, 2), 50, "it is back", since) - since)
    pool.wait_live([0, 2], [0, 1, 2], 15)
    assert [len(host.runs) for host in pool.hosts] == [1, 2, 1]
    assert all(host.running for host in pool.hosts)


def test_an_armed_daemon_that_is_stopped_says_that_the_host_will_reset(pool_of):
    pool = pool_of(2)
    pool.form()
    pool.hosts[1].daemon.signal(signal.SIGTERM)
    pool.hosts[1].daemon.wait(10)
    assert "reset" in pool.hosts[1].log()
    # Nobody said that it left on purpose: it is dropped like any dead host.
    pool.wait_live([0], [0], 45)


def test_after_a_kill_mode_none_warns_and_goes_on(pool_of):
    pool = pool_of(2)
    pool.form()
    killed_at = pool.hosts[1].kill()
    before = len(pool.hosts[1].log())
    since = pool.start([1])
    pool.wait([0], lambda view: view.live == (0,), 45, "its old self is dropped", killed_at)
    pool.wait_live([0, 1], [0, 1], 50, since)
    new = pool.hosts[1].log()[before:].lower()
    assert "armed" in new or "timer" in new or "watchdog" in new


def test_after_a_kill_mode_user_is_refused_until_cleaned_up(pool_of):
    """The timers of the dead daemon run; to stop them would leave a host that peers drop."""
    pool = pool_of(2, watchdog="USER")
    pool.form()
    victim = pool.hosts[1]
    killed_at = victim.kill()
    victim.start()
    assert victim.daemon.wait(10) == 4
    pool.wait_live([0], [0], 45, killed_at)
    assert pool.hosts[0].running
    result = victim.command("cleanup-watchdog")
    assert result.code == 0, result
    since = pool.start([1])
    pool.wait_live([0, 1], [0, 1], 50, since)


def test_user_watchdogs_end_a_daemon_that_stands_still(pool_of, measured):
    """The promise itself: nothing of ours runs any more, and still it is dead in time."""
    pool = pool_of(3, watchdog="USER")
    pool.form()
    stopped_at = pool.hosts[2].daemon.signal(signal.SIGSTOP)
    assert pool.hosts[2].daemon.wait(30) == KILLED
    ended_at = pool.hosts[2].daemon.ended_at
    measured("stopped daemon to its watchdog", ended_at - stopped_at)
    # The heartbeat timer was last moved before the stop, and its seconds are rounded down.
    assert ended_at <= stopped_at + Wh + 0.5
    dropped_at = pool.wait_live([0, 1], [0, 1], 45, stopped_at)
    assert ended_at < dropped_at


def test_a_pool_state_of_invalid_ends_all_with_11(pool_of, measured):
    """How xapi disables HA.  The original's own daemon ends before it has written, with 3."""
    pool = pool_of(3)
    pool.form()
    asked_at = time.monotonic()
    result = pool.hosts[1].command("set-pool-state", "invalid",
                                   "--config=" + pool.hosts[1].config)
    assert result.code == 0, result
    assert pool_state(pool.disk.peek(0)) == INVALID
    for host in pool.hosts:
        assert host.daemon.wait(15) == 11
    measured("set-pool-state invalid to the last daemon's end",
             max(host.daemon.ended_at for host in pool.hosts) - asked_at)
    # A left-over start is refused as well.
    pool.start([0])
    assert pool.hosts[0].daemon.wait(60) == 11


def test_a_pool_that_was_switched_off_whole_starts_again(pool_of, measured):
    """Pool state active, no liveset anywhere: all hosts come back after a power cut."""
    pool = pool_of(3)
    pool.form()
    for host in pool.hosts:
        host.kill()
    assert pool_state(pool.disk.peek(0)) == ACTIVE
    since = pool.start()
    measured("3 hosts start again after a power cut",
             pool.wait_live([0, 1, 2], [0, 1, 2], 60, since) - since)


@pytest.mark.parametrize("count", [3, 8])
def test_a_daemon_paused_for_less_than_its_timeout_harms_nobody(pool_of, count):
    """The original's staller wakes up, finds all others silent and has healthy hosts fenced."""
    pool = pool_of(count)
    pool.form()
    paused = pool.hosts[1].daemon
    paused.signal(signal.SIGSTOP)
    time.sleep(4.0)
    awake_at = paused.signal(signal.SIGCONT)
    others = [host for host in pool.hosts if host.index != 1]
    while time.monotonic() < awake_at + 25:
        assert all(host.running for host in others)
        time.sleep(0.2)
    for host in others:
        assert {other.index for other in others} <= set(host.view.live)
    if not paused.running:
        assert paused.status == FENCED
