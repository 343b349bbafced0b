"""The hypercalls of Xen that the watchdog needs, from dom0, with the standard library alone.

Theory of operation
===================

A hypercall goes through one ioctl of ``/dev/xen/privcmd``; its argument is a
small struct in this process's memory.  Xen reads that struct through the
page tables and cannot fault a page in, so it must lie in memory that is
always mapped: a page of ``/dev/xen/hypercall``.  (Locked ordinary memory is
not enough: the kernel may still move the page, and Xen answers EFAULT.)

**One call must never be sent**: the watchdog command with id 0 and time-out
0 resets the host at once.  It is impossible here, twice over.  ``Xen`` has no
method that takes both numbers freely: a timer is created (id 0, time-out of
at least 1), set (id of at least 1, time-out of at least 1) or stopped (id of
at least 1, time-out 0), and the one function that packs the struct refuses
the pair again.  And between two calls the page holds bytes that Xen refuses
(``_HARMLESS``), never the zeros of a fresh page.

Source: spec 7, "Xen interface", measured on Xen 4.17.
"""

import abc
import ctypes
import errno
import fcntl
import mmap
import os
import struct
from typing import Optional

#: ``_IOC(_IOC_NONE, 'P', 0, 48)``.
IOCTL_PRIVCMD_HYPERCALL = 0x305000

PRIVCMD = "/dev/xen/privcmd"
HYPERCALL_BUFFER = "/dev/xen/hypercall"

SCHED_OP = 29
SCHEDOP_REMOTE_SHUTDOWN = 4
SCHEDOP_WATCHDOG = 6

SHUTDOWN_REBOOT = 1
DOMAIN_0 = 0

#: The longest time-out, seconds: a timer set to it never fires.
NEVER_S = 0xFFFFFFFF

#: The most timers that a Xen we know keeps for one domain: as shipped it keeps two, with the
#: patch of hypervisor_patch/ four.
MAX_TIMERS = 4

# u64 op; u64 arg[5]
_PRIVCMD_HYPERCALL = struct.Struct("=6Q")
# u32 id; u32 timeout_s
_WATCHDOG = struct.Struct("=II")
# u16 domain_id; u16 pad; u32 reason
_REMOTE_SHUTDOWN = struct.Struct("=HxxI")

# As a watchdog command: an id that no timer has (EINVAL).
_HARMLESS = b"\xff" * 8


class XenAbsent(Exception):
    """Hypercalls cannot be made here; the text says why, for an operator."""


class XenRefused(Exception):
    """Xen refused a hypercall; ``number`` is its errno."""

    def __init__(self, number: int, what: str) -> None:
        super().__init__("{}: {} ({})".format(
            what, errno.errorcode.get(number, "?"), os.strerror(number)))
        self.number = number


class _NeverSend(Exception):
    """A program of ours tried to make a call that must not be sent."""


def watchdog_argument(ident: int, timeout_s: int) -> bytes:
    """The 8 bytes of a watchdog command.

    Explicit checks, not assertions: this holds even where assertions are off.

    Raises:
        _NeverSend: id 0 with time-out 0, which resets the host, or a number that
            does not fit 32 bits (it could be cut down to 0).
    """
    for number in (ident, timeout_s):
        if type(number) is not int or not 0 <= number <= 0xFFFFFFFF:
            raise _NeverSend("not a number of 32 bits: {!r}".format(number))
    if ident == 0 and timeout_s == 0:
        raise _NeverSend("watchdog id 0 with time-out 0 resets the host")
    return _WATCHDOG.pack(ident, timeout_s)


class Xen(abc.ABC):
    """Xen's watchdog timers of this domain, and its reset."""

    @abc.abstractmethod
    def sched_op(self, command: int, argument: bytes) -> int:
        """Make the hypercall ``sched_op``; return its value.

        Args:
            command: 4 or 6.
            argument: 8 bytes, from one of the methods below.

        Raises:
            XenRefused: Xen answered with an error.
        """

    @abc.abstractmethod
    def close(self) -> None:
        """Give the devices back.  Timers run on.  Safe to call twice."""

    def create_timer(self, timeout_s: int) -> int:
        """Start a new timer, 1 s to ``NEVER_S``; return its id: the lowest that is free.

        Raises:
            XenRefused: ENOSPC when all timers of the domain are in use.
        """
        if timeout_s < 1:
            raise _NeverSend("a timer of {} s".format(timeout_s))
        ident = self._watchdog(0, timeout_s)
        assert ident >= 1, ident
        return ident

    def set_timer(self, ident: int, timeout_s: int) -> None:
        """Let the timer expire ``timeout_s`` (1 s to ``NEVER_S``) from now.

        Raises:
            XenRefused: EINVAL when no such timer is in use.
        """
        if ident < 1 or timeout_s < 1:
            raise _NeverSend("timer {} to {} s".format(ident, timeout_s))
        self._watchdog(ident, timeout_s)

    def stop_timer(self, ident: int) -> None:
        """Stop the timer and free it.

        Raises:
            XenRefused: EINVAL when no such timer is in use.
        """
        if ident < 1:
            raise _NeverSend("stop of timer {}".format(ident))
        self._watchdog(ident, 0)

    def reset_host(self) -> None:
        """Have Xen reset the host now.  On a real host this does not return.

        Raises:
            XenRefused: it did return, with an error.
        """
        self.sched_op(SCHEDOP_REMOTE_SHUTDOWN, _REMOTE_SHUTDOWN.pack(DOMAIN_0, SHUTDOWN_REBOOT))

    def _watchdog(self, ident: int, timeout_s: int) -> int:
        return self.sched_op(SCHEDOP_WATCHDOG, watchdog_argument(ident, timeout_s))


class Privcmd(Xen):
    """The real Xen, through the devices of dom0's kernel."""

    def __init__(self, privcmd: str = PRIVCMD, buffer: str = HYPERCALL_BUFFER) -> None:
        """Open the devices and map the page.

        Raises:
            XenAbsent: a device is missing or refuses; the text names it.
        """
        self._page = None  # type: Optional[mmap.mmap]
        self._privcmd = _open(privcmd)
        try:
            self._buffer = _open(buffer)
        except XenAbsent:
            os.close(self._privcmd)
            raise
        try:
            # The driver refuses a private mapping.
            page = mmap.mmap(self._buffer, mmap.PAGESIZE, mmap.MAP_SHARED,
                             mmap.PROT_READ | mmap.PROT_WRITE)
        except OSError as error:
            os.close(self._privcmd)
            os.close(self._buffer)
            raise XenAbsent("cannot map {}: {}".format(buffer, error.strerror))
        page[:len(_HARMLESS)] = _HARMLESS
        self._page = page
        # The view keeps the mapping in place: mmap refuses to move or close under it.
        self._view = ctypes.c_char.from_buffer(page)
        self._address = ctypes.addressof(self._view)

    def sched_op(self, command: int, argument: bytes) -> int:
        """See ``Xen``; a value of Xen's errno becomes ``XenRefused``."""
        assert self._page is not None, "closed"
        assert len(argument) == len(_HARMLESS), argument
        if command == SCHEDOP_WATCHDOG and argument == bytes(_WATCHDOG.size):
            raise _NeverSend("watchdog id 0 with time-out 0 resets the host")
        # Mutable: given bytes, ioctl would return a copy of them and lose the value.
        call = bytearray(_PRIVCMD_HYPERCALL.pack(SCHED_OP, command, self._address, 0, 0, 0))
        self._page[:len(argument)] = argument
        try:
            value = fcntl.ioctl(self._privcmd, IOCTL_PRIVCMD_HYPERCALL, call, True)
        except OSError as error:
            raise XenRefused(error.errno or errno.EIO, "hypercall sched_op {} ({})".format(
                command, argument.hex()))
        finally:
            self._page[:len(_HARMLESS)] = _HARMLESS
        return int(value)

    def close(self) -> None:
        """See ``Xen``."""
        if self._page is None:
            return
        page, self._page = self._page, None
        del self._view
        page.close()
        os.close(self._privcmd)
        os.close(self._buffer)


def _open(path: str) -> int:
    try:
        return os.open(path, os.O_RDWR | os.O_CLOEXEC)
    except FileNotFoundError:
        raise XenAbsent("there is no {}: not the control domain of a Xen host, or its kernel "
                        "lacks the module xen_privcmd (Linux 4.18 or later)".format(path))
    except OSError as error:
        raise XenAbsent("cannot open {}: {}".format(path, error.strerror))
