"""What this host itself is worth for HA: program, privileges, places, clock, watchdog, xapi.

Facts in, findings out; ``lookhost`` collects the facts.  Levels are those of
``findings``: a failure has the exit code with which a start ends.
Source: spec 7, 8, 9 (doctor).
"""

from typing import List, NamedTuple, Optional, Tuple

from xha.config import Local
from xha.errors import ExitCode
from xha.findings import Finding, failure, ok, unknown, warning
from xha.published import WatchdogMode
from xha.records import record

#: The CPythons that the archive is built and tested for.
PYTHON_OLDEST, PYTHON_NEWEST = (3, 6), (3, 13)

#: Clock sources of Linux that are quick and steady in a dom0.
CLOCKS_GOOD = ("tsc", "xen", "kvm-clock", "arch_sys_counter", "hyperv_clocksource_tsc_page")

#: Room below which a place is as good as full, bytes.
ROOM_MIN = 1 << 20
LOG_ROOM_MIN = 16 << 20


@record
class PythonFacts(NamedTuple):
    """The interpreter, and the compiled parts that it found."""

    version: Tuple[int, int, int]
    # Why netifaces cannot be imported; "" when it can.
    netifaces: str
    # crcmod's compiled part does the work.
    crc_compiled: bool
    # Euid 0.
    root: bool


@record
class RealtimeFacts(NamedTuple):
    """What a process gets that tries what the daemon tries."""

    # (privilege, why not), by the daemon's own words.
    missing: Tuple[Tuple[str, str], ...]
    # Why nothing could be tried; "" when it could.
    trouble: str
    # Of the daemon that runs: "SCHED_RR 48" or what it has; "" without a daemon.
    daemon_schedule: str
    # Memory that it has locked, KiB; -1 when not known.
    daemon_locked_kib: int


@record
class PlaceFacts(NamedTuple):
    """A directory that the daemon writes into."""

    # "run", "state" or "log".
    purpose: str
    path: str
    # Why it cannot be written, "" when it can.  The first that exists of it and its parents.
    trouble: str
    # Free bytes; -1 when not known.
    free_bytes: int


@record
class WatchdogFacts(NamedTuple):
    """What stands behind the watchdog, without taking a timer."""

    # Why hypercalls cannot be made, "" when they can.
    xen: str
    # Users of Xen's timers that are not ours, in words.
    holders: Tuple[str, ...]
    # Why the fence command cannot be run; "" when it can, or there is none.
    fence_command: str


@record
class LeftFacts(NamedTuple):
    """What the last daemon wrote down about its timers."""

    # There is a record, of this boot.
    present: bool
    of_this_boot: bool
    mode: WatchdogMode
    armed: bool
    daemon_pid: int
    daemon_runs: bool
    # Of mode USER: the process that keeps the timers runs; it left word that it fired.
    keeper_runs: bool
    fired: str
    # Only the ids are there, which the original writes.
    ids: Tuple[int, ...]
    trouble: str


@record
class HealthFacts(NamedTuple):
    """The health check of xapi."""

    command: str
    # Why it cannot be run; "" when it can.
    trouble: str


def judge_python(facts: PythonFacts) -> List[Finding]:
    """Whether the program runs as it was tested."""
    version = ".".join(map(str, facts.version))
    if PYTHON_OLDEST <= facts.version[:2] <= PYTHON_NEWEST:
        found = [ok("python", "CPython {}".format(version))]
    else:
        found = [warning("python", "CPython {}: not among the versions that xha is tested with, "
                         "3.6 to 3.13".format(version), "run it with one of these")]
    if facts.netifaces:
        found.append(warning("python", "netifaces cannot be used ({}): the heartbeat interface is "
                             "not checked at start".format(facts.netifaces),
                             "use an archive that was built for this Python"))
    if not facts.crc_compiled:
        found.append(warning("python", "checksums are computed in Python, some 30 times slower: it "
                             "works, and costs processor time in a large pool",
                             "use an archive that was built for this Python"))
    if not facts.root:
        found.append(warning("privileges", "not root: what only root may look at is not seen, and "
                             "only root starts the daemon of a host", "run doctor as root"))
    return found


def judge_realtime(facts: RealtimeFacts) -> List[Finding]:
    """Whether other work on this host can delay the daemon, and so have it fenced."""
    check = "real time"
    if facts.daemon_schedule:
        text = "the daemon runs with {}{}".format(
            facts.daemon_schedule, ", its memory locked" if facts.daemon_locked_kib > 0 else "")
        if facts.daemon_schedule.startswith("SCHED_RR"):
            return [ok(check, text)]
        return [warning(check, text + ": busy processes can delay it until this host is reset",
                        "see its log for realtime-missing, and restart it with the privilege")]
    if facts.trouble:
        return [unknown(check, facts.trouble)]
    if not facts.missing:
        return [ok(check, "real-time priority and locked memory are granted")]
    return [warning(check, "no {}: {}; a busy host can delay the daemon until it is reset".format(
        privilege, why), "run it as root, outside of a container or with its limits raised "
        "(CAP_SYS_NICE, CAP_IPC_LOCK)") for privilege, why in facts.missing]


def judge_places(facts: List[PlaceFacts]) -> List[Finding]:
    """Whether the daemon can write where it must, and where it should."""
    found = []
    for place in facts:
        check = place.purpose + " files"
        at = "{}".format(place.path)
        least = LOG_ROOM_MIN if place.purpose == "log" else ROOM_MIN
        if place.trouble and place.purpose == "run":
            found.append(failure(check, "{}: {}; no daemon can start".format(at, place.trouble),
                                 "make it writable: /run is in memory", ExitCode.SYSTEM_ERROR))
        elif place.trouble:
            lost = ("messages go to syslog alone" if place.purpose == "log"
                    else "what must outlast a reset is not kept")
            found.append(warning(check, "{}: {}; {}".format(at, place.trouble, lost),
                                 "make it writable"))
        elif 0 <= place.free_bytes < least:
            found.append(warning(check, "{}: {} KiB free".format(at, place.free_bytes >> 10),
                                 "make room: {} MiB at least".format(least >> 20)))
        else:
            found.append(ok(check, "{} can be written, {}".format(
                at, "room unknown" if place.free_bytes < 0
                else "{} MiB free".format(place.free_bytes >> 20))))
    return found


def judge_clock(current: str, available: str) -> Finding:
    """Whether the clock is quick and steady: every deadline hangs on it."""
    if not current:
        return unknown("clock", "the kernel does not say what its clock source is")
    if current in CLOCKS_GOOD:
        return ok("clock", "clock source {}".format(current))
    return warning("clock", "clock source {} is slow to read or not steady; there is {}".format(
        current, available or "nothing else"),
        "find out why the kernel left a better one (dmesg), such as tsc")


def judge_watchdog(local: Local, facts: WatchdogFacts, daemon_pid: int,
                   running: str = "") -> List[Finding]:
    """Whether something resets this host when our own code cannot.

    Args:
        running: the mode of the daemon that runs, by its own word; "" when there is none, or
            it does not answer.
    """
    check = "watchdog"
    mode = local.watchdog_mode
    if running not in ("", mode.name):
        return [warning(check, "the daemon runs in mode {}, the configuration has {}{}".format(
            running, mode.name, ": nothing resets this host, THE POOL IS NOT SAFE"
            if running == WatchdogMode.NONE.name else ""),
            "restart the daemon, or look at the options that it was started with")]
    if mode is WatchdogMode.NONE:
        return [warning(check, "mode NONE: nothing resets this host, THE POOL IS NOT SAFE: virtual "
                        "machines may run twice", "set WatchdogMode to HYPERVISOR")]
    if mode is WatchdogMode.USER:
        return _judge_user(local, facts)
    if daemon_pid:
        return [ok(check, "mode HYPERVISOR: the daemon holds its two timers of Xen")]
    if facts.xen:
        return [failure(check, "mode HYPERVISOR: {}".format(facts.xen),
                        "run in dom0 of a Xen host (modprobe xen_privcmd); for a host without Xen "
                        "set WatchdogMode to USER", ExitCode.WATCHDOG_ERROR)]
    if facts.holders:
        return [warning(check, "mode HYPERVISOR: {}.  Xen as shipped keeps two timers for dom0, "
                        "and both are needed here: a start then ends with 4.  (How many are free "
                        "cannot be asked without taking one.)".format("; ".join(facts.holders)),
                        "systemctl stop xen-watchdog, rmmod xen_wdt; or a Xen with more timers "
                        "(hypervisor_patch)")]
    return [ok(check, "mode HYPERVISOR: hypercalls can be made, and no other user of Xen's timers "
               "is seen (how many are free cannot be asked without taking one)")]


def _judge_user(local: Local, facts: WatchdogFacts) -> List[Finding]:
    check = "watchdog"
    text = "mode USER: a process of this host guards it, not the hypervisor"
    if facts.fence_command:
        return [failure(check, "mode USER: the fence command cannot be run: {}".format(
            facts.fence_command), "name a program that resets this host",
            ExitCode.WATCHDOG_ERROR)]
    if not local.fence_command:
        return [warning(check, text + ", and without a FenceCommand it ends the daemon only: "
                        "virtual machines run on", "set FenceCommand, or WatchdogMode HYPERVISOR")]
    advice = "prefer WatchdogMode HYPERVISOR where there is Xen" if not facts.xen else ""
    if advice:
        return [warning(check, text + "; but Xen is here", advice)]
    return [warning(check, text + ": a kernel that hangs whole is not reset by it",
                    "prefer a host with Xen and WatchdogMode HYPERVISOR")]


def judge_left_timers(facts: LeftFacts) -> List[Finding]:
    """What a dead daemon left; the same judgement as a start's (``lefttimers``)."""
    check = "left timers"
    found = []  # type: List[Finding]
    if facts.trouble:
        found.append(warning(check, "the record of the timers cannot be read: {}".format(
            facts.trouble), "look whether timers run before you start; cleanup-watchdog"))
    if not facts.present:
        if facts.ids:
            found.append(warning(check, "the original's tools left ids of timers ({}): whether "
                                 "they run, and for whom, is not known".format(
                                     ", ".join(map(str, facts.ids))),
                                 "where no xhad runs: cleanup-watchdog"))
        return found or [ok(check, "none")]
    if not facts.of_this_boot:
        return found + [ok(check, "of another boot: a reset ended them")]
    if facts.daemon_runs:
        return found + [ok(check, "none; those on record are the running daemon's")]
    if not facts.armed:
        return found + [ok(check, "of a daemon that was not armed: a start stops them")]
    if facts.mode is WatchdogMode.NONE:
        return found + [ok(check, "numbers only (mode NONE), of a daemon that died armed")]
    if facts.fired:
        return found + [ok(check, "they have fired, and are said at the next start: {}".format(
            facts.fired))]
    fate = ("its timers run: XEN IS ABOUT TO RESET THIS HOST"
            if facts.mode is WatchdogMode.HYPERVISOR else
            "its timer process runs: THIS HOST IS ABOUT TO BE RESET" if facts.keeper_runs else
            "its timer process is gone without having fired")
    return found + [failure(
        check, "the last daemon (pid {}) died while this host was armed, and {}; the other hosts "
        "count on that reset".format(facts.daemon_pid, fate),
        "wait for it; only when the pool was looked at, and takes this host for alive: "
        "cleanup-watchdog", ExitCode.WATCHDOG_ERROR)]


def judge_health_check(facts: HealthFacts, daemon_pid: int,
                       checked: Optional[bool]) -> Finding:
    """Whether xapi can be watched.

    Args:
        checked: the daemon that runs has had an answer of its health check; None: not known.
    """
    check = "xapi check"
    if daemon_pid:
        if checked is None:
            return unknown(check, "the daemon does not say whether its health checks of xapi are "
                           "answered")
        if checked:
            return ok(check, "the daemon's health checks of xapi are answered")
        return unknown(check, "the daemon has had no answer of a health check yet (it checks only "
                       "while online), and which program it runs is not known from here")
    if facts.trouble:
        return failure(check, "{}: {}; a daemon that is online and cannot check xapi 6 times in a "
                       "row RESETS THIS HOST".format(facts.command, facts.trouble),
                       "install it, or name another: start-daemon --health-check "
                       "(XHA_HEALTH_CHECK)",
                       ExitCode.INVALID_ENVIRONMENT)
    return ok(check, "{} can be run".format(facts.command))
