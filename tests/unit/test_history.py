"""From recordings to one history: order, lives, boots, clocks, and words for all of it."""
import pytest
from recorder_samples import HEADER, event, file_of, measure

from xha import history, recorderformat
from xha.history import Source, stamp
from xha.recorderformat import Entry
from xha.syslogger import load_catalogue

MESSAGES = load_catalogue()


def source(*entries, path="r", **about):
    """A recorder of these entries."""
    header = HEADER._replace(**about)
    return Source(path=path, recording=recorderformat.decode(file_of(entries, header)))


def moved(entry, wall_ms=0, mono_ms=0):
    return entry._replace(wall_ms=entry.wall_ms + wall_ms, mono_ms=entry.mono_ms + mono_ms)


def lines(*sources, measures=False):
    return history.history(sources, MESSAGES, measures)


def kinds(*sources):
    return [(line.host, line.kind) for line in lines(*sources)]


def test_a_message_has_the_words_of_the_catalogue():
    found = lines(source(event(5, "liveset-changed", liveset="110")))
    assert [line.kind for line in found] == ["begin", "event"]
    last = found[-1]
    assert last.text == "Liveset updated (110)."
    assert (last.host, last.boot_id, last.incarnation, last.wall_ms) == (
        "1", HEADER.boot_id, 7, HEADER.wall_ms + 5)


WORDS = [
    # entry, text, why
    (event(1, "disarmed-host-dropped", host=2),
     "Host 2 (10.0.0.3) is dropped from the liveset; it had disarmed its fencing.",
     "a host has its address"),
    (event(1, "of-the-future", "warning", speed=9, text="a b"),
     '(a message of another version) speed=9 text="a b"', "another version's message"),
    (event(1)._replace(kind="state", name="", level="",
                       fields=(("phase", "FH1"), ("sr2", True), ("waiting_for", ""))),
     "phase FH1, sr2 yes, waiting for -", "a change of state"),
    (event(1)._replace(kind="lost", fields=(("count", 12),)),
     "12 records before this one were lost: the disk did not take them", "lost records"),
    (measure(1, span_ms=10000, heartbeats=(0, 5), silence_ms_max=(-1, 2010),
             heartbeat_age_ms=(-1, 300), record_age_ms=(12, 400), reads=(3, 9, 1),
             writes=(0, -1, 0), repairs=(0, -1, 0), reading_age_ms=20, turn_ms_max=7),
     "In 10000 ms: 3 reads (longest 9 ms, 1 failed); host 0: 0 heartbeats, silent - at most, "
     "last - ago, record 12 ms ago; host 1: 5 heartbeats, silent 2010 ms at most, last 300 ms "
     "ago, record 400 ms ago; State-File read 20 ms ago; longest turn of the daemon 7 ms",
     "measurements"),
    (measure(1, span_ms=1, turn_ms_max=0, heartbeat_timer_ms_max=2800, statefile_timer_ms_max=-1),
     "In 1 ms: longest turn of the daemon 0 ms; heartbeat watchdog used 2800 ms at most; "
     "State-File watchdog used - at most", "the timers"),
    (measure(1, span_ms="?", heartbeats=7, reads=(1,)), "In ? ms: ", "measurements that are none"),
    (event(1, "config-warning", "warning", text="caf\u00e9\n\x1b[31m"),
     "caf\\xe9\\n\\x1b[31m", "bytes that a terminal must not get"),
    (event(1)._replace(kind="\x1b", name="", level="", fields=(("\x1b", "\x1b"),)),
     "\\x1b \\x1b", "a kind of another version"),
]


@pytest.mark.parametrize("entry, text, why", WORDS, ids=[row[-1] for row in WORDS])
def test_each_kind_of_entry_has_its_words(entry, text, why):
    assert lines(source(entry), measures=True)[-1].text == text
    assert history.text_of(entry, MESSAGES, HEADER.addresses).isprintable() or not text


def test_measurements_are_shown_only_when_they_are_wanted():
    one = source(event(1), measure(2, span_ms=1), event(3))
    assert [line.kind for line in lines(one)] == ["begin", "event", "event"]
    assert [line.kind for line in lines(one, measures=True)] == [
        "begin", "event", "measure", "event"]


def test_hosts_are_merged_in_the_order_of_wall_time():
    a = source(event(10), event(30), host=0, uuid="a")
    b = source(event(20), event(40), host=1, uuid="b", boot_id="b" * 36)
    assert kinds(b, a) == [("0", "begin"), ("1", "begin"), ("0", "event"), ("1", "event"),
                           ("0", "event"), ("1", "event")]


def test_two_hosts_of_one_index_are_told_apart():
    a, b = source(event(1), uuid="uuid-a"), source(event(2), uuid="uuid-b", boot_id="b" * 36)
    assert {line.host for line in lines(a, b)} == {"1 (uuid-a)", "1 (uuid-b)"}


def test_a_recorder_that_is_given_twice_counts_once_and_the_later_copy_is_it():
    early, late = source(event(1)), source(event(1), event(2), path="copy")
    for order in ((early, late), (late, early)):
        assert [line.wall_ms - HEADER.wall_ms for line in lines(*order)] == [0, 1, 2]


def test_lives_of_one_boot_are_in_the_order_of_its_monotonic_clock_whatever_the_wall_said():
    """The second daemon began after the clock was set back by an hour."""
    first = source(event(10))
    second = source(moved(event(10), -3600000 + 60000, 60000), pid=2,
                    wall_ms=HEADER.wall_ms - 3600000 + 60000, mono_ms=HEADER.mono_ms + 60000)
    found = lines(second, first)
    assert [line.kind for line in found] == ["begin", "event", "clock", "begin", "event"]
    assert "moved by -3600.0 s" in found[2].text
    assert "same boot; nothing was recorded for 60.0 s before" in found[3].text


def test_a_new_boot_says_so_and_how_long_nothing_was_recorded():
    first = source(event(10), pid=5)
    second = source(moved(event(5), 90000, -400000), boot_id="c" * 36, pid=5,
                    wall_ms=HEADER.wall_ms + 90010, mono_ms=HEADER.mono_ms - 400000)
    found = lines(second, first)
    assert [line.kind for line in found] == ["begin", "event", "begin", "event"]
    assert found[0].text == "xha 1.0.0 began, process 1234, boot 2b1b9c62".replace("1234", "5")
    assert found[2].text == ("xha 1.0.0 began, process 5, THE MACHINE WAS BOOTED ANEW (boot "
                             "cccccccc); nothing was recorded for 90.0 s before")


def test_the_beginning_of_a_life_has_fields_for_programs():
    first = source(event(10), pid=5)
    again = source(event(40010), pid=6, mono_ms=HEADER.mono_ms + 40010,
                   wall_ms=HEADER.wall_ms + 40010, heartbeat_timeout_ms=0)
    booted = source(moved(event(5), 90000, -400000), boot_id="c" * 36, pid=7,
                    wall_ms=HEADER.wall_ms + 90010, mono_ms=HEADER.mono_ms - 400000)
    times = {"heartbeat_timeout_ms": 20000, "statefile_timeout_ms": 30000, "booted_anew": False}
    assert [dict(line.fields) for line in lines(first, again, booted) if line.kind == "begin"] == [
        times, dict(times, heartbeat_timeout_ms=0, unrecorded_ms=40000),
        dict(times, booted_anew=True, unrecorded_ms=50000)]


JUMPS = [
    # wall clock against the monotonic one, ms; said; why
    (500,      "",                   "as much as a clock that is disciplined moves"),
    (501,      "moved by +0.5 s",    "more than that"),
    (3600000,  "moved by +3600.0 s", "an hour ahead"),
    (-3600000, "moved by -3600.0 s", "an hour back"),
]


@pytest.mark.parametrize("jump_ms, said, why", JUMPS, ids=[row[-1] for row in JUMPS])
def test_a_clock_that_was_set_is_noted_where_it_was(jump_ms, said, why):
    one = source(event(1000), measure(2000, span_ms=1), moved(event(3000), jump_ms),
                 moved(event(4000), jump_ms))
    found = lines(one)
    clocks = [index for index, line in enumerate(found) if line.kind == "clock"]
    assert clocks == ([2] if said else [])
    assert [line.mono_ms - HEADER.mono_ms for line in found if line.kind == "event"] == [
        1000, 3000, 4000], "its own order is kept"
    if said:
        assert said in found[2].text
        assert found[2].fields == (("moved_ms", jump_ms),)


STAMPS = [
    (0,                 "1970-01-01T00:00:00.000Z", "the epoch"),
    (1700000000123,     "2023-11-14T22:13:20.123Z", "a time"),
    (253402300799999,   "9999-12-31T23:59:59.999Z", "the last one"),
    (253402300800000,   "253402300800000 ms",       "no date any more"),
    (-1,                "-1 ms",                    "nor before the epoch"),
]


@pytest.mark.parametrize("wall_ms, text, why", STAMPS, ids=[row[-1] for row in STAMPS])
def test_a_time_is_shown(wall_ms, text, why):
    assert stamp(wall_ms) == text


def test_whatever_an_entry_holds_it_has_words():
    for kind in ("event", "state", "measure", "lost", "begin", ""):
        for value in ("", 1, True, (), (1, "x"), (1, 2, 3), ((1,), 2)):
            for name in ("count", "reads", "heartbeats", "span_ms", "host", "liveset"):
                entry = Entry(kind=kind, wall_ms=0, mono_ms=0, incarnation=0,
                              name="liveset-changed", level="", fields=((name, value),))
                assert isinstance(history.text_of(entry, MESSAGES), str)
