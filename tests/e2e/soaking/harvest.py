"""What the daemons recorded, and what the disk saw, as events of one clock.

A daemon's flight recorder has every change of its state with the instant of CLOCK_MONOTONIC,
which all hosts of one machine share: so instants of different hosts compare exactly, but for what
a record's stamp is late.  Each life has a file of its own; it is read before the next life
begins, and at the end of a round.

A life that left no file (its disk was full all along) is told by what ha_query_liveset said.
"""

import os
from typing import Any, NamedTuple

from xha import recorderformat
from xha.errors import FormatError

RECORDER = "/var/lib/xha/recorder"
SECTION_BYTES = 4096


class Event(NamedTuple):
    """Something that happened, at ms of CLOCK_MONOTONIC."""

    at_ms: float
    host: int
    # boot, down, began, ended, frozen, thawed: of a machine and its daemon
    # state, phase, log: recorded by its daemon
    # wrote, read: it asked the disk for that then, and it was done
    # touched, well, invalid: of the diet
    kind: str
    what: Any = None


class Harvest:
    """Collects the events of a round."""

    def __init__(self, machines, evidence):
        """``evidence``: the folder in which the recorders of all lives are kept."""
        self._machines = machines
        self._evidence = evidence
        # By life (host, pid and instant of its beginning): how much of it is known, ms.
        self._known_ms = {}
        #: Messages of the catalogue by name, for the summary.
        self.said = {}

    def life(self, machine, until_ms):
        """The events of the present recorder of a machine, up to an instant; new ones only."""
        try:
            with open(machine.place(RECORDER), "rb") as file:
                data = file.read()
            recording = recorderformat.decode(data)
        except (OSError, FormatError):
            return []
        header = recording.header
        name = "{}-{}-{}".format(machine.index, header.mono_ms, header.pid)
        with open(os.path.join(self._evidence, "recorder." + name), "wb") as file:
            file.write(data)
        known_ms = self._known_ms.get(name, -1)
        self._known_ms[name] = until_ms
        found = []
        for entry in recording.entries:
            if not known_ms < entry.mono_ms <= until_ms:
                continue
            fields = dict(entry.fields)
            if entry.kind == "state":
                found.append(Event(entry.mono_ms, machine.index, "state", fields))
            elif entry.name == "phase-changed":
                found.append(Event(entry.mono_ms, machine.index, "phase", fields["phase"]))
            elif entry.kind == "event":
                self.said[entry.name] = self.said.get(entry.name, 0) + 1
                found.append(Event(entry.mono_ms, machine.index, "log", entry.name))
        return found

    def recorded(self, host, since_ms, until_ms):
        """Whether a recorder that begins in this span has been read."""
        return any(name.startswith("{}-".format(host))
                   and since_ms <= int(name.split("-")[1]) <= until_ms
                   for name in self._known_ms)


def of_journal(rows, count):
    """The accesses of the disk as events: own records written, and all records read."""
    found = []
    for came_at, host, kind, offset, size in rows:
        first, last = offset // SECTION_BYTES, (offset + size - 1) // SECTION_BYTES
        if kind == "w" and first <= 1 + host <= last:
            found.append(Event(came_at * 1000, host, "wrote"))
        elif kind == "r" and first <= 1 and last >= count:
            found.append(Event(came_at * 1000, host, "read"))
    return found


def of_watch(host, changes, since_ms, until_ms, count):
    """A life as ha_query_liveset told it, where no recorder did."""
    found = []
    for at, said in changes:
        if since_ms <= at * 1000 <= until_ms and said.status == "Online":
            live = "".join("01"[index in said.live] for index in range(count))
            found.append(Event(at * 1000, host, "state", {
                "phase": "STARTED", "fencing": "ARMED", "liveset": live, "proposed": live,
                "sr2": said.sr2, "holding": False}))
    return found
