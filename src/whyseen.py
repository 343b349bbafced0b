"""The evidence of a case, and what others saw of a host in the minutes of its end.

Theory of operation
===================

Hosts' clocks differ, so what others saw is looked for in a window of time that is larger than
every wait of the fault handler.  Of each other host one ``_Look`` is taken through all it said:
when it missed the host on which path, what it had before it when it decided, by which rule it
went on, the last words it heard, and when it dropped it.  Who went on knows best; a host that
was put out together with the one that is asked about saw another picture.  Pure.  Source: spec 9.
"""

import re
from typing import Any, Callable, Dict, Iterator, List, NamedTuple, Optional, Sequence, Tuple

from xha.recorderformat import Entry, Recording
from xha.records import record
from xha.whyxen import XenEnd

#: The messages that tell who is there on each path.
_DOMAINS = ("hb-domain-changed", "sf-domain-changed")
#: All that is taken of what others say.
_TAKEN = _DOMAINS + (
    "fh-views-agree", "surviving-by-rule-1", "surviving-by-rule-2", "fence-requested",
    "self-fencing", "statefile-lost", "host-dropped", "disarmed-host-dropped",
    "last-words-heard", "peer-restarted", "dropped-host-runs")
#: How last words begin that say whom their host heard (``faulthandling``).
_NO_RULE = re.compile("no survival rule applies: heard ([01]+),")
#: A recording that begins later than this after its daemon has lost its beginning, ms.
_WHOLE_MS = 5000


@record
class Words(NamedTuple):
    """Last words of a host, as the State-File has them, or another host that was told them."""

    host: int
    code: str
    text: str
    at_ms: int
    # Whom it heard then; None: that is not known.
    heard: Optional[Tuple[int, ...]]
    on_statefile: bool = False


@record
class Now(NamedTuple):
    """What is known of one host at this moment: that on which the question is asked."""

    host: int
    boot_id: str
    # Its daemon runs.
    running: bool
    # What the record of the timers says, in a sentence; "" for nothing.
    timers: str


@record
class Evidence(NamedTuple):
    """All that there is to go by."""

    # The lives of each host, in the order of time.
    lives: Tuple[Tuple[Recording, ...], ...]
    words: Tuple[Words, ...]
    # What logs of Xen say of resets, by host; -1 where it is not known whose log it is.
    xen: Tuple[Tuple[int, Tuple[XenEnd, ...]], ...]
    now: Optional[Now]


@record
class Witness(NamedTuple):
    """What one life of a host has to say of other hosts."""

    who: int
    # From when to when it was recorded, ms since the epoch.
    begin_ms: int
    end_ms: int
    # The ring came round: its beginning is lost.
    torn: bool
    # Messages that a ``_Look`` takes, in the order in which they were said.
    told: Tuple[Entry, ...]


@record
class Seen(NamedTuple):
    """What others saw of a host in the time of its end."""

    # Whose recordings cover that time.
    by: Tuple[int, ...]
    # When the first of them missed it on the heartbeat network, and on the State-File; -1: never.
    unheard_ms: int
    stopped_ms: int
    # Who missed its heartbeats before anything was decided.
    unheard_by: Tuple[int, ...]
    words: Optional[Words]
    # Whether it was there on that path when they decided; None: nobody decided.
    heartbeat: Optional[bool]
    statefile: Optional[bool]
    # By which rule they went on, "1" or "2"; "" for none.
    rule: str
    asked: bool
    # Who dropped it, and when the first and last did; -1: nobody.
    dropped_by: Tuple[int, ...]
    dropped_ms: int
    last_dropped_ms: int
    disarmed: bool
    restarted: bool
    # It was heard after it had been dropped: the gravest there is.
    still_runs: bool
    # Others that fenced themselves, and others that lost the State-File, in that time.
    fenced_too: Tuple[int, ...]
    without_statefile: Tuple[int, ...]

    @property
    def missed_ms(self) -> int:
        """When the first of them missed it on either path; -1: never."""
        return min([at for at in (self.unheard_ms, self.stopped_ms) if at >= 0] or [-1])


NOTHING_SEEN = Seen(
    by=(), unheard_ms=-1, stopped_ms=-1, unheard_by=(), words=None, heartbeat=None,
    statefile=None, rule="", asked=False, dropped_by=(), dropped_ms=-1, last_dropped_ms=-1,
    disarmed=False, restarted=False, still_runs=False, fenced_too=(), without_statefile=())


def members(picture: Any) -> Tuple[int, ...]:
    """The hosts that a picture like 101 shows."""
    if not isinstance(picture, str):
        return ()
    return tuple(index for index, digit in enumerate(picture) if digit == "1")


def _heard_of(host: int, text: str) -> Optional[Tuple[int, ...]]:
    """Whom a host heard, itself with them, by its last words; None: they do not say."""
    found = _NO_RULE.match(text)
    return tuple(sorted({host}.union(members(found.group(1))))) if found else None


def events(life: Recording) -> Iterator[Entry]:
    """The messages of a life."""
    return (entry for entry in life.entries if entry.kind == "event")


def field_of(entry: Entry, name: str) -> Any:
    """One field of a message."""
    return dict(entry.fields).get(name, "")


def online_ms(life: Recording) -> int:
    """When the host of that life came online; when the life began, if it does not say."""
    return next((entry.wall_ms for entry in events(life) if entry.name == "host-online"),
                life.header.wall_ms)


def witnesses(evidence: Evidence) -> Tuple[Witness, ...]:
    """Of all lives what they have to say of others: a pool of 64 hosts is looked at 64 times."""
    return tuple(Witness(
        who=life.header.host, begin_ms=life.header.wall_ms, end_ms=life.entries[-1].wall_ms,
        torn=life.entries[0].mono_ms - life.header.mono_ms > _WHOLE_MS,
        told=tuple(entry for entry in events(life) if entry.name in _TAKEN))
                 for lives in evidence.lives for life in lives if life.entries)


def seen_of(host: int, first_ms: int, last_ms: int, others: Sequence[Witness],
            words: Sequence[Words]) -> Seen:
    """What others saw of a host in a window of time."""
    looks = []  # type: List[_Look]
    for witness in others:
        if witness.begin_ms > last_ms or witness.end_ms < first_ms:
            continue
        if not looks or looks[-1].who != witness.who:
            looks.append(_Look(host, witness.who))
        # Where the ring came round, what was before it is taken for good.
        looks[-1].begin(witness.torn)
        for entry in witness.told:
            looks[-1].take(entry, first_ms <= entry.wall_ms <= last_ms)
    heard = [look.words for look in looks if look.words is not None]
    heard += [one for one in words
              if one.host == host and first_ms <= one.at_ms <= last_ms]
    # Who went on knows best: a host that was put out together with it saw another picture.
    judges = sorted((look for look in looks if look.pictures is not None),
                    key=lambda look: (not look.dropped_ms, look.fenced))
    pictures = judges[0].pictures if judges else None
    missed = [[look.missed_ms[name] for look in looks if name in look.missed_ms]
              for name in _DOMAINS]
    dropped = [wall_ms for look in looks for wall_ms in look.dropped_ms]
    return Seen(
        by=tuple(sorted(look.who for look in looks)), unheard_ms=min(missed[0] or [-1]),
        stopped_ms=min(missed[1] or [-1]), unheard_by=_who(looks, _Look.missed_first),
        words=heard[0] if heard else None, rule=max([look.rule for look in looks] or [""]),
        asked=any(look.asked for look in looks),
        heartbeat=host in members(pictures[0]) if pictures else None,
        statefile=host in members(pictures[1]) if pictures else None,
        dropped_by=_who(looks, lambda look: bool(look.dropped_ms)),
        dropped_ms=min(dropped) if dropped else -1,
        last_dropped_ms=max(dropped) if dropped else -1,
        disarmed=any(look.disarmed for look in looks),
        restarted=any(look.restarted for look in looks),
        still_runs=any(look.still_runs for look in looks),
        fenced_too=_who(looks, lambda look: look.fenced),
        without_statefile=_who(looks, lambda look: look.blind))


def _who(looks: Sequence["_Look"], holds: Callable[["_Look"], bool]) -> Tuple[int, ...]:
    return tuple(sorted(look.who for look in looks if holds(look)))


class _Look:
    """What is being gathered of one other host's recordings."""

    def __init__(self, host: int, who: int) -> None:
        self.host, self.who = host, who
        # Whether it was there at last, and when it was missed, by the name of the message.
        self.there = {}  # type: Dict[str, bool]
        self.missed_ms = {}  # type: Dict[str, int]
        self.words = None  # type: Optional[Words]
        self.pictures = None  # type: Optional[Tuple[Any, Any]]
        self.decided_ms = -1
        self.rule = ""
        self.asked = self.disarmed = self.restarted = self.fenced = self.blind = False
        self.still_runs = False
        self.dropped_ms = []  # type: List[int]

    def missed_first(self) -> bool:
        """Whether its heartbeats were missed before the walk had merged and decided."""
        return self.missed_ms.get(_DOMAINS[0], self.decided_ms + 1) < self.decided_ms

    def begin(self, there: bool) -> None:
        """A life begins, with the host in view or not."""
        self.there = dict.fromkeys(_DOMAINS, there)

    def take(self, entry: Entry, within: bool) -> None:
        """One message, in the order in which they were said; ``within`` the window."""
        # Who has lost the State-File sees no record advance, and says nothing of others by that.
        if entry.name in _DOMAINS and self.who in members(field_of(entry, "liveset")):
            there = self._shows(entry, "liveset")
            if within and self.there[entry.name] and not there and not self.dropped_ms:
                self.missed_ms.setdefault(entry.name, entry.wall_ms)
            self.there[entry.name] = there
        if within:
            self._take(entry)

    def _take(self, entry: Entry) -> None:
        about = field_of(entry, "host") == self.host
        if entry.name == "fh-views-agree" and not self.dropped_ms:
            self.decided_ms = entry.wall_ms
            self.pictures = (field_of(entry, "heartbeat"), field_of(entry, "statefile"))
        elif entry.name in ("surviving-by-rule-1", "surviving-by-rule-2"):
            if not self._shows(entry, "liveset") or entry.name.endswith("2"):
                self.rule = entry.name[-1]
        elif entry.name == "fence-requested":
            self.asked = self.asked or self._shows(entry, "dropped")
        elif entry.name == "self-fencing":
            self.fenced = True
        elif entry.name == "statefile-lost":
            self.blind = True
        elif about and entry.name in ("host-dropped", "disarmed-host-dropped"):
            self.dropped_ms.append(entry.wall_ms)
            self.disarmed = self.disarmed or entry.name.startswith("disarmed")
        elif about and entry.name == "last-words-heard" and self.words is None:
            self.words = Words(host=self.host, code=str(field_of(entry, "code")),
                               text=str(field_of(entry, "text")), at_ms=entry.wall_ms,
                               heard=_heard_of(self.host, str(field_of(entry, "text"))))
        elif about and entry.name == "peer-restarted":
            self.restarted = True
        elif about and entry.name == "dropped-host-runs":
            self.still_runs = True

    def _shows(self, entry: Entry, field: str) -> bool:
        return self.host in members(field_of(entry, field))
