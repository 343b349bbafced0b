"""Threads that live in namespaces of their own.

Linux keeps namespaces per thread.  A *door* is a thread of this process that
has moved itself into some; what it starts is born there, yet is a plain child
of this process, to be signalled and waited for like any other.  Nothing is
named, so nothing can be left behind: a namespace is gone with the last thread
and process in it.
"""

import ctypes
import os
import queue
import resource
import signal
import subprocess
import threading
from time import monotonic
from typing import Any, Callable, Dict, List, NamedTuple, Optional, Tuple

NEW_MOUNTS = 0x00020000
NEW_NAMES = 0x04000000
NEW_PIDS = 0x20000000
NEW_NETWORK = 0x40000000
OWN_DIRECTORY = 0x00000200      # CLONE_FS: a thread must leave the shared one to change mounts

MOUNT_BIND = 4096
MOUNT_RECURSIVE = 16384
MOUNT_PRIVATE = 1 << 18
UNMOUNT_DETACH = 2

_libc = ctypes.CDLL(None, use_errno=True)


class RigError(Exception):
    """The rig itself failed, or waited in vain; says what for."""


class Result(NamedTuple):
    """How a command ended."""

    # Exit status; -N for a signal, as subprocess counts.
    code: int
    out: str
    err: str
    # Instants of CLOCK_MONOTONIC, seconds.
    began_at: float
    ended_at: float


def _checked(status: int, what: str) -> None:
    if status != 0:
        number = ctypes.get_errno()
        raise OSError(number, "{}: {}".format(what, os.strerror(number)))


def unshare(flags: int) -> None:
    """Give the calling thread new namespaces of the kinds in ``flags``; OSError."""
    _checked(_libc.unshare(flags), "unshare")


def enter(descriptor: int) -> None:
    """Move the calling thread into the namespace behind ``descriptor``; OSError."""
    _checked(_libc.setns(descriptor, 0), "setns")


def mount(source: str, target: str, kind: str = "", flags: int = 0, data: str = "") -> None:
    """Mount, in the calling thread's mount namespace; OSError."""
    _checked(_libc.mount(source.encode(), target.encode(), kind.encode() or None,
                         ctypes.c_ulong(flags), data.encode() or None), "mount " + target)


def unmount(target: str) -> None:
    """Detach what is mounted on ``target``, if anything is."""
    _libc.umount2(target.encode(), UNMOUNT_DETACH)


def own_mounts() -> None:
    """Let no mount of this thread be seen outside its namespaces."""
    unshare(NEW_MOUNTS)
    mount("none", "/", flags=MOUNT_RECURSIVE | MOUNT_PRIVATE)


def no_core_files() -> None:
    """A fence of watchdog mode NONE ends in SIGABRT: many per run, none worth a core file."""
    hard = resource.getrlimit(resource.RLIMIT_CORE)[1]
    resource.setrlimit(resource.RLIMIT_CORE, (0, hard))


class Door:
    """A thread in namespaces of its own, and what is done there."""

    def __init__(self, name: str, prepare: Callable[[], None]) -> None:
        """Start the thread and run ``prepare`` in it, which enters the namespaces.

        Raises:
            Whatever ``prepare`` raises.
        """
        self.name = name
        self._work = queue.Queue()  # type: queue.Queue[Any]
        self._thread = threading.Thread(target=self._serve, name=name, daemon=True)
        self._thread.start()
        try:
            self.do(prepare)
            #: Path of the thread's /proc folder, as seen from outside the pool.
            self.proc = "/proc/" + self.do(lambda: os.readlink("/proc/thread-self"))
        except BaseException:
            self.close()
            raise

    def _serve(self) -> None:
        while True:
            item = self._work.get()
            if item is None:
                return
            work, answer = item
            try:
                answer.put((work(), None))
            except BaseException as error:      # handed to the caller of do()
                answer.put((None, error))

    def do(self, work: Callable[[], Any]) -> Any:
        """Run ``work`` in the namespaces and give back what it gives or raises."""
        answer = queue.Queue()  # type: queue.Queue[Tuple[Any, Optional[BaseException]]]
        self._work.put((work, answer))
        value, error = answer.get()
        if error is not None:
            raise error
        return value

    def popen(self, argv: List[str], **options: Any) -> "subprocess.Popen[Any]":
        """Start a process in the namespaces, in a session of its own."""
        process = self.do(lambda: subprocess.Popen(
            argv, start_new_session=True, **options))  # type: subprocess.Popen[Any]
        return process

    def run(self, argv: List[str], given: str = "", timeout_s: float = 60.0,
            env: Optional[Dict[str, str]] = None) -> Result:
        """Run a command to its end; RigError when that takes longer than ``timeout_s``."""
        began_at = monotonic()
        process = self.popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                             stderr=subprocess.PIPE, env=env)
        try:
            out, err = process.communicate(given.encode(), timeout=timeout_s)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            out, err = process.communicate()
            raise RigError("{}: {} still ran after {} s; out {!r}, err {!r}".format(
                self.name, " ".join(argv), timeout_s, out, err))
        return Result(code=process.returncode, out=out.decode("utf-8", "replace"),
                      err=err.decode("utf-8", "replace"), began_at=began_at,
                      ended_at=monotonic())

    def must(self, *argv: str, given: str = "") -> Result:
        """Run a command that must succeed; RigError with its words when it does not."""
        result = self.run(list(argv), given)
        if result.code != 0:
            raise RigError("{}: {} ended with {}: {}".format(
                self.name, " ".join(argv), result.code, result.err.strip()))
        return result

    def close(self) -> None:
        """End the thread; its namespaces go with the last process in them."""
        self._work.put(None)
        self._thread.join()
