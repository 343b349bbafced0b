"""Facts of a sandbox for tests: healthy pools, and what is to be different about them."""
from xha.sandboxfacts import HostFacts, PoolFacts, State


def answer(index, count, master=-1, ages=None, **changes):
    """What the daemon of a healthy host of ``count`` answers to `query json`."""
    everyone = list(range(count))
    facts = {
        "status": "online", "local_host": index, "pool_state": "active", "fencing": "armed",
        "holding_master_lock": index == master, "phase": "started", "waiting_for": None,
        "current_liveset": everyone, "proposed_liveset": everyone,
        "heartbeat_domain": everyone, "statefile_domain": everyone, "statefile_access": True,
        "survival_rule_2": False,
        "hosts": [{"index": other, "master": other == master,
                   "since_heartbeat_ms": (ages or {}).get(other, 400),
                   "since_statefile_ms": (ages or {}).get(other, 900)} for other in everyone]}
    facts.update(changes)
    return facts


def host(index, count, state=State.ONLINE, detail="", disk="ok", silent=False, since_s=3.0,
         **changes):
    """A healthy host; ``silent``: its daemon does not answer."""
    return HostFacts(
        index=index, address="127.1.2.{}".format(index + 1), state=state, since_s=since_s,
        detail=detail, disk=disk, answer=None if silent else answer(index, count, **changes))


def pool(count, hosts=None, cut=(), master=0, at_s=12.34):
    """A pool of healthy hosts, but for those given by index."""
    given = hosts or {}
    return PoolFacts(
        at_s=at_s, cut=frozenset(cut), heartbeat_timeout_ms=5000, statefile_timeout_ms=5000,
        hosts=tuple(given.get(index) or host(index, count, master=master)
                    for index in range(count)))
