"""The records of the State-File, as bytes.

Theory of operation
===================

A record of 4096 bytes is a *base*, which is xhad's format 2 byte for byte,
and a *seal* of ours (``sealformat``).  ``encode`` and ``decode`` are inverse.
Nothing in a record is believed before its signatures, its checksum and, where
base and seal belong together, its CRC were checked.  A record that holds but
says what cannot be (phase 77, host 70) counts as corrupt too: the damage of
one record is its owner's trouble alone, believing it would be everybody's.

What xhad might say and we would not is taken as xhad takes it: a flag is set
when it is not 0, an age below -1 (a count of ms that wrapped after 24.8 days)
is "never".  Ages above 24.8 days are written as that.

Global record: base of 104 bytes
--------------------------------

==== ====== =====================================================
 at   size   field
==== ====== =====================================================
0      4     signature 0x6c6f6f70
4      4     inverted signature 0xf2721211
8      4     checksum: sum modulo 2^32 of the words at 12 to 96
12     4     version, 2
16     4     length of the global record, 4096
20     4     length of a host record, 4096
24     4     most hosts, 64
28     32    generation UUID, hex digits in ASCII
60     4     pool state
64     32    master's host UUID, or 32 times ``0``
96     4     number of configured hosts
100    4     end marker 0x70646e65
==== ====== =====================================================

Its seal holds the *origin*, with the pool key: ``originformat``.

Host record: base of 632 bytes
------------------------------

==== ====== =====================================================
 at   size   field
==== ====== =====================================================
0      4     signature 0x74736f68
4      4     inverted signature 0xf1719212
8      4     checksum: sum modulo 2^32 of the words at 12 to 624
12     4     sequence
16     4     host index
20     32    host UUID, hex digits in ASCII; NUL when initialised
52     4     excluded, 0 or 1
56     4     starting, 0 or 1
60     64x4  age of host j's last heartbeat, ms, signed; -1 never
316    64x4  age of host j's last advance, ms, signed; -1 never
572    4     age of the first attempt to restart xapi, ms; -1
576    8     current liveset, bitmap (host j is bit j)
584    8     proposed liveset
592    8     heartbeat domain
600    8     State-File domain
608    4     lock request, 0 or 1
612    8     lock grants, bitmap
620    4     phase
624    4     committed weight
628    4     end marker 0x68646e65
==== ====== =====================================================

Fields of its seal

==== ====== =====================================================
1040   8     incarnation
1048   8     wall clock of the write, ms since the epoch
1056   32    software and its version, ASCII
1088   1     fencing mode
1089   1     watchdog mode
1090   1     survival rule 2, 0 or 1
1091   1     holds the master lock, 0 or 1
1092   40    configuration (``sealformat``)
1132   8     mark of the pool keys that it goes by (``poolkey``), 0: not said
1140   396   0: room for what is to come
1536   64x8  newest incarnation seen of host j, 0 none
2048   256   last words (``sealformat``)
2304   1788  0: room for what is to come
==== ====== =====================================================

All integers are little-endian.  Source: spec 3.
"""

import struct
import zlib
from typing import Optional

from xha import originformat, sealformat
from xha.errors import FormatError
from xha.hostset import MAX_HOSTS, HostSet
from xha.published import (
    NEVER, Fault, GlobalRecord, HostRecord, Phase, PoolState, RecordSeal, Section)
from xha.sealformat import (
    AGE_MS_MAX, RECORD_BYTES, SealState, is_uuid, pack_ages, unpack_ages)

#: One global record and 64 host records.  Source: spec 3.
SECTIONS = 1 + MAX_HOSTS
STATEFILE_BYTES = SECTIONS * RECORD_BYTES

FORMAT_VERSION = 2

_WORD = 0xFFFFFFFF

GLOBAL_SIGNATURE = 0x6C6F6F70
_GLOBAL_INVERTED = 0xF2721211
_GLOBAL_END = 0x70646E65
GLOBAL_BASE = struct.Struct("<7I32sI32sII")
_GLOBAL_SUMMED = struct.Struct("<22i")
_GENERATION_AT = 28

HOST_SIGNATURE = 0x74736F68
_HOST_INVERTED = 0xF1719212
_HOST_END = 0x68646E65
HOST_BASE = struct.Struct("<5I32sII256s256si4QIQIII")
_HOST_SUMMED = struct.Struct("<154i")   # Signed: the same modulo 2^32, and fast where most are -1.

_HEAD = struct.Struct("<III")
_SUMMED_AT = _HEAD.size

_HOST_SEAL = struct.Struct("<QQ32s4B")
_HOST_SEAL_AT = sealformat.FIELDS_OFFSET
_MARK = struct.Struct("<Q")
_MARK_AT = 1132
_SEEN = struct.Struct("<64Q")
_SEEN_AT, _WORDS_AT = 1536, 2048

_BLANK = bytes(RECORD_BYTES)
_BLANK_UUID = bytes(32)


class VersionMismatch(FormatError):
    """An intact global record of a format that we do not speak."""


def fingerprint(data: bytes) -> int:
    """A number, never 0, that is equal for equal bytes and hardly for others (64 bits)."""
    return zlib.crc32(data) << 32 | zlib.adler32(data)


def encode_global(content: GlobalRecord) -> bytes:
    """The 4096 bytes of a global record.

    With neither pool key nor seal it is written as xhad writes it, unsealed; with either it
    is sealed.
    """
    assert is_uuid(content.generation_uuid.encode("ascii"))
    assert is_uuid(content.master.encode("ascii"))
    assert 1 <= content.host_count <= MAX_HOSTS
    base = _close_base(_GLOBAL_SUMMED, GLOBAL_BASE.pack(
        GLOBAL_SIGNATURE, _GLOBAL_INVERTED, 0, FORMAT_VERSION, RECORD_BYTES, RECORD_BYTES,
        MAX_HOSTS, content.generation_uuid.encode("ascii"), content.pool_state,
        content.master.encode("ascii"), content.host_count, _GLOBAL_END))
    if content.seal is None and content.pool_key is None:
        return base.ljust(RECORD_BYTES, b"\0")
    return sealformat.close_seal(base, _checksum_of(base), originformat.encode(content))


def decode_global(data: bytes) -> GlobalRecord:
    """Read a global record of 4096 bytes.

    Returns:
        The record.  ``pool_key`` and ``seal`` are those of its origin, also when xhad
        rewrote the base; None where there is no origin.

    Raises:
        VersionMismatch: it is intact, but of a format that we do not speak.
        FormatError: it is corrupt; the text says what was found and expected.
    """
    _check_base(data, GLOBAL_SIGNATURE, _GLOBAL_INVERTED, _GLOBAL_SUMMED, _GLOBAL_END)
    (_, _, checksum, version, global_bytes, host_bytes, most_hosts, generation, pool_state,
     master, host_count, _) = GLOBAL_BASE.unpack_from(data)
    sealformat.judge_seal(data, checksum)
    if (version, global_bytes, host_bytes, most_hosts) != (
            FORMAT_VERSION, RECORD_BYTES, RECORD_BYTES, MAX_HOSTS):
        raise VersionMismatch(
            "format is version {} with records of {} and {} bytes for {} hosts, expected version"
            " 2, 4096, 4096, 64".format(version, global_bytes, host_bytes, most_hosts))
    if not is_uuid(generation):
        raise FormatError("generation UUID is {!r}, expected 32 hex digits".format(generation))
    if not is_uuid(master):
        raise FormatError("master is {!r}, expected 32 hex digits".format(master))
    if pool_state > PoolState.INVALID:
        raise FormatError("pool state is {}, expected 0 to 3".format(pool_state))
    if not 1 <= host_count <= MAX_HOSTS:
        raise FormatError("number of hosts is {}, expected 1 to 64".format(host_count))
    origin = originformat.decode(data)
    return GlobalRecord(
        generation_uuid=generation.decode("ascii"), pool_state=PoolState(pool_state),
        master=master.decode("ascii"), host_count=host_count,
        pool_key=origin.pool_key, seal=origin.seal, key_step=origin.key_step,
        other_key=origin.other_key)


def encode_host(content: HostRecord) -> bytes:
    """The 4096 bytes of a host record; without a seal, as xhad writes it."""
    uuid = content.host_uuid.encode("ascii") or _BLANK_UUID
    assert uuid == _BLANK_UUID or is_uuid(uuid)
    assert 0 <= content.host_index < MAX_HOSTS
    base = _close_base(_HOST_SUMMED, HOST_BASE.pack(
        HOST_SIGNATURE, _HOST_INVERTED, 0, content.sequence, content.host_index, uuid,
        content.excluded, content.starting, pack_ages(content.since_heartbeat_ms),
        pack_ages(content.since_statefile_ms), min(content.since_xapi_restart_ms, AGE_MS_MAX),
        content.current_liveset.bits, content.proposed_liveset.bits,
        content.heartbeat_domain.bits, content.statefile_domain.bits, content.lock_request,
        content.lock_grants.bits, content.phase, content.weight, _HOST_END))
    if content.seal is None:
        return base.ljust(RECORD_BYTES, b"\0")
    return sealformat.close_seal(base, _checksum_of(base), _encode_host_seal(content.seal))


def decode_host(data: bytes) -> HostRecord:
    """Read a host record of 4096 bytes.

    Returns:
        The record, without a seal when it has none or xhad wrote over it.  A record that was
        only initialised has ``host_uuid`` "" and host index 0 in every section.

    Raises:
        FormatError: it is corrupt; the text says what was found and expected.
    """
    _check_base(data, HOST_SIGNATURE, _HOST_INVERTED, _HOST_SUMMED, _HOST_END)
    (_, _, checksum, sequence, index, uuid, excluded, starting, since_heartbeat, since_statefile,
     since_restart, current, proposed, heard, seen, request, grants, phase, weight,
     _) = HOST_BASE.unpack_from(data)
    state = sealformat.judge_seal(data, checksum)
    if index >= MAX_HOSTS:
        raise FormatError("host index is {}, expected 0 to 63".format(index))
    if uuid != _BLANK_UUID and not is_uuid(uuid):
        raise FormatError("host UUID is {!r}, expected 32 hex digits".format(uuid))
    if phase > Phase.FH4DONE:
        raise FormatError("phase is {}, expected 0 to 11".format(phase))
    of_bits = HostSet.of_bits
    return HostRecord(
        sequence=sequence, host_index=index, excluded=bool(excluded), starting=bool(starting),
        host_uuid="" if uuid == _BLANK_UUID else uuid.decode("ascii"),
        since_heartbeat_ms=unpack_ages(since_heartbeat),
        since_statefile_ms=unpack_ages(since_statefile),
        since_xapi_restart_ms=max(NEVER, since_restart), current_liveset=of_bits(current),
        proposed_liveset=of_bits(proposed), heartbeat_domain=of_bits(heard),
        statefile_domain=of_bits(seen), lock_request=bool(request), lock_grants=of_bits(grants),
        phase=Phase(phase), weight=weight,
        seal=_decode_host_seal(data) if state is SealState.INTACT else None)


def section_of_global(data: bytes) -> Section:
    """The global section as a reading found it; never raises."""
    try:
        return _good(decode_global(data))
    except VersionMismatch as error:
        return _bad(Fault.VERSION, data, str(error), _generation_of(data))
    except FormatError as error:
        return _bad(Fault.CORRUPT, data, str(error), _generation_of(data))


def section_of_host(data: bytes, index: Optional[int] = None) -> Section:
    """A host's section as a reading found it; never raises.

    With ``index``, a record that another host wrote into the section of host ``index`` is
    corrupt: storage that misdirects a write must not make a dead host look alive.
    """
    try:
        content = decode_host(data)
        if index is not None and content.host_uuid and content.host_index != index:
            raise FormatError("record of host {} in the section of host {}".format(
                content.host_index, index))
        return _good(content)
    except FormatError as error:
        return _bad(Fault.CORRUPT, data, str(error), "")


def unreadable(text: str) -> Section:
    """A section that an I/O error kept from us; ``text`` says which."""
    return Section(fault=Fault.UNREADABLE, content=None, text=text, fingerprint=0, blank=False,
                   generation_uuid="")


def seal_state(data: bytes) -> SealState:
    """What seal a record that decodes has."""
    return sealformat.judge_seal(data, _checksum_of(data))


def _close_base(summed: struct.Struct, base: bytes) -> bytes:
    signature, inverted, _ = _HEAD.unpack_from(base)
    checksum = sum(summed.unpack_from(base, _SUMMED_AT)) & _WORD
    return _HEAD.pack(signature, inverted, checksum) + base[_HEAD.size:]


def _checksum_of(base: bytes) -> int:
    return int(_HEAD.unpack_from(base)[2])


def _check_base(data: bytes, signature: int, inverted: int, summed: struct.Struct,
                end: int) -> None:
    """Signatures first, then the sum: spec 3, "Verifying a record", 1."""
    if len(data) != RECORD_BYTES:
        raise FormatError("record is {} bytes, expected 4096".format(len(data)))
    found = _HEAD.unpack_from(data)
    if found[:2] != (signature, inverted):
        if data == _BLANK:
            raise FormatError("record is blank: all bytes are zero")
        raise FormatError("signatures are {:#010x} and {:#010x}, expected {:#010x} and {:#010x}"
                          .format(found[0], found[1], signature, inverted))
    marker = int.from_bytes(data[12 + summed.size:16 + summed.size], "little")
    if marker != end:
        raise FormatError("end marker is {:#010x}, expected {:#010x}".format(marker, end))
    checksum = sum(summed.unpack_from(data, _SUMMED_AT)) & _WORD
    if found[2] != checksum:
        raise FormatError("checksum is {:#010x}, expected {:#010x}".format(found[2], checksum))


def _encode_host_seal(seal: RecordSeal) -> bytes:
    fixed = _HOST_SEAL.pack(
        seal.incarnation, seal.written_at_wall_ms,
        sealformat.pack_text(seal.software, sealformat.SOFTWARE_BYTES), seal.fencing,
        seal.watchdog_mode, seal.sr2, seal.holding) + sealformat.pack_configuration(
            seal.configuration) + _MARK.pack(seal.keys)
    return b"".join((
        fixed.ljust(_SEEN_AT - _HOST_SEAL_AT, b"\0"), _SEEN.pack(*seal.incarnations_seen),
        sealformat.pack_last_words(seal.last_words)))


def _decode_host_seal(data: bytes) -> RecordSeal:
    incarnation, at_wall_ms, software, fencing, mode, sr2, holding = _HOST_SEAL.unpack_from(
        data, _HOST_SEAL_AT)
    return RecordSeal(
        incarnation=incarnation, software=sealformat.unpack_text(software),
        written_at_wall_ms=at_wall_ms, fencing=sealformat.fencing_mode(fencing),
        watchdog_mode=sealformat.watchdog_mode(mode), sr2=bool(sr2), holding=bool(holding),
        incarnations_seen=_SEEN.unpack_from(data, _SEEN_AT),
        last_words=sealformat.unpack_last_words(data, _WORDS_AT),
        configuration=sealformat.unpack_configuration(data, _HOST_SEAL_AT + _HOST_SEAL.size),
        keys=_MARK.unpack_from(data, _MARK_AT)[0])


def _generation_of(data: bytes) -> str:
    field = data[_GENERATION_AT:_GENERATION_AT + 32]
    return field.decode("ascii") if is_uuid(field) else ""


def _good(content: object) -> Section:
    return Section(fault=Fault.NONE, content=content, text="", fingerprint=0, blank=False,
                   generation_uuid="")


def _bad(fault: Fault, data: bytes, text: str, generation_uuid: str) -> Section:
    return Section(fault=fault, content=None, text=text, fingerprint=fingerprint(data),
                   blank=data == _BLANK, generation_uuid=generation_uuid)
