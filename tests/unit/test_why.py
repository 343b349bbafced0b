"""`why`: what it reads, what it refuses, and that no bytes make it fail."""
import glob
import gzip
import json
import os
import random

import pytest
from recorder_samples import HEADER, event, file_of, measure

from xha import cli, history, recorderformat, whycauses, whylog, whyxen
from xha.hostset import MAX_HOSTS
from xha.recorderformat import Entry
from xha.whywords import named

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))


@pytest.fixture(autouse=True)
def place(tmp_path, monkeypatch):
    """The state directory of a host, and nothing else of this machine."""
    monkeypatch.setenv("XHA_RUN_DIR", str(tmp_path / "run"))
    monkeypatch.setenv("XHA_STATE_DIR", str(tmp_path / "lib"))
    monkeypatch.setenv("XHA_LOG_FILE", str(tmp_path / "xha.log"))
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr("xha.whyfiles._XEN_LOGS", (str(tmp_path / "crash/*/xen.log"),))
    # A machine that is busy is no disk that hangs.
    monkeypatch.setattr("xha.whyfiles._STATEFILE_S", 120.0)
    (tmp_path / "lib").mkdir()
    return tmp_path


@pytest.fixture
def xha(place, capfd):
    """Run `why` on a host without configuration; (code, standard output, standard error)."""
    def call(*words, name="why"):
        code = cli.main("xha.pyz", [name, "--config={}/conf".format(place)] + list(words))
        out, err = capfd.readouterr()
        return code, out, err
    return call


def lay(path, *entries, **about):
    path.write_bytes(file_of(entries, HEADER._replace(**about)))
    return str(path)


FENCE = dict(name="self-fencing", level="err", code="no-survival-rule",
             reason="no survival rule applies: heard 010, State-File 111, liveset 111")


def fenced(at_ms):
    return event(at_ms, **FENCE)


# What is read, and what is refused

def test_this_host_s_recorders_are_read_and_explain_is_another_name(place, xha):
    lay(place / "lib" / "recorder", fenced(9000))
    code, out, err = xha()
    assert (code, err) == (0, "")
    assert out.startswith("Host 1 (10.0.0.2) fenced itself at 2023-11-14 22:13:29.000 UTC.\n")
    assert xha(name="explain") == (code, out, err)


def test_the_schema_in_the_documentation_names_every_field(place, xha):
    lay(place / "lib" / "recorder", event(1), fenced(9000))
    lay(place / "lib" / "recorder.1", fenced(8000)._replace(wall_ms=HEADER.wall_ms - 10 ** 6),
        pid=1, boot_id="a" * 36, wall_ms=HEADER.wall_ms - 10 ** 7)
    found = json.loads(xha("--format=json")[1])
    with open(os.path.join(ROOT, "docs", "why.md")) as page:
        text = page.read()
    incident = found["incident"]
    for name in (list(found) + list(incident) + list(incident["lines"][0])
                 + list(incident["others"][0])):
        assert "`{}`".format(name) in text, name
    for kind in {kind for row in whycauses.CAUSES for kind in row.kinds}:
        assert "`{}`".format(kind) in text, kind
    for how in whyxen.WORDS:
        assert "`{}`".format(how) in text, how


def test_a_host_is_named_by_index_address_uuid_or_name(place, xha):
    lay(place / "lib" / "recorder", fenced(9000))
    expected = xha()[:2]
    for word in ("1", "10.0.0.2", HEADER.uuid, HEADER.uuid.replace("-", "").upper(), "dom0-b"):
        assert xha("--host=" + word)[:2] == expected, word
    assert xha("--host=0")[1].startswith("No fence, failed start or refusal of host 0 is known.")


def test_the_list_and_what_was_before(place, xha):
    lay(place / "lib" / "recorder", fenced(9000))
    lay(place / "lib" / "recorder.1", fenced(0)._replace(wall_ms=HEADER.wall_ms - 86400000),
        pid=1, boot_id="a" * 36, wall_ms=HEADER.wall_ms - 86500000)
    assert xha("--list")[1] == (
        "2023-11-13T22:13:20.000Z host 1 fenced itself [cut-off]\n"
        "2023-11-14T22:13:29.000Z host 1 fenced itself [cut-off]\n")
    assert [one["host"] for one in json.loads(
        xha("--list", "--format=json")[1])["incidents"]] == [1, 1]
    before = json.loads(xha("--before=2023-11-14", "--format=json")[1])["incident"]
    assert before["wall_ms"] == HEADER.wall_ms - 86400000
    assert xha("--before=2023-11-01")[1].startswith("No fence, failed start")


WRONG = [
    # words, said
    (["--format=xml"], "--format=xml: expected text or json"),
    (["--before=x"], "--before=x: expected an age"),
    (["--host=7"], "--host=7: no host has that index"),
    (["--lost"], "usage: xha.pyz why"),
]


@pytest.mark.parametrize("words, said", WRONG, ids=[row[-1] for row in WRONG])
def test_wrong_usage_is_1_in_one_line(place, xha, words, said):
    lay(place / "lib" / "recorder", fenced(9000))
    code, out, err = xha(*words)
    assert (code, out) == (1, "")
    assert said in err and err.count("\n") == 1


def no_file(place):
    return [str(place / "x")], 2, "/x: cannot be read: No such file or directory"


def nothing_of_use(place):
    (place / "x").write_bytes(b"x" * 100000)
    return [str(place / "x")], 1, "is no flight recorder (no header of a flight recorder"


def empty_directory(place):
    (place / "x").mkdir()
    return [str(place / "x")], 2, "no flight recorder, no log of a daemon and no last words in"


def only_a_log_of_xen(place):
    (place / "x").write_text("(XEN) Watchdog timer fired for domain 0\n")
    return [str(place / "x")], 2, "no flight recorder, no log of a daemon and no last words in"


def pipe(place):
    os.mkfifo(str(place / "x"))
    return [str(place / "x")], 1, "is no flight recorder"


def endless(place):
    return ["/dev/zero"], 1, "/dev/zero: it is no file, or has no end"


def nothing_here(place):
    return [], 2, "there is nothing to go by: The flight recorder of this host: "


@pytest.mark.parametrize("spoil", [no_file, nothing_of_use, empty_directory, only_a_log_of_xen,
                                   pipe, endless, nothing_here])
def test_where_there_is_nothing_to_read_it_says_why_in_one_line(place, xha, spoil):
    words, expected, said = spoil(place)
    code, out, err = xha(*words)
    assert (code, out) == (expected, ""), err
    assert said in err and err.count("\n") == 1


def test_a_file_that_may_not_be_read_is_16(place, xha, request):
    path = lay(place / "lib" / "recorder", fenced(1))
    os.chmod(path, 0)
    request.getfixturevalue("nobody")
    code, out, err = xha(path)
    assert (code, out) == (16, "")
    assert err == "xha.pyz why: {}: cannot be read: Permission denied\n".format(path)


def test_a_configuration_that_is_refused_is_an_incident_and_one_that_is_missing_is_not(place, xha):
    lay(place / "lib" / "recorder", event(1))
    assert json.loads(xha("--format=json")[1])["incident"] is None
    assert "Last words on the State-File are not known" in xha()[1]
    (place / "conf").write_text("<xhad-config")
    incident = json.loads(xha("--format=json")[1])["incident"]
    assert (incident["cause"], incident["code"]) == ("configuration", "7")


def test_a_crash_log_that_xen_left_on_this_host_is_found(place, xha):
    lay(place / "lib" / "recorder", event(1, "fencing-armed"), Entry(
        kind="state", wall_ms=HEADER.wall_ms + 2, mono_ms=HEADER.mono_ms + 2, incarnation=7,
        name="", level="", fields=(("fencing", "ARMED"),)))
    (place / "crash" / "20231114-221400-UTC").mkdir(parents=True)
    log = place / "crash" / "20231114-221400-UTC" / "xen.log"
    log.write_text("(XEN) Hardware Dom0 crashed: rebooting machine in 5 seconds.\n")
    os.utime(str(log), (HEADER.wall_ms / 1000 + 30, HEADER.wall_ms / 1000 + 30))
    assert json.loads(xha("--format=json")[1])["incident"]["cause"] == "kernel-crash"
    os.utime(str(log), (HEADER.wall_ms / 1000 + 9999, HEADER.wall_ms / 1000 + 9999))
    assert json.loads(xha("--format=json")[1])["incident"]["cause"] == "silent-on-both"


ARMED = Entry(kind="state", wall_ms=HEADER.wall_ms + 2, mono_ms=HEADER.mono_ms + 2, incarnation=7,
              name="", level="", fields=(("fencing", "ARMED"),))


def lay_lives(place, *begins):
    """Lives of armed daemons: (seconds after ``HEADER``, boot, reason of a refused start)."""
    for number, (at_s, boot, refused) in enumerate(begins):
        about = dict(wall_ms=HEADER.wall_ms + 1000 * at_s, mono_ms=HEADER.mono_ms + 1000 * at_s,
                     boot_id=boot, pid=number)
        entries = [one._replace(wall_ms=about["wall_ms"] + 5, mono_ms=about["mono_ms"] + 5)
                   for one in (event(0, "host-online"), ARMED)]
        if refused:
            entries = [event(1000 * at_s + 5, "start-aborted", "err", reason=refused)]
        lay(place / "lib" / "recorder{}".format(
            "." * bool(len(begins) - number - 1) + str(len(begins) - number - 1 or "")),
            *entries, **about)


def console(place, *lines):
    """A console with lines so many seconds after ``HEADER``: (seconds, line)."""
    (place / "console").write_text("".join("{} {}\n".format(
        history.stamp(HEADER.wall_ms + 1000 * at_s), line) for at_s, line in lines))
    return "host=1:" + str(place / "console")


BANNER = "(XEN) Xen version 4.17.7 (Debian 4.17.7+13) "
FIRED = "(XEN) Watchdog timer fired for domain 0"
CONSOLES = [
    # lines, causes of two ends: at 0 s with a boot at 60 s, and at 60 s, why
    ([(-9, BANNER), (50, BANNER), (200, FIRED)], ["power", "watchdog-fired"], "both in one window"),
    ([(-9, BANNER), (40, FIRED), (50, BANNER), (200, BANNER)], ["watchdog-fired", "power"],
     "the other way round"),
    ([(-9, BANNER), (75, FIRED), (85, BANNER)], ["silent-on-both", "watchdog-fired"],
     "the second alone was captured"),
    ([(-20, FIRED), (-9, BANNER)], ["silent-on-both", "silent-on-both"],
     "what was before the first life is not taken for its end"),
    ([(-9, BANNER), (30, BANNER), (40, FIRED), (50, BANNER)], ["power", "silent-on-both"],
     "what came first counts"),
]


@pytest.mark.parametrize("lines, causes, why", CONSOLES, ids=[row[-1] for row in CONSOLES])
def test_of_several_resets_on_a_console_that_of_the_incident_counts(place, xha, lines, causes,
                                                                    why):
    lay_lives(place, (0, "a", ""), (60, "b", ""), (700, "c", ""))
    listed = json.loads(xha("--list", "--format=json", str(place / "lib"),
                            console(place, *lines))[1])["incidents"]
    assert [one["cause"] for one in listed] == causes


def test_a_console_tells_that_a_host_ended_of_which_nothing_else_is_known(place, xha):
    lay_lives(place, (0, "a", ""))
    found = json.loads(xha("--format=json", str(place / "lib"), console(
        place, (-9, BANNER), (20, FIRED), (21, BANNER)))[1])["incident"]
    assert (found["cause"], found["kind"]) == ("watchdog-fired", "silent")
    found = json.loads(xha("--format=json", str(place / "lib"), console(
        place, (-20, FIRED), (-9, BANNER)))[1])["incident"]
    assert found is None, "that was an earlier boot"


def test_a_recording_that_breaks_off_armed_is_no_proof_that_nothing_happened(place, xha):
    lay_lives(place, (0, "a", ""))
    found = json.loads(xha("--format=json", str(place / "lib"))[1])
    assert found["incident"] is None
    assert "The recording of host 1 breaks off at 2023-11-14T22:13:20.005Z" in found["limits"][0]
    text = xha("--host=1", str(place / "lib"))[1]
    assert "- The recording of host 1 breaks off" in text
    lay(place / "lib" / "recorder", event(9, "host-online"))
    assert json.loads(xha("--format=json", str(place / "lib"))[1])["limits"] == [], "not armed"


def test_a_recording_that_breaks_off_armed_is_spoken_of_beside_an_incident_before(place, xha):
    lay_lives(place, (0, "a", ""), (60, "b", ""))
    found = json.loads(xha("--format=json", str(place / "lib"))[1])["incident"]
    assert found["wall_ms"] == HEADER.wall_ms + 5
    assert any("breaks off at 2023-11-14T22:14:20.005Z" in limit for limit in found["limits"])
    found = json.loads(xha("--format=json", "--before=2024-01-01", str(place / "lib"))[1])
    assert not any("breaks off at" in limit for limit in found["incident"]["limits"])


def test_a_console_that_says_nothing_of_that_time_is_not_called_missing(place, xha):
    lay_lives(place, (0, "a", ""), (60, "b", ""))
    found = json.loads(xha("--format=json", str(place / "lib"), console(
        place, (-3600, FIRED), (-3590, BANNER)))[1])["incident"]
    assert any("tells of no end of host 1 at that time; its dates count as UTC" in limit
               for limit in found["limits"])
    assert not any("No log of Xen" in limit for limit in found["limits"])


def loss(at_s, host=2, **words):
    """What a survivor says when it loses a host of three at that time."""
    shown = "".join("01"[index != host] for index in range(3))
    found = [event(1000 * at_s, "hb-domain-changed", liveset=shown),
             event(1000 * at_s + 3000, "fh-views-agree", heartbeat=shown, statefile=shown),
             event(1000 * at_s + 3001, "surviving-by-rule-1", liveset=shown),
             event(1000 * at_s + 13000, "host-dropped", host=host)]
    if words:
        found.insert(1, event(1000 * at_s + 2000, "last-words-heard", host=host, **words))
    return found + [event(1000 * at_s + 40000, "hb-domain-changed", liveset="111")]


LOSSES = [
    # seconds of losses, why
    ((100,), "once"),
    ((100, 350), "within the minutes in which others speak of one"),
    ((100, 170, 240), "as soon as it was back, and again"),
    ((100, 5000), "hours apart"),
]


@pytest.mark.parametrize("at, why", LOSSES, ids=[row[-1] for row in LOSSES])
def test_a_survivor_tells_every_loss_of_a_host(place, xha, at, why):
    said = [event(0, "hb-domain-changed", liveset="111"),
            event(1, "sf-domain-changed", liveset="111")]
    for at_s in at:
        said += loss(at_s)
    lay(place / "lib" / "recorder", *said)
    listed = json.loads(xha("--list", "--format=json", str(place / "lib"))[1])["incidents"]
    assert [(one["host"], one["wall_ms"] - HEADER.wall_ms) for one in listed] == [
        (2, 1000 * at_s) for at_s in at]
    found = json.loads(xha("--format=json", str(place / "lib"))[1])["incident"]
    assert found["dropped_wall_ms"] - HEADER.wall_ms == 1000 * at[-1] + 13000


def test_last_words_belong_to_the_loss_that_they_announce(place, xha):
    said = [event(0, "hb-domain-changed", liveset="111")] + loss(100) + loss(
        170, code="xapi-failed", text="xapi is gone")
    lay(place / "lib" / "recorder", *said)
    listed = json.loads(xha("--list", "--format=json", str(place / "lib"))[1])["incidents"]
    assert [one["cause"] for one in listed] == ["silent-on-both", "xapi-failed"]


def test_who_has_lost_the_state_file_has_not_missed_others_there(place, xha):
    said = [event(0, "hb-domain-changed", liveset="111"),
            event(1, "sf-domain-changed", liveset="111"),
            event(60000, "sf-domain-changed", liveset="000"),
            event(70000, "sf-domain-changed", liveset="111")]
    lay(place / "lib" / "recorder", *(said + loss(100)))
    found = json.loads(xha("--format=json", str(place / "lib"))[1])["incident"]
    assert found["wall_ms"] - HEADER.wall_ms == 100000, "when it was missed"


def test_an_address_is_known_from_any_recorder_though_a_log_knows_none(place, xha):
    lay(place / "lib" / "recorder", fenced(9000))
    (place / "xha.log").write_text(
        "2023-11-13T22:13:20.005Z notice  x [daemon-started] host=1 hosts=3 pid=7\n"
        "2023-11-13T22:13:21.005Z err     x [self-fencing] code=x reason=y\n")
    assert len(json.loads(xha("--list", "--format=json")[1])["incidents"]) == 2
    assert xha()[1].startswith("Host 1 (10.0.0.2) fenced itself")


NO_DISK = "State-File: Input/output error"
STARTS = [
    # lives, cause that is told, why
    ([(0, "a", ""), (60, "b", NO_DISK), (70, "b", "")], "silent-on-both", "it came in after that"),
    ([(0, "a", ""), (60, "b", NO_DISK), (70, "b", NO_DISK)], "storage-at-start", "it is out"),
    ([(60, "b", NO_DISK), (70, "b", "")], "storage-at-start", "there is nothing else"),
]


@pytest.mark.parametrize("lives, cause, why", STARTS, ids=[row[-1] for row in STARTS])
def test_a_failed_start_after_which_one_succeeded_is_passed_over(place, xha, lives, cause, why):
    lay_lives(place, *lives)
    assert json.loads(xha("--format=json", str(place / "lib"))[1])["incident"]["cause"] == cause
    assert "[storage-at-start]" in xha("--list", str(place / "lib"))[1]


RULES = [(FIRED, "none was asked: an armed host that proves nothing is reset by its timers"),
         (BANNER, "none was asked, and HA did not reset this host"),
         ("(XEN) Hardware Dom0 crashed", "none was asked, and HA did not reset this host")]


@pytest.mark.parametrize("line, rule", RULES, ids=[row[0] for row in RULES])
def test_what_xen_says_decides_whether_ha_reset_a_silent_host(place, xha, line, rule):
    lay_lives(place, (0, "a", ""))
    found = json.loads(xha("--format=json", str(place / "lib"), console(
        place, (-9, BANNER), (20, line)))[1])["incident"]
    assert found["rule"] == rule


def test_a_host_whose_power_was_away_for_hours_says_so_when_it_has_it_again(place, xha):
    lay_lives(place, (0, "a", ""), (9000, "b", ""))
    found = json.loads(xha("--format=json", str(place / "lib"), console(
        place, (-9, BANNER), (8990, BANNER)))[1])["incident"]
    assert (found["cause"], found["xen"]) == ("power", "boot")


LEFT = "the last daemon (pid 7) died while this host was armed, and its timers run on"
REBOOTS = [
    # lives, machine_rebooted, why
    ([(0, "a", ""), (5, "a", LEFT), (60, "b", "")], True, "it was reset after the refused start"),
    ([(0, "a", ""), (5, "a", LEFT)], None, "the reset was still to come"),
    ([(0, "a", ""), (60, "b", "")], True, "reset"),
]


@pytest.mark.parametrize("lives, rebooted, why", REBOOTS, ids=[row[-1] for row in REBOOTS])
def test_a_start_that_was_refused_before_the_reset_does_not_hide_the_reset(place, xha, lives,
                                                                           rebooted, why):
    lay_lives(place, *lives)
    found = json.loads(xha("--format=json", str(place / "lib"))[1])["incident"]
    assert found["cause"] == ("killed" if len(lives) > 2 or rebooted is None else "silent-on-both")
    assert found["machine_rebooted"] is rebooted


# Large files, and whose a console is

def image_of(place, size):
    """The State-File of a pool, on a disk of this size."""
    path = place / "lun"
    with gzip.open(os.path.join(ROOT, "tests", "fixtures", "sf_online3.img.gz")) as stream:
        path.write_bytes(stream.read())
    os.truncate(str(path), size)
    return str(path)


def test_an_image_of_a_whole_disk_is_a_state_file_however_large(place, xha):
    lay(place / "lib" / "recorder", fenced(9000))
    code, out, err = xha(str(place / "lib"), image_of(place, 1 << 33))
    assert (code, err) == (0, "") and out.startswith("Host 1 (10.0.0.2) fenced itself")


def test_of_a_large_log_the_end_is_read(place, xha):
    line = ("2023-11-14T22:13:20.005Z notice  x [daemon-started] host=1 hosts=3 pid=7\n"
            "2023-11-14T22:13:21.005Z err     x [self-fencing] code=x reason=y\n")
    path = place / "xha.log"
    path.write_bytes(b"")
    os.truncate(str(path), 40 << 20)
    with open(str(path), "ab") as stream:
        stream.write(("\n" + line).encode("ascii"))
    for words in ([], [str(path)]):
        found = json.loads(xha("--format=json", *words)[1])["incident"]
        assert (found["host"], found["cause"]) == (1, "fenced"), words
        assert any("the last" in limit for limit in found["limits"]), words


def test_a_console_beside_the_recorder_of_one_host_is_that_host_s(place, xha):
    for host, at_s in ((0, 0), (1, 3)):
        folder = place / str(host)
        folder.mkdir()
        life = dict(host=host, uuid=str(host), machine=str(host),
                    wall_ms=HEADER.wall_ms + 1000 * at_s)
        lay(folder / "recorder.1", ARMED, **dict(life, boot_id="a", pid=host))
        lay(folder / "recorder", event(60000), **dict(
            life, boot_id="b", pid=host, wall_ms=HEADER.wall_ms + 60000))
    console(place, (-9, BANNER), (20, FIRED), (21, BANNER))
    (place / "console").rename(place / "0" / "console.txt")
    listed = json.loads(xha("--list", "--format=json", str(place / "0"), str(place / "1"))[1])
    assert sorted((one["host"], one["cause"]) for one in listed["incidents"]) == [
        (0, "watchdog-fired"), (1, "silent-on-both")]
    (place / "0" / "console.txt").rename(place / "console")
    found = json.loads(xha("--format=json", "--host=1", str(place / "0"), str(place / "1"),
                           str(place / "console"))[1])["incident"]
    assert any("host=N:" in limit for limit in found["limits"]), "nobody said whose it is"


# The table

def test_a_cause_has_a_name_of_its_own_and_every_kind_has_a_last_row():
    names = [row.name for row in whycauses.CAUSES]
    assert len(names) == len(set(names))
    for kind in {kind for row in whycauses.CAUSES for kind in row.kinds}:
        last = [row for row in whycauses.CAUSES if kind in row.kinds][-1]
        assert last.name in ("fenced", "left-armed", "bug", "silent-on-both", "missing", "refused",
                             "ended", "stopped", "gone", "quiet"), kind


NAMES = [
    # hosts, words
    ((), "no host"), ((2,), "host 2"), ((0, 1), "hosts 0 and 1"), ((0, 2, 5), "hosts 0, 2 and 5"),
    ((0, 1, 2, 3, 7), "hosts 0-3 and 7"), (tuple(range(MAX_HOSTS)), "hosts 0-63"),
]


@pytest.mark.parametrize("hosts, words", NAMES, ids=[row[-1] for row in NAMES])
def test_hosts_in_a_sentence(hosts, words):
    assert named(hosts) == words


# Xen

XEN = [
    # lines, ends, why
    ([BANNER], [], "the boot of now: `xl dmesg`"),
    (["(XEN) Watchdog timer fired for domain 0",
      "(XEN) Hardware Dom0 shutdown: watchdog rebooting machine", BANNER], ["watchdog"], "4.17"),
    (["(XEN) Watchdog timer 1 fired for d0",
      "(XEN) Hardware Dom0 shutdown: watchdog rebooting machine"], ["watchdog"], "newer"),
    (["(XEN) Hardware Dom0 shutdown: rebooting machine", BANNER, BANNER], ["reboot", "boot"],
     "a reboot, then a loss of power"),
    (["(XEN) Hardware Dom0 crashed: rebooting machine in 5 seconds."], ["crash"], "a crash"),
    (["(XEN) Panic on CPU 3:", "(XEN) Xen version 4.19"], ["panic"], "Xen itself"),
    ([BANNER, "(XEN) Hardware Dom0 halted: halting machine"], ["halt"], "a shutdown"),
    (["Watchdog timer fired for domain 0"], [], "not Xen's words"),
    (["(XEN) Watchdog timer fired for domain 10", "(XEN) Watchdog timer 1 fired for d7"], [],
     "another domain's"),
]


@pytest.mark.parametrize("lines, ends, why", XEN, ids=[row[-1] for row in XEN])
def test_what_xen_says_of_an_end(lines, ends, why):
    assert [end.how for end in whyxen.ends("\n".join(lines))] == ends


def test_a_line_with_a_date_has_a_time_and_one_without_has_none():
    text = "(XEN) Watchdog timer fired for domain 0"
    assert whyxen.ends("[2023-11-14 22:13:20] " + text)[0].at_ms == 1700000000000
    assert whyxen.ends("2023-11-14T22:13:20Z " + text)[0].at_ms == 1700000000000
    assert whyxen.ends("9999-99-99 00:00:00 " + text)[0].at_ms == -1
    assert whyxen.ends("15:55:07.704 " + text)[0].at_ms == -1


# The log

def test_a_line_of_the_log_is_the_message_that_it_was():
    line = ('2023-11-14T22:13:20.005Z err     Fencing this host: say "x" [no]. [c-d] [self-fencing]'
            ' code=c-d reason="say \\"x\\" [no]"')
    life, = whylog.lives(line + "\n", host=2)
    entry, = life.entries
    assert (life.header.host, entry.name, entry.level) == (2, "self-fencing", "err")
    assert (entry.wall_ms, dict(entry.fields)) == (
        1700000000005, {"code": "c-d", "reason": 'say "x" [no]'})


def test_of_a_log_whose_host_nobody_names_nothing_is_taken():
    line = "2023-11-14T22:13:20.005Z notice  This host is online. [host-online]\n"
    assert whylog.is_log(line) and whylog.lives(line) == ()
    assert not whylog.is_log("2023-11-14 something else\n")


# Any bytes

def real_files():
    yield file_of([event(1), event(2, "fencing-armed"), fenced(9000), measure(9001, turn_ms_max=3)])
    yield (BANNER + "\n(XEN) Watchdog timer fired for domain 0\n").encode("ascii")
    yield (b"2023-11-14T22:13:20.005Z notice  x [daemon-started] host=1 hosts=3 pid=7\n"
           b"2023-11-14T22:13:21.005Z err     x [self-fencing] code=x reason=y\n")
    for image in glob.glob(os.path.join(ROOT, "tests", "fixtures", "*.img.gz")):
        with gzip.open(image) as stream:
            yield stream.read()
    yield bytes(65 * 4096)


def spoilt(data, dice):
    data = bytearray(data[:dice.choice([len(data)] * 3 + [dice.randrange(len(data) + 1)])])
    for _ in range(dice.choice([0, 1, 3, 10, 100])):
        if data:
            data[dice.randrange(len(data))] = dice.randrange(256)
    return bytes(data)


@pytest.mark.parametrize("seed", range(60))
def test_any_bytes_give_an_answer_or_one_line(place, xha, seed):
    dice = random.Random(seed)
    files = []
    for number in range(dice.randrange(1, 3)):
        files.append(place / "f{}".format(number))
        files[-1].write_bytes(spoilt(dice.choice(list(real_files())), dice))
    answered(xha, [dice.choice(["", "host=1:", "host=63:"]) + str(file) for file in files])


def answered(xha, files):
    for words in ([], ["--format=json"], ["--list"]):
        code, out, err = xha(*(words + files))
        assert code in (0, 1, 2), (code, err)
        assert (not out and err.count("\n") == 1) if code else not err
        assert all(" " <= letter <= "~" for letter in out if letter != "\n")
        if not words:
            assert all(len(line) <= 80 for line in out.splitlines())


VALUES = [0, 1, -1, 1 << 63, True, "", "111", "0", "x" * 300, "caf\u00e9 \x1b[2J", (1, 2), ("a",),
          "host 1 has put", "heard 1, State-File 1, liveset 1", "{me}", "{0}", "%s"]
FIELDS = ["host", "liveset", "code", "reason", "text", "heartbeat", "statefile", "dropped", "ms",
          "watchdog", "cause", "outcome", "count", "fencing", "heartbeat_domain",
          "statefile_domain", "turn_ms_max"]


@pytest.mark.parametrize("seed", range(100))
def test_whole_records_that_mean_anything_give_an_answer(place, xha, seed):
    """Nobody's daemon writes such fields; a damaged one, or another version's, might."""
    dice = random.Random(seed)
    messages = sorted(name for name in SAID)
    files = []
    for number in range(dice.randrange(1, 5)):
        entries = []
        for at_ms in sorted(dice.randrange(200000) for _ in range(dice.randrange(1, 9))):
            fields = {name: dice.choice(VALUES) for name in FIELDS if dice.random() < 0.6}
            entries.append(Entry(
                kind=dice.choice(["event", "event", "event", "state", "measure", "lost", "odd"]),
                wall_ms=HEADER.wall_ms + at_ms, mono_ms=HEADER.mono_ms + at_ms, incarnation=1,
                name=dice.choice(messages), level=dice.choice(["err", "notice", "odd"]),
                fields=tuple(sorted(fields.items()))))
        files.append(lay(
            place / "f{}".format(number), *entries, host=dice.choice([-1, 0, 1, 2, 63]),
            uuid=dice.choice(["", "u"]), boot_id=dice.choice(["", "b", "c"]), pid=number,
            wall_ms=dice.choice([HEADER.wall_ms, 0, -5, 1 << 60])))
    answered(xha, files)


SAID = ["self-fencing", "terminated", "start-aborted", "thread-died", "watchdogs-left",
        "host-dropped", "last-words-heard", "hb-domain-changed", "sf-domain-changed",
        "fh-views-agree", "surviving-by-rule-1", "fence-requested", "host-online", "sr2-begun",
        "statefile-lost", "watchdog-expiring", "gap-noticed", "watchdog-fired", "no-such-message",
        "stop-requested", "disarmed-host-dropped", "watchdog-refresh-failed"]


def test_a_recorder_with_its_largest_pool_is_told_in_80_columns(place, xha):
    addresses = tuple("2001:db8:1111:2222:3333:4444:5555:{:x}".format(host)
                      for host in range(MAX_HOSTS))
    lay(place / "lib" / "recorder", event(
        9000, **dict(FENCE, reason="no survival rule applies: heard {0}, State-File {0}, liveset "
                     "{0}".format("1" * MAX_HOSTS))), addresses=addresses,
        event_slots=recorderformat.EVENT_SLOTS)
    code, out, err = xha()
    assert (code, err) == (0, "")
    assert all(len(line) <= 80 for line in out.splitlines())
