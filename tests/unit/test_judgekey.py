"""What dumps and `doctor --pool` tell of the pool's keys."""
import json

import format_samples as samples
import pytest
from core_samples import host_record, record_seal

from xha import judgekey, sfdump, sfformat
from xha.findings import Level
from xha.poolkey import PoolKey, Ring, fingerprint
from xha.sfdump import Image

NEW = PoolKey(bytes(range(100, 132)))
REST = Ring(step=3, key=samples.KEY, also=None)
ANNOUNCED = REST.announced(NEW)
CHANGED = ANNOUNCED.following()


def content(ring):
    return samples.GLOBAL.with_ring(ring)


DESCRIBED = [
    (None,      dict(pool_key_fingerprint=None, pool_key_changes=0, pool_key_stage=None,
                     other_key_fingerprint=None, pool_key_mark=None),
     "none: heartbeats are not authenticated"),
    (REST,      dict(pool_key_fingerprint=fingerprint(samples.KEY), pool_key_changes=1,
                     pool_key_stage="settled", other_key_fingerprint=None,
                     pool_key_mark="{:016x}".format(REST.mark)),
     "fingerprint {}, mark {:016x}".format(fingerprint(samples.KEY), REST.mark)),
    (CHANGED,   dict(pool_key_fingerprint=fingerprint(NEW), pool_key_changes=1,
                     pool_key_stage="changed", other_key_fingerprint=fingerprint(samples.KEY),
                     pool_key_mark="{:016x}".format(CHANGED.mark)),
     "fingerprint {}, being changed (changed): {} is accepted too, mark {:016x}".format(
         fingerprint(NEW), fingerprint(samples.KEY), CHANGED.mark)),
]


@pytest.mark.parametrize("ring, told, words", DESCRIBED, ids=["none", "at rest", "changing"])
def test_keys_are_told_by_their_fingerprints(ring, told, words):
    found = judgekey.described(content(ring))
    assert found == told
    assert judgekey.in_words(found) == words


def writing(**marks):
    return {int(name[1:]): host_record(int(name[1:]), seal=record_seal(keys=mark))
            for name, mark in marks.items()}


JUDGED = [
    # ring      who writes, and which mark            levels                said, of the last
    (REST,      writing(h0=REST.mark, h1=REST.mark),  ["ok"],               "changed once"),
    (None,      {},                                   ["warning"],          "there is none"),
    (ANNOUNCED, writing(h0=ANNOUNCED.mark),           ["ok"],
     "it is being changed, step 1 of 3 (announced)"),
    (ANNOUNCED, writing(h0=ANNOUNCED.mark, h2=REST.mark), ["ok", "warning"],
     "hosts 2 do not go by what the State-File holds"),
    (REST,      writing(h0=REST.mark, h1=0),          ["ok", "warning"],
     "hosts 1 do not say which keys they go by"),
    (REST,      {1: host_record(1, seal=None)},       ["ok"],               "changed once"),
]


@pytest.mark.parametrize("ring, hosts, levels, said", JUDGED, ids=[row[-1] for row in JUDGED])
def test_doctor_tells_who_goes_by_which(ring, hosts, levels, said):
    found = judgekey.judge(content(ring), hosts)
    assert [one.level for one in found] == [Level(level) for level in levels]
    assert said in found[-1].text
    assert all(one.check == "pool key" for one in found)


def test_no_form_of_a_dump_shows_either_key():
    sections = [sfformat.encode_global(content(CHANGED))] + [
        sfformat.encode_host(host_record(0, seal=record_seal(keys=CHANGED.mark)))] + [
        sfformat.encode_host(host_record(index)) for index in range(1, 64)]
    image = Image(path="image", size_bytes=4096 * 65, sections=tuple(sections))
    before = image._replace(sections=(sfformat.encode_global(content(REST)),) + image.sections[1:])
    damaged = image._replace(sections=(
        sections[0][:1160] + b"\xff" + sections[0][1161:],) + image.sections[1:])
    texts = [sfdump.as_text(image), sfdump.as_json(image), sfdump.as_original(image),
             sfdump.difference(before, image), repr(sfdump.describe(image)),
             sfdump.as_text(damaged), sfdump.as_json(damaged), sfdump.difference(image, damaged)]
    for key in (samples.KEY, NEW):
        for text in texts:
            for at in range(25):
                piece = bytes(key)[at:at + 8]
                for form in (piece.hex(), repr(piece)[2:-1], json.dumps(piece.decode("latin-1"))):
                    assert form not in text
        assert any(fingerprint(key) in text for text in texts)
