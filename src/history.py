"""From the recorders of one host or many to one history, in the order of time.

Theory of operation
===================

A recording is one daemon's life.  A host's lives are put one behind the
other: within one boot of the machine by its monotonic clock, which nobody can
set, and boots by the wall clock, which is all they share.  Hosts are merged by
their wall clocks; a host's own order is never broken, so where its clock was
set back, later lines have earlier times, and a line between them says so.

What no daemon recorded is inferred and has lines of its own: a new life, a new
boot, and how long nothing was recorded before it ("begin"); a wall clock that
moved against the monotonic one by more than ``JUMP_MS`` ("clock").

Nothing here touches anything outside; the texts are those of this program's
catalogue, also for the recording of another version.  Source: spec 9.
"""

import heapq
import time
from typing import Any, Dict, Iterator, List, NamedTuple, Optional, Sequence, Tuple

from xha import catalogue
from xha.actions import Log
from xha.catalogue import Catalogue
from xha.recorderformat import Entry, Header, Recording
from xha.records import record

#: A wall clock that moves more than this against the monotonic one was set, ms; between two
#: records a clock that is disciplined moves far less.
JUMP_MS = 500

#: Later times, ms, are no dates with a year of four digits: a file that was made up.
DATES_END_MS = 253402300800000

#: Fields of a measurement with one number for each host.
_OF_HOSTS = ("heartbeats", "silence_ms_max", "heartbeat_age_ms", "record_age_ms")
_OF_ACCESSES = ("reads", "writes", "repairs")


@record
class Source(NamedTuple):
    """A recorder's file: where it was found and what it holds."""

    path: str
    recording: Recording


@record
class Line(NamedTuple):
    """One line of a history."""

    wall_ms: int
    mono_ms: int
    # How the host is called: its index, with more where that names two.
    host: str
    boot_id: str
    incarnation: int
    # As of ``Entry``; or "begin": a daemon's life; "clock": the wall clock was set.
    kind: str
    # Of an event; else "".
    name: str
    level: str
    # For people: one line of ASCII.
    text: str
    fields: Tuple[Tuple[str, Any], ...]


def history(sources: Sequence[Source], messages: Catalogue,
            measures: bool = False, words: bool = True) -> Tuple[Line, ...]:
    """The lines of these recordings, in the order of time; those given twice count once.

    Args:
        measures: measurements are wanted, too;
        words: and their text, which takes long where hosts are many.
    """
    names = host_names(sources)
    streams = [_lines_of_host(lives, names[_host_of(lives[0])], messages,
                              (measures, words))
               for lives in _hosts(sources)]
    return tuple(heapq.merge(*streams, key=lambda line: line.wall_ms))


def lives(sources: Sequence[Source]) -> List[List[Recording]]:
    """The lives of each host, in the order of time; those given twice count once."""
    return _hosts(sources)


def host_names(sources: Sequence[Source]) -> Dict[Tuple[int, str, str], str]:
    """What each host is called: its index, or more where two have the same."""
    hosts = sorted({_host_of(source.recording.header) for source in sources})
    indexes = [host[0] for host in hosts]
    return {host: str(host[0]) if indexes.count(host[0]) == 1
            else "{} ({})".format(host[0], catalogue.phrase(host[1] or host[2])) for host in hosts}


def name_of(header: Header, names: Dict[Tuple[int, str, str], str]) -> str:
    """What the host of a recording is called."""
    return names[_host_of(header)]


def stamp(wall_ms: int) -> str:
    """A time as it is shown: UTC with ms; in plain ms where that is no date."""
    if not is_date(wall_ms):
        return "{} ms".format(wall_ms)
    return "{}.{:03d}Z".format(time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(wall_ms // 1000)),
                               wall_ms % 1000)


def is_date(wall_ms: int) -> bool:
    """Whether a time is a date with a year of four digits."""
    return 0 <= wall_ms < DATES_END_MS


def _host_of(item: Any) -> Tuple[int, str, str]:
    header = item.header if isinstance(item, Recording) else item
    return header.host, header.uuid, "" if header.uuid else header.machine


def _hosts(sources: Sequence[Source]) -> List[List[Recording]]:
    """The lives of each host, in order."""
    lives = {}  # type: Dict[Tuple[str, int, int], Recording]
    for source in sources:
        header = source.recording.header
        life = (header.boot_id, header.pid, header.mono_ms)
        # Of two copies the later one has more.
        if life not in lives or len(lives[life].entries) < len(source.recording.entries):
            lives[life] = source.recording
    boots = {}  # type: Dict[Tuple[Tuple[int, str, str], str], List[Recording]]
    for life in sorted(lives):
        header = lives[life].header
        boots.setdefault((_host_of(header), header.boot_id), []).append(lives[life])
    found = {}  # type: Dict[Tuple[int, str, str], List[Recording]]
    for host, boot in sorted(boots, key=lambda key: (
            key[0], min(one.header.wall_ms for one in boots[key]), key[1])):
        found.setdefault(host, []).extend(
            sorted(boots[host, boot], key=lambda one: one.header.mono_ms))
    return [found[host] for host in sorted(found)]


def _lines_of_host(lives: Sequence[Recording], host: str, messages: Catalogue,
                   wanted: Tuple[bool, bool]) -> Iterator[Line]:
    """The history of one host; with measurements, and with their text."""
    measures, words = wanted
    before = None  # type: Optional[Header]
    last = None  # type: Optional[Tuple[int, int]]
    for life in lives:
        header = life.header
        base = Line(wall_ms=header.wall_ms, mono_ms=header.mono_ms, host=host,
                    boot_id=header.boot_id, incarnation=0, kind="begin", name="", level="",
                    text="", fields=())
        same_boot = before is not None and before.boot_id == header.boot_id
        if same_boot and last is not None:
            yield from _jump(base, last, (header.wall_ms, header.mono_ms))
        yield base._replace(text=_begin_text(header, before, last),
                            fields=_begin_fields(header, before, last))
        last = (header.wall_ms, header.mono_ms)
        for entry in life.entries:
            at = (entry.wall_ms, entry.mono_ms)
            yield from _jump(base._replace(incarnation=entry.incarnation), last, at)
            last = at
            if measures or entry.kind != "measure":
                yield base._replace(
                    wall_ms=entry.wall_ms, mono_ms=entry.mono_ms, incarnation=entry.incarnation,
                    kind=entry.kind, name=entry.name, level=entry.level, fields=entry.fields,
                    text=text_of(entry, messages, header.addresses)
                    if words or entry.kind != "measure" else "")
        before = header


def _jump(base: Line, last: Tuple[int, int], at: Tuple[int, int]) -> Iterator[Line]:
    """A line about the wall clock, if it moved against the monotonic one since ``last``."""
    moved_ms = (at[0] - at[1]) - (last[0] - last[1])
    if abs(moved_ms) > JUMP_MS:
        yield base._replace(
            wall_ms=at[0], mono_ms=at[1], kind="clock", fields=(("moved_ms", moved_ms),),
            text="the clock of this host moved by {:+.1f} s: it was set, or the machine was "
                 "suspended".format(moved_ms / 1000))


def _begin_text(header: Header, before: Optional[Header],
                last: Optional[Tuple[int, int]]) -> str:
    text = "{} began, process {}".format(catalogue.phrase(header.software) or "a daemon",
                                         header.pid)
    boot = catalogue.phrase(header.boot_id)[:8]
    if before is None or last is None:
        return "{}, boot {}".format(text, boot)
    if before.boot_id == header.boot_id:
        return "{}, same boot; nothing was recorded for {:.1f} s before".format(
            text, (header.mono_ms - last[1]) / 1000)
    return "{}, THE MACHINE WAS BOOTED ANEW (boot {}); nothing was recorded for {:.1f} s " \
           "before".format(text, boot, (header.wall_ms - last[0]) / 1000)


def _begin_fields(header: Header, before: Optional[Header],
                  last: Optional[Tuple[int, int]]) -> Tuple[Tuple[str, Any], ...]:
    """What a line about the beginning of a daemon's life tells programs."""
    found = [("booted_anew", before is not None and before.boot_id != header.boot_id),
             ("heartbeat_timeout_ms", header.heartbeat_timeout_ms),
             ("statefile_timeout_ms", header.statefile_timeout_ms)]  # type: List[Tuple[str, Any]]
    if before is not None and last is not None:
        same = before.boot_id == header.boot_id
        found.append(("unrecorded_ms",
                      header.mono_ms - last[1] if same else header.wall_ms - last[0]))
    return tuple(found)


def text_of(entry: Entry, messages: Catalogue, addresses: Sequence[str] = ()) -> str:
    """An entry for people: one line of ASCII, whatever it holds."""
    fields = dict(entry.fields)
    if entry.kind == "event":
        message = Log(name=entry.name, fields=entry.fields)
        if entry.name in messages:
            return messages.text_of(message, addresses)
        return catalogue.phrase("(a message of another version) " + catalogue.pairs_of(message))
    if entry.kind == "measure":
        return _measure_text(fields)
    if entry.kind == "lost":
        return "{} records before this one were lost: the disk did not take them".format(
            catalogue.phrase(fields.get("count")))
    return ", ".join("{} {}".format(catalogue.phrase(name).replace("_", " "),
                                    catalogue.phrase(value) or "-")
                     for name, value in entry.fields)


def _measure_text(fields: Dict[str, Any]) -> str:
    parts = []
    for name in _OF_ACCESSES:
        row = fields.get(name)
        if isinstance(row, tuple) and len(row) == 3 and row[0]:
            failed = ", {} failed".format(catalogue.phrase(row[2])) if row[2] else ""
            parts.append("{} {} (longest {} ms{})".format(
                catalogue.phrase(row[0]), name, catalogue.phrase(row[1]), failed))
    rows = [fields.get(name) for name in _OF_HOSTS]
    lists = [row for row in rows if isinstance(row, tuple)]
    if len(lists) == len(_OF_HOSTS):
        for host, (heard, silence_ms, heard_ms, record_ms) in enumerate(zip(*lists)):
            parts.append("host {}: {} heartbeats, silent {} at most, last {} ago, record {} ago"
                         .format(host, catalogue.phrase(heard), _ms(silence_ms), _ms(heard_ms),
                                 _ms(record_ms)))
    for name, words in (("reading_age_ms", "State-File read {} ago"),
                        ("turn_ms_max", "longest turn of the daemon {}"),
                        ("heartbeat_timer_ms_max", "heartbeat watchdog used {} at most"),
                        ("statefile_timer_ms_max", "State-File watchdog used {} at most")):
        if name in fields:
            parts.append(words.format(_ms(fields[name])))
    return "In {}: {}".format(_ms(fields.get("span_ms")), "; ".join(parts))


def _ms(value: Any) -> str:
    """A measured time; -1 is "never"."""
    return "-" if value == -1 else catalogue.phrase(value) + " ms"
