"""The commands: names, usage, exit codes, messages, and what the hot ones cost."""
import inspect
import os
import subprocess
import sys

import pytest

from xha import cli, commands, ctlformat, usage
from xha.errors import ExitCode, XhaError
from xha.paths import Paths

SRC = os.path.dirname(os.path.abspath(cli.__file__))
CONFIG = os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "fixtures",
                      "xhad_host0.conf")


@pytest.fixture(autouse=True)
def place(tmp_path, monkeypatch):
    """No command of a test looks for the daemon of this machine, or writes into its log."""
    monkeypatch.setenv("XHA_RUN_DIR", str(tmp_path / "run"))
    monkeypatch.setenv("XHA_LOG_FILE", str(tmp_path / "xha.log"))
    return tmp_path


@pytest.fixture
def xha(capfd):
    """Run a command; (code, standard output, standard error)."""
    def call(*words, called_as="/usr/bin/xha.pyz"):
        code = cli.main(called_as, list(words))
        out, err = capfd.readouterr()
        return code, out, err
    return call


# Exit codes

def test_the_numbers_that_xapi_knows():
    assert {code.name: code.value for code in ExitCode} == {
        "SUCCESS": 0, "INVALID_PARAMETER": 1, "SYSTEM_ERROR": 2, "TRANSIENT_ERROR": 3,
        "WATCHDOG_ERROR": 4, "IMPROPER_LICENSE": 5, "CANNOT_READ_CONFIG": 6, "INVALID_CONFIG": 7,
        "STATEFILE_INACCESSIBLE": 8, "INVALID_STATEFILE": 9, "GENERATION_MISMATCH": 10,
        "INVALID_POOL_STATE": 11, "JOIN_TIMEOUT": 12, "CANNOT_JOIN": 13, "DAEMON_NOT_PRESENT": 14,
        "DAEMON_PRESENT": 15, "INVALID_ENVIRONMENT": 16, "NOT_ONLINE": 17,
        "START_BLOCKED_BY_EXCLUSION": 18, "EXCLUDED_WHILE_RUNNING": 19, "INTERNAL_BUG": 127}


def test_the_numbers_of_the_door_are_the_exit_codes():
    for name in ("INVALID_PARAMETER", "SYSTEM_ERROR", "TRANSIENT_ERROR", "INVALID_ENVIRONMENT",
                 "INTERNAL_BUG"):
        assert getattr(cli, "_" + name) == getattr(ExitCode, name)


ENDS = [
    # what a command does                                 code   why
    (lambda name, words: 0,                                0,    "success"),
    (lambda name, words: ExitCode.CANNOT_JOIN,             13,   "a code of the table"),
    (lambda name, words: 127,                              127,  "the last of the table"),
    (lambda name, words: 20,                               127,  "no code of the table"),
    (lambda name, words: -9,                               127,  "a signal's number is none"),
    (lambda name, words: raises(XhaError(ExitCode.INVALID_CONFIG, "bad")), 7, "a refusal"),
    (lambda name, words: raises(ValueError("a\nb")),       127,  "an exception nobody caught"),
    (lambda name, words: raises(KeyboardInterrupt()),      3,    "Control-C"),
    (lambda name, words: raises(BrokenPipeError()),        2,    "nobody reads our output"),
    (lambda name, words: raises(SystemExit("docopt")),     1,    "a library that wants to exit"),
]


def raises(error):
    raise error


@pytest.mark.parametrize("does, code, why", ENDS, ids=[row[-1] for row in ENDS])
def test_however_a_command_ends_the_code_is_one_of_the_table(xha, monkeypatch, does, code, why):
    monkeypatch.setattr(commands, "run", does)
    found, out, err = xha("anything")
    assert (found, out) == (code, "")
    assert err.count("\n") <= 1
    assert "Traceback" not in err


def test_an_uncaught_exception_leaves_its_traceback_in_the_log(xha, monkeypatch, place):
    monkeypatch.setattr(commands, "run", lambda name, words: raises(ValueError("caf\u00e9")))
    code, _, err = xha("pool-dance")
    assert code == 127
    assert err == ("xha.pyz pool-dance: internal bug: ValueError: caf\\xe9 (traceback in "
                   "syslog)\n")
    with open(str(place / "xha.log")) as file:
        log = file.read()
    assert "Traceback" in log and "ValueError: caf\\xe9" in log
    assert all(" err pool-dance: " in line for line in log.splitlines())


IMPORTS = [
    # what is missing, code, said
    ("_posixsubprocess", 16, "this Python lacks a part: No module named '_posixsubprocess'"),
    ("xha.rest", 127, "internal bug: ModuleNotFoundError: No module named 'xha.rest' (traceback"
     " in syslog)"),
    ("", 127, "internal bug: ImportError: cannot (traceback in syslog)"),
]


@pytest.mark.parametrize("missing, code, said", IMPORTS, ids=[row[0] for row in IMPORTS])
def test_an_import_that_fails_is_the_machine_s_fault_or_a_bug_of_ours(
        xha, monkeypatch, missing, code, said):
    error = (ModuleNotFoundError("No module named {!r}".format(missing), name=missing)
             if missing else ImportError("cannot"))
    monkeypatch.setattr(commands, "run", lambda name, words: raises(error))
    found, out, err = xha("pool-dance")
    assert (found, out, err) == (code, "", "xha.pyz pool-dance: {}\n".format(said))


# Wrong usage

WRONG = [
    # words                                            said                            why
    (["nonsense"],                                     "no such command",              "unknown"),
    (["explain", "--format=xml"],                      "expected text or json",        "no form"),
    (["status", "--format=xml"],                       "expected text or json",        "no form"),
    (["status", "now"],                                "usage: xha.pyz status",        "a word"),
    (["metrics", "--format=text"],                     "usage: xha.pyz metrics",       "no form"),
    (["--bogus"],                                      "no such command",
     "an option is no command"),
    (["set-pool-state"],                               "usage: xha.pyz set-pool-state", "nothing"),
    (["set-pool-state", "77"],                         "usage:",                       "state 77"),
    (["set-pool-state", "none"],                       "usage:",                       "none"),
    (["set-pool-state", "init", "active"],             "usage:",                       "two"),
    (["write-statefile", "77"],                        "usage:",                       "verb 77"),
    (["query-liveset", "--format=yaml"],               "expected xml, json or text",   "yaml"),
    (["query-liveset", "--format"],                    "requires argument",            "no value"),
    (["query-liveset", "now"],                         "usage:",                       "a word"),
    (["pid", "--format=xml"],                          "usage:",                       "no format"),
    (["pid", "-x"],                                    "usage:",                       "-x"),
    (["fault"],                                        "usage: xha.pyz fault list",    "no verb"),
    (["fault", "set"],                                 "usage:",                       "no point"),
    (["fault", "set", "a", "b"],                       "usage:",                       "two"),
    (["fault", "set", "caf\u00e9"],                    "cannot be sent",               "not ASCII"),
    (["daemon", "--report-fd=x"],                      "expected the number",          "no number"),
    (["dump-statefile", "--format=xml", "/dev/null"],  "not one of",                   "no form"),
    (["calldaemon"],                                   "usage:",                       "no verb"),
    (["calldaemon", "dumpstate"],                      "no such verb",                 "none"),
    (["calldaemon", "dumpcom", "all"],                 "not with 1 arguments",         "a word"),
    (["calldaemon", "setlogmask"],                     "not with 0 arguments",         "no level"),
    (["calldaemon", "setlogmask", "0x7f"],             "'0x7f' is no level",           "bits"),
    (["calldaemon", "resetlogmask", "info", "err"],    "err is always logged",         "err"),
    (["calldaemon", "privatelog", "maybe"],            "does not take the arguments (maybe)",
     "neither on nor off"),
    (["disarm-fencing", "--for"],                      "requires argument",            "no length"),
    (["disarm-fencing", "30m"],                        "usage:",                       "no option"),
    (["disarm-fencing", "--for=30"],                   "'30' is no length of time",    "no unit"),
    (["ha_disarm_fencing", "--for=13h"],               "expected 1s to 12h",           "too long"),
    (["hold", "xapi"],                                 "usage: xha.pyz hold [options] |",
     "for how long?"),
    (["hold", "5m"],                                   "usage:",                       "what?"),
    (["hold", "net", "5m"],                            "usage:",                       "no such"),
    (["hold", "--end"],                                "usage:",                       "of what"),
    (["hold", "xapi", "5m", "--end"],                  "usage:",                       "both"),
    (["hold", "xapi", "5"],                            "'5' is no length of time",     "no unit"),
    (["hold", "xapi", "2h"],                           "2h is not permitted: expected 1s to 1h",
     "too long"),
    (["hold", "xapi", "end"],                          "'end' is no length",           "no option"),
    (["log-mask", "set"],                              "usage: xha.pyz log-mask",      "nothing"),
    (["log-mask", "get", "info"],                      "usage:",                       "to look"),
    (["log-mask", "set", "chatty"],                    "expected err, warning, notice",
     "no such level"),
    (["log-mask", "set", "notice,"],                   "'' is no level",               "nothing"),
    (["log-mask", "reset", "warning"],                 "warning is always logged",
     "what must be seen"),
    (["calldaemon", "pid", "1"],                       "not with 1 arguments",         "too many"),
    (["calldaemon", "set_pool_state", "77"],           "does not take the arguments (77)", "77"),
    (["calldaemon", "fist", "enable"],                 "does not take the arguments", "no such"),
    (["writestatefile", "setnone"],                    "usage:",                       "setnone"),
    (["xhad"],                                         "usage: xha.pyz xhad CONFIG",   "no path"),
    (["ha_set_pool_state", "77"],                      "usage: xha.pyz ha_set_pool_state",
     "by the name xapi calls"),
]


@pytest.mark.parametrize("words, said, why", WRONG,
                         ids=[" ".join(row[0]).encode("ascii", "replace").decode()
                              + ": " + row[-1] for row in WRONG])
def test_wrong_usage_is_1_with_one_line(xha, words, said, why):
    code, out, err = xha(*words)
    assert (code, out) == (1, "")
    assert err.startswith("xha.pyz {}: ".format(words[0]))
    assert said in err
    assert err.count("\n") == 1


def test_the_program_alone_shows_its_help_and_ends_with_1(xha):
    assert xha() == (1, usage.top(), "")
    assert xha("--help") == (0, usage.top(), "")


# Names

@pytest.mark.parametrize("name", sorted(set(usage.commands())))
def test_every_command_has_a_help_that_says_how_it_is_called(xha, name):
    if name == "ha_null":
        return
    code, out, err = xha(name, "--help")
    assert (code, err) == (0, "")
    assert "Usage: xha.pyz {}".format(name) in out
    assert all(len(line) <= 100 for line in out.splitlines())
    assert out.lower().count("usage:") == 1, "docopt looks for the one"


def test_the_help_lists_every_command_of_ours_once():
    listed = [name for _, rows in usage.GROUPS for name, _ in rows]
    plain = {"pid", "daemon", "fault", "simulate", "install", "uninstall", "status",
             "metrics", "timing", "doctor", "timeline", "schema", "hold",
             "why", "explain"}
    ours = {name for name in usage.commands() if "-" in name} | plain
    assert sorted(listed) == sorted(ours | {"sandbox"})
    assert all(len(line) <= 100 for line in usage.top().splitlines())


def test_every_name_of_the_original_is_a_command_and_a_link(xha):
    theirs = set(usage.commands()) - {name for _, rows in usage.GROUPS for name, _ in rows}
    assert theirs == set(cli.LINKS)
    for name in sorted(theirs - {"ha_null"}):
        as_link = xha("--help", called_as="/usr/libexec/xapi/cluster-stack/xhad/" + name)
        assert as_link == xha(name, "--help")
        assert as_link[0] == 0


def test_a_link_of_a_name_that_is_none_is_refused(xha):
    code, _, err = xha("vm", "1", called_as="/usr/bin/ha_set_host_colour")
    assert (code, err.split(":")[0]) == (1, "xha.pyz ha_set_host_colour")


def test_ha_null_does_nothing_whatever_it_is_given(xha):
    assert xha("ha_null", "--bogus", "x") == (0, "", "")
    assert xha("x", called_as="./ha_null") == (0, "", "")


# Questions to the daemon

class Asked:
    """Stands between the commands and the socket; the socket itself is test_control's."""

    def __init__(self, reply):
        self.reply = reply
        self.questions = []

    def __call__(self, paths, verb, *arguments, timeout_s=0.0):
        ctlformat.decode_request(ctlformat.encode_request(verb, arguments))
        self.questions.append((paths.run_dir, (verb,) + arguments))
        return self.reply


QUESTIONS = [
    # words                                     question                         why
    (["query-liveset"],                         ("query", "xml", "0"),           "xml unless told"),
    (["query-liveset", "--format=json"],        ("query", "json", "0"),          "written exactly"),
    (["query-liveset", "--format", "text"],     ("query", "text", "0"),          "the slow way"),
    (["query-liveset", "--form=json"],          ("query", "json", "0"),          "abbreviated"),
    (["query-liveset", "-C", "/nowhere"],       ("query", "xml", "0"),
     "a configuration is accepted everywhere"),
    (["ha_query_liveset"],                      ("query", "xml", "1"),           "xapi resets"),
    (["ha_query_liveset", "-C", "x"],           ("query", "xml", "1"),           "slowly, too"),
    (["ha_query_liveset", "--format=text"],     ("query", "text", "1"),          "any form"),
    (["calldaemon", "query_liveset"],           ("query", "xml", "0"),           "never resets"),
    (["propose-master"],                        ("propose-master",),             ""),
    (["ha_propose_master"],                     ("propose-master",),             "xapi's"),
    (["calldaemon", "propose_master"],          ("propose-master",),             "the original's"),
    (["cancel-master"],                         ("cancel-master",),              ""),
    (["calldaemon", "cancel_master"],           ("cancel-master",),              "the original's"),
    (["disarm-fencing"],                        ("disarm-fencing",),             ""),
    (["ha_disarm_fencing"],                     ("disarm-fencing",),             "xapi's"),
    (["disarm-fencing", "--for=30m"],           ("disarm-fencing", "30m"),       "for work"),
    (["disarm-fencing", "-C", "x"],             ("disarm-fencing",),             "slowly, too"),
    (["calldaemon", "disarm_fencing"],          ("disarm-fencing",),             "the original's"),
    (["set-pool-state", "active"],              ("set-pool-state", "active"),    ""),
    (["ha_set_pool_state", "invalid", "-C", "x"], ("set-pool-state", "invalid"), "xapi's"),
    (["calldaemon", "set_pool_state", "active"], ("set-pool-state", "active"),   "the original's"),
    (["set-excluded"],                          ("set-excluded", "1"),           ""),
    (["ha_set_excluded", "-C", "x"],            ("set-excluded", "1"),           "xapi's"),
    (["clear-excluded"],                        ("set-excluded", "0"),           ""),
    (["ha_clear_excluded"],                     ("set-excluded", "0"),           "xapi's"),
    (["host-state"],                            ("host-state",),                 ""),
    (["calldaemon", "gethoststate"],            ("host-state",),                 "the original's"),
    (["calldaemon", "dumpcom"],                 ("query", "json", "0"),          "all it knows"),
    (["pid"],                                   ("pid",),                        ""),
    (["calldaemon", "buildid"],                 ("build-id",),                   "the daemon's"),
    (["reload-host-weight"],                    ("reload-host-weight",),         ""),
    (["calldaemon", "reload_host_weight"],      ("reload-host-weight",),         "the original's"),
    (["set-host-weight", "vm", "5"],            ("reload-host-weight",),         "written first"),
    (["ha_set_host_weight", "vm", "0"],         ("reload-host-weight",),         "xapi's"),
    (["log-mask"],                              ("log-mask", "get"),             ""),
    (["log-mask", "get"],                       ("log-mask", "get"),             "the same"),
    (["log-mask", "set", "debug"],              ("log-mask", "set", "debug"),    ""),
    (["log-mask", "reset", "info", "debug"],    ("log-mask", "reset", "info,debug"), "two"),
    (["calldaemon", "getlogmask"],              ("log-mask", "get"),             "the original's"),
    (["calldaemon", "setlogmask", "all"],       ("log-mask", "set", "all"),      "the original's"),
    (["calldaemon", "resetlogmask", "notice", "info"], ("log-mask", "reset", "notice,info"),
     "the original's"),
    (["calldaemon", "privatelog"],              ("log-file", "get"),             "to look"),
    (["calldaemon", "privatelog", "off"],       ("log-file", "off"),             "the original's"),
    (["write-statefile", "rotate-key"],         ("rotate-key",),                 ""),
    (["hold"],                                  ("hold", "list"),                "to look"),
    (["hold", "xapi", "5m"],                    ("hold", "xapi", "5m"),          ""),
    (["hold", "xapi", "--end"],                 ("hold", "xapi", "end"),         "before its time"),
    (["fault", "list"],                         ("fault", "list"),               ""),
    (["fault", "set", "statefile.slow=9"],      ("fault", "set", "statefile.slow=9"), ""),
    (["fault", "clear", "all"],                 ("fault", "clear", "all"),       ""),
    (["calldaemon", "fist", "clear", "all"],    ("fault", "clear", "all"),       "the original's"),
]


@pytest.mark.parametrize("words, question, why", QUESTIONS,
                         ids=[" ".join(row[0]) + " " + row[-1] for row in QUESTIONS])
def test_a_command_asks_the_daemon_and_ends_as_it_says(xha, monkeypatch, place, words, question,
                                                       why):
    from xha import client
    asked = Asked(ctlformat.Reply(17, "FALSE", "not online"))
    monkeypatch.setattr(client, "call", asked)
    assert xha(*words) == (17, "FALSE\n", "not online\n")
    assert asked.questions == [(str(place / "run"), question)]


def test_every_verb_of_the_socket_is_asked_by_some_command():
    assert {row[1][0] for row in QUESTIONS} == set(ctlformat.VERBS)


def test_a_run_directory_on_the_command_line_wins(xha, monkeypatch):
    from xha import client
    for words in (["pid", "--run-dir=/there"], ["pid", "--run-dir", "/there"],
                  ["fault", "list", "--run-dir=/there"]):
        asked = Asked(ctlformat.Reply(0, "1\n"))
        monkeypatch.setattr(client, "call", asked)
        assert xha(*words) == (0, "1\n", "")
        assert asked.questions[0][0] == "/there"


@pytest.mark.parametrize("words", [["query-liveset"], ["ha_query_liveset"], ["pid"],
                                   ["propose-master"], ["disarm-fencing"], ["fault", "list"],
                                   ["calldaemon", "pid"], ["host-state"], ["cancel-master"],
                                   ["log-mask"], ["log-mask", "set", "debug"],
                                   ["hold"], ["hold", "xapi", "5m"],
                                   ["write-statefile", "rotate-key"],
                                   ["calldaemon", "privatelog", "off"]])
def test_without_a_daemon_it_is_14_in_one_line(xha, words):
    code, out, err = xha(*words)
    assert (code, out, err.count("\n")) == (14, "", 1)


# Who may

@pytest.mark.parametrize("words, code", [
    (["query-liveset"], 16), (["pid", "-C", "x"], 16), (["stop-daemon"], 16),
    (["set-pool-state", "init"], 16), (["cleanup-watchdog"], 16), (["daemon"], 16),
    (["xhad", "x"], 16), (["calldaemon", "pid"], 16), (["writestatefile", "setinit", "x"], 16),
    (["hold", "xapi", "5m"], 16), (["log-mask", "reset", "all"], 16), (["status"], 16),
    (["metrics"], 16),
    (["build-id"], 0), (["--version"], 0), (["--help"], 0), (["stop-daemon", "--help"], 0),
    (["dump-statefile", CONFIG], 0), (["ha_null"], 0)])
def test_the_host_s_own_daemon_is_root_s(xha, monkeypatch, words, code):
    monkeypatch.delenv("XHA_RUN_DIR")
    monkeypatch.setattr(cli, "geteuid", lambda: 1000)
    monkeypatch.setattr(cli, "environ", {})
    found, _, err = xha(*words)
    assert found == code
    assert ("only root" in err) == (code == 16)


# Through the daemon, else directly

def test_without_a_daemon_the_state_file_is_written_directly(xha, monkeypatch):
    from xha import sfadmin
    written = []

    def write(verb, config, paths):
        written.append((verb, config.local.statefile))
        return "done"
    assert list(inspect.signature(sfadmin.write_statefile).parameters) == [
        "verb", "config", "paths"]
    monkeypatch.setattr(sfadmin, "write_statefile", write)
    for words, verb in ((["set-pool-state", "init"], "init"),
                        (["ha_set_pool_state", "active"], "active"),
                        (["set-pool-state", "invalid"], "invalid"),
                        (["set-excluded"], "exclude"), (["clear-excluded"], "include"),
                        (["write-statefile", "exclude"], "exclude")):
        assert xha(*(words + ["-C", CONFIG])) == (0, "", "done\n")
        assert written.pop() == (verb, "/dev/statefile")
    for name, verb in (("setinit", "init"), ("setactive", "active"), ("setinvalid", "invalid"),
                       ("setex", "exclude"), ("clearex", "include")):
        assert xha("writestatefile", name, CONFIG)[0] == 0
        assert written.pop() == (verb, "/dev/statefile")


@pytest.mark.parametrize("words", [["set-pool-state", "init"], ["write-statefile", "invalid"],
                                   ["write-statefile", "exclude"], ["cleanup-watchdog"],
                                   ["writestatefile", "setinit"]])
def test_beside_a_daemon_nothing_is_written_and_no_timer_stopped(xha, monkeypatch, words):
    from xha import client
    monkeypatch.setattr(client, "call", Asked(ctlformat.Reply(0, "Online\n")))
    assert xha(*words) == (15, "", "xha.pyz {}: a daemon runs on this host\n".format(words[0]))


def test_a_late_answer_is_a_daemon_too(xha, monkeypatch):
    from xha import client
    monkeypatch.setattr(client, "call", Asked(ctlformat.Reply(3, "", "late")))
    assert xha("set-pool-state", "init")[0] == 15
    assert xha("set-pool-state", "active") == (3, "", "late\n")


BAD_CONFIGS = [("/nowhere/xhad.conf", 6, "a file that is not there"),
               ("/dev/null", 7, "a file that is no configuration")]


@pytest.mark.parametrize("path, code, why", BAD_CONFIGS, ids=[row[-1] for row in BAD_CONFIGS])
@pytest.mark.parametrize("words", [["set-pool-state", "init"], ["write-statefile", "active"],
                                   ["set-excluded"], ["start-daemon"], ["dump-statefile"]])
def test_a_configuration_that_cannot_be_had_is_6_or_7(xha, words, path, code, why):
    found, out, err = xha(*(words + ["--config=" + path]))
    assert (found, out) == (code, "")
    assert path in err and err.count("\n") == 1


# As processes

def run(*words, **options):
    program = ("import sys; sys.path.insert(0, {!r}); from xha.cli import main; "
               "code = main('xha.pyz', sys.argv[1:]); "
               "print(' '.join(sorted(sys.modules)), file=sys.stderr); sys.exit(code)")
    return subprocess.run([sys.executable, "-IS", "-c", program.format(options.pop("farm"))]
                          + list(words), stderr=subprocess.PIPE, timeout=60, **options)


@pytest.fixture
def farm(place):
    os.symlink(SRC, str(place / "xha"))
    return str(place)


@pytest.mark.parametrize("words", [["ha_query_liveset"], ["query-liveset", "--format=json"],
                                   ["host-state", "--run-dir=/nowhere"], ["propose-master"]])
def test_a_hot_command_imports_next_to_nothing(farm, words):
    """Source: spec 6, "it must be cheap"."""
    done = run(*words, farm=farm, stdout=subprocess.PIPE)
    loaded = set(done.stderr.decode().splitlines()[-1].split())
    assert done.returncode == 14
    slow = {"typing", "enum", "re", "json", "socket", "selectors", "collections", "functools",
            "struct", "subprocess", "logging", "docopt", "traceback"}
    assert not slow & loaded
    assert {name for name in loaded if name.startswith("xha")} == {
        "xha", "xha.cli", "xha.client", "xha.ctlformat", "xha.paths"}


def test_no_locale_and_no_home_are_needed(farm):
    done = run("pid", "--config=caf\u00e9", farm=farm, stdout=subprocess.PIPE,
               env={"XHA_RUN_DIR": "/nowhere"})
    assert done.returncode == 14


@pytest.mark.parametrize("place_of_output, code", [("/dev/full", 2), ("closed pipe", 2)])
def test_output_that_cannot_be_written_is_2_without_a_traceback(farm, place_of_output, code):
    if place_of_output == "closed pipe":
        reading, writing = os.pipe()
        os.close(reading)
    else:
        writing = os.open(place_of_output, os.O_WRONLY)
    done = run("--version", farm=farm, stdout=writing)
    os.close(writing)
    assert done.returncode == code
    assert b"Traceback" not in done.stderr
    assert b"internal bug" not in done.stderr


def test_without_a_standard_error_the_code_is_the_same(farm):
    program = "exec 2>&-; exec \"$0\" \"$@\""
    done = subprocess.run(
        ["/bin/sh", "-c", program, sys.executable, "-IS", "-c", (
            "import sys; sys.path.insert(0, {!r}); from xha.cli import main; "
            "sys.exit(main('xha.pyz', ['pid']))").format(farm)],
        stdout=subprocess.PIPE, timeout=60)
    assert (done.returncode, done.stdout) == (14, b"")


def test_paths_of_the_environment_are_what_the_commands_use(place):
    assert Paths().socket == str(place / "run" / "control")


# The weights

def test_a_weight_is_written_also_without_a_daemon(xha, place):
    """Source: spec 6: ha_set_host_weight: 0 also without a daemon."""
    assert xha("ha_set_host_weight", "vm", "5") == (0, "", "")
    assert xha("set-host-weight", "storage", "65535") == (0, "", "")
    assert (place / "run" / "xhad.weight").read_text() == "vm 5\nstorage 65535\n"
    assert xha("weightctl") == (0, "native 1\nvm 5\nstorage 65535\n", "")
    assert xha("weightctl", "vm", "0") == (0, "", "")
    assert xha("weightctl") == (0, "native 1\nstorage 65535\n", "")
    assert xha("reload-host-weight")[0] == 14


@pytest.mark.parametrize("name, weight, why", [
    ("vm", "65536", "too large"), ("vm", "-1", "below 0"), ("vm", "x", "no number"),
    ("native", "2", "built in"), ("two words", "1", "a blank"), ("", "1", "no name"),
    ("n" * 65, "1", "a long name")])
def test_what_is_no_class_or_weight_is_1_and_nothing_is_written(xha, place, name, weight, why):
    for command in ("set-host-weight", "weightctl"):
        code, out, err = xha(command, "--", name, weight)
        assert (code, out, err.count("\n")) == (1, "", 1)
    assert not (place / "run" / "xhad.weight").exists()


def test_weights_that_the_daemon_does_not_take_are_the_daemons_answer(xha, monkeypatch):
    from xha import client, commands
    monkeypatch.setattr(commands, "_WEIGHT_PATIENCE_S", 0.2)
    asked = Asked(ctlformat.Reply(3, "", "try again"))
    monkeypatch.setattr(client, "call", asked)
    assert xha("set-host-weight", "vm", "5") == (3, "", "try again\n")
    assert len(asked.questions) > 1, "it is asked again while another command has the file"
    monkeypatch.setattr(client, "call", Asked(ctlformat.Reply(2, "", "line 3")))
    assert xha("set-host-weight", "vm", "5") == (2, "", "line 3\n")
