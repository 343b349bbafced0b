"""What became of a pool, as the commands show it: words, JSON, a page."""

import json

import pytest

from xha import cli
from xha.simoutcome import Recorder
from xha.simpage import as_page
from xha.simrun import run
from xha.simtext import as_json, as_text
from xha.syslogger import load_catalogue

STORIES = {
    "cut": ["pool of 3; started", "0 asks propose-master", "at 10 s: cut net of c",
            "the pool comes to rest"],
    "nobody": ["pool of 2; started", "at 1 s: host all crashes", "at 20 s: look"],
    "alone": ["pool of 1; started", "at 5 s: lose statefile of a", "the pool comes to rest"],
    "many": ["pool of 16; started", "at 1 s: crash p", "the pool comes to rest"],
}


def outcome_of(lines):
    recorder = Recorder()
    result = run(lines, made=recorder.watch, told=recorder.note)
    return recorder.outcome(result, result.began_ms, load_catalogue())


@pytest.fixture(name="outcome", scope="module", params=sorted(STORIES))
def outcome_of_each(request):
    return outcome_of(STORIES[request.param])


def test_the_loser_of_a_cut_is_named_with_its_rule_and_times():
    outcome = outcome_of(STORIES["cut"])
    fate = outcome.fates[2]
    assert fate.state == "down" and "no-survival-rule" in as_text(outcome, 80)
    assert fate.died_at_ms < fate.first_dropped_at_ms <= fate.last_dropped_at_ms
    assert (outcome.master, outcome.liveset) == (0, "110")
    assert "Hosts a and b go on" in as_text(outcome, 100)


@pytest.mark.parametrize("width", [60, 80, 132])
def test_words_are_ascii_and_fit(outcome, width):
    text = as_text(outcome, width)
    assert all(ord(letter) < 128 for letter in text)
    assert max(len(line) for line in text.splitlines()) <= width


def test_the_json_has_every_host(outcome):
    facts = json.loads(as_json(outcome))
    assert len(facts["hosts"]) == len(outcome.fates)
    assert as_json(outcome) == as_json(outcome)


def test_a_page_is_whole_and_refers_to_nothing_outside(outcome):
    page = as_page(outcome, "what if <b> & \"c\"?")
    assert page.lstrip().lower().startswith("<!doctype html")
    assert page.rstrip().endswith("</html>")
    assert "<svg" in page
    assert "<b> &" not in page
    for reference in (" src=", "@import", "url(http", "<link"):
        assert reference not in page
    for fate in outcome.fates:
        assert fate.address in page


def test_the_commands_write_a_page_beside_their_answer(tmp_path, capfd):
    page = tmp_path / "page.html"
    code = cli.main("xha.pyz", ["what-if", "--hosts=2", "--html={}".format(page),
                                "--format=json", "crash b"])
    out, _ = capfd.readouterr()
    assert code == 0
    assert json.loads(out)["hosts"]
    assert page.read_text(encoding="utf-8").rstrip().endswith("</html>")
    assert [entry.name for entry in tmp_path.iterdir()] == ["page.html"]


def test_a_page_that_cannot_be_written_is_2(tmp_path, capfd):
    code = cli.main("xha.pyz", ["what-if", "--hosts=2", "--html={}/no/page".format(tmp_path),
                                "crash b"])
    assert code == 2
    assert "no/page" in capfd.readouterr()[1]
