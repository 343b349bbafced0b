"""The world: hosts, the network between them and the disk that they share.

A run is decided by its seed and by what is done to the pool: the same of both
gives the same history, on any machine and any Python; ``digest`` is a
fingerprint of every byte that was sent and written, and of all that was said.

Everything that is sent and written is really encoded and really decoded, but
identical bytes once only: all that receive a broadcast, or read a record,
share what it means.
"""

import functools
import hashlib
from typing import Any, Callable, Dict, Iterable, List, NamedTuple, Optional, Sequence

from xha import config, hbformat, sfformat, simsaying
from xha.actions import Log, Watchdog
from xha.config import Config
from xha.hostset import MAX_HOSTS
from xha.node import Decoders
from xha.poolkey import PoolKey
from xha.published import (BLANK_RECORD, NO_MASTER, FencingMode, GlobalRecord, GlobalSeal,
                           PoolState, RecordSeal, WatchdogMode)
from xha.simcheckers import Checkers
from xha.simdice import Dice
from xha.simdisk import Disk
from xha.simhost import EPOCH_S, SOFTWARE, Host, Watcher
from xha.simnetwork import Network
from xha.simtimeline import Clock, Timeline

GENERATION = "11111111222233334444555555555555"

#: Quick settings, those of the end-to-end tests: seconds.
QUICK = {"HeartbeatInterval": 1, "HeartbeatTimeout": 5, "StateFileInterval": 1,
         "StateFileTimeout": 5, "HeartbeatWatchdogTimeout": 5, "StateFileWatchdogTimeout": 8,
         "BootJoinTimeout": 60, "EnableJoinTimeout": 60}

#: Different bytes whose meaning is remembered: more than are on their way, or lie on the disk.
REMEMBERED = 256

_BLANK_SEAL = RecordSeal(
    incarnation=0, software="", written_at_wall_ms=0, fencing=FencingMode.NONE,
    watchdog_mode=WatchdogMode.UNKNOWN, sr2=False, holding=False,
    incarnations_seen=(0,) * MAX_HOSTS, last_words=None)


class Entry(NamedTuple):
    """Something that an operator would see, or that was done to a host."""

    at_ms: int
    host: int
    kind: str
    content: Any


def derived_from(timeout_s: int) -> Dict[str, int]:
    """The parameters that xapi derives from one number, the HA timeout, in seconds (spec 2)."""
    return {"HeartbeatInterval": min((timeout_s + 10) // 10, 3),
            "HeartbeatTimeout": timeout_s, "StateFileInterval": max(2, timeout_s // 20),
            "StateFileTimeout": timeout_s, "HeartbeatWatchdogTimeout": timeout_s,
            "StateFileWatchdogTimeout": timeout_s + 15, "BootJoinTimeout": timeout_s + 60,
            "EnableJoinTimeout": timeout_s + 60}


def settings_of(hosts: int, parameters: Dict[str, int]) -> List[Config]:
    """The configuration of each host of an invented pool, as its daemon would read it."""
    uuids = ["{:032x}".format(0xa0 + index) for index in range(hosts)]
    text = ('<xhad-config version="1.0"><common-config><GenerationUUID>{}</GenerationUUID>'
            "<UDPport>694</UDPport>{}<parameters>{}</parameters></common-config><local-config>"
            "<localhost><HostID>{{}}</HostID><HeartbeatInterface>lo</HeartbeatInterface>"
            "<StateFile>/statefile</StateFile></localhost></local-config></xhad-config>").format(
                GENERATION,
                "".join("<host><HostID>{}</HostID><IPaddress>10.0.0.{}</IPaddress></host>".format(
                    uuid, 1 + index) for index, uuid in enumerate(uuids)),
                "".join("<{0}>{1}</{0}>".format(name, parameters[name])
                        for name in sorted(parameters)))
    first = config.parse(text.format(uuids[0]).encode("ascii"))
    return settings_like(first)


def settings_like(settings: Config) -> List[Config]:
    """From one host's configuration, that of each host of its pool."""
    return [settings._replace(local=settings.local._replace(index=index, host_uuid=host.uuid))
            for index, host in enumerate(settings.common.hosts)]


class Pool(Watcher):
    """A pool of virtual hosts."""

    def __init__(self, settings: Sequence[Config], seed: int = 0,
                 drift_ppm: Sequence[int] = ()) -> None:
        """Make the machines and an initialised State-File; no daemon runs.

        Args:
            settings: the configuration of each host, in the order of their indexes.
            drift_ppm: what each host's clock gains of a million; 0 where nothing is said.
        """
        self.timeline = Timeline()
        self.settings = list(settings)
        self.common = settings[0].common
        self.seed = seed
        self.history = []  # type: List[Entry]
        self.hosts = []  # type: List[Host]
        self.checkers = Checkers(self.hosts, self.common, lambda: self.timeline.now_ms,
                                 lambda host, text: self.tell(host, "original", text))
        #: A host that went down boots, and starts its daemon, after this time, ms.
        self.boots_after_ms = None  # type: Optional[int]
        #: Called after whatever may have changed a host, for who looks on.
        self.looked_on = None  # type: Optional[Callable[[Host], None]]
        self._sum = hashlib.sha256()
        self.network = Network(self.timeline, Dice("network {}".format(seed)).draw, self._deliver)
        self.disk = Disk(len(self.settings), self._sum.update)
        decoders = Decoders(
            heartbeat=functools.lru_cache(REMEMBERED)(hbformat.decode),
            host_section=functools.lru_cache(REMEMBERED)(sfformat.section_of_host))
        for index, its_settings in enumerate(self.settings):
            drift = drift_ppm[index] if index < len(drift_ppm) else 0
            # No two clocks show the same: whoever compares them is found out.
            clock = Clock(self.timeline, 1000000 + 7919 * index, drift)
            self.hosts.append(Host(self.timeline, its_settings, self.disk, clock, self,
                                   Dice("{}/{}".format(seed, index)).draw, decoders))
        #: The global record as it was initialised; the pool key follows from the seed.
        self.initial = GlobalRecord(
            generation_uuid=self.common.generation_uuid, pool_state=PoolState.INIT,
            master=NO_MASTER, host_count=len(self.settings),
            pool_key=PoolKey(hashlib.sha256(str(seed).encode("ascii")).digest()),
            seal=GlobalSeal(software=SOFTWARE, initialised_by="", initialised_at_wall_s=EPOCH_S))
        #: A host record as it was initialised.
        self.blank = sfformat.encode_host(BLANK_RECORD._replace(seal=_BLANK_SEAL))
        #: The highest pool state that any host has seen.
        self.state_seen = PoolState.INIT
        self.initialise()

    @property
    def now_ms(self) -> int:
        """The world's time."""
        return self.timeline.now_ms

    def initialise(self) -> None:
        """What ``write-statefile init`` leaves behind."""
        for section in range(1, 1 + MAX_HOSTS):
            self.disk.sections[section] = self.blank
        self.disk.sections[0] = sfformat.encode_global(self.initial)

    def run(self, duration_ms: int) -> None:
        """Let time pass.  Raises Breach when the promise is broken."""
        self.timeline.run_until(self.timeline.now_ms + duration_ms)

    def run_until(self, condition: Callable[[], bool], at_most_ms: int) -> None:
        """Let time pass until a condition holds; fail when it does not in time."""
        until_ms = self.now_ms + at_most_ms
        while not condition():
            assert self.now_ms < until_ms, "it did not happen in {} ms".format(at_most_ms)
            self.run(10)

    def start(self, hosts: Iterable[int]) -> None:
        """Start these hosts' daemons."""
        for index in hosts:
            self.hosts[index].start()

    def form(self) -> None:
        """Start all daemons and wait until everybody is a member and the pool is active."""
        self.start(range(len(self.hosts)))
        self.run_until(self.formed, 30000 + 10 * self.common.statefile_interval_ms)

    def formed(self) -> bool:
        """Whether all hosts are online in one liveset of an active pool, and at rest."""
        for host in self.hosts:
            view = host.view
            if (view is None or not view.online or view.liveset != view.everyone
                    or view.statefile_domain != view.everyone or view.accelerated
                    or view.pool_state is not PoolState.ACTIVE):
                return False
        return True

    def digest(self) -> str:
        """The history's fingerprint: what was sent, written and said, and when; 64 digits."""
        total = self._sum.copy()
        for entry in self.history:
            content = entry.content
            if isinstance(content, Log):
                content = content.name + " ".join(
                    "{}={}".format(name, int(value) if isinstance(value, int) else value)
                    for name, value in content.fields)
            total.update("{} {} {} {}\n".format(entry.at_ms, entry.host, entry.kind,
                                                content).encode("ascii"))
        return total.hexdigest()

    # ---- Watcher

    def carry(self, sender: int, datagram: bytes) -> None:
        """Send a datagram to every other host."""
        self._sum.update(datagram)
        self.network.broadcast(
            sender, [host.index for host in self.hosts if host.index != sender], datagram,
            self.hosts[sender].sent_at_ms)

    def tell(self, host: Host, kind: str, content: Any) -> None:
        """Add to the history."""
        self.history.append(Entry(at_ms=self.timeline.now_ms, host=host.index, kind=kind,
                                  content=content))
        simsaying.check(host, kind, content, self.disk.sections)
        if self.looked_on is not None:
            self.looked_on(host)

    def turned(self, host: Host) -> None:
        """Check what a host believes now."""
        view = host.view
        if view is not None and view.pool_state > self.state_seen:
            self.state_seen = view.pool_state
        if self.looked_on is not None:
            self.looked_on(host)
        self.checkers.check(host)

    def timer_moved(self, host: Host, watchdog: Watchdog, expires_at_ms: int) -> None:
        """Check that a timer moves for a reason."""
        self.checkers.check_timer(host, watchdog, expires_at_ms)

    def went_down(self, host: Host, why: str) -> None:
        """Check that the host's death was due; let it boot again, if hosts do."""
        self.checkers.check_death(host, why)
        if self.boots_after_ms is not None:
            self.timeline.after(self.boots_after_ms, self._boot, host)

    def _boot(self, host: Host) -> None:
        if not host.up:
            host.start()

    def _deliver(self, sender: int, receiver: int, datagram: bytes, sent_at_ms: int) -> None:
        self.hosts[receiver].deliver(datagram, self.common.hosts[sender].address, sender,
                                     sent_at_ms)
