"""The words of the table of causes: conditions on a case, and what stands for {words} in a text.

Pure.  Source: spec 5, 9.
"""

import re
from typing import Callable, Dict, List, Optional, Sequence, Tuple

from xha.whycase import Case
from xha.whyseen import members
from xha.whyxen import WORDS as XEN_WORDS

#: What stops on both paths at once is missed on both within this time, ms.
_APART_MS = 5000

#: What a row asks of a case.
Condition = Callable[[Case], bool]


def named(hosts: Sequence[int]) -> str:
    """Hosts for a sentence: "host 2", "hosts 0 and 1", "hosts 0-6 and 9"."""
    runs = []  # type: List[List[int]]
    for host in sorted(hosts):
        if runs and runs[-1][1] == host - 1:
            runs[-1][1] = host
        else:
            runs.append([host, host])
    words = []  # type: List[str]
    for first, last in runs:
        if last - first < 2:
            words += [str(host) for host in range(first, last + 1)]
        else:
            words.append("{}-{}".format(first, last))
    if not words:
        return "no host"
    text = " and ".join([", ".join(words[:-1])] * (len(words) > 1) + words[-1:])
    return "host{} {}".format("s" if len(hosts) > 1 else "", text)


def words_of(case: Case) -> Dict[str, str]:
    """What stands for the words in braces."""
    everyone = tuple(range(case.hosts))
    others = tuple(host for host in (case.pictures[2] or everyone) if host != case.host)
    here = members(case.state.get("heartbeat_domain"))
    seen = members(case.state.get("statefile_domain"))
    heard = heard_by_it(case) or ()
    pid = re.search(r"pid (\d+)", case.successor)
    return {
        "me": "host {}".format(case.host), "me_index": str(case.host),
        "reason": case.reason.rstrip("."), "code": case.code,
        "others": named(others), "heard": named(heard),
        "unheard": named([host for host in others if host not in heard]),
        "unheard_of_all": named([host for host in everyone
                                 if host != case.host and host not in heard]),
        "unheard_by": named(case.seen.unheard_by) if case.seen.unheard_by else "some host",
        "absent": named([host for host in everyone if host != case.host and (
            host not in here or host not in seen)]),
        "who": _who_asked(case), "xen": XEN_WORDS.get(case.xen, ""),
        "stalled_ms": str(case.field("gap-noticed", "ms") or "some"),
        "lost": _how_lost(case),
        "send_error": str(case.field("heartbeat-send-failed", "reason")),
        "bond_error": str(case.field("bond-error", "reason")),
        "refused": str(case.field("watchdog-refresh-failed", "reason")),
        "watchdog": str(case.field("watchdog-expiring", "watchdog") or "first"),
        "fault": str(case.field("thread-died", "reason")),
        "pid": pid.group(1) if pid else "?", "successor": case.successor,
        "dropped_by": named(case.seen.dropped_by)}


def _how_lost(case: Case) -> str:
    """What is said of the State-File that was lost: its last word about that."""
    told = sorted((case.said[name].wall_ms, str(case.field(name, "reason")))
                  for name in ("statefile-lost", "statefile-write-failed") if name in case.said)
    text = re.sub(r"\A(?:read|write): ", "", told[-1][1]) if told else "no access came back"
    return text.replace("my own record", "its own record")


def _who_asked(case: Case) -> str:
    found = re.search(r"host (\d+) has put", case.reason)
    return "host " + found.group(1) if found else "another host"


def rule_of(case: Case) -> str:
    """Which survival rule decided over whom, as far as anybody was asked."""
    parts = []
    if case.code == "no-survival-rule":
        parts.append("no survival rule held for host {}".format(case.host))
    elif case.code == "fence-requested":
        parts.append("the survivors' rule left host {} out".format(case.host))
    gone_on = set(case.seen.by) - set(case.seen.fenced_too)
    if case.seen.by and not gone_on and case.kind == "fenced":
        parts.append("nor for any other that is known: all fenced themselves")
    elif case.seen.rule == "2" and not case.seen.dropped_by:
        parts.append("until then the pool lived by rule 2: nobody has the State-File, all hear all")
    elif case.seen.rule:
        parts.append("the survivors went on by rule {}: {}".format(
            case.seen.rule, "the best partition with the State-File" if case.seen.rule == "1"
            else "nobody has the State-File, all hear all"))
    if case.kind == "refused":
        return "start criteria; a start that fails resets nothing"
    if not parts and case.kind == "silent" and case.xen not in ("", "watchdog"):
        return "none was asked, and HA did not reset this host"
    if not parts and case.kind in ("silent", "left", "died"):
        return "none was asked: an armed host that proves nothing is reset by its timers"
    if not parts and case.code.startswith("xapi"):
        return "none was asked: a host whose xapi cannot be used leaves the pool"
    return "; ".join(parts)


def stands(*names: str) -> Condition:
    """Any of these conditions stood at the end."""
    return lambda case: any(name in case.standing for name in names)


def has_code(code: str) -> Condition:
    """It ended, or fenced itself, with this code."""
    return lambda case: case.code == code


def said(pattern: str) -> Condition:
    """Its reason has this in it."""
    found = re.compile(pattern)
    return lambda case: bool(found.search(case.reason))


def xen_says(*how: str) -> Condition:
    """Xen says that it went down in one of these ways."""
    return lambda case: case.xen in how


def both(*conditions: Condition) -> Condition:
    """All of these hold."""
    return lambda case: all(condition(case) for condition in conditions)


def either(*conditions: Condition) -> Condition:
    """Any of these holds."""
    return lambda case: any(condition(case) for condition in conditions)


def no_rule(case: Case) -> bool:
    """It says that no survival rule held, and what it had before it."""
    return case.code == "no-survival-rule" and bool(case.pictures[2])


def blind(case: Case) -> bool:
    """Out of its own State-File domain when it decided."""
    return bool(case.pictures[2]) and case.host not in case.pictures[1]


def all_blind(case: Case) -> bool:
    """Nobody is known to have kept the State-File: all others that speak lost it, too."""
    return bool(case.seen.by) and set(case.seen.by) == set(case.seen.without_statefile)


def others_kept(case: Case) -> bool:
    """Somebody is known to have kept the State-File."""
    return bool(set(case.seen.by) - set(case.seen.without_statefile))


def heard_by_it(case: Case) -> Optional[Tuple[int, ...]]:
    """Which others a host heard when it ended; None: that is not known.

    What it says in its reason is what was left of it when views had been merged.
    """
    picture = case.state.get("heartbeat_domain")
    hosts = members(picture) if picture else case.pictures[0]
    return tuple(host for host in hosts if host != case.host) if hosts else None


def alone(case: Case) -> bool:
    """It heard nobody."""
    return heard_by_it(case) == ()


def heard_some(case: Case) -> bool:
    """It heard somebody."""
    return bool(heard_by_it(case))


def heard_survivors(case: Case) -> bool:
    """Hosts that it heard went on without it."""
    return bool(set(heard_by_it(case) or ()) & set(case.seen.dropped_by))


def storage_first(case: Case) -> bool:
    """Its record stopped well before its heartbeats: these ended with the reset."""
    seen = case.seen
    return 0 <= seen.stopped_ms and (
        seen.unheard_ms < 0 or seen.unheard_ms - seen.stopped_ms > _APART_MS)


def lacks(heartbeat: bool, statefile: bool) -> Condition:
    """On which paths the others did not see it when they decided."""
    return lambda case: (case.seen.heartbeat is (not heartbeat)
                         and case.seen.statefile is (not statefile))


def always(case: Case) -> bool:
    """What no other row has taken."""
    return True
