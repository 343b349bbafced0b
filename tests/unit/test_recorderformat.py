"""A flight recorder's file: what is written is read, and what is damaged costs only itself."""
import binascii
import json
import random
import struct

import pytest
from recorder_samples import HEADER, event, file_of, measure

from xha import recorderformat
from xha.errors import FormatError
from xha.recorderformat import HEADER_SLOTS, SLOT_BYTES, Header

EVENTS_AT = 2 * HEADER_SLOTS * SLOT_BYTES
MEASURES_AT = EVENTS_AT + HEADER.event_slots * SLOT_BYTES

#: A slot as it will always be: by the table of the module.
GOLDEN = (
    "78686152"              # 0   "xhaR"
    "18adcc0f"              # 4   CRC-32 of what follows
    "01" "45" "00" "01"     # 8   version, kind E, part 0 of 1
    "0300" "0000"           # 12  length, zero
    "0901000000000000"      # 16  the 265th slot of its ring
    "7b20 7d")              # 24  the text


def read(data):
    return recorderformat.decode(data)


def test_a_slot_has_the_bytes_that_it_always_had():
    slot = recorderformat.pack(b"E", 265, b"{ }")
    expected = bytes.fromhex(GOLDEN.replace(" ", ""))
    assert len(slot) == SLOT_BYTES
    assert slot[:4] + slot[8:len(expected)] == expected[:4] + expected[8:]
    assert slot[len(expected):] == bytes(SLOT_BYTES - len(expected))
    assert struct.unpack_from("<I", slot, 4)[0] == binascii.crc32(slot[8:])
    assert slot[:len(expected)].hex() == expected.hex()


def test_what_is_written_is_read():
    entries = [event(0, "watchdog-mode-none", "warning"),
               event(10, "liveset-changed", liveset="110", ready=True, count=-3),
               event(20)._replace(kind="state", name="", level="", fields=(("phase", "FH1"),)),
               measure(25, heartbeats=(1, 0, 2), span_ms=10000),
               event(30, "traceback", "err", line="x" * 400)]
    found = read(file_of(entries))
    assert found.header == HEADER
    assert list(found.entries) == entries
    assert found.damaged == 0


SIZES = [
    # characters of a field, slots of the record, why
    (10,    1,  "one slot"),
    (1000,  3,  "several slots"),
    (7500,  16, "as many as there may be"),
]


@pytest.mark.parametrize("length, slots, why", SIZES, ids=[row[-1] for row in SIZES])
def test_a_record_has_as_many_slots_as_its_text_needs(length, slots, why):
    entry = event(0, line="y" * length)
    assert len(recorderformat.pack(b"E", 0, recorderformat.encode_entry(entry))) == (
        slots * SLOT_BYTES)
    assert read(file_of([entry])).entries == (entry,)


def test_a_record_that_is_too_long_loses_its_longest_field():
    entry = event(0, line="z" * 9000, count=3)
    found = read(file_of([entry])).entries
    assert found == (entry._replace(fields=(("count", 3),)),)


@pytest.mark.parametrize("length", [10, 600, 1200])
def test_a_ring_that_came_round_holds_the_last_records_in_order(length):
    entries = [event(number, line="a" * length, count=number) for number in range(100)]
    found = read(file_of(entries)).entries
    slots = len(recorderformat.pack(b"E", 0, recorderformat.encode_entry(entries[0])))
    assert len(found) >= HEADER.event_slots * SLOT_BYTES // slots - 1
    assert list(found) == entries[-len(found):]


def test_what_a_ring_that_came_round_has_cut_off_is_all_that_counts_as_damage():
    """The oldest record's first slot may be overwritten; the rest of it is nobody's."""
    entries = [event(number, line="a" * 1200, count=number) for number in range(100)]
    assert read(file_of(entries)).damaged == 0


def test_measurements_never_push_out_events():
    entries = [event(0)] + [measure(number, span_ms=number) for number in range(1, 500)]
    found = read(file_of(entries)).entries
    assert found[0] == entries[0]
    assert len(found) == 1 + HEADER.measure_slots


def test_a_write_that_was_cut_short_anywhere_costs_nothing_that_was_before():
    before = [event(number, count=number) for number in range(5)]
    last = event(9, line="b" * 1000)
    whole, without = file_of(before + [last]), file_of(before)
    start = EVENTS_AT + 5 * SLOT_BYTES
    for cut in range(start + 1, start + 3 * SLOT_BYTES, 7):
        # Of the last slot only zeros may be missing.
        torn = whole[:cut] + without[cut:]
        found = read(torn)
        assert list(found.entries[:5]) == before
        assert (len(found.entries) == 6) is (torn == whole)
        assert (found.damaged > 0) is (torn != whole)


def test_sectors_that_were_written_in_any_order_cost_only_their_record():
    old = [event(number, line="c" * 1000, count=number) for number in range(10)]
    new = old + [event(20, line="d" * 1000)]
    before, after = file_of(old), file_of(new)
    start = EVENTS_AT + 30 * SLOT_BYTES         # It goes around the end: slots 30, 31 and 0.
    places = [start, start + SLOT_BYTES, EVENTS_AT]
    for written in range(8):
        data = bytearray(before)
        for bit, place in enumerate(places):
            if written >> bit & 1:
                data[place:place + SLOT_BYTES] = after[place:place + SLOT_BYTES]
        found = read(bytes(data)).entries
        assert set(old[1:]) <= set(found)
        assert (new[-1] in found) is (written == 7)


def test_every_flipped_bit_of_a_slot_is_found_out():
    entries = [event(number, count=number) for number in range(3)]
    data = file_of(entries)
    for bit in range(SLOT_BYTES * 8):
        changed = bytearray(data)
        changed[EVENTS_AT + SLOT_BYTES + bit // 8] ^= 1 << bit % 8
        found = read(bytes(changed))
        assert list(found.entries) == [entries[0], entries[2]], bit
        assert found.damaged == 1, bit


def test_a_file_that_is_cut_short_is_read_as_far_as_it_goes():
    entries = [event(number) for number in range(20)] + [measure(30, span_ms=1)]
    data = file_of(entries)
    for length in range(HEADER_SLOTS * SLOT_BYTES, len(data), 211):
        found = read(data[:length]).entries
        assert list(found) == entries[:max(0, min(20, (length - EVENTS_AT) // SLOT_BYTES))] + (
            entries[20:] if length >= MEASURES_AT + SLOT_BYTES else [])


HEADERS = [
    # damaged copies, whether it is read, why
    ((0,),   True,  "the first copy"),
    ((1,),   True,  "the second copy"),
    ((0, 1), False, "both copies"),
]


@pytest.mark.parametrize("copies, good, why", HEADERS, ids=[row[-1] for row in HEADERS])
def test_one_copy_of_the_header_is_enough(copies, good, why):
    data = bytearray(file_of([event(1)]))
    for copy in copies:
        data[copy * HEADER_SLOTS * SLOT_BYTES + 100] ^= 1
    if good:
        assert read(bytes(data)).entries == (event(1),)
    else:
        with pytest.raises(FormatError, match="no header of a flight recorder"):
            read(bytes(data))


def test_the_second_copy_says_that_the_host_was_online():
    data = bytearray(file_of([]))
    copy = recorderformat.encode_header(HEADER._replace(online=True))
    data[len(copy):2 * len(copy)] = copy
    assert recorderformat.decode_header(bytes(data)).online
    data[len(copy) + 50] ^= 1
    assert not recorderformat.decode_header(bytes(data)).online


def test_the_header_of_the_largest_pool_has_room():
    large = HEADER._replace(
        addresses=tuple("fd00:1111:2222:3333:4444:5555:6666:{:04x}".format(index)
                        for index in range(64)), machine="m" * 64)
    assert recorderformat.decode_header(recorderformat.encode_header(large)) == large


def test_the_real_sizes_are_what_the_documentation_says():
    real = HEADER._replace(event_slots=recorderformat.EVENT_SLOTS,
                           measure_slots=recorderformat.MEASURE_SLOTS)
    assert real.file_bytes < 1600000
    assert real.file_bytes < recorderformat.MAX_FILE


TEXTS = [
    # a text with a good CRC that is no entry, why
    (b"", "nothing"),
    (b"{", "no JSON"),
    (b"[" * 4000, "a depth that JSON's reader does not go to"),
    (b"[1]", "no object"),
    (b"\xff\xfe", "no ASCII"),
    (b"{}", "nothing in it"),
    (b'{"k":"event","w":1.5,"m":1,"i":1,"n":"","l":"","f":{}}', "a fraction"),
    (b'{"k":"event","w":true,"m":1,"i":1,"n":"","l":"","f":{}}', "a truth value for a time"),
    (b'{"k":"event","w":1e999,"m":1,"i":1,"n":"","l":"","f":{}}', "infinity"),
    (b'{"k":"event","w":' + b"9" * 5000 + b',"m":1,"i":1,"n":"","l":"","f":{}}', "a huge number"),
    (b'{"k":"event","w":1,"m":1,"i":-1,"n":"","l":"","f":{}}', "an incarnation below 0"),
    (b'{"k":7,"w":1,"m":1,"i":1,"n":"","l":"","f":{}}', "a kind that is no text"),
    (b'{"k":"event","w":1,"m":1,"i":1,"n":"","l":"","f":[]}', "fields without names"),
    (b'{"k":"event","w":1,"m":1,"i":1,"n":"","l":"","f":{"a":{}}}', "an object in a field"),
    (b'{"k":"event","w":1,"m":1,"i":1,"n":"","l":"","f":{"a":NaN}}', "no number in a field"),
    (b'{"k":"event","w":1,"m":1,"i":1,"n":"","l":"","f":{"a":[[[1]]]}}', "lists too deep"),
]


@pytest.mark.parametrize("text, why", TEXTS, ids=[row[-1] for row in TEXTS])
def test_a_slot_whose_text_is_no_record_is_damage(text, why):
    data = bytearray(file_of([event(1)]))
    slots = recorderformat.pack(b"E", 1, text or b" ")
    data[EVENTS_AT + SLOT_BYTES:EVENTS_AT + SLOT_BYTES + len(slots)] = slots
    found = read(bytes(data))
    assert found.entries == (event(1),)
    assert found.damaged == 1


BAD_HEADERS = [
    # change, why
    ({"host": 64}, "a host too many"), ({"host": "1"}, "a host that is no number"),
    ({"event_slots": 15}, "a ring too small"), ({"event_slots": 1 << 20}, "a ring too large"),
    ({"addresses": "10.0.0.1"}, "addresses that are no list"), ({"addresses": [1]}, "numbers"),
    ({"boot_id": None}, "no boot"), ({"heartbeat_timeout_ms": -1}, "a time-out before it began"),
    ({"statefile_timeout_ms": "5 s"}, "a time-out that is no number"),
]


@pytest.mark.parametrize("change, why", BAD_HEADERS, ids=[row[-1] for row in BAD_HEADERS])
def test_a_header_that_cannot_be_is_none(change, why):
    found = dict(HEADER._asdict(), addresses=list(HEADER.addresses))
    found.update(change)
    slots = recorderformat.pack(b"H", 0, json.dumps(found).encode("ascii"))
    with pytest.raises(FormatError):
        recorderformat.decode_header(slots)


def test_a_header_without_time_outs_has_none_that_is_known():
    told = dict(HEADER._asdict(), addresses=list(HEADER.addresses))
    del told["heartbeat_timeout_ms"], told["statefile_timeout_ms"]
    slots = recorderformat.pack(b"H", 0, json.dumps(told).encode("ascii"))
    assert recorderformat.decode_header(slots) == HEADER._replace(
        heartbeat_timeout_ms=0, statefile_timeout_ms=0)


def outcome(data):
    """What any bytes give: records, or the documented error."""
    try:
        found = recorderformat.decode(data)
    except FormatError:
        return None
    assert isinstance(found.header, Header)
    assert sorted(found.entries, key=lambda entry: entry.mono_ms) == list(found.entries)
    return found


@pytest.mark.parametrize("seed", range(40))
def test_any_bytes_give_records_or_the_documented_error(seed):
    dice = random.Random(seed)
    noise = bytes(dice.getrandbits(8) for _ in range(dice.choice((0, 1, 511, 512, 9000, 20000))))
    assert outcome(noise) is None
    data = bytearray(file_of([event(number, line="e" * dice.randrange(900), count=number)
                              for number in range(40)]))
    original = set(read(bytes(data)).entries)
    for _ in range(dice.randrange(1, 400)):
        data[dice.randrange(len(data))] = dice.getrandbits(8)
    found = outcome(bytes(data[:dice.randrange(len(data) + 1)]))
    assert found is None or set(found.entries) <= original, "nothing was made up"


@pytest.mark.parametrize("seed", range(20))
def test_slots_with_a_good_crc_may_hold_anything(seed):
    """A file that somebody made on purpose: parts, numbers and texts as they please."""
    dice = random.Random(seed)
    data = bytearray(file_of([event(1)]))
    for place in range(2 * HEADER_SLOTS, len(data) // SLOT_BYTES):
        text = bytes(dice.choice(b'{}[]":,01e.ktrue\xff') for _ in range(dice.randrange(60)))
        slot = struct.pack("<BsBBHHQ", 1, dice.choice((b"E", b"M", b"H")), dice.randrange(20),
                           dice.randrange(20), dice.choice((len(text), 488, 65535)), 0,
                           dice.choice((place - 32, place, place + 32, (1 << 64) - 1)))
        slot = (slot + text).ljust(SLOT_BYTES - 8, b"\0")
        data[place * SLOT_BYTES:(place + 1) * SLOT_BYTES] = (
            b"xhaR" + struct.pack("<I", binascii.crc32(slot)) + slot)
    assert outcome(bytes(data)) is not None
