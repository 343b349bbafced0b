"""Starting the daemon until it is online, and stopping it until it is gone.

Both wait for the daemon and both are bounded, for xapi runs them without a
time-out (spec 6).

A daemon that ends while it starts says so first, with its code, through a
pipe.  How its process ended counts more, for that is a fact; but a process
cannot end while the kernel holds one of its threads in a disk that hangs,
and then what it said is taken.  It is no daemon any more, and never will be
one again; yet it keeps the daemon's lock, so that no other can start (15)
until the disk has let it go.
"""

import json
import os
import signal
import subprocess
import sys
import time
from typing import Any, Dict, List, Optional, Tuple

from xha import cli, client, configfile, daemonlock
from xha.config import Common
from xha.errors import ExitCode, XhaError
from xha.options import REPORT_MAX, reported
from xha.paths import Paths

#: How often a daemon that starts or stops is looked at, s.
PACE_S = 0.1

#: How long a daemon may take to end after SIGTERM, s.  It does so at once; this is for one
#: that hangs in a State-File access.
STOP_S = 60.0

#: How long portreserve may take to give up the port, s; it takes milliseconds.
RELEASE_S = 5.0

#: How long a process may take to end after the daemon said that it ends, s; 1 s is its log's.
LAST_WORD_S = 5.0

#: Beyond every wait that the daemon bounds itself: loading, opening devices, three tries, s.
START_MARGIN_S = 60.0


def start(paths: Paths, config_path: str, words: List[str]) -> int:
    """Start the daemon; wait until it is online or gone.

    Args:
        words: what `daemon` is given beside its configuration and the pipe.

    Returns:
        0 when it is online; the code with which it ended, or said that it does; 12 when it did
        neither in time.

    Raises:
        XhaError: 15, a daemon runs; 6 or 7, the configuration; 2, it cannot be run.
    """
    if client.daemon_answers(paths):
        raise XhaError(ExitCode.DAEMON_PRESENT, "a daemon runs on this host")
    settings = configfile.load(config_path)
    _release_port()
    child, reports = _spawn(["--config=" + os.path.abspath(config_path)] + words)
    try:
        return _wait_until_online(paths, child, reports, start_bound_s(settings.common))
    finally:
        os.close(reports)


def start_bound_s(common: Common) -> float:
    """How long a start can take that succeeds, with the margin, s.

    Licence; then, each within its own bound: hearing all, seeing all (spec 5, step 2), the
    start criteria and forming, joining.
    """
    intervals_ms = 3 * max(common.heartbeat_interval_ms, common.statefile_interval_ms)
    return START_MARGIN_S + (
        common.xapi_license_timeout_ms
        + common.heartbeat_timeout_ms + common.statefile_timeout_ms
        + max(common.boot_join_timeout_ms, common.enable_join_timeout_ms) + intervals_ms
        + common.boot_join_timeout_ms) / 1000


def program() -> List[str]:
    """How to run this very program again: the same file, the same interpreter.

    ``sys.argv[0]`` is the archive's own path, whatever link it was called by.
    """
    return [sys.executable or "/usr/bin/python3", "-IS", os.path.abspath(sys.argv[0])]


def _release_port() -> None:
    """Let portreserve give up the port that it keeps free for us (/etc/portreserve/xhad).

    Where it does not, or is not there, the daemon finds out as it binds, and says so.
    Source: spec 6.
    """
    try:
        subprocess.run(["portrelease", "xhad"], stdin=subprocess.DEVNULL,
                       stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, timeout=RELEASE_S)
    except (OSError, subprocess.TimeoutExpired):
        pass


def _spawn(words: List[str]) -> "Tuple[subprocess.Popen[bytes], int]":
    """Run `daemon` in a session of its own, detached but for a pipe that carries its reason.

    Its standard error is /dev/null and not the pipe: later, with nobody reading, a write
    there would be an error in the daemon.
    """
    reading, writing = os.pipe()
    environment = dict(os.environ, LC_ALL="C")
    try:
        child = subprocess.Popen(
            program() + ["daemon", "--report-fd={}".format(writing)] + words,
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
            pass_fds=[writing], start_new_session=True, cwd="/", env=environment)
    except OSError as error:
        os.close(reading)
        raise XhaError(ExitCode.SYSTEM_ERROR, "the daemon cannot be run: {}".format(
            error)) from error
    finally:
        os.close(writing)
    os.set_blocking(reading, False)
    return child, reading


def _wait_until_online(paths: Paths, child: "subprocess.Popen[bytes]", reports: int,
                       bound_s: float) -> int:
    """Look at the daemon until it is online, gone, or late."""
    deadline = time.monotonic() + bound_s
    word = _LastWord(reports)
    shown = ""
    while time.monotonic() < deadline:
        ended = child.poll()
        word.listen()
        if ended is not None:
            return _explain_end(ended, word.text)
        state = client.call(paths, "host-state")
        if state.code == 0 and state.out.strip() == "Online":
            return ExitCode.SUCCESS
        if word.overdue():
            return _explain_end(word.code, word.text, child.pid)
        shown = _show_progress(paths, shown)
        time.sleep(PACE_S)
    return _give_up(paths, child, bound_s)


class _LastWord:
    """What the daemon says of its own end, while its process is still there."""

    def __init__(self, reports: int) -> None:
        """``reports``: the pipe, which must not block."""
        self._reports = reports
        self._data = b""
        self._heard_at = 0.0
        self._said = None  # type: Optional[Tuple[int, str]]

    @property
    def code(self) -> int:
        """The code with which the daemon ends; only once it has said so."""
        assert self._said is not None
        return self._said[0]

    @property
    def text(self) -> str:
        """Why it ends; "" when it has not said."""
        return self._said[1] if self._said else ""

    def listen(self) -> None:
        """Take in what it has said; never waits."""
        while len(self._data) < 4 * REPORT_MAX:
            try:
                part = os.read(self._reports, REPORT_MAX)
            except BlockingIOError:
                break
            if not part:
                break
            self._data += part
        before, self._said = self._said, reported(self._data)
        if self._said and not before:
            self._heard_at = time.monotonic()

    def overdue(self) -> bool:
        """Whether it has said that it ends, and its process had its time to."""
        return self._said is not None and time.monotonic() > self._heard_at + LAST_WORD_S


def _give_up(paths: Paths, child: "subprocess.Popen[bytes]", bound_s: float) -> int:
    """The daemon is stuck beyond every bound of its own: ask it to end, if still not online.

    Not by SIGKILL: a daemon that is killed leaves its timers running, and one that became
    online in this instant would be reset.
    """
    state = client.call(paths, "host-state")
    if state.code == 0 and state.out.strip() == "Online":
        return ExitCode.SUCCESS
    child.terminate()
    try:
        child.wait(10)
        outcome = "it was ended"
    except subprocess.TimeoutExpired:
        outcome = "and it does not end"
    cli.say("", "not online after {:.0f} s; {} (process {})\n".format(
        bound_s, outcome, child.pid))
    return ExitCode.JOIN_TIMEOUT


def _explain_end(ended: int, said: str, left: int = 0) -> int:
    """The daemon ended: its code, and the reason that it gave, or else ours, in one line.

    Args:
        left: its process, which is still there; 0: it is not.
    """
    if ended < 0:
        code = ExitCode.SYSTEM_ERROR
        reason = "the daemon was ended by signal {}".format(-ended)
    elif ended == 0:
        code = ExitCode.TRANSIENT_ERROR
        said, reason = "", "the daemon was stopped before this host was online"
    else:
        code = ExitCode(ended) if ended in set(ExitCode) else ExitCode.INTERNAL_BUG
        reason = "the daemon ended with {} ({})".format(ended, code.name.lower().replace("_", " "))
    note = " (process {} has not ended, as when a disk that hangs holds a thread of it; until it " \
           "has, no daemon can start here)".format(left) if left else ""
    cli.say("", (said or reason) + note + "\n")
    return code


def _show_progress(paths: Paths, shown: str) -> str:
    """On a terminal, say what the daemon waits for when that changes."""
    if not os.isatty(2):
        return shown
    waiting = str(_facts(paths).get("waiting_for") or "")
    if waiting and waiting != shown:
        cli.say("", "waiting for {}\n".format(waiting))
    return waiting or shown


def _facts(paths: Paths) -> Dict[str, Any]:
    """What the daemon says of itself; nothing when it does not."""
    reply = client.call(paths, "query", "json", "0")
    try:
        facts = json.loads(reply.out) if reply.code == 0 else {}
    except (ValueError, RecursionError):
        facts = {}
    return facts if isinstance(facts, dict) else {}


def stop(paths: Paths) -> int:
    """Ask the daemon to end, and wait until it is gone.

    Returns:
        0, also when there was none; 3 when it is still there after STOP_S.

    Raises:
        XhaError: 2, it is not certain which process the daemon is, or it may not be asked.
    """
    pid = _find(paths)
    if not pid:
        return ExitCode.SUCCESS
    if _facts(paths).get("fencing") == "armed":
        cli.say("", "warning: fencing is armed: this host will be reset by its watchdog (to stop "
                "it in peace, disarm-fencing first)\n")
    try:
        os.kill(pid, signal.SIGTERM)
    except ProcessLookupError:
        pass
    except OSError as error:
        raise XhaError(ExitCode.SYSTEM_ERROR, "process {} cannot be asked to end: {}".format(
            pid, error.strerror)) from error
    deadline = time.monotonic() + STOP_S
    while time.monotonic() < deadline:
        if not _is_there(paths, pid):
            return ExitCode.SUCCESS
        time.sleep(PACE_S)
    cli.say("", "the daemon (process {}) has not ended after {:.0f} s\n".format(pid, STOP_S))
    return ExitCode.TRANSIENT_ERROR


def _find(paths: Paths) -> int:
    """The daemon's process, 0 for none.

    The kernel says who holds the lock, and the daemon who it is; a signal goes only to a
    process of which they do not disagree.
    """
    holder = daemonlock.holder(paths.lock)
    reply = client.call(paths, "pid")
    said = reply.out.strip()
    if reply.code == 0 and said.isdigit():
        if holder and int(said) != holder:
            raise XhaError(ExitCode.SYSTEM_ERROR, "process {} holds {}, but the daemon says that "
                           "it is process {}".format(holder, paths.lock, said))
        return int(said)
    if not holder and reply.code != ExitCode.DAEMON_NOT_PRESENT:
        raise XhaError(ExitCode.SYSTEM_ERROR, "something listens at {} and does not say which "
                       "process it is: {}".format(paths.socket, reply.err.strip()))
    return holder


def _is_there(paths: Paths, pid: int) -> bool:
    """Whether that daemon still holds its lock, or is there at all where it never had one."""
    if daemonlock.holder(paths.lock) == pid:
        return True
    try:
        with open("/proc/{}/stat".format(pid)) as file:
            # The letter after the name in parentheses; Z: dead, its parent has not looked yet.
            return file.read().rpartition(")")[2].split()[0] not in ("Z", "X")
    except (OSError, IndexError):
        return False
