"""At most one master: elections among all, after a crash, and against the clock."""

import threading
import time

from rig.host import uuid
from rig.stateformat import master


def propose(hosts):
    """Propose all these hosts at once; gives (host index, what was printed, Result) of each."""
    results = []

    def one(host):
        result = host.command("propose-master")
        results.append((host.index, result.out.strip(), result))
    threads = [threading.Thread(target=one, args=(host,)) for host in hosts]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return sorted(results)


def elect(pool, hosts, measured=None):
    """An election among these hosts; gives the one that won."""
    results = propose([pool.hosts[host] for host in hosts])
    assert all(result.code == 0 for _, _, result in results), results
    winners = [host for host, said, _ in results if said == "TRUE"]
    losers = [host for host, said, _ in results if said == "FALSE"]
    assert len(winners) == 1 and len(losers) == len(hosts) - 1, results
    if measured:
        measured("election", max(result.ended_at - result.began_at for _, _, result in results))
    return winners[0]


def test_exactly_one_of_all_becomes_master_and_again_after_its_crash(pool_of, measured):
    pool = pool_of(4)
    pool.form()
    everybody = [0, 1, 2, 3]
    first = elect(pool, everybody, measured)
    pool.wait(everybody, lambda view: view.master == (first,), 10, "all know the master")
    assert master(pool.disk.peek(0)) == uuid(first).replace("-", "")
    # Asked again, the answers stay.
    assert elect(pool, everybody) == first

    crashed_at = pool.crash(first)
    survivors = [host for host in everybody if host != first]
    pool.wait_live(survivors, survivors, 45, crashed_at)
    second = elect(pool, survivors, measured)
    pool.wait(survivors, lambda view: view.master == (second,), 10, "all know the new master")


def test_a_dead_master_is_still_the_master_until_it_is_dropped(pool_of):
    """The answer is FALSE, and at once: it never waits for a fault handler (spec 12)."""
    pool = pool_of(3)
    pool.form()
    assert pool.hosts[2].must("propose-master").out.strip() == "TRUE"
    crashed_at = pool.crash(2)
    for host in pool.hosts[:2]:
        result = host.must("propose-master")
        assert result.out.strip() == "FALSE"
        assert result.ended_at - result.began_at < 5
    pool.wait_live([0, 1], [0, 1], 45, crashed_at)
    elect(pool, [0, 1])


def test_propose_cancel_and_propose_at_once_leaves_the_decision_to_the_lock(pool_of, measured):
    """The original answers TRUE from stale grants, and then there are two masters."""
    pool = pool_of(3)
    pool.form()
    holder = elect(pool, [0, 1, 2], measured)
    for _ in range(4):
        pool.hosts[holder].must("cancel-master")
        others = [host for host in range(3) if host != holder]
        holder = elect(pool, [holder] + others)
        again = propose(pool.hosts)
        assert [host for host, said, _ in again if said == "TRUE"] == [holder], again


def test_a_master_stays_master_when_the_liveset_grows(pool_of):
    pool = pool_of(3)
    pool.form()
    crashed_at = pool.crash(0)
    pool.wait_live([1, 2], [1, 2], 45, crashed_at)
    holder = elect(pool, [1, 2])
    pool.network.heal()
    since = pool.start([0])
    pool.wait_live([0, 1, 2], [0, 1, 2], 50, since)
    # Host 0 has the highest priority of all, and still must not get what another holds.
    assert pool.hosts[0].must("propose-master").out.strip() == "FALSE"
    pool.wait([0, 1, 2], lambda view: view.master == (holder,), 10, "the master stays")


def test_nobody_becomes_master_without_being_online(pool_of):
    pool = pool_of(2)
    pool.initialise()
    assert pool.hosts[0].command("propose-master").code == 14
    pool.start([0])
    pool.wait([0], lambda view: view.status == "Starting", 10, "it starts")
    assert pool.hosts[0].command("propose-master").code == 17
    assert pool.hosts[0].command("disarm-fencing").code == 17


def test_the_master_is_fenced_when_it_is_cut_off_and_another_follows_only_then(pool_of):
    pool = pool_of(3)
    pool.form()
    assert pool.hosts[2].must("propose-master").out.strip() == "TRUE"
    pool.network.part([0, 1], [2])
    cut_at = time.monotonic()
    told_at = []
    while not told_at:
        assert time.monotonic() < cut_at + 60
        for host, said, result in propose(pool.hosts[:2]):
            if said == "TRUE":
                told_at.append(result.ended_at)
        time.sleep(0.2)
    assert len(told_at) == 1
    assert not pool.hosts[2].running and pool.hosts[2].daemon.ended_at < told_at[0]
