"""Incidents in the simulator, whose hosts leave the very files that real ones do.

The hosts of a story run the real core; what they say and know goes through the real observer
into the bytes of the real recorder's format, a file for each life of a daemon, kept as
``recorderdisk`` keeps them.  A machine that is reset by a timer, crashes or loses its power
loses what was not synced: half a second of what was no error.  Its console gets the lines that
Xen was measured to print.  Then the real command reads the files.

Beside the lines of stories (`xha.pyz simulate --language`) there are these:

    ! generation        the State-File is initialised anew: another generation
    ! console of 1: (XEN) Hardware Dom0 crashed: rebooting machine in 5 seconds.
    ! bug in 1: KeyError: 7       a fault in xha ends the daemon, as ``daemon.die`` says it
    ! cannot send 2: Network is unreachable    the system refuses that host's datagrams
    ! message of 2: bond-error interface=bond0 reason=down    what a shell beside the core says
    ! refused 1: HeartbeatInterface xenbr9 does not exist     a start that ends before the core
"""

import os
import re

from xha import recorder, recorderdisk, recorderformat, sfformat
from xha.actions import log
from xha.observer import Observer
from xha.recorderformat import Entry, Header
from xha.repeats import Repeats, condition_of
from xha.statefile import Done

#: What a disk has not taken yet when the machine stops at once, ms.
UNSYNCED_MS = 500
#: Xen's lines, as measured on Xen 4.17 (docs/why.md).
FIRED = ("(XEN) Watchdog timer fired for domain 0",
         "(XEN) Hardware Dom0 shutdown: watchdog rebooting machine")
ASKED = ("(XEN) Hardware Dom0 shutdown: rebooting machine",)
BANNER = "(XEN) Xen version 4.17.7 (Debian 4.17.7+13-g2445b30a44-0+deb12u1)"
LEFT = ("the last daemon (pid {}) died while this host was armed, and its timers run on: Xen "
        "resets this host within {} s; they are not stopped, because the other hosts count on "
        "that reset (by hand, once the pool was looked at: cleanup-watchdog)")


class Life:
    """One daemon's recorder."""

    def __init__(self, header, messages):
        self.header = header
        self.entries = []
        self.incarnation = 0
        self._messages = messages
        self._repeats = Repeats()
        self._clock = lambda: (0, 0)

    def at(self, clock):
        """What gives the wall clock and the monotonic clock, ms."""
        self._clock = clock
        return self

    def note(self, message):
        """As ``Recorder.note``."""
        wall_ms, mono_ms = self._clock()
        if self._messages[message.name].repeats:
            self._repeats.ended(mono_ms / 1000)
            if not self._repeats.fresh(condition_of(message), mono_ms / 1000):
                return
        self._put("event", dict(message.fields), message.name, self._messages.level_of(message))

    def state(self, fields):
        """As ``Recorder.state``."""
        self._put("state", fields)

    def measure(self, fields):
        """As ``Recorder.measure``."""
        self._put("measure", fields)

    def keep(self):
        """As ``Recorder.keep``."""
        self.header = self.header._replace(online=True)

    @staticmethod
    def news():
        """As ``Recorder.news``."""
        return ()

    def _put(self, kind, fields, name="", level=""):
        wall_ms, mono_ms = self._clock()
        hosts = len(self.header.addresses)
        self.entries.append(Entry(
            kind=kind, wall_ms=wall_ms, mono_ms=mono_ms, incarnation=self.incarnation, name=name,
            level=level, fields=tuple((key, recorder._plain(fields[key], hosts))
                                      for key in sorted(fields))))

    def bytes(self):
        """The file."""
        data = bytearray(self.header.file_bytes)
        copy = recorderformat.encode_header(self.header)
        data[:2 * len(copy)] = copy + copy
        rings = dict(zip(("event", "measure"), recorderformat.rings(self.header)))
        for entry in self.entries:
            ring = rings["measure" if entry.kind == "measure" else "event"]
            for offset, piece in ring.place(recorderformat.encode_entry(entry)):
                data[offset:offset + len(piece)] = piece
        return bytes(data)


class Machine:
    """What one host keeps: lives, the console, how often it has booted."""

    def __init__(self, host):
        self.host = host
        self.lives = []
        self.console = [BANNER]
        self.boots = 1
        self.node = None
        self.observer = None
        self.announced = False
        self.last_pid = 0
        self.sent = {}

    @property
    def boot_id(self):
        """As the kernel has it."""
        return "{:08d}-0000-4000-8000-{:012d}".format(self.boots, self.host.index)


class Staged:
    """A story that is told while everything that hosts leave is kept."""

    def __init__(self, lines, messages):
        self.messages = messages
        self.machines = []
        self.pool = None
        told = [line for line in lines if line and not line.startswith("#")]
        self._run(told)

    def _run(self, lines):
        from xha import simscript
        director = simscript.Director(None, 0)
        director.made = self._watch
        self._director = director
        for line in lines:
            if line.startswith("!"):
                self._obey(line[1:].strip())
            else:
                director.obey(line)

    def _watch(self, pool):
        self.pool = pool
        self.machines = [Machine(host) for host in pool.hosts]
        turned, tell, down = pool.turned, pool.tell, pool.went_down

        def after_turn(host):
            turned(host)
            self._turned(self.machines[host.index])

        def said(host, kind, content):
            tell(host, kind, content)
            self._said(self.machines[host.index], kind, content)

        def went_down(host, why):
            self._went_down(self.machines[host.index], why)
            down(host, why)
        pool.turned, pool.tell, pool.went_down = after_turn, said, went_down

    # ---- what hosts do

    def _life(self, machine):
        """The recorder of the daemon that runs."""
        host = machine.host
        if host.node is None or host.node is machine.node:
            return machine.lives[-1]
        machine.node = host.node
        life = self._begin(machine)
        machine.observer = Observer(life, self.pool.common, host.view)
        machine.announced = False
        completed = host.node.completed

        def seen(completion):
            machine.observer.access(Done(
                kind=completion.kind, section=completion.section,
                issued_at_ms=completion.issued_at_ms,
                completed_at_ms=completion.completed_at_ms, error=completion.error,
                sections=completion.sections))
            completed(completion)
        host.node.completed = seen
        return life

    def _begin(self, machine):
        host, pool = machine.host, self.pool
        machine.last_pid = 1000 + 100 * host.index + len(machine.lives)
        life = Life(Header(
            boot_id=machine.boot_id, host=host.index, uuid=pool.common.hosts[host.index].uuid,
            machine="dom0-{}".format("abcdefgh"[host.index]),
            addresses=tuple(one.address for one in pool.common.hosts), software="xha sim",
            pid=machine.last_pid, wall_ms=host.wall_ms(), mono_ms=host.now_ms(), online=False,
            event_slots=512, measure_slots=64),
            self.messages).at(lambda: (host.wall_ms(), host.now_ms()))
        machine.lives.append(life)
        return life

    def _turned(self, machine):
        view = machine.host.view
        if view is None or machine.host.node is None:
            return
        life = self._life(machine)
        now_ms = machine.host.now_ms()
        for peer in view.peers:
            if peer.heard_at_ms != machine.sent.get(peer.index):
                machine.sent[peer.index] = peer.heard_at_ms
                machine.observer.datagram(self.pool.common.hosts[peer.index].address)
        if not machine.announced and view.incarnation:
            machine.announced = True
            life.note(log("daemon-started", version="sim", host=view.me, hosts=len(view.peers),
                          pid=machine.last_pid, incarnation=view.incarnation, mode="HYPERVISOR"))
        machine.observer.turn(now_ms, now_ms)

    def _said(self, machine, kind, content):
        if kind == "log":
            self._life(machine).note(content)
        elif kind == "refused" and "armed" in content:
            left = LEFT.format(machine.last_pid,
                               self.pool.common.statefile_watchdog_timeout_ms // 1000)
            self._begin(machine).note(log("start-aborted", reason=left))
        elif kind == "fenced":
            machine.console += ASKED
        elif kind == "reset":
            machine.console += FIRED

    def _went_down(self, machine, why):
        machine.console.append(BANNER)
        machine.boots += 1
        if why != "fenced" and machine.lives:
            life = machine.lives[-1]
            since_ms = machine.host.wall_ms() - UNSYNCED_MS
            life.entries = [entry for entry in life.entries
                            if entry.wall_ms <= since_ms or entry.level == "err"]

    # ---- what stories do

    def _obey(self, line):
        refused = re.match(r"refused (\d): (.*)", line)
        bug = re.match(r"bug in (\d): (.*)", line)
        console = re.match(r"console of (\d): (.*)", line)
        sending = re.match(r"cannot send (\d): (.*)", line)
        message = re.match(r"message of (\d): ([a-z-]+) (.*)", line)
        if sending:
            host = self.pool.hosts[int(sending.group(1))]
            host.send_errors = tuple((other, sending.group(2))
                                     for other in range(len(self.machines))
                                     if other != host.index)
        elif message:
            fields = dict(re.findall(r"([a-z]+)=([^=]+)(?: |$)", message.group(3)))
            self._life(self.machines[int(message.group(1))]).note(
                log(message.group(2), **fields))
        elif line == "generation":
            made = sfformat.encode_global(self.pool.initial._replace(generation_uuid="7" * 32))
            self.pool.disk.sections[0] = made
        elif refused:
            machine = self.machines[int(refused.group(1))]
            self._begin(machine).note(log("start-aborted", reason=refused.group(2)))
        elif bug:
            machine = self.machines[int(bug.group(1))]
            life = self._life(machine)
            life.note(log("thread-died", thread="main", reason=bug.group(2)))
            life.note(log("traceback", line=bug.group(2)))
            self._director.obey("daemon of {} dies".format(bug.group(1)))
        elif console:
            self.machines[int(console.group(1))].console.append(console.group(2))
        else:
            raise AssertionError(line)

    # ---- what hosts leave

    def now(self, host):
        """The boot in which a question is asked on that host, and whether its daemon runs.

        A machine that is down has booted again when somebody can ask on it.
        """
        return self.machines[host].boot_id, self.machines[host].host.node is not None

    def lay(self, folder):
        """All files: a folder for each host, the State-File, and configurations."""
        for machine in self.machines:
            place = os.path.join(folder, "host-{}".format(machine.host.index))
            os.makedirs(place)
            kept = machine.lives[-1 - recorderdisk.KEPT:]
            for number, life in enumerate(reversed(kept)):
                with open(recorderdisk.numbered(os.path.join(place, recorderdisk.NAME), number),
                          "wb") as stream:
                    stream.write(life.bytes())
            with open(os.path.join(folder, "console-{}".format(machine.host.index)), "w") as text:
                text.write("\n".join(machine.console) + "\n")
        sections = self.pool.disk.sections
        with open(os.path.join(folder, "statefile"), "wb") as stream:
            for section in range(len(sections)):
                stream.write(sections[section])
        for machine in self.machines:
            with open(os.path.join(folder, "conf-{}".format(machine.host.index)), "w") as text:
                text.write(self._configuration(machine.host, os.path.join(folder, "statefile")))

    def _configuration(self, host, statefile):
        common = self.pool.common
        hosts = "".join("<host><HostID>{}</HostID><IPaddress>{}</IPaddress></host>".format(
            one.uuid, one.address) for one in common.hosts)
        return ('<xhad-config version="1.0"><common-config><GenerationUUID>{}</GenerationUUID>'
                "<UDPport>694</UDPport>{}</common-config><local-config><localhost><HostID>{}"
                "</HostID><HeartbeatInterface>lo</HeartbeatInterface><StateFile>{}</StateFile>"
                "</localhost></local-config></xhad-config>").format(
                    common.generation_uuid, hosts, common.hosts[host.index].uuid, statefile)
