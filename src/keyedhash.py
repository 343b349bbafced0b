"""HMAC-SHA-256 (RFC 2104) without the library that the standard library's own brings along.

Theory of operation
===================

``hashlib`` and ``hmac`` load OpenSSL's libcrypto: 4.6 MB of it, which a daemon
that locks all its memory would keep there for one hash.  Each CPython has a
SHA-256 of its own beside that, in a small module with a private name, as
``random`` uses it; where a distribution has left that out, OpenSSL's takes its
place, and the memory is paid for.  Where OpenSSL is in memory anyway, as in
the simulator, a key uses it: it knows the processor's own instructions, and
proves a heartbeat in a seventh of the time.

A key's two first blocks are hashed once; a message costs two copies of what
that left.
"""

import sys
from typing import Any

from _operator import _compare_digest

try:
    from _sha2 import sha256        # type: ignore[import-not-found]  # CPython 3.12 and newer
except ImportError:
    try:
        from _sha256 import sha256  # type: ignore[import-not-found]
    except ImportError:
        from hashlib import sha256

#: Whether two proofs are equal, in a time that does not tell where they differ; it is that of
#: ``hmac``.
equal = _compare_digest

#: Of a proof.
DIGEST_BYTES = 32
#: Of SHA-256; a longer key would have to be hashed first.
_BLOCK_BYTES = 64

_INNER = bytes(byte ^ 0x36 for byte in range(256))
_OUTER = bytes(byte ^ 0x5C for byte in range(256))


def digest(data: bytes) -> bytes:
    """SHA-256 of some bytes, without a key."""
    found = sha256(data).digest()  # type: bytes
    return found


class Keyed:
    """Proves messages under one key."""

    def __init__(self, key: bytes) -> None:
        """``key``: at most 64 bytes."""
        assert len(key) <= _BLOCK_BYTES
        block = key.ljust(_BLOCK_BYTES, b"\0")
        openssl = sys.modules.get("_hashlib")  # type: Any
        begin = sha256 if openssl is None else openssl.openssl_sha256
        self._inner = begin(block.translate(_INNER))  # type: Any
        self._outer = begin(block.translate(_OUTER))  # type: Any

    def prove(self, message: bytes) -> bytes:
        """The proof of a message."""
        inner, outer = self._inner.copy(), self._outer.copy()
        inner.update(message)
        outer.update(inner.digest())
        proof = outer.digest()  # type: bytes
        return proof

