"""How the verbs of `score` show what they found."""

import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from rich.console import Console
from rich.table import Table
from rich.text import Text

from lemfarm.cli.shared import err, out, plain, show_table

if TYPE_CHECKING:
    from rich.progress import ProgressColumn

    from lemfarm.evaluation.statistics import Interval
    from lemfarm.scoring.calibration import Agreement, Calibration
    from lemfarm.scoring.catalogue import ScorerEntry
    from lemfarm.scoring.comparison import Change, FileComparison
    from lemfarm.scoring.explain import Explanation, Place
    from lemfarm.scoring.files import FileReport, ScoredFiles
    from lemfarm.scoring.summary import SummaryRow
    from producer.stored_scores import StoredScores

Advance = Callable[[int, int | None], None]
"""Told how much is done, and how much there is (None: nobody knows)."""

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


@contextmanager
def bytes_bar(label: str, *, hidden: bool = False) -> Iterator[Advance]:
    """A bar of bytes on a terminal, nothing elsewhere; called with how many are done and how many there are."""
    from rich.progress import BarColumn, DownloadColumn, TimeRemainingColumn, TransferSpeedColumn

    columns = (BarColumn(), DownloadColumn(), TransferSpeedColumn(), TimeRemainingColumn())
    with _bar(label, columns, hidden) as advance:
        yield advance


@contextmanager
def count_bar(label: str) -> Iterator[Advance]:
    """A bar of answers on a terminal, nothing elsewhere; called with how many are done and how many there are."""
    from rich.progress import BarColumn, MofNCompleteColumn, TimeRemainingColumn

    with _bar(label, (BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())) as advance:
        yield advance


@contextmanager
def _bar(label: str, columns: "Iterable[ProgressColumn]", hidden: bool = False) -> Iterator[Advance]:
    from rich.progress import Progress, TextColumn

    shown = sys.stderr.isatty() and not hidden
    with Progress(
        TextColumn("{task.description}", markup=False), *columns, console=err(), transient=True, disable=not shown
    ) as progress:
        task = progress.add_task(label, total=None)
        yield lambda done, total: progress.update(task, completed=done, total=total)


def show_problems(reports: Iterable[Reported]) -> None:
    """Name the first lines of each file that have something wrong, and count the rest."""
    console = err()
    for report in reports:
        for problem in report.problems:
            console.print(Text.assemble(("problem ", "yellow"), plain(problem)), soft_wrap=True)
        named = len({problem.split(" ", 1)[0] for problem in report.problems})
        if report.bad_lines > named:
            console.print(f"{report.file}: {report.bad_lines - named:,} more lines like these", markup=False)


def show_summary(found: "ScoredFiles", written: Path | None) -> None:
    """Figures of each file and condition, then of its categories."""
    show_table(_summary_table(found.totals, "category"))
    several = len(found.groups) > len(found.totals)
    if several and len(found.groups) <= MOST_GROUPS:
        out().print()
        show_table(_summary_table(found.groups, ""))
    elif several:
        err().print(f"{len(found.groups):,} rows by category are not listed; --json has them.", style="dim")
    for report in found.files:
        err().print(Text(_account(report)), style="dim", soft_wrap=True)
    if written:
        err().print(Text(f"written to {written}"), style="dim", soft_wrap=True)


def _account(report: "FileReport") -> str:
    words = [f"{report.answers:,} answers"]
    words += [f"{report.summaries:,} summary lines"] if report.summaries else []
    words += [f"{report.bad_lines:,} lines with something wrong"] if report.bad_lines else []
    return f"{report.file}: {', '.join(words)}"


def _summary_table(rows: "Sequence[SummaryRow]", left_out: str) -> Table:
    """Columns that are empty in every row are left out."""
    names = [name for name in ("file", "category", "condition", "scorer") if any(getattr(r, name) for r in rows)]
    table = _table(*(name for name in names if name != left_out))
    for figure in ("n", "mean", "median", "min", "max"):
        table.add_column(figure, justify="right", no_wrap=True)
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
    table = _table("scorer", "version")
    for title in ("added", "known", "failed"):
        table.add_column(title, justify="right")
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
    table = _table("name", "version", "expected answer", "for")
    for entry in found:
        purpose = Text(entry.problem, style="red") if entry.problem else Text(entry.purpose)
        table.add_row(Text(entry.name), Text(entry.version), "needed" if entry.compares else "", purpose)
    show_table(table)


def show_comparison(found: "FileComparison") -> None:
    """Recorded beside fresh scores of one A/B file."""
    console = out()
    title = Text.assemble(
        (plain(found.file), "bold"),
        f"  {plain(found.model)}  {found.probes:,} probes" if found.conditions else "  no A/B records",
    )
    console.print(title, soft_wrap=True)
    for line in _origin(found):
        console.print(Text(f"  {line}", style="yellow"), soft_wrap=True)
    if found.conditions:
        show_table(_condition_table(found))
    if found.changes:
        console.print()
        show_table(_change_table(found.changes))
    console.print()


def _condition_table(found: "FileComparison") -> Table:
    table = _table("  condition")
    for title in ("n", "recorded", f"fresh {found.scorer}", "difference", "equal"):
        table.add_column(title, justify="right")
    for row in found.conditions:
        figures = (_figure(row.recorded), f"{row.fresh:.2f}", _figure(row.difference, "+"))
        table.add_row(Text(f"  {plain(row.condition)}"), f"{row.n:,}", *figures, f"{row.same:,}")
    return table


def _origin(found: "FileComparison") -> list[str]:
    """Which scorer wrote the recorded numbers, where it is not the one that a reader expects."""
    counts = found.recorded_by
    total, older, unknown = sum(counts.values()), counts.get("ab-v1", 0), counts.get("unknown", 0)
    lines = []
    if older:
        lines.append(
            f"{older:,} of {total:,} recorded scores are of the older ab-v1, which counted no nuance: "
            "they cannot be compared with any other scorer's"
        )
    if unknown:
        lines.append(f"{unknown:,} of {total:,} records have no counts that show which scorer wrote their score")
    return lines


def _change_table(changes: "Sequence[Change]") -> Table:
    table = _table("  against baseline")
    for title in ("fresh", "95 % interval", "better / worse / same", "recorded", "better / worse / same"):
        table.add_column(title, justify="right")
    for change in changes:
        recorded = change.recorded
        table.add_row(
            Text(f"  {plain(change.condition)}"),
            f"{change.interval.mean:+.2f}",
            _bounds(change.interval),
            f"{change.improved} / {change.regressed} / {change.unchanged}",
            _figure(recorded.get("delta_vs_baseline"), "+"),
            " / ".join(f"{recorded[key]:g}" if key in recorded else "-" for key in _COUNTS) if recorded else "-",
        )
    return table


_COUNTS = ("improved", "regressed", "unchanged")


def _bounds(interval: "Interval") -> str:
    if interval.low is None or interval.high is None:
        return "one probe: none"
    return f"{interval.low:+.2f} to {interval.high:+.2f}"


def _figure(value: float | None, sign: str = "") -> str:
    return "-" if value is None else f"{value:{sign}.2f}"


def show_calibration(first: str, second: str, found: "Calibration") -> None:
    """The threshold, how sure it is, and how far both scorers agree."""
    console = out()
    asked = f"{first} ≥ {found.at_least:g}"
    share = f"{found.passing:,} of {found.n:,} answers to {found.probes:,} probes, {found.passing / found.n:.1%}"
    console.print(f"{asked} passes {share}.", markup=False, soft_wrap=True)
    if found.matched:
        _show_matched(console, second, found, found.matched)
    best = f"most often they agree at {second} ≥ {found.best.threshold:g}: {_agreement(found.best)}"
    console.print(f"  {best}", markup=False, soft_wrap=True)
    correlations = f"Pearson {_figure(found.pearson)}, Spearman {_figure(found.spearman)}"
    console.print(f"  correlation: {correlations}", markup=False, soft_wrap=True)
    if found.matched:
        show_table(_confusion(asked, f"{second} ≥ {found.matched.threshold:g}", found.matched))
    for warning in found.warnings:
        console.print(Text.assemble(("warning ", "yellow"), warning), soft_wrap=True)


def _show_matched(console: Console, second: str, found: "Calibration", matched: "Agreement") -> None:
    head = Text.assemble((f"{second} ≥ {matched.threshold:g}", "bold"), " lets the same share pass", style="")
    if found.low is not None and found.high is not None:
        head.append(f" ({found.confidence:.0%} interval {found.low:g} to {found.high:g})")
    console.print(head.append("."), soft_wrap=True)
    console.print(f"  there they agree on {_agreement(matched)}", markup=False, soft_wrap=True)


def _agreement(found: "Agreement") -> str:
    return f"{found.share:.1%} of the answers, kappa {_figure(found.kappa)}"


def _confusion(first: str, second: str, found: "Agreement") -> Table:
    table = _table("")
    table.add_column(f"{second} passes", justify="right")
    table.add_column("fails", justify="right")
    table.add_row(f"  {first} passes", f"{found.both:,}", f"{found.only_first:,}")
    table.add_row("  fails", f"{found.only_second:,}", f"{found.neither:,}")
    return table


def _table(*titles: str) -> Table:
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="dim")
    for title in titles:
        table.add_column(title, overflow="fold")
    return table
