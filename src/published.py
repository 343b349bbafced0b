"""What hosts publish: the contents of heartbeats and State-File records.

Values only; the bytes are in ``hbformat`` and ``sfformat``.  Ages are in ms,
counted on the publisher's clock up to the moment of publishing; -1 is
"never" (or "not now").  Bitmaps are ``HostSet``.  Source: spec 3 and 4.
"""

import enum
from typing import NamedTuple, Optional, Tuple

from xha.hostset import EMPTY, MAX_HOSTS, HostSet
from xha.poolkey import NOT_SAID, PoolKey, Ring
from xha.records import record

NEVER = -1

#: Ages of nobody: what a host knows that never heard or read anything.
NO_AGES = (NEVER,) * MAX_HOSTS  # type: Tuple[int, ...]

#: What stands for the seconds that are left of a term which is over.
TERM_IS_OVER = 0xFFFF

#: The master field of a pool without a master.  Source: spec 3, offset 64.
NO_MASTER = "0" * 32


@enum.unique
class PoolState(enum.IntEnum):
    """State of the pool, in the global record; never walked back.  Source: spec 3."""

    NONE = 0
    INIT = 1
    ACTIVE = 2
    INVALID = 3


@enum.unique
class Phase(enum.IntEnum):
    """Where a host is in starting or in the fault handler; numbers are on the wire (spec 5)."""

    STARTING = 0
    STARTED = 1
    ABORTED = 2
    FHREADY = 3
    FH1 = 4
    FH1DONE = 5
    FH2 = 6
    FH2DONE = 7
    FH3 = 8
    FH3DONE = 9
    FH4 = 10
    FH4DONE = 11


@enum.unique
class FencingMode(enum.IntEnum):
    """Whether a loss of membership resets this host.  NONE: not online yet."""

    NONE = 0
    ARMED = 1
    DISARMED = 2


@enum.unique
class WatchdogMode(enum.IntEnum):
    """Who keeps the timers (spec 7).  UNKNOWN: an xhad peer, which does not say."""

    UNKNOWN = 0
    HYPERVISOR = 1
    USER = 2
    NONE = 3


@enum.unique
class Proof(enum.Enum):
    """How far a datagram's origin is proven (spec 4, seal)."""

    UNSEALED = "unsealed"      # no seal: an xhad peer, or somebody who says so
    INTACT = "intact"          # CRC-32C holds: not damaged, but anybody can make one
    AUTHENTIC = "authentic"    # HMAC under the pool key holds
    BROKEN = "broken"          # a seal whose proof does not hold


@record
class LastWords(NamedTuple):
    """Why a host fenced itself (spec 9)."""

    # Stable name of the reason, kebab-case, at most 32 bytes of ASCII; and the sentence.
    code: str
    text: str
    # Wall clock of the host that died, seconds since the epoch.
    at_wall_s: int
    # The incarnation that spoke; a later one only carries the words on.
    incarnation: int
    liveset: HostSet
    heartbeat_domain: HostSet
    statefile_domain: HostSet


@record
class HeartbeatSeal(NamedTuple):
    """What our heartbeats say beyond xhad's."""

    incarnation: int
    software: str
    fencing: FencingMode
    watchdog_mode: WatchdogMode
    last_words: Optional[LastWords]
    # Of each host the mark of the last heartbeat that was taken over, 0 for none (``echoes``).
    heard: Tuple[int, ...]
    # So long nothing is asked of its xapi yet, s; 0: it is checked.  For people only.
    xapi_held_s: int = 0
    # So long its fencing is meant to be disarmed yet, s; 0: that was not said, or it is not
    # disarmed; ``TERM_IS_OVER``: no longer, but it is.  For people only.
    disarm_term_s: int = 0

    @property
    def term_is_over(self) -> bool:
        """Whether it is still disarmed, and was not meant to be."""
        return self.disarm_term_s == TERM_IS_OVER


@record
class Heartbeat(NamedTuple):
    """One UDP datagram of a host's state."""

    sequence: int
    generation_uuid: str
    host_uuid: str
    host_index: int
    current_liveset: HostSet
    proposed_liveset: HostSet
    heartbeat_domain: HostSet
    statefile_domain: HostSet
    since_heartbeat_ms: Tuple[int, ...]
    since_statefile_ms: Tuple[int, ...]
    since_xapi_restart_ms: int
    phase: Phase
    xapi_error: str
    statefile_access: bool
    statefile_corrupted: bool
    accelerate: bool
    fence_request: bool
    sr2: bool
    joining: bool
    seal: Optional[HeartbeatSeal]


#: The times of a configuration that are published, in order, by their symbols.  Source: spec 2.
PUBLISHED_TIMES = ("t1", "T1", "t2", "T2", "Wh", "Ws", "Tboot", "Tenable")


@record
class Configuration(NamedTuple):
    """What a host says of the configuration that it goes by; for people only."""

    # Of all that must be equal on every host, 64 bits; never 0.
    fingerprint: int
    # ms, as PUBLISHED_TIMES.
    times_ms: Tuple[int, ...]


@record
class RecordSeal(NamedTuple):
    """What our host records say beyond xhad's."""

    incarnation: int
    software: str
    # Wall clock of the write, ms since the epoch; for people only.
    written_at_wall_ms: int
    fencing: FencingMode
    watchdog_mode: WatchdogMode
    sr2: bool
    # The host holds the master lock (spec 12).
    holding: bool
    # The newest incarnation seen of each host, 0 for none.
    incarnations_seen: Tuple[int, ...]
    last_words: Optional[LastWords]
    # None: not said, by an older version.
    configuration: Optional[Configuration] = None
    # Which pool keys it goes by (``Ring.mark``); 0: not said, by an older version, or it has none.
    keys: int = NOT_SAID


@record
class HostRecord(NamedTuple):
    """One host's record of the State-File."""

    sequence: int
    host_index: int
    host_uuid: str
    excluded: bool
    starting: bool
    since_heartbeat_ms: Tuple[int, ...]
    since_statefile_ms: Tuple[int, ...]
    since_xapi_restart_ms: int
    current_liveset: HostSet
    proposed_liveset: HostSet
    heartbeat_domain: HostSet
    statefile_domain: HostSet
    lock_request: bool
    lock_grants: HostSet
    phase: Phase
    weight: int
    seal: Optional[RecordSeal]


@record
class GlobalSeal(NamedTuple):
    """Who initialised the State-File, and when; for people only."""

    software: str
    initialised_by: str
    initialised_at_wall_s: int


@record
class GlobalRecord(NamedTuple):
    """The global record of the State-File."""

    generation_uuid: str
    pool_state: PoolState
    master: str
    host_count: int
    # The key that authenticates heartbeats, 32 bytes; None in a pool that xhad initialised.
    # Its part of the seal stays valid when an xhad peer rewrites the rest.
    # Heartbeats are sent with it; while the key is changed, the other one is accepted, too.
    pool_key: Optional[PoolKey]
    seal: Optional[GlobalSeal]
    # See ``Ring``.
    key_step: int = 0
    other_key: Optional[PoolKey] = None

    @property
    def ring(self) -> Optional[Ring]:
        """Its keys; None where there is none."""
        return None if self.pool_key is None else Ring(
            step=self.key_step, key=self.pool_key, also=self.other_key)

    def with_ring(self, ring: Optional[Ring]) -> "GlobalRecord":
        """The same with other keys."""
        return (self._replace(pool_key=None, key_step=0, other_key=None) if ring is None else
                self._replace(pool_key=ring.key, key_step=ring.step, other_key=ring.also))


@enum.unique
class Fault(enum.Enum):
    """What is wrong with a section of the State-File."""

    NONE = "none"
    CORRUPT = "corrupt"            # signatures, checksum or CRC do not hold
    UNREADABLE = "unreadable"      # I/O error
    VERSION = "version"            # intact, of a format we do not speak (global record only)


@record
class Section(NamedTuple):
    """One 4096-byte section of the State-File as a reading found it."""

    fault: Fault
    # A HostRecord or GlobalRecord when fault is NONE.
    content: object
    # What was found and what was expected, for people.
    text: str
    # Equal for equal bad bytes, so that two readings can be compared; 0 when unreadable.
    fingerprint: int
    # All bytes are zero.
    blank: bool
    # Generation field of a bad global record when it is a well-formed UUID, else "".
    generation_uuid: str


@record
class Reading(NamedTuple):
    """One reading of the State-File: the global record and all configured hosts' records."""

    issued_at_ms: int
    completed_at_ms: int
    # Why the device could not be read at all; "" when it could.
    error: str
    # Absent (None, empty) when there is an error.
    global_section: Optional[Section]
    host_sections: Tuple[Section, ...]


#: The record of a host that has never written: what initialising lays down (spec 3:
#: everything but signatures and checksum is zero, the index and the UUID included).
BLANK_RECORD = HostRecord(
    sequence=0, host_index=0, host_uuid="", excluded=False, starting=False,
    since_heartbeat_ms=(0,) * MAX_HOSTS, since_statefile_ms=(0,) * MAX_HOSTS,
    since_xapi_restart_ms=0, current_liveset=EMPTY, proposed_liveset=EMPTY,
    heartbeat_domain=EMPTY, statefile_domain=EMPTY, lock_request=False, lock_grants=EMPTY,
    phase=Phase.STARTING, weight=0, seal=None)
