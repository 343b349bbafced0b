"""Stories of a pool: a command a line, and under it what an operator would see.

    # A comment says what is shown, and why.

    pool of 3, started

    host 2 crashes
    30 s pass
    at    0.0 s  2      crashed
    at    5.1 s  0,1    notice   Heartbeat domain is now (110).

Lines that begin with "at" are the trace: messages of level notice and above, and what became
of the hosts, in seconds since the story began.  What several hosts say in the same tenth of a
second stands in one line.  Two commands without "... pass" between them happen at once.
"""

import re
from typing import Any, Callable, Dict, List, Set, Tuple

from xha import events
from xha.actions import Log
from xha.catalogue import Catalogue
from xha.published import PoolState

from sim.disk import WELL
from sim.host import Host
from sim.pool import QUICK, Entry, Pool

#: What an operator is not shown.
QUIET = ("info", "debug")
#: A message of the kind ``repeats`` is printed once in this time.
REPEAT_MS = 60000
#: Fields that do not make such a message another one.
VARYING = ("ms", "left_ms", "count")

PARAMETERS = {"t1": "HeartbeatInterval", "T1": "HeartbeatTimeout", "t2": "StateFileInterval",
              "T2": "StateFileTimeout", "Wh": "HeartbeatWatchdogTimeout",
              "Ws": "StateFileWatchdogTimeout", "Tboot": "BootJoinTimeout",
              "Tenable": "EnableJoinTimeout"}

REQUESTS = {
    "propose-master": lambda ticket: events.ProposeMasterRequested(ticket=ticket),
    "cancel-master": lambda ticket: events.CancelMasterRequested(ticket=ticket),
    "disarm-fencing": lambda ticket: events.DisarmRequested(ticket=ticket),
    "set-excluded": lambda ticket: events.ExcludedRequested(ticket=ticket, excluded=True),
    "clear-excluded": lambda ticket: events.ExcludedRequested(ticket=ticket, excluded=False),
    "set-pool-state active": lambda ticket: events.PoolStateRequested(
        ticket=ticket, pool_state=PoolState.ACTIVE),
    "set-pool-state invalid": lambda ticket: events.PoolStateRequested(
        ticket=ticket, pool_state=PoolState.INVALID),
}  # type: Dict[str, Callable[[int], events.Event]]


class Story:
    """Tells one story: takes commands, gives the trace."""

    def __init__(self, catalogue: Catalogue) -> None:
        self._catalogue = catalogue
        self.pool = Pool(1)
        self._began_ms = 0
        self._said_ms = {}  # type: Dict[Tuple[Any, ...], int]
        #: Every message that was said, at any level.
        self.messages = set()  # type: Set[str]

    def tell(self, command: str) -> List[str]:
        """Obey a command; the lines of the trace that it gave."""
        for pattern, act in COMMANDS:
            found = re.match(pattern + r"\Z", command)
            if found:
                act(self, *found.groups())
                return self._trace()
        raise ValueError("no such command: " + command)

    def hosts(self, text: str) -> List[int]:
        """The hosts that a command names."""
        if text == "all":
            return list(range(len(self.pool.hosts)))
        return [int(part) for part in text.split(",")]

    # ---- commands

    def make(self, hosts: str, rest: str) -> None:
        """pool of N[, started][, weights 1,1,5][, T1 30][, seed 7][, clocks 1000,-1000]"""
        words = dict(part.strip().partition(" ")[::2] for part in rest.split(";") if part.strip())
        parameters = dict(QUICK)
        parameters.update((PARAMETERS[name], int(value)) for name, value in words.items()
                          if name in PARAMETERS)
        self.pool = Pool(int(hosts), int(words.get("seed", "0")), parameters,
                         [int(ppm) for ppm in words.get("clocks", "0").split(",")])
        for host, weight in enumerate(words.get("weights", "").split(",")):
            if weight:
                self.pool.hosts[host].weight = int(weight)
        if "started" in words:
            self.pool.form()
            self._note_messages()
            del self.pool.history[:]
        self._began_ms = self.pool.now_ms

    def network_cut(self, groups: str) -> None:
        """network cut 0,1 | 2: hosts of different groups do not hear each other"""
        parts = [self.hosts(part.strip()) for part in groups.split("|")]
        for part in parts:
            for other in parts:
                if part is not other:
                    self.pool.network.cut(part, other)

    def network_of(self, text: str) -> None:
        """network of 2 cut: it hears nobody, and nobody hears it"""
        hosts = self.hosts(text)
        for host in hosts:
            self.pool.network.cut([host], range(len(self.pool.hosts)))
            self.pool.network.cut(range(len(self.pool.hosts)), [host])

    def one_way(self, sender: str, receiver: str) -> None:
        """network from 2 to 0 cut"""
        self.pool.network.cut(self.hosts(sender), self.hosts(receiver))

    def link(self, one: str, other: str) -> None:
        """link 0-2 cut"""
        self.pool.network.cut([int(one)], [int(other)])
        self.pool.network.cut([int(other)], [int(one)])

    def lossy(self, percent: str) -> None:
        """network loses 30 %"""
        for sender in range(len(self.pool.hosts)):
            for receiver in range(len(self.pool.hosts)):
                self.pool.network.loss[(sender, receiver)] = int(percent) / 100

    def statefile(self, text: str, what: str) -> None:
        """statefile of 0,1 lost | hangs | unwritable | unreadable | ... writes | back"""
        fault = {"lost": "error", "hangs": "hang", "unwritable": "write error",
                 "unreadable": "read error", "forgets writes": "lost writes",
                 "misreports writes": "false write error", "back": WELL}[what]
        for host in self.hosts(text):
            self.pool.hosts[host].way.set_fault(fault)
            self.pool.hosts[host].way.slow_ms = 0

    def slow(self, text: str, delay: str) -> None:
        """statefile of all takes 1000 ms"""
        for host in self.hosts(text):
            self.pool.hosts[host].way.slow_ms = int(delay)

    def damage(self, text: str) -> None:
        """record of 2 damaged"""
        for host in self.hosts(text):
            self.pool.disk.damage(1 + host)

    def damage_global(self, what: str) -> None:
        """global record damaged | zeroed"""
        if what == "zeroed":
            self.pool.disk.sections[0] = bytes(4096)
        else:
            self.pool.disk.damage(0, offset=60)

    def act(self, text: str, what: str) -> None:
        """host 0,1 starts | crashes | freezes | thaws; daemon of 0 dies"""
        for host in self.hosts(text):
            one = self.pool.hosts[host]
            if what == "stops":
                one.take(events.StopRequested())
            else:
                {"starts": one.start, "crashes": one.crash, "freezes": one.pause,
                 "thaws": one.resume, "dies": one.kill}[what]()

    def weigh(self, text: str, weight: str) -> None:
        """weight of 2 becomes 5"""
        for host in self.hosts(text):
            self.pool.hosts[host].take(events.WeightChanged(weight=int(weight)))

    def ask(self, text: str, what: str) -> None:
        """0,1 ask propose-master"""
        for host in self.hosts(text):
            self.pool.hosts[host].ask(REQUESTS[what], what)

    def wait(self, seconds: str) -> None:
        """30 s pass"""
        self.pool.run(int(round(float(seconds) * 1000)))

    def look(self) -> None:
        """look: what ha_query_liveset would say on each host"""
        for host in self.pool.hosts:
            self.pool.history.append(Entry(
                at_ms=self.pool.now_ms, host=host.index, kind="looks", content=_state_of(host)))

    # ---- the trace

    def _note_messages(self) -> None:
        self.messages.update(entry.content.name for entry in self.pool.history
                             if entry.kind == "log")

    def _trace(self) -> List[str]:
        self._note_messages()
        history = list(self.pool.history)
        del self.pool.history[:]
        lines = {}  # type: Dict[Tuple[int, str, str], List[int]]
        for entry in history:
            shown = self._shown(entry)
            if shown is not None:
                speakers = lines.setdefault(
                    ((entry.at_ms - self._began_ms) // 100,) + shown, [])
                if entry.host not in speakers:
                    speakers.append(entry.host)
        return ["at {:6.1f} s  {:<7} {:<8} {}".format(
            tenth / 10, ",".join(str(host) for host in sorted(speakers)), kind, text).rstrip()
            for (tenth, kind, text), speakers in lines.items()]

    def _shown(self, entry: Entry) -> Any:
        if entry.kind != "log":
            return (entry.kind, entry.content)
        name = entry.content.name
        assert not self._catalogue.complaint(entry.content), entry.content
        level = self._catalogue.level_of(entry.content)
        if level in QUIET:
            return None
        if self._catalogue[name].repeats:
            key = (entry.host, name) + tuple(
                field for field in entry.content.fields if field[0] not in VARYING)
            last_ms = self._said_ms.get(key)
            if last_ms is not None and entry.at_ms - last_ms < REPEAT_MS:
                return None
            self._said_ms[key] = entry.at_ms
        return (level, self._catalogue.text_of(_rounded(entry.content)))


def _rounded(message: Log) -> Log:
    """The message with durations of whole tenths of a second: a story is no measurement."""
    return message._replace(fields=tuple(
        (name, value // 100 * 100 if name in ("ms", "left_ms") else value)
        for name, value in message.fields))


def _state_of(host: Host) -> str:
    view = host.view
    if not host.up:
        return "down"
    if view is None:
        return "no daemon" + (", its timers run" if host.guarded else "")
    if not view.online:
        return "starting: " + view.waiting_for
    words = ["liveset ({})".format(view.picture(view.liveset))]
    words += ["holds the master lock"] * view.holding + ["rule 2"] * view.sr2
    words += ["disarmed"] * (not view.armed) + ["excluded"] * view.excluded
    words += ["waits for " + view.waiting_for] if view.waiting_for else []
    return ", ".join(words)


_HOSTS = r"(all|\d+(?:,\d+)*)"

COMMANDS = [
    (r"pool of (\d+)((?:; [^;]+)*)", Story.make),
    (r"network cut (.+\|.+)", Story.network_cut),
    (r"network of " + _HOSTS + " cut", Story.network_of),
    (r"network from " + _HOSTS + " to " + _HOSTS + " cut", Story.one_way),
    (r"network loses (\d+) %", Story.lossy),
    (r"network heals", lambda story: story.pool.network.heal()),
    (r"link (\d+)-(\d+) cut", Story.link),
    (r"statefile of " + _HOSTS + " (lost|hangs|unwritable|unreadable|back"
     "|forgets writes|misreports writes)", Story.statefile),
    (r"statefile of " + _HOSTS + r" takes (\d+) ms", Story.slow),
    (r"record of " + _HOSTS + " damaged", Story.damage),
    (r"global record (damaged|zeroed)", Story.damage_global),
    (r"host " + _HOSTS + " (starts|crashes|freezes|thaws|stops)", Story.act),
    (r"daemon of " + _HOSTS + " (dies)", Story.act),
    (r"weight of " + _HOSTS + r" becomes (\d+)", Story.weigh),
    (_HOSTS + " asks? (" + "|".join(sorted(REQUESTS)) + ")", Story.ask),
    (r"([0-9.]+) s pass", Story.wait),
    (r"look", Story.look),
]  # type: List[Tuple[str, Callable[..., None]]]
