"""What the flight recorder of a host kept over a reset.

"After each reset the last event before it is at most 1 s old" says that nothing is lost which
happened more than a second before the reset.  What that demands is another thing for each way in
which a host ends:

- *It fences itself*, or *a timer runs out while its daemon lives*.  The daemon records until the
  end: a fence is itself an event, and who is about to be reset by a timer has long been close to a
  time-out, so it is measured twice a second.  The newest record is at most ``FRESH_S`` old, and
  that of a fence is its reason.
- *Its power is cut*, or *its daemon is killed or stopped*.  A host at rest has nothing to record
  for up to 20 s, so an old newest record is no loss; and a daemon that is dead records nothing.
  Here the test makes something happen ``FRESH_S`` before the end (``mark``), and it must be there.

The disk on which the recorder is (the root of the control domain) keeps over a reset, and over a
power cut, what was synced, and no more.

Nobody looks into the host while it is reset, so two clocks are compared: records have the time of
the host, the reset that of this machine, when the rig heard of it.  A reading says how the two
stood, but for the time that the question took; each reading gives an instant before which the
record was not made, less what two clocks drift, and the latest of these counts.  So an age that
is told here is too great, if anything, by ``LATE_S`` at most on a machine that works.
"""
import json
import time
from collections import namedtuple

from dom0 import ARCHIVE
from order import DRIFT, Reading

#: What happened this long before the end is not lost; s.
FRESH_S = 1.0
#: How much older than it was a record may seem: the question for the clock, the way of the
#: console's lines to the rig, on a machine with other work; s.
LATE_S = 0.4

#: A boot of a host while it is up: its id, and readings of its clock.
Boot = namedtuple("Boot", "id readings")


class Lost(AssertionError):
    """The recorder did not keep what it must."""


def boot_of(host, readings=()):
    """The boot that answers now, with a reading of its clock beside ``readings``.

    ``readings`` may be a list that grows while the host lives.
    """
    return Boot(host.boot_id, [read_clock(host), readings])


def read_clock(host):
    """How the clock of a host stands."""
    asked_s = time.monotonic()
    showed_s = host.clock()
    return Reading(asked_s, time.monotonic(), showed_s)


def mark(host, boot):
    """Let the daemon record something of its own, and wait until it has to be safe."""
    done = host.run(ARCHIVE, "log-mask", "set", "debug")
    assert done.code == 0, done
    boot.readings.insert(0, read_clock(host))
    time.sleep(FRESH_S)


def lines_of(host, boot):
    """What is recorded of a boot, measurements included, the oldest first; of all its daemons.

    The host may be on a later boot, and a daemon may just begin its file.
    """
    until_s = time.monotonic() + 60
    while True:
        done = host.run(ARCHIVE, "timeline", "--format=json", "--measurements")
        found = [line for line in json.loads(done.out)["lines"]
                 if line["boot_id"] == boot.id] if done.code == 0 else []
        if found:
            return found
        if time.monotonic() > until_s:
            raise Lost("nothing is recorded of boot {}: {}".format(boot.id, done))


def not_before(wall_s, readings):
    """An instant before which a host's clock did not show this."""
    return max(one.asked_s + (wall_s - one.showed_s) - abs(wall_s - one.showed_s) / DRIFT
               for one in readings)


def age(line, readings, ended_s):
    """How much older than the end of its host a record is at most, s."""
    return ended_s - not_before(line["wall_ms"] / 1000, readings)


def require_fresh(lines, readings, ended_s, fenced):
    """Lost: the newest record is too old, or of a fence the reason is missing.  The age, s."""
    newest = age(lines[-1], readings, ended_s)
    if newest > FRESH_S + LATE_S:
        raise Lost("the newest record is {:.3f} s older than the reset:\n{}".format(
            newest, shown(lines, readings, ended_s)))
    reasons = [line for line in lines if line["name"] == "self-fencing"]
    if fenced and (not reasons or age(reasons[-1], readings, ended_s) > FRESH_S + LATE_S):
        raise Lost("it fenced itself, and its reason is not among the last records:\n{}".format(
            shown(lines, readings, ended_s)))
    return newest


def shown(lines, readings, ended_s):
    """The last records for people, each with its age."""
    return "\n".join("{:8.3f} s before  {}  {}".format(
        age(line, readings, ended_s), line["kind"], line["name"] or line["text"])
        for line in lines[-12:])


def require_mark(lines, name="log-mask-changed"):
    """Lost: what the test made happen is not there."""
    if name not in [line["name"] for line in lines]:
        raise Lost("{} is lost; the last records are {}".format(
            name, [line["text"] for line in lines[-5:]]))


def readings_before(boot, ended_s):
    """The readings of a boot that were answered before it ended."""
    *own, shared = boot.readings
    since_s = min(one.asked_s for one in own)
    return own + [one for one in list(shared) if since_s < one.asked_s
                  and one.answered_s < ended_s]


def survived(host, boot, since_s, measured):
    """Check what a host that is up again kept: its daemon lived until the reset."""
    seen = [host.find(kind, since_s) for kind in ("fired", "dying", "reset")]
    fired = seen[0] is not None
    ended_s = min(event.at_s for event in seen if event)
    lines = lines_of(host, boot)
    newest = require_fresh(lines, readings_before(boot, ended_s), ended_s, fenced=not fired)
    measured("... its newest record ({}) is older than the {} by".format(
        lines[-1]["name"] or lines[-1]["kind"], "timer's end" if fired else "fence"), newest)


def survived_with_mark(host, boot, ended_s, measured):
    """Check what a host that is up again kept: it ended without warning, or its daemon did.

    ``ended_s``: of the two, the first.
    """
    lines = lines_of(host, boot)
    require_mark(lines)
    marks = [line for line in lines if line["name"] == "log-mask-changed"]
    measured("... what happened is kept, that long before the end",
             age(marks[-1], readings_before(boot, ended_s), ended_s))
