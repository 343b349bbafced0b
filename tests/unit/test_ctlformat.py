"""The control socket's protocol: what may be said, and how anything else is refused."""
import random

import pytest

from xha import ctlformat
from xha.ctlformat import Malformed, Reply

REQUESTS = [
    # verb              arguments                    bytes                                 why
    ("pid",             (),                          b"xha/1\tpid\n",                    "none"),
    ("query",           ("xml", "1"),                b"xha/1\tquery\txml\t1\n",          "two"),
    ("set-pool-state",  ("active",),                 b"xha/1\tset-pool-state\tactive\n", "one"),
    ("fault",           ("set", "statefile.slow=9"), b"xha/1\tfault\tset\tstatefile.slow=9\n",
     "free text"),
]


@pytest.mark.parametrize("verb, arguments, data, why", REQUESTS, ids=[row[-1] for row in REQUESTS])
def test_a_request_is_one_line_and_reads_back(verb, arguments, data, why):
    assert ctlformat.encode_request(verb, arguments) == data
    assert ctlformat.decode_request(data) == (verb, arguments)


REFUSED = [
    # bytes                                         said                       why
    (b"",                                           "no line end",             "nothing"),
    (b"\n",                                         "begins with ''",          "an empty line"),
    (b"xha/1\tpid",                                 "no line end",             "cut off"),
    (b"xha/1\n",                                    "unknown verb ''",         "no verb"),
    (b"xha/1\t\n",                                  "unknown verb ''",         "an empty verb"),
    (b"xha/2\tpid\n",                               "expected 'xha/1'",        "another version"),
    (b"XHA/1\tpid\n",                               "expected 'xha/1'",        "other letter case"),
    (b"GET / HTTP/1.1\r\n",                         "begins with 'GET / HTTP", "another protocol"),
    (b"xha/1\tfence\n",                             "unknown verb 'fence'",    "a verb of nobody"),
    (b"xha/1\tpid\t\n",                             "does not take",           "an empty argument"),
    (b"xha/1\tpid\t1\n",                            "does not take",           "one too many"),
    (b"xha/1\tquery\txml\n",                        "does not take",           "one too few"),
    (b"xha/1\tquery\tyaml\t0\n",                    "does not take",           "unknown format"),
    (b"xha/1\tset-pool-state\tinit\n",              "does not take",
     "a daemon never initialises"),
    (b"xha/1\tset-pool-state\t77\n",                "does not take",           "pool state 77"),
    (b"xha/1\tfault\tset\t\n",                      "does not take",           "no fault point"),
    (b"xha/1\tpid\x00\n",                           "not printable",           "a NUL"),
    (b"xha/1\tp\xc3\xafd\n",                        "not printable",           "not ASCII"),
    (b"xha/1\tpid\r\n",                             "not printable",           "a carriage return"),
    (b"xha/1\tpid\npid\n",                          "not printable",           "two lines"),
    (b"xha/1\t" + b"a" * 4096 + b"\n",              "longer than 4096",        "too long"),
]


@pytest.mark.parametrize("data, said, why", REFUSED, ids=[row[-1] for row in REFUSED])
def test_a_request_that_is_none_is_refused_with_what_was_found(data, said, why):
    with pytest.raises(Malformed) as refusal:
        ctlformat.decode_request(data)
    assert said in str(refusal.value)
    assert len(str(refusal.value)) < 200


def every_request():
    """One request for each list of arguments that a verb takes, and for each word in it."""
    for verb in sorted(ctlformat.VERBS):
        for permitted in ctlformat.VERBS[verb]:
            choices = [words or ("5m",) for words in permitted]
            for number in range(max([len(words) for words in choices] + [1])):
                yield ctlformat.encode_request(
                    verb, tuple(words[number % len(words)] for words in choices))


def test_a_request_that_is_cut_off_anywhere_is_none():
    for data in every_request():
        for end in range(len(data)):
            with pytest.raises(ctlformat.Malformed):
                ctlformat.decode_request(data[:end])


def test_a_request_with_one_wrong_byte_is_none_or_says_what_its_verb_takes():
    """No byte that is wrong makes another verb of one, and none is added to what is permitted."""
    for data in every_request():
        verb, _ = ctlformat.decode_request(data)
        for at in range(len(data)):
            for wrong in range(256):
                changed = data[:at] + bytes([wrong]) + data[at + 1:]
                try:
                    found, arguments = ctlformat.decode_request(changed)
                except ctlformat.Malformed:
                    continue
                assert found == verb and any(
                    len(permitted) == len(arguments) and all(
                        words is None or word in words
                        for words, word in zip(permitted, arguments))
                    for permitted in ctlformat.VERBS[verb]), changed


def test_any_bytes_are_a_request_or_malformed_and_nothing_else():
    dice = random.Random(8123)
    good = b"xha/1\tfault\tset\tstatefile.slow=9\n"
    for _ in range(20000):
        data = bytearray(good)
        for _ in range(dice.randrange(1, 4)):
            data[dice.randrange(len(data))] = dice.randrange(256)
        try:
            verb, arguments = ctlformat.decode_request(bytes(data))
        except Malformed:
            continue
        assert ctlformat.encode_request(verb, arguments) == bytes(data)


UNSENDABLE = [
    (("pid", ("",)),            "an empty word would be lost"),
    (("fault", ("set", "a\tb")), "a tab would be two words"),
    (("fault", ("set", "a\nb")), "a line end would end the request"),
    (("fault", ("set", "\u00e9")), "only ASCII is sent"),
    (("fault", ("set", "a" * 4096)), "longer than the daemon reads"),
]


@pytest.mark.parametrize("words, why", UNSENDABLE, ids=[row[-1] for row in UNSENDABLE])
def test_what_cannot_be_said_is_refused_before_it_is_sent(words, why):
    with pytest.raises(Malformed):
        ctlformat.encode_request(*words)


def test_a_reply_reads_back_whatever_its_texts_hold():
    for reply in (Reply(0), Reply(14, "", "gone\n"), Reply(0, "a\nb\tc\n", "\n"), Reply(127, "x")):
        data = ctlformat.encode_reply(reply)
        assert ctlformat.reply_length(data) == len(data)
        found = ctlformat.decode_reply(data)
        assert (found.code, found.out, found.err) == (reply.code, reply.out, reply.err)


def test_text_that_is_not_ascii_is_escaped_so_that_lengths_hold():
    data = ctlformat.encode_reply(Reply(0, "caf\u00e9\n", ""))
    assert data == b"xha/1\t0\t8\t0\ncaf\\xe9\n"


def test_the_length_of_a_reply_is_known_once_its_line_is_whole():
    data = ctlformat.encode_reply(Reply(0, "TRUE\n", ""))
    line = data.index(b"\n")
    for cut in range(line + 1):
        assert ctlformat.reply_length(data[:cut]) == -1
    for cut in range(line + 1, len(data)):
        assert ctlformat.reply_length(data[:cut]) == len(data)
        with pytest.raises(Malformed):
            ctlformat.decode_reply(data[:cut])


BAD_REPLIES = [
    (b"HTTP/1.1 400 Bad Request\r\n\r\n", "another protocol"),
    (b"xha/2\t0\t0\t0\n", "another version"),
    (b"xha/1\t0\t0\n", "a number short"),
    (b"xha/1\t-1\t0\t0\n", "a negative code"),
    (b"xha/1\t0\t99999999999\t0\n", "an absurd length"),
    (b"xha/1\t0\t16777217\t0\n", "longer than permitted"),
    (b"x" * 64, "no line at all"),
]


@pytest.mark.parametrize("data, why", BAD_REPLIES, ids=[row[-1] for row in BAD_REPLIES])
def test_a_reply_that_is_none_is_refused(data, why):
    with pytest.raises(Malformed):
        ctlformat.reply_length(data)


def test_a_reply_with_bytes_beyond_its_length_is_refused():
    with pytest.raises(Malformed):
        ctlformat.decode_reply(b"xha/1\t0\t1\t0\nab")
    with pytest.raises(Malformed):
        ctlformat.decode_reply(b"xha/1\t0\t1\t0\n\xff")
