"""The command `hold`: its help, and what it asks of the daemon.  Source: docs/holds.md."""

from typing import Any, Dict

#: The docopt text without the common options, as in ``usage``.
TEXT = """Suspend for a while what would reset this host during planned work; it ends by itself.

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
  --end                    end the hold now"""


def run(arguments: Dict[str, Any]) -> int:
    """Run `hold`.

    Raises:
        XhaError: INVALID_PARAMETER: what was written is no length, or a wrong one.
    """
    from xha import commands, holdterm
    from xha.errors import ExitCode, FormatError, XhaError
    paths = commands.paths_of(arguments)
    if not arguments["xapi"]:
        return commands.ask(paths, "hold", "list")
    text = holdterm.END if arguments["--end"] else arguments["DURATION"]
    try:
        if not arguments["--end"]:
            holdterm.length_ms(text, holdterm.XAPI_MOST_MS)
    except FormatError as error:
        raise XhaError(ExitCode.INVALID_PARAMETER, str(error)) from error
    return commands.ask(paths, "hold", "xapi", text)
