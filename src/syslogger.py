"""Prints ``Log`` actions: to syslog and to the log file, from a thread of its own.

Theory of operation
===================

Whoever logs must never wait for a log: not for a full or hung disk, not for
a syslog that is absent or stuck.  So ``say`` only appends to a bounded queue
and puts a byte into a pipe, neither of which can block; when the queue is
full, the message is dropped and counted, and the count is said later.
``reopen`` only sets a flag, so that a signal handler may call it.  A change of
the mask goes through the queue, so that it counts from where it was asked for.

The thread sends a message to syslog first (a message that syslog does not
take in a fraction of a second is lost to syslog alone, and the next ones are
not waited for at all) and writes it to the file then, which may block for as
long as the disk likes.  The thread keeps the scheduling of the process: at a
lower priority it could be preempted while it holds the interpreter's lock,
and so hold up the loop that keeps this host alive.

Whatever is logged goes to the flight recorder, too, whatever the mask is, and
at once: that has a thread of its own, and neither waits for the other's disk.

A line of the file: UTC wall time of the moment of logging, level, text,
[name], and the fields as key=value; ASCII, one line, whatever a field holds.
Source: spec 6 (logrotate), 8, 9; style guide 8.
"""

import os
import select
import socket
import threading
import time
from collections import deque
from typing import Deque, Optional, Sequence, Tuple, Union

from xha import catalogue, logmask, packed
from xha.actions import Log, log
from xha.catalogue import LEVELS, Catalogue
from xha.doorbell import Doorbell, wait_until
from xha.logfile import LogFile, ready
from xha.logmask import LogMask
from xha.recorder import Recorder
from xha.repeats import Repeats, condition_of

#: Where syslog listens.
SYSLOG_SOCKET = "/dev/log"
#: What syslog calls us.
TAG = "xha"
#: Facility "daemon", as a priority's higher bits.
_FACILITY = 3 << 3
#: The least grave level that goes to syslog.
_SYSLOG_LEVEL = "notice"

#: Messages that wait at most.  A step logs a handful; this is minutes of trouble.
QUEUE_LENGTH = 2000
#: How long a burst may wait for syslog to read; its socket holds as few as ten messages.
_SYSLOG_WAIT_S = 0.2
#: The longest line, bytes; syslog daemons cut at 2048 or later.
_MAX_LINE = 2000

#: A message with its wall time, s; a change of the mask; or somebody who waits until all before
#: it is printed.
_Entry = Tuple[float, Union[Log, LogMask, threading.Event]]


def load_catalogue() -> Catalogue:
    """The catalogue that travels in the archive, or that of the source tree.

    Raises:
        FormatError: it is not in its form.
        OSError: it is not there.
    """
    data = packed.read("sysloglist", "sysloglist")
    return catalogue.parse(data.decode("ascii"))


class Syslogger:
    """The printer of messages.  ``say`` and ``reopen`` may be called from any thread."""

    def __init__(self, messages: Catalogue, log_file: str, addresses: Sequence[str] = (),
                 foreground: bool = False, syslog_socket: str = SYSLOG_SOCKET,
                 recorder: Optional[Recorder] = None) -> None:
        """Prepare; nothing is opened before ``start``.

        Args:
            log_file: where lines are appended; "" for none.
            addresses: those of the pool's hosts by index, to show with a host.
            foreground: somebody may read standard error: lines go there whenever they
                cannot go to the file.
            syslog_socket: path of syslog's datagram socket; "" for none.
            recorder: gets every message, too; is started, flushed and closed with this.
        """
        self._messages = messages
        self._addresses = tuple(addresses)
        self._file = LogFile(log_file, 2 if foreground else -1)
        self._syslog = _Syslog(syslog_socket)
        self._recorder = recorder
        self._queue = deque()  # type: Deque[_Entry]
        self._dropped_lock = threading.Lock()
        self._dropped = 0
        #: What is asked for; the thread comes to it in the order of the queue.
        self.mask = logmask.USUAL
        self._applied = self.mask
        self._reopen = False
        self._stop = False
        self._bell = Doorbell()
        self._repeats = Repeats()
        self._thread = threading.Thread(target=self._run, name="syslogger", daemon=True)
        # Why the thread died, if it could say so.
        self._death = ""

    @property
    def death(self) -> str:
        """Why the thread died; "" before its start, while it lives, and when it was stopped."""
        if self._death or self._stop or self._thread.ident is None or self._thread.is_alive():
            return self._death
        return "it ended without a word"

    def say_dead(self) -> None:
        """Say, past the thread that died, that nothing is printed any more.  Never blocks."""
        news = log("log-thread-died", reason=self.death)
        if self._recorder is not None:
            self._recorder.note(news)
        line = "{} [{}]".format(self._messages.text_of(news, self._addresses), news.name)
        _Syslog(self._syslog.path).send(time.time(), "err", line, 0.0)
        self._file.spare(line.encode("ascii", "backslashreplace") + b"\n")

    def start(self) -> None:
        """Begin to print; what was logged before is printed now."""
        self._thread.start()
        if self._recorder is not None:
            self._recorder.start()

    def say(self, message: Log) -> None:
        """Print a message, later.  Never blocks, never raises."""
        if self._recorder is not None:
            self._recorder.note(message)
        if len(self._queue) >= QUEUE_LENGTH:
            # The lock is only ever held for one addition.
            with self._dropped_lock:
                self._dropped += 1
            return
        self._queue.append((time.time(), message))
        self._bell.ring()

    def change(self, mask: LogMask) -> None:
        """From here on print what this mask lets through.  By the daemon's loop alone."""
        if mask != self.mask:
            self.mask = mask
            self._queue.append((0.0, mask))
            self._bell.ring()

    def reopen(self) -> None:
        """Open the log file anew, soon.  May be called by a signal handler."""
        self._reopen = True
        self._bell.ring()

    def flush(self, timeout_s: float) -> bool:
        """Wait until all that was logged is printed, at most so long; whether it is.

        The flight recorder has the same time, not more, to bring it to the disk.
        """
        deadline_s = time.monotonic() + timeout_s
        recorder = self._recorder
        recorded = recorder.hasten() if recorder is not None and recorder.alive else None
        printed = threading.Event()
        self._queue.append((0.0, printed))
        self._bell.ring()
        wait_until(lambda: printed.is_set() or bool(self.death), deadline_s)
        if recorded is not None:
            wait_until(recorded.is_set, deadline_s)
        return printed.is_set()

    def close(self, timeout_s: float = 1.0) -> None:
        """Print what waits, for at most so long, and stop.  A hung disk is left behind."""
        deadline_s = time.monotonic() + timeout_s
        self._stop = True
        self._bell.ring()
        wait_until(lambda: not self._thread.is_alive(), deadline_s)
        if self._recorder is not None:
            self._recorder.close(max(0.0, deadline_s - time.monotonic()))

    def _run(self) -> None:
        try:
            self._loop()
        except BaseException as error:  # pylint: disable=broad-except
            # The daemon looks at this and says so; a log is not worth a host.
            self._death = "{}: {}".format(type(error).__name__, error)
            raise

    def _loop(self) -> None:
        self._file.open()
        while True:
            stopping = self._stop
            if self._reopen:
                self._reopen = False
                self._open_anew()
            self._drain()
            if stopping:
                for name, count, span_s in self._repeats.ended(None):
                    self._say_repeated(name, count, span_s)
                self._file.close()
                return
            self._bell.wait(self._patience_s())
            for name, count, span_s in self._repeats.ended(time.monotonic()):
                self._say_repeated(name, count, span_s)

    def _patience_s(self) -> Optional[float]:
        """How long there is nothing to do but to wait; for ever, mostly."""
        return 1.0 if self._repeats.waiting() else None

    def _open_anew(self) -> None:
        """The file was renamed, or is wanted again."""
        if self._applied.file:
            news = self._file.reopen() or (log("log-reopened") if self._file.opened else None)
            if news is not None:
                self._print_own(news)

    def _drain(self) -> None:
        while self._queue:
            wall_s, message = self._queue.popleft()
            if isinstance(message, threading.Event):
                self._say_dropped()
                message.set()
            elif isinstance(message, LogMask):
                self._apply(message)
            elif self._wanted(message):
                self._print(wall_s, message)
        self._say_dropped()

    def _apply(self, mask: LogMask) -> None:
        """Change what is printed, and say so where it can still, or again, be read."""
        news = log("log-mask-changed", levels=mask.words,
                   file="written" if mask.file else "not written")
        was, self._applied = self._applied, mask._replace(file=mask.file or self._applied.file)
        failure = self._file.reopen() if mask.file and not was.file else None
        self._print_own(news)
        if failure is not None:
            self._print_own(failure)
        if was.file and not mask.file:
            self._file.close()
        self._applied = mask

    def _say_dropped(self) -> None:
        with self._dropped_lock:
            dropped, self._dropped = self._dropped, 0
        if dropped:
            self._print_own(log("log-dropped", count=dropped))

    def _wanted(self, message: Log) -> bool:
        """Whether a message is printed: its level, and whether it repeats another."""
        if self._messages.level_of(message) not in self._applied.levels:
            return False
        if message.name not in self._messages or not self._messages[message.name].repeats:
            return True
        return self._repeats.fresh(condition_of(message), time.monotonic())

    def _say_repeated(self, name: str, count: int, span_s: int) -> None:
        self._print_own(log("log-repeated", message=name, count=count, seconds=span_s))

    def _print_own(self, message: Log) -> None:
        """Print a message about the log itself, and record it."""
        if self._recorder is not None:
            self._recorder.note(message)
        self._print(time.time(), message)

    def _print(self, wall_s: float, message: Log) -> None:
        level = self._messages.level_of(message)
        if level not in self._applied.levels:
            return  # One of our own: of the file, of what was held back.
        text = "{} [{}]".format(self._messages.text_of(message, self._addresses), message.name)
        if LEVELS[level] <= LEVELS[_SYSLOG_LEVEL]:
            self._syslog.send(wall_s, level, text)
        if self._applied.file:
            self._write(wall_s, level, text, message)

    def _write(self, wall_s: float, level: str, text: str, message: Log) -> None:
        line = "{}.{:03d}Z {:7} {} {}".format(
            time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(wall_s)), int(wall_s * 1000) % 1000,
            level, text, catalogue.pairs_of(message, len(self._addresses))).rstrip()
        news = self._file.write(line[:_MAX_LINE].encode("ascii", "backslashreplace") + b"\n")
        if news is not None and not message.name.startswith("log-file-"):
            # Once per change; the file's own news can fail no further than this.
            self._print_own(news)


class _Syslog:
    """syslog's datagram socket, written with next to no patience.

    The standard library's module blocks while syslog's buffer is full, holding
    the interpreter's lock.
    """

    def __init__(self, path: str) -> None:
        self.path = path
        self._socket = None  # type: Optional[socket.socket]
        # It did not take a message in time: no patience before it takes one again.
        self._stuck = False

    def send(self, wall_s: float, level: str, text: str,
             patience_s: float = _SYSLOG_WAIT_S) -> None:
        """Send one line; it is lost when syslog cannot take it now."""
        if not self.path:
            return
        stamp = time.strftime("%b %e %H:%M:%S", time.localtime(wall_s))
        data = "<{}>{} {}[{}]: {}".format(
            _FACILITY | LEVELS[level], stamp, TAG, os.getpid(), text)[:_MAX_LINE].encode(
                "ascii", "backslashreplace")
        # A second try, on a new socket, if syslog was restarted; or after it has read some.
        for _ in range(2):
            try:
                if self._socket is None:
                    self._socket = self._connect()
                self._socket.send(data)
                self._stuck = False
                return
            except BlockingIOError:
                if not self._socket or not ready(self._socket.fileno(), select.POLLOUT,
                                                 0.0 if self._stuck else patience_s):
                    self._stuck = True
                    return
            except OSError:
                if self._socket is not None:
                    self._socket.close()
                    self._socket = None

    def _connect(self) -> socket.socket:
        made = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
        try:
            made.connect(self.path)
        except OSError:
            made.close()
            raise
        return made
