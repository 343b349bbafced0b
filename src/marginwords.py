"""The paths whose margins are watched (``margin``), and approaches in words."""

from typing import Optional, Sequence

from xha.hostset import runs
from xha.snapshot import Approach, Margin

#: All paths; those of this host alone come first.
OWN = ("loop", "heartbeat-timer", "statefile-timer", "statefile-write", "statefile-read")
OF_PEERS = ("heard", "heard-by", "record")
PATHS = OWN + OF_PEERS

#: The windows of a margin.
WINDOWS = ("hour", "day", "start")

_WORDS = {
    "loop": "the daemon's loop", "heartbeat-timer": "the heartbeat watchdog",
    "statefile-timer": "the State-File watchdog", "statefile-write": "State-File writes",
    "statefile-read": "State-File readings", "heard": "heartbeats from {}",
    "heard-by": "heartbeats to {}", "record": "the State-File record of {}"}

_SLOW = {
    "write": "a write to {} took {}", "read": "a read of {} took {}",
    "error": "accesses to {} failed", "turn": "the daemon was busy for {1}",
    "pause": "the daemon was not run for {1}", "silence": "nothing came meanwhile",
    "": "nothing was slow by itself"}


def words(path: str, hosts: Sequence[int]) -> str:
    """A path in words: ``heartbeats from hosts 1-5``; a path of a later version by its name."""
    return _WORDS.get(path, path).format("{} {}".format(
        "host" if len(hosts) == 1 else "hosts", ", ".join(runs(hosts))))


def slow_words(approach: Approach, device: str = "the State-File") -> str:
    """What was slow, in words."""
    return _SLOW.get(approach.slow, approach.slow).format(
        device, "{:.1f} s".format(approach.slow_ms / 1000))


def ratio(margin: Margin, window: str) -> int:
    """What was used up in a window, in thousandths of the time-out; -1: nothing was measured."""
    approach = getattr(margin, window)
    return -1 if approach is None else int(approach.used_ms * 1000 // margin.limit_ms)


def closest(margins: Sequence[Margin], window: str) -> Optional[Margin]:
    """The margin that came closest to its time-out in a window; of equal ones the first."""
    return max((margin for margin in margins if ratio(margin, window) >= 0),
               key=lambda margin: ratio(margin, window), default=None)
