"""A daemon's answer to ``query json``, read back into the snapshot that it was made of.

The inverse of ``report.as_json``, for views that are made outside the daemon
(``status``, ``metrics``): all of them ask the one question that xapi's own
script asks, without its side effect, and what they need is in one documented
schema (docs/query-liveset.md).

The daemon that answers may be older or newer than this file: the archive is
replaced while it runs.  Names that are not known are ignored; without one that
is needed there is no snapshot, and the refusal names it.
"""

import json
from typing import Any, Dict, Optional

from xha.errors import FormatError
from xha.hostset import MAX_HOSTS, HostSet
from xha.published import NEVER, NO_MASTER, FencingMode, Phase, PoolState
from xha.report import JSON_VERSION
from xha.snapshot import Approach, HostView, KeyView, Latency, Margin, Snapshot


def read(text: str) -> Snapshot:
    """The snapshot in an answer; ``at_ms``, which no answer carries, is 0.

    Raises:
        FormatError: it is none, or of a schema that this file does not know.
    """
    try:
        told = json.loads(text)
        if told["version"] != JSON_VERSION:
            raise FormatError("it is of schema {}, expected {}".format(
                told["version"], JSON_VERSION))
        snapshot = _snapshot(told)
    except KeyError as error:
        raise FormatError("it does not say {}".format(error)) from error
    except (AssertionError, AttributeError, OverflowError, RecursionError, TypeError,
            ValueError) as error:
        raise FormatError("it is malformed: {}".format(error)) from error
    if not 0 <= snapshot.local < len(snapshot.hosts) <= MAX_HOSTS:
        raise FormatError("it is malformed: host {} of {}".format(
            snapshot.local, len(snapshot.hosts)))
    return snapshot


def _snapshot(told: Dict[str, Any]) -> Snapshot:
    timeouts = told["timeouts_ms"]
    state = told["pool_state"]
    return Snapshot(
        at_ms=0, local=int(told["local_host"]), online=told["status"] == "online",
        generation_uuid=_uuid(told["generation"]),
        pool_state=PoolState.NONE if state is None else PoolState[state.upper()],
        pool_state_known=state is not None,
        master_uuid=NO_MASTER if told["master"] is None else _uuid(told["master"]),
        holding_lock=bool(told["holding_master_lock"]), phase=Phase[told["phase"].upper()],
        waiting_for=told["waiting_for"] or "", fencing=FencingMode[told["fencing"].upper()],
        watchdog_mode=str(told["watchdog_mode"]), excluded=bool(told["excluded"]),
        current_liveset=HostSet(told["current_liveset"]),
        proposed_liveset=HostSet(told["proposed_liveset"]),
        heartbeat_domain=HostSet(told["heartbeat_domain"]),
        statefile_domain=HostSet(told["statefile_domain"]),
        statefile_access=bool(told["statefile_access"]),
        statefile_corrupted=bool(told["statefile_corrupted"]),
        global_corrupted=bool(told["global_record_corrupted"]),
        sr2=bool(told["survival_rule_2"]), accelerated=bool(told["accelerated"]),
        keyed=bool(told["heartbeats_authenticated"]),
        statefile_latency=_latency(told["statefile_latency_ms"]),
        heartbeat_latency=_latency(told["heartbeat_latency_ms"]),
        xapi_latency=_latency(told["xapi_latency_ms"]),
        heartbeat_timeout_ms=int(timeouts["heartbeat"]),
        statefile_timeout_ms=int(timeouts["statefile"]), xapi_timeout_ms=int(timeouts["xapi"]),
        xapi_restarts_left=int(told["xapi_restarts_left"]),
        xapi_restarts_more_in_ms=_age(told["xapi_restarts_more_in_ms"]),
        heartbeat_watchdog_timeout_ms=int(timeouts["heartbeat_watchdog"]),
        statefile_watchdog_timeout_ms=int(timeouts["statefile_watchdog"]),
        bond_error=bool(told["warnings"]["network_bonding_error"]),
        datagrams_refused=tuple(sorted(
            (str(cause), int(count)) for cause, count in told["datagrams_refused"].items())),
        hosts=tuple(_host(host) for host in told["hosts"]),
        # A daemon that is older than these says nothing of them.
        margins=tuple(_margin(margin) for margin in told.get("margins", ())),
        near_misses=tuple(sorted(
            (str(path), int(count)) for path, count in told.get("near_misses", {}).items())),
        pool_key=_keys(told.get("pool_key")))


def _host(told: Dict[str, Any]) -> HostView:
    return HostView(
        index=int(told["index"]), uuid=_uuid(told["uuid"]), address=str(told["address"]),
        live=bool(told["live"]), master=bool(told["master"]),
        statefile_access=bool(told["statefile_access"]),
        statefile_corrupted=bool(told["statefile_corrupted"]), excluded=bool(told["excluded"]),
        starting=bool(told["starting"]), phase=Phase[told["phase"].upper()],
        weight=int(told["weight"]), sealed=bool(told["sealed"]),
        software=str(told["software"] or ""),
        since_heartbeat_ms=_age(told["since_heartbeat_ms"]),
        since_statefile_ms=_age(told["since_statefile_ms"]),
        since_xapi_restart_ms=_age(told["since_xapi_restart_ms"]),
        xapi_error=str(told["xapi_error"] or ""),
        heartbeat_domain_on_heartbeat=HostSet(told["heartbeat_domain_on_heartbeat"]),
        heartbeat_domain_on_statefile=HostSet(told["heartbeat_domain_on_statefile"]),
        statefile_domain_on_heartbeat=HostSet(told["statefile_domain_on_heartbeat"]),
        statefile_domain_on_statefile=HostSet(told["statefile_domain_on_statefile"]),
        # The first daemons did not say these.
        xapi_held_ms=_age(told.get("xapi_held_ms")), disarmed=bool(told.get("disarmed")),
        disarm_term_ms=_age(told.get("disarm_term_ms")))


def _margin(told: Dict[str, Any]) -> Margin:
    margin = Margin(
        path=str(told["path"]), host=_age(told["host"]), limit_ms=int(told["limit_ms"]),
        near_ms=int(told["near_ms"]), used_now_ms=_age(told["used_now_ms"]),
        hour=_approach(told["hour"]), day=_approach(told["day"]), start=_approach(told["start"]))
    assert margin.limit_ms > 0 and margin.host < MAX_HOSTS, "a margin of no time-out or host"
    return margin


def _approach(told: Optional[Dict[str, Any]]) -> Optional[Approach]:
    return None if told is None else Approach(
        used_ms=int(told["used_ms"]), wall_ms=int(told["wall_ms"]),
        slow=str(told["slow"] or ""), slow_ms=_age(told["slow_ms"]))


def _latency(told: Dict[str, Optional[int]]) -> Latency:
    return Latency(last_ms=_age(told["last"]), max_ms=_age(told["max"]), min_ms=_age(told["min"]))


def _keys(told: Optional[Dict[str, Any]]) -> Optional[KeyView]:
    return None if told is None else KeyView(
        fingerprint=str(told["fingerprint"]), other=str(told["other"] or ""),
        stage=str(told["stage"]), changes=int(told["changes"]),
        waits_for=HostSet(told["waits_for"]))


def _age(told: Optional[int]) -> int:
    """-1 for null: never, or not now."""
    return NEVER if told is None else int(told)


def _uuid(told: str) -> str:
    return told.replace("-", "")
