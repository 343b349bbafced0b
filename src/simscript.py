"""The language of scenarios: one line, one thing that happens to a pool.

    # A comment says what is shown, and why.
    pool of 3; T 60; started
    at 10 s: partition a,b | c
    at 60 s: heal

A host is named by its index, by a letter (a or host-a is host 0), by its address or by its
UUID, as the configuration writes them; several by commas; ``all`` means everybody.  A line that
begins with ``at`` happens that long after the story began; lines without a time happen at
once, one after the other, and ``30 s pass`` lets time go by.

``language`` is the whole of it, for people: ``xha.pyz simulate --language`` prints it.
"""

import re
from typing import Callable, Dict, List, Optional, Sequence, Tuple

from xha import simcause
from xha.config import Config
from xha.hostset import MAX_HOSTS
from xha.simdeeds import REQUESTS, STATEFILE_FAULTS, Deeds, ScriptError, state_of
from xha.simpool import QUICK, Entry, Pool, derived_from, settings_of

#: The parameters of the configuration by their short names (spec 1, glossary).
PARAMETERS = {"t1": "HeartbeatInterval", "T1": "HeartbeatTimeout", "t2": "StateFileInterval",
              "T2": "StateFileTimeout", "Wh": "HeartbeatWatchdogTimeout",
              "Ws": "StateFileWatchdogTimeout", "Tboot": "BootJoinTimeout",
              "Tenable": "EnableJoinTimeout"}

#: What the first line may say of a pool, and how each value is written.
_WORDS = dict({name: r"\d{1,9}" for name in PARAMETERS}, T=r"\d{1,9}", seed=r"\d{1,18}",
              clocks=r"-?\d{1,6}(,-?\d{1,6})*", weights=r"\d{1,5}(,\d{1,5})*", started="",
              reset=r"\d{1,9}", boot=r"\d{1,9}(\.\d+)?", xhad=r"all|[\w.:-]+(\s*,\s*[\w.:-]+)*")

#: How a moment, or a time, is written: seconds.
_SECONDS = r"(\d{1,9}(?:\.\d+)?)"

#: No scenario is longer than this.
STORY_BYTES_MAX = 1 << 20

#: What a scenario's file holds beside its commands: the trace that they gave.
TRACE = re.compile(r"at +[0-9.]+ s  |breach: ")


def commands_of(text: str) -> List[str]:
    """The commands of a scenario's file: no comments, no empty lines, no trace."""
    return [line.strip() for line in text.splitlines()
            if line.strip() and not line.startswith("#") and not TRACE.match(line)]


class Director(Deeds):
    """Makes a pool and does to it what the lines say."""

    def __init__(self, settings: Optional[Sequence[Config]] = None, seed: int = 0) -> None:
        """``settings``: the configuration of each host; None: ``pool of N`` invents a pool."""
        self._given = settings
        self._seed = seed
        self._pool = None  # type: Optional[Pool]
        self.began_ms = 0
        #: Called with the pool that was made, before anything happens to it.
        self.made = lambda pool: None  # type: Callable[[Pool], None]
        #: Called with each command at the moment when it happens, without its time.
        self.told = lambda line: None  # type: Callable[[str], None]

    @property
    def pool(self) -> Pool:
        """The pool; before a line made one, that of the configuration, started."""
        if self._pool is None:
            if self._given is None:
                raise ScriptError("the first line must say: pool of N[; started]")
            self._begin(self._given, {"started": ""})
        assert self._pool is not None
        return self._pool

    def obey(self, line: str) -> None:
        """Do what one line says.

        Raises:
            ScriptError: it cannot be understood.
            Breach, AssertionError: what happened then broke a promise, or the core.
        """
        timed = re.match("at " + _SECONDS + r" ?s: *(.*)\Z", line)
        if timed:
            delay_ms = self.began_ms + _ms(timed.group(1)) - self.pool.now_ms
            if delay_ms < 0:
                raise ScriptError("this moment is past: " + line)
            self.pool.run(delay_ms)
            line = timed.group(2)
        for pattern, act in COMMANDS:
            found = pattern.match(line)
            if found:
                self.told(line)
                act(self, *found.groups())
                return
        raise ScriptError("no such command: {} (`xha.pyz simulate --language` lists them)".format(
            line))

    def hosts(self, text: str) -> List[int]:
        """The hosts that a line names.  ScriptError: there is no such host."""
        if text == "all":
            return list(range(len(self.pool.hosts)))
        return [self._host(part) for part in re.split(r"\s*,\s*|\s+and\s+", text.strip())]

    def _host(self, name: str) -> int:
        hosts = self.pool.common.hosts
        found = simcause.meant(name, hosts)
        if len(found) != 1:
            raise ScriptError("no host {!r}: there are hosts 0 to {}, also a to {}, or by their "
                              "addresses or UUIDs".format(name, len(hosts) - 1,
                                                          letter(len(hosts) - 1)))
        return found[0]

    # ---- the pool

    def make(self, hosts: str, rest: str) -> None:
        """pool of 3[; started][; weights 1,1,5][; T 60][; T1 30][; seed 7][; clocks 500,-500]

        ``xhad 1,2``: these hosts run the original's daemon.
        """
        words = dict(part.strip().partition(" ")[::2] for part in rest.split(";") if part.strip())
        if not set(words) <= set(_WORDS):
            raise ScriptError("a pool has no {}; it has {}".format(
                " ".join(sorted(set(words) - set(_WORDS))), " ".join(sorted(_WORDS))))
        for name, value in sorted(words.items()):
            if not re.match(_WORDS[name] + r"\Z", value):
                raise ScriptError("pool of ...; {} {}: that is no value of it".format(name, value))
        if not re.match(r"0*([1-9]|[1-5]\d|6[0-4])\Z", hosts):
            raise ScriptError("a pool of {}: expected 1 to {} hosts".format(hosts, MAX_HOSTS))
        if self._given is not None:
            raise ScriptError("the pool is that of the configuration: leave `pool of` out")
        parameters = derived_from(int(words["T"])) if "T" in words else dict(QUICK)
        parameters.update((PARAMETERS[name], int(value)) for name, value in words.items()
                          if name in PARAMETERS)
        self._seed = int(words.get("seed", self._seed))
        self._begin(settings_of(int(hosts), parameters), words)

    def _begin(self, settings: Sequence[Config], words: Dict[str, str]) -> None:
        clocks = [int(ppm) for ppm in words.get("clocks", "0").split(",")]
        self._pool = pool = Pool(settings, self._seed, clocks)
        self.made(pool)
        weights = words.get("weights", "").split(",")
        for index, host in enumerate(pool.hosts):
            if index < len(weights) and weights[index]:
                host.weight = int(weights[index])
            pool.checkers.deaths.note_weight(index, host.weight)
            host.timers.reset_ms = int(words.get("reset", "0"))
        for index in self.hosts(words["xhad"]) if "xhad" in words else ():
            pool.hosts[index].runs_xhad = True
        if "boot" in words:
            pool.boots_after_ms = _ms(words["boot"])
        if "started" in words:
            pool.form()
        self.began_ms = pool.now_ms

    # ---- time

    def wait(self, seconds: str) -> None:
        """30 s pass"""
        self.pool.run(_ms(seconds))

    def look(self) -> None:
        """look: what ha_query_liveset would say on each host"""
        for host in self.pool.hosts:
            self.pool.history.append(Entry(
                at_ms=self.pool.now_ms, host=host.index, kind="looks", content=state_of(host)))


def letter(index: int) -> str:
    """The short name of a host: a to z, then its index."""
    return chr(ord("a") + index) if index < 26 else str(index)


def _ms(seconds: str) -> int:
    return int(round(float(seconds) * 1000))


_HOSTS = r"(all|[\w.:-]+(?:(?:\s*,\s*|\s+and\s+)[\w.:-]+)*)"
_OF = r"(?: of " + _HOSTS + ")?"

_COMMANDS = [
    (r"pool of (\d+)((?:; *[^;]+)*)", Director.make),
    (r"(?:network cut|partition) (.+\|.+)", Director.partition),
    (r"network of " + _HOSTS + " cut", Director.cut_off),
    (r"cut (?:net|network) of " + _HOSTS, Director.cut_off),
    (r"network from " + _HOSTS + " to " + _HOSTS + " cut", Director.one_way),
    (r"network from " + _HOSTS + " to " + _HOSTS + r" takes (\d+) ms", Director.late_one_way),
    (r"link (host-\w+|\w+)-(host-\w+|\w+) cut", Director.link),
    (r"network of " + _HOSTS + " back", Director.network_back),
    (r"(?:network heals|heal)", Director.heal),
    (r"network loses (\d+) %" + _OF, Director.lossy),
    (r"network doubles (\d+) %" + _OF, Director.doubling),
    (r"network damages (\d+) %" + _OF, Director.damaging),
    (r"network takes (?:(\d+) to )?(\d+) ms" + _OF, Director.late),
    (r"statefile of " + _HOSTS + " (" + "|".join(sorted(STATEFILE_FAULTS)) + ")",
     Director.statefile),
    (r"lose statefile of " + _HOSTS, lambda self, text: self.statefile(text, "lost")),
    (r"statefile of " + _HOSTS + r" takes (\d+) ms", Director.slow),
    (r"next write of " + _HOSTS + r" torn after ([0-7])", Director.tear),
    (r"late write of " + _HOSTS, Director.land_late),
    (r"record of " + _HOSTS + " damaged", Director.damage),
    (r"section of " + _HOSTS + " (unreadable|readable)", Director.unreadable),
    (r"global record (damaged|zeroed)", Director.damage_global),
    (r"host " + _HOSTS + " (starts|crashes|reboots|freezes|thaws|stops)", Director.act),
    (r"start " + _HOSTS, lambda self, text: self.act(text, "starts")),
    (r"crash " + _HOSTS, lambda self, text: self.act(text, "crashes")),
    (r"reset " + _HOSTS, lambda self, text: self.act(text, "reboots")),
    (r"daemon of " + _HOSTS + " (dies)", Director.act),
    (r"machine of " + _HOSTS + " (freezes|thaws)", Director.freeze_machine),
    (r"who is down starts(?: within (\d+) ms)?", Director.start_down),
    (r"weight of " + _HOSTS + r" becomes (\d+)", Director.weigh),
    (r"host " + _HOSTS + r" disarms for (\d{1,9}) s", Director.disarm),
    (r"disable HA on " + _HOSTS + "(?: only)?", Director.disable),
    (r"old heartbeats of " + _HOSTS + " arrive again", Director.replay),
    (r"wall clock of " + _HOSTS + r" jumps by (-?\d{1,9}(?:\.\d+)?) s", Director.jump),
    (r"toolstack of " + _HOSTS + " (fails|recovers)", Director.toolstack),
    (_HOSTS + " asks? rotate-key", Director.change_key),
    (_HOSTS + " asks? (" + "|".join(sorted(REQUESTS)) + ")", Director.ask),
    (_SECONDS + r" s pass", Director.wait),
    (r"everything heals", Director.heal_all),
    (r"the pool forms again", Director.recover),
    (r"a master is elected", Director.elect),
    (r"the pool comes to rest(?: within (\d{1,9}) s)?", Director.rest),
    (r"look", Director.look),
]  # type: List[Tuple[str, Callable[..., None]]]

COMMANDS = [(re.compile(pattern + r"\Z"), act) for pattern, act in _COMMANDS]


def language() -> str:
    """Every command, for people."""
    deeds = []  # type: List[str]
    for _, act in COMMANDS:
        text = (act.__doc__ or "").strip()
        if text and text not in deeds:
            deeds.append(text)
    return "\n".join([__doc__.strip(), ""] + ["  " + text.replace("\n        ", "\n      ")
                                              for text in deeds]) + "\n"
