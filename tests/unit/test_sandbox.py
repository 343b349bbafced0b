"""The sandbox's command line, its directory, its configuration, and its terminal."""
import os

import pytest

from xha import config, sandbox, sandboxpool, screen, usage
from xha.errors import ExitCode, XhaError
from xha.sandboxpool import Settings


def settings(*words):
    return sandbox.read_settings(usage.parse("sandbox", list(words)))


def test_the_defaults_are_three_hosts_and_quick_times():
    assert settings() == Settings(hosts=3, watchdog="USER", timeout_s=5, directory="", keep=False,
                                  tour=False, colour=True)


def test_every_option_is_read():
    assert settings("--hosts=16", "--watchdog=none", "--timeout=30", "--dir=x", "--keep", "--tour",
                    "--no-color") == Settings(
        hosts=16, watchdog="NONE", timeout_s=30, directory=os.path.abspath("x"), keep=True,
        tour=True, colour=False)


REFUSED = [
    (["--hosts=0"], "from 1 to 16"), (["--hosts=17"], "from 1 to 16"), (["--hosts=-1"], "from 1"),
    (["--hosts="], "from 1"), (["--hosts=3.5"], "from 1"), (["--hosts=\u0663"], "from 1"),
    (["--hosts=" + "1" * 5000], "from 1"), (["--watchdog=HYPERVISOR"], "USER or NONE"),
    (["--timeout=2"], "from 3 to 300"), (["--timeout=301"], "from 3 to 300"),
    (["--tour", "--hosts=2"], "--hosts=3 or more"), (["--frob"], "usage"), (["kill"], "usage"),
]


@pytest.mark.parametrize("words, text", REFUSED, ids=[" ".join(row[0])[:20] for row in REFUSED])
def test_a_wrong_command_line_is_refused(words, text):
    with pytest.raises(XhaError) as refusal:
        settings(*words)
    assert refusal.value.code is ExitCode.INVALID_PARAMETER
    assert text in str(refusal.value)


def test_the_parameters_follow_from_one_number():
    quick = dict(sandboxpool.parameters(5))
    assert (quick["HeartbeatInterval"], quick["HeartbeatWatchdogTimeout"],
            quick["StateFileWatchdogTimeout"]) == (1, 5, 8)
    slow = dict(sandboxpool.parameters(30))
    assert (slow["HeartbeatInterval"], slow["StateFileWatchdogTimeout"]) == (4, 45)


@pytest.fixture
def laid_down(tmp_path):
    """Lays down a pool for a T; starts nothing."""
    def make(timeout_s, hosts=2):
        directory = tmp_path / "{}-{}".format(timeout_s, hosts)
        directory.mkdir()
        return sandboxpool.Pool(settings("--timeout={}".format(timeout_s),
                                         "--hosts={}".format(hosts)), str(directory))
    return make


@pytest.mark.parametrize("timeout_s", [sandbox.TIMEOUT_MIN_S, 5, 30, sandbox.TIMEOUT_MAX_S])
def test_every_permitted_time_out_makes_a_configuration_that_is_accepted(laid_down, timeout_s):
    pool = laid_down(timeout_s)
    for index, host in enumerate(pool.hosts):
        read = config.load(host.config)
        assert read.local.index == index
        assert read.common.heartbeat_timeout_ms == 1000 * timeout_s
        assert read.warnings == ()


def test_a_pool_lies_in_its_directory_alone_and_can_be_started_as_it_is(laid_down):
    pool = laid_down(5, hosts=16)
    assert sorted(os.listdir(pool.directory)) == sorted(
        ["statefile"] + ["h{}".format(index) for index in range(16)])
    assert os.path.getsize(pool.statefile) == 65 * 4096
    assert len({host.address for host in pool.hosts}) == 16
    assert all(host.address.startswith("127.") for host in pool.hosts)


def test_what_is_cut_is_dropped_on_both_ends(laid_down):
    pool = laid_down(5, hosts=3)
    pool.cut([{2}])
    assert [host.points for host in pool.hosts] == [
        ("heartbeat.send.drop=2", "heartbeat.receive.drop=2"),
        ("heartbeat.send.drop=2", "heartbeat.receive.drop=2"),
        ("heartbeat.send.drop=0,1", "heartbeat.receive.drop=0,1")]
    pool.heal()
    pool.cut_one_way([0], [1, 0])
    pool.set_disk("slow", [1])
    assert [host.points for host in pool.hosts] == [
        ("heartbeat.send.drop=1",), ("heartbeat.receive.drop=0", "statefile.slow=1500"), ()]
    pool.set_disk("fail", [2])
    assert pool.hosts[2].points == ("statefile.read.fail", "statefile.write.fail")


def test_a_directory_that_holds_something_is_refused(tmp_path):
    (tmp_path / "precious").write_text("")
    with pytest.raises(XhaError) as refusal:
        sandboxpool.make_directory(str(tmp_path))
    assert refusal.value.code is ExitCode.INVALID_PARAMETER
    assert (tmp_path / "precious").exists()


@pytest.mark.parametrize("name", ["x" * 100, "caf\u00e9", "a<b", "a\nb"])
def test_a_directory_whose_name_a_daemon_could_not_use_is_refused(tmp_path, name):
    with pytest.raises(XhaError):
        sandboxpool.make_directory(str(tmp_path / name))
    assert os.listdir(str(tmp_path)) == []


LOCALES = [
    ({}, False, "none at all"),
    ({"LANG": "en_US.UTF-8"}, True, "the usual one"),
    ({"LANG": "en_US.utf8", "LC_ALL": "C"}, False, "LC_ALL counts before LANG"),
    ({"LANG": "C", "LC_CTYPE": "C.UTF-8"}, True, "LC_CTYPE counts before LANG"),
    ({"LANG": "de_DE@euro"}, False, "an old one"),
    ({"LC_ALL": "", "LANG": "C.UTF-8"}, True, "an empty one does not count"),
]


@pytest.mark.parametrize("environment, utf8, why", LOCALES, ids=[row[-1] for row in LOCALES])
def test_utf8_is_spoken_where_the_locale_says_so(environment, utf8, why):
    assert screen.speaks_utf8(environment) is utf8


def test_without_colour_a_line_has_no_escapes():
    line = [("red bold", "fenced"), ("", " "), ("dim", "")]
    assert screen.styled(line, False) == "fenced "
    assert screen.styled(line, True) == "\x1b[31;1mfenced\x1b[0m "
