"""The check of the heartbeat interface, on the loopback interface that every host has."""

import sys

import pytest

from xha import nic
from xha.errors import ExitCode, XhaError


class Netifaces:
    """A host's interfaces in the shape that netifaces gives them."""

    AF_INET = 2
    AF_INET6 = 10

    def __init__(self, interfaces):
        self._interfaces = interfaces

    def interfaces(self):
        return list(self._interfaces)

    def ifaddresses(self, name):
        if self._interfaces[name] is None:
            raise ValueError("You must specify a valid interface name.")
        found = {17: [{"addr": "00:11:22:33:44:55"}]}
        for address in self._interfaces[name]:
            family = self.AF_INET6 if ":" in address else self.AF_INET
            found.setdefault(family, []).append({"addr": address, "netmask": "x"})
        return found


HOST = {"lo": ["127.0.0.1", "::1"], "xenbr1": [], "vif1.0": None,
        "xenbr0": ["10.0.0.1", "10.0.0.2", "FE80::1%xenbr0", "fd00::0:7"]}

CARRIED = [
    ("xenbr0", "10.0.0.1", "its first address"),
    ("xenbr0", "10.0.0.2", "its second"),
    ("xenbr0", "fd00::7", "an IPv6 address, written otherwise"),
    ("xenbr0", "fe80::1", "an IPv6 address without its zone"),
    ("lo", "127.0.0.1", "the loopback address"),
    ("lo", "127.0.0.7", "any address of the loopback network, which Linux takes as its own"),
]


@pytest.fixture
def host(monkeypatch):
    monkeypatch.setitem(sys.modules, "netifaces", Netifaces(HOST))


@pytest.mark.parametrize("interface, address, why", CARRIED, ids=[row[-1] for row in CARRIED])
def test_an_address_that_the_interface_carries_is_accepted(host, interface, address, why):
    assert nic.check(interface, address) == ()


REFUSED = [
    ("xenbr0", "10.0.0.3", "does not carry IPaddress 10.0.0.3", "an address of nobody"),
    ("xenbr1", "10.0.0.1", "does not carry IPaddress", "an address of another interface"),
    ("vif1.0", "10.0.0.1", "does not carry IPaddress", "an interface that goes away meanwhile"),
    ("xenbr0", "127.0.0.1", "does not carry IPaddress", "loopback on another interface"),
    ("bond0", "10.0.0.1", "bond0 does not exist", "an interface of nobody"),
]


@pytest.mark.parametrize("interface, address, said, why", REFUSED, ids=[row[-1] for row in REFUSED])
def test_a_wrong_interface_is_refused_with_a_list_of_what_there_is(
        host, interface, address, said, why):
    with pytest.raises(XhaError) as caught:
        nic.check(interface, address)
    assert caught.value.code is ExitCode.SYSTEM_ERROR
    assert said in str(caught.value)
    assert str(caught.value).endswith(
        "this host has lo (127.0.0.1, ::1); vif1.0 (no address); "
        "xenbr0 (10.0.0.1, 10.0.0.2, fe80::1, fd00::7); xenbr1 (no address)")


def test_a_host_of_many_interfaces_is_listed_in_part(monkeypatch):
    many = {"vif{}.0".format(number): [] for number in range(500)}
    monkeypatch.setitem(sys.modules, "netifaces", Netifaces(many))
    with pytest.raises(XhaError) as caught:
        nic.check("xenbr0", "10.0.0.1")
    assert str(caught.value).endswith("; 468 more")


def test_without_netifaces_the_check_is_left_out_and_that_is_said(monkeypatch):
    monkeypatch.setitem(sys.modules, "netifaces", None)
    said, = nic.check("xenbr0", "10.0.0.1")
    assert said.name == "interface-unchecked"
    assert "netifaces" in dict(said.fields)["reason"]


def test_the_real_module_and_the_real_loopback_interface():
    """Whether netifaces is there or not: its shape is the one that the tests above assume."""
    said = nic.check("lo", "127.0.0.1")
    if said:
        assert [item.name for item in said] == ["interface-unchecked"]
        return
    with pytest.raises(XhaError) as caught:
        nic.check("lo", "192.0.2.77")
    assert "lo (127.0.0.1" in str(caught.value)
