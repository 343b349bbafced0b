"""``status`` of a host without a daemon that answers: what its files say, and no more.

Pure.  Three sources, each of which may fail: the configuration, one reading of
the State-File, the record of watchdog timers.  One reading cannot tell who is
alive: a record tells what its host thought when it wrote it.  So nothing here is
called live, and beside each record stands how long ago it was written, by the
clock of the host that wrote it (xhad's records do not say).
"""

import calendar
import textwrap
import time
from typing import Any, Dict, List, NamedTuple, Optional, Sequence, Tuple

from xha import concerns, statuspicture, statustable
from xha.concerns import Concern
from xha.config import Config, display_uuid
from xha.hostset import HostSet
from xha.picture import Line
from xha.records import record
from xha.report import printable
from xha.statuspicture import Screen
from xha.statustable import Column

#: A daemon writes at least every StateFileInterval; a clock may differ by some more, s.
_LATELY_S = 60


@record
class Down(NamedTuple):
    """What is known without a daemon's answer."""

    # Why there is none, in a line; and whether a daemon is there all the same.
    why: str
    silent: bool
    # The process that is the daemon, as far as is known; else 0.
    pid: int
    # None: it cannot be had, for that reason.
    settings: Optional[Config]
    settings_error: str
    # ``sfdump.describe`` of a reading; None: it cannot be had, for that reason.
    found: Optional[Dict[str, Any]]
    statefile_error: str
    # What the last daemon's timers are about to do, in a line; "" for nothing.
    timers: str
    # This host's clock, seconds since the epoch.
    at_wall_s: int


def concerns_of(down: Down) -> List[Concern]:
    """What must be known, the gravest first."""
    found = [_daemon(down)]
    if down.timers:
        found.append(concerns.critical("timers-run", printable(down.timers)))
    if down.settings is None:
        found.append(concerns.warning("configuration-unavailable", "There is no configuration to "
                                      "go by: {}".format(_sentence(down.settings_error))))
    elif down.found is None:
        found.append(concerns.critical("statefile-unavailable", "The State-File cannot be read: "
                                       "{}".format(_sentence(down.statefile_error))))
    if down.found is not None:
        found += _statefile(down, down.found)
    return concerns.by_gravity(found)


def draw(down: Down, found: Sequence[Concern], screen: Screen) -> List[Line]:
    """The whole screen; no line longer than its width, and no more than its height."""
    lines = _head(down, screen.width) + [[]] + statuspicture.told(found, screen.width)
    table = _table(down, screen.width)
    if table:
        source = ("As their records say, which tells nothing of who is alive now:" if down.found
                  else "As the configuration says:")
        told = textwrap.wrap(source, max(20, screen.width - 1))     # type: List[str]
        lines += [[]] + [[("dim", " " + line)] for line in told] + table
    return statuspicture.fitted(lines, screen)


def _daemon(down: Down) -> Concern:
    if down.silent:
        return concerns.critical("daemon-silent", "The daemon of this host{} does not answer: {}"
                                 .format(" (process {})".format(down.pid) if down.pid else "",
                                         _sentence(down.why)))
    text = "No daemon runs on this host: it takes no part in its pool"
    state = (down.found or {}).get("global", {}).get("pool_state", "")
    if state == "active" and not (_local(down) or {}).get("excluded"):
        return concerns.critical("no-daemon", text + ", though HA is on and the host is not "
                                 "excluded.")
    return concerns.warning("no-daemon", text + ".")


def _sentence(text: str) -> str:
    return printable(text).rstrip(".") + "."


def _local(down: Down) -> Optional[Dict[str, Any]]:
    """This host's own record."""
    if down.settings is None or down.found is None:
        return None
    return next((host for host in down.found["hosts"]
                 if host["index"] == down.settings.local.index), None)


def _statefile(down: Down, found: Dict[str, Any]) -> List[Concern]:
    told = []
    pool = found["global"]
    if "error" in pool:
        told.append(concerns.warning("global-record-corrupt", "The global record of the State-File"
                                     " is {}: {}".format(pool["state"], _sentence(pool["error"]))))
    elif down.settings is not None and pool["generation_uuid"] != display_uuid(
            down.settings.common.generation_uuid):
        told.append(concerns.warning("generation-differs", "The State-File is of generation {}, "
                                     "not the configuration's.".format(pool["generation_uuid"])))
    if pool.get("pool_state") == "invalid":
        told.append(concerns.notice("ha-off", "The pool state is invalid: HA has been "
                                    "switched off."))
    bad = [host["index"] for host in found["hosts"] if "error" in host]
    if bad:
        told.append(concerns.warning("records-corrupt", "{}: the State-File record cannot be "
                                     "used.".format(concerns.named(bad))))
    for host in found["hosts"]:
        seal = host.get("seal") or {}
        words = seal.get("last_words")
        if words and words["incarnation"] == seal["incarnation"]:
            told.append(concerns.notice("last-words", "Last words of host {}, {}: {} [{}]".format(
                host["index"], words["at"] or "at an unknown time", printable(words["text"]),
                printable(words["code"]))))
    return told


def _head(down: Down, width: int) -> List[Line]:
    here = [("red bold", "daemon does not answer" if down.silent else "no daemon")]
    settings = down.settings
    if settings is not None:
        local = settings.local
        here = [("bold", "host {}".format(local.index)),
                ("", settings.common.hosts[local.index].address)] + here + [
                    ("dim", "watchdog {}".format(local.watchdog_mode.name))]
    lines = statuspicture.labelled("This host", here, width)
    if down.found is not None:
        lines += statuspicture.labelled("Pool", _pool(down, down.found["global"]), width)
        lines += statuspicture.labelled(
            "State-File", [("", printable(str(down.found["path"])))], width)
    elif settings is not None:
        lines += statuspicture.labelled("Pool", [
            ("", "{} hosts configured".format(len(settings.common.hosts))),
            ("dim", "generation " + display_uuid(settings.common.generation_uuid))], width)
    return lines


def _pool(down: Down, pool: Dict[str, Any]) -> List[Tuple[str, str]]:
    if "error" in pool:
        return [("red", "the global record is {}".format(pool["state"]))]
    master = "none"
    if pool["master"]:
        hosts = down.settings.common.hosts if down.settings else ()
        known = [str(index) for index, host in enumerate(hosts)
                 if display_uuid(host.uuid) == pool["master"]]
        master = "host " + known[0] if known else str(pool["master"])
    return [("bold", str(pool["pool_state"])), ("", "master " + master),
            ("", "{} hosts".format(pool["host_count"]))]


_COLUMNS = (
    Column(title="host", short="host", goes=0), Column(title="address", short="address", goes=3),
    Column(title="record", short="record", goes=2),
    Column(title="excluded", short="excl", goes=0), Column(title="phase", short="phase", goes=0),
    Column(title="fencing", short="fencing", goes=1), Column(title="weight", short="wt", goes=5),
    Column(title="liveset", short="liveset", goes=4), Column(title="written", short="written",
                                                             goes=0))


def _table(down: Down, width: int) -> List[Line]:
    """A row for each host that is configured or has a record."""
    hosts = down.settings.common.hosts if down.settings else ()
    records = {host["index"]: host for host in (down.found or {"hosts": ()})["hosts"]}
    count = max([len(hosts)] + [index + 1 for index in records])
    rows = [_cells(down, index, hosts[index].address if index < len(hosts) else "-",
                   records.get(index), count) for index in range(count)]
    columns = _COLUMNS  # type: Sequence[Column]
    if down.found is None:
        rows, columns = [row[:2] for row in rows], columns[:2]
    return statustable.fitting(columns, rows, range(count), width) if rows else []


def _cells(down: Down, index: int, address: str, told: Optional[Dict[str, Any]], count: int
           ) -> List[Line]:
    me = down.settings is not None and down.settings.local.index == index
    first = [[("bold", "{}{}".format(index, " me" if me else ""))], [("", address)]]
    nothing = [("dim", "-")]  # type: Line
    if told is None:
        return first + [nothing] * (len(_COLUMNS) - 2)
    if "error" in told:
        return first + [[("red", str(told["state"]))]] + [nothing] * (len(_COLUMNS) - 3)
    seal = told["seal"] or {}
    written = _moment_s(seal.get("written_at"))
    age_s = down.at_wall_s - written
    blank = told["host_uuid"] is None and not told["sequence"]
    return first + [
        [("dim", "blank") if blank else ("", str(told["state"]))],
        [("yellow", "yes") if told["excluded"] else ("dim", "-")],
        nothing if blank else [("", str(told["phase"]).lower())],
        [("", str(seal.get("fencing", "-")))], [("", str(told["weight"]))],
        nothing if blank else [("", statuspicture.group(
            HostSet(told["current_liveset"]), count))],
        [("dim", "-" if blank else "unknown")] if not written
        else [("green" if abs(age_s) < _LATELY_S else "dim", ago(age_s))]]


def ago(age_s: int) -> str:
    """How long ago, in the largest unit that says it."""
    if age_s < 0:
        return "{} s ahead of us".format(-age_s)
    for size_s, unit in ((86400, "d"), (3600, "h"), (60, "min")):
        if age_s >= 2 * size_s:
            return "{} {} ago".format(age_s // size_s, unit)
    return "{} s ago".format(age_s)


def _moment_s(text: Optional[str]) -> int:
    """``sfdump``'s text of a wall clock as seconds since the epoch; 0 for None."""
    return 0 if text is None else calendar.timegm(time.strptime(text, "%Y-%m-%dT%H:%M:%SZ"))
