"""The commands `install` and `uninstall`: make a host's cluster stack serve this archive, and back.

What happens to each name, and what a crash leaves, is told in ``installplan``;
``installdisk`` does it.  Here: who may, which files a host gets, and what an
administrator is told.  An install reads the whole archive that it runs from
and checks it before it changes anything.  Source: spec 11, 6 (names, codes).
"""

import errno
import io
import os
import sys
import zipfile
from typing import Any, Dict, List, NamedTuple, Optional, Tuple

from xha import cli, commands, installplan, packed
from xha.errors import ExitCode, XhaError
from xha.installdisk import Host, file_thing
from xha.installplan import ARCHIVE, DIRECTORIES, FILES, INSTALLED, LOGROTATE, STACKS, Journal, Step
from xha.paths import LOG_FILE, Paths
from xha.records import record

_NO_SPACE = (errno.ENOSPC, errno.EDQUOT)
_NOT_ALLOWED = (errno.EROFS, errno.EACCES, errno.EPERM)


@record
class Order(NamedTuple):
    """What is to be installed on a host, with all that follows for each name."""

    journal: Journal
    steps: Tuple[Step, ...]
    # Of each file, by path.
    contents: Dict[str, bytes]
    # Why a file is not laid down, one line each.
    left_out: Tuple[str, ...]


def install(arguments: Dict[str, Any]) -> int:
    """The command `install`.

    Raises:
        XhaError: 15, a daemon runs; 16, not root, or no host for us; 2, the disk; 3, another
            installer runs.
    """
    root, dry = _root(arguments["--root"]), bool(arguments["--dry-run"])
    _require_root(root, dry)
    data = archive(sys.argv[0])
    host = Host(root)
    try:
        _refuse_beside_daemon(root, arguments["--run-dir"] or "")
        if dry and host.interrupted():
            return _say_interrupted(host)
        order = _prepare(host, data, dry)
        todo = [step for step in order.steps if step.switch]
        if dry or not todo:
            return _say_plan(host, order, dry and bool(todo))
        _check_writable(host, [step.laid.path for step in todo])
        _refuse_beside_daemon(root, arguments["--run-dir"] or "")
        try:
            host.install(order.journal, order.steps, order.contents)
        except OSError as error:
            raise _explained(host, error, order) from error
    finally:
        host.close()
    _say_plan(host, order, False)
    return ExitCode.SUCCESS


def uninstall(arguments: Dict[str, Any]) -> int:
    """The command `uninstall`.

    Raises:
        XhaError: as of ``install``.
    """
    root, dry = _root(arguments["--root"]), bool(arguments["--dry-run"])
    _require_root(root, dry)
    host = Host(root)
    try:
        _refuse_beside_daemon(root, arguments["--run-dir"] or "")
        if dry and host.interrupted():
            return _say_interrupted(host)
        try:
            said = "" if dry else host.recover()
            journal = host.journal(INSTALLED)
            lines = _taking_back(host, journal) if journal else []
            if journal and not dry:
                _require_kept(host, journal)
                _check_writable(host, [laid.path for laid in journal.laid])
                host.uninstall()
        except OSError as error:
            raise _explained(host, error, None) from error
    finally:
        host.close()
    if not journal:
        cli.say(said or "nothing is installed here: nothing to put back", "")
    else:
        cli.say("\n".join(([said] if said else []) + lines + [
            "nothing has been changed (--dry-run)" if dry else
            "xha is uninstalled; what was here before is back"]
            + ([] if dry else _next(host, [laid.path for laid in journal.laid], False))), "")
    return ExitCode.SUCCESS


def archive(path: str) -> bytes:
    """The bytes of the archive at ``path``, checked.

    Raises:
        XhaError: INVALID_ENVIRONMENT, it is no archive (the sources run, perhaps);
            SYSTEM_ERROR, it is damaged.
    """
    try:
        with open(path, "rb") as stream:
            data = stream.read()
        if not data.startswith(b"#!/"):
            raise zipfile.BadZipFile("it has no first line")
        with zipfile.ZipFile(io.BytesIO(data)) as content:
            if "_xha.py" not in content.namelist():
                raise zipfile.BadZipFile("it holds no xha")
            damaged = content.testzip()
    except (OSError, zipfile.BadZipFile) as error:
        raise XhaError(ExitCode.INVALID_ENVIRONMENT, "{} is not the built archive, which alone "
                       "can be installed ({}): run dist/xha.pyz install".format(
                           path, error)) from error
    if damaged is not None:
        raise XhaError(ExitCode.SYSTEM_ERROR, "{} is damaged ({}): copy it again".format(
            path, damaged))
    return data


def bundled(name: str) -> bytes:
    """A file of install/, which travels in the archive, or is in the source tree.

    Raises:
        OSError: it is not there.
    """
    return packed.read("install/" + name, "install/" + name)


def _prepare(host: Host, data: bytes, dry: bool) -> Order:
    """Everything that an install will do, known before it does it."""
    try:
        said = "" if dry else host.recover()
        if said:
            cli.say(said, "")
        journal = host.journal(INSTALLED)
        _require_interpreter(host, data)
        contents, left_out = _files(host, data, journal)
        wanted = {path: file_thing(contents[path], _mode(path)) for path in contents}
        wanted.update(installplan.links(cli.LINKS))
        steps = installplan.plan(wanted, {path: host.look(path) for path in wanted}, journal)
    except OSError as error:
        raise _explained(host, error, None) from error
    made = list(journal.made) if journal else []
    for folder in DIRECTORIES:
        used = any(path.startswith(folder + "/") for path in wanted)
        if used and folder not in made and not host.has_directory(folder):
            made.append(folder)
    return Order(journal=Journal(build=commands.build_id(), made=tuple(made),
                                 laid=tuple(step.laid for step in steps)),
                 steps=tuple(steps), contents=contents, left_out=tuple(left_out))


def _mode(path: str) -> int:
    """The permissions of a file that we lay down."""
    return dict([(ARCHIVE, 0o755)] + [(row[1], row[2]) for row in FILES])[path]


def _files(host: Host, data: bytes,
           journal: Optional[Journal]) -> Tuple[Dict[str, bytes], List[str]]:
    """The files that this host gets, the archive first; and why it does not get the others."""
    contents, left_out = {ARCHIVE: data}, []
    for name, path, _, needed in FILES:
        why = ""
        if needed and not host.has_directory(needed):
            why = "there is no {}".format(needed)
        elif needed == LOGROTATE and not (journal and journal.of(path)):
            others = [other for other in host.naming(LOGROTATE, LOG_FILE.encode())
                      if other != path]
            why = "{} rotates {} already".format(others[0], LOG_FILE) if others else ""
        if why:
            left_out.append("{}: left out, {}".format(path, why))
        else:
            host.has_directory(os.path.dirname(path))   # Refuses to be led out of the root.
            contents[path] = bundled(name)
    return contents, left_out


# Who may, and where

def _root(named: Optional[str]) -> str:
    """The root directory that was named; "" for this very host."""
    if named is None or os.path.realpath(named) == "/":
        return ""
    if not os.path.isdir(named):
        raise XhaError(ExitCode.INVALID_ENVIRONMENT, "--root={}: there is no such "
                       "directory".format(named))
    return os.path.abspath(named)


def _require_root(root: str, dry: bool) -> None:
    if not root and not dry and os.geteuid() != 0:
        raise XhaError(ExitCode.INVALID_ENVIRONMENT, "only root may do this (what would be done "
                       "anybody may see: --dry-run)")


def _refuse_beside_daemon(root: str, run_dir: str) -> None:
    """Raise XhaError (15) when a daemon runs on the host; on an image none does."""
    if run_dir or os.environ.get("XHA_RUN_DIR") or not root:
        commands.refuse_beside_daemon(Paths(run_dir))
    if root:
        return
    for pid in sorted(filter(str.isdigit, os.listdir("/proc")), key=int):
        try:
            with open("/proc/{}/comm".format(pid)) as stream:
                name = stream.read().strip()
        except OSError:
            continue        # It has ended.
        if name == "xhad":
            raise XhaError(ExitCode.DAEMON_PRESENT, "process {} is an xhad, ours or the "
                           "original's: disable HA first".format(pid))


def _require_interpreter(host: Host, data: bytes) -> None:
    """Refuse a host on which the archive's first line would start nothing."""
    interpreter = data[2:data.index(b"\n")].split()[0].decode("ascii", "backslashreplace")
    if not os.path.lexists(host.real(interpreter)):
        raise XhaError(ExitCode.INVALID_ENVIRONMENT, "{} is missing, and the archive starts with "
                       "it: install Python 3.6 or newer there".format(host.real(interpreter)))


def _require_kept(host: Host, journal: Journal) -> None:
    """Refuse to put back what somebody has thrown away."""
    for laid in journal.laid:
        kept = installplan.beside(laid.path, "before")
        if laid.before and host.look(kept) == installplan.NOTHING:
            raise XhaError(ExitCode.SYSTEM_ERROR, "{} is missing, and with it what was at {} "
                           "before: put a copy of it there (from a backup, or the package it came "
                           "in) and run this again; nothing has been changed".format(
                               host.real(kept), laid.path))


def _check_writable(host: Host, names: List[str]) -> None:
    """Refuse at once what could not be finished.

    Raises:
        XhaError: INVALID_ENVIRONMENT, with the directory and what is wrong with it.
    """
    for folder in sorted({STACKS} | {os.path.dirname(path) for path in names}):
        while not host.has_directory(folder):
            folder = os.path.dirname(folder)
        real = host.real(folder)
        if os.statvfs(real).f_flag & os.ST_RDONLY:
            raise XhaError(ExitCode.INVALID_ENVIRONMENT, "{} is on a read-only file system: mount "
                           "it writable and run this again; nothing has been changed".format(real))
        if not os.access(real, os.W_OK | os.X_OK):
            raise XhaError(ExitCode.INVALID_ENVIRONMENT, "{} may not be written by you: run this "
                           "as its owner or as root; nothing has been changed".format(real))


# What is said

def _say_interrupted(host: Host) -> int:
    """A dry run on a host where something was interrupted."""
    what = ("an uninstall was interrupted: it would be finished first"
            if host.interrupted() == "finish" else
            "an install was interrupted: it would be taken back first")
    cli.say(what + "; what follows is known only then\nnothing has been changed (--dry-run)", "")
    return ExitCode.SUCCESS


def _say_plan(host: Host, order: Order, planned: bool) -> int:
    """What an install does, would do, or need not do."""
    todo = [step for step in order.steps if step.switch]
    lines = ["{}: {}".format(host.real(step.laid.path), step.said) for step in todo]
    lines += list(order.left_out)
    if planned:
        lines.append("nothing has been changed (--dry-run)")
    elif todo:
        kept = sum(laid.before for laid in order.journal.laid)
        lines.append("xha {} is installed: {} names, {} of them with what was there before kept "
                     "beside them".format(order.journal.build, len(order.journal.laid), kept))
        lines += _next(host, [step.laid.path for step in todo], True)
    else:
        lines.append("xha {} is installed already: nothing to do".format(order.journal.build))
    cli.say("\n".join(lines), "")
    return ExitCode.SUCCESS


def _next(host: Host, names: List[str], installed: bool) -> List[str]:
    """What the administrator does next on this very host, where systemd's files have changed."""
    if host.root or not any(path.startswith("/etc/systemd/") for path in names):
        return []
    return ["next: `systemctl daemon-reload`" + (
        ", and `systemctl stop xen-watchdog` if it runs: it holds one of the two timers that xha "
        "needs" if installed else "; xen-watchdog may run again")]


def _taking_back(host: Host, journal: Journal) -> List[str]:
    """What an uninstall does with each name, for people."""
    lines = []
    for laid in journal.laid:
        found = host.look(laid.path)
        text = "put back what was there" if laid.before else "remove"
        if found not in (laid.thing, installplan.NOTHING):
            text += "; somebody changed it, and that is kept as " + os.path.basename(
                installplan.beside(laid.path, "changed"))
        lines.append("{}: {}".format(host.real(laid.path), text))
    return lines


def _explained(host: Host, error: OSError, order: Optional[Order]) -> XhaError:
    """What the disk refused, what that leaves, and what to do."""
    where = str(error.filename or host.real(STACKS))
    if getattr(error, "installed", False):
        left = "xha is installed, but perhaps not on the disk yet: run this again"
    elif host.interrupted():
        left = "it was interrupted half way: run install or uninstall again, either puts it right"
    else:
        left = "nothing has been changed"
    if error.errno in _NO_SPACE:
        size = sum(map(len, order.contents.values())) >> 10 if order else 0
        what = "no space left{}".format(" ({} KB are needed)".format(size) if size else "")
        return XhaError(ExitCode.SYSTEM_ERROR, "{}: {}: make room; {}".format(where, what, left))
    code = (ExitCode.INVALID_ENVIRONMENT if error.errno in _NOT_ALLOWED else
            ExitCode.SYSTEM_ERROR)
    return XhaError(code, "{}: {}; {}".format(where, error.strerror or error, left))
