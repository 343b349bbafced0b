"""A Xen that resets nothing: the law of the watchdog, as it was measured (spec 7).

It understands the very bytes that would go to the hypervisor, so it also
guards the one call that must never be sent.  ``watchdog_contract`` holds it
equal to the real Xen.
"""
import errno
import struct

from xha.xenhypercall import SCHEDOP_REMOTE_SHUTDOWN, SCHEDOP_WATCHDOG, Xen, XenRefused

FOREVER_S = 0xFFFFFFFF


class HostReset(BaseException):
    """The host was reset: nothing of its programs runs after this."""


class FakeXen(Xen):
    """Two timers, or as many as a patched Xen has, on a clock that the test moves."""

    def __init__(self, reset_works=True, count=2):
        self.count = count
        self.now_ms = 1000 * 1000
        self.timers = {}            # id -> instant of expiry, ms, or None for never
        self.reset_works = reset_works
        self.stuck = False          # a timer that expires vanishes, and nothing is reset
        self.fail_next = []         # errno of the next calls, 0 for none
        self.pauses_ms = []         # how long this program is held up before each next call
        self.calls = []             # (id, timeout_s) of each watchdog command taken
        self.reset_at_ms = None
        self.opened = 0

    def clock(self):
        """Now, ms."""
        return self.now_ms

    def open(self):
        """What ``Privcmd()`` is to the real one."""
        self.opened += 1
        return self

    def pass_time(self, duration_ms):
        """Let time pass; raises HostReset at the first expiry in it."""
        until_ms = self.now_ms + duration_ms
        due = sorted((at, ident) for ident, at in self.timers.items()
                     if at is not None and at <= until_ms)
        for at_ms, ident in due:
            self.now_ms = at_ms
            if not self.stuck:
                self._reset()
            del self.timers[ident]
        self.now_ms = until_ms

    def pause_for_ever(self):
        """What a program does that waits for its end."""
        self.pass_time(1 << 50)
        raise AssertionError("waited for ever: nothing reset this host")

    def sched_op(self, command, argument):
        self.pass_time(self.pauses_ms.pop(0) if self.pauses_ms else 0)
        if self.fail_next:
            number = self.fail_next.pop(0)
            if number:
                raise XenRefused(number, "as the test wants it")
        if command == SCHEDOP_REMOTE_SHUTDOWN:
            domain, reason = struct.unpack("=HxxI", argument)
            assert (domain, reason) == (0, 1)
            if self.reset_works:
                self._reset()
            return 0
        assert command == SCHEDOP_WATCHDOG
        ident, timeout_s = struct.unpack("=II", argument)
        assert (ident, timeout_s) != (0, 0), "this resets a host at once"
        self.calls.append((ident, timeout_s))
        return self.obey(ident, timeout_s)

    def close(self):
        self.opened -= 1

    def obey(self, ident, timeout_s):
        """What Xen does with a watchdog command."""
        expires_at_ms = None if timeout_s == FOREVER_S else self.now_ms + timeout_s * 1000
        if ident == 0:
            for free in range(1, self.count + 1):
                if free not in self.timers:
                    self.timers[free] = expires_at_ms
                    return free
            raise XenRefused(errno.ENOSPC, "watchdog")
        if ident not in self.timers:
            raise XenRefused(errno.EINVAL, "watchdog")
        if timeout_s == 0:
            del self.timers[ident]
        else:
            self.timers[ident] = expires_at_ms
        return 0

    def _reset(self):
        self.reset_at_ms = self.now_ms
        raise HostReset
