"""What of the rig in tests/xen needs no emulator: its conclusions, its network, its disk."""
import os
import socket
import struct
import sys

import pytest

sys.path.append(os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "xen"))

import order  # noqa: E402  (it stands there)
from order import Drop, Look, Reading, Unproven  # noqa: E402
from xenrig import disk  # noqa: E402
from xenrig.network import Network  # noqa: E402

ALL, REST = {0, 1, 2}, {0, 1}

SEEN = [
    # looks (asked, answered, live)                        dropped            why
    ([(10, 11, ALL), (12, 13, REST)], Drop(10, 13), "between the last with and the first without"),
    ([(10, 11, ALL), (12, 14, None), (15, 16, REST)], Drop(10, 16), "no answer tells nothing"),
    ([(10, 11, ALL), (12, 13, REST), (14, 15, ALL)], Drop(10, 13), "it may be back"),
    ([(10, 11, ALL), (12, 13, ALL)], None, "it is still in it"),
    ([(8, 11, REST), (11, 12, ALL), (12, 13, REST)], Drop(11, 13), "an older question is not ours"),
    ([], None, "nobody asked"),
]


@pytest.mark.parametrize("looks, expected, why", SEEN, ids=[row[-1] for row in SEEN])
def test_a_drop_lies_between_two_answers(looks, expected, why):
    assert order.drop([Look(*look) for look in looks], 2, 9.0) == expected


def test_a_host_that_no_answer_had_in_it_was_dropped_nobody_knows_when():
    with pytest.raises(Unproven, match="missing from the first"):
        order.drop([Look(10, 11, REST), Look(12, 13, REST)], 2, 9.0)


ORDERS = [
    # ended, not before (by survivor)     proven  why
    (10.0, {"h1": 10.1, "h2": 12.0}, True, "the host ended first"),
    (10.0, {"h1": 10.1, "h2": 9.9}, False, "one survivor was too early"),
    (10.0, {"h1": 10.0}, False, "at the same instant is not before"),
    (10.0, {"h1": 12.0, "h2": None}, False, "one survivor was not seen to drop it"),
    (None, {"h1": 12.0}, False, "its end was not seen"),
    (10.0, {}, False, "there are no survivors"),
]


@pytest.mark.parametrize("ended_s, drops, proven, why", ORDERS, ids=[row[-1] for row in ORDERS])
def test_only_an_end_before_every_drop_is_accepted(ended_s, drops, proven, why):
    if proven:
        order.require_end_first(ended_s, drops)
    else:
        with pytest.raises(Unproven):
            order.require_end_first(ended_s, drops)


#: A clock that stands at 1000 when this machine's stands at 10: read at 10.0 and at 20.0, each
#: time in an unknown part of a second.
READINGS = [Reading(9.5, 10.5, 1000.0), Reading(19.5, 20.5, 1010.0)]


def test_what_another_clock_showed_was_not_earlier_than_its_readings_allow():
    assert order.earliest(1005.0, READINGS) == pytest.approx(
        14.5 - 5.0 / order.DRIFT - order.STAMP_LATE_S)
    assert order.earliest(1000.0, READINGS) == pytest.approx(9.5 - 0.1 - order.STAMP_LATE_S)


def test_a_clock_that_jumped_is_believed_in_the_cautious_way():
    jumped = [READINGS[0], Reading(19.5, 20.5, 1013.0)]
    assert order.earliest(1005.0, jumped) < 11.5 - order.STAMP_LATE_S


@pytest.mark.parametrize("shown_s", [999.0, 1010.5])
def test_a_clock_that_was_not_read_on_both_sides_proves_nothing(shown_s):
    with pytest.raises(Unproven, match="nobody knows"):
        order.earliest(shown_s, READINGS)


@pytest.fixture(name="nics")
def three_nics(tmp_path):
    """The network, and the hosts' ends of it by name."""
    network, found = Network(str(tmp_path)), {}
    for name in ("h1", "h2", "h3"):
        network.plug(name)
        found[name] = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        found[name].bind(str(tmp_path / (name + ".nic")))
        found[name].settimeout(5)
    with network:
        yield network, found, tmp_path
    for nic in found.values():
        nic.close()


def send(nics, sender, frame):
    nics[1][sender].sendto(frame, str(nics[2] / (sender + ".port")))


def test_a_frame_reaches_all_others_and_not_its_sender(nics):
    send(nics, "h1", b"hello")
    assert nics[1]["h2"].recv(100) == nics[1]["h3"].recv(100) == b"hello"
    send(nics, "h2", b"answer")
    assert nics[1]["h1"].recv(100) == nics[1]["h3"].recv(100) == b"answer"


def test_a_host_that_is_cut_off_neither_hears_nor_is_heard(nics):
    network, ends, _ = nics
    network.cut("h2")
    send(nics, "h2", b"from the cut one")
    for frame in (b"past it", b"and again"):    # when the second is there, the cut one is gone
        send(nics, "h1", frame)
        assert ends["h3"].recv(100) == frame
    network.join("h2")
    send(nics, "h1", b"whole")
    assert ends["h2"].recv(100) == ends["h3"].recv(100) == b"whole"


class Client:
    """A host's end of the disk, as QEMU talks."""

    def __init__(self, words):
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.socket.settimeout(5)
        self.socket.connect(words.split("socket=")[1].split(",")[0])
        assert disk.take(self.socket, ">QQH")[:2] == (disk.MAGIC, disk.OPTION_MAGIC)
        self.socket.sendall(struct.pack(">I", 3))
        self.option(8, b"")             # structured replies: refused
        assert self.answer()[0] == disk.REPLY_UNSUPPORTED
        self.option(disk.OPTION_GO, struct.pack(">IH", 0, 0))
        kind, data = self.answer()
        assert (kind, struct.unpack(">HQH", data)) == (disk.REPLY_INFO, (0, 8192, 5))
        assert self.answer() == (disk.REPLY_ACK, b"")

    def option(self, number, data):
        self.socket.sendall(struct.pack(">QII", disk.OPTION_MAGIC, number, len(data)) + data)

    def answer(self):
        magic, _, kind, length = disk.take(self.socket, ">QIII")
        assert magic == disk.REPLY_MAGIC
        return kind, disk.receive(self.socket, length)

    def ask(self, kind, offset, length, data=b""):
        self.socket.sendall(struct.pack(
            ">IHHQQI", disk.REQUEST_MAGIC, 0, kind, 77, offset, length) + data)

    def result(self, length=0):
        magic, error, handle = disk.take(self.socket, ">IIQ")
        assert (magic, handle) == (disk.SIMPLE_MAGIC, 77)
        return error, disk.receive(self.socket, 0 if error else length)

    def write(self, offset, data):
        self.ask(disk.WRITE, offset, len(data), data)
        return self.result()

    def read(self, offset, length):
        self.ask(disk.READ, offset, length)
        return self.result(length)


@pytest.fixture(name="shared")
def shared_disk(tmp_path):
    """The disk and two hosts at it."""
    with disk.Disk(str(tmp_path), 8192) as one:
        clients = [Client(one.attach(name)) for name in ("h1", "h2")]
        yield one, clients
        for client in clients:
            client.socket.close()


def test_what_one_host_writes_the_other_reads(shared):
    _, (first, second) = shared
    assert first.write(512, b"x" * 512) == (0, b"")
    first.ask(disk.FLUSH, 0, 0)
    assert first.result() == (0, b"")
    assert second.read(0, 1024) == (0, b"\0" * 512 + b"x" * 512)
    assert second.read(8000, 512)[0] == disk.EINVAL


def test_a_path_that_fails_refuses_and_the_other_does_not(shared):
    one, (first, second) = shared
    one.set_mode(disk.ERROR, "h1")
    assert first.write(0, b"y" * 512)[0] == first.read(0, 512)[0] == disk.EIO
    assert second.read(0, 512) == (0, b"\0" * 512)
    one.set_mode(disk.OK, "h1")
    assert first.write(0, b"y" * 512) == (0, b"")


def hanging(one, client, data):
    """A write that hangs; nothing comes back."""
    one.set_mode(disk.HANG, "h1")
    client.ask(disk.WRITE, 0, len(data), data)
    client.socket.settimeout(0.2)
    with pytest.raises(socket.timeout):
        client.result()
    client.socket.settimeout(5)


def test_what_hangs_is_done_when_the_path_is_well_again(shared):
    one, (first, second) = shared
    hanging(one, first, b"z" * 512)
    assert second.read(0, 512) == (0, b"\0" * 512)
    one.set_mode(disk.OK, "h1")
    assert first.result() == (0, b"")
    assert second.read(0, 512) == (0, b"z" * 512)


def test_what_hangs_never_arrives_when_its_host_dies(shared):
    one, (first, second) = shared
    hanging(one, first, b"z" * 512)
    one.host_dies("h1")
    assert first.result()[0] == disk.EIO
    assert second.read(0, 512) == (0, b"\0" * 512)
    one.host_dies("h2")
    assert second.read(0, 512)[0] == 0, "a path that is well stays so"


def test_the_end_of_the_disk_ends_what_hangs(tmp_path):
    with disk.Disk(str(tmp_path), 8192) as one:
        client = Client(one.attach("h1"))
        hanging(one, client, b"z" * 512)
    assert client.result()[0] == disk.EIO
    client.socket.close()
