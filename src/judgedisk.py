"""What the State-File is worth: the device, how quickly it answers, and what is on it.

Facts in, findings out; ``lookdisk`` collects the facts, by reading alone.
Source: spec 3, 9 (doctor).
"""

from typing import List, NamedTuple, Tuple, Union

from xha import sfformat, timing
from xha.config import Config, display_uuid
from xha.errors import ExitCode
from xha.findings import Finding, failure, ok, unknown, warning
from xha.latencies import seconds
from xha.poolkey import fingerprint
from xha.published import Fault, GlobalRecord, HostRecord, PoolState, Section
from xha.records import record
from xha.sealformat import SealState
from xha.sfformat import STATEFILE_BYTES

#: Sections as they were read: 4096 bytes each, or why one could not be read.
Sections = Tuple[Union[bytes, str], ...]


@record
class Look(NamedTuple):
    """All sections of the global record and the configured hosts, at one instant."""

    # On the wall clock, ms since the epoch, before the reading was issued.
    at_wall_ms: int
    sections: Sections


@record
class DiskFacts(NamedTuple):
    """The State-File as a reader found it."""

    path: str
    # Why it could not be looked at; "" when it could.
    error: str
    # "block device" or "file".
    kind: str
    size_bytes: int
    # Past every cache of this host.
    direct: bool
    # The device itself refuses writes.
    readonly: bool
    # How long each reading took, microseconds, in order.
    readings_us: Tuple[int, ...]
    # What failed, of readings; "" for none.
    failures: Tuple[str, ...]
    # The first reading and the last: who advances in between.
    looks: Tuple[Look, ...]


def judge_device(facts: DiskFacts) -> List[Finding]:
    """Whether it is a device that a State-File can be on."""
    check = "State-File"
    if facts.error:
        return [failure(check, facts.error,
                        "see that the storage is attached, and its paths answer",
                        ExitCode.STATEFILE_INACCESSIBLE)]
    name = "{} ({}, {} bytes)".format(facts.path, facts.kind, facts.size_bytes)
    if facts.size_bytes < STATEFILE_BYTES:
        return [failure(check, "{}: too small, {} bytes are needed".format(name, STATEFILE_BYTES),
                        "use a volume of 4 MiB, as xapi does", ExitCode.STATEFILE_INACCESSIBLE)]
    if facts.readonly:
        return [failure(check, "{} cannot be written".format(name),
                        "see why the storage is read-only here",
                        ExitCode.STATEFILE_INACCESSIBLE)]
    found = [ok(check, name + (", read past all caches (O_DIRECT)" if facts.direct else ""))]
    if not facts.direct:
        found.append(warning(check, "its file system refuses direct I/O: reads come from this "
                             "host's cache, and other hosts' writes may not be seen",
                             "use a block device; a file is for tests on one machine"))
    elif facts.kind == "file":
        found.append(warning(check, "it is a file: whether other hosts see what is written here at "
                             "once depends on its file system", "use a shared block device"))
    return found


def judge_readings(settings: Config, facts: DiskFacts) -> List[Finding]:
    """How long reading took: the distribution, against T2."""
    check = "disk latency"
    if facts.error:
        return []
    found = []
    own = settings.local.index
    apart = [index for index in range(len(settings.common.hosts)) if index != own
             and facts.looks and isinstance(facts.looks[-1].sections[1 + index], str)]
    if facts.failures and apart and not any(
            isinstance(facts.looks[-1].sections[section], str) for section in (0, 1 + own)):
        found.append(warning(check, "{} of {} readings of all records failed, by the records of "
                             "hosts {} alone: {}".format(
                                 len(facts.failures),
                                 len(facts.failures) + len(facts.readings_us),
                                 ", ".join(map(str, apart)), facts.failures[0]),
                             "look at the storage (dmesg); a daemon of this host runs all "
                             "the same"))
    elif facts.failures:
        found.append(failure(check, "{} of {} readings failed: {}".format(
            len(facts.failures), len(facts.failures) + len(facts.readings_us), facts.failures[0]),
            "look at the storage and its paths (dmesg)", ExitCode.STATEFILE_INACCESSIBLE))
    if not facts.readings_us:
        return found
    times = sorted(facts.readings_us)
    text = "{} readings: median {}, 95 % within {}, longest {}".format(
        len(times), _ms(times[len(times) // 2]), _ms(times[len(times) * 95 // 100]),
        _ms(times[-1]))
    timeout_ms = settings.common.statefile_timeout_ms
    longest_ms = times[-1] // 1000
    if timing.approaching(longest_ms, timeout_ms):
        found.append(warning(check, "{}, of T2 {}: this storage is too slow for HA".format(
            text, seconds(timeout_ms)), "find out why; do not enable HA on it as it is"))
    elif longest_ms > settings.common.statefile_interval_ms:
        found.append(warning(check, "{}: longer than t2, {}".format(
            text, seconds(settings.common.statefile_interval_ms)), "find out why it is so slow"))
    else:
        found.append(ok(check, text))
    return found


def _ms(value_us: int) -> str:
    return "{}.{} ms".format(value_us // 1000, value_us % 1000 // 100)


def judge_contents(settings: Config, facts: DiskFacts, daemon_pid: int) -> List[Finding]:
    """Whether a daemon can start from what is on it."""
    if facts.error or not facts.looks:
        return []
    sections = facts.looks[-1].sections
    return [_judge_global(settings, sections[0], daemon_pid)] + _judge_hosts(settings, sections)


def global_of(section: Union[bytes, str]) -> Section:
    """The global record of a section."""
    if isinstance(section, str):
        return sfformat.unreadable(section)
    return sfformat.section_of_global(section)


def host_of(section: Union[bytes, str], index: int) -> Section:
    """Host ``index``'s record of a section."""
    if isinstance(section, str):
        return sfformat.unreadable(section)
    return sfformat.section_of_host(section, index)


def _judge_global(settings: Config, section: Union[bytes, str], daemon_pid: int) -> Finding:
    check = "contents"
    judged = global_of(section)
    content = judged.content
    init = "`xha.pyz set-pool-state init` (xapi does it when HA is enabled) writes it anew"
    if judged.blank:
        return failure(check, "the State-File is blank: no pool was initialised on it", init,
                       ExitCode.INVALID_STATEFILE)
    if judged.fault is Fault.UNREADABLE:
        return failure(check, "the global record cannot be read: {}".format(judged.text),
                       "look at the storage", ExitCode.STATEFILE_INACCESSIBLE)
    if not isinstance(content, GlobalRecord):
        if daemon_pid:
            return warning(check, "the global record is bad: {}; the running pool repairs "
                           "it".format(
                judged.text), "look again in some seconds")
        return failure(check, "the global record is bad: {}".format(judged.text),
                       "where no daemon of the pool runs that could repair it: " + init,
                       ExitCode.INVALID_STATEFILE)
    if content.generation_uuid != settings.common.generation_uuid:
        return failure(check, "the State-File is of generation {}, the configuration of {}".format(
            display_uuid(content.generation_uuid), display_uuid(settings.common.generation_uuid)),
            "this host missed a change: let xapi write its configuration again; or, where this "
            "configuration is the newer one, " + init, ExitCode.GENERATION_MISMATCH)
    if content.pool_state is PoolState.INVALID:
        return failure(check, "the pool state is invalid: HA was switched off", "to switch it on "
                       "again, let xapi enable HA; by hand, " + init, ExitCode.INVALID_POOL_STATE)
    if content.pool_state is PoolState.NONE:
        return failure(check, "the pool state is none: HA was never switched on", init,
                       ExitCode.STATEFILE_INACCESSIBLE)
    if content.host_count != len(settings.common.hosts):
        return warning(check, "the State-File was initialised for {} hosts, the configuration has "
                       "{}".format(content.host_count, len(settings.common.hosts)),
                       "let xapi enable HA anew, so that all hosts have one configuration")
    return ok(check, "pool state {}, of this generation, {}".format(
        content.pool_state.name.lower(), "with key {} for heartbeats".format(
            fingerprint(content.pool_key)) if content.pool_key
        else "without a key: heartbeats are not authenticated (xhad initialised it)"))


def _judge_hosts(settings: Config, sections: Sections) -> List[Finding]:
    check = "records"
    found = []
    unsealed, good = [], 0
    for index in range(len(settings.common.hosts)):
        section = sections[1 + index]
        judged = host_of(section, index)
        content = judged.content
        if not isinstance(content, HostRecord):
            found.append(_judge_bad(index, judged, index == settings.local.index))
            continue
        if content.host_uuid and content.host_uuid != settings.common.hosts[index].uuid:
            found.append(warning(check, "the record of host {} was written by {}, expected "
                                 "{}".format(
                index, display_uuid(content.host_uuid),
                display_uuid(settings.common.hosts[index].uuid)),
                "give all hosts the same configuration, or initialise the State-File anew"))
            continue
        good += 1
        assert isinstance(section, bytes)
        if content.host_uuid and sfformat.seal_state(section) is not SealState.INTACT:
            unsealed.append(str(index))
    if unsealed:
        found.append(warning(check, "hosts {} run xhad (their records have no seal): the pool is "
                             "as safe as the original, no safer".format(", ".join(unsealed)),
                             "move them to xha, host by host"))
    if good:
        found.append(ok(check, "the records of {} of {} hosts are intact".format(
            good, len(settings.common.hosts))))
    return found


def _judge_bad(index: int, judged: Section, own: bool) -> Finding:
    check = "records"
    if judged.fault is Fault.UNREADABLE:
        return warning(check, "the record of host {} cannot be read: {}".format(index, judged.text),
                       "look at the storage: that host, if it lives, is fenced")
    if judged.blank:
        return unknown(check, "the record of host {} is blank".format(index),
                       "initialising the State-File writes it")
    return warning(check, "the record of host {} is bad: {}; {}".format(
        index, judged.text, "a daemon of this host rewrites it" if own
        else "its daemon, or a running pool, rewrites it"),
        "if it stays bad, something else writes to this device")

