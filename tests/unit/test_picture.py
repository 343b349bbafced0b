"""The picture of a sandbox: always as wide and as high as it must be, in plain ASCII if need be."""
import itertools

import pytest

from sandbox_samples import host, pool
from xha import picture
from xha.picture import ASCII, UTF8, Look
from xha.sandboxfacts import State


def look(width=80, glyphs=ASCII):
    return Look(width=width, glyphs=glyphs, title="3 hosts  127.1.2.1 to .3  UDP 7000",
                settings="watchdog USER  T 5")


def text_of(facts, **how):
    lines = picture.draw(facts, look(**how))
    return ["".join(text for _, text in line) for line in lines]


#: A pool in which everything is as different as can be.
MIXED = pool(4, {
    0: host(0, 4, State.HANDLING, phase="fh2done", waiting_for="x" * 90, current_liveset=[0, 1],
            proposed_liveset=[0]),
    1: host(1, 4, State.CRASHED, "its watchdog resets it within 5 s", silent=True),
    2: host(2, 4, State.FENCED, "no survival rule applies: " + "words " * 40, silent=True),
    3: host(3, 4, State.STARTING, ages={0: None, 1: 123456, 2: 9999999}, phase="starting",
            fencing="none", statefile_access=False)}, cut={(0, 1)})


@pytest.mark.parametrize("width", [60, 61, 79, 80, 81, 120, 200])
@pytest.mark.parametrize("count", range(1, 17))
def test_every_line_fits_and_the_height_is_known_beforehand(count, width):
    lines = text_of(pool(count), width=width)
    assert len(lines) == picture.height(count, width)
    assert max(len(line) for line in lines) <= width


@pytest.mark.parametrize("width", [60, 80, 200])
def test_whatever_happens_the_picture_keeps_its_shape(width):
    lines = text_of(MIXED, width=width)
    assert len(lines) == picture.height(4, width)
    assert max(len(line) for line in lines) <= width


@pytest.mark.parametrize("state, silent", list(itertools.product(State, (False, True))))
def test_a_host_can_be_shown_in_every_state(state, silent):
    for count in (2, 7):
        shown = text_of(pool(count, {1: host(1, count, state, "why", silent=silent, phase="fh3")}))
        assert any(state.value[:10] in line or "FH3" in line for line in shown)


def test_without_utf8_everything_is_ascii():
    for count in (3, 9):
        assert all(ord(letter) < 127 for line in text_of(pool(count)) for letter in line)


def test_with_utf8_a_glyph_takes_the_place_of_one_of_ascii():
    plain, fine = text_of(MIXED), text_of(MIXED, glyphs=UTF8)
    assert [len(line) for line in plain] == [len(line) for line in fine]
    assert plain != fine


def test_three_hosts_as_an_operator_sees_them():
    facts = pool(3, {
        0: host(0, 3, State.HANDLING, phase="fh4", proposed_liveset=[0, 1], since_s=10.0,
                heartbeat_domain=[0, 1], ages={1: 3000, 2: 6200},
                waiting_for="certainty that the lost hosts have stopped"),
        1: host(1, 3, State.HANDLING, phase="fh4", proposed_liveset=[0, 1], since_s=10.0,
                heartbeat_domain=[0, 1], ages={2: 6100},
                waiting_for="certainty that the lost hosts have stopped"),
        2: host(2, 3, State.FENCED, "the heartbeat timer expired", silent=True)},
        cut={(0, 2), (2, 0)}, master=-1)
    assert [line.rstrip() for line in text_of(facts)] == [
        " xha sandbox  3 hosts  127.1.2.1 to .3  UDP 7000                           12 s",
        " pool active  no master  liveset 111",
        " watchdog USER  T 5  Broken: network 0-/-2",
        " +- host 0 --------------+ +- host 1 --------------+ +- host 2 --------------+",
        " | fault handler   armed | | fault handler   armed | | fenced                |",
        " | phase FH4         2 s | | phase FH4         2 s | | the heartbeat timer   |",
        " | liveset 111>110       | | liveset 111>110       | | expired               |",
        " | heard .......... 0.4s | | heard ######.... 3.0s | |                       |",
        " | wrote #......... 0.9s | | wrote ######.... 3.0s | |                       |",
        " | State-File ok         | | State-File ok         | |                       |",
        " +-----------------------+ +-----------------------+ +-----------------------+",
        "  heartbeats  0 1 2   State-File  0 1 2   Hosts 0, 1: FH4: waiting for certainty",
        "     0 hears  O o x      0 sees  O o o    that the lost hosts have stopped.",
        "     1 hears  O O .      1 sees  O O o",
        "     2 hears             2 sees"]


HEADS = [
    # hosts that differ, master named, what the second line says, why
    ({}, 1, "master host 1 *  liveset", "it is named and holds the lock"),
    ({}, -1, "no master  liveset", "nobody is named"),
    ({1: host(1, 3, master=1, holding_master_lock=False)}, 1,
     "master host 1 * (does not hold the lock)", "a name that stayed"),
    ({1: host(1, 3, State.CRASHED, silent=True)}, 1, "master host 1 *  liveset",
     "it cannot be asked"),
    ({2: host(2, 3, holding_master_lock=True)}, -1, "no master  lock held by host 2",
     "elected, and not written yet"),
]


@pytest.mark.parametrize("hosts, master, text, why", HEADS, ids=[row[-1] for row in HEADS])
def test_who_is_named_and_who_holds_the_lock(hosts, master, text, why):
    assert text in text_of(pool(3, hosts, master=master))[1]


AGES = [(0, "0.0s"), (999, "0.9s"), (9999, "9.9s"), (10000, "10s"), (5000000, "999s")]


@pytest.mark.parametrize("age, text", AGES)
def test_an_age_takes_four_columns(age, text):
    assert picture.in_seconds(age) == text
