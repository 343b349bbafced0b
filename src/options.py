"""What a daemon is told when it is started, and how it says why it could not."""

import os
import shlex
from typing import Any, Dict, NamedTuple, Optional, Tuple

from xha.child import Work
from xha.errors import ExitCode, XhaError
from xha.paths import Paths
from xha.records import record

#: Longest report, bytes: a pipe takes so much without blocking (Linux, PIPE_BUF).
REPORT_MAX = 4096

#: The programs of dom0 that the daemon runs: the option and the environment variable that name
#: another, and what is run else.  Source: spec 8.
HOOKS = {
    Work.CHECK: ("--health-check", "XHA_HEALTH_CHECK",
                 "/opt/xensource/libexec/xapi-health-check"),
    Work.RESTART: ("--restart-xapi", "XHA_RESTART_XAPI", "systemctl restart xapi.service"),
    Work.LICENSE: ("--license-check", "XHA_LICENSE_CHECK", "/opt/xensource/libexec/xha-lc"),
}


@record
class DaemonOptions(NamedTuple):
    """The command line of `daemon`, checked."""

    # Path of the configuration.
    config: str
    paths: Paths
    # Instead of the configuration's <FenceCommand>; "" for that.
    fence_command: str
    # Command lines by what they do, split like a shell would.
    hooks: Dict[Work, str]
    # End with 2 where a real-time privilege is missing, instead of going on with a warning.
    require_realtime: bool
    # Fault points may be set by `fault`; so they may when any is given here.
    enable_faults: bool
    # Fault points set from the start, as `name` or `name=value`; not yet checked.
    fault_points: Tuple[str, ...]
    # Descriptor of a pipe to start-daemon for the reason of a failed start; -1: it is run by
    # hand, and standard error gets the reason, and the log's lines where its file takes none.
    report_fd: int


def hooks(arguments: Dict[str, Any]) -> Dict[Work, str]:
    """The command lines of the hooks: from the options, else the environment, else dom0's.

    Raises:
        XhaError: INVALID_PARAMETER: one that is no command line.
    """
    found = {}
    for work, (option, variable, usual) in HOOKS.items():
        line = arguments.get(option) or os.environ.get(variable, "") or usual
        try:
            if not shlex.split(line):
                raise ValueError("it is empty")
        except ValueError as error:
            raise XhaError(ExitCode.INVALID_PARAMETER, "{} {!r} is no command line: {}".format(
                work.value, line, error)) from error
        found[work] = line
    return found


def report(report_fd: int, code: ExitCode, text: str) -> None:
    """Tell whoever started the daemon that it ends, and why: one line, the last.

    It is said before anything that can hang: in the kernel, a thread that a disk holds keeps
    its process from ending.  Never raises, never blocks long.

    Args:
        report_fd: ``DaemonOptions.report_fd``; a pipe gets the code, too (see ``reported``).
        code: with which the daemon ends.
        text: one line without its end; anything but printable ASCII is escaped.
    """
    if report_fd >= 0:
        text = "{} {}".format(int(code), text)
    line = " ".join(text.split()).encode("ascii", "backslashreplace")[:REPORT_MAX - 1] + b"\n"
    try:
        os.write(2 if report_fd < 0 else report_fd, line)
    except OSError:
        pass        # Nobody listens any more; the reason is in the log.


def reported(data: bytes) -> Optional[Tuple[int, str]]:
    """The code and the reason of the last whole line that ``report`` wrote; None: none yet."""
    lines = data.decode("ascii", "backslashreplace").split("\n")[:-1]
    code, _, text = lines[-1].partition(" ") if lines else ("", "", "")
    return (int(code), text) if code.isdigit() else None
