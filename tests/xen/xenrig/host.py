"""One real Xen host: boots, runs programs in its control domain, and tells when it was reset.

Times are of this machine's CLOCK_MONOTONIC, seconds, taken when the rig has heard of something:
never before it happened.  The emulated processor is some 18 times slower than this one, but its
timers follow this machine's clock.
"""
import base64
import json
import os
import queue
import re
import socket
import subprocess
import threading
import time
from collections import namedtuple

from xenrig import images
from xenrig.images import RigError

DISK = "/dev/disks/statefile"
DISK_BYTES = 64 << 20

MEMORY_MIB, DOM0_MIB = 512, 352

#: What Xen says on the console, and what it means.
SAID = [
    ("banner", re.compile(r"\(XEN\).*Xen version \d")),
    ("fired", re.compile(r"Watchdog timer (\d+ )?fired for (domain |d)0")),
    ("dying", re.compile(r"Hardware Dom0 (shutdown|halted|crashed)")),
]

Event = namedtuple("Event", "at_s kind text")
Result = namedtuple("Result", "code out err")
#: Instants of the steps of a reset, each None when it was not seen; and what Xen said.
Reset = namedtuple("Reset", "fired_s dying_s reset_s ready_s text")


#: Who a host is, its hardware address, and QEMU's words for its network and its shared disk.
Place = namedtuple("Place", "name address mac network disk")

#: A host with a disk to itself, on a network with nobody else.
ALONE = Place("h1", "10.77.0.1", "52:54:00:77:00:01", "hubport,hubid=0",
              "file=statefile.img,cache=none")


class HostReset(Exception):
    """The host went away before the answer came."""


class Host:
    """A machine in an emulator; use as a context manager."""

    def __init__(self, directory, files, place=ALONE, dying=lambda: None):
        """``dying`` is called when Xen says that it is about to reset the machine.

        ``files`` are on its disk from the first boot on: path there -> path here.
        """
        self.directory, self.place, self._dying = directory, place, dying
        self._files = files
        self.images = images.build()
        self.events = []
        self.console = []               # (instant, line)
        self._changed = threading.Condition()
        self._boot = None               # id of the boot that answers now
        self._waiting = {}              # id of a request -> queue for its answer
        self._ids = iter(range(1, 1 << 62))
        self._sockets = {}
        self._process = None

    def __enter__(self):
        self.make_disks()
        self.power_on()
        self.wait_ready()
        return self

    def __exit__(self, *exception):
        if self._process is not None:
            self._process.kill()
            self._process.wait()
        self._close()

    def make_disks(self):
        """Its disks as they are before the first boot."""
        images.run("cp", self.images + "/root.img", self.directory)     # its holes stay holes
        images.add(self.directory + "/root.img", self._files)
        if self.place.disk == ALONE.disk:
            with open(self.directory + "/statefile.img", "wb") as file:
                file.truncate(DISK_BYTES)

    def power_on(self):
        """Let it begin to boot."""
        with open(self.directory + "/qemu.log", "wb") as log:
            # It ends with this process, whatever happens to that.
            self._process = subprocess.Popen(
                ["setpriv", "--pdeathsig", "KILL"] + self._command(), stdin=subprocess.DEVNULL,
                stdout=log, stderr=log, cwd=self.directory)
        for name, read in (("qmp", self._read_qmp), ("console", self._read_console),
                           ("agent", self._read_agent)):
            self._sockets[name] = self._connect(name)
            threading.Thread(target=self._lines, args=(self._sockets[name], read),
                             daemon=True).start()
        self.qmp("qmp_capabilities")
        self.qmp("cont")

    def power_off(self):
        """Take its power; give an instant at which it was certainly off."""
        self.qmp("quit")
        self._process.wait(20)
        self._event("off", "")
        self._lost()
        self._close()
        return self.events[-1].at_s

    def qmp(self, command, **arguments):
        """Ask the emulator for something.  Nobody waits for it; a refusal ends up as an event."""
        self._sockets["qmp"].sendall(json.dumps(
            {"execute": command, "arguments": arguments}).encode() + b"\n")

    def _close(self):
        for one in self._sockets.values():
            one.close()
        self._sockets = {}

    def _command(self):
        kernel = ("{}/vmlinux console=hvc0 swiotlb=4096 loglevel=5 panic=0 rig.name={} "
                  "rig.address={}/24".format(self.images, self.place.name, self.place.address))
        return [
            "qemu-system-x86_64", "-name", "xha-xen-" + self.place.name, "-nodefaults",
            "-no-user-config",
            "-display", "none", "-S", "-machine", "pc", "-accel", "tcg,tb-size=128",
            # Of the processors that QEMU emulates, one that Xen's control domain boots on.
            "-cpu", "qemu64", "-smp", "1", "-m", str(MEMORY_MIB), "-rtc", "base=utc",
            "-kernel", self.images + "/xen.elf", "-append",
            "console=com1 com1=115200,8n1 dom0_mem={0}M,max:{0}M dom0_max_vcpus=1 loglvl=info "
            "guest_loglvl=info/info".format(DOM0_MIB),
            "-initrd", "{},{}/initrd.cpio".format(kernel.replace(",", ",,"), self.images),
            "-chardev", "socket,id=qmp,path=qmp,server=on,wait=off", "-mon",
            "chardev=qmp,mode=control",
            "-chardev", "socket,id=console,path=console,server=on,wait=off",
            "-serial", "chardev:console",
            "-device", "virtio-rng-pci", "-device", "virtio-serial-pci",
            "-chardev", "socket,id=agent,path=agent,server=on,wait=off",
            "-device", "virtserialport,chardev=agent,name=xenrig.agent",
            "-drive", "file=root.img,format=raw,if=none,id=root,cache=unsafe",
            "-device", "virtio-blk-pci,drive=root,serial=root",
            "-drive", self.place.disk + ",format=raw,if=none,id=statefile",
            "-device", "virtio-blk-pci,drive=statefile,serial=statefile",
            "-netdev", self.place.network + ",id=net",
            "-device", "virtio-net-pci,netdev=net,romfile=,mac=" + self.place.mac]

    def _connect(self, name):
        until = time.monotonic() + 20
        while True:
            made = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            try:
                made.connect(os.path.join(self.directory, name))
                return made
            except OSError:
                made.close()
                if time.monotonic() > until or self._process.poll() is not None:
                    with open(self.directory + "/qemu.log") as log:
                        raise RigError("QEMU did not start: " + log.read()[-2000:])
                time.sleep(0.02)

    # What the machine says.

    def _lines(self, connection, read):
        waiting = b""
        while True:
            try:
                data = connection.recv(1 << 16)
            except OSError:
                return
            if not data:
                return
            *lines, waiting = (waiting + data).split(b"\n")
            for line in lines:
                read(line)

    def _event(self, kind, text):
        with self._changed:
            self.events.append(Event(time.monotonic(), kind, text))
            self._changed.notify_all()

    def _read_console(self, line):
        text = line.decode("utf-8", "replace").replace("\r", "").rstrip()
        # Xen cuts into whatever line the control domain is writing.
        for part in re.split(r"(?<=[^\n])(?=\(XEN\) )", text):
            self.console.append((time.monotonic(), part))
            for kind, pattern in SAID:
                if pattern.search(part):
                    self._event(kind, part)
                    if kind == "dying":
                        self._dying()

    def _read_qmp(self, line):
        said = json.loads(line.decode())
        if "error" in said:
            self._event("refused", json.dumps(said["error"]))
        if said.get("event") == "RESET":
            self._lost()
            # One reset raises this event more than once.
            last = self.find("reset", time.monotonic() - 1)
            if last is None:
                self._event("reset", "")

    def _read_agent(self, line):
        try:
            message = json.loads(line.decode())
        except ValueError:
            return      # cut short by a reset
        if "ready" in message:
            self._lost()
            with self._changed:
                self._boot = message["boot"]
            self._event("ready", "")
        elif message.get("boot") == self._boot:
            with self._changed:
                answer = self._waiting.pop(message["id"], None)
            if answer is not None:
                answer.put(message)

    def _lost(self):
        with self._changed:
            self._boot = None
            waiting, self._waiting = list(self._waiting.values()), {}
        for one in waiting:
            one.put(None)

    # What the machine is asked.

    def _ask(self, do, patience_s=120.0, **what):
        self.wait_ready()
        answer = queue.Queue()
        with self._changed:
            number, boot, agent = next(self._ids), self._boot, self._sockets.get("agent")
            if boot is None or agent is None:
                raise HostReset("the host went away before {}".format(what))
            self._waiting[number] = answer
        try:
            agent.sendall(json.dumps(dict(what, do=do, id=number, boot=boot)).encode() + b"\n")
        except OSError:
            raise HostReset("the host went away before {}".format(what))
        try:
            message = answer.get(timeout=patience_s)
        except queue.Empty:
            raise RigError("no answer to {} in {} s".format(what, patience_s))
        if message is None:
            raise HostReset("the host went away during {}".format(what))
        if "error" in message:
            raise RigError("{}: {}".format(what, message["error"]))
        return message

    def run(self, *argv, **options):
        """Run a program in the control domain and wait for its end."""
        answer = self._ask("run", argv=argv, **options)
        return Result(answer["code"], answer["out"], answer["err"])

    def spawn(self, *argv, **options):
        """Start a program in the control domain; return its pid there."""
        return self._ask("spawn", argv=argv, log=options.get("log", "/dev/null"))["pid"]

    def clock(self):
        """What the clock of the control domain shows, seconds since 1970."""
        return self._ask("clock")["now_s"]

    def put(self, data, path):
        """Make a file in the control domain, on its disk before this returns."""
        step = 256 << 10
        for offset in range(0, max(1, len(data)), step):
            self._ask("put", path=path, offset=offset,
                      data=base64.b64encode(data[offset:offset + step]).decode())

    def find(self, kind, after_s):
        """The first such event after an instant, or None."""
        for event in list(self.events):
            if event.kind == kind and event.at_s > after_s:
                return event
        return None

    def wait(self, kind, after_s, patience_s):
        """Wait for an event.  RigError: it did not come."""
        with self._changed:
            if not self._changed.wait_for(lambda: self.find(kind, after_s), patience_s):
                raise RigError("no {} within {:.0f} s; the console's last lines:\n{}".format(
                    kind, patience_s, "\n".join(text for _, text in self.console[-15:])))
        return self.find(kind, after_s)

    @property
    def is_up(self):
        """Whether the control domain answers."""
        return self._boot is not None

    @property
    def boot_id(self):
        """The kernel's name of the boot that answers; None while none does."""
        return self._boot

    def wait_ready(self):
        """Wait until the control domain answers."""
        with self._changed:
            if not self._changed.wait_for(lambda: self.is_up, 180):
                raise RigError("the control domain is not up:\n" + "\n".join(
                    text for _, text in self.console[-15:]))

    def wait_reset(self, after_s, patience_s):
        """Wait until the host was reset and is up again."""
        reset = self.wait("reset", after_s, patience_s)
        ready = self.wait("ready", reset.at_s, 180)
        fired, dying = self.find("fired", after_s), self.find("dying", after_s)
        return Reset(
            fired.at_s if fired else None, dying.at_s if dying else None, reset.at_s, ready.at_s,
            " / ".join(event.text for event in (fired, dying) if event))
