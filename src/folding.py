"""Text for people on a terminal: no line is cut in the middle of a word, and what is grave is seen.

Theory of operation
===================

The views that print lines (``timing``, ``doctor``, ``timeline``,
``dump-statefile``) make the same plain text for a pipe, a file and a terminal.
Only a terminal that is narrower than a line gets it folded: at blanks, under
the column in which the last cell of the line begins.  Lines that were folded
before, for the usual width, are put together first.  Nothing is cut off.

Colours are for terminals, and not with NO_COLOR.
"""

import os
import re
import textwrap
from typing import List

from xha import cli
from xha.screen import first_environment, styled

#: Narrower terminals are treated like this, columns.
WIDTH_MIN = 20

#: What is seen: the first group of a line, and its style.
_SEEN = (
    (re.compile(r"^ *(FAILURE|NOT SAFE)\b"), "bold red"),
    (re.compile(r"^ *(WARNING)\b"), "yellow"),
    (re.compile(r"^ *(UNKNOWN)\b"), "magenta"),
    (re.compile(r"^[0-9T:.-]{23}Z  .{1,46}?  (err)  "), "bold red"),
    (re.compile(r"^[0-9T:.-]{23}Z  .{1,46}?  (warning)  "), "yellow"),
    (re.compile(r"(THE MACHINE WAS BOOTED ANEW)"), "bold"),
)

#: Up to where a line's last cell begins: blanks, or what has two blanks behind it and is no end
#: of a sentence; an arrow.
_HEAD = re.compile(r"(?:.*[^\s.]  +| *-> | +)")

#: Columns that a last cell must have; where there are less, it goes on below the first.
_CELL_MIN = 24
#: A line of prose that goes on in the next one has so many columns at least.
_FULL = 80


def show(text: str, err: str = "") -> None:
    """Print text for people, folded and in colours where standard output is a terminal."""
    environment = first_environment()
    try:
        width = os.get_terminal_size(1).columns
    except OSError:
        width = 0
    if width:
        colour = not environment.get("NO_COLOR") and environment.get("TERM", "dumb") not in (
            "", "dumb")
        text = fold(text, max(width, WIDTH_MIN), colour)
    cli.say(text, err)


def fold(text: str, width: int, colour: bool = False) -> str:
    """The text in lines of at most ``width`` columns, but for words that are longer."""
    lines = []  # type: List[str]
    for paragraph in _paragraphs(text.split("\n"), width):
        hang = _hang(paragraph)
        hang = hang if hang + _CELL_MIN <= width else min(4, hang)
        made = [paragraph] if len(paragraph) <= width else textwrap.wrap(
            paragraph, width, subsequent_indent=" " * hang,
            break_long_words=False, break_on_hyphens=False)
        lines += [_coloured(line) if colour else line for line in made]
    return "\n".join(lines)


def _paragraphs(lines: List[str], width: int) -> List[str]:
    """The lines; where one of them is too wide, with what continues it behind it."""
    found = []  # type: List[List[str]]
    for line in lines:
        if found and line.strip() and _goes_on(found[-1], line):
            found[-1].append(line)
        else:
            found.append([line])
    out = []  # type: List[str]
    for paragraph in found:
        if max(len(line) for line in paragraph) > width:
            out.append(" ".join([paragraph[0]] + [line.strip() for line in paragraph[1:]]))
        else:
            out += paragraph
    return out


def _goes_on(lines: List[str], line: str) -> bool:
    """Whether a line goes on what these say: below their last cell, or as prose does."""
    indent, before = _indent(line), _indent(lines[0])
    hang = _hang(lines[0])
    if hang > before:
        return indent == hang
    prose = _hang(line) == indent and not line.lstrip().startswith("#")
    return indent == before and prose and len(lines[-1]) >= _FULL


def _indent(line: str) -> int:
    return len(line) - len(line.lstrip())


def _hang(line: str) -> int:
    head = _HEAD.match(line)
    return head.end() if head else 0


def _coloured(line: str) -> str:
    for pattern, style in _SEEN:
        found = pattern.search(line)
        if found:
            line = "".join((line[:found.start(1)], styled([(style, found.group(1))], True),
                            line[found.end(1):]))
    return line
