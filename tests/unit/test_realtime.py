"""The process hygiene, each part tried in a child so that the tests' own process keeps none."""

import ctypes
import gc
import json
import os
import resource
import stat
import sys
import threading
import traceback

import pytest

from xha import realtime
from xha.errors import ExitCode, XhaError

NOBODY = 65534


def in_child(function, *arguments):
    """What ``function`` gives in a forked process, by way of JSON."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        status = 1
        try:
            os.write(writing, json.dumps(function(*arguments)).encode("ascii") + b"\n")
            status = 0
        except BaseException:  # Shown here; the parent fails on the status.
            traceback.print_exc(file=sys.__stderr__)
        finally:
            os._exit(status)
    os.close(writing)
    with os.fdopen(reading, "rb") as stream:
        # A line, and not all: a child of the child may hold the pipe open.
        data = stream.readline()
    assert os.waitpid(child, 0)[1] == 0
    return json.loads(data.decode("ascii"))


def refusal(function, *arguments, **options):
    """(exit code, message), or None when nothing was refused."""
    try:
        function(*arguments, **options)
    except XhaError as error:
        return [int(error.code), str(error)]
    return None


class Holder:
    """A process that holds the lock until it is told to end."""

    def __init__(self, path):
        ready, ended = os.pipe(), os.pipe()
        self.pid = os.fork()
        if self.pid == 0:
            try:
                os.close(ended[1])
                realtime.take_lock(path)
                os.write(ready[1], b"r")
                os.read(ended[0], 1)
            finally:
                os._exit(0)
        os.close(ready[1])
        os.close(ended[0])
        assert os.read(ready[0], 1) == b"r"
        os.close(ready[0])
        self._ended = ended[1]

    def end(self):
        os.close(self._ended)
        os.waitpid(self.pid, 0)


def test_the_lock_file_holds_the_pid(tmp_path):
    path = str(tmp_path / "xhad.lock")
    with open(path, "w") as stream:
        stream.write("123456789012 and old junk\n")
    holder = Holder(path)
    with open(path) as stream:
        assert stream.read() == "{}\n".format(holder.pid)
    assert stat.S_IMODE(os.stat(path).st_mode) & 0o022 == 0
    holder.end()


def test_a_second_daemon_is_refused_and_told_who_runs(tmp_path):
    path = str(tmp_path / "xhad.lock")
    holder = Holder(path)
    code, message = in_child(refusal, realtime.take_lock, path)
    assert code == ExitCode.DAEMON_PRESENT
    assert "process {} has {}".format(holder.pid, path) in message
    with open(path) as stream:
        assert stream.read() == "{}\n".format(holder.pid)
    holder.end()
    assert in_child(refusal, realtime.take_lock, path) is None


def test_the_holder_of_the_lock_is_known_to_commands(tmp_path):
    path = str(tmp_path / "xhad.lock")
    assert realtime.lock_holder(path) == 0
    holder = Holder(path)
    assert realtime.lock_holder(path) == holder.pid
    holder.end()
    assert realtime.lock_holder(path) == 0


def test_a_child_of_the_daemon_does_not_keep_the_lock(tmp_path):
    """The process that keeps the timers in mode USER outlives the daemon."""
    path = str(tmp_path / "xhad.lock")
    ended = os.pipe()

    def daemon():
        realtime.take_lock(path)
        child = os.fork()
        if child == 0:
            os.close(ended[1])
            os.read(ended[0], 1)
            os._exit(0)
        return child

    in_child(daemon)
    assert realtime.lock_holder(path) == 0
    assert in_child(refusal, realtime.take_lock, path) is None
    os.close(ended[1])
    os.close(ended[0])


UNUSABLE = [
    ("missing/xhad.lock", ExitCode.SYSTEM_ERROR, "No such file", "a folder that is not there"),
    (".", ExitCode.SYSTEM_ERROR, "directory", "a folder"),
    ("link", ExitCode.SYSTEM_ERROR, "symbolic links", "a link laid by somebody else"),
]


@pytest.mark.parametrize("name, code, said, why", UNUSABLE, ids=[row[-1] for row in UNUSABLE])
def test_a_lock_file_that_cannot_be_opened_is_named(tmp_path, name, code, said, why):
    os.symlink(str(tmp_path / "target"), str(tmp_path / "link"))
    found, message = in_child(refusal, realtime.take_lock, str(tmp_path / name))
    assert found == code
    assert said in message and str(tmp_path) in message


def full(function, *arguments):
    """Run ``function`` where no file may grow."""
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, resource.RLIM_INFINITY))
    try:
        return function(*arguments)
    finally:
        # What it gives goes through a pipe, which no limit is for.
        resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY,) * 2)


def test_a_lock_file_that_cannot_be_written_is_named(tmp_path):
    path = str(tmp_path / "xhad.lock")
    code, message = in_child(full, refusal, realtime.take_lock, path)
    assert code == ExitCode.SYSTEM_ERROR
    assert message == path + ": cannot write the lock file: File too large"
    assert in_child(refusal, realtime.take_lock, path) is None


def unprivileged(function, *arguments, **options):
    """Run ``function`` as nobody, without any of root's means."""
    resource.setrlimit(resource.RLIMIT_RTPRIO, (0, 0))
    resource.setrlimit(resource.RLIMIT_MEMLOCK, (65536, 65536))
    if os.getuid() == 0:
        os.setgroups([])
        os.setresgid(NOBODY, NOBODY, NOBODY)
        os.setresuid(NOBODY, NOBODY, NOBODY)
    return function(*arguments, **options)


def test_who_may_not_open_the_lock_file_is_told_so(tmp_path):
    folder = tmp_path / "closed"
    folder.mkdir(mode=0o500)
    code, message = in_child(
        unprivileged, refusal, realtime.take_lock, str(folder / "xhad.lock"))
    assert code == ExitCode.INVALID_ENVIRONMENT
    assert "Permission denied" in message


def test_the_process_is_named_grouped_and_closed_to_others(tmp_path):
    def settled():
        realtime.settle()
        with open("/proc/self/comm") as stream:
            name = stream.read().strip()
        with open(str(tmp_path / "file"), "w"):
            pass
        return [name, os.getpgrp() == os.getpid(),
                stat.S_IMODE(os.stat(str(tmp_path / "file")).st_mode)]

    assert in_child(settled) == ["xhad", True, 0o600]


def test_a_session_leader_keeps_its_group():
    def settled():
        os.setsid()
        realtime.settle()
        return os.getpgrp() == os.getpid()

    assert in_child(settled)


def scheduling():
    """(policy without its flag, priority) of each thread of this process."""
    found = []
    for thread in sorted(int(name) for name in os.listdir("/proc/self/task")):
        policy = os.sched_getscheduler(thread) & ~os.SCHED_RESET_ON_FORK
        found.append([policy, os.sched_getparam(thread).sched_priority])
    return found


def raised(required=False):
    """What was said; how the threads are scheduled; how a child of theirs is."""
    import threading
    stop = threading.Event()
    other = threading.Thread(target=stop.wait)
    other.start()
    try:
        said = [[item.name, dict(item.fields)] for item in realtime.raise_priority(required)]
        return [said, scheduling(), in_child(scheduling)]
    finally:
        stop.set()
        other.join()


def test_either_all_threads_have_real_time_priority_or_it_is_said_that_they_have_not():
    said, threads, child = in_child(raised)
    assert len(threads) == 2
    if said:
        assert [name for name, _ in said] == ["realtime-missing"]
        assert threads == [[os.SCHED_OTHER, 0]] * 2
    else:
        assert threads == [[os.SCHED_RR, realtime.PRIORITY]] * 2
    # Whatever they are, a child is scheduled as any other process.
    assert child == [[os.SCHED_OTHER, 0]]


def test_without_the_privilege_the_daemon_says_so_and_goes_on():
    said, threads, _ = in_child(unprivileged, raised)
    assert said == [["realtime-missing", {"privilege": "real-time priority",
                                          "reason": "Operation not permitted"}]]
    assert threads == [[os.SCHED_OTHER, 0]] * 2


def test_without_the_privilege_the_daemon_ends_where_real_time_is_required():
    for function in (realtime.raise_priority, realtime.lock_memory):
        code, message = in_child(unprivileged, refusal, function, True)
        assert code == ExitCode.INVALID_ENVIRONMENT
        assert "--require-realtime" in message


def test_the_process_moves_to_the_root_cgroup_where_that_can_be_written(tmp_path):
    root = tmp_path / "cgroup.procs"
    root.write_text("")
    realtime._leave_cgroup([str(tmp_path / "none" / "cgroup.procs"), str(root)])
    assert root.read_text() == str(os.getpid())


def spared():
    said = [[item.name, dict(item.fields)["privilege"]] for item in realtime.spare_from_killer()]
    with open("/proc/self/oom_score_adj") as score:
        return [said, int(score.read())]


def test_others_go_first_when_memory_runs_out_or_it_is_said_that_they_do_not():
    said, score = in_child(spared)
    assert (said, score) in (
        ([], -1000),
        ([["realtime-missing", "protection from the out-of-memory killer"]], 0))
    said, score = in_child(unprivileged, spared)
    assert (len(said), score) == (1, 0)


def locked_kib():
    with open("/proc/self/status") as status:
        return next(int(line.split()[1]) for line in status if line.startswith("VmLck:"))


def lock():
    said = [[item.name, dict(item.fields)] for item in realtime.lock_memory()]
    return [said, locked_kib()]


def test_either_all_memory_is_locked_or_it_is_said_that_it_is_not():
    said, kib = in_child(lock)
    assert (kib > 1000) is (not said)


def reserved_kib(spare):
    """What five threads that allocate reserve of addresses, with and without sparing."""
    if spare:
        assert realtime.spare_memory()
    threading.stack_size(realtime.STACK_BYTES)
    begun, ended = threading.Barrier(6), threading.Event()

    def work():
        kept = bytearray(4000)
        begun.wait()
        ended.wait()
        return kept
    before = size_kib()
    for _ in range(5):
        threading.Thread(target=work, daemon=True).start()
    begun.wait()
    return size_kib() - before


def size_kib():
    with open("/proc/self/status") as status:
        return next(int(line.split()[1]) for line in status if line.startswith("VmSize:"))


def test_threads_reserve_no_memory_but_their_stacks():
    """glibc would give each an arena of 64 MiB, all of which counts as locked."""
    stacks_kib = 5 * (realtime.STACK_BYTES // 1024 + 8)
    assert in_child(reserved_kib, False) > 65536, "else this test shows nothing"
    assert in_child(reserved_kib, True) < stacks_kib + 1024


def without_mallopt():
    class Library:
        def __init__(self, *arguments, **options):
            pass
    ctypes.CDLL = Library
    return realtime.spare_memory()


def without_ctypes():
    sys.modules["ctypes"] = None
    return realtime.spare_memory()


def test_a_c_library_or_a_python_that_cannot_be_asked_to_spare_memory_is_no_matter():
    assert in_child(without_mallopt) is False
    assert in_child(without_ctypes) is False


def test_memory_is_not_locked_under_a_limit_that_would_fail_later():
    said, kib = in_child(unprivileged, lock)
    assert said == [["realtime-missing", {"privilege": "locked memory",
                                          "reason": "the limit is 65536 bytes"}]]
    assert kib == 0


def test_garbage_is_collected_only_when_asked_for():
    def calmed():
        class Node:
            """Something that can be part of a cycle."""

        realtime.calm_collector()
        for _ in range(5000):
            node = Node()
            node.itself = node
        # All of them are still there, and all but the last are garbage.
        return [gc.isenabled(), realtime.collect() >= 4999, realtime.collect()]

    assert in_child(calmed) == [False, True, 0]
