"""What of the log is wanted: levels by name, and those that nobody can take out."""
import pytest

from xha import logmask
from xha.catalogue import LEVELS
from xha.errors import FormatError
from xha.logmask import USUAL

CHANGED = [
    # levels              in     logged then                          why
    ("debug",             True,  "err warning notice info debug",     "one more"),
    ("info",              True,  "err warning notice info",           "it was there"),
    ("info",              False, "err warning notice",                "one less"),
    ("debug",             False, "err warning notice info",           "it was not there"),
    ("notice,info",       False, "err warning",                       "two"),
    ("info,notice,info",  False, "err warning",                       "in any order, and twice"),
    ("all",               True,  "err warning notice info debug",     "everything"),
    ("all",               False, "err warning",                       "all that can be"),
    ("err,warning,debug", True,  "err warning notice info debug",     "what is always logged, too"),
]


@pytest.mark.parametrize("levels, on, logged, why", CHANGED, ids=[row[-1] for row in CHANGED])
def test_levels_are_put_in_and_taken_out(levels, on, logged, why):
    assert USUAL.with_levels(logmask.levels_of(levels, on), on).words == logged


REFUSED = [
    # levels        in     said                                                       why
    ("chatty",      True,  "'chatty' is no level: expected err, warning, notice, info, debug or "
                           "all", "no such level"),
    ("INFO",        True,  "'INFO' is no level",                                      "capitals"),
    ("info,,debug", True,  "'' is no level",                                          "nothing"),
    ("255",         True,  "'255' is no level",                                       "bits"),
    ("err",         False, "err is always logged",                                    "err"),
    ("info,warning", False, "warning is always logged",                               "one of two"),
    ("x" * 4000,    True,  "'" + "x" * 40 + "' is no level",                          "too long"),
]


@pytest.mark.parametrize("levels, on, said, why", REFUSED, ids=[row[-1] for row in REFUSED])
def test_what_is_no_level_or_cannot_be_taken_out_is_refused(levels, on, said, why):
    with pytest.raises(FormatError) as caught:
        logmask.levels_of(levels, on)
    assert caught.value.args[0].startswith(said)


def test_a_mask_keeps_its_order_and_what_is_always_logged():
    mask = USUAL
    for level in LEVELS:
        mask = mask.with_levels((level,), True)
    assert mask.levels == tuple(LEVELS)
    for level in logmask.levels_of("all", False):
        mask = mask.with_levels((level,), False)
    assert mask.levels == logmask.ALWAYS
