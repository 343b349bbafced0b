"""The State-File of the daemon: one thread that owns the shared device.

Theory of operation
===================

The thread does one job after the other.  A device that hangs, hangs the
thread and nothing else: the daemon's loop hands in jobs and takes results,
and what it does not get it knows by the passing of time.

``issued_at_ms`` is read before anything is asked of the system, so it is never
later than the moment the device was asked: a watchdog counted from it never
expires late.  A write that took long, or was told to have failed, may still
have reached the device.

A reading is one call over the global record and the configured hosts'.  Only
if that fails is every section read by itself, at once, so that one bad section
is told from a dead device; and a device that fails the global record and two
sections more is dead, and is not asked sixty times over.  Sections that were
read but are corrupt are read once more, in one call (spec 3, step 2: a read may
have met a write half way).

Source: spec 3.
"""

import errno
import os
import signal
import threading
import time
from collections import deque
from queue import Queue
from typing import Callable, Deque, List, NamedTuple, Optional, Tuple, Union

from xha import faultpoints, sfformat
from xha.actions import Log
from xha.errors import XhaError
from xha.faultpoints import FaultPoints
from xha.hostset import MAX_HOSTS
from xha.published import Fault
from xha.records import record
from xha.sealformat import RECORD_BYTES
from xha.sfdevice import Device, open_device, text_of
from xha.sfformat import SECTIONS

#: Errors after which the descriptor is of no use: the device went away.
_GONE = frozenset((errno.ENODEV, errno.ENXIO, errno.EBADF, errno.ESTALE, errno.ENOMEDIUM))

#: The worker's stack, bytes: all of the daemon's memory is locked.
STACK_BYTES = 256 << 10

#: Jobs that may wait.  The core never has more than a handful; a hung device keeps them.
JOBS_MAX = 32

#: How often a device that a fault point hangs looks whether it is cleared, s.
_HANG_POLL_S = 0.05


@record
class Done(NamedTuple):
    """What became of a job."""

    # "read", "write" or "replace"; "died": the thread ended, ``error`` is its traceback.
    kind: str
    # Section written; 0 for a read.
    section: int
    issued_at_ms: int
    completed_at_ms: int
    # "" when done; for a read only if the device could not be read at all.
    error: str
    # Of a read: for each section its bytes, or the text of the error that it gave.
    sections: Tuple[Union[bytes, str], ...]


@record
class _Job(NamedTuple):
    """What the thread is to do.  ``expected`` is the fingerprint for "replace", else 0."""

    kind: str
    section: int
    data: bytes
    expected: int


class StateFileWorker:
    """One thread that owns the State-File's descriptor.

    ``submit_...`` and ``results`` are for the daemon's loop; none of them waits or raises.
    """

    def __init__(self, path: str, host_count: int, clock_ms: Callable[[], int],
                 faults: Optional[FaultPoints] = None) -> None:
        """Start the thread.  The device is opened by it, at the first job.

        Args:
            path: block device or file; need not exist yet.
            host_count: number of configured hosts, 1 to 64: what a reading covers.
            clock_ms: this host's monotonic clock, ms; must be callable from any thread.
            faults: fault points to honour.
        """
        assert 1 <= host_count <= MAX_HOSTS
        self._path = path
        self._count = 1 + host_count
        self._clock_ms = clock_ms
        self._faults = faults or FaultPoints()
        self._device = None         # type: Optional[Device]
        self._suspect = False
        self._abandoned = False
        # The traceback of the thread, when it died of a bug; whether its death was told.
        self._death = ""
        self._told = False
        self._waiting = 0
        self._jobs = Queue()        # type: Queue[Optional[_Job]]
        self._done = deque()        # type: Deque[Done]
        self._notes = deque()       # type: Deque[Log]
        self._readable, self._signal = os.pipe()
        os.set_blocking(self._readable, False)
        os.set_blocking(self._signal, False)
        previous = threading.stack_size(STACK_BYTES)
        try:
            self._thread = threading.Thread(target=self._run, name="statefile", daemon=True)
            self._thread.start()
        finally:
            threading.stack_size(previous)

    def submit_read(self) -> None:
        """Read the global record and all configured hosts' records."""
        self._submit(_Job(kind="read", section=0, data=b"", expected=0))

    def submit_write(self, section: int, data: bytes) -> None:
        """Write 4096 bytes into a section: 0 is the global record's, 1 + i host i's."""
        assert 0 <= section < SECTIONS
        assert len(data) == RECORD_BYTES
        self._submit(_Job(kind="write", section=section, data=data, expected=0))

    def submit_replace(self, section: int, data: bytes, expected_fingerprint: int) -> None:
        """Write only if the section's bytes still have that fingerprint just before."""
        assert 0 <= section < SECTIONS
        assert len(data) == RECORD_BYTES
        self._submit(_Job(kind="replace", section=section, data=data,
                          expected=expected_fingerprint))

    def fileno(self) -> int:
        """A descriptor that is readable when ``results`` has something."""
        return self._readable

    def results(self) -> List[Done]:
        """What was done since the last call, in order."""
        try:
            os.read(self._readable, 4096)
        except BlockingIOError:
            pass
        found = []
        while self._done:
            found.append(self._done.popleft())
        self._waiting -= len(found)
        dead = self._death or not (self._abandoned or self._thread.is_alive())
        if dead and not self._told:
            self._told = True
            now_ms = self._clock_ms()
            found.append(Done(kind="died", section=0, issued_at_ms=now_ms, completed_at_ms=now_ms,
                              error=self._death or "it ended without a word", sections=()))
        return found

    def notes(self) -> List[Log]:
        """Messages of the catalogue that the device gave rise to, once each."""
        found = []
        while self._notes:
            found.append(self._notes.popleft())
        return found

    def pending(self) -> int:
        """Jobs handed in whose results were not taken yet."""
        return self._waiting

    def abandon(self) -> None:
        """Never touch the device again.  Does not wait: the thread may hang for ever."""
        self._abandoned = True
        self._jobs.put(None)

    # Everything below runs in the thread, but for _submit.

    def _submit(self, job: _Job) -> None:
        self._waiting += 1
        if self._waiting > JOBS_MAX:
            now_ms = self._clock_ms()
            self._post(Done(kind=job.kind, section=job.section, issued_at_ms=now_ms,
                            completed_at_ms=now_ms, sections=(),
                            error="the State-File does not answer: {} jobs wait".format(JOBS_MAX)))
            return
        self._jobs.put(job)

    def _post(self, done: Done) -> None:
        self._done.append(done)
        self._wake()

    def _wake(self) -> None:
        try:
            os.write(self._signal, b"\0")
        except BlockingIOError:
            pass                    # The pipe is full: it is readable all the same.

    def _run(self) -> None:
        # Signals are the main thread's: its select must be what they interrupt.
        signal.pthread_sigmask(signal.SIG_BLOCK, (
            signal.SIGHUP, signal.SIGINT, signal.SIGTERM, signal.SIGUSR1, signal.SIGUSR2,
            signal.SIGCHLD, signal.SIGALRM))
        try:
            while True:
                job = self._jobs.get()
                if job is None or self._abandoned:
                    break
                self._post(self._do(job))
            if self._device is not None:
                self._device.close()
        except BaseException:
            # Who takes results looks whether this thread lives, should even this fail.
            import traceback
            self._death = traceback.format_exc()
            self._wake()

    def _do(self, job: _Job) -> Done:
        """One job; an error of the device is an answer."""
        issued_at_ms = self._clock_ms()
        error = ""
        sections = ()  # type: Tuple[Union[bytes, str], ...]
        try:
            device = self._opened()
            if job.kind == "read":
                issued_at_ms = self._clock_ms()
                sections = self._read_all(device)
            elif job.kind == "replace" and sfformat.fingerprint(
                    self._read(device, job.section, 1)) != job.expected:
                error = "the section has changed meanwhile"
            else:
                issued_at_ms = self._clock_ms()
                self._write(device, job.section, job.data)
        except (OSError, XhaError) as refused:
            error = self._failed(refused)
        return Done(kind=job.kind, section=job.section, issued_at_ms=issued_at_ms,
                    completed_at_ms=self._clock_ms(), error=error, sections=sections)

    def _opened(self) -> Device:
        """The open device; opened anew where an error showed that the old one is gone."""
        if self._device is not None and self._suspect and self._device.is_replaced():
            self._device.close()
            self._device = None
        if self._device is None:
            device = open_device(self._path)
            self._notes.extend(device.notes)
            del device.notes[:]
            self._device = device
        self._suspect = False
        return self._device

    def _failed(self, error: Exception) -> str:
        self._suspect = True
        if isinstance(error, OSError) and error.errno in _GONE and self._device is not None:
            self._device.close()
            self._device = None
        return text_of(error)

    def _read_all(self, device: Device) -> Tuple[Union[bytes, str], ...]:
        try:
            data = self._read(device, 0, self._count)
        except OSError as error:
            if error.errno in _GONE:
                raise
            return self._read_each(device)
        found = [data[at:at + RECORD_BYTES] for at in range(0, len(data), RECORD_BYTES)]
        corrupt = [section for section, one in enumerate(found) if _is_corrupt(section, one)]
        if corrupt:
            self._read_again(device, corrupt, found)
        return tuple(found)

    def _read_each(self, device: Device) -> Tuple[Union[bytes, str], ...]:
        """Every section by itself.

        Raises:
            OSError: the global record and two sections more failed: the device is dead.
        """
        found = []  # type: List[Union[bytes, str]]
        failures = 0
        for section in range(self._count):
            try:
                found.append(self._read(device, section, 1))
            except OSError as error:
                failures += 1
                # A pool of one has two sections in all.
                if isinstance(found[0] if found else "", str) and failures >= min(3, self._count):
                    raise
                found.append(text_of(error))
        self._suspect = failures > 0
        return tuple(found)

    def _read_again(self, device: Device, corrupt: List[int], found: List[bytes]) -> None:
        first = corrupt[0]
        try:
            data = self._read(device, first, corrupt[-1] - first + 1)
        except OSError:
            return                  # What was read stands: corrupt, and so it is said.
        for section in corrupt:
            at = (section - first) * RECORD_BYTES
            found[section] = data[at:at + RECORD_BYTES]

    def _read(self, device: Device, first: int, count: int) -> bytes:
        self._suffer(faultpoints.STATEFILE_READ_FAIL)
        return device.read(first, count)

    def _write(self, device: Device, section: int, data: bytes) -> None:
        self._suffer(faultpoints.STATEFILE_WRITE_FAIL)
        device.write(section, data)

    def _suffer(self, failure: str) -> None:
        faults = self._faults
        slow_ms = faults.value(faultpoints.STATEFILE_SLOW)
        if slow_ms:
            time.sleep(slow_ms / 1000)
        while faults.value(faultpoints.STATEFILE_HANG) and not self._abandoned:
            time.sleep(_HANG_POLL_S)
        if self._abandoned:
            raise OSError(errno.EIO, "the daemon ends")
        if faults.value(failure):
            raise OSError(errno.EIO, "Input/output error (fault point {})".format(failure))


def _is_corrupt(section: int, data: bytes) -> bool:
    judged = sfformat.section_of_host(data) if section else sfformat.section_of_global(data)
    return judged.fault is Fault.CORRUPT
