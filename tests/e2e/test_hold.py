"""Holds, with real daemons and a real health check: docs/holds.md."""

import json
import re
import time

from rig.host import FENCED
from test_health import facts, pair, wait_for


def held_ms(watcher, index):
    """How long a host's xapi is not checked yet, as another host shows it."""
    return facts(watcher)["hosts"][index]["xapi_held_ms"]


def concerns(host):
    """What its status warns of: texts by name."""
    return {one["name"]: one["text"]
            for one in json.loads(host.command("status", "--format=json").out)["concerns"]}


def test_a_dead_xapi_does_not_fence_during_a_hold_and_does_after_it(pool_of):
    pool, hooks = pair(pool_of)
    watcher, held = pool.hosts
    wait_for(lambda: facts(held)["xapi_latency_ms"]["last"] is not None)
    runs = hooks.path("runs")
    assert held.must("hold").out == "Nothing is held.\n"
    began_at = time.monotonic()
    assert held.must("hold", "xapi", "15s").out == "xapi is not checked for 15s more.\n"
    hooks.write("check", "echo x >> {}; echo 'ERROR <5>'; exit 1".format(runs))
    # Every host shows it, this one and the other, in words and in numbers, and it runs down.
    wait_for(lambda: held_ms(watcher, 1) is not None, 4)
    first_ms = held_ms(watcher, 1)
    for host in pool.hosts:
        assert re.search("xapi of host 1 is not checked for 1[0-9]s more",
                         concerns(host)["xapi-held"]), host.index
        assert re.search(r'xha_host_xapi_held_seconds\{host="1".*\} [0-9]+\.[0-9]+\n',
                         host.must("metrics").out)
    assert " held\n" in watcher.command("status").out
    assert re.match(r"xapi is not checked for 1[0-9]s more.\n\Z", held.must("hold").out)
    while time.monotonic() < began_at + 12:
        assert held.running
        time.sleep(0.2)
    assert held_ms(watcher, 1) < first_ms
    # Not once was it asked, nor restarted; no attempt is spent, and nobody was told of an error.
    assert held.door.run(["cat", runs]).code != 0
    assert facts(held)["xapi_restarts_left"] == 1
    assert facts(watcher)["hosts"][1]["xapi_error"] is None
    assert "[xapi-unhealthy]" not in held.log()
    # It ends by itself, and then xapi is as dead as it is.
    assert held.daemon.wait(20) == FENCED
    assert held.daemon.ended_at - began_at >= 15 + 2.0
    log = held.log()
    for before, after in zip(
            ("xapi-hold-begun", "xapi-hold-ended", "xapi-unhealthy", "xapi-restarting",
             "xapi-given-up"),
            ("xapi-hold-ended", "xapi-unhealthy", "xapi-restarting", "xapi-given-up",
             "self-fencing")):
        assert 0 <= log.index("[{}]".format(before)) < log.index("[{}]".format(after)), after
    assert "ended by itself" in log
    pool.wait_live([0], [0], 45)
    assert watcher.running
    assert "xapi-held" not in concerns(watcher)


def test_a_toolstack_that_is_back_before_the_end_harms_nobody(pool_of):
    """The case that it is for: xapi is down for longer than any check would bear, and returns."""
    pool, hooks = pair(pool_of, XapiRestartAttempts=0)
    watcher, held = pool.hosts
    wait_for(lambda: facts(held)["xapi_latency_ms"]["last"] is not None)
    held.must("hold", "xapi", "1h")
    hooks.write("check", "sleep 600")
    time.sleep(6)
    hooks.write("check", "exit 0")
    assert held.must("hold", "xapi", "--end").out == "Nothing is held.\n"
    wait_for(lambda: held_ms(watcher, 1) is None, 4)
    time.sleep(4)
    assert held.running and held.view.live == (0, 1)
    assert "ended by command" in held.log()
    for word in ("[xapi-unhealthy]", "[fh-started]"):
        assert word not in held.log(), word


def test_a_hold_takes_back_an_announced_fence_and_ends_with_the_daemon(pool_of):
    pool, hooks = pair(pool_of, XapiRestartAttempts=0)
    watcher, held = pool.hosts
    wait_for(lambda: facts(held)["xapi_latency_ms"]["last"] is not None)
    hooks.write("check", "echo no database; exit 1")
    wait_for(lambda: "[xapi-given-up]" in held.log())
    held.must("hold", "xapi", "1h")
    time.sleep(4)
    assert held.running, "it fenced itself {} s after the hold was asked for".format(4)
    # What was last known of it stays published.
    assert facts(watcher)["hosts"][1]["xapi_error"] == "no database"
    hooks.write("check", "exit 0")
    held.must("disarm-fencing")
    held.must("stop-daemon")
    pool.wait_live([0], [0], 45)
    since = time.monotonic()
    held.start(*hooks.options)
    pool.wait_live([0, 1], [0, 1], 60, since)
    assert held.must("hold").out == "Nothing is held.\n"
    assert held_ms(watcher, 1) is None
    wait_for(lambda: facts(held)["xapi_latency_ms"]["last"] is not None)


def test_a_host_that_is_cut_off_during_a_hold_is_fenced_as_ever(pool_of):
    pool = pool_of(3)
    pool.form()
    held = pool.hosts[2]
    held.must("hold", "xapi", "1h")
    pool.network.part([0, 1], [2])
    assert held.daemon.wait(40) == FENCED
    pool.wait_live([0, 1], [0, 1], 45)
    assert "[xapi-hold-ended]" not in held.log()


def test_a_length_that_is_none_or_too_long_changes_nothing(pool_of):
    pool = pool_of(1)
    pool.form()
    host = pool.hosts[0]
    for words, said in ((("5",), "5"), (("2h",), "expected 1s to 1h"), ((), "usage:")):
        refused = host.command("hold", "xapi", *words)
        assert (refused.code, refused.out) == (1, ""), refused
        assert said in refused.err and len(refused.err.splitlines()) == 1
    assert host.must("hold").out == "Nothing is held.\n"
    assert "xapi-hold" not in host.log()
    host.must("disarm-fencing")
    host.must("stop-daemon")
    assert host.command("hold").code == 14


# disarm-fencing --for

def test_a_host_that_is_disarmed_for_a_while_stays_so_and_every_host_says_so(pool_of):
    pool = pool_of(2)
    pool.form()
    watcher, host = pool.hosts
    for words, code in ((("--for=13h",), 1), (("--for=30",), 1)):
        assert host.command("disarm-fencing", *words).code == code
    assert "fencing-disarmed" not in host.log()
    host.must("disarm-fencing", "--for=30m")
    assert re.match(r"Fencing is disarmed, and meant to be for (30m|29m5[0-9]s) more.\n\Z",
                    host.must("hold").out)
    wait_for(lambda: "host-disarmed" in concerns(watcher), 4)
    assert re.search("^Host 1 is disarmed: .* That is meant for (30m|29m5[0-9]s) more.$",
                     concerns(watcher)["host-disarmed"])
    assert "That is meant for" in concerns(host)["not-armed"]
    # Another term takes the place of the first.
    host.must("disarm-fencing", "--for=3s")
    wait_for(lambda: "[still-disarmed]" in host.log(), 8)
    wait_for(lambda: "[peer-still-disarmed]" in watcher.log(), 4)
    for one in pool.hosts:
        assert concerns(one)["still-disarmed"].startswith("Host 1 is still disarmed")
        assert facts(one)["hosts"][1]["disarm_term_ms"] == 0
    assert facts(host)["fencing"] == "disarmed"
    assert re.match(r"Fencing is STILL disarmed, [0-9]+s longer than was meant.\n\Z",
                    host.must("hold").out)
    # It is cut off, and nothing resets it; the other drops it, and says what it was.
    pool.network.part([0], [1])
    pool.disk.fault([1], "fail")
    pool.wait_live([0], [0], 60)
    assert "[disarmed-host-dropped]" in watcher.log()
    assert host.running
    # As docs/holds.md says, it comes back armed.
    host.must("stop-daemon")
    pool.disk.fault([1], "ok")
    pool.network.heal()
    since = time.monotonic()
    host.start()
    pool.wait_live([0, 1], [0, 1], 60, since)
    assert facts(host)["fencing"] == "armed"
    for one in pool.hosts:
        assert not {"still-disarmed", "host-disarmed"} & set(concerns(one))
