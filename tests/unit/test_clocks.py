"""Which clocks there are: what decides, waits or times out knows one that nobody can set.

The wall clock of a host jumps: at boot, by an administrator, by ntp.  So it may only be read for
what people see, and for the one number that must grow from life to life and is compared with
the numbers before.  Read by the newest Python only, as test_tidy.
"""
import ast
import glob
import os

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

#: Who reads the wall clock, in which function, and what for.
WALL = {
    ("daemon", "__init__"): "the least incarnation; never below those that anybody has seen",
    ("daemon", "wall_ms"): "the time in last words and records, for people",
    ("syslogger", "say"): "the time of a line",
    ("syslogger", "say_dead"): "the time of a line",
    ("syslogger", "_print_own"): "the time of a line",
    ("recorder", "__init__"): "the time of a file",
    ("recorder", "_append"): "the time of a record",
    ("observer", "turn"): "when a margin was smallest",
    ("userwatchdog", "_leave_note"): "when a timer fired",
    ("sfadmin", "_initialise"): "when the State-File was initialised",
    ("sfadmin", "_set_excluded"): "when a record was written",
    ("cli", "_log_traceback"): "the time of a line",
    ("why", "run"): "what `--before=2h` means",
    ("why", "_refusal_now"): "when a start was refused",
    ("timeline", "run"): "what `--since=2h` means",
    ("status", "show"): "when the view was made",
    ("status", "_without_daemon"): "when the view was made",
    ("lookdisk", "_look"): "when an access was slow",
    ("sandboxhost", "reset_at"): "the age of a file, whose time is the wall's",
}

#: Modules of the daemon's process that wait with a time-out, and how those count.
WAITS = {
    ("recorder", "_loop"): "a doorbell, by poll: CLOCK_MONOTONIC",
    ("syslogger", "_loop"): "a doorbell, by poll: CLOCK_MONOTONIC",
    ("usertimers", "_stop"): "Popen.wait looks and sleeps, by CLOCK_MONOTONIC",
    ("usertimers", "_end_of"): "Popen.wait looks and sleeps, by CLOCK_MONOTONIC",
    ("xapimonitor", "status"): "poll: CLOCK_MONOTONIC",
    ("xapimonitor", "run"): "poll: CLOCK_MONOTONIC",
    ("xapimonitor", "_end"): "poll: CLOCK_MONOTONIC",
}

#: Methods by which a lock, an event, a condition, a queue or a thread is waited for.
WAITING = {"wait", "wait_for", "join", "acquire", "get"}


def rooms():
    for path in sorted(glob.glob(os.path.join(ROOT, "src", "*.py"))):
        with open(path, encoding="utf-8") as stream:
            yield os.path.basename(path)[:-len(".py")], ast.parse(stream.read(), path)


def calls(tree):
    """(the innermost function around it, the call) for each call of a method or of a module."""
    def walk(node, around):
        for child in ast.iter_child_nodes(node):
            name = child.name if isinstance(child, ast.FunctionDef) else around
            if isinstance(child, ast.Call) and isinstance(child.func, ast.Attribute):
                yield name, child
            for found in walk(child, name):
                yield found
    return walk(tree, "")


def reads_wall_clock(call):
    owner = call.func.value
    whose = owner.id if isinstance(owner, ast.Name) else ""
    return (whose, call.func.attr) == ("time", "time") or whose in ("datetime", "date") or (
        whose == "time" and call.func.attr in ("localtime", "gmtime", "ctime", "strftime")
        and len(call.args) < (2 if call.func.attr == "strftime" else 1)) or (
            whose == "time" and call.func.attr == "clock_gettime")


def test_the_wall_clock_is_read_for_people_alone():
    found = {(room, name) for room, tree in rooms() for name, call in calls(tree)
             if reads_wall_clock(call)}
    assert found == set(WALL)


def imported_by(first, trees):
    """The rooms that a room imports when it is imported, and theirs."""
    found, new = set(), {first}
    while new:
        room = new.pop()
        found.add(room)
        for node in trees[room].body:
            if isinstance(node, ast.ImportFrom):
                names = ([alias.name for alias in node.names] if node.module == "xha"
                         else [node.module[4:]] if node.module.startswith("xha.") else [])
                new |= {name for name in names if name in trees} - found
    return found


#: The expression ``os.path``.
_OS_PATH = ast.dump(ast.parse("os.path", mode="eval").body)


def test_no_lock_of_the_daemon_is_waited_for_with_a_time_out_of_its_own():
    """CPython counts that by the wall clock before 3.11 or so: ``doorbell.wait_until`` does not."""
    trees = dict(rooms())
    found = set()
    for room in imported_by("daemon", trees):
        for name, call in calls(trees[room]):
            timed = call.func.attr in WAITING and (call.args or any(
                word.arg == "timeout" for word in call.keywords))
            other = (type(call.func.value).__name__ in ("Constant", "Str", "Bytes")  # a text's join
                     or call.func.attr == "get" and not any(
                         word.arg == "timeout" for word in call.keywords)    # a dictionary's
                     or ast.dump(call.func.value) == _OS_PATH)
            if timed and not other:
                found.add((room, name))
    assert found == set(WAITS)
