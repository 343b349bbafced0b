"""The patch of hypervisor_patch/ on the very source that it is for.

``python3 build.py patch`` downloads that source first.
"""
import os
import re
import subprocess
import sys

import pytest

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.path.insert(0, ROOT)

from tools import xensource  # noqa: E402

PATCH = os.path.join(ROOT, "hypervisor_patch", "xen-4.17-watchdog-timers.patch")

HEADER = "xen/include/xen/sched.h"
DEFINED = re.compile(r"^#define NR_DOMAIN_WATCHDOG_TIMERS (\d+)$", re.M)

#: Every line of the hypervisor that has to do with the timers of a domain, by what it names.
TIMERS = re.compile(r"NR_DOMAIN_WATCHDOG_TIMERS|\bwatchdog_(?:timer|inuse_map)\b")

# The files with such lines and how many they have: a source with others must be read anew.
LINES = {
    # file                   lines  what they are
    HEADER:                  4,     # the number, the map, the array
    "xen/common/sched/core.c": 14,  # the hypercall, making and ending them
    "xen/common/keyhandler.c": 3,   # the debug key q
}


@pytest.fixture
def xen(tmp_path):
    """The hypervisor's part of the source: C, headers and what builds them."""
    assert os.path.exists(xensource.path()), "run `python3 build.py patch`: it downloads the source"
    subprocess.check_call(["tar", "-xJf", xensource.fetch(), "-C", str(tmp_path),
                           "--strip-components=1", "--wildcards", "--no-wildcards-match-slash",
                           "*/xen"])
    return str(tmp_path)


def patch(folder, *options):
    """Run patch as the README says, but without any tolerance; what it says."""
    done = subprocess.Popen(
        ["patch", "-p1", "--fuzz=0", "--batch", "-i", PATCH] + list(options), cwd=folder,
        env=dict(os.environ, LC_ALL="C"), stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        universal_newlines=True)
    said = done.communicate()[0]
    assert done.returncode == 0, said
    return said


def contents(folder):
    """All files, by their names."""
    found = {}
    for base, _, names in os.walk(folder):
        for name in names:
            path = os.path.join(base, name)
            if not os.path.islink(path):
                with open(path, "rb") as stream:
                    found[os.path.relpath(path, folder)] = stream.read()
    return found


def test_the_patch_applies_without_fuzz_or_offset_and_comes_off_again(xen):
    before = contents(xen)
    assert patch(xen, "--dry-run") == "checking file {}\n".format(HEADER)
    assert contents(xen) == before
    assert patch(xen) == "patching file {}\n".format(HEADER)
    after = contents(xen)
    assert [name for name in sorted(after) if after[name] != before.get(name)] == [HEADER]
    assert patch(xen, "-R") == "patching file {}\n".format(HEADER)
    assert contents(xen) == before


def test_with_the_patch_a_domain_has_four_timers_and_a_bit_for_each(xen):
    def header():
        return contents(xen)[HEADER].decode()
    assert DEFINED.findall(header()) == ["2"]
    patch(xen)
    assert DEFINED.findall(header()) == ["4"]
    assert header().count("    uint32_t watchdog_inuse_map;\n") == 1


def test_every_place_that_depends_on_the_number_takes_it_by_its_name(xen):
    patch(xen)
    found = {}
    for name, data in contents(xen).items():
        lines = [line for line in data.decode("utf-8", "replace").split("\n")
                 if TIMERS.search(line)]
        if lines:
            found[name] = lines
    assert {name: len(lines) for name, lines in found.items()} == LINES
    for lines in found.values():
        for line in lines:
            # An array or map is reached by a variable, never by the number of a timer.
            assert not re.search(r"watchdog_timer\[\d|\b(?:id|i) *[<>=]=? *[1-9]", line), line
