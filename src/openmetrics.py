"""OpenMetrics text: families of samples, as bytes a scraper takes.

Theory of operation
===================

Pure.  What is written is both OpenMetrics 1.0 and the older text format of
Prometheus, because node_exporter's textfile collector reads files by the older
one, and drops a whole file for one line that it does not know:

* only the types *gauge* and *counter*: ``info`` and ``stateset`` are unknown to
  it.  A state is a gauge for each of its values, of which one is 1;
* no time stamps, which the collector refuses;
* no quotation mark in a help text, which the two would write differently;
* ``# UNIT`` and ``# EOF`` are comments to it.

Times are in seconds, exact to the millisecond they were measured in.  What is not
known has no sample; it is never 0 or NaN.  Source: spec 9, "metrics"; the
OpenMetrics specification, "ABNF" and "Naming".
"""

import re
from typing import NamedTuple, Sequence, Tuple

from xha.records import record

GAUGE, COUNTER = "gauge", "counter"

#: Of metrics and labels: stricter than OpenMetrics asks for.
_NAME = re.compile(r"[a-z][a-z0-9_]*\Z")

#: The one unit we have; a name ends in its unit.
SECONDS = "seconds"

Labels = Tuple[Tuple[str, str], ...]


@record
class Sample(NamedTuple):
    """One value; ``number`` is written out, as ``decimal`` or ``str`` make it."""

    labels: Labels
    number: str


@record
class Family(NamedTuple):
    """A metric: what it means, and its samples."""

    # Without the _total of a counter.
    name: str
    kind: str
    meaning: str
    samples: Tuple[Sample, ...]


def render(families: Sequence[Family]) -> str:
    """The whole text; families without a sample are left out.

    Asserts what would make the text invalid: names, kinds, equal labels.
    """
    assert len({family.name for family in families}) == len(families)
    return "".join(_family(family) for family in families if family.samples) + "# EOF\n"


def decimal(milliseconds: int) -> str:
    """A duration in ms as seconds, exact."""
    sign, rest = ("-", -milliseconds) if milliseconds < 0 else ("", milliseconds)
    return "{}{}.{:03d}".format(sign, rest // 1000, rest % 1000)


def _family(family: Family) -> str:
    name = family.name
    assert _NAME.match(name) and not name.endswith(("_total", "_created", "_bucket", "_count"))
    assert family.kind in (GAUGE, COUNTER)
    assert len({sample.labels for sample in family.samples}) == len(family.samples), name
    lines = ["# TYPE {} {}".format(name, family.kind)]
    if name.endswith("_" + SECONDS):
        lines.append("# UNIT {} {}".format(name, SECONDS))
    assert not set(family.meaning) & {'"', "\\", "\n"}, family.meaning
    lines.append("# HELP {} {}".format(name, family.meaning))
    suffix = "_total" if family.kind == COUNTER else ""
    lines += ["{}{}{} {}".format(name, suffix, _labels(sample.labels), sample.number)
              for sample in family.samples]
    return "\n".join(lines) + "\n"


def _labels(labels: Labels) -> str:
    if not labels:
        return ""
    assert len({name for name, _ in labels}) == len(labels)
    assert all(_NAME.match(name) for name, _ in labels)
    return "{" + ",".join('{}="{}"'.format(name, _escaped(value)) for name, value in labels) + "}"


def _escaped(text: str) -> str:
    """A label's value: backslash, line end and quotation mark with a backslash before them."""
    return text.replace("\\", "\\\\").replace("\n", "\\n").replace('"', '\\"')
