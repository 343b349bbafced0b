"""The deliberate mistakes of tests/mutations still apply to the code as it is.

Whether the simulator finds them is shown by ``tests/mutations/run.py``, which takes long.
"""
import os
import sys

import pytest

sys.path.insert(0, os.path.join(
    os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "mutations"))
import mutants  # noqa: E402  (no package: run.py imports it the same way)


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
