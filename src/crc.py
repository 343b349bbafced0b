"""CRC-32C (Castagnoli): the checksum of every seal (spec 3 and 4).

``crcmod`` does the work: its compiled part where the archive has one for this
interpreter, else its pure Python, 30 times slower and still fast enough (2048
bytes cost 5 us or 0.2 ms).  It is imported at the first use, because most
commands never need it.

The second half of most records is zero, and what zeros make of a CRC need not
be counted anew each time.  A bit that is flipped in a CRC flips, behind any
bytes, the same bits of the CRC there, whatever the others are.  So what 2048
zeros make of it is looked up: for each of its four bytes which bits it flips.
"""

from typing import Callable, List

#: The generator polynomial, with its leading term.
_POLYNOMIAL = 0x11EDC6F41

#: What is not counted at the end of data.
_ZEROS = bytes(2048)

_function = []  # type: List[Callable[[bytes], int]]


def crc32c(data: bytes) -> int:
    """The CRC-32C of ``data``, 32 bits; of ``b"123456789"`` it is 0xe3069283."""
    if not _function:
        _function.append(_make())
    return _function[0](data)


def _make() -> Callable[[bytes], int]:
    import crcmod  # type: ignore
    # crcmod names the initial value after it was xored with the final one.
    count = crcmod.mkCrcFun(
        _POLYNOMIAL, initCrc=0, rev=True, xorOut=0xFFFFFFFF)  # type: Callable[..., int]
    behind_none = count(_ZEROS, 0)
    first, second, third, fourth = [
        _flips([count(_ZEROS, 1 << bit) ^ behind_none for bit in range(low, low + 8)])
        for low in range(0, 32, 8)]

    def crc(data: bytes) -> int:
        if not data.endswith(_ZEROS):
            return count(data)
        before = count(data[:-len(_ZEROS)])
        return (behind_none ^ first[before & 0xFF] ^ second[before >> 8 & 0xFF]
                ^ third[before >> 16 & 0xFF] ^ fourth[before >> 24])

    return crc


def _flips(of_bits: List[int]) -> List[int]:
    """For each value of a byte which bits it flips, from those that each of its bits flips."""
    flips = [0]
    for of_bit in of_bits:
        flips += [of_bit ^ others for others in flips]
    return flips


def is_compiled() -> bool:
    """Whether crcmod's compiled part does the work."""
    import sys

    import crcmod
    # The package rebinds the name of its submodule; only sys.modules still has it.
    return bool(getattr(sys.modules[crcmod.mkCrcFun.__module__], "_usingExtension"))
