"""An incident for people: 80 columns of ASCII, for who knows HA and no Python.

Source: spec 9, docs/why.md.
"""

import re
import textwrap
from typing import List

from xha import catalogue, history
from xha.observer import SPAN_MS
from xha.whycase import Case
from xha.whywords import named
from xha.whytell import Moment, Told

#: Columns of every line.
WIDTH = 80
_LABEL = 10
#: Other incidents that are listed.
_OTHERS_MAX = 5

#: What became of a host, by the kinds of ``whycase``.
_WHAT = {
    "fenced": "fenced itself", "refused": "did not start", "left": "ended armed, and was reset",
    "died": "lost its daemon", "silent": "was lost", "missing": "was lost",
    "ended": "ended its daemon", "stopped": "left on purpose", "gone": "ended its daemon",
    "quiet": "runs"}


def as_text(told: Told) -> str:
    """The whole story."""
    case, verdict = told.case, told.verdict
    who = "Host {}{} {}".format(
        case.host, " ({})".format(_plain(told.address)) if told.address else "",
        _WHAT[case.kind])
    lines = _wrapped(who + _when(case), "", "") + [""]
    for label, text in (("Cause", verdict.text), ("Path", verdict.path), ("Rule", verdict.rule),
                        ("Peers", _peers(case)), ("What to do", verdict.advice)):
        if text:
            lines += _wrapped(text, "{:{}} ".format(label, _LABEL), " " * (_LABEL + 1))
    if told.moments:
        lines += ["", "What happened (UTC; seconds before and after the end of host {}):".format(
            case.host), ""] + _sequence(told)
    if told.limits:
        lines += ["", "Where the evidence ends:", ""]
        for limit in told.limits:
            lines += _wrapped(limit, "- ", "  ")
    if told.others:
        lines += ["", "Other incidents (--host, --before):", ""]
        for other, its in told.others[:_OTHERS_MAX]:
            lines += _wrapped("{} host {} {} [{}]".format(
                history.stamp(other.at_ms), other.host, _WHAT[other.kind], its.name), "- ", "  ")
        if len(told.others) > _OTHERS_MAX:
            lines.append("- and {} more".format(len(told.others) - _OTHERS_MAX))
    return "\n".join(lines) + "\n"


def brief(case: Case, cause: str) -> str:
    """An incident in one line."""
    return "{} host {} {} [{}]".format(history.stamp(case.at_ms), case.host, _WHAT[case.kind],
                                       cause)


def nothing(who: str, notes: List[str]) -> str:
    """What is said where there is no incident."""
    lines = _wrapped("No fence, failed start or refusal of {} is known.".format(who), "", "")
    if notes:
        lines += ["", "Where the evidence ends:", ""]
        for note in notes:
            lines += _wrapped(note, "- ", "  ")
    return "\n".join(lines) + "\n"


def _when(case: Case) -> str:
    at = history.stamp(case.at_ms).replace("T", " ").replace("Z", " UTC")
    if case.kind == "silent":
        return "; its last record is of {}, and at rest it makes one every {} s.".format(
            at, SPAN_MS // 1000)
    if case.kind == "missing":
        return "; it was first missed at {}.".format(at)
    if case.kind == "fenced" and case.life is None:
        return "; its last words are of {}.".format(at)
    return " at {}.".format(at)


def _peers(case: Case) -> str:
    seen = case.seen
    parts = []
    if seen.missed_ms >= 0 and case.kind != "refused":
        parts.append("first missed at {} on the {}".format(
            _clock(seen.missed_ms), "heartbeat network" if seen.missed_ms == seen.unheard_ms
            else "State-File"))
    if seen.heartbeat is not None and seen.statefile is not None and case.kind != "refused":
        parts.append("when they decided its heartbeats {} and its record {}".format(
            "were heard" if seen.heartbeat else "were not heard",
            "advanced" if seen.statefile else "did not advance"))
    if seen.words is not None:
        parts.append("its last words are on the State-File" if seen.words.on_statefile
                     else "its last words were heard")
    if seen.dropped_by:
        since_ms = seen.missed_ms if seen.missed_ms >= 0 else case.at_ms
        parts.append("dropped by {} at {}, {:.1f} s after {}".format(
            named(seen.dropped_by), _clock(seen.dropped_ms),
            (seen.dropped_ms - since_ms) / 1000,
            "that" if seen.missed_ms >= 0 else "its end"))
    if seen.still_runs:
        parts.append("BUT IT WAS STILL HEARD AFTER THAT: its virtual machines may have run "
                     "twice; if it still runs, power it off at once")
    fenced = [host for host in seen.fenced_too if host != case.host]
    if fenced:
        parts.append("{} fenced {} at that time, too".format(
            named(fenced), "itself" if len(fenced) == 1 else "themselves"))
    if not parts and seen.by and case.kind != "refused":
        parts.append("{} noticed nothing".format(named(seen.by)))
    return "; ".join(parts)


def _clock(at_ms: int) -> str:
    return history.stamp(at_ms)[11:].rstrip("Z")


def _sequence(told: Told) -> List[str]:
    width = max(len(_hosts(moment)) for moment in told.moments)
    lines = []  # type: List[str]
    for place, moment in enumerate(told.moments):
        if told.left_out and place == len(told.moments) // 2:
            lines.append("   ... {} lines are left out: `xha.pyz timeline` has them".format(
                told.left_out))
        head = "{} {:>8} {:{}}  ".format(
            _clock(moment.at_ms), _seconds(moment.at_ms - told.case.at_ms),
            _hosts(moment), width)
        lines += _wrapped(_plain(moment.text), head, " " * len(head))
    return lines


def _seconds(ms: int) -> str:
    return "{:+.1f} s".format(round(ms / 1000, 1) + 0.0)


def _hosts(moment: Moment) -> str:
    if len(moment.hosts) > 4:
        return re.sub("^hosts? ", "", named(moment.hosts)).replace(" and ", ",").replace(" ", "")
    return ",".join(str(host) for host in moment.hosts)


def _plain(text: str) -> str:
    return catalogue.phrase(text)


def _wrapped(text: str, first: str, rest: str) -> List[str]:
    """A text as lines; a number stays with its unit; what is too long is broken."""
    held = re.sub(r"([0-9]) (s|ms)\b", "\\1\x1f\\2", _plain(" ".join(text.split())))
    return [line.replace("\x1f", " ") for line in textwrap.wrap(
        held, WIDTH, initial_indent=first, subsequent_indent=rest, break_on_hyphens=False)
        ] or [first.rstrip()]
