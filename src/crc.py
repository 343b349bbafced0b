"""CRC-32C (Castagnoli): the checksum of every seal (spec 3 and 4).

``crcmod`` does the work: its compiled part where the archive has one for this
interpreter, else its pure Python, 30 times slower and still fast enough (4096
bytes cost 10 us or 0.4 ms).  It is imported at the first use, because most
commands never need it.
"""

from typing import Callable, List

#: The generator polynomial, with its leading term.
_POLYNOMIAL = 0x11EDC6F41

_function = []  # type: List[Callable[[bytes], int]]


def crc32c(data: bytes) -> int:
    """The CRC-32C of ``data``, 32 bits; of ``b"123456789"`` it is 0xe3069283."""
    if not _function:
        import crcmod  # type: ignore
        # crcmod names the initial value after it was xored with the final one.
        _function.append(crcmod.mkCrcFun(_POLYNOMIAL, initCrc=0, rev=True, xorOut=0xFFFFFFFF))
    return _function[0](data)


def is_compiled() -> bool:
    """Whether crcmod's compiled part does the work."""
    import sys

    import crcmod
    # The package rebinds the name of its submodule; only sys.modules still has it.
    return bool(getattr(sys.modules[crcmod.mkCrcFun.__module__], "_usingExtension"))
