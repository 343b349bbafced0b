"""The hooks of dom0 as real child processes: ended, hung, talkative, missing, and left behind."""
import os
import sys
import threading
import time

import pytest
from process_samples import wait_until

from xha.child import How, Job, Work
from xha.xapimonitor import Runner, XapiMonitor


def now_ms():
    return int(time.monotonic() * 1000)


@pytest.fixture
def program(tmp_path):
    """Write a shell script; gives its path."""
    def write(text, name="hook"):
        path = str(tmp_path / name)
        with open(path, "w") as file:
            file.write("#!/bin/sh\n" + text)
        os.chmod(path, 0o755)
        return path
    return write


def run(line, timeout_ms=20000):
    return Runner({Work.CHECK: line}, now_ms).run(
        Job(work=Work.CHECK, ticket=1, timeout_ms=timeout_ms))


ENDS = [
    ("echo all is well",       How.EXITED, 0,    "all is well",  True,  "content"),
    ("echo ERROR '<5>'; exit 3", How.EXITED, 3,  "ERROR <5>",    False, "a bad exit code"),
    ("kill -9 $$",             How.SIGNALLED, 9, "",             False, "a signal"),
    ("echo hidden >&2",        How.EXITED, 0,    "",             True,  "its errors are unheard"),
    ("printf 'a\\nb\\tc\\303\\251'", How.EXITED, 0, "a b c??", True, "printable ASCII"),
    ("exec >&-; sleep 0.1",    How.EXITED, 0,    "",             True,  "its output closed early"),
    ("sleep 60 & echo left",   How.EXITED, 0,    "left",         True,  "its output held open"),
]


@pytest.mark.parametrize("script, how, number, text, good, why", ENDS,
                         ids=[row[-1] for row in ENDS])
def test_how_a_program_ended(program, script, how, number, text, good, why):
    ended = run(program(script))
    assert (ended.how, ended.number, ended.text, ended.good) == (how, number, text, good)
    assert (ended.work, ended.ticket) == (Work.CHECK, 1)
    assert 0 <= ended.duration_ms < 20000


def test_a_talkative_program_is_heard_for_100_bytes_and_not_killed_by_a_closed_pipe(program):
    ended = run(program("i=0; while [ $i -lt 20000 ]; do echo 0123456789; i=$((i+1)); done"))
    assert (ended.how, ended.number) == (How.EXITED, 0)
    assert ended.text == " ".join(["0123456789"] * 9) + " 0"


CANNOT = [
    ("/nowhere/check",  "/nowhere/check: No such file or directory",  "it is missing"),
    ("/dev/null",       "/dev/null: Permission denied",               "it may not be run"),
    ("",                "no command: ",                               "there is none"),
]


@pytest.mark.parametrize("line, said, why", CANNOT, ids=[row[-1] for row in CANNOT])
def test_a_program_that_cannot_be_started(line, said, why):
    ended = run(line)
    assert ended.how is How.NOT_STARTED and not ended.good
    assert ended.text.startswith(said)


def test_a_program_that_hangs_is_killed_with_its_whole_group_and_reaped(program, tmp_path):
    """Source: spec 14, 22: in the original it leaves a zombie."""
    pids = str(tmp_path / "pids")
    ended = run(program("echo stuck\ntrap '' TERM\nsleep 600 &\necho $$ $! > {0}.new\n"
                        "mv {0}.new {0}\nwait\n".format(pids)), timeout_ms=1500)
    assert (ended.how, ended.text) == (How.TIMED_OUT, "stuck")
    assert 1500 <= ended.duration_ms < 15000
    leader, sleeper = (int(word) for word in open(pids).read().split())
    assert not os.path.exists("/proc/{}".format(leader)), "reaped"
    # The other one is its grandparent's to reap now.
    wait_until(lambda: state(sleeper) in "ZX")


def state(pid):
    try:
        with open("/proc/{}/stat".format(pid)) as file:
            return file.read().rpartition(")")[2].split()[0]
    except OSError:
        return "X"


def test_a_child_has_a_session_of_its_own_normal_scheduling_and_no_descriptor_of_ours(
        program, monkeypatch):
    """Source: spec 8.  Asked of the child, started by a thread at real-time priority."""
    extra = os.open("/dev/zero", os.O_RDONLY)
    os.set_inheritable(extra, True)
    monkeypatch.setenv("XHA_RUN_DIR", "/nowhere")
    monkeypatch.setenv("PYTHONPATH", "")
    asked = ("import os, signal; print(os.getsid(0) == os.getpgrp() == os.getpid(), "
             "os.sched_getscheduler(0) == os.SCHED_OTHER, "
             "sorted(os.listdir('/proc/self/fd'))[:-1], os.getcwd(), "
             "len(signal.pthread_sigmask(signal.SIG_BLOCK, ())), 'XHA_RUN_DIR' in os.environ)")
    found = []

    def work():
        try:
            os.sched_setscheduler(0, os.SCHED_RR | os.SCHED_RESET_ON_FORK, os.sched_param(1))
        except OSError:
            pass                # A container without real time: then normal is all there is.
        found.append(run('{} -IS -c "{}"'.format(sys.executable, asked)))
    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    os.close(extra)
    assert found[0].text == "True True ['0', '1', '2'] / 0 False"


def test_a_child_is_not_spared_when_memory_runs_out(program):
    """The daemon is; a check that eats all memory must not have others ended in its place."""
    with open("/proc/self/oom_score_adj") as score:
        before = score.read()
    write_score("500")                      # Anybody may make it worse.
    try:
        script = "while ! grep -qx 0 /proc/self/oom_score_adj; do sleep 0.01; done; echo so"
        assert run("sh -c '{}'".format(script)).text == "so"
    finally:
        write_score(before)


def write_score(text):
    try:
        with open("/proc/self/oom_score_adj", "w") as score:
            score.write(text)
    except OSError:
        pass        # Without privilege it cannot be made better again; harmless in a test.


def test_a_quote_that_does_not_end_is_refused():
    with pytest.raises(ValueError):
        Runner({Work.CHECK: "check 'now"}, now_ms)


# The thread

@pytest.fixture
def monitor(program):
    monitors = []

    def make(check="true", restart="true"):
        monitors.append(XapiMonitor({Work.CHECK: check, Work.RESTART: restart}, now_ms))
        return monitors[-1]
    yield make
    for one in monitors:
        one.abandon()


def results(monitor):
    found = []

    def some():
        found.extend(monitor.results())
        return found
    wait_until(some)
    return found


def test_the_loop_is_never_held_up(monitor, program):
    slow = monitor(check=program("sleep 600"))
    began = time.monotonic()
    slow.submit(Job(work=Work.CHECK, ticket=1, timeout_ms=300))
    assert slow.results() == []
    assert time.monotonic() - began < 0.25
    ended, = results(slow)
    assert (ended.ticket, ended.how) == (1, How.TIMED_OUT)


def test_the_end_of_a_job_wakes_the_loop(monitor):
    import select
    one = monitor()
    one.submit(Job(work=Work.RESTART, ticket=7, timeout_ms=20000))
    assert select.select([one.fileno()], [], [], 20)[0]
    ended, = one.results()
    assert (ended.work, ended.ticket, ended.good) == (Work.RESTART, 7, True)
    assert not select.select([one.fileno()], [], [], 0)[0]


def test_a_newer_job_takes_the_place_of_the_one_that_runs(monitor, program, tmp_path):
    began = str(tmp_path / "began")
    one = monitor(check=program("echo $$ > {0}.new; mv {0}.new {0}; sleep 600".format(began)))
    one.submit(Job(work=Work.CHECK, ticket=1, timeout_ms=600000))
    wait_until(lambda: os.path.exists(began))
    for ticket in (2, 3):
        one.submit(Job(work=Work.RESTART, ticket=ticket, timeout_ms=20000))
    ended = []

    def both():
        ended.extend(one.results())
        return ended and ended[-1].ticket == 3
    wait_until(both)
    assert ended[0].ticket == 1 and not ended[0].good and ended[-1].good
    assert state(int(open(began).read())) == "X"


def test_no_check_outlives_the_daemon(monitor, program, tmp_path):
    began = str(tmp_path / "began")
    one = monitor(check=program("echo $$ > {0}.new; mv {0}.new {0}; sleep 600".format(began)))
    one.submit(Job(work=Work.CHECK, ticket=1, timeout_ms=600000))
    wait_until(lambda: os.path.exists(began))
    one.abandon()
    wait_until(lambda: state(int(open(began).read())) in "ZX")


def test_a_restart_is_not_broken_off_by_the_end_of_the_daemon(monitor, program, tmp_path):
    began, done = str(tmp_path / "began"), str(tmp_path / "done")
    one = monitor(restart=program("touch {}; sleep 0.3; touch {}".format(began, done)))
    one.submit(Job(work=Work.RESTART, ticket=1, timeout_ms=20000))
    wait_until(lambda: os.path.exists(began))
    one.abandon()
    assert results(one)[0].good
    assert os.path.exists(done)


def test_a_bug_in_the_thread_is_told(monitor):
    one = monitor()
    one._runner.run = None
    one.submit(Job(work=Work.CHECK, ticket=1, timeout_ms=10))
    wait_until(lambda: one.death)
    assert "Traceback" in one.death


def test_a_thread_that_ends_without_a_word_is_told(program, monkeypatch):
    """It may lack the memory to say why."""
    monkeypatch.setattr(XapiMonitor, "_run", lambda self: None)
    one = XapiMonitor({Work.CHECK: "true"}, now_ms)
    wait_until(lambda: one.death)
    assert one.death == "the thread that runs xapi's check ended without a word"


def test_a_thread_that_was_told_to_end_did_not_die(monitor):
    one = monitor()
    one.abandon()
    wait_until(lambda: not one._thread.is_alive())
    assert one.death == ""
