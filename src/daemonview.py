"""What this host's daemon knows, for all commands that look: asked without side effect.

The answer is the JSON of query-liveset, read back into the snapshot that it was
made of (``answer``).  No daemon, one that does not answer, one that may not be
asked and one of another version are all answers, for these commands work from
whatever there is.
"""

from typing import NamedTuple, Optional

from xha import answer, client
from xha.errors import FormatError
from xha.paths import Paths
from xha.records import record
from xha.snapshot import Snapshot

#: What a daemon that has just answered may take to say which build it is, s.
_BUILD_S = 1.0


@record
class Asked(NamedTuple):
    """What came of the question."""

    # None when it was not to be had.
    snapshot: Optional[Snapshot]
    # Then, why not, for people; the exit code of the question, 14: there is no daemon.
    why: str
    code: int


def ask(paths: Paths, timeout_s: float = client.PROMPT_S) -> Asked:
    """Ask the daemon of this host; takes at most so long.  Never raises."""
    reply = client.call(paths, "query", "json", "0", timeout_s=timeout_s)
    code, why = reply.code, " ".join(reply.err.split())
    if code == 0:
        try:
            return Asked(snapshot=answer.read(reply.out), why="", code=0)
        except FormatError as error:
            code = client.SYSTEM_ERROR
            why = "the daemon's answer is not for this version of xha: {}".format(error)
    return Asked(snapshot=None, why=why or "the daemon answered with {}".format(code), code=code)


def build(paths: Paths) -> str:
    """Which program the daemon is that has just answered; "" when it does not say."""
    return client.call(paths, "build-id", timeout_s=_BUILD_S).out.strip()
