"""The shared disk, and each host's way to it.

A way does one job at a time, in order, as the thread that owns a host's
State-File does.  A job takes effect half-way between its issue and its
completion.  What was issued to a way that hangs waits; when the way is well
again it is done then: a late write of the past.  A "false write error" is said
of a write that was done; "lost writes" are confirmed, and were not.  What the
storage still holds of a process that has ended may land at any time after it.
"""

from collections import deque
from typing import Callable, Deque, Dict, List, NamedTuple, Optional, Set, Tuple, Union

from xha import sfformat
from xha.hostset import MAX_HOSTS
from xha.node import Completion
from xha.published import NEVER
from xha.simtimeline import Clock, Timeline

SECTION_BYTES = 4096
SECTOR_BYTES = 512
LATENCY_MS = 4
#: How long a refused access takes, ms.
REFUSAL_MS = 1

EIO = "Input/output error"

WELL = "well"
#: What may be wrong with a way; ``slow`` and ``torn`` are numbers of their own.
FAULTS = (WELL, "error", "read error", "write error", "false write error", "hang", "lost writes")


#: Of a reading: for each section its bytes, or the error that it gave.
_Sections = Tuple[Union[bytes, str], ...]


class Disk:
    """What the shared device holds: 65 sections."""

    def __init__(self, hosts: int, note: Callable[[bytes], None]) -> None:
        """``note`` is told of every section that is written: what a history's digest is of."""
        self.count = 1 + hosts
        self.note = note
        self.sections = [bytes(SECTION_BYTES)] * (1 + MAX_HOSTS)
        #: Sections that nobody can read.
        self.unreadable = set()  # type: Set[int]
        #: By section: what a process that has ended had written there last.
        self.left = {}  # type: Dict[int, bytes]

    def land_late(self, section: int) -> None:
        """The last write of a process that has ended lands once more."""
        if section in self.left:
            self.sections[section] = self.left[section]
            self.note(self.left[section])

    def damage(self, section: int, offset: int = 600, length: int = 40) -> None:
        """Flip every bit of a part of a section."""
        old = self.sections[section]
        rotten = bytes(byte ^ 0xFF for byte in old[offset:offset + length])
        self.sections[section] = old[:offset] + rotten + old[offset + length:]

    def read(self) -> _Sections:
        """All sections of the pool, or for each the error that it gives."""
        if not self.unreadable:
            return tuple(self.sections[:self.count])
        return tuple(EIO if index in self.unreadable else self.sections[index]
                     for index in range(self.count))


class Job(NamedTuple):
    """An access to the device."""

    kind: str
    section: int
    data: bytes
    expected: int


class Way:
    """One host's way to the disk, with the thread that goes it."""

    def __init__(self, timeline: Timeline, clock: Clock, disk: Disk,
                 done: Callable[[Completion], None]) -> None:
        self._timeline = timeline
        self._clock = clock
        self._disk = disk
        self._done = done
        self._jobs = deque()  # type: Deque[Job]
        self._busy = False
        # Changes when the thread's process ends: what it had issued is nobody's any more.
        self._life = 0
        self._waiting = []  # type: List[Tuple[int, Job, int]]
        self.fault = WELL
        #: ms that each access takes beyond ``LATENCY_MS``.
        self.slow_ms = 0
        #: Sectors of the next write that reach the disk; the rest, and the answer, do not.
        self.torn_after = None  # type: Optional[int]
        #: The thread does not run: nothing is issued, nothing is noticed.
        self.paused = False
        self._unnoticed = []  # type: List[Tuple[Job, int, str, _Sections, int]]
        #: Issue of the last write of its own record that the disk took, on the host's clock: what
        #: a State-File timer may be counted from.  NEVER: none.
        self.proven_ms = NEVER
        # The section of its own record, and what was written there last.
        self._wrote = None  # type: Optional[Tuple[int, bytes]]

    @property
    def pending(self) -> bool:
        """Whether a job was handed in and is not done."""
        return self._busy or bool(self._jobs)

    def submit(self, job: Job) -> None:
        """Hand a job in."""
        self._jobs.append(job)
        self._next()

    def abandon(self) -> None:
        """The process has ended; an access that hangs is forgotten by the kernel too."""
        if self._wrote is not None:
            self._disk.left.update([self._wrote])
            self._wrote = None
        self._life += 1
        self._jobs.clear()
        self._busy = False
        self._waiting = []
        self._unnoticed = []
        self.paused = False
        self.proven_ms = NEVER

    def set_fault(self, fault: str) -> None:
        """Change what is wrong; what has waited for a hanging way is done when it is not."""
        assert fault in FAULTS, fault
        self.fault = fault
        if fault != "hang":
            waiting, self._waiting = self._waiting, []
            for issued_at_ms, job, life in waiting:
                self._effect(job, issued_at_ms, 0, life)

    def resume(self) -> None:
        """The thread runs again; it notices now what was done meanwhile."""
        self.paused = False
        unnoticed, self._unnoticed = self._unnoticed, []
        for done in unnoticed:
            self._complete(*done)
        self._next()

    def _next(self) -> None:
        if self._busy or self.paused or not self._jobs:
            return
        self._busy = True
        half_ms = (LATENCY_MS + self.slow_ms) // 2
        self._timeline.after(half_ms, self._effect, self._jobs.popleft(), self._clock.now_ms(),
                             half_ms, self._life)

    def _effect(self, job: Job, issued_at_ms: int, rest_ms: int, life: int) -> None:
        if life != self._life:
            return
        if self.fault == "hang":
            self._waiting.append((issued_at_ms, job, life))
            return
        error = ""
        sections = ()  # type: _Sections
        if self.fault != WELL and self.fault in (
                "error", job.kind.replace("replace", "write") + " error"):
            error = EIO
        elif job.kind == "read":
            sections = self._disk.read()
        else:
            error = self._put(job, issued_at_ms)
        self._timeline.after(rest_ms, self._complete, job, issued_at_ms, error, sections, life)

    def _put(self, job: Job, issued_at_ms: int) -> str:
        old = self._disk.sections[job.section]
        if job.kind == "replace" and sfformat.fingerprint(old) != job.expected:
            return "the section has changed meanwhile"
        if self.fault == "lost writes":
            # Spec 3 assumes that storage does not lie: the timers believe it.
            self._prove(job, issued_at_ms)
            return ""
        # An xhad writes the beginning of a section; what stands behind it stays.
        data = job.data + old[len(job.data):]
        if self.torn_after is not None:
            whole = self.torn_after * SECTOR_BYTES
            self._disk.sections[job.section] = data[:whole] + old[whole:]
            self.torn_after = None
            return EIO
        self._disk.sections[job.section] = data
        self._disk.note(job.data)
        if job.kind == "write" and job.section:
            self._wrote = (job.section, data)
        self._prove(job, issued_at_ms)
        return EIO if self.fault == "false write error" else ""

    def _prove(self, job: Job, issued_at_ms: int) -> None:
        if job.kind == "write" and job.section:
            self.proven_ms = max(self.proven_ms, issued_at_ms)

    def _complete(self, job: Job, issued_at_ms: int, error: str, sections: _Sections,
                  life: int) -> None:
        if life != self._life:
            return
        if self.paused:
            self._unnoticed.append((job, issued_at_ms, error, sections, life))
            return
        self._busy = False
        self._done(Completion(
            kind=job.kind, section=job.section, issued_at_ms=issued_at_ms,
            completed_at_ms=self._clock.now_ms(), error=error, sections=sections))
        self._next()
