"""`probes import`. Twin: `lemfarm.importing`."""

import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from lemfarm.cli.shared import (
    JsonOption,
    bare_table,
    counted,
    emit,
    err,
    number_columns,
    out,
    plain,
    show_table,
    word_columns,
)

if TYPE_CHECKING:
    from lemfarm.importing import Report
    from lemfarm.importing.near import NearGroup

_LISTED = 20  #: of each list; --all shows the rest
_MOST_NAMED = 12  #: languages and scripts named in a line


def add_to(app: typer.Typer) -> None:
    """Register the verb."""
    app.command("import")(import_)


def import_(
    paths: Annotated[
        list[Path],
        typer.Argument(
            metavar="PATH...", help="Files and folders: JSON, JSONL, text, YAML of sets.", show_default=False
        ),
    ],
    out_file: Annotated[
        Path | None,
        typer.Option(
            "--out", metavar="FILE", help="Probe file to write; without it only the report.", show_default=False
        ),
    ] = None,
    root: Annotated[
        Path | None,
        typer.Option("--root", help="Folder that the files of a set lie under; else beside it.", show_default=False),
    ] = None,
    text: Annotated[
        Literal["auto", "paragraphs", "lines"],
        typer.Option("--text", help="What one prompt is in plain text; auto: paragraphs if blank lines part them."),
    ] = "auto",
    similar: Annotated[
        float, typer.Option("--similar", min=0.3, max=1.0, help="Jaccard similarity from which texts are reported.")
    ] = 0.8,
    replace: Annotated[bool, typer.Option("--replace", help="Write over a FILE that holds something else.")] = False,
    strict: Annotated[bool, typer.Option("--strict", help="Exit 1 if anything was skipped or not read.")] = False,
    every: Annotated[
        bool, typer.Option("--all", help=f"List everything, not the first {_LISTED} of each kind.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Bring seeds and probes of any shape into one probe file, each text once, and say what became of every entry.

    Exits 2 if a file cannot be read or holds no prompt, after telling about the others.
    """
    from lemfarm.importing import TextUnit, import_probes

    with _progress() as progress:
        report = import_probes(
            paths, out_file, root=root, unit=TextUnit(text), threshold=similar, replace=replace, progress=progress
        )
    if as_json:
        emit("probes-import", **{name: getattr(report, name) for name in report.__slots__})
    else:
        _show(report, None if every else _LISTED)
    _tell_unreadable(report)
    if report.unreadable or not report.distinct:
        raise typer.Exit(2)
    if strict and (report.skipped or report.unread):
        raise typer.Exit(1)


@contextmanager
def _progress() -> Iterator[Callable[[str, int, int], None]]:
    """A bar on a terminal, nothing elsewhere."""
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

    columns = (TextColumn("{task.description}", markup=False), BarColumn(), MofNCompleteColumn())
    with Progress(*columns, console=err(), transient=True, disable=not sys.stderr.isatty()) as progress:
        task = progress.add_task("reading", total=None)
        yield lambda what, done, of: progress.update(task, description=what, completed=done, total=of)


def _show(report: "Report", most: int | None) -> None:
    """The figures and what is nearly the same on stdout, what was left out on stderr."""
    read = f"{counted(report.entries, 'entry', 'entries')} in {counted(len(report.files), 'file')}"
    became = f"{report.distinct:,} distinct + {len(report.repeats):,} repeated + {len(report.skipped):,} skipped"
    _say(f"{read} = {became}")
    if report.entries:
        _show_figures(report)
    for group in report.near[:most]:
        _say(f"near {group.similarity:.2f}  {_members(group)}")
    _tell_more(len(report.near), most, "groups of near-duplicates")
    _show_files(report, most)
    _show_lists(report, most)
    if report.written:
        err().print(plain(f"written to {report.written}"), style="dim", markup=False, soft_wrap=True)


def _show_figures(report: "Report") -> None:
    for label, value in _figures(report).items():
        _say(f"  {label:<16} {value}")


def _figures(report: "Report") -> dict[str, str]:
    same = sum(group.same_words for group in report.near)
    alike = len(report.near) - same
    figures = {
        "distinct": f"{counted(report.probes, 'probe')} + {counted(report.variants, 'variant')}",
        "repeated": f"{report.repeats_inside:,} inside a file, {report.repeats_across:,} across files",
        "near-duplicates": f"{counted(same, 'group')} with the same words, {counted(alike, 'group')} with a Jaccard "
        f"similarity of at least {report.threshold:g} in runs of three words",
        "ids": f"{report.reused_ids:,} used for different texts, {counted(len(report.renamed), 'probe')} renamed; "
        f"{report.without_id:,} without",
        "domains": f"{report.domains:,}; {counted(report.without_domain, 'probe')} without",
        "originals": f"{counted(report.without_original, 'probe')} whose own text is in no file",
        "prompts": f"{counted(report.without_prompt, 'entry', 'entries')} without; "
        f"{counted(report.with_response, 'text')} with an answer",
        "languages": f"{_ranking(report.languages)} ({report.guessed_languages:,} guessed)",
        "scripts": _ranking(report.scripts),
    }
    if lengths := report.lengths:
        spread = f"{lengths.shortest:,} / {lengths.median:,g} / {lengths.p95:,} / {lengths.longest:,}"
        figures["characters"] = f"{spread} (shortest, median, 95th percentile, longest)"
    return figures


def _show_files(report: "Report", most: int | None) -> None:
    """A line a file, where there are not too many."""
    from rich.markup import escape

    if most is not None and len(report.files) > most:
        _tell_more(len(report.files), 0, "files")
        return
    counted_titles = number_columns("entries", "texts", "repeats", "skipped", "not read")
    table = bare_table(*word_columns("file", "shape"), *counted_titles)
    for file in report.files:
        counts = (file.entries, file.kept, file.repeats, file.skipped, file.unread)
        table.add_row(escape(plain(file.path)), file.shape, *(f"{count:,}" for count in counts))
    out().print()
    show_table(table)


def _show_lists(report: "Report", most: int | None) -> None:
    _list("skipped", [f"{left.place}: {left.reason}" for left in report.skipped], most)
    _list("not read", [f"{left.place}: {left.reason}" for left in report.unread], most)
    _list("repeat", [f"{repeat.place}: as {repeat.of}" for repeat in report.repeats], most)
    _list("renamed", [f"{one.place}: {one.given} is {one.id} here" for one in report.renamed], most)
    _list("ignored", report.ignored, most)


def _list(word: str, lines: Sequence[str], most: int | None) -> None:
    console = err()
    for line in lines[:most]:
        console.print(f"[yellow]{word}[/] ", _escaped(line), sep="", soft_wrap=True)
    _tell_more(len(lines), most, f"lines of {word!r}")


def _tell_unreadable(report: "Report") -> None:
    for left in report.unreadable:
        err().print("[bold red]error[/] ", _escaped(f"{left.place}: {left.reason}"), sep="", soft_wrap=True)
    if not report.distinct:
        err().print("[bold red]error[/] no prompt was found: nothing to import", soft_wrap=True)


def _tell_more(count: int, most: int | None, what: str) -> None:
    if most is not None and count > most:
        err().print(f"{count - most:,} more {what}: --all lists them, --json too", style="dim", soft_wrap=True)


def _members(group: "NearGroup") -> str:
    return ", ".join(f"{name} ({place})" for name, place in zip(group.probes, group.places, strict=True))


def _ranking(counts: Mapping[str, int]) -> str:
    named = [f"{name} {count:,}" for name, count in list(counts.items())[:_MOST_NAMED]]
    return ", ".join([*named, f"{len(counts) - _MOST_NAMED} more"] if len(counts) > _MOST_NAMED else named) or "none"


def _say(line: str) -> None:
    out().print(plain(line), markup=False, soft_wrap=True)


def _escaped(text: str) -> str:
    from rich.markup import escape

    return escape(plain(text))
