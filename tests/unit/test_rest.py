"""When the rooms need not look: it never makes a difference."""

import pytest
from core_samples import heartbeat, heartbeat_seal, hosts, view_of

from xha import rest, simcampaign, simrun
from xha.hostset import MAX_HOSTS
from xha.membership import Membership
from xha.published import FencingMode, Heartbeat, HeartbeatSeal, Phase

BEFORE = heartbeat(1)

#: What moves on in every heartbeat.
REPEATED = BEFORE._replace(sequence=11, since_heartbeat_ms=(9,) * MAX_HOSTS,
                           since_statefile_ms=(9,) * MAX_HOSTS,
                           seal=heartbeat_seal(heard=(9,) * MAX_HOSTS))

#: Another value of everything else; who sends it to which pool the acceptance has checked.
CHANGED = dict(
    current_liveset=hosts(1), proposed_liveset=hosts(1), heartbeat_domain=hosts(1),
    statefile_domain=hosts(1), since_xapi_restart_ms=5, phase=Phase.FHREADY, xapi_error="it hangs",
    statefile_access=False, statefile_corrupted=True, accelerate=True, fence_request=True,
    sr2=True, joining=True)


def repeats(after, before=BEFORE, **facts):
    view = view_of(**facts)
    view.peers[1].heartbeat = before
    return rest.repeats(view, view.peers[1], after)


def test_a_heartbeat_repeats_whatever_its_sequence_ages_and_echoes_are():
    assert repeats(BEFORE)
    assert repeats(REPEATED)


@pytest.mark.parametrize("name", sorted(CHANGED))
def test_a_heartbeat_that_says_something_else_is_news(name):
    assert not repeats(REPEATED._replace(**{name: CHANGED[name]}))


def test_a_seal_that_says_something_else_is_news():
    for seal in (heartbeat_seal(incarnation=1001), heartbeat_seal(fencing=FencingMode.DISARMED),
                 heartbeat_seal()._replace(last_words="any"),
                 heartbeat_seal()._replace(software="another")):
        assert not repeats(BEFORE._replace(seal=seal))


def test_every_field_is_either_news_or_left_out_on_purpose():
    assert set(Heartbeat._fields) - set(CHANGED) == {
        "sequence", "generation_uuid", "host_uuid", "host_index", "since_heartbeat_ms",
        "since_statefile_ms", "seal"}
    assert set(HeartbeatSeal._fields) == {
        "incarnation", "software", "fencing", "watchdog_mode", "last_words", "heard",
        "xapi_held_s", "disarm_term_s"}


@pytest.mark.parametrize("fields, said", [
    (dict(xapi_held_s=300), True), (dict(disarm_term_s=300), True), (dict(disarm_term_s=1), True),
    (dict(disarm_term_s=0xFFFF), False)])
def test_the_time_that_is_left_is_no_news_but_its_end_is(fields, said):
    assert repeats(BEFORE._replace(seal=heartbeat_seal()._replace(**fields))) is said


def test_of_a_host_that_was_not_heard_or_seals_nothing_everything_is_news():
    assert not repeats(BEFORE, before=None)
    assert not repeats(BEFORE, heartbeat_domain=hosts(0, 2))
    assert not repeats(BEFORE, before=BEFORE._replace(seal=None))
    assert not repeats(BEFORE._replace(seal=None))


def test_after_a_gap_the_end_of_a_time_out_may_come_nearer():
    view = view_of()
    view.peers[1].heartbeat = BEFORE
    view.peers[1].heartbeat_discount_ms = 500
    assert not rest.repeats(view, view.peers[1], REPEATED)


RESTS = [
    # now    facts                            rests   why
    (0,      dict(),                          True,   "a member in peace"),
    (8999,   dict(),                          True,   "the next beat comes before the instant"),
    (9000,   dict(),                          False,  "it may be the instant that wakes it"),
    (0,      dict(phase=Phase.FH1),           False,  "the fault handler runs"),
    (0,      dict(phase=Phase.STARTING),      False,  "it starts"),
    (0,      dict(statefile_access=False),    False,  "what others echo counts"),
    (0,      dict(sr2=True),                  False,  "survival rule 2 holds"),
    (0,      dict(loss_pending=True),         False,  "a loss is to be taken up"),
    (0,      dict(settled=False),             False,  "a gap is digested"),
]


@pytest.mark.parametrize("now_ms, facts, rests, why", RESTS, ids=[row[-1] for row in RESTS])
def test_the_rooms_rest_in_peace_alone(now_ms, facts, rests, why):
    view = view_of(wake_at_ms=10000, **facts)
    room = rest.Rest(view)
    assert not room.lasts(now_ms)
    room.begin(waiting=False)
    assert room.lasts(now_ms) is rests, why
    room.begin(waiting=True)
    assert not room.lasts(now_ms)


def steps_of(monkeypatch, seed, hosts_of, looks_always):
    """All that the hosts of a random story did in each step, and when they wanted the next."""
    steps = []
    rested = []
    step, lasts = Membership.step, rest.Rest.lasts

    def noted(core, now_ms, event):
        out = step(core, now_ms, event)
        steps.append((int(core.view.me), now_ms, event, out, core.wake_at_ms))
        return out

    def noted_rest(room, now_ms):
        rested.append(lasts(room, now_ms))
        return rested[-1] and not looks_always

    with monkeypatch.context() as patch:
        patch.setattr(Membership, "step", noted)
        patch.setattr(rest.Rest, "lasts", noted_rest)
        simrun.run(simcampaign.lines_of(simcampaign.Task(seed, *hosts_of)))
    return steps, sum(rested)


@pytest.mark.parametrize("seed, hosts_of", [(7101, (1, 8)), (7103, (1, 8)), (7105, (1, 8))])
def test_who_rests_does_in_each_step_what_one_does_who_always_looks(
        monkeypatch, seed, hosts_of):
    resting, rests = steps_of(monkeypatch, seed, hosts_of, looks_always=False)
    looking, _ = steps_of(monkeypatch, seed, hosts_of, looks_always=True)
    assert rests > 100
    assert resting == looking
