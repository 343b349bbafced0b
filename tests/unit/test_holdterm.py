"""How long a hold lasts, as people write it: docs/holds.md."""
import pytest

from xha import holdterm
from xha.errors import FormatError

HOUR = 3600000

LENGTHS = [
    # text     ms        again    why
    ("5m",     300000,   "5m",     "as the help shows it"),
    ("90s",    90000,    "1m30s",  "more than a unit"),
    ("1h",     HOUR,     "1h",     "the most"),
    ("1s",     1000,     "1s",     "the least"),
    ("59m60s", HOUR,     "1h",     "parts add up"),
    ("0h1m0s", 60000,    "1m",     "parts that are nothing"),
    ("005m",   300000,   "5m",     "leading zeros"),
]


@pytest.mark.parametrize("text, ms, again, why", LENGTHS, ids=[row[-1] for row in LENGTHS])
def test_a_length_is_hours_minutes_and_seconds(text, ms, again, why):
    assert holdterm.length_ms(text, HOUR) == ms
    assert holdterm.in_words(ms) == again
    assert holdterm.length_ms(again, HOUR) == ms


REFUSED = [
    ("",            "no length of time",            "nothing"),
    ("5",           "no length of time",            "no unit: minutes or seconds?"),
    ("5 m",         "no length of time",            "a blank"),
    ("5M",          "no length of time",            "another letter"),
    ("5m1h",        "no length of time",            "the wrong order"),
    ("1.5h",        "no length of time",            "a point"),
    ("-5m",         "no length of time",            "less than nothing"),
    ("5m\n",        "no length of time",            "a line end"),
    ("\u0665m",     "no length of time",            "a digit that is not ASCII"),
    ("1" * 7 + "s", "no length of time",            "more digits than anybody means"),
    ("0s",          "expected 1s to 1h",            "no time at all"),
    ("1h1s",        "expected 1s to 1h",            "more than is permitted"),
]


@pytest.mark.parametrize("text, said, why", REFUSED, ids=[row[-1] for row in REFUSED])
def test_what_is_no_length_or_too_long_is_refused(text, said, why):
    with pytest.raises(FormatError, match=said):
        holdterm.length_ms(text, HOUR)


@pytest.mark.parametrize("ms, words", [(0, "0s"), (1, "1s"), (1000, "1s"), (1001, "2s"),
                                       (3599001, "1h"), (3661000, "1h1m1s")])
def test_what_is_left_is_rounded_up(ms, words):
    assert holdterm.in_words(ms) == words
