"""What is done to a pool in one round of the soak: from a seed, line by line.

A round is drawn whole before anything happens, so it can be printed and replayed: the same seed
and the same number of hosts give the same rounds.  What comes of them depends on this machine's
timing, too, so a replay need not end in the same way.

A round draws a few kinds of trouble and then only from those, in clusters, as the random stories
of ``simplan`` do.  Not drawn: storage that confirms writes and loses them (spec 3 assumes it
away).  Each line is one of ``LINES``; ``touches`` says whom it may cost its membership.
"""

import re

from xha.simdice import Dice

#: The lines by name: a pattern, and which hosts are touched: those of its group "hosts" (or the
#: whole pool for "all"), or nobody.
LINES = [
    ("crash", r"power of (?P<hosts>\d+) fails", True),
    ("kill", r"daemon of (?P<hosts>\d+) is killed", True),
    ("restart", r"daemon of (?P<hosts>\d+) is killed and started at once", True),
    ("stop", r"daemon of (?P<hosts>\d+) gets SIGTERM", True),
    ("freeze", r"daemon of (?P<hosts>\d+) stands still for (?P<ms>\d+) ms", True),
    ("part", r"network falls into (?P<groups>[\d,| ]+)", True),
    ("link", r"link (?P<hosts>\d+,\d+) is cut", True),
    ("one_way", r"way (?P<hosts>\d+,\d+) is cut", True),
    ("heal", r"network heals", False),
    ("disk", r"State-File of (?P<hosts>[\d,]+|all) (?P<fault>fails|hangs|does not write|"
             r"does not read|tears)", True),
    ("slow", r"State-File of (?P<hosts>[\d,]+|all) takes (?P<ms>\d+) ms", True),
    ("disk_back", r"State-File of (?P<hosts>all) is well", False),
    ("disarm", r"host (?P<hosts>\d+) is disarmed and stopped", True),
    ("exclude", r"host (?P<hosts>\d+) is disarmed and excluded", True),
    ("enable", r"who was stopped is started", False),
    ("disable_all", r"host (?P<hosts>\d+) sets the pool state to invalid", True),
    ("active", r"host (?P<quiet>\d+) sets the pool state to active", False),
    ("propose", r"(?P<quiet>[\d,]+) ask to be master", False),
    ("cancel", r"(?P<quiet>[\d,]+) give the lock back", False),
    ("rekey", r"host (?P<quiet>\d+) is asked for a new pool key", False),
    ("hold", r"xapi of (?P<quiet>\d+) is held", False),
    ("forge", r"forged datagrams reach (?P<quiet>\d+)", False),
    ("replay", r"recorded heartbeats reach (?P<quiet>\d+) again", False),
    ("flood", r"a flood reaches (?P<quiet>\d+) for (?P<ms>\d+) ms", False),
    ("attack", r"control socket of (?P<quiet>\d+) is attacked", False),
    ("rotate", r"log of (?P<quiet>\d+) is rotated", False),
    ("fill", r"/var of (?P<quiet>\d+) is full", False),
    ("empty", r"/var of (?P<quiet>\d+) has room", False),
]
_KNOWN = [(name, re.compile(pattern + r"\Z"), touching) for name, pattern, touching in LINES]

#: How long the trouble of a round lasts, ms.
SHORTEST_MS, LONGEST_MS = 25000, 60000


def understand(line, count):
    """(name of the line, its parts, whom it touches); AssertionError: it says nothing."""
    for name, pattern, touching in _KNOWN:
        found = pattern.match(line)
        if not found:
            continue
        parts = found.groupdict()
        hosts = []
        if name == "part":
            groups = [_numbers(group, count) for group in parts["groups"].split("|")]
            largest = max(groups, key=len)
            hosts = [host for group in groups if group is not largest for host in group]
            parts["groups"] = groups
        elif touching or parts.get("hosts"):
            hosts = parts["hosts"] = _numbers(parts["hosts"], count)
        if parts.get("quiet"):
            parts["quiet"] = _numbers(parts["quiet"], count)
        if name == "disable_all":
            hosts = list(range(count))
        return name, parts, sorted(hosts) if touching else []
    raise AssertionError("no line of a diet: " + line)


def _numbers(text, count):
    return list(range(count)) if text == "all" else [int(host) for host in text.split(",")]


class Round:
    """One round in the making: ``lines``, each with its ms since the round began."""

    def __init__(self, seed, number, count):
        self._dice = dice = Dice("soak {} round {} of {}".format(seed, number, count))
        self.count = count
        self.lines = []
        #: How long a machine takes from its reset to the start of its daemon, s.
        self.boot_s = dice.choice((1, 3, 8, 15))
        self._at_ms = 0
        kinds = [getattr(self, name) for name in (
            "crash", "kill", "restart", "stop", "freeze", "freeze", "part", "isolate", "link",
            "one_way", "cut_and_freeze", "disk", "disk", "all_disks", "slow", "disarm", "exclude",
            "propose", "propose", "cancel", "rekey", "rekey")]
        noises = [getattr(self, name) for name in (
            "hold", "forge", "replay", "flood", "attack", "rotate", "fill", "active")]
        chosen = dice.some(kinds, dice.between(2, 5)) + dice.some(noises, dice.between(2, 4))
        until_ms = dice.between(SHORTEST_MS, LONGEST_MS)
        while self._at_ms < until_ms:
            dice.choice(chosen)()
            self._pause()
            if dice.chance(0.15):
                self.say(dice.choice(("network heals", "State-File of all is well",
                                      "who was stopped is started")))
        if dice.chance(0.08):
            self.say("host {} sets the pool state to invalid".format(self._host()))
            self._at_ms += 20000
        self.lasts_ms = self._at_ms

    def say(self, line):
        understand(line, self.count)
        self.lines.append((self._at_ms, line))

    def _pause(self):
        draw = self._dice.draw()
        if draw >= 0.25:
            longest_ms = 1500 if draw < 0.45 else 6000 if draw < 0.8 else 22000
            self._at_ms += int(self._dice.draw() * longest_ms)

    def _later(self, least_ms, most_ms):
        self._at_ms += self._dice.between(least_ms, most_ms)

    def _host(self):
        return self._dice.below(self.count)

    def _some(self):
        """One host, mostly; else some."""
        some = [str(host) for host in range(self.count) if self._dice.chance(0.5)]
        return ",".join(some) if some and self._dice.chance(0.4) else str(self._host())

    def _two(self):
        return ",".join(map(str, self._dice.some(list(range(self.count)), 2)))

    # ---- hosts

    def crash(self):
        self.say("power of {} fails".format(self._host()))

    def kill(self):
        self.say("daemon of {} is killed".format(self._host()))

    def restart(self):
        self.say("daemon of {} is killed and started at once".format(self._host()))

    def stop(self):
        self.say("daemon of {} gets SIGTERM".format(self._host()))

    def freeze(self):
        """Around an interval, a time-out, or more."""
        least_ms, most_ms = self._dice.choice(
            ((200, 600), (1000, 3000), (3500, 5500), (5500, 9000)))
        self.say("daemon of {} stands still for {} ms".format(
            self._host(), self._dice.between(least_ms, most_ms)))

    def disarm(self):
        self.say("host {} is disarmed and stopped".format(self._host()))

    def exclude(self):
        self.say("host {} is disarmed and excluded".format(self._host()))

    # ---- network

    def part(self):
        sides = [self._dice.below(self._dice.choice((2, 2, 3))) for _ in range(self.count)]
        groups = [",".join(str(host) for host in range(self.count) if sides[host] == side)
                  for side in range(3)]
        groups = [group for group in groups if group]
        if len(groups) > 1:
            self.say("network falls into " + "|".join(groups))

    def isolate(self):
        host = self._host()
        others = ",".join(str(other) for other in range(self.count) if other != host)
        self.say("network falls into {}|{}".format(host, others))

    def link(self):
        self.say("link {} is cut".format(self._two()))

    def one_way(self):
        self.say("way {} is cut".format(self._two()))

    def cut_and_freeze(self):
        """Frozen while the others give it up, and back around the moment when they act."""
        host = self._host()
        self.say("daemon of {} stands still for {} ms".format(
            host, self._dice.between(2000, 6000)))
        self._later(0, 3000)
        others = ",".join(str(other) for other in range(self.count) if other != host)
        self.say("network falls into {}|{}".format(host, others))

    # ---- State-File

    def disk(self):
        self.say("State-File of {} {}".format(self._some(), self._dice.choice((
            "fails", "hangs", "does not write", "does not read", "tears"))))

    def all_disks(self):
        """Around the time-out, or longer."""
        self.say("State-File of all {}".format(self._dice.choice(("fails", "hangs"))))
        self._later(*self._dice.choice(((500, 4000), (4000, 6000), (6000, 15000))))
        self.say("State-File of all is well")

    def slow(self):
        self.say("State-File of {} takes {} ms".format(
            self._dice.choice(("all", self._some())), self._dice.choice((50, 200, 700))))

    # ---- commands

    def propose(self):
        self.say("{} ask to be master".format(self._dice.choice(
            (self._some(), ",".join(map(str, range(self.count)))))))

    def cancel(self):
        """And proposed again at once, perhaps by another."""
        self.say("{} give the lock back".format(
            ",".join(map(str, range(self.count))) if self._dice.chance(0.5) else self._some()))
        self._later(0, self._dice.choice((0, 300, 2000)))
        self.say("{} ask to be master".format(self._some()))

    def active(self):
        self.say("host {} sets the pool state to active".format(self._host()))

    def rekey(self):
        self.say("host {} is asked for a new pool key".format(self._host()))

    def hold(self):
        self.say("xapi of {} is held".format(self._host()))

    # ---- who means it ill

    def forge(self):
        self.say("forged datagrams reach {}".format(self._host()))

    def replay(self):
        self.say("recorded heartbeats reach {} again".format(self._host()))

    def flood(self):
        self.say("a flood reaches {} for {} ms".format(
            self._host(), self._dice.between(1000, 4000)))

    def attack(self):
        self.say("control socket of {} is attacked".format(self._host()))

    # ---- what an administrator's dom0 does

    def rotate(self):
        self.say("log of {} is rotated".format(self._host()))

    def fill(self):
        host = self._host()
        self.say("/var of {} is full".format(host))
        self._later(0, 8000)
        self.say("/var of {} has room".format(host))
