"""A pool of three real Xen hosts with the installed stack, driven only by what xapi calls.

One pool for all: the tests run in this order, and each leaves the pool whole.  For each fence the
order is shown in which things happened: first the host ends, then the survivors drop it.

A host that is reset boots, and its boot script starts HA again: so each fence ends with a host
that joins anew, and that still knows what it saw before its reset (``recorded``).
"""
import tempfile
import time

import pytest

from asked import Causes
from dom0 import ARCHIVE
from order import require_end_first
from recorded import mark, survived, survived_with_mark
from stack import SECONDS, XAPI_FAILS, XAPI_RESTARTS, Stacks, Watch, files, ha, succeed
from xenrig.disk import ERROR, HANG, OK
from xenrig.pool import Pool

#: Until a host that has lost a path for good is reset by its own decision or a watchdog, with
#: the walk of the fault handler; s.
FENCE_S = 3 * SECONDS["T"] + SECONDS["Ws"]

#: A survivor keeps the last words that the host left on the State-File, where its next daemon
#: writes over them.
CUT_OFF = Causes("cut-off", "cut-off", "cut-off", "cut-off")


def silent(cause):
    """Of a host that ends without a word, the console alone tells the cause."""
    return Causes("silent-on-both", "silent-on-both", "silent-on-both", cause)


@pytest.fixture(scope="module")
def booted(archive):
    """Three hosts with the stack installed, without a configuration."""
    with tempfile.TemporaryDirectory(prefix="xha-xen-", dir="/tmp") as directory:
        with Pool(directory, 3, files(directory, archive)) as pool:
            stacks = Stacks(pool)
            yield stacks
            stacks.end()


@pytest.fixture(scope="module")
def formed(booted):
    """The pool as it is after HA was enabled; how long the starts took."""
    booted.configure()
    succeed(booted.hosts[0], "set_pool_state", "init")
    began_s = time.monotonic()
    codes = [done.code for done in booted.on_all(lambda host: ha(host, "start_daemon"))]
    return codes, time.monotonic() - began_s


@pytest.fixture
def stacks(booted, formed, request):
    """The pool, whole; when a test failed, what its hosts have to say."""
    booted.wait_whole()
    yield booted
    if getattr(request.node, "failed", False):
        for host in booted.hosts:
            print("== {}\n{}".format(host.place.name, "\n".join(
                "{:.3f} {}".format(*row) for row in host.console[-25:])))
            print(host.run("sh", "-c", "tail -n 60 /var/log/xha.log; tail /var/log/boot").out
                  if host.is_up else "(not up)")


def ended_by_reset(host, since_s):
    """When the machine was certainly reset, which it says on its console."""
    reset = host.wait("reset", since_s, FENCE_S)
    dying = host.wait("dying", since_s, 5)
    assert "rebooting machine" in dying.text
    return max(dying.at_s, reset.at_s)


def follow(stacks, victim, since_s, ended_s, what, measured):
    """Check by the survivors' logs that they drop a host only after its end; tell the times."""
    logged = stacks.wait_dropped(victim, Watch.logged_drop, since_s)
    require_end_first(ended_s, logged)
    measured(what + ": until the host's end", ended_s - since_s)
    for survivor, not_before_s in sorted(logged.items()):
        measured("... {} drops it, after that".format(survivor), not_before_s - ended_s)


def fence(stacks, victim, fault, what, measured, kept=survived):
    """A fault of one host from which it is reset, dropped, and comes back, with its memory.

    ``kept``: checks what it still knows.
    """
    boot = stacks.boot_of(victim)
    if kept is survived_with_mark:
        mark(victim, boot)
    since_s = time.monotonic()
    fault()
    ended_s = ended_by_reset(victim, since_s)
    seen = stacks.wait_dropped(victim, Watch.drop, since_s)
    require_end_first(ended_s, {name: found and found.after_s for name, found in seen.items()})
    follow(stacks, victim, since_s, ended_s, what, measured)
    stacks.heal(victim)
    come_back(stacks, since_s, measured)
    kept(victim, boot, since_s, measured)
    for other in stacks.hosts:
        assert other is victim or other.find("reset", since_s) is None


def explained(stacks, asker, name, victim, causes, path, words=""):
    """Check what `why` says of that, there, on a survivor, and of copied files."""
    asker.require(name, dict(enumerate(stacks.hosts)), stacks.hosts.index(victim),
                  causes if isinstance(causes, Causes) else Causes(*[causes] * 4), path,
                  words=words)


def come_back(stacks, since_s, measured):
    """Wait until the pool is whole."""
    stacks.wait_whole()
    measured("... and from the fault until the pool is whole", time.monotonic() - since_s)


def test_hosts_that_start_at_once_form_a_pool_and_one_is_master(stacks, formed, measured):
    codes, took_s = formed
    assert codes == [0, 0, 0]
    measured("ha_start_daemon on three hosts at once", took_s)
    answers = stacks.on_all(lambda host: succeed(host, "propose_master").strip())
    assert sorted(answers) == ["FALSE", "FALSE", "TRUE"]
    stacks.wait("master", lambda one: one.master == {answers.index("TRUE")}, 30)


def test_a_host_without_power_is_dropped_after_its_end_though_it_is_back(stacks, measured,
                                                                          asker):
    """It starts HA again before it is dropped: that life is not taken for the one that ended."""
    victim = stacks.hosts[2]
    boot = stacks.boot_of(victim)
    mark(victim, boot)
    since_s = time.monotonic()
    ended_s = stacks.pool.power_off(victim)
    stacks.pool.power_on(victim)
    follow(stacks, victim, since_s, ended_s, "power off", measured)
    come_back(stacks, since_s, measured)
    survived_with_mark(victim, boot, since_s, measured)
    explained(stacks, asker, "power", victim, silent("power"), "the host itself")


def test_a_host_whose_cable_is_pulled_is_reset_before_it_is_dropped(stacks, measured, asker):
    victim = stacks.hosts[1]
    fence(stacks, victim, lambda: stacks.pool.unplug(victim), "cable pulled", measured)
    explained(stacks, asker, "cable-pulled", victim, CUT_OFF, "heartbeat network")


def test_a_host_whose_network_is_silently_gone_is_reset_before_it_is_dropped(stacks, measured,
                                                                             asker):
    victim = stacks.hosts[0]
    fence(stacks, victim, lambda: stacks.pool.network.cut(victim.place.name),
          "network silently cut", measured)
    explained(stacks, asker, "network-cut", victim, CUT_OFF, "heartbeat network")


def test_a_host_whose_daemon_is_killed_is_reset_before_it_is_dropped(stacks, measured, asker):
    victim = stacks.hosts[1]
    pid = victim.run(ARCHIVE, "pid").out.strip()
    fence(stacks, victim, lambda: victim.spawn("kill", "-9", pid), "kill -9", measured,
          survived_with_mark)
    explained(stacks, asker, "kill-9-in-a-pool", victim, silent("watchdog-fired"),
              "the host itself")


#: Nothing else gets the one processor of the control domain any more.
SPIN = ("import os; open('/proc/sys/kernel/sched_rt_runtime_us', 'w').write('-1'); "
        "os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(99))\nwhile True: pass")


def test_a_host_whose_dom0_hangs_is_reset_before_it_is_dropped(stacks, measured, asker):
    victim = stacks.hosts[0]
    fence(stacks, victim, lambda: victim.spawn("python3", "-c", SPIN), "dom0 hangs", measured,
          survived_with_mark)
    explained(stacks, asker, "dom0-hangs", victim, silent("watchdog-fired"), "the host itself")


@pytest.mark.parametrize("mode, what, number", [
    (HANG, "storage hangs", 2), (ERROR, "storage fails", 1)], ids=["hangs", "fails"])
def test_a_host_without_storage_is_reset_before_it_is_dropped(stacks, measured, mode, what,
                                                              number, asker):
    victim = stacks.hosts[number]
    fence(stacks, victim, lambda: stacks.pool.disk.set_mode(mode, victim.place.name),
          what + " on one", measured)
    explained(stacks, asker, what.replace(" ", "-"), victim, Causes(
        "statefile-timer", "storage-of-one", "statefile-timer", "statefile-timer"), "State-File")


def test_a_host_whose_xapi_fails_fences_itself_before_it_is_dropped(stacks, measured, asker):
    victim, restarts = stacks.hosts[2], []

    def fail():
        victim.put(b"", XAPI_FAILS)
        until_s = time.monotonic() + 30
        while not restarts and time.monotonic() < until_s:
            restarts.extend(victim.run("cat", XAPI_RESTARTS).out.splitlines())
    fence(stacks, victim, fail, "xapi's check fails", measured)
    assert restarts == ["restart xapi.service"]
    explained(stacks, asker, "xapi-fails", victim, "xapi-failed", "xapi")


def test_a_host_that_leaves_on_purpose_is_not_reset_and_joins_again(stacks, measured):
    leaver, since_s = stacks.hosts[1], time.monotonic()
    others = [host for host in stacks.hosts if host is not leaver]
    for name in ("disarm_fencing", "stop_daemon", "set_excluded"):
        succeed(leaver, name)
    assert ha(leaver, "query_liveset").code == 14
    stacks.wait("without it", lambda one: one.live == {0, 2} and one.excluded == {1}, 60, others)
    measured("disarm, stop, set_excluded: until all others know", time.monotonic() - since_s)
    succeed(leaver, "start_daemon")
    stacks.wait_whole()
    assert all(host.find("reset", since_s) is None for host in stacks.hosts)


def storage_gone(stacks, mode):
    """Take the storage away from all: they live on by survival rule 2."""
    stacks.pool.disk.set_mode(mode, *(host.place.name for host in stacks.hosts))
    stacks.wait("rule 2", lambda one: one.live == stacks.everybody and one.statefile_lost,
                FENCE_S)


def test_hosts_that_lose_the_storage_together_live_on_and_get_it_back(stacks, measured):
    since_s = time.monotonic()
    for mode, what in ((HANG, "hangs"), (ERROR, "fails")):
        storage_gone(stacks, mode)
        measured("storage {} on all, from the first fault until all say so".format(what),
                 time.monotonic() - since_s)
        time.sleep(SECONDS["Ws"] + 1)       # by now every watchdog ran out that nothing moved
    stacks.pool.disk.set_mode(OK, *(host.place.name for host in stacks.hosts))
    come_back(stacks, since_s, measured)
    assert all(host.find("reset", since_s) is None for host in stacks.hosts)


def test_without_storage_the_next_loss_resets_everybody_and_nobody_is_dropped(stacks, measured,
                                                                              asker):
    since_s = time.monotonic()
    boots = [stacks.boot_of(host) for host in stacks.hosts]
    storage_gone(stacks, ERROR)
    mark(stacks.hosts[0], boots[0])
    lost_s = time.monotonic()
    stacks.pool.power_off(stacks.hosts[0])
    for host in stacks.hosts[1:]:
        measured("storage fails on all, then one is off: {}'s end".format(host.place.name),
                 ended_by_reset(host, since_s) - lost_s)
    for watch in stacks.watches:
        assert all(look.live in (None, stacks.everybody) for look in watch.looks
                   if look.asked_s > since_s)
    for host in stacks.hosts[1:]:
        stacks.heal(host)
    stacks.pool.power_on(stacks.hosts[0])
    come_back(stacks, since_s, measured)
    survived_with_mark(stacks.hosts[0], boots[0], lost_s, measured)
    for host, boot in zip(stacks.hosts[1:], boots[1:]):
        survived(host, boot, since_s, measured)
    explained(stacks, asker, "rule-2-and-a-host-lost", stacks.hosts[1], Causes(
        "rule-2-broken", None, "rule-2-broken", "rule-2-broken"), "heartbeat network", "--host=1")


def test_an_invalid_pool_state_ends_ha_everywhere_without_a_reset(stacks):
    since_s = time.monotonic()
    succeed(stacks.hosts[0], "set_pool_state", "invalid")
    for host in stacks.hosts:
        while ha(host, "query_liveset").code != 14:
            assert time.monotonic() < since_s + 30
    time.sleep(SECONDS["Ws"] + 1)
    assert all(host.find("reset", since_s) is None for host in stacks.hosts)
    assert ha(stacks.hosts[0], "start_daemon").code == 11
    stacks.end()
