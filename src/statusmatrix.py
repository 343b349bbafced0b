"""Who hears whom, drawn: one matrix for each of the two paths.

Pure.  Row i is what host i says itself, by its newest word on either path; the
row of this host shows also what grows old.  Up to nine hosts, each is a row,
with a column for each host; in a larger pool equal rows become one, so that
sixty-four hosts that are well take one line, and one that is cut off stands out.
"""

from typing import Dict, List, NamedTuple, Tuple

from xha import concerns
from xha.hostset import HostSet
from xha.picture import Glyphs, Line, length, pad
from xha.records import record
from xha.snapshot import HostView, Snapshot

#: More hosts than this are grouped.
_EACH_MAX = 9

#: Between two matrices that stand side by side, columns.
_GAP = 4

#: The least room for the numbers of hosts beside their row, columns.
_NAMES_MIN = 8


@record
class Matrix(NamedTuple):
    """One path."""

    title: str
    verb: str
    # For each host its row: one styled sign for each host; empty when nothing is known.
    rows: Tuple[Line, ...]


def draw(snapshot: Snapshot, glyphs: Glyphs, width: int) -> List[Line]:
    """Both matrices, side by side where they fit, no line longer than ``width``."""
    both = [_matrix(snapshot, path, glyphs) for path in (0, 1)]
    if len(snapshot.hosts) > _EACH_MAX:
        return _grouped(both[0], width) + [[]] + _grouped(both[1], width)
    left, right = (_each(matrix) for matrix in both)
    column = max(length(line) for line in left) + _GAP
    if column + max(length(line) for line in right) <= width:
        return [pad(one, column) + other for one, other in zip(left, right)]
    return left + [[]] + right


def _matrix(snapshot: Snapshot, path: int, glyphs: Glyphs) -> Matrix:
    rows = tuple(_row(snapshot, host, path, glyphs) for host in snapshot.hosts)
    if path == 0:
        return Matrix(title="Heartbeats", verb="hears", rows=rows)
    return Matrix(title="State-File", verb="sees", rows=rows)


def _row(snapshot: Snapshot, host: HostView, path: int, glyphs: Glyphs) -> Line:
    noticed = concerns.domains(snapshot, host)[path]
    if noticed is None:
        return []
    return [_sign(snapshot, host, noticed, other, path, glyphs) for other in snapshot.hosts]


def _sign(snapshot: Snapshot, host: HostView, noticed: HostSet, other: HostView, path: int,
          glyphs: Glyphs) -> Tuple[str, str]:
    if other.index not in noticed:
        # Of a host that is not in the liveset nobody expects more.
        return ("red" if other.live or host.live and other.index == host.index else "dim",
                glyphs.lost)
    if host.index == snapshot.local:
        age_ms, limit_ms = ((other.since_heartbeat_ms, snapshot.heartbeat_timeout_ms) if path == 0
                            else (other.since_statefile_ms, snapshot.statefile_timeout_ms))
        if 2 * age_ms > limit_ms:
            return ("yellow", glyphs.aging)
    return ("green", glyphs.fresh)


def _each(matrix: Matrix) -> List[Line]:
    """A row and a column for each host."""
    count = len(matrix.rows)
    label = len(matrix.title) + 2
    lines = [[("bold", " " + matrix.title.ljust(label)),
              ("dim", " ".join(str(index) for index in range(count)))]]  # type: List[Line]
    for index, row in enumerate(matrix.rows):
        line = [("dim", " " + "{} {}".format(index, matrix.verb).rjust(label - 2) + "  ")]
        lines.append(line + _spaced(row or [("dim", "?")] * count))
    return lines


def _spaced(row: Line) -> Line:
    return [(style, text + " ") for style, text in row[:-1]] + row[-1:]


def _grouped(matrix: Matrix, width: int) -> List[Line]:
    """A line for each set of hosts with equal rows; the row first, then whose it is."""
    count = len(matrix.rows)
    groups = {}     # type: Dict[Tuple[Tuple[str, str], ...], List[int]]
    for index, row in enumerate(matrix.rows):
        groups.setdefault(tuple(row), []).append(index)
    lines = [[("bold", " {}: who {} whom".format(matrix.title, matrix.verb))]]  # type: List[Line]
    beside = width - count - 4 >= _NAMES_MIN
    if beside:
        lines.append([("dim", " " + "".join(
            str(index // 10) if index % 10 == 0 else "." for index in range(count)))])
    for key, hosts in sorted(groups.items(), key=lambda item: item[1]):
        row = list(key) or [("dim", "?")] * count
        names = concerns.numbers(hosts)
        if beside:
            room = width - count - 4
            lines.append([("", " ")] + row + [("", "  " + _short(names, room))])
        else:
            lines += _in_words(key, names, matrix, width)
    return lines


def _in_words(key: Tuple[Tuple[str, str], ...], names: str, matrix: Matrix,
              width: int) -> List[Line]:
    """Where there is no room for a sign for each host."""
    found = [index for index, (style, _) in enumerate(key) if style in ("green", "yellow")]
    if not key:
        text = "nothing is known"
    elif len(found) == len(key):
        text = "{} all".format(matrix.verb)
    else:
        text = "{} {}".format(matrix.verb, concerns.numbers(found) or "nobody")
    style = "" if len(found) == len(key) else "yellow"
    return [[(style, _short(" {}: {}".format(names, text), width))]]


def _short(text: str, width: int) -> str:
    return text if len(text) <= width else text[:width - 3] + "..."
