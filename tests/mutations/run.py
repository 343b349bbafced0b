"""Prove that the simulator's checkers check: each mutant must be found.

    python3 tests/mutations/run.py [--jobs J] [--only NAME] [--limit 5000] [--first SEED]
                                   [--control N] [--all] [--known] [--record]

For each mutant (``mutants.py``), in a process of its own with a mutated copy of ``src/``: first
what found it the last time (``found.txt``), then its own story (``stories/<name>.scn``), where
what shows it comes together too seldom by chance, then, where its rooms have one, the exhaustive
model of tests/models, then the scenarios of tests/scenarios, whose invariants are checked too, and
then the stories of the seeds from ``--first`` on, until one ends badly.
After that the seeds that found a mutant, the first ``--control`` ones, and all of ``stories/``
are told with the sources as they are: all must end well.  Exits with 1 when a mutant survives
``--limit`` stories, or the control does not end well.

``--known`` tries nothing but what found each mutant the last time, which is quick; ``--record``
writes down what found them now.

Mutants that nothing is known to find (``survives``) are told of, and run only with ``--all`` or
by their name; if one is found after all, that is said.
"""
import argparse
import concurrent.futures
import json
import os
import subprocess
import sys
import tempfile

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
sys.path.insert(0, os.path.dirname(sys.path[0]))
import mutants  # noqa: E402  (it stands beside this file, wherever this is called from)
import sources  # noqa: E402

HERE = os.path.dirname(os.path.abspath(__file__))
#: What found each mutant: its name, and the seed of a story, the name of a model or of a
#: scenario, or STORY.
FOUND = os.path.join(HERE, "found.txt")
#: The story written for a mutant, in the language of scenarios.
STORY = "story"
STORIES = os.path.join(HERE, "stories")
SCENARIOS = os.path.join(os.path.dirname(HERE), "scenarios")
#: How many hosts the pools of the stories have.
LEAST, MOST = 2, 6
#: Rooms whose rules a model of tests/models explores.
MODELS = {"liveset": "test_survival_model", "masterlock": "test_masterlock_model"}


def written_stories(folder=STORIES):
    """The mutants that have a story of their own; or the names of the scenarios."""
    return sorted(name[:-4] for name in os.listdir(folder) if name.endswith(".scn"))


def read_story(name):
    """The text of a mutant's own story, or of a scenario."""
    folder = STORIES if name in written_stories() else SCENARIOS
    with open(os.path.join(folder, name + ".scn"), encoding="ascii") as stream:
        return stream.read()


def tell(src, stories):
    """Tell stories until one ends badly; print what became of them, as JSON.

    A story is a seed, or the name of one that is written: for a mutant, or as a scenario.
    """
    sources.use(src)
    from xha import simplan, simrun, simscript
    runs, found = 0, None
    for story in stories:
        runs += 1
        lines = (simplan.Plan(story, LEAST, MOST).lines if isinstance(story, int)
                 else simscript.commands_of(read_story(story)))
        result = simrun.run(lines)
        if result.ending is not simrun.Ending.WELL:
            found = {"by": story, "ending": result.ending.value, "text": result.text}
            break
    print(json.dumps({"runs": runs, "found": found}))


def told(src, stories):
    """What became of stories that another process told."""
    child = subprocess.run(
        [sys.executable, "-B", os.path.abspath(__file__), "--tell", src],
        input=json.dumps(stories), stdout=subprocess.PIPE, universal_newlines=True)
    if child.returncode:
        return {"runs": 0, "found": None,
                "error": "its process ended with {}".format(child.returncode)}
    return json.loads(child.stdout)


def explored(src, model):
    """What became of a model that another process explores."""
    child = subprocess.run(
        [sys.executable, "-B", "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider",
         os.path.join(sources.ROOT, "tests", "models", model + ".py")],
        env=dict(os.environ, XHA_SRC=src), stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, universal_newlines=True)
    if child.returncode not in (0, 1):
        return {"runs": 0, "found": None, "error": child.stdout[-500:]}
    failed = [line for line in child.stdout.splitlines() if line.startswith("FAILED")]
    return {"runs": 0, "found": {"by": model, "ending": "model", "text": failed[0].split("::")[1]}
            if child.returncode else None}


def tries_of(mutant, known, seeds):
    """What may find a mutant, in order: each the name of a model, or stories."""
    models = [MODELS[room] for room in sorted({edit.room for edit in mutant.edits})
              if room in MODELS]
    tries = []
    if known == STORY:
        tries.append([mutant.name])
    elif known:
        tries.append(known if known in MODELS.values()
                     else [int(known) if known.isdigit() else known])
    if seeds:
        if mutant.name in written_stories():
            tries.append([mutant.name])
        tries += models + [written_stories(SCENARIOS), seeds]
    return [one for number, one in enumerate(tries) if one not in tries[:number]]


def try_mutant(mutant, known, seeds):
    """What finds a mutant: what is known to, its own story, a model, or the story of a seed."""
    runs, result = 0, {"found": None}
    with tempfile.TemporaryDirectory() as folder:
        src = os.path.join(folder, "src")
        mutants.write_copy(mutant, src)
        for one in tries_of(mutant, known, seeds):
            result = told(src, one) if isinstance(one, list) else explored(src, one)
            runs += result["runs"]
            if result["found"] or "error" in result:
                break
    if result["found"] and result["found"]["by"] == mutant.name:
        result["found"]["by"] = STORY
    return dict(result, runs=runs)


def read_found():
    """By mutant: what found it the last time."""
    with open(FOUND) as stream:
        rows = [line.split() for line in stream if line.strip() and not line.startswith("#")]
    return {row[0]: row[1] for row in rows}


def write_found(found):
    """Keep the head of the file; write what found each mutant, in the order of their list."""
    with open(FOUND) as stream:
        head = [line for line in stream if line.startswith("#")]
    rows = ["{:36} {}\n".format(one.name, found[one.name])
            for one in mutants.MUTANTS if one.name in found]
    with open(FOUND, "w") as stream:
        stream.writelines(head + rows)


def hunt(chosen, known, seeds, jobs):
    """Try mutants; say what became of each.  Returns: (what found each, survivors)."""
    by_name, survivors = {}, []
    with concurrent.futures.ThreadPoolExecutor(jobs) as pool:
        waiting = {pool.submit(try_mutant, mutant, known.get(mutant.name), seeds): mutant
                   for mutant in chosen}
        for done in concurrent.futures.as_completed(waiting):
            mutant, result = waiting[done], done.result()
            found = result["found"]
            if found:
                by_name[mutant.name] = str(found["by"])
                text = "{}: {} ({}, run {})".format(
                    found["ending"], found["text"], found["by"], result["runs"])
                if mutant.survives:
                    text += "  [was thought to survive]"
            else:
                text = result.get("error") or "SURVIVES {} runs".format(result["runs"])
                if not mutant.survives or "error" in result:
                    survivors.append(mutant.name)
            print("{:36} {}".format(mutant.name, text), flush=True)
    return by_name, survivors


def control(stories, jobs):
    """Tell the same stories without a mistake.  Returns: whether all ended well."""
    parts = [part for part in (stories[job::jobs] for job in range(jobs)) if part]
    with concurrent.futures.ThreadPoolExecutor(jobs) as pool:
        results = list(pool.map(lambda part: told(mutants.SRC, part), parts))
    bad = [result for result in results if result["found"] or "error" in result]
    for result in bad:
        print("control: {}".format(result.get("error") or result["found"]))
    if not bad:
        print("control: {} stories end well with the sources as they are".format(len(stories)))
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
    parser.add_argument("--known", action="store_true",
                        help="try only what found each mutant the last time")
    parser.add_argument("--record", action="store_true", help="write down what found them")
    parser.add_argument("--tell", help=argparse.SUPPRESS)
    words = parser.parse_args()
    if words.tell:
        tell(words.tell, json.load(sys.stdin))
        return 0
    chosen = [mutants.named(name) for name in words.only or ()] or [
        mutant for mutant in mutants.MUTANTS if words.all or not mutant.survives]
    known = read_found()
    seeds = [] if words.known else list(range(words.first, words.first + words.limit))
    found, survivors = hunt(chosen, known, seeds, words.jobs)
    if words.record:
        write_found(dict(known, **found))
    for mutant in mutants.MUTANTS:
        if mutant.survives and mutant not in chosen:
            print("{:36} not run: {}".format(mutant.name, mutant.survives))
    used = {int(by) for by in found.values() if by.isdigit()}
    well = control(sorted(used | set(range(words.first, words.first + words.control)))
                   + written_stories(), words.jobs)
    print("{} mutants, {} survive{}".format(
        len(chosen), len(survivors), ": " + " ".join(survivors) if survivors else ""))
    return 0 if well and not survivors else 1


if __name__ == "__main__":
    sys.exit(main())
