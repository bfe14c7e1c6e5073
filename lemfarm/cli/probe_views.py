"""How `probes list|show|check|coverage` look to people."""

from collections import Counter
from typing import TYPE_CHECKING

from lemfarm.cli.shared import bare_table, counted, err, number_columns, out, plain, show_table, word_columns

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.table import Column

    from lemfarm.library.coverage import Cell, Coverage, ThinSpot
    from lemfarm.library.listing import ProbeDetails, ProbeLine, WordingDetails
    from lemfarm.library.quality import Finding
    from lemfarm.library.reading import Library

_WORDS = "words: fewest–median–most"
_TOLD = 10  #: of what may be many: problems beside a list, empty cells


def show_lines(lines: "Sequence[ProbeLine]") -> None:
    """A line a probe."""
    from rich.text import Text

    table = bare_table(*_key_columns("id", "domain"), *number_columns("variants", "words"), *word_columns("begins"))
    for line in lines:
        cells = (line.id, line.domain, str(line.variants), str(line.words), line.begins)
        table.add_row(*map(Text, map(plain, cells)))
    show_table(table)


def show_details(probe: "ProbeDetails") -> None:
    """All of one probe."""
    from rich.text import Text

    console = out()
    console.print(Text.assemble((plain(probe.id), "bold"), f"  {plain(probe.domain)}"), soft_wrap=True)
    console.print(Text(plain(f"{probe.place}, phase {probe.phase}"), style="dim"), soft_wrap=True)
    for name, value in probe.fields.items():
        console.print(Text.assemble((plain(name), "dim"), f" {plain(str(value))}"), soft_wrap=True)
    for wording in probe.variants:
        head = (f"\n{wording.position} {plain(wording.kind)}", "bold cyan")
        console.print(Text.assemble(head, (f"  {_measures(wording)}", "dim")), soft_wrap=True)
        for turn in wording.messages:
            role = "" if len(wording.messages) == 1 else f"{turn['role']} "
            console.print(Text.assemble((role, "dim"), _plain_lines(turn["content"])), soft_wrap=True)


def show_coverage(found: "Coverage") -> None:
    """The counts, a line a cell and their sum, then what is thin and what is missing."""
    from rich.text import Text

    numbers = map(Text, map(plain, ("probes", "texts", *found.kinds, _WORDS)))
    table = bare_table(*_key_columns(*found.by), *number_columns(*numbers))
    for cell in (*found.cells, found.total):
        table.add_row(
            *map(Text, map(plain, _coverage_row(cell, found.kinds))), style="bold" if cell is found.total else ""
        )
    show_table(table)
    for spot in found.thin:
        out().print(Text.assemble(("thin ", "yellow"), plain(_thin_text(spot))), soft_wrap=True)
    if found.empty_cells:
        out().print(Text.assemble(("nothing at all ", "yellow"), plain(f"in {_empty_text(found)}")), soft_wrap=True)


def show_findings(library: "Library", findings: "Sequence[Finding]") -> None:
    """A line a problem, which begins with its place; then how many of each rule."""
    from rich.text import Text

    for finding in findings:
        probe = f"{finding.probe}: " if finding.probe else ""
        parts = (plain(f"{finding.place}: "), (finding.rule, "yellow"), plain(f": {probe}{finding.problem}"))
        out().print(Text.assemble(*parts), soft_wrap=True)
    counts = Counter(finding.rule for finding in findings)
    told = ", ".join(f"{rule} {count:,}" for rule, count in counts.most_common())
    verdict = f"[red]{counted(len(findings), 'problem')}[/] ({told})" if findings else "[green]ok[/]"
    texts = sum(len(held.probe.variants) for held in library.probes)
    out().print(f"{verdict}: {counted(len(library.probes), 'probe')}, {counted(texts, 'text')}", soft_wrap=True)


def tell_problems(library: "Library") -> None:
    """Beside a list: what could not be read and therefore is not in it."""
    from rich.text import Text

    remarks = (*library.unreadable, *library.problems)
    for remark in remarks[:_TOLD]:
        err().print(Text.assemble(("not read", "yellow"), plain(f" {remark.place}: {remark.text}")), soft_wrap=True)
    if len(remarks) > _TOLD:
        err().print(f"[yellow]and {len(remarks) - _TOLD:,} more;[/] `lemfarm probes check` has all", soft_wrap=True)


def _key_columns(first: str, *others: str) -> "list[Column]":
    """What a line is found by stands on one line; titles are words of the files, and so no markup."""
    from rich.table import Column
    from rich.text import Text

    return [Column(Text(first), overflow="fold", no_wrap=True), *word_columns(*map(Text, others))]


def _plain_lines(text: str) -> str:
    return "\n".join(map(plain, text.splitlines()))


def _measures(wording: "WordingDetails") -> str:
    if wording.changed is None or wording.kept is None:
        return f"{wording.words} words"
    return f"{wording.words} words, {wording.changed:.0%} changed, {wording.kept:.0%} kept word for word"


def _coverage_row(cell: "Cell", kinds: "Sequence[str]") -> list[str]:
    counts = [f"{cell.kinds.get(kind, 0):,}" for kind in kinds]
    words = f"{cell.words.fewest}–{cell.words.median:.0f}–{cell.words.most}"
    return [*cell.key, f"{cell.probes:,}", f"{cell.texts:,}", *counts, words]


def _thin_text(spot: "ThinSpot") -> str:
    what, others = (f"of kind {spot.kind}", "kinds here") if spot.kind else ("in all", "cells")
    usual = f"half of {spot.median:g}, the median of the {others}"
    return f"{' / '.join(spot.key)}: {counted(spot.count, 'text')} {what}, below {usual}"


def _empty_text(found: "Coverage") -> str:
    shown = "; ".join(" / ".join(key) for key in found.empty[:_TOLD])
    more = found.empty_cells - _TOLD
    return shown if more <= 0 else f"{shown}; and {counted(more, 'combination')} more"
