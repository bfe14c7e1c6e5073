"""How `rescore` and `scorers calibrate` show scores beside each other."""

from typing import TYPE_CHECKING

from rich.console import Console
from rich.text import Text

from lemfarm.cli.shared import bare_table, number_columns, out, plain, show_table, word_columns

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.table import Table

    from lemfarm.evaluation.statistics import Interval
    from lemfarm.scoring.calibration import Agreement, Calibration
    from lemfarm.scoring.comparison import Change, FileComparison


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


def _condition_table(found: "FileComparison") -> "Table":
    titles = ("n", "recorded", f"fresh {found.scorer}", "difference", "equal")
    table = bare_table(*word_columns("  condition"), *number_columns(*titles))
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


def _change_table(changes: "Sequence[Change]") -> "Table":
    titles = ("fresh", "95 % interval", "better / worse / same", "recorded", "better / worse / same")
    table = bare_table(*word_columns("  against baseline"), *number_columns(*titles))
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
    best = f"most often they agree at {second} ≥ {found.best.threshold:g}: {_agreement(found.best)}"
    console.print(f"  {best}", markup=False, soft_wrap=True)


def _agreement(found: "Agreement") -> str:
    return f"{found.share:.1%} of the answers, kappa {_figure(found.kappa)}"


def _confusion(first: str, second: str, found: "Agreement") -> "Table":
    table = bare_table(*word_columns(""), *number_columns(f"{second} passes", "fails"))
    table.add_row(f"  {first} passes", f"{found.both:,}", f"{found.only_first:,}")
    table.add_row("  fails", f"{found.only_second:,}", f"{found.neither:,}")
    return table
