"""An outcome in words and as JSON: true, legible at every width, and in the promised form."""
import json
import os
import re
import subprocess
import sys

import pytest
from outcome_samples import ALL, ROOT, outcome_of, told
from xha import simcause, simpool, simsum, simtext, simwords

SUMMARIES = [
    ("cut", "Hosts a and b go on; c fences itself 11.2 s after the cut and is dropped at 21.2 s: "
            "its VMs can be restarted then. No master."),
    ("alone", "The only host goes on; nobody is reset or dropped. Master: a, since 0.4 s."),
    ("blip", "All 3 hosts go on; nobody is reset or dropped. No master."),
    ("nobody", "NOBODY SURVIVES: a and b fence themselves 4.6 s after the crash at 20.0 s, and "
               "nobody drops them by the end: their VMs cannot be restarted; c loses its power at "
               "20.0 s, and nobody drops it by the end: its VMs cannot be restarted. No master."),
    ("rule 2", "All 3 hosts go on, without State-File, by survival rule 2; nobody is reset or "
               "dropped. No master."),
    ("too short", "Hosts a and b go on so far, without having agreed yet who is alive; c fences "
                  "itself 11.2 s after the cut, and nobody drops it by the end: its VMs cannot be "
                  "restarted. No master."),
    ("everybody frozen", "NOBODY SURVIVES: a and b stand still. No master."),
]


@pytest.mark.parametrize("name, expected", SUMMARIES, ids=[row[0] for row in SUMMARIES])
def test_the_first_sentence_sums_it_up(name, expected):
    assert simsum.summary(outcome_of(name)) == expected


SAID = [
    ("breach", r"\ATHE PROMISE IS BROKEN after [0-9.]+ s: host [ab] dropped host c, which "),
    ("failure", r"\ATHE DAEMON'S OWN CODE FAILED after 19\.\d s: AssertionError: host <a> & its"),
    ("master on the losing side", r"No master at the end; c was, until 20\.\d s\.\Z"),
    ("disarmed", r"Hosts a and b go on; c runs on, disarmed, although it was dropped at "),
    ("back", r"c loses its power at 0\.0 s and is dropped at .* it is back at the end\. No master"),
    ("frozen", r"c is reset 40\.0 s after the freeze and is dropped at [12]\d\.\d"),
    ("many", r"Hosts a, b and c go on; d to h do not go on without interruption: 5 of them end "),
    ("large", r"Hosts a to c and e to m go on; d loses its power at 0\.0 s and is .*; n to x fence"
              r" themselves 1\d\.\d(?: to 1\d\.\d)? s after the cut and are dropped at "),
]


@pytest.mark.parametrize("name, pattern", SAID, ids=[row[0] for row in SAID])
def test_the_first_sentence_says(name, pattern):
    assert re.search(pattern, simsum.summary(outcome_of(name)))


TABLE = """\
What becomes of each host
host  address   at the end  what becomes of it           ends  dropped  VMs after
----  --------  ----------  ---------------------------  ----  -------  ---------
a     10.0.0.1  online      goes on, by rule 1
b     10.0.0.2  online      goes on, by rule 1
c     10.0.0.3  down        fences itself                11.2  21.2     21.2
                            (no-survival-rule), after
                            the cut
VMs after: s from the fault that is named until every survivor had dropped the
host, so that its VMs could be restarted elsewhere.

Liveset at the end: a and b (110). Master lock held by: nobody.
"""


def test_the_table_tells_the_fate_of_each_host():
    text = simtext.as_text(outcome_of("cut"), 80)
    found = text[text.index("What becomes of each host\n"):]
    assert re.sub(" +|-+", " ", found) == re.sub(" +|-+", " ", TABLE)


@pytest.mark.parametrize("width", (60, 80, 120, 200))
@pytest.mark.parametrize("name", ALL)
def test_the_text_fits_the_width_and_is_plain(name, width):
    text = simtext.as_text(outcome_of(name), width)
    assert text == text.encode("ascii", "strict").decode("ascii")
    assert not re.search(r"[^ -~\n]", text)
    for line in text.split("\n"):
        assert len(line) <= width and line == line.rstrip(), line
    assert text.endswith("\n") and not text.endswith("\n\n")


@pytest.mark.parametrize("name", ALL)
def test_the_timeline_is_in_order_and_holds_all_that_was_done(name):
    outcome = outcome_of(name)
    lines = simwords.lines(outcome)
    assert [line.at_ms for line in lines] == sorted(line.at_ms for line in lines)
    assert lines[-1].kind == "end"
    assert [line.text for line in lines if line.kind == "done"] == [
        simwords.deed_text(deed.text) for deed in outcome.deeds if deed.kind != "time"]
    spoken = {(host, moment.name) for moment in outcome.moments for host in moment.hosts}
    assert spoken == {(host, line.name) for line in lines for host in line.hosts}


def test_hosts_that_agree_share_a_line():
    text = simtext.as_text(outcome_of("cut"), 120)
    assert re.search(r"^ +21\.2  a,b +notice +Liveset updated \(110\)\.$", text, re.MULTILINE)
    assert re.search(r"^ +11\.2  c +FENCED +no-survival-rule$", text, re.MULTILINE)


def test_ipv6_addresses_get_lines_of_their_own_where_they_are_long():
    outcome = outcome_of("cut")
    address = "2001:db8:1234:5678:9abc:def0:1234:567"  # a digit more is the longest there is
    outcome = outcome._replace(fates=tuple(
        fate._replace(address=address + str(fate.host)) for fate in outcome.fates))
    text = simtext.as_text(outcome, 80)
    assert max(len(line) for line in text.split("\n")) <= 80
    for host in range(3):
        assert address + str(host) in text


def test_a_larger_pool_has_a_row_for_each_fate():
    text = simtext.as_text(outcome_of("large"), 80)
    table = text[text.index("What becomes of each host\n"):]
    assert re.search(r"^a-c,e-m +12 hosts +online", table, re.MULTILINE)
    assert re.search(r"^d +10\.0\.0\.4 +down", table, re.MULTILINE)
    assert re.search(r"^n-x +11 hosts +down", table, re.MULTILINE)
    assert "(0-2,4-12)" in text, "a liveset of 24 digits is shown by its members"


NAMES = [
    ([0], "a", "a"), ([0, 1], "a and b", "a,b"), ([0, 2, 3], "a, c and d", "a,c,d"),
    ([0, 1, 2, 3], "a to d", "a-d"), ([0, 1, 3, 4, 5, 63], "a, b, d to f and 63", "a,b,d-f,63"),
    (list(range(0, 40, 2)), "20 hosts (a,c,e,g,i,k,m,o,q,s,u,w,y,26,28,30,32,34,36,38)",
     "a,c,e,g,i,k,m,o,q,s,u,w,y,26,28,30,32,34,36,38"),
]


@pytest.mark.parametrize("hosts, sentence, column", NAMES, ids=[row[2] for row in NAMES])
def test_hosts_are_named(hosts, sentence, column):
    assert simwords.names(hosts) == sentence
    assert simwords.short(hosts) == column


# ---- causes

CAUSES = [
    ("cut", {2: "network of c cut"}),
    ("nobody", {0: "host c crashes", 1: "host c crashes", 2: "host c crashes"}),
    ("many", {3: "toolstack of d fails", 4: "daemon of e dies", 5: "machine of f freezes",
              6: "host g crashes", 7: "network of h cut"}),
    ("frozen", {2: "machine of c freezes"}),
]


@pytest.mark.parametrize("name, expected", CAUSES, ids=[row[0] for row in CAUSES])
def test_an_end_is_counted_from_the_fault_that_began_it(name, expected):
    outcome = outcome_of(name)
    found = {fate.host: outcome.deeds[fate.cause].text for fate in outcome.fates
             if fate.cause >= 0}
    assert found == expected
    for fate in outcome.fates:
        if fate.restart_after_ms >= 0:
            since_ms = outcome.deeds[fate.cause].at_ms
            assert fate.restart_after_ms == fate.last_dropped_at_ms - since_ms


LINES = [
    # line                                      kind       what it is called        hosts of 4
    ("network of c cut", "fault", "the cut", (2,)),
    ("partition a,b | c", "fault", "the cut", (0, 1, 2)),
    ("link a-c cut", "fault", "the cut", (0, 2)),
    ("network from 10.0.0.2 to d takes 3 ms", "fault", "the network fault", (1, 3)),
    ("network loses 3 %", "fault", "the network fault", (0, 1, 2, 3)),
    ("network loses 0 % of b", "repair", "the network fault", (1,)),
    ("statefile of a takes 1 ms", "fault", "the State-File fault", (0,)),
    ("statefile of all back", "repair", "the State-File fault", (0, 1, 2, 3)),
    ("next write of b torn after 3", "fault", "the fault", (1,)),
    ("host host-d crashes", "fault", "the crash", (3,)),
    ("host d stops", "leave", "the stop", (3,)),
    ("a asks disarm-fencing", "leave", "the request", (0,)),
    ("a,b ask propose-master", "request", "the request", (0, 1)),
    ("weight of b becomes 2", "request", "the fault", (1,)),
    ("crash 000000000000000000000000000000a3", "fault", "the crash", (3,)),
    ("who is down starts within 3 ms", "repair", "the fault", (0, 1, 2, 3)),
    ("30 s pass", "time", "the fault", (0, 1, 2, 3)),
]


@pytest.mark.parametrize("line, kind, noun, hosts", LINES, ids=[row[0] for row in LINES])
def test_a_line_of_a_story_is_understood(line, kind, noun, hosts):
    assert simcause.kind_of(line) == kind
    assert simcause.noun_of(line) == noun
    pool = simpool.settings_of(4, simpool.QUICK)[0].common.hosts
    if kind != "time":
        assert simcause.named_in(line, pool) == hosts


# ---- what the recorder sees


@pytest.mark.parametrize("name", ALL)
def test_the_spans_of_each_host_fill_the_story(name):
    outcome = outcome_of(name)
    for fate in outcome.fates:
        spans = [span for span in outcome.spans if span.host == fate.host]
        assert spans[0].from_ms == 0 and spans[-1].to_ms == outcome.lasted_ms
        for one, other in zip(spans, spans[1:]):
            assert one.to_ms == other.from_ms


def test_who_fenced_itself_is_down_at_once_and_who_is_frozen_is_frozen_at_once():
    down = [span for span in outcome_of("cut").spans if span.state == "down"]
    assert [span.host for span in down] == [2]
    assert 0 <= down[0].from_ms - outcome_of("cut").fates[2].died_at_ms <= 150
    frozen = [span for span in outcome_of("everybody frozen").spans]
    assert [(span.state, span.from_ms) for span in frozen] == [("frozen", 0)] * 2


def test_the_first_line_of_a_story_about_a_configuration_is_noted():
    settings = simpool.settings_of(2, simpool.QUICK)
    outcome = told(["host b crashes", "20 s pass"], settings=settings)
    assert [deed.text for deed in outcome.deeds] == ["host b crashes", "20 s pass"]
    assert outcome.deeds[0].at_ms == 0 and outcome.fates[1].cause == 0


# ---- JSON


@pytest.mark.parametrize("name", ALL)
def test_the_json_is_one_object_about_all_hosts(name):
    """Its schema is held by test_schemas."""
    text = simtext.as_json(outcome_of(name))
    assert text == text.encode("ascii").decode("ascii") and text.endswith("}\n")
    document = json.loads(text)
    assert document["hosts"][0]["index"] == 0
    assert len(document["hosts"]) == len(outcome_of(name).fates)


def test_the_json_tells_the_outage_in_numbers():
    document = json.loads(simtext.as_json(outcome_of("cut")))
    assert document["liveset"] == [0, 1] and document["master"] is None
    lost = document["hosts"][2]
    assert (lost["survives"], lost["how"], lost["code"]) == (False, "fenced", "no-survival-rule")
    assert lost["restart_after_ms"] == lost["last_dropped_at_ms"] == document["drops"][0]["last_ms"]
    assert document["drops"][0]["by"] == [0, 1]


def test_the_same_outcome_is_shown_the_same_whatever_the_order_of_sets():
    script = (
        "import sys, hashlib; sys.path[:0] = sys.argv[1:]\n"
        "import conftest\n"
        "from outcome_samples import outcome_of\n"
        "from xha import simpage, simtext\n"
        "for name in ('cut', 'many', 'large'):\n"
        "    outcome = outcome_of(name)\n"
        "    print(hashlib.sha256((simtext.as_text(outcome, 80) + simtext.as_json(outcome)\n"
        "          + simpage.as_page(outcome, name)).encode('ascii')).hexdigest())\n")
    tests = os.path.join(ROOT, "tests")
    seen = {subprocess.check_output(
        [sys.executable, "-B", "-c", script, tests, os.path.join(tests, "unit")],
        env=dict(os.environ, PYTHONHASHSEED=seed)) for seed in ("1", "2")}
    assert len(seen) == 1
