"""`write-statefile rotate-key`: what it prints, and how it ends."""
import pytest
from report_samples import snapshot

from xha import client, daemonview, keychange
from xha.ctlformat import Reply
from xha.daemonview import Asked
from xha.errors import ExitCode, XhaError
from xha.hostset import EMPTY, HostSet
from xha.snapshot import KeyView

OLD, NEW = "a" * 16, "b" * 16


def keys(stage, changes=0, waits_for=EMPTY):
    one, other = {"settled": (OLD if not changes else NEW, ""), "announced": (OLD, NEW),
                  "changed": (NEW, OLD)}[stage]
    return snapshot(pool_key=KeyView(fingerprint=one, other=other, stage=stage, changes=changes,
                                     waits_for=waits_for))


@pytest.fixture
def told(monkeypatch, capfd):
    """Run the command against what the daemon says, look by look; what it did with it."""
    clock = [0.0]

    def run(reply, looks):
        looks = list(looks)
        monkeypatch.setattr(client, "call", lambda paths, verb, *words: reply)
        monkeypatch.setattr(daemonview, "ask", lambda paths: Asked(
            snapshot=looks.pop(0) if len(looks) > 1 else looks[0], why="", code=0))
        monkeypatch.setattr(keychange.time, "sleep", lambda s: clock.__setitem__(0, clock[0] + s))
        monkeypatch.setattr(keychange.time, "monotonic", lambda: clock[0])
        code = keychange.run({"--run-dir": "/run/xha"})
        out, err = capfd.readouterr()
        return code, [line[10:] for line in out.splitlines()], err, clock[0]
    return run


DONE = Reply(0, "", "")


def test_it_says_each_step_once_and_ends_when_the_old_key_is_refused(told):
    code, lines, err, _ = told(DONE, [
        keys("announced", waits_for=HostSet([1, 2])), keys("announced", waits_for=HostSet([2])),
        keys("announced"), keys("announced"), keys("changed", waits_for=HostSet([0])),
        keys("changed"), keys("settled", changes=1)])
    assert (code, err) == (0, "")
    assert lines == [
        "announced: {} is sent with, {} accepted too; waits for hosts 1, 2".format(OLD, NEW),
        "announced: {} is sent with, {} accepted too; waits for host 2".format(OLD, NEW),
        "announced: {} is sent with, {} accepted too".format(OLD, NEW),
        "changed: {} is sent with, {} still accepted; waits for host 0".format(NEW, OLD),
        "changed: {} is sent with, {} still accepted".format(NEW, OLD),
        "the key is {}; no other is accepted".format(NEW)]


def test_the_next_change_that_somebody_begins_is_not_waited_for(told):
    code, lines, _, _ = told(DONE, [keys("changed"), keys("announced", changes=1),
                                    keys("settled", changes=2)])
    assert code == 0
    assert len(lines) == 3


REFUSED = [
    (Reply(17, "", "this host is not online\n"), 17),
    (Reply(11, "", "the pool has no key to change\n"), 11),
    (Reply(3, "", "the State-File did not take the change in time\n"), 3),
]


@pytest.mark.parametrize("reply, code", REFUSED, ids=[row[0].err.strip() for row in REFUSED])
def test_what_the_daemon_refuses_is_said_as_it_says_it(told, reply, code):
    assert told(reply, [None])[:3] == (code, [], reply.err)


def test_without_a_daemon_it_says_what_else_there_is(told):
    with pytest.raises(XhaError) as caught:
        told(Reply(14, "", "no daemon answers\n"), [None])
    assert caught.value.code is ExitCode.DAEMON_NOT_PRESENT
    assert "enabling HA makes a new one, too" in str(caught.value)


def test_a_change_that_waits_ends_the_command_with_3_and_goes_on(told):
    with pytest.raises(XhaError) as caught:
        told(DONE, [keys("announced", waits_for=HostSet([2]))])
    assert caught.value.code is ExitCode.TRANSIENT_ERROR
    assert "waits for host 2.  It goes on; give this command again" in str(caught.value)


def test_a_daemon_that_is_gone_for_a_moment_is_waited_for(told):
    looks = [keys("announced")] + [None] * 50 + [keys("settled", changes=1)]
    assert told(DONE, looks)[0] == 0


def test_a_daemon_that_stays_away_ends_the_command_with_14(told):
    with pytest.raises(XhaError) as caught:
        told(DONE, [keys("announced"), None])
    assert caught.value.code is ExitCode.DAEMON_NOT_PRESENT
    assert "the other hosts go on" in str(caught.value)
