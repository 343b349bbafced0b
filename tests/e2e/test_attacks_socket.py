"""The control socket of an armed host under attack: the pool sees nothing of it.

Who attacks is root, or the daemon's own user: nobody else gets so far (test_commands).  What
each attack is, and what must happen: docs/attacks.md.
"""

import os
import resource
import signal
import threading
import time

from rig import attack, view
from rig.attack import Undisturbed
from rig.host import SETTINGS
from rig.messages import count, counted, names
from rig.waiting import until

#: Longer than every time-out: whoever is held up by an attack is missed.
LONG_S = max(SETTINGS[name] for name in ("T1", "T2", "Wh", "Ws")) + 2


def test_a_thousand_bad_clients_of_every_kind_disturb_nobody(pool_of, measured):
    """Silent, a byte at a time, half a request, lines without an end, answers never taken."""
    attack.allow_many()
    pool = pool_of(3)
    pool.form()
    host = pool.hosts[1]
    undisturbed = Undisturbed(pool)
    crowd = attack.Crowd(host.control, 1000)
    ages_ms = []
    began_at = time.monotonic()
    while time.monotonic() < began_at + LONG_S:
        crowd.go_on()
        undisturbed.look(ask=[1])
        ages_ms += [beat_age_ms(pool.hosts[peer], 1) for peer in (0, 2)]
    assert crowd.came > 1000, "they were dropped, and came again"
    # A whole command, too, as xapi calls it.
    assert host.command("query-liveset").code in (0, 3)
    crowd.close()
    measured("1000 bad clients: oldest heartbeat at a peer, s", max(ages_ms) / 1000)
    measured("1000 bad clients: polite ones answered, share",
             undisturbed.answered / (undisturbed.answered + undisturbed.refused))
    assert undisturbed.answered > undisturbed.refused
    until(lambda: host.command("query-liveset").code == 0, "all is as before")
    undisturbed.end()
    assert max(ages_ms) < SETTINGS["T1"] * 1000


def beat_age_ms(host, peer):
    """How long ago the host heard the peer, as it says itself."""
    import json
    answer = view.converse(host.control, b"xha/1\tquery\tjson\t0\n")
    return json.loads(answer.partition(b"\n")[2].decode())["hosts"][peer]["since_heartbeat_ms"]


def test_frames_that_are_nearly_right_and_clients_that_vanish_change_nothing(pool_of):
    """Each of four dangerous requests, cut off after each byte, and with each byte wrong."""
    pool = pool_of(1)
    pool.form()
    host = pool.hosts[0]
    undisturbed = Undisturbed(pool)
    before = pool.disk.peek(0)[:104]
    answers = attack.answers_to(host.control, attack.frames())
    for request, answer in answers.items():
        # Nothing came, and it went; or it was refused as what it is.
        assert request == b"" or answer.split(b"\t")[1:2] in ([b"1"], [b"16"]), (request, answer)
    undisturbed.look(ask=[0])
    # Half a request, or a whole one, and gone at once; nobody takes the answer.
    for number in range(500):
        client = attack.connect(host.control)
        attack.tell(client, attack.BIG_QUERY[:number % (len(attack.BIG_QUERY) + 1)])
        attack.reset(client) if number % 2 else client.close()
    for _ in range(50):
        client = attack.connect(host.control)
        attack.tell(client, b"xha/1\tpropose-master\n")
        attack.reset(client)
    undisturbed.look(ask=[0])
    assert undisturbed.answered == 2
    assert pool.disk.peek(0)[:60] == before[:60]
    assert host.must("propose-master").out == "TRUE\n"
    undisturbed.end()


def test_a_daemon_whose_descriptors_clients_use_up_does_its_work(pool_of, measured):
    """The limit falls on a daemon that runs: not one client more fits, nor any file."""
    pool = pool_of(2)
    pool.initialise()
    host = pool.hosts[1]
    for one in pool.hosts:
        one.start("--enable-faults")
    pool.wait_live([0, 1], [0, 1], 40)
    log = host.path("/var/log/xha.log")
    undisturbed = Undisturbed(pool)
    pid = host.daemon.pid
    was = resource.prlimit(pid, resource.RLIMIT_NOFILE)
    room = max(int(name) for name in os.listdir("/proc/{}/fd".format(pid))) + 4
    resource.prlimit(pid, resource.RLIMIT_NOFILE, (room, was[1]))
    crowd = attack.Crowd(host.control, 70)          # Ten of each kind.
    began_at, before_ticks = time.monotonic(), ticks(pid)
    sequence = pool.disk.counts()[1]["section2"]
    while time.monotonic() < began_at + LONG_S:
        crowd.go_on()
        undisturbed.look(ask=[1])
        time.sleep(0.1)
    busy = (ticks(pid) - before_ticks) / os.sysconf("SC_CLK_TCK") / (time.monotonic() - began_at)
    measured("descriptors used up: share of a core", busy)
    assert busy < 0.9, "the loop turns without a rest"
    assert pool.disk.counts()[1]["section2"] > sequence + LONG_S // 2, "it writes its record"
    # logrotate comes: the log may have to wait until there is a descriptor; nobody else does.
    os.rename(log, log + ".1")
    host.daemon.signal(signal.SIGHUP)
    crowd.go_on()
    undisturbed.look(ask=[1])
    crowd.close()
    resource.prlimit(pid, resource.RLIMIT_NOFILE, was)
    host.daemon.signal(signal.SIGHUP)

    def logged():
        count(host, 7)
        return os.path.exists(log) and 7 in counted(host.log())
    until(logged, "it logs again")
    assert undisturbed.refused > 0, "the limit was met"
    undisturbed.end()


def ticks(pid):
    """Processor time that a process has used."""
    with open("/proc/{}/stat".format(pid)) as file:
        return sum(int(word) for word in file.read().rpartition(")")[2].split()[11:13])


def test_under_a_low_limit_enough_descriptors_are_kept_for_all_but_clients(pool_of):
    """A hard limit of 160: 32 clients, and what the rest of the daemon opens is still there."""
    attack.allow_many()
    pool = pool_of(2, XapiHealthCheckInterval=1, XapiHealthCheckTimeout=2,
                   XapiRestartAttempts=1, XapiRestartTimeout=3)
    pool.initialise()
    host = pool.hosts[1]
    checked = host.path("/run/checked")
    check = host.path("/run/check")
    with open(check, "w") as file:
        file.write("#!/bin/sh\necho >> /run/checked\n")
    os.chmod(check, 0o755)
    pool.hosts[0].start()
    host.start("--enable-faults", "--health-check=/run/check")
    resource.prlimit(host.daemon.pid, resource.RLIMIT_NOFILE, (160, 160))
    pool.wait_live([0, 1], [0, 1], 40)
    log = host.path("/var/log/xha.log")
    undisturbed = Undisturbed(pool)
    crowd = attack.Crowd(host.control, 210)
    began_at = time.monotonic()
    checks = rotations = 0
    while time.monotonic() < began_at + LONG_S:
        crowd.go_on()
        undisturbed.look(ask=[1])
        if rotations < 3:
            rotations += 1
            os.rename(log, log + ".{}".format(rotations))
            host.daemon.signal(signal.SIGHUP)
            until(lambda: os.path.exists(log) and "log-reopened" in names(host.log()),
                  "the log is opened anew")
            with open(checked) as file:
                checks = len(file.read())
        time.sleep(0.1)
    assert attack.open_files(host.daemon.pid) <= 160 - 90, "clients do not get the rest"
    with open(checked) as file:
        assert len(file.read()) > checks + 3, "xapi is checked all the while"
    assert undisturbed.refused > 0
    crowd.close()
    until(lambda: host.command("query-liveset").code == 0, "all is as before")
    for never in ("xapi-check-not-started", "xapi-unhealthy", "log-file-failed",
                  "recorder-failed"):
        assert never not in names(host.log())
    undisturbed.end()


def test_a_thousand_questions_at_once_are_answered_or_refused_within_their_time(pool_of, measured):
    attack.allow_many()
    pool = pool_of(2)
    pool.form()
    host = pool.hosts[1]
    undisturbed = Undisturbed(pool)
    codes = []

    def ask():
        try:
            answer = view.converse(host.control, attack.BIG_QUERY, 5.0)
            codes.append(answer.split(b"\t")[1])
        except OSError as error:
            codes.append(repr(error))
    for _ in range(3):
        threads = [threading.Thread(target=ask) for _ in range(1000)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        undisturbed.look(ask=[0, 1])
    assert set(codes) <= {b"0", b"3"} and len(codes) == 3000, set(codes)
    measured("1000 questions at once: share answered", codes.count(b"0") / len(codes))
    assert codes.count(b"0") > 2000
    undisturbed.end()
