"""How fast the simulator is: simulated host-hours per second of one core; and what of it counts.

The pool is undisturbed, with t1 = t2 = 4 s; every datagram and every record is really encoded
and decoded.  Two of the daemon's own budgets stand beside it: the decoding of a reading (spec 3:
0.5 ms for 3 hosts, 5 ms for 64), and the largest answer to xapi.  The time of a bare loop of the
same interpreter lets machines be compared.
"""
import json
import os
import sys
import time

TESTS = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
sys.path[:0] = [TESTS, os.path.join(TESTS, "unit")]
__import__("conftest")  # Makes src/ importable as xha.

import format_samples  # noqa: E402
import report_samples  # noqa: E402
from xha import crc, report, sfformat, simpool  # noqa: E402

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


def decoding_ms(hosts):
    """CPU time of the decoding of one reading, ms."""
    whole = sfformat.encode_global(format_samples.GLOBAL)
    host = sfformat.encode_host(format_samples.HOST)

    def decode():
        sfformat.section_of_global(whole)
        for _ in range(hosts):
            sfformat.section_of_host(host, 2)
    return round(1000 * min(cpu_s(decode) for _ in range(10)), 3)


def report_ms():
    """CPU time of the answer to a query about 64 hosts, ms."""
    told = report_samples.snapshot_of_64()
    return round(1000 * min(cpu_s(lambda: report.as_xml(told)) for _ in range(5)), 3)


def main():
    loop_s = min(cpu_s(bare_loop) for _ in range(3))
    figures = {"python": sys.version.split()[0], "compiled_crc": crc.is_compiled() or False,
              "bare_loop_s": round(loop_s, 4)}
    figures.update(reading_of_3_ms=decoding_ms(3), reading_of_64_ms=decoding_ms(64),
                   report_of_64_ms=report_ms())
    for hosts, minutes in ((3, 30), (16, 2), (64, 1)):
        figures["host_hours_per_s_of_{}".format(hosts)] = round(max(
            speed(hosts, minutes) for _ in range(2)), 2)
    print(json.dumps(figures, sort_keys=True))


if __name__ == "__main__":
    main()
