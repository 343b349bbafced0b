"""Tells every scenario, every known seed, and random stories: what coverage is measured of.

    everything.py JOB JOBS RUNS

Job JOB of JOBS tells its share of them.  Whether they end as they should is for others to say
(tests/scenarios, `build.py sim`); a story that ends early is counted here, and no more.
"""
import glob
import os
import sys

TESTS = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
sys.path.insert(0, TESTS)
__import__("conftest")  # Makes src/ importable as xha.

from xha import simcampaign, simrun, simscript  # noqa: E402

#: The hosts that the pools of random stories have.
HOSTS = (1, 8)
#: Random stories that go where no other does: nothing is seen in the largest partition; hosts
#: never agree on a first liveset; a peer says "rule 2"; a bit flips into one's own index.
LONELY = (391, 457, 535, 619)


def stories():
    """(name, lines) of each, the same on every machine; drawn when it is asked for."""
    runs = int(sys.argv[3])
    for path in sorted(glob.glob(os.path.join(TESTS, "scenarios", "*.scn"))):
        with open(path, encoding="ascii") as stream:
            text = stream.read()
        yield os.path.basename(path), lambda text=text: simscript.commands_of(text)
    with open(os.path.join(TESTS, "sim", "seeds.txt"), encoding="ascii") as stream:
        rows = [line.split() for line in stream if line.strip() and not line.startswith("#")]
    for row in rows:
        least, _, most = row[1].partition("-")
        yield "seed " + row[0], drawn(int(row[0]), int(least), int(most or least))
    for seed in list(range(runs)) + [seed for seed in LONELY if seed >= runs]:
        yield "seed {}".format(seed), drawn(seed, *HOSTS)


def drawn(seed, least, most):
    """What tells the lines of a random story."""
    return lambda: simcampaign.lines_of(simcampaign.Task(seed=seed, least=least, most=most))


def main():
    job, jobs = int(sys.argv[1]), int(sys.argv[2])
    told, early = 0, []
    for number, (name, lines) in enumerate(stories()):
        if number % jobs == job:
            told += 1
            if simrun.run(lines()).ending is not simrun.Ending.WELL:
                early.append(name)
    print("{} stories told; ended early: {}".format(told, ", ".join(early) or "none"))


if __name__ == "__main__":
    main()
