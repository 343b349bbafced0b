"""How fast the simulator is: simulated host-hours per second of one core.

The pool is undisturbed, with t1 = t2 = 4 s; every datagram and every record is really encoded
and decoded.  Beside it stands the time of a bare loop of the same interpreter, so that
machines can be compared.
"""
import json
import os
import sys
import time

TESTS = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
sys.path.insert(0, TESTS)
__import__("conftest")  # Makes src/ importable as xha.

from xha import crc, simpool  # noqa: E402

DEFAULTS = {"HeartbeatInterval": 4, "HeartbeatTimeout": 30, "StateFileInterval": 4,
            "StateFileTimeout": 30, "HeartbeatWatchdogTimeout": 30,
            "StateFileWatchdogTimeout": 45, "BootJoinTimeout": 90, "EnableJoinTimeout": 90}

#: Passes of the bare loop.
LOOP = 2000000


def cpu_s(call):
    """CPU seconds that a call takes."""
    began = time.process_time()
    call()
    return time.process_time() - began


def bare_loop():
    total = 0
    for number in range(LOOP):
        total += number & 7
    return total


def speed(hosts, minutes):
    """Simulated host-hours per CPU second."""
    pool = simpool.Pool(simpool.settings_of(hosts, DEFAULTS))
    pool.form()
    return hosts * minutes / 60 / cpu_s(lambda: pool.run(minutes * 60000))


def main():
    loop_s = min(cpu_s(bare_loop) for _ in range(3))
    report = {"python": sys.version.split()[0], "compiled_crc": crc.is_compiled() or False,
              "bare_loop_s": round(loop_s, 4)}
    for hosts, minutes in ((3, 30), (16, 2), (64, 1)):
        report["host_hours_per_s_of_{}".format(hosts)] = round(max(
            speed(hosts, minutes) for _ in range(2)), 2)
    print(json.dumps(report, sort_keys=True))


if __name__ == "__main__":
    main()
