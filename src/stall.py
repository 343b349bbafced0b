"""A host that stalled accuses nobody.

Theory of operation
===================

A daemon that did not run for four seconds (paused VM, stopped process, slow
disk) finds, when it wakes, that all others have been silent for four
seconds.  They have not: it was deaf.  So after a gap what it remembers of
others is stale by its own fault, and until it has listened again nothing
irreversible may follow from it: no survival test, no drop, no join, no
mastership.  Listening again means: every datagram that waited has been taken
in, and one reading of the State-File, issued after the gap, was good.

The silence of others is counted without the part that lies in the gap.  This
host's own watchdogs are never moved for a gap: those ran on, and rightly.

Bounds: a constantly slow host would never notice a death.  So at most
max(T1, T2) is discounted in one silence, and three gaps within max(T1, T2)
switch the rule off until max(T1, T2) have passed without one.

Source: spec 5, "A host that stalled accuses nobody".
"""

from typing import List

from xha import timing
from xha.published import NEVER
from xha.view import View


class Stall:
    """Notices gaps in this host's own attention."""

    __slots__ = ("_view", "_stepped_at_ms", "_gaps_ms", "_off", "_undrained", "_gap_ended_ms",
                 "_longest_ms", "_stall_gap_ms", "_ticked_at_ms")

    def __init__(self, view: View) -> None:
        self._view = view
        self._stepped_at_ms = NEVER
        # Ends of the gaps within the last max(T1, T2).
        self._gaps_ms = []  # type: List[int]
        self._off = False
        self._undrained = False
        self._gap_ended_ms = NEVER
        self._stall_gap_ms = timing.stall_gap_ms(view.common)
        self._longest_ms = timing.patience_ms(view.common)
        self._ticked_at_ms = NEVER

    def stepped(self, now_ms: int, drained: bool) -> None:
        """The core is stepped.  ``drained``: no datagram that arrived before now waits."""
        last = self._stepped_at_ms
        self._stepped_at_ms = now_ms
        if drained:
            # The last tick's own instant is no bound: this host may have been frozen between
            # taking the datagrams in and reading the clock.
            self._view.listened_at_ms = self._ticked_at_ms
            self._ticked_at_ms = now_ms
        if last != NEVER and now_ms - last >= self._stall_gap_ms:
            if self._count(now_ms, now_ms - last, "the daemon was not run"):
                for peer in self._view.peers:
                    if peer.heard_at_ms != NEVER:
                        peer.heartbeat_discount_ms = self._discount(
                            peer.heartbeat_discount_ms, now_ms - max(last, peer.heard_at_ms))
                    if peer.advanced_at_ms != NEVER:
                        peer.statefile_discount_ms = self._discount(
                            peer.statefile_discount_ms, now_ms - max(last, peer.advanced_at_ms))
                self._undrained = True
        elif drained:
            self._undrained = False
        if self._undrained or self._gap_ended_ms != NEVER or not self._view.settled:
            self._settle()

    def read(self, last_ms: int, issued_at_ms: int, completed_at_ms: int) -> None:
        """A good reading completed; the one before completed at ``last_ms``."""
        gap_ms = completed_at_ms - last_ms
        if last_ms != NEVER and gap_ms > timing.reading_gap_ms(self._view.common):
            # A pause of the whole daemon is seen here once more: it is one gap, not two.
            known = self._gap_ended_ms > last_ms
            what = "no good reading of the State-File"
            applies = not self._off if known else self._count(completed_at_ms, gap_ms, what)
            if applies:
                for peer in self._view.peers:
                    if peer.advanced_at_ms != NEVER:
                        part_ms = completed_at_ms - max(last_ms, peer.advanced_at_ms)
                        peer.statefile_discount_ms = min(
                            max(peer.statefile_discount_ms, part_ms), self._longest_ms)
                self._gap_ended_ms = completed_at_ms
        elif self._gap_ended_ms != NEVER and issued_at_ms >= self._gap_ended_ms:
            self._gap_ended_ms = NEVER
        self._settle()

    def _discount(self, before_ms: int, part_ms: int) -> int:
        return min(before_ms + part_ms, self._longest_ms)

    def _count(self, now_ms: int, gap_ms: int, what: str) -> bool:
        """Note a gap; answer whether the rule still applies to it."""
        quiet = not self._gaps_ms or now_ms - self._gaps_ms[-1] >= self._longest_ms
        if self._off and quiet:
            self._off = False
            self._view.log("gap-rule-on")
        self._gaps_ms = [at for at in self._gaps_ms if now_ms - at < self._longest_ms]
        self._gaps_ms.append(now_ms)
        if not self._off and len(self._gaps_ms) >= timing.GAPS_TOO_MANY:
            self._off = True
            self._view.log("gap-rule-off", count=len(self._gaps_ms))
        self._view.log("gap-noticed", cause=what, ms=gap_ms)
        if self._off:
            self._undrained = False
            self._gap_ended_ms = NEVER
            return False
        self._gap_ended_ms = now_ms
        return True

    def _settle(self) -> None:
        """Decide whether this host has listened again.

        Without State-File access there is no reading to wait for: what the disk would say
        about others is then worth nothing anyway.
        """
        waiting = self._gap_ended_ms != NEVER and self._view.statefile_access
        settled = not self._undrained and not waiting
        if settled and not self._view.settled:
            self._view.log("gap-over")
        self._view.settled = settled
