"""The log, where there is no flight recorder: lines of xha.log back to the lives of daemons.

Theory of operation
===================

Each line of the log ends in its fields, so a message can be had back from it:

    2026-11-27T14:58:56.659Z notice  Liveset updated (110). [liveset-changed] liveset=110

What a recorder has and a log has not: measurements, changes of state (those that messages tell
of are inferred), the boot, and, of a host that was reset, the last seconds, for nobody syncs a
log.  So a life from the log counts only where no recorder covers that time.

A new life begins where a message comes again that a daemon says once, or after one that is a
daemon's last.  Pure.  Source: spec 9.
"""

import calendar
import re
from typing import Any, Dict, List, Optional, Sequence, Tuple

from xha.recorderformat import Entry, Header, Recording

_LINE = re.compile(
    r"(\d{4})-(\d\d)-(\d\d)T(\d\d):(\d\d):(\d\d)\.(\d{3})Z (err|warning|notice|info|debug) +.*?"
    r"\[([a-z0-9]+(?:-[a-z0-9]+)*)\]((?: [a-z][a-z0-9_]*=(?:\"(?:[^\"\\]|\\.)*\"|[^ ]*))*)\s*\Z")
_FIELD = re.compile(r" ([a-z][a-z0-9_]*)=(\"(?:[^\"\\]|\\.)*\"|[^ ]*)")
#: Fields that are numbers; digits of others are pictures of hosts.
_NUMBERS = ("host", "hosts", "ms", "left_ms", "limit_ms", "count", "pid", "incarnation", "code",
            "attempt", "attempts", "times", "most")
#: What a daemon says once, at its beginning, and what is its last.
_FIRST = ("daemon-started", "watchdogs-opened", "watchdog-mode-none", "watchdog-mode-user")
_LAST = ("terminated", "self-fencing", "start-aborted", "thread-died")
#: What may be said after that all the same.
_STILL = ("terminated", "watchdogs-closed", "watchdog-fence-none", "log-repeated", "traceback")
#: The changes of state that messages tell of: name, state, field or constant.
_STATES = {
    "fencing-armed": ("fencing", "", "ARMED"), "fencing-disarmed": ("fencing", "", "DISARMED"),
    "hb-domain-changed": ("heartbeat_domain", "liveset", ""),
    "sf-domain-changed": ("statefile_domain", "liveset", ""),
    "liveset-changed": ("liveset", "liveset", "")}

#: Lines that are looked at, the last ones.
LINES_MAX = 200000


def is_log(text: str) -> bool:
    """Whether a text has a line of our log."""
    return any(_LINE.match(line) for line in text.splitlines()[-1000:])


def lives(text: str, host: int = -1) -> Tuple[Recording, ...]:
    """The lives that a log tells of; those of which the host is not known are left out.

    Args:
        host: whose log it is; -1: it says so itself, where daemons started.
    """
    found = []  # type: List[List[Entry]]
    ended, names = True, []  # type: bool, List[str]
    for line in text.splitlines()[-LINES_MAX:]:
        entry = _entry_of(line)
        if entry is None:
            continue
        if (ended and entry.name not in _STILL) or (entry.name in _FIRST and entry.name in names):
            found.append([])
            ended, names = False, []
        if found:
            ended = ended or entry.name in _LAST
            names.append(entry.name)
            found[-1].append(entry)
    made = [_recording(entries, host) for entries in found]
    return tuple(life for life in made if life.header.host >= 0)


def _entry_of(line: str) -> Optional[Entry]:
    found = _LINE.match(line)
    if not found:
        return None
    moment = tuple(int(digits) for digits in found.groups()[:6])
    if not (1970 <= moment[0] and 1 <= moment[1] <= 12 and 1 <= moment[2] <= 31):
        return None
    at_ms = calendar.timegm(moment + (0, 0, 0)) * 1000 + int(found.group(7))
    fields = {name: _value(name, text) for name, text in _FIELD.findall(found.group(10))}
    return Entry(kind="event", wall_ms=at_ms, mono_ms=at_ms, incarnation=0, name=found.group(9),
                 level=found.group(8), fields=tuple(sorted(fields.items())))


def _value(name: str, text: str) -> Any:
    if text.startswith('"'):
        text = re.sub(r"\\(.)", r"\1", text[1:-1])
    if name in _NUMBERS and re.match(r"[0-9]{1,15}\Z", text):
        return int(text)
    return text


def _recording(entries: Sequence[Entry], host: int) -> Recording:
    begun = {}  # type: Dict[str, Any]
    whole = []  # type: List[Entry]
    for entry in entries:
        fields = dict(entry.fields)
        if entry.name == "daemon-started":
            begun = fields
        if entry.name in _STATES:
            name, field, value = _STATES[entry.name]
            whole.append(entry._replace(kind="state", name="", level="", fields=(
                (name, str(fields.get(field, "")) if field else value),)))
        whole.append(entry)
    said = begun.get("host", host)
    index = said if isinstance(said, int) and 0 <= said < 64 else host
    count = begun.get("hosts", 0)
    return Recording(entries=tuple(whole), damaged=0, header=Header(
        boot_id="", host=index if host < 0 else host, uuid="", machine="",
        addresses=("",) * (count if isinstance(count, int) and 0 <= count <= 64 else 0),
        software="xha " + str(begun.get("version", "")),
        pid=begun["pid"] if isinstance(begun.get("pid"), int) else 0,
        wall_ms=entries[0].wall_ms, mono_ms=entries[0].mono_ms, online=False,
        event_slots=16, measure_slots=16))
