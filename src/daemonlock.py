"""The lock file that makes sure there is one daemon, and says which process it is.

A POSIX record lock, not flock: the kernel itself tells who holds it (the pid in
the file is for people), a dead process never holds it, and a forked child, such
as the keeper of mode USER's timers, does not inherit it; with flock that child
would keep every later daemon from starting.  Its one trap: it ends when the
process closes *any* descriptor of the file, so nothing in the daemon but
``take`` may open it.

The file is never removed: removing it would let two daemons lock two files of
one name.  Source: spec 8, "Real-time hygiene" (exit 15).
"""

import errno
import fcntl
import os
import struct

from xha.errors import ExitCode, XhaError

#: struct flock of Linux x86-64: type, whence, start, length, pid.
_FLOCK = struct.Struct("hhqqi4x")


def take(path: str) -> int:
    """Become the one daemon of this lock file, until the process ends.

    Returns:
        The descriptor, to be kept open.

    Raises:
        XhaError: 15, another process is; 2, the file cannot be used.
    """
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o644)
    except OSError as error:
        raise XhaError(ExitCode.SYSTEM_ERROR, "lock file {}: {}".format(
            path, error.strerror)) from error
    try:
        fcntl.lockf(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        os.ftruncate(descriptor, 0)
        os.write(descriptor, "{}\n".format(os.getpid()).encode("ascii"))
    except OSError as error:
        other = _holder(descriptor)
        os.close(descriptor)
        if error.errno in (errno.EACCES, errno.EAGAIN):
            raise XhaError(ExitCode.DAEMON_PRESENT, "another daemon runs: process {} holds {}"
                           .format(other, path)) from error
        raise XhaError(ExitCode.SYSTEM_ERROR, "lock file {}: {}".format(
            path, error.strerror)) from error
    return descriptor


def holder(path: str) -> int:
    """The process that holds the lock; 0 when none does.  Not for the daemon itself.

    Raises:
        XhaError: 2, the file is there but cannot be looked at.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
    except FileNotFoundError:
        return 0
    except OSError as error:
        raise XhaError(ExitCode.SYSTEM_ERROR, "lock file {}: {}".format(
            path, error.strerror)) from error
    try:
        return _holder(descriptor)
    finally:
        os.close(descriptor)


def _holder(descriptor: int) -> int:
    asked = _FLOCK.pack(fcntl.F_WRLCK, os.SEEK_SET, 0, 0, 0)
    kind, _, _, _, pid = _FLOCK.unpack(fcntl.fcntl(descriptor, fcntl.F_GETLK, asked))
    return 0 if kind == fcntl.F_UNLCK else int(pid)
