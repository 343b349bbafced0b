"""How near a fence was, by real daemons: a disk that hangs for a while, a daemon that stands still.

T1 = T2 = Wh = 10 s, Ws = 16 s, t1 = t2 = 1 s: half is 5 s, which a busy machine does not reach.
"""

import json
import re
import time

from rig import view

PATIENCE_S = 30
TIMES = {"T1": 10, "T2": 10, "Wh": 10, "Ws": 16}


def look(host):
    """What `status --format=json` says."""
    return json.loads(host.must("status", "--format=json", "--config=" + host.config).out)


def margin(told, path, of=None):
    """A path's margin."""
    found = [one for one in told["answer"]["margins"] if (one["path"], one["host"]) == (path, of)]
    assert len(found) <= 1, found
    return found[0] if found else None


def near_misses(host):
    """The near misses in the host's log."""
    return [line for line in host.log().splitlines() if "[near-miss]" in line]


def wait_for_near_miss(host):
    deadline = time.monotonic() + PATIENCE_S
    while not near_misses(host):
        assert time.monotonic() < deadline, host.log()
        time.sleep(0.1)
    return near_misses(host)[0]


def metric(place, name, **labels):
    """The value of the one metric with these labels; None: there is none."""
    wanted = {'{}="{}"'.format(*item) for item in labels.items()}
    found = [number for has, number in re.findall(
        "^{}{{(.*)}} (.*)$".format(name), place.must("metrics", "--config=" + place.config).out,
        re.MULTILINE) if wanted <= set(has.split(","))]
    assert len(found) <= 1, found
    return found[0] if found else None


def test_a_disk_that_hangs_for_more_than_half_of_its_time_out_is_shown_everywhere(pool_of):
    pool = pool_of(3, **TIMES)
    pool.form()
    host = pool.hosts[1]
    time.sleep(3)
    before = look(host)
    assert margin(before, "statefile-write")["start"]["used_ms"] < 5000, "undisturbed"
    assert not near_misses(host) and set(before["answer"]["near_misses"].values()) == {0}
    pool.disk.fault([1], "hang")
    time.sleep(5.8)
    pool.disk.fault([1], "ok")

    line = wait_for_near_miss(host)
    assert re.search(r"Near miss, \d{4} of 10000 ms to a fence were used up: State-File (writes|"
                     r"readings); a (write to|read of) \S+ took \d\.\d s \(path statefile-", line)
    told = look(host)
    worst = max((margin(told, path) for path in ("statefile-write", "statefile-read")),
                key=lambda one: one["hour"]["used_ms"])
    approach = worst["hour"]
    assert 5000 < approach["used_ms"] < 10000 and approach == worst["day"] == worst["start"]
    assert approach["slow"] in ("write", "read") and 2500 < approach["slow_ms"] < 10000
    assert abs(approach["wall_ms"] / 1000 - time.time()) < 60
    assert told["answer"]["near_misses"][worst["path"]] == 1
    assert "near-miss" in {concern["name"] for concern in told["concerns"]}
    screen = host.must("status", "--config=" + host.config).out
    assert re.search(r"^ Closest    in 24 h: State-File (writes|readings) \d\.\d of 10\.0 s  ",
                     screen, re.MULTILINE), screen
    ratio = metric(host, "xha_timeout_used_ratio", path=worst["path"], window="hour")
    assert 0.5 < float(ratio) < 1
    assert metric(host, "xha_near_misses_total", path=worst["path"]) == "1"
    assert metric(host, "xha_host_timeout_used_ratio", path="heard", host="2") is not None

    lines = json.loads(host.must("timeline", "--format=json").out)["lines"]
    event, = [one for one in lines if one["name"] == "near-miss"]
    assert event["level"] == "warning" and event["fields"]["path"].startswith("statefile-")
    for other in pool.hosts:
        assert other.running and other.watch.now.live == (0, 1, 2)
    # xapi's XML is as it was.
    assert "margin" not in host.must("query-liveset").out


def test_a_daemon_that_stands_still_is_its_own_near_miss_and_blames_nobody(pool_of):
    pool = pool_of(2, **TIMES)
    pool.initialise()
    for one in pool.hosts:
        one.start("--enable-faults")
    pool.wait_live([0, 1], [0, 1], 40)
    host = pool.hosts[0]
    time.sleep(3)
    view.converse(host.control, b"xha/1\tfault\tset\tdaemon.stall=6000\n")
    line = wait_for_near_miss(host)
    assert "; the daemon was busy for " in line
    told = look(host)
    assert 5000 < margin(told, "loop")["hour"]["used_ms"] < 10000
    assert margin(told, "loop")["hour"]["slow"] == "turn"
    assert margin(told, "heard", of=1)["hour"]["used_ms"] < 5000
    assert len(near_misses(host)) == 1, "one message for all that it made late"


def test_a_host_that_dies_is_no_near_miss_of_the_others(pool_of):
    pool = pool_of(3, **TIMES)
    pool.form()
    time.sleep(3)
    crashed_at = pool.crash(2)
    pool.wait_live([0, 1], [0, 1], 45, crashed_at)
    for host in pool.hosts[:2]:
        told = look(host)
        for path in ("heard", "record"):
            one = margin(told, path, of=2)
            assert one["start"] is None or one["start"]["used_ms"] <= one["near_ms"]
            assert one["used_now_ms"] is None, "nobody expects anything of it"
        assert not [line for line in near_misses(host) if "host 2" in line]
