"""How long a hold lasts: as people write it, and within its bounds.

Theory of operation
===================

What weakens HA on purpose ends by itself, so its length is said with it: whole
hours, minutes and seconds, each with its letter, the larger before the smaller
(``90s``, ``5m``, ``1h30m``).  A number without a letter is refused: who means
minutes and gets seconds has no hold when it is needed, and the other way round
one that nobody expects.

Each kind of hold has a longest length.  A toolstack restarts in seconds and is
upgraded in minutes; while its checks are held, a dead one goes unnoticed, and
nobody could start elsewhere what stops on its host.  An hour is long enough for
the slowest upgrade, and short enough that a forgotten hold is over before the
next shift; who needs longer asks again, and so decides again.

Disarmed fencing does not end by itself (``fencing`` says why): its term only says
how long it is meant to last.  Half a day is the longest work that one person
sees through.

Source: spec 8, "xapi monitor", which knows no hold.
"""

import re

from xha.errors import FormatError

#: The longest hold of xapi's health checks, ms.
XAPI_MOST_MS = 3600 * 1000

#: The longest term of disarmed fencing, ms.
DISARM_MOST_MS = 12 * 3600 * 1000

#: What a client says instead of a length to end a hold before its time.
END = "end"

_FORM = re.compile(r"(?:([0-9]{1,6})h)?(?:([0-9]{1,6})m)?(?:([0-9]{1,6})s)?\Z")
_UNITS_MS = (3600000, 60000, 1000)


def length_ms(text: str, most_ms: int) -> int:
    """The length that a person wrote, ms.

    Raises:
        FormatError: it is none, it is nothing, or more than ``most_ms``.
    """
    found = _FORM.match(text)
    if not text or not found:
        raise FormatError("{} is no length of time: expected hours, minutes and seconds with "
                          "their letters, as 90s, 5m or 1h30m".format(ascii(text[:40])))
    ms = sum(int(number or 0) * unit_ms for number, unit_ms in zip(found.groups(), _UNITS_MS))
    if not 0 < ms <= most_ms:
        raise FormatError("{} is not permitted: expected 1s to {}".format(
            text, in_words(most_ms)))
    return ms


def asked_ms(text: str, most_ms: int) -> int:
    """What a client asks for: a length, or 0 to end what is held.

    Raises:
        FormatError: see ``length_ms``.
    """
    return 0 if text == END else length_ms(text, most_ms)


def in_words(ms: int) -> str:
    """A length as people write it; a part of a second counts as a whole one."""
    seconds = -(-ms // 1000)
    parts = ((seconds // 3600, "h"), (seconds % 3600 // 60, "m"), (seconds % 60, "s"))
    return "".join("{}{}".format(number, letter) for number, letter in parts if number) or "0s"
