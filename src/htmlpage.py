"""One self-contained HTML page: its frame, and the pieces that pages of ours are made of.

A page refers to nothing outside itself, is light or dark as the reader's
desktop is, and is plain ASCII.  Every text that is given here is escaped; what
is called a shape, a part or a row is markup already.
"""

from html import escape
from typing import Sequence, Tuple

from xha.htmlstyle import STYLE


def page(title: str, parts: Sequence[str], style: str = "", script: str = "") -> str:
    """The page, ASCII; a line feed at its end.

    Args:
        parts: what is in it, from top to bottom.
        style: rules beside those that all pages have.
    """
    lines = [
        "<!DOCTYPE html>", '<html lang="en">', "<head>", '<meta charset="utf-8">',
        '<meta name="viewport" content="width=device-width, initial-scale=1">',
        '<meta name="color-scheme" content="light dark">',
        "<title>{}</title>".format(safe(title)), "<style>" + STYLE + style + "</style>",
        "</head>", "<body>", "<main>"]
    lines += parts
    lines.append("</main>")
    if script:
        lines.append("<script>" + script + "</script>")
    lines += ["</body>", "</html>"]
    text = "\n".join(lines) + "\n"
    return text.encode("ascii", "xmlcharrefreplace").decode("ascii")


def safe(text: str) -> str:
    """A text as it is written in a page."""
    return escape(text)


def chips(rows: Sequence[Tuple[str, str]]) -> str:
    """Some facts in a row, each a name and a value."""
    return '<dl class="chips">{}</dl>'.format("".join(
        "<div><dt>{}</dt><dd>{}</dd></div>".format(safe(name), safe(value))
        for name, value in rows))


def drawing(shape: str) -> str:
    """An SVG element on a card of its own."""
    return '<section class="drawing">\n{}\n</section>'.format(shape)


def legend(items: Sequence[str]) -> str:
    """What the colours and shapes of a drawing mean; of ``key``."""
    return '<ul class="legend">{}</ul>'.format("".join(items))


def key(shape: str, name: str, meaning: str) -> str:
    """One item of a legend; the shape is 34 by 16."""
    return ('<li><svg width="34" height="16" viewBox="0 0 34 16" aria-hidden="true">{}</svg>'
            "<span><b>{}</b> {}</span></li>").format(shape, safe(name), safe(meaning))


def table(kind: str, heads: Sequence[str], rows: Sequence[str]) -> str:
    """A table; each row is its whole element."""
    return '<div class="scroll"><table class="{}"><thead><tr>{}</tr></thead><tbody>{}</tbody>' \
        "</table></div>".format(kind, "".join("<th scope=\"col\">{}</th>".format(safe(head))
                                              for head in heads), "\n".join(rows))
