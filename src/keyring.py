"""Changing the pool key while the pool runs.

Theory of operation
===================

The keys are in the global record, as a ``Ring`` (``poolkey``): announced, changed,
settled, a step each.  Every member goes by the ring that it read last and never
goes back; it publishes the ring's *mark* in its record.  One member, the lowest
index that is seen on both paths, writes the next step into the global record,
when it is safe.  Nobody adopts a step but by reading it.

What must never be: a host that is well sends with a key which another member does
not accept.  Rings that lie one step apart accept each other.  So it is enough that
two members never lie further apart, and that is what a step waits for:

* *All know it.*  Each host that is in my liveset, or whose record advances, shows
  the mark of this very ring in its record; so its heartbeats are proven with this
  ring's key already.  A host that starts reads the ring before it sends.  An xhad
  peer proves nothing and is not waited for.  What is *heard* counts for nothing
  here: whoever knows the old key could hold the change up by the name of a host
  that is down.
* *Nothing older can come back.*  A write that was prepared from an older ring may
  still be under way, for Ws at most: then its host is dead.  So this ring must have
  been in each of my readings for Ws + t2, and nobody under rule 2 meanwhile.  In that
  time what is on its way in the network with an older key has arrived, too.

A ring is written again by whoever reads an older one.  Two that are announced in one
instant are told apart by their bytes: all take the larger, and none is sent with
before it has been there for so long.

The old key ends, without anybody's help, as soon as all show that they send with the
new one.  A member that shows nothing new for long is put out by the fault handler.
The one that could hold it up for ever is a member of a version which knows no ring:
with one, no change begins; if one comes later, it is named.  Under survival rule 2
nobody reads, so nothing is changed.

What a daemon has read, it keeps: a key that is gone from the disk, or another one
that is not the next step, is an error event and never a downgrade (spec 4).

Source: spec 3 and 4; docs/key.md has the whole procedure.
"""

import enum
from typing import Optional

from xha import actions
from xha.hostset import EMPTY, HostSet
from xha.poolkey import (ANNOUNCED, CHANGED, NOT_SAID, SETTLED, STAGES, STEPS, PoolKey, Ring,
                         fingerprint)
from xha.published import NEVER, GlobalRecord
from xha.snapshot import KeyView
from xha.view import Peer, View


@enum.unique
class Found(enum.Enum):
    """What a ring on the disk is to one that a host goes by."""

    SAME = "same"
    NEWER = "newer"      # it takes its place
    OLDER = "older"      # it is written over
    FOREIGN = "foreign"  # no change of ours led there


def compare(ring: Ring, on_disk: Ring) -> Found:
    """What the ring on the disk is to ``ring``: the same answer on all hosts."""
    if on_disk == ring:
        return Found.SAME
    if on_disk.step != ring.step:
        return Found.NEWER if on_disk.step > ring.step else Found.OLDER
    if ring.stage == ANNOUNCED and on_disk.key == ring.key:
        return Found.NEWER if bytes(on_disk.also or b"") > bytes(ring.also or b"") else Found.OLDER
    return Found.FOREIGN


def pause_ms(view: View) -> int:
    """So long a ring must have been on the disk before the next step."""
    common = view.common
    return common.statefile_watchdog_timeout_ms + common.statefile_interval_ms


def missing(view: View, ring: Ring) -> HostSet:
    """The hosts that have not shown yet that they go by this ring, and may take part."""
    mark = ring.mark
    taking_part = view.liveset | view.statefile_domain
    return HostSet(peer.index for peer in view.peers if peer.index in taking_part
                   and peer.index != view.me and not _shows(peer, mark))


def unable(view: View) -> HostSet:
    """Those whose record shows that their version knows no ring."""
    taking_part = view.liveset | view.statefile_domain
    return HostSet(peer.index for peer in view.peers if peer.index in taking_part
                   and peer.index != view.me and peer.record is not None
                   and peer.record.seal is not None and peer.record.seal.keys == NOT_SAID)


def told(view: View) -> Optional[KeyView]:
    """The keys, for people; None where there are none."""
    ring = view.ring  # unreached: no story asks for a report
    return None if ring is None else KeyView(
        fingerprint=fingerprint(ring.key), other=fingerprint(ring.also) if ring.also else "",
        stage=STAGES[ring.stage], changes=ring.step // STEPS, waits_for=missing(view, ring))


def _shows(peer: Peer, mark: int) -> bool:
    if peer.is_xhad:
        return True
    return (peer.bad_since_ms == NEVER and peer.record is not None
            and peer.record.seal is not None and peer.record.seal.keys == mark)


class KeyRing:
    """The keys that this host goes by, and its part in changing them."""

    __slots__ = ("_view", "_wanted", "_shown", "_shown_since_ms", "_complained", "_waited_for")

    def __init__(self, view: View) -> None:
        self._view = view
        # A ring that a client of this host asked for, until a reading shows one like it.
        self._wanted = None  # type: Optional[Ring]
        # Since when each reading has shown this ring.
        self._shown = None  # type: Optional[Ring]
        self._shown_since_ms = NEVER
        self._complained = False
        self._waited_for = EMPTY

    def begin(self, key: PoolKey) -> Ring:
        """Ask for a new key, in place of the one that is settled; returns the ring to come."""
        ring = self._view.ring
        assert ring is not None
        if self._wanted is None or self._wanted.step <= ring.step:
            self._wanted = ring.announced(key)
        return self._wanted

    def read(self, found: GlobalRecord) -> GlobalRecord:
        """Take in the keys of a good global record.

        Returns: the record with the keys that this host goes by.
        """
        view, on_disk = self._view, found.ring
        if on_disk is None:
            if view.ring is not None:
                self._complain("it is gone from the global record")
            elif view.global_record is None:
                view.log("key-absent")  # unreached: every virtual pool has a key
            return found.with_ring(view.ring)
        judged = Found.NEWER if view.ring is None else compare(view.ring, on_disk)
        if judged is Found.NEWER:
            self._adopt(on_disk)
        elif judged is Found.FOREIGN:
            self._complain("the global record holds another one")
        elif (judged is Found.OLDER and self._shown is not None
              and on_disk.step < self._shown.step):
            view.log("key-older-found", key=fingerprint(on_disk.key))
        if on_disk != view.ring:
            self._shown = None
        elif self._shown != on_disk:
            self._shown, self._shown_since_ms = on_disk, view.reading_completed_at_ms
        return found if on_disk == view.ring else found.with_ring(view.ring)

    def to_write(self, on_disk: Optional[Ring]) -> Optional[Ring]:
        """What the global record should hold, that was just read; ``on_disk`` for no change."""
        ring = self._view.ring
        if ring is None or on_disk is None:
            return on_disk
        judged = compare(ring, on_disk)
        if judged is not Found.SAME:
            return ring if judged is Found.OLDER else on_disk
        if ring.stage != SETTLED:
            return ring.following() if self._may_follow(ring) else ring
        wanted = self._wanted
        if wanted is None or (wanted.step, wanted.key) != (ring.step + 1, ring.key):
            return ring
        return ring if missing(self._view, ring) else wanted

    # ---- reading

    def _adopt(self, ring: Ring) -> None:
        view, before = self._view, self._view.ring
        view.ring = ring
        view.keyed = True
        if self._wanted is not None and ring.step >= self._wanted.step:
            self._wanted = None
        self._waited_for = EMPTY
        if before is None:
            view.log("key-read", key=fingerprint(ring.key))
        if ring.stage == ANNOUNCED:
            assert ring.also is not None
            view.log("key-announced", key=fingerprint(ring.key), new=fingerprint(ring.also))
        elif ring.stage == CHANGED:
            assert ring.also is not None
            view.log("key-changed", key=fingerprint(ring.key), old=fingerprint(ring.also))
        elif before is not None:
            view.log("key-settled", key=fingerprint(ring.key))
        view.emit(actions.UsePoolKey(key=ring.key, also=ring.also))

    def _complain(self, reason: str) -> None:
        if not self._complained:  # unreached: nobody takes the key from a virtual pool
            self._complained = True
            self._view.log("key-unreadable", reason=reason)

    # ---- the next step

    def _may_follow(self, ring: Ring) -> bool:
        """Whether this host writes the next step now."""
        view = self._view
        if not _is_my_task(view) or self._shown != ring:
            return False
        # Under rule 2 a timer does not end who waits for the disk: counted from its end.
        since_ms = max(self._shown_since_ms, view.sr2_seen_at_ms)
        if view.reading_issued_at_ms - since_ms < pause_ms(view):
            return False
        waited_for = missing(view, ring)
        if waited_for and waited_for != self._waited_for:
            view.log("key-waits", hosts=view.picture(waited_for))
        self._waited_for = waited_for
        return not waited_for


def _is_my_task(view: View) -> bool:
    """Whether of all who could, this host is the one."""
    able = view.liveset & view.heartbeat_domain & view.statefile_domain
    able = HostSet(host for host in able if not view.peers[host].is_xhad)
    return view.online and view.settled and bool(able) and able.lowest() == view.me
