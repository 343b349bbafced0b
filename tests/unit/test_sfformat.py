"""Records of the State-File: bytes to records and back, and every kind of damage."""

import struct

import format_samples as samples
import pytest

from xha import crc, sealformat, sfformat
from xha.errors import FormatError
from xha.hostset import HostSet
from xha.poolkey import PoolKey
from xha.published import (
    BLANK_RECORD, NEVER, Configuration, Fault, FencingMode, GlobalSeal, LastWords, Phase, PoolState,
    WatchdogMode)
from xha.sealformat import SealState

SEALED_GLOBAL = sfformat.encode_global(samples.GLOBAL)
SEALED_HOST = sfformat.encode_host(samples.HOST)
PLAIN_GLOBAL = samples.GLOBAL._replace(pool_key=None, seal=None)
PLAIN_HOST = samples.HOST._replace(seal=None)

#: A complete look at all 32768 bits takes a second with compiled crcmod, a minute without.
STRIDE = 1 if crc.is_compiled() else 97


def rewritten_by_xhad(sealed, plain):
    """What is on the disk after an xhad wrote its part over ``sealed``."""
    size = 512 if plain[:4] == b"pool" else 1024
    return plain[:size] + sealed[size:]


def resealed(data, at, replacement):
    """``data`` with some bytes replaced and its CRC made right again."""
    changed = data[:at] + replacement + data[at + len(replacement):sealformat.CRC_OFFSET]
    changed = changed[:sealformat.CRC_OFFSET]
    return changed + struct.pack("<I", crc.crc32c(changed))


def rebased(data, at, value):
    """``data``, unsealed, with one word of the base replaced and its checksum made right."""
    old = struct.unpack_from("<I", data, at)[0]
    checksum = (struct.unpack_from("<I", data, 8)[0] - old + value) & 0xFFFFFFFF
    changed = data[:at] + struct.pack("<I", value) + data[at + 4:]
    return changed[:8] + struct.pack("<I", checksum) + changed[12:]


# What the original wrote

@pytest.mark.parametrize("name", samples.IMAGES)
def test_images_of_the_original_encode_to_the_same_bytes(name):
    sections = samples.image(name)
    assert len(sections) == sfformat.SECTIONS
    assert sfformat.encode_global(sfformat.decode_global(sections[0])) == sections[0]
    for section in sections[1:]:
        assert sfformat.encode_host(sfformat.decode_host(section)) == section


@pytest.mark.parametrize("name", samples.TRACES)
def test_records_of_the_originals_conversations_encode_to_the_same_bytes(name):
    count = 0
    for line in samples.trace(name):
        if "record" in line:
            data = bytes.fromhex(line["record"]).ljust(4096, b"\0")
            assert sfformat.encode_host(sfformat.decode_host(data)) == data
        elif "global" in line:
            data = bytes.fromhex(line["global"]).ljust(4096, b"\0")
            assert sfformat.encode_global(sfformat.decode_global(data)) == data
        count += "record" in line or "global" in line
    assert count > 10


def test_fields_of_the_originals_image_are_what_its_dump_says():
    sections = samples.image("crash2")
    content = sfformat.decode_global(sections[0])
    assert content.generation_uuid == "0f0f0f0faaaa4bbb8ccc00000000d00d"
    assert content.pool_state is PoolState.ACTIVE
    assert content.master == "10000001111142228333000000000001"
    assert content.host_count == 3
    assert content.pool_key is None
    host = sfformat.decode_host(sections[2])
    assert host.sequence == 35
    assert host.host_index == 1
    assert host.since_heartbeat_ms[:4] == (51, 50, 21037, 0)
    assert host.since_statefile_ms[:4] == (1501, 1501, 21035, 0)
    assert host.since_xapi_restart_ms == NEVER
    assert host.current_liveset == HostSet([0, 1])
    assert host.lock_request is True
    assert host.phase is Phase.STARTED
    assert host.seal is None


def test_initialised_record_of_the_original_is_the_blank_record():
    assert sfformat.decode_host(samples.image("setinit")[1]) == BLANK_RECORD


# Golden bytes: to change them is to change the format

def test_golden_bytes_of_global_records():
    assert sfformat.encode_global(samples.GLOBAL) == samples.golden("global-sealed")
    assert sfformat.encode_global(PLAIN_GLOBAL) == samples.golden("global-xhad")
    assert sfformat.decode_global(samples.golden("global-sealed")) == samples.GLOBAL


def test_the_configuration_that_a_host_goes_by_has_its_place():
    """40 bytes of what was room before: zero where an older version wrote the record."""
    said = Configuration(fingerprint=0x1122334455667788,
                         times_ms=(1, 2, 3, 4, 5, 6, 7, 2000000000))
    bare = sfformat.encode_host(samples.HOST)
    full = sfformat.encode_host(samples.HOST._replace(
        seal=samples.HOST.seal._replace(configuration=said)))
    assert bare[1092:1132] == bytes(40)
    assert full[1092:1132] == struct.pack("<Q8I", 0x1122334455667788, 1, 2, 3, 4, 5, 6, 7,
                                          2000000000)
    assert (full[:1092], full[1132:4092]) == (bare[:1092], bare[1132:4092])
    assert sfformat.decode_host(full).seal.configuration == said
    assert sfformat.decode_host(bare).seal.configuration is None


def test_golden_bytes_of_host_records():
    assert sfformat.encode_host(samples.HOST) == samples.golden("host-sealed")
    assert sfformat.encode_host(BLANK_RECORD) == samples.golden("host-initialised")
    assert sfformat.decode_host(samples.golden("host-sealed")) == samples.HOST


# Round trips

@pytest.mark.parametrize("seed", range(100))
def test_any_host_record_survives_the_round_trip(seed):
    content = samples.random_host(samples.chance(seed))
    data = sfformat.encode_host(content)
    assert len(data) == 4096
    assert sfformat.decode_host(data) == content
    assert sfformat.section_of_host(data, content.host_index).content == content


@pytest.mark.parametrize("seed", range(50))
def test_any_global_record_survives_the_round_trip(seed):
    chance = samples.chance(seed)
    content = samples.GLOBAL._replace(
        generation_uuid=samples.random_uuid(chance), master=samples.random_uuid(chance),
        pool_state=chance.choice(list(PoolState)), host_count=chance.randrange(1, 65),
        pool_key=chance.choice((None, PoolKey(bytes(chance.randrange(256) for _ in range(32))))),
        seal=GlobalSeal(software=samples.random_text(chance, 32),
                        initialised_by=samples.random_text(chance, 64),
                        initialised_at_wall_s=chance.getrandbits(64)))
    assert sfformat.decode_global(sfformat.encode_global(content)) == content


def test_a_pool_key_is_carried_without_anything_else_in_the_seal():
    content = samples.GLOBAL._replace(seal=None)
    assert sfformat.decode_global(sfformat.encode_global(content)).pool_key == samples.KEY


def test_ages_beyond_the_field_are_written_as_the_longest_it_holds():
    content = PLAIN_HOST._replace(
        since_heartbeat_ms=(1 << 40,) * 64, since_xapi_restart_ms=1 << 31)
    found = sfformat.decode_host(sfformat.encode_host(content))
    assert found.since_heartbeat_ms == (0x7FFFFFFF,) * 64
    assert found.since_xapi_restart_ms == 0x7FFFFFFF


def test_ages_of_an_xhad_that_wrapped_are_never():
    data = rebased(sfformat.encode_host(PLAIN_HOST), 60, 0x80000001)
    assert sfformat.decode_host(data).since_heartbeat_ms[:2] == (NEVER, 101)


def test_texts_too_long_are_cut_and_other_letters_replaced():
    words = samples.WORDS._replace(code="c" * 40, text="a\u00e4\n" + "b" * 300)
    seal = samples.HOST.seal._replace(last_words=words, software="s" * 40)
    found = sfformat.decode_host(sfformat.encode_host(samples.HOST._replace(seal=seal))).seal
    assert found.software == "s" * 29 + "..."
    assert found.last_words.code == "c" * 29 + "..."
    assert found.last_words.text == "a??" + "b" * 178 + "..."


def test_last_words_without_a_code_are_still_last_words():
    nothing = HostSet()
    words = LastWords(code="", text="", at_wall_s=0, incarnation=0, liveset=nothing,
                      heartbeat_domain=nothing, statefile_domain=nothing)
    seal = samples.HOST.seal._replace(last_words=words)
    found = sfformat.decode_host(sfformat.encode_host(samples.HOST._replace(seal=seal))).seal
    assert found.last_words == words._replace(code="unknown")


# Verifying a record.  Source: spec 3, "Verifying a record"

def test_no_single_flipped_bit_of_a_sealed_host_record_passes():
    for bit in range(0, 8 * 4096, STRIDE):
        with pytest.raises(FormatError):
            sfformat.decode_host(samples.flipped(SEALED_HOST, bit))


def test_no_single_flipped_bit_of_a_sealed_global_record_passes():
    for bit in range(0, 8 * 4096, STRIDE):
        with pytest.raises(FormatError):
            sfformat.decode_global(samples.flipped(SEALED_GLOBAL, bit))


def test_no_single_flipped_bit_of_a_rewritten_global_record_changes_what_it_says():
    data = rewritten_by_xhad(SEALED_GLOBAL, sfformat.encode_global(
        PLAIN_GLOBAL._replace(master="0" * 32)))
    good = sfformat.decode_global(data)
    corrupt = 0
    for bit in range(0, 8 * 4096, STRIDE):
        section = sfformat.section_of_global(samples.flipped(data, bit))
        assert section.fault is Fault.CORRUPT or section.content == good
        corrupt += section.fault is Fault.CORRUPT
    assert corrupt > 8 * (104 + 100) // STRIDE


def test_swapped_words_that_the_sum_misses_do_not_pass_the_crc():
    data = bytearray(SEALED_HOST)
    data[60:64], data[64:68] = data[64:68], data[60:64]
    assert sum(struct.unpack("<154I", bytes(data[12:628]))) & 0xFFFFFFFF == struct.unpack(
        "<I", bytes(data[8:12]))[0]
    with pytest.raises(FormatError, match="CRC is 0x"):
        sfformat.decode_host(bytes(data))


def test_a_torn_write_within_the_seal_does_not_pass():
    later = sfformat.encode_host(samples.HOST._replace(seal=samples.HOST.seal._replace(
        incarnation=1700000003)))
    for cut in range(1024 + 512, 4096, 512):
        with pytest.raises(FormatError):
            sfformat.decode_host(SEALED_HOST[:cut] + later[cut:])


def test_a_host_record_rewritten_by_an_xhad_is_unsealed():
    content = PLAIN_HOST._replace(sequence=77, excluded=False)
    data = rewritten_by_xhad(SEALED_HOST, sfformat.encode_host(content))
    assert sfformat.decode_host(data) == content
    assert sfformat.seal_state(data) is SealState.STALE


def test_a_global_record_rewritten_by_an_xhad_keeps_the_pool_key_and_who_initialised():
    content = PLAIN_GLOBAL._replace(master="0" * 32, pool_state=PoolState.INIT)
    data = rewritten_by_xhad(SEALED_GLOBAL, sfformat.encode_global(content))
    found = sfformat.decode_global(data)
    assert found == content._replace(pool_key=samples.KEY, seal=samples.GLOBAL.seal)
    assert sfformat.seal_state(data) is SealState.STALE


def test_a_rewrite_of_ours_carries_the_key_of_a_record_that_an_xhad_rewrote():
    data = rewritten_by_xhad(SEALED_GLOBAL, sfformat.encode_global(
        PLAIN_GLOBAL._replace(pool_state=PoolState.INIT)))
    again = sfformat.encode_global(sfformat.decode_global(data))
    assert sfformat.decode_global(again).pool_key == samples.KEY
    assert sfformat.seal_state(again) is SealState.INTACT


def test_a_damaged_pool_key_is_no_pool_without_a_key():
    data = bytearray(rewritten_by_xhad(SEALED_GLOBAL, sfformat.encode_global(
        PLAIN_GLOBAL._replace(master="0" * 32))))
    data[1160] ^= 0x10
    with pytest.raises(FormatError, match="the part with the pool key is damaged"):
        sfformat.decode_global(bytes(data))


def test_what_lay_on_a_used_disk_before_the_originals_init_is_no_seal():
    chance = samples.chance(1)
    rest = bytes(chance.randrange(256) for _ in range(3072))
    data = sfformat.encode_host(PLAIN_HOST)[:1024] + rest
    assert sfformat.decode_host(data) == PLAIN_HOST
    data = sfformat.encode_global(PLAIN_GLOBAL)[:1024] + rest
    assert sfformat.decode_global(data) == PLAIN_GLOBAL


def test_a_newer_seal_is_read_as_far_as_we_know_it():
    data = resealed(SEALED_HOST, 1032, struct.pack("<I", 7))
    data = resealed(data, 3000, b"something new")
    assert sfformat.decode_host(data) == samples.HOST
    data = resealed(SEALED_GLOBAL, 1032, struct.pack("<I", 7))
    assert sfformat.decode_global(data) == samples.GLOBAL


def test_a_seal_of_version_0_was_never_written():
    with pytest.raises(FormatError, match="seal version is 0"):
        sfformat.decode_host(resealed(SEALED_HOST, 1032, struct.pack("<I", 0)))


UNKNOWN_MODES = [
    # at   field            taken as               why
    (1088, "fencing",       FencingMode.ARMED,     "disarmed would be dropped at once"),
    (1089, "watchdog_mode", WatchdogMode.UNKNOWN,  "no proof"),
]


@pytest.mark.parametrize("at, field, expected, why", UNKNOWN_MODES,
                         ids=[row[-1] for row in UNKNOWN_MODES])
def test_a_mode_of_a_newer_version(at, field, expected, why):
    found = sfformat.decode_host(resealed(SEALED_HOST, at, b"\x09")).seal
    assert getattr(found, field) is expected


BAD_BASES = [
    # at  value       says                         why
    (16,  64,         "host index is 64",          "a host that cannot be"),
    (16,  0xFFFFFFFF, "host index is 4294967295",  "one that crashed the original"),
    (20,  0x20202020, "host UUID is",              "letters that are no UUID"),
    (20,  0,          "host UUID is",              "a UUID with a hole"),
    (620, 12,         "phase is 12",               "a phase that cannot be"),
    (628, 0,          "end marker is 0x00000000",  "an end that is not there"),
]


@pytest.mark.parametrize("at, value, says, why", BAD_BASES, ids=[row[-1] for row in BAD_BASES])
def test_a_host_record_that_holds_but_says_what_cannot_be_is_corrupt(at, value, says, why):
    section = sfformat.section_of_host(rebased(sfformat.encode_host(PLAIN_HOST), at, value))
    assert section.fault is Fault.CORRUPT
    assert section.text.startswith(says)
    assert section.content is None


BAD_GLOBALS = [
    # at  value       says                     why
    (60,  4,          "pool state is 4",       "a pool state that cannot be"),
    (60,  77,         "pool state is 77",      "one that the original writes (spec 14, 14)"),
    (96,  0,          "number of hosts is 0",  "a pool of nobody"),
    (96,  65,         "number of hosts is 65", "a pool too large"),
    (28,  0x2D303030, "generation UUID is",    "a UUID with a dash"),
    (64,  0,          "master is",             "a master with a hole"),
]


@pytest.mark.parametrize("at, value, says, why", BAD_GLOBALS,
                         ids=[row[-1] for row in BAD_GLOBALS])
def test_a_global_record_that_holds_but_says_what_cannot_be_is_corrupt(at, value, says, why):
    section = sfformat.section_of_global(rebased(sfformat.encode_global(PLAIN_GLOBAL), at, value))
    assert section.fault is Fault.CORRUPT
    assert section.text.startswith(says)


@pytest.mark.parametrize("at, value", [(12, 3), (12, 1), (16, 8192), (20, 512), (24, 65)])
def test_an_intact_global_record_of_another_format_is_a_version_mismatch(at, value):
    section = sfformat.section_of_global(rebased(sfformat.encode_global(PLAIN_GLOBAL), at, value))
    assert section.fault is Fault.VERSION
    assert "expected version 2" in section.text
    assert section.generation_uuid == PLAIN_GLOBAL.generation_uuid


def test_a_damaged_version_is_damage_and_no_version():
    data = samples.flipped(sfformat.encode_global(PLAIN_GLOBAL), 8 * 12)
    assert sfformat.section_of_global(data).fault is Fault.CORRUPT


def test_flags_that_are_not_0_are_set_as_xhad_takes_them():
    plain = sfformat.encode_host(PLAIN_HOST._replace(starting=False))
    assert sfformat.decode_host(rebased(plain, 56, 0x100)).starting is True


# Sections

def test_a_blank_section_says_so():
    for section in (sfformat.section_of_global(bytes(4096)), sfformat.section_of_host(bytes(4096))):
        assert section.fault is Fault.CORRUPT
        assert section.blank is True
        assert section.generation_uuid == ""
        assert section.fingerprint != 0


def test_a_bad_global_section_says_whose_generation_it_was():
    data = samples.flipped(SEALED_GLOBAL, 8 * 2000)
    assert sfformat.section_of_global(data).generation_uuid == samples.GLOBAL.generation_uuid
    data = samples.flipped(SEALED_GLOBAL, 8 * 28 + 7)
    assert sfformat.section_of_global(data).generation_uuid == ""


def test_fingerprints_are_equal_for_equal_bad_bytes_only():
    chance = samples.chance(2)
    bad = [samples.flipped(SEALED_HOST, chance.randrange(8 * 4096)) for _ in range(200)]
    prints = {}
    for data in bad:
        prints.setdefault(sfformat.section_of_host(data).fingerprint, set()).add(data)
        assert sfformat.section_of_host(data).fingerprint == sfformat.fingerprint(data)
    assert all(len(alike) == 1 for alike in prints.values())


def test_a_good_section_has_its_content_and_no_fault():
    section = sfformat.section_of_host(SEALED_HOST, 2)
    assert section.fault is Fault.NONE
    assert section.content == samples.HOST
    assert section.text == ""
    assert section.blank is False


def test_a_write_that_the_storage_misdirected_is_corrupt():
    section = sfformat.section_of_host(SEALED_HOST, 1)
    assert section.fault is Fault.CORRUPT
    assert section.text == "record of host 2 in the section of host 1"


def test_an_initialised_record_is_good_in_every_section():
    data = sfformat.encode_host(BLANK_RECORD)
    assert all(sfformat.section_of_host(data, index).fault is Fault.NONE for index in range(64))


def test_an_unreadable_section_has_no_fingerprint():
    section = sfformat.unreadable("Input/output error")
    assert section.fault is Fault.UNREADABLE
    assert section.fingerprint == 0
    assert section.text == "Input/output error"


@pytest.mark.parametrize("size", [0, 1, 104, 632, 1024, 4095, 4097])
def test_bytes_of_another_length_are_no_record(size):
    for judge in (sfformat.section_of_global, sfformat.section_of_host):
        section = judge(SEALED_HOST.ljust(8192, b"\0")[:size])
        assert section.fault is Fault.CORRUPT
        assert section.text == "record is {} bytes, expected 4096".format(size)


@pytest.mark.parametrize("seed", range(200))
def test_any_bytes_give_a_section(seed):
    chance = samples.chance(seed)
    data = bytearray(chance.choice((SEALED_HOST, SEALED_GLOBAL)))
    for _ in range(chance.randrange(1, 60)):
        data[chance.randrange(4096)] = chance.randrange(256)
    # With a sum and a CRC that hold, so that what lies behind them is reached.
    for at, words in ((100, 22), (628, 154)):
        if chance.random() < 0.5:
            data[8:12] = struct.pack("<I", sum(struct.unpack(
                "<{}I".format(words), bytes(data[12:at]))) & 0xFFFFFFFF)
            data[1036:1040] = data[8:12]
    data = resealed(bytes(data), 0, b"")
    for section in (sfformat.section_of_global(data), sfformat.section_of_host(data)):
        assert (section.content is None) == (section.fault is not Fault.NONE)
