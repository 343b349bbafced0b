"""The text of xhad.conf: read once into a ``Config`` that cannot be wrong, or refused.

Theory of operation
===================

xapi writes one file on every host when HA is enabled.  Its ``common-config``
must be equal on all hosts: every deadline that hosts rely on in each other
follows from it.  A value that is nearly right is therefore worse than none:
what is malformed, repeated, out of range or contradicts another value is an
error, and only an element that nothing reads is a warning.

Every message is ASCII and names the file, the line where known, the element,
the value found and what was expected.  Source: spec 2.
"""

import ipaddress
import re
from typing import Dict, List, NamedTuple, Optional, Tuple

from xha import keyedhash, plainxml
from xha.errors import ExitCode, XhaError
from xha.hostset import MAX_HOSTS
from xha.plainxml import Element, Source, ascii_only, children, required, text_of, unexpected
from xha.published import NO_MASTER, Configuration, WatchdogMode
from xha.records import record

#: Far above what 64 hosts need (10 KiB); a bound on memory and time.
MAX_BYTES = 1 << 20
#: Ages are published in ms as signed 32-bit numbers (spec 3), so nothing may last longer.
MAX_SECONDS = 2000000
#: Linux, IFNAMSIZ less its NUL.
MAX_INTERFACE_BYTES = 15
#: Linux, PATH_MAX less its NUL.
MAX_PATH_BYTES = 4095

_INTERFACE = re.compile(r"[!-~]+\Z")
_NUMBER = re.compile(r"-?[0-9]+\Z")
_UUID = re.compile(r"[0-9a-f]{32}\Z")
_LEADING_ZERO = re.compile(r"(^|\.)0[0-9]")


@record
class Host(NamedTuple):
    """A configured host."""

    # 32 lower-case hexadecimal digits.
    uuid: str
    # Numeric, as module ipaddress writes it.
    address: str


@record
class Common(NamedTuple):
    """What must be equal on every host of the pool."""

    # 32 lower-case hexadecimal digits.
    generation_uuid: str
    udp_port: int
    # In the order of their UUIDs: the position is the host index.
    hosts: Tuple[Host, ...]
    heartbeat_interval_ms: int
    heartbeat_timeout_ms: int
    statefile_interval_ms: int
    statefile_timeout_ms: int
    heartbeat_watchdog_timeout_ms: int
    statefile_watchdog_timeout_ms: int
    boot_join_timeout_ms: int
    enable_join_timeout_ms: int
    xapi_check_interval_ms: int
    xapi_check_timeout_ms: int
    xapi_restart_attempts: int
    xapi_restart_timeout_ms: int
    xapi_license_timeout_ms: int


@record
class Local(NamedTuple):
    """What concerns this host alone."""

    host_uuid: str
    # Position of this host among ``Common.hosts``; hides tuple.index, which nobody wants here.
    index: int  # type: ignore[assignment]
    interface: str
    # The bond to watch; "" when there is none.
    physical_interface: str
    # Absolute path of the State-File.
    statefile: str
    watchdog_mode: WatchdogMode
    # What watchdog mode USER runs to reset this host; "" when nothing.
    fence_command: str


@record
class Config(NamedTuple):
    """A checked configuration."""

    common: Common
    local: Local
    # One sentence for each oddity that was ignored, ready to print.
    warnings: Tuple[str, ...]


#: Element, field of ``Common`` and default of each parameter; seconds but for the count.
PARAMETERS = (
    ("HeartbeatInterval", "heartbeat_interval_ms", 4),
    ("HeartbeatTimeout", "heartbeat_timeout_ms", 30),
    ("StateFileInterval", "statefile_interval_ms", 4),
    ("StateFileTimeout", "statefile_timeout_ms", 30),
    ("HeartbeatWatchdogTimeout", "heartbeat_watchdog_timeout_ms", 30),
    ("StateFileWatchdogTimeout", "statefile_watchdog_timeout_ms", 45),
    ("BootJoinTimeout", "boot_join_timeout_ms", 90),
    ("EnableJoinTimeout", "enable_join_timeout_ms", 90),
    ("XapiHealthCheckInterval", "xapi_check_interval_ms", 60),
    ("XapiHealthCheckTimeout", "xapi_check_timeout_ms", 10),
    ("XapiRestartAttempts", "xapi_restart_attempts", 1),
    ("XapiRestartTimeout", "xapi_restart_timeout_ms", 30),
    ("XapiLicenseCheckTimeout", "xapi_license_timeout_ms", 30),
)

#: (shorter, longer, why the first must be less than the second).
_SHORTER = (
    ("HeartbeatInterval", "HeartbeatTimeout",
     "else every peer would seem silent between two heartbeats"),
    ("StateFileInterval", "StateFileTimeout",
     "else every peer would seem to have stopped between two of its writes"),
    ("HeartbeatInterval", "HeartbeatWatchdogTimeout",
     "else this host would be reset between two heartbeats"),
    ("StateFileInterval", "StateFileWatchdogTimeout",
     "else this host would be reset between two of its writes"),
)


def published(common: Common) -> Configuration:
    """What a host says of its configuration to the others, with a fingerprint of the whole."""
    digest = keyedhash.digest("\n".join(map(repr, common)).encode("ascii"))
    return Configuration(
        fingerprint=int.from_bytes(digest[:8], "little") or 1,
        times_ms=(common.heartbeat_interval_ms, common.heartbeat_timeout_ms,
                  common.statefile_interval_ms, common.statefile_timeout_ms,
                  common.heartbeat_watchdog_timeout_ms, common.statefile_watchdog_timeout_ms,
                  common.boot_join_timeout_ms, common.enable_join_timeout_ms))


def display_uuid(uuid: str) -> str:
    """A UUID of 32 digits as people write it, with dashes."""
    return "-".join((uuid[:8], uuid[8:12], uuid[12:16], uuid[16:20], uuid[20:]))


def load(path: str) -> Config:
    """Read and check the file at ``path``.

    Raises:
        XhaError: CANNOT_READ_CONFIG when it is missing or unreadable,
            INVALID_CONFIG when anything in it is wrong.
    """
    try:
        with open(path, "rb") as stream:
            data = stream.read(MAX_BYTES + 1)
    except (OSError, ValueError) as error:
        # ValueError: a path that the system cannot even be asked for (NUL, stray surrogate).
        reason = getattr(error, "strerror", None) or str(error)
        raise XhaError(ExitCode.CANNOT_READ_CONFIG, ascii_only(
            "{}: cannot read the configuration: {}".format(path or "(no path)", reason)))
    return parse(data, path)


def parse(data: bytes, path: str = "") -> Config:
    """Check the text of a configuration.

    Args:
        data: the file's bytes, at most ``MAX_BYTES``.
        path: the file's name, for messages.

    Raises:
        XhaError: INVALID_CONFIG when anything in it is wrong.
    """
    source = Source(path)
    if len(data) > MAX_BYTES:
        raise source.refusal(0, "the file has more than {0} bytes; expected at most {0}".format(
            MAX_BYTES))
    root = plainxml.read(source, data)
    if root.name != "xhad-config":
        raise source.refusal(root.line, "the outermost element is <{}>; expected <xhad-config>"
                             .format(root.name))
    version = root.attributes.pop("version", None)
    if version != "1.0":
        raise source.refusal(root.line, "<xhad-config> has {}; expected version=\"1.0\"".format(
            "no version" if version is None else "version {}".format(ascii(version))))
    parts = children(source, root, single=("common-config", "local-config"))
    common = _common(source, required(source, root, parts, "common-config"))
    local = _local(source, required(source, root, parts, "local-config"), common.hosts)
    return Config(common=common, local=local, warnings=source.warnings())


def _uuid(source: Source, element: Element) -> str:
    text = text_of(source, element)
    digits = text.replace("-", "").lower()
    if not _UUID.match(digits):
        raise unexpected(source, element, text, "a UUID: 32 hexadecimal digits, dashes aside")
    return digits


def _host_uuid(source: Source, element: Element) -> str:
    uuid = _uuid(source, element)
    if uuid == NO_MASTER:
        # The State-File says "no master" with it: a master of this name could not be seen.
        raise unexpected(source, element, display_uuid(uuid), "a UUID other than zeros")
    return uuid


def _number(source: Source, element: Element, low: int, high: int, what: str) -> int:
    text = text_of(source, element)
    if _NUMBER.match(text) and len(text) <= 20 and low <= int(text) <= high:
        return int(text)
    raise unexpected(source, element, text, "{}, {} to {}".format(what, low, high))


def _address(source: Source, element: Element) -> str:
    text = text_of(source, element)
    expected = "a numeric IPv4 or IPv6 address of one host"
    # Versions of ipaddress differ in both of these; a zone is no part of what peers send to.
    if _LEADING_ZERO.search(text) and ":" not in text:
        raise unexpected(source, element, text, expected + ", without leading zeros")
    if "%" in text:
        raise unexpected(source, element, text, expected + ", without a zone")
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        raise unexpected(source, element, text, expected)
    if address.is_multicast or address.is_unspecified or text == "255.255.255.255":
        raise unexpected(source, element, text, expected)
    if address.version == 6 and address.ipv4_mapped is not None:
        raise unexpected(source, element, text, "the IPv4 address itself")
    return str(address)


def _interface(source: Source, element: Element) -> str:
    text = text_of(source, element)
    # Linux takes no other name, and this one also becomes part of a path in /proc.
    if not _INTERFACE.match(text) or len(text) > MAX_INTERFACE_BYTES or (
            set("/:") & set(text)) or text in (".", ".."):
        raise unexpected(source, element, text, "the name of a network interface: 1 to {} "
                         "printable characters without blank, / and :".format(
                             MAX_INTERFACE_BYTES))
    return text


def _statefile(source: Source, element: Element) -> str:
    text = text_of(source, element)
    if not text.startswith("/") or len(text.encode("utf-8")) > MAX_PATH_BYTES:
        raise unexpected(source, element, text, "an absolute path of at most {} bytes".format(
            MAX_PATH_BYTES))
    return text


def _hosts(source: Source, parent: Element) -> Tuple[Host, ...]:
    """The hosts in index order."""
    places = {}  # type: Dict[str, int]
    hosts = []  # type: List[Host]
    for element in parent.children:
        if element.name != "host":
            continue
        if len(hosts) == MAX_HOSTS:
            raise source.refusal(element.line, "<host> number {} found; expected at most {} hosts"
                                 .format(MAX_HOSTS + 1, MAX_HOSTS))
        parts = children(source, element, single=("HostID", "IPaddress"))
        name = required(source, element, parts, "HostID")
        place = required(source, element, parts, "IPaddress")
        host = Host(uuid=_host_uuid(source, name), address=_address(source, place))
        for leaf, value in ((name, host.uuid), (place, host.address)):
            if value in places:
                raise unexpected(source, leaf, leaf.text(), "a value of its own for each host; "
                                 "line {} has the same".format(places[value]))
            places[value] = leaf.line
        if hosts and (":" in host.address) != (":" in hosts[0].address):
            raise unexpected(source, place, host.address, "an address of the same family as {}"
                             .format(hosts[0].address))
        hosts.append(host)
    if not hosts:
        raise source.refusal(parent.line, "<host> is missing; expected 1 to {} in <{}>".format(
            MAX_HOSTS, parent.name))
    return tuple(sorted(hosts, key=lambda host: host.uuid))


def _common(source: Source, element: Element) -> Common:
    parts = children(source, element, many="host",
                      single=("GenerationUUID", "UDPport", "parameters"))
    return Common(
        generation_uuid=_uuid(source, required(source, element, parts, "GenerationUUID")),
        udp_port=_number(source, required(source, element, parts, "UDPport"), 1, 65535,
                         "a port number"),
        hosts=_hosts(source, element),
        **_parameters(source, parts.get("parameters")))


def _local(source: Source, element: Element, hosts: Tuple[Host, ...]) -> Local:
    parts = children(source, element, single=("localhost",))
    element = required(source, element, parts, "localhost")
    parts = children(source, element, single=(
        "HostID", "HeartbeatInterface", "HeartbeatPhysicalInterface", "StateFile",
        "WatchdogMode", "FenceCommand", "CertainDeath"))
    name = required(source, element, parts, "HostID")
    uuid = _uuid(source, name)
    known = [host.uuid for host in hosts]
    if uuid not in known:
        raise unexpected(source, name, name.text(), "the HostID of one of the {} hosts of "
                         "<common-config>".format(len(hosts)))
    bond = parts.get("HeartbeatPhysicalInterface")
    command = parts.get("FenceCommand")
    return Local(
        host_uuid=uuid,
        index=known.index(uuid),
        interface=_interface(source, required(source, element, parts, "HeartbeatInterface")),
        physical_interface=_interface(source, bond) if bond is not None and bond.text() else "",
        statefile=_statefile(source, required(source, element, parts, "StateFile")),
        watchdog_mode=_watchdog_mode(source, parts.get("WatchdogMode")),
        fence_command=text_of(source, command) if command is not None else "")


def _watchdog_mode(source: Source, element: Optional[Element]) -> WatchdogMode:
    if element is None:
        return WatchdogMode.HYPERVISOR
    modes = {mode.name: mode for mode in (
        WatchdogMode.HYPERVISOR, WatchdogMode.USER, WatchdogMode.NONE)}
    text = text_of(source, element)
    if text not in modes:
        raise unexpected(source, element, text, "HYPERVISOR, USER or NONE")
    return modes[text]


def _parameters(source: Source, element: Optional[Element]) -> Dict[str, int]:
    """All parameters by their field of ``Common``, defaults filled in, relations checked."""
    parts = {}  # type: Dict[str, Element]
    if element is not None:
        parts = children(source, element, single=tuple(row[0] for row in PARAMETERS))
    seconds = {}  # type: Dict[str, int]
    fields = {}  # type: Dict[str, int]
    for name, field, default in PARAMETERS:
        counts = name == "XapiRestartAttempts"
        seconds[name] = default
        if name in parts:
            seconds[name] = _number(
                source, parts[name], 0 if counts else 1, MAX_SECONDS,
                "a whole number" if counts else "whole seconds")
        fields[field] = seconds[name] * (1 if counts else 1000)
    _check_relations(source, element, parts, seconds)
    return fields


def _check_relations(source: Source, element: Optional[Element],
                     parts: Dict[str, Element], seconds: Dict[str, int]) -> None:
    def shown(name: str) -> str:
        return "<{}> is {} s{}".format(name, seconds[name], "" if name in parts else " by default")

    def line(*names: str) -> int:
        known = [parts[name].line for name in names if name in parts]
        return max(known) if known else element.line if element is not None else 0

    for shorter, longer, why in _SHORTER:
        if not seconds[shorter] < seconds[longer]:
            raise source.refusal(line(shorter, longer), "{} and {}; expected the first to be "
                                 "less than the second, {}".format(
                                     shown(shorter), shown(longer), why))
    # The time that survivors wait before they drop a host (spec 5, fault handler, step 4).
    names = ("HeartbeatWatchdogTimeout", "StateFileWatchdogTimeout", "HeartbeatTimeout",
             "StateFileTimeout", "HeartbeatInterval", "StateFileInterval")
    wh, ws, t1, t2, i1, i2 = (seconds[name] for name in names)
    wait = max(wh, ws) - min(t1, t2) + max(i1, i2)
    if wait <= 0:
        raise source.refusal(line(*names), "{}; expected the larger watchdog timeout, less the "
                             "smaller timeout, plus the larger interval, to be above 0: it is {}"
                             .format(", ".join(shown(name) for name in names), wait))
