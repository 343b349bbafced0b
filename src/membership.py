"""The machine: one host's whole core, composed of its rooms.

Theory of operation
===================

``step(now_ms, event)`` is the only door.  It takes one event in, lets every
room look at the new facts until nothing changes any more, and returns what
the shell must do, in order.  It reads no clock, does no I/O, draws no random
number: the daemon, the simulator and the tests run the same code, and a
history can be replayed.

The order within a step matters and is the argument of its safety:

1. *Was I asleep?* (``stall``) before anything is concluded from silence;
2. the event's own facts;
3. the domains, then who depends on them: admission, start, fault handler,
   repeated until they rest;
4. the master lock, when the liveset changed;
5. what is to be sent, written and read: always the facts of this very step.

Between steps nothing is "in the middle".  ``wake_at_ms`` says when to step at
the latest, even if nothing happens.  So a ``Tick`` that comes before that
instant, when the last step left the rooms at rest and no gap was noticed or
digested, changes nothing, and costs nothing.  Other steps that bring no news
do not ask the rooms of 3 either (``rest``).

Source: spec 5.
"""

from typing import Any, Callable, Dict, List, Optional, Tuple

from xha import actions, events, ruletwo
from xha.acceptance import Acceptance
from xha.actions import Action
from xha.admission import Admission
from xha.beat import Beat
from xha.config import Common
from xha.domains import Domains
from xha.echoes import Echoes
from xha.errors import ExitCode
from xha.faulthandling import FaultHandling
from xha.fencing import Fencing
from xha.globalrecord import GlobalChanges, Invalidation
from xha.hostset import HostIndex
from xha.masterlock import MasterLock
from xha.meter import Meter
from xha.published import NEVER, Fault, GlobalRecord, Phase, PoolState, Reading, WatchdogMode
from xha.repair import Repair
from xha.requests import Requests
from xha.rest import Rest
from xha.sfcycle import Cycle
from xha.sfrecords import release_withheld
from xha.snapshot import Snapshot
from xha.stall import Stall
from xha.startup import Startup
from xha.survey import survey
from xha.view import View

#: Rooms rest after few rounds; more than this is a bug, and a crash while armed is a fence.
MAX_ROUNDS = 64


class Membership:
    """One host's core."""

    def __init__(self, common: Common, me: int, now_ms: int, wall_s: int, software: str,
                 watchdog_mode: WatchdogMode, weight: int,
                 offset_ms: Callable[[], int]) -> None:
        """Make the core of a daemon that starts now.

        Args:
            common: the configuration that all hosts share.
            me: this host's index.
            wall_s: seconds since the epoch: the least incarnation of this daemon.
            software: name and version, published in the seals.
            weight: this host's weight, 1 or more; committed at once (spec 5, step 1).
            offset_ms: draws the random offset of a State-File cycle, -500 to 500 (spec 3);
                the core itself draws no random number.
        """
        #: The facts, to look at.
        self.view = self._view = view = View(common, HostIndex(me), software, watchdog_mode, weight)
        echoes = Echoes(view)
        self._fencing = Fencing(view, echoes)
        self._changes = GlobalChanges(view)
        self._domains = Domains(view)
        self._stall = Stall(view)
        self._acceptance = Acceptance(view)
        self._admission = Admission(view)
        self._lock = MasterLock(view, self._changes)
        self._repair = Repair(view)
        self._requests = Requests(view, self._changes, self._fencing)
        self._beat = Beat(view, self._fencing, echoes)
        self._startup = Startup(view, self._fencing, echoes, self._changes,
                                lambda: self._requests.exclude(False))
        self._faults = FaultHandling(view, self._domains, self._fencing)
        self._cycle = Cycle(
            view, self._domains, self._fencing, self._stall, self._changes,
            composed=self._lock.composed, written=self._lock.written,
            first_reading=self._first_reading, good_reading=self._good_reading,
            born_at_ms=now_ms, wall_s=wall_s, offset_ms=offset_ms)
        self._invalidation = None  # type: Optional[Invalidation]
        self._lock_due = self._summoned = self._in_vain = False
        # The event changed what the rooms decide from.
        self._news = True
        self._rest = Rest(view)
        # A whole step was taken: until ``wake_at_ms`` nothing happens by itself.
        self._rested = False
        self.statefile_meter = Meter()
        self.heartbeat_meter = Meter()
        self._on = self._table()

    def _table(self) -> Dict[type, Callable[[int, Any], None]]:
        """What each kind of event does."""
        return {
            events.Tick: lambda now_ms, event: None,
            events.HeartbeatReceived: self._heartbeat_received,
            events.DatagramRefused: self._datagram_refused,
            events.HeartbeatsSent: self._heartbeats_sent,
            events.RecordWritten: self._record_written,
            events.GlobalWritten: lambda now_ms, event: self._cycle.global_written(event.error),
            events.RepairWritten: self._repair_written,
            events.StateFileRead: lambda now_ms, event: self._cycle.read(event.reading),
            events.WatchdogFailed: self._watchdog_failed,
            events.ArmingFailed: self._arming_failed,
            events.ProposeMasterRequested: self._propose,
            events.CancelMasterRequested: self._cancel,
            events.DisarmRequested: self._disarm,
            events.PoolStateRequested: lambda now_ms, event: self._requests.set_pool_state(
                now_ms, event.ticket, event.pool_state),
            events.ExcludedRequested: lambda now_ms, event: self._requests.set_excluded(
                now_ms, event.ticket, event.excluded),
            events.KeyChangeRequested: lambda now_ms, event: self._requests.change_key(
                now_ms, event.ticket, event.key),
            events.ClientGone: self._client_gone,
            events.StopRequested: self._stop,
            events.WeightChanged: self._weight_changed,
            events.XapiChanged: self._xapi_changed,
            events.FenceRequested: self._fence,
        }

    @property
    def wake_at_ms(self) -> int:
        """The instant at which ``step`` wants to be called at the latest; NEVER: no such."""
        return self._view.wake_at_ms

    def step(self, now_ms: int, event: events.Event) -> List[Action]:
        """Take one event; return what the shell must do, in order."""
        view = self._view
        view.out = []
        if view.ended:
            return view.out
        kind = type(event)
        ticked = kind is events.Tick
        sent = kind is events.HeartbeatsSent
        settled = view.settled
        self._stall.stepped(now_ms, isinstance(event, events.Tick) and event.drained)
        unmoved = (self._rested and view.settled == settled and not view.out
                   and not view.burst_wanted)
        if ticked and unmoved and (view.wake_at_ms == NEVER or now_ms < view.wake_at_ms):
            return view.out
        self._in_vain = False
        self._news = not ticked and not sent
        self._on[kind](now_ms, event)
        looks = self._news or not unmoved or not self._rest.lasts(now_ms)
        if self._in_vain or (kind is events.HeartbeatReceived and not looks
                             and now_ms < view.wake_at_ms):
            # Refused, it changes counters alone, and repeated, ages: a flood must be cheap.
            return view.out
        view.looks += looks
        view.wake_at_ms = NEVER
        self._rested = True
        if not view.ended:
            if self._invalidation is None:
                if looks:
                    self._settle(now_ms)
                else:
                    self._rest.go_on()
                    self._fencing.check(now_ms)
                self._beat.step(now_ms, ticked, sent)
            else:
                self._watch_invalid(now_ms)
            self._cycle.step(now_ms, looks)
        return self._close(now_ms)

    def snapshot(self, now_ms: int) -> Snapshot:
        """What this host knows now; looking has no side effect."""
        # unreached: no story asks for a report
        return survey(self._view, now_ms, self.statefile_meter, self.heartbeat_meter,
                      self._acceptance.counts, self._lock.held)

    # ---- one step

    def _settle(self, now_ms: int) -> None:
        """Let every room look at the facts until nothing changes any more."""
        view = self._view
        before_liveset = view.liveset
        for _ in range(MAX_ROUNDS):
            before = self._state()
            self._domains.evaluate(now_ms)
            if view.online or view.joining:
                self._admission.step(now_ms)
            self._startup.step(now_ms)
            if view.ended:
                return
            self._faults.step(now_ms, self._summoned)
            self._summoned = False
            if view.ended:
                return
            release_withheld(view)
            ruletwo.end(view, now_ms)
            if self._state() == before:
                break
        else:
            # unreached: the rooms come to rest
            raise AssertionError("the rooms do not come to rest: {}".format(self._state()))
        if view.liveset != before_liveset or self._lock_due or self._lock.waiting:
            self._lock.evaluate(now_ms)
        self._lock_due = False
        self._requests.expire(now_ms)
        self._fencing.weigh_evidence(now_ms)
        self._rest.begin(self._lock.waiting)
        self._fencing.check(now_ms)

    def _state(self) -> Tuple[object, ...]:
        view = self._view
        return (view.heartbeat_domain, view.statefile_domain, view.liveset, view.proposed,
                view.phase, view.sr2, view.loss_pending, view.join_blocked, view.waiting_for)

    def _close(self, now_ms: int) -> List[Action]:
        """Before the end of a daemon that says its last words: say them on the network."""
        view = self._view
        if view.ended and isinstance(view.out[-1], actions.SelfFence):
            end = view.out.pop()
            self._beat.last(now_ms)
            self._cycle.last_words(now_ms)
            view.out.append(end)
        return view.out

    # ---- State-File

    def _first_reading(self, now_ms: int) -> None:
        self._acceptance.enabled = True
        self._beat.enabled = True
        self._startup.begin(now_ms)

    def _good_reading(self, now_ms: int, reading: Reading) -> None:
        view = self._view
        self.statefile_meter.note(self._cycle.latency_ms)
        section = reading.global_section
        assert section is not None
        corrupt = section.fault is not Fault.NONE
        view.statefile_corrupted = corrupt or view.peers[view.me].bad_since_ms != NEVER
        if corrupt != view.global_corrupted:
            if corrupt:
                view.log("statefile-global-corrupt", reason=section.text)
            else:
                view.log("statefile-global-good")
            view.global_corrupted = corrupt
        rewrite = None
        if isinstance(section.content, GlobalRecord):
            rewrite = self._changes.read(section.content)
        repaired = self._repair.global_record(now_ms, reading)
        if repaired is not None:
            repaired = self._changes.repaired(repaired)
            view.log("statefile-global-repaired")
            self._cycle.write_global(repaired, section.fingerprint)
        elif rewrite is not None and view.statefile_access:
            self._cycle.write_global(rewrite)
            self._cycle.soon()
        else:
            repair = self._repair.host_record(now_ms)
            if repair is not None:
                view.emit(actions.RepairRecord(
                    host=repair.host, content=repair.content, expected=repair.expected))
        self._lock_due = True
        invalidated = self._requests.read()
        if not view.ended:
            self._check_pool_state(now_ms, invalidated)

    def _check_pool_state(self, now_ms: int, invalidated: bool) -> None:
        view = self._view
        state = view.pool_state
        if self._invalidation is not None:
            return
        if state is PoolState.INVALID:
            if invalidated:
                self._begin_invalidation(now_ms)
            else:
                self._fencing.abort(ExitCode.INVALID_POOL_STATE, "the pool state is invalid")
        elif (view.online and state < PoolState.ACTIVE
              and self._changes.highest < PoolState.ACTIVE):
            # Neither seen nor asked for to be active.  (A state that was seen once and is read
            # lower is an older writer's: it is written again, nobody leaves for it.)
            self._fencing.abort(  # unreached: who is online has seen, or asked for, an active pool
                ExitCode.INVALID_POOL_STATE,
                "the pool state went back to {}".format(state.name.lower()))

    def _begin_invalidation(self, now_ms: int) -> None:
        """This host set the pool state to invalid: leave the pool, and guard the state."""
        view = self._view
        self._invalidation = Invalidation(now_ms, view)
        self._fencing.disarm()
        self._beat.enabled = False
        self._acceptance.enabled = False
        self._cycle.writing_enabled = False
        view.phase = Phase.ABORTED
        view.waiting_for = "older pool states that a slow write could bring back"
        view.emit(actions.StopServing())

    def _watch_invalid(self, now_ms: int) -> None:
        assert self._invalidation is not None
        if self._invalidation.is_over(now_ms):
            self._fencing.abort(ExitCode.INVALID_POOL_STATE, "the pool state is invalid")
        else:
            self._view.wake(self._invalidation.until_ms)

    # ---- events

    def _heartbeat_received(self, now_ms: int, event: events.HeartbeatReceived) -> None:
        view = self._view
        peer = self._acceptance.accept(now_ms, event)
        if peer is None:
            self._in_vain = True
            return
        if self._acceptance.fence_requested(peer):
            self._fencing.obey(now_ms, peer)
            if self._view.ended:
                return
        heartbeat = event.heartbeat
        if heartbeat.sr2 and not view.sr2 and (
                view.joining or view.online and not view.statefile_access):
            view.set_sr2(now_ms, True)
        if heartbeat.phase >= Phase.FHREADY and peer.index in view.liveset:
            self._summoned = True  # A later phase than FHREADY: those datagrams were lost.
        self._news = self._acceptance.news or self._summoned

    def _datagram_refused(self, now_ms: int, event: events.DatagramRefused) -> None:
        self._acceptance.refuse(now_ms, event.cause, event.source)
        self._in_vain = True

    def _heartbeats_sent(self, now_ms: int, event: events.HeartbeatsSent) -> None:
        self._beat.sent(event.issued_at_ms, event.failed)
        self.heartbeat_meter.note(self._beat.lateness_ms)

    def _record_written(self, now_ms: int, event: events.RecordWritten) -> None:
        self._news = bool(event.error)
        self._cycle.record_written(event.issued_at_ms, event.completed_at_ms, event.error)

    def _repair_written(self, now_ms: int, event: events.RepairWritten) -> None:
        if event.error:
            self._view.log("statefile-repair-failed", reason=event.error)
        else:
            self._view.log("statefile-record-repaired", host=event.host)

    def _watchdog_failed(self, now_ms: int, event: events.WatchdogFailed) -> None:
        # unreached: the virtual timers obey
        self._view.log("watchdog-refresh-failed", watchdog=event.watchdog, reason=event.error)
        self._fencing.failed(actions.Watchdog(event.watchdog), event.error)

    def _arming_failed(self, now_ms: int, event: events.ArmingFailed) -> None:
        # unreached: the virtual timers obey
        self._fencing.abort(ExitCode.WATCHDOG_ERROR, event.error)

    def _propose(self, now_ms: int, event: events.ProposeMasterRequested) -> None:
        self._lock.propose(now_ms, event.ticket)
        self._lock_due = True

    def _cancel(self, now_ms: int, event: events.CancelMasterRequested) -> None:
        self._lock.cancel(now_ms, event.ticket)
        self._lock_due = True

    def _disarm(self, now_ms: int, event: events.DisarmRequested) -> None:
        if not self._view.online:
            self._view.emit(actions.Answer(ticket=event.ticket, code=ExitCode.NOT_ONLINE,
                                           text="this host is not online"))
            return
        self._fencing.disarm()
        self._fencing.expect(now_ms, event.term_ms)
        self._view.emit(actions.Answer(ticket=event.ticket, code=ExitCode.SUCCESS, text=""))

    def _client_gone(self, now_ms: int, event: events.ClientGone) -> None:
        self._lock.client_gone(event.ticket)  # unreached: no client of a story goes away
        self._requests.client_gone(event.ticket)

    def _stop(self, now_ms: int, event: events.StopRequested) -> None:
        self._view.log("stop-requested")
        self._fencing.leave(ExitCode.SUCCESS, "stopped")

    def _weight_changed(self, now_ms: int, event: events.WeightChanged) -> None:
        self._view.weight = event.weight
        self._view.log("weight-changed", weight=event.weight)

    def _xapi_changed(self, now_ms: int, event: events.XapiChanged) -> None:
        self._view.xapi_restart_at_ms = event.restart_at_ms
        self._view.xapi_error = event.error
        self._view.xapi_held_until_ms = event.held_until_ms

    def _fence(self, now_ms: int, event: events.FenceRequested) -> None:
        self._fencing.fence(now_ms, event.code, event.text)
