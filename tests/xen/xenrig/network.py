"""The switch between the hosts of a pool: frames go through unix sockets, each cable can be cut.

Every host has two sockets in the rig's directory: ``NAME.nic`` is QEMU's, ``NAME.port`` the
switch's.  A frame that comes in at a port goes out at all others, as in a hub; three hosts need
no more.  A cut cable is silent: no host sees its carrier go.
"""
import os
import selectors
import socket
import threading

#: Longest frame with room to spare, bytes.
FRAME_MAX = 1 << 16


class Network:
    """The switch; use as a context manager."""

    def __init__(self, directory):
        self._directory = directory
        self._ports = {}                # name of a host -> socket
        self._cut = set()
        self._ended = False

    def __enter__(self):
        threading.Thread(target=self._forward, daemon=True).start()
        return self

    def __exit__(self, *exception):
        self._ended = True

    def plug(self, name):
        """Give a host a port; to be done before the switch works.  QEMU's words for it."""
        port = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        port.bind(self._path(name, "port"))
        port.setblocking(False)
        self._ports[name] = port
        return "dgram,local.type=unix,local.path={},remote.type=unix,remote.path={}".format(
            self._path(name, "nic"), self._path(name, "port"))

    def cut(self, name):
        """Let no more frames through to or from a host."""
        self._cut.add(name)

    def join(self, name):
        """Take the cut back."""
        self._cut.discard(name)

    def _path(self, name, end):
        return os.path.join(self._directory, "{}.{}".format(name, end))

    def _forward(self):
        selector = selectors.DefaultSelector()
        for name, port in self._ports.items():
            selector.register(port, selectors.EVENT_READ, name)
        while not self._ended:
            for key, _ in selector.select(0.5):
                frame = key.fileobj.recv(FRAME_MAX)
                if key.data in self._cut:
                    continue
                for name in self._ports:
                    if name != key.data and name not in self._cut:
                        self._send(key.fileobj, frame, name)
        for port in self._ports.values():
            port.close()

    def _send(self, port, frame, name):
        try:
            port.sendto(frame, self._path(name, "nic"))
        except OSError:
            pass        # It is off, or does not keep up: lost, as on a real network.
