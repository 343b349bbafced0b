"""The UDP socket: datagrams out to every peer, and in, with the time of receipt.

Theory of operation
===================

Bound to this host's configured address and port, and to the interface, so
that nothing is sent or heard on another network.  It never waits: what cannot
be sent now is an answer, and no peer's trouble delays another.  It judges
nothing but sizes; what a datagram says is ``hbformat``'s and the core's.

A datagram costs a host some 20 us, and a wire brings one in 10.  Of a single
queue that is full the kernel would drop whatever comes next, a heartbeat too,
and anybody who can send could have a host missed.  So each peer has a queue
of its own: a socket of the same address and port that is connected to the
peer's, which the kernel prefers.  Everything else, a stranger's flood, comes
by the common socket; and queues take turns, a datagram each.  (Who sends from
a peer's very address and port fills that peer's queue, and no other's.)

The sockets are one descriptor to poll.  A peer that cannot be reached when
the daemon starts is heard by the common socket, and connected later.  To bind
them to one port all must allow it; the common one forbids it again at once, so
that nobody else can.

Source: spec 4.
"""

import errno
import os
import select
import socket
from collections import deque
from typing import Callable, Deque, Dict, Iterable, List, Optional, Tuple, Union

from xha import actions, faultpoints
from xha.actions import Log
from xha.errors import ExitCode, XhaError
from xha.faultpoints import FaultPoints

#: A datagram is at most 1400 bytes (spec 4); what is longer is read to here and refused by
#: its length.
RECEIVE_BYTES = 2048

#: Room in the kernel for what arrives while the loop is busy, bytes: a burst of 3 from each
#: of 63 peers is 0.3 MB; a stall of 30 s of a pool of 64 at t1 = 1 s is 4 MB.
RECEIVE_BUFFER_BYTES = 4 << 20

#: The same for one peer: a stall of 30 s and the bursts of a fault handler, several times over.
#: All 63 queues hold no more than 32 MB.
PEER_BUFFER_BYTES = 256 << 10

#: A peer that could not be connected is tried again when it is heard, after this time.
RECONNECT_MS = 10000

#: Datagrams of a queue that alone has some: to look for others is a tenth of what one costs.
TURNS_ALONE = 8

#: Sets the buffer above the system's limit; needs CAP_NET_ADMIN (Linux, socket(7)).
_SO_RCVBUFFORCE = 33

#: How addresses of link-local scope, fe80::/10, begin.
_LINK_LOCAL = ("fe8", "fe9", "fea", "feb")

#: A peer's address as the system takes it.
_Destination = Union[Tuple[str, int], Tuple[str, int, int, int]]


class HeartbeatSocket:
    """The heartbeat socket of one daemon; used by its loop alone."""

    def __init__(self, addresses: Tuple[str, ...], local: int, port: int, interface: str,
                 clock_ms: Callable[[], int], faults: Optional[FaultPoints] = None) -> None:
        """Open and bind the socket.

        Args:
            addresses: of all configured hosts, numeric, by host index; all of one family.
            local: our index among them.
            port: UDP port, the same on every host.
            interface: name of the network interface.
            clock_ms: this host's monotonic clock, ms.
            faults: fault points to honour.

        Raises:
            XhaError: SYSTEM_ERROR: the socket cannot be bound; the text says to what, and why.
        """
        self._addresses = addresses
        self._port = port
        self._interface = interface
        self._clock_ms = clock_ms
        self._faults = faults or FaultPoints()
        #: Warnings about how it could be opened.
        self.notes = []             # type: List[Log]
        self._family = socket.AF_INET6 if ":" in addresses[local] else socket.AF_INET
        # By the system's way to write an address, which need not be the configuration's.
        self._index_of = {
            socket.inet_ntop(self._family, socket.inet_pton(self._family, address)): index
            for index, address in enumerate(addresses)}
        self._destinations = {}     # type: Dict[str, _Destination]
        where = addresses[local]
        try:
            self._socket = self._new_socket()
        except OSError as error:
            raise XhaError(ExitCode.SYSTEM_ERROR, "heartbeat socket: {}".format(
                error.strerror)) from error
        try:
            self._prepare(self._socket, RECEIVE_BUFFER_BYTES)
            self._socket.bind(self._destination(where))
        except OSError as error:
            self._socket.close()
            raise XhaError(ExitCode.SYSTEM_ERROR, "heartbeat socket, UDP port {} of address {} on"
                           " interface {}: {}".format(port, where, interface,
                                                      _explain(error))) from error
        self._poll = select.epoll()
        # By descriptor, the common one too; those in which something waits, in their turn.
        self._queues = {}           # type: Dict[int, socket.socket]
        self._ready = deque()       # type: Deque[int]
        self._found = []            # type: List[int]
        # Peers without a queue of their own, and when one may be tried again, ms.
        self._unconnected = {index: 0 for index in range(len(addresses)) if index != local}
        self._take_in()

    def fileno(self) -> int:
        """The descriptor, readable when ``receive`` has something."""
        return self._poll.fileno()

    def send(self, datagram: bytes, peers: Iterable[Tuple[int, str]]) -> Tuple[
            Tuple[int, str], ...]:
        """Send to each peer (host index, address); try every one, whatever the others do.

        Returns:
            (host index, what the system said) for each that failed.
        """
        failed = []
        for index, address in peers:
            if self._faults.covers(faultpoints.HEARTBEAT_SEND_DROP, index):
                continue
            try:
                self._socket.sendto(datagram, self._destination(address))
            except OSError as error:
                failed.append((index, error.strerror or str(error)))
        return tuple(failed)

    def receive(self) -> Optional[Tuple[bytes, str, int]]:
        """The next datagram that waits: its bytes, its source, the time of receipt in ms.

        The source is the sender's numeric address, a configured host's as the configuration
        writes it.  None when nothing waits.  A datagram longer than 2048 bytes comes cut to
        that, which is more than any heartbeat is.
        """
        looked = False
        while True:
            if not self._ready:
                if looked:
                    return None     # All that seemed to wait were errors, which reading took away.
                self._look()
                looked = True
                if not self._ready:
                    return None
            fd = self._ready.popleft()
            try:
                data, source = self._queues[fd].recvfrom(RECEIVE_BYTES)
            except OSError:
                # It is empty; or an error of the interface, or a peer that does not listen.
                while self._ready and self._ready[0] == fd:
                    self._ready.popleft()
                continue
            received_at_ms = self._clock_ms()
            # A source of link-local scope carries its zone, fe80::1%eth0.
            text = source[0].split("%", 1)[0]
            index = self._index_of.get(text, -1)
            if index < 0:
                return data, text, received_at_ms
            if received_at_ms >= self._unconnected.get(index, received_at_ms + 1):
                self._unconnected[index] = received_at_ms + RECONNECT_MS
                self._connect(index)
            if not self._faults.covers(faultpoints.HEARTBEAT_RECEIVE_DROP, index):
                return data, self._addresses[index], received_at_ms
            looked = False

    def _look(self) -> None:
        """See which queues have something; one that alone has some again gets some turns."""
        found = [fd for fd, _ in self._poll.poll(0)]
        again = len(found) == 1 and found == self._found
        self._ready.extend(found * TURNS_ALONE if again else found)
        self._found = found

    def peers_are_silent(self) -> bool:
        """Whether no datagram of a peer waits, whatever others have sent."""
        return not any(self._unconnected or fd != self._socket.fileno()
                       for fd, _ in self._poll.poll(0))

    def close(self) -> None:
        """Close it."""
        self._poll.close()
        for one in self._queues.values():
            one.close()

    def _new_socket(self) -> socket.socket:
        return socket.socket(
            self._family, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC | socket.SOCK_NONBLOCK)

    def _take_in(self) -> None:
        """Open the queues."""
        os.set_blocking(self._poll.fileno(), False)
        self._poll.register(self._socket.fileno(), select.EPOLLIN)
        self._queues[self._socket.fileno()] = self._socket
        for index in sorted(self._unconnected):
            self._connect(index)

    def _connect(self, index: int) -> None:
        """Give a peer a queue of its own; if that cannot be now, it is heard as others are."""
        own = None
        try:
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            own = self._new_socket()
            own.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            self._prepare(own, PEER_BUFFER_BYTES)
            own.bind(self._socket.getsockname())
            own.connect(self._destination(self._addresses[index]))
        except OSError:
            if own is not None:
                own.close()
            return
        finally:
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 0)
        del self._unconnected[index]
        self._queues[own.fileno()] = own
        self._poll.register(own.fileno(), select.EPOLLIN)

    def _prepare(self, one: socket.socket, buffer_bytes: int) -> None:
        for option in (socket.SO_RCVBUF, _SO_RCVBUFFORCE):
            try:
                one.setsockopt(socket.SOL_SOCKET, option, buffer_bytes)
            except PermissionError:
                pass                # The system's own limit (rmem_max) holds.
        if self._family == socket.AF_INET6:
            one.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        if self._interface == "lo":
            # Loopback carries every address of this machine, bound or not.
            return
        try:
            one.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE,
                           self._interface.encode("utf-8") + b"\0")
        except PermissionError as error:
            if not self.notes:
                self.notes.append(actions.log(
                    "heartbeat-interface-unbound", interface=self._interface,
                    reason=error.strerror))

    def _destination(self, address: str) -> _Destination:
        """A peer's address as the system takes it; found once and kept."""
        found = self._destinations.get(address)
        if found is None:
            if self._family == socket.AF_INET6:
                # An address of link-local scope means nothing without its interface.
                scope = (socket.if_nametoindex(self._interface)
                         if address.lower().startswith(_LINK_LOCAL) else 0)
                found = (address, self._port, 0, scope)
            else:
                found = (address, self._port)
            self._destinations[address] = found
        return found


def _explain(error: OSError) -> str:
    texts = {
        errno.EADDRINUSE: "the port is in use, by another daemon or another program",
        errno.EADDRNOTAVAIL: "this host does not have the address",
        errno.ENODEV: "there is no such interface",
        errno.EACCES: "not permitted; a port below 1024 needs root",
    }
    return texts.get(error.errno or 0, error.strerror or str(error))
