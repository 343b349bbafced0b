"""Random stories: from a seed, what is done to a pool, line by line.

A story is drawn whole before anything happens, in the words of ``simscript``; so it can be
printed, replayed, shortened and kept.  Runs differ in kind, not only in order: each draws a few
kinds of trouble, and then only from those.  Trouble comes in clusters, because two faults an
instant apart find more than two faults a minute apart.

In a part of all stories some hosts, or all, run the original's daemon: which is drawn beside the
rest, so that the story is the one that the seed tells of ours alone.

What is not drawn, because the pool promises nothing then: storage that confirms writes and
loses them (spec 3 assumes it away); clocks that drift apart by more than 1/1000 (spec 13).

Every story lasts for ``LASTS_S`` at least, ends with "everything heals", and tells that the pool
forms again and can elect a master.
"""

from typing import Callable, Dict, List, Tuple

from xha.simdice import Dice
from xha.simpool import QUICK

#: The least simulated time of trouble, s.
LASTS_S = 180

#: Settings that a run may have: quick ones, so that much happens; with differences between the
#: two paths, and between their watchdogs.  Seconds, by the short names of spec 1.
SETTINGS = (
    "", "", "",
    "; Tboot 25; Tenable 25",
    "; T1 7; T2 6; Wh 6; Ws 12",
    "; T1 10; T2 10; Wh 10; Ws 25; t2 2; Tboot 90; Tenable 90",
    "; T1 6; T2 9; Wh 12; Ws 9; Tboot 70",
    "; t1 2; T1 8; T2 8; Wh 8; Ws 12",
)
#: Settings of large pools: those that xapi derives from its least and its default timeout.
LARGE_SETTINGS = ("; T 20", "; T 30", "; T 60")
#: The part of all stories in which xhad peers are.
MIXED = 0.2

_NAMES = {"t1": "HeartbeatInterval", "T1": "HeartbeatTimeout"}
assert QUICK[_NAMES["T1"]] == 5, "the delays and freezes below are chosen around T = 5 s"


class Plan:
    """One story in the making."""

    def __init__(self, seed: int, least: int, most: int, large: bool = False) -> None:
        """``least`` and ``most``: how many hosts it may have."""
        self._dice = dice = Dice("plan {} {}-{}".format(seed, least, most))
        self.count = dice.between(least, most)
        if not large and self.count > 4 and dice.chance(0.5):
            # Most of what can go wrong goes wrong in small pools already, and sooner.
            self.count = dice.between(least, min(4, most))
        self.lines = []  # type: List[str]
        self._at_ms = 0
        self._head(seed, LARGE_SETTINGS if large else SETTINGS)
        kinds = sorted(self._kinds())
        chosen = dice.some(kinds, dice.between(2, 8))
        self._chosen = [self._kinds()[name] for name in chosen] + [self.start_down]
        for _ in range(dice.between(3, 14)):
            self._pause()
            dice.choice(self._chosen)()
        self._pause()
        end_ms = max(self._at_ms, LASTS_S * 1000)
        self.lines.append("at {:.3f} s: everything heals".format(end_ms / 1000))
        self.lines += ["the pool forms again", "a master is elected"]

    def _head(self, seed: int, settings: Tuple[str, ...]) -> None:
        dice = self._dice
        head = "pool of {}; seed {}{}".format(self.count, seed, dice.choice(settings))
        if dice.chance(0.3):
            head += "; weights " + ",".join(
                str(dice.choice((1, 1, 2, 5))) for _ in range(self.count))
        if dice.chance(0.7):
            head += "; clocks " + ",".join(
                str(dice.choice((-500, 500, dice.between(-500, 500)))) for _ in range(self.count))
        if dice.chance(0.7):
            head += "; reset 95"
        if dice.chance(0.4):
            head += "; boot {}".format(dice.choice((3, 10, 30)))
        others = Dice("xhad peers {}".format(seed))
        if self.count > 1 and others.chance(MIXED):
            some = others.some(list(range(self.count)), others.between(1, self.count - 1))
            head += "; xhad " + ",".join(str(host) for host in sorted(some))
        self.lines.append(head + "; started")

    def _kinds(self) -> Dict[str, Callable[[], None]]:
        """What may happen, by name."""
        return {name: getattr(self, name) for name in (
            "crash", "start_down", "start_spread", "crash_all", "restart", "die", "freeze",
            "freeze_machine", "thaw", "partition", "one_way", "link", "heal", "lossy", "doubling",
            "damaging", "late", "late_one_way", "replay", "disk_fault", "all_disks", "disks_back",
            "short_outage", "slow", "tear", "rot", "unreadable", "rot_global", "propose", "cancel",
            "weigh", "exclude", "disable", "stop", "invalid", "wall", "toolstack", "cut_and_freeze",
            "lone_write_stops")}

    def say(self, line: str) -> None:
        """Let this happen now."""
        self.lines.append("at {:.3f} s: {}".format(self._at_ms / 1000, line))

    def _pause(self) -> None:
        draw = self._dice.draw()
        if draw >= 0.3:
            longest_ms = 1500 if draw < 0.5 else 6000 if draw < 0.8 else 25000
            self._at_ms += int(self._dice.draw() * longest_ms)

    def _later(self, least_ms: int, most_ms: int) -> None:
        self._at_ms += self._dice.between(least_ms, most_ms)

    def _host(self) -> int:
        return self._dice.below(self.count)

    def _hosts(self) -> str:
        """One host, some, or all."""
        draw = self._dice.draw()
        if draw < 0.6:
            return str(self._host())
        some = [str(host) for host in range(self.count) if self._dice.chance(0.5)]
        return ",".join(some) if some and draw < 0.9 else "all"

    # ---- hosts

    def crash(self) -> None:
        """The power of one host, or of some, fails."""
        self.say("host {} crashes".format(self._hosts() if self._dice.chance(0.2)
                                          else self._host()))

    def crash_all(self) -> None:
        """The power of all fails, and comes back."""
        self.say("host all crashes")
        self._later(0, 3000)
        self.say("who is down starts within {} ms".format(self._dice.between(0, 6000)))

    def restart(self) -> None:
        """A host that comes back before the others have noticed."""
        host = self._host()
        self.say("host {} crashes".format(host))
        self._later(0, 8000)
        self.say("host {} starts".format(host))

    def start_down(self) -> None:
        """Somebody starts whoever is down."""
        self.say("who is down starts")

    def start_spread(self) -> None:
        """They come back one after the other."""
        self.say("who is down starts within {} ms".format(self._dice.between(0, 10000)))

    def die(self) -> None:
        """kill -9 of a daemon."""
        self.say("daemon of {} dies".format(self._host()))

    def freeze(self) -> None:
        """A dom0 stands still for around an interval, a time-out, or more."""
        host = self._hosts()
        self.say("host {} freezes".format(host))
        self._later(*self._dice.choice(((200, 600), (1000, 3000), (3500, 5500), (5500, 9000))))
        self.say("host {} thaws".format(host))

    def freeze_machine(self) -> None:
        """A machine stands still as a whole."""
        host = self._host()
        self.say("machine of {} freezes".format(host))
        self._later(*self._dice.choice(((500, 3000), (3500, 9000), (9000, 40000))))
        self.say("machine of {} thaws".format(host))

    def thaw(self) -> None:
        """Whoever is frozen goes on."""
        self.say("host all thaws")

    def cut_and_freeze(self) -> None:
        """Frozen while the others give it up, and back around the moment when they act."""
        host = self._host()
        self.say("host {} freezes".format(host))
        self._later(0, 5000)
        if self._dice.chance(0.5):
            self.say("network of {} cut".format(host))
        self._later(0, 6000)
        self.say("host {} thaws".format(host))

    # ---- network

    def partition(self) -> None:
        """The network falls into two or three parts."""
        sides = [self._dice.below(self._dice.choice((2, 2, 3))) for _ in range(self.count)]
        groups = [",".join(str(host) for host in range(self.count) if sides[host] == side)
                  for side in range(3)]
        groups = [group for group in groups if group]
        if len(groups) > 1:
            self.say("partition " + " | ".join(groups))

    def one_way(self) -> None:
        """One direction is cut."""
        self.say("network from {} to {} cut".format(self._host(), self._hosts()))

    def link(self) -> None:
        """One link is cut: a network that is not transitive."""
        if self.count > 1:
            one, other = self._dice.some(list(range(self.count)), 2)
            self.say("link {}-{} cut".format(one, other))

    def heal(self) -> None:
        """The network is good again."""
        self.say("network heals")

    def lossy(self) -> None:
        """Datagrams are lost."""
        self.say("network loses {} %{}".format(self._dice.choice((10, 30, 60)), self._of()))

    def doubling(self) -> None:
        """Datagrams arrive twice."""
        self.say("network doubles {} %{}".format(self._dice.choice((10, 50)), self._of()))

    def damaging(self) -> None:
        """Datagrams arrive damaged."""
        self.say("network damages {} %{}".format(self._dice.choice((10, 50)), self._of()))

    def late(self) -> None:
        """Datagrams are late, and overtake each other."""
        self.say("network takes {} ms{}".format(self._dice.choice((50, 500, 2500)), self._of()))

    def late_one_way(self) -> None:
        """Datagrams of one direction are late, up to far beyond the time-out."""
        self.say("network from {} to {} takes {} ms".format(
            self._host(), self._hosts(), self._dice.choice((500, 3000, 8000, 20000))))

    def replay(self) -> None:
        """Somebody sends again what was sent before."""
        self.say("old heartbeats of {} arrive again".format(self._hosts()))

    def _of(self) -> str:
        return " of {}".format(self._host()) if self._dice.chance(0.4) else ""

    # ---- State-File

    def disk_fault(self) -> None:
        """Somebody's State-File fails, in one way or another."""
        self.say("statefile of {} {}".format(self._hosts(), self._dice.choice((
            "lost", "lost", "hangs", "unreadable", "unwritable", "misreports writes", "back"))))

    def all_disks(self) -> None:
        """Everybody's State-File fails."""
        self.say("statefile of all {}".format(self._dice.choice(("lost", "hangs"))))

    def disks_back(self) -> None:
        """Everybody's State-File is good again."""
        self.say("statefile of all back")

    def short_outage(self) -> None:
        """A State-File fails for a moment, around the time-out, or longer."""
        hosts = self._dice.choice(("all", self._hosts()))
        self.say("statefile of {} {}".format(hosts, self._dice.choice(("lost", "hangs"))))
        self._later(*self._dice.choice(((500, 4000), (4000, 6000), (6000, 15000))))
        self.say("statefile of {} back".format(hosts))

    def slow(self) -> None:
        """A State-File is slow."""
        self.say("statefile of {} takes {} ms".format(
            self._hosts(), self._dice.choice((100, 400, 1000, 2500))))

    def tear(self) -> None:
        """A write is torn."""
        self.say("next write of {} torn after {}".format(self._host(), self._dice.below(8)))

    def rot(self) -> None:
        """A host's record rots."""
        self.say("record of {} damaged".format(self._host()))

    def unreadable(self) -> None:
        """A host's section cannot be read."""
        self.say("section of {} {}".format(
            self._host(), self._dice.choice(("unreadable", "readable"))))

    def rot_global(self) -> None:
        """The global record rots, or is zeroed."""
        self.say("global record {}".format(self._dice.choice(("damaged", "zeroed"))))

    def lone_write_stops(self) -> None:
        """A host whose heartbeats go on, and whose disk does not; then it is cut off too."""
        host = self._host()
        self.say("statefile of {} {}".format(host, self._dice.choice(("hangs", "unwritable"))))
        self._later(0, 9000)
        self.say("network of {} cut".format(host))

    # ---- commands

    def propose(self) -> None:
        """Somebody, or everybody, proposes itself as master."""
        self.say("{} ask propose-master".format(self._hosts()))

    def cancel(self) -> None:
        """Somebody cancels, and proposes again at once."""
        hosts = self._hosts()
        self.say("{} ask cancel-master".format(hosts))
        if self._dice.chance(0.7):
            self._later(0, self._dice.choice((0, 300, 2000)))
            self.say("{} ask propose-master".format(self._hosts()))

    def weigh(self) -> None:
        """A weight changes."""
        self.say("weight of {} becomes {}".format(self._host(), self._dice.choice((1, 2, 5))))

    def exclude(self) -> None:
        """A host leaves on purpose, and perhaps changes its mind."""
        host = self._host()
        if self._dice.chance(0.8):
            self.say("{} asks disarm-fencing".format(host))
        self.say("{} asks set-excluded".format(host))
        if self._dice.chance(0.3):
            self._later(0, 10000)
            self.say("{} asks clear-excluded".format(host))

    def disable(self) -> None:
        """An administrator gives a host up."""
        self.say("disable HA on {} only".format(self._host()))

    def stop(self) -> None:
        """SIGTERM to a daemon that nobody disarmed."""
        self.say("host {} stops".format(self._host()))

    def invalid(self) -> None:
        """The pool state is set: active again, or, seldom, invalid."""
        if self._dice.chance(0.1):
            self.say("{} asks set-pool-state invalid".format(self._host()))
        else:
            self.say("{} asks set-pool-state active".format(self._host()))

    def wall(self) -> None:
        """A wall clock jumps."""
        self.say("wall clock of {} jumps by {} s".format(
            self._hosts(), self._dice.choice((-86400, -3600, -2, 5, 3600))))

    def toolstack(self) -> None:
        """xapi fails, for good or for a moment."""
        host = self._host()
        self.say("toolstack of {} fails".format(host))
        if self._dice.chance(0.5):
            self._later(0, 3000)
            self.say("toolstack of {} recovers".format(host))
