"""The State-File by hand, on real files; what others write meanwhile is written in between."""

import json
import os

import format_samples as samples
import pytest

from xha import bounded, config, sfadmin, sfdevice, sfformat
from xha.errors import ExitCode, XhaError
from xha.hostset import EMPTY
from xha.paths import Paths
from xha.published import BLANK_RECORD, NO_MASTER, GlobalSeal, PoolState

GENERATION = "0f0f0f0faaaa4bbb8ccc00000000d00d"


@pytest.fixture
def pool(tmp_path):
    return Pool(tmp_path)


class Pool:
    """A State-File of a pool of three, host 0's configuration, and no daemon."""

    def __init__(self, directory):
        self.path = str(directory / "statefile")
        self.paths = Paths(run_dir=str(directory))
        text = samples.text("xhad_host0.conf").replace("/dev/statefile", self.path)
        self.config = config.parse(text.encode("ascii"))
        self.put([bytes(4096)] * 65)

    def put(self, sections):
        with open(self.path, "wb") as stream:
            stream.write(b"".join(sections))

    def sections(self):
        with open(self.path, "rb") as stream:
            data = stream.read()
        return [data[at:at + 4096] for at in range(0, len(data), 4096)]

    def write(self, verb):
        return sfadmin.write_statefile(verb, self.config, self.paths)

    def refuses(self, verb):
        """The code of the refusal, which must leave the State-File as it was."""
        before = self.sections()
        with pytest.raises(XhaError) as caught:
            self.write(verb)
        assert self.sections() == before
        assert str(caught.value)
        return caught.value.code

    def global_record(self):
        return sfformat.decode_global(self.sections()[0])

    def set_global(self, **fields):
        sections = self.sections()
        sections[0] = sfformat.encode_global(self.global_record()._replace(**fields))
        self.put(sections)


class Traced:
    """Writes and flushes that reach the device, in order; may fail after some of them."""

    def __init__(self, monkeypatch, fails_after=None):
        self.writes = []
        real_write, real_flush = sfdevice.Device.write, sfdevice.Device.flush

        def write(device, section, data):
            if len(self.writes) == fails_after:
                raise OSError(5, "Input/output error")
            real_write(device, section, data)
            self.writes.append(section)

        def flush(device):
            if len(self.writes) == fails_after:
                raise OSError(5, "Input/output error")
            real_flush(device)
            self.writes.append("flush")

        monkeypatch.setattr(sfdevice.Device, "write", write)
        monkeypatch.setattr(sfdevice.Device, "flush", flush)
        # In this process, so that the writes are seen here.
        monkeypatch.setattr(bounded, "run", lambda work, what, bound_s: work())


# init

def test_init_lays_down_a_pool_in_state_init(pool):
    assert pool.write("init") == "State-File {} initialised for 3 hosts".format(pool.path)
    found = pool.global_record()
    assert found.generation_uuid == GENERATION
    assert found.pool_state is PoolState.INIT
    assert found.master == NO_MASTER
    assert found.host_count == 3
    assert found.seal.initialised_by == "10000000-1111-4222-8333-000000000000"
    for section in pool.sections()[1:]:
        content = sfformat.decode_host(section)
        assert content._replace(seal=None) == BLANK_RECORD
        assert content.seal.incarnation == 0


def test_every_init_makes_a_new_key_of_32_bytes(pool):
    keys = set()
    for _ in range(3):
        pool.write("init")
        keys.add(pool.global_record().pool_key)
    assert len(keys) == 3
    assert all(len(key) == 32 for key in keys)


def test_init_is_good_for_the_original_which_reads_only_its_own_part(pool):
    pool.write("init")
    recorded = samples.image("setinit")
    assert pool.sections()[0][:512] == recorded[0][:512]
    assert [section[:1024] for section in pool.sections()[1:]] == [
        section[:1024] for section in recorded[1:]]


def test_init_ends_left_over_daemons_first_and_opens_the_new_pool_last(pool, monkeypatch):
    pool.put(samples.image("master1"))
    traced = Traced(monkeypatch)
    pool.write("init")
    assert traced.writes == [0, "flush"] + list(range(1, 65)) + ["flush", 0, "flush"]


def test_init_of_a_disk_without_a_pool_invalidates_nothing(pool, monkeypatch):
    traced = Traced(monkeypatch)
    pool.write("init")
    assert traced.writes == list(range(1, 65)) + ["flush", 0, "flush"]


@pytest.mark.parametrize("done", [0, 1, 2, 3, 30, 65, 66])
def test_init_interrupted_anywhere_leaves_no_pool_that_a_daemon_starts_in(
        pool, monkeypatch, done):
    pool.put(samples.image("master1"))
    Traced(monkeypatch, fails_after=done)
    with pytest.raises(XhaError) as caught:
        pool.write("init")
    assert caught.value.code is ExitCode.STATEFILE_INACCESSIBLE
    expected = PoolState.ACTIVE if done == 0 else PoolState.INVALID
    assert pool.global_record().pool_state is expected
    if done == 0:
        assert pool.sections() == samples.image("master1")


def test_init_invalidates_the_pool_of_another_generation_too(pool, monkeypatch):
    pool.put(samples.image("master1"))
    pool.set_global(generation_uuid="a" * 32)
    traced = Traced(monkeypatch, fails_after=1)
    with pytest.raises(XhaError):
        pool.write("init")
    assert traced.writes == [0]
    assert pool.global_record().pool_state is PoolState.INVALID
    assert pool.global_record().generation_uuid == "a" * 32


def test_init_reads_back_what_it_wrote(pool, monkeypatch):
    real = sfdevice.Device.write

    def lossy(device, section, data):
        if section != 7:
            real(device, section, data)

    Traced(monkeypatch)
    monkeypatch.setattr(sfdevice.Device, "write", lossy)
    with pytest.raises(XhaError, match="section 7 reads back otherwise") as caught:
        pool.write("init")
    assert caught.value.code is ExitCode.STATEFILE_INACCESSIBLE


# Pool state

STATES = [
    # found             verb       becomes             code                         why
    (PoolState.INIT,    "active",  PoolState.ACTIVE,   None,                        "enabled"),
    (PoolState.ACTIVE,  "active",  PoolState.ACTIVE,   None,                        "on already"),
    (PoolState.INVALID, "active",  PoolState.INVALID,  ExitCode.INVALID_POOL_STATE, "walked back"),
    (PoolState.NONE,    "active",  PoolState.ACTIVE,   None,                        "from nothing"),
    (PoolState.INIT,    "invalid", PoolState.INVALID,  None,                        "given up"),
    (PoolState.ACTIVE,  "invalid", PoolState.INVALID,  None,                        "switched off"),
    (PoolState.INVALID, "invalid", PoolState.INVALID,  None,                        "off already"),
]


@pytest.mark.parametrize("found, verb, becomes, code, why", STATES, ids=[row[-1] for row in STATES])
def test_pool_state(pool, monkeypatch, found, verb, becomes, code, why):
    pool.write("init")
    pool.set_global(pool_state=found)
    before = pool.global_record()
    monkeypatch.setattr(sfadmin, "_confirm_invalid", lambda device, configured: None)
    if code is None:
        assert pool.write(verb) == "pool state is {}".format(becomes.name.lower())
    else:
        assert pool.refuses(verb) is code
    assert pool.global_record() == before._replace(pool_state=becomes)


def test_the_key_and_the_master_stay_when_the_pool_state_changes(pool):
    pool.write("init")
    pool.set_global(master="10000001111142228333000000000001")
    before = pool.global_record()
    pool.write("active")
    assert pool.global_record() == before._replace(pool_state=PoolState.ACTIVE)


def test_the_pool_state_of_a_record_that_xhad_rewrote_keeps_the_key(pool):
    pool.write("init")
    key = pool.global_record().pool_key
    sections = pool.sections()
    sections[0] = samples.image("setinit")[0][:512] + sections[0][512:]
    pool.put(sections)
    pool.write("active")
    assert pool.global_record().pool_key == key


class Elsewhere:
    """A daemon of another host, which writes between our readings; time passes by itself."""

    def __init__(self, pool, monkeypatch, turns):
        self._pool = pool
        self._turns = list(turns)
        self.now_s = 100.0
        monkeypatch.setattr(bounded, "run", lambda work, what, bound_s: work())
        monkeypatch.setattr(sfadmin.time, "sleep", self._sleep)
        monkeypatch.setattr(sfadmin.time, "monotonic", lambda: self.now_s)

    def _sleep(self, seconds):
        self.now_s += seconds
        turn = self._turns.pop(0) if self._turns else ""
        if turn == "undo":
            self._pool.set_global(pool_state=PoolState.ACTIVE)
        elif turn == "advance":
            sections = self._pool.sections()
            content = sfformat.decode_host(sections[2])
            sections[2] = sfformat.encode_host(content._replace(sequence=content.sequence + 1))
            self._pool.put(sections)


INVALID = [
    # what another daemon does           takes     why
    ([],                                 2.0,      "nobody is there: t2 + 1 s show it"),
    (["undo"],                           2.25,     "undone once, and done again"),
    (["", "", "undo", "", "undo"],       3.25,     "undone twice"),
    (["", "advance"] * 4,                4.0,      "a daemon that has not seen it yet"),
    (["advance"] * 1000,                 9.0,      "at most Ws + t2, as the spec says"),
]


@pytest.mark.parametrize("turns, takes_s, why", INVALID, ids=[row[-1] for row in INVALID])
def test_invalid_is_made_sure_of(pool, monkeypatch, turns, takes_s, why):
    pool.write("init")
    pool.write("active")
    elsewhere = Elsewhere(pool, monkeypatch, turns)
    assert pool.write("invalid") == "pool state is invalid"
    assert pool.global_record().pool_state is PoolState.INVALID
    assert elsewhere.now_s - 100 == takes_s


# Exclusion

def test_exclude_changes_the_flag_and_takes_back_what_a_dead_daemon_said_of_a_liveset(pool):
    """No sequence grows: peers must not see a dead host advance."""
    pool.put(samples.image("master1"))
    before = pool.sections()
    assert pool.write("exclude") == "host 0 is excluded now"
    after = pool.sections()
    old, new = sfformat.decode_host(before[1]), sfformat.decode_host(after[1])
    silent = old._replace(
        current_liveset=EMPTY, proposed_liveset=EMPTY, heartbeat_domain=EMPTY,
        statefile_domain=EMPTY, lock_request=False, lock_grants=EMPTY)
    assert new == silent._replace(excluded=True)
    assert after[:1] + after[2:] == before[:1] + before[2:]
    assert pool.write("exclude") == "host 0 is excluded already"
    assert pool.write("include") == "host 0 is not excluded now"
    assert sfformat.decode_host(pool.sections()[1]) == silent


def test_exclude_keeps_incarnation_and_last_words(pool):
    sections = samples.image("master1")
    content = sfformat.decode_host(sections[1])._replace(seal=samples.HOST.seal)
    sections[1] = sfformat.encode_host(content)
    pool.put(sections)
    pool.write("exclude")
    seal = sfformat.decode_host(pool.sections()[1]).seal
    assert seal._replace(written_at_wall_ms=0) == samples.HOST.seal._replace(written_at_wall_ms=0)
    assert seal.written_at_wall_ms > samples.HOST.seal.written_at_wall_ms


def test_exclude_of_a_host_that_never_wrote_says_who_it_is(pool):
    pool.write("init")
    pool.write("active")
    pool.write("exclude")
    content = sfformat.decode_host(pool.sections()[1])
    assert content.excluded is True
    assert content.host_uuid == "10000000111142228333000000000000"


@pytest.mark.parametrize("verb", ["exclude", "include"])
@pytest.mark.parametrize("state", [PoolState.NONE, PoolState.INIT, PoolState.INVALID])
def test_exclusion_is_refused_unless_the_pool_is_active(pool, verb, state):
    pool.put(samples.image("master1"))
    pool.set_global(pool_state=state)
    assert pool.refuses(verb) is ExitCode.INVALID_POOL_STATE


# What is refused

CHANGES = ("active", "invalid", "exclude", "include")


@pytest.mark.parametrize("verb", CHANGES)
def test_another_generation_is_refused(pool, verb):
    pool.put(samples.image("master1"))
    pool.set_global(generation_uuid="a" * 32)
    assert pool.refuses(verb) is ExitCode.GENERATION_MISMATCH


@pytest.mark.parametrize("verb", CHANGES)
def test_a_bad_global_record_is_refused(pool, verb):
    assert pool.refuses(verb) is ExitCode.INVALID_STATEFILE
    sections = samples.image("master1")
    sections[0] = samples.flipped(sections[0], 8 * 60)
    pool.put(sections)
    assert pool.refuses(verb) is ExitCode.INVALID_STATEFILE


@pytest.mark.parametrize("bad", [bytes(4096), samples.image("master1")[2]],
                         ids=["damaged", "another host's"])
def test_a_bad_record_of_this_host_is_refused(pool, bad):
    sections = samples.image("master1")
    sections[1] = bad
    pool.put(sections)
    assert pool.refuses("exclude") is ExitCode.INVALID_STATEFILE


@pytest.mark.parametrize("verb", sfadmin.VERBS)
def test_a_device_too_short_or_absent_is_inaccessible(pool, verb):
    os.truncate(pool.path, 4096)
    assert pool.refuses(verb) is ExitCode.STATEFILE_INACCESSIBLE
    os.unlink(pool.path)
    with pytest.raises(XhaError) as caught:
        pool.write(verb)
    assert caught.value.code is ExitCode.STATEFILE_INACCESSIBLE


def test_an_unknown_verb_is_a_wrong_parameter(pool):
    for verb in ("", "none", "INIT", "77"):
        assert pool.refuses(verb) is ExitCode.INVALID_PARAMETER


@pytest.mark.parametrize("verb", sfadmin.VERBS)
def test_nothing_is_touched_while_a_daemon_answers(pool, monkeypatch, verb):
    monkeypatch.setattr(sfadmin.client, "daemon_answers", lambda paths: paths is pool.paths)
    assert pool.refuses(verb) is ExitCode.DAEMON_PRESENT


# Dumps

def test_dumps_of_a_copied_image(pool):
    pool.put(samples.image("master1"))
    assert sfadmin.dump(pool.path, form="original") == samples.text("sf_master1.dump.txt")
    assert "host 2 (10.99.0.3): unsealed\n" in sfadmin.dump(pool.path, pool.config)
    assert json.loads(sfadmin.dump(pool.path, form="json"))["global"]["host_count"] == 3


def test_a_dump_never_writes(pool, monkeypatch):
    pool.put(samples.image("master1"))
    before = os.stat(pool.path).st_mtime_ns
    flags = []
    real = os.open
    monkeypatch.setattr(bounded, "run", lambda work, what, bound_s: work())
    monkeypatch.setattr(sfdevice.os, "open", lambda path, flag, *more: flags.append(flag) or real(
        path, flag, *more))
    sfadmin.dump(pool.path)
    assert flags
    assert all(flag & os.O_ACCMODE == os.O_RDONLY for flag in flags)
    assert os.stat(pool.path).st_mtime_ns == before


def test_a_dump_of_a_truncated_image_shows_what_there_is(pool):
    pool.put(samples.image("master1")[:3])
    told = json.loads(sfadmin.dump(pool.path, form="json"))
    assert [host["state"] for host in told["hosts"]] == ["unsealed", "unsealed", "unreadable"]
    assert told["hosts"][2]["error"] == "beyond the end: 12288 bytes in all"


def test_a_dump_gives_a_dead_device_up(pool, monkeypatch):
    tried = []

    def broken(device, section, count):
        tried.append(section)
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(bounded, "run", lambda work, what, bound_s: work())
    monkeypatch.setattr(sfdevice.Device, "read", broken)
    told = json.loads(sfadmin.dump(pool.path, pool.config, "json"))
    assert tried == [0, 1, 2]
    assert told["global"]["error"] == "Input/output error"
    assert told["hosts"][2]["error"] == "not tried, after 3 failures"


def test_a_dump_of_nothing_is_inaccessible_and_of_no_form_a_wrong_parameter(tmp_path):
    with pytest.raises(XhaError) as caught:
        sfadmin.dump(str(tmp_path / "absent"))
    assert caught.value.code is ExitCode.STATEFILE_INACCESSIBLE
    with pytest.raises(XhaError) as caught:
        sfadmin.dump(str(tmp_path / "absent"), form="yaml")
    assert caught.value.code is ExitCode.INVALID_PARAMETER


def test_diff_of_two_images(pool, tmp_path):
    pool.put(samples.image("online3"))
    other = tmp_path / "other"
    other.write_bytes(b"".join(samples.image("master1")))
    assert "host 0 sequence: 12 -> 17\n" in sfadmin.diff(pool.path, str(other))
    assert sfadmin.diff(pool.path, pool.path) == "no difference\n"


def test_watch_shows_each_second_what_is_there_until_interrupted(pool, monkeypatch):
    pool.put(samples.image("online3"))
    shown = []

    def sleep(seconds):
        assert seconds == 1
        if len(shown) == 1:
            pool.put(samples.image("master1"))
        elif len(shown) == 2:
            os.unlink(pool.path)
        else:
            raise KeyboardInterrupt

    monkeypatch.setattr(sfadmin.time, "sleep", sleep)
    sfadmin.watch(pool.path, None, shown.append, terminal=False)
    assert "  sequence            12\n" in shown[0]
    assert "  sequence            17\n" in shown[1]
    assert "No such file or directory" in shown[2]


def test_watch_on_a_terminal_is_in_place(pool, monkeypatch):
    def interrupted(seconds):
        raise KeyboardInterrupt

    monkeypatch.setattr(sfadmin.time, "sleep", interrupted)
    pool.put(samples.image("online3"))
    shown = []
    sfadmin.watch(pool.path, None, shown.append, terminal=True)
    assert shown[0].startswith("\x1b[HState-File ")
    assert shown[0].endswith("\x1b[J")


def test_who_initialised_is_kept_by_later_changes(pool):
    pool.write("init")
    seal = pool.global_record().seal
    assert isinstance(seal, GlobalSeal)
    pool.write("active")
    assert pool.global_record().seal == seal
