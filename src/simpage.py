"""An outcome as one self-contained HTML page: the sum of it, a drawing, and tables.

The page refers to nothing outside itself and can be read without its script, which only shows
the time under the pointer.  Every text in it is escaped.
"""

from html import escape
from typing import List, Sequence

from xha import simdrawing, simsum, simwords
from xha.published import NEVER
from xha.simoutcome import DEATHS, STATES, Outcome
from xha.simstyle import SCRIPT, STYLE
from xha.simwords import Line, seconds, short

#: What the ending of a story is called.
_ENDINGS = {"well": "no promise broken", "breach": "PROMISE BROKEN",
            "liveness": "DID NOT FORM AGAIN", "crash": "CODE FAILED"}


def as_page(outcome: Outcome, title: str) -> str:
    """The page, ASCII; a line feed at its end."""
    parts = [
        "<!DOCTYPE html>", '<html lang="en">', "<head>", '<meta charset="utf-8">',
        '<meta name="viewport" content="width=device-width, initial-scale=1">',
        '<meta name="color-scheme" content="light dark">',
        "<title>{}</title>".format(_safe(title)), "<style>" + STYLE + "</style>", "</head>",
        "<body>", "<main>", "<header>", "<h1>{}</h1>".format(_safe(title)),
        '<p class="sum {}">{}</p>'.format(
            "well" if outcome.ending == "well" else "bad", _safe(simsum.summary(outcome))),
        _chips(outcome), "</header>", '<section class="drawing">', simdrawing.draw(outcome),
        "</section>", _legend(outcome), _fates(outcome), _moments(outcome),
        "<footer>Fingerprint of this run: <code>{}</code></footer>".format(_safe(outcome.digest)),
        "</main>", "<script>" + SCRIPT + "</script>", "</body>", "</html>"]
    return _ascii("\n".join(parts) + "\n")


def _ascii(page: str) -> str:
    return page.encode("ascii", "xmlcharrefreplace").decode("ascii")


def _safe(text: str) -> str:
    return escape(text)


def _chips(outcome: Outcome) -> str:
    count = len(outcome.fates)
    members = [index for index, digit in enumerate(outcome.liveset) if digit == "1"]
    chips = [("hosts", str(count)), ("story", seconds(outcome.lasted_ms) + " s"),
             ("liveset at the end", simwords.names(members) if members else "none agreed"),
             ("checked", _ENDINGS.get(outcome.ending, outcome.ending))]
    return '<dl class="chips">{}</dl>'.format("".join(
        "<div><dt>{}</dt><dd>{}</dd></div>".format(_safe(name), _safe(value))
        for name, value in chips))


# ---- the legend


def _legend(outcome: Outcome) -> str:
    seen = {span.state for span in outcome.spans}
    items = [_key(_sample(state), state, meaning) for state, meaning in STATES.items()
             if state in seen]
    if any(fate.how for fate in outcome.fates):
        items.append(_key(simdrawing.death(17, 8, 5, ""), "ends",
                          "fences itself, is reset, loses its power, or its daemon ends"))
    if outcome.drops:
        items.append(_key(simdrawing.dropped(17, 8, 6, ""), "dropped",
                          "it has left the liveset of all survivors: its VMs can be restarted"))
    if any(fate.restart_after_ms != NEVER for fate in outcome.fates):
        items.append(_key('<g class="outage"><path d="M3,8 v-3 v6 v-3 H31 v-3 v6"/></g>',
                          "VMs after", "from the fault until its VMs could be restarted"))
    if simwords.master_spans(outcome):
        items.append(_key('<g class="master"><rect x="3" y="6" width="28" height="4"/></g>',
                          "master", "holds the master lock"))
    return '<ul class="legend">{}</ul>'.format("".join(items))


def _sample(state: str) -> str:
    name = simdrawing.slug(state)
    place = 'x="2" y="{}" width="30" height="{}"'.format(
        *((6.5, 3) if state in ("down", "no daemon") else (2, 12)))
    hatched = name in [pattern for pattern, _ in simdrawing.PATTERNS]
    return '<g class="s-{}"><rect class="fill" {}/>{}</g>'.format(
        name, place, '<rect {} fill="url(#p-{})"/>'.format(place, name) if hatched else "")


def _key(shape: str, name: str, meaning: str) -> str:
    return ('<li><svg width="34" height="16" viewBox="0 0 34 16" aria-hidden="true">{}</svg>'
            "<span><b>{}</b> {}</span></li>").format(shape, _safe(name), _safe(meaning))


# ---- the tables


def _table(kind: str, heads: Sequence[str], rows: Sequence[str]) -> str:
    return '<div class="scroll"><table class="{}"><thead><tr>{}</tr></thead><tbody>{}</tbody>' \
        "</table></div>".format(kind, "".join("<th scope=\"col\">{}</th>".format(_safe(head))
                                              for head in heads), "\n".join(rows))


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
                fate, _safe(short([one.host for one in fates])), _safe(address),
                simdrawing.slug(first.state), _safe(sight.now), _safe(sight.what),
                _safe(sight.died), _safe(sight.dropped), _safe(sight.restart)))
    return "<section><h2>What becomes of each host</h2>{}{}</section>".format(
        _table("fates", ("host", "address", "at the end", "what becomes of it", "ends, s",
                         "dropped, s", "VMs after, s"), rows),
        '<p class="note">{}</p>'.format(_safe(simwords.RESTART)) * any(
            fate.how for fate in outcome.fates))


def _moments(outcome: Outcome) -> str:
    rows = []  # type: List[str]
    number = 0
    for line in simwords.lines(outcome):
        if line.kind == "done":
            number += 1
        rows.append(_row(line, number))
    return "<section><h2>What happens</h2>{}</section>".format(
        _table("moments", ("s", "hosts", "kind", "what an operator would see"), rows))


def _row(line: Line, number: int) -> str:
    time = '<td class="n">{}</td>'.format(seconds(line.at_ms))
    if line.kind in ("done", "end"):
        badge = '<span class="ball">{}</span> '.format(number) if line.kind == "done" else ""
        return '<tr class="{}">{}<td colspan="3">{}{}</td></tr>'.format(
            line.kind, time, badge, _safe(line.text))
    kind = "death" if line.kind in DEATHS else line.kind
    name = ' <code>{}</code>'.format(_safe(line.name)) if line.name else ""
    return '<tr class="k-{}">{}<td>{}</td><td><span class="kind">{}</span></td>' \
        "<td>{}{}</td></tr>".format(_safe(kind), time, _safe(short(line.hosts).replace(",", ", ")),
                                    _safe(line.kind), _safe(line.text), name)
