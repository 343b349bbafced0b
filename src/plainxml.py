"""Plain XML, read with its line numbers: what the configuration is written in.

The text is hostile until proven otherwise: it is bounded in depth, and a
document type, with which entities would come, is refused before anything in
it is expanded.  expat itself rather than a tree builder on it, so that every
message can name the line.  Source: spec 2.
"""

import re
from typing import Dict, List, Optional, Tuple
from xml.parsers import expat

from xha.errors import ExitCode, XhaError

#: The deepest that elements may nest; the configuration itself needs 4.
MAX_DEPTH = 16
#: Later warnings are only counted: a file of junk must not flood the log.
MAX_WARNINGS = 20

_BLANK = " \t\r\n"
_CONTROL = re.compile("[\x00-\x1f\x7f]")


def ascii_only(text: str) -> str:
    """``text`` with all that is not printable ASCII as escapes: what we print has no encoding."""
    return _CONTROL.sub(lambda found: "\\x{:02x}".format(ord(found.group())), text).encode(
        "ascii", "backslashreplace").decode("ascii")


class Source:
    """The file that is read: phrases what is said of it and collects the warnings."""

    __slots__ = ("_path", "_warnings", "_more")

    def __init__(self, path: str) -> None:
        self._path = path
        self._warnings = []  # type: List[str]
        self._more = 0

    def refusal(self, line: int, text: str) -> XhaError:
        """What to raise; line 0 when there is none to name."""
        return XhaError(ExitCode.INVALID_CONFIG, self._phrase(line, text))

    def warn(self, line: int, text: str) -> None:
        """Note an oddity."""
        if len(self._warnings) < MAX_WARNINGS:
            self._warnings.append(self._phrase(line, text))
        else:
            self._more += 1

    def warnings(self) -> Tuple[str, ...]:
        """What was noted, the surplus counted."""
        if not self._more:
            return tuple(self._warnings)
        return tuple(self._warnings) + (
            self._phrase(0, "{} more warnings like these".format(self._more)),)

    def _phrase(self, line: int, text: str) -> str:
        where = self._path or "configuration"
        return ascii_only("{}:{}: {}".format(where, line, text) if line else
                      "{}: {}".format(where, text))


class Element:
    """An element as it stands in the file."""

    __slots__ = ("name", "line", "attributes", "children", "pieces")

    def __init__(self, name: str, line: int, attributes: Dict[str, str]) -> None:
        self.name = name
        self.line = line
        self.attributes = attributes
        self.children = []  # type: List[Element]
        self.pieces = []  # type: List[str]

    def text(self) -> str:
        """Its own text, trimmed."""
        return "".join(self.pieces).strip(_BLANK)


def read(source: Source, data: bytes) -> Element:
    """The outermost element of a document.

    Raises:
        XhaError: INVALID_CONFIG when the bytes are not plain XML.
    """
    return _Reader(source).read(data)


class _Reader:
    """Turns bytes into elements; refuses what is not plain XML."""

    __slots__ = ("_source", "_parser", "_top", "_stack")

    def __init__(self, source: Source) -> None:
        self._source = source
        self._parser = expat.ParserCreate()
        self._top = Element("", 0, {})
        self._stack = [self._top]

    def read(self, data: bytes) -> Element:
        """The outermost element."""
        parser = self._parser
        parser.buffer_text = True
        parser.StartDoctypeDeclHandler = self._doctype
        parser.StartElementHandler = self._start
        parser.EndElementHandler = self._end
        parser.CharacterDataHandler = self._characters
        try:
            parser.Parse(data, True)
        except expat.ExpatError as error:
            raise self._source.refusal(error.lineno, "not well-formed XML: {}, column {}; "
                                       "expected an xhad-config file".format(
                                           expat.ErrorString(error.code), error.offset + 1))
        except (LookupError, ValueError) as error:
            # From the codec that the XML declaration names.
            raise self._source.refusal(parser.CurrentLineNumber, "the text's encoding cannot be "
                                       "read: {}; expected utf-8".format(error))
        return self._top.children[0]

    def _doctype(self, name: str, system: Optional[str], public: Optional[str],
                 internal: int) -> None:
        raise self._source.refusal(self._parser.CurrentLineNumber, "<!DOCTYPE {}> found; expected "
                                   "none: document types and entities are refused".format(name))

    def _start(self, name: str, attributes: Dict[str, str]) -> None:
        line = self._parser.CurrentLineNumber
        if len(self._stack) > MAX_DEPTH:
            raise self._source.refusal(line, "<{}> is nested too deeply; expected at most {} "
                                       "levels".format(name, MAX_DEPTH))
        element = Element(name, line, attributes)
        self._stack[-1].children.append(element)
        self._stack.append(element)

    def _end(self, name: str) -> None:
        self._stack.pop()

    def _characters(self, text: str) -> None:
        self._stack[-1].pieces.append(text)


def children(source: Source, parent: Element, single: Tuple[str, ...],
              many: str = "") -> Dict[str, Element]:
    """The children of ``parent`` that may stand once; what does not belong is warned of."""
    _warn_of_attributes(source, parent)
    if parent.text():
        source.warn(parent.line, "<{}> holds text {}; expected elements only: ignored".format(
            parent.name, ascii(parent.text()[:40])))
    found = {}  # type: Dict[str, Element]
    for child in parent.children:
        if child.name in found:
            raise source.refusal(child.line, "<{}> is repeated; expected once in <{}>, where "
                                 "line {} has it".format(child.name, parent.name,
                                                         found[child.name].line))
        if child.name in single:
            found[child.name] = child
        elif child.name != many:
            source.warn(child.line, "<{}> is not known in <{}>: ignored".format(
                child.name, parent.name))
    return found


def _warn_of_attributes(source: Source, element: Element) -> None:
    for name in sorted(element.attributes):
        source.warn(element.line, "attribute {} of <{}> is not known: ignored".format(
            name, element.name))


def required(source: Source, parent: Element, found: Dict[str, Element],
              name: str) -> Element:
    """The child ``name`` of ``parent``, which must be there."""
    if name not in found:
        raise source.refusal(parent.line, "<{}> is missing; expected in <{}>".format(
            name, parent.name))
    return found[name]


def text_of(source: Source, element: Element) -> str:
    """The text of an element that holds nothing else."""
    _warn_of_attributes(source, element)
    for child in element.children:
        source.warn(child.line, "<{}> is not known in <{}>: ignored".format(
            child.name, element.name))
    return element.text()


def unexpected(source: Source, element: Element, value: str, expected: str) -> XhaError:
    """What to raise when the value of ``element`` is not what was expected."""
    shown = ascii(value if len(value) <= 80 else value[:77] + "...")
    return source.refusal(element.line, "<{}> is {}; expected {}".format(
        element.name, shown if value else "empty", expected))
