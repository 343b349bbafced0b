"""What the daemon and the seals of records tell about the pool: tables."""
import pytest

from xha import config, judgepool, sfformat
from xha.hostset import HostSet
from xha.judgedisk import Look
from xha.published import FencingMode, NO_MASTER, WatchdogMode

import format_samples
from report_samples import host_view, snapshot
from test_judgedisk import GARBAGE, GOOD, disk
from test_judgehost import check
from test_proofpage import SETTINGS

NOW_MS = 1700000005000


DAEMON = [
    # pid, what it told, levels, words, why
    (0, None,                                       ["ok"],            "none runs",  "no daemon"),
    (7, None,                                       ["warning"],       "process 7",  "it hangs"),
    (7, snapshot(), ["ok"], "fencing armed", "all is well"),
    (0, snapshot(), ["ok"], "online", "its lock is not seen"),
    (7, snapshot(online=False, waiting_for="peers"), ["ok", "warning"], "waits for peers",
     "it starts"),
    (7, snapshot(fencing=FencingMode.DISARMED),       ["ok", "warning"], "disarmed",   "disarmed"),
    (7, snapshot(sr2=True), ["ok", "warning"], "lost the State-File", "rule 2"),
    (7, snapshot(xapi_restarts_left=0, xapi_restarts_more_in_ms=60000), ["ok", "warning"],
     "no restart of xapi is left for 60 s", "xapi has failed once"),
    (7, snapshot(xapi_restarts_left=0), ["ok"], "online", "none is configured"),
    (7, snapshot(datagrams_refused=(("generation", 3),)), ["ok", "warning"], "3 refused",
     "another configuration"),
    (7, snapshot(datagrams_refused=(("sequence", 3), ("starting-instance", 9))), ["ok"], "online",
     "what a network and a restart do"),
]


@pytest.mark.parametrize("pid, told, expected, words, why", DAEMON, ids=[row[-1] for row in DAEMON])
def test_daemon(pid, told, expected, words, why):
    check(judgepool.judge_daemon(pid, told, "no answer"), expected, None, words)


def record(index, **changes):
    seal = changes.pop("seal", {})
    content = format_samples.HOST._replace(
        host_index=index, host_uuid=SETTINGS.common.hosts[index].uuid, excluded=False,
        current_liveset=HostSet([0, 1]))
    if seal is not None:
        seal = content.seal._replace(**dict({"written_at_wall_ms": NOW_MS - 500}, **seal))
    return sfformat.encode_host(content._replace(seal=seal, **changes))


def pool_of(second, first=None):
    """Two looks of a pool of three, in which host 1's record is ``second``, and advanced."""
    if first is None:
        first = record(1, sequence=7)
    looks = tuple(Look(at_wall_ms=NOW_MS, sections=(GOOD[0], record(0), one, record(2)))
                  for one in (first, second))
    return disk(looks=looks)


HOST = [
    # record of host 1, levels of it, words, why
    (record(1), ["ok"], "writes now", "as it should"),
    (record(1, sequence=7), ["ok"], "did not write in the 0 s", "it is silent"),
    (record(1, excluded=True), ["ok"], "excluded", "it has left"),
    (record(1, starting=True), ["ok"], "starting", "it starts"),
    (record(1, current_liveset=HostSet()),          ["ok"],            "in no liveset", "alone"),
    (record(1, seal=None), ["ok"], "runs xhad", "not ours yet"),
    (record(1, seal={"watchdog_mode": WatchdogMode.NONE}), ["ok", "warning"], "NOT SAFE",
     "no watchdog"),
    (record(1, seal={"fencing": FencingMode.DISARMED}), ["ok", "warning"], "disarmed",  "disarmed"),
    (record(1, seal={"written_at_wall_ms": NOW_MS + 2000}), ["ok"],    "writes now",
     "a clock a little ahead"),
    (record(1, seal={"written_at_wall_ms": NOW_MS + 2004}), ["ok", "warning"],
     "2.001 s ahead of ours",
     "a clock that is ahead"),
    (record(1, seal={"written_at_wall_ms": NOW_MS - 5000}), ["ok"],    "writes now",
     "a write is up to two cycles old"),
    (record(1, seal={"written_at_wall_ms": NOW_MS - 5004}), ["ok", "warning"],
     "at least 2.001 s behind ours", "a clock that is behind"),
    (record(1, sequence=7, seal={"written_at_wall_ms": 1}), ["ok"],    "did not write",
     "an old record tells nothing of a clock"),
    (GARBAGE,                                       ["unknown"],       "record is bad", "garbage"),
    (sfformat.encode_host(format_samples.HOST._replace(host_index=0, host_uuid="", sequence=0)),
     ["unknown"], "never written", "only initialised"),
]


@pytest.mark.parametrize("second, expected, words, why", HOST, ids=[row[-1] for row in HOST])
def test_another_host(second, expected, words, why):
    found = judgepool.judge_pool(SETTINGS, pool_of(second), None)
    check([one for one in found if one.check == "host 1"], expected, None, words)
    assert [one.check for one in found if one.check.startswith("host 0")][0] == "host 0*"


def test_what_the_daemon_hears_is_told_with_it():
    told = snapshot(hosts=[host_view(0), host_view(1, since_heartbeat_ms=700),
                         host_view(2, since_heartbeat_ms=-1)], master_uuid=NO_MASTER)
    found = {one.check: one.text for one in judgepool.judge_pool(
        SETTINGS, pool_of(record(1)), told)}
    assert "heard 0.7 s ago" in found["host 1"]
    assert "heard" not in found["host 2"]


@pytest.mark.parametrize("second, level, words", [
    (record(1), "ok", "xha 1.0.0: host 0, 1, 2"),
    (record(1, seal={"software": "xha 1.1.0"}), "warning",
     "xha 1.0.0: host 0, 2; xha 1.1.0: host 1"),
    (record(1, seal=None), "warning", "xhad: host 1")])
def test_versions(second, level, words):
    found = [one for one in judgepool.judge_pool(SETTINGS, pool_of(second), None)
             if one.check == "versions"]
    check(found, [level], None, words)


def test_a_version_that_a_host_last_had_is_no_reason_to_warn_once_it_is_down():
    """Which is known only after as long a look as every host that runs takes to write."""
    old = record(1, sequence=7, seal={"software": "xha 0.9.0"})
    for later_ms, level in ((0, "warning"), (2999, "warning"), (3000, "ok")):
        looks = (Look(at_wall_ms=NOW_MS, sections=(GOOD[0], record(0, sequence=7), old,
                                                   record(2, sequence=7))),
                 Look(at_wall_ms=NOW_MS + later_ms, sections=(GOOD[0], record(0), old, record(2))))
        found = [one for one in judgepool.judge_pool(SETTINGS, disk(looks=looks), None)
                 if one.check == "versions"]
        check(found, [level], None, "xha 0.9.0: host 1" + (
            " (when it last wrote)" if level == "ok" else ""))


def test_a_disk_that_is_slow_is_not_taken_for_a_wrong_clock():
    """A record may be written while it is read."""
    facts = pool_of(record(1, seal={"written_at_wall_ms": NOW_MS + 4500}))
    for reading_ms, expected in ((5000, ["ok"]), (1000, ["ok", "warning"])):
        found = judgepool.judge_pool(SETTINGS, facts._replace(readings_us=(1000 * reading_ms,)),
                                     None)
        check([one for one in found if one.check == "host 1"], expected, None, "")


def test_a_daemon_that_does_not_answer_in_time_is_a_failure():
    """Its loop stands still, so its watchdogs are not moved."""
    check(judgepool.judge_daemon(7, None, "no answer in 5 s", 3), ["failure"], 3, "IS RESET")
    check(judgepool.judge_daemon(7, None, "no daemon", 14), ["warning"], None, "process 7")


def test_a_daemon_that_may_not_be_asked_is_not_said_to_be_none():
    check(judgepool.judge_daemon(0, None, "no daemon", 14), ["ok"], None, "none runs")
    check(judgepool.judge_daemon(0, None, "permission denied", 16), ["unknown"], None, "denied")
    check(judgepool.judge_daemon(0, None, "no answer in 5 s", 3), ["unknown"], None, "not known")


def test_without_a_reading_nothing_is_known_and_it_is_said():
    check(judgepool.judge_pool(SETTINGS, disk(error="gone"), None), ["unknown"], None, "nothing is")


OURS = config.published(SETTINGS.common)


def theirs(**changes):
    return config.published(SETTINGS.common._replace(**changes))


CONFIGURATIONS = [
    # what host 1 says, level, words, why
    (OURS, "ok", "hosts 1 go by this configuration", "one configuration"),
    (theirs(statefile_watchdog_timeout_ms=9000), "warning",
     "Ws 9 s (here 8 s); it is reset later", "a longer timer than we count with"),
    (theirs(heartbeat_watchdog_timeout_ms=4000), "warning", "Wh 4 s (here 5 s)", "a shorter one"),
    (theirs(xapi_check_interval_ms=7000), "warning", "checks of xapi", "no time-out of the pool"),
    (theirs(udp_port=695), "warning", "port", "another port"),
    (None, "unknown", "hosts 1 do not say", "an older version"),
]


@pytest.mark.parametrize("said, level, words, why", CONFIGURATIONS,
                         ids=[row[-1] for row in CONFIGURATIONS])
def test_configurations_are_compared(said, level, words, why):
    facts = pool_of(record(1, seal={"configuration": said}))
    found = [one for one in judgepool.judge_pool(SETTINGS, facts, None)
             if one.check == "configurations"]
    check(found, [level], None, words)
    assert ("NOT SAFE" in found[0].text) is ("longer timer" in why)


def test_an_xhad_host_and_one_that_is_down_are_not_compared():
    found = judgepool.judge_pool(SETTINGS, pool_of(record(1, seal=None)), None)
    assert any("hosts 1 do not say" in one.text for one in found
               if one.check == "configurations")
    down = record(1, sequence=7, seal={"configuration": theirs(udp_port=695)})
    assert not [one for one in judgepool.judge_pool(SETTINGS, pool_of(down), None)
                if one.check == "configurations"]
