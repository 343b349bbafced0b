"""The inputs that the fuzzer keeps give a record or the documented error, on every Python; and no
place of src/ that decodes bytes from outside is left out of its targets.
"""
import ast
import glob
import os
import sys

import pytest

TESTS = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
sys.path.append(os.path.join(TESTS, "fuzz"))

import corpus  # noqa: E402  (they stand there)
import sources  # noqa: E402
import targets  # noqa: E402

#: What turns bytes, or text of others, into something else.
DECODES = {"unpack", "unpack_from", "iter_unpack", "loads", "from_bytes", "decode", "Parse",
           "fromstring", "unhexlify", "literal_eval", "strptime"}

#: Functions that decode, and that no target reaches, with the reason.
EXCUSED = {
    # Of the kernel: structures that it fills, which no fuzzer can stand for.
    "daemonlock.holder": "struct flock", "lookdisk._is_readonly": "an int of an ioctl",
    "looknetwork._state_of": "struct ifreq",
    # The text is cut from a file or a pipe, and read by what a target reaches.
    "bondmonitor.read": "bondhealth.parse", "hostweight._parse_file": "hostweight.parse",
    "looknetwork._listing": "firewall.of_iptables and of_nft",
    "whyfiles._look_at_xen": "whyxen.ends", "installdisk.journal": "installplan.decode",
    "installdisk.encode_for_disk": "installplan.decode of what was just encoded",
    # It decodes what an encoder of its own has just made.
    "htmlpage.page": "ASCII of a page",
    # Of this very program: another process or module of it, over a pipe of its own.
    "simcampaign._read": "a worker", "usertimers._await_ready": "the timers' process",
    "userwatchdog.main": "the daemon's settings", "userwatchdog._take_command": "the daemon",
    "schemas._file": "a schema in the archive", "sandboxhost.look": "a daemon of the sandbox",
    "sandboxhost.log": "a log of the sandbox", "simxhad.datagram": "the virtual network",
    "lifecycle._facts": "the daemon's JSON, for one fact or none: see its test",
    # Not what they are named after.
    "control.__init__": "the layout of a peer's identity, which the kernel gives",
    "daemon._offset_ms": "random bytes", "installer._require_interpreter": "our own first line",
    "screen.first_environment": "this process's environment, shown to nobody",
}


def inputs_of(target):
    return target.seeds() + corpus.load(target.name)


@pytest.mark.parametrize("name", sorted(targets.BY_NAME))
def test_each_kept_input_gives_a_record_or_the_documented_error(name):
    target = targets.BY_NAME[name]
    for data in inputs_of(target):
        target.run(data)
        if target.mend:
            target.run(target.mend(data))


def decoders():
    """(file, line of the function, "module.function") of each function of src/ that decodes."""
    for path in sorted(glob.glob(os.path.join(sources.SRC, "*.py"))):
        with open(path, encoding="utf-8") as file:
            tree = ast.parse(file.read())
        room = os.path.basename(path)[:-3]
        for function in ast.walk(tree):
            if not isinstance(function, ast.FunctionDef):
                continue
            called = {getattr(call.func, "attr", "") for call in ast.walk(function)
                      if isinstance(call, ast.Call)}
            if called & DECODES:
                yield path, function.lineno, room + "." + function.name


def reached():
    """The functions of src/ that the targets' inputs enter, by file and name."""
    found = set()
    for name, module in sorted(sys.modules.items()):
        if name.startswith("xha."):
            for value in vars(module).values():
                if hasattr(value, "cache_clear"):
                    value.cache_clear()     # What is remembered is not entered again.

    def profile(frame, event, _):
        if event == "call":
            found.add((frame.f_code.co_filename, frame.f_code.co_name))
    for target in targets.TARGETS:
        inputs = inputs_of(target)
        sys.setprofile(profile)
        try:
            for data in inputs:
                target.run(data)
        finally:
            sys.setprofile(None)
    return found


def test_every_decoder_of_the_sources_is_fuzzed_or_excused():
    entered = reached()
    missed = {name for path, _, name in decoders()
              if (path, name.split(".")[1]) not in entered}
    assert missed - set(EXCUSED) == set(), "a target for each, or a reason why not"
    assert set(EXCUSED) - missed == set(), "reached by now, or gone"


@pytest.mark.parametrize("name", sorted(os.listdir(corpus.FOLDER)))
def test_a_kept_corpus_is_that_of_a_target_and_small(name):
    assert name in targets.BY_NAME
    kept = corpus.load(name)
    assert kept == sorted(set(kept))
    assert all(len(data) <= targets.BY_NAME[name].longest for data in kept)


def test_the_corpus_as_a_whole_is_small():
    assert sum(os.path.getsize(os.path.join(corpus.FOLDER, name))
               for name in os.listdir(corpus.FOLDER)) < 300000
