"""Fault points: named faults that tests and the sandbox switch on in a running daemon.

Off, and refused, unless the daemon was started for it: a fault point is a
way to harm a pool.  The daemon's loop sets and clears them; shells and their
threads only ask.  To ask is one look into a dictionary.

============================ ==========================================
heartbeat.send.drop=LIST     datagrams to these hosts are not sent
heartbeat.receive.drop=LIST  datagrams from these hosts are not seen
statefile.read.fail          every read fails with an I/O error
statefile.write.fail         every write fails with an I/O error
statefile.hang               the device does not answer until cleared
statefile.slow=MS            every access takes so much longer
daemon.crash                 the daemon ends at once, as if killed
daemon.stall=MS              the daemon's loop stands still so long
watchdog.fail                a timer that is to be moved is not
============================ ==========================================

LIST: host indexes, separated by commas, or ``all``.  MS: 1 to 600000 (10
minutes).
"""

from typing import Callable, Dict, Iterable, Tuple

from xha.errors import ExitCode, XhaError
from xha.hostset import MAX_HOSTS, HostSet

HEARTBEAT_SEND_DROP = "heartbeat.send.drop"
HEARTBEAT_RECEIVE_DROP = "heartbeat.receive.drop"
STATEFILE_READ_FAIL = "statefile.read.fail"
STATEFILE_WRITE_FAIL = "statefile.write.fail"
STATEFILE_HANG = "statefile.hang"
STATEFILE_SLOW = "statefile.slow"
DAEMON_CRASH = "daemon.crash"
DAEMON_STALL = "daemon.stall"
WATCHDOG_FAIL = "watchdog.fail"

DURATION_MS_MAX = 600000


def _refuse(text: str) -> XhaError:
    return XhaError(ExitCode.INVALID_PARAMETER, text)


def _parse_hosts(name: str, value: str) -> int:
    if value == "all":
        return HostSet.first(MAX_HOSTS).bits
    bits = 0
    for word in value.split(","):
        if not _is_number(word) or int(word) >= MAX_HOSTS:
            raise _refuse("fault point {}: host {!r} is not an index from 0 to 63 or `all`".format(
                name, word))
        bits |= 1 << int(word)
    return bits


def _parse_duration(name: str, value: str) -> int:
    if not _is_number(value) or not 1 <= int(value) <= DURATION_MS_MAX:
        raise _refuse("fault point {}: {!r} is not a number of milliseconds from 1 to {}".format(
            name, value, DURATION_MS_MAX))
    return int(value)


def _parse_switch(name: str, value: str) -> int:
    if value:
        raise _refuse("fault point {} takes no value".format(name))
    return 1


def _is_number(word: str) -> bool:
    # Six digits: no text of a client is ever turned into a huge number.
    return 1 <= len(word) <= 6 and all(digit in "0123456789" for digit in word)


_PARSERS = {
    HEARTBEAT_SEND_DROP: _parse_hosts,
    HEARTBEAT_RECEIVE_DROP: _parse_hosts,
    STATEFILE_READ_FAIL: _parse_switch,
    STATEFILE_WRITE_FAIL: _parse_switch,
    STATEFILE_HANG: _parse_switch,
    STATEFILE_SLOW: _parse_duration,
    DAEMON_CRASH: _parse_switch,
    DAEMON_STALL: _parse_duration,
    WATCHDOG_FAIL: _parse_switch,
}  # type: Dict[str, Callable[[str, str], int]]

#: Every name there is.
NAMES = tuple(sorted(_PARSERS))


class FaultPoints:
    """The fault points of one daemon."""

    __slots__ = ("enabled", "_values", "_texts")

    def __init__(self, enabled: bool = False, points: Iterable[str] = ()) -> None:
        """``points``, from the daemon's command line, enable fault points themselves.

        Raises:
            XhaError: INVALID_PARAMETER, a point is not a fault point.
        """
        points = tuple(points)
        self.enabled = enabled or bool(points)
        self._values = {}  # type: Dict[str, int]
        self._texts = {}  # type: Dict[str, str]
        for point in points:
            self.set(point)

    def set(self, point: str) -> None:
        """Switch on ``name`` or ``name=value``; a value set before is replaced.

        Raises:
            XhaError: INVALID_ENVIRONMENT when they are not enabled; INVALID_PARAMETER when
                the name or the value is wrong.
        """
        name, equals, value = point.partition("=")
        self._require(name)
        if equals and not value:
            raise _refuse("fault point {}: the value after `=` is missing".format(name))
        self._values[name] = _PARSERS[name](name, value)
        self._texts[name] = point

    def clear(self, name: str) -> None:
        """Switch ``name`` off; ``all`` switches everything off.

        Raises:
            XhaError: as ``set``.
        """
        if name == "all" and self.enabled:
            self._values.clear()
            self._texts.clear()
            return
        self._require(name)
        self._values.pop(name, None)
        self._texts.pop(name, None)

    def list(self) -> Tuple[str, ...]:
        """What is switched on, as ``set`` takes it, in the order of names."""
        return tuple(self._texts[name] for name in sorted(self._texts))

    def value(self, name: str) -> int:
        """Milliseconds, or 1, or a bitmap of hosts; 0 when ``name`` is off."""
        return self._values.get(name, 0)

    def covers(self, name: str, host: int) -> bool:
        """Whether ``name`` is on for ``host``."""
        return bool(self._values.get(name, 0) >> host & 1)

    def take(self, name: str) -> int:
        """The value of ``name``, which is switched off: for faults that happen once."""
        self._texts.pop(name, None)
        return self._values.pop(name, 0)

    def _require(self, name: str) -> None:
        if not self.enabled:
            raise XhaError(ExitCode.INVALID_ENVIRONMENT, "fault points are not enabled: start the"
                           " daemon with --enable-faults")
        if name not in _PARSERS:
            raise _refuse("unknown fault point {!r}: the fault points are {}".format(
                name, ", ".join(NAMES)))
