"""A history as a page: states and graphs of lanes, the axis of time, and the page itself."""
import random
import re
import xml.etree.ElementTree

import pytest
from recorder_samples import HEADER, event, measure
from test_simpage import of_class, read

from xha import history, historyaxis, historydrawing, historylanes, historypage, historystyle
from xha import htmlstyle, observer, svglanes
from xha.history import Source
from xha.historyaxis import Axis
from xha.historylanes import Limits, Sample, Span
from xha.recorderformat import Recording
from xha.syslogger import load_catalogue

MESSAGES = load_catalogue()
AT = HEADER.wall_ms
H = 3600000


def source(*entries, **about):
    """A recorder of these entries, as it is read."""
    header = HEADER._replace(**about)
    moved = [entry._replace(wall_ms=entry.wall_ms - AT + header.wall_ms,
                            mono_ms=entry.mono_ms - HEADER.mono_ms + header.mono_ms)
             for entry in entries]
    return Source(path="r", recording=Recording(
        header=header, entries=tuple(sorted(moved, key=lambda entry: entry.mono_ms)), damaged=0))


def state(at_ms, **facts):
    return event(at_ms, name="", level="", **facts)._replace(kind="state")


def first(at_ms=20, **facts):
    """The first change of state of a life: all facts."""
    every = dict(dict.fromkeys(observer.STATE, ""), phase="STARTING", fencing="NONE",
                 liveset="000", incarnation=7, sr2=False, excluded=False, holding=False,
                 statefile_access=True)
    return state(at_ms, **dict(every, **facts))


ONLINE = dict(phase="STARTED", fencing="ARMED", liveset="111")


def lanes(*sources):
    return historylanes.lanes(sources, history.history(sources, MESSAGES, True, words=False))


def spans(*entries, **about):
    """(state, liveset, from, to) of one host, ms after its beginning."""
    lane, = lanes(source(*entries, **about))
    return [(span.state, span.liveset, span.from_ms - AT, span.to_ms - AT) for span in lane.spans]


def page(*sources, since_ms=0, until_ms=history.DATES_END_MS):
    return historypage.as_page(sources, history.history(sources, MESSAGES, True, words=False),
                               since_ms, until_ms)


def drawings(text):
    """The SVG elements that are drawings, as trees."""
    return [xml.etree.ElementTree.fromstring(found) for found in re.findall(
        r'<section class="drawing">\n(.*?)\n</section>', text, re.DOTALL)]


# ---- lanes

FACTS = [
    # facts, state
    ({},                                                     "not known"),
    (dict(phase="STARTED"),                                  "not known"),
    (dict(phase="STARTING", fencing="NONE"),                 "starting"),
    (dict(phase="ABORTED", fencing="NONE"),                  "aborted"),
    (dict(phase="STARTED", fencing="ARMED"),                 "online"),
    (dict(phase="FHREADY", fencing="ARMED"),                 "fault-handling"),
    (dict(phase="FH4DONE", fencing="ARMED", sr2=True),       "fault-handling"),
    (dict(phase="STARTED", fencing="ARMED", sr2=True),       "rule-2"),
    (dict(phase="STARTED", fencing="DISARMED"),              "disarmed"),
    (dict(phase="STARTED", fencing="DISARMED", excluded=True), "disarmed"),
    (dict(phase="STARTED", fencing="ARMED", excluded=True),  "excluded"),
    (dict(phase=7, fencing="ARMED"),                         "not known"),
]


@pytest.mark.parametrize("facts, expected", FACTS, ids=[str(number) for number in range(12)])
def test_facts_are_a_state(facts, expected):
    assert historylanes.state_of(facts) == expected
    assert expected in historylanes.STATES


def test_a_life_is_spans_of_one_state_and_liveset():
    assert spans(first(), state(5000, **ONLINE), state(9000, phase="FH1"),
                 state(12000, phase="STARTED", liveset="110"), event(15000)) == [
        ("starting", "", 0, 5000), ("online", "111", 5000, 9000),
        ("fault-handling", "111", 9000, 12000), ("online", "110", 12000, 15000)]


def test_what_does_not_change_the_picture_makes_no_span():
    assert spans(first(), state(5000, **ONLINE), state(7000, heartbeat_domain="110"),
                 event(9000)) == [("starting", "", 0, 5000), ("online", "111", 5000, 9000)]


def test_where_the_ring_has_come_round_it_is_not_known_what_was():
    assert spans(event(100), state(3600000, phase="STARTED"),
                 state(3700000, fencing="ARMED", liveset="111"), event(3800000)) == [
        ("not known", "", 0, 3700000), ("online", "111", 3700000, 3800000)]


def test_between_two_lives_nothing_was_recorded_and_it_says_why():
    lane, = lanes(
        source(first(), state(5000, **ONLINE), event(60000, "thread-died", "err", thread="x",
                                                     reason="y")),
        source(first(), boot_id="c" * 36, wall_ms=AT + 100000, mono_ms=1000))
    gap = lane.spans[-2]
    assert gap._replace(more="") == Span(from_ms=AT + 60000, to_ms=AT + 100000,
                                         state="nothing recorded", liveset="", more="")
    assert gap.more == ("until the machine was booted anew; its last error: Thread x of the "
                        "daemon died: y.")
    assert [mark.kind for mark in lane.marks] == ["begin", "err", "boot"]


ENDS = [
    # the others go on for so long after the last record, ms; the last span
    (0,                          "online"),
    (historylanes.QUIET_MS,      "online"),
    (historylanes.QUIET_MS + 1,  "nothing recorded"),
]


@pytest.mark.parametrize("more_ms, last", ENDS, ids=[str(row[0]) for row in ENDS])
def test_a_host_that_says_nothing_while_others_do_is_not_shown_as_alive(more_ms, last):
    found = lanes(source(first(), state(5000, **ONLINE), event(9000), host=0, uuid="a"),
                  source(first(), event(9000 + more_ms), host=1, uuid="b", boot_id="b" * 36))
    assert found[0].spans[-1].state == last
    assert found[0].spans[-1].to_ms == AT + 9000 + more_ms


def figures(at_ms, **fields):
    every = dict(span_ms=1000, heartbeats=(1, 0, 1), silence_ms_max=(2100, -1, 2000),
                 heartbeat_age_ms=(10, -1, 20), record_age_ms=(900, 0, 900), reads=(1, 30, 0),
                 writes=(1, 40, 0), repairs=(0, -1, 0), reading_age_ms=900, turn_ms_max=3,
                 heartbeat_timer_ms_max=1800, statefile_timer_ms_max=2100)
    return measure(at_ms, **dict(every, **fields))


SAMPLES = [
    # fields of a measurement, (silence, whose, latency, failed), why
    ({}, (2100, 0, 40, 0), "at rest"),
    (dict(heartbeat_age_ms=(10, -1, 15000)), (15000, 2, 40, 0), "silent until now"),
    (dict(silence_ms_max=(-1, 99999, -1), heartbeat_age_ms=(-1, 99999, -1)), (-1, 0, 40, 0),
     "of itself a host hears nothing"),
    (dict(reads=(0, -1, 0), writes=(0, -1, 0), reading_age_ms=9000), (2100, 0, 9000, 0),
     "no access ends: the disk hangs"),
    (dict(writes=(2, 31, 1)), (2100, 0, 31, 1), "one failed"),
    (dict(reads="x", writes=(1,), repairs=7, silence_ms_max="y", heartbeat_age_ms="z",
          reading_age_ms=True), (-1, -1, -1, 0), "what is no measurement"),
]


@pytest.mark.parametrize("fields, told, why", SAMPLES, ids=[row[-1] for row in SAMPLES])
def test_a_measurement_is_the_longest_silence_and_the_longest_access(fields, told, why):
    lane, = lanes(source(first(), state(50, **ONLINE), figures(5000, **fields)))
    sample, = lane.samples
    assert (sample.silence_ms, sample.latency_ms, sample.failed) == told[:1] + told[2:]
    if told[0] >= 0:
        assert sample.silent == told[1]
    assert (sample.from_ms, sample.to_ms) == (AT + 4000, AT + 5000)


def test_a_dead_host_s_silence_is_not_counted():
    lane, = lanes(source(first(), state(50, **dict(ONLINE, liveset="110")),
                         figures(5000, heartbeat_age_ms=(10, -1, 700000))))
    assert lane.samples[0].silence_ms == 2100


def test_each_life_has_its_own_time_outs():
    lane, = lanes(
        source(first(), event(9000)),
        source(first(), event(9000), wall_ms=AT + 20000, mono_ms=HEADER.mono_ms + 20000, pid=2,
               heartbeat_timeout_ms=0, statefile_timeout_ms=5000))
    assert lane.limits == (
        Limits(from_ms=AT, to_ms=AT + 20000, heartbeat_ms=20000, statefile_ms=30000),
        Limits(from_ms=AT + 20000, to_ms=AT + 29000, heartbeat_ms=0, statefile_ms=5000))


# ---- the axis

def test_time_is_linear_where_nothing_is_cut_out():
    axis = Axis([AT, AT + 1000, AT + 4000], 100, 1100)
    assert not [piece for piece in axis.pieces if piece.cut]
    assert axis.x(AT + 2000) == pytest.approx(600, abs=0.1)
    assert 100 <= axis.x(AT - 10**9) <= axis.x(AT) < axis.x(AT + 4000) <= axis.x(AT + 10**9) == 1100


def test_a_long_time_without_any_record_is_cut_out_and_what_was_recorded_has_the_room():
    times = [AT + step * 60000 for step in range(60)] + [
        AT + 30 * 24 * H + step * 60000 for step in range(60)]
    axis = Axis(times, 0, 1000)
    cut, = [piece for piece in axis.pieces if piece.cut]
    assert cut.right - cut.left == historyaxis.CUT_WIDTH
    assert AT + H - 60000 < cut.from_ms and cut.to_ms < AT + 30 * 24 * H
    assert axis.x(AT + H) > 450 and axis.x(AT + 30 * 24 * H) < 550
    assert [date for _, date in axis.dates()] == ["2023-11-14", "2023-12-14"]


@pytest.mark.parametrize("seed", range(20))
def test_whatever_the_times_the_axis_is_in_order_and_its_words_do_not_overlap(seed):
    dice = random.Random(seed)
    span = 10 ** dice.randrange(1, 13)
    times = [dice.randrange(span) for _ in range(dice.randrange(1, 60))]
    axis = Axis(times, 150, 1094)
    places = [axis.x(at_ms) for at_ms in sorted(times)]
    assert places == sorted(places) and 150 <= places[0] and places[-1] <= 1094
    ends = [(piece.left, piece.right) for piece in axis.pieces]
    assert all(left < right for left, right in ends)
    assert [left for left, _ in ends[1:]] == [right for _, right in ends[:-1]]
    for words, room in ((axis.ticks(), 50), (axis.dates(), 70)):
        spots = [x for x, _ in words]
        assert all(after - before >= room for before, after in zip(spots, spots[1:])), words


LENGTHS = [(0, "0 s"), (1500, "1.5 s"), (59999, "59.999 s"), (60000, "1 min"), (61000, "1 min 1 s"),
           (2 * H, "2 h"), (2 * H + 60000, "2 h 1 min"), (49 * H, "2 d 1 h")]


@pytest.mark.parametrize("ms, words", LENGTHS, ids=[row[-1] for row in LENGTHS])
def test_a_length_is_said_in_two_units(ms, words):
    assert historyaxis.length(ms) == words


# ---- the page

def pool(count, records=20):
    """Recorders of a pool in which the last host is reset, and comes back."""
    found = []
    for host in range(count):
        about = dict(host=host, uuid="uuid-{}".format(host), boot_id="{:036d}".format(host),
                     addresses=tuple("10.0.0.{}".format(one + 1) for one in range(count)))
        live = "1" * count
        entries = [first(liveset="0" * count), state(3000, **dict(ONLINE, liveset=live))]
        entries += [figures(20000 * step, silence_ms_max=(2000 + step,) * count,
                            heartbeat_age_ms=(9,) * count) for step in range(1, records)]
        entries += [event(7000, "statefile-slow", "warning", access="read", ms=9000)]
        end = 20000 * records
        if host == count - 1:
            found.append(source(*(entries + [event(end, "thread-died", "err", thread="x",
                                                   reason="<y>")]), **about))
            found.append(source(first(liveset="0" * count), event(9000), **dict(
                about, boot_id="f" * 36, wall_ms=AT + end + 90000, mono_ms=7)))
        else:
            entries += [state(end + 20000, phase="FH1"),
                        state(end + 40000, phase="STARTED", liveset=live[:-1] + "0"),
                        event(end + 98000)]
            found.append(source(*entries, **about))
    return found


@pytest.mark.parametrize("count", [1, 3, 16, 17, 64])
def test_the_page_is_whole_self_contained_and_drawn_inside(count):
    text = page(*pool(count))
    assert text == text.encode("ascii").decode("ascii") and text.endswith("</html>\n")
    reader = read(text)
    for tag, attributes in reader.found:
        assert tag not in ("link", "img", "iframe", "object", "embed", "use", "image", "script")
        assert not {"src", "href", "xlink:href", "srcset", "action"} & set(attributes)
    assert "//" not in text and "@import" not in text
    overview = drawings(text)[0]
    width, height = [float(part) for part in overview.get("viewBox").split()[2:]]
    assert len(of_class(overview, "lane")) == count
    for rect in overview.iter("rect"):
        assert 0 <= float(rect.get("x")) and 0 < float(rect.get("width"))
        assert float(rect.get("x")) + float(rect.get("width")) <= width + 1
        assert 0 <= float(rect.get("y")) <= height - float(rect.get("height"))
    for words in overview.iter("text"):
        assert 0 <= float(words.get("x")) <= width and 0 <= float(words.get("y")) <= height
    for path in overview.iter("path"):
        for x, y in re.findall(r"M([-0-9.e+]+),([-0-9.e+]+)", path.get("d")):
            assert -9 <= float(x) <= width and -9 <= float(y) <= height


def test_what_happened_is_marked_and_has_its_words():
    overview = drawings(page(*pool(3)))[0]
    assert len(of_class(overview, "death")) == 1 and len(of_class(overview, "m-boot")) == 1
    assert len(of_class(overview, "m-warning")) == 3
    title = of_class(overview, "death")[0].find("title").text
    assert title == "2023-11-14T22:20:00.000Z Thread x of the daemon died: <y>."
    assert len(of_class(overview, "s-fault-handling")) == 2
    assert len(of_class(overview, "s-nothing-recorded")) == 1
    assert len(of_class(overview, "g-hb")) == len(of_class(overview, "g-sf")) == 3
    assert of_class(overview, "g-hb")[0].find("title").text == (
        "longest silence: 2019 ms, of host 2, until 2023-11-14T22:19:40.000Z")
    assert [element.text for element in of_class(overview, "band-text")] == ["1", "2"]


def test_a_close_up_shows_the_worst_from_near():
    text = page(*pool(3, 60))
    overview, start, near = drawings(text)
    assert len(of_class(start, "m-warning")) == 3
    assert len(of_class(near, "s-fault-handling")) == 2
    widths = [[float(rect.get("width")) for group in of_class(tree, "s-fault-handling")
               for rect in group.iter("rect")][0] for tree in (overview, near)]
    assert widths[1] > 5 * widths[0]
    assert "<h2>Close-up 2: 2023-11-14 22:33:" in text


def test_time_outs_are_drawn_where_they_are_known_and_there_is_room():
    def lines(tree):
        return len(of_class(tree, "whole")), len(of_class(tree, "half"))
    assert lines(drawings(page(*pool(2)))[0]) == (6, 6), "two graphs of three lives"
    assert lines(drawings(page(*pool(40)))[0]) == (0, 0)
    unknown = source(first(), state(9, **ONLINE), figures(5000), heartbeat_timeout_ms=0,
                     statefile_timeout_ms=0)
    assert lines(drawings(page(unknown))[0]) == (0, 0)


def test_above_half_its_time_out_a_graph_is_dark():
    lane = source(first(), state(9, **ONLINE), figures(5000, silence_ms_max=(9999, -1, 1)),
                  figures(9000, reads=(1, 15000, 0)))
    found = of_class(drawings(page(lane))[0], "late")
    assert len(found) == 1, "the State-File's alone"


def test_only_what_was_between_two_times_is_shown_but_states_from_before_hold():
    text = page(*pool(3), since_ms=AT + 60000, until_ms=AT + 120000)
    overview, = drawings(text)
    assert {element.get("class") for element in overview.iter("g")
            if element.get("class", "").startswith("s-")} == {"s-online"}
    assert of_class(overview, "m-warning") == []
    assert text.count('<tr class="k-') == 0


def test_a_time_in_which_nothing_was_makes_a_page_that_says_so():
    text = page(*pool(2), since_ms=5, until_ms=4)
    read(text)
    assert "Nothing was recorded in that time." in text


def test_whatever_is_recorded_is_text():
    nasty = "</script><b onclick=x>&\u2028"
    text = page(source(first(waiting_for=nasty), event(5, nasty, nasty, text=nasty),
                       uuid=nasty, machine=nasty, software=nasty, addresses=(nasty,) * 3))
    assert "<b onclick" not in text and "</script>" not in text
    read(text)


def test_lines_without_a_date_are_left_out_and_counted():
    text = page(source(first(), event(10)._replace(wall_ms=1 << 60), event(20)))
    read(text)
    assert "2 lines have no date, and are left out." in text, "it, and that the clock moved"


@pytest.mark.parametrize("seed", range(30))
def test_any_recording_makes_a_page(seed):
    """Values of every kind, everywhere."""
    dice = random.Random(seed)
    values = ["", "x", "111", "FH1", "ARMED", 0, -1, 1 << 60, True, (), (1, 2, 3), ("x", -1),
              ((1,), 2)]
    names = list(observer.STATE) + list(dict(figures(0).fields))
    entries = []
    for _ in range(60):
        at_ms = dice.choice((0, 1, 1000, 10**6, 10**9, 10**12)) * dice.randrange(1, 9)
        entry = event(at_ms, name=dice.choice(("x", "host-online")), level=dice.choice(
            ("err", "warning", "notice", "odd", "")), **{
                dice.choice(names): dice.choice(values) for _ in range(5)})
        entries.append(entry._replace(kind=dice.choice(
            ("event", "state", "measure", "lost", "begin", "other")),
            wall_ms=entry.wall_ms + dice.choice((0, 0, 0, -10**9, 10**15))))
    text = page(source(*entries), source(*entries, host=dice.randrange(-1, 64), uuid="b",
                                         boot_id="b" * 36, addresses=()))
    read(text)
    assert drawings(text)


def test_the_page_stays_small_whatever_there_is():
    """64 hosts on which everything changes all the time; more records are not more px."""
    dice = random.Random(1)
    sources = []
    for host in range(64):
        entries = [first()]
        for _ in range(500):
            at_ms = dice.randrange(4 * H)
            entries.append(dice.choice((
                event(at_ms, "statefile-slow", dice.choice(("warning", "err", "notice")),
                      access="read" * 20, ms=at_ms),
                state(at_ms, phase=dice.choice(("FH1", "STARTED")), fencing=dice.choice(
                    ("ARMED", "DISARMED")), liveset=dice.choice(("1" * 64, "10" * 32))),
                figures(at_ms, silence_ms_max=(dice.randrange(20000),) * 64,
                        reads=(1, dice.randrange(30000), 0)))))
        sources.append(source(*entries, host=host, uuid=str(host), boot_id="{:036d}".format(host),
                              addresses=("10.0.0.1",) * 64))
    text = page(*sources)
    assert len(text) < 8 << 20
    assert "3000 of " in text, "it says what it leaves out"
    overview = drawings(text)[0]
    marks = [element for element in overview.iter("g")
             if element.get("class", "").startswith(("m-", "death"))]
    assert len(marks) <= 1500


def test_each_state_has_a_colour_and_all_but_four_a_hatching():
    for name in historylanes.STATES:
        assert ".s-" + svglanes.slug(name) in htmlstyle.STYLE
    hatched = {name for name, _ in svglanes.PATTERNS}
    assert {svglanes.slug(name) for name in historylanes.STATES} - hatched == {
        "online", "not-known", "nothing-recorded"}


def test_each_kind_of_mark_is_in_the_legend_and_has_a_look():
    assert set(historydrawing.MARKS) == set(historypage._MARKS)
    for kind in set(historydrawing.MARKS) - {"err"}:
        assert "svg .m-{} path".format(kind) in historystyle.STYLE


def test_a_column_of_a_graph_shows_its_largest_value():
    samples = tuple(Sample(from_ms=AT + step, to_ms=AT + step + 1, silence_ms=step % 10, silent=0,
                           latency_ms=1, failed=0) for step in range(3600))
    lane = lanes(source(first(), event(3600)))[0]._replace(samples=samples)
    axis = Axis([AT, AT + 3600], 100, 200)
    tree = xml.etree.ElementTree.fromstring(historydrawing.draw([lane], axis, "x"))
    area, = of_class(tree, "g-hb")
    assert area.find("title").text.startswith("longest silence: 9 ms, of host 0")
