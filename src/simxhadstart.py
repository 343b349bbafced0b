"""The start of a simulated xhad (spec 5, "Starting"), without what ours adds.

It speaks and listens from the beginning, not from its first reading on.  A liveset exists for it
when the State-File says so; at the deadline the largest partition forms one at once.
"""

from xha import liveset, startfacts, timing
from xha.actions import Watchdog
from xha.errors import ExitCode
from xha.hostset import EMPTY, HostSet
from xha.published import NEVER, FencingMode, Phase, PoolState
from xha.simxhaddisk import Disk
from xha.simxhadshared import LOOKING, Shared, Thread


class Start:
    """The start, until this host is online."""

    def __init__(self, shared: Shared, disk: Disk) -> None:
        self._shared = shared
        self._view = shared.view
        self._disk = disk
        self._began_ms = NEVER
        self._advanced = False

    def run(self) -> Thread:
        """Form a liveset, join one, or end."""
        shared, view, common = self._shared, self._view, self._view.common
        view.waiting_for = "the end of the original's start"
        yield from shared.until(lambda: view.statefile_access,
                                shared.born_at_ms + common.statefile_timeout_ms)
        if not view.statefile_access:
            shared.end(ExitCode.STATEFILE_INACCESSIBLE, "the State-File does not answer")
        self._began_ms = shared.now_ms
        shared.writes = True
        yield from shared.until(lambda: view.heartbeat_domain == view.everyone,
                                self._began_ms + common.heartbeat_timeout_ms)
        yield from shared.until(lambda: view.statefile_domain == view.everyone,
                                self._began_ms + common.statefile_timeout_ms)
        yield from self._predecessor()
        state = view.pool_state
        if state in (PoolState.NONE, PoolState.INVALID):
            shared.end(ExitCode.INVALID_POOL_STATE if state is PoolState.INVALID
                       else ExitCode.STATEFILE_INACCESSIBLE, "the pool state forbids a start")
        view.joining = True
        yield from self._decide(state)
        if view.excluded:
            view.excluded = False
            view.log("excluded-cleared")
        if view.joining:
            yield from self._join()
        yield from shared.burst()
        self._go_online()

    def _deadline_ms(self, state: PoolState) -> int:
        return self._began_ms + timing.start_deadline_ms(
            self._view.common, state is PoolState.INIT)

    def _predecessor(self) -> Thread:
        """Wait until nobody counts an earlier instance of this host as alive."""
        shared, view = self._shared, self._view

        def free() -> bool:
            return not any(startfacts.counts_me(view, peer) for peer in view.peers)

        yield from shared.until(free, self._deadline_ms(view.pool_state))
        if not free():
            shared.end(ExitCode.JOIN_TIMEOUT, "boot timeout")

    # ---- the start criteria

    def _decide(self, state: PoolState) -> Thread:
        shared, view = self._shared, self._view
        deadline_ms = self._deadline_ms(state)
        while True:
            self._check_access()
            exists = self._liveset_exists()
            if state is PoolState.INIT and exists:
                shared.end(ExitCode.INVALID_POOL_STATE, "a liveset exists already")
            complete = view.heartbeat_domain == view.everyone == view.statefile_domain
            if not exists and complete:
                yield from self._form(state, deadline_ms)
                return
            if exists and (self._adopt() or self._found_to_join()):
                return
            if shared.now_ms >= deadline_ms:
                self._at_deadline(state)
                return
            yield LOOKING

    def _check_access(self) -> None:
        """A start ends when its own record stops advancing, or cannot be written."""
        view = self._view
        advancing = view.me in view.statefile_domain
        self._advanced = self._advanced or advancing
        if not view.statefile_access or (self._advanced and not advancing):
            self._shared.end(ExitCode.STATEFILE_INACCESSIBLE, "the State-File was lost")

    def _liveset_exists(self) -> bool:
        view = self._view
        return any(host != view.me and not view.peers[host].starting
                   for host in view.statefile_domain) or (
            view.sr2 and view.heartbeat_domain | view.excluded_hosts == view.everyone)

    def _form(self, state: PoolState, deadline_ms: int) -> Thread:
        """With everybody: propose it, and wait until all do."""
        shared, view = self._shared, self._view
        view.log("start-decided", decision="form a new liveset of all hosts")
        view.set_liveset(EMPTY, view.heartbeat_domain)

        def agreed() -> bool:
            return all(startfacts.proposes_me(view, view.peers[host])
                       for host in view.heartbeat_domain)

        yield from shared.until(agreed, deadline_ms + 3 * timing.beat_ms(view.common))
        if not agreed():
            view.set_liveset(EMPTY, EMPTY)
            self._at_deadline(state)
            return
        self._found(view.proposed)
        if state is PoolState.INIT:
            self._disk.wanted_state = PoolState.ACTIVE

    def _found(self, members: HostSet) -> None:
        """Be a member of this liveset from now on."""
        self._view.set_liveset(members, members)
        self._view.joining = False

    def _adopt(self) -> bool:
        """Take over the liveset of a host that has accepted this one."""
        view = self._view
        for host in view.statefile_domain.minus(view.me):
            content = view.peers[host].record
            if content is not None and not content.starting and view.me in content.current_liveset:
                self._found(content.current_liveset)
                return True
        return False

    def _found_to_join(self) -> bool:
        """Whether there is a liveset whose members can be told: ask to join it."""
        view = self._view
        if not view.statefile_domain <= view.heartbeat_domain:
            return False
        members = HostSet(host for host in view.statefile_domain.minus(view.me)
                          if not view.peers[host].starting)
        if not members and view.sr2:
            members = HostSet(host for host in view.heartbeat_domain.minus(view.me)
                              if startfacts.is_member(view.peers[host]))
        if not members:
            return False
        view.log("joining", liveset=view.picture(members))
        view.set_liveset(members, members)
        return True

    def _at_deadline(self, state: PoolState) -> None:
        shared, view = self._shared, self._view
        if state is PoolState.INIT:
            shared.end(ExitCode.JOIN_TIMEOUT, "start timeout: not all hosts are here")
        if self._liveset_exists():
            if not self._adopt():
                shared.end(ExitCode.CANNOT_JOIN, "the existing liveset did not admit us")
            return
        if view.excluded and not view.others <= view.flagged_hosts:
            shared.end(ExitCode.START_BLOCKED_BY_EXCLUSION, "this host is excluded")
        if not liveset.in_largest_partition(startfacts.picture_of(view)):
            shared.end(ExitCode.CANNOT_JOIN, "this host is not in the largest partition")
        self._found(HostSet(host for host in view.heartbeat_domain
                            if host == view.me or startfacts.is_joining(view.peers[host])))

    # ---- the end of a start

    def _join(self) -> Thread:
        """Ask the members to admit this host."""
        shared, view = self._shared, self._view
        view.set_liveset(view.liveset, view.proposed.plus(view.me))
        yield from shared.burst()

        def admitted() -> bool:
            others = view.liveset.minus(view.me)
            return bool(others) and all(
                startfacts.proposes_me(view, view.peers[host]) for host in others)

        yield from shared.until(admitted, shared.now_ms + view.common.boot_join_timeout_ms)
        if not admitted():
            view.set_liveset(view.liveset, view.proposed.minus(view.me))
            shared.end(ExitCode.CANNOT_JOIN, "the liveset did not admit us in time")
        self._found(view.liveset.plus(view.me))

    def _go_online(self) -> None:
        shared, view = self._shared, self._view
        common = view.common
        view.waiting_for = ""
        view.enter(Phase.STARTED)
        view.fencing = FencingMode.ARMED
        error = shared.world.record_armed()
        if error:
            shared.end(ExitCode.WATCHDOG_ERROR, error)
        shared.move(Watchdog.HEARTBEAT, common.heartbeat_watchdog_timeout_ms)
        shared.move(Watchdog.STATEFILE, common.statefile_watchdog_timeout_ms)
        view.log("fencing-armed")
        view.log("host-online")
        shared.loss = shared.loss or not view.sees(view.liveset)
