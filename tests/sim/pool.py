"""The world: hosts, the network between them and the disk that they share.

A run is decided by its seed and by what is done to the pool: the same of both
gives the same history, on any machine and any Python.
"""

import hashlib
import random
from typing import Any, Callable, Dict, Iterable, List, NamedTuple, Sequence, Tuple

from xha import config, sfformat
from xha.config import Config
from xha.hostset import MAX_HOSTS
from xha.published import (BLANK_RECORD, NO_MASTER, FencingMode, GlobalRecord, GlobalSeal,
                           PoolState, RecordSeal, WatchdogMode)

from sim.checkers import Checkers
from sim.disk import Disk
from sim.host import EPOCH_S, SOFTWARE, Host
from sim.network import Network
from sim.timeline import Clock, Timeline

GENERATION = "11111111222233334444555555555555"

#: Quick settings, those of the end-to-end tests: seconds.
QUICK = {"HeartbeatInterval": 1, "HeartbeatTimeout": 5, "StateFileInterval": 1,
         "StateFileTimeout": 5, "HeartbeatWatchdogTimeout": 5, "StateFileWatchdogTimeout": 8,
         "BootJoinTimeout": 60, "EnableJoinTimeout": 60}

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


def settings_of(hosts: int, parameters: Dict[str, int]) -> List[Config]:
    """Each host's configuration, as the daemon would read it."""
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
    return [config.parse(text.format(uuid).encode("ascii")) for uuid in uuids]


class Pool:
    """A pool of virtual hosts."""

    def __init__(self, hosts: int, seed: int = 0, parameters: Dict[str, int] = QUICK,
                 drift_ppm: Sequence[int] = ()) -> None:
        """Make the machines and an initialised State-File; no daemon runs.

        Args:
            parameters: the <parameters> of the configuration, seconds.
            drift_ppm: what each host's clock gains of a million; 0 where nothing is said.
        """
        self.timeline = Timeline()
        self._random = random.Random(seed)
        self.settings = settings_of(hosts, parameters)
        self.common = self.settings[0].common
        self.network = Network(self.timeline, self._random.random)
        self.disk = Disk(hosts)
        self.history = []  # type: List[Entry]
        self.hosts = []  # type: List[Host]
        self._checkers = Checkers(self.hosts, lambda: self.timeline.now_ms)
        for index, settings in enumerate(self.settings):
            drift = drift_ppm[index] if index < len(drift_ppm) else 0
            # No two clocks show the same: whoever compares them is found out.
            clock = Clock(self.timeline, 1000000 + 7919 * index, drift)
            self.hosts.append(Host(self.timeline, settings, self.disk, clock, self._carry,
                                   self._tell, self._checkers.check,
                                   random.Random("{}/{}".format(seed, index)).random))
        self.initialise(seed)

    @property
    def now_ms(self) -> int:
        """The world's time."""
        return self.timeline.now_ms

    def initialise(self, seed: int) -> None:
        """What ``write-statefile init`` leaves behind; the pool key follows from ``seed``."""
        blank = sfformat.encode_host(BLANK_RECORD._replace(seal=_BLANK_SEAL))
        for section in range(1, 1 + MAX_HOSTS):
            self.disk.sections[section] = blank
        self.disk.sections[0] = sfformat.encode_global(GlobalRecord(
            generation_uuid=GENERATION, pool_state=PoolState.INIT, master=NO_MASTER,
            host_count=len(self.settings),
            pool_key=hashlib.sha256(str(seed).encode("ascii")).digest(),
            seal=GlobalSeal(software=SOFTWARE, initialised_by="", initialised_at_wall_s=EPOCH_S)))

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
        self.run_until(self.formed, 30000)

    def formed(self) -> bool:
        """Whether all hosts are online in one liveset of an active pool, and at rest."""
        for host in self.hosts:
            view = host.view
            if (view is None or not view.online or view.liveset != view.everyone
                    or view.statefile_domain != view.everyone or view.accelerated
                    or view.pool_state is not PoolState.ACTIVE):
                return False
        return True

    def global_record(self) -> GlobalRecord:
        """What the global record on the disk says."""
        return sfformat.decode_global(self.disk.sections[0])

    def _carry(self, sender: int, datagram: bytes) -> Tuple[Tuple[int, str], ...]:
        source = self.common.hosts[sender].address
        for host in self.hosts:
            if host.index != sender:
                self.network.carry(sender, host.index, host.deliver, datagram, source)
        return ()

    def _tell(self, host: Host, kind: str, content: Any) -> None:
        self.history.append(Entry(at_ms=self.timeline.now_ms, host=host.index, kind=kind,
                                  content=content))
