"""What is in this process's memory stays there: the pool key is.

Theory of operation
===================

A process that dies by a signal may leave its memory in a core file, or hand it
to a program that collects crashes and sends them away.  Python's copies of a
key are many and cannot be wiped one by one, so the memory as a whole is kept
in: the process is not *dumpable* (Linux, prctl(2)).  Then no core is written or
piped, whatever the limits and core_pattern say; and its memory is root's alone
to read, who can read the State-File as well.  The limit of 0 stands beside it
for where there is no prctl.  (The limit alone would not do: the kernel ignores
it where cores go to a program.)  What a child starts by exec is dumpable again,
and has none of this memory; of the limit it may have back what it had.

Memory is locked once the host is armed (``realtime``), so the key is not swapped
out either.  Source: docs/key.md.
"""

import resource

#: Linux, sys/prctl.h.
_PR_GET_DUMPABLE, _PR_SET_DUMPABLE = 3, 4


def keep() -> bool:
    """From here on, no core of this process; returns whether the kernel has promised that."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, resource.getrlimit(resource.RLIMIT_CORE)[1]))
    try:
        import ctypes
        prctl = ctypes.CDLL(None).prctl
    except (ImportError, OSError, AttributeError):
        return False
    nothing = ctypes.c_ulong(0)
    prctl(_PR_SET_DUMPABLE, nothing, nothing, nothing, nothing)
    return bool(prctl(_PR_GET_DUMPABLE, nothing, nothing, nothing, nothing) == 0)
