"""Survival rule 2: when it ends.

While it holds nobody is lost for want of the State-File.  It ends when everybody is back there;
who survives by rule 1 ends it too (``faulthandling``).  Source: spec 5, "SR2".
"""

from xha.published import NEVER
from xha.view import View


def end(view: View, now_ms: int) -> None:
    """Leave rule 2 when everybody is back on the State-File; then look who is not.

    Hosts that are back say so before this host sees their records advance: they have T2 to
    show; then what is missing in the State-File domain is a loss like any.
    """
    if view.sr2 and view.statefile_access and all(
            _is_back(view, host) for host in view.heartbeat_domain) and (
                view.everyone - view.heartbeat_domain <= view.excluded_hosts):
        view.set_sr2(now_ms, False)
        view.burst()
    if view.sr2 or view.sr2_ended_at_ms == NEVER:
        return
    until_ms = view.sr2_ended_at_ms + view.common.statefile_timeout_ms
    if view.liveset <= view.statefile_domain or now_ms >= until_ms:
        view.sr2_ended_at_ms = NEVER
        view.loss_pending = view.loss_pending or not view.liveset <= view.statefile_domain
    else:
        view.wake(until_ms)


def _is_back(view: View, host: int) -> bool:
    if host == view.me:
        return host in view.statefile_domain
    heartbeat = view.peers[host].heartbeat
    return heartbeat is not None and host in heartbeat.statefile_domain
