"""Heartbeats: bytes to records and back, proofs, and what is refused."""

import struct

import format_samples as samples
import pytest

from xha import crc, hbformat
from xha.hbformat import DatagramError
from xha.hostset import HostSet
from xha.published import NEVER, FencingMode, Phase, Proof

KEY = samples.KEY
OTHER_KEY = bytes(32)
PLAIN = samples.HEARTBEAT._replace(seal=None)
NAMES = ("accelerate_host1", "fh1_host0", "fh_fence_request_host0", "joining_host2",
         "online_host0", "online_host2", "starting_host0", "starting_joining_host1")


# What the original sent

@pytest.mark.parametrize("name", NAMES)
def test_datagrams_of_the_original_say_what_their_fields_say(name):
    data, fields = samples.datagram(name)
    found, proof = hbformat.decode(data, None)
    assert proof is Proof.UNSEALED
    assert found.seal is None
    assert found.sequence == fields["sequence"]
    assert found.generation_uuid == fields["generation_uuid"]
    assert found.host_uuid == fields["host_uuid"]
    assert found.host_index == fields["host_index"]
    for members, field in ((found.current_liveset, "current_liveset"),
                           (found.proposed_liveset, "proposed_liveset"),
                           (found.heartbeat_domain, "hbdomain"),
                           (found.statefile_domain, "sfdomain")):
        assert members.picture(3) == fields[field].ljust(3, "0")
    assert list(found.since_heartbeat_ms) == fields["time_since_last_HB_receipt"]
    assert list(found.since_statefile_ms) == fields["time_since_last_SF_update"]
    assert found.since_xapi_restart_ms == fields["time_since_xapi_restart"]
    assert found.phase == fields["sm_phase"]
    assert found.xapi_error == fields["err_string"]
    for flag, field in ((found.statefile_access, "SF_access"), (found.sr2, "SR2"),
                        (found.statefile_corrupted, "SF_corrupted"), (found.joining, "joining"),
                        (found.accelerate, "SF_accelerate"),
                        (found.fence_request, "fence_request")):
        assert flag is bool(fields[field]), field


@pytest.mark.parametrize("name", NAMES)
def test_datagrams_of_the_original_encode_to_the_same_bytes(name):
    data, _ = samples.datagram(name)
    assert hbformat.encode(hbformat.decode(data, None)[0], None) == data


@pytest.mark.parametrize("name", samples.TRACES)
def test_datagrams_of_the_originals_conversations_encode_to_the_same_bytes(name):
    datagrams = [bytes.fromhex(line["heartbeat"]) for line in samples.trace(name)
                 if "heartbeat" in line]
    assert datagrams
    for data in datagrams:
        assert hbformat.encode(hbformat.decode(data, None)[0], KEY) == data


# Golden bytes: to change them is to change the format

GOLDEN = [
    # file              heartbeat           key   proof
    ("heartbeat-xhad",  PLAIN,              None, Proof.UNSEALED),
    ("heartbeat-crc",   samples.HEARTBEAT,  None, Proof.INTACT),
    ("heartbeat-key",   samples.HEARTBEAT,  KEY,  Proof.AUTHENTIC),
]


@pytest.mark.parametrize("name, heartbeat, key, proof", GOLDEN, ids=[row[0] for row in GOLDEN])
def test_golden_bytes(name, heartbeat, key, proof):
    assert hbformat.encode(heartbeat, key) == samples.golden(name)
    assert hbformat.decode(samples.golden(name), key) == (heartbeat, proof)


@pytest.mark.parametrize("seed", range(100))
def test_any_heartbeat_survives_the_round_trip(seed):
    chance = samples.chance(seed)
    heartbeat = samples.random_heartbeat(chance)
    key = chance.choice((None, KEY))
    data = hbformat.encode(heartbeat, key)
    found, proof = hbformat.decode(data, key)
    assert found == heartbeat
    assert (proof is Proof.UNSEALED) == (heartbeat.seal is None)
    assert len(data) <= 1400


# Proofs.  Source: spec 4, "Seal"

PROOFS = [
    # sent with  read with   proof            why
    (KEY,        KEY,        Proof.AUTHENTIC, "the pool's own"),
    (KEY,        OTHER_KEY,  Proof.BROKEN,    "another pool's key"),
    (KEY,        None,       Proof.BROKEN,    "a proof that cannot be checked is none"),
    (None,       KEY,        Proof.INTACT,    "a CRC proves no origin"),
    (None,       None,       Proof.INTACT,    "all there is in a pool without a key"),
]


@pytest.mark.parametrize("sent, read, expected, why", PROOFS, ids=[row[-1] for row in PROOFS])
def test_proofs(sent, read, expected, why):
    found, proof = hbformat.decode(hbformat.encode(samples.HEARTBEAT, sent), read)
    assert proof is expected
    assert found.seal == (None if expected is Proof.BROKEN else samples.HEARTBEAT.seal)


@pytest.mark.parametrize("key", [None, KEY], ids=["CRC", "HMAC"])
def test_no_single_flipped_bit_is_believed(key):
    data = hbformat.encode(samples.HEARTBEAT, key)
    for bit in range(0, 8 * len(data)):
        try:
            found, proof = hbformat.decode(samples.flipped(data, bit), key)
        except DatagramError:
            continue
        assert proof is Proof.BROKEN
        assert found.seal is None


def test_what_follows_a_base_and_is_no_seal_is_a_broken_seal():
    base = hbformat.encode(PLAIN, None)
    for rest in (b"\0", b"x" * 100, bytes(400), b"xha-beat" + bytes(320)):
        assert hbformat.decode(base + rest, None)[1] is Proof.BROKEN


def test_a_seal_cut_off_anywhere_is_broken():
    for key in (None, KEY):
        data = hbformat.encode(samples.HEARTBEAT, key)
        for size in range(745, len(data)):
            assert hbformat.decode(data[:size], key)[1] is Proof.BROKEN


def newer(version, extra):
    """A heartbeat of a later seal version that says ``extra`` more."""
    data = bytearray(hbformat.encode(samples.HEARTBEAT, None)[:-4] + extra)
    struct.pack_into("<HH", data, 752, version, len(data) - 744 + 4)
    return bytes(data) + struct.pack("<I", crc.crc32c(bytes(data)))


def test_a_newer_seal_is_read_as_far_as_we_know_it():
    known = bytes(4)
    assert hbformat.decode(newer(9, known + b"more" * 80), None) == (
        samples.HEARTBEAT, Proof.INTACT)


@pytest.mark.parametrize("count, key", [(3, None), (3, KEY), (64, KEY)])
def test_what_is_held_stands_after_the_marks_where_anything_is(count, key):
    seal = samples.HEARTBEAT.seal._replace(heard=(7,) * count + (0,) * (64 - count))
    plain = hbformat.encode(samples.HEARTBEAT._replace(seal=seal), key)
    held = samples.HEARTBEAT._replace(seal=seal._replace(xapi_held_s=300, disarm_term_s=1))
    data = hbformat.encode(held, key)
    at = 1056 + 4 * count
    assert data[at:at + 4] == b"\x2c\x01\x01\0"
    assert len(data) == len(plain) + 4 <= 1400
    assert hbformat.decode(data, key)[0] == held


def test_a_seal_of_the_first_daemons_holds_nothing():
    data = samples.golden("heartbeat-crc")
    assert len(data) == 1060
    seal = hbformat.decode(data, None)[0].seal
    assert (seal.xapi_held_s, seal.disarm_term_s, seal.term_is_over) == (0, 0, False)


def test_a_hold_that_is_longer_than_its_field_is_shown_as_the_longest():
    held = samples.HEARTBEAT._replace(seal=samples.HEARTBEAT.seal._replace(xapi_held_s=70000))
    assert hbformat.decode(hbformat.encode(held, None), None)[0].seal.xapi_held_s == 65535


def test_a_seal_of_version_0_was_never_sent():
    assert hbformat.decode(newer(0, b""), None)[1] is Proof.BROKEN


def test_a_fencing_mode_of_a_newer_version_counts_as_armed():
    data = bytearray(hbformat.encode(samples.HEARTBEAT, None)[:-4])
    data[757] = 200
    data = bytes(data) + struct.pack("<I", crc.crc32c(bytes(data)))
    assert hbformat.decode(data, None)[0].seal.fencing is FencingMode.ARMED


# What is no heartbeat

REFUSED = [
    # at    bytes                cause          why
    (0,     b"\0",               "signature",   "another protocol"),
    (12,    b"\0\x03",           "size",        "another size"),
    (12,    b"\xff\xff\xff\xff", "size",        "the largest size"),
    (16,    b"-",                "uuid",        "a generation UUID with a dash"),
    (47,    b"\0",               "uuid",        "a generation UUID too short"),
    (48,    b"\xff",             "uuid",        "a host UUID that is not even ASCII"),
    (80,    b"\x40",             "host-index",  "host 64"),
    (80,    b"\xe8\x03",         "host-index",  "host 1000 (spec 14, 10)"),
    (80,    b"\x40\x42\x0f",     "host-index",  "host 1000000"),
    (80,    b"\xff\xff\xff\xff", "host-index",  "host 2^32-1"),
    (632,   b"\x0c",             "phase",       "a phase that cannot be"),
    (632,   b"\xff\xff\xff\xff", "phase",       "another"),
]


@pytest.mark.parametrize("at, bad, cause, why", REFUSED, ids=[row[-1] for row in REFUSED])
def test_refused(at, bad, cause, why):
    data = hbformat.encode(PLAIN, None)
    with pytest.raises(DatagramError) as caught:
        hbformat.decode(data[:at] + bad + data[at + len(bad):], None)
    assert caught.value.cause == cause
    assert caught.value.args[0]


@pytest.mark.parametrize("size", [0, 1, 743, 1401, 2048])
def test_a_datagram_of_an_impossible_length_is_refused(size):
    with pytest.raises(DatagramError) as caught:
        hbformat.decode(hbformat.encode(PLAIN, None).ljust(2048, b"\0")[:size], None)
    assert caught.value.cause == "length"


def test_the_checksum_is_not_checked_as_in_the_original():
    data = hbformat.encode(PLAIN, None)
    assert hbformat.decode(data[:4] + b"abcd" + data[8:], None)[0] == PLAIN


def test_ages_of_an_xhad_that_wrapped_are_never():
    data = hbformat.encode(PLAIN, None)
    data = data[:116] + struct.pack("<i", -7) + data[120:628] + struct.pack("<i", -8) + data[632:]
    found, _ = hbformat.decode(data, None)
    assert found.since_heartbeat_ms[0] == NEVER
    assert found.since_heartbeat_ms[1:] == PLAIN.since_heartbeat_ms[1:]
    assert found.since_xapi_restart_ms == NEVER


def test_only_printable_ascii_of_the_xapi_error_is_kept():
    data = hbformat.encode(PLAIN, None)
    said = b"no \x1b[31mway\xe4\n!\0hidden"
    data = data[:636] + said.ljust(101, b"x") + data[737:]
    assert hbformat.decode(data, None)[0].xapi_error == "no [31mway!"


def test_an_xapi_error_without_an_end_is_at_most_its_field():
    data = hbformat.encode(PLAIN, None)
    data = data[:636] + b"e" * 101 + data[737:]
    assert hbformat.decode(data, None)[0].xapi_error == "e" * 101


def test_a_long_xapi_error_is_cut_and_ended():
    data = hbformat.encode(PLAIN._replace(xapi_error="e" * 500), None)
    assert data[636:737] == b"e" * 97 + b"...\0"


def test_flags_that_are_not_0_are_set_as_xhad_takes_them():
    data = hbformat.encode(PLAIN, None)
    found, _ = hbformat.decode(data[:737] + b"\x02\x80\x02\x02\x02\x02\xff", None)
    assert found.statefile_access and found.statefile_corrupted and found.accelerate
    assert found.fence_request and found.sr2 and found.joining


@pytest.mark.parametrize("seed", range(200))
def test_any_bytes_give_a_heartbeat_or_a_refusal(seed):
    chance = samples.chance(seed)
    data = bytearray(hbformat.encode(samples.HEARTBEAT, chance.choice((None, KEY))))
    for _ in range(chance.randrange(1, 20)):
        data[chance.randrange(len(data))] = chance.randrange(256)
    if chance.random() < 0.3:
        data[-4:] = struct.pack("<I", crc.crc32c(bytes(data[:-4])))
    try:
        found, _ = hbformat.decode(bytes(data), KEY)
    except DatagramError as error:
        assert error.cause in ("signature", "size", "uuid", "host-index", "phase")
    else:
        assert isinstance(found.phase, Phase)
        assert isinstance(found.current_liveset, HostSet)
