"""Small worlds for the survival test: hosts, links, storage; and who then goes on.

Theory of operation
===================

A ``World`` is the state of a pool at the instant at which the fault handler freezes its
picture: for each host, whom it *hears* and whether it has the State-File.  What hosts publish
is what they see, on the path that works; of a host that cannot write, the record of the time
before the fault is left, and so is the heartbeat of a host that is not heard.  Those say that
all is well: the most misleading that they can say.

``outcome`` asks the real functions of ``liveset``, host by host, as the fault handler does: if
the views agree the picture is taken as it is, else it is merged.
"""

import itertools
from typing import NamedTuple

from xha.hostset import EMPTY, HostIndex, HostSet
from xha.liveset import Picture, Verdict, merge, survival_test, views_agree


class World(NamedTuple):
    """What is so when the picture is frozen."""

    # For each host, whom it hears (itself too).
    heard: tuple
    # The hosts that read and write the State-File.
    able: HostSet
    weights: tuple
    excluded: HostSet = EMPTY
    liveset: HostSet = EMPTY
    unsealed: HostSet = EMPTY
    # Hosts whose record still says that they hear everybody.
    late: HostSet = EMPTY

    @property
    def everyone(self):
        """All hosts of the world."""
        return HostSet.first(len(self.heard))

    def hear_each_other(self, one, other):
        """Whether a link works both ways."""
        return other in self.heard[one] and one in self.heard[other]


def picture(world, me):
    """What host ``me`` has frozen."""
    before = world.everyone

    def sees(host):
        return world.able if host in world.able else EMPTY

    def heard_say(values, stale):
        return tuple(values(host) if host in world.heard[me] else stale
                     for host in world.everyone)

    def written(values, late):
        return tuple(
            values(host)
            if host == me or host in world.able and me in world.able and host not in late
            else before for host in world.everyone)

    return Picture(
        me=HostIndex(me), everyone=world.everyone, liveset=world.liveset or world.everyone,
        heartbeat_domain=world.heard[me], statefile_domain=sees(me),
        statefile_access=me in world.able,
        heartbeat_on_statefile=written(world.heard.__getitem__, world.late),
        statefile_on_statefile=written(sees, EMPTY),
        heartbeat_on_heartbeat=heard_say(world.heard.__getitem__, before),
        statefile_on_heartbeat=heard_say(sees, before),
        weights=world.weights, excluded=world.excluded, unsealed=world.unsealed)


def outcome(world):
    """Who goes on: for each host that does, whom it keeps; and by which rule."""
    kept, rules = {}, {}
    for me in world.liveset or world.everyone:
        seen = picture(world, me)
        if not views_agree(seen):
            seen = merge(seen)
        verdict = survival_test(seen)
        if verdict is Verdict.FENCE:
            continue
        keep = seen.heartbeat_domain
        if verdict is not Verdict.ALL_LOST_STATEFILE:
            keep = keep & seen.statefile_domain
        kept[me], rules[me] = keep & seen.liveset, verdict
    return kept, rules


def both_ways(count):
    """Every set of links that work both ways or not at all: for each host, whom it hears."""
    links = list(itertools.combinations(range(count), 2))
    return (_heard(count, working + [(other, one) for one, other in working])
            for working in _subsets(links))


def one_way(count):
    """Every set of one-way links."""
    links = list(itertools.permutations(range(count), 2))
    return (_heard(count, working) for working in _subsets(links))


def _subsets(links):
    for pattern in itertools.product((False, True), repeat=len(links)):
        yield [link for works, link in zip(pattern, links) if works]


def _heard(count, working):
    """For each host, whom it hears over the links that work: (who hears, who is heard)."""
    heard = [HostSet([host]) for host in range(count)]
    for one, other in working:
        heard[one] = heard[one].plus(other)
    return tuple(heard)


def able_ones(count):
    """Every set of hosts that have the State-File."""
    return [HostSet.of_bits(bits) for bits in range(1 << count)]


def is_clean(world):
    """Whether the network is cut into sides that hear each other and nobody else."""
    return all(world.heard[other] == world.heard[host]
               for host in world.everyone for other in world.heard[host])


def winners_apart(world, kept):
    """Pairs of hosts that both go on though one of them drops the other."""
    return [(one, other) for one in kept for other in kept
            if one < other and not (other in kept[one] and one in kept[other])]
