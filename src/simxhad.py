"""A simulated xhad: the original daemon, as its peers see it, in the place of ours.

Theory of operation
===================

A pool is moved from xhad to xha host by host, so a simulated pool may have hosts of both.  What
is modelled here are the *observable* rules of the original: its bytes, which have no seal; the
instants at which it speaks, writes and decides, as the recorded conversations show them; its
waits, which prove nothing; the moments at which it moves its timers.  It is written from those
and from spec 5, not from our core: a mistake of ours must not be made twice.  What it shares with
ours are words (``View``, what is published), formats, and the two tables of arithmetic that both
sides of a pool must agree on: the partitions (``liveset``) and the waits (``timing``).

Its threads are in rooms of their own: the State-File (``simxhaddisk``), the start, the fault
handler, the clients.  This room has the network, the clients' requests, and the loop.

Source: spec 3 to 5, 12 and 14; tests/fixtures/traces.
"""

from typing import Any, Callable, Dict

from xha import events, hbformat
from xha.actions import Watchdog
from xha.config import Config
from xha.errors import ExitCode, FormatError
from xha.hostset import HostSet
from xha.node import Completion, World
from xha.published import NEVER, FencingMode, Heartbeat, Phase, PoolState
from xha.simxhaddisk import Disk
from xha.simxhadfault import Fault
from xha.simxhadlock import Lock
from xha.simxhadshared import Ended, Shared, Thread
from xha.simxhadstart import Start
from xha.view import Peer, View


class Xhad:
    """One host's xhad; a host runs it as it runs a ``Node``."""

    def __init__(self, settings: Config, world: World, weight: int,
                 offset_ms: Callable[[], int]) -> None:
        """Let a daemon begin.

        Args:
            weight: the host's weight.
            offset_ms: draws what makes State-File cycles differ, around 0.
        """
        self._shared = shared = Shared(settings, world, weight)
        self._world = world
        self._disk = Disk(shared, lambda: offset_ms() > 0)
        self._lock = Lock(shared, self._disk)
        self._fault = Fault(shared)
        self._start = Start(shared, self._disk)
        self._on = {
            events.Tick: lambda event: None,
            events.ProposeMasterRequested: lambda event: self._lock.propose(event.ticket),
            events.CancelMasterRequested: lambda event: self._lock.cancel(event.ticket),
            events.DisarmRequested: self._disarm,
            events.PoolStateRequested: lambda event: self._set_state(
                event.ticket, event.pool_state),
            events.ExcludedRequested: lambda event: self._exclude(event.ticket, event.excluded),
            events.StopRequested: self._stop,
            events.WeightChanged: self._weigh,
            events.XapiChanged: self._note_xapi,
            events.FenceRequested: lambda event: shared.fence(event.code, event.text),
        }  # type: Dict[type, Callable[[Any], Any]]
        self._disk.begin()
        shared.spawn(self._beat())
        shared.spawn(self._main())

    # ---- what a host does with it

    @property
    def core(self) -> "Xhad":
        """What has a view, and wants to be stepped."""
        return self

    @property
    def view(self) -> View:
        """The facts, to look at."""
        return self._shared.view

    @property
    def wake_at_ms(self) -> int:
        """When it wants to be stepped at the latest; NEVER: no such instant."""
        return self.view.wake_at_ms

    def step(self, event: events.Event) -> None:
        """Let something happen."""
        self._do(lambda: self._happen(event))

    def datagram(self, data: bytes, source: str, received_at_ms: int) -> None:
        """A datagram arrived: it reads no more of it than its buffer takes."""
        try:
            heartbeat, _ = hbformat.decode(data[:hbformat.BASE_BYTES], None)
        except FormatError:
            return
        self._do(lambda: self._hear(heartbeat, source, received_at_ms))

    def completed(self, done: Completion) -> None:
        """An access to the State-File ended."""
        self._do(lambda: self._disk.completed(done))

    def _do(self, act: Callable[[], None]) -> None:
        """Do something, then let every thread go on that is not asleep."""
        if self.view.ended:
            return
        try:
            act()
            self._evaluate()
            self.view.wake_at_ms = min(self._shared.run(), self._silence_ms())
        except Ended:
            return
        self._shared.flush()

    def _happen(self, event: events.Event) -> None:
        thread = self._on[type(event)](event)
        if thread is not None:
            self._shared.spawn(thread)

    # ---- threads

    def _main(self) -> Thread:
        """The start, then a fault handler whenever one is due."""
        shared = self._shared
        yield from self._start.run()
        while True:
            yield from shared.until(lambda: shared.loss)
            yield from self._fault.run()

    def _beat(self) -> Thread:
        """A heartbeat every t1; each moves the timer, whatever became of it."""
        common = self.view.common
        at_ms = self._shared.now_ms
        while True:
            at_ms += common.heartbeat_interval_ms
            yield max(1, at_ms - self._shared.now_ms)
            at_ms = max(at_ms, self._shared.now_ms - common.heartbeat_interval_ms)
            self._shared.send()
            self._shared.move(Watchdog.HEARTBEAT, common.heartbeat_watchdog_timeout_ms)

    # ---- the network

    def _hear(self, heartbeat: Heartbeat, source: str, received_at_ms: int) -> None:
        shared, view = self._shared, self.view
        index = heartbeat.host_index
        if (heartbeat.generation_uuid != view.common.generation_uuid or index == view.me
                or index >= len(view.peers)):
            return
        peer = view.peers[index]
        if heartbeat.host_uuid != peer.uuid or source != peer.address:
            return
        newer = 0 < (heartbeat.sequence - peer.sequence) & 0xFFFFFFFF < 0x80000000
        if peer.sequence != NEVER and not newer:
            return
        member = index in heartbeat.current_liveset
        if index in view.liveset and not member:
            return  # A new instance: the fault handler must remove the old one first.
        if heartbeat.fence_request and member and view.me not in heartbeat.proposed_liveset:
            shared.fence("fence-requested", "host {} has put this host out".format(index))
        asked = peer.heartbeat is not None and peer.heartbeat.accelerate
        if heartbeat.accelerate != asked:
            shared.accelerated = heartbeat.accelerate and view.statefile_access
        peer.sequence = heartbeat.sequence
        peer.heartbeat = heartbeat
        peer.heard_at_ms = received_at_ms
        if heartbeat.sr2 and (view.joining or not view.statefile_access):
            view.set_sr2(shared.now_ms, True)
        if heartbeat.phase is Phase.FHREADY and view.phase is Phase.STARTED:
            shared.loss = True

    def _evaluate(self) -> None:
        """Who is heard, who comes in, whether survival rule 2 ends."""
        shared, view = self._shared, self.view
        before = view.heartbeat_domain
        after = HostSet(peer.index for peer in view.peers
                        if peer.index == view.me or self._is_heard(peer))
        shared.lost(before, after)
        shared.set_heartbeat_domain(after)
        if view.liveset:
            self._admit()
        if view.sr2 and view.statefile_access and all(
                self._is_back(host) for host in after) and (
                    view.everyone - after <= view.excluded_hosts):
            view.set_sr2(shared.now_ms, False)

    def _is_heard(self, peer: Peer) -> bool:
        view, heartbeat = self.view, peer.heartbeat
        if heartbeat is None or peer.heard_at_ms == NEVER or (
                self._shared.now_ms - peer.heard_at_ms >= view.common.heartbeat_timeout_ms):
            peer.sequence = NEVER
            return False
        if peer.index not in view.heartbeat_domain:
            return not view.join_blocked
        one_way = (view.phase >= Phase.FHREADY and heartbeat.phase >= Phase.FHREADY
                   and view.me not in heartbeat.heartbeat_domain)
        return not one_way

    def _silence_ms(self) -> int:
        """When the next host that is heard will have been silent for T1."""
        timeout_ms = self.view.common.heartbeat_timeout_ms
        return min([self._shared.now_ms + timeout_ms] + [
            self.view.peers[host].heard_at_ms + timeout_ms
            for host in self.view.heartbeat_domain.minus(self.view.me)])

    def _is_back(self, host: int) -> bool:
        if host == self.view.me:
            return host in self.view.statefile_domain
        heartbeat = self.view.peers[host].heartbeat
        return heartbeat is not None and host in heartbeat.statefile_domain

    def _admit(self) -> None:
        """Let hosts in that ask for it, once all members propose them (spec 5)."""
        view = self.view
        grown, proposed = view.liveset, view.proposed
        for host in view.heartbeat_domain.minus(view.me):
            heartbeat = view.peers[host].heartbeat
            if heartbeat is None or host in grown:
                continue
            if host in heartbeat.current_liveset:
                if host in proposed or view.phase is Phase.STARTING or view.sr2:
                    grown, proposed = grown.plus(host), proposed.plus(host)
            elif host in heartbeat.proposed_liveset and not view.join_blocked and (
                    host in view.statefile_domain or view.sr2):
                proposed = proposed.plus(host)
                if view.me in view.liveset and all(
                        self._proposes(member, host) for member in view.liveset):
                    grown = grown.plus(host)
        if grown != view.liveset:
            view.set_liveset(grown, proposed)
            self._shared.spawn(self._shared.burst())
            self._lock.evaluate()
        elif proposed != view.proposed:
            view.set_liveset(grown, proposed)
            self._shared.spawn(self._shared.burst())

    def _proposes(self, member: int, host: int) -> bool:
        heartbeat = self.view.peers[member].heartbeat
        return member == self.view.me or (
            heartbeat is not None and host in heartbeat.proposed_liveset)

    # ---- clients

    def _set_state(self, ticket: int, state: PoolState) -> Thread:
        """Answered when it was written; who sets invalid has ended before (spec 14)."""
        shared, view = self._shared, self.view
        self._disk.wanted_state = state
        yield from shared.until(lambda: view.pool_state >= state)
        self._world.answer(ticket, ExitCode.SUCCESS, "")

    def _exclude(self, ticket: int, excluded: bool) -> Thread:
        shared, view = self._shared, self.view
        if view.pool_state is not PoolState.ACTIVE:
            self._world.answer(ticket, ExitCode.INVALID_POOL_STATE, "the pool is not active")
            return
        view.excluded = excluded
        view.log("excluded-set" if excluded else "excluded-cleared")
        written = self._disk.writes
        yield from shared.until(lambda: self._disk.writes > written + 1)
        self._world.answer(ticket, ExitCode.SUCCESS, "")
        if excluded:
            shared.end(ExitCode.EXCLUDED_WHILE_RUNNING, "this host was excluded while it ran",
                       closes=not view.armed)

    def _disarm(self, event: events.DisarmRequested) -> None:
        view = self.view
        if not view.online:
            self._world.answer(event.ticket, ExitCode.NOT_ONLINE, "this host is not online")
            return
        view.fencing = FencingMode.DISARMED
        view.fence_request = False
        self._world.close_watchdogs()
        view.log("fencing-disarmed")
        self._world.answer(event.ticket, ExitCode.SUCCESS, "")

    def _stop(self, event: events.StopRequested) -> None:
        self.view.log("stop-requested")
        # Its timers too, armed or not: whoever counts on a reset is deceived.
        self._shared.end(ExitCode.SUCCESS, "stopped")

    def _weigh(self, event: events.WeightChanged) -> None:
        self.view.weight = event.weight
        self.view.log("weight-changed", weight=event.weight)

    def _note_xapi(self, event: events.XapiChanged) -> None:
        self.view.xapi_restart_at_ms = event.restart_at_ms
        self.view.xapi_error = event.error
