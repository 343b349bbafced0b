"""The daemon's end of the control socket.

Theory of operation
===================

The server has no thread.  It keeps its clients in an epoll of its own, whose
descriptor the daemon's loop watches as one more (``fileno``, readable when
anything is to be done).  Each turn calls ``serve``, which does a bounded amount
of work and never waits; what is left over is still readable at the next turn,
and the kernel hands ready clients out in rotation, so nobody starves.  Thus
1000 clients at once cost the heartbeats a few ms a turn, whatever they do.

A client is *reading* (its request is awaited), *waiting* (the daemon owes it an
answer) or *writing* (its answer does not fit into the socket's buffer).  Reading
and writing end by a deadline that trickled bytes do not move.  Waiting has none: the
daemon bounds it, and a client that goes away meanwhile is reported by ``gone``.

Nothing a client sends can raise here: what is malformed is answered with 1, what
comes from another user with 16, what is too much with 3.

Source: spec 6, "Control socket".
"""

import errno
import os
import select
import socket
import struct
from collections import Counter, deque
from typing import Callable, Deque, Dict, List, NamedTuple, Optional, Tuple

from xha import actions, ctlformat, listener
from xha.actions import Log
from xha.ctlformat import Malformed, Reply
from xha.errors import ExitCode, XhaError
from xha.paths import Paths
from xha.records import record

#: How long a client may take to send its request, and to take its answer, ms.
SLOW_MS = 5000

#: Clients at once; spec 6 demands 1000.
CLIENTS_MAX = 1200

#: Descriptors left to the rest of the daemon, which must never lack one for the State-File.
DESCRIPTORS_KEPT = 128

#: Clients accepted, and other clients served, in one turn of the daemon's loop.
WORK_PER_TURN = 32

#: Bytes of answers that wait for slow clients; locked in memory as all of the daemon is.
UNSENT_MAX = 16 << 20

#: How long nobody is accepted after a failure that the next try would meet again, ms.
PAUSE_MS = 100

#: Kernel's buffer for the answers to one client, bytes.
SEND_BUFFER = 64 << 10

_READING, _WAITING, _WRITING = range(3)
_EVENTS = {_READING: select.EPOLLIN, _WAITING: 0, _WRITING: select.EPOLLOUT}
_CREDENTIALS = struct.Struct("3i")      # pid, uid, gid (Linux, struct ucred)


@record
class Request(NamedTuple):
    """What a client asks: a verb with arguments that ``ctlformat.VERBS`` permits."""

    # Names the client in ``reply`` and ``gone``; never used twice.
    ticket: int
    verb: str
    arguments: Tuple[str, ...]
    peer_uid: int
    peer_pid: int

    @property
    def query_resets(self) -> bool:
        """Whether this query starts xapi's max and min latencies anew (spec 6)."""
        return self.verb == "query" and self.arguments[1] == "1"


class _Client:
    """One connection."""

    __slots__ = ("connection", "ticket", "state", "deadline_ms", "received", "unsent", "uid",
                 "pid")

    def __init__(self, connection: socket.socket, ticket: int, deadline_ms: int) -> None:
        self.connection = connection
        self.ticket = ticket
        self.state = _READING
        self.deadline_ms = deadline_ms
        self.received = b""
        self.unsent = memoryview(b"")
        self.pid, self.uid, _ = _CREDENTIALS.unpack(connection.getsockopt(
            socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size))


class ControlServer:
    """Serves the control socket of one daemon, from the daemon's own loop."""

    def __init__(self, paths: Paths, clock_ms: Callable[[], int]) -> None:
        """``clock_ms``: this host's monotonic clock, ms."""
        self._paths = paths
        self._clock_ms = clock_ms
        self._inode = (0, 0)
        self._listener = None       # type: Optional[socket.socket]
        # When clients are accepted again; -1: they are.
        self._resume_at_ms = -1
        self._epoll = None          # type: Optional[select.epoll]
        self._spare = listener.Spare()
        self._clients_max = CLIENTS_MAX
        self._clients = {}          # type: Dict[int, _Client]
        self._fd_of = {}            # type: Dict[int, int]
        # Deadlines are all SLOW_MS from when they are set, hence in order of time.
        self._deadlines = deque()   # type: Deque[Tuple[int, int]]
        self._unsent = 0
        self._tickets = 0
        self._gone = []             # type: List[int]
        self._refused = Counter()   # type: Counter[str]
        self._notes = []            # type: List[Log]

    # Life

    def open(self) -> None:
        """Make the socket, in place of one that a dead daemon left.

        The caller holds the daemon's lock (spec 8), so no other daemon does this now.

        Raises:
            XhaError: 15, somebody listens there; 16, the place is not fit (another's
                directory, a file that is no socket, too long a name); 2, anything else.
        """
        assert self._epoll is None
        self._clients_max = listener.room_for(CLIENTS_MAX, DESCRIPTORS_KEPT)
        try:
            self._listener, self._inode = listener.listen(self._paths, CLIENTS_MAX)
            self._epoll = select.epoll()
            self._epoll.register(self._listener.fileno(), select.EPOLLIN)
            self._spare.take()
        except XhaError:
            self.close()
            raise
        except OSError as error:
            self.close()
            raise XhaError(ExitCode.SYSTEM_ERROR, "control socket {}: {}".format(
                self._paths.socket, error)) from error

    def close(self) -> None:
        """Drop all clients and remove the socket, if it is still ours."""
        for one in list(self._clients.values()):
            self._drop(one)
        if self._listener is not None:
            listener.remove(self._paths, self._inode)
            self._listener.close()
            self._listener = None
        if self._epoll is not None:
            self._epoll.close()
            self._epoll = None
        self._spare.give()

    def fileno(self) -> int:
        """The one descriptor to watch for reading (poll, select or epoll)."""
        assert self._epoll is not None
        return self._epoll.fileno()

    # One turn

    def serve(self, limit: int = WORK_PER_TURN) -> List[Request]:
        """Do what is ready, at most ``limit`` clients' worth; return the requests taken.

        Never waits and never raises because of a client.
        """
        assert self._epoll is not None
        requests = []               # type: List[Request]
        for fd, _ in self._epoll.poll(0, limit):
            if self._listener is not None and fd == self._listener.fileno():
                self._accept(limit)
                continue
            one = self._clients[fd]
            try:
                request = self._advance(one)
            except OSError:
                self._lose(one)
                continue
            if request is not None:
                requests.append(request)
        return requests

    def expire(self, now_ms: int) -> None:
        """Drop the clients that are too slow.  For every turn, or every tick."""
        while self._deadlines and self._deadlines[0][0] <= now_ms:
            deadline_ms, ticket = self._deadlines.popleft()
            one = self._clients.get(self._fd_of.get(ticket, -1))
            if one is None or one.state == _WAITING or one.deadline_ms != deadline_ms:
                continue
            self._refused["slow" if one.state == _READING else "slow-to-take-answer"] += 1
            self._drop(one)
        if 0 <= self._resume_at_ms <= now_ms and self._epoll and self._listener:
            self._resume_at_ms = -1
            self._spare.take()
            self._epoll.modify(self._listener.fileno(), select.EPOLLIN)

    def gone(self) -> List[int]:
        """Tickets whose clients vanished unanswered since the last call."""
        gone, self._gone = self._gone, []
        return gone

    def reply(self, ticket: int, code: int, out: str = "", err: str = "") -> None:
        """Answer a request; nothing happens when its client has gone or was answered.

        An answer that fits the socket's buffer (64 KiB) arrives even if the daemon ends
        right after this.
        """
        one = self._clients.get(self._fd_of.get(ticket, -1))
        if one is None or one.state != _WAITING:
            return
        try:
            self._answer(one, Reply(int(code), out, err))
        except OSError:
            self._drop(one)

    def notes(self) -> List[Log]:
        """What is to be logged about refused clients since the last call; few at a time."""
        notes, self._notes = self._notes, []
        return notes

    def refusals(self) -> Dict[str, int]:
        """How many clients were refused, by cause, since the start."""
        return dict(self._refused)

    # Clients

    def _accept(self, limit: int) -> None:
        """Take new clients in, at most ``limit``."""
        assert self._listener is not None
        for _ in range(limit):
            try:
                connection, _address = self._listener.accept()
            except (BlockingIOError, ConnectionAbortedError):
                return
            except OSError as error:
                self._refuse_without_descriptor(error)
                return
            try:
                self._admit(connection)
            except OSError:
                connection.close()

    def _admit(self, connection: socket.socket) -> None:
        """Begin with a client, or tell it why not."""
        assert self._epoll is not None
        connection.setblocking(False)
        if len(self._clients) >= self._clients_max:
            self._turn_away(connection, "too-many")
            return
        self._tickets += 1
        one = _Client(connection, self._tickets, self._clock_ms() + SLOW_MS)
        if one.uid not in (0, os.geteuid()):
            self._note("other-user", one, "of another user")
            _send_last(connection, Reply(
                ExitCode.INVALID_ENVIRONMENT, "",
                "the daemon listens to root and its own user only\n"))
            return
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SEND_BUFFER)
        self._epoll.register(connection.fileno(), _EVENTS[_READING])
        self._clients[connection.fileno()] = one
        self._fd_of[one.ticket] = connection.fileno()
        self._deadlines.append((one.deadline_ms, one.ticket))

    def _refuse_without_descriptor(self, error: OSError) -> None:
        """The process lacks descriptors (or the kernel memory): refuse one with the spare.

        If even that fails nobody is accepted for a while: a listener that stays readable would
        have the daemon's loop turn without a rest, at real-time priority.
        """
        assert self._listener is not None
        assert self._epoll is not None
        if error.errno in (errno.EMFILE, errno.ENFILE) and self._spare.give():
            try:
                connection, _address = self._listener.accept()
                self._turn_away(connection, "no-descriptor")
            except OSError:
                pass
            if self._spare.take():
                return
        self._epoll.modify(self._listener.fileno(), 0)
        self._resume_at_ms = self._clock_ms() + PAUSE_MS

    def _turn_away(self, connection: socket.socket, cause: str) -> None:
        """Refuse a client that is one too many."""
        self._refused[cause] += 1
        _send_last(connection, Reply(ExitCode.TRANSIENT_ERROR, "",
                                     "the daemon is busy with others; try again\n"))

    def _advance(self, one: _Client) -> Optional[Request]:
        """Do what a client is ready for; may raise OSError, which ends the client."""
        if one.state == _WRITING:
            self._send(one)
            return None
        if one.state == _WAITING:       # Nothing is asked of it: it hung up.
            self._lose(one)
            return None
        data = one.connection.recv(ctlformat.REQUEST_MAX + 1 - len(one.received))
        one.received += data
        line, end, _ = one.received.partition(b"\n")
        if not end and data and len(one.received) <= ctlformat.REQUEST_MAX:
            return None
        if not one.received:
            self._drop(one)             # Came and went: a look whether somebody listens.
            return None
        try:
            verb, arguments = ctlformat.decode_request(line + end)
        except Malformed as error:
            self._note("malformed", one, str(error))
            self._answer(one, _malformed(one.received, error))
            return None
        self._enter(one, _WAITING)
        return Request(ticket=one.ticket, verb=verb, arguments=arguments, peer_uid=one.uid,
                       peer_pid=one.pid)

    def _answer(self, one: _Client, reply: Reply) -> None:
        """Send an answer, at once as far as it goes."""
        data = ctlformat.encode_reply(reply)
        if self._unsent + len(data) > UNSENT_MAX:
            self._refused["too-much"] += 1
            data = ctlformat.encode_reply(Reply(
                ExitCode.TRANSIENT_ERROR, "", "too many slow readers; try again\n"))
        one.unsent = memoryview(data)
        self._unsent += len(data)
        one.deadline_ms = self._clock_ms() + SLOW_MS
        self._send(one)
        if one.ticket in self._fd_of:
            self._enter(one, _WRITING)
            self._deadlines.append((one.deadline_ms, one.ticket))

    def _send(self, one: _Client) -> None:
        """Send what the socket takes; close it once it took everything."""
        try:
            sent = one.connection.send(one.unsent, socket.MSG_NOSIGNAL)
        except BlockingIOError:
            return
        one.unsent = one.unsent[sent:]
        self._unsent -= sent
        if not one.unsent:
            self._drop(one)

    def _enter(self, one: _Client, state: int) -> None:
        assert self._epoll is not None
        one.state = state
        self._epoll.modify(one.connection.fileno(), _EVENTS[state])

    def _lose(self, one: _Client) -> None:
        """A client vanished."""
        if one.state == _WAITING:
            self._gone.append(one.ticket)
        self._drop(one)

    def _drop(self, one: _Client) -> None:
        """Forget a client.

        Closing alone would not take it out of the epoll while a forked child has it too.
        """
        fd = self._fd_of.pop(one.ticket, -1)
        if fd < 0:
            return
        del self._clients[fd]
        if self._epoll is not None:
            self._epoll.unregister(fd)
        self._unsent -= len(one.unsent)
        one.unsent = memoryview(b"")
        one.connection.close()

    def _note(self, cause: str, one: _Client, text: str) -> None:
        """Count a refusal, and have the first few between two looks logged."""
        self._refused[cause] += 1
        if len(self._notes) < 4:
            self._notes.append(actions.log("request-refused", reason="{} (process {}, user {})"
                                           .format(text, one.pid, one.uid)))


def _malformed(received: bytes, error: Malformed) -> Reply:
    """The refusal of what cannot be understood."""
    if received.startswith(b"xha/") and not received.startswith(ctlformat.GREETING):
        return Reply(ExitCode.INVALID_ENVIRONMENT, "", "the daemon is of another version than "
                     "this command: request {}\n".format(error))
    return Reply(ExitCode.INVALID_PARAMETER, "", "malformed request: {}\n".format(error))


def _send_last(connection: socket.socket, reply: Reply) -> None:
    """Answer a client that is not taken in; the few bytes fit any socket's buffer."""
    try:
        connection.setblocking(False)
        connection.send(ctlformat.encode_reply(reply), socket.MSG_NOSIGNAL)
    except OSError:
        pass
    finally:
        connection.close()
