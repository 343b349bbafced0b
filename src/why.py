"""`why` (or `explain`): why a host was fenced, did not start, or was lost.

Theory of operation
===================

``whyfiles`` gathers the evidence, ``whycase`` makes cases of it, ``whycauses`` is the table
that judges them, ``whytell`` puts what belongs to one in order, ``whytext`` writes it down.
Here is what is between them and the person who asks: which incident is meant.

Without --host it is the last one of any host that the evidence knows of; a failed start after
which one succeeded is passed over.  A configuration that
is refused now is an incident of its own: such a daemon ends before it has a recorder.
Source: spec 9, `explain`; docs/why.md.
"""

import json
import time
from typing import Any, Dict, List, Optional

from xha import cli, history, syslogger, timeline, whycauses, whyfiles, whytell, whytext
from xha.errors import ExitCode, XhaError
from xha.paths import Paths
from xha.whycase import Case
from xha.whyfiles import Gathered
from xha.whyseen import NOTHING_SEEN
from xha.whytell import Told

#: Version of the JSON; grows when a name changes its meaning or goes, not when one is added.
JSON_VERSION = 1


def run(arguments: Dict[str, Any]) -> int:
    """The command; its arguments as docopt reads them.

    Raises:
        XhaError: INVALID_PARAMETER, an option's value, or a file that is nothing of use;
            INVALID_ENVIRONMENT, a file may not be read; SYSTEM_ERROR, it cannot be, or there is
            nothing to read.
    """
    form = arguments["--format"]
    if form not in ("text", "json"):
        raise XhaError(ExitCode.INVALID_PARAMETER,
                       "--format={}: expected text or json".format(form))
    before_ms = None  # type: Optional[int]
    if arguments["--before"] is not None:
        before_ms = timeline.wall_ms_of(arguments["--before"], int(time.time() * 1000),
                                        "--before")
    files = arguments["FILE"]
    gathered = whyfiles.of_files(files) if files else whyfiles.of_this_host(
        Paths(arguments["--run-dir"] or ""), arguments["--config"])
    host = None if arguments["--host"] is None else _host_of(arguments["--host"], gathered)
    known = whytell.incidents(gathered.evidence, host, before_ms) + _refusal_now(gathered, host)
    if not files and not gathered.sources and not known:
        raise XhaError(ExitCode.SYSTEM_ERROR, "there is nothing to go by: {}".format(
            "; ".join(gathered.notes)))
    notes = list(gathered.notes)
    if before_ms is None:
        notes += whytell.unended(gathered.evidence, host)
    _show(form, bool(arguments["--list"]), known, gathered._replace(notes=tuple(notes)), host)
    return ExitCode.SUCCESS


def _show(form: str, listed: bool, known: List[Case], gathered: Gathered,
          host: Optional[int]) -> None:
    if listed:
        rows = [(case, whycauses.verdict(case)) for case in known]
        cli.say(_json({"incidents": [{
            "host": case.host, "kind": case.kind, "wall_ms": case.at_ms, "cause": its.name,
            "text": its.text} for case, its in rows]}) if form == "json" else "".join(
                whytext.brief(case, its.name) + "\n" for case, its in rows), "")
        return
    if not known:
        who = "any host" if host is None else "host {}".format(host)
        cli.say(_json({"incident": None, "limits": list(gathered.notes)}) if form == "json"
                else whytext.nothing(who, list(gathered.notes)), "")
        return
    told = _told(known, gathered)
    cli.say(_json({"incident": dict(whytell.facts(told), at=history.stamp(told.case.at_ms))})
            if form == "json" else whytext.as_text(told), "")


def _told(known: List[Case], gathered: Gathered) -> Told:
    lines = history.history(gathered.sources, syslogger.load_catalogue())
    return whytell.tell(whytell.last(known, gathered.evidence), known, lines, gathered.evidence,
                        gathered.notes)


def _json(found: Dict[str, Any]) -> str:
    return json.dumps(dict(found, version=JSON_VERSION), indent=1, sort_keys=True) + "\n"


def _host_of(word: str, gathered: Gathered) -> int:
    """The index of the host that --host names.

    Raises:
        XhaError: INVALID_PARAMETER: no host has that index, address, UUID or name.
    """
    named = {}  # type: Dict[str, int]
    for lives in gathered.evidence.lives:
        for life in lives:
            header = life.header
            for index, address in enumerate(header.addresses):
                named[str(index)] = index
                named[address] = index
            named[str(header.host)] = named[header.uuid] = named[header.machine] = header.host
    if gathered.settings is not None:
        for index, host in enumerate(gathered.settings.common.hosts):
            named[str(index)] = named[host.address] = named[host.uuid] = index
    named.update((str(words.host), words.host) for words in gathered.evidence.words)
    by_plain = {_plain(name): index for name, index in named.items() if name and index >= 0}
    if _plain(word) not in by_plain:
        raise XhaError(ExitCode.INVALID_PARAMETER, "--host={}: no host has that index, address, "
                       "UUID or name (known are {})".format(word, ", ".join(sorted(
                           name for name in named if name))[:400] or "none"))
    return by_plain[_plain(word)]


def _plain(name: str) -> str:
    """UUIDs with and without dashes are one; so are upper and lower case."""
    return name.replace("-", "").lower()


def _refusal_now(gathered: Gathered, host: Optional[int]) -> List[Case]:
    """The configuration that a start would be refused for, as a case."""
    refusal, now = gathered.refusal, gathered.evidence.now
    if (refusal is None or refusal.code is not ExitCode.INVALID_CONFIG
            or now is not None and now.running):
        return []
    mine = now.host if now is not None else 0
    if host is not None and host != mine:
        return []
    return [Case(
        host=mine, kind="refused", at_ms=int(time.time() * 1000), life=None, after=None,
        code=str(int(refusal.code)), reason="configuration: {}".format(refusal), standing=(),
        said={}, state={}, rebooted=None, successor="", xen="", seen=NOTHING_SEEN,
        hosts=mine + 1, now=now)]
