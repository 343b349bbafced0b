"""Timers that a dead daemon left: what a start does about them, and what a person can.

A start judges by the record alone (``timerrecord``), for asking Xen would
change what it asks about:

=====================  ================================================================
the record             the start
=====================  ================================================================
of another boot        forgets it: a reset ended those timers
not armed              stops them: nobody counts on that host
armed, mode NONE       warns: they were numbers only
armed, USER, fired     says what happened: the timer did its work
armed, else            **refuses** and touches nothing: the host is about to be reset,
                       and its peers are about to act on that.  Stopping the timers
                       would leave a host running that is no longer in the pool.
=====================  ================================================================

Source: spec 7, "Life of a timer" 1, and "Clean up".
"""

import errno
import os
import signal
import time
from typing import Callable, List, Tuple

from xha import actions, timerrecord
from xha.errors import ExitCode, XhaError
from xha.paths import Paths
from xha.published import WatchdogMode
from xha.timerrecord import Process, TimerRecord
from xha.xenhypercall import MAX_TIMERS, Privcmd, Xen, XenAbsent, XenRefused

# How long a killed process may take to be gone, s.
_KILL_PATIENCE_S = 5.0


def settle(paths: Paths, open_xen: Callable[[], Xen] = Privcmd) -> List[actions.Log]:
    """Deal with what the last daemon left, before a new one creates timers.

    Raises:
        XhaError: WATCHDOG_ERROR; timers of an armed daemon must not be touched, or
            those of one that was not armed could not be stopped.
    """
    found = timerrecord.read(paths)
    said = []  # type: List[actions.Log]
    if found.trouble:
        said.append(actions.log("watchdog-record-unreadable", what=found.trouble))
    left = found.record
    if left is None:
        return said
    if left.boot_id != timerrecord.boot_id():
        said.append(actions.log("watchdog-record-of-another-boot", pid=left.daemon.pid))
    elif left.mode is WatchdogMode.NONE:
        if left.armed:
            said.append(actions.log("watchdogs-left-armed-none"))
    elif left.armed:
        said.extend(_require_fired(paths, left))
    else:
        said.extend(_stop_unarmed(left, open_xen))
    _forget(paths)
    return said


def _require_fired(paths: Paths, left: TimerRecord) -> List[actions.Log]:
    """Refuse, unless the timer process of mode USER left word that it fired."""
    within_s = max([timeout for _, timeout in left.timeouts_ms] or [0]) // 1000
    bound = " within {} s".format(within_s) if within_s else ""
    if left.mode is WatchdogMode.HYPERVISOR:
        fate = "its timers run on: Xen resets this host{}".format(bound)
    elif timerrecord.runs(left.keeper):
        fate = "its timers run on in process {} and fire{}".format(left.keeper.pid, bound)
    else:
        note = timerrecord.fired_note(paths, left.keeper)
        if note is not None:
            return [actions.log("watchdog-fired", cause=note.cause, outcome=note.outcome)]
        fate = "its timer process {} is gone without having fired".format(left.keeper.pid)
    raise XhaError(ExitCode.WATCHDOG_ERROR, (
        "the last daemon (pid {}) died while this host was armed, and {}; they are not stopped, "
        "because the other hosts count on that reset (by hand, once the pool was looked at: "
        "cleanup-watchdog)").format(left.daemon.pid, fate))


def _stop_unarmed(left: TimerRecord, open_xen: Callable[[], Xen]) -> List[actions.Log]:
    try:
        if left.mode is WatchdogMode.HYPERVISOR:
            xen = open_xen()
            try:
                stopped = [str(ident) for _, ident in left.timers if _stop_one(xen, ident)]
            finally:
                xen.close()
        else:
            stopped = ["of process {}".format(left.keeper.pid)] if _kill(left.keeper) else []
    except (XenAbsent, XenRefused, OSError) as error:
        raise XhaError(ExitCode.WATCHDOG_ERROR, (
            "the last daemon (pid {}) left timers, which could not be stopped: {}").format(
                left.daemon.pid, error))
    if not stopped:
        return []
    return [actions.log("watchdogs-stopped-stale", ids=", ".join(stopped))]


def _stop_one(xen: Xen, ident: int) -> bool:
    """Stop a timer of Xen; false if it was not in use."""
    try:
        xen.stop_timer(ident)
    except XenRefused as error:
        if error.number != errno.EINVAL:
            raise
        return False
    return True


def _kill(keeper: Process) -> bool:
    """End the timer process; false if it did not run.  Raises OSError if it will not go."""
    if not timerrecord.runs(keeper):
        return False
    os.kill(keeper.pid, signal.SIGKILL)
    until = time.monotonic() + _KILL_PATIENCE_S
    while timerrecord.runs(keeper):
        if time.monotonic() > until:
            raise OSError(errno.ETIMEDOUT, "process {} does not end".format(keeper.pid))
        time.sleep(0.005)
    return True


def _forget(paths: Paths) -> None:
    try:
        timerrecord.remove(paths)
    except OSError as error:
        raise XhaError(ExitCode.WATCHDOG_ERROR, "cannot remove the record of the last timers: "
                       "{}: {}".format(error.filename, error.strerror))


def cleanup(paths: Paths, force: bool,
            open_xen: Callable[[], Xen] = Privcmd) -> Tuple[ExitCode, List[str]]:
    """Stop the timers that a dead daemon left, by hand (spec 7, "Clean up").

    The caller has made sure that no daemon runs (exit 15).

    Args:
        force: without any record, stop all of Xen's timers, whoever holds them.

    Returns:
        SUCCESS or WATCHDOG_ERROR, and the lines to show.
    """
    found = timerrecord.read(paths)
    lines = []  # type: List[str]
    if found.trouble:
        lines.append("The record of the timers cannot be read: {}.".format(found.trouble))
    left = found.record
    if left is not None and left.boot_id != timerrecord.boot_id():
        lines.append("The record is of another boot: its timers ended with that.")
    elif left is not None:
        return _clean_record(paths, left, lines, open_xen)
    elif found.ids:
        lines.append("WARNING: only the ids of timers are known; whether their daemon was armed "
                     "is not.  If it was, the other hosts take this host for dead.")
        return _clean_xen(paths, list(found.ids), lines, open_xen)
    if force:
        return _clean_xen(paths, list(range(1, MAX_TIMERS + 1)), lines, open_xen)
    if left is None:
        lines.append("There is no record of timers: nothing was stopped.  (--force stops all of "
                     "Xen's timers of this domain, whoever holds them.)")
    return _clean_files(paths, lines)


def _clean_record(paths: Paths, left: TimerRecord, lines: List[str],
                  open_xen: Callable[[], Xen]) -> Tuple[ExitCode, List[str]]:
    if left.armed and left.mode is not WatchdogMode.NONE:
        lines.append("WARNING: the daemon (pid {}) that left these timers was armed: the other "
                     "hosts take this host for dead and may start its virtual machines "
                     "elsewhere.".format(left.daemon.pid))
    if left.mode is WatchdogMode.HYPERVISOR:
        return _clean_xen(paths, [ident for _, ident in left.timers], lines, open_xen)
    if left.mode is WatchdogMode.USER:
        try:
            ended = _kill(left.keeper)
        except OSError as error:
            lines.append("The timer process was not ended: {}.".format(error))
            return ExitCode.WATCHDOG_ERROR, lines
        lines.append("Timer process {} {}.".format(
            left.keeper.pid, "was ended" if ended else "does not run"))
    return _clean_files(paths, lines)


def _clean_xen(paths: Paths, idents: List[int], lines: List[str],
               open_xen: Callable[[], Xen]) -> Tuple[ExitCode, List[str]]:
    try:
        xen = open_xen()
    except XenAbsent as error:
        return ExitCode.WATCHDOG_ERROR, lines + ["No timer was stopped: {}.".format(error)]
    try:
        for ident in idents:
            lines.append("Timer {} {}.".format(
                ident, "stopped" if _stop_one(xen, ident) else "was not in use"))
    except XenRefused as error:
        lines.append("Timer {} was not stopped: {}.".format(ident, error))
        return ExitCode.WATCHDOG_ERROR, lines
    finally:
        xen.close()
    return _clean_files(paths, lines)


def _clean_files(paths: Paths, lines: List[str]) -> Tuple[ExitCode, List[str]]:
    try:
        timerrecord.remove(paths)
    except OSError as error:
        lines.append("The record was not removed: {}: {}.".format(error.filename, error.strerror))
        return ExitCode.WATCHDOG_ERROR, lines
    return ExitCode.SUCCESS, lines
