"""The drawing of a history: for each host a lane, its marks and two graphs, as one SVG element.

Theory of operation
===================

A picture has so many px, whatever was recorded, so everything is thinned to
what can be seen.  Of a graph, a column of ``_COLUMN`` px shows its largest
value.  Of spans that are narrower than a column, the gravest state is drawn.
Marks of one kind that are nearer than a few px are one mark, which says how
many there are and quotes the first; the distance grows until there are no
more than ``_MARKS_MAX`` in the picture.
"""

from html import escape
from typing import Dict, List, NamedTuple, Optional, Sequence, Tuple

from xha import history, simwords, svglanes
from xha.historyaxis import Axis, length
from xha.historylanes import STATES, Lane, Limits, Mark, Sample, Span
from xha.records import record
from xha.svglanes import WIDTH, text

#: A column of a graph, px.
_COLUMN = 2.0
#: Marks in one picture, and texts that one of them quotes, and how much of each.
_MARKS_MAX = 1500
_QUOTED = 4
_QUOTE = 110

_GRAVITY = {state: place for place, state in enumerate(STATES)}

#: Kinds of marks, the gravest last, and the levels that they are for.
MARKS = {
    "tick": ("debug", "info", "notice"),
    "begin": ("begin",),
    "odd": ("clock", "lost"),
    "warning": ("warning",),
    "boot": ("boot",),
    "err": ("err",),
}
_MARK_OF = {level: kind for kind, levels in MARKS.items() for level in levels}


@record
class Band(NamedTuple):
    """A time that another picture shows from near."""

    from_ms: int
    to_ms: int
    number: int


@record
class _Sizes(NamedTuple):
    """Heights in a lane, px."""

    # Above the bar, for marks; the bar; each graph; below the lane; between those.
    marks: float
    bar: float
    graph: float
    below: float
    gap: float
    # High enough for words.
    roomy: bool

    @property
    def pitch(self) -> float:
        """From one lane to the next."""
        return self.marks + self.bar + 2 * (self.graph + self.gap) * bool(self.graph) + self.below


@record
class _Graph(NamedTuple):
    """One of the two graphs of a lane."""

    name: str
    # Its class, its place in the lane from 0, and the value at its top, ms.
    kind: str
    place: int
    top_ms: int


def sizes_of(count: int, graphs: bool) -> _Sizes:
    """The heights for so many lanes."""
    if count <= 4:
        return _Sizes(marks=17, bar=26, graph=28 * graphs, below=12, gap=8, roomy=True)
    if count <= 16:
        return _Sizes(marks=14, bar=18, graph=15 * graphs, below=8, gap=5, roomy=True)
    return _Sizes(marks=8, bar=10, graph=8 * graphs, below=3, gap=1.5, roomy=False)


def left_of(lanes: Sequence[Lane]) -> float:
    """Where the axis begins beside these lanes."""
    return svglanes.room_for([lane.address for lane in lanes]) + 8


def draw(lanes: Sequence[Lane], axis: Axis, label: str, bands: Sequence[Band] = ()) -> str:
    """The SVG element."""
    seen = [_seen(lane, axis) for lane in lanes]
    sizes = sizes_of(len(lanes), any(lane.samples for lane in seen))
    top = 54.0
    bottom = top + sizes.pitch * len(lanes)
    grid, ticks = svglanes.axis(axis.ticks(), top, bottom)
    parts = [svglanes.patterns([svglanes.slug(state) for state in STATES])]
    graphs = _graphs(seen)
    cluster = _cluster(seen, axis)
    back, front = [], []  # type: List[str], List[str]
    for place, lane in enumerate(seen):
        y = top + sizes.pitch * place
        if place % 2 == 0:
            back.append(svglanes.stripe(y, sizes.pitch))
        front += _lane(lane, axis, sizes, y, graphs, cluster)
    parts += back + grid + _bands(axis, bands, top, bottom) + front
    parts += _cuts(axis, top, bottom) + ticks
    parts += [text(x, top - 28, "tick date", date, "start" if x - axis.left < 30 else "middle")
              for x, date in axis.dates()]
    return '<svg viewBox="0 0 {} {:g}" role="img" aria-label="{}">{}</svg>'.format(
        WIDTH, bottom + (40 if bands else 26), escape(label), "\n".join(parts))


def _seen(lane: Lane, axis: Axis) -> Lane:
    """What of a lane is on the axis."""
    first, last = axis.from_ms, axis.to_ms
    return lane._replace(
        spans=tuple(span for span in lane.spans if span.to_ms > first and span.from_ms < last),
        samples=tuple(one for one in lane.samples if one.to_ms > first and one.from_ms < last),
        limits=tuple(one for one in lane.limits if one.to_ms > first and one.from_ms < last),
        marks=tuple(mark for mark in lane.marks if first <= mark.at_ms <= last))


def _graphs(lanes: Sequence[Lane]) -> Tuple[_Graph, _Graph]:
    """The two graphs; their scale is the same for all lanes."""
    beats = max([one.heartbeat_ms for lane in lanes for one in lane.limits] or [0])
    disks = max([one.statefile_ms for lane in lanes for one in lane.limits] or [0])
    beats = beats or max([one.silence_ms for lane in lanes for one in lane.samples] or [0])
    disks = disks or max([one.latency_ms for lane in lanes for one in lane.samples] or [0])
    return (_Graph(name="silence", kind="hb", place=0, top_ms=max(1, beats * 6 // 5)),
            _Graph(name="State-File", kind="sf", place=1, top_ms=max(1, disks * 6 // 5)))


# ---- a lane


def _lane(lane: Lane, axis: Axis, sizes: _Sizes, y: float, graphs: Sequence[_Graph],
          cluster: float) -> List[str]:
    bar_y = y + sizes.marks
    found = [svglanes.name_of_lane(bar_y + sizes.bar / 2, lane.host.split(" ")[0], lane.address,
                                   lane.about, sizes.roomy)]
    for span in _thinned(lane.spans, axis, _COLUMN if sizes.roomy else 2 * _COLUMN):
        x = axis.x(span.from_ms)
        found.append(svglanes.bar(span.state, x, bar_y,
                                  max(0.8, round(axis.x(span.to_ms) - x, 1)), sizes.bar,
                                  _title(span)))
        words = [word for word in _words(span)
                 if svglanes.has_room(word, axis.x(span.to_ms) - x)]
        if sizes.roomy and words and span.state not in svglanes.THIN:
            found.append(svglanes.plate(x, bar_y + sizes.bar / 2, words[0]))
    if sizes.graph:
        for graph in graphs:
            top = bar_y + sizes.bar + sizes.gap + graph.place * (sizes.graph + sizes.gap)
            found += _graph(lane, axis, graph, round(top, 1), sizes)
    found += _marks(lane.marks, axis, bar_y, sizes, cluster)
    return found


def _words(span: Span) -> List[str]:
    """What may be written in a bar, the longest first."""
    return ["{} {}".format(span.state, _members(span)).strip(), span.state]


def _members(span: Span) -> str:
    """The liveset: digits, or of a large pool the indexes, or "all"."""
    return simwords.legible(span.liveset)


def _title(span: Span) -> str:
    return "{}{}{}\n{} to {}, {}".format(
        span.state, ", liveset " + _members(span) if span.liveset else "",
        "; " + span.more if span.more else "", history.stamp(span.from_ms),
        history.stamp(span.to_ms), length(span.to_ms - span.from_ms))


def _thinned(spans: Sequence[Span], axis: Axis, width: float) -> List[Span]:
    """Spans to be drawn: of those within one column the gravest, the others whole."""
    found = []  # type: List[Span]
    column = None  # type: Optional[int]
    for span in spans:
        begin, end = axis.x(span.from_ms), axis.x(span.to_ms)
        if end - begin >= width:
            found.append(span)
            column = None
            continue
        here = int(begin // width)
        if column == here and found:
            if _GRAVITY[span.state] < _GRAVITY[found[-1].state]:
                found[-1] = span
        else:
            found.append(span)
        column = here
    # The wide ones below: a moment in a column is seen on top of them.
    return sorted(found, key=lambda span: -(axis.x(span.to_ms) - axis.x(span.from_ms)))


# ---- marks


def _cluster(lanes: Sequence[Lane], axis: Axis) -> float:
    """How near, px, marks of one kind are one."""
    cluster = 5.0
    while cluster < WIDTH:
        count = sum(len({(_MARK_OF.get(mark.kind, "tick"), axis.x(mark.at_ms) // cluster)
                         for mark in lane.marks}) for lane in lanes)
        if count <= _MARKS_MAX:
            break
        cluster *= 2
    return cluster


def _marks(marks: Sequence[Mark], axis: Axis, y: float, sizes: _Sizes, cluster: float
           ) -> List[str]:
    groups = {}  # type: Dict[Tuple[int, int], List[Mark]]
    order = list(MARKS)
    for mark in marks:
        kind = _MARK_OF.get(mark.kind, "tick")
        groups.setdefault((order.index(kind), int(axis.x(mark.at_ms) // cluster)), []).append(mark)
    found = []
    for (rank, _), group in sorted(groups.items()):
        said = ["{} {}".format(history.stamp(mark.at_ms), mark.text[:_QUOTE])
                for mark in group[:_QUOTED]]
        if len(group) > _QUOTED:
            said.append("and {} more until {}".format(
                len(group) - _QUOTED, history.stamp(group[-1].at_ms)))
        found.append(mark_of(order[rank], axis.x(group[0].at_ms), y, sizes.marks,
                             "\n".join(said)))
    return found


def mark_of(kind: str, x: float, y: float, room: float, title: str) -> str:
    """A mark that stands on a bar; ``room`` is the height above it."""
    size = min(5.5, room / 2 - 0.5)
    if kind == "err":
        return svglanes.death(x, y - size - 2, size - 1.5, title)
    if kind == "warning":
        shape = "M{:g},{:g} l{:g},{:g} h-{:g} z".format(
            x, y - 2 * size - 2, size, 2 * size, 2 * size)
    elif kind == "boot":
        shape = "M{:g},{:g} v-{:g} h{:g} v{:g} h-{:g}".format(
            x, y + 2, 2 * size + 3, size * 1.6, size * 1.2, size * 1.6)
    elif kind == "begin":
        shape = "M{:g},{:g} v-{:g} l{:g},{:g} z".format(
            x, y - 1, 2 * size, size * 1.5, size)
    elif kind == "odd":
        shape = "M{:g},{:g} l{:g},{:g} l-{:g},{:g} l-{:g},-{:g} z".format(
            x, y - 2 * size - 1, size, size, size, size, size, size)
    else:
        shape = "M{:g},{:g} v-{:g}".format(x, y, size)
    return '<g class="m-{}"><title>{}</title><path d="{}"/></g>'.format(kind, escape(title), shape)


# ---- graphs


def _graph(lane: Lane, axis: Axis, graph: _Graph, top: float, sizes: _Sizes) -> List[str]:
    bottom = round(top + sizes.graph, 1)
    columns = {}  # type: Dict[int, Sample]
    for sample in lane.samples:
        for column in _columns(sample, axis):
            if column not in columns or _value(graph, sample) > _value(graph, columns[column]):
                columns[column] = sample
    found = ['<path class="base" d="M{:g},{:g} H{:g}"/>'.format(axis.left, bottom, axis.right)]
    if sizes.roomy:
        found.append(text(axis.left - 6, bottom, "graph-name", graph.name, "end"))
    limits = [(limit, _limit(graph, limit)) for limit in lane.limits]
    plain = _area(columns, graph, bottom, sizes.graph, 0)
    half_ms = min([value for _, value in limits if value] or [0]) // 2
    late = _area(columns, graph, bottom, sizes.graph, half_ms) if half_ms else ""
    if plain:
        found.append('<g class="g-{}"><title>{}</title><path d="{}"/>{}</g>'.format(
            graph.kind, escape(_peak(columns, graph)), plain,
            '<path class="late" d="{}"/>'.format(late) if late else ""))
    for limit, value in limits if plain and sizes.roomy else ():
        for part, kind in ((value / 2, "half"), (value, "whole")):
            begin, end = axis.x(limit.from_ms), axis.x(limit.to_ms)
            if value and end - begin >= 1:
                y = round(bottom - sizes.graph * part / graph.top_ms, 1)
                found.append('<path class="limit {}" d="M{:g},{:g} H{:g}"/>'.format(
                    kind, begin, y, end))
                if kind == "whole" and limit is lane.limits[-1]:
                    found.append(text(axis.right + 2, y + 3, "graph-name",
                                      "{:g} s".format(value / 1000)))
    return found


def _columns(sample: Sample, axis: Axis) -> range:
    first = int(axis.x(max(sample.from_ms, axis.from_ms)) // _COLUMN)
    return range(first, max(first, int((axis.x(sample.to_ms) - 0.01) // _COLUMN)) + 1)


def _value(graph: _Graph, sample: Sample) -> int:
    if graph.kind == "hb":
        return sample.silence_ms
    return max(sample.latency_ms, graph.top_ms if sample.failed else -1)


def _limit(graph: _Graph, limits: Limits) -> int:
    return limits.heartbeat_ms if graph.kind == "hb" else limits.statefile_ms


def _area(columns: Dict[int, Sample], graph: _Graph, bottom: float, height: float, above_ms: int
          ) -> str:
    """The area under the values above a limit: runs of columns that are next to each other."""
    parts = []  # type: List[str]
    before = None  # type: Optional[Tuple[int, float]]
    for column in sorted(columns):
        value = _value(graph, columns[column])
        if value < 0 or value < above_ms:
            continue
        y = round(bottom - max(0.6, height * min(1.0, value / graph.top_ms)), 1)
        if before is None or before[0] != column - 1:
            if before is not None:
                parts.append("H{:g} V{:g} z".format((before[0] + 1) * _COLUMN, bottom))
            parts.append("M{:g},{:g} V{:g}".format(column * _COLUMN, bottom, y))
        elif before[1] != y:
            parts.append("H{:g} V{:g}".format(column * _COLUMN, y))
        before = (column, y)
    if before is not None:
        parts.append("H{:g} V{:g} z".format((before[0] + 1) * _COLUMN, bottom))
    return " ".join(parts)


def _peak(columns: Dict[int, Sample], graph: _Graph) -> str:
    """The largest value in words."""
    largest = max(columns.values(), key=lambda sample: _value(graph, sample))
    failed = sum(sample.failed for sample in set(columns.values()))
    when = "until " + history.stamp(largest.to_ms)
    if graph.kind == "hb":
        return "longest silence: {} ms, of host {}, {}".format(
            largest.silence_ms, largest.silent, when)
    return "longest access to the State-File: {} ms, {}{}".format(
        max(sample.latency_ms for sample in columns.values()), when,
        "; {} failed".format(failed) if failed else "")


# ---- what lies over all lanes


def _cuts(axis: Axis, top: float, bottom: float) -> List[str]:
    found = []
    for piece in axis.pieces:
        if piece.cut:
            middle = (piece.left + piece.right) / 2
            took = length(piece.to_ms - piece.from_ms)
            found.append(
                '<g class="cut"><title>{}</title><rect x="{:g}" y="{:g}" width="{:g}" '
                'height="{:g}"/>{}</g>'.format(
                    escape("nothing recorded for {}: {} to {}".format(
                        took, history.stamp(piece.from_ms), history.stamp(piece.to_ms))),
                    piece.left, top - 4, piece.right - piece.left, bottom - top + 8,
                    text(middle, top + 12, "cut-text", took.split(" ")[0] + " " +
                         took.split(" ")[1], "middle")))
    return found


def _bands(axis: Axis, bands: Sequence[Band], top: float, bottom: float) -> List[str]:
    found = []
    for band in bands:
        begin, end = axis.x(band.from_ms), axis.x(band.to_ms)
        width = max(2.0, end - begin)
        found.append(
            '<g class="band"><title>close-up {}</title><rect x="{:g}" y="{:g}" width="{:g}" '
            'height="{:g}"/>{}</g>'.format(
                band.number, begin, top - 22, width, bottom - top + 26,
                text(begin + width / 2, bottom + 34, "band-text", str(band.number), "middle")))
    return found
