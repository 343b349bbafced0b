"""The seal: what xha adds to xhad's records, and how damage is told from age.

Theory of operation
===================

xhad checks its records with a sum, which misses swapped words, bits that flip
in pairs and torn writes.  It neither reads nor writes bytes 1024 to 4095 of a
record, so our seal lives there.  The difficulty: xhad may rewrite the base
under a seal of ours.  Then the seal does not match although nothing is
damaged.  The seal therefore repeats the base's checksum: if it is still the
base's, base and seal were written together and the CRC must hold; if not, the
base is newer than the seal and stands alone.

That would let damage to the repeated checksum, or to the magic, pass as a
rewrite.  So before a seal is called stale or absent, magic and repetition are
put right on paper: if the CRC holds then, exactly they were damaged, and the
record is corrupt.  Hence no single damaged byte of a sealed record passes.

==== ====== =============================================================
 at   size   field (offsets in the record)
==== ====== =============================================================
1024   8     magic ``xha-seal``
1032   4     seal version, 1
1036   4     the base's checksum, repeated
1040   ...   fields of the global or the host record: see ``sfformat``
4092   4     CRC-32C of bytes 0 to 4091
==== ====== =============================================================

A newer version keeps the fields that we know in their places; its CRC is
checked and its unknown fields are ignored.  Bytes that no field names are
written as zero.

Last words, 256 bytes, in seals of host records and of heartbeats; all zero
when there are none:

==== ====== =============================================================
 at   size   field
==== ====== =============================================================
0      8     incarnation that spoke
8      8     wall clock of the host that died, s since the epoch
16     8     liveset, bitmap
24     8     heartbeat domain, bitmap
32     8     State-File domain, bitmap
40     32    code, ASCII, padded with NUL
72     184   text, ASCII, padded with NUL
==== ====== =============================================================

Configuration that the host goes by, 40 bytes, in seals of host records; all zero
when the host does not say:

==== ====== =============================================================
 at   size   field
==== ====== =============================================================
0      8     fingerprint of all that must be equal on every host, never 0
8      8x4   t1, T1, t2, T2, Wh, Ws, Tboot, Tenable, ms
==== ====== =============================================================

All integers are little-endian.  Source: spec 3 "Seal", spec 4 "Seal", spec 9.
"""

import enum
import functools
import struct
from typing import Optional, Tuple

from xha.crc import crc32c
from xha.errors import FormatError
from xha.hostset import MAX_HOSTS, HostSet
from xha.published import NEVER, Configuration, FencingMode, LastWords, WatchdogMode

RECORD_BYTES = 4096
SEAL_OFFSET = 1024
CRC_OFFSET = RECORD_BYTES - 4
MAGIC = b"xha-seal"
VERSION = 1

LAST_WORDS_BYTES = 256
CODE_BYTES = 32
TEXT_BYTES = 184
SOFTWARE_BYTES = 32

#: The longest age that a signed 32-bit field holds, ms: 24.8 days.
AGE_MS_MAX = 0x7FFFFFFF
AGES = struct.Struct("<{}i".format(MAX_HOSTS))

_HEAD = struct.Struct("<8sII")
_CRC = struct.Struct("<I")
_LAST_WORDS = struct.Struct("<5Q32s184s")
_CONFIGURATION = struct.Struct("<Q8I")
_NO_CONFIGURATION = bytes(_CONFIGURATION.size)

#: Where the fields of a record begin, after the seal's head.
FIELDS_OFFSET = SEAL_OFFSET + _HEAD.size

_BLANK_TAIL = bytes(RECORD_BYTES - SEAL_OFFSET)
_BLANK_WORDS = bytes(LAST_WORDS_BYTES)
_UNPRINTABLE = bytes(byte for byte in range(256) if not 32 <= byte <= 126)
#: What stands for each byte of a text: itself, if it is printable.
_SHOWN = bytes(byte if byte not in _UNPRINTABLE else ord("?") for byte in range(256))
_HEX = frozenset(b"0123456789abcdefABCDEF")

#: Different texts, or bytes, of which is remembered what they are: most repeat; more than the
#: UUIDs and programs of a pool of 64.
_REMEMBERED = 256


@enum.unique
class SealState(enum.Enum):
    """What a record that is not corrupt has for a seal."""

    INTACT = "sealed"
    STALE = "unsealed, rewritten by xhad over a seal"
    ABSENT = "unsealed"


def pack_configuration(content: Optional[Configuration]) -> bytes:
    """40 bytes; zero for None."""
    if content is None:
        return _NO_CONFIGURATION
    return _CONFIGURATION.pack(content.fingerprint, *content.times_ms)


def unpack_configuration(data: bytes, at: int) -> Optional[Configuration]:
    """None when the host does not say."""
    found = _CONFIGURATION.unpack_from(data, at)
    return Configuration(fingerprint=found[0], times_ms=found[1:]) if found[0] else None


def close_seal(base: bytes, base_checksum: int, fields: bytes) -> bytes:
    """A whole sealed record of 4096 bytes.

    Args:
        base: the base, at most 1024 bytes.
        base_checksum: the checksum field of ``base``.
        fields: the seal's fields, which begin at offset 1040; at most 3052 bytes.
    """
    assert len(base) <= SEAL_OFFSET
    assert len(fields) <= CRC_OFFSET - FIELDS_OFFSET
    covered = b"".join((
        base.ljust(SEAL_OFFSET, b"\0"), _HEAD.pack(MAGIC, VERSION, base_checksum),
        fields.ljust(CRC_OFFSET - FIELDS_OFFSET, b"\0")))
    return covered + _CRC.pack(crc32c(covered))


def judge_seal(data: bytes, base_checksum: int) -> SealState:
    """Judge the seal of a record whose base is good.

    Args:
        data: 4096 bytes.
        base_checksum: the checksum field of the base, which holds.

    Raises:
        FormatError: the record is corrupt: its CRC does not hold, or its seal's head is damaged.

    Source: spec 3, "Verifying a record", 2 to 4.
    """
    magic, version, repeated = _HEAD.unpack_from(data, SEAL_OFFSET)
    found = _CRC.unpack_from(data, CRC_OFFSET)[0]
    if magic == MAGIC and repeated == base_checksum:
        expected = crc32c(data[:CRC_OFFSET])
        if found != expected:
            raise FormatError(
                "CRC is {:#010x}, expected {:#010x}".format(found, expected))
        if version < VERSION:
            raise FormatError("seal version is {}, expected {} or newer".format(version, VERSION))
        return SealState.INTACT
    if data[SEAL_OFFSET:] == _BLANK_TAIL:
        return SealState.ABSENT
    mended = b"".join((data[:SEAL_OFFSET], _HEAD.pack(MAGIC, version, base_checksum),
                       data[FIELDS_OFFSET:CRC_OFFSET]))
    if crc32c(mended) == found:
        raise FormatError("magic or repeated checksum of the seal is damaged")
    # Without the magic these may be any bytes that lay on the disk before xhad's init.
    return SealState.STALE if magic == MAGIC else SealState.ABSENT


@functools.lru_cache(_REMEMBERED)
def pack_text(text: str, size: int) -> bytes:
    """``text`` as ``size`` bytes of printable ASCII, cut with ``...`` or padded with NUL."""
    data = text.encode("ascii", "replace").translate(_SHOWN)
    if len(data) > size:
        data = data[:size - 3] + b"..."
    return data.ljust(size, b"\0")


@functools.lru_cache(_REMEMBERED)
def unpack_text(data: bytes) -> str:
    """The printable ASCII of a field up to its first NUL; other bytes are left out."""
    return data.split(b"\0", 1)[0].translate(None, _UNPRINTABLE).decode("ascii")


def pack_last_words(words: Optional[LastWords]) -> bytes:
    """Last words as 256 bytes; a text too long for its field is cut."""
    if words is None:
        return _BLANK_WORDS
    return _LAST_WORDS.pack(
        words.incarnation, max(0, words.at_wall_s), words.liveset.bits,
        words.heartbeat_domain.bits, words.statefile_domain.bits,
        # A code that is empty would read as no last words at all.
        pack_text(words.code or "unknown", CODE_BYTES), pack_text(words.text, TEXT_BYTES))


def unpack_last_words(data: bytes, offset: int) -> Optional[LastWords]:
    """The last words that lie at ``offset``; None when that host left none."""
    if data[offset:offset + LAST_WORDS_BYTES] == _BLANK_WORDS:
        return None
    incarnation, at_wall_s, liveset, heard, seen, code, text = _LAST_WORDS.unpack_from(
        data, offset)
    return LastWords(
        code=unpack_text(code), text=unpack_text(text), at_wall_s=at_wall_s,
        incarnation=incarnation, liveset=HostSet.of_bits(liveset),
        heartbeat_domain=HostSet.of_bits(heard), statefile_domain=HostSet.of_bits(seen))


@functools.lru_cache(_REMEMBERED)
def fencing_mode(number: int) -> FencingMode:
    """A fencing mode by its number.  One that we do not know counts as armed: a host that
    is taken for disarmed is dropped without waiting for its timers."""
    return FencingMode(number) if number <= FencingMode.DISARMED else FencingMode.ARMED


@functools.lru_cache(_REMEMBERED)
def watchdog_mode(number: int) -> WatchdogMode:
    """A watchdog mode by its number.  One that we do not know proves nothing: UNKNOWN."""
    return WatchdogMode(number) if number <= WatchdogMode.NONE else WatchdogMode.UNKNOWN


@functools.lru_cache(_REMEMBERED)
def is_uuid(data: bytes) -> bool:
    """Whether ``data`` is a UUID as records hold it: 32 hex digits in ASCII."""
    return len(data) == 32 and _HEX.issuperset(data)


def pack_ages(ages_ms: Tuple[int, ...]) -> bytes:
    """The ages of 64 hosts as signed 32-bit fields: longer than 24.8 days counts as that."""
    try:
        return AGES.pack(*ages_ms)
    except struct.error:
        return AGES.pack(*[min(age_ms, AGE_MS_MAX) for age_ms in ages_ms])


def unpack_ages(data: bytes) -> Tuple[int, ...]:
    """The ages of 64 hosts: what wrapped below -1 is older than can be told."""
    ages_ms = AGES.unpack(data)
    if min(ages_ms) >= NEVER:
        return ages_ms
    return tuple(max(NEVER, age_ms) for age_ms in ages_ms)
