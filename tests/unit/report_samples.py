"""What a host knows of a pool, for the tests of reports."""

from xha.hostset import HostSet
from xha.published import FencingMode, NO_MASTER, Phase, PoolState
from xha.marginwords import OF_PEERS, OWN, PATHS
from xha.snapshot import Approach, HostView, Latency, Margin, Snapshot

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
        hosts=tuple(hosts or [host_view(index) for index in range(3)]), margins=(),
        near_misses=())._replace(**changes)


def snapshot_of_64():
    """The largest pool, in which everybody sees everybody."""
    full = dict.fromkeys(
        ["heartbeat_domain_on_heartbeat", "heartbeat_domain_on_statefile",
         "statefile_domain_on_heartbeat", "statefile_domain_on_statefile"], HostSet.first(64))
    return snapshot(hosts=[host_view(index, **full) for index in range(64)])


#: 3 November 2026, 02:14:07 UTC.
NIGHT_MS = 1793672047000


def approach(used_ms, slow="", slow_ms=-1, wall_ms=NIGHT_MS):
    """An approach in the night."""
    return Approach(used_ms=used_ms, wall_ms=wall_ms, slow=slow, slow_ms=slow_ms)


def margin(path, host=-1, limit_ms=5000, **changes):
    """A path that was never used for more than a fifth."""
    usual = approach(limit_ms // 5)
    return Margin(path=path, host=host, limit_ms=limit_ms, near_ms=limit_ms // 2, used_now_ms=300,
                  hour=usual, day=usual, start=usual)._replace(**changes)


def margins(count=3, **changes):
    """The margins of host 0 in a healthy pool of so many; ``changes``: approaches by path."""
    found = [margin(path) for path in OWN] + [
        margin(path, host) for path in OF_PEERS for host in range(1, count)]
    return tuple(one._replace(**changes.get(one.path.replace("-", "_"), {})) for one in found)


def near_misses(**counts):
    """How many near misses there were on each path."""
    return tuple(sorted((path, counts.get(path.replace("-", "_"), 0)) for path in PATHS))


def slow_night():
    """What is known in the morning after a night in which a write took long."""
    worst = approach(4100, "write", 3100)
    return margins(statefile_write=dict(day=worst, start=worst))
