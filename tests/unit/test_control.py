"""The control socket, both ends, on real sockets: nobody delays or breaks anybody."""
import errno
import os
import resource
import select
import socket
import stat
import struct
import sys
import threading
import time

import pytest

from xha import client, control, ctlformat, errors, listener
from xha.control import ControlServer, Request
from xha.errors import ExitCode, XhaError
from xha.paths import Paths

PID = b"xha/1\tpid\n"
LATE_S = 20.0       # No test waits this long unless it fails.


class Clock:
    """A monotonic clock that the test moves."""

    def __init__(self):
        self.now_ms = 1000

    def __call__(self):
        return self.now_ms


@pytest.fixture
def place(tmp_path):
    """Paths short enough for a socket, in a directory of the test's own."""
    link = "/tmp/xha-test-{}".format(os.getpid())
    os.symlink(str(tmp_path), link)
    yield Paths(run_dir=link + "/run")
    os.unlink(link)


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def server(place, clock):
    made = ControlServer(place, clock)
    made.open()
    yield made
    made.close()


def connected(place):
    """A client's end, connected."""
    end = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    end.settimeout(LATE_S)
    end.connect(place.socket)
    return end


def served(server, wanted=1, turns=1000):
    """Requests that the server takes, turning its loop as the daemon does."""
    requests = []
    poll = select.poll()
    poll.register(server.fileno(), select.POLLIN)
    for _ in range(turns):
        if len(requests) >= wanted or not poll.poll(2000):
            break
        requests += server.serve()
    return requests


def turned(server):
    """Let the server do all that is ready now; what it takes."""
    requests = []
    poll = select.poll()
    poll.register(server.fileno(), select.POLLIN)
    while poll.poll(0):
        requests += server.serve()
    return requests


def rest_of(end):
    """All that a client's end is sent."""
    data = b""
    while True:
        part = end.recv(65536)
        if not part:
            return data
        data += part


def said_to(end):
    return ctlformat.decode_reply(rest_of(end))


class Daemon(threading.Thread):
    """A loop that serves a control socket, as the daemon's does."""

    def __init__(self, place, answer):
        super().__init__(daemon=True)
        self.server = ControlServer(place, lambda: int(time.monotonic() * 1000))
        self.server.open()
        self.answer = answer
        self.ended = False
        self.longest_ms = 0
        self.start()

    def run(self):
        poll = select.poll()
        poll.register(self.server.fileno(), select.POLLIN)
        while not self.ended:
            ready = poll.poll(20)
            began = time.monotonic()
            if ready:
                for request in self.server.serve():
                    self.server.reply(request.ticket, *self.answer(request))
            self.server.expire(int(time.monotonic() * 1000))
            self.longest_ms = max(self.longest_ms, int((time.monotonic() - began) * 1000))
        self.server.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.ended = True
        self.join(LATE_S)


# One request, one reply

def test_a_request_is_taken_and_its_reply_given(server, place):
    end = connected(place)
    end.sendall(b"xha/1\tquery\txml\t1\n")
    request, = served(server)
    assert request == Request(ticket=request.ticket, verb="query", arguments=("xml", "1"),
                              peer_uid=os.geteuid(), peer_pid=os.getpid())
    assert request.query_resets
    server.reply(request.ticket, ExitCode.SUCCESS, "<xml/>\n", "")
    assert rest_of(end) == b"xha/1\t0\t7\t0\n<xml/>\n"


def test_a_request_that_comes_byte_by_byte_is_taken_once_it_is_whole(server, place):
    end = connected(place)
    for byte in PID[:-1]:
        end.sendall(bytes([byte]))
        assert turned(server) == []
    end.sendall(PID[-1:])
    request, = served(server)
    assert (request.verb, request.query_resets) == ("pid", False)


def test_only_one_request_is_taken_of_a_connection(server, place):
    end = connected(place)
    end.sendall(PID)
    request, = served(server)
    end.sendall(PID)
    assert turned(server) == []
    server.reply(request.ticket, 0, "1\n")
    assert said_to_or_reset(end) == "1\n"


def said_to_or_reset(end):
    """The reply's text, which arrives even where the rest of the connection is cut off."""
    return ctlformat.decode_reply(end.recv(65536)).out


def test_a_reply_to_nobody_and_a_second_reply_do_nothing(server, place):
    server.reply(99, 0, "x\n")
    end = connected(place)
    end.sendall(PID)
    request, = served(server)
    server.reply(request.ticket, 0, "1\n")
    server.reply(request.ticket, 0, "2\n")
    assert said_to(end).out == "1\n"


def test_a_long_reply_arrives_whole_at_a_client_that_reads_slowly(server, place):
    end = connected(place)
    end.sendall(b"xha/1\tquery\txml\t0\n")
    request, = served(server)
    text = "0123456789abcde\n" * 65536
    server.reply(request.ticket, 0, text)
    data = b""
    while True:
        part = end.recv(10000)
        if not part:
            break
        data += part
        turned(server)
    assert ctlformat.decode_reply(data).out == text


def test_a_reply_survives_the_end_of_the_daemon(server, place):
    end = connected(place)
    end.sendall(PID)
    request, = served(server)
    server.reply(request.ticket, 0, "1\n")
    server.close()
    assert said_to(end).out == "1\n"


# Bad clients

MALFORMED = [
    (b"xha/1\tfence-everybody\n",   ExitCode.INVALID_PARAMETER,   "unknown verb"),
    (b"\n",                         ExitCode.INVALID_PARAMETER,   "an empty line"),
    (b"\x00\x00\x00\x01\x00\x00",   ExitCode.INVALID_PARAMETER,   "the original's header alone"),
    (b"xha/1\tquery",               ExitCode.INVALID_PARAMETER,   "a request without its end"),
    (b"xha/7\tpid\n",               ExitCode.INVALID_ENVIRONMENT, "a version to come"),
    (b"\xff" * 5000,                ExitCode.INVALID_PARAMETER,   "more than 4 KiB"),
    (b"\xff" * 1000000,             ExitCode.INVALID_PARAMETER,   "a megabyte"),
]


@pytest.mark.parametrize("data, code, why", MALFORMED, ids=[row[-1] for row in MALFORMED])
def test_a_malformed_request_is_refused_and_counted(server, place, data, code, why):
    end = connected(place)
    end.setblocking(False)
    try:
        end.sendall(data)
    except OSError:
        pass
    end.settimeout(LATE_S)
    end.shutdown(socket.SHUT_WR)
    assert turned(server) == []
    reply = ctlformat.decode_reply(end.recv(65536))
    assert reply.code == code
    assert reply.err.count("\n") == 1
    assert server.refusals() == {"malformed": 1}
    note, = server.notes()
    assert note.name == "request-refused"


def test_a_client_that_comes_and_goes_is_no_malformed_request(server, place):
    connected(place).close()
    assert turned(server) == []
    assert server.refusals() == {}


def test_a_silent_client_is_dropped_after_5_s_and_not_before(server, place, clock):
    end = connected(place)
    turned(server)
    clock.now_ms += 4999
    server.expire(clock.now_ms)
    end.setblocking(False)
    with pytest.raises(BlockingIOError):
        end.recv(1)
    clock.now_ms += 1
    server.expire(clock.now_ms)
    assert end.recv(1) == b""
    assert server.refusals() == {"slow": 1}


def test_bytes_that_trickle_in_do_not_move_the_deadline(server, place, clock):
    end = connected(place)
    for byte in PID[:5]:
        end.sendall(bytes([byte]))
        turned(server)
        clock.now_ms += 1000
        server.expire(clock.now_ms)
    end.setblocking(False)
    assert end.recv(1) == b""


def test_a_client_that_waits_for_its_answer_is_not_dropped(server, place, clock):
    end = connected(place)
    end.sendall(PID)
    request, = served(server)
    clock.now_ms += 3600000
    server.expire(clock.now_ms)
    server.reply(request.ticket, 0, "1\n")
    assert said_to(end).out == "1\n"


def test_a_client_that_does_not_take_its_answer_is_dropped_after_5_s(server, place, clock):
    end = connected(place)
    end.sendall(b"xha/1\tquery\txml\t0\n")
    request, = served(server)
    clock.now_ms += 60000
    server.reply(request.ticket, 0, "x" * 4000000)
    clock.now_ms += 4999
    server.expire(clock.now_ms)
    assert server.refusals() == {}
    clock.now_ms += 1
    server.expire(clock.now_ms)
    assert server.refusals() == {"slow-to-take-answer": 1}
    assert len(rest_of(end)) < 4000000


def test_a_client_that_vanishes_while_it_waits_is_reported_once(server, place):
    end = connected(place)
    end.sendall(PID)
    request, = served(server)
    assert server.gone() == []
    end.close()
    turned(server)
    assert server.gone() == [request.ticket]
    assert server.gone() == []
    server.reply(request.ticket, 0, "1\n")


def test_a_client_that_says_it_will_send_no_more_still_gets_its_answer(server, place):
    end = connected(place)
    end.sendall(PID)
    end.shutdown(socket.SHUT_WR)
    request, = served(server)
    turned(server)
    assert server.gone() == []
    server.reply(request.ticket, 0, "1\n")
    assert said_to(end).out == "1\n"


def test_a_client_killed_in_the_middle_of_its_request_is_forgotten(server, place):
    end = connected(place)
    end.sendall(b"xha/1\tpi")
    end.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    end.close()
    assert turned(server) == []
    assert server.gone() == []


def test_answers_nobody_takes_are_bounded_in_all(server, place):
    ends = [connected(place) for _ in range(6)]
    for end in ends:
        end.sendall(b"xha/1\tquery\txml\t0\n")
    for request in served(server, 6):
        server.reply(request.ticket, 0, "x" * (4 << 20))
    codes = [end.recv(7) for end in ends]
    assert codes == [b"xha/1\t0"] * 4 + [b"xha/1\t3"] * 2
    assert server.refusals() == {"too-much": 2}


# Many clients

def test_1000_clients_at_once_are_all_answered(place):
    listener.room_for(2500, 0)      # Both ends are in this process.
    with Daemon(place, lambda request: (0, "42\n", "")) as daemon:
        ends = []
        for _ in range(1000):
            end = connected(place)
            ends.append(end)
        for end in ends:
            end.sendall(PID)
        assert {rest_of(end) for end in ends} == {b"xha/1\t0\t3\t0\n42\n"}
        for end in ends:
            end.close()
        assert daemon.longest_ms < 1000


def test_silent_clients_do_not_delay_another(place):
    with Daemon(place, lambda request: (0, "42\n", "")):
        silent = [connected(place) for _ in range(500)]
        began = time.monotonic()
        assert client.call(place, "pid").out == "42\n"
        assert time.monotonic() - began < 2.0
        for end in silent:
            end.close()


def test_a_turn_does_a_bounded_amount_of_work(server, place):
    ends = [connected(place) for _ in range(100)]
    assert server.serve() == []
    for end in ends:
        end.sendall(PID)
    taken = [len(server.serve()) for _ in range(12)]
    assert max(taken) <= control.WORK_PER_TURN
    assert sum(taken) == 100


def test_one_client_too_many_is_refused_with_3(place, clock, monkeypatch):
    monkeypatch.setattr(control, "CLIENTS_MAX", 10)
    server = ControlServer(place, clock)
    server.open()
    try:
        ends = [connected(place) for _ in range(11)]
        turned(server)
        for end in ends[:10]:
            end.sendall(PID)
        assert len(served(server, 10)) == 10
        assert said_to(ends[10]).code == ExitCode.TRANSIENT_ERROR
        assert server.refusals() == {"too-many": 1}
    finally:
        server.close()


def test_a_process_without_descriptors_refuses_with_3_and_does_not_spin(server, place, clock):
    ends = [connected(place) for _ in range(3)]
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    first_free = os.dup(0)
    os.close(first_free)
    resource.setrlimit(resource.RLIMIT_NOFILE, (first_free + 1, hard))
    try:
        turned(server)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    ends[0].sendall(PID)
    assert len(served(server)) == 1
    assert [said_to(end).code for end in ends[1:]] == [ExitCode.TRANSIENT_ERROR] * 2
    assert server.refusals() == {"no-descriptor": 2}


def test_without_even_a_spare_descriptor_listening_pauses_and_the_loop_rests(
        server, place, clock):
    """However often the loop turns meanwhile: each turn ends with ``expire``, as the daemon's."""
    server._spare.give()
    end = connected(place)
    first_free = os.dup(0)
    os.close(first_free)
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (first_free, hard))
    try:
        for _ in range(3):
            assert turned(server) == []     # Would not end if the listener stayed readable.
            server.expire(clock.now_ms)
        clock.now_ms += control.PAUSE_MS - 1
        server.expire(clock.now_ms)
        assert not select.select([server.fileno()], [], [], 0)[0]
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    clock.now_ms += 1
    server.expire(clock.now_ms)
    end.sendall(PID)
    request, = served(server)
    server.reply(request.ticket, 0, "1\n")
    assert said_to(end).out == "1\n"
    assert server._spare.give(), "the next time there is a spare one again"


def test_a_kernel_without_memory_for_a_client_pauses_listening_too(
        server, place, clock, monkeypatch):
    """ENOMEM says nothing of descriptors, and the client still waits in the listener."""
    class Starved:
        """A listener whose kernel has no memory for another socket."""

        @staticmethod
        def accept():
            raise OSError(errno.ENOMEM, "Cannot allocate memory")

        @staticmethod
        def fileno():
            return listening.fileno()
    end = connected(place)
    listening = server._listener
    monkeypatch.setattr(server, "_listener", Starved)
    assert turned(server) == []             # Would not end either.
    monkeypatch.setattr(server, "_listener", listening)
    server.expire(clock.now_ms)
    assert turned(server) == []
    clock.now_ms += control.PAUSE_MS
    server.expire(clock.now_ms)
    end.sendall(PID)
    assert len(served(server)) == 1


def test_a_client_that_a_forked_child_still_holds_does_not_keep_the_loop_busy(server, place):
    end = connected(place)
    turned(server)
    ready, awaited = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(awaited)
        os.read(ready, 1)       # Ends when the test does.
        os._exit(0)
    os.close(ready)
    try:
        end.close()
        turned(server)          # Would not end if the closed client stayed in the epoll.
    finally:
        os.close(awaited)
        os.waitpid(child, 0)


def test_a_low_soft_limit_of_descriptors_is_raised(place, clock):
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (256, hard))
    try:
        assert listener.room_for(1200, 128) == 1200
        assert resource.getrlimit(resource.RLIMIT_NOFILE)[0] == 1328
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


# Who may ask

def test_a_client_of_another_user_is_refused_with_16(server, place, monkeypatch):
    if os.geteuid() == 0:
        os.chmod(place.run_dir, 0o755)
        os.chmod(place.socket, 0o666)
        become = 65534
    else:               # Only root can become somebody else; so the daemon's user is another.
        become = -1
        monkeypatch.setattr(os, "geteuid", lambda: 4000000000)
    data = turned_for_child(server, place, become)
    assert ctlformat.decode_reply(data).code == ExitCode.INVALID_ENVIRONMENT
    assert server.refusals() == {"other-user": 1}
    note, = server.notes()
    assert "user" in dict(note.fields)["reason"]


def turned_for_child(server, place, become):
    """What a child is told that asks for disarming as the user ``become``."""
    told, tells = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            os.chdir(place.run_dir)
            if become >= 0:
                os.setgid(become)
                os.setuid(become)
            end = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            end.connect("control")
            try:
                end.sendall(b"xha/1\tdisarm-fencing\n")
            except OSError:
                pass
            os.write(tells, end.recv(65536))
        finally:
            os._exit(0)
    os.close(tells)
    poll = select.poll()
    poll.register(server.fileno(), select.POLLIN)
    poll.register(told, select.POLLIN)
    data = None
    while data is None:
        for fd, _ in poll.poll(int(LATE_S * 1000)):
            if fd == told:
                data = os.read(told, 65536)
            else:
                assert server.serve() == []
    os.close(told)
    os.waitpid(child, 0)
    return data


# The place

def test_socket_and_directory_are_for_their_owner_alone(server, place):
    assert stat.S_IMODE(os.stat(place.socket).st_mode) == 0o600
    assert stat.S_IMODE(os.stat(place.run_dir).st_mode) == 0o700


def test_the_socket_of_a_dead_daemon_is_replaced(place, clock):
    os.mkdir(place.run_dir)
    dead = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    dead.bind(place.socket)
    dead.listen(1)
    dead.close()
    server = ControlServer(place, clock)
    server.open()
    end = connected(place)
    end.sendall(PID)
    assert len(served(server)) == 1
    server.close()
    assert not os.path.exists(place.socket)
    assert os.listdir(place.run_dir) == []


def test_a_left_over_of_an_interrupted_start_is_no_hindrance(place, clock):
    os.mkdir(place.run_dir)
    open(place.socket + ".new", "w").close()
    server = ControlServer(place, clock)
    server.open()
    server.close()


def test_a_daemon_that_lives_keeps_its_place(server, place, clock):
    with pytest.raises(XhaError) as refusal:
        ControlServer(place, clock).open()
    assert refusal.value.code == ExitCode.DAEMON_PRESENT
    end = connected(place)
    end.sendall(PID)
    requests = [one for one in turned(server) if one.verb == "pid"]
    assert len(requests) == 1


def test_a_file_in_the_place_of_the_socket_is_left_alone(place, clock):
    os.mkdir(place.run_dir)
    with open(place.socket, "w") as precious:
        precious.write("do not delete")
    with pytest.raises(XhaError) as refusal:
        ControlServer(place, clock).open()
    assert refusal.value.code == ExitCode.INVALID_ENVIRONMENT
    assert open(place.socket).read() == "do not delete"


def test_a_directory_of_another_user_is_refused(place, clock, monkeypatch):
    os.mkdir(place.run_dir)
    if os.geteuid() == 0:
        os.chown(place.run_dir, 65534, 65534)
    else:
        monkeypatch.setattr(os, "geteuid", lambda: 4000000000)
    with pytest.raises(XhaError) as refusal:
        ControlServer(place, clock).open()
    assert refusal.value.code == ExitCode.INVALID_ENVIRONMENT


def test_too_long_a_name_is_refused_with_its_limit(tmp_path, clock):
    with pytest.raises(XhaError) as refusal:
        ControlServer(Paths(run_dir=str(tmp_path / ("d" * 120))), clock).open()
    assert refusal.value.code == ExitCode.INVALID_ENVIRONMENT
    assert "107" in str(refusal.value)


def test_the_socket_of_a_later_daemon_is_not_removed(place, clock):
    server = ControlServer(place, clock)
    server.open()
    os.unlink(place.socket)
    later = ControlServer(place, clock)
    later.open()
    server.close()
    assert os.path.exists(place.socket)
    later.close()


# The commands' end

def test_the_numbers_of_the_client_are_the_exit_codes():
    for name in ("SYSTEM_ERROR", "TRANSIENT_ERROR", "DAEMON_NOT_PRESENT", "INVALID_ENVIRONMENT"):
        assert getattr(client, name) == getattr(errors.ExitCode, name)


def test_without_a_daemon_a_command_ends_with_14(place):
    reply = client.call(place, "pid")
    assert (reply.code, reply.out) == (14, "")
    assert place.socket in reply.err
    assert not client.daemon_answers(place)


def test_with_a_dead_daemons_socket_a_command_ends_with_14(place):
    os.mkdir(place.run_dir)
    dead = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    dead.bind(place.socket)
    dead.close()
    assert client.call(place, "pid").code == 14
    assert not client.daemon_answers(place)


def test_a_daemon_that_does_not_answer_in_time_is_3_and_present(server, place):
    reply = client.call(place, "pid", timeout_s=0.05)
    assert reply.code == 3
    assert reply.err == "the daemon did not answer within 0.05 s\n"


def test_a_daemon_whose_queue_is_full_is_waited_for_and_then_3(place):
    os.mkdir(place.run_dir)
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as deaf:
        deaf.bind(place.socket)
        deaf.listen(0)
        ends = []
        while True:
            end = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            end.setblocking(False)
            ends.append(end)
            if end.connect_ex(place.socket):
                break
        began = time.monotonic()
        assert client.call(place, "pid", timeout_s=0.1).code == 3
        assert time.monotonic() - began >= 0.1
        for end in ends:
            end.close()


BROKEN_SERVERS = [
    (b"",                           14, "it ends without a word"),
    (b"xha/1\t0\t5",                14, "it ends in the middle of its line"),
    (b"xha/1\t0\t5\t0\nTR",         14, "it ends in the middle of its text"),
    (b"xha/9\t0\t0\t0\n",            2, "it is of another version"),
    (b"HTTP/1.1 400 No\r\n\r\n",     2, "it is something else"),
    (b"xha/1\t0\t1\t0\nxyz",         2, "it says more than it announced"),
]


@pytest.mark.parametrize("said, code, why", BROKEN_SERVERS, ids=[row[-1] for row in BROKEN_SERVERS])
def test_whatever_answers_a_command_ends_with_a_code_and_one_line(place, said, code, why):
    os.mkdir(place.run_dir)
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as other:
        other.bind(place.socket)
        other.listen(1)

        def answer():
            end, _ = other.accept()
            end.sendall(said)
            end.close()     # With the request unread, which resets the connection.
        thread = threading.Thread(target=answer)
        thread.start()
        reply = client.call(place, "pid", timeout_s=LATE_S)
        thread.join()
    assert reply.code == code
    assert reply.err.count("\n") == 1


def test_the_refusal_of_an_unread_request_reaches_the_command(place):
    with Daemon(place, lambda request: (17, "", "not online\n")):
        reply = client.call(place, "propose-master")
    assert (reply.code, reply.err) == (17, "not online\n")


def test_the_commands_end_imports_nothing_slow(tmp_path):
    """Hot commands are bounded by what they import."""
    program = ("import sys; sys.path.insert(0, {!r}); before = set(sys.modules); "
               "import xha.client, xha.paths; "
               "print(' '.join(sorted(set(sys.modules) - before)))")
    os.symlink(os.path.dirname(client.__file__), str(tmp_path / "xha"))
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        os.dup2(write, 1)
        os.execv(sys.executable, [sys.executable, "-IS", "-c", program.format(str(tmp_path))])
    os.close(write)
    os.waitpid(child, 0)
    loaded = os.read(read, 65536).decode().split()
    os.close(read)
    slow = {"typing", "enum", "re", "json", "socket", "selectors", "collections", "functools",
            "struct", "subprocess", "logging", "docopt"}
    assert "xha.client" in loaded
    assert not slow & set(loaded)
