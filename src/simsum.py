"""The sum of an outcome: the first sentences, which may be all that somebody reads."""

import re
from typing import Dict, List, Sequence, Tuple

from xha.published import NEVER
from xha.simoutcome import Fate, Outcome
from xha.simscript import letter
from xha.simwords import ALIVE, after, lives, master_spans, names, plain, seconds, span_of

#: More different fates than this are not told one by one.
CLAUSES_MAX = 3


def summary(outcome: Outcome) -> str:
    """The whole outcome in a few plain sentences, the gravest first."""
    found = []  # type: List[str]
    when = " after {} s: ".format(seconds(outcome.lasted_ms)) + _by_letters(plain(outcome.text))
    if outcome.ending == "breach":
        found.append("THE PROMISE IS BROKEN" + when.rstrip(".") + ".")
    elif outcome.ending == "liveness":
        found.append("THE POOL DOES NOT FORM AGAIN" + when.rstrip(".") + ".")
    elif outcome.ending != "well":
        found.append("THE DAEMON'S OWN CODE FAILED" + when.rstrip(".") + ".")
    return " ".join(found + [_who_goes_on(outcome), _master(outcome)])


def _by_letters(text: str) -> str:
    """What was broken, with the hosts named as everywhere else here."""
    return re.sub(r"\bhost ([0-9]{1,2})\b|(?<=hosts )([0-9]{1,2}) and ([0-9]{1,2})\b",
                  lambda found: "host " + letter(int(found.group(1))) if found.group(1)
                  else "{} and {}".format(letter(int(found.group(2))),
                                          letter(int(found.group(3)))), text)


def _who_goes_on(outcome: Outcome) -> str:
    alive = [fate.host for fate in outcome.fates if lives(fate)]
    others = _groups(outcome)
    if not others:
        everybody = "The only host goes" if len(alive) == 1 else "All {} hosts go".format(
            len(alive))
        return "{} on{}; nobody is reset or dropped.".format(
            everybody, _how_they_live(outcome, alive))
    if not alive:
        interrupted = any(fate.state in ALIVE for fate in outcome.fates)
        return "{}: {}.".format("Nobody goes on without interruption" if interrupted
                                else "NOBODY SURVIVES", "; ".join(others))
    return "{} {} on{}; {}.".format(
        ("Host " if len(alive) == 1 else "Hosts ") + names(alive),
        "goes" if len(alive) == 1 else "go", _how_they_live(outcome, alive), "; ".join(others))


def _how_they_live(outcome: Outcome, alive: Sequence[int]) -> str:
    states = {outcome.fates[host].state for host in alive}
    if states == {"rule 2"}:
        return ", without State-File, by survival rule 2"
    if states == {"disarmed"}:
        return " DISARMED: nothing would reset them, and they drop nobody"
    if "fault handling" in states:
        return " so far, without having agreed yet who is alive"
    return ""


def _groups(outcome: Outcome) -> List[str]:
    """What became of everybody else; those to whom the same happened in one clause."""
    groups = {}  # type: Dict[Tuple[str, int, str, bool], List[Fate]]
    for fate in outcome.fates:
        if not lives(fate):
            key = (fate.how, fate.cause, fate.state, fate.first_dropped_at_ms == NEVER)
            groups.setdefault(key, []).append(fate)
    if len(groups) > CLAUSES_MAX:
        return [_all_of_them([fate for group in groups.values() for fate in group])]
    return [_clause(outcome, group) for group in groups.values()]


def _all_of_them(fates: Sequence[Fate]) -> str:
    """Too many different fates for a sentence: from when to when, and how many are left."""
    ended = [fate for fate in fates if fate.how]
    undropped = [fate.host for fate in ended if fate.first_dropped_at_ms == NEVER]
    text = "{} do not go on without interruption".format(names([fate.host for fate in fates]))
    if ended:
        text += ": {} of them end {}".format(len(ended), _when([f.died_at_ms for f in ended]))
    restarts = span_of([fate.restart_after_ms for fate in ended], "").replace("-", " to ")
    if restarts:
        text += ", and VMs can be restarted {} s after the fault that cost their host".format(
            restarts)
    if undropped:
        text += "; nobody drops {} by the end: {} VMs cannot be restarted".format(
            names(undropped), "its" if len(undropped) == 1 else "their")
    return text


def _clause(outcome: Outcome, group: Sequence[Fate]) -> str:
    first, many = group[0], len(group) > 1
    who = names([fate.host for fate in group])
    drop = _when([fate.first_dropped_at_ms for fate in group]
                    + [fate.last_dropped_at_ms for fate in group])
    if not first.how:
        does = {"frozen": ("stand still", "stands still"),
                "starting": ("wait to join", "waits to join")}.get(
                    first.state, ("are " + first.state, "is " + first.state))
        if first.state in ALIVE:
            does = ("run on, " + first.state, "runs on, " + first.state)
        return "{} {}{}".format(who, does[not many], "" if not drop else
                                ", although {} dropped {}".format(
                                    "they were" if many else "it was", drop))
    does = {"fenced": ("fence themselves", "fences itself"),
            "reset": ("are reset", "is reset"),
            "crashed": ("lose their power", "loses its power"),
            "killed": ("lose their daemons", "loses its daemon")}.get(
                first.how, ("end their daemons", "ends its daemon"))
    died = [fate.died_at_ms for fate in group]
    since_ms = outcome.deeds[first.cause].at_ms if first.cause != NEVER else NEVER
    when = _when(died)
    if since_ms != NEVER and max(died) > since_ms:
        when = "{} after {}".format(_when([at_ms - since_ms for at_ms in died])[3:],
                                    after(outcome, first))
    text = "{} {} {}".format(who, does[not many], when)
    if not drop:
        text += ", and nobody drops {} by the end: {} VMs cannot be restarted".format(
            "them" if many else "it", "their" if many else "its")
    else:
        text += " and {} dropped {}: {} VMs can be restarted then".format(
            "are" if many else "is", drop, "their" if many else "its")
    if first.state in ALIVE:
        text += "; {} back at the end".format("they are" if many else "it is")
    elif first.state == "starting":
        text += "; at the end {} to join".format("they wait" if many else "it waits")
    return text


def _when(instants: Sequence[int]) -> str:
    """at 21.2 s, or: at 21.2 to 22.0 s; "" when there is none."""
    shown = span_of(instants, "")
    return "at {} s".format(shown.replace("-", " to ")) if shown else ""


def _master(outcome: Outcome) -> str:
    held = master_spans(outcome)
    if outcome.master != NEVER:
        since_ms = [span for span in held if span[0] == outcome.master][-1][1]
        return "Master: {}{}.".format(
            letter(outcome.master), ", since {} s".format(seconds(since_ms)) if since_ms else "")
    if held:
        return "No master at the end; {} was, until {} s.".format(
            letter(held[-1][0]), seconds(held[-1][2]))
    return "No master."
