"""doctor and timing beside real daemons: they see what is wrong, in time, and harm nothing.

In time: ``Host.command`` gives up after 60 s, whatever hangs.
"""

import json
import os
import sys

import pytest

from rig import fuse, namespaces
from rig.network import UDP_PORT, address

TAKE_THE_PORT = """
import socket, time
taken = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
taken.bind(("{}", {}))
print("taken", flush=True)
time.sleep(600)
"""


def doctor(host, *words):
    """Code, and by check the findings of that check."""
    words = words if any(word.startswith("--seconds") for word in words) else (
        words + ("--seconds=1",))
    result = host.command("doctor", "--format=json", "--config=" + host.config, *words)
    told = json.loads(result.out)
    assert told["exit_code"] == result.code, result
    found = {}
    for one in told["findings"]:
        found.setdefault(one["check"], []).append(one)
    return result.code, found


def levels(findings):
    return [one["level"] for one in findings]


def said(findings):
    return " ".join(one["text"] for one in findings)


def test_beside_an_armed_pool_it_sees_a_healthy_one_and_harms_nothing(pool_of):
    pool = pool_of(3)
    pool.form()
    before = pool.disk.counts()
    for host in pool.hosts:
        # Two cycles, and one for a busy machine.
        code, found = doctor(host, "--pool", "--seconds=4")
        assert code == 0, found
        assert "armed" in said(found["daemon"])
        assert "is the daemon's (pid " in said(found["UDP port"])
        assert "running daemon's" in said(found["left timers"])
        assert levels(found["contents"]) == levels(found["records"]) == ["ok"]
        assert levels(found["xapi check"]) == ["ok"]
        assert "readings: median" in said(found["disk latency"])
        for index in range(3):
            name = "host {}{}".format(index, "*" if index == host.index else "")
            assert "writes now" in said(found[name]) and "heard" in said(found[name])
            assert "its wall clock" not in said(found[name]), "one machine has one clock"
        assert "xha " in said(found["versions"])
    after = pool.disk.counts()
    for host in pool.hosts:
        assert host.running and len(host.runs) == 1
        assert host.watch.now.live == (0, 1, 2)
        for section in range(1, 66):
            name = "section{}".format(section)
            if section != 1 + host.index:
                assert after[host.index].get(name) == before[host.index].get(name), (
                    "nobody wrote what the daemon does not")


def test_hosts_that_go_by_other_configurations_are_told(pool_of):
    pool = pool_of(3)
    pool.hosts[1].write_config(Ws=9)
    pool.hosts[2].write_config(Tenable=21)
    pool.form()
    code, found = doctor(pool.hosts[0], "--pool", "--seconds=4")
    assert code == 0, found
    told = found["configurations"]
    assert levels(told) == ["warning", "warning", "ok"]
    assert "host 1 goes by another configuration: Ws 9 s (here 8 s); it is reset" in said(told)
    assert "host 2 goes by another configuration: Tenable 21 s (here 20 s)" in said(told)
    assert "hosts 0 go by this configuration" in said(told)
    # Its own daemon and file differ once the file is changed under it.
    pool.hosts[0].write_config(Ws=10)
    _, found = doctor(pool.hosts[0], "--pool", "--seconds=4")
    assert "host 0 goes by another configuration: Ws 8 s (here 10 s)" in said(
        found["configurations"])
    assert "Ws 8 s instead of 10 s" in said(found["time-outs"])


def test_timing_takes_what_the_daemon_has_measured_and_needs_no_disk(pool_of):
    pool = pool_of(2)
    pool.form()
    host = pool.hosts[0]
    told = json.loads(host.must("timing", "--format=json", "--config=" + host.config).out)
    assert told["measured"]["statefile_ms"] is not None
    assert told["chains"][0]["safe"] and told["chains"][1]["safe"]
    pool.disk.fault([0, 1], "hang")
    text = host.must("timing", "--config=" + host.config).out
    assert text.count("  SAFE: the latest reset is at ") == 2


def test_with_the_daemon_down_it_is_said_and_all_else_is_looked_at(pool_of):
    pool = pool_of(1)
    pool.initialise()
    code, found = doctor(pool.hosts[0])
    assert code == 0, found
    assert "none runs" in said(found["daemon"])
    assert levels(found["UDP port"]) == ["ok"] and "is free" in said(found["UDP port"])
    host = pool.hosts[0]
    assert "Nothing was measured" in host.must("timing", "--config=" + host.config).out


def test_a_state_file_that_hangs_is_told_in_time(pool_of):
    pool = pool_of(2)
    pool.form()
    host = pool.hosts[0]
    # Under the daemon that runs, too: it holds on for Ws, and doctor holds nothing up.
    pool.disk.fault([0], "hang")
    code, found = doctor(host)
    assert (code, levels(found["State-File"])) == (8, ["failure"])
    assert "did not answer within" in said(found["State-File"])
    assert levels(found["interface"]) == ["ok"], "the rest is looked at all the same"
    code, found = doctor(host, "--pool")
    assert (code, levels(found["pool"])) == (8, ["unknown"])


def test_a_file_system_that_hangs_whole_is_told_in_time(pool_of):
    """Already the question whether the State-File is there is not answered."""
    host = pool_of(1).hosts[0]
    folder = os.path.join(host.folder, "dead")
    os.mkdir(folder)
    # Nobody serves it.
    descriptor = host.door.do(lambda: fuse.Connection(folder)).descriptor
    try:
        host.write_config(statefile=folder + "/sf")
        code, found = doctor(host)
    finally:
        os.close(descriptor)
    assert (code, levels(found["State-File"])) == (8, ["failure"])
    assert "did not answer within" in said(found["State-File"])
    assert levels(found["interface"]) == ["ok"], "the rest is looked at all the same"


def test_a_state_file_that_fails_is_told_as_that(pool_of):
    pool = pool_of(1)
    pool.initialise()
    pool.disk.fault([0], "fail", "r")
    code, found = doctor(pool.hosts[0])
    assert code == 8
    assert "Input/output error" in said(found["disk latency"]) + said(found["State-File"])


def test_a_slow_state_file_is_told_as_that(pool_of):
    pool = pool_of(1)
    pool.initialise()
    pool.disk.fault([0], "slow", "r", delay_ms=1500)
    code, found = doctor(pool.hosts[0])
    assert code == 0
    assert "warning" in levels(found["disk latency"])


def test_a_port_that_somebody_else_has_is_told_with_the_code_of_the_start(pool_of):
    pool = pool_of(1)
    pool.initialise()
    host = pool.hosts[0]
    taker = host.door.popen([sys.executable, "-c", TAKE_THE_PORT.format(address(0, 4), UDP_PORT)],
                            stdout=-1)
    try:
        assert taker.stdout.readline() == b"taken\n"
        code, found = doctor(host)
        assert (code, levels(found["UDP port"])) == (2, ["failure"])
        assert "python" in said(found["UDP port"])
        assert host.command("start-daemon", "--config=" + host.config).code == 2
    finally:
        taker.kill()
        taker.wait()
        taker.stdout.close()
    assert doctor(host)[0] == 0


RULES = [
    # rules, code, level, why
    ("add rule inet x in udp dport {port} drop", 12, "failure", "the port is dropped"),
    ("add rule inet x in ct state established accept; add rule inet x in drop", 0, "warning",
     "it lives on what went out"),
    ("add rule inet x in udp dport {port} accept; add rule inet x in drop", 0, "ok", "it is open"),
]


@pytest.mark.parametrize("rules, code, level, why", RULES, ids=[row[-1] for row in RULES])
def test_a_firewall_is_judged_by_its_rules(pool_of, rules, code, level, why):
    pool = pool_of(2)
    pool.initialise()
    host = pool.hosts[0]
    host.door.must("nft", "-f", "-", given=(
        "add table inet x\nadd chain inet x in {{ type filter hook input priority 0; }}\n"
        + rules.replace("; ", "\n") + "\n").format(port=UDP_PORT))
    found_code, found = doctor(host)
    assert (found_code, levels(found["firewall"])) == (code, [level]), found["firewall"]


def test_a_broken_configuration_is_told_and_the_host_is_looked_at(pool_of):
    pool = pool_of(1)
    host = pool.hosts[0]
    host.write_config(t1=0)
    code, found = doctor(host)
    assert (code, levels(found["configuration"])) == (7, ["failure", "unknown"])
    assert "HeartbeatInterval" in said(found["configuration"])
    assert "left timers" in found and "real time" in found
    assert host.command("timing", "--config=" + host.config).code == 7


def test_a_daemon_that_hangs_is_told(pool_of):
    import signal
    pool = pool_of(1)
    pool.form()
    host = pool.hosts[0]
    host.daemon.signal(signal.SIGSTOP)
    code, found = doctor(host)
    assert (code, levels(found["daemon"])) == (3, ["failure"])
    assert "does not answer" in said(found["daemon"])
    assert "does not say" in said(found["xapi check"])
    assert isinstance(host.command("timing", "--config=" + host.config), namespaces.Result)
    host.daemon.signal(signal.SIGCONT)
