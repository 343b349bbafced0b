"""The shared disk goes wrong: for one host, for all, and comes back."""

import time

import pytest

from rig.host import FENCED
from rig.storage import STATEFILE_BYTES
from rig.stateformat import (ACTIVE, global_is_sound, host_is_sound, pool_state)

Ws = 8.0

#: fault, kinds, why
LOSSES = [
    ("fail", "rw", "every access gives EIO"),
    ("hang", "rw", "every access hangs, as a disk behind a dead path does"),
    ("fail", "w", "only writes give EIO: what a host cannot say does not count"),
    ("drop", "w", "writes are acknowledged and lost: heartbeats go on, the record stops"),
]


@pytest.mark.parametrize("fault, kinds, why", LOSSES, ids=[row[-1] for row in LOSSES])
def test_one_host_loses_the_storage(pool_of, measured, fault, kinds, why):
    pool = pool_of(3)
    pool.form()
    lost_at = pool.disk.fault([2], fault, kinds)
    assert pool.hosts[2].daemon.wait(60) == FENCED
    dropped_at = pool.wait_live([0, 1], [0, 1], 60, lost_at)
    assert pool.hosts[2].daemon.ended_at < dropped_at
    measured("storage lost on one host ({} {}) to its fence".format(fault, kinds),
             pool.hosts[2].daemon.ended_at - lost_at)
    measured("storage lost on one host ({} {}) to the survivors' liveset".format(fault, kinds),
             dropped_at - lost_at)
    assert pool.hosts[0].running and pool.hosts[1].running
    assert not pool.hosts[0].watch.now.sr2


@pytest.mark.parametrize("fault", ["fail", "hang"])
def test_all_hosts_lose_the_storage_and_all_stay(pool_of, measured, fault):
    pool = pool_of(3)
    pool.form()
    lost_at = pool.disk.fault([0, 1, 2], fault)
    declared_at = pool.wait([0, 1, 2], lambda view: view.sr2, 30, "survival rule 2", lost_at)
    measured("storage lost to SR2", declared_at - lost_at)
    # Far beyond Ws: what keeps them alive is the evidence of their heartbeats.
    while time.monotonic() < lost_at + 3 * Ws:
        for host in pool.hosts:
            assert host.running
            assert host.watch.now.live == (0, 1, 2)
        time.sleep(0.2)
    back_at = pool.disk.fault([0, 1, 2], "ok")
    left_at = pool.wait([0, 1, 2], lambda view: not view.sr2 and view.access == (0, 1, 2), 30,
                        "the end of survival rule 2", back_at)
    measured("storage back to the end of SR2", left_at - back_at)
    for host in pool.hosts:
        assert host.running and host.watch.now.live == (0, 1, 2)
        assert len(host.runs) == 1


def test_under_sr2_a_cut_fences_before_anybody_is_dropped(pool_of):
    """Without the State-File nobody can know who won: nobody survives without somebody."""
    pool = pool_of(3)
    pool.form()
    lost_at = pool.disk.fault([0, 1, 2], "fail")
    pool.wait([0, 1, 2], lambda view: view.sr2, 30, "survival rule 2", lost_at)
    pool.network.part([0, 1], [2])
    for host in pool.hosts:
        assert host.daemon.wait(60) == FENCED
    for host in pool.hosts:
        assert host.watch.first(lambda view: 0 < len(view.live) < 3) is None


def test_a_disk_that_takes_a_second_for_each_access_is_borne(pool_of):
    """The original's whole pool fences itself within 14 s."""
    pool = pool_of(3)
    pool.form()
    slow_at = pool.disk.fault([0, 1, 2], "slow", delay_ms=1000)
    while time.monotonic() < slow_at + 30:
        for host in pool.hosts:
            assert host.running and host.watch.now.live == (0, 1, 2)
            assert not host.watch.now.sr2
        time.sleep(0.2)
    for host in pool.hosts:
        assert "[statefile-slow]" in host.log()


def test_the_damaged_record_of_a_host_that_is_down_is_repaired(pool_of, measured):
    """The original's survivors fence themselves in 6.7 s."""
    pool = pool_of(3)
    pool.form()
    crashed_at = pool.crash(2)
    pool.wait_live([0, 1], [0, 1], 45, crashed_at)
    pool.disk.poke(3, b"\xde\xad" * 256)
    damaged_at = time.monotonic()
    while not host_is_sound(pool.disk.peek(3)):
        assert time.monotonic() < damaged_at + 30, "not repaired"
        assert pool.hosts[0].running and pool.hosts[1].running
        time.sleep(0.1)
    measured("damaged record of a host that is down to its repair",
             time.monotonic() - damaged_at)
    time.sleep(8)
    for host in pool.hosts[:2]:
        assert host.running and host.watch.now.live == (0, 1)
        assert host.watch.now.corrupted == ()
    pool.network.heal()
    since = pool.start([2])
    pool.wait_live([0, 1, 2], [0, 1, 2], 50, since)


#: bytes, why
DAMAGES = [
    (b"\xde\xad" * 2048, "garbage"),
    (b"\0" * 4096, "zeros"),
    (b"\0" * 512, "a base that is gone, under a seal that is whole"),
]


@pytest.mark.parametrize("data, why", DAMAGES, ids=[row[-1] for row in DAMAGES])
def test_a_damaged_global_record_is_repaired(pool_of, measured, data, why):
    """The original's pool falls into survival rule 2 for ever."""
    pool = pool_of(3)
    pool.form()
    assert pool.hosts[1].must("propose-master").out.strip() == "TRUE"
    pool.wait([0, 1, 2], lambda view: view.master == (1,), 10, "the master is known")
    before = pool.disk.peek(0)
    pool.disk.poke(0, data)
    damaged_at = time.monotonic()
    while not global_is_sound(pool.disk.peek(0)):
        assert time.monotonic() < damaged_at + 20, "not repaired"
        time.sleep(0.05)
    measured("damaged global record to its repair", time.monotonic() - damaged_at)
    after = pool.disk.peek(0)
    assert after[:104] == before[:104] and pool_state(after) == ACTIVE
    time.sleep(6)
    for host in pool.hosts:
        assert host.running and host.watch.now.live == (0, 1, 2)
        assert not host.watch.now.sr2
        assert host.watch.now.master == (1,)


def test_a_state_file_that_is_too_short_is_refused_at_start(pool_of):
    pool = pool_of(1)
    pool.initialise()
    pool.disk.resize([0], STATEFILE_BYTES - 4096)
    pool.start()
    assert pool.hosts[0].daemon.wait(30) == 8


def test_a_state_file_cut_short_later_is_an_error_that_is_paced(pool_of):
    """The original reads it 55 000 times a second, at real-time priority."""
    pool = pool_of(2)
    pool.form()
    pool.disk.resize([0, 1], 512)
    cut_at = time.monotonic()
    before = pool.disk.counts()
    pool.wait([0, 1], lambda view: view.sr2, 30, "survival rule 2", cut_at)
    after, passed_s = pool.disk.counts(), time.monotonic() - cut_at
    for host in range(2):
        assert after[host]["r"] - before[host]["r"] < 20 * passed_s, "reads in a second"
    pool.disk.resize([0, 1], STATEFILE_BYTES)
    back_at = time.monotonic()
    pool.wait([0, 1], lambda view: not view.sr2 and view.access == (0, 1), 30, "all is well",
              back_at)
    for host in pool.hosts:
        assert host.running and host.watch.now.live == (0, 1)


#: fault, seconds, why
OUTAGES = [
    ("fail", 2.5, "nobody has timed out"),
    ("fail", 3.0, "readings are missing for longer than a gap: what is known of others is stale"),
    ("hang", 3.5, "the same, with accesses that come back late"),
    ("fail", 4.0, "the disk is back while the fault handler has begun"),
    ("fail", 4.5, "the disk is back while the fault handler agrees on views"),
]


@pytest.mark.parametrize("fault, seconds, why", OUTAGES,
                         ids=["{}-{}".format(*row) for row in OUTAGES])
def test_a_disk_away_for_less_than_its_timeout_costs_nobody(pool_of, fault, seconds, why):
    """As when a storage controller hands over: all hosts lose it, and get it back, at once."""
    pool = pool_of(3)
    pool.form()
    time.sleep(2)
    pool.disk.fault([0, 1, 2], fault)
    time.sleep(seconds)
    back_at = pool.disk.fault([0, 1, 2], "ok")
    while time.monotonic() < back_at + 20:
        for host in pool.hosts:
            assert host.running, why
        time.sleep(0.2)
    for host in pool.hosts:
        assert host.watch.now.live == (0, 1, 2) and not host.watch.now.sr2, why
