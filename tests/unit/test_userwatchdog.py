"""Mode USER, with the real timer process and a small real daemon around it.

Timers are real here, but no test asks how quick anything is: each waits for the event that
the timer brings about.
"""
import json
import os
import signal
import socket
import subprocess
import sys
import time

import pytest

from xha import lefttimers, timerrecord, userwatchdog, watchdog
from xha.actions import Watchdog
from xha.errors import ExitCode, XhaError
from xha.paths import Paths
from xha.published import WatchdogMode

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

#: How long what must come may take on a busy machine, s; nothing waits that long to pass.
PATIENCE_S = 30

#: Opens the watchdogs, then evaluates each line that it is given and prints the result.
DAEMON = """
import os, signal, sys, time
import provoked
provoked.watch()
from xha import watchdog
from xha.actions import Watchdog
from xha.errors import XhaError
from xha.paths import Paths
from xha.published import WatchdogMode
H, S = Watchdog.HEARTBEAT, Watchdog.STATEFILE
late = 0
def now():
    return int(time.monotonic() * 1000) + late
def be_late(duration_ms):
    global late
    late += duration_ms
def attempt(call, *arguments):
    try:
        return call(*arguments)
    except watchdog.WatchdogError as error:
        return "expired" if error.expired else str(error)
dogs = watchdog.open_watchdogs(
    WatchdogMode.USER, Paths(run_dir=sys.argv[1]), sys.argv[2], now, {H: 30000, S: 45000})
sys.executable = sys.argv[3]
try:
    print([one.name for one in dogs.open()], flush=True)
except XhaError as error:
    print(int(error.code), error, flush=True)
for line in sys.stdin:
    print(eval(line), flush=True)
"""


class Daemon:
    """A process that is guarded by watchdogs of mode USER."""

    def __init__(self, tmp_path, fence_command="", without=(), interpreter=sys.executable):
        """Start it.

        Args:
            without: a command line that runs the daemon's with less than it has.
            interpreter: the Python that the timer process is to run on.
        """
        if not (tmp_path / "xha").exists():
            (tmp_path / "xha").symlink_to(os.path.join(ROOT, "src"))
            (tmp_path / "provoked.py").symlink_to(os.path.join(ROOT, "tests", "provoked.py"))
        self.paths = Paths(run_dir=str(tmp_path / "run"))
        self.process = subprocess.Popen(
            list(without) + [sys.executable, "-B", "-c", DAEMON, self.paths.run_dir,
                             fence_command, interpreter],
            cwd=str(tmp_path), stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            stderr=subprocess.PIPE, universal_newlines=True)
        self.said = self.process.stdout.readline().strip()
        self.keeper = timerrecord.NO_PROCESS
        record = timerrecord.read(self.paths).record
        if record is not None:
            self.keeper = record.keeper

    def do(self, expression):
        """The value of an expression in the daemon, as text."""
        self.process.stdin.write(expression + "\n")
        self.process.stdin.flush()
        return self.process.stdout.readline().strip()

    def order(self, expression):
        """Have the daemon do what it does not come back from."""
        self.process.stdin.write(expression + "\n")
        self.process.stdin.flush()

    def ended(self):
        """Wait for the daemon's end, and for that of all who hold its output; its status."""
        self.process.wait(PATIENCE_S)
        # Until nobody holds it any more, the timer process included.
        self.process.stdout.read()
        self.process.stderr.read()
        return self.process.returncode

    def crash(self):
        """kill -9."""
        self.process.kill()
        self.ended()

    def keeper_ended(self):
        """Wait until the timer process is gone."""
        until = time.monotonic() + PATIENCE_S
        while timerrecord.runs(self.keeper):
            if time.monotonic() > until:
                return False
            time.sleep(0.002)
        return True

    def note(self):
        """What the timer process wrote when it fired, as one text."""
        note = timerrecord.fired_note(self.paths, self.keeper)
        return "" if note is None else note.cause + ": " + note.outcome


@pytest.fixture
def start(tmp_path):
    """Starts daemons; leaves neither them nor their timer processes behind."""
    started = []

    def start(fence_command="", without=()):
        started.append(Daemon(tmp_path, fence_command, without))
        return started[-1]

    yield start
    for daemon in started:
        if daemon.process.poll() is None:
            daemon.crash()
        if timerrecord.runs(daemon.keeper):
            os.kill(daemon.keeper.pid, signal.SIGKILL)


def test_the_timers_are_in_a_process_of_their_own_session_that_holds_nothing_of_the_daemon(start):
    daemon = start()
    pid = daemon.keeper.pid
    assert timerrecord.runs(daemon.keeper)
    assert os.getsid(pid) == os.getpgid(pid) == pid != os.getsid(daemon.process.pid)
    with open("/proc/{}/comm".format(pid)) as file:
        assert file.read() == userwatchdog.COMM + "\n"
    held = [os.readlink("/proc/{}/fd/{}".format(pid, number))
            for number in os.listdir("/proc/{}/fd".format(pid))]
    assert len([one for one in held if one.startswith("socket:")]) == 1
    assert set(held) <= set(["/dev/null"] + [one for one in held if one.startswith(
        ("socket:", "anon_inode:", "pipe:"))])
    record = timerrecord.read(daemon.paths).record
    assert (record.mode, record.armed) == (WatchdogMode.USER, False)
    assert not os.path.exists(daemon.paths.watchdog_ids)


def test_without_a_fence_command_an_expired_timer_kills_the_daemon_and_says_so(start):
    daemon = start()
    assert "watchdog-mode-user" in daemon.said
    daemon.do("dogs.set(S, now() + 60000)")
    daemon.do("dogs.record_armed()")
    daemon.do("dogs.set(H, now() + 50)")
    assert daemon.ended() == -signal.SIGKILL
    assert daemon.keeper_ended()
    assert "heartbeat timer expired" in daemon.note()
    assert "pid {}) was killed".format(daemon.process.pid) in daemon.note()
    assert "the host was not reset" in daemon.note()
    after = start()
    assert "watchdog-fired" in after.said
    assert after.note() == ""


#: Who is not root may not raise its priority anyway.
WITHOUT_PRIORITY = ["prlimit", "--rtprio=0"] + (
    ["setpriv", "--bounding-set=-sys_nice", "--inh-caps=-sys_nice"] if os.geteuid() == 0 else [])


def test_a_timer_process_that_may_not_have_priority_says_so(start):
    daemon = start(without=WITHOUT_PRIORITY)
    assert "watchdog-process-plain" in daemon.said
    # It works all the same.
    daemon.do("dogs.set(H, now() + 50)")
    assert daemon.ended() == -signal.SIGKILL
    assert daemon.keeper_ended()


def test_a_fence_command_is_run_without_a_shell_and_then_the_daemon_killed(start, tmp_path):
    marker = tmp_path / "fenced $(false)"
    daemon = start("touch '{}'".format(marker))
    daemon.do("dogs.set(S, now() + 50)")
    assert daemon.ended() == -signal.SIGKILL
    assert daemon.keeper_ended()
    assert marker.exists()
    assert "statefile timer expired" in daemon.note()
    assert "the fence command ended with status 0" in daemon.note()


def test_a_fence_does_not_wait_for_a_timer(start, tmp_path):
    marker = tmp_path / "fenced"
    daemon = start("touch '{}'".format(marker))
    daemon.do("dogs.set(S, now() + 3600000)")
    daemon.order("dogs.fence('no survival rule applies')")
    assert daemon.ended() == -signal.SIGKILL
    assert daemon.keeper_ended()
    assert marker.exists()
    assert "asked to fence: no survival rule applies" in daemon.note()


def test_a_fence_whose_timer_process_is_gone_is_done_by_the_daemon(start, tmp_path):
    marker = tmp_path / "fenced"
    daemon = start("touch '{}'".format(marker))
    os.kill(daemon.keeper.pid, signal.SIGKILL)
    assert daemon.keeper_ended()
    daemon.order("dogs.fence('no survival rule applies')")
    assert daemon.ended() == -signal.SIGKILL
    assert marker.exists()


def test_a_proof_in_time_keeps_the_daemon_alive(start):
    daemon = start()
    for _ in range(20):
        assert daemon.do("attempt(dogs.set, H, now() + 10000)") == "None"
    assert daemon.do("time.sleep(0.05) or dogs.expired(now())") == "None"
    assert daemon.note() == ""


def test_the_timers_of_a_daemon_that_was_killed_armed_run_on_and_refuse_a_start(start):
    daemon = start()
    daemon.do("dogs.set(S, now() + 60000)")
    daemon.do("dogs.record_armed()")
    daemon.crash()
    assert timerrecord.runs(daemon.keeper)
    again = start()
    assert again.said.startswith("4 the last daemon (pid {}) died while this host was armed".format(
        daemon.process.pid))
    assert "process {} and fire within 45 s".format(daemon.keeper.pid) in again.said
    assert timerrecord.runs(daemon.keeper)


def test_the_timers_of_a_daemon_that_was_killed_armed_fire(start, tmp_path):
    marker = tmp_path / "fenced"
    daemon = start("touch '{}'".format(marker))
    daemon.do("dogs.record_armed()")
    daemon.do("dogs.set(S, now() + 300)")
    daemon.crash()
    assert daemon.keeper_ended()
    assert marker.exists()
    assert "the daemon was gone already" in daemon.note()
    assert "watchdog-fired" in start().said


def test_a_timer_process_that_vanished_without_a_note_refuses_a_start_until_it_is_cleaned_up(start):
    daemon = start()
    daemon.do("dogs.set(S, now() + 60000)")
    daemon.do("dogs.record_armed()")
    daemon.crash()
    os.kill(daemon.keeper.pid, signal.SIGKILL)
    assert daemon.keeper_ended()
    again = start()
    assert again.said.startswith("4 ")
    assert "is gone without having fired" in again.said and "cleanup-watchdog" in again.said
    code, lines = lefttimers.cleanup(daemon.paths, False)
    assert code is ExitCode.SUCCESS
    assert "armed" in lines[0] and "does not run" in lines[1]
    assert start().said.startswith("[")


def test_cleanup_ends_the_timer_process(start):
    daemon = start()
    daemon.do("dogs.set(S, now() + 60000)")
    daemon.do("dogs.record_armed()")
    daemon.crash()
    code, lines = lefttimers.cleanup(daemon.paths, False)
    assert (code, lines[1:]) == (ExitCode.SUCCESS, [
        "Timer process {} was ended.".format(daemon.keeper.pid)])
    assert not timerrecord.runs(daemon.keeper)
    assert timerrecord.read(daemon.paths).record is None


def test_timers_of_a_daemon_that_was_not_armed_are_stopped_by_the_next_start(start):
    daemon = start()
    daemon.do("dogs.set(S, now() + 60000)")
    daemon.crash()
    assert timerrecord.runs(daemon.keeper)
    assert "watchdogs-stopped-stale" in start().said
    assert not timerrecord.runs(daemon.keeper)


def test_a_timer_process_that_nobody_can_set_any_more_ends(start):
    daemon = start()
    daemon.crash()
    assert daemon.keeper_ended()
    assert daemon.note() == ""


def test_closing_ends_the_timer_process_forgets_it_and_can_be_repeated(start):
    daemon = start()
    daemon.do("dogs.set(S, now() + 60000)")
    daemon.do("dogs.record_armed()")
    assert daemon.do("attempt(dogs.close)") == "None"
    assert daemon.do("attempt(dogs.close)") == "None"
    assert not timerrecord.runs(daemon.keeper)
    assert os.listdir(daemon.paths.run_dir) == []
    daemon.process.stdin.close()
    assert daemon.ended() == 0


def test_a_timer_process_that_is_gone_is_the_gravest_error(start):
    daemon = start()
    os.kill(daemon.keeper.pid, signal.SIGKILL)
    assert daemon.keeper_ended()
    assert daemon.do("attempt(dogs.set, H, now() + 60000)") == "expired"
    assert daemon.do("[dogs.expired(now()) for _ in range(3)]") == "[{}]".format(", ".join(
        [repr(Watchdog.HEARTBEAT), repr(Watchdog.STATEFILE), "None"]))
    assert daemon.do("attempt(dogs.close)") == "None"


def test_a_timer_process_that_does_not_answer_is_told(start):
    daemon = start()
    os.kill(daemon.keeper.pid, signal.SIGSTOP)
    assert daemon.do("attempt(dogs.set, H, now() + 60000)") == "None"
    daemon.do("be_late({})".format(2001))
    assert "has not answered for 20" in daemon.do("attempt(dogs.set, H, now() + 60000)")
    assert "takes no more commands" in daemon.do(
        "[attempt(dogs.set, H, now() + 60000) for _ in range(2000)][-1]")


def test_a_pool_manager_that_signals_by_group_or_politely_does_not_stop_the_timers(start):
    daemon = start()
    daemon.do("dogs.set(S, now() + 60000)")
    for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT):
        os.kill(daemon.keeper.pid, number)
    assert daemon.do("attempt(dogs.set, S, now() + 60000)") == "None"
    assert timerrecord.runs(daemon.keeper)


COMMANDS = [
    ("/nowhere/fence now", "/nowhere/fence", "a program that is not there"),
    ("'unbalanced", "unbalanced", "text that cannot be split"),
    (os.devnull, os.devnull, "a file that is no program"),
]


@pytest.mark.parametrize("command, named, why", COMMANDS, ids=[row[-1] for row in COMMANDS])
def test_a_fence_command_that_cannot_be_run_is_refused_before_it_is_needed(
        tmp_path, command, named, why):
    with pytest.raises(XhaError) as refused:
        watchdog.open_watchdogs(WatchdogMode.USER, Paths(run_dir=str(tmp_path)), command,
                                lambda: 0, {})
    assert refused.value.code is ExitCode.WATCHDOG_ERROR
    assert named in str(refused.value)


# The keeper itself, in this process: nobody is killed, for its daemon is not our parent.

@pytest.fixture
def keeper(tmp_path):
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    note = tmp_path / "note"
    with ours, theirs:
        yield userwatchdog.Keeper(theirs, {
            "daemon": 0, "roles": ["heartbeat", "statefile"], "fence_command": [],
            "note": str(note), "boot_id": "this", "started": 1}), ours, note


def command(what, timer=0, deadline_ms=0, sent_at_ms=0, text=b""):
    return userwatchdog.COMMAND.pack(what, timer, deadline_ms, sent_at_ms) + text


def test_a_command_sent_after_the_deadline_comes_too_late(keeper, capsys):
    """The timer process was held up, or the daemon was: either way the promise was broken."""
    process, ours, note = keeper
    soon_ms = userwatchdog.now_ms() + 3600000
    ours.send(command(userwatchdog.SET, 0, soon_ms, 0))
    ours.send(command(userwatchdog.SET, 0, soon_ms + 9999, soon_ms))
    process.run()
    assert ours.recv(9) == userwatchdog.DONE
    assert "heartbeat timer expired" in json.loads(note.read_text())["cause"]
    assert "heartbeat timer expired" in capsys.readouterr().err


def test_a_command_sent_before_the_deadline_counts_however_late_it_is_read(keeper, capsys):
    process, ours, note = keeper
    passed_ms = userwatchdog.now_ms() - 5000
    ours.send(command(userwatchdog.SET, 0, passed_ms, passed_ms - 5000))
    ours.send(command(userwatchdog.SET, 0, passed_ms + 3600000, passed_ms - 1))
    ours.send(command(userwatchdog.STOP))
    process.run()
    assert not note.exists()


def test_a_deadline_that_passed_before_it_was_set_fires(keeper, capsys):
    process, ours, note = keeper
    ours.send(command(userwatchdog.SET, 1, userwatchdog.now_ms() - 1, 0))
    process.run()
    assert "statefile timer expired" in json.loads(note.read_text())["cause"]


def test_a_note_that_cannot_be_written_does_not_stop_the_rest(keeper, tmp_path, capsys):
    process, ours, note = keeper
    (tmp_path / "note.new").mkdir()
    ours.send(command(userwatchdog.FENCE, text=b"why"))
    process.run()
    assert "asked to fence: why" in capsys.readouterr().err


OUTCOMES = [
    (["/bin/sh", "-c", "exit 3"], "ended with status 3", "its status is told"),
    (["/bin/sh", "-c", "kill -9 $$"], "ended by signal 9", "or its signal"),
    (["/nowhere"], "ended with status 127", "or that it could not be run"),
]


@pytest.mark.parametrize("arguments, outcome, why", OUTCOMES, ids=[row[-1] for row in OUTCOMES])
def test_what_became_of_the_fence_command(arguments, outcome, why):
    assert outcome in userwatchdog.run_command(arguments)


NO_STARTS = [
    ("exit 3", "it ended with status 3"),
    ("kill -9 $$", "it ended by signal 9"),
]


@pytest.mark.parametrize("script, says", NO_STARTS, ids=[row[1] for row in NO_STARTS])
def test_a_timer_process_that_does_not_start_says_how_it_ended(tmp_path, script, says):
    python = tmp_path / "python"
    python.write_text("#!/bin/sh\n{}\n".format(script))
    python.chmod(0o755)
    daemon = Daemon(tmp_path, interpreter=str(python))
    assert daemon.said == "{} the timer process did not start: {}".format(
        int(ExitCode.WATCHDOG_ERROR), says)
    daemon.crash()
