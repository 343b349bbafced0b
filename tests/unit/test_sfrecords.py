"""Whose record advances: what a reading says of another host."""

import pytest
from core_samples import bad, good, host_record, names_of, reading, record_seal, view_of

from xha import sfrecords
from xha.hostset import EMPTY
from xha.published import NEVER, LastWords


def content(sequence, incarnation=None):
    seal = None if incarnation is None else record_seal(incarnation)
    return good(host_record(2, sequence=sequence, seal=seal))


ADVANCES = [
    # before,            after,             advances, why
    (content(5),         content(6),        True,     "an xhad wrote"),
    (content(5),         content(4),        True,     "of an xhad any change is an advance"),
    (content(5),         content(5),        False,    "an xhad wrote nothing"),
    (content(5, 1000),   content(6, 1000),  True,     "a sealed record grew"),
    (content(5, 1000),   content(4, 1000),  False,    "a late write of the past"),
    (content(5, 1000),   content(1, 2000),  True,     "a new instance"),
    (content(5, 2000),   content(9, 1000),  False,    "an earlier instance"),
    (content(5),         content(1, 1000),  True,     "an xha after an xhad"),
    (content(5),         content(5, 0),     False,    "a repair of a record that had no seal"),
    (content(5, 1000),   content(5, 1000),  False,    "a repair of a record that had one"),
]


@pytest.mark.parametrize("before, after, advances, why", ADVANCES,
                         ids=[row[-1] for row in ADVANCES])
def test_a_host_advances(before, after, advances, why):
    view = view_of(liveset=view_of().everyone.minus(2))
    first, second = [[good(host_record(0)), good(host_record(1)), last]
                     for last in (before, after)]
    sfrecords.take(view, reading(1000, first))
    assert view.peers[2].advanced_at_ms == NEVER, "the first reading is the baseline"
    sfrecords.take(view, reading(2000, second))
    assert (view.peers[2].advanced_at_ms != NEVER) is advances


def test_a_host_that_is_moved_to_xha_and_back_is_told_so_once_each():
    """Two advances without a seal make an xhad; one record with a seal ends that at once."""
    view = view_of(keyed=True)
    said = []
    records = [content(5), content(6), content(7), content(8), content(1, 1000),
               content(2, 1000), content(3), content(4)]
    for at_ms, record in enumerate(records):
        sfrecords.take(view, reading(1000 * (1 + at_ms), [
            good(host_record(0)), good(host_record(1)), record]))
        said.append([name for name in names_of(view.out) if name.startswith("xhad-")])
        del view.out[:]
    assert said == [[], [], ["xhad-peer-accepted"], [], ["xhad-peer-ended"], [], [],
                    ["xhad-peer-accepted"]]


BAD_BETWEEN = [
    # readings of an unsealed record that advances, and bad ones; whether it is an xhad after each
    ([5, 6, 7, None, None, 8], [False, False, True, True, True, True],
     "known before: it goes on to be heard (story 135)"),
    ([5, 6, None, 7, 8], [False, False, False, False, True],
     "not known yet: two readings running prove it"),
]


@pytest.mark.parametrize("sequences, found, why", BAD_BETWEEN,
                         ids=[row[-1] for row in BAD_BETWEEN])
def test_a_bad_record_proves_nothing_of_an_xhad(sequences, found, why):
    view = view_of(keyed=True)
    seen = []
    for number, sequence in enumerate(sequences):
        sfrecords.take(view, reading(1000 * (1 + number), [
            good(host_record(0)), good(host_record(1)),
            bad() if sequence is None else content(sequence)]))
        seen.append(view.peers[2].is_xhad)
    assert seen == found


def words_of(incarnation):
    return LastWords(code="no-survival-rule", text="no rule applies", at_wall_s=1,
                     incarnation=incarnation, liveset=EMPTY, heartbeat_domain=EMPTY,
                     statefile_domain=EMPTY)


def last(sequence, incarnation, words=None):
    return good(host_record(2, sequence=sequence, seal=record_seal(incarnation)._replace(
        last_words=words)))


LAST_WORDS = [
    # records of host 2 in reading after reading; how often its last words are said
    ([last(5, 1000), last(6, 1000, words_of(1000)), last(6, 1000, words_of(1000))], 1,
     "a host that is cut off dies"),
    ([last(6, 1000, words_of(1000)), last(6, 1000, words_of(1000))], 0,
     "they were there when this host came"),
    ([last(5, 1000), last(6, 1000, words_of(1000)), last(7, 1000, words_of(1000))], 1,
     "written twice"),
    ([last(5, 1000), last(6, 1000, words_of(1000)), last(1, 2000), last(2, 2000, words_of(2000))],
     2, "it dies again, in its next life"),
    ([last(5, 2000), last(6, 1000, words_of(1000))], 0, "a late write of an earlier life"),
]


@pytest.mark.parametrize("records, times, why", LAST_WORDS, ids=[row[-1] for row in LAST_WORDS])
def test_last_words_on_the_statefile_are_said_once(records, times, why):
    view = view_of()
    for at_ms, record in enumerate(records):
        sfrecords.take(view, reading(1000 * (1 + at_ms), [
            good(host_record(0)), good(host_record(1)), record]))
    assert names_of(view.out).count("last-words-heard") == times


def test_last_words_that_were_heard_are_not_said_again_when_they_are_read():
    view = view_of()
    view.tell_last_words(view.peers[2], words_of(1000))
    for at_ms, record in enumerate([last(5, 1000), last(6, 1000, words_of(1000))]):
        sfrecords.take(view, reading(1000 * (1 + at_ms), [
            good(host_record(0)), good(host_record(1)), record]))
    assert names_of(view.out).count("last-words-heard") == 1
