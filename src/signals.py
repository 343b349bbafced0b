"""The signals that reach the daemon, and what each may do.

SIGTERM and SIGINT ask for its end, SIGHUP has the log opened anew (spec 6, 8).  Of
the others, those that end or stop a process unless it minds them, and tell of no
fault of its own, do nothing here: a daemon that somebody's ``killall -USR1`` ends
while it is armed takes its host with it, and so does one that a terminal stops because
it writes there (SIGTTOU).  SIGQUIT stays, for who wants an end without an
argument, and so do those of faults (SIGSEGV, SIGABRT, ...).

A signal wakes the loop through a pipe.  What it asks for does not depend on that:
however many come, and when the pipe is full, one that asks for the end is kept.
A program that the daemon starts gets all of them as any other does.
"""

import os
import signal
import sys
from typing import Any, Callable

#: What ends or stops a process that does not mind it, and means nothing to this one.
IDLE = [int(number) for number in (
    signal.SIGUSR1, signal.SIGUSR2, signal.SIGALRM, signal.SIGVTALRM, signal.SIGPROF,
    signal.SIGIO, signal.SIGPWR, signal.SIGXCPU, signal.SIGTSTP, signal.SIGTTIN)] + list(
        range(signal.SIGRTMIN, signal.SIGRTMAX + 1))


def ignore_hangup() -> None:
    """Until there is a log to open anew; before the process has the name that logrotate knows."""
    signal.signal(signal.SIGHUP, signal.SIG_IGN)


def at_hangup(do: Callable[[], None]) -> None:
    """From here on, SIGHUP does this."""
    signal.signal(signal.SIGHUP, lambda number, frame: do())


class Signals:
    """The signals of one daemon; made and asked by its loop's thread."""

    def __init__(self) -> None:
        self._reading, self._writing = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        self._ending = False

    def take(self) -> None:
        """From here on they are the loop's."""
        if sys.version_info >= (3, 7):
            signal.set_wakeup_fd(self._writing, warn_on_full_buffer=False)  # novm
        else:
            signal.set_wakeup_fd(self._writing)
        signal.signal(signal.SIGTERM, self._end)
        signal.signal(signal.SIGINT, self._end)
        for number in IDLE:
            # No SIG_IGN: a program that is started would inherit that.
            signal.signal(number, lambda number, frame: None)
        signal.signal(signal.SIGPIPE, signal.SIG_IGN)
        # Minded instead, a write to the terminal would be tried again and again.
        signal.signal(signal.SIGTTOU, signal.SIG_IGN)

    def fileno(self) -> int:
        """A descriptor that is readable when one came."""
        return self._reading

    def ending(self) -> bool:
        """Whether the end was asked for since the last call."""
        try:
            os.read(self._reading, 4096)
        except BlockingIOError:
            pass
        ending, self._ending = self._ending, False
        return ending

    def _end(self, number: int, frame: Any) -> None:
        self._ending = True
