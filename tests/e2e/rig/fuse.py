"""Just enough of the Linux FUSE protocol for one folder of plain files.

The kernel's side of the conversation is a device, /dev/fuse: a request is one
read, an answer one write.  Numbers and layouts are those of
linux/fuse.h, protocol 7.31.
"""

import errno
import os
import struct
from typing import NamedTuple

from rig.namespaces import mount

LOOKUP, FORGET, GETATTR, SETATTR, OPEN, READ, WRITE = 1, 2, 3, 4, 14, 15, 16
STATFS, RELEASE, FSYNC, FLUSH, INIT, OPENDIR = 17, 18, 20, 25, 26, 27
READDIR, RELEASEDIR, ACCESS, INTERRUPT, DESTROY, BATCH_FORGET = 28, 29, 34, 36, 38, 42

ROOT = 1
LARGEST_READ = 1 << 20
_HEADER = struct.Struct("<IIQQIIII")
_ATTRIBUTES = struct.Struct("<QQQQQQIIIIIIIIII")
_ASYNC_READ, _BIG_WRITES, _MAX_PAGES = 1, 1 << 5, 1 << 22


class Request(NamedTuple):
    """One question of the kernel."""

    operation: int
    # Names the question in its answer.
    unique: int
    node: int
    body: bytes


class Connection:
    """A mounted file system that this process serves."""

    def __init__(self, target: str) -> None:
        """Mount on ``target``, in this process's mount namespace; OSError."""
        self.descriptor = os.open("/dev/fuse", os.O_RDWR | os.O_NONBLOCK)
        mount("xha-rig", target, "fuse.xha-rig", 0,
              "fd={},rootmode=40755,user_id=0,group_id=0,allow_other,max_read={}".format(
                  self.descriptor, LARGEST_READ))

    def receive(self) -> Request:
        """The next question; BlockingIOError when none waits, OSError ENODEV after the unmount."""
        while True:
            try:
                data = os.read(self.descriptor, LARGEST_READ + 8192)
            except OSError as error:
                if error.errno in (errno.ENOENT, errno.EINTR):
                    continue        # the asker died between its question and our read
                raise
            length, operation, unique, node = _HEADER.unpack_from(data)[:4]
            return Request(operation=operation, unique=unique, node=node,
                           body=data[_HEADER.size:length])

    def answer(self, unique: int, data: bytes = b"", error: int = 0) -> None:
        """Answer a question; one that nobody waits for any more is dropped."""
        try:
            os.write(self.descriptor, struct.pack("<IiQ", 16 + len(data), -error, unique) + data)
        except OSError as failure:
            if failure.errno != errno.ENOENT:
                raise

    def answer_init(self, unique: int) -> None:
        """Agree on protocol 7.31 with requests as large as a whole State-File."""
        self.answer(unique, struct.pack(
            "<IIIIHHIIHHI7I", 7, 31, 0, _ASYNC_READ | _BIG_WRITES | _MAX_PAGES, 64, 48,
            LARGEST_READ, 1, 256, 0, 0, *[0] * 7))


def attributes(node: int, size: int) -> bytes:
    """What stat says: a folder for the root, else a file of ``size`` bytes.

    The file may be run: that a program's file hangs is a fault, too.
    """
    mode, links = (0o40755, 2) if node == ROOT else (0o100700, 1)
    return _ATTRIBUTES.pack(node, size, (size + 511) // 512, 0, 0, 0, 0, 0, 0,
                            mode, links, 0, 0, 0, 4096, 0)


def entry(node: int, size: int) -> bytes:
    """The answer to LOOKUP, good for an hour."""
    return struct.pack("<QQQQII", node, 0, 3600, 0, 0, 0) + attributes(node, size)


def directory_entry(node: int, place: int, name: bytes) -> bytes:
    """One line of a folder."""
    line = struct.pack("<QQII", node, place, len(name), 4 if node == ROOT else 8) + name
    return line + b"\0" * (-len(line) % 8)
