"""What the watchdog tests run in the control domain, with the modules of the archive beside it.

    dom0_watchdog.py free                     stop whatever timers run, forget their record
    dom0_watchdog.py contract                 make the calls of the contract; exit 1 if one is wrong
    dom0_watchdog.py take COUNT               take COUNT timers and leave them, never to fire
    dom0_watchdog.py open                     open the watchdogs, then close them
    dom0_watchdog.py expire MS                set both timers to MS from now, then nothing
    dom0_watchdog.py refresh SECONDS MS       set them each half second to MS from then, then close
    dom0_watchdog.py fence                    open, set, then fence
    dom0_watchdog.py cost COUNT               mean time of a set, microseconds
"""
import os
import sys
import time

ARCHIVE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "xha.pyz")
sys.path.insert(0, ARCHIVE)

import _xha  # noqa: E402  (from the archive)

_xha.prepare(ARCHIVE)

import watchdog_contract  # noqa: E402
from xha import watchdog  # noqa: E402
from xha.actions import Watchdog  # noqa: E402
from xha.errors import XhaError  # noqa: E402
from xha.paths import Paths  # noqa: E402
from xha.published import WatchdogMode  # noqa: E402
from xha.xenhypercall import NEVER_S, Privcmd, XenRefused  # noqa: E402


def say(text):
    """A line at once: on the console it gets the time of its arrival."""
    print(text, flush=True)


def now_ms():
    return int(time.monotonic() * 1000)


def opened():
    dogs = watchdog.open_watchdogs(WatchdogMode.HYPERVISOR, Paths(), "", now_ms,
                                   {Watchdog.HEARTBEAT: 10000, Watchdog.STATEFILE: 15000})
    try:
        for one in dogs.open():
            say("{} {}".format(one.name, dict(one.fields)))
    except XhaError as error:
        say(str(error))
        sys.exit(int(error.code))
    return dogs


def set_both(dogs, duration_ms):
    for one in Watchdog:
        dogs.set(one, now_ms() + duration_ms)


def free():
    watchdog.cleanup(Paths(), True)
    xen = Privcmd()
    for ident in (1, 2):
        try:
            xen.stop_timer(ident)
        except XenRefused:
            pass


def contract():
    wrong = watchdog_contract.check(Privcmd())
    for row in wrong:
        say(str(row))
    sys.exit(1 if wrong else 0)


def take(count):
    xen = Privcmd()
    for _ in range(int(count)):
        say("took timer {}".format(xen.create_timer(NEVER_S)))


def open_and_close():
    opened().close()


def expire(duration_ms):
    dogs = opened()
    set_both(dogs, int(duration_ms))
    say("timers are set")
    time.sleep(600)


def refresh(seconds, duration_ms):
    dogs = opened()
    until = time.monotonic() + float(seconds)
    while time.monotonic() < until:
        set_both(dogs, int(duration_ms))
        time.sleep(0.5)
    dogs.close()
    say("closed")


def fence():
    dogs = opened()
    set_both(dogs, 60000)
    say("fencing now")
    dogs.fence("the test wants it")


def cost(count):
    dogs = opened()
    began = time.monotonic()
    for _ in range(int(count)):
        dogs.set(Watchdog.HEARTBEAT, now_ms() + 60000)
    say("{:.1f}".format((time.monotonic() - began) * 1e6 / int(count)))
    dogs.close()


COMMANDS = {"free": free, "contract": contract, "take": take, "open": open_and_close,
            "expire": expire, "refresh": refresh, "fence": fence, "cost": cost}

if __name__ == "__main__":
    COMMANDS[sys.argv[1]](*sys.argv[2:])
