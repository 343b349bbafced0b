"""What a daemon at rest costs, and what of it the flight recorder: processor time, locked memory.

    python3 -B tests/e2e/rest.py [--python=PATH] [--archive=PATH] [--seconds=N]

Three pools of three real daemons each, t1 = t2 = 4 s, run side by side, so that whatever else
this machine does it does to all of them: one as built, one without the recorder, and one whose
calls of the recorder are timed (``rest_daemon.py``).  Needs root, as the end-to-end tests do.

The recorder's share is told twice.  *By its parts*: the processor time of its thread, and that of
all calls of it by others.  That is the figure with a budget, for it is steady.  *By difference*:
what the pool as built takes more than the one without, in spans of some seconds; the mean, and
how far off it may be (two standard errors), which on a busy machine is more than the whole share.

Locked memory is VmLck: what the kernel counts.  It is in KiB, of the host that has most.
The result is a line of JSON; ends with 1 when a budget is exceeded.
"""
import argparse
import json
import os
import re
import signal
import statistics
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, HERE)

from rig.pool import Pool  # noqa: E402  (it stands beside this file)

ROOT = os.path.dirname(os.path.dirname(HERE))
DRIVER = os.path.join(HERE, "rest_daemon.py")
MODES = ("built", "without", "timed")
HOSTS = 3
SETTINGS = {"t1": 4, "T1": 30, "t2": 4, "T2": 30, "Wh": 30, "Ws": 45, "Tboot": 90,
            "Tenable": 90}

#: From "all online" until a pool is at rest, s; and a span by which two pools are compared, s.
SETTLE_S, SPAN_S = 10, 5

#: The recorder's share of the daemon's processor time, %; locked memory by Python, KiB.
SHARE_MAX = 2.0
LOCKED_MAX = {"3.6": 20 * 1024, "3.12": 24 * 1024}


def cpu_ns(pid):
    """Processor time of a process by the name of its threads, in the order they were started."""
    found = []
    for thread in sorted(map(int, os.listdir("/proc/{}/task".format(pid)))):
        with open("/proc/{}/task/{}/schedstat".format(pid, thread)) as file:
            found.append(int(file.read().split()[0]))
    return found


def recorder_thread(pid):
    """Which of the threads of ``cpu_ns`` is the recorder's: it waits for its pipe alone.

    The recorder is started right after the log's thread, before any other: the third.
    """
    assert len(cpu_ns(pid)) >= 4, "a daemon has a loop, a log, a recorder and a State-File"
    return 2


def memory_kib(pid):
    """VmLck and VmRSS."""
    with open("/proc/{}/status".format(pid)) as file:
        text = file.read()
    return {name: int(re.search(name + r":\s+(\d+)", text).group(1))
            for name in ("VmLck", "VmRSS")}


def cost_of(host):
    """What the recorder has cost a timed daemon so far in threads that are not its own.

    By function: calls, and ns.
    """
    place = host.path("/run/recorder-cost")
    if os.path.exists(place):
        os.unlink(place)
    host.daemon.signal(signal.SIGURG)
    deadline = time.monotonic() + 30
    while not os.path.exists(place):
        assert time.monotonic() < deadline, "a timed daemon does not answer"
        time.sleep(0.05)
    with open(place) as file:
        return json.load(file)


def spent_on(before, after):
    """The sums over hosts, by function: calls, and ns, between two moments."""
    return {name: [sum(late[name][part] - early[name][part] for early, late in zip(before, after))
                   for part in (0, 1)] for name in after[0]}


def form(python, archive, pools):
    """Three pools, formed."""
    made = {}
    for mode in MODES:
        pool = Pool(HOSTS, [python, "-ISB", DRIVER, archive, mode], **SETTINGS)
        pools.append(pool)
        made[mode] = pool.hosts
        pool.initialise()
        pool.start()
    for pool in pools:
        pool.wait_live(range(HOSTS), range(HOSTS), 120)
        for host in pool.hosts:     # It looks all the time: at rest nobody does.
            host.watch.stop()
            host.__dict__["_watch"] = None
    return made


def measure(hosts, seconds):
    """The figures, from pools that are at rest."""
    pids = {mode: [host.daemon.pid for host in hosts[mode]] for mode in MODES}
    threads = [recorder_thread(pid) for pid in pids["built"]]
    calls = [cost_of(host) for host in hosts["timed"]]
    began = {mode: [cpu_ns(pid) for pid in pids[mode]] for mode in MODES}
    began_s = time.monotonic()
    spans, before = [], {mode: sum(map(sum, began[mode])) for mode in MODES}
    while time.monotonic() < began_s + seconds:
        time.sleep(SPAN_S)
        now = {mode: sum(sum(cpu_ns(pid)) for pid in pids[mode]) for mode in MODES}
        spans.append((now["built"] - before["built"], now["without"] - before["without"]))
        before = now
    ended = {mode: [cpu_ns(pid) for pid in pids[mode]] for mode in MODES}
    took_s = time.monotonic() - began_s
    calls = spent_on(calls, [cost_of(host) for host in hosts["timed"]])
    spent = {mode: sum(map(sum, ended[mode])) - sum(map(sum, began[mode])) for mode in MODES}
    thread_ns = sum(end[number] - begin[number] for end, begin, number
                    in zip(ended["built"], began["built"], threads))
    loop_ns = sum(ns for _, ns in calls.values())
    differences = [100 * (with_it - without) / with_it for with_it, without in spans]
    return {
        "seconds": round(took_s, 1),
        "cpu_ms_per_s": round(spent["built"] / 1e6 / took_s / HOSTS, 3),
        "cpu_ms_per_s_without_recorder": round(spent["without"] / 1e6 / took_s / HOSTS, 3),
        "recorder_thread_us_per_s": round(thread_ns / 1e3 / took_s / HOSTS, 2),
        "recorder_calls_us_per_s": round(loop_ns / 1e3 / took_s / HOSTS, 2),
        "recorder_calls": {
            name: {"per_s": round(count / took_s / HOSTS, 2), "us": round(ns / 1e3 / count, 2)}
            for name, (count, ns) in sorted(calls.items()) if count},
        "recorder_share_percent": round(100 * (thread_ns + loop_ns) / spent["built"], 2),
        "recorder_share_percent_by_difference": [
            round(100 - 100 * spent["without"] / spent["built"], 2),
            round(2 * statistics.pstdev(differences) / len(differences) ** 0.5, 2)],
        "locked_kib": max(memory_kib(pid)["VmLck"] for pid in pids["built"]),
        "locked_kib_without_recorder": max(memory_kib(pid)["VmLck"] for pid in pids["without"]),
        "resident_kib": max(memory_kib(pid)["VmRSS"] for pid in pids["built"]),
    }


def exceeded(figures):
    """What is above its budget, in words."""
    words = []
    if figures["recorder_share_percent"] > SHARE_MAX:
        words.append("the recorder takes {} % of the daemon's processor time, more than {}".format(
            figures["recorder_share_percent"], SHARE_MAX))
    most = LOCKED_MAX.get(".".join(figures["python"].split(".")[:2]), figures["locked_kib"])
    if figures["locked_kib"] > most:
        words.append("{} KiB are locked, more than {}".format(figures["locked_kib"], most))
    return words


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--python", default="/usr/bin/python3")
    parser.add_argument("--archive", default=os.path.join(ROOT, "dist", "xha.pyz"))
    parser.add_argument("--seconds", type=int, default=60)
    options = parser.parse_args()
    pools = []
    try:
        hosts = form(options.python, os.path.abspath(options.archive), pools)
        time.sleep(SETTLE_S)
        figures = measure(hosts, options.seconds)
    finally:
        for pool in pools:
            pool.close()
    figures["python"] = os.popen("{} -c 'import platform; print(platform.python_version())'"
                                 .format(options.python)).read().strip()
    print(json.dumps(figures, sort_keys=True))
    words = exceeded(figures)
    for word in words:
        print("over budget: " + word, file=sys.stderr)
    sys.exit(1 if words else 0)


if __name__ == "__main__":
    main()
