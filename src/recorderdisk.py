"""The files of the flight recorder on their disk: one for each of the last daemons.

Theory of operation
===================

A new daemon begins a new file, ``recorder``; the earlier ones become
``recorder.1`` and so on, at most ``KEPT``, about 8 MB in all.  A file is made
whole under another name, and all its blocks are written, so that a later sync
of a record is the write of one block and never a commit of the file system's
journal, which may have to wait for what others write; only then are the others
moved on, and it is renamed.  So a full disk costs none of the earlier files, and a
crash between two renames leaves a gap in the numbers, which means nothing.

xapi tries a failed start again and again.  Where there is no room, the oldest
file of a daemon that never was online goes, unless it is the only such one: a
host's last hours before its reset outlive its attempts to come back.

Whatever here touches the disk may hang; it is called by a thread that may.
Source: spec 9, "Flight recorder".
"""

import os
from typing import Optional, Sequence

from xha import recorderformat
from xha.errors import FormatError
from xha.recorderformat import HEADER_SLOTS, SLOT_BYTES, Header

#: The file of the daemon that runs, or ran last; earlier ones have a dot and a number behind it.
NAME = "recorder"
#: Earlier daemons whose files are kept.
KEPT = 4

_HEADERS_BYTES = 2 * HEADER_SLOTS * SLOT_BYTES
#: A file is filled in pieces of this size.
_PIECE_BYTES = 64 * 1024


class Disk:
    """What the thread does to the disk.  Each of these may hang or raise OSError."""

    def create(self, folder: str, header: Header) -> int:
        """Begin a file, and make room for it among the earlier ones; its descriptor."""
        os.makedirs(folder, 0o700, exist_ok=True)
        path = os.path.join(folder, NAME)
        begun = path + ".new"
        if os.path.lexists(begun):
            os.unlink(begun)
        fd = os.open(begun, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW,
                     0o600)
        try:
            os.posix_fallocate(fd, 0, header.file_bytes)
            copy = recorderformat.encode_header(header)
            _write(fd, 0, copy + copy)
            # A block that was only reserved would be marked as in use by its first write.
            for offset in range(len(copy + copy), header.file_bytes, _PIECE_BYTES):
                _write(fd, offset, bytes(min(_PIECE_BYTES, header.file_bytes - offset)))
            os.fsync(fd)
            _make_room(path)
            os.rename(begun, path)
        except OSError:
            os.close(fd)
            os.unlink(begun)
            raise
        _sync_folder(folder)
        return fd

    def write(self, fd: int, offset: int, data: bytes) -> None:
        """Write all of ``data`` there."""
        _write(fd, offset, data)

    def sync(self, fd: int) -> None:
        """Bring it to where a reset cannot take it."""
        os.fdatasync(fd)

    def mark_online(self, fd: int, header: Header) -> None:
        """Write the second copy of the header anew; the first stays whole meanwhile."""
        self.write(fd, _HEADERS_BYTES // 2,
                   recorderformat.encode_header(header._replace(online=True)))


def _write(fd: int, offset: int, data: bytes) -> None:
    while data:
        written = os.pwrite(fd, data, offset)
        data, offset = data[written:], offset + written


def numbered(path: str, number: int) -> str:
    """The name of the file of the daemon that ran ``number`` daemons ago; 0 is the newest."""
    return "{}.{}".format(path, number) if number else path


def place_for_one_more(online: Sequence[Optional[bool]]) -> int:
    """Up to which place files move one on, so that the first is free.

    Args:
        online: of each file, the newest first, whether that daemon was ever online; None where
            there is no file.  The last is the last place there is.

    Returns:
        The place that gets free, or whose file goes.
    """
    if None in online:
        return list(online).index(None)
    failed = [place for place, was in enumerate(online) if not was]
    return failed[-1] if len(failed) > 1 else len(online) - 1


def _make_room(path: str) -> None:
    last = place_for_one_more([_was_online(numbered(path, number)) for number in range(KEPT + 1)])
    for number in range(last, 0, -1):
        if os.path.lexists(numbered(path, number - 1)):
            os.rename(numbered(path, number - 1), numbered(path, number))


def _was_online(path: str) -> Optional[bool]:
    """Whether the daemon of that file was ever online; None: there is no file."""
    try:
        fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW | os.O_CLOEXEC)
    except FileNotFoundError:
        return None
    except OSError:
        return False    # No file of ours; it goes first.
    try:
        return recorderformat.decode_header(os.read(fd, _HEADERS_BYTES)).online
    except (OSError, FormatError):
        return False
    finally:
        os.close(fd)


def _sync_folder(folder: str) -> None:
    fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    except OSError:
        pass    # Some file systems cannot; the kernel brings the name to the disk in its time.
    finally:
        os.close(fd)
