"""A history as one self-contained HTML page: an overview, close-ups, and tables.

Theory of operation
===================

The overview shows all of it; where something went wrong, a close-up shows
seconds.  A close-up is of a cluster of warnings, errors, fault handling and
boots, nothing of which is further than ``_NEAR_MS`` from the next; of those
there are ``CLOSE_UPS_MAX``, the gravest.

The page needs no script and refers to nothing outside itself.  It stays
small, whatever was recorded: drawings thin out (``historydrawing``), and the
table has ``ROWS_MAX`` lines, those of the gravest levels first; what it
leaves out it says.  Source: spec 9.
"""

from typing import List, NamedTuple, Sequence

from xha import catalogue, history, historydrawing, htmlpage, svglanes
from xha.history import Line, Source
from xha.historyaxis import Axis, length
from xha.historydrawing import Band
from xha.historylanes import STATES, Lane, lanes
from xha.historystyle import STYLE
from xha.htmlpage import key, safe
from xha.records import record
from xha.svglanes import RIGHT, WIDTH

#: Lines in the table at most.
ROWS_MAX = 3000
#: Close-ups at most.
CLOSE_UPS_MAX = 5
_NEAR_MS = 60000
#: The least that a close-up shows, ms; it is of less than this part of the whole, in 1/100.
_CLOSE_MS = 30000
_CLOSE_PERCENT = 50

#: Which lines stay when there are too many, the first the longest; and how much each counts.
_WEIGHTS = {"boot": 20, "err": 10, "lost": 5, "clock": 5, "warning": 3}
_ORDER = ("boot", "err", "begin", "lost", "clock", "warning", "notice", "state", "info", "debug")

_MARKS = {
    "err": ("error", "a human must act"),
    "warning": ("warning", "redundancy is gone"),
    "boot": ("booted anew", "the machine was booted since the record before"),
    "begin": ("daemon began", "in the same boot, or the first that is known"),
    "odd": ("clock, lost", "the clock was set, or records were lost"),
    "tick": ("notice", "and messages of lower levels"),
}


@record
class _Cluster(NamedTuple):
    """A time in which much went wrong."""

    from_ms: int
    to_ms: int
    weight: int


def as_page(sources: Sequence[Source], lines: Sequence[Line], since_ms: int = 0,
            until_ms: int = history.DATES_END_MS) -> str:
    """The page, ASCII; a line feed at its end.

    Args:
        lines: the whole history of these recorders, measurements too.
        since_ms: only what was from then on is shown,
        until_ms: and up to then.
    """
    drawn = lanes(sources, lines)
    shown = [line for line in lines
             if history.is_date(line.wall_ms) and since_ms <= line.wall_ms <= until_ms]
    times = [line.wall_ms for line in shown]
    left, right = historydrawing.left_of(drawn), WIDTH - RIGHT
    axis = Axis(times, left, right)
    clusters = _clusters(shown)
    bands = [Band(from_ms=one.from_ms, to_ms=one.to_ms, number=number)
             for number, one in enumerate(clusters, 1)]
    parts = ["<header>", "<h1>Timeline</h1>", _summary(drawn, shown), _chips(sources, shown),
             "</header>", htmlpage.drawing(historydrawing.draw(
                 drawn, axis, "Overview of the pool", bands)), _legend(drawn)]
    for band in bands:
        parts += ["<h2>Close-up {}: {} to {}</h2>".format(
            band.number, history.stamp(band.from_ms)[:19].replace("T", " "),
            history.stamp(band.to_ms)[11:19]),
            htmlpage.drawing(historydrawing.draw(
                drawn, Axis((band.from_ms, band.to_ms), left, right, cuts=False),
                "Close-up {}".format(band.number)))]
    parts += [_happened(shown), _recorders(sources), _footer(lines)]
    return htmlpage.page("Timeline of {}".format(_whose(drawn)), parts, STYLE)


def _whose(drawn: Sequence[Lane]) -> str:
    if len(drawn) == 1:
        return "host {} ({})".format(drawn[0].host, drawn[0].address)
    return "{} hosts".format(len(drawn))


def _kind(line: Line) -> str:
    """Of ``_ORDER``."""
    if line.kind == "begin":
        return "boot" if dict(line.fields).get("booted_anew") else "begin"
    if line.kind == "event":
        return line.level if line.level in _ORDER else "info"
    return line.kind if line.kind in _ORDER else "debug"


def _summary(drawn: Sequence[Lane], shown: Sequence[Line]) -> str:
    if not shown:
        return '<p class="sum">Nothing was recorded in that time.</p>'
    kinds = [_kind(line) for line in shown]
    counts = [_plural(kinds.count(kind), words) for kind, words in (
        ("boot", "boot"), ("err", "error"), ("warning", "warning")) if kinds.count(kind)]
    first = min(line.wall_ms for line in shown)
    last = max(line.wall_ms for line in shown)
    return '<p class="sum">{}</p>'.format(safe("{}, {} until {} UTC: {}.".format(
        _whose(drawn)[:1].upper() + _whose(drawn)[1:], length(last - first),
        history.stamp(last)[:19].replace("T", " "),
        ", ".join(counts) or "no error, no warning, no boot")))


def _plural(count: int, word: str) -> str:
    return "{} {}{}".format(count, word, "" if count == 1 else "s")


def _chips(sources: Sequence[Source], shown: Sequence[Line]) -> str:
    measures = sum(line.kind == "measure" for line in shown)
    rows = [("recorders", str(len(sources))), ("events", str(len(shown) - measures)),
            ("measurements", str(measures))]
    if shown:
        rows.insert(0, ("from", history.stamp(min(line.wall_ms for line in shown))))
        rows.insert(1, ("to", history.stamp(max(line.wall_ms for line in shown))))
    return htmlpage.chips(rows)


def _clusters(shown: Sequence[Line]) -> List[_Cluster]:
    """What deserves a close-up, in the order of time."""
    found = []  # type: List[_Cluster]
    for line in shown:
        weight = _weight_of(line)
        if line.kind == "measure" or not weight:
            continue
        at_ms = line.wall_ms
        if found and at_ms - found[-1].to_ms <= _NEAR_MS:
            found[-1] = found[-1]._replace(to_ms=max(at_ms, found[-1].to_ms),
                                           weight=found[-1].weight + weight)
        elif weight > 1:
            found.append(_Cluster(from_ms=at_ms, to_ms=at_ms, weight=weight))
    whole_ms = max(line.wall_ms for line in shown) - min(
        line.wall_ms for line in shown) if shown else 0
    wide = [_padded(one) for one in found if one.weight >= 6]
    near = [one for one in wide if (one.to_ms - one.from_ms) * 100 < whole_ms * _CLOSE_PERCENT]
    near = sorted(near, key=lambda one: (-one.weight, one.from_ms))[:CLOSE_UPS_MAX]
    return sorted(near, key=lambda one: one.from_ms)


def _weight_of(line: Line) -> int:
    """How grave a line is; what only belongs to a close-up that is begun has 1."""
    if line.kind == "state":
        fields = dict(line.fields)
        if str(fields.get("phase", "")).startswith("FH"):
            return 3
        return 1 if "liveset" in fields else 0
    return _WEIGHTS.get(_kind(line), 0)


def _padded(one: _Cluster) -> _Cluster:
    pad_ms = max((one.to_ms - one.from_ms) // 10, 2000,
                 (_CLOSE_MS - one.to_ms + one.from_ms) // 2)
    return one._replace(from_ms=max(0, one.from_ms - pad_ms), to_ms=one.to_ms + pad_ms)


# ---- the legend


def _legend(drawn: Sequence[Lane]) -> str:
    states = {span.state for lane in drawn for span in lane.spans}
    items = [key(svglanes.sample(state), state, meaning)
             for state, meaning in STATES.items() if state in states]
    kinds = {mark.kind for lane in drawn for mark in lane.marks}
    for kind, (name, meaning) in _MARKS.items():
        if kinds & set(historydrawing.MARKS[kind]):
            items.append(key(historydrawing.mark_of(kind, 17, 14, 12, ""), name, meaning))
    if any(lane.samples for lane in drawn):
        items.append(key('<g class="g-hb"><path d="M3,14 V10 H9 V7 H15 V11 H31 V14 z"/></g>',
                         "silence", "the longest between two heartbeats of a host of the liveset"))
        items.append(key('<g class="g-sf"><path d="M3,14 V12 H15 V6 H19 V12 H31 V14 z"/></g>',
                         "State-File", "the longest access; as high as it gets: one failed"))
    if any(one.heartbeat_ms for lane in drawn for one in lane.limits):
        items.append(key('<path class="limit whole" d="M3,4 H31"/><path class="limit half" '
                         'd="M3,10 H31"/>', "time-out, half", "above half, the graph is dark"))
    return htmlpage.legend(items)


# ---- the tables


def _happened(shown: Sequence[Line]) -> str:
    told = [line for line in shown if line.kind != "measure"]
    kept = _kept(told)
    rows = []  # type: List[str]
    day = ""
    for line in kept:
        stamp = history.stamp(line.wall_ms)
        if stamp[:10] != day:
            day = stamp[:10]
            rows.append('<tr class="day"><td colspan="4">{}</td></tr>'.format(safe(day)))
        kind = _kind(line)
        shape = "death" if kind in ("err", "boot") else kind
        name = " <code>{}</code>".format(safe(catalogue.phrase(line.name))) if line.name else ""
        rows.append('<tr class="k-{}"><td class="n">{}</td><td>{}</td><td><span class="kind">{}'
                    "</span></td><td>{}{}</td></tr>".format(
                        shape, safe(stamp[11:]), safe(line.host), safe(kind), safe(line.text),
                        name))
    note = ""
    if len(kept) < len(told):
        note = ('<p class="note">{} of {} lines are shown, the gravest and of those the newest; '
                "--since and --until show all of a shorter time, and the text form all of it.</p>"
                ).format(len(kept), len(told))
    return "<section><h2>What happened</h2>{}{}</section>".format(
        note, htmlpage.table("happened", ("UTC", "host", "", "what"), rows))


def _kept(told: Sequence[Line]) -> List[Line]:
    """The lines that have room in the table, in their order."""
    if len(told) <= ROWS_MAX:
        return list(told)
    ranked = sorted(range(len(told)), key=lambda place: (
        _ORDER.index(_kind(told[place])), -place))[:ROWS_MAX]
    return [told[place] for place in sorted(ranked)]


def _recorders(sources: Sequence[Source]) -> str:
    names = history.host_names(sources)
    rows = []
    for source in sources:
        header = source.recording.header
        cells = (catalogue.phrase(source.path), catalogue.phrase(header.machine),
                 catalogue.phrase(header.software), history.stamp(header.wall_ms),
                 "{} / {}".format(_seconds(header.heartbeat_timeout_ms),
                                  _seconds(header.statefile_timeout_ms)))
        rows.append('<tr><th scope="row">{}</th>{}<td class="n">{}</td><td class="n">{}</td>'
                    "</tr>".format(safe(history.name_of(header, names)),
                                   "".join("<td>{}</td>".format(safe(cell)) for cell in cells),
                                   len(source.recording.entries), source.recording.damaged))
    return "<section><h2>The recorders</h2>{}</section>".format(htmlpage.table(
        "recorders", ("host", "file", "machine", "daemon", "from", "T1 / T2", "records",
                      "damaged"), rows))


def _seconds(ms: int) -> str:
    return "{:g} s".format(ms / 1000) if ms else "?"


def _footer(lines: Sequence[Line]) -> str:
    undated = sum(not history.is_date(line.wall_ms) for line in lines)
    return "<footer>{}Times are UTC, of each host's own clock. A dotted band across the lanes " \
        "stands for a time in which no host recorded anything; a number under them, for a " \
        "close-up.</footer>".format(
            "{} lines have no date, and are left out. ".format(undated) if undated else "")
