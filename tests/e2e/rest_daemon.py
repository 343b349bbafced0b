"""The daemon of an archive, with or without its flight recorder, or with a clock on it.

    python3 -ISB rest_daemon.py ARCHIVE MODE COMMAND...

    built     as it is
    without   nothing is recorded, and nobody looks for what could be
    timed     SIGURG writes to /run/recorder-cost what the recorder has cost so far

Run by ``rest.py``.  What is timed is all that the daemon's other threads do for the recorder:
the hooks of the loop, those of the margins to a fence among them, and the appending of a
record.  The clock is of the thread's own
processor time; what it costs itself, and to find the caches cold, is taken off: before each call
one of nothing is timed in the same way.
"""
import json
import os
import signal
import sys
import time

COST = "/run/recorder-cost"

class Nothing:
    """Stands for a recorder, or for its observer, and does nothing."""

    alive = False

    def __init__(self, *arguments):
        self.incarnation = 0

    def nothing(self, *arguments):
        return ()

    start = note = state = measure = keep = news = close = nothing
    datagram = access = timer = turn = nothing

    @staticmethod
    def complete(snapshot):
        return snapshot


class Clock:
    """Counts calls and their processor time, more than that of as many calls of nothing."""

    def __init__(self):
        # By the name of a function: its calls, and their processor time, ns.
        self.costs = {}
        self.depth = 0

    @staticmethod
    def now_ns():
        return int(time.clock_gettime(time.CLOCK_THREAD_CPUTIME_ID) * 1e9)

    def around(self, function):
        """``function``, timed; what it calls that is timed, too, counts once."""
        cost = self.costs.setdefault(function.__name__, [0, 0])
        timed = self._around(function, cost, 1)
        nothing = self._around(lambda *arguments: (), cost, -1)

        def called(*arguments):
            if self.depth:
                return function(*arguments)
            nothing(*arguments)
            cost[0] += 1
            return timed(*arguments)
        return called

    def _around(self, function, cost, sign):
        def timed(*arguments):
            self.depth = 1
            began_ns = self.now_ns()
            try:
                return function(*arguments)
            finally:
                cost[1] += sign * (self.now_ns() - began_ns)
                self.depth = 0
        return timed


def without():
    from xha import daemon
    daemon.Observer = Nothing
    daemon.recorder_of = Nothing


def timed():
    from xha import observer, recorder
    clock = Clock()
    for owner, names in ((observer.Observer, ("datagram", "access", "timer", "turn")),
                         (recorder.Recorder, ("note", "state", "measure"))):
        for name in names:
            setattr(owner, name, clock.around(getattr(owner, name)))

    def tell(number, frame):
        with open(COST + ".new", "w") as file:
            json.dump(clock.costs, file)
        os.rename(COST + ".new", COST)
    signal.signal(signal.SIGURG, tell)


def main():
    archive, mode = sys.argv[1:3]
    sys.path[:0] = [archive + "/" + sys.implementation.cache_tag, archive]
    import _xha
    _xha.prepare(archive)
    {"built": lambda: None, "without": without, "timed": timed}[mode]()
    from xha import cli
    sys.argv[:] = [archive] + sys.argv[3:]
    sys.exit(cli.main(archive, sys.argv[1:]))


if __name__ == "__main__":
    main()
