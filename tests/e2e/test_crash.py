"""A host dies: the survivors drop it, and not before it is certain to have been reset."""

import time

Ws, Wh = 8.0, 5.0


def test_survivors_drop_a_crashed_host_and_take_it_back(pool_of, measured):
    pool = pool_of(3)
    pool.form()
    crashed_at = pool.crash(2)
    dropped_at = pool.wait_live([0, 1], [0, 1], 45, crashed_at)
    # Its State-File timer was last moved by its last write: it runs out Ws later, not sooner.
    first_at = min(pool.hosts[host].watch.first(lambda view: 2 not in view.live, crashed_at)
                   for host in (0, 1))
    assert first_at >= pool.disk.last_write_at(2) + Ws
    assert first_at >= crashed_at + Wh
    measured("crash to the survivors' liveset", dropped_at - crashed_at)
    assert pool.hosts[0].running and pool.hosts[1].running

    pool.network.heal()
    since = pool.start([2])
    measured("rejoin after a crash", pool.wait_live([0, 1, 2], [0, 1, 2], 50, since) - since)


def test_a_daemon_that_dies_and_returns_at_once_joins_after_its_old_self_is_dropped(pool_of):
    """kill -9 without a cut, watchdog NONE: the new instance says so, and must wait (spec 5)."""
    pool = pool_of(3)
    pool.form()
    killed_at = pool.hosts[2].kill()
    since = pool.start([2])
    dropped_at = pool.wait([0, 1], lambda view: 2 not in view.live, 45,
                           "the old instance is dropped", killed_at)
    assert dropped_at >= killed_at + Wh
    pool.wait_live([0, 1, 2], [0, 1, 2], 50, since)


def test_a_boot_timeout_shorter_than_the_end_of_the_old_instance_ends_the_start_with_12(pool_of):
    """The others need up to 20 s to drop it, whatever its own configuration says."""
    pool = pool_of(3)
    pool.hosts[2].write_config(Tboot=7)
    pool.form()
    killed_at = pool.hosts[2].kill()
    again = pool.hosts[2].start()
    assert again.wait(30) == 12
    pool.wait_live([0, 1], [0, 1], 45, killed_at)
    assert again.ended_at < pool.hosts[0].watch.first(lambda view: 2 not in view.live, killed_at)
    # When it is dropped, the same start is a join.
    since = pool.start([2])
    pool.wait_live([0, 1, 2], [0, 1, 2], 30, since)


def test_two_hosts_crash_at_once_and_return_at_once(pool_of, measured):
    pool = pool_of(4)
    pool.form()
    crashed_at = pool.crash(1)
    pool.crash(3)
    pool.wait_live([0, 2], [0, 2], 60, crashed_at)
    pool.network.heal()
    since = pool.start([1, 3])
    everybody = [0, 1, 2, 3]
    measured("two hosts rejoin at once",
             pool.wait_live(everybody, everybody, 50, since) - since)
    stay_until = time.monotonic() + 8
    while time.monotonic() < stay_until:
        for host in pool.hosts:
            assert host.running and host.watch.now.live == (0, 1, 2, 3)
        time.sleep(0.2)
