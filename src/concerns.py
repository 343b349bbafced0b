"""What an administrator must know now: a snapshot's warnings, in words.

Theory of operation
===================

Values in, sentences out.  A concern has a *name*, which never changes its
meaning (programs know it), a *gravity* and a sentence that names the hosts and
the numbers it is about.  They come with the gravest first:

``critical``  the next fault, or this one, resets hosts; or nothing protects data now
``warning``   redundancy is gone, or a time-out is near
``notice``    so it is; nothing has to be done at once

What xapi is warned of (``report.warnings``) is among them by the same test, so
that ``status`` and XenCenter never disagree.  A concern lasts as long as its
cause: unlike a message of the log it is a state, not an event, and needs no
memory.  Source: spec 9, "status"; spec 6, "approaching_timeout".
"""

from typing import Iterator, List, NamedTuple, Optional, Sequence, Tuple

from xha import holdterm, report, statusmargins
from xha.hostset import HostSet, runs
from xha.marginwords import closest
from xha.published import NO_MASTER, FencingMode, Phase, PoolState
from xha.records import record
from xha.snapshot import HostView, Snapshot

CRITICAL, WARNING, NOTICE = "critical", "warning", "notice"

#: The gravest first.
GRAVITIES = (CRITICAL, WARNING, NOTICE)

#: Phases in which no fault handler runs.
RESTING = (Phase.STARTING, Phase.STARTED, Phase.ABORTED)

#: Causes of refusal that blame nobody: counted, and no concern.  Source: ``acceptance``, spec 4.
_HARMLESS = ("not-receiving", "starting-instance")

_UNITS_MS = {"d": 86400000, "h": 3600000, "min": 60000, "s": 1000}

#: Links that are named one by one; more are counted.
_LINKS_MAX = 4


@record
class Concern(NamedTuple):
    """One thing to know."""

    gravity: str
    # Kebab-case, subject first; docs/status.md lists all.
    name: str
    # One line of printable ASCII, a sentence or two.
    text: str


def of(snapshot: Snapshot) -> List[Concern]:
    """All concerns of a snapshot, the gravest first."""
    found = []  # type: List[Concern]
    for judge in (_this_host, _pool, _others, _disarmed, _links, _statefile, _time_outs,
                  _margins, _xapi, _software):
        found += judge(snapshot)
    return by_gravity(found)


def by_gravity(concerns: Sequence[Concern]) -> List[Concern]:
    """The gravest first; equally grave ones in the order given."""
    return sorted(concerns, key=lambda concern: GRAVITIES.index(concern.gravity))


def critical(name: str, text: str) -> Concern:
    """A concern that cannot wait."""
    return Concern(gravity=CRITICAL, name=name, text=text)


def warning(name: str, text: str) -> Concern:
    """A concern that should not wait long."""
    return Concern(gravity=WARNING, name=name, text=text)


def notice(name: str, text: str) -> Concern:
    """Something to know."""
    return Concern(gravity=NOTICE, name=name, text=text)


def named(hosts: Sequence[int]) -> str:
    """``Host 1``, ``Hosts 0 and 2``, ``Hosts 0-5, 9``."""
    return ("Host " if len(hosts) == 1 else "Hosts ") + numbers(hosts, " and ")


def numbers(hosts: Sequence[int], last: str = ", ") -> str:
    """``1``, ``0, 2``, ``0-5, 9``: runs are joined."""
    words = runs(hosts)
    return last.join(words) if len(words) == 2 else ", ".join(words)


def seconds(age_ms: int) -> str:
    """A duration: in seconds with one digit, of 100 s and more in ever larger units."""
    for size_ms, unit in ((172800000, "d"), (7200000, "h"), (600000, "min"), (100000, "s")):
        if age_ms >= size_ms:
            return "{} {}".format(age_ms // _UNITS_MS[unit], unit)
    return "{}.{} s".format(age_ms // 1000, age_ms % 1000 // 100)


def handling(snapshot: Snapshot) -> bool:
    """Whether the fault handler of this host runs."""
    return snapshot.phase not in RESTING


# This host

def _this_host(snapshot: Snapshot) -> Iterator[Concern]:
    waiting = " It waits for {}.".format(
        report.printable(snapshot.waiting_for)) if snapshot.waiting_for else ""
    if snapshot.phase is Phase.ABORTED:
        yield critical("start-aborted", "The daemon of this host ends." + waiting)
    elif not snapshot.online:
        yield warning("starting", "This host is starting: it is not in the liveset yet." + waiting)
    elif handling(snapshot):
        yield critical("fault-handler-runs", "The fault handler runs ({}): the hosts agree on who "
                       "goes on.{}".format(snapshot.phase.name, waiting))
    elif waiting:
        yield notice("waiting", waiting.strip())
    if snapshot.online and snapshot.fencing is not FencingMode.ARMED:
        yield critical("not-armed", "This host is not armed: it will not be reset when it leaves "
                       "the pool, and takes no part in decisions about others." + _meant(
                           snapshot.hosts[snapshot.local]))
    if snapshot.online and snapshot.watchdog_mode == "NONE":
        yield critical("no-watchdog", "Nothing resets this host: its watchdog mode is NONE, "
                       "which is for tests.")
    elif snapshot.online and snapshot.watchdog_mode == "USER":
        yield warning("user-watchdog", "This host is reset by a process of its own, not by Xen: "
                      "its watchdog mode is USER.")
    if snapshot.excluded:
        yield notice("excluded", "This host is excluded: noted as one that leaves on purpose.")
    if snapshot.bond_error:
        yield warning("bond-degraded", "The bond of the heartbeat network is degraded or down.")


# The pool

def _pool(snapshot: Snapshot) -> Iterator[Concern]:
    if not snapshot.pool_state_known:
        yield warning("pool-state-unknown", "The State-File was not read yet: the pool state is "
                      "not known.")
    elif snapshot.pool_state is PoolState.INVALID:
        yield critical("pool-state-invalid", "The pool state is invalid: HA has been switched "
                       "off, and all daemons end.")
    elif snapshot.pool_state is not PoolState.ACTIVE:
        yield notice("pool-state-init", "The pool state is {}: HA is being switched on.".format(
            snapshot.pool_state.name.lower()))
    if snapshot.proposed_liveset != snapshot.current_liveset and snapshot.online:
        count = len(snapshot.hosts)
        yield warning("liveset-changes", "The liveset is about to change from {} to {}.".format(
            snapshot.current_liveset.picture(count), snapshot.proposed_liveset.picture(count)))
    if snapshot.pool_state_known:
        yield from _master(snapshot)


def _master(snapshot: Snapshot) -> Iterator[Concern]:
    local = snapshot.hosts[snapshot.local]
    if snapshot.master_uuid == NO_MASTER:
        yield notice("no-master", "No host is master.")
        return
    master = master_of(snapshot)
    if master is None:
        yield warning("master-unknown", "The State-File names a master that is not configured.")
    elif snapshot.online and not master.live:
        yield warning("master-not-live", "Host {} is the State-File's master, and not in the "
                      "liveset.".format(master.index))
    if snapshot.holding_lock and local.uuid != snapshot.master_uuid:
        yield warning("other-master", "This host holds the master lock, but the State-File names "
                      "{}.".format("host {}".format(master.index) if master else "another"))


def master_of(snapshot: Snapshot) -> Optional[HostView]:
    """The configured host that the State-File names as master; None for none."""
    for host in snapshot.hosts:
        if host.uuid == snapshot.master_uuid != NO_MASTER:
            return host
    return None


# The other hosts

def _others(snapshot: Snapshot) -> Iterator[Concern]:
    others = [host for host in snapshot.hosts if host.index != snapshot.local]
    if snapshot.online:
        away = [host for host in others if not host.live]
        for name, hosts, text in (
                ("hosts-starting", [host for host in away if host.starting and _stirs(
                    snapshot, host)], "{} {} starting."),
                ("hosts-excluded", [host for host in away if host.excluded],
                 "{} {} excluded: away on purpose.")):
            if hosts:
                yield notice(name, text.format(named(_indexes(hosts)), _are(hosts)))
        lost = [host for host in away if not host.excluded
                and not (host.starting and _stirs(snapshot, host))]
        if lost:
            yield warning("hosts-not-live", "{} {} not in the liveset.".format(
                named(_indexes(lost)), _are(lost)))
    leaving = [host for host in others if host.live and host.excluded]
    if leaving:
        yield notice("hosts-leaving", "{} {} excluded, and still in the liveset.".format(
            named(_indexes(leaving)), _are(leaving)))


def _disarmed(snapshot: Snapshot) -> Iterator[Concern]:
    for host in snapshot.hosts:
        if host.disarmed and host.disarm_term_ms == 0:
            yield critical("still-disarmed", "Host {} is still disarmed, though the time for which "
                           "that was meant is over: it does not arm itself. Move its virtual "
                           "machines away, then stop and start its daemon.".format(host.index))
        elif host.disarmed and host.index != snapshot.local:
            yield warning("host-disarmed", "Host {} is disarmed: it will not be reset when it "
                          "leaves the pool.{}".format(host.index, _meant(host)))


def _meant(host: HostView) -> str:
    """For how long a host is meant to be disarmed yet, as a further sentence."""
    return " That is meant for {} more.".format(
        holdterm.in_words(host.disarm_term_ms)) if host.disarm_term_ms > 0 else ""


def _stirs(snapshot: Snapshot, host: HostView) -> bool:
    """Whether a host was heard or seen to write within the time-outs."""
    return (0 <= host.since_heartbeat_ms <= snapshot.heartbeat_timeout_ms
            or 0 <= host.since_statefile_ms <= snapshot.statefile_timeout_ms)


def _links(snapshot: Snapshot) -> Iterator[Concern]:
    """Members that do not notice each other."""
    if not snapshot.online:
        return
    for name, path, noticed, verb in (
            ("members-not-heard", 0, "heartbeats", "does not hear"),
            ("members-not-seen", 1, "writes", "does not see writes of")):
        missing = []    # type: List[Tuple[int, int]]
        for host in snapshot.hosts:
            heard = domains(snapshot, host)[path]
            if host.live and heard is not None:
                missing += [(host.index, other) for other in snapshot.current_liveset - heard]
        if missing and not (path and snapshot.sr2):
            links = ", ".join("{} {} {}".format(one, verb, other)
                              for one, other in missing[:_LINKS_MAX])
            more = len(missing) - _LINKS_MAX
            yield warning(name, "Members of the liveset miss {} of others: {}{}.".format(
                noticed, links, ", and {} more".format(more) if more > 0 else ""))


def domains(snapshot: Snapshot, host: HostView) -> Tuple[Optional[HostSet], Optional[HostSet]]:
    """Whom a host hears and whom it sees write, by its own last word; None: not known."""
    if host.index == snapshot.local:
        return snapshot.heartbeat_domain, snapshot.statefile_domain
    if not _stirs(snapshot, host):
        return None, None       # Its last word is too old to tell.
    heard = host.heartbeat_domain_on_heartbeat or host.heartbeat_domain_on_statefile
    seen = host.statefile_domain_on_heartbeat or host.statefile_domain_on_statefile
    # Whoever speaks hears itself: without its own word on either path nothing is known of it,
    # but a host that has lost the State-File sees nobody write and says so.
    return (heard or None), (seen if seen or heard else None)


# The State-File

def _statefile(snapshot: Snapshot) -> Iterator[Concern]:
    if snapshot.sr2:
        yield critical("survival-rule-2", "All hosts have lost the State-File and live by "
                       "survival rule 2: one more fault resets them.")
    elif snapshot.online and not snapshot.statefile_access:
        yield critical("statefile-lost", "This host has no access to the State-File.")
    if snapshot.global_corrupted:
        yield warning("global-record-corrupt", "The global record of the State-File is corrupt.")
    bad = [host for host in snapshot.hosts if host.statefile_corrupted]
    if bad:
        yield warning("records-corrupt", "The State-File {} {} corrupt.".format(
            ("record of host {}" if len(bad) == 1 else "records of hosts {}").format(
                numbers(_indexes(bad), " and ")), _are(bad)))


# Time

def _time_outs(snapshot: Snapshot) -> Iterator[Concern]:
    """The same tests as ``report.warnings``, host by host."""
    told = dict(report.warnings(snapshot))
    live = [host for host in snapshot.hosts if host.live]
    for fact, name, what, limit_ms, ages_ms, own, latency in (
            ("heartbeat_approaching_timeout", "heartbeat-late", "Heartbeats are late (T1",
             snapshot.heartbeat_timeout_ms, [host.since_heartbeat_ms for host in live],
             "sending", snapshot.heartbeat_latency),
            ("statefile_approaching_timeout", "statefile-late", "State-File updates are late (T2",
             snapshot.statefile_timeout_ms, [host.since_statefile_ms for host in live],
             "a cycle of this host", snapshot.statefile_latency)):
        if told[fact]:
            said = ["host {} silent for {}".format(host.index, seconds(age_ms))
                    for host, age_ms in zip(live, ages_ms) if 2 * age_ms > limit_ms]
            longest_ms = max(latency.last_ms, latency.max_ms)
            if 2 * longest_ms > limit_ms:
                said.append("{} took up to {}".format(own, seconds(longest_ms)))
            yield warning(name, "{} is {}): {}.".format(what, seconds(limit_ms), ", ".join(said)))


def _margins(snapshot: Snapshot) -> Iterator[Concern]:
    """Near misses of the last hour: they came back, but why were they near?"""
    near = [margin for margin in snapshot.margins
            if margin.hour is not None and margin.hour.used_ms > margin.near_ms]
    worst = closest(near, "hour")
    if worst is not None:
        yield notice("near-miss", "A fence was near within the hour: {}{}.".format(
            ", ".join(statusmargins.parts(worst, "hour")),
            "; and {} more of its kind".format(len(near) - 1) if len(near) > 1 else ""))


# xapi

def _xapi(snapshot: Snapshot) -> Iterator[Concern]:
    if snapshot.xapi_restarts_left == 0 and snapshot.xapi_restarts_more_in_ms >= 0:
        minutes = snapshot.xapi_restarts_more_in_ms // 60000
        yield critical("xapi-restarts-used-up", "No restart of xapi is left for {} h {} min: "
                       "until then a failed health check resets this host.".format(
                           minutes // 60, minutes % 60))
    if dict(report.warnings(snapshot))["Xapi_healthcheck_approaching_timeout"]:
        yield warning("xapi-check-late", "The health check of xapi took up to {}; T3 is {}."
                      .format(seconds(max(snapshot.xapi_latency.last_ms,
                                          snapshot.xapi_latency.max_ms)),
                              seconds(snapshot.xapi_timeout_ms)))
    for host in snapshot.hosts:
        if host.xapi_held_ms >= 0:
            yield warning("xapi-held", "xapi of host {} is not checked for {} more: somebody holds "
                          "the checks, and a dead xapi goes unnoticed.".format(
                              host.index, holdterm.in_words(host.xapi_held_ms)))
        if host.since_xapi_restart_ms >= 0:
            yield warning("xapi-restarted", "xapi of host {} is being restarted, since {}{}."
                          .format(host.index, seconds(host.since_xapi_restart_ms),
                                  _quoted(host.xapi_error)))
        elif host.xapi_error:
            yield warning("xapi-error", "xapi of host {} reports an error{}.".format(
                host.index, _quoted(host.xapi_error)))


def _quoted(error: str) -> str:
    text = report.printable(error).strip()
    return ": {}".format(text.rstrip(".")) if text else ""


# Who speaks, and who is not believed

def _software(snapshot: Snapshot) -> Iterator[Concern]:
    plain = [host for host in snapshot.hosts if host.live and not host.sealed]
    if plain:
        yield notice("hosts-unsealed", "{} {} not seal what {}: xhad, without last words."
                     .format(named(_indexes(plain)), "does" if len(plain) == 1 else "do",
                             "it says" if len(plain) == 1 else "they say"))
    if not snapshot.keyed and snapshot.pool_state_known:
        yield notice("heartbeats-unauthenticated", "Heartbeats are not authenticated: the "
                     "State-File has no pool key.")
    keys = snapshot.pool_key
    if keys is not None and keys.other:
        yield notice("key-changes", "The pool key is being changed ({}): heartbeats are sent with "
                     "{}, and {} is accepted too.{}".format(
                         keys.stage, keys.fingerprint, keys.other, " It waits for {}.".format(
                             named(list(keys.waits_for)).lower()) if keys.waits_for else ""))
    versions = sorted({host.software for host in snapshot.hosts
                       if host.live and host.software})
    if len(versions) > 1:
        yield notice("versions-differ", "The hosts run different versions: {}.".format(
            ", ".join(report.printable(version) for version in versions)))
    refused = [(cause, count) for cause, count in snapshot.datagrams_refused
               if count and cause not in _HARMLESS]
    if refused:
        yield notice("datagrams-refused", "Refused datagrams since the daemon's start: {}.".format(
            ", ".join("{} {}".format(count, report.printable(cause)) for cause, count in refused)))


def _indexes(hosts: Sequence[HostView]) -> List[int]:
    return [host.index for host in hosts]


def _are(hosts: Sequence[HostView]) -> str:
    return "is" if len(hosts) == 1 else "are"
