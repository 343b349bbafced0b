"""Near misses: which approaches are one, and how often they are said.

Theory of operation
===================

An approach that overlaps the one before is a part of it: a slow write is a part
of two gaps, and a disk on which every write takes more than half of its
time-out never comes back from its first near miss.

Near misses are said by *subject*, which is what an operator looks into: the
State-File of this host; its loop, with all that a loop which stood still made
late; heartbeats heard; heartbeats sent; records.  The first one of a subject is
said after ``SETTLE_MS``, so that all hosts behind one switch, and all paths that
one hung disk made late, are one message.  Then that subject is silent for
``REST_MS``, and what came meanwhile is one message, with the worst and the
count; so is a part of one that was said, if it was worse.  So a subject says
six in an hour at most, also of a disk that is slow for hours; of all subjects
there are at most thirty.
"""

from typing import Dict, Iterable, List, Tuple

from xha.actions import Log, log
from xha.hostset import EMPTY
from xha.marginwords import PATHS, slow_words, words
from xha.published import NEVER
from xha.snapshot import Approach

#: How long others may join a near miss before it is said, ms; and the silence after it.
SETTLE_MS = 2000
REST_MS = 600000

_SUBJECTS = {"loop": "loop", "heartbeat-timer": "loop", "statefile-timer": "statefile",
             "statefile-write": "statefile", "statefile-read": "statefile",
             "heard": "heard", "heard-by": "heard-by", "record": "record"}

_NONE = Approach(used_ms=0, wall_ms=0, slow="", slow_ms=NEVER)


class _Subject:
    """Near misses of one subject that were not said yet."""

    __slots__ = ("said_ms", "said_part", "until_ms", "since_ms", "worst", "part", "path", "host",
                 "hosts", "count")

    def __init__(self) -> None:
        # When this subject spoke last, and of what part of a time-out, in thousandths.
        self.said_ms = NEVER
        self.said_part = 0
        # The end of the last one.
        self.until_ms = NEVER
        self.clear()

    def clear(self) -> None:
        """There are none."""
        # When the first of them ended; the worst, what part of its time-out it was, its path,
        # its host; all hosts; how many.
        self.since_ms = NEVER
        self.worst = _NONE
        self.part = NEVER
        self.path = ""
        self.host = NEVER
        self.hosts = EMPTY
        self.count = 0


class NearMisses:
    """The near misses of one host."""

    __slots__ = ("counts", "_limits_ms", "_device", "_subjects", "_until_ms", "_waiting")

    def __init__(self, limits_ms: Dict[str, int], device: str) -> None:
        """``limits_ms``: the time-out of each path.  ``device``: the State-File, for people."""
        #: How many there were on each path.
        self.counts = dict.fromkeys(PATHS, 0)
        self._limits_ms = limits_ms
        self._device = device
        self._subjects = {name: _Subject() for name in sorted(set(_SUBJECTS.values()))}
        # Of each path and host the end of the last one.
        self._until_ms = {}  # type: Dict[Tuple[str, int], int]
        # Something may be waiting to be said: each second asks, and mostly nothing is.
        self._waiting = False

    def add(self, path: str, host: int, approach: Approach, began_ms: int, ended_ms: int) -> None:
        """An approach was a near miss."""
        if began_ms >= self._until_ms.get((path, host), NEVER):
            self.counts[path] += 1
        self._until_ms[path, host] = ended_ms
        subject = self._subjects["loop" if approach.slow in ("turn", "pause")
                                 else _SUBJECTS[path]]
        another = began_ms >= subject.until_ms
        lasts = not subject.count and self._may_speak(subject, ended_ms)
        subject.until_ms = max(subject.until_ms, ended_ms)
        part = approach.used_ms * 1000 // self._limits_ms[path]
        if another or lasts:
            subject.count += 1
        elif not subject.count:
            if part <= subject.said_part:
                return      # A part of one that was said.
            subject.count = 1
        self._waiting = True
        if subject.since_ms == NEVER:
            subject.since_ms = ended_ms
        if host != NEVER:
            subject.hosts = subject.hosts.plus(host)
        if part > subject.part:
            subject.worst, subject.part, subject.path, subject.host = approach, part, path, host

    def forget(self, paths: Iterable[str]) -> None:
        """What was not said yet of these paths' subjects is not to be said."""
        for path in paths:
            self._subjects[_SUBJECTS[path]].clear()

    def due(self, now_ms: int) -> Tuple[Log, ...]:
        """What is to be said now."""
        if not self._waiting:
            return ()
        said = tuple(self._say(subject, now_ms) for subject in self._subjects.values()
                     if subject.count and now_ms - subject.since_ms >= SETTLE_MS
                     and self._may_speak(subject, now_ms))
        self._waiting = any(subject.count for subject in self._subjects.values())
        return said

    @staticmethod
    def _may_speak(subject: _Subject, now_ms: int) -> bool:
        return subject.said_ms == NEVER or now_ms - subject.said_ms >= REST_MS

    def _say(self, subject: _Subject, now_ms: int) -> Log:
        worst = subject.worst
        hosts = [int(host) for host in subject.hosts] or [subject.host]  # type: List[int]
        what = words(subject.path, hosts)
        if len(hosts) > 1:
            what += ", of host {} above all".format(subject.host)
        said = log("near-miss", path=subject.path, what=what, ms=worst.used_ms,
                   limit_ms=self._limits_ms[subject.path], slow=slow_words(worst, self._device),
                   count=subject.count)
        subject.said_ms, subject.said_part = now_ms, subject.part
        subject.clear()
        return said
