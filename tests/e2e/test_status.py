"""``status`` and ``metrics`` beside real daemons: well, silent, dead, and without a disk."""

import json
import os
import re
import signal
import time

import pytest


def look(host):
    """Exit code and JSON of a look at a host."""
    result = host.command("status", "--format=json", "--config=" + host.config)
    assert result.err == "", result
    return result.code, json.loads(result.out)


def names(told):
    return {concern["name"] for concern in told["concerns"]}


def metric(host, name):
    """The value of a metric without labels, through a file."""
    place = host.path("/run/x.prom")
    host.must("metrics", "--config=" + host.config, "--output=/run/x.prom")
    with open(place) as file:
        text = file.read()
    assert text.endswith("# EOF\n")
    assert sorted(entry for entry in os.listdir(os.path.dirname(place)) if "x.prom" in entry) == [
        "x.prom"]
    found = re.findall("^{} (.*)$".format(name), text, re.MULTILINE)
    return found[0] if found else None


def test_a_pool_that_is_well_is_shown_and_nothing_is_touched(pool_of):
    pool = pool_of(3)
    pool.form()
    host = pool.hosts[0]
    code, told = look(host)
    assert (code, told["source"], told["answer"]["current_liveset"]) == (0, "daemon", [0, 1, 2])
    assert told["build"]
    text = host.must("status", "--config=" + host.config).out
    assert "liveset 111" in text and "0 hears  O O O" in text
    assert all(len(line) <= 100 for line in text.splitlines())
    assert (metric(host, "xha_up"), metric(host, "xha_liveset_hosts")) == ("1", "3")


def test_looking_takes_nothing_from_xapi(pool_of):
    """The longest latency since xapi's last query is still there for xapi."""
    pool = pool_of(1)
    pool.form()
    host = pool.hosts[0]
    longest = "<statefile_latency_max>([0-9]+)</"
    before = int(re.search(longest, host.must("query-liveset").out).group(1))
    for _ in range(3):
        host.must("status", "--config=" + host.config)
        host.must("metrics")
    assert int(re.search(longest, host.must("ha_query_liveset").out).group(1)) >= before


def test_a_stopped_daemon_is_silent_and_the_others_say_who_is_missing(pool_of):
    pool = pool_of(3)
    pool.form()
    victim = pool.hosts[2]
    stopped_at = victim.daemon.signal(signal.SIGSTOP)
    code, told = look(victim)
    assert (code, told["source"]) == (3, "statefile")
    assert "daemon-silent" in names(told)
    assert (metric(victim, "xha_up"), metric(victim, "xha_daemon_running")) == ("0", "1")
    pool.wait([0, 1], lambda view: 2 not in view.live, 60, "it is dropped", stopped_at)
    code, told = look(pool.hosts[0])
    assert code == 0 and "hosts-not-live" in names(told)
    victim.kill()


def test_a_host_whose_daemon_was_killed_shows_what_its_state_file_says(pool_of):
    pool = pool_of(3, watchdog="USER")
    pool.form()
    victim = pool.hosts[2]
    victim.kill()
    code, told = look(victim)
    assert (code, told["source"]) == (14, "statefile")
    assert {"no-daemon", "timers-run"} <= names(told)
    assert len(told["statefile"]["hosts"]) == 3
    assert metric(victim, "xha_up") == "0"
    text = victim.command("status", "--config=" + victim.config)
    assert text.code == 14 and "no daemon" in text.out and "armed" in text.out


@pytest.mark.parametrize("fault", ["hang", "fail"])
def test_a_disk_that_hangs_or_fails_delays_nobody(pool_of, fault):
    pool = pool_of(1)
    host = pool.hosts[0]
    pool.initialise()
    pool.disk.fault([0], fault)
    code, told = look(host)
    assert (code, told["source"]) == (14, "statefile" if told["statefile"] else "configuration")
    assert names(told) & {"statefile-unavailable", "global-record-corrupt"}
    assert metric(host, "xha_up") == "0"
    pool.disk.fault([0], "ok")


def test_watching_shows_a_daemon_that_goes_and_comes_back_and_ends_with_ctrl_c(pool_of):
    pool = pool_of(1)
    pool.form()
    host = pool.hosts[0]
    # Whoever runs the tests may ignore it (a shell's &); that would be inherited.
    kept = signal.signal(signal.SIGINT, signal.default_int_handler)
    watching = host.start_as("xha.pyz", ["status", "--watch", "--config=" + host.config])
    signal.signal(signal.SIGINT, kept)
    seen = host.path("/var/log/daemon.out")

    def wait_for(words):
        deadline = time.monotonic() + 60
        while True:
            with open(seen) as file:
                text = file.read()
            if all(re.search(word, text, re.DOTALL) for word in words):
                return
            assert time.monotonic() < deadline, text
            time.sleep(0.2)
    wait_for(["online  armed"])
    host.kill()
    wait_for(["online  armed.*no daemon"])
    host.start()
    wait_for(["online  armed.*no daemon.*online  armed"])
    watching.send_signal(signal.SIGINT)
    assert watching.wait(15) == 0
