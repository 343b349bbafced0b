"""Work in a process that can be left behind."""

import os
import signal

import pytest

from xha import bounded
from xha.errors import ExitCode, XhaError


def test_the_result_comes_back():
    assert bounded.run(lambda: {"pid": os.getpid(), "data": bytes(300000)}, "it", 30)["pid"] > 0
    assert bounded.run(os.getpid, "it", 30) != os.getpid()


def test_a_refusal_comes_back_with_its_code():
    def refuse():
        raise XhaError(ExitCode.GENERATION_MISMATCH, "another generation")

    with pytest.raises(XhaError, match="another generation") as caught:
        bounded.run(refuse, "it", 30)
    assert caught.value.code is ExitCode.GENERATION_MISMATCH


def test_a_bug_comes_back_as_one():
    with pytest.raises(XhaError, match="ZeroDivisionError") as caught:
        bounded.run(lambda: 1 // 0, "it", 30)
    assert caught.value.code is ExitCode.INTERNAL_BUG


def test_a_child_that_is_killed_is_a_bug_and_no_hang():
    with pytest.raises(XhaError, match="it: the process that accesses it ended") as caught:
        bounded.run(lambda: os.kill(os.getpid(), signal.SIGKILL), "it", 30)
    assert caught.value.code is ExitCode.INTERNAL_BUG


def test_what_takes_too_long_is_left_behind():
    readable, writable = os.pipe()
    try:
        with pytest.raises(XhaError, match="State-File x: it did not answer within 0.05 s"
                           ) as caught:
            bounded.run(lambda: os.read(readable, 1), "State-File x", 0.05)
    finally:
        os.close(readable)
        os.close(writable)
    assert caught.value.code is ExitCode.STATEFILE_INACCESSIBLE


def test_no_child_stays_behind_that_answered():
    for _ in range(5):
        bounded.run(lambda: 1, "it", 30)
    with pytest.raises(ChildProcessError):
        while os.waitpid(-1, 0):
            pass


def test_whoever_reads_our_output_does_not_wait_for_the_child():
    links = bounded.run(
        lambda: [os.readlink("/proc/self/fd/{}".format(number)) for number in range(3)], "it", 30)
    assert links == ["/dev/null"] * 3
