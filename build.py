#!/usr/bin/env python3
"""The one tool of this repository: python3 build.py COMMAND.

Commands:
  demo      build the archive and watch a pool of this machine fail over
  test      everything that CI does: check, unit, fuzz, sim, patch, archive, e2e
  check     read the code without running it: tidiness, types, syntax of CPython 3.6
  unit      the quick tests, on the newest and the oldest CPython found here; together they
            must provoke every message of sysloglist
  sim       random stories of a virtual pool: the known seeds, and three minutes of fresh ones
  fuzz      every decoder and parser against arbitrary bytes, for three minutes
            [--minutes=M] [--target=NAME]... [--replay=INPUT] [--keep]: see tests/fuzz/
  coverage  which lines and branches of the core no story of the virtual pool reaches (7 minutes)
  bench     how fast the simulator is; what a daemon at rest costs, and its flight recorder (root)
  patch     apply hypervisor_patch/ to Debian's source of Xen (downloaded once, 5 MB)
  archive   build dist/xha.pyz
  e2e       real daemons from the archive, in network namespaces (root)
  soak      real daemons under a random diet of faults and commands (root; not part of CI)
            [--minutes=M] [--seed=N] [--hosts=N] [--go-on]: see tests/e2e/soak.py
  xen       real Xen hosts in an emulator: the watchdog, pools that lose hosts (not part of CI)

Each command sets up what it needs under build/, from pinned and hashed sources; nothing is
installed on this machine, but for Debian packages that e2e needs when root runs it.
Standard library only: runs on the python3 that is here, from 3.6 on.
"""
import filecmp
import os
import shutil
import subprocess
import sys
from typing import List, Sequence

from tools import archive, dependencies, environments, machine, reached, simulation, xensource
from tools.machine import BUILD, ROOT, BuildError, Interpreter, Stages, red, run, say

DIST = os.path.join(ROOT, "dist", "xha.pyz")

#: Tests that are stages of their own; all others are quick.
SLOW_TESTS = ("archive", "e2e", "patch", "xen")

#: How long one run of pytest may take before it is ended, s: several times what it takes.
QUICK_S, POOLS_S, XEN_S = 600, 2400, 7200

#: How long random stories are told in one run of `sim`, minutes.
FRESH_MINUTES = 3

#: How long all decoders and parsers together are fuzzed in one run of `fuzz`, minutes.
FUZZ_MINUTES = 3

#: End-to-end tests that run side by side on two cores: their pools mostly wait.
POOLS_AT_ONCE = 6

#: All the code that is ours.
CODE = ("src", "boot", "tools", "tests", "build.py")


class House:
    """What the commands share: the Pythons of this machine and the environments for them."""

    def __init__(self) -> None:
        wanted = dependencies.read_spec()["pythons"]["versions"].split()
        self.pythons = machine.interpreters(wanted)
        self.builder = environments.environment("build", machine.own_interpreter(), "build")
        dependencies.build(self.builder, self.pythons, BUILD)
        say("CPython found here: " + " ".join(
            "{}{}".format(python.release, "" if python.include else " (no headers)")
            for python in self.pythons))

    @property
    def newest(self) -> Interpreter:
        """The Python that runs all that does not depend on the version."""
        return self.pythons[-1]


def pytest(limit_s: int, python: str, *arguments: str) -> None:
    """Run pytest, for ``limit_s`` seconds at most; a failure, or no test, ends the build."""
    machine.run_bounded([python, "-B", "-m", "pytest", "-q"] + list(arguments), limit_s)


def check(house: House) -> None:
    """Tidiness, types, and the syntax and library of CPython 3.6."""
    pytest(QUICK_S, environments.for_tests(house.newest),
           os.path.join("tests", "unit", "test_tidy.py"))
    if house.newest.number < (3, 10):
        red("NOT CHECKED: types and syntax; the checkers need CPython 3.10 or newer")
        return
    python = environments.environment("check", house.newest, "check")
    code = [name for name in CODE if os.path.exists(os.path.join(ROOT, name))]
    run([python, "-W", "ignore", "-m", "pyflakes"] + code, cwd=ROOT)
    vermin = os.path.join(os.path.dirname(python), "vermin")
    run([vermin, "-q", "-t=3.6-", "--violations", "--eval-annotations"] + code, cwd=ROOT)
    tree = os.path.join(BUILD, "tree")  # where src/ has the name that it is imported by
    os.makedirs(tree, exist_ok=True)
    if not os.path.islink(os.path.join(tree, "xha")):
        os.symlink(archive.SRC, os.path.join(tree, "xha"))
    mypy = [python, "-m", "mypy", "--strict", "--cache-dir", os.path.join(BUILD, "mypy")]
    run(mypy + ["-p", "xha"], cwd=ROOT, env=dict(os.environ, MYPYPATH=tree))
    run(mypy + ["build.py", "tools", os.path.join("boot", "_xha.py")], cwd=ROOT,
        env=dict(os.environ, MYPYPATH=tree))


def unit(pythons: Sequence[Interpreter]) -> None:
    """All quick tests, on each of these Pythons; those marked `ends` on the first and the last."""
    ignored = ["--ignore=" + os.path.join("tests", name) for name in SLOW_TESTS]
    for python in pythons:
        say("-- CPython " + python.release)
        at_once = ["-n", str(os.cpu_count() or 1)]
        fewer = [] if python in (pythons[0], pythons[-1]) else ["-m", "not ends"]
        whole = [] if fewer else ["--catalogue"]
        pytest(QUICK_S, environments.for_tests(python), "tests",
               *(ignored + at_once + fewer + whole))


def fuzz(house: House, options: Sequence[str] = ()) -> None:
    """Every decoder and parser, against arbitrary bytes, guided by the branches they take."""
    if house.newest.number < (3, 12) or os.uname().machine != "x86_64":
        red("NOT RUN: fuzzing; the fuzzer needs CPython 3.12 or newer, on x86-64")
        return
    run([environments.environment("fuzz", house.newest, "fuzz"), "-B",
         os.path.join("tests", "fuzz", "run.py")]
        + (list(options) or ["--minutes={}".format(FUZZ_MINUTES)]), cwd=ROOT)


def soak(house: House, options: Sequence[str]) -> int:
    """Real daemons under a random diet; the exit code tells what came of it."""
    if os.geteuid() != 0:
        red("NOT RUN: the soak needs root, for network namespaces")
        return 1
    machine.install_e2e_programs()
    return subprocess.call([environments.for_tests(house.newest), "-B",
                            os.path.join("tests", "e2e", "soak.py")] + list(options), cwd=ROOT)


def known_seeds(house: House) -> None:
    """Random stories that once failed: well by now, and the same on two Pythons."""
    simulation.tell_known(house.newest, house.pythons[0])


def sim(house: House) -> None:
    """The virtual pool: seeds that nobody has told yet."""
    simulation.tell_fresh(house.newest, FRESH_MINUTES, os.cpu_count() or 1)


def coverage(house: House) -> None:
    """The core, by scenarios and random stories alone: every branch taken, or told why not."""
    reached.measure(house.newest, os.cpu_count() or 1)


def bench(house: House) -> None:
    """The speed of the simulator, on the newest and the oldest Python here."""
    for python in (house.newest, house.pythons[0]):
        run([environments.for_tests(python), "-B", os.path.join("tests", "sim", "bench.py")],
            cwd=ROOT)


def rest(house: House) -> None:
    """What a daemon at rest costs, on each Python that has a budget of memory, and the newest."""
    if os.geteuid() != 0:
        red("NOT RUN: what a daemon at rest costs; that needs root, for network namespaces")
        return
    machine.install_e2e_programs()
    for python in house.pythons:
        if python.version in ("3.6", "3.12") or python is house.newest:
            run([environments.for_tests(house.newest), "-B",
                 os.path.join("tests", "e2e", "rest.py"), "--python=" + python.python], cwd=ROOT)


def patch(house: House) -> None:
    """The patch for Xen, on the source that it is for."""
    missing = [name for name in xensource.PROGRAMS if shutil.which(name) is None]
    if missing:
        red("NOT RUN: the patch for Xen was not applied; missing here: " + " ".join(missing))
        return
    try:
        xensource.fetch()
    except xensource.Unreachable as error:
        red("NOT RUN: the patch for Xen was not applied; {}".format(error))
        return
    pytest(QUICK_S, environments.for_tests(house.newest), os.path.join("tests", "patch"))


def build_archive(house: House) -> None:
    """dist/xha.pyz."""
    archive.build(house.builder, house.pythons, BUILD, DIST)


def build_again(house: House) -> None:
    """Build the archive once more, from nothing and elsewhere; it must be the same file."""
    again = os.path.join(BUILD, "again")
    shutil.rmtree(again, ignore_errors=True)
    os.makedirs(again)
    archive.build(house.builder, house.pythons, again, os.path.join(again, "xha.pyz"))
    if not filecmp.cmp(DIST, os.path.join(again, "xha.pyz"), shallow=False):
        raise BuildError("two builds of the same sources differ")
    say("byte-identical")


def try_archive(house: House) -> None:
    """The built archive, on every Python found here."""
    pytest(QUICK_S, environments.for_tests(house.newest), os.path.join("tests", "archive"))


def e2e(house: House) -> None:
    """Real daemons, in network namespaces of the test's own."""
    if os.geteuid() != 0:
        red("NOT RUN: the end-to-end tests need root, for network namespaces")
        return
    machine.install_e2e_programs()
    pytest(POOLS_S, environments.for_tests(house.newest), "-n", str(POOLS_AT_ONCE),
           os.path.join("tests", "e2e"))


def xen(house: House) -> None:
    """Real Xen: one host and, beside it, a pool of three."""
    pytest(XEN_S, environments.for_tests(house.newest), "-n", "2", "--dist", "loadfile",
           os.path.join("tests", "xen"))


def demo() -> None:
    """Play the tour; returns when it is over, with its exit code."""
    interpreter = dependencies.read_spec()["archive"]["interpreter"]
    start = [DIST] if os.access(interpreter, os.X_OK) else [sys.executable, DIST]
    sys.stdout.flush()
    os.execv(start[0], start + ["sandbox", "--tour"])


def run_command(command: str, stages: Stages) -> None:
    """Run one command of the usage text.  BuildError: it failed."""
    house = stages.run("set-up", House)
    ends = [house.newest] + ([house.pythons[0]] if len(house.pythons) > 1 else [])
    if command in ("check", "test"):
        stages.run("check", check, house)
    if command in ("unit", "test"):
        stages.run("unit", unit, house.pythons if command == "test" else ends)
    if command == "test":
        stages.run("fuzz", fuzz, house)
    if command in ("sim", "test"):
        stages.run("known seeds", known_seeds, house)
        stages.run("fresh seeds", sim, house)
    if command == "coverage":
        stages.run("coverage", coverage, house)
    if command == "bench":
        stages.run("bench", bench, house)
    if command in ("patch", "test"):
        stages.run("patch", patch, house)
    if command in ("archive", "test", "demo", "e2e", "xen", "bench"):
        stages.run("archive", build_archive, house)
    if command == "bench":
        stages.run("a daemon at rest", rest, house)
    if command == "test":
        stages.run("archive again", build_again, house)
        stages.run("archive on every Python", try_archive, house)
    if command in ("e2e", "test"):
        stages.run("e2e", e2e, house)
    if command == "xen":
        stages.run("xen", xen, house)
    say("\n{}: {}".format(command, stages.summary()))
    if command == "demo":
        demo()


def with_options(command: str, options: List[str]) -> int:
    """Run `fuzz` or `soak`, which take options of their own; its exit code.  BuildError."""
    stages = Stages()
    house = stages.run("set-up", House)
    if command == "fuzz":
        stages.run("fuzz", fuzz, house, options)
        return 0
    stages.run("archive", build_archive, house)
    code = stages.run("soak", soak, house, options)  # type: int
    return code


COMMANDS = ("demo", "test", "check", "unit", "sim", "coverage", "bench", "patch", "archive", "e2e",
            "xen")
#: Those that take options of their own; each is run alone.
WITH_OPTIONS = ("fuzz", "soak")


def main(arguments: List[str]) -> int:
    """Run the commands; 0: all is well, 1: something failed, 2: not a command; soak's own."""
    alone = arguments[:1] and arguments[0] in WITH_OPTIONS
    if not alone and (not arguments or not set(arguments) <= set(COMMANDS)):
        print(__doc__)
        return 0 if arguments in (["-h"], ["--help"], ["help"]) else 2
    try:
        if alone:
            return with_options(arguments[0], arguments[1:])
        for command in arguments:
            run_command(command, Stages())
    except BuildError as error:
        say(str(error))
        red("FAILED")
        return 1
    except KeyboardInterrupt:
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
