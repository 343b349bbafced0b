"""`timeline`: the history that flight recorders hold, as text, JSON or a page with pictures.

Works on the files of this host, whether its daemon runs or not, and on files
copied from anywhere.  A file is read as it is found: a daemon that writes to
it meanwhile costs at most the record that it is writing.  A disk that hangs,
which is one of the things one looks for here, holds a child and not the
command.  Source: spec 9.
"""

import calendar
import errno
import json
import os
import re
import sys
import time
from typing import Any, Dict, List, Optional, Sequence, Tuple

from xha import bounded, catalogue, cli, folding, history, recorderdisk, recorderformat, syslogger
from xha.errors import ExitCode, FormatError, XhaError
from xha.history import Line, Source
from xha.paths import Paths

#: Units of an age, s.
_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400}
#: How long the disk of each FILE may take, s.
BOUND_S = 10.0
_DATES = ("%Y-%m-%dT%H:%M:%S", "%Y-%m-%dT%H:%M", "%Y-%m-%d")


def run(arguments: Dict[str, Any]) -> int:
    """The command; its arguments as docopt reads them.

    Raises:
        XhaError: INVALID_PARAMETER, an option's value, or a file that is no recorder;
            INVALID_ENVIRONMENT, a file may not be read; SYSTEM_ERROR, it cannot be, or there
            is none.
    """
    form = arguments["--format"]
    if form not in ("text", "json"):
        raise XhaError(ExitCode.INVALID_PARAMETER,
                       "--format={}: expected text or json".format(form))
    last = _count_of(arguments["--last"])
    now_ms = int(time.time() * 1000)
    since_ms, until_ms = [
        default if arguments[name] is None else wall_ms_of(arguments[name], now_ms, name)
        for name, default in (("--since", -sys.maxsize), ("--until", sys.maxsize))]
    sources, warnings = read(
        arguments["FILE"] or [Paths(arguments["--run-dir"] or "").state_dir])
    page = arguments["--html"]
    whole = history.history(sources, syslogger.load_catalogue(),
                            page is not None or bool(arguments["--measurements"]),
                            words=page is None)
    lines = tuple(line for line in whole if since_ms <= line.wall_ms < until_ms)
    if last is not None:
        lines = lines[-last:]
    if page is not None:
        cli.say(_write_page(page, sources, whole, lines), warnings)
    elif form == "json":
        cli.say(as_json(sources, lines), warnings)
    else:
        folding.show(as_text(sources, lines), warnings)
    return ExitCode.SUCCESS


def _write_page(path: str, sources: Sequence[Source], whole: Sequence[Line],
                lines: Sequence[Line]) -> str:
    """Draw ``lines`` into a file that is root's, or the caller's, alone, as recorders are."""
    from xha import historypage, replacing
    times = [line.wall_ms for line in lines]
    data = historypage.as_page(sources, whole, min(times), max(times)) if times else \
        historypage.as_page(sources, whole, 0, -1)
    replacing.replace(path, data.encode("ascii"), 0o600)
    return "{}: {} lines, {} kB\n".format(path, len(lines), -(-len(data) // 1000))


def _count_of(word: Optional[str]) -> Optional[int]:
    if word is None:
        return None
    if not re.match(r"[1-9][0-9]{0,8}\Z", word):
        raise XhaError(ExitCode.INVALID_PARAMETER,
                       "--last={}: expected a number from 1 on".format(word))
    return int(word)


def wall_ms_of(word: str, now_ms: int, option: str = "--since") -> int:
    """The time that an option names: ms since the epoch.

    Args:
        word: an age like 90s, 30m, 2h or 3d before ``now_ms``; or a date, or a date and time
            of UTC, like 2026-11-27 or 2026-11-27T14:30.

    Raises:
        XhaError: INVALID_PARAMETER: it is none of these.
    """
    age = re.match(r"([0-9]{1,9})([smhd])\Z", word)
    if age:
        return now_ms - int(age.group(1)) * _UNITS[age.group(2)] * 1000
    for form in _DATES:
        try:
            return calendar.timegm(time.strptime(word[:-1] if word.endswith("Z") else word,
                                                 form)) * 1000
        except ValueError:
            continue
    raise XhaError(ExitCode.INVALID_PARAMETER, "{}={}: expected an age (90s, 30m, 2h, 3d) or "
                   "a time of UTC (2026-11-27T14:30)".format(option, word))


def read(paths: Sequence[str]) -> Tuple[List[Source], str]:
    """The recorders in these files and directories; and what is to be said of those left out.

    Raises:
        XhaError: as ``run``.  In a directory, a file that is no recorder is only left out.
    """
    sources = []
    warnings = []
    for path in paths:
        found = _bounded(path)
        for file, data in found:
            try:
                sources.append(_source_of(file, data))
            except XhaError as refused:
                if len(found) == 1:
                    raise
                warnings.append(str(refused))
    if not sources:
        raise XhaError(ExitCode.SYSTEM_ERROR, "no flight recorder in {}: no daemon has run there "
                       "yet, or it could not write (its log says recorder-failed)".format(
                           ", ".join(paths)))
    return sources, "; ".join(warnings)


def _bounded(path: str) -> List[Tuple[str, bytes]]:
    """``_contents``, by a child that is left behind where the disk hangs."""
    try:
        found = bounded.run(lambda: _contents(path), path, BOUND_S)  # type: List[Tuple[str, bytes]]
        return found
    except XhaError as error:
        if error.code is ExitCode.STATEFILE_INACCESSIBLE:   # Of a child that is late.
            raise XhaError(ExitCode.SYSTEM_ERROR, str(error) + ": its disk hangs") from error
        raise


def _contents(path: str) -> List[Tuple[str, bytes]]:
    """Name and bytes of this file, or of each recorder in this directory, the newest first."""
    if not os.path.isdir(path):
        return [(path, _bytes_of(path))]
    return [(file, _bytes_of(file)) for file in _files_in(path)]


def _files_in(folder: str) -> List[str]:
    try:
        names = os.listdir(folder)
    except OSError as error:
        raise _unreadable(folder, error) from error
    path = os.path.join(folder, recorderdisk.NAME)
    ours = [os.path.join(folder, name) for name in names
            if re.match(re.escape(recorderdisk.NAME) + r"(\.[0-9]+)?\Z", name)]
    return sorted(ours, key=lambda file: (len(file) != len(path), len(file), file))


def _bytes_of(path: str) -> bytes:
    """What is in a file; of what is longer than any recorder one byte more than that."""
    try:
        # A pipe that nobody writes to is refused, and not waited for.
        fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        with os.fdopen(fd, "rb") as stream:
            return stream.read(recorderformat.MAX_FILE + 1) or b""
    except OSError as error:
        raise _unreadable(path, error) from error


def _source_of(path: str, data: bytes) -> Source:
    try:
        if len(data) > recorderformat.MAX_FILE:
            raise FormatError("it is no file, or larger than {} bytes".format(
                recorderformat.MAX_FILE))
        return Source(path=path, recording=recorderformat.decode(data))
    except FormatError as error:
        raise XhaError(ExitCode.INVALID_PARAMETER, "{} is no flight recorder: {}".format(
            path, error)) from error


def _unreadable(path: str, error: OSError) -> XhaError:
    code = (ExitCode.INVALID_ENVIRONMENT if error.errno in (errno.EACCES, errno.EPERM)
            else ExitCode.SYSTEM_ERROR)
    return XhaError(code, "{}: cannot be read: {}".format(path, error.strerror or error))


def as_text(sources: Sequence[Source], lines: Sequence[Line]) -> str:
    """The history for people: whose it is, then a line for each thing that happened."""
    names = history.host_names(sources)
    out = []
    for source in sources:
        header = source.recording.header
        damaged = source.recording.damaged
        out.append("# {}: host {}, {}, process {}, from {}{}".format(
            catalogue.phrase(source.path), history.name_of(header, names),
            _who(header), header.pid, history.stamp(header.wall_ms),
            "; {} damaged slots or records are left out".format(damaged) if damaged else ""))
    width = max([len(line.host) for line in lines] or [1])
    for line in lines:
        out.append("{}  {:{}}  {:7}  {}{}".format(
            history.stamp(line.wall_ms), line.host, width, catalogue.phrase(line.level or "-"),
            line.text, " [{}]".format(catalogue.phrase(line.name)) if line.name else ""))
    return "\n".join(out) + "\n"


def _who(header: recorderformat.Header) -> str:
    address = ""
    if 0 <= header.host < len(header.addresses):
        address = " ({})".format(header.addresses[header.host])
    return catalogue.phrase((header.machine or "a machine without name") + address)


def as_json(sources: Sequence[Source], lines: Sequence[Line]) -> str:
    """The same as JSON; docs/timeline.md has the schema."""
    names = history.host_names(sources)
    recorders = []
    for source in sources:
        header = source.recording.header
        recorders.append(dict(
            header._asdict(), path=source.path, host=history.name_of(header, names),
            host_index=header.host, damaged=source.recording.damaged,
            at=history.stamp(header.wall_ms)))
    return json.dumps({
        "recorders": recorders,
        "lines": [dict(line._asdict(), fields=dict(line.fields), at=history.stamp(line.wall_ms))
                  for line in lines]}, indent=1, sort_keys=True) + "\n"
