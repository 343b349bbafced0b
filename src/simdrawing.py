"""The drawing of an outcome: a lane for each host, as the elements of one SVG picture.

Colours, fonts and line widths are those of the page's style sheet (``simpage``), by class;
what a colour says, a hatching, a shape or a word says too.
"""

from html import escape
from typing import List, NamedTuple, Sequence, Tuple

from xha import simcause, simwords, svglanes
from xha.published import NEVER
from xha.records import record
from xha.simoutcome import DEATHS, STATES, Deed, Fate, Outcome, Span
from xha.simscript import letter
from xha.svglanes import CHARACTER, RIGHT, WIDTH, death, slug, text

#: No more ticks than this on the time axis; their distance is one of these, s.
_TICKS_MAX = 14
_STEPS_S = (0.1, 0.2, 0.5, 1, 2, 5, 10, 15, 20, 30, 60, 120, 300, 600, 1800, 3600, 7200, 14400)

# What was done is written in so many rows at most, of so many px, and characters a line.
_DEED_ROWS_MAX = 10
_DEED_ROW = 20
_DEED_TEXT_MAX = 60


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
        span = WIDTH - RIGHT - self.left
        return round(self.left + span * at_ms / max(1, self.outcome.lasted_ms), 1)

    def lane(self, host: int) -> float:
        """The top of a host's bar."""
        return round(self.top + self.pitch * host + (self.pitch - self.bar) / 2, 1)

    @property
    def bottom(self) -> float:
        """The end of the last lane."""
        return self.top + self.pitch * len(self.outcome.fates)


def draw(outcome: Outcome) -> str:
    """The SVG element."""
    count = len(outcome.fates)
    pitch, bar = ((50, 28) if count <= 4 else (40, 24) if count <= 10 else (28, 18)
                  if count <= 20 else (16, 11))
    left = svglanes.room_for([fate.address for fate in outcome.fates])
    deeds = [deed for deed in outcome.deeds if deed.kind != "time"]
    frame = _Frame(outcome=outcome, left=left, top=0, pitch=pitch, bar=bar, roomy=pitch >= 28)
    flags, rows = _flags(frame, deeds)
    frame = frame._replace(top=rows * _DEED_ROW + 34)
    grid, ticks = _axis(frame)
    parts = [svglanes.patterns([slug(state) for state in STATES])] + grid
    for fate in outcome.fates:
        parts += _lane(frame, fate)
    parts += _deed_lines(frame, deeds, flags) + ticks + _labels(frame) + _marks(frame)
    parts.append('<g class="cursor"><path d="M0,{:g} V{:g}"/><text y="{:g}"></text></g>'.format(
        frame.top - 6, frame.bottom, frame.bottom + 34))
    return ('<svg viewBox="0 0 {} {:g}" role="img" aria-label="Timeline of the pool" '
            'data-left="{:g}" data-right="{:g}" data-ms="{}">{}</svg>').format(
                WIDTH, frame.bottom + 40, left, WIDTH - RIGHT, outcome.lasted_ms,
                "\n".join(parts))


def _axis(frame: _Frame) -> Tuple[List[str], List[str]]:
    """The lines of the time axis, and its numbers."""
    lasted_s = frame.outcome.lasted_ms / 1000
    step_s = [step for step in _STEPS_S if lasted_s / step <= _TICKS_MAX or step == _STEPS_S[-1]][0]
    ticks = []  # type: List[Tuple[float, str]]
    for number in range(int(lasted_s / step_s + 1e-6) + 1):
        ticks.append((frame.x(int(round(number * step_s * 1000))),
                      "{:g}".format(number * step_s) + (" s" if number == 0 else "")))
    return svglanes.axis(ticks, frame.top, frame.bottom)


# ---- what was done


def _flags(frame: _Frame, deeds: Sequence[Deed]) -> Tuple[List[Tuple[int, bool]], int]:
    """For each deed its row (-1: no room for words) and whether it is written to the left."""
    ends = []  # type: List[float]
    flags = []  # type: List[Tuple[int, bool]]
    for deed in deeds:
        room = 22 + CHARACTER * len(_said(deed))
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
    said = simwords.deed_text(deed.text)
    if len(said) > _DEED_TEXT_MAX:
        said = said[:_DEED_TEXT_MAX - 3] + "..."
    return said


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
            parts.append(text(x, y + 3.5, "number", str(number), "middle"))
            parts.append(text(x - 13 if leftwards else x + 13, y + 4, "said",
                               _said(deed), "end" if leftwards else "start"))
        found.append('<g class="{}">{}</g>'.format(kind, "".join(parts)))
    return found


# ---- a host


def _lane(frame: _Frame, fate: Fate) -> List[str]:
    y = frame.lane(fate.host)
    middle = y + frame.bar / 2
    found = [svglanes.name_of_lane(
        middle, letter(fate.host), fate.address,
        "{} {} {}".format(fate.name, fate.address, fate.uuid), frame.roomy)]
    if fate.host % 2 == 0:
        found.insert(0, svglanes.stripe(frame.top + frame.pitch * fate.host, frame.pitch))
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
    x = frame.x(span.from_ms)
    liveset = simwords.legible(span.liveset)
    return svglanes.bar(
        span.state, x, y, max(0.8, round(frame.x(span.to_ms) - x, 1)), frame.bar,
        "{}{}, {} to {} s".format(
            span.state, ", liveset ({})".format(liveset) if liveset else "",
            simwords.seconds(span.from_ms), simwords.seconds(span.to_ms)))


def _labels(frame: _Frame) -> List[str]:
    """The words in the bars, where there is room for them."""
    found = []  # type: List[str]
    for fate in frame.outcome.fates if frame.roomy else ():
        middle = frame.lane(fate.host) + frame.bar / 2
        for span in _merged(frame.outcome.spans, fate.host):
            x = frame.x(span.from_ms)
            liveset = simwords.legible(span.liveset)
            label = [words for words in ("{} {}".format(span.state, liveset).strip(), span.state)
                     if svglanes.has_room(words, frame.x(span.to_ms) - x)]
            if label and span.state not in svglanes.THIN:
                found.append(svglanes.plate(x, middle, label[0]))
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
    said = "VMs after {} s".format(simwords.seconds(fate.restart_after_ms))
    shapes = '<path d="M{:g},{:g} v-2 v4 v-2 H{:g} v-2 v4"/>'.format(x, y, end)
    if frame.roomy:
        room = len(said) * CHARACTER + 12
        right = end + room < WIDTH
        shapes += text(end + 10 if right else end - 10, y - frame.bar / 2 - 8, "outage-text",
                       said, "start" if right else "end")
    return ['<g class="outage"><title>{}</title>{}</g>'.format(escape(
        "{}: {} {}".format(letter(fate.host), said, "from " + simcause.noun_of(deed.text))),
        shapes)]


def dropped(x: float, y: float, size: float, title: str) -> str:
    """The mark of a host's leaving the survivors' liveset."""
    return ('<g class="drop"><title>{}</title><path d="M{:g},{:g} h{:g} l-{:g},{:g} z"/>'
            '</g>').format(escape(title), x - size, y - size * 0.8, 2 * size, size, size * 1.7)
