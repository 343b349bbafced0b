"""The flight recorder: what is recorded is on the disk, and nobody ever waits for that."""
import errno
import os
import re
import stat
import threading

import pytest
from process_samples import wait_until

from xha import recorder, recorderdisk, recorderformat
from xha.actions import log
from xha.hostset import HostSet
from xha.recorder import QUEUE_LENGTH, Recorder
from xha.recorderdisk import KEPT, NAME, Disk, numbered, place_for_one_more
from xha.syslogger import Syslogger, load_catalogue

MESSAGES = load_catalogue()
#: Generous: it is only ever waited out by a test that fails.
PATIENCE_S = 20


class SlowDisk(Disk):
    """A disk that hangs and fails as it is told, and counts what is asked of it."""

    def __init__(self):
        self.open = threading.Event()
        self.open.set()
        self.asked = threading.Event()
        self.error = 0
        self.writes = self.syncs = 0

    def _suffer(self):
        self.asked.set()
        assert self.open.wait(PATIENCE_S)
        if self.error:
            raise OSError(self.error, os.strerror(self.error))

    def create(self, folder, header):
        self._suffer()
        return super().create(folder, header)

    def write(self, fd, offset, data):
        self._suffer()
        self.writes += 1
        super().write(fd, offset, data)

    def sync(self, fd):
        self._suffer()
        super().sync(fd)
        self.syncs += 1


class Desk:
    """Recorders in one folder, one after the other."""

    def __init__(self, folder):
        self.folder = str(folder)
        self.path = os.path.join(self.folder, NAME)
        self.made = []

    def make(self, disk=None, folder=None):
        made = Recorder(folder or self.folder, MESSAGES, ["10.0.0.1", "10.0.0.2"], 1, "uuid-1",
                        "xha 1.0.0", disk)
        self.made.append(made)
        return made

    def start(self, disk=None, folder=None):
        made = self.make(disk, folder)
        made.start()
        return made

    def read(self, path=None):
        with open(path or self.path, "rb") as stream:
            return recorderformat.decode(stream.read())

    def names(self, path=None):
        return [entry.name or entry.kind for entry in self.read(path).entries]

    def live(self, name, online=True):
        """One daemon's whole life."""
        one = self.start()
        one.note(log("thread-died", thread=name, reason="x"))
        if online:
            one.keep()
        one.close(PATIENCE_S)
        assert not one.alive


@pytest.fixture
def desk(tmp_path):
    made = Desk(tmp_path / "lib")
    yield made
    for one in made.made:
        one.close(PATIENCE_S)
        assert not one.alive


def flush(one):
    assert one.hasten().wait(PATIENCE_S)


def test_what_is_recorded_is_on_the_disk_with_its_time_its_incarnation_and_its_fields(desk):
    one = desk.start()
    one.incarnation = 99
    one.note(log("liveset-changed", liveset=HostSet([1])))
    one.state({"phase": "FH1", "sr2": False})
    one.measure({"heartbeats": [1, 0], "span_ms": 10000})
    flush(one)
    found = desk.read()
    assert [(entry.kind, entry.name, entry.level, entry.fields) for entry in found.entries] == [
        ("event", "liveset-changed", "notice", (("liveset", "01"),)),
        ("state", "", "", (("phase", "FH1"), ("sr2", False))),
        ("measure", "", "", (("heartbeats", (1, 0)), ("span_ms", 10000)))]
    assert {entry.incarnation for entry in found.entries} == {99}
    header = found.header
    assert (header.host, header.uuid, header.addresses, header.software, header.pid) == (
        1, "uuid-1", ("10.0.0.1", "10.0.0.2"), "xha 1.0.0", os.getpid())
    assert header.boot_id == recorder.boot_id() and len(header.boot_id) == 36
    for entry in found.entries:
        assert header.wall_ms <= entry.wall_ms and header.mono_ms <= entry.mono_ms
    assert one.news() == ()


def test_the_file_is_root_s_alone_and_keeps_its_size(desk):
    one = desk.start()
    flush(one)
    before = os.stat(desk.path)
    assert stat.S_IMODE(before.st_mode) == 0o600
    assert stat.S_IMODE(os.stat(desk.folder).st_mode) == 0o700
    assert before.st_size == one._about.file_bytes
    assert before.st_blocks * 512 >= before.st_size, "no block is missing when the disk is full"
    for number in range(5):
        one.note(log("traceback", line="x" * 400))
        flush(one)
    after = os.stat(desk.path)
    assert (after.st_size, after.st_ino) == (before.st_size, before.st_ino)


def test_every_block_of_the_file_is_written_before_the_first_record(desk):
    """What is only reserved is a hole to those who ask, and each sync marks a block as in use."""
    flush(desk.start())
    with open(desk.path, "rb") as stream:
        size = os.fstat(stream.fileno()).st_size
        assert os.lseek(stream.fileno(), 0, os.SEEK_HOLE) == size > 1000000


def test_what_was_recorded_before_the_start_is_written_too(desk):
    one = desk.make()
    one.note(log("host-online"))
    one.start()
    flush(one)
    assert desk.names() == ["host-online"]


def test_a_condition_that_persists_is_recorded_once_a_minute(desk):
    one = desk.start()
    for cause in ("crc", "crc", "key", "crc"):
        one.note(log("datagram-refused", source="10.0.0.9", cause=cause))
    flush(one)
    assert [dict(entry.fields)["cause"] for entry in desk.read().entries] == ["crc", "key"]


def test_nobody_waits_for_a_disk_that_hangs_and_the_newest_is_kept(desk, monkeypatch):
    disk = SlowDisk()
    one = desk.start(disk)
    flush(one)
    disk.asked.clear()
    disk.open.clear()
    one.state({"number": -1})
    assert disk.asked.wait(PATIENCE_S), "the thread hangs in the disk"
    for number in range(3 * QUEUE_LENGTH):
        one.state({"number": number})
    assert len(one._queue) == QUEUE_LENGTH
    assert not one.hasten().is_set()
    monkeypatch.setattr(recorder, "HANG_S", 0)
    said, = one.news()
    assert said == log("recorder-failed", path=desk.path, reason="the disk does not answer")
    assert one.news() == (), "once"
    disk.open.set()
    flush(one)
    found = [entry for entry in desk.read().entries if entry.kind == "lost"]
    assert [dict(entry.fields) for entry in found] == [{"count": 2 * QUEUE_LENGTH}]
    numbers = [dict(entry.fields)["number"] for entry in desk.read().entries
               if entry.kind == "state"]
    assert numbers == [-1] + list(range(2 * QUEUE_LENGTH, 3 * QUEUE_LENGTH))
    assert one.news() == (log("recorder-works", path=desk.path, count=2 * QUEUE_LENGTH),)
    assert one.news() == ()


def test_a_recorder_that_hangs_is_left_behind_by_who_closes_it(desk):
    disk = SlowDisk()
    one = desk.start(disk)
    flush(one)
    disk.open.clear()
    one.note(log("host-online"))
    one.close(0.0)
    assert one.alive
    disk.open.set()


def folder_below_a_file(tmp_path):
    (tmp_path / "file").write_bytes(b"")
    return str(tmp_path / "file" / "lib"), "Not a directory"


def folder_is_a_file(tmp_path):
    (tmp_path / "file").write_bytes(b"")
    return str(tmp_path / "file"), "File exists"


def name_is_taken(tmp_path):
    os.makedirs(str(tmp_path / "lib" / (NAME + ".new")))
    return str(tmp_path / "lib"), "Is a directory"


@pytest.mark.parametrize("spoil", [folder_below_a_file, folder_is_a_file, name_is_taken])
def test_without_a_place_for_the_file_it_says_so_once_and_nobody_cares(desk, tmp_path, spoil):
    folder, reason = spoil(tmp_path)
    one = desk.start(folder=folder)
    one.note(log("host-online"))
    flush(one)
    assert one.news() == (
        log("recorder-failed", path=os.path.join(folder, NAME), reason=reason),)
    assert one.news() == ()
    for _ in range(2 * QUEUE_LENGTH):
        one.note(log("host-online"))
    flush(one)
    assert len(one._queue) == QUEUE_LENGTH
    assert one.news() == () and one.alive


def test_a_full_disk_leaves_the_earlier_files_alone_and_is_tried_again(desk):
    desk.live("first")
    disk = SlowDisk()
    disk.error = errno.ENOSPC
    one = desk.start(disk)
    one.note(log("host-online"))
    flush(one)
    assert one.news()[0].fields == (("path", desk.path), ("reason", "No space left on device"))
    assert desk.names() == ["thread-died"]
    assert os.listdir(desk.folder) == [NAME]
    disk.error = 0
    one._retry_at_s = 0.0       # The minute is over.
    flush(one)
    assert desk.names() == ["host-online"], "what was kept meanwhile"
    assert desk.names(numbered(desk.path, 1)) == ["thread-died"]
    assert one.news() == (log("recorder-works", path=desk.path, count=0),)


def test_a_write_that_fails_is_counted_and_the_file_is_gone_on_with(desk):
    disk = SlowDisk()
    one = desk.start(disk)
    one.note(log("host-online"))
    flush(one)
    disk.error = errno.EIO
    one.note(log("key-read"))
    flush(one)
    assert one.news()[0].name == "recorder-failed"
    disk.error = 0
    one._retry_at_s = 0.0
    one.note(log("host-online"))
    flush(one)
    assert one.news() == (log("recorder-works", path=desk.path, count=1),)
    assert desk.names() == ["host-online", "host-online"]
    assert os.listdir(desk.folder) == [NAME]


def test_an_error_is_brought_to_the_disk_at_once_and_the_rest_soon(desk, monkeypatch):
    monkeypatch.setattr(recorder, "SYNC_S", 3600)
    disk = SlowDisk()
    one = desk.start(disk)
    flush(one)
    one._synced_at_s = recorder.time.monotonic()
    before = disk.syncs
    one.note(log("host-online"))
    wait_until(lambda: desk.names() == ["host-online"])
    assert disk.syncs == before, "it is written, and waits for its sync"
    one.note(log("thread-died", thread="x", reason="y"))
    wait_until(lambda: disk.syncs == before + 1)
    one.note(log("host-online"))
    wait_until(lambda: len(desk.names()) == 3)
    assert disk.syncs == before + 1
    flush(one)
    assert disk.syncs == before + 2, "who asks for it has it"


def test_a_change_is_brought_to_the_disk_without_being_asked(desk):
    disk = SlowDisk()
    one = desk.start(disk)
    one.note(log("host-online"))
    wait_until(lambda: disk.syncs >= 1 and not one._dirty)
    assert desk.names() == ["host-online"]
    assert recorder.SYNC_S <= 0.5, "spec 9: what a reset takes is less than 1 s"


def test_a_thread_that_dies_is_said_and_holds_up_nobody(desk, monkeypatch):
    disk = SlowDisk()
    one = desk.start(disk)
    flush(one)
    one._measures = None        # A bug.
    if hasattr(threading, "excepthook"):    # Since Python 3.8.
        monkeypatch.setattr(threading, "excepthook", lambda args: None)
    one.measure({})
    wait_until(lambda: not one.alive)
    said, = one.news()
    assert said.name == "recorder-failed"
    assert re.match("its thread died, AssertionError", dict(said.fields)["reason"])
    one.note(log("host-online"))


def test_a_thread_that_ends_without_a_word_is_said_too(desk, monkeypatch):
    monkeypatch.setattr(recorder.Recorder, "_run", lambda self: None)
    one = desk.start(SlowDisk())
    wait_until(lambda: not one.alive)
    said, = one.news()
    assert (said.name, dict(said.fields)["reason"]) == (
        "recorder-failed", "its thread ended without a word")
    assert one.news() == ()


# Earlier daemons

YES, NO = True, False
PLACES = [
    # of each file, the newest first, whether it was online    the place that gets free   why
    ([None, None, None, None, None], 0, "the first daemon of all"),
    ([YES, None, None, None, None],  1, "the second"),
    ([YES, NO, None, YES, None],     2, "a gap is filled"),
    ([YES, YES, YES, YES, YES],      4, "the oldest goes"),
    ([NO, YES, YES, YES, YES],       4, "the only failed start is kept"),
    ([NO, NO, YES, YES, YES],        1, "a host that tries again and again"),
    ([YES, NO, YES, NO, YES],        3, "the older of two failed starts"),
    ([NO, NO, NO, NO, NO],           4, "only failed starts"),
]


@pytest.mark.parametrize("online, place, why", PLACES, ids=[row[-1] for row in PLACES])
def test_which_file_makes_room(online, place, why):
    assert place_for_one_more(online) == place


def test_a_new_daemon_keeps_the_files_of_the_last_ones(desk):
    for number in range(KEPT + 3):
        desk.live(str(number))
    assert sorted(os.listdir(desk.folder)) == [NAME] + [
        "{}.{}".format(NAME, number) for number in range(1, KEPT + 1)]
    lives = [dict(desk.read(numbered(desk.path, number)).entries[0].fields)["thread"]
             for number in range(KEPT + 1)]
    assert lives == [str(number) for number in range(KEPT + 2, 1, -1)]
    size = sum(os.stat(os.path.join(desk.folder, name)).st_size
               for name in os.listdir(desk.folder))
    assert size < 9 << 20


def test_starts_that_fail_again_and_again_push_out_nothing_but_each_other(desk):
    desk.live("the reset")
    for number in range(20):
        desk.live(str(number), online=False)
    lives = []
    for name in sorted(os.listdir(desk.folder)):
        found = desk.read(os.path.join(desk.folder, name))
        lives.append((dict(found.entries[0].fields)["thread"], found.header.online))
    assert ("the reset", True) in lives
    assert ("19", False) in lives


def test_what_lies_there_and_is_none_of_ours_goes_first(desk):
    os.makedirs(desk.folder)
    for number, content in enumerate((b"", b"nonsense" * 9999)):
        with open(numbered(desk.path, number), "wb") as stream:
            stream.write(content)
    os.symlink("/dev/zero", numbered(desk.path, 2))
    for number in range(3):
        desk.live(str(number))
    assert [dict(desk.read(numbered(desk.path, number)).entries[0].fields)["thread"]
            for number in range(3)] == ["2", "1", "0"]
    assert os.path.exists("/dev/zero")


def test_a_start_that_was_interrupted_as_it_made_the_file_is_made_good(desk):
    desk.live("first")
    with open(desk.path + ".new", "wb") as stream:
        stream.write(b"half")
    desk.live("second")
    assert sorted(os.listdir(desk.folder)) == [NAME, NAME + ".1"]
    assert dict(desk.read().entries[0].fields)["thread"] == "second"


def test_every_crash_between_the_renames_keeps_every_file(desk, monkeypatch):
    """The process ends before the n-th rename; the next daemon finds all and loses none."""
    for number in range(3):
        desk.live(str(number))
    real = os.rename
    for crash in range(1, 5):
        left = [crash]

        def rename(source, target, left=left):
            left[0] -= 1
            if not left[0]:
                raise OSError(errno.EIO, "crash")
            real(source, target)
        monkeypatch.setattr(recorderdisk.os, "rename", rename)
        one = desk.start()
        flush(one)
        monkeypatch.setattr(recorderdisk.os, "rename", real)
        kept = {dict(desk.read(os.path.join(desk.folder, name)).entries[0].fields)["thread"]
                for name in os.listdir(desk.folder) if desk.names(
                    os.path.join(desk.folder, name)) and not name.endswith(".new")}
        assert {"0", "1", "2"} <= kept, crash
        one.close(PATIENCE_S)


# With the log

def test_the_log_hands_on_all_that_it_is_given_and_what_it_says_itself(desk, tmp_path):
    one = desk.make()
    logger = Syslogger(MESSAGES, str(tmp_path / "xha.log"), syslog_socket="", recorder=one)
    logger.start()
    logger.say(log("host-online"))
    logger.say(log("statefile-accelerated", accelerated=True))   # debug: not in the log
    logger.reopen()
    logger.change(logger.mask.with_levels(("notice", "info"), False))
    assert logger.flush(PATIENCE_S)
    logger.say(log("key-read"))
    assert logger.flush(PATIENCE_S)
    assert sorted(desk.names()) == ["host-online", "key-read", "log-mask-changed", "log-reopened",
                                    "statefile-accelerated"]
    logger.close(PATIENCE_S)
    assert not one.alive


def test_a_log_that_hangs_does_not_hold_up_the_recorder(desk, tmp_path):
    goes_on = threading.Event()
    one = desk.make()
    logger = Syslogger(MESSAGES, str(tmp_path / "xha.log"), syslog_socket="", recorder=one)
    logger._wanted = lambda message: goes_on.wait(PATIENCE_S)   # As in a disk that hangs.
    logger.start()
    logger.say(log("host-online"))
    logger.say(log("thread-died", thread="x", reason="y"))
    assert not logger.flush(0.0)
    wait_until(lambda: os.path.exists(desk.path) and len(desk.names()) == 2)
    goes_on.set()
    logger.close(PATIENCE_S)
