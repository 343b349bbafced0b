"""Lines for people on a terminal of any width: folded at words, below their last cell; colours."""
import fcntl
import os
import pty
import re
import struct
import sys
import termios

import pytest

from xha import findings, folding

FOLDS = [
    # text, width, folded, why
    ("a b c\n", 80, "a b c\n", "what fits stays"),
    ("one two three\n", 9, "one two\nthree\n", "at words"),
    ("name    some words here and there\n", 32, "name    some words here and\n        there\n",
     "below the last cell"),
    ("a    b    some words here\n", 18, "a    b    some\n    words here\n",
     "a cell too far right gives way"),
    ("x" * 80 + " one.  Two\nthree\n", 82, "x" * 80 + "\none.  Two three\n",
     "prose is put together, and a sentence is no cell"),
    ("# " + "x " * 45 + "\n# y\n", 88, "# " + "x " * 42 + "x\nx x\n# y\n", "headers are not"),
    ("name    some words\n        here\n", 15, "name    some\n    words here\n",
     "what was folded is put together first"),
    ("name    some words\n        here\n", 18, "name    some words\n        here\n",
     "if it does not fit"),
    ("   -> do this now\n", 12, "   -> do\n    this now\n", "advice"),
    ("/a/very/long/path\n", 5, "/a/very/long/path\n", "a word is never cut"),
    ("\n  x\n\n", 3, "\n  x\n\n", "empty lines stay"),
]


@pytest.mark.parametrize("text, width, folded, why", FOLDS, ids=[row[-1] for row in FOLDS])
def test_text_is_folded(text, width, folded, why):
    assert folding.fold(text, width) == folded


WORDS = findings.as_text([
    findings.warning("State-File", "it is a file: " + "whether others see it " * 5, "use " * 30),
    findings.ok("python", "CPython 3.6.15"),
    findings.unknown("firewall", "it cannot be told " * 8)])


@pytest.mark.parametrize("width", [20, 40, 60, 80, 99, 100, 200])
def test_nothing_is_lost_and_nothing_is_wider(width):
    folded = folding.fold(WORDS, width)
    assert folded.split() == WORDS.split()
    longest = max(len(word) for word in WORDS.split())
    assert all(len(line) <= max(width, 28 + longest) for line in folded.split("\n"))
    if width >= 40:
        assert all(len(line) <= width for line in folded.split("\n"))
    if width >= 100:
        assert folded == WORDS


SEEN = [
    # line, what is seen in it
    ("FAILURE  watchdog       no", "FAILURE"), ("WARNING  x              y", "WARNING"),
    ("  UNKNOWN  time-outs", "UNKNOWN"), ("  NOT SAFE: the latest", "NOT SAFE"),
    ("2023-11-14T22:13:20.000Z  0  err      x", "err"),
    ("2023-11-14T22:13:20.000Z  0 (uuid-a)  warning  x", "warning"),
    ("2023-11-14T22:13:20.000Z  1  -        THE MACHINE WAS BOOTED ANEW", "THE MACHINE WAS "
                                                                         "BOOTED ANEW"),
    ("2023-11-14T22:13:20.000Z  1  notice   an err  or", None), ("ok       FAILURE", None),
]


@pytest.mark.parametrize("line, seen", SEEN, ids=[str(number) for number in range(len(SEEN))])
def test_what_is_grave_is_coloured_and_nothing_else(line, seen):
    coloured = folding.fold(line, 200, True)
    assert re.findall("\x1b\\[[0-9;]+m(.*?)\x1b\\[0m", coloured) == ([seen] if seen else [])
    assert re.sub("\x1b\\[[0-9;]+m", "", coloured) == line


def on_a_terminal(width, environment):
    """What a Python prints that has a terminal of its own."""
    script = ("import sys; sys.path[:0] = sys.argv[1:]\nimport conftest\n"
              "from xha import folding\nfolding.show('WARNING  ' + 'word ' * 30 + '\\n')\n")
    child, terminal = pty.fork()
    if child == 0:
        os.execve(sys.executable, [sys.executable, "-B", "-c",
                                   "import sys; sys.stdin.readline()\n" + script,
                                   os.path.dirname(os.path.dirname(os.path.abspath(__file__)))],
                  environment)
    fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", 40, width, 0, 0))
    os.write(terminal, b"\n")
    data = b""
    try:
        while True:
            part = os.read(terminal, 65536)
            if not part:
                break
            data += part
    except OSError:
        pass    # The child has ended.
    os.close(terminal)
    os.waitpid(child, 0)
    return data.decode("ascii").replace("\r\n", "\n")


COLOURS = [({"TERM": "xterm"}, True), ({"TERM": "xterm", "NO_COLOR": "1"}, False),
           ({"TERM": "dumb"}, False), ({}, False)]


@pytest.mark.parametrize("environment, colours", COLOURS, ids=["xterm", "NO_COLOR", "dumb", "none"])
def test_a_terminal_gets_lines_of_its_width_and_colours_where_it_has_them(environment, colours):
    shown = on_a_terminal(40, environment)
    assert ("\x1b[" in shown) is colours, shown
    lines = re.sub("\x1b\\[[0-9;]+m", "", shown).split("\n")
    assert max(len(line) for line in lines) <= 40 and shown.count("word") == 30


def test_a_pipe_gets_the_text_as_it_is(capfd):
    text = "WARNING  " + "word " * 60 + "\n"
    folding.show(text)
    assert capfd.readouterr().out == text
