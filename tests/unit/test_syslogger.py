"""Messages reach syslog and the log file, and nobody ever waits for them."""

import os
import re
import resource
import signal
import socket
import threading
import time

import pytest
from process_samples import wait_until

from xha.actions import log
from xha.logfile import LogFile
from xha.logmask import USUAL
from xha.repeats import Repeats
from xha.syslogger import QUEUE_LENGTH, Syslogger, load_catalogue

MESSAGES = load_catalogue()
#: Generous: it is only ever waited out by a test that fails.
PATIENCE_S = 20
STAMP = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z"


class Desk:
    """A syslogger with a real log file and a real syslog socket."""

    def __init__(self, folder):
        self.path = str(folder / "xha.log")
        self.socket_path = str(folder / "log")
        self.syslog = None
        self.logger = None

    def listen(self):
        self.syslog = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.syslog.bind(self.socket_path)
        self.syslog.setblocking(False)

    def start(self, **options):
        self.logger = Syslogger(MESSAGES, options.pop("path", self.path),
                                syslog_socket=self.socket_path, **options)
        self.logger.start()
        return self.logger

    def say(self, *messages):
        for message in messages:
            self.logger.say(message)
        assert self.logger.flush(PATIENCE_S)

    def lines(self):
        with open(self.path, encoding="ascii") as stream:
            return stream.read().splitlines()

    def sent(self):
        found = []
        while True:
            try:
                found.append(self.syslog.recv(4096).decode("ascii"))
            except BlockingIOError:
                return found


@pytest.fixture
def desk(tmp_path):
    made = Desk(tmp_path)
    made.listen()
    yield made
    if made.logger is not None:
        made.logger.close(PATIENCE_S)
        assert made.logger.death == ""
    made.syslog.close()


def test_a_line_has_time_level_text_name_and_fields(desk):
    desk.start()
    desk.say(log("start-aborted", reason="boot timeout"))
    line, = desk.lines()
    assert re.match(STAMP + r' err     Start aborted: boot timeout\. \[start-aborted\] '
                    r'reason="boot timeout"\Z', line), line


def test_the_time_of_a_line_is_that_of_the_logging_and_not_of_the_printing(desk):
    logger = Syslogger(MESSAGES, desk.path, syslog_socket="")
    before = time.time()
    logger.say(log("host-online"))
    after = time.time()
    desk.logger = logger
    logger.start()
    assert logger.flush(PATIENCE_S)
    stamp = desk.lines()[0].split()[0]
    allowed = {time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(second))
               for second in range(int(before), int(after) + 1)}
    assert stamp[:19] in allowed


LEVEL = [
    # message, in the file, in syslog, why
    (log("start-aborted", reason="x"), 1, 1, "err"),
    (log("watchdog-mode-none"), 1, 1, "warning"),
    (log("host-online"), 1, 1, "notice"),
    (log("key-read"), 1, 0, "info"),
    (log("statefile-accelerated", accelerated=True), 0, 0, "debug"),
]


@pytest.mark.parametrize("message, filed, sent, why", LEVEL, ids=[row[-1] for row in LEVEL])
def test_a_message_goes_where_its_level_belongs(desk, message, filed, sent, why):
    assert MESSAGES.level_of(message) == why
    desk.start()
    desk.say(message)
    assert len(desk.lines()) == filed
    assert len(desk.sent()) == sent


DEBUG, NOTICE, INFO = (log("statefile-accelerated", accelerated=True), log("host-online"),
                       log("key-read"))


def names(lines):
    return [re.search(r"\[([a-z-]+)\]", line).group(1) for line in lines]


def test_debug_messages_are_printed_when_asked_for(desk):
    desk.start().change(USUAL.with_levels(("debug",), True))
    desk.say(DEBUG)
    assert names(desk.lines()) == ["log-mask-changed", "statefile-accelerated"]
    assert names(desk.sent()) == ["log-mask-changed"], "syslog gets no debug, whatever is asked"
    assert "the levels err warning notice info debug are logged now; the log file is written." in (
        desk.lines()[0])


def test_a_level_that_is_taken_out_reaches_neither_the_file_nor_syslog(desk):
    desk.start().change(USUAL.with_levels(("notice", "info"), False))
    desk.say(NOTICE, INFO, log("watchdog-mode-none"))
    assert names(desk.lines()) == ["log-mask-changed", "watchdog-mode-none"]
    assert names(desk.sent()) == ["log-mask-changed", "watchdog-mode-none"]
    desk.logger.change(USUAL)
    desk.say(NOTICE, INFO)
    assert names(desk.lines())[2:] == ["log-mask-changed", "host-online", "key-read"]
    assert names(desk.sent()) == ["log-mask-changed", "host-online"]


def test_a_change_of_what_is_logged_counts_from_where_it_was_asked_for(desk):
    logger = Syslogger(MESSAGES, desk.path, syslog_socket=desk.socket_path)
    desk.logger = logger
    logger.say(INFO)
    logger.change(USUAL.with_levels(("info",), False))
    logger.say(INFO)
    logger.change(USUAL)
    logger.say(INFO)
    logger.start()
    assert logger.flush(PATIENCE_S)
    assert names(desk.lines()) == ["key-read", "log-mask-changed", "log-mask-changed", "key-read"]


def test_to_ask_for_what_is_logged_already_is_no_news(desk):
    desk.start().change(USUAL.with_levels(("info",), True))
    desk.say()
    assert desk.lines() == []


def test_what_the_printer_says_itself_is_masked_too(desk):
    desk.start().change(USUAL.with_levels(("info",), False))
    desk.say()
    desk.logger.reopen()
    desk.say(log("gap-noticed", cause="a pause", ms=901))
    desk.say(log("gap-noticed", cause="a pause", ms=902))
    desk.logger.close(PATIENCE_S)
    assert names(desk.lines()) == ["log-mask-changed", "gap-noticed"]


def test_without_the_file_syslog_gets_what_it_got(desk):
    desk.start().change(USUAL._replace(file=False))
    desk.say(NOTICE)
    os.unlink(desk.path)
    desk.logger.reopen()
    desk.say(NOTICE)
    assert not os.path.exists(desk.path), "not even SIGHUP brings the file back"
    desk.logger.change(USUAL)
    desk.say(NOTICE)
    assert names(desk.lines()) == ["log-mask-changed", "host-online"]
    assert names(desk.sent()) == ["log-mask-changed", "host-online", "host-online",
                                  "log-mask-changed", "host-online"]


def test_the_file_s_last_line_says_that_it_is_not_written_any_more(desk):
    desk.start().change(USUAL._replace(file=False))
    desk.say(NOTICE)
    assert names(desk.lines()) == ["log-mask-changed"]
    assert "the log file is not written." in desk.lines()[0]


def test_syslog_gets_priority_tag_pid_and_text(desk):
    desk.start()
    desk.say(log("watchdog-mode-none"))
    line, = desk.sent()
    assert re.match(r"<28>[A-Z][a-z]{2} [ 0-9]\d \d\d:\d\d:\d\d xha\[%d\]: Watchdog mode is NONE"
                    r".* \[watchdog-mode-none\]\Z" % os.getpid(), line), line


def test_a_host_is_shown_with_its_address(desk):
    desk.start(addresses=["10.0.0.1", "10.0.0.2"])
    desk.say(log("dropped-host-runs", host=1))
    assert "Host 1 (10.0.0.2) was dropped" in desk.lines()[0]
    assert desk.lines()[0].endswith("host=1")


def test_no_field_can_make_a_second_line(desk):
    desk.start()
    desk.say(log("start-aborted", reason="x\n2026-01-01T00:00:00.000Z notice  forged"))
    assert len(desk.lines()) == 1
    assert "\n" not in desk.sent()[0]


def test_a_message_that_is_not_in_the_catalogue_is_printed_all_the_same(desk):
    desk.start()
    desk.say(log("no-such-message", what=1))
    assert "Message without text: what 1. [no-such-message] what=1" in desk.lines()[0]


def test_the_log_file_is_for_root_alone(desk):
    desk.start()
    desk.say(log("host-online"))
    assert os.stat(desk.path).st_mode & 0o777 == 0o600


def test_an_existing_log_is_appended_to(desk):
    with open(desk.path, "w") as stream:
        stream.write("earlier\n")
    desk.start()
    desk.say(log("host-online"))
    assert desk.lines()[0] == "earlier"
    assert len(desk.lines()) == 2


def test_without_syslog_only_syslog_is_missing(desk):
    desk.syslog.close()
    os.unlink(desk.socket_path)
    desk.start()
    desk.say(log("host-online"))
    assert len(desk.lines()) == 1


def test_a_syslog_that_comes_back_is_written_to_again(desk):
    desk.start()
    desk.say(log("host-online"))
    desk.syslog.close()
    os.unlink(desk.socket_path)
    desk.say(log("fencing-armed"))
    desk.listen()
    desk.say(log("fencing-disarmed"))
    assert [line.split("[")[-1] for line in desk.sent()] == ["fencing-disarmed]"]
    assert len(desk.lines()) == 3


def test_a_syslog_that_does_not_read_holds_up_nothing(desk):
    desk.start()
    desk.say(*[log("hb-domain-changed", liveset=number) for number in range(1000)])
    assert len(desk.lines()) == 1000
    assert 0 < len(desk.sent()) < 1000


def test_a_burst_longer_than_syslog_s_queue_arrives_whole(desk):
    desk.start()
    received = []

    def read():
        desk.syslog.settimeout(PATIENCE_S)
        while len(received) < 300:
            received.append(desk.syslog.recv(4096))

    reader = threading.Thread(target=read)
    reader.start()
    desk.say(*[log("hb-domain-changed", liveset=number) for number in range(300)])
    reader.join()
    assert [int(line.split(b"(")[1].split(b")")[0]) for line in received] == list(range(300))


def test_a_daemon_with_a_thousand_clients_still_logs(desk):
    """Descriptors above 1023, which select.select refuses."""
    _, hard = limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, 4096), hard))
    clients = []
    try:
        while not clients or clients[-1] < 1024:
            clients.append(os.open(os.devnull, os.O_RDONLY))
        os.mkfifo(desk.path)
        reader = os.open(desk.path, os.O_RDONLY | os.O_NONBLOCK)
        clients.append(reader)
        desk.start()
        desk.say(*[log("hb-domain-changed", liveset="x" * 300) for _ in range(500)])
        assert desk.sent()
    finally:
        for client in clients:
            os.close(client)
        resource.setrlimit(resource.RLIMIT_NOFILE, limits)


def test_nobody_waits_though_nothing_is_ever_printed(desk):
    """As behind a disk that hangs: the thread never comes to the queue."""
    logger = Syslogger(MESSAGES, desk.path, syslog_socket="")
    for number in range(QUEUE_LENGTH + 100000):
        logger.say(log("hb-domain-changed", liveset=number))
    assert not logger.flush(0.01)
    logger.close()


def test_messages_beyond_the_queue_are_counted_and_the_count_is_said(desk):
    logger = Syslogger(MESSAGES, desk.path, syslog_socket="")
    for number in range(QUEUE_LENGTH + 5):
        logger.say(log("hb-domain-changed", liveset=number))
    desk.logger = logger
    logger.start()
    assert logger.flush(PATIENCE_S)
    lines = desk.lines()
    assert len(lines) == QUEUE_LENGTH + 1
    assert "5 messages were lost" in lines[-1]


def test_a_log_that_is_a_pipe_without_reader_is_refused(desk):
    os.mkfifo(desk.path)
    desk.start()
    desk.say(log("host-online"), log("fencing-armed"))
    sent = desk.sent()
    assert len(sent) == 3
    assert "Messages cannot be written to {}: nobody reads it".format(desk.path) in sent[1]


def test_a_log_that_is_a_pipe_with_a_stuck_reader_is_given_up(desk):
    os.mkfifo(desk.path)
    reader = os.open(desk.path, os.O_RDONLY | os.O_NONBLOCK)
    try:
        desk.start()
        for number in range(1500):
            desk.logger.say(log("start-waiting", what="x" * 300))
        desk.say(log("host-online"))
        names = [line.split("[")[-1] for line in desk.sent()]
        assert names == ["log-file-failed]", "host-online]"]
    finally:
        os.close(reader)


def test_a_full_disk_is_said_once(desk):
    desk.start(path="/dev/full")
    desk.say(*[log("fencing-armed")] * 7)
    sent = desk.sent()
    news = [line for line in sent if "log-file-failed" in line]
    assert len(news) == 1
    assert "No space left on device" in news[0]
    assert len(sent) == 8


def test_a_file_that_works_again_says_how_much_is_missing(desk, tmp_path):
    folder = tmp_path / "later"
    desk.path = str(folder / "xha.log")
    desk.start()
    desk.say(log("host-online"), log("fencing-armed"))
    folder.mkdir()
    desk.logger.reopen()
    desk.say(log("fencing-disarmed"))
    names = [re.search(r"\[([a-z-]+)\]", line).group(1) for line in desk.lines()]
    assert names == ["log-reopened", "log-file-works", "fencing-disarmed"]
    # Two messages and the news that the file failed.
    assert "again, 3 are missing" in desk.lines()[1]


def test_a_file_that_works_again_is_found_without_being_asked(tmp_path):
    path = str(tmp_path / "later" / "xha.log")
    made = LogFile(path, -1)
    made.open()
    assert made.write(b"one\n").name == "log-file-failed"
    (tmp_path / "later").mkdir()
    made._retry_at_s = 0.0  # The ten seconds are over.
    assert made.write(b"two\n").name == "log-file-works"
    made.close()
    with open(path) as stream:
        assert stream.read() == "two\n"


def test_a_file_that_fails_otherwise_when_it_is_tried_again_is_told_so(tmp_path):
    folder = tmp_path / "later"
    made = LogFile(str(folder / "xha.log"), -1)
    made.open()
    said = [made.write(b"one\n")]
    (folder / "xha.log").mkdir(parents=True)
    made._retry_at_s = 0.0  # The ten seconds are over.
    said += [made.write(b"two\n"), made.write(b"three\n")]
    assert [dict(one.fields)["reason"] if one else None for one in said] == [
        "No such file or directory", "Is a directory", None]


def test_a_renamed_log_is_left_behind_at_sighup(desk):
    logger = desk.start()
    desk.say(log("host-online"))
    os.rename(desk.path, desk.path + ".1")
    previous = signal.signal(signal.SIGHUP, lambda number, frame: logger.reopen())
    try:
        os.kill(os.getpid(), signal.SIGHUP)
        desk.say(log("fencing-armed"))
    finally:
        signal.signal(signal.SIGHUP, previous)
    assert [line.split("[")[-1] for line in desk.lines()] == ["log-reopened]", "fencing-armed]"]
    with open(desk.path + ".1") as stream:
        assert len(stream.read().splitlines()) == 1


def test_a_log_that_cannot_be_opened_again_is_said_once_and_comes_back(desk, tmp_path):
    folder = tmp_path / "var"
    folder.mkdir()
    desk.path = str(folder / "xha.log")
    logger = desk.start()
    desk.say(NOTICE)
    folder.rename(tmp_path / "away")
    for _ in range(3):
        logger.reopen()
        desk.say(NOTICE)
    assert names(desk.sent()) == ["host-online", "log-file-failed"] + ["host-online"] * 3
    folder.mkdir()
    logger.reopen()
    desk.say(NOTICE)
    assert names(desk.lines()) == ["log-reopened", "log-file-works", "host-online"]
    # Three messages, and once that the file failed.
    assert "again, 4 are missing" in desk.lines()[1]
    with open(str(tmp_path / "away" / "xha.log")) as stream:
        assert names(stream) == ["host-online"], "nothing more in the file of before"


def test_in_the_foreground_standard_error_takes_what_the_file_cannot(desk, tmp_path, capfd):
    desk.start(path=str(tmp_path / "none" / "xha.log"), foreground=True)
    desk.say(log("host-online"))
    shown = capfd.readouterr().err.splitlines()
    assert "[host-online]" in shown[0]
    assert "[log-file-failed]" in shown[1]


def test_in_the_background_standard_error_is_not_touched(desk, tmp_path, capfd):
    desk.start(path=str(tmp_path / "none" / "xha.log"))
    desk.say(log("host-online"))
    assert capfd.readouterr().err == ""


DEATHS = [
    # what the thread does                        what is said of it
    (lambda logger: 1 / 0,                        "ZeroDivisionError: division by zero"),
    (lambda logger: None,                         "it ended without a word"),
]


@pytest.mark.parametrize("loop, reason", DEATHS, ids=[row[-1] for row in DEATHS])
def test_a_thread_that_died_is_said_past_it_and_holds_up_nobody(
        desk, tmp_path, capfd, monkeypatch, loop, reason):
    if hasattr(threading, "excepthook"):        # Since Python 3.8.
        monkeypatch.setattr(threading, "excepthook", lambda args: None)
    monkeypatch.setattr(Syslogger, "_loop", loop)
    logger = Syslogger(MESSAGES, desk.path, syslog_socket=desk.socket_path, foreground=True)
    logger.start()
    wait_until(lambda: logger.death)
    assert logger.death == reason
    capfd.readouterr()
    logger.say_dead()
    text = "No message is written to the log any more, its thread died: {}. ".format(reason)
    said, = desk.sent()
    assert said.startswith("<27>") and said.endswith(text + "[log-thread-died]")
    assert capfd.readouterr().err == text + "[log-thread-died]\n"
    for _ in range(QUEUE_LENGTH + 1):
        logger.say(log("host-online"))
    assert not logger.flush(PATIENCE_S * 1000), "nobody is waited for who does not come"
    # A syslog that does not read, and one that is not there.
    with pytest.raises(BlockingIOError):
        flooder = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
        while True:
            flooder.sendto(b"x", desk.socket_path)
    flooder.close()
    logger.say_dead()
    os.unlink(desk.socket_path)
    logger.say_dead()
    logger.close(0.01)
    assert logger.death == ("" if reason == DEATHS[1][1] else reason), "it was stopped since"


def test_a_condition_that_persists_is_printed_once_and_then_counted(desk):
    desk.start()
    for ms in (901, 951, 1001, 902, 952, 1002):
        desk.logger.say(log("gap-noticed", cause="a pause", ms=ms))
    desk.logger.say(log("gap-noticed", cause="a slow disk", ms=9))
    desk.logger.close(PATIENCE_S)
    texts = [line.split(None, 2)[2] for line in desk.lines()]
    assert [text.split(" [")[0] for text in texts] == [
        "Nothing was learnt of others for 901 ms: a pause.",
        "Nothing was learnt of others for 9 ms: a slow disk.",
        "gap-noticed: 5 more in the last 60 s."]


def test_every_change_is_printed_however_often_it_comes(desk):
    desk.start()
    desk.say(*[log("hb-domain-changed", liveset="110")] * 5)
    assert len(desk.lines()) == 5


def test_a_minute_later_a_condition_is_news_again():
    held = Repeats()
    slow, late = ("slow", "read"), ("late",)
    assert held.fresh(slow, 0.0)
    assert held.fresh(late, 30.0)
    assert not held.fresh(slow, 59.0)
    assert held.ended(59.9) == ()
    assert held.ended(60.0) == (("slow", 1, 60),)
    assert held.fresh(slow, 60.0)
    # Nobody held "late" back, so there is nothing to say of it; but it is news again.
    assert held.ended(90.0) == ()
    assert held.fresh(late, 90.0)
    assert held.waiting()


def test_conditions_beyond_the_memory_are_printed():
    held = Repeats()
    for number in range(1000):
        assert held.fresh((str(number),), 0.0)
    assert not held.fresh(("0",), 1.0)
    assert held.fresh(("999",), 1.0)


def test_a_line_that_was_cut_short_does_not_spoil_the_next(tmp_path):
    """A disk that fills up takes the first half of a line; shown with a limit on the file."""
    path = str(tmp_path / "xha.log")
    child = os.fork()
    if child == 0:
        status = 1
        try:
            _, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
            made = LogFile(path, -1)
            made.open()
            signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
            resource.setrlimit(resource.RLIMIT_FSIZE, (15, hard))
            assert made.write(b"0123456789\n") is None
            assert made.write(b"abcdefghij\n").name == "log-file-failed"
            resource.setrlimit(resource.RLIMIT_FSIZE, (hard, hard))
            assert made.write(b"ABCDEFGHIJ\n").name == "log-file-works"
            status = 0
        finally:
            os._exit(status)
    assert os.waitpid(child, 0)[1] == 0
    with open(path) as stream:
        assert stream.read() == "0123456789\nabcd\nABCDEFGHIJ\n"
