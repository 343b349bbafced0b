"""What the State-File is worth: tables of devices, readings and contents."""
import os

import pytest

from xha import judgedisk, lookdisk, sfadmin, sfformat
from xha.judgedisk import DiskFacts, Look
from xha.paths import Paths
from xha.published import PoolState

import format_samples
from test_judgehost import check
from test_proofpage import SETTINGS

GLOBAL = format_samples.GLOBAL._replace(generation_uuid=SETTINGS.common.generation_uuid)
GOOD = tuple([sfformat.encode_global(GLOBAL)] + [
    sfformat.encode_host(format_samples.HOST._replace(host_index=index, host_uuid=host.uuid))
    for index, host in enumerate(SETTINGS.common.hosts)])
BLANK, GARBAGE = bytes(4096), b"\xde\xad" * 2048


def disk(sections=GOOD, **changes):
    return DiskFacts(
        path="/dev/sf", error="", kind="block device", size_bytes=1 << 22, direct=True,
        readonly=False, readings_us=(1000, 2000, 3000), failures=(),
        looks=(Look(at_wall_ms=1700000005000, sections=tuple(sections)),))._replace(**changes)


DEVICE = [
    # facts, levels, code, words, why
    (disk(),                          ["ok"],            None, "O_DIRECT",       "as it should be"),
    (disk(error="no such device"),    ["failure"],       8,    "no such device", "it is not there"),
    (disk(size_bytes=266239),         ["failure"],       8,    "too small",      "one byte short"),
    (disk(size_bytes=266240),         ["ok"],            None, "266240",         "just enough"),
    (disk(readonly=True),             ["failure"],       8,    "cannot be written", "read-only"),
    (disk(kind="file"),               ["ok", "warning"], None, "it is a file",   "a file"),
    (disk(kind="file", direct=False), ["ok", "warning"], None, "from this host's cache",
     "a file without direct I/O"),
]


@pytest.mark.parametrize("facts, expected, code, words, why", DEVICE,
                         ids=[row[-1] for row in DEVICE])
def test_device(facts, expected, code, words, why):
    check(judgedisk.judge_device(facts), expected, code, words)


READINGS = [
    # microseconds, failures, levels, code, words, why (T2 is 5 s, t2 1 s)
    ((1500, 200, 300),    (),        ["ok"],      None, "median 0.3 ms", "a quick disk"),
    ((1000999,),          (),        ["ok"],      None, "1000.9 ms",     "as long as a cycle"),
    ((1001000,),          (),        ["warning"], None, "longer than t2", "longer"),
    ((2500999,),          (),        ["warning"], None, "longer than t2", "half of T2"),
    ((2501000,),          (),        ["warning"], None, "too slow for HA", "above half of T2"),
    ((100,),              ("EIO",),  ["failure", "ok"], 8, "1 of 2 readings", "some fail"),
    ((),                  ("EIO",) * 3, ["failure"], 8, "3 of 3 readings", "all fail"),
]


@pytest.mark.parametrize("times, failures, expected, code, words, why", READINGS,
                         ids=[row[-1] for row in READINGS])
def test_readings(times, failures, expected, code, words, why):
    check(judgedisk.judge_readings(SETTINGS, disk(readings_us=times, failures=failures)),
          expected, code, words)


def read_by_itself(*unreadable):
    """The last look, once reading all has failed: these sections of host 1 of 3 are errors."""
    return (Look(at_wall_ms=0, sections=tuple(
        "EIO" if number in unreadable else section for number, section in enumerate(GOOD))),)


APART = [
    # sections that cannot be read, levels, code, words, why
    ((3,), ["warning"], None, "hosts 2 alone", "another's record is its own trouble (spec 3)"),
    ((1, 3), ["failure"], 8, "3 of 3", "and so is not ours"),
    ((0, 3), ["failure"], 8, "3 of 3", "nor the global record"),
    ((), ["failure"], 8, "3 of 3", "nor what is readable by itself"),
]


@pytest.mark.parametrize("sections, expected, code, words, why", APART,
                         ids=[row[-1] for row in APART])
def test_one_record_that_cannot_be_read_keeps_no_other_host_from_ha(sections, expected, code, words,
                                                                    why):
    assert SETTINGS.local.index == 0
    check(judgedisk.judge_readings(SETTINGS, disk(
        readings_us=(), failures=("EIO",) * 3, looks=read_by_itself(*sections))),
        expected, code, words)


def holding(**changes):
    return (sfformat.encode_global(GLOBAL._replace(**changes)),) + GOOD[1:]


def at(section, content):
    return GOOD[:section] + (content,) + GOOD[section + 1:]


UNSEALED = sfformat.encode_host(format_samples.HOST._replace(
    host_index=1, host_uuid=SETTINGS.common.hosts[1].uuid, seal=None))
STRANGER = sfformat.encode_host(format_samples.HOST._replace(host_index=1, host_uuid="9" * 32))
CONTENTS = [
    # sections, daemon, levels, code, words, why
    (GOOD,                    0, ["ok", "ok"],      None, "pool state active", "a running pool"),
    (holding(pool_state=PoolState.INIT), 0, ["ok", "ok"], None, "init",  "a pool to be started"),
    (holding(pool_key=None),  0, ["ok", "ok"],      None, "without a key", "xhad initialised it"),
    ((BLANK,) * 4,            0, ["failure", "unknown", "unknown", "unknown"], 9,
     "set-pool-state init", "never initialised"),
    (at(0, GARBAGE),          0, ["failure", "ok"], 9,    "is bad",        "a bad global record"),
    (at(0, GARBAGE),          7, ["warning", "ok"], None, "repairs it",    "bad, while we run"),
    (at(0, "Input/output error"), 0, ["failure", "ok"], 8, "cannot be read", "an I/O error"),
    (holding(generation_uuid="5" * 32), 0, ["failure", "ok"], 10, "of generation", "of another HA"),
    (holding(pool_state=PoolState.INVALID), 0, ["failure", "ok"], 11, "invalid", "switched off"),
    (holding(pool_state=PoolState.NONE), 0, ["failure", "ok"], 8, "never switched on", "none"),
    (holding(host_count=4),   0, ["warning", "ok"], None, "for 4 hosts",   "another pool size"),
    (at(1, GARBAGE),          0, ["ok", "warning", "ok"], None, "this host rewrites it", "our own"),
    (at(2, GARBAGE),          0, ["ok", "warning", "ok"], None, "host 1 is bad", "another's"),
    (at(2, "Input/output error"), 0, ["ok", "warning", "ok"], None, "is fenced",
     "an I/O error there"),
    (at(2, BLANK),            0, ["ok", "unknown", "ok"], None, "is blank", "never written"),
    (at(2, UNSEALED),         0, ["ok", "warning", "ok"], None, "hosts 1 run xhad", "a mixed pool"),
    (at(2, STRANGER),         0, ["ok", "warning", "ok"], None, "was written by 99999999-",
     "another host's"),
]


@pytest.mark.parametrize("sections, daemon, expected, code, words, why", CONTENTS,
                         ids=[row[-1] for row in CONTENTS])
def test_contents(sections, daemon, expected, code, words, why):
    check(judgedisk.judge_contents(SETTINGS, disk(sections), daemon), expected, code, words)


def test_a_recorded_pool_of_xhad_is_told_as_such():
    sections = format_samples.image("online3")[:4]
    found = judgedisk.judge_contents(SETTINGS, disk(sections), 0)
    said = " ".join(one.text for one in found)
    assert "hosts 0, 1, 2 run xhad" in said
    assert "without a key" in said or "of generation" in said


@pytest.mark.parametrize("facts", [disk(error="gone"), disk(looks=())], ids=["gone", "too small"])
def test_what_was_not_read_is_not_judged(facts):
    assert judgedisk.judge_contents(SETTINGS, facts, 0) == []


# Looking, at a real file

@pytest.fixture
def image(tmp_path):
    path = str(tmp_path / "sf")
    with open(path, "wb") as file:
        file.truncate(266240)
    local = SETTINGS.local._replace(statefile=path)
    sfadmin.write_statefile("init", SETTINGS._replace(local=local), Paths(str(tmp_path)))
    return path


def content_of(path):
    with open(path, "rb") as file:
        return file.read()


def test_looking_reads_and_changes_nothing(image):
    before, status = content_of(image), os.stat(image)
    facts = lookdisk.look(image, 3, 0)
    assert facts.error == ""
    assert (facts.kind, facts.size_bytes, facts.failures) == ("file", 266240, ())
    assert len(facts.readings_us) == len(facts.looks) == 1
    assert facts.looks[0].sections == tuple(
        before[start:start + 4096] for start in range(0, 4 * 4096, 4096))
    assert content_of(image) == before
    assert os.stat(image).st_mtime_ns == status.st_mtime_ns


def test_the_first_and_the_last_look_are_kept(image, monkeypatch):
    monkeypatch.setattr(lookdisk, "PAUSE_S", 0.0)
    facts = lookdisk.look(image, 3, 0.05)
    assert len(facts.readings_us) > 2
    assert len(facts.looks) == 2


def test_what_cannot_be_opened_is_told(tmp_path):
    assert "No such file" in lookdisk.look(str(tmp_path / "none"), 3, 0).error
    os.mkfifo(str(tmp_path / "fifo"))
    assert "neither a block device" in lookdisk.look(str(tmp_path / "fifo"), 3, 0).error


def test_a_short_one_is_not_read(tmp_path):
    path = str(tmp_path / "short")
    with open(path, "wb") as file:
        file.truncate(8192)
    facts = lookdisk.look(path, 3, 0)
    assert (facts.size_bytes, facts.readings_us, facts.looks) == (8192, (), ())


def test_a_device_that_hangs_holds_the_child_and_not_us(image, monkeypatch):
    import signal
    monkeypatch.setattr(lookdisk, "PATIENCE_S", 0.0)
    monkeypatch.setattr(lookdisk.sfdevice, "open_device",
                        lambda path, readonly: signal.pause())
    assert "did not answer within" in lookdisk.look(image, 3, 0.05).error


def test_a_reading_that_fails_is_made_section_by_section(image, monkeypatch):
    real = lookdisk.sfdevice.Device.read

    def read(self, first, count):
        if first <= 2 < first + count:
            raise OSError(5, "Input/output error")
        return real(self, first, count)
    monkeypatch.setattr(lookdisk.sfdevice.Device, "read", read)
    facts = lookdisk.look(image, 3, 0)
    assert facts.failures == ("Input/output error",)
    assert [isinstance(one, bytes) for one in facts.looks[0].sections] == [True, True, False, True]
