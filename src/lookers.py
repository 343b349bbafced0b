"""The commands that look at this host and never change it: their help, and where they are.

Light: every command that is not a hot one imports this.  See ``usage`` for the
help, which is docopt's grammar too.  Source: spec 9; docs/status.md, docs/metrics.md,
docs/timing.md, docs/doctor.md.
"""

from typing import Any, Callable, Dict

from xha import timelinehelp, whyhelp


def _status(arguments: Dict[str, Any]) -> int:
    from xha import status
    return int(status.run(arguments))


def _metrics(arguments: Dict[str, Any]) -> int:
    from xha import metrics
    return int(metrics.run(arguments))


def _timeline(arguments: Dict[str, Any]) -> int:
    from xha import timeline
    return int(timeline.run(arguments))


def _timing(arguments: Dict[str, Any]) -> int:
    from xha import timingview
    return int(timingview.run(arguments))


def _why(arguments: Dict[str, Any]) -> int:
    from xha import why
    return int(why.run(arguments))


def _schema(arguments: Dict[str, Any]) -> int:
    from xha import schemas
    return int(schemas.run(arguments))


def _simulate(arguments: Dict[str, Any]) -> int:
    from xha import simulate
    return int(simulate.simulate(arguments))


def _what_if(arguments: Dict[str, Any]) -> int:
    from xha import simulate
    return int(simulate.what_if(arguments))


def _doctor(arguments: Dict[str, Any]) -> int:
    from xha import doctor
    return int(doctor.run(arguments))


COMMANDS = {"status": _status, "metrics": _metrics, "timeline": _timeline, "timing": _timing,
            "doctor": _doctor, "schema": _schema, "why": _why, "explain": _why,
            "simulate": _simulate, "what-if": _what_if
            }  # type: Dict[str, Callable[[Dict[str, Any]], int]]

#: Of these, what anybody may run who can read the files; the others are root's.
FOR_EVERYBODY = ("timing", "doctor", "timeline", "schema", "why", "explain", "simulate",
                  "what-if")

#: By command: the docopt text without the common options, as in ``usage``.
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
    "timing": """From a fault to the survivors' liveset, second by second, for this configuration.

Usage: xha.pyz timing [options]

Shows when a host that stops is noticed, given up, reset and dropped, at the earliest and at the
latest, for hosts that run xha and for those that still run xhad; the inequality that makes HA
safe (the latest reset is before the earliest drop) and by how much it holds; how long each step
of the fault handler may take; and all configured times.

Where this host's daemon runs, the latencies that it has measured are set against these times:
T is too low, enough, or could be lower.  Looking has no side effect.  Without a daemon, or with
the State-File gone, the configuration is enough.  The JSON is described in docs/timing.md.

Ends with 0; with 6 or 7 when the configuration cannot be read, or is wrong.

Options:
  --format=FORM            text or json [default: text]""",
    "doctor": """Is this host fit for HA?  Looks at everything, and changes nothing.

Usage: xha.pyz doctor [--pool] [--seconds=N] [options]

Before HA is enabled, and at any time, beside an armed daemon too: the State-File is only read,
no watchdog timer is taken, no port is bound.  Each finding is ok, a warning, a failure, or
UNKNOWN (it cannot be told from here), with why and what to do.  Looked at are: configuration,
daemon, Python and the archive's compiled parts, directories and their room, State-File (device,
how quickly it answers, what is on it), interface and address, bond, UDP port, firewall,
real-time privileges, watchdog and who else uses it, timers that a dead daemon left, time-outs
against each other and against what the daemon has measured, clock source, xapi's health check.

Ends with 0 when there is no failure, else with the code with which a start would end: that of
the first failure in the order of a start.  6 or 7: configuration; 3: the daemon does not answer;
2: run directory, interface or address, UDP port; 8: State-File; 12: the firewall drops heartbeats;
4: watchdog, or timers of a daemon that died armed; 9, 10, 11: what is on the State-File; 16: xapi
cannot be checked, which would reset this host later.  The JSON is described in docs/doctor.md.

Options:
  --pool                   and what is known of the other hosts: versions, configurations and
                           time-outs, clocks, unsealed ones
  --seconds=N              how long the State-File is read, 0 to 600; if not said 3, and for
                           the other hosts as long as all that run take to write
  --format=FORM            text or json [default: text]""",
    "timeline": timelinehelp.TEXT,
    "schema": """The JSON Schema of what a view prints with --format=json.

Usage: xha.pyz schema [VIEW]

  xha.pyz schema              which views have one
  xha.pyz schema status       that of `status --format=json`, draft 7; needs no other file

It is of this very build, and closed: what is not in it is not printed.  Within a version of a
view, names may be added and keep their meaning; docs/schemas/README.md says more.

Ends with 0; with 1 when no such view has a schema.""",
}  # type: Dict[str, str]
TEXTS.update(whyhelp.TEXTS)
