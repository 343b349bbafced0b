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
}  # type: Dict[str, str]


def timing(arguments: Dict[str, Any]) -> int:
    """Run `timing`."""
    from xha import timingview
    return int(timingview.run(arguments))


COMMANDS = {"timing": timing}
