"""The master lock in every interleaving of small pools: at most one host holds it, ever.

The worlds are explored whole; ``lockmodel`` says what a move is.  Each mutant is a rule of spec 12
left out: the exploration must find two holders, or it explores too little.
"""

import os
import sys

import pytest

from xha.masterlock import MasterLock

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

from lockmodel import CYCLE, PROGRESS, Broken, Exploration, World  # noqa: E402

#: What it takes is the core's, and the same on every Python.
pytestmark = pytest.mark.ends

CANCEL, ONCE = frozenset(["cancel"]), frozenset(["once"])

WORLDS = {
    "two propose and cancel": World(2, proposers=(0, 1), features=CANCEL),
    "two, clients that leave or wait for too long": World(
        2, proposers=(0, 1), features=frozenset(["cancel", "gone", "expire"])),
    "two, whose readings and writes overlap": World(
        2, proposers=(0, 1), features=frozenset(["cancel", "loose"])),
    "two, either dies and is dropped": World(
        2, proposers=(0, 1), features=CANCEL, mortals=(0, 1)),
    "two, access is lost and comes back": World(
        2, proposers=(0, 1), features=frozenset(["cancel", "lose"])),
    "one, a second joins": World(2, members=(0,), proposers=(0, 1), features=CANCEL),
    "three, two propose": World(3, proposers=(0, 2), features=ONCE),
    "three, one proposes and cancels": World(3, proposers=(1,), features=CANCEL),
    "three, one of them dies": World(3, proposers=(0, 2), features=ONCE, mortals=(1,)),
}


@pytest.mark.parametrize("name", sorted(WORLDS))
def test_at_most_one_host_holds_the_lock(name):
    Exploration(WORLDS[name])


def _pending(exploration, at):
    return any(local.proposing for local in exploration.locals_of(at))


@pytest.mark.parametrize("name", ["two propose and cancel", "two, either dies and is dropped",
                                  "one, a second joins"])
def test_whoever_waits_is_answered_when_everybody_goes_on(name):
    """From every state with a proposer that waits, cycles and drops alone lead to an answer."""
    exploration = Exploration(WORLDS[name])
    before = [[] for _ in exploration.states]
    answered = []
    for at, state in enumerate(exploration.states):
        if not _pending(exploration, at):
            answered.append(at)
            continue
        for _, move, after in exploration.model.moves(state):
            if move in CYCLE or move in PROGRESS:
                before[exploration.index[after]].append(at)
    reached = set(answered)
    while answered:
        for at in before[answered.pop()]:
            if at not in reached:
                reached.add(at)
                answered.append(at)
    stuck = [at for at in range(len(exploration.states)) if at not in reached]
    assert not stuck, exploration.history(stuck[0])


@pytest.mark.parametrize("hosts", [2, 3])
def test_an_election_that_is_over_has_one_winner(hosts):
    """Where nobody cancels, dies or loses access, once all have been answered one holds it."""
    proposers = (0, 1) if hosts == 2 else (0, 2)
    exploration = Exploration(World(hosts, proposers=proposers, features=ONCE))
    over = 0
    for at in range(len(exploration.states)):
        locals_ = exploration.locals_of(at)
        asked = [locals_[host] for host in proposers]
        if all(local.asked and not local.proposing for local in asked):
            over += 1
            assert sum(local.holding for local in locals_) == 1, exploration.history(at)
    assert over


# ---- the exploration finds what it must


class Stale(MasterLock):
    """Believes a hold from a reading that was issued before its request was written."""

    __slots__ = ()

    def written(self, completed_at_ms):
        super().written(completed_at_ms)
        if self._view.lock_request:
            self._requested_at_ms = 0


class Blind(MasterLock):
    """Does not look who grants to whom before it publishes its request."""

    __slots__ = ()

    def _is_ready(self):
        return True


class Generous(MasterLock):
    """Grants to everybody, whatever it wants or holds itself."""

    __slots__ = ()

    def _grant(self, requesters):
        for host in requesters:
            self._view.lock_grants = self._view.lock_grants.plus(host)


class Rash(MasterLock):
    """Does not mind that it grants to a higher index itself."""

    __slots__ = ()

    def _is_ready(self):
        view = self._view
        return not any(view.me in self._granted_by(host) for host in view.liveset.minus(view.me))


LOOSE = frozenset(["cancel", "loose"])


@pytest.mark.parametrize("mutant, world", [
    (Stale, World(2, proposers=(0, 1), features=LOOSE)),
    (Blind, World(2, members=(0,), proposers=(0, 1), features=CANCEL)),
    (Generous, World(2, proposers=(0, 1), features=CANCEL)),
    (Rash, World(3, proposers=(0, 2), features=ONCE)),
], ids=["Stale", "Blind", "Generous", "Rash"])
def test_a_rule_that_is_left_out_is_found(mutant, world):
    with pytest.raises(Broken):
        Exploration(world._replace(lock_class=mutant))
