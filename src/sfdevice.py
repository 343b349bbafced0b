"""The shared device of the State-File: sections to and from system calls.

Whole aligned sections, from and to page-aligned memory, past every cache of
this host.  A regular file on a file system without direct I/O is opened so
that a write returns when it is on the medium; its reads come from this host's
cache, which is right for a test on one machine and wrong for a shared disk.

Source: spec 3.
"""

import errno
import mmap
import os
import stat
import time
from typing import List, Tuple

from xha import actions
from xha.actions import Log
from xha.errors import ExitCode, XhaError
from xha.sealformat import RECORD_BYTES
from xha.sfformat import SECTIONS, STATEFILE_BYTES

#: Block majors that need care.  Source: spec 3.
NBD_MAJOR = 43
DRBD_MAJOR = 147

#: How often, and how far apart, opening a DRBD device is tried.  Source: spec 3.
DRBD_TRIES = 10
DRBD_PAUSE_S = 1.0

#: What a file system without direct I/O answers, to the opening or to the first read.
_REFUSES_DIRECT = (errno.EINVAL, errno.ENOTSUP)


def _inaccessible(path: str, text: str) -> XhaError:
    return XhaError(ExitCode.STATEFILE_INACCESSIBLE, "State-File {}: {}".format(path, text))


class Device:
    """An open State-File.  One thread uses it."""

    def __init__(self, path: str, readonly: bool = False) -> None:
        """Open ``path``; see ``open_device``."""
        self.path = path
        #: Warnings about how it could be opened.
        self.notes = []             # type: List[Log]
        #: Whether it is read and written past every cache of this host.
        self.direct = True
        self._readonly = readonly
        self._fd = -1
        self._identity = _identity(path)
        self._major = _block_major(path)
        self._buffer = mmap.mmap(-1, STATEFILE_BYTES)
        self._view = memoryview(self._buffer)
        self._open()
        try:
            #: Its size in bytes.
            self.size_bytes = os.lseek(self._fd, 0, os.SEEK_END)
        except OSError as error:
            self.close()
            raise _inaccessible(path, "its size cannot be told: " + text_of(error)) from error
        if self._major == DRBD_MAJOR:
            self._close_descriptor()

    def read(self, first_section: int, count: int) -> bytes:
        """The bytes of ``count`` sections from ``first_section`` on, by one call.

        Raises:
            OSError: also for a read that ends early.
        """
        assert 0 <= first_section and 1 <= count and first_section + count <= SECTIONS
        self._begin()
        try:
            os.lseek(self._fd, first_section * RECORD_BYTES, os.SEEK_SET)
            found = os.readv(self._fd, [self._view[:count * RECORD_BYTES]])
            if found != count * RECORD_BYTES:
                raise OSError(errno.EIO, "short read: {} of {} bytes".format(
                    found, count * RECORD_BYTES))
            return bytes(self._view[:found])
        finally:
            self._end()

    def write(self, section: int, data: bytes) -> None:
        """Write the 4096 bytes of one section, by one call.

        Raises:
            OSError: also for a write that ends early.
        """
        assert 0 <= section < SECTIONS
        assert len(data) == RECORD_BYTES
        assert not self._readonly
        self._begin()
        try:
            self._view[:RECORD_BYTES] = data
            os.lseek(self._fd, section * RECORD_BYTES, os.SEEK_SET)
            written = os.writev(self._fd, [self._view[:RECORD_BYTES]])
            if written != RECORD_BYTES:
                raise OSError(errno.EIO, "short write: {} of 4096 bytes".format(written))
        finally:
            self._end()

    def flush(self) -> None:
        """Return when what was written is on the medium, caches of the device included.

        Raises:
            OSError: it could not be made sure.
        """
        self._begin()
        try:
            os.fdatasync(self._fd)
        finally:
            self._end()

    def is_replaced(self) -> bool:
        """Whether its path names another device or file than the open one, or none."""
        try:
            return _identity(self.path) != self._identity
        except XhaError:
            return True

    def close(self) -> None:
        """Close it; a second time does nothing."""
        self._close_descriptor()

    def _begin(self) -> None:
        if self._major == DRBD_MAJOR:
            self._open()

    def _end(self) -> None:
        if self._major == DRBD_MAJOR:
            self._close_descriptor()

    def _close_descriptor(self) -> None:
        if self._fd >= 0:
            descriptor, self._fd = self._fd, -1
            os.close(descriptor)

    def _open(self) -> None:
        flags = (os.O_RDONLY if self._readonly else os.O_RDWR) | os.O_CLOEXEC
        if self._major == NBD_MAJOR:
            # Without it a write may sit in the server for tens of seconds.
            flags |= os.O_SYNC
        for attempt in range(1, DRBD_TRIES + 1):
            try:
                self._fd = self._open_direct(flags)
                return
            except OSError as error:
                # DRBD lets one host open it at a time.
                busy = self._major == DRBD_MAJOR and error.errno in (errno.EROFS, errno.EBUSY)
                if not busy or attempt == DRBD_TRIES:
                    raise _inaccessible(self.path, text_of(error)) from error
            time.sleep(DRBD_PAUSE_S)

    def _open_direct(self, flags: int) -> int:
        descriptor = -1
        try:
            descriptor = os.open(self.path, flags | os.O_DIRECT)
            if self._major < 0:
                # Some file systems refuse only when they are read.
                os.readv(descriptor, [self._view[:RECORD_BYTES]])
            return descriptor
        except OSError as error:
            if descriptor >= 0 and error.errno not in _REFUSES_DIRECT:
                # A bad first section is the reader's trouble: direct I/O is not what fails.
                return descriptor
            if descriptor >= 0:
                os.close(descriptor)
            if self._major >= 0 or error.errno not in _REFUSES_DIRECT:
                raise
        descriptor = os.open(self.path, flags | os.O_DSYNC)
        self.direct = False
        if not self._readonly:
            self.notes.append(actions.log("statefile-no-direct-io", path=self.path))
        return descriptor


def open_device(path: str, readonly: bool = False) -> Device:
    """Open the State-File at ``path``, a block device or a regular file.

    Opened for reading only, it may be shorter than a State-File (``size_bytes`` tells); a
    read of what is missing fails.

    Raises:
        XhaError: STATEFILE_INACCESSIBLE: it cannot be opened, is of another kind, or is
            shorter than 266240 bytes.
    """
    device = Device(path, readonly)
    if not readonly and device.size_bytes < STATEFILE_BYTES:
        device.close()
        raise _inaccessible(path, "it is {} bytes, expected at least {}".format(
            device.size_bytes, STATEFILE_BYTES))
    return device


def _identity(path: str) -> Tuple[int, int]:
    """What the path names: the device number of a block device, or which file it is.

    Raises:
        XhaError: nothing, or something that no State-File can be (a FIFO would block us).
    """
    try:
        found = os.stat(path)
    except (OSError, ValueError) as error:
        raise _inaccessible(path, text_of(error)) from error
    if stat.S_ISBLK(found.st_mode):
        return -1, found.st_rdev
    if stat.S_ISREG(found.st_mode):
        return found.st_dev, found.st_ino
    raise _inaccessible(path, "it is neither a block device nor a regular file")


def _block_major(path: str) -> int:
    """The major number of a block device, -1 of a regular file."""
    kind, number = _identity(path)
    return os.major(number) if kind == -1 else -1


def text_of(error: Exception) -> str:
    """What the system said, without numbers and paths that the message has already."""
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return str(error)
