"""The two watchdog timers: what makes our promise hold when our own code cannot.

Theory of operation
===================

One timer guards each path.  A timer moves only by a proof that the path
works (the core says which), and always to an instant counted from the moment
that the heartbeat or write was *issued*.  When it expires, the host is reset
by somebody who does not depend on this process: Xen (mode HYPERVISOR), or a
process of our own (USER).  Mode NONE only keeps the numbers.

The life of both timers:

1. ``open``: first what the last daemon left (``lefttimers``), then both
   timers, set so that they never expire, and recorded;
2. ``set``: each proof; from the first on a timer can expire;
3. ``record_armed``: peers count on the reset from here on, and the record
   says so to the next daemon;
4. ``close``: stopped and forgotten.  A daemon that just ends leaves them
   running: that is their purpose.

The port is in ``watchdogport``, the modes in ``xentimers`` (HYPERVISOR),
``usertimers`` (USER) and here (NONE, which has no timer).  This module is the
door: the daemon imports nothing else.

Source: spec 7.
"""

import os
import resource
import signal
from typing import Dict, List, NoReturn, Optional

from xha import actions, userwatchdog
from xha.actions import Watchdog
from xha.lefttimers import cleanup
from xha.paths import Paths
from xha.published import WatchdogMode
from xha.usertimers import UserWatchdogs
from xha.watchdogport import Clock, WatchdogError, Watchdogs
from xha.xentimers import HypervisorWatchdogs

__all__ = ["Watchdogs", "WatchdogError", "open_watchdogs", "cleanup"]

#: What mode NONE says when it fences; equal to the catalogue's entry, which a process that
#: is about to end cannot wait for.
FENCE_NONE_TEXT = "Nothing resets this host (watchdog mode NONE): ending the daemon only ({text})."


def open_watchdogs(mode: WatchdogMode, paths: Paths, fence_command: str, clock: Clock,
                   timeouts_ms: Dict[Watchdog, int]) -> Watchdogs:
    """The watchdogs of a mode; call ``open`` next, from the process that will be guarded.

    Args:
        fence_command: for mode USER; "" for none.  Split like a shell would, run without one.
        clock: CLOCK_MONOTONIC in ms.
        timeouts_ms: Wh and Ws, for the record alone.

    Raises:
        XhaError: WATCHDOG_ERROR: the fence command cannot be run.
    """
    if mode is WatchdogMode.HYPERVISOR:
        return HypervisorWatchdogs(paths, clock, timeouts_ms)
    if mode is WatchdogMode.USER:
        return UserWatchdogs(paths, clock, timeouts_ms, fence_command)
    assert mode is WatchdogMode.NONE, mode
    return NoWatchdogs(paths, clock, timeouts_ms)


class NoWatchdogs(Watchdogs):
    """Numbers instead of timers: kept and checked, but nothing is reset."""

    mode = WatchdogMode.NONE

    def __init__(self, paths: Paths, clock: Clock, timeouts_ms: Dict[Watchdog, int]) -> None:
        """See ``Watchdogs``."""
        super().__init__(paths, clock, timeouts_ms)
        self._expires_at_ms = {}  # type: Dict[Watchdog, int]

    def set(self, watchdog: Watchdog, expires_at_ms: int) -> None:
        """See ``Watchdogs``."""
        assert self._open
        self.expired_already(self._clock())
        self._expires_at_ms[watchdog] = expires_at_ms

    def expired(self, now_ms: int) -> Optional[Watchdog]:
        """See ``Watchdogs``."""
        self.expired_already(now_ms)
        return super().expired(now_ms)

    def expired_already(self, now_ms: int) -> None:
        """Note what has expired by ``now_ms``, before a later proof can hide it."""
        for watchdog in Watchdog:
            if now_ms >= self._expires_at_ms.get(watchdog, now_ms + 1):
                del self._expires_at_ms[watchdog]
                self._gone.append(watchdog)

    def fence(self, text: str) -> NoReturn:
        """See ``Watchdogs``: ends this process as abort() does, without a core file."""
        last = actions.log("watchdog-fence-none", text=text)
        userwatchdog.say(FENCE_NONE_TEXT.format(**dict(last.fields)), last.name)
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        signal.signal(signal.SIGABRT, signal.SIG_DFL)
        os.abort()

    def _create(self) -> List[actions.Log]:
        self._timers = [(role, 0) for role in Watchdog]
        return [actions.log("watchdog-mode-none")]

    def _stop(self) -> None:
        self._timers = []
        self._expires_at_ms = {}
