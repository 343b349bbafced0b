"""The daemon: one loop, one host.

Theory of operation
===================

One thread decides everything.  Each turn of its loop takes in every datagram
that waits, every State-File access that ended, every request that is
complete, and then steps the core with the time; what the core asks for is
done at once, because nothing that it asks for can wait: sending is
non-blocking, the State-File belongs to a thread of its own, a timer is one
hypercall.  So the loop is late only if the machine is, and a turn that hangs
stops the heartbeats and their watchdog together.

The heartbeat watchdog is thus fed by a loop that has just received, decided
and sent; the State-File watchdog by writes that have just ended.  If this
process dies, whatever the reason, both run out: a crash while armed is a
fence.

There is no way to leave this module but ``_Daemon.end``, ``fence`` and ``die``; all
end the process at once, without waiting for a thread that may hang in a disk.

Source: spec 4 (last paragraph), spec 6 (exit codes), spec 7, spec 8
("Real-time hygiene").
"""

import os
import select
import signal
import sys
import time
import traceback
from typing import Iterable, Set, Tuple

from xha import __version__, actions, bounded, config, configfile, events, faultpoints
from xha import licensehook, nic, realtime, sfdevice, signals, statefile, syslogger, timing
from xha.actions import Watchdog, log
from xha.child import Work
from xha.control import ControlServer
from xha.errors import ExitCode, XhaError
from xha.faultpoints import FaultPoints
from xha.health import Health
from xha.heartbeat import HeartbeatSocket
from xha.membership import Membership
from xha.node import Completion, Node, World
from xha.observer import Observer, recorder_of
from xha.options import DaemonOptions
from xha.options import report as tell_starter
from xha.published import NEVER, LastWords, Phase, WatchdogMode
from xha.recorder import Recorder
from xha.service import Service
from xha.watchdog import WatchdogError, Watchdogs, open_watchdogs

#: Most datagrams taken in one turn: a flood cannot keep the loop from deciding and sending.
DATAGRAMS_PER_TURN = 512

#: The loop turns at least this often, ms.
LONGEST_TURN_MS = 1000

#: How long a fence may wait for the last words to reach the disk and the log, ms.  The timers
#: run on meanwhile.
LAST_WORDS_MS = 150

#: Lines of a traceback that are logged, the last ones: those of a recursion are many.
TRACEBACK_LINES = 40

#: Garbage is looked for this often, ms, right after a turn's work.
COLLECT_MS = 60000

_BUG = int(ExitCode.INTERNAL_BUG)

SOFTWARE = "xha " + __version__


def _offset_ms() -> int:
    """At random; not by ``random``, which has OpenSSL with it on CPython 3.6."""
    most = timing.CYCLE_OFFSET_MS
    return int.from_bytes(os.urandom(4), "little") % (2 * most + 1) - most


def now_ms() -> int:
    """CLOCK_MONOTONIC in ms."""
    return int(time.monotonic() * 1000)


def run(options: DaemonOptions) -> int:
    """Run the daemon of this host until it ends.

    Returns: an exit code, when the daemon could not start; afterwards the process ends
    without returning.
    """
    logger = None
    # Before it is named xhad: from then on, logrotate finds it.
    signals.ignore_hangup()
    try:
        settings = configfile.load(options.config)
        realtime.settle()
        lock = realtime.take_lock(options.paths.lock)
        assert lock >= 0
        messages = syslogger.load_catalogue()
        recorder = recorder_of(settings, messages, options.paths.state_dir, SOFTWARE)
        logger = syslogger.Syslogger(
            messages, options.paths.log_file, foreground=options.report_fd < 0,
            addresses=[host.address for host in settings.common.hosts], recorder=recorder)
        signals.at_hangup(logger.reopen)
        try:
            _try_statefile(settings)
        finally:
            logger.start()
        licensehook.check(options.hooks[Work.LICENSE],
                          settings.common.xapi_license_timeout_ms, now_ms)
        daemon = _Daemon(options, settings, logger, recorder)
        daemon.start()
    except XhaError as error:
        if logger is not None:
            logger.say(log("start-aborted", reason=str(error)))
            logger.close()
        tell_starter(options.report_fd, error.code, str(error))
        return error.code
    try:
        daemon.loop()
    except BaseException as error:
        daemon.die(_traceback_of(error))
    finally:
        # Even without the memory to say why: a process that can do no more must not stay.
        os._exit(_BUG)


def _traceback_of(error: BaseException) -> str:
    """The traceback of what is being handled; where that fails in its turn, what it is."""
    try:
        return traceback.format_exc()
    except Exception as worse:
        return "{}: {} (no traceback: {})".format(type(error).__name__, error, worse)


def _try_statefile(settings: config.Config) -> None:
    """Refuse to start on a State-File that cannot be opened, or whose opening hangs.

    In a child, before this process has a thread or a socket that it would inherit: what hangs
    in the device stays behind with it, and whoever waits for this daemon learns why it ends.
    A DRBD device may be another host's for a while.

    Raises:
        XhaError: STATEFILE_INACCESSIBLE.
    """
    path = settings.local.statefile
    bounded.run(lambda: sfdevice.open_device(path).close(), "State-File " + path,
                settings.common.statefile_timeout_ms / 1000
                + sfdevice.DRBD_TRIES * sfdevice.DRBD_PAUSE_S)


class _Daemon(World):
    """One host in the real world."""

    def __init__(self, options: DaemonOptions, settings: config.Config,
                 logger: syslogger.Syslogger, recorder: Recorder) -> None:
        """Open everything; raise XhaError, with all that is open closed again by the exit."""
        self._options = options
        self._settings = settings
        self._logger = logger
        common, local = settings.common, settings.local
        self._faults = FaultPoints(options.enable_faults, options.fault_points)
        self._peers = [(index, host.address) for index, host in enumerate(common.hosts)
                       if index != local.index]
        for warning in settings.warnings:
            self.say(log("config-warning", text=warning))
        address = common.hosts[local.index].address
        self._say_all(nic.check(local.interface, address))
        self._socket = HeartbeatSocket(
            tuple(host.address for host in common.hosts), local.index, common.udp_port,
            local.interface, now_ms, self._faults)
        self._say_all(self._socket.notes)
        self._control = ControlServer(options.paths, now_ms)
        self._control.open()
        if self._faults.enabled:
            self.say(log("fault-points-enabled"))
        self._worker = statefile.StateFileWorker(
            local.statefile, len(common.hosts), now_ms, self._faults)
        self._health = Health(settings, options.hooks, options.paths, now_ms, self.say)
        self._say_all(realtime.raise_priority(options.require_realtime))
        if local.watchdog_mode is not WatchdogMode.NONE:
            self._say_all(realtime.spare_from_killer())
        if options.require_realtime:
            self._say_all(realtime.lock_memory(required=True))
        # Last of what can fail, and after any change of cgroup, which the timers' process shares.
        self._watchdogs = self._open_watchdogs()
        self._stuck_watchdogs = set()  # type: Set[Watchdog]
        self._core = Membership(
            common, local.index, now_ms(), int(time.time()), SOFTWARE, local.watchdog_mode,
            weight=self._health.first_weight(), offset_ms=_offset_ms)
        self._node = Node(settings, self._core, self)
        self._observer = Observer(recorder, common, self._core.view, local.statefile)
        self._signals = signals.Signals()
        self._collected_at_ms = now_ms()
        self._announced = False
        self._mute = False
        self._service = Service(
            self._control, self._node, self._health, self._observer, self._faults, now_ms, logger)

    def _open_watchdogs(self) -> Watchdogs:
        common, local = self._settings.common, self._settings.local
        watchdogs = open_watchdogs(
            local.watchdog_mode, self._options.paths,
            self._options.fence_command or local.fence_command, now_ms,
            {Watchdog.HEARTBEAT: common.heartbeat_watchdog_timeout_ms,
             Watchdog.STATEFILE: common.statefile_watchdog_timeout_ms})
        self._say_all(watchdogs.open())
        return watchdogs

    # ---- the loop

    def start(self) -> None:
        """Take the signals; from here on the process ends by ``end``, ``fence`` or ``die``."""
        self._signals.take()
        realtime.calm_collector()

    def loop(self) -> None:
        """Turn until the daemon ends."""
        poller = select.poll()
        for fd in (self._socket.fileno(), self._worker.fileno(), self._control.fileno(),
                   self._health.fileno(), self._signals.fileno()):
            poller.register(fd, select.POLLIN)
        while True:
            self._turn()
            poller.poll(self._patience_ms())

    def _patience_ms(self) -> int:
        wake_at_ms = self._core.wake_at_ms
        if wake_at_ms == NEVER:
            return LONGEST_TURN_MS
        return min(max(wake_at_ms - now_ms(), 0), LONGEST_TURN_MS)

    def _turn(self) -> None:
        began_at_ms, drained = now_ms(), False
        for _ in range(DATAGRAMS_PER_TURN):
            received = self._socket.receive()
            if received is None:
                drained = True
                break
            data, source, received_at_ms = received
            self._node.datagram(data, source, received_at_ms)
            self._observer.datagram(source)
        else:
            drained = self._socket.peers_are_silent()
        self._take_completions()
        self._service.turn()
        if self._signals.ending():
            self._node.step(events.StopRequested())
        self._health.turn(self._core.view.online, self._node.step)
        self._node.step(events.Tick(drained=drained))
        self._look_after()
        self._say_all(self._observer.turn(began_at_ms, now_ms()))

    def _take_completions(self) -> None:
        for done in self._worker.results():
            if done.kind == "died":
                self.die(done.error, "statefile")
            self._observer.access(done)
            self._node.completed(Completion(
                kind=done.kind, section=done.section, issued_at_ms=done.issued_at_ms,
                completed_at_ms=done.completed_at_ms, error=done.error,
                sections=done.sections))
        self._say_all(self._worker.notes())

    def _look_after(self) -> None:
        """What is to be done after a turn's work: timers, fault points, housekeeping."""
        view = self._core.view
        expired = self._watchdogs.expired(now_ms())
        if expired is not None:
            self.say(log("watchdog-expired", watchdog=expired.value))
            if self._settings.local.watchdog_mode is WatchdogMode.NONE:
                self._logger.flush(LAST_WORDS_MS / 1000)
                self._watchdogs.fence("the {} watchdog has expired".format(expired.value))
        if self._logger.death and not self._mute:
            # A host that cannot speak is not a host that must die.
            self._mute = True
            self._logger.say_dead()
        if not self._announced and view.incarnation:
            self._announced = True
            self.say(log("daemon-started", version=__version__, host=view.me,
                         hosts=len(view.peers), pid=os.getpid(),
                         incarnation=view.incarnation, mode=view.watchdog_mode.name))
        if self._faults.enabled:
            self._break_on_purpose()
        if now_ms() - self._collected_at_ms > COLLECT_MS:
            self._collected_at_ms = now_ms()
            realtime.collect()

    def _break_on_purpose(self) -> None:
        if self._faults.value(faultpoints.DAEMON_CRASH):
            os.kill(os.getpid(), signal.SIGKILL)
        stall_ms = self._faults.take(faultpoints.DAEMON_STALL)
        if stall_ms:
            time.sleep(stall_ms / 1000)

    # ---- the world

    def now_ms(self) -> int:
        return now_ms()

    def wall_ms(self) -> int:
        return int(time.time() * 1000)

    def send(self, datagram: bytes) -> Tuple[Tuple[int, str], ...]:
        return self._socket.send(datagram, self._peers)

    def read(self) -> None:
        self._worker.submit_read()

    def write(self, section: int, data: bytes) -> None:
        self._worker.submit_write(section, data)

    def replace(self, section: int, data: bytes, expected: int) -> None:
        self._worker.submit_replace(section, data, expected)

    def set_watchdog(self, watchdog: Watchdog, expires_at_ms: int) -> str:
        try:
            if self._faults.value(faultpoints.WATCHDOG_FAIL):
                raise WatchdogError("fault point " + faultpoints.WATCHDOG_FAIL)
            self._watchdogs.set(watchdog, expires_at_ms)
            self._observer.timer(watchdog, expires_at_ms, now_ms())
        except WatchdogError as error:
            self._stuck_watchdogs.add(watchdog)
            return str(error)
        if watchdog in self._stuck_watchdogs:
            self._stuck_watchdogs.remove(watchdog)
            self.say(log("watchdog-refresh-works", watchdog=watchdog.value))
        return ""

    def close_watchdogs(self) -> None:
        try:
            self._watchdogs.close()
        except WatchdogError as error:
            self.say(log("watchdog-refresh-failed", watchdog="closed", reason=str(error)))

    def record_armed(self) -> str:
        self._say_all(realtime.lock_memory())
        try:
            self._watchdogs.record_armed()
        except WatchdogError as error:
            return str(error)
        return ""

    def answer(self, ticket: int, code: ExitCode, text: str) -> None:
        self._service.answer(ticket, code, text)

    def stop_serving(self) -> None:
        self._service.stop()

    def say(self, message: actions.Log) -> None:
        self._logger.say(message)

    def _say_all(self, messages: Iterable[actions.Log]) -> None:
        for message in messages:
            self.say(message)

    def fence(self, words: LastWords) -> None:
        """Reset this host; the timers run on while the last words are given a moment."""
        deadline_ms = now_ms() + LAST_WORDS_MS
        self._health.abandon()
        while self._worker.pending() and now_ms() < deadline_ms:
            select.select([self._worker.fileno()], [], [], 0.02)
            self._worker.results()
        self._logger.flush(max(0, deadline_ms - now_ms()) / 1000)
        self._watchdogs.fence("{}: {}".format(words.code, words.text))

    def end(self, code: ExitCode, text: str) -> None:
        """End the process; no thread is waited for."""
        if code is not ExitCode.SUCCESS or self._options.report_fd >= 0:
            tell_starter(self._options.report_fd, code, text)
        self._worker.abandon()
        self._health.abandon()
        self._control.close()
        self._socket.close()
        self._logger.flush(1.0)
        self._exit(code)

    def die(self, text: str, thread: str = "main") -> None:
        """A bug ends the daemon; no watchdog is touched, so an armed host is reset.

        Args:
            text: the traceback.
        """
        lines = text.strip().splitlines()
        self.say(log("thread-died", thread=thread, reason=lines[-1]))
        for line in lines[-TRACEBACK_LINES:]:
            self.say(log("traceback", line=line.rstrip()))
        tell_starter(self._options.report_fd, ExitCode.INTERNAL_BUG, lines[-1])
        if self._core.view.phase is Phase.STARTING:
            self.close_watchdogs()
        self._health.abandon()
        self._logger.flush(1.0)
        self._exit(ExitCode.INTERNAL_BUG)

    @staticmethod
    def _exit(code: ExitCode) -> None:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(int(code))
