"""How `score` and `scorers list` show what they found."""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from rich.text import Text

from lemfarm.cli.shared import bare_table, counted, err, number_columns, out, plain, show_table, word_columns

if TYPE_CHECKING:
    from rich.table import Table

    from lemfarm.scoring.catalogue import ScorerEntry
    from lemfarm.scoring.explain import Explanation, Place
    from lemfarm.scoring.files import FileReport, ScoredFiles
    from lemfarm.scoring.summary import SummaryRow
    from producer.run_scores import StoredScores

MOST_GROUPS = 100
"""Rows of categories that a person may want to read; --json has all."""


class Reported(Protocol):
    """What became of one file."""

    @property
    def file(self) -> str:
        """As it was named."""

    @property
    def bad_lines(self) -> int:
        """How many lines have something wrong."""

    @property
    def problems(self) -> Sequence[str]:
        """The first of what is wrong, each with its file:line."""


def show_problems(reports: Iterable[Reported]) -> None:
    """Name the first lines of each file that have something wrong, and count the rest."""
    console = err()
    for report in reports:
        for problem in report.problems:
            console.print(Text.assemble(("problem ", "yellow"), plain(problem)), soft_wrap=True)
        named = len({problem.removeprefix(report.file).partition(": ")[0] for problem in report.problems})
        if report.bad_lines > named:
            more = counted(report.bad_lines - named, "more line")
            console.print(f"{plain(report.file)}: {more} like these", markup=False, soft_wrap=True)


def show_summary(found: "ScoredFiles", written: Path | None) -> None:
    """Figures of each file and condition, then of its categories."""
    if found.totals:
        show_table(_summary_table(found.totals, "category"))
    several = len(found.groups) > len(found.totals)
    if several and len(found.groups) <= MOST_GROUPS:
        out().print()
        show_table(_summary_table(found.groups, ""))
    elif several:
        err().print(f"{len(found.groups):,} rows by category are not listed; --json has them.", style="dim")
    for report in found.files:
        err().print(Text(plain(_account(report))), style="dim", soft_wrap=True)
    if written:
        err().print(Text(plain(f"written to {written}")), style="dim", soft_wrap=True)


def _account(report: "FileReport") -> str:
    words = [counted(report.answers, "answer")]
    words += [counted(report.summaries, "summary line")] if report.summaries else []
    words += [f"{counted(report.bad_lines, 'line')} with something wrong"] if report.bad_lines else []
    return f"{report.file}: {', '.join(words)}"


def _summary_table(rows: "Sequence[SummaryRow]", left_out: str) -> "Table":
    """Columns that are empty in every row are left out."""
    names = [name for name in ("file", "category", "condition", "scorer") if any(getattr(r, name) for r in rows)]
    figures = number_columns("n", "mean", "median", "min", "max", no_wrap=True)
    table = bare_table(*word_columns(*(name for name in names if name != left_out)), *figures)
    for row in rows:
        words = [Text(plain(getattr(row, name))) for name in names if name != left_out]
        table.add_row(*words, f"{row.n:,}", *(f"{value:.2f}" for value in (row.mean, row.median, row.min, row.max)))
    return table


def show_explanation(found: "Explanation") -> None:
    """One score taken apart: its signals, then every hit with the text around it, marked »so«."""
    console = out()
    title = " ".join(part for part in (found.place, found.probe, found.condition) if part)
    head = Text.assemble((plain(title), "bold"), f"  {found.scorer} ", (f"{found.value:.2f}", "bold cyan"))
    console.print(head, soft_wrap=True)
    for share in found.signals:
        if share.count:
            console.print(Text(f"  {_worth(share.points):>7}  {share.signal} {share.count:g}"), soft_wrap=True)
    width = max((len(place.signal) for place in found.hits), default=0)
    for place in found.hits:
        console.print(_hit_line(place, width), soft_wrap=True)
    console.print()


def _hit_line(place: "Place", width: int) -> Text:
    return Text.assemble(
        (f"      {_worth(place.points):>7}  {place.signal:<{width}}  ", "dim"),
        f"{plain(place.before):>40}",
        (f"»{plain(place.text)}«", "bold yellow"),
        plain(place.after),
    )


def _worth(points: float | None) -> str:
    return "" if points is None else f"{points:+.2f}"


def show_stored(found: "StoredScores") -> None:
    """What scoring a run's answers came to."""
    table = bare_table(*word_columns("scorer", "version"), *number_columns("added", "known", "failed"))
    for row in found.rows:
        table.add_row(row.scorer, row.version, f"{row.added:,}", f"{row.known:,}", f"{row.failed:,}")
    out().print(Text(f"run {found.run}"))
    show_table(table)


def show_failures(found: "StoredScores") -> None:
    """Why some answers have no score, and where to look."""
    for row in found.rows:
        for failure in row.failures:
            said = f"{row.scorer}, {failure.texts:,} answers, first of sample {failure.sample}: {plain(failure.reason)}"
            err().print(Text.assemble(("problem ", "yellow"), said), soft_wrap=True)


def show_scorers(found: "Iterable[ScorerEntry]") -> None:
    """The list of scorers."""
    table = bare_table(*word_columns("name", "version", "expected answer", "for"))
    for entry in found:
        purpose = Text(entry.problem, style="red") if entry.problem else Text(entry.purpose)
        table.add_row(Text(entry.name), Text(entry.version), "needed" if entry.compares else "", purpose)
    show_table(table)
