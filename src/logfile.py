"""The file that the log goes to: appended to, given up and taken up again.

It may be a pipe that nobody reads, on a full disk, or not there at all.  Each
line is tried once, so that what cannot be written is lost and counted, and
never waited for; only a disk that hangs holds up the thread that writes.
Source: spec 9.
"""

import errno
import os
import select
import time
from typing import Optional

from xha.actions import Log, log

#: A file that failed is tried again after this.
RETRY_S = 10
#: How long a line may take on a log that is a pipe before it is given up.
PIPE_WAIT_S = 0.2


def ready(fd: int, what: int, timeout_s: Optional[float]) -> bool:
    """Whether a descriptor is ready (POLLIN, POLLOUT) within a time; None is for ever.

    Not select.select: it refuses descriptors above 1023, and a daemon with a thousand
    clients has them.
    """
    poller = select.poll()
    poller.register(fd, what)
    return bool(poller.poll(None if timeout_s is None else int(timeout_s * 1000)))


class LogFile:
    """The log file; knows whether it works."""

    def __init__(self, path: str, spare_fd: int) -> None:
        """``spare_fd`` gets the lines that the file cannot take; -1 for none."""
        self._path = path
        self._spare_fd = spare_fd
        self._fd = -1
        self._failure = ""
        # The failure that was said already, and the lines lost since.
        self._said = ""
        self._missing = 0
        self._retry_at_s = 0.0
        # The last line was cut short: begin the next one on a line of its own.
        self._torn = False

    def open(self) -> None:
        """Open the file, or note why not."""
        if not self._path:
            return
        # O_NONBLOCK: a pipe without a reader is refused instead of waited for.
        flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOCTTY
        try:
            self._fd = os.open(self._path, flags, 0o600)
            self._failure = ""
        except OSError as error:
            self._fail(error)

    def reopen(self) -> Optional[Log]:
        """Close and open: the file was renamed.  What is to be said where that fails, once."""
        self.close()
        self.open()
        return self._news() if self._failure else None

    @property
    def opened(self) -> bool:
        """Whether there is a file to write to."""
        return self._fd >= 0

    def close(self) -> None:
        """Close the file."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1

    def write(self, line: bytes) -> Optional[Log]:
        """Append a line; what is to be said about the file itself, if that changed."""
        if self._path and self._failure and time.monotonic() >= self._retry_at_s:
            self.close()
            self.open()
        if self._fd >= 0:
            self._append(line)
        if self._failure or self._fd < 0:
            self._missing += 1
            self.spare(line)
        return self._news()

    def _append(self, line: bytes) -> None:
        rest = b"\n" + line if self._torn else line
        # Patience only once: a pipe that nobody reads must not take it for each line.
        deadline_s = time.monotonic() + (0.0 if self._failure else PIPE_WAIT_S)
        self._torn = False
        while rest:
            try:
                rest = rest[os.write(self._fd, rest):]
            except BlockingIOError as error:
                left_s = deadline_s - time.monotonic()
                if left_s <= 0 or not ready(self._fd, select.POLLOUT, left_s):
                    self._torn = len(rest) < len(line)
                    self._fail(error)
                    return
            except OSError as error:
                self._torn = len(rest) < len(line)
                self._fail(error)
                return
        self._failure = ""

    def _fail(self, error: OSError) -> None:
        text = "nobody reads it" if error.errno in (errno.ENXIO, errno.EAGAIN) else (
            error.strerror or str(error))
        self._failure = text
        self._retry_at_s = time.monotonic() + RETRY_S

    def spare(self, line: bytes) -> None:
        """Write a line where those go that the file cannot take, if that takes it at once."""
        # A reader that is stuck must not stop syslog too.
        if self._spare_fd < 0 or not ready(self._spare_fd, select.POLLOUT, 0.0):
            return
        try:
            os.write(self._spare_fd, line)
        except OSError:
            pass  # Nobody is left to tell.

    def _news(self) -> Optional[Log]:
        if not self._path or self._failure == self._said:
            return None
        was, self._said = self._said, self._failure
        if self._failure:
            return log("log-file-failed", path=self._path, reason=self._failure)
        missing, self._missing = self._missing, 0
        return log("log-file-works", path=self._path, count=missing) if was else None
