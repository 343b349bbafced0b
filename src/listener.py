"""The place where the control socket listens: its directory, its name, its mode.

A socket listens, with its mode, before it gets its name, and the name replaces the old one
in one step: nobody ever finds a socket that refuses, or one that others may open.
Beside it stands a spare descriptor, for the client that comes when there is no other left.
"""

import os
import resource
import socket
import stat
from typing import Tuple

from xha.errors import ExitCode, XhaError
from xha.paths import SOCKET_PATH_MAX, Paths


def listen(paths: Paths, backlog: int) -> Tuple[socket.socket, Tuple[int, int]]:
    """A listening socket at ``paths.socket``, in place of one that nobody listens to.

    Returns:
        The socket, and what ``remove`` needs to know it again.

    Raises:
        XhaError: 15, somebody listens there; 16, the place is not fit (another's directory,
            a file that is no socket, too long a name).
        OSError: anything else.
    """
    make_directory(paths.run_dir)
    _check_place(paths.socket)
    fresh = paths.socket + ".new"
    if len(os.fsencode(fresh)) > SOCKET_PATH_MAX:
        raise XhaError(ExitCode.INVALID_ENVIRONMENT, "the name {} is longer than the {} bytes of "
                       "a socket's".format(fresh, SOCKET_PATH_MAX))
    try:
        os.unlink(fresh)
    except FileNotFoundError:
        pass
    listening = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        listening.setblocking(False)
        os.fchmod(listening.fileno(), 0o600)    # Linux: bind takes the socket's own mode.
        listening.bind(fresh)
        os.chmod(fresh, 0o600)
        listening.listen(backlog)               # The kernel cuts this to its somaxconn.
        found = os.stat(fresh)
        os.rename(fresh, paths.socket)
    except OSError:
        listening.close()
        raise
    return listening, (found.st_dev, found.st_ino)


def remove(paths: Paths, made: Tuple[int, int]) -> None:
    """Remove the socket's name if it is still that of the one that ``listen`` made."""
    try:
        found = os.lstat(paths.socket)
        if (found.st_dev, found.st_ino) == made:
            os.unlink(paths.socket)
    except OSError:
        pass        # Gone, or not to be removed: the next daemon replaces it.


def room_for(clients: int, kept: int) -> int:
    """Raise the soft limit of descriptors if need be.

    Returns:
        For how many clients, of the ``clients`` wished for, it leaves room when ``kept``
        descriptors are left to the rest of the daemon; at least 8.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = clients + kept
    if soft != resource.RLIM_INFINITY and soft < wanted:
        soft = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
        try:
            resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        except (OSError, ValueError):
            soft = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    if soft == resource.RLIM_INFINITY:
        return clients
    return max(8, min(clients, soft - kept))


class Spare:
    """A descriptor that is kept for the moment in which the process has no other."""

    __slots__ = ("_fd",)

    def __init__(self) -> None:
        self._fd = -1

    def take(self) -> bool:
        """Have one; whether there is one now."""
        if self._fd < 0:
            try:
                self._fd = os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC)
            except OSError:
                return False
        return True

    def give(self) -> bool:
        """Give it up to whatever is opened next; whether there was one."""
        if self._fd < 0:
            return False
        os.close(self._fd)
        self._fd = -1
        return True


def _check_place(path: str) -> None:
    """Refuse to take the place of anything but a socket that nobody listens to."""
    try:
        mode = os.lstat(path).st_mode
    except FileNotFoundError:
        return
    if not stat.S_ISSOCK(mode):
        raise XhaError(ExitCode.INVALID_ENVIRONMENT,
                       "{} is there and is no socket; move it away".format(path))
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.setblocking(False)
        try:
            probe.connect(path)
        except (ConnectionRefusedError, FileNotFoundError):
            return
        except BlockingIOError:
            pass        # Its queue is full: somebody listens, and is busy.
    raise XhaError(ExitCode.DAEMON_PRESENT, "a daemon already listens at {}".format(path))


def make_directory(path: str) -> None:
    """The directory of the socket, for its owner alone; it must be ours or root's.

    In anybody else's a client could be made to talk to somebody else's socket.

    Raises:
        XhaError: 16, it is another's, or may not be made; 2, it cannot be made.
    """
    try:
        os.makedirs(path, 0o700, exist_ok=True)
        found = os.stat(path)
    except OSError as error:
        code = (ExitCode.INVALID_ENVIRONMENT if isinstance(error, PermissionError)
                else ExitCode.SYSTEM_ERROR)
        raise XhaError(code, "{}: {}".format(path, error.strerror)) from error
    if found.st_uid not in (0, os.geteuid()):
        raise XhaError(ExitCode.INVALID_ENVIRONMENT, "{} belongs to user {}; the control socket "
                       "needs a directory of its own user".format(path, found.st_uid))
