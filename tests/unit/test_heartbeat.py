"""The heartbeat socket, on the loopback interface."""

import os
import select
import socket

import pytest

from xha import heartbeat
from xha.errors import ExitCode, XhaError
from xha.faultpoints import FaultPoints
from xha.heartbeat import HeartbeatSocket

IPV4 = ("127.0.0.1", "127.0.0.2", "127.0.0.3")
DATAGRAM = bytes(range(248)) * 3
PATIENCE_S = 30


def free_port(family=socket.AF_INET, address="127.0.0.1"):
    with socket.socket(family, socket.SOCK_DGRAM) as probe:
        probe.bind((address, 0))
        return probe.getsockname()[1]


class Pool:
    """Sockets of some hosts of a pool of three; a clock that counts."""

    def __init__(self, addresses=IPV4):
        self.addresses = addresses
        self.port = free_port(socket.AF_INET6 if ":" in addresses[0] else socket.AF_INET,
                              addresses[0])
        self.now_ms = 0
        self.sockets = []

    def clock_ms(self):
        self.now_ms += 1
        return self.now_ms

    def host(self, local, faults=None, interface="lo"):
        made = HeartbeatSocket(self.addresses, local, self.port, interface, self.clock_ms, faults)
        self.sockets.append(made)
        return made

    def peers(self, *indexes):
        return [(index, self.addresses[index]) for index in indexes]


@pytest.fixture
def pool():
    made = Pool()
    yield made
    for one in made.sockets:
        one.close()


def arrives(one):
    """The next datagram; None when none is there within no time at all."""
    return one.receive() if select.select([one], [], [], PATIENCE_S)[0] else None


def test_a_datagram_arrives_whole_with_its_source_and_the_time_of_receipt(pool):
    first, second = pool.host(0), pool.host(1)
    assert first.send(DATAGRAM, pool.peers(1)) == ()
    assert arrives(second) == (DATAGRAM, "127.0.0.1", 1)
    assert second.receive() is None


def test_nothing_waits_and_nothing_is_received(pool):
    assert pool.host(0).receive() is None


def test_one_peers_trouble_does_not_delay_the_others(pool):
    first, third = pool.host(0), pool.host(2)
    peers = [(1, "255.255.255.255"), (2, IPV4[2])]
    assert first.send(DATAGRAM, peers) == ((1, "Permission denied"),)
    assert arrives(third)[0] == DATAGRAM


def test_a_peer_that_does_not_listen_is_no_error(pool):
    first, third = pool.host(0), pool.host(2)
    for _ in range(3):
        assert first.send(DATAGRAM, pool.peers(1, 2)) == ()
        assert arrives(third)[0] == DATAGRAM
    assert first.receive() is None


@pytest.mark.parametrize("size", [0, 1, 743, 1400, 2048])
def test_any_length_is_handed_on_for_the_format_to_judge(pool, size):
    first, second = pool.host(0), pool.host(1)
    first.send(b"x" * size, pool.peers(1))
    assert len(arrives(second)[0]) == size


def test_an_oversized_datagram_is_cut_and_still_too_long_for_a_heartbeat(pool):
    first, second = pool.host(0), pool.host(1)
    first.send(b"x" * 9000, pool.peers(1))
    assert len(arrives(second)[0]) == 2048
    assert second.receive() is None


def test_a_stranger_is_heard_under_its_own_address(pool):
    second = pool.host(1)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as stranger:
        stranger.bind(("127.0.0.77", 0))
        stranger.sendto(DATAGRAM, (IPV4[1], pool.port))
    assert arrives(second)[:2] == (DATAGRAM, "127.0.0.77")


def test_dropped_to_a_peer_by_a_fault_point(pool):
    first = pool.host(0, FaultPoints(points=["heartbeat.send.drop=1"]))
    second, third = pool.host(1), pool.host(2)
    assert first.send(DATAGRAM, pool.peers(1, 2)) == ()
    assert arrives(third)[0] == DATAGRAM
    assert second.receive() is None


def test_dropped_from_a_peer_by_a_fault_point(pool):
    faults = FaultPoints(points=["heartbeat.receive.drop=1"])
    first, second, third = pool.host(0, faults), pool.host(1), pool.host(2)
    second.send(b"dropped", pool.peers(0))
    third.send(b"heard", pool.peers(0))
    assert arrives(first)[:2] == (b"heard", IPV4[2])
    faults.clear("all")
    second.send(b"heard again", pool.peers(0))
    assert arrives(first)[:2] == (b"heard again", IPV4[1])


REFUSED = [
    # addresses        port    interface  says                           why
    (IPV4,             None,   "lo",      "the port is in use",          "another daemon"),
    (("203.0.113.9",), 0,      "lo",      "does not have the address",   "a wrong address"),
    (IPV4,             0,      "nosuch0", "there is no such interface",  "a wrong interface"),
    (("fe80::1",),     0,      "nosuch0", "No such device",              "and with IPv6"),
]


@pytest.mark.parametrize("addresses, port, interface, says, why", REFUSED,
                         ids=[row[-1] for row in REFUSED])
def test_a_socket_that_cannot_be_bound_says_to_what_and_why(
        pool, addresses, port, interface, says, why):
    if port is None:
        pool.host(0)
        port = pool.port
    with pytest.raises(XhaError) as caught:
        HeartbeatSocket(addresses, 0, port, interface, pool.clock_ms)
    assert caught.value.code is ExitCode.SYSTEM_ERROR
    text = str(caught.value)
    assert says in text or interface == "nosuch0" and "there is no such interface" in text
    assert "UDP port {} of address {} on interface {}".format(
        port, addresses[0], interface) in text


def test_the_socket_is_not_inherited_and_never_waits(pool):
    one = pool.host(0)
    assert not os.get_inheritable(one.fileno())
    assert not os.get_blocking(one.fileno())


def test_a_daemon_that_may_not_bind_to_an_interface_says_so_and_goes_on(pool, monkeypatch):
    real = socket.socket.setsockopt

    def refused(one, level, option, *value):
        if option == socket.SO_BINDTODEVICE:
            raise PermissionError(1, "Operation not permitted")
        return real(one, level, option, *value)

    monkeypatch.setattr(socket.socket, "setsockopt", refused, raising=False)
    one = pool.host(0, interface="eth0")
    assert [note.name for note in one.notes] == ["heartbeat-interface-unbound"]
    assert dict(one.notes[0].fields) == {
        "interface": "eth0", "reason": "Operation not permitted"}


def test_a_burst_of_63_peers_fits_into_the_socket(pool):
    first, second = pool.host(0), pool.host(1)
    count = 3 * 63
    for _ in range(count):
        assert first.send(bytes(1400), pool.peers(1)) == ()
    received = 0
    while received < count and arrives(second) is not None:
        received += 1
    assert received == count


def flood(pool, source, target, count=20000):
    """Send more from an address to a host than any buffer holds."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as attacker:
        attacker.bind(source)
        for _ in range(count):
            attacker.sendto(bytes(1400), (IPV4[target], pool.port))


FLOODS = [
    # source,             silent, why
    (("127.0.0.77", 0),   True,   "a stranger"),
    (("127.0.0.1", 0),    True,   "a host's address, but not the port it sends from"),
    (IPV4[0],             False,  "a host's address and port"),
    (IPV4[1],             True,   "our own address, as far as we can tell"),
]


@pytest.mark.parametrize("source, silent, why", FLOODS, ids=[row[-1] for row in FLOODS])
def test_no_flood_takes_the_room_of_another_host(pool, source, silent, why):
    """Each host's heartbeats have a queue of their own, and it is their turn soon."""
    second, third = pool.host(1), pool.host(2)
    if isinstance(source, str):
        # As the network would bring it: from the very port; sent before that host was there.
        source = (source, pool.port if source != IPV4[1] else 0)
    flood(pool, source, 1)
    for number in range(5):
        third.send(b"a heartbeat", pool.peers(1))
        taken = [one for one in (second.receive() for _ in range(2 * heartbeat.TURNS_ALONE))
                 if one is not None]
        assert [one[1] for one in taken if one[0] == b"a heartbeat"] == [IPV4[2]], (
            number, "it waits behind the flood, or was lost in it")
    assert second.peers_are_silent() is silent
    while second.receive() is not None:
        pass
    assert second.peers_are_silent()


def test_the_queues_share_a_turn(pool):
    """A hundred of each host and of a stranger: whoever begins, none is behind."""
    first, second, third = pool.host(0), pool.host(1), pool.host(2)
    for one in (first, third):
        for _ in range(100):
            one.send(DATAGRAM, pool.peers(1))
    flood(pool, ("127.0.0.77", 0), 1, 100)
    taken = [arrives(second)[1] for _ in range(30)]
    assert sorted(taken.count(source) for source in (IPV4[0], IPV4[2], "127.0.0.77")) == [10] * 3


def test_a_host_that_could_not_be_reached_at_the_start_gets_its_queue_later(pool, monkeypatch):
    """Its network came up after ours: until then its heartbeats come with the strangers'."""
    real = socket.socket.connect
    unreachable = [True]

    def connect(one, where):
        if unreachable[0]:
            raise OSError(101, "Network is unreachable")
        return real(one, where)

    monkeypatch.setattr(socket.socket, "connect", connect, raising=False)
    second, third = pool.host(1), pool.host(2)
    third.send(b"by the common way", pool.peers(1))
    assert arrives(second)[:2] == (b"by the common way", IPV4[2])
    flood(pool, ("127.0.0.77", 0), 1, 10)
    assert not second.peers_are_silent(), "a heartbeat may be among them"
    while second.receive() is not None:
        pass
    unreachable[0] = False
    for advance_ms in (0, heartbeat.RECONNECT_MS):
        pool.now_ms += advance_ms
        third.send(b"still by the common way", pool.peers(1))
        assert arrives(second)[0] == b"still by the common way"
        assert (2 in second._unconnected) is (advance_ms == 0)
    flood(pool, ("127.0.0.77", 0), 1)
    third.send(b"by its own", pool.peers(1))
    assert b"by its own" in [second.receive()[0] for _ in range(2 * heartbeat.TURNS_ALONE)]


def test_nobody_else_can_bind_the_port_while_it_is_ours(pool):
    pool.host(1)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as other:
        other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        with pytest.raises(OSError, match="Address already in use"):
            other.bind((IPV4[1], pool.port))


def test_ipv6():
    pool = Pool(("::1",))
    one = pool.host(0)
    assert one.send(DATAGRAM, pool.peers(0)) == ()
    assert arrives(one) == (DATAGRAM, "::1", 1)
    one.close()
