"""What measured latencies say of the time-outs: too low, enough, or higher than need be.

Theory of operation
===================

A healthy host must never look dead.  How old its newest sign can get while
nothing is wrong follows from the intervals and from what one access takes:

- *State-File*: a cycle takes max(t2 + 0.5 s, L), with L the latency of writing
  and reading.  A record is written once in a cycle of its host and noticed once
  in a cycle of ours, and the reading itself takes up to L: two cycles and L.
- *Heartbeat*: t1, twice, for one datagram may be lost, and what sending takes.

``timing.approaching`` calls a value above half of its time-out a near miss, so
a time-out is *enough* when these ages stay within half of it.  For a lower
one, ``ALLOWANCE`` times the latency that was measured must: the worst of a
quiet minute is not the worst of a year.  And no latency at rest says what a
failover of the storage's paths takes: whoever lowers T must know that.

xapi derives all times from one number T, at least 10 s (spec 2); advice is
given in that number.  All functions are pure; times are ms unless they end in _s.
Source: spec 2, 3, 4, 6 (approaching), 9 (doctor), 14 (last line).
"""

from typing import Any, Dict, List, NamedTuple, Optional, Tuple

from xha import timing
from xha.config import PARAMETERS, Common
from xha.errors import ExitCode
from xha.findings import Finding, failure, ok, warning
from xha.published import NEVER
from xha.records import record
from xha.snapshot import Snapshot

#: A lower T is advised only if it bears latencies so many times as large as those measured.
ALLOWANCE = 3
#: By so much, ms, a worst age may be above half of its time-out: it decides nothing.
SLACK_MS = 100
#: The T that xapi takes, s.  Source: spec 2.  The highest is what its form offers.
T_MIN_S = 10
T_MAX_S = 3600

CHECK = "time-outs"
_FAILOVER = ("a failover of the storage's paths takes longer than any latency at rest, and T must "
             "outlast it: test one before you lower T")


@record
class Measured(NamedTuple):
    """The worst that was measured on this host, ms; -1 where nothing was."""

    # Writing and reading the State-File, and sending heartbeats to all peers: the largest.
    statefile_ms: int
    heartbeat_ms: int
    # Age of the oldest newest sign of a live peer, at one instant.
    oldest_record_ms: int
    oldest_heartbeat_ms: int
    # Who measured, and over what time, for people.
    source: str


_NOTHING = Measured(statefile_ms=0, heartbeat_ms=0, oldest_record_ms=-1, oldest_heartbeat_ms=-1,
                    source="")


def of_snapshot(snapshot: Snapshot) -> Measured:
    """What this host's daemon measured since xapi last asked."""
    peers = [host for host in snapshot.hosts
             if host.live and host.index != snapshot.local]
    return Measured(
        statefile_ms=max(snapshot.statefile_latency.last_ms, snapshot.statefile_latency.max_ms),
        heartbeat_ms=max(snapshot.heartbeat_latency.last_ms, snapshot.heartbeat_latency.max_ms),
        # Under survival rule 2 nobody writes, and nobody is judged by it.
        oldest_record_ms=NEVER if snapshot.sr2 else max(
            [NEVER] + [host.since_statefile_ms for host in peers]),
        oldest_heartbeat_ms=max([NEVER] + [host.since_heartbeat_ms for host in peers]),
        source="this host's daemon, since xapi last asked it (where xapi runs: up to 20 s)")


def derive(common: Common, timeout_s: int) -> Common:
    """The configuration that xapi would make of this pool with HA time-out T.  Source: spec 2."""
    return common._replace(
        heartbeat_interval_ms=1000 * min((timeout_s + 10) // 10, 3),
        statefile_interval_ms=1000 * max(2, timeout_s // 20),
        heartbeat_timeout_ms=1000 * timeout_s, statefile_timeout_ms=1000 * timeout_s,
        heartbeat_watchdog_timeout_ms=1000 * timeout_s,
        statefile_watchdog_timeout_ms=1000 * (timeout_s + 15),
        boot_join_timeout_ms=1000 * (timeout_s + 60),
        enable_join_timeout_ms=1000 * (timeout_s + 60))


def derived_from_s(common: Common) -> int:
    """The T from which all these times follow, s; 0 when there is none."""
    timeout_s = common.heartbeat_timeout_ms // 1000
    alike = timeout_s >= T_MIN_S and derive(common, timeout_s) == common
    return timeout_s if alike else 0


def is_default(common: Common, field: str) -> bool:
    """Whether a parameter has the value that it has when it is left out."""
    default = next(row[2] for row in PARAMETERS if row[1] == field)
    return bool(getattr(common, field) == default * (1 if field == "xapi_restart_attempts"
                                                     else 1000))


def record_age_ms(common: Common, latency_ms: int) -> int:
    """How old the newest noticed write of a healthy host can get."""
    cycle_ms = max(common.statefile_interval_ms + timing.CYCLE_OFFSET_MS, latency_ms)
    return 2 * cycle_ms + latency_ms


def heartbeat_age_ms(common: Common, latency_ms: int) -> int:
    """How old the newest heartbeat of a healthy host can get, with one lost on the way."""
    return 2 * common.heartbeat_interval_ms + latency_ms


def ages(common: Common, measured: Measured, allowance: int = 1) -> Tuple[int, int]:
    """(heartbeat, record): the oldest signs of healthy hosts, with latencies so many times."""
    return (heartbeat_age_ms(common, allowance * max(0, measured.heartbeat_ms)),
            record_age_ms(common, allowance * max(0, measured.statefile_ms)))


def is_enough(common: Common, measured: Measured, allowance: int = 1) -> bool:
    """Whether healthy hosts stay within half of both time-outs."""
    heartbeat_ms, record_ms = ages(common, measured, allowance)
    return not (timing.approaching(heartbeat_ms - SLACK_MS, common.heartbeat_timeout_ms)
                or timing.approaching(record_ms - SLACK_MS, common.statefile_timeout_ms))


def lowest_s(common: Common, measured: Measured) -> int:
    """The lowest T that bears ALLOWANCE times what was measured, s; 0 when none does."""
    return next((timeout_s for timeout_s in range(T_MIN_S, T_MAX_S + 1)
                 if is_enough(derive(common, timeout_s), measured, ALLOWANCE)), 0)


def margin_ms(common: Common, sealed: bool) -> int:
    """How much before the earliest drop the latest reset is: HA is safe while it is above 0."""
    moments = {moment.name: moment for moment in timing.chain(common, sealed)}
    return moments["dropped"].earliest_ms - moments["reset"].latest_ms


# Judgements


def judge_configured(common: Common) -> List[Finding]:
    """The configured times against each other."""
    return [_safety(common), _room_for_rule_two(common), _restart(common)]


def _safety(common: Common) -> Finding:
    margins = [margin_ms(common, sealed) for sealed in (True, False)]
    if min(margins) <= 0:
        return failure(CHECK, "a lost host could be reset {} after the others dropped it".format(
            seconds(-min(margins))), "report this: such a configuration is refused elsewhere",
            ExitCode.INVALID_CONFIG)
    return ok(CHECK, "safe: a host that stops is reset at least {} before the others drop it (an "
              "xhad peer: {}), and nobody is dropped before its reset is certain; `xha.pyz timing` "
              "shows the chain".format(*map(seconds, margins)))


def _room_for_rule_two(common: Common) -> Finding:
    """Source: spec 2, "Findings of doctor"."""
    left_ms = common.statefile_watchdog_timeout_ms - common.statefile_timeout_ms
    needed_ms = 2 * common.statefile_interval_ms + 3000
    if left_ms < needed_ms:
        return warning(CHECK, "StateFileWatchdogTimeout is only {} above StateFileTimeout: when "
                       "all hosts lose the State-File, they may be reset before they agree to go "
                       "on without it".format(seconds(left_ms)),
                       "make it at least {} above (2*t2 + 3 s); xapi makes it 15 s".format(
                           seconds(needed_ms)))
    return ok(CHECK, "when all lose the State-File, {} remain to agree on going on without it "
              "(at least {} are needed)".format(seconds(left_ms), seconds(needed_ms)))


def _restart(common: Common) -> Finding:
    """Source: spec 14, last line.  The others drop the old instance, and say so a beat later."""
    boot_ms = common.boot_join_timeout_ms
    expected_ms = timing.usual_drop_ms(common) + timing.beat_ms(common)
    if boot_ms <= expected_ms:
        return warning(CHECK, "BootJoinTimeout is {}, but the others need up to {} to drop the old "
                       "instance of a host that restarts at once: its start may end with 12".format(
                           seconds(boot_ms), seconds(expected_ms)),
                       "raise BootJoinTimeout; xapi makes it T + 60 s")
    return ok(CHECK, "a host that restarts at once waits {} for the others, who need up to {} "
              "to drop its old instance".format(seconds(boot_ms), seconds(expected_ms)))


def judge_running(common: Common, running_ms: Tuple[int, int, int, int]) -> List[Finding]:
    """Whether the daemon goes by other times than this configuration.

    Args:
        running_ms: the daemon's own T1, T2, Wh and Ws.
    """
    configured = (("T1", common.heartbeat_timeout_ms), ("T2", common.statefile_timeout_ms),
                  ("Wh", common.heartbeat_watchdog_timeout_ms),
                  ("Ws", common.statefile_watchdog_timeout_ms))
    other = ["{} {} instead of {}".format(symbol, seconds(its_ms), seconds(value_ms))
             for (symbol, value_ms), its_ms in zip(configured, running_ms) if its_ms != value_ms]
    if not other:
        return []
    return [warning(CHECK, "the daemon that runs goes by other times than this configuration: {}; "
                    "hosts that differ in them are not safe together".format(", ".join(other)),
                    "let xapi enable HA anew, so that all hosts have one configuration")]


def running_ms(told: Snapshot) -> Tuple[int, int, int, int]:
    """T1, T2, Wh and Ws of a daemon."""
    return (told.heartbeat_timeout_ms, told.statefile_timeout_ms,
            told.heartbeat_watchdog_timeout_ms, told.statefile_watchdog_timeout_ms)


def judge_measured(common: Common, measured: Measured) -> List[Finding]:
    """The configured time-outs against what was measured."""
    if measured.statefile_ms < 0 and measured.heartbeat_ms < 0:
        return []
    found = []
    now = (("heartbeat", measured.oldest_heartbeat_ms, common.heartbeat_timeout_ms),
           ("noticed write", measured.oldest_record_ms, common.statefile_timeout_ms))
    for what, age_ms, timeout_ms in now:
        if timing.approaching(age_ms, timeout_ms):
            found.append(warning(CHECK, "a live host's last {} is {} old now, of {}: a near miss"
                                 .format(what, seconds(age_ms), seconds(timeout_ms)),
                                 "look at that host, its network and its storage now"))
    heartbeat_ms, record_ms = ages(common, measured)
    worst = ("with what was measured, the newest sign of a healthy host can be {} old by heartbeat "
             "and {} on the State-File".format(seconds(heartbeat_ms), seconds(record_ms)))
    lowest = lowest_s(common, measured)
    if not is_enough(common, measured):
        found.append(_too_low(common, worst, lowest, heartbeat_ms, record_ms))
    else:
        found.append(ok(CHECK, worst + ", within half of T1 and T2"))
        found += _could_be_lower(common, lowest)
    return found


def _too_low(common: Common, worst: str, lowest: int, heartbeat_ms: int,
             record_ms: int) -> Finding:
    fatal = heartbeat_ms > common.heartbeat_timeout_ms or record_ms > common.statefile_timeout_ms
    text = "{}: too much of T1 {} and T2 {}{}".format(
        worst, seconds(common.heartbeat_timeout_ms), seconds(common.statefile_timeout_ms),
        "; healthy hosts will be reset" if fatal else "; small troubles become resets")
    at_rest = is_enough(common, _NOTHING)
    advice = "{}{}".format(
        "find out why storage or network are so slow" if at_rest
        else "the time-outs are short for their intervals: raise T1 and T2",
        ", or enable HA with T = {} s or more".format(lowest) if lowest else "")
    return warning(CHECK, text, advice)


def _could_be_lower(common: Common, lowest: int) -> List[Finding]:
    """Where T could be lower: what that would gain."""
    timeout_ms = min(common.heartbeat_timeout_ms, common.statefile_timeout_ms)
    if not lowest or 1000 * lowest >= timeout_ms:
        return []
    return [ok(CHECK, "these latencies, and {} times as large ones, would allow T = {} s: "
               "survivors would act about {} after a crash instead of {}; but {}".format(
                   ALLOWANCE, lowest, seconds(timing.usual_drop_ms(derive(common, lowest))),
                   seconds(timing.usual_drop_ms(common)), _FAILOVER))]


def seconds(value_ms: int) -> str:
    """A duration for people, in s, without digits that say nothing: "45 s", "3.86 s"."""
    sign, value_ms = ("-" if value_ms < 0 else ""), abs(value_ms)
    text = "{}.{:03}".format(value_ms // 1000, value_ms % 1000).rstrip("0").rstrip(".")
    return "{}{} s".format(sign, text)


def describe(measured: Optional[Measured]) -> Optional[Dict[str, Any]]:
    """For JSON: null where nothing was measured."""
    if measured is None:
        return None
    values = {name: None if value < 0 else value for name, value in (
        ("statefile_ms", measured.statefile_ms), ("heartbeat_ms", measured.heartbeat_ms),
        ("oldest_record_ms", measured.oldest_record_ms),
        ("oldest_heartbeat_ms", measured.oldest_heartbeat_ms))}  # type: Dict[str, Any]
    return dict(values, source=measured.source)
