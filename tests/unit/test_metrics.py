"""Metrics: what a strict reader makes of them, and what they say of a snapshot."""
import os
import re
import stat

import pytest
from openmetrics_reader import Invalid, read
from report_samples import (approach, host_view, margin, margins, near_misses, slow_night, snapshot,
                            snapshot_of_64, uuid_of)

from xha import acceptance, cli, ctlformat, hbformat, metrics, openmetrics, replacing, report
from xha.errors import ExitCode, XhaError
from xha.hostset import EMPTY, HostSet
from xha.openmetrics import COUNTER, GAUGE, Family, Sample, decimal
from xha.paths import Paths
from xha.published import FencingMode, Phase, PoolState
from xha.snapshot import Latency

HERE = os.path.dirname(os.path.abspath(__file__))
CONFIG = os.path.join(os.path.dirname(HERE), "fixtures", "xhad_host0.conf")
DOCUMENTED = os.path.join(os.path.dirname(os.path.dirname(HERE)), "docs", "metrics.md")

# The reader is strict

BAD = [
    # text                                                              why
    ("",                                                                "nothing"),
    ("# EOF",                                                           "no line end"),
    ("a 1\n# EOF\n",                                                    "no type"),
    ("# TYPE a gauge\n# HELP a b\na 1",                                 "no end"),
    ("# TYPE a gauge\n# HELP a b\n# EOF\n",                             "no sample"),
    ("# TYPE a gauge\na 1\n# EOF\n",                                    "no help"),
    ("# HELP a b\n# TYPE a gauge\na 1\n# EOF\n",                        "help first"),
    ("# TYPE a info\n# HELP a b\na_info 1\n# EOF\n",                    "a type that breaks files"),
    ("# TYPE a counter\n# HELP a b\na 1\n# EOF\n",                      "no _total"),
    ("# TYPE a_total counter\n# HELP a_total b\na_total 1\n# EOF\n",    "_total in the family"),
    ("# TYPE a counter\n# HELP a b\na_total -1\n# EOF\n",               "a counter below 0"),
    ("# TYPE a gauge\n# HELP a b\na 1\na 2\n# EOF\n",                   "twice"),
    ("# TYPE a gauge\n# HELP a b\na 1 1700000000\n# EOF\n",             "a time stamp"),
    ("# TYPE a gauge\n# HELP a b\na one\n# EOF\n",                      "no number"),
    ("# TYPE a gauge\n# HELP a b\na{x=\"1\",x=\"2\"} 1\n# EOF\n",       "a label twice"),
    ("# TYPE a gauge\n# HELP a b\na{x=\"\\t\"} 1\n# EOF\n",             "an escape that is none"),
    ("# TYPE a gauge\n# HELP a b\na{x=\"1} 1\n# EOF\n",                 "a label without an end"),
    ("# TYPE a_seconds gauge\n# HELP a_seconds b\na_seconds 1\n# EOF\n", "no unit"),
    ("# TYPE a gauge\n# UNIT a seconds\n# HELP a b\na 1\n# EOF\n",      "a unit of another name"),
    ("# TYPE a gauge\n# HELP a b\na 1\n\n# EOF\n",                      "an empty line"),
    ("# TYPE a gauge\n# HELP a b\na 1\n# TYPE b gauge\n# HELP b b\nb 1\na{x=\"1\"} 1\n# EOF\n",
     "interleaved"),
]


@pytest.mark.parametrize("text, why", BAD, ids=[row[-1] for row in BAD])
def test_the_reader_of_these_tests_refuses_what_is_invalid(text, why):
    with pytest.raises(Invalid):
        read(text)


# The writer

def test_labels_come_through_whatever_is_in_them():
    for value in ('a"b', "a\\b", "a\nb", "\\n", "\\\"", "", "a,b=\"c\"}"):
        text = openmetrics.render([Family(name="a", kind=GAUGE, meaning="b", samples=(
            Sample(labels=(("x", value), ("y", "")), number="1"),))])
        assert read(text)[0] == {("a", (("x", value), ("y", ""))): "1"}


def test_a_family_without_samples_is_left_out():
    assert openmetrics.render([Family(name="a", kind=GAUGE, meaning="b", samples=())]) == "# EOF\n"


@pytest.mark.parametrize("name, kind, meaning, count", [
    ("a_total", COUNTER, "b", 1), ("9a", GAUGE, "b", 1), ("a", "info", "b", 1),
    ("a", GAUGE, "b\nc", 1), ("a", GAUGE, 'a "b"', 1), ("a", GAUGE, "b", 2)])
def test_what_would_be_invalid_is_never_written(name, kind, meaning, count):
    samples = (Sample(labels=(), number="1"),) * count
    with pytest.raises(AssertionError):
        openmetrics.render([Family(name=name, kind=kind, meaning=meaning, samples=samples)])


@pytest.mark.parametrize("age_ms, text", [
    (0, "0.000"), (1, "0.001"), (999, "0.999"), (60000, "60.000"), (86400001, "86400.001"),
    (-1, "-0.001")])
def test_milliseconds_are_seconds_to_the_digit(age_ms, text):
    assert decimal(age_ms) == text


# What is said

def value(samples, name, **labels):
    """The one sample of a name with these labels, whatever others it has."""
    found = [number for (sample, has), number in samples.items()
             if sample == name and set(labels.items()) <= set(has)]
    assert len(found) == 1, (name, labels, found)
    return found[0]


SICK = snapshot(
    hosts=[host_view(0, master=False), host_view(
        1, live=False, master=True, statefile_access=False, statefile_corrupted=True,
        excluded=True, starting=True, phase=Phase.FH2, weight=7, sealed=False, software="",
        since_heartbeat_ms=4321, since_statefile_ms=-1, since_xapi_restart_ms=15,
        xapi_error="bad", xapi_held_ms=61500, disarmed=True, disarm_term_ms=1500),
           host_view(2, since_xapi_restart_ms=-1)],
    online=False, fencing=FencingMode.DISARMED, excluded=True, phase=Phase.FH2, waiting_for="it",
    holding_lock=True, master_uuid=uuid_of(1), statefile_access=False, statefile_corrupted=True,
    global_corrupted=True, sr2=True, accelerated=True, keyed=False, bond_error=True,
    watchdog_mode="USER", pool_state=PoolState.INVALID, current_liveset=HostSet([0, 2]),
    proposed_liveset=HostSet([0]), heartbeat_domain=HostSet([0, 1, 2]), statefile_domain=EMPTY,
    xapi_restarts_left=0, xapi_restarts_more_in_ms=90000,
    statefile_latency=Latency(last_ms=11, max_ms=22, min_ms=3),
    datagrams_refused=(("seal", 12), ("weather", 1)))

SAID = [
    # sample, labels                                        well        sick
    ("xha_up", {},                                          "1",        "1"),
    ("xha_build_info", {"software": "xha 1.0.0", "build": "b0"}, "1",   "1"),
    ("xha_online", {},                                      "1",        "0"),
    ("xha_armed", {},                                       "1",        "0"),
    ("xha_fencing_mode", {"mode": "disarmed"},              "0",        "1"),
    ("xha_watchdog_mode", {"mode": "user"},                 "0",        "1"),
    ("xha_excluded", {},                                    "0",        "1"),
    ("xha_fault_handler_running", {},                       "0",        "1"),
    ("xha_phase", {"phase": "fh2"},                         "0",        "1"),
    ("xha_waiting", {},                                     "0",        "1"),
    ("xha_master_lock_held", {},                            "0",        "1"),
    ("xha_master_known", {},                                "0",        "1"),
    ("xha_statefile_accessible", {},                        "1",        "0"),
    ("xha_statefile_corrupted", {},                         "0",        "1"),
    ("xha_global_record_corrupted", {},                     "0",        "1"),
    ("xha_survival_rule_2", {},                             "0",        "1"),
    ("xha_accelerated", {},                                 "0",        "1"),
    ("xha_heartbeats_authenticated", {},                    "1",        "0"),
    ("xha_bond_degraded", {},                               "0",        "1"),
    ("xha_pool_state", {"state": "active"},                 "1",        "0"),
    ("xha_pool_state", {"state": "invalid"},                "0",        "1"),
    ("xha_pool_state", {"state": "unknown"},                "0",        "0"),
    ("xha_configured_hosts", {},                            "3",        "3"),
    ("xha_liveset_hosts", {},                               "3",        "2"),
    ("xha_proposed_liveset_hosts", {},                      "3",        "1"),
    ("xha_heartbeat_domain_hosts", {},                      "3",        "3"),
    ("xha_statefile_domain_hosts", {},                      "3",        "0"),
    ("xha_excluded_hosts", {},                              "0",        "1"),
    ("xha_heartbeat_timeout_seconds", {},                   "5.000",    "5.000"),
    ("xha_statefile_watchdog_timeout_seconds", {},          "8.000",    "8.000"),
    ("xha_statefile_latency_max_seconds", {},               "0.001",    "0.022"),
    ("xha_statefile_latency_min_seconds", {},               "0.000",    "0.003"),
    ("xha_xapi_restarts_left", {},                          "1",        "0"),
    ("xha_xapi_warning", {"warning": "statefile_lost"},     "0",        "1"),
    ("xha_datagrams_refused_total", {"cause": "seal"},      "0",        "12"),
    ("xha_datagrams_refused_total", {"cause": "own-identity"}, "0",     "0"),
    ("xha_host_live", {"host": "1", "address": "10.99.0.2"}, "1",       "0"),
    ("xha_host_master", {"host_uuid": "10000001-1111-4222-8333-000000000001"}, "0", "1"),
    ("xha_host_local", {"host": "0"},                       "1",        "1"),
    ("xha_host_proposed", {"host": "2"},                    "1",        "0"),
    ("xha_host_excluded", {"host": "1"},                    "0",        "1"),
    ("xha_host_starting", {"host": "1"},                    "0",        "1"),
    ("xha_host_heard", {"host": "1"},                       "1",        "1"),
    ("xha_host_seen", {"host": "1"},                        "1",        "0"),
    ("xha_host_statefile_accessible", {"host": "1"},        "1",        "0"),
    ("xha_host_statefile_corrupted", {"host": "1"},         "0",        "1"),
    ("xha_host_sealed", {"host": "1"},                      "1",        "0"),
    ("xha_host_fault_handler_running", {"host": "1"},       "0",        "1"),
    ("xha_host_xapi_failing", {"host": "1"},                "0",        "1"),
    ("xha_host_disarmed", {"host": "1"},                    "0",        "1"),
    ("xha_host_xapi_held_seconds", {"host": "1"},           "0.000",    "61.500"),
    ("xha_host_weight", {"host": "1"},                      "1",        "7"),
    ("xha_host_heartbeat_age_seconds", {"host": "1"},       "0.300",    "4.321"),
    ("xha_host_statefile_age_seconds", {"host": "0"},       "1.300",    "1.300"),
]


@pytest.mark.parametrize("name, labels, well, sick", SAID,
                         ids=["{} {}".format(row[0], sorted(row[1].items())) for row in SAID])
def test_what_is_so_is_said(name, labels, well, sick):
    healthy, ill = [read(openmetrics.render(metrics.of(one, "b0")))[0]
                    for one in (snapshot(), SICK)]
    assert (value(healthy, name, **labels), value(ill, name, **labels)) == (well, sick)


def test_margins_are_ratios_of_their_time_outs():
    told = snapshot(margins=slow_night()[:-1] + (
        margin("record", 2, limit_ms=60000, hour=approach(31000), day=None),),
        near_misses=near_misses(statefile_write=3))
    samples, _ = read(openmetrics.render(metrics.of(told, "")))
    used = "xha_timeout_used_ratio"
    assert [value(samples, used, path="statefile-write", window=window)
            for window in ("hour", "day", "start")] == ["0.200", "0.820", "0.820"]
    assert value(samples, used, path="record", window="hour") == "0.516", "the closest host"
    assert [value(samples, "xha_host_timeout_used_ratio", path="record", host=host)
            for host in ("1", "2")] == ["0.200", "0.516"]
    assert value(samples, "xha_near_misses_total", path="statefile-write") == "3"
    assert value(samples, "xha_near_misses_total", path="heard") == "0", "from the start"


@pytest.mark.parametrize("bad", [margin("heard", 3), margin("heard", -1), margin("we\nather", 1)])
def test_margins_of_a_later_version_break_nothing(bad):
    read(openmetrics.render(metrics.of(snapshot(
        margins=margins() + (bad,), near_misses=(("we\nather", 1),)), "")))


def test_what_is_not_known_has_no_sample():
    samples, families = read(openmetrics.render(metrics.of(SICK, "")))
    assert not [key for key in samples if key[0] == "xha_host_statefile_age_seconds"
                and ("host", "1") in key[1]]
    assert "xha_xapi_check_latency_seconds" not in families
    assert value(samples, "xha_xapi_restart_regained_seconds") == "90.000"
    assert "xha_xapi_restart_regained_seconds" not in read(
        openmetrics.render(metrics.of(snapshot(), "")))[1]


@pytest.mark.parametrize("told", [
    snapshot(), SICK, snapshot_of_64(), snapshot(hosts=[host_view(0)]),
    snapshot(online=False, pool_state_known=False, pool_state=PoolState.NONE)])
def test_of_every_choice_one_is_so(told):
    samples, _ = read(openmetrics.render(metrics.of(told, "")))
    for name in ("xha_pool_state", "xha_phase", "xha_fencing_mode", "xha_watchdog_mode"):
        assert [number for key, number in samples.items() if key[0] == name].count("1") == 1


def test_64_hosts_are_a_text_that_a_collector_takes():
    text = openmetrics.render(metrics.of(snapshot_of_64()._replace(
        margins=margins(64), near_misses=near_misses()), ""))
    assert len(read(text)[0]) < 1500 and len(text) < 1 << 18


def test_every_cause_of_refusal_has_its_counter_from_the_start():
    """The causes are literals where datagrams are judged."""
    with open(acceptance.__file__) as file:
        judging = file.read()
    with open(hbformat.__file__) as file:
        decoding = file.read()
    causes = set(re.findall(r'return "([a-z-]+)"', judging))
    causes |= set(re.findall(r'DatagramError\(\s*"([a-z-]+)"', decoding))
    causes |= set(acceptance._HARMLESS)
    assert causes == set(metrics.CAUSES)


# Without a daemon

@pytest.fixture(autouse=True)
def place(tmp_path, monkeypatch):
    monkeypatch.setenv("XHA_RUN_DIR", str(tmp_path / "run"))
    return tmp_path


def arguments(**changes):
    return dict({"--run-dir": None, "--config": CONFIG, "--output": None}, **changes)


def test_without_a_daemon_up_is_0_and_so_is_the_exit_code(capfd):
    assert cli.main("xha.pyz", ["metrics", "-C", CONFIG]) == 0
    out, err = capfd.readouterr()
    samples, _ = read(out)
    assert err == ""
    assert {value(samples, "xha_" + name) for name in ("up", "daemon_running")} == {"0"}
    assert value(samples, "xha_configured") == "1"
    assert value(samples, "xha_configured_hosts") == "3"
    assert value(samples, "xha_heartbeat_timeout_seconds") == "5.000"


def test_without_a_configuration_too(capfd):
    assert cli.main("xha.pyz", ["metrics", "-C", "/nowhere"]) == 0
    assert read(capfd.readouterr().out)[0] == {
        ("xha_up", ()): "0", ("xha_daemon_running", ()): "0", ("xha_configured", ()): "0"}


class Daemon:
    """Stands between the command and the socket; the socket itself is test_control's."""

    def __init__(self, replies):
        self.replies = replies
        self.questions = []

    def __call__(self, paths, verb, *words, timeout_s=0.0):
        ctlformat.decode_request(ctlformat.encode_request(verb, words))
        self.questions.append((verb,) + words)
        return self.replies[verb]


def test_a_daemon_is_asked_without_a_side_effect(monkeypatch):
    from xha import client
    daemon = Daemon({"query": ctlformat.Reply(0, report.as_json(snapshot())),
                     "build-id": ctlformat.Reply(0, "b0\n")})
    monkeypatch.setattr(client, "call", daemon)
    samples, _ = read(metrics.collect(Paths(), CONFIG))
    assert value(samples, "xha_build_info", build="b0") == "1"
    assert daemon.questions == [("query", "json", "0"), ("build-id",)]


@pytest.mark.parametrize("reply", [
    ctlformat.Reply(3, "", "late"), ctlformat.Reply(0, "{}"), ctlformat.Reply(2, "", "other"),
    ctlformat.Reply(16, "", "may not")], ids=["silent", "of another version", "no daemon", "root"])
def test_a_daemon_that_does_not_answer_is_not_up(monkeypatch, reply):
    from xha import client
    monkeypatch.setattr(client, "call", Daemon({"query": reply}))
    assert value(read(metrics.collect(Paths(), CONFIG))[0], "xha_up") == "0"


# The file

def test_the_file_is_replaced_as_a_whole_and_for_everybody_to_read(place):
    path = place / "xha.prom"
    before = os.umask(0o077)
    try:
        for _ in range(2):
            assert metrics.run(arguments(**{"--output": str(path)})) == 0
    finally:
        os.umask(before)
    read(path.read_text())
    assert stat.S_IMODE(path.stat().st_mode) == 0o644
    assert os.listdir(str(place)) == ["xha.prom"]


def test_a_link_stays_a_link(place):
    (place / "there").mkdir()
    os.symlink("there/real.prom", str(place / "xha.prom"))
    replacing.replace(str(place / "xha.prom"), b"new")
    assert os.path.islink(str(place / "xha.prom"))
    assert (place / "there" / "real.prom").read_bytes() == b"new"


NO_PLACES = [
    ("/dev/null",        ExitCode.INVALID_PARAMETER,  "no regular file",  "a device"),
    ("{}",               ExitCode.INVALID_PARAMETER,  "no regular file",  "a directory"),
    ("{}/no/xha.prom",   ExitCode.SYSTEM_ERROR,       "No such file",     "no directory"),
    ("/proc/xha.prom",   ExitCode.SYSTEM_ERROR,       "cannot be written", "no place for files"),
    ("{}/" + "x" * 250,  ExitCode.SYSTEM_ERROR,       "too long",         "a long name"),
]


@pytest.mark.parametrize("path, code, said, why", NO_PLACES, ids=[row[-1] for row in NO_PLACES])
def test_what_is_no_place_for_a_file_is_refused_and_left_alone(place, path, code, said, why):
    before = os.stat("/dev/null").st_rdev
    with pytest.raises(XhaError) as caught:
        replacing.replace(path.format(place), b"new")
    assert caught.value.code is code and said in str(caught.value)
    assert os.stat("/dev/null").st_rdev == before
    assert os.listdir(str(place)) == []


@pytest.mark.parametrize("call", ["write", "fsync", "rename"])
def test_a_disk_that_fails_leaves_the_old_file_and_nothing_beside_it(place, monkeypatch, call):
    path = place / "xha.prom"
    path.write_text("old")

    def fail(*words):
        raise OSError(28, "No space left on device")
    monkeypatch.setattr(replacing.os, call, fail)
    monkeypatch.setattr(replacing.bounded, "run", lambda work, what, bound_s: work())
    with pytest.raises(XhaError) as caught:
        replacing.replace(str(path), b"new")
    assert (caught.value.code, path.read_text()) == (ExitCode.SYSTEM_ERROR, "old")
    assert "No space left" in str(caught.value)
    assert os.listdir(str(place)) == ["xha.prom"]


def test_a_disk_that_hangs_is_a_system_error(monkeypatch, place):
    def late(work, what, bound_s):
        raise XhaError(ExitCode.STATEFILE_INACCESSIBLE, what + ": it did not answer within 10 s")
    monkeypatch.setattr(replacing.bounded, "run", late)
    with pytest.raises(XhaError) as caught:
        replacing.replace(str(place / "xha.prom"), b"new")
    assert caught.value.code is ExitCode.SYSTEM_ERROR


# The document

def test_every_metric_is_documented_and_no_other():
    known = snapshot(xapi_restarts_more_in_ms=1, xapi_latency=Latency(
        last_ms=1, max_ms=1, min_ms=1), hosts=[
            host_view(0, since_xapi_restart_ms=1, disarm_term_ms=1), host_view(1)],
        bond_error=True, margins=margins(2), near_misses=near_misses())
    _, families = read(openmetrics.render(metrics.of(known, "")))
    with open(DOCUMENTED) as file:
        rows = [line.split("|")[1].strip().strip("`") for line in file if line.startswith("| `")]
    named = {name + "_total" if found["TYPE"] == "counter" else name
             for name, found in families.items()}
    assert sorted(rows) == sorted(named)
