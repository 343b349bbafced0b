"""CRC-32C: the known answers of RFC 3720, compiled or not."""

import crcmod
import pytest
from crcmod import _crcfunpy as python_part

from xha import crc

KNOWN = [
    # data                     CRC         why
    (b"123456789",             0xE3069283, "the check value of the polynomial"),
    (b"",                      0x00000000, "nothing"),
    (bytes(32),                0x8A9136AA, "RFC 3720 B.4: 32 zeros"),
    (b"\xff" * 32,             0x62A8AB43, "RFC 3720 B.4: 32 ones"),
    (bytes(range(32)),         0x46DD794E, "RFC 3720 B.4: ascending"),
    (bytes(range(31, -1, -1)), 0x113FDB5C, "RFC 3720 B.4: descending"),
]


@pytest.mark.parametrize("data, expected, why", KNOWN, ids=[row[-1] for row in KNOWN])
def test_known_answers(data, expected, why):
    assert crc.crc32c(data) == expected


@pytest.mark.parametrize("data, expected, why", KNOWN, ids=[row[-1] for row in KNOWN])
def test_known_answers_of_pure_python_which_works_where_nothing_is_compiled(data, expected, why):
    table = crcmod.Crc(0x11EDC6F41, initCrc=0, rev=True, xorOut=0xFFFFFFFF).table
    assert python_part._crc32r(data, 0xFFFFFFFF, table) ^ 0xFFFFFFFF == expected
