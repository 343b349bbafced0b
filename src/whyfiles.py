"""The evidence: recorders, logs, Xen's logs and State-Files, from here or copied from anywhere.

Theory of operation
===================

What a file is, its bytes say: a flight recorder, lines of Xen, lines of our log, or a
State-File.  A file that was named and is none of these is refused; in a directory, only
recorders, logs of ours and of Xen are looked for, and what is none is left out with a word; a
log of Xen beside the recorders of one host is that host's.  Of what is larger than any recorder
the first sections and the end are read: it may be a disk that is a State-File, or a log.

On the host itself (no FILE) everything that may have something to say is asked, each within a
bound: a State-File that hangs, or an `xl` that does not answer, costs some seconds and a note.
Nothing is changed.  Source: spec 9.
"""

import calendar
import errno
import glob
import os
import re
import stat
import subprocess
import time
from typing import Dict, List, NamedTuple, Optional, Sequence, Tuple

from xha import (bounded, client, configfile, daemonlock, history, recorder, sfadmin, sfdump,
                 sfformat, timeline, timerrecord, whylog, whyxen)
from xha.config import Config
from xha.errors import ExitCode, FormatError, XhaError
from xha.history import Source
from xha.paths import Paths
from xha.published import WatchdogMode
from xha.recorderformat import MAX_FILE, Recording, decode
from xha.records import record
from xha.sealformat import RECORD_BYTES
from xha.whyseen import Evidence, Now, Words
from xha.whyxen import XenEnd

#: What the State-File, and what `xl dmesg`, may take, s; a dom0 that has just booted is busy.
_STATEFILE_S = 5.0
_XL_S = 2.0
#: Logs that Xen leaves on the host: of crashes, and of its console daemon.
_XEN_LOGS = ("/var/crash/*/xen.log", "/var/log/xen/hypervisor.log")
#: Of these so many, the newest, and of each so many bytes, the last.
_XEN_LOGS_MAX, _XEN_LOG_BYTES = 5, 1 << 20

#: Of a disk that is larger than a file may be so many bytes are taken: a State-File has no more.
_SECTIONS_BYTES = sfformat.SECTIONS * RECORD_BYTES

_XenLogs = List[Tuple[int, Tuple[XenEnd, ...]]]


@record
class Gathered(NamedTuple):
    """What was found."""

    evidence: Evidence
    # As ``history`` takes them.
    sources: Tuple[Source, ...]
    # What could not be had: sentences.
    notes: Tuple[str, ...]
    # Of this host: the configuration, and why there is none.
    settings: Optional[Config]
    refusal: Optional[XhaError]


class _Pile:
    """Evidence that is being gathered."""

    def __init__(self) -> None:
        self.sources = []  # type: List[Source]
        self.logs = []  # type: List[Source]
        self.words = []  # type: List[Words]
        self.xen = []  # type: _XenLogs
        self.notes = []  # type: List[str]

    def file(self, name: str, required: bool = True) -> None:
        """Take in one file; ``host=N:`` before it says whose it is.

        Raises:
            XhaError: it cannot be read, or, if it is ``required``, it is nothing of use.
        """
        owner = re.match(r"host=(\d{1,2}):", name)
        host = int(owner.group(1)) if owner else -1
        path = name[owner.end():] if owner else name
        data, end = _bounded(path)
        try:
            self.sources.append(Source(path=path, recording=decode(data)))
            return
        except FormatError as error:
            refused = str(error)
        text = (end or data).decode("ascii", "replace")
        ours, xens = whylog.is_log(text), whyxen.is_log(text)
        if (ours or xens) and end:
            self.notes.append("Of {} the last {} MB were read".format(path, len(end) >> 20))
        if xens:
            self.xen.append((host, whyxen.ends(text)))
        if ours:
            self.logs += [Source(path=path, recording=life)
                          for life in whylog.lives(text, host)]
        if not (ours or xens or self._statefile(path, data)) and required:
            raise XhaError(ExitCode.INVALID_PARAMETER, "{} is no flight recorder ({}), no log of "
                           "xha or Xen, and no State-File".format(path, refused))

    def folder(self, path: str) -> None:
        """Take in a directory: the files that hosts keep there, as they are named there."""
        try:
            names = sorted(os.listdir(path))
        except OSError as error:
            raise _unreadable(path, error) from error
        found = [name for name in names if re.match(r"recorder(\.[0-9]+)?\Z|xha\.log|xen\.log|"
                                                    r"console|xl-dmesg", name)]
        known, logs = len(self.sources), len(self.xen)
        for name in found:
            try:
                self.file(os.path.join(path, name), required=name.startswith("recorder"))
            except XhaError as error:
                if len(found) == 1 or error.code is not ExitCode.INVALID_PARAMETER:
                    raise
                self.notes.append(str(error))
        hosts = {source.recording.header.host for source in self.sources[known:]}
        if len(hosts) == 1:
            self.xen[logs:] = [(hosts.copy().pop(), ends) for _, ends in self.xen[logs:]]

    def _statefile(self, path: str, data: bytes) -> bool:
        if len(data) < 2 * RECORD_BYTES:
            return False
        sections = [data[at:at + RECORD_BYTES] for at in range(0, _SECTIONS_BYTES, RECORD_BYTES)]
        self.statefile(sfdump.describe(sfdump.Image(
            path=path, size_bytes=len(data), sections=tuple(
                one if len(one) == RECORD_BYTES else "beyond the end" for one in sections))))
        return bool(self.words) or _is_statefile(data)

    def statefile(self, found: Dict[str, object]) -> None:
        """Take in the last words that a State-File holds."""
        hosts = found["hosts"]
        assert isinstance(hosts, list)
        for host in hosts:
            words = (host.get("seal") or {}).get("last_words")
            if words and words["at"]:
                self.words.append(Words(
                    host=host["index"], code=words["code"], text=words["text"],
                    at_ms=calendar.timegm(time.strptime(
                        words["at"], "%Y-%m-%dT%H:%M:%SZ")) * 1000,
                    heard=tuple(words["heartbeat_domain"]), on_statefile=True))

    def whole(self, now: Optional[Now], settings: Optional[Config],
              refusal: Optional[XhaError]) -> Gathered:
        """All of it; what a log tells counts where no recorder does."""
        sources = self.sources + [log for log in self.logs if not any(
            _overlap(log.recording, one.recording) for one in self.sources)]
        return Gathered(
            evidence=Evidence(lives=tuple(tuple(lives) for lives in history.lives(sources)),
                              words=tuple(self.words), xen=tuple(self.xen), now=now),
            sources=tuple(sources), notes=tuple(self.notes), settings=settings, refusal=refusal)


def of_files(names: Sequence[str]) -> Gathered:
    """The evidence in these files and directories.

    Raises:
        XhaError: INVALID_PARAMETER, a file is nothing of use; INVALID_ENVIRONMENT, it may not be
            read; SYSTEM_ERROR, it cannot be, or there is nothing in them.
    """
    pile = _Pile()
    for name in names:
        if os.path.isdir(name):
            pile.folder(name)
        else:
            pile.file(name)
    if not (pile.sources or pile.logs or pile.words):
        raise XhaError(ExitCode.SYSTEM_ERROR, "no flight recorder, no log of a daemon and no last "
                       "words in {}".format(", ".join(names)))
    return pile.whole(None, None, None)


def of_this_host(paths: Paths, config: str) -> Gathered:
    """The evidence that this host has.

    Raises:
        XhaError: INVALID_ENVIRONMENT, the recorders may not be read.
    """
    pile = _Pile()
    try:
        pile.sources, warnings = timeline.read([paths.state_dir])
        pile.notes += [warnings] if warnings else []
    except XhaError as error:
        if error.code is ExitCode.INVALID_ENVIRONMENT:
            raise
        pile.notes.append("The flight recorder of this host: {}".format(error))
    if os.path.exists(paths.log_file):
        try:
            pile.file(paths.log_file, required=False)
        except XhaError as error:
            pile.notes.append(str(error))
    settings, refusal = None, None  # type: Optional[Config], Optional[XhaError]
    try:
        settings = configfile.load(config)
        pile.statefile(sfdump.describe(
            sfadmin.read_image(settings.local.statefile, _STATEFILE_S), settings))
    except XhaError as error:
        refusal = error if settings is None else None
        pile.notes.append("Last words on the State-File are not known: {}".format(error))
    host = int(settings.local.index) if settings else _newest_host(pile.sources)
    _look_at_xen(pile, host)
    return pile.whole(_now(paths, host) if host >= 0 else None, settings, refusal)


def _newest_host(sources: Sequence[Source]) -> int:
    headers = [source.recording.header for source in sources]
    return max(headers, key=lambda header: header.wall_ms).host if headers else -1


def _now(paths: Paths, host: int) -> Now:
    try:
        running = daemonlock.holder(paths.lock) != 0 or client.daemon_answers(paths)
    except XhaError:
        running = client.daemon_answers(paths)
    left = timerrecord.read(paths).record
    timers = ""
    if not (running or left is None or not left.armed or left.mode is WatchdogMode.NONE
            or left.boot_id != timerrecord.boot_id()) and (
                timerrecord.fired_note(paths, left.keeper) is None):
        timers = "the last daemon (process {}) died armed".format(left.daemon.pid)
    return Now(host=host, boot_id=recorder.boot_id(), running=running, timers=timers)


def _look_at_xen(pile: _Pile, host: int) -> None:
    """What Xen's own logs on this host say."""
    try:
        done = subprocess.run(["xl", "dmesg"], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                              stderr=subprocess.DEVNULL, timeout=_XL_S)
        pile.xen.append((host, whyxen.ends(done.stdout.decode("ascii", "replace"))))
    except (OSError, subprocess.TimeoutExpired):
        pass    # No Xen here, or one that does not answer.
    for pattern in _XEN_LOGS:
        for path in sorted(glob.glob(pattern))[-_XEN_LOGS_MAX:]:
            try:
                with open(path, "rb") as stream:
                    written_ms = int(os.fstat(stream.fileno()).st_mtime * 1000)
                    stream.seek(max(0, os.fstat(stream.fileno()).st_size - _XEN_LOG_BYTES))
                    text = stream.read(_XEN_LOG_BYTES).decode("ascii", "replace")
            except OSError:
                continue
            pile.xen.append((host, tuple(
                end if end.at_ms >= 0 else end._replace(at_ms=written_ms)
                for end in whyxen.ends(text))))


def _overlap(log: Recording, recording: Recording) -> bool:
    """Whether a recorder covers what a log tells of."""
    if log.header.host != recording.header.host:
        return False
    first_ms, last_ms = log.header.wall_ms, log.entries[-1].wall_ms
    end_ms = recording.entries[-1].wall_ms if recording.entries else recording.header.wall_ms
    return first_ms - 1000 <= end_ms and recording.header.wall_ms <= last_ms + 1000


def _is_statefile(data: bytes) -> bool:
    try:
        sfformat.decode_global(data[:RECORD_BYTES])
    except FormatError:
        return False
    return True


def _bounded(path: str) -> Tuple[bytes, bytes]:
    """``_bytes_of``, by a child that is left behind where the disk hangs."""
    try:
        found = bounded.run(lambda: _bytes_of(path), path,
                            timeline.BOUND_S)  # type: Tuple[bytes, bytes]
        return found
    except XhaError as error:
        if error.code is ExitCode.STATEFILE_INACCESSIBLE:   # Of a child that is late.
            raise XhaError(ExitCode.SYSTEM_ERROR, str(error) + ": its disk hangs") from error
        raise


def _bytes_of(path: str) -> Tuple[bytes, bytes]:
    """A file's bytes, and nothing; or the first of them, and the last, of a larger one."""
    try:
        # A pipe that nobody writes to is refused, and not waited for.
        fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        with os.fdopen(fd, "rb") as stream:
            data, end = stream.read(MAX_FILE + 1), b""
            if data is not None and len(data) > MAX_FILE and _has_an_end(fd):
                stream.seek(-MAX_FILE, os.SEEK_END)
                data, end = data[:_SECTIONS_BYTES], stream.read(MAX_FILE)
    except (OSError, ValueError) as error:
        raise _unreadable(path, error) from error
    if data is None or len(data) > MAX_FILE:
        raise XhaError(ExitCode.INVALID_PARAMETER, "{}: it is no file, or has no end".format(path))
    return data, end


def _has_an_end(fd: int) -> bool:
    mode = os.fstat(fd).st_mode
    return stat.S_ISREG(mode) or stat.S_ISBLK(mode)


def _unreadable(path: str, error: Exception) -> XhaError:
    code = (ExitCode.INVALID_ENVIRONMENT
            if getattr(error, "errno", None) in (errno.EACCES, errno.EPERM)
            else ExitCode.SYSTEM_ERROR)
    return XhaError(code, "{}: cannot be read: {}".format(
        path, getattr(error, "strerror", None) or error))
