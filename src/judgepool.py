"""What the daemon of this host and the seals of the others' records tell about the pool.

Only what is really known: a record's seal says which software wrote it, when
by its writer's clock, how its watchdog and its fencing stand, and which times
and configuration it goes by; two readings say who advances.  That a host has
another *generation* shows in the datagrams that are refused, too.  Facts in,
findings out.  Source: spec 9, doctor.
"""

from typing import Dict, List, Optional, Tuple

from xha import config, judgekey, sfformat, timing
from xha.config import Config
from xha.errors import ExitCode
from xha.findings import Finding, failure, ok, unknown, warning
from xha.judgedisk import DiskFacts, Look, host_of
from xha.latencies import seconds
from xha.published import (NEVER, PUBLISHED_TIMES, Configuration, FencingMode, GlobalRecord,
                           HostRecord, WatchdogMode)
from xha.snapshot import HostView, Snapshot

#: Wall clocks this much apart make logs of two hosts hard to compare, ms.
CLOCKS_APART_MS = 2000

#: Refused datagrams that tell of something wrong, by cause; others are the network's or a
#: restart's.  Source: spec 4, "Receiving".
_REFUSED = {
    "generation": "of another generation: some host has another configuration of HA",
    "host-index": "of a host index that is not configured here",
    "host-uuid": "of a host UUID that is another's here: configurations differ",
    "own-identity": "that claim to be this host: a copy of it, or a forger",
    "source-address": "from another address than the configured one",
    "seal": "damaged, or without the seal that their sender writes elsewhere",
    "not-authentic": "not under the pool's key: forged, or of a host that did not read the key",
}


def judge_daemon(daemon_pid: int, told: Optional[Snapshot], why: str, code: int = 0
                 ) -> List[Finding]:
    """Whether a daemon runs here, and what it complains of.

    Args:
        daemon_pid: who holds the daemon's lock; 0 for nobody.
        told: what it answered, None when it gave no answer.
        why: then, why.
        code: then, the exit code of the question: 14, there is none; 3, it did not answer in
            time; 16, it may not be asked.
    """
    check = "daemon"
    if not daemon_pid and told is None and code not in (0, ExitCode.DAEMON_NOT_PRESENT):
        return [unknown(check, "whether one runs is not known: {}".format(why))]
    if not daemon_pid and told is None:
        return [ok(check, "none runs: nothing here is in use")]
    if told is None and daemon_pid and code == ExitCode.TRANSIENT_ERROR:
        return [failure(check, "process {} is the daemon, and does not answer: {}; IF IT STAYS SO, "
                        "THIS HOST IS RESET when its watchdogs expire".format(daemon_pid, why),
                        "look at its log, and whether it is stopped (state T in `ps`)",
                        ExitCode.TRANSIENT_ERROR)]
    if told is None:
        return [warning(check, "process {} holds the daemon's lock, and does not answer: {}".format(
            daemon_pid, why), "it starts, or ends: look again in some seconds, and at its log")]
    found = [ok(check, "{}, fencing {}, watchdog mode {}, pool state {}".format(
        "online" if told.online else "starting", told.fencing.name.lower(), told.watchdog_mode,
        told.pool_state.name.lower() if told.pool_state_known else "unknown"))]
    if told.waiting_for:
        found.append(warning(check, "it waits for {}".format(told.waiting_for),
                             "see `query-liveset --format=text`"))
    if told.online and told.fencing is FencingMode.DISARMED:
        found.append(warning(check, "its fencing is disarmed: it takes no part in decisions, and "
                             "nothing resets this host", "restart the daemon, or end HA here"))
    for fact, text in (
            (told.sr2, "all hosts have lost the State-File; the next loss of a host or of the "
             "network resets all"),
            (timing.approaching(max(told.xapi_latency.last_ms, told.xapi_latency.max_ms),
                                told.xapi_timeout_ms),
             "xapi's health check takes more than half of its time-out")):
        if fact:
            found.append(warning(check, text, "look at it before more is lost"))
    if told.xapi_restarts_left == 0 and told.xapi_restarts_more_in_ms != NEVER:
        found.append(warning(check, "no restart of xapi is left for {}: until then a failed check "
                             "resets this host".format(seconds(told.xapi_restarts_more_in_ms)),
                             "find out why xapi failed"))
    return found + [
        warning("datagrams", "{} refused since the daemon started, {}".format(
            count, _REFUSED[cause]), "see datagram-refused in the log for who sends them")
        for cause, count in told.datagrams_refused if count and cause in _REFUSED]


def judge_pool(settings: Config, facts: DiskFacts, told: Optional[Snapshot]) -> List[Finding]:
    """What is known of each host of the pool, this one included; one finding or more for each."""
    if facts.error or not facts.looks:
        return [unknown("pool", "the State-File cannot be read: of the others nothing is known")]
    first, last = facts.looks[0], facts.looks[-1]
    found = []
    for index, host in enumerate(settings.common.hosts):
        name = "host {}{}".format(index, "*" if index == settings.local.index else "")
        found += _judge_host(settings, name, host.address, _records(index, first, last), last,
                             _told(told, index), last.at_wall_ms - first.at_wall_ms,
                             max(facts.readings_us or (0,)) // 1000)
    found += _judge_software(settings, first, last)
    return found + _judge_configurations(settings, first, last) + _judge_keys(settings, first, last)


def _judge_keys(settings: Config, first: Look, last: Look) -> List[Finding]:
    """Which keys the pool goes by; of those who write now, who does not."""
    section = last.sections[0]
    content = None if isinstance(section, str) else sfformat.section_of_global(section).content
    if not isinstance(content, GlobalRecord):
        return []
    writing = {}
    for index in range(len(settings.common.hosts)):
        before, now = _records(index, first, last)
        if now is not None and before is not None and before.sequence != now.sequence:
            writing[index] = now
    return judgekey.judge(content, writing)


def _judge_configurations(settings: Config, first: Look, last: Look) -> List[Finding]:
    """Whether all hosts that write go by this configuration, this one's daemon included."""
    check = "configurations"
    ours = config.published(settings.common)
    alike, silent, found = [], [], []  # type: List[str], List[str], List[Finding]
    for index in range(len(settings.common.hosts)):
        before, content = _records(index, first, last)
        if content is None or before is None or before.sequence == content.sequence:
            continue
        theirs = content.seal.configuration if content.seal is not None else None
        if theirs is None:
            silent.append(str(index))
        elif theirs == ours:
            alike.append(str(index))
        else:
            found.append(_judge_other(index, theirs, ours))
    if silent:
        found.append(unknown(check, "hosts {} do not say which times they go by (xhad, or an older "
                             "xha)".format(", ".join(silent)), "compare their xhad.conf with this"))
    if alike:
        found.append(ok(check, "hosts {} go by this configuration ({:016x})".format(
            ", ".join(alike), ours.fingerprint)))
    return found


def _judge_other(index: int, theirs: Configuration, ours: Configuration) -> Finding:
    """Of a host whose configuration is another."""
    other = ["{} {} (here {})".format(symbol, seconds(its_ms), seconds(our_ms))
             for symbol, its_ms, our_ms in zip(PUBLISHED_TIMES, theirs.times_ms, ours.times_ms)
             if its_ms != our_ms]
    text = "host {} goes by another configuration: {}".format(
        index, ", ".join(other) if other else "its times are ours, but not its hosts, addresses, "
        "port, or checks of xapi")
    timers = [PUBLISHED_TIMES.index(symbol) for symbol in ("Wh", "Ws")]
    if any(theirs.times_ms[at] > ours.times_ms[at] for at in timers):
        text += "; it is reset later than hosts with ours count with: THE POOL IS NOT SAFE"
    return warning("configurations", text, "let xapi enable HA anew, so that all hosts have one "
                   "configuration; a daemon reads it when it starts")


def _told(told: Optional[Snapshot], index: int) -> Optional[HostView]:
    hosts = told.hosts if told is not None else ()
    return hosts[index] if index < len(hosts) else None


def _records(index: int, first: Look, last: Look) -> Tuple[Optional[HostRecord],
                                                           Optional[HostRecord]]:
    both = [host_of(look.sections[1 + index], index).content for look in (first, last)]
    before, after = [one if isinstance(one, HostRecord) else None for one in both]
    return before, after


def _judge_host(settings: Config, name: str, address: str,
                records: Tuple[Optional[HostRecord], Optional[HostRecord]], last: Look,
                told: Optional[HostView], looked_ms: int,
                slowest_ms: int) -> List[Finding]:
    before, content = records
    if content is None:
        return [unknown(name, "{}: its record is bad: nothing is known of it".format(address))]
    if not content.host_uuid:
        return [unknown(name, "{}: it has never written to this State-File".format(address))]
    advances = before is not None and before.sequence != content.sequence
    words = [address, "excluded" if content.excluded else
             "starting" if content.starting else "in a liveset of {}".format(
                 len(content.current_liveset)) if content.current_liveset else "in no liveset"]
    words.append("writes now" if advances else "did not write in the {} we looked".format(
        seconds(max(0, looked_ms))))
    if told is not None and told.since_heartbeat_ms != NEVER:
        words.append("heard {} ago".format(seconds(told.since_heartbeat_ms)))
    if content.seal is None:
        words.append("runs xhad (no seal)")
    else:
        words.append("{}, watchdog {}, fencing {}".format(
            content.seal.software or "software unknown", content.seal.watchdog_mode.name,
            content.seal.fencing.name.lower()))
    found = [ok(name, "; ".join(words))]
    if content.seal is not None and advances:
        found += _judge_seal(settings, name, content, last, slowest_ms)
    return found


def _judge_seal(settings: Config, name: str, content: HostRecord, last: Look,
                slowest_ms: int) -> List[Finding]:
    """Of a host that writes: its clock, and how it is guarded."""
    seal = content.seal
    assert seal is not None
    found = []
    # It was written within the last cycle or two, or while we read; what is beyond that, and
    # beyond what the disk takes, is the clocks'.
    age_ms = last.at_wall_ms - seal.written_at_wall_ms
    least_ms = age_ms - 2 * settings.common.statefile_interval_ms - 1000
    apart_ms = max(-age_ms, least_ms) - slowest_ms
    if apart_ms > CLOCKS_APART_MS:
        found.append(warning(name, "its wall clock is at least {} {} ours: HA does not mind, but "
                             "logs cannot be compared".format(
                                 seconds(apart_ms), "behind" if age_ms > 0 else "ahead of"),
                             "let both follow one time server"))
    if seal.watchdog_mode is WatchdogMode.NONE:
        found.append(warning(name, "its watchdog mode is NONE: nothing resets it, THE POOL IS NOT "
                             "SAFE", "set WatchdogMode to HYPERVISOR there"))
    if seal.fencing is FencingMode.DISARMED:
        found.append(warning(name, "its fencing is disarmed: nothing resets it",
                             "end its daemon, or restart it"))
    return found


def _judge_software(settings: Config, first: Look, last: Look) -> List[Finding]:
    """Which versions there are, of all records; who is down is no reason to warn."""
    versions = {}  # type: Dict[str, List[str]]
    running = set()
    told = last.at_wall_ms - first.at_wall_ms >= 2 * timing.cycle_ms(settings.common)
    for index in range(len(settings.common.hosts)):
        before, content = _records(index, first, last)
        if content is None or not content.host_uuid:
            continue
        software = "xhad" if content.seal is None else content.seal.software or "unknown"
        silent = told and before is not None and before.sequence == content.sequence
        if not silent:
            running.add(software)
        versions.setdefault(software, []).append(
            "{} (when it last wrote)".format(index) if silent else str(index))
    said = "; ".join("{}: host {}".format(name, ", ".join(indexes))
                     for name, indexes in sorted(versions.items()))
    if len(running) > 1:
        return [warning("versions", "the pool is mixed: {}".format(said),
                        "bring all hosts to one version")]
    return [ok("versions", said)] if said else []
