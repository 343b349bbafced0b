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

#: Runs the command after it without privileges; whoever is not root is as little as nobody.
AS_NOBODY = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups",
             "--no-new-privs"] if os.geteuid() == 0 else []

#: In a mount namespace of its own: lets others reach the Pythons below a closed home
#: directory ($1, or ""; it is shifted away).
OPEN_HOME = r"""
set -e
mount --make-rprivate /
closed=$1; shift
if [ -n "$closed" ]; then
    mkdir -p /dev/shm/xha-pythons
    mount --bind "$closed/.pyenv" /dev/shm/xha-pythons
    mount -t tmpfs -o mode=755 none "$closed"
    mkdir "$closed/.pyenv"
    mount --bind /dev/shm/xha-pythons "$closed/.pyenv"
fi
"""


def closed_home():
    """The home directory that holds the Pythons and that others cannot enter, or ""."""
    home = os.path.expanduser("~")
    inside = os.path.isdir(os.path.join(home, ".pyenv"))
    return home if inside and not os.stat(home).st_mode & 0o001 else ""


def own_mounts(script):
    """The start of a command line: ``script``, which begins with OPEN_HOME, with its own mounts.

    The script ends with ``exec "$@"``, which is the rest of the command line.
    """
    user = [] if os.geteuid() == 0 else ["--map-root-user"]
    return ["unshare", "--mount"] + user + ["/bin/sh", "-c", script, "sh", closed_home()]


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
