"""The built archive, run as a dom0 runs it, on every CPython that this machine has.

Nothing here imports ``xha`` from src/: what is tested is the file.  A *probe* is a piece of
Python that runs after the archive's own start-up has made the package importable, in the way
that its first line does it (-I -S, empty environment).
"""
import os
import subprocess
import sys

import pytest

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.path.insert(0, ROOT)

from tools import dependencies, machine  # noqa: E402

VERSIONS = dependencies.read_spec()["pythons"]["versions"].split()

#: The CPythons that the archive is for, as far as they are here.
PYTHONS = [python for python in machine.interpreters(VERSIONS) if python.version in VERSIONS]

PREPARE = ("import sys; z = {archive!r}\n"
           "sys.path[:0] = [z + '/' + sys.implementation.cache_tag, z]\n"
           "import _xha\n"
           "_xha.prepare(z)\n")

NOBODY = 65534


def run(command, **options):
    """Run a command without any environment and give back how it ended."""
    options.setdefault("env", {})
    options.setdefault("cwd", "/")
    return subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE, universal_newlines=True, timeout=60, **options)


def by_first_line(python, archive):
    """The command line that the kernel makes of the archive's first line, for this Python."""
    with open(archive, "rb") as stream:
        code = stream.readline().decode().rstrip("\n").split(" ", 1)[1]
    return [python.python, code, archive]


class Probe:
    """Runs code inside the archive."""

    def __init__(self, archive):
        self.archive = archive

    def command(self, python, code, before=""):
        """The command line of a probe; ``before`` runs ahead of the archive's start-up."""
        return [python.python, "-I", "-S", "-c",
                before + PREPARE.format(archive=self.archive) + code]

    def __call__(self, python, code, before="", **options):
        """What the probe printed; it must end well and say nothing on standard error."""
        done = run(self.command(python, code, before), **options)
        assert (done.returncode, done.stderr) == (0, ""), done.stderr
        return done.stdout.strip()


@pytest.fixture
def probe(archive):
    """Runs code inside the built archive."""
    return Probe(archive)


def pytest_generate_tests(metafunc):
    """A test that takes ``python`` runs once for each CPython that is here."""
    if "python" in metafunc.fixturenames:
        metafunc.parametrize("python", PYTHONS, ids=[python.version for python in PYTHONS])
