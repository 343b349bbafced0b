"""What can be done to a pool: the verbs of the scenario language.

Each method is one line of the language, which its docstring begins with.  Whoever is not well any
more by it is noted as touched, for the checkers: of the rest nobody may be reset.
"""

import abc
import hashlib
from typing import Callable, Dict, List, Optional, Sequence, Tuple

from xha import events, simrecovery
from xha.poolkey import PoolKey
from xha.published import PoolState
from xha.simdisk import WELL
from xha.simhost import Host
from xha.simpool import Pool

#: From a boot's begin to the start of the daemon, ms, where a host reboots by command.
BOOT_MS = 15000

#: What clients may ask of a daemon, by the commands' names (spec 6).
REQUESTS = {
    "propose-master": lambda ticket: events.ProposeMasterRequested(ticket=ticket),
    "cancel-master": lambda ticket: events.CancelMasterRequested(ticket=ticket),
    "disarm-fencing": lambda ticket: events.DisarmRequested(ticket=ticket),
    "set-excluded": lambda ticket: events.ExcludedRequested(ticket=ticket, excluded=True),
    "clear-excluded": lambda ticket: events.ExcludedRequested(ticket=ticket, excluded=False),
    "set-pool-state active": lambda ticket: events.PoolStateRequested(
        ticket=ticket, pool_state=PoolState.ACTIVE),
    "set-pool-state invalid": lambda ticket: events.PoolStateRequested(
        ticket=ticket, pool_state=PoolState.INVALID),
}  # type: Dict[str, Callable[[int], events.Event]]

#: Requests after which a host is no healthy member any more.
_LEAVING = ("disarm-fencing", "set-excluded")

STATEFILE_FAULTS = {
    "lost": "error", "hangs": "hang", "unwritable": "write error", "unreadable": "read error",
    "forgets writes": "lost writes", "misreports writes": "false write error", "back": WELL}


class ScriptError(ValueError):
    """A line that says nothing, or nothing possible.  The message names it."""


class Deeds(abc.ABC):
    """The verbs."""

    @property
    @abc.abstractmethod
    def pool(self) -> Pool:
        """The pool."""

    @abc.abstractmethod
    def hosts(self, text: str) -> List[int]:
        """The hosts that a line names.  ScriptError: there is no such host."""

    def _some(self, text: str) -> List[Host]:
        return [self.pool.hosts[index] for index in self.hosts(text)]

    def _touch(self, hosts: Sequence[int]) -> None:
        self.pool.checkers.deaths.touched.update(hosts)

    # ---- the network

    def partition(self, groups: str) -> None:
        """partition a,b | c: hosts of different groups do not hear each other"""
        parts = [self.hosts(part) for part in groups.split("|")]
        largest = max(parts, key=lambda part: sum(
            1 + 256 * self.pool.hosts[index].weight for index in part))
        for part in parts:
            for other in parts:
                if part is not other:
                    self.pool.network.cut(part, other)
            if part is not largest:
                self._touch(part)

    def cut_off(self, text: str) -> None:
        """network of c cut: it hears nobody, and nobody hears it"""
        everybody = range(len(self.pool.hosts))
        for host in self.hosts(text):
            self.pool.network.cut([host], everybody)
            self.pool.network.cut(everybody, [host])
            self._touch([host])

    def one_way(self, sender: str, receiver: str) -> None:
        """network from c to a cut: that direction alone"""
        senders, receivers = self.hosts(sender), self.hosts(receiver)
        self.pool.network.cut(senders, receivers)
        self._touch(senders + receivers)

    def link(self, one: str, other: str) -> None:
        """link a-c cut: both directions between two hosts"""
        ends = [self.hosts(one)[0], self.hosts(other)[0]]
        self.pool.network.cut(ends, ends)
        self._touch(ends)

    def network_back(self, text: str) -> None:
        """network of c back: its links are good again"""
        everybody = range(len(self.pool.hosts))
        self.pool.network.join(self.hosts(text), everybody)
        self.pool.network.join(everybody, self.hosts(text))

    def heal(self) -> None:
        """network heals: all links carry everything, in time"""
        self.pool.network.heal()

    def lossy(self, percent: str, where: Optional[str]) -> None:
        """network loses 30 %[ of a]: that part of all datagrams, or of those from and to a"""
        for direction in self._directions(where):
            self.pool.network.loss[direction] = int(percent) / 100

    def doubling(self, percent: str, where: Optional[str]) -> None:
        """network doubles 10 %[ of a]: that part arrives twice"""
        for direction in self._directions(where):
            self.pool.network.doubled[direction] = int(percent) / 100

    def damaging(self, percent: str, where: Optional[str]) -> None:
        """network damages 10 %[ of a]: of that part a bit is flipped"""
        for direction in self._directions(where):
            self.pool.network.damaged[direction] = int(percent) / 100

    def late(self, least: Optional[str], most: str, where: Optional[str]) -> None:
        """network takes [100 to ]2500 ms[ of a]: so long are datagrams on their way"""
        for direction in self._directions(where):
            self.pool.network.delays[direction] = (int(least or 1), int(most))

    def late_one_way(self, sender: str, receiver: str, most: str) -> None:
        """network from b to a takes 20000 ms: that direction alone"""
        senders, receivers = self.hosts(sender), self.hosts(receiver)
        self._touch(senders + receivers)
        for direction in [(one, other) for one in senders for other in receivers]:
            self.pool.network.delays[direction] = (int(most), int(most))

    def _directions(self, where: Optional[str]) -> List[Tuple[int, int]]:
        """The directions from and to these hosts.

        Both ends are touched: which of them is to blame for a link that is bad now and then
        nobody can see, and either may be put out.
        """
        everybody = range(len(self.pool.hosts))
        hosts = self.hosts(where) if where else list(everybody)
        directions = [(one, other) for one in everybody for other in everybody
                      if one != other and (one in hosts or other in hosts)]
        self._touch([end for direction in directions for end in direction])
        return directions

    # ---- the State-File

    def statefile(self, text: str, what: str) -> None:
        """statefile of a,b lost | hangs | unwritable | unreadable | misreports writes | back"""
        for host in self._some(text):
            host.way.set_fault(STATEFILE_FAULTS[what])
            if what == "back":
                host.way.slow_ms = 0
            else:
                self._touch([host.index])

    def slow(self, text: str, delay: str) -> None:
        """statefile of all takes 1000 ms: each access is so much longer"""
        for host in self._some(text):
            host.way.slow_ms = int(delay)
            self._touch([host.index])

    def tear(self, text: str, sectors: str) -> None:
        """next write of a torn after 3: so many sectors of 512 bytes reach the disk"""
        for host in self._some(text):
            host.way.torn_after = int(sectors)
            self._touch([host.index])

    def land_late(self, text: str) -> None:
        """late write of c: what its daemon wrote last in its last life lands on the disk again"""
        for host in self.hosts(text):
            self.pool.disk.land_late(1 + host)
            self._touch([host])

    def damage(self, text: str) -> None:
        """record of c damaged: bits rot in its section of the State-File"""
        for host in self.hosts(text):
            self.pool.disk.damage(1 + host)
            self._touch([host])

    def unreadable(self, text: str, what: str) -> None:
        """section of c unreadable | readable: an I/O error on that section, for everybody"""
        for host in self.hosts(text):
            self._touch([host])
            if what == "readable":
                self.pool.disk.unreadable.discard(1 + host)
            else:
                self.pool.disk.unreadable.add(1 + host)

    def damage_global(self, what: str) -> None:
        """global record damaged | zeroed"""
        if what == "zeroed":
            self.pool.disk.sections[0] = bytes(4096)
        else:
            self.pool.disk.damage(0, offset=60)

    # ---- hosts

    def act(self, text: str, what: str) -> None:
        """host a starts | crashes | stops | reboots | freezes | thaws; daemon of a dies

        ``stops``: SIGTERM to the daemon.  ``freezes``: dom0 does not run, its timers do; ``dies``:
        kill -9.
        """
        for host in self._some(text):
            if what != "starts":
                self._touch([host.index])
            if what == "stops":
                host.stop()
            elif what == "reboots":
                self._reboot(host)
            else:
                {"starts": host.start, "crashes": host.crash, "freezes": host.pause,
                 "thaws": host.resume, "dies": host.kill}[what]()

    def _reboot(self, host: Host) -> None:
        host.crash()
        if self.pool.boots_after_ms is None:
            self.pool.timeline.after(BOOT_MS, start_if_down, host)

    def freeze_machine(self, text: str, what: str) -> None:
        """machine of a freezes | thaws: nothing of it runs, its timers neither (a paused VM)"""
        for host in self._some(text):
            self._touch([host.index])
            if what == "freezes":
                host.freeze()
            else:
                host.resume()

    def start_down(self, most: Optional[str]) -> None:
        """who is down starts[ within 1500 ms]: one after the other, evenly spread"""
        down = [host for host in self.pool.hosts if host.node is None and not host.guarded]
        for number, host in enumerate(down):
            self.pool.timeline.after(number * int(most or 0) // len(down), start_if_down, host)

    def weigh(self, text: str, weight: str) -> None:
        """weight of b becomes 5: as reload-host-weight would tell the daemon"""
        for host in self._some(text):
            host.weight = int(weight)
            self.pool.checkers.deaths.note_weight(host.index, host.weight)
            host.take(events.WeightChanged(weight=int(weight)))

    def ask(self, text: str, what: str) -> None:
        """a,b ask propose-master | cancel-master | disarm-fencing | set-excluded | ..."""
        for host in self._some(text):
            if what in _LEAVING:
                self._touch([host.index])
            if what.startswith("set-pool-state"):
                self._touch(range(len(self.pool.hosts)))
            host.ask(REQUESTS[what], what)

    def disarm(self, text: str, seconds: str) -> None:
        """host a disarms for 30 s: it is meant for so long; it does not arm itself again"""
        for host in self._some(text):
            self._touch([host.index])
            host.ask(lambda ticket: events.DisarmRequested(
                ticket=ticket, term_ms=1000 * int(seconds)), "disarm-fencing")

    def change_key(self, text: str) -> None:
        """a asks rotate-key: for a new pool key, which takes the place of the old in three steps"""
        for host in self._some(text):
            if host.runs_xhad:
                self.pool.tell(host, "answered", "rotate-key: xhad cannot")
                continue
            key = PoolKey(hashlib.sha256("key {}/{}/{}".format(
                self.pool.seed, host.index, self.pool.now_ms).encode("ascii")).digest())
            host.ask(lambda ticket, key=key: events.KeyChangeRequested(  # type: ignore[misc]
                ticket=ticket, key=key), "rotate-key")

    def disable(self, text: str) -> None:
        """disable HA on a[ only]: what xapi does in an emergency: disarm, then stop the daemon"""
        self.ask(text, "disarm-fencing")
        self.act(text, "stops")

    def replay(self, text: str) -> None:
        """old heartbeats of a arrive again: what it sent last, and what it sent before"""
        for host in self._some(text):
            self.pool.checkers.joining.replayed.add(host.index)
            for datagram, sent_at_ms in host.past_datagrams:
                # One that is still on its way is heard now.
                for other in self.pool.hosts:
                    if other is not host:
                        other.deliver(datagram, self.pool.common.hosts[host.index].address,
                                      host.index, sent_at_ms)

    def jump(self, text: str, seconds: str) -> None:
        """wall clock of a jumps by -3600 s"""
        for host in self._some(text):
            host.wall_offset_ms += int(round(float(seconds) * 1000))

    def toolstack(self, text: str, what: str) -> None:
        """toolstack of a fails | recovers: what the monitor of xapi publishes

        A failure that lasts is announced for 2 t1, then the host fences itself (spec 8).
        """
        for host in self._some(text):
            self._touch([host.index])
            host.toolstack_fails(what == "fails", 2 * self.pool.common.heartbeat_interval_ms)


    def heal_all(self) -> None:
        """everything heals: network, State-File, frozen hosts; who was down stays down"""
        self.pool.network.heal()
        self.pool.disk.unreadable.clear()
        for host in self.pool.hosts:
            host.way.set_fault(WELL)
            host.way.slow_ms = 0
            host.way.torn_after = None
            host.toolstack_fails(False, 0)
            host.resume()

    def recover(self) -> None:
        """the pool forms again: who is down starts; LivenessMissed when that takes too long"""
        simrecovery.recover(self.pool)

    def elect(self) -> None:
        """a master is elected: all propose themselves; LivenessMissed unless one is TRUE in 2 s"""
        simrecovery.elect(self.pool)

    def rest(self, within: Optional[str]) -> None:
        """the pool comes to rest[ within 300 s]: time passes until nothing changes any more

        ``within``: LivenessMissed when that takes longer.
        """
        simrecovery.rest(self.pool, int(within) if within else None)


def state_of(host: Host) -> str:
    """What a host is now, in words."""
    view = host.view
    if not host.up:
        return "down"
    if view is None:
        return "no daemon" + (", its timers run" if host.guarded else "")
    if not view.online:
        return "starting: " + view.waiting_for
    words = ["liveset ({})".format(view.picture(view.liveset))]
    words += ["holds the master lock"] * view.holding + ["rule 2"] * view.sr2
    words += ["disarmed"] * (not view.armed) + ["excluded"] * view.excluded
    words += ["waits for " + view.waiting_for] if view.waiting_for else []
    return ", ".join(words)


def start_if_down(host: Host) -> None:
    """Start the daemon of a host where none runs and no timers are left."""
    if host.node is None and not host.guarded:
        host.start()
