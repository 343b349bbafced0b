"""The picture of a sandbox: what is known of it, as styled text of a given width.

Pure: facts go in, lines come out.  A line is a list of (style, text); what a
style looks like, if anything, is the terminal's affair (``screen``).  Up to
four hosts, where there is room, stand in boxes above two matrices of who
notices whom; more hosts are rows of a table.
"""

import textwrap
from typing import List, NamedTuple, Tuple

from xha import sandboxfacts
from xha.records import record
from xha.sandboxfacts import MEMBER, UNKNOWN, HostFacts, PoolFacts, State, digits

Line = List[Tuple[str, str]]

#: Narrower than this, a terminal gets no picture.
WIDTH_MIN = 60

_BOX_WIDTH_MIN, _BOX_WIDTH_MAX = 20, 32
_BOX_LINES = 6
_BOXES_MAX = 4

_STYLES = {
    State.ABSENT: "dim", State.STARTING: "yellow", State.ONLINE: "green",
    State.HANDLING: "yellow", State.SILENT: "magenta", State.PAUSED: "magenta",
    State.CRASHED: "red", State.FENCED: "red", State.STOPPED: "dim"}


@record
class Glyphs(NamedTuple):
    """The characters of the picture."""

    # Corners from the upper left, clockwise; then the two edges.
    box: str
    # Full and empty part of a bar.
    bar: str
    star: str
    # Noticed lately; noticed, but more than half its time-out ago; not; cut by the sandbox.
    fresh: str
    aging: str
    lost: str
    cut: str


ASCII = Glyphs(box="++++-|", bar="#.", star="*", fresh="O", aging="o", lost=".", cut="x")
UTF8 = Glyphs(box="\u250c\u2510\u2518\u2514\u2500\u2502", bar="\u2588\u2591", star="\u2605",
              fresh="\u25cf", aging="\u25d0", lost="\u00b7", cut="\u00d7")


@record
class Look(NamedTuple):
    """How the picture is to look."""

    # Columns.
    width: int
    glyphs: Glyphs
    # What never changes: addresses, and the settings.
    title: str
    settings: str


def in_boxes(count: int, width: int) -> bool:
    """Whether so many hosts are shown in boxes."""
    return count <= _BOXES_MAX and count * _BOX_WIDTH_MIN <= width


def height(count: int, width: int) -> int:
    """How many lines the picture has; the same as long as the width is."""
    return 3 + (_BOX_LINES + 2 + 1 + count if in_boxes(count, width) else 1 + count + 3)


def draw(facts: PoolFacts, look: Look) -> List[Line]:
    """The picture, ``height`` lines, none longer than the width."""
    lines = _head(facts, look)
    if in_boxes(len(facts.hosts), look.width):
        lines += _boxes(facts, look) + _beside(_matrices(facts, look), now(facts), look.width)
    else:
        lines += _table(facts, look) + _beside([[]] * 3, now(facts), look.width)
    return [cut_to(line, look.width) for line in lines]


def now(facts: PoolFacts) -> List[Tuple[str, str]]:
    """What happens now and what is waited for: (style, sentence)."""
    said = [("yellow", "{}: {}.".format(sandboxfacts.named(hosts), text)[0].upper()
             + "{}: {}.".format(sandboxfacts.named(hosts), text)[1:])
            for text, hosts in sandboxfacts.waits(facts)]
    if not said and sandboxfacts.calm(facts):
        said.append(("green", ("All is well: " if not sandboxfacts.broken(facts) else "So far ")
                     + "every host hears every other, and sees it write."))
    if not said and any(host.answer is not None for host in facts.hosts):
        said.append(("", "Nothing is waited for."))
    return said


def length(line: Line) -> int:
    """Columns that a line takes."""
    return sum(len(text) for _, text in line)


def pad(line: Line, width: int) -> Line:
    """The line, cut or filled with blanks to ``width`` columns."""
    short = cut_to(line, width)
    return short + [("", " " * (width - length(short)))]


def cut_to(line: Line, width: int) -> Line:
    """The line without what is beyond ``width`` columns."""
    kept = []  # type: Line
    for style, text in line:
        kept.append((style, text[:width]))
        width -= len(kept[-1][1])
    return kept


# The head

def _head(facts: PoolFacts, look: Look) -> List[Line]:
    clock = "{:.0f} s ".format(facts.at_s)
    first = [("bold", " xha sandbox  "), ("", look.title)]  # type: Line
    first = pad(first, look.width - len(clock)) + [("dim", clock)]
    broken = sandboxfacts.broken(facts)
    settings = [("dim", " " + look.settings)]  # type: Line
    third = settings + [("dim", "  Nothing is broken.")]
    if broken:
        fault = [("red", " Broken: " + broken)]  # type: Line
        third = settings + [("", " ")] + fault
        if length(third) > look.width:
            third = fault
    return [first, _pool(facts, look), third]


def _pool(facts: PoolFacts, look: Look) -> Line:
    """Pool state, master, livesets, and survival rule 2 where it holds."""
    states = {str(host.get("pool_state")) for host in sandboxfacts.answering(facts)
              if host.get("pool_state")}
    line = [("", " pool "), ("bold", "/".join(sorted(states)) or "unknown")]  # type: Line
    line += _master(facts, look)
    members = [host for host in facts.hosts if host.liveset]
    livesets = sandboxfacts.groups(members, [
        digits(host.liveset, len(facts.hosts)) for host in members])
    for text, hosts in livesets:
        line += [("", "  liveset "), ("bold", text)]
        if len(livesets) > 1:
            line += [("dim", " ({})".format(" ".join(str(index) for index in hosts)))]
    if any(host.get("survival_rule_2") for host in members):
        line += [("red", "  SURVIVAL RULE 2")]
    return line


def _master(facts: PoolFacts, look: Look) -> Line:
    """Whom the State-File names, and who holds the lock: mostly, but not always, the same."""
    master, holders = sandboxfacts.master(facts), sandboxfacts.holders(facts)
    line = [("", "  no master")]    # type: Line
    if master >= 0:
        line = [("", "  master "), ("bold", "host {} {}".format(master, look.glyphs.star))]
        if facts.hosts[master].answer is not None and master not in holders:
            line += [("dim", " (does not hold the lock)")]
    others = [index for index in holders if index != master]
    if others:
        line += [("yellow", "  lock held by {}".format(sandboxfacts.named(others)))]
    return line


# Boxes

def _boxes(facts: PoolFacts, look: Look) -> List[Line]:
    count = len(facts.hosts)
    width = min(_BOX_WIDTH_MAX, look.width // count)
    boxes = [_box(facts, host, look.glyphs, width - 1) for host in facts.hosts]
    lines = []  # type: List[Line]
    for parts in zip(*boxes):
        line = [("", " ")]  # type: Line
        for number, part in enumerate(parts):
            line += ([("", " ")] if number else []) + part
        lines.append(line)
    return lines


def _box(facts: PoolFacts, host: HostFacts, glyphs: Glyphs, width: int) -> List[Line]:
    """A host as a box of ``_BOX_LINES`` lines and two edges."""
    style = _STYLES[host.state]
    edge, side = glyphs.box[4], glyphs.box[5]
    name = " host {} ".format(host.index)
    if sandboxfacts.master(facts) == host.index:
        name += glyphs.star + " "
    top = glyphs.box[0] + edge + name
    top += edge * (width - len(top) - 1) + glyphs.box[1]
    bottom = glyphs.box[3] + edge * (width - 2) + glyphs.box[2]
    inside = _inside(facts, host, glyphs, width - 4)
    assert len(inside) <= _BOX_LINES, inside
    inside += [[]] * (_BOX_LINES - len(inside))
    return ([[(style, top)]]
            + [[(style, side + " ")] + pad(line, width - 4) + [(style, " " + side)]
               for line in inside] + [[(style, bottom)]])


def _inside(facts: PoolFacts, host: HostFacts, glyphs: Glyphs, width: int) -> List[Line]:
    first = [(_STYLES[host.state] + " bold", host.state.value)]  # type: Line
    fencing = str(host.get("fencing") or "")
    if fencing in ("armed", "disarmed") and len(host.state.value) + 1 + len(fencing) <= width:
        first = pad(first, width - len(fencing)) + [("dim", fencing)]
    if host.state in (State.FENCED, State.STOPPED, State.ABSENT):
        return [first] + _wrapped(host.detail, width, _BOX_LINES - 1)
    bars = [_bar(facts, host.index, path, width, glyphs) for path in ("heartbeat", "statefile")]
    if host.answer is None:
        return [first] + (_wrapped(host.detail, width, 2) + [[], []])[:2] + bars
    return [first, _phase(facts, host, width), _liveset(host, len(facts.hosts), width)] + bars + [
        _access(host)]


def _wrapped(text: str, width: int, lines: int) -> List[Line]:
    found = [[("", part)] for part in textwrap.wrap(text, width)]  # type: List[Line]
    return found[:lines]


def _phase(facts: PoolFacts, host: HostFacts, width: int) -> Line:
    """The phase of the fault handler, or how long it has been so."""
    since = "{:.0f} s".format(facts.at_s - host.since_s)
    text = host.phase.upper() if host.state in MEMBER else "joins the pool"
    if host.state in MEMBER and len("phase  ") + len(text) + len(since) <= width:
        text = "phase " + text
    return pad([("yellow" if host.state is State.HANDLING else "dim", text)],
               width - len(since)) + [("dim", since)]


def _liveset(host: HostFacts, count: int, width: int) -> Line:
    label = "liveset " if 8 + count <= width else "live "
    if host.state not in MEMBER:
        return [("dim", label + "-")]
    line = [("dim", label), ("bold", digits(host.liveset, count))]  # type: Line
    proposed = host.members("proposed_liveset")
    if proposed != host.liveset and len(label) + 2 * count + 1 <= width:
        line += [("yellow", ">" + digits(proposed, count))]
    return line


def _access(host: HostFacts) -> Line:
    if host.get("statefile_access"):
        return [("dim", "State-File ok")]
    if host.state is State.STARTING:
        return [("dim", "State-File ...")]
    return [("red bold", "State-File LOST")]


def _bar(facts: PoolFacts, index: int, path: str, width: int, glyphs: Glyphs) -> Line:
    """The age of a host's last sign of life on a path, against its time-out."""
    age = sandboxfacts.age_ms(facts, index, path)
    timeout = (facts.heartbeat_timeout_ms if path == "heartbeat" else facts.statefile_timeout_ms)
    label = "heard " if path == "heartbeat" else "wrote "
    size = width - len(label) - 5
    if age == UNKNOWN:
        return [("dim", label + glyphs.bar[1] * size + "    -")]
    full = min(size, age * size // timeout)
    return [("dim", label), (_age_style(age, timeout), glyphs.bar[0] * full),
            ("dim", glyphs.bar[1] * (size - full)), ("", " " + in_seconds(age).rjust(4))]


def _age_style(age: int, timeout: int) -> str:
    if age > timeout:
        return "red"
    return "yellow" if 2 * age > timeout else "green"


def in_seconds(age: int) -> str:
    """An age in at most four columns."""
    if age < 10000:
        return "{}.{}s".format(age // 1000, age % 1000 // 100)
    return "{}s".format(min(age // 1000, 999))


# Who notices whom

def _cells(facts: PoolFacts, host: HostFacts, path: str, glyphs: Glyphs) -> Line:
    """One cell for each host that ``host`` may notice on a path."""
    if host.answer is None:
        return [("dim", " ")] * len(facts.hosts)
    domain = host.members(path + "_domain")
    timeout = (facts.heartbeat_timeout_ms if path == "heartbeat" else facts.statefile_timeout_ms)
    cells = []  # type: Line
    for other in facts.hosts:
        age = host.get("hosts")[other.index]["since_{}_ms".format(path)]
        if other.index not in domain:
            cut = path == "heartbeat" and (other.index, host.index) in facts.cut
            cells.append(("red", glyphs.cut if cut else glyphs.lost))
        elif age is not None and 2 * age > timeout:
            cells.append(("yellow", glyphs.aging))
        else:
            cells.append(("green", glyphs.fresh))
    return cells


def _matrices(facts: PoolFacts, look: Look) -> List[Line]:
    """Two matrices side by side: rows notice columns."""
    names = " ".join(str(host.index) for host in facts.hosts)
    title = "  heartbeats  {}   State-File  {}".format(names, names)
    lines = [[("dim", title)]]  # type: List[Line]
    for host in facts.hosts:
        line = [("dim", "     {} hears ".format(host.index))]  # type: Line
        line += _spaced(_cells(facts, host, "heartbeat", look.glyphs))
        line += [("dim", "      {} sees ".format(host.index))]
        line += _spaced(_cells(facts, host, "statefile", look.glyphs))
        lines.append(line)
    return lines


def _spaced(cells: Line) -> Line:
    return [(style, " " + text) for style, text in cells]


def _beside(lines: List[Line], said: List[Tuple[str, str]], width: int) -> List[Line]:
    """Sentences to the right of some lines, wrapped; what has no room is left out."""
    left = max(length(line) for line in lines)
    left = left + 3 if left else 1
    parts = [[(style, part)] for style, text in said
             for part in textwrap.wrap(text, max(10, width - left))]  # type: List[Line]
    parts = (parts + [[]] * len(lines))[:len(lines)]
    return [pad(line, left) + part for line, part in zip(lines, parts)]


# Rows

def _table(facts: PoolFacts, look: Look) -> List[Line]:
    """A heading, and a row for each host."""
    count = len(facts.hosts)
    wide = max(count, 8)
    titles = [("host".ljust(5), 5), ("state".ljust(10), 10), ("liveset".ljust(wide), wide),
              ("hears".ljust(wide), wide), ("sees".ljust(wide), wide), ("heard", 5), ("wrote", 5)]
    lines = [[("dim", " " + " ".join(text for text, _ in titles))]]  # type: List[Line]
    master = sandboxfacts.master(facts)
    for host in facts.hosts:
        star = look.glyphs.star if host.index == master else " "
        word = (host.phase.upper() if host.state is State.HANDLING else "") or host.state.value
        live = digits(host.liveset, count) if host.state in MEMBER else "-"
        line = [("", " {:>3}{} ".format(host.index, star)),
                (_STYLES[host.state] + " bold", word[:10].ljust(11)),
                ("", live.ljust(wide + 1))]  # type: Line
        for path in ("heartbeat", "statefile"):
            line += pad(_cells(facts, host, path, look.glyphs), wide + 1)
        for path in ("heartbeat", "statefile"):
            age = sandboxfacts.age_ms(facts, host.index, path)
            timeout = (facts.heartbeat_timeout_ms if path == "heartbeat"
                       else facts.statefile_timeout_ms)
            text = "-" if age == UNKNOWN else in_seconds(age)
            line += [("dim" if age == UNKNOWN else _age_style(age, timeout), text.rjust(5)),
                     ("", " ")]
        lines.append(line)
    return lines
