"""docs/attacks.md is true: every attack is there, says what must come of it, and names its tests.

What is asked for: silent, slow, huge and malformed clients, 1000 at once, used up descriptors,
other users; kill -9, SIGSTOP, memory, full, read-only and hung disks, a hung syslog, storms of
signals, clocks that jump, suspended machines, processors that are taken, libraries that fail.
"""
import os
import re

import pytest

from test_lessons import QUOTED_TEST, SCENARIOS, STORIES, TESTS, functions_of, text_of

#: Tests of real daemons, or of real processes of theirs.
REAL = ("tests/e2e/", "tests/xen/", "tests/archive/", "tests/unit/test_daemon.py",
        "tests/unit/test_userwatchdog.py")

#: Every attack, in the page's order, and how it ends: a word that its "Must" begins with, or
#: holds where that depends.
ATTACKS = [
    ("Silent clients", "go on"), ("A byte a second", "go on"), ("Huge requests", "go on"),
    ("Malformed requests", "go on"), ("1000 at once", "go on"),
    ("Answers that nobody takes", "go on"), ("Clients that vanish", "go on"),
    ("Descriptors used up", "go on"), ("Another user", "go on"),
    ("kill -9", "end"), ("SIGSTOP and SIGCONT", "for less than Wh go on"),
    ("Other signals", "go on"), ("A thread dies", "end, with exit code 127"),
    ("The timers' process dies", "go on"), ("Out of memory", "end, with exit code 127"),
    ("Full and read-only file systems", "go on"), ("/var/log hangs", "go on"),
    ("Syslog hangs", "go on"), ("The clock jumps", "go on"),
    ("A suspended machine", "for less than Wh go on"),
    ("Real-time tasks take the processor", "of a lower priority than 48: go on"),
    ("A library that cannot be loaded", "no start"),
]

PAGE = text_of("docs", "attacks.md")
PARTS = re.split(r"^## (.*)$", PAGE, flags=re.M)
SECTIONS = dict(zip(PARTS[1::2], PARTS[2::2]))


def test_the_page_is_of_these_attacks():
    assert PARTS[1::2] == [attack for attack, _ in ATTACKS]


@pytest.mark.parametrize("attack, must", ATTACKS, ids=[row[0] for row in ATTACKS])
def test_an_attack_says_what_must_come_of_it_and_what_shows_that(attack, must):
    text = SECTIONS[attack].partition("\n# ")[0]
    said = " ".join(text.split())
    assert "*Must:* " in said and must in said.split("*Must:* ")[1], said
    tests, stories = TESTS.findall(text), STORIES.findall(text)
    for path, function in tests:
        assert function.startswith("test_") and function in functions_of(path), (path, function)
    for story in stories:
        assert os.path.exists(os.path.join(SCENARIOS, story)), story
    assert any(path.startswith(REAL) for path, _ in tests), attack
    assert stories or len(tests) > 1, attack
    # And nothing is named in a way that nobody looks at.
    assert len(QUOTED_TEST.findall(text)) == len(tests) + len(stories), text


def test_the_tests_of_attacks_are_all_on_the_page():
    for module in ("test_attacks_process", "test_attacks_socket"):
        path = "tests/e2e/{}.py".format(module)
        for function in functions_of(path):
            if function.startswith("test_"):
                assert "`{}::{}`".format(path, function) in PAGE, function
