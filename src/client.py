"""The commands' end of the control socket: one request, one reply, in bounded time.

On the path of every hot command: imports builtins only (``time``, ``_socket``)
and what is as light.  The numbers below are ``errors.ExitCode``'s, which would
cost an import of enum; a test holds them equal.
"""

import time
from _socket import AF_UNIX, SO_SNDTIMEO, SOCK_CLOEXEC, SOCK_STREAM, SOL_SOCKET, socket
from _socket import timeout as socket_timeout

from xha import ctlformat
from xha.ctlformat import Reply

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Dict, Optional
    from xha.paths import Paths

SYSTEM_ERROR = 2
TRANSIENT_ERROR = 3
DAEMON_NOT_PRESENT = 14
INVALID_ENVIRONMENT = 16

#: What a command waits for its answer, s.  Source: spec 6, "answers within 5 s".
PROMPT_S = 5.0

#: The verbs that are documented to wait.  The daemon bounds each itself, by max(T1,T2) + 10 s
#: for the lock (spec 12) and by the State-File's next cycles for the others, and always
#: answers; this is the bound for a daemon that hangs.  It is above the daemon's for every
#: T up to 300 s; with a longer T a wait that takes longer than this ends with 3, and the
#: daemon then drops the request, as it does for any client that has gone.
PATIENT_S = {
    "propose-master": 330.0,
    "cancel-master": 330.0,
    "set-pool-state": 330.0,
    "set-excluded": 330.0,
    "rotate-key": 330.0,
}  # type: Dict[str, float]


def call(paths: "Paths", verb: str, *arguments: str, timeout_s: float = 0.0) -> Reply:
    """Ask the daemon; wait at most ``timeout_s``, or what the verb is documented to take.

    Returns:
        The daemon's reply, or one of ours with a line for people: 14 when there is no daemon,
        or it ended before it answered (whether it did what was asked is then unknown); 3
        when it did not answer in time; 16 when it may not be asked; 2 when what answers
        does not speak this protocol.  Never raises but for ``arguments`` that
        ``ctlformat.encode_request`` refuses.
    """
    request = ctlformat.encode_request(verb, arguments)
    timeout_s = timeout_s or PATIENT_S.get(verb, PROMPT_S)
    deadline = time.monotonic() + timeout_s
    connection = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC)
    try:
        refusal = _connect(connection, paths.socket, deadline)
        return refusal or _converse(connection, request, deadline)
    except (socket_timeout, BlockingIOError):
        return Reply(TRANSIENT_ERROR, "", "the daemon did not answer within {:g} s\n".format(
            timeout_s))
    finally:
        connection.close()


def daemon_answers(paths: "Paths") -> bool:
    """Whether a daemon is there: it answers, or holds the socket and is too busy to.

    When this says False nobody listens.  When a reply is late it says True: what depends on
    it (initialising the State-File, stopping timers) must not be done under a running daemon.
    """
    return call(paths, "host-state").code != DAEMON_NOT_PRESENT


def _connect(connection: socket, path: str, deadline: float) -> "Optional[Reply]":
    """Connect, or say why not.

    With a time-out of Python's own the socket would be non-blocking, and connecting to one
    whose queue is full would fail at once instead of waiting: hence the kernel's.  That counts
    ticks, which may run ahead of the clock for a while: so what is left is waited for again.
    """
    left_us = max(int((deadline - time.monotonic()) * 1000000), 1)
    seconds, rest = divmod(left_us, 1000000)
    connection.setsockopt(SOL_SOCKET, SO_SNDTIMEO,
                          seconds.to_bytes(8, "little") + rest.to_bytes(8, "little"))
    try:
        connection.connect(path)
    except BlockingIOError:
        if time.monotonic() < deadline:
            return _connect(connection, path, deadline)
        raise
    except (FileNotFoundError, NotADirectoryError, ConnectionRefusedError):
        return Reply(DAEMON_NOT_PRESENT, "", "no daemon answers at {}\n".format(path))
    except PermissionError:
        return Reply(INVALID_ENVIRONMENT, "",
                     "{}: permission denied; this needs root\n".format(path))
    except OSError as error:
        return Reply(INVALID_ENVIRONMENT, "", "{}: {}\n".format(path, error))
    return None


def _converse(connection: socket, request: bytes, deadline: float) -> Reply:
    """Send the request and take the reply in."""
    try:
        received = _exchange(connection, request, deadline)
        if received:
            return ctlformat.decode_reply(received)
    except ctlformat.Malformed as error:
        return Reply(SYSTEM_ERROR, "",
                     "what answers is no daemon of this version: {}\n".format(error))
    return Reply(DAEMON_NOT_PRESENT, "", "the daemon ended before it answered\n")


def _exchange(connection: socket, request: bytes, deadline: float) -> bytes:
    """The bytes of the whole reply; none when the connection ended before that."""
    try:
        _until(connection, deadline)
        connection.sendall(request)
    except (BrokenPipeError, ConnectionResetError):
        pass            # It closed without reading on; why is in the reply that it sent.
    received = bytearray()
    length = -1
    while length < 0 or len(received) < length:
        _until(connection, deadline)
        try:
            data = connection.recv(65536)
        except ConnectionResetError:
            return b""
        if not data:
            return b""
        received += data
        if length < 0:
            length = ctlformat.reply_length(bytes(received))
    return bytes(received)


def _until(connection: socket, deadline: float) -> None:
    """Let the next call on the connection end by the deadline."""
    remaining = deadline - time.monotonic()
    if remaining <= 0:
        raise socket_timeout()
    connection.settimeout(remaining)
