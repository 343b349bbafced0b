"""Runs the hooks of dom0 as child processes, and never lets the daemon's loop wait for one.

Theory of operation
===================

Starting a program can hang: its file may lie on the disk that hangs.  So can
killing one, for a process that is held in the kernel ends when the kernel
lets it.  Both therefore happen in a thread of their own (``XapiMonitor``),
which has one job at a time; a newer job takes the place of an older, whose
process group is killed.  What the thread does not bring back in time,
``xapihealth`` takes for timed out.

A child leads a session and a process group of its own, so that a time-out can
kill whatever it has started; it inherits no descriptor but its output, and
/dev/null for the others.  It is forked, not vforked: CPython 3.10 holds its
lock in a vfork, and with it the loop, until the program's file is read.
Real-time priority is taken from it by the kernel (``realtime``), and what spares
the daemon when memory runs out, by us.  When it
ends by itself its group is left alone: a restart may leave behind just what
it was to start.

Output beyond the first 100 bytes is read and dropped, so that a talkative
program is not killed by a closed pipe.

Source: spec 8, "xapi monitor" and "Licence".
"""

import os
import select
import shlex
import signal
import subprocess
import threading
import time
from collections import deque
from queue import Queue
from typing import Callable, Deque, Dict, List, Optional

from xha import logfile
from xha.child import OUTPUT_MAX, Ended, How, Job, Work

#: Stack of the thread, bytes; it is locked into memory.
STACK_BYTES = 256 * 1024

#: How often a child that is silent is looked at, ms: at first, and later.
_PACE_FIRST_MS = 5
_PACE_LAST_MS = 100

#: How long the end of a killed child is waited for, ms, before it is left to later.
_REAP_MS = 1000

_READ_BYTES = 4096

# See the theory above.  3.10 was seen to hold up all threads, 3.11 to 3.13 not; the switch is
# documented from 3.11 on, and means nothing before 3.10.
setattr(subprocess, "_USE_VFORK", False)


class _Child:
    """A program that runs."""

    def __init__(self, words: List[str]) -> None:
        """Start it.  Raises OSError or ValueError: it cannot be started."""
        environment = {name: text for name, text in os.environ.items()
                       if not name.startswith("XHA_")}
        environment["LC_ALL"] = "C"
        self._process = subprocess.Popen(
            words, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
            start_new_session=True, cwd="/", env=environment)
        assert self._process.stdout is not None
        self._stdout = self._process.stdout
        os.set_blocking(self._stdout.fileno(), False)
        try:
            # What keeps the daemon from being ended for want of memory is not for its children.
            with open("/proc/{}/oom_score_adj".format(self._process.pid), "wb", 0) as score:
                score.write(b"0")
        except OSError:
            pass                    # It has ended already.
        self._reads = True
        self._output = b""
        self._lock = threading.Lock()

    def wait(self, ms: int) -> bool:
        """Wait for output, at most ``ms``; whether there was any, or its end."""
        if not self._reads:
            time.sleep(ms / 1000)
        elif logfile.ready(self._stdout.fileno(), select.POLLIN, ms / 1000):
            self._read()
            return True
        return False

    def status(self) -> Optional[int]:
        """Its exit code, or -N for a signal, once it has ended and is reaped; None before."""
        with self._lock:
            status = self._process.poll()
        if status is not None and not self._stdout.closed:
            while self._reads and self.wait(0):
                if len(self._output) >= OUTPUT_MAX:
                    break       # Whoever still writes is not the program.
            self._stdout.close()
        return status

    def kill(self) -> None:
        """Kill it and all that is in its process group, unless it is reaped already."""
        with self._lock:
            if self._process.poll() is None:
                try:
                    os.killpg(self._process.pid, signal.SIGKILL)
                except OSError:
                    pass        # It has given itself another identity: nothing of ours.

    @property
    def text(self) -> str:
        """What it has said, in printable ASCII."""
        text = self._output.decode("ascii", "replace")
        return "".join(letter if " " <= letter <= "~" else "?" if letter > "~" else " "
                       for letter in text).strip()

    def _read(self) -> None:
        try:
            part = os.read(self._stdout.fileno(), _READ_BYTES)
        except BlockingIOError:
            return
        self._reads = bool(part)
        self._output += part[:OUTPUT_MAX - len(self._output)]


class Runner:
    """Runs one program after another, each within its time."""

    def __init__(self, commands: Dict[Work, str], clock_ms: Callable[[], int]) -> None:
        """Take the command lines, split like a shell would, and CLOCK_MONOTONIC in ms.

        Raises:
            ValueError: a command line with a quote that does not end.
        """
        self._words = {work: shlex.split(line) for work, line in commands.items()}
        self._clock_ms = clock_ms
        # The program that runs, for ``kill``.
        self._child = None  # type: Optional[_Child]
        # Killed, but held in the kernel.
        self._held = []  # type: List[_Child]

    def run(self, job: Job, wanted: Callable[[], bool] = lambda: True) -> Ended:
        """Run a program to its end, at most ``job.timeout_ms``, or as long as it is ``wanted``.

        Only the start, where its file cannot be read, can take longer.
        """
        self._held = [child for child in self._held if child.status() is None]
        started_ms = self._clock_ms()
        words = self._words.get(job.work) or [""]
        try:
            child = self._child = _Child(words)
        except (OSError, ValueError) as error:
            why = getattr(error, "strerror", None) or str(error)
            return self._ended(job, started_ms, How.NOT_STARTED, 0, "{}: {}".format(
                words[0] or "no command", why))
        pace_ms = _PACE_FIRST_MS
        while True:
            status = child.status()
            if status is not None:
                self._child = None
                how = How.SIGNALLED if status < 0 else How.EXITED
                return self._ended(job, started_ms, how, abs(status), child.text)
            left_ms = started_ms + job.timeout_ms - self._clock_ms()
            if left_ms <= 0 or not wanted():
                break
            spoke = child.wait(min(left_ms, pace_ms))
            pace_ms = _PACE_FIRST_MS if spoke else min(2 * pace_ms, _PACE_LAST_MS)
        self._end(child)
        return self._ended(job, started_ms, How.TIMED_OUT, 0, child.text)

    def kill(self) -> None:
        """Kill what runs, from any thread."""
        child = self._child
        if child is not None:
            child.kill()

    def _end(self, child: _Child) -> None:
        child.kill()
        self._child = None
        until_ms = self._clock_ms() + _REAP_MS
        while child.status() is None:
            if self._clock_ms() >= until_ms:
                self._held.append(child)
                return
            child.wait(_PACE_FIRST_MS)

    def _ended(self, job: Job, started_ms: int, how: How, number: int, text: str) -> Ended:
        return Ended(work=job.work, ticket=job.ticket, how=how, number=number, text=text,
                     duration_ms=self._clock_ms() - started_ms)


class XapiMonitor:
    """The thread that runs the health check and the restart.

    All but ``_run`` is for the daemon's loop; none of it waits.
    """

    def __init__(self, commands: Dict[Work, str], clock_ms: Callable[[], int]) -> None:
        """Start the thread.  ``clock_ms`` must be callable from any thread.

        Raises:
            ValueError: see ``Runner``.
        """
        self._runner = Runner(commands, clock_ms)
        self._jobs = Queue()        # type: Queue[Optional[Job]]
        self._ended = deque()       # type: Deque[Ended]
        # The ticket of the job that counts; 0: none.
        self._wanted = 0
        self._work = Work.CHECK
        # The traceback, when the thread died of a bug; whether it was told to end.
        self._death = ""
        self._left = False
        self._readable, self._signal = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        previous = threading.stack_size(STACK_BYTES)
        try:
            self._thread = threading.Thread(target=self._run, name="xapi", daemon=True)
            self._thread.start()
        finally:
            threading.stack_size(previous)

    @property
    def death(self) -> str:
        """Why the thread died; "" while it lives, and once it was told to end."""
        if self._death or self._left or self._thread.is_alive():
            return self._death
        return "the thread that runs xapi's check ended without a word"

    def submit(self, job: Job) -> None:
        """Run a program instead of whatever runs."""
        self._wanted, self._work = job.ticket, job.work
        self._jobs.put(job)

    def fileno(self) -> int:
        """A descriptor that is readable when ``results`` has something."""
        return self._readable

    def results(self) -> List[Ended]:
        """What ended since the last call."""
        try:
            os.read(self._readable, _READ_BYTES)
        except BlockingIOError:
            pass
        found = []
        while self._ended:
            found.append(self._ended.popleft())
        return found

    def abandon(self) -> None:
        """The daemon ends: no check outlives it.  A restart goes on: it is half done."""
        if self._work is Work.CHECK:
            self._wanted = 0
            self._runner.kill()
        self._left = True
        self._jobs.put(None)

    def _run(self) -> None:
        # No signal is blocked here: a child would inherit that.  The loop learns of signals by
        # a descriptor, whichever thread the kernel gave them to.
        try:
            while True:
                job = self._jobs.get()
                if job is None:
                    return
                if job.ticket == self._wanted:
                    ticket = job.ticket
                    self._ended.append(self._runner.run(job, lambda: ticket == self._wanted))
                    self._wake()
        except BaseException:
            import traceback
            self._death = traceback.format_exc()
            self._wake()

    def _wake(self) -> None:
        try:
            os.write(self._signal, b"\0")
        except BlockingIOError:
            pass                    # The pipe is full: it is readable all the same.
