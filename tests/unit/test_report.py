"""Reports of a snapshot: xapi's XML to the byte, JSON and text with the same facts."""
import json
import os
import xml.etree.ElementTree as ElementTree

import pytest
import report_samples as samples
from report_samples import host_view, slow_night, snapshot, uuid_of

from xha import report
from xha.hostset import EMPTY, HostSet
from xha.snapshot import KeyView, Latency

CHANGING = KeyView(fingerprint="a" * 16, other="b" * 16, stage="announced", changes=2,
                   waits_for=HostSet([1]))
FIXTURES = os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "fixtures")
# The original's documents

def read_fixture(name):
    with open(os.path.join(FIXTURES, name)) as file:
        return file.read()


def as_spec_6_demands(document):
    """The original's document without the HostIndex inside localhost."""
    head, end, rest = document.partition("  </localhost>\n")
    return head.replace("    <HostIndex>0</HostIndex>\n", "") + end + rest


def members(block, name):
    texts = (block.find(name).text or "").split()
    return HostSet(int(text[:8]) - 10000000 for text in texts)


def snapshot_of(document):
    """The facts of a document, by another reader than any of ours."""
    root = ElementTree.fromstring(document)
    raw = root.find("raw_status_on_local_host")

    def latency(name):
        return Latency(*(int(raw.find(name + part).text) for part in ("", "_max", "_min")))
    views = []
    for block, data in zip(root.findall("host"), raw.findall("host_raw_data")):
        def fact(name):
            return block.find(name).text == "TRUE"
        views.append(host_view(
            int(block.find("HostIndex").text), live=fact("liveness"), master=fact("master"),
            statefile_access=fact("statefile_access"),
            statefile_corrupted=fact("statefile_corrupted"), excluded=fact("excluded"),
            since_heartbeat_ms=int(data.find("time_since_last_heartbeat").text),
            since_statefile_ms=int(data.find("time_since_last_update_on_statefile").text),
            heartbeat_domain_on_heartbeat=members(data, "heartbeat_active_list_on_heartbeat"),
            heartbeat_domain_on_statefile=members(data, "heartbeat_active_list_on_statefile"),
            statefile_domain_on_heartbeat=members(data, "statefile_active_list_on_heartbeat"),
            statefile_domain_on_statefile=members(data, "statefile_active_list_on_statefile")))
    return snapshot(hosts=views, statefile_latency=latency("statefile_latency"),
                    heartbeat_latency=latency("heartbeat_latency"),
                    xapi_latency=latency("Xapi_healthcheck_latency"))


@pytest.mark.parametrize("name", ["online3", "master1", "fh", "crash2"])
def test_the_originals_documents_are_reproduced_to_the_byte(name):
    document = read_fixture("liveset_{}_host0.xml".format(name))
    assert report.as_xml(snapshot_of(document)) == as_spec_6_demands(document)


def test_a_starting_host_says_only_who_it_is():
    document = as_spec_6_demands(read_fixture("liveset_starting_host0.xml"))
    assert report.as_xml(snapshot(online=False)) == document


def test_the_document_of_a_fault_handlers_run_is_reproduced_from_facts_written_by_hand():
    pair = HostSet([0, 1])
    hosts = [
        host_view(0, since_statefile_ms=259, since_heartbeat_ms=786),
        host_view(1, master=True, since_statefile_ms=259, since_heartbeat_ms=736),
        host_view(2, since_statefile_ms=8770, since_heartbeat_ms=8773,
                  heartbeat_domain_on_statefile=EMPTY, statefile_domain_on_statefile=EMPTY)]
    hosts[:2] = [host._replace(
        heartbeat_domain_on_heartbeat=pair, heartbeat_domain_on_statefile=pair,
        statefile_domain_on_heartbeat=pair, statefile_domain_on_statefile=pair)
        for host in hosts[:2]]
    told = snapshot(hosts=hosts, statefile_latency=Latency(last_ms=0, max_ms=-1, min_ms=-1),
                    heartbeat_latency=Latency(last_ms=1, max_ms=-1, min_ms=-1))
    assert report.as_xml(told) == as_spec_6_demands(read_fixture("liveset_fh_host0.xml"))


# What xapi's parser demands

HOST = ["HostID", "HostIndex", "liveness", "master", "statefile_access", "statefile_corrupted",
        "excluded"]
RAW = [name + part for name in ("statefile_latency", "heartbeat_latency",
                                "Xapi_healthcheck_latency") for part in ("", "_max", "_min")]
RAW_DATA = ["HostID", "HostIndex", "time_since_last_update_on_statefile",
            "time_since_last_heartbeat", "time_since_xapi_restart_first_attempted",
            "xapi_error_string", "heartbeat_active_list_on_heartbeat",
            "heartbeat_active_list_on_statefile", "statefile_active_list_on_heartbeat",
            "statefile_active_list_on_statefile"]
TIMEOUT = ["T1", "T2", "T3", "Wh", "Ws"]
WARNING = ["statefile_lost", "heartbeat_approaching_timeout", "statefile_approaching_timeout",
           "Xapi_healthcheck_approaching_timeout", "network_bonding_error"]


def names(element):
    return [child.tag for child in element]


def check_strictly(document, count):
    """Every element, nothing else, in the order of spec 6."""
    root = ElementTree.fromstring(document)
    assert (root.tag, root.attrib) == ("ha_liveset_info", {"version": "1.0"})
    assert names(root) == (["status", "localhost"] + ["host"] * count
                           + ["raw_status_on_local_host", "timeout", "warning_on_local_host"])
    assert names(root.find("localhost")) == ["HostID"]
    for index, host in enumerate(root.findall("host")):
        assert names(host) == HOST
        assert host.find("HostIndex").text == str(index)
        assert {host.find(name).text for name in HOST[2:]} <= {"TRUE", "FALSE"}
    raw = root.find("raw_status_on_local_host")
    assert names(raw) == RAW + ["host_raw_data"] * count
    assert all(int(raw.find(name).text) >= -1 for name in RAW)
    for data in raw.findall("host_raw_data"):
        assert names(data) == RAW_DATA
        assert all(int(data.find(name).text) >= -1 for name in RAW_DATA[1:5])
    assert names(root.find("timeout")) == TIMEOUT
    assert names(root.find("warning_on_local_host")) == WARNING
    return root


@pytest.mark.parametrize("count", [1, 2, 3, 16, 64])
def test_xapi_finds_every_element_in_its_place(count):
    hosts = [host_view(index, **dict.fromkeys(
        ["heartbeat_domain_on_heartbeat", "heartbeat_domain_on_statefile",
         "statefile_domain_on_heartbeat", "statefile_domain_on_statefile"],
        HostSet.first(count))) for index in range(count)]
    root = check_strictly(report.as_xml(snapshot(hosts=hosts, local=count - 1)), count)
    assert root.find("localhost/HostID").text == root.findall("host/HostID")[count - 1].text


def test_of_64_hosts_liveness_and_master_of_most_are_in_the_first_10_kb():
    text = report.as_xml(snapshot(hosts=[host_view(index) for index in range(64)]))
    assert text[:10240].count("<liveness>") >= 30
    assert "raw_status" not in text[:10240]


def test_a_report_of_64_hosts_is_not_huge():
    assert len(report.as_xml(samples.snapshot_of_64())) < 1 << 20


XAPI_ERRORS = [
    ("ERROR <5>",              "ERROR <5>",          "escaped, and whole"),
    ("a & b \"c\" 'd' ]]>",    "a & b \"c\" 'd' ]]>", "every special character"),
    ("caf\u00e9\x00\x1b[1m\n", "caf???[1m?",         "printable ASCII only"),
    ("&lt;",                   "&lt;",               "what looks escaped is escaped again"),
]


@pytest.mark.parametrize("text, shown, why", XAPI_ERRORS, ids=[row[-1] for row in XAPI_ERRORS])
def test_the_error_of_xapi_is_escaped(text, shown, why):
    hosts = [host_view(0, xapi_error=text), host_view(1), host_view(2)]
    document = report.as_xml(snapshot(hosts=hosts))
    assert all(letter == "\n" or " " <= letter <= "~" for letter in document)
    root = check_strictly(document, 3)
    assert root.find("raw_status_on_local_host/host_raw_data/xapi_error_string").text == shown


# Warnings

def slow(last_ms, max_ms):
    return Latency(last_ms=last_ms, max_ms=max_ms, min_ms=0)


def with_host_2(**changes):
    return {"hosts": (host_view(0), host_view(1), host_view(2, **changes))}


WARNINGS = [
    # what is so                                     warned about                           why
    ({},                                             [],                   "a healthy pool"),
    (with_host_2(since_heartbeat_ms=2500),           [],                   "half of T1"),
    (with_host_2(since_heartbeat_ms=2501),           ["heartbeat"],        "above half of T1"),
    (with_host_2(since_heartbeat_ms=9000, live=False), [],
     "a host outside the liveset is expected to be silent"),
    (with_host_2(since_heartbeat_ms=-1),             [],                   "never is no age"),
    ({"heartbeat_latency": slow(0, 2501)},           ["heartbeat"],
     "a slow moment since xapi's last query counts"),
    (with_host_2(since_statefile_ms=2501),           ["statefile"],        "above half of T2"),
    (dict(with_host_2(since_statefile_ms=2501), sr2=True), ["lost"],
     "under SR2 everybody's State-File is old"),
    ({"statefile_latency": slow(2501, 2501)},        ["statefile"],        "a slow disk"),
    ({"xapi_latency": slow(5000, 5000)},             [],                   "half of T3"),
    ({"xapi_latency": slow(5001, 5001)},             ["Xapi"],             "above half of T3"),
    ({"bond_error": True},                           ["bonding"],          "the bond is degraded"),
]
WARNING_OF = dict(zip(["lost", "heartbeat", "statefile", "Xapi", "bonding"], WARNING))


@pytest.mark.parametrize("so, warned, why", WARNINGS, ids=[row[-1] for row in WARNINGS])
def test_warnings(so, warned, why):
    told = snapshot(**so)
    root = ElementTree.fromstring(report.as_xml(told)).find("warning_on_local_host")
    assert [child.tag for child in root if child.text == "TRUE"] == [
        WARNING_OF[name] for name in warned]
    assert report.as_text(told).count("Warning: ") == len(warned)
    found = json.loads(report.as_json(told))["warnings"]
    assert [name for name, value in found.items() if value] == [
        WARNING_OF[name].lower() for name in warned]


# JSON and text

DOCUMENTED = os.path.join(os.path.dirname(os.path.dirname(FIXTURES)), "docs", "query-liveset.md")


def test_the_json_says_the_facts():
    hosts = [host_view(0), host_view(1, master=True), host_view(2, since_heartbeat_ms=-1)]
    told = json.loads(report.as_json(snapshot(
        hosts=hosts, master_uuid=uuid_of(1), current_liveset=HostSet([0, 1]),
        datagrams_refused=(("bad-size", 3),))))
    assert told["version"] == 1
    assert told["status"] == "online"
    assert told["master"] == "10000001-1111-4222-8333-000000000001"
    assert told["current_liveset"] == [0, 1]
    assert told["fencing"] == "armed"
    assert told["datagrams_refused"] == {"bad-size": 3}
    assert [host["master"] for host in told["hosts"]] == [False, True, False]
    assert [host["since_heartbeat_ms"] for host in told["hosts"]] == [300, 300, None]
    assert told["hosts"][2]["statefile_domain_on_heartbeat"] == [0, 1, 2]


def test_without_a_master_or_a_known_state_the_json_says_null():
    told = json.loads(report.as_json(snapshot(online=False, pool_state_known=False)))
    assert (told["status"], told["master"], told["pool_state"]) == ("starting", None, None)
    assert len(told["hosts"]) == 3


def test_every_name_in_the_json_is_documented_and_no_other():
    told = json.loads(report.as_json(snapshot(margins=slow_night(), pool_key=CHANGING)))
    given = set(told["margins"][0]) | set(told["margins"][0]["hour"])
    given |= set(told) | set(told["hosts"][0]) | set(told["timeouts_ms"]) | set(told["warnings"])
    given |= set(told["xapi_latency_ms"]) | set(told["pool_key"])
    with open(DOCUMENTED) as file:
        rows = [line.split("|")[1].strip() for line in file if line.startswith("| `")]
    assert {row.strip("`") for row in rows} == given


def test_the_text_is_a_table_that_fits_a_terminal():
    lines = report.as_text(snapshot(hosts=[
        host_view(0, master=True), host_view(1, since_heartbeat_ms=-1),
        host_view(2, statefile_corrupted=True, xapi_error="ERROR <5>")])).splitlines()
    assert lines == [
        "Host 0 (10000000-1111-4222-8333-000000000000) is online.  Pool state: active.  "
        "Fencing: armed.  Watchdog: HYPERVISOR.",
        "Liveset 111, heartbeat domain 111, State-File domain 111.",
        "",
        "host  address    live  master  excluded  phase    heartbeat  State-File  weight  xapi",
        "0*    10.99.0.1  yes   yes     -         started  0.3/5 s    1.3/5 s     1       -",
        "1     10.99.0.2  yes   -       -         started  never      1.3/5 s     1       -",
        "2     10.99.0.3  yes   -       -         started  0.3/5 s    corrupt     1       "
        "ERROR <5>",
    ]


def test_the_text_says_whose_xapi_is_held():
    rows = report.as_text(snapshot(hosts=[
        host_view(0), host_view(1, xapi_held_ms=1),
        host_view(2, xapi_held_ms=1, xapi_error="ERROR")])).splitlines()[4:7]
    assert [row.split()[-1] for row in rows] == ["-", "held", "ERROR"]


def test_the_text_of_a_starting_host_says_what_it_waits_for():
    text = report.as_text(snapshot(online=False, pool_state_known=False,
                                   waiting_for="heartbeats of hosts 1, 2"))
    assert "is starting.  Pool state: unknown." in text
    assert "Waiting for heartbeats of hosts 1, 2." in text


@pytest.mark.parametrize("form", ["xml", "json", "text"])
def test_every_form_ends_its_last_line(form):
    assert report.render(snapshot(), form).endswith("\n")


def test_a_host_whose_restarts_of_xapi_are_spent_says_until_when():
    """Source: spec 8: else a second failure fences to everybody's surprise."""
    text = report.as_text(snapshot(xapi_restarts_left=0, xapi_restarts_more_in_ms=23 * 3600000))
    assert "Warning: No restart of xapi is left for 23 h 0 min: until then a failed health check " \
           "resets this host." in text
    for left, more_in_ms in ((1, 3600000), (1, -1), (0, -1)):
        assert "No restart" not in report.as_text(snapshot(
            xapi_restarts_left=left, xapi_restarts_more_in_ms=more_in_ms))
