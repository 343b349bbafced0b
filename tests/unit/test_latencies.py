"""What measured latencies say of the time-outs: tables."""
import pytest

from xha import latencies
from xha.errors import ExitCode
from xha.findings import Level
from xha.latencies import Measured, seconds
from xha.snapshot import Latency

from core_samples import common
from report_samples import host_view, snapshot
from test_timing import PERMITTED

DEFAULT = common()._replace(
    heartbeat_interval_ms=4000, heartbeat_timeout_ms=30000, statefile_interval_ms=4000,
    statefile_timeout_ms=30000, heartbeat_watchdog_timeout_ms=30000,
    statefile_watchdog_timeout_ms=45000, boot_join_timeout_ms=90000,
    enable_join_timeout_ms=90000)
XAPI = latencies.derive(DEFAULT, 60)


def measured(statefile=2, heartbeat=0, record=-1, heard=-1):
    return Measured(statefile_ms=statefile, heartbeat_ms=heartbeat, oldest_record_ms=record,
                    oldest_heartbeat_ms=heard, source="a test")


DERIVED = [
    # T, t1, t2, T1, Wh, Ws, Tboot, why
    (60,  3, 3,  60,  60,  75,  120, "xapi's default"),
    (10,  2, 2,  10,  10,  25,  70,  "the least that it takes"),
    (200, 3, 10, 200, 200, 215, 260, "t2 grows with T, t1 does not"),
]


@pytest.mark.parametrize("T, t1, t2, T1, Wh, Ws, Tboot, why", DERIVED, ids=[
    row[-1] for row in DERIVED])
def test_the_times_that_xapi_derives_from_one(T, t1, t2, T1, Wh, Ws, Tboot, why):
    """Source: spec 2."""
    found = latencies.derive(DEFAULT, T)
    assert (found.heartbeat_interval_ms, found.statefile_interval_ms) == (1000 * t1, 1000 * t2)
    assert found.heartbeat_timeout_ms == found.statefile_timeout_ms == 1000 * T1
    assert found.heartbeat_watchdog_timeout_ms == 1000 * Wh
    assert found.statefile_watchdog_timeout_ms == 1000 * Ws
    assert found.boot_join_timeout_ms == found.enable_join_timeout_ms == 1000 * Tboot
    assert latencies.derived_from_s(found) == T


def test_a_configuration_that_xapi_did_not_derive_is_told():
    assert latencies.derived_from_s(DEFAULT) == 0
    assert latencies.derived_from_s(XAPI._replace(statefile_interval_ms=4000)) == 0
    assert latencies.derived_from_s(latencies.derive(DEFAULT, 9)) == 0, "xapi takes no less than 10"


def test_the_derived_times_are_those_of_the_simulator():
    from xha import simpool
    for timeout_s in (10, 11, 19, 20, 60, 199, 3600):
        settings = simpool.settings_of(3, simpool.derived_from(timeout_s))[0].common
        assert latencies.derive(settings, timeout_s) == settings


ENOUGH = [
    # settings, State-File, heartbeat (ms), enough, why
    (DEFAULT, 0,    0,    True,  "at rest: 8 s of 30 heard, 9 s of 30 written"),
    (DEFAULT, 4500, 0,    True,  "a cycle that the disk just fills: 13.5 s"),
    (DEFAULT, 5033, 0,    True,  "15.1 s is half of T2, give or take"),
    (DEFAULT, 5034, 0,    False, "above half of T2 is a near miss"),
    (DEFAULT, 0,    7100, True,  "15.1 s is half of T1, give or take"),
    (DEFAULT, 0,    7101, False, "sending takes long"),
    (DEFAULT, -1,   -1,   True,  "nothing measured counts as nothing"),
]


@pytest.mark.parametrize("settings, statefile, heartbeat, enough, why", ENOUGH, ids=[
    row[-1] for row in ENOUGH])
def test_healthy_hosts_stay_within_half_of_the_time_outs(settings, statefile, heartbeat, enough,
                                                         why):
    assert latencies.is_enough(settings, measured(statefile, heartbeat)) is enough


LOWEST = [
    # State-File, heartbeat (ms), lowest T (s), why
    (0,     0,    10,  "xapi takes no less"),
    (33,    1,    10,  "a quick disk: two cycles of 2.5 s, and 0.1 s"),
    (34,    1,    11,  "a little slower"),
    (1000,  0,    18,  "three times 1 s: cycles of 3 s, and 3 s more, within half of T2"),
    (10000, 0,    180, "three times 10 s: cycles of 30 s, and 30 s more"),
    (10 ** 7, 0,  0,   "no T bears that"),
]


@pytest.mark.parametrize("statefile, heartbeat, lowest, why", LOWEST, ids=[
    row[-1] for row in LOWEST])
def test_the_lowest_time_out_that_bears_three_times_the_latencies(statefile, heartbeat, lowest,
                                                                  why):
    assert latencies.lowest_s(DEFAULT, measured(statefile, heartbeat)) == lowest


def said(found):
    return [(one.level, one.text) for one in found]


CONFIGURED = [
    # changes, level of: safety, rule 2, restart, why
    ({},                                      "ok", "ok",      "ok",      "the defaults"),
    ({"statefile_watchdog_timeout_ms": 41000}, "ok", "ok",     "ok",      "2*t2 + 3 s is enough"),
    ({"statefile_watchdog_timeout_ms": 40999}, "ok", "warning", "ok",     "and less is not"),
    ({"boot_join_timeout_ms": 58700},         "ok", "ok",      "warning", "as long as a drop"),
    ({"boot_join_timeout_ms": 58701},         "ok", "ok",      "ok",      "longer than a drop"),
]


@pytest.mark.parametrize("changes, safety, rule_two, restart, why", CONFIGURED, ids=[
    row[-1] for row in CONFIGURED])
def test_the_configured_times_against_each_other(changes, safety, rule_two, restart, why):
    """Source: spec 2, "Findings of doctor"; spec 14, last line."""
    found = latencies.judge_configured(DEFAULT._replace(**changes))
    assert [one.level.value for one in found] == [safety, rule_two, restart]
    assert all(one.advice for one in found if one.level is not Level.OK)


def test_every_permitted_configuration_is_safe_with_something_to_spare():
    for settings in PERMITTED:
        assert latencies.margin_ms(settings, True) > 0
        assert latencies.margin_ms(settings, False) > 0


def test_an_unsafe_configuration_would_be_a_failure(monkeypatch):
    monkeypatch.setattr(latencies, "margin_ms", lambda common, sealed: -250 if sealed else 5)
    finding = latencies.judge_configured(DEFAULT)[0]
    assert (finding.level, finding.code) == (Level.FAILURE, ExitCode.INVALID_CONFIG)
    assert "0.25 s after" in finding.text


MEASURED = [
    # settings, measured, levels, said, why
    (XAPI, measured(5, 1), ["ok", "ok"], "would allow T = 10 s", "a quick pool could be quicker"),
    (latencies.derive(XAPI, 10), measured(5, 1), ["ok"], "within half", "it is as quick as it can"),
    (DEFAULT, measured(6000, 1), ["warning"], "small troubles become resets", "a slow disk"),
    (DEFAULT, measured(12000, 1), ["warning"], "will be reset", "a disk too slow to live with"),
    (DEFAULT, measured(10 ** 7, 1), ["warning"], "will be reset", "no T would help"),
    (DEFAULT._replace(statefile_timeout_ms=17000), measured(1, 1), ["warning"], "small troubles",
     "a time-out that is short for its interval"),
    (XAPI, measured(-1, -1), [], "", "nothing was measured"),
    (XAPI, measured(5, 1, record=30001), ["warning", "ok", "ok"], "a near miss", "a write is late"),
    (XAPI, measured(5, 1, heard=30001), ["warning", "ok", "ok"], "a near miss",
     "a heartbeat is late"),
    (XAPI, measured(5, 1, 30000, 30000), ["ok", "ok"], "within half", "half is no near miss"),
]


@pytest.mark.parametrize("settings, values, levels, words, why", MEASURED, ids=[
    row[-1] for row in MEASURED])
def test_the_time_outs_against_what_was_measured(settings, values, levels, words, why):
    found = latencies.judge_measured(settings, values)
    assert [one.level.value for one in found] == levels
    assert words in " ".join(one.text for one in found)


ADVICE = [
    # settings, measured, what to do, why
    (DEFAULT, measured(6000, 1), "so slow, or enable HA with T = 108 s", "a slow disk"),
    (DEFAULT, measured(10 ** 7, 1), "find out why storage or network are so slow", "no T helps"),
    (DEFAULT._replace(statefile_timeout_ms=17000), measured(1, 1), "raise T1 and T2",
     "it would be too short with any disk"),
]


@pytest.mark.parametrize("settings, values, advice, why", ADVICE, ids=[
    row[-1] for row in ADVICE])
def test_what_to_do_about_time_outs_that_are_too_low(settings, values, advice, why):
    assert advice in latencies.judge_measured(settings, values)[0].advice


def test_a_lower_time_out_is_not_advised_without_a_word_on_failover():
    lower = latencies.judge_measured(XAPI, measured(5, 1))[-1]
    assert "failover of the storage's paths" in lower.text


def test_what_a_daemon_answers_is_taken_as_it_is():
    told = snapshot(
        hosts=[host_view(0, since_heartbeat_ms=99999), host_view(1, since_heartbeat_ms=700),
               host_view(2, live=False, since_heartbeat_ms=50000, since_statefile_ms=-1)],
        statefile_latency=Latency(last_ms=3, max_ms=812, min_ms=1),
        heartbeat_latency=Latency(last_ms=-1, max_ms=-1, min_ms=-1))
    found = latencies.of_snapshot(told)
    assert found._replace(source="") == Measured(
        statefile_ms=812, heartbeat_ms=-1, oldest_record_ms=1300, oldest_heartbeat_ms=700,
        source="")
    nobody_writes = told._replace(sr2=True)
    assert latencies.of_snapshot(nobody_writes).oldest_record_ms == -1


@pytest.mark.parametrize("value, text", [
    (0, "0 s"), (5, "0.005 s"), (3860, "3.86 s"), (45000, "45 s"), (-250, "-0.25 s"),
    (100000, "100 s")])
def test_seconds_for_people(value, text):
    assert seconds(value) == text
