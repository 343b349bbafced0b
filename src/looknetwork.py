"""Looks at this host's network for ``judgenetwork``: opens no port, sends nothing, changes no rule.

Who has a UDP port is read from /proc/net/udp, and not tried: a port that is
tried is taken for an instant, in which a daemon could not start.

Source: spec 4, 8, 9 (doctor).
"""

import fcntl
import os
import re
import shutil
import socket
import struct
import subprocess
from typing import Dict, List, Set, Tuple

from xha import bondmonitor, bounded, nic
from xha.config import Config
from xha.errors import XhaError
from xha.judgenetwork import InterfaceFacts, Listing, PortFacts, SocketFacts

#: How long a program may take to list the firewall's rules, s.
LIST_S = 5.0
#: Until a program that was killed is given up, s.
LIST_GRACE_S = 1.0
#: Bytes of a listing that are looked at.
_LISTING_MAX = 4 << 20

#: Linux, netdevice(7).
_SIOCGIFFLAGS, _SIOCGIFMTU = 0x8913, 0x8921
_IFF_UP, _IFF_RUNNING = 0x1, 0x40

#: A line of /proc/net/udp or udp6: address and port of this end; the tenth field is the inode.
_SOCKET = re.compile(r"\s*\d+: ([0-9A-F]{32}|[0-9A-F]{8}):([0-9A-F]{4})"
                     r"(?:\s+\S+){7}\s+(\d+)\b")

_PORTRESERVE = "/etc/portreserve/xhad"


def look_interface(settings: Config) -> InterfaceFacts:
    """HeartbeatInterface and the bond below it."""
    local = settings.local
    address = settings.common.hosts[local.index].address
    refusal = unchecked = ""
    try:
        for message in nic.check(local.interface, address):
            unchecked = str(dict(message.fields).get("reason", message.name))
    except XhaError as error:
        refusal = str(error)
    state, mtu = _state_of(local.interface)
    return InterfaceFacts(
        refusal=refusal, unchecked=unchecked, state=state, mtu=mtu,
        bond=bondmonitor.read(local.physical_interface) if local.physical_interface else None)


def _state_of(interface: str) -> Tuple[str, int]:
    """Whether an interface is "up", "down" or "without carrier", and its MTU; "", -1: not known.

    By ioctl and not from /sys, which shows the network of whoever mounted it.
    """
    request = struct.pack("16sH22x", interface.encode("utf-8"), 0)
    try:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asked:
            flags, = struct.unpack_from("H", fcntl.ioctl(asked, _SIOCGIFFLAGS, request), 16)
            mtu, = struct.unpack_from("i", fcntl.ioctl(asked, _SIOCGIFMTU, request), 16)
    except OSError:
        return "", -1
    if not flags & _IFF_UP:
        return "down", mtu
    return "up" if flags & _IFF_RUNNING else "without carrier", mtu


def look_port(port: int, daemon_pid: int) -> PortFacts:
    """Who has the UDP port ``port``, in this network namespace."""
    trouble = ""
    inodes = {}  # type: Dict[str, str]
    for path in ("/proc/net/udp", "/proc/net/udp6"):
        try:
            with open(path, encoding="ascii") as file:
                inodes.update(sockets_of(file.read(), port))
        except FileNotFoundError:
            # A kernel without IPv6.
            trouble = trouble or ("" if path.endswith("6") else "there is no {}".format(path))
        except (OSError, ValueError) as error:
            trouble = trouble or "{}: {}".format(path, error)
    owners = _owners(set(inodes)) if inodes else {}
    return PortFacts(
        sockets=tuple(SocketFacts(address=address, pid=owners.get(inode, (0, ""))[0],
                                  program=owners.get(inode, (0, ""))[1])
                      for inode, address in sorted(inodes.items())),
        trouble=trouble, daemon_pid=daemon_pid, reserved=os.path.exists(_PORTRESERVE),
        given_away=_is_given_away(port))


def sockets_of(text: str, port: int) -> Dict[str, str]:
    """Inode and local address of each socket on ``port``, of the text of /proc/net/udp or udp6.

    A line that the kernel does not write tells nothing.
    """
    found = {}
    for line in text.splitlines()[1:]:
        socket_line = _SOCKET.match(line)
        if socket_line and int(socket_line.group(2), 16) == port:
            found[socket_line.group(3)] = _address(socket_line.group(1))
    return found


def _address(digits: str) -> str:
    """An address of /proc/net: words of 32 bits as this machine keeps them."""
    words = [int(digits[at:at + 8], 16) for at in range(0, len(digits), 8)]
    packed = struct.pack("={}I".format(len(words)), *words)
    return socket.inet_ntop(socket.AF_INET if len(words) == 1 else socket.AF_INET6, packed)


def _owners(inodes: Set[str]) -> Dict[str, Tuple[int, str]]:
    """Process and program that have a socket open, as far as we may look."""
    wanted = {"socket:[{}]".format(inode): inode for inode in inodes}
    found = {}
    for name in filter(str.isdigit, os.listdir("/proc")):
        folder = "/proc/{}/fd".format(name)
        try:
            for descriptor in os.listdir(folder):
                inode = wanted.get(os.readlink("{}/{}".format(folder, descriptor)))
                if inode:
                    found[inode] = (int(name), _read("/proc/{}/comm".format(name)))
        except OSError:
            pass    # It ended meanwhile, or is not ours to look at.
    return found


def _is_given_away(port: int) -> bool:
    """Whether Linux gives the port to any program that asks for one."""
    bounds = _read("/proc/sys/net/ipv4/ip_local_port_range").split()
    if len(bounds) != 2 or not int(bounds[0]) <= port <= int(bounds[1]):
        return False
    for part in _read("/proc/sys/net/ipv4/ip_local_reserved_ports").split(","):
        first, _, last = part.partition("-")
        if first.isdigit() and int(first) <= port <= int(last or first):
            return False
    return True


def look_firewall(six: bool) -> List[Listing]:
    """What the programs that are here list; one that is not here is left out."""
    found = []
    save = "ip6tables-save" if six else "iptables-save"
    for program, words in (("nft", ["nft", "-j", "list", "ruleset"]), (save, [save])):
        path = shutil.which(program)
        if path is not None:
            found.append(_list(program, [path] + words[1:]))
    return found


def _list(program: str, words: List[str]) -> Listing:
    """What it prints; a program that cannot be killed, or its children, hold nobody up."""
    try:
        listing = bounded.run(lambda: _listing(program, words), program, LIST_S + LIST_GRACE_S)
        assert isinstance(listing, Listing)
    except XhaError as error:
        return Listing(program=program, text="", trouble=str(error))
    return listing


def _listing(program: str, words: List[str]) -> Listing:
    """In a child."""
    try:
        done = subprocess.run(words, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                              stderr=subprocess.PIPE, timeout=LIST_S)
    except subprocess.TimeoutExpired:
        return Listing(program=program, text="", trouble="no answer within {:g} s".format(LIST_S))
    except OSError as error:
        return Listing(program=program, text="", trouble=error.strerror or str(error))
    if done.returncode:
        why = " ".join(done.stderr.decode("ascii", "backslashreplace").split())[:200]
        return Listing(program=program, text="",
                       trouble=why or "it ended with {}".format(done.returncode))
    return Listing(program=program, trouble="",
                   text=done.stdout[:_LISTING_MAX].decode("utf-8", "replace"))


def _read(path: str) -> str:
    """A small file of /proc or /sys, without its line end; "" when it cannot be read."""
    try:
        with open(path, encoding="ascii", errors="replace") as file:
            return file.read(4096).strip()
    except (OSError, ValueError):
        return ""
