"""The screen of ``status``: what this host knows, as styled lines of a given width.

Pure: a snapshot and its concerns go in, lines come out (what a style looks
like is the terminal's affair, see ``screen``).  From above: this host, the
pool, what must be known now, the hosts, who hears whom.

What does not fit gives way in an order: first room between columns and the
long titles go, then the columns that say least.  On a screen that is too low
hosts that are well become one line; what is wrong is always shown.
"""

import textwrap
from typing import List, NamedTuple, Sequence, Tuple

from xha import concerns, statusmargins, statusmatrix, statustable
from xha.concerns import Concern
from xha.hostset import HostSet
from xha.picture import Glyphs, Line, cut_to, length
from xha.published import FencingMode
from xha.records import record
from xha.report import printable
from xha.snapshot import HostView, Latency, Snapshot
from xha.statustable import Column

#: Narrower than this no screen is drawn; a terminal that is cuts the lines.
WIDTH_MIN = 40

#: Text is not made wider than this, columns.
WIDTH_MAX = 120

#: The words at the left of the first lines, columns.
_LABEL = 11

#: Sets of more hosts than this are said in numbers.
_DIGITS_MAX = 16

_BAR = 8

_GRAVITY = {concerns.CRITICAL: ("red bold", "CRITICAL"), concerns.WARNING: ("yellow", "Warning"),
            concerns.NOTICE: ("dim", "Note")}


@record
class Screen(NamedTuple):
    """What there is to draw on."""

    # Columns; lines, 0 when any number will do.
    width: int
    height: int
    glyphs: Glyphs


def draw(snapshot: Snapshot, found: Sequence[Concern], build: str, screen: Screen) -> List[Line]:
    """The whole screen; no line longer than its width, and no more than its height.

    Args:
        found: what must be known, the gravest first.
        build: which program the daemon is, for people.
    """
    head = _head(snapshot, build, screen.width) + [[]] + told(found, screen.width) + [[]]
    if not found and well(snapshot):
        text = "All is well: every host hears every other, and sees it write."
        head[-1:] = [[("green", " " + part)]
                     for part in textwrap.wrap(text, screen.width - 1)] + [[]]
    table = _table(snapshot, range(len(snapshot.hosts)), screen)
    matrices = [[]] + statusmatrix.draw(snapshot, screen.glyphs, screen.width)  # type: List[Line]
    lines = head + table + matrices
    if screen.height and len(lines) > screen.height:
        room = max(3, screen.height - len(head) - len(matrices) - 2)
        lines = head + _table_of(snapshot, screen, room) + matrices
    return fitted(lines, screen)


def fitted(lines: List[Line], screen: Screen) -> List[Line]:
    """The lines, cut to the screen; the last one says what is not there."""
    if screen.height and len(lines) > screen.height:
        more = len(lines) - screen.height + 1
        lines = lines[:screen.height - 1] + [[("dim", " ... {} more lines".format(more))]]
    return [cut_to(line, screen.width) for line in lines]


def told(found: Sequence[Concern], width: int) -> List[Line]:
    """What must be known, each as a paragraph."""
    lines = []  # type: List[Line]
    for concern in found:
        style, word = _GRAVITY[concern.gravity]
        parts = textwrap.wrap(concern.text, max(20, min(width, WIDTH_MAX) - _LABEL - 1))
        lines.append([(style, " " + word.ljust(_LABEL - 1)), ("", " " + parts[0])])
        lines += [[("", " " * (_LABEL + 1) + part)] for part in parts[1:]]
    return lines


def labelled(label: str, pieces: Sequence[Tuple[str, str]], width: int) -> List[Line]:
    """A label, and pieces of text after it, as many to a line as fit."""
    lines = [[("dim", " " + label.ljust(_LABEL))]]  # type: List[Line]
    for style, text in pieces:
        if not text:
            continue
        used = length(lines[-1])
        if used > _LABEL + 1 and used + 2 + len(text) > width:
            lines.append([("", " " * (_LABEL + 1))])
        elif used > _LABEL + 1:
            lines[-1].append(("", "  "))
        lines[-1].append((style, text))
    return lines


def group(hosts: HostSet, count: int) -> str:
    """A set of hosts: as digits, or in a large pool as numbers."""
    if count <= _DIGITS_MAX:
        return hosts.picture(count)
    everyone = HostSet.first(count)
    if hosts == everyone:
        return "all {}".format(count)
    if 2 * len(hosts) <= count:
        return "{} of {}: {}".format(len(hosts), count, concerns.numbers(list(hosts)) or "none")
    return "{} of {}, without {}".format(len(hosts), count,
                                         concerns.numbers(list(everyone - hosts)))


def well(snapshot: Snapshot) -> bool:
    """Whether every host is a member and notices every other on both paths."""
    everyone = HostSet.first(len(snapshot.hosts))
    return snapshot.online and snapshot.current_liveset == everyone and all(
        concerns.domains(snapshot, host) == (everyone, everyone) for host in snapshot.hosts)


# The head

def _head(snapshot: Snapshot, build: str, width: int) -> List[Line]:
    count = len(snapshot.hosts)
    local = snapshot.hosts[snapshot.local]
    armed = snapshot.fencing is FencingMode.ARMED
    state = ("green bold", "online") if snapshot.online else ("yellow bold", "starting")
    if concerns.handling(snapshot):
        state = ("red bold", snapshot.phase.name)
    lines = labelled("This host", [
        ("bold", "host {}".format(snapshot.local)), ("", local.address), state,
        ("green" if armed else "yellow",
         "not armed" if snapshot.fencing is FencingMode.NONE else snapshot.fencing.name.lower()),
        ("dim", "watchdog {}".format(printable(snapshot.watchdog_mode))),
        ("red" if not snapshot.statefile_access else "dim", "State-File {}".format(
            "ok" if snapshot.statefile_access else "not accessible")),
        ("dim", printable(build))], width)
    lines += labelled("Pool", [
        ("bold", snapshot.pool_state.name.lower() if snapshot.pool_state_known else "unknown"),
        ("", "master " + _master(snapshot)),
        ("", "liveset " + group(snapshot.current_liveset, count)),
        ("yellow", "proposed {}".format(group(snapshot.proposed_liveset, count))
         if snapshot.proposed_liveset != snapshot.current_liveset else ""),
        ("red bold", "SURVIVAL RULE 2" if snapshot.sr2 else ""),
        ("dim", "key " + printable(snapshot.pool_key.fingerprint)
         if snapshot.pool_key is not None else "")], width)
    lines += labelled("Latency", [
        ("dim", "{} {}".format(name, _latency(latency)))
        for name, latency in (("heartbeat", snapshot.heartbeat_latency),
                              ("State-File", snapshot.statefile_latency),
                              ("xapi's check", snapshot.xapi_latency))], width)
    near = statusmargins.pieces(snapshot)
    return lines + (labelled("Closest", near, width) if near else [])


def _master(snapshot: Snapshot) -> str:
    master = concerns.master_of(snapshot)
    if master is None:
        return "none" if not int(snapshot.master_uuid, 16) else "not configured"
    return "host {}{}".format(master.index, " (me)" if master.index == snapshot.local else "")


def _latency(latency: Latency) -> str:
    if latency.last_ms < 0:
        return "-"
    worst = max(latency.max_ms, latency.last_ms)
    return "{} ms{}".format(latency.last_ms, " (max {})".format(worst)
                            if worst > latency.last_ms else "")


# The hosts

def _age(age_ms: int, limit_ms: int, live: bool) -> Line:
    """An age beside its time-out; what a host that is away did is nobody's worry."""
    if age_ms < 0:
        return [("dim", "never")]
    text = concerns.seconds(age_ms)
    if text.endswith(" s"):
        text = text[:-2] + "/{:g} s".format(limit_ms / 1000)
    if age_ms > limit_ms:
        return [("red" if live else "dim", text)]
    return [("yellow" if 2 * age_ms > limit_ms else "", text)]


def _bar(age_ms: int, limit_ms: int, glyphs: Glyphs) -> Line:
    full = _BAR if age_ms < 0 or age_ms >= limit_ms else age_ms * _BAR // limit_ms
    if age_ms < 0:
        return [("dim", glyphs.bar[1] * _BAR + " ")]
    style = "red" if age_ms >= limit_ms else "yellow" if 2 * age_ms > limit_ms else "green"
    return [(style, glyphs.bar[0] * full), ("dim", glyphs.bar[1] * (_BAR - full) + " ")]


_COLUMNS = (
    Column(title="host", short="host", goes=0), Column(title="address", short="address", goes=4),
    Column(title="live", short="live", goes=0), Column(title="master", short="master", goes=0),
    Column(title="excluded", short="excl", goes=1), Column(title="phase", short="phase", goes=2),
    Column(title="heartbeat", short="heard", goes=0),
    Column(title="State-File", short="wrote", goes=0), Column(title="weight", short="wt", goes=5),
    Column(title="xapi", short="xapi", goes=3))


def _cells(snapshot: Snapshot, host: HostView) -> List[Line]:
    """A row of the table, by ``_COLUMNS``."""
    return [
        [("bold", "{}{}".format(host.index, " me" if host.index == snapshot.local else ""))],
        [("", printable(host.address))],
        [("green", "yes") if host.live else ("dim" if host.excluded else "red", "no")],
        [("bold", "master") if host.master else ("dim", "-")],
        [("yellow", "yes") if host.excluded else ("dim", "-")],
        [("" if host.live else "dim", host.phase.name.lower()) if host.phase in concerns.RESTING
         else ("red", host.phase.name)],
        _age(host.since_heartbeat_ms, snapshot.heartbeat_timeout_ms, host.live),
        [("red", "corrupt")] if host.statefile_corrupted
        else _age(host.since_statefile_ms, snapshot.statefile_timeout_ms, host.live),
        [("", str(host.weight))],
        [("yellow", "restart") if host.since_xapi_restart_ms >= 0
         else ("yellow", "error") if host.xapi_error
         else ("yellow", "held") if host.xapi_held_ms >= 0
         else ("", "ok") if host.live else ("dim", "-")]]


def _table(snapshot: Snapshot, shown: Sequence[int], screen: Screen) -> List[Line]:
    """A heading, and a row for each of these hosts, as wide as they may be."""
    rows = [_cells(snapshot, host) for host in snapshot.hosts]
    with_bars = [row[:6] + [
        _bar(host.since_heartbeat_ms, snapshot.heartbeat_timeout_ms, screen.glyphs) + row[6],
        _bar(host.since_statefile_ms, snapshot.statefile_timeout_ms, screen.glyphs) + row[7]]
                 + row[8:] for host, row in zip(snapshot.hosts, rows)]
    lines = statustable.widest(_COLUMNS, with_bars, shown)
    if length(lines[0]) > screen.width:
        lines = statustable.fitting(_COLUMNS, rows, shown, screen.width)
    return lines


def _table_of(snapshot: Snapshot, screen: Screen, room: int) -> List[Line]:
    """The table in at most ``room`` lines, if what is wrong leaves that choice."""
    order = sorted(snapshot.hosts, key=lambda host: (not _notable(snapshot, host), host.index))
    least = sum(_notable(snapshot, host) for host in snapshot.hosts)
    kept = sorted(host.index for host in order[:max(least, room - 2)])
    rest = [host for host in snapshot.hosts if host.index not in kept]
    lines = _table(snapshot, kept, screen)
    if rest:
        lines.append([("dim", " {} more: live, heard within {}, wrote within {}".format(
            len(rest), concerns.seconds(max(host.since_heartbeat_ms for host in rest)),
            concerns.seconds(max(host.since_statefile_ms for host in rest))))])
    return lines


def _notable(snapshot: Snapshot, host: HostView) -> bool:
    """Whether a host must be shown for itself."""
    ages = (not 0 <= 2 * host.since_heartbeat_ms <= snapshot.heartbeat_timeout_ms
            or not 0 <= 2 * host.since_statefile_ms <= snapshot.statefile_timeout_ms)
    return (host.index == snapshot.local or host.master or not host.live or host.excluded or ages
            or host.statefile_corrupted or host.phase not in concerns.RESTING
            or bool(host.xapi_error) or host.since_xapi_restart_ms >= 0
            or host.xapi_held_ms >= 0 or host.disarmed)
