"""The hosts of a rig's pool as machines: they boot, run a virtual machine, and are reset.

Watchdog mode USER resets by a command.  Here that command kills the *virtual machine*: a process
that stands for all that must not run twice.  So what the promise is about can be seen from
outside: the instant at which that process ended, whatever its daemon believed.

A machine whose virtual machine ended is down.  Whatever else still runs on it ends with it, as at
any reset; some seconds later it boots: an empty /run, another boot ID, a new virtual machine.  Its
init starts the daemon whenever none runs, unless somebody stopped that for good.

/var/lib and /var/log are small disks of the machine's own, which outlive its resets and can be
full.
"""

import os
import shutil
import signal
import subprocess
import threading
import uuid
from time import monotonic

FENCE = "--fence-command=sh -c 'kill -9 $(cat /run/vm.pid)'"
_BOOT_ID = "/proc/sys/kernel/random/boot_id"

#: How often init looks, s.
INIT_S = 1.0


class Machine:
    """One machine; ``note(kind, host, content, at_s)`` is told what becomes of it."""

    def __init__(self, host, note):
        self.host = host
        self.index = host.index
        self._note = note
        self.vm = None
        self.up = False
        #: Why it went down last, if that was meant.
        self.why = ""
        #: Init starts the daemon.
        self.enabled = True
        #: The instant at which it may boot again.
        self.boots_at = 0.0
        self.frozen = False
        self._looked_at = 0.0
        for place, size in (("/var/lib", "14m"), ("/var/log", "6m")):
            host.door.must("mount", "-t", "tmpfs", "-o", "size=" + size, "none", place)

    def place(self, path):
        """A path of this machine, as we can reach it."""
        return self.host.door.proc + "/root" + path

    # ---- the machine

    def boot(self):
        """Power on."""
        assert not self.up
        for name in os.listdir(self.host.path("/run/")):
            path = self.host.path("/run/" + name)
            shutil.rmtree(path) if os.path.isdir(path) else os.unlink(path)
        boot = os.path.join(self.host.folder, "boot_id")
        with open(boot, "w") as file:
            file.write(str(uuid.uuid4()) + "\n")
        if self.vm is None:
            self.host.door.must("mount", "--bind", boot, _BOOT_ID)
        pid_file = self.host.path("/run/vm.pid")
        self.vm = self.host.door.popen(
            ["sh", "-c", "echo $$ > /run/vm.pid.new; mv /run/vm.pid.new /run/vm.pid;"
             " exec sleep 1000000"], stdin=subprocess.DEVNULL)
        while not os.path.exists(pid_file):
            assert self.vm.poll() is None
            threading.Event().wait(0.005)
        self.up, self.why, self.frozen = True, "", False
        self._note("boot", self.index, None, monotonic())
        threading.Thread(target=self._watch, args=(self.vm,), daemon=True).start()

    def _watch(self, vm):
        vm.wait()
        at = monotonic()
        self.up = False
        self._note("down", self.index, self.why or "watchdog", at)

    def power_off(self):
        """All of it ends at once."""
        self.why = "crashed"
        self._end_all()

    def _end_all(self):
        """End every process in this machine's network namespace, the daemon's first."""
        ours = os.readlink(self.host.door.proc + "/ns/net")
        found = []
        for name in os.listdir("/proc"):
            try:
                if name.isdigit() and os.readlink("/proc/{}/ns/net".format(name)) == ours:
                    found.append(int(name))
            except OSError:
                pass        # It ended meanwhile.
        daemon = self.host.daemon.pid if self.host.runs else -1
        assert os.getpid() not in found
        for pid in sorted(found, key=lambda pid: pid != daemon):
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                pass

    # ---- the daemon

    def start(self):
        """Start the daemon."""
        run = self.host.start(FENCE)
        self._note("began", self.index, run.pid, run.started_at)

        def watch():
            run._thread.join()
            self._note("ended", self.index, run.status, run.ended_at)
        threading.Thread(target=watch, daemon=True).start()

    def freeze(self):
        """SIGSTOP to the daemon."""
        if self.host.running:
            self.frozen = True
            self._note("frozen", self.index, None, self.host.daemon.signal(signal.SIGSTOP))

    def thaw(self):
        """SIGCONT."""
        if self.frozen:
            self.frozen = False
            if self.host.running:
                self._note("thawed", self.index, None, self.host.daemon.signal(signal.SIGCONT))

    def turn(self, boot_s, before_start):
        """What the machine and its init do by themselves; to be called several times a second.

        ``before_start`` is called before a daemon is started.
        """
        now = monotonic()
        if not self.up:
            if self.boots_at == 0.0:
                self._end_all()
                self.boots_at = now + boot_s
            elif now >= self.boots_at and not self.host.running:
                self.boots_at = 0.0
                before_start(self)
                self.boot()
                if self.enabled:
                    self.start()
            return
        if now >= self._looked_at + INIT_S:
            self._looked_at = now
            if self.enabled and not self.host.running:
                before_start(self)
                self.start()

    def close(self):
        """End it for good."""
        if self.vm is not None:
            self.vm.kill()
            self.vm.wait()
