"""The master lock as a simulated xhad keeps it (spec 12, with the original's flaws).

The rules are those of our lock without what makes them safe: a hold is believed from whatever was
read last, a hold that was cancelled and asked for again included; a request counts before it is
on the disk; and who holds the lock says so nowhere but in request and grants.
"""

from xha.errors import ExitCode
from xha.hostset import EMPTY, HostSet
from xha.simxhaddisk import Disk
from xha.simxhadshared import Shared, Thread


class Lock:
    """One host's side of the lock."""

    def __init__(self, shared: Shared, disk: Disk) -> None:
        self._shared = shared
        self._view = shared.view
        self._disk = disk
        self._proposed = False
        disk.readers.append(self.evaluate)
        shared.lock = self.evaluate

    def propose(self, ticket: int) -> Thread:
        """A client proposes this host as master, and waits."""
        shared, view = self._shared, self._view
        if not view.online:
            self._answer(ticket, ExitCode.NOT_ONLINE, "this host is not online")
            return
        if not view.holding:
            view.log("master-proposed")
            self._proposed = not view.lock_request
            self.evaluate()
            yield from shared.accelerate("election", True)
            yield from shared.until(lambda: not self._undecided())
            yield from shared.accelerate("election", False)
        if view.holding:
            self._disk.wanted_master = view.peers[view.me].uuid
            view.log("master-elected")
            self._answer(ticket, ExitCode.SUCCESS, "TRUE")
        else:
            self._withdraw()
            view.log("master-denied", reason="another host holds the lock, or it cannot be told")
            self._answer(ticket, ExitCode.SUCCESS, "FALSE")

    def cancel(self, ticket: int) -> Thread:
        """A client gives the lock back, and waits until that is on the disk."""
        shared = self._shared
        if not self._view.online:
            self._answer(ticket, ExitCode.NOT_ONLINE, "this host is not online")
            return
        self._withdraw()
        written = self._disk.writes
        yield from shared.until(lambda: (
            self._disk.writes > written + 1 or not self._view.statefile_access))
        self._answer(ticket, ExitCode.SUCCESS, "")

    def evaluate(self) -> None:
        """Apply the rules to what was read last."""
        view = self._view
        if not view.online or not view.statefile_access or view.me not in view.liveset:
            view.holding = view.holding and view.me in view.liveset
            return
        requesters = HostSet(host for host in view.liveset if self._requests(host))
        view.lock_grants = view.lock_grants & requesters & view.liveset
        if self._proposed and self._is_ready():
            self._proposed = False
            view.lock_request = True
            requesters = requesters.plus(view.me)
        for host in requesters:
            if not view.lock_request or host <= view.me:
                view.lock_grants = view.lock_grants.plus(host)
        view.holding = self._holds(view.me)

    def _undecided(self) -> bool:
        view = self._view
        wants = self._proposed or view.lock_request
        return (view.statefile_access and wants
                and not any(self._holds(host) for host in view.liveset))

    def _withdraw(self) -> None:
        view = self._view
        if view.holding:
            view.log("master-cancelled")
        self._proposed = False
        view.lock_request = view.holding = False
        view.lock_grants = view.lock_grants.minus(view.me)

    def _is_ready(self) -> bool:
        view = self._view
        return (not any(view.me in self._grants_of(host) for host in view.liveset.minus(view.me))
                and not any(host > view.me for host in view.lock_grants & view.liveset))

    def _holds(self, host: int) -> bool:
        return (host in self._view.liveset and self._requests(host)
                and all(host in self._grants_of(member) for member in self._view.liveset))

    def _requests(self, host: int) -> bool:
        if host == self._view.me:
            return self._view.lock_request
        content = self._view.peers[host].record
        return content is not None and content.lock_request

    def _grants_of(self, host: int) -> HostSet:
        if host == self._view.me:
            return self._view.lock_grants
        content = self._view.peers[host].record
        return content.lock_grants if content is not None else EMPTY

    def _answer(self, ticket: int, code: ExitCode, text: str) -> None:
        self._shared.world.answer(ticket, code, text)
