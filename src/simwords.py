"""An outcome in words: names of hosts, moments that belong together, and what became of whom.

What ``simtext`` and ``simpage`` have in common.  ASCII, whatever a story or a configuration holds.
"""

import re
import textwrap
from typing import Dict, List, Match, NamedTuple, Sequence, Tuple

from xha import simcause
from xha.catalogue import phrase
from xha.published import NEVER
from xha.records import record
from xha.simoutcome import DEATHS, Fate, Moment, Outcome
from xha.simscript import letter

#: Moments of one kind and text within this time are one line, ms.
TOGETHER_MS = 1000

#: A larger pool's livesets are shown by the indexes of their members, not by their digits.
PICTURE_HOSTS_MAX = 16

#: In a larger pool, hosts of the same fate share a row of the table.
ROWS_MAX = 16

#: So many messages of one name, within ``TOGETHER_MS`` and each with a text of its own, are told.
ALIKE_MAX = 4

#: What the last column of the table counts.
RESTART = ("VMs after: s from the fault that is named until every survivor had dropped the host, "
           "so that its VMs could be restarted elsewhere.")

_PICTURE = re.compile(r"\b[01]{%d,64}\b" % (PICTURE_HOSTS_MAX + 1))
#: States of a host that is a member.
ALIVE = ("online", "rule 2", "disarmed", "fault handling")


@record
class Line(NamedTuple):
    """One line of a timeline: what was done, or what hosts say, or what became of them."""

    at_ms: int
    # The last of the moments that it stands for.
    until_ms: int
    # Nobody for what was done to the pool.
    hosts: Tuple[int, ...]
    # done, dropped, a kind of ``simoutcome.Moment``, or end.
    kind: str
    name: str
    text: str


@record
class Sight(NamedTuple):
    """What the table of fates says of a host."""

    # What it is at the end, and what became of it before.
    now: str
    what: str
    # In s, "" for none, "never": when it ended; when it was dropped; and how long after the fault
    # that began it ``what`` says, so that its VMs could be restarted then.
    died: str
    dropped: str
    restart: str


def seconds(ms: int) -> str:
    """A time, as s with one decimal."""
    return "{:.1f}".format(ms / 1000)


def plain(text: str) -> str:
    """Printable ASCII."""
    return phrase(text[:400])


def wrap(text: str, width: int, first: str = "", rest: str = "") -> List[str]:
    """A text as lines; neither a number and its unit nor a name with hyphens is torn apart.

    ``first`` and ``rest``: what the first line and the others begin with.
    """
    held = re.sub(r"([0-9]) (s|ms)\b", "\\1\x1f\\2", text)
    return [line.replace("\x1f", " ") for line in textwrap.wrap(
        held, width, initial_indent=first, subsequent_indent=rest, break_on_hyphens=False)]


def deed_text(text: str) -> str:
    """A line of a story; long lists of hosts by the first and last of a run."""
    def runs(found: Match[str]) -> str:
        return ",".join(str(first) if first == last else "{}-{}".format(first, last)
                        for first, last in _runs([int(host) for host in found.group().split(",")]))
    return plain(re.sub(r"\b[0-9]{1,2}(?:,[0-9]{1,2}){3,}\b", runs, text))


def _runs(hosts: Sequence[int]) -> List[Tuple[int, int]]:
    """(first, last) of each unbroken run of host indexes."""
    runs = []  # type: List[Tuple[int, int]]
    for host in sorted(hosts):
        if runs and runs[-1][1] == host - 1:
            runs[-1] = (runs[-1][0], host)
        else:
            runs.append((host, host))
    return runs


def short(hosts: Sequence[int]) -> str:
    """Some hosts for a column: a,b or a-f,8-63."""
    words = []  # type: List[str]
    for first, last in _runs(hosts):
        if last - first < 2:
            words += [letter(host) for host in range(first, last + 1)]
        else:
            words.append("{}-{}".format(letter(first), letter(last)))
    return ",".join(words)


def names(hosts: Sequence[int]) -> str:
    """Some hosts for a sentence: a, b and d to 63."""
    words = []  # type: List[str]
    for first, last in _runs(hosts):
        if last - first < 2 or len(hosts) <= 3:
            words += [letter(host) for host in range(first, last + 1)]
        else:
            words.append("{} to {}".format(letter(first), letter(last)))
    if len(words) > 8:
        return "{} hosts ({})".format(len(hosts), short(hosts))
    return " and ".join([", ".join(words[:-1])] * (len(words) > 1) + words[-1:])


def legible(text: str) -> str:
    """A text with the pictures of large livesets by their indexes: (0-30,32-63)."""
    def members(found: Match[str]) -> str:
        picture = found.group()
        hosts = [index for index, digit in enumerate(picture) if digit == "1"]
        if len(hosts) == len(picture):
            return "all"
        return ",".join(str(first) if first == last else "{}-{}".format(first, last)
                        for first, last in _runs(hosts)) or "none"
    return _PICTURE.sub(members, text)


def lines(outcome: Outcome) -> List[Line]:
    """The timeline, in order: deeds, moments that belong together, drops, and the end."""
    found = [(deed.at_ms, 0, Line(at_ms=deed.at_ms, until_ms=deed.at_ms, hosts=(), kind="done",
                                  name="", text=deed_text(deed.text)))
             for deed in outcome.deeds if deed.kind != "time"]
    found += [(line.at_ms, 1, line) for line in _together(outcome.moments)]
    found.append((outcome.lasted_ms, 2, Line(
        at_ms=outcome.lasted_ms, until_ms=outcome.lasted_ms, hosts=(), kind="end", name="",
        text=_end_of(outcome))))
    order = sorted(range(len(found)), key=lambda index: found[index][:2] + (index,))
    return [found[index][2] for index in order]


def _together(moments: Sequence[Moment]) -> List[Line]:
    """Equal moments of several hosts in one line; very many that differ little likewise."""
    groups = []  # type: List[List[Moment]]
    open_groups = {}  # type: Dict[Tuple[str, str, str], List[Moment]]
    for moment in moments:
        key = (moment.kind, moment.name, moment.text)
        group = open_groups.get(key)
        if (group is None or moment.at_ms - group[0].at_ms >= TOGETHER_MS
                or any(set(moment.hosts) & set(other.hosts) for other in group)):
            open_groups[key] = group = []
            groups.append(group)
        group.append(moment)
    alike = {}  # type: Dict[Tuple[str, str, int], List[List[Moment]]]
    for group in groups:
        first = group[0]
        alike.setdefault((first.kind, first.name, first.at_ms // TOGETHER_MS), []).append(group)
    found = []  # type: List[Line]
    for (_, name, _), similar in alike.items():
        if name and len(similar) > ALIKE_MAX:
            rest = sum(len({host for moment in group for host in moment.hosts})
                       for group in similar[1:])
            line = _line([moment for group in similar for moment in group])
            found.append(line._replace(text="{} And {} more like it.".format(line.text, rest)))
        else:
            found += [_line(group) for group in similar]
    return sorted(found, key=lambda line: line.at_ms)


def _line(group: Sequence[Moment]) -> Line:
    first = group[0]
    text = plain(legible(first.text))
    if first.kind in DEATHS and not text:
        text = "power lost, or reset by hand" if first.kind == "crashed" else "its daemon died"
    return Line(at_ms=first.at_ms, until_ms=max(moment.at_ms for moment in group),
                hosts=tuple(sorted({host for moment in group for host in moment.hosts})),
                kind=first.kind, name=first.name, text=text)


def _end_of(outcome: Outcome) -> str:
    if outcome.ending == "well":
        return "End of the story."
    return {"breach": "BREACH: ", "liveness": "NOT FORMED: ", "crash": "FAILED: "}.get(
        outcome.ending, "") + plain(outcome.text)


# ---- the fate of a host


def lives(fate: Fate) -> bool:
    """Whether a host is a member at the end that never went away."""
    return fate.state in ALIVE and not fate.how and fate.first_dropped_at_ms == NEVER


def after(outcome: Outcome, fate: Fate) -> str:
    """The fault that "so many seconds after" counts from: "the cut"; its instant if not 0."""
    if fate.cause == NEVER:
        return "it ended"
    deed = outcome.deeds[fate.cause]
    at = " at {} s".format(seconds(deed.at_ms)) if deed.at_ms else ""
    return simcause.noun_of(deed.text) + at


def sight(outcome: Outcome, fate: Fate) -> Sight:
    """What the table says of a host."""
    dropped = span_of([fate.first_dropped_at_ms, fate.last_dropped_at_ms],
                     "never" if fate.how else "")
    restart = ""
    if fate.how:
        restart = "never"
        if fate.restart_after_ms != NEVER:
            restart = seconds(fate.restart_after_ms)
    return Sight(now=fate.state + ("" if outcome.master != fate.host else ", master"),
                 what=_what(outcome, fate), died="" if fate.died_at_ms == NEVER
                 else seconds(fate.died_at_ms), dropped=dropped, restart=restart)


def rows_of(outcome: Outcome) -> List[Tuple[List[Fate], Sight]]:
    """The rows of a table: each host, or in a large pool those to whom the same happened."""
    rows = []  # type: List[Tuple[List[Fate], Sight]]
    found = {}  # type: Dict[Tuple[str, str, bool, bool], List[Tuple[Fate, Sight]]]
    for fate in outcome.fates:
        row = (fate, sight(outcome, fate))
        if len(outcome.fates) > ROWS_MAX:
            found.setdefault((row[1].now, row[1].what, fate.died_at_ms == NEVER,
                              fate.first_dropped_at_ms == NEVER), []).append(row)
        else:
            rows.append(([fate], row[1]))
    for group in found.values():
        fates = [fate for fate, _ in group]
        rows.append((fates, group[0][1]._replace(
            died=span_of([fate.died_at_ms for fate in fates], group[0][1].died),
            dropped=span_of([fate.first_dropped_at_ms for fate in fates]
                           + [fate.last_dropped_at_ms for fate in fates], group[0][1].dropped),
            restart=span_of([fate.restart_after_ms for fate in fates], group[0][1].restart))))
    return rows


def span_of(instants: Sequence[int], otherwise: str) -> str:
    """Some instants in s, as one or as first-last; ``otherwise`` where all are NEVER."""
    known = [at_ms for at_ms in instants if at_ms != NEVER]
    if not known:
        return otherwise
    first, last = seconds(min(known)), seconds(max(known))
    return first if first == last else first + "-" + last


def _because(outcome: Outcome, fate: Fate) -> str:
    if fate.cause == NEVER:
        return ""
    return ", after " + after(outcome, fate)


def _what(outcome: Outcome, fate: Fate) -> str:
    what = {"": "goes on", "fenced": "fences itself ({})", "reset": "reset by its {}",
            "crashed": "loses its power, or is reset by hand", "killed": "its daemon dies",
            "ended": "its daemon ends with {}"}[fate.how].format(fate.code)
    if not fate.how and fate.state not in ALIVE:
        what = {"frozen": "stands still", "starting": "waits to join"}.get(fate.state, fate.state)
    if not fate.how and fate.first_dropped_at_ms != NEVER:
        what += ", although it was dropped"
    if not fate.how and fate.rule:
        what += ", by rule " + fate.rule
    if fate.how:
        what += _because(outcome, fate) + (", is back" if fate.state in ALIVE else "")
    return plain(what)


def master_spans(outcome: Outcome) -> List[Tuple[int, int, int]]:
    """(host, from, to) of each time in which a host held the master lock, in order of time."""
    found = []  # type: List[Tuple[int, int, int]]
    for span in outcome.spans:
        if not span.master:
            continue
        if found and found[-1][0] == span.host and found[-1][2] == span.from_ms:
            found[-1] = (span.host, found[-1][1], span.to_ms)
        else:
            found.append((span.host, span.from_ms, span.to_ms))
    return sorted(found, key=lambda held: (held[1], held[0]))
