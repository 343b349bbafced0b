"""Which heartbeats to believe.

Theory of operation
===================

A datagram may have been sent by anybody.  Before a single fact is taken from
it, it passes the checks of spec 4, "Receiving", in their order; the first
that fails drops it, counts it, and says so at most once a day for each cause
and sender.  Nothing is changed by a dropped datagram but the counters, with
one exception: the incarnation and sequence of a datagram whose origin is
proven are remembered even when a later check drops it, so that nothing older
of that host is ever believed again.

In a pool with a key the proof of origin is the HMAC.  The one exception are
the hosts that run the original daemon, xhad: they cannot prove anything, and
are known by their State-File record, which only a root of the pool can write.
"""

from typing import Dict, Optional, Tuple

from xha import events, rest
from xha.published import NEVER, FencingMode, Heartbeat, Proof
from xha.view import Peer, View

#: One warning for each cause and sender in this time.  Source: spec 4.
WARNING_INTERVAL_MS = 24 * 3600 * 1000

#: Causes that come with every start and tell nothing about the sender.
_HARMLESS = ("not-receiving", "starting-instance")

#: Distinct (cause, sender) pairs remembered; a flood of invented senders must not fill memory.
MAX_WARNINGS = 256


class Acceptance:
    """The checks on datagrams, and what is remembered for them."""

    __slots__ = ("_view", "_warned_at_ms", "counts", "enabled", "news", "_generation_uuid")

    def __init__(self, view: View) -> None:
        self._view = view
        self._generation_uuid = view.common.generation_uuid
        self._warned_at_ms = {}  # type: Dict[Tuple[str, str], int]
        #: Refused datagrams by cause.
        self.counts = {}  # type: Dict[str, int]
        #: Receiving begins with the first good reading of the State-File.
        self.enabled = False
        #: The last heartbeat that was taken over is not a mere repetition.
        self.news = True

    def refuse(self, now_ms: int, cause: str, source: str) -> None:
        """Count a dropped datagram; warn about its cause and sender once a day."""
        self.counts[cause] = self.counts.get(cause, 0) + 1
        key = (cause, source)
        last = self._warned_at_ms.get(key)
        if last is not None and now_ms - last < WARNING_INTERVAL_MS:
            return
        if last is None and len(self._warned_at_ms) >= MAX_WARNINGS:
            return  # unreached: a pool of 64 has not so many senders and causes
        self._warned_at_ms[key] = now_ms
        self._view.log("datagram-refused", cause=cause, source=source)

    def accept(self, now_ms: int, event: events.HeartbeatReceived) -> Optional[Peer]:
        """Take a heartbeat over, or drop it.

        Returns: the sender when its heartbeat was taken over, else None.  When it asked
        this host to fence, with right, ``fence_requested`` answers true for the peer.
        """
        heartbeat = event.heartbeat
        cause = self._identify(heartbeat, event.source)
        peer = None  # type: Optional[Peer]
        if not cause:
            peer = self._view.peers[heartbeat.host_index]
            cause = self._prove(now_ms, peer, heartbeat, event.proof)
        if not cause and peer is not None:
            self._remember(peer, heartbeat)
            if self._is_other_instance(peer, heartbeat):
                # Its old instance must be removed by the fault handler first.
                cause = "starting-instance"
        if cause or peer is None:
            if cause in _HARMLESS:
                # Nothing is wrong with the sender: counted, no warning.
                self.counts[cause] = self.counts.get(cause, 0) + 1
            else:
                self.refuse(now_ms, cause, event.source)
            return None
        self._take_over(peer, heartbeat, event.received_at_ms)
        return peer

    def fence_requested(self, peer: Peer) -> bool:
        """Whether the last heartbeat of ``peer`` demands that this host fences itself."""
        heartbeat = peer.heartbeat
        return (heartbeat is not None and heartbeat.fence_request
                and peer.index in heartbeat.current_liveset
                and self._view.me not in heartbeat.proposed_liveset)

    def _identify(self, heartbeat: Heartbeat, source: str) -> str:
        """Checks 1 and 3 to 5 of spec 4: the cause of refusal, "" for none."""
        view = self._view
        if not self.enabled:
            return "not-receiving"
        if heartbeat.generation_uuid != self._generation_uuid:
            return "generation"
        if heartbeat.host_index >= len(view.peers):
            return "host-index"
        if heartbeat.host_index == view.me:
            return "own-identity"
        peer = view.peers[heartbeat.host_index]
        if heartbeat.host_uuid != peer.uuid:
            return "host-uuid"
        if source != peer.address:
            return "source-address"  # unreached: the virtual network brings no forged source
        return ""

    def _prove(self, now_ms: int, peer: Peer, heartbeat: Heartbeat, proof: Proof) -> str:
        """Checks 6 and 7 of spec 4: the cause of refusal, "" for none."""
        if proof is Proof.BROKEN:
            return "seal"
        if self._view.keyed and proof is not Proof.AUTHENTIC:
            if proof is not Proof.UNSEALED or not peer.is_xhad or not self._advances(now_ms, peer):
                return "not-authentic"
        if heartbeat.seal is None:
            if peer.sequence != NEVER and not _is_newer(heartbeat.sequence, peer.sequence):
                return "sequence"
            return ""
        incarnation = heartbeat.seal.incarnation
        if incarnation < peer.incarnation:
            return "incarnation"
        if incarnation == peer.incarnation and heartbeat.sequence <= peer.sealed_sequence:
            return "sequence"
        return ""

    def _advances(self, now_ms: int, peer: Peer) -> bool:
        """Whether the record of an xhad peer advances, for all that this host can see.

        What its host sends is believed only then: what was recorded of it revives nobody.  A
        host without access sees nobody advance, through no fault of theirs: then the last good
        reading counts, and under survival rule 2, where records mean nothing, what was known.
        Otherwise no xhad peer would be heard just when all must hear each other.
        """
        view = self._view
        if view.sr2:
            return peer.advanced_at_ms != NEVER
        seen_at_ms = now_ms if view.statefile_access else view.reading_completed_at_ms
        return (peer.advanced_at_ms != NEVER
                and seen_at_ms - peer.advanced_at_ms < view.common.statefile_timeout_ms)

    def _is_other_instance(self, peer: Peer, heartbeat: Heartbeat) -> bool:
        """Whether a host in our liveset speaks as one that starts, and is not the one let in."""
        if peer.index not in self._view.liveset or peer.index in heartbeat.current_liveset:
            return False
        return heartbeat.seal is None or heartbeat.seal.incarnation > peer.member_incarnation

    @staticmethod
    def _remember(peer: Peer, heartbeat: Heartbeat) -> None:
        if heartbeat.seal is None:
            peer.sequence = heartbeat.sequence
        else:
            peer.incarnation = heartbeat.seal.incarnation
            peer.sealed_sequence = heartbeat.sequence

    def _take_over(self, peer: Peer, heartbeat: Heartbeat, received_at_ms: int) -> None:
        view = self._view
        before = peer.heartbeat
        self.news = not rest.repeats(view, peer, heartbeat)
        peer.heartbeat = heartbeat
        peer.heard_at_ms = received_at_ms
        peer.heard_since_ms = min(view.listened_at_ms, received_at_ms)
        peer.heartbeat_discount_ms = 0
        if peer.index in heartbeat.current_liveset:
            peer.own_member_at_ms = received_at_ms
        if heartbeat.sr2:
            view.sr2_seen_at_ms = received_at_ms
        if self.news:
            self._tell(peer, before, heartbeat)

    def _tell(self, peer: Peer, before: Optional[Heartbeat], heartbeat: Heartbeat) -> None:
        """Say what an operator wants to know of another host, once for each change."""
        view = self._view
        view.tell_last_words(peer, heartbeat.seal.last_words if heartbeat.seal else None)
        disarmed = heartbeat.seal is not None and heartbeat.seal.fencing is FencingMode.DISARMED
        was = (before is not None and before.seal is not None
               and before.seal.fencing is FencingMode.DISARMED)
        if disarmed and not was:
            view.log("peer-disarmed", host=peer.index)
        if heartbeat.seal is not None and heartbeat.seal.term_is_over and not (
                before is not None and before.seal is not None and before.seal.term_is_over):
            view.log("peer-still-disarmed", host=peer.index)


def _is_newer(sequence: int, last: int) -> bool:
    """Whether a 32-bit serial number is newer than another (spec 4, check 7)."""
    return 0 < (sequence - last) & 0xFFFFFFFF < 0x80000000
