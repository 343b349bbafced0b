"""The command `doctor`: is this host fit for HA, and what should be done about it.

Theory of operation
===================

A thin collector: each fact is looked up (``lookhost``, ``looknetwork``,
``lookdisk``, ``daemonview``) and handed to a judgement that knows nothing of
the world (``judgehost``, ``judgenetwork``, ``judgedisk``, ``judgepool``,
``latencies``).  Nothing is changed, so it may run at any time, beside an armed
daemon too: the State-File is only read, no timer is taken, no port is bound,
the daemon is asked the one question that has no side effect.

Every look is bounded: what may hang is looked at by a child that can be left
behind.  What takes seconds says so first, on standard error.

Findings come in the order in which a start meets what they are about; the exit
code is the first failure's.  Source: spec 9, docs/doctor.md.
"""

import errno
import json
import os
from typing import Any, Dict, List, Optional, Tuple

from xha import bounded, cli, configfile, daemonlock, daemonview, findings, folding, judgedisk
from xha import judgehost, judgenetwork, judgepool, latencies, lookdisk, lookhost, looknetwork
from xha import secrecy, timing
from xha.config import Config
from xha.daemonview import Asked
from xha.errors import ExitCode, XhaError
from xha.findings import Finding, Level, failure, ok, unknown, warning
from xha.judgedisk import DiskFacts
from xha.paths import Paths
from xha.published import NEVER

#: How long the configuration may take to be read, s.
CONFIG_S = 10.0
#: How long the State-File is read, s: where nothing else is said, and at most.
SECONDS, SECONDS_MAX = 3, 600
#: What is about the user who looks: root's daemon may fare otherwise.
_USERS = ("run files", "state files", "log files", "real time", "UDP port")


def run(arguments: Dict[str, Any]) -> int:
    """Look at this host, print what was found, and end as a start would.

    Raises:
        XhaError: INVALID_PARAMETER: no such form, or no number of seconds.
    """
    form, for_s = arguments["--format"], _seconds(arguments["--seconds"])
    if form not in ("text", "json"):
        raise XhaError(ExitCode.INVALID_PARAMETER,
                       "--format={}: expected text or json".format(form))
    secrecy.keep()      # The State-File is read.
    paths = Paths(arguments["--run-dir"] or "")
    settings, found = _configuration(arguments["--config"])
    found += _examine(settings, paths, for_s, bool(arguments["--pool"]), form == "text")
    if os.geteuid() != 0 and not arguments["--run-dir"] and not os.environ.get("XHA_RUN_DIR"):
        found = [_as_anybody(one) for one in found]
    _show(form, arguments["--config"], settings, found)
    return findings.exit_code(found)


def _as_anybody(one: Finding) -> Finding:
    """What an ordinary user is refused says nothing about root's daemon."""
    refused = one.check in _USERS or os.strerror(errno.EACCES) in one.text
    if (one.level not in (Level.WARNING, Level.FAILURE) or not refused
            or one.check == "configuration"):
        return one
    return unknown(one.check, "as this user: " + one.text, "run doctor as root")


def _seconds(text: Optional[str]) -> Optional[int]:
    """How long the State-File is to be read, s; None when that was not said."""
    if text is None:
        return None
    if not text.isdigit() or not 0 <= int(text) <= SECONDS_MAX:
        raise XhaError(ExitCode.INVALID_PARAMETER, "--seconds={}: expected a number, 0 to {}"
                       .format(text, SECONDS_MAX))
    return int(text)


def _usual_seconds(settings: Config, pool: bool) -> int:
    """With the others in view, long enough for every host that runs to write: two cycles."""
    cycles_ms = 2 * (settings.common.statefile_interval_ms + timing.CYCLE_OFFSET_MS)
    return max(SECONDS, -(-cycles_ms // 1000)) if pool else SECONDS


def _configuration(path: str) -> Tuple[Optional[Config], List[Finding]]:
    """The configuration, and what there is to say of it; None when it cannot be had."""
    check = "configuration"
    try:
        settings = bounded.run(lambda: configfile.load(path), path, CONFIG_S)
        assert isinstance(settings, Config)
    except XhaError as error:
        code = error.code if error.code in (
            ExitCode.CANNOT_READ_CONFIG, ExitCode.INVALID_CONFIG) else ExitCode.CANNOT_READ_CONFIG
        return None, [
            failure(check, str(error), "xapi writes it when HA is enabled; --config names another"
                    if code is ExitCode.CANNOT_READ_CONFIG else "correct it", code),
            unknown(check, "State-File, network and time-outs are not looked at: which ones is in "
                    "the configuration")]
    found = [ok(check, "{} is valid: this is host {} of {}, {}".format(
        path, settings.local.index, len(settings.common.hosts),
        settings.common.hosts[settings.local.index].address))]
    return settings, found + [warning(check, text, "correct it, or leave it out")
                              for text in settings.warnings]


def _examine(settings: Optional[Config], paths: Paths, for_s: Optional[int], pool: bool,
             aloud: bool) -> List[Finding]:
    """Everything beyond the configuration, in the order of a start."""
    found = []  # type: List[Finding]
    asked = daemonview.ask(paths)
    try:
        daemon_pid = daemonlock.holder(paths.lock)
    except XhaError as error:
        daemon_pid = 0
        found.append(unknown("daemon", str(error)))
    found += judgepool.judge_daemon(daemon_pid, asked.snapshot, asked.why, asked.code)
    found += judgehost.judge_python(lookhost.look_python())
    found += judgehost.judge_places(lookhost.look_places(paths))
    disk = None  # type: Optional[DiskFacts]
    if settings is not None:
        if for_s is None:
            for_s = _usual_seconds(settings, pool)
        disk = _look_at_disk(settings, for_s, aloud)
        found += judgedisk.judge_device(disk)
        found += _network(settings, daemon_pid)
    found += judgehost.judge_realtime(lookhost.look_realtime(daemon_pid))
    if settings is not None:
        found += judgehost.judge_watchdog(
            settings.local, lookhost.look_watchdog(settings.local), daemon_pid,
            "" if asked.snapshot is None else asked.snapshot.watchdog_mode)
    found += judgehost.judge_left_timers(lookhost.look_left(paths))
    if settings is not None and disk is not None:
        found += judgedisk.judge_contents(settings, disk, daemon_pid)
        found += judgedisk.judge_readings(settings, disk)
        found += _timeouts(settings, asked)
    found.append(judgehost.judge_clock(*lookhost.look_clock()))
    checked = None if asked.snapshot is None else asked.snapshot.xapi_latency.last_ms != NEVER
    found.append(judgehost.judge_health_check(
        lookhost.look_health_check({}), daemon_pid, checked))
    if pool and settings is not None and disk is not None:
        found += judgepool.judge_pool(settings, disk, asked.snapshot)
    return found


def _look_at_disk(settings: Config, for_s: int, aloud: bool) -> DiskFacts:
    path = settings.local.statefile
    if aloud:
        cli.say("", "reading the State-File {} for {} s (it is given {:g} s more to answer) ..."
                .format(path, for_s, lookdisk.PATIENCE_S))
    return lookdisk.look(path, len(settings.common.hosts), for_s)


def _network(settings: Config, daemon_pid: int) -> List[Finding]:
    address = settings.common.hosts[settings.local.index].address
    port = settings.common.udp_port
    return (judgenetwork.judge_interface(settings, looknetwork.look_interface(settings))
            + judgenetwork.judge_port(port, address, looknetwork.look_port(port, daemon_pid))
            + judgenetwork.judge_firewall(settings, looknetwork.look_firewall(":" in address)))


def _timeouts(settings: Config, asked: Asked) -> List[Finding]:
    """The times against each other and against what the daemon has measured."""
    found = latencies.judge_configured(settings.common)
    snapshot = asked.snapshot
    if snapshot is not None and snapshot.generation_uuid == settings.common.generation_uuid:
        found += latencies.judge_running(settings.common, latencies.running_ms(snapshot))
        found += latencies.judge_measured(settings.common, latencies.of_snapshot(snapshot))
    elif snapshot is not None:
        found.append(warning("daemon", "it runs with another configuration than this one",
                             "restart it, or look at the file that it was started with"))
    return found


def _show(form: str, path: str, settings: Optional[Config], found: List[Finding]) -> None:
    if form == "text":
        folding.show(findings.as_text(found))
        return
    cli.say(json.dumps({
        "version": findings.JSON_VERSION,
        "configuration": findings.printable(path),
        "local_host": None if settings is None else settings.local.index,
        "exit_code": int(findings.exit_code(found)),
        "findings": findings.as_facts(found)}, indent=1), "")
