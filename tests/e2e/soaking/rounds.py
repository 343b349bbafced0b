"""One round of the soak after the other: trouble, healing, an election, and the verdict.

A round begins with a pool that has formed.  Trouble lasts for as long as the diet says; then
everything heals and the pool must form again, with no help but that machines boot and init starts
daemons, within the bound of spec 5, invariant 5 (as ``simrecovery`` counts it); then all ask to
be master, and exactly one becomes it.  Then the witness sees what was recorded.

The machine under all this may stand still, for others use it too.  A process of its own notices
(``stall.py``).  A healthy host that is reset, or a pool that forms late, in a round in which it
stood still for ``STALL_MS``, proves nothing, and is told as disturbed; two masters, and a host
that was dropped while it ran, are breaches whatever the machine did.
"""

import os
import subprocess
import sys
import threading
from time import monotonic

from rig.pool import HOME
from rig.stateformat import ACTIVE, pool_state
from xha import timing
from xha.simcheckers import Breach

from soaking import diet, harvest
from soaking.deeds import Doer
from soaking.harvest import Event, Harvest
from soaking.machines import Machine
from soaking.witness import RESET_MS, Witness

#: A machine that stood still for so long may have cost a host its membership, ms: with t1 = 1 s
#: and T1 = 5 s a host has some four seconds, and its peers notice a stall of half a second.
STALL_MS = 1000
#: How long an election may take here, where a disk answers in the time of a process switch, s.
ELECTION_S = 15.0
#: How often the machines are looked after, s.
TURN_S = 0.1
#: What a round's verdict can be.
WELL, DISTURBED, BREACH, LIVENESS, CRASH = "well", "disturbed", "breach", "liveness", "crash"
#: What a daemon may end with (spec 6), and the signals that end it here: KILL.
STATUS = set(range(0, 20)) | {-9}
#: Breaches that a machine which stood still may cause.
_EXCUSED = ("although nothing was wrong with it", "after the last of its timers")


class Verdict(Exception):
    """A round did not end well: ``kind`` is one of the above, the text says what was seen."""

    def __init__(self, kind, text):
        super().__init__(text)
        self.kind = kind


class Soak:
    """A pool under a diet."""

    def __init__(self, pool, common, seed, evidence, say, progress):
        """Make machines of a pool's hosts.

        Args:
            common: the settings, as the checkers know them.
            evidence: the folder that keeps what tells of a failure.
            say: told of lines.
            progress: called often, with this.
        """
        self.pool = pool
        self.seed = seed
        self.count = len(pool.hosts)
        self._common = common
        self._evidence = evidence
        self._say = say
        self._progress = progress
        self._lock = threading.Lock()
        self._events = []
        # Those of the whole soak, for the evidence.
        self.all_events = []
        self._crashes = []
        self.machines = [Machine(host, self._note) for host in pool.hosts]
        self._doer = Doer(pool, self.machines, self._note, self._crashes.append)
        self.harvest = Harvest(self.machines, evidence)
        self.witness = Witness(self.count, common)
        self.lives = self.resets = self.elections = 0
        self.deeds = 0
        self.longest_form_s = 0.0
        self._stalls = []
        self._boot_s = 1
        self._begun = {}
        self._clock = subprocess.Popen([sys.executable, "-B", "-m", "soaking.stall"], cwd=HOME,
                                       stdout=subprocess.PIPE, stdin=subprocess.PIPE)
        threading.Thread(target=self._hear_stalls, daemon=True).start()

    def _hear_stalls(self):
        for line in self._clock.stdout:
            at, lasted = map(float, line.split())
            self._stalls.append((at, lasted))

    def _note(self, kind, host, content, at_s):
        with self._lock:
            self._events.append(Event(at_s * 1000, host, kind, content))
        if kind == "began":
            self.lives += 1
            self._begun[host] = at_s
        elif kind == "down":
            self.resets += 1
        elif kind == "ended" and content not in STATUS:
            self._crashes.append("the daemon of host {} ended with {}".format(host, content))

    # ---- the pool

    def form(self):
        """Boot all machines, and let the pool form for the first time."""
        self.pool.disk.journal()
        for machine in self.machines:
            machine.boot()
        self.pool.initialise()
        for machine in self.machines:
            machine.start()
        self._until(self._formed, 60.0, "the pool has not formed at all")
        self._doer.listen()
        self._settle()

    def _turn(self):
        """Look after everything for a moment."""
        self._doer.turn()
        for machine in self.machines:
            machine.turn(self._boot_s, self._keep_life)
        with self._lock:
            self._events += harvest.of_journal(self.pool.disk.journal(), self.count)
        self._progress(self)
        threading.Event().wait(TURN_S)

    def _keep_life(self, machine):
        """Read what a machine's last daemon recorded, before another one begins."""
        with self._lock:
            self._events += self.harvest.life(machine, monotonic() * 1000)

    def _formed(self):
        everybody = tuple(range(self.count))
        return all(host.running and machine.up and host.watch.now.live == everybody
                   and not host.watch.now.sr2
                   for host, machine in zip(self.pool.hosts, self.machines)) and (
                       pool_state(self.pool.disk.peek(0)) == ACTIVE)

    def _until(self, holds, within_s, what):
        deadline = monotonic() + within_s
        while not holds():
            if monotonic() > deadline:
                raise Verdict(LIVENESS, "{} after {:.0f} s: {}".format(
                    what, within_s, self.pool.describe()))
            self._turn()
            self._look_at_crashes()

    def _look_at_crashes(self):
        if self._crashes:
            raise Verdict(CRASH, self._crashes[0])

    # ---- a round

    def round(self, number):
        """Play one round; raises Verdict unless it ends well."""
        plan = diet.Round(self.seed, number, self.count)
        self._boot_s = plan.boot_s
        began = monotonic()
        for at_ms, line in plan.lines:
            while monotonic() < began + at_ms / 1000:
                self._turn()
            self._do(line)
        while monotonic() < began + plan.lasts_ms / 1000:
            self._turn()
        self._look_at_crashes()
        self._heal()
        self._elect()
        self._settle()
        self._look_at_logs()

    def _do(self, line):
        name, parts, touched = diet.understand(line, self.count)
        self._say(line)
        self.deeds += 1
        if touched:
            # At once, and again: what it does to a host may begin late.
            self._note("touched", touched[0], touched, monotonic())
        self._doer.do(name, parts)

    def _heal(self):
        """Everything heals, and the pool forms again in time."""
        self._say("everything heals")
        self._doer.heal_everything()
        healed = monotonic()
        self._begun = {}
        if self.witness.invalid or any(event.kind == "invalid" for event in self._events):
            self._enable_again()
            healed = monotonic()
        bound_s = (self._common.boot_join_timeout_ms + self._common.heartbeat_timeout_ms
                   + self._common.statefile_timeout_ms
                   + timing.longest_watchdog_ms(self._common)) / 1000
        while not self._formed():
            # A host that was still to be reset, or to give up, is counted from its first start.
            until = max([healed] + list(self._first_starts(healed).values())) + bound_s
            if monotonic() > until + self._boot_s:
                raise Verdict(LIVENESS, "the pool has not formed {:.0f} s after all was well: {}"
                              .format(monotonic() - healed, self.pool.describe()))
            self._turn()
            self._look_at_crashes()
        took_s = monotonic() - healed
        self.longest_form_s = max(self.longest_form_s, took_s)
        self._say("formed again after {:.1f} s".format(took_s))

    def _first_starts(self, since):
        found = {}
        with self._lock:
            for event in self._events:
                if event.kind == "began" and event.at_ms >= since * 1000:
                    found.setdefault(event.host, event.at_ms / 1000)
        return found

    def _enable_again(self):
        """HA was disabled for the whole pool: all daemons end; then it is enabled anew."""
        for machine in self.machines:
            machine.enabled = False
        bound_s = (2 * self._common.boot_join_timeout_ms + RESET_MS) / 1000
        self._until(lambda: not any(host.running for host in self.pool.hosts)
                    and all(machine.up for machine in self.machines), bound_s,
                    "not all daemons have ended, and the pool state is invalid")
        self.pool.initialise()
        self._note("valid", 0, None, monotonic())
        for machine in self.machines:
            machine.enabled = True

    def _elect(self):
        """All ask to be master: exactly one becomes it."""
        self._doer.finish()
        if not self._formed():
            self._until(self._formed, 60.0, "the pool fell apart after it had formed, and is not "
                        "back")
        answers = []
        began = monotonic()
        threads = [self._doer.command(index, "propose-master",
                                      then=lambda result: answers.append(result.out.strip()))
                   for index in range(self.count)]
        while any(thread.is_alive() for thread in threads):
            self._turn()
        took_s = monotonic() - began
        self.elections += 1
        if sorted(answers) != ["FALSE"] * (self.count - 1) + ["TRUE"] or took_s > ELECTION_S:
            raise Verdict(BREACH if answers.count("TRUE") > 1 else LIVENESS,
                          "an election among all ended with {} after {:.1f} s".format(
                              answers, took_s))

    def _settle(self):
        """All is well: collect what happened, and let the witness judge."""
        until = monotonic() + 2.5
        while monotonic() < until:
            self._turn()
        self.judge()
        self._doer.listen()

    def judge(self):
        """Show all that happened until a moment ago to the witness.  Raises Verdict."""
        cut_ms = monotonic() * 1000 - 1000
        with self._lock:
            for machine in self.machines:
                self._events += self.harvest.life(machine, cut_ms)
            self._events += harvest.of_journal(self.pool.disk.journal(), self.count)
            self._events += self._unrecorded(cut_ms)
            events = [event for event in self._events if event.at_ms <= cut_ms]
            self._events = [event for event in self._events if event.at_ms > cut_ms]
        self.all_events += [event for event in events if event.kind not in ("read", "wrote")]
        try:
            self.witness.show(events + [Event(cut_ms, 0, "well")])
        except Breach as breach:
            raise Verdict(BREACH, str(breach))
        self._look_at_crashes()

    def calm(self):
        """After a breach: let the pool form, and begin anew."""
        self._until(self._formed, 120.0, "the pool has not formed after a breach")
        try:
            self._settle()
        except Verdict as verdict:
            self._say("after a breach: {}".format(verdict))

    def _unrecorded(self, cut_ms):
        """The lives that left no recorder, as their daemons told them."""
        found = []
        for event in self._events:
            if event.kind != "began":
                continue
            ends_ms = min([one.at_ms for one in self._events if one.kind == "ended"
                           and one.host == event.host and one.at_ms > event.at_ms] + [cut_ms])
            if not self.harvest.recorded(event.host, event.at_ms - 1, ends_ms):
                found += harvest.of_watch(event.host, self.pool.hosts[event.host].watch.changes,
                                          event.at_ms, ends_ms, self.count)
        return found

    def _look_at_logs(self):
        """What no daemon may ever say."""
        for machine in self.machines:
            for place in (machine.place("/var/log/xha.log"), machine.place("/var/log/xha.log.1"),
                          machine.host.path("/var/log/daemon.out")):
                try:
                    with open(place, errors="replace") as file:
                        text = file.read()
                except OSError:
                    continue
                for never in ("Traceback", "Message without text", "[host-dropped-alive]"):
                    if never in text:
                        raise Verdict(CRASH, "host {} says: {}".format(
                            machine.index, text[text.index(never):][:500]))
        self.pool.disk.check()

    def stalled_ms(self, since):
        """The longest time that this machine stood still since an instant, ms."""
        return int(1000 * max([lasted for at, lasted in self._stalls if at >= since] or [0.0]))

    def disturbed(self, verdict, since):
        """Whether a verdict on what happened since then may be this machine's own fault."""
        if self.stalled_ms(since) < STALL_MS:
            return False
        return verdict.kind == LIVENESS or verdict.kind == BREACH and any(
            words in str(verdict) for words in _EXCUSED)

    def close(self):
        """End the machines; the pool itself is closed by who made it."""
        self._doer.finish()
        for machine in self.machines:
            machine.close()
        self._clock.stdin.close()
        self._clock.wait(10)


def keep(soak, folder, name):
    """Put what tells of a failure into ``folder``: events, logs, recorders, the disk."""
    folder = os.path.join(folder, name)
    os.makedirs(folder, exist_ok=True)
    with open(os.path.join(folder, "events.txt"), "w") as file:
        for event in sorted(soak.all_events + soak._events, key=lambda event: event.at_ms):
            if event.kind not in ("read", "wrote"):
                file.write("{:.0f} host {} {} {}\n".format(
                    event.at_ms, event.host, event.kind, event.what))
    for machine in soak.machines:
        target = os.path.join(folder, "host-{}".format(machine.index))
        os.makedirs(target, exist_ok=True)
        for place in ("/var/log/xha.log", "/var/log/xha.log.1", "/var/lib/xha"):
            subprocess.run(["cp", "-r", machine.place(place), target],
                           stderr=subprocess.DEVNULL)
        subprocess.run(["cp", machine.host.path("/var/log/daemon.out"), target])
    subprocess.run(["cp", soak.pool.disk.image, folder])
