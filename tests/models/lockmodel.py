"""Every interleaving of a small pool's lock: states, moves, and what must hold in all of them.

Theory of operation
===================

A state is each host's ``Local`` and each host's record on the disk, all by number.  A host's
cycle is three moves: *write* (its record is composed and lands), *read* (it learns that the
write ended, a reading is issued and finds what is on the disk), *take in* (the reading ends, is
believed and evaluated, however late).  Between them anybody may do anything.  What is one move
and could be two would bring nothing new: the completion of a write, and the issue of a reading,
touch nothing that others see.  Worlds that are stranger than the daemon are features:

    slow     a record lands later than it was composed; a dead host's last one too
    loose    readings and writes of one host overlap (the daemon's cycle never lets them)
    torn     a reading comes to the other hosts' records one by one, in any order

Deaths, livesets and joins follow the promises of the rest of the core: a host is dead when it is
dropped; a host is admitted when all members read a record of its present instance; then members
take it in, and it comes online, each at any time.

What a host does on its own depends on its own state alone, so each such move is made by the real
lock once, and looked up from then on.
"""

from collections import deque
from typing import NamedTuple

from xha.hostset import HostSet

from lockhost import (
    ADMITTED, AHEAD, DEAD, NOW_MS, ONLINE, STARTING, UNREAD, Host, MasterLock, ranked)

#: Moves that a host goes on making when nobody does anything and nothing fails.
CYCLE = frozenset(["compose", "land", "write", "complete", "read", "look", "take in", "tick",
                   "settle"])
#: Moves that end by themselves and that time brings.
PROGRESS = frozenset(["drop", "admit", "let in", "online"])


class World(NamedTuple):
    """Which pool is explored, and what may happen in it."""

    hosts: int
    # All come online at any time after having formed; else those of ``members`` form, the rest
    # joins.
    members: tuple = ()
    features: frozenset = frozenset()
    # Hosts to which a client may propose (more than once unless "once" is a feature) or cancel.
    proposers: tuple = ()
    # Hosts that may die; one does.
    mortals: tuple = ()
    lock_class: type = MasterLock
    joins_with: object = None


class Broken(Exception):
    """An invariant does not hold; its text is the shortest history."""


class Model:
    """The moves of one world."""

    def __init__(self, world):
        self.world = world
        self.all = range(world.hosts)
        self.hosts = [Host(me, world.hosts, world.lock_class, world.joins_with)
                      for me in self.all]
        self.locals = [[] for _ in self.all]
        self._numbers = [{} for _ in self.all]
        self._alone = [{} for _ in self.all]
        self._reads = [{} for _ in self.all]
        self._changes = [{} for _ in self.all]

    def number(self, me, local):
        """The number of a host's state."""
        numbers = self._numbers[me]
        if local not in numbers:
            numbers[local] = len(self.locals[me])
            self.locals[me].append(local)
        return numbers[local]

    def content(self, host, number):
        """A record as it is read."""
        return self.hosts[host].contents[number]

    def first(self):
        """Members have seen each other start; whoever joins was never here."""
        members = self.world.members or tuple(self.all)
        records = []
        for host in self.hosts:
            host.load(host.first(STARTING), self.content)
            records.append(host.compose())
        states = []
        for me, host in enumerate(self.hosts):
            local = host.first(ADMITTED if me in members else STARTING)
            if me in members:
                local = local._replace(seen=tuple(
                    UNREAD if other == me else records[other] for other in self.all))
            states.append(self.number(me, local))
        return tuple(states) + tuple(records)

    # ---- what a host does on its own

    def do(self, me, local, act, *arguments):
        """Let the real lock of a host act; returns its new state, and what ``act`` gave."""
        host = self.hosts[me]
        host.load(local, self.content)
        given = act(*arguments)
        return host.save(local), given

    def alone(self, me, number):
        """The moves of a host that need nothing else: (name, state, record or UNREAD)."""
        known = self._alone[me]
        if number not in known:
            local = self.locals[me][number]
            found = (self._of_disk(me, local) + self._of_clients(me, local)
                     + self._of_faults(me, local))
            known[number] = [(name, self.number(me, after), record)
                             for name, after, record in found
                             if after != local or record != UNREAD]
        return known[number]

    def _of_disk(self, me, local):
        host, has = self.hosts[me], self.world.features
        moves = []
        if local.writing == "composed":
            landed = local._replace(pending=UNREAD)
            landed = landed._replace(writing="" if local.status == DEAD else "landed")
            moves.append(("land", landed, local.pending))
        if local.status == DEAD:
            return moves
        if not local.writing and (not local.reading or "loose" in has):
            after, record = self.do(me, local._replace(write_good=True), host.compose)
            if "slow" in has:
                moves.append(("compose", after._replace(writing="composed", pending=record),
                              UNREAD))
            else:
                moves.append(("write", after._replace(writing="landed"), record))
            if "lose" in has:
                bad = after._replace(writing="refused", write_good=False, access=False)
                moves.append(("write refused", self._waited(me, bad), UNREAD))
                moves.append(("write landed, but refused", self._waited(me, bad), record))
        if local.writing == "landed" and "loose" in has:
            moves.append(("complete", self._completed(me, local), UNREAD))
        if local.reading and AHEAD not in local.reading:
            read = local._replace(seen=local.reading)
            after, _ = self.do(me, read, host.taken_in, local)
            moves.append(("take in", ranked(after._replace(reading=(), reading_issued=-1)),
                          UNREAD))
        return moves

    def _waited(self, me, local):
        return self.do(me, local, self.hosts[me].waited)[0]

    def _completed(self, me, local):
        if local.writing == "refused":
            return local._replace(writing="")
        after, _ = self.do(me, local, self.hosts[me].completed)
        return after._replace(writing="")

    def _of_clients(self, me, local):
        host, has = self.hosts[me], self.world.features
        if local.status != ONLINE:
            return []
        acts = []
        if me in self.world.proposers:
            if not local.proposing and not (local.asked and "once" in has):
                acts.append(("propose", host.propose))
            if not local.cancelling and "cancel" in has:
                acts.append(("cancel", host.cancel))
        if local.proposing and "gone" in has:
            acts.append(("gone", host.gone))
        if (local.proposing or local.cancelling) and "expire" in has:
            acts.append(("expire", host.expire))
        if local.proposing or local.cancelling:
            acts.append(("tick", host.waited))
        moves = []
        for name, act in acts:
            after, _ = self.do(me, local, act)
            if name == "propose" and "once" in has:
                after = after._replace(asked=True)
            if name == "expire":
                assert not after.proposing and not after.cancelling, "the bound answers all"
            moves.append((name, after, UNREAD))
        return moves

    def _of_faults(self, me, local):
        has = self.world.features
        moves = []
        if local.status == DEAD:
            if "restart" in has and not local.writing:
                moves.append(("restart", self.hosts[me].first(
                    STARTING, instance=local.instance + 1), UNREAD))
            return moves
        if local.status == ONLINE and local.access and "lose" in has:
            moves.append(("lose", self.do(me, local, self.hosts[me].lose)[0], UNREAD))
        if "stall" in has and local.status == ONLINE:
            moves.append(("stall" if local.settled else "settle",
                          self._waited(me, local._replace(settled=not local.settled)), UNREAD))
        return moves

    def dead(self, me, local):
        """A host's state after its death: its last record may still be on its way."""
        after = self.hosts[me].first(DEAD, instance=local.instance)
        if local.writing == "composed":
            after = after._replace(writing="composed", pending=local.pending)
        return after

    # ---- what it does with the disk

    def read(self, me, number, records):
        """A host's reading begins: (name, state), or nothing."""
        local = self.locals[me][number]
        has = self.world.features
        if local.status == DEAD or local.writing == "composed" or (
                not local.writing and "loose" not in has and local.status == ONLINE):
            return []
        if AHEAD in local.reading:
            return [("look", local._replace(reading=local.reading[:host] + (records[host],)
                                            + local.reading[host + 1:]))
                    for host in self.all if local.reading[host] == AHEAD]
        if local.reading:
            return []
        if local.writing and "loose" not in has:
            local = self._completed(me, local)
        elif local.writing == "refused":
            local = local._replace(writing="")
        found = tuple(UNREAD if host == me else AHEAD if "torn" in has else records[host]
                      for host in self.all)
        return [("read", ranked(local._replace(reading=found, reading_issued=NOW_MS)))]

    def reads(self, me, number, records):
        """As ``read``, by number, from memory."""
        key = (number,) + records
        known = self._reads[me]
        if key not in known:
            known[key] = [(name, self.number(me, after))
                          for name, after in self.read(me, number, records)]
        return known[key]

    def change(self, me, number, bits, status):
        """The liveset of a host changes to ``bits``; its new state's number."""
        key = (number, bits, status)
        known = self._changes[me]
        if key not in known:
            local = self.locals[me][number]._replace(status=status)
            known[key] = self.number(me, self.do(
                me, local, self.hosts[me].change_liveset, bits)[0])
        return known[key]

    # ---- all moves of a state

    def moves(self, state):
        """All that may happen next: (host, name, state)."""
        count = self.world.hosts
        numbers, records = state[:count], state[count:]
        locals_ = [self.locals[me][numbers[me]] for me in self.all]
        for me in self.all:
            for name, after, record in self.alone(me, numbers[me]):
                if record == UNREAD:
                    yield me, name, state[:me] + (after,) + state[me + 1:]
                else:
                    yield me, name, (state[:me] + (after,) + state[me + 1:count + me]
                                     + (record,) + state[count + me + 1:])
            for name, after in self.reads(me, numbers[me], records):
                yield me, name, state[:me] + (after,) + state[me + 1:]
            for name, after in self._of_livesets(me, numbers, locals_):
                yield me, name, state[:me] + (after,) + state[me + 1:]
        if self.world.mortals and all(
                one.status != DEAD and not one.instance for one in locals_):
            for me in self.world.mortals:
                after = self.number(me, self.dead(me, locals_[me]))
                yield me, "die", state[:me] + (after,) + state[me + 1:]

    def _of_livesets(self, me, numbers, locals_):
        local = locals_[me]
        if local.status == ONLINE:
            for host in self.all:
                status = locals_[host].status
                if local.liveset >> host & 1:
                    if host != me and status in (DEAD, STARTING):
                        yield "drop", self.change(
                            me, numbers[me], local.liveset & ~(1 << host), ONLINE)
                elif status in (ADMITTED, ONLINE):
                    yield "let in", self.change(
                        me, numbers[me], local.liveset | 1 << host, ONLINE)
        elif local.status == STARTING and self._is_known(me, locals_):
            yield "admit", self.number(me, local._replace(status=ADMITTED))
        elif local.status == ADMITTED:
            for bits in sorted(self._to_join(me, locals_)):
                yield "online", self.change(me, numbers[me], bits, ONLINE)

    def _is_known(self, me, locals_):
        """Whether all members read a record of a starting host, and forgot who it was before."""
        members = [one for host, one in enumerate(locals_)
                   if host != me and one.status in (ONLINE, ADMITTED)]
        return bool(members) and all(
            one.status == ONLINE and not one.liveset >> me & 1 and one.seen[me] != UNREAD
            and self.hosts[me].records[one.seen[me]].instance == locals_[me].instance
            for one in members) and all(
                locals_[me].seen[host] != UNREAD for host in self.all
                if host != me and locals_[host].status == ONLINE)

    def _to_join(self, me, locals_):
        members = self.world.members or tuple(self.all)
        if me in members and not locals_[me].instance:
            return {HostSet(members).bits}
        return {one.liveset | 1 << me for host, one in enumerate(locals_)
                if host != me and one.status == ONLINE}


class Exploration:
    """All states that can be reached, and how."""

    def __init__(self, world, limit=3000000):
        self.model = model = Model(world)
        first = model.first()
        self.states = [first]
        self.before = [(0, None, "")]
        self.index = {first: 0}
        queue = deque([0])
        holding = [{} for _ in model.all]
        while queue:
            at = queue.popleft()
            for host, name, after in model.moves(self.states[at]):
                if after in self.index:
                    continue
                self.index[after] = len(self.states)
                self.states.append(after)
                self.before.append((at, host, name))
                queue.append(self.index[after])
                self._check(after, holding)
            assert len(self.states) <= limit, "more states than this world is meant to have"

    def _check(self, state, holding):
        """At most one host that is not dead holds the lock."""
        holders = 0
        for host in self.model.all:
            number = state[host]
            known = holding[host]
            if number not in known:
                known[number] = self.model.locals[host][number].holding
            holders += known[number]
        if holders > 1:
            raise Broken("two hold the lock:\n" + self.history(len(self.states) - 1))

    def locals_of(self, at):
        """Each host's state."""
        return [self.model.locals[host][self.states[at][host]] for host in self.model.all]

    def history(self, at):
        """How a state is reached, shortest first, a move a line."""
        steps = []
        while at:
            at, host, name = self.before[at]
            steps.append("{} {}".format(host, name))
        return "\n".join(reversed(steps))
