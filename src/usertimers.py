"""Mode USER: two timers in a process of our own; this is the daemon's side of it.

The other side, and why it is as it is, are in ``userwatchdog``.  Every
command is answered; answers are taken in at the next command, so nothing here
waits, and a timer process that is stuck or gone is noticed at the next proof.

Source: spec 7, "Modes", USER.
"""

import json
import marshal
import os
import shlex
import signal
import socket
import subprocess
import sys
import time
from collections import deque
from typing import Deque, Dict, List, NoReturn, Optional

from xha import actions, timerrecord, userwatchdog
from xha.actions import Watchdog
from xha.errors import ExitCode, XhaError
from xha.paths import Paths, program_of
from xha.published import WatchdogMode
from xha.timerrecord import NO_PROCESS, Process
from xha.watchdogport import Clock, WatchdogError, Watchdogs

#: A command that is not answered for so long: the timer process is stuck, ms.
ANSWER_MAX_MS = 2000

# How long the timer process may take to be ready, and to end, s.
_START_PATIENCE_S = 30.0
_STOP_PATIENCE_S = 2.0
# How long a fence is left to it, s; the fence command's own time is in it.
_FENCE_PATIENCE_S = 2 * userwatchdog.COMMAND_PATIENCE_MS / 1000

# What the fresh interpreter runs: this module's compiled code, from its standard input.
_BOOT = "import sys,marshal;exec(marshal.loads(sys.stdin.buffer.read()))"

_ROLES = list(Watchdog)


class UserWatchdogs(Watchdogs):
    """Timers of a process of ours, which outlives this one."""

    mode = WatchdogMode.USER

    def __init__(self, paths: Paths, clock: Clock, timeouts_ms: Dict[Watchdog, int],
                 fence_command: str) -> None:
        """See ``Watchdogs``.  Raises XhaError (4): the fence command cannot be run."""
        super().__init__(paths, clock, timeouts_ms)
        self._fence_command = _executable(fence_command)
        self._process = None  # type: Optional[subprocess.Popen[bytes]]
        self._socket = None  # type: Optional[socket.socket]
        # When each command was sent that is not answered yet.
        self._unanswered = deque()  # type: Deque[int]

    def set(self, watchdog: Watchdog, expires_at_ms: int) -> None:
        """See ``Watchdogs``."""
        assert self._open
        now_ms = self._clock()
        self._send(userwatchdog.SET, _ROLES.index(watchdog), expires_at_ms, now_ms, "")
        self._unanswered.append(now_ms)
        self._take_answers()
        if self._unanswered and now_ms - self._unanswered[0] > ANSWER_MAX_MS:
            raise WatchdogError("the timer process {} has not answered for {} ms".format(
                self._keeper().pid, now_ms - self._unanswered[0]))

    def fence(self, text: str) -> NoReturn:
        """See ``Watchdogs``: the timer process does it; should it not, this process itself."""
        assert self._open
        try:
            self._send(userwatchdog.FENCE, 0, 0, self._clock(), text)
            time.sleep(_FENCE_PATIENCE_S)
        except WatchdogError:
            # It is gone or stuck: this process does it.
            pass
        if self._fence_command:
            userwatchdog.run_command(self._fence_command)
        userwatchdog.say(userwatchdog.FIRED_TEXT.format(
            cause="asked to fence: " + text, outcome="the timer process did not answer, so the "
            "daemon ends itself"), userwatchdog.FIRED_NAME)
        while True:
            os.kill(os.getpid(), signal.SIGKILL)

    def _create(self) -> List[actions.Log]:
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._socket = ours
        with theirs:
            settings = json.dumps({
                "socket": theirs.fileno(), "daemon": os.getpid(),
                "roles": [role.value for role in _ROLES], "fence_command": self._fence_command,
                "note": os.path.abspath(timerrecord.note_path(self._paths)),
                "boot_id": timerrecord.boot_id()})
            # The C locale: a locale archive may be large, and would be locked into memory.
            self._process = subprocess.Popen(
                [sys.executable, "-I", "-S", "-c", _BOOT, settings], stdin=subprocess.PIPE,
                stdout=subprocess.DEVNULL, pass_fds=[theirs.fileno()], start_new_session=True,
                env=dict(os.environ, LC_ALL="C"))
        missing = self._await_ready(self._process)
        self._timers = [(role, 0) for role in _ROLES]
        said = [actions.log("watchdog-mode-user", action=(
            "run " + " ".join(self._fence_command) if self._fence_command
            else "kill this daemon and leave the host as it is"))]
        if missing:
            said.append(actions.log("watchdog-process-plain", missing=missing))
        return said

    def _await_ready(self, process: "subprocess.Popen[bytes]") -> str:
        """Send the process its code; return the privileges that it says it lacks."""
        assert self._socket is not None and process.stdin is not None
        try:
            with process.stdin:
                process.stdin.write(_code())
            self._socket.settimeout(_START_PATIENCE_S)
            answer = self._socket.recv(1024)
        except BrokenPipeError:
            answer = b""
        except OSError as error:
            answer = str(error).encode()
        if not answer.startswith(userwatchdog.READY):
            raise XhaError(ExitCode.WATCHDOG_ERROR, "the timer process did not start: {}".format(
                answer.decode("utf-8", "replace") or _end_of(process)))
        self._socket.setblocking(False)
        return answer[len(userwatchdog.READY):].decode("ascii")

    def _send(self, what: int, timer: int, deadline_ms: int, now_ms: int, text: str) -> None:
        assert self._socket is not None
        message = userwatchdog.COMMAND.pack(what, timer, deadline_ms, now_ms)
        message += text.encode("utf-8", "replace")[:userwatchdog.TEXT_MAX]
        try:
            self._socket.send(message, socket.MSG_NOSIGNAL)
        except BlockingIOError:
            raise WatchdogError("the timer process {} takes no more commands".format(
                self._keeper().pid))
        except OSError as error:
            raise self._lost(str(error))

    def _take_answers(self) -> None:
        assert self._socket is not None
        while True:
            try:
                answer = self._socket.recv(64)
            except BlockingIOError:
                return
            except OSError as error:
                raise self._lost(str(error))
            if not answer:
                raise self._lost("it ended")
            if self._unanswered:
                self._unanswered.popleft()

    def _lost(self, what: str) -> WatchdogError:
        for watchdog in _ROLES:
            if watchdog not in self._gone:
                self._gone.append(watchdog)
        return WatchdogError("the timer process {} is gone: {}".format(
            self._keeper().pid, what), expired=True)

    def _stop(self) -> None:
        if self._process is None:
            return
        process, self._process = self._process, None
        assert self._socket is not None
        try:
            self._send(userwatchdog.STOP, 0, 0, self._clock(), "")
            process.wait(_STOP_PATIENCE_S)
        except (WatchdogError, subprocess.TimeoutExpired):
            # It is gone, or must go without being asked.
            process.kill()
            process.wait()
        self._socket.close()
        self._socket = None
        self._timers = []

    def _keeper(self) -> Process:
        return timerrecord.process(self._process.pid) if self._process else NO_PROCESS


def _executable(fence_command: str) -> List[str]:
    """The fence command as its arguments, the first an absolute path; [] for none."""
    try:
        arguments = shlex.split(fence_command)
    except ValueError as error:
        raise XhaError(ExitCode.WATCHDOG_ERROR, "fence command {!r}: {}".format(
            fence_command, error))
    if not arguments:
        return []
    found = program_of(arguments[0])
    if not found:
        raise XhaError(ExitCode.WATCHDOG_ERROR, "fence command {!r}: there is no executable "
                       "{!r}".format(fence_command, arguments[0]))
    return [os.path.abspath(found)] + arguments[1:]


def _end_of(process: "subprocess.Popen[bytes]") -> str:
    """How a process ended that has closed its socket; its traceback, if any, is on stderr."""
    try:
        code = process.wait(_STOP_PATIENCE_S)
    except subprocess.TimeoutExpired:
        return "it closed its socket, and goes on"
    return "it ended {} {}".format(*("by signal", -code) if code < 0 else ("with status", code))


def _code() -> bytes:
    """The compiled code of ``userwatchdog``, for an interpreter of this very version."""
    assert userwatchdog.__spec__ is not None
    loader = userwatchdog.__spec__.loader
    # Every loader that imports Python code has it: of files, and of archives.
    return marshal.dumps(getattr(loader, "get_code")(userwatchdog.__name__))
