"""The count of provoked messages sees what it should, and nothing else."""
import importlib.util
import os
import re
import subprocess
import sys

import provoked
import pytest
from core_samples import view_of

from xha import actions

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

FRAMES = [
    # module               function   counts  why
    ("xha.bondhealth",     "turn",    True,   "a room that decides"),
    ("xha.daemon",         "run",     True,   "the daemon itself"),
    ("xha.view",           "become",  True,   "the view, of itself"),
    ("test_catalogue",     "test_x",  False,  "a test"),
    ("xha.simxhaddisk",    "look",    False,  "the model of xhad"),
    ("xhadaemon",          "run",     False,  "something else of that beginning"),
]


def frame_of(module, function):
    """The frame of a function of that name in a module of that name."""
    there = {"__name__": module, "sys": sys}
    exec("def {}():\n    return sys._getframe()".format(function), there)
    return there[function]()


@pytest.mark.parametrize("module, function, counts, why", FRAMES, ids=[row[-1] for row in FRAMES])
def test_a_message_counts_by_who_makes_it(module, function, counts, why):
    assert provoked.is_ours(frame_of(module, function)) is counts


def test_what_the_view_hands_on_is_its_caller_s(tmp_path, monkeypatch):
    monkeypatch.setenv(provoked.FOLDER, str(tmp_path))
    view = view_of()
    view.log("host-online")
    actions.log("host-online")
    assert os.listdir(str(tmp_path)) == [], "both are said by this test"
    view.set_sr2(1000, True)
    assert (tmp_path / str(os.getpid())).read_text() == "sr2-begun\n"


@pytest.mark.parametrize("workers", [[], pytest.param(["-n", "2"], marks=pytest.mark.skipif(
    importlib.util.find_spec("xdist") is None, reason="pytest-xdist is not here"))],
                         ids=["one process", "two workers"])
def test_tests_that_do_not_provoke_all_fail_and_name_what_is_missing(workers):
    """Those of the bond provoke what is said of bonds; the model of that, what they cannot."""
    ended = subprocess.Popen(
        [sys.executable, "-B", "-m", "pytest", "-q", "-p", "no:cacheprovider", "--catalogue",
         os.path.join("tests", "unit", "test_bondhealth.py")] + workers, cwd=ROOT,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, universal_newlines=True)
    said = ended.communicate()[0]
    missing = re.findall(r"^sysloglist: (\S+)$", said, re.MULTILINE)
    assert ended.returncode == 1, said
    assert " passed" in said and " failed" not in said
    assert len(missing) > 100
    assert "host-online" in missing
    assert not [name for name in missing if name.startswith("bond-")]
