"""The licence check before the start: content, not content, hung, not there, not to be run."""
import os
import time

import pytest

from xha import licensehook
from xha.errors import ExitCode, XhaError


def check(command, timeout_ms=20000):
    licensehook.check(command, timeout_ms, lambda: int(time.monotonic() * 1000))


def write(tmp_path, text):
    path = str(tmp_path / "xha-lc")
    with open(path, "w") as file:
        file.write(text)
    os.chmod(path, 0o755)
    return path


@pytest.mark.parametrize("command", ["/nowhere/xha-lc", "no-such-licence-check", "true"])
def test_a_host_without_the_program_or_with_a_content_one_is_licensed(command):
    check(command)


def test_it_is_run_once(tmp_path):
    check(write(tmp_path, "#!/bin/sh\necho x >> {}\n".format(tmp_path / "ran")))
    assert (tmp_path / "ran").read_text() == "x\n"


REFUSED = [
    ("#!/bin/sh\necho expired\nexit 3\n", "exit code 3, expired",      "it says no"),
    ("#!/bin/sh\nsleep 600\n",            "no end after",              "it hangs"),
    ("#!/bin/sh\nkill -9 $$\n",           "ended by signal 9",         "it is killed"),
    ("#!/nowhere/sh\n",                   "cannot be started",         "it cannot be run"),
]


@pytest.mark.parametrize("text, said, why", REFUSED, ids=[row[-1] for row in REFUSED])
def test_anything_else_ends_the_start_with_5(tmp_path, text, said, why):
    path = write(tmp_path, text)
    with pytest.raises(XhaError) as refused:
        check(path, 1000 if "sleep" in text else 20000)
    assert refused.value.code == ExitCode.IMPROPER_LICENSE
    assert str(refused.value).startswith("this host is not licensed for HA: licence check")
    assert said in str(refused.value) and path in str(refused.value)
