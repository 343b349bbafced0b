"""What a daemon says of itself: ha_query_liveset's XML, read as xapi reads it.

The rig asks over the control socket, which costs the machine a thousandth of
what a command costs; the commands themselves are tested where they matter.
"""

import socket
import threading
from time import monotonic
from typing import Callable, Dict, List, NamedTuple, Optional, Tuple
from xml.etree import ElementTree

QUERY = b"xha/1\tquery\txml\t0\n"

#: Seconds between two looks.
PERIOD_S = 0.1


class View(NamedTuple):
    """One host's view of the pool; host indexes in ascending order."""

    # "Online", "Starting", or "absent" when no daemon answers.
    status: str
    live: Tuple[int, ...] = ()
    master: Tuple[int, ...] = ()
    access: Tuple[int, ...] = ()
    corrupted: Tuple[int, ...] = ()
    excluded: Tuple[int, ...] = ()
    # Survival rule 2 holds.
    sr2: bool = False


ABSENT = View(status="absent")


def parse(text: str) -> View:
    """Read ha_query_liveset's XML; what xapi's parser would miss raises here too."""
    root = ElementTree.fromstring(text)
    status = _text(root, "status")
    if status != "Online":
        return View(status=status)
    flags = {name: tuple(int(_text(host, "HostIndex")) for host in root.findall("host")
                         if _text(host, name) == "TRUE")
             for name in ("liveness", "master", "statefile_access", "statefile_corrupted",
                          "excluded")}  # type: Dict[str, Tuple[int, ...]]
    return View(status=status, live=flags["liveness"], master=flags["master"],
                access=flags["statefile_access"], corrupted=flags["statefile_corrupted"],
                excluded=flags["excluded"],
                sr2=_text(root, "warning_on_local_host/statefile_lost") == "TRUE")


def _text(element: ElementTree.Element, path: str) -> str:
    text = element.findtext(path)
    assert text is not None, "{} is missing".format(path)
    return text.strip()


def converse(path: str, request: bytes, timeout_s: float = 5.0) -> bytes:
    """Send bytes to a control socket and give all that comes back; OSError."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
        connection.settimeout(timeout_s)
        connection.connect(path)
        try:
            connection.sendall(request)
        except (BrokenPipeError, ConnectionResetError):
            pass            # It refused before it had read all; its answer says why.
        received = b""
        while True:
            try:
                data = connection.recv(65536)
            except ConnectionResetError:
                if not received:
                    raise
                data = b""      # A refusal, sent without a look at the request.
            if not data:
                return received
            received += data


def look(path: str) -> View:
    """The daemon's view now."""
    try:
        answer = converse(path, QUERY)
    except OSError:
        return ABSENT
    line, _, texts = answer.partition(b"\n")
    words = line.split(b"\t")
    if len(words) != 4 or words[1] != b"0":
        return ABSENT
    return parse(texts[:int(words[2])].decode("ascii"))


class Watch:
    """Looks at a daemon all the time, and keeps when its view changed."""

    def __init__(self, path: str) -> None:
        """Begin to look at the daemon behind the control socket ``path``."""
        self._path = path
        #: (instant of the look, seconds of CLOCK_MONOTONIC; the view), changes only.
        self.changes = []  # type: List[Tuple[float, View]]
        # When the last of the changes was last seen to hold.
        self._looked_at = 0.0
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._loop, daemon=True)
        self._thread.start()

    def _loop(self) -> None:
        while not self._stopped.wait(PERIOD_S):
            at = monotonic()
            view = look(self._path)
            if not self.changes or self.changes[-1][1] != view:
                self.changes.append((at, view))
            self._looked_at = at

    @property
    def now(self) -> View:
        """The last view."""
        return self.changes[-1][1] if self.changes else ABSENT

    def first(self, holds: Callable[[View], bool], since: float = 0.0) -> Optional[float]:
        """When a view for which ``holds`` was first seen by a look at or after ``since``."""
        looked_at = self._looked_at
        changes = list(self.changes)
        ends = [at for at, _ in changes[1:]] + [looked_at]
        for (at, view), end in zip(changes, ends):
            # What ended with a look after ``since`` may have ended before it: it does not count.
            if holds(view) and (at >= since or (end is looked_at and end >= since)):
                return max(at, since)
        return None

    def stop(self) -> None:
        """Look no more."""
        self._stopped.set()
        self._thread.join()
