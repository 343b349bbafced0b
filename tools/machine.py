"""What this machine has, and how the build speaks to whoever runs it."""
import os
import shutil
import signal
import subprocess
import sys
import time
from typing import Any, Dict, Iterator, List, NamedTuple, Optional, Sequence, Tuple

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
BUILD = os.path.join(ROOT, "build")

#: Programs of the end-to-end tests, and the Debian packages that bring them.
E2E_PROGRAMS = {"ip": "iproute2", "nft": "nftables", "killall": "psmisc"}

_PROBE = (
    "import platform, sys, sysconfig\n"
    "print('{}.{}'.format(*sys.version_info[:2]), platform.python_version(), sys.executable,\n"
    "      sysconfig.get_paths()['include'], sysconfig.get_config_var('EXT_SUFFIX'),\n"
    "      platform.python_implementation(), sep='\\n')")


class BuildError(Exception):
    """The build cannot go on; the text says why, for people."""


class Interpreter(NamedTuple):
    """A CPython of this machine."""

    # "3.6"; its patch release is in ``release``.
    version: str
    release: str
    python: str
    # Where its headers are, or "" where it has none.
    include: str
    # Of an extension for exactly this ABI, such as ".cpython-36m-x86_64-linux-gnu.so".
    suffix: str

    @property
    def number(self) -> Tuple[int, ...]:
        """The version as numbers, which sort as versions do."""
        return tuple(int(part) for part in self.version.split("."))


def say(text: str) -> None:
    """Print a line at once, so that it stays before what a program prints next."""
    print(text, flush=True)


def red(text: str) -> None:
    """Print a line that must not be overlooked."""
    say("\033[1;31m" + text + "\033[0m" if sys.stdout.isatty() else "!!! " + text)


class Stages:
    """The stages of a build, each with its time."""

    def __init__(self) -> None:
        self._began = time.monotonic()
        self._times = []  # type: List[Tuple[str, float]]

    def run(self, name: str, stage: Any, *arguments: Any) -> Any:
        """Run one stage; a failure of it ends the build."""
        say("\n== {}".format(name))
        began = time.monotonic()
        result = stage(*arguments)
        took = time.monotonic() - began
        self._times.append((name, took))
        say("== {}: {:.1f} s".format(name, took))
        return result

    def summary(self) -> str:
        """All stages and the whole, in one line."""
        parts = ["{} {:.0f} s".format(name, took) for name, took in self._times]
        return "{}; in all {:.0f} s".format(", ".join(parts), time.monotonic() - self._began)


def run(command: Sequence[str], quiet: bool = False, **options: Any) -> str:
    """Run a program to its end.

    Args:
        quiet: keep what it prints to ourselves, unless it fails.

    Returns:
        What it printed, when ``quiet``; else "".

    Raises:
        BuildError: it cannot be run or fails; the text holds what it printed.
    """
    if quiet:
        options.update(stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    try:
        done = subprocess.run(list(command), universal_newlines=True, **options)
    except OSError as error:
        raise BuildError("{}: {}".format(command[0], error))
    if done.returncode:
        raise BuildError("{}\nexit code {}: {}".format(
            (done.stdout or "").strip(), done.returncode, " ".join(command)).strip())
    return done.stdout or ""


def run_bounded(command: Sequence[str], limit_s: int) -> None:
    """Run a program that may hang, and all that it starts, for ``limit_s`` seconds at most.

    Raises:
        BuildError: it fails, or had to be ended: asked first, so that it can clean up.
    """
    process = subprocess.Popen(list(command), cwd=ROOT, start_new_session=True)
    try:
        code = process.wait(limit_s)
    except (subprocess.TimeoutExpired, KeyboardInterrupt) as stopped:
        for signum, patience_s in ((signal.SIGINT, 30), (signal.SIGKILL, 30)):
            try:
                os.killpg(process.pid, signum)
                process.wait(patience_s)
            except (ProcessLookupError, subprocess.TimeoutExpired):
                pass
        if isinstance(stopped, KeyboardInterrupt):
            raise
        raise BuildError("ended after {} s: {}".format(limit_s, " ".join(command)))
    if code:
        raise BuildError("exit code {}: {}".format(code, " ".join(command)))


def bare_environment(**more: str) -> Dict[str, str]:
    """An environment in which nothing of the caller's can change what is built."""
    return dict({"PATH": os.environ.get("PATH", os.defpath), "LC_ALL": "C",
                 "PYTHONHASHSEED": "0"}, **more)


def compiler() -> Optional[str]:
    """The C compiler, or None."""
    return shutil.which(os.environ.get("CC", "gcc"))


def _candidates(version: str) -> Iterator[str]:
    """Where a Python of this version may be, best first."""
    own = version == "{}.{}".format(*sys.version_info[:2])
    yield "python" + version
    if own:  # not the environment that we may run in, but what it was made from
        yield os.path.join(sys.base_prefix, "bin", "python" + version)
    versions = os.path.join(
        os.environ.get("PYENV_ROOT", os.path.expanduser("~/.pyenv")), "versions")
    if os.path.isdir(versions):
        for name in sorted(os.listdir(versions)):
            if name.startswith(version + "."):
                yield os.path.join(versions, name, "bin", "python" + version)
    if own:
        yield sys.executable


def _probe(python: str) -> Optional[Interpreter]:
    """Ask a Python what it is; None where it does not run or is no CPython."""
    try:
        answer = subprocess.check_output([python, "-IS", "-c", _PROBE], universal_newlines=True,
                                         stderr=subprocess.DEVNULL).splitlines()
    except (OSError, subprocess.CalledProcessError):
        return None
    if len(answer) != 6 or answer[5] != "CPython":
        return None
    version, release, executable, include, suffix = answer[:5]
    if not os.path.exists(os.path.join(include, "Python.h")):
        include = ""
    return Interpreter(version, release, executable, include, suffix)


def interpreters(versions: Sequence[str]) -> List[Interpreter]:
    """The CPythons found here: one of each wanted version and this one, oldest first."""
    own = "{}.{}".format(*sys.version_info[:2])
    found = []
    for version in list(versions) + ([] if own in versions else [own]):
        for candidate in _candidates(version):
            interpreter = _probe(candidate)
            if interpreter is not None and interpreter.version == version:
                found.append(interpreter)
                break
    return sorted(found, key=lambda interpreter: interpreter.number)


def own_interpreter() -> Interpreter:
    """The CPython that runs this.  BuildError: it is another kind of Python."""
    own = _probe(sys.executable)
    if own is None:
        raise BuildError("{} is no CPython".format(sys.executable))
    return own


def install_packages(packages: Sequence[str]) -> None:
    """Install Debian packages; needs root.  BuildError: it cannot be done."""
    if os.geteuid() != 0 or shutil.which("apt-get") is None:
        raise BuildError("missing, and only root of a Debian could install it here: "
                         + " ".join(packages))
    say("installing " + " ".join(packages))
    environment = dict(os.environ, DEBIAN_FRONTEND="noninteractive")
    run(["apt-get", "update", "-q"], quiet=True, env=environment)
    run(["apt-get", "install", "-y", "-q"] + list(packages), quiet=True, env=environment)


def install_e2e_programs() -> None:
    """See to it that the end-to-end tests find their programs."""
    missing = [package for program, package in sorted(E2E_PROGRAMS.items())
               if shutil.which(program, path=os.defpath + ":/usr/sbin:/sbin") is None
               and shutil.which(program) is None]
    if missing:
        install_packages(missing)
