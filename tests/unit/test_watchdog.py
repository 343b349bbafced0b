"""The watchdogs of modes HYPERVISOR (on the fake Xen) and NONE, and what starts find left."""
import errno
import os
import subprocess
import sys

import pytest

from contract.fakexen import FOREVER_S, FakeXen, HostReset
from xha import lefttimers, timerrecord, userwatchdog, watchdog
from xha.actions import Watchdog, log
from xha.errors import ExitCode, XhaError
from xha.paths import Paths
from xha.published import WatchdogMode
from xha.timerrecord import NO_PROCESS, Process
from xha.watchdogport import WatchdogError
from xha.xenhypercall import NEVER_S, XenAbsent
from xha.xentimers import HypervisorWatchdogs

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
HEARTBEAT, STATEFILE = Watchdog.HEARTBEAT, Watchdog.STATEFILE
TIMEOUTS = {HEARTBEAT: 30000, STATEFILE: 45000}


@pytest.fixture
def paths(tmp_path):
    return Paths(run_dir=str(tmp_path / "run"), state_dir=str(tmp_path / "state"))


@pytest.fixture
def xen():
    return FakeXen()


def hypervisor(xen, paths):
    return HypervisorWatchdogs(paths, xen.clock, TIMEOUTS, xen.pause_for_ever)


def opened(xen, paths):
    dogs = hypervisor(xen, paths)
    dogs.open(xen.open)
    return dogs


def names(said):
    return [one.name for one in said]


def refusal(call, *arguments):
    with pytest.raises(XhaError) as refused:
        call(*arguments)
    assert refused.value.code is ExitCode.WATCHDOG_ERROR
    return str(refused.value)


# Opening.

def test_both_timers_are_created_so_that_they_never_fire_and_are_recorded(xen, paths):
    said = hypervisor(xen, paths).open(xen.open)
    assert xen.timers == {1: None, 2: None}
    assert said == [log("watchdogs-opened", ids="heartbeat 1, statefile 2")]
    record = timerrecord.read(paths).record
    assert (record.mode, record.armed) == (WatchdogMode.HYPERVISOR, False)
    assert record.timers == ((HEARTBEAT, 1), (STATEFILE, 2))
    assert record.daemon == timerrecord.process(os.getpid())
    assert dict(record.timeouts_ms) == TIMEOUTS
    xen.pass_time(1 << 50)


@pytest.mark.parametrize("taken", [1, 2])
def test_without_two_free_timers_the_start_is_refused_and_leaves_nothing(xen, paths, taken):
    for _ in range(taken):
        xen.create_timer(60)
    held = dict(xen.timers)
    text = refusal(hypervisor(xen, paths).open, xen.open)
    assert "no free watchdog timer" in text
    for holder in ("xenwatchdogd", "xen_wdt", "cleanup-watchdog --force"):
        assert holder in text
    assert (xen.timers, xen.opened) == (held, 0)
    assert timerrecord.read(paths) == timerrecord.Found(None, (), "")


@pytest.mark.parametrize("taken", [1, 2])
def test_with_four_timers_it_lives_beside_others_whose_timers_it_never_touches(paths, taken):
    xen = FakeXen(count=4)
    for _ in range(taken):
        xen.create_timer(NEVER_S)
    others = dict(xen.timers)
    dogs = opened(xen, paths)
    first, second = taken + 1, taken + 2
    assert timerrecord.read(paths).record.timers == ((HEARTBEAT, first), (STATEFILE, second))
    dogs.set(STATEFILE, xen.now_ms + 7000)
    assert xen.calls[-1] == (second, 7)
    dogs.close()
    assert xen.timers == others


def test_with_four_timers_a_fence_that_has_lost_its_own_takes_one_that_is_free(paths):
    xen = FakeXen(reset_works=False, count=4)
    xen.create_timer(NEVER_S)
    xen.create_timer(NEVER_S)
    dogs = opened(xen, paths)
    xen.stop_timer(3)
    xen.stop_timer(4)
    with pytest.raises(HostReset):
        dogs.fence("why")
    assert xen.calls[-1] == (0, 1)


def test_a_refused_start_names_and_keeps_the_ids_that_xhad_left(xen, paths):
    xen.create_timer(60)
    xen.create_timer(60)
    os.makedirs(paths.run_dir)
    with open(paths.watchdog_ids, "w") as file:
        file.write("1\n2\n")
    text = refusal(hypervisor(xen, paths).open, xen.open)
    assert paths.watchdog_ids in text and "1, 2" in text
    assert timerrecord.read(paths).ids == (1, 2)
    assert len(xen.timers) == 2


def test_without_xen_the_start_is_refused_with_the_device_named(xen, paths):
    def absent():
        raise XenAbsent("there is no /dev/xen/privcmd")
    assert "/dev/xen/privcmd" in refusal(hypervisor(xen, paths).open, absent)


def test_another_error_of_xen_is_told(xen, paths):
    xen.fail_next = [0, errno.EPERM]
    assert "EPERM" in refusal(hypervisor(xen, paths).open, xen.open)
    assert (xen.timers, xen.opened) == ({}, 0)


def test_a_record_that_cannot_be_written_refuses_the_start_and_frees_the_timers(xen, paths):
    os.makedirs(paths.watchdog_record + ".new")
    assert paths.watchdog_record in refusal(hypervisor(xen, paths).open, xen.open)
    assert (xen.timers, xen.opened) == ({}, 0)


def test_after_a_crash_between_the_two_timers_the_next_start_frees_the_first(xen, paths):
    def crash(ident, timeout_s, take=xen.obey):
        if 1 in xen.timers and ident == 0:
            raise HostReset     # nothing of the program runs on
        return take(ident, timeout_s)

    crashed = hypervisor(xen, paths)
    crashed._destroy = lambda: None
    xen.obey = crash
    with pytest.raises(HostReset):
        crashed.open(xen.open)
    del xen.obey
    assert xen.timers == {1: None}
    assert "watchdogs-stopped-stale" in names(hypervisor(xen, paths).open(xen.open))
    assert len(xen.timers) == 2


def test_a_copy_of_the_record_that_cannot_be_written_is_a_warning(xen, paths, tmp_path):
    (tmp_path / "state").write_text("a file in the place of the directory")
    assert "watchdog-record-not-copied" in names(hypervisor(xen, paths).open(xen.open))
    assert len(xen.timers) == 2


# Setting.

SET = [
    # left ms   calls              why
    (45000,     [(1, 45)],         "whole seconds are passed as they are"),
    (44999,     [(1, 44)],         "the remainder is rounded down"),
    (44001,     [(1, 44)],         "down, not to the nearest"),
    (1999,      [(1, 1)],          "the smallest time-out is 1 s"),
    (1000,      [(1, 1)],          "exactly a second can be set"),
    (999,       [],                "below a second the timer is not touched"),
    (1,         [],                "nor with the last millisecond"),
    (0,         [],                "0 would stop it"),
    (-5000,     [],                "an instant that passed cannot be set"),
    (1 << 43,   [(1, FOREVER_S - 1)], "never is not reached by a long time-out"),
]


@pytest.mark.parametrize("left_ms, calls, why", SET, ids=[row[-1] for row in SET])
def test_what_is_asked_of_xen(xen, paths, left_ms, calls, why):
    dogs = opened(xen, paths)
    xen.calls.clear()
    dogs.set(HEARTBEAT, xen.now_ms + left_ms)
    assert xen.calls == calls


def test_each_role_has_its_own_timer(xen, paths):
    dogs = opened(xen, paths)
    dogs.set(HEARTBEAT, xen.now_ms + 5000)
    dogs.set(STATEFILE, xen.now_ms + 8000)
    assert xen.timers == {1: xen.now_ms + 5000, 2: xen.now_ms + 8000}


@pytest.mark.parametrize("phase_ms", [0, 1, 250, 999])
def test_a_timer_never_expires_later_than_asked_and_less_than_a_second_earlier(
        xen, paths, phase_ms):
    dogs = opened(xen, paths)
    wanted_ms = xen.now_ms + 8000 + phase_ms
    dogs.set(STATEFILE, wanted_ms)
    assert wanted_ms - 1000 < xen.timers[2] <= wanted_ms


PAUSES = [
    # held up by  calls                        why
    ([70],        [(2, 8)],                    "70 ms are allowed for, spec 7 allows 100"),
    ([71],        [(2, 8), (2, 7)],            "a longer pause stretched it: set again"),
    ([3000],      [(2, 8), (2, 5)],            "by what is left after the pause"),
    ([500, 700],  [(2, 8), (2, 7), (2, 6)],    "until a set was prompt"),
    ([7500],      [(2, 8), (2, 1)],            "with less than 1 s left it is shortened"),
    ([20000],     [(2, 8), (2, 1)],            "a deadline that passed meanwhile: at once"),
    ([7500, 900], [(2, 8), (2, 1)],            "once: repeating it would kick the timer"),
]


@pytest.mark.parametrize("pauses_ms, calls, why", PAUSES, ids=[row[-1] for row in PAUSES])
def test_a_pause_does_not_stretch_a_timer(xen, paths, pauses_ms, calls, why):
    dogs = opened(xen, paths)
    xen.calls.clear()
    xen.pauses_ms = list(pauses_ms)
    dogs.set(STATEFILE, xen.now_ms + 8000)
    assert xen.calls == calls


def test_refreshed_in_time_a_host_lives_and_then_dies_at_the_deadline(xen, paths):
    dogs = opened(xen, paths)
    for _ in range(60):
        dogs.set(HEARTBEAT, xen.now_ms + 5000)
        dogs.set(STATEFILE, xen.now_ms + 8000)
        xen.pass_time(1000)
    last_ms = xen.now_ms - 1000
    with pytest.raises(HostReset):
        xen.pass_time(1 << 40)
    assert xen.reset_at_ms == last_ms + 5000


def test_a_set_that_xen_refuses_is_told_and_the_next_proof_tries_again(xen, paths):
    dogs = opened(xen, paths)
    xen.fail_next = [errno.EFAULT]
    with pytest.raises(WatchdogError) as failed:
        dogs.set(STATEFILE, xen.now_ms + 8000)
    assert "statefile" in str(failed.value) and "EFAULT" in str(failed.value)
    assert not failed.value.expired
    dogs.set(STATEFILE, xen.now_ms + 8000)
    assert xen.timers[2] == xen.now_ms + 8000
    assert dogs.expired(xen.now_ms) is None


def test_a_timer_that_expired_without_a_reset_is_the_gravest_error(xen, paths):
    dogs = opened(xen, paths)
    dogs.set(HEARTBEAT, xen.now_ms + 5000)
    xen.stuck = True
    xen.pass_time(5000)
    for _ in range(2):
        with pytest.raises(WatchdogError) as failed:
            dogs.set(HEARTBEAT, xen.now_ms + 5000)
        assert failed.value.expired
    assert dogs.expired(xen.now_ms) is HEARTBEAT
    assert dogs.expired(xen.now_ms) is None, "told once"


# Arming, closing, fencing.

def test_arming_changes_the_record_alone(xen, paths):
    dogs = opened(xen, paths)
    before = timerrecord.read(paths).record
    xen.calls.clear()
    dogs.record_armed()
    assert timerrecord.read(paths).record == before._replace(armed=True)
    assert xen.calls == []


def test_a_host_that_cannot_be_recorded_as_armed_is_told_so(xen, paths):
    dogs = opened(xen, paths)
    os.makedirs(paths.watchdog_record + ".new")
    with pytest.raises(WatchdogError):
        dogs.record_armed()


def test_closing_stops_both_forgets_them_and_can_be_repeated(xen, paths):
    dogs = opened(xen, paths)
    dogs.set(HEARTBEAT, xen.now_ms + 5000)
    dogs.record_armed()
    dogs.close()
    dogs.close()
    assert (xen.timers, xen.opened) == ({}, 0)
    assert timerrecord.read(paths) == timerrecord.Found(None, (), "")


def test_closing_timers_that_were_never_opened_is_fine(xen, paths):
    hypervisor(xen, paths).close()
    assert xen.calls == []


def test_closing_a_timer_that_somebody_stopped_is_fine(xen, paths):
    dogs = opened(xen, paths)
    xen.stop_timer(1)
    dogs.close()
    assert xen.timers == {}


def test_a_timer_that_cannot_be_stopped_is_told_its_record_stays_and_the_other_is_stopped(
        xen, paths):
    dogs = opened(xen, paths)
    xen.fail_next = [errno.EFAULT]
    with pytest.raises(WatchdogError) as failed:
        dogs.close()
    assert "heartbeat" in str(failed.value)
    assert list(xen.timers) == [1]
    assert timerrecord.read(paths).record is not None
    dogs.close()
    assert xen.timers == {}
    assert timerrecord.read(paths).record is None


def test_a_fence_resets_the_host_at_once(xen, paths):
    dogs = opened(xen, paths)
    dogs.set(HEARTBEAT, xen.now_ms + 5000)
    fenced_at_ms = xen.now_ms
    with pytest.raises(HostReset):
        dogs.fence("no survival rule applies")
    assert xen.reset_at_ms == fenced_at_ms


FENCES = [
    # prepare                                            why
    (lambda xen: None,                                   "both timers do it"),
    (lambda xen: xen.fail_next.extend([errno.EPERM]),    "also when Xen refuses the reset"),
    (lambda xen: xen.stop_timer(1),                      "one that is left is enough"),
    (lambda xen: (xen.stop_timer(1), xen.stop_timer(2)), "and without any, new ones are made"),
    (lambda xen: xen.fail_next.extend([0, errno.EFAULT]), "or one that can be set"),
]


@pytest.mark.parametrize("prepare, why", FENCES, ids=[row[-1] for row in FENCES])
def test_should_the_reset_return_a_timer_does_it_within_a_second(xen, paths, prepare, why):
    dogs = opened(xen, paths)
    xen.reset_works = False
    prepare(xen)
    fenced_at_ms = xen.now_ms
    with pytest.raises(HostReset):
        dogs.fence("no survival rule applies")
    assert xen.reset_at_ms == fenced_at_ms + 1000


# What the last daemon left.

def leave(xen, paths, armed, **changes):
    """A daemon dies and leaves timers that run, and this record."""
    dogs = opened(xen, paths)
    dogs.set(HEARTBEAT, xen.now_ms + 5000)
    if armed:
        dogs.record_armed()
    record = timerrecord.read(paths).record._replace(**changes)
    timerrecord.write(paths, record)
    xen.opened = 0
    xen.calls.clear()
    return record


@pytest.mark.parametrize("mode", [WatchdogMode.HYPERVISOR, WatchdogMode.NONE])
def test_timers_of_a_daemon_that_died_armed_are_not_touched_and_the_start_refused(
        xen, paths, mode):
    record = leave(xen, paths, armed=True)
    running = dict(xen.timers)
    dogs = (hypervisor(xen, paths) if mode is WatchdogMode.HYPERVISOR
            else watchdog.open_watchdogs(mode, paths, "", xen.clock, TIMEOUTS))
    text = refusal(dogs.open, xen.open)
    assert "died while this host was armed" in text and "within 45 s" in text
    assert str(record.daemon.pid) in text and "cleanup-watchdog" in text
    assert (xen.calls, xen.timers, xen.opened) == ([], running, 0)
    assert timerrecord.read(paths).record == record
    with pytest.raises(HostReset):
        xen.pass_time(5000)


def test_timers_of_a_daemon_that_was_not_armed_are_stopped(xen, paths):
    leave(xen, paths, armed=False)
    said = hypervisor(xen, paths).open(xen.open)
    assert said[0] == log("watchdogs-stopped-stale", ids="1, 2")
    assert xen.timers == {1: None, 2: None}
    xen.pass_time(1 << 40)


def test_a_start_in_mode_none_stops_xens_timers_of_a_daemon_that_was_not_armed(xen, paths):
    leave(xen, paths, armed=False)
    watchdog.open_watchdogs(WatchdogMode.NONE, paths, "", xen.clock, TIMEOUTS).open(xen.open)
    assert (xen.timers, xen.opened) == ({}, 0)
    assert timerrecord.read(paths).ids == ()


def test_timers_that_ended_by_themselves_are_not_told_as_stopped(xen, paths):
    leave(xen, paths, armed=False)
    xen.timers.clear()
    assert names(hypervisor(xen, paths).open(xen.open)) == ["watchdogs-opened"]


def test_timers_that_cannot_be_stopped_refuse_the_start(xen, paths):
    leave(xen, paths, armed=False)
    xen.fail_next = [errno.EFAULT]
    assert "EFAULT" in refusal(hypervisor(xen, paths).open, xen.open)
    assert timerrecord.read(paths).record is not None


@pytest.mark.parametrize("armed", [False, True])
def test_a_record_of_another_boot_is_forgotten(xen, paths, armed):
    leave(xen, paths, armed=armed, boot_id="another")
    xen.timers.clear()
    said = hypervisor(xen, paths).open(xen.open)
    assert names(said) == ["watchdog-record-of-another-boot", "watchdogs-opened"]
    assert xen.calls == [(0, FOREVER_S)] * 2


def test_a_record_that_cannot_be_read_is_a_warning(xen, paths):
    os.makedirs(paths.run_dir)
    with open(paths.watchdog_record, "w") as file:
        file.write("{")
    said = hypervisor(xen, paths).open(xen.open)
    assert names(said) == ["watchdog-record-unreadable", "watchdogs-opened"]


@pytest.mark.parametrize("armed, said", [(True, ["watchdogs-left-armed-none"]), (False, [])])
def test_mode_none_left_numbers_only_so_a_start_warns_and_goes_on(xen, paths, armed, said):
    leave(xen, paths, armed=armed, mode=WatchdogMode.NONE)
    xen.timers.clear()
    assert names(hypervisor(xen, paths).open(xen.open)) == said + ["watchdogs-opened"]


# Cleaning up by hand.

def test_cleanup_stops_the_timers_on_record_and_warns_when_they_guard_an_armed_host(xen, paths):
    leave(xen, paths, armed=True)
    code, lines = lefttimers.cleanup(paths, False, xen.open)
    assert code is ExitCode.SUCCESS
    assert lines[0].startswith("WARNING") and "was armed" in lines[0]
    assert lines[1:] == ["Timer 1 stopped.", "Timer 2 stopped."]
    assert (xen.timers, xen.opened) == ({}, 0)
    assert timerrecord.read(paths) == timerrecord.Found(None, (), "")
    assert names(hypervisor(xen, paths).open(xen.open)) == ["watchdogs-opened"]


#: What a Xen may have that was patched for four timers; on others, ids 3 and 4 are not in use.
EVERY_ID = [1, 2, 3, 4]

CLEANUPS = [
    # left on file          force  ids tried  why
    ("unarmed",             False, [1, 2],    "what a record names is stopped"),
    ("ids",                 False, [1, 2],    "so is what xhad wrote down"),
    ("nothing",             False, [],        "without a record nothing is stopped"),
    ("nothing",             True,  EVERY_ID,  "unless forced"),
    ("garbage",             False, [],        "what cannot be read is no record"),
    ("garbage",             True,  EVERY_ID,  "which force does not need"),
    ("another boot",        False, [],        "ids of another boot are nobody's"),
    ("another boot",        True,  EVERY_ID,  "or somebody's, by force"),
]


@pytest.mark.parametrize("left, force, ids, why", CLEANUPS, ids=[row[-1] for row in CLEANUPS])
def test_cleanup(xen, paths, left, force, ids, why):
    if left in ("unarmed", "another boot"):
        leave(xen, paths, False, **({} if left == "unarmed" else {"boot_id": "another"}))
    elif left != "nothing":
        os.makedirs(paths.run_dir)
        with open(paths.watchdog_ids if left == "ids" else paths.watchdog_record, "w") as file:
            file.write("1\n2\n" if left == "ids" else "{")
    xen.calls.clear()
    assert lefttimers.cleanup(paths, force, xen.open)[0] is ExitCode.SUCCESS
    assert xen.calls == [(ident, 0) for ident in ids]
    assert timerrecord.read(paths) == timerrecord.Found(None, (), "")


def test_cleanup_says_which_timers_were_not_in_use(xen, paths):
    xen.create_timer(60)
    code, lines = lefttimers.cleanup(paths, True, xen.open)
    assert (code, lines) == (ExitCode.SUCCESS, ["Timer 1 stopped."] + [
        "Timer {} was not in use.".format(ident) for ident in (2, 3, 4)])


def test_cleanup_that_fails_says_so_and_keeps_the_record(xen, paths):
    leave(xen, paths, armed=False)
    xen.fail_next = [0, errno.EFAULT]
    code, lines = lefttimers.cleanup(paths, False, xen.open)
    assert code is ExitCode.WATCHDOG_ERROR
    assert "Timer 2 was not stopped" in lines[-1]
    assert timerrecord.read(paths).record is not None


def test_cleanup_without_xen_says_so(paths):
    def absent():
        raise XenAbsent("there is no /dev/xen/privcmd")
    code, lines = lefttimers.cleanup(paths, True, absent)
    assert code is ExitCode.WATCHDOG_ERROR
    assert "/dev/xen/privcmd" in lines[-1]


# Mode NONE.

def none_mode(xen, paths):
    dogs = watchdog.open_watchdogs(WatchdogMode.NONE, paths, "", xen.clock, TIMEOUTS)
    assert names(dogs.open(xen.open))[0] == "watchdog-mode-none"
    return dogs


def test_mode_none_keeps_a_record_but_no_timer(xen, paths):
    none_mode(xen, paths).record_armed()
    record = timerrecord.read(paths).record
    assert (record.mode, record.armed, record.keeper) == (WatchdogMode.NONE, True, NO_PROCESS)
    assert xen.calls == []


EXPIRIES = [
    # (advance ms, set to +ms or None, expired), then why
    ([(0, 5000, None), (4999, None, None), (1, None, HEARTBEAT)],
     "it expires at its instant"),
    ([(0, 5000, None), (5000, None, HEARTBEAT), (9999, None, None)],
     "it is told once"),
    ([(0, 5000, None), (4000, 5000, None), (4999, None, None)],
     "a proof moves it"),
    ([(0, 5000, None), (6000, 5000, HEARTBEAT)],
     "a proof that is late hides nothing"),
    ([(0, 5000, None), (5000, None, HEARTBEAT), (0, 5000, None),
      (5000, None, HEARTBEAT)],
     "it can expire again"),
    ([(0, None, None), (1 << 40, None, None)],
     "never set, it never expires"),
]


@pytest.mark.parametrize("steps, why", EXPIRIES, ids=[row[-1] for row in EXPIRIES])
def test_mode_none_tells_what_expired(xen, paths, steps, why):
    dogs = none_mode(xen, paths)
    for advance_ms, to_ms, expected in steps:
        xen.pass_time(advance_ms)
        if to_ms is not None:
            dogs.set(HEARTBEAT, xen.now_ms + to_ms)
        assert dogs.expired(xen.now_ms) is expected


def test_a_closed_watchdog_of_mode_none_tells_nothing(xen, paths):
    dogs = none_mode(xen, paths)
    dogs.set(STATEFILE, xen.now_ms + 5000)
    dogs.close()
    xen.pass_time(9000)
    assert dogs.expired(xen.now_ms) is None


def test_a_fence_in_mode_none_ends_the_process_like_abort_without_a_core_file(tmp_path):
    (tmp_path / "xha").symlink_to(os.path.join(ROOT, "src"))
    (tmp_path / "provoked.py").symlink_to(os.path.join(ROOT, "tests", "provoked.py"))
    program = (
        "import provoked; provoked.watch()\n"
        "import signal; signal.signal(signal.SIGABRT, signal.SIG_IGN)\n"
        "from xha import watchdog; from xha.paths import Paths\n"
        "from xha.published import WatchdogMode\n"
        "dogs = watchdog.open_watchdogs(WatchdogMode.NONE, Paths('run'), '', lambda: 0, {})\n"
        "dogs.open()\n"
        "try:\n    dogs.fence('the test wants it')\nfinally:\n    print('still here')\n")
    ended = subprocess.Popen([sys.executable, "-B", "-c", program], cwd=str(tmp_path),
                             stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    out, err = ended.communicate()
    assert (ended.returncode, out, err) == (-6, b"", b"")
    assert not [name for name in os.listdir(str(tmp_path)) if name.startswith("core")]


def test_what_is_said_without_the_catalogue_is_what_the_catalogue_says():
    with open(os.path.join(ROOT, "sysloglist")) as file:
        text = file.read()
    for name, said in ((userwatchdog.FIRED_NAME, userwatchdog.FIRED_TEXT),
                       ("watchdog-fence-none", watchdog.FENCE_NONE_TEXT)):
        assert "\n{}  err\n    {}\n".format(name, said) in text


def test_a_process_of_that_pid_that_is_not_the_timer_process_is_never_killed(xen, paths):
    """The record names this very test process, as one that started at another time."""
    leave(xen, paths, armed=False, mode=WatchdogMode.USER,
          keeper=Process(os.getpid(), 1))
    xen.timers.clear()
    assert names(hypervisor(xen, paths).open(xen.open)) == ["watchdogs-opened"]
