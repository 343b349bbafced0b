"""The record of the watchdog timers: what a daemon leaves for the one after it.

A timer outlives the daemon that armed it.  The next daemon must know whether
timers run, whose they are, and whether the host that they guard was armed
(spec 7, "Life of a timer").  Three files say so:

* ``Paths.watchdog_ids``: the ids of Xen's timers, one a line, as the
  original's tools expect; only in mode HYPERVISOR, where the ids are Xen's;
* ``Paths.watchdog_record``: everything, as JSON;
* a copy of that in ``Paths.state_dir``, for whom ``/run`` was emptied.

Each is replaced as a whole (written beside, then renamed).  Nothing is synced
to disk: a record is believed only in the boot that wrote it, and within a
boot the page cache holds; a sync could stall a daemon that is being armed.
What cannot be read is no record, and the reader is told so.

A fourth file is written by the timer process of mode USER alone, when it has
fired (``fired_note``): one file, one writer.
"""

import json
import os
from typing import Any, Dict, List, NamedTuple, Optional, Tuple

from xha.actions import Watchdog
from xha.paths import Paths
from xha.published import WatchdogMode
from xha.records import record

VERSION = 1
BOOT_ID = "/proc/sys/kernel/random/boot_id"

#: A record is some hundred bytes; more than this is not one of ours.
SIZE_MAX = 65536


@record
class Process(NamedTuple):
    """A process, such that a reused pid is told from it."""

    pid: int
    # Clock ticks from boot to its start (/proc/PID/stat); 0: there is no process.
    started: int


NO_PROCESS = Process(pid=0, started=0)


@record
class TimerRecord(NamedTuple):
    """What a daemon wrote down about its timers."""

    boot_id: str
    mode: WatchdogMode
    # The timers guard a host that is online and armed.
    armed: bool
    # (role, id); the id is Xen's in mode HYPERVISOR, else 0.
    timers: Tuple[Tuple[Watchdog, int], ...]
    daemon: Process
    # The process that keeps the timers in mode USER, else NO_PROCESS.
    keeper: Process
    # Wh and Ws, ms, for people.
    timeouts_ms: Tuple[Tuple[Watchdog, int], ...]


@record
class Found(NamedTuple):
    """What there is of a record."""

    # None: none, or nothing that can be read.
    record: Optional[TimerRecord]
    # Ids in the file of ids; all there is when xhad wrote it.
    ids: Tuple[int, ...]
    # What could not be read, for people; "" when everything could.
    trouble: str


@record
class Fired(NamedTuple):
    """What a timer process of mode USER wrote down when it fired, for people."""

    cause: str
    outcome: str


def boot_id() -> str:
    """This boot's id; another one after every reset."""
    with open(BOOT_ID, encoding="ascii") as file:
        return file.read().strip()


def started(pid: int) -> int:
    """Clock ticks from boot to the start of ``pid``; 0 when it does not run (or is a zombie)."""
    try:
        with open("/proc/{}/stat".format(pid), "rb") as file:
            # The name, in parentheses, may hold anything; the state is the first field after it.
            fields = file.read().rpartition(b")")[2].split()
    except OSError:
        return 0
    if fields[0] in (b"Z", b"X"):
        return 0
    return int(fields[19])


def process(pid: int) -> Process:
    """The process that has this pid now."""
    return Process(pid=pid, started=started(pid))


def runs(who: Process) -> bool:
    """Whether this very process still runs."""
    return who.pid > 0 and who.started > 0 and started(who.pid) == who.started


def copy_path(paths: Paths) -> str:
    """Where the copy of the record is."""
    return paths.state_dir + "/watchdog.json"


def note_path(paths: Paths) -> str:
    """Where the timer process of mode USER leaves word that it fired."""
    return paths.watchdog_record + ".fired"


def write(paths: Paths, content: TimerRecord) -> str:
    """Write the record; return why its copy could not be written, "" when it could.

    Raises:
        OSError: the record itself, or the file of ids, could not be written.
    """
    data = encode(content)
    os.makedirs(paths.run_dir, mode=0o755, exist_ok=True)
    _replace(paths.watchdog_record, data)
    if content.mode is WatchdogMode.HYPERVISOR:
        ids = "".join("{}\n".format(ident) for _, ident in content.timers)
        _replace(paths.watchdog_ids, ids.encode("ascii"))
    copy = copy_path(paths)
    if copy == paths.watchdog_record:
        return ""
    try:
        os.makedirs(paths.state_dir, mode=0o755, exist_ok=True)
        _replace(copy, data)
    except OSError as error:
        return "{}: {}".format(copy, error.strerror)
    return ""


def read(paths: Paths) -> Found:
    """Look for a record; garbage is told in ``Found.trouble`` and otherwise like none.

    Of the record and its copy the first of this boot counts, else the first
    that can be read at all.
    """
    troubles = []  # type: List[str]
    records = []  # type: List[TimerRecord]
    for path in (paths.watchdog_record, copy_path(paths)):
        try:
            data = _contents(path)
            if data is not None:
                records.append(decode(data))
        except (OSError, ValueError) as error:
            troubles.append("{}: {}".format(path, error))
    ids = ()  # type: Tuple[int, ...]
    try:
        ids = _ids(_contents(paths.watchdog_ids) or b"")
    except (OSError, ValueError) as error:
        troubles.append("{}: {}".format(paths.watchdog_ids, error))
    now = boot_id()
    current = [one for one in records if one.boot_id == now] or records
    return Found(record=current[0] if current else None, ids=ids,
                 trouble="; ".join(sorted(set(troubles))))


def remove(paths: Paths) -> None:
    """Remove the record, its copy, the ids and the note; those that are not there are fine.

    Raises:
        OSError: one could not be removed.
    """
    # The record that is believed first goes last: a crash between leaves it whole.
    for path in (note_path(paths), paths.watchdog_ids, copy_path(paths), paths.watchdog_record):
        try:
            os.unlink(path)
        except FileNotFoundError:
            pass


def fired_note(paths: Paths, keeper: Process) -> Optional[Fired]:
    """What the timer process ``keeper`` wrote when it fired; None if nothing."""
    try:
        note = json.loads((_contents(note_path(paths)) or b"{}").decode("ascii"))
    except (OSError, ValueError, RecursionError):
        return None
    if not isinstance(note, dict) or note.get("boot_id") != boot_id():
        return None
    if (note.get("pid"), note.get("started")) != (keeper.pid, keeper.started):
        return None
    return Fired(cause=str(note.get("cause", "")), outcome=str(note.get("outcome", "")))


def encode(content: TimerRecord) -> bytes:
    """The record as JSON, ASCII."""
    return (json.dumps({
        "version": VERSION,
        "boot_id": content.boot_id,
        "mode": content.mode.name,
        "armed": content.armed,
        "timers": [{"role": role.value, "id": ident} for role, ident in content.timers],
        "daemon": {"pid": content.daemon.pid, "started": content.daemon.started},
        "keeper": {"pid": content.keeper.pid, "started": content.keeper.started},
        "timeouts_ms": {role.value: timeout for role, timeout in content.timeouts_ms},
    }, indent=1, sort_keys=True) + "\n").encode("ascii")


def decode(data: bytes) -> TimerRecord:
    """The record from its bytes.

    Raises:
        ValueError: these bytes are not a record of ours; the text says why.
    """
    try:
        found = json.loads(data.decode("ascii"))
        if found["version"] != VERSION:
            raise ValueError("version {!r}, expected {}".format(found["version"], VERSION))
        mode = WatchdogMode[found["mode"]]
        timers = tuple((Watchdog(one["role"]), _number(one["id"])) for one in found["timers"])
        if mode is WatchdogMode.UNKNOWN:
            raise ValueError("mode UNKNOWN")
        if mode is WatchdogMode.HYPERVISOR and not all(0 < ident < 1 << 32 for _, ident in timers):
            raise ValueError("not ids of Xen's timers: {}".format([ident for _, ident in timers]))
        return TimerRecord(
            boot_id=_text(found["boot_id"]),
            mode=mode,
            armed=_flag(found["armed"]),
            timers=timers,
            daemon=_process(found["daemon"]),
            keeper=_process(found["keeper"]),
            timeouts_ms=tuple(sorted(
                ((Watchdog(role), _number(timeout))
                 for role, timeout in found["timeouts_ms"].items()),
                key=lambda pair: pair[0].value)))
    except (KeyError, TypeError, AttributeError, RecursionError) as error:
        raise ValueError("not a record of watchdog timers: {!r}".format(error))


def _ids(data: bytes) -> Tuple[int, ...]:
    ids = tuple(int(line) for line in data.decode("ascii").split())
    if not all(1 <= ident <= 0xFFFFFFFF for ident in ids):
        raise ValueError("not a list of timer ids: {}".format(list(ids)))
    return ids


def _contents(path: str) -> Optional[bytes]:
    try:
        # A pipe in its place must not hang the start of a daemon.
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except FileNotFoundError:
        return None
    with os.fdopen(descriptor, "rb") as file:
        data = file.read(SIZE_MAX + 1) or b""
    if len(data) > SIZE_MAX:
        raise ValueError("longer than {} bytes".format(SIZE_MAX))
    return data


def _replace(path: str, data: bytes) -> None:
    beside = path + ".new"
    descriptor = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        # One left from a crash may have another mode.
        os.fchmod(descriptor, 0o600)
        file.write(data)
    os.rename(beside, path)


def _process(found: Dict[str, Any]) -> Process:
    return Process(pid=_number(found["pid"]), started=_number(found["started"]))


def _number(value: Any) -> int:
    if type(value) is not int or not 0 <= value < 1 << 63:
        raise ValueError("not a number: {!r}".format(value))
    return value


def _flag(value: Any) -> bool:
    if type(value) is not bool:
        raise ValueError("not true or false: {!r}".format(value))
    return value


def _text(value: Any) -> str:
    if type(value) is not str:
        raise ValueError("not a text: {!r}".format(value))
    return value
