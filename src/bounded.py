"""Work on a device that may hang, in a process that can be left behind.

A thread does not help: a process whose thread is held in the kernel by a
device cannot end before the device lets it go, and whoever waits for the
process waits with it.
"""

import os
import select
import signal
import time
from typing import Any, Callable, List, Optional, Tuple

from xha.errors import ExitCode, XhaError

#: The answer of a child whose work has no result: a daemon has no memory for ``pickle``.
_DONE = b"done"


def run(work: Callable[[], Any], what: str, bound_s: float) -> Any:
    """The result of ``work``, done by a child process.

    Args:
        work: its result must be picklable; it sees no standard input and output.
        what: begins the message when it does not end, such as "State-File /dev/sdb".
        bound_s: how long it may take, s.

    Raises:
        XhaError: as ``work``; STATEFILE_INACCESSIBLE, it took longer; INTERNAL_BUG, it raised
            anything else.
    """
    readable, writable = os.pipe()
    child = os.fork()
    if child == 0:
        _work_and_exit(work, readable, writable)
    os.close(writable)
    answer = None
    try:
        answer = _read_until(readable, time.monotonic() + bound_s)
    finally:
        os.close(readable)
        if answer is None:
            # Not waited for: in the kernel it may stay for as long as the device hangs.
            os.kill(child, signal.SIGKILL)
        else:
            os.waitpid(child, 0)
    if answer is None:
        raise XhaError(ExitCode.STATEFILE_INACCESSIBLE, "{}: it did not answer within {:g} s"
                       .format(what, bound_s))
    if not answer:
        raise XhaError(ExitCode.INTERNAL_BUG, "{}: the process that accesses it ended without"
                       " an answer".format(what))
    if answer == _DONE:
        return None
    import pickle
    code, result = pickle.loads(answer)
    if code:
        raise XhaError(ExitCode(code), result)
    return result


def _work_and_exit(work: Callable[[], Any], readable: int, writable: int) -> None:
    """The life of the child.  Nobody who waits for our output may wait for it."""
    code = 1
    try:
        os.close(readable)
        null = os.open(os.devnull, os.O_RDWR)
        for descriptor in range(3):
            os.dup2(null, descriptor)
        try:
            answer = (0, work())  # type: Tuple[int, Any]
        except XhaError as error:
            answer = (int(error.code), str(error))
        except BaseException:
            import traceback
            answer = (int(ExitCode.INTERNAL_BUG), traceback.format_exc())
        with os.fdopen(writable, "wb") as stream:
            stream.write(_answer_of(answer))
        code = 0
    finally:
        os._exit(code)


def _answer_of(answer: Tuple[int, Any]) -> bytes:
    if answer == (0, None):
        return _DONE
    import pickle
    return pickle.dumps(answer)


def _read_until(readable: int, deadline_s: float) -> Optional[bytes]:
    """What the child says until it closes; None when it is late."""
    parts = []  # type: List[bytes]
    while True:
        left_s = deadline_s - time.monotonic()
        if left_s <= 0 or not select.select([readable], [], [], left_s)[0]:
            return None
        part = os.read(readable, 1 << 16)
        if not part:
            return b"".join(parts)
        parts.append(part)
