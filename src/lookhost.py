"""Looks at this host for ``judgehost``: takes no timer, writes nothing, and waits for no disk.

Where something can only be tried, a child tries it and ends: real-time
priority and locked memory, by the daemon's own code; and directories, whose
file systems may hang.  Of Xen only the devices are opened, and no hypercall
is made.

Source: spec 7, 8, 9 (doctor).
"""

import importlib
import os
import shlex
import shutil
import sys
from typing import Any, List, Tuple

from xha import bounded, crc, options, realtime, timerrecord, xenhypercall, xentimers
from xha.child import Work
from xha.config import Local
from xha.errors import XhaError
from xha.judgehost import (
    HealthFacts, LeftFacts, PlaceFacts, PythonFacts, RealtimeFacts, WatchdogFacts)
from xha.paths import Paths
from xha.published import WatchdogMode

#: How long a file system may take to answer, s.
PLACE_S = 5.0

_SYS_CLOCK = "/sys/devices/system/clocksource/clocksource0/"


def look_python() -> PythonFacts:
    """The interpreter that runs this, which is the daemon's."""
    trouble = ""
    try:
        importlib.import_module("netifaces")
    except ImportError as error:
        trouble = str(error)
    crc.crc32c(b"")
    return PythonFacts(version=(sys.version_info[0], sys.version_info[1], sys.version_info[2]),
                       netifaces=trouble, crc_compiled=crc.is_compiled(), root=os.geteuid() == 0)


def look_realtime(daemon_pid: int) -> RealtimeFacts:
    """What a child of ours is granted, or what the daemon that runs has."""
    schedule, locked = ("", -1) if not daemon_pid else _of_daemon(daemon_pid)
    if schedule:
        return RealtimeFacts(missing=(), trouble="", daemon_schedule=schedule,
                             daemon_locked_kib=locked)
    try:
        missing = bounded.run(_try_realtime, "real-time privileges", PLACE_S)
    except XhaError as error:
        return RealtimeFacts(missing=(), trouble=str(error), daemon_schedule="",
                             daemon_locked_kib=-1)
    return RealtimeFacts(missing=missing, trouble="", daemon_schedule="", daemon_locked_kib=-1)


def _try_realtime() -> Tuple[Tuple[str, str], ...]:
    """In a child: what the daemon asks for; what was granted ends with the child."""
    refused = realtime.raise_priority() + realtime.lock_memory()
    return tuple((str(dict(one.fields)["privilege"]), str(dict(one.fields)["reason"]))
                 for one in refused)


def _of_daemon(pid: int) -> Tuple[str, int]:
    try:
        policy = os.sched_getscheduler(pid) & ~os.SCHED_RESET_ON_FORK
        priority = os.sched_getparam(pid).sched_priority
        names = {os.SCHED_RR: "SCHED_RR", os.SCHED_FIFO: "SCHED_FIFO",
                 os.SCHED_OTHER: "SCHED_OTHER"}
        with open("/proc/{}/status".format(pid), encoding="ascii", errors="replace") as file:
            locked = [int(line.split()[1]) for line in file if line.startswith("VmLck:")]
    except (OSError, ValueError, IndexError):
        return "", -1
    return "{} {}".format(names.get(policy, "policy {}".format(policy)), priority), (
        locked[0] if locked else -1)


def look_places(paths: Paths) -> List[PlaceFacts]:
    """The directories that a daemon writes into."""
    return [_look_place(purpose, path) for purpose, path in (
        ("run", paths.run_dir), ("state", paths.state_dir),
        ("log", os.path.dirname(paths.log_file) or "/"))]


def _look_place(purpose: str, path: str) -> PlaceFacts:
    try:
        trouble, free_bytes = bounded.run(lambda: _room_in(path), path, PLACE_S)
    except XhaError as error:
        trouble, free_bytes = str(error), -1
    return PlaceFacts(purpose=purpose, path=path, trouble=trouble, free_bytes=free_bytes)


def _room_in(path: str) -> Tuple[str, int]:
    """In a child: why the directory, or the nearest above it that is there, takes no file."""
    while not os.path.lexists(path) and path not in ("", "/"):
        path = os.path.dirname(path)
    try:
        found = os.statvfs(path)
    except OSError as error:
        return error.strerror or str(error), -1
    free_bytes = found.f_bavail * found.f_frsize
    if not os.path.isdir(path):
        return "{} is no directory".format(path), free_bytes
    if found.f_flag & os.ST_RDONLY:
        return "its file system is read-only", free_bytes
    if not os.access(path, os.W_OK | os.X_OK):
        return "{} may not be written by this user".format(path), free_bytes
    if found.f_files and not found.f_favail:
        return "its file system has no room for another file", free_bytes
    return "", free_bytes


def look_clock() -> Tuple[str, str]:
    """The kernel's clock source, and those there are; "" when not known."""
    found = []
    for name in ("current_clocksource", "available_clocksource"):
        try:
            with open(_SYS_CLOCK + name, encoding="ascii", errors="replace") as file:
                found.append(file.read(4096).strip())
        except OSError:
            found.append("")
    return found[0], found[1]


def look_watchdog(local: Local) -> WatchdogFacts:
    """Whether hypercalls can be made, and who else uses Xen's timers.  Makes no hypercall."""
    xen = ""
    try:
        xenhypercall.Privcmd().close()
    except xenhypercall.XenAbsent as error:
        xen = str(error)
    holders = [] if local.watchdog_mode is not WatchdogMode.HYPERVISOR else (
        xentimers.holders_of_timers())
    return WatchdogFacts(xen=xen, holders=tuple(holders),
                         fence_command=_why_not_run(local.fence_command)
                         if local.fence_command else "")


def look_left(paths: Paths) -> LeftFacts:
    """What the last daemon wrote down."""
    try:
        found = bounded.run(lambda: _left(paths), paths.state_dir, PLACE_S)
        assert isinstance(found, LeftFacts)
    except XhaError as error:
        return LeftFacts(present=False, of_this_boot=False, mode=WatchdogMode.UNKNOWN, armed=False,
                         daemon_pid=0, daemon_runs=False, keeper_runs=False, fired="", ids=(),
                         trouble=str(error))
    return found


def _left(paths: Paths) -> LeftFacts:
    """In a child: the directory for what outlasts a reset is on a disk."""
    found = timerrecord.read(paths)
    left = found.record
    if left is None:
        return LeftFacts(present=False, of_this_boot=False, mode=WatchdogMode.UNKNOWN, armed=False,
                         daemon_pid=0, daemon_runs=False, keeper_runs=False, fired="",
                         ids=found.ids, trouble=found.trouble)
    note = timerrecord.fired_note(paths, left.keeper)
    return LeftFacts(
        present=True, of_this_boot=left.boot_id == timerrecord.boot_id(), mode=left.mode,
        armed=left.armed, daemon_pid=left.daemon.pid, daemon_runs=timerrecord.runs(left.daemon),
        keeper_runs=timerrecord.runs(left.keeper),
        fired="{}: {}".format(note.cause, note.outcome) if note else "", ids=found.ids,
        trouble=found.trouble)


def look_health_check(arguments: Any) -> HealthFacts:
    """The health check that a daemon would run that is started without options from here."""
    command = options.HOOKS[Work.CHECK][1]
    try:
        command = options.hooks(arguments)[Work.CHECK]
        trouble = str(bounded.run(lambda: _why_not_run(command), command, PLACE_S))
    except XhaError as error:
        trouble = str(error)
    return HealthFacts(command=command, trouble=trouble)


def _why_not_run(command: str) -> str:
    """Why a command line cannot be run; "" when it can, as far as its file tells."""
    try:
        program = shlex.split(command)[0]
    except (ValueError, IndexError):
        return "{!r} is no command line".format(command)
    if shutil.which(program) is not None:
        return ""
    if os.path.exists(program):
        return "{} may not be run".format(program)
    return "there is no {}".format(program)
