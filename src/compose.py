"""What this host says: its heartbeat and its record, composed from the view.

Ages are counted up to ``now_ms``, the moment of composing; whoever sends or
writes must do so at once, or compose anew: survival rule 2 trusts them.
Wall-clock fields are left 0, to be put in where the bytes are made: the core
has no clock.  Source: spec 3 and 4.
"""

from typing import List, Tuple

from xha import echoes
from xha.hostset import MAX_HOSTS
from xha.poolkey import NOT_SAID
from xha.published import (NEVER, TERM_IS_OVER, Heartbeat, HeartbeatSeal, HostRecord, Phase,
                           RecordSeal)
from xha.view import View

_PADDING = (NEVER,) * MAX_HOSTS

#: The longest age that is said, ms: 24.8 days, what a signed field of 32 bits holds.
_AGE_MS_MAX = 0x7FFFFFFF


def heartbeat(view: View, now_ms: int, sequence: int) -> Heartbeat:
    """This host's heartbeat."""
    return Heartbeat(
        sequence=sequence & 0xFFFFFFFF,
        generation_uuid=view.common.generation_uuid,
        host_uuid=view.peers[view.me].uuid, host_index=view.me,
        current_liveset=view.liveset, proposed_liveset=view.proposed,
        heartbeat_domain=view.heartbeat_domain, statefile_domain=view.statefile_domain,
        since_heartbeat_ms=_heartbeat_ages(view, now_ms),
        since_statefile_ms=_statefile_ages(view, now_ms),
        since_xapi_restart_ms=_age(view.xapi_restart_at_ms, now_ms),
        phase=view.phase, xapi_error=view.xapi_error,
        statefile_access=view.statefile_access, statefile_corrupted=view.statefile_corrupted,
        accelerate=bool(view.accelerate_reasons),
        fence_request=view.armed and (view.fence_request or bool(view.fence_until_silent)),
        sr2=view.sr2, joining=view.joining,
        seal=HeartbeatSeal(
            incarnation=view.incarnation, software=view.software, fencing=view.fencing,
            watchdog_mode=view.watchdog_mode, last_words=view.last_words,
            heard=echoes.heard(view), xapi_held_s=_left_s(view.xapi_held_until_ms, now_ms),
            disarm_term_s=_term_s(view.disarm_until_ms, now_ms)))


def host_record(view: View, now_ms: int, sequence: int) -> HostRecord:
    """This host's State-File record."""
    return HostRecord(
        sequence=sequence & 0xFFFFFFFF, host_index=view.me, host_uuid=view.peers[view.me].uuid,
        excluded=view.excluded, starting=view.phase is Phase.STARTING,
        since_heartbeat_ms=_heartbeat_ages(view, now_ms),
        since_statefile_ms=_statefile_ages(view, now_ms),
        since_xapi_restart_ms=_age(view.xapi_restart_at_ms, now_ms),
        current_liveset=view.liveset, proposed_liveset=view.proposed,
        heartbeat_domain=view.heartbeat_domain, statefile_domain=view.statefile_domain,
        lock_request=view.lock_request, lock_grants=view.lock_grants, phase=view.phase,
        weight=view.committed_weight,
        seal=RecordSeal(
            incarnation=view.incarnation, software=view.software, written_at_wall_ms=0,
            fencing=view.fencing, watchdog_mode=view.watchdog_mode, sr2=view.sr2,
            holding=view.holding,
            incarnations_seen=tuple(
                view.incarnation if peer.index == view.me else peer.incarnation
                for peer in view.peers) + (0,) * (MAX_HOSTS - len(view.peers)),
            last_words=view.last_words, configuration=view.configuration,
            keys=NOT_SAID if view.ring is None else view.ring.mark))


def _age(at_ms: int, now_ms: int) -> int:
    if at_ms == NEVER:
        return NEVER
    age_ms = now_ms - at_ms
    return age_ms if 0 <= age_ms <= _AGE_MS_MAX else 0 if age_ms < 0 else _AGE_MS_MAX


def _left_s(until_ms: int, now_ms: int) -> int:
    """How long until then, in whole seconds; a part of one counts as one, 0: it is past."""
    return 0 if until_ms == NEVER else max(0, -((now_ms - until_ms) // 1000))


def _term_s(until_ms: int, now_ms: int) -> int:
    return 0 if until_ms == NEVER else _left_s(until_ms, now_ms) or TERM_IS_OVER


def _ages(instants_ms: List[int], now_ms: int) -> Tuple[int, ...]:
    known = [_age(at_ms, now_ms) for at_ms in instants_ms]
    return tuple(known) + _PADDING[len(known):]


def _heartbeat_ages(view: View, now_ms: int) -> Tuple[int, ...]:
    """Of my own index: the time since I last sent."""
    instants_ms = [peer.heard_at_ms for peer in view.peers]
    instants_ms[view.me] = view.sent_at_ms
    return _ages(instants_ms, now_ms)


def _statefile_ages(view: View, now_ms: int) -> Tuple[int, ...]:
    return _ages([peer.advanced_at_ms for peer in view.peers], now_ms)
