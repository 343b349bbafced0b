"""What clients ask of the daemon, and how they are answered.

A request is either answered from what the core knows (a query), or becomes an
event; then the answer is an action of the core, now or later, and this module
only remembers that somebody waits.  Requests are few to a turn: whatever a
thousand clients do, the heartbeats go out.  Source: spec 6, "Control socket".
"""

import os
from typing import Callable, Dict, Iterator

from xha import actions, commands, events, holdterm, logmask, report
from xha.actions import log
from xha.control import ControlServer, Request
from xha.errors import ExitCode, FormatError, XhaError
from xha.faultpoints import FaultPoints
from xha.health import Health
from xha.node import Node
from xha.observer import Observer
from xha.poolkey import KEY_BYTES, PoolKey
from xha.published import NEVER, PoolState
from xha.syslogger import Syslogger

#: Requests taken in one turn.  The answer to a query about 64 hosts costs some milliseconds.
REQUESTS_PER_TURN = 8

#: Verbs that the core answers, now or later.
_WAIT_FOR_CORE = ("propose-master", "cancel-master", "disarm-fencing", "set-pool-state",
                  "set-excluded", "rotate-key")


class Service:
    """The requests of one daemon's clients."""

    def __init__(self, control: ControlServer, node: Node, health: Health, observer: Observer,
                 faults: FaultPoints, now_ms: Callable[[], int],
                 logger: Syslogger) -> None:
        """``control`` is open."""
        self._control = control
        self._node = node
        self._health = health
        self._observer = observer
        self._faults = faults
        self._now_ms = now_ms
        self._logger = logger
        self._say = logger.say  # type: Callable[[actions.Log], None]
        self._serving = True
        # Verbs of the requests that the core has not answered yet, by ticket.
        self._asked = {}  # type: Dict[int, str]
        self._verbs = self._table()

    def turn(self) -> None:
        """Take what clients have sent; drop those who are too slow."""
        if not self._serving:
            return
        for request in self._control.serve(REQUESTS_PER_TURN):
            if request.verb in _WAIT_FOR_CORE:
                self._asked[request.ticket] = request.verb
            self._verbs[request.verb](request)
            if not self._serving:
                return
        for ticket in self._control.gone():
            self._asked.pop(ticket, None)
            self._node.step(events.ClientGone(ticket=ticket))
        self._control.expire(self._now_ms())
        for message in self._control.notes():
            self._say(message)

    def answer(self, ticket: int, code: ExitCode, text: str) -> None:
        """The core answers a request."""
        verb = self._asked.pop(ticket, "")
        if verb:
            self._say(log("request-done", request=verb, code=int(code)))
        line = text + "\n" if text else ""
        if code is ExitCode.SUCCESS:
            self._control.reply(ticket, code, line, "")
        else:
            self._control.reply(ticket, code, "", line)

    def stop(self) -> None:
        """Answer nobody any more."""
        if self._serving:
            self._serving = False
            self._control.close()

    def _table(self) -> Dict[str, Callable[[Request], None]]:
        """What each verb of the control socket does."""
        return {
            "query": self._query,
            "host-state": lambda request: self._reply(
                request, out="Online\n" if self._node.core.view.online else "Starting\n"),
            "pid": lambda request: self._reply(request, out="{}\n".format(os.getpid())),
            "build-id": lambda request: self._reply(request, out=commands.build_id() + "\n"),
            "propose-master": lambda request: self._node.step(
                events.ProposeMasterRequested(ticket=request.ticket)),
            "cancel-master": lambda request: self._node.step(
                events.CancelMasterRequested(ticket=request.ticket)),
            "disarm-fencing": self._disarm,
            "set-pool-state": lambda request: self._node.step(events.PoolStateRequested(
                ticket=request.ticket, pool_state=PoolState[request.arguments[0].upper()])),
            "set-excluded": lambda request: self._node.step(events.ExcludedRequested(
                ticket=request.ticket, excluded=request.arguments[0] == "1")),
            "rotate-key": lambda request: self._node.step(events.KeyChangeRequested(
                ticket=request.ticket, key=PoolKey(os.urandom(KEY_BYTES)))),
            "reload-host-weight": self._reload_weight,
            "fault": self._fault,
            "log-mask": self._log_mask,
            "log-file": self._log_file,
            "hold": self._hold,
        }

    def _reply(self, request: Request, out: str = "", err: str = "",
               code: int = ExitCode.SUCCESS) -> None:
        self._control.reply(request.ticket, code, out, err)

    def _query(self, request: Request) -> None:
        core, form = self._node.core, request.arguments[0]
        snapshot = self._health.complete(core.snapshot(self._now_ms()))
        if form == "json":
            snapshot = self._observer.complete(snapshot)
        self._reply(request, out=report.render(snapshot, form))
        if request.query_resets:
            core.statefile_meter.reset()
            core.heartbeat_meter.reset()
            self._health.begin_extremes()

    def _reload_weight(self, request: Request) -> None:
        try:
            self._health.reload_weight(self._node.step)
            self._reply(request)
        except XhaError as error:
            self._reply(request, err=str(error) + "\n", code=error.code)

    def _fault(self, request: Request) -> None:
        try:
            if request.arguments[0] == "set":
                self._faults.set(request.arguments[1])
                point, _, value = request.arguments[1].partition("=")
                self._say(log("fault-point-set", point=point, value=value or "on"))
            elif request.arguments[0] == "clear":
                self._faults.clear(request.arguments[1])
                self._say(log("fault-point-cleared", point=request.arguments[1]))
            self._reply(request, out="".join(point + "\n" for point in self._faults.list()))
        except XhaError as error:
            self._reply(request, err=str(error) + "\n", code=error.code)

    def _log_mask(self, request: Request) -> None:
        verb = request.arguments[0]
        try:
            if verb != "get":
                self._logger.change(self._logger.mask.with_levels(
                    logmask.levels_of(request.arguments[1], verb == "set"), verb == "set"))
            self._reply(request, out=self._logger.mask.words + "\n")
        except FormatError as error:
            self._reply(request, err="{}\n".format(error), code=ExitCode.INVALID_PARAMETER)

    def _disarm(self, request: Request) -> None:
        term_ms = 0
        try:
            if request.arguments:
                term_ms = holdterm.length_ms(request.arguments[0], holdterm.DISARM_MOST_MS)
        except FormatError as error:
            self.answer(request.ticket, ExitCode.INVALID_PARAMETER, str(error))
            return
        self._node.step(events.DisarmRequested(ticket=request.ticket, term_ms=term_ms))

    def _hold(self, request: Request) -> None:
        try:
            if request.arguments[0] == "xapi":
                self._health.hold_xapi(holdterm.asked_ms(
                    request.arguments[1], holdterm.XAPI_MOST_MS), self._node.step)
        except FormatError as error:
            self._reply(request, err="{}\n".format(error), code=ExitCode.INVALID_PARAMETER)
            return
        self._reply(request, out="".join(self._holds()) or "Nothing is held.\n")

    def _holds(self) -> Iterator[str]:
        """What is held, a line each."""
        left_ms = self._health.xapi_held_ms()
        if left_ms >= 0:
            yield "xapi is not checked for {} more.\n".format(holdterm.in_words(left_ms))
        view = self._node.core.view
        if view.disarm_until_ms != NEVER:
            left_ms = view.disarm_until_ms - self._now_ms()
            yield ("Fencing is disarmed, and meant to be for {} more.\n" if left_ms > 0 else
                   "Fencing is STILL disarmed, {} longer than was meant.\n").format(
                       holdterm.in_words(abs(left_ms)))

    def _log_file(self, request: Request) -> None:
        if request.arguments[0] != "get":
            self._logger.change(self._logger.mask._replace(file=request.arguments[0] == "on"))
        self._reply(request, out="on\n" if self._logger.mask.file else "off\n")
