"""The command `doctor`: codes, forms, and that it harms nothing."""
import json
import os
import re

import pytest

from xha import cli, client, ctlformat, doctor, findings, lookhost, looknetwork, report
from xha import sfformat, timerrecord
from xha.errors import ExitCode
from xha.findings import failure, ok, unknown, warning
from xha.paths import Paths
from xha.published import PoolState, WatchdogMode

from report_samples import snapshot
from test_proofpage import SETTINGS

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

CONF = """<?xml version="1.0"?>
<xhad-config version="1.0">
  <common-config>
    <GenerationUUID>0f0f0f0f-aaaa-4bbb-8ccc-00000000d00d</GenerationUUID>
    <UDPport>{port}</UDPport>
    <host>
      <HostID>10000000-1111-4222-8333-000000000000</HostID>
      <IPaddress>127.0.0.1</IPaddress>
    </host>
  </common-config>
  <local-config>
    <localhost>
      <HostID>10000000-1111-4222-8333-000000000000</HostID>
      <HeartbeatInterface>lo</HeartbeatInterface>
      <StateFile>{statefile}</StateFile>
      <WatchdogMode>NONE</WatchdogMode>
      <Colour>blue</Colour>
    </localhost>
  </local-config>
</xhad-config>
"""


class Host:
    """A host that is fit for HA but for its watchdog mode."""

    def __init__(self, folder, run):
        self.folder, self.run = folder, run
        self.statefile = str(folder / "sf")
        self.config = str(folder / "xhad.conf")
        with open(self.statefile, "wb") as file:
            file.truncate(266240)
        (folder / "xhad.conf").write_text(CONF.format(port=694, statefile=self.statefile))
        assert run("write-statefile", "init", "--config=" + self.config)[0] == 0

    def doctor(self, *words):
        """Code, findings by check (the worst level of each), standard error."""
        code, out, err = self.run("doctor", "--seconds=0", "--format=json",
                                   "--config=" + self.config, *words)
        told = json.loads(out)
        assert told["exit_code"] == code
        worst = {}
        order = [level.value for level in (findings.Level.OK, findings.Level.UNKNOWN,
                                           findings.Level.WARNING, findings.Level.FAILURE)]
        for one in told["findings"]:
            known = worst.setdefault(one["check"], one["level"])
            worst[one["check"]] = max(known, one["level"], key=order.index)
        return code, worst, err


@pytest.fixture
def run(capfd, tmp_path, monkeypatch):
    monkeypatch.setenv("XHA_RUN_DIR", str(tmp_path / "run"))
    monkeypatch.setenv("XHA_HEALTH_CHECK", "true")
    # The tests' machine may have a firewall, and a daemon, of its own.
    monkeypatch.setattr(looknetwork, "look_firewall", lambda six: [])
    monkeypatch.setattr(looknetwork, "look_port", lambda port, pid: looknetwork.PortFacts(
        sockets=(), trouble="", daemon_pid=pid, reserved=False, given_away=False))

    def call(*words):
        code = cli.main("/usr/bin/xha.pyz", list(words))
        out, err = capfd.readouterr()
        return code, out, err
    return call


@pytest.fixture
def host(tmp_path, run):
    return Host(tmp_path, run)


def test_a_host_that_is_fit(host):
    code, worst, err = host.doctor()
    assert (code, err) == (0, "")
    assert worst["configuration"] == "warning", "<Colour> is read by nobody"
    assert worst["watchdog"] == "warning"
    for check in ("daemon", "run files", "interface", "UDP port", "firewall", "left timers",
                  "contents", "records", "disk latency", "time-outs", "xapi check"):
        assert worst[check] == "ok", check


BREAKS = [
    # what is done to the host,                       code, check,           why
    (lambda host: os.unlink(host.config),             6,    "configuration", "no configuration"),
    (lambda host: rewrite(host, "127.0.0.1", "x"),    7,    "configuration", "a wrong one"),
    (lambda host: os.unlink(host.statefile),          8,    "State-File",    "no State-File"),
    (lambda host: os.truncate(host.statefile, 4096),  8,    "State-File",    "a short one"),
    (lambda host: rewrite(host, ">lo<", ">nix0<"),    2,    "interface",     "no interface"),
    (lambda host: rewrite(host, "d00d<", "d00e<"),    10,   "contents",      "another generation"),
    (lambda host: blank(host),                        9,    "contents",      "a blank State-File"),
    (lambda host: switch_off(host),                   11,   "contents",      "HA was switched off"),
    (lambda host: leave_timers(host),                 4,    "left timers",   "died armed"),
    (lambda host: os.environ.update(XHA_HEALTH_CHECK="/nowhere"),
     16, "xapi check", "no health check"),
]


def rewrite(host, before, after):
    with open(host.config) as file:
        text = file.read()
    assert before in text
    with open(host.config, "w") as file:
        file.write(text.replace(before, after))


def blank(host):
    with open(host.statefile, "wb") as file:
        file.truncate(266240)


def switch_off(host):
    with open(host.statefile, "r+b") as file:
        found = sfformat.decode_global(file.read(4096))
        file.seek(0)
        file.write(sfformat.encode_global(found._replace(pool_state=PoolState.INVALID)))


def leave_timers(host):
    timerrecord.write(Paths(), timerrecord.TimerRecord(
        boot_id=timerrecord.boot_id(), mode=WatchdogMode.HYPERVISOR, armed=True, timers=(),
        daemon=timerrecord.Process(pid=1 << 22, started=1), keeper=timerrecord.NO_PROCESS,
        timeouts_ms=()))


@pytest.mark.parametrize("does, code, check, why", BREAKS, ids=[row[-1] for row in BREAKS])
def test_the_code_is_that_of_a_start(host, monkeypatch, does, code, check, why):
    monkeypatch.setenv("XHA_HEALTH_CHECK", os.environ["XHA_HEALTH_CHECK"])
    does(host)
    found, worst, _ = host.doctor()
    assert (found, worst[check]) == (code, "failure")


def test_the_first_failure_in_the_order_of_a_start_gives_the_code(host):
    rewrite(host, ">lo<", ">nix0<")
    leave_timers(host)
    assert host.doctor()[0] == 2, "the interface comes before the timers"
    os.unlink(host.statefile)
    assert host.doctor()[0] == 8, "and the State-File before both"


def test_looking_changes_nothing(host, monkeypatch):
    asked = []

    def call(paths, *words, timeout_s):
        asked.append(words)
        return ctlformat.Reply(0, report.as_json(snapshot()), "")
    monkeypatch.setattr(client, "call", call)
    before = {name: os.stat(str(host.folder / name)).st_mtime_ns for name in os.listdir(
        str(host.folder))}
    with open(host.statefile, "rb") as file:
        content = file.read()
    code, worst, _ = host.doctor("--pool")
    assert code == 0 and worst["daemon"] == "ok"
    assert asked == [("query", "json", "0")]
    assert {name: os.stat(str(host.folder / name)).st_mtime_ns for name in os.listdir(
        str(host.folder))} == before
    with open(host.statefile, "rb") as file:
        assert file.read() == content


def test_a_daemon_with_another_configuration_is_told(host, monkeypatch):
    monkeypatch.setattr(client, "call", lambda paths, *words, timeout_s: ctlformat.Reply(
        0, report.as_json(snapshot(generation_uuid="5" * 32)), ""))
    assert host.doctor()[1]["daemon"] == "warning"


def test_a_daemon_with_other_times_than_the_file_is_told(host, monkeypatch):
    """As after a change of the file that the daemon has not seen."""
    told = snapshot(generation_uuid="0f0f0f0faaaa4bbb8ccc00000000d00d",
                    heartbeat_timeout_ms=30000, statefile_timeout_ms=30000,
                    heartbeat_watchdog_timeout_ms=30000, statefile_watchdog_timeout_ms=45000)
    for changes, words in ((dict(), None), (dict(statefile_watchdog_timeout_ms=60000),
                                            "Ws 60 s instead of 45 s")):
        monkeypatch.setattr(client, "call", lambda *_, changes=changes, **__: ctlformat.Reply(
            0, report.as_json(told._replace(**changes)), ""))
        _, out, _ = host.run("doctor", "--seconds=0", "--format=json", "--config=" + host.config)
        said = [one["text"] for one in json.loads(out)["findings"]
                if "other times" in one["text"]]
        assert len(said) == (1 if words else 0) and all(words in text for text in said)
        _, out, _ = host.run("timing", "--format=json", "--config=" + host.config)
        assert ("other times" in out) is bool(words)


def test_what_an_ordinary_user_is_refused_is_not_said_of_root_s_daemon():
    """Only a failure to read the configuration stays: without it nothing is looked at."""
    refused = failure("State-File", "State-File /x: Permission denied", "see that it is attached",
                      ExitCode.STATEFILE_INACCESSIBLE)
    found = doctor._as_anybody(refused)
    assert (found.level, found.advice) == (findings.Level.UNKNOWN, "run doctor as root")
    assert "Permission denied" in found.text
    for kept in (failure("State-File", "too small", "x", ExitCode.STATEFILE_INACCESSIBLE),
                 failure("configuration", "Permission denied", "x", ExitCode.CANNOT_READ_CONFIG),
                 ok("real time", "granted"), warning("clock", "slow", "x")):
        assert doctor._as_anybody(kept) == kept
    assert doctor._as_anybody(warning("real time", "no", "x")).level is findings.Level.UNKNOWN
    taken = failure("UDP port", "694 is taken: a process on 10.0.0.1", "x", ExitCode.SYSTEM_ERROR)
    assert doctor._as_anybody(taken).level is findings.Level.UNKNOWN, "it may be root's daemon"


def test_without_a_configuration_the_host_is_looked_at_all_the_same(host):
    os.unlink(host.config)
    _, worst, _ = host.doctor("--pool")
    assert {"python", "run files", "real time", "clock", "left timers"} <= set(worst)
    assert "State-File" not in worst


def test_the_text_says_what_takes_long_before_it_does(host, run):
    code, out, err = run("doctor", "--seconds=0", "--config=" + host.config)
    assert code == 0
    assert err.startswith("reading the State-File " + host.statefile + " for 0 s")
    for line in out.splitlines():
        # A path is one word, and where tests have their files may be a long one.
        short = line.replace(os.path.dirname(host.config), "/xha")
        assert len(short) <= findings.WIDTH and line == line.rstrip(), line
    assert out.splitlines()[-1].endswith("Nothing seen here keeps this host from HA.")


@pytest.mark.parametrize("words", [
    ["--format=xml"], ["--seconds=x"], ["--seconds=-1"], ["--seconds=601"], ["now"]])
def test_wrong_usage_is_1(run, words):
    code, out, err = run("doctor", *words)
    assert (code, out, err.count("\n")) == (1, "", 1)


@pytest.mark.parametrize("interval_ms, pool, expected", [
    (4000, False, 3), (4000, True, 9), (3000, True, 7), (1000, True, 3)])
def test_with_the_others_in_view_all_have_time_to_write(interval_ms, pool, expected):
    settings = SETTINGS._replace(common=SETTINGS.common._replace(
        statefile_interval_ms=interval_ms))
    assert doctor._usual_seconds(settings, pool) == expected


# Findings

FINDINGS = [
    # findings, code, last line, why
    ([], 0, "Nothing looked at.  Nothing seen here keeps this host from HA.", "none"),
    ([ok("a", "x"), unknown("b", "y")], 0,
     "1 unknown, 1 ok.  Nothing seen here keeps this host from HA.", "what cannot be told is none"),
    ([warning("a", "x", "y"), warning("a", "x", "y")], 0,
     "2 warnings.  Nothing seen here keeps this host from HA.", "a warning is no failure"),
    ([failure("a", "x", "y", ExitCode.WATCHDOG_ERROR), failure("a", "x",
     "y", ExitCode.SYSTEM_ERROR)],
     4, "2 failures.  Exit code 4: watchdog error.", "the first counts"),
]


@pytest.mark.parametrize("found, code, last, why", FINDINGS, ids=[row[-1] for row in FINDINGS])
def test_findings(found, code, last, why):
    assert findings.exit_code(found) == code
    assert findings.as_text(found).splitlines()[-1] == last


def test_findings_are_ascii_whatever_they_hold():
    found = [warning("caf\u00e9\n", "\u2014 {} \x1b[31m".format("long " * 40), "\u00fc")]
    text = findings.as_text(found) + json.dumps(findings.as_facts(found)[0]["text"])
    assert all(" " <= letter <= "~" or letter == "\n" for letter in text)


def test_every_name_in_the_json_is_documented_and_no_other(host, run):
    _, out, _ = run("doctor", "--seconds=0", "--format=json", "--config=" + host.config)
    told = json.loads(out)
    with open(os.path.join(ROOT, "docs", "doctor.md")) as file:
        rows = [line.split("|")[1].strip() for line in file if line.startswith("| `")]
    assert {row.strip("`") for row in rows} == set(told) | set(told["findings"][0])


# Looking at this host

def test_this_host_is_looked_at_without_harm(tmp_path, monkeypatch):
    facts = lookhost.look_python()
    assert facts.netifaces == "" and facts.version >= (3, 6)
    assert lookhost.look_realtime(0).trouble == ""
    assert os.sched_getscheduler(0) == os.SCHED_OTHER, "what a child is granted ends with it"
    places = lookhost.look_places(Paths(str(tmp_path / "not" / "there")))
    assert [(one.purpose, one.trouble) for one in places] == [
        ("run", ""), ("state", ""), ("log", "")]
    assert not os.path.exists(str(tmp_path / "not"))
    assert lookhost.look_left(Paths(str(tmp_path))).present is False


def test_a_directory_that_cannot_be_one_is_told(tmp_path):
    (tmp_path / "file").write_text("x")
    place = lookhost.look_places(Paths(str(tmp_path / "file" / "run")))[0]
    assert "no directory" in place.trouble


@pytest.mark.parametrize("command, said", [
    ("true", ""), ("/nowhere/x --now", "there is no /nowhere/x"), ("'", "no command line"),
    ("/etc/passwd", "may not be run")])
def test_whether_a_health_check_can_be_run(monkeypatch, command, said):
    monkeypatch.setenv("XHA_HEALTH_CHECK", command)
    trouble = lookhost.look_health_check({}).trouble
    assert said in trouble and bool(said) == bool(trouble)


def test_a_firewall_s_program_that_hangs_or_fails_is_told(tmp_path, monkeypatch):
    # What a program has started holds its output open, and is not killed with it.
    for name, script in (("nft", "sleep 20; true"), ("iptables-save", "echo no >&2; exit 4")):
        path = tmp_path / name
        path.write_text("#!/bin/sh\n" + script + "\n")
        path.chmod(0o755)
    monkeypatch.setenv("PATH", "{}:/usr/bin:/bin".format(tmp_path))
    monkeypatch.setattr(looknetwork, "LIST_S", 0.5)
    found = {one.program: one.trouble for one in looknetwork.look_firewall(False)}
    assert found == {"nft": found["nft"], "iptables-save": "no"}
    assert re.search("(no|did not) answer within", found["nft"])
    assert doctor.SECONDS_MAX >= doctor.SECONDS
