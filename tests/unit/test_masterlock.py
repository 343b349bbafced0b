"""Who may be master: the rules of the lock, one by one.  Source: spec 12.

Host 1 of three is me, so that there is a lower and a higher index.  max(T1,T2) + 10 s = 15 s.
"""

import pytest
from core_samples import (
    EMPTY, hosts, host_record, names_of, of_kind, record_seal, uuid_of, view_of)

from xha import actions
from xha.errors import ExitCode
from xha.globalrecord import GlobalChanges
from xha.hostset import HostSet
from xha.masterlock import MasterLock
from xha.published import FencingMode, Phase

ALL = hosts(0, 1, 2)


class Bench:
    """The lock of host 1; its disk is played by the test."""

    def __init__(self, **facts):
        self.view = view_of(me=1, **facts)
        self.changes = GlobalChanges(self.view)
        self.lock = MasterLock(self.view, self.changes)
        self.now_ms = 1000
        for host in (0, 2):
            self.other(host)

    def other(self, host, request=False, grants=EMPTY, holding=False, seal=True):
        """What the record of another host says from now on."""
        self.view.peers[host].record = host_record(
            host, lock_request=request, lock_grants=grants,
            seal=record_seal(holding=holding) if seal else None)

    def write(self):
        """My record is composed and written."""
        self.lock.composed()
        self.now_ms += 10
        self.lock.written(self.now_ms)
        return self

    def read(self, issued_before_ms=0):
        """A good reading, issued now, or so long ago, is evaluated."""
        self.view.reading_issued_at_ms = self.now_ms - issued_before_ms
        self.now_ms += 10
        self.lock.evaluate(self.now_ms)
        return self

    def propose(self, ticket=1):
        self.lock.propose(self.now_ms, ticket)
        self.lock.evaluate(self.now_ms)
        return self

    def cancel(self, ticket=2):
        self.lock.cancel(self.now_ms, ticket)
        self.lock.evaluate(self.now_ms)
        return self

    def ready(self):
        """Online for a while: grants withdrawn, written, and read after that."""
        return self.read().write().read()

    def held(self):
        """Elected, and told so."""
        self.ready().propose().write()
        for host in (0, 2):
            self.other(host, grants=hosts(1))
        self.read()
        assert self.answers() == {1: "TRUE"}
        return self

    def answers(self):
        """What was answered since the last look."""
        found = of_kind(self.view.out, actions.Answer)
        del self.view.out[:]
        return {one.ticket: one.text if one.code is ExitCode.SUCCESS else one.code
                for one in found}


# ---- the holder


def test_a_host_that_requests_and_has_all_grants_holds_the_lock():
    bench = Bench().held()
    assert bench.lock.held and bench.view.holding


@pytest.mark.parametrize("missing", [0, 2])
def test_a_grant_of_every_host_of_the_liveset_is_needed(missing):
    bench = Bench().ready().propose().write()
    bench.other(2 - missing, grants=hosts(1))
    assert bench.read().answers() == {}
    assert not bench.lock.held


def test_hosts_outside_the_liveset_are_not_asked():
    bench = Bench(liveset=hosts(0, 1)).ready().propose().write()
    bench.other(0, grants=hosts(1))
    assert bench.read().answers() == {1: "TRUE"}


def test_my_request_must_have_been_written_before_the_grants_were_read():
    bench = Bench().ready().propose()
    for host in (0, 2):
        bench.other(host, grants=hosts(1))
    assert bench.read().answers() == {}, "not written yet"
    bench.lock.composed()
    issued_at_ms = bench.now_ms
    bench.write()
    bench.view.reading_issued_at_ms = issued_at_ms - 1
    bench.lock.evaluate(bench.now_ms)
    assert bench.answers() == {}, "read before the write was complete"
    assert bench.read().answers() == {1: "TRUE"}


def test_after_a_cancellation_nothing_read_before_counts():
    """Spec 14, 5: in the original cancel and propose at once gave two masters."""
    bench = Bench().held()
    bench.cancel().propose(3)
    bench.read(issued_before_ms=0)
    assert 3 not in bench.answers(), "the cancellation is not even written"
    bench.write().read()
    assert bench.answers() == {2: ""}, "0 and 2 still grant: they have not seen the cancellation"
    assert not bench.view.lock_request
    bench.other(0)
    bench.other(2)
    bench.write().read().write()
    assert bench.view.lock_request
    assert bench.read().answers() == {}
    for host in (0, 2):
        bench.other(host, grants=hosts(1))
    assert bench.read().answers() == {3: "TRUE"}


# ---- grants


def test_a_daemon_starts_with_all_grants_set():
    """A host that joins must not break the hold of a master that it has not read yet."""
    assert Bench().view.lock_grants == HostSet.first(64)


WITHDRAWN = [
    (dict(request=True), ALL, hosts(0), "to a host that requests it stays"),
    (dict(request=False), ALL, EMPTY, "to a host that does not request it is withdrawn"),
    (dict(request=True), hosts(1, 2), EMPTY, "to a host that is not in L it is withdrawn"),
]


@pytest.mark.parametrize("record, liveset, grants, why", WITHDRAWN,
                         ids=[row[-1] for row in WITHDRAWN])
def test_from_the_first_evaluation_on_a_grant(record, liveset, grants, why):
    bench = Bench(liveset=liveset)
    bench.other(0, **record)
    assert bench.read().view.lock_grants == grants


def test_a_host_that_wants_nothing_grants_to_every_requester():
    bench = Bench().ready()
    bench.other(0, request=True)
    bench.other(2, request=True)
    assert bench.read().view.lock_grants == hosts(0, 2)


def test_a_host_that_requests_grants_to_itself_and_to_lower_indexes():
    """Lower index = higher priority."""
    bench = Bench().ready().propose()
    bench.other(0, request=True)
    bench.other(2, request=True)
    assert bench.read().view.lock_grants == hosts(0, 1)


def test_while_i_hold_the_lock_i_grant_to_nobody_but_me():
    bench = Bench().held()
    bench.other(0, request=True, grants=hosts(1))
    bench.other(2, request=True, grants=hosts(1))
    assert bench.read().view.lock_grants == hosts(1)


# ---- being ready


def test_no_request_before_the_withdrawn_grants_were_written_and_read_after_that():
    bench = Bench().propose()
    assert not bench.view.lock_request
    bench.read()
    assert not bench.view.lock_request, "the withdrawn grants are not written"
    bench.write()
    bench.read(issued_before_ms=1000)
    assert not bench.view.lock_request, "that reading was issued before"
    bench.read()
    assert bench.view.lock_request


def test_a_write_composed_before_the_first_evaluation_shows_nothing():
    """The record on its way still has all grants set."""
    bench = Bench()
    bench.lock.composed()
    bench.read()
    bench.lock.written(bench.now_ms)
    bench.propose().read()
    assert not bench.view.lock_request
    assert bench.write().read().view.lock_request


NOT_READY = [
    (0, dict(grants=hosts(1)), "a host of L still grants to me: it has not seen my cancellation"),
    (2, dict(request=True), "I grant to a higher index: it may be about to win"),
    (0, dict(grants=HostSet.first(64)), "a host that has just started grants to everybody"),
]


@pytest.mark.parametrize("host, record, why", NOT_READY, ids=[row[-1] for row in NOT_READY])
def test_a_request_waits_while(host, record, why):
    bench = Bench().ready()
    bench.other(host, **record)
    bench.read().propose().write().read()
    assert not bench.view.lock_request
    bench.other(host)
    assert bench.read().view.lock_request


def test_a_lower_requester_does_not_hold_my_request_back():
    bench = Bench().ready()
    bench.other(0, request=True)
    bench.read().propose()
    assert bench.view.lock_request


def test_nothing_is_evaluated_without_access_or_before_online():
    for facts in (dict(statefile_access=False), dict(phase=Phase.STARTING)):
        bench = Bench(**facts).read()
        assert bench.view.lock_grants == HostSet.first(64), facts


def test_the_lock_is_not_evaluated_while_the_global_record_is_corrupt():
    bench = Bench(global_corrupted=True).read()
    assert bench.view.lock_grants == HostSet.first(64)


# ---- propose-master


def test_who_holds_the_lock_is_told_true_at_once():
    bench = Bench().held()
    bench.lock.propose(bench.now_ms, 7)
    assert bench.answers() == {7: "TRUE"}


HELD_BY_ANOTHER = [
    (dict(request=True, grants=hosts(0)), hosts(0), "another has all grants"),
    (dict(request=True, grants=EMPTY, holding=True), EMPTY, "its record says that it holds it"),
]


@pytest.mark.parametrize("record, grants, why", HELD_BY_ANOTHER,
                         ids=[row[-1] for row in HELD_BY_ANOTHER])
def test_when_another_holds_it_the_answer_is_false_at_once(record, grants, why):
    bench = Bench().ready()
    bench.other(0, **record)
    bench.other(2, grants=grants)
    assert bench.read().propose().answers() == {1: "FALSE"}
    assert not bench.view.lock_request, "and cancelled"


def test_a_dead_holder_that_is_not_dropped_yet_still_holds():
    """The answer never waits for a fault handler."""
    bench = Bench(heartbeat_domain=hosts(1, 2), statefile_domain=hosts(1, 2)).ready()
    bench.other(0, request=True, grants=hosts(0), holding=True)
    assert bench.read().propose().answers() == {1: "FALSE"}


def test_a_holder_that_was_dropped_holds_nothing():
    bench = Bench(liveset=hosts(1, 2)).ready()
    bench.other(0, request=True, grants=hosts(0), holding=True)
    bench.read().propose().write()
    bench.other(2, grants=hosts(1))
    assert bench.read().answers() == {1: "TRUE"}


def test_when_another_wins_the_wait_ends_with_false_and_the_request_is_cancelled():
    bench = Bench().ready().propose().write()
    assert bench.view.lock_request
    bench.other(0, request=True, grants=hosts(0))
    bench.other(2, grants=hosts(0))
    assert bench.read().answers() == {1: "FALSE"}
    assert not bench.view.lock_request
    assert 1 not in bench.view.lock_grants


def test_before_the_first_evaluation_a_proposal_waits_for_that():
    bench = Bench()
    bench.lock.propose(bench.now_ms, 1)
    assert bench.answers() == {}


def test_the_statefile_is_accelerated_on_all_hosts_while_it_waits():
    bench = Bench().ready().propose()
    assert bench.view.accelerate_reasons == {"election"}
    bench.write()
    for host in (0, 2):
        bench.other(host, grants=hosts(1))
    bench.read()
    assert not bench.view.accelerate_reasons


def test_a_proposal_ends_with_false_after_its_bound():
    bench = Bench().ready().propose()
    proposed_at_ms = bench.now_ms
    bench.lock.evaluate(proposed_at_ms + 14999)
    assert bench.answers() == {}
    bench.lock.evaluate(proposed_at_ms + 15000)
    assert bench.answers() == {1: "FALSE"}
    assert not bench.view.lock_request


def test_a_proposal_ends_with_false_when_access_is_lost():
    bench = Bench().ready().propose()
    bench.view.statefile_access = False
    bench.lock.evaluate(bench.now_ms)
    assert bench.answers() == {1: "FALSE"}
    assert not bench.view.lock_request


def test_a_proposal_ends_with_false_when_it_is_cancelled():
    assert Bench().ready().propose(1).cancel(2).answers()[1] == "FALSE"


def test_a_proposer_whose_client_is_gone_withdraws():
    bench = Bench().ready().propose(1)
    bench.lock.client_gone(1)
    assert not bench.view.lock_request
    assert bench.answers() == {}


def test_two_clients_are_told_the_same():
    bench = Bench().ready().propose(1).propose(2).write()
    for host in (0, 2):
        bench.other(host, grants=hosts(1))
    assert bench.read().answers() == {1: "TRUE", 2: "TRUE"}


def test_a_host_that_is_not_online_answers_17():
    bench = Bench(phase=Phase.STARTING)
    bench.lock.propose(0, 1)
    bench.lock.cancel(0, 2)
    assert bench.answers() == {1: ExitCode.NOT_ONLINE, 2: ExitCode.NOT_ONLINE}


def test_a_gap_is_digested_before_anybody_is_told_true():
    """Source: spec 5, "A host that stalled": no lock answer TRUE until it has listened."""
    bench = Bench().ready().propose().write()
    for host in (0, 2):
        bench.other(host, grants=hosts(1))
    bench.view.settled = False
    assert bench.read().answers() == {}
    bench.view.settled = True
    assert bench.read().answers() == {1: "TRUE"}


# ---- the master


def test_the_winner_wants_its_uuid_in_the_global_record_until_it_cancels():
    from core_samples import global_record
    bench = Bench().held()
    assert bench.changes.read(global_record()).master == uuid_of(1)
    assert bench.changes.read(global_record(master=uuid_of(1))) is None
    assert bench.changes.read(global_record(master=uuid_of(0))).master == uuid_of(1)
    bench.cancel()
    assert bench.changes.read(global_record(master=uuid_of(0))) is None


def test_a_hold_lasts_whatever_grants_say_later():
    bench = Bench().held()
    for host in (0, 2):
        bench.other(host)
    assert bench.read().lock.held


def test_a_liveset_that_grows_does_not_end_a_hold():
    bench = Bench(liveset=hosts(0, 1)).ready().propose().write()
    bench.other(0, grants=hosts(1))
    bench.read()
    bench.view.liveset = ALL
    assert bench.read().lock.held


def test_a_hold_ends_when_its_host_leaves_the_liveset():
    bench = Bench().held()
    bench.view.liveset = hosts(0, 2)
    bench.read()
    assert not bench.view.holding and not bench.lock.held
    assert "master-lost" in names_of(bench.view.out)


UNDER_LOSS = [
    (dict(statefile_access=False, sr2=True), True, "a holder under rule 2 still holds"),
    (dict(statefile_access=False, sr2=False), False, "without access nobody else does"),
]


@pytest.mark.parametrize("facts, held, why", UNDER_LOSS, ids=[row[-1] for row in UNDER_LOSS])
def test_without_access(facts, held, why):
    bench = Bench().held()
    for name, value in facts.items():
        setattr(bench.view, name, value)
    bench.lock.evaluate(bench.now_ms)
    assert bench.lock.held is held


def test_without_access_a_host_that_does_not_hold_is_told_false():
    bench = Bench().ready()
    bench.view.statefile_access = False
    bench.view.sr2 = True
    bench.lock.propose(bench.now_ms, 1)
    assert bench.answers() == {1: "FALSE"}


DISARMED = [
    (hosts(0, 1), hosts(0, 1), "FALSE", "a host of its L is out of both domains"),
    (hosts(0, 1), ALL, None, "it is seen on the State-File"),
    (ALL, hosts(0, 1), None, "it is heard"),
]


@pytest.mark.parametrize("heard, advancing, answer, why", DISARMED,
                         ids=[row[-1] for row in DISARMED])
def test_a_disarmed_host_answers_false_once_it_might_be_the_one_that_is_cut_off(
        heard, advancing, answer, why):
    bench = Bench(fencing=FencingMode.DISARMED).ready()
    bench.view.heartbeat_domain, bench.view.statefile_domain = heard, advancing
    assert bench.propose().answers().get(1) == answer


def test_a_disarmed_host_that_waits_is_told_false_when_that_happens():
    bench = Bench(fencing=FencingMode.DISARMED).ready().propose()
    bench.view.heartbeat_domain = bench.view.statefile_domain = hosts(0, 1)
    assert bench.read().answers() == {1: "FALSE"}


# ---- cancel-master


def test_a_cancellation_is_answered_when_it_was_written():
    bench = Bench().held().cancel(2)
    assert not bench.view.lock_request and not bench.view.holding
    assert bench.answers() == {}
    bench.write()
    assert bench.answers() == {2: ""}


def test_a_write_composed_before_the_cancellation_does_not_answer_it():
    bench = Bench().held()
    bench.lock.composed()
    bench.cancel(2)
    bench.lock.written(bench.now_ms)
    assert bench.answers() == {}
    bench.write()
    assert bench.answers() == {2: ""}


def test_a_cancellation_that_cannot_be_written_ends_with_3():
    bench = Bench().held().cancel(2)
    bench.lock.evaluate(bench.now_ms + 15000)
    assert bench.answers() == {2: ExitCode.TRANSIENT_ERROR}


def test_nothing_to_cancel_is_done_at_once():
    assert Bench().ready().cancel(2).answers() == {2: ""}
