"""The sources as the package ``xha``; options and fixtures that all tests share."""
import os
import sys

import pytest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import provoked  # noqa: E402  (it stands beside this file)
import sources  # noqa: E402

# The tidiness of the code does not depend on who reads it, and the older readers know less.
collect_ignore = [os.path.join("unit", name) for name in (
    "test_clocks.py", "test_reached.py", "test_tidy.py")
                  ] if sys.version_info < (3, 8) else []

sources.use(sources.SRC)
provoked.watch()


def pytest_addoption(parser):
    """``--rewrite`` records what the stories in tests/scenarios give now."""
    parser.addoption("--rewrite", action="store_true", help="record the stories' traces anew")
    parser.addoption("--catalogue", action="store_true",
                     help="fail if these tests do not provoke every message of sysloglist")


def pytest_configure(config):
    """With ``--catalogue``, the process that starts the tests judges at their end."""
    if config.getoption("--catalogue") and not hasattr(config, "workerinput"):
        config.pluginmanager.register(provoked.Census())


@pytest.fixture(scope="session")
def archive():
    """The path of the built archive; ``XHA_PYZ`` names another than dist/xha.pyz."""
    path = os.environ.get("XHA_PYZ") or os.path.join(sources.ROOT, "dist", "xha.pyz")
    assert os.path.exists(path), path + " is missing: run `python3 build.py archive` first"
    return os.path.abspath(path)


@pytest.fixture
def nobody():
    """A user who may not read what is root's."""
    if os.geteuid() == 0:
        os.seteuid(65534)
        yield
        os.seteuid(0)
    else:
        yield
