"""Whether the heartbeat interface is there and carries this host's address.

A heartbeat socket bound to the wrong interface sends into nowhere, and the
host would wait for its pool until it gives up.  So this is checked at start,
and the refusal lists what there is.  netifaces is the only means that works
alike on every dom0; without it the check is left out, and that is said.
Source: spec 8, "Interface".
"""

import ipaddress
from typing import Any, List, Tuple

from xha.actions import Log, log
from xha.errors import ExitCode, XhaError

#: The most interfaces that the refusal lists.
_MAX_LISTED = 32


def check(interface: str, address: str) -> Tuple[Log, ...]:
    """Check HeartbeatInterface and the local host's IPaddress; what there is to say of it.

    Raises:
        XhaError: SYSTEM_ERROR when the interface does not exist or does not carry the
            address; the text lists the interfaces and addresses there are.
    """
    try:
        import netifaces  # type: ignore
    except ImportError as error:
        return (log("interface-unchecked", reason=str(error)),)
    names = sorted(netifaces.interfaces())
    if interface not in names:
        raise XhaError(ExitCode.SYSTEM_ERROR, "HeartbeatInterface {} does not exist; this host "
                       "has {}".format(interface, _listing(netifaces, names)))
    if not _carries(_addresses(netifaces, interface), address):
        raise XhaError(ExitCode.SYSTEM_ERROR, "HeartbeatInterface {} does not carry IPaddress {} "
                       "of this host; this host has {}".format(
                           interface, address, _listing(netifaces, names)))
    return ()


def _addresses(netifaces: Any, interface: str) -> List[str]:
    """The IPv4 and IPv6 addresses of an interface, as module ipaddress writes them."""
    try:
        by_family = netifaces.ifaddresses(interface)
    except ValueError:
        return []  # It is gone meanwhile.
    found = []
    for family in (netifaces.AF_INET, netifaces.AF_INET6):
        for entry in by_family.get(family, ()):
            # An IPv6 address may carry its zone.
            text = entry.get("addr", "").split("%")[0]
            if text:
                found.append(str(ipaddress.ip_address(text)))
    return found


def _carries(addresses: List[str], address: str) -> bool:
    if address in addresses:
        return True
    # Linux takes all of 127.0.0.0/8 for its own once the loopback interface has any of it.
    ours = ipaddress.ip_address(address)
    return ours.version == 4 and ours.is_loopback and any(
        ipaddress.ip_address(text).is_loopback for text in addresses)


def _listing(netifaces: Any, names: List[str]) -> str:
    listed = ["{} ({})".format(name, ", ".join(_addresses(netifaces, name)) or "no address")
              for name in names[:_MAX_LISTED]]
    if len(names) > _MAX_LISTED:
        listed.append("{} more".format(len(names) - _MAX_LISTED))
    return "; ".join(listed) or "none"
