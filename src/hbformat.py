"""The heartbeat datagram, as bytes.

Theory of operation
===================

A datagram is a *base* of 744 bytes, xhad's own, and a *seal* of ours.  An
xhad's receive buffer is 744 bytes, so it never sees the seal.  The seal ends
in a proof over everything before it: HMAC-SHA-256 under the pool key, or
CRC-32C in a pool without a key.  ``decode`` says how far the origin is proven
and never whether to believe it: that is the core's decision (spec 4).

Flags are set when they are not 0 and ages below -1 are "never", as xhad takes
them.  What cannot be (phase 77, host 70, letters that are no UUID) is refused.

==== ====== =====================================================
 at   size   field of the base
==== ====== =====================================================
0      4     signature 0x68616878
4      4     checksum: 0, never checked
8      4     sequence, from 1
12     4     size, 744
16     32    generation UUID, hex digits in ASCII
48     32    sender's host UUID
80     4     sender's host index
84     8     current liveset, bitmap (host j is bit j)
92     8     proposed liveset
100    8     heartbeat domain
108    8     State-File domain
116    64x4  age of host j's last heartbeat, ms, signed; -1 never
372    64x4  age of host j's last advance, ms, signed; -1 never
628    4     age of the first attempt to restart xapi, ms; -1
632    4     phase
636    101   xapi error, ASCII, ended by NUL
737    1     State-File access
738    1     State-File corrupted
739    1     asks all hosts to accelerate
740    1     fence request
741    1     survival rule 2
742    1     joining
743    1     0
==== ====== =====================================================

==== ====== =====================================================
 at   size   field of the seal
==== ====== =====================================================
744    8     magic ``xha-beat``
752    2     seal version, 1
754    2     length of the seal with its proof, bytes
756    1     kind of the proof: 1 CRC-32C, 2 HMAC-SHA-256
757    1     fencing mode
758    1     watchdog mode
759    1     n: how many hosts it names below
760    8     incarnation
768    32    software and its version, ASCII
800    256   last words (``sealformat``)
1056   nx4   mark of the last heartbeat of host j that was taken over, 0 for none
...    2     how long nothing is asked of its xapi yet, s; 0: it is checked
...    2     how long it is meant to be disarmed yet, s; 0: not said; 65535: it
             was, and that is over
...    ...   what a newer version adds
end    4/32  proof of all bytes before it
==== ====== =====================================================

A newer version keeps these in their places and adds before the proof; the
whole is at most 1400 bytes.  What stands after the marks is left out where all
of it is 0, and is 0 where it is not there: the first daemons did not send it.
All integers are little-endian.  Source: spec 4.
"""

import functools
import struct
from typing import Optional, Tuple

from xha import keyedhash, sealformat
from xha.crc import crc32c
from xha.errors import FormatError
from xha.hostset import MAX_HOSTS, HostSet
from xha.keyedhash import Keyed
from xha.published import NEVER, Heartbeat, HeartbeatSeal, Phase, Proof
from xha.sealformat import AGE_MS_MAX, is_uuid, pack_ages, unpack_ages

BASE_BYTES = 744
DATAGRAM_BYTES_MAX = 1400
XAPI_ERROR_BYTES = 100

SIGNATURE = 0x68616878
_BASE = struct.Struct("<4I32s32sI4Q256s256siI101s7B")
_MAGIC = b"xha-beat"
_VERSION = 1
_SEAL = struct.Struct("<8sHH4BQ32s")
_WORDS_AT = BASE_BYTES + _SEAL.size
_MARKS_AT = _WORDS_AT + sealformat.LAST_WORDS_BYTES
#: By number of hosts: their marks.
_MARKS = tuple(struct.Struct("<{}I".format(count)) for count in range(MAX_HOSTS + 1))
_NO_MARKS = (0,) * MAX_HOSTS
_HOLDS = struct.Struct("<2H")
_HELD_S_MAX = 0xFFFF
_NO_HOLDS = (0, 0)
_BY_CRC = 1
_BY_KEY = 2
_CRC = struct.Struct("<I")
_PROOF_BYTES = {_BY_CRC: _CRC.size, _BY_KEY: keyedhash.DIGEST_BYTES}


class DatagramError(FormatError):
    """A datagram that is no heartbeat.

    ``cause`` names the counter that it belongs to: length, signature, size, uuid, host-index
    or phase.
    """

    def __init__(self, cause: str, text: str) -> None:
        super().__init__(text)
        self.cause = cause


def encode(heartbeat: Heartbeat, key: Optional[bytes]) -> bytes:
    """The datagram of a heartbeat.

    Args:
        heartbeat: without a seal it is encoded as xhad sends it, in 744 bytes.
        key: the pool key, 32 bytes; None in a pool that has none.
    """
    generation_uuid = heartbeat.generation_uuid.encode("ascii")
    host_uuid = heartbeat.host_uuid.encode("ascii")
    assert is_uuid(generation_uuid)
    assert is_uuid(host_uuid)
    assert 0 <= heartbeat.host_index < MAX_HOSTS
    base = _BASE.pack(
        SIGNATURE, 0, heartbeat.sequence, BASE_BYTES, generation_uuid, host_uuid,
        heartbeat.host_index, heartbeat.current_liveset.bits, heartbeat.proposed_liveset.bits,
        heartbeat.heartbeat_domain.bits, heartbeat.statefile_domain.bits,
        pack_ages(heartbeat.since_heartbeat_ms), pack_ages(heartbeat.since_statefile_ms),
        min(heartbeat.since_xapi_restart_ms, AGE_MS_MAX), heartbeat.phase,
        sealformat.pack_text(heartbeat.xapi_error, XAPI_ERROR_BYTES),
        heartbeat.statefile_access, heartbeat.statefile_corrupted, heartbeat.accelerate,
        heartbeat.fence_request, heartbeat.sr2, heartbeat.joining, 0)
    if heartbeat.seal is None:
        return base
    return base + _encode_seal(base, heartbeat.seal, key)


def decode(data: bytes, key: Optional[bytes], also: Optional[bytes] = None
           ) -> Tuple[Heartbeat, Proof]:
    """Read a datagram.

    Args:
        data: as received; more than 1400 bytes are refused.
        key: the pool key, 32 bytes; None in a pool that has none.
        also: the other key that proves as much, while the pool's is changed.

    Returns:
        The heartbeat and how far its origin is proven.  A proof by key cannot be checked
        without the key and counts as BROKEN.  A seal that is BROKEN is not read.

    Raises:
        DatagramError: it is no heartbeat.

    Source: spec 4, "Receiving", 2 and what any reader must check of 3 and 4.
    """
    if not BASE_BYTES <= len(data) <= DATAGRAM_BYTES_MAX:
        raise DatagramError("length", "datagram of {} bytes, expected 744 to 1400".format(
            len(data)))
    (signature, _, sequence, size, generation_uuid, host_uuid, index, current, proposed, heard,
     seen, since_heartbeat, since_statefile, since_restart, phase, xapi_error, access, corrupted,
     accelerate, fence_request, sr2, joining, _) = _BASE.unpack_from(data)
    if signature != SIGNATURE:
        raise DatagramError("signature", "signature is {:#010x}, expected {:#010x}".format(
            signature, SIGNATURE))
    if size != BASE_BYTES:
        raise DatagramError("size", "size is {}, expected 744".format(size))
    for uuid in (generation_uuid, host_uuid):
        if not is_uuid(uuid):
            raise DatagramError("uuid", "UUID is {!r}, expected 32 hex digits".format(uuid))
    if index >= MAX_HOSTS:
        raise DatagramError("host-index", "host index is {}, expected 0 to 63".format(index))
    if phase > Phase.FH4DONE:
        raise DatagramError("phase", "phase is {}, expected 0 to 11".format(phase))
    seal, proof = _decode_seal(data, key, also)
    of_bits = HostSet.of_bits
    return Heartbeat(
        sequence=sequence, generation_uuid=generation_uuid.decode("ascii"),
        host_uuid=host_uuid.decode("ascii"), host_index=index, current_liveset=of_bits(current),
        proposed_liveset=of_bits(proposed), heartbeat_domain=of_bits(heard),
        statefile_domain=of_bits(seen), since_heartbeat_ms=unpack_ages(since_heartbeat),
        since_statefile_ms=unpack_ages(since_statefile),
        since_xapi_restart_ms=max(NEVER, since_restart), phase=Phase(phase),
        xapi_error=sealformat.unpack_text(xapi_error), statefile_access=bool(access),
        statefile_corrupted=bool(corrupted), accelerate=bool(accelerate),
        fence_request=bool(fence_request), sr2=bool(sr2), joining=bool(joining), seal=seal), proof


def _encode_seal(base: bytes, seal: HeartbeatSeal, key: Optional[bytes]) -> bytes:
    kind = _BY_CRC if key is None else _BY_KEY
    count = max((1 + host for host, mark in enumerate(seal.heard) if mark), default=0)
    marks = _MARKS[count]
    holds = _pack_holds(seal)
    length = _MARKS_AT + marks.size + len(holds) - BASE_BYTES + _PROOF_BYTES[kind]
    fields = _SEAL.pack(
        _MAGIC, _VERSION, length, kind, seal.fencing, seal.watchdog_mode, count, seal.incarnation,
        sealformat.pack_text(seal.software, sealformat.SOFTWARE_BYTES)
    ) + sealformat.pack_last_words(seal.last_words) + marks.pack(*seal.heard[:count]) + holds
    return fields + _prove(base + fields, kind, key)


def _pack_holds(seal: HeartbeatSeal) -> bytes:
    """What is held, where anything is."""
    holds = seal.xapi_held_s, seal.disarm_term_s
    return b"" if holds == _NO_HOLDS else _HOLDS.pack(
        *(min(left_s, _HELD_S_MAX) for left_s in holds))


def _decode_seal(data: bytes, key: Optional[bytes], also: Optional[bytes]
                 ) -> Tuple[Optional[HeartbeatSeal], Proof]:
    """Nothing in a seal is believed before its proof holds."""
    if len(data) == BASE_BYTES:
        return None, Proof.UNSEALED
    if len(data) < _MARKS_AT + _PROOF_BYTES[_BY_CRC]:
        return None, Proof.BROKEN
    (magic, version, length, kind, fencing, mode, count, incarnation,
     software) = _SEAL.unpack_from(data, BASE_BYTES)
    if magic != _MAGIC or version < _VERSION or length != len(data) - BASE_BYTES:
        return None, Proof.BROKEN
    if kind not in _PROOF_BYTES or kind == _BY_KEY and key is None:
        return None, Proof.BROKEN
    end = len(data) - _PROOF_BYTES[kind]
    if count > MAX_HOSTS or end < _MARKS_AT + _MARKS[count].size:
        return None, Proof.BROKEN
    holds_at = _MARKS_AT + _MARKS[count].size
    if not keyedhash.equal(_prove(data[:end], kind, key), data[end:]):
        if kind != _BY_KEY or also is None or not keyedhash.equal(
                _prove(data[:end], kind, also), data[end:]):
            return None, Proof.BROKEN
    xapi_held_s, disarm_term_s = (_HOLDS.unpack_from(data, holds_at)
                                  if end >= holds_at + _HOLDS.size else _NO_HOLDS)
    return HeartbeatSeal(
        incarnation=incarnation, software=sealformat.unpack_text(software),
        fencing=sealformat.fencing_mode(fencing), watchdog_mode=sealformat.watchdog_mode(mode),
        last_words=sealformat.unpack_last_words(data, _WORDS_AT),
        heard=_MARKS[count].unpack_from(data, _MARKS_AT) + _NO_MARKS[count:],
        xapi_held_s=xapi_held_s, disarm_term_s=disarm_term_s
    ), Proof.AUTHENTIC if kind == _BY_KEY else Proof.INTACT


def _prove(data: bytes, kind: int, key: Optional[bytes]) -> bytes:
    if kind == _BY_CRC:
        return _CRC.pack(crc32c(data))
    assert key is not None
    return _keyed(key).prove(data)


@functools.lru_cache(4)
def _keyed(key: bytes) -> Keyed:
    """A key's first step is the same for all datagrams."""
    assert len(key) == 32
    return Keyed(key)
