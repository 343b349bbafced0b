"""Attackers on a host's control socket, and what they must not be able to change.

Each attacker is a function of the socket's path that gives its connections, open, as it left
them; it does in one go all that it can, and never waits for an answer.  ``Undisturbed`` looks at
a pool from all sides while something is done to it.
"""

import errno
import os
import resource
import socket
import struct
import time
from typing import Any, Dict, List, Sequence

from rig import view
from rig.messages import names

#: What a daemon says when somebody was missed, or something was decided.
DISTURBED = {"fh-started", "watchdog-expired", "hb-domain-changed", "sf-domain-changed",
             "statefile-lost", "thread-died", "liveset-changed", "self-fencing",
             "fencing-disarmed", "terminated"}

#: And when it was late itself; or the machine was: it stood still for longer than this, s.
LATE, STILL_S = {"gap-noticed", "watchdog-expiring"}, 1.0

BIG_QUERY = b"xha/1\tquery\txml\t0\n"


def allow_many() -> None:
    """A thousand connections of this process's own."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != resource.RLIM_INFINITY and soft < 4096:
        resource.setrlimit(resource.RLIMIT_NOFILE, (
            4096 if hard == resource.RLIM_INFINITY else min(4096, hard), hard))


def connect(path: str) -> socket.socket:
    """A connection that never waits; one that finds the queue full stays unconnected."""
    made = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    made.setblocking(False)
    try:
        made.connect(path)
    except BlockingIOError:
        pass
    return made


def tell(connection: socket.socket, data: bytes) -> bool:
    """Send what the other side takes now; whether it takes anything."""
    try:
        connection.send(data, socket.MSG_NOSIGNAL)
        return True
    except OSError as error:
        assert error.errno in (errno.EAGAIN, errno.EPIPE, errno.ECONNRESET, errno.ENOTCONN), error
        return False


def reset(connection: socket.socket) -> None:
    """Close it at once, whatever is on its way."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    connection.close()


class Crowd:
    """Many clients of one control socket, of every bad kind, who come back when dropped."""

    #: What the kinds say at first, and then at each ``go_on``.
    KINDS = (
        (b"", b""),                                     # silent
        (b"", b"x"),                                    # a byte at a time
        (b"xha/1\tquery", b""),                         # begins, and says no more
        (b"x" * 5000, b"x" * 5000),                     # a line without an end
        (BIG_QUERY, b""),                               # asks, and never takes its answer
        (b"xha/1\t" + b"9" * 3000 + b"\n", b"\n"),      # a huge word
        (b"\0\xff" * 2000, b"\0"),                      # no text at all
    )

    def __init__(self, path: str, size: int) -> None:
        """Nobody is there yet."""
        self._path = path
        self._members = [None] * size  # type: List[Any]
        #: How many came.
        self.came = 0

    def go_on(self) -> None:
        """Everybody does the next thing, or comes again."""
        for number, member in enumerate(self._members):
            first, then = self.KINDS[number % len(self.KINDS)]
            if member is None:
                member = self._members[number] = connect(self._path)
                self.came += 1
                alive = not first or tell(member, first)
            else:
                alive = self._is_open(member) and (not then or tell(member, then))
            if not alive:
                member.close()
                self._members[number] = None

    @staticmethod
    def _is_open(member: socket.socket) -> bool:
        """Whether the daemon has not dropped it; what it says is not taken."""
        try:
            return bool(member.recv(1, socket.MSG_PEEK))
        except OSError as error:
            return error.errno == errno.EAGAIN

    def close(self) -> None:
        """All go at once, in the middle of whatever it is."""
        for member in self._members:
            if member is not None:
                reset(member)
        self._members = []


def frames() -> List[bytes]:
    """Every frame that is nearly one: cut off after each byte, each byte wrong, fields missing."""
    found = []
    for good in (b"xha/1\tdisarm-fencing\n", b"xha/1\tset-pool-state\tinvalid\n",
                 b"xha/1\tset-excluded\t1\n", b"xha/1\tfault\tset\tdaemon.crash\n"):
        found += [good[:end] for end in range(len(good))]
        for at in range(len(good)):
            for wrong in (0, 0x7f, 0xff, good[at] ^ 1):
                found.append(good[:at] + bytes([wrong]) + good[at + 1:])
        words = good[:-1].split(b"\t")
        for at in range(len(words)):
            found.append(b"\t".join(words[:at] + [b""] + words[at + 1:]) + b"\n")
            found.append(b"\t".join(words[:at] + [words[at]] + words[at:]) + b"\n")
    found.remove(b"xha/1\tset-excluded\t0\n")      # That is right again, of all.
    return found


def answers_to(path: str, requests: Sequence[bytes]) -> Dict[bytes, bytes]:
    """What each request is answered, whose sender says no more and waits; b"" for none."""
    answers = {}
    for request in requests:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as client:
            client.settimeout(8)
            try:
                client.connect(path)
                client.sendall(request)
                client.shutdown(socket.SHUT_WR)
                answers[request] = client.recv(4096)
            except (BrokenPipeError, ConnectionResetError):
                answers[request] = b""
    return answers


class Undisturbed:
    """A formed pool, of which nothing may change: ``look`` while it is attacked, then ``end``."""

    def __init__(self, pool: Any) -> None:
        """What it is like before."""
        self._pool = pool
        self._everybody = tuple(range(len(pool.hosts)))
        self._watches = [host.watch for host in pool.hosts]
        time.sleep(0.5)
        self._before = [len(watch.changes) for watch in self._watches]
        self._said = [len(host.log()) for host in pool.hosts]
        #: Of the hosts that are asked: answers, and refusals with 3.
        self.answered = self.refused = 0

    def look(self, ask: Sequence[int] = ()) -> None:
        """Everybody lives; a polite client of these hosts is answered, or refused with 3."""
        for host in self._pool.hosts:
            assert host.running, host.log()
        for index in ask:
            answer = view.converse(self._pool.hosts[index].control, BIG_QUERY, 5.0)
            if answer.startswith(b"xha/1\t3\t"):
                self.refused += 1
                continue
            assert answer.startswith(b"xha/1\t0\t"), answer[:80]
            self.answered += 1

    def end(self) -> None:
        """Nobody was missed, or late, or has changed his mind; all are armed still."""
        for host, watch, before, said in zip(
                self._pool.hosts, self._watches, self._before, self._said):
            assert host.running, host.log()
            changes = [change for change in watch.changes[before:]
                       if change[1].status == "Online"]
            assert all(change[1].live == self._everybody and not change[1].sr2
                       for change in changes), changes
            bad = DISTURBED | (LATE if self._pool.stalled_s < STILL_S else set())
            assert not bad & set(names(host.log()[said:])), host.log()[said:]
            assert b'"fencing": "armed"' in view.converse(
                host.control, b"xha/1\tquery\tjson\t0\n"), host.index


def open_files(pid: int) -> int:
    """How many descriptors a process has."""
    return len(os.listdir("/proc/{}/fd".format(pid)))
