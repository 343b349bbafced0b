"""What each signal does to a daemon, asked of a process of its own."""
import os
import signal
import subprocess
import sys

import pytest
from process_samples import wait_until

PROGRAM = """
import sys
sys.path.insert(0, {tests!r})
import sources
sources.use(sources.SRC)
import os, select, signal
from xha import signals
reopened = []
signals.ignore_hangup()
os.kill(os.getpid(), signal.SIGHUP)
signals.at_hangup(lambda: reopened.append(1))
mine = signals.Signals()
mine.take()
{work}
"""
TESTS = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))


def said(work):
    """What a process prints that has taken its signals and then does some work."""
    return subprocess.run(
        [sys.executable, "-B", "-c", PROGRAM.format(tests=TESTS, work=work)],
        stdout=subprocess.PIPE, universal_newlines=True, check=True).stdout.split()


#: A signal, what it does: whether the loop wakes, whether it asks for the end, logs opened anew.
SIGNALS = [
    ("SIGTERM", ["True", "True", "0"]),
    ("SIGINT", ["True", "True", "0"]),
    ("SIGHUP", ["True", "False", "1"]),
    ("SIGUSR1", ["True", "False", "0"]),
    ("SIGUSR2", ["True", "False", "0"]),
    ("SIGALRM", ["True", "False", "0"]),
    ("SIGVTALRM", ["True", "False", "0"]),
    ("SIGPROF", ["True", "False", "0"]),
    ("SIGIO", ["True", "False", "0"]),
    ("SIGPWR", ["True", "False", "0"]),
    ("SIGXCPU", ["True", "False", "0"]),
    ("SIGRTMIN", ["True", "False", "0"]),
    ("SIGRTMAX", ["True", "False", "0"]),
    ("SIGTSTP", ["True", "False", "0"]),
    ("SIGTTIN", ["True", "False", "0"]),
    ("SIGTTOU", ["False", "False", "0"]),
    ("SIGPIPE", ["False", "False", "0"]),
    ("SIGCHLD", ["False", "False", "0"]),
    ("SIGWINCH", ["False", "False", "0"]),
    ("SIGCONT", ["False", "False", "0"]),
]


@pytest.mark.parametrize("name, does", SIGNALS, ids=[row[0] for row in SIGNALS])
def test_what_a_signal_does(name, does):
    assert said("""
os.kill(os.getpid(), signal.{})
woken = bool(select.select([mine], [], [], 0)[0])
print(woken, mine.ending(), len(reopened), mine.ending())
""".format(name)) == does + ["False"]


#: What still ends a daemon: who wants that, and what a fault of its own does.
ENDS = ["SIGQUIT", "SIGKILL", "SIGABRT", "SIGSEGV", "SIGBUS", "SIGILL", "SIGFPE", "SIGSYS"]


@pytest.mark.parametrize("name", ENDS)
def test_what_still_ends_it(name):
    process = subprocess.Popen(
        [sys.executable, "-B", "-c", PROGRAM.format(
            tests=TESTS, work="print(1, flush=True); signal.pause()")],
        stdout=subprocess.PIPE, preexec_fn=afresh)
    assert process.stdout.readline() == b"1\n"
    process.send_signal(getattr(signal, name))
    wait_until(lambda: process.poll() is not None)
    assert process.returncode == -getattr(signal, name)
    process.stdout.close()


def afresh():
    """Without a core file; and a shell's background job would not end of SIGQUIT."""
    import resource
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    signal.signal(signal.SIGQUIT, signal.SIG_DFL)


def test_the_end_is_not_forgotten_among_any_number_of_others():
    """The pipe that wakes the loop is full, and nobody has read it."""
    assert said("""
for _ in range(70000):
    os.kill(os.getpid(), signal.SIGHUP)
os.kill(os.getpid(), signal.SIGTERM)
for _ in range(100):
    os.kill(os.getpid(), signal.SIGUSR1)
print(mine.ending(), len(reopened) > 0)
""") == ["True", "True"]


def test_a_program_that_is_started_minds_them_as_any_other_does():
    asked = ("import signal; print(sum(signal.getsignal(number) is signal.SIG_DFL for number in"
             " {numbers}))")
    assert said("""
import subprocess
numbers = signals.IDLE + [signal.SIGTERM, signal.SIGHUP]
print(len(numbers), flush=True)
subprocess.check_call([sys.executable, "-IS", "-c", {!r}.format(numbers=[
    int(number) for number in numbers])])
""".format(asked)) == [str(len(said_idle()) + 2)] * 2


def said_idle():
    return said("print(*signals.IDLE)")
