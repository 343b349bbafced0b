"""Outcomes of real stories, told to small pools: what is shown of them is tested by others."""
import functools
import os

from xha import catalogue, simoutcome, simrun

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

with open(os.path.join(ROOT, "sysloglist"), encoding="ascii") as stream:
    CATALOGUE = catalogue.parse(stream.read())

STORIES = {
    "cut": ["pool of 3; started", "network of c cut", "40 s pass"],
    "master on the losing side": ["pool of 3; started", "c asks propose-master", "10 s pass",
                                  "network of c cut", "40 s pass"],
    "alone": ["pool of 1; started", "a asks propose-master", "20 s pass"],
    "blip": ["pool of 3; started", "network of c cut", "2 s pass", "heal", "18 s pass"],
    "nobody": ["pool of 3; started", "statefile of all lost", "20 s pass", "host c crashes",
               "30 s pass"],
    "rule 2": ["pool of 3; started", "statefile of all lost", "20 s pass"],
    "too short": ["pool of 3; started", "network of c cut", "15 s pass"],
    "disarmed": ["pool of 3; started", "c asks disarm-fencing", "3 s pass", "network of c cut",
                 "40 s pass"],
    "back": ["pool of 3; started", "host c crashes", "30 s pass", "host c starts", "30 s pass"],
    "frozen": ["pool of 3; started", "machine of c freezes", "40 s pass", "machine of c thaws",
               "5 s pass"],
    "everybody frozen": ["pool of 2; started", "machine of all freezes", "3 s pass"],
    "many": ["pool of 8; started", "b asks propose-master", "3 s pass", "network of h cut",
             "at 5 s: host g crashes", "at 8 s: machine of f freezes", "at 9 s: daemon of e dies",
             "at 30 s: toolstack of d fails", "at 60 s: machine of f thaws",
             "at 65 s: who is down starts", "at 100 s: look"],
    "ten minutes": ["pool of 3; T 30; started", "at 10 s: partition a,b | c", "at 300 s: heal",
                    "at 320 s: host c starts", "at 600 s: look"],
    "large": ["pool of 24; started",
              "partition 0,1,2,3,4,5,6,7,8,9,10,11,12 | 13,14,15,16,17,18,19,20,21,22,23",
              "host 3 crashes", "40 s pass"],
}


def unreset(pool):
    """Host c is one whom nothing resets, whatever its daemon decides."""
    pool.hosts[2].fence = lambda words: None
    pool.hosts[2].timers.set = lambda watchdog, expires_at_ms: None


def failing(pool):
    """The code of host a fails in the 20th second."""
    def fail():
        raise AssertionError("host <a> & its core")
    pool.timeline.after(20000, fail)


def told(lines, made=lambda pool: None, settings=None):
    """The outcome of a story."""
    recorder = simoutcome.Recorder()

    def take(pool):
        recorder.watch(pool)
        made(pool)

    result = simrun.run(lines, settings, made=take, told=recorder.note)
    return recorder.outcome(result, result.began_ms, CATALOGUE)


@functools.lru_cache(maxsize=None)
def outcome_of(name):
    """The outcome of the story of this name."""
    if name == "breach":
        return told(STORIES["cut"], unreset)
    if name == "failure":
        return told(STORIES["cut"], failing)
    return told(STORIES[name])


ALL = sorted(STORIES) + ["breach", "failure"]
