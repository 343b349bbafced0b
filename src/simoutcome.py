"""What a story did to a pool: who survived, who was reset and why, when survivors acted.

An ``Outcome`` is facts only, in order of time; ``simtext`` and ``simpage`` show it.  Instants
are ms of the world's time since the story began.
"""

from typing import Dict, List, NamedTuple, Optional, Sequence, Tuple

from xha import simcause
from xha.actions import Log
from xha.catalogue import Catalogue
from xha.published import NEVER, FencingMode, Phase
from xha.records import record
from xha.simhost import LAST_WORDS_MS, Host
from xha.simpool import Entry, Pool
from xha.simrun import Result
from xha.simscript import letter
from xha.simstory import QUIET, Repeats, rounded

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

#: Kinds of moments that end a host, or its daemon.
DEATHS = ("fenced", "reset", "crashed", "killed", "ended")

# States of a host without trouble.
_CALM = ("online", "rule 2", "disarmed")


@record
class Deed(NamedTuple):
    """Something that was done to the pool, in the words of the story."""

    at_ms: int
    text: str
    # fault, leave, repair, request or time: see ``simcause``.
    kind: str
    # The hosts that it names; all where it names none.
    hosts: Tuple[int, ...]


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
class Drop(NamedTuple):
    """The survivors, or some of them, drop a host."""

    host: int
    first_ms: int
    last_ms: int
    # Who did, in order of index.
    by: Tuple[int, ...]


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
    # How it ended then: fenced, reset, crashed, killed or ended; "" when nothing happened to it.
    how: str
    # The fence's code, the timer that reset it, or the daemon's exit; "" for none.
    code: str
    # How and why, in words; "" when nothing happened to it.
    why: str
    # The survival rule by which it last survived, "1" or "2"; "" when it never had to.
    rule: str
    # When the first and the last survivor dropped it after that; NEVER: nobody did.
    first_dropped_at_ms: int
    last_dropped_at_ms: int
    # The deed that started it, an index of ``Outcome.deeds``; NEVER: nothing happened to it.
    cause: int
    # From that deed until all survivors had dropped it, so that its VMs could be restarted
    # wherever a survivor is master; NEVER: not by the end.
    restart_after_ms: int


@record
class Outcome(NamedTuple):
    """The whole story."""

    # What kind of end it had: a value of ``simrun.Ending``, and what was broken.
    ending: str
    text: str
    lasted_ms: int
    deeds: Tuple[Deed, ...]
    # By host, then by time.
    spans: Tuple[Span, ...]
    moments: Tuple[Moment, ...]
    drops: Tuple[Drop, ...]
    fates: Tuple[Fate, ...]
    # The host that holds the master lock at the end; NEVER: none.
    master: int
    # The liveset of the survivors at the end, a digit for each host; "" when they differ or there
    # are none.
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
        # Entries of the pool's history that were looked at.
        self._known = 0
        # What was done, by the world's own time.
        self._told = []  # type: List[Tuple[int, str]]

    def watch(self, pool: Pool) -> None:
        """Look on from now on."""
        self._pool = pool
        pool.looked_on = self._look

    def note(self, line: str) -> None:
        """This line of the story is told now."""
        if self._pool is not None:
            self._told.append((self._pool.now_ms, line))
            # A daemon that is stopped by it does not turn, and would not be seen.
            self._pool.timeline.after(0, self._look_at_all)
        elif not line.startswith("pool of"):
            # The first line of a story whose pool is that of a configuration.
            self._told.append((0, line))

    def _look_at_all(self) -> None:
        assert self._pool is not None
        for host in self._pool.hosts:
            self._look(host)

    def _look(self, host: Host) -> None:
        assert self._pool is not None
        view = host.view
        liveset = view.picture(view.liveset) if view is not None and view.online else ""
        state = (what_it_does(host), liveset,
                 bool(view is not None and view.online and view.holding))
        before = self._now.get(host.index)
        if before is None or before[:3] != state:
            self._close(host.index)
            self._now[host.index] = state + (self._pool.now_ms,)
        for entry in self._pool.history[self._known:]:
            # What it was said about happens right after.
            if entry.kind in ("fenced", "ended"):
                self._pool.timeline.after(0, self._await_end, self._pool.hosts[entry.host],
                                          self._pool.now_ms + LAST_WORDS_MS)
        self._known = len(self._pool.history)

    def _await_end(self, host: Host, until_ms: int) -> None:
        """Look each millisecond until the daemon of ``host`` has ended."""
        assert self._pool is not None
        self._look(host)
        if host.node is not None and self._pool.now_ms < until_ms:
            self._pool.timeline.after(1, self._await_end, host, until_ms)

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
        self._now = {}
        members = [host for host in pool.hosts if host.view is not None and host.view.online]
        holders = [host.index for host in members if host.view is not None and host.view.holding]
        livesets = {host.view.picture(host.view.liveset) for host in members
                    if host.view is not None}
        deeds = tuple(
            Deed(at_ms=max(0, at_ms - began_ms), text=line, kind=simcause.kind_of(line),
                 hosts=simcause.named_in(line, pool.common.hosts)) for at_ms, line in self._told)
        spans = tuple(sorted((
            span._replace(from_ms=max(0, span.from_ms - began_ms), to_ms=span.to_ms - began_ms)
            for span in self._spans if span.to_ms > began_ms),
            key=lambda span: (span.host, span.from_ms)))
        drops = _drops(pool, began_ms)
        return Outcome(
            ending=result.ending.value, text=result.text, lasted_ms=pool.now_ms - began_ms,
            deeds=deeds, spans=spans, moments=_moments(pool, began_ms, catalogue), drops=drops,
            fates=tuple(_fate(pool, host, began_ms, deeds, drops, spans)
                        for host in pool.hosts),
            master=holders[0] if len(holders) == 1 else NEVER,
            liveset=min(livesets) if len(livesets) == 1 else "", digest=result.digest)


def _moments(pool: Pool, began_ms: int, catalogue: Catalogue) -> Tuple[Moment, ...]:
    """The messages of level notice and above, and what became of hosts; equal ones together.

    As in syslog, a condition that may persist is told once a minute.
    """
    found = {}  # type: Dict[Tuple[int, str, str, str], List[int]]
    repeats = Repeats(catalogue)
    addresses = [host.address for host in pool.common.hosts]
    for entry in pool.history:
        if entry.at_ms < began_ms:
            continue
        kind, name, text = entry.kind, "", str(entry.content)
        if isinstance(entry.content, Log):
            kind, name = catalogue.level_of(entry.content), entry.content.name
            if kind in QUIET or repeats.again(entry):
                continue
            text = catalogue.text_of(rounded(entry.content), addresses)
        hosts = found.setdefault((entry.at_ms - began_ms, kind, name, text), [])
        if entry.host not in hosts:
            hosts.append(entry.host)
    return tuple(Moment(at_ms=at_ms, hosts=tuple(sorted(hosts)), kind=kind, name=name, text=text)
                 for (at_ms, kind, name, text), hosts in found.items())


def _deaths(pool: Pool, host: int, began_ms: int) -> List[Entry]:
    return [entry for entry in pool.history
            if entry.host == host and entry.kind in DEATHS and entry.at_ms >= began_ms]


def _drops(pool: Pool, began_ms: int) -> Tuple[Drop, ...]:
    """Who was dropped when: for each host one for each of its deaths, or for its leaving."""
    found = []  # type: List[Drop]
    for host in pool.hosts:
        deaths_ms = [entry.at_ms for entry in _deaths(pool, host.index, began_ms)]
        lives = {}  # type: Dict[int, List[Tuple[int, int]]]
        for at_ms, by, dropped in pool.checkers.drops:
            if dropped == host.index and at_ms >= began_ms:
                lives.setdefault(sum(1 for death_ms in deaths_ms if death_ms <= at_ms),
                                 []).append((at_ms - began_ms, by))
        found += [Drop(host=host.index, first_ms=min(lives[life])[0], last_ms=max(lives[life])[0],
                       by=tuple(sorted({by for _, by in lives[life]}))) for life in sorted(lives)]
    return tuple(sorted(found, key=lambda drop: (drop.first_ms, drop.host)))


def _fate(pool: Pool, host: Host, began_ms: int, deeds: Sequence[Deed], drops: Sequence[Drop],
          spans: Sequence[Span]) -> Fate:
    own = [span for span in spans if span.host == host.index]
    deaths = _deaths(pool, host.index, began_ms)
    # An attempt to start that failed is not what cost the pool this host.
    deaths = [death for death in deaths
              if _state_before(own, death.at_ms - began_ms) != "starting"] or deaths
    died_ms = deaths[-1].at_ms - began_ms if deaths else NEVER
    # A frozen machine may be dropped before it is thawed and finds that it is dead; but who was
    # let in again since then was not dropped for what became of it later.
    dropped = [drop for drop in drops if drop.host == host.index and not any(
        span.host in drop.by and span.liveset[host.index:host.index + 1] == "1"
        and span.from_ms >= drop.last_ms and (not deaths or span.from_ms < died_ms)
        for span in spans)]
    configured = pool.common.hosts[host.index]
    rules = [entry.content.name[-1] for entry in pool.history
             if entry.host == host.index and entry.at_ms >= began_ms and entry.kind == "log"
             and entry.content.name.startswith("surviving-by-rule-")]
    cause = NEVER
    if deaths or dropped:
        cause = _cause(host.index, died_ms if deaths else dropped[-1].first_ms, deeds, own)
    since_ms = deeds[cause].at_ms if cause != NEVER else died_ms
    return Fate(
        host=host.index, name="host-" + letter(host.index), address=configured.address,
        uuid=configured.uuid, state=what_it_does(host),
        reset=any(entry.kind in ("fenced", "reset") for entry in deaths),
        died_at_ms=died_ms, how=deaths[-1].kind if deaths else "",
        code=str(deaths[-1].content) if deaths else "",
        why=_why(pool, deaths[-1]) if deaths else "", rule=rules[-1] if rules else "",
        first_dropped_at_ms=dropped[-1].first_ms if dropped else NEVER,
        last_dropped_at_ms=dropped[-1].last_ms if dropped else NEVER, cause=cause,
        restart_after_ms=dropped[-1].last_ms - since_ms if dropped and deaths else NEVER)


def _state_before(spans: Sequence[Span], at_ms: int) -> str:
    """What a host did just before an instant; "" when that was not seen."""
    return ([""] + [span.state for span in spans if span.from_ms < at_ms])[-1]


def _cause(host: int, ended_ms: int, deeds: Sequence[Deed], spans: Sequence[Span]) -> int:
    """The deed that started a host's end at ``ended_ms``, an index of ``deeds``; NEVER: none.

    The last fault that names the host; one that it had already dealt with, by an earlier run of
    its fault handler, gives way to what was done last before its trouble began.
    """
    trouble_ms = ended_ms
    for span in reversed([span for span in spans if span.from_ms < ended_ms]):
        if span.state in _CALM:
            break
        trouble_ms = span.from_ms
    faults = [index for index, deed in enumerate(deeds)
              if deed.kind in ("fault", "leave") and deed.at_ms <= ended_ms]
    for index in reversed(faults):
        dealt_with = any(span.state == "fault handling"
                         and deeds[index].at_ms <= span.from_ms < trouble_ms for span in spans)
        if host in deeds[index].hosts and not dealt_with:
            return index
    return ([NEVER] + [index for index in faults if deeds[index].at_ms <= trouble_ms])[-1]


def _why(pool: Pool, death: Entry) -> str:
    """How a host ended, in words: its last message before, if it gave a reason itself."""
    if death.kind == "fenced":
        said = [entry.content for entry in pool.history
                if entry.host == death.host and entry.at_ms == death.at_ms
                and isinstance(entry.content, Log) and entry.content.name == "self-fencing"]
        reason = dict(said[-1].fields).get("reason", "") if said else ""
        return "fenced itself: {} [{}]".format(reason, death.content)
    if death.kind == "reset":
        return "reset by its {}".format(death.content)
    return {"crashed": "lost its power, or was reset by hand", "killed": "its daemon died",
            }.get(death.kind, "its daemon ended with {}".format(death.content))
