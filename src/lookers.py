"""The commands that look at this host and never change it: their help, and where they are.

Light: every command that is not a hot one imports this.  See ``usage`` for the
help, which is docopt's grammar too.
"""

from typing import Any, Callable, Dict

from xha import explainhelp, timelinehelp


def _status(arguments: Dict[str, Any]) -> int:
    from xha import status
    return int(status.run(arguments))


def _metrics(arguments: Dict[str, Any]) -> int:
    from xha import metrics
    return int(metrics.run(arguments))


def _timeline(arguments: Dict[str, Any]) -> int:
    from xha import timeline
    return int(timeline.run(arguments))


COMMANDS = {"status": _status, "metrics": _metrics, "timeline": _timeline
            }  # type: Dict[str, Callable[[Dict[str, Any]], int]]

TEXTS = {
    "status": """What this host knows of its pool, on one screen.

Usage: xha.pyz status [options]

  xha.pyz status              once; what must be known now is said in words, the gravest first
  xha.pyz status --watch      again every second, in place; Ctrl-C ends it, with 0
  xha.pyz status --format=json | jq .concerns

Looking has no side effect.  Without a daemon it shows what the State-File says, which it only
reads, and without that what the configuration says.  In the matrices a row is whom that host
notices: O lately, o more than half the time-out ago, . not, ? nothing is known.

Ends with 0 when the daemon answered; when none did, and after all that is known: with 14 when
there is none, 3 when it does not answer in time, 2 when it is of another version.  Takes
at most 5 s, whatever hangs.  docs/status.md explains each word, and the JSON.

Options:
  --watch                  show it again every second; a daemon may go and come back
  --format=FORM            text or json [default: text]
  --no-colour              no colours; NO_COLOR in the environment does the same
  --no-color               the same""",
    "metrics": """This host's facts for a monitoring system, as OpenMetrics text.

Usage: xha.pyz metrics [options]

  xha.pyz metrics
  xha.pyz metrics --output=/var/lib/node_exporter/xha.prom      from cron, each minute

For node_exporter's textfile collector.  The file is replaced as a whole, or left as it was.
Without a daemon that answers there is xha_up 0 and what the configuration says, and the command
ends with 0 all the same: alert on xha_up.  Looking has no side effect.  docs/metrics.md lists
every metric, and alerts to begin with.

Ends with 0; with 2 when the output cannot be written.

Options:
  --output=FILE            write there instead of to standard output""",
}  # type: Dict[str, str]
COMMANDS.update(explainhelp.COMMANDS)
TEXTS.update(explainhelp.TEXTS)
TEXTS["timeline"] = timelinehelp.TEXT
