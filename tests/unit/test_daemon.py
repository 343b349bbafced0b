"""The daemon itself, as a process of its own, run from the sources: what the loop says and does.

A pool of one host, on the loopback interface.  Nothing is asked of time here but that it
passes; pools of several hosts are tests/e2e.
"""
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile

import pytest
from process_samples import wait_until

from xha import client, recorderformat, sandboxpool, sfformat, timerrecord
from xha.paths import Paths

TESTS = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))

#: A time-out that a busy machine does not reach, and that a test can wait for, s.
TIMEOUT_S = 9

PROGRAM = """
import sys
sys.path.insert(0, {tests!r})
import provoked, sources
sources.use(sources.SRC)
provoked.watch()
{before}
from xha import cli
sys.exit(cli.main("xha.pyz", sys.argv[1:]))
"""

CONFIG = """<?xml version="1.0" encoding="utf-8"?>
<xhad-config version="1.0">
  <common-config>
    <GenerationUUID>0f0f0f0f-aaaa-4bbb-8ccc-00000000d00d</GenerationUUID>
    <UDPport>{port}</UDPport>
    <host><HostID>10000000-1111-4222-8333-000000000000</HostID>
      <IPaddress>{address}</IPaddress></host>
    <parameters>{parameters}</parameters>
  </common-config>
  <local-config><localhost>
    <HostID>10000000-1111-4222-8333-000000000000</HostID>
    <HeartbeatInterface>lo</HeartbeatInterface>
    <StateFile>{folder}/statefile</StateFile>
    <WatchdogMode>NONE</WatchdogMode>
  </localhost></local-config>
</xhad-config>
"""

#: A licence check that takes until the file "go" is there.
LICENCE = """#!/bin/sh
touch {folder}/looking
while [ ! -e {folder}/go ]; do sleep 0.02; done
"""


class Host:
    """A host: its files and its daemon."""

    def __init__(self, folder):
        self.folder = folder
        self.paths = Paths(run_dir=folder + "/run")
        self.process = None
        self.environment = dict(
            os.environ, XHA_RUN_DIR=self.paths.run_dir, XHA_HEALTH_CHECK="true",
            XHA_RESTART_XAPI="false", XHA_LICENSE_CHECK="/nowhere/xha-lc")

    def write(self, *extra):
        """Write the configuration with these parameters, too, and an empty State-File."""
        addresses, port = sandboxpool.free_addresses(1)
        parameters = "".join("<{0}>{1}</{0}>".format(name, value) for name, value in (
            sandboxpool.parameters(TIMEOUT_S) + list(extra)))
        with open(self.folder + "/xhad.conf", "w") as file:
            file.write(CONFIG.format(port=port, address=addresses[0], parameters=parameters,
                                     folder=self.folder))
        with open(self.folder + "/statefile", "wb") as file:
            file.truncate(sandboxpool.STATEFILE_BYTES)
        assert self.run("write-statefile", "init").wait() == 0

    def run(self, command, *words, before=""):
        """A command of the program, as a process."""
        return subprocess.Popen(
            [sys.executable, "-B", "-c", PROGRAM.format(tests=TESTS, before=before), command,
             "--config=" + self.folder + "/xhad.conf"] + list(words), env=self.environment,
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def start(self, *words, before=""):
        """Start the daemon."""
        self.process = self.run("daemon", *words, before=before)

    def ask(self, *words):
        """What the daemon answers; it must be content."""
        reply = client.call(self.paths, *words)
        assert reply.code == 0, reply
        return reply.out

    def names(self, file=None):
        """The names of the messages in its log, or in another file."""
        try:
            with open(file or self.paths.log_file) as log:
                return re.findall(r"^\S+ \w+ .*? \[([a-z0-9-]+)\]", log.read(), re.MULTILINE)
        except FileNotFoundError:
            return []

    def watchdogs_that_failed(self):
        """The timers that its log says could not be moved, sorted; one for each line."""
        with open(self.paths.log_file) as log:
            return sorted(re.findall(
                r" The (.*) watchdog cannot be set: .* \[watchdog-refresh-failed\]",
                log.read(), re.MULTILINE))

    def wait_for(self, *names):
        """Wait until the log holds these, one after the other."""
        def found():
            left = iter(self.names())
            return all(name in left for name in names)
        wait_until(lambda: found() or self.process.poll() is not None)
        assert found(), self.names()

    def ended(self):
        """The daemon's exit code; it must end by itself."""
        return self.process.wait(60)

    def close(self):
        """Leave nothing behind."""
        if self.process is not None and self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        shutil.rmtree(self.folder)


@pytest.fixture
def host():
    # Of its own, and not tmp_path: a socket's path must be short.
    made = Host(tempfile.mkdtemp(prefix="xha-daemon-"))
    yield made
    made.close()


def test_a_daemon_says_how_it_starts_what_is_asked_and_that_it_is_not_safe(host):
    host.write(("HeartbeatTimeouts", 9))
    host.start("--enable-faults")
    host.wait_for("config-warning", "fault-points-enabled", "watchdog-mode-none",
                  "daemon-started", "host-online")
    host.ask("set-pool-state", "active")
    host.ask("fault", "set", "watchdog.fail")
    host.wait_for("request-done", "fault-point-set", "watchdog-refresh-failed")
    host.ask("fault", "clear", "all")
    host.wait_for("watchdog-refresh-failed", "fault-point-cleared", "watchdog-refresh-works")
    # It persists, and is said once of each timer: as many as met it before it was cleared.
    said = host.watchdogs_that_failed()
    assert said in (["heartbeat"], ["statefile"], ["heartbeat", "statefile"]), said
    # Nothing moves the timers any more; in mode NONE the daemon alone can end.
    host.ask("fault", "set", "watchdog.fail")
    assert host.ended() == -signal.SIGABRT
    assert "watchdog-expired" in host.names()


def test_xapi_is_held_and_let_go_through_the_socket_and_that_is_said_and_shown(host):
    host.write()
    host.start()
    host.wait_for("host-online")
    assert host.ask("hold", "list") == "Nothing is held.\n"
    assert host.ask("hold", "xapi", "end") == "Nothing is held.\n"
    assert host.ask("hold", "xapi", "5m") == "xapi is not checked for 5m more.\n"
    assert re.match(r"xapi is not checked for (5m|4m5[0-9]s) more.\n\Z", host.ask("hold", "list"))
    shown, = json.loads(host.ask("query", "json", "0"))["hosts"]
    assert 200000 < shown["xapi_held_ms"] <= 300000
    for length in ("2h", "5", "0s"):
        refused = client.call(host.paths, "hold", "xapi", length)
        assert (refused.code, refused.out) == (1, "") and "expected" in refused.err
    assert host.ask("hold", "xapi", "1h") == "xapi is not checked for 1h more.\n"
    assert host.ask("hold", "xapi", "end") == "Nothing is held.\n"
    assert json.loads(host.ask("query", "json", "0"))["hosts"][0]["xapi_held_ms"] is None
    assert host.ask("hold", "xapi", "1s") == "xapi is not checked for 1s more.\n"
    host.wait_for("xapi-hold-begun", "xapi-hold-changed", "xapi-hold-ended", "xapi-hold-begun",
                  "xapi-hold-ended")
    assert host.ask("hold", "list") == "Nothing is held.\n"


def test_a_host_that_is_disarmed_for_a_while_stays_so_and_says_so(host):
    host.write()
    host.start()
    host.wait_for("host-online")
    for length in ("13h", "30"):
        refused = client.call(host.paths, "disarm-fencing", length)
        assert (refused.code, refused.out) == (1, "") and "expected" in refused.err
    assert json.loads(host.ask("query", "json", "0"))["fencing"] == "armed"
    assert host.ask("disarm-fencing", "30m") == ""
    shown, = json.loads(host.ask("query", "json", "0"))["hosts"]
    assert shown["disarmed"] and 1700000 < shown["disarm_term_ms"] <= 1800000
    assert re.match(r"Fencing is disarmed, and meant to be for (30m|29m5[0-9]s) more.\n\Z",
                    host.ask("hold", "list"))
    assert host.ask("disarm-fencing", "1s") == ""
    host.wait_for("fencing-disarmed", "disarm-term", "disarm-term", "still-disarmed")
    assert re.match(r"Fencing is STILL disarmed, [1-9][0-9]*s longer than was meant.\n\Z",
                    host.ask("hold", "list"))
    assert json.loads(host.ask("query", "json", "0"))["fencing"] == "disarmed"
    assert host.ask("disarm-fencing") == ""
    assert host.ask("hold", "list") == "Nothing is held.\n"


BUGS = [
    ("main", "from xha import service; service.Service.turn = lambda self: 1 / 0"),
    ("statefile", "from xha import statefile; "
                  "statefile.StateFileWorker._do = lambda self, job: 1 / 0"),
]


@pytest.mark.parametrize("thread, bug", BUGS, ids=[row[0] for row in BUGS])
def test_a_bug_ends_the_daemon_with_its_traceback_in_the_log(host, thread, bug):
    host.write()
    host.start(before=bug)
    assert host.ended() == 127
    names = host.names()
    died = names.index("thread-died")
    assert set(names[died + 1:]) == {"traceback"}
    with open(host.paths.log_file) as log:
        lines = log.read().splitlines()[died:]
    said = "Thread {} of the daemon died: ZeroDivisionError: division by zero. [".format(thread)
    assert said in lines[0]
    assert " Traceback (most recent call last): [traceback]" in lines[1]
    assert any(", in <lambda> [traceback]" in line for line in lines)
    assert " ZeroDivisionError: division by zero [traceback]" in lines[-1]


#: Makes ``name`` of a class fail, or end without a word, once the host's file "now" is there.
LATER = """
import os
import xha.{module}
xha.{module}.{owner}._was = xha.{module}.{owner}.{name}
def _failing(self, *arguments):
    if os.path.exists({folder!r} + "/now"):
        {fault}
    return self._was(*arguments)
xha.{module}.{owner}.{name} = _failing
"""

#: Where a thread of an armed daemon is hit, by what, and by which name the daemon calls it.
PLACES = [
    ("main", "service", "Service", "turn", "raise MemoryError"),
    ("main", "daemon", "_Daemon", "_look_after", "raise MemoryError"),
    ("main", "node", "Node", "step", "raise MemoryError"),
    ("main", "node", "Node", "step", "raise SystemExit(0)"),
    ("statefile", "statefile", "StateFileWorker", "_do", "raise MemoryError"),
    ("statefile", "statefile", "StateFileWorker", "_do", "raise SystemExit(0)"),
    # Its death is told by the loop.
    ("main", "xapimonitor", "Runner", "run", "raise MemoryError"),
    ("main", "xapimonitor", "Runner", "run", "raise RuntimeError('a bug')"),
]


@pytest.mark.parametrize("thread, module, owner, name, fault", PLACES,
                         ids=[row[2] + " " + row[4] for row in PLACES])
def test_no_armed_daemon_outlives_a_thread_that_decides_or_acts(
        host, thread, module, owner, name, fault):
    """It ends, and its timers run: nothing refreshes them any more, and nothing closes them."""
    host.write(("XapiHealthCheckInterval", 1))
    host.start(before=LATER.format(module=module, owner=owner, name=name, fault=fault,
                                   folder=host.folder))
    host.wait_for("fencing-armed", "host-online")
    open(host.folder + "/now", "w").close()
    assert host.ended() == 127
    names = host.names()
    assert "thread-died" in names and "watchdogs-closed" not in names
    with open(host.paths.log_file) as log:
        text = log.read()
    assert " Thread {} of the daemon died: ".format(thread) in text
    assert fault.split()[1].split("(")[0] in text
    record = timerrecord.read(host.paths).record
    assert record.armed and record.daemon.pid == host.process.pid


def test_a_daemon_without_any_memory_left_ends_at_once(host):
    """Its address space is full to the last piece: it cannot even say why."""
    host.write()
    host.start(before="""
import os, resource
from xha import daemon
was, hog = daemon._Daemon._turn, []
def fill():
    with open("/proc/self/statm") as file:
        size = int(file.read().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (size, resource.RLIM_INFINITY))
    for piece in (1 << 16, 1 << 12, 1 << 9, 64):
        try:
            while True:
                hog.append(bytearray(piece))
        except MemoryError:
            pass
def turn(self):
    if os.path.exists({0!r} + "/now"):
        os.unlink({0!r} + "/now")
        fill()
    was(self)
daemon._Daemon._turn = turn
""".format(host.folder))
    host.wait_for("fencing-armed", "host-online")
    open(host.folder + "/now", "w").close()
    # Or the interpreter itself ends it, which before 3.9 cannot always make the exception.
    assert host.ended() in (127, -signal.SIGABRT)
    assert "watchdogs-closed" not in host.names()
    assert timerrecord.read(host.paths).record.armed


#: A thread that a host does not need, and what is said when it ends, without a word or with.
SPARE = [
    ("syslogger", "Syslogger", "_drain", "return 1 / 0", "log-thread-died"),
    ("syslogger", "Syslogger", "_drain", "raise SystemExit(0)", "log-thread-died"),
    ("recorder", "Recorder", "_write_all", "raise MemoryError", "recorder-failed"),
]


@pytest.mark.parametrize("module, owner, name, fault, said", SPARE,
                         ids=[row[0] + " " + row[3] for row in SPARE])
def test_a_daemon_goes_on_without_its_log_or_its_recorder_and_says_so(
        host, module, owner, name, fault, said):
    host.write()
    host.start("--enable-faults", before=LATER.format(
        module=module, owner=owner, name=name, fault=fault, folder=host.folder))
    host.wait_for("host-online")
    open(host.folder + "/now", "w").close()
    host.ask("fault", "set", "statefile.slow=5")

    def heard():
        names = host.names() + [one.name for one in recorded(host).entries]
        return said in names
    wait_until(heard)
    for _ in range(20):         # Whatever is said now, nobody waits and nothing is decided anew.
        host.ask("fault", "set", "statefile.slow=6")
    assert json.loads(host.ask("query", "json", "0"))["status"] == "online"
    advanced = statefile_sequence(host)
    wait_until(lambda: statefile_sequence(host) > advanced)
    host.process.terminate()
    host.ended()
    assert host.process.returncode == 0, "armed, and asked to end: as ever"


def statefile_sequence(host):
    """How often its record was written."""
    with open(host.folder + "/statefile", "rb") as statefile:
        statefile.seek(4096)
        return sfformat.decode_host(statefile.read(4096)).sequence


def test_a_wall_clock_that_jumps_changes_nothing_but_what_lines_of_the_log_say(host):
    """Years to and fro at every look: only the clock that cannot be set counts."""
    host.write()
    host.start("--enable-faults", before="""
import time, itertools
was, jumps = time.time, itertools.cycle([0.0, 3e8, -7e8, 1e9, -1e9])
time.time = lambda: was() + next(jumps)
""")
    host.wait_for("daemon-started", "host-online")
    assert host.ask("propose-master") == "TRUE\n"
    for number in range(1, 30):
        host.ask("fault", "set", "statefile.slow={}".format(number))
    shown = json.loads(host.ask("query", "json", "0"))
    assert (shown["status"], shown["fencing"]) == ("online", "armed")
    advanced = statefile_sequence(host)
    wait_until(lambda: statefile_sequence(host) > advanced + 3)
    assert not {"gap-noticed", "watchdog-expiring", "watchdog-expired", "liveset-lost",
                "thread-died"} & set(host.names())
    host.ask("disarm-fencing")
    host.process.terminate()
    assert host.ended() == 0


def recorded(host, number=0):
    """What the flight recorder of the daemon ``number`` lives ago holds."""
    path = host.paths.state_dir + "/recorder"
    with open("{}.{}".format(path, number) if number else path, "rb") as stream:
        return recorderformat.decode(stream.read())


def test_a_daemon_that_is_killed_leaves_its_last_event_in_its_recorder(host):
    host.write()
    host.start("--enable-faults")
    host.wait_for("host-online")
    host.ask("fault", "set", "statefile.slow=5")
    pid = host.process.pid
    # Written at once, by a thread that may come a moment later than the log's.
    wait_until(lambda: "fault-point-set" in [one.name for one in recorded(host).entries])
    host.process.kill()
    assert host.ended() == -signal.SIGKILL
    found = recorded(host)
    events = [entry for entry in found.entries if entry.kind == "event"]
    assert (events[-1].name, dict(events[-1].fields)) == (
        "fault-point-set", {"point": "statefile.slow", "value": "5"})
    assert {"daemon-started", "liveset-changed", "host-online"} <= {one.name for one in events}
    assert (found.header.pid, found.header.host, found.header.online) == (pid, 0, True)
    assert found.damaged == 0
    incarnation = dict(next(one.fields for one in events if one.name == "daemon-started"))
    assert events[-1].incarnation == incarnation["incarnation"]
    states = [dict(entry.fields) for entry in found.entries if entry.kind == "state"]
    assert states[0]["phase"] == "STARTING" and states[-1].get("phase", "STARTED") == "STARTED"
    with open(host.folder + "/statefile", "rb") as statefile:
        key = sfformat.decode_global(statefile.read(4096)).pool_key
    with open(host.paths.state_dir + "/recorder", "rb") as stream:
        data = stream.read()
    assert key and key not in data and key.hex().encode() not in data.lower()


def test_a_new_daemon_keeps_its_predecessor_s_recorder_and_timeline_shows_both(host):
    host.write()
    for _ in range(2):
        host.start("--enable-faults")
        host.wait_for("host-online")
        host.process.terminate()
        host.ended()
        os.rename(host.paths.log_file, host.paths.log_file + ".old")
    assert recorded(host, 1).header.pid != recorded(host).header.pid
    for number in (0, 1):
        assert [entry.name for entry in recorded(host, number).entries][-1] == "terminated"
    shown = subprocess.run(
        [sys.executable, "-B", "-c", PROGRAM.format(tests=TESTS, before=""), "timeline"],
        env=host.environment, stdout=subprocess.PIPE, universal_newlines=True, check=True).stdout
    assert shown.count("[host-online]") == 2
    assert ", same boot; nothing was recorded for " in shown


def test_without_a_place_for_its_recorder_a_daemon_runs_and_says_so_once(host):
    host.write()
    host.environment["XHA_STATE_DIR"] = host.folder + "/statefile/none"
    host.start("--enable-faults")
    host.wait_for("host-online")
    host.ask("fault", "set", "statefile.slow=5")
    host.wait_for("fault-point-set")
    wait_until(lambda: "recorder-failed" in host.names())
    host.process.terminate()
    host.ended()
    assert host.names().count("recorder-failed") == 1


def test_a_start_that_fails_is_recorded_too(host):
    host.write()
    os.unlink(host.folder + "/statefile")
    host.start()
    assert host.ended() == 8
    found = recorded(host)
    assert [entry.name for entry in found.entries] == ["start-aborted"]
    assert not found.header.online


def test_logrotate_finds_a_daemon_that_still_looks_for_its_licence(host):
    """It is named xhad already, so that `killall -HUP xhad` reaches it."""
    host.write(("XapiLicenseCheckTimeout", 60))
    licence = host.folder + "/licence"
    with open(licence, "w") as file:
        file.write(LICENCE.format(folder=host.folder))
    os.chmod(licence, 0o700)
    host.environment["XHA_LICENSE_CHECK"] = licence
    host.start()
    wait_until(lambda: os.path.exists(host.folder + "/looking"))
    with open("/proc/{}/comm".format(host.process.pid)) as comm:
        assert comm.read() == "xhad\n"
    os.rename(host.paths.log_file, host.paths.log_file + ".1")
    host.process.send_signal(signal.SIGHUP)
    host.wait_for("log-reopened")
    open(host.folder + "/go", "w").close()
    host.wait_for("log-reopened", "daemon-started")
    host.process.terminate()
    assert host.ended() == 0
    assert host.names()[-1] == "terminated"
    assert "log-reopened" not in host.names(host.paths.log_file + ".1")
    assert host.names(host.paths.log_file + ".1") == []
