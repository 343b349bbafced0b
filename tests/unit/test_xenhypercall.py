"""The hypercalls: what is sent, what can never be sent, and what a missing Xen says."""
import ctypes
import errno
import itertools
import struct

import pytest

from contract import watchdog_contract
from contract.fakexen import FakeXen
from xha import xenhypercall
from xha.xenhypercall import Privcmd, XenAbsent, XenRefused, watchdog_argument

ZEROS = bytes(8)

NUMBERS = [-(1 << 64), -(1 << 32), -1, 0, 1, 2, 3, 255, (1 << 31) - 1, 1 << 31, (1 << 32) - 1,
           1 << 32, (1 << 32) + 1, 1 << 33, 1 << 64, True, False, 0.0, 0.5, "0", None]


@pytest.fixture
def devices(tmp_path):
    """Two files in the place of the devices; a file refuses every hypercall."""
    privcmd, buffer = tmp_path / "privcmd", tmp_path / "hypercall"
    privcmd.write_bytes(b"")
    buffer.write_bytes(bytes(4096))
    return str(privcmd), str(buffer)


@pytest.fixture
def sent(monkeypatch):
    """What the ioctl would hand to Xen: (request, op, command, the struct in the page)."""
    seen = []

    def ioctl(descriptor, request, argument, mutable):
        assert mutable is True and type(argument) is bytearray
        op, command, address, *rest = struct.unpack("=6Q", argument)
        assert rest == [0, 0, 0]
        seen.append((request, op, command, ctypes.string_at(address, 8)))
        return 1

    monkeypatch.setattr(xenhypercall.fcntl, "ioctl", ioctl)
    return seen


def test_the_fake_xen_obeys_the_measured_law():
    assert watchdog_contract.check(FakeXen()) == []


def test_the_bytes_of_every_call_are_as_measured(devices, sent):
    xen = Privcmd(*devices)
    xen.create_timer(0xFFFFFFFF)
    xen.set_timer(2, 7)
    xen.stop_timer(1)
    xen.reset_host()
    assert sent == [
        (0x305000, 29, 6, b"\0\0\0\0\xff\xff\xff\xff"),
        (0x305000, 29, 6, b"\2\0\0\0\7\0\0\0"),
        (0x305000, 29, 6, b"\1\0\0\0\0\0\0\0"),
        (0x305000, 29, 4, b"\0\0\0\0\1\0\0\0"),
    ]
    xen.close()


def test_no_arguments_whatever_send_id_0_with_timeout_0(devices, sent):
    xen = Privcmd(*devices)
    attempts = [(xen.create_timer, (one,)) for one in NUMBERS]
    attempts += [(xen.stop_timer, (one,)) for one in NUMBERS]
    attempts += [(xen.set_timer, both) for both in itertools.product(NUMBERS, NUMBERS)]
    attempts += [(xen.sched_op, (6, bytes(length))) for length in (0, 8, 16)]
    for call, arguments in attempts:
        try:
            call(*arguments)
        except Exception:       # refused in any way is fine: what matters is what was sent
            pass
    assert len(sent) > 50, "the table must also hold numbers that are sent"
    assert [one for one in sent if one[2] == 6 and one[3] == ZEROS] == []


def test_the_pair_is_refused_where_the_struct_is_packed():
    for ident, timeout_s in itertools.product(NUMBERS, NUMBERS):
        try:
            packed = watchdog_argument(ident, timeout_s)
        except xenhypercall._NeverSend:
            continue
        assert packed != ZEROS
        assert struct.unpack("=II", packed) == (ident, timeout_s)


def test_the_page_never_rests_on_the_bytes_that_reset_a_host(devices):
    xen = Privcmd(*devices)

    def page():
        with open(devices[1], "rb") as file:
            return file.read(8)

    assert page() != ZEROS, "right after it was mapped"
    with pytest.raises(XenRefused):
        xen.stop_timer(1)
    assert struct.unpack("=I", page()[:4])[0] > 2, "after a call: an id that no timer has"
    xen.close()
    xen.close()


def test_an_error_of_xen_keeps_its_number(devices):
    xen = Privcmd(*devices)
    with pytest.raises(XenRefused) as refused:
        xen.set_timer(1, 5)
    assert refused.value.number == errno.ENOTTY     # what a file answers to that ioctl
    assert "ENOTTY" in str(refused.value)
    xen.close()


ABSENT = [
    ((False, True), "privcmd", "no Xen, or no module xen_privcmd"),
    ((True, False), "hypercall", "a kernel older than 4.18"),
]


@pytest.mark.parametrize("kept, named, why", ABSENT, ids=[row[-1] for row in ABSENT])
def test_a_missing_device_is_named(devices, tmp_path, kept, named, why):
    privcmd, buffer = [path if keep else path + "-missing" for path, keep in zip(devices, kept)]
    with pytest.raises(XenAbsent) as absent:
        Privcmd(privcmd, buffer)
    assert named + "-missing" in str(absent.value)


def test_a_device_that_cannot_be_opened_is_named(devices, tmp_path):
    with pytest.raises(XenAbsent) as absent:
        Privcmd(str(tmp_path), devices[1])
    assert str(tmp_path) in str(absent.value)
