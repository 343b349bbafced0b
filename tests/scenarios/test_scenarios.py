"""Every story's trace is what it was when somebody found each line right.

``pytest tests/scenarios --rewrite`` records what happens now: commit that only with the
reason why each changed line is right.  The invariants are checked after every event.
"""

import glob
import os

import pytest

from xha import catalogue, simscript
from xha.simcheckers import Breach
from xha.simstory import Story

#: The same on every Python: seeds that are told on the oldest and the newest show that.
pytestmark = pytest.mark.ends

HERE = os.path.dirname(os.path.abspath(__file__))
STORIES = sorted(glob.glob(os.path.join(HERE, "*.scn")))

with open(os.path.join(os.path.dirname(os.path.dirname(HERE)), "sysloglist"),
          encoding="ascii") as stream:
    CATALOGUE = catalogue.parse(stream.read())


def told(text):
    """The story with the trace that it gives now; comments and blank lines stay."""
    story = Story(CATALOGUE)
    lines = []
    for line in text.splitlines():
        if simscript.TRACE.match(line):
            continue
        lines.append(line)
        if line and not line.startswith("#"):
            try:
                lines += story.tell(line)
            except Breach as breach:
                lines.append("breach: {}".format(breach))
                break
    return "\n".join(lines) + "\n"


@pytest.mark.parametrize("path", STORIES, ids=[os.path.basename(path) for path in STORIES])
def test_a_story_ends_as_it_was_found_right(path, request):
    with open(path, encoding="ascii") as stream:
        expected = stream.read()
    found = told(expected)
    if request.config.getoption("--rewrite", default=False):
        with open(path, "w", encoding="ascii") as stream:
            stream.write(found)
        return
    assert found.splitlines() == expected.splitlines()


def test_the_same_story_is_told_the_same_again():
    """Nothing but the seed decides: not the clock of this machine, nor the order of a set."""
    with open(STORIES[-1], encoding="ascii") as stream:
        text = stream.read()
    assert told(text) == told(text)
