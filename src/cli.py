"""The program's door: which command was called, how it ends, and the quick way for the hot ones.

xapi runs ``ha_query_liveset`` every 20 s on every host, so a command that only
asks the daemon imports no more than ``client`` needs: no typing, no enum, no
docopt.  Its few options are read here when they are written exactly
(``--format=json``); everything else, help and mistakes included, goes the slow
way through ``commands`` and docopt, which decides alone what is right.

Every command ends here: with an exit code of spec 6 and no other, and with at
most one message for people.  An exception that nobody caught is 127, its
traceback in syslog and in the log.
"""

from posix import environ, geteuid, write

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Dict, List, Optional, Tuple

# Numbers of errors.ExitCode, whose enum a hot command cannot afford; a test holds them equal.
_INVALID_PARAMETER = 1
_SYSTEM_ERROR = 2
_TRANSIENT_ERROR = 3
_INVALID_ENVIRONMENT = 16
_INTERNAL_BUG = 127

#: The commands that are one question to the daemon, by all their names: verb and arguments.
#: Only the name that xapi calls begins the largest and smallest latencies anew (spec 6).
HOT = {
    "ha_query_liveset": ("query", ("xml", "1")),
    "query-liveset": ("query", ("xml", "0")),
    "ha_propose_master": ("propose-master", ()),
    "propose-master": ("propose-master", ()),
    "cancel-master": ("cancel-master", ()),
    "ha_disarm_fencing": ("disarm-fencing", ()),
    "disarm-fencing": ("disarm-fencing", ()),
    "host-state": ("host-state", ()),
    "pid": ("pid", ()),
}  # type: Dict[str, Tuple[str, Tuple[str, ...]]]

#: Names of links that act as the command of that name (spec 6).
LINKS = ("ha_start_daemon", "ha_stop_daemon", "ha_query_liveset", "ha_propose_master",
         "ha_disarm_fencing", "ha_set_pool_state", "ha_set_excluded", "ha_clear_excluded",
         "ha_set_host_weight", "ha_null", "xhad", "calldaemon", "writestatefile", "dumpstatefile",
         "cleanupwatchdog", "weightctl")


def main(called_as: str, argv: "List[str]") -> int:
    """Run one command.

    Args:
        called_as: the program's path as the caller wrote it; a link's name is a command.
        argv: the words after it.

    Returns:
        An exit code of spec 6.  Never raises.
    """
    name = called_as.rpartition("/")[2]
    words = list(argv)
    if name not in LINKS and not name.startswith("ha_"):
        name = words.pop(0) if words else ""
    try:
        code = int(_run(name, words))
        if not (0 <= code <= 19 or code == _INTERNAL_BUG):
            raise AssertionError("{} ended with {}, which is no exit code".format(name, code))
        return code
    except KeyboardInterrupt:
        say("", "xha.pyz {}: interrupted\n".format(name))
        return _TRANSIENT_ERROR
    except BrokenPipeError:
        return _SYSTEM_ERROR        # Who read our output is gone: nobody to tell.
    except SystemExit as error:     # From a library, docopt foremost: never its own code.
        say("", "xha.pyz {}: {}\n".format(name, " ".join(str(error).split())))
        return _INVALID_PARAMETER
    except Exception as error:  # pylint: disable=broad-except
        return _fail(name, error)


def say(out: str, err: str) -> None:
    """Write to standard output and error: ASCII, whole lines, whatever the locale is.

    Raises:
        OSError: standard output cannot be written.  Without a standard error there is nobody
            to read a message, and nothing else is lost.
    """
    _write(1, out)
    try:
        _write(2, err)
    except OSError:
        pass


def _write(descriptor: int, text: str) -> None:
    if text and not text.endswith("\n"):
        text += "\n"
    data = text.encode("ascii", "backslashreplace")
    while data:
        data = data[write(descriptor, data):]


def require_root(run_dir: str = "") -> None:
    """Refuse who may not: dom0's daemon is root's.

    A run directory that was named is its owner's affair: tests, the sandbox, and many daemons
    on one machine.

    Raises:
        XhaError: INVALID_ENVIRONMENT.
    """
    if geteuid() != 0 and not run_dir and not environ.get(b"XHA_RUN_DIR"):
        from xha.errors import ExitCode, XhaError
        raise XhaError(ExitCode.INVALID_ENVIRONMENT, "only root may do this (to reach a daemon of "
                       "your own, name its directory: --run-dir or XHA_RUN_DIR)")


def _run(name: str, words: "List[str]") -> int:
    """Run the command ``name``: the quick way where it is one, else through ``commands``."""
    if name in HOT:
        options = _exact_options(words)
        if options is not None:
            return _ask(name, options)
    from xha import commands
    return commands.run(name, words)


def _exact_options(words: "List[str]") -> "Optional[Dict[str, str]]":
    """The options of a hot command, when all are written out with a value; else None."""
    options = {"--format": "", "--config": "", "--run-dir": ""}
    for word in words:
        option, equals, value = word.partition("=")
        if not equals or not value or option not in options:
            return None
        options[option] = value
    return options


def _ask(name: str, options: "Dict[str, str]") -> int:
    """Put a hot command's question to the daemon and print its answer."""
    verb, arguments = HOT[name]
    form = options["--format"]
    if form:
        if verb != "query" or form not in ("xml", "json", "text"):
            from xha import commands
            return commands.run(name, ["--format=" + form])
        arguments = (form,) + arguments[1:]
    require_root(options["--run-dir"])
    from xha import client
    from xha.paths import Paths
    reply = client.call(Paths(options["--run-dir"]), verb, *arguments)
    say(reply.out, reply.err)
    return reply.code


def _fail(name: str, error: Exception) -> int:
    """Say why a command failed; the exit code of it."""
    from xha.errors import explain
    code, text = explain(error)
    if isinstance(error, OSError) and error.errno is not None and _is_output(error):
        return _finish(name, _SYSTEM_ERROR, "output cannot be written: {}".format(error.strerror))
    if code == _INTERNAL_BUG:
        text += " (traceback in syslog)"
        _log_traceback(name)
    return _finish(name, int(code), text)


def _finish(name: str, code: int, text: str) -> int:
    """Say why a command failed."""
    say("", "xha.pyz {}: {}\n".format(name, " ".join(text.split())))
    return code


def _is_output(error: OSError) -> bool:
    """Whether the exception comes from writing our output."""
    step = error.__traceback__
    while step is not None and step.tb_next is not None:
        step = step.tb_next
    return step is not None and step.tb_frame.f_code is _write.__code__


def _log_traceback(name: str) -> None:
    """Put the exception that is being handled into syslog and, where it can be, into the log."""
    import syslog
    import time
    import traceback
    from xha.paths import Paths
    lines = traceback.format_exc().splitlines()
    syslog.openlog("xha", syslog.LOG_PID, syslog.LOG_DAEMON)
    for line in lines:
        syslog.syslog(syslog.LOG_ERR, ascii(line)[1:-1])
    try:
        with open(Paths().log_file, "a") as log:
            stamp = time.strftime("%Y-%m-%dT%H:%M:%S")
            log.write("".join("{} err {}: {}\n".format(stamp, name, ascii(line)[1:-1])
                              for line in lines))
    except OSError:
        pass        # Syslog has it.
