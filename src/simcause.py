"""What a line of a story is, seen by somebody who asks why a host ended: a fault, a repair, ...

The language is that of ``simscript``; a line that this module does not know is a fault.
"""

import re
from typing import List, Sequence, Tuple

from xha.config import Host

#: Lines by what they are; the first that matches counts.  "time": nothing is done to the pool.
#: "leave": somebody means a host to go.
_KINDS = [
    ("time", r"[0-9.]+ s pass|look|the pool comes to rest( within [0-9]+ s)?"),
    ("repair", r"(network heals|heal|everything heals|the pool forms again|start .*"
               r"|who is down starts.*|.* (back|starts|thaws|recovers|readable))"),
    ("repair", r"network .*(loses|doubles|damages) 0 %.*|.* takes (0 to )?0 ms.*"),
    ("leave", r"disable HA on .*|host .* stops"
              r"|.* asks? (disarm-fencing|set-excluded|set-pool-state invalid)|.* disarms for .*"),
    ("request", r".* asks? .*|weight of .*|a master is elected"),
    ("fault", r".*"),
]
_KNOWN = [(kind, re.compile("(?:" + pattern + r")\Z")) for kind, pattern in _KINDS]

#: What a fault is called in "so many seconds after ...".
_NOUNS = [
    (r"partition .*|.* cut", "the cut"),
    (r"crash .*|host .* crashes", "the crash"),
    (r"reset .*|host .* reboots", "the reset"),
    (r"(host|machine) .* freezes|machine of .* freezes", "the freeze"),
    (r"daemon of .* dies", "the death of its daemon"),
    (r"toolstack of .* fails", "the failure of its toolstack"),
    (r"(lose )?statefile of .*", "the State-File fault"),
    (r"network .*", "the network fault"),
    (r"host .* stops", "the stop"),
    (r"disable HA on .*", "the disabling of HA"),
    (r".* asks? .*", "the request"),
]
_NAMED = [(re.compile("(?:" + pattern + r")\Z"), noun) for pattern, noun in _NOUNS]

#: Parts of lines whose numbers are no hosts.
_AMOUNTS = re.compile(r"(takes|after|becomes|by|loses|doubles|damages|within)( -?[0-9.]+| to| ms"
                      r"| s| %)+")


def kind_of(line: str) -> str:
    """fault, leave (somebody means a host to go), repair, request, or time (nothing is done)."""
    return [kind for kind, pattern in _KNOWN if pattern.match(line)][0]


def noun_of(line: str) -> str:
    """What a fault, or a leave, is called: "the cut"."""
    return ([noun for pattern, noun in _NAMED if pattern.match(line)] + ["the fault"])[0]


def named_in(line: str, hosts: Sequence[Host]) -> Tuple[int, ...]:
    """The hosts that a line names, in order; all of them where it names none, or says ``all``."""
    words = re.split(r"[\s,|;]+", _AMOUNTS.sub("", line))
    if len(words) > 1 and words[0] == "link":
        words[1:2] = re.sub(r"(host-\w+|\w+)-(host-\w+|\w+)\Z", r"\1 \2", words[1]).split()
    found = []  # type: List[int]
    for word in words:
        found += [index for index in meant(word, hosts) if index not in found]
    return tuple(sorted(found)) or tuple(range(len(hosts)))


def meant(word: str, hosts: Sequence[Host]) -> List[int]:
    """The hosts that one word may name: by index, letter, address or the beginning of a UUID."""
    plain = word[5:] if word.startswith("host-") else word
    if re.match(r"[0-9]{1,2}\Z", plain) and int(plain) < len(hosts):
        return [int(plain)]
    if re.match(r"[A-Za-z]\Z", plain) and ord(plain.lower()) - ord("a") < len(hosts):
        return [ord(plain.lower()) - ord("a")]
    digits = plain.lower().replace("-", "")
    return [index for index, host in enumerate(hosts) if plain == host.address
            or (re.match(r"[0-9a-f]{4,32}\Z", digits) and host.uuid.startswith(digits))]
