"""Which process is the daemon: who holds its lock file (``realtime.take_lock``).

The kernel itself says who holds a record lock, so a number that a dead daemon
left in the file means nothing, and a signal goes to the right process.  Asking
takes no lock, not for an instant: a daemon that starts just then is not
turned away.  Source: spec 8, "Real-time hygiene".
"""

import fcntl
import os
import struct

from xha.errors import ExitCode, XhaError

#: struct flock of Linux x86-64: type, whence, start, length, pid.
_FLOCK = struct.Struct("hhqqi4x")


def holder(path: str) -> int:
    """The process that holds the lock at ``path``; 0 when none does.

    Not for the daemon itself: closing the file would give up its lock.

    Raises:
        XhaError: SYSTEM_ERROR, the file is there but cannot be looked at.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
    except FileNotFoundError:
        return 0
    except OSError as error:
        raise XhaError(ExitCode.SYSTEM_ERROR, "lock file {}: {}".format(
            path, error.strerror)) from error
    try:
        asked = _FLOCK.pack(fcntl.F_WRLCK, os.SEEK_SET, 0, 0, 0)
        kind, _, _, _, pid = _FLOCK.unpack(fcntl.fcntl(descriptor, fcntl.F_GETLK, asked))
    finally:
        os.close(descriptor)
    return 0 if kind == fcntl.F_UNLCK else int(pid)
