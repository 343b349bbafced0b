"""The states that a host can be in, as xapi meets it: each a method that brings it there.

What each script answers in each of them is the table in
``test_xapi_states.py``; the names here are its columns.
"""

import signal
import time
from typing import Any, Callable, List, Optional, Sequence

from rig.dom0 import CONFIG, Dom0
from rig.namespaces import Result
from rig.pool import Pool
from rig.stateformat import ACTIVE, pool_state
from rig.storage import STATEFILE_BYTES
from rig.xapi import AS_NOBODY, Xapi, at_once

#: How long a consequence may take to show, s.
PATIENCE_S = 60.0

#: Of the pool that a state needs: a daemon that waits, or timers that run, for long.
OPTIONS = {
    "starting": {"count": 2, "Tenable": 300, "Tboot": 300},
    "rejoining": {"count": 2, "Tenable": 300, "Tboot": 300},
    "killed": {"watchdog": "USER", "Wh": 600, "Ws": 600},
    "stopped": {"watchdog": "USER", "Wh": 600, "Ws": 600},
}


class Stage:
    """A pool whose first host is in the state that a test is about."""

    def __init__(self, pool_of: Callable[..., Pool], installed: str, count: int = 1,
                 **options: Any) -> None:
        """Make the pool; ``pool_of`` and ``installed`` are the fixtures of these names."""
        self.pool = pool_of(count, **options)
        self.xapis = at_once(lambda host: Xapi(Dom0(host, installed)), self.pool.hosts)
        self.xapi = self.xapis[0]
        self.dom0 = self.xapi.dom0
        #: What makes a script that of another user.
        self.user = ()  # type: Sequence[str]
        #: What waits for scripts that were begun on the way: this host's, and others'.
        self.begun = None  # type: Optional[Callable[[], Result]]
        self.others = []  # type: List[Callable[[], Result]]

    @property
    def image(self) -> bytes:
        """The State-File's bytes, behind everybody's back."""
        with open(self.pool.disk.image, "rb") as file:
            return file.read(STATEFILE_BYTES)

    def restore(self, image: bytes) -> None:
        """Put the State-File back."""
        self.pool.disk.poke(0, image)

    @property
    def pool_state(self) -> int:
        """The pool state on the State-File."""
        return pool_state(self.pool.disk.peek(0))

    def run(self, script: str) -> Result:
        """Run a script, given with its arguments, as the user that the state is about."""
        return self.xapi.run(*script.split(), user=self.user)

    def until(self, holds: Callable[[], bool], what: str) -> None:
        """Wait until ``holds``."""
        deadline = time.monotonic() + PATIENCE_S
        while not holds():
            assert time.monotonic() < deadline, "{}: {}".format(what, self.dom0.host.log())
            time.sleep(0.05)

    def change_config(self, before: str, after: str) -> None:
        """Change the configuration of this host."""
        with open(self.dom0.host.config) as file:
            text = file.read()
        assert before in text
        self.dom0.write(CONFIG, text.replace(before, after))

    # How the host gets into its state.

    def blank(self) -> None:
        """No daemon; nobody has written a State-File."""

    def init(self) -> None:
        """No daemon; HA is about to be enabled."""
        self.xapi.call("ha_set_pool_state", "init")

    def active(self) -> None:
        """No daemon in a pool that has HA, as after a loss of power."""
        self.init()
        self.xapi.call("ha_set_pool_state", "active")

    def invalid(self) -> None:
        """No daemon; HA was disabled."""
        self.init()
        self.xapi.call("ha_set_pool_state", "invalid")

    def excluded(self) -> None:
        """Excluded while the daemon ran, which has ended therefore."""
        self.disarmed()
        self.xapi.call("ha_set_excluded")
        self.until(lambda: not self.xapi.present(), "the daemon ends")

    def unreadable(self) -> None:
        """No daemon; the State-File gives errors."""
        self.active()
        self.pool.disk.fault([0], "fail")

    def generation(self) -> None:
        """No daemon; the State-File is that of another pool."""
        self.active()
        self.change_config("<GenerationUUID>0f", "<GenerationUUID>1f")

    def no_config(self) -> None:
        """No daemon and no configuration."""
        self.active()
        self.dom0.remove(CONFIG)

    def bad_config(self) -> None:
        """No daemon; the configuration is cut off."""
        self.active()
        self.dom0.write(CONFIG, "<xhad-config version=\"1.0\">\n")

    def killed(self) -> None:
        """The daemon was killed while armed; its timers run on."""
        self.online()
        self.dom0.signal_daemon(signal.SIGKILL)
        self.until(lambda: not self.xapi.present(), "the daemon is dead")

    def stopped(self) -> None:
        """The daemon was stopped while armed; its timers run on."""
        self.online()
        assert "reset" in self.xapi.run("ha_stop_daemon").err, "it says what that means"

    def nobody(self) -> None:
        """A host that is online, asked by a user who is not root."""
        self.online()
        self.user = AS_NOBODY

    def starting(self) -> None:
        """HA is being enabled and a host does not come; xapi was restarted meanwhile."""
        self.init()
        self.begun = self.xapi.begin("ha_start_daemon")
        self.until(self.xapi.present, "the daemon answers")

    def rejoining(self) -> None:
        """After a loss of power a host does not come; xapi was restarted meanwhile."""
        self.active()
        self.begun = self.xapi.begin("ha_start_daemon")
        self.until(self.xapi.present, "the daemon answers")

    def online(self) -> None:
        """Online, armed, in an active pool."""
        self.init()
        self.xapi.call("ha_start_daemon")
        self.until(lambda: self.pool_state == ACTIVE, "the pool is active")

    def lost(self) -> None:
        """Online under survival rule 2: the State-File does not answer."""
        self.online()
        self.pool.disk.fault([0], "hang")
        self.until(lambda: self.xapi.query().warnings["statefile_lost"], "survival rule 2")

    def disarmed(self) -> None:
        """Online, and will not be reset."""
        self.online()
        self.xapi.call("ha_disarm_fencing")
