"""A history as lanes: what state each host was in, how close it came to a time-out, what it said.

Theory of operation
===================

A host's lines are read in its own order.  Changes of state are put together
into facts, and from facts follow *spans* of one state and one liveset; a life
begins with no facts.  Where the first record of a life that is still there
does not name all facts, the ring has come round: what was before is not known
any more, and is shown as that.  From a life's last record to the next life,
and to the end of the history, nothing was recorded.

*Samples* are of measurements: the longest silence of a host of the liveset,
and the longest access to the State-File; where none ended, how old the last
good reading is.  *Marks* are messages, and what is inferred.

A wall clock that was set back makes spans that lie over each other; a mark
says so.  Lines whose time is no date are in no lane.  Source: spec 9.
"""

from typing import Any, Dict, List, NamedTuple, Optional, Sequence, Tuple

from xha import catalogue, history, observer
from xha.history import Line, Source
from xha.records import record

#: The states of a lane, the gravest first, and what they mean.
STATES = {
    "aborted": "it has given up its start",
    "fault-handling": "the hosts agree on who goes on",
    "rule-2": "all have lost the State-File: survival rule 2",
    "disarmed": "online, and no timer would reset it",
    "excluded": "online, and noted as leaving on purpose",
    "starting": "not in the liveset yet",
    "online": "in the liveset, and armed",
    "not known": "the ring of its recorder has come round: no longer there",
    "nothing recorded": "no daemon ran, or its disk took nothing",
}

#: After its last record a host is shown as before for so long, ms: a measurement is due.
QUIET_MS = 2 * observer.SPAN_MS


@record
class Span(NamedTuple):
    """A time in which a host's state and liveset were the same."""

    from_ms: int
    to_ms: int
    state: str
    # A digit for each host; "" when there is none.
    liveset: str
    # Of the state, for people; "" for nothing.
    more: str


@record
class Sample(NamedTuple):
    """What a measurement says.  A value is -1 where there is none."""

    from_ms: int
    to_ms: int
    silence_ms: int
    # Whose silence; -1: nobody's.
    silent: int
    latency_ms: int
    failed: int


@record
class Limits(NamedTuple):
    """The time-outs of one life; 0: not known."""

    from_ms: int
    to_ms: int
    heartbeat_ms: int
    statefile_ms: int


@record
class Mark(NamedTuple):
    """Something that happened at an instant."""

    at_ms: int
    # A level of a message; "lost", "clock", "begin"; or "boot": begun after the machine was.
    kind: str
    text: str


@record
class Lane(NamedTuple):
    """One host."""

    # As the lines call it.
    host: str
    address: str
    about: str
    spans: Tuple[Span, ...]
    samples: Tuple[Sample, ...]
    limits: Tuple[Limits, ...]
    marks: Tuple[Mark, ...]


def lanes(sources: Sequence[Source], lines: Sequence[Line]) -> Tuple[Lane, ...]:
    """A lane for each host, in the order of indexes.

    Args:
        lines: the whole history of these recorders, measurements too.
    """
    names = history.host_names(sources)
    headers = {}  # type: Dict[str, Any]
    for source in sources:
        header = source.recording.header
        headers[history.name_of(header, names)] = header
    drawn = [line for line in lines if history.is_date(line.wall_ms)]
    end_ms = max([line.wall_ms for line in drawn] or [0])
    of_host = {}  # type: Dict[str, List[Line]]
    for line in drawn:
        of_host.setdefault(line.host, []).append(line)
    found = []
    for host, header in sorted(headers.items(), key=lambda item: (item[1].host, item[0])):
        known = 0 <= header.host < len(header.addresses)
        address = header.addresses[header.host] if known else header.machine or header.uuid
        builder = _Builder(header.host)
        for line in of_host.get(host, ()):
            builder.take(line)
        builder.end(end_ms)
        found.append(Lane(
            host=host, address=catalogue.phrase(address),
            about=catalogue.phrase("host {} {} {} {}".format(
                host, address, header.machine, header.uuid)),
            spans=tuple(builder.spans), samples=tuple(builder.samples),
            limits=tuple(builder.limits), marks=tuple(builder.marks)))
    return tuple(found)


class _Builder:
    """A lane, line by line."""

    def __init__(self, me: int) -> None:
        self._me = me
        self.spans = []  # type: List[Span]
        self.samples = []  # type: List[Sample]
        self.limits = []  # type: List[Limits]
        self.marks = []  # type: List[Mark]
        # Of this life; None before there is one.
        self._facts = None  # type: Optional[Dict[str, Any]]
        self._since_ms = 0
        self._last_ms = 0
        self._last_error = ""

    def take(self, line: Line) -> None:
        """The next line of this host."""
        fields = dict(line.fields)
        at_ms = line.wall_ms
        if line.kind == "begin":
            self._begin(at_ms, fields)
            self.marks.append(Mark(
                at_ms=at_ms, kind="boot" if fields.get("booted_anew") else "begin",
                text=line.text))
        elif line.kind == "state":
            self._state(at_ms, fields)
        elif line.kind == "measure":
            self._sample(at_ms, fields)
        elif line.kind == "clock":
            self._close(self._last_ms)
            self._since_ms = at_ms
        if line.kind in ("lost", "clock", "event"):
            kind = line.level or "debug" if line.kind == "event" else line.kind
            self.marks.append(Mark(at_ms=at_ms, kind=kind, text=line.text))
            if kind == "err":
                self._last_error = line.text
        self._last_ms = at_ms

    def end(self, end_ms: int) -> None:
        """There are no more lines of this host; others' go on until then."""
        if self._facts is None:
            return
        last_ms = self._last_ms
        if end_ms - last_ms <= QUIET_MS:
            last_ms = end_ms
        self._close(last_ms)
        self._gap(last_ms, end_ms, "nothing was recorded since")
        self._limit_to(end_ms)

    def _begin(self, at_ms: int, fields: Dict[str, Any]) -> None:
        if self._facts is not None:
            self._close(self._last_ms)
            self._gap(self._last_ms, at_ms, "until " + (
                "the machine was booted anew" if fields.get("booted_anew")
                else "another daemon began"))
        self._limit_to(at_ms)
        self.limits.append(Limits(
            from_ms=at_ms, to_ms=at_ms, heartbeat_ms=fields.get("heartbeat_timeout_ms", 0),
            statefile_ms=fields.get("statefile_timeout_ms", 0)))
        self._facts = {}
        self._since_ms = at_ms
        self._last_error = ""

    def _limit_to(self, at_ms: int) -> None:
        if self.limits:
            self.limits[-1] = self.limits[-1]._replace(to_ms=max(at_ms, self.limits[-1].from_ms))

    def _gap(self, from_ms: int, to_ms: int, until: str) -> None:
        if to_ms > from_ms:
            more = until + ("; its last error: " + self._last_error if self._last_error else "")
            self.spans.append(Span(from_ms=from_ms, to_ms=to_ms, state="nothing recorded",
                                   liveset="", more=more))

    def _close(self, at_ms: int) -> None:
        """The state that has held since then ends."""
        facts = self._facts or {}
        if at_ms <= self._since_ms:
            return
        span = Span(from_ms=self._since_ms, to_ms=at_ms, state=state_of(facts),
                    liveset=_text(facts, "liveset").strip("0") and _text(facts, "liveset"),
                    more=_more_of(facts))
        last = self.spans[-1] if self.spans else None
        if last is not None and last._replace(from_ms=0, to_ms=0) == span._replace(
                from_ms=0, to_ms=0) and last.to_ms == span.from_ms:
            self.spans[-1] = last._replace(to_ms=at_ms)
        else:
            self.spans.append(span)
        self._since_ms = at_ms

    def _state(self, at_ms: int, fields: Dict[str, Any]) -> None:
        facts = self._facts if self._facts is not None else {}
        if not facts and set(observer.STATE) <= set(fields):
            # The first record of this life: before it the daemon was only beginning.
            self._facts = {"phase": "STARTING", "fencing": "NONE"}
        self._close(at_ms)
        self._facts = dict(facts, **fields)
        self._since_ms = max(self._since_ms, at_ms)

    def _sample(self, at_ms: int, fields: Dict[str, Any]) -> None:
        span_ms = _number(fields.get("span_ms"))
        liveset = _text(self._facts or {}, "liveset")
        silence = (-1, -1)
        rows = [fields.get("silence_ms_max"), fields.get("heartbeat_age_ms")]
        for row in rows:
            for host, value in enumerate(row if isinstance(row, tuple) else ()):
                if host != self._me and liveset[host:host + 1] == "1":
                    silence = max(silence, (_number(value), host))
        accesses = [row for row in (fields.get(name) for name in ("reads", "writes", "repairs"))
                    if isinstance(row, tuple) and len(row) == 3]
        latency_ms = max([_number(row[1]) for row in accesses] or [-1])
        if not accesses or not _number(accesses[0][0]) > 0:
            latency_ms = max(latency_ms, _number(fields.get("reading_age_ms")))
        self.samples.append(Sample(
            from_ms=at_ms - max(0, min(span_ms, at_ms)), to_ms=at_ms, silence_ms=silence[0],
            silent=silence[1], latency_ms=latency_ms,
            failed=sum(max(0, _number(row[2])) for row in accesses)))


def _number(value: Any) -> int:
    """A number of a measurement; -1 where there is none, whatever there is."""
    return value if type(value) is int else -1


def _text(facts: Dict[str, Any], name: str) -> str:
    value = facts.get(name)
    return value if isinstance(value, str) else ""


def state_of(facts: Dict[str, Any]) -> str:
    """Which of ``STATES`` these facts of a daemon are."""
    phase, fencing = _text(facts, "phase"), _text(facts, "fencing")
    if not phase or not fencing:
        return "not known"
    if phase == "ABORTED":
        return "aborted"
    if fencing == "NONE":
        return "starting"
    if phase.startswith("FH"):
        return "fault-handling"
    if facts.get("sr2") is True:
        return "rule-2"
    if fencing == "DISARMED":
        return "disarmed"
    return "excluded" if facts.get("excluded") is True else "online"


def _more_of(facts: Dict[str, Any]) -> str:
    """What else is to be said of these facts."""
    parts = []
    if _text(facts, "phase").startswith("FH"):
        parts.append("phase " + facts["phase"])
    if facts.get("statefile_access") is False:
        parts.append("no access to the State-File")
    for name, words in (("excluded", "excluded"), ("holding", "holds the master lock"),
                        ("sr2", "survival rule 2")):
        if facts.get(name) is True:
            parts.append(words)
    if _text(facts, "fencing") == "DISARMED":
        parts.append("disarmed")
    if _text(facts, "waiting_for"):
        parts.append("waits for " + facts["waiting_for"])
    return ", ".join(parts)
