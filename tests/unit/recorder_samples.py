"""Headers, entries and whole files of flight recorders."""
from xha import recorderformat
from xha.recorderformat import Entry, Header

HEADER = Header(
    boot_id="2b1b9c62-1111-4222-8333-444455556666", host=1,
    uuid="10000001-1111-4222-8333-000000000001", machine="dom0-b",
    addresses=("10.0.0.1", "10.0.0.2", "10.0.0.3"), software="xha 1.0.0", pid=1234,
    wall_ms=1700000000000, mono_ms=500000, online=False, event_slots=32, measure_slots=16,
    heartbeat_timeout_ms=20000, statefile_timeout_ms=30000)


def event(at_ms, name="host-online", level="notice", **fields):
    """A message so long after the beginning of ``HEADER``'s file."""
    return Entry(kind="event", wall_ms=HEADER.wall_ms + at_ms, mono_ms=HEADER.mono_ms + at_ms,
                 incarnation=7, name=name, level=level, fields=tuple(sorted(fields.items())))


def measure(at_ms, **fields):
    """A measurement so long after the beginning."""
    return event(at_ms, name="", level="", **fields)._replace(kind="measure")


def file_of(entries, header=HEADER):
    """The bytes of a recorder in which these were recorded."""
    data = bytearray(header.file_bytes)
    copy = recorderformat.encode_header(header)
    data[:2 * len(copy)] = copy + copy
    events, measures = recorderformat.rings(header)
    for entry in entries:
        ring = measures if entry.kind == "measure" else events
        for offset, piece in ring.place(recorderformat.encode_entry(entry)):
            data[offset:offset + len(piece)] = piece
    return bytes(data)
