"""Pools form from an initialised State-File, and only owners write."""

import os
import stat
import time

import pytest

from rig.stateformat import ACTIVE, global_is_sound, host_is_sound, pool_state

NAMES = {1: "1 host forms", 2: "2 hosts form", 3: "3 hosts form", 4: "4 hosts form"}


@pytest.mark.parametrize("count", sorted(NAMES))
def test_hosts_form_a_pool(pool_of, measured, count):
    pool = pool_of(count)
    before = pool.disk.counts()
    measured(NAMES[count], pool.form())
    everybody = tuple(range(count))
    for host in pool.hosts:
        assert host.watch.now.access == everybody
        assert host.watch.now.master == ()
        assert host.must("host-state").out.strip() == "Online"
        assert host.daemon.running
    record = pool.disk.peek(0)
    assert global_is_sound(record) and pool_state(record) == ACTIVE
    assert all(host_is_sound(pool.disk.peek(1 + host)) for host in everybody)
    check_writers(before, pool.disk.counts(), count)


def check_writers(before, after, count):
    """A host record is written by its host alone; host 0 also initialised all 64 once."""
    for host in range(count):
        for section in range(1, 65):
            key = "section{}".format(section)
            writes = after[host].get(key, 0) - before[host].get(key, 0)
            if section != 1 + host:
                assert writes == (1 if host == 0 else 0), (host, section)


def test_a_pool_forms_over_ipv6(pool_of):
    pool_of(3, family=6).form()


def test_a_host_that_comes_late_is_waited_for(pool_of):
    """No host is left out while its start may still be under way (spec 5, start criteria)."""
    pool = pool_of(3)
    pool.initialise()
    pool.start([0, 1])
    pool.wait([0, 1], lambda view: view.status == "Starting", 10, "both are starting")
    watch = pool.hosts[0].watch
    late_at = watch.changes[-1][0] + 7.0        # longer than T1 and T2
    while time.monotonic() < late_at:
        assert watch.now.status == "Starting"
        time.sleep(0.1)
    since = pool.start([2])
    pool.wait_live([0, 1, 2], [0, 1, 2], 30, since)


MODES = [
    ("/run/xha/control", 0o600, "who may connect may disarm fencing"),
    ("/run/xha/watchdog.json", 0o644, "says which timers guard this host; only root writes it"),
    ("/run/xhad.lock", 0o644, "who holds it is the daemon"),
    ("/run/xhad.weight", 0o644, "the original's cannot be read by those who should"),
    ("/var/log/xha.log", 0o644, "may be read by all, at most; only root writes"),
    ("/var/lib/xha/recorder", 0o644, "as the log"),
]


def test_files_are_not_open_to_the_world(pool_of):
    pool = pool_of(1, watchdog="USER")
    pool.form()
    pool.hosts[0].must("set-host-weight", "vms", "3")
    for place, most, why in MODES:
        mode = stat.S_IMODE(os.stat(pool.hosts[0].path(place)).st_mode)
        assert mode & ~most == 0, "{}: {:o}; {}".format(place, mode, why)
        assert mode & 0o600 == 0o600, "{}: {:o}".format(place, mode)


def test_a_pool_that_was_never_initialised_is_refused(pool_of):
    pool = pool_of(1)
    pool.start()
    assert pool.hosts[0].daemon.wait(60) in (8, 9)


def test_nobody_forms_without_a_host_that_never_came(pool_of):
    """Pool state init needs everybody: the start ends with 12 after Tenable."""
    pool = pool_of(2)
    pool.initialise()
    pool.start([0])
    assert pool.hosts[0].daemon.wait(45) == 12
