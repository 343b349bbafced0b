"""One Ethernet switch, in a network namespace of its own, with cuts and loss.

Each host has ``eth0`` with 10.99.0.(i+1), or fd00:99::(i+1), on a cable to
port ``p<i>`` of the switch.  A cut drops the frames from one port to another;
a cut of both ways is two of them.  A one-way cut drops datagrams alone, and
lets the other way live.
"""

import os
import random
import socket
import struct
import subprocess
import sys
import threading
from typing import Any, List, NamedTuple, Sequence, Set, Tuple, cast

from rig.namespaces import Door

#: The folder that holds the package ``rig``.
HOME = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))

UDP_PORT = 694


def address(host: int, family: int = 4) -> str:
    """The heartbeat address of a host, in the form that the configuration has."""
    return "10.99.0.{}".format(host + 1) if family == 4 else "fd00:99::{:x}".format(host + 1)


def hardware_address(host: int) -> str:
    """The Ethernet address of a host's eth0."""
    return "02:99:00:00:00:{:02x}".format(host + 1)


class Datagram(NamedTuple):
    """A heartbeat as it passed the switch."""

    # Port by which it came in, that is the host that sent it.
    source: int
    destination: str
    payload: bytes


class Network:
    """The switch, seen from its own namespace."""

    def __init__(self, door: Door, family: int) -> None:
        """Make the switch in the namespaces of ``door``."""
        self._door = door
        self._family = family
        self._cut = set()  # type: Set[Tuple[int, int]]
        self._ports = 0
        door.must("ip", "-batch", "-", given=(
            "link set lo up\n"
            "link add br0 type bridge stp_state 0 forward_delay 0 mcast_snooping 0\n"
            "link set br0 up\n"))

    def plug(self, host: int, door: Door) -> None:
        """Give a host its cable and its address."""
        self._door.must("ip", "-batch", "-", given=(
            "link add p{0} type veth peer name eth0 address {1} netns {2}/ns/net\n"
            "link set p{0} master br0\n"
            "link set p{0} up\n").format(host, hardware_address(host), door.proc))
        width, flags = ("/24", "") if self._family == 4 else ("/64", "nodad")
        door.must("ip", "-batch", "-", given=(
            "link set lo up\n"
            "link set eth0 up\n"
            "addr add {}{} dev eth0 {}\n").format(address(host, self._family), width, flags))
        self._ports = max(self._ports, host + 1)

    # Cuts.

    def _rule(self) -> None:
        lines = ["add table bridge rig", "flush table bridge rig",
                 "add chain bridge rig cuts { type filter hook forward priority 0; }"]
        for source, destination in sorted(self._cut):
            way = 'add rule bridge rig cuts iifname "p{}" oifname "p{}" '.format(
                source, destination)
            if (destination, source) in self._cut:
                lines.append(way + "drop")
            else:
                # Without answers to its ARP the other way would fall silent too, in a while.
                lines += [way + "ip protocol udp drop", way + "ip6 nexthdr udp drop"]
        self._door.must("nft", "-f", "-", given="\n".join(lines) + "\n")

    def part(self, *groups: Sequence[int]) -> None:
        """Let hosts reach each other only within their group; replaces all other cuts."""
        self._cut = {(source, destination)
                     for group in groups for source in group
                     for other in groups if other is not group for destination in other}
        self._rule()

    def cut(self, source: int, destination: int) -> None:
        """Drop what ``source`` sends to ``destination``, and only that."""
        self._cut.add((source, destination))
        self._rule()

    def isolate(self, host: int) -> None:
        """Cut a host from all others, both ways."""
        for other in range(self._ports):
            if other != host:
                self._cut |= {(host, other), (other, host)}
        self._rule()

    def heal(self) -> None:
        """Undo every cut."""
        self._cut = set()
        self._rule()

    # Eavesdropping and lies.

    def capture(self) -> "Capture":
        """Begin to record the heartbeats that enter the switch."""
        return Capture(self._door)

    def forge(self, source: str, host: int, datagrams: List[bytes]) -> None:
        """Send datagrams to a host, with any source address, as a machine on its cable could.

        The frame is made here, address and all, so that no table of the kernel has a say.
        """
        frames = [_frame(source, host, payload) for payload in datagrams]

        def send() -> None:
            with socket.socket(socket.AF_PACKET, socket.SOCK_RAW) as wire:
                wire.bind(("p{}".format(host), 0))
                for frame in frames:
                    wire.send(frame)
        self._door.do(send)

    def flood(self, source: str, host: int, datagrams: List[bytes]) -> "Flood":
        """Begin to send these in turn to a host, from any address, as fast as can be."""
        return Flood(self._door, host, [_frame(source, host, payload) for payload in datagrams])


def _frame(source: str, host: int, payload: bytes) -> bytes:
    """An Ethernet frame with a UDP datagram over IPv4; the UDP checksum is left out (0)."""
    udp = struct.pack("!HHHH", UDP_PORT, UDP_PORT, 8 + len(payload), 0) + payload
    addresses = socket.inet_aton(source) + socket.inet_aton(address(host))
    header = struct.pack("!BBHHHBBH", 0x45, 0, 20 + len(udp), random.randrange(65536), 0,
                         64, socket.IPPROTO_UDP, 0) + addresses
    total = sum(struct.unpack("!10H", header))
    total = (total & 0xffff) + (total >> 16)
    total = (total & 0xffff) + (total >> 16)
    header = header[:10] + struct.pack("!H", ~total & 0xffff) + header[12:]
    ethernet = (bytes.fromhex(hardware_address(host).replace(":", ""))
                + bytes.fromhex("029900000100") + struct.pack("!H", 0x0800))
    return ethernet + header + udp


class Flood:
    """A process that floods a host, until ``stop``; it ends with the pool at the latest."""

    def __init__(self, door: Door, host: int, frames: List[bytes]) -> None:
        """Begin."""
        self._process = door.popen(
            [sys.executable, "-m", "rig.flood", "p{}".format(host)], cwd=HOME,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        questions = cast(Any, self._process.stdin)
        questions.write(b"".join(frame.hex().encode() + b"\n" for frame in frames) + b"\n")
        questions.flush()

    def stop(self) -> float:
        """End it; gives how many datagrams a second it sent."""
        out, _ = self._process.communicate(timeout=30)
        sent, _, seconds = out.split()
        return int(sent) / float(seconds)


class Capture:
    """Records the heartbeats (IPv4) that enter the switch, until ``stop``."""

    def __init__(self, door: Door) -> None:
        """Begin."""
        self._datagrams = []  # type: List[Datagram]
        self._wire = door.do(lambda: socket.socket(socket.AF_PACKET, socket.SOCK_RAW,
                                                   socket.htons(3)))
        self._wire.settimeout(0.1)
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._listen, daemon=True)
        self._thread.start()

    def _listen(self) -> None:
        while not self._stopped.is_set():
            try:
                frame, origin = self._wire.recvfrom(65535)
            except socket.timeout:
                continue
            port, kind = origin[0], origin[2]
            if kind == socket.PACKET_OUTGOING or not port.startswith("p"):
                continue
            if frame[12:14] != b"\x08\x00" or frame[23] != socket.IPPROTO_UDP:
                continue
            start = 14 + (frame[14] & 15) * 4
            length = struct.unpack_from("!H", frame, start + 4)[0]
            if struct.unpack_from("!H", frame, start + 2)[0] == UDP_PORT:
                self._datagrams.append(Datagram(
                    source=int(port[1:]), destination=socket.inet_ntoa(frame[30:34]),
                    payload=frame[start + 8:start + length]))

    def stop(self) -> List[Datagram]:
        """End, and give what was recorded, in order."""
        self._stopped.set()
        self._thread.join()
        self._wire.close()
        return self._datagrams
