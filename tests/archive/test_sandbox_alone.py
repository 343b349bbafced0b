"""The sandbox from the archive alone: as nobody, without environment, and nothing left behind."""
import json
import os
import signal
import subprocess
import tempfile
import time

import pytest

from conftest import AS_NOBODY, OPEN_HOME, PYTHONS, by_first_line, own_mounts

ENDS = [PYTHONS[0], PYTHONS[-1]]

#: More than any of these sandboxes takes, s; it is only met when something is wrong.
PATIENCE_S = 60


def heed_all():
    """Whoever runs the tests may ignore these (nohup, a shell's &); that would be inherited."""
    for number in (signal.SIGHUP, signal.SIGINT):
        signal.signal(number, signal.SIG_DFL)


class Sandbox:
    """A sandbox of two hosts that takes its commands from a pipe."""

    def __init__(self, python, archive, directory, *options):
        self.directory = directory
        self.process = subprocess.Popen(
            own_mounts(OPEN_HOME + 'exec "$@"') + AS_NOBODY
            + by_first_line(python, archive) + ["sandbox", "--hosts=2", "--dir=" + directory]
            + list(options),
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
            universal_newlines=True, env={}, cwd="/",
            preexec_fn=heed_all)
        self.said = ""

    def type(self, *lines):
        """Type lines."""
        self.process.stdin.write("".join(line + "\n" for line in lines))
        self.process.stdin.flush()

    def until(self, text):
        """Read until it says this."""
        while text not in self.said:
            line = self.process.stdout.readline()
            assert line, self.said
            self.said += line

    def end(self):
        """Close its input; its exit code and all that it said."""
        rest, _ = self.process.communicate(timeout=PATIENCE_S)
        return self.process.returncode, self.said + rest

    def left_behind(self):
        """Its files and processes that are still there once its caretaker had time to tidy."""
        deadline = time.monotonic() + PATIENCE_S
        while time.monotonic() < deadline:
            left = [self.directory] if os.path.exists(self.directory) else []
            left += processes_about(self.directory)
            if not left:
                return []
            time.sleep(0.05)
        return left


def processes_about(directory):
    """The command lines of the processes that name the directory."""
    found = []
    for name in os.listdir("/proc"):
        if name.isdigit():
            try:
                with open("/proc/{}/cmdline".format(name), "rb") as file:
                    line = file.read().replace(b"\0", b" ").decode("ascii", "replace")
            except OSError:
                continue    # It has ended meanwhile.
            if directory in line:
                found.append(line)
    return found


@pytest.fixture
def sandbox(archive):
    """Starts sandboxes, and ends those that a failed test left."""
    started = []
    # Not pytest's own folder, which is closed to nobody; the sandbox makes its directory itself.
    with tempfile.TemporaryDirectory() as place:
        os.chmod(place, 0o777)

        def start(python, *options):
            directory = "{}/{}".format(place, len(started))
            started.append(Sandbox(python, archive, directory, *options))
            return started[-1]
        yield start
        for one in started:
            if one.process.poll() is None:
                one.process.kill()
                one.process.communicate()


@pytest.mark.parametrize("end", ENDS, ids=[python.version for python in ENDS])
def test_a_pool_forms_is_asked_and_leaves_nothing(sandbox, end):
    pool = sandbox(end)
    pool.type("propose all", "query 0", "env 1", "status")
    code, said = pool.end()
    assert code == 0, said
    assert "All hosts are online." in said
    assert said.count("is told TRUE") == 1 and said.count("is told FALSE") == 1
    assert "<status>Online</status>" in said
    assert "export XHA_RUN_DIR=" + pool.directory + "/h1" in said
    assert "liveset 11" in said and "\x1b" not in said
    assert pool.left_behind() == []


def test_a_command_that_is_refused_makes_the_script_fail(sandbox):
    pool = sandbox(PYTHONS[-1])
    pool.type("kill 7", "frob", "resume 0")
    code, said = pool.end()
    assert code == 1
    for text in ("the hosts are 0 to 1", "no such command", "host 0 is not paused"):
        assert text in said
    assert "Traceback" not in said


def test_a_host_that_crashed_is_reset_by_its_timers_and_not_started_before(sandbox):
    pool = sandbox(PYTHONS[-1])
    pool.until("All hosts are online.")
    pool.type("kill 1", "start 1", "wait")
    code, said = pool.end()
    assert code == 0, said
    refused, fenced, dropped = [said.index(text) for text in (
        "start refused (exit code 4)", "host 1: fenced: the heartbeat timer expired",
        "host 0: liveset 10")]
    assert refused < fenced < dropped


ENDINGS = [
    (signal.SIGTERM, 3, "asked to end"), (signal.SIGINT, 3, "Ctrl-C"),
    (signal.SIGHUP, 3, "its terminal is closed"), (signal.SIGKILL, -9, "it can do nothing more"),
]


@pytest.mark.parametrize("number, code, why", ENDINGS, ids=[row[-1] for row in ENDINGS])
def test_whatever_ends_it_nothing_is_left(sandbox, number, code, why):
    pool = sandbox(PYTHONS[-1])
    pool.until("All hosts are online.")
    # One whose timers run on without it.
    pool.type("kill 1")
    pool.until("host 1: crashed")
    pool.process.send_signal(number)
    assert pool.end()[0] == code
    assert pool.left_behind() == []


def test_its_directory_stays_when_it_is_kept(sandbox):
    pool = sandbox(PYTHONS[-1], "--keep")
    code, said = pool.end()
    assert code == 0, said
    assert processes_about(pool.directory) == []
    assert os.path.getsize(pool.directory + "/statefile") == 65 * 4096
    with open(pool.directory + "/h0/xha.log") as file:
        assert "[host-online]" in file.read()


def test_its_timer_processes_end_with_it(sandbox):
    pool = sandbox(PYTHONS[-1])
    pool.until("All hosts are online.")
    with open(pool.directory + "/h0/watchdog.json") as file:
        keeper = json.load(file)["keeper"]["pid"]
    assert os.path.exists("/proc/{}".format(keeper))
    assert pool.end()[0] == 0
    assert not os.path.exists("/proc/{}".format(keeper))
