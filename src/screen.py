"""Where a sandbox shows itself: a live picture in a terminal, or lines of what changes.

In a terminal that can, the picture stands above and is drawn anew in place;
below it, in a scrolling region of the terminal's own, people and programs
talk.  All that is on the alternate screen, so what stood there before comes
back at the end.  Elsewhere (a pipe, a file, a small or dumb terminal) what
changes is appended as lines.

Several threads write; each writes whole pieces under one lock.
"""

import os
import select
import sys
import textwrap
import threading
from collections import deque
from typing import Callable, Deque, Dict, Tuple

from xha import picture
from xha.errors import ExitCode, XhaError
from xha.picture import Line, Look
from xha.sandboxfacts import PoolFacts, changes

_ESCAPE = "\x1b["
_CODES = {"bold": "1", "dim": "2", "red": "31", "green": "32", "yellow": "33", "magenta": "35",
          "cyan": "36"}

#: What a terminal is told when all is over: no region, no style, the screen of before.
RESTORE = _ESCAPE + "r" + _ESCAPE + "0m" + _ESCAPE + "?25h" + _ESCAPE + "?1049l"

#: The least room for people below the picture, lines.
_TALK_MIN = 5

#: Text for people is not made wider than this, columns.
_TEXT_WIDTH_MAX = 100

#: Columns and lines of what is no terminal.
_NO_TERMINAL = (80, 24)


def speaks_utf8(environment: Dict[str, str]) -> bool:
    """Whether the locale of this environment is one of UTF-8."""
    for name in ("LC_ALL", "LC_CTYPE", "LANG"):
        if environment.get(name):
            return environment[name].lower().replace("-", "").endswith("utf8")
    return False


def first_environment() -> Dict[str, str]:
    """The environment as it was before this Python changed the locale for itself (PEP 538)."""
    try:
        with open("/proc/self/environ", "rb") as file:
            data = file.read().decode("utf-8", "replace")
    except OSError:
        return dict(os.environ)
    pairs = [entry.partition("=") for entry in data.split("\0") if "=" in entry]
    return {name: value for name, _, value in pairs}


def styled(line: Line, colour: bool) -> str:
    """The line as a terminal takes it."""
    if not colour:
        return "".join(text for _, text in line)
    out = ""
    for style, text in line:
        codes = ";".join(_CODES[word] for word in style.split())
        out += "{0}{1}m{2}{0}0m".format(_ESCAPE, codes, text) if codes and text else text
    return out


class Screen:
    """The output of a sandbox."""

    def __init__(self, colour: bool, title: str, settings: str) -> None:
        """``colour``: it is wanted, where the terminal has it; see ``Look`` for the texts."""
        environment = first_environment()
        dumb = environment.get("TERM", "dumb") in ("", "dumb")
        self.is_terminal = os.isatty(1) and not dumb
        #: What somebody types now, prompt included; written again when all is cleared.
        self.typed = lambda: ""     # type: Callable[[], str]
        self._colour = colour and self.is_terminal and not environment.get("NO_COLOR")
        utf8 = speaks_utf8(environment)
        self._encoding = "utf-8" if utf8 else "ascii"
        self._glyphs = picture.UTF8 if utf8 else picture.ASCII
        self._title, self._settings = title, settings
        self._lock = threading.RLock()
        #: Whether the picture lives.
        self.live = False
        # It gives way to a long text; what was drawn, in which size, and the first line of the
        # talk below it.
        self._hidden = False
        self._drawn = ""
        self._size = (0, 0)
        self._talk_from = 1
        self._said = deque(maxlen=200)  # type: Deque[str]

    # ---- the picture

    def open(self, count: int) -> bool:
        """Begin to show a live picture of so many hosts, if there is a terminal for it."""
        columns, lines = self._terminal_size()
        if not self.is_terminal or columns < picture.WIDTH_MIN:
            return False
        needed = picture.height(count, columns) + 1 + _TALK_MIN
        if needed > lines:
            self.say("(In a terminal of {} lines there would be a live picture.)".format(needed))
            return False
        with self._lock:
            self.live = True
            self._write(_ESCAPE + "?1049h")
        return True

    def close(self) -> None:
        """Give the terminal back."""
        with self._lock:
            if self.live:
                self.live = False
                self._write(RESTORE)

    def show(self, before: PoolFacts, after: PoolFacts) -> None:
        """What is known may have changed."""
        with self._lock:
            if not self.live:
                for line in changes(before, after):
                    self.line([("dim", "{:7.1f} s  ".format(after.at_s)), ("", line)])
            elif not self._hidden:
                self._draw(after)

    def status(self, facts: PoolFacts) -> None:
        """The picture once, among the lines; where it lives, nothing."""
        with self._lock:
            if not self.live:
                for line in picture.draw(facts, self._look(self._terminal_size()[0])):
                    self._write(styled(line, self._colour).rstrip() + "\n")

    # ---- the talk

    def say(self, text: str, style: str = "") -> None:
        """A paragraph, wrapped; later lines are indented as the first is."""
        width = min(_TEXT_WIDTH_MAX, self._terminal_size()[0] - 1)
        indent = " " * (len(text) - len(text.lstrip(" ")))
        for part in textwrap.wrap(text, width, subsequent_indent=indent) or [""]:
            self.line([(style, part)])

    def line(self, line: Line) -> None:
        """One line."""
        with self._lock:
            text = styled(line, self._colour)
            self._said.append(text)
            self._write(text + "\n")

    def long(self, text: str, wait: Callable[[], None]) -> None:
        """A text that may have no room below the picture: on the ordinary screen, then ``wait``."""
        lines = text.rstrip("\n").split("\n")
        columns, rows = self._terminal_size()
        room = rows - self._talk_from - 1
        if not self.live or (len(lines) <= room and max(map(len, lines)) < columns):
            for line in lines:
                self.line([("", line)])
            return
        with self._lock:
            self._hidden = True
            self._write(RESTORE + "\n".join(lines) + "\n")
        try:
            wait()
        finally:
            with self._lock:
                self._hidden = False
                self._size = (0, 0)
                self._write(_ESCAPE + "?1049h")

    # ---- writing

    def _look(self, columns: int) -> Look:
        return Look(width=columns, glyphs=self._glyphs, title=self._title,
                    settings=self._settings)

    def _terminal_size(self) -> Tuple[int, int]:
        if not self.is_terminal:
            return _NO_TERMINAL
        try:
            columns, lines = os.get_terminal_size(1)
        except OSError:
            return _NO_TERMINAL
        # A terminal that does not know its size says 0.
        return (columns, lines) if columns > 0 and lines > 0 else _NO_TERMINAL

    def _draw(self, facts: PoolFacts) -> None:
        size = self._terminal_size()
        columns, rows = size
        # A terminal that has become too small shows what fits.
        lines = picture.draw(facts, self._look(columns))[:max(0, rows - 1 - _TALK_MIN)]
        lines.append([("dim", self._glyphs.box[4] * columns)])
        out = "".join("{0}{1};1H{2}{0}0K".format(_ESCAPE, number, styled(line, self._colour))
                      for number, line in enumerate(lines, 1))
        if size != self._size:
            self._size = size
            self._talk_from = len(lines) + 1
            self._begin_talk(rows)
        elif out == self._drawn:
            return
        self._drawn = out
        # Saved and restored: the cursor stays where somebody types.
        self._write("\x1b7{0}?25l{1}\x1b8{0}?25h".format(_ESCAPE, out))

    def _begin_talk(self, rows: int) -> None:
        """Clear all, make the region of the talk, and repeat the last of it there."""
        tail = list(self._said)[-max(1, rows - self._talk_from):]
        self._write("{0}2J{0}{1};{2}r{0}{2};1H".format(_ESCAPE, self._talk_from, rows)
                    + "".join(line + "\r\n" for line in tail) + self.typed())

    def _write(self, text: str) -> None:
        data = text.encode(self._encoding, "replace")
        with self._lock:
            if sys.stdout is not None:
                sys.stdout.flush()
            while data:
                try:
                    data = data[os.write(1, data):]
                except BlockingIOError:
                    select.select([], [1], [])
                except OSError as error:
                    raise XhaError(ExitCode.SYSTEM_ERROR, "output cannot be written: {}".format(
                        error.strerror)) from error
