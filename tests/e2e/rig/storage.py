"""The shared disk, as each host sees it: one image, a file for each host, faults for each.

Host i reaches the image through its own file ``h<i>`` of a small file system
served here, without any cache, so that one host's reads or writes can go
wrong alone:

    ok      as it should be
    fail    EIO; opening fails too when both reads and writes do
    hang    no answer until another fault is set (a killed asker is let go)
    slow    done and answered after a delay
    drop    writes only: acknowledged, and lost
    torn    writes only: acknowledged, only the first 512 bytes land

A write beyond the State-File is refused and counted as *outside*; writes are
counted by section, with the instant of the last (CLOCK_MONOTONIC, which all
hosts share), so that a test can say who wrote what, and when last.  A test that wants to know
each access asks for the journal, which is kept from then on.
"""

import collections
import errno
import heapq
import os
import struct
import time
from typing import Any, Callable, Dict, List, Optional, Tuple

from rig import fuse

SECTION_BYTES = 4096
STATEFILE_BYTES = 65 * SECTION_BYTES
GUARD = b"\xa5" * SECTION_BYTES     # after the State-File in the image: nobody may touch it

READS, WRITES = "r", "w"

#: (host, unique, READS or WRITES, offset, count or data)
Transfer = Tuple[int, int, str, int, Any]


class Storage:
    """The image and everybody's way to it."""

    def __init__(self, image: str, target: str, hosts: int) -> None:
        """Serve ``image`` on the folder ``target`` to ``hosts`` hosts."""
        self._image = os.open(image, os.O_RDWR)
        self._hosts = hosts
        self._fault = [{READS: ("ok", 0), WRITES: ("ok", 0)} for _ in range(hosts)]
        self._size = [STATEFILE_BYTES] * hosts
        self._held = collections.OrderedDict()  # type: Dict[int, Transfer]
        self._late = []  # type: List[Tuple[float, int, Transfer]]
        # When each transfer that is under way came in; kept while there is a journal.
        self._came_at = {}  # type: Dict[int, float]
        self._journal = None  # type: Optional[List[List[Any]]]
        self.counts = [collections.Counter() for _ in range(hosts)]  # type: List[Any]
        self.connection = fuse.Connection(target)
        self._answers = {
            fuse.INIT: lambda request: self.connection.answer_init(request.unique),
            fuse.LOOKUP: self._lookup, fuse.GETATTR: self._attributes,
            fuse.SETATTR: self._attributes, fuse.OPEN: self._open, fuse.OPENDIR: self._open,
            fuse.READDIR: self._read_directory, fuse.READ: self._read, fuse.WRITE: self._write,
            fuse.INTERRUPT: self._interrupt, fuse.STATFS: self._statfs,
            fuse.FORGET: lambda request: None, fuse.BATCH_FORGET: lambda request: None,
        }  # type: Dict[int, Callable[[fuse.Request], None]]
        for operation in (fuse.RELEASE, fuse.RELEASEDIR, fuse.FLUSH, fuse.FSYNC, fuse.ACCESS,
                          fuse.DESTROY):
            self._answers[operation] = lambda request: self.connection.answer(request.unique)

    # What the kernel asks.

    def serve(self) -> None:
        """Answer every question that waits; OSError ENODEV after the unmount."""
        while True:
            try:
                request = self.connection.receive()
            except BlockingIOError:
                return
            answer = self._answers.get(request.operation)
            if answer is None:
                self.connection.answer(request.unique, error=errno.ENOSYS)
            else:
                answer(request)

    def _lookup(self, request: fuse.Request) -> None:
        name = request.body.split(b"\0", 1)[0]
        names = [b"h%d" % host for host in range(self._hosts)]
        if request.node != fuse.ROOT or name not in names:
            self.connection.answer(request.unique, error=errno.ENOENT)
            return
        host = names.index(name)
        self.connection.answer(request.unique, fuse.entry(2 + host, self._size[host]))

    def _attributes(self, request: fuse.Request) -> None:
        size = 0 if request.node == fuse.ROOT else self._size[request.node - 2]
        self.connection.answer(request.unique, struct.pack("<QII", 0, 0, 0)
                               + fuse.attributes(request.node, size))

    def _open(self, request: fuse.Request) -> None:
        if request.operation == fuse.OPEN:
            faults = self._fault[request.node - 2]
            if all(fault == "fail" for fault, _ in faults.values()):
                self.connection.answer(request.unique, error=errno.EIO)
                return
        # 1: FOPEN_DIRECT_IO, no cache between the daemon and us.
        self.connection.answer(request.unique, struct.pack("<QII", request.node, 1, 0))

    def _read_directory(self, request: fuse.Request) -> None:
        _, offset, size = struct.unpack_from("<QQI", request.body)
        names = [(1, b"."), (1, b"..")] + [(2 + host, b"h%d" % host)
                                           for host in range(self._hosts)]
        lines = b""
        for place, (node, name) in enumerate(names[offset:], offset + 1):
            line = fuse.directory_entry(node, place, name)
            if len(lines) + len(line) > size:
                break
            lines += line
        self.connection.answer(request.unique, lines)

    def _statfs(self, request: fuse.Request) -> None:
        self.connection.answer(request.unique, struct.pack(
            "<5Q4I6I", 65, 0, 0, 65, 0, SECTION_BYTES, 255, SECTION_BYTES, 0, *[0] * 6))

    def _read(self, request: fuse.Request) -> None:
        _, offset, count = struct.unpack_from("<QQI", request.body)
        self._begin((request.node - 2, request.unique, READS, offset, count))

    def _write(self, request: fuse.Request) -> None:
        _, offset, count = struct.unpack_from("<QQI", request.body)
        data = bytes(request.body[40:40 + count])
        self._begin((request.node - 2, request.unique, WRITES, offset, data))

    def _interrupt(self, request: fuse.Request) -> None:
        target, = struct.unpack_from("<Q", request.body)
        waited = self._held.pop(target, None) is not None
        kept = [late for late in self._late if late[1] != target]
        if waited or len(kept) != len(self._late):
            self._late = kept
            heapq.heapify(self._late)
            self.connection.answer(target, error=errno.EINTR)

    # What becomes of it.

    def _begin(self, transfer: Transfer) -> None:
        host, unique, kind = transfer[:3]
        self.counts[host][kind] += 1
        fault, delay_ms = self._fault[host][kind]
        if self._journal is not None:
            self._came_at[unique] = time.monotonic()
        if fault == "fail":
            self.connection.answer(unique, error=errno.EIO)
        elif fault == "hang":
            self._held[unique] = transfer
        elif fault == "slow":
            heapq.heappush(self._late, (time.monotonic() + delay_ms / 1000.0, unique, transfer))
        else:
            self._complete(transfer)

    def _complete(self, transfer: Transfer) -> None:
        host, unique, kind, offset, what = transfer
        if kind == READS:
            count = max(0, min(what, self._size[host] - offset))
            self.connection.answer(unique, os.pread(self._image, count, offset))
            self._note(transfer, count)
            return
        if offset + len(what) > STATEFILE_BYTES:
            self.counts[host]["outside"] += 1
            self.connection.answer(unique, error=errno.ENOSPC)
            return
        fault = self._fault[host][WRITES][0]
        for section in range(offset // SECTION_BYTES,
                             (offset + len(what) - 1) // SECTION_BYTES + 1):
            self.counts[host]["section{}".format(section)] += 1
            self.counts[host]["section{}_at".format(section)] = time.monotonic()
        if fault != "drop":
            os.pwrite(self._image, what[:512] if fault == "torn" else what, offset)
        self.connection.answer(unique, struct.pack("<II", len(what), 0))
        if fault not in ("drop", "torn"):
            self._note(transfer, len(what))

    def _note(self, transfer: Transfer, count: int) -> None:
        """Put what was done, as it should be, into the journal."""
        host, unique, kind, offset = transfer[:4]
        if self._journal is not None and unique in self._came_at:
            self._journal.append([self._came_at.pop(unique), host, kind, offset, count])

    def wait_s(self) -> float:
        """Seconds until a slow transfer is due, -1 when there is none."""
        return max(0.0, self._late[0][0] - time.monotonic()) if self._late else -1.0

    def complete_late(self) -> None:
        """Complete the slow transfers that are due."""
        while self._late and self._late[0][0] <= time.monotonic():
            self._complete(heapq.heappop(self._late)[2])

    # What the test asks.

    def set_fault(self, hosts: List[int], fault: str, kinds: str, delay_ms: int) -> None:
        """Set the fault of these hosts' reads and writes; what hangs gets its answer."""
        for host in hosts:
            for kind in kinds:
                self._fault[host][kind] = (fault, delay_ms)
        if fault == "hang":
            return
        for unique, transfer in list(self._held.items()):
            if transfer[0] in hosts and transfer[2] in kinds:
                del self._held[unique]
                if fault == "fail":
                    self.connection.answer(unique, error=errno.EIO)
                else:
                    self._complete(transfer)

    def journal(self) -> List[List[Any]]:
        """What was done since the last call, in order: when it was asked for, host, kind, offset,
        bytes.  The first call begins it."""
        found, self._journal = self._journal or [], []
        if len(self._came_at) > 1000:
            self._came_at = {}      # Of transfers that failed, or were given up.
        return found

    def set_size(self, hosts: List[int], size: int) -> None:
        """Let these hosts see ``size`` bytes."""
        for host in hosts:
            self._size[host] = size
