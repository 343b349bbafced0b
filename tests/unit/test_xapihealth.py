"""When xapi is checked, restarted and given up: spec 8, "xapi monitor", sentence by sentence."""
import os

import pytest

from xha import config, xapihealth
from xha.actions import Log
from xha.child import Ended, How, Job, Work
from xha.events import FenceRequested, XapiChanged
from xha.xapihealth import DAY_MS, GRACE_MS, XapiHealth

CONFIG = os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "fixtures",
                      "xhad_host0.conf")
INTERVAL, CHECK, RESTART, T1 = 60000, 10000, 30000, 4000
START = 1000000


class Desk:
    """A machine, the time, and what it wanted."""

    def __init__(self, attempts=1):
        self.health = XapiHealth(config.load(CONFIG).common._replace(
            heartbeat_interval_ms=T1, xapi_check_interval_ms=INTERVAL,
            xapi_check_timeout_ms=CHECK, xapi_restart_attempts=attempts,
            xapi_restart_timeout_ms=RESTART))
        self.now_ms = START
        self.job = None
        self.wishes = []

    def take(self, wishes):
        for wish in wishes:
            if isinstance(wish, Job):
                self.job = wish
        self.wishes += wishes
        return wishes

    def step(self, after_ms=0, online=True):
        self.now_ms += after_ms
        return self.take(self.health.step(self.now_ms, online))

    def end(self, how=How.EXITED, number=0, text="", after_ms=500):
        """The job that runs ends."""
        self.now_ms += after_ms
        job, self.job = self.job, None
        assert job is not None, "nothing runs"
        return self.take(self.health.ended(self.now_ms, Ended(
            work=job.work, ticket=job.ticket, how=how, number=number, text=text,
            duration_ms=after_ms)))

    def works(self):
        return [wish.work for wish in self.wishes if isinstance(wish, Job)]


def kinds(wishes):
    """What was wanted, in short: a message by its name."""
    return [wish.name if isinstance(wish, Log) else wish.work.name if isinstance(wish, Job)
            else type(wish).__name__ for wish in wishes]


@pytest.fixture
def desk():
    desk = Desk()
    desk.step()
    return desk


def test_nothing_is_checked_before_the_host_is_online():
    desk = Desk()
    for _ in range(5):
        assert desk.step(INTERVAL, online=False) == []
    assert kinds(desk.step()) == ["xapi-watched", "CHECK"]


def test_a_host_that_is_not_online_any_more_checks_nothing_and_does_not_fence(desk):
    desk.end(number=1)
    desk.end(number=1)
    assert desk.step(2 * T1, online=False) == []
    assert desk.step(INTERVAL, online=False) == []


def test_a_healthy_xapi_is_checked_every_interval_counted_from_the_start_of_the_check(desk):
    for _ in range(3):
        assert desk.job == Job(work=Work.CHECK, ticket=desk.job.ticket, timeout_ms=CHECK)
        assert desk.end() == []
        assert desk.step(INTERVAL - 500 - 1) == []
        assert kinds(desk.step(1)) == ["CHECK"]


def test_a_check_that_took_longer_than_the_interval_is_followed_by_the_next():
    """xapi itself sets an interval of 60 s and a time-out of 120 s (spec 2)."""
    desk = Desk()
    desk.health._common = desk.health._common._replace(xapi_check_timeout_ms=120000)
    desk.step()
    desk.end(after_ms=100000)
    assert kinds(desk.step()) == ["CHECK"]


BAD = [
    (How.EXITED,    1, "no database", "no database",                          "its own words"),
    (How.EXITED,    3, "",            "health check: exit code 3",            "it said nothing"),
    (How.SIGNALLED, 9, "",            "health check: ended by signal 9",      "a signal"),
    (How.TIMED_OUT, 0, "",            "health check: no end after 10 s",      "a hang"),
    (How.TIMED_OUT, 0, "at step 3",   "at step 3",                            "a hang after words"),
    (How.EXITED,    1, "ERROR <5>",   "ERROR <5>",                            "not escaped here"),
]


@pytest.mark.parametrize("how, number, text, error, why", BAD, ids=[row[-1] for row in BAD])
def test_a_bad_check_is_published_and_xapi_restarted(desk, how, number, text, error, why):
    wishes = desk.end(how, number, text, after_ms=CHECK)
    assert kinds(wishes) == ["xapi-unhealthy", "XapiChanged", "xapi-restarting", "RESTART"]
    assert wishes[1] == XapiChanged(restart_at_ms=desk.now_ms, error=error)
    assert wishes[3].timeout_ms == RESTART


def test_a_restart_that_exits_0_is_believed_and_the_next_check_an_interval_away(desk):
    desk.end(number=1)
    wishes = desk.end(after_ms=7000)
    assert kinds(wishes) == ["xapi-healthy", "XapiChanged"]
    assert wishes[1] == XapiChanged(restart_at_ms=-1, error="")
    assert desk.step(INTERVAL - 1) == []
    assert kinds(desk.step(1)) == ["CHECK"]


@pytest.mark.parametrize("how, number", [(How.EXITED, 1), (How.SIGNALLED, 15), (How.TIMED_OUT, 0),
                                         (How.NOT_STARTED, 0)])
def test_when_the_attempts_are_used_up_it_is_announced_for_two_beats_and_then_fenced(
        desk, how, number):
    desk.end(text="no database", number=1)
    assert kinds(desk.end(how, number)) == ["xapi-restart-failed", "xapi-given-up"]
    assert desk.step(2 * T1 - 1) == []
    fence, = desk.step(1)
    assert fence == FenceRequested(code="xapi-failed", text="xapi does not work and cannot be "
                                   "restarted: no database")


def test_the_time_of_the_first_attempt_stays_published_through_all_attempts():
    desk = Desk(attempts=3)
    desk.step()
    desk.end(number=1)
    published = [wish for wish in desk.wishes if isinstance(wish, XapiChanged)]
    for _ in range(3):
        desk.end(number=1, after_ms=RESTART)
    assert desk.works() == [Work.CHECK] + 3 * [Work.RESTART]
    assert [wish for wish in desk.wishes if isinstance(wish, XapiChanged)] == published
    assert kinds(desk.step(2 * T1)) == ["FenceRequested"]


def test_without_any_attempt_the_first_failure_is_announced_and_fenced():
    desk = Desk(attempts=0)
    desk.step()
    assert kinds(desk.end(number=1)) == ["xapi-unhealthy", "XapiChanged", "xapi-given-up"]
    assert kinds(desk.step(2 * T1)) == ["FenceRequested"]
    assert desk.health.attempts_left(desk.now_ms) == (0, -1)


def test_a_second_failure_within_the_day_fences_without_a_try(desk):
    desk.end(number=1)
    desk.end()
    desk.step(INTERVAL)
    assert kinds(desk.end(number=1)) == ["xapi-unhealthy", "XapiChanged", "xapi-given-up"]
    assert kinds(desk.step(2 * T1)) == ["FenceRequested"]


def test_how_many_attempts_are_left_and_until_when_can_be_seen(desk):
    """Source: spec 8: a second failure otherwise fences to everybody's surprise."""
    assert desk.health.attempts_left(desk.now_ms) == (1, -1)
    desk.end(number=1)
    spent_at_ms = desk.now_ms
    assert desk.health.attempts_left(desk.now_ms) == (0, DAY_MS)
    desk.end()
    assert desk.health.attempts_left(spent_at_ms + DAY_MS - 1) == (0, 1)
    assert desk.health.attempts_left(spent_at_ms + DAY_MS) == (1, -1)


def test_a_failure_a_day_later_is_tried_again(desk):
    desk.end(number=1)
    spent_at_ms = desk.now_ms
    desk.end()
    desk.step(INTERVAL)
    desk.end(number=1, after_ms=spent_at_ms + DAY_MS - desk.now_ms)
    assert desk.job.work is Work.RESTART


def test_a_check_that_cannot_be_started_is_tried_again_and_published_as_nothing(desk):
    assert kinds(desk.end(How.NOT_STARTED, text="No such file")) == ["xapi-check-not-started"]
    assert desk.step(INTERVAL - 1) == []
    assert kinds(desk.step(1)) == ["CHECK"]
    assert kinds(desk.end()) == ["xapi-check-starts"]


def test_six_checks_in_a_row_that_cannot_be_started_fence(desk):
    for count in range(1, 6):
        assert kinds(desk.end(How.NOT_STARTED, text="No such file")) == ["xapi-check-not-started"]
        desk.step(INTERVAL)
    message, fence = desk.end(How.NOT_STARTED, text="No such file")
    assert dict(message.fields) == {"reason": "No such file", "times": 6, "most": 6}
    assert fence == FenceRequested(code="xapi-check-not-started", text="the health check cannot "
                                   "be started: No such file, 6 times in a row")


def test_a_check_that_starts_in_between_begins_the_count_anew(desk):
    for _ in range(3):
        for _ in range(5):
            desk.end(How.NOT_STARTED)
            desk.step(INTERVAL)
        desk.end()
        desk.step(INTERVAL)
    assert "FenceRequested" not in kinds(desk.wishes)


def test_a_disarmed_host_that_was_not_reset_is_checked_on_and_published_as_healthy(desk):
    desk.end(number=1)
    desk.end(number=1)
    desk.step(2 * T1)
    assert desk.step(INTERVAL - 1) == []
    assert kinds(desk.step(1)) == ["CHECK"]
    assert kinds(desk.end()) == ["xapi-healthy", "XapiChanged"]


def test_what_was_said_of_a_disarmed_host_is_not_said_again_each_interval(desk):
    desk.end(number=1)
    desk.end(number=1)
    for _ in range(3):
        assert kinds(desk.step(2 * T1)) == ["FenceRequested"]
        assert kinds(desk.step(INTERVAL)) == ["CHECK"]
        assert desk.end(number=1) == []
    desk.step(2 * T1)
    desk.step(INTERVAL)
    assert kinds(desk.end(number=1, text="worse")) == ["xapi-unhealthy", "XapiChanged"]
    desk.step(2 * T1)
    desk.step(INTERVAL)
    desk.end()
    desk.step(INTERVAL)
    assert kinds(desk.end(number=1)) == ["xapi-unhealthy", "XapiChanged", "xapi-given-up"]


def test_a_job_that_never_comes_back_counts_as_timed_out(desk):
    """Whoever runs it may hang in the very disk that xapi hangs in."""
    lost = desk.job
    assert desk.step(CHECK + GRACE_MS - 1) == []
    assert kinds(desk.step(1)) == ["xapi-unhealthy", "XapiChanged", "xapi-restarting", "RESTART"]
    assert desk.step(RESTART + GRACE_MS - 1) == []
    assert kinds(desk.step(1)) == ["xapi-restart-failed", "xapi-given-up"]
    # It comes back after all: nobody waits for it any more.
    assert desk.health.ended(desk.now_ms, Ended(
        work=lost.work, ticket=lost.ticket, how=How.EXITED, number=0, text="",
        duration_ms=1)) == []
    assert kinds(desk.step(2 * T1)) == ["FenceRequested"]


def test_what_ended_before_it_was_noticed_late_counts_as_it_ended(desk):
    """A daemon that was stopped for a minute takes results in before it looks at the time."""
    assert desk.end(after_ms=CHECK + GRACE_MS + 60000) == []
    assert kinds(desk.step()) == ["CHECK"]


def test_no_published_text_is_longer_than_its_place():
    assert xapihealth.OUTPUT_MAX == 100
    desk = Desk()
    desk.step()
    wishes = desk.end(text="x" * 300, number=1)
    assert wishes[1].error == "x" * 100


# Holds (docs/holds.md)

TERM = 5 * 60000


def test_a_hold_suspends_the_checks_and_ends_by_itself(desk):
    desk.end()
    begun, told = desk.take(desk.health.hold(desk.now_ms, TERM))
    assert begun == Log(name="xapi-hold-begun", fields=(("term", "5m"),))
    assert told == XapiChanged(restart_at_ms=-1, error="", held_until_ms=desk.now_ms + TERM)
    for _ in range(4):
        assert desk.step(INTERVAL) == []
    assert desk.health.held_ms(desk.now_ms) == INTERVAL
    assert desk.step(INTERVAL - 1) == []
    ended, told, check = desk.step(1)
    assert ended == Log(name="xapi-hold-ended", fields=(("how", "by itself"),))
    assert told == XapiChanged(restart_at_ms=-1, error="", held_until_ms=-1)
    assert check.work is Work.CHECK
    assert desk.health.held_ms(desk.now_ms) == -1
    # What fails then is a failure like any.
    assert kinds(desk.end(number=1))[-1] == "RESTART"
    assert kinds(desk.end(number=1)) == ["xapi-restart-failed", "xapi-given-up"]
    assert kinds(desk.step(2 * T1)) == ["FenceRequested"]


def test_a_check_that_began_before_the_hold_is_not_heard(desk):
    desk.take(desk.health.hold(desk.now_ms, TERM))
    assert desk.end(How.TIMED_OUT, after_ms=CHECK) == []
    assert desk.step(GRACE_MS + CHECK) == []
    assert desk.health.attempts_left(desk.now_ms) == (1, -1)


def test_a_check_that_began_before_the_hold_is_not_heard_after_it_either(desk):
    before = desk.job
    desk.take(desk.health.hold(desk.now_ms, 1000))
    assert kinds(desk.step(1000)) == ["xapi-hold-ended", "XapiChanged", "CHECK"]
    assert desk.health.ended(desk.now_ms, Ended(
        work=before.work, ticket=before.ticket, how=How.EXITED, number=1, text="upgraded",
        duration_ms=1000)) == []
    assert desk.end() == []


HALF_DONE = [
    # how the restart ended, what is said,                  what is published then
    (0,                      ["xapi-healthy", "XapiChanged"], (-1, "")),
    (1,                      ["xapi-restart-failed"],         None),
]


@pytest.mark.parametrize("number, said, published", HALF_DONE)
def test_a_restart_that_was_begun_goes_on_and_costs_no_further_attempt(number, said, published):
    desk = Desk(attempts=3)
    desk.step()
    desk.end(number=1, text="no database")
    desk.take(desk.health.hold(desk.now_ms, TERM))
    wishes = desk.end(number=number, after_ms=7000)
    assert kinds(wishes) == said
    if published:
        assert wishes[-1] == XapiChanged(restart_at_ms=published[0], error=published[1],
                                         held_until_ms=desk.now_ms - 7000 + TERM)
    assert desk.step(TERM - 7001) == []
    assert desk.health.attempts_left(desk.now_ms)[0] == 2
    assert kinds(desk.step(1))[-1] == "CHECK"


def test_a_restart_that_outlasts_the_hold_is_judged_as_any_other(desk):
    desk.end(number=1)
    desk.take(desk.health.hold(desk.now_ms, 1000))
    assert kinds(desk.step(1000)) == ["xapi-hold-ended", "XapiChanged"]
    assert desk.job.work is Work.RESTART
    assert kinds(desk.end(number=1)) == ["xapi-restart-failed", "xapi-given-up"]


def test_a_restart_that_never_comes_back_counts_as_failed_during_a_hold_too(desk):
    desk.end(number=1)
    desk.take(desk.health.hold(desk.now_ms, TERM))
    assert kinds(desk.step(RESTART + GRACE_MS)) == ["xapi-restart-failed"]
    assert desk.step(INTERVAL) == []


def test_who_was_about_to_fence_itself_waits_and_announces_anew(desk):
    desk.end(number=1, text="no database")
    desk.end(number=1)
    desk.step(2 * T1 - 1)
    told = desk.take(desk.health.hold(desk.now_ms, TERM))[-1]
    # What is known of xapi stays published: nothing newer is known.
    assert (told.restart_at_ms, told.error) == (desk.now_ms - 2 * T1 + 1 - 500, "no database")
    assert desk.step(TERM - 1) == []
    assert kinds(desk.step(1)) == ["xapi-hold-ended", "XapiChanged", "CHECK"]
    assert kinds(desk.end(number=1, text="no database")) == ["xapi-given-up"]
    assert desk.step(2 * T1 - 1) == []
    assert kinds(desk.step(1)) == ["FenceRequested"]


def test_who_was_about_to_fence_itself_lives_when_xapi_works_after_the_hold(desk):
    desk.end(number=1)
    desk.end(number=1)
    desk.take(desk.health.hold(desk.now_ms, TERM))
    desk.step(TERM)
    assert kinds(desk.end()) == ["xapi-healthy", "XapiChanged"]
    assert kinds(desk.step(INTERVAL)) == ["CHECK"]


def test_a_row_of_checks_that_cannot_be_started_begins_anew_after_a_hold(desk):
    for _ in range(xapihealth.STARTS_MAX - 1):
        desk.end(How.NOT_STARTED)
        desk.step(INTERVAL)
    desk.take(desk.health.hold(desk.now_ms, 1000))
    desk.step(1000)
    for _ in range(xapihealth.STARTS_MAX - 1):
        assert kinds(desk.end(How.NOT_STARTED)) == ["xapi-check-not-started"]
        desk.step(INTERVAL)
    assert kinds(desk.end(How.NOT_STARTED))[-1] == "FenceRequested"


@pytest.mark.parametrize("term_ms, words", [(2 * TERM, "10m"), (1000, "1s")])
def test_another_hold_takes_the_place_of_the_first(desk, term_ms, words):
    desk.take(desk.health.hold(desk.now_ms, TERM))
    desk.step(INTERVAL)
    changed, told = desk.take(desk.health.hold(desk.now_ms, term_ms))
    assert changed == Log(name="xapi-hold-changed", fields=(("term", words),))
    assert told.held_until_ms == desk.now_ms + term_ms
    assert desk.step(term_ms - 1) == []
    assert kinds(desk.step(1)) == ["xapi-hold-ended", "XapiChanged", "CHECK"]


def test_a_hold_is_ended_by_command_and_ending_none_says_nothing(desk):
    assert desk.take(desk.health.release(desk.now_ms)) == []
    desk.take(desk.health.hold(desk.now_ms, TERM))
    desk.step(1000)
    ended, told = desk.take(desk.health.release(desk.now_ms))
    assert ended == Log(name="xapi-hold-ended", fields=(("how", "by command"),))
    assert told.held_until_ms == -1
    assert kinds(desk.step()) == ["CHECK"]


def test_a_hold_that_was_asked_for_before_the_host_is_online_counts_then():
    desk = Desk()
    assert kinds(desk.take(desk.health.hold(desk.now_ms, TERM))) == [
        "xapi-hold-begun", "XapiChanged"]
    assert desk.step(INTERVAL, online=False) == []
    assert kinds(desk.step(INTERVAL)) == ["xapi-watched"]
    assert desk.step(TERM - 2 * INTERVAL - 1) == []
    assert kinds(desk.step(1)) == ["xapi-hold-ended", "XapiChanged", "CHECK"]


def test_a_hold_ends_also_on_a_host_that_is_not_online():
    desk = Desk()
    desk.take(desk.health.hold(desk.now_ms, TERM))
    assert kinds(desk.step(TERM, online=False)) == ["xapi-hold-ended", "XapiChanged"]
