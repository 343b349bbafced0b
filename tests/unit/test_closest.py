"""The largest in windows that slide: against the plain way, and in bounded memory."""
import random

import pytest

from xha.closest import BUCKET_MS, DAY, HOUR, Closest
from xha.published import NEVER
from xha.snapshot import Approach

MINUTE, HOUR_MS = 60000, 3600000


def approach(used_ms, wall_ms=0):
    return Approach(used_ms=used_ms, wall_ms=wall_ms, slow="", slow_ms=NEVER)


def filled(*notes):
    """One slot that was told (at, used), and looked at each minute between."""
    closest, now_ms = Closest(1), 0
    for at_ms, used_ms in notes:
        for minute_ms in range(now_ms, at_ms, MINUTE):
            closest.roll(minute_ms)
        closest.roll(at_ms)
        closest.note(0, approach(used_ms, wall_ms=at_ms))
        now_ms = at_ms
    return closest


def used(closest, slot=0):
    return tuple(None if one is None else one.used_ms for one in closest.read(slot))


TABLE = [
    # notes: (at, used),                     read at,                  hour, day, start, why
    ([],                                     0,                        (None, None, None), "none"),
    ([(0, 5)],                               0,                        (5, 5, 5),  "one, at once"),
    ([(0, 5), (1, 3)],                       1,                        (5, 5, 5),  "the larger"),
    ([(0, 5), (1, 9)],                       1,                        (9, 9, 9),  "though later"),
    ([(0, 9), (BUCKET_MS, 5)],               BUCKET_MS,                (9, 9, 9),  "two buckets"),
    ([(0, 9)],                               HOUR_MS,                  (9, 9, 9),  "an hour old"),
    ([(0, 9), (HOUR_MS + BUCKET_MS, 5)],     HOUR_MS + BUCKET_MS,      (5, 9, 9),  "past the hour"),
    ([(0, 9)],                               HOUR_MS + BUCKET_MS,      (None, 9, 9), "none since"),
    ([(0, 9), (HOUR_MS, 7), (2 * HOUR_MS, 5)], 2 * HOUR_MS,            (7, 9, 9),  "it slides"),
    ([(0, 9), (24 * HOUR_MS, 5)],            24 * HOUR_MS,             (5, 9, 9),  "a day old"),
    ([(0, 9), (25 * HOUR_MS, 5)],            25 * HOUR_MS,             (5, 5, 9),  "past the day"),
    ([(0, 9)],                               30 * HOUR_MS,             (None, None, 9), "long ago"),
]


@pytest.mark.parametrize("notes, now_ms, expected, why", TABLE, ids=[row[-1] for row in TABLE])
def test_windows(notes, now_ms, expected, why):
    closest = filled(*notes)
    closest.roll(now_ms)
    assert used(closest) == expected


def test_of_equal_ones_the_later_is_told():
    closest = filled((0, 5), (BUCKET_MS, 5), (2 * BUCKET_MS, 3))
    assert [one.wall_ms for one in closest.read(0)] == [BUCKET_MS] * 3


def test_a_loop_that_stood_still_for_days_forgets_what_is_old():
    closest = filled((0, 5))
    closest.roll(72 * HOUR_MS)
    assert used(closest) == (None, None, 5)


@pytest.mark.parametrize("seed", range(20))
def test_it_is_what_the_plain_way_gives(seed):
    """The plain way keeps everything, and looks through all of it."""
    draw = random.Random(seed)
    closest, told, now_ms = Closest(2), [], draw.randrange(BUCKET_MS)
    for _ in range(600):
        now_ms += draw.choice((1000, MINUTE, 10 * MINUTE, 40 * MINUTE))
        closest.roll(now_ms)
        value = draw.randrange(100)
        told.append((now_ms // BUCKET_MS, value))
        closest.note(1, approach(value))
        bucket = now_ms // BUCKET_MS
        plain = tuple(max(one for at, one in told
                          if at // size >= bucket // size - count)
                      for size, count in (HOUR, DAY)) + (max(one for _, one in told),)
        assert used(closest, 1) == plain
        assert used(closest, 0) == (None, None, None), "slots are apart"


def test_what_is_kept_is_bounded():
    """The worst that can be told: values that fall for days."""
    closest = Closest(1)
    for minute in range(4 * 24 * 60):
        closest.roll(minute * MINUTE)
        closest.note(0, approach(10 ** 6 - minute))
        assert len(closest._hour[0]) <= 1 + HOUR[1] and len(closest._day[0]) <= 1 + DAY[1]
