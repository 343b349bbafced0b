"""xapi, as far as a cluster stack can see it: the scripts it runs, and what it makes of them.

Theory of operation
===================

xapi knows nothing of the daemon but ten scripts in the directory of the
cluster stack.  How it runs them is a contract (spec 6), and this room keeps
its side of it to the letter, so that what breaks xapi breaks a test:

* A script gets PATH and nothing else: no HOME, no locale, no setting of ours.
  It is found by its full name, runs in /, reads nothing, and is waited for
  until it has ended *and* nobody holds its output any more: a daemon that kept
  the pipe open would hold xapi for ever.
* One script at a time on a host, and no time-out: ``Xapi.run`` takes a lock,
  and whoever polls meanwhile waits.  There is no time-out in xapi, so there is
  one here (``BOUND_S``), which is no part of the model: that a script ends is
  what every test here asserts by coming back.
* Standard output is read when the script ended with 0, and never else; of a
  failure only the exit code is known (``ScriptFailed``).  Standard error is
  for the log of people: one message, at most one line.
* xapi turns the exit code into a name by the table ``CODES``.  A code that is
  not in it, or a death by signal, is an exception where none is expected:
  ``Broken`` here.  So is output that is not ASCII, or XML that either of two
  xapis cannot read (``livesetxml``).

What the scripts are run for are *sequences*, of which these are the whole:

    enable    master: set_pool_state init.  All at once: start_daemon, then
              query_liveset until Online.  All: propose_master, exactly one
              TRUE.  Master: set_pool_state active.
    poll      all, from then on: query_liveset again and again (xapi: every
              20 s; here as fast as the lock lets it, which is harder).
    disable   all: disarm_fencing.  One: set_pool_state invalid.  All:
              stop_daemon.
    leave     one host, before its shutdown: disarm_fencing, stop_daemon,
              set_excluded.
    return    that host again: start_daemon, which clears the flag.

All at once means: a thread for each host, as xapi has a remote call for each.
A restart of xapi forgets what it waited for, and the scripts that it had
started run on: ``begin`` starts one in that way, beside the lock.
"""

import threading
from typing import Callable, List, NamedTuple, Optional, Sequence, Tuple, TypeVar

from rig import livesetxml
from rig.dom0 import ENVIRONMENT, STACK, Dom0
from rig.livesetxml import Liveset
from rig.namespaces import Result

#: What xapi calls each code that it knows.  Source: spec 6, "Exit codes".
CODES = {
    0: "success", 1: "invalid parameter", 2: "fatal system error", 3: "transient system error",
    4: "watchdog error", 5: "improper license", 6: "cannot read the config file",
    7: "invalid config file", 8: "State-File inaccessible", 9: "invalid State-File contents",
    10: "generation UUID mismatch", 11: "invalid pool state", 12: "join timeout during start",
    13: "cannot join the existing liveset", 14: "daemon is not present",
    15: "daemon is (already) present", 16: "invalid environment", 17: "local host is not online",
    18: "start blocked", 19: "excluded flag set while the daemon ran", 127: "internal bug",
}

#: A script that has not ended by then fails its test, s; each has a bound of its own below it.
BOUND_S = 400.0

#: Makes a command that of a user who is not root.
AS_NOBODY = ("setpriv", "--reuid=65534", "--regid=65534", "--clear-groups")

S = TypeVar("S")
T = TypeVar("T")


class Broken(Exception):
    """xapi itself would have failed, not just noted a failure; the text says on what."""


class ScriptFailed(Exception):
    """A script failed; all that xapi knows is the code."""

    def __init__(self, script: str, code: int) -> None:
        """``code`` is one of ``CODES``."""
        super().__init__("{}: {} ({})".format(script, CODES[code], code))
        self.code = code


class Xapi:
    """xapi on one host."""

    def __init__(self, dom0: Dom0) -> None:
        """Serve the pool's host in ``dom0``."""
        self.dom0 = dom0
        self.host = dom0.host
        self._one_script = threading.Lock()

    def run(self, script: str, *arguments: str, user: Sequence[str] = ()) -> Result:
        """Run a script to its end and check what xapi relies on; Broken."""
        with self._one_script:
            result = self.host.door.run(
                list(user) + [STACK + "/" + script] + list(arguments), timeout_s=BOUND_S,
                env=dict(ENVIRONMENT))
        audit(" ".join((script,) + arguments), result)
        return result

    def call(self, script: str, *arguments: str) -> str:
        """A script's output; ScriptFailed."""
        result = self.run(script, *arguments)
        if result.code != 0:
            raise ScriptFailed(script, result.code)
        return result.out

    def begin(self, script: str, *arguments: str) -> "Callable[[], Result]":
        """Start a script that this xapi does not wait for; gives what waits for its end."""
        results = []  # type: List[Result]

        def work() -> None:
            results.append(self.host.door.run(
                [STACK + "/" + script] + list(arguments), timeout_s=BOUND_S,
                env=dict(ENVIRONMENT)))
        thread = threading.Thread(target=work, daemon=True)
        thread.start()

        def end() -> Result:
            thread.join(BOUND_S)
            audit(script, results[0])
            return results[0]
        return end

    def query(self) -> Liveset:
        """ha_query_liveset, read by both parsers; ScriptFailed, Unreadable."""
        return livesetxml.both(self.call("ha_query_liveset"))

    def propose(self) -> bool:
        """ha_propose_master: whether this host is the master now; ScriptFailed."""
        return livesetxml.flag(self.call("ha_propose_master").strip())

    def present(self) -> bool:
        """Whether a daemon answers."""
        try:
            self.query()
        except ScriptFailed as failure:
            if failure.code != 14:
                raise
            return False
        return True

    def leave(self) -> None:
        """A clean shutdown of this host; ScriptFailed."""
        self.call("ha_disarm_fencing")
        self.call("ha_stop_daemon")
        self.call("ha_set_excluded")


def audit(script: str, result: Result) -> None:
    """What xapi relies on whatever a script says; Broken."""
    def require(holds: bool, what: str) -> None:
        if not holds:
            raise Broken("{}: {}: {}".format(script, what, result))
    require(result.code in CODES, "an exit code that nobody knows")
    require(result.code != 127, "an internal bug")
    require(all(ord(letter) < 128 for letter in result.out), "its output is not ASCII")
    require(not result.out or result.code == 0, "output that nobody will read")
    require(all(letter == "\n" or " " <= letter <= "~" for letter in result.err),
            "its message is not printable ASCII")
    require(len(result.err.splitlines()) <= 1, "more than one message")
    require(result.code == 0 or len(result.err.strip()) > 0, "it failed and says nothing")
    for text in (result.out, result.err):
        require(not text or text.endswith("\n"), "half a line")


class Outcome(NamedTuple):
    """How one host's part of a sequence ended."""

    value: object
    error: Optional[BaseException]


def at_once(work: "Callable[[S], T]", hosts: Sequence[S]) -> "List[T]":
    """Do something on all these hosts at the same time; the first failure, if any, is raised."""
    outcomes = [None] * len(hosts)  # type: List[Optional[Outcome]]

    def one(place: int) -> None:
        try:
            outcomes[place] = Outcome(value=work(hosts[place]), error=None)
        except BaseException as error:      # raised below, in the caller's thread
            outcomes[place] = Outcome(value=None, error=error)
    threads = [threading.Thread(target=one, args=(place,), daemon=True)
               for place in range(len(hosts))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    done = [outcome for outcome in outcomes if outcome is not None]
    for outcome in done:
        if outcome.error is not None:
            raise outcome.error
    return [outcome.value for outcome in done]  # type: ignore


class Poller:
    """The thread of xapi that watches the liveset of one host."""

    def __init__(self, xapi: Xapi) -> None:
        """Begin to poll."""
        self._xapi = xapi
        self._stopped = threading.Event()
        #: What was read, changes of the liveset only.
        self.seen = []  # type: List[Tuple[int, ...]]
        self.polls = 0
        #: The code with which the last poll ended; None while all is well.
        self.failed = None  # type: Optional[int]
        self._error = None  # type: Optional[BaseException]
        self._thread = threading.Thread(target=self._loop, daemon=True)
        self._thread.start()

    def _loop(self) -> None:
        while not self._stopped.wait(0.1):
            try:
                live = self._xapi.query().having("liveness")
                self.failed = None
                self.polls += 1
                if self.seen[-1:] != [live]:
                    self.seen.append(live)
            except ScriptFailed as failure:
                self.failed = failure.code
            except BaseException as error:      # raised in stop(), in the test's thread
                self._error = error
                return

    def stop(self) -> None:
        """Poll no more; what broke the poller is raised here."""
        self._stopped.set()
        self._thread.join()
        if self._error is not None:
            raise self._error


def enable(hosts: Sequence[Xapi]) -> Xapi:
    """Switch HA on, the first host being the pool's master; gives who is the master now.

    Raises:
        ScriptFailed, Broken, Unreadable; AssertionError: not exactly one host is the master.
    """
    hosts[0].call("ha_set_pool_state", "init")
    at_once(lambda xapi: xapi.call("ha_start_daemon"), hosts)
    for liveset in at_once(lambda xapi: xapi.query(), hosts):
        assert liveset.status == "Online", "start_daemon came back before its host was online"
    told = at_once(lambda xapi: xapi.propose(), hosts)
    assert told.count(True) == 1, told
    hosts[0].call("ha_set_pool_state", "active")
    return hosts[told.index(True)]


def disable(hosts: Sequence[Xapi]) -> None:
    """Switch HA off; ScriptFailed, Broken."""
    at_once(lambda xapi: xapi.call("ha_disarm_fencing"), hosts)
    hosts[0].call("ha_set_pool_state", "invalid")
    at_once(lambda xapi: xapi.call("ha_stop_daemon"), hosts)
