"""The syslog of one host of a pool: one that reads, or one that hangs."""

import os
import socket
import threading
from typing import List

from rig import namespaces
from rig.host import Host


class Syslog:
    """/dev/log of one host, with a /dev of the host's own around it."""

    def __init__(self, host: Host, reads: bool = True) -> None:
        """Listen; with ``reads`` false nobody ever takes what comes."""
        place = os.path.join(host.folder, "dev")
        os.mkdir(place)
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind(os.path.join(place, "log"))
        self._lines = []  # type: List[str]
        host.door.do(lambda: self._mount(place))
        # Read all the while: the kernel keeps ten for a syslog that does not.
        self._thread = threading.Thread(target=self._read, daemon=True)
        if reads:
            self._thread.start()

    def _read(self) -> None:
        while True:
            data = self._socket.recv(4096)
            if not data:
                return
            self._lines.append(data.decode("ascii"))

    @staticmethod
    def _mount(place: str) -> None:
        for name in ("null", "zero", "full", "urandom"):
            open(os.path.join(place, name), "w").close()
            namespaces.mount("/dev/" + name, os.path.join(place, name),
                             flags=namespaces.MOUNT_BIND)
        namespaces.mount(place, "/dev",
                         flags=namespaces.MOUNT_BIND | namespaces.MOUNT_RECURSIVE)

    @property
    def full(self) -> bool:
        """Whether it takes no more: a sender would wait."""
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender:
            sender.setblocking(False)
            try:
                sender.sendto(b"x", self._socket.getsockname())
                return False
            except BlockingIOError:
                return True

    @property
    def text(self) -> str:
        """All that came so far."""
        return "\n".join(self._lines)

    def close(self) -> None:
        """Listen no more."""
        self._socket.shutdown(socket.SHUT_RD)
        if self._thread.is_alive():
            self._thread.join()
        self._socket.close()
