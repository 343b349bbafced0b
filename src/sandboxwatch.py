"""Looks at the pool of a sandbox several times a second, and tells whoever waits.

A thread of its own asks the daemons and draws, so that the picture lives while
the main thread waits for a command.  What it has seen is one immutable
record, replaced as a whole.
"""

import os
import signal
import threading
import time
from typing import Callable, List, Optional

from xha.sandboxfacts import PoolFacts
from xha.sandboxpool import Pool

#: How often the pool is looked at, s; a large one less often.
_PACE_S = 0.2
_PACE_LARGE_S = 0.4
_LARGE = 6

#: What is told of each look: before, now.
Listener = Callable[[PoolFacts, PoolFacts], None]


class Watch:
    """The thread that looks."""

    def __init__(self, pool: Pool, listener: Listener) -> None:
        """Look once; ``listener`` is called from the thread, after each look."""
        self._pool = pool
        self._listener = listener
        self._pace_s = _PACE_LARGE_S if len(pool.hosts) > _LARGE else _PACE_S
        self._news = threading.Condition()
        self._ended = False
        self._failure = None  # type: Optional[BaseException]
        self._facts = pool.look(())
        self._thread = threading.Thread(target=self._run, name="watch", daemon=True)

    def start(self) -> None:
        """Begin to look."""
        self._thread.start()

    def stop(self) -> None:
        """End the thread.  Raises what ended it before, if anything did."""
        with self._news:
            self._ended = True
            self._news.notify_all()
        if self._thread.is_alive():
            self._thread.join()
        self._raise()

    @property
    def facts(self) -> PoolFacts:
        """What was seen last."""
        return self._facts

    def wait(self, until: Callable[[PoolFacts], bool], at_most_s: float) -> bool:
        """Wait until ``until`` is true of what is seen; false when it was not in time."""
        deadline = time.monotonic() + at_most_s
        with self._news:
            while True:
                self._raise()
                if until(self._facts):
                    return True
                left_s = deadline - time.monotonic()
                if left_s <= 0:
                    return False
                self._news.wait(min(left_s, 1.0))

    def fresh(self) -> PoolFacts:
        """What is seen by a look that began after this call."""
        seen = []  # type: List[PoolFacts]
        first = self._facts

        def twice(facts: PoolFacts) -> bool:
            if facts is not first and (not seen or facts is not seen[-1]):
                seen.append(facts)
            # The first of them may have begun before.
            return len(seen) >= 2
        self.wait(twice, 60.0)
        return self._facts

    def _raise(self) -> None:
        if self._failure is not None:
            raise self._failure

    def _run(self) -> None:
        try:
            while not self._ended:
                began = time.monotonic()
                before, after = self._facts, self._pool.look(self._facts.hosts)
                with self._news:
                    self._facts = after
                    self._news.notify_all()
                self._listener(before, after)
                with self._news:
                    if not self._ended:
                        self._news.wait(max(0.01, self._pace_s - (time.monotonic() - began)))
        except BaseException as error:
            self._failure = error
            # The main thread may wait for a line that never comes.
            os.kill(os.getpid(), signal.SIGTERM)
