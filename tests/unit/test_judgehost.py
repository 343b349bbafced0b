"""What this host is worth for HA: tables of facts and findings."""
import pytest

from xha import config, judgehost
from xha.errors import ExitCode
from xha.findings import Level
from xha.judgehost import (
    HealthFacts, LeftFacts, PlaceFacts, PythonFacts, RealtimeFacts, WatchdogFacts)
from xha.published import WatchdogMode

from test_proofpage import SETTINGS


def levels(found):
    return [one.level.value for one in found]


def check(found, expected, code, words):
    """Levels, the code of the first failure, words of the text; and advice where it is needed."""
    assert levels(found) == expected
    assert [one.code for one in found if one.level is Level.FAILURE][:1] == (
        [code] if code else [])
    assert words in " ".join(one.text + " " + one.advice for one in found)
    for one in found:
        assert one.advice or one.level in (Level.OK, Level.UNKNOWN), one


PYTHON = [
    # version, netifaces, compiled, root, levels, words, why
    ((3, 6, 8),   "", True,  True,  ["ok"],                       "3.6.8",          "the oldest"),
    ((3, 13, 0),  "", True,  True,  ["ok"],                       "3.13.0",         "the newest"),
    ((3, 5, 9),   "", True,  True,  ["warning"],                  "not among",      "too old"),
    ((3, 14, 0), "", True, True, ["warning"], "not among", "not tested yet"),
    ((3, 6, 8),   "no module", False, True, ["ok", "warning", "warning"], "30 times",
     "no compiled part fits"),
    ((3, 6, 8),   "", True,  False, ["ok", "warning"],            "not root",       "anybody"),
]


@pytest.mark.parametrize("version, netifaces, compiled, root, expected, words, why", PYTHON,
                         ids=[row[-1] for row in PYTHON])
def test_python(version, netifaces, compiled, root, expected, words, why):
    check(judgehost.judge_python(PythonFacts(
        version=version, netifaces=netifaces, crc_compiled=compiled, root=root)),
        expected, None, words)


REALTIME = [
    # missing, trouble, daemon's schedule, locked, levels, words, why
    ((), "", "", -1,                ["ok"],      "are granted",         "all is granted"),
    ((("locked memory", "limit"), ("real-time priority", "EPERM")), "", "", -1,
     ["warning", "warning"],                     "CAP_SYS_NICE",        "a container"),
    ((), "it did not answer", "", -1, ["unknown"], "did not answer",    "it hangs"),
    ((), "", "SCHED_RR 48", 20000,  ["ok"],      "its memory locked",   "a daemon as it should be"),
    ((), "", "SCHED_RR 48", 0,      ["ok"],      "SCHED_RR 48",         "one that starts"),
    ((), "", "SCHED_OTHER 0", 0,    ["warning"], "busy processes",      "one without privileges"),
]


@pytest.mark.parametrize("missing, trouble, schedule, locked, expected, words, why", REALTIME,
                         ids=[row[-1] for row in REALTIME])
def test_realtime(missing, trouble, schedule, locked, expected, words, why):
    check(judgehost.judge_realtime(RealtimeFacts(
        missing=missing, trouble=trouble, daemon_schedule=schedule,
        daemon_locked_kib=locked)), expected, None, words)


PLACES = [
    # purpose, trouble, free, level, code, words, why
    ("run",   "",          1 << 30,  "ok",      None, "1024 MiB free", "room"),
    ("run", "", -1, "ok", None, "room unknown", "a file system that does not say"),
    ("run", "read-only", -1, "failure", 2, "no daemon can start", "nothing can be written"),
    ("run",   "",          1 << 10,  "warning", None, "1 KiB free",    "hardly any room"),
    ("state", "read-only", -1,       "warning", None, "not kept",      "it goes on without"),
    ("log",   "read-only", -1,       "warning", None, "syslog alone",  "syslog has it all"),
    ("log",   "",          15 << 20, "warning", None, "16 MiB",        "a log grows"),
    ("state", "",          15 << 20, "ok",      None, "15 MiB free",   "these files do not"),
]


@pytest.mark.parametrize("purpose, trouble, free, level, code, words, why", PLACES,
                         ids=[row[-1] for row in PLACES])
def test_places(purpose, trouble, free, level, code, words, why):
    check(judgehost.judge_places([PlaceFacts(
        purpose=purpose, path="/there", trouble=trouble, free_bytes=free)]), [level], code, words)


@pytest.mark.parametrize("current, level", [
    ("tsc", "ok"), ("xen", "ok"), ("hpet", "warning"), ("acpi_pm", "warning"), ("", "unknown")])
def test_clock(current, level):
    finding = judgehost.judge_clock(current, "hpet acpi_pm")
    assert finding.level.value == level
    assert current in finding.text


def local(mode, command=""):
    return SETTINGS.local._replace(watchdog_mode=mode, fence_command=command)


HYPERVISOR, USER, NONE = WatchdogMode.HYPERVISOR, WatchdogMode.USER, WatchdogMode.NONE
WATCHDOG = [
    # mode, command, daemon, no Xen, holders, command's trouble, level, code, words, why
    (HYPERVISOR, "", 0, "", (), "", "ok", None, "cannot be asked", "as it should be"),
    (HYPERVISOR, "",     0, "no", (),     "",  "failure", 4,    "dom0",            "no Xen"),
    (HYPERVISOR, "",     0, "",   ("xenwatchdogd runs (pid 7)",), "", "warning", None,
     "systemctl stop xen-watchdog", "somebody else has a timer"),
    (HYPERVISOR, "", 9, "no", ("x",), "", "ok", None, "holds its two", "a daemon has them"),
    (USER,       "",     0, "no", (),     "",  "warning", None, "virtual machines run on",
     "a reset that is none"),
    (USER, "boot", 0, "no", (), "", "warning", None, "hangs whole", "a host without Xen"),
    (USER, "boot", 0, "", (), "", "warning", None, "Xen is here", "better is at hand"),
    (USER, "boot", 0, "no", (), "x", "failure", 4, "cannot be run", "no such program"),
    (NONE, "", 0, "", (), "", "warning", None, "NOT SAFE", "nothing resets"),
    (NONE, "", 9, "", (), "", "warning", None, "NOT SAFE", "a daemon runs so"),
]


@pytest.mark.parametrize("mode, command, daemon, xen, holders, trouble, level, code, words, why",
                         WATCHDOG, ids=[row[-1] for row in WATCHDOG])
def test_watchdog(mode, command, daemon, xen, holders, trouble, level, code, words, why):
    check(judgehost.judge_watchdog(local(mode, command), WatchdogFacts(
        xen=xen, holders=holders, fence_command=trouble), daemon), [level], code, words)


RUNNING = [
    # configured, of the daemon, level, words, why
    (HYPERVISOR, "HYPERVISOR", "ok", "holds its two timers", "as configured"),
    (HYPERVISOR, "NONE", "warning", "NOT SAFE", "nothing resets it"),
    (HYPERVISOR, "USER", "warning", "runs in mode USER", "another"),
    (WatchdogMode.NONE, "HYPERVISOR", "warning", "runs in mode HYPERVISOR", "a better one"),
    (HYPERVISOR, "", "ok", "holds its two timers", "it does not answer"),
]


@pytest.mark.parametrize("mode, running, level, words, why", RUNNING,
                         ids=[row[-1] for row in RUNNING])
def test_the_mode_of_a_daemon_that_runs_is_its_own(mode, running, level, words, why):
    check(judgehost.judge_watchdog(local(mode, ""), WatchdogFacts(
        xen="", holders=(), fence_command=""), 7, running), [level], None, words)


def left(**changes):
    return LeftFacts(present=True, of_this_boot=True, mode=HYPERVISOR, armed=True, daemon_pid=77,
                     daemon_runs=False, keeper_runs=False, fired="", ids=(), trouble=""
                     )._replace(**changes)


LEFT = [
    # facts, levels, code, words, why
    (left(present=False),                          ["ok"],      None, "none",            "nothing"),
    (left(present=False, ids=(1, 2)),              ["warning"], None, "1, 2",            "xhad's"),
    (left(of_this_boot=False),                     ["ok"],      None, "another boot",    "a reset"),
    (left(daemon_runs=True), ["ok"], None, "running daemon's", "it runs"),
    (left(armed=False),                            ["ok"],      None, "a start stops them",
     "never armed"),
    (left(mode=NONE), ["ok"], None, "numbers only", "mode NONE"),
    (left(mode=USER, fired="why: what"),           ["ok"],      None, "why: what",       "fired"),
    (left(), ["failure"], 4, "ABOUT TO RESET", "died armed"),
    (left(mode=USER, keeper_runs=True),            ["failure"], 4,    "ABOUT TO BE RESET",
     "died armed, mode USER"),
    (left(mode=USER),                              ["failure"], 4,    "gone without",
     "its timer process died, too"),
    (left(present=False, trouble="garbage"), ["warning"], None, "garbage", "unreadable"),
]


@pytest.mark.parametrize("facts, expected, code, words, why", LEFT, ids=[row[-1] for row in LEFT])
def test_left_timers(facts, expected, code, words, why):
    """Source: spec 7, "Life of a timer" 1; the same table as in ``lefttimers``."""
    check(judgehost.judge_left_timers(facts), expected, code, words)


HEALTH = [
    # trouble, daemon, checked, level, code, why
    ("",     0, None,  "ok",      None, "it can be run"),
    ("none", 0, None,  "failure", 16,   "it would reset this host"),
    ("none", 7, True,  "ok",      None, "the daemon has another"),
    ("none", 7, False, "unknown", None, "the daemon has not checked yet"),
    ("none", 7, None,  "unknown", None, "the daemon does not answer"),
]


@pytest.mark.parametrize("trouble, daemon, checked, level, code, why", HEALTH,
                         ids=[row[-1] for row in HEALTH])
def test_health_check(trouble, daemon, checked, level, code, why):
    check([judgehost.judge_health_check(HealthFacts(command="/check", trouble=trouble), daemon,
                                        checked)], [level], code, "")


def test_the_codes_are_those_of_spec_6():
    assert (ExitCode.SYSTEM_ERROR, ExitCode.WATCHDOG_ERROR, ExitCode.INVALID_ENVIRONMENT) == (
        2, 4, 16)
    assert config.MAX_SECONDS > 0
