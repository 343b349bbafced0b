"""When to check xapi, when to restart it, and when to give up: spec 8, "xapi monitor".

Theory of operation
===================

A host whose xapi does not work cannot be managed, although its virtual
machines run: nobody could start elsewhere what stops here.  So a member of
the liveset has its xapi checked every tXapi.  A check that fails, whether by
its exit code, by a signal or by its silence, is answered with a restart, of
which there are XapiRestartAttempts in any 24 hours; one that ends with 0 is
believed, and the next check is due a whole interval later.  When none is
left, the reason is announced for 2 x t1, long enough for every peer to have
heard it, and then this host fences itself.

A check that cannot be started says nothing about xapi: it is tried again at
the next interval.  Six of them in a row are a fence all the same: a host
that cannot start a small program is not well.

This is a state machine with the time as an argument.  It runs nothing: it
returns a ``Job``, and is told how that ended.  It does not trust that it
will be told: a job that is not back a while after its time-out counts as
timed out, for whoever runs it may hang in the very disk that xapi hangs in.

A disarmed host does not fence (spec 5): then the checks go on, so that a xapi
that works again is published as such.

A *hold* suspends all this for a while, so that a restart or an upgrade of the
toolstack is no fault.  It ends by itself, by the monotonic clock, and with the
daemon.  While it lasts:

* no check is begun; what a check says that began before is not heard, for the
  hold may be what it failed of;
* a restart that was begun goes on, for it is half done; if it ends with 0 it is
  believed, if not, no other is tried, and no attempt is spent;
* who was about to fence itself does not;
* what was last known of xapi stays published: nothing newer is known.

When it ends xapi is checked at once, and everything counts from then: a failure
that was announced is announced anew, and a row of checks that could not be
started begins anew.  Another hold replaces the first, and may be longer or
shorter; how long it may be is in ``holdterm``.

Source: spec 8; spec 6 for what others see of it.  Holds are ours (docs/holds.md).
"""

import enum
from typing import List, Tuple, Union

from xha import holdterm
from xha.actions import Log, log
from xha.child import OUTPUT_MAX, Ended, How, Job, Work
from xha.config import Common
from xha.events import FenceRequested, XapiChanged
from xha.published import NEVER

#: An attempt to restart xapi counts for so long, ms.  Source: spec 8, "in a day".
DAY_MS = 24 * 3600 * 1000

#: So many checks in a row that cannot be started are a fence.  Source: spec 8.
STARTS_MAX = 6

#: How long after its time-out a job may still come back, ms: killing and reaping are in it.
GRACE_MS = 5000

#: What the machine wants: a program run, a fact for the core, a message.
Wish = Union[Job, XapiChanged, FenceRequested, Log]


@enum.unique
class _State(enum.Enum):
    OFF = "not watching"
    RESTING = "waiting for the next check"
    CHECKING = "waiting for the end of a check"
    RESTARTING = "waiting for the end of a restart"
    ANNOUNCING = "waiting until the others have heard why this host fences itself"
    HELD = "waiting for the end of a hold"


class XapiHealth:
    """The health of this host's xapi."""

    def __init__(self, common: Common) -> None:
        self._common = common
        self._state = _State.OFF
        # What the state waits for at the latest.
        self._until_ms = 0
        self._check_at_ms = 0
        self._ticket = 0
        # When xapi was restarted in the last 24 hours.
        self._attempts_ms = []  # type: List[int]
        # What is published: since when xapi is known to fail (NEVER: not), and why.
        self._since_ms = NEVER
        self._error = ""
        # It was said that this host fences itself.
        self._given_up = False
        self._starts_failed = 0
        # Until then nothing is asked of xapi; NEVER: no hold.
        self._held_until_ms = NEVER
        self._wishes = []  # type: List[Wish]

    def step(self, now_ms: int, online: bool) -> List[Wish]:
        """Time passed; what is to be done now, in order.

        Args:
            online: this host is a member of its liveset; only then xapi is watched.
        """
        if self._held_until_ms != NEVER and now_ms >= self._held_until_ms:
            self._let_go(now_ms, "by itself")
        if not online:
            self._state = _State.OFF
        elif self._state is _State.OFF:
            self._wish(log("xapi-watched", interval_ms=self._common.xapi_check_interval_ms,
                           attempts=self._common.xapi_restart_attempts))
            self._rest(now_ms)
            self._suspend()
        if self._state is _State.RESTING and now_ms >= self._until_ms:
            self._check(now_ms)
        elif self._state is _State.ANNOUNCING and now_ms >= self._until_ms:
            self._fence(now_ms, "xapi-failed",
                        "xapi does not work and cannot be restarted: " + self._error)
        elif (self._state in (_State.CHECKING, _State.RESTARTING)
              and now_ms >= self._until_ms + GRACE_MS):
            work, timeout_ms = self._running()
            self._judge(now_ms, Ended(
                work=work, ticket=self._ticket, how=How.TIMED_OUT, number=0, text="",
                duration_ms=timeout_ms))
        return self._take()

    def ended(self, now_ms: int, ended: Ended) -> List[Wish]:
        """A job ended; what is to be done now, in order."""
        if ended.ticket == self._ticket and self._state in (_State.CHECKING, _State.RESTARTING):
            self._judge(now_ms, ended)
        return self._take()

    def hold(self, now_ms: int, term_ms: int) -> List[Wish]:
        """Ask nothing of xapi for so long from now on; what is to be done now, in order."""
        first = self._held_until_ms == NEVER
        term = holdterm.in_words(term_ms)
        self._wish(log("xapi-hold-begun", term=term) if first
                   else log("xapi-hold-changed", term=term))
        self._held_until_ms = now_ms + term_ms
        self._suspend()
        self._tell()
        return self._take()

    def release(self, now_ms: int) -> List[Wish]:
        """End the hold, if there is one; what is to be done now, in order."""
        if self._held_until_ms != NEVER:
            self._let_go(now_ms, "by command")
        return self._take()

    def held_ms(self, now_ms: int) -> int:
        """How long the hold lasts yet; NEVER when there is none."""
        return NEVER if self._held_until_ms == NEVER else max(0, self._held_until_ms - now_ms)

    def attempts_left(self, now_ms: int) -> Tuple[int, int]:
        """How often xapi may still be restarted, and in how many ms once more.

        The second is NEVER when no attempt is spent.
        """
        spent = [at_ms for at_ms in self._attempts_ms if now_ms - at_ms < DAY_MS]
        left = max(0, self._common.xapi_restart_attempts - len(spent))
        return left, (spent[0] + DAY_MS - now_ms if spent else NEVER)

    # ---- the states

    def _rest(self, at_ms: int) -> None:
        self._state, self._until_ms = _State.RESTING, at_ms

    def _suspend(self) -> None:
        """While a hold lasts only a restart is waited for."""
        if self._held_until_ms != NEVER and self._state not in (_State.OFF, _State.RESTARTING):
            self._state = _State.HELD
            self._starts_failed = 0
            self._given_up = False

    def _let_go(self, now_ms: int, how: str) -> None:
        self._held_until_ms = NEVER
        self._wish(log("xapi-hold-ended", how=how))
        self._tell()
        if self._state is _State.HELD:
            self._rest(now_ms)

    def _check(self, now_ms: int) -> None:
        self._check_at_ms = now_ms
        self._run(now_ms, _State.CHECKING)

    def _run(self, now_ms: int, state: _State) -> None:
        self._state = state
        self._ticket += 1
        work, timeout_ms = self._running()
        self._until_ms = now_ms + timeout_ms
        self._wish(Job(work=work, ticket=self._ticket, timeout_ms=timeout_ms))

    def _running(self) -> Tuple[Work, int]:
        if self._state is _State.CHECKING:
            return Work.CHECK, self._common.xapi_check_timeout_ms
        return Work.RESTART, self._common.xapi_restart_timeout_ms

    def _judge(self, now_ms: int, ended: Ended) -> None:
        if self._state is _State.CHECKING and ended.how is How.NOT_STARTED:
            self._not_started(now_ms, ended)
            return
        if self._state is _State.CHECKING and self._starts_failed:
            self._starts_failed = 0
            self._wish(log("xapi-check-starts"))
        if ended.good:
            restarted = self._state is _State.RESTARTING
            self._healthy()
            # Every tXapi; later if the check took longer, or xapi has just been restarted.
            interval_ms = self._common.xapi_check_interval_ms
            self._rest(now_ms + interval_ms if restarted
                       else max(now_ms, self._check_at_ms + interval_ms))
            self._suspend()
        else:
            self._failed(now_ms, ended)

    def _not_started(self, now_ms: int, ended: Ended) -> None:
        self._starts_failed += 1
        self._wish(log("xapi-check-not-started", reason=ended.text, times=self._starts_failed,
                       most=STARTS_MAX))
        if self._starts_failed >= STARTS_MAX:
            self._starts_failed = 0
            self._fence(now_ms, "xapi-check-not-started", "the {}, {} times in a row".format(
                ended.words, STARTS_MAX))
        else:
            self._rest(now_ms + self._common.xapi_check_interval_ms)

    def _healthy(self) -> None:
        if self._since_ms != NEVER:
            self._wish(log("xapi-healthy"))
            self._publish(NEVER, "")
            self._given_up = False

    def _failed(self, now_ms: int, ended: Ended) -> None:
        if ended.work is Work.CHECK:
            # What the check says is for xapi; where it says nothing, what became of it.
            error = (ended.text or ended.words)[:OUTPUT_MAX]
            if error != self._error:
                self._wish(log("xapi-unhealthy", reason=ended.words))
            self._publish(now_ms if self._since_ms == NEVER else self._since_ms, error)
        else:
            self._wish(log("xapi-restart-failed", reason=ended.words))
            if self._held_until_ms != NEVER:
                self._rest(now_ms)
                self._suspend()
                return
        self._attempts_ms = [at_ms for at_ms in self._attempts_ms if now_ms - at_ms < DAY_MS]
        if len(self._attempts_ms) < self._common.xapi_restart_attempts:
            self._attempts_ms.append(now_ms)
            self._wish(log("xapi-restarting", attempt=len(self._attempts_ms),
                           attempts=self._common.xapi_restart_attempts))
            self._run(now_ms, _State.RESTARTING)
        else:
            announce_ms = 2 * self._common.heartbeat_interval_ms
            if not self._given_up:
                self._wish(log("xapi-given-up", attempts=len(self._attempts_ms),
                               left_ms=announce_ms))
            self._given_up = True
            self._state, self._until_ms = _State.ANNOUNCING, now_ms + announce_ms

    def _fence(self, now_ms: int, code: str, text: str) -> None:
        self._wish(FenceRequested(code=code, text=text))
        # Whoever is still here then is disarmed.
        self._rest(now_ms + self._common.xapi_check_interval_ms)

    def _publish(self, since_ms: int, error: str) -> None:
        if (since_ms, error) != (self._since_ms, self._error):
            self._since_ms, self._error = since_ms, error
            self._tell()

    def _tell(self) -> None:
        """Let the core publish what is known."""
        self._wish(XapiChanged(restart_at_ms=self._since_ms, error=self._error,
                               held_until_ms=self._held_until_ms))

    def _wish(self, wish: Wish) -> None:
        self._wishes.append(wish)

    def _take(self) -> List[Wish]:
        wishes, self._wishes = self._wishes, []
        return wishes
