"""Stories of a pool: a command a line, and under it what an operator would see.

    # A comment says what is shown, and why.

    pool of 3, started

    host 2 crashes
    30 s pass
    at    0.0 s  2      crashed
    at    5.1 s  0,1    notice   Heartbeat domain is now (110).

Lines that begin with "at" are the trace: messages of level notice and above, and what became
of the hosts, in seconds since the story began.  What several hosts say in the same tenth of a
second stands in one line.  Two commands without "... pass" between them happen at once.
"""

from typing import Any, Dict, List, Optional, Sequence, Set, Tuple

from xha.actions import Log
from xha.catalogue import Catalogue
from xha.config import Config
from xha.simpool import Entry, Pool
from xha.simscript import Director

#: What an operator is not shown.
QUIET = ("info", "debug")
#: A message of the kind ``repeats`` is printed once in this time.
REPEAT_MS = 60000
#: Fields that do not make such a message another one.
VARYING = ("ms", "left_ms", "count")


class Repeats:
    """Tells a condition that persists once in a while, as syslog does."""

    def __init__(self, catalogue: Catalogue) -> None:
        self._catalogue = catalogue
        self._said_ms = {}  # type: Dict[Tuple[Any, ...], int]

    def again(self, entry: Entry) -> bool:
        """Whether this message was told of its host just now; if not, it is told now."""
        message = entry.content
        if not self._catalogue[message.name].repeats:
            return False
        key = (entry.host, message.name) + tuple(
            field for field in message.fields if field[0] not in VARYING)
        last_ms = self._said_ms.get(key)
        if last_ms is not None and entry.at_ms - last_ms < REPEAT_MS:
            return True
        self._said_ms[key] = entry.at_ms
        return False


class Trace:
    """What an operator would have seen of a pool, as lines."""

    def __init__(self, catalogue: Catalogue) -> None:
        self._catalogue = catalogue
        self._pool = None  # type: Optional[Pool]
        self._repeats = Repeats(catalogue)
        # Entries of the history that were told already.
        self._told = 0
        #: World's time from which seconds are counted, ms.
        self.began_ms = 0
        #: Every message that was said, at any level.
        self.messages = set()  # type: Set[str]

    def watch(self, pool: Pool) -> None:
        """Look at this pool from now on."""
        self._pool = pool

    def news(self) -> List[str]:
        """The trace since it was last asked for."""
        return self.lines_of(self.entries())

    def entries(self) -> List[Entry]:
        """What has happened since it was last asked for."""
        if self._pool is None:
            return []
        news = self._pool.history[self._told:]
        self._told = len(self._pool.history)
        self.messages.update(entry.content.name for entry in news if entry.kind == "log")
        return news

    def lines_of(self, entries: Sequence[Entry]) -> List[str]:
        """The trace of these entries: what an operator would see, hosts that agree in one line."""
        lines = {}  # type: Dict[Tuple[int, str, str], List[int]]
        for entry in entries:
            shown = self._shown(entry)
            if shown is not None:
                speakers = lines.setdefault(
                    ((entry.at_ms - self.began_ms) // 100,) + shown, [])
                if entry.host not in speakers:
                    speakers.append(entry.host)
        return ["at {:6.1f} s  {:<7} {:<8} {}".format(
            tenth / 10, ",".join(str(host) for host in sorted(speakers)), kind, text).rstrip()
            for (tenth, kind, text), speakers in lines.items()]

    def _shown(self, entry: Entry) -> Any:
        if entry.kind != "log":
            return (entry.kind, entry.content)
        assert not self._catalogue.complaint(entry.content), entry.content
        level = self._catalogue.level_of(entry.content)
        if level in QUIET:
            return None
        if self._repeats.again(entry):
            return None
        return (level, self._catalogue.text_of(rounded(entry.content)))


class Story:
    """Tells one story: takes commands, gives the trace."""

    def __init__(self, catalogue: Catalogue, settings: Optional[Sequence[Config]] = None,
                 seed: int = 0) -> None:
        """``settings``: the configuration of each host; None: the story begins with its pool."""
        self.trace = Trace(catalogue)
        self.director = Director(settings, seed)
        self.director.made = self.trace.watch

    def tell(self, command: str) -> List[str]:
        """Obey a command; the lines of the trace that it gave.

        Raises: ScriptError, Breach: see ``Director.obey``.
        """
        self.director.obey(command)
        if self.trace.began_ms != self.director.began_ms:
            # What it took to form is not part of the story.
            self.trace.began_ms = self.director.began_ms
            self.trace.entries()
        return self.trace.news()


def rounded(message: Log) -> Log:
    """The message with durations of whole tenths of a second: a story is no measurement."""
    return message._replace(fields=tuple(
        (name, value // 100 * 100 if name in ("ms", "left_ms") else value)
        for name, value in message.fields))
