"""What must hold after every event: the promise, seen by somebody who sees everything.

The checkers look at the world, not at what a host believes of it: which machines run, when a
write reached the disk, which heartbeats were taken in.  Source: spec 5, "Invariants" 1 to 4;
the fifth, that a healed pool forms again, is the campaign's (``simrun``).  The bounds of the
timers are those of spec 3, 4 and 5 ("SR2").

A drop must not be right by luck.  Survivors cannot tell a host that lost its power from one that
is cut off and runs until its State-File timer ends it: so a host that died is counted as alive
until that timer, as it stood, would have run out; and the survivor must have looked at the
State-File once more since then, or it would not have seen a host that had thawed in between.  So
must it have waited as spec 5 says, though the sign-of-life guard alone would often allow less.

Hosts that run the original's daemon break promises by faults of their own, which are known (spec
14) and not ours to mend.  Those are noted, not raised: only where every host that decided wrong
runs it.  A promise that one of our hosts breaks is broken, whoever else is in the pool.
"""

from typing import Callable, Dict, List, Sequence, Set, Tuple

from xha import timing
from xha.actions import Watchdog
from xha.config import Common
from xha.hostset import EMPTY, HostSet
from xha.published import NEVER, FencingMode, Phase, PoolState
from xha.simdeaths import Deaths
from xha.simhost import Host
from xha.simjoining import Joining
from xha.simkeys import Keys
from xha.simknowing import Knowing
from xha.view import View

#: Two hosts that are let in at the same time learn of each other a moment later, ms.
ACQUAINTED_MS = 3000
#: Instants of different clocks are compared in whole ms, each rounded down.
ROUNDING_MS = 3
#: A cycle of xhad may be so late: it looks twice a second, and its last access took some time, ms.
XHAD_LATE_MS = 1000
#: Nobody is dropped sooner after the rendezvous of FH4.  Source: spec 5, fault handler, step 4.
LEAST_WAIT_MS = 10000


class Breach(Exception):
    """The promise is broken."""


class LivenessMissed(Exception):
    """A healed pool has not formed in time."""


class Checkers:
    """Looks at every host whose core may have changed."""

    def __init__(self, hosts: Sequence[Host], common: Common, now_ms: Callable[[], int],
                 note: Callable[[Host, str], None]) -> None:
        """Look at ``hosts``.

        Args:
            now_ms: the world's time.
            note: told of each fault of the original, and of whom.
        """
        self._hosts = hosts
        self._note = note
        self._noted = set()  # type: Set[str]
        # The armed hosts that hold the lock, in the order in which they came to it.
        self._holders = []  # type: List[int]
        self._common = common
        self._now_ms = now_ms
        # Pairs of members that are not in each other's livesets, since when.
        self._apart_ms = {}  # type: Dict[Tuple[int, int], int]
        self._livesets = {}  # type: Dict[int, HostSet]
        # By member: the world's time at which it became one.
        self._member_since_ms = {}  # type: Dict[int, int]
        self._seen = {}  # type: Dict[int, Tuple[object, ...]]
        # By host that is up and guarded: all that was looked at last.
        self._looked_at = {}  # type: Dict[int, Tuple[object, ...]]
        # By member: its view, which outlives its daemon; and the phase that was seen last.
        self._views = {}  # type: Dict[int, View]
        self._phases = {}  # type: Dict[int, Phase]
        # By member, and phase of the fault handler: when it entered it, on its own clock.
        self._entered_ms = {}  # type: Dict[Tuple[int, Phase], int]
        # By disarmed member: its liveset.
        self._disarmed = {}  # type: Dict[int, HostSet]
        # By host: where its State-File timer stands, on its own clock.
        self._stands_ms = {}  # type: Dict[int, int]
        # By host that died: the world's time until which it would have run if it had only been
        # cut off.
        self._would_run_ms = {}  # type: Dict[int, int]
        # By host: its daemon, the first move of its heartbeat timer, and how many there were.
        self._beats = {}  # type: Dict[int, Tuple[object, int, int]]
        #: When each host left a liveset for good: (world's time, who dropped, who was dropped).
        self.drops = []  # type: List[Tuple[int, int, int]]
        #: Who has ended, and ought not to have.
        self.deaths = Deaths(hosts, common, now_ms, self._accuse)
        self._knowing = Knowing(self._accuse)
        self._keys = Keys(hosts, self._accuse)
        #: Who comes in, and by whose word.
        self.joining = Joining(hosts, common, now_ms, self._accuse)

    def _look_at_ours(self, host: Host) -> None:
        self._knowing.look(host)
        self._keys.look(host)

    def check(self, host: Host) -> None:
        """Raise Breach if what ``host`` believes now breaks an invariant.

        Only armed hosts count: a disarmed host promises nothing, and drops nobody.
        """
        view = host.view
        (self.deaths.look_at_xhad if host.runs_xhad else self._look_at_ours)(host)
        if view is not None and host.guarded and host.up and not (
                host.timers.frozen or self._apart_ms):
            looked_at = (view, view.phase, view.fencing, view.liveset, view.holding)
            if self._looked_at.get(host.index) == looked_at:
                return
            self._looked_at[host.index] = looked_at
        else:
            self._looked_at.pop(host.index, None)
        self._closes_no_armed_timers(host)
        self._drops_nobody_when_disarmed(host)
        if not host.guarded:
            # Nobody counts on its reset; and who starts anew has ended before.
            self._stands_ms.pop(host.index, None)
            self._would_run_ms.pop(host.index, None)
        if view is None or not view.online or not host.dangerous:
            if host.index in self._seen:
                del self._livesets[host.index]
                del self._member_since_ms[host.index]
                del self._seen[host.index]
                self._views.pop(host.index, None)
                del self._phases[host.index]
            return
        self._rule_two_has_everybody(host, view)
        self._member_since_ms.setdefault(host.index, self._now_ms())
        self._views[host.index] = view
        if self._phases.get(host.index) is not view.phase:
            self._entered_ms[host.index, view.phase] = host.now_ms()
        self._phases[host.index] = view.phase
        if self._apart_ms:
            self._look_at_strangers()
        state = (view.liveset, view.holding)
        if self._seen.get(host.index) == state:
            return
        self._seen[host.index] = state
        before = self._livesets.get(host.index, EMPTY)
        self._livesets[host.index] = view.liveset
        self._dropped_hosts_are_dead(host, before - view.liveset)
        if before != view.liveset:
            self.joining.changed(host, before, self._members())
        self._livesets_meet(host)
        self._note_strangers(host)
        self._one_master()

    def _accuse(self, culprits: Sequence[int], text: str) -> None:
        """Raise Breach; where only the original's daemon decided wrong, note that once."""
        if not all(self._hosts[index].runs_xhad for index in culprits):
            raise Breach(text)
        if text not in self._noted:
            self._noted.add(text)
            self._note(self._hosts[culprits[0]], text)

    # ---- 1 to 3

    def _dropped_hosts_are_dead(self, host: Host, dropped: HostSet) -> None:
        """When a host's liveset loses i, i was reset, or stopped cleanly, or is disarmed."""
        for index in dropped:
            self.drops.append((self._now_ms(), host.index, index))
            other = self._hosts[index]
            fault = ("came in as what it was before" if self.joining.is_ghost(other) else
                     "lives on by rule 2 without being heard"
                     if self.deaths.lives_on_rule_two(other) else "")
            if fault:
                self._accuse([index], "host {} {}, which host {} drops".format(
                    index, fault, host.index))
                continue
            if other.dangerous:
                self._accuse([host.index], "host {} dropped host {}, which still runs".format(
                    host.index, index))
            if host.runs_xhad:
                continue
            early_ms = self._would_run_until_ms(other) - self._now_ms()
            if early_ms > 0:
                raise Breach("host {} dropped host {} {} ms before it could know that it was "
                             "dead".format(host.index, index, early_ms))
            self._looked_once_more(host, other)
        if dropped and not host.runs_xhad:
            self._waited_out_the_dead(host)

    def _looked_once_more(self, host: Host, dropped: Host) -> None:
        """Who drops a host has read the State-File since that host has certainly been reset."""
        view = host.view
        assert view is not None
        read_ms = host.clock.true_ms(view.reading_issued_at_ms)
        blind_ms = self._would_run_until_ms(dropped) - read_ms
        if blind_ms > 0 and not view.sr2:
            raise Breach("host {} dropped host {}, and had not read the State-File since {} ms "
                         "before that was dead".format(host.index, dropped.index, blind_ms))

    def _waited_out_the_dead(self, host: Host) -> None:
        """Who drops hosts has waited for the standard wait, and for 10 s (spec 5, step 4)."""
        common = self._common
        standard_ms = (
            max(common.heartbeat_watchdog_timeout_ms, common.statefile_watchdog_timeout_ms)
            - min(common.heartbeat_timeout_ms, common.statefile_timeout_ms)
            + max(common.heartbeat_interval_ms, common.statefile_interval_ms))
        for phase, wait_ms in ((Phase.FH3DONE, standard_ms), (Phase.FH4, LEAST_WAIT_MS)):
            waited_ms = host.now_ms() - self._entered_ms.get((host.index, phase), NEVER)
            if waited_ms < wait_ms:
                raise Breach("host {} dropped others {} ms after it came to {}, and must wait for "
                             "{} ms".format(host.index, waited_ms, phase.name, wait_ms))

    def _would_run_until_ms(self, host: Host) -> int:
        """The world's time by which a host that may be dropped now has certainly been reset."""
        if host.up and host.guarded and host.index in self._stands_ms:
            # Frozen beyond its time: it will not run again, but who can know?
            return self._last_ms(host, self._stands_ms[host.index])
        return self._would_run_ms.get(host.index, NEVER)

    @staticmethod
    def _last_ms(host: Host, expires_at_ms: int) -> int:
        """The world's time of the reset by a timer of ``host``."""
        return host.clock.true_ms(expires_at_ms) + host.timers.reset_ms

    def _members(self) -> Sequence[Host]:
        return [host for host in self._hosts
                if host.dangerous and host.view is not None and host.view.online]

    def _livesets_meet(self, host: Host) -> None:
        """No two unfenced online hosts have disjoint livesets."""
        assert host.view is not None
        for other in self._members():
            assert other.view is not None
            if not other.view.liveset & host.view.liveset:
                self._accuse([self._newer(host.index, other.index)], (
                    "hosts {} and {} have disjoint livesets {} and {}".format(
                        host.index, other.index, host.view.picture(host.view.liveset),
                        host.view.picture(other.view.liveset))))

    def _note_strangers(self, host: Host) -> None:
        """Two members that both go on without the other are two pools."""
        assert host.view is not None
        for other in self._members():
            assert other.view is not None
            pair = (min(host.index, other.index), max(host.index, other.index))
            if host.index in other.view.liveset or other.index in host.view.liveset:
                self._apart_ms.pop(pair, None)
            else:
                self._apart_ms.setdefault(pair, self._now_ms())

    def _newer(self, one: int, other: int) -> int:
        """Which of two members made a second pool: who became a member last.

        Ours shows what it will form on the State-File and looks what others show, before it
        forms; xhad does neither.  So of two that form when neither can have read of the other,
        it is xhad.  (A member that parts by dropping the other is found when it does that.)
        """
        unread_ms = 2 * self._common.statefile_interval_ms

        def since_ms(index: int) -> int:
            xhad_ms = unread_ms if self._hosts[index].runs_xhad else 0
            return self._member_since_ms.get(index, self._now_ms()) + xhad_ms
        return max((one, other), key=lambda index: (since_ms(index), index))

    def _look_at_strangers(self) -> None:
        members = {host.index for host in self._members()}
        for pair in sorted(self._apart_ms):
            allowed_ms = ACQUAINTED_MS
            if not members.issuperset(pair):
                del self._apart_ms[pair]
                continue
            if self._introduced(members, pair):
                # They are in one pool.  Who counts both says so, or is lost to one within T1.
                allowed_ms += self._common.heartbeat_timeout_ms
                if any(self._view_of(host).phase is not Phase.STARTED for host in pair):
                    self._apart_ms[pair] = self._now_ms()
            if self._now_ms() - self._apart_ms[pair] > allowed_ms:
                self._accuse([self._newer(*pair)],
                             "hosts {} and {} both go on without the other".format(*pair))

    def _introduced(self, members: Set[int], pair: Tuple[int, int]) -> bool:
        """Whether a member that both count as alive counts both as alive."""
        return any(host in members and HostSet(pair) <= self._view_of(host).liveset
                   for host in self._view_of(pair[0]).liveset & self._view_of(pair[1]).liveset)

    def _view_of(self, member: int) -> View:
        view = self._hosts[member].view
        assert view is not None
        return view

    def _one_master(self) -> None:
        """At most one unfenced armed host believes that it holds the master lock."""
        holders = [host.index for host in self._members()
                   if host.view is not None and host.view.holding]
        before = [index for index in self._holders if index in holders]
        self._holders = before + [index for index in holders if index not in before]
        if len(holders) > 1:
            # Who came first was right.
            self._accuse(self._holders[1:], "hosts {} all hold the master lock".format(holders))

    # ---- 5: who puts out whom, and what ends a host

    def _rule_two_has_everybody(self, host: Host, view: View) -> None:
        """Who declares survival rule 2 puts nobody out who runs, and did not leave on purpose."""
        decided = (view.phase is Phase.FH3DONE
                   and self._phases.get(host.index) is not Phase.FH3DONE)
        if not (decided and view.sr2):
            return
        for index in view.liveset - view.proposed:
            if self._hosts[index].dangerous and not view.peers[index].excluded:
                self._accuse([host.index], (
                    "host {} declares survival rule 2 without host {}, which runs".format(
                        host.index, index)))

    def _drops_nobody_when_disarmed(self, host: Host) -> None:
        """A host that nothing resets never drops others (spec 5, "Fencing")."""
        view = host.view
        if view is None or not view.online or view.fencing is not FencingMode.DISARMED:
            self._disarmed.pop(host.index, None)
            return
        before = self._disarmed.get(host.index, view.liveset)
        self._disarmed[host.index] = view.liveset
        if before - view.liveset:
            self._accuse([host.index], "host {} is disarmed, and dropped hosts {}".format(
                host.index, view.picture(before - view.liveset)))

    def _closes_no_armed_timers(self, host: Host) -> None:
        """A daemon that ends armed leaves its timers running, while the pool is active (spec 7)."""
        last = self._views.get(host.index)
        if (host.view is None and last is not None and last.pool_state is PoolState.ACTIVE
                and host.up and not host.guarded):
            self._accuse([host.index], (
                "the daemon of host {} ended armed, and nothing resets the host".format(
                    host.index)))

    # ---- the timers

    def check_timer(self, host: Host, watchdog: Watchdog, expires_at_ms: int) -> None:
        """Raise Breach if a timer is moved beyond what the world has proven (spec 3, 4, 5).

        The original moves its timers by its clock: it never promised more.  One that stalled
        moves its State-File timer before it writes again, so long after its last write that
        nobody can know of it (spec 5 counts max(t1,t2)): that one is not counted.
        """
        stalled = host.runs_xhad and host.way.proven_ms != NEVER and (
            host.now_ms() - host.way.proven_ms > timing.beat_ms(self._common) + XHAD_LATE_MS)
        if watchdog is Watchdog.STATEFILE and not stalled:
            self._stands_ms[host.index] = expires_at_ms
        if host.runs_xhad:
            return
        if watchdog is Watchdog.HEARTBEAT:
            self._beats_are_regular(host)
            latest_ms = host.sent_at_ms + self._common.heartbeat_watchdog_timeout_ms
        else:
            latest_ms = (max(host.way.proven_ms, self._evidence_ms(host))
                         + self._common.statefile_watchdog_timeout_ms)
        if expires_at_ms > latest_ms + ROUNDING_MS:
            raise Breach("host {} moves its {} watchdog {} ms beyond what is proven".format(
                host.index, watchdog.value, expires_at_ms - latest_ms))

    def _beats_are_regular(self, host: Host) -> None:
        """The heartbeat timer is moved once per t1: by the regular beat alone (spec 4)."""
        daemon, since_ms, moves = self._beats.get(host.index, (None, NEVER, 0))
        if daemon is not host.node:
            daemon, since_ms, moves = host.node, host.now_ms(), 0
        self._beats[host.index] = (daemon, since_ms, moves + 1)
        # The first at once; and one more, because a late one does not make the next late.
        if moves + 1 > 2 + (host.now_ms() - since_ms) // self._common.heartbeat_interval_ms:
            raise Breach("host {} moves its heartbeat watchdog more often than once per "
                         "t1".format(host.index))

    def _evidence_ms(self, host: Host) -> int:
        """The issue, on the host's clock, by which all others that count have heard it.

        An xhad peer only says how long ago it heard; what its heartbeat was on its way is added
        to that, and nobody can tell how long that was (spec 5, "SR2").
        """
        view = host.view
        if view is None or view.statefile_access:
            return NEVER
        others = [self._hosts[peer.index] for peer in view.peers
                  if peer.index != host.index and not peer.excluded]
        others = [other for other in others if not other.runs_xhad]
        if not others:
            return host.now_ms()
        span_ms = self._common.statefile_watchdog_timeout_ms + timing.patience_ms(self._common)
        return (min(other.heard.get(host.index, NEVER) for other in others)
                + timing.drift_ms(span_ms))

    # ---- 4

    def check_death(self, host: Host, why: str) -> None:
        """A host is reset, or loses its power: raise Breach if it ought not to have ended."""
        # It was reset, armed or not: its next daemon ends an armed one's life no more.
        view = self._views.pop(host.index, None)
        self.joining.was_reset(host, self._members())
        stands_ms = self._stands_ms.pop(host.index, NEVER)
        if stands_ms != NEVER and why != "fenced":
            self._would_run_ms[host.index] = self._last_ms(host, stands_ms)
        self.deaths.check(host, why, self._members(), view)
