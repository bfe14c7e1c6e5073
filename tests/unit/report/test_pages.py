"""The pages: whole by themselves, safe with whatever a model wrote, the same for the same facts."""

import re
from html.parser import HTMLParser

from hypothesis import given, settings
from hypothesis import strategies as st

from lemfarm.report import compose, html_page, markdown_page
from lemfarm.report.document import Chapter, Document, Example, Lines, Picture, Series, Table, Tile, Tiles, Words
from lemfarm.report.facts import Report
from tests.reported_run import HOSTILE

LOADING = {"src", "href", "srcset", "data", "poster", "action", "background", "xlink:href"}
MOST_BYTES = 200_000


class Reader(HTMLParser):
    """What a browser would take from a page."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.links: list[str] = []
        self.handlers: list[str] = []
        self.text = ""
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.links += [value or "" for name, value in attrs if name in LOADING]
        self.handlers += [name for name, _ in attrs if name.startswith("on")]

    def handle_data(self, data: str) -> None:
        self.text += data


def hostile(text: str) -> Document:
    """A document in which every text is the same one."""
    table = Table((text, "n"), ((text, text),), frozenset({1}), "lemfarm status", text)
    chart = Lines(text, text, text, (Series(text, ((0.0, 1.0), (2.0, 3.0))),), (1.0, text))
    example = Example(text, text, text, ((text, text), (text, "")), table, (text,))
    blocks = (Words(text), Tiles((Tile(text, text, text),)), table, Picture(chart, table), example)
    return Document(text, text, (Chapter("key", text, blocks),), (text,))


def test_the_page_loads_nothing_and_runs_nothing(report: Report) -> None:
    page = html_page(compose(report))
    found = Reader(page)
    assert not {"script", "link", "img", "iframe", "object", "embed", "form"} & set(found.tags)
    assert all(link.startswith("#") for link in found.links) and found.links
    assert found.handlers == []
    assert "url(" not in page and "@import" not in page
    assert "default-src 'none'" in page


def test_what_a_model_wrote_is_text(report: Report) -> None:
    page = html_page(compose(report))
    assert HOSTILE in Reader(page).text
    assert "<script>" not in page and "<img" not in page


def test_hostile_text_anywhere_stays_text() -> None:
    found = Reader(html_page(hostile('"><script>alert(1)</script><img src=x onerror=y>' + "'")))
    assert "script" not in found.tags and "img" not in found.tags
    assert (found.handlers, found.links) == ([], ["#key"])


def test_charts_have_words_for_who_cannot_see_them(report: Report) -> None:
    page = html_page(compose(report))
    drawings = re.findall(r"<svg.*?</svg>", page, re.DOTALL)
    assert len(drawings) >= 6
    assert all("<title>" in one and "<desc>" in one and 'role="img"' in one for one in drawings)
    assert page.count("<figure>") == len(drawings) == page.count("<summary>Figures</summary>")


def test_the_page_is_made_for_day_night_and_paper(report: Report) -> None:
    page = html_page(compose(report))
    assert "prefers-color-scheme: dark" in page and "@media print" in page
    assert page.startswith("<!doctype html>")


def test_the_same_facts_give_the_same_pages(report: Report) -> None:
    assert html_page(compose(report)) == html_page(compose(report))
    assert markdown_page(compose(report)) == markdown_page(compose(report))


def test_the_pages_are_of_a_size_that_can_be_sent(report: Report) -> None:
    assert len(html_page(compose(report)).encode()) < MOST_BYTES


def test_elements_are_closed_in_order(report: Report) -> None:
    void = {"meta", "br", "hr"}
    opened: list[str] = []

    class Nesting(HTMLParser):
        def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
            opened.extend([tag] if tag not in void else [])

        def handle_endtag(self, tag: str) -> None:
            assert opened.pop() == tag

    Nesting().feed(html_page(compose(report)))
    assert opened == []


def test_markdown_has_the_same_tables(report: Report) -> None:
    text = markdown_page(compose(report))
    for chapter in compose(report).chapters:
        assert f"## {chapter.title}\n" in text
    assert "| ✗ | clear_fall | -2.5 | no interval below 0 | failed |" in text
    assert "Again: `lemfarm status tiny --json`" in text


def test_markdown_fences_hold_whatever_stands_in_an_answer(report: Report) -> None:
    text = markdown_page(compose(report))
    assert f"````text\n{HOSTILE}\n````" in text


@given(st.text(max_size=40))
@settings(max_examples=60)
def test_no_text_breaks_a_markdown_table(text: str) -> None:
    lines = markdown_page(Document("t", "s", (Chapter("k", "c", (Table(("a",), ((text,),)),)),))).splitlines()
    rows = [line for line in lines if line.startswith("| ") and line.endswith(" |")]
    assert len(rows) == 3
    inside = rows[2][2:-2]
    assert re.search(r"(?<!\\)(?:\\\\)*[|<>`]", inside) is None
