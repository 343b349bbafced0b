"""The state of the bond that carries the heartbeats, from what Linux says of it: spec 8.

Theory of operation
===================

A bond hides the loss of a cable: the heartbeats go on, and only the second
loss is noticed, too late.  So its state is looked at every 10 s and a change
is said; xapi reads it as network_bonding_error.

The text of /proc/net/bonding/NAME is made for people.  Of it two kinds of
lines count: ``Slave Interface: eth0`` begins what belongs to a slave, and
``MII Status: up`` is the state of the bond, if it comes before the first
slave, else that of the slave.  The rest (modes, counters, details of
802.3ad) differs between kernels and is passed over.

A bond that has gone since it was last seen is broken.  An interface that
never was one is said once: xapi names an interface also where it is no bond.

Source: spec 8, "Bond monitor".
"""

import enum
from typing import List, NamedTuple, Optional, Tuple

from xha.actions import Log, log
from xha.errors import FormatError
from xha.records import record

#: How often a bond is looked at, ms.  Source: spec 8.
INTERVAL_MS = 10000

_UP = "up"
# A text of more slaves is cut: it is for a message.
_SLAVES_SHOWN = 16


@enum.unique
class Health(enum.Enum):
    """What a bond is worth."""

    # Nothing is known yet, or there is no bond.
    NONE = "none"
    GOOD = "good"
    DEGRADED = "degraded"
    ERROR = "error"


@record
class Bond(NamedTuple):
    """What the text says."""

    # "up", or why not, as Linux names it.
    status: str
    # (interface, status) of each slave, in the order of the text.
    slaves: Tuple[Tuple[str, str], ...]

    @property
    def health(self) -> Health:
        """Bond not up: ERROR; a slave not up: DEGRADED; else GOOD."""
        if self.status != _UP:
            return Health.ERROR
        return Health.GOOD if all(status == _UP for _, status in self.slaves) else Health.DEGRADED

    @property
    def words(self) -> str:
        """Its slaves for people, such as "eth0 up, eth1 down"."""
        shown = ["{} {}".format(name, status) for name, status in self.slaves[:_SLAVES_SHOWN]]
        if len(self.slaves) > _SLAVES_SHOWN:
            shown.append("{} more".format(len(self.slaves) - _SLAVES_SHOWN))
        return ", ".join(shown) or "no slave"


def parse(text: str) -> Bond:
    """The text of /proc/net/bonding/NAME.

    Raises:
        FormatError: it has no status of the bond, or a slave without one.
    """
    status = ""
    slaves = []  # type: List[Tuple[str, str]]
    for line in text.split("\n"):
        key, _, value = (part.strip() for part in line.partition(":"))
        if key == "Slave Interface":
            slaves.append((value, ""))
        elif key == "MII Status" and not slaves:
            status = status or value
        elif key == "MII Status" and not slaves[-1][1]:
            slaves[-1] = (slaves[-1][0], value)
    if not status:
        raise FormatError("no line `MII Status` of the bond")
    for name, value in slaves:
        if not value:
            raise FormatError("no line `MII Status` of slave {}".format(ascii(name)))
    return Bond(status=status, slaves=tuple(slaves))


class BondHealth:
    """One bond over time."""

    def __init__(self, interface: str) -> None:
        """``interface``: the configured one; "" when none is to be watched."""
        self._interface = interface
        self._health = Health.NONE
        self._words = ""
        self._seen = False
        self._absence_said = False
        self._due_ms = 0

    @property
    def error(self) -> bool:
        """Whether xapi is to be warned (network_bonding_error)."""
        return self._health in (Health.DEGRADED, Health.ERROR)

    def due(self, now_ms: int) -> bool:
        """Whether to look now; then the next look is due an interval later."""
        if not self._interface or now_ms < self._due_ms:
            return False
        self._due_ms = now_ms + INTERVAL_MS
        return True

    def look(self, text: Optional[str]) -> List[Log]:
        """Take the text in, None when there is no such bond; return what there is to say."""
        if text is None:
            if self._seen:
                return self._become(Health.ERROR, "it is gone")
            if self._absence_said:
                return []
            self._absence_said = True
            return [log("bond-absent", interface=self._interface)]
        self._seen = True
        try:
            bond = parse(text)
        except FormatError as error:
            return self._become(Health.ERROR, "its state is not understood: {}".format(error))
        return self._become(bond.health, bond.words if bond.status == _UP else
                            "it is {}; {}".format(bond.status, bond.words))

    def _become(self, health: Health, words: str) -> List[Log]:
        if (health, words) == (self._health, self._words):
            return []
        self._health, self._words = health, words
        if health is Health.GOOD:
            return [log("bond-good", interface=self._interface, slaves=words)]
        if health is Health.DEGRADED:
            return [log("bond-degraded", interface=self._interface, slaves=words)]
        return [log("bond-error", interface=self._interface, reason=words)]
