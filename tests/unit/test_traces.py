"""Our core in the place of each host of the original's recorded conversations.

Each trace (fixtures/traces) is a conversation of three original daemons.  Our
core, with its real formats, takes the place of one of them: it is fed the
heartbeats which that host received, and its disk shows what that host could
read.  It must go the same way: the same phases, proposals, livesets and
domains in the same order, and never later.

Where ours goes on purpose another way, and why:

* Its first reading comes before its first heartbeat (spec 3), and it listens at
  once, so while it starts it sees hosts come one by one where the original's
  next heartbeat shows them all.  Domains are therefore compared by their
  *turning points*: values on the way from one to the next do not count.
* A host that has lost its storage goes out of its own State-File domain last
  in ours, because it reads its own record more often than the others'.  The
  same rule covers it.
* Both read the State-File at instants of their own choice.  So that luck does not
  decide, ours takes its cycles when the original's record changed; those
  changes were sampled every 40 ms, and heartbeats are stamped in whole ms.
* Accelerated, both read every 0.4 to 0.5 s, each from an instant of its own.  Where
  a peer's write fell right before the original's reading, ours may see it one such
  cycle later (``LATE``); the next phase makes that good.
* Host 2 of ``crash3`` dies; what is fed to ours ends there.
* The phases are all our core's, the original's those that its heartbeats show.
"""

import gzip
import json
import os

import pytest

from xha import config, events, hbformat
from xha.actions import Watchdog
from xha.membership import Membership
from xha.node import Completion, Node, World
from xha.published import NEVER, WatchdogMode

FIXTURES = os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "fixtures")
HOSTS = 3
RECORD_BYTES = 4096
#: Resolution of the traces.
SAMPLE_MS = 41
#: One accelerated cycle of bad luck, see above.
LATE = {("crash3", 0): {"FH2DONE": 400}}


class Listener(World):
    """A world in which the host can only listen: what it says goes nowhere."""

    def __init__(self):
        self.now = 0
        self.jobs = []
        self.disk = [bytes(RECORD_BYTES)] * (1 + HOSTS)
        self.disk_fails = False
        self.said = []
        self.answers = []
        self.fenced = ""
        self.ended = False
        self.watchdogs = {Watchdog.HEARTBEAT: NEVER, Watchdog.STATEFILE: NEVER}

    def now_ms(self):
        return self.now

    def wall_ms(self):
        return self.now

    def send(self, datagram):
        return ()

    def read(self):
        self.jobs.append(("read", 0, b""))

    def write(self, section, data):
        self.jobs.append(("write", section, data))

    def replace(self, section, data, expected):
        raise AssertionError("nothing is damaged in these conversations")

    def set_watchdog(self, watchdog, expires_at_ms):
        self.watchdogs[watchdog] = expires_at_ms
        return ""

    def close_watchdogs(self):
        self.watchdogs.clear()

    def record_armed(self):
        return ""

    def answer(self, ticket, code, text):
        self.answers.append((self.now, int(code), text))

    def stop_serving(self):
        pass

    def say(self, message):
        self.said.append((self.now, message.name, dict(message.fields)))

    def fence(self, words):
        self.fenced = words.code
        self.ended = True

    def end(self, code, text):
        self.ended = True


class Replay:
    """One host of a conversation, played by our core."""

    def __init__(self, trace, me):
        with open(os.path.join(FIXTURES, "xhad_host0.conf"), "rb") as stream:
            common = config.parse(stream.read()).common
        with open(os.path.join(FIXTURES, "xhad_host0.conf"), "rb") as stream:
            settings = config.parse(stream.read())
        self.settings = settings._replace(local=settings.local._replace(
            index=me, host_uuid=common.hosts[me].uuid))
        self.me = me
        self.world = Listener()
        self.cycles_at_ms = []
        self.core = Membership(common, me, 0, 1, "xha replay", WatchdogMode.NONE, 1,
                               self._offset_ms)
        self.node = Node(self.settings, self.core, self.world)
        self.cycles_at_ms = [item["t_ms"] + 1 for item in items(trace)
                             if item.get("host") == me and item["t_ms"] > 0]
        self.history = {"liveset": [], "proposed": [], "heartbeat": [], "statefile": [],
                        "sr2": []}
        self.first_heartbeat_at_ms = None
        conversation = items(trace)
        while conversation[0]["t_ms"] == 0:
            self._feed(conversation.pop(0))
        self._turn()
        for item in conversation:
            if not self._take(item):
                break

    def phases(self):
        entered = [(at, fields["phase"]) for at, name, fields in self.world.said
                   if name == "phase-changed"]
        return [(0, "STARTING")] + entered

    def _take(self, item):
        """Pass the time up to a line of the conversation, then feed it; False at the end."""
        while not self.world.ended and NEVER < self.core.wake_at_ms <= item["t_ms"]:
            self.world.now = max(self.world.now, self.core.wake_at_ms)
            self._turn()
        self.world.now = item["t_ms"]
        if self.world.ended or item.get("event") == "crash of host {}".format(self.me):
            return False
        self._feed(item)
        self._turn()
        return not self.world.ended

    def _feed(self, item):
        if "heartbeat" in item:
            if self.me in item["to"] and item.get("delivered", True):
                source = self.settings.common.hosts[item["from"]].address
                self.node.datagram(bytes.fromhex(item["heartbeat"]), source, self.world.now)
        elif "record" in item:
            if item["host"] != self.me or item["t_ms"] == 0:
                self.world.disk[1 + item["host"]] = section(item["record"])
        elif "global" in item:
            self.world.disk[0] = section(item["global"])
        else:
            self._event(item["event"])

    def _offset_ms(self):
        """Take the next cycle when the original did, as far as an offset reaches."""
        due_ms = self.world.now + 1000
        return min((at - due_ms for at in self.cycles_at_ms if abs(at - due_ms) <= 500),
                   key=abs, default=0)

    def _event(self, text):
        if text == "all storage fails":
            self.world.disk_fails = True
        elif text == "all storage back":
            self.world.disk_fails = False
        elif text == "propose_master on all":
            self.node.step(events.ProposeMasterRequested(ticket=1))

    def _turn(self):
        """One turn of a loop on a machine where everything is done at once."""
        self.node.step(events.Tick())
        while self.world.jobs and not self.world.ended:
            kind, number, data = self.world.jobs.pop(0)
            sections = ()
            if kind == "read":
                sections = tuple(self.world.disk)
            elif not self.world.disk_fails:
                self.world.disk[number] = data
            self.node.completed(Completion(
                kind=kind, section=number, issued_at_ms=self.world.now,
                completed_at_ms=self.world.now, sections=sections,
                error="Input/output error" if self.world.disk_fails else ""))
        view = self.core.view
        self._note("liveset", view.picture(view.liveset))
        self._note("proposed", view.picture(view.proposed))
        self._note("heartbeat", view.picture(view.heartbeat_domain))
        self._note("statefile", view.picture(view.statefile_domain))
        self._note("sr2", view.sr2)

    def _note(self, name, value):
        append_change(self.history[name], self.world.now, value)


def section(hexadecimal):
    return bytes.fromhex(hexadecimal).ljust(RECORD_BYTES, b"\0")


def items(trace):
    with gzip.open(os.path.join(FIXTURES, "traces", trace + ".jsonl.gz"), "rt") as stream:
        return [json.loads(line) for line in stream][1:]


def original(trace, me):
    """What the original published by heartbeat: the history and the phases."""
    history = {"liveset": [], "proposed": [], "heartbeat": [], "statefile": [], "sr2": []}
    phases = []
    for item in items(trace):
        if item.get("from") != me:
            continue
        said, _ = hbformat.decode(bytes.fromhex(item["heartbeat"]), None)
        at = item["t_ms"]
        append_change(phases, at, said.phase.name)
        append_change(history["liveset"], at, said.current_liveset.picture(HOSTS))
        append_change(history["proposed"], at, said.proposed_liveset.picture(HOSTS))
        append_change(history["heartbeat"], at, said.heartbeat_domain.picture(HOSTS))
        append_change(history["statefile"], at, said.statefile_domain.picture(HOSTS))
        append_change(history["sr2"], at, said.sr2)
    return history, phases


def append_change(history, at, value):
    if not history or history[-1][1] != value:
        history.append((at, value))


def turning_points(history):
    """The history without the values that only lie on the way from one to the next."""
    def members(picture):
        return {index for index, digit in enumerate(picture) if digit == "1"}
    points = list(history)
    index = 1
    while index < len(points) - 1:
        before, here, after = (members(points[index + step][1]) for step in (-1, 0, 1))
        if before < here < after or before > here > after:
            del points[index]
            index = max(1, index - 1)
        else:
            index += 1
    if len(points) > 1 and members(points[0][1]) < members(points[1][1]):
        # Where the first heartbeat finds the growing domain is chance.
        del points[0]
    return points


def never_later(ours, theirs, excused=None):
    """Whether the same values come in the same order, and none later.

    ``excused``: ms for each value that may be later, and by how much.
    """
    assert [value for _, value in ours] == [value for _, value in theirs]
    for (our_ms, value), (their_ms, _) in zip(ours, theirs):
        allowed_ms = their_ms + (excused or {}).get(value, SAMPLE_MS)
        assert our_ms <= allowed_ms, "{} at {} ms, the original at {} ms".format(
            value, our_ms, their_ms)


CASES = [(trace, me) for trace in ("form3", "crash3", "cut21", "sr2", "master3")
         for me in range(HOSTS)]
NAMES = ["{} host {}".format(*case) for case in CASES]


@pytest.mark.parametrize("trace, me", CASES, ids=NAMES)
def test_phases_are_the_same_and_never_later(trace, me):
    _, theirs = original(trace, me)
    never_later(Replay(trace, me).phases(), theirs, LATE.get((trace, me), {}))


@pytest.mark.parametrize("what", ["liveset", "proposed", "sr2"])
@pytest.mark.parametrize("trace, me", CASES, ids=NAMES)
def test_decisions_are_the_same_and_never_later(trace, me, what):
    theirs, _ = original(trace, me)
    never_later(Replay(trace, me).history[what], theirs[what])


@pytest.mark.parametrize("what", ["heartbeat", "statefile"])
@pytest.mark.parametrize("trace, me", CASES, ids=NAMES)
def test_domains_turn_in_the_same_way_and_never_later(trace, me, what):
    theirs, _ = original(trace, me)
    never_later(turning_points(Replay(trace, me).history[what]), turning_points(theirs[what]))


def test_the_host_that_was_cut_off_fences_itself_and_not_later():
    replay = Replay("cut21", 2)
    fenced_at_ms = [at for at, name, _ in replay.world.said if name == "self-fencing"]
    _, theirs = original("cut21", 2)
    assert replay.world.fenced == "no-survival-rule"
    assert len(fenced_at_ms) == 1
    # The original is silent from its phase FH3 on.
    assert fenced_at_ms[0] <= theirs[-1][0]


@pytest.mark.parametrize("trace, me", [case for case in CASES if case != ("cut21", 2)],
                         ids=[name for name in NAMES if name != "cut21 host 2"])
def test_nobody_else_fences(trace, me):
    assert Replay(trace, me).world.fenced == ""


@pytest.mark.parametrize("me, answer, told_at_ms", [
    (0, "TRUE", 12725), (1, "FALSE", 12226), (2, "FALSE", 11226)])
def test_the_same_host_wins_the_election_and_all_are_told_not_later(me, answer, told_at_ms):
    answers = Replay("master3", me).world.answers
    assert [(code, text) for _, code, text in answers] == [(0, answer)]
    assert answers[0][0] <= told_at_ms + SAMPLE_MS


@pytest.mark.parametrize("me", range(HOSTS))
def test_the_first_reading_comes_before_the_first_heartbeat_that_counts(me):
    """Source: spec 4, last line of the seal: sending and receiving begin with the reading."""
    said = Replay("form3", me).world.said
    first_access = [at for at, name, _ in said if name == "statefile-first-access"]
    first_heard = [at for at, name, _ in said if name == "hb-domain-changed"]
    assert first_access == [0]
    assert first_heard[0] > first_access[0]
