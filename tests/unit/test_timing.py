"""The inequality that makes HA safe, over the permitted range of settings."""

import itertools

import pytest

from xha import config, timing
from xha.published import Phase

ADDRESS = "<host><HostID>{}</HostID><IPaddress>10.0.0.1</IPaddress></host>".format("1" * 32)
NAMES = ("HeartbeatInterval", "HeartbeatTimeout", "StateFileInterval", "StateFileTimeout",
         "HeartbeatWatchdogTimeout", "StateFileWatchdogTimeout")


def common(t1=4, T1=30, t2=4, T2=30, Wh=30, Ws=45, Tboot=90, Tenable=91):
    """The checked half of a configuration; refuses what ``config`` refuses."""
    values = dict(zip(NAMES, (t1, T1, t2, T2, Wh, Ws)))
    values.update(BootJoinTimeout=Tboot, EnableJoinTimeout=Tenable)
    parameters = "".join("<{0}>{1}</{0}>".format(name, values[name]) for name in sorted(values))
    return config.parse((
        '<xhad-config version="1.0"><common-config><GenerationUUID>{0}</GenerationUUID>'
        "<UDPport>694</UDPport>{1}<parameters>{2}</parameters></common-config><local-config>"
        "<localhost><HostID>{0}</HostID><HeartbeatInterface>lo</HeartbeatInterface>"
        "<StateFile>/x</StateFile></localhost></local-config></xhad-config>".format(
            "1" * 32, ADDRESS, parameters)).encode("ascii")).common


DEFAULT = common()
SMALL = common(t1=1, T1=5, t2=1, T2=5, Wh=5, Ws=8)

#: Seconds that reach from the smallest to the largest setting, and past every relation.
STEPS = (1, 2, 3, 5, 8, 30, 45, 600, config.MAX_SECONDS)


def permitted():
    """Every combination of STEPS that ``config`` accepts."""
    accepted = []
    for t1, T1, t2, T2, Wh, Ws in itertools.product(STEPS, repeat=6):
        relations = (t1 < T1, t2 < T2, t1 < Wh, t2 < Ws,
                     max(Wh, Ws) - min(T1, T2) + max(t1, t2) > 0)
        if all(relations):
            accepted.append(DEFAULT._replace(
                heartbeat_interval_ms=t1 * 1000, heartbeat_timeout_ms=T1 * 1000,
                statefile_interval_ms=t2 * 1000, statefile_timeout_ms=T2 * 1000,
                heartbeat_watchdog_timeout_ms=Wh * 1000, statefile_watchdog_timeout_ms=Ws * 1000))
    return accepted


PERMITTED = permitted()


def moments(settings, sealed):
    return {moment.name: moment for moment in timing.chain(settings, sealed)}


def test_the_range_of_settings_is_that_of_the_configuration():
    """The relations above are config's own: both agree on settings near each of them."""
    near = (1, 2, 3, 4)
    for t1, T1, t2, T2, Wh, Ws in itertools.product(near, repeat=6):
        expected = (t1 < T1 and t2 < T2 and t1 < Wh and t2 < Ws
                    and max(Wh, Ws) - min(T1, T2) + max(t1, t2) > 0)
        try:
            common(t1, T1, t2, T2, Wh, Ws)
            accepted = True
        except config.XhaError:
            accepted = False
        assert accepted is expected, (t1, T1, t2, T2, Wh, Ws)
    assert len(PERMITTED) > 10000


@pytest.mark.parametrize("sealed", [True, False], ids=["xha", "xhad peer"])
def test_no_host_is_dropped_before_it_is_certainly_reset(sealed):
    for settings in PERMITTED:
        seen = moments(settings, sealed)
        assert seen["dropped"].earliest_ms >= seen["reset"].latest_ms, settings
        # The guard alone gives it, whatever the standard wait is.
        assert seen["certain"].earliest_ms >= seen["reset"].latest_ms, settings


def test_no_host_is_given_up_before_it_can_have_been_silent_for_a_timeout():
    for settings in PERMITTED:
        seen = moments(settings, True)
        # Its last heartbeat may be t1 older than its last write.
        assert seen["given up"].earliest_ms >= min(
            settings.heartbeat_timeout_ms - settings.heartbeat_interval_ms,
            settings.statefile_timeout_ms)


def test_the_instants_come_in_their_order():
    order = ["issued", "noticed", "given up", "dropped"]
    for settings in PERMITTED:
        for sealed in (True, False):
            seen = moments(settings, sealed)
            for moment in seen.values():
                assert 0 <= moment.earliest_ms <= moment.latest_ms, (settings, moment)
            for earlier, later in zip(order, order[1:]):
                assert seen[earlier].earliest_ms <= seen[later].earliest_ms
                assert seen[earlier].latest_ms <= seen[later].latest_ms


def test_the_standard_wait_alone_would_be_too_early_somewhere():
    """Why there is a guard: without it, drift, pause and reset would be left out."""
    for settings in PERMITTED:
        longest_ms = timing.longest_watchdog_ms(settings)
        assert timing.standard_margin_ms(settings) == -(
            timing.SET_SLACK_MS + timing.RESET_LATENCY_MS + timing.drift_ms(longest_ms))


def test_the_allowance_for_a_reset_covers_a_late_set_and_the_reset():
    assert timing.SET_SLACK_MS + timing.RESET_LATENCY_MS <= timing.RESET_MS
    assert timing.SET_SLACK_MS <= 100  # Spec 7: set again when more than 100 ms passed.


PAGE = [
    # settings, instant, earliest, latest
    (DEFAULT, "given up", 26000, 34500),
    (DEFAULT, "reset", 24974, 45140),
    (DEFAULT, "certain", 45145, 49645),
    (DEFAULT, "dropped", 49000, 239500),
    (SMALL, "given up", 4000, 6500),
    (SMALL, "reset", 2996, 8103),
    (SMALL, "certain", 8108, 9608),
    (SMALL, "dropped", 15000, 45500),
]


@pytest.mark.parametrize("settings, name, earliest, latest", PAGE)
def test_the_proof_page(settings, name, earliest, latest):
    moment = moments(settings, True)[name]
    assert (moment.earliest_ms, moment.latest_ms) == (earliest, latest)


DERIVED = [
    # value, by default, with T = 5, why
    (timing.standard_wait_ms, 19000, 4000, "max(Wh,Ws) - min(T1,T2) + max(t1,t2)"),
    (timing.wait_extension_ms, 30000, 5000, "min(T1,T2)"),
    (timing.stall_gap_ms, 8000, 2000, "max(2*t1, 0.5 s)"),
    (timing.reading_gap_ms, 9000, 3000, "2*t2 + 1 s"),
    (timing.stable_heartbeat_ms, 7500, 1250, "T1/4"),
    (timing.stable_statefile_ms, 7500, 1250, "T2/4"),
    (timing.election_bound_ms, 40000, 15000, "max(T1,T2) + 10 s"),
    (timing.invalid_recheck_ms, 49000, 9000, "Ws + t2"),
    (timing.certain_after_write_ms, 45145, 8108, "Ws + drift + reset"),
    (timing.usual_drop_ms, 54700, 17700, "patience, wait, a cycle and three quick ones"),
    (timing.longest_walk_ms, 200500, 37500, "the steps together"),
]


MERGES = [
    # ms from entering the step to the last news, to the merge with t = 1, T = 5, why
    (0, 5000, "max(T1,T2)"),
    (3000, 5000, "2*max(t1,t2) have passed since"),
    (3001, 5001, "2*max(t1,t2) after the news"),
    (8000, 10000, "2*max(t1,t2) after the news"),
    (8001, 10000, "at most 2*max(T1,T2)"),
]


@pytest.mark.parametrize("news_ms, merge_ms, why", MERGES)
def test_the_merge_waits_for_the_newest_views(news_ms, merge_ms, why):
    assert timing.merge_at_ms(SMALL, 100000, 100000 + news_ms) == 100000 + merge_ms, why


@pytest.mark.parametrize("function, by_default, small, why", DERIVED,
                         ids=[row[-1] for row in DERIVED])
def test_a_derived_time(function, by_default, small, why):
    assert function(DEFAULT) == by_default
    assert function(SMALL) == small


def test_times_that_differ_by_path_use_their_own_path():
    uneven = common(t1=1, T1=12, t2=3, T2=20, Wh=14, Ws=25)
    assert timing.stall_gap_ms(uneven) == 2000
    assert timing.reading_gap_ms(uneven) == 7000
    assert timing.stable_heartbeat_ms(uneven) == 3000
    assert timing.stable_statefile_ms(uneven) == 5000
    assert timing.standard_wait_ms(uneven) == 25000 - 12000 + 3000
    assert timing.patience_ms(uneven) == 20000
    assert timing.fastest_patience_ms(uneven) == 12000
    assert timing.beat_ms(uneven) == 3000


def test_a_stall_is_never_shorter_than_half_a_second():
    assert timing.stall_gap_ms(DEFAULT._replace(heartbeat_interval_ms=1)) == 500


START = [
    # initialising, deadline, forming, why
    (False, 90000, 102000, "Tboot, and three beats more to form"),
    (True, 91000, 103000, "Tenable while the pool state is init"),
]


@pytest.mark.parametrize("initialising, deadline, forming, why", START)
def test_a_start_gives_up_at_its_deadline(initialising, deadline, forming, why):
    assert timing.start_deadline_ms(DEFAULT, initialising) == deadline
    assert timing.forming_deadline_ms(DEFAULT, initialising) == forming


WAIT = [
    # since FH3, extended, wait, why
    (0, False, 19000, "the whole standard wait"),
    (4000, False, 15000, "what has passed since FH3 counts"),
    (9000, False, 10000, "down to 10 s"),
    (500000, False, 10000, "and never below"),
    (4000, True, 45000, "a sign of life adds min(T1,T2)"),
    (500000, True, 10000, "which does not lift the minimum"),
]


@pytest.mark.parametrize("since, extended, wait, why", WAIT, ids=[row[-1] for row in WAIT])
def test_the_wait_for_the_dead(since, extended, wait, why):
    assert timing.dead_wait_ms(DEFAULT, since, extended) == wait


STAY = [
    (Phase.STARTED, 60000), (Phase.FHREADY, 60000), (Phase.FH1, 60000), (Phase.FH1DONE, 38000),
    (Phase.FH2, 90000), (Phase.FH2DONE, 38000), (Phase.FH3, 38000), (Phase.FH3DONE, 38000),
    (Phase.FH4, 30000 + 49000), (Phase.FH4DONE, 38000)]


@pytest.mark.parametrize("phase, bound", STAY)
def test_every_phase_of_the_fault_handler_has_a_bound(phase, bound):
    assert timing.rendezvous_bound_ms(DEFAULT, phase) == bound


def test_a_peer_that_waits_for_the_dead_is_not_stuck_even_at_the_minimum():
    assert timing.rendezvous_bound_ms(SMALL, Phase.FH4) == 5000 + 10000


CERTAIN = [
    # sealed, noticed, heard, certain, why
    (True, 1000, 0, 1000 + 45145, "a sealed host is judged by its last write"),
    (True, 1000, 90000, 1000 + 45145, "heartbeats move no State-File timer"),
    (False, 1000, 0, 1000 + 45000 + 4000 + 45 + 100, "an xhad peer: a beat more"),
    (False, 0, 20000, 20000 + 45000 + 4000 + 45 + 100, "the later of its two signs"),
]


@pytest.mark.parametrize("sealed, noticed, heard, certain, why", CERTAIN,
                         ids=[row[-1] for row in CERTAIN])
def test_when_a_host_is_certainly_dead(sealed, noticed, heard, certain, why):
    assert timing.certain_at_ms(DEFAULT, sealed, noticed, heard) == certain


@pytest.mark.parametrize("span, drift", [(0, 0), (1, 1), (1000, 1), (1001, 2), (45000, 45)])
def test_drift_is_rounded_up(span, drift):
    assert timing.drift_ms(span) == drift


@pytest.mark.parametrize("age, near", [(-1, False), (15000, False), (15001, True)])
def test_above_half_its_timeout_an_age_approaches_it(age, near):
    assert timing.approaching(age, 30000) is near
