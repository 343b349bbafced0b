"""Why a host was fenced, did not start, or went down: the table of causes.

Theory of operation
===================

A case (``whycase``) is put to the rows of ``CAUSES`` from the top; the first whose condition
holds names the cause.  A row is read like a sentence: the kind of end, what else must be so,
the path that failed, the cause, what to do.  The last row of each kind takes what no other
does, and says no more than is known.

In the texts, words in braces are of the case: {me} and {others} are names of hosts, {reason} is
what the host itself said; see ``words_of``.  Pure.  Source: spec 5, 7, 9.
"""

from typing import NamedTuple, Tuple

from xha.records import record
from xha.whycase import Case
from xha.whywords import (
    Condition, all_blind, alone, always, blind, both, either, has_code, heard_some,
    heard_survivors, lacks, no_rule, others_kept, rule_of, said, stands, storage_first, words_of,
    xen_says)

HEARTBEAT, STATEFILE, BOTH = "heartbeat network", "State-File", "heartbeat network and State-File"
HOST, XAPI, CONFIGURATION, ADMIN = "the host itself", "xapi", "configuration", "an administrator"
POOL = "the pool"


@record
class Cause(NamedTuple):
    """One row."""

    name: str
    # Kinds of ends that it can explain, by the words of ``whycase``.
    kinds: Tuple[str, ...]
    when: Condition
    path: str
    text: str
    advice: str


@record
class Verdict(NamedTuple):
    """A row, with the words of its case."""

    name: str
    path: str
    rule: str
    text: str
    advice: str


def verdict(case: Case) -> Verdict:
    """What the table says of a case."""
    words = words_of(case)
    row = next(row for row in CAUSES if case.kind in row.kinds and row.when(case))
    return Verdict(name=row.name, path=row.path.format(**words), rule=rule_of(case),
                   text=_sentence(row.text.format(**words)), advice=row.advice.format(**words))


def _sentence(text: str) -> str:
    return text[:1].upper() + text[1:]


_FENCED, _SILENT, _REFUSED = ("fenced",), ("silent",), ("refused",)
_GONE = ("silent", "missing")
_NETWORK_ADVICE = ("Check the heartbeat network of {me}: cable, switch port, bond, VLAN, firewall "
                   "(`xha.pyz doctor`).  When it works, start HA on {me} again.")
_PARTS_ADVICE = ("Look for what joins {heard} and {me} with {unheard}: switch, uplink, VLAN.  When "
                 "it works, start HA on the hosts that were reset.")
_STORAGE_ADVICE = ("Check the way of {me} to the storage of the State-File: HBA or network card, "
                   "multipath, zoning, the array's log at that time.")

_ROWS = (
    # name, kinds of end, when, path, cause, what to do
    # ---- it said why it fences itself
    ("xapi-failed", _FENCED, has_code("xapi-failed"), XAPI,
     "On {me} xapi did not answer its health check and could not be restarted, so the host "
     "left the pool.  The network and the storage of HA were not the reason.",
     "Look into /var/log/xensource.log and /var/log/daemon.log of {me} before that time: "
     "why did xapi fail?  A second failure within a day fences without another try."),
    ("xapi-check-not-started", _FENCED, has_code("xapi-check-not-started"), HOST,
     "{me} could not even start the small program that checks xapi, several times in a "
     "row: {reason}.",
     "See that the program is there and may be run; look for a dom0 without memory or "
     "processes (/var/log/kern.log: oom, fork)."),
    ("rule-2-broken", _FENCED, both(no_rule, stands("rule 2")), HEARTBEAT,
     "The pool lived without State-File (rule 2), where every host must hear every other; "
     "then {me} did not hear {unheard_of_all} any more.  Then nobody can prove who went on, and "
     "every host fences itself.",
     "Repair the storage of the State-File first, then find out why {unheard_of_all} could not be "
     "heard.  While a pool lives by rule 2, touch nothing: no reboot, no network change."),
    ("storage-lost-by-all", _FENCED, both(no_rule, blind, all_blind), BOTH,
     "All hosts lost the State-File, and not all of them could be heard: {me} did not hear "
     "{unheard_of_all}.  Without the State-File a pool survives only if all hosts hear each other.",
     "Repair the storage of the State-File first.  A host that is down on purpose should be "
     "excluded (set-excluded): then it need not be heard."),
    ("storage-lost-here", _FENCED, both(
        no_rule, blind, lambda case: not others_kept(case)), STATEFILE,
     "{me} lost the State-File ({lost}).  Either others kept it: a host without State-File "
     "does not survive beside them.  Or all lost it, and not all could be heard: then "
     "nobody survives.", _STORAGE_ADVICE),
    ("storage-lost", _FENCED, both(no_rule, blind), STATEFILE,
     "{me} lost the State-File while others kept it ({lost}).  It was still "
     "heard, but a host without State-File does not survive beside hosts that have it.",
     _STORAGE_ADVICE),
    ("not-all-hear-all", _FENCED, both(no_rule, heard_survivors), HEARTBEAT,
     "The heartbeat network worked between some hosts and not between others: {me} heard "
     "{heard}, but not {unheard}; {unheard_by} did not hear {me}.  Only hosts that all hear "
     "each other go on, and so {me} had to go.",
     "Look for the one link that fails, between {me} and {unheard}, in both directions: "
     "switch, VLAN, firewall, duplicate addresses."),
    ("cannot-send", _FENCED, both(no_rule, stands("send-failed"), alone), HEARTBEAT,
     "The system of {me} refused to send its heartbeats ({send_error}), and it heard no other "
     "host ({others}): its own interface or route failed, not the network between hosts.",
     "Look at the heartbeat interface of {me}: is it up, has it its address, is there a route "
     "(`xha.pyz doctor`)?  Then start HA on {me} again."),
    ("bond-failed", _FENCED, both(no_rule, stands("bond-error"), alone), HEARTBEAT,
     "The bond that carries the heartbeats of {me} failed ({bond_error}), and so it heard no other "
     "host ({others}).",
     "Check all links of the bond of {me}: cables, network cards, switch.  Then start HA on {me} "
     "again."),
    ("cut-off", _FENCED, both(no_rule, alone), HEARTBEAT,
     "{me} was cut off on the heartbeat network: it heard no other host ({others}), while "
     "its State-File worked.  A host that is alone loses against any larger part, and "
     "against one host of more weight or a lower index.", _NETWORK_ADVICE),
    ("minority", _FENCED, both(no_rule, heard_some,
                               lambda case: bool(case.seen.dropped_by)), HEARTBEAT,
     "The heartbeat network fell apart, and {me} was in the part that lost: it heard "
     "{heard}, but not {unheard}.  The part with more weight, more hosts or the lowest "
     "index goes on.", _PARTS_ADVICE),
    ("network-apart", _FENCED, both(no_rule, heard_some), HEARTBEAT,
     "The heartbeat network fell apart: {me} heard {heard}, but not {unheard}.  Either it "
     "was in the smaller part, or some links fail and others work: then only hosts that all "
     "hear each other go on.", _PARTS_ADVICE),
    ("network-lost", _FENCED, no_rule, HEARTBEAT,
     "{me} was put out for the heartbeat network, while its State-File worked: {unheard_by} "
     "did not hear it.  Whom it heard itself is not known from here.", _NETWORK_ADVICE),
    ("stalled", _FENCED, both(has_code("fence-requested"), stands("stalled")), HOST,
     "{me} stood still ({stalled_ms} ms without learning anything), the others gave it up, "
     "and {who} asked it to fence itself when it went on.",
     "Look for what stopped dom0 of {me}: CPU load, memory (swapping), storage of dom0's own "
     "disk, a paused virtual machine if this host is one."),
    ("asked-without-storage", _FENCED,
     both(has_code("fence-requested"), stands("statefile-lost", "write-failed")), STATEFILE,
     "{me} lost the State-File ({lost}); {who} saw its record stop, and asked it to fence "
     "itself.", _STORAGE_ADVICE),
    ("asked", _FENCED, has_code("fence-requested"), "{who}'s view of {me}",
     "{who} and those who go on with it have put {me} out, and asked it to fence itself.  "
     "The reason is what {who} saw: not heard, or a record that did not advance.",
     "Look at {who}: `xha.pyz why --host {me_index}` there, or with its files, says which "
     "path failed."),
    ("fenced", _FENCED, always, HOST, "{me} fenced itself: {reason} [{code}].",
     "Look for the cause in the lines above."),
    # ---- it ended armed and said so
    ("sigterm-armed", ("left",), lambda case: "stop-requested" in case.said, ADMIN,
     "The daemon of {me} was told to stop (SIGTERM) while fencing was armed: stop-daemon, "
     "`systemctl stop`, `kill`, or a shutdown of dom0.  It stopped, its timers ran on, and "
     "they reset the host: the others count on that.",
     "Disarm first: disarm-fencing, set-excluded, stop-daemon.  xapi does so when a host "
     "is shut down through it; `reboot` in dom0's shell does not."),
    ("excluded-armed", ("left",), has_code("19"), ADMIN,
     "{me} was excluded (set-excluded) while it was armed: its daemon ended with 19, its "
     "timers ran on, and they reset the host.",
     "Disarm first: disarm-fencing, set-excluded, stop-daemon."),
    ("generation-armed", ("left",), has_code("10"), CONFIGURATION,
     "HA was enabled anew, or the State-File was replaced, while {me} was armed: {reason}.",
     "Let xapi disable and enable HA.  Never initialise a State-File that hosts use."),
    ("left-armed", ("left",), always, HOST,
     "The daemon of {me} ended armed: {reason}.  Its timers reset the host.",
     "Look for the cause in the lines above."),
    ("bug", ("died",), always, HOST,
     "A fault in xha ended the daemon of {me}: {fault}.  If it was armed, its timers reset "
     "the host.", "Keep /var/log/xha.log and /var/lib/xha of {me}, and report it."),
    # ---- it broke off
    ("timer-not-moved", _SILENT, stands("refresh-failed"), "the watchdog",
     "The watchdog of {me} could not be set any more ({refused}), so it ran out.",
     "Look at `xl dmesg`, and for other programs that use the watchdog: xenwatchdogd, "
     "xen_wdt."),
    ("statefile-timer", _GONE, either(
        both(stands("expiring"), lambda case: case.field("watchdog-expiring",
                                                     "watchdog") == "statefile"),
        both(stands("statefile-lost", "write-failed"))), STATEFILE,
     "{me} could not write to the State-File ({lost}), so the State-File watchdog ran out "
     "and reset it.", _STORAGE_ADVICE),
    ("heartbeat-timer", _SILENT, stands("expiring"), HOST,
     "{me} came too late with its heartbeats, so the heartbeat watchdog ran out and reset "
     "it.", "Look for what stopped dom0 of {me}: CPU load, memory, a debugger."),
    ("killed", _SILENT, lambda case: "the last daemon" in case.successor, HOST,
     "The daemon of {me} (process {pid}) died while it was armed, without a word: kill -9, "
     "or out of memory.  The host ran on, and its timers reset it; a start in between was "
     "refused for that reason.",
     "Look into /var/log/kern.log of {me} for \"Out of memory: Killed process\", and ask who "
     "used kill -9."),
    ("watchdog-fired", _SILENT, either(
        xen_says("watchdog"), lambda case: case.successor.startswith("watchdog fired")), HOST,
     "A watchdog timer reset {me}, and its daemon had not seen it coming: it was killed "
     "(kill -9, out of memory), or the daemon or all of dom0 hung.",
     "Look into /var/log/kern.log of {me}: \"Out of memory: Killed process\", \"soft "
     "lockup\", \"hung task\"."),
    ("kernel-crash", _GONE, xen_says("crash", "panic"), HOST,
     "{me} crashed: {xen}.  HA did not reset it.",
     "Look into /var/crash of {me}, and at its hardware's log (memory, machine checks)."),
    ("rebooted", _GONE, xen_says("reboot", "halt"), ADMIN,
     "{me} was rebooted or shut down from dom0 without HA being told: {xen}, and its "
     "daemon had no reason to.",
     "Shut hosts down through xapi, or disarm first: disarm-fencing, set-excluded, "
     "stop-daemon."),
    ("power", _GONE, xen_says("boot"), HOST,
     "{me} lost its power or was reset from outside: {xen}.",
     "Look at the event log of its management board (BMC: `ipmitool sel list`), at power "
     "supplies, and ask who pressed the button."),
    ("about-to-be-reset", _SILENT, lambda case: bool(
        case.now is not None and case.now.timers), HOST,
     "The daemon of {me} died without a word while it was armed: kill -9, or out of memory. "
     " Its timers run, and reset the host.",
     "Nothing stops the reset safely: the others count on it.  Look into /var/log/kern.log "
     "for \"Out of memory: Killed process\"."),
    ("killed-unsafe", _SILENT, lambda case: case.rebooted is False, HOST,
     "The daemon of {me} ended without a word while it was armed (kill -9, out of memory), "
     "and the machine was not booted anew since.",
     "If watchdog mode is NONE, nothing resets this host: set it to HYPERVISOR.  Look into "
     "/var/log/kern.log for \"Out of memory: Killed process\"."),
    ("storage-of-one", _GONE, either(lacks(False, True), storage_first), STATEFILE,
     "The State-File record of {me} stopped while its heartbeats were still heard: {me} lost "
     "its storage, or its writes hung.  Its timer, or its own decision, ended it.",
     _STORAGE_ADVICE),
    ("network-of-one", _GONE, lacks(True, False), HEARTBEAT,
     "The heartbeats of {me} were not heard any more while its State-File record went on: "
     "its heartbeat network failed.", _NETWORK_ADVICE),
    ("silent-on-both", _GONE, either(lacks(True, True), lambda case: case.kind == "silent"),
     BOTH,
     "{me} fell silent at once and left no last words: power failure, reset from outside, "
     "crash of Xen or dom0, or a daemon that was killed or hung, whose timers reset it.",
     "Look at the event log of its management board (BMC: `ipmitool sel list`) and into "
     "/var/crash and /var/log/kern.log of {me}."),
    ("missing", ("missing",), always, "not known",
     "{me} was dropped by {dropped_by}; its last words were not heard.",
     "Copy the recorders of {me} and of the hosts that went on, and ask again."),
    # ---- it did not start
    ("generation", _REFUSED, said("State-File is of generation"), CONFIGURATION,
     "The configuration of {me} is not of this pool's HA: {reason}.  HA was enabled anew "
     "after this host's configuration was written, or StateFile names another device.",
     "Let xapi disable and enable HA, which writes xhad.conf anew on all hosts.  Compare "
     "GenerationUUID and StateFile in /etc/xensource/xhad.conf of all hosts."),
    ("invalid-pool", _REFUSED, said("pool state is invalid"), "pool state",
     "HA has been disabled: the State-File says that the pool state is invalid.",
     "Enable HA in xapi."),
    ("uninitialised", _REFUSED, said("never initialised"), STATEFILE,
     "The State-File has no pool state: nobody has initialised it.",
     "Enable HA in xapi; or, by hand, set-pool-state init before the first start."),
    ("version", _REFUSED, said("version"), STATEFILE,
     "The State-File was made by another version: {reason}.", "Disable and enable HA."),
    ("predecessor", _REFUSED, said("previous instance"), "the other hosts",
     "{me} came back before the others had given up its previous life: {reason}.",
     "Wait until the others have dropped it (`xha.pyz status` there), then start again.  If "
     "that does not happen, look at the log of the hosts that are named (1)."),
    ("not-all-here", _REFUSED, said("start timeout"), BOTH,
     "HA is being enabled, and not all hosts came: {me} did not see {absent} on both paths "
     "in time.",
     "Look at {absent}: is the daemon started there, is the heartbeat network up, can the "
     "State-File be written?"),
    ("largest-partition", _REFUSED, said("largest partition"), BOTH,
     "There is no liveset to join, and {me} does not see enough hosts to form one: missing "
     "are {absent}.",
     "Start the missing hosts, or repair the network to them.  A host that is down on "
     "purpose should be excluded."),
    ("excluded", _REFUSED, said("is excluded and no liveset"), POOL,
     "{me} is excluded, no liveset exists, and there are hosts that are not excluded: they "
     "must start first.", "Start the hosts that are not excluded: {others} as far as they "
     "are."),
    ("not-admitted", _REFUSED, said("admit|do not agree"), HEARTBEAT,
     "There is a liveset, and it did not let {me} in: {reason}.  All its hosts must hear "
     "{me}, and see its record; {me} itself did not see {absent}.",
     "Check the heartbeat network between {me} and every host of the liveset, in both "
     "directions; `xha.pyz status` there shows whom each notices."),
    ("died-armed", _REFUSED, said("the last daemon .* armed"), HOST,
     "A start was refused, for good reason: {reason}.",
     "Wait for the reset.  Look into /var/log/kern.log for \"Out of memory: Killed "
     "process\"; ask who used kill -9."),
    ("watchdog", _REFUSED, said("watchdog|timer"), "the watchdog",
     "{me} has no watchdog, and a host that nothing can reset must not be in HA: {reason}.",
     "Look for other users of Xen's watchdog: xenwatchdogd, xen_wdt (`xha.pyz doctor`)."),
    ("licence", _REFUSED, said("licensed"), "licence",
     "{me} may not use HA: {reason}.", "Apply a licence to this host."),
    ("interface", _REFUSED, said("HeartbeatInterface|port|address"), HEARTBEAT,
     "The heartbeat network of {me} is not what its configuration says: {reason}.",
     "Bring the interface up, or let xapi write the configuration again (disable and enable "
     "HA)."),
    ("storage-at-start", _REFUSED, said("State-File"), STATEFILE,
     "{me} cannot use the State-File: {reason}.", _STORAGE_ADVICE),
    ("configuration", _REFUSED, said("configuration|xhad.conf"), CONFIGURATION,
     "The configuration of {me} is refused: {reason}.",
     "Let xapi disable and enable HA, which writes it anew."),
    ("refused", _REFUSED, always, HOST, "{me} did not start: {reason}.",
     "Look for the cause in the lines above."),
    # ---- what is no incident of HA
    ("disabled", ("ended",), has_code("11"), "pool state",
     "HA was disabled: the pool state became invalid, and the daemon of {me} ended in "
     "peace.", "Nothing, if HA was to be disabled."),
    ("ended", ("ended",), always, HOST,
     "The daemon of {me} ended with {code}, and nothing was reset: {reason}.",
     "Look for the cause in the lines above."),
    ("stopped", ("stopped",), always, ADMIN,
     "{me} left on purpose: disarmed, then stopped.", "Nothing."),
    ("gone", ("gone",), always, HOST,
     "The daemon of {me} ended, or the machine was booted anew, while it was not armed: "
     "nobody counted on a reset.", "Nothing, unless it should have run."),
    ("quiet", ("quiet",), always, "none",
     "Nothing happened to {me} as far as its recorder goes.", "Nothing."),
)  # type: Tuple[Tuple[str, Tuple[str, ...], Condition, str, str, str], ...]

CAUSES = tuple(Cause(name=name, kinds=kinds, when=when, path=path, text=text, advice=advice)
               for name, kinds, when, path, text, advice in _ROWS)
