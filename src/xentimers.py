"""Mode HYPERVISOR: two timers of Xen.

Xen counts whole seconds.  The remaining time is rounded *down*, so a timer is
never late; 0 would stop it and is never passed but to stop.  A pause of this
process between computing the remainder and Xen taking it would stretch the
timer: so the clock is read again, and a stretched timer is set again.

Source: spec 7, "Life of a timer" 6, and "Fencing".
"""

import errno
import os
import signal
import time
from typing import Callable, Dict, List, NoReturn, Optional, Tuple

from xha import actions, timerrecord, timing
from xha.actions import Watchdog
from xha.errors import ExitCode, XhaError
from xha.paths import Paths
from xha.published import WatchdogMode
from xha.watchdogport import Clock, WatchdogError, Watchdogs
from xha.xenhypercall import NEVER_S, Privcmd, Xen, XenAbsent, XenRefused

#: A pause longer than this between computing and setting is undone, ms.  Spec 7 says 100; with
#: the reset's own latency that is more than proof 1 of spec 13 allows for, so ``timing`` says less.
STRETCH_MAX_MS = timing.SET_SLACK_MS


def pause_for_ever() -> NoReturn:
    """Wait for the end: not even a signal goes on from here."""
    signal.pthread_sigmask(signal.SIG_BLOCK, range(1, signal.NSIG))
    while True:
        time.sleep(3600)


class HypervisorWatchdogs(Watchdogs):
    """Timers of Xen."""

    mode = WatchdogMode.HYPERVISOR

    def __init__(self, paths: Paths, clock: Clock, timeouts_ms: Dict[Watchdog, int],
                 pause: Callable[[], NoReturn] = pause_for_ever) -> None:
        """See ``Watchdogs``; ``pause`` waits for a reset that is on its way."""
        super().__init__(paths, clock, timeouts_ms)
        self._xen = None  # type: Optional[Xen]
        self._pause = pause

    def open(self, open_xen: Callable[[], Xen] = Privcmd) -> List[actions.Log]:
        """See ``Watchdogs``."""
        try:
            self._xen = open_xen()
        except XenAbsent as error:
            raise XhaError(ExitCode.WATCHDOG_ERROR, "no watchdog: {}".format(error))
        try:
            return super().open(open_xen)
        except BaseException:
            self._close_xen()
            raise

    def set(self, watchdog: Watchdog, expires_at_ms: int) -> None:
        """See ``Watchdogs``.  With less than 1 s left the timer is not touched."""
        assert self._open and self._xen is not None
        ident = dict(self._timers)[watchdog]
        stretched = False
        while True:
            computed_at_ms = self._clock()
            seconds = min((expires_at_ms - computed_at_ms) // 1000, NEVER_S - 1)
            if seconds < 1 and not stretched:
                return
            try:
                # A stretched timer stands too late already: 1 s is the nearest Xen can do.
                self._xen.set_timer(ident, max(1, seconds))
            except XenRefused as error:
                raise self._failed(watchdog, error)
            if seconds < 1 or self._clock() - computed_at_ms <= STRETCH_MAX_MS:
                return
            stretched = True

    def fence(self, text: str) -> NoReturn:
        """See ``Watchdogs``: ask Xen; should that return, let the timers do it."""
        assert self._xen is not None
        try:
            self._xen.reset_host()
        except XenRefused:
            # The next means follows; there is nobody left to tell.
            pass
        for _, ident in self._timers:
            try:
                self._xen.set_timer(ident, 1)
            except XenRefused:
                self._last_resort(self._xen)
        self._pause()

    @staticmethod
    def _last_resort(xen: Xen) -> None:
        try:
            xen.create_timer(1)
        except XenRefused:
            # All timers are in use: at least one of ours was set, or is somebody else's.
            pass

    def _failed(self, watchdog: Watchdog, error: XenRefused) -> WatchdogError:
        if error.number != errno.EINVAL:
            return WatchdogError("the {} timer: {}".format(watchdog.value, error))
        if watchdog not in self._gone:
            self._gone.append(watchdog)
        return WatchdogError("the {} timer is not in use any more: it expired without a reset, "
                             "or somebody stopped it".format(watchdog.value), expired=True)

    def _create(self) -> List[actions.Log]:
        assert self._xen is not None
        foreign = timerrecord.read(self._paths).ids
        for role in Watchdog:
            try:
                self._timers.append((role, self._xen.create_timer(NEVER_S)))
            except XenRefused as error:
                raise XhaError(ExitCode.WATCHDOG_ERROR, _no_timer(error, self._paths, foreign))
            # At once: an id that nobody wrote down is a timer that nobody can free.
            self._record(armed=False)
        return []

    def _stop(self) -> None:
        failed = []  # type: List[str]
        for role, ident in self._timers:
            assert self._xen is not None
            try:
                self._xen.stop_timer(ident)
            except XenRefused as error:
                # Not in use any more is as good.
                if error.number != errno.EINVAL:
                    failed.append("the {} timer: {}".format(role.value, error))
        if failed:
            raise WatchdogError("; ".join(failed))
        self._timers = []
        self._close_xen()

    def _close_xen(self) -> None:
        if self._xen is not None:
            self._xen.close()
            self._xen = None


def _no_timer(error: XenRefused, paths: Paths, ids: Tuple[int, ...]) -> str:
    """Why Xen gave no timer, with who may hold them; ``ids`` were on file before."""
    if error.number != errno.ENOSPC:
        return "Xen gave no watchdog timer: {}".format(error)
    holders = holders_of_timers() + ([
        "{} names timers of an earlier daemon ({})".format(
            paths.watchdog_ids, ", ".join(map(str, ids)))] if ids else [])
    return ("no free watchdog timer: two are needed here, and two are all that Xen as shipped "
            "keeps for a domain.  "
            "{}.  Stop what holds them; timers that a dead daemon left: "
            "cleanup-watchdog --force").format("; ".join(holders) or (
                "Holders can be xenwatchdogd, the kernel's xen_wdt (an open /dev/watchdog), or "
                "a daemon that died; none of the first two is seen"))


def holders_of_timers() -> List[str]:
    """Known users of Xen's watchdog timers that are here, in words for people; takes none."""
    found = []
    for name in sorted(filter(str.isdigit, os.listdir("/proc")), key=int):
        try:
            with open("/proc/{}/comm".format(name), encoding="ascii", errors="replace") as file:
                if file.read().strip() == "xenwatchdogd":
                    found.append("xenwatchdogd runs (pid {})".format(name))
        except OSError:
            # It ended meanwhile.
            pass
    try:
        with open("/proc/modules", encoding="ascii") as file:
            if any(line.startswith("xen_wdt ") for line in file):
                found.append("the kernel module xen_wdt is loaded (it holds one while "
                             "/dev/watchdog is open)")
    except OSError:
        # A kernel without modules.
        pass
    return found
