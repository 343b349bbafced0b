"""A daemon's answer read back: every fact of the snapshot survives the way."""
import json

import pytest
from report_samples import (host_view, margin, margins, near_misses, slow_night, snapshot,
                            snapshot_of_64, uuid_of)

from xha import answer, report
from xha.errors import FormatError
from xha.hostset import EMPTY, HostSet
from xha.published import FencingMode, Phase, PoolState
from xha.snapshot import Latency

SNAPSHOTS = [
    (snapshot(), "a healthy pool"),
    (snapshot_of_64(), "the largest"),
    (snapshot(hosts=[host_view(0)]), "the smallest"),
    (snapshot(online=False, pool_state=PoolState.NONE, pool_state_known=False,
              phase=Phase.STARTING, waiting_for="the first reading", fencing=FencingMode.NONE,
              current_liveset=EMPTY, proposed_liveset=EMPTY), "a start"),
    (snapshot(local=2, pool_state=PoolState.INVALID, master_uuid=uuid_of(1), holding_lock=True,
              phase=Phase.FH4DONE, fencing=FencingMode.DISARMED, watchdog_mode="NONE",
              excluded=True, proposed_liveset=HostSet([2]), heartbeat_domain=HostSet([0]),
              statefile_domain=HostSet([1]), statefile_access=False, statefile_corrupted=True,
              global_corrupted=True, sr2=True, accelerated=True, keyed=False), "every flag"),
    (snapshot(statefile_latency=Latency(last_ms=1, max_ms=2, min_ms=3),
              heartbeat_latency=Latency(last_ms=4, max_ms=5, min_ms=6),
              xapi_latency=Latency(last_ms=7, max_ms=8, min_ms=9), heartbeat_timeout_ms=10,
              statefile_timeout_ms=11, xapi_timeout_ms=12, xapi_restarts_left=0,
              xapi_restarts_more_in_ms=13, heartbeat_watchdog_timeout_ms=14,
              statefile_watchdog_timeout_ms=15, bond_error=True,
              datagrams_refused=(("hmac", 3), ("size", 1))), "every number"),
    (snapshot(hosts=[host_view(0), host_view(
        1, live=False, master=True, statefile_access=False, statefile_corrupted=True,
        excluded=True, starting=True, phase=Phase.FHREADY, weight=7, sealed=False, software="",
        since_heartbeat_ms=-1, since_statefile_ms=-1, since_xapi_restart_ms=5,
        xapi_error="no <answer>", heartbeat_domain_on_heartbeat=HostSet([1]),
        heartbeat_domain_on_statefile=HostSet([2]), statefile_domain_on_heartbeat=EMPTY,
        statefile_domain_on_statefile=HostSet([0, 2]), xapi_held_ms=299000, disarmed=True,
        disarm_term_ms=0)]),
     "every fact of a host"),
    (snapshot(margins=slow_night() + (margin("heard", 2, hour=None, used_now_ms=-1),),
              near_misses=near_misses(statefile_write=3)), "margins"),
    (snapshot_of_64()._replace(margins=margins(64)), "the margins of the largest"),
]


@pytest.mark.parametrize("told, why", SNAPSHOTS, ids=[row[-1] for row in SNAPSHOTS])
def test_what_a_daemon_tells_is_read_back_whole(told, why):
    assert answer.read(report.as_json(told)) == told._replace(at_ms=0)


def without(*names):
    told = json.loads(report.as_json(snapshot()))
    for name in names:
        del told[name]
    return told


MARGIN = json.loads(report.as_json(snapshot(margins=(margin("heard", 1),))))["margins"][0]

BAD = [
    # answer                                       said              why
    ("",                                           "malformed",      "nothing"),
    ("[" * 100000,                                 "malformed",      "lists without an end"),
    ('{"version": 1, "timeouts_ms": {}, "pool_state": null, "local_host": Infinity}',
     "malformed", "a number that is none"),
    ("[]",                                         "malformed",      "a list"),
    ("{}",                                         "'version'",      "an object of nothing"),
    (without("fencing"),                           "'fencing'",      "a fact is missing"),
    (dict(without(), version=2),                   "schema 2",       "a later schema"),
    (dict(without(), phase="fh9"),                 "'FH9'",          "a phase that is none"),
    (dict(without(), hosts=[]),                    "host 0 of 0",    "no hosts"),
    (dict(without(), local_host=3),                "host 3 of 3",    "a host that is none"),
    (dict(without(), current_liveset=[64]),        "malformed",      "a host beyond the last"),
    (dict(without(), hosts=[{}] * 3),              "'index'",        "empty hosts"),
    (dict(without(), local_host=None),             "malformed",      "null in a number's place"),
    (dict(without(), margins=[{}]),                "'path'",         "an empty margin"),
    (dict(without(), margins=[dict(MARGIN, limit_ms=0)]), "malformed", "a time-out of nothing"),
    (dict(without(), margins=[dict(MARGIN, host=64)]), "malformed",  "a host that cannot be"),
    (dict(without(), margins=5),                   "malformed",      "margins that are none"),
]


@pytest.mark.parametrize("told, said, why", BAD, ids=[row[-1] for row in BAD])
def test_what_is_no_answer_is_refused_and_nothing_else_happens(told, said, why):
    with pytest.raises(FormatError) as caught:
        answer.read(told if isinstance(told, str) else json.dumps(told))
    assert said in str(caught.value)


def test_what_the_first_daemons_did_not_say_is_not_missed():
    told = without()
    for host in told["hosts"]:
        for name in ("xapi_held_ms", "disarmed", "disarm_term_ms"):
            del host[name]
    assert answer.read(json.dumps(told)) == snapshot(at_ms=0)


def test_names_of_a_later_version_are_ignored():
    told = dict(without(), weather="fine")
    told["hosts"][0]["colour"] = "blue"
    assert answer.read(json.dumps(told)) == snapshot(at_ms=0)


def test_a_daemon_that_is_older_than_margins_is_understood():
    assert answer.read(json.dumps(without("margins", "near_misses"))) == snapshot(at_ms=0)
