"""The commands, one function each, but those that start and stop the daemon (``lifecycle``).

Each gets docopt's reading of its command line and returns an exit code; what
cannot be done is an ``XhaError``, which ``cli`` turns into one line and its code.
"""

import os
import time
from typing import Any, Callable, Dict, List, Tuple

import xha
from xha import cli, client, ctlformat, daemonlock, holdhelp, lookers, oldnames, usage
from xha.ctlformat import Reply
from xha.errors import ExitCode, FormatError, XhaError, explain
from xha.options import HOOKS, DaemonOptions, hooks, report
from xha.paths import CONFIG_FILE, Paths

Arguments = Dict[str, Any]


def run(name: str, words: List[str]) -> int:
    """Run the command ``name`` with ``words`` as its command line.

    Raises:
        XhaError: no such command, wrong usage, or whatever the command refuses.
    """
    if name in ("", "--help", "-h", "help"):
        cli.say(usage.top(), "")
        return ExitCode.SUCCESS if name else ExitCode.INVALID_PARAMETER
    if name == "--version":
        cli.say("xha {} ({})".format(xha.__version__, build_id()), "")
        return ExitCode.SUCCESS
    if name == "sandbox":
        from xha import sandbox
        return int(sandbox.run(words))
    if name == "ha_null":
        return ExitCode.SUCCESS
    ours = oldnames.SAME_AS.get(name, name)
    if ours not in _COMMANDS and ours not in cli.HOT:
        raise XhaError(ExitCode.INVALID_PARAMETER,
                       "no such command (the commands: `xha.pyz --help`)")
    if "--help" in words or "-h" in words:
        cli.say(usage.help_of(name), "")
        return ExitCode.SUCCESS
    arguments = usage.parse(name, words)
    if ours in cli.HOT:
        return _ask_slowly(name, arguments)
    if ours not in _FOR_EVERYBODY:
        cli.require_root(arguments.get("--run-dir") or "")
    return _COMMANDS[ours](arguments)


def build_id() -> str:
    """Which build this is: 16 hex digits; "source" where it was not built."""
    try:
        from xha._build import BUILD_ID  # type: ignore
    except ImportError:
        return "source"
    return str(BUILD_ID)


def paths_of(arguments: Arguments) -> Paths:
    """Where the files of the daemon are that this command is about."""
    return Paths(arguments.get("--run-dir") or "")


def ask(paths: Paths, verb: str, *arguments: str) -> int:
    """Put a question to the daemon, print its answer, end as it says."""
    return _say(_call(paths, verb, *arguments))


def refuse_beside_daemon(paths: Paths) -> None:
    """Raise XhaError (15) when a daemon runs."""
    if client.daemon_answers(paths) or daemonlock.holder(paths.lock):
        raise XhaError(ExitCode.DAEMON_PRESENT, "a daemon runs on this host")


def _call(paths: Paths, verb: str, *arguments: str) -> Reply:
    try:
        return client.call(paths, verb, *arguments)
    except ctlformat.Malformed as error:
        raise XhaError(ExitCode.INVALID_PARAMETER, str(error)) from error


def _say(reply: Reply) -> int:
    cli.say(reply.out, reply.err)
    return reply.code


def _ask_slowly(name: str, arguments: Arguments) -> int:
    """A hot command whose options were not written out."""
    verb, words = cli.HOT[name]
    form = arguments.get("--format")
    if verb == "query":
        if form not in ("xml", "json", "text"):
            raise XhaError(ExitCode.INVALID_PARAMETER,
                           "--format={}: expected xml, json or text".format(form))
        words = (form,) + words[1:]
    elif verb == "disarm-fencing":
        words = holdhelp.term_of(arguments)
    cli.require_root(arguments["--run-dir"] or "")
    return ask(paths_of(arguments), verb, *words)


# The pool's state and this host's place in it

def _set_pool_state(arguments: Arguments) -> int:
    """init, active or invalid; through the daemon where one answers."""
    if arguments["init"]:
        return _write_offline("init", arguments)
    verb = "active" if arguments["active"] else "invalid"
    return _through_daemon_or_not(arguments, verb, "set-pool-state", verb)


def _set_excluded(arguments: Arguments) -> int:
    return _through_daemon_or_not(arguments, "exclude", "set-excluded", "1")


def _clear_excluded(arguments: Arguments) -> int:
    return _through_daemon_or_not(arguments, "include", "set-excluded", "0")


def _through_daemon_or_not(arguments: Arguments, offline: str, verb: str, word: str) -> int:
    """Ask the daemon; when there is none, or none any more, write to the State-File directly.

    A daemon that ended before it answered may or may not have written; writing the same
    again is harmless, for all four can be repeated.
    """
    paths = paths_of(arguments)
    deadline = time.monotonic() + client.PROMPT_S
    while True:
        reply = _call(paths, verb, word)
        if reply.code != ExitCode.DAEMON_NOT_PRESENT:
            return _say(reply)
        # A process that holds the lock and does not listen is about to, or about to be gone.
        if not daemonlock.holder(paths.lock) or time.monotonic() > deadline:
            return _write_offline(offline, arguments)
        time.sleep(0.1)


#: How long a command waits while others use the weight file, s; it answers within 5 s (spec 6).
_WEIGHT_PATIENCE_S = 3.0


def _set_host_weight(arguments: Arguments) -> int:
    """Change the weight file, and tell the daemon where one runs."""
    deadline = time.monotonic() + _WEIGHT_PATIENCE_S
    _change_weight(arguments)
    reply = _call(paths_of(arguments), "reload-host-weight")
    while reply.code == ExitCode.TRANSIENT_ERROR and time.monotonic() < deadline:
        # Another command of this kind has the file: the daemon does not wait for it, but we do.
        time.sleep(0.05)
        reply = _call(paths_of(arguments), "reload-host-weight")
    return ExitCode.SUCCESS if reply.code == ExitCode.DAEMON_NOT_PRESENT else _say(reply)


def _weightctl(arguments: Arguments) -> int:
    """The original's utility: change the weight file alone, or show it."""
    if arguments["CLASS"] is not None:
        _change_weight(arguments)
        return ExitCode.SUCCESS
    from xha import hostweight
    classes = hostweight.read(Paths().weight, _WEIGHT_PATIENCE_S)
    cli.say("{} 1\n".format(hostweight.NATIVE) + "".join(
        "{} {}\n".format(one.name, one.weight) for one in classes), "")
    return ExitCode.SUCCESS


def _change_weight(arguments: Arguments) -> None:
    from xha import hostweight
    try:
        name = hostweight.check_name(arguments["CLASS"])
        weight = hostweight.check_weight(arguments["WEIGHT"])
    except FormatError as error:
        raise XhaError(ExitCode.INVALID_PARAMETER, str(error)) from error
    paths = paths_of(arguments)
    if os.path.dirname(paths.weight) == paths.run_dir:
        from xha import listener
        listener.make_directory(paths.run_dir)  # It may be set before the first daemon.
    hostweight.set_class(paths.weight, name, weight, _WEIGHT_PATIENCE_S)


def _reload_host_weight(arguments: Arguments) -> int:
    return ask(paths_of(arguments), "reload-host-weight")


def _write_statefile(arguments: Arguments) -> int:
    if arguments["rotate-key"]:
        from xha import keychange
        return keychange.run(arguments)
    verbs = ("init", "active", "invalid", "exclude", "include")
    return _write_offline(next(verb for verb in verbs if arguments[verb]), arguments)


def _write_offline(verb: str, arguments: Arguments) -> int:
    """Change the State-File from here; never beside a daemon, whose record it is."""
    from xha import configfile, secrecy, sfadmin
    secrecy.keep()
    paths = paths_of(arguments)
    refuse_beside_daemon(paths)
    cli.say("", sfadmin.write_statefile(verb, configfile.load(arguments["--config"]), paths))
    return ExitCode.SUCCESS


def _dump(arguments: Arguments, form: str) -> int:
    """Show a State-File: the named one, or that of the configuration."""
    from xha import configfile, secrecy, sfadmin
    secrecy.keep()
    if arguments.get("--diff"):
        cli.say(sfadmin.diff(arguments["BEFORE"], arguments["AFTER"]), "")
        return ExitCode.SUCCESS
    settings = None if arguments["PATH"] else configfile.load(arguments["--config"])
    path = settings.local.statefile if settings else arguments["PATH"]
    if arguments.get("--watch"):
        sfadmin.watch(path, settings, lambda text: cli.say(text, ""), os.isatty(1))
    else:
        text = sfadmin.dump(path, settings, form)
        if form == "text":
            from xha import folding
            folding.show(text)
        else:
            cli.say(text, "")
    return ExitCode.SUCCESS


def _cleanup_watchdog(arguments: Arguments) -> int:
    from xha import watchdog
    paths = paths_of(arguments)
    refuse_beside_daemon(paths)
    code, lines = watchdog.cleanup(paths, bool(arguments["--force"]))
    text = "".join(line + "\n" for line in lines)
    cli.say("" if code else text, text if code else "")
    return int(code)


# The daemon

def _daemon(arguments: Arguments) -> int:
    """Be the daemon; whatever ends its start goes to who started it, too."""
    options = _daemon_options(arguments)
    try:
        from xha import daemon, listener
        listener.make_directory(options.paths.run_dir)
        return int(daemon.run(options))
    except Exception as error:
        if options.report_fd >= 0:
            report(options.report_fd, *explain(error))
        raise


def _daemon_options(arguments: Arguments) -> DaemonOptions:
    number = str(arguments.get("--report-fd") or "-1")
    if not number.lstrip("-").isdigit() or not -1 <= int(number) < 1 << 20:
        raise XhaError(ExitCode.INVALID_PARAMETER,
                       "--report-fd={}: expected the number of a descriptor".format(number))
    return DaemonOptions(
        config=arguments.get("--config") or CONFIG_FILE, paths=paths_of(arguments),
        fence_command=arguments.get("--fence-command") or "", hooks=hooks(arguments),
        require_realtime=bool(arguments.get("--require-realtime")),
        enable_faults=bool(arguments.get("--enable-faults")),
        fault_points=tuple(arguments["FAULT"]), report_fd=int(number))


def _start_daemon(arguments: Arguments) -> int:
    from xha import lifecycle
    return lifecycle.start(paths_of(arguments), arguments["--config"], _spoken(arguments))


def _spoken(arguments: Arguments) -> List[str]:
    """The options of start-daemon that it hands on to `daemon`."""
    words = []  # type: List[str]
    for option in ("--run-dir", "--fence-command") + tuple(row[0] for row in HOOKS.values()):
        if arguments[option]:
            words.append("{}={}".format(option, arguments[option]))
    words += [option for option in ("--require-realtime", "--enable-faults") if arguments[option]]
    return words + list(arguments["FAULT"])


def _stop_daemon(arguments: Arguments) -> int:
    from xha import lifecycle
    return lifecycle.stop(paths_of(arguments))


def _fault(arguments: Arguments) -> int:
    paths = paths_of(arguments)
    if arguments["list"]:
        return ask(paths, "fault", "list")
    point = "all" if arguments["all"] else arguments["POINT"]
    return ask(paths, "fault", "set" if arguments["set"] else "clear", point)


def _log_mask(arguments: Arguments) -> int:
    if not arguments["LEVEL"]:
        return ask(paths_of(arguments), "log-mask", "get")
    verb = "set" if arguments["set"] else "reset"
    return ask(paths_of(arguments), "log-mask", verb, _levels(verb, arguments["LEVEL"]))


def _levels(verb: str, words: List[str]) -> str:
    """The levels in one word, as the daemon takes them; a wrong one is refused here already."""
    from xha import logmask
    text = ",".join(words)
    try:
        logmask.levels_of(text, verb == "set")
    except FormatError as error:
        raise XhaError(ExitCode.INVALID_PARAMETER, str(error)) from error
    return text


def _build_id(arguments: Arguments) -> int:
    cli.say(build_id(), "")
    return ExitCode.SUCCESS


# The original's utilities

#: calldaemon's verbs that are one of ours with fixed arguments.
_CALLS = {
    "query_liveset": ("query", "xml", "0"), "propose_master": ("propose-master",),
    "cancel_master": ("cancel-master",), "disarm_fencing": ("disarm-fencing",),
    "set_excluded": ("set-excluded", "1"), "clear_excluded": ("set-excluded", "0"),
    "pid": ("pid",), "gethoststate": ("host-state",), "buildid": ("build-id",),
    "reload_host_weight": ("reload-host-weight",), "getlogmask": ("log-mask", "get"),
    "privatelog": ("log-file", "get"), "dumpcom": ("query", "json", "0"),
}  # type: Dict[str, Tuple[str, ...]]

#: And those that take arguments: our verb, and how many.
_CALLS_WITH = {"set_pool_state": ("set-pool-state", (1,)), "fist": ("fault", (1, 2)),
               "privatelog": ("log-file", (1,))}

#: And those that take levels of messages: our word for what becomes of them.
_CALLS_WITH_LEVELS = {"setlogmask": "set", "resetlogmask": "reset"}


def _calldaemon(arguments: Arguments) -> int:
    verb, words = arguments["VERB"], arguments["ARGUMENT"]
    if verb in _CALLS and not words:
        return ask(Paths(), *_CALLS[verb])
    if verb in _CALLS_WITH_LEVELS and words:
        ours = _CALLS_WITH_LEVELS[verb]
        return ask(Paths(), "log-mask", ours, _levels(ours, words))
    if verb in _CALLS_WITH and len(words) in _CALLS_WITH[verb][1]:
        ours = _CALLS_WITH[verb][0]
        try:
            ctlformat.decode_request(ctlformat.encode_request(ours, tuple(words)))
        except ctlformat.Malformed as error:
            raise XhaError(ExitCode.INVALID_PARAMETER, "{}: {}".format(verb, error)) from error
        return ask(Paths(), ours, *words)
    raise XhaError(ExitCode.INVALID_PARAMETER, "{}: no such verb, or not with {} arguments (see "
                   "`xha.pyz calldaemon --help`)".format(verb, len(words)))


def _writestatefile(arguments: Arguments) -> int:
    verbs = {"setinit": "init", "setactive": "active", "setinvalid": "invalid",
             "setex": "exclude", "clearex": "include"}
    verb = next(ours for theirs, ours in verbs.items() if arguments[theirs])
    return _write_offline(verb, {"--config": arguments["CONFIG"] or CONFIG_FILE})


def _dumpstatefile(arguments: Arguments) -> int:
    return _dump({"PATH": arguments["PATH"], "--config": CONFIG_FILE}, "original")


def _install(arguments: Arguments) -> int:
    from xha import installer
    return int(installer.install(arguments))


def _uninstall(arguments: Arguments) -> int:
    from xha import installer
    return int(installer.uninstall(arguments))


def _xhad(arguments: Arguments) -> int:
    return _daemon({"--config": arguments["CONFIG"], "FAULT": arguments["FAULT"]})


#: What anybody may run who can read the files: no daemon is touched.  (Who may install
#: depends on where, and `install` says so itself.)
_FOR_EVERYBODY = ("dump-statefile", "dumpstatefile", "build-id", "install", "uninstall"
                  ) + lookers.FOR_EVERYBODY

_COMMANDS = {
    "start-daemon": _start_daemon, "stop-daemon": _stop_daemon, "daemon": _daemon,
    "set-pool-state": _set_pool_state, "set-excluded": _set_excluded,
    "clear-excluded": _clear_excluded, "write-statefile": _write_statefile,
    "dump-statefile": lambda arguments: _dump(arguments, arguments["--format"]),
    "cleanup-watchdog": _cleanup_watchdog, "fault": _fault, "log-mask": _log_mask,
    "set-host-weight": _set_host_weight, "reload-host-weight": _reload_host_weight,
    "weightctl": _weightctl, "build-id": _build_id, "calldaemon": _calldaemon,
    "writestatefile": _writestatefile, "dumpstatefile": _dumpstatefile, "xhad": _xhad,
    "install": _install, "uninstall": _uninstall,
    "hold": holdhelp.run,
}  # type: Dict[str, Callable[[Arguments], int]]
_COMMANDS.update(lookers.COMMANDS)
