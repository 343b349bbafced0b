"""``status``: its screens, also without a daemon, its JSON and codes, and that it only looks."""
import gzip
import json
import os
import re

import pytest
from report_samples import approach, host_view, margins, slow_night, snapshot, uuid_of

from xha import (answer, cli, concerns, ctlformat, picture, report, screen, sfadmin, sfdump, status,
                 statusdown, statuspicture, timerrecord)
from xha.config import parse
from xha.errors import ExitCode, XhaError
from xha.hostset import EMPTY, HostSet
from xha.paths import Paths
from xha.published import FencingMode, Phase, WatchdogMode
from xha.statuspicture import Screen
from xha.timerrecord import Process, TimerRecord

FIXTURES = os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "fixtures")
CONFIG = os.path.join(FIXTURES, "xhad_host0.conf")
DOCUMENTED = os.path.join(os.path.dirname(os.path.dirname(FIXTURES)), "docs", "status.md")


def drawn(told, width=100, height=0, glyphs=picture.ASCII):
    """The screen of a snapshot as text."""
    lines = statuspicture.draw(told, concerns.of(told), "xha 1.0.0", Screen(
        width=width, height=height, glyphs=glyphs))
    assert all(picture.length(line) <= width for line in lines)
    assert not height or len(lines) <= height
    return "".join(screen.styled(line, False).rstrip() + "\n" for line in lines)


def pool_of(count, lost=(), **changes):
    """A pool that is well but for hosts that are lost."""
    left = HostSet(index for index in range(count) if index not in lost)
    names = ["heartbeat_domain_on_heartbeat", "heartbeat_domain_on_statefile",
             "statefile_domain_on_heartbeat", "statefile_domain_on_statefile"]
    hosts = [host_view(index, master=index == 0, **dict.fromkeys(names, left))
             if index in left else
             host_view(index, live=False, since_heartbeat_ms=8000, since_statefile_ms=8100,
                       **dict.fromkeys(names, EMPTY)) for index in range(count)]
    return snapshot(hosts=hosts, master_uuid=uuid_of(0), current_liveset=left,
                    proposed_liveset=left, heartbeat_domain=left, statefile_domain=left, **changes)


# With a daemon

FAULT = """\
 This host  host 0  10.99.0.1  FH4  armed  watchdog HYPERVISOR  State-File ok  xha 1.0.0
 Pool       active  master host 0 (me)  liveset 110  proposed 100
 Latency    heartbeat 0 ms (max 1)  State-File 0 ms (max 1)  xapi's check -

 CRITICAL   The fault handler runs (FH4): the hosts agree on who goes on. It waits for
            certainty.
 Warning    The liveset is about to change from 110 to 100.
 Warning    Host 2 is not in the liveset.

 host  address    live  master  excluded  phase    heartbeat  State-File  weight  xapi
 0 me  10.99.0.1  yes   master  -         started  0.3/5 s    1.3/5 s     1       ok
 1     10.99.0.2  yes   -       -         started  0.3/5 s    1.3/5 s     1       ok
 2     10.99.0.3  no    -       -         started  8.0/5 s    8.1/5 s     1       -

 Heartbeats  0 1 2     State-File  0 1 2
    0 hears  O O .         0 sees  O O .
    1 hears  O O .         1 sees  O O .
    2 hears  ? ? ?         2 sees  ? ? ?
"""


def test_the_screen_of_a_fault():
    told = pool_of(3, lost=[2], phase=Phase.FH4, waiting_for="certainty")._replace(
        proposed_liveset=HostSet([0]))
    assert drawn(told, 90) == FAULT
    assert "  ........ 0.3/5 s  ##...... 1.3/5 s  " in drawn(told, 100)


def test_a_healthy_pool_is_said_to_be():
    assert "All is well" in drawn(pool_of(3))
    assert "All is well" in drawn(pool_of(64))
    assert "All is well" not in drawn(pool_of(3, lost=[1]))
    assert "All is well" not in drawn(pool_of(3)._replace(heartbeat_domain=HostSet([0, 1])))
    assert "CRITICAL" not in drawn(pool_of(3)) and "Warning" not in drawn(pool_of(3))


@pytest.mark.parametrize("width", [40, 50, 60, 72, 79, 80, 100, 120, 200])
@pytest.mark.parametrize("count, lost", [(1, ()), (2, ()), (3, [2]), (9, ()), (10, [3]),
                                         (16, ()), (64, ()), (64, [0, 41, 63])])
def test_every_pool_fits_every_width_and_no_host_is_left_out(width, count, lost):
    text = drawn(pool_of(count, lost), width)
    rows = re.findall(r"^ (\d+)(?: me)? .*(?:yes|no) ", text, re.MULTILINE)
    assert [int(row) for row in rows] == list(range(count))
    if width >= 80:
        for word in ("address", "master", "excl", "phase", "xapi"):
            assert word in text


@pytest.mark.parametrize("height", [20, 24, 50, 80])
def test_on_a_low_screen_what_is_wrong_is_still_there(height):
    text = drawn(pool_of(64, lost=[41]), 80, height)
    assert "Host 41 is not in the liveset." in text
    assert re.search(r"^ 41 .* no ", text, re.MULTILINE)
    assert re.search(r"^ \d+ more: live, heard within 0.3 s, wrote within 1.3 s", text,
                     re.MULTILINE)


def test_what_has_no_room_at_all_is_counted():
    lines = drawn(pool_of(64, lost=list(range(1, 63))), 80, 24).splitlines()
    assert len(lines) == 24 and re.match(r" \.\.\. \d+ more lines", lines[-1])


def test_in_a_large_pool_equal_rows_are_one_and_the_odd_one_stands_out():
    told = pool_of(64)
    hosts = list(told.hosts)
    hosts[7] = hosts[7]._replace(heartbeat_domain_on_heartbeat=HostSet([7]))
    text = drawn(told._replace(hosts=tuple(hosts)), 80)
    assert " {}  0-6, 8-63\n".format("O" * 64) in text
    assert " {}O{}  7\n".format("." * 7, "." * 56) in text
    narrow = drawn(told._replace(hosts=tuple(hosts)), 60)
    assert " 0-6, 8-63: hears all\n 7: hears 7\n" in narrow


def test_what_grows_old_is_seen_in_the_row_of_this_host():
    told = pool_of(3)
    hosts = list(told.hosts)
    hosts[2] = hosts[2]._replace(since_heartbeat_ms=2600, since_statefile_ms=4000)
    text = drawn(told._replace(hosts=tuple(hosts)))
    assert "    0 hears  O O o         0 sees  O O o\n" in text
    assert "    1 hears  O O O         1 sees  O O O\n" in text


@pytest.mark.parametrize("fields, said", [
    (dict(online=False, fencing=FencingMode.NONE), "starting  not armed"),
    (dict(fencing=FencingMode.DISARMED), "online  disarmed"),
    (dict(statefile_access=False), "State-File not accessible"),
    (dict(sr2=True), "SURVIVAL RULE 2"), (dict(pool_state_known=False), "Pool       unknown"),
    (dict(master_uuid=uuid_of(40)), "master not configured"),
    (dict(master_uuid="0" * 32), "master none")])
def test_the_head_says_how_this_host_is(fields, said):
    assert said in drawn(pool_of(3)._replace(**fields))


CLOSEST = [
    # margins,               after "Closest",                                     why
    (margins(),              "in 24 h: the daemon's loop 1.0 of 5.0 s  3 Nov 02:14:07 UTC\n",
     "a pool that is well"),
    (slow_night(),           "in 24 h: State-File writes 4.1 of 5.0 s  3 Nov 02:14:07 UTC\n"
     "            a write to the State-File took 3.1 s\n", "a near miss in the last day"),
    (margins(heard_by=dict(start=approach(3000, "silence", 3000, wall_ms=0))),
     "in 24 h: the daemon's loop 1.0 of 5.0 s  3 Nov 02:14:07 UTC\n"
     "            since the start: heartbeats to host 1 3.0 of 5.0 s  1 Jan 00:00:00 UTC\n"
     "            nothing came meanwhile\n", "a near miss long ago"),
    (margins(heard=dict(start=approach(2400))),
     "in 24 h: the daemon's loop 1.0 of 5.0 s  3 Nov 02:14:07 UTC\n", "what was no near miss"),
]


@pytest.mark.parametrize("told, said, why", CLOSEST, ids=[row[-1] for row in CLOSEST])
def test_the_closest_approach_is_in_the_head(told, said, why):
    assert "\n Closest    " + said in drawn(pool_of(3, margins=told), 90)
    for width in (40, 60, 80, 120):
        drawn(pool_of(3, margins=told), width)


@pytest.mark.parametrize("wall_ms", [-1, 253402300800000, 1 << 70])
def test_a_time_that_is_no_date_is_shown_all_the_same(wall_ms):
    told = margins(heard=dict(day=approach(4000, "\x1b[2J", 1, wall_ms=wall_ms)))
    assert "{} ms".format(wall_ms) in drawn(pool_of(3, margins=told))


def test_without_margins_there_is_no_such_line():
    assert "Closest" not in drawn(pool_of(3)), "a daemon that is older"


def test_a_hold_of_xapi_is_shown_of_whichever_host_it_is():
    told = pool_of(3)
    hosts = list(told.hosts)
    hosts[2] = hosts[2]._replace(xapi_held_ms=299500)
    text = drawn(told._replace(hosts=tuple(hosts)))
    assert "xapi of host 2 is not checked for 5m more" in text
    row, = [line for line in text.splitlines() if line.startswith(" 2     10.99")]
    assert row.endswith(" held")
    assert "All is well" not in text
    # What is wrong with it says more.
    hosts[2] = hosts[2]._replace(xapi_error="no database")
    assert " error" in drawn(told._replace(hosts=tuple(hosts)))


def test_what_hosts_send_cannot_reach_the_terminal_raw():
    told = pool_of(3)
    hosts = list(told.hosts)
    hosts[1] = hosts[1]._replace(xapi_error="\x1b[2J\n\x07", software="\x1b[31m",
                                 address="10.0.0.1\x1b")
    text = drawn(told._replace(hosts=tuple(hosts), waiting_for="\x1b[0m", watchdog_mode="\x1b"))
    assert all(letter == "\n" or " " <= letter <= "~" for letter in text)


# Without one

class Files:
    """The files of host 0 of three, with a State-File as the original left one, and no daemon."""

    def __init__(self, directory, name="sf_crash2"):
        self.statefile = str(directory / "statefile")
        with gzip.open(os.path.join(FIXTURES, name + ".img.gz")) as file:
            self.image = file.read()
        with open(self.statefile, "wb") as file:
            file.write(self.image)
        self.config = str(directory / "xhad.conf")
        with open(CONFIG) as file:
            text = file.read().replace("/dev/statefile", self.statefile)
        with open(self.config, "w") as file:
            file.write(text)
        self.run_dir = directory / "run"
        self.run_dir.mkdir()
        self.paths = Paths(str(self.run_dir))

    def look(self):
        return status.look(self.paths, self.config)

    def text(self, width=100):
        return "".join(screen.styled(line, False).rstrip() + "\n" for line in status.lines_of(
            self.look(), Screen(width=width, height=0, glyphs=picture.ASCII)))

    def timers(self, **changes):
        """What a daemon wrote down that is gone."""
        timerrecord.write(self.paths, TimerRecord(
            boot_id=timerrecord.boot_id(), mode=WatchdogMode.HYPERVISOR, armed=True, timers=(),
            daemon=Process(pid=77, started=1), keeper=timerrecord.NO_PROCESS,
            timeouts_ms=((timerrecord.Watchdog.HEARTBEAT, 8000),))._replace(**changes))


#: What a State-File may take; a busy machine is no disk that hangs, so tests wait for longer.
BOUND_S = status._STATEFILE_S


@pytest.fixture(autouse=True)
def patience(monkeypatch):
    monkeypatch.setattr(status, "_STATEFILE_S", 120.0)


@pytest.fixture
def files(tmp_path):
    return Files(tmp_path)


DOWN = """\
 This host  host 0  10.99.0.1  no daemon  watchdog NONE
 Pool       active  master host 1  3 hosts
 State-File {}

 CRITICAL   No daemon runs on this host: it takes no part in its pool, though HA is on and the host
            is not excluded.

 As their records say, which tells nothing of who is alive now:
 host  address    record    excluded  phase    fencing  weight  liveset  written
 0 me  10.99.0.1  unsealed  -         started  -        1       110      unknown
 1     10.99.0.2  unsealed  -         started  -        1       110      unknown
 2     10.99.0.3  unsealed  -         started  -        1       111      unknown
"""


def test_without_a_daemon_it_shows_what_the_state_file_says_and_only_reads_it(files):
    text = files.text()
    assert text == DOWN.format(files.statefile)
    with open(files.statefile, "rb") as file:
        assert file.read() == files.image
    for width in (40, 60, 80):
        known = files.look()
        lines = status.lines_of(known, Screen(width=width, height=0, glyphs=picture.ASCII))
        assert all(picture.length(line) <= width for line in lines)


def described(files):
    return sfdump.describe(sfadmin.read_image(files.statefile))


def down(files, **changes):
    with open(files.config, "rb") as file:
        settings = parse(file.read())
    return statusdown.Down(why="no daemon answers", silent=False, pid=0, settings=settings,
                           settings_error="", found=described(files), statefile_error="",
                           timers="", at_wall_s=1700000100)._replace(**changes)


def names(told):
    return {concern.name: concern.gravity for concern in statusdown.concerns_of(told)}


def changed(files, **fields):
    """A description whose global record says something else."""
    found = described(files)
    found["global"].update(fields)
    return found


SEAL = {"incarnation": 5, "software": "xha 1.0.0", "written_at": "2023-11-14T22:14:00Z",
        "fencing": "armed", "watchdog_mode": "hypervisor", "sr2": False, "holding": False,
        "incarnations_seen": [],
        "last_words": {"code": "lost", "text": "it was\x1blost", "at": "2023-11-14T22:13:59Z",
                       "incarnation": 5, "liveset": [], "heartbeat_domain": [],
                       "statefile_domain": []}}


def sealed(files, **fields):
    found = described(files)
    found["hosts"][2]["seal"] = dict(SEAL, **fields)
    return found


DOWNS = [
    # what is so                                                     concern, gravity
    (lambda files: {},                                               "no-daemon", "critical"),
    (lambda files: dict(found=changed(files, pool_state="init")),    "no-daemon", "warning"),
    (lambda files: dict(found=None, statefile_error="gone"),         "no-daemon", "warning"),
    (lambda files: dict(silent=True, pid=9),                         "daemon-silent", "critical"),
    (lambda files: dict(silent=True),                                "daemon-silent", "critical"),
    (lambda files: dict(timers="THIS HOST IS RESET"),                "timers-run", "critical"),
    (lambda files: dict(settings=None, settings_error="not there"),
     "configuration-unavailable", "warning"),
    (lambda files: dict(found=None, statefile_error="it hangs"),
     "statefile-unavailable", "critical"),
    (lambda files: dict(found=changed(files, generation_uuid="other")),
     "generation-differs", "warning"),
    (lambda files: dict(found=changed(files, pool_state="invalid")), "ha-off", "notice"),
    (lambda files: dict(found=changed(files, error="bad CRC", state="corrupt")),
     "global-record-corrupt", "warning"),
    (lambda files: dict(found=dict(described(files), hosts=[
        {"index": 1, "state": "corrupt", "error": "bad"}])), "records-corrupt", "warning"),
    (lambda files: dict(found=sealed(files)),                        "last-words", "notice"),
]


@pytest.mark.parametrize("what, name, gravity", DOWNS,
                         ids=["{} {}".format(row[1], number) for number, row in enumerate(DOWNS)])
def test_what_is_known_without_a_daemon_is_said(files, what, name, gravity):
    told = down(files, **what(files))
    found = statusdown.concerns_of(told)
    assert names(told)[name] == gravity, found
    for width in (40, 100):
        lines = statusdown.draw(told, found, Screen(width=width, height=0, glyphs=picture.ASCII))
        assert all(picture.length(line) <= width for line in lines)
        text = "".join(screen.styled(line, False) for line in lines)
        assert all(" " <= letter <= "~" for letter in text)


def test_words_of_an_earlier_life_are_not_repeated(files):
    assert "last-words" not in names(down(files, found=sealed(files, incarnation=6)))


def test_an_excluded_host_without_a_daemon_is_as_it_should_be(files):
    found = described(files)
    found["hosts"][0]["excluded"] = True
    assert names(down(files, found=found))["no-daemon"] == "warning"


@pytest.mark.parametrize("age_s, text", [
    (0, "0 s ago"), (119, "119 s ago"), (120, "2 min ago"), (7199, "119 min ago"),
    (7200, "2 h ago"), (200000, "2 d ago"), (-5, "5 s ahead of us")])
def test_how_long_ago_a_record_was_written(files, age_s, text):
    assert statusdown.ago(age_s) == text
    told = down(files, found=sealed(files), at_wall_s=1700000040 + age_s)
    lines = statusdown.draw(told, [], Screen(width=120, height=0, glyphs=picture.ASCII))
    assert screen.styled(lines[-1], False).rstrip().endswith(text)


TIMERS = [
    # record                                                          warned   why
    (dict(),                                                          True,    "Xen resets it"),
    (dict(armed=False),                                               False,   "nobody counts"),
    (dict(mode=WatchdogMode.NONE),                                    False,   "numbers only"),
    (dict(boot_id="another"),                                         False,   "that was a boot"),
    (dict(mode=WatchdogMode.USER, keeper=timerrecord.process(os.getpid())), True, "it will fire"),
    (dict(mode=WatchdogMode.USER, keeper=Process(pid=1 << 21, started=3)), True, "it is gone"),
]


@pytest.mark.parametrize("fields, warned, why", TIMERS, ids=[row[-1] for row in TIMERS])
def test_timers_of_a_daemon_that_died_armed_are_warned_of(files, fields, warned, why):
    files.timers(**fields)
    assert ("timers-run" in {concern.name for concern in files.look().concerns}) == warned


def test_a_process_that_holds_the_lock_is_a_daemon_that_does_not_answer(files, monkeypatch):
    from xha import daemonlock
    monkeypatch.setattr(daemonlock, "holder", lambda path: 4711)
    known = files.look()
    assert (known.code, known.down.silent) == (14, True)
    assert "process 4711" in files.text()


@pytest.mark.parametrize("name", ["sf_setinit", "sf_starting", "sf_online3", "sf_master1"])
def test_every_state_of_a_pool_can_be_shown(tmp_path, name):
    files = Files(tmp_path, name)
    assert files.look().code == 14 and "no daemon" in files.text()


def test_on_a_narrow_terminal_no_sentence_is_cut(files):
    text = files.text(40)
    words = " ".join(text.split())
    assert "As their records say, which tells nothing of who is alive now:" in words
    assert all(len(line) <= 40 for line in text.splitlines())


def test_a_state_file_that_cannot_be_read_leaves_the_configuration(files):
    os.unlink(files.statefile)
    text = files.text()
    assert "As the configuration says:" in text and "10.99.0.3" in text
    assert "The State-File cannot be read" in text


def test_a_state_file_that_hangs_costs_its_bound(files, monkeypatch):
    asked = []

    def hang(path, bound_s):
        asked.append(bound_s)
        raise XhaError(ExitCode.STATEFILE_INACCESSIBLE, "it did not answer within 2 s")
    monkeypatch.setattr(sfadmin, "read_image", hang)
    monkeypatch.setattr(status, "_STATEFILE_S", BOUND_S)
    assert files.look().down.statefile_error == "it did not answer within 2 s"
    assert sum(asked) + status._ANSWER_S < 5


def test_without_a_configuration_there_is_little_to_say(files):
    os.unlink(files.config)
    text = files.text()
    assert "There is no configuration to go by" in text and "no daemon" in text


# The command

class Daemon:
    """Stands between the command and the socket; the socket itself is test_control's."""

    def __init__(self, *replies):
        self.replies = list(replies)
        self.questions = []

    def __call__(self, paths, verb, *words, timeout_s=0.0):
        ctlformat.decode_request(ctlformat.encode_request(verb, words))
        self.questions.append((verb,) + words)
        if verb == "build-id":
            return ctlformat.Reply(0, "b0\n")
        return self.replies.pop(0) if len(self.replies) > 1 else self.replies[0]


GOOD = ctlformat.Reply(0, report.as_json(snapshot()))
NONE = ctlformat.Reply(14, "", "no daemon answers at /run/xha/control\n")


@pytest.fixture
def xha(capfd, files, monkeypatch):
    """Run the command against these replies; (code, standard output, standard error)."""
    from xha import client

    def call(daemon, *words):
        monkeypatch.setattr(client, "call", daemon)
        code = cli.main("xha.pyz", ["status", "--run-dir=" + str(files.run_dir),
                                    "-C", files.config] + list(words))
        return (code,) + tuple(capfd.readouterr())
    return call


def test_with_a_daemon_it_ends_with_0_and_has_asked_without_a_side_effect(xha):
    daemon = Daemon(GOOD)
    code, out, err = xha(daemon)
    assert (code, err) == (0, "") and "xha 1.0.0 (b0)" in out
    assert daemon.questions == [("query", "json", "0"), ("build-id",)]


ENDS = [
    # reply                                           code  concern             why
    (NONE,                                            14,   "no-daemon",        "there is none"),
    (ctlformat.Reply(3, "", "not within 2.5 s"),      3,    "daemon-silent",    "it hangs"),
    (ctlformat.Reply(2, "", "no daemon of this"),     2,    "daemon-silent",    "another protocol"),
    (ctlformat.Reply(0, "{}"),                        2,    "daemon-silent",    "another schema"),
    (ctlformat.Reply(16, "", "permission denied"),    16,   "daemon-silent",    "may not be asked"),
]


@pytest.mark.parametrize("reply, code, name, why", ENDS, ids=[row[-1] for row in ENDS])
def test_without_an_answer_what_is_known_comes_before_the_code(xha, reply, code, name, why):
    found, out, err = xha(Daemon(reply))
    assert (found, err) == (code, "") and "10.99.0.3" in out
    found, out, err = xha(Daemon(reply), "--format=json")
    told = json.loads(out)
    assert (found, told["exit_code"], told["source"]) == (code, code, "statefile")
    assert name in [concern["name"] for concern in told["concerns"]]


def test_the_json_holds_the_answer_itself(xha):
    code, out, _ = xha(Daemon(GOOD), "--format=json")
    told = json.loads(out)
    assert answer.read(json.dumps(told["answer"])) == snapshot(at_ms=0)
    assert (code, told["source"], told["build"]) == (0, "daemon", "b0")
    assert [concern["name"] for concern in told["concerns"]] == ["no-master"]


def test_every_name_in_the_json_is_documented_and_no_other(xha):
    told = json.loads(xha(Daemon(NONE), "--format=json")[1])
    given = set(told) | set(json.loads(xha(Daemon(GOOD), "--format=json")[1]))
    with open(DOCUMENTED) as file:
        part = file.read().partition("## JSON")[2].partition("\n## ")[0]
    assert set(re.findall(r"^\| `(\w+)`", part, re.MULTILINE)) == given
    for name in (set(told["configuration"]) | set(told["configuration"]["hosts"][0])
                 | set(told["concerns"][0])):
        assert "`{}`".format(name) in part


def test_in_a_pipe_it_is_plain_ascii(xha):
    out = xha(Daemon(GOOD))[1]
    assert all(letter == "\n" or " " <= letter <= "~" for letter in out)


def test_watching_goes_on_while_the_daemon_goes_and_comes_back(xha, monkeypatch):
    looks = []

    def sleep(seconds):
        looks.append(seconds)
        if len(looks) == 3:
            raise KeyboardInterrupt
    monkeypatch.setattr(status.time, "sleep", sleep)
    code, out, err = xha(Daemon(GOOD, NONE, GOOD), "--watch")
    assert (code, err, looks) == (0, "", [1.0] * 3)
    assert [" no daemon " in part for part in out.split(" This host ")[1:]] == [
        False, True, False]


def test_ctrl_c_in_the_middle_of_a_look_ends_watching_too(xha):
    class Interrupted(Daemon):
        def __call__(self, *words, **options):
            raise KeyboardInterrupt
    assert xha(Interrupted(GOOD), "--watch") == (0, "", "")


# The terminal

@pytest.fixture
def terminal(monkeypatch):
    """Pretend a terminal of a size and an environment; what is written to it."""
    written = []

    def make(columns=80, rows=24, **environment):
        environment.setdefault("TERM", "xterm")
        monkeypatch.setattr(screen, "first_environment", lambda: environment)
        monkeypatch.setattr(status.os, "isatty", lambda descriptor: True)
        monkeypatch.setattr(status.os, "get_terminal_size", lambda descriptor: os.terminal_size(
            (columns, rows)))
        monkeypatch.setattr(status.os, "write", lambda descriptor, data: (
            written.append(data), len(data))[1])
        return written
    return make


COLOURS = [
    # environment                            wanted  coloured  UTF-8   why
    ({},                                     True,   True,     False,  "a terminal"),
    ({"NO_COLOR": "1"},                      True,   False,    False,  "NO_COLOR"),
    ({"NO_COLOR": ""},                       True,   True,     False,  "an empty NO_COLOR"),
    ({},                                     False,  False,    False,  "not wanted"),
    ({"TERM": "dumb"},                       True,   False,    False,  "a dumb terminal"),
    ({"LANG": "en_US.UTF-8"},                True,   True,     True,   "UTF-8"),
    ({"LC_ALL": "C", "LANG": "en_US.UTF-8"}, True,   True,     False,  "ASCII is asked for"),
]


@pytest.mark.parametrize("environment, wanted, coloured, utf8, why", COLOURS,
                         ids=[row[-1] for row in COLOURS])
def test_colours_and_signs_are_those_the_terminal_has(terminal, environment, wanted, coloured,
                                                      utf8, why):
    written = terminal(**environment)
    output = status.Output(wanted)
    output.write(output.text(statuspicture.draw(pool_of(3), [], "", output.screen(False))))
    text = b"".join(written).decode("utf-8")
    assert ("\x1b[" in text, picture.UTF8.fresh in text) == (coloured, utf8)


@pytest.mark.parametrize("size, watched, expected", [
    ((120, 50), False, (120, 0)), ((120, 50), True, (120, 49)), ((10, 3), False, (40, 0)),
    ((0, 0), True, (80, 0))])
def test_the_screen_is_as_large_as_the_terminal(terminal, size, watched, expected):
    terminal(*size)
    found = status.Output(True).screen(watched)
    assert (found.width, found.height) == expected


def test_a_terminal_is_given_back(terminal):
    written = terminal()
    output = status.Output(True)
    output.begin()
    output.show("one\ntwo\n", "text")
    output.end()
    output.end()
    text = b"".join(written).decode()
    assert text.startswith("\x1b[?1049h") and text.endswith("\x1b[?1049l")
    assert "one\x1b[K\ntwo\x1b[K\n" in text and text.count("\x1b[?1049l") == 1


def test_an_output_that_is_full_is_a_system_error(monkeypatch):
    def full(descriptor, data):
        raise OSError(28, "No space left on device")
    output = status.Output(False)
    monkeypatch.setattr(status.os, "write", full)
    with pytest.raises(XhaError) as caught:
        output.write("x")
    assert caught.value.code is ExitCode.SYSTEM_ERROR
