"""Fault points: what is understood, what is refused, and that they are off."""

import pytest

from xha import faultpoints
from xha.errors import ExitCode, XhaError
from xha.faultpoints import FaultPoints
from xha.hostset import HostSet

UNDERSTOOD = [
    # point                              value                      why
    ("heartbeat.send.drop=1",            HostSet([1]).bits,         "one host"),
    ("heartbeat.send.drop=0,2,63",       HostSet([0, 2, 63]).bits,  "several hosts"),
    ("heartbeat.receive.drop=all",       HostSet.first(64).bits,    "everybody"),
    ("statefile.read.fail",              1,                         "a switch"),
    ("statefile.write.fail",             1,                         "a switch of writes"),
    ("statefile.hang",                   1,                         "a hanging device"),
    ("statefile.slow=1",                 1,                         "the shortest time"),
    ("statefile.slow=600000",            600000,                    "the longest time"),
    ("daemon.crash",                     1,                         "a crash"),
    ("daemon.stall=4000",                4000,                      "a stall"),
    ("watchdog.fail",                    1,                         "a watchdog that refuses"),
]

REFUSED = [
    # point                            says                               why
    ("",                               "unknown fault point ''",          "nothing"),
    ("daemon.reset",                   "unknown fault point",             "no such name"),
    ("daemon.crash=1",                 "takes no value",                  "a value too many"),
    ("daemon.crash=",                  "the value after `=` is missing",  "an empty value"),
    ("statefile.slow",                 "is not a number of milliseconds", "a value too few"),
    ("statefile.slow=0",               "is not a number of milliseconds", "no time at all"),
    ("statefile.slow=-5",              "is not a number of milliseconds", "a time that is past"),
    ("statefile.slow=600001",          "is not a number of milliseconds", "a time too long"),
    ("statefile.slow=1e3",             "is not a number of milliseconds", "another notation"),
    ("statefile.slow=" + "9" * 99999,  "is not a number of milliseconds", "a huge number"),
    ("statefile.slow=\u0661",          "is not a number of milliseconds", "another script's digit"),
    ("heartbeat.send.drop=64",         "host '64' is not an index",       "a host too many"),
    ("heartbeat.send.drop=1,,2",       "host '' is not an index",         "a hole"),
    ("heartbeat.send.drop=1, 2",       "host ' 2' is not an index",       "a blank"),
    ("heartbeat.send.drop=ALL",        "host 'ALL' is not an index",      "another letter case"),
]


@pytest.mark.parametrize("point, value, why", UNDERSTOOD, ids=[row[-1] for row in UNDERSTOOD])
def test_understood(point, value, why):
    faults = FaultPoints(enabled=True)
    faults.set(point)
    assert faults.value(point.partition("=")[0]) == value
    assert faults.list() == (point,)


@pytest.mark.parametrize("point, says, why", REFUSED, ids=[row[-1] for row in REFUSED])
def test_refused(point, says, why):
    faults = FaultPoints(enabled=True)
    with pytest.raises(XhaError) as caught:
        faults.set(point)
    assert caught.value.code is ExitCode.INVALID_PARAMETER
    assert says in str(caught.value)
    assert faults.list() == ()


def test_every_name_is_understood_by_some_row():
    assert {row[0].partition("=")[0] for row in UNDERSTOOD} == set(faultpoints.NAMES)


def test_a_daemon_started_without_them_refuses_every_one_of_them():
    faults = FaultPoints()
    for call in (faults.set, faults.clear):
        for point in ("daemon.crash", "all", "nonsense"):
            with pytest.raises(XhaError) as caught:
                call(point)
            assert caught.value.code is ExitCode.INVALID_ENVIRONMENT
            assert "--enable-faults" in str(caught.value)
    assert all(faults.value(name) == 0 for name in faultpoints.NAMES)


def test_points_of_the_command_line_enable_them():
    faults = FaultPoints(points=["statefile.slow=5"])
    assert faults.enabled
    assert faults.value(faultpoints.STATEFILE_SLOW) == 5


def test_a_value_set_again_replaces_the_one_before():
    faults = FaultPoints(points=["statefile.slow=5", "statefile.slow=7"])
    assert faults.list() == ("statefile.slow=7",)
    assert faults.value(faultpoints.STATEFILE_SLOW) == 7


def test_cleared_by_name_or_all_at_once():
    faults = FaultPoints(points=["statefile.slow=5", "daemon.crash", "watchdog.fail"])
    faults.clear("daemon.crash")
    assert faults.list() == ("statefile.slow=5", "watchdog.fail")
    faults.clear("all")
    assert faults.list() == ()
    assert faults.value(faultpoints.WATCHDOG_FAIL) == 0


def test_a_fault_of_a_host_covers_that_host_alone():
    faults = FaultPoints(points=["heartbeat.send.drop=1,3"])
    covered = [host for host in range(64) if faults.covers(faultpoints.HEARTBEAT_SEND_DROP, host)]
    assert covered == [1, 3]
    assert not faults.covers(faultpoints.HEARTBEAT_RECEIVE_DROP, 1)


def test_a_fault_that_happens_once_is_taken():
    faults = FaultPoints(points=["daemon.stall=4000"])
    assert faults.take(faultpoints.DAEMON_STALL) == 4000
    assert faults.take(faultpoints.DAEMON_STALL) == 0
    assert faults.list() == ()
