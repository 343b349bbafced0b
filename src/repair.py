"""Repairing bad records of the State-File.

Theory of operation
===================

A damaged record is repaired by one host only: the lowest index of those who
are in the liveset and seen on both paths.  It must be sure of two things: that
the damage is there to stay (a torn write heals itself at the owner's next
write), and that the record is not another pool's.

* The global record is rewritten from its last good content when two readings
  at least 0.4 s apart showed the same bad bytes, and they are still there just
  before the write; never when its generation field names another generation.
  A State-File that is all zeros is being initialised by an older tool: nobody
  touches it for 10 s.
* The record of a host that is not heard is replaced by an initialised one when
  its bytes have not changed for T2.  What must not be forgotten of that host
  is kept: excluded, incarnation, last words, sequence.  A host that is heard
  rewrites its own.

Source: spec 3, step 5.
"""

from typing import NamedTuple, Optional

from xha import timing
from xha.published import (BLANK_RECORD, NEVER, Fault, FencingMode, GlobalRecord, HostRecord,
                           Reading, RecordSeal, WatchdogMode)
from xha.records import record
from xha.view import Peer, View


@record
class HostRepair(NamedTuple):
    """A record to write in place of a host's bad one."""

    host: int
    content: HostRecord
    # Fingerprint of the bad bytes that must still be there.
    expected: int


class Repair:
    """Decides which bad record this host rewrites, if any."""

    __slots__ = ("_view", "_bad_since_ms", "_fingerprint", "_blank_since_ms")

    def __init__(self, view: View) -> None:
        self._view = view
        # The global record shows the same bad bytes since; NEVER while it is good.
        self._bad_since_ms = NEVER
        self._fingerprint = 0
        self._blank_since_ms = NEVER

    def global_record(self, now_ms: int, reading: Reading) -> Optional[GlobalRecord]:
        """The content to write in place of a bad global record, or None."""
        view = self._view
        section = reading.global_section
        assert section is not None
        if section.fault is not Fault.CORRUPT:
            self._bad_since_ms = NEVER
            self._blank_since_ms = NEVER
            return None
        if self._bad_since_ms == NEVER or section.fingerprint != self._fingerprint:
            self._bad_since_ms = now_ms
            self._fingerprint = section.fingerprint
        blank = section.blank and all(host.blank for host in reading.host_sections)
        if not blank:
            self._blank_since_ms = NEVER
        # unreached: a story zeroes the global record alone, not the whole State-File
        elif self._blank_since_ms == NEVER:
            self._blank_since_ms = now_ms
        if blank and now_ms - self._blank_since_ms < timing.BLANK_PATIENCE_MS:
            # unreached: a story zeroes the global record alone, not the whole State-File
            return None
        if now_ms - self._bad_since_ms < timing.REPAIR_APART_MS or not self._is_my_task():
            return None
        if section.generation_uuid not in ("", view.common.generation_uuid):
            return None  # unreached: no story writes another generation to the State-File
        return view.global_record

    def host_record(self, now_ms: int) -> Optional[HostRepair]:
        """The record to write in place of a host's bad one, or None."""
        view = self._view
        if not self._is_my_task():
            return None
        for peer in view.peers:
            if (peer.index == view.me or peer.bad_since_ms == NEVER or not peer.bad_fingerprint
                    or peer.index in view.heartbeat_domain):
                continue
            if now_ms - peer.bad_since_ms >= view.common.statefile_timeout_ms:
                return HostRepair(host=peer.index, content=_initialised(view, peer),
                                  expected=peer.bad_fingerprint)
        return None

    def _is_my_task(self) -> bool:
        view = self._view
        able = view.liveset & view.heartbeat_domain & view.statefile_domain
        return view.online and bool(able) and able.lowest() == view.me


def _initialised(view: View, peer: Peer) -> HostRecord:
    """An initialised record that keeps what must not be forgotten of a host."""
    last = peer.record
    seal = last.seal if last is not None else None
    content = BLANK_RECORD._replace(
        sequence=last.sequence if last is not None else 0,
        excluded=last.excluded if last is not None else False,
        host_index=peer.index, host_uuid=peer.uuid)
    if last is not None and seal is None:
        # Of an xhad: there is nothing that a seal would have to keep.
        return content
    return content._replace(seal=RecordSeal(
        incarnation=peer.incarnation, software=view.software, written_at_wall_ms=0,
        fencing=FencingMode.NONE, watchdog_mode=WatchdogMode.UNKNOWN, sr2=False, holding=False,
        incarnations_seen=(0,) * 64,
        last_words=seal.last_words if seal is not None else None))
