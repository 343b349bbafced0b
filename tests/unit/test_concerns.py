"""What must be known now: each cause provokes its warning, and a healthy pool none."""
import os
import re

import pytest
from report_samples import (approach, host_view, margins, slow_night, snapshot, snapshot_of_64,
                            uuid_of)

from xha import concerns, report
from xha.concerns import CRITICAL, NOTICE, WARNING
from xha.hostset import EMPTY, HostSet
from xha.published import FencingMode, Phase, PoolState
from xha.snapshot import KeyView, Latency

DOCUMENTED = os.path.join(os.path.dirname(os.path.dirname(os.path.dirname(
    os.path.abspath(__file__)))), "docs", "status.md")

#: A healthy pool, master included.
MASTER = dict(master_uuid=uuid_of(1))


def pool(hosts=None, **changes):
    """A healthy pool of three with host 1 as master."""
    views = {index: host_view(index, master=index == 1) for index in range(3)}
    for index, fields in (hosts or {}).items():
        views[index] = views[index]._replace(**fields)
    return snapshot(hosts=[views[index] for index in sorted(views)], **dict(MASTER, **changes))


def late(last_ms):
    return Latency(last_ms=last_ms, max_ms=last_ms, min_ms=0)


PAIR = HostSet([0, 1])
AWAY = dict(live=False, since_heartbeat_ms=99000, since_statefile_ms=99000,
            heartbeat_domain_on_heartbeat=EMPTY, heartbeat_domain_on_statefile=EMPTY,
            statefile_domain_on_heartbeat=EMPTY, statefile_domain_on_statefile=EMPTY)
TWO_LEFT = dict(current_liveset=PAIR, proposed_liveset=PAIR, heartbeat_domain=PAIR,
                statefile_domain=PAIR)

TABLE = [
    # snapshot                                             gravity   name                  said
    (pool(online=False, phase=Phase.STARTING, waiting_for="all hosts", fencing=FencingMode.NONE),
     WARNING, "starting", "not in the liveset yet. It waits for all hosts."),
    (pool(online=False, phase=Phase.ABORTED, waiting_for="older pool states"),
     CRITICAL, "start-aborted", "ends. It waits for older pool states."),
    (pool(phase=Phase.FH4, waiting_for="certainty"),
     CRITICAL, "fault-handler-runs", "runs (FH4): the hosts agree on who goes on. It waits for "
     "certainty."),
    (pool(waiting_for="the end of a fault handler"), NOTICE, "waiting", "It waits for the end"),
    (pool(fencing=FencingMode.DISARMED), CRITICAL, "not-armed", "will not be reset"),
    (pool(watchdog_mode="NONE"), CRITICAL, "no-watchdog", "Nothing resets this host"),
    (pool(watchdog_mode="USER"), WARNING, "user-watchdog", "not by Xen"),
    (pool(excluded=True), NOTICE, "excluded", "leaves on purpose"),
    (pool(bond_error=True), WARNING, "bond-degraded", "degraded or down"),
    (pool(pool_state_known=False, pool_state=PoolState.NONE), WARNING, "pool-state-unknown",
     "not known"),
    (pool(pool_state=PoolState.INVALID), CRITICAL, "pool-state-invalid", "switched off"),
    (pool(pool_state=PoolState.INIT), NOTICE, "pool-state-init", "is init"),
    (pool(proposed_liveset=PAIR), WARNING, "liveset-changes", "from 111 to 110"),
    (pool({1: dict(master=False)}, master_uuid="0" * 32), NOTICE, "no-master", "No host"),
    (pool(master_uuid=uuid_of(9)), WARNING, "master-unknown", "not configured"),
    (pool({1: dict(AWAY)}, current_liveset=HostSet([0, 2]), proposed_liveset=HostSet([0, 2])),
     WARNING, "master-not-live", "Host 1 is the State-File's master"),
    (pool(holding_lock=True), WARNING, "other-master", "names host 1"),
    (pool({2: dict(AWAY)}, **TWO_LEFT), WARNING, "hosts-not-live",
     "Host 2 is not in the liveset."),
    (pool({2: dict(AWAY, excluded=True)}, **TWO_LEFT), NOTICE, "hosts-excluded",
     "Host 2 is excluded: away on purpose."),
    (pool({2: dict(AWAY, starting=True, since_statefile_ms=10)}, **TWO_LEFT), NOTICE,
     "hosts-starting", "Host 2 is starting."),
    (pool({2: dict(AWAY, starting=True)}, **TWO_LEFT), WARNING, "hosts-not-live",
     "Host 2 is not in the liveset."),
    (pool({2: dict(excluded=True)}), NOTICE, "hosts-leaving", "Host 2 is excluded, and still"),
    (pool({1: dict(heartbeat_domain_on_heartbeat=PAIR)}), WARNING, "members-not-heard",
     "1 does not hear 2."),
    (pool(heartbeat_domain=PAIR), WARNING, "members-not-heard", "0 does not hear 2."),
    (pool({1: dict(statefile_domain_on_heartbeat=PAIR)}), WARNING, "members-not-seen",
     "1 does not see writes of 2."),
    (pool(sr2=True), CRITICAL, "survival-rule-2", "one more fault resets them"),
    (pool(statefile_access=False), CRITICAL, "statefile-lost", "no access"),
    (pool(global_corrupted=True), WARNING, "global-record-corrupt", "is corrupt"),
    (pool({0: dict(statefile_corrupted=True), 2: dict(statefile_corrupted=True)}), WARNING,
     "records-corrupt", "records of hosts 0 and 2 are corrupt"),
    (pool({2: dict(statefile_corrupted=True)}), WARNING,
     "records-corrupt", "record of host 2 is corrupt"),
    (pool({2: dict(since_heartbeat_ms=2501)}), WARNING, "heartbeat-late",
     "(T1 is 5.0 s): host 2 silent for 2.5 s."),
    (pool(heartbeat_latency=late(2600)), WARNING, "heartbeat-late", "sending took up to 2.6 s."),
    (pool({1: dict(since_statefile_ms=3000)}), WARNING, "statefile-late",
     "(T2 is 5.0 s): host 1 silent for 3.0 s."),
    (pool(statefile_latency=late(2600)), WARNING, "statefile-late", "took up to 2.6 s."),
    (pool(xapi_restarts_left=0, xapi_restarts_more_in_ms=3720000), CRITICAL,
     "xapi-restarts-used-up", "for 1 h 2 min"),
    (pool(xapi_latency=late(5001)), WARNING, "xapi-check-late", "took up to 5.0 s; T3 is 10.0 s."),
    (pool({2: dict(since_xapi_restart_ms=32100, xapi_error="no\x7fgood.")}), WARNING,
     "xapi-restarted", "host 2 is being restarted, since 32.1 s: no?good."),
    (pool({2: dict(disarmed=True)}), WARNING, "host-disarmed",
     "Host 2 is disarmed: it will not be reset when it leaves the pool."),
    (pool({2: dict(disarmed=True, disarm_term_ms=1000)}), WARNING, "host-disarmed",
     "That is meant for 1s more."),
    (pool({2: dict(disarmed=True, disarm_term_ms=0)}), CRITICAL, "still-disarmed",
     "Host 2 is still disarmed"),
    (pool({0: dict(disarmed=True, disarm_term_ms=300000)}, fencing=FencingMode.DISARMED), CRITICAL,
     "not-armed", "in decisions about others. That is meant for 5m more."),
    (pool({0: dict(disarmed=True, disarm_term_ms=0)}, fencing=FencingMode.DISARMED), CRITICAL,
     "still-disarmed", "Host 0 is still disarmed, though the time"),
    (pool({2: dict(xapi_held_ms=299001)}), WARNING, "xapi-held",
     "xapi of host 2 is not checked for 5m more"),
    (pool({2: dict(xapi_error="no good")}), WARNING, "xapi-error", "host 2 reports an error: no"),
    (pool({2: dict(sealed=False, software="")}), NOTICE, "hosts-unsealed", "Host 2 does not seal"),
    (pool(pool_key=KeyView(fingerprint="a" * 16, other="b" * 16, stage="announced", changes=0,
                           waits_for=HostSet([1, 2]))),
     NOTICE, "key-changes", "(announced): heartbeats are sent with aaaaaaaaaaaaaaaa, and "
     "bbbbbbbbbbbbbbbb is accepted too. It waits for hosts 1 and 2."),
    (pool(keyed=False), NOTICE, "heartbeats-unauthenticated", "no pool key"),
    (pool({2: dict(software="xha 1.1.0")}), NOTICE, "versions-differ", "xha 1.0.0, xha 1.1.0"),
    (pool(margins=margins(statefile_write=dict(hour=approach(4100, "write", 3100)))), NOTICE,
     "near-miss", "within the hour: State-File writes 4.1 of 5.0 s, 3 Nov 02:14:07 UTC, "
     "a write to the State-File took 3.1 s."),
    (pool(margins=margins(heard=dict(hour=approach(2501, "silence", 2501)))), NOTICE,
     "near-miss", "heartbeats from host 1 2.5 of 5.0 s, 3 Nov 02:14:07 UTC, nothing came "
     "meanwhile; and 1 more of its kind."),
    (pool(datagrams_refused=(("seal", 2), ("own-identity", 1))), NOTICE, "datagrams-refused",
     "2 seal, 1 own-identity"),
]


@pytest.mark.parametrize("told, gravity, name, said", TABLE, ids=[
    "{} {}".format(row[2], number) for number, row in enumerate(TABLE)])
def test_a_cause_is_said_by_its_name_and_with_its_numbers(told, gravity, name, said):
    found = [concern for concern in concerns.of(told) if concern.name == name]
    assert [(concern.gravity, said in concern.text) for concern in found] == [(gravity, True)], (
        concerns.of(told))


@pytest.mark.parametrize("told, why", [
    (pool(), "a healthy pool"),
    (pool(datagrams_refused=(("not-receiving", 4), ("starting-instance", 1), ("seal", 0))),
     "refusals that blame nobody"),
    (pool({2: dict(since_heartbeat_ms=2500)}), "half a time-out is not more than half"),
    (pool(xapi_restarts_left=0), "no restarts are configured: a setting, not a state"),
    (pool(margins=slow_night()), "a near miss is shown for an hour"),
    (pool(margins=margins(heard=dict(hour=approach(2500)))), "half is not more than half"),
    (snapshot_of_64()._replace(
        master_uuid=uuid_of(1), **dict.fromkeys(
            ["current_liveset", "proposed_liveset", "heartbeat_domain", "statefile_domain"],
            HostSet.first(64))), "the largest pool")],
    ids=lambda value: value if isinstance(value, str) else "")
def test_what_is_well_is_not_warned_of(told, why):
    assert concerns.of(told) == [], why


def test_the_gravest_comes_first():
    found = concerns.of(pool(bond_error=True, sr2=True, keyed=False, watchdog_mode="USER"))
    assert [concern.gravity for concern in found] == [CRITICAL, WARNING, WARNING, NOTICE]


def test_a_word_that_is_too_old_is_no_word():
    """The last word of a host that fell silent claims that it hears everybody."""
    told = pool({2: dict(since_heartbeat_ms=6000, since_statefile_ms=6000)})
    assert concerns.domains(told, told.hosts[2]) == (None, None)
    assert concerns.domains(told, told.hosts[1]) == (HostSet.first(3), HostSet.first(3))


def test_without_the_state_file_nobody_is_blamed_for_not_writing():
    told = pool({1: dict(statefile_domain_on_heartbeat=EMPTY,
                         statefile_domain_on_statefile=EMPTY)}, sr2=True, statefile_domain=EMPTY)
    assert "members-not-seen" not in {concern.name for concern in concerns.of(told)}


def test_of_many_links_some_are_named_and_all_are_counted():
    told = pool(heartbeat_domain=HostSet([0]), hosts={
        1: dict(heartbeat_domain_on_heartbeat=HostSet([1])),
        2: dict(heartbeat_domain_on_heartbeat=HostSet([2]))})
    text = next(concern.text for concern in concerns.of(told)
                if concern.name == "members-not-heard")
    assert text.count("does not hear") == 4 and text.endswith(", and 2 more.")


@pytest.mark.parametrize("name, fields", [
    ("statefile_lost", dict(sr2=True)), ("network_bonding_error", dict(bond_error=True)),
    ("heartbeat_approaching_timeout", dict(heartbeat_latency=late(2501))),
    ("statefile_approaching_timeout", dict(statefile_latency=late(2501))),
    ("Xapi_healthcheck_approaching_timeout", dict(xapi_latency=late(5001)))])
def test_what_xapi_is_warned_of_is_warned_of_here(name, fields):
    told = pool(**fields)
    assert dict(report.warnings(told))[name] and len(concerns.of(told)) == 1
    assert concerns.of(told)[0].gravity in (CRITICAL, WARNING)


@pytest.mark.parametrize("told", [row[0] for row in TABLE])
def test_a_concern_is_one_line_of_ascii(told):
    for concern in concerns.of(told):
        assert re.match(r"[a-z0-9]+(-[a-z0-9]+)*\Z", concern.name)
        assert all(" " <= letter <= "~" for letter in concern.text)
        assert concern.text.endswith(".") or concern.text.endswith("]"), concern.text


@pytest.mark.parametrize("hosts, text", [
    ([1], "Host 1"), ([0, 2], "Hosts 0 and 2"), ([0, 1], "Hosts 0 and 1"), ([0, 1, 2], "Hosts 0-2"),
    ([0, 1, 2, 3, 5], "Hosts 0-3 and 5"), ([0, 2, 4], "Hosts 0, 2, 4")])
def test_hosts_are_named_as_people_do(hosts, text):
    assert concerns.named(hosts) == text


@pytest.mark.parametrize("age_ms, text", [
    (0, "0.0 s"), (99999, "99.9 s"), (100000, "100 s"), (599999, "599 s"), (600000, "10 min"),
    (7199999, "119 min"), (7200000, "2 h"), (172799999, "47 h"), (172800000, "2 d")])
def test_a_duration_is_said_in_the_unit_that_says_it(age_ms, text):
    assert concerns.seconds(age_ms) == text


def test_every_concern_is_documented_and_no_other():
    with open(os.path.join(os.path.dirname(os.path.abspath(concerns.__file__)),
                           "concerns.py")) as file:
        names = set(re.findall(r'(?:critical|warning|notice)\("([a-z0-9-]+)"', file.read()))
    with open(os.path.join(os.path.dirname(os.path.abspath(concerns.__file__)),
                           "statusdown.py")) as file:
        names |= set(re.findall(r'(?:critical|warning|notice)\("([a-z0-9-]+)"', file.read()))
    names |= {"members-not-heard", "members-not-seen", "hosts-starting", "hosts-excluded",
              "heartbeat-late", "statefile-late"}
    assert {row[2] for row in TABLE} <= names
    with open(DOCUMENTED) as file:
        text = file.read().partition("## What must be known")[2]
    rows = re.findall(r"^\| `([a-z0-9-]+)` \| (critical|warning|notice)", text, re.MULTILINE)
    assert sorted(name for name, _ in rows) == sorted(names)
    for told, gravity, name, said in TABLE:
        assert dict(rows)[name] == gravity
