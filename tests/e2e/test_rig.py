"""The rig itself, without a daemon: what the other tests rely on.

A rig that does not cut, or does not lose a write, makes every test pass.
"""

import errno
import mmap
import os
import signal
import subprocess
import sys
import threading
import time

import pytest

from rig.pool import HOME, Pool
from rig.storage import SECTION_BYTES, STATEFILE_BYTES

PROGRAM = ["/bin/true"]


@pytest.fixture(scope="module")
def pool():
    with Pool(3, PROGRAM) as made:
        yield made
        made.disk.check()


@pytest.fixture(autouse=True)
def healed(pool):
    yield
    pool.network.heal()
    pool.disk.fault([0, 1, 2], "ok")
    pool.disk.resize([0, 1, 2], STATEFILE_BYTES)


def reaches(pool, source, destination):
    """Whether a datagram gets there."""
    return bool(pool.hosts[destination].door.do(lambda: _listen(pool, source, destination)))


def _listen(pool, source, destination):
    import socket
    from rig.network import address
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as ear:
        ear.bind((address(destination), 7000))
        ear.settimeout(0.3)
        mouth = pool.hosts[source].door.do(
            lambda: socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
        with mouth:
            for _ in range(3):
                try:
                    mouth.sendto(b"hello", (address(destination), 7000))
                except OSError:
                    return False
        try:
            return ear.recv(100) == b"hello"
        except socket.timeout:
            return False


CUTS = [
    (lambda net: net.heal(), set(), "without a cut everybody reaches everybody"),
    (lambda net: net.part([0, 1], [2]), {(0, 2), (2, 0), (1, 2), (2, 1)}, "a cut is both ways"),
    (lambda net: net.cut(0, 1), {(0, 1)}, "a one-way cut leaves the way back"),
    (lambda net: net.isolate(1), {(0, 1), (1, 0), (1, 2), (2, 1)}, "an isolated host is alone"),
]


@pytest.mark.parametrize("do, cut, why", CUTS, ids=[row[-1] for row in CUTS])
def test_cuts(pool, do, cut, why):
    # Both ends know each other's hardware address first, or a one-way cut would stop ARP
    # and with it both ways.
    pool.network.heal()
    pairs = [(a, b) for a in range(3) for b in range(3) if a != b]
    for pair in pairs:
        assert reaches(pool, *pair), pair
    do(pool.network)
    assert {pair for pair in pairs if not reaches(pool, *pair)} == cut


def transfer(pool, host, data=None, section=1):
    """Read a section as the daemon does, or write it."""
    flags = (os.O_RDONLY if data is None else os.O_RDWR) | os.O_DIRECT
    with mmap.mmap(-1, SECTION_BYTES) as buffer:
        def work():
            descriptor = os.open(pool.hosts[host].statefile, flags)
            try:
                os.lseek(descriptor, section * SECTION_BYTES, os.SEEK_SET)
                if data is None:
                    return os.readv(descriptor, [buffer]), bytes(buffer)
                buffer[:] = data
                return os.writev(descriptor, [buffer]), data
            finally:
                os.close(descriptor)
        return pool.hosts[host].door.do(work)


def test_all_hosts_share_one_disk_without_a_cache(pool):
    for host in range(3):
        data = bytes([host + 1]) * SECTION_BYTES
        transfer(pool, host, data)
        assert [transfer(pool, other)[1] for other in range(3)] == [data] * 3


def test_an_error_is_one_hosts_alone(pool):
    pool.disk.fault([1], "fail")
    with pytest.raises(OSError) as error:
        transfer(pool, 1)
    assert error.value.errno == errno.EIO
    transfer(pool, 0)
    pool.disk.fault([1], "fail", "w")
    pool.disk.fault([1], "ok", "r")
    transfer(pool, 1)
    with pytest.raises(OSError):
        transfer(pool, 1, b"x" * SECTION_BYTES)


def test_what_hangs_is_answered_when_the_disk_returns(pool):
    pool.disk.fault([2], "hang")
    done = []
    reader = threading.Thread(target=lambda: done.append(transfer(pool, 2)))
    reader.start()
    reader.join(0.5)
    assert not done
    pool.disk.fault([2], "ok")
    reader.join(5)
    assert done[0][0] == SECTION_BYTES


def test_a_slow_disk_delays_and_loses_nothing(pool):
    pool.disk.fault([0], "slow", delay_ms=400)
    before = time.monotonic()
    data = b"s" * SECTION_BYTES
    transfer(pool, 0, data)
    assert 0.4 <= time.monotonic() - before < 3.0
    assert transfer(pool, 1)[1] == data


def test_lost_and_torn_writes_are_acknowledged(pool):
    old, new = b"o" * SECTION_BYTES, b"n" * SECTION_BYTES
    transfer(pool, 0, old)
    pool.disk.fault([0], "drop", "w")
    assert transfer(pool, 0, new)[0] == SECTION_BYTES
    assert transfer(pool, 0)[1] == old
    pool.disk.fault([0], "torn", "w")
    assert transfer(pool, 0, new)[0] == SECTION_BYTES
    assert transfer(pool, 0)[1] == new[:512] + old[512:]


def test_a_shortened_disk_ends_early_for_one_host(pool):
    pool.disk.resize([1], SECTION_BYTES + 512)
    assert transfer(pool, 1)[0] == 512
    assert transfer(pool, 0)[0] == SECTION_BYTES


def test_who_wrote_which_section_is_counted(pool):
    before = pool.disk.counts()
    transfer(pool, 1, b"c" * SECTION_BYTES, section=5)
    after = pool.disk.counts()
    assert after[1]["section5"] == before[1].get("section5", 0) + 1
    assert after[0].get("section5", 0) == before[0].get("section5", 0)


def test_a_forged_datagram_has_the_address_it_claims(pool):
    import socket
    from rig.network import UDP_PORT, address
    ear = pool.hosts[1].door.do(lambda: socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
    with ear:
        pool.hosts[1].door.do(lambda: ear.bind((address(1), UDP_PORT)))
        ear.settimeout(3)
        pool.network.forge(address(0), 1, [b"lie"])
        assert ear.recvfrom(100) == (b"lie", (address(0), UDP_PORT))


def test_heartbeats_are_captured_where_they_enter(pool):
    import socket
    from rig.network import UDP_PORT, address
    capture = pool.network.capture()
    mouth = pool.hosts[2].door.do(lambda: socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
    with mouth:
        mouth.sendto(b"beat", (address(0), UDP_PORT))
    time.sleep(0.3)
    assert [(one.source, one.destination, one.payload) for one in capture.stop()] == [
        (2, address(0), b"beat")]


def test_the_machine_sees_nothing_of_the_pool(pool):
    links = subprocess.run(["ip", "-o", "link"], stdout=subprocess.PIPE).stdout.decode()
    assert "br0" not in links and "p0" not in links
    with open("/proc/self/mounts") as file:
        assert pool.folder not in file.read()


def test_a_pool_goes_with_its_maker_however_that_ends(tmp_path):
    """SIGKILL: no handler of the maker can run; its daemons, here a sleep, die all the same."""
    maker = subprocess.Popen([sys.executable, "-c", (
        "import sys; sys.path.insert(0, {!r})\n"
        "from rig.pool import Pool\n"
        "pool = Pool(2, ['/bin/sleep'])\n"
        "sleep = pool.hosts[1].door.popen(['sleep', '1000'])\n"
        "print(pool.folder, sleep.pid, flush=True)\n"
        "sleep.wait()\n").format(HOME)], stdout=subprocess.PIPE)
    folder, pid = maker.stdout.readline().decode().split()
    assert os.path.isdir(folder)
    maker.send_signal(signal.SIGKILL)
    maker.wait()
    maker.stdout.close()
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline and (os.path.exists(folder) or alive(pid)):
        time.sleep(0.05)
    assert not os.path.exists(folder)
    assert not alive(pid)


def alive(pid):
    try:
        with open("/proc/{}/stat".format(pid)) as file:
            return file.read().rsplit(")", 1)[1].split()[0] not in "ZX"
    except OSError:
        return False


def test_a_pool_is_removed_after_an_exception():
    with pytest.raises(KeyError):
        with Pool(2, PROGRAM) as doomed:
            folder = doomed.folder
            raise KeyError("anything")
    assert not os.path.exists(folder)
