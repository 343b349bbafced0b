"""`xha.pyz simulate` and `what-if`: a whole pool in this process, its real core in a virtual world.

Three uses.  A campaign tells random stories, for as long as is wanted, and looks whether the
promise holds after every event; one that fails is shortened and printed.  A scenario, written in
the language of ``simscript``, is told and its outcome shown: of an invented pool, or of the one
that a configuration describes.  ``what-if`` is a scenario on the command line.

Exit codes, all of spec 6: 0, well; 2, an invariant was broken; 3, a healed pool did not form
in time; 127, the core itself failed; 1, what was asked cannot be understood.
"""

import os
import sys
from typing import Any, Dict, List, Sequence, Tuple

from xha import cli, configfile, simcampaign, simscript, syslogger
from xha.config import Config
from xha.errors import ExitCode, XhaError
from xha.hostset import MAX_HOSTS
from xha.simcampaign import Summary, Task, Told
from xha.simdeeds import ScriptError
from xha.simoutcome import Recorder
from xha.simpool import derived_from, settings_like, settings_of
from xha.simreduce import Reduction
from xha.simrun import Ending
from xha.simrun import run as tell
from xha.simstory import Trace

_CODES = {Ending.WELL: ExitCode.SUCCESS, Ending.BREACH: ExitCode.SYSTEM_ERROR,
          Ending.LIVENESS: ExitCode.TRANSIENT_ERROR, Ending.CRASH: ExitCode.INTERNAL_BUG}

#: What a campaign is for, when nothing is said: as many runs as a minute or two hold.
_RUNS = 200

#: Failures that are told and shortened.
SHOWN_MAX = 3

#: A seed is what a person can type, or a commit's first digits can be.
MAX_SEED = 10 ** 18

#: Seconds between two lines of progress where it is no terminal.
_QUIET_S = 10.0


def simulate(arguments: Dict[str, Any]) -> int:
    """The command ``simulate``.

    Raises:
        XhaError: INVALID_PARAMETER: an option or a line of the scenario is wrong; those of
            reading a configuration; SYSTEM_ERROR: a page cannot be written.
    """
    if arguments["--language"]:
        cli.say(simscript.language(), "")
        return ExitCode.SUCCESS
    if arguments["--scenario"] is not None:
        return _scenario(_lines_of(arguments["--scenario"]), arguments)
    if arguments["--seed"] is not None:
        return _one_seed(arguments)
    return _campaign(arguments)


def what_if(arguments: Dict[str, Any]) -> int:
    """The command ``what-if``; raises as ``simulate`` does."""
    return _scenario(list(arguments["EVENT"]), arguments)


# ---- scenarios


def _scenario(lines: Sequence[str], arguments: Dict[str, Any]) -> int:
    form = arguments["--format"]
    if form not in ("text", "json"):
        raise XhaError(ExitCode.INVALID_PARAMETER, "--format={}: expected text or json".format(
            form))
    invented = bool(lines) and lines[0].startswith("pool of ")
    settings = None if invented else _settings(arguments)
    recorder = Recorder()
    try:
        result = tell(list(lines) + ["the pool comes to rest"], settings,
                      made=recorder.watch, told=recorder.note)
    except ScriptError as error:
        raise XhaError(ExitCode.INVALID_PARAMETER, str(error)) from error
    outcome = recorder.outcome(result, result.began_ms, syslogger.load_catalogue())
    if arguments["--html"] is not None:
        from xha import simpage
        _write_page(arguments["--html"], simpage.as_page(outcome, "; ".join(lines)[:200]))
    from xha import simtext
    if form == "json":
        cli.say(simtext.as_json(outcome), "")
    else:
        cli.say(simtext.as_text(outcome, columns()), "")
    return _CODES[result.ending]


def _lines_of(path: str) -> List[str]:
    """The lines of a scenario's file, without comments and the trace that it may hold."""
    try:
        with (sys.stdin if path == "-" else open(path, encoding="ascii")) as stream:
            text = stream.read(simscript.STORY_BYTES_MAX + 1)
    except (OSError, UnicodeDecodeError) as error:
        raise XhaError(ExitCode.INVALID_PARAMETER, "{}: {}".format(path, error)) from error
    if len(text) > simscript.STORY_BYTES_MAX:
        raise XhaError(ExitCode.INVALID_PARAMETER, "{}: longer than {} bytes, no scenario".format(
            path, simscript.STORY_BYTES_MAX))
    return simscript.commands_of(text)


def _settings(arguments: Dict[str, Any]) -> List[Config]:
    """The configuration of each host: of the file, or invented by --hosts and --ha-timeout."""
    hosts, timeout = arguments["--hosts"], arguments["--ha-timeout"]
    if hosts is None and timeout is None:
        return settings_like(configfile.load(arguments["--config"]))
    return settings_of(_number("--hosts", hosts or "3", 1, MAX_HOSTS),
                       derived_from(_number("--ha-timeout", timeout or "60", 10, 3600)))


def _write_page(path: str, text: str) -> None:
    """Write a page whole or not at all."""
    name = "{}.{}".format(path, os.getpid())
    try:
        with open(name, "w", encoding="utf-8") as stream:
            stream.write(text)
        os.rename(name, path)
    except OSError as error:
        raise XhaError(ExitCode.SYSTEM_ERROR, "{}: {}".format(path, error.strerror)) from error


# ---- random stories


def _one_seed(arguments: Dict[str, Any]) -> int:
    """Tell the story of one seed, whole."""
    least, most = _hosts(arguments)
    task = Task(seed=_number("--seed", arguments["--seed"], 0, MAX_SEED), least=least, most=most)
    lines = simcampaign.lines_of(task)
    if arguments["--story"]:
        cli.say("\n".join(lines), "")
        return ExitCode.SUCCESS
    trace = Trace(syslogger.load_catalogue())
    result = tell(lines, made=trace.watch, told=lambda line: cli.say(
        "\n".join(trace.news() + [line]), ""))
    cli.say("\n".join(trace.news()), "")
    cli.say("digest {}".format(result.digest), "")
    if result.ending is not Ending.WELL:
        _report(Told(seed=task.seed, ending=result.ending, text=result.text, at_ms=result.at_ms,
                     host_ms=result.host_ms, digest=result.digest), task, arguments)
    return _CODES[result.ending]


def _campaign(arguments: Dict[str, Any]) -> int:
    least, most = _hosts(arguments)
    first = _number("--first", arguments["--first"], 0, MAX_SEED)
    minutes = arguments["--minutes"]
    runs = _number("--runs", arguments["--runs"] or (
        str(_RUNS) if minutes is None else "1000000"), 1, MAX_SEED)
    jobs = _number("--jobs", arguments["--jobs"] or str(os.cpu_count() or 1), 1, 256)
    progress = Progress(runs if minutes is None else 0)
    summary = simcampaign.campaign(
        range(first, first + runs), (least, most), jobs, arguments["--go-on"],
        60.0 * _number("--minutes", minutes, 1, 100000) if minutes is not None else 0.0,
        progress.show, progress.failing)
    cli.say(_words(summary), "")
    for told in summary.failed[:SHOWN_MAX]:
        _report(told, Task(seed=told.seed, least=least, most=most), arguments)
    worst = {told.ending for told in summary.failed}
    for ending in (Ending.BREACH, Ending.CRASH, Ending.LIVENESS):
        if ending in worst:
            return _CODES[ending]
    return ExitCode.SUCCESS


def _words(summary: Summary) -> str:
    hours = summary.host_ms / 3600000
    rate = hours / summary.wall_s if summary.wall_s else 0.0
    return "{} runs, {} failed, {:.1f} host-hours in {:.0f} s ({:.1f} a second), digest {}".format(
        summary.runs, len(summary.failed), hours, summary.wall_s, rate, summary.digest)


def _report(told: Told, task: Task, arguments: Dict[str, Any]) -> None:
    """Say how a run failed, how to see it again, and the shortest story that fails so."""
    cli.say("\nseed {}: {} at {:.1f} s: {}\nagain: {}".format(
        told.seed, told.ending.value, told.at_ms / 1000, told.text, again(task)), "")
    if arguments["--no-reduce"]:
        return
    lines = Reduction(simcampaign.lines_of(task), told.ending, told.text).go()
    cli.say("reduced (save it, and: xha.pyz simulate --scenario=FILE):\n  " + "\n  ".join(lines),
            "")


def again(task: Task) -> str:
    """The command that tells this story again."""
    return "xha.pyz simulate --seed={} --hosts={}-{}".format(task.seed, task.least, task.most)


def _hosts(arguments: Dict[str, Any]) -> Tuple[int, int]:
    """--hosts=A-B, or A."""
    text = arguments["--hosts"] or "1-8"
    least, dash, most = text.partition("-")
    low = _number("--hosts", least, 1, MAX_HOSTS)
    return low, _number("--hosts", most, low, MAX_HOSTS) if dash else low


def _number(option: str, text: str, least: int, most: int) -> int:
    known = 1 <= len(text) <= 19 and all(letter in "0123456789" for letter in text)
    if not known or not least <= int(text) <= most:
        raise XhaError(ExitCode.INVALID_PARAMETER, "{}={}: expected a number from {} to {}".format(
            option, text, least, most))
    return int(text)


def columns() -> int:
    """How wide the terminal is; 80 where there is none."""
    try:
        return max(40, os.get_terminal_size(1).columns)
    except OSError:
        return 80


class Progress:
    """How far a campaign is, on standard error: in place on a terminal, else now and then."""

    def __init__(self, runs: int) -> None:
        """``runs``: how many there will be; 0: as many as the time allows."""
        self._of = " of {}".format(runs) if runs else ""
        self._terminal = os.isatty(2)
        self._said_s = 0.0

    def show(self, done: int, failed: int, host_ms: int, wall_s: float) -> None:
        """Say how far it is, if that was not said just now."""
        if wall_s - self._said_s < (0.2 if self._terminal else _QUIET_S):
            return
        self._said_s = wall_s
        self._write("{}{} runs, {} failed, {:.1f} host-hours/s".format(
            done, self._of, failed, host_ms / 3600000 / wall_s if wall_s else 0.0),
                    "\r" if self._terminal else "\n")

    def failing(self, told: Told) -> None:
        """Name a run that failed at once: a campaign may last for hours."""
        self._write("seed {}: {} at {:.1f} s".format(
            told.seed, told.ending.value, told.at_ms / 1000), "\n")

    @staticmethod
    def _write(text: str, end: str) -> None:
        os.write(2, (text + end).encode("ascii"))
