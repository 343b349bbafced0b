"""The kernel says which process is the daemon."""
import os

import pytest

from xha import daemonlock, realtime
from xha.errors import ExitCode, XhaError


@pytest.fixture
def path(tmp_path):
    return str(tmp_path / "xhad.lock")


class Daemon:
    """Another process that takes the lock and keeps it until it is ended."""

    def __init__(self, path, then=lambda: None):
        told, tells = os.pipe()
        waits, self._ends = os.pipe()
        self.pid = os.fork()
        if self.pid == 0:
            try:
                realtime.take_lock(path)
                then()
                os.write(tells, b"x")
                os.read(waits, 1)
            finally:
                os._exit(0)
        os.close(tells)
        os.close(waits)
        assert os.read(told, 1) == b"x"
        os.close(told)

    def end(self):
        os.write(self._ends, b"x")
        os.waitpid(self.pid, 0)
        os.close(self._ends)


def test_without_a_daemon_nobody_holds_the_lock(path):
    assert daemonlock.holder(path) == 0
    with open(path, "w") as file:
        file.write("1\n")
    assert daemonlock.holder(path) == 0, "a number in the file is nobody"


def test_the_holder_is_known_from_its_first_instant(path):
    """Between taking the lock and writing its number a daemon is a daemon already."""
    daemon = Daemon(path, then=lambda: os.truncate(path, 0))
    try:
        assert daemonlock.holder(path) == daemon.pid
    finally:
        daemon.end()
    assert daemonlock.holder(path) == 0


def test_asking_takes_no_lock_from_a_daemon_that_starts(path):
    open(path, "w").close()
    before = os.stat(path)
    os.chmod(path, 0o444)
    assert daemonlock.holder(path) == 0
    assert os.stat(path).st_mtime == before.st_mtime


def test_a_forked_child_is_not_the_daemon(path):
    waits, ends = os.pipe()

    def fork():
        if os.fork() == 0:
            os.read(waits, 1)
            os._exit(0)
    daemon = Daemon(path, then=fork)
    daemon.end()
    try:
        assert daemonlock.holder(path) == 0
    finally:
        os.write(ends, b"x")
        os.close(ends)
        os.close(waits)


def test_a_lock_file_that_is_a_link_is_not_followed(path):
    os.symlink("/etc/passwd", path)
    with pytest.raises(XhaError) as refusal:
        daemonlock.holder(path)
    assert refusal.value.code == ExitCode.SYSTEM_ERROR
