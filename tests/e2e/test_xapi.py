"""xapi switches HA on and off, hosts leave, return and die, and it can read all that it is told.

The stand-in, and what it requires of every script, is ``rig/xapi.py``; which
code each script gives in which state of a host is ``test_xapi_states.py``.
"""

import os
import signal
import threading
import time

import pytest

from rig import livesetxml, xapi
from rig.dom0 import Dom0
from rig.namespaces import Result
from rig.stateformat import ACTIVE, INVALID, excluded, pool_state
from rig.xapi import Broken, Poller, Xapi, at_once, audit

FIXTURES = os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "fixtures")

#: How long the pool may take to come to what a test waits for, s.
PATIENCE_S = 60.0


@pytest.fixture
def hosts_of(pool_of, installed):
    """Make a pool whose hosts have xapi: ``hosts_of(3)``; gives the pool and its xapis."""
    def make(count, **options):
        pool = pool_of(count, **options)
        return pool, at_once(lambda host: Xapi(Dom0(host, installed)), pool.hosts)
    return make


def until(holds, pool):
    """Wait until ``holds``."""
    deadline = time.monotonic() + PATIENCE_S
    while not holds():
        assert time.monotonic() < deadline, "".join(host.log() for host in pool.hosts)
        time.sleep(0.05)


def shown(hosts, name):
    """The hosts that each of these reports under a flag."""
    return at_once(lambda one: one.query().having(name), hosts)


def test_ha_is_switched_on_and_off_and_on_again(hosts_of):
    pool, hosts = hosts_of(3)
    for _ in range(2):
        master = xapi.enable(hosts)
        pollers = [Poller(one) for one in hosts]
        until(lambda: all(poller.polls >= 5 for poller in pollers), pool)
        assert pool_state(pool.disk.peek(0)) == ACTIVE
        until(lambda: shown(hosts, "master") == [(master.host.index,)] * 3, pool)
        assert shown(hosts, "statefile_access") == [(0, 1, 2)] * 3
        assert master.propose(), "who is the master stays it"

        xapi.disable(hosts)
        assert not any(at_once(lambda one: one.present(), hosts))
        assert pool_state(pool.disk.peek(0)) == INVALID
        until(lambda: all(poller.failed == 14 for poller in pollers), pool)
        for poller in pollers:
            poller.stop()
            assert poller.seen == [(0, 1, 2)], "nobody was lost on the way"


def test_a_host_is_shut_down_and_comes_back(hosts_of):
    pool, hosts = hosts_of(3)
    xapi.enable(hosts)
    pollers = [Poller(one) for one in hosts[:2]]
    until(lambda: all(poller.polls for poller in pollers), pool)
    hosts[2].leave()
    assert excluded(pool.disk.peek(3)) == 1
    until(lambda: shown(hosts[:2], "liveness") == [(0, 1)] * 2, pool)
    until(lambda: shown(hosts[:2], "excluded") == [(2,)] * 2, pool)

    hosts[2].call("ha_start_daemon")
    assert hosts[2].query().having("liveness") == (0, 1, 2)
    until(lambda: shown(hosts, "excluded") == [()] * 3, pool)
    until(lambda: excluded(pool.disk.peek(3)) == 0, pool)
    until(lambda: all(poller.seen[-1] == (0, 1, 2) for poller in pollers), pool)
    for poller in pollers:
        poller.stop()
        assert poller.seen == [(0, 1, 2), (0, 1), (0, 1, 2)]


def test_the_master_dies_and_the_others_elect_one(hosts_of):
    pool, hosts = hosts_of(3)
    master = xapi.enable(hosts)
    others = [one for one in hosts if one is not master]
    left = tuple(one.host.index for one in others)
    pollers = [Poller(one) for one in others]
    until(lambda: all(poller.polls for poller in pollers), pool)
    pool.network.isolate(master.host.index)
    master.dom0.signal_daemon(signal.SIGKILL)
    until(lambda: shown(others, "liveness") == [left] * 2, pool)
    until(lambda: all(poller.seen[-1] == left for poller in pollers), pool)
    told = at_once(lambda one: one.propose(), others)
    assert told.count(True) == 1, told
    elected = others[told.index(True)].host.index
    until(lambda: shown(others, "master") == [(elected,)] * 2, pool)
    for poller in pollers:
        poller.stop()
        assert poller.seen == [(0, 1, 2), left]


def test_the_storage_goes_and_comes_back(hosts_of):
    pool, hosts = hosts_of(2)
    xapi.enable(hosts)
    pollers = [Poller(one) for one in hosts]
    until(lambda: all(poller.polls for poller in pollers), pool)
    pool.disk.fault([0, 1], "fail")
    until(lambda: all(one.query().warnings["statefile_lost"] for one in hosts), pool)
    until(lambda: shown(hosts, "statefile_access") == [(), ()], pool)
    pool.disk.fault([0, 1], "ok")
    until(lambda: shown(hosts, "statefile_access") == [(0, 1)] * 2, pool)
    until(lambda: not any(one.query().warnings["statefile_lost"] for one in hosts), pool)
    for poller in pollers:
        poller.stop()
        assert poller.seen == [(0, 1)]


# The stand-in itself

def test_one_script_at_a_time_on_a_host(hosts_of):
    _, hosts = hosts_of(1)
    results = []
    threads = [threading.Thread(target=lambda: results.append(hosts[0].run("ha_query_liveset")))
               for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    ordered = sorted(results, key=lambda result: result.began_at)
    assert len(ordered) == 4 and all(result.code == 14 for result in ordered)
    for earlier, later in zip(ordered, ordered[1:]):
        assert earlier.ended_at <= later.began_at


#: code, standard output, standard error, why xapi breaks
BREAKING = [
    (20, "", "a message\n", "a code that is not in its table"),
    (-9, "", "", "a script that was killed"),
    (127, "", "internal bug\n", "a bug of ours"),
    (0, "\u00fc\n", "", "output that is not ASCII"),
    (0, "TRUE", "", "half a line"),
    (3, "FALSE\n", "try again\n", "output of a failure"),
    (3, "", "", "a failure without a word"),
    (3, "", "one\ntwo\n", "two messages"),
    (3, "", "n\u00f6\n", "a message that is not ASCII"),
]


@pytest.mark.parametrize("code, out, err, why", BREAKING, ids=[row[-1] for row in BREAKING])
def test_what_would_break_xapi_breaks_the_stand_in(code, out, err, why):
    with pytest.raises(Broken):
        audit("ha_script", Result(code=code, out=out, err=err, began_at=0.0, ended_at=0.0))


#: The original's words, but for what older xapis cannot read.
INDEX_OF_LOCAL = "\n    <HostIndex>0</HostIndex>\n  </localhost>"


def of_the_original(name):
    """A document that the original printed."""
    with open(os.path.join(FIXTURES, "liveset_{}_host0.xml".format(name))) as file:
        return file.read()


ONLINE = of_the_original("master1").replace(INDEX_OF_LOCAL, "\n  </localhost>")
STARTING = of_the_original("starting").replace(INDEX_OF_LOCAL, "\n  </localhost>")
TIMEOUT = ONLINE[ONLINE.index("  <timeout>"):ONLINE.index("  <warning_")]
UUID = "10000000-1111-4222-8333-000000000000"

#: before, after, whether older and newer xapis can read it, why
CHANGES = [
    ("", "", True, True, "as it is"),
    ("\n  </localhost>", INDEX_OF_LOCAL, False, True, "one more element in localhost"),
    (TIMEOUT, "", False, True, "a block is missing"),
    (TIMEOUT, TIMEOUT + "  <later><x>1</x></later>\n", False, True, "a block nobody knows"),
    ("<status>Online</status>", "", False, False, "no status"),
    (">Online<", ">online<", False, False, "a status in small letters"),
    (TIMEOUT, "  <timeout></timeout>\n", False, False, "a block without its elements"),
    ("    <Ws>8000</Ws>\n", "", False, False, "an element of a block is missing"),
    ("<Ws>8000</Ws>", "<Ws>8.0</Ws>", False, False, "a time that is no whole number"),
    ("<Ws>8000</Ws>", "<Ws></Ws>", False, False, "a time that is empty"),
    ("<liveness>TRUE", "<liveness>true", False, False, "a flag in small letters"),
    ("<liveness>TRUE", "<liveness>1", False, False, "a flag as a number"),
    ("<T1>5000</T1>\n    <T2>5000</T2>", "<T2>5000</T2>\n    <T1>5000</T1>", False, True,
     "elements in another order"),
    ("<HostIndex>2</HostIndex>", "<HostIndex>1</HostIndex>", False, False, "an index twice"),
    ("          " + UUID, "          \u00fc", False, False, "a list with something else"),
    ("</ha_liveset_info>", "", False, False, "the end is missing"),
    ("<host_raw_data>", "<host_raw>", False, False, "no well-formed XML"),
]


def reads(parser, text):
    try:
        parser(text)
    except livesetxml.Unreadable:
        return False
    return True


@pytest.mark.parametrize("before, after, old, new, why", CHANGES,
                         ids=[row[-1].replace(" ", "-") for row in CHANGES])
def test_what_each_xapi_can_read(before, after, old, new, why):
    assert before in ONLINE
    changed = ONLINE.replace(before, after, 1) if before else ONLINE
    assert reads(livesetxml.older, changed) == old
    assert reads(livesetxml.newer, changed) == new


def test_what_xapi_learns_from_the_originals_words():
    online, starting = livesetxml.both(ONLINE), livesetxml.both(STARTING)
    assert (starting.status, starting.local, starting.hosts) == ("Starting", UUID, ())
    assert online.having("liveness") == (0, 1, 2) and online.having("master") == (1,)
    assert online.timeouts == {"T1": 5000, "T2": 5000, "T3": 10000, "Wh": 5000, "Ws": 8000}
    assert online.raw_hosts[1]["heartbeat_active_list_on_statefile"][0] == UUID
    assert not any(online.warnings.values())
