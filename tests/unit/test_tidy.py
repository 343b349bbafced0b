"""The picture of the code holds: who knows whom, what is pure, how long things are.

Read by the newest Python only (conftest leaves it out on 3.6 and 3.7): the code is the same
for all.  The types, and the library of CPython 3.6, are checked by `build.py check`.
"""
import ast
import glob
import os
import re

import pytest
from xha import catalogue

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

VOCABULARY = {"records", "hostset", "errors", "published", "events", "actions", "snapshot",
              "config", "plainxml", "timing", "catalogue", "child", "logmask", "holdterm",
              "keyedhash", "poolkey"}
CORE = {"view", "compose", "domains", "acceptance", "sfcycle", "beat", "repair", "liveset",
        "startup", "stall", "globalrecord", "faulthandling", "admission", "masterlock", "fencing",
        "faultsteps", "lifesigns", "requests", "meter", "sfrecords", "survey", "membership",
        "ruletwo", "startfacts", "echoes", "rest", "keyring"}
PLANS = {"installplan"}
HEALTH = {"xapihealth", "bondhealth", "margin", "marginwords", "nearmiss", "closest"}
ADVICE = {"findings", "latencies", "proofpage", "prooftext", "firewall", "judgehost",
          "judgenetwork", "judgedisk", "judgepool", "judgekey",
          "whycase", "whyseen", "whywords", "whycauses", "whyxen", "whylog"}
FORMATS = {"crc", "sealformat", "originformat", "hbformat", "sfformat", "ctlformat",
           "recorderformat"}
PICTURES = {"htmlpage", "htmlstyle", "svglanes"}
SHELLS = {"heartbeat", "statefile", "sfdevice", "watchdog", "watchdogport", "xentimers",
          "xenhypercall", "usertimers", "userwatchdog", "lefttimers", "timerrecord", "syslogger",
          "logfile", "realtime", "nic", "control", "listener", "paths", "daemonlock", "bounded",
          "faultpoints", "installdisk", "xapimonitor", "licensehook", "hostweight", "bondmonitor",
          "replacing", "recorder", "recorderdisk", "repeats", "doorbell", "packed", "signals",
          "secrecy"}
PROGRAM = {"__init__", "cli", "client", "commands", "configfile", "daemon", "health",
           "lifecycle", "node", "options", "oldnames", "report", "service",
           "sfadmin", "sfdump", "usage", "installer", "installhelp",
           "sandbox", "sandboxfacts", "sandboxhost", "sandboxpool", "sandboxprompt",
           "sandboxwatch", "caretaker", "picture", "screen", "tour",
           "simulate", "simcampaign",
           "answer", "concerns", "lookers", "metrics", "openmetrics", "status", "statusdown",
           "statusmargins", "statusmatrix", "statuspicture", "statustable",
           "daemonview", "timingview",
           "doctor", "lookhost", "looknetwork", "lookdisk",
           "observer", "history", "timeline", "timelinehelp", "holdhelp", "historylanes",
           "historyaxis", "historydrawing", "historypage", "historystyle", "schemas", "folding",
           "why", "whyfiles", "whytell", "whytext", "whyhelp", "keychange"}
SIMULATOR = {"simtimeline", "simtimers", "simnetwork", "simdisk", "simhost", "simpool",
             "simcheckers", "simdeaths", "simjoining", "simknowing", "simkeys", "simsaying",
             "simdice", "simdeeds", "simscript", "simrecovery", "simstory",
             "simplan", "simrun", "simoutcome", "simcause", "simtext", "simwords", "simreduce",
             "simsum",
             "simpage", "simdrawing", "simstyle",
             "simxhad", "simxhadshared", "simxhaddisk", "simxhadstart", "simxhadfault",
             "simxhadlock"}

#: What decides or encodes, and touches nothing outside.
PURE = VOCABULARY | CORE | HEALTH | ADVICE | FORMATS | PLANS | PICTURES | SIMULATOR

# layer       may import                                   because
LAYERS = [
    (VOCABULARY, VOCABULARY, "the vocabulary is what all others are said in"),
    (CORE, VOCABULARY | CORE, "the core decides; it must run where no device is"),
    (HEALTH, VOCABULARY | HEALTH, "it decides about this host alone, and asks nobody"),
    (ADVICE, VOCABULARY | FORMATS | HEALTH | ADVICE, "facts are judged by who did not look"),
    (FORMATS, VOCABULARY | FORMATS, "bytes are bytes, whoever carries them"),
    (PLANS, VOCABULARY | PLANS, "what to do to a disk is decided without touching it"),
    (PICTURES, VOCABULARY | PICTURES, "how it looks is decided without knowing whose it is"),
    (SHELLS, VOCABULARY | FORMATS | PLANS | SHELLS, "a shell acts; it never decides"),
    (SIMULATOR, VOCABULARY | CORE | FORMATS | PICTURES | {"node"} | SIMULATOR,
     "the simulator is the world; it touches none"),
    (PROGRAM, VOCABULARY | CORE | HEALTH | ADVICE | FORMATS | PLANS | PICTURES | SHELLS
     | SIMULATOR | PROGRAM,
     "here all of them meet"),
]

IMPURE_MODULES = {
    "asyncio", "concurrent", "ctypes", "datetime", "fcntl", "io", "logging", "mmap",
    "multiprocessing", "netifaces", "os", "pathlib", "posix", "queue", "random", "secrets",
    "select", "selectors", "shutil", "signal", "socket", "subprocess", "sys", "tempfile",
    "threading", "time", "uuid"}
IMPURE_CALLS = {"breakpoint", "eval", "exec", "input", "open", "print", "__import__"}

EXCEPTIONS = {
    "config": {"open"},  # config.load reads the file; config.parse beside it is pure
    "simdice": {"random"},  # seeded, and the only one who draws
    "crc": {"sys"},  # crcmod hides its submodule; only sys.modules still has it
    "keyedhash": {"sys"},  # whether OpenSSL is in memory anyway
}

UNFINISHED = re.compile(r"\b(TO" r"DO|FIX" r"ME|XX" r"X|HA" r"CK)\b(?! \(#\d+\))")

MAX_LINE, MAX_FUNCTION, MAX_MODULE = 100, 50, 400


def paths(*patterns):
    """The files of the repository that these patterns name, by their names from its top."""
    found = sorted(os.path.relpath(path, ROOT) for pattern in patterns
                   for path in glob.glob(os.path.join(ROOT, pattern), recursive=True))
    assert found, patterns
    return found


ROOMS = paths("src/*.py")
OURS = ROOMS + paths("boot/*.py", "tools/*.py", "build.py")
ALL = OURS + paths("tests/**/*.py")


def text_of(path):
    with open(os.path.join(ROOT, path), encoding="utf-8") as stream:
        return stream.read()


def tree_of(path):
    return ast.parse(text_of(path), path)


def room(path):
    return os.path.basename(path)[:-len(".py")]


def imports(tree):
    """The full names of all modules that a module imports, wherever it does so."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield alias.name
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "imports of ours are absolute"
            for alias in node.names:
                if node.module != "xha":
                    yield node.module
                elif not alias.name.startswith("__"):  # xha.__version__ is no module
                    yield "xha." + alias.name


def rooms_of(layer):
    return [path for path in ROOMS if room(path) in layer]


def where(path, node):
    return "{}:{}".format(path, node.lineno)


def test_every_module_has_its_room():
    known = VOCABULARY.union(*(layer for layer, _, _ in LAYERS))
    assert not {room(path) for path in ROOMS} - known - {"__main__"}
    assert len(known) == sum(len(layer) for layer, _, _ in LAYERS), "one room, one layer"


@pytest.mark.parametrize("layer, allowed, why", LAYERS, ids=[row[-1] for row in LAYERS])
def test_a_layer_imports_only_what_it_may_know(layer, allowed, why):
    for path in rooms_of(layer):
        ours = {name.split(".")[1] for name in imports(tree_of(path)) if name.startswith("xha.")}
        assert not ours - allowed - ({"_build"} if layer is PROGRAM else set()), (path, why)


@pytest.mark.parametrize("path", rooms_of(PURE), ids=room)
def test_a_module_that_decides_or_encodes_touches_nothing_outside(path):
    tree = tree_of(path)
    used = {name.split(".")[0] for name in imports(tree)} - EXCEPTIONS.get(room(path), set())
    assert not used & IMPURE_MODULES
    forbidden = IMPURE_CALLS - EXCEPTIONS.get(room(path), set())
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
            assert node.func.id not in forbidden, where(path, node)


@pytest.mark.parametrize("path", rooms_of(PURE), ids=room)
def test_nothing_depends_on_the_order_of_a_set(path):
    for node in ast.walk(tree_of(path)):
        if not isinstance(node, (ast.For, ast.comprehension)):
            continue
        unordered = isinstance(node.iter, (ast.Set, ast.SetComp)) or (
            isinstance(node.iter, ast.Call) and isinstance(node.iter.func, ast.Name)
            and node.iter.func.id in ("set", "frozenset"))
        assert not unordered, where(path, node.iter)


@pytest.mark.parametrize("path", ALL)
def test_the_syntax_is_that_of_python_3_6(path):
    ast.parse(text_of(path), path, feature_version=(3, 6))  # novm: see above


@pytest.mark.parametrize("path", ALL)
def test_lines_are_short_and_finished(path):
    for number, line in enumerate(text_of(path).split("\n"), 1):
        here, length = "{}:{}".format(path, number), len(line)
        assert length <= MAX_LINE, here
        assert line == line.rstrip() and "\t" not in line, here
        assert not UNFINISHED.search(line), here


@pytest.mark.parametrize("path", OURS)
def test_modules_and_functions_can_be_read_at_a_glance(path):
    lines = text_of(path).count("\n")
    assert lines <= MAX_MODULE
    for node in ast.walk(tree_of(path)):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            lines = node.end_lineno - node.lineno + 1
            assert lines <= MAX_FUNCTION, where(path, node)


def public_definitions(node):
    """The public classes, functions and methods in a module or class."""
    for child in node.body:
        if isinstance(child, (ast.FunctionDef, ast.ClassDef)) and not child.name.startswith("_"):
            yield child
            if isinstance(child, ast.ClassDef):
                for inner in public_definitions(child):
                    yield inner


@pytest.mark.parametrize("path", OURS)
def test_what_is_public_says_what_it_is(path):
    tree = tree_of(path)
    assert ast.get_docstring(tree)
    for node in public_definitions(tree):
        assert ast.get_docstring(node), where(path, node) + " " + node.name


@pytest.mark.parametrize("path", ROOMS, ids=room)
def test_every_parameter_and_result_has_a_type(path):
    for node in ast.walk(tree_of(path)):
        if isinstance(node, ast.FunctionDef):
            assert node.returns is not None, where(path, node)
            for argument in node.args.args + node.args.kwonlyargs:
                known = argument.arg in ("self", "cls") or argument.annotation is not None
                assert known, where(path, node) + " " + argument.arg


def records_of(path):
    """The names of a module's own record classes with two fields or more."""
    for node in tree_of(path).body:
        if isinstance(node, ast.ClassDef) and any(
                isinstance(mark, ast.Name) and mark.id == "record"
                for mark in node.decorator_list):
            if len([item for item in node.body if isinstance(item, ast.AnnAssign)]) >= 2:
                yield node.name


RECORDS = {room(path): set(records_of(path)) for path in ROOMS}


def is_record(function, own, imported):
    """Whether a call of ``function`` builds a record of two fields or more."""
    if isinstance(function, ast.Name):
        return function.id in own or function.id in imported
    return (isinstance(function, ast.Attribute) and isinstance(function.value, ast.Name)
            and function.attr in RECORDS.get(function.value.id, ()))


@pytest.mark.parametrize("path", ROOMS, ids=room)
def test_records_are_built_with_keywords(path):
    assert {"Heartbeat", "HostRecord"} <= RECORDS["published"]
    tree = tree_of(path)
    imported = {alias.asname or alias.name for node in ast.walk(tree)
                if isinstance(node, ast.ImportFrom) for alias in node.names
                if alias.name in RECORDS.get(node.module.rpartition(".")[2], ())}
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and is_record(node.func, RECORDS[room(path)], imported):
            positional = [item for item in node.args if not isinstance(item, ast.Starred)]
            assert not positional, where(path, node)


def logs(call):
    """Whether a call makes a message of the catalogue, and is no other's method ``log``."""
    if isinstance(call.func, ast.Name):
        return call.func.id == "log"
    if not isinstance(call.func, ast.Attribute) or call.func.attr != "log":
        return False
    whose = call.func.value
    return getattr(whose, "attr", getattr(whose, "id", "")) in ("actions", "view", "_view") or (
        bool(call.args) and isinstance(getattr(call.args[0], "value", None), str))


class LogCalls(ast.NodeVisitor):
    """Every call that makes a message, but for those that pass one on."""

    def __init__(self):
        self.found = []

    def visit_FunctionDef(self, node):
        if node.name != "log":
            self.generic_visit(node)

    def visit_Call(self, node):
        if logs(node):
            self.found.append(node)
        self.generic_visit(node)


def logged():
    """(where, name of the message, names of its fields) for each log(...) in src/."""
    for path in ROOMS:
        calls = LogCalls()
        calls.visit(tree_of(path))
        for node in calls.found:
            first = node.args[0] if node.args else None
            choices = [first.body, first.orelse] if isinstance(first, ast.IfExp) else [first]
            for choice in choices:
                name = choice.value if isinstance(choice, ast.Constant) else None
                yield where(path, node), name, {item.arg for item in node.keywords}


MESSAGES = catalogue.parse(text_of("sysloglist"))
LOGGED = list(logged())


@pytest.mark.parametrize("place, name, fields", LOGGED, ids=[row[0] for row in LOGGED])
def test_a_message_is_in_the_catalogue_with_exactly_these_fields(place, name, fields):
    assert name is not None, "a message is logged by its literal name"
    assert name in MESSAGES
    assert fields == set(MESSAGES[name].fields)


@pytest.mark.parametrize("name", MESSAGES.names())
def test_an_entry_of_the_catalogue_is_logged_by_something(name):
    assert name in {row[1] for row in LOGGED}


def test_the_names_of_the_catalogue_are_in_order():
    names = [line.split()[0] for line in text_of("sysloglist").split("\n")
             if re.match(r"[a-z]", line)]
    assert names == sorted(names)
