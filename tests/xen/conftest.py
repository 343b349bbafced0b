"""A real Xen host for the tests, with the built archive in its control domain.

    python3 build.py xen

The host boots once; tests that have it reset leave it up again.  When a test fails, the last
lines of its console follow.  Pools have hosts of their own, and run beside it.
"""
import os
import shutil
import tempfile

import pytest

from asked import Asker
from dom0 import ARCHIVE, SCRIPT, script
from xenrig.host import Host

HERE = os.path.dirname(os.path.abspath(__file__))
CONTRACT = os.path.join(os.path.dirname(HERE), "contract", "watchdog_contract.py")


@pytest.fixture(scope="session")
def booted(archive):
    """The host, with everything on its disk."""
    directory = tempfile.mkdtemp(prefix="xha-xen-", dir="/tmp")
    try:
        with Host(directory, {
                ARCHIVE: archive, SCRIPT: os.path.join(HERE, "dom0_watchdog.py"),
                "/opt/watchdog_contract.py": CONTRACT}) as host:
            yield host
    finally:
        shutil.rmtree(directory)


@pytest.fixture
def host(booted, request):
    """The host, up, with both of Xen's timers free."""
    free = script(booted, "free")
    assert free.code == 0, free
    yield booted
    if getattr(request.node, "failed", False):
        print("\n".join(text for _, text in booted.console[-60:]))


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    """Tell the fixture whether its test failed."""
    outcome = yield
    if call.when == "call":
        item.failed = outcome.get_result().failed


@pytest.fixture
def measured(record_property):
    """``measured("what", seconds)`` goes to the summary."""
    return record_property


@pytest.fixture
def asker(archive, tmp_path, request):
    """Asks `why` about an incident, and keeps its evidence with ``--rewrite``."""
    return Asker(archive, tmp_path, request.config.getoption("--rewrite", default=False))


def pytest_terminal_summary(terminalreporter):
    """The times that were seen."""
    for state in ("passed", "failed"):
        for report in terminalreporter.getreports(state):
            for what, seconds in report.user_properties if report.when == "call" else ():
                terminalreporter.write_line("{:10.6f} s  {}".format(seconds, what))
