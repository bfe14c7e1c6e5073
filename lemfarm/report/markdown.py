"""A report as Markdown: the twin of the page, with the tables behind every chart."""

import re
from collections.abc import Iterable, Iterator

from lemfarm.report.document import Block, Chapter, Document, Example, Heading, Listing, Picture, Table, Tiles, Words

_SPECIAL = re.compile(r"[\\`*\[\]<>|#~]|(?<!\w)_|_(?!\w)")
_TICKS = re.compile(r"`+")


def markdown_page(document: Document) -> str:
    """The whole report. The same document always gives the same text."""
    lines = [f"# {_plain(document.title)}", "", _plain(document.subtitle), ""]
    for chapter in document.chapters:
        lines += _chapter(chapter)
    if document.left_out:
        lines += ["## Left out", "", *(f"* {_plain(line)}" for line in document.left_out), ""]
    return "\n".join(lines).rstrip() + "\n"


def _chapter(chapter: Chapter) -> Iterator[str]:
    yield f"## {_plain(chapter.title)}"
    yield ""
    for block in chapter.blocks:
        yield from _block(block)
        yield ""


def _block(block: Block | Heading) -> Iterator[str]:
    match block:
        case Heading():
            yield f"### {_plain(block.text)}"
        case Words():
            yield f"**{_plain(block.text)}**" if block.is_warning else _plain(block.text)
        case Tiles():
            yield from _table(Table(("figure", "value", "of"), tuple((t.label, t.value, t.note) for t in block.tiles)))
            yield from _source(block.source)
        case Table():
            yield from _table(block)
            yield from _source(block.source)
        case Picture():
            yield f"**{_plain(block.chart.title)}**"
            yield ""
            yield from _block(block.table)
        case Example():
            yield from _example(block)
        case Listing():
            yield f"**{_plain(block.title)}**"
            yield ""
            yield from _verbatim(block.text)
            yield from _source(block.source)


def _table(table: Table) -> Iterator[str]:
    yield _row(table.columns)
    yield _row("--:" if place in table.numbers else "---" for place in range(len(table.columns)))
    for row in table.rows:
        yield _row(map(_plain, row))
    if table.caption:
        yield ""
        yield _plain(table.caption)


def _row(cells: Iterable[str]) -> str:
    return "| " + " | ".join(cells) + " |"


def _example(example: Example) -> Iterator[str]:
    yield f"#### {_plain(example.title)}"
    yield ""
    yield _plain(example.facts)
    yield ""
    yield "Asked:"
    yield ""
    yield from _verbatim(example.prompt)
    yield ""
    yield "Answered:"
    yield ""
    yield from _verbatim("".join(text for text, _ in example.pieces))
    for note in example.notes:
        yield ""
        yield _plain(note)
    if example.signals.rows:
        yield ""
        yield from _table(example.signals)
    yield from _source(example.source)


def _verbatim(text: str) -> Iterator[str]:
    """Fenced with more backticks than stand in it, so that nothing in it ends it."""
    longest = max((len(run) for run in _TICKS.findall(text)), default=0)
    fence = "`" * max(3, longest + 1)
    yield f"{fence}text"
    yield text
    yield fence


def _source(command: str) -> Iterator[str]:
    if command:
        yield ""
        yield f"Again: `{command}`"


def _plain(text: str) -> str:
    """One line in which nothing is markup."""
    return _SPECIAL.sub(lambda found: "\\" + found[0], " ".join(text.split()))
