"""Whether heartbeats can go out and come in: interface, bond, UDP port, firewall.

Facts in, findings out; ``looknetwork`` collects the facts.  Source: spec 4, 8, 9 (doctor).
"""

from typing import List, NamedTuple, Optional, Tuple

from xha import bondhealth, firewall
from xha.config import Config
from xha.errors import ExitCode, FormatError
from xha.findings import Finding, failure, ok, unknown, warning
from xha.firewall import ACCEPT, DROP, Outcome, Ruleset
from xha.records import record

#: A datagram of heartbeat is at most 1400 bytes, and 48 more of headers.  Source: spec 4.
MTU_MIN = 1448


@record
class InterfaceFacts(NamedTuple):
    """HeartbeatInterface, as netifaces and Linux have it."""

    # By the check of the start: why it refuses, "" when it does not; why it was left out.
    refusal: str
    unchecked: str
    # "up", "down", "without carrier"; "" when not known.
    state: str
    # Bytes; -1 when not known.
    mtu: int
    # What Linux says of HeartbeatPhysicalInterface; None: it is no bond, or not configured.
    bond: Optional[str]


@record
class SocketFacts(NamedTuple):
    """A UDP socket of this host that is bound to our port."""

    address: str
    # 0 and "" when its owner is not known.
    pid: int
    program: str


@record
class PortFacts(NamedTuple):
    """Who has our UDP port."""

    sockets: Tuple[SocketFacts, ...]
    # Why it cannot be told; "" when it can.
    trouble: str
    # The daemon of this host; 0 for none.
    daemon_pid: int
    # portreserve keeps the port for us.
    reserved: bool
    # First and last port that Linux gives to anybody, less those that are reserved.
    given_away: bool


@record
class Listing(NamedTuple):
    """What a program said of the rules."""

    program: str
    text: str
    # Why it said nothing; "" when it did.
    trouble: str


def judge_interface(settings: Config, facts: InterfaceFacts) -> List[Finding]:
    """Whether the interface is there, carries this host's address, and is up."""
    local = settings.local
    address = settings.common.hosts[local.index].address
    check = "interface"
    if facts.refusal:
        return [failure(check, facts.refusal,
                        "give it the address, or correct HeartbeatInterface and IPaddress",
                        ExitCode.SYSTEM_ERROR)]
    found = []
    if facts.unchecked:
        found.append(unknown(check, "whether {} carries {} is not known: {}".format(
            local.interface, address, facts.unchecked), "compare `ip addr`"))
    else:
        found.append(ok(check, "{} carries {}".format(local.interface, address)))
    if facts.state not in ("", "up"):
        found.append(warning(check, "{} is {}: no heartbeat goes out".format(
            local.interface, facts.state), "look at its cable, its bond and its switch"))
    if 0 <= facts.mtu < MTU_MIN:
        found.append(warning(check, "{} takes packets of {} bytes: heartbeats of up to {} are cut "
                             "into fragments, and lost with any of them".format(
                                 local.interface, facts.mtu, MTU_MIN), "raise its MTU to 1500"))
    return found + _judge_bond(local.physical_interface, facts.bond)


def _judge_bond(name: str, text: Optional[str]) -> List[Finding]:
    if not name:
        return []
    if text is None:
        return [ok("bond", "{} is no bond: it has no second cable to lose first".format(name))]
    try:
        bond = bondhealth.parse(text)
    except FormatError as error:
        return [unknown("bond", "{}: {}".format(name, error))]
    if bond.health is bondhealth.Health.GOOD:
        return [ok("bond", "{} is up: {}".format(name, bond.words))]
    return [warning("bond", "{} is {}: {}; the next loss takes the heartbeats with it".format(
        name, "degraded" if bond.health is bondhealth.Health.DEGRADED else bond.status,
        bond.words), "look at the cables and the switch")]


def judge_port(port: int, address: str, facts: PortFacts) -> List[Finding]:
    """Whether our UDP port is free, or our daemon's."""
    check = "UDP port"
    if facts.trouble:
        return [unknown(check, "who has UDP port {} cannot be told: "
                        "{}".format(port, facts.trouble))]
    foreign = [one for one in facts.sockets if not (facts.daemon_pid
                                                    and one.pid == facts.daemon_pid)
               and one.address in (address, "0.0.0.0", "::")]
    if foreign and facts.reserved and all(one.program == "portreserve" for one in foreign):
        return [ok(check, "{} is kept free for us by portreserve".format(port))]
    if foreign:
        # A socket that takes both families stands in the way of IPv4, too.
        certain = [one for one in foreign if one.address == address
                   or (one.address == "::") == (":" in address)]
        who = ", ".join("{} on {}".format(
            "{} (pid {})".format(one.program, one.pid) if one.pid else "a process", one.address)
            for one in foreign)
        text = "{} is taken: {}".format(port, who)
        advice = "stop that program, or give HA another UDPport"
        if not certain:
            return [warning(check, text + "; that may be in our way", advice)]
        return [failure(check, text, advice, ExitCode.SYSTEM_ERROR)]
    if any(one.pid == facts.daemon_pid for one in facts.sockets) and facts.daemon_pid:
        return [ok(check, "{} is the daemon's (pid {})".format(port, facts.daemon_pid))]
    if facts.given_away:
        return [warning(check, "{} is free, but Linux gives such ports to any program that asks "
                        "for one (net.ipv4.ip_local_port_range)".format(port),
                        "use a lower UDPport, or add it to net.ipv4.ip_local_reserved_ports")]
    return [ok(check, "{} is free".format(port))]


def judge_firewall(settings: Config, listings: List[Listing]) -> List[Finding]:
    """Whether the rules let heartbeats of every peer in, as far as the rules tell."""
    check = "firewall"
    common = settings.common
    address = common.hosts[settings.local.index].address
    peers = [host.address for index, host in enumerate(common.hosts)
             if index != settings.local.index]
    if not peers:
        return [ok(check, "no matter: this pool has one host")]
    if not listings:
        return [unknown(check, "cannot tell: neither nft nor iptables-save is here",
                        "see that UDP port {} is open to {}".format(
                            common.udp_port, ", ".join(peers[:4])))]
    found = []
    rulesets = []  # type: List[Ruleset]
    programs = [one.program for one in listings if not one.trouble]
    for listing in listings:
        try:
            if listing.trouble:
                raise FormatError(listing.trouble)
            rulesets.append(_read(listing, ":" in address, programs))
        except FormatError as error:
            found.append(unknown(check, "cannot tell what {} has: {}".format(
                listing.program, error), "look at its rules for UDP port {}".format(
                    common.udp_port)))
    worst = _worst(settings, rulesets, address, peers)
    return found + ([_said(common.udp_port, worst, programs)] if programs else [])


def _read(listing: Listing, six: bool, programs: List[str]) -> Ruleset:
    if listing.program == "nft":
        return firewall.of_nft(listing.text, "ip6" if six else "ip", len(programs) > 1)
    return firewall.of_iptables(listing.text)


#: From best to worst: what becomes of a NEW datagram, of an ESTABLISHED one.
_ORDER = ((ACCEPT, ACCEPT), (firewall.UNKNOWN, ACCEPT), (DROP, ACCEPT),
          (firewall.UNKNOWN, firewall.UNKNOWN), (DROP, firewall.UNKNOWN), (DROP, DROP))


def _worst(settings: Config, rulesets: List[Ruleset], address: str,
           peers: List[str]) -> Tuple[Outcome, Outcome, str]:
    """What becomes of the heartbeats of the peer that fares worst, and its address."""
    results = []
    for peer in peers:
        new, known = [firewall.outcome(rulesets, firewall.packet(
            settings.common.udp_port, settings.local.interface, peer, address, state))
            for state in ("new", "established")]
        results.append((new, known, peer))
    ranks = {pair: rank for rank, pair in enumerate(_ORDER)}
    return max(results, key=lambda one: ranks.get((one[0].verdict, one[1].verdict), 3))


def _said(port: int, worst: Tuple[Outcome, Outcome, str], programs: List[str]) -> Finding:
    check = "firewall"
    new, known, peer = worst
    listed = " and ".join(programs)
    if new.verdict == ACCEPT:
        return ok(check, "UDP port {} is open to all peers, by {}".format(port, listed))
    advice = "accept UDP port {} from the pool's hosts, before that rule".format(port)
    if new.verdict == DROP and known.verdict == DROP:
        return failure(check, "heartbeats of {} are dropped: {}".format(peer, new.text), advice,
                       ExitCode.JOIN_TIMEOUT)
    if new.verdict == DROP and known.verdict == ACCEPT:
        return warning(check, "heartbeats of {} come in only while the kernel remembers that ours "
                       "went out; else they are dropped: {}".format(peer, new.text), advice)
    return unknown(check, "cannot tell whether heartbeats of {} come in: {}".format(
        peer, new.text), "look at that rule")
