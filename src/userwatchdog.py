"""The process that keeps the watchdog timers of mode USER.

Theory of operation
===================

A timer must outlive the daemon that armed it: that is what it is for.  So it
is kept by a process of its own, with its own session and process group, that
knows nothing but two instants of CLOCK_MONOTONIC.  When one passes, or the
daemon asks for a fence, it runs the fence command; where there is none it
kills the daemon, and says so.  It never resets the machine by itself.

It is a fresh interpreter, not a fork of the daemon: a fork would carry the
daemon's memory, its open State-File and control socket, and locks that its
threads held at that instant.  The interpreter gets this module's compiled
code through its standard input (``watchdog.UserWatchdogs`` sends it), so
nothing has to be extracted from the archive and nothing of the archive is
read again later.  Therefore this module imports the standard library alone.

The two sides share a socket pair of records (SOCK_SEQPACKET).  The daemon
sends commands; every one is answered, so that the daemon notices a timer
process that is stuck.  Deadlines are instants, not durations: a pause
between the two processes cannot stretch them.  A command that was sent after
the deadline it would move had passed comes too late: the timer fires.

The end of the socket means that the daemon ended.  With a deadline set the
process waits for it; without one nobody can set one any more, and it ends.

Invariant: once a deadline has passed, this process only fires.

Source: spec 7, "Modes", USER.
"""

import ctypes
import gc
import json
import os
import select
import signal
import socket
import stat
import struct
import sys
import time
from typing import Any, Dict, List, Optional

#: A command: what, which timer (0, 1), deadline ms, sent at ms; then text in UTF-8.
COMMAND = struct.Struct("=BBqq")
SET, STOP, FENCE = 1, 2, 3
#: Answers, each one record: READY with the privileges that are missing; or done.
READY, DONE = b"R", b"D"
#: A deadline that never comes.
NEVER_MS = 1 << 62

#: How long a fence command may hold up the end of the daemon, ms.
COMMAND_PATIENCE_MS = 5000

#: One above the daemon's (spec 8): a daemon that runs wild must not hold up its own timer.
PRIORITY = 49
COMM = "xha-timer"

#: What is said when a timer fires; equal to the catalogue's entry of that name.
FIRED_NAME = "watchdog-fired"
FIRED_TEXT = "Watchdog fired ({cause}): {outcome}."

#: Longest text of a command, bytes.
TEXT_MAX = 2048
_MESSAGE_MAX = COMMAND.size + TEXT_MAX
_POLL_MAX_MS = 1 << 30
_SYSLOG_DAEMON_ERR = 27


def now_ms() -> int:
    """CLOCK_MONOTONIC, which all processes of a host share, in ms."""
    return int(time.monotonic() * 1000)


def say(text: str, name: str) -> None:
    """Say one line on syslog, without ever waiting for it."""
    line = "<{}>xha[{}]: {} [{}]".format(_SYSLOG_DAEMON_ERR, os.getpid(), text, name)
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as log:
            log.setblocking(False)
            log.sendto(line.encode("ascii", "backslashreplace"), "/dev/log")
    except OSError:
        # No syslog, or a full one: it must not hold up a fence.
        pass


class Keeper:
    """The two timers and what happens when one fires."""

    def __init__(self, sock: socket.socket, settings: Dict[str, Any]) -> None:
        self._socket = sock
        self._roles = settings["roles"]  # type: List[str]
        self._fence_command = settings["fence_command"]  # type: List[str]
        self._note = settings["note"]  # type: str
        self._identity = {"boot_id": settings["boot_id"], "pid": os.getpid(),
                          "started": settings["started"]}
        self._daemon = settings["daemon"]  # type: int
        self._connected = True
        self._deadlines_ms = [NEVER_MS] * len(self._roles)

    def run(self) -> None:
        """Keep the timers until they are stopped, or one has fired."""
        poll = select.poll()
        poll.register(self._socket, select.POLLIN)
        while self._connected or min(self._deadlines_ms) < NEVER_MS:
            left_ms = min(self._deadlines_ms) - now_ms()
            if poll.poll(max(0, min(left_ms, _POLL_MAX_MS))):
                if not self._take_command():
                    return
                if not self._connected:
                    poll.unregister(self._socket)
                # All commands that wait come first: they were sent in time, or say that
                # they were not.
                continue
            for role, deadline_ms in zip(self._roles, self._deadlines_ms):
                if now_ms() >= deadline_ms:
                    self._fire("the {} timer expired".format(role))
                    return

    def _take_command(self) -> bool:
        """Take one command; false when there is nothing left to keep."""
        try:
            message = self._socket.recv(_MESSAGE_MAX)
        except OSError:
            message = b""
        if not message:
            self._connected = False
            return True
        what, timer, deadline_ms, sent_at_ms = COMMAND.unpack_from(message)
        if what == STOP:
            self._answer()
            return False
        if what == FENCE:
            self._fire("asked to fence: " + message[COMMAND.size:].decode("utf-8", "replace"))
            return False
        if sent_at_ms >= self._deadlines_ms[timer]:
            self._fire("the {} timer expired".format(self._roles[timer]))
            return False
        self._deadlines_ms[timer] = deadline_ms
        self._answer()
        return True

    def _answer(self) -> None:
        try:
            self._socket.send(DONE, socket.MSG_DONTWAIT | socket.MSG_NOSIGNAL)
        except OSError:
            # The daemon died, or does not read: its trouble, not the timer's.
            pass

    def _fire(self, cause: str) -> None:
        outcomes = []
        if self._fence_command:
            # Before the command, in case it leaves no time after.
            say(FIRED_TEXT.format(cause=cause, outcome="running the fence command"), FIRED_NAME)
            outcomes.append(run_command(self._fence_command))
        # Only while it is our parent: its pid cannot belong to another process then.
        if os.getppid() == self._daemon:
            os.kill(self._daemon, signal.SIGKILL)
            outcomes.append("the daemon (pid {}) was killed".format(self._daemon))
        else:
            outcomes.append("the daemon was gone already")
        if not self._fence_command:
            outcomes.append("there is no fence command, so the host was not reset")
        outcome = "; ".join(outcomes)
        self._leave_note(cause, outcome)
        text = FIRED_TEXT.format(cause=cause, outcome=outcome)
        say(text, FIRED_NAME)
        print(text, file=sys.stderr, flush=True)

    def _leave_note(self, cause: str, outcome: str) -> None:
        note = dict(self._identity, cause=cause, outcome=outcome, at_wall_s=int(time.time()))
        try:
            with open(self._note + ".new", "w", encoding="ascii") as file:
                json.dump(note, file)
            os.rename(self._note + ".new", self._note)
        except OSError as error:
            # Without it the next daemon refuses to start and names the way out.
            say("cannot write {}: {}".format(self._note, error.strerror), FIRED_NAME)


def run_command(command: List[str]) -> str:
    """Run the fence command; return what became of it, for people."""
    try:
        child = os.fork()
    except OSError as error:
        return "the fence command could not be started: {}".format(error.strerror)
    if child == 0:
        _become(command)
    until_ms = now_ms() + COMMAND_PATIENCE_MS
    while True:
        ended, status = os.waitpid(child, os.WNOHANG)
        if ended and os.WIFEXITED(status):
            return "the fence command ended with status {}".format(os.WEXITSTATUS(status))
        if ended:
            return "the fence command ended by signal {}".format(os.WTERMSIG(status))
        if now_ms() >= until_ms:
            return "the fence command still runs"
        time.sleep(0.01)


def _become(command: List[str]) -> None:
    """Turn the forked child into the fence command, at normal priority.  Never returns."""
    try:
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGPIPE):
            signal.signal(number, signal.SIG_DFL)
        if os.sched_getscheduler(0) != os.SCHED_OTHER:
            os.sched_setscheduler(0, os.SCHED_OTHER, os.sched_param(0))
        os.execv(command[0], command)
    finally:
        os._exit(127)


def _take_privileges() -> List[str]:
    """Be scheduled first, stay in memory, be spared; return what was not permitted."""
    missing = []
    try:
        os.sched_setscheduler(0, os.SCHED_RR, os.sched_param(PRIORITY))
    except OSError:
        missing.append("real-time priority")
    # MCL_CURRENT, and MCL_FUTURE only for root, whom no limit makes run out of memory later.
    flags = 3 if os.geteuid() == 0 else 1
    if ctypes.CDLL(None, use_errno=True).mlockall(flags) != 0:
        missing.append("locked memory")
    try:
        with open("/proc/self/oom_score_adj", "w") as file:
            file.write("-1000")
    except OSError:
        missing.append("protection from the out-of-memory killer")
    return missing


def _settle() -> None:
    """Leave the daemon's surroundings: its signals, directory, and readers of its output."""
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGPIPE):
        signal.signal(number, signal.SIG_IGN)
    os.chdir("/")
    os.umask(0o077)
    gc.disable()
    try:
        with open("/proc/self/comm", "w") as file:
            file.write(COMM)
    except OSError:
        pass        # /proc is read-only: the name is for people alone.
    # Whoever reads a daemon's output to its end must not wait for the timers.
    kind = os.fstat(2).st_mode
    if stat.S_ISFIFO(kind) or stat.S_ISSOCK(kind):
        null = os.open(os.devnull, os.O_RDWR)
        os.dup2(null, 2)
        os.close(null)


def _started() -> int:
    with open("/proc/self/stat", "rb") as file:
        return int(file.read().rpartition(b")")[2].split()[19])


def main(arguments: Optional[List[str]] = None) -> None:
    """The timer process: one argument, its settings as JSON."""
    settings = json.loads((sys.argv[1:] if arguments is None else arguments)[0])
    settings["started"] = _started()
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET, 0, settings["socket"])
    _settle()
    keeper = Keeper(sock, settings)
    missing = _take_privileges()
    sock.send(READY + ", ".join(missing).encode("ascii"))
    keeper.run()


if __name__ == "__main__":
    main()
