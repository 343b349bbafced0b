"""The axis of time of a history: where an instant is, and what is written there.

Theory of operation
===================

Histories are uneven: a host that was up for weeks has some messages of the
first day and hours of measurements of the last.  So a time in which nothing
was recorded at all is *cut out* where it would take much of the picture: it
becomes a narrow band that says how long it was.  Each piece between two cuts
is linear; pieces are as wide as they are long, but none is too narrow to be
seen.
"""

import time
from typing import List, NamedTuple, Sequence, Tuple

from xha.history import DATES_END_MS
from xha.records import record

#: Cuts at most; a shorter gap than this, ms, is never one.
CUTS_MAX = 12
CUT_MS = 120000
#: A gap is cut that is longer than this part of all that is left without it, in 1/100.
_CUT_PERCENT = 20
#: Width of a cut, and the least of a piece, px.
CUT_WIDTH = 34.0
_PIECE_MIN = 44.0
#: Distances of ticks, s, and the least, px.
_STEPS_S = (0.1, 0.2, 0.5, 1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 10800,
            21600, 43200, 86400, 172800, 604800, 1209600, 2419200, 7257600, 31536000, 315360000,
            3153600000)
_TICK_MIN = 66.0
_DATE_MIN = 78.0


@record
class Piece(NamedTuple):
    """A part of the axis on which time is linear."""

    from_ms: int
    to_ms: int
    left: float
    right: float
    # Nothing was recorded in it, and it is drawn narrow.
    cut: bool


class Axis:
    """Where instants are."""

    def __init__(self, times: Sequence[int], left: float, right: float, cuts: bool = True) -> None:
        """Lay out the axis.

        Args:
            times: instants of records; the first and the last are the ends of the axis.
            cuts: where nothing is, may be cut out.
        """
        self.left, self.right = left, right
        instants = sorted(set(times)) or [0]
        gaps = _gaps(instants) if cuts else []
        self.pieces = _pieces(instants[0], instants[-1], gaps, left, right)
        self.from_ms, self.to_ms = self.pieces[0].from_ms, self.pieces[-1].to_ms

    def x(self, at_ms: int) -> float:
        """Where an instant is; outside of the axis it is its end."""
        for piece in self.pieces:
            if at_ms <= piece.to_ms:
                part = (at_ms - piece.from_ms) / max(1, piece.to_ms - piece.from_ms)
                return round(piece.left + (piece.right - piece.left) * max(0.0, part), 1)
        return self.right

    def ticks(self) -> List[Tuple[float, str]]:
        """Where there are times of day, and which."""
        found = []  # type: List[Tuple[float, str]]
        for piece in self.pieces:
            if piece.cut:
                continue
            per_s = 1000 * (piece.right - piece.left) / max(1, piece.to_ms - piece.from_ms)
            step_s = [step for step in _STEPS_S if step * per_s >= _TICK_MIN or
                      step == _STEPS_S[-1]][0]
            step_ms = int(step_s * 1000)
            first = -(-piece.from_ms // step_ms)
            for number in range(first, piece.to_ms // step_ms + 1):
                x = self.x(number * step_ms)
                if not found or x - found[-1][0] >= _TICK_MIN - 12:
                    found.append((x, _clock(number * step_ms, step_s)))
        return found

    def dates(self) -> List[Tuple[float, str]]:
        """Where a day begins, or a piece of the axis; and its date."""
        found = []  # type: List[Tuple[float, str]]
        for piece in self.pieces:
            if piece.cut:
                continue
            days = [piece.from_ms]
            first = piece.from_ms // 86400000 + 1
            if (piece.to_ms // 86400000 - first) < 400:
                days += [day * 86400000 for day in range(first, piece.to_ms // 86400000 + 1)]
            for at_ms in days:
                date, x = _shown("%Y-%m-%d", at_ms), self.x(at_ms)
                if not found or (x - found[-1][0] >= _DATE_MIN and date != found[-1][1]):
                    found.append((x, date))
        return found


def _gaps(instants: Sequence[int]) -> List[Tuple[int, int]]:
    """The gaps that are cut out: (from, to), in order."""
    gaps = sorted(((after - before, before, after)
                   for before, after in zip(instants, instants[1:])), reverse=True)[:CUTS_MAX]
    left_ms = instants[-1] - instants[0]
    found = []
    for length_ms, before, after in gaps:
        left_ms -= length_ms
        if length_ms <= CUT_MS or length_ms * 100 <= left_ms * _CUT_PERCENT:
            break
        # What was recorded beside it is not at its very edge.
        pad_ms = min(length_ms // 8, max(2000, left_ms // 100))
        found.append((before + pad_ms, after - pad_ms))
    return sorted(found)


def _pieces(from_ms: int, to_ms: int, gaps: Sequence[Tuple[int, int]], left: float, right: float
            ) -> List[Piece]:
    pad_ms = max(500, (to_ms - from_ms - sum(end - begin for begin, end in gaps)) // 200)
    edges = [max(0, from_ms - pad_ms)]
    for begin, end in gaps:
        edges += [begin, end]
    edges.append(min(to_ms + pad_ms, DATES_END_MS - 1))
    lengths = [edges[place + 1] - edges[place] for place in range(0, len(edges) - 1, 2)]
    room = right - left - CUT_WIDTH * len(gaps) - _PIECE_MIN * len(lengths)
    found = []  # type: List[Piece]
    x = left
    for place in range(len(edges) - 1):
        width = CUT_WIDTH if place % 2 else (
            _PIECE_MIN + room * lengths[place // 2] / max(1, sum(lengths)))
        found.append(Piece(from_ms=edges[place], to_ms=edges[place + 1], left=x,
                           right=x + width, cut=bool(place % 2)))
        x += width
    return found


def _shown(form: str, at_ms: int) -> str:
    return time.strftime(form, time.gmtime(at_ms // 1000))


def _clock(at_ms: int, step_s: float) -> str:
    if step_s >= 86400:
        return _shown("%Y-%m-%d", at_ms)
    if step_s >= 60:
        return _shown("%H:%M", at_ms)
    return _shown("%H:%M:%S", at_ms) + (
        ".{}".format(at_ms % 1000 // 100) if step_s < 1 else "")


def length(ms: int) -> str:
    """How long a time was, in at most two units: "3 d 4 h"."""
    seconds = ms // 1000
    for size, unit, smaller, under in ((86400, "d", 3600, "h"), (3600, "h", 60, "min"),
                                       (60, "min", 1, "s")):
        if seconds >= size:
            rest = seconds % size // smaller
            return "{} {}".format(seconds // size, unit) + (
                " {} {}".format(rest, under) if rest else "")
    return "{:g} s".format(ms / 1000)
