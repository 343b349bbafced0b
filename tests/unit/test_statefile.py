"""The State-File's device and the thread that owns it, on real files."""

import os
import select
import threading

import format_samples as samples
import pytest

from process_samples import wait_until
from xha import sfdevice, sfformat, statefile
from xha.errors import ExitCode, XhaError
from xha.faultpoints import FaultPoints
from xha.published import Fault
from xha.statefile import JOBS_MAX, StateFileWorker

SECTIONS = samples.image("master1")
PATIENCE_S = 30


@pytest.fixture
def path(tmp_path):
    """A State-File of a pool of three."""
    target = tmp_path / "statefile"
    target.write_bytes(b"".join(SECTIONS))
    return str(target)


class Clock:
    """Counts how often it was asked: order, without the passing of time."""

    def __init__(self):
        self.now_ms = 1000

    def __call__(self):
        self.now_ms += 1
        return self.now_ms


class Workers:
    """Starts workers and leaves none behind."""

    def __init__(self):
        self.all = []

    def __call__(self, path, host_count=3, faults=None, clock=None):
        worker = StateFileWorker(path, host_count, clock or Clock(), faults)
        self.all.append(worker)
        return worker


@pytest.fixture
def start():
    workers = Workers()
    yield workers
    for worker in workers.all:
        worker.abandon()


def result(worker):
    """The next result; waits on the descriptor as the daemon's loop does."""
    assert select.select([worker], [], [], PATIENCE_S)[0], "no result"
    found = worker.results()
    assert len(found) == 1
    return found[0]


# The device

def test_a_device_reads_and_writes_whole_sections(path):
    device = sfdevice.open_device(path)
    assert device.read(0, 65) == b"".join(SECTIONS)
    device.write(64, b"\xa5" * 4096)
    device.flush()
    assert device.read(64, 1) == b"\xa5" * 4096
    assert device.read(63, 1) == SECTIONS[63]
    device.close()
    device.close()


SHORT = [
    # size    why
    (0,      "empty"),
    (4096,   "the global record alone"),
    (266239, "one byte short"),
]


@pytest.mark.parametrize("size, why", SHORT, ids=[row[-1] for row in SHORT])
def test_a_device_too_short_is_refused_at_the_start(path, size, why):
    os.truncate(path, size)
    with pytest.raises(XhaError) as caught:
        sfdevice.open_device(path)
    assert caught.value.code is ExitCode.STATEFILE_INACCESSIBLE
    assert "it is {} bytes, expected at least 266240".format(size) in str(caught.value)


def test_a_device_that_shrinks_later_gives_an_io_error(path):
    device = sfdevice.open_device(path)
    os.truncate(path, 8192 + 512)
    with pytest.raises(OSError, match="short read: 512 of 4096 bytes"):
        device.read(2, 1)
    device.close()


def test_what_is_no_device_is_refused_without_opening_it(tmp_path):
    os.mkfifo(str(tmp_path / "fifo"))
    for path in (str(tmp_path), str(tmp_path / "fifo"), "/dev/null", str(tmp_path / "absent"),
                 "", "a\0b"):
        with pytest.raises(XhaError) as caught:
            sfdevice.open_device(path)
        assert caught.value.code is ExitCode.STATEFILE_INACCESSIBLE


def test_a_device_opened_for_reading_may_be_short_and_a_file_nobody_may_write(path):
    os.truncate(path, 5000)
    os.chmod(path, 0o400)
    device = sfdevice.open_device(path, readonly=True)
    assert device.size_bytes == 5000
    assert device.read(0, 1) == SECTIONS[0]
    device.close()


def test_a_file_replaced_under_its_path_is_noticed(path):
    device = sfdevice.open_device(path)
    assert not device.is_replaced()
    os.rename(path, path + ".old")
    assert device.is_replaced()
    with open(path, "wb") as stream:
        stream.write(b"".join(SECTIONS))
    assert device.is_replaced()
    device.close()


class SystemOf:
    """The system's calls on a device of another kind, which this machine has not.

    What it does with a file stays real; only opening is judged as that kind's driver would.
    """

    def __init__(self, monkeypatch, refusals=()):
        self.flags = []
        self.closed = 0
        self.pauses = []
        self._refusals = list(refusals)
        real_open, real_close = os.open, os.close

        def opened(path, flags, *more):
            self.flags.append(flags)
            if self._refusals:
                raise OSError(self._refusals[0], os.strerror(self._refusals.pop(0)))
            return real_open(path, flags, *more)

        def closed(descriptor):
            self.closed += 1
            real_close(descriptor)

        monkeypatch.setattr(sfdevice.os, "open", opened)
        monkeypatch.setattr(sfdevice.os, "close", closed)
        monkeypatch.setattr(sfdevice.time, "sleep", self.pauses.append)

    def of_major(self, monkeypatch, major):
        monkeypatch.setattr(sfdevice, "_block_major", lambda path: major)
        return self


def test_nbd_is_opened_so_that_a_write_does_not_sit_in_its_server(path, monkeypatch):
    system = SystemOf(monkeypatch).of_major(monkeypatch, 43)
    sfdevice.open_device(path).close()
    assert system.flags[0] & os.O_SYNC == os.O_SYNC
    assert system.flags[0] & os.O_DIRECT


def test_other_devices_are_opened_direct_and_not_inherited(path, monkeypatch):
    system = SystemOf(monkeypatch).of_major(monkeypatch, 8)
    sfdevice.open_device(path).close()
    assert system.flags == [os.O_RDWR | os.O_DIRECT | os.O_CLOEXEC]


def test_drbd_is_open_only_while_it_is_used(path, monkeypatch):
    system = SystemOf(monkeypatch).of_major(monkeypatch, 147)
    device = sfdevice.open_device(path)
    assert (len(system.flags), system.closed) == (1, 1)
    assert device.read(0, 2) == SECTIONS[0] + SECTIONS[1]
    assert (len(system.flags), system.closed) == (2, 2)
    device.write(1, SECTIONS[1])
    assert (len(system.flags), system.closed) == (3, 3)


DRBD = [
    # refusals                   tries  opens  why
    ([30, 16],                   3,     True,  "another host had it for a moment"),
    ([30] * 9,                   10,    True,  "the last try counts"),
    ([16] * 10,                  10,    False, "another host keeps it"),
    ([5],                        1,     False, "any other error is not tried again"),
]


@pytest.mark.parametrize("refusals, tries, opens, why", DRBD, ids=[row[-1] for row in DRBD])
def test_drbd_that_another_host_has_open(path, monkeypatch, refusals, tries, opens, why):
    system = SystemOf(monkeypatch, refusals).of_major(monkeypatch, 147)
    if opens:
        sfdevice.open_device(path)
    else:
        with pytest.raises(XhaError):
            sfdevice.open_device(path)
    assert len(system.flags) == tries
    assert system.pauses == [1.0] * (tries - 1)


def test_a_file_system_without_direct_io_gets_synchronous_writes_and_a_warning(
        path, monkeypatch):
    system = SystemOf(monkeypatch, [22])
    device = sfdevice.open_device(path)
    assert system.flags[1] == os.O_RDWR | os.O_CLOEXEC | os.O_DSYNC
    assert [note.name for note in device.notes] == ["statefile-no-direct-io"]
    assert dict(device.notes[0].fields) == {"path": path}
    device.close()


def test_a_block_device_without_direct_io_is_refused(path, monkeypatch):
    SystemOf(monkeypatch, [22]).of_major(monkeypatch, 8)
    with pytest.raises(XhaError):
        sfdevice.open_device(path)


# The worker

def test_a_reading_is_the_global_record_and_the_configured_hosts(path, start):
    worker = start(path)
    worker.submit_read()
    done = result(worker)
    assert done.kind == "read"
    assert done.error == ""
    assert done.sections == tuple(SECTIONS[:4])
    assert done.issued_at_ms < done.completed_at_ms


def test_nothing_is_readable_while_nothing_is_done(path, start):
    worker = start(path)
    worker.submit_read()
    result(worker)
    assert select.select([worker], [], [], 0)[0] == []
    assert worker.results() == []


def test_a_write_reaches_its_section_and_no_other(path, start):
    worker = start(path)
    worker.submit_write(2, b"\xa5" * 4096)
    done = result(worker)
    assert (done.kind, done.section, done.error) == ("write", 2, "")
    with open(path, "rb") as stream:
        assert stream.read() == b"".join(SECTIONS[:2] + [b"\xa5" * 4096] + SECTIONS[3:])


def test_jobs_are_done_in_the_order_in_which_they_came(path, start):
    worker = start(path)
    for number in range(10):
        worker.submit_write(1, bytes([number]) * 4096)
    worker.submit_read()
    found = []
    while len(found) < 11:
        assert select.select([worker], [], [], PATIENCE_S)[0]
        found += worker.results()
    assert [done.kind for done in found] == ["write"] * 10 + ["read"]
    assert found[-1].sections[1] == bytes([9]) * 4096
    stamps = [stamp for done in found for stamp in (done.issued_at_ms, done.completed_at_ms)]
    assert stamps == sorted(stamps)


def test_a_repair_is_written_only_while_the_bad_bytes_are_still_there(path, start):
    worker = start(path)
    worker.submit_replace(1, b"\xa5" * 4096, sfformat.fingerprint(bytes(4096)))
    done = result(worker)
    assert (done.kind, done.section) == ("replace", 1)
    assert done.error == "the section has changed meanwhile"
    worker.submit_replace(1, b"\xa5" * 4096, sfformat.fingerprint(SECTIONS[1]))
    assert result(worker).error == ""
    worker.submit_read()
    assert result(worker).sections[1] == b"\xa5" * 4096


def test_a_device_that_does_not_exist_is_an_answer_and_may_appear_later(tmp_path, start):
    path = tmp_path / "later"
    worker = start(str(path))
    worker.submit_read()
    assert result(worker).error == "State-File {}: No such file or directory".format(path)
    path.write_bytes(b"".join(SECTIONS))
    worker.submit_read()
    assert result(worker).sections == tuple(SECTIONS[:4])


def test_a_device_that_went_away_and_came_back_under_its_path_is_opened_anew(path, start):
    worker = start(path)
    worker.submit_read()
    result(worker)
    os.truncate(path, 0)
    os.unlink(path)
    worker.submit_read()
    assert result(worker).error == "short read: 0 of 4096 bytes"
    with open(path, "wb") as stream:
        stream.write(b"".join(SECTIONS))
    worker.submit_read()
    assert result(worker).error == ""


class BadSections:
    """A device whose sections fail or change as a broken disk's do; all else is real."""

    def __init__(self, monkeypatch, unreadable=(), torn=()):
        self.calls = []
        real = sfdevice.Device.read
        torn_once = set(torn)

        def read(device, first, count):
            self.calls.append((first, count))
            if set(unreadable) & set(range(first, first + count)):
                raise OSError(5, "Input/output error")
            data = bytearray(real(device, first, count))
            for section in range(first, first + count):
                if section in torn_once:
                    torn_once.discard(section)
                    data[(section - first) * 4096 + 12] ^= 1
            return bytes(data)

        monkeypatch.setattr(sfdevice.Device, "read", read)


def test_a_good_reading_is_one_call(path, start, monkeypatch):
    system = BadSections(monkeypatch)
    worker = start(path)
    worker.submit_read()
    result(worker)
    assert system.calls == [(0, 4)]


@pytest.mark.parametrize("bad", [0, 1, 2, 3])
def test_one_unreadable_section_is_told_apart(path, start, monkeypatch, bad):
    system = BadSections(monkeypatch, unreadable=[bad])
    worker = start(path)
    worker.submit_read()
    done = result(worker)
    assert done.error == ""
    assert [isinstance(section, str) for section in done.sections] == [
        section == bad for section in range(4)]
    assert done.sections[bad] == "Input/output error"
    assert system.calls == [(0, 4), (0, 1), (1, 1), (2, 1), (3, 1)]


def test_a_dead_device_is_not_asked_for_every_section(path, start, monkeypatch):
    system = BadSections(monkeypatch, unreadable=range(65))
    worker = start(path, host_count=64)
    worker.submit_read()
    done = result(worker)
    assert done.error == "Input/output error"
    assert done.sections == ()
    assert len(system.calls) == 4


def test_many_unreadable_hosts_are_told_apart_while_the_global_record_is_good(
        path, start, monkeypatch):
    BadSections(monkeypatch, unreadable=range(1, 64))
    worker = start(path, host_count=64)
    worker.submit_read()
    done = result(worker)
    assert done.error == ""
    assert [isinstance(section, str) for section in done.sections] == (
        [False] + [True] * 63 + [False])


def test_a_read_that_met_a_write_half_way_is_read_once_more(path, start, monkeypatch):
    system = BadSections(monkeypatch, torn=[1, 3])
    worker = start(path)
    worker.submit_read()
    assert result(worker).sections == tuple(SECTIONS[:4])
    assert system.calls == [(0, 4), (1, 3)]


def test_a_section_that_stays_corrupt_is_read_twice_and_handed_on_as_it_is(path, start):
    with open(path, "r+b") as stream:
        stream.seek(2 * 4096)
        stream.write(b"\xa5" * 4096)
    worker = start(path)
    worker.submit_read()
    done = result(worker)
    assert sfformat.section_of_host(done.sections[2]).fault is Fault.CORRUPT
    assert sfformat.section_of_host(done.sections[1]).fault is Fault.NONE


def test_a_hanging_device_hangs_the_thread_alone(path, start):
    faults = FaultPoints(points=["statefile.hang"])
    worker = start(path, faults=faults)
    worker.submit_read()
    worker.submit_write(1, bytes(4096))
    assert worker.results() == []
    assert worker.pending() == 2
    faults.clear("statefile.hang")
    found = []
    while len(found) < 2:
        assert select.select([worker], [], [], PATIENCE_S)[0]
        found += worker.results()
    assert [done.error for done in found] == ["", ""]
    assert worker.pending() == 0


def test_a_write_that_hung_was_issued_before_it_hung(path, start):
    clock = Clock()
    faults = FaultPoints(points=["statefile.hang"])
    worker = start(path, faults=faults, clock=clock)
    worker.submit_write(1, bytes(4096))
    handed_in_ms = clock.now_ms
    while clock.now_ms < handed_in_ms + 2:
        assert threading.active_count() > 1
        os.sched_yield()
    clock.now_ms += 50000
    faults.clear("all")
    done = result(worker)
    assert done.issued_at_ms < 50000 < done.completed_at_ms


def test_more_jobs_than_a_hanging_device_may_keep_are_refused_at_once(path, start):
    worker = start(path, faults=FaultPoints(points=["statefile.hang"]))
    for _ in range(JOBS_MAX + 1):
        worker.submit_read()
    done = result(worker)
    assert done.error == "the State-File does not answer: 32 jobs wait"


def test_an_abandoned_worker_never_touches_the_device_again(path, start):
    worker = start(path, faults=FaultPoints(points=["statefile.hang"]))
    worker.submit_write(1, bytes(4096))
    worker.submit_write(2, bytes(4096))
    worker.abandon()
    worker._thread.join(PATIENCE_S)
    assert not worker._thread.is_alive()
    with open(path, "rb") as stream:
        assert stream.read() == b"".join(SECTIONS)


FAULTS = [
    # point                  job      error
    ("statefile.read.fail",  "read",  "Input/output error (fault point statefile.read.fail)"),
    ("statefile.write.fail", "write", "Input/output error (fault point statefile.write.fail)"),
    ("statefile.read.fail",  "write", ""),
    ("statefile.write.fail", "read",  ""),
    ("statefile.slow=1",     "read",  ""),
    ("statefile.slow=1",     "write", ""),
]


@pytest.mark.parametrize("point, job, error", FAULTS)
def test_fault_points(path, start, point, job, error):
    worker = start(path, faults=FaultPoints(points=[point]))
    if job == "read":
        worker.submit_read()
    else:
        worker.submit_write(1, SECTIONS[1])
    assert result(worker).error == error


def test_a_warning_of_the_device_is_handed_on_once(path, start, monkeypatch):
    SystemOf(monkeypatch, [22])
    worker = start(path)
    worker.submit_read()
    result(worker)
    assert [note.name for note in worker.notes()] == ["statefile-no-direct-io"]
    assert worker.notes() == []


def test_a_thread_that_dies_says_so(path, start, monkeypatch):
    def broken(device, first, count):
        raise ValueError("a bug")

    monkeypatch.setattr(sfdevice.Device, "read", broken)
    worker = start(path)
    worker.submit_read()
    done = result(worker)
    assert done.kind == "died"
    assert "ValueError: a bug" in done.error
    assert worker.results() == [], "once"


def test_a_thread_that_ends_without_a_word_is_told(path, start, monkeypatch):
    """It may lack the memory to say why; then nobody rings, but who looks is told."""
    monkeypatch.setattr(statefile.StateFileWorker, "_run", lambda self: None)
    worker = start(path)
    wait_until(lambda: not worker._thread.is_alive())
    done, = worker.results()
    assert (done.kind, done.error) == ("died", "it ended without a word")
    assert worker.results() == []


def test_an_abandoned_thread_did_not_die(path, start):
    worker = start(path)
    worker.abandon()
    wait_until(lambda: not worker._thread.is_alive())
    assert worker.results() == []
