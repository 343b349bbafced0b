"""One incident, told: its cause, what happened in order of time, and where the evidence ends.

Theory of operation
===================

``incidents`` finds all ends of all hosts that the evidence knows of, and keeps those that
somebody asks about; ``tell`` puts one to the table of causes and gathers around it: the lines
of all hosts that belong to it, one for what several hosts say within a second; other
incidents; and what is not known, with what would show it.  Nothing is invented: a line is
a record, and what is inferred is the cause alone.  Pure.  Source: spec 9.
"""

from typing import Any, Dict, List, NamedTuple, Optional, Sequence, Set, Tuple

from xha import catalogue, history, whycase, whycauses, whyseen
from xha.history import Line
from xha.records import record
from xha.whycase import Case
from xha.whycauses import Verdict
from xha.whyseen import Evidence, online_ms
from xha.whywords import named

#: Ends that are no incident: nobody asks why.
_PEACE = ("stopped", "gone", "quiet")
#: And these codes of a daemon that ended unarmed: HA was disabled, the host was excluded.
_ON_PURPOSE = ("11", "19")
#: Equal lines of several hosts within this time are one, ms.
TOGETHER_MS = 1000
#: How far lines go back before an end, and on after it, ms.
_BACK_MS, _ON_MS = 60000, 180000
#: Lines of one incident at most; the middle of what came before is left out.
LINES_MAX = 40
#: So much later is another incident, and not the same one seen twice, ms.
_SAME_MS = 60000

#: What others say that belongs to the end of a host, whoever it is about.
_OF_ALL = ("hb-domain-changed", "sf-domain-changed", "fh-started", "fh-views-differ",
           "surviving-by-rule-1", "surviving-by-rule-2", "fence-requested", "liveset-changed",
           "sr2-begun", "sr2-ended", "statefile-lost", "statefile-regained", "self-fencing",
           "start-aborted", "watchdogs-left", "pool-state-changed")
#: And what they say of one host, by the field ``host``.
_OF_ONE = ("last-words-heard", "host-dropped", "disarmed-host-dropped", "fh-host-kept",
           "fh-sign-of-life", "fh-host-stuck", "peer-restarted", "peer-disarmed",
           "dropped-host-runs", "statefile-record-corrupt", "heartbeat-send-failed")
#: What is said in peace: not shown from before the trouble, which begins this long, ms, before
#: the end, or before the first other missed it.
_CALM = ("fencing-armed", "host-online", "pool-state-changed", "liveset-changed",
         "hb-domain-changed", "sf-domain-changed", "daemon-started", "start-decided")
_TROUBLE_MS = 10000
#: Of its own lines those of these levels, and some more.
_LEVELS = ("err", "warning", "notice")
_ALSO = ("fh-views-agree", "start-waiting", "joining")
#: What says nothing about an end.
_NEVER = ("traceback", "watchdog-mode-none", "watchdog-mode-user", "realtime-missing",
          "fault-points-enabled", "heartbeat-interface-unbound", "interface-unchecked",
          "master-changed", "config-warning", "bond-absent", "statefile-no-direct-io",
          "recorder-works", "log-file-works")


@record
class Moment(NamedTuple):
    """One line of the sequence."""

    at_ms: int
    # Indexes of those who say so.
    hosts: Tuple[int, ...]
    level: str
    name: str
    text: str


@record
class Told(NamedTuple):
    """An incident, with all that is known about it."""

    case: Case
    verdict: Verdict
    address: str
    moments: Tuple[Moment, ...]
    # Lines that were left out.
    left_out: int
    # What is not known, and what would show it: sentences.
    limits: Tuple[str, ...]
    # Other incidents, the latest first.
    others: Tuple[Tuple[Case, Verdict], ...]


def is_incident(case: Case) -> bool:
    """Whether somebody would ask why: a fence, a failed start, a refusal, a loss."""
    return case.kind not in _PEACE and not (
        case.kind == "ended" and case.code in _ON_PURPOSE)


def incidents(evidence: Evidence, host: Optional[int] = None,
              before_ms: Optional[int] = None) -> List[Case]:
    """What happened to that host, or to any, the latest last; equal failed starts once."""
    count = 0
    for lives in evidence.lives:
        for life in lives:
            count = max(count, len(life.header.addresses), life.header.host + 1)
    count = max([count] + [words.host + 1 for words in evidence.words])
    told = whyseen.witnesses(evidence)
    found = []  # type: List[Case]
    for index in range(count) if host is None else (host,):
        mine = [case for case in whycase.cases(evidence, index, told)
                if is_incident(case)]
        for case in mine:
            # xapi tries a failed start again and again; the last is as good as all.
            if found and found[-1].host == index and _alike(found[-1], case):
                found.pop()
            if not (found and found[-1].host == index and _tells_of(case, found[-1])):
                found.append(case)
    found = [case for case in found if before_ms is None or case.at_ms < before_ms]
    return sorted(found, key=lambda case: (case.at_ms, -case.host))


def last(known: Sequence[Case], evidence: Evidence) -> Case:
    """The incident that is meant where nobody says which.

    Not a failed start after which one succeeded: a host that was reset tries until it comes in,
    and who asks then wants to know of the reset.
    """
    open_ones = [case for case in known if not (case.kind == "refused" and _came_in(
        case, evidence))]
    return (open_ones or known)[-1]


def _came_in(case: Case, evidence: Evidence) -> bool:
    """Whether a later daemon of that host came online."""
    return any(life.header.online or any(entry.name == "host-online"
                                         for entry in whyseen.events(life))
               for lives in evidence.lives if any(life is case.life for life in lives)
               for life in lives if life.header.wall_ms > case.at_ms)


def unended(evidence: Evidence, host: Optional[int] = None) -> List[str]:
    """What is to be said of recordings that break off while nobody tells whether they ended.

    A recorder that was copied from a daemon that runs looks like one of a host that just ended;
    but for what recorders of others, of the same time, say.
    """
    told = whyseen.witnesses(evidence)
    found = []  # type: List[str]
    for lives in evidence.lives if evidence.now is None else ():
        index = lives[0].header.host
        last = whycase.cases(evidence, index, told)[-1] if host in (None, index) else None
        if last is not None and last.kind == "quiet" and not last.seen.by and (
                last.state.get("fencing") == "ARMED"):
            found.append("The recording of host {} breaks off at {} while it was armed: its daemon "
                         "ran on when the file was copied, or it ended without a word.  Ask on "
                         "that host, or add a captured console, or the recorders of others.".format(
                             index, history.stamp(last.at_ms)))
    return found


def _alike(before: Case, case: Case) -> bool:
    return (before.kind == case.kind == "refused"
            and whycauses.verdict(before).name == whycauses.verdict(case).name)


def _tells_of(case: Case, before: Case) -> bool:
    """Whether a refused start is part of the incident before: that daemon had died armed."""
    return case.kind == "refused" and bool(before.successor) and case.life is before.after


def tell(case: Case, known: Sequence[Case], lines: Sequence[Line], evidence: Evidence,
         notes: Sequence[str]) -> Told:
    """All about one incident.

    Args:
        known: all incidents.
        lines: the history of all hosts.
        notes: what could not be read.
    """
    moments = _moments(case, lines)
    left_out = max(0, len(moments) - LINES_MAX)
    if left_out:
        half = LINES_MAX // 2
        moments = moments[:half] + moments[-half:]
    addresses = _addresses(evidence)
    others = [(other, whycauses.verdict(other)) for other in reversed(known)
              if (other.host, other.at_ms) != (case.host, case.at_ms)]
    return Told(case=case, verdict=whycauses.verdict(case), moments=tuple(moments),
                address=addresses[case.host] if case.host < len(addresses) else "",
                left_out=left_out, limits=tuple(limits(case, evidence, notes)),
                others=tuple(others))


def _addresses(evidence: Evidence) -> Sequence[str]:
    rows = [life.header.addresses for lives in evidence.lives for life in lives]
    # A log does not know them.
    return max(rows, key=lambda row: (len([one for one in row if one]), len(row))) if rows else ()


# ---- the sequence

def _moments(case: Case, lines: Sequence[Line]) -> List[Moment]:
    trouble_ms = min([case.at_ms] + [at for at in (case.seen.missed_ms,) if at >= 0])
    first_ms, trouble_ms = trouble_ms - _BACK_MS, trouble_ms - _TROUBLE_MS
    if case.kind == "refused" and case.life is not None:
        first_ms = max(case.life.header.wall_ms, case.at_ms - 10 * _BACK_MS)
    elif case.life is not None:
        first_ms = max(first_ms, online_ms(case.life))
    last_ms = max(case.at_ms, case.seen.last_dropped_ms) + _ON_MS
    found = []  # type: List[Moment]
    told = set()  # type: Set[Tuple[int, str, str]]
    for line in lines:
        who = int(line.host.split()[0]) if line.host.split()[0].isdigit() else -1
        if not first_ms <= line.wall_ms <= last_ms or not _belongs(case, who, line):
            continue
        if case.kind != "refused" and line.wall_ms < trouble_ms and _is_calm(line):
            continue
        if (who, line.name, line.text) in told and line.name not in _OF_ALL:
            continue
        told.add((who, line.name, line.text))
        moment = Moment(at_ms=line.wall_ms, hosts=(who,), level=line.level, name=line.name,
                        text=line.text)
        same = [place for place, before in enumerate(found)
                if line.wall_ms - before.at_ms <= TOGETHER_MS and before.text == line.text
                and who not in before.hosts]
        if same:
            found[same[-1]] = found[same[-1]]._replace(
                hosts=tuple(sorted(found[same[-1]].hosts + (who,))))
        else:
            found.append(moment)
    return found


def _is_calm(line: Line) -> bool:
    """Whether a line is said in peace; not, of course, that nobody is there any more."""
    return line.name in _CALM and str(dict(line.fields).get("liveset", "1")).strip("0") != ""


def _belongs(case: Case, who: int, line: Line) -> bool:
    if line.name in _NEVER:
        return False
    fields = dict(line.fields)
    if who == case.host:
        if line.wall_ms > case.at_ms:
            # After its end: that it came back, and how.
            return line.kind in ("begin", "clock") or line.name in (
                "start-aborted", "watchdog-fired", "watchdogs-left", "terminated", "host-online")
        return (line.kind in ("begin", "clock", "lost") or line.level in _LEVELS
                or line.name in _ALSO)
    if case.kind == "refused" and line.wall_ms > case.at_ms:
        return False
    return line.name in _OF_ALL or (
        line.name in _OF_ONE and fields.get("host") == case.host)


# ---- where the evidence ends

def limits(case: Case, evidence: Evidence, notes: Sequence[str]) -> List[str]:
    """What is not known, and what would show it."""
    found = [note.rstrip(".") + "." for note in notes]
    me = "host {}".format(case.host)
    speaking = {lives[0].header.host for lives in evidence.lives if lives}
    if case.life is None:
        found.append("No recorder of {0} speaks of that time: its own view is not known.  Copy "
                     "/var/lib/xha from it and name it as FILE.".format(me))
    elif case.kind == "silent":
        found.append(_silence(case, me))
    silent_others = [host for host in range(case.hosts)
                     if host != case.host and host not in case.seen.by]
    if silent_others and case.kind not in ("refused", "ended"):
        found.append("What {0} saw is not known: no recorder of {1} speaks of that time.  Copy "
                     "/var/lib/xha from there and name it as FILE.".format(
                         named(silent_others), "it" if len(silent_others) == 1 else "theirs"))
    if (case.kind in ("silent", "missing") and not (case.xen or case.successor)
            and case.rebooted is not False):
        if any(ends for whose, ends in evidence.xen if whose in (case.host, -1)):
            found.append("The log of Xen tells of no end of {} at that time; its dates count as "
                         "UTC.".format(me))
        else:
            found.append("No log of Xen from before the reset is among the files.  A captured "
                         "console (serial line, or /var/crash/*/xen.log) tells a watchdog from a "
                         "crash and from a loss of power; `xl dmesg` of the new boot does not.")
    if case.xen and len(speaking) > 1 and not any(
            whose == case.host for whose, _ in evidence.xen):
        found.append("Nobody said whose the log of Xen is: it was taken for that of {}.  "
                     "host=N:FILE says whose it is.".format(me))
    for lives in evidence.lives:
        for life in lives:
            lost = sum(_number(dict(entry.fields).get("count")) for entry in life.entries
                       if entry.kind == "lost")
            if (life.damaged or lost) and (life is case.life or life.header.host != case.host):
                found.append("{} records of a recorder of host {} are damaged or were lost.".format(
                    life.damaged + lost, life.header.host))
    if len(speaking) > 1:
        found.append("Hosts' clocks may differ: between lines of two hosts the order is only as "
                     "good as their clocks.")
    return found


def _silence(case: Case, me: str) -> str:
    life = case.life
    assert life is not None
    last_ms = life.entries[-1].mono_ms if life.entries else life.header.mono_ms
    text = "The recorder of {} breaks off without a word of an end".format(me)
    after = case.after
    if after is not None and (case.successor or not case.rebooted):
        text += "; the next daemon began {:.1f} s later".format(
            (after.header.mono_ms - last_ms) / 1000)
    elif after is not None:
        text += "; the next daemon, after a boot, began {:.1f} s later".format(
            (after.header.wall_ms - case.at_ms) / 1000)
    measures = [entry for entry in life.entries if entry.kind == "measure"]
    if measures:
        turn = _number(dict(measures[-1].fields).get("turn_ms_max"))
        text += ".  Its last measurement, {:.1f} s before that, shows a loop that took {} ms " \
                "at most".format((last_ms - measures[-1].mono_ms) / 1000, turn)
    return text + "."


def _number(value: Any) -> int:
    return value if isinstance(value, int) and not isinstance(value, bool) else 0


def facts(told: Told) -> Dict[str, Any]:
    """For JSON; docs/why.md has the schema."""
    case, verdict = told.case, told.verdict
    return {
        "host": case.host, "address": told.address or None, "kind": case.kind,
        "wall_ms": case.at_ms, "code": case.code or None,
        "reason": catalogue.phrase(case.reason) or None, "cause": verdict.name,
        "path": verdict.path, "rule": verdict.rule or None, "text": verdict.text,
        "advice": verdict.advice, "machine_rebooted": case.rebooted, "xen": case.xen or None,
        "survivors": list(case.seen.dropped_by),
        "dropped_wall_ms": case.seen.dropped_ms if case.seen.dropped_ms >= 0 else None,
        "still_heard": case.seen.still_runs, "fenced_too": list(case.seen.fenced_too),
        "limits": list(told.limits),
        "lines": [{"wall_ms": one.at_ms, "offset_ms": one.at_ms - case.at_ms,
                   "hosts": list(one.hosts), "level": one.level, "name": one.name,
                   "text": one.text} for one in told.moments],
        "lines_left_out": told.left_out,
        "others": [{"host": other.host, "kind": other.kind, "wall_ms": other.at_ms,
                    "cause": its.name, "text": its.text} for other, its in told.others]}
