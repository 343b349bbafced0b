"""Everything that can happen to a host: what the core is told.

An event is a fact, stamped where it happened: ``issued_at_ms`` just before a
write, read or send was issued, ``received_at_ms`` or ``completed_at_ms`` just
after a receipt or completion, all on this host's monotonic clock in ms.
"""

from typing import NamedTuple, Tuple, Union

from xha.poolkey import PoolKey
from xha.published import NEVER, Heartbeat, PoolState, Proof, Reading
from xha.records import record


@record
class Tick(NamedTuple):
    """Time passed; the loop has taken in what waited, as much as it takes in one turn."""

    # Nothing that arrived before now waits any more.
    drained: bool = True


@record
class HeartbeatReceived(NamedTuple):
    """A well-formed datagram arrived.  Whether to believe it is the core's decision."""

    heartbeat: Heartbeat
    proof: Proof
    # Numeric address of the sender, as the configuration writes it.
    source: str
    received_at_ms: int


@record
class DatagramRefused(NamedTuple):
    """Bytes arrived that are no heartbeat."""

    cause: str
    source: str


@record
class HeartbeatsSent(NamedTuple):
    """Sending to every peer was attempted."""

    issued_at_ms: int
    # (host index, what the system said) for each send that failed.
    failed: Tuple[Tuple[int, str], ...]


@record
class RecordWritten(NamedTuple):
    """This host's record was written, or, with an ``error``, was not."""

    issued_at_ms: int
    completed_at_ms: int
    error: str


@record
class GlobalWritten(NamedTuple):
    """The global record was written, or, with an ``error``, was not."""

    issued_at_ms: int
    completed_at_ms: int
    error: str


@record
class RepairWritten(NamedTuple):
    """Another host's bad record was rewritten, or, with an ``error``, was not."""

    host: int
    error: str


@record
class StateFileRead(NamedTuple):
    """A reading of the State-File ended, well or badly."""

    reading: Reading


@record
class WatchdogFailed(NamedTuple):
    """A timer could not be moved; it runs out unless a later proof moves it."""

    watchdog: str
    error: str


@record
class ArmingFailed(NamedTuple):
    """It could not be noted that the timers guard an armed host: it must not go online."""

    error: str


@record
class ProposeMasterRequested(NamedTuple):
    """A client proposes this host as pool master.  ``ticket`` names its answer."""

    ticket: int


@record
class CancelMasterRequested(NamedTuple):
    """A client gives the master lock back."""

    ticket: int


@record
class DisarmRequested(NamedTuple):
    """A client disarms fencing."""

    ticket: int
    # How long that is meant to last; 0: that was not said.
    term_ms: int = 0


@record
class PoolStateRequested(NamedTuple):
    """A client sets the pool state: active or invalid."""

    ticket: int
    pool_state: PoolState


@record
class ExcludedRequested(NamedTuple):
    """A client sets or clears this host's excluded flag."""

    ticket: int
    excluded: bool


@record
class KeyChangeRequested(NamedTuple):
    """A client asks for a new pool key; this one was drawn for it."""

    ticket: int
    key: PoolKey


@record
class ClientGone(NamedTuple):
    """Nobody waits for the answer to ``ticket`` any more."""

    ticket: int


@record
class StopRequested(NamedTuple):
    """SIGTERM."""


@record
class WeightChanged(NamedTuple):
    """The weight file was read again; the weight counts once committed (spec 5)."""

    weight: int


@record
class XapiChanged(NamedTuple):
    """What the xapi monitor publishes (spec 8)."""

    # Instant of the first attempt to restart xapi, -1 when healthy.
    restart_at_ms: int
    error: str
    # Until this instant its checks are held, -1 when they are not.
    held_until_ms: int = NEVER


@record
class FenceRequested(NamedTuple):
    """Another part of this host decided that it must fence itself, if armed."""

    code: str
    text: str


Event = Union[
    Tick, HeartbeatReceived, DatagramRefused, HeartbeatsSent, RecordWritten, GlobalWritten,
    RepairWritten, StateFileRead, WatchdogFailed, ArmingFailed, ProposeMasterRequested,
    CancelMasterRequested, DisarmRequested, PoolStateRequested, ExcludedRequested,
    KeyChangeRequested, ClientGone,
    StopRequested, WeightChanged, XapiChanged, FenceRequested]
