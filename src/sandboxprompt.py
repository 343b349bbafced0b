"""The commands of a sandbox, as a person types them.

A command is a row of a table: its grammar for the help, and what does it.  A
name may be shortened as long as it is not another's beginning.  Every mistake
gets a sentence that says what would have been right.
"""

import signal
import threading
import time
from typing import Callable, Dict, List, NamedTuple, Optional, Sequence, Set

from xha import client, sandboxfacts
from xha.ctlformat import Reply
from xha.errors import ExitCode, XhaError
from xha.records import record
from xha.sandboxfacts import State
from xha.sandboxpool import DISKS, Pool
from xha.sandboxwatch import Watch
from xha.screen import Screen

#: Lines of a log that are shown unless another number is given, and the longest wait, s.
_LOG_LINES = 20
_WAIT_MAX_S = 3600

#: How long `wait` without a number waits at most for the pool to come to rest, s; it is
#: longer than any fault handler at the longest time-outs.
_REST_MAX_S = 1800.0


class Quit(Exception):
    """Whoever types has had enough."""


@record
class Command(NamedTuple):
    """A command of the prompt."""

    name: str
    grammar: str
    meaning: str
    # Takes the words after the name; raises XhaError with a sentence.
    run: Callable[[List[str]], None]


def refuse(text: str) -> XhaError:
    """A command that cannot be carried out."""
    return XhaError(ExitCode.INVALID_PARAMETER, text)


def choose(word: str, names: Sequence[str]) -> str:
    """The name that ``word`` is, or is the only beginning of.

    Raises:
        XhaError: INVALID_PARAMETER, there is none, or several.
    """
    if word in names:
        return word
    found = [name for name in names if name.startswith(word)]
    if len(found) == 1:
        return found[0]
    if found:
        raise refuse("{}: which one, {}?".format(word, " or ".join(found)))
    raise refuse("{}: no such command (help lists them)".format(ascii(word)[1:-1]))


def host_of(word: str, count: int, master: int = -1) -> int:
    """The host that a word names: ``1``, ``h1``, ``host1``, or ``master``.

    Raises:
        XhaError: INVALID_PARAMETER: it names none.
    """
    if word.lower() == "master":
        if master < 0:
            raise refuse("there is no master now")
        return master
    digits = word.lower()
    for prefix in ("host", "h"):
        if digits.startswith(prefix):
            digits = digits[len(prefix):]
            break
    if not (1 <= len(digits) <= 2 and all(digit in "0123456789" for digit in digits)
            and int(digits) < count):
        raise refuse("{}: not a host (the hosts are 0 to {})".format(ascii(word)[1:-1], count - 1))
    return int(digits)


def hosts_of(words: Sequence[str], count: int, master: int = -1) -> List[int]:
    """The hosts that words name, separated by commas or blanks, or ``all``; at least one.

    Raises:
        XhaError: INVALID_PARAMETER: as ``host_of``, or none is named.
    """
    names = [name for word in words for name in word.split(",") if name]
    if names == ["all"]:
        return list(range(count))
    if not names:
        raise refuse("which host? (0 to {})".format(count - 1))
    return sorted({host_of(name, count, master) for name in names})


def groups_of(text: str, count: int, master: int = -1) -> List[Set[int]]:
    """The groups of ``0,1 | 2``.

    Raises:
        XhaError: INVALID_PARAMETER: a group is empty, or a host in two of them.
    """
    found = []  # type: List[Set[int]]
    for part in text.split("|"):
        hosts = set(hosts_of(part.split(), count, master))
        for group in found:
            if group & hosts:
                raise refuse("host {} is on both sides".format(min(group & hosts)))
        found.append(hosts)
    return found


class Prompt:
    """Carries out what is typed."""

    def __init__(self, pool: Pool, watch: Watch, screen: Screen, program: str,
                 wait_for_reader: Callable[[], None], tour: Callable[[], None]) -> None:
        """Take what there is to command.

        Args:
            program: how this archive is called, for people.
            wait_for_reader: returns when a long text has been read.
            tour: plays the tour.
        """
        self._pool, self._watch, self._screen = pool, watch, screen
        self._program = program
        self._wait_for_reader = wait_for_reader
        self._tour = tour
        rows = [
            ("help", "", "these lines", self._help),
            ("status", "[HOST]", "the picture; or what a host knows, as a table", self._status),
            ("kill", "HOST", "end its daemon at once: a crash", self._kill),
            ("stop", "HOST", "leave cleanly: disarm, exclude, end", self._stop),
            ("start", "HOST|all", "start its daemon", self._start),
            ("pause", "HOST", "stop its daemon in its tracks, SIGSTOP", self._pause),
            ("resume", "HOST", "let it go on, SIGCONT", self._resume),
            ("cut", "A,B | C", "cut the network between groups of hosts", self._cut),
            ("cut", "A>B", "let nothing of A reach B", self._cut),
            ("heal", "", "mend the network", self._heal),
            ("disk", "fail|hang|slow|ok HOST|all", "what its State-File does", self._disk),
            ("propose-master", "HOST|all", "propose as master; all at once", self._propose),
            ("cancel-master", "HOST", "give the master lock back", self._cancel),
            ("disarm", "HOST", "stop its watchdogs", self._disarm),
            ("exclude", "HOST", "note that it leaves: its daemon ends", self._exclude),
            ("log", "HOST [LINES]", "the end of its log", self._log),
            ("query", "HOST", "ha_query_liveset, as xapi reads it", self._query),
            ("env", "HOST", "how to use ha_* commands with it", self._env),
            ("wait", "[SECONDS]", "wait; alone: until all is at rest", self._wait),
            ("tour", "", "the guided failover", self._play_tour),
            ("quit", "", "end all daemons and remove everything", self._quit)]
        self._commands = [Command(name=name, grammar=grammar, meaning=meaning, run=run)
                          for name, grammar, meaning, run in rows]

    def run(self, line: str) -> None:
        """Carry out one line; an empty one, or a comment, is nothing.

        Raises:
            XhaError: a sentence for who typed it.
            Quit: the sandbox is to end.
        """
        text = line.partition("#")[0].strip()
        if not text:
            return
        words = text.split()
        aliases = {"?": "help", "exit": "quit"}  # type: Dict[str, str]
        if len(words) == 1:
            aliases["q"] = "quit"
        name = choose(aliases.get(words[0].lower(), words[0].lower()),
                      sorted({command.name for command in self._commands}))
        command = next(one for one in self._commands if one.name == name)
        command.run(words[1:])

    # ---- what the words mean

    @property
    def _count(self) -> int:
        return len(self._pool.hosts)

    def _one(self, words: List[str]) -> int:
        hosts = self._several(words)
        if len(hosts) != 1:
            raise refuse("one host at a time")
        return hosts[0]

    def _several(self, words: List[str]) -> List[int]:
        return hosts_of(words, self._count, sandboxfacts.master(self._watch.facts))

    def _none(self, words: List[str]) -> None:
        if words:
            raise refuse("nothing belongs behind it")

    # ---- seeing

    def _help(self, words: List[str]) -> None:
        self._none(words)
        rows = ["  {:35}{}".format("{} {}".format(command.name, command.grammar), command.meaning)
                for command in self._commands]
        self._screen.long("\n".join(
            rows + ["", "HOST is 0 to {}, or master.  Names may be shortened: k 1, w 5, q."
                    .format(self._count - 1)]), self._wait_for_reader)

    def _status(self, words: List[str]) -> None:
        if words:
            self._long(self._pool.hosts[self._one(words)].ask("query", "text", "0"))
        else:
            self._screen.status(self._watch.fresh())

    def _log(self, words: List[str]) -> None:
        count = _LOG_LINES
        if len(words) > 1:
            if not words[1].isdigit() or not 1 <= int(words[1][:6]) <= 100000:
                raise refuse("{}: not a number of lines".format(ascii(words[1])[1:-1]))
            count = int(words[1][:6])
        lines = self._pool.hosts[self._one(words[:1])].log(count)
        self._long("\n".join(lines) or "It has not logged anything yet.")

    def _query(self, words: List[str]) -> None:
        self._long(self._pool.hosts[self._one(words)].ask("query", "xml", "0"))

    def _env(self, words: List[str]) -> None:
        for index in self._several(words):
            host = self._pool.hosts[index]
            self._screen.line([("dim", "# host {}, {}".format(index, host.address))])
            self._screen.line([("", "export XHA_RUN_DIR={}".format(host.directory))])
            self._screen.line([("", "{} ha_query_liveset".format(self._program))])
            self._screen.line([("", "{} ha_start_daemon --health-check=true --enable-faults -C {}"
                                .format(self._program, host.config))])

    def _long(self, text: str) -> None:
        self._screen.long(text, self._wait_for_reader)

    # ---- breaking and mending

    def _kill(self, words: List[str]) -> None:
        self._pool.hosts[self._one(words)].kill()

    def _pause(self, words: List[str]) -> None:
        self._pool.hosts[self._one(words)].signal(signal.SIGSTOP)

    def _resume(self, words: List[str]) -> None:
        host = self._pool.hosts[self._one(words)]
        if not host.paused():
            raise refuse("host {} is not paused".format(host.index))
        host.signal(signal.SIGCONT)
        host.apply()

    def _start(self, words: List[str]) -> None:
        hosts = [self._pool.hosts[index] for index in self._several(words)]
        if len(hosts) > 1:
            hosts = [host for host in hosts if not host.pid()]
            if not hosts:
                raise refuse("all hosts run")
        for host in hosts:
            host.start()

    def _stop(self, words: List[str]) -> None:
        """As xapi does it."""
        index = self._one(words)
        host = self._pool.hosts[index]
        host.ask("disarm-fencing")
        self._screen.say("host {}: fencing is disarmed: nothing resets it any more".format(index))
        self._exclude([str(index)])

    def _cut(self, words: List[str]) -> None:
        text = " ".join(words)
        master = sandboxfacts.master(self._watch.facts)
        if ">" in text:
            senders, _, receivers = text.partition(">")
            self._pool.cut_one_way(hosts_of(senders.split(), self._count, master),
                                   hosts_of(receivers.split(), self._count, master))
            return
        groups = groups_of(text, self._count, master)
        if len(groups) == 1 and len(groups[0]) == self._count:
            raise refuse("from whom?  For example: cut 0,1 | 2")
        self._pool.cut(groups)

    def _heal(self, words: List[str]) -> None:
        self._none(words)
        self._pool.heal()

    def _disk(self, words: List[str]) -> None:
        if len(words) < 2:
            raise refuse("for example: disk fail 1 (one of {})".format(", ".join(DISKS)))
        self._pool.set_disk(choose_disk(words[0]), self._several(words[1:]))

    # ---- asking the daemons

    def _propose(self, words: List[str]) -> None:
        self.propose(self._several(words))

    def propose(self, hosts: List[int]) -> Dict[int, Optional[bool]]:
        """Propose all these hosts at the same moment; say and return what each was told.

        Returns:
            For each host TRUE, FALSE, or None for any other answer.
        """
        replies = {}  # type: Dict[int, Reply]
        began = time.monotonic()
        told = {}  # type: Dict[int, Optional[bool]]

        def propose_one(index: int) -> None:
            reply = client.call(self._pool.hosts[index].paths, "propose-master")
            replies[index] = reply
            self._screen.say("   host {} is told {} after {:.1f} s".format(
                index, reply.out.strip() or reply.err.strip(), time.monotonic() - began))
        threads = [threading.Thread(target=propose_one, args=(index,), daemon=True)
                   for index in hosts]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        for index in hosts:
            said = replies[index].out.strip() if index in replies else ""
            told[index] = {"TRUE": True, "FALSE": False}.get(said)
        return told

    def _cancel(self, words: List[str]) -> None:
        index = self._one(words)
        self._pool.hosts[index].ask("cancel-master")
        self._screen.say("host {} has given the master lock back".format(index))

    def _disarm(self, words: List[str]) -> None:
        index = self._one(words)
        self._pool.hosts[index].ask("disarm-fencing")
        self._screen.say("host {}: fencing is disarmed".format(index))

    def _exclude(self, words: List[str]) -> None:
        index = self._one(words)
        self._pool.hosts[index].ask("set-excluded", "1")
        self._screen.say("host {} is excluded: the others need not wait for it".format(index))

    # ---- the rest

    def _wait(self, words: List[str]) -> None:
        if not words:
            self._rest()
            return
        try:
            seconds = float(words[0])
        except ValueError:
            seconds = -1.0
        if len(words) != 1 or not 0 <= seconds <= _WAIT_MAX_S:
            raise refuse("wait how many seconds? (0 to {})".format(_WAIT_MAX_S))
        self._watch.wait(lambda facts: False, seconds)

    def _play_tour(self, words: List[str]) -> None:
        self._none(words)
        self._tour()

    def _rest(self) -> None:
        """Wait until all has been at rest for longer than anybody needs to notice a loss."""
        timeout_s = self._pool.settings.timeout_s + 1.0
        began = time.monotonic()
        while time.monotonic() - began < _REST_MAX_S:
            self._watch.wait(_at_rest, _REST_MAX_S)
            if not self._watch.wait(lambda facts: not _at_rest(facts), timeout_s):
                return
        raise refuse("the pool did not come to rest in {:.0f} s".format(_REST_MAX_S))

    def _quit(self, words: List[str]) -> None:
        self._none(words)
        raise Quit()


def choose_disk(word: str) -> str:
    """What a State-File is to do.  Raises XhaError: there is no such thing."""
    found = [disk for disk in DISKS if disk.startswith(word.lower())]
    if len(found) != 1:
        raise refuse("{}: expected one of {}".format(ascii(word)[1:-1], ", ".join(DISKS)))
    return found[0]


def _at_rest(facts: sandboxfacts.PoolFacts) -> bool:
    """Whether every daemon that runs is a member, and all agree that just those are alive."""
    members = sandboxfacts.online(facts)
    if any(host.state in (State.STARTING, State.HANDLING) for host in facts.hosts):
        return False
    return not members or sandboxfacts.agree_on(facts, members)
