"""The record of timers: whole, private, and never trusted further than it can be read."""
import json
import os
import stat
import subprocess
import sys

import pytest

from xha import timerrecord
from xha.actions import Watchdog
from xha.paths import Paths
from xha.published import WatchdogMode
from xha.timerrecord import NO_PROCESS, Fired, Process, TimerRecord


def a_record(**changes):
    return TimerRecord(
        boot_id=timerrecord.boot_id(), mode=WatchdogMode.HYPERVISOR, armed=False,
        timers=((Watchdog.HEARTBEAT, 1), (Watchdog.STATEFILE, 2)), daemon=Process(7, 70),
        keeper=NO_PROCESS,
        timeouts_ms=((Watchdog.HEARTBEAT, 30000), (Watchdog.STATEFILE, 45000)))._replace(**changes)


@pytest.fixture
def paths(tmp_path):
    return Paths(run_dir=str(tmp_path / "run"), state_dir=str(tmp_path / "state"))


def put(path, data):
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "wb") as file:
        file.write(data)


@pytest.mark.parametrize("record", [
    a_record(), a_record(armed=True), a_record(timers=((Watchdog.STATEFILE, 2),)),
    a_record(mode=WatchdogMode.USER, keeper=Process(8, 80), timers=((Watchdog.HEARTBEAT, 0),)),
    a_record(mode=WatchdogMode.NONE, timeouts_ms=())])
def test_what_was_written_is_read(paths, record):
    assert timerrecord.write(paths, record) == ""
    assert timerrecord.read(paths).record == record
    assert timerrecord.read(paths).trouble == ""


def test_the_ids_are_one_a_line_as_the_tools_of_the_original_expect(paths):
    timerrecord.write(paths, a_record())
    with open(paths.watchdog_ids, "rb") as file:
        assert file.read() == b"1\n2\n"
    assert timerrecord.read(paths).ids == (1, 2)


def test_timers_that_are_not_xens_are_not_in_the_file_of_ids(paths):
    timerrecord.write(paths, a_record(mode=WatchdogMode.USER))
    assert not os.path.exists(paths.watchdog_ids)


def test_all_files_are_private_also_where_one_was_not(paths):
    put(paths.watchdog_ids + ".new", b"left by a crash")
    os.chmod(paths.watchdog_ids + ".new", 0o666)
    timerrecord.write(paths, a_record())
    for path in (paths.watchdog_ids, paths.watchdog_record, timerrecord.copy_path(paths)):
        assert stat.S_IMODE(os.stat(path).st_mode) == 0o600, path


def test_nothing_is_left_of_a_removed_record(paths):
    timerrecord.write(paths, a_record())
    timerrecord.remove(paths)
    timerrecord.remove(paths)
    assert os.listdir(paths.run_dir) + os.listdir(paths.state_dir) == []
    assert timerrecord.read(paths) == timerrecord.Found(None, (), "")


def test_the_copy_serves_when_the_record_is_gone_or_broken(paths):
    timerrecord.write(paths, a_record(armed=True))
    os.unlink(paths.watchdog_record)
    assert timerrecord.read(paths).record == a_record(armed=True)
    put(paths.watchdog_record, b"{")
    found = timerrecord.read(paths)
    assert found.record == a_record(armed=True)
    assert paths.watchdog_record in found.trouble


def test_a_record_of_this_boot_goes_before_one_of_another(paths):
    timerrecord.write(paths, a_record(boot_id="another"))
    put(timerrecord.copy_path(paths), timerrecord.encode(a_record(armed=True)))
    assert timerrecord.read(paths).record == a_record(armed=True)


def test_a_copy_that_cannot_be_written_is_told_and_the_record_stands(paths, tmp_path):
    put(str(tmp_path / "state"), b"a file in the place of the directory")
    assert "state" in timerrecord.write(paths, a_record())
    assert timerrecord.read(paths).record == a_record()


def test_one_directory_for_both_needs_no_copy(tmp_path):
    paths = Paths(run_dir=str(tmp_path))
    assert timerrecord.write(paths, a_record()) == ""
    assert sorted(os.listdir(str(tmp_path))) == ["watchdog.json", "xhad.wd.id"]


def good():
    return json.loads(timerrecord.encode(a_record()).decode())


def without(name):
    found = good()
    del found[name]
    return json.dumps(found).encode()


def with_(name, value):
    return json.dumps(dict(good(), **{name: value})).encode()


GARBAGE = [b"", b"\0" * 300, b"\xff\xfe", b"null", b"[]", b"7", b"{}", b"[" * 60000,
           timerrecord.encode(a_record())[:-20], b" " * (timerrecord.SIZE_MAX + 1)]
GARBAGE += [without(name) for name in sorted(good())]
GARBAGE += [with_("version", 2), with_("mode", "UNKNOWN"), with_("mode", []), with_("armed", 1),
            with_("armed", "false"), with_("boot_id", 3), with_("daemon", [1]),
            with_("daemon", {"pid": -1, "started": 1}),
            with_("keeper", {"pid": True, "started": 1}),
            with_("timers", [{"role": "third", "id": 1}]), with_("timers", [{"role": "heartbeat"}]),
            with_("timers", [{"role": "heartbeat", "id": 0}]), with_("timers", 5),
            with_("timers", [{"role": "heartbeat", "id": 1 << 32}]),
            with_("timers", [{"role": "heartbeat", "id": 1.0}]), with_("timeouts_ms", [])]


@pytest.mark.parametrize("data", GARBAGE, ids=range(len(GARBAGE)))
def test_garbage_is_no_record_and_is_told(paths, data):
    put(paths.watchdog_record, data)
    found = timerrecord.read(paths)
    assert found.record is None
    assert paths.watchdog_record in found.trouble


@pytest.mark.parametrize("data", [b"one\n", b"0\n", b"-1\n", b"\xff\n", b"99999999999\n"])
def test_garbage_in_the_file_of_ids_is_told(paths, data):
    put(paths.watchdog_ids, data)
    found = timerrecord.read(paths)
    assert found.ids == ()
    assert paths.watchdog_ids in found.trouble


def test_a_pipe_or_a_directory_in_its_place_does_not_hang_or_end_the_reader(paths):
    os.makedirs(paths.run_dir)
    os.mkfifo(paths.watchdog_record)
    os.mkdir(paths.watchdog_ids)
    assert timerrecord.read(paths).record is None


def test_a_process_is_told_from_another_that_has_its_pid():
    own = timerrecord.process(os.getpid())
    assert timerrecord.runs(own)
    assert not timerrecord.runs(own._replace(started=own.started + 1))
    assert not timerrecord.runs(NO_PROCESS)


def test_a_process_that_ended_does_not_run_even_before_it_is_reaped():
    child = subprocess.Popen([sys.executable, "-ISc", "input()"], stdin=subprocess.PIPE)
    who = timerrecord.process(child.pid)
    assert timerrecord.runs(who)
    child.stdin.close()
    os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
    assert not timerrecord.runs(who)
    child.wait()
    assert not timerrecord.runs(who)


NOTES = [
    ({}, Fired(cause="c", outcome="o"), "the note of that very process"),
    ({"pid": 9}, None, "another process"),
    ({"started": 81}, None, "another process with that pid"),
    ({"boot_id": "another"}, None, "another boot"),
]


@pytest.mark.parametrize("changes, expected, why", NOTES, ids=[row[-1] for row in NOTES])
def test_a_note_counts_only_from_the_process_that_kept_the_timers(
        paths, changes, expected, why):
    note = dict({"boot_id": timerrecord.boot_id(), "pid": 8, "started": 80, "cause": "c",
                 "outcome": "o"}, **changes)
    put(timerrecord.note_path(paths), json.dumps(note).encode())
    assert timerrecord.fired_note(paths, Process(8, 80)) == expected


@pytest.mark.parametrize("data", [b"", b"{", b"[]", b"null", b"\xff", b"[" * 60000])
def test_garbage_in_the_place_of_a_note_is_no_note(paths, data):
    put(timerrecord.note_path(paths), data)
    assert timerrecord.fired_note(paths, Process(8, 80)) is None
