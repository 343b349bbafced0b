"""The health of the local host, with real daemons and real hooks: spec 8."""

import os
import signal
import time

import pytest

from rig.host import FENCED

#: xapi's settings for all of these: a check each second, 2 s long at most; t1 is 1 s.
QUICK = {"XapiHealthCheckInterval": 1, "XapiHealthCheckTimeout": 2, "XapiRestartAttempts": 1,
         "XapiRestartTimeout": 3}


class Hooks:
    """The hooks of one host: shell scripts that the daemon runs as dom0's."""

    def __init__(self, host, **settings):
        self.host = host
        self.folder = os.path.join(host.folder, "hooks")
        os.makedirs(self.folder)
        host.write_config(**dict(QUICK, **settings))

    def path(self, name):
        return os.path.join(self.folder, name)

    def write(self, name, text):
        """Put a script into place at once, as an upgrade does."""
        with open(self.path(name) + ".new", "w") as file:
            file.write("#!/bin/sh\n" + text + "\n")
        os.chmod(self.path(name) + ".new", 0o755)
        os.rename(self.path(name) + ".new", self.path(name))

    @property
    def options(self):
        return ["--health-check=" + self.path("check"), "--restart-xapi=" + self.path("restart"),
                "--license-check=" + self.path("license")]


def pair(pool_of, check="exit 0", restart="exit 1", **settings):
    """Two hosts, both online; the second has these hooks."""
    pool = pool_of(2)
    hooks = Hooks(pool.hosts[1], **settings)
    hooks.write("check", check)
    hooks.write("restart", restart)
    pool.initialise()
    since = time.monotonic()
    pool.hosts[0].start()
    pool.hosts[1].start(*hooks.options)
    pool.wait_live([0, 1], [0, 1], 30, since)
    return pool, hooks


def facts(host):
    """What its daemon says, as JSON."""
    import json
    return json.loads(host.must("query-liveset", "--format=json").out)


def wait_for(fact, within_s=20.0):
    until = time.monotonic() + within_s
    while not fact():
        assert time.monotonic() < until
        time.sleep(0.1)


def test_a_check_that_fails_is_published_to_the_others_and_ends_in_a_fence(pool_of):
    pool, hooks = pair(pool_of)
    watcher, failing = pool.hosts
    wait_for(lambda: facts(failing)["xapi_latency_ms"]["last"] is not None)
    assert facts(failing)["xapi_restarts_left"] == 1
    failed_at = time.monotonic()
    hooks.write("check", "echo 'ERROR <5>'; exit 1")
    wait_for(lambda: facts(watcher)["hosts"][1]["xapi_error"] == "ERROR <5>", 4)
    assert facts(watcher)["hosts"][1]["since_xapi_restart_ms"] is not None
    assert "<xapi_error_string>ERROR &lt;5&gt;</xapi_error_string>" in watcher.must(
        "query-liveset").out
    assert failing.daemon.wait(10) == FENCED
    # Announced for 2 x t1 before.
    assert failing.daemon.ended_at - failed_at >= 2.0
    for name in ("xapi-watched", "xapi-unhealthy", "xapi-restarting", "xapi-restart-failed",
                 "xapi-given-up", "self-fencing"):
        assert "[{}]".format(name) in failing.log(), name
    pool.wait_live([0], [0], 45)
    assert watcher.running


def test_a_check_that_hangs_is_killed_and_reaped_and_holds_up_nothing(pool_of):
    pool, hooks = pair(pool_of, restart="exit 0", XapiRestartAttempts=0)
    watcher, failing = pool.hosts
    wait_for(lambda: facts(failing)["xapi_latency_ms"]["last"] is not None)
    hooks.write("check", "trap '' TERM; echo $$ > {}; sleep 600".format(hooks.path("pid")))
    assert failing.daemon.wait(15) == FENCED
    assert "no end after 2" in failing.log()
    hung = failing.door.run(["cat", "/proc/{}/stat".format(
        open(hooks.path("pid")).read().strip())])
    assert hung.code != 0, "the hung check is still there: " + hung.out
    # Its heartbeats and writes went on all the while: it fenced itself, nobody put it out.
    assert "[fh-started]" not in failing.log()
    pool.wait_live([0], [0], 45)
    assert watcher.running


def test_a_check_that_cannot_be_started_six_times_in_a_row_ends_in_a_fence(pool_of):
    pool, hooks = pair(pool_of)
    failing = pool.hosts[1]
    wait_for(lambda: facts(failing)["xapi_latency_ms"]["last"] is not None)
    gone_at = time.monotonic()
    os.unlink(hooks.path("check"))
    assert failing.daemon.wait(15) == FENCED
    assert failing.daemon.ended_at - gone_at >= 4.0
    log = failing.log()
    assert log.count("[xapi-check-not-started]") >= 1
    assert "No such file or directory, 6 times in a row" in log
    assert "[xapi-restarting]" not in log
    pool.wait_live([0], [0], 45)


def test_a_check_that_is_back_before_the_sixth_time_harms_nobody(pool_of):
    pool, hooks = pair(pool_of)
    host = pool.hosts[1]
    wait_for(lambda: facts(host)["xapi_latency_ms"]["last"] is not None)
    os.rename(hooks.path("check"), hooks.path("away"))
    wait_for(lambda: "[xapi-check-not-started]" in host.log())
    os.rename(hooks.path("away"), hooks.path("check"))
    wait_for(lambda: "[xapi-check-starts]" in host.log())
    assert host.running and host.view.live == (0, 1)


def test_a_xapi_that_works_after_its_restart_stays_and_the_spent_attempt_is_seen(pool_of):
    check = "test -e {0} || exit 0; echo no database; exit 1"
    pool, hooks = pair(pool_of)
    watcher, host = pool.hosts
    broken = hooks.path("broken")
    hooks.write("restart", "sleep 1.5; rm {}".format(broken))
    hooks.write("check", check.format(broken))
    open(broken, "w").close()
    wait_for(lambda: facts(watcher)["hosts"][1]["xapi_error"] == "no database")
    wait_for(lambda: facts(watcher)["hosts"][1]["xapi_error"] is None)
    assert facts(watcher)["hosts"][1]["since_xapi_restart_ms"] is None
    told = facts(host)
    assert told["xapi_restarts_left"] == 0
    assert told["xapi_restarts_more_in_ms"] > 23 * 3600 * 1000
    assert "No restart of xapi is left" in host.must("query-liveset", "--format=text").out
    assert "[xapi-healthy]" in host.log()
    time.sleep(3)
    assert host.running and host.view.live == (0, 1)
    # The second failure within the day is not tried again.
    open(broken, "w").close()
    assert host.daemon.wait(10) == FENCED
    assert os.path.exists(broken)


def test_a_check_whose_very_file_hangs_holds_up_neither_heartbeats_nor_clients(pool_of):
    """The disk of dom0 hangs, and with it the start of any program.  Source: spec 8, "Nothing
    of this ever blocks heartbeats or the State-File"."""
    pool = pool_of(3)
    hooks = Hooks(pool.hosts[1], XapiHealthCheckTimeout=4, XapiRestartAttempts=0)
    hooks.write("check", "exit 0")
    pool.initialise()
    since = time.monotonic()
    for host in pool.hosts:
        host.start(*(hooks.options if host.index == 1 else []))
    pool.wait_live([0, 1, 2], [0, 1, 2], 40, since)
    watcher, failing, leaver = pool.hosts
    time.sleep(2)
    # The third only lends its way to the disk.
    leaver.must("disarm-fencing")
    leaver.must("set-excluded", "--config=" + leaver.config)
    assert leaver.daemon.wait(10) == 19
    pool.wait_live([0, 1], [0, 1], 45)
    wait_for(lambda: "[fh-ended]" in failing.log())
    quiet = len(failing.log())
    pool.disk.fault([2], "hang")
    os.symlink(leaver.statefile, hooks.path("hanging"))
    os.rename(hooks.path("hanging"), hooks.path("check"))
    while failing.running and "[xapi-unhealthy]" not in failing.log():
        asked_at = time.monotonic()
        assert failing.command("host-state").out == "Online\n"
        assert time.monotonic() - asked_at < 2.0
        time.sleep(0.2)
    assert failing.daemon.wait(10) == FENCED
    assert "no end after 4" in failing.log() and "xapi-failed" in failing.log()
    # Nobody had missed it before it fenced itself, and its own timers were never close.
    for word in ("[watchdog-expiring]", "[fh-started]", "[statefile-slow]"):
        assert word not in failing.log()[quiet:], word
    pool.disk.fault([2], "ok")


def test_a_disarmed_host_with_a_dead_xapi_is_not_reset(pool_of):
    pool, hooks = pair(pool_of)
    host = pool.hosts[1]
    host.must("disarm-fencing")
    hooks.write("check", "exit 1")
    wait_for(lambda: "[xapi-given-up]" in host.log())
    time.sleep(4)
    assert host.running
    hooks.write("check", "exit 0")
    wait_for(lambda: facts(host)["hosts"][1]["xapi_error"] is None)
    host.daemon.signal(signal.SIGTERM)
    assert host.daemon.wait(10) == 0


# The licence

def test_a_host_without_a_licence_is_not_started_and_says_so_with_5(pool_of):
    pool = pool_of(1)
    pool.initialise()
    host = pool.hosts[0]
    hooks = Hooks(host, XapiLicenseCheckTimeout=1)
    options = ["--config=" + host.config] + hooks.options
    for text, said in (("echo expired; exit 1", "exit code 1, expired"),
                       ("sleep 600", "no end after 1")):
        hooks.write("license", text)
        result = host.command("start-daemon", *options)
        assert result.code == 5, result
        assert said in result.err and len(result.err.strip().splitlines()) == 1
        assert said in host.log()
    hooks.write("license", "exit 0")
    hooks.write("check", "exit 0")
    assert host.command("start-daemon", *options).code == 0
    host.must("disarm-fencing")
    host.must("stop-daemon")


# The weights

def test_a_heavy_host_outlives_two_light_ones(pool_of):
    """2 | 1, and the one counts more: what xapi's weights are for."""
    pool = pool_of(3)
    heavy = pool.hosts[2]
    # Before the daemon is there: 0, and read at its start.
    assert heavy.command("ha_set_host_weight", "vm", "4").code == 0
    pool.form()
    assert facts(heavy)["hosts"][2]["weight"] == 5
    heavy.must("set-host-weight", "vm", "9")
    heavy.must("set-host-weight", "storage", "1")
    assert "Weight of this host will be 11." in heavy.log()
    with open(heavy.path("/run/xhad.weight"), "a") as file:
        file.write("torn")
    refused = heavy.command("reload-host-weight")
    assert refused.code == 2 and "line 3" in refused.err
    assert "[weight-file-bad]" in heavy.log()
    pool.network.part([0, 1], [2])
    for light in pool.hosts[:2]:
        assert light.daemon.wait(60) == FENCED
    pool.wait_live([2], [2], 60)
    assert facts(heavy)["hosts"][2]["weight"] == 11


# The bond

def test_links_of_a_bond_that_are_pulled_are_said_and_warned_of(pool_of):
    pool = pool_of(1)
    pool.initialise()
    host = pool.hosts[0]
    made = host.door.run(["ip", "link", "add", "bond0", "type", "bond", "mode", "active-backup",
                          "miimon", "100"])
    if made.code != 0:
        pytest.skip("this kernel has no bonding driver: " + made.err.strip())
    for link in ("0", "1"):
        host.door.must("ip", "link", "add", "link" + link, "type", "veth", "peer", "name",
                       "port" + link)
        host.door.must("ip", "link", "set", "link" + link, "master", "bond0")
        host.door.must("ip", "link", "set", "port" + link, "up")
    host.door.must("ip", "link", "set", "bond0", "up")
    host.write_config(bond="bond0")
    since = pool.start([0])
    pool.wait_live([0], [0], 30, since)
    wait_for(lambda: "[bond-good]" in host.log())
    for link, message in (("0", "[bond-degraded]"), ("1", "[bond-error]")):
        host.door.must("ip", "link", "set", "port" + link, "down")
        wait_for(lambda: message in host.log())
        assert facts(host)["warnings"]["network_bonding_error"]
    for link in ("0", "1"):
        host.door.must("ip", "link", "set", "port" + link, "up")
    wait_for(lambda: host.log().count("[bond-good]") == 2)
    assert not facts(host)["warnings"]["network_bonding_error"]


def test_a_heartbeat_interface_that_is_no_bond_is_said_once(pool_of):
    pool = pool_of(1)
    pool.initialise()
    host = pool.hosts[0]
    host.write_config(bond="eth0")
    since = pool.start([0])
    pool.wait_live([0], [0], 30, since)
    time.sleep(11)
    assert host.log().count("[bond-absent]") == 1
    assert not facts(host)["warnings"]["network_bonding_error"]
