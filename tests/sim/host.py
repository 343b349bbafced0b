"""A virtual host: a machine with two watchdogs, on which a real core may run.

The machine is up or down.  Its watchdogs are the hypervisor's: they run on
when the daemon is paused or gone, and reset the machine at the very instant
that was set.  The daemon turns like the real one: every datagram that waits,
every access that ended, then a tick.
"""

from typing import Any, Callable, Dict, List, Optional, Tuple

from xha import actions, events, timing
from xha.actions import Watchdog
from xha.config import Config
from xha.errors import ExitCode
from xha.membership import Membership
from xha.node import Completion, Node, World
from xha.published import NEVER, LastWords, WatchdogMode
from xha.view import View

from sim.disk import Disk, Job, Way
from sim.timeline import Clock, Timeline

#: Datagrams that a socket holds for a daemon that does not take them.
SOCKET_HOLDS = 200
#: The loop turns at least this often, ms.
LONGEST_TURN_MS = 1000
#: How long a fence waits for the last words to reach the disk, ms.
LAST_WORDS_MS = 150
#: The wall clock, when the world began: seconds since the epoch.
EPOCH_S = 1700000000

SOFTWARE = "xha sim"


class Host(World):
    """One host of the pool."""

    def __init__(self, timeline: Timeline, settings: Config, disk: Disk, clock: Clock,
                 send: Callable[[int, bytes], Tuple[Tuple[int, str], ...]],
                 tell: Callable[["Host", str, Any], None],
                 watch: Callable[["Host"], None], draw: Callable[[], float]) -> None:
        """Make a machine that is up, with no daemon.

        Args:
            send: carries a datagram of this host to every other.
            tell: takes down what an operator would see: a kind of entry, and its content.
            watch: called after each turn in which the core may have changed.
            draw: a number in [0, 1), of this host's own: what it does by chance.
        """
        self.index = int(settings.local.index)
        self._timeline = timeline
        self._settings = settings
        self._clock = clock
        self._carry = send
        self._tell = tell
        self._watch = watch
        self._draw = draw
        self.way = Way(timeline, clock, disk, self._completed)
        self.node = None  # type: Optional[Node]
        #: The machine runs.
        self.up = True
        #: The daemon said that peers may count on its reset, and has not taken that back.
        self.guarded = False
        self.paused = False
        self.weight = 1
        #: Refuse to move timers.
        self.watchdog_fails = False
        #: Errors of sending, by receiver.
        self.send_errors = ()  # type: Tuple[Tuple[int, str], ...]
        #: Heartbeats sent; the last is kept, so that it can be replayed or forged upon.
        self.sent = 0
        self.last_datagram = b""
        self._expires_at_ms = {}  # type: Dict[Watchdog, int]
        self._timer_due_ms = {}  # type: Dict[Watchdog, int]
        self._life = 0
        self._dying = False
        self._inbox = []  # type: List[Tuple[bytes, str]]
        self._completions = []  # type: List[Completion]
        self._turn_at_ms = NEVER
        self._ticket = 0
        self._asked = {}  # type: Dict[int, str]

    # ---- what is done to a host

    def start(self) -> None:
        """Start the daemon, as ha_start_daemon would; a machine that is down boots first."""
        self.up = True
        if self.node is not None:
            self._tell(self, "refused", "a daemon runs")
            return
        if self.guarded:
            # Spec 7: timers of a daemon that died armed are not touched.
            self._tell(self, "refused", "the timers of a daemon that died armed are running")
            return
        self._expires_at_ms = {}
        wall_s = self.wall_ms() // 1000
        core = Membership(self._settings.common, self.index, self.now_ms(), wall_s, SOFTWARE,
                          WatchdogMode.HYPERVISOR, self.weight, self._offset_ms)
        self.node = Node(self._settings, core, self)
        self._dying = False
        self._wake(self._timeline.now_ms)

    def crash(self) -> None:
        """The power fails."""
        self._down()
        self._tell(self, "crashed", "")

    def kill(self) -> None:
        """The daemon dies; its timers run on."""
        self._end_daemon()
        self._tell(self, "killed", "")

    def pause(self) -> None:
        """The daemon does not run, and takes nothing in; its timers run on."""
        self.paused = True
        self.way.paused = True

    def resume(self) -> None:
        """The daemon runs again, and finds what came meanwhile."""
        if self.paused:
            self.paused = False
            self.way.resume()
            self._wake(self._timeline.now_ms)

    def ask(self, event: Callable[[int], events.Event], what: str) -> None:
        """A client's request; its answer is told."""
        if self.node is None:
            self._tell(self, "answered", what + ": no daemon")
            return
        self._ticket += 1
        self._asked[self._ticket] = what
        self.take(event(self._ticket))

    def take(self, event: events.Event) -> None:
        """Let something happen to the core at once."""
        if self.node is not None and not self._dying:
            self.node.step(event)
            self._after_turn()

    def deliver(self, datagram: bytes, source: str) -> None:
        """A datagram arrives at the socket."""
        if self.node is not None and len(self._inbox) < SOCKET_HOLDS:
            self._inbox.append((datagram, source))
            self._wake(self._timeline.now_ms)

    # ---- what it is

    @property
    def core(self) -> Optional[Membership]:
        """The core, while a daemon runs."""
        return self.node.core if self.node is not None else None

    @property
    def view(self) -> Optional[View]:
        """What the core knows, while a daemon runs."""
        return self.node.core.view if self.node is not None else None

    @property
    def dangerous(self) -> bool:
        """Whether virtual machines may run here that others count on being reset."""
        return self.up and self.guarded

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
        inbox, self._inbox = self._inbox, []
        for datagram, source in inbox:
            node.datagram(datagram, source, self.now_ms())
        completions, self._completions = self._completions, []
        for completion in completions:
            node.completed(completion)
        node.step(events.Tick())
        self._after_turn()

    def _after_turn(self) -> None:
        self._watch(self)
        if self.node is None or self._dying:
            return
        wake_at_ms = self.node.core.wake_at_ms
        longest_ms = self._timeline.now_ms + LONGEST_TURN_MS
        if wake_at_ms == NEVER:
            self._wake(longest_ms)
        else:
            self._wake(min(max(self._clock.true_ms(wake_at_ms), self._timeline.now_ms + 1),
                           longest_ms))

    def _completed(self, completion: Completion) -> None:
        self._completions.append(completion)
        self._wake(self._timeline.now_ms)

    # ---- the end

    def _end_daemon(self) -> None:
        self.node = None
        self._life += 1
        self._turn_at_ms = NEVER
        self._inbox = []
        self._completions = []
        self.paused = False
        self.way.abandon()

    def _down(self) -> None:
        self._end_daemon()
        self.up = False
        self.guarded = False
        self._expires_at_ms = {}

    def _reset(self, life: int) -> None:
        if life == self._life:
            self._down()

    def _fire(self, watchdog: Watchdog, due_ms: int) -> None:
        """A timer was due at ``due_ms`` when this was asked for; it may have been moved."""
        if self._timer_due_ms.get(watchdog) != due_ms:
            return
        del self._timer_due_ms[watchdog]
        if watchdog not in self._expires_at_ms or not self.up:
            return
        expires_ms = self._clock.true_ms(self._expires_at_ms[watchdog])
        if expires_ms > self._timeline.now_ms:
            self._guard(watchdog, expires_ms)
            return
        self._down()
        self._tell(self, "reset", watchdog.value + " watchdog")

    def _guard(self, watchdog: Watchdog, expires_ms: int) -> None:
        due_ms = self._timer_due_ms.get(watchdog)
        if due_ms is None or due_ms > expires_ms:
            self._timer_due_ms[watchdog] = expires_ms
            self._timeline.at(expires_ms, self._fire, watchdog, expires_ms)

    # ---- node.World

    def now_ms(self) -> int:
        return self._clock.now_ms()

    def wall_ms(self) -> int:
        return EPOCH_S * 1000 + self._timeline.now_ms

    def send(self, datagram: bytes) -> Tuple[Tuple[int, str], ...]:
        self.sent += 1
        self.last_datagram = datagram
        return self._carry(self.index, datagram) + self.send_errors

    def read(self) -> None:
        self.way.submit(Job(kind="read", section=0, data=b"", expected=0))

    def write(self, section: int, data: bytes) -> None:
        self.way.submit(Job(kind="write", section=section, data=data, expected=0))

    def replace(self, section: int, data: bytes, expected: int) -> None:
        self.way.submit(Job(kind="replace", section=section, data=data, expected=expected))

    def set_watchdog(self, watchdog: Watchdog, expires_at_ms: int) -> str:
        if self.watchdog_fails:
            return "the hypervisor refuses"
        self._expires_at_ms[watchdog] = expires_at_ms
        self._guard(watchdog, self._clock.true_ms(expires_at_ms))
        return ""

    def close_watchdogs(self) -> None:
        self._expires_at_ms = {}
        self.guarded = False

    def record_armed(self) -> str:
        self.guarded = True
        return ""

    def answer(self, ticket: int, code: ExitCode, text: str) -> None:
        said = text if code is ExitCode.SUCCESS else "exit {} ({})".format(int(code), text)
        self._tell(self, "answered", "{}: {}".format(self._asked.pop(ticket), said or "done"))

    def stop_serving(self) -> None:
        self._asked = {}

    def say(self, message: actions.Log) -> None:
        self._tell(self, "log", message)

    def fence(self, words: LastWords) -> None:
        """Reset the machine; the last words are given a moment, in which nothing else runs."""
        self._dying = True
        self._tell(self, "fenced", words.code)
        deadline_ms = self._timeline.now_ms + LAST_WORDS_MS
        self._die(deadline_ms, self._life)

    def _die(self, deadline_ms: int, life: int) -> None:
        if life != self._life:
            return
        if self.way.pending and self._timeline.now_ms < deadline_ms:
            self._timeline.after(1, self._die, deadline_ms, life)
        else:
            self._reset(life)

    def end(self, code: ExitCode, text: str) -> None:
        self._tell(self, "ended", "exit {} ({})".format(int(code), text))
        self._end_daemon()
