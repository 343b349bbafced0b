"""The process hygiene of the daemon: alone, and not to be delayed by anything on the host.

A daemon that gets no processor for a while is fenced, whatever its reason.
So it runs at real-time priority, with its memory locked, and its garbage
collector runs when the loop has just nothing to do.  Where a privilege is
missing (a container, a test) it says so and goes on, unless real time is
required.

Children get normal scheduling back by the kernel itself
(SCHED_RESET_ON_FORK): nothing has to run between fork and exec, where a
process with threads may not run much.  Threads lose it in the same way, so
``raise_priority`` is called after the last thread was started: all threads
must have one priority, because a thread that is preempted while it holds the
interpreter's lock holds up all others.

Memory that is locked is memory that dom0 lacks.  glibc reserves an arena of 64
MiB of addresses for each thread, and what is locked is counted by addresses,
though nothing is behind most of them: with one arena for all threads, the
daemon's limit and what it shows are what it uses.  They take turns in it, which
the interpreter's lock has them do anyway.  Source: spec 8, real-time hygiene.
"""

import errno
import fcntl
import gc
import os
import resource
import sys
import threading
from typing import Sequence, Tuple

from xha import secrecy
from xha.actions import Log, log
from xha.errors import ExitCode, XhaError

#: The name by which logrotate finds the daemon (spec 6: ``killall -HUP xhad``).
PROCESS_NAME = "xhad"
#: The original's priority among the real-time processes of dom0.  Source: spec 8.
PRIORITY = 48
#: Stack of each thread, bytes: locked memory that nobody needs otherwise.
STACK_BYTES = 256 * 1024

#: Where the root of the cgroup tree takes processes: with real-time group scheduling, the
#: others may have no real-time share.
_ROOT_CGROUPS = ("/sys/fs/cgroup/cpu/cgroup.procs", "/sys/fs/cgroup/cpu,cpuacct/cgroup.procs",
                 "/sys/fs/cgroup/cgroup.procs")

#: Modules whose code a daemon asks for though it has imported them: that of the timers' process.
_CODE_WANTED = ("xha.userwatchdog",)

_MCL_CURRENT = 1
_MCL_FUTURE = 2
#: Parameters of glibc's mallopt, and what they are to be: one arena; free memory at the end
#: is given back, and large pieces are apart and given back at once, from where glibc begins
#: with both (it raises these two with each large piece that is freed).
_MALLOC = ((-8, 1), (-1, 128 * 1024), (-3, 128 * 1024))
#: Bit of the capability in CapEff.
_CAP_IPC_LOCK = 14


def take_lock(path: str) -> int:
    """Make this process the only daemon of the host; its pid is in the file.

    A record lock: a child never inherits it, and it ends with this process however that
    ends.  Nothing else in this process may open the file: closing it would give up the lock.

    Returns:
        The descriptor, to be kept open.

    Raises:
        XhaError: DAEMON_PRESENT when another process has it; INVALID_ENVIRONMENT when it
            may not be opened, SYSTEM_ERROR when it cannot.
    """
    while True:
        try:
            lock = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o644)
        except OSError as error:
            code = (ExitCode.INVALID_ENVIRONMENT if error.errno in (errno.EACCES, errno.EPERM)
                    else ExitCode.SYSTEM_ERROR)
            raise XhaError(code, "{}: cannot open the lock file: {}".format(path, error.strerror))
        try:
            fcntl.lockf(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            pid = _pid_in(lock)
            os.close(lock)
            if error.errno not in (errno.EACCES, errno.EAGAIN):
                raise XhaError(ExitCode.SYSTEM_ERROR, "{}: cannot lock: {}".format(
                    path, error.strerror))
            raise XhaError(ExitCode.DAEMON_PRESENT, "a daemon is already running: {} has {} "
                           "locked".format("process {}".format(pid) if pid else "a process", path))
        if _same_file(lock, path):
            break
        # Removed while we waited to open it: a lock on it would keep nobody out.
        os.close(lock)
    try:
        os.ftruncate(lock, 0)
        os.write(lock, "{}\n".format(os.getpid()).encode("ascii"))
    except OSError as error:
        raise XhaError(ExitCode.SYSTEM_ERROR, "{}: cannot write the lock file: {}".format(
            path, error.strerror))
    return lock


def lock_holder(path: str) -> int:
    """The pid of the daemon that holds the lock, 0 when none does.

    Not for the daemon's own process: see ``take_lock``.

    Raises:
        XhaError: INVALID_ENVIRONMENT when the file may not be opened.
    """
    try:
        lock = os.open(path, os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW)
    except FileNotFoundError:
        return 0
    except OSError as error:
        raise XhaError(ExitCode.INVALID_ENVIRONMENT, "{}: cannot open the lock file: {}".format(
            path, error.strerror))
    try:
        fcntl.lockf(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except OSError:
        # A holder that has not written its pid yet is there all the same.
        return _pid_in(lock) or -1
    finally:
        os.close(lock)
    return 0


def _pid_in(lock: int) -> int:
    text = os.pread(lock, 20, 0).strip()
    return int(text) if text.isdigit() else 0


def _same_file(lock: int, path: str) -> bool:
    try:
        named = os.stat(path)
    except FileNotFoundError:
        return False
    return os.path.samestat(os.fstat(lock), named)


def settle(name: str = PROCESS_NAME) -> None:
    """What needs no privilege: process group, name, file modes, memory, no core.

    Before any thread.
    """
    try:
        os.setpgid(0, 0)
    except OSError:
        # The leader of a session has a group of its own already.
        assert os.getpgrp() == os.getpid()
    os.umask(0o077)
    threading.stack_size(STACK_BYTES)
    spare_memory()
    pack_archive()
    try:
        with open("/proc/self/comm", "wb") as comm:
            comm.write(name.encode("ascii"))
    except OSError:
        pass  # No /proc: nobody looks for the name either.
    # Last: who may not be looked into may not even name itself, where it is not root.
    secrecy.keep()


def spare_memory() -> bool:
    """Let all threads of this process have one arena of malloc, before there are any.

    Returns: whether that could be asked for.  A C library without this call has no arenas.
    """
    try:
        import ctypes
        mallopt = ctypes.CDLL(None).mallopt
    except (ImportError, OSError, AttributeError):
        return False
    return all([mallopt(parameter, value) for parameter, value in _MALLOC])


def pack_archive() -> None:
    """Of the archive's modules, keep compressed what is not imported, and the others not at all.

    To be called when what the daemon needs is imported.  Run from its sources there is none.
    """
    start_up = sys.modules.get("_xha")
    if start_up is not None:
        start_up.pack(_CODE_WANTED)


def raise_priority(required: bool = False) -> Tuple[Log, ...]:
    """Give all threads of this process real-time priority.

    Raises:
        XhaError: INVALID_ENVIRONMENT when that is refused, and ``required``.
    """
    try:
        _schedule_threads()
    except PermissionError:
        # A cgroup without a real-time share refuses it even to root.
        _leave_cgroup(_ROOT_CGROUPS)
        try:
            _schedule_threads()
        except OSError as error:
            return _missing("real-time priority", str(error.strerror), required)
    except OSError as error:
        return _missing("real-time priority", str(error.strerror), required)
    return ()


def _schedule_threads() -> None:
    policy = os.SCHED_RR | os.SCHED_RESET_ON_FORK
    for thread in os.listdir("/proc/self/task"):
        try:
            os.sched_setscheduler(int(thread), policy, os.sched_param(PRIORITY))
        except ProcessLookupError:
            pass  # It ended meanwhile.


def _leave_cgroup(roots: Sequence[str]) -> None:
    for root in roots:
        try:
            with open(root, "wb") as processes:
                processes.write(str(os.getpid()).encode("ascii"))
        except OSError:
            pass  # Not mounted here, or not ours to change: the second try will tell.


def spare_from_killer() -> Tuple[Log, ...]:
    """Have the kernel end other processes first when memory runs out.

    It takes the largest, whoever is to blame, and this one would take its host with it.
    """
    try:
        with open("/proc/self/oom_score_adj", "wb", buffering=0) as score:
            score.write(b"-1000")
    except OSError as error:
        return _missing("protection from the out-of-memory killer", str(error.strerror), False)
    return ()


def lock_memory(required: bool = False) -> Tuple[Log, ...]:
    """Keep all memory, present and future, from being paged out.

    Raises:
        XhaError: INVALID_ENVIRONMENT when that is refused, and ``required``.
    """
    privilege = "locked memory"
    if not _may_lock_everything():
        # Under a limit, each later allocation could fail: worse than being paged out.
        limit = resource.getrlimit(resource.RLIMIT_MEMLOCK)[1]
        return _missing(privilege, "the limit is {} bytes".format(limit), required)
    try:
        import ctypes
    except ImportError as error:
        return _missing(privilege, str(error), required)
    libc = ctypes.CDLL(None, use_errno=True)
    if hasattr(libc, "malloc_trim"):    # glibc's: give back what the start has left free.
        libc.malloc_trim(0)
    if libc.mlockall(_MCL_CURRENT | _MCL_FUTURE) != 0:
        return _missing(privilege, os.strerror(ctypes.get_errno()), required)
    return ()


def _may_lock_everything() -> bool:
    unlimited = (resource.RLIM_INFINITY, resource.RLIM_INFINITY)
    try:
        resource.setrlimit(resource.RLIMIT_MEMLOCK, unlimited)
    except (OSError, ValueError):
        pass  # Looked at below.
    if resource.getrlimit(resource.RLIMIT_MEMLOCK) == unlimited:
        return True
    try:
        with open("/proc/self/status", "rb") as status:
            for line in status:
                if line.startswith(b"CapEff:"):
                    return bool(int(line.split()[1], 16) >> _CAP_IPC_LOCK & 1)
    except OSError:
        pass
    return False


def calm_collector() -> None:
    """No garbage collection but by ``collect``; what exists now is never looked at again.

    Nothing in the daemon makes cycles as it runs, so little is ever found; an exception's
    traceback now and then.  To be called when all is imported and built.
    """
    gc.disable()
    gc.collect()
    if hasattr(gc, "freeze"):  # Since Python 3.7.
        gc.freeze()  # novm


def collect() -> int:
    """Collect garbage, of what was made since ``calm_collector``; the number of objects found.

    To be called now and then, just after the loop has done what was due.
    """
    return gc.collect()


def _missing(privilege: str, reason: str, required: bool) -> Tuple[Log, ...]:
    if required:
        raise XhaError(ExitCode.INVALID_ENVIRONMENT, "no {}: {}; it is required "
                       "(--require-realtime)".format(privilege, reason))
    return (log("realtime-missing", privilege=privilege, reason=reason),)
