"""The original's names: which of them are our commands, and the help of its own utilities.

Its scripts take what ours take, so they are the same commands; its utilities
have a grammar of their own.  Source: spec 6, "Subcommands".
"""

from typing import Dict

#: The original's names of commands that are called as ours are.
SAME_AS = {
    "ha_query_liveset": "query-liveset", "ha_propose_master": "propose-master",
    "ha_disarm_fencing": "disarm-fencing", "ha_set_pool_state": "set-pool-state",
    "ha_set_excluded": "set-excluded", "ha_clear_excluded": "clear-excluded",
    "ha_start_daemon": "start-daemon", "ha_stop_daemon": "stop-daemon",
    "ha_set_host_weight": "set-host-weight", "cleanupwatchdog": "cleanup-watchdog",
}  # type: Dict[str, str]

#: The docopt texts of its utilities.
TEXTS = {
    "xhad": """The original's name of the daemon.

Usage: xha.pyz xhad CONFIG [FAULT ...]
       xha.pyz xhad (-h | --help)

Same as: daemon --config=CONFIG.
""",
    "calldaemon": """The original's way to ask the daemon.

Usage: xha.pyz calldaemon VERB [ARGUMENT ...]
       xha.pyz calldaemon (-h | --help)

VERB is query_liveset, propose_master, cancel_master, disarm_fencing, set_pool_state active
or invalid, set_excluded, clear_excluded, pid, gethoststate, buildid, reload_host_weight,
getlogmask, setlogmask LEVEL..., resetlogmask LEVEL... (as log-mask: names of levels, no bits),
privatelog [on | off] (whether the log file is written), dumpcom (all that the daemon knows, as
query-liveset --format=json tells it), or fist followed by list, set POINT or clear POINT.  Ends
with 14 without a daemon.
""",
    "writestatefile": """The original's way to change the State-File without a daemon.

Usage: xha.pyz writestatefile (setinit | setactive | setinvalid | setex | clearex) [CONFIG]
       xha.pyz writestatefile (-h | --help)
""",
    "dumpstatefile": """The original's dump of a State-File.

Usage: xha.pyz dumpstatefile [PATH]
       xha.pyz dumpstatefile (-h | --help)

Same as: dump-statefile --format=original [PATH].
""",
    "weightctl": """The original's way to change the weights, without telling the daemon.

Usage: xha.pyz weightctl [CLASS WEIGHT]
       xha.pyz weightctl (-h | --help)

Without arguments: shows them.
""",
    "ha_null": """Do nothing, successfully, whatever the arguments.

Usage: xha.pyz ha_null [ARGUMENT ...]
""",
}  # type: Dict[str, str]
