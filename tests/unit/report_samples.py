"""What a host knows of a pool, for the tests of reports."""

from xha.hostset import HostSet
from xha.published import FencingMode, NO_MASTER, Phase, PoolState
from xha.snapshot import HostView, Latency, Snapshot

NONE = Latency(last_ms=-1, max_ms=-1, min_ms=-1)
ALL3 = HostSet.first(3)


def uuid_of(index):
    return "1{:07d}111142228333{:012d}".format(index, index)


def host_view(index, **changes):
    """A healthy host of a liveset of three."""
    return HostView(
        index=index, uuid=uuid_of(index), address="10.99.0.{}".format(index + 1), live=True,
        master=False, statefile_access=True, statefile_corrupted=False, excluded=False,
        starting=False, phase=Phase.STARTED, weight=1, sealed=True, software="xha 1.0.0",
        since_heartbeat_ms=300, since_statefile_ms=1300, since_xapi_restart_ms=-1, xapi_error="",
        heartbeat_domain_on_heartbeat=ALL3, heartbeat_domain_on_statefile=ALL3,
        statefile_domain_on_heartbeat=ALL3, statefile_domain_on_statefile=ALL3)._replace(**changes)


def snapshot(hosts=None, **changes):
    """A healthy pool of three, seen by host 0."""
    return Snapshot(
        at_ms=1000, local=0, online=True, generation_uuid="0f0f0f0faaaa4bbb8ccc00000000d00d",
        pool_state=PoolState.ACTIVE, pool_state_known=True, master_uuid=NO_MASTER,
        holding_lock=False, phase=Phase.STARTED, waiting_for="", fencing=FencingMode.ARMED,
        watchdog_mode="HYPERVISOR", excluded=False, current_liveset=ALL3, proposed_liveset=ALL3,
        heartbeat_domain=ALL3, statefile_domain=ALL3, statefile_access=True,
        statefile_corrupted=False, global_corrupted=False, sr2=False, accelerated=False,
        keyed=True, statefile_latency=Latency(last_ms=0, max_ms=1, min_ms=0),
        heartbeat_latency=Latency(last_ms=0, max_ms=1, min_ms=0), xapi_latency=NONE,
        heartbeat_timeout_ms=5000, statefile_timeout_ms=5000, xapi_timeout_ms=10000,
        xapi_restarts_left=1, xapi_restarts_more_in_ms=-1,
        heartbeat_watchdog_timeout_ms=5000, statefile_watchdog_timeout_ms=8000, bond_error=False,
        datagrams_refused=(),
        hosts=tuple(hosts or [host_view(index) for index in range(3)]))._replace(**changes)


def snapshot_of_64():
    """The largest pool, in which everybody sees everybody."""
    full = dict.fromkeys(
        ["heartbeat_domain_on_heartbeat", "heartbeat_domain_on_statefile",
         "statefile_domain_on_heartbeat", "statefile_domain_on_statefile"], HostSet.first(64))
    return snapshot(hosts=[host_view(index, **full) for index in range(64)])
