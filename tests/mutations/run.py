"""Prove that the simulator's checkers check: each mutant must be found by a random story.

    python3 tests/mutations/run.py [--jobs J] [--only NAME] [--limit 5000] [--first SEED]
                                   [--control N] [--all]

For each mutant (``mutants.py``), in a process of its own with a mutated copy of ``src/``, the
stories of the seeds from ``--first`` on are told until one ends badly.  Then the seeds that found
a mutant, and the first ``--control`` ones, are told with the sources as they are: all must end
well.  Exits with 1 when a mutant survives ``--limit`` stories, or the control does not end well.

Mutants that random stories are known not to find (``survives``) are told of, and run only with
``--all`` or by their name; if one is found after all, that is said.
"""
import argparse
import concurrent.futures
import importlib.util
import json
import os
import subprocess
import sys
import tempfile

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import mutants  # noqa: E402  (it stands beside this file, wherever this is called from)

DEPENDENCIES = os.path.join(os.path.dirname(mutants.SRC), "build", "dependencies")
#: How many hosts the pools of the stories have.
LEAST, MOST = 2, 6


def use(src):
    """Make a copy of ``src/`` importable as the package ``xha``, as tests/conftest.py does."""
    if os.path.isdir(DEPENDENCIES):
        sys.path.insert(0, DEPENDENCIES)
    spec = importlib.util.spec_from_file_location(
        "xha", os.path.join(src, "__init__.py"), submodule_search_locations=[src])
    sys.modules["xha"] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(sys.modules["xha"])


def tell(src, seeds):
    """Tell stories until one ends badly; print what became of them, as JSON."""
    use(src)
    from xha import simplan, simrun
    runs, found = 0, None
    for seed in seeds:
        runs += 1
        result = simrun.run(simplan.Plan(seed, LEAST, MOST).lines)
        if result.ending is not simrun.Ending.WELL:
            found = {"seed": seed, "ending": result.ending.value, "text": result.text}
            break
    print(json.dumps({"runs": runs, "found": found}))


def told(src, seeds):
    """What became of stories that another process told."""
    child = subprocess.run(
        [sys.executable, "-B", os.path.abspath(__file__), "--tell", src],
        input=json.dumps(seeds), stdout=subprocess.PIPE, universal_newlines=True)
    if child.returncode:
        return {"runs": 0, "found": None,
                "error": "its process ended with {}".format(child.returncode)}
    return json.loads(child.stdout)


def try_mutant(mutant, seeds):
    """What became of the stories that a mutant took part in."""
    with tempfile.TemporaryDirectory() as folder:
        src = os.path.join(folder, "src")
        mutants.write_copy(mutant, src)
        return told(src, seeds)


def hunt(chosen, seeds, jobs):
    """Try mutants; say what became of each.  Returns: (seeds that found one, survivors)."""
    seeds_used, survivors = set(), []
    with concurrent.futures.ThreadPoolExecutor(jobs) as pool:
        waiting = {pool.submit(try_mutant, mutant, seeds): mutant for mutant in chosen}
        for done in concurrent.futures.as_completed(waiting):
            mutant, result = waiting[done], done.result()
            found = result["found"]
            if found:
                seeds_used.add(found["seed"])
                text = "{}: {} (seed {}, run {})".format(
                    found["ending"], found["text"], found["seed"], result["runs"])
                if mutant.survives:
                    text += "  [was thought to survive]"
            else:
                text = result.get("error") or "SURVIVES {} runs".format(result["runs"])
                if not mutant.survives or "error" in result:
                    survivors.append(mutant.name)
            print("{:36} {}".format(mutant.name, text), flush=True)
    return seeds_used, survivors


def control(seeds, jobs):
    """Tell the same stories without a mistake.  Returns: whether all ended well."""
    parts = [part for part in (seeds[job::jobs] for job in range(jobs)) if part]
    with concurrent.futures.ThreadPoolExecutor(jobs) as pool:
        results = list(pool.map(lambda part: told(mutants.SRC, part), parts))
    bad = [result for result in results if result["found"] or "error" in result]
    for result in bad:
        print("control: {}".format(result.get("error") or result["found"]))
    if not bad:
        print("control: {} stories end well with the sources as they are".format(len(seeds)))
    return not bad


def main():
    """Run what the command line asks for."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--jobs", type=int, default=1, help="processes")
    parser.add_argument("--only", action="append", metavar="NAME", help="this mutant alone")
    parser.add_argument("--limit", type=int, default=5000, help="stories for each mutant")
    parser.add_argument("--first", type=int, default=0, metavar="SEED", help="the first seed")
    parser.add_argument("--control", type=int, default=100, metavar="N",
                        help="stories of the unmutated sources, beside those that found one")
    parser.add_argument("--all", action="store_true", help="those that are known to survive too")
    parser.add_argument("--tell", help=argparse.SUPPRESS)
    words = parser.parse_args()
    if words.tell:
        tell(words.tell, json.load(sys.stdin))
        return 0
    chosen = [mutants.named(name) for name in words.only or ()] or [
        mutant for mutant in mutants.MUTANTS if words.all or not mutant.survives]
    used, survivors = hunt(
        chosen, list(range(words.first, words.first + words.limit)), words.jobs)
    for mutant in mutants.MUTANTS:
        if mutant.survives and mutant not in chosen:
            print("{:36} not run: {}".format(mutant.name, mutant.survives))
    well = control(sorted(used | set(range(words.first, words.first + words.control))),
                   words.jobs)
    print("{} mutants, {} survive{}".format(
        len(chosen), len(survivors), ": " + " ".join(survivors) if survivors else ""))
    return 0 if well and not survivors else 1


if __name__ == "__main__":
    sys.exit(main())
