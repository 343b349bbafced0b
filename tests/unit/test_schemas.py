"""The JSON of every view is of its schema, which is whole, closed, and in the documentation."""
import itertools
import json
import os
import re

import pytest
import format_samples
import test_doctor
import test_historypage
import test_proofpage
import test_sfdump
import test_status
from outcome_samples import ALL, outcome_of
from recorder_samples import HEADER, event, file_of
from report_samples import host_view, snapshot, snapshot_of_64
from schema_reader import complaints, objects

from xha import cli, client, ctlformat, proofpage, report, schemas, sfdump, sfformat, simpool
from xha import simtext
from xha.hostset import HostSet
from xha.published import FencingMode, Phase, PoolState
from xha.snapshot import Latency

# Fixtures of other files: a host for `doctor`, files and a daemon for `status`.
run, host = test_doctor.run, test_doctor.host
files, xha_status = test_status.files, test_status.xha

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
LOADED = {view: schemas.load(view) for view in schemas.VIEWS}


def check(view, text):
    """The JSON that a view printed, which is of its schema."""
    assert text == text.encode("ascii").decode("ascii") and text.endswith("\n")
    told = json.loads(text)
    assert complaints(LOADED[view], told) == []
    return told


# ---- the schemas themselves

@pytest.mark.parametrize("view", sorted(LOADED))
def test_a_schema_is_closed_and_every_object_in_it_says_what_it_must_have(view):
    found = list(objects(LOADED[view]))
    assert found
    for one in found:
        assert one["additionalProperties"] is False
        assert set(one["required"]) <= set(one["properties"])
    assert LOADED[view]["$schema"] == "http://json-schema.org/draft-07/schema#"
    assert "$ref" not in json.dumps(LOADED[view])


def test_there_is_a_file_for_each_view_and_no_other():
    names = os.listdir(os.path.join(ROOT, "docs", "schemas"))
    assert sorted(names) == sorted([view + ".json" for view in schemas.VIEWS] + ["README.md"])
    with open(os.path.join(ROOT, "docs", "schemas", "README.md")) as page:
        text = page.read()
    for view in schemas.VIEWS:
        assert "[{0}.json]({0}.json)".format(view) in text


PAGES = {"dump-statefile": "../src/sfdump.py"}


@pytest.mark.parametrize("view", sorted(LOADED))
def test_every_name_of_a_schema_is_explained_in_the_documentation(view):
    with open(os.path.join(ROOT, "docs", PAGES.get(view, view + ".md"))) as page:
        text = page.read()
    if view == "status":    # It shows two other answers as they are.
        told = dict(LOADED[view]["properties"], answer={}, statefile={})
    elif view == "timeline":    # What changed of a state is named as in the text.
        told = json.loads(json.dumps(LOADED[view]).replace('"waiting_for"', '"phase"'))
        for one in objects(told):
            if "phase" in one["properties"]:
                one["properties"] = {}
    else:
        told = LOADED[view]
    for one in objects(told):
        for name in one["properties"]:
            assert re.search(r"`{}`".format(name), text), name


WRONG = [
    # schema, value, complaints, why
    ({"type": "integer"},                         True,      1, "yes is no number"),
    ({"type": "integer", "minimum": 0},           -1,        1, "too small"),
    ({"type": "integer", "maximum": 5},           6,         1, "too large"),
    ({"type": ["string", "null"]},                None,      0, "nothing, where that may be"),
    ({"type": "string", "pattern": "^a$"},        "b",       1, "another text"),
    ({"enum": [1, None]},                         True,      1, "1 is no yes"),
    ({"enum": [0]},                               False,     1, "nor 0 a no"),
    ({"type": "array", "items": {"type": "null"}, "maxItems": 1}, [None, 1], 2, "a list"),
    ({"type": "object", "properties": {"a": {"type": "null"}}, "required": ["a"],
      "additionalProperties": False},             {"b": 1},  2, "a name missing and one too many"),
    ({"type": "object", "additionalProperties": {"type": "integer"}}, {"b": "x"}, 1, "values"),
    ({"anyOf": [{"type": "null"}, {"type": "string"}]}, 1,   1, "none of both"),
]


@pytest.mark.parametrize("schema, value, count, why", WRONG, ids=[row[-1] for row in WRONG])
def test_the_reader_of_schemas_complains(schema, value, count, why):
    assert len(complaints(schema, value)) == count


def test_the_reader_of_schemas_knows_all_words_of_a_schema():
    with pytest.raises(AssertionError):
        complaints({"type": "integer", "exclusiveMinimum": 0}, 5)


def test_a_name_that_nobody_documented_is_found_everywhere():
    """In each object of a real answer."""
    told = json.loads(report.as_json(snapshot()))
    for change in (lambda: told, lambda: told["hosts"][1], lambda: told["timeouts_ms"],
                   lambda: told["xapi_latency_ms"], lambda: told["warnings"]):
        change()["new"] = 1
        assert len(complaints(LOADED["query-liveset"], told)) == 1
        del change()["new"]


# ---- the command

@pytest.fixture
def xha(capfd):
    def call(*words):
        code = cli.main("xha.pyz", list(words))
        return (code,) + tuple(capfd.readouterr())
    return call


def test_the_command_lists_the_views_and_prints_their_schemas(xha):
    code, out, err = xha("schema")
    assert (code, err) == (0, "")
    assert [line.split()[0] for line in out.splitlines()] == sorted(schemas.VIEWS)
    for view in schemas.VIEWS:
        code, out, err = xha("schema", view)
        assert (code, err) == (0, "") and json.loads(out) == LOADED[view]
    assert xha("schema", "what-if") == xha("schema", "simulate")


def test_a_view_without_a_schema_is_1(xha):
    assert xha("schema", "metrics") == (
        1, "", "xha.pyz schema: metrics: no such view; there are doctor, dump-statefile, "
        "query-liveset, simulate, status, timeline, timing\n")


# ---- query-liveset, and status beside a daemon

SNAPSHOTS = [
    # changes, why
    (dict(), "well"),
    (dict(online=False, pool_state=PoolState.INIT, pool_state_known=False, phase=Phase.STARTING,
          fencing=FencingMode.NONE, current_liveset=HostSet(), waiting_for="the others \u00e9",
          statefile_latency=Latency(last_ms=-1, max_ms=-1, min_ms=-1)), "starting"),
    (dict(phase=Phase.FH4, sr2=True, statefile_access=False, watchdog_mode="USER",
          fencing=FencingMode.DISARMED, master_uuid="1" * 32, holding_lock=True,
          datagrams_refused=(("hmac", 7), ("generation", 2)), xapi_restarts_more_in_ms=5),
     "in trouble"),
    (dict(hosts=[host_view(0), host_view(1, sealed=False, software="", since_heartbeat_ms=-1,
                                         xapi_error="e\u00e9", since_xapi_restart_ms=5,
                                         phase=Phase.ABORTED, master=True)]), "other hosts"),
    (dict(hosts=[host_view(0)], current_liveset=HostSet([0])), "one host"),
]


@pytest.mark.parametrize("changes, why", SNAPSHOTS, ids=[row[-1] for row in SNAPSHOTS])
def test_what_a_daemon_answers(changes, why):
    check("query-liveset", report.as_json(snapshot(**changes)))


def test_what_a_daemon_of_64_hosts_answers():
    assert len(check("query-liveset", report.as_json(snapshot_of_64()))["hosts"]) == 64


@pytest.mark.parametrize("changes, why", SNAPSHOTS, ids=[row[-1] for row in SNAPSHOTS])
def test_status_beside_a_daemon(xha_status, changes, why):
    answer = ctlformat.Reply(0, report.as_json(snapshot(**changes)))
    told = check("status", xha_status(test_status.Daemon(answer), "--format=json")[1])
    assert told["source"] == "daemon"


def test_status_beside_a_daemon_of_64_hosts(xha_status):
    answer = ctlformat.Reply(0, report.as_json(snapshot_of_64()))
    check("status", xha_status(test_status.Daemon(answer), "--format=json")[1])


def no_statefile(files):
    os.unlink(files.statefile)


def no_config(files):
    os.unlink(files.config)


def blank(files):
    with open(files.statefile, "r+b") as stream:
        stream.write(bytes(266240))


DOWN = [(lambda files: None, "statefile"), (no_statefile, "configuration"),
        (no_config, "nothing"), (blank, "statefile")]


@pytest.mark.parametrize("spoil, source", DOWN, ids=["well", "no file", "no config", "blank"])
@pytest.mark.parametrize("reply", [row[0] for row in test_status.ENDS],
                         ids=[row[-1] for row in test_status.ENDS])
def test_status_without_a_daemon(files, xha_status, spoil, source, reply):
    spoil(files)
    told = check("status", xha_status(test_status.Daemon(reply), "--format=json")[1])
    assert told["source"] == source and told["answer"] is None


# ---- dump-statefile

@pytest.mark.parametrize("name", format_samples.IMAGES)
def test_dumps_of_what_the_original_left(name):
    check("dump-statefile", sfdump.as_json(test_sfdump.recorded(name)))


def test_dumps_of_ours_of_damage_and_of_nothing():
    sections = test_sfdump.ours()
    check("dump-statefile", sfdump.as_json(test_sfdump.image_of(sections)))
    sections[3] = b"x" * 4096
    sections[2] = "Input/output error"
    told = check("dump-statefile", sfdump.as_json(test_sfdump.image_of(sections, "caf\u00e9")))
    assert {one["state"] for one in told["hosts"]} >= {"corrupt", "unreadable"}
    for nothing in ([bytes(4096)] * 65, ["no"] * 65):
        told = check("dump-statefile", sfdump.as_json(test_sfdump.image_of(nothing)))
        assert "error" in told["global"]


@pytest.mark.parametrize("seed", range(10))
def test_dumps_of_records_with_anything_in_them(seed):
    chance = format_samples.chance(seed)
    sections = [sfformat.encode_global(format_samples.GLOBAL._replace(host_count=64))]
    sections += [sfformat.encode_host(format_samples.random_host(chance)) for _ in range(64)]
    assert len(check("dump-statefile", sfdump.as_json(
        test_sfdump.image_of(sections)))["hosts"]) == 64


# ---- doctor and timing

def test_doctor_of_a_host_that_is_fit(host, run):
    told = check("doctor", run("doctor", "--seconds=0", "--pool", "--format=json",
                               "--config=" + host.config)[1])
    assert told["local_host"] == 0


@pytest.mark.parametrize("does", [row[0] for row in test_doctor.BREAKS],
                         ids=[row[-1] for row in test_doctor.BREAKS])
def test_doctor_of_a_host_that_is_not(host, run, monkeypatch, does):
    monkeypatch.setenv("XHA_HEALTH_CHECK", "true")
    does(host)
    told = check("doctor", run("doctor", "--seconds=0", "--format=json",
                               "--config=" + host.config)[1])
    assert told["exit_code"]


def test_timing_with_and_without_a_daemon(xha, monkeypatch):
    words = ("timing", "--format=json", "--config=" + test_proofpage.CONFIG)
    assert check("timing", xha(*words)[1])["measured"] is None
    monkeypatch.setattr(client, "call", lambda *_, **__: ctlformat.Reply(
        0, report.as_json(snapshot(
            generation_uuid=test_proofpage.SETTINGS.common.generation_uuid)), ""))
    assert check("timing", xha(*words)[1])["measured"] is not None


@pytest.mark.parametrize("hosts, quick", list(itertools.product((1, 2, 64), (False, True))))
def test_timing_of_small_and_large_pools(hosts, quick):
    settings = simpool.settings_of(hosts, simpool.QUICK if quick else {})[0]
    check("timing", json.dumps(proofpage.describe(settings, "caf\u00e9", None, "no \u00e9")) + "\n")


# ---- timeline

@pytest.mark.parametrize("count", [1, 3, 64])
def test_timeline_of_one_host_and_of_many(tmp_path, xha, count):
    places = []
    for number, source in enumerate(test_historypage.pool(count, 4)):
        place = tmp_path / "{}.recorder".format(number)
        header = source.recording.header._replace(event_slots=64, measure_slots=512)
        place.write_bytes(file_of(source.recording.entries, header))
        places.append(str(place))
    told = check("timeline", xha("timeline", "--measurements", "--format=json", *places)[1])
    assert len(told["recorders"]) == count + 1
    assert {line["kind"] for line in told["lines"]} >= {"begin", "event", "state", "measure"}


def test_timeline_of_a_clock_that_was_set_of_lost_records_and_of_no_lines(tmp_path, xha):
    lost = event(9000)._replace(kind="lost", name="", level="", fields=(("count", 3),))
    late = event(10000)._replace(wall_ms=HEADER.wall_ms - 70000)
    place = tmp_path / "recorder"
    place.write_bytes(file_of([event(1), lost, late], HEADER._replace(host=-1, uuid="")))
    told = check("timeline", xha("timeline", "--format=json", str(place))[1])
    assert [line["kind"] for line in told["lines"]] == ["begin", "event", "lost", "clock", "event"]
    assert check("timeline", xha("timeline", "--format=json", "--since=1s",
                                 str(place))[1])["lines"] == []


# ---- simulate

@pytest.mark.parametrize("name", ALL)
def test_what_became_of_a_pool(name):
    check("simulate", simtext.as_json(outcome_of(name)))
