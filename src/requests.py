"""Requests of clients that change the State-File: pool state, exclusion and the pool key.

A request is answered when a *reading* shows what was asked for, not when it
was written: a write can be overwritten (spec 3).  What cannot be shown in
time is answered with 3; the change stays wanted, and shows later.

Source: spec 6, "The scripts xapi calls"; spec 3 and 5, pool state.
"""

from typing import List, NamedTuple, Union

from xha import actions, keyring, timing
from xha.errors import ExitCode
from xha.fencing import Fencing
from xha.globalrecord import GlobalChanges
from xha.poolkey import SETTLED, PoolKey, Ring
from xha.published import PoolState
from xha.records import record
from xha.view import View


#: The ticket of a request whose client was answered already.
NOBODY = -1
FOR_EVER_MS = 1 << 40


@record
class Waiting(NamedTuple):
    """A request that is not answered yet."""

    ticket: int
    # What a reading must show: a pool state, the excluded flag, or this step of the keys.
    wanted: Union[PoolState, bool, Ring]
    deadline_ms: int


class Requests:
    """The requests that wait for a reading."""

    __slots__ = ("_view", "_changes", "_fencing", "_waiting")

    def __init__(self, view: View, changes: GlobalChanges, fencing: Fencing) -> None:
        self._view = view
        self._changes = changes
        self._fencing = fencing
        self._waiting = []  # type: List[Waiting]

    def set_pool_state(self, now_ms: int, ticket: int, state: PoolState) -> None:
        """A client sets the pool state: active or invalid."""
        assert state in (PoolState.ACTIVE, PoolState.INVALID), state
        view = self._view
        if view.global_record is None:
            self._answer(ticket, ExitCode.STATEFILE_INACCESSIBLE, "the State-File is not read yet")
        elif state < view.pool_state:
            self._answer(ticket, ExitCode.INVALID_POOL_STATE,
                         "the pool state is {} already".format(view.pool_state.name.lower()))
        else:
            self._changes.want_state(state)
            self._wait(now_ms, ticket, state)

    def set_excluded(self, now_ms: int, ticket: int, excluded: bool) -> None:
        """A client sets or clears this host's excluded flag."""
        view = self._view
        # An active that this host has asked for counts at once (spec 5, "Pool state").
        state = max(view.pool_state, self._changes.pending_state or PoolState.NONE)
        if state != PoolState.ACTIVE:
            self._answer(ticket, ExitCode.INVALID_POOL_STATE,
                         "the pool state is {}, not active".format(PoolState(state).name.lower()))
            return
        self.exclude(excluded)
        self._wait(now_ms, ticket, excluded)

    def change_key(self, now_ms: int, ticket: int, key: PoolKey) -> None:
        """A client asks for a new pool key, or for the change that is under way."""
        view = self._view
        if not view.online:
            self._answer(ticket, ExitCode.NOT_ONLINE, "this host is not online")
        elif view.pool_state is not PoolState.ACTIVE:
            self._answer(ticket, ExitCode.INVALID_POOL_STATE, "the pool state is {}, not active"
                         .format(view.pool_state.name.lower()))
        elif view.ring is None:
            self._answer(ticket, ExitCode.INVALID_POOL_STATE, "the pool has no key to change: xhad "
                         "initialised it; disable and enable HA, and it gets one")
        elif not view.statefile_access:
            self._answer(ticket, ExitCode.STATEFILE_INACCESSIBLE,
                         "this host has no access to the State-File")
        elif keyring.unable(view):
            self._answer(ticket, ExitCode.INVALID_POOL_STATE, "hosts {} run a version that cannot "
                         "change its key; nothing was begun".format(
                             ", ".join(str(host) for host in keyring.unable(view))))
        elif view.ring.stage != SETTLED:
            self._answer(ticket, ExitCode.SUCCESS,
                         "the key is being changed already: nothing new was begun")
        else:
            self._wait(now_ms, ticket, self._changes.keys.begin(key))

    def exclude(self, excluded: bool) -> None:
        """Change the flag that the next write carries."""
        view = self._view
        if view.excluded != excluded:
            view.excluded = excluded
            view.log("excluded-set" if excluded else "excluded-cleared")

    def read(self) -> bool:
        """A good reading was taken in: answer what it shows.

        Returns: whether this host set the pool state to invalid, and it is.
        """
        view = self._view
        own = view.peers[view.me].record
        invalidated = False
        for waiting in list(self._waiting):
            if isinstance(waiting.wanted, Ring):
                shown = view.ring is not None and view.ring.step >= waiting.wanted.step
            elif isinstance(waiting.wanted, PoolState):
                shown = not view.global_corrupted and view.pool_state >= waiting.wanted
            else:
                shown = own is not None and own.excluded is waiting.wanted
            if not shown:
                continue
            self._waiting.remove(waiting)
            if waiting.ticket != NOBODY:
                self._answer(waiting.ticket, ExitCode.SUCCESS, "")
            if waiting.wanted is PoolState.INVALID:
                invalidated = True
            elif waiting.wanted is True:
                self._fencing.leave(ExitCode.EXCLUDED_WHILE_RUNNING,
                                    "this host was excluded while its daemon ran")
        return invalidated

    def expire(self, now_ms: int) -> None:
        """Answer what has waited for too long."""
        for waiting in list(self._waiting):
            if now_ms >= waiting.deadline_ms:
                self._waiting.remove(waiting)
                self._answer(waiting.ticket, ExitCode.TRANSIENT_ERROR,
                             "the State-File did not take the change in time")
                if waiting.wanted is True:
                    # Excluded it will be all the same, and then its daemon must end.
                    self._waiting.append(waiting._replace(
                        ticket=NOBODY, deadline_ms=now_ms + FOR_EVER_MS))
            else:
                self._view.wake(waiting.deadline_ms)
        self._view.set_accelerate("request", any(
            waiting.ticket != NOBODY for waiting in self._waiting))

    def client_gone(self, ticket: int) -> None:
        """Nobody waits for the answer; the change stays wanted."""
        # unreached: no client of a story goes away
        self._waiting = [waiting for waiting in self._waiting
                         if waiting.ticket != ticket or waiting.wanted is True]

    def _wait(self, now_ms: int, ticket: int, wanted: Union[PoolState, bool, Ring]) -> None:
        self._waiting.append(Waiting(
            ticket=ticket, wanted=wanted,
            deadline_ms=now_ms + timing.election_bound_ms(self._view.common)))
        self._view.set_accelerate("request", True)

    def _answer(self, ticket: int, code: ExitCode, text: str) -> None:
        self._view.emit(actions.Answer(ticket=ticket, code=code, text=text))
