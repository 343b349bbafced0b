"""Shows what real daemons did to the checkers of the simulator, event by event.

The checkers of ``src/simcheckers.py`` look at hosts of the virtual pool.  Here each of those is a
stand-in that has the facts which were recorded of a real one: which machine runs, who is armed,
what its daemon believes, when a write reached the disk, when it last read.

What a stand-in does not know makes a check weaker, never false: the instants at which the
heartbeat timer was moved and the evidence of survival rule 2 are not recorded, nor is what a
survivor declared at the instant of FH3DONE.  A record is stamped a little after what it tells:
``STAMP_MS`` is granted to a host where that would count against it.

Beside them there is one check that only machines need: whoever died armed, or stands still, is
reset by its timers in time.
"""

from xha.actions import Watchdog
from xha.hostset import EMPTY, HostSet
from xha.published import NEVER, FencingMode, Phase, PoolState
from xha.simcheckers import Breach, Checkers

#: How much later than what it tells a record's stamp may be, ms.
STAMP_MS = 150
#: Breaches of one round that are told.
BREACHES_MAX = 5
#: How much later than its instant a reset by a timer's process may be seen, ms.
RESET_MS = 1500


class Peer:
    """What a stand-in knows of another host: nothing that was not recorded."""

    heartbeat = record = None

    def __init__(self, index):
        self.index = index
        self.excluded = False


class View:
    """What a daemon believes, as it recorded it."""

    #: Its keys are not recorded.
    ring = None

    def __init__(self, count):
        self.phase = Phase.STARTING
        self.fencing = FencingMode.NONE
        self.liveset = self.proposed = EMPTY
        self.sr2 = self.holding = False
        self.statefile_access = True
        self.reading_issued_at_ms = self.reading_completed_at_ms = NEVER
        self.pool_state = PoolState.ACTIVE
        self.peers = [Peer(index) for index in range(count)]

    @property
    def online(self):
        return self.phase not in (Phase.STARTING, Phase.ABORTED)

    @property
    def fence_request(self):
        return bool(self.liveset - self.proposed)

    def picture(self, hosts):
        return hosts.picture(len(self.peers))


class _Clock:
    """All hosts have one clock."""

    @staticmethod
    def true_ms(at_ms):
        return at_ms


class _Timers:
    frozen, reset_ms = False, 0

    @staticmethod
    def overdue():
        return None


class _Way:
    """A host's way to the disk."""

    def __init__(self):
        self.proven_ms = NEVER


class Host:
    """A real host, as the checkers want to see one."""

    runs_xhad = False
    paused = False

    def __init__(self, index, world):
        self.index = index
        self._world = world
        self.clock, self.timers, self.way = _Clock(), _Timers(), _Way()
        self.heard = {}
        self.up = self.guarded = False
        #: One object for each life of its daemon, and what that believes.
        self.node = self.view = None
        #: Granted to this host in the present event, ms.
        self.granted_ms = 0

    def now_ms(self):
        return self._world.now_ms - self.granted_ms

    @property
    def dangerous(self):
        """Whether virtual machines run here that others count on being reset."""
        return self.up and self.guarded


class Witness:
    """Looks on; raises ``Breach`` when the promise is broken."""

    def __init__(self, count, common):
        self.now_ms = 0
        self.hosts = [Host(index, self) for index in range(count)]
        self._common = common
        self.checkers = Checkers(self.hosts, common, lambda: self.now_ms, lambda *_: None)
        # By host that will be reset: by when, and why.
        self._reset_by_ms = {}
        # By host: the liveset that was recorded last.
        self._livesets = {}
        self.invalid = False

    @property
    def drops(self):
        """(ms, who dropped, who was dropped)."""
        return self.checkers.drops

    def show(self, events):
        """Show events, in any order, that are all later than what was shown before.

        Raises:
            Breach: what of them broke the promise; all of them were shown.
        """
        breaches = []
        for event in in_order(events, self._livesets):
            self.now_ms = event.at_ms
            try:
                self._look_at_deadlines()
                getattr(self, "_" + event.kind)(self.hosts[event.host], event.what)
            except Breach as breach:
                # One breach seldom comes alone, and the others may tell why.
                breaches.append("{} (at {:.3f} s)".format(breach, self.now_ms / 1000))
        if breaches:
            raise Breach("; ".join(breaches[:BREACHES_MAX]))

    def _look_at_deadlines(self):
        for index, (by_ms, why) in sorted(self._reset_by_ms.items()):
            if self.now_ms > by_ms:
                del self._reset_by_ms[index]
                raise Breach("host {} still runs {} ms after the last of its timers ({})".format(
                    index, int(self.now_ms - by_ms + RESET_MS), why))

    # ---- machines and their daemons

    def _boot(self, host, _):
        assert not host.up, host.index
        host.up, host.guarded = True, False
        host.node = host.view = None

    def _down(self, host, why):
        self._reset_by_ms.pop(host.index, None)
        if host.up:
            host.node = host.view = None
            host.up = host.guarded = False
            self.checkers.check_death(host, why)

    def _began(self, host, _):
        if host.guarded:
            return      # Timers of a daemon that died armed: it must refuse, and end.
        host.node, host.view = object(), View(len(self.hosts))
        self.checkers.check(host)

    def _ended(self, host, status):
        if host.node is None or not host.up:
            return      # It went down with its machine, or was refused.
        view, host.node, host.view = host.view, None, None
        if not host.guarded:
            self.checkers.check(host)
        elif self.invalid and status == 11:
            view.pool_state = PoolState.INVALID
            host.guarded = False
            self.checkers.check(host)
        else:
            self._will_be_reset(host, "its daemon ended armed, {}".format(status))

    def _will_be_reset(self, host, why):
        longest_ms = max(self._common.heartbeat_watchdog_timeout_ms,
                         self._common.statefile_watchdog_timeout_ms)
        self._reset_by_ms.setdefault(
            host.index, (self.now_ms + longest_ms + RESET_MS, why))

    def _frozen(self, host, _):
        if host.guarded:
            self._will_be_reset(host, "its daemon stands still")

    def _thawed(self, host, _):
        if host.node is not None:
            self._reset_by_ms.pop(host.index, None)

    # ---- what they believe

    def _phase(self, host, name):
        if host.view is not None and host.up:
            host.view.phase = Phase[name]
            self._checked(host, STAMP_MS)

    def _state(self, host, fields):
        view = host.view
        if view is None or not host.up:
            return      # It was written on the way down.
        for name in ("liveset", "proposed"):
            if name in fields:
                setattr(view, name, hosts_of(fields[name]))
        for name in ("sr2", "holding", "statefile_access"):
            if name in fields:
                setattr(view, name, fields[name])
        if "phase" in fields:
            view.phase = Phase[fields["phase"]]
        if "fencing" in fields:
            view.fencing = FencingMode[fields["fencing"]]
            host.guarded = view.fencing is FencingMode.ARMED
        self._checked(host, 0)

    def _checked(self, host, granted_ms):
        host.granted_ms = granted_ms
        self.checkers.check(host)
        host.granted_ms = 0

    def _log(self, host, name):
        """Messages are for the evidence."""

    def _wrote(self, host, _):
        host.way.proven_ms = self.now_ms
        if host.guarded and host.node is not None:
            self.checkers.check_timer(
                host, Watchdog.STATEFILE,
                self.now_ms + self._common.statefile_watchdog_timeout_ms)

    def _read(self, host, _):
        if host.view is not None:
            host.view.reading_issued_at_ms = self.now_ms

    # ---- the diet

    def _touched(self, host, hosts):
        self.checkers.deaths.touched.update(hosts)

    def _well(self, host, _):
        self.checkers.deaths.touched.clear()

    def _invalid(self, host, _):
        self.invalid = True

    def _valid(self, host, _):
        self.invalid = False


def hosts_of(picture):
    """The set of hosts of a picture such as "1101"."""
    return HostSet(index for index, digit in enumerate(picture) if digit == "1")


#: Of events at the same instant, which comes first.
_ORDER = ("touched", "invalid", "valid", "boot", "began", "wrote", "read", "log", "phase", "state",
          "thawed", "frozen", "down", "ended", "well")


def in_order(events, livesets):
    """Events in the order of time; a host's growth of its liveset ``STAMP_MS`` later.

    ``livesets``: by host, what was recorded before; it is brought up to date.

    Whoever takes a host in has heard that others propose it, whose record of that may be stamped
    later than its own.  The order of each host's own records is kept.
    """
    found, floor_ms = [], {}
    for event in sorted(events, key=lambda event: (event.at_ms, _ORDER.index(event.kind))):
        at_ms = event.at_ms
        if event.kind in ("boot", "began"):
            livesets.pop(event.host, None)
        if event.kind == "state" and "liveset" in event.what:
            liveset = hosts_of(event.what["liveset"])
            known = livesets.get(event.host, EMPTY)
            livesets[event.host] = liveset
            if liveset - known and not known - liveset:
                if "proposed" in event.what:
                    # This others may have heard before.
                    found.append(event._replace(what={"proposed": event.what["proposed"]}))
                at_ms += STAMP_MS
        if event.kind in ("state", "phase", "log", "frozen", "thawed"):
            at_ms = floor_ms[event.host] = max(at_ms, floor_ms.get(event.host, at_ms))
        found.append(event._replace(at_ms=at_ms))
    return sorted(found, key=lambda event: (event.at_ms, _ORDER.index(event.kind)))
