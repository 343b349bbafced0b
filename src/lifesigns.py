"""Signs of life: until when a host that is to be dropped may still run.

Theory of operation
===================

A host's State-File timer stands at *issue of its last successful write + Ws*,
and a write that I noticed was issued before I noticed it.  So a host whose
last advance I noticed at n has been reset by n + Ws, clock drift and the
reset itself added, whatever its heartbeats do: lost heartbeats moved its
heartbeat timer all the same, and so bound nothing.

Three kinds of host are not bound by that alone, and get the later of both
signs, the larger time-out, and a beat more:

* an xhad peer, which moves its timers by other rules;
* a host that may have been under survival rule 2 since, whose timer lives on
  evidence: that needs me, or the State-File, to have failed too;
* a host that says it has no real watchdog, or none that is known.

Spec 5 says m + Wh for those; evidence of rule 2 can hold the State-File timer
up to m + Ws, so the larger of the two is taken here.

A section that is bad hides whether its host still writes: each time its bytes
change, and each reading in which it cannot be read, counts as an advance.  A
host whose section stays unreadable is never dropped: nothing proves its death.

A host that said "disarmed" gives no sign: nothing resets it, and waiting
would prove nothing.

Source: spec 5, "Sign-of-life guard"; spec 13, proof 1.
"""

from xha import timing
from xha.published import NEVER, FencingMode, WatchdogMode
from xha.view import Peer, View


def seen_lately(view: View, now_ms: int, host: int) -> bool:
    """Whether a host is in a domain, or gave a sign of life within the last min(T1, T2)."""
    peer = view.peers[host]
    since_ms = now_ms - timing.fastest_patience_ms(view.common)
    signs = [at_ms for at_ms in (peer.heard_at_ms, peer.advanced_at_ms) if at_ms != NEVER]
    return (host in view.heartbeat_domain or host in view.statefile_domain
            or any(at_ms >= since_ms for at_ms in signs))


def uncertain_until_ms(view: View, peer: Peer) -> int:
    """The instant by which a host has certainly been reset, from its last sign of life.

    In ms of this host's clock; NEVER when it gives no sign.
    """
    common = view.common
    if is_disarmed(peer):
        return NEVER
    noticed_ms = max(peer.advanced_at_ms, peer.suspect_at_ms)
    sealed = peer.record is not None and peer.record.seal is not None
    if sealed and noticed_ms != NEVER and not _maybe_sr2(view, peer):
        return timing.certain_at_ms(common, True, noticed_ms, noticed_ms)
    if noticed_ms == NEVER and peer.own_member_at_ms == NEVER:
        return NEVER
    return timing.certain_at_ms(common, False, noticed_ms, peer.own_member_at_ms)


def _maybe_sr2(view: View, peer: Peer) -> bool:
    """Whether evidence of survival rule 2 may have moved the host's State-File timer."""
    since_ms = peer.advanced_at_ms - view.common.statefile_timeout_ms
    if not view.statefile_access or view.without_access_at_ms >= since_ms:
        return True
    if view.sr2 or view.sr2_seen_at_ms >= since_ms:
        return True
    seal = peer.record.seal if peer.record is not None else None
    if seal is not None and (seal.sr2 or seal.watchdog_mode not in (
            WatchdogMode.HYPERVISOR, WatchdogMode.USER)):
        return True
    return peer.heartbeat is not None and peer.heartbeat.sr2


def is_disarmed(peer: Peer) -> bool:
    """Whether a host last said that nothing resets it: it gives no sign of life (spec 5)."""
    said = peer.heartbeat.seal if peer.heartbeat is not None else None
    written = peer.record.seal if peer.record is not None else None
    return any(seal is not None and seal.fencing is FencingMode.DISARMED
               and seal.incarnation >= peer.incarnation for seal in (said, written))
