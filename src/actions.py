"""Everything the core may ask of the world.

The shell performs a step's actions in their order.  An I/O is an action out
and an event in: the core never waits.
"""

import enum
from typing import Any, NamedTuple, Optional, Tuple, Union

from xha.errors import ExitCode
from xha.poolkey import PoolKey
from xha.published import GlobalRecord, Heartbeat, HostRecord, LastWords
from xha.records import record


@enum.unique
class Watchdog(enum.Enum):
    """The two timers, one for each path (spec 7)."""

    HEARTBEAT = "heartbeat"
    STATEFILE = "statefile"

    # Each is one object: enum's own hash, of the name, is slow and asked for in every step.
    __hash__ = object.__hash__


@record
class SendHeartbeat(NamedTuple):
    """Send to every other configured host, at once; answered by ``HeartbeatsSent``."""

    heartbeat: Heartbeat
    # The instant up to which its ages are counted.
    composed_at_ms: int


@record
class ReadStateFile(NamedTuple):
    """Read the State-File once; answered by ``StateFileRead``."""


@record
class WriteRecord(NamedTuple):
    """Write this host's record; answered by ``RecordWritten``."""

    content: HostRecord


@record
class WriteGlobal(NamedTuple):
    """Write the global record; answered by ``GlobalWritten``.

    With ``expected`` other than 0 only if the section still has the bad bytes of that
    fingerprint just before (spec 3, repair); otherwise nothing is written and the answer
    carries an error.
    """

    content: GlobalRecord
    expected: int


@record
class RepairRecord(NamedTuple):
    """Rewrite another host's bad record if its fingerprint is still ``expected``."""

    host: int
    content: HostRecord
    expected: int


@record
class SetWatchdog(NamedTuple):
    """Let a timer expire at an instant of this host's monotonic clock."""

    watchdog: Watchdog
    expires_at_ms: int


@record
class CloseWatchdogs(NamedTuple):
    """Stop both timers and forget them: this host will not be reset."""


@record
class RecordArmed(NamedTuple):
    """Note where a later daemon finds it that the timers guard an armed host."""


@record
class StopServing(NamedTuple):
    """Answer no client any more: for them the daemon has ended."""


@record
class UsePoolKey(NamedTuple):
    """Prove heartbeats with this key from now on; and check them with it or with the other."""

    key: PoolKey
    also: Optional[PoolKey]


@record
class SelfFence(NamedTuple):
    """Reset this host now.  Nothing is performed after it."""

    words: LastWords


@record
class Terminate(NamedTuple):
    """End the daemon.  Nothing is performed after it."""

    code: ExitCode
    # Why, in one line for the operator.
    text: str
    # The timers run on: the host will be reset.  Otherwise CloseWatchdogs came before.
    watchdogs_left: bool


@record
class Answer(NamedTuple):
    """The answer to a client's request."""

    ticket: int
    code: ExitCode
    text: str


@record
class Log(NamedTuple):
    """A message of the catalogue (``sysloglist``), by name, with its fields."""

    name: str
    fields: Tuple[Tuple[str, Any], ...]


def log(name: str, **fields: Any) -> Log:
    """The message ``name`` with its fields; the text is in ``sysloglist``."""
    return Log(name=name, fields=tuple(sorted(fields.items())))


Action = Union[
    SendHeartbeat, ReadStateFile, WriteRecord, WriteGlobal, RepairRecord, SetWatchdog,
    CloseWatchdogs, RecordArmed, StopServing, UsePoolKey, SelfFence, Terminate, Answer, Log]
