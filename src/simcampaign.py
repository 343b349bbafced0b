"""A campaign: many random stories, over processes, until one fails or all are told.

A seed, and the range that the number of hosts is drawn from, decide a run; nothing else does.
The seeds are dealt out to the workers in turn; what is reported does not depend on how many they
are: the campaign's digest is over the runs' digests in the order of their seeds.
"""

import hashlib
import json
import os
import select
import signal
import sys
import time
from typing import Callable, Dict, Iterator, List, NamedTuple, Sequence, Tuple

from xha.errors import ExitCode, XhaError
from xha.simplan import Plan
from xha.simrun import Ending, run

#: Pools of this many hosts and more have the settings of large pools.
LARGE = 16


class Task(NamedTuple):
    """One run."""

    seed: int
    least: int
    most: int


class Told(NamedTuple):
    """What became of it."""

    seed: int
    ending: Ending
    text: str
    at_ms: int
    host_ms: int
    digest: str


class Summary(NamedTuple):
    """What became of a campaign."""

    runs: int
    failed: Tuple[Told, ...]
    # Simulated, summed over all hosts, ms.
    host_ms: int
    # Of all histories in the order of their seeds; 64 digits.
    digest: str
    wall_s: float


def lines_of(task: Task) -> List[str]:
    """The story of a run."""
    return Plan(task.seed, task.least, task.most, task.least >= LARGE).lines


def tell(task: Task) -> Told:
    """Tell one story."""
    result = run(lines_of(task))
    return Told(seed=task.seed, ending=result.ending, text=result.text, at_ms=result.at_ms,
                host_ms=result.host_ms, digest=result.digest)


def campaign(seeds: Sequence[int], hosts: Tuple[int, int], jobs: int, go_on: bool,
             deadline_s: float, progress: Callable[[int, int, int, float], None],
             failing: Callable[[Told], None]) -> Summary:
    """Tell the stories of these seeds.

    Args:
        seeds: a range may be as long as it likes: nothing is made before it is told.
        hosts: the fewest and the most that a pool may have.
        jobs: processes.
        go_on: do not end at the first failure.
        deadline_s: take no more of them after so long; 0: take all.
        progress: told of the runs done, the failures, the simulated host-ms and the seconds.
        failing: told of each run that fails, when it is known.

    Raises:
        KeyboardInterrupt: it was interrupted; the workers have ended.
        XhaError: SYSTEM_ERROR: a worker died, or could not be begun.
    """
    began_s = time.monotonic()
    done = []  # type: List[Told]
    failed = 0
    host_ms = 0
    for told in _results(seeds, hosts, jobs, deadline_s and began_s + deadline_s):
        done.append(told)
        host_ms += told.host_ms
        if told.ending is not Ending.WELL:
            failed += 1
            failing(told)
        progress(len(done), failed, host_ms, time.monotonic() - began_s)
        if failed and not go_on:
            break
    done.sort(key=lambda told: told.seed)
    total = hashlib.sha256("\n".join(told.digest for told in done).encode("ascii"))
    return Summary(
        runs=len(done), failed=tuple(told for told in done if told.ending is not Ending.WELL),
        host_ms=host_ms, digest=total.hexdigest(), wall_s=time.monotonic() - began_s)


def _results(seeds: Sequence[int], hosts: Tuple[int, int], jobs: int,
             until_s: float) -> Iterator[Told]:
    """What becomes of each, as it comes; nothing new is begun after ``until_s``."""
    if jobs <= 1:
        for task in _in_time(seeds, hosts, until_s):
            yield tell(task)
        return
    sys.stdout.flush()
    workers = {}  # type: Dict[int, int]
    try:
        for job in range(jobs):
            reader, pid = _fork(seeds[job::jobs], hosts, until_s)
            workers[reader] = pid
        poller = select.poll()
        unread = {reader: b"" for reader in workers}
        for reader in workers:
            poller.register(reader, select.POLLIN)
        while unread:
            for reader, _ in poller.poll():
                data = os.read(reader, 65536)
                unread[reader] += data
                while b"\n" in unread[reader]:
                    line, _, unread[reader] = unread[reader].partition(b"\n")
                    yield _read(line)
                if not data:
                    poller.unregister(reader)
                    del unread[reader]
                    if os.waitpid(workers.pop(reader), 0)[1]:
                        raise XhaError(ExitCode.SYSTEM_ERROR, "a worker process has died")
                    os.close(reader)
    finally:
        for reader, pid in workers.items():
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)
            os.close(reader)


def _in_time(seeds: Sequence[int], hosts: Tuple[int, int], until_s: float) -> Iterator[Task]:
    for seed in seeds:
        if until_s and time.monotonic() >= until_s:
            return
        yield Task(seed=seed, least=hosts[0], most=hosts[1])


def _fork(seeds: Sequence[int], hosts: Tuple[int, int], until_s: float) -> Tuple[int, int]:
    """Begin a worker that tells these: the end of a pipe on which its results come, its pid.

    Not ``multiprocessing``: its locks need /dev/shm, which not every dom0 has.
    """
    reader, writer = os.pipe()
    pid = os.fork()
    if pid:
        os.close(writer)
        return reader, pid
    # An interrupt is for the parent, who ends its workers.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    code = 1
    try:
        for task in _in_time(seeds, hosts, until_s):
            os.write(writer, _written(tell(task)))
        code = 0
    finally:
        os._exit(code)


def _written(told: Told) -> bytes:
    """A result as one line; shorter than what a pipe takes whole."""
    fields = told._replace(ending=told.ending.value, text=told.text[:1000])  # type: ignore
    return json.dumps(fields).encode("ascii") + b"\n"


def _read(line: bytes) -> Told:
    told = Told(*json.loads(line.decode("ascii")))
    return told._replace(ending=Ending(told.ending))
