"""Random histories: a pool, faults drawn from a seed, and what must hold all the same.

``python3 tests/sim/campaign.py FIRST LAST [-v]`` runs the seeds of that range, and says for
each that fails what was done to the pool and how it failed: a *breach* of an invariant, a
*crash* of the core, or a pool that *does not form* again after all faults have healed.
"""

import os
import random
import sys
import traceback
from typing import Any, List, Tuple

if __name__ == "__main__":
    sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
    __import__("conftest")  # Makes src/ importable as xha.

from xha import events, sfformat
from xha.published import Fault, FencingMode, PoolState

from sim.checkers import Breach
from sim.disk import WELL
from sim.host import Host
from sim.pool import QUICK, Pool

#: Settings that a run may have.
SETTINGS = (
    QUICK, QUICK,
    dict(QUICK, BootJoinTimeout=25, EnableJoinTimeout=25),
    dict(QUICK, HeartbeatTimeout=7, StateFileTimeout=6, HeartbeatWatchdogTimeout=6,
         StateFileWatchdogTimeout=12),
    dict(QUICK, HeartbeatTimeout=10, StateFileTimeout=10, HeartbeatWatchdogTimeout=10,
         StateFileWatchdogTimeout=25, StateFileInterval=2, BootJoinTimeout=90,
         EnableJoinTimeout=90),
)

#: A write that is confirmed and lost is none of them: spec 3 assumes that storage does not lie.
FAULTS = ("error", "error", "hang", "read error", "write error", "false write error",
          WELL)


class Run:
    """One history."""

    def __init__(self, seed: int) -> None:
        self.seed = seed
        self._random = random.Random("campaign {}".format(seed))
        count = self._random.choice((1, 2, 2, 3, 3, 3, 3, 4, 4, 5, 6))
        drift = [self._random.randint(-500, 500) for _ in range(count)]
        self.pool = Pool(count, seed, self._random.choice(SETTINGS), drift)
        if self._random.random() < 0.3:
            for host in self.pool.hosts:
                host.weight = self._random.choice((1, 1, 2, 5))
        #: What was done, in words.
        self.story = ["pool of {}".format(count)]
        kinds = [self.crash, self.start, self.freeze, self.thaw, self.part, self.one_way,
                 self.link, self.heal, self.lossy, self.late, self.disk_fault, self.all_disks,
                 self.disks_well, self.slow, self.tear, self.rot, self.propose, self.cancel,
                 self.kill, self.weigh, self.exclude, self.stop, self.start_some,
                 self.crash_all]
        # Runs differ in kind, not only in order.
        self._kinds = self._random.sample(kinds, self._random.randint(2, 8)) + [self.start]

    def go(self) -> None:
        """Form, suffer, heal, form again."""
        self.pool.form()
        self._good = self.pool.global_record()
        for _ in range(self._random.randint(2, 14)):
            self.pool.run(self._pause_ms())
            self._random.choice(self._kinds)()
        self.pool.run(self._pause_ms())
        self._recover()

    def _pause_ms(self) -> int:
        draw = self._random.random()
        if draw < 0.3:
            return 0
        return int(self._random.random() * (1500 if draw < 0.5 else 6000 if draw < 0.8 else 25000))

    def _recover(self) -> None:
        self.heal()
        self.disks_well()
        for host in self.pool.hosts:
            host.resume()
        self.note("all heals")
        until_ms = self.pool.now_ms + 3 * 120000
        while not self.pool.formed():
            assert self.pool.now_ms < until_ms, "does not form"
            self._restore()
            for host in self.pool.hosts:
                if host.view is not None and host.view.fencing is FencingMode.DISARMED:
                    # Who is disarmed drops nobody: whoever disarmed it has to stop it.
                    host.take(events.StopRequested())
                if host.node is None and not host.guarded:
                    host.start()
            self.pool.run(1000)

    def _restore(self) -> None:
        """Nobody who runs knows what the bad global record held: an administrator does."""
        found = sfformat.section_of_global(self.pool.disk.sections[0])
        if found.fault is not Fault.NONE and not any(
                host.view is not None and host.view.online for host in self.pool.hosts):
            self.note("global record restored")
            self.pool.disk.sections[0] = sfformat.encode_global(
                self._good._replace(pool_state=PoolState.ACTIVE))

    def note(self, text: str) -> None:
        """Remember what was done."""
        self.story.append("{:9.3f} {}".format(self.pool.now_ms / 1000, text))

    def _host(self) -> Any:
        return self._random.choice(self.pool.hosts)

    # ---- what may happen

    def crash(self) -> None:
        host = self._host()
        self.note("host {} crashes".format(host.index))
        host.crash()

    def start(self) -> None:
        for host in self.pool.hosts:
            if host.node is None and not host.guarded:
                self.note("host {} starts".format(host.index))
                host.start()

    def start_some(self) -> None:
        """Some of those that are down, each a little later than the one before."""
        delay_ms = 0
        for host in self.pool.hosts:
            if host.node is None and not host.guarded and self._random.random() < 0.7:
                self.note("host {} starts in {} ms".format(host.index, delay_ms))
                self.pool.timeline.after(delay_ms, self._start_if_down, host)
                delay_ms += self._random.randint(0, 1500)

    @staticmethod
    def _start_if_down(host: Host) -> None:
        if host.node is None and not host.guarded:
            host.start()

    def crash_all(self) -> None:
        self.note("all crash")
        for host in self.pool.hosts:
            host.crash()

    def kill(self) -> None:
        host = self._host()
        if host.node is not None:
            self.note("daemon of {} dies".format(host.index))
            host.kill()

    def freeze(self) -> None:
        host = self._host()
        self.note("host {} freezes".format(host.index))
        if host.node is not None:
            host.pause()
            duration_ms = self._random.choice((300, 1500, 3000, 4000, 4800, 7000))
            self.pool.timeline.after(duration_ms, host.resume)

    def thaw(self) -> None:
        for host in self.pool.hosts:
            host.resume()
        self.note("all thaw")

    def part(self) -> None:
        sides = [self._random.randint(0, 2) for _ in self.pool.hosts]
        self.note("network cut {}".format(sides))
        for one in self.pool.hosts:
            for other in self.pool.hosts:
                if sides[one.index] != sides[other.index]:
                    self.pool.network.cut([one.index], [other.index])

    def one_way(self) -> None:
        one, other = self._host().index, self._host().index
        self.note("network from {} to {} cut".format(one, other))
        self.pool.network.cut([one], [other])

    def link(self) -> None:
        one, other = self._host().index, self._host().index
        self.note("link {}-{} cut".format(one, other))
        self.pool.network.cut([one], [other])
        self.pool.network.cut([other], [one])

    def heal(self) -> None:
        self.note("network heals")
        self.pool.network.heal()

    def lossy(self) -> None:
        part = self._random.choice((0.1, 0.3, 0.6))
        self.note("network loses {}".format(part))
        for one in range(len(self.pool.hosts)):
            for other in range(len(self.pool.hosts)):
                self.pool.network.loss[(one, other)] = part
                self.pool.network.doubled[(one, other)] = 0.1

    def late(self) -> None:
        most_ms = self._random.choice((50, 500, 2500))
        self.note("network takes up to {} ms".format(most_ms))
        for one in range(len(self.pool.hosts)):
            for other in range(len(self.pool.hosts)):
                self.pool.network.delays[(one, other)] = (1, most_ms)

    def disk_fault(self) -> None:
        host = self._host()
        fault = self._random.choice(FAULTS)
        self.note("statefile of {}: {}".format(host.index, fault))
        host.way.set_fault(fault)

    def all_disks(self) -> None:
        fault = self._random.choice(("error", "hang"))
        self.note("statefile of all: {}".format(fault))
        for host in self.pool.hosts:
            host.way.set_fault(fault)

    def disks_well(self) -> None:
        self.note("statefile of all: well")
        for host in self.pool.hosts:
            host.way.set_fault(WELL)
            host.way.slow_ms = 0

    def slow(self) -> None:
        delay_ms = self._random.choice((100, 400, 1000, 2500))
        hosts = self.pool.hosts if self._random.random() < 0.5 else [self._host()]
        self.note("statefile of {} takes {} ms".format([host.index for host in hosts], delay_ms))
        for host in hosts:
            host.way.slow_ms = delay_ms

    def tear(self) -> None:
        host = self._host()
        host.way.torn_after = self._random.randint(0, 7)
        self.note("next write of {} torn after {}".format(host.index, host.way.torn_after))

    def rot(self) -> None:
        section = self._random.randint(0, len(self.pool.hosts))
        self.note("section {} rots".format(section))
        self.pool.disk.damage(section, offset=60 if section == 0 else 600)

    def propose(self) -> None:
        for host in self.pool.hosts:
            if self._random.random() < 0.7 and host.node is not None and not host.paused:
                self.note("{} proposes".format(host.index))
                host.ask(lambda ticket: events.ProposeMasterRequested(ticket=ticket), "propose")

    def cancel(self) -> None:
        for host in self.pool.hosts:
            if self._random.random() < 0.7 and host.node is not None and not host.paused:
                self.note("{} cancels".format(host.index))
                host.ask(lambda ticket: events.CancelMasterRequested(ticket=ticket), "cancel")
        if self._random.random() < 0.7:
            self.propose()

    def weigh(self) -> None:
        host = self._host()
        self.note("weight of {} changes".format(host.index))
        if not host.paused:
            host.take(events.WeightChanged(weight=self._random.choice((1, 2, 5))))

    def exclude(self) -> None:
        host = self._host()
        if host.node is not None and not host.paused:
            self.note("{} is disarmed and excluded".format(host.index))
            host.ask(lambda ticket: events.DisarmRequested(ticket=ticket), "disarm")
            host.ask(lambda ticket: events.ExcludedRequested(ticket=ticket, excluded=True),
                     "exclude")

    def stop(self) -> None:
        host = self._host()
        if host.node is not None and not host.paused:
            self.note("daemon of {} is stopped".format(host.index))
            host.take(events.StopRequested())


def outcome(seed: int) -> Tuple[str, Run]:
    """"" or how the run of a seed failed, and the run."""
    run = Run(seed)
    try:
        run.go()
    except Breach as breach:
        return "breach at {} ms: {}".format(run.pool.now_ms, breach), run
    except AssertionError as error:
        where = traceback.extract_tb(error.__traceback__)[-1]
        return "{} at {} ms: {} ({}:{})".format(
            "does not form" if "does not form" in str(error) else "crash", run.pool.now_ms,
            error, os.path.basename(where.filename), where.lineno), run
    return "", run


def main(arguments: List[str]) -> int:
    """Run a range of seeds."""
    failed = 0
    for seed in range(int(arguments[0]), int(arguments[1])):
        failure, run = outcome(seed)
        if failure:
            failed += 1
            print("seed {}: {}".format(seed, failure))
            if "-v" in arguments:
                print("\n".join("  " + line for line in run.story))
    print("{} of {} runs failed".format(failed, int(arguments[1]) - int(arguments[0])))
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
