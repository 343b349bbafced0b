"""`timeline`: what it reads, what it refuses, and what it shows."""
import json
import os

import pytest
from recorder_samples import HEADER, event, file_of, measure

from xha import cli, recorderformat, timeline
from xha.errors import XhaError


@pytest.fixture(autouse=True)
def place(tmp_path, monkeypatch):
    """The state directory of a host."""
    monkeypatch.setenv("XHA_RUN_DIR", str(tmp_path / "run"))
    monkeypatch.setenv("XHA_STATE_DIR", str(tmp_path / "lib"))
    monkeypatch.setenv("XHA_LOG_FILE", str(tmp_path / "xha.log"))
    (tmp_path / "lib").mkdir()
    return tmp_path / "lib"


@pytest.fixture
def xha(capfd):
    """Run `timeline`; (code, standard output, standard error)."""
    def call(*words):
        code = cli.main("xha.pyz", ["timeline"] + list(words))
        out, err = capfd.readouterr()
        return code, out, err
    return call


def lay(path, *entries, **about):
    """A recorder there."""
    path.write_bytes(file_of(entries, HEADER._replace(**about)))
    return str(path)


EARLIER = dict(pid=1, boot_id="a" * 36, wall_ms=HEADER.wall_ms - 86400000)


def earlier(at_ms, *arguments, **fields):
    made = event(at_ms, *arguments, **fields)
    return made._replace(wall_ms=made.wall_ms - 86400000)


def test_without_files_it_shows_this_host_s_the_earlier_first(place, xha):
    lay(place / "recorder", event(1500, "liveset-changed", liveset="110"))
    lay(place / "recorder.1", earlier(2000, "thread-died", "err", thread="main", reason="x"),
        **EARLIER)
    (place / "recorder.1.txt").write_text("nothing of ours")
    code, out, err = xha()
    assert (code, err) == (0, "")
    assert out == (
        "# {0}/recorder: host 1, dom0-b (10.0.0.2), process 1234, from 2023-11-14T22:13:20.000Z\n"
        "# {0}/recorder.1: host 1, dom0-b (10.0.0.2), process 1, from 2023-11-13T22:13:20.000Z\n"
        "2023-11-13T22:13:20.000Z  1  -        xha 1.0.0 began, process 1, boot aaaaaaaa\n"
        "2023-11-13T22:13:22.000Z  1  err      Thread main of the daemon died: x. [thread-died]\n"
        "2023-11-14T22:13:20.000Z  1  -        xha 1.0.0 began, process 1234, THE MACHINE WAS "
        "BOOTED ANEW (boot 2b1b9c62); nothing was recorded for 86398.0 s before\n"
        "2023-11-14T22:13:21.500Z  1  notice   Liveset updated (110). [liveset-changed]\n"
    ).format(place)


def test_files_of_several_hosts_that_were_copied_make_one_history(tmp_path, xha):
    a = lay(tmp_path / "a.recorder", event(10), host=0, uuid="a", boot_id="a" * 36)
    (tmp_path / "b").mkdir()
    lay(tmp_path / "b" / "recorder", event(5), host=1, uuid="b")
    code, out, err = xha(a, str(tmp_path / "b"))
    assert (code, err) == (0, "")
    assert [line.split()[1] for line in out.splitlines()[2:]] == ["0", "1", "1", "0"]


def test_json_has_the_same_in_the_documented_form(place, xha):
    lay(place / "recorder", event(5, "liveset-changed", liveset="110"),
        measure(6, heartbeats=(1, 2), span_ms=1000))
    code, out, err = xha("--format=json", "--measurements")
    assert (code, err) == (0, "")
    found = json.loads(out)
    assert sorted(found) == ["lines", "recorders"]
    recorder, = found["recorders"]
    assert recorder == dict(
        HEADER._asdict(), addresses=list(HEADER.addresses), path=str(place / "recorder"),
        host="1", host_index=1, damaged=0, at="2023-11-14T22:13:20.000Z")
    assert [line["kind"] for line in found["lines"]] == ["begin", "event", "measure"]
    assert found["lines"][1] == {
        "at": "2023-11-14T22:13:20.005Z", "wall_ms": HEADER.wall_ms + 5,
        "mono_ms": HEADER.mono_ms + 5, "host": "1", "boot_id": HEADER.boot_id, "incarnation": 7,
        "kind": "event", "name": "liveset-changed", "level": "notice",
        "text": "Liveset updated (110).", "fields": {"liveset": "110"}}
    assert found["lines"][2]["fields"] == {"heartbeats": [1, 2], "span_ms": 1000}


def test_the_schema_in_the_documentation_names_every_field(place, xha):
    lay(place / "recorder", event(5))
    found = json.loads(xha("--format=json")[1])
    root = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
    with open(os.path.join(root, "docs", "timeline.md")) as page:
        text = page.read()
    for name in list(found) + list(found["recorders"][0]) + list(found["lines"][0]):
        assert "`{}`".format(name) in text, name


def test_last_and_since_cut_the_beginning_off(place, xha):
    lay(place / "recorder", *[event(number * 60000) for number in range(10)])
    assert len(xha()[1].splitlines()) == 1 + 11
    assert len(xha("--last=3")[1].splitlines()) == 1 + 3
    assert len(xha("--last=300")[1].splitlines()) == 1 + 11
    late = xha("--since=2023-11-14T22:20")[1].splitlines()[1:]
    assert [line[11:16] for line in late] == ["22:20", "22:21", "22:22"]
    assert len(xha("--since=2023-11-14T22:20", "--last=1")[1].splitlines()) == 1 + 1
    assert len(xha("--since=2023-11-14T22:20", "--until=2023-11-14T22:22")[1].splitlines()) == 1 + 2
    assert len(xha("--until=2023-11-14T22:14")[1].splitlines()) == 1 + 2
    assert len(xha("--since=1h")[1].splitlines()) == 1, "that was years ago"


def test_a_page_is_written_as_a_whole_for_its_owner_alone_and_nothing_else_is_shown(
        place, tmp_path, xha):
    lay(place / "recorder", event(0), event(1000, "liveset-changed", liveset="110"),
        measure(6, heartbeats=(1, 2), span_ms=1000))
    page = tmp_path / "page.html"
    page.write_text("before")
    code, out, err = xha("--html={}".format(page))
    assert (code, err) == (0, "")
    text = page.read_text()
    assert out == "{}: 4 lines, {} kB\n".format(page, -(-len(text) // 1000))
    assert text.startswith("<!DOCTYPE html>") and text.endswith("</html>\n")
    assert "Liveset updated (110)." in text
    assert os.stat(str(page)).st_mode & 0o777 == 0o600
    assert sorted(os.listdir(str(tmp_path))) == ["lib", "page.html"]


def test_a_page_shows_what_the_other_options_leave(place, tmp_path, xha):
    lay(place / "recorder", *[event(number * 60000) for number in range(10)])
    page = str(tmp_path / "page.html")

    def rows(*words):
        assert xha("--html=" + page, *words)[0] == 0
        with open(page) as stream:
            return stream.read().count('<tr class="k-')
    assert rows() == 11
    assert rows("--last=3") == 3
    assert rows("--since=2023-11-14T22:20") == 3
    assert rows("--until=2023-11-14T22:20") == 8
    assert rows("--since=1m") == 0


def test_a_page_that_cannot_be_written_is_2_and_leaves_what_was_there(place, tmp_path, xha):
    lay(place / "recorder", event(0))
    code, out, err = xha("--html={}/none/page.html".format(tmp_path))
    assert (code, out) == (2, "")
    assert "page.html cannot be written: No such file or directory" in err
    code, out, err = xha("--html={}".format(place))
    assert (code, out) == (1, "") and "is no regular file: nothing is written there" in err


SINCE = [
    # word, ms since the epoch, why
    ("90s",                  1700000000000 - 90000,    "seconds"),
    ("30m",                  1700000000000 - 1800000,  "minutes"),
    ("2h",                   1700000000000 - 7200000,  "hours"),
    ("3d",                   1700000000000 - 259200000, "days"),
    ("2023-11-14",           1699920000000,            "a day"),
    ("2023-11-14T22:13",     1699999980000,            "a minute"),
    ("2023-11-14T22:13:20",  1700000000000,            "a second"),
    ("2023-11-14T22:13:20Z", 1700000000000,            "a second as it is shown"),
]


@pytest.mark.parametrize("word, wall_ms, why", SINCE, ids=[row[-1] for row in SINCE])
def test_since_is_an_age_or_a_time(word, wall_ms, why):
    assert timeline.wall_ms_of(word, 1700000000000) == wall_ms


@pytest.mark.parametrize("word", ["", "now", "3", "-3h", "3w", "2023-13-01", "22:13",
                                  "9" * 99 + "h"])
def test_since_that_is_neither_is_refused(word):
    with pytest.raises(XhaError) as refused:
        timeline.wall_ms_of(word, 0)
    assert refused.value.code == 1


WRONG = [
    # words, why
    (["--format=xml"], "--format=xml: expected text or json"),
    (["--last=0"], "--last=0: expected a number from 1 on"),
    (["--last=x"], "--last=x: expected a number from 1 on"),
    (["--since=x"], "--since=x: expected an age"),
    (["--until=x"], "--until=x: expected an age"),
    (["--lost"], "usage: xha.pyz timeline"),
]


@pytest.mark.parametrize("words, said", WRONG, ids=[row[-1] for row in WRONG])
def test_wrong_usage_is_1_in_one_line(xha, words, said):
    code, out, err = xha(*words)
    assert (code, out) == (1, "")
    assert said in err and err.count("\n") == 1


def nothing(place):
    return [], 2, "no flight recorder in {}: no daemon has run there yet".format(place)


def no_directory(place):
    place.rmdir()
    return [], 2, "{}: cannot be read: No such file or directory".format(place)


def no_file(place):
    return [str(place / "x")], 2, "{}/x: cannot be read: No such file or directory".format(place)


def no_recorder(place):
    (place / "x").write_bytes(b"x" * 100000)
    return [str(place / "x")], 1, "{}/x is no flight recorder: no header".format(place)


def empty(place):
    (place / "recorder").write_bytes(b"")
    return [], 1, "{}/recorder is no flight recorder".format(place)


def pipe(place):
    os.mkfifo(str(place / "x"))
    return [str(place / "x")], 1, "is no flight recorder"


def endless(place):
    return ["/dev/zero"], 1, "/dev/zero is no flight recorder: it is no file, or larger than"


@pytest.mark.parametrize("spoil", [nothing, no_directory, no_file, no_recorder, empty, pipe,
                                   endless])
def test_where_there_is_nothing_to_read_it_says_why_in_one_line(place, xha, spoil):
    words, expected, said = spoil(place)
    code, out, err = xha(*words)
    assert (code, out) == (expected, ""), err
    assert said in err and err.count("\n") == 1


def test_a_file_that_may_not_be_read_is_16(place, xha, request):
    path = lay(place / "recorder", event(1))
    os.chmod(path, 0)
    request.getfixturevalue("nobody")
    code, out, err = xha(path)
    assert (code, out) == (16, "")
    assert err == "xha.pyz timeline: {}: cannot be read: Permission denied\n".format(path)


def test_one_spoilt_file_in_the_directory_leaves_the_others(place, xha):
    lay(place / "recorder", event(1))
    (place / "recorder.1").write_bytes(b"z" * 9999)
    code, out, err = xha()
    assert code == 0
    assert "[host-online]" in out
    assert err.startswith("{}/recorder.1 is no flight recorder: no header".format(place))


def test_a_disk_that_hangs_holds_a_child_and_not_the_command(place, xha, monkeypatch):
    readable, writable = os.pipe()
    monkeypatch.setattr(timeline, "_bytes_of", lambda path: os.read(readable, 1))
    monkeypatch.setattr(timeline, "BOUND_S", 0.05)
    lay(place / "recorder", event(1))
    try:
        code, out, err = xha()
    finally:
        os.close(readable)
        os.close(writable)
    assert (code, out) == (2, "")
    assert err == ("xha.pyz timeline: {}: it did not answer within 0.05 s: its disk hangs\n"
                   .format(place))


def test_damage_is_said_and_the_rest_is_shown(place, xha):
    data = bytearray(file_of([event(1), event(2)]))
    data[(2 * recorderformat.HEADER_SLOTS + 1) * recorderformat.SLOT_BYTES + 40] ^= 1
    (place / "recorder").write_bytes(bytes(data))
    code, out, err = xha()
    assert (code, err) == (0, "")
    assert "; 1 damaged slots or records are left out\n" in out
    assert out.count("[host-online]") == 1


def test_the_run_directory_of_another_daemon_is_where_its_recorder_is(tmp_path, xha, monkeypatch):
    monkeypatch.delenv("XHA_STATE_DIR")
    (tmp_path / "other").mkdir()
    lay(tmp_path / "other" / "recorder", event(1))
    assert xha("--run-dir={}/other".format(tmp_path))[0] == 0
