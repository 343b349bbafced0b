"""Whether the rules of this host's firewall let heartbeats in, as far as rules tell.

Theory of operation
===================

The rulesets of nft (JSON) and of iptables (iptables-save) become one form:
chains of rules, each a list of tests and a verdict.  A heartbeat then walks
through them as the kernel would have it: a datagram of UDP from each peer to
our port on our interface.  A test that is not understood may hold or not, so
its rule is a *doubt*; only when a doubt could change the outcome is the
answer "unknown", with that rule.

The walk is done twice.  A NEW datagram that gets in needs nothing else.  One
that is dropped when NEW but not when ESTABLISHED gets in only while the
kernel's connection tracking remembers one of ours that went out: hosts then
hear each other, by accident.

Values in, values out.  Source: spec 9, doctor ("firewall").
"""

import ipaddress
import json
import shlex
from typing import Any, Dict, List, NamedTuple, Optional, Tuple

from xha.errors import FormatError
from xha.records import record

ACCEPT, DROP, UNKNOWN = "accept", "drop", "unknown"

#: Chains in chains: deeper than this is a loop.
_DEPTH_MAX = 16


@record
class Condition(NamedTuple):
    """One condition of a rule."""

    # What of the packet is looked at; "" for what is not understood.
    key: str
    # Any of these: a word, "first-last" of ports, a network, a name that ends in "*".
    wanted: Tuple[str, ...]
    negated: bool


@record
class Rule(NamedTuple):
    """A rule: when all tests hold, the verdict."""

    tests: Tuple[Condition, ...]
    # "accept", "drop", "jump", "goto", "return", "continue", or "unknown".
    verdict: str
    # Chain of a jump.
    target: str
    # For people.
    text: str


@record
class Chain(NamedTuple):
    """Rules in order; ``policy`` is what becomes of a packet at their end, "" of no base chain."""

    policy: str
    rules: Tuple[Rule, ...]


@record
class Ruleset(NamedTuple):
    """What one program listed."""

    chains: Dict[str, Chain]
    # The base chains that an incoming datagram passes, in order.
    entries: Tuple[str, ...]


@record
class Outcome(NamedTuple):
    """What becomes of a datagram, and the rule that decides or leaves a doubt."""

    verdict: str
    text: str


def packet(port: int, interface: str, source: str, destination: str, state: str
           ) -> Dict[str, str]:
    """A heartbeat that arrives, by the keys of ``Condition``."""
    return {"protocol": "udp", "dport": str(port), "sport": str(port), "interface": interface,
            "source": source, "destination": destination, "state": state,
            "family": "ipv6" if ":" in source else "ipv4"}


def outcome(rulesets: List[Ruleset], arriving: Dict[str, str]) -> Outcome:
    """The worst that any base chain of any ruleset does to the packet."""
    doubt = None  # type: Optional[Outcome]
    for ruleset in rulesets:
        for entry in ruleset.entries:
            found = _judge(ruleset, entry, arriving)
            if found.verdict == DROP:
                return found
            if found.verdict == UNKNOWN and doubt is None:
                doubt = found
    return doubt or Outcome(verdict=ACCEPT, text="")


def _judge(ruleset: Ruleset, entry: str, arriving: Dict[str, str]) -> Outcome:
    """What one base chain does: its verdict, unless a doubt could have made it another."""
    doubts = []  # type: List[Outcome]
    found = _walk(ruleset, entry, arriving, doubts, 0)
    policy = ruleset.chains[entry].policy
    final = found or Outcome(verdict=policy, text="policy {} of chain {}".format(policy, entry))
    for doubt in doubts:
        if doubt.verdict != final.verdict:
            return Outcome(verdict=UNKNOWN, text=doubt.text)
    return final


def _walk(ruleset: Ruleset, name: str, arriving: Dict[str, str], doubts: List[Outcome],
          depth: int) -> Optional[Outcome]:
    """The verdict of a chain, None when it has none; doubts are added."""
    chain = ruleset.chains.get(name)
    if chain is None or depth > _DEPTH_MAX:
        doubts.append(Outcome(verdict=UNKNOWN, text="chain {} cannot be followed".format(name)))
        return None
    for rule in chain.rules:
        holds = _holds(rule, arriving)
        if holds is False or rule.verdict == "continue":
            continue
        certain = [] if holds is None else doubts
        if rule.verdict in ("jump", "goto"):
            found = _walk(ruleset, rule.target, arriving, certain, depth + 1)
            ends = found is not None or rule.verdict == "goto"
        else:
            found = None if rule.verdict == "return" else Outcome(
                verdict=rule.verdict, text=rule.text)
            ends = True
        if holds is None:
            # It may be so, or not: what would come of it is a doubt.
            doubts += certain + ([found] if found is not None else [])
            if rule.verdict in ("return", "goto") and found is None:
                doubts.append(Outcome(verdict=UNKNOWN, text=rule.text))
        elif ends:
            return found
    return None


def _holds(rule: Rule, arriving: Dict[str, str]) -> Optional[bool]:
    """Whether all tests hold; None when that cannot be told."""
    results = [_test(test, arriving) for test in rule.tests]
    if False in results:
        return False
    return None if None in results else True


def _test(test: Condition, arriving: Dict[str, str]) -> Optional[bool]:
    value = arriving.get(test.key)
    if value is None:
        return None
    try:
        found = any(_equals(test.key, wanted, value) for wanted in test.wanted)
    except ValueError:
        return None         # A named set, a service's name: not in the listing.
    return found is not test.negated


def _equals(key: str, wanted: str, value: str) -> bool:
    if key in ("dport", "sport"):
        first, _, last = wanted.partition("-")
        return int(first) <= int(value) <= int(last or first)
    if key in ("source", "destination"):
        return ipaddress.ip_address(value) in ipaddress.ip_network(wanted, strict=False)
    if key == "interface" and wanted.endswith("*"):
        return value.startswith(wanted[:-1])
    if key == "protocol":
        return wanted.lower() in (value, "17", "all", "0")
    return wanted.lower() == value.lower()


# iptables-save

#: Options of iptables that are a test we know: our key.
_IPTABLES = {"-p": "protocol", "--protocol": "protocol", "-i": "interface",
             "--in-interface": "interface", "-s": "source", "--source": "source",
             "-d": "destination", "--destination": "destination", "--dport": "dport",
             "--sport": "sport", "--dports": "dport", "--sports": "sport", "--ctstate": "state",
             "--state": "state"}
#: Those that test nothing.
_WITH_VALUE = ("-m", "--match", "--comment", "--reject-with", "--log-prefix", "--log-level")
_TARGETS = {"ACCEPT": "accept", "DROP": "drop", "REJECT": "drop", "RETURN": "return",
            "LOG": "continue", "NFLOG": "continue", "MARK": "continue", "CONNMARK": "continue",
            "": "continue"}


def of_iptables(text: str) -> Ruleset:
    """What iptables-save or ip6tables-save printed; the tables filter, mangle and raw.

    Raises:
        FormatError: it cannot be read.
    """
    chains = {}  # type: Dict[str, Tuple[str, List[Rule]]]
    table = ""
    for line in text.splitlines():
        if line.startswith("*"):
            table = line[1:].strip()
        elif line.startswith(":"):
            about = line[1:].split()
            if len(about) < 2:
                raise FormatError("a chain without a policy: {}".format(line))
            name, policy = about[:2]
            chains[table + " " + name] = ("" if policy == "-" else policy.lower(), [])
        elif line.startswith("-A "):
            rule, chain = _iptables_rule(table, line, chains)
            if chain not in chains:
                raise FormatError("a rule of a chain that is not listed: {}".format(line))
            chains[chain][1].append(rule)
    entries = tuple(name for name in ("raw PREROUTING", "mangle PREROUTING", "mangle INPUT",
                                      "filter INPUT") if name in chains)
    return Ruleset(chains={name: Chain(policy=policy, rules=tuple(rules))
                           for name, (policy, rules) in chains.items()}, entries=entries)


def _iptables_rule(table: str, line: str, chains: Dict[str, Any]) -> Tuple[Rule, str]:
    try:
        words = shlex.split(line)
    except ValueError as error:
        raise FormatError("a rule that cannot be read: {}".format(line)) from error
    if len(words) < 2:
        raise FormatError("a rule of no chain: {}".format(line))
    tests, target, jump, negated = [], "", "jump", False
    at = 2
    while at < len(words):
        word = words[at]
        value = words[at + 1] if at + 1 < len(words) else ""
        at += 2
        if word == "!":
            negated, at = True, at - 1
            continue
        if word in ("-j", "--jump", "-g", "--goto"):
            target, jump = value, "goto" if word in ("-g", "--goto") else "jump"
        elif word in _IPTABLES:
            tests.append(_iptables_test(_IPTABLES[word], value, negated))
        elif word not in _WITH_VALUE:
            tests.append(Condition(key="", wanted=(), negated=False))
            at -= 1 if value.startswith("-") or value == "!" else 0
        negated = False
    verdict = _TARGETS.get(target, jump if table + " " + target in chains else "unknown")
    return Rule(tests=tuple(tests), verdict=verdict, target=table + " " + target,
                text="iptables: " + line), table + " " + words[1]


def _iptables_test(key: str, value: str, negated: bool) -> Condition:
    wanted = value.split(",")
    if key in ("dport", "sport"):
        wanted = [one.replace(":", "-") for one in wanted]
    elif key == "interface":
        wanted = [one[:-1] + "*" if one.endswith("+") else one for one in wanted]
    return Condition(key=key, wanted=tuple(wanted), negated=negated)


# nft

_NFT_KEYS = {("udp", "dport"): "dport", ("udp", "sport"): "sport", ("th", "dport"): "dport",
             ("th", "sport"): "sport", ("ip", "saddr"): "source", ("ip6", "saddr"): "source",
             ("ip", "daddr"): "destination", ("ip6", "daddr"): "destination",
             ("ip", "protocol"): "protocol", ("ip6", "nexthdr"): "protocol"}
_NFT_META = {"iifname": "interface", "iif": "interface", "l4proto": "protocol",
             "nfproto": "family"}
_NFT_NEUTRAL = ("counter", "log", "comment", "mangle", "notrack", "set")
#: What belongs to iptables itself, where that runs on nft, and is in its own listing.
_IPTABLES_TABLES = ("filter", "mangle", "raw", "nat", "security")


def of_nft(text: str, family: str, without_iptables: bool) -> Ruleset:
    """What ``nft -j list ruleset`` printed.

    Args:
        family: "ip" or "ip6": whose datagrams arrive.
        without_iptables: leave the tables out that iptables keeps there.

    Raises:
        FormatError: it cannot be read.
    """
    try:
        objects = json.loads(text)["nftables"]
        chains = {}  # type: Dict[str, Tuple[str, List[Rule]]]
        entries = []  # type: List[Tuple[str, int, str]]
        for one in objects:
            for kind, content in one.items():
                if kind not in ("chain", "rule") or content["family"] not in (family, "inet"):
                    continue
                table = "{} {} ".format(content["family"], content["table"])
                if without_iptables and content["family"] == family and (
                        content["table"] in _IPTABLES_TABLES):
                    continue
                if kind == "chain":
                    chains[table + content["name"]] = (content.get("policy", ""), [])
                    if content.get("hook") in ("prerouting", "input") and (
                            content.get("type") == "filter"):
                        # In the order of their names, prerouting is after input: turn it.
                        entries.append(("b" if content["hook"] == "input" else "a",
                                        int(content.get("prio", 0)), table + content["name"]))
                else:
                    chains[table + content["chain"]][1].extend(
                        _nft_rules(table, content["expr"]))
    except (ValueError, KeyError, TypeError, AttributeError, OverflowError,
            RecursionError) as error:
        raise FormatError("not the JSON of nft: {!r}".format(error)) from error
    return Ruleset(chains={name: Chain(policy=policy, rules=tuple(rules))
                           for name, (policy, rules) in chains.items()},
                   entries=tuple(name for _, _, name in sorted(entries)))


def _nft_rules(table: str, expressions: List[Dict[str, Any]]) -> List[Rule]:
    """A rule; or, of one that looks its verdict up in a map, a rule for each entry."""
    tests = []  # type: List[Condition]
    verdict, target = "continue", ""
    text = "nft: {}{}".format(table, json.dumps(expressions, sort_keys=True))[:300]
    for expression in expressions:
        (kind, value), = expression.items()
        if kind == "match":
            tests.append(_nft_test(value))
        elif kind == "vmap":
            return [_nft_entry(table, tests, value["key"], entry, text)
                    for entry in value["data"]["set"]]
        elif kind in ("accept", "drop", "return", "reject", "jump", "goto"):
            verdict, target = _nft_verdict(table, kind, value)
        elif kind not in _NFT_NEUTRAL:
            # A limit, or an extension of iptables: it may hold or not, and do anything.
            tests.append(Condition(key="", wanted=(), negated=False))
            verdict = "unknown" if kind in ("xt", "queue") else verdict
    return [Rule(tests=tuple(tests), verdict=verdict, target=target, text=text)]


def _nft_entry(table: str, tests: List[Condition], key: Dict[str, Any], entry: List[Any],
               text: str) -> Rule:
    values, does = entry
    (kind, value), = does.items()
    verdict, target = _nft_verdict(table, kind, value)
    test = _nft_test({"left": key, "right": values, "op": "=="})
    return Rule(tests=tuple(tests) + (test,), verdict=verdict, target=target, text=text)


def _nft_verdict(table: str, kind: str, value: Any) -> Tuple[str, str]:
    """(verdict, chain of a jump)."""
    if kind in ("jump", "goto"):
        return kind, table + value["target"]
    return {"reject": "drop", "accept": "accept", "drop": "drop", "return": "return",
            "continue": "continue"}.get(kind, "unknown"), ""


def _nft_test(match: Dict[str, Any]) -> Condition:
    left, right, operator = match["left"], match["right"], match["op"]
    key = ""
    if "payload" in left:
        field = (left["payload"].get("protocol"), left["payload"].get("field"))
        if field[0] in ("tcp", "icmp", "icmpv6", "sctp"):
            return Condition(key="protocol", wanted=(field[0],), negated=False)
        key = _NFT_KEYS.get(field, "")
    elif "meta" in left:
        key = _NFT_META.get(left["meta"]["key"], "")
    elif "ct" in left and left["ct"].get("key") == "state":
        key = "state"
    if operator not in ("==", "!=", "in"):
        key = ""
    return Condition(key=key, wanted=tuple(_nft_values(right)), negated=operator == "!=")


def _nft_values(right: Any) -> List[str]:
    if isinstance(right, dict):
        if "set" in right:
            return _nft_values(right["set"])
        if "range" in right:
            return ["{}-{}".format(*right["range"])]
        if "prefix" in right:
            return ["{}/{}".format(right["prefix"]["addr"], right["prefix"]["len"])]
        return ["?"]
    if isinstance(right, list):
        return [value for one in right for value in _nft_values(one)]
    return [str(right)]
