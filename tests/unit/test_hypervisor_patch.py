"""What can be said of hypervisor_patch/ without a Xen (its source: tests/patch)."""
import os
import re
import sys
import types

import pytest

from contract.fakexen import FakeXen
from xha import xenhypercall

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
FOLDER = os.path.join(ROOT, "hypervisor_patch")


def text_of(name):
    with open(os.path.join(FOLDER, name), encoding="utf-8") as stream:
        return stream.read()


def test_the_patch_raises_the_number_from_what_xen_has_to_what_we_reckon_with():
    change = re.compile(r"^([-+])#define NR_DOMAIN_WATCHDOG_TIMERS (\d+)$", re.M)
    assert change.findall(text_of("xen-4.17-watchdog-timers.patch")) == [
        ("-", "2"), ("+", str(xenhypercall.MAX_TIMERS))]


COUNTS = [
    # timers  taken by others  free             why
    (2,       0,               [1, 2],          "Xen as it is shipped"),
    (2,       1,               [2],             "with xenwatchdogd"),
    (2,       2,               [],              "while all are taken"),
    (4,       0,               [1, 2, 3, 4],    "Xen with the patch"),
    (4,       2,               [3, 4],          "with xenwatchdogd and xen_wdt"),
]


@pytest.mark.parametrize("count, others, free, why", COUNTS, ids=[row[-1] for row in COUNTS])
def test_the_readme_counts_the_free_timers_and_gives_them_back(
        monkeypatch, capsys, count, others, free, why):
    xen = FakeXen(count=count)
    for _ in range(others):
        xen.create_timer(60)
    held = dict(xen.timers)
    [program] = re.findall(r"^```python\n(.*?)^```$", text_of("README.md"), re.M | re.S)
    door = types.ModuleType("_xha")
    door.prepare = lambda archive: None
    monkeypatch.setitem(sys.modules, "_xha", door)
    monkeypatch.setattr(xenhypercall, "Privcmd", xen.open)
    monkeypatch.setattr(sys, "argv", ["-", "xha.pyz"])
    monkeypatch.setattr(sys, "path", list(sys.path))
    exec(program, {})
    assert capsys.readouterr().out.startswith("free timers: {} and then: ".format(free))
    assert xen.timers == held
