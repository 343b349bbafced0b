"""The control socket's request and reply, as bytes.

Theory of operation
===================

One connection carries one request and one reply.  Both begin with a line that
names the protocol and its version, so that two versions that meet can say so
instead of guessing.  A client sends ::

    xha/1 TAB verb { TAB argument } LF

at most 4096 bytes with the LF, every byte printable ASCII or TAB.  The daemon
answers ::

    xha/1 TAB code TAB length TAB length LF  text-for-stdout  text-for-stderr

where *code* is an exit code of spec 6 and the lengths are those of the two
texts, in bytes, decimal; at most 16 MiB together.  Then it closes.

Lines and not JSON, because ``ha_query_liveset`` is run every 20 s by xapi and
importing json costs as much as everything else the command does; because a
person can speak it (``printf 'xha/1\\tpid\\n' | socat - UNIX:/run/xha/control``);
and because there is nothing in it that could be parsed in two ways.

This module is on the path of every hot command, so it imports nothing, and what
is malformed is its own ``Malformed``: ``errors.FormatError`` stands beside an enum,
whose import would cost a command a third of its time.
"""

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Dict, List, Optional, Tuple

#: What both sides say first; the number is the protocol's version.
GREETING = b"xha/1"

#: Longest request, bytes, its LF included.  Source: spec 6, "bounded in size".
REQUEST_MAX = 4096

#: Longest reply line, bytes, its LF included: the greeting and three numbers fit easily.
REPLY_LINE_MAX = 64

#: Longest text of a reply, bytes; the XML of 64 hosts that all see each other is 1 MB.
REPLY_TEXT_MAX = 16 << 20

#: For each verb, the argument lists it takes: for each argument the permitted words, or
#: None for any text that is not empty.
VERBS = {
    "query": [(("xml", "json", "text"), ("0", "1"))],       # format, reset max/min latencies
    "host-state": [()],
    "pid": [()],
    "build-id": [()],
    "propose-master": [()],
    "cancel-master": [()],
    "disarm-fencing": [(), (None,)],                        # for how long, as 5m
    "set-pool-state": [(("active", "invalid"),)],
    "set-excluded": [(("0", "1"),)],
    "rotate-key": [()],
    "reload-host-weight": [()],
    "fault": [(("list",),), (("set", "clear"), None)],      # a point, =value
    "log-mask": [(("get",),), (("set", "reset"), None)],    # levels, with commas between
    "log-file": [(("get", "on", "off"),)],
    "hold": [(("list",),), (("xapi",), None)],              # a length as 5m, or end
}  # type: Dict[str, List[Tuple[Optional[Tuple[str, ...]], ...]]]


class Malformed(Exception):
    """Bytes that are no request or no reply; the text says what was found and expected."""


class Reply:
    """What a command is to print, and how it is to end."""

    __slots__ = ("code", "out", "err")

    def __init__(self, code: int, out: str = "", err: str = "") -> None:
        """``code``: one of ``errors.ExitCode``; ``out``, ``err``: whole lines, or empty."""
        self.code = code
        self.out = out
        self.err = err

    def __repr__(self) -> str:
        return "Reply({!r}, {!r}, {!r})".format(self.code, self.out, self.err)


def encode_request(verb: str, arguments: "Tuple[str, ...]" = ()) -> bytes:
    """The bytes of a request.

    Raises:
        Malformed: a word that is empty or not printable ASCII, or all too long.
    """
    words = (verb,) + arguments
    for word in words:
        if not word or not all(" " <= letter <= "~" for letter in word):
            raise Malformed("{} cannot be sent: empty, or not printable ASCII".format(ascii(word)))
    line = GREETING + b"\t" + "\t".join(words).encode("ascii") + b"\n"
    if len(line) > REQUEST_MAX:
        raise Malformed("request of {} bytes, {} permitted".format(len(line), REQUEST_MAX))
    return line


def decode_request(line: bytes) -> "Tuple[str, Tuple[str, ...]]":
    """The verb and arguments of a request line, its LF included: one that ``VERBS`` permits.

    Raises:
        Malformed: anything else, whatever the bytes are.
    """
    if len(line) > REQUEST_MAX:
        raise Malformed("longer than {} bytes".format(REQUEST_MAX))
    if not line.endswith(b"\n"):
        raise Malformed("no line end")
    greeting, _, rest = line[:-1].partition(b"\t")
    if greeting != GREETING:
        raise Malformed("begins with {}, expected {}".format(_shown(greeting), _shown(GREETING)))
    if not all(0x20 <= byte <= 0x7e or byte == 9 for byte in rest):
        raise Malformed("not printable ASCII")
    words = tuple(rest.decode("ascii").split("\t"))
    verb, arguments = words[0], words[1:]
    if verb not in VERBS:
        raise Malformed("unknown verb {}".format(_shown(verb.encode("ascii"))))
    if not any(_permits(permitted, arguments) for permitted in VERBS[verb]):
        raise Malformed("{} does not take the arguments ({})".format(
            verb, ", ".join(arguments)[:80]))
    return verb, arguments


def encode_reply(reply: Reply) -> bytes:
    """The bytes of a reply; what is not ASCII in its texts is written as an escape.

    A text longer than permitted is a bug of ours, never a client's doing: it is asserted.
    """
    out = reply.out.encode("ascii", "backslashreplace")
    err = reply.err.encode("ascii", "backslashreplace")
    assert len(out) + len(err) <= REPLY_TEXT_MAX
    return GREETING + "\t{:d}\t{:d}\t{:d}\n".format(
        reply.code, len(out), len(err)).encode("ascii") + out + err


def reply_length(data: bytes) -> int:
    """How many bytes a reply has that begins with ``data``; -1 while its line is not whole.

    Raises:
        Malformed: no reply begins like this.
    """
    end = data.find(b"\n", 0, REPLY_LINE_MAX)
    if end < 0:
        if len(data) >= REPLY_LINE_MAX:
            raise Malformed("reply begins with {}".format(_shown(data)))
        return -1
    _, out, err = _reply_line(data[:end])
    return end + 1 + out + err


def decode_reply(data: bytes) -> Reply:
    """The whole reply of ``reply_length(data)`` bytes.

    Raises:
        Malformed: anything else, whatever the bytes are.
    """
    length = reply_length(data)
    if length != len(data):
        raise Malformed("reply of {} bytes, expected {}".format(len(data), length))
    end = data.index(b"\n")
    code, out, _ = _reply_line(data[:end])
    texts = data[end + 1:].decode("ascii", "backslashreplace")
    if len(texts) != length - end - 1:
        raise Malformed("reply's text is not ASCII")
    return Reply(code, texts[:out], texts[out:])


def _reply_line(line: bytes) -> "Tuple[int, int, int]":
    """Code and the two lengths of a reply's first line."""
    words = line.split(b"\t")
    if words[0] != GREETING:
        raise Malformed("reply begins with {}, expected {}".format(
            _shown(words[0]), _shown(GREETING)))
    if len(words) != 4 or not all(word.isdigit() and len(word) <= 9 for word in words[1:]):
        raise Malformed("reply's line is {}".format(_shown(line)))
    code, out, err = int(words[1]), int(words[2]), int(words[3])
    if out + err > REPLY_TEXT_MAX:
        raise Malformed("reply of {} bytes, {} permitted".format(out + err, REPLY_TEXT_MAX))
    return code, out, err


def _permits(permitted: "Tuple[Optional[Tuple[str, ...]], ...]",
             arguments: "Tuple[str, ...]") -> bool:
    """Whether ``arguments`` fit the list ``permitted`` of VERBS."""
    return len(permitted) == len(arguments) and all(
        argument in words if words is not None else argument != ""
        for words, argument in zip(permitted, arguments))


def _shown(data: bytes) -> str:
    """The beginning of some bytes, in printable ASCII."""
    return ascii(data[:40])[1:]
