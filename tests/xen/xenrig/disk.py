"""The shared disk of a pool: an NBD server with a path of its own, and a mode, for each host.

    ok      requests are served
    hang    requests wait until the mode changes, and are then dealt with by the new one
    error   requests are refused (EIO)

A host that is reset drops its waiting requests first, and its emulator waits for that: see
``host_dies``.  The protocol is the fixed newstyle handshake with simple replies, as in the NBD
project's doc/proto.md; all numbers are big-endian.
"""
import contextlib
import os
import socket
import struct
import threading

OK, HANG, ERROR = "ok", "hang", "error"

MAGIC, OPTION_MAGIC, REPLY_MAGIC = 0x4e42444d41474943, 0x49484156454f5054, 0x3e889045565a9
REQUEST_MAGIC, SIMPLE_MAGIC = 0x25609513, 0x67446698

#: Of the handshake: fixed newstyle, no zeros; of the export: has flags, sends flush.
FIXED_NO_ZEROES, HAS_FLAGS_SEND_FLUSH = 3, 5
OPTION_ABORT, OPTION_GO = 2, 7
REPLY_ACK, REPLY_INFO, REPLY_UNSUPPORTED = 1, 3, (1 << 31) + 1
READ, WRITE, DISCONNECT, FLUSH = range(4)
EIO, EINVAL = 5, 22


class Gone(Exception):
    """The other end has closed the connection."""


class Disk:
    """The disk; use as a context manager."""

    def __init__(self, directory, size):
        self._directory = directory
        self._data = bytearray(size)
        self._modes = {}                # name of a host -> its mode
        self._changed = threading.Condition()
        self._listeners = []

    def __enter__(self):
        return self

    def __exit__(self, *exception):
        self.set_mode(ERROR, *self._modes)
        for listener in self._listeners:
            with contextlib.suppress(OSError):
                listener.shutdown(socket.SHUT_RDWR)
            listener.close()

    def attach(self, name):
        """Give a host a path to the disk; QEMU's words for it."""
        path = os.path.join(self._directory, name + ".disk")
        listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        listener.bind(path)
        listener.listen(4)
        self._listeners.append(listener)
        self._modes[name] = OK
        threading.Thread(target=self._accept, args=(listener, name), daemon=True).start()
        return "file=nbd+unix:///?socket={},cache=none,werror=report,rerror=report".format(path)

    def set_mode(self, mode, *names):
        """Change how the requests of hosts are dealt with, those that wait included."""
        assert mode in (OK, HANG, ERROR), mode
        with self._changed:
            self._modes.update({name: mode for name in names})
            self._changed.notify_all()

    def host_dies(self, name):
        """Its waiting requests never arrive; and its next boot would hang in them."""
        if self._modes[name] == HANG:
            self.set_mode(ERROR, name)

    def _accept(self, listener, name):
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(connection, name), daemon=True).start()

    def _serve(self, connection, name):
        with connection, contextlib.suppress(Gone, OSError):
            self._shake_hands(connection)
            while True:
                magic, _, kind, handle, offset, length = take(connection, ">IHHQQI")
                if magic != REQUEST_MAGIC or kind == DISCONNECT:
                    return
                sent = receive(connection, length) if kind == WRITE else b""
                error, data = self._carry_out(name, kind, offset, length, sent)
                connection.sendall(struct.pack(">IIQ", SIMPLE_MAGIC, error, handle) + data)

    def _shake_hands(self, connection):
        connection.sendall(struct.pack(">QQH", MAGIC, OPTION_MAGIC, FIXED_NO_ZEROES))
        take(connection, ">I")
        while True:
            _, option, length = take(connection, ">QII")
            receive(connection, length)
            if option == OPTION_GO:
                self._reply(connection, option, REPLY_INFO, struct.pack(
                    ">HQH", 0, len(self._data), HAS_FLAGS_SEND_FLUSH))
                self._reply(connection, option, REPLY_ACK, b"")
                return
            self._reply(connection, option,
                        REPLY_ACK if option == OPTION_ABORT else REPLY_UNSUPPORTED, b"")

    @staticmethod
    def _reply(connection, option, kind, data):
        connection.sendall(struct.pack(">QIII", REPLY_MAGIC, option, kind, len(data)) + data)

    def _carry_out(self, name, kind, offset, length, sent):
        """(error, what was read), once the mode is not to hang."""
        with self._changed:
            self._changed.wait_for(lambda: self._modes[name] != HANG)
            if self._modes[name] == ERROR:
                return EIO, b""
            if kind == FLUSH:
                return 0, b""
            if kind not in (READ, WRITE) or offset + length > len(self._data):
                return EINVAL, b""
            if kind == READ:
                return 0, bytes(self._data[offset:offset + length])
            self._data[offset:offset + length] = sent
            return 0, b""


def take(connection, form):
    """The next numbers of a connection."""
    return struct.unpack(form, receive(connection, struct.calcsize(form)))


def receive(connection, length):
    """The next bytes.  Gone: it was closed."""
    data = b""
    while len(data) < length:
        part = connection.recv(length - len(data))
        if not part:
            raise Gone
        data += part
    return data
