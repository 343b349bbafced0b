"""`xha.pyz sandbox`: a pool of real daemons on this one machine, to look at and to break.

The hosts are processes, the network is the loopback interface, the shared
disk is a file, and a reset is the end of a daemon; everything else is what
runs on real hosts: the same archive, the same daemon, the same commands.
What is shown comes from the daemons' own answers.

This module reads the command line, puts the parts together, and sees to it
that whatever happens nothing is left behind (``caretaker``).
"""

import os
import shlex
import signal
import sys
from types import FrameType
from typing import Any, Dict, List, Optional

from xha import (
    cli, lifecycle, sandboxfacts, sandboxhost, sandboxpool, sandboxprompt, screen, tour, usage)
from xha.caretaker import Caretaker
from xha.errors import ExitCode, XhaError
from xha.sandboxpool import Pool, Settings
from xha.sandboxprompt import Prompt
from xha.sandboxwatch import Watch
from xha.screen import Screen

TIMEOUT_MIN_S, TIMEOUT_MAX_S = 3, 300

_PROMPT = "xha> "


def run(words: List[str]) -> int:
    """The command.

    Returns:
        0; 1 when a command from a pipe was refused; 2 when the pool did not form, or the
        tour did not see what it expected.

    Raises:
        XhaError: wrong usage, or the sandbox cannot be made.
        KeyboardInterrupt: Ctrl-C, or a signal that ends.
    """
    if "--help" in words or "-h" in words:
        cli.say(usage.help_of("sandbox"), "")
        return ExitCode.SUCCESS
    settings = read_settings(usage.parse("sandbox", words))
    _fill_standard_descriptors()
    for number in (signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, _interrupt)
    directory, existed = sandboxpool.make_directory(settings.directory)
    caretaker = Caretaker(directory, existed, settings.keep)
    pool = None     # type: Optional[Pool]
    try:
        sandboxhost.adopt_orphans()
        pool = Pool(settings, directory)
        return int(_Sandbox(pool, caretaker).play())
    finally:
        # From here on nothing interrupts any more; it takes a moment only.
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, signal.SIG_IGN)
        if pool is not None:
            pool.end()
        caretaker.finish()
        sandboxhost.bury_orphans()
        if settings.keep:
            cli.say("the sandbox's files are in {}".format(directory), "")


def read_settings(arguments: Dict[str, Any]) -> Settings:
    """The command line, checked.

    Raises:
        XhaError: INVALID_PARAMETER: an option is out of its range.
    """
    hosts = _number(arguments, "--hosts", 1, sandboxpool.HOSTS_MAX)
    watchdog = str(arguments["--watchdog"]).upper()
    if watchdog not in ("USER", "NONE"):
        raise XhaError(ExitCode.INVALID_PARAMETER, "--watchdog={}: expected USER or NONE".format(
            arguments["--watchdog"]))
    if arguments["--tour"] and hosts < tour.HOSTS_MIN:
        raise XhaError(ExitCode.INVALID_PARAMETER, "the tour needs --hosts={} or more".format(
            tour.HOSTS_MIN))
    directory = arguments["--dir"]
    return Settings(
        hosts=hosts, watchdog=watchdog,
        timeout_s=_number(arguments, "--timeout", TIMEOUT_MIN_S, TIMEOUT_MAX_S),
        directory=os.path.abspath(directory) if directory else "",
        keep=bool(arguments["--keep"]), tour=bool(arguments["--tour"]),
        colour=not arguments["--no-color"])


def _number(arguments: Dict[str, Any], option: str, least: int, most: int) -> int:
    text = str(arguments[option])
    known = 1 <= len(text) <= 4 and all(letter in "0123456789" for letter in text)
    if not known or not least <= int(text) <= most:
        raise XhaError(ExitCode.INVALID_PARAMETER, "{}={}: expected a number from {} to {}".format(
            option, text, least, most))
    return int(text)


def _interrupt(number: int, frame: Optional[FrameType]) -> None:
    """A signal ends the sandbox as Ctrl-C does."""
    raise KeyboardInterrupt()


def _fill_standard_descriptors() -> None:
    """Let nothing of ours be opened as one of the first three, which children get replaced."""
    number = os.open(os.devnull, os.O_RDWR)
    while number < 3:
        number = os.open(os.devnull, os.O_RDWR)
    os.close(number)


def describe(pool: Pool) -> List[str]:
    """The sandbox in two short texts: its hosts and addresses, and its settings."""
    common = pool.config.common
    first, last = pool.hosts[0].address, pool.hosts[-1].address
    block = first if len(pool.hosts) == 1 else "{} to .{}".format(first, last.split(".")[-1])
    return ["{} host{}  {}  UDP {}".format(
        len(pool.hosts), "" if len(pool.hosts) == 1 else "s", block, pool.port),
        "watchdog {}  t {}  T {}  Wh {}  Ws {} s".format(*[pool.settings.watchdog] + [
            value // 1000 for value in (
                common.heartbeat_interval_ms, common.heartbeat_timeout_ms,
                common.heartbeat_watchdog_timeout_ms, common.statefile_watchdog_timeout_ms)])]


class _Sandbox:
    """A sandbox that runs."""

    def __init__(self, pool: Pool, caretaker: Caretaker) -> None:
        self._pool = pool
        self._caretaker = caretaker
        self._screen = Screen(pool.settings.colour, *describe(pool))
        self._watch = Watch(pool, self._screen.show)
        self._program = shlex.quote(os.path.abspath(sys.argv[0]))
        self._prompt = Prompt(pool, self._watch, self._screen, self._program,
                              self._wait_for_reader, self._tour_on_request)
        self._refused = False

    def play(self) -> int:
        """Everything from the first daemon to the last command."""
        summary = []    # type: List[str]
        try:
            self._open_screen()
            self._watch.start()
            if self._pool.settings.tour:
                result = tour.Tour(self._pool, self._watch, self._screen, self._prompt).play()
                summary = result.summary
                return ExitCode.SUCCESS if result.met else ExitCode.SYSTEM_ERROR
            formed = self._form()
            self._talk()
            if self._refused and not os.isatty(0):
                return ExitCode.INVALID_PARAMETER
            return ExitCode.SUCCESS if formed else ExitCode.SYSTEM_ERROR
        finally:
            try:
                self._watch.stop()
            finally:
                self._screen.close()
            for line in summary:
                self._screen.line([("", line)])

    def _open_screen(self) -> None:
        """A live picture, where somebody looks at it; commands from a pipe get lines."""
        types = sys.stdin is not None and sys.stdin.isatty()
        if not (types or self._pool.settings.tour):
            return
        if self._screen.open(len(self._pool.hosts)):
            self._caretaker.mind_terminal(screen.RESTORE)
            # Stopped by Ctrl-Z it would leave its screen to the shell.
            signal.signal(signal.SIGTSTP, signal.SIG_IGN)

    def _form(self) -> bool:
        """Start all hosts and wait until they are online; whether they are."""
        for host in self._pool.hosts:
            host.start()
        everyone = frozenset(range(len(self._pool.hosts)))
        common = self._pool.config.common

        def decided(facts: sandboxfacts.PoolFacts) -> bool:
            return sandboxfacts.agree_on(facts, everyone) or any(
                host.state in sandboxfacts.ENDED for host in facts.hosts)
        self._watch.wait(decided, lifecycle.start_bound_s(common))
        formed = sandboxfacts.agree_on(self._watch.facts, everyone)
        if formed:
            self._screen.say("All hosts are online.  `help` lists what you can do to them.", "bold")
        else:
            self._screen.say("The pool did not form; `log HOST` tells why.", "red")
        if self._pool.settings.keep:
            self._screen.say("Everything is in {} and stays there; `env HOST` prints how to "
                             "use the ha_* commands with a host.".format(self._pool.directory))
        return formed

    # ---- the talk

    def _talk(self) -> None:
        """Carry out commands until there are no more."""
        _offer_line_editing(self._screen)
        while True:
            try:
                line = self._next_line()
            except EOFError:
                return
            try:
                self._prompt.run(line)
            except XhaError as error:
                self._refused = True
                self._screen.say(str(error), "red")
            except sandboxprompt.Quit:
                return

    def _next_line(self) -> str:
        """A line that somebody typed, or of a pipe.  Raises EOFError: there are no more."""
        try:
            if sys.stdin is not None and sys.stdin.isatty() and sys.stdout is not None:
                return input(_PROMPT)
            line = sys.stdin.readline() if sys.stdin is not None else ""
        except UnicodeDecodeError:
            # Refused as a command that there is not.
            line = "?" * 3 + "\n"
        if not line:
            raise EOFError()
        self._screen.line([("bold", _PROMPT + line.strip())])
        return line

    def _wait_for_reader(self) -> None:
        """A long text is on the screen: go on when it was read."""
        try:
            input("-- Enter: back to the picture -- ")
        except EOFError:
            pass

    def _tour_on_request(self) -> None:
        if len(self._pool.hosts) < tour.HOSTS_MIN:
            raise XhaError(ExitCode.INVALID_PARAMETER, "the tour needs {} hosts".format(
                tour.HOSTS_MIN))
        facts = self._watch.fresh()
        if sandboxfacts.broken(facts) or not sandboxfacts.calm(facts):
            raise XhaError(ExitCode.INVALID_PARAMETER, "the tour begins with a healthy pool: heal, "
                           "disk ok all, start all, wait")
        result = tour.Tour(self._pool, self._watch, self._screen, self._prompt).play()
        self._screen.long("\n".join(result.summary), self._wait_for_reader)


def _offer_line_editing(out: Screen) -> None:
    """Line editing and history, where this Python has readline and somebody types."""
    if not (sys.stdin and sys.stdin.isatty() and sys.stdout.isatty()):
        return
    try:
        import readline
    except ImportError:
        out.typed = lambda: _PROMPT
        return
    out.typed = lambda: _PROMPT + readline.get_line_buffer()
