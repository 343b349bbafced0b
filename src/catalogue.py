"""The text of ``sysloglist``: every message that an operator can see.

An entry is a name and a level on one line, then indented paragraphs: the
text, with {fields}; what it means; and, after ``Operator:``, what to do.  A
third word on the first line, ``repeats``, marks a condition that may persist:
it is printed at most once a minute.

What is printed is one line of ASCII, whatever a field holds.  A slip in a
message (an unknown name, a missing field) must never cost a host, so
``text_of`` always gives a line; ``complaint`` says what is wrong with it, and
tests hold that nothing is.  Source: spec 9; style guide 8.
"""

import enum
import re
from typing import Dict, List, NamedTuple, Sequence, Tuple

from xha.actions import Log
from xha.errors import ExitCode, FormatError
from xha.hostset import HostSet
from xha.records import record

#: From the gravest; the number is syslog's severity.
LEVELS = {"err": 3, "warning": 4, "notice": 5, "info": 6, "debug": 7}

#: The most of one field's value that is printed, characters.
MAX_VALUE = 400

_HEADER = re.compile(r"([a-z0-9]+(?:-[a-z0-9]+)*) +(err|warning|notice|info|debug)( +repeats)?\Z")
_FIELD = re.compile(r"\{([a-z][a-z0-9_]*)\}")
_UNPRINTABLE = re.compile(r"[^ -~]")
_BARE = re.compile(r"[!#-\[\]-~]+\Z")


@record
class Message(NamedTuple):
    """One entry of the catalogue."""

    name: str
    level: str
    text: str
    meaning: str
    advice: str
    # The names between braces in the text, in the order of their first use.
    fields: Tuple[str, ...]
    # A condition that may persist: printed at most once a minute.
    repeats: bool


class Catalogue:
    """All messages, by name."""

    __slots__ = ("_messages",)

    def __init__(self, messages: Dict[str, Message]) -> None:
        self._messages = messages

    def __getitem__(self, name: str) -> Message:
        return self._messages[name]

    def __contains__(self, name: object) -> bool:
        return name in self._messages

    def names(self) -> Tuple[str, ...]:
        """All names, in order."""
        return tuple(sorted(self._messages))

    def level_of(self, log: Log) -> str:
        """The level of a message; ``err`` for one that is not in the catalogue."""
        return self._messages[log.name].level if log.name in self._messages else "err"

    def text_of(self, log: Log, addresses: Sequence[str] = ()) -> str:
        """The message for people: one line of ASCII.

        Args:
            log: the message; an unknown name or a missing field shows as such.
            addresses: those of the pool's hosts by index, if known: a field ``host`` then
                shows the address too, and sets of hosts are as long as the pool.
        """
        values = {name: phrase(value, len(addresses)) for name, value in log.fields}
        place = dict(log.fields).get("host")
        if isinstance(place, int) and 0 <= place < len(addresses):
            values["host"] = "{} ({})".format(place, addresses[place])
        if log.name not in self._messages:
            return "Message without text: {}.".format(
                ", ".join("{} {}".format(name, values[name]) for name in sorted(values)))
        # One pass: what a value contains is never taken for a field.
        return _FIELD.sub(lambda found: values.get(found.group(1), found.group()),
                          self._messages[log.name].text)

    def complaint(self, log: Log) -> str:
        """What is wrong with a message, "" when its name and its fields are the catalogue's."""
        if log.name not in self._messages:
            return "{} is not in the catalogue".format(log.name)
        given = sorted(name for name, _ in log.fields)
        expected = sorted(self._messages[log.name].fields)
        if given != expected:
            return "{} has the fields {}, expected {}".format(log.name, given, expected)
        return ""


def phrase(value: object, count: int = 0) -> str:
    """A field's value in printable ASCII, bounded; a set of hosts as ``count`` digits."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, ExitCode):
        return str(int(value))
    if isinstance(value, enum.Enum):
        return value.value if isinstance(value.value, str) else value.name
    if isinstance(value, HostSet):
        if count:
            return value.picture(count)
        return ",".join(str(host) for host in value) or "none"
    if isinstance(value, (tuple, list)):
        return ",".join(phrase(item, count) for item in value)[:MAX_VALUE]
    text = str(value)
    if len(text) > MAX_VALUE:
        text = text[:MAX_VALUE - 3] + "..."
    return _UNPRINTABLE.sub(lambda found: ascii(found.group())[1:-1], text)


def pairs_of(log: Log, count: int = 0) -> str:
    """The fields as key=value, blank between them, a value quoted where it needs to be."""
    return " ".join("{}={}".format(name, _quoted(phrase(value, count)))
                    for name, value in log.fields)


def _quoted(text: str) -> str:
    if _BARE.match(text):
        return text
    return '"{}"'.format(text.replace("\\", "\\\\").replace('"', '\\"'))


def parse(text: str) -> Catalogue:
    """Read a catalogue.

    Raises:
        FormatError: it is not in the form above; the text names the line.
    """
    messages = {}  # type: Dict[str, Message]
    previous = ""
    for number, header, body in _entries(text):
        found = _HEADER.match(header)
        if not found:
            raise FormatError("sysloglist:{}: {!r}, expected a name and a level".format(
                number, header))
        name = found.group(1)
        if name <= previous:
            raise FormatError("sysloglist:{}: {} after {}, expected the order of names".format(
                number, name, previous))
        previous = name
        messages[name] = _message(number, name, found.group(2), bool(found.group(3)), body)
    return Catalogue(messages)


def _entries(text: str) -> List[Tuple[int, str, List[str]]]:
    """(line number, first line, paragraphs) of each entry."""
    entries = []  # type: List[Tuple[int, str, List[str]]]
    fresh = True
    for number, line in enumerate(text.splitlines(), start=1):
        if line.startswith("#"):
            continue
        if not line.strip():
            fresh = True
        elif not line.startswith(" "):
            entries.append((number, line.rstrip(), []))
            fresh = True
        elif not entries:
            raise FormatError("sysloglist:{}: text before the first name".format(number))
        else:
            paragraphs = entries[-1][2]
            if fresh:
                paragraphs.append(line.strip())
            else:
                paragraphs[-1] += " " + line.strip()
            fresh = False
    return entries


def _message(number: int, name: str, level: str, repeats: bool, body: List[str]) -> Message:
    where = "sysloglist:{}: {}".format(number, name)
    if len(body) < 3 or not body[-1].startswith("Operator: "):
        raise FormatError(where + ": expected a text, a meaning and, last, 'Operator: ...'")
    text = body[0]
    if _UNPRINTABLE.search(" ".join(body)):
        raise FormatError(where + ": expected ASCII")
    if set("{}") & set(_FIELD.sub("", text)):
        raise FormatError(where + ": a brace that is no field")
    fields = []  # type: List[str]
    for field in _FIELD.findall(text):
        if field not in fields:
            fields.append(field)
    return Message(name=name, level=level, text=text, meaning=" ".join(body[1:-1]),
                   advice=body[-1][len("Operator: "):], fields=tuple(fields), repeats=repeats)
