"""Which heartbeats are believed: each check of spec 4, "Receiving", in its order."""

import pytest
from core_samples import EMPTY, heartbeat, heartbeat_seal, hosts, names_of, view_of

from xha import events
from xha.acceptance import MAX_WARNINGS, WARNING_INTERVAL_MS, Acceptance
from xha.published import NEVER, FencingMode, LastWords, Proof

NOW_MS = 50000


def acceptance(**facts):
    """A receiver that is host 0 of three, keyed, and has heard nothing."""
    facts.setdefault("keyed", True)
    one = Acceptance(view_of(**facts))
    one.enabled = True
    return one


def peer_of(one, host):
    return one._view.peers[host]


def received(sender=1, source=None, proof=Proof.AUTHENTIC, received_at_ms=NOW_MS, **changes):
    return events.HeartbeatReceived(
        heartbeat=heartbeat(sender, **changes), proof=proof,
        source="10.0.0.{}".format(1 + sender) if source is None else source,
        received_at_ms=received_at_ms)


def make_xhad(one, host):
    """Let a host be known as an xhad peer: unsealed in two readings running."""
    peer_of(one, host).unsealed_readings = 2
    peer_of(one, host).advanced_at_ms = 50000


def test_a_proven_heartbeat_of_a_known_host_is_taken_over():
    one = acceptance()
    peer = one.accept(NOW_MS + 3, received(1, received_at_ms=NOW_MS))
    assert peer is peer_of(one, 1)
    assert peer.heartbeat == heartbeat(1)
    assert peer.heard_at_ms == NOW_MS
    assert peer.own_member_at_ms == NOW_MS
    assert one.counts == {}


DROPPED = [
    (dict(generation_uuid="9" * 32), "generation", "3: another generation"),
    (dict(host_index=3), "host-index", "4: no such host"),
    (dict(host_index=64), "host-index", "4: the index of xhad's crash"),
    (dict(host_index=2 ** 32 - 1), "host-index", "4: an index far outside of any table"),
    (dict(host_index=0), "own-identity", "4: our own index"),
    (dict(host_uuid="9" * 32), "host-uuid", "4: a UUID that is not that index's"),
    (dict(source="10.0.0.3"), "source-address", "5: from another host's address"),
    (dict(proof=Proof.BROKEN), "seal", "6: a seal that does not hold"),
    (dict(proof=Proof.INTACT), "not-authentic", "6: anybody can make a CRC"),
    (dict(proof=Proof.UNSEALED, seal=None), "not-authentic", "6: not known as an xhad peer"),
    (dict(current_liveset=EMPTY), "starting-instance", "8: its old instance is in our liveset"),
]


@pytest.mark.parametrize("changes, cause, why", DROPPED, ids=[row[-1] for row in DROPPED])
def test_a_datagram_is_dropped_and_counted_and_changes_nothing(changes, cause, why):
    one = acceptance()
    before = peer_of(one, 1).heartbeat
    assert one.accept(NOW_MS, received(**changes)) is None
    assert one.counts == {cause: 1}
    assert peer_of(one, 1).heartbeat is before is None
    assert peer_of(one, 1).heard_at_ms == NEVER


def test_nothing_is_received_before_the_first_good_reading():
    """Check 1; source: spec 4, "Sending and receiving begin with the first good reading"."""
    one = acceptance()
    one.enabled = False
    assert one.accept(NOW_MS, received()) is None
    assert one.counts == {"not-receiving": 1}
    assert not one._view.out, "it comes with every start"


ORDER = [
    (dict(generation_uuid="9" * 32, host_index=99), "generation", "3 before 4"),
    (dict(host_index=99, source="1.1.1.1"), "host-index", "4 before 5"),
    (dict(host_uuid="9" * 32, source="1.1.1.1"), "host-uuid", "4 before 5, the UUID"),
    (dict(source="1.1.1.1", proof=Proof.BROKEN), "source-address", "5 before 6"),
    (dict(proof=Proof.BROKEN, sequence=1), "seal", "6 before 7"),
    (dict(sequence=10, current_liveset=EMPTY), "sequence", "7 before 8"),
]


@pytest.mark.parametrize("changes, cause, why", ORDER, ids=[row[-1] for row in ORDER])
def test_the_first_check_that_fails_names_the_cause(changes, cause, why):
    one = acceptance()
    one.accept(NOW_MS, received(sequence=10))
    one.accept(NOW_MS, received(**changes))
    assert one.counts == {cause: 1}


# ---- the sequence


SEALED = [
    (1000, 11, True, "the next"),
    (1000, 500, True, "any later one: others were lost"),
    (1000, 10, False, "the same again"),
    (1000, 9, False, "an earlier one"),
    (1001, 1, True, "a new incarnation begins anew"),
    (999, 11, False, "an older incarnation never counts again"),
]


@pytest.mark.parametrize("incarnation, sequence, taken, why", SEALED,
                         ids=[row[-1] for row in SEALED])
def test_of_a_sealed_sender_incarnation_and_sequence_must_grow(incarnation, sequence, taken, why):
    one = acceptance()
    one.accept(NOW_MS, received(sequence=10, seal=heartbeat_seal(1000)))
    again = received(sequence=sequence, seal=heartbeat_seal(incarnation))
    assert (one.accept(NOW_MS, again) is not None) is taken


def test_an_incarnation_older_than_the_one_in_the_record_is_refused():
    """Source: spec 4: not older than the newest seen (at least the one in its record)."""
    one = acceptance()
    peer_of(one, 1).incarnation = 2000
    assert one.accept(NOW_MS, received(seal=heartbeat_seal(1999))) is None
    assert one.counts == {"incarnation": 1}


def test_what_a_sealed_sender_said_is_never_forgotten():
    """A recorded datagram revives nobody: not after the time-out either."""
    one = acceptance()
    one.accept(NOW_MS, received(sequence=10))
    peer_of(one, 1).sequence = NEVER        # What domains does when a host times out.
    assert one.accept(NOW_MS + 10 ** 6, received(sequence=10)) is None


def test_a_proven_datagram_that_a_later_check_drops_is_remembered():
    """Nothing older of that host is believed again, although nothing was taken over."""
    one = acceptance()
    assert one.accept(NOW_MS, received(sequence=20, current_liveset=EMPTY)) is None
    assert one.accept(NOW_MS, received(sequence=20)) is None
    assert one.counts == {"starting-instance": 1, "sequence": 1}


def test_a_datagram_without_proof_leaves_no_trace_in_the_sequence():
    """Spec 14, 9: a forged far sequence must not deafen us to the host itself."""
    one = acceptance()
    one.accept(NOW_MS, received(sequence=2 ** 31, proof=Proof.INTACT))
    assert one.accept(NOW_MS, received(sequence=11)) is not None


SERIAL = [
    (10, 11, True, "the next"),
    (10, 10, False, "the same"),
    (10, 9, False, "an older one"),
    (2 ** 32 - 1, 0, True, "the next after the largest"),
    (0, 2 ** 31 - 1, True, "the farthest that is newer"),
    (0, 2 ** 31, False, "as far ahead as behind"),
]


@pytest.mark.parametrize("last, sequence, taken, why", SERIAL, ids=[row[-1] for row in SERIAL])
def test_of_an_unsealed_sender_the_sequence_is_a_32_bit_serial_number(last, sequence, taken, why):
    one = acceptance()
    make_xhad(one, 1)
    one.accept(NOW_MS, received(sequence=last, proof=Proof.UNSEALED, seal=None))
    assert (one.accept(NOW_MS, received(sequence=sequence, proof=Proof.UNSEALED, seal=None))
            is not None) is taken


def test_of_an_unsealed_sender_the_memory_is_forgotten_when_it_times_out():
    one = acceptance()
    make_xhad(one, 1)
    one.accept(NOW_MS, received(sequence=500, proof=Proof.UNSEALED, seal=None))
    peer_of(one, 1).sequence = NEVER
    assert one.accept(NOW_MS, received(sequence=1, proof=Proof.UNSEALED, seal=None)) is not None


# ---- xhad peers, and pools without a key


def test_an_xhad_peer_is_accepted_as_xhad_does_and_no_other_host_is():
    one = acceptance()
    make_xhad(one, 1)
    assert one.accept(NOW_MS, received(1, proof=Proof.UNSEALED, seal=None)) is not None
    assert one.accept(NOW_MS, received(2, proof=Proof.UNSEALED, seal=None)) is None


SIGHT = [
    # access  sr2    last reading  believed  why
    (True,    False, 119000,       False,    "its record was seen not to advance"),
    (False,   False, 54000,        True,     "nobody looks: the last reading showed it advancing"),
    (False,   False, 119000,       False,    "the last reading showed that it had stopped"),
    (True,    True,  119000,       True,     "under rule 2 records mean nothing"),
]


@pytest.mark.parametrize("access, sr2, read_at_ms, believed, why", SIGHT,
                         ids=[row[-1] for row in SIGHT])
def test_an_xhad_peer_is_believed_while_nobody_can_see_its_record_stop(
        access, sr2, read_at_ms, believed, why):
    one = acceptance()
    make_xhad(one, 1)
    one._view.statefile_access = access
    one._view.sr2 = sr2
    one._view.reading_completed_at_ms = read_at_ms
    heard = one.accept(120000, received(1, proof=Proof.UNSEALED, seal=None))
    assert (heard is not None) is believed


def test_a_seal_without_proof_is_not_excused_by_being_an_xhad_peer():
    one = acceptance()
    make_xhad(one, 1)
    assert one.accept(NOW_MS, received(1, proof=Proof.INTACT)) is None


UNKEYED = [
    (Proof.UNSEALED, True, "no seal: as xhad does"),
    (Proof.INTACT, True, "a seal that holds"),
    (Proof.BROKEN, False, "a seal is checked where there is one"),
]


@pytest.mark.parametrize("proof, taken, why", UNKEYED, ids=[row[-1] for row in UNKEYED])
def test_in_a_pool_without_a_key_heartbeats_are_accepted_as_xhad_does(proof, taken, why):
    one = acceptance(keyed=False)
    seal = None if proof is Proof.UNSEALED else heartbeat_seal()
    assert (one.accept(NOW_MS, received(proof=proof, seal=seal)) is not None) is taken


# ---- starting instances and fence requests


def test_a_starting_host_that_is_not_in_our_liveset_is_heard():
    one = acceptance(liveset=hosts(0, 2))
    peer = one.accept(NOW_MS, received(1, current_liveset=EMPTY))
    assert peer is not None
    assert peer.own_member_at_ms == NEVER, "it is not in its own liveset: no sign of a member"


FENCE = [
    (True, hosts(1, 2), hosts(1, 2), True, "asked by a member that proposes others"),
    (False, hosts(1, 2), hosts(1, 2), False, "not asked"),
    (True, hosts(2), hosts(1, 2), False, "the sender is no member itself"),
    (True, hosts(1, 2), hosts(0, 1, 2), False, "we are in its proposed liveset"),
]


@pytest.mark.parametrize("asked, current, proposed, expected, why", FENCE,
                         ids=[row[-1] for row in FENCE])
def test_a_fence_request_is_meant_for_us(asked, current, proposed, expected, why):
    one = acceptance(liveset=hosts(0, 2))
    peer = one.accept(NOW_MS, received(
        1, fence_request=asked, current_liveset=current, proposed_liveset=proposed))
    assert one.fence_requested(peer) is expected


# ---- what is said


def test_one_warning_for_each_cause_and_sender_in_a_day():
    one = acceptance()
    for at_ms in (0, 1, WARNING_INTERVAL_MS - 1):
        one.accept(at_ms, received(proof=Proof.BROKEN))
    one.accept(2, received(2, proof=Proof.BROKEN))
    one.accept(3, received(generation_uuid="9" * 32))
    assert names_of(one._view.out) == ["datagram-refused"] * 3
    one.accept(WARNING_INTERVAL_MS, received(proof=Proof.BROKEN))
    assert len(one._view.out) == 4
    assert one.counts == {"seal": 5, "generation": 1}


def test_a_flood_of_invented_senders_fills_no_memory():
    one = acceptance()
    for number in range(MAX_WARNINGS + 50):
        one.refuse(0, "format", "192.0.2.{}".format(number))
    assert len(one._view.out) == MAX_WARNINGS
    assert one.counts == {"format": MAX_WARNINGS + 50}


def test_the_last_words_of_a_host_are_said_once():
    words = LastWords(code="no-survival-rule", text="no rule applies", at_wall_s=1,
                      incarnation=1000, liveset=EMPTY, heartbeat_domain=EMPTY,
                      statefile_domain=EMPTY)
    one = acceptance()
    for sequence in (11, 12):
        one.accept(NOW_MS, received(
            sequence=sequence, seal=heartbeat_seal()._replace(last_words=words)))
    assert names_of(one._view.out) == ["last-words-heard"]


def test_a_host_that_disarms_is_said_once():
    one = acceptance()
    for sequence, mode in ((11, FencingMode.ARMED), (12, FencingMode.DISARMED),
                           (13, FencingMode.DISARMED)):
        one.accept(NOW_MS, received(sequence=sequence, seal=heartbeat_seal(fencing=mode)))
    assert names_of(one._view.out) == ["peer-disarmed"]


def test_a_heartbeat_did_not_arrive_before_the_tick_before_last():
    """Evidence of rule 2 must not be newer than it is: it may have waited in the socket."""
    one = acceptance(listened_at_ms=NOW_MS - 4000)
    assert one.accept(NOW_MS, received()).heard_since_ms == NOW_MS - 4000
