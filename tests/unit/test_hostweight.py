"""The weight file: its lines, its limits, its lock, and what a killed writer leaves."""
import fcntl
import os
import stat
import subprocess
import sys

import pytest

from xha import hostweight
from xha.errors import ExitCode, FormatError, XhaError
from xha.hostweight import Class

PRINTABLE = "".join(chr(code) for code in range(0x21, 0x7f))


@pytest.fixture
def path(tmp_path):
    return str(tmp_path / "xhad.weight")


def pairs(classes):
    return [(one.name, one.weight) for one in classes]


GOOD = [
    ("",                           1,     "an empty file"),
    ("vm 5\n",                     6,     "1 and the class"),
    ("vm 5\nstorage 65535\n",      65541, "the sum"),
    ("vm 5",                       6,     "no line end"),
    ("\n  vm \t 5  \n\n",          6,     "white space"),
    ("vm 0\n",                     1,     "nothing is as good as no class"),
    (PRINTABLE[:64] + " 1\n",      2,     "the longest name, of odd letters"),
    ("".join("c{} 1\n".format(number) for number in range(16)), 17, "16 classes"),
]


@pytest.mark.parametrize("text, weight, why", GOOD, ids=[row[-1] for row in GOOD])
def test_the_weight_of_a_host(text, weight, why):
    assert hostweight.weight_of(hostweight.parse(text)) == weight


BAD = [
    ("vm",                    "line 1: 'vm'; expected a class",     "no weight"),
    ("vm 5 6",                "line 1",                             "three words"),
    ("a 1\nvm -1",            "line 2: weight '-1'",                "below 0"),
    ("vm 65536",              "line 1: weight '65536'; expected 0 to 65535", "above the most"),
    ("vm 0x10",               "weight '0x10'",                      "no decimal number"),
    ("vm 000000001",          "weight",                             "nine digits"),
    ("native 2",              "class native is built in",           "the built-in class"),
    ("a" * 65 + " 1",         "1 to 64 printable characters",       "a name of 65 letters"),
    ("caf\u00e9 1",           "printable",                          "a letter that is not ASCII"),
    ("vm 1\nvm 1",            "line 2: class vm for the second time", "twice"),
    ("".join("c{} 1\n".format(number) for number in range(17)), "line 17: more than 16 classes",
     "17 classes"),
]


@pytest.mark.parametrize("text, said, why", BAD, ids=[row[-1] for row in BAD])
def test_what_is_not_a_weight_file_is_refused_with_its_line(path, text, said, why):
    with pytest.raises(FormatError) as refused:
        hostweight.parse(text)
    assert said in str(refused.value)
    with open(path, "w", encoding="utf-8") as file:
        file.write(text)
    with pytest.raises(XhaError) as refused:
        hostweight.read(path)
    assert refused.value.code == ExitCode.SYSTEM_ERROR
    assert str(refused.value).startswith(path + ": line")


def test_without_a_file_there_is_no_class(path):
    assert hostweight.read(path) == ()


def test_a_class_is_added_changed_and_removed(path):
    assert pairs(hostweight.set_class(path, "vm", 5, 0)) == [("vm", 5)]
    hostweight.set_class(path, "storage", 7, 0)
    hostweight.set_class(path, "vm", 6, 0)
    assert pairs(hostweight.read(path)) == [("vm", 6), ("storage", 7)]
    assert open(path).read() == "vm 6\nstorage 7\n"
    hostweight.set_class(path, "vm", 0, 0)
    hostweight.set_class(path, "never there", 0, 0)
    assert pairs(hostweight.read(path)) == [("storage", 7)]


def test_the_17th_class_is_refused_and_16_still_can_be_changed(path):
    for number in range(16):
        hostweight.set_class(path, "c{}".format(number), 1, 0)
    before = open(path).read()
    with pytest.raises(XhaError) as refused:
        hostweight.set_class(path, "one-more", 1, 0)
    assert refused.value.code == ExitCode.INVALID_PARAMETER
    assert open(path).read() == before
    hostweight.set_class(path, "c3", 0, 0)
    hostweight.set_class(path, "one-more", 65535, 0)
    assert hostweight.weight_of(hostweight.read(path)) == 1 + 15 + 65535


def test_the_file_can_be_read_by_everybody_and_written_by_its_owner(path):
    """Source: spec 14, 20: the original's weights are unreadable."""
    mask = os.umask(0o077)
    try:
        hostweight.set_class(path, "vm", 5, 0)
    finally:
        os.umask(mask)
    assert stat.S_IMODE(os.stat(path).st_mode) == 0o644


def test_a_malformed_file_is_not_written_over(path):
    with open(path, "w") as file:
        file.write("something else\nentirely\n")
    with pytest.raises(XhaError) as refused:
        hostweight.set_class(path, "vm", 5, 0)
    assert refused.value.code == ExitCode.SYSTEM_ERROR
    assert open(path).read() == "something else\nentirely\n"


@pytest.mark.parametrize("make", [os.mkfifo, os.mkdir, lambda path: os.symlink("/dev/zero", path)])
def test_what_is_no_regular_file_is_refused_and_waited_for_by_nobody(path, make):
    make(path)
    for attempt in (lambda: hostweight.read(path, 0),
                    lambda: hostweight.set_class(path, "vm", 5, 0)):
        with pytest.raises(XhaError) as refused:
            attempt()
        assert refused.value.code == ExitCode.SYSTEM_ERROR
        assert path in str(refused.value)


def test_a_file_without_an_end_is_read_no_further_than_any_that_is_right(path):
    with open(path, "w") as file:
        file.write("\n" * 9000)
    with pytest.raises(XhaError, match="more than 8192 bytes"):
        hostweight.read(path)


# Another process

HOLDER = """
import fcntl, os, sys
file = os.open(sys.argv[1], os.O_RDWR)
fcntl.lockf(file, int(sys.argv[2]))
print("locked", flush=True)
sys.stdin.readline()
"""


@pytest.fixture
def holder(path):
    """Let another process lock the file, until ``release``."""
    hostweight.set_class(path, "vm", 5, 0)
    children = []

    def lock(kind):
        children.append(subprocess.Popen(
            [sys.executable, "-c", HOLDER, path, str(int(kind))], stdin=subprocess.PIPE,
            stdout=subprocess.PIPE))
        assert children[-1].stdout.readline() == b"locked\n"
        return children[-1]
    yield lock
    for child in children:
        child.communicate()


def test_a_file_that_is_being_written_is_not_read_and_that_is_code_3(holder, path):
    holder(fcntl.LOCK_EX)
    for attempt in (lambda: hostweight.read(path, 0),
                    lambda: hostweight.set_class(path, "vm", 6, 0)):
        with pytest.raises(XhaError) as refused:
            attempt()
        assert refused.value.code == ExitCode.TRANSIENT_ERROR


def test_readers_do_not_hold_up_each_other_but_a_writer(holder, path):
    holder(fcntl.LOCK_SH)
    assert pairs(hostweight.read(path, 0)) == [("vm", 5)]
    with pytest.raises(XhaError) as refused:
        hostweight.set_class(path, "vm", 6, 0)
    assert refused.value.code == ExitCode.TRANSIENT_ERROR


def test_a_lock_is_waited_for(holder, path):
    child = holder(fcntl.LOCK_EX)
    subprocess.Popen([sys.executable, "-c", "import time; time.sleep(0.3)"],
                     stdout=child.stdin).wait()
    child.stdin.write(b"\n")
    child.stdin.flush()
    assert pairs(hostweight.read(path, 20)) == [("vm", 5)]


WRITER = """
import sys
sys.path.insert(0, sys.argv[1])
from xha import hostweight
for number in range(40):
    hostweight.set_class(sys.argv[2], sys.argv[3], 1 + number, 30)
"""


def test_writers_at_once_lose_nothing_of_each_other(path, tmp_path):
    os.symlink(os.path.dirname(os.path.abspath(hostweight.__file__)), str(tmp_path / "xha"))
    writers = [subprocess.Popen([sys.executable, "-B", "-c", WRITER, str(tmp_path), path,
                                 "c{}".format(number)]) for number in range(4)]
    while any(writer.poll() is None for writer in writers):
        hostweight.read(path, 30)       # Never half a file.
    assert [writer.returncode for writer in writers] == [0] * 4
    assert sorted(pairs(hostweight.read(path))) == [("c{}".format(n), 40) for n in range(4)]


def test_what_a_killed_writer_left_is_in_nobodys_way(path):
    hostweight.set_class(path, "vm", 5, 0)
    with open(path + ".new", "w") as file:
        file.write("vm 5\nsto")
    hostweight.set_class(path, "storage", 7, 0)
    assert Class(name="storage", weight=7) in hostweight.read(path)
    assert not os.path.exists(path + ".new")
