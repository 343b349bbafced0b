"""How close this host and its peers came to a fence: what of each time-out was ever used up.

Theory of operation
===================

*What brings a fence near.*  Three things, and each has its paths:

=================== ============================================ ========
my own timers       ``heartbeat-timer``, ``statefile-timer``:    Wh, Ws
                    from a proof's issue to the next proof
my own work         ``loop``: the longest that it did not come   the
                    round                                        least
\\                   ``statefile-write``: from the issue of a     T2
                    write of my record to the end of the next
\\                   ``statefile-read``: between good readings    T2
a peer's silence    ``heard``: between its heartbeats            T1
\\                   ``heard-by``: how long it had not heard me,  T1
                    by its own word
\\                   ``record``: between advances of its record   T2
=================== ============================================ ========

*An approach is a gap that a sign ended.*  So a host that dies is none: no sign
comes, and the fault handler has the word.  What counts is what somebody
expects:

- nothing, unless this host is a member and armed: one that starts or is
  disarmed is reset by nobody, and gives nobody up;
- of a peer only while it is in the liveset and no fault handler runs; a gap
  into which one fell ended in fault handling, whatever came later;
- of the State-File nothing under survival rule 2, where nobody writes; its
  timer then lives on evidence and is watched all the same;
- of my own paths also while the fault handler runs: they may still fence me.

*Nobody is blamed for another's fault.*  While this daemon did not run, it was
deaf: that part is taken out of the silence of others, as ``stall`` does, and is
the loop's own approach; and if another did not hear this host meanwhile, that
is why.  Likewise a long gap between my own readings is not
the silence of those whose records I could not see.  Durations that a peer
publishes are its own; no two clocks are compared.

*A near miss* (``nearmiss``) is an approach above half of its time-out, the
nearness that warnings go by (spec 6); where T is so short against the intervals
that a healthy pool comes to half of it, somewhat more (``near_ms``).

*What it costs.*  A heartbeat that came in time costs two comparisons, a turn
three, a second two; an approach is made only of what is the largest in five
minutes, or a near miss.  Of 64 hosts there are 194 paths (``closest`` bounds
what is kept of each).

Times are ms of this host's monotonic clock, which alone decides.  Pure: it is
told what happens and asks nothing.  Source: spec 5, 6, 9.
"""

from typing import Dict, List, Sequence, Tuple

from xha import timing
from xha.actions import Log, Watchdog
from xha.closest import Closest
from xha.config import Common
from xha.hostset import HostSet
from xha.marginwords import OF_PEERS, OWN, PATHS
from xha.nearmiss import NearMisses
from xha.published import NEVER
from xha.snapshot import Approach, Margin

_LOOP, _HEARTBEAT_TIMER, _STATEFILE_TIMER, _WRITE, _READ = range(len(OWN))

#: By so much, ms, a healthy pool may come above what its intervals add up to.
_SLACK_MS = 100

#: Later than anything: since then nothing is expected.
_NOBODY_MS = 1 << 62


def near_ms(path: str, limit_ms: int, common: Common) -> int:
    """Above this an approach is a near miss: half of the time-out.

    A healthy host may lose one heartbeat, and its record may be seen two cycles late; where
    this is more than half, it is no near miss, up to three quarters of the time-out.
    """
    healthy_ms = 0
    if path in ("heard", "heard-by"):
        healthy_ms = 2 * common.heartbeat_interval_ms + _SLACK_MS
    elif path == "record":
        healthy_ms = 2 * (common.statefile_interval_ms + timing.CYCLE_OFFSET_MS) + _SLACK_MS
    return max(limit_ms // 2, min(healthy_ms, limit_ms * 3 // 4))


class Margins:
    """The margins of one host."""

    def __init__(self, common: Common, me: int, device: str = "the State-File") -> None:
        """Nothing is expected yet.  ``device``: how the State-File is called in messages."""
        count = len(common.hosts)
        self._me = me
        self._count = count
        t1_ms, t2_ms = common.heartbeat_timeout_ms, common.statefile_timeout_ms
        wh_ms, ws_ms = (common.heartbeat_watchdog_timeout_ms,
                        common.statefile_watchdog_timeout_ms)
        limits = dict(zip(PATHS, (min(t1_ms, t2_ms, wh_ms, ws_ms), wh_ms, ws_ms, t2_ms, t2_ms,
                                  t1_ms, t1_ms, t2_ms)))
        # A slot for each path: (path, host), limit, nearness.
        self._slots = [(path, NEVER) for path in OWN] + [
            (path, host) for path in OF_PEERS for host in range(count)]
        self._heard, self._heard_by, self._record = [
            len(OWN) + count * number for number in range(len(OF_PEERS))]
        self._limit_ms = [limits[path] for path, _ in self._slots]
        self._near_ms = [near_ms(path, limits[path], common) for path, _ in self._slots]
        self._closest = Closest(len(self._slots))
        # What is to be looked at: above the largest of five minutes, or a near miss.
        self._heed_ms = [NEVER] * len(self._slots)
        # Since when a sign is expected.
        self._since_ms = [_NOBODY_MS] * len(self._slots)
        # The last sign of each own path.
        self._sign_ms = [NEVER] * len(OWN)
        self._init_peers(common)
        # Gaps that ended in this turn: slot, began, ended, part that was my own fault.
        self._gaps = []  # type: List[Tuple[int, int, int, int]]
        # What was slow lately: kind, ms, when it ended.
        self._slow = {}  # type: Dict[str, Tuple[int, int]]
        self._slow_for_ms = min(t1_ms, t2_ms)
        self._stall_ms = timing.stall_gap_ms(common)
        self._turned_ms = NEVER
        self._wall_offset_ms = 0
        self._near_misses = NearMisses(limits, device)

    def _init_peers(self, common: Common) -> None:
        """The rest of ``__init__``: what is known of each host."""
        none = [NEVER] * self._count
        self._heard_ms = list(none)
        # The part of the present silence in which this daemon did not run.
        self._deaf_ms = [0] * self._count
        # How long it had not heard this host, by its last heartbeat.
        self._said_ms = list(none)
        self._advanced_ms = list(none)
        # The time without readings so far, and what it was when the record last advanced.
        self._blind_ms = 0
        self._blind_before_ms = [0] * self._count
        self._blind_gap_ms = timing.reading_gap_ms(common)

    # ---- what is expected

    def expect(self, now_ms: int, armed: bool, calm: bool, sr2: bool, liveset: HostSet) -> None:
        """What this host is has changed.

        Args:
            armed: it is a member, and a loss of membership resets it.
            calm: and no fault handler runs.
        """
        others = liveset.minus(self._me)
        self._expect(_LOOP, armed, now_ms)
        self._expect(_HEARTBEAT_TIMER, armed, now_ms)
        self._expect(_STATEFILE_TIMER, armed, now_ms)
        self._expect(_WRITE, armed and not sr2, now_ms)
        self._expect(_READ, armed and not sr2, now_ms)
        for host in range(self._count):
            expected = armed and calm and host in others
            self._expect(self._heard + host, expected, now_ms)
            self._expect(self._heard_by + host, expected, now_ms)
            self._expect(self._record + host, expected and not sr2, now_ms)
        if not calm or not armed:
            # They ended in fault handling after all; or it is nobody's business any more.
            self._near_misses.forget(OF_PEERS)

    def _expect(self, slot: int, expected: bool, now_ms: int) -> None:
        if not expected:
            self._since_ms[slot] = _NOBODY_MS
        elif self._since_ms[slot] == _NOBODY_MS:
            self._since_ms[slot] = now_ms

    # ---- signs

    def heard(self, host: int, at_ms: int, said_ms: int) -> None:
        """A heartbeat of a host was believed.

        Args:
            said_ms: how long that host had not heard this one when it spoke; NEVER: never.
        """
        before_ms, self._heard_ms[host] = self._heard_ms[host], at_ms
        last_ms, self._said_ms[host] = self._said_ms[host], said_ms
        if before_ms != NEVER:
            if at_ms - before_ms > self._heed_ms[self._heard + host]:
                self._gaps.append((self._heard + host, before_ms, at_ms, self._deaf_ms[host]))
            if last_ms > said_ms and last_ms > self._heed_ms[self._heard_by + host]:
                self._gaps.append((self._heard_by + host, before_ms - last_ms, before_ms, 0))
        self._deaf_ms[host] = 0

    def timer(self, watchdog: Watchdog, issued_ms: int, now_ms: int) -> int:
        """A timer was moved, for a proof that was issued then; what of it had been used up."""
        return self._sign(
            _HEARTBEAT_TIMER if watchdog is Watchdog.HEARTBEAT else _STATEFILE_TIMER,
            now_ms, issued_ms)

    def _sign(self, slot: int, now_ms: int, next_ms: int) -> int:
        """A sign came on an own path; the next gap is counted from ``next_ms``."""
        before_ms, self._sign_ms[slot] = self._sign_ms[slot], next_ms
        if before_ms == NEVER:
            return NEVER
        if now_ms - before_ms > self._heed_ms[slot]:
            self._gaps.append((slot, before_ms, now_ms, 0))
        return now_ms - before_ms

    def access(self, kind: str, own: bool, issued_ms: int, completed_ms: int, error: str) -> None:
        """An access to the State-File ended.  ``own``: it concerns my own record."""
        if error:
            self._note_slow("error", 1, completed_ms)
            return
        self._note_slow("read" if kind == "read" else "write", completed_ms - issued_ms,
                        completed_ms)
        if own and kind == "write":
            self._sign(_WRITE, completed_ms, issued_ms)

    def reading(self, at_ms: int, advanced_ms: Sequence[int]) -> None:
        """A good reading was taken in; when each host's record was last seen to advance."""
        before_ms = self._sign_ms[_READ]
        self._sign(_READ, at_ms, at_ms)
        if before_ms != NEVER and at_ms - before_ms > self._blind_gap_ms:
            self._blind_ms += at_ms - before_ms
        for host, now_ms in enumerate(advanced_ms):
            last_ms = self._advanced_ms[host]
            if now_ms != last_ms:
                self._advanced_ms[host] = now_ms
                if last_ms != NEVER and now_ms - last_ms > self._heed_ms[self._record + host]:
                    self._gaps.append((self._record + host, last_ms, now_ms,
                                       self._blind_ms - self._blind_before_ms[host]))
                self._blind_before_ms[host] = self._blind_ms

    def turn(self, began_ms: int, now_ms: int) -> None:
        """A turn of the loop ended; after all that happened in it was told."""
        before_ms, self._turned_ms = self._turned_ms, now_ms
        if before_ms != NEVER and now_ms - before_ms >= self._stall_ms:
            self._stalled(before_ms, began_ms, now_ms)
        elif now_ms - began_ms > self._heed_ms[_LOOP]:
            self._note_slow("turn", now_ms - began_ms, now_ms)
            self._gaps.append((_LOOP, began_ms, now_ms, 0))
        if self._gaps:
            gaps, self._gaps = self._gaps, []
            for gap in gaps:
                self._judge(*gap)

    def _stalled(self, before_ms: int, began_ms: int, now_ms: int) -> None:
        """The loop did not come round for long: nobody was listened to."""
        busy = 2 * (now_ms - began_ms) > now_ms - before_ms
        self._note_slow("turn" if busy else "pause", now_ms - before_ms, now_ms)
        deaf = []
        for slot, began, ended, own_ms in self._gaps:
            if self._heard <= slot < self._heard_by:
                own_ms += max(0, min(ended, now_ms) - max(began, before_ms))
            deaf.append((slot, began, ended, own_ms))
        self._gaps = [(_LOOP, before_ms, now_ms, 0)] + deaf
        for host, at_ms in enumerate(self._heard_ms):
            self._deaf_ms[host] += now_ms - max(before_ms, at_ms)

    def _note_slow(self, kind: str, ms: int, at_ms: int) -> None:
        """Remember what was slow: the longest of what ended lately."""
        before = self._slow.get(kind)
        if before is None or ms >= before[0] or at_ms - before[1] > self._slow_for_ms:
            self._slow[kind] = (ms, at_ms)

    # ---- judging

    def _judge(self, slot: int, began_ms: int, ended_ms: int, own_ms: int) -> None:
        """A gap ended."""
        used_ms = ended_ms - began_ms - own_ms
        if began_ms < self._since_ms[slot] or used_ms <= self._heed_ms[slot]:
            return
        slow, slow_ms = self._cause(slot, began_ms, used_ms)
        approach = Approach(used_ms=used_ms, wall_ms=ended_ms + self._wall_offset_ms,
                            slow=slow, slow_ms=slow_ms)
        self._closest.note(slot, approach)
        self._heed_ms[slot] = min(self._closest.largest_ms[slot], self._near_ms[slot])
        if used_ms > self._near_ms[slot]:
            self._near_misses.add(*self._slots[slot], approach, began_ms, ended_ms)

    def _cause(self, slot: int, began_ms: int, used_ms: int) -> Tuple[str, int]:
        """What was slow in a gap: the longest thing known that ended in it."""
        if self._heard <= slot < self._heard_by or slot >= self._record:
            return "silence", used_ms
        kinds = ("write", "read", "turn", "pause") if (
            slot in (_STATEFILE_TIMER, _WRITE, _READ)) else ("turn", "pause")
        found = sorted((self._slow[kind][0], kind) for kind in kinds
                       if kind in self._slow and self._slow[kind][1] > began_ms)
        if found and 4 * found[-1][0] >= used_ms:
            return found[-1][1], found[-1][0]
        if slot >= len(OWN):
            return "silence", used_ms
        if slot in (_STATEFILE_TIMER, _WRITE, _READ) and (
                self._slow.get("error", (0, NEVER))[1] > began_ms):
            return "error", NEVER
        return "", NEVER

    # ---- what is known

    def look(self, now_ms: int, wall_ms: int) -> Tuple[Log, ...]:
        """To be called about once a second; the near misses that are to be said now."""
        self._wall_offset_ms = wall_ms - now_ms
        self._roll(now_ms)
        return self._near_misses.due(now_ms)

    def _roll(self, now_ms: int) -> None:
        if self._closest.roll(now_ms):
            self._heed_ms[:] = [NEVER] * len(self._heed_ms)

    def read(self, now_ms: int) -> Tuple[Margin, ...]:
        """The closest approaches of every path on which anything was ever expected."""
        self._roll(now_ms)
        found = []
        for slot, (path, host) in enumerate(self._slots):
            hour, day, start = self._closest.read(slot)
            expected = self._since_ms[slot] != _NOBODY_MS
            if expected or start is not None:
                found.append(Margin(
                    path=path, host=host, limit_ms=self._limit_ms[slot],
                    near_ms=self._near_ms[slot],
                    used_now_ms=self._used_now_ms(slot, host, now_ms) if expected else NEVER,
                    hour=hour, day=day, start=start))
        return tuple(found)

    def _used_now_ms(self, slot: int, host: int, now_ms: int) -> int:
        """What the gap has used up that has not ended; NEVER: there is none."""
        if slot < len(OWN):
            return NEVER if self._sign_ms[slot] == NEVER else now_ms - self._sign_ms[slot]
        if slot >= self._record:
            last_ms, own_ms = self._advanced_ms[host], self._blind_ms - self._blind_before_ms[host]
            now_ms = max(last_ms, self._sign_ms[_READ])
        elif slot >= self._heard_by:
            return self._said_ms[host]
        else:
            last_ms, own_ms = self._heard_ms[host], self._deaf_ms[host]
        return NEVER if last_ms == NEVER else max(0, now_ms - last_ms - own_ms)

    def near_misses(self) -> Tuple[Tuple[str, int], ...]:
        """How many there were on each path since the start."""
        return tuple(sorted(self._near_misses.counts.items()))
