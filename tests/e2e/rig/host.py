"""One host of a pool: its namespaces, its files, its daemon, its commands.

A host has a network, mount and name namespace of its own.  /run, /var/log and
/var/lib are its own too, so the daemon and the commands use the places they
use in a dom0; the configuration is given by its path.
"""

import os
import signal
import subprocess
import threading
from time import monotonic
from typing import Any, Callable, Dict, List, NamedTuple, Optional, Sequence

from rig import namespaces, network, view
from rig.namespaces import Door, Result, RigError

#: What xapi gives its scripts: no locale, no HOME.  Source: spec 6.
ENVIRONMENT = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin",
               # There is no xapi here; tests of its health name their own.
               "XHA_HEALTH_CHECK": "true", "XHA_RESTART_XAPI": "false",
               "XHA_LICENSE_CHECK": "/nowhere/xha-lc"}

FENCED = -signal.SIGABRT            # Watchdog mode NONE: a fence ends with SIGABRT's status.
KILLED = -signal.SIGKILL

PARAMETERS = {
    "t1": "HeartbeatInterval", "T1": "HeartbeatTimeout",
    "t2": "StateFileInterval", "T2": "StateFileTimeout",
    "Wh": "HeartbeatWatchdogTimeout", "Ws": "StateFileWatchdogTimeout",
    "Tboot": "BootJoinTimeout", "Tenable": "EnableJoinTimeout",
}
PARAMETERS.update((name, name) for name in (
    "XapiHealthCheckInterval", "XapiHealthCheckTimeout", "XapiRestartAttempts",
    "XapiRestartTimeout", "XapiLicenseCheckTimeout"))
SETTINGS = {"t1": 1, "T1": 5, "t2": 1, "T2": 5, "Wh": 5, "Ws": 8, "Tboot": 45, "Tenable": 20}
GENERATION_UUID = "0f0f0f0f-aaaa-4bbb-8ccc-00000000d00d"


def uuid(host: int) -> str:
    """A host's UUID; they ascend, so ``host`` is also its index."""
    return "{:08x}-1111-4222-8333-{:012x}".format(0x10000000 + host, host)


class Parts(NamedTuple):
    """What the hosts of one pool have in common."""

    folder: str
    # The command line that runs the archive.
    program: Sequence[str]
    hosts: int
    family: int
    watchdog: str
    settings: Dict[str, int]


class Run:
    """One life of a daemon."""

    def __init__(self, process: "subprocess.Popen[Any]", started_at: float) -> None:
        """Watch over ``process``, a child of ours."""
        self._process = process
        self.pid = process.pid
        self.started_at = started_at
        #: When it ended, and its exit status; -N for a signal.
        self.ended_at = None  # type: Optional[float]
        self.status = None  # type: Optional[int]
        self._thread = threading.Thread(target=self._wait, daemon=True)
        self._thread.start()

    def _wait(self) -> None:
        status = self._process.wait()
        self.ended_at, self.status = monotonic(), status

    @property
    def running(self) -> bool:
        """Whether it lives."""
        return self.status is None

    def signal(self, number: int) -> float:
        """Send it a signal; gives when."""
        at = monotonic()
        if self.running:
            os.kill(self.pid, number)
        return at

    def wait(self, within_s: float) -> int:
        """Its exit status; RigError when it still runs after ``within_s``."""
        self._thread.join(within_s)
        if self.status is None:
            raise RigError("daemon {} still runs after {} s".format(self.pid, within_s))
        return self.status


class Host:
    """A host, with or without a daemon."""

    def __init__(self, index: int, parts: Parts, enter: Callable[[], None]) -> None:
        """Make its namespaces, from within those that ``enter`` enters."""
        self.index = index
        self._parts = parts
        self.folder = os.path.join(parts.folder, "h{}".format(index))
        self.config = os.path.join(self.folder, "xhad.conf")
        self.statefile = os.path.join(parts.folder, "sf", "h{}".format(index))
        #: All lives of its daemon, the present one last.
        self.runs = []  # type: List[Run]
        self._watch = None  # type: Optional[view.Watch]
        for name in ("run", "log", "lib"):
            os.makedirs(os.path.join(self.folder, name))
        self.door = Door("host{}".format(index), lambda: self._settle(enter))
        try:
            # By a child, which is in the pid namespace; the thread itself is not.
            self.door.must("mount", "-t", "proc", "proc", "/proc")
        except BaseException:
            self.door.close()
            raise
        self.write_config()

    def _settle(self, enter: Callable[[], None]) -> None:
        enter()
        namespaces.unshare(namespaces.NEW_NETWORK | namespaces.NEW_NAMES)
        namespaces.own_mounts()
        for name, target in (("run", "/run"), ("log", "/var/log"), ("lib", "/var/lib")):
            namespaces.mount(os.path.join(self.folder, name), target,
                             flags=namespaces.MOUNT_BIND)

    # Files.

    def path(self, place: str) -> str:
        """Where a file of this host's /run, /var/log or /var/lib is for the test."""
        for name, target in (("run", "/run/"), ("log", "/var/log/"), ("lib", "/var/lib/")):
            if place.startswith(target):
                return os.path.join(self.folder, name, place[len(target):])
        raise ValueError(place)

    @property
    def control(self) -> str:
        """The daemon's control socket."""
        return self.path("/run/xha/control")

    def write_config(self, **changes: Any) -> None:
        """Write xhad.conf: settings by their short names; ``statefile``, ``watchdog``,
        ``bond``."""
        parts = self._parts
        settings = dict(parts.settings)
        settings.update({name: value for name, value in changes.items() if name in PARAMETERS})
        hosts = "".join(
            "<host><HostID>{}</HostID><IPaddress>{}</IPaddress></host>\n".format(
                uuid(host), network.address(host, parts.family)) for host in range(parts.hosts))
        parameters = "".join("<{0}>{1}</{0}>\n".format(PARAMETERS[name], value)
                             for name, value in sorted(settings.items()))
        with open(self.config, "w") as file:
            file.write(
                '<?xml version="1.0" encoding="utf-8"?>\n<xhad-config version="1.0">\n'
                "<common-config>\n<GenerationUUID>{}</GenerationUUID>\n<UDPport>{}</UDPport>\n"
                "{}<parameters>\n{}</parameters>\n</common-config>\n"
                "<local-config><localhost>\n<HostID>{}</HostID>\n"
                "<HeartbeatInterface>eth0</HeartbeatInterface>\n"
                "<HeartbeatPhysicalInterface>{}</HeartbeatPhysicalInterface>\n"
                "<StateFile>{}</StateFile>\n"
                "<WatchdogMode>{}</WatchdogMode>\n</localhost></local-config>\n"
                "</xhad-config>\n".format(
                    GENERATION_UUID, network.UDP_PORT, hosts, parameters, uuid(self.index),
                    changes.get("bond", ""), changes.get("statefile", self.statefile),
                    changes.get("watchdog", parts.watchdog)))

    def log(self) -> str:
        """What the daemons of this host wrote: their log, then their standard output."""
        texts = []
        for place in ("/var/log/xha.log", "/var/log/daemon.out"):
            try:
                with open(self.path(place), errors="replace") as file:
                    texts.append(file.read())
            except OSError as error:
                texts.append("({})\n".format(error))
        return "".join(texts)

    # The daemon.

    @property
    def daemon(self) -> Run:
        """The present life of the daemon, or the last."""
        return self.runs[-1]

    @property
    def running(self) -> bool:
        """Whether a daemon lives."""
        return bool(self.runs) and self.runs[-1].running

    def start(self, *options: str) -> Run:
        """Start the daemon."""
        assert not self.running, "host {}: its daemon runs already".format(self.index)
        at = monotonic()
        with open(self.path("/var/log/daemon.out"), "ab") as out:
            process = self.door.popen(
                list(self._parts.program) + ["daemon", "--config=" + self.config] + list(options),
                stdin=subprocess.DEVNULL, stdout=out, stderr=out, env=dict(ENVIRONMENT))
        self.runs.append(Run(process, at))
        return self.daemon

    def start_as(self, name: str, words: Sequence[str]) -> "subprocess.Popen[Any]":
        """Run the archive by a link of that name, if it is not its own; the process.

        It is no life of the daemon's in ``runs``: it may be a command that starts one.
        """
        archive = os.path.abspath(self._parts.program[-1])
        called = archive
        if name != os.path.basename(archive):
            called = os.path.join(self.folder, name)
            os.symlink(archive, called)
        with open(self.path("/var/log/daemon.out"), "ab") as out:
            process = self.door.popen(
                list(self._parts.program[:-1]) + [called] + list(words),
                stdin=subprocess.DEVNULL, stdout=out, stderr=out,
                env=dict(ENVIRONMENT))  # type: subprocess.Popen[Any]
        return process

    def stop(self, within_s: float = 15.0) -> int:
        """SIGTERM; gives the exit status."""
        self.daemon.signal(signal.SIGTERM)
        return self.daemon.wait(within_s)

    def kill(self) -> float:
        """SIGKILL; gives when."""
        at = self.daemon.signal(signal.SIGKILL)
        self.daemon.wait(10.0)
        return at

    # Commands.

    def command(self, *arguments: str, timeout_s: float = 60.0,
                env: Optional[Dict[str, str]] = None) -> Result:
        """Run a command of the archive in this host, as xapi would."""
        return self.door.run(list(self._parts.program) + list(arguments), timeout_s=timeout_s,
                             env=dict(ENVIRONMENT, **(env or {})))

    def must(self, *arguments: str, timeout_s: float = 60.0) -> Result:
        """Run a command that must succeed."""
        result = self.command(*arguments, timeout_s=timeout_s)
        if result.code != 0:
            raise RigError("host {}: {} ended with {}: {}{}".format(
                self.index, " ".join(arguments), result.code, result.out, result.err))
        return result

    # Looking.

    @property
    def watch(self) -> view.Watch:
        """What its daemon has said since it was first looked at."""
        if self._watch is None:
            self._watch = view.Watch(self.control)
        return self._watch

    @property
    def view(self) -> view.View:
        """What its daemon says now."""
        return view.look(self.control)

    def close(self) -> None:
        """Look no more, and leave the namespaces."""
        if self._watch is not None:
            self._watch.stop()
        self.door.close()
