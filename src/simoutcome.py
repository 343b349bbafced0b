"""What a story did to a pool: who survived, who was reset and why, when survivors acted.

An ``Outcome`` is facts only, in order of time; ``simtext`` and ``simpage`` show it.  Instants
are ms of the world's time since the story began.
"""

from typing import Dict, List, NamedTuple, Optional, Tuple

from xha.actions import Log
from xha.catalogue import Catalogue
from xha.published import NEVER, FencingMode, Phase
from xha.records import record
from xha.simhost import Host
from xha.simpool import Pool
from xha.simrun import Result
from xha.simscript import letter

#: What a host can be doing, in the order in which a page would explain them.
STATES = {
    "online": "a member of the liveset",
    "fault handling": "agreeing with the others who is alive",
    "rule 2": "alive without State-File, because everybody hears everybody",
    "disarmed": "online, but nothing resets it, and it drops nobody",
    "starting": "the daemon waits to form or join a liveset",
    "frozen": "nothing runs there",
    "no daemon": "the host is up, its daemon is not",
    "doomed": "no daemon, and its timers run: it will be reset",
    "down": "reset, or without power",
}


@record
class Deed(NamedTuple):
    """Something that was done to the pool, in the words of the story."""

    at_ms: int
    text: str


@record
class Span(NamedTuple):
    """What a host was doing for a while."""

    host: int
    # A key of ``STATES``.
    state: str
    from_ms: int
    to_ms: int
    # The liveset as this host had it, a digit for each host; "" when it has none.
    liveset: str
    # It held the master lock.
    master: bool


@record
class Moment(NamedTuple):
    """Something that an operator would see."""

    at_ms: int
    hosts: Tuple[int, ...]
    # err, warning, notice; or what became of a host: fenced, reset, crashed, ended, answered, ...
    kind: str
    # The message's name; "" for what is no message.
    name: str
    text: str


@record
class Fate(NamedTuple):
    """What became of one host."""

    host: int
    # Its letter, address and UUID.
    name: str
    address: str
    uuid: str
    # What it is doing at the end: a key of ``STATES``.
    state: str
    # It was reset or fenced itself at least once; and what the last such thing was.
    reset: bool
    # World's time of its last reset, crash or end of its daemon; NEVER: none.
    died_at_ms: int
    # How and why, in words; "" when nothing happened to it.
    why: str
    # When the first and the last survivor dropped it after that; NEVER: nobody did.
    first_dropped_at_ms: int
    last_dropped_at_ms: int


@record
class Outcome(NamedTuple):
    """The whole story."""

    # What kind of end it had: a value of ``simrun.Ending``, and what was broken.
    ending: str
    text: str
    lasted_ms: int
    deeds: Tuple[Deed, ...]
    spans: Tuple[Span, ...]
    moments: Tuple[Moment, ...]
    fates: Tuple[Fate, ...]
    # The host that holds the master lock at the end; NEVER: none.
    master: int
    # The liveset of the survivors at the end, a digit for each host; "" when they differ or are none.
    liveset: str
    digest: str


def what_it_does(host: Host) -> str:
    """What a host is doing now: a key of ``STATES``."""
    view = host.view
    if not host.up:
        return "down"
    if host.paused:
        return "frozen"
    if view is None:
        return "doomed" if host.guarded else "no daemon"
    if not view.online:
        return "starting"
    if view.phase is not Phase.STARTED:
        return "fault handling"
    if view.fencing is FencingMode.DISARMED:
        return "disarmed"
    return "rule 2" if view.sr2 else "online"


class Recorder:
    """Watches a pool while a story is told."""

    def __init__(self) -> None:
        self._pool = None  # type: Optional[Pool]
        self._now = {}  # type: Dict[int, Tuple[str, str, bool, int]]
        self._spans = []  # type: List[Span]
        #: What was done, by the world's own time.
        self.deeds = []  # type: List[Deed]

    def watch(self, pool: Pool) -> None:
        """Look on from now on."""
        self._pool = pool
        pool.looked_on = self._look

    def note(self, line: str) -> None:
        """This line of the story is told now."""
        if self._pool is not None:
            self.deeds.append(Deed(at_ms=self._pool.now_ms, text=line))

    def _look(self, host: Host) -> None:
        assert self._pool is not None
        view = host.view
        liveset = view.picture(view.liveset) if view is not None and view.online else ""
        state = (what_it_does(host), liveset, bool(view is not None and view.holding))
        before = self._now.get(host.index)
        if before is None or before[:3] != state:
            self._close(host.index)
            self._now[host.index] = state + (self._pool.now_ms,)

    def _close(self, host: int) -> None:
        assert self._pool is not None
        if host in self._now:
            state, liveset, master, from_ms = self._now[host]
            if self._pool.now_ms > from_ms:
                self._spans.append(Span(host=host, state=state, liveset=liveset, master=master,
                                        from_ms=from_ms, to_ms=self._pool.now_ms))

    def outcome(self, result: Result, began_ms: int, catalogue: Catalogue) -> Outcome:
        """All that happened since ``began_ms`` of the world's time."""
        pool = result.pool
        assert pool is not None
        for host in pool.hosts:
            self._look(host)
            self._close(host.index)
        holders = [host.index for host in pool.hosts if host.view is not None
                   and host.view.online and host.view.holding]
        livesets = {host.view.picture(host.view.liveset) for host in pool.hosts
                    if host.view is not None and host.view.online}
        return Outcome(
            ending=result.ending.value, text=result.text, lasted_ms=pool.now_ms - began_ms,
            deeds=tuple(deed._replace(at_ms=max(0, deed.at_ms - began_ms))
                        for deed in self.deeds),
            spans=tuple(span._replace(from_ms=max(0, span.from_ms - began_ms),
                                      to_ms=span.to_ms - began_ms)
                        for span in self._spans if span.to_ms > began_ms),
            moments=_moments(pool, began_ms, catalogue),
            fates=tuple(_fate(pool, host, began_ms) for host in pool.hosts),
            master=holders[0] if len(holders) == 1 else NEVER,
            liveset=min(livesets) if len(livesets) == 1 else "", digest=result.digest)


def _moments(pool: Pool, began_ms: int, catalogue: Catalogue) -> Tuple[Moment, ...]:
    """The messages of level notice and above, and what became of hosts; equal ones together."""
    found = {}  # type: Dict[Tuple[int, str, str, str], List[int]]
    for entry in pool.history:
        if entry.at_ms < began_ms:
            continue
        kind, name, text = entry.kind, "", str(entry.content)
        if isinstance(entry.content, Log):
            kind = catalogue.level_of(entry.content)
            if kind in ("info", "debug"):
                continue
            name, text = entry.content.name, catalogue.text_of(entry.content)
        hosts = found.setdefault((entry.at_ms - began_ms, kind, name, text), [])
        if entry.host not in hosts:
            hosts.append(entry.host)
    return tuple(Moment(at_ms=at_ms, hosts=tuple(sorted(hosts)), kind=kind, name=name, text=text)
                 for (at_ms, kind, name, text), hosts in found.items())


#: Kinds of entries that end a host, or its daemon.
_DEATHS = ("fenced", "reset", "crashed", "killed", "ended")


def _fate(pool: Pool, host: Host, began_ms: int) -> Fate:
    deaths = [entry for entry in pool.history
              if entry.host == host.index and entry.kind in _DEATHS and entry.at_ms >= began_ms]
    died_ms = deaths[-1].at_ms if deaths else NEVER
    drops = [at_ms for at_ms, _, dropped in pool.checkers.drops
             if dropped == host.index and deaths and at_ms >= deaths[-1].at_ms]
    configured = pool.common.hosts[host.index]
    return Fate(
        host=host.index, name="host-" + letter(host.index), address=configured.address,
        uuid=configured.uuid, state=what_it_does(host),
        reset=any(entry.kind in ("fenced", "reset") for entry in deaths),
        died_at_ms=died_ms - began_ms if deaths else NEVER,
        why=_why(pool, host, died_ms) if deaths else "",
        first_dropped_at_ms=min(drops) - began_ms if drops else NEVER,
        last_dropped_at_ms=max(drops) - began_ms if drops else NEVER)


def _why(pool: Pool, host: Host, died_ms: int) -> str:
    """How a host ended, in words: its last message before, if it gave a reason itself."""
    last = [entry for entry in pool.history
            if entry.host == host.index and entry.kind in _DEATHS and entry.at_ms == died_ms][-1]
    if last.kind == "fenced":
        said = [entry.content for entry in pool.history
                if entry.host == host.index and entry.at_ms == died_ms
                and isinstance(entry.content, Log) and entry.content.name == "self-fencing"]
        reason = dict(said[-1].fields).get("reason", "") if said else ""
        return "fenced itself: {} [{}]".format(reason, last.content)
    if last.kind == "reset":
        return "reset by its {}".format(last.content)
    return {"crashed": "lost its power, or was reset by hand", "killed": "its daemon died",
            }.get(last.kind, "its daemon ended with {}".format(last.content))
