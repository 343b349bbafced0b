"""The deliberate mistakes of tests/mutations still apply to the code as it is.

Whether the simulator finds them is shown by ``tests/mutations/run.py``, which takes long.
"""
import os
import sys

import pytest

from xha import simrun, simscript

sys.path.insert(0, os.path.join(
    os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "mutations"))
import mutants  # noqa: E402  (no package: run.py imports it the same way)
import run  # noqa: E402


@pytest.mark.parametrize("mutant", mutants.MUTANTS, ids=[one.name for one in mutants.MUTANTS])
def test_a_mutant_applies_exactly_once_and_compiles(mutant):
    texts = mutants.mutated(mutant)
    assert texts
    for room, text in texts.items():
        assert text != mutants.read(room)
        compile(text, room + ".py", "exec")


def test_a_mutant_that_no_longer_applies_is_refused():
    edit = mutants.Edit(room="timing", before="return", after="yield")
    lost = mutants.Edit(room="timing", before="no such line", after="")
    for one in (edit, lost):
        with pytest.raises(mutants.DoesNotApply):
            mutants.mutated(mutants.Mutant(
                name="moved", mistake="", edits=(one,), survives=""))


def test_names_are_unique_and_mistakes_are_said():
    names = [one.name for one in mutants.MUTANTS]
    assert len(set(names)) == len(names)
    assert all(one.mistake for one in mutants.MUTANTS)
    assert len([one for one in mutants.MUTANTS if not one.survives]) >= 18


@pytest.mark.parametrize("name", run.written_stories())
def test_a_story_is_of_a_mutant_and_ends_well_without_the_mistake(name):
    assert not mutants.named(name).survives
    result = simrun.run(simscript.commands_of(run.read_story(name)))
    assert (result.ending, result.text) == (simrun.Ending.WELL, "")


@pytest.mark.parametrize("known, tries", [
    (None, [["no-margin"]]),
    ("story", [["no-margin"]]),
    ("08-cut-two-from-one", [["08-cut-two-from-one"], ["no-margin"]]),
    ("7", [[7], ["no-margin"]])])
def test_what_found_a_mutant_is_tried_first_and_then_its_story(known, tries):
    assert run.tries_of(mutants.named("no-margin"), known, [1, 2]) == tries + [
        run.written_stories(run.SCENARIOS), [1, 2]]


def test_what_is_known_alone_may_be_tried():
    assert run.tries_of(mutants.named("no-margin"), "story", []) == [["no-margin"]]
    assert run.tries_of(mutants.named("weights-ignored"), "test_survival_model", []) == [
        "test_survival_model"]
