"""The licence check before the start: a program that dom0 may or may not have.

If it is there it is run once, and this host starts only when it ends with 0
in time.  Where there is none, every host is licensed.  A program that is there
and cannot be run has not said that the host is licensed.  Source: spec 8,
"Licence".
"""

import os
import shlex
from typing import Callable

from xha.child import Job, Work
from xha.errors import ExitCode, XhaError
from xha.paths import program_of
from xha.xapimonitor import Runner


def check(command: str, timeout_ms: int, clock_ms: Callable[[], int]) -> None:
    """Run the licence check; waits for it, at most ``timeout_ms`` and its killing.

    Args:
        command: a command line that can be split; its first word need not exist.

    Raises:
        XhaError: IMPROPER_LICENSE.
    """
    program = shlex.split(command)[0]
    if not (os.path.exists(program) if "/" in program else program_of(program)):
        return
    ended = Runner({Work.LICENSE: command}, clock_ms).run(
        Job(work=Work.LICENSE, ticket=1, timeout_ms=timeout_ms))
    if not ended.good:
        raise XhaError(ExitCode.IMPROPER_LICENSE, "this host is not licensed for HA: {} (run {} "
                       "by hand to see why)".format(ended.words, program))
