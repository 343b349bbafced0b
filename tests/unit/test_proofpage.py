"""The proof page: its numbers are those of ``timing``, its JSON is documented, its text fits."""
import json
import os
import re

import pytest

from xha import cli, client, config, ctlformat, latencies, proofpage, prooftext, report, timing

from report_samples import snapshot
from test_timing import DEFAULT, PERMITTED

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
CONFIG = os.path.join(ROOT, "tests", "fixtures", "xhad_host0.conf")
SETTINGS = config.load(CONFIG)
MEASURED = latencies.Measured(statefile_ms=4, heartbeat_ms=1, oldest_record_ms=900,
                              oldest_heartbeat_ms=-1, source="a test")


@pytest.fixture
def xha(capfd, tmp_path, monkeypatch):
    monkeypatch.setenv("XHA_RUN_DIR", str(tmp_path / "run"))

    def call(*words):
        code = cli.main("/usr/bin/xha.pyz", list(words))
        out, err = capfd.readouterr()
        return code, out, err
    return call


def facts_of(common, measured=None):
    return proofpage.describe(SETTINGS._replace(common=common), CONFIG, measured,
                              "" if measured else "no daemon answers")


def test_the_chain_and_the_inequality_are_those_of_timing():
    for settings in PERMITTED[::97]:
        facts = facts_of(settings)
        for chain, sealed in zip(facts["chains"], (True, False)):
            moments = timing.chain(settings, sealed)
            assert [tuple(one[name] for name in ("name", "earliest_ms", "latest_ms", "why"))
                    for one in chain["moments"]] == [tuple(moment) for moment in moments]
            assert chain["safe"] is (chain["latest_reset_ms"] < chain["earliest_drop_ms"]) is True
            assert chain["margin_ms"] == chain["earliest_drop_ms"] - chain["latest_reset_ms"]
            assert chain["certain_margin_ms"] > 0


def test_the_walk_of_the_defaults():
    walk = facts_of(DEFAULT)["fault_handler"]
    assert [(step["step"], step["at_least_ms"], step["at_most_ms"], step["stuck_after_ms"])
            for step in walk] == [
        ("fhready", 0,     30000, 60000),
        ("fh1",     0,     30000, 60000),
        ("fh2",     0,     60000, 90000),
        ("fh3",     0,     8000,  38000),
        ("fh4",     10000, 72500, 79000)]


def test_the_chain_and_the_walk_of_one_page_agree():
    """From "given up" to "dropped" is the walk; one reading more must agree."""
    for settings in PERMITTED[::97]:
        facts = facts_of(settings)
        steps_ms = sum(step["at_most_ms"] for step in facts["fault_handler"])
        assert facts["fault_handler_at_most_ms"] == steps_ms
        for chain in facts["chains"]:
            latest = {one["name"]: one["latest_ms"] for one in chain["moments"]}
            earliest = {one["name"]: one["earliest_ms"] for one in chain["moments"]}
            assert latest["given up"] + steps_ms <= latest["dropped"]
            assert earliest["given up"] + timing.MINIMUM_WAIT_MS <= earliest["dropped"]
        usual_ms = facts["usually_dropped_within_ms"]
        assert facts["chains"][0]["earliest_drop_ms"] < usual_ms <= latest["dropped"]


def test_every_configured_time_is_shown_and_the_defaults_are_marked():
    rows = {row["element"]: row for row in facts_of(DEFAULT)["times"]}
    assert list(rows) == [name for name, _, _ in config.PARAMETERS]
    assert set(proofpage.MEANINGS) == set(rows)
    assert rows["HeartbeatTimeout"]["value_ms"] == 30000
    assert rows["HeartbeatTimeout"]["is_default"] is True
    assert rows["EnableJoinTimeout"]["is_default"] is False, "91 s in this sample"
    assert (rows["XapiRestartAttempts"]["count"], rows["XapiRestartAttempts"]["value_ms"]) == (
        1, None)


def names_in(value):
    if isinstance(value, dict):
        for name, inner in value.items():
            yield name
            yield from names_in(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from names_in(inner)


def test_every_name_in_the_json_is_documented_and_no_other():
    with open(os.path.join(ROOT, "docs", "timing.md")) as file:
        rows = {line.split("|")[1].strip().strip("`") for line in file if line.startswith("| `")}
    assert rows == set(names_in(facts_of(DEFAULT, MEASURED)))


def check_text(text):
    assert text.endswith("\n") and not text.endswith("\n\n")
    for line in text.splitlines():
        assert len(line) <= prooftext.WIDTH and line == line.rstrip(), line
        assert all(" " <= letter <= "~" for letter in line), line


@pytest.mark.parametrize("measured", [None, MEASURED], ids=["no daemon", "a daemon"])
def test_the_text_fits_and_says_whether_it_is_safe(measured):
    for settings in PERMITTED[::499] + [DEFAULT]:
        text = prooftext.as_text(facts_of(settings, measured))
        check_text(text)
        assert len(re.findall(r"^  SAFE: the latest reset is at ", text, re.M)) == 2
        assert "NOT SAFE" not in text
    assert ("Nothing was measured: no daemon answers." in text) is (measured is None)
    assert "45.140 s < 49.000 s, the earliest drop; 3.860 s to spare" in text


def test_an_unsafe_chain_would_be_shown_as_that():
    facts = facts_of(DEFAULT)
    facts["chains"][0].update(safe=False, margin_ms=-5)
    assert "  NOT SAFE: the latest reset is at 45.140 s >= " in prooftext.as_text(facts)


# The command

def test_without_a_daemon_the_configuration_is_enough(xha):
    code, out, err = xha("timing", "-C", CONFIG)
    assert (code, err) == (0, "")
    assert "Nothing was measured: no daemon answers at" in " ".join(out.split())
    check_text(out)


def test_the_json_is_the_facts(xha):
    code, out, err = xha("timing", "--format=json", "--config=" + CONFIG)
    assert (code, err) == (0, "")
    told = json.loads(out)
    assert told["measured"] is None
    assert told["chains"][1]["peer"] == "xhad"
    assert told["version"] == 1


@pytest.mark.parametrize("generation, measures", [
    (SETTINGS.common.generation_uuid, True), ("0" * 31 + "1", False)],
    ids=["of this configuration", "of another configuration"])
def test_what_the_daemon_measured_is_used_where_it_is_about_this_pool(xha, monkeypatch, generation,
                                                                      measures):
    asked = []

    def call(paths, *words, timeout_s):
        asked.append(words)
        return ctlformat.Reply(0, report.as_json(snapshot(generation_uuid=generation)), "")
    monkeypatch.setattr(client, "call", call)
    code, out, _ = xha("timing", "--format=json", "--config=" + CONFIG)
    told = json.loads(out)
    assert code == 0
    assert asked == [("query", "json", "0")], "looking has no side effect"
    assert (told["measured"] is not None) is measures
    assert told["not_measured_because"] == (
        None if measures else "the daemon that runs has another configuration")


OTHER = "the daemon's answer is not for this version of xha: it is "
ANSWERS = [
    # reply,                                        why nothing was measured,      why
    (ctlformat.Reply(3, "", "no answer in 5 s\n"), "no answer in 5 s", "a hung daemon"),
    (ctlformat.Reply(16, "", ""),                   "the daemon answered with 16",  "no words"),
    (ctlformat.Reply(0, "Starting\n", ""),          OTHER,                          "no JSON"),
    (ctlformat.Reply(0, '{"version": 2}', ""),      OTHER,                          "a later one"),
    (ctlformat.Reply(0, "[]", ""),                  OTHER,                          "a list"),
]


@pytest.mark.parametrize("reply, because, why", ANSWERS, ids=[row[-1] for row in ANSWERS])
def test_a_daemon_that_answers_otherwise_is_no_obstacle(xha, monkeypatch, reply, because, why):
    monkeypatch.setattr(client, "call", lambda paths, *words, timeout_s: reply)
    code, out, _ = xha("timing", "--format=json", "--config=" + CONFIG)
    assert code == 0 and json.loads(out)["not_measured_because"].startswith(because)


@pytest.mark.parametrize("words, code", [
    (["--config=/nowhere/xhad.conf"], 6), (["--config=/dev/null"], 7),
    (["--format=xml", "--config=" + CONFIG], 1), (["now"], 1)])
def test_what_it_cannot_do_ends_with_the_code_of_spec_6(xha, words, code):
    found, out, err = xha("timing", *words)
    assert (found, out, err.count("\n")) == (code, "", 1)
