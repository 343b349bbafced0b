"""Does a line of the diet to the pool.  A line that has nothing to act on does nothing.

Commands may wait for as long as they like, so they run in threads of their own; a command that
ends as none may is noted as a crash (``CODES``), for the rounds to find.
"""

import os
import random
import signal
import socket
import threading
from time import monotonic

from rig import view
from rig.host import GENERATION_UUID, uuid
from rig.network import address
from rig.stateformat import heartbeat

#: What a command may end with, whatever is done to the pool meanwhile (spec 6): not 127, and by no
#: signal but KILL, which ends all that runs on a machine that is reset.
CODES = set(range(0, 20)) | {-9}

_FAULTS = {"fails": ("fail", "rw"), "hangs": ("hang", "rw"), "does not write": ("fail", "w"),
           "does not read": ("fail", "r"), "tears": ("torn", "w")}


def lies(count, seed):
    """Datagrams that only a host may send, from somebody who does not know the key."""
    everybody = tuple(range(count))
    draw = random.Random(seed)
    common = dict(generation=GENERATION_UUID, uuid=uuid(0), index=0, sequence=1 << 30,
                  live=everybody, proposed=everybody, domain=everybody)
    made = [dict(common, proposed=(0,), fence=1), dict(common, sequence=0x7fffffff),
            dict(common, phase=3), dict(common, sr2=1, access=0),
            dict(common, live=(), proposed=(0,), joining=1), dict(common, domain=(0,)),
            dict(common, index=64), dict(common, index=2**32 - 1), dict(common, phase=99)]
    found = [heartbeat(**fields) for fields in made]
    found += [found[0] + bytes(200), found[0] + bytes(range(200)) * 2, found[0][:743], b"",
              bytes(draw.randrange(256) for _ in range(1400))]
    return found


class Doer:
    """Does the lines of a diet."""

    def __init__(self, pool, machines, note, crashed):
        """``note``: told of events; ``crashed``: told, in words, what no command may do."""
        self.pool = pool
        self.machines = machines
        self._note = note
        self._crashed = crashed
        self._timers = []
        self._threads = []
        self._floods = []
        self._cut = set()
        #: Heartbeats that were heard, by (sender, receiver): the newest some.
        self.recorded = {}
        self._noise = random.Random(1)

    # ---- helpers

    def later(self, after_s, work):
        """Do something in so many seconds, or at the end of the round."""
        self._timers.append((monotonic() + after_s, work))

    def turn(self, all_of_it=False):
        """Do what is due."""
        now = monotonic()
        due = [one for one in self._timers if all_of_it or one[0] <= now]
        self._timers = [one for one in self._timers if one not in due]
        for _, work in sorted(due, key=lambda one: one[0]):
            work()

    def command(self, host, *words, then=None):
        """Run a command of the archive on a host, beside everything else."""
        def work():
            result = self.pool.hosts[host].command(*words, timeout_s=120)
            if result.code not in CODES or "Traceback" in result.err + result.out:
                self._crashed("{} of host {} ended with {}: {}".format(
                    " ".join(words), host, result.code, result.err[-300:]))
            if then:
                then(result)
        thread = threading.Thread(target=work, daemon=True)
        self._threads = [one for one in self._threads if one.is_alive()] + [thread]
        thread.start()
        return thread

    def finish(self):
        """Wait for all that was begun."""
        for flood in self._floods:
            flood.stop()
        self._floods = []
        for thread in self._threads:
            thread.join(150)

    def configured(self, host):
        """The option that names the configuration."""
        return "--config=" + self.pool.hosts[host].config

    def do(self, name, parts):
        """Do a line that ``diet.understand`` has read."""
        getattr(self, name)(**{key: value for key, value in parts.items()})

    # ---- hosts

    def _running(self, hosts):
        return [self.machines[host] for host in hosts
                if self.machines[host].up and self.pool.hosts[host].running]

    def crash(self, hosts):
        for machine in [self.machines[host] for host in hosts]:
            if machine.up:
                machine.power_off()

    def kill(self, hosts):
        for machine in self._running(hosts):
            machine.host.kill()

    def restart(self, hosts):
        for machine in self._running(hosts):
            machine.host.kill()
            # Timers of a daemon that died armed run on: the new one must refuse, and touch nothing.
            machine._looked_at = 0.0

    def stop(self, hosts):
        for machine in self._running(hosts):
            machine.host.daemon.signal(signal.SIGTERM)

    def freeze(self, hosts, ms):
        for machine in self._running(hosts):
            machine.freeze()
            self.later(int(ms) / 1000, machine.thaw)

    def disarm(self, hosts):
        for machine in self._running(hosts):
            self._disarm(machine, lambda machine=machine: self.command(
                machine.index, "stop-daemon"))

    def exclude(self, hosts):
        for machine in self._running(hosts):
            self._disarm(machine, lambda machine=machine: self.command(
                machine.index, "set-excluded", self.configured(machine.index)))

    def _disarm(self, machine, then):
        """Disarm, and go on only where that was done: else the host would be reset."""
        def answered(result):
            if result.code == 0:
                then()
            else:
                machine.enabled = True
        machine.enabled = False
        self.command(machine.index, "disarm-fencing", then=answered)

    def enable(self):
        for machine in self.machines:
            machine.enabled = True

    # ---- network

    def _rule(self):
        self.pool.network._cut = set(self._cut)
        self.pool.network._rule()

    def part(self, groups):
        self._cut = {(one, other) for group in groups for one in group
                     for rest in groups if rest is not group for other in rest}
        self._rule()

    def link(self, hosts):
        self._cut |= {(hosts[0], hosts[1]), (hosts[1], hosts[0])}
        self._rule()

    def one_way(self, hosts):
        self._cut.add((hosts[0], hosts[1]))
        self._rule()

    def heal(self):
        self._cut = set()
        self._rule()

    # ---- State-File

    def disk(self, hosts, fault):
        kind, ways = _FAULTS[fault]
        self.pool.disk.fault(hosts, kind, ways)
        if kind == "torn":      # A host whose every record is bad is dead: a moment is enough.
            self.later(1.5, lambda: self.pool.disk.fault(hosts, "ok"))

    def slow(self, hosts, ms):
        self.pool.disk.fault(hosts, "slow", delay_ms=int(ms))

    def disk_back(self, hosts):
        self.pool.disk.fault(hosts, "ok")

    # ---- commands

    def disable_all(self, hosts):
        for host in hosts:
            for machine in self.machines:
                machine.enabled = False

            def answered(result, host=host):
                if result.code == 0:
                    self._note("invalid", host, None, result.began_at)
            self.command(host, "set-pool-state", "invalid", self.configured(host), then=answered)

    def active(self, quiet):
        for machine in self._running(quiet):
            self.command(machine.index, "set-pool-state", "active",
                         self.configured(machine.index))

    def propose(self, quiet):
        for machine in self._running(quiet):
            self.command(machine.index, "propose-master")

    def cancel(self, quiet):
        for machine in self._running(quiet):
            self.command(machine.index, "cancel-master")

    def rekey(self, quiet):
        """As ``write-statefile rotate-key`` asks, without looking on."""
        for machine in self._running(quiet):
            path = self.pool.hosts[machine.index].control
            threading.Thread(target=lambda path=path: self._answered(path, b"rotate-key", 30.0),
                             daemon=True).start()

    def hold(self, quiet):
        for machine in self._running(quiet):
            self.command(machine.index, "hold", "xapi", "20s")

    # ---- who means it ill

    def forge(self, quiet):
        for host in quiet:
            for source in ("10.99.0.77", address((host + 1) % len(self.pool.hosts))):
                self.pool.network.forge(source, host, lies(len(self.pool.hosts), host))

    def listen(self):
        """Keep what is heard in two seconds, to be replayed later."""
        capture = self.pool.network.capture()
        threading.Event().wait(2.0)
        for one in capture.stop():
            receiver = int(one.destination.rsplit(".", 1)[1]) - 1
            kept = self.recorded.setdefault((one.source, receiver), [])
            kept.append(one.payload)
            del kept[:-6]

    def replay(self, quiet):
        for (source, receiver), payloads in sorted(self.recorded.items()):
            if receiver in quiet:
                self.pool.network.forge(address(source), receiver, payloads)

    def flood(self, quiet, ms):
        for host in quiet:
            flood = self.pool.network.flood(
                address((host + 1) % len(self.pool.hosts)), host,
                lies(len(self.pool.hosts), host))
            self._floods.append(flood)

            def end(flood=flood):
                if flood in self._floods:
                    self._floods.remove(flood)
                    flood.stop()
            self.later(int(ms) / 1000, end)

    def attack(self, quiet):
        """Connections that say nothing, half of something, or noise."""
        for host in quiet:
            path = self.pool.hosts[host].control
            noise = self._noise
            sayings = [b"", b"xha/1", b"xha/1\tquery", b"xha/1\tquery\txml\t0\n" * 50,
                       b"\n" * 4000, bytes(noise.randrange(256) for _ in range(70000)),
                       b"xha/1\tpropose-master\n", b"xha/1\tfault\tset\tfh1.stop\n",
                       b"\xff" * 100 + b"\n", b"xha/9\tquery\n"]
            held = []
            for saying in sayings * 3:
                try:
                    one = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
                    one.settimeout(0.2)
                    one.connect(path)
                    one.sendall(saying)
                    held.append(one)
                except OSError:
                    one.close()     # No daemon, or it refused.
            self.later(4.0, lambda held=held: [one.close() for one in held])
            threading.Thread(target=lambda: self._answered(path), daemon=True).start()

    @staticmethod
    def _answered(path, request=b"query\tjson\t0", within_s=2.0):
        try:
            view.converse(path, b"xha/1\t" + request + b"\n", within_s)
        except OSError:
            pass

    # ---- what an administrator's dom0 does

    def rotate(self, quiet):
        for machine in self._running(quiet):
            place = machine.place("/var/log/xha.log")
            try:
                os.rename(place, place + ".1")
            except OSError:
                continue    # There is none.
            machine.host.daemon.signal(signal.SIGHUP)

    def fill(self, quiet):
        for machine in [self.machines[host] for host in quiet]:
            for place in ("/var/lib/filler", "/var/log/filler"):
                try:
                    with open(machine.place(place), "wb", 0) as file:
                        while True:
                            file.write(bytes(65536))
                except OSError:
                    pass        # Full.

    def empty(self, quiet):
        for machine in [self.machines[host] for host in quiet]:
            for place in ("/var/lib/filler", "/var/log/filler"):
                try:
                    os.unlink(machine.place(place))
                except OSError:
                    pass        # It was not full.

    # ---- the end of a round

    def heal_everything(self):
        """All faults end."""
        self.turn(all_of_it=True)
        self.heal()
        self.disk_back(range(len(self.pool.hosts)))
        self.empty(range(len(self.pool.hosts)))
        for machine in self.machines:
            machine.thaw()
            machine.enabled = True
