"""The proof page as text for people: ASCII, at most 100 columns.

Takes the facts of ``proofpage`` and leaves nothing of them out.
"""

import textwrap
from typing import Any, Dict, List

from xha.latencies import seconds

#: Widest line, columns.
WIDTH = 100

_PEERS = {
    "xha": "A host that runs xha stops; counted from its last write",
    "xhad": "The same, of a host that still runs xhad (it moves its timers when it likes); counted "
            "from its last write or heartbeat",
}


def as_text(facts: Dict[str, Any]) -> str:
    """The facts of ``proofpage.describe``, ending in a line end."""
    lines = _head(facts)
    for chain in facts["chains"]:
        lines += [""] + _chain(chain)
    lines += [""] + _wrapped("", (
        "When nothing else fails, and disks and network are quick, a host that runs xha is dropped "
        "within {}.").format(_fixed(facts["usually_dropped_within_ms"])))
    lines += [""] + _guard(facts) + [""] + _walk(facts) + [""] + _times(facts)
    lines += [""] + _measured(facts) + ["", "Advice"]
    for one in facts["advice"]:
        lines += _wrapped("  {:9}".format(one["level"] if one["level"] == "ok"
                                          else one["level"].upper()), one["text"])
        if one["advice"]:
            lines += _wrapped(" " * 8 + "-> ", one["advice"])
    return "\n".join(lines) + "\n"


def _head(facts: Dict[str, Any]) -> List[str]:
    derived = facts["derived_from_s"]
    return _wrapped("", "Timing of a pool of {} by {}: {}.".format(
        "1 host" if facts["hosts"] == 1 else "{} hosts".format(facts["hosts"]),
        facts["configuration"],
        "all times follow from T = {} s, as xapi derives them".format(derived) if derived
        else "the times are set one by one, not as xapi derives them from one T"))


def _chain(chain: Dict[str, Any]) -> List[str]:
    lines = _wrapped("", _PEERS[chain["peer"]] + ":") + [
        "", "  {:9}{:>11}{:>12}   {}".format("", "earliest", "latest", "why")]
    for moment in chain["moments"]:
        lines += _wrapped("  {:9}{:>11}{:>12}   ".format(
            moment["name"], _fixed(moment["earliest_ms"]), _fixed(moment["latest_ms"])),
            moment["why"])
    sign = "<" if chain["safe"] else ">="
    return lines + [""] + _wrapped("  {}: ".format("SAFE" if chain["safe"] else "NOT SAFE"), (
        "the latest reset is at {} {} {}, the earliest drop; {} to spare.").format(
            _fixed(chain["latest_reset_ms"]), sign, _fixed(chain["earliest_drop_ms"]),
            _fixed(chain["margin_ms"])))


def _guard(facts: Dict[str, Any]) -> List[str]:
    spare = [_fixed(chain["certain_margin_ms"]) for chain in facts["chains"]]
    return _wrapped("", (
        "What makes it so: survivors drop a host only after the instant \"certain\", which is "
        "never before its reset: {} later for a host that runs xha, {} for one that runs xhad.  "
        "The original's fixed wait alone would end {} {} the latest reset."
    ).format(spare[0], spare[1], _fixed(abs(facts["margin_without_guard_ms"])),
             "before" if facts["margin_without_guard_ms"] < 0 else "after"))


def _walk(facts: Dict[str, Any]) -> List[str]:
    lines = ["The survivors' walk (fault handler), from \"given up\" to \"dropped\":", "",
             "  {:9}{:>11}{:>12}{:>14}   {}".format(
                 "step", "at least", "at most", "stuck after", "what is done")]
    for step in facts["fault_handler"]:
        lines += _wrapped("  {:9}{:>11}{:>12}{:>14}   ".format(
            step["step"].upper(), _fixed(step["at_least_ms"]), _fixed(step["at_most_ms"]),
            _fixed(step["stuck_after_ms"])), step["what"])
    return lines + [""] + _wrapped("  ", (
        "A step takes as long as hosts need to hear of each other, usually a second or two; "
        "\"at most\" is for hosts that go on failing meanwhile.  A host that is seen and does not "
        "follow is taken for stuck.  The whole walk takes at most {}.").format(
            _fixed(facts["fault_handler_at_most_ms"])))


def _times(facts: Dict[str, Any]) -> List[str]:
    lines = ["Configured times (* as when left out):", ""]
    for row in facts["times"]:
        value = seconds(row["value_ms"]) if row["count"] is None else str(row["count"])
        lines += _wrapped("  {:25}{:8}{:>9} {}  ".format(
            row["element"], row["symbol"] or "", value, "*" if row["is_default"] else " "),
            row["meaning"])
    return lines


def _measured(facts: Dict[str, Any]) -> List[str]:
    measured = facts["measured"]
    if measured is None:
        return _wrapped("", "Nothing was measured: {}.  All above is from the configuration "
                        "alone.".format(facts["not_measured_because"]))
    lines = ["Measured by {}:".format(measured["source"])]
    for name, what in (("statefile_ms", "write and read the State-File, at most"),
                       ("heartbeat_ms", "send heartbeats to all peers, at most"),
                       ("oldest_record_ms", "age of the oldest noticed write of a live peer, now"),
                       ("oldest_heartbeat_ms", "age of the oldest heartbeat of a live peer, now")):
        value = measured[name]
        lines.append("  {:52}{:>9}".format(what, "-" if value is None else _fixed(value)))
    return lines


def _fixed(value_ms: int) -> str:
    """Seconds with all three decimals, so that columns can be compared."""
    return "{}{}.{:03} s".format("-" if value_ms < 0 else "", abs(value_ms) // 1000,
                                 abs(value_ms) % 1000)


def _wrapped(head: str, text: str) -> List[str]:
    return textwrap.wrap(text, WIDTH, initial_indent=head, subsequent_indent=" " * len(head),
                         break_long_words=False, break_on_hyphens=False) or [head.rstrip()]
