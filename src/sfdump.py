"""What is on a State-File, for people and programs: text, JSON, differences.

Values in, text out; whoever calls has read the sections.  Nothing is left out
but the pool key, of which a fingerprint is shown (the first 16 hex digits of
its SHA-256): dumps are mailed around, and whoever has the key can forge
heartbeats.

The JSON
--------
``version`` 1; ``path``; ``bytes``; ``global``; ``hosts``, one for each section
that is shown, in order.  Of each section ``state`` is one of ``sealed``,
``unsealed``, ``rewritten`` (by xhad, over a seal), ``corrupt``, ``version``,
``unreadable``; of the last three ``error`` says more and nothing else follows.

global: ``checksum``, ``generation_uuid``, ``pool_state``, ``master`` (null:
none), ``host_count``, ``pool_key_fingerprint``, ``pool_key_changes``,
``pool_key_stage``, ``other_key_fingerprint``, ``pool_key_mark`` (``judgekey``), ``origin``
(null, or ``initialised_by``, ``initialised_at``, ``software``).

hosts: ``index`` of the section, ``checksum``, ``sequence``, ``host_index``,
``host_uuid`` (null: only initialised), ``excluded``, ``starting``, ``phase``,
``weight``, the sets ``current_liveset``, ``proposed_liveset``,
``heartbeat_domain``, ``statefile_domain``, ``lock_grants`` as lists of host
indexes, ``lock_request``, ``since_heartbeat_ms`` and ``since_statefile_ms`` (64
ages, -1 never), ``since_xapi_restart_ms``, and ``seal`` (null, or
``incarnation``, ``software``, ``written_at``, ``fencing``, ``watchdog_mode``,
``sr2``, ``holding``, ``incarnations_seen``, ``pool_key_mark``, ``last_words``: null, or ``code``,
``text``, ``at``, ``incarnation``, ``liveset``, ``heartbeat_domain``,
``statefile_domain``; ``configuration``: null, or ``fingerprint`` and
``times_ms``: ``t1``, ``T1``, ``t2``, ``T2``, ``Wh``, ``Ws``, ``Tboot`` and ``Tenable``).

Times are UTC, ISO 8601.  UUIDs have dashes.  Source: spec 9, dump-statefile.
"""

import json
import time
from typing import Any, Dict, Iterator, List, NamedTuple, Optional, Tuple, Union

from xha import judgekey, sfformat
from xha.config import Config, display_uuid
from xha.hostset import MAX_HOSTS, HostSet
from xha.published import (
    NO_MASTER, PUBLISHED_TIMES, Fault, GlobalRecord, HostRecord, LastWords, Section)
from xha.records import record
from xha.sealformat import AGES, SealState

JSON_VERSION = 1

_STATES = {SealState.INTACT: "sealed", SealState.ABSENT: "unsealed",
           SealState.STALE: "rewritten"}
_RULE = "---------------------------\n"


@record
class Image(NamedTuple):
    """A State-File as it was read."""

    path: str
    size_bytes: int
    # 65: each 4096 bytes, or why they could not be read.
    sections: Tuple[Union[bytes, str], ...]


def describe(image: Image, config: Optional[Config] = None) -> Dict[str, Any]:
    """All there is, as the JSON documents it."""
    described = _describe_global(image.sections[0])
    sections = [_describe_host(index, section)
                for index, section in enumerate(image.sections[1:])]
    count = _count(described, sections, config)
    # Whatever lies beyond the configured hosts is nobody's, and worth a look.
    hosts = [host for host in sections if host["index"] < count or host.get("host_uuid")]
    return {"version": JSON_VERSION, "path": image.path, "bytes": image.size_bytes,
            "global": described, "hosts": hosts}


def as_json(image: Image, config: Optional[Config] = None) -> str:
    """The JSON of the module's docstring, ending in a line end."""
    return json.dumps(describe(image, config), indent=1, sort_keys=True) + "\n"


def as_text(image: Image, config: Optional[Config] = None) -> str:
    """Every field for people, ending in a line end; plain ASCII."""
    found = describe(image, config)
    lines = ["State-File {}, {} bytes".format(_printable(image.path), image.size_bytes), ""]
    lines += _text_global(found["global"], config)
    width = 1 + max([host["index"] for host in found["hosts"]] or [0])
    told = {"error": ""}
    for host in found["hosts"]:
        alike = host.get("error") and host["error"] == told.get("error")
        # A blank disk is one sentence, not sixty-four.
        lines += ["host {}: the same".format(host["index"])] if alike else [""] + _text_host(
            host, width, config)
        told = host
    return "\n".join(lines) + "\n"


def as_original(image: Image) -> str:
    """The dump as the original's ``dumpstatefile`` prints it.

    It shows raw numbers of good and bad records alike, of as many hosts as the global record
    says there are.
    """
    data = image.sections[0]
    if isinstance(data, str):
        return "  global: {}\n".format(data) + _RULE
    fields = sfformat.GLOBAL_BASE.unpack_from(data)
    (signature, inverted, checksum, version, global_bytes, host_bytes, most_hosts, generation,
     pool_state, master, host_count, _) = fields
    lines = ["  global." + line + "\n" for line in (
        "sig = 0x{:x}({})".format(signature, _raw(data[:4])),
        "sig_inv = 0x{:x}".format(inverted), "checksum = 0x{:x}".format(checksum),
        "version = {}".format(version), "length_global = {}".format(global_bytes),
        "length_host_specfic = {}".format(host_bytes), "max_hosts = {}".format(most_hosts),
        "gen_uuid = {}".format(_raw(generation)), "pool_state = {}".format(pool_state),
        "master = {}".format(_raw(master)), "config_hosts = {}".format(host_count))]
    lines.append(_RULE)
    for index, section in enumerate(image.sections[1:1 + min(host_count, MAX_HOSTS)]):
        lines += _original_host(index, section, min(host_count, MAX_HOSTS))
        lines.append(_RULE)
    return "".join(lines)


def difference(before: Image, after: Image) -> str:
    """What differs, one field a line; "" when nothing does."""
    left, right = describe(before), describe(after)
    lines = _differences("global", left["global"], right["global"])
    hosts = [{host["index"]: host for host in one["hosts"]} for one in (left, right)]
    for index in sorted(set(hosts[0]) | set(hosts[1])):
        lines += _differences("host {}".format(index), hosts[0].get(index, {}),
                              hosts[1].get(index, {}))
    return "".join(line + "\n" for line in lines)


# Description

def _describe_global(section: Union[bytes, str]) -> Dict[str, Any]:
    if isinstance(section, str):
        return {"state": Fault.UNREADABLE.value, "error": section}
    judged = sfformat.section_of_global(section)
    content = judged.content
    if not isinstance(content, GlobalRecord):
        return _describe_bad(judged)
    seal = content.seal
    return dict(judgekey.described(content), **{
        "state": _STATES[sfformat.seal_state(section)], "checksum": _checksum(section),
        "generation_uuid": display_uuid(content.generation_uuid),
        "pool_state": content.pool_state.name.lower(),
        "master": None if content.master == NO_MASTER else display_uuid(content.master),
        "host_count": content.host_count,
        "origin": None if seal is None else {
            "initialised_by": seal.initialised_by, "software": seal.software,
            "initialised_at": _moment(seal.initialised_at_wall_s)}})


def _describe_host(index: int, section: Union[bytes, str]) -> Dict[str, Any]:
    if isinstance(section, str):
        return {"index": index, "state": Fault.UNREADABLE.value, "error": section}
    judged = sfformat.section_of_host(section, index)
    content = judged.content
    if not isinstance(content, HostRecord):
        return dict(_describe_bad(judged), index=index)
    described = {
        "index": index, "state": _STATES[sfformat.seal_state(section)],
        "checksum": _checksum(section), "phase": content.phase.name,
        "host_uuid": display_uuid(content.host_uuid) if content.host_uuid else None,
        "seal": _describe_seal(content)}  # type: Dict[str, Any]
    for name in ("current_liveset", "proposed_liveset", "heartbeat_domain", "statefile_domain",
                 "lock_grants"):
        described[name] = list(getattr(content, name))
    for name in ("since_heartbeat_ms", "since_statefile_ms"):
        described[name] = list(getattr(content, name))
    for name in ("sequence", "host_index", "excluded", "starting", "weight", "lock_request",
                 "since_xapi_restart_ms"):
        described[name] = getattr(content, name)
    return described


def _describe_seal(content: HostRecord) -> Optional[Dict[str, Any]]:
    seal = content.seal
    if seal is None:
        return None
    told = seal.configuration
    return {
        "incarnation": seal.incarnation, "software": seal.software,
        "written_at": _moment(seal.written_at_wall_ms // 1000),
        "fencing": seal.fencing.name.lower(), "watchdog_mode": seal.watchdog_mode.name.lower(),
        "sr2": seal.sr2, "holding": seal.holding,
        "incarnations_seen": list(seal.incarnations_seen),
        "last_words": _describe_words(seal.last_words),
        "pool_key_mark": judgekey.marked(seal.keys),
        "configuration": None if told is None else {
            "fingerprint": "{:016x}".format(told.fingerprint),
            "times_ms": dict(zip(PUBLISHED_TIMES, told.times_ms))}}


def _describe_words(words: Optional[LastWords]) -> Optional[Dict[str, Any]]:
    if words is None:
        return None
    return {
        "code": words.code, "text": words.text, "at": _moment(words.at_wall_s),
        "incarnation": words.incarnation, "liveset": list(words.liveset),
        "heartbeat_domain": list(words.heartbeat_domain),
        "statefile_domain": list(words.statefile_domain)}


def _describe_bad(judged: Section) -> Dict[str, Any]:
    return {"state": judged.fault.value, "error": judged.text}


def _count(described: Dict[str, Any], sections: List[Dict[str, Any]],
           config: Optional[Config]) -> int:
    """How many hosts to show: those configured; if nobody says, up to the last that is more
    than initialised."""
    if config is not None:
        return len(config.common.hosts)
    if "host_count" in described:
        return int(described["host_count"])
    return 1 + max([int(host["index"]) for host in sections
                    if "error" in host or host["host_uuid"]] or [-1])


def _checksum(section: bytes) -> str:
    return "0x{:08x}".format(int.from_bytes(section[8:12], "little"))


def _moment(wall_s: int) -> Optional[str]:
    """A wall clock as text; None for 0, which nobody set, and for what is no time."""
    if not 0 < wall_s < 253402300800:       # The year 10000.
        return None
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(wall_s))


# Text for people

def _text_global(found: Dict[str, Any], config: Optional[Config]) -> List[str]:
    lines = ["global record: " + _state(found)]
    if "error" in found:
        return lines
    master = found["master"]
    origin = found["origin"] or {}
    generation = found["generation_uuid"]
    if config is not None and generation != display_uuid(config.common.generation_uuid):
        generation += "  NOT this configuration's, {}".format(
            display_uuid(config.common.generation_uuid))
    rows = [
        ("pool state", found["pool_state"]), ("generation", generation),
        ("master", master or "none"), ("hosts", found["host_count"]),
        ("pool key", judgekey.in_words(found)),
        ("initialised", "{} by {} with {}".format(
            origin.get("initialised_at") or "?", origin.get("initialised_by") or "?",
            origin.get("software") or "?") if origin else "not by xha, or not known"),
        ("checksum", found["checksum"])]
    return lines + _rows(rows)


def _text_host(found: Dict[str, Any], width: int, config: Optional[Config]) -> List[str]:
    index = found["index"]
    title = "host {}: {}".format(index, _state(found))
    hosts = config.common.hosts if config is not None else ()
    if index < len(hosts):
        title = "host {} ({}): {}".format(index, hosts[index].address, _state(found))
    if "error" in found:
        return [title]
    if found["host_uuid"] is None and not found["sequence"]:
        return [title + ", never written by its host"]
    rows = [
        ("UUID", found["host_uuid"] or "none"), ("sequence", found["sequence"]),
        ("phase", found["phase"]), ("starting", _yes(found["starting"])),
        ("excluded", _yes(found["excluded"])), ("weight", found["weight"]),
        ("liveset", _set(found["current_liveset"], width)),
        ("proposed liveset", _set(found["proposed_liveset"], width)),
        ("heartbeat domain", _set(found["heartbeat_domain"], width)),
        ("State-File domain", _set(found["statefile_domain"], width)),
        ("lock request", _yes(found["lock_request"])),
        ("lock grants", _set(found["lock_grants"], width)),
        ("heartbeats", _ages(found["since_heartbeat_ms"], width)),
        ("advances", _ages(found["since_statefile_ms"], width)),
        ("xapi restart", _age(found["since_xapi_restart_ms"])),
        ("checksum", found["checksum"])]
    return [title] + _rows(rows + _seal_rows(found["seal"], width))


def _seal_rows(seal: Optional[Dict[str, Any]], width: int) -> List[Tuple[str, Any]]:
    if seal is None:
        return []
    rows = [
        ("incarnation", seal["incarnation"]), ("software", seal["software"] or "?"),
        ("written", seal["written_at"] or "?"), ("fencing", seal["fencing"]),
        ("watchdog mode", seal["watchdog_mode"]), ("survival rule 2", _yes(seal["sr2"])),
        ("holds the lock", _yes(seal["holding"])),
        ("pool keys", "mark {}".format(seal["pool_key_mark"] or "none")),
        ("incarnations seen", ", ".join(
            "{}: {}".format(index, number)
            for index, number in enumerate(seal["incarnations_seen"]) if number) or "none")]
    words, told = seal["last_words"], seal["configuration"]
    if told is not None:
        rows.append(("configuration", "{}: {} s".format(told["fingerprint"], ", ".join(
            "{} {:g}".format(name, ms / 1000) for name, ms in told["times_ms"].items()))))
    if words is not None:
        rows += [
            ("last words", "{} [{}]".format(words["text"], words["code"])),
            ("  spoken", "{} by incarnation {}".format(words["at"] or "?", words["incarnation"])),
            ("  liveset", _set(words["liveset"], width)),
            ("  heartbeat domain", _set(words["heartbeat_domain"], width)),
            ("  State-File domain", _set(words["statefile_domain"], width))]
    return rows


def _state(found: Dict[str, Any]) -> str:
    state = found["state"]
    if "error" in found:
        return "{}: {}".format(state.upper(), found["error"])
    return "unsealed (rewritten by xhad)" if state == "rewritten" else str(state)


def _rows(rows: List[Tuple[str, Any]]) -> List[str]:
    return ["  {:<20}{}".format(name, value) for name, value in rows]


def _yes(value: bool) -> str:
    return "yes" if value else "no"


def _set(members: List[int], width: int) -> str:
    """The operator's picture, and whoever is in the set without being shown.

    xhad leaves the grants of hosts that are not configured set: not worth a word.
    """
    return "({})".format(HostSet(members).picture(width))


def _age(age_ms: int) -> str:
    return "never" if age_ms < 0 else "{} ms".format(age_ms)


def _ages(ages_ms: List[int], width: int) -> str:
    return ", ".join("{}: {}".format(index, _age(age_ms))
                     for index, age_ms in enumerate(ages_ms[:width]))


def _printable(text: str) -> str:
    return "".join(letter if " " <= letter <= "~" else "?" for letter in text)


# The original's layout

def _original_host(index: int, section: Union[bytes, str], count: int) -> Iterator[str]:
    prefix = "  host[{:2}]".format(index)
    if isinstance(section, str):
        yield "{}: {}\n".format(prefix, section)
        return
    (signature, inverted, checksum, sequence, host_index, uuid, excluded, starting,
     since_heartbeat, since_statefile, since_restart, current, proposed, heard, seen, request,
     grants, _, _, _) = sfformat.HOST_BASE.unpack_from(section)
    rows = [
        ("sig", "0x{:x}({})".format(signature, _raw(section[:4]))),
        ("sig_inv", "0x{:x}".format(inverted)), ("checksum", "0x{:x}".format(checksum)),
        ("sequence", sequence), ("host_index", host_index), ("host_uuid", _raw(uuid)),
        ("excluded", excluded), ("starting", starting)]
    for name, ages in (("since_last_hb_receipt", since_heartbeat),
                       ("since_last_sf_update", since_statefile)):
        ages_ms = AGES.unpack(ages)
        rows += [("{}[{:2}]".format(name, host), ages_ms[host]) for host in range(count)]
    rows += [(name, "bitmap l->h({})".format(HostSet.of_bits(bits).picture(count)))
             for name, bits in (("current_liveset", current), ("proposed_liveset", proposed),
                                ("hbdomain", heard), ("sfdomain", seen))]
    rows += [
        ("lock_request", request),
        ("lock_grant", "bitmap l->h({})".format(HostSet.of_bits(grants).picture(count))),
        ("since_xapi_restart_first_attempted", since_restart), ("sequence", sequence)]
    for name, value in rows:
        yield "{}.{} = {}\n".format(prefix, name, value)


def _raw(data: bytes) -> str:
    return _printable(data.split(b"\0", 1)[0].decode("latin-1"))


def _differences(name: str, before: Dict[str, Any], after: Dict[str, Any]) -> List[str]:
    lines = []
    for key in sorted(set(before) | set(after)):
        old, new = before.get(key), after.get(key)
        if isinstance(old, dict) and isinstance(new, dict):
            lines += _differences("{} {}".format(name, key), old, new)
        elif old != new:
            lines += _change("{} {}".format(name, key), old, new)
    return lines


def _change(name: str, old: Any, new: Any) -> List[str]:
    if isinstance(old, list) and isinstance(new, list) and len(old) == len(new) == MAX_HOSTS:
        return ["{}[{}]: {} -> {}".format(name, index, old[index], new[index])
                for index in range(MAX_HOSTS) if old[index] != new[index]]
    if isinstance(old, list) and isinstance(new, list):
        come = ["+{}".format(host) for host in new if host not in old]
        gone = ["-{}".format(host) for host in old if host not in new]
        return ["{}: {}".format(name, " ".join(come + gone))]
    return ["{}: {} -> {}".format(name, json.dumps(old), json.dumps(new))]
