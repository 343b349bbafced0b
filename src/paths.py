"""Where the files of a daemon are, so that a machine can run many.

Without any setting: the places that xapi, logrotate and the original's tools
expect (spec 6, 7, 8).  ``XHA_RUN_DIR`` (or ``--run-dir``) moves everything
that lives until the next boot into one directory; ``XHA_STATE_DIR`` what
survives it; ``XHA_LOG_FILE`` the log.  On the path of every hot command:
imports nothing beyond ``os``.
"""

import os

RUN_DIR = "/run/xha"
STATE_DIR = "/var/lib/xha"
LOG_FILE = "/var/log/xha.log"
CONFIG_FILE = "/etc/xensource/xhad.conf"

#: Longest path of a Unix socket, bytes, less its NUL (Linux, sun_path).
SOCKET_PATH_MAX = 107


class Paths:
    """The file names of one daemon."""

    __slots__ = ("run_dir", "state_dir", "log_file", "socket", "lock", "watchdog_ids",
                 "watchdog_record", "weight")

    def __init__(self, run_dir: str = "", state_dir: str = "", log_file: str = "") -> None:
        """Take each from its argument, else from the environment, else the usual place."""
        environ = os.environ
        self.run_dir = run_dir or environ.get("XHA_RUN_DIR", "") or RUN_DIR
        self.state_dir = state_dir or environ.get("XHA_STATE_DIR", "") or (
            STATE_DIR if self.run_dir == RUN_DIR else self.run_dir)
        self.log_file = log_file or environ.get("XHA_LOG_FILE", "") or (
            LOG_FILE if self.run_dir == RUN_DIR else self.run_dir + "/xha.log")
        # The original's own places, which other programs of dom0 know.
        shared = "/var/run" if self.run_dir == RUN_DIR else self.run_dir
        self.socket = self.run_dir + "/control"
        self.lock = shared + "/xhad.lock"
        self.watchdog_ids = shared + "/xhad.wd.id"
        self.watchdog_record = self.run_dir + "/watchdog.json"
        self.weight = shared + "/xhad.weight"


def program_of(name: str) -> str:
    """The path of the program that a shell would run for ``name``; "" when there is none.

    ``shutil`` has this, too, and two compressors with it, for which a daemon has no memory.
    """
    folders = [""] if "/" in name else os.get_exec_path()
    for path in [os.path.join(folder, name) for folder in folders]:
        if os.path.isfile(path) and os.access(path, os.X_OK):
            return path
    return ""
