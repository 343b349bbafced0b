"""Sets of hosts, as people name them."""
import pytest

from xha.hostset import HostSet, runs

RUNS = [
    # hosts                    words                why
    ([],                       [],                  "nobody"),
    ([7],                      ["7"],               "one"),
    ([0, 1],                   ["0", "1"],          "two in a row are as short alone"),
    ([0, 1, 2],                ["0-2"],             "three in a row"),
    ([0, 2, 3, 5, 6, 7, 63],   ["0", "2", "3", "5-7", "63"], "gaps"),
    (HostSet.first(64),        ["0-63"],            "everybody"),
]


@pytest.mark.parametrize("hosts, words, why", RUNS, ids=[row[-1] for row in RUNS])
def test_hosts_in_a_row_are_named_by_the_first_and_the_last(hosts, words, why):
    assert runs(hosts) == words
