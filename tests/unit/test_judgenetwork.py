"""Whether heartbeats can go out and come in: tables of facts and findings."""
import pytest

from xha import judgenetwork, looknetwork
from xha.judgenetwork import InterfaceFacts, Listing, PortFacts, SocketFacts

from test_firewall import DOM0, match, ruled, saved
from test_judgehost import check
from test_proofpage import SETTINGS

OURS = "10.99.0.1"
BOND = ("Ethernet Channel Bonding Driver\n\nMII Status: {}\n\n"
        "Slave Interface: eth0\nMII Status: up\n\nSlave Interface: eth1\nMII Status: {}\n")


def interface(**changes):
    return InterfaceFacts(refusal="", unchecked="", state="up", mtu=1500, bond=None)._replace(
        **changes)


INTERFACE = [
    # facts, bond's name, levels, code, words, why
    (interface(), "", ["ok"], None, "carries", "as it should"),
    (interface(refusal="does not exist"),  "bond0", ["failure"],       2, "does not exist", "none"),
    (interface(unchecked="no netifaces"), "", ["unknown"], None, "ip addr", "unchecked"),
    (interface(state="down"),              "",      ["ok", "warning"], None, "is down", "down"),
    (interface(state="without carrier"),   "",      ["ok", "warning"], None, "without", "no cable"),
    (interface(mtu=1400), "", ["ok", "warning"], None, "fragments", "small MTU"),
    (interface(mtu=1448), "", ["ok"], None, "carries", "just enough"),
    (interface(mtu=-1, state=""),          "",      ["ok"],            None, "carries", "no /sys"),
    (interface(),                          "eth0",  ["ok", "ok"],      None, "no bond", "no bond"),
    (interface(bond=BOND.format("up", "up")), "bond0", ["ok", "ok"], None, "eth1 up",
     "a good bond"),
    (interface(bond=BOND.format("up", "down")), "bond0", ["ok", "warning"], None, "degraded",
     "a cable is lost"),
    (interface(bond=BOND.format("down", "down")), "bond0", ["ok", "warning"], None, "is down",
     "both are"),
    (interface(bond=""),                   "bond0", ["ok", "unknown"], None, "bond0", "unreadable"),
]


@pytest.mark.parametrize("facts, bond, expected, code, words, why", INTERFACE,
                         ids=[row[-1] for row in INTERFACE])
def test_interface(facts, bond, expected, code, words, why):
    settings = SETTINGS._replace(local=SETTINGS.local._replace(physical_interface=bond))
    check(judgenetwork.judge_interface(settings, facts), expected, code, words)


def port(*sockets, daemon=0, reserved=False, given=False, trouble=""):
    return PortFacts(sockets=tuple(SocketFacts(address=address, pid=pid, program=program)
                                   for address, pid, program in sockets),
                     trouble=trouble, daemon_pid=daemon, reserved=reserved, given_away=given)


PORT = [
    # facts, level, code, words, why
    (port(),                                        "ok",      None, "free",    "nobody has it"),
    (port((OURS, 7, "xhad"), daemon=7),             "ok",      None, "daemon's", "our daemon"),
    (port((OURS, 7, "nc")),                         "failure", 2, "nc (pid 7)", "somebody else"),
    (port((OURS, 8, "nc"), daemon=7), "failure", 2, "nc", "beside our daemon"),
    (port(("0.0.0.0", 7, "nc")),                    "failure", 2, "0.0.0.0",    "on all addresses"),
    (port(("0.0.0.0", 0, "")),                      "failure", 2, "a process",  "not ours to see"),
    (port(("::", 7, "nc")), "warning", None, "may be", "both families, maybe"),
    (port(("10.1.1.1", 7, "nc")),                   "ok",      None, "free",    "another address"),
    (port(("0.0.0.0", 7, "portreserve"), reserved=True), "ok", None, "kept free", "portreserve"),
    (port(("0.0.0.0", 7, "portreserve")),           "failure", 2, "portreserve", "not for us"),
    (port(given=True),                              "warning", None, "reserved", "a port of all"),
    (port((OURS, 7, "xhad"), daemon=7, given=True), "ok",      None, "daemon's", "it has it"),
    (port(trouble="no /proc"),                      "unknown", None, "no /proc", "cannot tell"),
]


@pytest.mark.parametrize("facts, level, code, words, why", PORT, ids=[row[-1] for row in PORT])
def test_port(facts, level, code, words, why):
    check(judgenetwork.judge_port(694, OURS, facts), [level], code, words)


@pytest.mark.parametrize("address, level", [("::", "failure"), ("0.0.0.0", "warning")])
def test_the_port_of_a_pool_with_ipv6(address, level):
    check(judgenetwork.judge_port(694, "fd00::1", port((address, 7, "nc"))), [level],
          2 if level == "failure" else None, "nc")


def listing(program, text="", trouble=""):
    return Listing(program=program, text=text, trouble=trouble)


CLOSED = "--dport 695"
HALF = ruled([match("ip", "saddr", "10.99.0.3"), {"drop": None}])
FIREWALL = [
    # listings, levels, code, words, why
    ([], ["unknown"], None, "cannot tell", "no program"),
    ([listing("nft", ruled())],                      ["ok"],      None, "is open",     "no rules"),
    ([listing("iptables-save", DOM0)],               ["ok"],      None, "is open",     "a dom0"),
    ([listing("iptables-save", DOM0.replace("--dport 694", CLOSED))],
     ["warning"], None, "only while the kernel remembers", "by accident"),
    ([listing("nft", HALF)], ["failure"], 12, "10.99.0.3", "one peer is shut out"),
    ([listing("iptables-save", saved(policy="DROP"))], ["failure"], 12, "policy drop", "a policy"),
    ([listing("nft", trouble="not permitted")], ["unknown"], None, "not permitted", "not root"),
    ([listing("nft", trouble="not permitted"), listing("iptables-save", saved())],
     ["unknown", "ok"], None, "by iptables-save", "one of two"),
    ([listing("nft", "garbage")],                    ["unknown", "ok"], None, "not the JSON",
     "not read"),
    ([listing("iptables-save", saved("-A INPUT -m x --y -j DROP"))],
     ["unknown"], None, "-m x --y", "a rule that is not understood"),
]


@pytest.mark.parametrize("listings, expected, code, words, why", FIREWALL,
                         ids=[row[-1] for row in FIREWALL])
def test_firewall(listings, expected, code, words, why):
    check(judgenetwork.judge_firewall(SETTINGS, listings), expected, code, words)


def test_a_pool_of_one_host_needs_no_open_port():
    alone = SETTINGS._replace(common=SETTINGS.common._replace(hosts=SETTINGS.common.hosts[:1]))
    check(judgenetwork.judge_firewall(alone, []), ["ok"], None, "one host")


# What Linux says

UDP = """  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt uid timeout
  12: 0100630A:02B6 00000000:0000 07 00000000:00000000 00:00000000 00000000 0 0 4711 2 x 0
  13: 00000000:02B6 00000000:0000 07 00000000:00000000 00:00000000 00000000 0 0 4712 2 x 0
  14: 00000000:0035 00000000:0000 07 00000000:00000000 00:00000000 00000000 0 0 4713 2 x 0
"""
UDP6 = UDP.replace("0100630A:", "00000000000000000000000001000000:").replace(
    "13: 00000000:", "13: 000000FD000000000000000002000000:")


@pytest.mark.parametrize("text, expected", [
    (UDP, {"4711": OURS, "4712": "0.0.0.0"}),
    (UDP6, {"4711": "::1", "4712": "fd00::2"}),
    (UDP.splitlines()[0], {}),
    ("sl\n\n 1:\n 1: 02B6\n 1: XX:02B6 0 0 0 0 0 0 0 4711\n 1: 0100630A:02B6 0\n", {})])
def test_the_sockets_of_a_port(text, expected):
    assert looknetwork.sockets_of(text, 694) == expected


def test_a_port_that_is_bound_is_found_with_its_owner_and_not_taken():
    """Source: spec 9, "UDP port free or ours"; looking binds nothing."""
    import os
    import socket
    holder = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    holder.bind(("127.0.0.1", 0))
    number = holder.getsockname()[1]
    facts = looknetwork.look_port(number, 0)
    holder.close()
    assert facts.trouble == ""
    assert [(one.address, one.pid) for one in facts.sockets] == [("127.0.0.1", os.getpid())]
    assert looknetwork.look_port(number, 0).sockets == ()


def test_the_interface_of_this_network_is_looked_at():
    assert looknetwork._state_of("lo")[1] >= judgenetwork.MTU_MIN
    assert looknetwork._state_of("nix0") == ("", -1)
