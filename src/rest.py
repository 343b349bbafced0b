"""When the rooms need not look: most of what happens tells a host nothing new.

Theory of operation
===================

What the rooms decide follows from the facts and from the time, and of the time
they say themselves when it matters next (``View.wake``).  When they have come
to rest, a step that brings no news before that instant finds them at rest
again: so it need not ask them.

What brings no news:

* that time passed;
* that a heartbeat was sent, or a record written: that moves a timer, which
  ``Fencing.check`` looks at in each step;
* a heartbeat that says what the one before it said (``repeats``), from a host
  that is in the heartbeat domain.  It moves the end of that host's time-out,
  and only to later.

So the instant that the rooms said may have become too early, never too late.
While it is more than t1 away that makes no difference, for the next beat, which
is due within t1, wakes this host before; when it comes nearer the rooms look,
and say it anew.  So ``wake_at_ms`` is what it would be if they always looked.

That holds for a member in peace, with State-File access.  During a start, the
fault handler or survival rule 2 ages and echoes count as well, and while this
host digests a gap, or a client waits for the lock, each step may decide: there
the rooms look always.
"""

import operator

from xha.published import NEVER, Heartbeat, Phase
from xha.view import Peer, View

#: All that a sealed heartbeat says but its sequence, its ages, its echoes, and the seconds that are
#: left of what is held, which are for people only.
_said = operator.attrgetter(
    "phase", "current_liveset", "proposed_liveset", "heartbeat_domain", "statefile_domain",
    "statefile_access", "statefile_corrupted", "accelerate", "fence_request", "sr2", "joining",
    "since_xapi_restart_ms", "xapi_error", "seal.incarnation", "seal.fencing",
    "seal.watchdog_mode", "seal.last_words", "seal.software", "seal.term_is_over")


def repeats(view: View, peer: Peer, heartbeat: Heartbeat) -> bool:
    """Whether a heartbeat that is about to be taken over is no news of its sender.

    With a discount (a gap of this host) the end of the sender's time-out may come nearer.
    """
    before = peer.heartbeat
    return (before is not None and before.seal is not None and heartbeat.seal is not None
            and peer.index in view.heartbeat_domain and peer.heartbeat_discount_ms == 0
            and _said(before) == _said(heartbeat))


class Rest:
    """Until when the rooms rest, unless there is news."""

    __slots__ = ("_view", "_until_ms")

    def __init__(self, view: View) -> None:
        self._view = view
        # NEVER: they do not.
        self._until_ms = NEVER

    def begin(self, waiting: bool) -> None:
        """The rooms have come to rest, and have said when they want to look again.

        ``waiting``: a client waits for the master lock.
        """
        view = self._view
        peace = (view.phase is Phase.STARTED and view.statefile_access and not view.sr2
                 and not view.loss_pending and not waiting)
        self._until_ms = view.wake_at_ms if peace else NEVER

    def lasts(self, now_ms: int) -> bool:
        """Whether the rooms have nothing to look at, if there is no news."""
        view = self._view
        return view.settled and now_ms + view.common.heartbeat_interval_ms < self._until_ms

    def go_on(self) -> None:
        """Let the rooms rest in this step; they are to look when they said."""
        self._view.wake(self._until_ms)
