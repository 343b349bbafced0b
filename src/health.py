"""The health of this host, as the daemon's loop sees it: spec 8.

Brings together what decides (``xapihealth``, ``bondhealth``) and what acts
(``xapimonitor``, ``bondmonitor``, ``hostweight``), gives the core its events,
and the views what the core does not know.  Nothing here waits, but for the
weight file at the start.
"""

from typing import Callable, Dict, List

from xha import bondmonitor, events, hostweight, xapihealth
from xha.actions import Log, log
from xha.bondhealth import BondHealth
from xha.child import Job, Work
from xha.config import Config
from xha.errors import XhaError
from xha.meter import Meter
from xha.paths import Paths
from xha.snapshot import Snapshot
from xha.xapihealth import XapiHealth
from xha.xapimonitor import XapiMonitor


#: How long the start waits while the weight file is being written, s.
_WEIGHT_PATIENCE_S = 2.0


class Health:
    """What watches this host for one daemon."""

    def __init__(self, settings: Config, hooks: Dict[Work, str], paths: Paths,
                 now_ms: Callable[[], int], say: Callable[[Log], None]) -> None:
        """Start the thread of the monitor: before the daemon raises its priority.

        Args:
            hooks: command lines, of which each can be split.
            now_ms: this host's monotonic clock, ms, callable from any thread.
        """
        self._now_ms = now_ms
        self._say = say
        self._weight_file = paths.weight
        self._xapi = XapiHealth(settings.common)
        self._monitor = XapiMonitor(hooks, now_ms)
        self._xapi_meter = Meter()
        self._bond_name = settings.local.physical_interface
        self._bond = BondHealth(self._bond_name)

    def fileno(self) -> int:
        """A descriptor that is readable when ``turn`` has something to do."""
        return self._monitor.fileno()

    def turn(self, online: bool, step: Callable[[events.Event], None]) -> None:
        """Do what is due; ``step`` tells the core.  ``online``: this host is a member."""
        if self._monitor.death:
            # As with every thread: a bug ends the daemon, and no watchdog is touched.
            raise AssertionError(self._monitor.death)
        for ended in self._monitor.results():
            if ended.work is Work.CHECK and ended.good:
                self._xapi_meter.note(ended.duration_ms)
            self._grant(self._xapi.ended(self._now_ms(), ended), step)
        self._grant(self._xapi.step(self._now_ms(), online), step)
        if self._bond.due(self._now_ms()):
            for message in self._bond.look(bondmonitor.read(self._bond_name)):
                self._say(message)

    def first_weight(self) -> int:
        """The weight of this host at its start; 1 when the file cannot be read."""
        try:
            return hostweight.weight_of(hostweight.read(self._weight_file, _WEIGHT_PATIENCE_S))
        except XhaError as error:
            self._say(log("weight-file-bad", reason=str(error)))
            return 1

    def reload_weight(self, step: Callable[[events.Event], None]) -> None:
        """Read the weight file again and tell the core.

        Raises:
            XhaError: see ``hostweight.read``; the weight stays as it was.
        """
        try:
            classes = hostweight.read(self._weight_file)
        except XhaError as error:
            self._say(log("weight-file-bad", reason=str(error)))
            raise
        step(events.WeightChanged(weight=hostweight.weight_of(classes)))

    def hold_xapi(self, term_ms: int, step: Callable[[events.Event], None]) -> None:
        """Ask nothing of xapi for so long, ms; 0 ends that at once."""
        now_ms = self._now_ms()
        self._grant(self._xapi.hold(now_ms, term_ms) if term_ms
                    else self._xapi.release(now_ms), step)

    def xapi_held_ms(self) -> int:
        """How long nothing is asked of xapi yet; NEVER: it is checked."""
        return self._xapi.held_ms(self._now_ms())

    def complete(self, snapshot: Snapshot) -> Snapshot:
        """The snapshot of the core, with what is known here."""
        left, more_in_ms = self._xapi.attempts_left(snapshot.at_ms)
        return snapshot._replace(
            xapi_latency=self._xapi_meter.read(), xapi_restarts_left=left,
            xapi_restarts_more_in_ms=more_in_ms, bond_error=self._bond.error)

    def begin_extremes(self) -> None:
        """xapi has asked: its largest and smallest latencies begin anew (spec 6)."""
        self._xapi_meter.reset()

    def abandon(self) -> None:
        """The daemon ends; nobody is waited for."""
        self._monitor.abandon()

    def _grant(self, wishes: List[xapihealth.Wish], step: Callable[[events.Event], None]) -> None:
        for wish in wishes:
            if isinstance(wish, Job):
                self._monitor.submit(wish)
            elif isinstance(wish, Log):
                self._say(wish)
            else:
                step(wish)
