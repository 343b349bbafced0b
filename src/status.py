"""``xha.pyz status``: what this host knows of its pool, on one screen.

Theory of operation
===================

The daemon is asked the one question that has no side effect (``query json 0``);
its answer, read back, is drawn by ``statuspicture``.  Without an answer the
State-File is read (in a child process, see ``bounded``; never written), and
without that there is the configuration; ``statusdown`` draws these.  The exit
code says which it was: 0 from the daemon, else that of the refusal (14: there is
no daemon), after everything that is known was printed.

All has bounds, so that one look is over within 5 s whatever hangs (spec 6): the
daemon has ``_ANSWER_S``, the State-File ``_STATEFILE_S``.

``--watch`` draws anew in place, each second; a daemon that goes and comes back
is one picture after another.  Only Ctrl-C ends it, with 0, or an output that is
gone.  Source: spec 9, "status"; spec 6.
"""

import json
import os
import time
from typing import Any, Dict, List, NamedTuple, Optional, Tuple

import xha
from xha import (concerns, configfile, daemonlock, daemonview, picture, report, screen, secrecy,
                 sfadmin, sfdump, statusdown, statuspicture, timerrecord)
from xha.concerns import Concern
from xha.errors import ExitCode, XhaError
from xha.paths import Paths
from xha.picture import Line
from xha.published import WatchdogMode
from xha.records import record
from xha.snapshot import Snapshot
from xha.statusdown import Down
from xha.statuspicture import Screen

#: Version of the JSON; grows when a name changes its meaning or goes, not when one is added.
JSON_VERSION = 1

#: What the daemon, and then the State-File, may take, s: together less than 5 (spec 6).
_ANSWER_S = 2.5
_STATEFILE_S = 2.0

#: Between two looks of ``--watch``, s.
_PAUSE_S = 1.0

#: What is no terminal gets lines of this many columns.
_WIDTH = 100


@record
class Known(NamedTuple):
    """One look: exactly one of ``snapshot`` and ``down`` is there."""

    code: int
    snapshot: Optional[Snapshot]
    down: Optional[Down]
    # Which program the daemon is; "" when it does not say.
    build: str
    concerns: Tuple[Concern, ...]


def look(paths: Paths, config: str) -> Known:
    """Look once, within 5 s; whatever cannot be had is said in the result."""
    asked = daemonview.ask(paths, _ANSWER_S)
    if asked.snapshot is not None:
        return Known(code=asked.code, snapshot=asked.snapshot, down=None,
                     build=daemonview.build(paths), concerns=tuple(concerns.of(asked.snapshot)))
    down = _without_daemon(paths, config, asked.code, asked.why)
    return Known(code=asked.code, snapshot=None, down=down, build="",
                 concerns=tuple(statusdown.concerns_of(down)))


def _without_daemon(paths: Paths, config: str, code: int, why: str) -> Down:
    settings = found = None
    settings_error = statefile_error = ""
    try:
        settings = configfile.load(config)
        image = sfadmin.read_image(settings.local.statefile, _STATEFILE_S)
        found = sfdump.describe(image, settings)
    except XhaError as error:
        if settings is None:
            settings_error = str(error)
        else:
            statefile_error = str(error)
    try:
        pid = daemonlock.holder(paths.lock)
    except XhaError:
        pid = 0         # Whoever may not look at the lock knows of no process.
    return Down(why=why, silent=code != ExitCode.DAEMON_NOT_PRESENT or pid != 0, pid=pid,
                settings=settings, settings_error=settings_error, found=found,
                statefile_error=statefile_error, timers=_timers(paths, pid),
                at_wall_s=int(time.time()))


def _timers(paths: Paths, pid: int) -> str:
    """What the timers are about to do that a dead daemon left; "" for nothing.

    By the record alone: asking Xen would change what it is asked about.
    """
    left = timerrecord.read(paths).record
    if (pid or left is None or not left.armed or left.mode is WatchdogMode.NONE
            or left.boot_id != timerrecord.boot_id()):
        return ""
    if left.mode is WatchdogMode.USER:
        note = timerrecord.fired_note(paths, left.keeper)
        if note is not None:
            return ""
        if not timerrecord.runs(left.keeper):
            return ("The last daemon (process {}) died armed, and the process that should reset "
                    "this host is gone: the others count on a reset that does not come.").format(
                        left.daemon.pid)
    within_s = max([timeout_ms for _, timeout_ms in left.timeouts_ms] or [0]) // 1000
    return "The last daemon (process {}) died armed: THIS HOST IS RESET{}.".format(
        left.daemon.pid, " within {} s of its end".format(within_s) if within_s else "")


# What is shown

def lines_of(known: Known, size: Screen) -> List[Line]:
    """The picture of a look."""
    if known.down is not None:
        return statusdown.draw(known.down, known.concerns, size)
    assert known.snapshot is not None
    local = known.snapshot.hosts[known.snapshot.local]
    build = "{}{}".format(local.software or "xha " + xha.__version__,
                          known.build and " ({})".format(known.build))
    return statuspicture.draw(known.snapshot, known.concerns, build, size)


def as_json(known: Known) -> str:
    """The same facts for programs, ending in a line end; docs/status.md is the schema."""
    down = known.down
    told = {
        "version": JSON_VERSION, "exit_code": known.code, "build": known.build or None,
        "source": _source(known),
        "why_no_answer": None if down is None else down.why,
        "daemon_process": None if down is None or not down.pid else down.pid,
        "concerns": [{"gravity": concern.gravity, "name": concern.name, "text": concern.text}
                     for concern in known.concerns],
        "answer": None if known.snapshot is None else json.loads(report.as_json(known.snapshot)),
        "statefile": None if down is None else down.found,
        "configuration": None if down is None else _settings(down)}
    return json.dumps(told, indent=1, sort_keys=True) + "\n"


def _source(known: Known) -> str:
    if known.down is None:
        return "daemon"
    if known.down.found is not None:
        return "statefile"
    return "configuration" if known.down.settings is not None else "nothing"


def _settings(down: Down) -> Optional[Dict[str, Any]]:
    if down.settings is None:
        return None
    return {"generation": down.settings.common.generation_uuid,
            "local_host": down.settings.local.index,
            "statefile": down.settings.local.statefile,
            "hosts": [{"index": index, "uuid": host.uuid, "address": host.address}
                      for index, host in enumerate(down.settings.common.hosts)]}


# The command

def run(arguments: Dict[str, Any]) -> int:
    """``xha.pyz status``; its exit code.

    Raises:
        XhaError: INVALID_PARAMETER: a format that is none, or one that cannot be watched;
            SYSTEM_ERROR: the output cannot be written.
    """
    form, watched = arguments["--format"], bool(arguments["--watch"])
    if form not in ("text", "json"):
        raise XhaError(ExitCode.INVALID_PARAMETER,
                       "--format={}: expected text or json".format(form))
    secrecy.keep()      # The State-File is read.
    paths = Paths(arguments["--run-dir"] or "")
    colour = not (arguments["--no-colour"] or arguments["--no-color"])
    output = Output(colour)
    if not watched:
        known = look(paths, arguments["--config"])
        output.write(as_json(known) if form == "json"
                     else output.text(lines_of(known, output.screen(False))))
        return known.code
    try:
        output.begin()
        while True:
            known = look(paths, arguments["--config"])
            output.show(as_json(known) if form == "json" else output.text(
                lines_of(known, output.screen(True))), form)
            time.sleep(_PAUSE_S)
    except KeyboardInterrupt:
        return ExitCode.SUCCESS
    finally:
        output.end()


class Output:
    """Standard output: its size, its signs, its colours."""

    def __init__(self, colour: bool) -> None:
        """``colour``: it is wanted, where the terminal has it."""
        environment = screen.first_environment()
        self._terminal = os.isatty(1) and environment.get("TERM", "dumb") not in ("", "dumb")
        self._colour = colour and self._terminal and not environment.get("NO_COLOR")
        utf8 = self._terminal and screen.speaks_utf8(environment)
        self._glyphs = picture.UTF8 if utf8 else picture.ASCII
        self._encoding = "utf-8" if utf8 else "ascii"
        self._live = False

    def screen(self, watched: bool) -> Screen:
        """What there is to draw on; only what is watched must fit in height."""
        columns, rows = _WIDTH, 0
        if self._terminal:
            try:
                columns, rows = os.get_terminal_size(1)
            except OSError:
                columns, rows = 0, 0
            columns = columns or 80     # A terminal that does not know its size says 0.
            rows = max(0, rows - 1) if watched else 0
        return Screen(width=max(columns, statuspicture.WIDTH_MIN), height=rows,
                      glyphs=self._glyphs)

    def text(self, lines: List[Line]) -> str:
        """The lines as the terminal takes them."""
        return "".join(screen.styled(_stripped(line), self._colour) + "\n" for line in lines)

    def begin(self) -> None:
        """A picture that lives is on a screen of its own, where there is a terminal."""
        if self._terminal:
            self._live = True
            self.write("\x1b[?1049h\x1b[?25l")

    def show(self, text: str, form: str) -> None:
        """The next picture: in place of the last on a terminal, else after it."""
        if self._terminal and form == "text":
            stamp = time.strftime(" %H:%M:%S  every second; Ctrl-C ends\n")
            # Home, the text with each line cleared to its end, then everything below.
            self.write("\x1b[H" + (text + stamp).rstrip("\n").replace("\n", "\x1b[K\n")
                       + "\x1b[K\x1b[J")
        else:
            self.write(text + ("\n" if form == "text" else ""))

    def end(self) -> None:
        """Give the terminal back; not when it is gone."""
        if self._live:
            self._live = False
            try:
                self.write("\x1b[?25h\x1b[?1049l")
            except (BrokenPipeError, XhaError):
                pass

    def write(self, text: str) -> None:
        """Write all of it.

        Raises:
            BrokenPipeError: nobody reads it any more.
            XhaError: SYSTEM_ERROR: it cannot be written.
        """
        data = text.encode(self._encoding, "backslashreplace")
        while data:
            try:
                data = data[os.write(1, data):]
            except BrokenPipeError:
                raise
            except OSError as error:
                raise XhaError(ExitCode.SYSTEM_ERROR, "output cannot be written: {}".format(
                    error.strerror)) from error


def _stripped(line: Line) -> Line:
    """The line without blanks at its end."""
    kept = list(line)
    while kept and not kept[-1][1].rstrip():
        kept.pop()
    if kept:
        kept[-1] = (kept[-1][0], kept[-1][1].rstrip())
    return kept
