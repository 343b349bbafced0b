"""What the flight recorder gets from the daemon's loop: measurements, and changes of state.

Theory of operation
===================

The loop tells what happens (a datagram was taken in, an access to the
State-File ended) and, after each turn, shows the facts of the core.  Nothing
here decides anything, and the core does not know of it.

*State*: what differs from the last turn is recorded, by name.

*Measurements* are of spans of ``SPAN_MS``: of each host how many heartbeats
were believed, the longest silence between two, and how old the last one and
the last advance of its record are; of the State-File how many reads and
writes ended, how long the longest took, how many failed; and the longest turn
of the loop.  A host that is reset loses the measurements of the span that has
not ended, and they are the ones that matter: so while anything takes more
than half of its time-out, a span is ``CLOSE_MS``.

What each turn costs is a comparison of a dozen facts; what a datagram costs,
one look at one peer.  Ages are in ms, -1 is "never".  Source: spec 9.
"""

from typing import Any, List, Tuple

from xha.actions import Log
from xha.catalogue import Catalogue
from xha.config import Common, Config
from xha.published import NEVER
from xha.recorder import Recorder
from xha.statefile import Done
from xha.view import View

#: A span of measurements, ms; and one in which something comes close to a time-out.
SPAN_MS = 10000
CLOSE_MS = 1000

#: The facts of ``View`` whose changes are recorded.
STATE = ("incarnation", "phase", "fencing", "liveset", "proposed", "heartbeat_domain",
         "statefile_domain", "statefile_access", "sr2", "excluded", "holding", "waiting_for")


class Observer:
    """Watches one daemon's loop for its flight recorder."""

    def __init__(self, recorder: Recorder, common: Common, view: View) -> None:
        self._recorder = recorder
        self._view = view
        self._index_of = {host.address: index for index, host in enumerate(common.hosts)}
        self._half_ms = (common.heartbeat_timeout_ms // 2, common.statefile_timeout_ms // 2)
        self._state = ()  # type: Tuple[Any, ...]
        self._heard_at_ms = [NEVER] * len(common.hosts)
        self._begin(NEVER)

    def _begin(self, now_ms: int) -> None:
        """Begin a span."""
        self._began_at_ms = now_ms
        self._looked_at_ms = now_ms
        self._heard = [0] * len(self._heard_at_ms)
        self._silence_ms = [NEVER] * len(self._heard_at_ms)
        # How many ended, the longest, ms, and how many failed.
        self._accesses = {"read": [0, NEVER, 0], "write": [0, NEVER, 0], "replace": [0, NEVER, 0]}
        self._turn_ms_max = 0

    def datagram(self, source: str) -> None:
        """A datagram from that address was taken in; it was believed, or not."""
        index = self._index_of.get(source, -1)
        if index < 0:
            return
        at_ms, before_ms = self._view.peers[index].heard_at_ms, self._heard_at_ms[index]
        if at_ms != before_ms:
            self._heard_at_ms[index] = at_ms
            self._heard[index] += 1
            if before_ms != NEVER and at_ms - before_ms > self._silence_ms[index]:
                self._silence_ms[index] = at_ms - before_ms

    def access(self, done: Done) -> None:
        """An access to the State-File ended."""
        if done.kind in self._accesses:
            row = self._accesses[done.kind]
            row[0] += 1
            row[1] = max(row[1], done.completed_at_ms - done.issued_at_ms)
            row[2] += bool(done.error)

    def turn(self, began_at_ms: int, now_ms: int) -> Tuple[Log, ...]:
        """A turn of the loop ended, which had begun then; messages about the recorder itself."""
        view = self._view
        state = tuple([getattr(view, name) for name in STATE])
        if state != self._state:
            self._record_state(state)
        self._turn_ms_max = max(self._turn_ms_max, now_ms - began_at_ms)
        if self._began_at_ms == NEVER:
            self._begin(now_ms)
        elif now_ms - self._looked_at_ms >= CLOSE_MS:
            self._looked_at_ms = now_ms
            self._look(now_ms)
        return self._recorder.news()

    def _record_state(self, state: Tuple[Any, ...]) -> None:
        view = self._view
        self._recorder.incarnation = view.incarnation
        if view.online:
            self._recorder.keep()
        before = self._state or (None,) * len(STATE)
        self._recorder.state({name: value for name, value, was in zip(STATE, state, before)
                              if was is None or value != was})
        self._state = state

    def _look(self, now_ms: int) -> None:
        """End the span, if it is long enough for what is in it."""
        view = self._view
        heard = [_age(now_ms, peer.heard_at_ms) for peer in view.peers]
        seen = [_age(now_ms, peer.advanced_at_ms) for peer in view.peers]
        reading_ms = _age(now_ms, view.reading_completed_at_ms)
        if now_ms - self._began_at_ms < SPAN_MS and not self._is_close(heard, seen, reading_ms):
            return
        self._recorder.measure({
            "span_ms": now_ms - self._began_at_ms, "heartbeats": self._heard,
            "silence_ms_max": self._silence_ms, "heartbeat_age_ms": heard,
            "record_age_ms": seen, "reading_age_ms": reading_ms,
            "reads": self._accesses["read"], "writes": self._accesses["write"],
            "repairs": self._accesses["replace"], "turn_ms_max": self._turn_ms_max})
        self._begin(now_ms)

    def _is_close(self, heard: List[int], seen: List[int], reading_ms: int) -> bool:
        """Whether anything of this span took more than half of its time-out.

        Of hosts that are not in the liveset nothing is expected.
        """
        heartbeat_ms, statefile_ms = self._half_ms
        view = self._view
        if reading_ms > statefile_ms or self._turn_ms_max > min(self._half_ms):
            return True
        if any(row[1] > statefile_ms or row[2] for row in self._accesses.values()):
            return True
        return any(heard[host] > heartbeat_ms or self._silence_ms[host] > heartbeat_ms
                   or seen[host] > statefile_ms for host in view.liveset if host != view.me)


def recorder_of(settings: Config, messages: Catalogue, folder: str, software: str) -> Recorder:
    """The flight recorder of this host, with its files in ``folder``; not started."""
    hosts, index = settings.common.hosts, int(settings.local.index)
    return Recorder(folder, messages, [host.address for host in hosts], index,
                    hosts[index].uuid, software)


def _age(now_ms: int, at_ms: int) -> int:
    return NEVER if at_ms == NEVER else now_ms - at_ms
