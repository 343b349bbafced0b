"""A doorbell: whoever has something for a thread rings, and never waits; the thread waits for it.

A pipe that neither end can block on.  Ringing is one write, so a signal handler may, and when
the pipe is full of rings one more would tell nothing.
"""

import os
import select
import time
from typing import Callable, Optional

from xha.logfile import ready


#: How often ``wait_until`` looks, s.
_PACE_S = 0.001


def wait_until(holds: Callable[[], bool], deadline_s: float) -> bool:
    """Wait until something holds, at most until CLOCK_MONOTONIC is at ``deadline_s``; whether.

    Not by a lock's own time-out: older CPythons count that by the wall clock, and one that is
    set back meanwhile would hold up a fence by as much.
    """
    while not holds():
        if time.monotonic() >= deadline_s:
            return False
        time.sleep(_PACE_S)
    return True


class Doorbell:
    """The doorbell of one thread."""

    __slots__ = ("_read", "_write")

    def __init__(self) -> None:
        self._read, self._write = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)

    def ring(self) -> None:
        """Wake the thread, now or when it waits next.  Never blocks."""
        try:
            os.write(self._write, b"w")
        except BlockingIOError:
            pass  # The pipe is full of reasons to wake up already.

    def wait(self, timeout_s: Optional[float]) -> None:
        """Wait for a ring, for ever with None; all rings so far are answered by that."""
        ready(self._read, select.POLLIN, timeout_s)
        try:
            os.read(self._read, 4096)
        except BlockingIOError:
            pass
