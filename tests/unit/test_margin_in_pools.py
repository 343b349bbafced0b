"""Margins beside the cores of a virtual pool: near misses are what went above half, and no more.

The observer stands where the daemon has it; the core, and what it says, is as without it.
"""
import pytest

from xha import observer, simpool
from xha.observer import Observer
from xha.simhost import Host
from xha.simscript import Director
from xha.statefile import Done

#: What it takes is the core's, and the same on every Python.
pytestmark = pytest.mark.ends

#: How long a pool that nobody disturbs is watched.
MINUTES = 3


class Deaf:
    """A recorder that takes down nothing."""

    incarnation = 0

    def state(self, fields):
        pass

    measure = state

    def keep(self):
        pass

    def news(self):
        return ()


class Watched(Host):
    """A host whose daemon has an observer, which is told what the daemon's loop tells it."""

    def _daemon(self):
        node = super()._daemon()
        self.observer = Observer(Deaf(), node.core.view.common, node.core.view)
        self.near = getattr(self, "near", [])
        datagram, completed = node.datagram, node.completed

        def take_datagram(data, source, received_at_ms):
            datagram(data, source, received_at_ms)
            self.observer.datagram(source)

        def take_completion(done):
            self.observer.access(Done(
                kind=done.kind, section=done.section, issued_at_ms=done.issued_at_ms,
                completed_at_ms=done.completed_at_ms, error=done.error, sections=done.sections))
            completed(done)
        node.datagram, node.completed = take_datagram, take_completion
        return node

    def set_watchdog(self, watchdog, expires_at_ms):
        error = super().set_watchdog(watchdog, expires_at_ms)
        if not error:
            self.observer.timer(watchdog, expires_at_ms, self.now_ms())
        return error

    def _after_turn(self):
        super()._after_turn()
        if self.node is not None:
            self.near += [dict(one.fields)
                          for one in self.observer.turn(self.now_ms(), self.now_ms())]
            assert self.observer._state == observer._state_of(self.view), "a change was missed"


@pytest.fixture
def tell(monkeypatch):
    monkeypatch.setattr(simpool, "Host", Watched)

    def story(*lines):
        """(host, path, what was slow) of each near miss that was said, and the pool."""
        director = Director()
        for line in lines:
            director.obey(line)
        director.pool.run(5000)
        hosts = director.pool.hosts
        return sorted((host.index, one["path"], one["slow"].split(" took")[0].split(" for")[0])
                      for host in hosts for one in host.near), director.pool
    return story


@pytest.mark.parametrize("pool", [
    "pool of 1; started", "pool of 3; started", "pool of 8; started; clocks 300,-300",
    "pool of 3; T 10; started", "pool of 5; T 60; started", "pool of 3; t1 2; T1 5; started",
    "pool of 3; t2 3; T2 10; Ws 20; started"])
@pytest.mark.parametrize("seed", range(2))
def test_a_pool_that_nobody_disturbs_has_margins_and_no_near_miss(tell, pool, seed):
    near, world = tell("{}; seed {}".format(pool, seed), "{} s pass".format(60 * MINUTES))
    assert near == []
    for host in world.hosts:
        margins = host.observer.complete(host.node.core.snapshot(host.now_ms())).margins
        assert len(margins) == 5 + 3 * (len(world.hosts) - 1)
        for one in margins:
            assert one.day == one.start and one.day.used_ms <= one.near_ms, one


WRITE = "a write to the State-File"
FAILED, SILENT = "accesses to the State-File failed", "nothing came meanwhile"
PAUSED = "the daemon was not run"

#: T1 = T2 = Wh = 20 s, Ws = 35 s, t1 = 3 s, t2 = 2 s.
STORIES = [
    # lines,                       near misses,                                  why
    (["network of 2 cut", "14 s pass", "network heals", "20 s pass"],
     [(0, "heard", SILENT),
      (0, "heard-by", SILENT),
      (1, "heard", SILENT),
      (1, "heard-by", SILENT),
      (2, "heard", SILENT),
      (2, "heard-by", SILENT)], "a cut that heals in time"),
    (["network of 2 cut", "6 s pass", "network heals", "20 s pass"], [],
     "a cut that heals before half"),
    (["network from 0 to 2 cut", "14 s pass", "network heals", "20 s pass"],
     [(0, "heard-by", SILENT),
      (2, "heard", SILENT)], "a cut one way"),
    (["network of 2 cut", "90 s pass"], [], "a cut that ends in a fence"),
    (["host 2 crashes", "90 s pass"], [], "a host that dies"),
    (["statefile of 1 lost", "14 s pass", "statefile of 1 back", "20 s pass"],
     [(0, "record", SILENT),
      (1, "statefile-write", FAILED),
      (2, "record", SILENT)], "a disk that fails for a while"),
    (["statefile of 1 hangs", "14 s pass", "statefile of 1 back", "20 s pass"],
     [(0, "record", SILENT),
      (1, "statefile-write", WRITE),
      (2, "record", SILENT)], "a disk that hangs for a while"),
    (["statefile of all lost", "60 s pass", "statefile of all back", "20 s pass"], [],
     "survival rule 2: nobody expects a write"),
    (["statefile of 1 takes 8000 ms", "20 s pass", "statefile of 1 takes 1 ms", "20 s pass"],
     [(0, "record", SILENT),
      (1, "statefile-write", WRITE),
      (2, "record", SILENT)], "a disk that is slow for a while"),
    (["host 1 freezes", "14 s pass", "host 1 thaws", "20 s pass"],
     [(0, "heard", SILENT),
      (0, "record", SILENT),
      (1, "statefile-write", PAUSED),
      (2, "heard", SILENT),
      (2, "record", SILENT)], "a daemon that is not run for a while"),
    (["2 ask disarm-fencing", "5 s pass", "host 2 freezes", "14 s pass", "host 2 thaws",
      "20 s pass"], [(0, "heard", SILENT),
      (0, "record", SILENT),
      (1, "heard", SILENT),
      (1, "record", SILENT)], "a host that is disarmed"),
]


@pytest.mark.parametrize("lines, expected, why", STORIES, ids=[row[-1] for row in STORIES])
def test_a_near_miss_is_what_went_above_half_and_came_back(tell, lines, expected, why):
    near, _ = tell("pool of 3; T 20; started", "10 s pass", *lines)
    assert near == expected


def test_what_the_core_says_and_does_is_as_without_it(tell, monkeypatch):
    lines = ["pool of 3; started", "network of 2 cut", "4 s pass", "network heals", "9 s pass",
             "statefile of 1 takes 2000 ms", "20 s pass", "host 0 crashes", "60 s pass"]
    watched = tell(*lines)[1].digest()
    monkeypatch.setattr(simpool, "Host", Host)
    director = Director()
    for line in lines:
        director.obey(line)
    director.pool.run(5000)
    assert director.pool.digest() == watched
