"""`duplicates`. Twin: `lemfarm.curation.duplicate_groups`."""

from typing import TYPE_CHECKING, Annotated

import typer

from lemfarm.cli.shared import (
    BrokerOption,
    DatabaseOption,
    HomeOption,
    JsonOption,
    RunArgument,
    bare_table,
    counted,
    emit,
    err,
    open_farm,
    plain,
    show_table,
    word_columns,
)

if TYPE_CHECKING:
    from lemfarm.curation.duplicate_groups import Duplicates


def add_to(app: typer.Typer) -> None:
    """Register the verb."""
    app.command("duplicates")(duplicates)


def duplicates(
    run: RunArgument = None,
    phase: Annotated[
        str | None, typer.Option("--phase", help="Only what this phase rejected; else all do.", show_default=False)
    ] = None,
    home: HomeOption = None,
    database: DatabaseOption = None,
    broker: BrokerOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show which answers were rejected because they are nearly the same as a better one, and which that is."""
    from lemfarm.curation.duplicate_groups import find_duplicates

    found = find_duplicates(open_farm(home, database, broker).database(), run, phase=phase)
    if as_json:
        emit("duplicates", duplicates=found)
    else:
        _show(found)


def _show(found: "Duplicates") -> None:
    from rich.markup import escape
    from rich.table import Column

    if not found.groups:
        err().print(f"run {found.run}: no answer was rejected as a duplicate.", markup=False)
        return
    id_column = Column("id", no_wrap=True)
    table = bare_table(*word_columns("", "answer", "phase"), Column("similarity", justify="right"), id_column)
    for group in found.groups:
        for one in (group.kept, *group.duplicates):
            is_kept = one is group.kept
            words = ("kept" if is_kept else "", plain(one.label), one.phase, "" if is_kept else f"{one.similarity:.2f}")
            table.add_row(*map(escape, (*words, one.name[:20] if " " in one.name else one.name[:12])))
    show_table(table)
    err().print(
        f"run {found.run}: {counted(found.rejected, 'answer')} rejected as duplicates of {len(found.groups):,} kept",
        markup=False,
    )
