"""tests/scenarios/README.md leads to every story, once."""
import os
import re

SCENARIOS = os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "scenarios")


def listed():
    """(text, target) of each line of a group."""
    with open(os.path.join(SCENARIOS, "README.md"), encoding="ascii") as stream:
        return re.findall(r"^- \[(.+)\]\((.+)\): .", stream.read(), re.M)


def test_every_story_is_listed_once():
    names = [name for name in os.listdir(SCENARIOS) if name.endswith(".scn")]
    assert sorted(target for _, target in listed()) == sorted(names)
    assert all(text == target for text, target in listed())


def test_a_number_names_one_story():
    numbers = [target.split("-")[0] for _, target in listed()]
    assert len(set(numbers)) == len(numbers)


def test_what_breaks_the_original_is_shown_by_stories_that_exist():
    numbers = {target.split("-")[0] for _, target in listed()}
    with open(os.path.join(SCENARIOS, "README.md"), encoding="ascii") as stream:
        rows = re.findall(r"^\| [\d-]+ \| .* \| (.*) \|$", stream.read(), re.M)
    assert len(rows) >= 10
    for row in rows:
        assert set(re.findall(r"\b\d{2,3}\b", row)) <= numbers, row
