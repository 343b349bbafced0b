"""Starting and stopping a daemon: its codes, its reason, and bounds on every wait.

The daemon here is a small process with the real lock and the real control socket, so that
each way to start and to end can be had in milliseconds.
"""
import os
import signal
import sys

import pytest
from process_samples import wait_until

from xha import cli, client, commands, config, daemonlock, installplan, lifecycle, options
from xha.errors import ExitCode, XhaError
from xha.paths import Paths

SRC = os.path.dirname(os.path.abspath(cli.__file__))
CONFIG = os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "fixtures",
                      "xhad_host0.conf")

#: Called as `daemon --report-fd=N --config=FILE [words]`; what it does is in its environment.
DAEMON = """
import os, select, signal, sys, time
sys.path.insert(0, {farm!r})
from xha import control, options, realtime
from xha.errors import XhaError
from xha.paths import Paths

assert sys.argv[1] == "daemon"
report_fd = int(sys.argv[2].partition("=")[2])
plan = os.environ["PLAN"].split()
with open(os.environ["SEEN"], "w") as file:
    file.write(repr((sys.argv[3:], os.environ.get("LC_ALL"), os.getcwd(), os.getsid(0) ==
                     os.getpid(), [os.readlink("/proc/self/fd/%d" % fd) for fd in range(3)])))
paths = Paths()
try:
    os.mkdir(paths.run_dir)
except FileExistsError:
    pass
if plan[0] == "fails":
    options.report(report_fd, int(plan[1]), "cannot join, caf\\u00e9\\nand more")
    sys.exit(int(plan[1]))
if plan[0] == "differs":
    options.report(report_fd, int(plan[2]), "what it said")
    sys.exit(int(plan[1]))
if plan[0] == "silent":
    sys.exit(int(plan[1]))
if plan[0] == "killed":
    os.kill(os.getpid(), signal.SIGKILL)
try:
    lock = realtime.take_lock(paths.lock)
except XhaError as error:
    options.report(report_fd, error.code, str(error))
    sys.exit(error.code)
if plan[0] == "hangs":              # A thread hangs in the disk: neither exit nor signal ends it.
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    options.report(report_fd, int(plan[1]), "the State-File is gone")
    time.sleep(60)
if plan[0] == "dawdles":
    options.report(report_fd, int(plan[1]), "the State-File is gone")
    time.sleep(0.3)
    sys.exit(int(plan[1]))
if plan[0] == "deaf":
    time.sleep(60)
ended = []
signal.signal(signal.SIGTERM, lambda *_: ended.append(1))
if "stubborn" in plan:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
server = control.ControlServer(paths, lambda: int(time.monotonic() * 1000))
server.open()
if "contradicts" in plan:
    options.report(report_fd, 8, "the State-File is gone")
answers = {{"pid": "%d\\n" % (1 if "liar" in plan else os.getpid()), "host-state": plan[0] + "\\n",
           "query": '{{"fencing": "%s"}}' % ("armed" if "armed" in plan else "disarmed")}}
looks = 0
while not ended:
    select.select([server], [], [], 0.02)
    for request in server.serve():
        looks += request.verb == "host-state"
        if "later" in plan and looks > 2:
            answers["host-state"] = "Online\\n"
        server.reply(request.ticket, 0, answers[request.verb])
server.close()
"""


@pytest.fixture
def place(tmp_path, monkeypatch):
    link = "/tmp/xha-life-{}".format(os.getpid())
    os.symlink(str(tmp_path), link)
    os.symlink(SRC, str(tmp_path / "xha"))
    with open(str(tmp_path / "program"), "w") as file:
        file.write(DAEMON.format(farm=str(tmp_path)))
    monkeypatch.setattr(sys, "argv", [str(tmp_path / "program")])
    monkeypatch.setattr(lifecycle, "PACE_S", 0.01)
    monkeypatch.setenv("XHA_RUN_DIR", link + "/run")
    monkeypatch.setenv("SEEN", str(tmp_path / "seen"))
    yield Paths()
    pid = daemonlock.holder(Paths().lock)
    if pid:
        os.kill(pid, signal.SIGKILL)
        wait_until(lambda: not daemonlock.holder(Paths().lock))
    os.unlink(link)


@pytest.fixture
def start(place, monkeypatch):
    def call(plan, *words):
        monkeypatch.setenv("PLAN", plan)
        return lifecycle.start(place, CONFIG, list(words))
    return call


def seen(tmp_path):
    with open(str(tmp_path / "seen")) as file:
        return eval(file.read())  # Written by the process above.


def test_start_waits_until_the_host_is_online(start, place, capfd):
    assert start("Starting later") == 0
    assert client.call(place, "host-state").out == "Online\n"
    assert capfd.readouterr() == ("", "")


def test_the_daemon_runs_detached_from_who_started_it(start, tmp_path):
    assert start("Online", "--enable-faults", "daemon.crash") == 0
    words, locale, folder, leads_session, streams = seen(tmp_path)
    assert words == ["--config=" + CONFIG, "--enable-faults", "daemon.crash"]
    assert (locale, folder, leads_session) == ("C", "/", True)
    assert streams == ["/dev/null"] * 3


def test_portreserve_gives_up_the_port_before_the_daemon_starts(start, tmp_path, monkeypatch):
    """Its file is the one that `install` lays down: the names must be the same."""
    program = tmp_path / "bin" / "portrelease"
    program.parent.mkdir()
    program.write_text('#!/bin/sh\n[ ! -e "{0}/seen" ] && echo "$*" > "{0}/released"\nexit 1\n'
                       .format(tmp_path))
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(program.parent), prepend=os.pathsep)
    assert start("Online") == 0
    assert (tmp_path / "released").read_text() == "xhad\n"
    assert "/etc/portreserve/xhad" in [row[1] for row in installplan.FILES]


def test_a_portreserve_that_hangs_delays_a_start_but_does_not_stop_it(start, tmp_path,
                                                                      monkeypatch):
    program = tmp_path / "bin" / "portrelease"
    program.parent.mkdir()
    program.write_text("#!/bin/sh\nexec sleep 60\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(program.parent), prepend=os.pathsep)
    monkeypatch.setattr(lifecycle, "RELEASE_S", 0.2)
    assert start("Online") == 0


def test_a_second_start_is_refused_with_15(start):
    assert start("Online") == 0
    with pytest.raises(XhaError) as refusal:
        start("Online")
    assert refusal.value.code == ExitCode.DAEMON_PRESENT


FAILURES = [
    ("fails 13",  13,  "cannot join, caf\\xe9 and more\n",                  "its own reason"),
    ("fails 8",   8,   "cannot join, caf\\xe9 and more\n",                  "its own code"),
    ("silent 12", 12,  "the daemon ended with 12 (join timeout)\n",         "no reason given"),
    ("silent 99", 127, "the daemon ended with 99 (internal bug)\n",         "no code of the table"),
    ("silent 0",  3,   "the daemon was stopped before this host was online\n", "stopped meanwhile"),
    ("killed",    2,   "the daemon was ended by signal 9\n",                "killed"),
    ("fails 0",   3,   "the daemon was stopped before this host was online\n", "it said so"),
    ("differs 9 8", 9, "what it said\n",                 "how it ended counts more than its word"),
    ("dawdles 8", 8,   "the State-File is gone\n",         "its process takes a moment to end"),
]


@pytest.mark.parametrize("plan, code, said, why", FAILURES, ids=[row[-1] for row in FAILURES])
def test_a_start_that_fails_ends_as_the_daemon_did_with_one_line(start, capfd, plan, code, said,
                                                                 why):
    assert start(plan) == code
    assert capfd.readouterr() == ("", said)


HANGS = [
    ("hangs 8", 8, "the State-File is gone", "its own code and reason"),
    ("hangs 0", 3, "the daemon was stopped before this host was online", "stopped meanwhile"),
]


@pytest.mark.parametrize("plan, code, said, why", HANGS, ids=[row[-1] for row in HANGS])
def test_a_daemon_that_said_its_end_is_taken_at_its_word_when_its_process_cannot_end(
        start, place, monkeypatch, capfd, plan, code, said, why):
    monkeypatch.setattr(lifecycle, "LAST_WORD_S", 0.3)
    assert start(plan) == code
    pid = daemonlock.holder(place.lock)
    assert pid, "the process is still there"
    out, err = capfd.readouterr()
    assert out == "" and err.startswith(said + " (process {} has not ended, ".format(pid)), err
    assert len(err.splitlines()) == 1
    # It may yet write: beside it nothing starts, and nothing else writes.
    assert start("Online") == 15
    assert "already running: process {}".format(pid) in capfd.readouterr().err
    with pytest.raises(XhaError) as refusal:
        commands.refuse_beside_daemon(place)
    assert refusal.value.code == ExitCode.DAEMON_PRESENT
    os.kill(pid, signal.SIGKILL)
    wait_until(lambda: not daemonlock.holder(place.lock))
    assert start("Online") == 0, "the disk has let it go"


def test_a_daemon_that_says_its_end_and_still_answers_online_has_started(start, monkeypatch):
    """It cannot be; if it were, the answer would count: virtual machines rely on it."""
    monkeypatch.setattr(lifecycle, "LAST_WORD_S", 0.0)
    assert start("Online contradicts") == 0


def test_a_daemon_that_takes_its_time_is_waited_for_as_long_as_it_says_nothing(
        start, monkeypatch):
    monkeypatch.setattr(lifecycle, "LAST_WORD_S", 0.0)
    assert start("Starting later") == 0


REPORTS = [
    (b"", None, "nothing"),
    (b"8 half a li", None, "not the whole line yet"),
    (b"8 gone\n", (8, "gone"), "a line"),
    (b"8 gone\n127 worse\n", (127, "worse"), "the last counts"),
    (b"0 stopped\n", (0, "stopped"), "stopped"),
    (b"\xc3\xa9\n", None, "not what a daemon says"),
]


@pytest.mark.parametrize("data, meant, why", REPORTS, ids=[row[-1] for row in REPORTS])
def test_a_report_is_the_code_and_the_reason(data, meant, why):
    assert options.reported(data) == meant


def test_by_hand_the_reason_is_told_without_the_number(capfd):
    options.report(-1, ExitCode.CANNOT_JOIN, "caf\u00e9\n")
    assert capfd.readouterr().err == "caf\\xe9\n"


def test_the_configuration_is_checked_before_anything_is_started(place, tmp_path):
    for path, code in (("/nowhere", 6), ("/dev/null", 7)):
        with pytest.raises(XhaError) as refusal:
            lifecycle.start(place, path, [])
        assert refusal.value.code == code
    assert not os.path.exists(str(tmp_path / "seen"))


def test_a_daemon_that_never_comes_online_is_ended_after_the_bound_with_12(
        start, place, monkeypatch, capfd):
    monkeypatch.setattr(lifecycle, "start_bound_s", lambda common: 0.3)
    assert start("Starting") == 12
    assert not daemonlock.holder(place.lock)
    assert "not online after 0 s; it was ended (process" in capfd.readouterr().err


def test_the_bound_is_beyond_every_wait_of_a_start_that_succeeds():
    common = config.load(CONFIG).common
    # Licence 30; hearing all T1 5, seeing all T2 5; criteria Tboot 45 and forming 3 x 1;
    # joining Tboot 45.
    assert lifecycle.start_bound_s(common) == 30 + 5 + 5 + 45 + 3 + 45 + 60


def test_stop_without_a_daemon_is_0(place):
    assert lifecycle.stop(place) == 0
    os.mkdir(place.run_dir)
    with open(place.lock, "w") as file:
        file.write("1\n")           # A number that a dead daemon left is nobody's.
    assert lifecycle.stop(place) == 0


def test_stop_waits_until_the_daemon_is_gone(start, place, capfd):
    assert start("Online") == 0
    pid = daemonlock.holder(place.lock)
    assert lifecycle.stop(place) == 0
    assert daemonlock.holder(place.lock) == 0
    assert client.call(place, "pid").code == 14
    assert capfd.readouterr() == ("", "")
    assert pid != os.getpid()


def test_stopping_an_armed_daemon_warns_that_the_host_will_reset(start, place, capfd):
    assert start("Online armed") == 0
    assert lifecycle.stop(place) == 0
    assert "this host will be reset" in capfd.readouterr().err


def test_a_daemon_that_does_not_end_is_3_after_the_bound(start, place, monkeypatch, capfd):
    monkeypatch.setattr(lifecycle, "STOP_S", 0.2)
    assert start("Online stubborn") == 0
    assert lifecycle.stop(place) == 3
    assert "has not ended" in capfd.readouterr().err


def test_a_daemon_that_answers_nothing_is_found_by_its_lock(place, monkeypatch):
    monkeypatch.setenv("PLAN", "deaf")
    child, reports = lifecycle._spawn([])
    os.close(reports)
    wait_until(lambda: daemonlock.holder(place.lock) == child.pid)
    assert lifecycle.stop(place) == 0
    assert child.wait(20) == -signal.SIGTERM


def test_no_signal_is_sent_when_lock_and_daemon_name_different_processes(start, place):
    assert start("Online liar") == 0
    with pytest.raises(XhaError) as refusal:
        lifecycle.stop(place)
    assert refusal.value.code == ExitCode.SYSTEM_ERROR
    assert client.call(place, "host-state").out == "Online\n"


def test_a_dead_daemon_whose_parent_has_not_looked_yet_is_gone(start, place):
    """The end-to-end rig, and a service manager, are such parents."""
    assert start("Online") == 0     # This process is the parent, and does not wait for it.
    assert lifecycle.stop(place) == 0


def test_a_pipe_in_the_place_of_the_configuration_is_6_and_waits_for_nobody(tmp_path):
    """Source: spec 6: a script that hangs stops HA on that host."""
    from xha import configfile
    pipe = str(tmp_path / "xhad.conf")
    os.mkfifo(pipe)
    with pytest.raises(XhaError) as refused:
        configfile.load(pipe)
    assert refused.value.code == 6
    assert "pipe" in str(refused.value)
