"""What a check of this host found: a level, why, and what to do.

Values and their text; the judgements that make them are in ``latencies``,
``judgehost``, ``judgenetwork``, ``judgedisk`` and ``judgepool``.  A finding is
one of four things:

========  ==========================================================================
ok        looked at, and as it should be
warning   HA works, and something guards less well than it should
failure   a start ends with this finding's exit code, or HA harms this host
unknown   cannot be told from here, and what to do about that
========  ==========================================================================

Findings stand in the order in which a start meets what they are about, so the
first failure's code is the one with which `start-daemon` would end.  Source: spec 9, doctor.
"""

import enum
import textwrap
from typing import Any, Dict, Iterable, List, NamedTuple, Sequence

from xha.errors import ExitCode
from xha.records import record

#: Version of the JSON; grows when a name changes its meaning or goes, not when one is added.
JSON_VERSION = 1

#: Widest line of the text, columns, and where what was found begins.
WIDTH = 100
_INDENT = 24


@enum.unique
class Level(enum.Enum):
    """How bad it is."""

    OK = "ok"
    WARNING = "warning"
    FAILURE = "failure"
    UNKNOWN = "unknown"


@record
class Finding(NamedTuple):
    """What one judgement says."""

    # What was looked at, such as "watchdog"; one judgement may find more than one thing.
    check: str
    level: Level
    # What was found, and why that is so good or bad.
    text: str
    # What to do; "" when nothing.
    advice: str
    # With what a start ends; SUCCESS unless the level is FAILURE.
    code: ExitCode


def ok(check: str, text: str) -> Finding:
    """As it should be."""
    return Finding(check=check, level=Level.OK, text=text, advice="", code=ExitCode.SUCCESS)


def warning(check: str, text: str, advice: str) -> Finding:
    """HA works, but something should be looked after."""
    return Finding(check=check, level=Level.WARNING, text=text, advice=advice,
                   code=ExitCode.SUCCESS)


def failure(check: str, text: str, advice: str, code: ExitCode) -> Finding:
    """A start would end with ``code``."""
    assert code is not ExitCode.SUCCESS
    return Finding(check=check, level=Level.FAILURE, text=text, advice=advice, code=code)


def unknown(check: str, text: str, advice: str = "") -> Finding:
    """It cannot be told."""
    return Finding(check=check, level=Level.UNKNOWN, text=text, advice=advice,
                   code=ExitCode.SUCCESS)


def exit_code(found: Iterable[Finding]) -> ExitCode:
    """The code of the first failure, in the order of a start; SUCCESS without one."""
    return next((one.code for one in found if one.level is Level.FAILURE), ExitCode.SUCCESS)


def printable(text: str) -> str:
    """The text as printable ASCII."""
    return "".join(letter if " " <= letter <= "~" else "?" for letter in text)


def as_facts(found: Sequence[Finding]) -> List[Dict[str, Any]]:
    """For JSON: a list of objects, in order."""
    return [{"check": printable(one.check), "level": one.level.value, "text": printable(one.text),
             "advice": printable(one.advice) or None,
             "code": int(one.code) or None} for one in found]


def as_text(found: Sequence[Finding]) -> str:
    """For people: a line or more for each, and the sum; at most WIDTH columns, ASCII."""
    lines = []  # type: List[str]
    for one in found:
        level = one.level.value if one.level is Level.OK else one.level.value.upper()
        head = "{:9}{:15}".format(level, printable(one.check))
        lines += _wrapped(head, one.text)
        if one.advice:
            lines += _wrapped(" " * (_INDENT - 3) + "-> ", one.advice)
    return "\n".join(lines + ["", summary(found)]) + "\n"


def summary(found: Sequence[Finding]) -> str:
    """How many of which level, and the exit code, in one line."""
    counts = [(level, sum(one.level is level for one in found)) for level in (
        Level.FAILURE, Level.WARNING, Level.UNKNOWN, Level.OK)]
    said = ", ".join("{} {}{}".format(count, level.value, "s" if count > 1 and level in (
        Level.FAILURE, Level.WARNING) else "") for level, count in counts if count)
    code = exit_code(found)
    if code is ExitCode.SUCCESS:
        return "{}.  Nothing seen here keeps this host from HA.".format(said or "Nothing looked at")
    return "{}.  Exit code {}: {}.".format(
        said, int(code), code.name.lower().replace("_", " "))


def _wrapped(head: str, text: str) -> List[str]:
    return textwrap.wrap(
        printable(text), WIDTH, initial_indent=head, subsequent_indent=" " * _INDENT,
        break_long_words=False, break_on_hyphens=False)
