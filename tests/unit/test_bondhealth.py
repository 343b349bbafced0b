"""What Linux's text about a bond says, and what of it is said on."""
import pytest

from xha import bondmonitor
from xha.bondhealth import Bond, BondHealth, Health, INTERVAL_MS, parse
from xha.errors import FormatError

HEAD = """\
Ethernet Channel Bonding Driver: v5.10.0

Bonding Mode: fault-tolerance (active-backup)
Primary Slave: None
Currently Active Slave: eth0
MII Status: {}
MII Polling Interval (ms): 100
Up Delay (ms): 0
Down Delay (ms): 0
Peer Notification Delay (ms): 0
"""
SLAVE = """
Slave Interface: {}
MII Status: {}
Speed: 1000 Mbps
Duplex: full
Link Failure Count: 0
Permanent HW addr: 00:16:3e:00:00:01
Slave queue ID: 0
"""
#: What a slave of 802.3ad has besides.
DETAILS = """\
Aggregator ID: 1
details actor lacp pdu:
    system priority: 65535
    port state: 61
details partner lacp pdu:
    port state: 63
"""


def text_of(status, *slaves, details=""):
    return HEAD.format(status) + "".join(
        SLAVE.format(*slave) + details for slave in slaves)


UP, DOWN = "up", "down"
TEXTS = [
    # the bond  its slaves                                   health           words
    (UP,   [("eth0", UP), ("eth1", UP)],                Health.GOOD,     "eth0 up, eth1 up"),
    (UP,   [("eth0", UP), ("eth1", DOWN)],              Health.DEGRADED, "eth0 up, eth1 down"),
    (UP,   [("eth0", "going down"), ("eth1", UP)],      Health.DEGRADED,
     "eth0 going down, eth1 up"),
    (UP,   [("eth0", "going back"), ("eth1", UP)],      Health.DEGRADED,
     "eth0 going back, eth1 up"),
    (DOWN, [("eth0", DOWN), ("eth1", DOWN)],            Health.ERROR,    "eth0 down, eth1 down"),
    (DOWN, [("eth0", UP), ("eth1", UP)],                Health.ERROR,    "eth0 up, eth1 up"),
    (DOWN, [],                                          Health.ERROR,    "no slave"),
    (UP,   [],                                          Health.GOOD,     "no slave"),
]


@pytest.mark.parametrize("details", ["", DETAILS])
@pytest.mark.parametrize("status, slaves, health, words", TEXTS)
def test_the_state_of_a_bond(status, slaves, health, words, details):
    bond = parse(text_of(status, *slaves, details=details))
    assert bond == Bond(status=status, slaves=tuple(slaves))
    assert (bond.health, bond.words) == (health, words)


def test_only_the_first_status_of_each_counts():
    text = text_of(UP, ("eth0", UP)).replace("Up Delay", "MII Status: down\nUp Delay")
    assert parse(text + "MII Status: down\n").health is Health.GOOD


@pytest.mark.parametrize("text", ["", "nonsense\n", "MII Status\n", SLAVE.format("eth0", "up"),
                                  HEAD.format(UP) + "Slave Interface: eth0\n"])
def test_a_text_without_the_states_is_refused(text):
    with pytest.raises(FormatError):
        parse(text)


def test_a_long_list_of_slaves_is_cut():
    many = [("eth{}".format(number), UP) for number in range(40)]
    assert parse(text_of(UP, *many)).words.endswith("eth15 up, 24 more")


# Over time

def names(messages):
    return [message.name for message in messages]


def test_only_a_change_is_said():
    bond = BondHealth("bond0")
    good = text_of(UP, ("eth0", UP), ("eth1", UP))
    half = text_of(UP, ("eth0", UP), ("eth1", DOWN))
    dead = text_of(DOWN, ("eth0", DOWN), ("eth1", DOWN))
    told = [(names(bond.look(text)), bond.error)
            for text in (good, good, half, half, dead, dead, half, good, good)]
    assert told == [
        (["bond-good"], False), ([], False), (["bond-degraded"], True), ([], True),
        (["bond-error"], True), ([], True), (["bond-degraded"], True), (["bond-good"], False),
        ([], False)]


def test_another_link_that_fails_is_a_change():
    bond = BondHealth("bond0")
    bond.look(text_of(UP, ("eth0", UP), ("eth1", DOWN)))
    message, = bond.look(text_of(UP, ("eth0", DOWN), ("eth1", UP)))
    assert dict(message.fields) == {"interface": "bond0", "slaves": "eth0 down, eth1 up"}


def test_what_is_no_bond_is_said_once_and_is_no_error():
    bond = BondHealth("eth0")
    assert [names(bond.look(None)) for _ in range(3)] == [["bond-absent"], [], []]
    assert not bond.error
    # It may still become one.
    assert names(bond.look(text_of(UP, ("eth0", UP)))) == ["bond-good"]


def test_a_bond_that_goes_or_is_not_understood_is_an_error_once():
    for text, reason in ((None, "it is gone"), ("", "its state is not understood: no line "
                                                "`MII Status` of the bond")):
        bond = BondHealth("bond0")
        bond.look(text_of(UP, ("eth0", UP)))
        message, = bond.look(text)
        assert (message.name, dict(message.fields)["reason"]) == ("bond-error", reason)
        assert bond.error and bond.look(text) == []


def test_it_is_looked_at_every_10_s_and_only_if_one_is_configured():
    assert INTERVAL_MS == 10000
    bond = BondHealth("bond0")
    assert [at_ms for at_ms in range(0, 30001, 500) if bond.due(at_ms)] == [0, 10000, 20000, 30000]
    assert not BondHealth("").due(1 << 40)


# The file

def test_the_file_of_a_bond_one_that_is_not_there_and_one_that_cannot_be_read(tmp_path):
    (tmp_path / "bond0").write_text("text")
    (tmp_path / "bond1").mkdir()
    assert bondmonitor.read("bond0", str(tmp_path)) == "text"
    assert bondmonitor.read("bond7", str(tmp_path)) is None
    assert bondmonitor.read("bond1", str(tmp_path)) == ""
    assert bondmonitor.read("lo") is None, "a real interface, and no bond"
