"""The corpus in the repository: for each target, inputs that together reach what was ever reached.

A target's inputs are in one file, ``corpus/NAME``: zlib over each input's length (4 bytes, little
endian) and bytes, in the order of their bytes, so that the same inputs give the same file.
"""
import os
import struct
import zlib

HERE = os.path.dirname(os.path.abspath(__file__))
FOLDER = os.path.join(HERE, "corpus")
_LENGTH = struct.Struct("<I")


def load(name):
    """The inputs that are kept of a target; none where there is no file."""
    path = os.path.join(FOLDER, name)
    if not os.path.exists(path):
        return []
    with open(path, "rb") as file:
        data = zlib.decompress(file.read())
    found, at = [], 0
    while at < len(data):
        size, = _LENGTH.unpack_from(data, at)
        found.append(data[at + 4:at + 4 + size])
        at += 4 + size
    return found


def save(name, inputs):
    """Keep these inputs; gives the bytes that the file has."""
    data = zlib.compress(b"".join(
        _LENGTH.pack(len(one)) + one for one in sorted(set(inputs))), 9)
    with open(os.path.join(FOLDER, name), "wb") as file:
        file.write(data)
    return len(data)
