"""What watches this host, as the daemon's loop meets it: real programs, the real thread."""
import os
import time

import pytest

from test_report import snapshot
from xha import bondhealth, bondmonitor, config, options
from xha.child import Work
from xha.errors import ExitCode, XhaError
from xha.events import FenceRequested, WeightChanged, XapiChanged
from xha.health import Health
from xha.paths import Paths

CONFIG = os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "fixtures",
                      "xhad_host0.conf")


@pytest.fixture
def loop_of():
    """Make loops whose threads end with the test."""
    loops = []

    def make(*arguments, **changes):
        loops.append(Loop(*arguments, **changes))
        return loops[-1]
    yield make
    for loop in loops:
        loop.health.abandon()


class Loop:
    """The daemon's loop, with a clock that the test turns and a core that only listens."""

    def __init__(self, check, restart="false", run_dir="", bond="", **changes):
        settings = config.load(CONFIG)
        self.settings = settings._replace(
            local=settings.local._replace(physical_interface=bond), common=settings.common._replace(
            heartbeat_interval_ms=1000, **changes))
        self.ahead_ms = 0
        self.events = []
        self.said = []
        self.health = Health(self.settings, {Work.CHECK: check, Work.RESTART: restart},
                             Paths(run_dir or "/nowhere"), self.now_ms, self.said.append)

    def now_ms(self):
        return int(time.monotonic() * 1000) + self.ahead_ms

    def turn(self, online=True):
        self.health.turn(online, self.events.append)

    def until(self, fact):
        deadline = time.monotonic() + 20
        while not fact():
            assert time.monotonic() < deadline, (self.events, self.said)
            self.turn()
            time.sleep(0.005)

    def names(self):
        return [message.name for message in self.said]

    def complete(self):
        return self.health.complete(snapshot(at_ms=self.now_ms()))


def test_a_healthy_xapi_is_measured_and_the_extremes_begin_anew_when_xapi_has_asked(loop_of):
    loop = loop_of("sleep 0.05")
    assert loop.complete().xapi_latency.last_ms == -1
    loop.until(lambda: loop.complete().xapi_latency.last_ms >= 50)
    told = loop.complete()
    assert told.xapi_latency.max_ms >= told.xapi_latency.min_ms >= 50
    assert (told.xapi_restarts_left, told.xapi_restarts_more_in_ms) == (1, -1)
    loop.health.begin_extremes()
    assert loop.complete().xapi_latency.max_ms == loop.complete().xapi_latency.last_ms
    assert loop.events == [] and loop.names() == ["xapi-watched"]


def test_nothing_is_run_before_the_host_is_online(loop_of, tmp_path):
    loop = loop_of("touch " + str(tmp_path / "ran"))
    for _ in range(20):
        loop.turn(online=False)
        time.sleep(0.005)
    assert not os.path.exists(str(tmp_path / "ran"))
    loop.until(lambda: os.path.exists(str(tmp_path / "ran")))


def test_a_xapi_that_stays_bad_is_published_announced_and_fenced(loop_of):
    loop = loop_of("sh -c 'echo no database; exit 1'")
    loop.until(lambda: "xapi-given-up" in loop.names())
    assert loop.names() == ["xapi-watched", "xapi-unhealthy", "xapi-restarting",
                            "xapi-restart-failed", "xapi-given-up"]
    published, = loop.events
    assert isinstance(published, XapiChanged) and published.error == "no database"
    loop.ahead_ms += 2000
    loop.until(lambda: len(loop.events) == 2)
    assert isinstance(loop.events[1], FenceRequested)
    told = loop.complete()
    assert told.xapi_restarts_left == 0
    assert 23 * 3600 * 1000 < told.xapi_restarts_more_in_ms <= 24 * 3600 * 1000
    assert told.xapi_latency.last_ms == -1, "only a good check is measured"


def test_a_hold_stops_what_would_fence_and_the_check_is_run_at_its_end(loop_of, tmp_path):
    runs = tmp_path / "runs"
    loop = loop_of("sh -c 'echo x >> {}; exit 1'".format(runs))
    loop.until(lambda: "xapi-given-up" in loop.names())
    loop.health.hold_xapi(60000, loop.events.append)
    assert 59000 < loop.health.xapi_held_ms() <= 60000
    assert 0 <= loop.now_ms() + 60000 - loop.events[-1].held_until_ms < 1000
    before = runs.read_text()
    loop.ahead_ms += 50000
    for _ in range(20):
        loop.turn()
        time.sleep(0.005)
    assert runs.read_text() == before
    assert not [event for event in loop.events if isinstance(event, FenceRequested)]
    loop.health.hold_xapi(0, loop.events.append)
    assert loop.health.xapi_held_ms() == -1 and loop.names()[-1] == "xapi-hold-ended"
    loop.until(lambda: loop.names().count("xapi-given-up") == 2)
    assert runs.read_text() == before + "x\n"
    loop.ahead_ms += 2000
    loop.until(lambda: isinstance(loop.events[-1], FenceRequested))


def test_a_bug_in_the_thread_ends_the_daemon_as_every_bug_does(loop_of):
    loop = loop_of("true")
    loop.health._monitor._runner.run = None
    with pytest.raises(AssertionError, match="Traceback"):
        loop.until(lambda: False)


# Which programs

def test_the_hooks_are_those_of_dom0_unless_the_environment_or_an_option_names_others(monkeypatch):
    for _, variable, _ in options.HOOKS.values():
        monkeypatch.delenv(variable, raising=False)
    assert options.hooks({}) == {
        Work.CHECK: "/opt/xensource/libexec/xapi-health-check",
        Work.RESTART: "systemctl restart xapi.service",
        Work.LICENSE: "/opt/xensource/libexec/xha-lc"}
    monkeypatch.setenv("XHA_HEALTH_CHECK", "mine --now")
    assert options.hooks({"--health-check": None})[Work.CHECK] == "mine --now"
    assert options.hooks({"--health-check": "yours"})[Work.CHECK] == "yours"


@pytest.mark.parametrize("line", ["check 'now", "   "])
def test_what_is_no_command_line_is_refused_before_it_is_needed(line):
    with pytest.raises(XhaError) as refused:
        options.hooks({"--restart-xapi": line})
    assert refused.value.code == ExitCode.INVALID_PARAMETER


# The weights

def test_the_weights_are_read_at_the_start_and_when_told(loop_of, tmp_path):
    weights = tmp_path / "xhad.weight"
    loop = loop_of("true", run_dir=str(tmp_path))
    assert loop.health.first_weight() == 1
    weights.write_text("vm 5\n")
    assert loop.health.first_weight() == 6
    loop.health.reload_weight(loop.events.append)
    assert loop.events == [WeightChanged(weight=6)] and loop.said == []


def test_weights_that_cannot_be_read_are_said_and_the_host_counts_1_or_as_before(
        loop_of, tmp_path):
    (tmp_path / "xhad.weight").write_text("vm many\n")
    loop = loop_of("true", run_dir=str(tmp_path))
    assert loop.health.first_weight() == 1
    assert loop.names() == ["weight-file-bad"]
    with pytest.raises(XhaError) as refused:
        loop.health.reload_weight(loop.events.append)
    assert refused.value.code == ExitCode.SYSTEM_ERROR
    assert loop.events == [] and loop.names() == ["weight-file-bad"] * 2


# The bond

def test_the_loop_looks_at_the_bond_and_warns_xapi(loop_of, tmp_path, monkeypatch):
    monkeypatch.setattr(bondmonitor, "FOLDER", str(tmp_path))
    text = "MII Status: up\nSlave Interface: eth0\nMII Status: {}\n"
    (tmp_path / "bond0").write_text(text.format("down"))
    loop = loop_of("true", bond="bond0")
    loop.turn(online=False)
    assert loop.names() == ["bond-degraded"] and loop.complete().bond_error
    (tmp_path / "bond0").write_text(text.format("up"))
    loop.turn(online=False)
    assert loop.complete().bond_error, "not looked at before it is due"
    loop.ahead_ms += bondhealth.INTERVAL_MS
    loop.turn(online=False)
    assert loop.names() == ["bond-degraded", "bond-good"] and not loop.complete().bond_error
