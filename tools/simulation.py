"""The simulator's part of a build: known seeds on two Pythons, fresh seeds, the speed."""
import os
import re
import subprocess
from typing import Dict, List, Tuple

from tools import environments
from tools.machine import ROOT, BuildError, Interpreter, run, say

SEEDS = os.path.join(ROOT, "tests", "sim", "seeds.txt")

#: What runs the program from the sources, with the packages that go into the archive.
PROGRAM = os.path.join("tests", "sim", "program.py")

#: Fresh seeds begin at a multiple of this: campaigns of two commits do not tell the same.
APART = 10 ** 6


def known_seeds() -> List[Tuple[str, str]]:
    """(seed, hosts) of each line of the file."""
    with open(SEEDS) as stream:
        rows = [line.split() for line in stream if line.strip() and not line.startswith("#")]
    return [(row[0], row[1]) for row in rows]


def tell_known(newest: Interpreter, oldest: Interpreter) -> None:
    """Tell each known seed on both; BuildError: one fails, or the histories differ."""
    for seed, hosts in known_seeds():
        digests = {}  # type: Dict[str, str]
        for python in (newest, oldest):
            out = _output(python, "--seed=" + seed, "--hosts=" + hosts, "--no-reduce")
            digests[python.release] = re.findall(r"^digest (\w+)$", out, re.M)[-1]
        if len(set(digests.values())) != 1:
            raise BuildError("seed {} gives different histories: {}".format(seed, digests))
        say("seed {:>6} of {:6} {}".format(seed, hosts, digests[newest.release][:16]))


def tell_fresh(python: Interpreter, minutes: int, jobs: int) -> None:
    """Tell seeds that follow from the commit alone for so long.  BuildError: one fails."""
    first = APART * (int(_commit()[:8], 16) % 1000000 + 1)
    _call(python, "--minutes={}".format(minutes), "--first={}".format(first),
          "--jobs={}".format(jobs))


def _commit() -> str:
    try:
        found = subprocess.run(["git", "rev-parse", "HEAD"], cwd=ROOT, stdout=subprocess.PIPE,
                               stderr=subprocess.DEVNULL, check=True).stdout
    except (OSError, subprocess.CalledProcessError):
        say("no commit is known: the fresh seeds are those of none")
        return "0" * 8
    return found.decode("ascii").strip()


def _command(python: Interpreter, arguments: Tuple[str, ...]) -> List[str]:
    return [environments.for_tests(python), "-B", PROGRAM, "simulate"] + list(arguments)


def _call(python: Interpreter, *arguments: str) -> None:
    run(_command(python, arguments), cwd=ROOT)


def _output(python: Interpreter, *arguments: str) -> str:
    done = subprocess.run(_command(python, arguments), cwd=ROOT, stdout=subprocess.PIPE)
    text = done.stdout.decode("ascii")
    if done.returncode:
        say("\n".join(text.splitlines()[-40:]))
        raise BuildError("exit code {}: simulate {}".format(
            done.returncode, " ".join(arguments)))
    return text
