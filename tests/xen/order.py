"""Which came first: the end of a host, or a survivor that counts on it?

The end of a host is seen from outside, when it has happened: never too early.  When a survivor
drops it is seen in two ways, and each gives an instant *before* which it did not:

- ``drop``.  The survivor is asked for its liveset again and again, and an answer is as old as its
  question at the most: the host was not dropped before the last question that was answered with
  it.  No clock but this machine's is believed.
- ``earliest``.  The survivor's log says when, to the millisecond, by a clock of its own.  How that
  one stands is asked again and again: it was read at some time between question and answer.

So what is shown here holds however slow anybody is.  All instants are seconds of this machine's
CLOCK_MONOTONIC, unless said otherwise.
"""
from collections import namedtuple

#: A question for the liveset: when it was asked, when it was answered, and the indexes of the
#: hosts that were alive; None for these, when there was no answer or no liveset.
Look = namedtuple("Look", "asked_s answered_s live")

#: A host was dropped after the first instant and before the second.
Drop = namedtuple("Drop", "after_s before_s")

#: A question for the clock of a host: when it was asked and answered, and what the clock showed.
Reading = namedtuple("Reading", "asked_s answered_s showed_s")

#: Two clocks differ by at most one part in this many: far more than any does.
DRIFT = 100
#: A host that was stopped between a drop and the stamp of its line in the log; s.
STAMP_LATE_S = 0.25


class Unproven(AssertionError):
    """It was not shown that the host had ended before it was dropped."""


def drop(looks, index, since_s):
    """When a host was dropped by the survivor that answered these, or None: it was not yet.

    Unproven: no answer of ``since_s`` or later had the host in it.
    """
    after_s = None
    for look in looks:
        if look.live is None or look.asked_s < since_s:
            continue
        if index in look.live:
            after_s = look.asked_s
        elif after_s is None:
            raise Unproven("host {} was missing from the first answer since {:.3f}".format(
                index, since_s))
        else:
            return Drop(after_s, look.answered_s)
    return None


def earliest(shown_s, readings):
    """The instant before which the clock of a host did not show this, less ``STAMP_LATE_S``.

    Unproven: the clock was not read both before and after.
    """
    before = [one for one in readings if one.showed_s <= shown_s]
    after = [one for one in readings if one.showed_s > shown_s]
    if not before or not after:
        raise Unproven("nobody knows how the clock stood at {:.3f}".format(shown_s))
    bounds = [one.asked_s + (shown_s - one.showed_s) - abs(shown_s - one.showed_s) / DRIFT
              for one in (before[-1], after[0])]
    return min(bounds) - STAMP_LATE_S


def require_end_first(ended_s, drops):
    """Unproven: one of the drops may have come before the end of the host.

    ``drops``: by survivor, the instant before which it did not drop the host, or None.
    """
    if ended_s is None:
        raise Unproven("the end of the host was not seen")
    if not drops:
        raise Unproven("there is no survivor")
    for survivor, not_before_s in sorted(drops.items()):
        if not_before_s is None:
            raise Unproven("{} has not dropped the host".format(survivor))
        if not ended_s < not_before_s:
            raise Unproven("{} may have dropped the host at {:.3f}, and it ended at {:.3f}".format(
                survivor, not_before_s, ended_s))
