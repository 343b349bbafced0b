"""The file of a flight recorder: bytes to records and back.

Theory of operation
===================

One file holds what one daemon saw last, and it must be readable after the
machine was reset, or lost its power, at any instant.  So it never changes its
size, and it is made of *slots* of 512 bytes, the least that a disk writes
whole.  A record is JSON text in one slot, or in several that follow each
other.  A slot is written once and left alone until the ring comes round, so a
write that is cut short damages what was being written and nothing before it;
each slot's CRC tells.  Nothing in a slot is believed before its CRC.

Two rings lie one behind the other, so that measurements, which come all the
time, never push out events, which are rare::

    slots               what
    0 to 15             the header: whose recorder this is
    16 to 31            the same again; written anew when the host is online
    then EVENT_SLOTS    events, and changes of this host's state
    then MEASURE_SLOTS  measurements

A slot, little endian::

    offset bytes field
    0      4     "xhaR"
    4      4     CRC-32 (zlib's) of the bytes from 8 on
    8      1     version, 1
    9      1     kind: H header, E event, M measurement
    10     1     part of the record, from 0
    11     1     parts of the record
    12     2     length of the text in this slot
    14     2     zero
    16     8     number of the slot in the history of its ring, from 0; its place is this
                 modulo the slots of the ring
    24     488   text, ASCII; behind it zeros

The CRC is that of ``binascii``, which every CPython computes in C, also where
crcmod has no compiled part: a whole recorder is checked in some milliseconds.

Numbers of slots are in the header, so that a later version may change them.
Source: spec 9, "Flight recorder".
"""

import binascii
import json
import struct
from typing import Any, Dict, Iterator, List, NamedTuple, Optional, Tuple

from xha.errors import FormatError
from xha.records import record

SLOT_BYTES = 512
VERSION = 1
HEADER_SLOTS = 16
#: 1 MiB of events and 512 KiB of measurements; the whole file is below 1.6 MB.
EVENT_SLOTS = 2048
MEASURE_SLOTS = 1024

HEADER, EVENTS, MEASURES = b"H", b"E", b"M"

_SLOT = struct.Struct("<4sIBsBBHHQ")
_MAGIC = b"xhaR"
_CRC_FROM = 8
_ROOM = SLOT_BYTES - _SLOT.size
_EMPTY = bytes(SLOT_BYTES)

#: Slots that one record may have; a longer text is cut, and is then no record.
MAX_PARTS = 16
#: The longest text of a record, bytes.
MAX_TEXT = MAX_PARTS * _ROOM

#: The largest file that is looked at, bytes; ours have a tenth of it.
MAX_FILE = 16 << 20
_MAX_SLOTS = MAX_FILE // SLOT_BYTES

_MAX_NUMBER = 1 << 64
#: What a header may leave out.
_NO_TIMES = {"heartbeat_timeout_ms": 0, "statefile_timeout_ms": 0}
#: Lists of lists of values, and no more.
_MAX_DEPTH = 2


@record
class Header(NamedTuple):
    """Whose recorder a file is."""

    # The kernel's name for this boot of the machine.
    boot_id: str
    # This host's place among the configured ones, its UUID, the machine's name.
    host: int
    uuid: str
    machine: str
    # Of the hosts of the pool by index.
    addresses: Tuple[str, ...]
    software: str
    pid: int
    # When the recorder was begun: ms since the epoch, and of the monotonic clock.
    wall_ms: int
    mono_ms: int
    # The host was a member of its liveset in this daemon's life.
    online: bool
    event_slots: int
    measure_slots: int
    # T1 and T2 of this daemon; 0 when they are not known.
    heartbeat_timeout_ms: int = 0
    statefile_timeout_ms: int = 0

    @property
    def file_bytes(self) -> int:
        """The size of the whole file."""
        return (2 * HEADER_SLOTS + self.event_slots + self.measure_slots) * SLOT_BYTES


#: Made once: ``json.dumps`` would make an encoder for each record.
_in_json = json.JSONEncoder(separators=(",", ":"), sort_keys=True).encode


@record
class Entry(NamedTuple):
    """One record of a ring."""

    # "event": a message of the catalogue; "state": what became different of this host's state;
    # "measure": measurements of some seconds; "lost": records that could not be written.
    kind: str
    # When: ms since the epoch as this host's clock said, and ms of its monotonic clock.
    wall_ms: int
    mono_ms: int
    # This daemon's incarnation; 0 before it is known.
    incarnation: int
    # Of an event its name in the catalogue and its level; else "".
    name: str
    level: str
    # In the order of names; a value is text, a whole number, a truth value, or a tuple of those.
    fields: Tuple[Tuple[str, Any], ...]


@record
class Recording(NamedTuple):
    """What a file holds."""

    header: Header
    # Events and measurements in the order of the monotonic clock.
    entries: Tuple[Entry, ...]
    # Slots that are neither empty nor whole, and records that miss a part or mean nothing.
    damaged: int


class Ring:
    """Where the records of one ring go."""

    __slots__ = ("_kind", "_first", "_slots", "_next")

    def __init__(self, kind: bytes, first: int, slots: int) -> None:
        """Begin an empty ring of ``slots`` slots, which starts at slot ``first`` of the file."""
        assert slots >= MAX_PARTS, slots
        self._kind = kind
        self._first = first
        self._slots = slots
        self._next = 0

    def place(self, text: bytes) -> List[Tuple[int, bytes]]:
        """The next record: (offset in the file, bytes) in one piece, or two around the end."""
        made = pack(self._kind, self._next, text)
        at = self._next % self._slots
        self._next += len(made) // SLOT_BYTES
        room = (self._slots - at) * SLOT_BYTES
        pieces = [((self._first + at) * SLOT_BYTES, made[:room])]
        if made[room:]:
            pieces.append((self._first * SLOT_BYTES, made[room:]))
        return pieces


def rings(header: Header) -> Tuple[Ring, Ring]:
    """The rings of events and of measurements of a new file."""
    first = 2 * HEADER_SLOTS
    return (Ring(EVENTS, first, header.event_slots),
            Ring(MEASURES, first + header.event_slots, header.measure_slots))


def pack(kind: bytes, number: int, text: bytes) -> bytes:
    """The slots of one record, the first of which has this number."""
    assert text
    assert len(text) <= MAX_TEXT, len(text)
    count = -(-len(text) // _ROOM)
    slots = []
    for part in range(count):
        piece = text[part * _ROOM:(part + 1) * _ROOM]
        slot = _SLOT.pack(_MAGIC, 0, VERSION, kind, part, count, len(piece), 0, number + part)
        slot = (slot + piece).ljust(SLOT_BYTES, b"\0")
        slots.append(_MAGIC + struct.pack("<I", binascii.crc32(slot[_CRC_FROM:]))
                     + slot[_CRC_FROM:])
    return b"".join(slots)


def encode_header(header: Header) -> bytes:
    """One copy of the header: what slots 0 to 15, or 16 to 31, hold."""
    text = _json(dict(header._asdict(), addresses=list(header.addresses)))
    return pack(HEADER, 0, text).ljust(HEADER_SLOTS * SLOT_BYTES, b"\0")


def encode_entry(entry: Entry) -> bytes:
    """The text of a record.  One that is too long loses its longest fields."""
    fields = dict(entry.fields)
    while True:
        text = _json({"k": entry.kind, "w": entry.wall_ms, "m": entry.mono_ms,
                      "i": entry.incarnation, "n": entry.name, "l": entry.level, "f": fields})
        if len(text) <= MAX_TEXT:
            return text
        assert fields, "its name alone is too long"
        del fields[max(fields, key=lambda name: len(_json(fields[name])))]


def _json(value: Any) -> bytes:
    return _in_json(value).encode("ascii")


def decode_header(data: bytes) -> Header:
    """The header of a file that begins with these bytes; its second copy counts more.

    Raises:
        FormatError: neither copy is whole.
    """
    size = HEADER_SLOTS * SLOT_BYTES
    found = None  # type: Optional[Header]
    for copy in (data[:size], data[size:2 * size]):
        slots = _Slots(HEADER, copy, HEADER_SLOTS)
        for text in slots.texts():
            try:
                found = _header_of(text)
            except FormatError:
                pass    # Of the other copy, perhaps.
    if found is None:
        raise FormatError("no header of a flight recorder in the first {} bytes".format(2 * size))
    return found


def decode(data: bytes) -> Recording:
    """Read a recorder's file, also one that is cut short or damaged anywhere.

    Args:
        data: the file's bytes, at most ``MAX_FILE``.

    Raises:
        FormatError: there is no whole header; it is no recorder, or one that was never begun.
    """
    header = decode_header(data)
    entries = []  # type: List[Entry]
    damaged = 0
    first = 2 * HEADER_SLOTS
    for kind, count in ((EVENTS, header.event_slots), (MEASURES, header.measure_slots)):
        slots = _Slots(kind, data[first * SLOT_BYTES:(first + count) * SLOT_BYTES], count)
        for text in slots.texts():
            try:
                entries.append(_entry_of(text))
            except FormatError:
                damaged += 1
        damaged += slots.damaged
        first += count
    # Both rings have one clock, and within each the order is kept.
    entries.sort(key=lambda entry: entry.mono_ms)
    return Recording(header=header, entries=tuple(entries), damaged=damaged)


class _Slots:
    """The slots of one ring, read."""

    def __init__(self, kind: bytes, data: bytes, count: int) -> None:
        self.damaged = 0
        # By number: part, parts and text.
        self._whole = {}  # type: Dict[int, Tuple[int, int, bytes]]
        for place in range(len(data) // SLOT_BYTES):
            slot = data[place * SLOT_BYTES:(place + 1) * SLOT_BYTES]
            if slot == _EMPTY:
                continue
            magic, crc, version, of, part, parts, length, _, number = _SLOT.unpack_from(slot)
            if (magic != _MAGIC or crc != binascii.crc32(slot[_CRC_FROM:]) or version != VERSION
                    or of != kind or number % count != place or length > _ROOM
                    or not part < parts <= MAX_PARTS):
                self.damaged += 1
                continue
            self._whole[number] = (part, parts, slot[_SLOT.size:_SLOT.size + length])

    def texts(self) -> Iterator[bytes]:
        """The texts of all records that are whole, in their order; counts those that are not."""
        for number in sorted(self._whole):
            part, parts, text = self._whole[number]
            if part:
                continue
            for following in range(1, parts):
                found = self._whole.get(number + following)
                if found is None or found[:2] != (following, parts):
                    self.damaged += 1
                    break
                text += found[2]
            else:
                yield text


def _object_of(text: bytes) -> Dict[str, Any]:
    try:
        found = json.loads(text.decode("ascii"))
    except (ValueError, RecursionError) as error:
        raise FormatError("no JSON: {}".format(type(error).__name__)) from error
    if not isinstance(found, dict):
        raise FormatError("{}, expected an object".format(type(found).__name__))
    return found


def _text(found: Dict[str, Any], name: str) -> str:
    if not isinstance(found.get(name), str):
        raise FormatError("{} is {!r}, expected text".format(name, found.get(name)))
    return str(found[name])


def _number(found: Dict[str, Any], name: str, least: int = -_MAX_NUMBER,
            most: int = _MAX_NUMBER) -> int:
    value = found.get(name)
    if not isinstance(value, int) or isinstance(value, bool) or not least <= value <= most:
        raise FormatError("{} is {!r}, expected a number from {} to {}".format(
            name, value, least, most))
    return value


def _header_of(text: bytes) -> Header:
    found = dict(_NO_TIMES, **_object_of(text))
    addresses = found.get("addresses")
    if not isinstance(addresses, list) or not all(isinstance(one, str) for one in addresses):
        raise FormatError("addresses are no list of texts")
    return Header(
        boot_id=_text(found, "boot_id"), host=_number(found, "host", -1, 63),
        uuid=_text(found, "uuid"), machine=_text(found, "machine"), addresses=tuple(addresses),
        software=_text(found, "software"), pid=_number(found, "pid"),
        wall_ms=_number(found, "wall_ms"), mono_ms=_number(found, "mono_ms"),
        online=found.get("online") is True,
        event_slots=_number(found, "event_slots", MAX_PARTS, _MAX_SLOTS),
        measure_slots=_number(found, "measure_slots", MAX_PARTS, _MAX_SLOTS),
        heartbeat_timeout_ms=_number(found, "heartbeat_timeout_ms", 0),
        statefile_timeout_ms=_number(found, "statefile_timeout_ms", 0))


def _entry_of(text: bytes) -> Entry:
    found = _object_of(text)
    fields = found.get("f")
    if not isinstance(fields, dict):
        raise FormatError("no fields")
    return Entry(
        kind=_text(found, "k"), wall_ms=_number(found, "w"), mono_ms=_number(found, "m"),
        incarnation=_number(found, "i", 0), name=_text(found, "n"), level=_text(found, "l"),
        fields=tuple((name, _frozen(fields[name])) for name in sorted(fields)))


def _frozen(value: Any, depth: int = 0) -> Any:
    """A field's value as it is kept: text, a number without fraction, yes or no; or a list."""
    if isinstance(value, list) and depth < _MAX_DEPTH:
        return tuple(_frozen(item, depth + 1) for item in value)
    if isinstance(value, str) or isinstance(value, int) and abs(value) <= _MAX_NUMBER:
        return value
    raise FormatError("a {} is no value of a field".format(type(value).__name__))
