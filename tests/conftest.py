"""Make src/ importable as the package ``xha``, as it is in the archive.

The three packages that xha uses (docopt, netifaces, crcmod) come from build/dependencies,
where build.py has put the very files that go into the archive; without that folder, from
wherever this Python has them.
"""
import importlib.util
import os
import sys

import pytest

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
SRC = os.path.join(ROOT, "src")
DEPENDENCIES = os.path.join(ROOT, "build", "dependencies")

# The tidiness of the code does not depend on who reads it, and the older readers know less.
collect_ignore = [os.path.join("unit", "test_tidy.py")] if sys.version_info < (3, 8) else []

if os.path.isdir(DEPENDENCIES):
    sys.path.insert(0, DEPENDENCIES)
spec = importlib.util.spec_from_file_location(
    "xha", os.path.join(SRC, "__init__.py"), submodule_search_locations=[SRC])
sys.modules["xha"] = importlib.util.module_from_spec(spec)
spec.loader.exec_module(sys.modules["xha"])


def pytest_addoption(parser):
    """``--rewrite`` records what the stories in tests/scenarios give now."""
    parser.addoption("--rewrite", action="store_true", help="record the stories' traces anew")


@pytest.fixture(scope="session")
def archive():
    """The path of the built archive; ``XHA_PYZ`` names another than dist/xha.pyz."""
    path = os.environ.get("XHA_PYZ") or os.path.join(ROOT, "dist", "xha.pyz")
    assert os.path.exists(path), path + " is missing: run `python3 build.py archive` first"
    return os.path.abspath(path)
