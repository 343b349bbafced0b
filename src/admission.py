"""Letting other hosts join the liveset, and noticing those who may not.

Theory of operation
===================

A host that wants in proposes itself.  Each member that sees it on both paths
proposes it too; once every member proposes it, it is in.  So it is in for all
or for none, and no member can be surprised by it.

A host that is in its own liveset but not in ours was dropped, and it runs: the
one thing that must not be.  It is never taken in again; it is told to fence
until it is silent.  (While we start, or under survival rule 2, or when we had
already proposed it, it was merely accepted a moment before we noticed.)

Two hosts that are let in at the same time were proposed by every member, but
not by each other.  What they send to each other may be lost or late: so each
takes the word of the members, once all of them count the other as alive and
mean to go on so.  Until T1 after it became a member, and while a fault handler
blocks joining, a host accuses nobody who never was in its liveset.

Source: spec 5, "Letting others join"; spec 5 does not speak of two at once.
"""

from xha import startfacts
from xha.echoes import heard_another_life
from xha.hostset import EMPTY, HostSet
from xha.published import NEVER, Phase
from xha.view import Peer, View


class Admission:
    """Decides, for each host that is heard, whether it is let in."""

    __slots__ = ("_view", "_known", "_member_since_ms")

    def __init__(self, view: View) -> None:
        self._view = view
        # Who ever was in the liveset of this daemon.
        self._known = EMPTY
        self._member_since_ms = NEVER

    def step(self, now_ms: int) -> None:
        """Look at every host that is heard."""
        view = self._view
        if not view.liveset:
            return
        if view.me in view.liveset and self._member_since_ms == NEVER:
            self._member_since_ms = now_ms
        self._believe_members()
        self._known = self._known | view.liveset
        foreign = EMPTY
        for host in view.heartbeat_domain:
            peer = view.peers[host]
            heartbeat = peer.heartbeat
            if host == view.me or heartbeat is None or host in view.liveset:
                peer.alive_though_dropped = False
                continue
            if host in heartbeat.current_liveset:
                if not self._accepted_elsewhere(host) and not self._may_be_new(now_ms, host):
                    foreign = foreign.plus(host)
                    self._accuse(peer)
            else:
                self._forget_old_instance(host)
                if host in heartbeat.proposed_liveset:
                    self._propose(host)
        view.fence_until_silent = foreign
        self._admit()

    def _accepted_elsewhere(self, host: int) -> bool:
        """Take in a host that the others have accepted; answer whether they can have."""
        view = self._view
        if host in view.proposed or view.phase is Phase.STARTING or view.sr2:
            if view.settled and not self._denied(host):
                view.set_liveset(view.liveset.plus(host), view.proposed.plus(host))
            return True
        return False

    def _denied(self, host: int) -> bool:
        """Whether no member that is heard counts or proposes a host: all have dropped it.

        What the host says may be from before its death, and late.  Under rule 2 nobody is
        dropped.
        """
        view = self._view
        members = [view.peers[member] for member in (
            view.liveset & view.heartbeat_domain).minus(view.me)]
        words = [peer for peer in members if startfacts.is_member(peer)]
        return bool(words) and not view.sr2 and not any(
            self._proposes(peer, host) or host in startfacts.liveset_of(peer) for peer in words)

    def _believe_members(self) -> None:
        """Take in whom all other members count as alive, if it was let in beside this host."""
        view = self._view
        agreed = view.everyone - view.liveset - self._known
        others = view.liveset.minus(view.me)
        if (not agreed or view.me not in view.liveset or not others
                or not others <= view.heartbeat_domain or view.frozen or not view.settled):
            return
        for member in others:
            heartbeat = view.peers[member].heartbeat
            assert heartbeat is not None
            agreed = agreed & heartbeat.current_liveset & heartbeat.proposed_liveset
            # They mean who asked them.  A later life of it would be taken for a host on its way
            # in, which is not judged, and would wait to be dropped as who asked.
            agreed = agreed - HostSet(host for host in agreed & view.heartbeat_domain
                                      if heard_another_life(view, heartbeat, host))
        if agreed:
            view.set_liveset(view.liveset | agreed, view.proposed | agreed)
            if not view.sees(agreed):
                view.loss_pending = True

    def _may_be_new(self, now_ms: int, host: int) -> bool:
        """Whether a host may have been let in beside this one, and no member has said so yet."""
        view = self._view
        until_ms = self._member_since_ms + view.common.heartbeat_timeout_ms
        if now_ms < until_ms:
            view.wake(until_ms)
        return host not in self._known and (now_ms < until_ms or view.join_blocked)

    def _propose(self, host: int) -> None:
        view = self._view
        if view.join_blocked or not view.settled or host in view.proposed:
            return
        if host in view.statefile_domain or view.sr2:
            view.log("host-proposed", host=host)
            view.peers[host].asked_incarnation = _incarnation_of(view.peers[host])
            view.set_liveset(view.liveset, view.proposed.plus(host))

    def _forget_old_instance(self, host: int) -> None:
        """Take a proposal back that was made for an instance which is gone: another speaks."""
        view = self._view
        peer = view.peers[host]
        if host in view.proposed and _incarnation_of(peer) > peer.asked_incarnation > 0:
            view.set_liveset(view.liveset, view.proposed.minus(host))

    def _admit(self) -> None:
        """Take in every proposed host that is heard, asks, and that all members propose.

        A proposal of an instance that may still run is never taken back, even if its host has
        given up: another member may have admitted it on the strength of ours, and whoever lacks
        it then would accuse it.  What its host does not ask for any more is not granted, though.
        A member that is not heard proposes nobody: its last word may be of a time long gone.
        Nor does one that has not yet said that it is a member: what it had proposed was the old
        instance of a host, which it has dropped on its way in.
        """
        view = self._view
        if view.me not in view.liveset or view.join_blocked or not view.settled:
            return
        for host in (view.proposed - view.liveset) & view.heartbeat_domain:
            members = view.liveset.minus(view.me)
            if members <= view.heartbeat_domain and self._proposes(view.peers[host], host) and all(
                    startfacts.is_member(view.peers[member])
                    and self._proposes(view.peers[member], host) for member in members):
                view.set_liveset(view.liveset.plus(host), view.proposed)

    @staticmethod
    def _proposes(peer: Peer, host: int) -> bool:
        return peer.heartbeat is not None and host in peer.heartbeat.proposed_liveset

    def _accuse(self, peer: Peer) -> None:
        """Say once that a dropped host runs; the heartbeats carry the fence request."""
        if not peer.alive_though_dropped:
            peer.alive_though_dropped = True
            self._view.log("dropped-host-runs", host=peer.index)
            self._view.burst()


def _incarnation_of(peer: Peer) -> int:
    """The incarnation that a peer speaks as; 0 for an xhad peer, which does not say."""
    seal = peer.heartbeat.seal if peer.heartbeat is not None else None
    return seal.incarnation if seal is not None else 0
