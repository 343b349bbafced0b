"""The commands xapi runs: their codes, and callers who abuse the control socket."""

import json
import os
import socket
import struct
import time

import pytest

from rig import view
from rig.stateformat import ACTIVE, INIT, pool_state


@pytest.fixture
def online(pool_of):
    """A pool of one host, online."""
    pool = pool_of(1)
    pool.form()
    return pool


def test_start_query_and_stop_as_xapi_does(pool_of):
    pool = pool_of(1)
    host = pool.hosts[0]
    for command in ("query-liveset", "propose-master", "disarm-fencing", "host-state", "pid"):
        assert host.command(command).code == 14, command
    assert host.command("stop-daemon").code == 0
    pool.initialise()
    assert pool_state(pool.disk.peek(0)) == INIT
    started = host.command("start-daemon", "--config=" + host.config)
    assert started.code == 0, started
    assert host.command("host-state").out.strip() == "Online"
    assert host.command("start-daemon", "--config=" + host.config).code == 15
    assert host.command("write-statefile", "init", "--config=" + host.config).code == 15
    assert view.parse(host.must("query-liveset").out).live == (0,)
    pid = int(host.must("pid").out)
    # The pid is one of the pool's own namespace: look from inside.
    comm = host.door.must("cat", "/proc/{}/comm".format(pid)).out.strip()
    assert comm == "xhad"
    host.must("disarm-fencing")
    assert host.command("stop-daemon").code == 0
    assert host.command("query-liveset").code == 14


def test_a_start_that_fails_gives_the_daemons_code(pool_of):
    pool = pool_of(1)
    host = pool.hosts[0]
    result = host.command("start-daemon", "--config=" + host.config)
    assert result.code in (8, 9)
    assert len(result.err.strip().splitlines()) == 1
    assert host.command("start-daemon", "--config=/nowhere/xhad.conf").code == 6


def test_a_pool_state_that_is_none_is_refused(online):
    host = online.hosts[0]
    before = online.disk.peek(0)
    for words in (["set-pool-state", "77"], ["write-statefile", "77"],
                  ["set-pool-state", "none"], ["set-pool-state"]):
        result = host.command(*(words + ["--config=" + host.config]))
        assert result.code == 1, (words, result)
    assert host.running
    assert online.disk.peek(0)[:104] == before[:104]


def test_the_names_of_the_original_work(online):
    host = online.hosts[0]
    assert view.parse(host.must("calldaemon", "query_liveset").out).live == (0,)
    assert view.parse(host.must("ha_query_liveset").out).live == (0,)
    assert host.must("calldaemon", "propose_master").out.strip() == "TRUE"
    assert host.must("calldaemon", "gethoststate").out.strip() == "Online"
    assert json.loads(host.must("calldaemon", "dumpcom").out)["status"] == "online"


#: request, why
ABUSES = [
    (b"", "nothing at all, then the end"),
    (b"xha/1\tset-pool-state\n", "a verb without its argument"),
    (b"xha/1\tset-pool-state", "a request without its end"),
    (b"xha/1\tset-pool-state\tinvalid\textra\n", "one argument too many"),
    (b"xha/9\tdisarm-fencing\n", "a version of the protocol that nobody speaks"),
    (b"xha/1\tformat-all-disks\n", "an unknown verb"),
    (struct.pack("<IIII", 0xfafbfcfd, 0, 4, 8), "the original's protocol, without its body"),
    (b"\xff\x00" * 5000, "binary, and too long"),
    (b"xha/1\t" + b"x" * 1000000 + b"\n", "a million bytes"),
    (b"GET / HTTP/1.1\r\n\r\n", "another protocol"),
]


def test_malformed_requests_are_refused_without_effect(online):
    host = online.hosts[0]
    for request, why in ABUSES:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as client:
            client.settimeout(8)
            client.connect(host.control)
            try:
                client.sendall(request)
                client.shutdown(socket.SHUT_WR)
                answer = client.recv(65536)
            except (BrokenPipeError, ConnectionResetError):
                answer = b""
            assert not answer.startswith(b"xha/1\t0\t"), why
        assert host.running, why
    assert host.view.live == (0,)
    time.sleep(3)
    assert host.running and host.view.live == (0,)
    assert pool_state(online.disk.peek(0)) == ACTIVE


#: What a user who is not root tries.
ASK = (
    "import socket\n"
    "client = socket.socket(socket.AF_UNIX)\n"
    "client.settimeout(5)\n"
    "try:\n"
    "    client.connect('/run/xha/control')\n"
    "    client.sendall(b'xha/1\\tdisarm-fencing\\n')\n"
    "    print(client.recv(100))\n"
    "except OSError as error:\n"
    "    print(error)\n")
NOBODY = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"]


def test_nobody_may_not_ask(online):
    """Refused by the socket's mode, and, when that is opened wide, by who connects."""
    host = online.hosts[0]
    for folder in (online.folder, host.folder, host.path("/run/"), host.path("/run/xha")):
        os.chmod(folder, 0o755)
    assert "Permission denied" in host.door.must(*NOBODY, "/usr/bin/python3", "-c", ASK).out
    os.chmod(host.control, 0o666)
    answer = host.door.must(*NOBODY, "/usr/bin/python3", "-c", ASK).out
    assert "xha/1\\t0\\t" not in answer, answer
    assert host.view.live == (0,)
    assert host.must("propose-master").out.strip() == "TRUE", "still armed, still online"


def test_silent_clients_delay_nobody(online, measured):
    """In the original each delays the next caller by Wh."""
    host = online.hosts[0]
    clients = []
    try:
        for _ in range(1000):
            client = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            client.settimeout(5)
            clients.append(client)
            client.connect(host.control)
            if len(clients) % 2:
                client.sendall(b"xha/1\tquery")     # half of them begin, and then say nothing
        before = time.monotonic()
        answered = 0
        for _ in range(10):
            result = host.command("query-liveset")
            assert result.code in (0, 3), result
            assert result.ended_at - result.began_at < 5
            answered += result.code == 0
        measured("a query among 1000 silent clients", (time.monotonic() - before) / 10)
        assert answered > 0
        time.sleep(3)
        assert host.running
    finally:
        for client in clients:
            client.close()
    online.wait([0], lambda seen: seen.live == (0,), 10, "all is as before")
