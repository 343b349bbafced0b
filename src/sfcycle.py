"""The State-File cycle: when to write and read, and what a reading means.

Theory of operation
===================

One cycle: write my record, read everything, judge, and if the global record
is to change, write that.  It is paced by its start, so a slow disk makes it
longer, never busier.  The cycle never waits: an operation that hangs is an
answer that does not come, my record does not advance, and the timer runs out.

Whose trouble is what: the device, the global record (while this host does not
know it yet) and my own section are mine, and are tried again, up to 3 times,
1 s apart.  Another host's bad section is that host's alone: read once more at
once, then shown as bad and left; its last good content stays.

Source: spec 3, "Reading and writing in the daemon: one cycle".
"""

import enum
from typing import Callable, Tuple

from xha import actions, compose, sfrecords, timing
from xha.domains import Domains
from xha.errors import ExitCode
from xha.fencing import Fencing
from xha.globalrecord import GlobalChanges
from xha.published import NEVER, Fault, GlobalRecord, Reading
from xha.stall import Stall
from xha.view import Peer, View

#: Readings tried before the device counts as not readable, and the time between them.
MAX_TRIES = 3
RETRY_MS = 1000


@enum.unique
class State(enum.Enum):
    """What the cycle waits for."""

    IDLE = "idle"
    WRITING = "writing"
    READING = "reading"
    RETRYING = "retrying"
    WRITING_GLOBAL = "writing-global"


class Cycle:
    """This host's State-File cycle."""

    __slots__ = ("_view", "_domains", "_fencing", "_stall", "_changes", "_composed", "_written",
                 "_first_reading", "_good_reading", "_state", "_started_at_ms", "_next_at_ms",
                 "_retry_at_ms", "_tries", "_reread", "_sequence", "_write_good", "_offset_ms",
                 "_hurries", "_hurried_at_ms",
                 "_born_at_ms", "_wall_s", "_write_error", "latency_ms", "writing_enabled")

    def __init__(self, view: View, domains: Domains, fencing: Fencing, stall: Stall,
                 changes: GlobalChanges, composed: Callable[[], None],
                 written: Callable[[int], None], first_reading: Callable[[int], None],
                 good_reading: Callable[[int, Reading], None], born_at_ms: int,
                 wall_s: int, offset_ms: Callable[[], int]) -> None:
        """Make a cycle that begins with a reading at once.

        Args:
            composed, written: called when my record is composed, and when it was written
                (with the completion's instant).
            first_reading, good_reading: called after a good reading was taken in.
            born_at_ms: now.
            wall_s: seconds since the epoch, the least incarnation (spec 3, seal).
            offset_ms: draws the offset of a cycle, within +-``timing.CYCLE_OFFSET_MS``, so
                that hosts do not beat together.
        """
        self._view = view
        self._domains = domains
        self._fencing = fencing
        self._stall = stall
        self._changes = changes
        self._composed = composed
        self._written = written
        self._first_reading = first_reading
        self._good_reading = good_reading
        self._state = State.IDLE
        self._started_at_ms = born_at_ms
        self._next_at_ms = born_at_ms
        # The next cycle cannot wait; and when the last one of that kind began.
        self._hurries = False
        self._hurried_at_ms = NEVER
        self._retry_at_ms = NEVER
        self._tries = 0
        self._reread = False
        self._sequence = 0
        self._write_good = True
        self._write_error = ""
        self._born_at_ms = born_at_ms
        self._wall_s = wall_s
        self._offset_ms = offset_ms
        #: From the issue of the write to the completion of the reading, ms.
        self.latency_ms = NEVER
        #: Writing begins with the first good reading and ends with the daemon's membership.
        self.writing_enabled = False

    # ---- time

    def step(self, now_ms: int, news: bool = True) -> None:
        """Begin what is due; without ``news`` nobody's wish to accelerate has changed."""
        view = self._view
        if view.ended:
            return
        if news:
            self._choose_pace()
        if self._state is State.RETRYING and now_ms >= self._retry_at_ms:
            self._read()
        if self._state is State.IDLE:
            due_ms = self._next_at_ms
            if view.accelerated:
                due_ms = min(due_ms, self._started_at_ms + timing.ACCELERATED_CYCLE_MS)
            if now_ms >= due_ms:
                self._begin(now_ms)
            else:
                view.wake(due_ms)
        if self._state is State.RETRYING:
            view.wake(self._retry_at_ms)
        if view.incarnation == 0:
            self._check_start(now_ms)

    def _choose_pace(self) -> None:
        view = self._view
        accelerated = view.statefile_access and (bool(view.accelerate_reasons) or any(
            self._asks(view.peers[host]) for host in view.heartbeat_domain))
        if accelerated != view.accelerated:
            view.accelerated = accelerated
            view.log("statefile-accelerated", accelerated="yes" if accelerated else "no")

    def soon(self) -> None:
        """Begin the next cycle at the next step, but so hurried only once in 0.4 s.

        What this host wants to see on the disk may never come to be there: it asks again at
        the pace of an accelerated cycle, not at that of the disk.
        """
        earliest_ms = self._hurried_at_ms + timing.ACCELERATED_CYCLE_MS
        if self._hurried_at_ms != NEVER and self._started_at_ms < earliest_ms:
            self._next_at_ms = min(self._next_at_ms, earliest_ms)
        else:
            self._next_at_ms = self._started_at_ms
        self._hurries = True

    def last_words(self, now_ms: int) -> None:
        """Write my record once more, if the disk answers: what is to be known of my end."""
        if self.writing_enabled:  # unreached: who fences is armed, and writes
            self._view.emit(actions.WriteRecord(
                content=compose.host_record(self._view, now_ms, self._sequence + 1)))

    def _asks(self, peer: Peer) -> bool:
        return (peer.index != self._view.me and peer.heartbeat is not None
                and peer.heartbeat.accelerate)

    def _begin(self, now_ms: int) -> None:
        if self._hurries:
            self._hurries = False
            self._hurried_at_ms = now_ms
        self._started_at_ms = now_ms
        offset_ms = self._offset_ms()
        assert abs(offset_ms) <= timing.CYCLE_OFFSET_MS, offset_ms
        self._next_at_ms = now_ms + self._view.common.statefile_interval_ms + offset_ms
        self._tries = 0
        self._reread = False
        if self.writing_enabled:
            self._state = State.WRITING
            self._composed()
            # Counted whether it succeeds or not: one that was refused may have reached the disk,
            # and peers would not notice the next one, which moves the timer, as an advance.
            self._sequence += 1
            content = compose.host_record(self._view, now_ms, self._sequence)
            self._view.emit(actions.WriteRecord(content=content))
        else:
            self._read()

    def _read(self) -> None:
        self._state = State.READING
        self._tries += 1
        self._view.emit(actions.ReadStateFile())

    def _check_start(self, now_ms: int) -> None:
        """A daemon that cannot read the State-File at all does not start."""
        until_ms = self._born_at_ms + self._view.common.statefile_timeout_ms
        if now_ms >= until_ms:
            self._fencing.abort(ExitCode.STATEFILE_INACCESSIBLE,
                                "the State-File does not answer")
        else:
            self._view.wake(until_ms)

    # ---- answers

    def record_written(self, issued_at_ms: int, completed_at_ms: int, error: str) -> None:
        """The write of my record ended."""
        view = self._view
        assert self._state is State.WRITING, self._state
        if error:
            if error != self._write_error:
                view.log("statefile-write-failed", reason=error)
            self._domains.lose_access(completed_at_ms, "write: " + error)
        else:
            self._fencing.record_written(issued_at_ms)
            self._written(completed_at_ms)
            took_ms = completed_at_ms - issued_at_ms
            limit_ms = view.common.statefile_watchdog_timeout_ms
            if timing.approaching(took_ms, limit_ms):
                view.log("statefile-write-late", ms=took_ms, limit_ms=limit_ms)
        self._write_error = error
        self._write_good = not error
        self._note_slow("write", completed_at_ms - issued_at_ms)
        self._read()

    def _note_slow(self, access: str, took_ms: int) -> None:
        """Say that an access took longer than the State-File interval."""
        if took_ms > self._view.common.statefile_interval_ms:
            self._view.log("statefile-slow", access=access, ms=took_ms)

    def global_written(self, error: str) -> None:
        """The write of the global record ended; a later reading will show it, or not."""
        assert self._state is State.WRITING_GLOBAL, self._state
        if error:
            self._view.log("statefile-write-failed", reason="global record: " + error)
        self._state = State.IDLE

    def read(self, reading: Reading) -> None:
        """A reading ended: judge it."""
        assert self._state is State.READING, self._state
        self._note_slow("read", reading.completed_at_ms - reading.issued_at_ms)
        problem, code = self._judge(reading)
        if self._view.ended:
            return  # unreached: no story writes another version or generation
        if problem or self._own_unreadable(reading):
            if self._tries < MAX_TRIES:
                self._state = State.RETRYING
                self._retry_at_ms = reading.completed_at_ms + RETRY_MS
                return
        elif not self._reread and self._newly_bad(reading):
            self._reread = True
            self._tries -= 1
            self._read()
            return
        self._state = State.IDLE
        if problem:
            self._not_readable(reading.completed_at_ms, problem, code)
        else:
            self._take_in(reading)

    # ---- judging

    def _judge(self, reading: Reading) -> Tuple[str, ExitCode]:
        """What makes the whole reading bad, "" for nothing, and the exit code at a start."""
        view = self._view
        if reading.error:
            return reading.error, ExitCode.STATEFILE_INACCESSIBLE
        section = reading.global_section
        assert section is not None
        if section.fault is Fault.VERSION:
            # unreached: no story writes another version
            view.log("statefile-version-mismatch", found=section.text, expected="2")
            self._fencing.leave(ExitCode.INVALID_STATEFILE, section.text)
        elif section.fault is Fault.UNREADABLE:
            # unreached: a story makes sections of hosts unreadable, not the global record
            return "global record: " + section.text, ExitCode.STATEFILE_INACCESSIBLE
        elif section.fault is Fault.CORRUPT:
            if view.global_record is None:
                return "global record: " + section.text, ExitCode.INVALID_STATEFILE
        else:
            found = section.content
            assert isinstance(found, GlobalRecord)
            if found.generation_uuid != view.common.generation_uuid:
                # unreached: no story writes another generation
                view.log("statefile-generation-mismatch", found=found.generation_uuid,
                         expected=view.common.generation_uuid)
                self._fencing.leave(
                    ExitCode.GENERATION_MISMATCH,
                    "the State-File is of generation {}, not {}".format(
                        found.generation_uuid, view.common.generation_uuid))
        return "", ExitCode.SUCCESS

    def _own_unreadable(self, reading: Reading) -> bool:
        return (not reading.error
                and reading.host_sections[self._view.me].fault is Fault.UNREADABLE)

    def _newly_bad(self, reading: Reading) -> bool:
        """Whether a section is bad that was not known to be: worth one more look at once."""
        view = self._view
        for index, section in enumerate(reading.host_sections):
            peer = view.peers[index]
            if section.fault is not Fault.NONE and peer.bad_since_ms == NEVER:
                return True
        assert reading.global_section is not None
        return reading.global_section.fault is not Fault.NONE and not view.global_corrupted

    def _not_readable(self, now_ms: int, problem: str, code: ExitCode) -> None:
        view = self._view
        if view.incarnation == 0:
            self._fencing.abort(code, "State-File: " + problem)
            return
        self._domains.lose_access(now_ms, "read: " + problem)
        view.statefile_corrupted = code is ExitCode.INVALID_STATEFILE

    # ---- taking in

    def _take_in(self, reading: Reading) -> None:
        view = self._view
        now_ms = reading.completed_at_ms
        first = view.incarnation == 0
        self._stall.read(view.reading_completed_at_ms, reading.issued_at_ms, now_ms)
        view.reading_issued_at_ms = reading.issued_at_ms
        view.reading_completed_at_ms = now_ms
        self.latency_ms = now_ms - (reading.issued_at_ms if first else self._started_at_ms)
        if sfrecords.take(view, reading):
            # My own record is not what I wrote last: write it again.
            self.soon()
        if first:
            self._begin_life(now_ms)
        view.statefile_corrupted = False
        # A host that the running fault handler keeps out of the State-File domain has no access
        # either: with access but outside, neither survival rule would hold for it.
        comes_in = not view.frozen and view.peers[view.me].advanced_at_ms == now_ms
        shut_out = (view.join_blocked and view.me not in view.statefile_domain
                    and not comes_in)
        if self._write_good and not view.statefile_access and not shut_out:
            view.log("statefile-first-access" if first else "statefile-regained")
            view.statefile_access = True
            view.without_access_at_ms = now_ms
        self._good_reading(now_ms, reading)

    def write_global(self, content: GlobalRecord, expected: int = 0) -> None:
        """Write the global record before the next cycle begins."""
        assert self._state is State.IDLE, self._state
        self._state = State.WRITING_GLOBAL
        self._view.emit(actions.WriteGlobal(content=content, expected=expected))

    def _begin_life(self, now_ms: int) -> None:
        """The first good reading: who I was, and from which number on I speak."""
        view = self._view
        me = view.peers[view.me]
        if me.record is not None:
            self._sequence = me.record.sequence
            view.excluded = me.record.excluded
        seen = [peer.record.seal.incarnations_seen[view.me] for peer in view.peers
                if peer.index != view.me and peer.record is not None
                and peer.record.seal is not None]
        view.incarnation = max([self._wall_s, me.incarnation + 1] + [one + 1 for one in seen])
        me.incarnation = view.incarnation
        self.writing_enabled = True
        self.soon()
        self._first_reading(now_ms)
