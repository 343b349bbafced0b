"""A soak: real daemons in network namespaces under a random diet of faults and commands.

    python3 build.py soak --minutes=M [--seed=N] [--hosts=N]

A seed decides what is done to the pool, round by round (``soaking/diet.py``); the checkers of the
simulator look at what the daemons recorded (``soaking/witness.py``).  A line of progress each
minute; the last line sums it up.

Ends with 0; with 2 when an invariant was broken, with 3 when a healed pool did not form or elect
in time, with 127 when a daemon or a command ended as none may; with 4 when this machine stood
still so often that the run proves nothing; with 1 when what was asked cannot be understood.  On a
failure everything that tells of it stays in a folder, which is named, with the `timeline` and the
`why` of the archive.  Needs root.
"""
import argparse
import glob
import os
import random
import shutil
import subprocess
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [HERE, os.path.dirname(HERE)]

import sources  # noqa: E402

sources.use(sources.SRC)

from rig.pool import Pool  # noqa: E402  (they stand beside this file)
from soaking import rounds  # noqa: E402
from soaking.rounds import Soak, Verdict  # noqa: E402
from xha import configfile  # noqa: E402

ROOT = os.path.dirname(os.path.dirname(HERE))
CODES = {rounds.WELL: 0, rounds.BREACH: 2, rounds.LIVENESS: 3, rounds.DISTURBED: 4,
         rounds.CRASH: 127}
PROGRESS_S = 60


class Report:
    """What is printed, and kept."""

    def __init__(self, folder):
        self._file = open(os.path.join(folder, "diet.txt"), "w")
        self.began = time.monotonic()
        self._told_at = self.began
        self.rounds = 0
        # Rounds that did not end well, and how.
        self.failed = []

    def line(self, text):
        """Keep a line."""
        print("{:.3f} {}".format(time.monotonic(), text), file=self._file, flush=True)

    def progress(self, soak):
        """A line, each minute."""
        if time.monotonic() >= self._told_at + PROGRESS_S:
            self._told_at = time.monotonic()
            print("{:4.0f} min: {}".format((time.monotonic() - self.began) / 60,
                                           self.summary(soak)), flush=True)

    def worst(self):
        """The verdict on all rounds."""
        kinds = [kind for _, kind in self.failed]
        for kind in (rounds.CRASH, rounds.BREACH, rounds.LIVENESS):
            if kind in kinds:
                return kind
        return rounds.DISTURBED if 2 * len(kinds) > self.rounds else rounds.WELL

    def summary(self, soak):
        """What was done, in numbers."""
        return ("{} rounds, {} deeds, {} lives of daemons, {} machines reset, {} drops, "
                "{} elections; formed again within {:.1f} s; not well: {}; the machine stood still "
                "for {} ms at most".format(
                    self.rounds, soak.deeds, soak.lives, soak.resets, len(soak.witness.drops),
                    soak.elections, soak.longest_form_s,
                    ", ".join("round {} {}".format(*one) for one in self.failed) or "none",
                    soak.stalled_ms(self.began)))


def soak_for(options, pool, folder, report):
    """Play rounds for as long as was asked; gives (kind of the verdict, its text, the soak)."""
    common = configfile.load(pool.hosts[0].config).common
    soak = Soak(pool, common, options.seed, folder, report.line, report.progress)
    number, began = options.first, report.began
    try:
        soak.form()
        while time.monotonic() < report.began + 60 * options.minutes:
            began = time.monotonic()
            report.line("round {}".format(number))
            try:
                soak.round(number)
            except Verdict as verdict:
                kind = rounds.DISTURBED if soak.disturbed(verdict, began) else verdict.kind
                print("round {}: {}: {} (the machine stood still for {} ms at most)".format(
                    number, kind, verdict, soak.stalled_ms(began)), flush=True)
                report.failed.append((number, kind))
                if kind is not rounds.DISTURBED and not options.go_on:
                    raise
                if verdict.kind == rounds.CRASH:
                    raise       # What a daemon that fails so did to the rest is not known.
                rounds.keep(soak, folder, "round-{}".format(number))
                soak.calm()
            report.rounds += 1
            number += 1
        return report.worst(), report.summary(soak)
    except Verdict as verdict:
        rounds.keep(soak, folder, "round-{}".format(number))
        kind = report.failed[-1][1] if report.failed else verdict.kind
        return kind, "round {}: {}\n{}".format(number, verdict, report.summary(soak))
    finally:
        said = sorted(soak.harvest.said.items(), key=lambda one: -one[1])
        report.line("messages: " + ", ".join("{} {}".format(*one) for one in said))
        soak.close()


def incident(archive, folder):
    """Keep what `timeline` and `why` of the archive say of the evidence, and print the end."""
    last = sorted(glob.glob(folder + "/round-*"), key=os.path.getmtime)[-1]
    hosts = [os.path.join(path, "xha") for path in sorted(glob.glob(last + "/host-*"))]
    for name, words in (("timeline", hosts), ("why", hosts)):
        told = subprocess.run([sys.executable, archive, name] + words, stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT).stdout.decode("utf-8", "replace")
        with open(os.path.join(folder, name + ".txt"), "w") as file:
            file.write(told)
        print("\n-- {} (the whole is in {}/{}.txt)\n{}".format(
            name, folder, name, "\n".join(told.splitlines()[-40:])))


def main():
    parser = argparse.ArgumentParser(prog="build.py soak")
    parser.add_argument("--minutes", type=float, default=10)
    parser.add_argument("--seed", type=int, default=random.randrange(10 ** 6))
    parser.add_argument("--first", type=int, default=0, help="the first round")
    parser.add_argument("--hosts", type=int, default=4)
    parser.add_argument("--go-on", action="store_true", help="not to end at the first breach")
    parser.add_argument("--archive", default=os.path.join(ROOT, "dist", "xha.pyz"))
    parser.add_argument("--python", default="/usr/bin/python3")
    try:
        options = parser.parse_args()
    except SystemExit as error:
        return 1 if error.code else 0
    if not 2 <= options.hosts <= 16 or options.minutes <= 0 or not os.path.exists(options.archive):
        print("soak: --hosts is 2 to 16, --minutes more than 0, --archive a file", file=sys.stderr)
        return 1
    replay = "python3 build.py soak --seed={} --first={} --hosts={} --minutes={:g}"
    print("soak: " + replay.format(options.seed, options.first, options.hosts, options.minutes),
          flush=True)
    folder = tempfile.mkdtemp(prefix="xha-soak-")
    archive = os.path.abspath(options.archive)
    report = Report(folder)
    with Pool(options.hosts, [options.python, archive], watchdog="USER") as pool:
        kind, text = soak_for(options, pool, folder, report)
    if not report.failed:
        shutil.rmtree(folder)
    else:
        incident(archive, folder)
        print("\nevidence: {}\nreplay:   {}".format(folder, replay.format(
            options.seed, options.first, options.hosts, options.minutes)))
    print("soak: {}, seed {}: {}".format(kind, options.seed, text))
    return CODES[kind]


if __name__ == "__main__":
    sys.exit(main())
