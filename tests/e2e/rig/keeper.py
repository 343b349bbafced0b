"""First process of a pool: serves its storage, and takes everything down with it.

It is process 1 of the pool's pid namespace: when it ends, for whatever reason,
the kernel ends every daemon of the pool.  It ends when its standard input
does, that is at the latest with the process that made the pool, however that
one ended; and it then removes the pool's folder.

    python3 -m rig.keeper FOLDER HOSTS

Standard input: one request a line, JSON; standard output: one answer a line.
"""

import json
import os
import select
import shutil
import signal
import sys
from typing import Any, Dict, List

from rig.namespaces import unmount
from rig.storage import Storage


def answer(storage: Storage, request: Dict[str, Any]) -> Any:
    """Do what a request asks."""
    if request["do"] == "fault":
        storage.set_fault(request["hosts"], request["fault"], request["kinds"],
                          request["delay_ms"])
    elif request["do"] == "size":
        storage.set_size(request["hosts"], request["size"])
    elif request["do"] == "journal":
        return storage.journal()
    elif request["do"] == "counts":
        return [dict(counts) for counts in storage.counts]
    else:
        raise ValueError("unknown request {!r}".format(request))
    return "done"


def loop(storage: Storage) -> None:
    """Serve the disk and the test until standard input ends."""
    poll = select.poll()
    poll.register(storage.connection.descriptor, select.POLLIN)
    poll.register(0, select.POLLIN)
    waiting = b""
    while True:
        wait_s = storage.wait_s()
        ready = [number for number, _ in poll.poll(None if wait_s < 0 else int(wait_s * 1000) + 1)]
        storage.complete_late()
        if storage.connection.descriptor in ready:
            storage.serve()
        if 0 in ready:
            data = os.read(0, 65536)
            if not data:
                return
            waiting += data
            while b"\n" in waiting:
                line, waiting = waiting.split(b"\n", 1)
                os.write(1, json.dumps(answer(storage, json.loads(line.decode()))).encode()
                         + b"\n")


def main(arguments: List[str]) -> None:
    """Serve, then clear away."""
    folder, hosts = arguments[0], int(arguments[1])
    # Orphans of dead daemons become ours; the kernel reaps what nobody asks about.
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    target = os.path.join(folder, "sf")
    try:
        storage = Storage(os.path.join(folder, "statefile.img"), target, hosts)
        os.write(1, b'"up"\n')
        loop(storage)
    finally:
        # The daemons still run, for the milliseconds until this process ends.  Their files are
        # taken from under them; only what one of them makes in between needs a second look.
        unmount(target)
        for _ in range(5):
            shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    main(sys.argv[1:])
