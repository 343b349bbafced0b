"""docs/messages.md: the catalogue of messages, as a page for operators.

The page is made from ``sysloglist`` alone.  tests/unit/test_messages.py holds it up to date, and
writes it anew when it is run with ``--rewrite``.
"""
import re
import textwrap
from typing import Any, List

#: Columns of the page's prose.
WIDTH = 98

#: What a level asks of whoever reads it, from the gravest.
LEVELS = [
    ("err", "a human must act"),
    ("warning", "redundancy is gone, or something is not as it should be"),
    ("notice", "who belongs to the pool, and what this host is, has changed"),
    ("info", "why it did"),
    ("debug", "the rest"),
]

_HEAD = """# Messages

Every message that `xha` can give: what it means and what to do.  Made from `sysloglist`; do not
edit this page.

A line of `/var/log/xha.log` is

    2026-01-31T04:05:06.789Z notice  Liveset updated (110). [liveset-changed] liveset=110

the time (UTC), the level, the text, the name of the message in brackets, and what was filled in.
**Search this page for the name.**  Names never change.  A digit string such as `110` has one
digit for each configured host, by host index; 1 is yes.

- `err`, `warning` and `notice` go to syslog, too, with the tag `xha`.  `debug` is logged only when
  asked for.
- `xha.pyz log-mask` shows which levels are logged, `log-mask set debug` puts one in and
  `log-mask reset info` takes one out.  `err` and `warning` are always logged.  A new daemon
  begins with all but `debug`.
- `killall -HUP xhad` has the log opened anew after it was renamed, as logrotate does.
- A message marked *repeats* is printed at most once a minute while its condition lasts;
  `log-repeated` then says how often it came.
"""


def page(catalogue: Any) -> str:
    """The whole page.

    Args:
        catalogue: ``xha.catalogue.Catalogue``, of the sources that are at hand.
    """
    parts = [_HEAD]
    for level, asks in LEVELS:
        named = [name for name in catalogue.names() if catalogue[name].level == level]
        parts.append("\n## {}: {}\n".format(level, asks))
        parts.append(_filled(", ".join("[{0}](#{0})".format(name) for name in named)))
        for name in named:
            parts.append(_entry(catalogue[name]))
    return "\n".join(parts)


def _entry(message: Any) -> str:
    title = "### {}\n".format(message.name)
    kind = message.level + (", repeats" if message.repeats else "")
    lines = [title, "    {}\n".format(message.text), _filled(_plain(message.meaning)) + "\n",
             _filled("*{}.* **What to do:** {}".format(kind, _plain(message.advice)))]
    return "\n" + "\n".join(lines)


def _filled(text: str) -> str:
    words = textwrap.wrap(text, WIDTH, break_long_words=False, break_on_hyphens=False)
    return "\n".join(words)


def _plain(text: str) -> str:
    """The text, with nothing in it that Markdown would take for its own."""
    parts = []  # type: List[str]
    for index, part in enumerate(text.split("`")):
        parts.append(part if index % 2 else re.sub(r"([*_<\\])", r"\\\1", part))
    return "`".join(parts)
