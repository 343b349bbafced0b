"""`schema`: the JSON Schemas of what the views print, as they travel in the archive.

Theory of operation
===================

A schema is a file of ``docs/schemas``; the archive has a copy.  It describes
what this very build prints, and is closed: a name that is not in it is not
printed.  Where one view shows another's answer, its file refers to that file;
what is printed here has it in place, so that it needs nothing else.
"""

import json
from typing import Any, Dict

from xha import cli, packed
from xha.errors import ExitCode, XhaError

#: The views, and the command that prints each of them.
VIEWS = {
    "doctor": "doctor --format=json",
    "dump-statefile": "dump-statefile --format=json",
    "query-liveset": "query-liveset --format=json",
    "simulate": "simulate --format=json, what-if --format=json",
    "status": "status --format=json",
    "timeline": "timeline --format=json",
    "timing": "timing --format=json",
}

_SAME_AS = {"what-if": "simulate"}


def run(arguments: Dict[str, Any]) -> int:
    """The command; its arguments as docopt reads them.

    Raises:
        XhaError: INVALID_PARAMETER: no view of that name has a schema.
    """
    view = arguments["VIEW"]
    if view is None:
        cli.say("".join("{:15} {}\n".format(name, command)
                        for name, command in VIEWS.items()), "")
        return ExitCode.SUCCESS
    view = _SAME_AS.get(view, view)
    if view not in VIEWS:
        raise XhaError(ExitCode.INVALID_PARAMETER, "{}: no such view; there are {}".format(
            view, ", ".join(VIEWS)))
    cli.say(json.dumps(load(view), indent=1), "")
    return ExitCode.SUCCESS


def load(view: str) -> Dict[str, Any]:
    """The schema of one of ``VIEWS``, which needs nothing else.

    Raises:
        OSError: it is not there.
    """
    found = _resolved(_file(view))  # type: Dict[str, Any]
    return found


def _file(view: str) -> Any:
    name = view + ".json"
    data = packed.read("schemas/" + name, "docs/schemas/" + name)
    return json.loads(data.decode("ascii"))


def _resolved(schema: Any) -> Any:
    """The schema with those that it refers to in their places."""
    if isinstance(schema, list):
        return [_resolved(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    if "$ref" in schema:
        other = _file(schema["$ref"][:-len(".json")])
        del other["$schema"]
        return _resolved(other)
    return {name: _resolved(value) for name, value in schema.items()}
