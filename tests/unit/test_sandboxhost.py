"""A host of the sandbox, seen by one thread while another starts its daemon."""
import subprocess
import sys

import pytest

from xha import daemonlock, sandboxhost
from xha.sandboxfacts import State


@pytest.fixture
def host(tmp_path):
    made = sandboxhost.Host(0, "127.0.0.1", str(tmp_path / "host"), b"")
    yield made
    made.end()


def started(host):
    """What ``Host.start`` does last: the daemon is known as ours."""
    host._process = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)


def test_it_has_no_daemon_at_first(host):
    assert host.look()[0] is State.ABSENT


def test_a_daemon_that_is_started_while_it_is_looked_at_has_not_ended(host, monkeypatch):
    """No daemon was found; then there is one, which has no exit code yet."""
    def starts_meanwhile(lock):
        started(host)
        return 0
    monkeypatch.setattr(daemonlock, "holder", starts_meanwhile)
    assert host.look()[0] is State.ABSENT
    assert host.look()[0] is State.STARTING


def test_a_daemon_that_was_ended_by_a_signal_has_ended(host):
    started(host)
    host.end()
    host._process.wait()
    assert host.look()[:2] == (State.STOPPED, "ended by SIGKILL")
