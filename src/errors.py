"""Our exceptions, and the exit codes that xapi knows by number.

Source: spec 6, "Exit codes".  No command ever ends with another code.
"""

import enum
from typing import Tuple


@enum.unique
class ExitCode(enum.IntEnum):
    """How a command or the daemon ended."""

    SUCCESS = 0
    INVALID_PARAMETER = 1
    SYSTEM_ERROR = 2
    TRANSIENT_ERROR = 3
    WATCHDOG_ERROR = 4
    IMPROPER_LICENSE = 5
    CANNOT_READ_CONFIG = 6
    INVALID_CONFIG = 7
    STATEFILE_INACCESSIBLE = 8
    INVALID_STATEFILE = 9
    GENERATION_MISMATCH = 10
    INVALID_POOL_STATE = 11
    JOIN_TIMEOUT = 12
    CANNOT_JOIN = 13
    DAEMON_NOT_PRESENT = 14
    DAEMON_PRESENT = 15
    INVALID_ENVIRONMENT = 16
    NOT_ONLINE = 17
    START_BLOCKED_BY_EXCLUSION = 18
    EXCLUDED_WHILE_RUNNING = 19
    INTERNAL_BUG = 127


class XhaError(Exception):
    """A refusal: ends the command with ``code``; its text is the message for people."""

    def __init__(self, code: ExitCode, message: str) -> None:
        super().__init__(message)
        self.code = code


class FormatError(Exception):
    """Bytes that are not what they should be; the text says what was found and expected."""


def explain(error: BaseException) -> Tuple[ExitCode, str]:
    """With which code a command ends that this ended, and in which words."""
    if isinstance(error, XhaError):
        return error.code, str(error)
    if isinstance(error, ImportError) and error.name and error.name.split(".")[0] != "xha":
        # Half an installation, or a library that this machine cannot load: no bug of ours.
        return ExitCode.INVALID_ENVIRONMENT, "this Python lacks a part: {}".format(error)
    return ExitCode.INTERNAL_BUG, "internal bug: {}: {}".format(type(error).__name__, error)
