"""The log of a running daemon: what is in it, and that logrotate may take it away."""

import os
import threading

import pytest

from rig import view
from rig.messages import count, counted, names
from rig.syslog import Syslog
from rig.waiting import until

PATIENCE_S = 20


def read(path):
    """The text of a file; "" while there is none."""
    try:
        with open(path) as file:
            return file.read()
    except FileNotFoundError:
        return ""


def hang_up(host):
    """What logrotate does; this host is alone in its pool, and its pool in a pid namespace."""
    host.door.must("killall", "-HUP", "xhad")


@pytest.fixture
def host(pool_of):
    """The host of a pool of one, with a syslog, and a daemon that has fault points."""
    pool = pool_of(1)
    pool.initialise()
    host = pool.hosts[0]
    host.syslog = Syslog(host)
    host.start("--enable-faults")
    host.path_of_log = host.path("/var/log/xha.log")
    pool.wait_live([0], [0], 40)
    yield host
    host.syslog.close()


def test_logrotate_takes_the_log_away_and_nothing_is_lost(host):
    """Messages go on all the while: before the rename, between it and SIGHUP, and after."""
    old, new = host.path_of_log + ".1", host.path_of_log
    stop, said = threading.Event(), []

    def talk():
        while not stop.is_set():
            count(host, len(said) % 100 + 1)
            said.append(len(said) % 100 + 1)
    talker = threading.Thread(target=talk)
    talker.start()
    try:
        until(lambda: len(said) > 20, "the daemon is asked")
        os.rename(new, old)
        gone_on = len(said) + 20
        until(lambda: len(said) > gone_on, "and asked after the rename")
        hang_up(host)
        until(lambda: "log-reopened" in names(read(new)), "the log is opened anew")
        kept = read(old)
        gone_on = len(said) + 20
        until(lambda: len(said) > gone_on, "and asked after that")
    finally:
        stop.set()
        talker.join()
    until(lambda: counted(read(new))[-1:] == said[-1:], "all is written")
    assert read(old) == kept, "nothing went to the old file after the new one was there"
    assert kept.endswith("\n")
    assert counted(kept) + counted(read(new)) == said
    assert names(read(new))[0] == "log-reopened"
    assert os.stat(new).st_mode & 0o777 == 0o600
    assert host.view.live == (0,)


def spoil_by_mount(host):
    """/var/log is read-only."""
    # One more mount over it: the first is busy, for the daemon writes there.
    host.door.must("mount", "--bind", "/var/log", "/var/log")
    host.door.must("mount", "-o", "remount,bind,ro", "/var/log")
    return lambda: host.door.must("umount", "/var/log")


def spoil_by_space(host):
    """The disk under /var/log is full."""
    # A file system of its own, which the daemon meets as it opens its log anew.
    host.door.must("mount", "-t", "tmpfs", "-o", "size=64k", "none", "/var/log")
    inside = host.door.proc + "/root/var/log/"
    host.path_of_log = inside + "xha.log"
    with open(inside + "filler", "wb", buffering=0) as filler:
        with pytest.raises(OSError):
            while True:
                filler.write(b"x" * 4096)
    return lambda: os.unlink(inside + "filler")


def spoil_by_name(host):
    """A directory stands where the log should be."""
    os.mkdir(host.path_of_log)
    return lambda: os.rmdir(host.path_of_log)


SPOILS = [
    (spoil_by_mount, "Read-only file system"),
    (spoil_by_space, "No space left on device"),
    (spoil_by_name, "Is a directory"),
]


@pytest.mark.parametrize("spoil, reason", SPOILS, ids=[row[-1] for row in SPOILS])
def test_a_log_that_cannot_be_opened_anew_stops_nobody(host, spoil, reason):
    old = host.path_of_log + ".1"
    os.rename(host.path_of_log, old)
    repair = spoil(host)
    before = read(old)
    hang_up(host)
    for number in range(1, 8):
        count(host, number)
    hang_up(host)
    until(lambda: counted(host.syslog.text) == list(range(1, 8)), "syslog has it all")
    told = host.syslog.text
    assert names(told).count("log-file-failed") == 1, "said once"
    assert "Messages cannot be written to /var/log/xha.log: {}. ".format(reason) in told
    assert read(old) == before, "nothing more went to the old file"
    assert host.view.live == (0,)
    repair()
    hang_up(host)
    count(host, 9)
    until(lambda: counted(read(host.path_of_log)) == [9], "the log is written again")
    assert "log-file-works" in names(read(host.path_of_log))
    until(lambda: "log-file-works" in names(host.syslog.text), "and syslog has heard of it")


def test_the_mask_of_what_is_logged_is_changed_while_the_daemon_runs(host):
    def said():
        host.must("propose-master")             # request-done, which is info
        count(host, 1)                          # fault-point-set, a warning
        host.must("fault", "clear", "all")
        until(lambda: counted(read(host.path_of_log)[len(before):]), "it is written")
        return names(read(host.path_of_log)[len(before):])

    assert host.must("log-mask").out == "err warning notice info\n"
    before = read(host.path_of_log)
    assert "request-done" in said()
    assert host.must("log-mask", "reset", "info", "notice").out == "err warning\n"
    until(lambda: "log-mask-changed" in names(read(host.path_of_log)), "it is said")
    before = read(host.path_of_log)
    assert said() == ["fault-point-set"]
    assert host.must("log-mask", "set", "all").out == "err warning notice info debug\n"
    until(lambda: names(read(host.path_of_log)).count("log-mask-changed") == 2, "again")
    before = read(host.path_of_log)
    assert "request-done" in said()
    assert "request-done" not in names(host.syslog.text), "syslog never gets info"
    assert names(host.syslog.text).count("log-mask-changed") == 2
    until(lambda: counted(host.syslog.text) == [1, 1, 1],
          "a warning reaches it whatever is taken out")
    refused = host.command("log-mask", "reset", "err")
    assert (refused.code, refused.err) == (1, "xha.pyz log-mask: err is always logged\n")
    assert host.must("log-mask", "get").out == "err warning notice info debug\n"


def test_the_original_s_names_change_what_is_logged(host):
    assert host.must("calldaemon", "getlogmask").out == "err warning notice info\n"
    assert host.must("calldaemon", "resetlogmask", "info").out == "err warning notice\n"
    assert host.must("calldaemon", "setlogmask", "info", "debug").out == (
        "err warning notice info debug\n")
    assert host.must("calldaemon", "privatelog").out == "on\n"
    assert host.must("calldaemon", "privatelog", "off").out == "off\n"
    until(lambda: names(host.syslog.text).count("log-mask-changed") == 3, "it is said")
    os.unlink(host.path_of_log)
    hang_up(host)
    count(host, 5)
    until(lambda: counted(host.syslog.text) == [5], "syslog has it")
    assert not os.path.exists(host.path_of_log)
    assert host.must("calldaemon", "privatelog", "on").out == "on\n"
    count(host, 6)
    until(lambda: counted(read(host.path_of_log)) == [6], "the file is there again")


def test_a_request_that_no_command_sends_is_refused_by_the_daemon_itself(host):
    for words in (b"log-mask\tset\tchatty", b"log-mask\treset\terr", b"log-mask\tset",
                  b"log-file\tmaybe"):
        answer = view.converse(host.control, b"xha/1\t" + words + b"\n")
        assert answer.startswith(b"xha/1\t1\t"), answer
    assert host.must("log-mask").out == "err warning notice info\n"


#: How a daemon is started: the command line after the program, or a link's name and the rest.
WAYS = [
    ("xha.pyz", ["daemon", "--config={config}"]),
    ("xhad", ["{config}"]),
    ("xha.pyz", ["xhad", "{config}"]),
    ("ha_start_daemon", ["-C", "{config}"]),
    ("xha.pyz", ["start-daemon", "--config={config}"]),
]


def test_however_it_is_started_killall_finds_the_daemon_as_xhad(pool_of):
    """And nothing else: not the command that waits for it, nor the process of its timers."""
    pool = pool_of(1, watchdog="USER")
    pool.initialise()
    host = pool.hosts[0]
    log = host.path("/var/log/xha.log")
    for link, words in WAYS:
        line = [word.format(config=host.config) for word in words]
        process = host.start_as(link, line)
        until(lambda: host.command("pid").code == 0, "{} listens".format(link))
        pid = host.must("pid").out.strip()
        # But for a child of the daemon that has not become its program yet.  What ends between
        # the shell's look and grep's is an error to grep, and to nobody else.
        until(lambda: host.door.run(["sh", "-c", "grep -slx xhad /proc/[0-9]*/comm"]).out
              == "/proc/{}/comm\n".format(pid), (link, words))
        threads = host.door.run(["sh", "-c", "cat /proc/{}/task/*/comm".format(pid)]).out
        assert set(threads.split()) == {"xhad"}, (link, words)
        until(lambda: "host-online" in names(read(log)), "it is online")
        os.rename(log, log + ".1")
        hang_up(host)
        until(lambda: "log-reopened" in names(read(log)), "the log is opened anew")
        starts = "start" in link + words[0]
        if starts:
            # It has to see that the host is online before that ends.
            assert process.wait(PATIENCE_S) == 0
        host.must("disarm-fencing")
        host.must("stop-daemon")
        if not starts:
            assert process.wait(PATIENCE_S) == 0
        os.unlink(log)
