"""An outcome as one self-contained HTML page: the sum of it, a drawing, and tables.

The page refers to nothing outside itself and can be read without its script, which only shows
the time under the pointer.  Every text in it is escaped.
"""

from typing import List

from xha import htmlpage, simdrawing, simsum, simwords, svglanes
from xha.htmlpage import key, safe
from xha.published import NEVER
from xha.simoutcome import DEATHS, STATES, Outcome
from xha.simstyle import SCRIPT, STYLE
from xha.simwords import Line, seconds, short

#: What the ending of a story is called.
_ENDINGS = {"well": "no promise broken", "breach": "PROMISE BROKEN",
            "liveness": "DID NOT FORM AGAIN", "crash": "CODE FAILED"}


def as_page(outcome: Outcome, title: str) -> str:
    """The page, ASCII; a line feed at its end."""
    return htmlpage.page(title, [
        "<header>", "<h1>{}</h1>".format(safe(title)),
        '<p class="sum {}">{}</p>'.format(
            "well" if outcome.ending == "well" else "bad", safe(simsum.summary(outcome))),
        _chips(outcome), "</header>", htmlpage.drawing(simdrawing.draw(outcome)),
        _legend(outcome), _fates(outcome), _moments(outcome),
        "<footer>Fingerprint of this run: <code>{}</code></footer>".format(safe(outcome.digest))],
        STYLE, SCRIPT)


def _chips(outcome: Outcome) -> str:
    count = len(outcome.fates)
    members = [index for index, digit in enumerate(outcome.liveset) if digit == "1"]
    chips = [("hosts", str(count)), ("story", seconds(outcome.lasted_ms) + " s"),
             ("liveset at the end", simwords.names(members) if members else "none agreed"),
             ("checked", _ENDINGS.get(outcome.ending, outcome.ending))]
    return htmlpage.chips(chips)


# ---- the legend


def _legend(outcome: Outcome) -> str:
    seen = {span.state for span in outcome.spans}
    items = [key(svglanes.sample(state), state, meaning) for state, meaning in STATES.items()
             if state in seen]
    if any(fate.how for fate in outcome.fates):
        items.append(key(svglanes.death(17, 8, 5, ""), "ends",
                          "fences itself, is reset, loses its power, or its daemon ends"))
    if outcome.drops:
        items.append(key(simdrawing.dropped(17, 8, 6, ""), "dropped",
                          "it has left the liveset of all survivors: its VMs can be restarted"))
    if any(fate.restart_after_ms != NEVER for fate in outcome.fates):
        items.append(key('<g class="outage"><path d="M3,8 v-3 v6 v-3 H31 v-3 v6"/></g>',
                          "VMs after", "from the fault until its VMs could be restarted"))
    if simwords.master_spans(outcome):
        items.append(key('<g class="master"><rect x="3" y="6" width="28" height="4"/></g>',
                          "master", "holds the master lock"))
    return htmlpage.legend(items)


# ---- the tables


def _fates(outcome: Outcome) -> str:
    rows = []  # type: List[str]
    for fates, sight in simwords.rows_of(outcome):
        first = fates[0]
        address = first.address if len(fates) == 1 else "{} hosts".format(len(fates))
        fate = "lives" if simwords.lives(first) else "dies"
        rows.append(
            '<tr class="{}"><th scope="row">{}</th><td class="mono">{}</td><td>'
            '<span class="dot s-{}"></span>{}</td><td>{}</td><td class="n">{}</td>'
            '<td class="n">{}</td><td class="n strong">{}</td></tr>'.format(
                fate, safe(short([one.host for one in fates])), safe(address),
                svglanes.slug(first.state), safe(sight.now), safe(sight.what),
                safe(sight.died), safe(sight.dropped), safe(sight.restart)))
    return "<section><h2>What becomes of each host</h2>{}{}</section>".format(
        htmlpage.table("fates", ("host", "address", "at the end", "what becomes of it", "ends, s",
                         "dropped, s", "VMs after, s"), rows),
        '<p class="note">{}</p>'.format(safe(simwords.RESTART)) * any(
            fate.how for fate in outcome.fates))


def _moments(outcome: Outcome) -> str:
    rows = []  # type: List[str]
    number = 0
    for line in simwords.lines(outcome):
        if line.kind == "done":
            number += 1
        rows.append(_row(line, number))
    return "<section><h2>What happens</h2>{}</section>".format(
        htmlpage.table("moments", ("s", "hosts", "kind", "what an operator would see"), rows))


def _row(line: Line, number: int) -> str:
    time = '<td class="n">{}</td>'.format(seconds(line.at_ms))
    if line.kind in ("done", "end"):
        badge = '<span class="ball">{}</span> '.format(number) if line.kind == "done" else ""
        return '<tr class="{}">{}<td colspan="3">{}{}</td></tr>'.format(
            line.kind, time, badge, safe(line.text))
    kind = "death" if line.kind in DEATHS else line.kind
    name = ' <code>{}</code>'.format(safe(line.name)) if line.name else ""
    return '<tr class="k-{}">{}<td>{}</td><td><span class="kind">{}</span></td>' \
        "<td>{}{}</td></tr>".format(safe(kind), time, safe(short(line.hosts).replace(",", ", ")),
                                    safe(line.kind), safe(line.text), name)
