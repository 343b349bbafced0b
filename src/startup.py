"""Starting: form a liveset, join one, wait, or give up.

Theory of operation
===================

A starting host must not create a second liveset beside one that it cannot
see, and must not be taken for its previous instance.  So it first listens on
both paths, then waits until nobody counts its previous instance as alive,
then decides by the *start criteria*, again at each event until a deadline.

The stages follow one another; each is a method that answers the next stage,
or None to stay:

    LISTEN_HEARTBEAT  until all are heard, at most T1
    LISTEN_STATEFILE  until all records advance, at most T2 (both since the start)
    PREDECESSOR       until nobody has me in its liveset, at most the deadline
    CRITERIA          form, join, wait, or abort at the deadline
    FORMING           until all who are heard propose the same, with me in it
    PROPOSING         at the deadline: until my proposal of a smaller liveset is the only one
    JOINING           until all of the liveset have me in their proposal
    DONE

What is heard may be late, and meant for an earlier life of this host.  A word
counts when it echoes what this life has sent; a liveset is taken over from one
who was seen not to count this host as alive: others may mean the earlier one.

The pool state is taken once, on entering CRITERIA: a pool must not change
from "being enabled" to "enabled" under a host's feet while it decides.

Source: spec 5, "Starting".
"""

import enum
from typing import Callable, Dict, Optional

from xha import liveset, startfacts, timing
from xha.echoes import Echoes
from xha.errors import ExitCode
from xha.fencing import Fencing
from xha.globalrecord import GlobalChanges
from xha.hostset import EMPTY
from xha.published import NEVER, Phase, PoolState
from xha.view import View


@enum.unique
class Stage(enum.Enum):
    """Where a start is; the value says what it waits for."""

    LISTEN_HEARTBEAT = "heartbeats of all hosts"
    LISTEN_STATEFILE = "State-File records of all hosts"
    PREDECESSOR = "the others to remove this host's previous instance"
    CRITERIA = "a liveset to join, or all hosts to form one"
    FORMING = "all hosts to propose this host"
    PROPOSING = "nobody to propose another liveset"
    JOINING = "the liveset to admit this host"
    DONE = ""


class Startup:
    """The start of this host, from the first good reading to online."""

    __slots__ = ("_view", "_fencing", "_changes", "_stage", "_started_at_ms", "_state",
                 "_joining_since_ms", "_clear_excluded", "_echoes", "_stages", "_own_advance_seen",
                 "_free", "_shown_at_ms", "_online_at_ms")

    def __init__(self, view: View, fencing: Fencing, echoes: Echoes, changes: GlobalChanges,
                 clear_excluded: Callable[[], None]) -> None:
        """``clear_excluded`` clears this host's excluded flag on the State-File."""
        self._view = view
        self._fencing = fencing
        self._echoes = echoes
        self._changes = changes
        self._clear_excluded = clear_excluded
        self._stage = Stage.LISTEN_HEARTBEAT
        self._started_at_ms = NEVER
        self._joining_since_ms = NEVER
        self._state = PoolState.NONE
        self._own_advance_seen = False
        # The hosts that, since this start, were seen not to count this host as alive: who counts
        # it now does not mean an earlier life of it.
        self._free = EMPTY
        # Completion of the first reading that showed my proposal; NEVER before.
        self._shown_at_ms = NEVER
        self._online_at_ms = NEVER
        self._stages = {
            Stage.LISTEN_HEARTBEAT: self._listen_heartbeat,
            Stage.LISTEN_STATEFILE: self._listen_statefile,
            Stage.PREDECESSOR: self._predecessor,
            Stage.CRITERIA: self._criteria,
            Stage.FORMING: self._forming,
            Stage.PROPOSING: self._proposing,
            Stage.JOINING: self._joining,
        }  # type: Dict[Stage, Callable[[int], Optional[Stage]]]

    @property
    def done(self) -> bool:
        """Whether this host is online."""
        return self._stage is Stage.DONE

    def begin(self, now_ms: int) -> None:
        """The first good reading was had: the start time is now."""
        assert self._started_at_ms == NEVER
        self._started_at_ms = now_ms
        self._view.set_accelerate("starting", True)

    def step(self, now_ms: int) -> None:
        """Go as far as the facts allow; a first write that hangs does not hold up the deadline."""
        view = self._view
        if self._started_at_ms == NEVER:
            return
        if self.done:
            self._calm_down(now_ms)
            return
        self._free = self._free | startfacts.strangers(view)
        advancing = view.me in view.statefile_domain
        self._own_advance_seen = self._own_advance_seen or advancing
        deadline_ms = self._deadline_ms(view.pool_state)
        late = now_ms >= deadline_ms and view.settled and not view.sr2
        if not advancing and (self._own_advance_seen or late):
            self._fencing.abort(ExitCode.STATEFILE_INACCESSIBLE, "this host's State-File record" + (
                " stopped advancing" if self._own_advance_seen else " cannot be written in time"))
        elif not advancing and now_ms < deadline_ms:
            view.wake(deadline_ms)
        while not view.ended and not self.done:
            following = self._stages[self._stage](now_ms)
            if view.ended or following is None:
                break
            self._stage = following
        if view.waiting_for != self._stage.value:
            view.waiting_for = self._stage.value
            if view.waiting_for:
                view.log("start-waiting", what=view.waiting_for)

    def _calm_down(self, now_ms: int) -> None:
        """End the acceleration of the start, once all members are seen in their own liveset."""
        view = self._view
        if "forming" not in view.accelerate_reasons:
            return
        if self._online_at_ms == NEVER:
            self._online_at_ms = now_ms
        until_ms = self._online_at_ms + view.common.statefile_timeout_ms
        if now_ms >= until_ms or startfacts.all_wrote_so(view):
            view.set_accelerate("forming", False)
        else:
            view.wake(until_ms)

    # ---- the stages, in order

    def _listen_heartbeat(self, now_ms: int) -> Optional[Stage]:
        view = self._view
        until_ms = self._started_at_ms + view.common.heartbeat_timeout_ms
        if view.heartbeat_domain == view.everyone or now_ms >= until_ms:
            return Stage.LISTEN_STATEFILE
        view.wake(until_ms)
        return None

    def _listen_statefile(self, now_ms: int) -> Optional[Stage]:
        view = self._view
        until_ms = self._started_at_ms + view.common.statefile_timeout_ms
        if view.statefile_domain == view.everyone or now_ms >= until_ms:
            view.set_accelerate("starting", False)
            return Stage.PREDECESSOR
        view.wake(until_ms)
        return None

    def _predecessor(self, now_ms: int) -> Optional[Stage]:
        view = self._view
        holders = startfacts.holders(view)
        if not holders:
            return self._enter_criteria(now_ms) if view.settled else None
        if now_ms >= self._deadline_ms(view.pool_state):
            self._fencing.abort(
                ExitCode.JOIN_TIMEOUT,
                "boot timeout: hosts {} still count this host's previous instance as alive".format(
                    view.picture(holders)))
            return None
        view.wake(self._deadline_ms(view.pool_state))
        return None

    def _enter_criteria(self, now_ms: int) -> Optional[Stage]:
        view = self._view
        self._state = view.pool_state
        if self._state is PoolState.NONE:
            # unreached: a virtual State-File is initialised
            self._fencing.abort(ExitCode.STATEFILE_INACCESSIBLE,
                                "the State-File has no pool state: it was never initialised")
            return None
        if self._state is PoolState.INVALID:
            # unreached: the reading that says so has ended the start (membership)
            self._fencing.abort(ExitCode.INVALID_POOL_STATE, "the pool state is invalid")
            return None
        view.joining = True
        view.burst()
        return Stage.CRITERIA

    def _criteria(self, now_ms: int) -> Optional[Stage]:
        view = self._view
        if not view.statefile_access:
            self._fencing.abort(ExitCode.STATEFILE_INACCESSIBLE,
                                "access to the State-File was lost during the start")
            return None
        if not view.settled or not self._fencing.guarded:
            return None
        exists = startfacts.liveset_exists(view)
        if self._state is PoolState.INIT and exists:
            # unreached: the state is active before the first members drop anybody
            self._fencing.abort(ExitCode.INVALID_POOL_STATE,
                                "a liveset exists although the pool is being initialised")
            return None
        complete = view.heartbeat_domain == view.everyone == view.statefile_domain
        if not exists and complete:
            view.log("start-decided", decision="form a new liveset of all hosts")
            view.set_liveset(EMPTY, view.heartbeat_domain)
            return Stage.FORMING
        if self._state is PoolState.ACTIVE and exists:
            following = self._join(now_ms)
            if following is not None:
                return following
        deadline_ms = self._deadline_ms(self._state)
        if now_ms >= deadline_ms:
            return self._at_deadline(now_ms)
        view.wake(deadline_ms)
        return None

    def _join(self, now_ms: int) -> Optional[Stage]:
        view = self._view
        if self._adopt():
            return self._admitted()
        if not view.statefile_domain <= view.heartbeat_domain:
            return None
        members = startfacts.liveset_to_join(view)
        if not members:
            return None
        view.log("joining", liveset=view.picture(members))
        if view.excluded:
            self._clear_excluded()
        view.set_liveset(members, members.plus(view.me))
        self._joining_since_ms = now_ms
        return Stage.JOINING

    def _adopt(self) -> bool:
        """Take over a liveset with this host, as a record says; not beside who runs outside it."""
        view = self._view
        for host in (view.statefile_domain & self._free).minus(view.me):
            record = view.peers[host].record
            if (record is not None and not record.starting
                    and startfacts.running(view).plus(view.me) <= record.current_liveset):
                view.set_liveset(record.current_liveset, record.current_liveset)
                return True
        return False

    def _at_deadline(self, now_ms: int) -> Optional[Stage]:
        """Nobody has formed a liveset with everybody, and none has admitted this host."""
        view = self._view
        if self._state is PoolState.INIT:
            self._fencing.abort(ExitCode.JOIN_TIMEOUT, "start timeout: not all hosts are here")
            return None
        view.set_accelerate("forming", True)
        exists = startfacts.liveset_exists(view)
        if exists and self._adopt():
            return self._admitted()
        rivals = startfacts.rivals(view)
        if exists:
            return self._wait_or_give_up(now_ms, "the existing liveset did not admit us")
        if view.excluded and not view.others <= view.flagged_hosts:
            self._fencing.abort(
                ExitCode.START_BLOCKED_BY_EXCLUSION,
                "this host is excluded and no liveset exists, but other hosts are not excluded")
            return None
        if not liveset.in_largest_partition(startfacts.picture_of(view)) or (
                rivals and rivals.lowest() < view.me):
            return self._wait_or_give_up(
                now_ms, "no liveset exists and this host is not in the largest partition")
        if now_ms < self._predecessors_dead_ms():
            view.wake(self._predecessors_dead_ms())
            return None
        view.set_liveset(EMPTY, startfacts.members_here(view))
        self._shown_at_ms = NEVER
        return Stage.PROPOSING

    def _wait_or_give_up(self, now_ms: int, why: str) -> Optional[Stage]:
        """Two who look at the deadline a moment apart must not end with 13: some grace."""
        until_ms = self._grace_ms()
        if now_ms >= until_ms:
            self._fencing.abort(ExitCode.CANNOT_JOIN, why)
        else:
            self._view.wake(until_ms)
        return None

    def _proposing(self, now_ms: int) -> Optional[Stage]:
        """Form a liveset without everybody, once nobody can be about to form another.

        The proposal is on the disk, and a reading issued after one that showed it there finds
        no other: of two hosts that propose differently at least one sees the other's.
        """
        view = self._view
        if not view.statefile_access:
            self._fencing.abort(ExitCode.STATEFILE_INACCESSIBLE,
                                "access to the State-File was lost during the start")
            return None
        if not view.settled:
            return None
        rivals = startfacts.rivals(view)
        if (startfacts.liveset_exists(view) or startfacts.members_here(view) != view.proposed
                or not liveset.in_largest_partition(startfacts.picture_of(view))
                or (rivals and rivals.lowest() < view.me)):
            view.set_liveset(EMPTY, EMPTY)
            return Stage.CRITERIA
        until_ms = self._grace_ms() + timing.patience_ms(view.common)
        if now_ms >= until_ms:
            self._fencing.abort(ExitCode.CANNOT_JOIN, "the hosts do not agree on a liveset")
            return None
        view.wake(until_ms)
        own = view.peers[view.me].record
        if own is None or own.proposed_liveset != view.proposed:
            return None
        if self._shown_at_ms == NEVER:
            self._shown_at_ms = view.reading_completed_at_ms
        if view.reading_issued_at_ms < self._shown_at_ms or rivals:
            return None
        view.log("start-decided", decision="form a new liveset of those who are here")
        view.set_liveset(view.proposed, view.proposed)
        return self._admitted()

    def _forming(self, now_ms: int) -> Optional[Stage]:
        view = self._view
        if not view.settled:
            return None
        if view.me in view.proposed and all(
                startfacts.has_word_of(view, self._echoes, host, self._started_at_ms)
                and startfacts.forms_the_same(view, host)
                for host in view.heartbeat_domain.minus(view.me)):
            view.set_liveset(view.proposed, view.proposed)
            if self._state is PoolState.INIT:
                self._changes.want_state(PoolState.ACTIVE)
            return self._admitted()
        if self._state is PoolState.ACTIVE and self._adopt():
            # Whoever does not see all has formed a smaller one, with this host in it.
            return self._admitted()
        until_ms = self._started_at_ms + timing.forming_deadline_ms(
            view.common, self._state is PoolState.INIT)
        if now_ms >= until_ms:
            view.set_liveset(EMPTY, EMPTY)
            return self._at_deadline(now_ms)
        view.wake(until_ms)
        return None

    def _joining(self, now_ms: int) -> Optional[Stage]:
        view = self._view
        if not view.settled:
            return None
        dropped = startfacts.dropped_by_all(view)
        view.set_liveset(view.liveset - dropped, view.proposed - dropped)
        others = view.liveset.minus(view.me)
        # The last word of one that is not heard may be of a life that is over.
        if others and others <= view.heartbeat_domain and all(
                startfacts.has_word_of(view, self._echoes, host, self._joining_since_ms)
                for host in others):
            view.set_liveset(view.liveset.plus(view.me), view.proposed.plus(view.me))
            return self._admitted()
        until_ms = self._joining_since_ms + view.common.boot_join_timeout_ms
        if now_ms >= until_ms:
            view.set_liveset(view.liveset, view.proposed.minus(view.me))
            self._fencing.abort(ExitCode.CANNOT_JOIN, "the liveset did not admit us in time")
            return None
        view.wake(until_ms)
        return None

    def _admitted(self) -> Stage:
        """Steps 6 and 8: the start succeeded."""
        view = self._view
        if view.excluded:
            self._clear_excluded()
        view.joining = False
        # Until all members show themselves: who was put into the liveset by others learns it
        # from the disk, and its old record must not look like a restarted instance's.
        view.set_accelerate("forming", True)
        view.enter(Phase.STARTED)
        view.burst()
        self._fencing.arm()
        view.log("host-online")
        if not view.sees(view.liveset):
            view.loss_pending = True
        return Stage.DONE

    # ---- instants

    def _deadline_ms(self, state: PoolState) -> int:
        return self._started_at_ms + timing.start_deadline_ms(
            self._view.common, state is PoolState.INIT)

    def _grace_ms(self) -> int:
        return self._deadline_ms(self._state) + 2 * timing.patience_ms(self._view.common)

    def _predecessors_dead_ms(self) -> int:
        """By when whoever was alive since this host started, and is not seen, has been reset."""
        longest_ms = timing.longest_watchdog_ms(self._view.common)
        return max(startfacts.members_dead_ms(self._view), self._started_at_ms + longest_ms
                   + timing.drift_ms(longest_ms) + timing.RESET_MS)
