"""The commands that examine a host or a configuration: their help, and where they are.

Source: spec 9, doctor; docs/timing.md, docs/doctor.md.
"""

from typing import Any, Dict

#: By command: the docopt text without the common options, as in ``usage``.
TEXTS = {
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
the first failure in the order of a start.  6 or 7: configuration; 2: run directory, interface
or address, UDP port; 8: State-File; 12: the firewall drops heartbeats; 4: watchdog, or timers of
a daemon that died armed; 9, 10, 11: what is on the State-File; 16: xapi cannot be checked, which
would reset this host later.  The JSON is described in docs/doctor.md.

Options:
  --pool                   and what is known of the other hosts: versions, clocks, unsealed ones
  --seconds=N              how long the State-File is read, 0 to 600; if not said 3, and for
                           the other hosts as long as all that run take to write
  --format=FORM            text or json [default: text]""",
}  # type: Dict[str, str]


def timing(arguments: Dict[str, Any]) -> int:
    """Run `timing`."""
    from xha import timingview
    return int(timingview.run(arguments))


def doctor(arguments: Dict[str, Any]) -> int:
    """Run `doctor`."""
    from xha import doctor as command
    return int(command.run(arguments))


COMMANDS = {"timing": timing, "doctor": doctor}
