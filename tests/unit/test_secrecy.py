"""No core of a process that may hold the pool key."""
import ctypes
import os
import resource
import signal
import sys

import pytest

from xha import realtime, secrecy

#: Of Linux, prctl(2).
_PR_GET_DUMPABLE, _PR_SET_DUMPABLE = 3, 4


def in_child(work):
    """The exit status of a child that does this."""
    child = os.fork()
    if child == 0:
        code = 99
        try:
            code = work()
        finally:
            os._exit(code)
    return os.waitpid(child, 0)[1]


def dumpable():
    return ctypes.CDLL(None).prctl(_PR_GET_DUMPABLE, 0, 0, 0, 0)


@pytest.mark.parametrize("settle", [secrecy.keep, lambda: realtime.settle("xhad")],
                         ids=["keep", "as the daemon settles"])
def test_the_kernel_promises_it(settle):
    def work():
        settle()
        return dumpable() * 2 + (resource.getrlimit(resource.RLIMIT_CORE)[0] != 0)
    assert in_child(work) == 0


def test_it_says_whether_the_kernel_has_promised():
    assert in_child(lambda: 0 if secrecy.keep() is True else 1) == 0


def test_the_limit_may_be_had_back_by_a_child_but_not_the_memory():
    """A program that a hook starts has the limit that it may raise, and is dumpable again."""
    def work():
        hard = resource.getrlimit(resource.RLIMIT_CORE)[1]
        secrecy.keep()
        if resource.getrlimit(resource.RLIMIT_CORE) != (0, hard):
            return 1
        os.execv(sys.executable, [sys.executable, "-c", (
            "import ctypes, sys; sys.exit(2 * (ctypes.CDLL(None).prctl(3, 0, 0, 0, 0) != 1))")])
    assert in_child(work) == 0


def core_of(folder, quiet):
    """What is left in a folder by a child that dies there of a signal, with any core permitted."""
    def work():
        os.chdir(str(folder))
        # A command that another test ran in this process may have made it quiet already.
        ctypes.CDLL(None).prctl(_PR_SET_DUMPABLE, 1, 0, 0, 0)
        if quiet:
            secrecy.keep()
        resource.setrlimit(resource.RLIMIT_CORE,
                           (resource.getrlimit(resource.RLIMIT_CORE)[1],) * 2)
        signal.signal(signal.SIGSEGV, signal.SIG_DFL)
        os.kill(os.getpid(), signal.SIGSEGV)
        return 98
    assert in_child(work) & 0x7F == signal.SIGSEGV
    return os.listdir(str(folder))


def test_a_core_that_any_other_process_leaves_is_not_left(tmp_path):
    for name in ("quiet", "other"):
        (tmp_path / name).mkdir()
    assert core_of(tmp_path / "quiet", True) == []
    with open("/proc/sys/kernel/core_pattern") as file:
        here = "/" not in file.read().replace("|", "/")
    if not here or resource.getrlimit(resource.RLIMIT_CORE)[1] == 0:
        pytest.skip("no process leaves a core in its folder on this machine")
    assert len(core_of(tmp_path / "other", False)) == 1
