"""The closest approaches to a fence, as ``status`` says them.

One line: the closest of the last day, whatever it was, for how near is near can
only be seen from what is usual.  A second, where since the daemon's start
something came nearer and was a near miss.  All of them are in the JSON.
"""

import time
from typing import List, Tuple

from xha.marginwords import closest, ratio, slow_words, words
from xha.report import printable
from xha.snapshot import Approach, Margin, Snapshot

#: Later times, ms, are no dates with a year of four digits: a file that was made up.
_DATES_END_MS = 253402300800000


def stamp(wall_ms: int) -> str:
    """A time as a person says it, in UTC as the log has it; in plain ms where that is no date."""
    if not 0 <= wall_ms < _DATES_END_MS:
        return "{} ms".format(wall_ms)
    moment = time.gmtime(wall_ms // 1000)
    return "{} {} UTC".format(moment.tm_mday, time.strftime("%b %H:%M:%S", moment))


def parts(margin: Margin, window: str) -> List[str]:
    """An approach in pieces: the path and how much of how much; when; what was slow."""
    approach = getattr(margin, window)
    assert isinstance(approach, Approach)
    found = ["{} {:.1f} of {:.1f} s".format(words(margin.path, [margin.host]),
                                            approach.used_ms / 1000, margin.limit_ms / 1000),
             stamp(approach.wall_ms)]
    found += [slow_words(approach)] if _is_near(margin, approach) else []
    return [printable(text) for text in found]


def pieces(snapshot: Snapshot) -> List[Tuple[str, str]]:
    """What stands in the head of the screen, each with its style."""
    day, start = closest(snapshot.margins, "day"), closest(snapshot.margins, "start")
    shown = []
    if day is not None:
        shown.append(("in 24 h: ", day, "day"))
    if start is not None and start.start is not None and _is_near(start, start.start) and (
            day is None or ratio(start, "start") > ratio(day, "day")):
        shown.append(("since the start: ", start, "start"))
    found = []
    for when, margin, window in shown:
        style = "yellow" if _is_near(margin, getattr(margin, window)) else "dim"
        texts = parts(margin, window)
        found += [(style, text) for text in [when + texts[0]] + texts[1:]]
    return found


def _is_near(margin: Margin, approach: Approach) -> bool:
    return approach.used_ms > margin.near_ms
