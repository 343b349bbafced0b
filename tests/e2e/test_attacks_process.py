"""The daemon's process and its surroundings under attack: it goes on wholly, or it is fenced.

Several attacks at once, each on another host of one pool, where each of them must be seen by
nobody.  What each attack is, and what must happen: docs/attacks.md.
"""

import multiprocessing
import os
import resource
import signal
import sys
import time

import pytest

from rig import attack, view
from rig.attack import Undisturbed
from rig.host import FENCED, KILLED, SETTINGS
from rig.messages import count, counted, names
from rig.syslog import Syslog
from rig.waiting import until

#: Longer than every time-out: whoever is held up by an attack is missed.
LONG_S = max(SETTINGS[name] for name in ("T1", "T2", "Wh", "Ws")) + 4


#: Signals that nothing may come of, however many; those of SIGHUP open the log anew.
STORM = (signal.SIGHUP, signal.SIGCHLD, signal.SIGUSR1, signal.SIGUSR2, signal.SIGALRM,
         signal.SIGCONT, signal.SIGWINCH, signal.SIGURG, signal.SIGIO, signal.SIGPIPE,
         signal.SIGVTALRM, signal.SIGRTMIN)


def storm(pid, seconds):
    """A thousand signals a second and more; how many."""
    sent, until_at = 0, time.monotonic() + seconds
    while time.monotonic() < until_at:
        for number in STORM:
            os.kill(pid, number)
            sent += 1
        time.sleep(0.005)
    return sent


def make_read_only(host):
    """All that a daemon writes to, but the State-File, is read-only."""
    for folder in ("/run", "/var/log", "/var/lib"):
        host.door.must("mount", "--bind", folder, folder)
        host.door.must("mount", "-o", "remount,bind,ro", folder)


def test_signals_hung_disks_a_hung_syslog_and_read_only_disks_disturb_nobody(
        pool_of, frozen_disk, measured):
    """A storm of signals on one host, another whose log, recorder and syslog hang, and one whose
    disks are read-only: for longer than every time-out, all at once."""
    pool = pool_of(3)
    pool.initialise()
    stormed, hung, read_only = pool.hosts
    frozen_disk.mount(hung, log=True)
    syslog = Syslog(hung, reads=False)
    for host in pool.hosts:
        host.start("--enable-faults")
    pool.wait_live([0, 1, 2], [0, 1, 2], 40)
    undisturbed = Undisturbed(pool)
    make_read_only(read_only)
    read_only.daemon.signal(signal.SIGHUP)
    frozen_disk.freeze(hung)
    for number in range(1, 31):     # What is said now reaches neither file, recorder nor syslog.
        count(hung, number)
    until(lambda: syslog.full, "syslog takes no more")
    began_at, sent = time.monotonic(), 0
    while time.monotonic() < began_at + LONG_S:
        sent += storm(stormed.daemon.pid, 0.5)
        undisturbed.look(ask=[0, 1, 2])
        count(hung, sent % 100 + 1)
        assert view.converse(read_only.control, b"xha/1\tpropose-master\n")[:8] in (
            b"xha/1\t0\t", b"xha/1\t3\t")
    measured("storm: signals a second", sent / (time.monotonic() - began_at))
    assert sent > 1000
    undisturbed.end()
    assert "log-reopened" in names(stormed.log())
    for index in range(3):
        assert pool.disk.last_write_at(index) > time.monotonic() - 3
    frozen_disk.thaw()

    def told():
        log = hung.door.run(["cat", "/var/log/xha.log"]).out
        return counted(log)[-1:] == [sent % 100 + 1]
    until(told, "the log goes on where it hung, and nothing is lost")
    syslog.close()
    # Its end, too, needs nothing of the disks that it may not write to.
    read_only.must("disarm-fencing")
    assert read_only.stop() == 0


def left_by_xha(host):
    """What is in /run of a host but for what mount keeps there."""
    return [name for name in host.door.must("ls", "/run").out.split() if name != "mount"]


def test_a_start_on_full_or_read_only_disks_is_refused_in_words_and_leaves_nothing(pool_of):
    """Without /run there is no lock, no socket and no record of the timers: no daemon."""
    pool = pool_of(1)
    pool.initialise()
    host = pool.hosts[0]
    host.door.must("mount", "--bind", "/run", "/run")
    host.door.must("mount", "-o", "remount,bind,ro", "/run")
    refused = host.command("start-daemon", "--config=" + host.config)
    assert refused.code in (2, 16) and refused.err.count("\n") == 1, refused
    assert "Read-only file system" in refused.err
    host.door.must("umount", "/run")
    assert left_by_xha(host) == []

    host.door.must("mount", "-t", "tmpfs", "-o", "size=16k", "none", "/run")
    inside = host.door.proc + "/root/run/"
    with open(inside + "filler", "wb", buffering=0) as filler:
        with pytest.raises(OSError):
            while True:
                filler.write(b"x" * 4096)
    refused = host.command("start-daemon", "--config=" + host.config)
    assert refused.code in (2, 4, 16) and refused.err.count("\n") == 1, refused
    assert "No space left on device" in refused.err
    assert host.command("query-liveset").code == 14
    assert host.door.run(["pgrep", "-x", "xhad"]).out == ""
    # With room again, the same command is a start.
    os.unlink(inside + "filler")
    host.must("start-daemon", "--config=" + host.config)
    host.must("disarm-fencing")
    host.must("stop-daemon")


def test_a_pool_that_is_suspended_whole_goes_on_or_is_fenced_whole(pool_of, measured):
    """For longer than T and shorter than W: nobody accuses anybody.  Longer: no daemon goes on."""
    pool = pool_of(3, Wh=14, Ws=16)
    pool.form()
    watches = [host.watch for host in pool.hosts]
    pause(pool, SETTINGS["T1"] + 3)
    awake_at = time.monotonic()
    while time.monotonic() < awake_at + 2 * SETTINGS["T1"] + 2:
        for host, watch in zip(pool.hosts, watches):
            assert host.running, host.log()
            assert watch.now.live in ((0, 1, 2), ()), watch.now
        time.sleep(0.2)
    for host, watch in zip(pool.hosts, watches):
        assert watch.now.live == (0, 1, 2)
        assert "gap-noticed" in names(host.log()) and "host-dropped" not in names(host.log())
    assert pool.hosts[0].must("propose-master").out in ("TRUE\n", "FALSE\n")
    # Their timers have run out meanwhile: whoever wakes, dies, and decides nothing before.
    pause(pool, 17)
    awake_at = time.monotonic()
    for host in pool.hosts:
        assert host.daemon.wait(10) == FENCED
        assert "watchdog-expired" in names(host.log())
        assert "host-dropped" not in names(host.log())
    measured("awake after its timers to its end, s",
             max(host.daemon.ended_at for host in pool.hosts) - awake_at)


def pause(pool, seconds):
    """As when the machine under all of them is suspended."""
    for host in pool.hosts:
        host.daemon.signal(signal.SIGSTOP)
    time.sleep(seconds)
    for host in pool.hosts:
        host.daemon.signal(signal.SIGCONT)


def spin(processor, priority, seconds, ready):
    """Take all of a processor, at real-time priority."""
    os.sched_setaffinity(0, {processor})
    os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(priority))
    ready.set()
    until_at = time.monotonic() + seconds
    while time.monotonic() < until_at:
        pass


@pytest.fixture
def spinner():
    """Start one: ``spinner(0, 10, 3.0)`` is processor, priority, seconds; gives its process."""
    context = multiprocessing.get_context("fork")
    started = []

    def start(processor, priority, seconds):
        ready = context.Event()
        process = context.Process(target=spin, args=(processor, priority, seconds, ready),
                                  daemon=True)
        started.append(process)
        process.start()
        if not ready.wait(10):
            pytest.skip("no real-time priority here")
        return process
    yield start
    for process in started:
        process.kill()
        process.join()


def test_real_time_tasks_that_take_a_whole_processor(pool_of, spinner):
    """Of a lower priority than the daemon's, for longer than its time-outs; and of a higher one,
    for less: it accuses nobody when it is let run again.  The daemon may run nowhere else.

    (The kernel leaves 5 % of a processor to others than real-time tasks; the daemon is one.)
    """
    pool = pool_of(3)
    pool.form()
    host = pool.hosts[1]
    if "realtime-missing" in names(host.log()):
        pytest.skip("no real-time priority here")
    processor = max(os.sched_getaffinity(0))
    for thread in os.listdir("/proc/{}/task".format(host.daemon.pid)):
        os.sched_setaffinity(int(thread), {processor})
    undisturbed = Undisturbed(pool)
    low = spinner(processor, 10, SETTINGS["T1"] + 2)
    while low.is_alive():
        undisturbed.look()
        time.sleep(0.2)
    undisturbed.end()
    high = spinner(processor, 60, 3.0)
    high.join()
    awake_at = time.monotonic()
    while time.monotonic() < awake_at + SETTINGS["T1"] + 2:
        for one in pool.hosts:
            assert one.running, one.log()
        time.sleep(0.2)
    for one in pool.hosts:
        assert one.watch.now.live == (0, 1, 2)
        assert not {"fh-started", "host-dropped", "self-fencing"} & set(names(one.log()))


def test_a_daemon_is_spared_when_memory_runs_out_and_its_children_are_not(pool_of):
    """Modes that reset a host; what xapi's check uses up is not to be paid for by others."""
    pool = pool_of(1, watchdog="USER", XapiHealthCheckInterval=1, XapiHealthCheckTimeout=5)
    pool.initialise()
    host = pool.hosts[0]
    check = host.path("/run/check")
    with open(check, "w") as file:
        # It may be asked before the daemon has come to it.
        file.write("#!/bin/sh\nwhile ! grep -qx 0 /proc/self/oom_score_adj; do sleep 0.05; done\n"
                   "echo >> /run/checked\n")
    os.chmod(check, 0o755)
    since = host.start("--health-check=/run/check").started_at
    pool.wait_live([0], [0], 40, since)
    with open("/proc/{}/oom_score_adj".format(host.daemon.pid)) as file:
        score = file.read().strip()
    refused = "No protection from the out-of-memory killer: " in host.log()
    assert (score, refused) in (("-1000", False), ("0", True)), "it is, or it says that it is not"
    until(lambda: os.path.exists(host.path("/run/checked")), "a check had the usual score")
    host.must("disarm-fencing")
    assert host.stop() == 0


def test_a_daemon_that_gets_no_more_memory_ends_and_its_timers_do_their_work(pool_of, measured):
    """It may have as much as it has, and a thousand clients want some: it cannot go on, and
    does not try.  Nobody moves the timers any more, and nobody stops them."""
    attack.allow_many()
    pool = pool_of(2, watchdog="USER")
    pool.form()
    victim = pool.hosts[1]
    pool.dying.add(1)
    with open("/proc/{}/statm".format(victim.daemon.pid)) as file:
        size = int(file.read().split()[0]) * resource.getpagesize()
    resource.prlimit(victim.daemon.pid, resource.RLIMIT_AS, (size, size))
    clients, began_at = [], time.monotonic()
    try:
        while victim.running:
            assert time.monotonic() < began_at + 20, "what it has is enough"
            try:
                client = attack.connect(victim.control)
            except ConnectionRefusedError:
                break           # It has just ended.
            if attack.tell(client, b"x" * 4090) and len(clients) < 3000:
                clients.append(client)
            else:
                client.close()  # Its queue is full, or it has all that it takes.
                time.sleep(0.01)
        victim.daemon.wait(10)
    finally:
        for client in clients:
            client.close()
    # Ended by itself, or by its timers: in a wait that cannot end, it moves none.
    assert victim.daemon.status in (127, KILLED), victim.daemon.status
    measured("without memory to its end", victim.daemon.ended_at - began_at)
    assert "fencing-disarmed" not in names(victim.log())
    assert "watchdogs-closed" not in names(victim.log())
    if victim.daemon.status == 127:
        # The timers of an armed host are left alone: a start beside them is refused.
        assert victim.start().wait(10) == 4
    pool.wait_live([0], [0], 45, began_at)
    assert pool.hosts[0].running


def test_a_damaged_archive_starts_nothing(pool_of, archive, tmp_path):
    """Nothing runs, listens or is recorded, and the code is one that xapi knows."""
    pool = pool_of(1)
    pool.initialise()
    host = pool.hosts[0]
    copy = str(tmp_path / "xha.pyz")
    with open(archive, "rb") as stream:
        whole = stream.read()
    for damage in (lambda data: data[:len(data) // 2],
                   lambda data: data.replace(b"xhaC", b"xhaD"),
                   lambda data: data[:-1000] + b"\0" * 1000):
        with open(copy, "wb") as stream:
            stream.write(damage(whole))
        started = host.door.run([sys.executable, copy, "start-daemon", "--config=" + host.config])
        assert started.code not in (0, 14, 15), started
        assert started.err, started
        assert left_by_xha(host) == [], damage
        assert host.command("query-liveset").code == 14
