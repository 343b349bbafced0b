"""The origin: what the seal of the global record says, as bytes.

Theory of operation
===================

The origin names who initialised the State-File, and holds the pool key.  It
stays valid when xhad rewrites the base alone, which makes the seal stale; so it
has a CRC of its own.  Behind it, and only once the key was changed, comes the
*ring*: how often, and the second key that is accepted meanwhile.  Origin and
ring lie in one sector of 512 bytes, so they are written together or not at
all; the ring's CRC covers the origin, so that neither can be another's.

==== ====== =============================================================
 at   size   field (offsets in the record)
==== ====== =============================================================
1040   8     magic ``xhaorign``
1048   8     initialised, wall clock, s since the epoch
1056   64    initialised by, ASCII
1120   32    software that initialised, ASCII
1152   4     1 when there is a pool key, else 0
1156   32    pool key: the one that heartbeats are sent with
1188   4     0
1192   4     CRC-32C of bytes 1040 to 1191
1196   8     magic ``xha-ring``; all zero up to 1279: the key was never changed
1204   8     step (``poolkey``), not 0
1212   4     1 when another key is accepted, too, else 0
1216   28    0
1244   32    that key
1276   4     CRC-32C of bytes 1040 to 1275
==== ====== =============================================================

An origin or a ring that is damaged makes the record corrupt, although the base
may be good: read as "this pool has no key" it would switch authentication off,
and as "there is no other key" it would make hosts deaf to each other.

All integers are little-endian.  Source: spec 3 "Seal"; docs/key.md.
"""

import struct
from typing import NamedTuple, Optional, Tuple

from xha import sealformat
from xha.crc import crc32c
from xha.errors import FormatError
from xha.poolkey import ANNOUNCED, CHANGED, KEY_BYTES, SETTLED, STEPS, PoolKey
from xha.published import GlobalRecord, GlobalSeal
from xha.records import record

INITIALISED_BY_BYTES = 64

ORIGIN_AT = sealformat.FIELDS_OFFSET
_ORIGIN_MAGIC = b"xhaorign"
_ORIGIN = struct.Struct("<8sQ64s32sI32sI")
_CRC = struct.Struct("<I")
_ORIGIN_BYTES = _ORIGIN.size + _CRC.size

_RING_AT = ORIGIN_AT + _ORIGIN_BYTES
_RING_MAGIC = b"xha-ring"
_RING = struct.Struct("<8sQI28s32s")
_RING_BYTES = _RING.size + _CRC.size
_END = _RING_AT + _RING_BYTES


@record
class Origin(NamedTuple):
    """What was read."""

    pool_key: Optional[PoolKey]
    key_step: int
    other_key: Optional[PoolKey]
    seal: Optional[GlobalSeal]


#: Of a record in which there is none.
NO_ORIGIN = Origin(pool_key=None, key_step=0, other_key=None, seal=None)


def encode(content: GlobalRecord) -> bytes:
    """Origin and ring of a global record, from offset 1040."""
    key, other = content.pool_key, content.other_key
    assert key is None or len(key) == KEY_BYTES
    seal = content.seal or GlobalSeal(software="", initialised_by="", initialised_at_wall_s=0)
    origin = _closed(_ORIGIN.pack(
        _ORIGIN_MAGIC, seal.initialised_at_wall_s,
        sealformat.pack_text(seal.initialised_by, INITIALISED_BY_BYTES),
        sealformat.pack_text(seal.software, sealformat.SOFTWARE_BYTES),
        key is not None, bytes(key or KEY_BYTES), 0))
    if not content.key_step:
        assert other is None
        return origin
    assert key is not None
    assert (other is None) is (content.key_step % STEPS == SETTLED)
    return _closed(origin + _RING.pack(
        _RING_MAGIC, content.key_step, other is not None, b"", bytes(other or KEY_BYTES)))


def decode(data: bytes) -> Origin:
    """Judged by its own magic and CRC, whatever the rest of the seal is.

    Raises:
        FormatError: origin or ring is damaged.
    """
    origin = data[ORIGIN_AT:_RING_AT]
    sealed = data[sealformat.SEAL_OFFSET:].startswith(sealformat.MAGIC)
    if not origin.startswith(_ORIGIN_MAGIC):
        if sealed and any(origin):
            raise FormatError("the part with the pool key is damaged: its magic is {!r}"
                              .format(origin[:8]))
        return NO_ORIGIN
    _check(origin, "the part with the pool key")
    _, at_wall_s, initialised_by, software, keyed, key, _ = _ORIGIN.unpack_from(origin)
    step, other = _decode_ring(data, bool(keyed))
    return Origin(
        pool_key=PoolKey(key) if keyed else None, key_step=step, other_key=other,
        seal=GlobalSeal(
            software=sealformat.unpack_text(software),
            initialised_by=sealformat.unpack_text(initialised_by),
            initialised_at_wall_s=at_wall_s))


def _decode_ring(data: bytes, keyed: bool) -> Tuple[int, Optional[PoolKey]]:
    if not any(data[_RING_AT:_END]):
        return 0, None
    magic, step, two, _, other = _RING.unpack_from(data, _RING_AT)
    if magic != _RING_MAGIC:
        raise FormatError("the part with the second pool key is damaged: its magic is {!r}"
                          .format(magic))
    _check(data[ORIGIN_AT:_END], "the part with the second pool key")
    if not keyed or not step or bool(two) is not (step % STEPS in (ANNOUNCED, CHANGED)):
        raise FormatError("step {} of a change of the pool key, with {} key and {} other".format(
            step, int(keyed), two))
    return step, PoolKey(other) if two else None


def _closed(data: bytes) -> bytes:
    return data + _CRC.pack(crc32c(data))


def _check(closed: bytes, name: str) -> None:
    expected, found = crc32c(closed[:-_CRC.size]), _CRC.unpack(closed[-_CRC.size:])[0]
    if found != expected:
        raise FormatError("{} is damaged: its CRC is {:#010x}, expected {:#010x}".format(
            name, found, expected))
