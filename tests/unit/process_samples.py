"""What tests that run other processes have in common."""
import time


def wait_until(fact):
    """Wait for another process; a failure is a time-out far beyond what it takes."""
    deadline = time.monotonic() + 20
    while not fact():
        assert time.monotonic() < deadline
        time.sleep(0.005)
