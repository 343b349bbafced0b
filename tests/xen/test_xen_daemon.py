"""The daemon from the archive, guarded by a real Xen: what keeps its promise when it cannot.

A pool of one host comes online alone, so one machine is enough but for the last test.  The
emulated processor is slow: hence T = 10 s.
"""
import os
import re
import time

import pytest

from asked import Causes
from dom0 import ARCHIVE, CONFIG, configuration, lives, script
from recorded import boot_of, lines_of, mark, require_mark, survived, survived_with_mark
from xenrig.host import DISK, DISK_BYTES, HostReset

INTERVAL_S, TIMEOUT_S, HEARTBEAT_WATCHDOG_S, STATEFILE_WATCHDOG_S = 2, 10, 10, 15
#: Emulated, on a machine with other work: how late or early an instant may be seen, s.
SLACK_S = 1.5
#: From the kill of a daemon: its last heartbeat is up to an interval (and a whole second) old.
EARLIEST_S = HEARTBEAT_WATCHDOG_S - INTERVAL_S - 1 - SLACK_S

RECORD = "/run/xha/watchdog.json"
IDS = "/var/run/xhad.wd.id"
SECONDS = {"t": INTERVAL_S, "T": TIMEOUT_S, "Wh": HEARTBEAT_WATCHDOG_S,
           "Ws": STATEFILE_WATCHDOG_S}
LOOPBACK = ["127.0.0.1", "127.0.0.2"]

#: Until Xen has reset a host that was asked to, or whose control domain crashed; s.
RESET_S = 60


def xha(host, *arguments):
    """Run a command of the archive.  There is no xapi here: its check is always content."""
    hooks = ["--health-check=true"] if arguments[0] == "start-daemon" else []
    return host.run(ARCHIVE, *(list(arguments) + hooks))


def succeed(host, *arguments):
    """Run a command of the archive that has to succeed; what it prints."""
    done = xha(host, *arguments)
    assert done.code == 0, done
    return done.out


def new_pool(host, local=0, hosts=1):
    """A configuration and an initialised State-File."""
    host.run("mkdir", "-p", os.path.dirname(CONFIG))
    host.put(configuration(local, LOOPBACK[:hosts], **SECONDS), CONFIG)
    host.run("dd", "if=/dev/zero", "of=" + DISK, "bs=1M", "count={}".format(DISK_BYTES >> 20))
    succeed(host, "set-pool-state", "init")


def online(host):
    """A pool of one host, online; the daemon's pid."""
    new_pool(host)
    began_s = time.monotonic()
    succeed(host, "start-daemon")
    assert succeed(host, "host-state").strip() == "Online"
    return succeed(host, "pid").strip(), time.monotonic() - began_s


def marked(host):
    """The boot that the host is on, whose flight recorder holds what just happened."""
    boot = boot_of(host)
    mark(host, boot)
    return boot


def kill(host, signal, pid):
    """Signal a process of the host; when."""
    killed_s = time.monotonic()
    host.spawn("kill", "-" + signal, pid)
    return killed_s


def fired_after(host, killed_s, measured, what, dead_s=None):
    """Check that Xen reset the host as the heartbeat watchdog promises; tell the time.

    ``dead_s``: when the daemon was certainly dead, where that is not ``killed_s``.
    """
    seen = host.wait_reset(killed_s, 90)
    assert seen.fired_s is not None, seen
    measured(what + ": Xen fires", seen.fired_s - killed_s)
    measured("... and the machine is reset after", seen.reset_s - seen.fired_s)
    assert EARLIEST_S < seen.fired_s - killed_s
    assert seen.fired_s - (dead_s or killed_s) < HEARTBEAT_WATCHDOG_S + SLACK_S


def test_an_armed_host_that_works_stays_up_and_stops_in_peace_when_disarmed(host, measured):
    _, took_s = online(host)
    measured("start-daemon until online, one host", took_s)
    assert '"armed": true' in host.run("cat", RECORD).out
    assert host.run("cat", IDS).out == "1\n2\n"
    assert host.run("stat", "-c", "%a", RECORD, IDS).out.split() == ["600", "600"]
    assert lives(host, HEARTBEAT_WATCHDOG_S + STATEFILE_WATCHDOG_S + 5)
    succeed(host, "disarm-fencing")
    assert host.run("ls", RECORD, IDS).code != 0
    succeed(host, "stop-daemon")
    assert lives(host, STATEFILE_WATCHDOG_S + 3)


def explained(asker, name, host, cause, path, without=None, index=0):
    """Check what `why` says of it: ``cause``; or ``without``, where no console was captured.

    A copied recorder that breaks off, of a host that is alone, could be of one that runs on.
    """
    causes = Causes(without or cause, None, None if without else cause, cause)
    asker.require(name, {index: host}, index, causes, path)


def test_a_daemon_that_is_killed_takes_its_host_with_it(host, measured, asker):
    pid, _ = online(host)
    boot = marked(host)
    killed_s = kill(host, "9", pid)
    fired_after(host, killed_s, measured, "kill -9 of the daemon")
    survived_with_mark(host, boot, killed_s, measured)
    explained(asker, "kill-9", host, "watchdog-fired", "the host itself", "silent-on-both")


def test_a_daemon_that_hangs_takes_its_host_with_it(host, measured, asker):
    pid, _ = online(host)
    boot = marked(host)
    killed_s = kill(host, "STOP", pid)
    fired_after(host, killed_s, measured, "SIGSTOP of the daemon")
    survived_with_mark(host, boot, killed_s, measured)
    explained(asker, "daemon-hangs", host, "watchdog-fired", "the host itself", "silent-on-both")


def reset_behind_the_back(host):
    """As a management board does."""
    host.qmp("system_reset")


def crash(host):
    """The kernel of the control domain panics."""
    host.spawn("sh", "-c", "echo c >/proc/sysrq-trigger")


def reboot(host):
    """An administrator in a hurry."""
    host.spawn("/bin/busybox", "reboot", "-f")


@pytest.mark.parametrize("name, end, cause, path", [
    ("reset-button", reset_behind_the_back, "power", "the host itself"),
    ("dom0-crashes", crash, "kernel-crash", "the host itself"),
    ("reboot", reboot, "rebooted", "an administrator")],
    ids=["reset", "crash", "reboot"])
def test_a_host_that_ends_without_its_daemon_keeps_what_it_knew(host, measured, asker, name, end,
                                                                cause, path):
    online(host)
    boot = marked(host)
    ended_s = time.monotonic()
    end(host)
    seen = host.wait_reset(ended_s, RESET_S)
    assert seen.fired_s is None, seen
    measured(name + ": until the reset", seen.reset_s - ended_s)
    survived_with_mark(host, boot, ended_s, measured)
    explained(asker, name, host, cause, path, "silent-on-both")


def test_sigterm_to_an_armed_daemon_ends_it_and_the_host_says_so_and_is_reset(host, measured,
                                                                              asker):
    online(host)
    boot = boot_of(host)
    stopped_s = time.monotonic()
    stopped = xha(host, "stop-daemon")
    dead_s = time.monotonic()       # the command itself takes its time to start
    assert stopped.code == 0
    assert "will be reset" in stopped.err
    fired_after(host, stopped_s, measured, "stop-daemon while armed", dead_s)
    require_mark(lines_of(host, boot), "stop-requested")
    explained(asker, "stop-armed", host, "sigterm-armed", "an administrator")


def test_a_start_beside_armed_timers_is_refused_and_the_host_still_reset(host, measured, asker):
    pid, _ = online(host)
    boot = marked(host)
    killed_s = kill(host, "9", pid)
    while host.run("kill", "-0", pid).code == 0:
        pass
    began_s = time.monotonic()
    refused = xha(host, "start-daemon")
    measured("a refused start takes", time.monotonic() - began_s)
    assert refused.code == 4, refused
    assert "died while this host was armed" in refused.err
    assert "within {} s".format(STATEFILE_WATCHDOG_S) in refused.err
    fired_after(host, killed_s, measured, "kill -9, with a start in between")
    survived_with_mark(host, boot, killed_s, measured)
    require_mark(lines_of(host, boot), "start-aborted")
    explained(asker, "kill-9-and-a-start", host, "killed", "the host itself")


def test_cleanup_by_hand_ends_armed_timers_with_a_warning_and_then_a_start_is_good(host):
    pid, _ = online(host)
    assert xha(host, "cleanup-watchdog").code == 15
    killed_s = kill(host, "9", pid)
    while host.run("kill", "-0", pid).code == 0:
        pass
    cleaned = xha(host, "cleanup-watchdog")
    assert cleaned.code == 0, cleaned
    text = cleaned.out + cleaned.err
    assert "WARNING" in text and "was armed" in text
    assert "Timer 1 stopped." in text and "Timer 2 stopped." in text
    assert lives(host, STATEFILE_WATCHDOG_S + 3)
    assert host.find("fired", killed_s) is None
    succeed(host, "start-daemon")
    succeed(host, "disarm-fencing")
    succeed(host, "stop-daemon")


def test_a_start_without_free_timers_is_refused_and_says_who_may_hold_them(host):
    new_pool(host)
    assert script(host, "take", 2).code == 0
    refused = xha(host, "start-daemon")
    assert refused.code == 4, refused
    assert "no free watchdog timer" in refused.err
    assert re.search("xenwatchdogd.*xen_wdt.*cleanup-watchdog --force", refused.err, re.S)
    freed = xha(host, "cleanup-watchdog", "--force")
    assert freed.code == 0, freed
    succeed(host, "start-daemon")
    succeed(host, "disarm-fencing")
    succeed(host, "stop-daemon")


def test_a_host_that_loses_the_vote_fences_itself_at_once(host, measured, asker):
    """Beside it runs a peer of lower index, which a tie favours; then nothing is heard."""
    new_pool(host, local=1, hosts=2)
    peer = ["--run-dir=/run/peer", "--config=/etc/xensource/peer.conf"]
    host.put(configuration(0, LOOPBACK, mode="NONE", **SECONDS), "/etc/xensource/peer.conf")
    host.spawn(ARCHIVE, "start-daemon", "--health-check=true", *peer, log="/var/log/peer.log")
    succeed(host, "start-daemon", "--enable-faults")
    assert lives(host, HEARTBEAT_WATCHDOG_S + STATEFILE_WATCHDOG_S)
    boot = boot_of(host)
    cut_s = time.monotonic()
    try:
        succeed(host, "fault", "set", "heartbeat.send.drop=all")
        succeed(host, "fault", "set", "heartbeat.receive.drop=all")
    except HostReset:
        raise AssertionError("fenced before it was cut off")
    seen = host.wait_reset(cut_s, 120)
    measured("cut 1|1 to the loser's reset, T = 10", seen.reset_s - cut_s)
    assert seen.fired_s is None, "a watchdog had to do it: " + seen.text
    assert "rebooting machine" in seen.text
    survived(host, boot, cut_s, measured)
    explained(asker, "vote-lost", host, "cut-off", "heartbeat network", index=1)
