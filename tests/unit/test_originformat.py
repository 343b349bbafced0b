"""The part of the global record that holds the pool's keys, to the byte."""
import format_samples as samples
import pytest

from xha import originformat, sealformat, sfformat
from xha.crc import crc32c
from xha.errors import FormatError
from xha.poolkey import PoolKey, Ring

OTHER = PoolKey(bytes(range(100, 132)))

RINGS = [
    # step  also    why
    (0,     None,   "never changed"),
    (1,     OTHER,  "announced"),
    (2,     OTHER,  "changed"),
    (3,     None,   "settled again"),
    (1 << 40, OTHER, "changed very often"),
]


@pytest.mark.parametrize("step, also, why", RINGS, ids=[row[-1] for row in RINGS])
def test_a_ring_survives_the_round_trip(step, also, why):
    content = samples.GLOBAL.with_ring(Ring(step=step, key=samples.KEY, also=also))
    data = sfformat.encode_global(content)
    found = sfformat.decode_global(data)
    assert found == content
    assert found.ring == Ring(step=step, key=samples.KEY, also=also)
    # Never changed, it is what the daemons before this wrote.
    assert any(data[1196:1280]) is (step > 0)
    assert not any(data[1280:4092])


def test_golden_bytes_of_a_record_whose_key_is_changed():
    content = samples.GLOBAL.with_ring(Ring(step=2, key=samples.KEY, also=OTHER))
    assert sfformat.encode_global(content) == samples.golden("global-key-changing")
    assert sfformat.decode_global(samples.golden("global-key-changing")) == content


def test_the_bytes_of_a_ring_are_where_the_table_says():
    data = sfformat.encode_global(samples.GLOBAL.with_ring(
        Ring(step=7, key=samples.KEY, also=OTHER)))
    assert data[1156:1188] == samples.KEY
    assert data[1196:1204] == b"xha-ring"
    assert data[1204:1212] == b"\7" + bytes(7)
    assert data[1212:1216] == b"\1\0\0\0" and not any(data[1216:1244])
    assert data[1244:1276] == OTHER
    assert data[1276:1280] == crc32c(data[1040:1276]).to_bytes(4, "little")
    # One sector: written whole, or not at all.
    assert 1040 // 512 == 1279 // 512


def resealed(data):
    """The record with the CRC of its seal put right."""
    return data[:4092] + crc32c(data[:4092]).to_bytes(4, "little")


def without_crc(data, at, byte):
    """The record with one byte changed, and the seal's own CRC put right: damage that the origin's
    CRCs alone must find, as where xhad has rewritten the base and the seal is stale."""
    return resealed(data[:at] + bytes([byte]) + data[at + 1:])


def test_no_damaged_byte_of_origin_or_ring_is_believed():
    content = samples.GLOBAL.with_ring(Ring(step=4, key=samples.KEY, also=OTHER))
    data = sfformat.encode_global(content)
    for at in range(1040, 1280):
        for bit in (1, 128):
            with pytest.raises(FormatError) as caught:
                sfformat.decode_global(without_crc(data, at, data[at] ^ bit))
            assert "pool key is damaged" in str(caught.value)
            for key in (samples.KEY, OTHER):
                assert bytes(key).hex() not in str(caught.value)
                assert repr(bytes(key)[:8])[2:-1] not in str(caught.value)


def closed(data):
    return data + crc32c(data).to_bytes(4, "little")


WRONG = [
    # step, two, key   why
    (0, 0, True,       "a ring of a key that was never changed"),
    (1, 0, True,       "announced, and no other key"),
    (2, 0, True,       "changed, and no other key"),
    (3, 1, True,       "settled, and another key"),
    (1, 1, False,      "another key where there is none"),
]


@pytest.mark.parametrize("step, two, keyed, why", WRONG, ids=[row[-1] for row in WRONG])
def test_a_ring_that_cannot_be_is_refused(step, two, keyed, why):
    content = samples.GLOBAL if keyed else samples.GLOBAL._replace(pool_key=None)
    origin = originformat.encode(content)
    ring = b"xha-ring" + step.to_bytes(8, "little") + two.to_bytes(4, "little") + bytes(28 + 32)
    data = sfformat.encode_global(content)
    with pytest.raises(FormatError):
        sfformat.decode_global(resealed(data[:1040] + closed(origin + ring) + data[1280:]))


def test_the_ring_stays_valid_when_xhad_rewrites_the_base():
    ring = Ring(step=5, key=samples.KEY, also=OTHER)
    data = sfformat.encode_global(samples.GLOBAL.with_ring(ring))
    base = sfformat.encode_global(samples.GLOBAL._replace(
        pool_key=None, seal=None, master="0" * 32))
    found = sfformat.decode_global(base[:512] + data[512:])
    assert found.master == "0" * 32
    assert found.ring == ring


def test_an_older_xha_leaves_the_key_that_is_sent_with():
    """It knows no ring and writes zeros there: who knows better puts it back (``keyring``)."""
    data = sfformat.encode_global(samples.GLOBAL.with_ring(
        Ring(step=5, key=samples.KEY, also=OTHER)))
    assert sealformat.RECORD_BYTES == len(data)
    older = resealed(data[:1196] + bytes(84) + data[1280:])
    assert sfformat.decode_global(older).ring == Ring(step=0, key=samples.KEY, also=None)
