"""docs/lessons.md is true: each line of what breaks the original is there, with tests that exist.

Source: spec 14, "Each is a test of ours".
"""
import ast
import functools
import os
import re

import pytest

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
SCENARIOS = os.path.join(ROOT, "tests", "scenarios")

#: Rooms of tests in which real daemons, of the archive, run on a real machine.
REAL = ("tests/e2e/", "tests/xen/")

#: What a line of the specification names, and its section must: words, line.
NAMED = [
    ("1", ["pool of 3 and of 8"]), ("2", ["64 hosts at 0.4 s with T2 = 30"]),
    ("9", ["fence request", "far sequence", "phase 3", "survival rule 2", "our own identity"]),
    ("10", ["64, 1000, 10^6 or 2^32-1"]),
    ("15", ["too short", "not hexadecimal", "missing", "twice", "port 70000", "T1 of 0, -5 or",
            "t1 of 0", "without address", "IPv4 and IPv6 mixed"]),
    ("18", ["spec 13", "not built yet"]), ("23", ["spec 13", "not built yet"]),
]


def text_of(*names):
    with open(os.path.join(ROOT, *names), encoding="ascii") as stream:
        return stream.read()


def sections():
    """(number or name, its text) of each section of the page."""
    parts = re.split(r"^## (\d+|Bootstrapping)\b.*$", text_of("docs", "lessons.md"), flags=re.M)
    titles = re.findall(r"^## .*$", text_of("docs", "lessons.md"), flags=re.M)
    return [(name, title + text) for name, title, text in zip(parts[1::2], titles, parts[2::2])]


@functools.lru_cache(None)
def functions_of(path):
    """The tests at the top of a module, by name."""
    tree = ast.parse(text_of(*path.split("/")), path)
    return {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}


SECTIONS = sections()
BY_NAME = dict(SECTIONS)
TESTS = re.compile(r"`(tests/[a-z0-9_/]+\.py)::(\w+)`")
STORIES = re.compile(r"`(\d+-[a-z0-9-]+\.scn)`")
QUOTED_TEST = re.compile(r"`([^`]*(?:\.py|\.scn)[^`]*)`")


def test_every_line_has_its_section_in_order():
    assert [name for name, _ in SECTIONS] == [str(line) for line in range(1, 24)] + [
        "Bootstrapping"]
    for _, text in SECTIONS:
        assert "*The original:* " in text and "*Ours:* " in text, text


@pytest.mark.parametrize("name, words", NAMED, ids=[row[0] for row in NAMED])
def test_a_section_names_what_its_line_names(name, words):
    said = " ".join(BY_NAME[name].split())
    for word in words:
        assert word in said, word


@pytest.mark.parametrize("name, text", SECTIONS, ids=[row[0] for row in SECTIONS])
def test_what_shows_a_line_exists_and_is_a_real_daemon_too(name, text):
    tests, stories = TESTS.findall(text), STORIES.findall(text)
    for path, function in tests:
        assert function.startswith("test_") and function in functions_of(path), (path, function)
    for story in stories:
        assert os.path.exists(os.path.join(SCENARIOS, story)), story
    # One of each kind: what decides, and the daemon in which it does.
    assert any(path.startswith(REAL) for path, _ in tests), name
    assert stories or any(not path.startswith(REAL) for path, _ in tests), name
    # And nothing is named in a way that nobody looks at.
    assert len(QUOTED_TEST.findall(text)) == len(tests) + len(stories), text


def test_the_stories_of_the_list_are_those_of_the_page():
    """tests/scenarios/README.md names, by number, the stories that the page names."""
    rows = re.findall(r"^\| (\d+|-) \| .* \| (.*) \|$", text_of("tests", "scenarios", "README.md"),
                      re.M)
    assert rows
    for line, said in rows:
        text = BY_NAME["Bootstrapping" if line == "-" else line]
        named = {story.split("-")[0] for story in STORIES.findall(text)}
        assert set(re.findall(r"\b\d{2,3}\b", said)) <= named, (line, named)
