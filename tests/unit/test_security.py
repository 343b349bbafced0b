"""SECURITY.md is true where a test can tell: what it points to is there, and nothing is left out.

Source: spec 14 and the promise of that page.
"""
import os
import re

import pytest

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))


def text():
    with open(os.path.join(ROOT, "SECURITY.md"), encoding="ascii") as stream:
        return stream.read()


NAMED = sorted(set(re.findall(r"`((?:tests|docs|src)/[a-zA-Z0-9_./-]+|[A-Z]+\.md)`", text())))


def test_it_names_what_shows_it():
    assert len([name for name in NAMED if name.startswith("tests/")]) >= 6


@pytest.mark.parametrize("name", NAMED)
def test_what_it_names_exists(name):
    assert os.path.exists(os.path.join(ROOT, name)), name


@pytest.mark.parametrize("part", ["Who is trusted", "What is defended", "What is not defended",
                                  "How to report"])
def test_it_has_each_part_of_a_threat_model(part):
    assert re.search("^## " + part, text(), re.M)
