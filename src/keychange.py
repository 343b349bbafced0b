"""The help of ``write-statefile``; and its ``rotate-key``, which asks for a new key and looks on.

The daemons of the pool do the work (``keyring``), each step when it is safe.  This command asks
for it, says what it sees, and has no part in it: killed at any moment it leaves nothing half done.
Asked again while the key is being changed, it begins nothing and looks on.  Source: docs/key.md.
"""

import time
from typing import Any, Dict, Iterator, Optional

#: By command: the docopt text without the common options, as in ``usage``.
TEXTS = {
    "write-statefile": """Change the State-File without a daemon; or the pool's key, with one.

Usage: xha.pyz write-statefile (init | active | invalid | exclude | include) [options]
       xha.pyz write-statefile rotate-key [options]

The first five are refused with 15 while a daemon of this host runs.  init destroys what the
State-File holds, and makes a new key.

rotate-key replaces the key that proves the hosts' heartbeats, while the pool runs; on any one of
its hosts, and without risk for it.  Do it when a copy of the State-File got into wrong hands.  It
takes three steps, in which both keys are valid for a while: about 2 (Ws + t2) in all, some minutes.
The daemons take them, and wait for every host of the liveset.  This command only looks on:
interrupt it, and they go on; give it again, and it looks on; `status` shows it, too.  No key is
ever shown, but fingerprints of them.

Ends with 0 when the old key is refused by all; with 3 when that takes longer than it should, and
says who is waited for: it goes on all the same; 14 without a daemon here, 17 when this host is
not online, 8 when it has no State-File, 11 when the pool is not active, has no key (xhad
initialised it), or a host of it runs a version that cannot change its key.

Options:""",
}  # type: Dict[str, str]

#: Between two looks, s.
_PAUSE_S = 0.5
#: A daemon that was asked may be restarted meanwhile; what it may be gone for, s.
_GONE_S = 30.0
#: Beyond the two pauses of Ws and a cycle, s: for hosts that are being dropped, or slow.
_PATIENCE_S = 120.0


def run(arguments: Dict[str, Any]) -> int:
    """Have the key changed, or the change that is under way looked on; returns the exit code."""
    from xha import cli, client
    from xha.errors import ExitCode, XhaError
    from xha.paths import Paths
    paths = Paths(arguments.get("--run-dir") or "")
    reply = client.call(paths, "rotate-key")
    if reply.code == ExitCode.DAEMON_NOT_PRESENT:
        raise XhaError(ExitCode.DAEMON_NOT_PRESENT, "no daemon runs on this host: the key is "
                       "changed by a running pool, on any host of it whose daemon runs; enabling "
                       "HA makes a new one, too")
    cli.say(reply.out, reply.err)
    if reply.code != ExitCode.SUCCESS:
        return reply.code
    for line in _progress(paths):
        cli.say(line, "")
    return ExitCode.SUCCESS


def _look(paths: Any) -> Optional[Any]:
    from xha import daemonview
    return daemonview.ask(paths).snapshot


def _progress(paths: Any) -> Iterator[str]:
    """What there is to say, line by line, until the change is over.

    Raises:
        XhaError: it is not over in time, or the daemon is gone.
    """
    from xha.errors import ExitCode, XhaError
    began_s = seen_s = time.monotonic()
    bound_s, said, goal = _PATIENCE_S, "", -1
    while True:
        now = _look(paths)
        now_s = time.monotonic()
        keys = now.pool_key if now is not None else None
        if now is not None and keys is not None:
            seen_s = now_s
            bound_s = _PATIENCE_S + 2 * (now.statefile_watchdog_timeout_ms
                                         + now.statefile_timeout_ms) / 1000
            if goal < 0:
                goal = keys.changes + (1 if keys.other else 0)
            text = _text(keys, goal)
            if text != said:
                said = text
                yield "{:6.1f} s  {}".format(now_s - began_s, text)
            if keys.changes >= goal and not keys.other:
                return
        if now_s - seen_s > _GONE_S:
            raise XhaError(ExitCode.DAEMON_NOT_PRESENT, "the daemon of this host is gone; the "
                           "other hosts go on: see `status` there")
        if now_s - began_s > bound_s:
            raise XhaError(ExitCode.TRANSIENT_ERROR, "the key is not changed after {:.0f} s: {}.  "
                           "It goes on; give this command again to look on".format(bound_s, said))
        time.sleep(_PAUSE_S)


def _text(keys: Any, goal: int) -> str:
    if not keys.other:
        return "the key is {}; no other is accepted".format(keys.fingerprint)
    text = {"announced": "announced: {0} is sent with, {1} accepted too",
            "changed": "changed: {0} is sent with, {1} still accepted"}[keys.stage].format(
                keys.fingerprint, keys.other)
    if keys.waits_for:
        text += "; waits for host{} {}".format(
            "" if len(keys.waits_for) == 1 else "s", ", ".join(map(str, keys.waits_for)))
    return text
