"""The proof page of one configuration: from a fault to the survivors' liveset, with its numbers.

``timing`` has the argument and computes every instant; here it becomes facts
that can be printed: the chain for a host that runs xha and for an xhad peer,
the inequality that makes HA safe, the deadlines of the fault handler's walk,
and every configured time.  ``prooftext`` shows them to people; the JSON is
these facts, described in docs/timing.md.

Values in, values out; all durations are ms.  Source: spec 2, 5, 7, 9 ("timeouts").
"""

from typing import Any, Dict, List, Optional, Tuple

from xha import findings, latencies, timing
from xha.config import PARAMETERS, Common, Config, display_uuid
from xha.latencies import Measured
from xha.published import Phase

JSON_VERSION = 1

#: Symbol and meaning of each parameter.  Source: spec 2.
MEANINGS = {
    "HeartbeatInterval": ("t1", "a heartbeat goes to every peer so often"),
    "HeartbeatTimeout": ("T1", "a peer not heard for so long is lost"),
    "StateFileInterval": ("t2", "the State-File is written and read so often"),
    "StateFileTimeout": ("T2", "a peer that has not written for so long is lost"),
    "HeartbeatWatchdogTimeout": ("Wh", "this host is reset so long after its last heartbeat"),
    "StateFileWatchdogTimeout": ("Ws", "this host is reset so long after its last write"),
    "BootJoinTimeout": ("Tboot", "a start may take so long while the pool runs"),
    "EnableJoinTimeout": ("Tenable", "a start may take so long while HA is being enabled"),
    "XapiHealthCheckInterval": ("tXapi", "xapi is checked so often"),
    "XapiHealthCheckTimeout": ("TXapi", "a check of xapi may take so long"),
    "XapiRestartAttempts": ("", "xapi is restarted so often in 24 hours, then this host is reset"),
    "XapiRestartTimeout": ("", "a restart of xapi may take so long"),
    "XapiLicenseCheckTimeout": ("", "the licence check may take so long"),
}

#: What the hosts do in each step of the fault handler, and for what.  Source: spec 5.
_WALK = {
    Phase.FHREADY: "all who can be seen gather",
    Phase.FH1: "they wait until nobody is just about to fall silent, and commit their weights",
    Phase.FH2: "they agree who hears and sees whom; views that still differ are merged",
    Phase.FH3: "each applies the survival test to that picture: go on, or die",
    Phase.FH4: "who goes on waits until the others must be dead, then drops them",
}


def describe(settings: Config, path: str, measured: Optional[Measured],
             not_measured: str, running_ms: Optional[Tuple[int, int, int, int]] = None
             ) -> Dict[str, Any]:
    """All there is to say of the timing of a pool.

    Args:
        path: of the configuration, for people.
        measured: what this host's daemon measured; None when there is none.
        not_measured: then, why.
        running_ms: T1, T2, Wh and Ws of the daemon that measured it.
    """
    common = settings.common
    advice = latencies.judge_configured(common)
    if running_ms is not None:
        advice += latencies.judge_running(common, running_ms)
    if measured is not None:
        advice += latencies.judge_measured(common, measured)
    return {
        "version": JSON_VERSION,
        "configuration": findings.printable(path),
        "generation": display_uuid(common.generation_uuid),
        "hosts": len(common.hosts),
        "local_host": settings.local.index,
        "derived_from_s": latencies.derived_from_s(common) or None,
        "chains": [_chain(common, True), _chain(common, False)],
        "usually_dropped_within_ms": timing.usual_drop_ms(common),
        "margin_without_guard_ms": timing.standard_margin_ms(common),
        "fault_handler": _walk(common),
        "fault_handler_at_most_ms": timing.longest_walk_ms(common),
        "times": _times(common),
        "measured": latencies.describe(measured),
        "not_measured_because": findings.printable(not_measured) or None,
        "advice": findings.as_facts(advice),
    }


def _chain(common: Common, sealed: bool) -> Dict[str, Any]:
    moments = timing.chain(common, sealed)
    by_name = {moment.name: moment for moment in moments}
    reset_ms, drop_ms = by_name["reset"].latest_ms, by_name["dropped"].earliest_ms
    return {
        "peer": "xha" if sealed else "xhad",
        "moments": [{"name": moment.name, "earliest_ms": moment.earliest_ms,
                     "latest_ms": moment.latest_ms, "why": moment.why} for moment in moments],
        "latest_reset_ms": reset_ms,
        "earliest_drop_ms": drop_ms,
        "margin_ms": drop_ms - reset_ms,
        "safe": reset_ms < drop_ms,
        "certain_margin_ms": by_name["certain"].earliest_ms - reset_ms,
    }


def _walk(common: Common) -> List[Dict[str, Any]]:
    """The steps in order: how long this host stays, and how long it waits for one that is stuck."""
    return [{"step": phase.name.lower(), "what": _WALK[phase],
             "at_least_ms": timing.MINIMUM_WAIT_MS if phase is Phase.FH4 else 0,
             "at_most_ms": timing.longest_stay_ms(common, phase),
             "stuck_after_ms": timing.rendezvous_bound_ms(common, phase)}
            for phase in timing.WALK]


def _times(common: Common) -> List[Dict[str, Any]]:
    found = []
    for element, field, _ in PARAMETERS:
        symbol, meaning = MEANINGS[element]
        value = getattr(common, field)
        counts = element == "XapiRestartAttempts"
        found.append({
            "element": element, "symbol": symbol or None, "meaning": meaning,
            "value_ms": None if counts else value, "count": value if counts else None,
            "is_default": latencies.is_default(common, field)})
    return found
