"""Running a program that is not ours: what is asked for, and how it ended.

Values only.  The programs are hooks of dom0: the health check of xapi, what
restarts xapi, the licence check (spec 8).  ``xapimonitor`` runs them,
``xapihealth`` decides about them.
"""

import enum
from typing import NamedTuple

from xha.records import record

#: Most bytes of a program's standard output that are kept; the published text has room for so
#: many.  Source: spec 8; spec 3, offset 636.
OUTPUT_MAX = 100


@enum.unique
class Work(enum.Enum):
    """Which program is run."""

    CHECK = "health check"
    RESTART = "restart of xapi"
    LICENSE = "licence check"


@enum.unique
class How(enum.Enum):
    """How a program ended."""

    EXITED = "exited"
    SIGNALLED = "signalled"
    TIMED_OUT = "timed out"
    NOT_STARTED = "not started"


@record
class Job(NamedTuple):
    """A program to be run.  A newer job takes the place of one that has not ended."""

    work: Work
    # Names the job; larger than that of every job before.
    ticket: int
    # After so long the program and its process group are killed, ms.
    timeout_ms: int


@record
class Ended(NamedTuple):
    """How a job ended."""

    work: Work
    ticket: int
    how: How
    # The exit code or the number of the signal; 0 otherwise.
    number: int
    # NOT_STARTED: what the system said; otherwise the standard output: printable ASCII, at
    # most OUTPUT_MAX letters, without white space around it.
    text: str
    duration_ms: int

    @property
    def good(self) -> bool:
        """Whether the program ended by itself, with exit code 0."""
        return self.how is How.EXITED and self.number == 0

    @property
    def words(self) -> str:
        """The end in words, such as "health check: exit code 3"."""
        if self.how is How.EXITED:
            outcome = "exit code {}".format(self.number)
        elif self.how is How.SIGNALLED:
            outcome = "ended by signal {}".format(self.number)
        elif self.how is How.TIMED_OUT:
            outcome = "no end after {:g} s".format(self.duration_ms // 100 / 10)
        else:
            return "{} cannot be started: {}".format(self.work.value, self.text)
        return "{}: {}{}".format(self.work.value, outcome, self.text and ", " + self.text)
