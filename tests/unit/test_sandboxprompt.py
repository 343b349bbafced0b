"""What is typed into a sandbox: names may be shortened, mistakes get a sentence."""
import pytest

from xha import sandboxprompt
from xha.errors import XhaError

COMMANDS = ["cancel-master", "cut", "disarm", "disk", "kill", "query", "quit", "start", "status",
            "stop"]

CHOICES = [
    ("kill", "kill"), ("k", "kill"), ("cu", "cut"), ("sto", "stop"), ("stat", "status"),
    ("qui", "quit"),
]


@pytest.mark.parametrize("word, name", CHOICES)
def test_a_name_may_be_shortened(word, name):
    assert sandboxprompt.choose(word, COMMANDS) == name


REFUSALS = [
    # what is done, what is answered, why
    (lambda: sandboxprompt.choose("sta", COMMANDS), "which one, start or status?", "two of them"),
    (lambda: sandboxprompt.choose("", COMMANDS), "which one", "every name begins with nothing"),
    (lambda: sandboxprompt.choose("frob", COMMANDS), "no such command", "unknown"),
    (lambda: sandboxprompt.choose("\udcff", COMMANDS), "no such command", "no text at all"),
    (lambda: sandboxprompt.host_of("3", 3), "the hosts are 0 to 2", "beyond the last"),
    (lambda: sandboxprompt.host_of("-1", 3), "not a host", "below the first"),
    (lambda: sandboxprompt.host_of("9" * 5000, 3), "not a host", "a huge number"),
    (lambda: sandboxprompt.host_of("\u0661", 3), "not a host", "a digit, but not of ours"),
    (lambda: sandboxprompt.host_of("master", 3), "no master", "there is none"),
    (lambda: sandboxprompt.hosts_of([], 3), "which host?", "nobody is named"),
    (lambda: sandboxprompt.hosts_of([",", ","], 3), "which host?", "only commas"),
    (lambda: sandboxprompt.groups_of("0 | 0,1", 3), "host 0 is on both sides", "on both sides"),
    (lambda: sandboxprompt.groups_of("0 |", 3), "which host?", "an empty side"),
    (lambda: sandboxprompt.choose_disk("eat"), "ok, fail, hang, slow", "no such thing"),
    (lambda: sandboxprompt.choose_disk(""), "ok, fail, hang, slow", "nothing"),
]


@pytest.mark.parametrize("run, text, why", REFUSALS, ids=[row[-1] for row in REFUSALS])
def test_a_mistake_gets_a_sentence(run, text, why):
    with pytest.raises(XhaError) as refusal:
        run()
    assert text in str(refusal.value)


HOSTS = [
    (["1"], [1]), (["h1"], [1]), (["host1"], [1]), (["HOST2"], [2]), (["master"], [2]),
    (["all"], [0, 1, 2]), (["2,0"], [0, 2]), (["2", "0", "2"], [0, 2]),
]


@pytest.mark.parametrize("words, hosts", HOSTS)
def test_hosts_are_named_in_many_ways(words, hosts):
    assert sandboxprompt.hosts_of(words, 3, master=2) == hosts


GROUPS = [
    ("0,1 | 2", [{0, 1}, {2}]), ("2", [{2}]), ("0|1|2", [{0}, {1}, {2}]), ("0 1|2", [{0, 1}, {2}]),
]


@pytest.mark.parametrize("text, groups", GROUPS)
def test_groups_of_a_cut(text, groups):
    assert sandboxprompt.groups_of(text, 3) == groups
