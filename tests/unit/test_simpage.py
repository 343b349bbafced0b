"""The page of an outcome: whole, self-contained, escaped, and drawn where things happened."""
import re
import xml.etree.ElementTree
from html.parser import HTMLParser

import pytest
from outcome_samples import ALL, outcome_of
from xha import htmlstyle, simpage, simwords, svglanes
from xha.simoutcome import DEATHS, STATES

STYLE = htmlstyle.STYLE

#: Elements without an end.
VOID = {"meta"}


class Reader(HTMLParser):
    """Notes the elements, and that each is closed by its own end."""

    def __init__(self):
        super().__init__(convert_charrefs=True)
        self.open = []
        self.found = []
        self.text = []

    def handle_starttag(self, tag, attrs):
        self.found.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.found.append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text.append(data)


def read(page):
    reader = Reader()
    reader.feed(page)
    reader.close()
    assert reader.open == []
    return reader


def drawing(page):
    """The SVG element of a page, as a tree."""
    found = re.search(r'<section class="drawing">\n(.*?)\n</section>', page, re.DOTALL)
    return xml.etree.ElementTree.fromstring(found.group(1))


def of_class(tree, name):
    return [element for element in tree.iter() if name in element.get("class", "").split()]


@pytest.mark.parametrize("name", ALL)
def test_the_page_is_whole_and_refers_to_nothing_outside(name):
    page = simpage.as_page(outcome_of(name), name)
    assert page == page.encode("ascii").decode("ascii") and page.endswith("</html>\n")
    reader = read(page)
    for tag, attributes in reader.found:
        assert tag not in ("link", "img", "iframe", "object", "embed", "use", "image", "base")
        assert not {"src", "href", "xlink:href", "srcset", "action"} & set(attributes)
        assert not [key for key in attributes if key.startswith("on")]
        assert attributes.get("fill", "url(#p-").startswith("url(#p-")
    assert "//" not in page and "@import" not in page
    assert re.findall(r"url\((?!#p-)", page) == []


@pytest.mark.parametrize("name", ALL)
def test_each_host_has_a_lane_and_everything_is_drawn_inside(name):
    outcome = outcome_of(name)
    tree = drawing(simpage.as_page(outcome, name))
    width, height = [float(part) for part in tree.get("viewBox").split()[2:]]
    assert len(of_class(tree, "lane")) == len(outcome.fates)
    left, right = float(tree.get("data-left")), float(tree.get("data-right"))
    bars = [rect for group in tree.iter("g") if group.get("class", "").startswith("s-")
            for rect in group.iter("rect")]
    assert len(bars) >= len(outcome.fates)
    for rect in bars:
        assert left <= float(rect.get("x")) and 0 < float(rect.get("width"))
        assert float(rect.get("x")) + float(rect.get("width")) <= right + 1
        assert 0 <= float(rect.get("y")) <= height - float(rect.get("height"))
    for text in tree.iter("text"):
        assert 0 <= float(text.get("x", 0)) <= width and 0 <= float(text.get("y")) <= height


@pytest.mark.parametrize("name", ALL)
def test_deeds_deaths_and_drops_are_marked(name):
    outcome = outcome_of(name)
    tree = drawing(simpage.as_page(outcome, name))
    assert len(of_class(tree, "deed")) == len([
        deed for deed in outcome.deeds if deed.kind != "time"])
    assert len(of_class(tree, "death")) == sum(
        len(moment.hosts) for moment in outcome.moments if moment.kind in DEATHS)
    assert len(of_class(tree, "drop")) == len(outcome.drops)
    assert len(of_class(tree, "master")) == len(simwords.master_spans(outcome))
    assert len(of_class(tree, "outage")) == len([
        fate for fate in outcome.fates if fate.restart_after_ms >= 0])


def test_a_mark_stands_at_its_instant():
    outcome = outcome_of("cut")
    tree = drawing(simpage.as_page(outcome, "cut"))
    left, right = float(tree.get("data-left")), float(tree.get("data-right"))
    circle = of_class(tree, "death")[0].find("circle")
    at_ms = (float(circle.get("cx")) - left) / (right - left) * outcome.lasted_ms
    assert abs(at_ms - outcome.fates[2].died_at_ms) < 20


@pytest.mark.parametrize("name", ALL)
def test_the_legend_explains_each_state_that_is_drawn(name):
    outcome = outcome_of(name)
    legend = re.search(r'<ul class="legend">.*?</ul>', simpage.as_page(outcome, name)).group()
    for state in STATES:
        assert ("<b>{}</b>".format(state) in legend) == (
            state in {span.state for span in outcome.spans})


def test_each_state_has_a_colour_and_the_lively_ones_a_hatching():
    for state in STATES:
        assert ".s-" + svglanes.slug(state) in STYLE
    hatched = {name for name, _ in svglanes.PATTERNS}
    assert {svglanes.slug(state) for state in STATES} - hatched == {"online", "down", "no-daemon"}


def test_light_and_dark_have_the_same_colours_to_give():
    light, dark = STYLE.split("@media (prefers-color-scheme: dark)")
    names = re.findall(r"(--[a-z0-9]+):#?", light)
    assert sorted(names) == sorted(re.findall(r"(--[a-z0-9]+):#?", dark.split("} }")[0]))


def test_the_tables_hold_every_host_and_every_line():
    outcome = outcome_of("many")
    page = simpage.as_page(outcome, "many")
    fates = re.search(r'<table class="fates">.*?</table>', page, re.DOTALL).group()
    moments = re.search(r'<table class="moments">.*?</table>', page, re.DOTALL).group()
    assert fates.count("<tr") == 1 + len(outcome.fates)
    assert moments.count("<tr") == 1 + len(simwords.lines(outcome))


NASTY = "</script><img src=x onerror=\"a('&')\">\u2028\u00e9"


def test_whatever_a_name_or_a_story_holds_is_text():
    outcome = outcome_of("cut")
    outcome = outcome._replace(
        ending="breach", text=NASTY, digest=NASTY,
        deeds=tuple(deed._replace(text=NASTY, kind="fault") for deed in outcome.deeds),
        moments=tuple(moment._replace(text=NASTY) for moment in outcome.moments),
        fates=tuple(fate._replace(name=NASTY, address=NASTY, uuid=NASTY, code=NASTY)
                    for fate in outcome.fates))
    page = simpage.as_page(outcome, NASTY)
    plain = read(simpage.as_page(outcome_of("cut"), "cut"))
    reader = read(page)
    assert page == page.encode("ascii").decode("ascii")
    tags = {tag for tag, _ in plain.found}
    assert {tag for tag, _ in reader.found} == tags and "img" not in tags
    assert [tag for tag, _ in reader.found].count("script") == 1
    assert NASTY in "".join(reader.text)


def test_a_breach_is_said_in_the_first_place():
    page = simpage.as_page(outcome_of("breach"), "what if")
    assert re.search(r'<p class="sum bad">THE PROMISE IS BROKEN after [0-9.]+ s: host ', page)
    assert '<p class="sum well">' in simpage.as_page(outcome_of("cut"), "what if")


def test_a_title_is_shown():
    page = simpage.as_page(outcome_of("cut"), "a < b")
    assert "<title>a &lt; b</title>" in page and "<h1>a &lt; b</h1>" in page
