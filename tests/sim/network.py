"""The heartbeat network: each direction between two hosts is a link of its own."""

from typing import Callable, Dict, Iterable, Set, Tuple

from sim.timeline import Timeline

#: How long a datagram takes where nothing is said, ms.
LATENCY_MS = 1

Direction = Tuple[int, int]


class Network:
    """Carries datagrams; loses, delays and doubles them as told.

    What was sent before a cut and would arrive after it is lost with the cut.
    """

    def __init__(self, timeline: Timeline, draw: Callable[[], float]) -> None:
        """``draw``: a number in [0, 1), from the seed; drawn only where a fault needs it."""
        self._timeline = timeline
        self._draw = draw
        #: Directions (sender, receiver) that carry nothing.
        self.cuts = set()  # type: Set[Direction]
        #: Part of the datagrams of a direction that is lost.
        self.loss = {}  # type: Dict[Direction, float]
        #: Part that is carried twice.
        self.doubled = {}  # type: Dict[Direction, float]
        #: (least, most) ms that a datagram of a direction takes.
        self.delays = {}  # type: Dict[Direction, Tuple[int, int]]

    def cut(self, senders: Iterable[int], receivers: Iterable[int]) -> None:
        """Carry nothing from these to those."""
        for sender in senders:
            for receiver in receivers:
                if sender != receiver:
                    self.cuts.add((sender, receiver))

    def heal(self) -> None:
        """Carry everything, whole and in time."""
        self.cuts.clear()
        self.loss.clear()
        self.doubled.clear()
        self.delays.clear()

    def carry(self, sender: int, receiver: int, deliver: Callable[..., None],
              *arguments: object) -> None:
        """Call ``deliver(*arguments)`` when, and if, a datagram arrives."""
        direction = (sender, receiver)
        if direction in self.cuts:
            return
        if self.loss and self._draw() < self.loss.get(direction, 0.0):
            return
        copies = 2 if self.doubled and self._draw() < self.doubled.get(direction, 0.0) else 1
        for _ in range(copies):
            delay_ms = LATENCY_MS
            if direction in self.delays:
                least_ms, most_ms = self.delays[direction]
                delay_ms = least_ms + int(self._draw() * (most_ms - least_ms + 1))
            self._timeline.after(delay_ms, self._arrive, direction, deliver, arguments)

    def _arrive(self, direction: Direction, deliver: Callable[..., None],
                arguments: Tuple[object, ...]) -> None:
        if direction not in self.cuts:
            deliver(*arguments)
