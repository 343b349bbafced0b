"""What every command is for and how it is called: the help, and docopt's grammar.

A command's grammar is its docopt text; ``help_of`` shows that text as it is, so
help and grammar cannot differ.
"""

from typing import Any, Dict, List

from xha import holdhelp, installhelp, keychange, lookers
from xha.errors import ExitCode, XhaError
from xha.oldnames import SAME_AS, TEXTS

_COMMON = """
  -C FILE, --config=FILE   the configuration [default: /etc/xensource/xhad.conf]
  --run-dir=DIR            where the daemon keeps its files, instead of /run/xha
                           (also: XHA_RUN_DIR in the environment)
  -h, --help               this text
"""

#: Groups of commands in the order of the help: title, then name and one line for each.
GROUPS = [
    ("See", [
        ("status", "what this host knows of its pool, on one screen, and what is wrong"),
        ("query-liveset", "what this host knows of the pool: xml (for xapi), json or text"),
        ("host-state", "print Starting or Online"),
        ("pid", "print the daemon's process number"),
        ("build-id", "print which xha this is"),
        ("dump-statefile", "show every field of a State-File; never writes"),
        ("metrics", "this host's facts for a monitoring system, as OpenMetrics text"),
        ("doctor", "is this host fit for HA?  What is wrong, and what to do"),
        ("timing", "from a fault to the survivors' liveset, second by second; is T right?"),
        ("timeline", "what happened, from the flight recorders of one host or many"),
        ("schema", "the JSON Schema of what a view prints, for programs"),
        ("why", "why was a host fenced, why did it not start, why was it lost"),
        ("explain", "the same"),
    ]),
    ("Run", [
        ("start-daemon", "start the daemon and wait until this host is online"),
        ("stop-daemon", "stop the daemon and wait until it is gone"),
        ("daemon", "be the daemon, in the foreground"),
    ]),
    ("Change", [
        ("propose-master", "propose this host as pool master; print TRUE or FALSE"),
        ("cancel-master", "give the master lock back"),
        ("disarm-fencing", "let this host leave without being reset"),
        ("hold", "let the toolstack be restarted or upgraded; ends by itself"),
        ("set-pool-state", "init, active or invalid: begin HA, run it, end it"),
        ("set-excluded", "note on the State-File that this host leaves on purpose"),
        ("clear-excluded", "take that note back"),
        ("set-host-weight", "how much this host counts when the pool must choose who lives"),
        ("reload-host-weight", "let the daemon read the weights again"),
    ]),
    ("Put on a host", [
        ("install", "make this host's cluster stack serve this file; keeps what was there"),
        ("uninstall", "put back what was there"),
    ]),
    ("Repair and try", [
        ("write-statefile", "init, active, invalid, exclude, include, rotate-key"),
        ("cleanup-watchdog", "stop the timers that a dead daemon left"),
        ("log-mask", "which levels of messages the daemon logs"),
        ("fault", "switch fault points of a daemon that was started for them"),
        ("what-if", "what this pool would do if: a line, or many, in words"),
        ("simulate", "scenarios of a virtual pool, and campaigns of random ones"),
        ("sandbox", "a pool of daemons on this one machine, to look at and to break"),
    ]),
]

_TOP = """xha: high availability for Xen pools.

Usage:
  xha.pyz COMMAND [arguments]
  xha.pyz COMMAND --help      what the command does, and its exit codes
  xha.pyz --version
{groups}
The original's names are commands too, and work as links to this file: ha_start_daemon,
ha_stop_daemon, ha_query_liveset, ha_propose_master, ha_disarm_fencing, ha_set_pool_state,
ha_set_excluded, ha_clear_excluded, ha_set_host_weight, ha_null, xhad, calldaemon,
writestatefile, dumpstatefile, cleanupwatchdog, weightctl.

Exit codes: 0 success, 1 wrong usage, 2 system error, 3 try again, 4 watchdog, 5 licence,
6 configuration cannot be read, 7 or is wrong, 8 State-File cannot be accessed, 9 or is not
valid, 10 or of another generation, 11 pool state forbids it, 12 start took too long, 13 the
liveset cannot be joined, 14 no daemon, 15 a daemon runs, 16 not root or the like, 17 not
online, 18 excluded while others are not, 19 excluded while running, 127 a bug of xha.
"""

#: By command: the docopt text without the common options, which follow "Options:".
_TEXTS = {
    "query-liveset": """What this host knows of the pool, from its daemon.

Usage: xha.pyz query-liveset [options]

Ends with 14 when no daemon runs.  Looking has no side effect; only the name
ha_query_liveset, by which xapi calls, begins the largest and smallest latencies anew.
The three forms are described in docs/query-liveset.md.

Options:
  --format=FORM            xml, json or text [default: xml]""",
    "propose-master": """Propose this host as pool master, and wait for the election.

Usage: xha.pyz propose-master [options]

Prints TRUE when this host is the master, else FALSE.  Takes at most the longer of T1 and
T2, and 10 s more.  Ends with 17 when this host is not online, 14 without a daemon.

Options:""",
    "cancel-master": """Give the master lock back, so that another host can be elected.

Usage: xha.pyz cancel-master [options]

Ends with 3 when that could not be written in time, 14 without a daemon.

Options:""",
    "set-pool-state": """Begin HA, run it, or end it, for the whole pool.

Usage: xha.pyz set-pool-state (init | active | invalid) [options]

init writes a new State-File and is refused with 15 while a daemon runs.  active and
invalid go through the daemon where one runs, else directly.  Invalid ends all daemons of
the pool, without a reset.

Options:""",
    "set-excluded": """Note on the State-File that this host leaves on purpose.

Usage: xha.pyz set-excluded [options]

The others then need not wait for it.  A daemon that runs ends with 19; disarm-fencing
first, or the host is reset.  Ends with 11 unless the pool is active.

Options:""",
    "clear-excluded": """Take back that this host left on purpose.

Usage: xha.pyz clear-excluded [options]

A daemon that starts does so by itself.  Ends with 11 unless the pool is active.

Options:""",
    "set-host-weight": """How much this host counts when its pool must choose who lives.

Usage: xha.pyz set-host-weight CLASS WEIGHT [options]

The weight of a host is 1 and the sum of its classes, which live until it boots; 0 removes a
class.  At most 16 classes with names of 1 to 64 letters without blanks, weights 0 to 65535;
class native is built in.  Ends with 0 also without a daemon, which reads them at its start;
with 3 when the file is being changed by another process.

Options:""",
    "reload-host-weight": """Let the daemon read the weights again.

Usage: xha.pyz reload-host-weight [options]

The weight counts from the next fault on.  Ends with 2, and nothing changes, when the file
is malformed; with 3 when it is being changed; with 14 without a daemon.

Options:""",
    "host-state": """Print Starting or Online.

Usage: xha.pyz host-state [options]

Ends with 14 without a daemon.

Options:""",
    "pid": """Print the daemon's process number.

Usage: xha.pyz pid [options]

Ends with 14 without a daemon.

Options:""",
    "build-id": """Print which xha this file is (of the daemon that runs: calldaemon buildid).

Usage: xha.pyz build-id [options]

Options:""",
    "start-daemon": """Start the daemon and wait until this host is online.

Usage: xha.pyz start-daemon [options] [FAULT ...]

Ends with 0 when this host is online; with the daemon's exit code, and its reason on
standard error, when it gave up; with 15 when a daemon runs already; with 4 when timers of
a daemon that died armed still run, for then this host is about to be reset.

Options:
  --fence-command=COMMAND  what a host without Xen runs to reset itself
  --health-check=COMMAND   instead of /opt/xensource/libexec/xapi-health-check
                           (also: XHA_HEALTH_CHECK in the environment)
  --restart-xapi=COMMAND   instead of `systemctl restart xapi.service` (XHA_RESTART_XAPI)
  --license-check=COMMAND  instead of /opt/xensource/libexec/xha-lc (XHA_LICENSE_CHECK)
  --require-realtime       fail where real-time privileges are missing
  --enable-faults          let `fault` set fault points; implied by any FAULT""",
    "stop-daemon": """Stop the daemon and wait until it is gone.

Usage: xha.pyz stop-daemon [options]

Ends with 0, also when there was none; with 3 when it is still there after a minute.  A
daemon whose fencing is armed leaves its timers running: THE HOST IS THEN RESET.  Disarm
first.

Options:""",
    "daemon": """Be the daemon, in the foreground, until SIGTERM.  SIGHUP opens the log anew.

Usage: xha.pyz daemon [options] [FAULT ...]

Options:
  --fence-command=COMMAND  what a host without Xen runs to reset itself
  --health-check=COMMAND   instead of /opt/xensource/libexec/xapi-health-check
                           (also: XHA_HEALTH_CHECK in the environment)
  --restart-xapi=COMMAND   instead of `systemctl restart xapi.service` (XHA_RESTART_XAPI)
  --license-check=COMMAND  instead of /opt/xensource/libexec/xha-lc (XHA_LICENSE_CHECK)
  --require-realtime       fail where real-time privileges are missing
  --enable-faults          let `fault` set fault points; implied by any FAULT
  --report-fd=NUMBER       descriptor that gets the reason of a failed start [default: -1];
                           without it standard error gets that, and what the log cannot take""",
    "dump-statefile": """Show every field of a State-File; never writes.

Usage: xha.pyz dump-statefile [options] [PATH]
       xha.pyz dump-statefile --diff [options] BEFORE AFTER

PATH is a device or a copied image; without it the State-File of the configuration.  Needs no
root where the file can be read.

Options:
  --format=FORM            text, json or original [default: text]
  --watch                  show it again every second
  --diff                   what differs between two""",
    "cleanup-watchdog": """Stop the timers that a dead daemon left.  By hand only.

Usage: xha.pyz cleanup-watchdog [options]

If that daemon was armed, the other hosts count on this host's reset, and may already run
its virtual machines: look first.  Refused with 15 while a daemon runs.

Options:
  --force                  without a record of them, stop all of Xen's timers""",
    "log-mask": """Which levels of messages the daemon that runs logs.

Usage: xha.pyz log-mask [get] [options]
       xha.pyz log-mask (set | reset) LEVEL... [options]

Prints the levels that are logged.  set puts levels in, reset takes them out: neither the log
file nor syslog gets them.  LEVEL is notice, info, debug, or all of these; err and warning are
always logged.  A daemon begins without debug; syslog never gets info and debug.  Ends with 14
without a daemon.  docs/messages.md shows the level of each message.

Options:""",
    "fault": """Switch fault points, to see what the pool does.

Usage: xha.pyz fault list [options]
       xha.pyz fault set POINT [options]
       xha.pyz fault clear (POINT | all) [options]

POINT is a name, or name=value; a wrong one is answered with all there are.  Refused with 16
unless the daemon was started with --enable-faults.

Options:""",
    "simulate": """A whole pool in this process: the real core of every host in a virtual world.

Usage: xha.pyz simulate --scenario=FILE [--format=FORM] [--html=PAGE] [options]
       xha.pyz simulate --seed=N [--story] [--no-reduce] [options]
       xha.pyz simulate --language
       xha.pyz simulate [--runs=K | --minutes=M] [--first=N] [--jobs=J] [--go-on] [--no-reduce]
                        [options]

With --scenario: tells the story in FILE (- is standard input) and shows who survives, who is
reset and why, when survivors act, and who is master.  A story that begins with `pool of N` brings
its pool; any other happens to the pool of the configuration, or to an invented one (--hosts,
--ha-timeout).  --language prints all that a story can say.

Without: a campaign of random stories, in which every kind of fault occurs; after every event
the invariants are checked, and each healed pool must form again in time.  A story that fails is
printed as the line that repeats it and, shortened, as a scenario.  The same seed and --hosts
give the same history, byte for byte, on every machine.

Ends with 0; with 2 when an invariant was broken, with 3 when a pool did not form again in
time, with 127 when the core itself failed.

Options:
  --scenario=FILE          a story; - is standard input
  --format=FORM            of what became of the pool: text or json [default: text]
  --html=PAGE              write one self-contained page with the timeline drawn, too
  --hosts=N                hosts of an invented pool; of random pools: A-B, from A to B
  --ha-timeout=T           all time-outs of an invented pool follow from it, as xapi derives them
  --seed=N                 one random story, told whole
  --story                  print that story, and tell it not
  --runs=K                 random stories; 200, or what --minutes hold, if not said
  --minutes=M              begin no more stories after so long
  --first=N                the first seed [default: 0]
  --jobs=J                 processes; as many as there are processors if not said
  --go-on                  do not end at the first failure
  --no-reduce              do not shorten what fails
  --language               print the language of stories""",
    "what-if": """What would this pool do?  Each EVENT is one line of a story.

Usage: xha.pyz what-if [--format=FORM] [--html=PAGE] [options] EVENT...

  xha.pyz what-if "cut net of host-b"
  xha.pyz what-if "lose statefile of host-a" "at 60 s: statefile of host-a back"
  xha.pyz what-if "reset host-c"
  xha.pyz what-if "disable HA on host-a only" "crash host-b"
  xha.pyz what-if --hosts=4 --ha-timeout=60 "partition a,b | c,d"

Nothing happens to the pool: the answer is computed, by the very code that its daemons run.  A
host is named by its place in the order of UUIDs (host-a, or a, is the first), by its address or
by its UUID.  `xha.pyz simulate --language` prints all that can happen.  Codes as of simulate.

Options:
  --format=FORM            text or json [default: text]
  --html=PAGE              write one self-contained page with the timeline drawn, too
  --hosts=N                an invented pool of N hosts instead of the configuration's
  --ha-timeout=T           all its time-outs follow from it, as xapi derives them""",
}  # type: Dict[str, str]
_TEXTS.update(TEXTS)
_TEXTS.update(lookers.TEXTS)
_TEXTS.update(holdhelp.TEXTS)
_TEXTS.update(keychange.TEXTS)

#: The command that needs no daemon of this host, and so none of the common options.
_SANDBOX = """A pool of real daemons on this one machine, to look at and to break.

Usage: xha.pyz sandbox [options]

The hosts are processes, the network is the loopback interface, the shared disk is a file, and
a host that is reset is a daemon that ends: nothing here can harm this machine, and nothing is
left behind.  Needs no root.  In a terminal there is a live picture; in a pipe, lines.
Commands are read from standard input; the first is `help`.

Ends with 0; with 1 when a command that came through a pipe was refused; with 2 when the pool
did not form, or the tour did not see what it expected.

Options:
  --hosts=N        how many hosts, 1 to 16 [default: 3]
  --tour           play a guided failover of about 90 s, and end
  --watchdog=MODE  USER: a process resets a host in time; NONE: nothing does [default: USER]
  --timeout=T      T1 and T2 in seconds, 3 to 300; all others follow [default: 5]
  --dir=DIR        an empty directory to work in, instead of a private one
  --keep           leave the directory: configurations, logs and the State-File
  --no-color       no colours; NO_COLOR in the environment does the same
  -h, --help       this text
"""


def commands() -> List[str]:
    """Every name that is a command, but `sandbox`, which has a help of its own."""
    return sorted(set(_TEXTS) | set(SAME_AS) | set(installhelp.TEXTS))


def top() -> str:
    """The help of the whole."""
    groups = ""
    for title, rows in GROUPS:
        groups += "\n{}:\n".format(title) + "".join(
            "  {:18}{}\n".format(name, line) for name, line in rows)
    return _TOP.format(groups=groups)


def help_of(command: str) -> str:
    """The help of a command: its docopt text."""
    if command == "sandbox":
        return _SANDBOX
    if command in installhelp.TEXTS:
        return installhelp.TEXTS[command]
    same = SAME_AS.get(command)
    text = _TEXTS[same or command]
    if same:
        text = text.replace("xha.pyz " + same, "xha.pyz " + command)
    return text + (_COMMON if "Options:" in text else "")


def parse(command: str, words: List[str]) -> Dict[str, Any]:
    """The command line by the command's grammar.

    Raises:
        XhaError: INVALID_PARAMETER with the grammar in one line.
    """
    from docopt import DocoptExit, docopt  # type: ignore
    text = help_of(command)
    try:
        return dict(docopt(text, argv=[command] + words, help=False))
    except DocoptExit as refusal:
        lines = text[text.index("Usage:") + 6:].split("\n\n")[0].splitlines()
        ways = [" ".join(line.split()) for line in lines if not line.endswith("--help)")]
        why = str(refusal).splitlines()[0]
        why = "" if why.startswith(("Usage:", "usage:")) else why + "; "
        raise XhaError(ExitCode.INVALID_PARAMETER, "{}usage: {} (see `xha.pyz {} --help`)".format(
            why, " | ".join(ways), command))
