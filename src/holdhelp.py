"""The commands that weaken HA for a while: their help, and what they ask of the daemon.

Source: docs/holds.md.
"""

from typing import Any, Dict, Tuple

#: By command: the docopt text without the common options, as in ``usage``.
TEXTS = {
    "hold": """Let the toolstack be restarted or upgraded: its health is not checked for a while.

Usage: xha.pyz hold [options]
       xha.pyz hold xapi (DURATION | --end) [options]

  xha.pyz hold xapi 5m        then restart or upgrade the toolstack
  xha.pyz hold xapi --end     you are done before
  xha.pyz hold                what is held on this host, and for how long yet

While xapi is held its health is not checked: it may be down, and neither is it restarted nor
does this host fence itself.  Heartbeats, the State-File and the fault handler go on: a host that
is lost is fenced as ever.  No restart of xapi is spent.  When the hold ends xapi is checked at
once; one that does not work by then is restarted, or this host fences itself.

DURATION is 1s to 1h, as 90s, 5m or 1h.  It is counted from now: another hold takes the place of
the first, and may be longer or shorter.  A hold ends by itself, and with the daemon.  Every host's
status shows it, and the log says when it begins and ends.  It is of this host alone.

Ends with 0, also when there was none to end; with 1 when DURATION is wrong, 14 without a daemon.

Options:
  --end                    end the hold now""",
    "disarm-fencing": """Stop both watchdog timers: this host will not be reset when it leaves.

Usage: xha.pyz disarm-fencing [options]

  xha.pyz disarm-fencing              for a clean stop: then set-excluded, stop-daemon
  xha.pyz disarm-fencing --for=30m    for work; every host shows how long it is meant for

A disarmed host takes no part in decisions about others.  IT DOES NOT ARM ITSELF AGAIN, also not
when the time of --for is over: it has told the others that it gives no sign of life, so one may
be about to drop it without waiting for its reset.  Then the status of every host says so, and its
log every 10 minutes.  To arm it: move its virtual machines away, stop-daemon, start-daemon.

DURATION is 1s to 12h, as 90s, 30m or 1h30m, counted from now; what is asked for last counts.
Ends with 1 when it is wrong, 17 when this host is not online, 14 without a daemon.

Options:
  --for=DURATION           how long it is meant to be disarmed""",
}  # type: Dict[str, str]


def term_of(arguments: Dict[str, Any]) -> Tuple[str, ...]:
    """The arguments of `disarm-fencing`, as the daemon takes them.

    Raises:
        XhaError: INVALID_PARAMETER: what was written is no length, or a wrong one.
    """
    from xha import holdterm
    text = arguments["--for"]
    return () if text is None else (_checked(text, holdterm.DISARM_MOST_MS),)


def run(arguments: Dict[str, Any]) -> int:
    """Run `hold`.

    Raises:
        XhaError: INVALID_PARAMETER: what was written is no length, or a wrong one.
    """
    from xha import commands, holdterm
    paths = commands.paths_of(arguments)
    if not arguments["xapi"]:
        return commands.ask(paths, "hold", "list")
    return commands.ask(paths, "hold", "xapi", holdterm.END if arguments["--end"]
                        else _checked(arguments["DURATION"], holdterm.XAPI_MOST_MS))


def _checked(text: str, most_ms: int) -> str:
    from xha import holdterm
    from xha.errors import ExitCode, FormatError, XhaError
    try:
        holdterm.length_ms(text, most_ms)
    except FormatError as error:
        raise XhaError(ExitCode.INVALID_PARAMETER, str(error)) from error
    return text
