"""From a story that fails to the shortest that still fails in the same way.

Lines are left out, in ever smaller groups (Zeller's ddmin); then hosts; then what the first line
adds to the pool.  Each attempt is told anew from its beginning, so what is left is a
story of its own.  How many attempts are made is bounded by number, not by time: the same
failure gives the same short story.
"""

import re
from typing import List, Optional, Sequence

from xha.errors import XhaError
from xha.simdeeds import ScriptError
from xha.simrun import Ending, run

#: Attempts at the most.
ATTEMPTS = 400


class Reduction:
    """One story on its way to be short."""

    def __init__(self, lines: Sequence[str], ending: Ending, text: str) -> None:
        """``ending`` and ``text``: how the story fails."""
        self.lines = list(lines)
        self._ending = ending
        self._kind = kind_of(text)
        self._left = ATTEMPTS

    def go(self) -> List[str]:
        """The shortest story that was found."""
        before = None  # type: Optional[List[str]]
        while before != self.lines and self._left > 0:
            before = list(self.lines)
            self._drop_lines()
            self._drop_hosts()
            self._drop_words()
        return self.lines

    def _fails(self, lines: Sequence[str]) -> bool:
        """Whether this story fails in the same way; then it is the one to go on with."""
        if self._left <= 0 or list(lines) == self.lines:
            return False
        self._left -= 1
        try:
            result = run(lines)
        except (ScriptError, XhaError):
            return False    # No such story, or settings of which one needs another.
        if result.ending is not self._ending or kind_of(result.text) != self._kind:
            return False
        self.lines = list(lines)
        return True

    def _drop_lines(self) -> None:
        # A pool need not form again before all has healed: that is no failure of the same kind.
        kept = 0
        if self._ending is Ending.LIVENESS:
            healed = [number for number, line in enumerate(self.lines)
                      if line.endswith("everything heals")]
            kept = len(self.lines) - healed[-1] if healed else 0
        size = max(1, (len(self.lines) - 1) // 2)
        while size >= 1:
            at = 1
            while at + size <= len(self.lines) - kept:
                if not self._fails(self.lines[:at] + self.lines[at + size:]):
                    at += size
            size //= 2

    def _drop_hosts(self) -> None:
        count = int(re.findall(r"\d+", self.lines[0])[0])
        for host in reversed(range(count)):
            fewer = without_host(self.lines, host)
            if fewer is not None:
                self._fails(fewer)

    def _drop_words(self) -> None:
        for word in self.lines[0].split("; ")[1:]:
            if word != "started":
                self._fails([self.lines[0].replace("; " + word, "", 1)] + self.lines[1:])


def kind_of(text: str) -> str:
    """What was broken, without the numbers in it."""
    return re.sub(r"\d+", "N", text)


def without_host(lines: Sequence[str], host: int) -> Optional[List[str]]:
    """The story of a pool that lacks this host; None: there is no such story.

    The hosts above move down by one; a line that is about this host alone is left out.
    """
    found = re.match(r"pool of (\d+)(.*)\Z", lines[0])
    if found is None or int(found.group(1)) < 2:
        return None
    words = []
    for word in found.group(2).split("; "):
        name, _, value = word.partition(" ")
        if name in ("weights", "clocks"):
            values = value.split(",")
            del values[host:host + 1]
            word = "{} {}".format(name, ",".join(values)) if values else ""
        if name == "xhad":
            left = [int(index) for index in value.split(",") if int(index) != host]
            word = "xhad " + ",".join(str(index - (index > host)) for index in left)
            if not left:
                word = ""
        words.append(word)
    head = "pool of {}{}".format(int(found.group(1)) - 1, "; ".join(
        word for number, word in enumerate(words) if word or not number))
    told = [_line_without(line, host) for line in lines[1:]]
    return [head] + [line for line in told if line]


_HOSTS = re.compile(r"\b(of|from|to|host|on|partition) ([\d, |]*\d)|(?<=s: )(\d[\d,]*)(?= asks? )"
                    r"|(?<=link )(\d+)-(\d+)")


def _line_without(line: str, host: int) -> str:
    """A line in which the host does not occur; "" when nothing is left to say."""
    empty = []  # type: List[bool]

    def fewer(found: "re.Match[str]") -> str:
        whole, verb = found.group(0), found.group(1)
        if found.group(4):
            ends = [int(found.group(4)), int(found.group(5))]
            empty.append(host in ends)
            return "-".join(str(end - (end > host)) for end in ends)
        groups = (found.group(2) or found.group(3)).split("|")
        kept = [",".join(str(index - (index > host)) for index in
                         (int(part) for part in group.split(",")) if index != host)
                for group in groups]
        kept = [group for group in kept if group]
        empty.append(len(kept) < (2 if len(groups) > 1 else 1))
        return (verb + " " if verb else "") + " | ".join(kept) + whole[len(whole.rstrip()):]

    prefix, colon, rest = line.partition(": ")
    if not colon:
        return _HOSTS.sub(fewer, line)
    told = _HOSTS.sub(fewer, "s: " + rest)[3:]
    return "" if any(empty) else prefix + ": " + told
