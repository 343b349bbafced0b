"""A pool whose faults have healed forms again, in time and with no help.

The bound is that of spec 5, invariant 5: Tboot + T1 + T2 + max(Wh,Ws), counted from the healing,
or from the first start of a daemon since then where a host was still to be reset or to give up
by what had been before.  *No help* means: a host that is down boots, and its init starts the
daemon whenever none runs.  Some things nobody but an administrator can do, and he does them
here: a disarmed daemon, which drops nobody, is stopped; a global record whose good content no
running host of ours knows any more is restored; and so, for the original, which reads all or
nothing and repairs nothing, is the bad record of a host that is not online.
"""

from typing import Dict, List, Optional

from xha import events, sfformat, timing
from xha.published import Fault, FencingMode, Phase, PoolState
from xha.simcheckers import LivenessMissed
from xha.simhost import Host
from xha.simpool import Pool

#: How often init looks, ms.
ROUND_MS = 1000

#: What the hosts are asked for an election, in the history.
ELECTION = "the election"
#: An election among any number of proposers, where disks answer at once, ms.  Source: spec 12.
ELECTION_MS = 2000
#: One in which xhad takes part: whoever cancels ends the acceleration for all.
XHAD_LATER_MS = 1000
#: Accesses to a State-File that was slow until now may go on for so long, ms.
SETTLE_MS = 10000

#: A pool that does not come to rest is looked at for so long.
RESTLESS_S = 1800


def bound_ms(pool: Pool) -> int:
    """Within this a healed pool forms.  Source: spec 5, invariant 5.

    Where Tboot is not longer than the others may take to drop what a host was, in a run of the
    fault handler and the one that follows it, a start may end with 12 (spec 14, last line): the
    next one is waited for too.
    """
    common = pool.common
    patience_ms = timing.patience_ms(common)
    dropped_ms = patience_ms + 2 * (patience_ms + timing.dead_wait_ms(common, 0, False))
    starts = 1 if common.boot_join_timeout_ms > dropped_ms else 2
    return (starts * common.boot_join_timeout_ms + common.heartbeat_timeout_ms
            + common.statefile_timeout_ms + timing.longest_watchdog_ms(common))


def recover(pool: Pool) -> None:
    """Let the pool form again.

    A pool whose state was set to invalid has ended for good: then all daemons must end.  Where
    the original has broken a promise, an administrator has its hosts rebooted.  A mixed pool may
    take longer than a pool of ours: that is noted.

    Raises:
        LivenessMissed: it did not in time.
    """
    mixed = _xhad_hosts(pool)
    if any(entry.kind == "original" for entry in pool.history):
        # What the original has broken by a fault of its own it does not mend: two pools, say.
        for host in mixed:
            host.crash()
    healed_at_ms = pool.now_ms
    # By host: its first start since.
    started_ms = {}  # type: Dict[int, int]
    while not _over(pool):
        until_ms = max([healed_at_ms] + list(started_ms.values())) + bound_ms(pool)
        if pool.now_ms >= until_ms:
            text = "the pool has not formed {} s after all was well".format(
                (pool.now_ms - healed_at_ms) // 1000)
            if not mixed:
                raise LivenessMissed(text)
            pool.tell(mixed[0], "original", text)
            return
        _administrate(pool)
        if not _invalid(pool):
            for host in pool.hosts:
                if host.node is None and not host.guarded:
                    started_ms.setdefault(host.index, pool.now_ms)
                    host.start()
        pool.run(ROUND_MS)


def elect(pool: Pool) -> None:
    """Let every host of a healthy pool propose itself as master; exactly one becomes it, in time.

    A fault that lasted until just before all healed may cost a host after it: then the pool must
    form once more.  Nothing is asked of a pool whose state was set to invalid, or of a mixed one
    that has not formed.

    Raises:
        LivenessMissed: not all are answered within ``ELECTION_MS``, or not one with TRUE.
    """
    mixed = _xhad_hosts(pool)
    if _invalid(pool) or (mixed and not _over(pool)):
        return
    formed = _over(pool)
    pool.run(SETTLE_MS)
    if formed and not (_over(pool) and _at_peace(pool)):
        # What had been before it healed was only noticed now.
        until_ms = pool.now_ms + timing.walk_bound_ms(pool.common)
        while pool.now_ms < until_ms and not _at_peace(pool):
            pool.run(ROUND_MS)
        recover(pool)
        pool.run(SETTLE_MS)
    if _invalid(pool) or (mixed and not (_over(pool) and _at_peace(pool))):
        return
    known = len(pool.history)
    for host in pool.hosts:
        host.ask(lambda ticket: events.ProposeMasterRequested(ticket=ticket), ELECTION)
    within_ms = ELECTION_MS
    if mixed:
        within_ms += 2 * (pool.common.statefile_interval_ms + XHAD_LATER_MS)
    pool.run(within_ms)
    answers = [entry.content for entry in pool.history[known:]
               if entry.kind == "answered" and entry.content.startswith(ELECTION)]
    if len(answers) != len(pool.hosts) or answers.count(ELECTION + ": TRUE") != 1:
        raise LivenessMissed("no master {} ms after all had asked to be it: {}".format(
            within_ms, "; ".join(answers) or "nobody was answered"))


def _at_peace(pool: Pool) -> bool:
    """Whether no host is in its fault handler."""
    return all(host.view is None or host.view.phase <= Phase.STARTED for host in pool.hosts)


def rest(pool: Pool, within_s: Optional[int] = None) -> None:
    """Let time pass until no host has changed for so long that none will, or for ``RESTLESS_S``.

    Raises:
        LivenessMissed: it took longer than ``within_s``.
    """
    common = pool.common
    quiet_ms = (timing.patience_ms(common) + timing.longest_watchdog_ms(common)
                + 2 * timing.beat_ms(common) + timing.MINIMUM_WAIT_MS)
    until_ms = pool.now_ms + (RESTLESS_S if within_s is None else within_s) * 1000
    since_ms, seen = pool.now_ms, _picture(pool)
    while pool.now_ms < until_ms and pool.now_ms - since_ms < quiet_ms:
        pool.run(ROUND_MS)
        now = _picture(pool)
        if now != seen:
            since_ms, seen = pool.now_ms, now
    if within_s is not None and pool.now_ms - since_ms < quiet_ms:
        raise LivenessMissed("the pool has not come to rest in {} s".format(within_s))


def _picture(pool: Pool) -> List[object]:
    """What of each host would change before it comes to rest."""
    picture = []  # type: List[object]
    for host in pool.hosts:
        view = host.view
        picture.append((host.up, host.guarded, view is None) if view is None else (
            view.phase, view.liveset, view.proposed, view.sr2, view.statefile_access,
            view.heartbeat_domain, view.statefile_domain, view.holding))
    return picture


def _over(pool: Pool) -> bool:
    if _invalid(pool):
        return all(host.node is None for host in pool.hosts)
    return pool.formed()


def _xhad_hosts(pool: Pool) -> List[Host]:
    return [host for host in pool.hosts if host.runs_xhad]


def _invalid(pool: Pool) -> bool:
    found = sfformat.section_of_global(pool.disk.sections[0])
    return found.fault is Fault.NONE and (
        sfformat.decode_global(pool.disk.sections[0]).pool_state is PoolState.INVALID)


def _administrate(pool: Pool) -> None:
    views = [host.view for host in pool.hosts]
    for host in pool.hosts:
        if host.view is not None and host.view.fencing is FencingMode.DISARMED:
            host.stop()
    found = sfformat.section_of_global(pool.disk.sections[0])
    if found.fault is not Fault.NONE and not any(
            view is not None and view.online and not host.runs_xhad
            for host, view in zip(pool.hosts, views)):
        state = max(pool.state_seen, PoolState.INIT)
        pool.disk.sections[0] = sfformat.encode_global(pool.initial._replace(pool_state=state))
    if _xhad_hosts(pool):
        for host, view in zip(pool.hosts, views):
            found = sfformat.section_of_host(pool.disk.sections[1 + host.index], host.index)
            if found.fault is not Fault.NONE and (view is None or not view.online):
                pool.disk.sections[1 + host.index] = pool.blank
