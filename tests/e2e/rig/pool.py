"""A pool of real daemons on this one machine: hosts, a switch between them, a shared disk.

Every host runs the daemon of the archive in namespaces of its own; the
switch's cables can be cut, one way or both, and each host's way to the disk
can go wrong alone.  Everything is below one temporary folder and in
namespaces; the first process of the pool (``keeper.py``) takes all of it down,
at ``close`` and however the test run ended.

Left out: packet delay, clocks that differ between hosts, Xen.  A host that
fences itself is one whose daemon ends with SIGABRT (watchdog mode NONE).
Everything shares this machine's cores: ``Stall`` tells when the machine itself
stood still, and a run in which it did for long proves nothing.
"""

import json
import os
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from time import monotonic
from typing import Any, Callable, Dict, List, Optional, Sequence, Set, cast

from rig import namespaces, stateformat, storage
from rig.host import SETTINGS, Host, Parts
from rig.namespaces import Door, RigError
from rig.network import Network
from rig.view import View

#: The folder that holds the package ``rig``.
HOME = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))


class Disk:
    """The shared disk, with a fault for each host's way to it."""

    def __init__(self, folder: str, count: int, door: Door) -> None:
        """Start the pool's first process, which serves the disk; RigError."""
        self.image = os.path.join(folder, "statefile.img")
        self._count = count
        self._lock = threading.Lock()
        os.mkdir(os.path.join(folder, "sf"))
        with open(self.image, "wb") as file:
            file.write(b"\0" * storage.STATEFILE_BYTES + storage.GUARD)
        self._keeper = door.popen(
            [sys.executable, "-m", "rig.keeper", folder, str(count)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=HOME)
        self._questions = cast(Any, self._keeper.stdin)
        self._answers = cast(Any, self._keeper.stdout)
        if self._answers.readline() != b'"up"\n':
            self.close()
            raise RigError("the pool's disk did not come up (see standard error)")

    def _ask(self, **request: Any) -> Any:
        with self._lock:
            self._questions.write(json.dumps(request).encode() + b"\n")
            self._questions.flush()
            answer = self._answers.readline()
        if not answer:
            raise RigError("the pool's disk is gone")
        return json.loads(answer.decode())

    def fault(self, hosts: Sequence[int], fault: str, kinds: str = "rw",
              delay_ms: int = 0) -> float:
        """Set ok, fail, hang, slow, drop or torn for reads and writes; gives when."""
        self._ask(do="fault", hosts=list(hosts), fault=fault, kinds=kinds, delay_ms=delay_ms)
        return monotonic()

    def resize(self, hosts: Sequence[int], size: int) -> None:
        """Let hosts see a State-File of another size, in bytes."""
        self._ask(do="size", hosts=list(hosts), size=size)

    def counts(self) -> List[Dict[str, float]]:
        """Per host: reads ``r``, writes ``w``, ``outside``; for each section that it wrote
        ``section<i>``, how often, and ``section<i>_at``, when last."""
        answer = self._ask(do="counts")  # type: List[Dict[str, float]]
        return answer

    def journal(self) -> List[List[Any]]:
        """Each access since the last call that was done as it should be: when it was asked for
        (CLOCK_MONOTONIC), host, "r" or "w", offset, bytes.  The first call begins it."""
        answer = self._ask(do="journal")  # type: List[List[Any]]
        return answer

    def last_write_at(self, host: int) -> float:
        """When the host last wrote its own record."""
        return self.counts()[host]["section{}_at".format(1 + host)]

    def peek(self, section: int) -> bytes:
        """The bytes of a section: 0 is the global record, 1 + i is host i's."""
        with open(self.image, "rb") as file:
            file.seek(section * storage.SECTION_BYTES)
            return file.read(storage.SECTION_BYTES)

    def poke(self, section: int, data: bytes, offset: int = 0) -> None:
        """Change bytes of a section behind everybody's back."""
        with open(self.image, "r+b") as file:
            file.seek(section * storage.SECTION_BYTES + offset)
            file.write(data)

    def check(self) -> None:
        """Nobody wrote outside the State-File."""
        with open(self.image, "rb") as file:
            file.seek(storage.STATEFILE_BYTES)
            guard = file.read()
        assert guard == storage.GUARD, "the bytes after the State-File were overwritten"
        for host, counts in enumerate(self.counts()):
            assert counts.get("outside", 0) == 0, "host {} wrote beyond the end".format(host)

    def close(self) -> None:
        """End the pool's first process, and with it every process of the pool."""
        self._questions.close()
        self._keeper.wait(30)
        self._answers.close()


class Pool:
    """A pool: ``hosts``, ``network``, ``disk``."""

    def __init__(self, count: int, program: Sequence[str], watchdog: str = "NONE",
                 family: int = 4, **settings: int) -> None:
        """Make ``count`` hosts without daemons, and a State-File of zeros.

        Args:
            program: the command line that runs the archive.
            family: 4 or 6, of the addresses.
            settings: of xhad.conf by their short names; ``SETTINGS`` for the rest.

        Raises:
            RigError, OSError: not root, or a program or kernel part is missing.
        """
        namespaces.no_core_files()
        self.folder = tempfile.mkdtemp(prefix="xha-e2e-")
        self.hosts = []  # type: List[Host]
        self._door = None  # type: Optional[Door]
        self._disk = None  # type: Optional[Disk]
        self._namespaces = []  # type: List[int]
        self._stall = Stall()
        #: Hosts whose daemon is made to die of a bug: the traceback in their log is no failure.
        self.dying = set()  # type: Set[int]
        try:
            self._door = Door("switch", self._settle)
            self._disk = Disk(self.folder, count, self._door)
            self._namespaces = self._door.do(lambda: [
                os.open("/proc/thread-self/ns/" + name, os.O_RDONLY)
                for name in ("mnt", "pid_for_children")])
            self.network = Network(self._door, family)
            parts = Parts(folder=self.folder, program=program, hosts=count, family=family,
                          watchdog=watchdog, settings=dict(SETTINGS, **settings))
            for index in range(count):
                host = Host(index, parts, self._enter)
                self.hosts.append(host)
                self.network.plug(index, host.door)
        except BaseException:
            self.close()
            raise

    @staticmethod
    def _settle() -> None:
        namespaces.own_mounts()
        namespaces.unshare(namespaces.NEW_NETWORK | namespaces.NEW_PIDS)

    def _enter(self) -> None:
        namespaces.unshare(namespaces.OWN_DIRECTORY)
        for descriptor in self._namespaces:
            namespaces.enter(descriptor)

    @property
    def disk(self) -> Disk:
        """The shared disk."""
        assert self._disk is not None
        return self._disk

    def __enter__(self) -> "Pool":
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def close(self) -> None:
        """Take everything down, and remove it."""
        self._stall.stop()
        for host in self.hosts:
            host.close()
        if self._disk is not None:
            self._disk.close()
        if self._door is not None:
            self._door.close()
        for descriptor in self._namespaces:
            os.close(descriptor)
        self._namespaces = []
        shutil.rmtree(self.folder, ignore_errors=True)

    @property
    def stalled_s(self) -> float:
        """The longest time that this machine stood still since the pool was made, seconds."""
        return self._stall.longest_s

    # What most tests do.

    def initialise(self) -> None:
        """``write-statefile init``, on host 0."""
        self.hosts[0].must("write-statefile", "init", "--config=" + self.hosts[0].config)

    def start(self, hosts: Optional[Sequence[int]] = None) -> float:
        """Start daemons, of all hosts when none are named; gives when the last was started."""
        for index in range(len(self.hosts)) if hosts is None else hosts:
            self.hosts[index].start()
        return monotonic()

    def form(self) -> float:
        """Initialise, start all, wait until the pool is active; gives the seconds it took.

        Counted from the start of the last daemon to the last one's first "Online".  The pool
        state active reaches the disk a cycle later.
        """
        self.initialise()
        since = self.start()
        everybody = tuple(range(len(self.hosts)))
        took_s = self.wait(everybody, lambda view: view.live == everybody, 40.0,
                           "all online in one liveset", since) - since
        deadline = monotonic() + 5.0
        while stateformat.pool_state(self.disk.peek(0)) != stateformat.ACTIVE:
            if monotonic() > deadline:
                raise RigError("the pool is not active 5 s after it formed")
            time.sleep(0.05)
        return took_s

    def wait(self, hosts: Sequence[int], holds: Callable[[View], bool], within_s: float,
             what: str, since: float = 0.0) -> float:
        """Wait until each of these hosts says something for which ``holds``.

        Returns:
            The instant when the last of them first said it, at or after ``since``.

        Raises:
            RigError: not all did within ``within_s`` from now.
        """
        watches = [self.hosts[index].watch for index in hosts]
        deadline = monotonic() + within_s
        while True:
            firsts = [watch.first(holds, since) for watch in watches]
            if all(first is not None for first in firsts):
                return max(first for first in firsts if first is not None)
            if monotonic() > deadline:
                raise RigError("not within {} s: {} on hosts {}; they say {}".format(
                    within_s, what, list(hosts), self.describe()))
            time.sleep(0.05)

    def wait_live(self, hosts: Sequence[int], live: Sequence[int], within_s: float,
                  since: float = 0.0) -> float:
        """Wait until each of these hosts reports exactly this liveset; as ``wait``."""
        return self.wait(hosts, lambda view: view.live == tuple(live), within_s,
                         "liveset {}".format(list(live)), since)

    def crash(self, index: int) -> float:
        """Loss of power: the cable goes silent and the daemon dies at once; gives when."""
        self.network.isolate(index)
        return self.hosts[index].kill()

    def describe(self) -> str:
        """Every host's daemon and view, in a line each."""
        lines = []
        for host in self.hosts:
            if host.running:
                lines.append("host {}: {}".format(host.index, host.view))
            else:
                lines.append("host {}: ended {}".format(
                    host.index, [run.status for run in host.runs]))
        return "; ".join(lines)


class Stall:
    """Notices when this machine itself stood still."""

    def __init__(self) -> None:
        """Begin."""
        self.longest_s = 0.0
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._loop, daemon=True)
        self._thread.start()

    def _loop(self) -> None:
        while True:
            before = monotonic()
            if self._stopped.wait(0.05):
                return
            self.longest_s = max(self.longest_s, monotonic() - before - 0.05)

    def stop(self) -> None:
        """End."""
        self._stopped.set()
        self._thread.join()
