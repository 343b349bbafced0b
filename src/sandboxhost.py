"""One host of a sandbox: its daemon's process, files and timers.

The daemon is a child of the sandbox and dies with it: the kernel sends it
SIGKILL when the thread that started it ends, however that happens.  So only
the main thread starts daemons.  What a host is at this moment is asked of
its daemon and of the kernel each time; nothing is remembered that they know.
"""

import ctypes
import json
import os
import signal
import subprocess
import time
from typing import Any, Dict, List, Optional, Tuple

from xha import client, daemonlock, lifecycle, timerrecord
from xha.errors import ExitCode, XhaError
from xha.options import reported
from xha.paths import Paths
from xha.published import WatchdogMode
from xha.sandboxfacts import State

#: How long a daemon may take to say how it is, s.  It answers at once, or it hangs.
_ANSWER_S = 0.7

#: How long a killed process may take to be gone, s.
_GONE_S = 2.0

#: How the timer process begins its reason when the daemon itself asked (``userwatchdog``).
_ASKED = "asked to fence: "

_PR_SET_PDEATHSIG = 1
_PR_SET_CHILD_SUBREAPER = 36
# Looked up here: between fork and exec nothing may be looked up any more.
_prctl = ctypes.CDLL(None).prctl


def _refuse(text: str) -> XhaError:
    return XhaError(ExitCode.INVALID_PARAMETER, text)


class Host:
    """One host of a sandbox."""

    def __init__(self, index: int, address: str, directory: str, config: bytes) -> None:
        """Make its directory and configuration."""
        self.index = index
        self.address = address
        self.directory = directory
        self.config = directory + "/xhad.conf"
        self.paths = Paths(directory, directory, directory + "/xha.log")
        #: The fault points that its daemon is to have, as `fault set` takes them.
        self.points = ()  # type: Tuple[str, ...]
        self._process = None  # type: Optional[subprocess.Popen[bytes]]
        self._answered = False
        # Somebody else started the daemon that ran last.
        self._foreign = False
        os.mkdir(directory, 0o700)
        with open(self.config, "wb") as file:
            file.write(config)

    # ---- what is done to it

    def start(self) -> None:
        """Start its daemon.  Raises XhaError (1): one runs."""
        if self.pid():
            raise _refuse("host {} runs".format(self.index))
        environment = {name: text for name, text in os.environ.items()
                       if not name.startswith("XHA_")}
        environment.update(LC_ALL="C", XHA_RUN_DIR=self.directory)
        parent = os.getpid()
        self._answered = self._foreign = False
        with open(self._reason, "wb") as reason:
            try:
                self._process = subprocess.Popen(
                    lifecycle.program() + [
                        "daemon", "--config=" + self.config, "--run-dir=" + self.directory,
                        "--health-check=true", "--enable-faults",
                        "--report-fd={}".format(reason.fileno())]
                    + list(self.points),
                    stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                    stderr=subprocess.DEVNULL, pass_fds=[reason.fileno()],
                    start_new_session=True, cwd="/", env=environment,
                    preexec_fn=lambda: _die_with(parent))
            except OSError as error:
                raise XhaError(ExitCode.SYSTEM_ERROR, "the daemon cannot be run: {}".format(
                    error)) from error
        self._foreign = False       # It may have been seen before it was known as ours.

    def signal(self, number: int) -> None:
        """Send its daemon a signal.  Raises XhaError (1): there is none."""
        pid = self.pid()
        if not pid:
            raise _refuse("host {} does not run".format(self.index))
        os.kill(pid, number)

    def kill(self) -> None:
        """Let its daemon crash; returns when it is gone.  Raises XhaError (1): there is none."""
        pid = self.pid()
        self.signal(signal.SIGKILL)
        until = time.monotonic() + _GONE_S
        while self.pid() == pid and time.monotonic() < until:
            time.sleep(0.01)

    def apply(self) -> None:
        """Bring the fault points of a daemon that runs to ``points``.

        Raises:
            XhaError: its daemon did not take them.
        """
        if not self.pid() or self.paused():
            return          # It gets them when it starts, or is resumed.
        wanted = {point.partition("=")[0]: point for point in self.points}
        active = self.ask("fault", "list").split()
        for point in active:
            if point.partition("=")[0] not in wanted:
                self.ask("fault", "clear", point.partition("=")[0])
        for point in self.points:
            if point not in active:
                self.ask("fault", "set", point)

    def ask(self, verb: str, *arguments: str) -> str:
        """Its daemon's answer.  Raises XhaError with the daemon's own code and text."""
        reply = client.call(self.paths, verb, *arguments)
        if reply.code:
            text = " ".join(reply.err.split())
            raise XhaError(ExitCode(reply.code), "host {}: {} [exit code {}]".format(
                self.index, text or "refused", reply.code))
        return reply.out

    def end(self) -> None:
        """Kill the daemon that was started here, if it runs; for the end of the sandbox."""
        if self._process is not None and self._process.poll() is None:
            self._process.kill()
            self._process.wait()

    # ---- what it is

    def pid(self) -> int:
        """The process of its daemon; 0 for none.  Somebody else may have started it."""
        if self._process is not None and self._process.poll() is None:
            return int(self._process.pid)
        holder = daemonlock.holder(self.paths.lock)
        self._foreign = self._foreign or holder > 0
        return holder

    def paused(self) -> bool:
        """Whether its daemon is stopped by a signal."""
        try:
            with open("/proc/{}/stat".format(self.pid()), "rb") as file:
                return file.read().rpartition(b")")[2].split()[0] == b"T"
        except (OSError, IndexError):
            return False

    def look(self) -> Tuple[State, str, Optional[Dict[str, Any]]]:
        """How it is now: its state, details in words, and its daemon's answer if there is one."""
        process = self._process     # Another thread may be starting one.
        if not self.pid():
            return self._fate(process) + (None,)
        if self.paused():
            return State.PAUSED, "its timers run on", None
        reply = client.call(self.paths, "query", "json", "0", timeout_s=_ANSWER_S)
        if reply.code:
            if not self.pid():
                return self._fate(process) + (None,)
            if reply.code == ExitCode.DAEMON_NOT_PRESENT and not self._answered:
                return State.STARTING, "", None
            return State.SILENT, "its daemon does not answer", None
        self._answered = True
        answer = json.loads(reply.out)
        if answer["status"] != "online":
            return State.STARTING, "", answer
        return State.ONLINE if answer["phase"] == "started" else State.HANDLING, "", answer

    def reset_at(self) -> float:
        """When its timer process fired, as ``time.monotonic`` counts; 0.0: it has not."""
        try:
            written = os.stat(timerrecord.note_path(self.paths)).st_mtime
        except OSError:
            return 0.0
        return time.monotonic() - (time.time() - written)

    def log(self, count: int) -> List[str]:
        """The last lines of its log."""
        try:
            with open(self.paths.log_file, "rb") as file:
                text = file.read().decode("ascii", "backslashreplace")
        except FileNotFoundError:
            return []
        return text.splitlines()[-count:]

    @property
    def _reason(self) -> str:
        return self.directory + "/reason"

    def _fate(self, process: "Optional[subprocess.Popen[bytes]]") -> Tuple[State, str]:
        """What became of its daemon, our child ``process``, and of the timers that it left."""
        # How a daemon ended that is not our child, nobody knows.
        code = None     # type: Optional[int]
        if not self._foreign:
            if process is None:
                return State.ABSENT, ""
            code = process.returncode
        left = timerrecord.read(self.paths).record
        if left is not None and left.armed:
            if left.mode is not WatchdogMode.USER:
                if code == -signal.SIGABRT:
                    return State.FENCED, "watchdog NONE: only its daemon was ended"
                return State.CRASHED, "watchdog NONE: nothing resets it"
            if timerrecord.runs(left.keeper):
                within_s = min(timeout for _, timeout in left.timeouts_ms) // 1000
                why = ""
                if code == ExitCode.WATCHDOG_ERROR:
                    why = "start refused (exit code 4): "
                elif code is not None and code != -signal.SIGKILL:
                    why = self._ended(code) + "; "
                return State.CRASHED, why + "its watchdog resets it within {} s".format(within_s)
            note = timerrecord.fired_note(self.paths, left.keeper)
            if note is None:
                return State.CRASHED, "its timer process is gone without having fired"
            return State.FENCED, _sentence(note.cause)
        if code is None or code == 0:
            return State.STOPPED, ""
        return State.STOPPED, self._ended(code)

    def _ended(self, code: int) -> str:
        if code < 0:
            return "ended by {}".format(signal.Signals(-code).name)
        try:
            with open(self._reason, "rb") as file:
                said = reported(file.read())
        except OSError:
            said = None
        return "exit code {}".format(code) + (": " + said[1] if said else "")


def _sentence(cause: str) -> str:
    """Why a timer process fired, without the words that tell a person nothing."""
    if cause.startswith(_ASKED):
        # Behind them stand the reason's name and the sentence.
        return cause[len(_ASKED):].partition(": ")[2] or cause
    return cause


def adopt_orphans() -> None:
    """From now on the timer processes of daemons that die become children of this process.

    Else they would be left to the first process of the machine, dead, until it looks.
    """
    _prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def bury_orphans() -> None:
    """Let the dead children go; for the end, when nobody waits for a child any more."""
    try:
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass
    except ChildProcessError:
        pass


def _die_with(parent: int) -> None:
    """In the child, before it becomes the daemon: end when the sandbox does."""
    _prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != parent:
        # It ended before this was asked for.
        os._exit(int(ExitCode.SYSTEM_ERROR))
