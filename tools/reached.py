"""Which lines and branches of the core no story reaches, and whether each says why.

A line that cannot be reached in the simulator says so:

    if sender not in self._pool:  # unreached: the format refuses such a datagram
        return []

The comment stands at the end of the line whose branch is not taken, at the first line that is
not reached, or on a line of its own above either.  It speaks for the whole block below it.  A
comment at what *was* reached is as wrong as none at what was not.
"""
import ast
import io
import json
import os
import re
import subprocess
import sys
import tokenize
from typing import Any, Dict, List, NamedTuple, Sequence, Set, Tuple

from tools import environments
from tools.machine import BUILD, ROOT, BuildError, Interpreter, red, run, say

#: Random stories told beside the scenarios and the known seeds.
RUNS = 300

#: The oldest CPython that the pinned coverage package knows.
OLDEST = (3, 11)

TELLER = os.path.join("tests", "sim", "everything.py")
TIDY = os.path.join(ROOT, "tests", "unit", "test_tidy.py")
WORK = os.path.join(BUILD, "coverage")

#: Nothing is left out but by our own comment.
SETTINGS = """[run]
branch = True
data_file = {work}/data
parallel = True
include =
{rooms}
[report]
exclude_lines =
    ^\\b$
partial_branches =
    ^\\b$
"""

COMMENT = re.compile(r"#\s*unreached: \S")


class Missed(NamedTuple):
    """What no story reached of one file."""

    lines: Set[int]
    # (from, to): a line that was reached, and where it never went; below 0: out of the function.
    branches: Set[Tuple[int, int]]


def core() -> List[str]:
    """The paths of the core's modules: those that the tidiness test names so."""
    with open(TIDY, encoding="utf-8") as stream:
        tree = ast.parse(stream.read())
    for node in tree.body:
        if isinstance(node, ast.Assign) and getattr(node.targets[0], "id", "") == "CORE":
            return [os.path.join("src", name + ".py") for name in sorted(
                ast.literal_eval(node.value))]
    raise BuildError("test_tidy.py has no set CORE")


def _comments(text: str) -> Set[int]:
    """The lines of code that an `# unreached:` comment belongs to."""
    lines = text.splitlines()
    found = set()
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        if token.type == tokenize.COMMENT and COMMENT.search(token.string):
            number = token.start[0]
            if lines[number - 1].lstrip().startswith("#"):
                while not lines[number - 1].strip() or lines[number - 1].lstrip().startswith("#"):
                    number += 1
            found.add(number)
    return found


def _blocks(text: str) -> Dict[int, int]:
    """Of each block of statements its first line and its last."""
    blocks = {}  # type: Dict[int, int]
    for node in ast.walk(ast.parse(text)):
        for name in ("body", "orelse", "finalbody", "handlers"):
            block = getattr(node, name, None)
            if not isinstance(block, list):
                continue
            if name == "handlers":
                blocks.update((one.lineno, one.end_lineno) for one in block)
                continue
            if block and isinstance(block[0], ast.Expr) and isinstance(
                    block[0].value, ast.Constant) and isinstance(block[0].value.value, str):
                block = block[1:]  # a docstring is no line that is reached
            if block:
                blocks[block[0].lineno] = getattr(block[-1], "end_lineno")
    return blocks


def judge(text: str, missed: Missed) -> List[Tuple[int, str]]:
    """What is wrong in one file: (line, complaint)."""
    comments, blocks = _comments(text), _blocks(text)
    stale = {line for line in comments
             if line not in missed.lines and not any(one == line for one, _ in missed.branches)}
    excused = set()  # type: Set[int]
    for line in comments - stale:
        heads = {line} & missed.lines | {
            other for one, other in missed.branches if one == line and other in missed.lines}
        for head in heads:
            excused.update(range(head, blocks.get(head, head) + 1))
    found = [(line, "no story reaches what this comment says none can") for line in stale]
    found += [(line, "no story comes here") for line in missed.lines - excused]
    found += [(one, "no story goes from here " + (
        "to line {}".format(other) if other > 0 else "out of the function"))
        for one, other in missed.branches
        if one not in comments and one not in excused and other not in excused
        and other not in missed.lines]
    return sorted(found)


def measure(interpreter: Interpreter, jobs: int) -> None:
    """Tell everything, and print what it misses.  BuildError: something without its reason."""
    if interpreter.number < OLDEST or sys.version_info < (3, 8):
        red("NOT MEASURED: that needs CPython 3.11, and 3.8 or newer to run build.py itself")
        return
    python = environments.environment("coverage", interpreter, "coverage")
    rooms = core()
    report = _report(python, rooms, jobs)
    wrong, excused = 0, 0
    for room in rooms:
        entry = report["files"][room]
        missed = Missed(lines=set(entry["missing_lines"]),
                        branches={(one, other) for one, other in entry["missing_branches"]})
        with open(os.path.join(ROOT, room), encoding="utf-8") as stream:
            text = stream.read()
        complaints = judge(text, missed)
        excused += len(_comments(text))
        for line, complaint in complaints:
            say("{}:{}: {}".format(room, line, complaint))
        wrong += len(complaints)
    totals = report["totals"]
    say("the core: {} of {} lines, {} of {} branches reached; {} comments say why not".format(
        totals["covered_lines"], totals["num_statements"], totals["covered_branches"],
        totals["num_branches"], excused))
    if wrong:
        raise BuildError("{} complaints".format(wrong))


def _report(python: str, rooms: Sequence[str], jobs: int) -> Dict[str, Any]:
    """Run the stories, in so many processes; what coverage says of them."""
    os.makedirs(WORK, exist_ok=True)
    settings = os.path.join(WORK, "settings")
    with open(settings, "w") as stream:
        stream.write(SETTINGS.format(work=WORK, rooms="\n".join("    " + room for room in rooms)))
    coverage = [python, "-B", "-m", "coverage"]
    run(coverage + ["erase", "--rcfile=" + settings], cwd=ROOT)
    workers = [subprocess.Popen(
        coverage + ["run", "--rcfile=" + settings, TELLER, str(job), str(jobs), str(RUNS)],
        cwd=ROOT) for job in range(jobs)]
    if any([worker.wait() for worker in workers]):
        raise BuildError("the stories could not be told")
    run(coverage + ["combine", "-q", "--rcfile=" + settings], cwd=ROOT)
    target = os.path.join(WORK, "report.json")
    run(coverage + ["json", "-q", "--rcfile=" + settings, "-o", target], cwd=ROOT)
    with open(target, encoding="utf-8") as stream:
        report = json.load(stream)  # type: Dict[str, Any]
    return report
