"""What drawings of a pool's history have in common: a lane for each host, as SVG.

Colours, fonts and line widths are those of a page's style sheet (``htmlstyle``),
by class; what a colour says, a hatching, a shape or a word says too.
"""

from html import escape
from typing import List, Sequence, Tuple

#: A picture's width, and the room right of the time axis; its units are px at full size.
WIDTH = 1120
RIGHT = 26
#: The usual width of a character of small and of lane text, px.
CHARACTER = 6.3
#: Characters of a host's address that have room.
ADDRESS_MAX = 28

#: States that are drawn as a line: nothing runs that could be reset, or nobody knows.
THIN = ("down", "no daemon", "nothing recorded")

#: Fill patterns, for who cannot tell the colours: (state, what is drawn in a tile of 8 by 8).
PATTERNS = (
    ("fault-handling", '<path d="M-2,2 l4,-4 M0,8 l8,-8 M6,10 l4,-4"/>'),
    ("rule-2", '<circle cx="2" cy="2" r="1.1"/><circle cx="6" cy="6" r="1.1"/>'),
    ("disarmed", '<path d="M2,0 v8 M6,0 v8"/>'),
    ("starting", '<path d="M0,2 h8 M0,6 h8"/>'),
    ("frozen", '<path d="M0,0 l8,8 M0,8 l8,-8"/>'),
    ("doomed", '<path d="M-2,6 l4,4 M0,0 l8,8 M6,-2 l4,4"/>'),
    ("excluded", '<path d="M2,0 v5 M6,3 v5"/>'),
    ("aborted", '<path d="M0,0 l8,8 M0,8 l8,-8"/>'),
)


def slug(state: str) -> str:
    """The class of a state."""
    return state.replace(" ", "-")


def patterns(states: Sequence[str]) -> str:
    """The definitions of the hatchings of these states, by their classes."""
    return "<defs>{}</defs>".format("".join(
        '<pattern id="p-{}" class="pattern" width="8" height="8" '
        'patternUnits="userSpaceOnUse">{}</pattern>'.format(name, what)
        for name, what in PATTERNS if name in states))


def text(x: float, y: float, kind: str, words: str, anchor: str = "start") -> str:
    """A line of text."""
    return '<text x="{:g}" y="{:g}" class="{}" text-anchor="{}">{}</text>'.format(
        x, y, kind, anchor, escape(words))


def room_for(addresses: Sequence[str]) -> float:
    """Where the time axis begins, beside names of hosts like these."""
    return 66 + CHARACTER * min(max(len(address) for address in addresses), ADDRESS_MAX)


def axis(ticks: Sequence[Tuple[float, str]], top: float, bottom: float
         ) -> Tuple[List[str], List[str]]:
    """The lines of a time axis, and its words: (where, what is written there)."""
    grid, words = [], []  # type: List[str], List[str]
    for x, shown in ticks:
        grid.append('<path class="grid" d="M{:g},{:g} V{:g}"/>'.format(x, top - 4, bottom + 4))
        words.append(text(x, top - 10, "tick", shown, "middle"))
        words.append(text(x, bottom + 18, "tick", shown, "middle"))
    return grid, words


def name_of_lane(middle: float, letter: str, address: str, title: str, roomy: bool) -> str:
    """Whose lane it is, left of the axis; ``title`` is shown under the pointer."""
    shown = address if len(address) <= ADDRESS_MAX else address[:ADDRESS_MAX - 3] + "..."
    return '<g class="{}"><title>{}</title>{}{}</g>'.format(
        "lane" if roomy else "lane small", escape(title),
        text(34, middle + 4, "letter", letter, "end"), text(44, middle + 4, "address", shown))


def stripe(y: float, height: float) -> str:
    """The ground of every other lane."""
    return '<rect class="stripe" x="0" y="{:g}" width="{}" height="{:g}"/>'.format(
        y, WIDTH, height)


def bar(state: str, x: float, y: float, width: float, height: float, title: str) -> str:
    """A span of time in one state; ``title`` is shown under the pointer."""
    name = slug(state)
    down = state in THIN
    place = 'x="{:g}" y="{:g}" width="{:g}" height="{:g}"'.format(
        x, y + (height / 2 - 1.5 if down else 0), width, 3 if down else height)
    shapes = '<rect class="fill" {}/>'.format(place)
    if name in [pattern for pattern, _ in PATTERNS]:
        shapes += '<rect {} fill="url(#p-{})"/>'.format(place, name)
    return '<g class="s-{}"><title>{}</title>{}</g>'.format(name, escape(title), shapes)


def plate(x: float, middle: float, words: str) -> str:
    """Words in a bar, legible on every colour."""
    return '<rect class="plate" x="{:g}" y="{:g}" width="{:g}" height="15" rx="3"/>{}'.format(
        x + 5, middle - 7.5, len(words) * 6 + 8, text(x + 9, middle + 4, "state", words))


def has_room(words: str, width: float) -> bool:
    """Whether a bar so wide has room for a plate with these words."""
    return len(words) * 6.6 + 14 < width


def death(x: float, y: float, size: float, title: str) -> str:
    """The mark of a host's end."""
    return ('<g class="death"><title>{}</title><circle cx="{:g}" cy="{:g}" r="{:g}"/>'
            '<path d="M{:g},{:g} l{:g},{:g} m0,-{:g} l-{:g},{:g}"/></g>').format(
                escape(title), x, y, size + 2, x - size / 2, y - size / 2, size, size, size, size,
                size)


def sample(state: str) -> str:
    """A state's look, for a legend."""
    name = slug(state)
    place = 'x="2" y="{}" width="30" height="{}"'.format(*((6.5, 3) if state in THIN else (2, 12)))
    hatched = name in [pattern for pattern, _ in PATTERNS]
    return '<g class="s-{}"><rect class="fill" {}/>{}</g>'.format(
        name, place, '<rect {} fill="url(#p-{})"/>'.format(place, name) if hatched else "")
