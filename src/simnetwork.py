"""The heartbeat network: each direction between two hosts is a link of its own."""

from typing import Callable, Dict, Iterable, Sequence, Set, Tuple

from xha.simtimeline import Timeline

#: How long a datagram takes where nothing is said, ms.
LATENCY_MS = 1

Direction = Tuple[int, int]


class Network:
    """Carries datagrams; loses, delays, doubles and damages them as told.

    What was sent before a cut and would arrive after it is lost with the cut.  Datagrams that
    take times of their own overtake each other.
    """

    def __init__(self, timeline: Timeline, draw: Callable[[], float],
                 deliver: Callable[[int, int, bytes, int], None]) -> None:
        """``draw``: a number in [0, 1), from the seed; drawn only where a fault needs it.

        ``deliver(sender, receiver, datagram, sent_at_ms)`` is called when one arrives.
        """
        self._timeline = timeline
        self._draw = draw
        self._deliver = deliver
        #: Directions (sender, receiver) that carry nothing.
        self.cuts = set()  # type: Set[Direction]
        #: Part of the datagrams of a direction that is lost.
        self.loss = {}  # type: Dict[Direction, float]
        #: Part that is carried twice.
        self.doubled = {}  # type: Dict[Direction, float]
        #: Part of which one bit is flipped on the way.
        self.damaged = {}  # type: Dict[Direction, float]
        #: (least, most) ms that a datagram of a direction takes.
        self.delays = {}  # type: Dict[Direction, Tuple[int, int]]

    def cut(self, senders: Iterable[int], receivers: Iterable[int]) -> None:
        """Carry nothing from these to those."""
        for sender in senders:
            for receiver in receivers:
                if sender != receiver:
                    self.cuts.add((sender, receiver))

    def join(self, senders: Iterable[int], receivers: Iterable[int]) -> None:
        """Carry everything, whole and in time, from these to those."""
        for direction in [(sender, receiver) for sender in senders for receiver in receivers]:
            self.cuts.discard(direction)
            for part in (self.loss, self.doubled, self.damaged):
                part.pop(direction, None)
            self.delays.pop(direction, None)

    def heal(self) -> None:
        """Carry everything, whole and in time."""
        self.cuts.clear()
        self.loss.clear()
        self.doubled.clear()
        self.damaged.clear()
        self.delays.clear()

    def broadcast(self, sender: int, receivers: Sequence[int], datagram: bytes,
                  sent_at_ms: int) -> None:
        """Deliver a datagram to each of them when, and if, it arrives there."""
        if self.cuts or self.loss or self.doubled or self.damaged or self.delays:
            for receiver in receivers:
                self.carry(sender, receiver, datagram, sent_at_ms)
        else:
            self._timeline.after(
                LATENCY_MS, self._arrive_everywhere, sender, receivers, datagram, sent_at_ms)

    def carry(self, sender: int, receiver: int, datagram: bytes, sent_at_ms: int) -> None:
        """Deliver a datagram when, and if, it arrives; ``sent_at_ms`` travels with it."""
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
            if self.damaged and self._draw() < self.damaged.get(direction, 0.0):
                datagram = self._with_a_flipped_bit(datagram)
            self._timeline.after(delay_ms, self._arrive, direction, datagram, sent_at_ms)

    def _with_a_flipped_bit(self, datagram: bytes) -> bytes:
        bit = int(self._draw() * 8 * len(datagram))
        damaged = bytearray(datagram)
        damaged[bit // 8] ^= 1 << bit % 8
        return bytes(damaged)

    def _arrive_everywhere(self, sender: int, receivers: Sequence[int], datagram: bytes,
                           sent_at_ms: int) -> None:
        for receiver in receivers:
            if not self.cuts or (sender, receiver) not in self.cuts:
                self._deliver(sender, receiver, datagram, sent_at_ms)

    def _arrive(self, direction: Direction, datagram: bytes, sent_at_ms: int) -> None:
        if direction not in self.cuts:
            self._deliver(direction[0], direction[1], datagram, sent_at_ms)
