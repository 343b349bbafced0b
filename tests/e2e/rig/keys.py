"""The pool key: on the disk, in datagrams, and wherever it must not be."""

import base64
import binascii
import hashlib
import hmac
import json
import os
import struct
from typing import Iterator, List, NamedTuple, Set

#: In the global record (docs/key.md, ``originformat``).
_KEY_AT, _STEP_AT, _OTHER_AT, _KEY_BYTES = 1156, 1204, 1244, 32
#: No piece of a key may be anywhere that is longer than this, bytes.
PIECE_BYTES = 8

SEQUENCE_AT, PROOF_BYTES = 8, 32


class Ring(NamedTuple):
    """What the global record holds."""

    step: int
    key: bytes
    #: Accepted too; zeros for none.
    other: bytes


def ring_of(record: bytes) -> Ring:
    """The keys in the bytes of a global record."""
    return Ring(step=struct.unpack_from("<Q", record, _STEP_AT)[0],
                key=record[_KEY_AT:_KEY_AT + _KEY_BYTES],
                other=record[_OTHER_AT:_OTHER_AT + _KEY_BYTES])


def fingerprint(key: bytes) -> str:
    """By which a key may be named."""
    return hashlib.sha256(key).hexdigest()[:16]


def proven(datagram: bytes, key: bytes, later: int = 0) -> bytes:
    """A recorded heartbeat with a sequence that is later, proven with a key."""
    sequence = struct.unpack_from("<I", datagram, SEQUENCE_AT)[0] + later
    told = (datagram[:SEQUENCE_AT] + struct.pack("<I", sequence)
            + datagram[SEQUENCE_AT + 4:-PROOF_BYTES])
    return told + hmac.new(key, told, hashlib.sha256).digest()


def traces(key: bytes) -> Set[bytes]:
    """What would give a key away, or a piece of it: raw, in hex, base64, JSON or Python."""
    found = set()  # type: Set[bytes]
    for at in range(len(key) - PIECE_BYTES + 1):
        piece = key[at:at + PIECE_BYTES]
        found |= {piece, binascii.hexlify(piece), binascii.hexlify(piece).upper(),
                  b" ".join(b"%02x" % byte for byte in piece),
                  b":".join(b"%02x" % byte for byte in piece),
                  repr(piece)[2:-1].encode("ascii"),
                  json.dumps(piece.decode("latin-1"))[1:-1].encode("ascii"),
                  str(list(piece))[1:-1].encode("ascii")}
        found |= set(_base64(piece))
        found |= {text.replace(b"+", b"-").replace(b"/", b"_") for text in _base64(piece)}
    return found


def _base64(piece: bytes) -> Iterator[bytes]:
    """What is always there when a piece stands in base64, wherever it begins."""
    for before in range(3):
        text = base64.b64encode(b"\0" * before + piece)
        first, last = -(-before * 8 // 6), (before + len(piece)) * 8 // 6
        yield text[first:last]


def given_away(data: bytes, traces_of_it: Set[bytes]) -> bool:
    """Whether any of these stands in the data."""
    return any(trace in data for trace in traces_of_it)


def files_below(folder: str, but: List[str]) -> Iterator[str]:
    """All regular files below a folder, but those in or at these places."""
    for place, _, names in os.walk(folder):
        for name in sorted(names):
            path = os.path.join(place, name)
            if os.path.isfile(path) and not os.path.islink(path) and not any(
                    path == one or path.startswith(one + os.sep) for one in but):
                yield path
