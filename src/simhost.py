"""A virtual host: a machine with two watchdogs, on which a real core may run.

The machine is up or down.  Its watchdogs are the hypervisor's: they run on
when the daemon is paused or gone, and reset the machine at the instant that
was set, or as much later as a real one may (``reset_ms``).  A machine that is
frozen as a whole does nothing, its timers included: those that ran out
meanwhile reset it before anything else when it thaws.  The daemon turns like
the real one: every datagram that waits, every access that ended, then a tick.
"""

import abc
from collections import deque
from typing import Any, Callable, Deque, Dict, List, Optional, Tuple, Union

from xha import actions, events, timing
from xha.actions import Watchdog
from xha.config import Config
from xha.errors import ExitCode
from xha.membership import Membership
from xha.node import Completion, Decoders, Node, World
from xha.published import NEVER, LastWords, WatchdogMode
from xha.simdisk import Disk, Job, Way
from xha.simtimeline import Clock, Timeline
from xha.simtimers import Timers
from xha.simxhad import Xhad
from xha.view import View

#: Datagrams that a socket holds for a daemon that does not take them.
SOCKET_HOLDS = 200
#: The loop turns at least this often, ms.
LONGEST_TURN_MS = 1000
#: Heartbeats that are kept, to be replayed.
PAST_DATAGRAMS = 24
#: How long a fence waits for the last words to reach the disk, ms.
LAST_WORDS_MS = 150
#: The wall clock, when the world began: seconds since the epoch.
EPOCH_S = 1700000000

SOFTWARE = "xha sim"
_TICK = events.Tick()


class Watcher(abc.ABC):
    """Who is told what a host does."""

    @abc.abstractmethod
    def carry(self, sender: int, datagram: bytes) -> None:
        """Carry a datagram to every other host."""

    @abc.abstractmethod
    def tell(self, host: "Host", kind: str, content: Any) -> None:
        """Take down what an operator would see: a kind of entry, and its content."""

    @abc.abstractmethod
    def turned(self, host: "Host") -> None:
        """The host's core may have changed."""

    @abc.abstractmethod
    def timer_moved(self, host: "Host", watchdog: Watchdog, expires_at_ms: int) -> None:
        """A timer is to expire at this instant of the host's clock."""

    @abc.abstractmethod
    def went_down(self, host: "Host", why: str) -> None:
        """The machine was reset, or its power failed."""


class Host(World):
    """One host of the pool."""

    def __init__(self, timeline: Timeline, settings: Config, disk: Disk, clock: Clock,
                 watcher: Watcher, draw: Callable[[], float], decoders: Decoders) -> None:
        """Make a machine that is up, with no daemon.

        Args:
            draw: a number in [0, 1), of this host's own: what it does by chance.
        """
        self._decoders = decoders
        self.index = int(settings.local.index)
        self.clock = clock
        self._timeline = timeline
        self._settings = settings
        self._watcher = watcher
        self._draw = draw
        self.way = Way(timeline, clock, disk, self._completed)
        #: The machine has the original's daemon, not ours.
        self.runs_xhad = False
        self.node = None  # type: Optional[Union[Node, Xhad]]
        #: The machine runs.
        self.up = True
        #: The daemon said that peers may count on its reset, and has not taken that back.
        self.guarded = False
        #: The daemon does not run.
        self.paused = False
        self.timers = Timers(timeline, clock, self._expire)
        self.weight = 1
        #: What the wall clock is wrong by, ms.
        self.wall_offset_ms = 0
        #: Refuse to move timers.
        self.watchdog_fails = False
        #: Errors of sending, by receiver.
        self.send_errors = ()  # type: Tuple[Tuple[int, str], ...]
        #: Issue of the last heartbeats, on this host's clock.
        self.sent_at_ms = NEVER
        #: Its last heartbeats, of earlier instances too, and when they were sent: to be replayed.
        self.past_datagrams = deque(maxlen=PAST_DATAGRAMS)  # type: Deque[Tuple[bytes, int]]
        #: By sender: when the last of its heartbeats that were taken in was sent, on the sender's
        #: clock.  What evidence of survival rule 2 can be counted from at most: what an instance
        #: that is gone had heard, it had heard.
        self.heard = {}  # type: Dict[int, int]
        self._life = 0
        self._dying = False
        self._inbox = []  # type: List[Tuple[bytes, str, int, int]]
        self._completions = []  # type: List[Completion]
        self._delayed = []  # type: List[events.Event]
        self._toolstack_failed = False
        self._turn_at_ms = NEVER
        self._ticket = 0
        self._asked = {}  # type: Dict[int, str]

    # ---- what is done to a host

    def start(self) -> None:
        """Start the daemon, as ha_start_daemon would; a machine that is down boots first."""
        self.up = True
        if self.node is not None:
            self._watcher.tell(self, "refused", "a daemon runs")
            return
        if self.guarded and not self.runs_xhad:
            # Spec 7, and not so the original: timers of a daemon that died armed are not touched.
            self._watcher.tell(
                self, "refused", "the timers of a daemon that died armed are running")
            return
        self.timers.stop()
        self.guarded = False
        self.node = self._daemon()
        self._dying = False
        self._wake(self._timeline.now_ms)

    def _daemon(self) -> Union[Node, Xhad]:
        if self.runs_xhad:
            return Xhad(self._settings, self, self.weight, self._offset_ms)
        core = Membership(
            self._settings.common, self.index, self.now_ms(), self.wall_ms() // 1000, SOFTWARE,
            WatchdogMode.HYPERVISOR, self.weight, self._offset_ms)
        return Node(self._settings, core, self, self._decoders)

    def crash(self) -> None:
        """The power fails."""
        if self.up:
            self._down()
            self._watcher.tell(self, "crashed", "")
            self._watcher.went_down(self, "crashed")

    def kill(self) -> None:
        """The daemon dies; its timers run on."""
        if self.node is not None and not self.timers.frozen:
            self._end_daemon()
            self._watcher.tell(self, "killed", "")

    def pause(self) -> None:
        """The daemon does not run, and takes nothing in; its timers run on."""
        self.paused = True
        self.way.paused = True

    def freeze(self) -> None:
        """The machine as a whole does not run."""
        if self.up:
            self.timers.frozen = True
            self.pause()

    def resume(self) -> None:
        """Machine and daemon run again, and find what came meanwhile: expired timers first."""
        if self.timers.frozen:
            overdue = self.timers.thaw()
            if overdue is not None:
                self._expire(overdue)
                return
        if self.paused:
            self.paused = False
            self.way.resume()
            delayed, self._delayed = self._delayed, []
            for event in delayed:
                self.take(event)
            self._wake(self._timeline.now_ms)

    def stop(self) -> None:
        """SIGTERM to the daemon."""
        self.take(events.StopRequested())

    def ask(self, event: Callable[[int], events.Event], what: str) -> None:
        """A client's request; its answer is told."""
        if self.node is None:
            self._watcher.tell(self, "answered", what + ": no daemon")
            return
        self._ticket += 1
        self._asked[self._ticket] = what
        self.take(event(self._ticket))

    def take(self, event: events.Event) -> None:
        """Let something happen to the core at once, or when the daemon runs again."""
        if self.paused:
            self._delayed.append(event)
        elif self.node is not None and not self._dying:
            self.node.step(event)
            self._after_turn()

    def toolstack_fails(self, fails: bool, announce_ms: int) -> None:
        """The monitor of xapi gives up, or is content again.

        What lasts for ``announce_ms`` after it was announced ends in a fence (spec 8).
        """
        self._toolstack_failed = fails
        self.take(events.XapiChanged(restart_at_ms=self.now_ms() if fails else NEVER,
                                     error="xapi does not answer" if fails else ""))
        if fails:
            self._timeline.after(announce_ms, self._toolstack_given_up, self._life)

    def _toolstack_given_up(self, life: int) -> None:
        if life == self._life and self._toolstack_failed:
            self.take(events.FenceRequested(code="xapi-failed",
                                            text="xapi does not answer and cannot be restarted"))

    def deliver(self, datagram: bytes, source: str, sender: int, sent_at_ms: int) -> None:
        """A datagram arrives at the socket.

        ``sent_at_ms``: on the clock of its true ``sender``, which may be another than it claims.
        """
        if self.node is not None and len(self._inbox) < SOCKET_HOLDS:
            self._inbox.append((datagram, source, sender, sent_at_ms))
            self._wake(self._timeline.now_ms)

    # ---- what it is

    @property
    def view(self) -> Optional[View]:
        """What the core knows, while a daemon runs."""
        return self.node.core.view if self.node is not None else None

    @property
    def dangerous(self) -> bool:
        """Whether virtual machines may run here that others count on being reset."""
        if not self.up or not self.guarded:
            return False
        # Frozen beyond its time it will never run again.
        return not self.timers.frozen or self.timers.overdue() is None

    # ---- the daemon's loop

    def _offset_ms(self) -> int:
        return int(self._draw() * (2 * timing.CYCLE_OFFSET_MS + 1)) - timing.CYCLE_OFFSET_MS

    def _wake(self, at_ms: int) -> None:
        """Turn at ``at_ms`` of the world, or before."""
        if self._turn_at_ms != NEVER and self._turn_at_ms <= at_ms:
            return
        self._turn_at_ms = at_ms
        self._timeline.at(at_ms, self._turn, at_ms, self._life)

    def _turn(self, due_ms: int, life: int) -> None:
        if life != self._life or due_ms != self._turn_at_ms:
            return
        self._turn_at_ms = NEVER
        if self.node is None or self.paused or self._dying:
            return
        node = self.node
        if self._inbox:
            inbox, self._inbox = self._inbox, []
            for datagram, source, sender, sent_at_ms in inbox:
                self.heard[sender] = max(sent_at_ms, self.heard.get(sender, NEVER))
                node.datagram(datagram, source, self.now_ms())
        if self._completions:
            completions, self._completions = self._completions, []
            for completion in completions:
                node.completed(completion)
        node.step(_TICK)
        self._after_turn()

    def _after_turn(self) -> None:
        self._watcher.turned(self)
        if self.node is None or self._dying:
            return
        wake_at_ms = self.node.core.wake_at_ms
        now_ms = self._timeline.now_ms
        turn_at_ms = now_ms + LONGEST_TURN_MS
        if wake_at_ms != NEVER:
            turn_at_ms = min(max(self.clock.true_ms(wake_at_ms), now_ms + 1), turn_at_ms)
        self._wake(turn_at_ms)

    def _completed(self, completion: Completion) -> None:
        self._completions.append(completion)
        self._wake(self._timeline.now_ms)

    # ---- the end

    def _end_daemon(self) -> None:
        self.node = None
        self._life += 1
        self._turn_at_ms = NEVER
        self._inbox, self._completions, self._delayed = [], [], []
        self._toolstack_failed = False
        self.paused = False
        self.way.abandon()

    def _down(self) -> None:
        self._end_daemon()
        self.up = False
        self.guarded = False
        self.timers.frozen = False
        self.timers.stop()

    def _reset(self, life: int, why: str) -> None:
        if life == self._life and self.up:
            self._down()
            self._watcher.went_down(self, why)

    def _expire(self, watchdog: Watchdog) -> None:
        self._down()
        self._watcher.tell(self, "reset", watchdog.value + " watchdog")
        self._watcher.went_down(self, watchdog.value + " watchdog")

    # ---- node.World

    def now_ms(self) -> int:
        """The host's monotonic clock."""
        return self.clock.now_ms()

    def wall_ms(self) -> int:
        """The host's wall clock."""
        return EPOCH_S * 1000 + self._timeline.now_ms + self.wall_offset_ms

    def send(self, datagram: bytes) -> Tuple[Tuple[int, str], ...]:
        """Send to every other host."""
        self.sent_at_ms = self.now_ms()
        self.past_datagrams.append((datagram, self.sent_at_ms))
        self._watcher.carry(self.index, datagram)
        return self.send_errors

    def read(self) -> None:
        """Read the State-File."""
        self.way.submit(Job(kind="read", section=0, data=b"", expected=0))

    def write(self, section: int, data: bytes) -> None:
        """Write a section."""
        self.way.submit(Job(kind="write", section=section, data=data, expected=0))

    def replace(self, section: int, data: bytes, expected: int) -> None:
        """Write a section if it is still what was expected."""
        self.way.submit(Job(kind="replace", section=section, data=data, expected=expected))

    def set_watchdog(self, watchdog: Watchdog, expires_at_ms: int) -> str:
        """Move a timer."""
        if self.watchdog_fails:
            return "the hypervisor refuses"
        self._watcher.timer_moved(self, watchdog, expires_at_ms)
        self.timers.set(watchdog, expires_at_ms)
        return ""

    def close_watchdogs(self) -> None:
        """Stop both timers."""
        self.timers.stop()
        self.guarded = False

    def record_armed(self) -> str:
        """Note that others count on this host's reset."""
        self.guarded = True
        return ""

    def answer(self, ticket: int, code: ExitCode, text: str) -> None:
        """Tell what a client was answered."""
        said = text if code is ExitCode.SUCCESS else "exit {} ({})".format(int(code), text)
        self._watcher.tell(self, "answered", "{}: {}".format(
            self._asked.pop(ticket), said or "done"))

    def stop_serving(self) -> None:
        """Answer nobody any more."""
        self._asked = {}

    def say(self, message: actions.Log) -> None:
        """Take a message down."""
        self._watcher.tell(self, "log", message)

    def fence(self, words: LastWords) -> None:
        """Reset the machine; the last words are given a moment, in which nothing else runs."""
        self._dying = True
        self._watcher.tell(self, "fenced", words.code)
        self._die(self._timeline.now_ms + LAST_WORDS_MS, self._life)

    def _die(self, deadline_ms: int, life: int) -> None:
        if life != self._life:
            return
        if self.way.pending and self._timeline.now_ms < deadline_ms:
            self._timeline.after(1, self._die, deadline_ms, life)
        else:
            self._reset(life, "fenced")

    def end(self, code: ExitCode, text: str) -> None:
        """The daemon ends."""
        self._watcher.tell(self, "ended", "exit {} ({})".format(int(code), text))
        self._end_daemon()
