"""What a reading says of each host: who advances, whose record is bad, who runs what.

Theory of operation
===================

A host *advances* when a reading shows another sequence than the one before.
The first reading of a record only sets the baseline.  Of a sealed record the
pair (incarnation, sequence) must grow; anything older is a late write of the
past, which neither advances nor replaces.

A host that restarts advances too, but while its old instance is in our
liveset that is no sign of life of the old one: the advance is *withheld* until
the fault handler has removed it.

A bad record (corrupt, unreadable, or another host's) is its host's trouble
alone: its last good content stays, it does not advance, it is shown as bad.

Source: spec 3, "Reading and writing in the daemon", steps 3 and 4.
"""

from typing import Optional

from xha.published import NEVER, Fault, HostRecord, Reading, Section
from xha.view import Peer, View


def take(view: View, reading: Reading) -> bool:
    """Take the host records of a good reading over.

    Returns: whether this host must write its own record anew, at once: what is there is bad,
    or a late write of the past.
    """
    rewrite = False
    for index, section in enumerate(reading.host_sections):
        peer = view.peers[index]
        stale = _take_section(view, peer, section, reading.completed_at_ms)
        if index == view.me and (stale or peer.bad_since_ms != NEVER):
            rewrite = True
    return rewrite


def _take_section(view: View, peer: Peer, section: Section, now_ms: int) -> bool:
    content = section.content
    if section.fault is not Fault.NONE:
        _take_bad(view, peer, section.text, section.fingerprint, now_ms)
        return False
    assert isinstance(content, HostRecord)
    if content.host_uuid not in ("", peer.uuid):
        # Intact, but not its place: nobody but its owner may judge what belongs there.
        # unreached: nobody writes to another host's section but to repair it
        _take_bad(view, peer, "it is the record of host " + content.host_uuid, 0, now_ms)
        return False
    if peer.bad_since_ms != NEVER:
        peer.bad_since_ms = NEVER
        peer.bad_fingerprint = 0
        peer.bad_text = ""
        view.log("statefile-record-good", host=peer.index)
    return _take_record(view, peer, content, now_ms)


def _take_bad(view: View, peer: Peer, text: str, fingerprint: int, now_ms: int) -> None:
    if peer.bad_since_ms == NEVER:
        if peer.index == view.me:
            view.log("statefile-own-record-bad", reason=text)
        else:
            view.log("statefile-record-corrupt", host=peer.index, reason=text)
    if peer.bad_since_ms == NEVER or peer.bad_fingerprint != fingerprint or not fingerprint:
        # What was written there last, and when, cannot be told.
        peer.suspect_at_ms = now_ms
    if peer.bad_since_ms == NEVER or peer.bad_fingerprint != fingerprint:
        peer.bad_since_ms = now_ms
        peer.bad_fingerprint = fingerprint
    peer.bad_text = text
    if not peer.is_xhad:
        # Who is known to be one stays so until it seals: it would be deaf to us for bad bytes.
        peer.unsealed_readings = 0


def _take_record(view: View, peer: Peer, content: HostRecord, now_ms: int) -> bool:
    """Take a good record over; answer whether it is one of the past."""
    before = peer.record
    advanced = before is not None and content.sequence != before.sequence
    if content.seal is not None:
        age = _compare(peer, before, content)
        if age < 0:
            view.log("statefile-stale-record", host=peer.index)
            return True
        advanced = before is not None and age > 0
        if content.seal.incarnation > peer.incarnation:
            if peer.incarnation and peer.index != view.me:
                view.log("peer-restarted", host=peer.index)
            peer.incarnation = content.seal.incarnation
            peer.sealed_sequence = 0
    peer.record = content
    if advanced and content.seal is not None and peer.index != view.me:
        # A host that is cut off has no other way to say why it died, and its next daemon writes
        # over it.
        view.tell_last_words(peer, content.seal.last_words)
    _note_sealing(view, peer, content, advanced)
    if advanced and peer.read_before:
        if _is_other_instance(view, peer, content):
            # A new instance, while the old one is in our liveset: no sign of its life.
            peer.withheld_advance_at_ms = now_ms
        else:
            peer.advanced_at_ms = now_ms
            peer.statefile_discount_ms = 0
            peer.exclusion_void = False
    peer.read_before = True
    return False


def _is_other_instance(view: View, peer: Peer, content: HostRecord) -> bool:
    """Whether the record of a host in our liveset is of an instance that was not let in."""
    if (peer.index == view.me or peer.index not in view.liveset
            or peer.index in content.current_liveset):
        return False
    return content.seal is None or content.seal.incarnation > peer.member_incarnation


def _compare(peer: Peer, before: Optional[HostRecord], content: HostRecord) -> int:
    """-1: a late write of the past; 0: the record known already; 1: newer."""
    assert content.seal is not None
    incarnation = content.seal.incarnation
    known = before.seal.incarnation if before is not None and before.seal is not None else 0
    if incarnation < max(known, peer.incarnation):
        # My own last life's record is not older than it was when I found it.
        return 0 if content == before else -1
    if before is None or incarnation > known:
        return 1
    step = (content.sequence - before.sequence) & 0xFFFFFFFF
    if step == 0:
        return 0
    return 1 if step < 0x80000000 else -1


def _note_sealing(view: View, peer: Peer, content: HostRecord, advanced: bool) -> None:
    if peer.index == view.me:
        return
    was = peer.is_xhad
    if content.seal is not None:
        peer.unsealed_readings = 0
    elif advanced:
        peer.unsealed_readings = min(peer.unsealed_readings + 1, 2)
    if view.keyed and peer.is_xhad != was:
        if was:
            view.log("xhad-peer-ended", host=peer.index)
        else:
            view.log("xhad-peer-accepted", host=peer.index)


def release_withheld(view: View) -> None:
    """Count the advances of new instances whose old ones are out of the liveset by now."""
    for peer in view.peers:
        if peer.withheld_advance_at_ms == NEVER:
            continue
        member = peer.record is not None and peer.index in peer.record.current_liveset
        if peer.index not in view.liveset or member:
            peer.advanced_at_ms = max(peer.advanced_at_ms, peer.withheld_advance_at_ms)
            peer.statefile_discount_ms = 0
            peer.withheld_advance_at_ms = NEVER
