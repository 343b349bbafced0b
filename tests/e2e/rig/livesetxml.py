"""ha_query_liveset's XML as xapi reads it: strictly, by two xapis of different age.

Theory of operation
===================

xapi trusts the daemon: its parser knows which elements there are, and what it
does not find, or finds and cannot read, is an exception in the thread that
watches the liveset.  HA of that host then stands still.  So what these two
parsers refuse must never be printed.  Both know the same table ``BLOCKS`` and
need every element of a block, flags as TRUE or FALSE and nothing else, times
as whole numbers; they differ in what may be missing or more:

=====================  ==============================  ===========================
                       older                           newer
=====================  ==============================  ===========================
in <localhost>         HostID and nothing else         HostID; more is passed over
a block is missing     refused                         not known, ``None``
an unknown block       refused                         passed over
order of elements      that of spec 6                  any
=====================  ==============================  ===========================

Of a host that is starting both read the status and who it is; the older one
refuses anything that follows.  Both hold two truths that every reader relies
on: indexes count up from 0, and the local host is one of the hosts.
Source: spec 6, "ha_query_liveset".
"""

import re
from typing import Any, Callable, Dict, List, NamedTuple, Optional, Tuple
from xml.etree import ElementTree


class Unreadable(Exception):
    """xapi's parser would have broken; the text says on what."""


def flag(text: str) -> bool:
    """TRUE or FALSE."""
    if text not in ("TRUE", "FALSE"):
        raise Unreadable("{!r} is neither TRUE nor FALSE".format(text))
    return text == "TRUE"


def number(text: str) -> int:
    """A whole number, -1 for none."""
    if not re.match(r"(-1|[0-9]+)\Z", text):
        raise Unreadable("{!r} is no whole number".format(text))
    return int(text)


def uuid(text: str) -> str:
    """A UUID with dashes."""
    if not re.match(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}\Z", text):
        raise Unreadable("{!r} is no UUID".format(text))
    return text


def uuids(text: str) -> Tuple[str, ...]:
    """UUIDs, one a line."""
    return tuple(uuid(line.strip()) for line in text.split("\n") if line.strip())


Fields = Tuple[Tuple[str, Callable[[str], Any]], ...]


def _latencies(*names: str) -> Fields:
    return tuple((name + end, number) for name in names for end in ("", "_max", "_min"))


#: The blocks after <localhost>, in their order, and the elements of each in theirs.
BLOCKS = {
    "host": (
        ("HostID", uuid), ("HostIndex", number), ("liveness", flag), ("master", flag),
        ("statefile_access", flag), ("statefile_corrupted", flag), ("excluded", flag)),
    "raw_status_on_local_host": _latencies(
        "statefile_latency", "heartbeat_latency", "Xapi_healthcheck_latency"),
    "timeout": tuple((name, number) for name in ("T1", "T2", "T3", "Wh", "Ws")),
    "warning_on_local_host": tuple((name, flag) for name in (
        "statefile_lost", "heartbeat_approaching_timeout", "statefile_approaching_timeout",
        "Xapi_healthcheck_approaching_timeout", "network_bonding_error")),
}  # type: Dict[str, Fields]

#: A block within raw_status_on_local_host, one for each host, after its other elements.
RAW = "host_raw_data"
RAW_FIELDS = (
    ("HostID", uuid), ("HostIndex", number), ("time_since_last_update_on_statefile", number),
    ("time_since_last_heartbeat", number), ("time_since_xapi_restart_first_attempted", number),
    ("xapi_error_string", str),
    ("heartbeat_active_list_on_heartbeat", uuids), ("heartbeat_active_list_on_statefile", uuids),
    ("statefile_active_list_on_heartbeat", uuids), ("statefile_active_list_on_statefile", uuids),
)  # type: Fields

Block = Dict[str, Any]


class Liveset(NamedTuple):
    """What xapi knows after a query."""

    # "Online" or "Starting".
    status: str
    local: str
    # The blocks; None for one that is not there.
    hosts: Tuple[Block, ...] = ()
    raw: Optional[Block] = None
    raw_hosts: Tuple[Block, ...] = ()
    timeouts: Optional[Block] = None
    warnings: Optional[Block] = None

    def having(self, name: str) -> Tuple[int, ...]:
        """The indexes of the hosts of which the flag ``name`` is TRUE."""
        return tuple(host["HostIndex"] for host in self.hosts if host[name])


def older(text: str) -> Liveset:
    """Read it as the xapis before the newer blocks do."""
    return _Reader(exact=True).read(text)


def newer(text: str) -> Liveset:
    """Read it as later xapis do."""
    return _Reader(exact=False).read(text)


def both(text: str) -> Liveset:
    """Read it by both, who must understand the same."""
    first, second = older(text), newer(text)
    if first != second:
        raise Unreadable("xapis differ: {} and {}".format(first, second))
    return first


class _Reader:
    """A parser; ``exact`` makes it the older one."""

    def __init__(self, exact: bool) -> None:
        self._exact = exact

    def read(self, text: str) -> Liveset:
        """The whole document; Unreadable."""
        try:
            root = ElementTree.fromstring(text.encode("ascii"))
        except (ElementTree.ParseError, UnicodeEncodeError) as error:
            raise Unreadable("no XML: {}".format(error))
        if root.tag != "ha_liveset_info":
            raise Unreadable("the document is <{}>".format(root.tag))
        status = _leaf(self._only(root, "status"))
        if status not in ("Online", "Starting"):
            raise Unreadable("status {!r}".format(status))
        local = self._block(self._only(root, "localhost"), (("HostID", uuid),))["HostID"]
        starting = status == "Starting"
        self._check_order([child.tag for child in root], ["status", "localhost"] + (
            [] if starting else list(BLOCKS)))
        if starting:
            return Liveset(status=status, local=local)
        hosts = self._all(root, "host", BLOCKS["host"])
        if [host["HostIndex"] for host in hosts] != list(range(len(hosts))):
            raise Unreadable("indexes {}".format([host["HostIndex"] for host in hosts]))
        if local not in [host["HostID"] for host in hosts]:
            raise Unreadable("the local host is none of the hosts")
        return self._rest(root, Liveset(status=status, local=local, hosts=hosts))

    def _rest(self, root: ElementTree.Element, known: Liveset) -> Liveset:
        """Add the blocks about the local host."""
        found = {name: self._at_most_one(root, name) for name in list(BLOCKS)[1:]}
        raw = found["raw_status_on_local_host"]
        raw_hosts = () if raw is None else self._all(raw, RAW, RAW_FIELDS)
        if raw is not None and [host["HostID"] for host in raw_hosts] != [
                host["HostID"] for host in known.hosts]:
            raise Unreadable("<{}> is about other hosts".format(RAW))
        values = {name: None if element is None else self._block(element, BLOCKS[name])
                  for name, element in found.items()}
        return known._replace(
            raw=values["raw_status_on_local_host"], raw_hosts=raw_hosts,
            timeouts=values["timeout"], warnings=values["warning_on_local_host"])

    def _check_order(self, tags: List[str], known: List[str]) -> None:
        """The older one needs every block, in order, and nothing else."""
        once = [tag for place, tag in enumerate(tags) if tags[place - 1:place] != [tag]]
        if self._exact and once != known:
            raise Unreadable("elements {}, expected {}".format(once, known))

    def _all(self, parent: ElementTree.Element, name: str, fields: Fields) -> Tuple[Block, ...]:
        found = tuple(self._block(element, fields) for element in parent.findall(name))
        if not found:
            raise Unreadable("no <{}>".format(name))
        return found

    @staticmethod
    def _at_most_one(parent: ElementTree.Element, name: str) -> Optional[ElementTree.Element]:
        found = parent.findall(name)
        if len(found) > 1:
            raise Unreadable("<{}> {} times".format(name, len(found)))
        return found[0] if found else None

    def _only(self, parent: ElementTree.Element, name: str) -> ElementTree.Element:
        found = self._at_most_one(parent, name)
        if found is None:
            raise Unreadable("no <{}>".format(name))
        return found

    def _block(self, element: ElementTree.Element, fields: Fields) -> Block:
        """The values of a block's elements, every one of which must be there once."""
        names = [name for name, _ in fields]
        tags = [child.tag for child in element if child.tag != RAW]
        if self._exact and tags != names:
            raise Unreadable("<{}> holds {}, expected {}".format(element.tag, tags, names))
        return {name: read(_leaf(self._only(element, name))) for name, read in fields}


def _leaf(element: ElementTree.Element) -> str:
    """The text of an element that holds nothing else."""
    if len(element):
        raise Unreadable("<{}> holds elements".format(element.tag))
    return (element.text or "").strip()
