"""What a host knows of its pool, for xapi (XML), for programs (JSON), for people (text).

``as_xml`` is xapi's contract: the elements, their order, their letter case and
what is left out are spec 6's and the original's, byte for byte (spec 6 drops the
HostIndex inside localhost: older xapi breaks on it).  xapi collects only the
first 10 KB for bug reports, hence what matters comes first.

Values only go in and text comes out; nothing here reads a clock.  Everything
printed is ASCII.  Source: spec 6, "ha_query_liveset".
"""

import json
from typing import Any, Dict, List, Optional, Tuple

from xha.config import display_uuid
from xha.hostset import HostSet
from xha.published import NO_MASTER
from xha.snapshot import Approach, HostView, KeyView, Latency, Margin, Snapshot

#: Version of the JSON; grows when a name changes its meaning or goes, not when one is added.
JSON_VERSION = 1

_ESCAPES = {"&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;", "'": "&apos;"}


def render(snapshot: Snapshot, form: str) -> str:
    """The snapshot as ``form`` ("xml", "json" or "text"), ending in a line end."""
    return {"xml": as_xml, "json": as_json, "text": as_text}[form](snapshot)


def printable(text: str) -> str:
    """The text with everything but printable ASCII as a question mark."""
    return "".join(letter if " " <= letter <= "~" else "?" for letter in text)


# XML

def as_xml(snapshot: Snapshot) -> str:
    """The document that xapi reads; of a host that is starting only who it is."""
    lines = ['<?xml version="1.0" encoding="UTF-8"?>', '<ha_liveset_info version="1.0">']
    lines += [_element(2, "status", "Online" if snapshot.online else "Starting"),
              "  <localhost>",
              _element(4, "HostID", display_uuid(snapshot.hosts[snapshot.local].uuid)),
              "  </localhost>"]
    if snapshot.online:
        for host in snapshot.hosts:
            lines += _xml_host(host)
        lines += _xml_raw(snapshot)
        lines += _xml_block("timeout", [
            ("T1", snapshot.heartbeat_timeout_ms), ("T2", snapshot.statefile_timeout_ms),
            ("T3", snapshot.xapi_timeout_ms), ("Wh", snapshot.heartbeat_watchdog_timeout_ms),
            ("Ws", snapshot.statefile_watchdog_timeout_ms)])
        lines += _xml_block("warning_on_local_host", warnings(snapshot))
    lines.append("</ha_liveset_info>\n")
    return "\n".join(lines)


def warnings(snapshot: Snapshot) -> List[Tuple[str, bool]]:
    """The five warnings about this host, by their XML names.

    A value approaches its timeout above half of it: the age of what a host of the liveset last
    sent or wrote, and the latency of our own work, the largest since xapi's last query
    included (a slow moment between two queries would else go unseen).
    """
    live = [host for host in snapshot.hosts if host.live]
    heartbeat_ms = [host.since_heartbeat_ms for host in live] + _latest(snapshot.heartbeat_latency)
    statefile_ms = [host.since_statefile_ms for host in live] + _latest(snapshot.statefile_latency)
    return [
        ("statefile_lost", snapshot.sr2),
        ("heartbeat_approaching_timeout",
         2 * max(heartbeat_ms) > snapshot.heartbeat_timeout_ms),
        ("statefile_approaching_timeout",
         not snapshot.sr2 and 2 * max(statefile_ms) > snapshot.statefile_timeout_ms),
        ("Xapi_healthcheck_approaching_timeout",
         2 * max(_latest(snapshot.xapi_latency)) > snapshot.xapi_timeout_ms),
        ("network_bonding_error", snapshot.bond_error)]


def _latest(latency: Latency) -> List[int]:
    """The values of a latency that a warning looks at."""
    return [latency.last_ms, latency.max_ms]


def _xml_host(host: HostView) -> List[str]:
    return _xml_block("host", [
        ("HostID", display_uuid(host.uuid)), ("HostIndex", host.index), ("liveness", host.live),
        ("master", host.master), ("statefile_access", host.statefile_access),
        ("statefile_corrupted", host.statefile_corrupted), ("excluded", host.excluded)])


def _xml_raw(snapshot: Snapshot) -> List[str]:
    """Block raw_status_on_local_host."""
    lines = ["  <raw_status_on_local_host>"]
    for name, latency in (("statefile_latency", snapshot.statefile_latency),
                          ("heartbeat_latency", snapshot.heartbeat_latency),
                          ("Xapi_healthcheck_latency", snapshot.xapi_latency)):
        lines += [_element(4, name, latency.last_ms), _element(4, name + "_max", latency.max_ms),
                  _element(4, name + "_min", latency.min_ms)]
    uuid_lines = [" " * 10 + display_uuid(host.uuid) for host in snapshot.hosts]
    for host in snapshot.hosts:
        lines += ["    <host_raw_data>",
                  _element(6, "HostID", display_uuid(host.uuid)),
                  _element(6, "HostIndex", host.index),
                  _element(6, "time_since_last_update_on_statefile", host.since_statefile_ms),
                  _element(6, "time_since_last_heartbeat", host.since_heartbeat_ms),
                  _element(6, "time_since_xapi_restart_first_attempted",
                           host.since_xapi_restart_ms),
                  _element(6, "xapi_error_string", printable(host.xapi_error))]
        for name, members in _published(host):
            lines.append("      <" + name + ">")
            lines += [uuid_lines[index] for index in members if index < len(uuid_lines)]
            lines.append("      </" + name + ">")
        lines.append("    </host_raw_data>")
    lines.append("  </raw_status_on_local_host>")
    return lines


def _published(host: HostView) -> List[Tuple[str, HostSet]]:
    """The four lists of a host, by their XML names."""
    return [("heartbeat_active_list_on_heartbeat", host.heartbeat_domain_on_heartbeat),
            ("heartbeat_active_list_on_statefile", host.heartbeat_domain_on_statefile),
            ("statefile_active_list_on_heartbeat", host.statefile_domain_on_heartbeat),
            ("statefile_active_list_on_statefile", host.statefile_domain_on_statefile)]


def _xml_block(name: str, values: Any) -> List[str]:
    """A block of elements, (name, value) each."""
    return (["  <" + name + ">"] + [_element(4, inner, value) for inner, value in values]
            + ["  </" + name + ">"])


def _element(indent: int, name: str, value: object) -> str:
    if isinstance(value, bool):
        text = "TRUE" if value else "FALSE"
    else:
        text = "".join(_ESCAPES.get(letter, letter) for letter in str(value))
    return "{}<{}>{}</{}>".format(" " * indent, name, text, name)


# JSON

def as_json(snapshot: Snapshot) -> str:
    """The same facts and more, also while starting; its schema is docs/query-liveset.md."""
    facts = _json_pool(snapshot)
    lines = ['"{}": {}'.format(name, json.dumps(value)) for name, value in facts]
    hosts = ",\n  ".join(json.dumps(_json_host(host)) for host in snapshot.hosts)
    margins = ",\n  ".join(json.dumps(_json_margin(margin)) for margin in snapshot.margins)
    lines.append('"margins": [\n  {}]'.format(margins))
    lines.append('"hosts": [\n  {}]'.format(hosts))
    return "{" + ",\n ".join(lines) + "}\n"


def _json_pool(snapshot: Snapshot) -> List[Tuple[str, Any]]:
    """The facts of this host and its pool, in the order in which they are printed."""
    master = snapshot.master_uuid
    return [
        ("version", JSON_VERSION),
        ("status", "online" if snapshot.online else "starting"),
        ("local_host", snapshot.local),
        ("generation", display_uuid(snapshot.generation_uuid)),
        ("pool_state", snapshot.pool_state.name.lower() if snapshot.pool_state_known else None),
        ("master", None if master == NO_MASTER else display_uuid(master)),
        ("holding_master_lock", snapshot.holding_lock),
        ("fencing", snapshot.fencing.name.lower()),
        ("watchdog_mode", snapshot.watchdog_mode),
        ("excluded", snapshot.excluded),
        ("phase", snapshot.phase.name.lower()),
        ("waiting_for", printable(snapshot.waiting_for) or None),
        ("current_liveset", list(snapshot.current_liveset)),
        ("proposed_liveset", list(snapshot.proposed_liveset)),
        ("heartbeat_domain", list(snapshot.heartbeat_domain)),
        ("statefile_domain", list(snapshot.statefile_domain)),
        ("statefile_access", snapshot.statefile_access),
        ("statefile_corrupted", snapshot.statefile_corrupted),
        ("global_record_corrupted", snapshot.global_corrupted),
        ("survival_rule_2", snapshot.sr2),
        ("accelerated", snapshot.accelerated),
        ("heartbeats_authenticated", snapshot.keyed),
        ("statefile_latency_ms", _json_latency(snapshot.statefile_latency)),
        ("heartbeat_latency_ms", _json_latency(snapshot.heartbeat_latency)),
        ("xapi_latency_ms", _json_latency(snapshot.xapi_latency)),
        ("xapi_restarts_left", snapshot.xapi_restarts_left),
        ("xapi_restarts_more_in_ms", _known(snapshot.xapi_restarts_more_in_ms)),
        ("timeouts_ms", {
            "heartbeat": snapshot.heartbeat_timeout_ms,
            "statefile": snapshot.statefile_timeout_ms,
            "xapi": snapshot.xapi_timeout_ms,
            "heartbeat_watchdog": snapshot.heartbeat_watchdog_timeout_ms,
            "statefile_watchdog": snapshot.statefile_watchdog_timeout_ms}),
        ("warnings", {name.lower(): value for name, value in warnings(snapshot)}),
        ("datagrams_refused", dict(snapshot.datagrams_refused)),
        ("near_misses", dict(snapshot.near_misses)),
        ("pool_key", _json_key(snapshot.pool_key))]


def _json_key(keys: Optional[KeyView]) -> Optional[Dict[str, Any]]:
    return None if keys is None else {
        "fingerprint": keys.fingerprint, "other": keys.other or None, "stage": keys.stage,
        "changes": keys.changes, "waits_for": list(keys.waits_for)}


def _json_host(host: HostView) -> Dict[str, Any]:
    facts = [
        ("index", host.index), ("uuid", display_uuid(host.uuid)), ("address", host.address),
        ("live", host.live), ("master", host.master),
        ("statefile_access", host.statefile_access),
        ("statefile_corrupted", host.statefile_corrupted), ("excluded", host.excluded),
        ("starting", host.starting), ("phase", host.phase.name.lower()), ("weight", host.weight),
        ("sealed", host.sealed), ("software", printable(host.software) or None),
        ("since_heartbeat_ms", _known(host.since_heartbeat_ms)),
        ("since_statefile_ms", _known(host.since_statefile_ms)),
        ("since_xapi_restart_ms", _known(host.since_xapi_restart_ms)),
        ("xapi_error", printable(host.xapi_error) or None),
        ("xapi_held_ms", _known(host.xapi_held_ms)), ("disarmed", host.disarmed),
        ("disarm_term_ms", _known(host.disarm_term_ms))]  # type: List[Tuple[str, Any]]
    facts += [(name.replace("active_list", "domain"), list(members))
              for name, members in _published(host)]
    # A dict keeps its order from 3.7 on by promise, on CPython 3.6 in fact.
    return dict(facts)


def _json_margin(margin: Margin) -> Dict[str, Any]:
    return dict([
        ("path", margin.path), ("host", _known(margin.host)), ("limit_ms", margin.limit_ms),
        ("near_ms", margin.near_ms), ("used_now_ms", _known(margin.used_now_ms)),
        ("hour", _json_approach(margin.hour)), ("day", _json_approach(margin.day)),
        ("start", _json_approach(margin.start))])


def _json_approach(approach: Optional[Approach]) -> Any:
    if approach is None:
        return None
    return dict([("used_ms", approach.used_ms), ("wall_ms", approach.wall_ms),
                 ("slow", approach.slow or None), ("slow_ms", _known(approach.slow_ms))])


def _json_latency(latency: Latency) -> Dict[str, Any]:
    return {"last": _known(latency.last_ms), "max": _known(latency.max_ms),
            "min": _known(latency.min_ms)}


def _known(value_ms: int) -> Any:
    """None in place of -1, which stands for never or not now."""
    return None if value_ms < 0 else value_ms


# Text

_COLUMNS = ("host", "address", "live", "master", "excluded", "phase", "heartbeat", "State-File",
            "weight", "xapi")


def as_text(snapshot: Snapshot) -> str:
    """A table for a person, at most 100 columns wide for usual addresses."""
    count = len(snapshot.hosts)
    local = snapshot.hosts[snapshot.local]
    state = snapshot.pool_state.name.lower() if snapshot.pool_state_known else "unknown"
    lines = ["Host {} ({}) is {}.  Pool state: {}.  Fencing: {}.  Watchdog: {}.".format(
        snapshot.local, display_uuid(local.uuid), "online" if snapshot.online else "starting",
        state, snapshot.fencing.name.lower(), snapshot.watchdog_mode)]
    if snapshot.waiting_for:
        lines.append("Waiting for {}.".format(printable(snapshot.waiting_for)))
    lines.append("Liveset {}, heartbeat domain {}, State-File domain {}.".format(
        snapshot.current_liveset.picture(count), snapshot.heartbeat_domain.picture(count),
        snapshot.statefile_domain.picture(count)))
    lines += ["", *_table([_COLUMNS] + [_text_host(snapshot, host) for host in snapshot.hosts])]
    said = [text for name, text in _IN_WORDS if dict(warnings(snapshot))[name]]
    if snapshot.global_corrupted:
        said.append("The global record of the State-File is corrupt.")
    if snapshot.xapi_restarts_left == 0 and snapshot.xapi_restarts_more_in_ms >= 0:
        minutes = snapshot.xapi_restarts_more_in_ms // 60000
        said.append("No restart of xapi is left for {} h {} min: until then a failed health check "
                    "resets this host.".format(minutes // 60, minutes % 60))
    if said:
        lines += [""] + ["Warning: " + text for text in said]
    return "\n".join(lines) + "\n"


_IN_WORDS = [
    ("statefile_lost", "All hosts have lost the State-File and live by survival rule 2: one more "
                       "fault resets them."),
    ("heartbeat_approaching_timeout", "A heartbeat is older than half of its timeout."),
    ("statefile_approaching_timeout", "An update of the State-File is older than half of its "
                                      "timeout."),
    ("Xapi_healthcheck_approaching_timeout", "The health check of xapi took more than half of "
                                             "its timeout."),
    ("network_bonding_error", "The bond of the heartbeat network is degraded or down.")]


def _text_host(snapshot: Snapshot, host: HostView) -> Tuple[str, ...]:
    """A row of the table; the local host has a star."""
    return ("{}{}".format(host.index, "*" if host.index == snapshot.local else ""), host.address,
            _yes(host.live), _yes(host.master), _yes(host.excluded), host.phase.name.lower(),
            _age(host.since_heartbeat_ms, snapshot.heartbeat_timeout_ms),
            "corrupt" if host.statefile_corrupted
            else _age(host.since_statefile_ms, snapshot.statefile_timeout_ms),
            str(host.weight), printable(host.xapi_error)[:20] or (
                "held" if host.xapi_held_ms >= 0 else "-"))


def _yes(fact: bool) -> str:
    return "yes" if fact else "-"


def _age(age_ms: int, timeout_ms: int) -> str:
    """An age beside its timeout, as 0.7/5 s."""
    if age_ms < 0:
        return "never"
    return "{}.{}/{:g} s".format(age_ms // 1000, age_ms % 1000 // 100, timeout_ms / 1000)


def _table(rows: List[Tuple[str, ...]]) -> List[str]:
    """Columns as wide as their widest cell, two blanks between them."""
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    return ["  ".join(cell.ljust(width) for cell, width in zip(row, widths)).rstrip()
            for row in rows]
