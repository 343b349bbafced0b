"""What is known of a sandbox at one instant, and what follows from it.

Values only: every fact is a daemon's own answer (``query json``), or what the
system says of its process and its timers.  ``picture`` draws them, ``tour``
waits for them, and ``changes`` says them in lines, where there is no terminal
to draw on.
"""

import enum
from typing import Any, Dict, FrozenSet, List, NamedTuple, Optional, Tuple

from xha.hostset import runs
from xha.records import record

#: An age that nobody knows.
UNKNOWN = -1


@enum.unique
class State(enum.Enum):
    """How a host is; the value is the word for people."""

    ABSENT = "off"
    STARTING = "starting"
    ONLINE = "online"
    HANDLING = "fault handler"
    SILENT = "no answer"
    PAUSED = "paused"
    # The daemon is gone; the timers that it armed run on and will reset the host.
    CRASHED = "crashed"
    FENCED = "fenced"
    STOPPED = "stopped"


#: States in which a daemon is there and may answer.
RUNNING = frozenset((State.STARTING, State.ONLINE, State.HANDLING, State.SILENT, State.PAUSED))
#: States of a host whose daemon has ended.
ENDED = frozenset((State.CRASHED, State.FENCED, State.STOPPED))
#: States of a member of a liveset that decides and answers.
MEMBER = frozenset((State.ONLINE, State.HANDLING))


@record
class HostFacts(NamedTuple):
    """One host of the sandbox."""

    index: int  # type: ignore[assignment]
    address: str
    state: State
    # Seconds since the sandbox began, at which the state was first seen.
    since_s: float
    # Why it is so, for a host that ended: exit code and reason, or what fenced it.
    detail: str
    # The daemon's answer to `query json`; None when there is none.
    answer: Optional[Dict[str, Any]]
    # What the sandbox does to its State-File: "ok", "fail", "hang" or "slow".
    disk: str

    def get(self, name: str, default: Any = None) -> Any:
        """A field of the daemon's answer."""
        return default if self.answer is None else self.answer.get(name, default)

    def members(self, name: str) -> FrozenSet[int]:
        """A field of the answer that is a list of hosts."""
        return frozenset(self.get(name) or ())

    @property
    def liveset(self) -> FrozenSet[int]:
        """Its current liveset; empty unless it is a member."""
        return self.members("current_liveset") if self.state in MEMBER else frozenset()

    @property
    def waiting_for(self) -> str:
        """What its daemon waits for; "" for nothing."""
        return str(self.get("waiting_for") or "")

    @property
    def phase(self) -> str:
        """As the daemon names it: "started", "fh1", ...; "" without an answer."""
        return str(self.get("phase") or "")


@record
class PoolFacts(NamedTuple):
    """The sandbox."""

    # Seconds since the sandbox began.
    at_s: float
    hosts: Tuple[HostFacts, ...]
    # (sender, receiver) of the links that the sandbox has cut.
    cut: FrozenSet[Tuple[int, int]]
    # T1 and T2, ms.
    heartbeat_timeout_ms: int
    statefile_timeout_ms: int


def digits(hosts: FrozenSet[int], count: int) -> str:
    """The operator's picture of a set: ``1101``."""
    return "".join("1" if index in hosts else "0" for index in range(count))


def answering(facts: PoolFacts) -> List[HostFacts]:
    """The hosts whose daemon answered."""
    return [host for host in facts.hosts if host.answer is not None]


def online(facts: PoolFacts) -> FrozenSet[int]:
    """The hosts that are online and at rest."""
    return frozenset(host.index for host in facts.hosts if host.state is State.ONLINE)


def agree_on(facts: PoolFacts, liveset: FrozenSet[int]) -> bool:
    """Whether these hosts are online and at rest, and each says that just they are alive."""
    return bool(liveset) and online(facts) >= liveset and all(
        facts.hosts[index].liveset == liveset for index in liveset)


def holders(facts: PoolFacts) -> List[int]:
    """The hosts that hold the master lock, as they say themselves; more than one is a bug."""
    return [host.index for host in answering(facts) if host.get("holding_master_lock")]


def master(facts: PoolFacts) -> int:
    """The host that all members name as master; -1 when there is none, or they differ."""
    named = set()
    for host in facts.hosts:
        if host.state in MEMBER:
            named.add(next((other["index"] for other in host.get("hosts", ())
                            if other["master"]), -1))
    return int(named.pop()) if len(named) == 1 else -1


def age_ms(facts: PoolFacts, index: int, path: str) -> int:
    """How long ago any other host last noticed a sign of life of this one, ms.

    Args:
        path: "heartbeat" or "statefile".

    Returns:
        The smallest age that another daemon reports (its own where it is alone);
        UNKNOWN when nobody ever noticed one.
    """
    name = "since_{}_ms".format(path)
    others = [host for host in answering(facts) if host.index != index]
    if len(facts.hosts) == 1:
        others = answering(facts)
    ages = [host.get("hosts")[index][name] for host in others]
    return min((int(age) for age in ages if age is not None), default=UNKNOWN)


def groups(hosts: List[HostFacts], texts: List[str]) -> List[Tuple[str, List[int]]]:
    """Equal texts together: (text, hosts that it is true of), in the order of hosts."""
    found = {}  # type: Dict[str, List[int]]
    order = []  # type: List[str]
    for host, text in zip(hosts, texts):
        if text and text not in found:
            order.append(text)
        if text:
            found.setdefault(text, []).append(host.index)
    return [(text, found[text]) for text in order]


def named(hosts: List[int]) -> str:
    """``host 1``, ``hosts 0, 2``, ``hosts 0-2, 4``."""
    return "{} {}".format("host" if len(hosts) == 1 else "hosts", ", ".join(runs(hosts)))


def waits(facts: PoolFacts) -> List[Tuple[str, List[int]]]:
    """What the hosts wait for now, and which do."""
    texts = []
    for host in facts.hosts:
        text = ""
        if host.waiting_for:
            text = "waiting for " + host.waiting_for
            if host.state is State.HANDLING:
                text = "{}: {}".format(host.phase.upper(), text)
        elif host.state is State.HANDLING:
            text = host.phase.upper()
        elif host.state in (State.CRASHED, State.PAUSED, State.SILENT):
            text = host.state.value + (", " + host.detail if host.detail else "")
        texts.append(text)
    return groups(list(facts.hosts), texts)


def calm(facts: PoolFacts) -> bool:
    """Whether every host is online and hears and sees every other."""
    everyone = frozenset(host.index for host in facts.hosts)
    return agree_on(facts, everyone) and all(
        host.members("heartbeat_domain") == everyone
        and (host.members("statefile_domain") == everyone) for host in facts.hosts)


def broken(facts: PoolFacts) -> str:
    """What the sandbox breaks on purpose, in words; "" for nothing."""
    parts = []
    if facts.cut:
        parts.append("network " + _cut_in_words(facts))
    for disk in ("fail", "hang", "slow"):
        hosts = [host.index for host in facts.hosts if host.disk == disk]
        if hosts:
            parts.append("disk {}: {}".format(disk, " ".join(str(index) for index in hosts)))
    return ", ".join(parts)


def _cut_in_words(facts: PoolFacts) -> str:
    """``0 1 | 2`` where the cut parts the hosts into groups, else link by link."""
    rest = [host.index for host in facts.hosts]
    parts = []  # type: List[List[int]]
    while rest:
        part = [other for other in rest if other == rest[0]
                or (rest[0], other) not in facts.cut and (other, rest[0]) not in facts.cut]
        parts.append(part)
        rest = [index for index in rest if index not in part]
    group_of = {index: number for number, part in enumerate(parts) for index in part}
    crossing = frozenset((one, other) for one in group_of for other in group_of
                         if group_of[one] != group_of[other])
    if crossing == facts.cut:
        return " | ".join(" ".join(str(index) for index in part) for part in parts)
    both = frozenset(link for link in facts.cut if link[::-1] in facts.cut)
    words = ["{}-/-{}".format(one, other) for one, other in sorted(both) if one < other]
    for one in sorted({one for one, _ in facts.cut - both}):
        words.append("{}-/>{}".format(one, ",".join(
            str(other) for sender, other in sorted(facts.cut - both) if sender == one)))
    return " ".join(words)


#: What ``changes`` looks at: a name, and how it is said.
_WATCHED = [
    ("liveset", "liveset {}"), ("heartbeat_domain", "hears {}"),
    ("statefile_domain", "sees on the State-File {}")]


def changes(before: PoolFacts, after: PoolFacts) -> List[str]:
    """What changed between two instants, in lines; equal changes of several hosts in one."""
    count = len(after.hosts)
    states, sets, words = [], [], []
    for old, new in zip(before.hosts, after.hosts):
        states.append(_state_in_words(new) if _state_in_words(old) != _state_in_words(new) else "")
        sets.append(_sets_in_words(old, new, count))
        said = []
        if new.state in MEMBER and bool(new.get("survival_rule_2")) != bool(
                old.get("survival_rule_2")):
            said.append("survival rule 2 " + ("holds" if new.get("survival_rule_2") else "ended"))
        if new.state in MEMBER and new.get("fencing") != old.get("fencing"):
            said.append("fencing {}".format(new.get("fencing")))
        words.append(", ".join(said))
    lines = []
    for texts in (states, sets, words):
        for text, hosts in groups(list(after.hosts), texts):
            lines.append("{}: {}".format(named(hosts), text))
    if master(before) != master(after) and master(after) >= 0:
        lines.append("the State-File names host {} as master".format(master(after)))
    return lines


def _state_in_words(host: HostFacts) -> str:
    text = host.state.value
    if host.state is State.HANDLING:
        text += " " + host.phase.upper()
    if host.state in (State.HANDLING, State.STARTING) and host.waiting_for:
        text += ", waiting for " + host.waiting_for
    if host.detail:
        text += ": " + host.detail
    return text


def _sets_in_words(old: HostFacts, new: HostFacts, count: int) -> str:
    if new.state not in MEMBER:
        return ""
    said = []
    for name, text in _WATCHED:
        was, now = [host.liveset if name == "liveset" else host.members(name)
                    for host in (old, new)]
        if was != now or old.state not in MEMBER:
            said.append(text.format(digits(now, count)))
    return ", ".join(said)
