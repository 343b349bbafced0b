"""HMAC-SHA-256 of our own: as the standard library's, and as the RFC says."""
import hashlib
import hmac
import subprocess
import sys

import pytest
import sources

from xha import keyedhash
from xha.keyedhash import DIGEST_BYTES, Keyed, equal

#: Source: RFC 4231, test cases 1, 2, 3 and 4.
KNOWN = [
    (b"\x0b" * 20, b"Hi There",
     "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7"),
    (b"Jefe", b"what do ya want for nothing?",
     "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"),
    (b"\xaa" * 20, b"\xdd" * 50,
     "773ea91e36800e46854db8ebd09181a72959098b3ef8c122d9635514ced565fe"),
    (bytes(range(1, 26)), b"\xcd" * 50,
     "82558a389a443c0ea4cc819899f2083a85f0faa3e578f8077a2e3ff46729665b"),
]


@pytest.mark.parametrize("key, message, proof", KNOWN)
def test_the_proofs_are_those_of_the_rfc(key, message, proof):
    assert Keyed(key).prove(message).hex() == proof


@pytest.fixture(params=["_hashlib", "its own"])
def whose(request, monkeypatch):
    """With OpenSSL in memory, and as if it were not."""
    if request.param == "its own":
        monkeypatch.delitem(sys.modules, "_hashlib", raising=False)
    return request.param


def test_openssl_proves_where_it_is_in_memory_anyway(whose):
    found = type(Keyed(b"key")._inner)
    assert found is type(hashlib.sha256()) if whose == "_hashlib" else found is type(
        keyedhash.sha256())


def test_every_length_of_key_and_message_is_proved_as_the_standard_library_does(whose):
    for size in list(range(200)) + [1300, 1400]:
        key = bytes((size * 7 + at) % 256 for at in range(min(size, 64)))
        message = bytes(at % 251 for at in range(size))
        expected = hmac.new(key, message, hashlib.sha256).digest()
        keyed = Keyed(key)
        for _ in range(2):
            assert keyed.prove(message) == expected, "one does not spoil the next"
    assert len(expected) == DIGEST_BYTES


EQUAL = [
    (b"", b"", True, "nothing"),
    (b"abc", b"abc", True, "the same"),
    (b"abc", b"abd", False, "the last byte"),
    (b"abc", b"Abc", False, "the first byte"),
    (b"abc", b"ab", False, "a beginning of the other"),
    (b"", b"abc", False, "nothing of it"),
]


@pytest.mark.parametrize("one, other, same, why", EQUAL, ids=[row[-1] for row in EQUAL])
def test_only_equal_proofs_are_equal(one, other, same, why):
    assert equal(one, other) is same and equal(other, one) is same


def test_a_daemon_has_no_openssl_in_its_memory():
    """The interpreter here may have been built without a SHA-256 of its own; then it must."""
    code = ("import sources; sources.use(sources.SRC); import sys, xha.daemon;"
            "print(*sorted(name for name in ('_hashlib', '_ssl', 'hmac') if name in sys.modules))")
    found = subprocess.run([sys.executable, "-B", "-c", code], cwd=sources.ROOT + "/tests",
                           stdout=subprocess.PIPE, check=True).stdout.split()
    own = keyedhash.sha256.__module__ in ("_sha2", "_sha256")
    assert not found if own else found == [b"_hashlib"]
