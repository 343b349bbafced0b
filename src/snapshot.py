"""What the core knows at one instant: the facts behind every view of a host.

Values only.  The renderers of ha_query_liveset are in ``report``.  Ages are
in ms at ``at_ms``; -1 is "never".  Source: spec 6 and 9.
"""

from typing import NamedTuple, Optional, Tuple

from xha.hostset import HostSet
from xha.published import NEVER, FencingMode, Phase, PoolState
from xha.records import record


@record
class Latency(NamedTuple):
    """Last, largest and smallest of a measured duration since xapi's last query, ms, -1: none."""

    last_ms: int
    max_ms: int
    min_ms: int


@record
class Approach(NamedTuple):
    """How close a path came to its time-out, once."""

    # What of the time-out had been used up when a sign came after all.
    used_ms: int
    # When that was: ms since the epoch, as this host's clock said; for people.
    wall_ms: int
    # What was slow, as far as is known: "write", "read", "turn", "pause", "error", "silence",
    # "" for nothing; and for how long, -1 where that says nothing.
    slow: str
    slow_ms: int


@record
class Margin(NamedTuple):
    """The closest approaches of one path (``margin``)."""

    path: str
    # Of a path to or from one host, that host; else -1.
    host: int
    limit_ms: int
    # An approach above this is a near miss.
    near_ms: int
    # Used up by what has not come back yet; -1: nothing is expected.
    used_now_ms: int
    # None: there was no sign to measure yet.
    hour: Optional[Approach]
    day: Optional[Approach]
    start: Optional[Approach]


@record
class HostView(NamedTuple):
    """One configured host as this host sees it."""

    index: int  # type: ignore[assignment]
    uuid: str
    address: str
    live: bool
    master: bool
    statefile_access: bool
    statefile_corrupted: bool
    excluded: bool
    starting: bool
    phase: Phase
    weight: int
    # Sends sealed heartbeats and records (xha), or not (an xhad peer, or not seen yet).
    sealed: bool
    software: str
    since_heartbeat_ms: int
    since_statefile_ms: int
    since_xapi_restart_ms: int
    xapi_error: str
    # The host's domains as it last published them on each path (spec 6: empty where not known).
    heartbeat_domain_on_heartbeat: HostSet
    heartbeat_domain_on_statefile: HostSet
    statefile_domain_on_heartbeat: HostSet
    statefile_domain_on_statefile: HostSet
    # So long nothing is asked of its xapi yet; -1: it is checked, as far as is known.
    xapi_held_ms: int = NEVER
    # By its last word nothing resets it; and so long that is meant to last yet: 0, no longer, -1,
    # that was not said.
    disarmed: bool = False
    disarm_term_ms: int = NEVER


@record
class KeyView(NamedTuple):
    """The pool's keys; never a key, but fingerprints."""

    fingerprint: str
    # Of the one that is accepted too, while the key is changed; else "".
    other: str
    # One of ``poolkey.STAGES``; and how often the key was changed before.
    stage: str
    changes: int
    # Who has not shown yet that it goes by these keys.
    waits_for: HostSet


@record
class Snapshot(NamedTuple):
    """This host and its pool at one instant."""

    at_ms: int
    local: int
    online: bool
    generation_uuid: str
    pool_state: PoolState
    pool_state_known: bool
    # UUID of the master in the global record, or NO_MASTER.
    master_uuid: str
    holding_lock: bool
    phase: Phase
    # What the host waits for, in words; "" when for nothing.
    waiting_for: str
    fencing: FencingMode
    watchdog_mode: str
    excluded: bool
    current_liveset: HostSet
    proposed_liveset: HostSet
    heartbeat_domain: HostSet
    statefile_domain: HostSet
    statefile_access: bool
    statefile_corrupted: bool
    global_corrupted: bool
    sr2: bool
    accelerated: bool
    keyed: bool
    statefile_latency: Latency
    heartbeat_latency: Latency
    xapi_latency: Latency
    heartbeat_timeout_ms: int
    statefile_timeout_ms: int
    xapi_timeout_ms: int
    # How often xapi may still be restarted in these 24 hours, and in how many ms once more
    # (-1: no attempt is spent).  At 0 the next failed check is a fence.
    xapi_restarts_left: int
    xapi_restarts_more_in_ms: int
    heartbeat_watchdog_timeout_ms: int
    statefile_watchdog_timeout_ms: int
    bond_error: bool
    # (cause, count) of refused datagrams.
    datagrams_refused: Tuple[Tuple[str, int], ...]
    hosts: Tuple[HostView, ...]
    # Own paths first; only where programs ask (JSON).  And (path, near misses since the start).
    margins: Tuple[Margin, ...]
    near_misses: Tuple[Tuple[str, int], ...]
    # None: the pool has no key, or an older daemon that does not say.
    pool_key: Optional[KeyView] = None
