"""What one host knows and says: the facts that the rooms of the core share.

Theory of operation
===================

The rooms of the core (domains, startup, faulthandling, masterlock, ...) each
own a *procedure*; the facts that they decide from are few and shared, so they
live here, in one place that can be printed.  Every fact has one writer, named
beside it.  Nothing here decides anything.

An instant is in ms of this host's monotonic clock; -1 (``NEVER``) is "never".

``out`` collects a step's actions in their order.  ``wake_at`` collects the
earliest instant at which a room wants to be stepped again even if nothing
happens; every step begins with a clean slate and every room says it anew, so
a deadline cannot be forgotten by cancelling it in one place too few.
"""

from typing import Any, FrozenSet, List, Optional

from xha import actions, config
from xha.hostset import EMPTY, HostIndex, HostSet
from xha.poolkey import Ring
from xha.published import (NEVER, NO_MASTER, FencingMode, GlobalRecord, Heartbeat, HostRecord,
                           LastWords, Phase, PoolState, WatchdogMode)


class Peer:
    """What is known of one configured host, the local one included."""

    __slots__ = ("index", "uuid", "address", "heartbeat", "heard_at_ms", "heard_since_ms",
                 "own_member_at_ms",
                 "heartbeat_discount_ms", "sequence", "incarnation", "sealed_sequence",
                 "record", "read_before", "advanced_at_ms", "withheld_advance_at_ms",
                 "statefile_discount_ms", "unsealed_readings", "bad_since_ms",
                 "bad_fingerprint", "bad_text", "alive_though_dropped", "suspect_at_ms",
                 "member_incarnation", "asked_incarnation", "exclusion_void", "words_told")

    def __init__(self, index: HostIndex, uuid: str, address: str) -> None:
        self.index = index
        self.uuid = uuid
        self.address = address
        # The last accepted heartbeat, and when it was received.  Writer: acceptance.
        self.heartbeat = None  # type: Optional[Heartbeat]
        self.heard_at_ms = NEVER
        # It did not arrive before this: a datagram may have waited in the socket.
        self.heard_since_ms = NEVER
        # Receipt of the last accepted heartbeat that has its sender in its own liveset.
        self.own_member_at_ms = NEVER
        # The part of the present silence that is this host's own fault.  Writer: domains.
        self.heartbeat_discount_ms = 0
        self.statefile_discount_ms = 0
        # Last sequence of an unsealed sender, -1 when forgotten.
        self.sequence = NEVER
        # Newest incarnation known on either path, 0 for none; last sequence heard of it.
        self.incarnation = 0
        self.sealed_sequence = 0
        # The last good record, whether there was one, and when it was seen to advance.
        # Writer: sfcycle.
        self.record = None  # type: Optional[HostRecord]
        self.read_before = False
        self.advanced_at_ms = NEVER
        # An advance of a starting instance whose predecessor is still in our liveset.
        self.withheld_advance_at_ms = NEVER
        # Readings running in which the record was good, advancing and unsealed.
        self.unsealed_readings = 0
        # The record is bad since; NEVER when it is good.
        self.bad_since_ms = NEVER
        self.bad_fingerprint = 0
        self.bad_text = ""
        # The last instant at which its section may have hidden an advance: bad bytes changed, or
        # could not be read.  Writer: sfrecords.
        self.suspect_at_ms = NEVER
        # Its incarnation when it came into our liveset; 0 for one that seals nothing.
        self.member_incarnation = 0
        # Its incarnation when it was proposed last; 0 for one that seals nothing.
        self.asked_incarnation = 0
        # It was let in since its record was read: what that says of exclusion is over.
        self.exclusion_void = False
        # The last incarnation of it whose last words were said.
        self.words_told = 0
        # The host was dropped and still speaks: the gravest error, said once.
        self.alive_though_dropped = False

    @property
    def excluded(self) -> bool:
        """Whether its last good record says that it was shut down on purpose, and it still is.

        A host that starts, or was let in since, is back whatever its record still says.
        """
        return (self.record is not None and self.record.excluded
                and not self.record.starting and not self.exclusion_void)

    @property
    def starting(self) -> bool:
        """Whether its last good record says that it is starting; an unknown host is."""
        return self.record is None or self.record.starting

    @property
    def is_xhad(self) -> bool:
        """Whether it is an xhad peer: good, advancing, unsealed in two readings (spec 4)."""
        return self.unsealed_readings >= 2


class View:
    """The shared facts of one host's core."""

    __slots__ = (
        "common", "me", "everyone", "peers", "out", "wake_at_ms", "software", "watchdog_mode",
        "configuration",
        "incarnation", "keyed", "ring", "phase", "waiting_for", "liveset", "proposed",
        "heartbeat_domain", "statefile_domain", "joining", "join_blocked", "frozen",
        "fence_request",
        "fence_until_silent", "sr2", "sr2_ended_at_ms", "sr2_seen_at_ms", "fencing",
        "disarm_until_ms", "excluded",
        "weight", "committed_weight", "statefile_access", "without_access_at_ms",
        "statefile_corrupted", "global_corrupted", "accelerate_reasons", "accelerated",
        "xapi_restart_at_ms", "xapi_error", "xapi_held_until_ms", "global_record", "lock_request",
        "lock_grants",
        "holding", "last_words", "burst_wanted", "loss_pending", "reading_issued_at_ms",
        "reading_completed_at_ms", "settled", "looks", "listened_at_ms", "sent_at_ms", "ended")

    def __init__(self, common: "config.Common", me: HostIndex, software: str,
                 watchdog_mode: WatchdogMode, weight: int) -> None:
        self.common = common
        self.me = me
        self.everyone = HostSet.first(len(common.hosts))
        self.peers = [Peer(HostIndex(index), host.uuid, host.address)
                      for index, host in enumerate(common.hosts)]
        self.out = []  # type: List[actions.Action]
        self.wake_at_ms = NEVER
        self.software = software
        self.watchdog_mode = watchdog_mode
        # For the others' administrators; nothing here hangs on it.
        self.configuration = config.published(common)
        # Set by the first good reading; 0 before.
        self.incarnation = 0
        self.keyed = False
        # The pool's keys that this host goes by.  Writer: keyring.
        self.ring = None  # type: Optional[Ring]
        self.phase = Phase.STARTING
        self.waiting_for = "the first reading of the State-File"
        self.liveset = EMPTY
        self.proposed = EMPTY
        self.heartbeat_domain = HostSet([me])
        self.statefile_domain = EMPTY
        self.joining = False
        self.join_blocked = False
        # The running fault handler has frozen its picture: until it ends, nothing comes in.
        self.frozen = False
        self.fence_request = False
        self.fence_until_silent = EMPTY
        self.sr2 = False
        self.sr2_ended_at_ms = NEVER
        self.sr2_seen_at_ms = NEVER
        self.fencing = FencingMode.NONE
        # Until then it is meant to be disarmed; NEVER: that was not said.
        self.disarm_until_ms = NEVER
        self.excluded = False
        self.weight = weight
        self.committed_weight = weight
        self._init_paths()

    def _init_paths(self) -> None:
        """The rest of ``__init__``: what concerns the two paths and the lock."""
        self.statefile_access = False
        # The last instant at which this host knew that it had no access.
        self.without_access_at_ms = NEVER
        self.statefile_corrupted = False
        self.global_corrupted = False
        # Why this host asks all to read and write more often; sorted names.
        self.accelerate_reasons = frozenset()  # type: FrozenSet[str]
        self.accelerated = False
        self.xapi_restart_at_ms = NEVER
        self.xapi_error = ""
        # Until then nothing is asked of xapi.
        self.xapi_held_until_ms = NEVER
        # The last good global record.
        self.global_record = None  # type: Optional[GlobalRecord]
        self.lock_request = False
        # A daemon starts with all grants set: a host that joins must not break the hold of a
        # master that it has not read yet.  Source: spec 12.
        self.lock_grants = HostSet.first(64)
        self.holding = False
        self.last_words = None  # type: Optional[LastWords]
        self.burst_wanted = False
        # A host of the liveset left a domain and no run of the fault handler has taken it up.
        self.loss_pending = False
        self.reading_issued_at_ms = NEVER
        self.reading_completed_at_ms = NEVER
        # No gap is being digested: what is remembered of others is current (spec 5).
        self.settled = True
        # How often the rooms looked: between two looks nothing changes but ages (``rest``).
        self.looks = 0
        # Every datagram that had arrived by then was taken in before this step.  Writer: stall.
        self.listened_at_ms = NEVER
        self.sent_at_ms = NEVER
        # The daemon ends: nothing more is decided.
        self.ended = False

    @property
    def online(self) -> bool:
        """Whether the start succeeded: this host is a member of its liveset."""
        return self.phase not in (Phase.STARTING, Phase.ABORTED)

    @property
    def armed(self) -> bool:
        """Whether a loss of membership resets this host."""
        return self.fencing is FencingMode.ARMED

    @property
    def pool_state(self) -> PoolState:
        """The last pool state read; NONE before the first good reading."""
        return PoolState.NONE if self.global_record is None else self.global_record.pool_state

    @property
    def master(self) -> str:
        """The master's UUID in the global record as last read, or ``NO_MASTER``."""
        # unreached: no story asks for a report
        return self.global_record.master if self.global_record else NO_MASTER

    @property
    def others(self) -> HostSet:
        """All configured hosts but this one."""
        return self.everyone.minus(self.me)

    @property
    def excluded_hosts(self) -> HostSet:
        """The other hosts that were shut down on purpose, as last read."""
        return HostSet(peer.index for peer in self.peers
                       if peer.index != self.me and peer.excluded)

    @property
    def flagged_hosts(self) -> HostSet:
        """The other hosts whose excluded flag is set on the disk, whether they are back or not."""
        return HostSet(peer.index for peer in self.peers if peer.index != self.me
                       and peer.record is not None and peer.record.excluded)

    def emit(self, action: "actions.Action") -> None:
        """Ask the world for ``action``, after what was asked before."""
        self.out.append(action)

    def log(self, name: str, **fields: Any) -> None:
        """Say the message ``name`` of the catalogue."""
        self.out.append(actions.log(name, **fields))

    def wake(self, at_ms: int) -> None:
        """Ask to be stepped at ``at_ms`` at the latest."""
        if self.wake_at_ms == NEVER or at_ms < self.wake_at_ms:
            self.wake_at_ms = at_ms

    def tell_last_words(self, peer: Peer, words: Optional[LastWords]) -> None:
        """Say why another host fenced itself; once, on whichever path that is learned first."""
        if words is not None and words.incarnation > peer.words_told:
            peer.words_told = words.incarnation
            self.log("last-words-heard", host=peer.index, code=words.code, text=words.text)

    def burst(self) -> None:
        """Ask for three heartbeats, the first at once (spec 4)."""
        self.burst_wanted = True

    def picture(self, hosts: HostSet) -> str:
        """The operator's picture of a set of hosts: ``1101``."""
        return hosts.picture(len(self.peers))

    def sees(self, hosts: HostSet) -> bool:
        """Whether these hosts are seen on both paths; under survival rule 2 they are heard."""
        return hosts <= self.heartbeat_domain and (self.sr2 or hosts <= self.statefile_domain)

    def set_liveset(self, liveset: HostSet, proposed: HostSet) -> None:
        """Change the current and the proposed liveset, say so, and tell the others."""
        if liveset != self.liveset:
            self.log("liveset-changed", liveset=self.picture(liveset))
        if liveset != self.liveset or proposed != self.proposed:
            self.burst()
        for host in liveset - self.liveset:
            self.peers[host].member_incarnation = self.peers[host].incarnation
            self.peers[host].exclusion_void = True
        self.liveset = liveset
        self.proposed = proposed

    def enter(self, phase: Phase) -> None:
        """Publish a phase, at once."""
        if phase is not self.phase:
            self.log("phase-changed", phase=phase.name)
            self.phase = phase
            self.burst()

    def set_accelerate(self, reason: str, wanted: bool) -> None:
        """Ask all hosts to read and write every 0.4 s, or withdraw that request."""
        if wanted is (reason in self.accelerate_reasons):
            return
        before = bool(self.accelerate_reasons)
        if wanted:
            self.accelerate_reasons = self.accelerate_reasons | {reason}
        else:
            self.accelerate_reasons = self.accelerate_reasons - {reason}
        if bool(self.accelerate_reasons) != before:
            self.burst()

    def set_sr2(self, now_ms: int, holds: bool) -> None:
        """Enter or leave survival rule 2."""
        if holds and not self.sr2:
            self.log("sr2-begun")
        if self.sr2 and not holds:
            self.log("sr2-ended")
            self.sr2_ended_at_ms = now_ms
        if holds or self.sr2:
            self.sr2_seen_at_ms = now_ms
        self.sr2 = holds
