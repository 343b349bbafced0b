"""What became of a host: from what was recorded, here and elsewhere, to a case to be judged.

Theory of operation
===================

A *life* is one daemon's recording.  How it ended its last messages say:

==========  ==============================================================================
fenced      it said why it fences itself
refused     it gave up its start, or a start was refused
left        it ended armed, on purpose or not, and said so: its timers reset the host
died        a fault in xha itself ended it
ended       it ended with a code, unarmed; "stopped" is that with code 0
silent      armed, and the recording breaks off: killed, hung, reset from outside, no power
quiet       the recording breaks off, and nothing says that the daemon has ended
gone        not armed, and the recording breaks off: nobody counted on a reset
==========  ==============================================================================

What *others* saw of the same host in the same minutes is put beside it: on which path it was
missing when they decided (``fh-views-agree`` has both domains), by which rule they went on,
its last words, who dropped it when.  Without any life of that host, what others saw, or its
last words on the State-File, makes a case alone ("fenced" or "missing").

Hosts' clocks differ, so what others saw is looked for in a window of time that is larger than
every wait of the fault handler.  Pure: nothing here touches anything.  Source: spec 9.
"""

import re
from typing import Any, Dict, List, NamedTuple, Optional, Sequence, Tuple

from xha.recorderformat import Entry, Recording
from xha.records import record
from xha.whyseen import (
    NOTHING_SEEN, Evidence, Now, Seen, Witness, Words, events, field_of, members, online_ms,
    seen_of)
from xha.whyxen import XenEnd

#: What others saw of an end is looked for so long before and after it, ms.
BEFORE_MS, AFTER_MS = 120000, 600000
#: A condition that was said longer ago than this is no part of an end any more, ms.
RECENT_MS = 120000
#: Clocks of those who capture consoles, whose lines may have whole seconds, differ so much, ms.
CLOCKS_MS = 3000
_FOR_EVER_MS = 1 << 50

#: Conditions that stand until they are taken back: by name, what begins and what ends them.
CONDITIONS = {
    "statefile-lost": (("statefile-lost",), ("statefile-regained",)),
    "write-failed": (("statefile-write-failed",), ("statefile-regained",)),
    "rule 2": (("sr2-begun", "surviving-by-rule-2"), ("sr2-ended",)),
    "send-failed": (("heartbeat-send-failed",), ("heartbeat-send-works",)),
    "refresh-failed": (("watchdog-refresh-failed",), ("watchdog-refresh-works",)),
    "merged": (("fh-views-differ",), ("fh-ended",)),
    "stalled": (("gap-noticed",), ()),
    "expiring": (("watchdog-expiring", "watchdog-expired"), ("watchdog-refresh-works",)),
    "bond-error": (("bond-error",), ("bond-good", "bond-degraded")),
}  # type: Dict[str, Tuple[Tuple[str, ...], Tuple[str, ...]]]
#: Of these, those that count only while they are fresh.
_FLEETING = ("stalled", "expiring")

_PICTURES = re.compile(r"heard ([01]+), State-File ([01]+), liveset ([01]+)")


@record
class Case(NamedTuple):
    """One end of one host's daemon, with all that is known about it."""

    host: int
    # As in the table above; or "missing": only others speak of it.
    kind: str
    # By its own clock if it has a say, else by the first other that missed it.
    at_ms: int
    # The life that ended, and the one that followed.
    life: Optional[Recording]
    after: Optional[Recording]
    # Of a fence its code, else the exit code as text; and the reason, both as they were said.
    code: str
    reason: str
    # Names of ``CONDITIONS`` that stood at the end, in their order.
    standing: Tuple[str, ...]
    # The last message of each name, and the last known state.
    said: Dict[str, Entry]
    state: Dict[str, Any]
    # The machine booted anew afterwards; None: not known.
    rebooted: Optional[bool]
    # What the next start said of it when it was refused or found timers.
    successor: str
    # What the log of Xen says of its reset: see ``whyxen``; "" for nothing.
    xen: str
    seen: Seen
    # Hosts of the pool, as far as is known.
    hosts: int
    now: Optional[Now]

    @property
    def pictures(self) -> Tuple[Tuple[int, ...], Tuple[int, ...], Tuple[int, ...]]:
        """Whom it heard, who advanced, and its liveset, as its reason for a fence says."""
        found = _PICTURES.search(self.reason)
        if not found:
            return ((), (), ())
        heard, statefile, liveset = found.groups()
        return members(heard), members(statefile), members(liveset)

    def field(self, name: str, field: str) -> Any:
        """A field of the last message of that name; "" when there is none."""
        return dict(self.said[name].fields).get(field, "") if name in self.said else ""


def _picture(hosts: Sequence[int], count: int) -> str:
    return "".join("1" if host in hosts else "0" for host in range(count))


def cases(evidence: Evidence, host: int, told: Sequence[Witness]) -> List[Case]:
    """All ends of that host's daemons that are known, the last one last.

    Args:
        told: ``whyseen.witnesses`` of the evidence.
    """
    others = [witness for witness in told if witness.who != host]
    found = []  # type: List[Case]
    for lives in evidence.lives:
        for place, life in enumerate(lives):
            if life.header.host == host:
                found.append(_case_of(evidence, host, lives[place:], others))
    own, losses = tuple(found), _losses(host, others, evidence.words)
    for place, (first_ms, last_ms) in enumerate(losses):
        if not any(case.kind != "refused" and case.at_ms - BEFORE_MS <= first_ms <= _seen_until(
                case.at_ms, case.after) for case in own):
            # What belongs to another loss is left to that.
            before_ms = losses[place - 1][1] + 1 if place else first_ms - BEFORE_MS
            next_ms = losses[place + 1][0] if place + 1 < len(losses) else first_ms + 2 * AFTER_MS
            found.append(_foreign(evidence, host, first_ms, (
                max(first_ms - BEFORE_MS, before_ms),
                max(last_ms, min(first_ms + AFTER_MS, next_ms - BEFORE_MS))), others))
    return _undated(evidence, sorted(found, key=lambda case: case.at_ms))


def _undated(evidence: Evidence, found: List[Case]) -> List[Case]:
    """Let a log of Xen without dates speak of the last reset alone."""
    resets = [place for place, case in enumerate(found)
              if case.kind not in ("refused", "stopped", "ended", "quiet", "gone")
              and case.rebooted is not False]
    if resets and not found[resets[-1]].xen:
        case = found[resets[-1]]
        ends = [end.how for whose, ends in evidence.xen if whose in (case.host, -1)
                for end in ends if end.at_ms < 0]
        if ends:
            found[resets[-1]] = case._replace(xen=ends[-1])
    return found


def _case_of(evidence: Evidence, host: int, lives: Sequence[Recording],
             others: Sequence[Witness]) -> Case:
    """The end of the first of these lives of a host."""
    life, after = lives[0], lives[1] if len(lives) > 1 else None
    said = {entry.name: entry for entry in events(life)}
    state = {}  # type: Dict[str, Any]
    for entry in life.entries:
        if entry.kind == "state":
            state.update(entry.fields)
    now = evidence.now if evidence.now is not None and evidence.now.host == host else None
    last_ms = life.entries[-1].wall_ms if life.entries else life.header.wall_ms
    kind, at_ms, code, reason = _end_of(said, last_ms)
    successor, rebooted = _reboot(lives, now)
    xen = _xen(evidence, lives, at_ms, rebooted) if rebooted is not False else ""
    seen = seen_of(host, max(online_ms(life), at_ms - BEFORE_MS), _seen_until(at_ms, after),
                   others, evidence.words)
    if not life.header.online and "host-online" not in said:
        # Who was never a member was not lost, whatever others said then of an earlier life.
        seen = NOTHING_SEEN._replace(by=seen.by)
    if kind == "":
        kind = _open_end(state, after is not None or rebooted or xen, now, seen)
    return Case(
        host=host, kind=kind, at_ms=at_ms, life=life, after=after, code=code, reason=reason,
        standing=_standing(life, at_ms), said=said, state=state, rebooted=rebooted,
        successor=successor, xen=xen, seen=seen,
        hosts=max(len(life.header.addresses), host + 1), now=now)


def _seen_until(at_ms: int, after: Optional[Recording]) -> int:
    """Until when others speak of an end: what was seen of a later life is another case."""
    if after is None:
        return at_ms + AFTER_MS
    return min(at_ms + AFTER_MS, max(at_ms, after.header.wall_ms + BEFORE_MS))


def _end_of(said: Dict[str, Entry], last_ms: int) -> Tuple[str, int, str, str]:
    """(kind, when, code, reason) as a life's own messages say; kind "" when none does."""
    def told(name: str, kind: str, code: str = "") -> Tuple[str, int, str, str]:
        return (kind, said[name].wall_ms, code or str(field_of(said[name], "code")),
                str(field_of(said[name], "reason")))
    if "self-fencing" in said:
        return told("self-fencing", "fenced")
    if "thread-died" in said:
        return told("thread-died", "died", "127")
    if "start-aborted" in said:
        code = str(field_of(said["terminated"], "code")) if "terminated" in said else "-"
        return told("start-aborted", "refused", code)
    if "terminated" in said:
        if "watchdogs-left" in said:
            return told("terminated", "left")
        return told("terminated", "stopped" if field_of(said["terminated"], "code") == 0
                    else "ended")
    return "", last_ms, "", ""


def _open_end(state: Dict[str, Any], ended: Any, now: Optional[Now], seen: Seen) -> str:
    """What a recording that breaks off is; ``ended``: it is known from elsewhere that it did."""
    if not (ended or seen.dropped_by or seen.words or now is not None and not now.running):
        return "quiet"
    return "silent" if state.get("fencing") == "ARMED" else "gone"


def _reboot(lives: Sequence[Recording], now: Optional[Now]) -> Tuple[str, Optional[bool]]:
    """What the next start found, and whether the machine booted anew after the first of these.

    A start that found armed timers was refused, and the reset was still to come.
    """
    boot_id = lives[0].header.boot_id
    later = [life.header.boot_id for life in lives[1:]] + ([now.boot_id] if now else [])
    if not boot_id or not later or not later[0]:
        return "", None     # A log does not know its boot.
    if later[0] != boot_id:
        return "", True
    successor = _successor(lives[1] if len(lives) > 1 else None)
    if not successor.startswith("the last daemon"):
        return successor, False
    if any(one not in ("", boot_id) for one in later):
        return successor, True
    return successor, None if now is None else False


def _standing(life: Recording, at_ms: int) -> Tuple[str, ...]:
    since_ms = {}  # type: Dict[str, int]
    for entry in events(life):
        for name, (begins, ends) in CONDITIONS.items():
            if entry.name in begins:
                since_ms[name] = entry.wall_ms
            elif entry.name in ends:
                since_ms.pop(name, None)
    return tuple(name for name in CONDITIONS if name in since_ms and (
        name not in _FLEETING or since_ms[name] >= at_ms - RECENT_MS))


def _successor(after: Optional[Recording]) -> str:
    """What a later life in the same boot says of the timers that it found."""
    if after is None:
        return ""
    for entry in events(after):
        if entry.name == "start-aborted" and "the last daemon" in str(field_of(entry, "reason")):
            return str(field_of(entry, "reason"))
        if entry.name == "watchdog-fired":
            return "watchdog fired: {}, {}".format(field_of(entry, "cause"),
                                                   field_of(entry, "outcome"))
        if entry.name == "watchdogs-left-armed-none":
            return "watchdog mode NONE"
    return ""


def _xen(evidence: Evidence, lives: Sequence[Recording], at_ms: int,
         rebooted: Optional[bool]) -> str:
    """How Xen says that a host went down at the end of the first of these lives.

    That is the first it says, in lines with times, between the last record and the next boot.  A
    host without power says that it had none when it has it again, however late that is.
    """
    life = lives[0]
    next_ms = next((later.header.wall_ms for later in lives
                    if later.header.boot_id != life.header.boot_id), at_ms + _FOR_EVER_MS)
    ends = [end for end in _ends(evidence, life.header.host)
            if life.header.wall_ms <= end.at_ms <= next_ms and (
                end.at_ms <= at_ms + AFTER_MS or (end.how == "boot" and rebooted is True))]
    after = [end for end in ends if end.at_ms >= at_ms - CLOCKS_MS]
    return (after[:1] or ends[-1:])[0].how if ends else ""


def _ends(evidence: Evidence, host: int) -> List[XenEnd]:
    """What logs of Xen say of a host, or of one that is not known, as far as it has times."""
    return sorted((end for whose, ends in evidence.xen if whose in (host, -1) for end in ends
                   if end.at_ms >= 0), key=lambda end: end.at_ms)


def _losses(host: int, others: Sequence[Witness],
            words: Sequence[Words]) -> List[Tuple[int, int]]:
    """When others lost that host: of each time the first and the last word of it.

    Who has dropped it, and speaks of it again, speaks of the next time.
    """
    marks = [(one.at_ms, -1, "") for one in words if one.host == host]
    for witness in others:
        marks += [(entry.wall_ms, witness.who, entry.name) for entry in witness.told
                  if entry.name in ("host-dropped", "disarmed-host-dropped", "last-words-heard")
                  and field_of(entry, "host") == host]
    found = []  # type: List[Tuple[int, int]]
    dropped_by = []  # type: List[int]
    for at_ms, who, name in sorted(marks):
        if not found or at_ms - found[-1][1] > BEFORE_MS or who in dropped_by:
            found.append((at_ms, at_ms))
            dropped_by = []
        found[-1] = (found[-1][0], at_ms)
        if name.endswith("dropped"):
            dropped_by.append(who)
    return found


def _foreign(evidence: Evidence, host: int, mark_ms: int, window: Tuple[int, int],
             others: Sequence[Witness]) -> Case:
    """A case of which the host itself says nothing here; others do, in that window of time."""
    seen = seen_of(host, window[0], window[1], others, evidence.words)
    at_ms = min([mark_ms] + [at for at in (seen.missed_ms,) if at >= 0])
    words = seen.words
    later = [one for one in evidence.words if one.host == host and words is not None
             and one.text == words.text]
    if words is not None and later:
        words = words._replace(heard=later[0].heard)
        if words.at_ms - later[0].at_ms >= 1000:
            # Who was told had read it a cycle later; the host itself says whole seconds.
            words = words._replace(at_ms=later[0].at_ms)
    near = sorted((end for end in _ends(evidence, host)
                   if mark_ms - BEFORE_MS <= end.at_ms <= mark_ms + AFTER_MS),
                  key=lambda end: abs(end.at_ms - at_ms))
    count = max([host + 1] + [len(life.header.addresses)
                              for lives in evidence.lives for life in lives])
    return Case(
        host=host, kind="fenced" if words else "stopped" if seen.disarmed else "missing",
        at_ms=words.at_ms if words else at_ms, life=None, after=None,
        code=words.code if words else "", reason=words.text if words else "", standing=(),
        said={}, state={"heartbeat_domain": _picture(words.heard, count)}
        if words is not None and words.heard is not None else {},
        rebooted=None, successor="", xen=near[0].how if near else "",
        seen=seen, hosts=count, now=None)
