"""The guided tour of a sandbox: a failover, told while it happens and checked as it goes.

Each chapter breaks something, waits for what the daemons themselves report,
and notes what was expected, what was seen, and how long it took.  Nothing is
assumed: an expectation that is not met is said, and makes the tour fail.

Limits on times are generous, for the machine may be busy: what the tour
proves is that things happen, once, and in the right order; above all that a
host is dropped only after it was reset.
"""

import textwrap
import time
from typing import Callable, Dict, FrozenSet, List, NamedTuple

from xha import sandboxfacts, timing
from xha.config import Common
from xha.errors import XhaError
from xha.records import record
from xha.sandboxfacts import ENDED, MEMBER, PoolFacts, State, digits
from xha.sandboxpool import Pool
from xha.sandboxprompt import Prompt
from xha.sandboxwatch import Watch
from xha.screen import Screen

#: A cut such that one side is larger needs so many.
HOSTS_MIN = 3


#: Between two chapters, where somebody may read along, s.
_PAUSE_S = 3.0


@record
class Result(NamedTuple):
    """What came of a tour."""

    # Whether every expectation was met.
    met: bool
    # The table, in lines.
    summary: List[str]


@record
class Finding(NamedTuple):
    """One expectation and what was seen."""

    chapter: str
    expected: str
    # How long it took, s; below 0 where no time belongs to it.
    seconds: float
    met: bool
    seen: str


@record
class Moment(NamedTuple):
    """Something that is awaited."""

    # As an expectation; whether it has come; what is told when it has.
    expected: str
    come: Callable[[PoolFacts], bool]
    story: str


class Stop(Exception):
    """What follows cannot be shown any more, because something expected did not come."""


def members_of(hosts: FrozenSet[int]) -> Callable[[PoolFacts], bool]:
    """Whether just these hosts are online, at rest, and agree on that."""
    return lambda facts: sandboxfacts.agree_on(facts, hosts)


def limit_s(common: Common) -> float:
    """How long to wait for anything at all, s: twice the longest walk of the fault handler."""
    return 2 * (6 * timing.patience_ms(common) + timing.dead_wait_ms(common, 0, True)) / 1000 + 30


class Tour:
    """One tour."""

    def __init__(self, pool: Pool, watch: Watch, screen: Screen, prompt: Prompt) -> None:
        """Take what there is to break and to look at."""
        self._pool, self._watch, self._screen, self._prompt = pool, watch, screen, prompt
        self._common = pool.config.common
        self._limit_s = limit_s(self._common)
        self._findings = []     # type: List[Finding]
        self._chapter = ""
        self._number = 0
        self._everyone = frozenset(range(len(pool.hosts)))
        # Nothing resets a host in this mode.
        self._unsafe = pool.settings.watchdog == "NONE"
        self._began = time.monotonic()

    def play(self) -> Result:
        """All chapters; returns when the last one is over, or one cannot go on."""
        try:
            for chapter in (self._forming, self._election, self._crash, self._new_master,
                            self._return, self._cut, self._heal, self._storage,
                            self._storage_back):
                chapter()
        except Stop:
            self._say("The tour ends here: what follows cannot be shown.", "red")
        except XhaError as error:
            self._find("the sandbox does as it is told", -1.0, False, str(error))
        met = all(finding.met for finding in self._findings)
        self._say("The end: {} of {} expectations were met.".format(
            sum(finding.met for finding in self._findings), len(self._findings)),
            "green bold" if met else "red bold")
        return Result(met=met, summary=self._summary(met))

    # ---- chapters

    def _forming(self) -> None:
        self._begin("A pool forms", (
            "{} hosts start at once.  Each listens for the others' heartbeats and reads what they "
            "write on the shared disk; when all notice all on both paths, they form a liveset."
        ).format(len(self._everyone)))
        began = time.monotonic()
        for host in self._pool.hosts:
            if not host.pid():
                host.start()
        self._expect_all("all online, one liveset ({})", began)
        self._expect("fencing is armed on every host", -1.0, self._await(
            lambda facts: all(host.get("fencing") == "armed" for host in facts.hosts)))

    def _election(self) -> None:
        self._begin("An election", (
            "All hosts are proposed as master in the same moment, as toolstacks do after a power "
            "cut.  The lock is on the shared disk; exactly one may be told TRUE."))
        self._elect(sorted(self._everyone))

    def _crash(self) -> None:
        victim = self._master()
        others = self._everyone - {victim}
        self._victim = victim
        self._begin("The master crashes", (
            "The daemon of host {} is killed with signal 9.  Nobody is told.  The others notice "
            "after T = {} s of silence; {}.").format(
                victim, self._common.heartbeat_timeout_ms // 1000,
                "with watchdog NONE nothing resets that host: THIS POOL IS NOT SAFE"
                if self._unsafe else "its own watchdog timers run on and will reset it within "
                "{} s".format(self._shortest_watchdog_s())))
        self._lose(victim, others, "crash", lambda: self._prompt.run("kill {}".format(victim)))

    def _new_master(self) -> None:
        survivors = self._everyone - {self._victim}
        self._begin("A new master", (
            "The master field still names host {}, but the liveset says that it is gone.  The "
            "survivors propose themselves.").format(self._victim))
        self._elect(sorted(survivors))
        holder = self._master()
        self._expect("the new master is another host", -1.0, holder != self._victim,
                     "host {}".format(holder))

    def _return(self) -> None:
        self._begin("The lost host comes back", (
            "Host {} boots and starts its daemon, which asks the liveset to let it in."
        ).format(self._victim))
        self._restart(self._victim)

    def _cut(self) -> None:
        self._holder = self._master()
        loner = max(self._everyone - {self._holder})
        others = self._everyone - {loner}
        self._victim = loner
        self._begin("The network is cut, {} | 1".format(len(others)), (
            "Host {} hears nobody and is heard by nobody, but all reach the disk.  There the two "
            "sides see that they differ; the larger one lives, and the single host resets itself "
            "rather than run a virtual machine twice.").format(loner))
        self._lose(loner, others, "cut", lambda: self._pool.cut([{loner}]))
        self._expect("the master is still host {}".format(self._holder), -1.0,
                     self._master() == self._holder)

    def _heal(self) -> None:
        self._begin("The network heals", (
            "The cable is mended, and host {} boots.").format(self._victim))
        self._pool.heal()
        self._restart(self._victim)

    def _storage(self) -> None:
        hold_s = self._common.statefile_watchdog_timeout_ms // 1000 + 2
        self._begin("All hosts lose the shared disk", (
            "Every read and write fails, everywhere.  A host that alone lost the disk would have "
            "to die.  But here all hear each other say the same: by survival rule 2 all may "
            "live, as long as nothing else fails."))
        began = time.monotonic()
        self._pool.set_disk("fail", sorted(self._everyone))
        held = self._await(lambda facts: all(
            host.get("survival_rule_2") for host in facts.hosts))
        self._expect("survival rule 2 holds on every host", time.monotonic() - began, held)
        self._say("   +{:.1f} s  Survival rule 2 holds.  No timer is fed from the disk now; the "
                  "hosts feed theirs on what the others say.  We watch for {} s, longer than any "
                  "timer.".format(time.monotonic() - began, hold_s))
        died = self._watch.wait(lambda facts: any(
            host.state not in MEMBER for host in facts.hosts), hold_s)
        self._expect("nobody is reset in {} s".format(hold_s), -1.0, not died)

    def _storage_back(self) -> None:
        self._begin("The disk is back", "The storage answers again, everywhere.")
        began = time.monotonic()
        self._pool.set_disk("ok", sorted(self._everyone))
        ended = self._await(lambda facts: members_of(self._everyone)(facts) and not any(
            host.get("survival_rule_2") for host in facts.hosts) and all(
                host.get("statefile_access") for host in facts.hosts))
        self._expect("survival rule 2 ends, liveset ({})".format(self._digits(self._everyone)),
                     time.monotonic() - began, ended)
        self._expect("the master is still host {}".format(self._holder), -1.0,
                     self._master() == self._holder)

    # ---- what chapters have in common

    def _elect(self, hosts: List[int]) -> None:
        began = time.monotonic()
        told = self._prompt.propose(hosts)
        seconds = time.monotonic() - began
        winners = [index for index in hosts if told[index]]
        answered = all(told[index] is not None for index in hosts)
        self._expect("one TRUE, {} FALSE".format(len(hosts) - 1), seconds,
                     answered and len(winners) == 1,
                     ", ".join("host {} {}".format(index, {True: "TRUE", False: "FALSE"}.get(
                         told[index] or False)) for index in hosts))
        named = self._await(lambda facts: sandboxfacts.master(facts) in winners)
        self._expect("all hosts name the winner", time.monotonic() - began, named,
                     "host {}".format(self._master()))

    def _lose(self, victim: int, others: FrozenSet[int], what: str,
              strike: Callable[[], None]) -> None:
        """A host is lost: follow the others until they have dropped it, and it until its end."""
        awaited = self._moments_of_a_loss(victim, others, what)
        if self._unsafe and what == "crash":
            del awaited["reset"]
        began = time.monotonic()
        strike()
        came_at = self._follow(began, awaited)
        reset_at = self._pool.hosts[victim].reset_at()
        if not self._unsafe:
            self._expect("it is dropped only after its reset", -1.0,
                         0 < reset_at < came_at["dropped"],
                         "{:.1f} s after it".format(came_at["dropped"] - reset_at))

    def _moments_of_a_loss(self, victim: int, others: FrozenSet[int],
                           what: str) -> "Dict[str, Moment]":
        dropped = members_of(others)
        return {
            "noticed": Moment(
                expected="the others notice",
                come=lambda facts: any(facts.hosts[index].state is State.HANDLING
                                       for index in others),
                story="The others have noticed: the fault handler begins.  Step by step they "
                      "exchange what each of them can see, until all see the same."),
            "decided": Moment(
                expected="they decide to go on without it",
                come=lambda facts: dropped(facts) or any(
                    facts.hosts[index].phase in ("fh4", "fh4done") for index in others),
                story="They have decided, and wait {}.".format(self._why_wait(what == "cut"))),
            "reset": Moment(
                expected="host {} is fenced".format(victim),
                come=lambda facts: facts.hosts[victim].state is State.FENCED,
                story="Host {} {}.".format(victim, "ends its daemon; nothing resets the host"
                                           if self._unsafe else "is reset")),
            "dropped": Moment(
                expected="liveset ({}) on all others".format(self._digits(others)),
                come=dropped,
                story="Host {} is out of the liveset: its virtual machines may be started "
                      "elsewhere.".format(victim))}

    def _follow(self, began: float, awaited: "Dict[str, Moment]") -> Dict[str, float]:
        """Wait for all these moments, in whatever order they come; when each came."""
        came_at = {}    # type: Dict[str, float]
        left = sorted(awaited)
        while left:
            self._watch.wait(lambda facts: any(awaited[name].come(facts) for name in left),
                             began + self._limit_s - time.monotonic())
            now, facts = time.monotonic(), self._watch.facts
            come = [name for name in left if awaited[name].come(facts)]
            if not come:
                self._expect(awaited[left[0]].expected, now - began, False)
            for name in come:
                came_at[name] = now
                self._note(began, awaited[name].story)
                self._find(awaited[name].expected, now - began, True, "")
            left = [name for name in left if name not in come]
        return came_at

    def _restart(self, victim: int) -> None:
        began = time.monotonic()
        self._pool.hosts[victim].start()
        self._expect_all("liveset ({}) again", began)

    def _expect_all(self, expected: str, began: float) -> None:
        """All hosts are started: wait until they are members, or one of them has given up."""
        self._watch.fresh()
        come = members_of(self._everyone)
        self._await(lambda facts: come(facts) or any(host.state in ENDED for host in facts.hosts))
        facts = self._watch.facts
        self._expect(expected.format(self._digits(self._everyone)), time.monotonic() - began,
                     come(facts), ", ".join("host {} {}: {}".format(
                         host.index, host.state.value, host.detail)
                         for host in facts.hosts if host.state in ENDED))

    def _why_wait(self, seen_lately: bool) -> str:
        """How long survivors wait for the dead, and why: from the configuration."""
        common = self._common
        wait_s, standard_s, more_s, longest_s, patience_s, beat_s = [
            value_ms / 1000 for value_ms in (
                timing.dead_wait_ms(common, 0, seen_lately), timing.standard_wait_ms(common),
                timing.wait_extension_ms(common), timing.longest_watchdog_ms(common),
                timing.fastest_patience_ms(common), timing.beat_ms(common))]
        text = ("{:g} s at least, until it has certainly been reset: its timers ran for {:g} s at "
                "most from its last sign of life, which is {:g} s old or more; {:g} s for what "
                "was on its way makes {:g} s").format(
                    wait_s, longest_s, patience_s, beat_s, standard_s)
        if seen_lately:
            standard_s += more_s
            text += ", and {:g} s more for a host that wrote until just now".format(more_s)
        if wait_s > standard_s:
            text += "; nobody is ever given up in less than {:g} s".format(wait_s)
        return text

    def _shortest_watchdog_s(self) -> int:
        return min(self._common.heartbeat_watchdog_timeout_ms,
                   self._common.statefile_watchdog_timeout_ms) // 1000

    # ---- telling and noting

    def _begin(self, title: str, text: str) -> None:
        if self._number and self._screen.live:
            # A moment to read what was.
            self._watch.wait(lambda facts: False, _PAUSE_S)
        self._number += 1
        self._chapter = title
        self._say("")
        self._say("{}. {}".format(self._number, title), "bold cyan")
        self._say("   " + text)

    def _say(self, text: str, style: str = "") -> None:
        self._screen.say(text, style)

    def _note(self, began: float, text: str) -> None:
        """A moment of the chapter, with the seconds since it struck."""
        self._say("   +{:.1f} s  {}".format(time.monotonic() - began, text))

    def _await(self, until: Callable[[PoolFacts], bool]) -> bool:
        return self._watch.wait(until, self._limit_s)

    def _expect(self, expected: str, seconds: float, met: bool, seen: str = "") -> None:
        """Note an expectation; what is not met ends the tour."""
        self._find(expected, seconds, met, seen)
        if not met:
            raise Stop()

    def _find(self, expected: str, seconds: float, met: bool, seen: str) -> None:
        self._findings.append(Finding(chapter=self._chapter, expected=expected, seconds=seconds,
                                      met=met, seen=seen))
        took = "" if seconds < 0 else "  {:.1f} s".format(seconds)
        aside = "  ({})".format(seen) if seen and len(expected) + len(seen) < 55 else ""
        self._screen.line([
            ("green bold" if met else "red bold", "   ok  " if met else "   NOT "),
            ("", expected), ("dim", took + aside)])
        if seen and not aside:
            self._say("       " + seen, "dim")
        if not met:
            self._screen.status(self._watch.facts)

    def _master(self) -> int:
        return sandboxfacts.master(self._watch.facts)

    def _digits(self, hosts: FrozenSet[int]) -> str:
        return digits(hosts, len(self._everyone))

    def _summary(self, met: bool) -> List[str]:
        """The table of all expectations."""
        lines = ["The tour of {} hosts, watchdog {}, T {} s: {}".format(
            len(self._everyone), self._pool.settings.watchdog, self._pool.settings.timeout_s,
            "every expectation was met." if met else "NOT ALL EXPECTATIONS WERE MET."), ""]
        chapter = ""
        for finding in self._findings:
            if finding.chapter != chapter:
                chapter = finding.chapter
                lines.append(chapter)
            seconds = "" if finding.seconds < 0 else "{:.1f} s".format(finding.seconds)
            lines += textwrap.wrap("  {:4}{:>8}  {}{}".format(
                "ok" if finding.met else "NOT", seconds, finding.expected,
                " ({})".format(finding.seen) if finding.seen else ""), 79,
                subsequent_indent=" " * 16)
        return lines + ["", "{:.0f} s in all.".format(time.monotonic() - self._began)]
