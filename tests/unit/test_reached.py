"""Whatever of the core no story reaches says why; whoever says so without need is found out."""
import os
import sys

import pytest

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.path.insert(0, ROOT)

from tools.reached import Missed, core, judge  # noqa: E402

NOTHING = set()

GUARD = """\
def look(peer):
    if peer is None:{0}
        {1}say(peer)
        return 1{2}
    return 2
"""

JUDGED = [
    # at the if  above the block  in the block  lines   branches  complaints at  why
    ("",         "",              "",           NOTHING, NOTHING, [],            "all is reached"),
    ("",         "",              "",           {3, 4}, {(2, 3)}, [3, 4],        "no reason"),
    ("X",        "",              "",           {3, 4}, {(2, 3)}, [],            "at the if"),
    ("",         "X",             "",           {4, 5}, {(2, 4)}, [],            "above the block"),
    ("",         "",              "X",          {3, 4}, {(2, 3)}, [3],           "too late"),
    ("",         "",              "",           NOTHING, {(2, 5)}, [2],          "always taken"),
    ("X",        "",              "",           NOTHING, {(2, 5)}, [],           "and says so"),
    ("X",        "",              "",           NOTHING, NOTHING, [2],           "stale at the if"),
    ("",         "X",             "",           NOTHING, NOTHING, [4],           "stale above it"),
    ("X",        "",              "",           {5},    {(2, 5)}, [],            "never left"),
]


@pytest.mark.parametrize("at_if, above, inside, lines, branches, complaints, why", JUDGED,
                         ids=[row[-1] for row in JUDGED])
def test_a_complaint_is_made(at_if, above, inside, lines, branches, complaints, why):
    reason = "# unreached: the format refuses it"
    text = GUARD.format("  " + reason if at_if else "", reason + "\n        " if above else "",
                        "  " + reason if inside else "")
    found = judge(text, Missed(lines=lines, branches=branches))
    assert [line for line, _ in found] == complaints


def test_a_comment_speaks_for_what_it_is_above_of_and_for_no_more():
    text = ("def one():\n    '''Text.'''\n    # unreached: because\n    a()\n    b()\n\n\n"
            "def other():\n    c()\n")
    found = judge(text, Missed(lines={4, 5, 9}, branches=NOTHING))
    assert found == [(9, "no story comes here")]


def test_a_reason_must_be_given():
    text = "if a:\n    b()  # unreached:\n"
    assert judge(text, Missed(lines={2}, branches={(1, 2)}))


def test_the_core_is_that_of_the_tidiness_test():
    rooms = core()
    assert os.path.join("src", "masterlock.py") in rooms and len(rooms) >= 20
    assert all(os.path.exists(os.path.join(ROOT, room)) for room in rooms)
