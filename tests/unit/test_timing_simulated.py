"""What `timing` says of a configuration is what the simulator shows of it.

A host stops at some moment, in each of the ways in which one can; what its
peers and its timers then do lies within the instants of the chain.
"""

import collections

import pytest

from xha import config, latencies, timing
from xha.findings import Level
from xha.simdice import Dice
from xha.simpool import QUICK, Pool, derived_from, settings_of

#: What it takes is the core's, and the same on every Python.
pytestmark = pytest.mark.ends

SETTINGS = {
    "t=1, T=5": QUICK,
    "defaults": {},
    "T=10": derived_from(10),
    "T=60": derived_from(60),
    "the State-File's times longer": dict(
        HeartbeatInterval=1, HeartbeatTimeout=12, StateFileInterval=3, StateFileTimeout=20,
        HeartbeatWatchdogTimeout=14, StateFileWatchdogTimeout=25),
    "the heartbeat's times longer": dict(
        HeartbeatInterval=3, HeartbeatTimeout=40, StateFileInterval=2, StateFileTimeout=15,
        HeartbeatWatchdogTimeout=40, StateFileWatchdogTimeout=20),
    "the heartbeat's timer later": dict(
        HeartbeatInterval=2, HeartbeatTimeout=10, StateFileInterval=2, StateFileTimeout=10,
        HeartbeatWatchdogTimeout=30, StateFileWatchdogTimeout=14),
}

#: How a host stops: its daemon dies (its timers reset it), power, frozen as a whole.
WAYS = ("kill", "crash", "freeze")
#: Hosts of the pool and seeds; every one stops the host at another moment of its cycles.
POOLS = ((2, 0), (3, 1))


def stop(parameters, hosts, seed, way):
    """Instants, by name, at which the last host's stop shows, ms after its last write."""
    pool = Pool(settings_of(hosts, parameters), seed)
    pool.form()
    pool.run(Dice("stop {}".format(seed)).between(2000, 30000))
    gone = pool.hosts[-1]
    wrote_ms, began_ms = gone.clock.true_ms(gone.way.proven_ms), pool.now_ms
    pool.checkers.deaths.touched.add(gone.index)
    getattr(gone, way)()
    chain = {moment.name: moment for moment in timing.chain(pool.common)}
    pool.run(timing.usual_drop_ms(pool.common) + 10000)
    seen = collections.defaultdict(list)
    for entry in pool.history:
        name = getattr(entry.content, "name", entry.kind)
        if entry.at_ms >= began_ms:
            seen[name].append(entry.at_ms - wrote_ms)
    return chain, seen, timing.usual_drop_ms(pool.common)


@pytest.mark.parametrize("name", sorted(SETTINGS))
def test_a_host_that_stops_is_given_up_reset_and_dropped_when_timing_says(name):
    dropped = []
    for way in WAYS:
        for hosts, seed in POOLS:
            chain, seen, usual_ms = stop(SETTINGS[name], hosts, seed, way)
            given_up = seen["hb-domain-changed"] + seen["sf-domain-changed"]
            case = (way, hosts, seed, dict(seen))
            assert len(given_up) == 2 * (hosts - 1), case
            assert len(seen["host-dropped"]) == hosts - 1, case
            assert len(seen["reset"]) == (1 if way == "kill" else 0), case
            assert not seen["fh-host-stuck"], case
            for moment, instants in (("given up", given_up), ("reset", seen["reset"]),
                                     ("dropped", seen["host-dropped"])):
                for at_ms in instants:
                    assert chain[moment].earliest_ms <= at_ms, (moment, case)
                    assert at_ms <= chain[moment].latest_ms, (moment, case)
            dropped += seen["host-dropped"]
    # The estimate that Tboot and a lower T are judged by: no less than it takes, nor much more.
    assert usual_ms - 6000 <= max(dropped) <= usual_ms


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("name", ["t=1, T=5", "defaults", "T=60"])
def test_a_host_that_restarts_at_once_comes_in_again_where_nothing_is_said_of_tboot(name, seed):
    """Source: spec 14, last line."""
    came_in = []
    for boot_s in range(10, 120):
        parameters = dict(SETTINGS[name], BootJoinTimeout=boot_s)
        said = latencies.judge_configured(settings_of(3, parameters)[0].common)[-1]
        assert "restarts at once" in said.text
        if said.level is Level.OK:
            break
    for parameters in (dict(parameters, BootJoinTimeout=boot_s - 10), parameters):
        pool = Pool(settings_of(3, parameters), seed)
        pool.form()
        pool.run(Dice("restart {}".format(seed)).between(2000, 20000))
        pool.hosts[2].crash()
        pool.hosts[2].start()
        pool.run(120000)
        view = pool.hosts[2].view
        came_in.append(view is not None and view.online)
    assert came_in == [False, True]


def test_what_a_crash_takes_is_what_was_measured_of_the_original():
    """Source: spec 14, last line: 18 to 20 s at T = 5 s, 52 to 56 s at T = 30 s."""
    by_default = settings_of(3, {})[0].common
    assert by_default == by_default._replace(**{
        field: value * (1 if element == "XapiRestartAttempts" else 1000)
        for element, field, value in config.PARAMETERS})
    assert 52000 <= timing.usual_drop_ms(by_default) <= 56000
    assert 17000 <= timing.usual_drop_ms(settings_of(3, QUICK)[0].common) <= 20000
