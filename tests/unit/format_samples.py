"""Records with a different value in every field, and random ones, for the tests of formats."""

import gzip
import json
import os
import random

from xha.hostset import HostSet
from xha.poolkey import PoolKey
from xha.published import (
    FencingMode, GlobalRecord, GlobalSeal, Heartbeat, HeartbeatSeal, HostRecord, LastWords, Phase,
    PoolState, RecordSeal, WatchdogMode)

FIXTURES = os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "fixtures")
GOLDEN = os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "golden")
IMAGES = ("setinit", "starting", "online3", "master1", "crash2")
TRACES = ("crash3", "cut21", "form3", "master3", "sr2")
KEY = PoolKey(bytes(range(32)))

WORDS = LastWords(
    code="statefile-lost", text="The State-File did not answer for 30 s.", at_wall_s=1700000001,
    incarnation=1700000000, liveset=HostSet([0, 1, 2]), heartbeat_domain=HostSet([1, 2]),
    statefile_domain=HostSet([2]))

GLOBAL = GlobalRecord(
    generation_uuid="0f0f0f0faaaa4bbb8ccc00000000d00d", pool_state=PoolState.ACTIVE,
    master="10000001111142228333000000000001", host_count=3, pool_key=KEY,
    seal=GlobalSeal(software="xha 1.0.0", initialised_by="10000000-1111-4222-8333-000000000000",
                    initialised_at_wall_s=1700000000))

HOST = HostRecord(
    sequence=0x01020304, host_index=2, host_uuid="10000002111142228333000000000002",
    excluded=True, starting=False, since_heartbeat_ms=tuple(range(100, 163)) + (-1,),
    since_statefile_ms=(-1,) + tuple(range(200, 263)), since_xapi_restart_ms=4711,
    current_liveset=HostSet([0, 1, 2]), proposed_liveset=HostSet([0, 2]),
    heartbeat_domain=HostSet([1, 32, 63]), statefile_domain=HostSet([2, 31]),
    lock_request=True, lock_grants=HostSet.first(64), phase=Phase.FH2DONE, weight=65536,
    seal=RecordSeal(
        incarnation=1700000002, software="xha 1.0.0", written_at_wall_ms=1700000003004,
        fencing=FencingMode.ARMED, watchdog_mode=WatchdogMode.HYPERVISOR, sr2=True, holding=True,
        incarnations_seen=tuple(range(1700000000, 1700000064)), last_words=WORDS))

HEARTBEAT = Heartbeat(
    sequence=0x01020304, generation_uuid="0f0f0f0faaaa4bbb8ccc00000000d00d",
    host_uuid="10000002111142228333000000000002", host_index=2,
    current_liveset=HostSet([0, 1, 2]), proposed_liveset=HostSet([0, 2]),
    heartbeat_domain=HostSet([1, 32, 63]), statefile_domain=HostSet([2, 31]),
    since_heartbeat_ms=tuple(range(100, 163)) + (-1,),
    since_statefile_ms=(-1,) + tuple(range(200, 263)), since_xapi_restart_ms=4711,
    phase=Phase.FH3, xapi_error="ERROR <5>", statefile_access=True, statefile_corrupted=False,
    accelerate=True, fence_request=False, sr2=True, joining=False,
    seal=HeartbeatSeal(
        incarnation=1700000002, software="xha 1.0.0", fencing=FencingMode.DISARMED,
        watchdog_mode=WatchdogMode.USER, last_words=WORDS, heard=(0,) * 64))


def image(name):
    """The sections of a recorded State-File."""
    with gzip.open(os.path.join(FIXTURES, "sf_{}.img.gz".format(name))) as stream:
        data = stream.read()
    return [data[at:at + 4096] for at in range(0, len(data), 4096)]


def text(name):
    """A recorded text, as it is."""
    with open(os.path.join(FIXTURES, name), "r", encoding="ascii") as stream:
        return stream.read()


def datagram(name):
    """A recorded heartbeat and its fields."""
    with open(os.path.join(FIXTURES, "hb_{}.bin".format(name)), "rb") as stream:
        return stream.read(), json.loads(text("hb_{}.json".format(name)))


def trace(name):
    """The lines of a recorded conversation."""
    with gzip.open(os.path.join(FIXTURES, "traces", name + ".jsonl.gz")) as stream:
        return [json.loads(line.decode("ascii")) for line in stream]


def golden(name):
    """Golden bytes: each line an offset, hex digits (``XX*N``: N times), and what they are."""
    data = b""
    with open(os.path.join(GOLDEN, name + ".hex"), "r", encoding="ascii") as stream:
        for line in stream:
            if line.strip() and not line.startswith("#"):
                offset, digits = line.split()[:2]
                assert int(offset) == len(data), line
                once, _, times = digits.partition("*")
                data += bytes.fromhex(once) * int(times or 1)
    return data


def flipped(data, bit):
    """``data`` with one bit turned over."""
    changed = bytearray(data)
    changed[bit // 8] ^= 1 << bit % 8
    return bytes(changed)


def random_host(chance):
    """A host record that encodes, drawn from ``chance`` (a ``random.Random``)."""
    return HOST._replace(
        sequence=chance.getrandbits(32), host_index=chance.randrange(64),
        host_uuid=random_uuid(chance), excluded=chance.random() < 0.5,
        starting=chance.random() < 0.5, since_heartbeat_ms=random_ages(chance),
        since_statefile_ms=random_ages(chance), since_xapi_restart_ms=random_ages(chance)[0],
        current_liveset=random_set(chance), proposed_liveset=random_set(chance),
        heartbeat_domain=random_set(chance), statefile_domain=random_set(chance),
        lock_request=chance.random() < 0.5, lock_grants=random_set(chance),
        phase=chance.choice(list(Phase)), weight=chance.getrandbits(32),
        seal=None if chance.random() < 0.3 else random_seal(chance))


def random_seal(chance):
    return RecordSeal(
        incarnation=chance.getrandbits(64), software=random_text(chance, 32),
        written_at_wall_ms=chance.getrandbits(64), fencing=chance.choice(list(FencingMode)),
        watchdog_mode=chance.choice(list(WatchdogMode)), sr2=chance.random() < 0.5,
        holding=chance.random() < 0.5,
        incarnations_seen=tuple(chance.getrandbits(64) for _ in range(64)),
        last_words=random_words(chance), keys=chance.getrandbits(64))


def random_words(chance):
    if chance.random() < 0.3:
        return None
    return LastWords(
        code=random_text(chance, 31) + "x", text=random_text(chance, 184),
        at_wall_s=chance.getrandbits(64), incarnation=chance.getrandbits(64),
        liveset=random_set(chance), heartbeat_domain=random_set(chance),
        statefile_domain=random_set(chance))


def random_heartbeat(chance):
    """A heartbeat that encodes."""
    return HEARTBEAT._replace(
        sequence=chance.getrandbits(32), generation_uuid=random_uuid(chance),
        host_uuid=random_uuid(chance), host_index=chance.randrange(64),
        current_liveset=random_set(chance), proposed_liveset=random_set(chance),
        heartbeat_domain=random_set(chance), statefile_domain=random_set(chance),
        since_heartbeat_ms=random_ages(chance), since_statefile_ms=random_ages(chance),
        since_xapi_restart_ms=random_ages(chance)[0], phase=chance.choice(list(Phase)),
        xapi_error=random_text(chance, 100), statefile_access=chance.random() < 0.5,
        statefile_corrupted=chance.random() < 0.5, accelerate=chance.random() < 0.5,
        fence_request=chance.random() < 0.5, sr2=chance.random() < 0.5,
        joining=chance.random() < 0.5,
        seal=None if chance.random() < 0.3 else HeartbeatSeal(
            incarnation=chance.getrandbits(64), software=random_text(chance, 32),
            fencing=chance.choice(list(FencingMode)),
            watchdog_mode=chance.choice(list(WatchdogMode)), last_words=random_words(chance),
            heard=random_marks(chance), xapi_held_s=chance.choice((0, 1, 300, 0xFFFF)),
            disarm_term_s=chance.choice((0, 1, 300, 0xFFFF))))


def random_uuid(chance):
    return "{:032x}".format(chance.getrandbits(128))


def random_marks(chance):
    """Marks of the first hosts, some of them 0, and 0 from there on."""
    count = chance.choice((0, 1, 3, 64))
    marks = tuple(chance.choice((0, 1, 0xFFFFFFFF, chance.getrandbits(32))) for _ in range(count))
    return marks + (0,) * (64 - count)


def random_ages(chance):
    return tuple(chance.choice((-1, 0, 0x7FFFFFFF, chance.getrandbits(31))) for _ in range(64))


def random_set(chance):
    return HostSet.of_bits(chance.choice((0, 1, 1 << 63, (1 << 64) - 1, chance.getrandbits(64))))


def random_text(chance, size):
    return "".join(chr(chance.randrange(32, 127)) for _ in range(chance.randrange(size + 1)))


def chance(seed):
    """A source of random numbers that gives the same ones on every Python."""
    return random.Random(seed)
