"""An attacker on the network who sends as much as he can: the pool runs on.

What he reaches is printed (about 100 000 datagrams a second where a core is free for him);
nothing here asks how fast anything is, only that nobody is missed.
"""

import json
import struct
import time

import pytest

from rig.host import GENERATION_UUID, SETTINGS, uuid
from rig.network import address
from rig.stateformat import heartbeat

EVERYBODY = (0, 1, 2)

#: Longer than every time-out: whoever is not heard meanwhile is missed.
FLOOD_S = 2 * max(SETTINGS["T1"], SETTINGS["T2"], SETTINGS["Ws"]) - 2


def forged(index=0, sequence=1 << 30):
    """A heartbeat of a host that has another fence itself, as an xhad would send it."""
    return heartbeat(GENERATION_UUID, uuid(index), index, sequence, live=EVERYBODY,
                     proposed=(index,), domain=(index,), phase=3, fence=1)


def recorded(pool):
    """What host 0 has sent to host 1."""
    capture = pool.network.capture()
    time.sleep(4)
    found = [one.payload for one in capture.stop()
             if one.source == 0 and one.destination == address(1)]
    assert found
    return found


def with_another_proof(datagram, number):
    """A recorded heartbeat with a sequence that is to come, and a proof that nobody can make."""
    sequence = struct.unpack_from("<I", datagram, 8)[0] + 1000 + number
    return datagram[:8] + struct.pack("<I", sequence) + datagram[12:-4] + b"\xde\xad\xbe\xef"


#: source, what is sent, cause by which it is counted, why
FLOODS = [
    ("10.99.0.77", lambda genuine: [b"\xff" * size for size in (0, 1, 743, 1400)], "length",
     "noise from a stranger"),
    ("10.99.0.77", lambda genuine: genuine, "source-address",
     "genuine heartbeats from a wrong address"),
    (address(0), lambda genuine: [forged(sequence=number) for number in range(64)],
     "not-authentic", "lies of a host's address without a seal"),
    (address(0), lambda genuine: [with_another_proof(genuine[-1], number)
                                  for number in range(64)], "seal",
     "genuine heartbeats of a host's address but for the proof: the dearest to refuse"),
    (address(0), lambda genuine: genuine, "sequence",
     "genuine heartbeats of a host's address again and again"),
]


def facts(host):
    """What its daemon says, as JSON."""
    return json.loads(host.must("query-liveset", "--format=json").out)


@pytest.mark.parametrize("source, lies, cause, why", FLOODS, ids=[row[-1] for row in FLOODS])
def test_a_flood_is_counted_and_nobody_is_missed(pool_of, measured, source, lies, cause, why):
    pool = pool_of(3)
    pool.form()
    datagrams = lies(recorded(pool))
    watches = [host.watch for host in pool.hosts]
    before = [len(watch.changes) for watch in watches]
    ages_ms = []
    flood = pool.network.flood(source, 1, datagrams)
    until = time.monotonic() + FLOOD_S
    while time.monotonic() < until:
        time.sleep(1)
        seen = facts(pool.hosts[1])
        assert all(host.running for host in pool.hosts), why
        ages_ms += [seen["hosts"][host]["since_heartbeat_ms"] for host in (0, 2)]
    rate = flood.stop()
    measured("flood, datagrams a second: " + why, rate)
    measured("flood, oldest heartbeat, s: " + why, max(ages_ms) / 1000)
    refused = facts(pool.hosts[1])["datagrams_refused"]
    assert refused.get(cause, 0) > 1000, refused
    time.sleep(SETTINGS["T1"] + 1)
    for host, watch, seen in zip(pool.hosts, watches, before):
        assert host.running
        assert len(watch.changes) == seen, watch.changes[seen:]
        assert watch.now.live == EVERYBODY and not watch.now.sr2
        assert "[fh-started]" not in host.log()
