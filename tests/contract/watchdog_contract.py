"""What every Xen answers to the watchdog's calls: run against the fake and the real one.

Each row is (call, answer, why); the calls of one table are made in their order, on a domain
whose two timers are both free, and leave them free.  ``check`` also runs in the control
domain of a real host, so this module wants nothing but the standard library and ``xha``.

Source: spec 7, "Xen interface".
"""
import errno

from xha.xenhypercall import NEVER_S, XenRefused

LAW = [
    (("create_timer", 60), 1, "the first timer of a domain has id 1"),
    (("create_timer", NEVER_S), 2, "the longest time-out is taken"),
    (("create_timer", 60), errno.ENOSPC, "a domain has two timers"),
    (("create_timer", 1), errno.ENOSPC, "however short the third would be"),
    (("set_timer", 1, 60), None, "a timer in use can be set"),
    (("set_timer", 1, 45), None, "also to a shorter time"),
    (("set_timer", 2, NEVER_S), None, "also to never"),
    (("set_timer", 3, 60), errno.EINVAL, "there is no third timer"),
    (("stop_timer", 3), errno.EINVAL, "nor can it be stopped"),
    (("set_timer", 0xFFFFFFFF, 60), errno.EINVAL, "nor is there a last one"),
    (("stop_timer", 1), None, "a timer in use can be stopped"),
    (("stop_timer", 1), errno.EINVAL, "once"),
    (("set_timer", 1, 60), errno.EINVAL, "a timer that is stopped cannot be set"),
    (("create_timer", 60), 1, "the lowest free id is given again"),
    (("stop_timer", 1), None, "any timer can be stopped"),
    (("stop_timer", 2), None, "the other one, too"),
    (("stop_timer", 2), errno.EINVAL, "and both are free"),
]


def answer(xen, call):
    """What Xen says: a value, or an errno."""
    try:
        return getattr(xen, call[0])(*call[1:])
    except XenRefused as refused:
        return refused.number


def check(xen):
    """Make the calls of LAW; return (call, expected, answer, why) of each that was wrong."""
    given = [(call, expected, answer(xen, call), why) for call, expected, why in LAW]
    return [row for row in given if row[1] != row[2]]
