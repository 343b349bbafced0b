"""Which messages of a running daemon are logged: the levels, and whether the file is written.

``err`` and ``warning`` are always logged: a mask that hid why a host was reset, or that
redundancy is gone, would cost more than it saves.  The others can be taken out and put back.
What is taken out goes neither to the file nor to syslog; what is put in goes where its level
belongs.  Source: spec 6, log-mask; spec 9, Events.
"""

from typing import NamedTuple, Tuple

from xha.catalogue import LEVELS
from xha.errors import FormatError
from xha.records import record

#: Levels that are always logged.
ALWAYS = ("err", "warning")

#: What a list of levels says for all that can be changed.
ALL = "all"


@record
class LogMask(NamedTuple):
    """What is logged."""

    # In the order of ``LEVELS``; always with those that cannot be taken out.
    levels: Tuple[str, ...]
    # Whether the log file is written at all; syslog is in any case.
    file: bool

    @property
    def words(self) -> str:
        """The levels, for people."""
        return " ".join(self.levels)

    def with_levels(self, changed: Tuple[str, ...], on: bool) -> "LogMask":
        """The mask with these levels put in (``on``) or taken out."""
        return self._replace(levels=tuple(
            level for level in LEVELS
            if (on if level in changed else level in self.levels)))


#: What a daemon begins with.
USUAL = LogMask(levels=("err", "warning", "notice", "info"), file=True)


def levels_of(text: str, on: bool) -> Tuple[str, ...]:
    """The levels that a list with commas names, to be put in (``on``) or taken out.

    Raises:
        FormatError: a word is no level, or one that cannot be taken out.
    """
    named = text.split(",")
    for word in named:
        if word not in LEVELS and word != ALL:
            raise FormatError("{} is no level: expected {} or {}".format(
                ascii(word[:40]), ", ".join(LEVELS), ALL))
        if word in ALWAYS and not on:
            raise FormatError("{} is always logged".format(word))
    return tuple(level for level in LEVELS if level in named
                 or (ALL in named and level not in ALWAYS))
