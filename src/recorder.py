"""The flight recorder: what this daemon sees, in a file that survives the reset of the machine.

Theory of operation
===================

*Whoever records never waits.*  ``note``, ``state`` and ``measure`` append to a
bounded queue and put a byte into a pipe, neither of which can block.  A thread
of its own writes, so neither the loop nor the log waits for this disk, nor
this thread for theirs.  It keeps the priority of the process, for the reason
that ``syslogger`` gives.  When the disk hangs or fails, the queue keeps the
newest records and forgets the oldest; how many is counted, written into the
ring and said.

*Nothing needs the file.*  Where it cannot be made (a full or read-only disk,
no such directory) the daemon runs without it, says so once, and tries again
every minute.  It is made whole, with all its blocks, under another name and
then renamed: a full disk cannot stop it later, and its size never changes.

*What a reset leaves.*  A record is written at once, so it survives the end of
this process, however that ends.  A reset of the machine takes what the kernel
has not brought to the disk; so a change is followed by fdatasync, at once if
the last one was ``SYNC_S`` ago or if it is an error, else when it will be: of
what happened before the reset, at most ``SYNC_S`` and the time of one sync is
missing.  All blocks are written and the size is fixed, so a sync writes data
and nothing else.  A fence asks for a sync, and gives it what is left of the
time that its last words have.

*Earlier daemons* keep their files, a few of them: see ``recorderdisk``.

Locked memory: the thread's stack (256 KiB) and the queue, some KiB at rest, at
most about 1 MiB while the disk hangs.  The pool key never gets here: it is in
no message and in no measurement.  Source: spec 9, "Flight recorder".
"""

import os
import threading
import time
from collections import deque
from itertools import count
from typing import Any, Deque, Dict, List, NamedTuple, Optional, Sequence, Tuple

from xha import catalogue, recorderdisk, recorderformat
from xha.actions import Log, log
from xha.catalogue import Catalogue
from xha.doorbell import Doorbell, wait_until
from xha.recorderdisk import Disk
from xha.recorderformat import Entry, Header, Ring
from xha.records import record
from xha.repeats import Repeats, condition_of

#: Records that wait at most.
QUEUE_LENGTH = 1000
#: The least time between two syncs that nobody is in a hurry for, s.
SYNC_S = 0.5
#: After a failure nothing is tried for so long, s.
RETRY_S = 60.0
#: A disk that has not answered for so long is said to hang, s.
HANG_S = 5.0

_BOOT_ID = "/proc/sys/kernel/random/boot_id"


@record
class _Waiting(NamedTuple):
    """A record on its way to the thread."""

    # Numbers all of them: a gap is what was forgotten.
    serial: int
    wall_s: float
    mono_s: float
    incarnation: int
    # "event" with a message; else the fields.
    kind: str
    content: Any


class Recorder:
    """The flight recorder of one daemon.

    But for ``start`` and ``close``, nothing here waits longer than it is told; nothing raises.
    """

    def __init__(self, folder: str, messages: Catalogue, addresses: Sequence[str] = (),
                 host: int = -1, uuid: str = "", software: str = "",
                 disk: Optional[Disk] = None, timeouts_ms: Tuple[int, int] = (0, 0)) -> None:
        """Prepare; nothing is opened before ``start``.

        Args:
            folder: where the files are; made when it is missing.
            addresses: those of the pool's hosts by index.
            host: this host's index; -1 when that is not known.
            timeouts_ms: T1 and T2, for who reads the file.
        """
        self._folder = folder
        self._messages = messages
        self._addresses = tuple(addresses)
        self._about = Header(
            boot_id=boot_id(), host=host, uuid=uuid, machine=os.uname().nodename,
            addresses=self._addresses, software=software, pid=os.getpid(),
            wall_ms=int(time.time() * 1000), mono_ms=int(time.monotonic() * 1000), online=False,
            event_slots=recorderformat.EVENT_SLOTS, measure_slots=recorderformat.MEASURE_SLOTS,
            heartbeat_timeout_ms=timeouts_ms[0], statefile_timeout_ms=timeouts_ms[1])
        self._disk = disk or Disk()
        self._queue = deque(maxlen=QUEUE_LENGTH)  # type: Deque[_Waiting]
        self._serials = count()
        self._expected = 0
        self._flushes = deque()  # type: Deque[threading.Event]
        self._stop = False
        self._keep = False
        #: Of this daemon, once it is known.
        self.incarnation = 0
        self._bell = Doorbell()
        self._thread = threading.Thread(target=self._run, name="recorder", daemon=True)
        # Why nothing is recorded, "" while it is; when the disk was last asked for something
        # and has not answered, s, 0.0 else; records forgotten in all.  Writer: the thread.
        self._failure = ""
        self._busy_since_s = 0.0
        self._missing = 0
        # What was said of these.  Writer: who calls ``news``.
        self._said = ""
        self._missing_said = 0
        # The thread's own.
        self._fd = -1
        self._online = False
        self._events = self._measures = None  # type: Optional[Ring]
        self._repeats = Repeats()
        self._dirty = False
        self._hurry = False
        self._synced_at_s = 0.0
        self._retry_at_s = 0.0

    # ---- for everybody

    def start(self) -> None:
        """Begin to write; what was recorded before is written now."""
        self._thread.start()

    def note(self, message: Log) -> None:
        """Record a message."""
        self._append("event", message)

    def state(self, fields: Dict[str, Any]) -> None:
        """Record what became different of this host's state."""
        self._append("state", fields)

    def measure(self, fields: Dict[str, Any]) -> None:
        """Record measurements."""
        self._append("measure", fields)

    def keep(self) -> None:
        """Note that this host is online: this file is worth more than that of a failed start."""
        self._keep = True
        self._bell.ring()

    def news(self) -> Tuple[Log, ...]:
        """What is to be said of the recorder itself, once for each change.  By one thread."""
        failure = self._failure
        if not failure and self._thread.ident is not None and not (self._stop or self.alive):
            failure = "its thread ended without a word"
        busy_since_s = self._busy_since_s
        if busy_since_s and time.monotonic() - busy_since_s > HANG_S:
            failure = "the disk does not answer"
        if failure == self._said or not failure and self._queue:
            return ()   # Nothing new; or what was forgotten is not counted yet.
        self._said = failure
        path = os.path.join(self._folder, recorderdisk.NAME)
        if failure:
            return (log("recorder-failed", path=path, reason=failure),)
        missing, self._missing_said = self._missing - self._missing_said, self._missing
        return (log("recorder-works", path=path, count=missing),)

    def hasten(self) -> threading.Event:
        """Ask for a sync now; what is returned is set when it is done, or has failed."""
        done = threading.Event()
        self._flushes.append(done)
        self._bell.ring()
        return done

    def close(self, timeout_s: float) -> None:
        """Write what waits, for at most so long, and stop.  A hung disk is left behind."""
        self._stop = True
        self._bell.ring()
        wait_until(lambda: not self.alive, time.monotonic() + timeout_s)

    @property
    def alive(self) -> bool:
        """Whether anybody writes."""
        return self._thread.is_alive()

    def _append(self, kind: str, content: Any) -> None:
        self._queue.append(_Waiting(
            serial=next(self._serials), wall_s=time.time(), mono_s=time.monotonic(),
            incarnation=self.incarnation, kind=kind, content=content))
        self._bell.ring()

    # ---- the thread

    def _run(self) -> None:
        try:
            self._loop()
        except BaseException as error:  # pylint: disable=broad-except
            # Said by ``news``; what is not recorded is not worth a host.
            self._failure = "its thread died, {}: {}".format(type(error).__name__, error)
            self._release(list(self._flushes))
            raise

    def _loop(self) -> None:
        self._try(self._create)
        while True:
            stopping = self._stop
            flushes = list(self._flushes)
            self._hurry = stopping or bool(flushes)
            if self._failure and time.monotonic() >= self._retry_at_s:
                self._try(self._recover)
            if not self._failure:
                self._try(self._write_all)
            if not self._failure:
                self._try(self._sync_if_due)
            self._release(flushes)
            if stopping:
                return
            self._bell.wait(self._patience_s())

    def _release(self, flushes: List[threading.Event]) -> None:
        for done in flushes:
            self._flushes.remove(done)
            done.set()

    def _patience_s(self) -> Optional[float]:
        """How long there is nothing to do; for ever, mostly."""
        until_s = self._retry_at_s if self._failure else self._synced_at_s + SYNC_S
        if not self._failure and not self._dirty:
            return None
        return max(0.0, until_s - time.monotonic())

    def _try(self, work: Any) -> None:
        """Do something that the disk may refuse, or hang in."""
        self._busy_since_s = time.monotonic()
        try:
            work()
            self._failure = ""
        except OSError as error:
            self._failure = error.strerror or str(error)
            self._retry_at_s = time.monotonic() + RETRY_S
        finally:
            self._busy_since_s = 0.0

    def _create(self) -> None:
        self._fd = self._disk.create(self._folder, self._about)
        self._events, self._measures = recorderformat.rings(self._about)

    def _recover(self) -> None:
        """Make the file that could not be made; or go on with ours, from where it failed."""
        if self._fd < 0:
            self._create()
        else:
            self._disk.sync(self._fd)

    def _write_all(self) -> None:
        if self._keep and not self._online:
            self._disk.mark_online(self._fd, self._about)
            self._online = self._dirty = True
        for _ in self._repeats.ended(time.monotonic()):
            pass                    # The log says how often, and what it says comes here.
        while self._queue:
            waiting = self._queue.popleft()
            lost, self._expected = waiting.serial - self._expected, waiting.serial + 1
            if lost > 0:
                self._missing += lost
            try:
                if lost > 0:
                    self._put(waiting, "lost", {"count": lost})
                if waiting.kind != "event" or self._is_fresh(waiting):
                    self._put(waiting, waiting.kind, waiting.content)
            except OSError:
                self._missing += 1
                raise

    def _is_fresh(self, waiting: _Waiting) -> bool:
        """Whether a message is no condition that was recorded within a minute."""
        message = waiting.content
        return (message.name not in self._messages or not self._messages[message.name].repeats
                or self._repeats.fresh(condition_of(message), waiting.mono_s))

    def _put(self, waiting: _Waiting, kind: str, content: Any) -> None:
        entry = self._entry(waiting, kind, content)
        ring = self._measures if kind == "measure" else self._events
        assert ring is not None
        self._dirty = True
        self._hurry = self._hurry or entry.level == "err"
        for offset, data in ring.place(recorderformat.encode_entry(entry)):
            self._disk.write(self._fd, offset, data)

    def _entry(self, waiting: _Waiting, kind: str, content: Any) -> Entry:
        name = level = ""
        fields = content
        if kind == "event":
            name, level = content.name, self._messages.level_of(content)
            fields = dict(content.fields)
        hosts = len(self._addresses)
        return Entry(
            kind=kind, wall_ms=int(waiting.wall_s * 1000), mono_ms=int(waiting.mono_s * 1000),
            incarnation=waiting.incarnation, name=name, level=level,
            fields=tuple((key, _plain(fields[key], hosts)) for key in sorted(fields)))

    def _sync_if_due(self) -> None:
        now_s = time.monotonic()
        if self._dirty and (self._hurry or now_s >= self._synced_at_s + SYNC_S):
            self._dirty = False
            self._synced_at_s = now_s
            self._disk.sync(self._fd)


def _plain(value: Any, hosts: int) -> Any:
    """A field's value as JSON has it: a number or a truth value, a list of these, else text."""
    if type(value) in (bool, int):
        return value
    if isinstance(value, list):
        return [_plain(item, hosts) for item in value]
    return catalogue.phrase(value, hosts)


def boot_id() -> str:
    """The kernel's name for this boot of the machine; "" where it gives none."""
    try:
        with open(_BOOT_ID, encoding="ascii") as stream:
            return stream.read().strip()
    except OSError:
        return ""
