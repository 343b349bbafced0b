"""When this host must die: the fencing mode, and the deadlines of its watchdogs.

Theory of operation
===================

A host that its peers have given up on must not run when they act on that.
Peers give up T1 (T2) after they last noticed a heartbeat (a write) of ours;
the watchdogs reset us Wh (Ws) after we last *issued* one.  What was noticed
was issued before: so counting from the issue, and from nothing later, makes
our death come in time whatever our own code does in between.  (Counting from
the moment the send or write returned would be simpler and wrong: one that
blocked for three seconds would push our death three seconds past the peers'
patience.)

Therefore a timer moves only by an event that proves the I/O it guards.  No
clock moves it; a hung loop, a stuck disk and a dead process all end in a
reset.  It never moves back.

The one exception is survival rule 2, when nobody has a State-File to write
to.  There the proof is what the others publish: each echoes the last of our
heartbeats that it heard (``echoes``), and when we issued that we know.  An
xhad peer only says, in a heartbeat received at r, "I last heard you a ms ago";
of it r - a has to do, where r is the earliest instant at which its heartbeat
can have arrived: it may have waited in our socket while we were frozen.
The oldest such moment over all others is the moment by which everybody
provably had heard us; the timer may stand at that moment + Ws.  It is
evidence, not a kick: a cut under rule 2 stops it.

A host that was disarmed stays so until its daemon ends, also when the time is
over for which that was meant (``expect``): then it only says so, here and in its
heartbeats, again and again.  For it has told the others that nothing resets it, so
they wait for no sign of life of it: one of them may be about to drop it without
waiting, or be out of sight with that word of it as the last.  Armed again it would
promise that whoever drops it has waited for its reset, and nobody would know of that
promise.  A new daemon joins as every host does, and every member has heard of its
life before it counts as armed.

Source: spec 3 ("Reading and writing", step 1), spec 4 (last paragraph), spec
5 ("SR2", "Fencing"), spec 7.
"""

from typing import Dict

from xha import actions, holdterm
from xha.actions import Watchdog
from xha.echoes import Echoes
from xha.errors import ExitCode
from xha.published import NEVER, FencingMode, Heartbeat, LastWords, Phase
from xha.view import Peer, View

#: How often it is said that a host is still disarmed, ms.
REMIND_MS = 600 * 1000


class Fencing:
    """The fencing mode, the watchdogs' deadlines, and every way to end."""

    __slots__ = ("_view", "_echoes", "_expires_at_ms", "_warned", "_closed", "_before_ms",
                 "_remind_at_ms")

    def __init__(self, view: View, echoes: Echoes) -> None:
        self._view = view
        self._echoes = echoes
        # NEVER: the timer stands at the largest time-out.
        self._expires_at_ms = {
            Watchdog.HEARTBEAT: NEVER, Watchdog.STATEFILE: NEVER}  # type: Dict[Watchdog, int]
        # Where each timer stood before it was last moved.
        self._before_ms = dict(self._expires_at_ms)
        self._warned = {Watchdog.HEARTBEAT: False, Watchdog.STATEFILE: False}
        self._closed = False
        # When it is said next that it is still disarmed; NEVER: its term is not over, or has none.
        self._remind_at_ms = NEVER

    def heartbeats_sent(self, issued_at_ms: int) -> None:
        """Sending to every peer was attempted, in the regular beat."""
        self._move(Watchdog.HEARTBEAT,
                   issued_at_ms + self._view.common.heartbeat_watchdog_timeout_ms)

    def record_written(self, issued_at_ms: int) -> None:
        """This host's record was written."""
        self._move(Watchdog.STATEFILE,
                   issued_at_ms + self._view.common.statefile_watchdog_timeout_ms)

    def weigh_evidence(self, now_ms: int) -> None:
        """Move the State-File timer by what the others say, while nobody has access."""
        view = self._view
        if view.statefile_access or self._expires_at_ms[Watchdog.STATEFILE] == NEVER:
            return
        oldest_ms = now_ms
        for peer in view.peers:
            if peer.index == view.me or peer.excluded:
                continue
            heartbeat = peer.heartbeat
            if (heartbeat is None or heartbeat.statefile_access
                    or view.me not in heartbeat.current_liveset
                    or view.me not in heartbeat.heartbeat_domain):
                return
            heard_ms = self._heard_by(peer, heartbeat)
            if heard_ms == NEVER:
                return  # unreached: whoever has this host in its heartbeat domain echoes it
            oldest_ms = min(oldest_ms, heard_ms)
        self._move(Watchdog.STATEFILE,
                   oldest_ms + view.common.statefile_watchdog_timeout_ms)

    def _heard_by(self, peer: Peer, heartbeat: Heartbeat) -> int:
        """The issue by which a host provably had heard this one; NEVER: nothing is proven."""
        if heartbeat.seal is not None:
            return self._echoes.heard_by(heartbeat)
        age_ms = heartbeat.since_heartbeat_ms[self._view.me]
        # Not ``heard_at_ms``: that is when this host took it in.
        return NEVER if age_ms < 0 else peer.heard_since_ms - age_ms

    def obey(self, now_ms: int, peer: Peer) -> None:
        """Fence this host because another has put it out.

        One that had heard an earlier life of this host put that one out: the heartbeat is old,
        or was recorded.  Who means this life will say so when it has heard it.
        """
        assert peer.heartbeat is not None
        if not self._echoes.of_another_life(peer.heartbeat):
            self.fence(now_ms, "fence-requested",
                       "host {} has put this host out".format(peer.index))

    @property
    def guarded(self) -> bool:
        """Whether both timers have been set: an armed host without one must not go online."""
        return all(at_ms != NEVER for at_ms in self._expires_at_ms.values())

    def failed(self, watchdog: Watchdog, error: str) -> None:
        """A timer could not be moved: it stands where it stood; the next proof tries again.

        One that was never set would never run out: then there is no start.
        """
        # unreached: the virtual timers obey
        self._expires_at_ms[watchdog] = self._before_ms[watchdog]
        if not self._view.online:
            self.abort(ExitCode.WATCHDOG_ERROR, "the {} watchdog cannot be set: {}".format(
                watchdog.value, error))

    def arm(self) -> None:
        """From now on a loss of membership resets this host."""
        assert self._view.fencing is FencingMode.NONE
        self._view.fencing = FencingMode.ARMED
        self._view.emit(actions.RecordArmed())
        self._view.log("fencing-armed")

    def disarm(self) -> None:
        """Close both watchdogs: from now on nothing resets this host, and it drops nobody."""
        if self._view.fencing is FencingMode.DISARMED:
            return
        self._view.fencing = FencingMode.DISARMED
        self._view.fence_request = False
        self._close()
        self._view.log("fencing-disarmed")
        self._view.burst()

    def expect(self, now_ms: int, term_ms: int) -> None:
        """Note how long it is meant to be disarmed, from now on; 0: for good."""
        view = self._view
        view.disarm_until_ms = now_ms + term_ms if term_ms else NEVER
        self._remind_at_ms = view.disarm_until_ms
        if term_ms:
            view.log("disarm-term", term=holdterm.in_words(term_ms))

    def check(self, now_ms: int) -> None:
        """Say, once, that a timer is about to expire: less than t1 is left (spec 7).

        Of a disarmed host: that it still is, if it was not meant to be.
        """
        if self._closed:
            self._remind(now_ms)
            return
        warning_ms = self._view.common.heartbeat_interval_ms
        for watchdog in (Watchdog.HEARTBEAT, Watchdog.STATEFILE):
            expires_at_ms = self._expires_at_ms[watchdog]
            if expires_at_ms == NEVER or self._warned[watchdog]:
                continue
            if expires_at_ms - now_ms < warning_ms:
                self._warned[watchdog] = True
                self._view.log("watchdog-expiring", watchdog=watchdog.value,
                               ms=max(0, expires_at_ms - now_ms))
            else:
                self._view.wake(expires_at_ms - warning_ms + 1)

    def _remind(self, now_ms: int) -> None:
        view = self._view
        if self._remind_at_ms == NEVER:
            return
        if now_ms >= self._remind_at_ms:
            view.log("still-disarmed", since=holdterm.in_words(now_ms - view.disarm_until_ms))
            self._remind_at_ms = now_ms + REMIND_MS
        view.wake(self._remind_at_ms)

    def fence(self, now_ms: int, code: str, text: str) -> None:
        """Reset this host, if armed; leave the reason where others can read it.

        ``now_ms`` is not published; the wall clock is put in where the words are encoded.
        """
        view = self._view
        if not view.armed or view.ended:
            return
        words = LastWords(
            code=code, text=text, at_wall_s=0, incarnation=view.incarnation,
            liveset=view.liveset, heartbeat_domain=view.heartbeat_domain,
            statefile_domain=view.statefile_domain)
        view.last_words = words
        view.log("self-fencing", code=code, reason=text)
        view.ended = True
        view.emit(actions.SelfFence(words=words))

    def abort(self, code: ExitCode, text: str) -> None:
        """End the daemon without fencing: both paths go off, the watchdogs are closed."""
        if self._view.ended:
            return  # unreached: every caller looks whether the daemon has ended
        self._close()
        self._end(code, text, watchdogs_left=False)
        self._view.phase = Phase.ABORTED

    def leave(self, code: ExitCode, text: str) -> None:
        """End the daemon; an armed host's timers run on and will reset it (spec 7)."""
        if self._view.ended:
            return
        left = self._view.armed and not self._closed
        if not left:
            self._close()
        self._end(code, text, watchdogs_left=left)

    def _end(self, code: ExitCode, text: str, watchdogs_left: bool) -> None:
        view = self._view
        view.ended = True
        if watchdogs_left:
            view.log("watchdogs-left")
        if view.phase is Phase.STARTING and code is not ExitCode.SUCCESS:
            view.log("start-aborted", reason=text)
        view.log("terminated", code=int(code), reason=text)
        view.emit(actions.Terminate(code=code, text=text, watchdogs_left=watchdogs_left))

    def _close(self) -> None:
        if not self._closed:
            self._closed = True
            self._view.log("watchdogs-closed")
            self._view.emit(actions.CloseWatchdogs())

    def _move(self, watchdog: Watchdog, expires_at_ms: int) -> None:
        if self._closed or expires_at_ms <= self._expires_at_ms[watchdog]:
            return
        self._before_ms[watchdog] = self._expires_at_ms[watchdog]
        self._expires_at_ms[watchdog] = expires_at_ms
        self._warned[watchdog] = False
        self._view.emit(actions.SetWatchdog(watchdog=watchdog, expires_at_ms=expires_at_ms))
