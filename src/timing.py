"""Every deadline that follows from the configuration, and why fencing is in time.

Theory of operation
===================

Four instants matter for a host V that dies or is cut off, all counted from
the moment at which V *issued* its last write (its last heartbeat is at most
t1 older, and may be a little younger):

1. V issues a heartbeat or a write.  Nobody can notice it earlier.
2. A peer notices it, and gives V up when T1 (T2) has passed without another.
3. V's watchdogs reset it at the latest Wh (Ws) after the issue: that is all
   they are ever set to.
4. The peers drop V from the liveset, and xapi starts its VMs elsewhere.

HA is safe if, and only if, 4 never comes before 3.  ``chain`` computes the
earliest and the latest of each instant, and its test asserts that inequality
over the whole permitted range of settings.  The argument, in three lines:

- V's State-File timer stands at *issue + Ws*, nothing but a write moves it,
  and a peer that noticed that write at n knows that it was issued before n.
- So V is reset by n + Ws, give or take what two clocks may differ over that
  span (``drift_ms``) and what the reset itself takes (``RESET_MS``).
- The sign-of-life guard waits for exactly this instant, for each host by
  itself; no standard wait, and no 10 s minimum, ever shortens it.

Two smaller terms hide in it.  The hypervisor counts whole seconds, and the
rest is cut off, so a timer expires early and never late.  And between reading
the clock and the hypercall the process can be paused, which stretches the
timer: more than ``SET_SLACK_MS`` is not accepted, the timer is set again.
``RESET_MS`` covers that pause and the reset together.

The standard wait alone would not do: it adds up to just Wh or Ws, with
nothing left for drift, pause and reset (``standard_margin_ms`` is the number).
It is what an xhad peer was built for, and the lower bound of every wait.

All functions are pure; times are ms.  Source: spec 2, 5, 7, 13.
"""

from typing import NamedTuple, Tuple

from xha.config import Common
from xha.published import Phase
from xha.records import record

#: Survivors never wait less than this for the dead.  Source: spec 5, fault handler, step 4.
MINIMUM_WAIT_MS = 10000
#: Two clocks differ by at most one part in this many.  Source: spec 13, proof 1.
DRIFT_DIVISOR = 1000
#: Allowed for setting the timer late and for the reset itself.  Source: spec 13, proof 1.
RESET_MS = 100
#: From the expiry of Xen's timer to the reset, measured.  Source: spec 7.
RESET_LATENCY_MS = 25
#: A timer that was set later than this after its value was computed is set again.  Spec 7 says
#: 100 ms at most; with the latency of the reset, that would be more than RESET_MS allows.
SET_SLACK_MS = 70
#: The hypervisor counts whole seconds; what is left of one is cut off.  Source: spec 7.
TIMER_UNIT_MS = 1000

#: A burst of heartbeats.  Source: spec 4.
BURST_COUNT = 3
BURST_SPACING_MS = 100

#: A State-File cycle while accelerated; the random offset of one otherwise.  Source: spec 3.
ACCELERATED_CYCLE_MS = 400
CYCLE_OFFSET_MS = 500
#: Two readings that show the same bad bytes, before a repair; patience with a State-File that
#: is all zeros (an older tool initialises it).  Source: spec 3.
REPAIR_APART_MS = 400
BLANK_PATIENCE_MS = 10000

#: Gaps within ``patience_ms`` that switch the discount for gaps off.  Source: spec 5.
GAPS_TOO_MANY = 3


def fastest_patience_ms(common: Common) -> int:
    """min(T1,T2): the last sign of a host is at least this old when it is dropped."""
    return min(common.heartbeat_timeout_ms, common.statefile_timeout_ms)


def patience_ms(common: Common) -> int:
    """max(T1,T2): within it, whatever happened to a host was noticed on both paths."""
    return max(common.heartbeat_timeout_ms, common.statefile_timeout_ms)


def beat_ms(common: Common) -> int:
    """max(t1,t2): within it, a host has shown itself on both paths."""
    return max(common.heartbeat_interval_ms, common.statefile_interval_ms)


def longest_watchdog_ms(common: Common) -> int:
    """max(Wh,Ws): what either timer is set to at most."""
    return max(common.heartbeat_watchdog_timeout_ms, common.statefile_watchdog_timeout_ms)


def drift_ms(span_ms: int) -> int:
    """What two clocks may differ by over a span, rounded up."""
    assert span_ms >= 0, span_ms
    return -(-span_ms // DRIFT_DIVISOR)


# Starting.


def start_deadline_ms(common: Common, initialising: bool) -> int:
    """From the start time to giving up: Tenable while the pool state is init, else Tboot."""
    return common.enable_join_timeout_ms if initialising else common.boot_join_timeout_ms


def forming_deadline_ms(common: Common, initialising: bool) -> int:
    """From the start time to giving up on a new liveset that others have not agreed to yet.

    Longer than the start deadline, so that a host that begins to form it just in time
    does not abort between two signs of the others.
    """
    return start_deadline_ms(common, initialising) + 3 * beat_ms(common)


# A host that stalled accuses nobody (spec 5).


def stall_gap_ms(common: Common) -> int:
    """A core not stepped for this long has stalled."""
    return max(2 * common.heartbeat_interval_ms, 500)


def reading_gap_ms(common: Common) -> int:
    """A host without a good reading for this long judges by old news."""
    return 2 * common.statefile_interval_ms + 1000


# The fault handler (spec 5).


def standard_wait_ms(common: Common) -> int:
    """How long survivors wait for the dead before they drop them, without any proof.

    From the completed FH3 rendezvous; the 10 s minimum counts from the FH4 one.  Above 0
    in every configuration that is accepted.
    """
    wait_ms = longest_watchdog_ms(common) - fastest_patience_ms(common) + beat_ms(common)
    assert wait_ms > 0, wait_ms
    return wait_ms


def wait_extension_ms(common: Common) -> int:
    """Added to the standard wait when a dropped host showed itself until lately."""
    return fastest_patience_ms(common)


def dead_wait_ms(common: Common, since_fh3_ms: int, extended: bool) -> int:
    """What is left to wait for the dead, from the completed FH4 rendezvous.

    Args:
        since_fh3_ms: ms since the FH3 rendezvous was complete.
        extended: one of the dropped hosts was in a live domain, or gave a sign of life within
            the last min(T1,T2), when it was taken out.
    """
    assert since_fh3_ms >= 0, since_fh3_ms
    extension_ms = wait_extension_ms(common) if extended else 0
    return max(standard_wait_ms(common) - since_fh3_ms + extension_ms, MINIMUM_WAIT_MS)


def rendezvous_bound_ms(common: Common, phase: Phase) -> int:
    """How long a host that is seen may stay in ``phase`` while I wait for it, from my entering.

    max(T1,T2) for me to hear of it, and the longest that a healthy peer stays there.
    """
    patience = patience_ms(common)
    if phase in (Phase.STARTED, Phase.FHREADY, Phase.FH1):
        stay_ms = patience
    elif phase is Phase.FH2:
        stay_ms = 2 * patience
    elif phase is Phase.FH4:
        stay_ms = dead_wait_ms(common, 0, True)
    else:
        stay_ms = 2 * beat_ms(common)
    return patience + stay_ms


def walk_bound_ms(common: Common) -> int:
    """How long a run of the fault handler in which nobody is stuck may last."""
    return 6 * patience_ms(common) + dead_wait_ms(common, 0, True)


def stable_heartbeat_ms(common: Common) -> int:
    """A host of the heartbeat domain heard within this is not just about to go: T1/4."""
    return common.heartbeat_timeout_ms // 4


def stable_statefile_ms(common: Common) -> int:
    """A host of the State-File domain that advanced within this is not about to go: T2/4."""
    return common.statefile_timeout_ms // 4


def merge_at_ms(common: Common, entered_at_ms: int, news_at_ms: int) -> int:
    """Until when hosts try to agree on who sees whom before views that differ are merged.

    max(T1,T2) from entering the step (spec 5), and 2*max(t1,t2) from the last news of who hears
    whom, but no longer than max(T1,T2) more.  A host that stops just after it entered is missed
    T1 after its last heartbeat: when the others are about to merge.  Who merged what it knows
    by now with what the others knew before would take a healthy host for cut off.

    Args:
        entered_at_ms: when this host began to compare views.
        news_at_ms: when a view, its own or another's, last changed since.
    """
    return max(entered_at_ms + patience_ms(common),
               min(news_at_ms + 2 * beat_ms(common), entered_at_ms + 2 * patience_ms(common)))


# When a host is certainly dead (spec 5, sign-of-life guard; spec 13, proof 1).


def certain_after_write_ms(common: Common) -> int:
    """From noticing the last advance of a sealed host to its certain reset.

    Its State-File timer stands at issue + Ws and the write was issued before it was
    noticed.  Holds only while no SR2 evidence may have moved that timer.
    """
    timeout_ms = common.statefile_watchdog_timeout_ms
    return timeout_ms + drift_ms(timeout_ms) + RESET_MS


def certain_at_ms(common: Common, sealed: bool, noticed_at_ms: int, heard_at_ms: int) -> int:
    """The instant after which a dropped host is certainly dead; a reading issued later must agree.

    Args:
        sealed: its State-File timer is known to stand at its last write: it runs xha, and no
            SR2 evidence may have moved it since.  Otherwise either timer may be the one that
            holds, moved up to max(t1,t2) after the sign that we saw; SR2 evidence is moved by
            heartbeats, so after one the larger timeout counts.
        noticed_at_ms: n, when its last advance was noticed.
        heard_at_ms: m, its last accepted heartbeat that has it in its own liveset; not after
            n when there is none.

    Source: spec 5, which counts m + Wh, and leaves drift and reset out, for a host that is
    not sealed; what is later is never less safe.
    """
    if sealed:
        return noticed_at_ms + certain_after_write_ms(common)
    longest_ms = longest_watchdog_ms(common)
    latest_at_ms = max(noticed_at_ms + common.statefile_watchdog_timeout_ms,
                       heard_at_ms + longest_ms)
    return latest_at_ms + beat_ms(common) + drift_ms(longest_ms) + RESET_MS


# Commands.


def election_bound_ms(common: Common) -> int:
    """The longest that a proposal, or a cancellation, of the master waits.  Source: spec 12."""
    return patience_ms(common) + 10000


def invalid_recheck_ms(common: Common) -> int:
    """How long whoever set the pool state to invalid checks it again.  Source: spec 3."""
    return common.statefile_watchdog_timeout_ms + common.statefile_interval_ms


def approaching(age_ms: int, timeout_ms: int) -> bool:
    """Whether an age nears its timeout: above half of it.  Source: spec 6."""
    return age_ms > timeout_ms // 2


# The proof page.


@record
class Moment(NamedTuple):
    """An instant in the death of a host, ms after it issued its last sign of life."""

    name: str
    earliest_ms: int
    # With disks and networks that answer at once; a slow one only makes peers later.
    latest_ms: int
    why: str


def latest_reset_ms(timeout_ms: int) -> int:
    """The latest reset after a proof was issued, on a clock that is not the host's own."""
    return timeout_ms + SET_SLACK_MS + RESET_LATENCY_MS + drift_ms(timeout_ms)


def cycle_ms(common: Common) -> int:
    """From one write, or reading, to the next at most, where the disk answers at once."""
    return common.statefile_interval_ms + CYCLE_OFFSET_MS


def longest_stay_ms(common: Common, phase: Phase) -> int:
    """How long this host itself stays in a phase of the walk, when nobody is stuck.

    In FH4 new signs of a condemned host make the wait longer, by a standard wait at most, and
    one reading more must agree.
    """
    guard_ms = standard_wait_ms(common) + cycle_ms(common) if phase is Phase.FH4 else 0
    return rendezvous_bound_ms(common, phase) - patience_ms(common) + guard_ms


#: The phases of the walk in which something is waited for, in order.
WALK = (Phase.FHREADY, Phase.FH1, Phase.FH2, Phase.FH3, Phase.FH4)


def longest_walk_ms(common: Common) -> int:
    """The steps of the walk together."""
    return sum(longest_stay_ms(common, phase) for phase in WALK)


def chain(common: Common, sealed: bool = True) -> Tuple[Moment, ...]:
    """The death of a host that stops at once, second by second, as it and its peers live it.

    Args:
        sealed: it runs xha, and survival rule 2 plays no part: instants count from its last
            write.  Otherwise it is an xhad peer whose loop may have moved either timer up to
            max(t1,t2) after its last sign seen: they count from that sign, on either path.

    Returns:
        The instants: issued, noticed, given up, reset, certain, dropped.
    """
    statefile_ms = common.statefile_watchdog_timeout_ms
    heartbeat_ms = common.heartbeat_watchdog_timeout_ms
    # A sealed host is certain by its State-File timer alone, whatever the other does.
    longest_ms = statefile_ms if sealed else max(heartbeat_ms, statefile_ms)
    # How much older than what is counted from the other path's last sign may be.
    spoke_ms = -common.heartbeat_interval_ms
    wrote_ms = 0 if sealed else -cycle_ms(common)
    heard_ms, seen_ms = common.heartbeat_timeout_ms, common.statefile_timeout_ms
    expires_ms = min(spoke_ms + heartbeat_ms, wrote_ms + statefile_ms)
    # The walk does not get beyond FH1 before it is out on both paths.
    gone_ms = max(spoke_ms + heard_ms, seen_ms)
    if not sealed:
        gone_ms = min(gone_ms, max(heard_ms, wrote_ms + seen_ms))
    # Noticed at once, heard at once: what could make the peers act too early.
    certain_ms = certain_at_ms(common, sealed, 0, 0)
    slow_ms = cycle_ms(common) + patience_ms(common)
    return (
        Moment(name="issued", earliest_ms=0, latest_ms=0,
               why="its last write leaves it, its last heartbeat at most t1 before" if sealed
               else "its last write, or heartbeat, leaves it"),
        Moment(name="noticed", earliest_ms=0, latest_ms=cycle_ms(common),
               why="peers read the State-File once in t2, give or take"),
        Moment(name="given up", earliest_ms=min(spoke_ms + heard_ms, wrote_ms + seen_ms),
               latest_ms=slow_ms,
               why="T1 after its last heartbeat, or T2 after its write was noticed: first on one "
               "path, then on both"),
        Moment(name="reset",
               earliest_ms=max(0, expires_ms - TIMER_UNIT_MS - drift_ms(max(0, expires_ms))),
               latest_ms=(0 if sealed else beat_ms(common)) + latest_reset_ms(longest_ms),
               why="a timer stands at issue + Wh or Ws, rounded down to whole seconds"),
        Moment(name="certain", earliest_ms=certain_ms, latest_ms=cycle_ms(common) + certain_ms,
               why="notice + timeout + drift + reset, by the sign-of-life guard"),
        Moment(name="dropped",
               earliest_ms=max(gone_ms + dead_wait_ms(common, 0, False), certain_ms),
               latest_ms=max(slow_ms + longest_walk_ms(common),
                             cycle_ms(common) + certain_ms) + cycle_ms(common),
               why="both the wait for the dead and the guard are over; at the latest when hosts "
               "go on failing meanwhile"),
    )


def usual_drop_ms(common: Common) -> int:
    """By when a host that stops at once is dropped, when nothing else fails and nothing is slow.

    From its last write.  On top of the waits: the cycle in which that was noticed, and a few
    quick ones, in which the others agree.
    """
    waited_ms = patience_ms(common) + dead_wait_ms(common, 0, False)
    return (max(waited_ms, certain_after_write_ms(common)) + cycle_ms(common)
            + 3 * ACCELERATED_CYCLE_MS)


def standard_margin_ms(common: Common) -> int:
    """How much earlier the reset is than the end of the standard wait alone: below 0, too late."""
    last_moved_ms = beat_ms(common)
    return (fastest_patience_ms(common) + standard_wait_ms(common)
            - last_moved_ms - latest_reset_ms(longest_watchdog_ms(common)))
