"""One host of the lock's model: the real ``MasterLock``, put into any state and read out again.

A host's whole state is a ``Local``: a value, so that states can be compared and kept.  A move
puts a real view, lock and global changes into that state, calls what ``membership`` would call,
composes records with ``compose``, and reads the new state out.  Nothing of the lock is played.

Instants matter to the lock in their order alone, so they are kept as ranks, and only four of
them: completion of the clean write, completion of the request's write, issue of the last reading
taken in, issue of the reading on its way.  The deadlines of clients are far away; the move
``expire`` lets them pass, at any time.

Records are kept as what the lock looks at: request, grants, holding and the instance that wrote.
"""

from typing import NamedTuple

from xha import actions, compose
from xha.globalrecord import GlobalChanges
from xha.hostset import EMPTY, HostIndex, HostSet
from xha.masterlock import MasterLock, Waiter
from xha.published import NEVER, FencingMode, Phase, WatchdogMode
from xha.simpool import QUICK, settings_of
from xha.view import View

#: A host's standing: at start and in nobody's liveset; admitted by all, not yet online; a member;
#: dead.
STARTING, ADMITTED, ONLINE, DEAD = "starting", "admitted", "online", "dead"

#: The instant of every move; ranks of remembered instants are below, far deadlines above.
NOW_MS, DEADLINE_MS, TOO_LATE_MS = 1000, 10 ** 6, 10 ** 7

#: A record that was never read, and one that the reading on its way has not come to.
UNREAD, AHEAD = -1, -2

_INSTANTS = ("clean", "requested", "issued", "reading_issued")


class Record(NamedTuple):
    """What the lock looks at in a record."""

    request: bool
    grants: int
    holding: bool
    instance: int


class Local(NamedTuple):
    """One host's state."""

    status: str
    instance: int = 0
    liveset: int = 0
    access: bool = True
    settled: bool = True
    request: bool = False
    grants: int = (1 << 64) - 1
    holding: bool = False
    # Of each host the record read last, by number.
    seen: tuple = ()
    proposing: bool = False
    cancelling: bool = False
    # This host proposed once (where that is counted).
    asked: bool = False
    want: bool = False
    evaluated: bool = False
    clean: int = NEVER
    requested: int = NEVER
    issued: int = NEVER
    composed: tuple = (False, False)
    # "": none under way; "composed": not yet on the disk; "landed": there, but not known so.
    writing: str = ""
    pending: int = UNREAD
    write_good: bool = True
    # What the reading on its way has found; () for none.
    reading: tuple = ()
    reading_issued: int = NEVER


def ranked(local):
    """The same state with its instants as ranks."""
    known = sorted({getattr(local, name) for name in _INSTANTS} - {NEVER})
    ranks = dict(zip(known, range(1, len(known) + 1)))
    ranks[NEVER] = NEVER
    return local._replace(**{name: ranks[getattr(local, name)] for name in _INSTANTS})


class Host:
    """The real objects of one host, and the moves that it makes on its own."""

    def __init__(self, me, count, lock_class, joins_with=None):
        common = settings_of(count, QUICK)[0].common
        self.me = me
        self.count = count
        self.view = View(common, HostIndex(me), "xha model", WatchdogMode.HYPERVISOR, 1)
        self.view.fencing = FencingMode.ARMED
        self.changes = GlobalChanges(self.view)
        self.lock = lock_class(self.view, self.changes)
        self.joins_with = (self.view.lock_grants if joins_with is None else joins_with).bits
        self.records = []
        self.contents = []
        self._numbers = {}

    def first(self, status, **facts):
        """The state of a daemon that has just started."""
        return Local(status=status, grants=self.joins_with, seen=(UNREAD,) * self.count, **facts)

    # ---- into the objects and out of them

    def load(self, local, read):
        """Put the objects into a state; ``read(host, number)`` gives a record's content."""
        view, lock = self.view, self.lock
        view.phase = Phase.STARTED if local.status == ONLINE else Phase.STARTING
        view.incarnation = 1000 + local.instance
        view.liveset = view.proposed = HostSet.of_bits(local.liveset)
        view.statefile_access = local.access
        view.settled = local.settled
        view.lock_request = local.request
        view.lock_grants = HostSet.of_bits(local.grants)
        view.holding = local.holding
        view.reading_issued_at_ms = local.issued
        for host, number in enumerate(local.seen):
            if host != self.me:
                view.peers[host].record = None if number == UNREAD else read(host, number)
        view.out = []
        lock._proposers = [Waiter(ticket=1, deadline_ms=DEADLINE_MS)] if local.proposing else []
        lock._cancellers = [Waiter(ticket=2, deadline_ms=DEADLINE_MS)] if local.cancelling else []
        lock._want = local.want
        lock._evaluated = local.evaluated
        lock._clean_at_ms = local.clean
        lock._requested_at_ms = local.requested
        lock._composed = local.composed
        self.changes.want_master("")

    def save(self, local):
        """The state that the objects are in now; the rest as in ``local``."""
        view, lock = self.view, self.lock
        for answer in view.out:
            if type(answer) is actions.Answer and answer.text == "TRUE":
                assert view.holding, "told TRUE without the lock"
        return ranked(local._replace(
            liveset=view.liveset.bits, access=view.statefile_access,
            request=view.lock_request, grants=view.lock_grants.bits, holding=view.holding,
            issued=view.reading_issued_at_ms, proposing=bool(lock._proposers),
            cancelling=bool(lock._cancellers), want=lock._want, evaluated=lock._evaluated,
            clean=lock._clean_at_ms, requested=lock._requested_at_ms, composed=lock._composed))

    def number(self, content):
        """The number of a composed record, by what the lock looks at."""
        key = Record(request=content.lock_request, grants=content.lock_grants.bits,
                     holding=content.seal.holding, instance=content.seal.incarnation - 1000)
        if key not in self._numbers:
            self._numbers[key] = len(self.records)
            self.records.append(key)
            self.contents.append(content)
        return self._numbers[key]

    # ---- moves, with the objects loaded

    def compose(self):
        """The cycle's write begins."""
        self.lock.composed()
        return self.number(compose.host_record(self.view, NOW_MS, 1))

    def completed(self):
        """The write ended well, and the host knows it."""
        self.lock.written(NOW_MS)
        self.waited()

    def waited(self):
        """What every step does while a client waits."""
        if self.lock.waiting:
            self.lock.evaluate(NOW_MS)

    def taken_in(self, local):
        """A good reading ends."""
        self.view.reading_issued_at_ms = local.reading_issued
        if local.write_good:
            self.view.statefile_access = True
        self.lock.evaluate(NOW_MS)

    def propose(self):
        """A client proposes."""
        self.lock.propose(NOW_MS, 1)
        self.lock.evaluate(NOW_MS)

    def cancel(self):
        """A client cancels."""
        self.lock.cancel(NOW_MS, 2)
        self.lock.evaluate(NOW_MS)

    def gone(self):
        """The proposing client goes away."""
        self.lock.client_gone(1)
        self.waited()

    def expire(self):
        """What waits has waited for too long."""
        self.lock.evaluate(TOO_LATE_MS)

    def lose(self):
        """Access to the State-File is lost."""
        self.view.statefile_access = False
        self.waited()

    def change_liveset(self, bits):
        """The liveset changes, or the host comes online with it."""
        self.view.liveset = self.view.proposed = HostSet.of_bits(bits)
        self.view.phase = Phase.STARTED
        self.lock.evaluate(NOW_MS)


__all__ = ["ADMITTED", "AHEAD", "DEAD", "EMPTY", "Host", "Local", "MasterLock", "NOW_MS",
           "ONLINE", "STARTING", "UNREAD", "ranked"]
