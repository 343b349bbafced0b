"""Make a folder of sources importable as the package ``xha``, as src/ is in the archive.

The three packages that xha uses (docopt, netifaces, crcmod) come from build/dependencies,
where build.py has put the very files that go into the archive; without that folder, from
wherever this Python has them.
"""
import importlib.util
import os
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
DEPENDENCIES = os.path.join(ROOT, "build", "dependencies")

#: Where the sources are; those with a deliberate mistake are elsewhere (tests/mutations).
SRC = os.environ.get("XHA_SRC") or os.path.join(ROOT, "src")


def use(src: str) -> None:
    """Let ``import xha`` find the sources in ``src``."""
    if os.path.isdir(DEPENDENCIES):
        sys.path.insert(0, DEPENDENCIES)
    spec = importlib.util.spec_from_file_location(
        "xha", os.path.join(src, "__init__.py"), submodule_search_locations=[src])
    assert spec is not None and spec.loader is not None
    sys.modules["xha"] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(sys.modules["xha"])
