"""The State-File and the heartbeat as spec 3 and 4 print them, for tests that look or lie.

Written from the tables alone: if src/ misread one, these would not agree.
"""

import struct

GLOBAL_SIGNATURE, GLOBAL_INVERTED, GLOBAL_END = 0x6c6f6f70, 0xf2721211, 0x70646e65
HOST_SIGNATURE, HOST_INVERTED, HOST_END = 0x74736f68, 0xf1719212, 0x68646e65
NONE, INIT, ACTIVE, INVALID = range(4)
HEARTBEAT_BYTES = 744


def _sound(data, signature, inverted, end_offset, end):
    words = struct.unpack_from("<{}I".format((end_offset - 12) // 4), data, 12)
    return (struct.unpack_from("<III", data) == (signature, inverted, sum(words) & 0xffffffff)
            and struct.unpack_from("<I", data, end_offset)[0] == end)


def global_is_sound(data):
    """Whether signatures, checksum and end marker of a global record hold."""
    return _sound(data, GLOBAL_SIGNATURE, GLOBAL_INVERTED, 100, GLOBAL_END)


def host_is_sound(data):
    """Whether signatures, checksum and end marker of a host record hold."""
    return _sound(data, HOST_SIGNATURE, HOST_INVERTED, 628, HOST_END)


def pool_state(data):
    """The pool state in a global record."""
    return struct.unpack_from("<I", data, 60)[0]


def master(data):
    """The master's UUID in a global record, as it stands there."""
    return data[64:96].decode("ascii")


def excluded(data):
    """The excluded flag in a host record."""
    return struct.unpack_from("<I", data, 52)[0]


def bitmap(hosts):
    """Hosts as two words, the lower first."""
    bits = sum(1 << host for host in hosts)
    return struct.pack("<II", bits & 0xffffffff, bits >> 32)


def heartbeat(generation, uuid, index, sequence, live=(), proposed=(), domain=(), phase=1,
              access=1, accelerate=0, fence=0, sr2=0, joining=0):
    """The 744 bytes of a heartbeat's base.  UUIDs with or without dashes."""
    ages = struct.pack("<64i", *[100] * 64)
    return (struct.pack("<IIII", 0x68616878, 0, sequence, HEARTBEAT_BYTES)
            + generation.replace("-", "").encode() + uuid.replace("-", "").encode()
            + struct.pack("<I", index) + bitmap(live) + bitmap(proposed) + bitmap(domain)
            + bitmap(domain) + ages + ages + struct.pack("<iI", -1, phase) + bytes(101)
            + bytes([access, 0, accelerate, fence, sr2, joining, 0]))
