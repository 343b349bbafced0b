"""The configuration's file: never one that could be waited for.

``config`` is pure and only opens what it is given; a pipe in the file's place
would hold a script, and with it HA on this host, for ever.  Source: spec 2, spec 6 ("a script
that hangs stops HA on that host").
"""

import os
import stat

from xha import config
from xha.errors import ExitCode, XhaError


def load(path: str) -> config.Config:
    """The configuration in a file.

    Raises:
        XhaError: CANNOT_READ_CONFIG: it is a pipe; or as ``config.load``.
    """
    try:
        mode = os.stat(path).st_mode
    except (OSError, ValueError):
        return config.load(path)    # It says what is wrong.
    if stat.S_ISFIFO(mode):
        raise XhaError(ExitCode.CANNOT_READ_CONFIG,
                       "{}: a pipe, expected the configuration's file".format(path))
    return config.load(path)
