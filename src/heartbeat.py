"""The UDP socket: datagrams out to every peer, and in, with the time of receipt.

Bound to this host's configured address and port, and to the interface, so
that nothing is sent or heard on another network.  It never waits: what cannot
be sent now is an answer, and no peer's trouble delays another.  It judges
nothing but sizes; what a datagram says is ``hbformat``'s and the core's.

Source: spec 4.
"""

import errno
import socket
from typing import Callable, Dict, Iterable, List, Optional, Tuple, Union

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
            self._socket = socket.socket(
                self._family, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC | socket.SOCK_NONBLOCK)
        except OSError as error:
            raise XhaError(ExitCode.SYSTEM_ERROR, "heartbeat socket: {}".format(
                error.strerror)) from error
        try:
            self._prepare()
            self._socket.bind(self._destination(where))
        except OSError as error:
            self._socket.close()
            raise XhaError(ExitCode.SYSTEM_ERROR, "heartbeat socket, UDP port {} of address {} on"
                           " interface {}: {}".format(port, where, interface,
                                                      _explain(error))) from error

    def fileno(self) -> int:
        """The descriptor, readable when ``receive`` has something."""
        return self._socket.fileno()

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
        while True:
            try:
                data, source = self._socket.recvfrom(RECEIVE_BYTES)
            except OSError:
                # Nothing waits; or an error of the interface, which reading took away.
                return None
            received_at_ms = self._clock_ms()
            # A source of link-local scope carries its zone, fe80::1%eth0.
            text = source[0].split("%", 1)[0]
            index = self._index_of.get(text, -1)
            if index < 0:
                return data, text, received_at_ms
            if not self._faults.covers(faultpoints.HEARTBEAT_RECEIVE_DROP, index):
                return data, self._addresses[index], received_at_ms

    def close(self) -> None:
        """Close it."""
        self._socket.close()

    def _prepare(self) -> None:
        for option in (socket.SO_RCVBUF, _SO_RCVBUFFORCE):
            try:
                self._socket.setsockopt(socket.SOL_SOCKET, option, RECEIVE_BUFFER_BYTES)
            except PermissionError:
                pass                # The system's own limit (rmem_max) holds.
        if self._family == socket.AF_INET6:
            self._socket.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        if self._interface == "lo":
            # Loopback carries every address of this machine, bound or not.
            return
        try:
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE,
                                    self._interface.encode("utf-8") + b"\0")
        except PermissionError as error:
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
