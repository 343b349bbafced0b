"""The State-File thread of a simulated xhad.

It looks at its clock twice a second, so a cycle comes t2 or t2 + 0.5 s after the last one, and
an accelerated one after 0.5 s.  Where it differs from ours:

* its State-File timer is moved at the *start* of a cycle, before what it writes is on the disk,
  while the last cycle was good or survival rule 2 holds;
* one section that is bad, whosever it is, makes the whole reading bad;
* its first write repeats the sequence that it found;
* a change of the global record is forgotten once it was written, not when it is read;
* hosts leave the State-File domain when this thread looks, not in between.
"""

from typing import Callable, List, Optional, Union

from xha import sfformat
from xha.actions import Watchdog
from xha.errors import ExitCode, FormatError
from xha.hostset import HostSet
from xha.node import Completion
from xha.published import NEVER, GlobalRecord, HostRecord, PoolState
from xha.sealformat import RECORD_BYTES as SECTION_BYTES
from xha.simxhadshared import GLOBAL_BYTES, LOOKING, RECORD_BYTES, Shared, Thread
from xha.view import Peer

#: How often the thread looks whether something is due, ms.
TICK_MS = 500
#: A reading is tried so often, so long apart.
TRIES = 3
RETRY_MS = 1000


class Disk:
    """The State-File as an xhad sees it."""

    def __init__(self, shared: Shared, delays: Callable[[], bool]) -> None:
        """``delays``: draws whether a cycle comes a look later than it might."""
        self._shared = shared
        self._view = shared.view
        self._delays = delays
        self._sequence = 0
        self._done = None  # type: Optional[Completion]
        #: What the global record is to say.
        self.wanted_state = PoolState.NONE
        self.wanted_master = ""
        #: Called with each good reading.
        self.readers = []  # type: List[Callable[[], None]]
        #: Records written since the daemon began.
        self.writes = 0

    def begin(self) -> None:
        """Start the threads."""
        self._shared.spawn(self._run())
        self._shared.spawn(self._watch())

    def completed(self, done: Completion) -> None:
        """An access ended."""
        self._done = done

    # ---- the threads

    def _watch(self) -> Thread:
        """See who advances, also while an access does not end."""
        while True:
            yield TICK_MS
            self.look()

    def _run(self) -> Thread:
        shared = self._shared
        began_ms = shared.now_ms
        due_ms = began_ms + self._interval_ms()
        while True:
            yield TICK_MS
            now_ms = shared.now_ms
            if now_ms < due_ms and not (shared.accelerated and self._view.statefile_access
                                        and now_ms >= began_ms + TICK_MS):
                continue
            began_ms = now_ms
            yield from self._cycle()
            # Half a tick of tolerance: accesses take their time, looks are a grid.
            due_ms = began_ms + self._interval_ms() - TICK_MS // 2

    def _interval_ms(self) -> int:
        delay_ms = TICK_MS if self._delays() else 0
        return self._view.common.statefile_interval_ms + delay_ms

    def _cycle(self) -> Thread:
        shared, view = self._shared, self._view
        written = True
        if shared.writes:
            if view.statefile_access or view.sr2:
                shared.move(Watchdog.STATEFILE, view.common.statefile_watchdog_timeout_ms)
            shared.world.write(1 + view.me, shared.record(self._sequence))
            yield from self._answer()
            assert self._done is not None
            written = not self._done.error
            if written:
                self._sequence = (self._sequence + 1) & 0xFFFFFFFF
                self.writes += 1
            else:
                if view.statefile_access:
                    view.log("statefile-write-failed", reason=self._done.error)
                shared.lose_access("write: " + self._done.error)
        problem = ""
        for left in reversed(range(TRIES)):
            shared.world.read()
            yield from self._answer()
            assert self._done is not None
            problem = self._take(self._done)
            if not problem:
                break
            if left:
                yield RETRY_MS
        if problem:
            shared.lose_access("read: " + problem)
        else:
            yield from self._good(written)

    def _answer(self) -> Thread:
        self._done = None
        while self._done is None:
            yield LOOKING

    def _good(self, written: bool) -> Thread:
        shared, view = self._shared, self._view
        if written and not view.statefile_access:
            view.log("statefile-regained" if shared.writes else "statefile-first-access")
            view.statefile_access = True
        self.look()
        found = view.global_record
        assert found is not None
        if found.pool_state is PoolState.INVALID:
            shared.end(ExitCode.INVALID_POOL_STATE, "the pool state is invalid")
        state = PoolState(max(found.pool_state, self.wanted_state))
        if view.online and state < PoolState.ACTIVE:
            shared.end(ExitCode.INVALID_POOL_STATE, "the pool state went back")
        master = self.wanted_master or found.master
        if (state, master) != (found.pool_state, found.master):
            content = found._replace(pool_state=state, master=master, pool_key=None, seal=None)
            shared.world.write(0, sfformat.encode_global(content)[:GLOBAL_BYTES])
            yield from self._answer()
            assert self._done is not None
            if not self._done.error:
                self.wanted_state, self.wanted_master = PoolState.NONE, ""
        for reader in self.readers:
            reader()

    # ---- what a reading says

    def _take(self, done: Completion) -> str:
        """Take a reading over; what is wrong with it, "" for nothing."""
        view = self._view
        if done.error:
            return done.error
        try:
            found = sfformat.decode_global(_base(done.sections[0], GLOBAL_BYTES))
            records = [sfformat.decode_host(_base(data, RECORD_BYTES))
                       for data in done.sections[1:]]
        except FormatError as error:
            view.statefile_corrupted = True
            return str(error)
        if found.generation_uuid != view.common.generation_uuid:
            self._shared.end(ExitCode.GENERATION_MISMATCH, "the State-File is of another pool",
                             closes=not view.armed)
        view.statefile_corrupted = False
        self._take_global(found)
        first = view.reading_completed_at_ms == NEVER
        for peer, content in zip(view.peers, records):
            self._take_record(peer, content, done.completed_at_ms)
        view.reading_issued_at_ms = done.issued_at_ms
        view.reading_completed_at_ms = done.completed_at_ms
        if first:
            own = records[view.me]
            self._sequence, view.excluded = own.sequence, own.excluded
        return ""

    def _take_global(self, found: GlobalRecord) -> None:
        view = self._view
        before = view.global_record
        if before is None or before.pool_state is not found.pool_state:
            view.log("pool-state-changed", state=found.pool_state.name.lower())
        if before is not None and before.master != found.master:
            view.log("master-changed", uuid=found.master)
        view.global_record = found

    def _take_record(self, peer: Peer, content: HostRecord, now_ms: int) -> None:
        """A record; of a host that starts anew, while its old instance is in the liveset, the
        contents count and the advance does not."""
        view = self._view
        before, peer.record = peer.record, content
        if before is None or content.sequence == before.sequence:
            return
        if (peer.index != view.me and peer.index in view.liveset
                and peer.index not in content.current_liveset):
            return
        peer.advanced_at_ms = now_ms

    def look(self) -> None:
        """See whose record advances."""
        shared, view = self._shared, self._view
        before = view.statefile_domain
        after = HostSet(
            peer.index for peer in view.peers
            if (peer.index in before or not view.join_blocked)
            and peer.advanced_at_ms != NEVER
            and shared.now_ms - peer.advanced_at_ms < view.common.statefile_timeout_ms)
        if view.me in before and view.me not in after:
            shared.lose_access("my own record has not advanced for too long")
        if not view.sr2:
            shared.lost(before, after)
        shared.set_statefile_domain(after)


def _base(data: Union[bytes, str], length: int) -> bytes:
    """The part of a section that it reads.  FormatError: it could not be read."""
    if isinstance(data, str):
        raise FormatError(data)
    return data[:length].ljust(SECTION_BYTES, b"\0")
