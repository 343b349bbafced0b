"""What a State-File tells of the pool's keys: never a key, but its fingerprint.

Of the global record, for ``dump-statefile``: ``pool_key_fingerprint``, of the key that heartbeats
are sent with (null: there is none); ``pool_key_changes``, how often it was changed since the
State-File was initialised; ``pool_key_stage``, "settled", "announced" or "changed"; then
``other_key_fingerprint``, of the one that is accepted too, else null; and ``pool_key_mark``,
which a host repeats in its record that goes by all this.  Of a host's seal: ``pool_key_mark``, null
where it does not say.  ``doctor --pool`` compares them.  Facts in, findings out; docs/key.md.
"""

from typing import Any, Dict, List, Optional

from xha.findings import Finding, ok, warning
from xha.poolkey import NOT_SAID, SETTLED, STAGES, STEPS, Ring, fingerprint
from xha.published import GlobalRecord, HostRecord


def described(content: GlobalRecord) -> Dict[str, Any]:
    """The keys of a global record, as ``dump-statefile`` tells of them."""
    ring = content.ring
    return {
        "pool_key_fingerprint": None if ring is None else fingerprint(ring.key),
        "pool_key_changes": 0 if ring is None else ring.step // STEPS,
        "pool_key_stage": None if ring is None else STAGES[ring.stage],
        "other_key_fingerprint": (None if ring is None or ring.also is None
                                  else fingerprint(ring.also)),
        "pool_key_mark": None if ring is None else marked(ring.mark)}


def marked(mark: int) -> Optional[str]:
    """A mark as it is shown; None where nothing was said."""
    return None if mark == NOT_SAID else "{:016x}".format(mark)


def in_words(found: Dict[str, Any]) -> str:
    """What ``described`` told, on one line."""
    key, other = found["pool_key_fingerprint"], found["other_key_fingerprint"]
    if key is None:
        return "none: heartbeats are not authenticated"
    text = "fingerprint {}".format(key)
    if other is not None:
        text += ", being changed ({}): {} is accepted too".format(found["pool_key_stage"], other)
    return text + (", mark {}".format(found["pool_key_mark"]))


def judge(content: GlobalRecord, hosts: Dict[int, HostRecord]) -> List[Finding]:
    """Which keys the pool goes by, and who does not yet.

    Args:
        content: the global record.
        hosts: the records of the hosts that write now, by index.
    """
    check = "pool key"
    ring = content.ring
    if ring is None:
        return [warning(check, "there is none: whoever can send on the network can speak in the "
                        "name of a host", "disable and enable HA once all hosts run xha")]
    found = [_judge_ring(check, ring)]
    said = {index: record.seal.keys for index, record in hosts.items() if record.seal is not None}
    silent = [str(index) for index in sorted(said) if said[index] == NOT_SAID]
    behind = [str(index) for index in sorted(said) if said[index] not in (NOT_SAID, ring.mark)]
    if silent:
        found.append(warning(check, "hosts {} do not say which keys they go by: with them it "
                             "cannot be changed".format(", ".join(silent)),
                             "bring all hosts to one version"))
    if behind:
        found.append(warning(check, "hosts {} do not go by what the State-File holds".format(
            ", ".join(behind)), "look again in some seconds; where it stays so, see whether they "
            "can read the State-File"))
    return found


def _judge_ring(check: str, ring: Ring) -> Finding:
    if ring.stage == SETTLED or ring.also is None:
        changes = ring.step // STEPS
        return ok(check, "{}, {} since the State-File was initialised".format(
            fingerprint(ring.key), "not changed" if not changes else "changed once"
            if changes == 1 else "changed {} times".format(changes)))
    return ok(check, "it is being changed, step {} of {} ({}): heartbeats are sent with {}, and {} "
              "is accepted too".format(ring.stage, STEPS, STAGES[ring.stage],
                                       fingerprint(ring.key), fingerprint(ring.also)))
