"""What the threads of a simulated xhad share: its state, its clock, its ways to speak and to end.

The original, xhad, is a program of threads.  Each is a generator here: it yields how long it
sleeps, ms; less than 0, it sleeps so long at most, and looks whenever something happens.  Nothing
else takes time, so what others see of it, and when, is what the recorded conversations show.
"""

from typing import Callable, Iterator, List, Tuple

from xha import compose, hbformat, sfformat
from xha.actions import Log, Watchdog
from xha.config import Config
from xha.errors import ExitCode
from xha.hostset import MAX_HOSTS, HostIndex, HostSet
from xha.node import World
from xha.published import NEVER, FencingMode, LastWords, Phase, WatchdogMode
from xha.view import View

#: What a thread yields that waits for something to happen.
LOOKING = -1000
#: The heartbeats of a burst, and the time between two, in which the thread that asked for it
#: does nothing else.
BURST_COUNT = 3
BURST_SPACING_MS = 100
#: What it reads and writes of a host's record, and of the global record: bytes (spec 3).
RECORD_BYTES = 1024
GLOBAL_BYTES = 512

Thread = Iterator[int]


class Ended(Exception):
    """The daemon has ended, and with it all of its threads."""


class Sleeper:
    """A thread, and when it goes on."""

    __slots__ = ("_thread", "at_ms", "looks", "over")

    def __init__(self, thread: Thread, now_ms: int) -> None:
        self._thread = thread
        self.at_ms = now_ms
        #: It looks whenever something happens.
        self.looks = False
        #: It has ended.
        self.over = False

    def resume(self, now_ms: int) -> None:
        """Let it go on until it sleeps again."""
        pause_ms = next(self._thread, None)
        self.over = pause_ms is None
        self.looks = pause_ms is not None and pause_ms < 0
        self.at_ms = now_ms + abs(pause_ms or 0)


class Shared:
    """The state of one xhad.

    It knows no incarnation, no seal and no key: what it says is in the original's own bytes.
    """

    def __init__(self, settings: Config, world: World, weight: int) -> None:
        self.view = View(settings.common, HostIndex(settings.local.index), "",
                         WatchdogMode.UNKNOWN, weight)
        self.world = world
        self.sleepers = []  # type: List[Sleeper]
        self.born_at_ms = world.now_ms()
        #: A host of the liveset left a domain, or another host runs its fault handler.
        self.loss = False
        #: Accesses to the State-File are accelerated: by whoever said so last.
        self.accelerated = False
        #: Its record is written in each cycle.
        self.writes = False
        #: The lock is to be looked at: set by the lock's room.
        self.lock = lambda: None  # type: Callable[[], None]
        self.view.sent_at_ms = self.born_at_ms
        self._sequence = 0

    @property
    def now_ms(self) -> int:
        """This host's clock."""
        return self.world.now_ms()

    # ---- threads

    def spawn(self, thread: Thread) -> None:
        """Let a thread begin, at once."""
        self.sleepers.append(Sleeper(thread, self.now_ms))

    def run(self) -> int:
        """Let all threads go on that do not sleep; when the next one wants to."""
        now_ms = self.now_ms
        moved = True
        while moved:
            moved = False
            for sleeper in list(self.sleepers):
                due = sleeper.at_ms <= now_ms
                if due or sleeper.looks:
                    sleeper.resume(now_ms)
                    # What it did meanwhile may be what another waits for.
                    moved = moved or due or not sleeper.looks
            self.sleepers = [sleeper for sleeper in self.sleepers if not sleeper.over]
        return min(sleeper.at_ms for sleeper in self.sleepers)

    def until(self, condition: Callable[[], bool], deadline_ms: int = NEVER) -> Thread:
        """Sleep and look until a condition holds, or a deadline is over."""
        while not condition():
            left_ms = deadline_ms - self.now_ms
            if deadline_ms != NEVER and left_ms <= 0:
                break
            yield LOOKING if deadline_ms == NEVER else -left_ms

    def burst(self) -> Thread:
        """Three heartbeats; whoever asks for them waits for the last."""
        for left in reversed(range(BURST_COUNT)):
            self.send()
            if left:
                yield BURST_SPACING_MS

    def enter(self, phase: Phase) -> Thread:
        """Publish a phase."""
        self.view.enter(phase)
        return self.burst()

    def accelerate(self, reason: str, wanted: bool) -> Thread:
        """Ask all to access the State-File more often, or withdraw that."""
        self.view.set_accelerate(reason, wanted)
        self.accelerated = wanted
        return self.burst()

    # ---- bytes

    def send(self) -> None:
        """One heartbeat to every other host."""
        view = self.view
        self._sequence += 1
        said = compose.heartbeat(view, self.now_ms, self._sequence)
        datagram = hbformat.encode(said._replace(
            seal=None, since_heartbeat_ms=self._ages(said.since_heartbeat_ms),
            since_statefile_ms=self._ages(said.since_statefile_ms)), None)
        view.sent_at_ms = self.now_ms
        self.world.send(datagram)

    def record(self, sequence: int) -> bytes:
        """What it writes of its record: whatever stands behind that stays."""
        content = compose.host_record(self.view, self.now_ms, sequence)
        return sfformat.encode_host(content._replace(
            seal=None, since_heartbeat_ms=self._ages(content.since_heartbeat_ms),
            since_statefile_ms=self._ages(content.since_statefile_ms)))[:RECORD_BYTES]

    def _ages(self, ages: Tuple[int, ...]) -> Tuple[int, ...]:
        """Of hosts that are not configured it says 0."""
        count = len(self.view.peers)
        return ages[:count] + (0,) * (MAX_HOSTS - count)

    # ---- sets

    def lost(self, before: HostSet, after: HostSet) -> None:
        """A domain changed: whoever of the liveset left it is a loss."""
        if (before - after) & self.view.liveset:
            self.loss = True

    def set_heartbeat_domain(self, after: HostSet) -> None:
        """Change the heartbeat domain, and say so."""
        if after != self.view.heartbeat_domain:
            self.view.log("hb-domain-changed", liveset=self.view.picture(after))
            self.view.heartbeat_domain = after

    def set_statefile_domain(self, after: HostSet) -> None:
        """Change the State-File domain, and say so."""
        if after != self.view.statefile_domain:
            self.view.log("sf-domain-changed", liveset=self.view.picture(after))
            self.view.statefile_domain = after

    def lose_access(self, why: str) -> None:
        """Its State-File cannot be written, or read."""
        if self.view.statefile_access:
            self.view.log("statefile-lost", reason=why)
        self.view.statefile_access = False
        self.accelerated = False

    # ---- timers and ends

    def move(self, watchdog: Watchdog, timeout_ms: int) -> None:
        """Let a timer run for its whole time from now on."""
        if self.view.fencing is not FencingMode.DISARMED:
            self.world.set_watchdog(watchdog, self.now_ms + timeout_ms)

    def flush(self) -> None:
        """Say what was logged."""
        said, self.view.out = self.view.out, []
        for message in said:
            assert isinstance(message, Log)
            self.world.say(message)

    def fence(self, code: str, text: str) -> None:
        """Reset this host, if it is armed.  Raises Ended."""
        view = self.view
        if not view.armed:
            return
        view.log("self-fencing", code=code, reason=text)
        view.ended = True
        self.flush()
        self.world.fence(LastWords(
            code=code, text=text, at_wall_s=0, incarnation=0, liveset=view.liveset,
            heartbeat_domain=view.heartbeat_domain, statefile_domain=view.statefile_domain))
        raise Ended

    def end(self, code: ExitCode, text: str, closes: bool = True) -> None:
        """End the daemon; with ``closes`` its timers too.  Raises Ended."""
        view = self.view
        if closes:
            view.log("watchdogs-closed")
            self.world.close_watchdogs()
        else:
            view.log("watchdogs-left")
        if view.phase is Phase.STARTING and code is not ExitCode.SUCCESS:
            view.log("start-aborted", reason=text)
        view.log("terminated", code=int(code), reason=text)
        view.ended = True
        self.flush()
        self.world.end(code, text)
        raise Ended
