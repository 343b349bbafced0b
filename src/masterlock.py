"""Who may be master: mutual exclusion on the State-File alone.

Theory of operation
===================

Each host publishes in its record a *request* flag and a bitmap of *grants*.
The holder is who requests and has the grant of every host of the liveset,
its own included.  A host grants to every requester while it wants nothing
itself; once it requests, only to itself and to lower indexes: so of two
requesters the lower one blocks the higher, and never the other way round.

What makes it exclusive is what a host knows when it publishes its request:

* no host grants to it (all have seen that its last hold ended), and it grants
  to no higher index (nobody above it can be about to win);
* its grants, withdrawn, were on the disk before a reading *issued after that
  write* told it so.  A grant that is still in its record on the disk, or in a
  reading from before, counts for the others whatever its memory says.

A hold is believed only from a reading issued after the request was on the
disk; after a cancellation nothing read before counts.  (The original takes
stale grants: cancel and propose at once gave two masters.)

A daemon starts with all grants set, because it may join a liveset whose
master it has not read yet: not granting would break that hold.

A hold, once told, lasts until it is cancelled or its host leaves the
liveset; a liveset that grows does not end it, for the holder says ``holding``
in its seal, and grants to nobody.

Source: spec 12.
"""

from typing import List, NamedTuple, Tuple

from xha import actions, timing
from xha.errors import ExitCode
from xha.globalrecord import GlobalChanges
from xha.hostset import EMPTY, HostSet
from xha.published import NEVER, FencingMode
from xha.records import record
from xha.view import View


@record
class Waiter(NamedTuple):
    """A client that waits, and until when."""

    ticket: int
    deadline_ms: int


class MasterLock:
    """This host's side of the lock."""

    __slots__ = ("_view", "_changes", "_proposers", "_cancellers", "_want", "_evaluated",
                 "_clean_at_ms", "_requested_at_ms", "_composed")

    def __init__(self, view: View, changes: GlobalChanges) -> None:
        self._view = view
        self._changes = changes
        self._proposers = []  # type: List[Waiter]
        self._cancellers = []  # type: List[Waiter]
        # A request is wanted and not published yet.
        self._want = False
        self._evaluated = False
        # Completion of the first write since the first evaluation, or the last cancellation,
        # that published no request; NEVER until then.
        self._clean_at_ms = NEVER
        # Completion of the first write that published the present request; NEVER until then.
        self._requested_at_ms = NEVER
        # (evaluated, request) at the moment the record that is being written was composed.
        self._composed = (False, False)  # type: Tuple[bool, bool]

    @property
    def held(self) -> bool:
        """Whether this host holds the lock now."""
        view = self._view
        return view.holding and (view.statefile_access or view.sr2)

    @property
    def waiting(self) -> bool:
        """Whether a client waits for an answer."""
        return bool(self._proposers or self._cancellers)

    def propose(self, now_ms: int, ticket: int) -> None:
        """A client proposes this host as master."""
        view = self._view
        if not view.online:
            self._answer(ticket, ExitCode.NOT_ONLINE, "this host is not online")
        elif self._cut_off_and_disarmed():
            self._deny([ticket], "disarmed, and a host of the liveset is out of sight")
        elif self.held and view.settled:
            self._answer(ticket, ExitCode.SUCCESS, "TRUE")
        elif self.held:
            # After a gap nothing is certain before this host has listened again.
            self._proposers.append(Waiter(
                ticket=ticket, deadline_ms=now_ms + timing.election_bound_ms(view.common)))
        elif not view.statefile_access or view.holding:
            self._deny([ticket], "no access to the State-File")
        else:
            view.log("master-proposed")
            self._proposers.append(Waiter(
                ticket=ticket, deadline_ms=now_ms + timing.election_bound_ms(view.common)))
            self._want = not view.lock_request
            view.set_accelerate("election", True)

    def cancel(self, now_ms: int, ticket: int) -> None:
        """A client gives the lock, or the wish for it, back."""
        view = self._view
        if not view.online:
            self._answer(ticket, ExitCode.NOT_ONLINE, "this host is not online")
            return
        self._refuse_proposers("cancelled")
        self._want = False
        if not view.lock_request and self._clean_at_ms != NEVER:
            self._answer(ticket, ExitCode.SUCCESS, "")
            return
        self._withdraw_request()
        self._cancellers.append(Waiter(
            ticket=ticket, deadline_ms=now_ms + timing.election_bound_ms(view.common)))
        view.set_accelerate("cancel", True)

    def client_gone(self, ticket: int) -> None:
        """Nobody waits for ``ticket``: without proposers an undecided request is pointless."""
        before = len(self._proposers)  # unreached: no client of a story goes away
        self._proposers = [waiter for waiter in self._proposers if waiter.ticket != ticket]
        self._cancellers = [waiter for waiter in self._cancellers if waiter.ticket != ticket]
        if before and not self._proposers and not self._view.holding:
            self._withdraw_request()
        self._accelerate()

    def composed(self) -> None:
        """This host's record was composed from the view, to be written."""
        self._composed = (self._evaluated, self._view.lock_request)

    def written(self, completed_at_ms: int) -> None:
        """The record composed last was written."""
        evaluated, request = self._composed
        if evaluated and not request and not self._view.lock_request:
            if self._clean_at_ms == NEVER:
                self._clean_at_ms = completed_at_ms
            for waiter in self._cancellers:
                self._answer(waiter.ticket, ExitCode.SUCCESS, "")
            self._cancellers = []
            self._accelerate()
        if request and self._view.lock_request and self._requested_at_ms == NEVER:
            self._requested_at_ms = completed_at_ms

    def evaluate(self, now_ms: int) -> None:
        """Apply the rules; at each good reading, change of the liveset, and command."""
        view = self._view
        self._expire(now_ms)
        if view.me not in view.liveset:
            if view.holding:
                # unreached: nobody drops itself from its own liveset
                self._lose("this host left the liveset")
            return
        if not view.online:
            return  # unreached: who has itself in its liveset is online
        if not view.statefile_access:
            if not view.holding:
                self._refuse_proposers("access to the State-File was lost")
                self._withdraw_request()
            return
        if view.global_corrupted:
            return
        requesters = self._requesters()
        view.lock_grants = view.lock_grants & requesters & view.liveset
        self._evaluated = True
        fresh = (self._clean_at_ms != NEVER
                 and view.reading_issued_at_ms >= self._clean_at_ms)
        if self._want and fresh and self._is_ready():
            self._want = False
            view.lock_request = True
            self._requested_at_ms = NEVER
            requesters = requesters.plus(view.me)
        self._grant(requesters)
        if view.settled:
            self._conclude(fresh)

    # ---- rules

    def _requesters(self) -> HostSet:
        view = self._view
        return HostSet(host for host in view.liveset
                       if (view.lock_request if host == view.me
                           else self._requests(host)))

    def _requests(self, host: int) -> bool:
        content = self._view.peers[host].record
        return content is not None and content.lock_request

    def _granted_by(self, host: int) -> HostSet:
        view = self._view
        if host == view.me:
            return view.lock_grants
        content = view.peers[host].record
        return content.lock_grants if content is not None else EMPTY

    def _is_ready(self) -> bool:
        """Whether a request may be published now (rule 2)."""
        view = self._view
        if self._other_holder():
            return False
        if any(view.me in self._granted_by(host) for host in view.liveset.minus(view.me)):
            return False
        return not any(host > view.me for host in view.lock_grants & view.liveset)

    def _grant(self, requesters: HostSet) -> None:
        """Grant to whom the rules allow (rule 4)."""
        view = self._view
        if view.holding:
            view.lock_grants = HostSet([view.me])
            return
        for host in requesters:
            if not view.lock_request or host <= view.me:
                view.lock_grants = view.lock_grants.plus(host)

    def _other_holder(self) -> HostSet:
        """The other hosts of the liveset that hold the lock, or say that they do."""
        view = self._view
        holders = EMPTY
        for host in view.liveset.minus(view.me):
            content = view.peers[host].record
            if content is None:
                continue  # unreached: who is let in was read
            says = content.seal is not None and content.seal.holding
            if says or (content.lock_request and all(
                    host in self._granted_by(member) for member in view.liveset)):
                holders = holders.plus(host)
        return holders

    def _conclude(self, fresh: bool) -> None:
        """Tell the proposers, once somebody holds the lock."""
        view = self._view
        if view.holding:
            self._accept_proposers()
            return
        if (view.lock_request and self._requested_at_ms != NEVER
                and view.reading_issued_at_ms >= self._requested_at_ms
                and all(view.me in self._granted_by(host) for host in view.liveset)):
            view.holding = True
            view.lock_grants = HostSet([view.me])
            self._changes.want_master(view.peers[view.me].uuid)
            view.log("master-elected")
            self._accept_proposers()
        elif fresh and (self._proposers or view.lock_request) and self._other_holder():
            self._refuse_proposers("host {} holds the lock".format(
                self._other_holder().lowest()))
            self._withdraw_request()

    def _cut_off_and_disarmed(self) -> bool:
        view = self._view
        lost = view.liveset - (view.heartbeat_domain | view.statefile_domain)
        return view.fencing is FencingMode.DISARMED and bool(lost)

    # ---- endings

    def _withdraw_request(self) -> None:
        view = self._view
        self._want = False
        if view.holding:
            view.log("master-cancelled")
        if view.lock_request:
            view.lock_grants = view.lock_grants.minus(view.me)
            self._clean_at_ms = NEVER
        view.lock_request = False
        view.holding = False
        self._requested_at_ms = NEVER
        self._changes.want_master("")

    def _lose(self, why: str) -> None:
        # unreached: nobody drops itself from its own liveset
        self._view.log("master-lost", reason=why)
        self._withdraw_request()

    def _expire(self, now_ms: int) -> None:
        """Give up on what waits for too long."""
        if not self.waiting:
            return
        view = self._view
        if any(now_ms >= waiter.deadline_ms for waiter in self._proposers):
            self._refuse_proposers("no decision in time")
            self._withdraw_request()
        for waiter in [item for item in self._cancellers if now_ms >= item.deadline_ms]:
            self._cancellers.remove(waiter)
            self._answer(waiter.ticket, ExitCode.TRANSIENT_ERROR,
                         "the cancellation could not be written in time")
        for waiter in self._proposers + self._cancellers:
            view.wake(waiter.deadline_ms)
        if self._proposers and self._cut_off_and_disarmed():
            self._refuse_proposers("disarmed, and a host of the liveset is out of sight")
            self._withdraw_request()
        self._accelerate()

    def _accept_proposers(self) -> None:
        for waiter in self._proposers:
            self._answer(waiter.ticket, ExitCode.SUCCESS, "TRUE")
        self._proposers = []
        self._accelerate()

    def _refuse_proposers(self, why: str) -> None:
        tickets = [waiter.ticket for waiter in self._proposers]
        self._proposers = []
        self._deny(tickets, why)
        self._accelerate()

    def _deny(self, tickets: List[int], why: str) -> None:
        for ticket in tickets:
            self._view.log("master-denied", reason=why)
            self._answer(ticket, ExitCode.SUCCESS, "FALSE")

    def _answer(self, ticket: int, code: ExitCode, text: str) -> None:
        self._view.emit(actions.Answer(ticket=ticket, code=code, text=text))

    def _accelerate(self) -> None:
        self._view.set_accelerate("election", bool(self._proposers))
        self._view.set_accelerate("cancel", bool(self._cancellers))
