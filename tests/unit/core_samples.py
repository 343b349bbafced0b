"""Views, heartbeats, records and readings, for the tests of the core."""

import functools

from xha.simpool import GENERATION, QUICK, settings_of
from xha.hostset import EMPTY, HostIndex, HostSet
from xha.poolkey import PoolKey
from xha.published import (
    MAX_HOSTS, NEVER, NO_MASTER, Fault, FencingMode, GlobalRecord,
    Heartbeat, HeartbeatSeal, HostRecord, Phase, PoolState, Reading, RecordSeal, Section,
    WatchdogMode)
from xha.view import View

KEY = PoolKey(bytes(range(32)))


def hosts(*indexes):
    """The set of these hosts."""
    return HostSet(indexes)


@functools.lru_cache(maxsize=None)
def common(count=3, **parameters):
    """The shared half of a configuration: t1=t2=1, T1=T2=5, Wh=5, Ws=8 s."""
    return settings_of(count, dict(QUICK, **parameters))[0].common


def view_of(count=3, me=0, settings=None, **facts):
    """A view with these facts; an online, armed member of a whole pool if nothing is said."""
    view = View(settings or common(count), HostIndex(me), "xha test", WatchdogMode.HYPERVISOR, 1)
    everyone = HostSet.first(count)
    view.liveset = view.proposed = view.heartbeat_domain = view.statefile_domain = everyone
    view.phase = Phase.STARTED
    view.fencing = FencingMode.ARMED
    view.statefile_access = True
    view.incarnation = 1000
    for name, value in facts.items():
        assert hasattr(view, name), name
        setattr(view, name, value)
    return view


def uuid_of(host):
    return "{:032x}".format(0xa0 + host)


def ages(count=3, age_ms=500):
    return (age_ms,) * count + (NEVER,) * (MAX_HOSTS - count)


def heartbeat_seal(incarnation=1000, fencing=FencingMode.ARMED, mode=WatchdogMode.HYPERVISOR,
                   heard=(0,) * MAX_HOSTS):
    return HeartbeatSeal(incarnation=incarnation, software="xha test", fencing=fencing,
                         watchdog_mode=mode, last_words=None, heard=heard)


def heartbeat(sender, count=3, **changes):
    """A sealed heartbeat of an online host of a whole pool, with these changes."""
    everyone = HostSet.first(count)
    return Heartbeat(
        sequence=10, generation_uuid=GENERATION, host_uuid=uuid_of(sender),
        host_index=sender, current_liveset=everyone, proposed_liveset=everyone,
        heartbeat_domain=everyone, statefile_domain=everyone, since_heartbeat_ms=ages(count),
        since_statefile_ms=ages(count), since_xapi_restart_ms=NEVER, phase=Phase.STARTED,
        xapi_error="", statefile_access=True, statefile_corrupted=False, accelerate=False,
        fence_request=False, sr2=False, joining=False,
        seal=heartbeat_seal())._replace(**changes)


def record_seal(incarnation=1000, **changes):
    return RecordSeal(
        incarnation=incarnation, software="xha test", written_at_wall_ms=0,
        fencing=FencingMode.ARMED, watchdog_mode=WatchdogMode.HYPERVISOR, sr2=False,
        holding=False, incarnations_seen=(0,) * MAX_HOSTS, last_words=None)._replace(**changes)


def host_record(host, count=3, **changes):
    """A sealed record of an online host of a whole pool, with these changes."""
    everyone = HostSet.first(count)
    return HostRecord(
        sequence=10, host_index=host, host_uuid=uuid_of(host), excluded=False, starting=False,
        since_heartbeat_ms=ages(count), since_statefile_ms=ages(count),
        since_xapi_restart_ms=NEVER, current_liveset=everyone, proposed_liveset=everyone,
        heartbeat_domain=everyone, statefile_domain=everyone, lock_request=False,
        lock_grants=EMPTY, phase=Phase.STARTED, weight=1,
        seal=record_seal())._replace(**changes)


def global_record(state=PoolState.ACTIVE, count=3, **changes):
    return GlobalRecord(
        generation_uuid=GENERATION, pool_state=state, master=NO_MASTER,
        host_count=count, pool_key=KEY, seal=None)._replace(**changes)


def good(content):
    """A section that holds ``content``."""
    return Section(fault=Fault.NONE, content=content, text="", fingerprint=0, blank=False,
                   generation_uuid="")


def bad(fault=Fault.CORRUPT, fingerprint=77, text="checksum is wrong", blank=False,
        generation_uuid=""):
    return Section(fault=fault, content=None, text=text, fingerprint=fingerprint, blank=blank,
                   generation_uuid=generation_uuid)


def reading(issued_at_ms, sections, global_section=None, completed_at_ms=None):
    """A reading of these host sections; 4 ms long if nothing is said."""
    return Reading(
        issued_at_ms=issued_at_ms,
        completed_at_ms=issued_at_ms + 4 if completed_at_ms is None else completed_at_ms,
        error="", global_section=global_section or good(global_record()),
        host_sections=tuple(one if isinstance(one, Section) else good(one) for one in sections))


def failed_reading(issued_at_ms, error="Input/output error"):
    return Reading(issued_at_ms=issued_at_ms, completed_at_ms=issued_at_ms + 1, error=error,
                   global_section=None, host_sections=())


def names_of(actions):
    """The names of the messages among actions."""
    return [action.name for action in actions if type(action).__name__ == "Log"]


def of_kind(actions, kind):
    """The actions of one kind."""
    return [action for action in actions if type(action) is kind]


