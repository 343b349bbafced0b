"""What this host's daemon knows, for the commands that explain: asked without side effect.

The answer is the JSON of query-liveset.  No daemon, one that does not answer,
and one that may not be asked are all answers, for these commands work from
whatever there is.
"""

import json
from typing import Any, Dict, NamedTuple, Optional

from xha import client
from xha.paths import Paths
from xha.records import record


@record
class Asked(NamedTuple):
    """What came of the question."""

    # The JSON of docs/query-liveset.md; None when it was not to be had.
    answer: Optional[Dict[str, Any]]
    # Then, why not, for people; the exit code of the question, 14: there is no daemon.
    why: str
    code: int


def ask(paths: Paths) -> Asked:
    """Ask the daemon of this host; takes at most ``client.PROMPT_S``.  Never raises."""
    reply = client.call(paths, "query", "json", "0")
    if reply.code:
        why = " ".join(reply.err.split()) or "the daemon answered with {}".format(reply.code)
        return Asked(answer=None, why=why, code=reply.code)
    try:
        answer = json.loads(reply.out)
        known = isinstance(answer, dict) and answer["version"] == 1
    except (ValueError, KeyError):
        known = False
    if not known:
        return Asked(answer=None, why="what the daemon answers is not of this version",
                     code=client.SYSTEM_ERROR)
    return Asked(answer=answer, why="", code=0)
