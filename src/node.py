"""One host: the core, and between it and the world the formats.

Theory of operation
===================

The core speaks in records, the world in bytes.  This module is the seam:
bytes in, event, ``step``, actions, bytes out.  It decides nothing about HA.
The world is a port (``World``): the daemon's is sockets, a thread and timers;
a simulator's is its own; both run this very code, so what they run is really
encoded and decoded, sealed and verified.

An action's answer may be an event (a heartbeat was sent, a timer was not
moved); it is fed back at once, after the actions of its step are done.
"""

import abc
from typing import Any, Callable, Dict, List, NamedTuple, Optional, Tuple, Union

from xha import actions, events, hbformat, sfformat
from xha.actions import Watchdog
from xha.config import Config
from xha.errors import ExitCode, FormatError
from xha.membership import Membership
from xha.poolkey import PoolKey
from xha.published import Heartbeat, LastWords, Proof, Reading, Section
from xha.records import record

#: A heartbeat composed longer ago than this, ms, has its ages brought up to date: survival
#: rule 2 trusts them.
STALE_MS = 20


@record
class Completion(NamedTuple):
    """What became of an access to the State-File."""

    # "read", "write" or "replace".
    kind: str
    # Section written; 0 for a read.
    section: int
    issued_at_ms: int
    completed_at_ms: int
    # "" when done; for a read only when the device could not be read at all.
    error: str
    # Of a read: for each section its bytes, or the text of the error that it gave.
    sections: Tuple[Union[bytes, str], ...]


class Decoders(NamedTuple):
    """How bytes that come in are read: who runs many hosts may share what identical bytes mean."""

    heartbeat: Callable[[bytes, Optional[bytes], Optional[bytes]], Tuple[Heartbeat, Proof]]
    host_section: Callable[[bytes, int], Section]


#: Every host for itself.
DECODERS = Decoders(heartbeat=hbformat.decode, host_section=sfformat.section_of_host)


class World(abc.ABC):
    """What a host can do.  Nothing here waits; nothing here raises but ``end`` and ``fence``."""

    @abc.abstractmethod
    def now_ms(self) -> int:
        """This host's monotonic clock."""

    @abc.abstractmethod
    def wall_ms(self) -> int:
        """Wall clock, ms since the epoch; for people only."""

    @abc.abstractmethod
    def send(self, datagram: bytes) -> Tuple[Tuple[int, str], ...]:
        """Send to every other host; (host index, error) for each that failed."""

    @abc.abstractmethod
    def read(self) -> None:
        """Read the global record and all hosts' records; answered by a ``Completion``."""

    @abc.abstractmethod
    def write(self, section: int, data: bytes) -> None:
        """Write a section; answered by a ``Completion``."""

    @abc.abstractmethod
    def replace(self, section: int, data: bytes, expected: int) -> None:
        """Write a section if its fingerprint is still the expected."""

    @abc.abstractmethod
    def set_watchdog(self, watchdog: Watchdog, expires_at_ms: int) -> str:
        """Move a timer; "" or why it could not be moved."""

    @abc.abstractmethod
    def close_watchdogs(self) -> None:
        """Stop both timers."""

    @abc.abstractmethod
    def record_armed(self) -> str:
        """Note that the timers guard an armed host; "" or why it could not be noted."""

    @abc.abstractmethod
    def answer(self, ticket: int, code: ExitCode, text: str) -> None:
        """Answer a client."""

    @abc.abstractmethod
    def stop_serving(self) -> None:
        """Answer no client any more."""

    @abc.abstractmethod
    def say(self, message: actions.Log) -> None:
        """Log a message."""

    @abc.abstractmethod
    def fence(self, words: LastWords) -> None:
        """Reset this host.  Does not return in the real world."""

    @abc.abstractmethod
    def end(self, code: ExitCode, text: str) -> None:
        """End the daemon.  Does not return in the real world."""


class Node:
    """One host's core with its formats."""

    def __init__(self, config: Config, core: Membership, world: World,
                 decoders: Decoders = DECODERS) -> None:
        self.core = core
        self._decoders = decoders
        self._config = config
        self._world = world
        self._me = int(config.local.index)
        # Heartbeats are sent with the first; accepted with the other, too, while the key changes.
        self._key = None  # type: Optional[PoolKey]
        self._also = None  # type: Optional[PoolKey]
        # Of each section the bytes read last and what they mean: most do not change.
        self._decoded = {}  # type: Dict[int, Tuple[bytes, Section]]
        self._feedback = []  # type: List[events.Event]
        self._arming_failed = False
        self._perform = {
            actions.SendHeartbeat: self._send,
            actions.ReadStateFile: lambda action: world.read(),
            actions.WriteRecord: self._write_record,
            actions.WriteGlobal: self._write_global,
            actions.RepairRecord: self._repair_record,
            actions.SetWatchdog: self._set_watchdog,
            actions.CloseWatchdogs: lambda action: world.close_watchdogs(),
            actions.RecordArmed: self._record_armed,
            actions.StopServing: lambda action: world.stop_serving(),
            actions.UsePoolKey: self._use_key,
            actions.SelfFence: lambda action: world.fence(action.words),
            actions.Terminate: lambda action: world.end(action.code, action.text),
            actions.Answer: lambda action: world.answer(
                action.ticket, action.code, action.text),
            actions.Log: world.say,
        }  # type: Dict[type, Callable[[Any], None]]

    def step(self, event: events.Event) -> None:
        """Take one event, and what follows from it at once."""
        waiting = [event]
        for following in waiting:
            for action in self.core.step(self._world.now_ms(), following):
                self._perform[type(action)](action)
                if self._arming_failed:
                    break   # What follows would tell the others that this host is online.
            self._arming_failed = False
            if self._feedback:
                waiting.extend(self._feedback)
                self._feedback = []

    def datagram(self, data: bytes, source: str, received_at_ms: int) -> None:
        """A datagram arrived."""
        try:
            heartbeat, proof = self._decoders.heartbeat(data, self._key, self._also)
        except FormatError as error:
            self.step(events.DatagramRefused(
                cause=str(getattr(error, "cause", "format")), source=source))
            return
        self.step(events.HeartbeatReceived(
            heartbeat=heartbeat, proof=proof, source=source, received_at_ms=received_at_ms))

    def completed(self, done: Completion) -> None:
        """An access to the State-File ended."""
        if done.kind == "read":
            self.step(events.StateFileRead(reading=self._reading(done)))
        elif done.section == 0:
            self.step(events.GlobalWritten(
                issued_at_ms=done.issued_at_ms, completed_at_ms=done.completed_at_ms,
                error=done.error))
        elif done.section == 1 + self._me and done.kind == "write":
            self.step(events.RecordWritten(
                issued_at_ms=done.issued_at_ms, completed_at_ms=done.completed_at_ms,
                error=done.error))
        else:
            self.step(events.RepairWritten(host=done.section - 1, error=done.error))

    # ---- bytes in

    def _reading(self, done: Completion) -> Reading:
        if done.error:
            return Reading(issued_at_ms=done.issued_at_ms, completed_at_ms=done.completed_at_ms,
                           error=done.error, global_section=None, host_sections=())
        sections = [self._section(index, data) for index, data in enumerate(done.sections)]
        return Reading(issued_at_ms=done.issued_at_ms, completed_at_ms=done.completed_at_ms,
                       error="", global_section=sections[0], host_sections=tuple(sections[1:]))

    def _section(self, index: int, data: Union[bytes, str]) -> Section:
        if isinstance(data, str):
            return sfformat.unreadable(data)
        known = self._decoded.get(index)
        if known is not None and known[0] == data:
            return known[1]
        section = (sfformat.section_of_global(data) if index == 0
                   else self._decoders.host_section(data, index - 1))
        self._decoded[index] = (data, section)
        return section

    # ---- bytes out

    def _send(self, action: actions.SendHeartbeat) -> None:
        issued_at_ms = self._world.now_ms()
        heartbeat = _current(action.heartbeat, issued_at_ms - action.composed_at_ms)
        datagram = hbformat.encode(self._dated_heartbeat(heartbeat), self._key)
        failed = self._world.send(datagram)
        self._feedback.append(events.HeartbeatsSent(issued_at_ms=issued_at_ms, failed=failed))

    def _dated_heartbeat(self, heartbeat: Heartbeat) -> Heartbeat:
        seal = heartbeat.seal
        assert seal is not None
        if seal.last_words is None:
            return heartbeat
        return heartbeat._replace(seal=seal._replace(last_words=self._dated(seal.last_words)))

    def _dated(self, words: Optional[LastWords]) -> Optional[LastWords]:
        if words is None or words.at_wall_s:
            return words
        return words._replace(at_wall_s=self._world.wall_ms() // 1000)

    def _write_record(self, action: actions.WriteRecord) -> None:
        seal = action.content.seal
        assert seal is not None
        content = action.content._replace(seal=seal._replace(
            written_at_wall_ms=self._world.wall_ms(), last_words=self._dated(seal.last_words)))
        self._world.write(1 + self._me, sfformat.encode_host(content))

    def _write_global(self, action: actions.WriteGlobal) -> None:
        data = sfformat.encode_global(action.content)
        if action.expected:
            self._world.replace(0, data, action.expected)
        else:
            self._world.write(0, data)

    def _repair_record(self, action: actions.RepairRecord) -> None:
        self._world.replace(1 + action.host, sfformat.encode_host(action.content),
                            action.expected)

    # ---- the rest

    def _set_watchdog(self, action: actions.SetWatchdog) -> None:
        error = self._world.set_watchdog(action.watchdog, action.expires_at_ms)
        if error:
            self._feedback.append(events.WatchdogFailed(
                watchdog=action.watchdog.value, error=error))

    def _record_armed(self, action: actions.RecordArmed) -> None:
        error = self._world.record_armed()
        if error:
            self._arming_failed = True
            self._feedback.append(events.ArmingFailed(error=error))

    def _use_key(self, action: actions.UsePoolKey) -> None:
        self._key, self._also = action.key, action.also


def _current(heartbeat: Heartbeat, late_ms: int) -> Heartbeat:
    """The heartbeat with its ages brought up to date, if it was composed a while ago."""
    if late_ms <= STALE_MS:
        return heartbeat
    return heartbeat._replace(
        since_heartbeat_ms=tuple(age if age < 0 else age + late_ms
                                 for age in heartbeat.since_heartbeat_ms),
        since_statefile_ms=tuple(age if age < 0 else age + late_ms
                                 for age in heartbeat.since_statefile_ms))
