"""One daemon at a time, and the kernel says which process it is."""
import os

import pytest

from xha import daemonlock
from xha.errors import ExitCode, XhaError


@pytest.fixture
def path(tmp_path):
    return str(tmp_path / "xhad.lock")


class Other:
    """Another process that takes the lock and keeps it until it is ended."""

    def __init__(self, path, then=lambda: None):
        told, tells = os.pipe()
        self._ends, waits = os.pipe()
        self._waits = waits
        self.pid = os.fork()
        if self.pid == 0:
            try:
                os.close(told)
                daemonlock.take(path)
                then()
                os.write(tells, b"x")
                os.read(self._ends, 1)
            finally:
                os._exit(0)
        os.close(tells)
        assert os.read(told, 1) == b"x"
        os.close(told)

    def end(self):
        os.write(self._waits, b"x")
        os.waitpid(self.pid, 0)
        os.close(self._waits)
        os.close(self._ends)


def test_without_a_daemon_nobody_holds_the_lock(path):
    assert daemonlock.holder(path) == 0
    open(path, "w").close()
    assert daemonlock.holder(path) == 0


def test_the_holder_is_known_to_others_and_written_for_people(path):
    other = Other(path)
    try:
        assert daemonlock.holder(path) == other.pid
        with open(path) as file:
            assert file.read() == "{}\n".format(other.pid)
        assert os.stat(path).st_mode & 0o777 == 0o644 & ~current_umask()
    finally:
        other.end()


def current_umask():
    mask = os.umask(0)
    os.umask(mask)
    return mask


def test_a_second_daemon_is_refused_with_15_and_told_who_is_first(path):
    other = Other(path)
    try:
        with pytest.raises(XhaError) as refusal:
            daemonlock.take(path)
        assert refusal.value.code == ExitCode.DAEMON_PRESENT
        assert str(other.pid) in str(refusal.value)
        with open(path) as file:
            assert file.read() == "{}\n".format(other.pid), "the refused one wrote nothing"
    finally:
        other.end()


def test_a_dead_daemon_holds_nothing_though_its_number_is_in_the_file(path):
    other = Other(path)
    other.end()
    assert daemonlock.holder(path) == 0
    os.close(daemonlock.take(path))
    with open(path) as file:
        assert file.read() == "{}\n".format(os.getpid())


def test_a_forked_child_does_not_keep_the_lock_of_a_dead_daemon(path):
    children, child = os.pipe()

    def fork():
        grandchild = os.fork()
        if grandchild == 0:
            os.read(children, 1)
            os._exit(0)
    other = Other(path, then=fork)
    other.end()
    try:
        assert daemonlock.holder(path) == 0
        os.close(daemonlock.take(path))
    finally:
        os.write(child, b"x")
        os.close(child)
        os.close(children)


def test_a_longer_number_of_before_leaves_no_digits(path):
    with open(path, "w") as file:
        file.write("99999999999\n")
    os.close(daemonlock.take(path))
    with open(path) as file:
        assert file.read() == "{}\n".format(os.getpid())


def test_a_lock_file_that_is_a_link_is_not_followed(path, tmp_path):
    os.symlink(str(tmp_path / "elsewhere"), path)
    for ask in (daemonlock.take, daemonlock.holder):
        with pytest.raises(XhaError) as refusal:
            ask(path)
        assert refusal.value.code == ExitCode.SYSTEM_ERROR
    assert not os.path.lexists(str(tmp_path / "elsewhere"))


def test_a_place_where_no_file_can_be_is_2(tmp_path):
    with pytest.raises(XhaError) as refusal:
        daemonlock.take(str(tmp_path / "nowhere" / "xhad.lock"))
    assert refusal.value.code == ExitCode.SYSTEM_ERROR
