"""The checker of the soak checks: for each breach a log of events in which it happens, and which
without that one event is well.  And its diet: the same seed gives the same rounds.
"""
import os
import sys

import pytest

sys.path.append(os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "e2e"))

from core_samples import common  # noqa: E402
from soaking import diet  # noqa: E402  (it stands there)
from soaking.harvest import Event, of_journal, of_watch  # noqa: E402
from soaking.witness import RESET_MS, STAMP_MS, Witness  # noqa: E402
from xha.simcheckers import Breach  # noqa: E402

HOSTS = 3
COMMON = common(HOSTS)
WS_MS = COMMON.statefile_watchdog_timeout_ms
LONG_MS = 10 * WS_MS


def formed(at_ms=0):
    """Three hosts boot, start and form a pool."""
    events = []
    for host in range(HOSTS):
        events += [Event(at_ms, host, "boot"), Event(at_ms + 10, host, "began", 7),
                   Event(at_ms + 900, host, "wrote"),
                   Event(at_ms + 1000, host, "state", {
                       "phase": "STARTED", "fencing": "ARMED", "liveset": "111",
                       "proposed": "111", "holding": False, "sr2": False})]
    return events


def beating(since_ms, until_ms, hosts=(0, 1)):
    """These write and read each second."""
    return [Event(at_ms, host, kind) for at_ms in range(since_ms, until_ms, 1000)
            for host in hosts for kind in ("wrote", "read")]


def walked(at_ms, host, dropped="110"):
    """A host walks through the fault handler and drops others at ``at_ms``."""
    return [Event(at_ms - LONG_MS, host, "phase", "FH3DONE"),
            Event(at_ms - LONG_MS + 1, host, "phase", "FH4"),
            Event(at_ms - LONG_MS + 1, host, "state", {"phase": "FH4", "proposed": dropped}),
            Event(at_ms, host, "state", {"phase": "FH4DONE", "liveset": dropped,
                                         "proposed": dropped}),
            Event(at_ms + 1, host, "state", {"phase": "STARTED"})]


#: When host 2 dies, and when it may be dropped: its last write was at 900 ms.
DIES_MS, DROPS_MS = 2000, 2000 + 2 * LONG_MS
DEATH = [Event(DIES_MS - 1, 2, "touched", [2]), Event(DIES_MS, 2, "down", "crashed")]


def dies_and_is_dropped(drops_ms=DROPS_MS):
    return DEATH + walked(drops_ms, 0) + walked(drops_ms + 5, 1)


def show(*parts):
    witness = Witness(HOSTS, COMMON)
    witness.show([event for part in parts for event in part])
    return witness


WELL = [
    ((formed(), beating(1000, 30000, (0, 1, 2))), "a pool at rest"),
    ((formed(), beating(1000, DROPS_MS + 9000), dies_and_is_dropped()), "a death and a drop"),
    ((formed(), [Event(2000, 2, "touched", [2]), Event(2000, 2, "frozen"),
                 Event(2000 + WS_MS, 2, "down", "watchdog")]), "frozen, and reset in time"),
    ((formed(), [Event(2000, 2, "touched", [2]), Event(2000, 2, "frozen"),
                 Event(3000, 2, "thawed")], beating(3000, 3 * LONG_MS, (0, 1, 2))),
     "frozen, and back in time"),
    ((formed(), [Event(2000, 2, "state", {"fencing": "DISARMED"}), Event(3000, 2, "ended", 0),
                 ] + walked(4000 + LONG_MS, 0), beating(1000, 9 * LONG_MS)),
     "a host that left in peace"),
    ((formed(), [Event(2000, 0, "invalid")] + [Event(2500, host, "ended", 11)
                                               for host in range(HOSTS)]), "HA is disabled"),
    ((formed(), [Event(2000, 0, "state", {"holding": True}),
                 Event(3000, 0, "state", {"holding": False}),
                 Event(3500, 1, "state", {"holding": True})]), "one master after the other"),
]
#: A host that runs on, and is dropped by one that walked.
RUNS_ON = (formed(), beating(1000, DROPS_MS + 1000, (0, 1, 2)), walked(DROPS_MS, 0))

BREACHES = [
    # events                                            what is said
    (RUNS_ON, "host 0 dropped host 2, which still runs"),
    ((formed(), beating(1000, 200000, (0, 1, 2)), [
        Event(200000, 2, "touched", [2]), Event(200001, 2, "down", "crashed")],
      walked(203000, 0)),
     "ms before it could know that it was dead"),
    ((formed(), beating(1300, 1400, (0, 1, 2)), dies_and_is_dropped()),
     "had not read the State-File since"),
    ((formed(), beating(1000, DROPS_MS + 1), DEATH,
      walked(DROPS_MS, 0)[3:] + [Event(DROPS_MS - 100, 0, "phase", "FH3DONE")]),
     "and must wait for"),
    ((formed(), [Event(2000, 0, "state", {"holding": True}),
                 Event(3000, 1, "state", {"holding": True})]), "all hold the master lock"),
    ((formed(), [Event(2000, 2, "down", "watchdog")]),
     "although nothing was wrong with it"),
    ((formed(), [Event(2000, 2, "touched", [2]), Event(2000, 2, "ended", -9)],
      beating(3000, 3 * LONG_MS)), "host 2 still runs"),
    ((formed(), [Event(2000, 2, "touched", [2]), Event(2000, 2, "frozen")],
      beating(3000, 3 * LONG_MS)), "host 2 still runs"),
    ((formed(), [Event(2000, 2, "state", {"fencing": "DISARMED"}),
                 Event(3000, 2, "state", {"liveset": "011", "proposed": "011"})]),
     "is disarmed, and dropped hosts"),
    ((formed(), beating(1000, DROPS_MS + 9000), dies_and_is_dropped(),
      [Event(DROPS_MS + 9000, 2, "boot"), Event(DROPS_MS + 9001, 2, "began", 8),
       Event(DROPS_MS + 9500, 2, "state", {
           "phase": "STARTED", "fencing": "ARMED", "liveset": "001", "proposed": "001"})]),
     "have disjoint livesets"),
    ((formed(), [Event(2000, 2, "touched", [2]), Event(2000, 2, "down", "crashed"),
                 Event(3000, 2, "boot"), Event(3001, 2, "began", 8),
                 Event(3500, 2, "state", {"phase": "STARTED", "fencing": "ARMED",
                                          "liveset": "111", "proposed": "111"})]),
     "is a member again, and host 0 has not dropped what it was"),
    ((formed(), beating(1000, DROPS_MS + 9000), dies_and_is_dropped(),
      [Event(DROPS_MS + 9000, 2, "boot"), Event(DROPS_MS + 9001, 2, "began", 8),
       Event(DROPS_MS + 20000, 2, "state", {
           "phase": "STARTED", "fencing": "ARMED", "liveset": "111", "proposed": "111"})]),
     "is let in without the word of host 0"),
]


@pytest.mark.parametrize("parts, why", WELL, ids=[row[-1] for row in WELL])
def test_what_is_well_is_no_breach(parts, why):
    show(*parts)


@pytest.mark.parametrize("parts, said", BREACHES, ids=[row[-1] for row in BREACHES])
def test_each_breach_is_found(parts, said):
    with pytest.raises(Breach) as breach:
        show(*parts)
    assert said in str(breach.value)


def test_a_breach_hides_no_other_and_what_follows_is_shown():
    with pytest.raises(Breach) as breach:
        show(formed(), [Event(2000, 0, "state", {"holding": True}),
                        Event(3000, 1, "state", {"holding": True}),
                        Event(4000, 2, "down", "watchdog")])
    assert "master lock" in str(breach.value) and "nothing was wrong" in str(breach.value)


def test_drops_are_counted():
    witness = show(formed(), beating(1000, DROPS_MS + 9000), dies_and_is_dropped())
    assert [(who, whom) for _, who, whom in witness.drops] == [(0, 2), (1, 2)]


def test_the_late_stamp_of_a_record_is_granted():
    """Host 1's word is stamped a moment after the record of host 2 that came in by it."""
    back = [Event(DROPS_MS + 9000, 2, "boot"), Event(DROPS_MS + 9001, 2, "began", 8)]
    let_in = {"liveset": "111", "proposed": "111"}
    at_ms = DROPS_MS + 20000
    show(formed(), beating(1000, DROPS_MS + 9000), dies_and_is_dropped(), back,
         [Event(at_ms - 5, 0, "state", {"proposed": "111"}),
          Event(at_ms, 2, "state", dict(let_in, phase="STARTED", fencing="ARMED")),
          Event(at_ms + STAMP_MS - 50, 1, "state", let_in), Event(at_ms + 50, 0, "state", let_in)])


def test_a_reset_that_is_seen_late_is_no_breach_within_reason():
    for late_ms, well in ((RESET_MS - 1, True), (RESET_MS + 2000, False)):
        events = [Event(2000, 2, "touched", [2]), Event(2000, 2, "ended", -9), Event(
            2000 + max(WS_MS, COMMON.heartbeat_watchdog_timeout_ms) + late_ms, 2, "down",
            "watchdog")]
        if well:
            show(formed(), events)
        else:
            with pytest.raises(Breach):
                show(formed(), events)


# The diet

def test_a_seed_gives_the_same_rounds_and_another_seed_others():
    first = [diet.Round(7, number, 4).lines for number in range(20)]
    assert first == [diet.Round(7, number, 4).lines for number in range(20)]
    assert first != [diet.Round(8, number, 4).lines for number in range(20)]


@pytest.mark.parametrize("count", [2, 3, 4, 16])
def test_every_line_that_is_drawn_is_understood_and_names_hosts_that_there_are(count):
    seen = set()
    for number in range(300):
        plan = diet.Round(1, number, count)
        assert [at_ms for at_ms, _ in plan.lines] == sorted(at_ms for at_ms, _ in plan.lines)
        for _, line in plan.lines:
            name, _, touched = diet.understand(line, count)
            seen.add(name)
            assert set(touched) <= set(range(count))
    assert seen == {name for name, _, _ in diet.LINES}, "every kind of line is drawn"


@pytest.mark.parametrize("line, touched", [
    ("network falls into 0|1,2,3", [0]), ("network falls into 0,1|2,3", [2, 3]),
    ("power of 2 fails", [2]), ("link 3,1 is cut", [1, 3]), ("State-File of all fails",
                                                            [0, 1, 2, 3]),
    ("network heals", []), ("a flood reaches 0 for 1000 ms", []), ("/var of 1 is full", []),
    ("host 1 sets the pool state to invalid", [0, 1, 2, 3])])
def test_who_is_touched(line, touched):
    assert diet.understand(line, 4)[2] == touched


# What is harvested

def test_the_journal_of_the_disk_tells_of_own_records_and_whole_readings():
    rows = [[1.5, 1, "w", 2 * 4096, 4096], [2.0, 1, "w", 0, 4096], [2.5, 0, "r", 0, 65 * 4096],
            [3.0, 0, "r", 4096, 4096]]
    assert of_journal(rows, 3) == [Event(1500.0, 1, "wrote"), Event(2500.0, 0, "read")]


def test_a_life_without_a_recorder_is_told_by_what_its_daemon_said():
    class Said:
        status, live, sr2 = "Online", (0, 2), False
    assert [(event.at_ms, event.what["liveset"]) for event in of_watch(
        0, [(0.5, Said), (2.0, Said)], 1000, 9000, 3)] == [(2000.0, "101")]
