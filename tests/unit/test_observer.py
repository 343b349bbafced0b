"""What the flight recorder gets from the loop: each change of state, and measurements."""
import pytest
from core_samples import ages, common, heartbeat, hosts, view_of
from report_samples import snapshot

from xha.actions import Watchdog
from xha.marginwords import OWN
from xha.observer import CLOSE_MS, LOOKS, SPAN_MS, STATE, Observer, recorder_of
from xha.published import NEVER, FencingMode, Phase
from xha.simpool import QUICK, settings_of
from xha.statefile import Done
from xha.syslogger import load_catalogue


#: Between two looks where T1 = T2 = 5 s.
LOOK_MS = 5000 // 2 // LOOKS


class Notes:
    """A recorder that remembers."""

    def __init__(self):
        self.incarnation = 0
        self.states = []
        self.measures = []
        self.kept = 0

    def state(self, fields):
        self.states.append((self.incarnation, fields))

    def measure(self, fields):
        self.measures.append(fields)

    def keep(self):
        self.kept += 1

    def news(self):
        return ("news",)


class Bench:
    """An observer of a view; T1 = T2 = 5 s."""

    def __init__(self, **facts):
        self.view = view_of(**facts)
        self.notes = Notes()
        self.observer = Observer(self.notes, common(), self.view)
        self.now_ms = 100000
        self.turn()

    def turn(self, after_ms=0):
        self.now_ms += after_ms
        self.view.looks += 1
        return self.observer.turn(self.now_ms, self.now_ms)

    def rest(self, ms, step_ms=500):
        """Turns in which everybody is heard and seen."""
        for _ in range(ms // step_ms):
            self.now_ms += step_ms
            self.hear(0, 1, 2)
            self.view.reading_completed_at_ms = self.now_ms
            for peer in self.view.peers:
                peer.advanced_at_ms = self.now_ms
            self.turn()

    def hear(self, *indexes):
        for index in indexes:
            if index != self.view.me:
                self.view.peers[index].heard_at_ms = self.now_ms
                self.observer.datagram(self.view.peers[index].address)

    def access(self, kind, ms, error=""):
        self.observer.access(Done(kind=kind, section=0, issued_at_ms=self.now_ms - ms,
                                  completed_at_ms=self.now_ms, error=error, sections=()))


def test_the_first_turn_records_the_whole_state_and_later_ones_what_changed():
    bench = Bench(phase=Phase.STARTING, incarnation=0, fencing=FencingMode.NONE)
    assert [sorted(fields) for _, fields in bench.notes.states] == [sorted(STATE)]
    bench.turn(1)
    assert len(bench.notes.states) == 1 and not bench.notes.kept
    bench.view.phase, bench.view.incarnation = Phase.STARTED, 77
    bench.turn(1)
    assert bench.notes.states[1:] == [(77, {"phase": Phase.STARTED, "incarnation": 77})]
    assert bench.notes.kept == 1
    bench.view.heartbeat_domain = hosts(0, 2)
    bench.view.waiting_for = ""
    bench.turn(1)
    assert bench.notes.states[2:] == [
        (77, {"heartbeat_domain": hosts(0, 2), "waiting_for": ""})]


def test_every_fact_of_the_state_is_one_of_the_view():
    view = view_of()
    for name in STATE:
        getattr(view, name)


def test_a_turn_hands_on_what_the_recorder_says_of_itself():
    bench = Bench()
    assert bench.turn(LOOK_MS - 1) == ()
    assert bench.turn(1) == ("news",), "with each look"


def test_at_rest_there_is_one_measurement_in_a_span():
    bench = Bench()
    bench.rest(500)
    bench.access("read", 4)
    bench.access("read", 9)
    bench.access("write", 3)
    bench.access("died", 3)
    for ms in (0, 1000, 2800, 3200):
        bench.observer.timer(Watchdog.HEARTBEAT, bench.now_ms + ms + 5000, bench.now_ms + ms)
    bench.rest(SPAN_MS - 1000)
    assert bench.notes.measures == []
    bench.rest(500)
    found, = bench.notes.measures
    assert found == {
        "span_ms": SPAN_MS, "heartbeats": [0, 240, 240], "silence_ms_max": [NEVER, 500, 500],
        "heartbeat_age_ms": [NEVER, 0, 0], "record_age_ms": [0, 0, 0], "reading_age_ms": 0,
        "reads": [2, 9, 0], "writes": [1, 3, 0], "repairs": [0, NEVER, 0], "turn_ms_max": 0,
        "heartbeat_timer_ms_max": 1800, "statefile_timer_ms_max": NEVER}
    bench.rest(SPAN_MS)
    assert bench.notes.measures[1]["reads"] == [0, NEVER, 0], "each span begins anew"
    assert len(bench.notes.measures) == 2


def test_a_datagram_that_was_not_believed_is_no_heartbeat():
    bench = Bench()
    bench.hear(1)
    bench.observer.datagram(bench.view.peers[1].address)
    bench.observer.datagram("192.0.2.99")
    bench.now_ms += 700
    bench.hear(1)
    bench.rest(SPAN_MS, step_ms=SPAN_MS)
    found = bench.notes.measures[0]
    assert found["heartbeats"][1] == 3
    assert found["silence_ms_max"][1] == SPAN_MS


def silent_peer(bench):
    bench.view.peers[1].heard_at_ms = bench.now_ms - 2600


def peer_whose_record_stands_still(bench):
    bench.view.peers[2].advanced_at_ms = bench.now_ms - 2600


def disk_that_does_not_answer(bench):
    bench.view.reading_completed_at_ms = bench.now_ms - 2600


def slow_write(bench):
    bench.access("write", 2600)


def read_that_failed(bench):
    bench.access("read", 1, "Input/output error")


def turn_that_hung(bench):
    bench.observer.turn(bench.now_ms - 2600, bench.now_ms)


@pytest.mark.parametrize("trouble", [
    silent_peer, peer_whose_record_stands_still, disk_that_does_not_answer, slow_write,
    read_that_failed, turn_that_hung])
def test_what_comes_close_to_a_time_out_is_measured_twice_in_a_second(trouble):
    bench = Bench()
    bench.rest(5000)
    assert bench.notes.measures == []
    trouble(bench)
    bench.turn(LOOK_MS)
    assert len(bench.notes.measures) == 1, trouble
    for count in (2, 3):
        trouble(bench)
        bench.turn(CLOSE_MS - 1)
        assert len(bench.notes.measures) == count - 1, trouble
        bench.turn(1)
        assert len(bench.notes.measures) == count, trouble
    bench.rest(LOOK_MS)
    over = len(bench.notes.measures)
    bench.rest(5000)
    assert over == len(bench.notes.measures) <= 4, "none after the span in which it ended"


def used(bench, path, host=-1):
    """What was ever used up on a path; None: it is not watched, or nothing was measured."""
    margins = bench.observer.complete(snapshot(at_ms=bench.now_ms)).margins
    found = [one for one in margins if (one.path, one.host) == (path, host)]
    return found[0].start.used_ms if found and found[0].start else None


def test_the_margins_are_told_of_all_that_happens():
    bench = Bench()
    bench.rest(5000)
    bench.observer.timer(Watchdog.HEARTBEAT, bench.now_ms + 5000, bench.now_ms)
    bench.observer.timer(Watchdog.STATEFILE, bench.now_ms - 40 + 8000, bench.now_ms)
    for section in (1, 0, 1):
        bench.turn(700)
        bench.observer.access(Done(kind="write", section=section, issued_at_ms=bench.now_ms - 30,
                                   completed_at_ms=bench.now_ms, error="", sections=()))
    bench.observer.timer(Watchdog.HEARTBEAT, bench.now_ms + 5000, bench.now_ms)
    bench.observer.timer(Watchdog.STATEFILE, bench.now_ms - 30 + 8000, bench.now_ms)
    bench.rest(500)
    bench.view.peers[1].heartbeat = heartbeat(1, since_heartbeat_ms=ages(age_ms=1900))
    bench.rest(500)
    bench.view.peers[1].heartbeat = heartbeat(1)
    bench.rest(1000)
    assert {path: used(bench, path) for path in OWN} == {
        "loop": 0, "heartbeat-timer": 2100, "statefile-timer": 2140, "statefile-write": 1430,
        "statefile-read": 2600}
    assert [used(bench, path, 1) for path in ("heard", "heard-by", "record")] == [2600, 1900, 2600]
    assert used(bench, "heard-by", 2) is None, "it never said that it did not hear us"


@pytest.mark.parametrize("facts, path, host, watched", [
    ({}, "loop", -1, True), ({}, "heard", 1, True), ({}, "record", 2, True),
    (dict(phase=Phase.STARTING), "loop", -1, False),
    (dict(fencing=FencingMode.DISARMED), "heartbeat-timer", -1, False),
    (dict(phase=Phase.FH2), "statefile-write", -1, True),
    (dict(phase=Phase.FH2), "heard", 1, False),
    (dict(sr2=True), "statefile-write", -1, False), (dict(sr2=True), "heard", 1, True),
    (dict(liveset=hosts(0, 2)), "heard", 1, False), (dict(liveset=hosts(0, 2)), "heard", 2, True)])
def test_what_is_expected_follows_the_view(facts, path, host, watched):
    bench = Bench(**facts)
    margins = bench.observer.complete(snapshot(at_ms=bench.now_ms)).margins
    assert bool([one for one in margins if (one.path, one.host) == (path, host)]) is watched


def test_a_near_miss_is_said_by_a_turn():
    bench = Bench()
    bench.rest(3000)
    bench.now_ms += 3000
    said = []
    for _ in range(8):
        bench.hear(1, 2)
        said += [one for one in bench.turn(500) if one != "news"]
    assert [one.name for one in said] == ["near-miss"]
    assert dict(said[0].fields)["path"] == "loop"
    counts = bench.observer.complete(snapshot()).near_misses
    assert dict(counts)["loop"] == 1 and len(counts) == 8


def test_a_host_outside_the_liveset_owes_nobody_a_heartbeat():
    bench = Bench(liveset=hosts(0, 1))
    bench.rest(5000)
    bench.view.peers[2].heard_at_ms = bench.view.peers[2].advanced_at_ms = 1
    bench.turn(LOOK_MS)
    assert bench.notes.measures == []


def test_the_recorder_of_a_configuration_is_about_this_host(tmp_path):
    settings = settings_of(3, QUICK)[1]
    made = recorder_of(settings, load_catalogue(), str(tmp_path), "xha test")
    about = made._about
    assert (about.host, about.uuid) == (1, settings.common.hosts[1].uuid)
    assert about.addresses == tuple(host.address for host in settings.common.hosts)
    assert (about.heartbeat_timeout_ms, about.statefile_timeout_ms) == (
        settings.common.heartbeat_timeout_ms, settings.common.statefile_timeout_ms)
    assert not list(tmp_path.iterdir()), "nothing is made before it starts"
