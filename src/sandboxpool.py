"""The pool of a sandbox: its directory, its addresses, its hosts, and how they are broken.

Everything is in one directory: a folder for each host, and the State-File.
Addresses are of a block of 127.0.0.0/8 of the sandbox's own, so that two
sandboxes, or a sandbox and a test, do not hear each other.  What is broken is
broken by the daemons' fault points; a daemon that starts into a cut network
gets them on its command line.
"""

import os
import random
import socket
import tempfile
import time
import uuid
from typing import FrozenSet, Iterable, List, NamedTuple, Set, Tuple

from xha import faultpoints, paths, sfadmin
from xha.config import Config, load
from xha.errors import ExitCode, XhaError
from xha.hostset import MAX_HOSTS
from xha.records import record
from xha.sandboxfacts import HostFacts, PoolFacts
from xha.sandboxhost import Host
from xha.sealformat import RECORD_BYTES

HOSTS_MAX = 16

#: The global record, and one for each host that could be configured.  Source: spec 3.
STATEFILE_BYTES = (1 + MAX_HOSTS) * RECORD_BYTES

#: A block and port that are free are found at once, or something is wrong.
_TRIES = 100

#: What the sandbox does to a host's State-File, and the fault points for it.
DISKS = ("ok", "fail", "hang", "slow")

_CONFIG = """<?xml version="1.0" encoding="utf-8"?>
<xhad-config version="1.0">
  <common-config>
    <GenerationUUID>{generation}</GenerationUUID>
    <UDPport>{port}</UDPport>
{hosts}    <parameters>
{parameters}    </parameters>
  </common-config>
  <local-config>
    <localhost>
      <HostID>{uuid}</HostID>
      <HeartbeatInterface>lo</HeartbeatInterface>
      <StateFile>{statefile}</StateFile>
      <WatchdogMode>{watchdog}</WatchdogMode>
    </localhost>
  </local-config>
</xhad-config>
"""


@record
class Settings(NamedTuple):
    """The command line of `sandbox`, checked."""

    hosts: int
    # "USER" or "NONE".
    watchdog: str
    # T1 = T2 in seconds; everything else follows from it.
    timeout_s: int
    # Absolute; "" for a private one.
    directory: str
    keep: bool
    tour: bool
    colour: bool


def parameters(timeout_s: int) -> List[Tuple[str, int]]:
    """The parameters of the configuration, from T alone.

    T = 5 gives the quick ones of our tests (t 1, Wh 5, Ws 8), T = 30 the original's
    defaults (t 4, Wh 30, Ws 45).
    """
    interval_s = max(1, timeout_s // 7)
    join_s = 5 * timeout_s + 20
    return [
        ("HeartbeatInterval", interval_s), ("HeartbeatTimeout", timeout_s),
        ("StateFileInterval", interval_s), ("StateFileTimeout", timeout_s),
        ("HeartbeatWatchdogTimeout", timeout_s),
        ("StateFileWatchdogTimeout", timeout_s + max(3, timeout_s // 2)),
        ("BootJoinTimeout", join_s), ("EnableJoinTimeout", join_s)]


def make_directory(wanted: str) -> Tuple[str, bool]:
    """The sandbox's directory, and whether it was there before.

    Raises:
        XhaError: INVALID_PARAMETER, it holds something, or its name is too long;
            SYSTEM_ERROR, it cannot be made.
    """
    existed = bool(wanted) and os.path.isdir(wanted)
    try:
        if existed and os.listdir(wanted):
            raise XhaError(ExitCode.INVALID_PARAMETER,
                           "--dir={}: it must be empty, for what is in it is removed".format(
                               wanted))
        if wanted:
            os.makedirs(wanted, mode=0o700, exist_ok=True)
        directory = wanted or tempfile.mkdtemp(prefix="xha-sandbox-")
    except OSError as error:
        raise XhaError(ExitCode.SYSTEM_ERROR, "no directory for the sandbox: {} (another one: "
                       "--dir=DIR)".format(error)) from error
    longest = "{}/h{}/control".format(directory, HOSTS_MAX - 1)
    if len(os.fsencode(longest)) > paths.SOCKET_PATH_MAX or not all(
            " " <= letter <= "~" and letter not in "<>&" for letter in directory):
        if not existed:
            os.rmdir(directory)
        raise XhaError(ExitCode.INVALID_PARAMETER, "the directory {}: its name must be plain ASCII "
                       "and at most {} characters long".format(ascii(directory),
                                                               paths.SOCKET_PATH_MAX - 12))
    return directory, existed


def free_addresses(count: int) -> Tuple[List[str], int]:
    """Addresses of a block of 127.0.0.0/8 at random, and a UDP port free on all of them.

    Raises:
        XhaError: SYSTEM_ERROR: there is no such block, or no loopback interface.
    """
    trouble = ""
    for _ in range(_TRIES):
        block = "127.{}.{}.".format(random.randint(1, 254), random.randint(0, 255))
        addresses = [block + str(1 + index) for index in range(count)]
        sockets = []  # type: List[socket.socket]
        try:
            port = 0
            for address in addresses:
                one = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
                sockets.append(one)
                one.bind((address, port))
                port = port or int(one.getsockname()[1])
            return addresses, port
        except OSError as error:
            trouble = str(error)
        finally:
            for one in sockets:
                one.close()
    raise XhaError(ExitCode.SYSTEM_ERROR, "no free addresses on the loopback interface: {}".format(
        trouble))


class Pool:
    """The hosts of a sandbox."""

    def __init__(self, settings: Settings, directory: str) -> None:
        """Lay everything down in ``directory`` and initialise the State-File; start nothing.

        Raises:
            XhaError: it cannot be written, or there are no addresses.
        """
        self.settings = settings
        self.directory = directory
        self.statefile = directory + "/statefile"
        addresses, self.port = free_addresses(settings.hosts)
        self._began = time.monotonic()
        self._cut = frozenset()  # type: FrozenSet[Tuple[int, int]]
        self._disks = ["ok"] * settings.hosts
        uuids = sorted(str(uuid.uuid4()) for _ in addresses)
        texts = self._configurations(addresses, uuids)
        try:
            with open(self.statefile, "wb") as file:
                file.write(bytes(STATEFILE_BYTES))
            self.hosts = [
                Host(index, address, "{}/h{}".format(directory, index), text.encode("ascii"))
                for index, (address, text) in enumerate(zip(addresses, texts))]
        except OSError as error:
            raise XhaError(ExitCode.SYSTEM_ERROR, "the sandbox cannot be laid down: {}".format(
                error)) from error
        self.config = load(self.hosts[0].config)  # type: Config
        sfadmin.write_statefile("init", self.config, self.hosts[0].paths)

    def _configurations(self, addresses: List[str], uuids: List[str]) -> List[str]:
        hosts = "".join(
            "    <host><HostID>{}</HostID><IPaddress>{}</IPaddress></host>\n".format(one, address)
            for one, address in zip(uuids, addresses))
        values = "".join("      <{0}>{1}</{0}>\n".format(name, value)
                         for name, value in parameters(self.settings.timeout_s))
        generation = uuid.uuid4()
        return [_CONFIG.format(
            generation=generation, port=self.port, hosts=hosts, parameters=values, uuid=one,
            statefile=self.statefile, watchdog=self.settings.watchdog) for one in uuids]

    # ---- what is known of it

    def look(self, before: Tuple[HostFacts, ...]) -> PoolFacts:
        """How everything is now; ``before`` tells since when."""
        at_s = time.monotonic() - self._began
        hosts = []
        for host in self.hosts:
            state, detail, answer = host.look()
            since_s = at_s
            if before and before[host.index].state is state:
                since_s = before[host.index].since_s
            hosts.append(HostFacts(
                index=host.index, address=host.address, state=state, since_s=since_s,
                detail=detail, answer=answer, disk=self._disks[host.index]))
        common = self.config.common
        return PoolFacts(
            at_s=at_s, hosts=tuple(hosts), cut=self._cut,
            heartbeat_timeout_ms=common.heartbeat_timeout_ms,
            statefile_timeout_ms=common.statefile_timeout_ms)

    def seconds(self, monotonic: float) -> float:
        """An instant of ``time.monotonic`` in seconds since the sandbox began."""
        return monotonic - self._began

    # ---- what is done to it

    def cut(self, groups: List[Set[int]]) -> None:
        """Cut every link between hosts of different groups; all that is not named is a group.

        Raises:
            XhaError: a daemon did not take its fault points.
        """
        rest = set(range(len(self.hosts))).difference(*groups)
        parts = groups + ([rest] if rest else [])
        self._break(self._cut | {
            (one, other) for part in parts for one in part
            for other in range(len(self.hosts)) if other not in part})

    def cut_one_way(self, senders: Iterable[int], receivers: Iterable[int]) -> None:
        """Let nothing of the senders reach the receivers.  Raises XhaError as ``cut``."""
        receiving = list(receivers)
        self._break(self._cut | {(one, other) for one in senders for other in receiving
                                 if one != other})

    def heal(self) -> None:
        """Mend the whole network.  Raises XhaError as ``cut``."""
        self._break(frozenset())

    def set_disk(self, disk: str, hosts: Iterable[int]) -> None:
        """Let the State-File of these hosts fail, hang, be slow, or be well ("ok").

        Raises:
            XhaError: as ``cut``.
        """
        assert disk in DISKS, disk
        for index in hosts:
            self._disks[index] = disk
        self._apply()

    def end(self) -> None:
        """Kill all daemons, at once."""
        for host in self.hosts:
            host.end()

    def _break(self, cut: Iterable[Tuple[int, int]]) -> None:
        self._cut = frozenset(cut)
        self._apply()

    def _apply(self) -> None:
        for host in self.hosts:
            host.points = tuple(self._points(host.index))
        troubles = []
        for host in self.hosts:
            try:
                host.apply()
            except XhaError as error:
                troubles.append(str(error))
        if troubles:
            raise XhaError(ExitCode.TRANSIENT_ERROR, "; ".join(troubles))

    def _points(self, index: int) -> List[str]:
        """The fault points of a host, as `fault set` takes them."""
        points = []
        for name, peers in (
                (faultpoints.HEARTBEAT_SEND_DROP,
                 sorted(other for one, other in self._cut if one == index)),
                (faultpoints.HEARTBEAT_RECEIVE_DROP,
                 sorted(one for one, other in self._cut if other == index))):
            if peers:
                points.append("{}={}".format(name, ",".join(str(peer) for peer in peers)))
        disk = self._disks[index]
        if disk == "fail":
            points += [faultpoints.STATEFILE_READ_FAIL, faultpoints.STATEFILE_WRITE_FAIL]
        elif disk == "hang":
            points.append(faultpoints.STATEFILE_HANG)
        elif disk == "slow":
            # Three tenths of T2: late, and far from fatal.
            points.append("{}={}".format(faultpoints.STATEFILE_SLOW,
                                         300 * self.settings.timeout_s))
        return points
