"""The pool key as a value: what its texts say, and how rings follow one another."""
import itertools
import logging
import pickle

import core_samples
import format_samples
import pytest

from xha import actions, events, hbformat, keyedhash, sfformat
from xha.poolkey import (ANNOUNCED, CHANGED, NOT_SAID, SETTLED, STAGES, STEPS, PoolKey, Ring,
                         fingerprint)

OLD, NEW = PoolKey(bytes(range(32))), PoolKey(bytes(range(64, 96)))


def hides(text, *keys):
    """Whether no key stands in a text, raw, hex, or as Python writes bytes."""
    return not any(form in text for key in keys for form in (
        key.hex(), bytes(key)[8:16].hex(), repr(bytes(key))[2:-1], repr(bytes(key)[8:16])[2:-1]))


TEXTS = [
    (repr,                                   "of repr()"),
    (str,                                    "of str()"),
    ("{}".format,                            "of format()"),
    ("{!r}".format,                          "of format(), as repr()"),
    ("{:>40}".format,                        "of format(), with a width"),
    (lambda value: "%s %r" % (value, value), "of %"),
    (lambda value: str([value]),             "in a list"),
    (lambda value: str({"key": value}),      "in a dictionary"),
    (lambda value: str(ValueError(value)),   "of an exception"),
    (lambda value: logging.LogRecord("", 0, "", 0, "%s", (value,), None).getMessage(),
     "of a record of logging"),
]


@pytest.mark.parametrize("text, why", TEXTS, ids=[row[-1] for row in TEXTS])
def test_every_text_of_a_key_is_its_fingerprint(text, why):
    assert fingerprint(OLD) in text(OLD)
    assert hides(text(OLD), OLD)


def test_a_fingerprint_is_the_beginning_of_the_keys_sha_256():
    assert fingerprint(OLD) == keyedhash.digest(bytes(OLD)).hex()[:16] == "630dcd2966c43366"


def records_with_a_key():
    """Each record that may hold a key."""
    ring = Ring(step=1, key=OLD, also=NEW)
    yield ring
    yield format_samples.GLOBAL.with_ring(ring)
    yield core_samples.global_record()
    yield actions.UsePoolKey(key=OLD, also=NEW)
    yield actions.WriteGlobal(content=format_samples.GLOBAL.with_ring(ring), expected=0)
    yield events.KeyChangeRequested(ticket=1, key=NEW)
    yield sfformat.section_of_global(sfformat.encode_global(
        format_samples.GLOBAL.with_ring(ring)))


@pytest.mark.parametrize("value", list(records_with_a_key()),
                         ids=lambda value: type(value).__name__)
def test_no_record_shows_a_key(value):
    for text in (repr(value), str(value), "{}".format(value), "%r" % (value,)):
        assert "pool key" in text
        assert hides(text, OLD, NEW)


def test_a_key_is_the_bytes_that_it_was():
    assert OLD == bytes(range(32)) and hash(OLD) == hash(bytes(range(32)))
    assert bytes(OLD).hex() == bytes(range(32)).hex()
    again = pickle.loads(pickle.dumps(OLD))     # What a bounded child answers with.
    assert again == OLD and repr(again) == repr(OLD)


def test_three_steps_lead_from_a_key_to_the_next():
    ring = Ring(step=0, key=OLD, also=None)
    rings = [ring, ring.announced(NEW)]
    rings += [rings[-1].following()]
    rings += [rings[-1].following()]
    assert [(one.step, one.key, one.also) for one in rings] == [
        (0, OLD, None), (1, OLD, NEW), (2, NEW, OLD), (3, NEW, None)]
    assert [one.stage for one in rings] == [SETTLED, ANNOUNCED, CHANGED, SETTLED]
    assert len(STAGES) == STEPS


def test_of_rings_a_step_apart_each_accepts_what_the_other_sends():
    """The whole argument of safety: and of rings further apart, not all do."""
    ring = Ring(step=0, key=OLD, also=None)
    rings = [ring]
    for number in range(4):
        rings.append(rings[-1].announced(PoolKey(bytes([number]) * 32)))
        rings += [rings[-1].following()]
        rings += [rings[-1].following()]
    understand = {(one.step, other.step) for one, other in itertools.product(rings, rings)
                  if one.key in (other.key, other.also) and other.key in (one.key, one.also)}
    steps = range(len(rings))
    assert all((one, other) in understand for one in steps for other in steps
               if abs(one - other) <= 1)
    assert (1, 3) not in understand and (0, 2) not in understand


def test_a_mark_is_of_the_step_and_of_both_keys():
    rings = [Ring(step=1, key=OLD, also=NEW), Ring(step=4, key=OLD, also=NEW),
             Ring(step=2, key=NEW, also=OLD), Ring(step=1, key=OLD, also=OLD),
             Ring(step=3, key=NEW, also=None), Ring(step=0, key=NEW, also=None)]
    marks = [ring.mark for ring in rings]
    assert len(set(marks)) == len(marks)
    assert NOT_SAID not in marks and all(0 < mark < 1 << 64 for mark in marks)


BOTH = [
    # sent with, key, also, proof       why
    (OLD, OLD, None, "authentic",       "the one key there is"),
    (NEW, OLD, NEW,  "authentic",       "announced: who is a step ahead"),
    (OLD, NEW, OLD,  "authentic",       "changed: who is a step behind"),
    (OLD, NEW, None, "broken",          "settled: the old key proves nothing any more"),
    (PoolKey(bytes(32)), NEW, OLD, "broken", "a key that is neither"),
]


@pytest.mark.parametrize("sent, key, also, proof, why", BOTH, ids=[row[-1] for row in BOTH])
def test_a_heartbeat_is_proven_by_either_key(sent, key, also, proof, why):
    datagram = hbformat.encode(format_samples.HEARTBEAT, sent)
    assert hbformat.decode(datagram, key, also)[1].value == proof


def test_the_other_key_does_not_make_a_checksum_a_proof():
    datagram = hbformat.encode(format_samples.HEARTBEAT, None)
    assert hbformat.decode(datagram, OLD, NEW)[1].value == "intact"
