"""The port of the watchdog: what the daemon asks of its two timers, in every mode.

The theory is in ``watchdog``; the modes are in ``xentimers``, ``usertimers``
and ``watchdog``.  Here is what they share: the order of opening, the record
for the next daemon, and what was found gone.

Source: spec 7.
"""

import abc
import os
from typing import Callable, Dict, List, NoReturn, Optional, Tuple

from xha import actions, lefttimers, timerrecord
from xha.actions import Watchdog
from xha.errors import ExitCode, XhaError
from xha.paths import Paths
from xha.published import WatchdogMode
from xha.timerrecord import NO_PROCESS, Process, TimerRecord
from xha.xenhypercall import Privcmd, Xen

#: Now, on CLOCK_MONOTONIC, ms.
Clock = Callable[[], int]


class WatchdogError(Exception):
    """A timer could not be moved; it runs out unless a later proof moves it.

    ``expired``: worse, the timer is gone although this host still runs: it expired
    without a reset, or somebody stopped it.  Nothing guards this path any more.
    """

    def __init__(self, text: str, expired: bool = False) -> None:
        super().__init__(text)
        self.expired = expired


class Watchdogs(abc.ABC):
    """Both timers of this host.  To be used from one thread."""

    mode = WatchdogMode.UNKNOWN

    def __init__(self, paths: Paths, clock: Clock, timeouts_ms: Dict[Watchdog, int]) -> None:
        """Take the files, the clock (CLOCK_MONOTONIC, ms), and Wh and Ws (for the record)."""
        self._paths = paths
        self._clock = clock
        self._timeouts_ms = tuple(sorted(timeouts_ms.items(), key=lambda pair: pair[0].value))
        self._daemon = timerrecord.process(os.getpid())
        self._timers = []  # type: List[Tuple[Watchdog, int]]
        self._open = False
        # Timers found gone, and not told by ``expired`` yet.
        self._gone = []  # type: List[Watchdog]

    def open(self, open_xen: Callable[[], Xen] = Privcmd) -> List[actions.Log]:
        """Create both timers, neither able to expire yet; return what there is to log.

        Raises:
            XhaError: WATCHDOG_ERROR: timers of a daemon that died armed still run, there
                is no device or no free timer, or the record cannot be written.
        """
        assert not self._open
        said = lefttimers.settle(self._paths, open_xen)
        try:
            said.extend(self._create())
            trouble = self._record(armed=False)
        except OSError as error:
            self._destroy()
            raise XhaError(ExitCode.WATCHDOG_ERROR, "cannot record the watchdog timers: "
                           "{}: {}".format(error.filename, error.strerror))
        except BaseException:
            self._destroy()
            raise
        self._open = True
        if trouble:
            said.append(actions.log("watchdog-record-not-copied", what=trouble))
        return said + [actions.log("watchdogs-opened", ids=", ".join(
            "{} {}".format(role.value, ident or self.mode.name) for role, ident in self._timers))]

    @abc.abstractmethod
    def set(self, watchdog: Watchdog, expires_at_ms: int) -> None:
        """Let a timer expire at an instant of the clock, never later.

        Raises:
            WatchdogError: it was not moved.
        """

    def record_armed(self) -> None:
        """Note for the next daemon that peers count on these timers from now on.

        Raises:
            WatchdogError: it could not be noted.  A host must not go online then: after
                a crash the next daemon would stop its timers.
        """
        assert self._open
        try:
            self._record(armed=True)
        except OSError as error:
            raise WatchdogError("cannot write {}: {}".format(error.filename, error.strerror))

    def close(self) -> None:
        """Stop both timers and forget them.  Safe to call again, and before ``open``.

        Raises:
            WatchdogError: one could not be stopped; the record stays.
        """
        if not self._open:
            return
        self._stop()
        self._open = False
        try:
            timerrecord.remove(self._paths)
        except OSError as error:
            raise WatchdogError("cannot remove {}: {}".format(error.filename, error.strerror))

    @abc.abstractmethod
    def fence(self, text: str) -> NoReturn:
        """Reset this host now (spec 7, "Fencing"); ``text`` says why.  Never returns."""

    def expired(self, now_ms: int) -> Optional[Watchdog]:
        """A timer that has expired although this host runs on, or None.  Told once each.

        In mode NONE that is every expiry.  In the others it is the gravest error there
        is: nothing guards the host.
        """
        assert now_ms >= 0
        return self._gone.pop(0) if self._gone else None

    @abc.abstractmethod
    def _create(self) -> List[actions.Log]:
        """Create both timers, so that neither expires yet, and note them in ``_timers``."""

    @abc.abstractmethod
    def _stop(self) -> None:
        """Stop both timers; raise WatchdogError if one could not be."""

    def _destroy(self) -> None:
        """Undo an ``open`` that failed half-way; what cannot be undone is left."""
        try:
            ours = bool(self._timers)
            self._stop()
            # Without a timer of ours the files are still those of somebody before us.
            if ours:
                timerrecord.remove(self._paths)
        except (WatchdogError, OSError):
            # The error that led here is the one to tell; the record, if any, tells the rest.
            pass

    def _record(self, armed: bool) -> str:
        return timerrecord.write(self._paths, TimerRecord(
            boot_id=timerrecord.boot_id(), mode=self.mode, armed=armed,
            timers=tuple(self._timers), daemon=self._daemon, keeper=self._keeper(),
            timeouts_ms=self._timeouts_ms))

    def _keeper(self) -> Process:
        return NO_PROCESS
