"""Deliberate mistakes in the core, one by one, that the simulator's checkers must find.

Each is the sort of slip that an engineer makes in good faith, in a line that keeps a promise to
a customer.  ``before`` stands exactly once in its room; ``after`` stands there in the mutant.

Where two rules keep one promise, a mistake in one of them alone may break nothing: then
``survives`` says why, and the pair of both mistakes stands beside it, which must be found.  Those
that survive are run only when they are named.
"""
import os
import shutil
from typing import Dict, List, NamedTuple, Tuple

#: The sources that are mutated.
SRC = os.path.join(os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))),
                   "src")


class Edit(NamedTuple):
    """A change of one room of ``src/``."""

    room: str
    before: str
    after: str


class Mutant(NamedTuple):
    """A mistake."""

    name: str
    # What was forgotten or confused, and the rule that says otherwise.
    mistake: str
    edits: Tuple[Edit, ...]
    # Why it breaks no promise; "" for one that must be found.
    survives: str


class DoesNotApply(Exception):
    """The text to replace is not there exactly once: the code has moved on."""


MUTANTS = []  # type: List[Mutant]


def read(room: str, src: str = SRC) -> str:
    """The text of a room."""
    with open(os.path.join(src, room + ".py"), encoding="utf-8") as stream:
        return stream.read()


def mutated(mutant: Mutant) -> Dict[str, str]:
    """The text of each room that a mutant changes, by name.

    Raises:
        DoesNotApply: an edit does not match exactly once.
    """
    texts = {}  # type: Dict[str, str]
    for edit in mutant.edits:
        text = texts.get(edit.room) or read(edit.room)
        found = text.count(edit.before)
        if found != 1:
            raise DoesNotApply("{}: in {}.py, found {} times instead of once: {!r}".format(
                mutant.name, edit.room, found, edit.before))
        texts[edit.room] = text.replace(edit.before, edit.after)
    return texts


def write_copy(mutant: "Mutant", folder: str) -> None:
    """Make ``folder`` a copy of ``src/`` with this mistake in it."""
    texts = mutated(mutant)
    shutil.copytree(SRC, folder, ignore=shutil.ignore_patterns("__pycache__"))
    for room, text in texts.items():
        with open(os.path.join(folder, room + ".py"), "w", encoding="utf-8") as stream:
            stream.write(text)


def named(name: str) -> Mutant:
    """The mutant of that name.  KeyError: there is none."""
    return {mutant.name: mutant for mutant in MUTANTS}[name]


def _mutant(name: str, mistake: str, *edits: Tuple[str, str, str], survives: str = "") -> None:
    MUTANTS.append(Mutant(
        name=name, mistake=mistake, survives=survives,
        edits=tuple(Edit(room=room, before=before, after=after)
                    for room, before, after in edits)))


# ---- who goes on (spec 5, fault handler)

_mutant("no-dead-wait", "step 4 waits neither the standard wait nor the 10 s",
        ("timing", "    return max(standard_wait_ms(common) - since_fh3_ms + extension_ms, "
         "MINIMUM_WAIT_MS)", "    return 0"))
_mutant("minimum-wait-of-1-s", "the least wait is 1 s instead of 10 s",
        ("timing", "MINIMUM_WAIT_MS = 10000", "MINIMUM_WAIT_MS = 1000"))
_mutant("standard-wait-halved", "half of the standard wait",
        ("timing", "    assert wait_ms > 0, wait_ms\n    return wait_ms",
         "    assert wait_ms > 0, wait_ms\n    return wait_ms // 2"))
_mutant("no-guard", "the sign-of-life guard is left out",
        ("faulthandling",
         "            until_ms = lifesigns.uncertain_until_ms(view, view.peers[host])\n",
         "            until_ms = NEVER\n"))
_mutant("no-wait-at-all", "neither the wait nor the guard",
        ("timing", "    return max(standard_wait_ms(common) - since_fh3_ms + extension_ms, "
         "MINIMUM_WAIT_MS)", "    return 0"),
        ("faulthandling",
         "            until_ms = lifesigns.uncertain_until_ms(view, view.peers[host])\n",
         "            until_ms = NEVER\n"))
_mutant("no-margin", "a host is dead at n + Ws, without drift and reset",
        ("timing", "    return timeout_ms + drift_ms(timeout_ms) + RESET_MS",
         "    return timeout_ms"))
_mutant("no-last-reading", "nobody looks once more before a host is dropped",
        ("faulthandling", "not view.sr2 and view.reading_issued_at_ms < certain_ms",
         "False"))
_mutant("guard-forgets-rule-2", "a host that lives on evidence is judged by its last write",
        ("lifesigns",
         "    if not view.statefile_access or view.without_access_at_ms >= since_ms:\n"
         "        return True\n    if view.sr2 or view.sr2_seen_at_ms >= since_ms:\n"
         "        return True\n", ""),
        survives="evidence is heartbeats that were heard before the decision, and the standard "
        "wait, extended where one was heard lately, ends max(t1,t2) after their Ws; see "
        "rule-2-forgotten-no-extension")
_mutant("no-extension", "the wait is not longer for a host that showed itself until lately",
        ("timing", "    return fastest_patience_ms(common)\n\n\ndef dead_wait_ms",
         "    return 0\n\n\ndef dead_wait_ms"),
        survives="the sign-of-life guard waits for the last sign of each host anyway; see "
        "rule-2-forgotten-no-extension")
_mutant("rule-2-forgotten-no-extension", "the guard forgets rule 2, and the wait is not longer",
        ("timing", "    return fastest_patience_ms(common)\n\n\ndef dead_wait_ms",
         "    return 0\n\n\ndef dead_wait_ms"),
        ("lifesigns",
         "    if not view.statefile_access or view.without_access_at_ms >= since_ms:\n"
         "        return True\n    if view.sr2 or view.sr2_seen_at_ms >= since_ms:\n"
         "        return True\n", ""))
_mutant("damage-is-silence", "a section that cannot be read counts as no sign of life",
        ("sfrecords", "        peer.suspect_at_ms = now_ms\n", "        pass\n"))
_mutant("tie-goes-up-on-one-host", "host 1 lets the highest index win a tie",
        ("liveset", "        if its_size > best_size:",
         "        if its_size > best_size - (picture.me == 1):"),
        survives="a merge leaves one partition, the row of each host in it, and views that agree "
        "leave no choice; at a start, who proposes another liveset is looked for too; see "
        "tie-and-rivals-unseen")
_mutant("rivals-unseen", "whoever forms a new liveset does not look who proposes another",
        ("startfacts", "        if record.proposed_liveset and record.proposed_liveset != mine)",
         "        if False)"),
        survives="who is offered one of two livesets takes over neither, so one of those who "
        "formed them puts the other out; see rivals-unseen-and-one-taken")
_mutant("rivals-unseen-and-one-taken", "nobody looks for rivals, and one of two is taken over",
        ("startfacts", "        if record.proposed_liveset and record.proposed_liveset != mine)",
         "        if False)"),
        ("startup", "startfacts.running(view).plus(view.me) <= record.current_liveset",
         "view.me in record.current_liveset"))
_mutant("tie-and-rivals-unseen", "host 1 wins a tie, and nobody looks who proposes another",
        ("liveset", "        if its_size > best_size:",
         "        if its_size > best_size - (picture.me == 1):"),
        ("startfacts", "        if record.proposed_liveset and record.proposed_liveset != mine)",
         "        if False)"))
_mutant("weights-ignored", "a partition is as large as it has hosts",
        ("liveset", "    return sum(1 + SIZE_OF_WEIGHT * weights[host] for host in hosts)",
         "    return len(hosts)"))
_mutant("anybody-heard-is-enough", "rule 1 asks for one of the writers, not for all",
        ("liveset", "        if advancing <= heard:", "        if advancing & heard:"),
        survives="the same verdicts: views that agree have no writer that is not heard, and after "
        "a merge whoever hears anybody, itself included, is in the one partition that is left")
_mutant("largest-need-not-be-mutual", "the winner need not be heard",
        ("liveset", "    return (picture.me in partition_of(picture, best)\n"
         "            and best in picture.heartbeat_domain and best in picture.statefile_domain)",
         "    return best in picture.statefile_domain"))
_mutant("merge-takes-the-richest-out", "max instead of min",
        ("liveset", "        poorest = min(rows,", "        poorest = max(rows,"))
_mutant("one-end-of-a-link-is-believed", "a host that was cut off has the richest row of the merge",
        ("liveset", "    if not picture.unsealed:\n", "    if False:\n"))
_mutant("views-need-not-agree", "the survival test is made from whatever each happens to see",
        ("faulthandling", "        agreed = views_agree(picture)", "        agreed = True"))
_mutant("not-stable", "stale memory is exchanged: nobody waits for fresh signs",
        ("faulthandling", "            if view.peers[host].heard_at_ms < heard_after_ms:\n"
         "                return None\n", "            pass\n"),
        ("faulthandling", "            if view.peers[host].advanced_at_ms < read_after_ms:\n"
         "                return None\n", "            pass\n"))
_mutant("no-rendezvous-on-the-disk", "the exchange of views is awaited on the network alone",
        ("faulthandling", "        if meeting.on_statefile:", "        if False:"))
_mutant("waits-for-ever", "a host that does not come to a rendezvous is waited for",
        ("faulthandling", "        if now_ms < until_ms:\n            self._view.wake(until_ms)\n"
         "            return False\n        if not self._view.settled:\n            return False\n",
         "        if now_ms < until_ms:\n            self._view.wake(until_ms)\n"
         "        return False\n"))
_mutant("late-loss-taken-for-handled", "a loss after the picture was frozen is forgotten",
        ("faultsteps", "    Step.CONSISTENT))",
         "    Step.CONSISTENT, Step.DECIDE_ENTER, Step.DECIDE_LEAVE, Step.CONDEMN_ENTER,\n"
         "    Step.CONDEMN_LEAVE, Step.WAIT))"))
_mutant("one-way-is-good-enough", "a host that does not hear me stays in my domain",
        ("domains", "            elif in_walk and self._is_one_way(peer):\n",
         "            elif False:\n"))
_mutant("joins-are-not-blocked", "hosts come into the domains while the fault handler runs",
        ("faulthandling", "        view.join_blocked = True\n",
         "        view.join_blocked = False\n"))

# ---- rule 2

_mutant("rule-2-with-a-host-missing", "everybody lost the State-File, but not everybody is heard",
        ("liveset",
         "            if host not in picture.excluded:\n                return False\n",
         "            continue\n"))
_mutant("evidence-counts-from-now", "the timer follows the clock, not what others heard",
        ("fencing", "            oldest_ms = min(oldest_ms, heard_ms)\n", ""))
_mutant("evidence-of-those-heard-alone", "whoever is silent need not have heard me",
        ("fencing", "            if peer.index == view.me or peer.excluded:\n",
         "            if peer.index == view.me or peer.index not in view.heartbeat_domain:\n"))
_mutant("evidence-from-the-newest-beat", "an echo proves what was sent last, whatever it echoes",
        ("echoes", "        return self._issued_at_ms.get(self._sequence(echo), NEVER)",
         "        return max(self._issued_at_ms.values())"))
_mutant("rule-2-outlives-rule-1", "who survives by rule 1 does not end rule 2",
        ("faulthandling", "            view.set_sr2(now_ms, False)\n", ""))
_mutant("rule-2-ends-too-early", "rule 2 ends while a host is missing",
        ("ruletwo",
         "                view.everyone - view.heartbeat_domain <= view.excluded_hosts):",
         "                True):"),
        survives="a member that is missing is a loss, and the fault handler that it starts ends "
        "rule 2 as well: by rule 1, or by death; see rule-2-outlives-rule-1")

# ---- silence, stalls, restarts

_mutant("no-gap-rule", "a host that was paused accuses the others of silence",
        ("timing", "    return max(2 * common.heartbeat_interval_ms, 500)", "    return 1 << 40"))
_mutant("no-reading-gap-rule", "a host that could not read accuses the others of silence",
        ("timing", "    return 2 * common.statefile_interval_ms + 1000", "    return 1 << 40"))
_mutant("restart-is-life-on-the-disk", "a restarted host's writes count for its old instance",
        ("sfrecords", "        if _is_other_instance(view, peer, content):\n",
         "        if False:\n"))
_mutant("restart-is-life-on-the-network", "a restarted host's heartbeats count for its old one",
        ("acceptance", "            if self._is_other_instance(peer, heartbeat):\n",
         "            if False:\n"),
        survives="its record is no sign of the old instance's life either: that is lost on the "
        "State-File, and then taken out as stuck, since it comes to no rendezvous; under rule 2 "
        "the timers' evidence ends, as who starts counts nobody as alive; see restart-is-life")
_mutant("restart-is-life", "what a restarted host sends and writes counts for its old instance",
        ("sfrecords", "        if _is_other_instance(view, peer, content):\n",
         "        if False:\n"),
        ("acceptance", "            if self._is_other_instance(peer, heartbeat):\n",
         "            if False:\n"))
_mutant("the-past-is-believed", "a late write of an earlier life replaces what is known",
        ("sfrecords", "        if age < 0:\n", "        if False:\n"))
_mutant("replays-are-believed", "a heartbeat is taken in again",
        ("acceptance", "incarnation == peer.incarnation and heartbeat.sequence <= "
         "peer.sealed_sequence", "False"),
        survives="what was recorded ends with what was heard last, and what it demands of an "
        "earlier life is refused; see replays-are-obeyed")
_mutant("replays-are-obeyed", "a heartbeat is taken in again, and its fence request obeyed",
        ("acceptance", "incarnation == peer.incarnation and heartbeat.sequence <= "
         "peer.sealed_sequence", "False"),
        ("fencing", "        if not self._echoes.of_another_life(peer.heartbeat):",
         "        if True:"))

# ---- timers and fencing (spec 7)

_mutant("statefile-timer-from-completion", "a slow write lengthens the timer",
        ("sfcycle", "            self._fencing.record_written(issued_at_ms)",
         "            self._fencing.record_written(completed_at_ms)"))
_mutant("failed-writes-count", "a write that failed moves the timer",
        ("sfcycle", "            self._domains.lose_access(completed_at_ms, \"write: \" + error)",
         "            self._fencing.record_written(issued_at_ms)\n"
         "            self._domains.lose_access(completed_at_ms, \"write: \" + error)"))
_mutant("statefile-timer-by-the-clock", "each turn of the loop moves the State-File timer",
        ("membership", "            events.Tick: lambda now_ms, event: None,\n",
         "            events.Tick: lambda now_ms, event: self._fencing.record_written(now_ms),\n"))
_mutant("heartbeat-timer-by-the-clock", "each turn of the loop moves the heartbeat timer",
        ("membership", "            events.Tick: lambda now_ms, event: None,\n",
         "            events.Tick: lambda now_ms, event: self._fencing.heartbeats_sent(now_ms),\n"))
_mutant("heartbeat-timer-by-bursts", "a loop that only sends keeps itself alive",
        ("beat", "        if self._regular:\n", "        if True:\n"))
_mutant("sigterm-closes-armed-timers", "SIGTERM stops the timers of an armed member",
        ("fencing", "        left = self._view.armed and not self._closed\n",
         "        left = False\n"))
_mutant("fence-request-ignored", "a host that was put out does not listen",
        ("acceptance", "        return (heartbeat is not None and heartbeat.fence_request\n",
         "        return (False and heartbeat.fence_request\n"))
_mutant("fence-request-for-others-obeyed", "whoever hears a fence request fences itself",
        ("acceptance", "                and self._view.me not in heartbeat.proposed_liveset)",
         "                )"))
_mutant("fence-request-of-an-outsider-obeyed", "its sender need not be a member of its liveset",
        ("acceptance", "                and peer.index in heartbeat.current_liveset\n", ""),
        survives="nobody else asks: who waits out the dead, or accuses a dropped host, is armed, "
        "and so in its own liveset; a forged request has no seal")
_mutant("fence-request-stays", "the fence request is not taken back after the drop",
        ("faulthandling", "        self._view.fence_request = False\n", ""),
        survives="it means only armed hosts outside of the proposed liveset: who is that later is "
        "condemned, so that the request is due, and comes a rendezvous earlier")
_mutant("disarmed-host-drops", "a host that nothing resets puts others out",
        ("faulthandling", "        if not view.armed:\n            return\n        if verdict",
         "        if not view.armed and verdict is Verdict.FENCE:\n            return\n"
         "        if verdict"),
        ("faulthandling", "        return view.liveset - view.proposed if view.armed else EMPTY",
         "        return view.liveset - view.proposed"))

_mutant("arms-itself-again", "a disarmed host is armed when its term is over and all looks well",
        ("fencing", "            view.log(\"still-disarmed\", since=holdterm.in_words("
         "now_ms - view.disarm_until_ms))\n",
         "            if view.phase is Phase.STARTED and view.sees(view.liveset):\n"
         "                self._closed = False\n"
         "                self._expires_at_ms = dict.fromkeys(Watchdog, NEVER)\n"
         "                view.fencing = FencingMode.ARMED\n"
         "                view.emit(actions.RecordArmed())\n"
         "                view.burst()\n"))
_mutant("armed-in-words-alone", "and its timers stay closed",
        ("fencing", "            view.log(\"still-disarmed\", since=holdterm.in_words("
         "now_ms - view.disarm_until_ms))\n",
         "            view.fencing = FencingMode.ARMED\n"
         "            view.emit(actions.RecordArmed())\n"
         "            view.burst()\n"))

# ---- who is let in

_mutant("let-in-unseen-on-the-disk", "a host is let in that was not seen on the State-File",
        ("admission", "        if host in view.statefile_domain or view.sr2:", "        if True:"),
        survives="who asks has seen its own record advance; a member that cannot see it soon loses "
        "its own access, and a host that stops writing later says so itself (FHREADY)")
_mutant("let-in-by-one", "one member's word is enough to let a host in",
        ("admission", "self._proposes(view.peers[host], host) and all(\n",
         "self._proposes(view.peers[host], host) and (any if members else all)(\n"))
_mutant("lets-in-who-does-not-ask", "a proposal made for an instance that is gone still counts",
        ("admission", "self._proposes(view.peers[host], host) and all(\n", "all(\n"),
        ("admission", "                self._forget_old_instance(host)\n", ""))
_mutant("joins-by-one", "a host is in as soon as one member says so",
        ("startup", "        if others and others <= view.heartbeat_domain and all(\n",
         "        if others and others <= view.heartbeat_domain and any(\n"))
_mutant("words-to-an-earlier-life-count", "a joining host does not ask whom a word was said to",
        ("startfacts", "        heartbeat.seal is None or echoes.heard_by(heartbeat) >= since_ms)",
         "        True)"))
_mutant("words-on-the-way-in-count", "what a host proposed before it was a member lets others in",
        ("admission", "                    startfacts.is_member(view.peers[member])\n"
         "                    and self._proposes", "                    self._proposes"))
_mutant("earlier-life-is-adopted", "a liveset with an earlier life of this host is taken over",
        ("startup", "for host in (view.statefile_domain & self._free).minus(view.me):",
         "for host in view.statefile_domain.minus(view.me):"),
        ("startup", "self._enter_criteria(now_ms) if view.settled else None",
         "self._enter_criteria(now_ms)"))
_mutant("adopts-one-of-two", "a liveset is taken over although a host runs outside it",
        ("startup", "startfacts.running(view).plus(view.me) <= record.current_liveset",
         "view.me in record.current_liveset"))
_mutant("dead-words-let-in", "a host is taken in on its own word, whatever the members say",
        ("admission", "            if view.settled and not self._denied(host):",
         "            if view.settled:"))
_mutant("walks-with-newcomers", "the fault handler waits for who is still on its way in",
        ("faulthandling", "        self._walkers = view.liveset - on_their_way",
         "        self._walkers = view.liveset"))
_mutant("leaves-lost-newcomers", "who was let in and is lost is not judged, run after run",
        ("faulthandling", "        self._walkers |= view.liveset - view.heartbeat_domain\n", ""))
_mutant("bad-bytes-disprove-an-xhad", "a bad record makes an xhad host one that is not believed",
        ("sfrecords", "    if not peer.is_xhad:\n", "    if True:\n"))
_mutant("merges-before-all-know", "views are merged though one of them has just changed",
        ("timing", "               min(news_at_ms + 2 * beat_ms(common), entered_at_ms + 2 * "
         "patience_ms(common)))", "               entered_at_ms)"))
_mutant("takes-in-a-later-life", "whom the members let in is taken in, whichever life speaks",
        ("admission", "                                      "
         "if heard_another_life(view, heartbeat, host))", "                                      "
         "if False)"),
        survives="late, not wrong: its start ends at Tboot, and the next one is let in; what is "
                 "seen of it is in scenario 132")
_mutant("dropped-host-comes-back", "a host that was dropped and still speaks is a member again",
        ("admission", "        if host in view.proposed or view.phase is Phase.STARTING "
         "or view.sr2:", "        if True:"),
        ("admission", "            if view.settled and not self._denied(host):",
         "            if view.settled:"))
_mutant("forms-without-proposing", "at the deadline a liveset is formed that nobody was shown",
        ("startup", "        self._shown_at_ms = NEVER\n        return Stage.PROPOSING",
         "        view.set_liveset(view.proposed, view.proposed)\n"
         "        return self._admitted()"),
        survives="as rivals-unseen; see forms-without-proposing-and-one-taken")
_mutant("forms-without-proposing-and-one-taken", "nobody is shown it, and one of two is taken over",
        ("startup", "        self._shown_at_ms = NEVER\n        return Stage.PROPOSING",
         "        view.set_liveset(view.proposed, view.proposed)\n"
         "        return self._admitted()"),
        ("startup", "startfacts.running(view).plus(view.me) <= record.current_liveset",
         "view.me in record.current_liveset"))
_mutant("forms-beside-the-silent", "a new liveset does not wait for members who may still run",
        ("startup", "        if now_ms < self._predecessors_dead_ms():\n", "        if False:\n"))
_mutant("starts-beside-its-predecessor", "a restarted host does not wait for its removal",
        ("startup", "        if not holders:\n", "        if True:\n"),
        survives="who counts its predecessor takes over no heartbeat of it, so no word of that one "
        "counts, and gives no liveset to take over; see comes-in-as-its-predecessor")
_mutant("comes-in-as-its-predecessor", "a restarted host neither waits nor looks who is meant",
        ("startup", "        if not holders:\n", "        if True:\n"),
        ("startup", "for host in (view.statefile_domain & self._free).minus(view.me):",
         "for host in view.statefile_domain.minus(view.me):"))
_mutant("joins-whom-it-sees", "only the members that a joining host sees need to agree",
        ("startfacts", "            members = members | record.current_liveset\n",
         "            pass\n"))

# ---- the master lock (spec 12)

_mutant("grants-are-not-withdrawn", "a grant to a host that asks no more stays",
        ("masterlock", "        view.lock_grants = view.lock_grants & requesters & view.liveset\n",
         ""))
_mutant("grants-to-everybody", "a host that asks grants to others with a higher index",
        ("masterlock", "            if not view.lock_request or host <= view.me:\n",
         "            if True:\n"))
_mutant("holder-grants-to-others", "the holder grants like everybody",
        ("masterlock", "            view.lock_grants = HostSet([view.me])\n            return\n",
         "            pass\n"))
_mutant("held-before-it-was-asked", "a hold is believed before the request was written",
        ("masterlock", "        if (view.lock_request and self._requested_at_ms != NEVER\n"
         "                and view.reading_issued_at_ms >= self._requested_at_ms\n",
         "        if (view.lock_request\n"))
_mutant("held-by-an-old-reading", "a hold is believed from a reading issued before the request",
        ("masterlock", "                and view.reading_issued_at_ms >= self._requested_at_ms\n",
         ""))
_mutant("stale-grants-after-cancel", "grants read before a cancellation count after it",
        ("masterlock", "            self._clean_at_ms = NEVER\n        view.lock_request = False",
         "        view.lock_request = False"))
_mutant("asks-before-it-has-listened", "a request is published whatever was read",
        ("masterlock", "        if self._want and fresh and self._is_ready():",
         "        if self._want:"))
_mutant("asks-against-its-own-grants", "a request is published while higher indexes are granted",
        ("masterlock",
         "        return not any(host > view.me for host in view.lock_grants & view.liveset)",
         "        return True"))
_mutant("asks-beside-a-holder", "nobody looks who says that he holds",
        ("masterlock", "        if self._other_holder():\n            return False\n", ""),
        survives="who holds grants to nobody else, so a request beside it never wins; and it is "
        "taken back in the same evaluation, when its proposer is refused (_conclude)")
_mutant("starts-with-no-grants", "a daemon starts with no grants set",
        ("view", "        self.lock_grants = HostSet.first(64)",
         "        self.lock_grants = EMPTY"),
        survives="our holder remembers its hold, whatever a host that joins grants; an xhad one "
        "does not, but requests on, so that it grants to no higher index, and no lower one, which "
        "grants to it, is ready")
_mutant("pool-state-lowered", "an older pool state that was put back is left there",
        ("globalrecord", "        state = max(self._state or PoolState.NONE, self._highest)",
         "        state = self._state or found.pool_state"))

# ---- the pool key (docs/key.md)

_mutant("old-key-dropped-before-all-know", "a step waits neither for all nor for a while",
        ("keyring", "        return not waited_for\n", "        return True\n"),
        ("keyring", "        if view.reading_issued_at_ms - since_ms < pause_ms(view):\n",
         "        if False:\n"))
_mutant("steps-do-not-wait-for-all", "a step waits for a while, whoever knows the one before",
        ("keyring", "        return not waited_for\n", "        return True\n"))
_mutant("steps-do-not-pause", "a step follows as soon as all show the one before",
        ("keyring", "        if view.reading_issued_at_ms - since_ms < pause_ms(view):\n",
         "        if False:\n"),
        survives="members never go back, whatever a late write puts there, and what is on its way "
        "under the old key is refused for less than T1; see old-key-dropped-before-all-know")
_mutant("goes-back-to-an-older-key", "the ring on the disk is gone by, whatever was known",
        ("keyring", "        if judged is Found.NEWER:\n",
         "        if judged in (Found.NEWER, Found.OLDER):\n"))
