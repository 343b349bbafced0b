"""From the view to the snapshot: what this host knows at one instant.

Source of the rules (who has State-File access, which lists are empty when):
spec 6, below "ha_query_liveset".
"""

from typing import Dict, Optional, Tuple

from xha import config, keyring
from xha.hostset import EMPTY
from xha.lifesigns import is_disarmed
from xha.meter import Meter
from xha.published import NEVER, NO_MASTER, FencingMode, HostRecord, Phase
from xha.snapshot import HostView, Latency, Snapshot
from xha.view import Peer, View

_UNMEASURED = Latency(last_ms=NEVER, max_ms=NEVER, min_ms=NEVER)


def survey(view: View, now_ms: int, statefile: Meter, heartbeat: Meter,
           refused: Dict[str, int], holding: bool) -> Snapshot:
    """Everything a view of this host may show, at ``now_ms``.

    Of xapi, the bond, the margins and the like, which are no concern of the core, what is so at
    the start.
    """
    common = view.common  # type: config.Common  # unreached: no story asks for a report
    return Snapshot(
        at_ms=now_ms, local=view.me, online=view.online, generation_uuid=common.generation_uuid,
        pool_state=view.pool_state, pool_state_known=view.global_record is not None,
        master_uuid=view.master, holding_lock=holding, phase=view.phase,
        waiting_for=view.waiting_for, fencing=view.fencing,
        watchdog_mode=view.watchdog_mode.name, excluded=view.excluded,
        current_liveset=view.liveset, proposed_liveset=view.proposed,
        heartbeat_domain=view.heartbeat_domain, statefile_domain=view.statefile_domain,
        statefile_access=view.statefile_access, statefile_corrupted=view.statefile_corrupted,
        global_corrupted=view.global_corrupted, sr2=view.sr2, accelerated=view.accelerated,
        keyed=view.keyed, statefile_latency=statefile.read(), heartbeat_latency=heartbeat.read(),
        xapi_latency=_UNMEASURED, heartbeat_timeout_ms=common.heartbeat_timeout_ms,
        statefile_timeout_ms=common.statefile_timeout_ms,
        xapi_timeout_ms=common.xapi_check_timeout_ms,
        xapi_restarts_left=common.xapi_restart_attempts, xapi_restarts_more_in_ms=NEVER,
        heartbeat_watchdog_timeout_ms=common.heartbeat_watchdog_timeout_ms,
        statefile_watchdog_timeout_ms=common.statefile_watchdog_timeout_ms,
        bond_error=False, datagrams_refused=tuple(sorted(refused.items())),
        hosts=tuple(_host(view, peer, now_ms) for peer in view.peers), margins=(),
        near_misses=(), pool_key=keyring.told(view))


def _host(view: View, peer: Peer, now_ms: int) -> HostView:
    me = peer.index == view.me  # unreached: no story asks for a report
    live = peer.index in view.liveset
    content = peer.record if live and peer.index in view.statefile_domain else None
    said = peer.heartbeat if live else None
    sealed, software = _sealing(view, peer, me)
    return HostView(
        index=peer.index, uuid=peer.uuid, address=peer.address, live=live,
        master=peer.uuid == view.master != NO_MASTER,
        statefile_access=_has_access(view, peer, live),
        statefile_corrupted=(view.statefile_corrupted or peer.bad_since_ms != NEVER if me
                             else peer.bad_since_ms != NEVER or bool(
                                 said is not None and said.statefile_corrupted)),
        excluded=view.excluded if me else peer.excluded,
        starting=not view.online if me else peer.starting,
        phase=view.phase if me else said.phase if said else _phase_on_disk(peer.record),
        weight=view.committed_weight if me else peer.record.weight if peer.record else 0,
        sealed=sealed, software=software,
        since_heartbeat_ms=_age(view.sent_at_ms if me else peer.heard_at_ms, now_ms),
        since_statefile_ms=_age(peer.advanced_at_ms, now_ms),
        since_xapi_restart_ms=(_age(view.xapi_restart_at_ms, now_ms) if me
                               else said.since_xapi_restart_ms if said else NEVER),
        xapi_error=view.xapi_error if me else said.xapi_error if said else "",
        heartbeat_domain_on_heartbeat=(view.heartbeat_domain if me
                                       else said.heartbeat_domain if said else EMPTY),
        heartbeat_domain_on_statefile=(view.heartbeat_domain if me
                                       else content.heartbeat_domain if content else EMPTY),
        statefile_domain_on_heartbeat=(view.statefile_domain if me
                                       else said.statefile_domain if said else EMPTY),
        statefile_domain_on_statefile=(view.statefile_domain if me
                                       else content.statefile_domain if content else EMPTY),
        xapi_held_ms=_held_ms(view, peer, now_ms), disarmed=_disarmed(view, peer),
        disarm_term_ms=_term_ms(view, peer, now_ms))


def _held_ms(view: View, peer: Peer, now_ms: int) -> int:
    """How long nothing is asked of a host's xapi yet, by its last word."""
    until_ms = NEVER  # unreached: no story asks for a report
    if peer.index == view.me:
        until_ms = view.xapi_held_until_ms
    elif (peer.index in view.liveset and peer.heartbeat is not None
          and peer.heartbeat.seal is not None and peer.heartbeat.seal.xapi_held_s):
        until_ms = peer.heard_at_ms + 1000 * peer.heartbeat.seal.xapi_held_s
    return until_ms - now_ms if until_ms > now_ms else NEVER


def _disarmed(view: View, peer: Peer) -> bool:
    if peer.index == view.me:  # unreached: no story asks for a report
        return view.fencing is FencingMode.DISARMED
    return peer.index in view.liveset and is_disarmed(peer)


def _term_ms(view: View, peer: Peer, now_ms: int) -> int:
    """How long a host is meant to be disarmed yet, by its last word."""
    until_ms = NEVER  # unreached: no story asks for a report
    if peer.index == view.me:
        until_ms = view.disarm_until_ms
    elif _disarmed(view, peer) and peer.heartbeat is not None and peer.heartbeat.seal is not None:
        seal = peer.heartbeat.seal
        if seal.term_is_over:
            return 0
        if seal.disarm_term_s:
            until_ms = peer.heard_at_ms + 1000 * seal.disarm_term_s
    return NEVER if until_ms == NEVER else max(0, until_ms - now_ms)


def _phase_on_disk(content: Optional[HostRecord]) -> Phase:
    # unreached: no story asks for a report
    return content.phase if content is not None else Phase.STARTING


def _has_access(view: View, peer: Peer, live: bool) -> bool:
    """Spec 6: FALSE outside the liveset, TRUE inside, but under rule 2 as each says."""
    if not live:  # unreached: no story asks for a report
        return False
    if not view.sr2:
        return True
    if peer.index == view.me:
        return view.statefile_access
    return peer.heartbeat is not None and peer.index in peer.heartbeat.statefile_domain


def _sealing(view: View, peer: Peer, me: bool) -> Tuple[bool, str]:
    if me:  # unreached: no story asks for a report
        return True, view.software
    if peer.heartbeat is not None and peer.heartbeat.seal is not None:
        return True, peer.heartbeat.seal.software
    if peer.record is not None and peer.record.seal is not None:
        return True, peer.record.seal.software
    return False, ""


def _age(at_ms: int, now_ms: int) -> int:
    # unreached: no story asks for a report
    return NEVER if at_ms == NEVER else max(0, now_ms - at_ms)
