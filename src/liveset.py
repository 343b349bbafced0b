"""Which hosts should live: partitions, weights and the survival rules.

Theory of operation
===================

When a host of the liveset is lost, each remaining host decides for itself
whether it may go on, from a frozen picture (``Picture``) of who hears whom on
the two paths.  All decide from nearly the same picture, because they waited
until their views agreed; where views cannot agree (a link between two hosts
is cut while both hear a third), ``merge`` reduces every host's picture to
sets of hosts that all hear each other, by the same rule everywhere.

Rule 1: who has the State-File and hears everybody who has it goes on; failing
that, the largest partition of hosts that hear each other and have the
State-File goes on.  Rule 2: where *everybody* lost the State-File, all who
hear each other go on if nobody but excluded hosts is missing.  Everybody else
must die.

All functions are pure: a picture in, a decision out.  Source: spec 5, "Fault
handler" (step 3), "Largest partition", "Merge".
"""

import enum
from typing import Dict, NamedTuple, Optional, Tuple

from xha.hostset import EMPTY, HostIndex, HostSet
from xha.records import record

#: Weight of a configured weight against one host in the size of a partition.
SIZE_OF_WEIGHT = 256


@enum.unique
class Verdict(enum.Enum):
    """What the survival test says of this host."""

    SEES_ALL = "rule 1, hears everybody who has the State-File"
    LARGEST_PARTITION = "rule 1, in the largest partition"
    ALL_LOST_STATEFILE = "rule 2, everybody lost the State-File"
    FENCE = "no rule"


@record
class Picture(NamedTuple):
    """Who hears whom, frozen when the views agreed or could not.

    Sets are as seen by (``heartbeat_domain``, ``statefile_domain``) or published by (the
    tuples, one entry for each configured host) a host.  In the tuples this host's own entry
    is what it knows itself; a host of which nothing is known has empty sets and weight 0.
    """

    me: HostIndex
    everyone: HostSet
    liveset: HostSet
    heartbeat_domain: HostSet
    statefile_domain: HostSet
    statefile_access: bool
    # The domains that each host published on the State-File.
    heartbeat_on_statefile: Tuple[HostSet, ...]
    statefile_on_statefile: Tuple[HostSet, ...]
    # The domains that each host published by heartbeat.
    heartbeat_on_heartbeat: Tuple[HostSet, ...]
    statefile_on_heartbeat: Tuple[HostSet, ...]
    weights: Tuple[int, ...]
    excluded: HostSet
    # Hosts of the liveset that are xhad peers, or may be: their records have no seal.
    unsealed: HostSet


def views_agree(picture: Picture) -> bool:
    """Whether every host that is seen says on that path what this host sees itself.

    All sets are cut to the liveset.
    """
    members = picture.liveset
    heard = picture.heartbeat_domain & members
    advancing = picture.statefile_domain & members
    others = picture.everyone.minus(picture.me)
    return all(
        picture.heartbeat_on_heartbeat[host] & members == heard
        and picture.statefile_on_heartbeat[host] & members == advancing
        for host in heard & others) and all(
        picture.heartbeat_on_statefile[host] & members == heard
        and picture.statefile_on_statefile[host] & members == advancing
        for host in advancing & others)


def size(hosts: HostSet, weights: Tuple[int, ...]) -> int:
    """How much a partition counts: 1 for each host, 256 for each unit of its weight."""
    return sum(1 + SIZE_OF_WEIGHT * weights[host] for host in hosts)


def partition_of(picture: Picture, host: int) -> HostSet:
    """The partition that ``host`` says it is in: whom it hears and sees on the disk."""
    return picture.heartbeat_on_statefile[host] & picture.statefile_on_statefile[host]


def winner(picture: Picture) -> Optional[HostIndex]:
    """The host whose partition is the largest, the lowest index on a tie; None when all are empty.

    Looks at the hosts of the State-File domain alone.
    """
    best = None  # type: Optional[HostIndex]
    best_size = 0
    for host in picture.statefile_domain:
        its_size = size(partition_of(picture, host), picture.weights)
        if its_size > best_size:
            best, best_size = host, its_size
    return best


def in_largest_partition(picture: Picture) -> bool:
    """Whether this host is in the largest partition."""
    best = winner(picture)
    if best is None:
        return False
    if best == picture.me:
        return True
    return (picture.me in partition_of(picture, best)
            and best in picture.heartbeat_domain and best in picture.statefile_domain)


def all_lost_statefile(picture: Picture) -> bool:
    """Whether survival rule 2 holds: everybody is heard without access, or excluded."""
    heard = picture.heartbeat_domain & picture.liveset
    for host in picture.everyone:
        if host not in heard:
            if host not in picture.excluded:
                return False
        elif host == picture.me:
            if picture.statefile_access:
                return False  # unreached: who has access and fails rule 1 is not in the merged view
        elif host in picture.statefile_on_heartbeat[host]:
            return False
    return True


def survival_test(picture: Picture) -> Verdict:
    """Decide whether this host may go on, and by which rule."""
    heard = picture.heartbeat_domain & picture.liveset
    advancing = picture.statefile_domain & picture.liveset
    if picture.me in advancing:
        if advancing <= heard:
            return Verdict.SEES_ALL
        if in_largest_partition(picture):
            return Verdict.LARGEST_PARTITION
    if all_lost_statefile(picture):
        return Verdict.ALL_LOST_STATEFILE
    return Verdict.FENCE


def poverty(row: HostSet, weights: Tuple[int, ...]) -> int:
    """Rank of a row of the merge's matrix; the smallest is the poorest."""
    lowest = row.lowest() if row else 64
    return sum(weights[host] for host in row) * 65536 + len(row) * 256 + (64 - lowest)


def _confirmed(host: int, rows: Dict[HostIndex, HostSet]) -> HostSet:
    """The hosts of a row of the matrix that say the same of the row's host."""
    return HostSet(other for other in rows[HostIndex(host)] if host in rows[other])


def merge(picture: Picture) -> Picture:
    """Reduce a picture whose views do not agree to hosts that all hear each other.

    Returns: the picture with ``statefile_domain``, ``heartbeat_domain`` and
    ``heartbeat_on_statefile`` reduced; hosts that were removed have empty rows.

    Sets are cut to the liveset first: a host outside it is in no row, so a starting host
    whose record advances would otherwise empty the whole matrix.

    A link counts when both its ends say so.  Spec 5 believes either end: a host that was cut
    off so lately that it still publishes that it hears everybody then has the richest row, and
    the rows of the healthy, which lack it, are taken away one by one until all must die.  Spec
    13 demands both ends.  With an xhad peer in the liveset the rule is the one of spec 5, which
    that peer follows: two rules for one matrix could let two sides win.
    """
    statefile = HostSet(
        host for host in picture.statefile_domain & picture.liveset
        if picture.statefile_on_statefile[host]
        and (host == picture.me or picture.statefile_on_heartbeat[host]
             or host not in picture.heartbeat_domain))
    removed = picture.everyone - statefile
    rows = {}
    for host in statefile:
        published = (picture.heartbeat_domain if host == picture.me
                     else picture.heartbeat_on_statefile[host])
        rows[host] = published & picture.liveset & statefile
    if not picture.unsealed:
        rows = {host: _confirmed(host, rows) for host in rows}
    while rows:
        poorest = min(rows, key=lambda host: (poverty(rows[host], picture.weights), -host))
        if rows[poorest] | removed == picture.everyone:
            break
        del rows[poorest]
        removed = removed.plus(poorest)
        rows = {host: row.minus(poorest) for host, row in rows.items()}
    reduced = tuple(rows.get(host, EMPTY) for host in picture.everyone)
    return picture._replace(
        statefile_domain=statefile,
        heartbeat_domain=reduced[picture.me],
        heartbeat_on_statefile=reduced)
