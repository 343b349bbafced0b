"""What Xen's own log says of the end of a host: `xl dmesg`, or a console that was captured.

Theory of operation
===================

Xen speaks in its last milliseconds, on the console; a serial line or a crash kernel keeps
that, `xl dmesg` after the boot does not.  Measured on Xen 4.17 (and what newer ones say):

=====================================================  ===========================================
line                                                   how
=====================================================  ===========================================
Watchdog timer fired for domain 0                      watchdog: a timer that nobody moved ran out
Watchdog timer N fired for d0
Hardware Dom0 shutdown: watchdog rebooting machine     the same, or reason 4 was asked for
Hardware Dom0 shutdown: rebooting machine              reboot: dom0 asked for it; a fence does so,
                                                       and so does `reboot`
Hardware Dom0 halted: halting machine                  halt: dom0 was shut down
Hardware Dom0 crashed: rebooting machine in 5 seconds  crash: the kernel of dom0 panicked
Panic on CPU N:                                        panic: Xen itself
Xen version ... (the banner of a boot)                 nothing before it: no power, or a reset
                                                       from outside
=====================================================  ===========================================

A line may begin with anything (a stamp of who captured it); a date in it counts as UTC.
Source: spec 7, "Xen interface".
"""

import calendar
import re
from typing import List, NamedTuple, Tuple

from xha.records import record

#: What makes a text a log of Xen.
MARK = "(XEN)"

#: (how, pattern), the first that fits.
_LINES = [(how, re.compile(pattern)) for how, pattern in (
    ("watchdog", r"Watchdog timer (?:\d+ )?fired for (?:domain |d)0\b"),
    ("watchdog", r"Dom(?:ain )?0 shutdown: watchdog rebooting machine"),
    ("reboot", r"Dom(?:ain )?0 shutdown: rebooting machine"),
    ("halt", r"Dom(?:ain )?0 (?:halted|shutdown): halting machine"),
    ("crash", r"Dom(?:ain )?0 crashed"),
    ("panic", r"Panic on CPU \d+"),
    ("boot", r"Xen version \d"))]
_DATE = re.compile(r"(\d{4})-(\d\d)-(\d\d)[T ](\d\d):(\d\d):(\d\d)")

#: In words.
WORDS = {
    "watchdog": "Xen says that a watchdog timer of dom0 ran out",
    "reboot": "Xen says that dom0 asked for the reboot",
    "halt": "Xen says that dom0 was shut down",
    "crash": "Xen says that the kernel of dom0 crashed",
    "panic": "Xen itself panicked",
    "boot": "Xen's log shows a boot, and nothing that announced the reset",
}


@record
class XenEnd(NamedTuple):
    """One time that Xen went down, or came up without having said that it goes down."""

    how: str
    # ms since the epoch; -1: its lines have no date.
    at_ms: int


def is_log(text: str) -> bool:
    """Whether a text is a log of Xen."""
    return MARK in text


def ends(text: str) -> Tuple[XenEnd, ...]:
    """The ends that a log tells of, in its order."""
    found = []  # type: List[XenEnd]
    down = False
    for line in text.splitlines():
        if MARK not in line:
            continue
        how = next((how for how, pattern in _LINES if pattern.search(line)), "")
        if not how:
            continue
        if how == "boot":
            # The first banner of a capture follows on nothing that is known.
            if found and not down:
                found.append(XenEnd(how=how, at_ms=_date_ms(line)))
            elif not found:
                found.append(XenEnd(how="first", at_ms=_date_ms(line)))
            down = False
            continue
        if not down:
            found.append(XenEnd(how=how, at_ms=_date_ms(line)))
        down = True
    return tuple(end for end in found if end.how != "first")


def _date_ms(line: str) -> int:
    """The date of a line, ms since the epoch; -1: it has none."""
    found = _DATE.search(line)
    if not found:
        return -1
    fields = tuple(int(digits) for digits in found.groups())
    if not (1970 <= fields[0] and 1 <= fields[1] <= 12 and 1 <= fields[2] <= 31):
        return -1
    return calendar.timegm(fields + (0, 0, 0)) * 1000
