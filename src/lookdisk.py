"""Looks at the State-File for some seconds, by reading alone, in a process that may be left behind.

A device that hangs holds the child in the kernel and nobody else (``bounded``).
Nothing is written, and the device is opened for reading only.  The readings
are those of the daemon (one call over all configured sections), a few in a
second, so a running pool does not notice them.  A DRBD device, which one host
may open at a time, is read once.

Source: spec 3, 9 (doctor).
"""

import fcntl
import os
import stat
import struct
import time
from typing import List, Tuple, Union

from xha import bounded, sfdevice
from xha.errors import XhaError
from xha.judgedisk import DiskFacts, Look
from xha.sealformat import RECORD_BYTES
from xha.sfdevice import Device
from xha.sfformat import STATEFILE_BYTES

#: From the end of a reading to the next, s.
PAUSE_S = 0.1
#: Readings that may fail before the others are given up.
FAILURES_MAX = 3
#: Beyond the seconds of reading, what the device may take to answer at all, s.
PATIENCE_S = 10.0

#: Linux: whether a block device refuses writes (BLKROGET).
_BLKROGET = 0x125E


def look(path: str, hosts: int, for_s: float) -> DiskFacts:
    """Read the State-File at ``path`` for a while.

    Args:
        hosts: configured hosts: what a reading covers.
        for_s: how long, s; the first reading is always made.

    Returns:
        What was found; an ``error`` when it cannot be opened, or does not answer within
        ``for_s`` and PATIENCE_S (DRBD: 10 s more).  Never raises.
    """
    what = "State-File " + path
    bound_s = for_s + PATIENCE_S
    try:
        # Its file system may hang, too.
        if bounded.run(lambda: _is_drbd(path), what, PATIENCE_S):
            bound_s += sfdevice.DRBD_TRIES * sfdevice.DRBD_PAUSE_S
        found = bounded.run(lambda: _look(path, 1 + hosts, for_s), what, bound_s)
    except XhaError as error:
        return DiskFacts(path=path, error=str(error), kind="", size_bytes=0, direct=False,
                         readonly=False, readings_us=(), failures=(), looks=())
    kind, size_bytes, direct, readonly, readings, failures, looks = found
    return DiskFacts(
        path=path, error="", kind=kind, size_bytes=size_bytes, direct=direct, readonly=readonly,
        readings_us=readings, failures=failures,
        looks=tuple(Look(at_wall_ms=at, sections=sections) for at, sections in looks))


# In the child

def _look(path: str, count: int, for_s: float) -> Tuple[object, ...]:
    """The facts as plain values, which a pipe carries."""
    device = sfdevice.open_device(path, readonly=True)
    readings, failures = [], []  # type: List[int], List[str]
    looks = []  # type: List[Tuple[int, Tuple[Union[bytes, str], ...]]]
    begun = time.monotonic()
    try:
        while device.size_bytes >= STATEFILE_BYTES:
            at_wall_ms, issued = int(time.time() * 1000), time.monotonic()
            try:
                data = device.read(0, count)
                readings.append(int((time.monotonic() - issued) * 1e6))
                sections = tuple(data[at:at + RECORD_BYTES]
                                 for at in range(0, len(data), RECORD_BYTES)
                                 )  # type: Tuple[Union[bytes, str], ...]
            except OSError as error:
                failures.append(sfdevice.text_of(error))
                sections = _each(device, count)
            looks[1:] = [(at_wall_ms, sections)]
            if (len(failures) >= FAILURES_MAX or _is_drbd(path)
                    or time.monotonic() - begun + PAUSE_S > for_s):
                break
            time.sleep(PAUSE_S)
        return (_kind(path), device.size_bytes, device.direct, _is_readonly(path),
                tuple(readings), tuple(failures), tuple(looks))
    finally:
        device.close()


def _each(device: Device, count: int) -> Tuple[Union[bytes, str], ...]:
    """Every section by itself, once reading all has failed."""
    sections = []  # type: List[Union[bytes, str]]
    failures = 0
    for section in range(count):
        if failures >= FAILURES_MAX:
            sections.append("not tried, after {} failures".format(failures))
            continue
        try:
            sections.append(device.read(section, 1))
        except OSError as error:
            failures += 1
            sections.append(sfdevice.text_of(error))
    return tuple(sections)


def _kind(path: str) -> str:
    return "block device" if stat.S_ISBLK(os.stat(path).st_mode) else "file"


def _is_readonly(path: str) -> bool:
    """Whether it refuses writes; asked without opening it for writing."""
    if _kind(path) == "file":
        return not os.access(path, os.W_OK)
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    try:
        answer = bytearray(struct.calcsize("i"))
        fcntl.ioctl(descriptor, _BLKROGET, answer, True)
        return bool(struct.unpack("i", bytes(answer))[0])
    except OSError:
        return False        # It does not say: the start finds out.
    finally:
        os.close(descriptor)


def _is_drbd(path: str) -> bool:
    try:
        found = os.stat(path)
    except (OSError, ValueError):
        return False
    return stat.S_ISBLK(found.st_mode) and os.major(found.st_rdev) == sfdevice.DRBD_MAJOR
