"""The catalogue: its form, and what is printed of it."""

import pytest

from xha import catalogue, syslogger
from xha.actions import Watchdog, log
from xha.errors import ExitCode, FormatError
from xha.hostset import HostSet
from xha.published import Phase

SHIPPED = syslogger.load_catalogue()

ENTRY = """# A comment.

first-thing  notice
    It is {what} on
    host {host}.

    What it means,
    in two lines.

    And more.

    Operator: do this,
    then that.

second-thing  warning  repeats
    Slow: {ms} ms.

    It is slow.

    Operator: nothing.
"""


def test_an_entry_has_a_text_a_meaning_and_an_advice():
    first = catalogue.parse(ENTRY)["first-thing"]
    assert first.level == "notice"
    assert first.text == "It is {what} on host {host}."
    assert first.meaning == "What it means, in two lines. And more."
    assert first.advice == "do this, then that."
    assert first.fields == ("what", "host")
    assert not first.repeats


def test_a_condition_that_may_persist_is_marked():
    assert catalogue.parse(ENTRY)["second-thing"].repeats


BAD = [
    (ENTRY.replace("second", "alpha"), "sysloglist:15: alpha-thing after first-thing",
     "names out of order"),
    (ENTRY.replace("second", "first"), "sysloglist:15", "a name twice"),
    (ENTRY.replace("notice", "fatal"), "sysloglist:3", "a level of nobody"),
    (ENTRY.replace("first-thing", "First_Thing"), "sysloglist:3", "a name in another style"),
    (ENTRY.replace("Operator: do", "Do"), "Operator", "no advice"),
    (ENTRY.replace("    It is slow.\n\n", ""), "sysloglist:15", "no meaning"),
    (ENTRY.replace("{ms}", "{ms"), "brace", "a brace that is not closed"),
    (ENTRY.replace("{ms}", "{}"), "brace", "a field without name"),
    (ENTRY.replace("Slow", "Sl\u00f6w"), "ASCII", "a text that is not ASCII"),
    ("    lost\n" + ENTRY, "sysloglist:1", "a text of no entry"),
]


@pytest.mark.parametrize("text, said, why", BAD, ids=[row[-1] for row in BAD])
def test_a_catalogue_out_of_form_is_refused(text, said, why):
    with pytest.raises(FormatError) as caught:
        catalogue.parse(text)
    assert said in caught.value.args[0]


VALUES = [
    # value, printed, why
    (7, "7", "a number"),
    (True, "yes", "a fact"),
    (None, "None", "nothing"),
    ("a\nb\x1b[31m\u00e9\U0001f600", "a\\nb\\x1b[31m\\xe9\\U0001f600", "one line of ASCII, always"),
    ("{host} %s", "{host} %s", "a value is never taken for a field"),
    (Watchdog.STATEFILE, "statefile", "an enum of words"),
    (Phase.FHREADY, "FHREADY", "an enum of numbers"),
    (ExitCode.JOIN_TIMEOUT, "12", "an exit code is known by its number"),
    (HostSet([0, 2]), "0,2", "a set of hosts"),
    (HostSet(), "none", "no hosts"),
    ((1, "x"), "1,x", "a list"),
    ("x" * 5000, "x" * 397 + "...", "bounded"),
]


@pytest.mark.parametrize("value, printed, why", VALUES, ids=[row[-1] for row in VALUES])
def test_a_value_is_printed(value, printed, why):
    text = catalogue.parse(ENTRY).text_of(log("first-thing", what=value, host=1))
    assert text == "It is {} on host 1.".format(printed)


def test_hosts_are_shown_with_their_addresses_where_these_are_known():
    read = catalogue.parse(ENTRY)
    message = log("first-thing", what=HostSet([0, 2]), host=2)
    assert read.text_of(message, ["a", "b", "c"]) == "It is 101 on host 2 (c)."
    assert read.text_of(log("first-thing", what=1, host=-1), ["a"]) == "It is 1 on host -1."


def test_a_slip_still_gives_a_line_and_a_complaint():
    read = catalogue.parse(ENTRY)
    assert read.text_of(log("nobody", what=1)) == "Message without text: what 1."
    assert read.complaint(log("nobody", what=1)) == "nobody is not in the catalogue"
    assert read.level_of(log("nobody")) == "err"
    assert read.text_of(log("second-thing")) == "Slow: {ms} ms."
    assert "expected ['ms']" in read.complaint(log("second-thing"))
    assert read.complaint(log("second-thing", ms=1)) == ""


PAIRS = [("plain", "plain"), ("", '""'), ("two words", '"two words"'), ('a"b\\', '"a\\"b\\\\"'),
         ("a=b", "a=b"), ("\u00e9", '"\\\\xe9"')]


@pytest.mark.parametrize("value, printed", PAIRS)
def test_fields_are_key_and_value(value, printed):
    assert catalogue.pairs_of(log("x", key=value, a=1)) == "a=1 key=" + printed


#: What an administrator must be told, and by which messages: the list of spec 9.
DEMANDED = [
    # what                              level      messages
    ("a host is online",                "notice",  ["host-online"]),
    ("the liveset was updated",         "notice",  ["liveset-changed"]),
    ("the pool state changed",          "notice",  ["pool-state-changed"]),
    ("the bond is well",                "notice",  ["bond-good"]),
    ("the bond is not",                 "warning", ["bond-degraded"]),
    ("the bond does not work",          "err",     ["bond-error"]),
    ("excluded was set or cleared",     "notice",  ["excluded-set", "excluded-cleared"]),
    ("the State-File was first read",   "notice",  ["statefile-first-access"]),
    ("it is of another version",        "err",     ["statefile-version-mismatch"]),
    ("it is of another generation",     "err",     ["statefile-generation-mismatch"]),
    ("a watchdog is about to expire",   "warning", ["watchdog-expiring"]),
    ("a command was carried out",       "info",    ["request-done", "weight-changed"]),
    ("a command changed a danger",      "notice",  ["fencing-disarmed", "stop-requested"]),
]


@pytest.mark.parametrize("what, level, names", DEMANDED, ids=[row[0] for row in DEMANDED])
def test_what_an_administrator_must_be_told_is_in_the_catalogue(what, level, names):
    assert [SHIPPED[name].level for name in names] == [level] * len(names)


def test_the_liveset_is_told_as_a_digit_for_each_host():
    said = SHIPPED.text_of(log("liveset-changed", liveset=HostSet([0, 2])), ["a", "b", "c"])
    assert said == "Liveset updated (101)."


def test_the_shipped_catalogue_advises_on_each_message():
    assert len(SHIPPED.names()) >= 50
    for name in SHIPPED.names():
        message = SHIPPED[name]
        assert message.meaning.endswith("."), name
        assert message.advice.endswith("."), name
        assert message.text != message.meaning, name
