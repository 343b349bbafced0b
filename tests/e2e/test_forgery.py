"""Datagrams of somebody who is on the network but not in the pool: counted, and nothing else.

The original is fenced, thrown into its fault handler, or crashed by one of these.
"""

import struct
import time

import pytest

from rig.host import GENERATION_UUID, uuid
from rig.network import address
from rig.stateformat import heartbeat

BOTH = (0, 1)


def forged(**changes):
    """A heartbeat of host 0 as only its daemon may send it, but for the proof."""
    fields = dict(generation=GENERATION_UUID, uuid=uuid(0), index=0, sequence=1 << 30,
                  live=BOTH, proposed=BOTH, domain=BOTH)
    fields.update(changes)
    return heartbeat(**fields)


#: datagram, why.  All are sent to host 1.
LIES = [
    (forged(proposed=(0,), fence=1), "a fence request"),
    (forged(sequence=0x7fffffff), "a far sequence: the genuine one would look old after it"),
    (forged(phase=3), "a fault handler that was never started"),
    (forged(sr2=1, access=0), "survival rule 2"),
    (forged(live=(), proposed=(0,), joining=1), "a host that joins again"),
    (forged(domain=(0,)), "a host that does not hear us"),
    (forged(uuid=uuid(1), index=1), "our own identity"),
    (forged(index=64), "one index beyond the last"),
    (forged(index=1000), "an index that crashed the original"),
    (forged(index=10**6), "an index that crashed the original"),
    (forged(index=2**32 - 1), "the largest index"),
    (forged(index=1), "another's index"),
    (forged(generation="0" * 32, fence=1, proposed=(0,)), "another generation"),
    (forged(phase=99), "a phase that does not exist"),
    (forged(fence=1, proposed=(0,)) + bytes(200), "an empty seal"),
    (forged(fence=1, proposed=(0,)) + bytes(range(200)) * 2, "a seal of noise"),
    (forged()[:743], "one byte short"),
    (b"", "nothing"),
    (b"\xff" * 1400, "noise"),
    (struct.pack("<II", 0x68616878, 0) + bytes(8), "a beginning"),
]


@pytest.mark.parametrize("source, who", [
    ("10.99.0.77", "an address that is no host's"), (address(0), "a host's own address")],
    ids=["strange-address", "hosts-address"])
def test_forged_datagrams_change_nothing(pool_of, source, who):
    pool = pool_of(2)
    pool.form()
    watches = [host.watch for host in pool.hosts]
    before = [len(watch.changes) for watch in watches]
    for _ in range(3):
        for datagram, why in LIES:
            pool.network.forge(source, 1, [datagram])
            assert pool.hosts[1].running, why
        time.sleep(1)
    time.sleep(7)       # T1 and more: the genuine heartbeats are still believed
    for host, watch, seen in zip(pool.hosts, watches, before):
        assert host.running
        assert len(watch.changes) == seen, watch.changes[seen:]
        assert watch.now.live == BOTH and not watch.now.sr2


def test_recorded_datagrams_neither_disturb_nor_revive(pool_of):
    pool = pool_of(3)
    pool.form()
    capture = pool.network.capture()
    time.sleep(4)
    recorded = [one for one in capture.stop() if one.source == 2]
    assert len(recorded) >= 4
    # While their sender lives: each is older than what was heard since.
    for one in recorded:
        pool.network.forge(address(2), int(one.destination.rsplit(".", 1)[1]) - 1, [one.payload])
    time.sleep(1)
    assert all(host.running and host.watch.now.live == (0, 1, 2) for host in pool.hosts)
    # After its death: they delay nothing.
    crashed_at = pool.crash(2)
    dropped = None
    while dropped is None:
        assert time.monotonic() < crashed_at + 40, "replayed heartbeats keep a dead host alive"
        for one in recorded[-4:]:
            for host in (0, 1):
                pool.network.forge(address(2), host, [one.payload])
        time.sleep(0.2)
        if all(pool.hosts[host].watch.now.live == (0, 1) for host in (0, 1)):
            dropped = time.monotonic()
    assert pool.hosts[0].running and pool.hosts[1].running


def test_an_interface_that_goes_down_is_said_once_for_each_change(pool_of):
    """The original writes 112 lines in 20 s."""
    pool = pool_of(2)
    pool.form()
    loser = pool.hosts[1]
    before = loser.log().count("\n")
    loser.door.must("ip", "link", "set", "eth0", "down")
    time.sleep(4)       # within T1: nothing but the failing sends can be worth a line
    lines = loser.log().splitlines()[before:]
    assert len(lines) <= 8, lines
    loser.daemon.wait(60)
    assert len(loser.log().splitlines()) - before < 80
    pool.wait_live([0], [0], 60)
