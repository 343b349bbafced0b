"""CRC-32C: the known answers of RFC 3720, compiled or not."""

import random

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


@pytest.mark.parametrize("zeros", [0, 1, 2047, 2048, 2049, 4092, 10000])
def test_zeros_at_the_end_are_looked_up_and_make_no_difference(zeros):
    counted = crcmod.mkCrcFun(0x11EDC6F41, initCrc=0, rev=True, xorOut=0xFFFFFFFF)
    chance = random.Random(zeros)
    for length in (0, 1, 4, 632, 2048):
        data = bytes(chance.getrandbits(8) for _ in range(length)) + bytes(zeros)
        assert crc.crc32c(data) == counted(data)


def test_before_zeros_every_single_bit_of_the_crc_counts():
    counted = crcmod.mkCrcFun(0x11EDC6F41, initCrc=0, rev=True, xorOut=0xFFFFFFFF)
    # Four bytes reach every CRC there is, so each bit of it alone.
    for bit in range(32):
        data = (1 << bit).to_bytes(4, "little") + bytes(2048)
        assert crc.crc32c(data) == counted(data)
