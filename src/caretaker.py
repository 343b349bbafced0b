"""The caretaker of a sandbox: a process that outlives it for a moment, and leaves nothing behind.

Theory of operation
===================

A sandbox may end in any way: its last command, Ctrl-C, a closed terminal, or
a SIGKILL, after which it can do nothing any more.  So the tidying is not its
own work.  A child, forked before anything else is there, in a session of its
own, waits for the end of a pipe whose other end only the sandbox holds; the
kernel closes that however the sandbox ends.  Then it ends what runs in the
directory, removes it, and gives the terminal back.

Daemons that a killed sandbox had started die by the kernel's hand
(``sandboxhost``); what is found here by its lock or its record is what
somebody else started in there, and the timer processes of mode USER, which
are made to outlive their daemons.
"""

import os
import shutil
import signal
import sys
import time
from typing import List, NoReturn, Optional

from xha import daemonlock, watchdog
from xha.errors import XhaError
from xha.paths import Paths

#: How long a process may take to be gone once it is killed, s.
_GONE_S = 5.0

#: How long the sandbox waits for its caretaker, s.
_PATIENCE_S = 30.0


class Caretaker:
    """The sandbox's end of the pipe."""

    def __init__(self, directory: str, existed: bool, keep: bool) -> None:
        """Fork; call this before there is any thread.

        Args:
            existed: the directory was there before: only what is in it is removed.
            keep: nothing is removed.
        """
        self._directory = directory
        self._existed = existed
        self._keep = keep
        reading, self._writing = os.pipe()
        for stream in (sys.stdout, sys.stderr):
            if stream is not None:
                stream.flush()
        self._pid = os.fork()
        if self._pid == 0:
            self._live(reading)
        os.close(reading)

    def mind_terminal(self, restore: str) -> None:
        """From now on an unexpected end of the sandbox writes ``restore`` to its output."""
        os.write(self._writing, restore.encode("ascii") + b"\n")

    def finish(self) -> None:
        """Everything in the directory ends, and goes; returns when that is done."""
        self.mind_terminal("")
        os.close(self._writing)
        until = time.monotonic() + _PATIENCE_S
        while time.monotonic() < until:
            if os.waitpid(self._pid, os.WNOHANG)[0]:
                # It may have been killed itself.
                break
            time.sleep(0.01)
        tidy(self._directory, self._existed, self._keep)

    def _live(self, reading: int) -> NoReturn:
        """The life of the caretaker."""
        try:
            os.close(self._writing)
            os.setsid()
            for ending in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGPIPE):
                signal.signal(ending, signal.SIG_IGN)
            terminal = _terminal()
            # Nobody who reads the sandbox's output to its end shall wait for this process.
            null = os.open(os.devnull, os.O_RDWR)
            for number in (0, 1, 2):
                os.dup2(null, number)
            restore = _last_line(reading)
            if restore and terminal is not None:
                terminal.restore(restore)
            tidy(self._directory, self._existed, self._keep)
        finally:
            os._exit(0)


class _Terminal:
    """The sandbox's terminal as it was at the beginning."""

    def __init__(self) -> None:
        import termios
        self._number = os.dup(1)
        self._modes = termios.tcgetattr(self._number)

    def restore(self, text: bytes) -> None:
        """Write ``text`` and set the modes of the beginning."""
        import termios
        try:
            os.write(self._number, text)
            termios.tcsetattr(self._number, termios.TCSANOW, self._modes)
        except (OSError, termios.error):
            # It is gone, too.
            pass


def _terminal() -> Optional[_Terminal]:
    return _Terminal() if os.isatty(1) else None


def _last_line(reading: int) -> bytes:
    """Wait for the end of the pipe; the last line that came, without its end."""
    data = b""
    while True:
        part = os.read(reading, 4096)
        if not part:
            return data.split(b"\n")[-2] if b"\n" in data else b""
        data = (data + part)[-8192:]


def tidy(directory: str, existed: bool, keep: bool) -> None:
    """End every daemon and timer process in the directory, and remove it; may be repeated."""
    for host in _hosts(directory):
        paths = Paths(host, host, host + "/xha.log")
        _end_daemon(paths)
        try:
            watchdog.cleanup(paths, False)
        except XhaError:
            # A record that cannot be removed goes with its directory.
            pass
    if keep:
        return
    if existed:
        for name in _names(directory):
            path = os.path.join(directory, name)
            if os.path.isdir(path) and not os.path.islink(path):
                shutil.rmtree(path, ignore_errors=True)
            else:
                os.unlink(path)
    else:
        shutil.rmtree(directory, ignore_errors=True)


def _names(directory: str) -> List[str]:
    try:
        return sorted(os.listdir(directory))
    except FileNotFoundError:
        return []


def _hosts(directory: str) -> List[str]:
    return [os.path.join(directory, name) for name in _names(directory)
            if name.startswith("h") and name[1:].isdigit()]


def _end_daemon(paths: Paths) -> None:
    """Kill who holds the lock, until nobody does."""
    until = time.monotonic() + _GONE_S
    while time.monotonic() < until:
        pid = daemonlock.holder(paths.lock)
        if not pid:
            return
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        time.sleep(0.01)
