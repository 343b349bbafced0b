"""The drawing of an outcome: a lane for each host, as the elements of one SVG picture.

Colours, fonts and line widths are those of the page's style sheet (``simpage``), by class;
what a colour says, a hatching, a shape or a word says too.
"""

from html import escape
from typing import List, NamedTuple, Sequence, Tuple

from xha import simcause, simwords
from xha.published import NEVER
from xha.records import record
from xha.simoutcome import DEATHS, Deed, Fate, Outcome, Span
from xha.simscript import letter

#: The picture's width, and the room right of the time axis; its units are px at full size.
WIDTH = 1120
_RIGHT = 26

#: No more ticks than this on the time axis; their distance is one of these, s.
_TICKS_MAX = 14
_STEPS_S = (0.1, 0.2, 0.5, 1, 2, 5, 10, 15, 20, 30, 60, 120, 300, 600, 1800, 3600, 7200, 14400)

# What was done is written in so many rows at most, of so many px, and characters a line.
_DEED_ROWS_MAX = 10
_DEED_ROW = 20
_DEED_TEXT_MAX = 60
# The usual width of a character of small and of lane text, px.
_CHARACTER = 6.3

# States that are drawn as a line: nothing runs that could be reset.
_THIN = ("down", "no daemon")

#: Fill patterns, for who cannot tell the colours: (state, what is drawn in a tile of 8 by 8).
PATTERNS = (
    ("fault-handling", '<path d="M-2,2 l4,-4 M0,8 l8,-8 M6,10 l4,-4"/>'),
    ("rule-2", '<circle cx="2" cy="2" r="1.1"/><circle cx="6" cy="6" r="1.1"/>'),
    ("disarmed", '<path d="M2,0 v8 M6,0 v8"/>'),
    ("starting", '<path d="M0,2 h8 M0,6 h8"/>'),
    ("frozen", '<path d="M0,0 l8,8 M0,8 l8,-8"/>'),
    ("doomed", '<path d="M-2,6 l4,4 M0,0 l8,8 M6,-2 l4,4"/>'),
)


@record
class _Frame(NamedTuple):
    """Where things are."""

    outcome: Outcome
    # Left end of the time axis, top of the first lane, distance of lanes, height of a bar.
    left: float
    top: float
    pitch: float
    bar: float
    # Lanes are high enough for words.
    roomy: bool

    def x(self, at_ms: int) -> float:
        """Where an instant is."""
        span = WIDTH - _RIGHT - self.left
        return round(self.left + span * at_ms / max(1, self.outcome.lasted_ms), 1)

    def lane(self, host: int) -> float:
        """The top of a host's bar."""
        return round(self.top + self.pitch * host + (self.pitch - self.bar) / 2, 1)

    @property
    def bottom(self) -> float:
        """The end of the last lane."""
        return self.top + self.pitch * len(self.outcome.fates)


def slug(state: str) -> str:
    """The class of a state."""
    return state.replace(" ", "-")


def draw(outcome: Outcome) -> str:
    """The SVG element."""
    count = len(outcome.fates)
    pitch, bar = ((50, 28) if count <= 4 else (40, 24) if count <= 10 else (28, 18)
                  if count <= 20 else (16, 11))
    longest = max(len(fate.address) for fate in outcome.fates)
    left = 66 + _CHARACTER * min(longest, 28)
    deeds = [deed for deed in outcome.deeds if deed.kind != "time"]
    frame = _Frame(outcome=outcome, left=left, top=0, pitch=pitch, bar=bar, roomy=pitch >= 28)
    flags, rows = _flags(frame, deeds)
    frame = frame._replace(top=rows * _DEED_ROW + 34)
    grid, ticks = _axis(frame)
    parts = [_patterns()] + grid
    for fate in outcome.fates:
        parts += _lane(frame, fate)
    parts += _deed_lines(frame, deeds, flags) + ticks + _labels(frame) + _marks(frame)
    parts.append('<g class="cursor"><path d="M0,{:g} V{:g}"/><text y="{:g}"></text></g>'.format(
        frame.top - 6, frame.bottom, frame.bottom + 34))
    return ('<svg viewBox="0 0 {} {:g}" role="img" aria-label="Timeline of the pool" '
            'data-left="{:g}" data-right="{:g}" data-ms="{}">{}</svg>').format(
                WIDTH, frame.bottom + 40, left, WIDTH - _RIGHT, outcome.lasted_ms,
                "\n".join(parts))


def _patterns() -> str:
    return "<defs>{}</defs>".format("".join(
        '<pattern id="p-{}" class="pattern" width="8" height="8" '
        'patternUnits="userSpaceOnUse">{}</pattern>'.format(name, what)
        for name, what in PATTERNS))


def _text(x: float, y: float, kind: str, text: str, anchor: str = "start") -> str:
    return '<text x="{:g}" y="{:g}" class="{}" text-anchor="{}">{}</text>'.format(
        x, y, kind, anchor, escape(text))


def _axis(frame: _Frame) -> Tuple[List[str], List[str]]:
    """The lines of the time axis, and its numbers."""
    lasted_s = frame.outcome.lasted_ms / 1000
    step_s = [step for step in _STEPS_S if lasted_s / step <= _TICKS_MAX or step == _STEPS_S[-1]][0]
    grid, ticks = [], []  # type: List[str], List[str]
    for number in range(int(lasted_s / step_s + 1e-6) + 1):
        x = frame.x(int(round(number * step_s * 1000)))
        grid.append('<path class="grid" d="M{:g},{:g} V{:g}"/>'.format(
            x, frame.top - 4, frame.bottom + 4))
        shown = "{:g}".format(number * step_s) + (" s" if number == 0 else "")
        ticks.append(_text(x, frame.top - 10, "tick", shown, "middle"))
        ticks.append(_text(x, frame.bottom + 18, "tick", shown, "middle"))
    return grid, ticks


# ---- what was done


def _flags(frame: _Frame, deeds: Sequence[Deed]) -> Tuple[List[Tuple[int, bool]], int]:
    """For each deed its row (-1: no room for words) and whether it is written to the left."""
    ends = []  # type: List[float]
    flags = []  # type: List[Tuple[int, bool]]
    for deed in deeds:
        room = 22 + _CHARACTER * len(_said(deed))
        x = frame.x(deed.at_ms)
        leftwards = x + room > WIDTH
        first, last = (x - room, x + 12) if leftwards else (x - 10, x + room)
        fits = [row for row, end in enumerate(ends) if end <= first]
        if not fits and len(ends) < _DEED_ROWS_MAX:
            ends.append(0.0)
            fits = [len(ends) - 1]
        if fits:
            ends[fits[0]] = last
        flags.append((fits[0] if fits else -1, leftwards))
    return flags, len(ends)


def _said(deed: Deed) -> str:
    text = simwords.deed_text(deed.text)
    if len(text) > _DEED_TEXT_MAX:
        text = text[:_DEED_TEXT_MAX - 3] + "..."
    return text


def _deed_lines(frame: _Frame, deeds: Sequence[Deed],
                flags: Sequence[Tuple[int, bool]]) -> List[str]:
    found = []  # type: List[str]
    for number, (deed, (row, leftwards)) in enumerate(zip(deeds, flags), 1):
        x, y = frame.x(deed.at_ms), max(row, 0) * _DEED_ROW + 11
        kind = "deed " + deed.kind
        parts = ["<title>{}</title>".format(escape("{} s: {}".format(
            simwords.seconds(deed.at_ms), simwords.deed_text(deed.text)))),
            '<path d="M{:g},{:g} V{:g}"/>'.format(x, y, frame.bottom)]
        if row >= 0:
            parts.append('<circle cx="{:g}" cy="{:g}" r="8"/>'.format(x, y))
            parts.append(_text(x, y + 3.5, "number", str(number), "middle"))
            parts.append(_text(x - 13 if leftwards else x + 13, y + 4, "said",
                               _said(deed), "end" if leftwards else "start"))
        found.append('<g class="{}">{}</g>'.format(kind, "".join(parts)))
    return found


# ---- a host


def _lane(frame: _Frame, fate: Fate) -> List[str]:
    y = frame.lane(fate.host)
    middle = y + frame.bar / 2
    address = fate.address if len(fate.address) <= 28 else fate.address[:25] + "..."
    size = "lane" if frame.roomy else "lane small"
    found = ['<g class="{}"><title>{}</title>{}{}</g>'.format(
        size, escape("{} {} {}".format(fate.name, fate.address, fate.uuid)),
        _text(34, middle + 4, "letter", letter(fate.host), "end"),
        _text(44, middle + 4, "address", address))]
    if fate.host % 2 == 0:
        found.insert(0, '<rect class="stripe" x="0" y="{:g}" width="{}" height="{:g}"/>'.format(
            frame.top + frame.pitch * fate.host, WIDTH, frame.pitch))
    for span in _merged(frame.outcome.spans, fate.host):
        found.append(_bar(frame, span, y))
    for host, from_ms, to_ms in simwords.master_spans(frame.outcome):
        if host == fate.host:
            x = frame.x(from_ms)
            found.append('<g class="master"><title>holds the master lock from {} to {} s</title>'
                         '<rect x="{:g}" y="{:g}" width="{:g}" height="4"/>{}</g>'.format(
                             simwords.seconds(from_ms), simwords.seconds(to_ms), x, y - 3,
                             max(1.0, round(frame.x(to_ms) - x, 1)), _star(x, y - 1)))
    return found


def _merged(spans: Sequence[Span], host: int) -> List[Span]:
    """The spans of a host, those that differ in the master lock alone as one."""
    found = []  # type: List[Span]
    for span in spans:
        if span.host != host:
            continue
        if found and found[-1].state == span.state and found[-1].liveset == span.liveset:
            found[-1] = found[-1]._replace(to_ms=span.to_ms)
        else:
            found.append(span)
    return found


def _bar(frame: _Frame, span: Span, y: float) -> str:
    x, name = frame.x(span.from_ms), slug(span.state)
    width = max(0.8, round(frame.x(span.to_ms) - x, 1))
    liveset = simwords.legible(span.liveset)
    title = "{}{}, {} to {} s".format(
        span.state, ", liveset ({})".format(liveset) if liveset else "",
        simwords.seconds(span.from_ms), simwords.seconds(span.to_ms))
    down = span.state in _THIN
    place = 'x="{:g}" y="{:g}" width="{:g}" height="{:g}"'.format(
        x, y + (frame.bar / 2 - 1.5 if down else 0), width, 3 if down else frame.bar)
    shapes = '<rect class="fill" {}/>'.format(place)
    if name in [state for state, _ in PATTERNS]:
        shapes += '<rect {} fill="url(#p-{})"/>'.format(place, name)
    return '<g class="s-{}"><title>{}</title>{}</g>'.format(name, escape(title), shapes)


def _labels(frame: _Frame) -> List[str]:
    """The words in the bars, where there is room for them."""
    found = []  # type: List[str]
    for fate in frame.outcome.fates if frame.roomy else ():
        middle = frame.lane(fate.host) + frame.bar / 2
        for span in _merged(frame.outcome.spans, fate.host):
            x = frame.x(span.from_ms)
            liveset = simwords.legible(span.liveset)
            label = [words for words in ("{} {}".format(span.state, liveset).strip(), span.state)
                     if len(words) * 6.6 + 14 < frame.x(span.to_ms) - x]
            if label and span.state not in _THIN:
                found.append('<rect class="plate" x="{:g}" y="{:g}" width="{:g}" height="15" '
                             'rx="3"/>'.format(x + 5, middle - 7.5, len(label[0]) * 6 + 8))
                found.append(_text(x + 9, middle + 4, "state", label[0]))
    return found


# ---- what became of it


def _star(x: float, y: float) -> str:
    return ('<path class="star" transform="translate({:g},{:g})" d="M0,-8 L2.1,-2.7 L7.6,-2.5 '
            'L3.3,1 L4.7,6.5 L0,3.4 L-4.7,6.5 L-3.3,1 L-7.6,-2.5 L-2.1,-2.7 Z"/>').format(x, y)


def _marks(frame: _Frame) -> List[str]:
    found = []  # type: List[str]
    for moment in frame.outcome.moments:
        if moment.kind in DEATHS:
            for host in moment.hosts:
                found.append(death(frame.x(moment.at_ms), frame.lane(host) + frame.bar / 2,
                                   6 if frame.roomy else 4, "{}: {} {} at {} s".format(
                                       letter(host), moment.kind, simwords.plain(moment.text),
                                       simwords.seconds(moment.at_ms))))
    for drop in frame.outcome.drops:
        x, y = frame.x(drop.last_ms), frame.lane(drop.host) + frame.bar / 2
        found.append(dropped(x, y, 6 if frame.roomy else 4, "{} is dropped by {} at {} s".format(
            letter(drop.host), simwords.names(drop.by), simwords.seconds(drop.last_ms))))
    for fate in frame.outcome.fates:
        found += _outage(frame, fate)
    return found


def _outage(frame: _Frame, fate: Fate) -> List[str]:
    """From the fault until the host's VMs could be restarted."""
    if fate.restart_after_ms == NEVER or fate.cause == NEVER:
        return []
    deed = frame.outcome.deeds[fate.cause]
    x, end = frame.x(deed.at_ms), frame.x(fate.last_dropped_at_ms)
    y = frame.lane(fate.host) + frame.bar + (4 if frame.roomy else 1.5)
    text = "VMs after {} s".format(simwords.seconds(fate.restart_after_ms))
    shapes = '<path d="M{:g},{:g} v-2 v4 v-2 H{:g} v-2 v4"/>'.format(x, y, end)
    if frame.roomy:
        room = len(text) * _CHARACTER + 12
        right = end + room < WIDTH
        shapes += _text(end + 10 if right else end - 10, y - frame.bar / 2 - 8, "outage-text",
                        text, "start" if right else "end")
    return ['<g class="outage"><title>{}</title>{}</g>'.format(escape(
        "{}: {} {}".format(letter(fate.host), text, "from " + simcause.noun_of(deed.text))),
        shapes)]


def death(x: float, y: float, size: float, title: str) -> str:
    """The mark of a host's end."""
    return ('<g class="death"><title>{}</title><circle cx="{:g}" cy="{:g}" r="{:g}"/>'
            '<path d="M{:g},{:g} l{:g},{:g} m0,-{:g} l-{:g},{:g}"/></g>').format(
                escape(title), x, y, size + 2, x - size / 2, y - size / 2, size, size, size, size,
                size)


def dropped(x: float, y: float, size: float, title: str) -> str:
    """The mark of a host's leaving the survivors' liveset."""
    return ('<g class="drop"><title>{}</title><path d="M{:g},{:g} h{:g} l-{:g},{:g} z"/>'
            '</g>').format(escape(title), x - size, y - size * 0.8, 2 * size, size, size * 1.7)
