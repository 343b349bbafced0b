"""``xha.pyz metrics``: this host's facts for a monitoring system.

Theory of operation
===================

One question without a side effect to the daemon, one text (``openmetrics``).
A collector must not lose the metric just when it matters: without a daemon that
answers there is ``xha_up 0`` and what the configuration says, and the command
ends with 0.  The State-File is not read then: a disk that hangs must not gather
a process a minute.

``--output`` replaces a file as a whole, or leaves it as it was (``replacing``).

Source: spec 9, "metrics"; docs/metrics.md lists every name.
"""

from typing import Any, Callable, Dict, List, Optional, Sequence, Tuple

from xha import cli, concerns, configfile, daemonlock, daemonview, replacing, report
from xha.config import Config, display_uuid
from xha.errors import ExitCode, XhaError
from xha.marginwords import PATHS, WINDOWS, closest, ratio
from xha.openmetrics import COUNTER, GAUGE, Family, Labels, Sample, decimal, render
from xha.paths import Paths
from xha.published import FencingMode, Phase, PoolState, WatchdogMode
from xha.snapshot import HostView, Latency, Snapshot

#: What the daemon may take to answer, s.
_ANSWER_S = 2.5

#: Every cause for which a datagram is refused: a counter must be there before it counts.
CAUSES = ("generation", "host-index", "host-uuid", "incarnation", "length", "not-authentic",
          "not-receiving", "own-identity", "phase", "seal", "sequence", "signature", "size",
          "source-address", "starting-instance", "uuid")


def run(arguments: Dict[str, Any]) -> int:
    """``xha.pyz metrics``; its exit code.

    Raises:
        XhaError: SYSTEM_ERROR: the output cannot be written, and what was there still is;
            INVALID_PARAMETER: it is no place for a file.
    """
    paths = Paths(arguments["--run-dir"] or "")
    text = collect(paths, arguments["--config"])
    if arguments["--output"] is None:
        cli.say(text, "")
    else:
        replacing.replace(arguments["--output"], text.encode("ascii", "backslashreplace"))
    return ExitCode.SUCCESS


def collect(paths: Paths, config: str) -> str:
    """The text of what is known now, within 5 s."""
    asked = daemonview.ask(paths, _ANSWER_S)
    if asked.snapshot is not None:
        return render(of(asked.snapshot, daemonview.build(paths)))
    # One of another version is not up: status says so.
    settings = None     # type: Optional[Config]
    try:
        settings = configfile.load(config)
    except XhaError:
        pass            # xha_configured says it.
    try:
        pid = daemonlock.holder(paths.lock)
    except XhaError:
        pid = 0
    return render(of_no_daemon(settings, pid != 0))


# The families

def of(snapshot: Snapshot, build: str) -> List[Family]:
    """What a daemon told."""
    return (_presence(True, True, True)
            + [Family(name="xha_build_info", kind=GAUGE, meaning="Which xha the daemon is.",
                      samples=(Sample(labels=(
                          ("software", report.printable(snapshot.hosts[snapshot.local].software)),
                          ("build", report.printable(build))), number="1"),))]
            + _this_host(snapshot) + _pool(snapshot) + _durations(snapshot) + _counts(snapshot)
            + _margins(snapshot) + _hosts(snapshot))


def of_no_daemon(settings: Optional[Config], running: bool) -> List[Family]:
    """What is known without an answer."""
    families = _presence(False, running, settings is not None)
    if settings is not None:
        common = settings.common
        families.append(_number("xha_configured_hosts", "Hosts in the configuration.",
                                len(common.hosts)))
        families += _time_outs(
            common.heartbeat_timeout_ms, common.statefile_timeout_ms, common.xapi_check_timeout_ms,
            common.heartbeat_watchdog_timeout_ms, common.statefile_watchdog_timeout_ms)
    return families


def _presence(answers: bool, running: bool, configured: bool) -> List[Family]:
    return [_number("xha_up", "1 if the daemon of this host answers.", int(answers)),
            _number("xha_daemon_running", "1 if a daemon process is there.", int(running)),
            _number("xha_configured", "1 if there is a valid configuration, or a daemon that has "
                    "one.", int(configured))]


def _this_host(snapshot: Snapshot) -> List[Family]:
    families = []   # type: List[Family]
    for name, meaning, fact in (
            ("online", "1 if this host is a member of the liveset.", snapshot.online),
            ("armed", "1 if a loss of membership resets this host.",
             snapshot.fencing is FencingMode.ARMED),
            ("excluded", "1 if this host is noted as leaving on purpose.", snapshot.excluded),
            ("fault_handler_running", "1 while the hosts agree on who goes on.",
             concerns.handling(snapshot)),
            ("waiting", "1 while this host waits for something (status says for what).",
             bool(snapshot.waiting_for)),
            ("master_lock_held", "1 if this host holds the master lock.", snapshot.holding_lock),
            ("statefile_accessible", "1 if this host has access to the State-File.",
             snapshot.statefile_access),
            ("statefile_corrupted", "1 if what this host read of the State-File is corrupt.",
             snapshot.statefile_corrupted),
            ("global_record_corrupted", "1 if the State-File's global record is corrupt.",
             snapshot.global_corrupted),
            ("survival_rule_2", "1 if all hosts have lost the State-File, and live on.",
             snapshot.sr2),
            ("accelerated", "1 while the State-File is read and written faster.",
             snapshot.accelerated),
            ("heartbeats_authenticated", "1 if heartbeats are under the pool's key.",
             snapshot.keyed),
            ("bond_degraded", "1 if the bond of the heartbeat network is degraded or down.",
             snapshot.bond_error)):
        families.append(_number("xha_" + name, meaning, int(fact)))
    return families + [
        _choice("xha_fencing_mode", "mode", "Whether this host may be reset; one is 1.",
                [mode.name for mode in FencingMode], snapshot.fencing.name),
        _choice("xha_watchdog_mode", "mode", "Who keeps this host's timers; one is 1.",
                [mode.name for mode in WatchdogMode], snapshot.watchdog_mode),
        _choice("xha_phase", "phase", "Phase of this host; one is 1.",
                [phase.name for phase in Phase], snapshot.phase.name)]


def _pool(snapshot: Snapshot) -> List[Family]:
    state = snapshot.pool_state.name if snapshot.pool_state_known else "UNKNOWN"
    return [
        _choice("xha_pool_state", "state", "State of the pool in the State-File; one is 1.",
                [state.name for state in PoolState] + ["UNKNOWN"], state),
        _number("xha_configured_hosts", "Hosts in the configuration.", len(snapshot.hosts)),
        _number("xha_liveset_hosts", "Hosts agreed to be alive.", len(snapshot.current_liveset)),
        _number("xha_proposed_liveset_hosts", "Hosts that this host proposes.",
                len(snapshot.proposed_liveset)),
        _number("xha_heartbeat_domain_hosts", "Hosts that this host hears, itself included.",
                len(snapshot.heartbeat_domain)),
        _number("xha_statefile_domain_hosts", "Hosts that it sees write, itself included.",
                len(snapshot.statefile_domain)),
        _number("xha_excluded_hosts", "Hosts noted as leaving on purpose.",
                sum(host.excluded for host in snapshot.hosts)),
        _number("xha_master_known", "1 if the State-File names a configured master.",
                int(concerns.master_of(snapshot) is not None))]


def _durations(snapshot: Snapshot) -> List[Family]:
    families = _time_outs(
        snapshot.heartbeat_timeout_ms, snapshot.statefile_timeout_ms, snapshot.xapi_timeout_ms,
        snapshot.heartbeat_watchdog_timeout_ms, snapshot.statefile_watchdog_timeout_ms)
    for name, what, latency in (
            ("heartbeat", "to send heartbeats", snapshot.heartbeat_latency),
            ("statefile", "for a cycle of the State-File", snapshot.statefile_latency),
            ("xapi_check", "for a health check of xapi", snapshot.xapi_latency)):
        families += _latency("xha_{}_latency".format(name), what, latency)
    return families + [_duration(
        "xha_xapi_restart_regained_seconds", "Until a spent restart of xapi counts no more.",
        snapshot.xapi_restarts_more_in_ms)]


def _time_outs(t1_ms: int, t2_ms: int, t3_ms: int, wh_ms: int, ws_ms: int) -> List[Family]:
    return [
        _duration("xha_heartbeat_timeout_seconds", "T1: silence that makes a host lost.", t1_ms),
        _duration("xha_statefile_timeout_seconds", "T2: likewise on the State-File.", t2_ms),
        _duration("xha_xapi_check_timeout_seconds", "T3: of a health check of xapi.", t3_ms),
        _duration("xha_heartbeat_watchdog_timeout_seconds",
                  "Wh: from the last heartbeat to this host's reset.", wh_ms),
        _duration("xha_statefile_watchdog_timeout_seconds",
                  "Ws: from the last write to this host's reset.", ws_ms)]


def _latency(name: str, what: str, latency: Latency) -> List[Family]:
    return [
        _duration(name + "_seconds", "Time {}, the last.".format(what), latency.last_ms),
        _duration(name + "_max_seconds", "Time {}, the longest since xapi's last query.".format(
            what), latency.max_ms),
        _duration(name + "_min_seconds", "Time {}, the shortest since then.".format(what),
                  latency.min_ms)]


def _counts(snapshot: Snapshot) -> List[Family]:
    found = concerns.of(snapshot)
    names = sorted({(concern.gravity, concern.name) for concern in found})
    refused = dict.fromkeys(CAUSES, 0)
    refused.update(snapshot.datagrams_refused)
    return [
        Family(name="xha_concern", kind=GAUGE, meaning="What status warns of, now: how often.",
               samples=tuple(Sample(labels=(("gravity", gravity), ("name", name)), number=str(
                   sum(concern.name == name for concern in found))) for gravity, name in names)),
        Family(name="xha_concerns", kind=GAUGE, meaning="Warnings of status, by gravity.",
               samples=tuple(Sample(labels=(("gravity", gravity),), number=str(
                   sum(concern.gravity == gravity for concern in found)))
                             for gravity in concerns.GRAVITIES)),
        Family(name="xha_xapi_warning", kind=GAUGE, meaning="The warnings that xapi gets.",
               samples=tuple(Sample(labels=(("warning", name.lower()),), number=str(int(fact)))
                             for name, fact in report.warnings(snapshot))),
        _number("xha_xapi_restarts_left", "Restarts of xapi left; at 0 a failed check resets.",
                snapshot.xapi_restarts_left),
        Family(name="xha_datagrams_refused", kind=COUNTER,
               meaning="Datagrams refused since the daemon's start, by cause.",
               samples=tuple(Sample(labels=(("cause", report.printable(cause)),),
                                    number=str(count))
                             for cause, count in sorted(refused.items())))]


def _margins(snapshot: Snapshot) -> List[Family]:
    """How near each path came to its time-out: 1 is a fence, or the loss of a host."""
    samples, of_hosts = [], []
    for path in PATHS:
        margins = [margin for margin in snapshot.margins if margin.path == path]
        for window in WINDOWS:
            worst = closest(margins, window)
            if worst is not None:
                samples.append(Sample(labels=(("path", path), ("window", window)),
                                      number=decimal(ratio(worst, window))))
        of_hosts += [Sample(labels=_host_labels(snapshot.hosts[margin.host]) + (("path", path),),
                            number=decimal(ratio(margin, "hour")))
                     for margin in margins
                     if margin.hour is not None and 0 <= margin.host < len(snapshot.hosts)]
    return [
        Family(name="xha_timeout_used_ratio", kind=GAUGE, meaning="How much of its time-out a "
               "path used up before a sign came: 1 is all.", samples=tuple(samples)),
        Family(name="xha_host_timeout_used_ratio", kind=GAUGE, meaning="The same of each host, in "
               "the last hour.", samples=tuple(of_hosts)),
        Family(name="xha_near_misses", kind=COUNTER, meaning="Time-outs that were used up for more "
               "than half, since the daemon's start.",
               samples=tuple(Sample(labels=(("path", report.printable(path)),), number=str(count))
                             for path, count in snapshot.near_misses))]


# Of each host

#: Name, meaning, and the value as text; None where it is not known.
_OF_HOSTS = (
    ("local", "1 for this host.", lambda snapshot, host: _bit(host.index == snapshot.local)),
    ("live", "1 if it is in the liveset.", lambda snapshot, host: _bit(host.live)),
    ("proposed", "1 if it is in the liveset that this host proposes.",
     lambda snapshot, host: _bit(host.index in snapshot.proposed_liveset)),
    ("master", "1 if the State-File names it as master.",
     lambda snapshot, host: _bit(host.master)),
    ("excluded", "1 if it is noted as leaving on purpose.",
     lambda snapshot, host: _bit(host.excluded)),
    ("starting", "1 if its record says that it starts.",
     lambda snapshot, host: _bit(host.starting)),
    ("heard", "1 if it is in this host's heartbeat domain.",
     lambda snapshot, host: _bit(host.index in snapshot.heartbeat_domain)),
    ("seen", "1 if it is in this host's State-File domain.",
     lambda snapshot, host: _bit(host.index in snapshot.statefile_domain)),
    ("statefile_accessible", "1 if it has access to the State-File.",
     lambda snapshot, host: _bit(host.statefile_access)),
    ("statefile_corrupted", "1 if its record is corrupt.",
     lambda snapshot, host: _bit(host.statefile_corrupted)),
    ("sealed", "1 if it runs xha; 0 for xhad, and while nothing is known.",
     lambda snapshot, host: _bit(host.sealed)),
    ("fault_handler_running", "1 while it says that it is in the fault handler.",
     lambda snapshot, host: _bit(host.phase not in concerns.RESTING)),
    ("xapi_failing", "1 if its xapi is being restarted, or reports an error.",
     lambda snapshot, host: _bit(bool(host.xapi_error) or host.since_xapi_restart_ms >= 0)),
    ("xapi_held_seconds", "Until its xapi is checked again; 0: it is checked.",
     lambda snapshot, host: decimal(max(0, host.xapi_held_ms))),
    ("disarmed", "1 if it says that nothing resets it.",
     lambda snapshot, host: _bit(host.disarmed)),
    ("disarm_term_seconds", "So long it is meant to be disarmed yet, if that was said; 0: over.",
     lambda snapshot, host: _seconds(host.disarm_term_ms)),
    ("weight", "Its committed weight.", lambda snapshot, host: str(host.weight)),
    ("heartbeat_age_seconds", "Since its last heartbeat; own: since sending.",
     lambda snapshot, host: _seconds(host.since_heartbeat_ms)),
    ("statefile_age_seconds", "Since its last write that was noticed.",
     lambda snapshot, host: _seconds(host.since_statefile_ms)),
    ("xapi_restart_age_seconds", "Since it first tried to restart xapi.",
     lambda snapshot, host: _seconds(host.since_xapi_restart_ms)),
)  # type: Tuple[Tuple[str, str, Callable[[Snapshot, HostView], Optional[str]]], ...]


def _hosts(snapshot: Snapshot) -> List[Family]:
    families = []
    for name, meaning, value in _OF_HOSTS:
        samples = []
        for host in snapshot.hosts:
            number = value(snapshot, host)
            if number is not None:
                samples.append(Sample(number=number, labels=_host_labels(host)))
        families.append(Family(name="xha_host_" + name, kind=GAUGE, meaning=meaning,
                               samples=tuple(samples)))
    return families


def _host_labels(host: HostView) -> Labels:
    return (("host", str(host.index)), ("host_uuid", display_uuid(host.uuid)),
            ("address", report.printable(host.address)))


def _bit(fact: bool) -> str:
    return "1" if fact else "0"


def _seconds(age_ms: int) -> Optional[str]:
    return None if age_ms < 0 else decimal(age_ms)


def _number(name: str, meaning: str, number: int) -> Family:
    return Family(name=name, kind=GAUGE, meaning=meaning,
                  samples=(Sample(labels=(), number=str(number)),))


def _duration(name: str, meaning: str, age_ms: int) -> Family:
    number = _seconds(age_ms)
    return Family(name=name, kind=GAUGE, meaning=meaning,
                  samples=() if number is None else (Sample(labels=(), number=number),))


def _choice(name: str, label: str, meaning: str, choices: Sequence[str], now: str) -> Family:
    return Family(name=name, kind=GAUGE, meaning=meaning, samples=tuple(
        Sample(labels=((label, choice.lower()),), number=_bit(choice == now))
        for choice in choices))
