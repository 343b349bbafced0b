"""Changing the pool key: which ring a host goes by, and when it writes the next step.

T2 = 5 s, Ws = 8 s, t2 = 1 s: a ring must have been there for 9 s.  Source: docs/key.md.
"""
import itertools

import pytest
from core_samples import (
    KEY, global_record, good, host_record, hosts, names_of, of_kind,
    record_seal, view_of)
from test_membership import Core

from xha import actions, events, keyring
from xha.errors import ExitCode
from xha.globalrecord import GlobalChanges
from xha.hostset import EMPTY
from xha.keyring import Found
from xha.poolkey import NOT_SAID, PoolKey, Ring
from xha.published import PoolState

NEW, OTHER = PoolKey(b"n" * 32), PoolKey(b"o" * 32)
FIRST = Ring(step=0, key=KEY, also=None)
ANNOUNCED = FIRST.announced(NEW)
CHANGED = ANNOUNCED.following()
LAST = CHANGED.following()


# ---- which ring holds

FOUND = [
    # mine       on the disk                                found        why
    (FIRST,      FIRST,                                     "same",      "at rest"),
    (FIRST,      ANNOUNCED,                                 "newer",     "a change begins"),
    (FIRST,      LAST,                                      "newer",     "a whole change missed"),
    (CHANGED,    ANNOUNCED,                                 "older",     "a late write"),
    (LAST,       FIRST,                                     "older",     "a copy of the past"),
    (ANNOUNCED,  FIRST.announced(OTHER),                    "newer",     "two: the larger"),
    (FIRST.announced(OTHER), ANNOUNCED,                     "older",     "two: the smaller"),
    (FIRST,      Ring(step=0, key=NEW, also=None),          "foreign",   "another pool's"),
    (CHANGED,    Ring(step=2, key=OTHER, also=KEY),         "foreign",   "not announced"),
    (ANNOUNCED,  Ring(step=1, key=OTHER, also=NEW),         "foreign",   "of another key"),
]


@pytest.mark.parametrize("mine, on_disk, found, why", FOUND, ids=[row[-1] for row in FOUND])
def test_what_is_read_is_compared_with_what_is_known(mine, on_disk, found, why):
    assert keyring.compare(mine, on_disk) is Found(found)


def test_of_two_rings_all_hosts_take_the_same():
    """Whoever holds which and reads which: unless they are foreign, one is newer for both."""
    rings = [FIRST, ANNOUNCED, FIRST.announced(OTHER), CHANGED, LAST, LAST.announced(OTHER)]
    opposite = {Found.SAME: Found.SAME, Found.NEWER: Found.OLDER, Found.OLDER: Found.NEWER,
                Found.FOREIGN: Found.FOREIGN}
    for one, other in itertools.product(rings, rings):
        assert keyring.compare(one, other) is opposite[keyring.compare(other, one)]


class Reader:
    """A member's key ring, and readings of the global record."""

    def __init__(self, ring=FIRST, me=0, shows=None, **facts):
        self.view = view_of(me=me, global_record=None, **facts)
        self.changes = GlobalChanges(self.view)
        self.now_ms = 0
        self.shows = shows
        self.disk = ring
        self.wants = None       # What it wrote last, None for nothing.

    def read(self, at_ms=None, ring=None):
        """Read the disk; what it writes reaches it at once, unless ``ring`` is what is there."""
        self.now_ms = self.now_ms + 1000 if at_ms is None else at_ms
        self.disk = ring or self.disk
        self.view.out = []
        self.view.reading_issued_at_ms = self.now_ms
        self.view.reading_completed_at_ms = self.now_ms + 4
        for peer in self.view.peers:
            mark = self.disk.mark if self.shows is None else self.shows.get(peer.index, NOT_SAID)
            if peer.record is None or self.shows is not None:
                peer.record = host_record(peer.index, seal=record_seal(keys=mark))
        written = self.changes.read(global_record().with_ring(self.disk))
        self.wants = written.ring if written is not None else None
        return self

    def all_show(self, ring, *but):
        self.shows = {index: ring.mark for index in range(3) if index not in but}
        return self

    def said(self, name):
        return names_of(self.view.out).count(name)


def test_the_ring_that_is_read_is_gone_by_at_once():
    reader = Reader().read()
    assert reader.view.ring == FIRST
    reader.read(ring=ANNOUNCED)
    assert of_kind(reader.view.out, actions.UsePoolKey) == [actions.UsePoolKey(key=KEY, also=NEW)]
    assert reader.said("key-announced") == 1
    reader.read(ring=CHANGED)
    assert of_kind(reader.view.out, actions.UsePoolKey) == [actions.UsePoolKey(key=NEW, also=KEY)]
    reader.read(ring=LAST)
    assert of_kind(reader.view.out, actions.UsePoolKey) == [actions.UsePoolKey(key=NEW, also=None)]
    assert reader.view.global_record.pool_key == NEW


@pytest.mark.parametrize("older", [FIRST, ANNOUNCED, CHANGED], ids=["0", "1", "2"])
def test_an_older_ring_is_never_gone_by_and_is_written_over_by_anybody(older):
    reader = Reader(ring=LAST, me=2).read()
    reader.read(ring=older)
    assert reader.view.ring == LAST and reader.wants == LAST
    assert reader.said("key-older-found") == 1
    assert not of_kind(reader.view.out, actions.UsePoolKey)
    assert reader.read(ring=older).said("key-older-found") == 0     # Said once, while it is there.


def test_the_smaller_of_two_announcements_is_written_over_without_a_word():
    larger = FIRST.announced(OTHER)
    reader = Reader(ring=larger).read()
    reader.read(ring=ANNOUNCED)
    assert (reader.view.ring, reader.wants) == (larger, larger)
    assert reader.said("key-older-found") == 0


def test_a_foreign_key_is_an_error_event_and_is_not_written_over():
    reader = Reader(ring=LAST).read()
    reader.read(ring=Ring(step=3, key=OTHER, also=None))
    assert (reader.view.ring, reader.wants) == (LAST, None)
    assert reader.said("key-unreadable") == 1
    assert reader.read().said("key-unreadable") == 0


def test_whatever_else_is_written_carries_the_ring_on():
    reader = Reader(ring=CHANGED).read()
    reader.changes.want_state(PoolState.INVALID)
    assert reader.read().wants == CHANGED
    assert reader.changes.repaired(reader.view.global_record).ring == CHANGED


# ---- when the next step is written

WAITING = [
    # facts, who does not show it,           waits for,  why
    (dict(), (),                             EMPTY,      "all show it"),
    (dict(), (1,),                           hosts(1),   "a member does not"),
    (dict(liveset=hosts(0, 1), statefile_domain=hosts(0, 1)), (2,), EMPTY,
     "one that is no member, and does not advance, reads it when it starts"),
    (dict(liveset=hosts(0, 1)), (2,),        hosts(2),   "one that starts, and advances"),
    (dict(statefile_domain=hosts(0, 1)), (2,), hosts(2), "a member that does not advance"),
    (dict(liveset=hosts(0, 1), statefile_domain=hosts(0, 1), heartbeat_domain=hosts(0, 1, 2)),
     (2,), EMPTY, "one that is only heard: who has the old key could say so"),
]


@pytest.mark.parametrize("facts, silent, waits_for, why", WAITING, ids=[row[-1] for row in WAITING])
def test_a_step_waits_for_whoever_may_take_part(facts, silent, waits_for, why):
    reader = Reader(ring=ANNOUNCED, **facts).all_show(ANNOUNCED, *silent).read()
    assert keyring.missing(reader.view, ANNOUNCED) == waits_for
    assert reader.read(at_ms=20000).wants == (None if waits_for else CHANGED)
    assert reader.said("key-waits") == bool(waits_for)
    assert reader.read().said("key-waits") == 0      # Once for the same hosts.


def test_a_record_that_is_bad_shows_nothing():
    reader = Reader(ring=ANNOUNCED).all_show(ANNOUNCED).read()
    reader.view.peers[1].bad_since_ms = 1000
    assert reader.read(at_ms=20000).wants is None


def test_an_xhad_peer_is_not_waited_for():
    reader = Reader(ring=ANNOUNCED).all_show(ANNOUNCED, 1).read()
    reader.view.peers[1].unsealed_readings = 2
    assert reader.read(at_ms=20000).wants == CHANGED


@pytest.mark.parametrize("mark", [FIRST.mark, CHANGED.mark, FIRST.announced(OTHER).mark],
                         ids=["the step before", "the step after", "the other of two"])
def test_another_ring_is_not_this_one(mark):
    reader = Reader(ring=ANNOUNCED).all_show(ANNOUNCED).read()
    reader.shows[2] = mark
    assert reader.read(at_ms=20000).wants is None


@pytest.mark.parametrize("ring, following", [(ANNOUNCED, CHANGED), (CHANGED, LAST), (LAST, None)],
                         ids=["announced", "changed", "settled"])
def test_a_ring_is_there_for_ws_and_t2_before_the_next(ring, following):
    reader = Reader(ring=ring).read(at_ms=1000)
    # Counted from the completion of the first reading to the issue of this one.
    assert reader.read(at_ms=10003).wants is None
    assert reader.read(at_ms=10004).wants == following


def test_the_time_begins_anew_when_another_ring_was_there():
    reader = Reader(ring=ANNOUNCED).all_show(ANNOUNCED).read(at_ms=1000)
    assert reader.read(at_ms=8000, ring=FIRST).wants == ANNOUNCED
    reader.read(at_ms=9000, ring=ANNOUNCED)
    assert reader.read(at_ms=18003).wants is None
    assert reader.read(at_ms=18004).wants == CHANGED


def test_the_time_begins_anew_when_somebody_was_under_rule_2():
    """Its timer does not end who waits for the disk then: an old write may be under way."""
    reader = Reader(ring=ANNOUNCED).all_show(ANNOUNCED).read(at_ms=1000)
    reader.view.sr2_seen_at_ms = 5000
    assert reader.read(at_ms=13999).wants is None
    assert reader.read(at_ms=14000).wants == CHANGED


DRIVERS = [
    # me, facts                                             drives  why
    (0,   dict(),                                           True,   "the lowest"),
    (1,   dict(),                                           False,  "not the lowest"),
    (1,   dict(heartbeat_domain=hosts(1, 2)),               True,   "the lowest is not heard"),
    (1,   dict(statefile_domain=hosts(1, 2)),               True,   "it is not seen"),
    (1,   dict(liveset=hosts(1, 2)),                        True,   "it is no member"),
    (0,   dict(settled=False),                              False,  "it was not run for a while"),
    (0,   dict(liveset=hosts(1, 2)),                        False,  "no member itself"),
]


@pytest.mark.parametrize("me, facts, drives, why", DRIVERS, ids=[row[-1] for row in DRIVERS])
def test_one_host_writes_the_next_step(me, facts, drives, why):
    reader = Reader(ring=ANNOUNCED, me=me, **facts).all_show(ANNOUNCED).read()
    assert reader.read(at_ms=20000).wants == (CHANGED if drives else None)


def test_xhad_writes_no_step_so_it_is_not_left_to_it():
    reader = Reader(ring=ANNOUNCED, me=1).all_show(ANNOUNCED).read()
    reader.view.peers[0].unsealed_readings = 2
    assert reader.read(at_ms=20000).wants == CHANGED


def test_who_writes_a_step_goes_by_it_when_it_is_read():
    reader = Reader(ring=ANNOUNCED).all_show(ANNOUNCED).read()
    assert reader.read(at_ms=20000).wants == CHANGED
    assert reader.view.ring == ANNOUNCED
    # It was lost: written again, by whoever's task it is then.
    assert reader.read(at_ms=21000).wants == CHANGED
    assert reader.read(ring=CHANGED).view.ring == CHANGED


def test_nothing_is_left_of_the_old_key_at_the_end():
    reader = Reader(ring=CHANGED).read()
    last = reader.read(at_ms=20000).wants
    assert last == Ring(step=3, key=NEW, also=None)


# ---- the announcement

def test_what_is_asked_for_is_written_until_it_is_read():
    reader = Reader(me=2).read()
    wanted = reader.changes.keys.begin(NEW)
    assert wanted == ANNOUNCED
    assert reader.read().wants == ANNOUNCED
    assert reader.read().wants == ANNOUNCED
    assert reader.read(ring=ANNOUNCED).wants is None
    # And never again, whatever comes back.
    assert reader.read(ring=LAST).wants is None


def test_a_second_request_of_a_host_is_the_first_ones():
    reader = Reader().read()
    assert reader.changes.keys.begin(NEW) == reader.changes.keys.begin(OTHER) == ANNOUNCED


def test_another_hosts_announcement_takes_the_place_of_ones_own():
    reader = Reader().read()
    reader.changes.keys.begin(OTHER)
    reader.read(ring=ANNOUNCED)
    assert (reader.view.ring, reader.wants) == (ANNOUNCED, None)
    assert reader.read().wants is None


def test_nothing_is_announced_while_a_member_is_behind():
    """The last step of one change, and the first of the next, are a step each."""
    reader = Reader(ring=LAST, me=1).all_show(LAST, 2).read()
    reader.changes.keys.begin(OTHER)
    assert reader.read().wants is None
    assert reader.all_show(LAST).read().wants == LAST.announced(OTHER)


# ---- what a client is answered

def core_with(**changes):
    core = Core().form()
    for host in (1, 2):
        core.others[host] = dict(seal=record_seal(keys=FIRST.mark))
    core.idle(3)
    core.took()
    return core


def answers(core):
    return [(one.code, one.text) for one in of_kind(core.took(), actions.Answer)]


def ask(core):
    return core.step(events.KeyChangeRequested(ticket=5, key=NEW))


def test_it_is_answered_when_a_reading_shows_that_it_began():
    core = core_with()
    ask(core)
    assert not answers(core)
    core.step(ms=400)
    core.disk()
    written = [one for one in of_kind(core.done, actions.WriteGlobal)]
    assert [one.content.ring for one in written][-1] == ANNOUNCED
    assert not of_kind(core.done, actions.Answer)
    core.global_section = good(global_record(PoolState.ACTIVE).with_ring(ANNOUNCED))
    core.idle(2)
    assert answers(core) == [(ExitCode.SUCCESS, "")]
    ask(core)
    assert answers(core) == [
        (ExitCode.SUCCESS, "the key is being changed already: nothing new was begun")]


REFUSED = [
    # what is so                                       code                            said, why
    (lambda core: setattr(core.view, "phase", core.view.phase.STARTING),
     ExitCode.NOT_ONLINE, "this host is not online"),
    (lambda core: setattr(core.view, "global_record", global_record(PoolState.INIT)),
     ExitCode.INVALID_POOL_STATE, "the pool state is init, not active"),
    (lambda core: setattr(core.view, "ring", None),
     ExitCode.INVALID_POOL_STATE, "the pool has no key to change"),
    (lambda core: setattr(core.view, "statefile_access", False),
     ExitCode.STATEFILE_INACCESSIBLE, "this host has no access to the State-File"),
    (lambda core: setattr(core.view.peers[2], "record", host_record(2)),
     ExitCode.INVALID_POOL_STATE, "hosts 2 run a version that cannot change its key"),
]


@pytest.mark.parametrize("so, code, said", REFUSED, ids=[row[-1] for row in REFUSED])
def test_what_cannot_be_begun_is_refused_at_once(so, code, said):
    core = core_with()
    so(core)
    core.view.out = []
    core.core._requests.change_key(core.now_ms, 5, NEW)
    found = of_kind(core.view.out, actions.Answer)
    assert [one.code for one in found] == [code]
    assert said in found[0].text


def test_a_request_that_the_disk_does_not_take_in_time_is_answered_with_3():
    core = core_with()
    ask(core)
    core.idle(60)
    assert [code for code, _ in answers(core)] == [ExitCode.TRANSIENT_ERROR]


# ---- what a host shows, and believes

def test_a_record_shows_the_ring_that_heartbeats_are_proven_with_already():
    core = core_with()
    core.global_section = good(global_record(PoolState.ACTIVE).with_ring(ANNOUNCED))
    core.idle(2)
    done = core.took()
    used = [index for index, one in enumerate(done) if type(one) is actions.UsePoolKey]
    shown = [index for index, one in enumerate(done) if type(one) is actions.WriteRecord
             and one.content.seal.keys == ANNOUNCED.mark]
    assert used and shown and used[0] < shown[0]


def test_a_starting_host_goes_by_what_it_reads_before_it_sends():
    core = Core()
    core.global_section = good(global_record(PoolState.ACTIVE).with_ring(CHANGED))
    core.step()
    core.disk()
    kinds = [type(one) for one in core.done]
    assert kinds.index(actions.UsePoolKey) < kinds.index(actions.SendHeartbeat)
    assert of_kind(core.done, actions.UsePoolKey) == [actions.UsePoolKey(key=NEW, also=KEY)]
