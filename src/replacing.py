"""A file of ours that others read at any time: replaced as a whole, or left as it was.

Written beside its name, synced, renamed, and the directory synced, in a child
process: a disk that hangs holds that, and nobody who waits for the command.
"""

import os
import stat

from xha import bounded
from xha.errors import ExitCode, XhaError

#: How long a disk may take, s.
BOUND_S = 10.0

#: Everybody may read what is for a collector, which is not root.
_MODE = 0o644


def replace(path: str, data: bytes, mode: int = _MODE) -> None:
    """Let ``path`` be a file of these bytes and of this mode; a link is followed.

    Raises:
        XhaError: INVALID_PARAMETER: what is there is no regular file, and stays;
            SYSTEM_ERROR: it cannot be written, or not within ``BOUND_S``; what was there is
            there still.
    """
    try:
        bounded.run(lambda: _replace(os.path.realpath(path), data, mode), path, BOUND_S)
    except XhaError as error:
        if error.code is ExitCode.STATEFILE_INACCESSIBLE:   # Of a child that is late.
            raise XhaError(ExitCode.SYSTEM_ERROR, str(error)) from error
        raise


def _replace(path: str, data: bytes, mode: int) -> None:
    # No collector reads a name like this.
    beside = os.path.join(os.path.dirname(path), ".{}.xha-{}~".format(
        os.path.basename(path), os.getpid()))
    try:
        _refuse_other_things(path)
        descriptor = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW
                             | os.O_CLOEXEC, mode)
        try:
            os.fchmod(descriptor, mode)
            rest = memoryview(data)
            while rest:
                rest = rest[os.write(descriptor, rest):]
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        os.rename(beside, path)
    except (OSError, ValueError) as error:
        _forget(beside)
        why = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        raise XhaError(ExitCode.SYSTEM_ERROR, "{} cannot be written: {}; what was there is there "
                       "still".format(path, why)) from error
    _sync_directory(os.path.dirname(path), path)


def _refuse_other_things(path: str) -> None:
    """A device, a pipe or a directory is nothing that a file may take the place of."""
    try:
        mode = os.stat(path).st_mode
    except FileNotFoundError:
        return
    if not stat.S_ISREG(mode):
        raise XhaError(ExitCode.INVALID_PARAMETER,
                       "{} is no regular file: nothing is written there".format(path))


def _sync_directory(folder: str, path: str) -> None:
    try:
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
    except OSError as error:
        raise XhaError(ExitCode.SYSTEM_ERROR, "{} was replaced, but may be lost with the power: "
                       "{}".format(path, error.strerror)) from error


def _forget(path: str) -> None:
    try:
        os.unlink(path)
    except (OSError, ValueError):
        pass
