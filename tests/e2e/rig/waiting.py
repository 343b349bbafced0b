"""Waiting for what another process does."""

import time
from typing import Callable


def until(holds: Callable[[], bool], what: str, within_s: float = 20.0) -> None:
    """Wait until something holds; AssertionError, with ``what`` it was, after so long."""
    deadline = time.monotonic() + within_s
    while not holds():
        assert time.monotonic() < deadline, "not within {} s: {}".format(within_s, what)
        time.sleep(0.05)
