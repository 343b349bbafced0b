"""Margins and near misses, with a time of their own: T1 = T2 = Wh = 5 s, t1 = t2 = 1 s."""
import pytest
from core_samples import common, hosts

from xha import margin, marginwords
from xha.actions import Watchdog
from xha.hostset import HostSet
from xha.margin import Margins
from xha.marginwords import OF_PEERS, OWN, PATHS
from xha.nearmiss import REST_MS, SETTLE_MS
from xha.published import NEVER
from xha.snapshot import Approach

STEP_MS = 100
WALL_MS = 1700000000000
MINUTE = 60000


class Bench:
    """The loop of host 0, in a pool where all is well but for what a test takes away."""

    def __init__(self, count=3, **parameters):
        self.common = common(count, **parameters)
        self.margins = Margins(self.common, 0, "/dev/sf")
        self.everyone = HostSet.first(count)
        self.now_ms, self.wall_ms = 1000000, WALL_MS
        self.silent, self.still = set(), set()  # hosts that do not beat; that do not write
        self.said_ms = {}  # what a host says of how long it has not heard us
        self.advanced = [NEVER] * count
        self.disk = True  # it answers
        self.turned_ms = self.issued_ms = NEVER
        self.write_takes_ms = self.read_takes_ms = 10
        self.said = []
        self.expect()
        self.run(3000)

    def expect(self, armed=True, calm=True, sr2=False, liveset=None):
        self.margins.expect(self.now_ms, armed, calm, sr2,
                            self.everyone if liveset is None else liveset)

    def run(self, ms, turn_ms=0):
        """Turns, of which each takes so long."""
        for _ in range(ms // STEP_MS):
            self.now_ms += STEP_MS
            self.wall_ms += STEP_MS
            self.turn(turn_ms)

    def turn(self, took_ms=0):
        began_ms = self.now_ms - took_ms
        if self.now_ms % 1000 == 0:
            self.beat()
            self.said += self.margins.look(self.now_ms, self.wall_ms)
        if self.now_ms % 1000 == 500 and self.disk:
            self.cycle()
        self.margins.turn(began_ms, self.now_ms)

    def beat(self):
        for host in self.everyone.minus(0):
            if host not in self.silent:
                self.margins.heard(host, self.now_ms, self.said_ms.get(host, 300))
        self.margins.timer(Watchdog.HEARTBEAT, self.now_ms, self.now_ms)

    def cycle(self):
        """A cycle that ends now."""
        read_ms = self.now_ms - self.read_takes_ms
        issued_ms = read_ms - self.write_takes_ms
        self.margins.access("write", True, issued_ms, read_ms, "")
        self.margins.timer(Watchdog.STATEFILE, issued_ms, read_ms)
        self.margins.access("read", False, read_ms, self.now_ms, "")
        for host in self.everyone:
            if host not in self.still:
                self.advanced[host] = self.now_ms
        self.margins.reading(self.now_ms, self.advanced)

    def pause(self, ms):
        """The process does not run, and then finds everything that came meanwhile."""
        self.now_ms += ms
        self.wall_ms += ms
        self.turn()

    def told(self):
        """The near misses that were said: (path, ms, what, slow, count)."""
        self.run(SETTLE_MS + 1000)
        said, self.said = [dict(one.fields) for one in self.said], []
        return [(one["path"], one["ms"], one["what"], one["slow"], one["count"]) for one in said]

    def margin(self, path, host=NEVER):
        found = [one for one in self.margins.read(self.now_ms)
                 if (one.path, one.host) == (path, host)]
        assert len(found) <= 1
        return found[0] if found else None

    def used(self, path, host=NEVER):
        one = self.margin(path, host)
        return None if one is None or one.start is None else one.start.used_ms


# What is measured

def test_in_a_pool_that_is_well_each_path_has_a_margin_and_nothing_is_said():
    bench = Bench()
    bench.run(20000)
    assert bench.told() == []
    found = bench.margins.read(bench.now_ms)
    assert [(one.path, one.host) for one in found] == [(path, NEVER) for path in OWN] + [
        (path, host) for path in OF_PEERS for host in (1, 2)]
    assert {(one.path, one.start.used_ms) for one in found if one.start} == {
        ("heartbeat-timer", 1000), ("statefile-timer", 1010), ("statefile-write", 1010),
        ("statefile-read", 1000), ("heard", 1000), ("record", 1000), ("loop", 0)}
    assert {one.path: one.limit_ms for one in found} == {
        "loop": 5000, "heartbeat-timer": 5000, "statefile-timer": 8000, "statefile-write": 5000,
        "statefile-read": 5000, "heard": 5000, "heard-by": 5000, "record": 5000}
    assert all(one.hour == one.day == one.start for one in found)
    assert dict(bench.margins.near_misses()) == dict.fromkeys(PATHS, 0)


def silent_peer(bench):
    bench.silent.add(1)
    bench.run(3000)
    bench.silent.clear()


def still_record(bench):
    bench.still.add(2)
    bench.run(4000)
    bench.still.clear()


def deaf_peer(bench):
    bench.said_ms[1] = 3300
    bench.run(1000)
    bench.said_ms[1] = 4300
    bench.run(1000)
    bench.said_ms.clear()


def slow_write(bench):
    bench.disk = False
    bench.run(3000)
    bench.disk, bench.write_takes_ms = True, 3100
    bench.run(1000)
    bench.write_takes_ms = 10


def slow_read(bench):
    bench.disk = False
    bench.run(3000)
    bench.disk, bench.read_takes_ms = True, 3100
    bench.run(1000)
    bench.read_takes_ms = 10


def busy_turn(bench):
    bench.now_ms += 3000
    bench.wall_ms += 3000
    bench.turn(took_ms=2950)


def paused(bench):
    bench.pause(3000)


EPISODES = [
    # what happens,  (path, ms, what, slow, count) said
    (silent_peer, [("heard", 4000, "heartbeats from host 1", "nothing came meanwhile", 1)]),
    (still_record, [("record", 5000, "the State-File record of host 2",
                     "nothing came meanwhile", 1)]),
    (deaf_peer, [("heard-by", 4300, "heartbeats to host 1", "nothing came meanwhile", 1)]),
    (slow_write, [("statefile-write", 4100, "State-File writes",
                   "a write to /dev/sf took 3.1 s", 1)]),
    (slow_read, [("statefile-write", 4100, "State-File writes",
                  "a read of /dev/sf took 3.1 s", 1)]),
    (busy_turn, [("statefile-write", 4010, "State-File writes",
                  "the daemon was busy for 3.0 s", 1)]),
    (paused, [("statefile-write", 4010, "State-File writes",
               "the daemon was not run for 3.0 s", 1)]),
]


@pytest.mark.parametrize("happens, expected", EPISODES, ids=[row[0].__name__ for row in EPISODES])
def test_what_went_above_half_and_came_back_is_said_once(happens, expected):
    bench = Bench()
    happens(bench)
    assert bench.told() == expected
    bench.run(2 * REST_MS)
    assert bench.told() == []


@pytest.mark.parametrize("ms, misses", [(1000, False), (1500, True)], ids=["2.5 s", "3 s"])
def test_half_of_a_time_out_is_not_more_than_half(ms, misses):
    bench = Bench()
    at_ms = bench.now_ms
    bench.margins.timer(Watchdog.HEARTBEAT, at_ms, at_ms)
    bench.now_ms += 1500 + ms
    bench.margins.timer(Watchdog.HEARTBEAT, bench.now_ms, bench.now_ms)
    bench.margins.turn(bench.now_ms, bench.now_ms)
    assert bool(dict(bench.margins.near_misses())["heartbeat-timer"]) is misses


# Whose fault it is

@pytest.mark.parametrize("happens", [busy_turn, paused])
def test_a_daemon_that_did_not_run_blames_no_peer(happens):
    bench = Bench()
    happens(bench)
    bench.run(3000)
    misses = dict(bench.margins.near_misses())
    assert misses["loop"] and not misses["heard"] and not misses["record"]
    assert bench.used("heard", 1) <= 1000


def test_that_another_did_not_hear_a_daemon_that_did_not_run_is_its_own_near_miss():
    bench = Bench()
    bench.pause(3000)
    bench.said_ms = {1: 3300, 2: 3300}
    bench.run(1000)
    bench.said_ms.clear()
    (path, _, _, slow, count), = bench.told()
    assert (path, slow, count) == ("statefile-write", "the daemon was not run for 3.0 s", 1)
    assert bench.margin("heard-by", 1).start.slow == "pause"


def test_a_peer_that_was_silent_before_a_pause_is_blamed_for_that_part():
    bench = Bench()
    bench.silent.add(1)
    bench.run(2000)
    bench.pause(3000)
    bench.run(1000)
    bench.silent.clear()
    bench.run(2000)
    assert 3000 <= bench.used("heard", 1) <= 4100


def test_readings_that_came_late_blame_no_record():
    bench = Bench()
    bench.disk = False
    bench.run(4000)
    bench.disk = True
    bench.run(2000)
    misses = dict(bench.margins.near_misses())
    assert misses["statefile-read"] == 1 and not misses["record"]
    assert bench.used("record", 1) <= 1000


def test_accesses_that_fail_are_told_from_slow_ones():
    bench = Bench()
    bench.disk = False
    for _ in range(3):
        bench.run(1000)
        bench.margins.access("write", True, bench.now_ms - 1, bench.now_ms, "Input/output error")
    bench.disk = True
    bench.run(1000)
    (path, _, _, slow, _), = bench.told()
    assert (path, slow) == ("statefile-write", "accesses to /dev/sf failed")


# What nobody expects

def test_a_host_that_dies_and_is_dropped_is_no_near_miss():
    bench = Bench()
    bench.silent.add(1)
    bench.still.add(1)
    bench.run(5000)
    bench.expect(calm=False)
    bench.run(10000)
    bench.expect(liveset=hosts(0, 2))
    bench.run(30000)
    assert bench.told() == []
    assert bench.used("heard", 1) == 1000, "its last silence is nobody's margin"
    assert bench.margin("heard", 1).used_now_ms == NEVER


def test_a_silence_that_ended_in_the_fault_handler_is_none_though_the_host_came_back():
    bench = Bench()
    bench.silent.add(1)
    bench.run(4000)
    bench.expect(calm=False)
    bench.run(1000)
    bench.silent.clear()
    bench.run(1000)
    bench.expect()
    bench.run(1000)
    assert bench.told() == [] and bench.used("heard", 1) == 1000


def test_one_that_was_not_said_yet_is_forgotten_when_the_fault_handler_begins():
    bench = Bench()
    silent_peer(bench)
    bench.run(1000)
    bench.expect(calm=False)
    bench.run(5000)
    bench.expect()
    assert bench.told() == []


def test_a_host_that_comes_back_as_a_member_begins_anew():
    bench = Bench()
    bench.expect(liveset=hosts(0, 2))
    bench.silent.add(1)
    bench.still.add(1)
    bench.run(60000)
    bench.silent.clear()
    bench.still.clear()
    bench.run(1000)
    bench.expect()
    bench.run(5000)
    assert bench.told() == [] and bench.used("heard", 1) == 1000


@pytest.mark.parametrize("state", [dict(armed=False), dict(armed=False, calm=False)],
                         ids=["disarmed", "starting"])
def test_without_a_fence_there_is_no_margin(state):
    bench = Bench()
    bench.expect(**state)
    bench.silent.update((1, 2))
    bench.disk = False
    bench.run(10000)
    bench.silent.clear()
    bench.disk = True
    bench.run(2000)
    bench.expect()
    bench.run(2000)
    assert bench.told() == []
    assert {bench.used(path) for path in OWN if path != "loop"} <= {1000, 1010}


def test_under_survival_rule_2_nobody_writes_and_only_the_timer_is_watched():
    bench = Bench()
    bench.disk = False
    bench.run(3000)
    bench.expect(sr2=True)
    bench.run(3000)
    bench.margins.timer(Watchdog.STATEFILE, bench.now_ms, bench.now_ms)  # evidence
    bench.run(20000)
    assert [row[0] for row in bench.told()] == ["statefile-timer"]
    bench.disk = True
    bench.run(1000)
    bench.expect()
    bench.run(5000)
    assert [(path, bench.used(path)) for path in ("statefile-write", "statefile-read")] == [
        ("statefile-write", 1010), ("statefile-read", 1000)]


def test_own_paths_count_while_the_fault_handler_runs():
    bench = Bench()
    bench.expect(calm=False)
    slow_write(bench)
    assert [row[0] for row in bench.told()] == ["statefile-write"]


# How often it speaks

def test_all_hosts_behind_one_switch_are_one_message():
    bench = Bench(count=64)
    bench.silent.update(range(1, 63))
    bench.run(3000)
    bench.silent = set(range(20, 63))
    bench.run(1000)
    bench.silent.clear()
    (path, ms, what, _, count), = bench.told()
    assert (path, ms, count) == ("heard", 5000, 1)
    assert what == "heartbeats from hosts 1-62, of host 20 above all"


def test_a_disk_that_is_slow_for_hours_speaks_six_times_an_hour():
    bench = Bench()
    bench.write_takes_ms = 3000
    bench.run(3 * 60 * MINUTE)
    said = [dict(one.fields) for one in bench.said]
    assert 17 <= len(said) <= 18
    assert all((one["path"], one["count"]) == ("statefile-write", 1) for one in said), (
        "it never came below half: it is one near miss, and it is said that it lasts")


def test_after_the_silence_the_worst_of_what_was_held_back_is_said():
    bench = Bench()
    silent_peer(bench)
    assert len(bench.told()) == 1
    for seconds in (3, 4, 3):
        bench.silent.add(2)
        bench.run(1000 * seconds)
        bench.silent.clear()
        bench.run(5000)
    assert bench.told() == []
    bench.run(REST_MS)
    assert bench.told() == [
        ("heard", 5000, "heartbeats from host 2", "nothing came meanwhile", 3)]


def test_a_part_of_one_that_was_said_is_said_in_its_turn_if_it_was_worse():
    bench = Bench()
    bench.write_takes_ms = 2600
    bench.run(SETTLE_MS + 4000)
    bench.write_takes_ms = 3600
    bench.run(1000)
    bench.write_takes_ms = 10
    assert [(row[1], row[4]) for row in bench.told()] == [(3600, 1)]
    bench.run(REST_MS)
    assert [(row[1], row[4]) for row in bench.told()] == [(4600, 1)]


# Windows and clocks

def test_the_windows_roll_over():
    bench = Bench()
    silent_peer(bench)
    bench.run(1000)
    assert bench.margin("heard", 1).hour.used_ms == 4000
    bench.run(70 * MINUTE)
    one = bench.margin("heard", 1)
    assert (one.hour.used_ms, one.day.used_ms, one.start.used_ms) == (1000, 4000, 4000)


@pytest.mark.parametrize("by_ms", [3600000, -3600000, -1699999000000])
def test_a_wall_clock_that_jumps_is_shown_and_decides_nothing(by_ms):
    bench = Bench()
    silent_peer(bench)
    bench.wall_ms += by_ms
    bench.run(2 * MINUTE)
    assert len(bench.told()) == 1
    first = bench.margin("heard", 1).hour
    assert first.used_ms == 4000
    assert abs(first.wall_ms - WALL_MS) < MINUTE + abs(by_ms), "by the clock of then, or of now"
    bench.silent.add(1)
    bench.run(4000)
    bench.silent.clear()
    bench.run(2000)
    second = bench.margin("heard", 1).hour
    assert second.used_ms == 5000 and abs(second.wall_ms - bench.wall_ms) < 5000


# A time-out that is short against the intervals

NEAR = [
    # path, limit, intervals, near, why
    ("heard", 60000, {}, 30000, "half"),
    ("statefile-write", 5000, {}, 2500, "half, whatever the intervals"),
    ("heard", 5000, {"HeartbeatInterval": 1}, 2500, "two intervals are less than half"),
    ("heard", 5000, {"HeartbeatInterval": 2}, 3750, "two intervals are more than half"),
    ("record", 5000, {"StateFileInterval": 1}, 3100, "two cycles of a healthy pool"),
    ("record", 60000, {"StateFileInterval": 3}, 30000, "two cycles are less than half"),
]


@pytest.mark.parametrize("path, limit_ms, intervals, near_ms, why", NEAR, ids=[
    row[-1] for row in NEAR])
def test_what_a_healthy_pool_shows_is_no_near_miss(path, limit_ms, intervals, near_ms, why):
    assert margin.near_ms(path, limit_ms, common(**intervals)) == near_ms


# In words

def test_every_path_and_everything_that_is_slow_has_words():
    for path in PATHS:
        assert marginwords.words(path, [1]) != path
    assert marginwords.words("weather", [1]) == "weather", "of a later version"
    for slow in ("write", "read", "error", "turn", "pause", "silence", "", "rain"):
        text = marginwords.slow_words(Approach(used_ms=1, wall_ms=0, slow=slow, slow_ms=2000))
        assert text and "{" not in text


def test_the_closest_is_by_its_time_out_and_not_by_its_length():
    bench = Bench()
    slow_write(bench)
    bench.run(2000)
    found = marginwords.closest(bench.margins.read(bench.now_ms), "day")
    assert (found.path, marginwords.ratio(found, "day")) == ("statefile-write", 820)
    assert marginwords.closest((), "day") is None
