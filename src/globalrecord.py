"""Changes of the global record: the pool state, the master and the keys.

Theory of operation
===================

All hosts read the global record and several may rewrite it in one instant,
one with a new pool state, another with a new master; the later write wins and
carries the other's field as it was.  So a change is *pending* until a later
reading shows it, and is folded, whole, into the record just read.

The pool state only ever rises within a generation: none, init, active,
invalid.  A writer never lowers what it has seen, and whoever set it to
invalid looks again for Ws + t2, as long as a slow write of another host that
has not ended yet could bring an older state back.

Source: spec 3, "Reading and writing in the daemon" and below; spec 12.
"""

from typing import Optional

from xha.keyring import KeyRing
from xha.published import NEVER, GlobalRecord, GlobalSeal, PoolState
from xha.view import View


class GlobalChanges:
    """The changes of the global record that this host wants and has not read back."""

    __slots__ = ("_view", "_state", "_master", "_highest", "keys")

    def __init__(self, view: View) -> None:
        self._view = view
        self._state = None  # type: Optional[PoolState]
        # UUID that must stand in the master field, while this host holds the lock.
        self._master = ""
        self._highest = PoolState.NONE
        #: The pool's keys.
        self.keys = KeyRing(view)

    @property
    def pending_state(self) -> Optional[PoolState]:
        """The pool state asked for and not read back yet."""
        return self._state

    @property
    def highest(self) -> PoolState:
        """The highest pool state seen or asked for: none lower is ever written."""
        return PoolState(max(self._highest, self._state or PoolState.NONE))

    def repaired(self, last: GlobalRecord) -> GlobalRecord:
        """What to write in place of a bad global record, from its last good content."""
        return last._replace(pool_state=self.highest, master=self._master or last.master)

    def want_state(self, state: PoolState) -> None:
        """Ask for a pool state; a lower one than already asked for or seen changes nothing."""
        if self._state is None or state > self._state:
            self._state = state

    def want_master(self, uuid: str) -> None:
        """Ask that the master field says ``uuid``; "" ends the asking."""
        self._master = uuid

    def read(self, found: GlobalRecord) -> Optional[GlobalRecord]:
        """Take a good global record in: into the view, and against what is pending.

        Returns: the record to write in its place, or None when nothing is to change.
        """
        on_disk = found.ring
        self._take(found)
        assert self._view.global_record is not None
        found = self._view.global_record
        if found.pool_state > self._highest:
            self._highest = found.pool_state
        if self._state is not None and found.pool_state >= self._state:
            self._state = None
        # Never lower what was seen: a slow writer may have put an older state back.
        state = max(self._state or PoolState.NONE, self._highest)
        master = self._master or found.master
        ring = self.keys.to_write(on_disk)
        if state == found.pool_state and master == found.master and ring == on_disk:
            return None
        if ring is not None and ring != on_disk:
            found = found.with_ring(ring)
        # A pool that xhad initialised gets a seal, and with it a CRC, but no key.
        seal = found.seal or GlobalSeal(
            software=self._view.software, initialised_by="", initialised_at_wall_s=0)
        return found._replace(pool_state=PoolState(state), master=master, seal=seal)

    def _take(self, found: GlobalRecord) -> None:
        view = self._view
        before = view.global_record
        if before is None or before.pool_state is not found.pool_state:
            view.log("pool-state-changed", state=found.pool_state.name.lower())
        if before is not None and before.master != found.master:
            if view.holding and found.master != view.peers[view.me].uuid and (
                    before.master == view.peers[view.me].uuid):
                view.log("master-rewritten")
            else:
                view.log("master-changed", uuid=found.master)
        view.global_record = self.keys.read(found)


class Invalidation:
    """The last duty of the host that set the pool state to invalid.

    It has left the pool and only watches the global record, until no host that may still
    have had an older state in a pending write can be alive.
    """

    __slots__ = ("_until_ms",)

    def __init__(self, now_ms: int, view: View) -> None:
        self._until_ms = (now_ms + view.common.statefile_watchdog_timeout_ms
                          + view.common.statefile_interval_ms)
        assert now_ms != NEVER

    def is_over(self, now_ms: int) -> bool:
        """Whether no older state can come back any more."""
        return now_ms >= self._until_ms

    @property
    def until_ms(self) -> int:
        """The instant at which it is over."""
        return self._until_ms
