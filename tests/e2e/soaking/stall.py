"""Notices when this machine stands still: prints when, and for how many seconds.

A process of its own, so that nothing the soak itself computes counts as the machine's fault.  It
ends with its standard input.
"""

import select
import time

PERIOD_S = 0.05
#: What is worth a line, s.
LONG_S = 0.2

if __name__ == "__main__":
    while True:
        before = time.monotonic()
        if select.select([0], [], [], PERIOD_S)[0]:
            break
        late_s = time.monotonic() - before - PERIOD_S
        if late_s > LONG_S:
            print(before, late_s, flush=True)
