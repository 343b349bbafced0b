"""The operators' page of messages is the catalogue, whole and up to date."""
import os
import re
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.path.insert(0, ROOT)

from tools import messages  # noqa: E402
from xha import catalogue, syslogger  # noqa: E402

PAGE = os.path.join(ROOT, "docs", "messages.md")
CATALOGUE = syslogger.load_catalogue()


def test_the_page_is_what_the_catalogue_gives(request):
    made = messages.page(CATALOGUE)
    if request.config.getoption("--rewrite"):
        with open(PAGE, "w", encoding="ascii") as stream:
            stream.write(made)
    with open(PAGE, encoding="ascii") as stream:
        assert stream.read() == made, "make it anew: pytest tests/unit/test_messages.py --rewrite"


def test_every_message_has_its_place_under_its_level_and_is_listed_there():
    made = messages.page(CATALOGUE)
    placed = {}
    for section in made.split("\n## ")[1:]:
        level = section.partition(":")[0]
        names = re.findall(r"^### (\S+)$", section, re.MULTILINE)
        assert re.findall(r"\]\(#(\S+)\)", section) == names
        placed.update((name, level) for name in names)
    assert placed == {name: CATALOGUE[name].level for name in CATALOGUE.names()}
    assert [level for level, _ in messages.LEVELS] == list(catalogue.LEVELS)


def test_an_entry_says_its_text_what_it_means_and_what_to_do():
    one = catalogue.parse(
        "disk-slow  warning  repeats\n    A {kind} took {ms} ms.\n\n    It is <slow>, see\n"
        "    `ha_x` and ha_* of both.\n\n    Operator: look at some_disk.\n")
    assert messages.page(one).split("\n### ")[1].split("\n## ")[0].split("\n\n") == [
        "disk-slow", "    A {kind} took {ms} ms.",
        "It is \\<slow>, see `ha_x` and ha\\_\\* of both.",
        "*warning, repeats.* **What to do:** look at some\\_disk.\n"]
