"""An outcome for a terminal or a pipe, in words; and for programs, as JSON.

The schema of the JSON is in ``docs/simulate.md``; a name keeps its meaning within a version.
"""

import json
from typing import Any, Dict, List, NamedTuple, Optional, Sequence, Tuple

from xha import simsum, simwords
from xha.published import NEVER
from xha.records import record
from xha.simoutcome import DEATHS, Fate, Outcome
from xha.simwords import Line, short

#: Of the JSON.
VERSION = 1

#: Narrower text than this is not made, columns.
WIDTH_MIN = 60

# The widest column of hosts, and that of kinds, of the timeline.
_HOSTS_MAX = 14
_GAP = "  "
# With less room for words than this, addresses leave the table's rows.
_ROOM_MIN = 14


@record
class _Column(NamedTuple):
    head: str
    cells: Tuple[str, ...]
    # It is wrapped, and takes what room is left.
    wide: bool


def as_text(outcome: Outcome, width: int) -> str:
    """The outcome for people: the sum of it, a timeline and a table; ASCII.

    Args:
        width: columns that no line exceeds; at least ``WIDTH_MIN`` are used.
    """
    width = max(width, WIDTH_MIN)
    found = simwords.wrap(simsum.summary(outcome), width)
    found += ["", "What happens, in s since the story began"]
    found += _timeline(outcome, width)
    found += ["", "What becomes of each host"] + _table(outcome, width)
    found += [""] + simwords.wrap(_end(outcome), width)
    return "\n".join(line.rstrip() for line in found) + "\n"


def _end(outcome: Outcome) -> str:
    members = [index for index, digit in enumerate(outcome.liveset) if digit == "1"]
    if members:
        liveset = "Liveset at the end: {} ({}).".format(
            simwords.names(members), simwords.legible(outcome.liveset))
    elif any(fate.state in ("online", "fault handling", "rule 2", "disarmed")
             for fate in outcome.fates):
        liveset = "The hosts do not agree on a liveset at the end."
    else:
        liveset = "There is no liveset at the end."
    held = ["{} from {} to {} s".format(simwords.short([host]), simwords.seconds(from_ms),
                                        simwords.seconds(to_ms))
            for host, from_ms, to_ms in simwords.master_spans(outcome)]
    return "{} Master lock held by: {}.".format(liveset, ", ".join(held) or "nobody")


# ---- the timeline


def _timeline(outcome: Outcome, width: int) -> List[str]:
    lines = simwords.lines(outcome)
    hosts_width = max([5] + [len(short(line.hosts)) for line in lines])
    if hosts_width > _HOSTS_MAX:
        hosts_width = _HOSTS_MAX
    time_width = max(6, len(simwords.seconds(outcome.lasted_ms)))
    found = []  # type: List[str]
    for line in lines:
        found += _told(line, time_width, hosts_width, width)
    return found


def _told(line: Line, time_width: int, hosts_width: int, width: int) -> List[str]:
    time = simwords.seconds(line.at_ms).rjust(time_width)
    if line.kind in ("done", "end"):
        mark = ">>> " if line.kind == "done" else ""
        lead = time + _GAP + mark
        return simwords.wrap(line.text, width, first=lead, rest=" " * len(lead))
    kind = line.kind.upper() if line.kind in DEATHS or line.kind == "err" else line.kind
    hosts = [short(line.hosts)]
    if len(hosts[0]) > hosts_width:
        hosts = simwords.wrap(hosts[0].replace(",", ", "), hosts_width)
    lead_width = time_width + len(_GAP) + hosts_width + len(_GAP) + 8 + 1
    text = simwords.wrap(line.text, width - lead_width) or [""]
    found = []  # type: List[str]
    for number in range(max(len(hosts), len(text))):
        found.append("{}{}{}{}{} {}".format(
            time if number == 0 else " " * time_width, _GAP,
            (hosts[number] if number < len(hosts) else "").ljust(hosts_width), _GAP,
            (kind if number == 0 else "").ljust(8), text[number] if number < len(text) else ""))
    return found


# ---- the table


def _table(outcome: Outcome, width: int) -> List[str]:
    rows = simwords.rows_of(outcome)
    columns = [_Column(head="host", wide=False, cells=tuple(
        short([fate.host for fate in fates]) for fates, _ in rows))]
    if max(len(column) for column in columns[0].cells) > _HOSTS_MAX:
        columns[0] = columns[0]._replace(wide=True)
    address = _Column(head="address", wide=False, cells=tuple(
        fates[0].address if len(fates) == 1 else "{} hosts".format(len(fates))
        for fates, _ in rows))
    others = [
        _Column(head="at the end", wide=False, cells=tuple(sight.now for _, sight in rows)),
        _Column(head="what becomes of it", wide=True, cells=tuple(s.what for _, s in rows)),
        _Column(head="ends", wide=False, cells=tuple(sight.died for _, sight in rows)),
        _Column(head="dropped", wide=False, cells=tuple(sight.dropped for _, sight in rows)),
        _Column(head="VMs after", wide=False, cells=tuple(sight.restart for _, sight in rows))]
    columns += [address] + [column for column in others if any(column.cells)]
    below = [""] * len(rows)
    if _room(columns, width) < _ROOM_MIN:
        # Long addresses get lines of their own.
        columns.remove(address)
        below = list(address.cells)
    found = _laid_out(columns, width, below)
    if columns[-1].head == "VMs after":
        found += simwords.wrap(simwords.RESTART, width)
    return found


def _natural(column: _Column) -> int:
    return max(len(line) for cell in (column.head,) + column.cells for line in cell.split("\n"))


def _room(columns: Sequence[_Column], width: int) -> int:
    """What is left for each wide column."""
    wide = [column for column in columns if column.wide]
    fixed = sum(_natural(column) for column in columns if not column.wide)
    return (width - fixed - len(_GAP) * (len(columns) - 1)) // max(1, len(wide))


def _laid_out(columns: Sequence[_Column], width: int, below: Sequence[str]) -> List[str]:
    widths = []  # type: List[int]
    room = max(10, _room(columns, width))
    spare = sum(max(0, room - _natural(column)) for column in columns if column.wide)
    for column in columns:
        natural = _natural(column)
        taken = natural if not column.wide else min(natural, room + spare)
        spare -= max(0, taken - room) if column.wide else 0
        widths.append(taken)
    found = []  # type: List[str]
    heads = tuple(column.head for column in columns)
    for row, last in zip([heads] + list(zip(*(column.cells for column in columns))),
                         [""] + list(below)):
        cells = [_wrapped(cell, width) for cell, width in zip(row, widths)]
        for number in range(max(len(cell) for cell in cells)):
            found.append(_GAP.join((cell[number] if number < len(cell) else "").ljust(room)
                                   for cell, room in zip(cells, widths)).rstrip())
        if last:
            found.append(" " * (widths[0] + len(_GAP)) + last)
        if row is heads:
            found.append(_GAP.join("-" * room for room in widths))
    return found


def _wrapped(cell: str, width: int) -> List[str]:
    spaced = cell if " " in cell else cell.replace(",", ", ") if len(cell) > width else cell
    return [line for part in spaced.split("\n") for line in simwords.wrap(part, width) or [""]]


# ---- JSON


def as_json(outcome: Outcome) -> str:
    """The outcome for programs: one JSON object, ASCII, a line feed at its end."""
    document = {
        "version": VERSION, "summary": simsum.summary(outcome), "ending": outcome.ending,
        "ending_text": outcome.text, "lasted_ms": outcome.lasted_ms,
        "master": _known(outcome.master),
        "liveset": _members(outcome.liveset) if outcome.liveset else None,
        "digest": outcome.digest,
        "hosts": [_host(outcome, fate) for fate in outcome.fates],
        "deeds": [{"at_ms": deed.at_ms, "text": deed.text, "kind": deed.kind,
                   "hosts": list(deed.hosts)} for deed in outcome.deeds],
        "moments": [{"at_ms": moment.at_ms, "hosts": list(moment.hosts), "kind": moment.kind,
                     "name": moment.name or None, "text": moment.text}
                    for moment in outcome.moments],
        "drops": [{"host": drop.host, "first_ms": drop.first_ms, "last_ms": drop.last_ms,
                   "by": list(drop.by)} for drop in outcome.drops],
        "spans": [{"host": span.host, "state": span.state, "from_ms": span.from_ms,
                   "to_ms": span.to_ms, "liveset": _members(span.liveset),
                   "master": span.master} for span in outcome.spans]}
    return json.dumps(document, indent=1, sort_keys=False, ensure_ascii=True) + "\n"


def _host(outcome: Outcome, fate: Fate) -> Dict[str, Any]:
    return {
        "index": fate.host, "name": fate.name, "address": fate.address, "uuid": fate.uuid,
        "survives": simwords.lives(fate), "state": fate.state,
        "master": outcome.master == fate.host, "was_reset": fate.reset,
        "how": fate.how or None, "code": fate.code or None, "why": fate.why or None,
        "rule": int(fate.rule) if fate.rule else None, "died_at_ms": _known(fate.died_at_ms),
        "first_dropped_at_ms": _known(fate.first_dropped_at_ms),
        "last_dropped_at_ms": _known(fate.last_dropped_at_ms), "cause": _known(fate.cause),
        "restart_after_ms": _known(fate.restart_after_ms)}


def _known(value: int) -> Optional[int]:
    return None if value == NEVER else value


def _members(liveset: str) -> List[int]:
    return [index for index, digit in enumerate(liveset) if digit == "1"]
