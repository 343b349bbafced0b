"""Who is heard: the heartbeat domain and the State-File domain.

Theory of operation
===================

A host is *heard* when its last accepted heartbeat, or the last advance of its
record, is less than T1 (T2) old on this host's clock.  Membership of a domain
has hysteresis: who is in stays in until the time-out; who is out comes in at
its next sign, unless joining is blocked, because the fault handler runs and
all hosts must decide from the same sets.  One exception, taken from spec 13: a
host of the liveset whose record advances again before the picture is frozen
comes in again; a storage outage a little shorter than T2 would otherwise leave
views of oneself alone, of which one survives and the healthy rest must die.
(Not so for heartbeats: two sides that each wait for the other to say "I hear
you" would come in and go out by turns.)

A host that cannot read the State-File sees nobody advance, through no fault of
theirs: they stay in until it is out itself, then all go at once.

A link that works one way only is broken: a host that says, while both sides
are in the fault handler, that it does not hear us is out.

A host of the liveset that leaves a domain is a *loss*; the fault handler
takes it up.  Under survival rule 2 nobody has the State-File and its domain
means nothing.

Source: spec 4, "hbdomain"; spec 5, "sfdomain".
"""

from xha import timing
from xha.hostset import EMPTY, HostSet
from xha.published import NEVER, Phase
from xha.view import Peer, View


class Domains:
    """Keeps the two domains of the view current."""

    __slots__ = ("_view", "_stuck")

    def __init__(self, view: View) -> None:
        self._view = view
        # Taken out of the State-File domain by the fault handler that runs, though they advance.
        self._stuck = EMPTY

    def evaluate(self, now_ms: int) -> None:
        """Recompute both domains at ``now_ms``; note losses."""
        self._heartbeat(now_ms)
        self._statefile(now_ms)

    def expel(self, hosts: HostSet) -> None:
        """Take hosts out of both domains by decision; they are no new loss."""
        view = self._view
        self._change_heartbeat(view.heartbeat_domain - hosts)
        self._change_statefile(view.statefile_domain - hosts)

    def expel_heard(self, host: int) -> None:
        """Take a host that is heard, but stuck, out of the heartbeat domain: a loss."""
        view = self._view
        self._lost(view.heartbeat_domain, view.heartbeat_domain.minus(host))
        self._change_heartbeat(view.heartbeat_domain.minus(host))

    def expel_advancing(self, host: int) -> None:
        """Take a host whose record advances, but which is stuck, out of the State-File domain."""
        view = self._view
        self._stuck = self._stuck.plus(host)
        self._lost(view.statefile_domain, view.statefile_domain.minus(host))
        self._change_statefile(view.statefile_domain.minus(host))

    def lose_access(self, now_ms: int, why: str) -> None:
        """Note that this host has no State-File access any more."""
        view = self._view
        if view.statefile_access:
            view.log("statefile-lost", reason=why)
        view.statefile_access = False
        view.without_access_at_ms = now_ms

    def _heartbeat(self, now_ms: int) -> None:
        view = self._view
        before, me = view.heartbeat_domain, view.me
        in_walk, may_come = view.phase >= Phase.FHREADY, not view.join_blocked
        timeout_ms = view.common.heartbeat_timeout_ms
        bits = 1 << me
        deadlines_ms = []
        for peer in view.peers:
            index = peer.index
            if index == me:
                continue
            # T1 from its last heartbeat, this host's own stalls apart.
            deadline_ms = peer.heard_at_ms + peer.heartbeat_discount_ms + timeout_ms
            if peer.heard_at_ms == NEVER or now_ms >= deadline_ms:
                # Of an unsealed sender the sequence is forgotten; of a sealed one never.
                peer.sequence = NEVER
                continue
            if not (before.bits >> index & 1):
                if not may_come:
                    continue
            elif in_walk and self._is_one_way(peer):
                continue
            bits |= 1 << index
            deadlines_ms.append(deadline_ms)
        if deadlines_ms:
            view.wake(min(deadlines_ms))
        after = HostSet.of_bits(bits)
        self._lost(before, after)
        self._change_heartbeat(after)

    def _is_one_way(self, peer: Peer) -> bool:
        """Whether a host that walks like this one says that it does not hear this one."""
        heartbeat = peer.heartbeat
        return (heartbeat is not None and heartbeat.phase >= Phase.FHREADY
                and self._view.me not in heartbeat.heartbeat_domain)

    def _statefile(self, now_ms: int) -> None:
        view = self._view
        before = view.statefile_domain
        if not view.join_blocked:
            self._stuck = EMPTY
        blind = self._is_blind(now_ms)
        may_come_in = self._may_come_in()
        timeout_ms = view.common.statefile_timeout_ms
        bits = 0
        deadlines_ms = []
        for peer in view.peers:
            bit = 1 << peer.index
            if not (before.bits | may_come_in.bits) & bit:
                continue
            # T2 from its last advance, this host's own stalls apart.
            deadline_ms = peer.advanced_at_ms + peer.statefile_discount_ms + timeout_ms
            if peer.advanced_at_ms != NEVER and now_ms < deadline_ms:
                bits |= bit
                deadlines_ms.append(deadline_ms)
            elif blind and before.bits & bit and peer.index != view.me:
                bits |= bit
        if deadlines_ms:
            view.wake(min(deadlines_ms))
        after = HostSet.of_bits(bits)
        if blind and view.me not in after:
            # Not they are silent, I do not see: nobody is seen advancing any more.
            after = EMPTY
        if view.me in before and view.me not in after:
            self.lose_access(now_ms, "my own record has not advanced for too long")
        if not view.sr2:
            self._lost(before, after)
        self._change_statefile(after)

    def _may_come_in(self) -> HostSet:
        """The hosts that come into the State-File domain when their records advance.

        While the fault handler runs: those of the liveset, until the picture is frozen; but
        not one that was taken out because it did not come to a rendezvous.
        """
        view = self._view
        if not view.join_blocked:
            return view.everyone
        return EMPTY if view.frozen else view.liveset - self._stuck

    def _is_blind(self, now_ms: int) -> bool:
        """Whether this host has had no good reading for too long to judge who advances.

        Then others stay in the domain until this host itself, which has the same bad disk, is
        out of it: a host that cannot read accuses nobody one by one.
        """
        last_ms = self._view.reading_completed_at_ms
        if last_ms == NEVER:
            return False
        blind_at_ms = last_ms + timing.reading_gap_ms(self._view.common) + 1
        if now_ms < blind_at_ms:
            self._view.wake(blind_at_ms)
        return now_ms >= blind_at_ms

    def _lost(self, before: HostSet, after: HostSet) -> None:
        if (before - after) & self._view.liveset:
            self._view.loss_pending = True

    def _change_heartbeat(self, after: HostSet) -> None:
        view = self._view
        if after != view.heartbeat_domain:
            view.log("hb-domain-changed", liveset=view.picture(after))
            view.heartbeat_domain = after

    def _change_statefile(self, after: HostSet) -> None:
        view = self._view
        if after != view.statefile_domain:
            view.log("sf-domain-changed", liveset=view.picture(after))
            view.statefile_domain = after
