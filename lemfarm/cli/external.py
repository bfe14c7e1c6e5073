"""`external import|list`: answers from elsewhere. Twins: `producer.external`, `lemfarm.curation.external_listing`."""

from collections.abc import Iterable
from pathlib import Path
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
    number_columns,
    open_farm,
    out,
    plain,
    show_table,
    word_columns,
)

if TYPE_CHECKING:
    from lemfarm.curation.external_listing import ExternalAnswers
    from producer.external import ImportedAnswers

app = typer.Typer(
    help="Answers from elsewhere that are mixed into what a phase trains on; `external` in the run file says how many.",
    no_args_is_help=True,
)

PhaseOption = Annotated[
    str | None,
    typer.Option(
        "--phase", metavar="NAME", help="The phase; may be left out where the run has one only.", show_default=False
    ),
]


@app.command("import")
def import_(
    run: Annotated[str, typer.Argument(metavar="RUN", help="Name of the run.")],
    files: Annotated[list[Path], typer.Argument(metavar="FILE...", help="Answers, one JSON record a line.")],
    phase: PhaseOption = None,
    home: HomeOption = None,
    database: DatabaseOption = None,
    broker: BrokerOption = None,
    as_json: JsonOption = False,
) -> None:
    """Read answers to questions of a phase, and judge them by its gates. The same file again adds nothing; 1 if any
    line could not be taken."""
    from producer.external import import_files

    found = import_files(open_farm(home, database, broker).database(), run, phase, files)
    if as_json:
        emit("external-import", run=run, imported=found)
    else:
        for one in found:
            out().print(f"phase {one.phase}: {plain(one.text)}", markup=False, soft_wrap=True)
    tell_problems(found)
    raise typer.Exit(1 if any(one.refused for one in found) else 0)


@app.command("list")
def list_(
    run: RunArgument = None,
    phase: Annotated[
        str | None, typer.Option("--phase", metavar="NAME", help="Only of this phase.", show_default=False)
    ] = None,
    home: HomeOption = None,
    database: DatabaseOption = None,
    broker: BrokerOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show where external answers come from and what the gates said of them; with --json also of each one."""
    from lemfarm.curation.external_listing import list_external

    found = list_external(open_farm(home, database, broker).database(), run, phase)
    if as_json:
        emit("external", external=found)
    else:
        _show(found)


def tell_problems(found: "Iterable[ImportedAnswers]") -> None:
    """Name what could not be taken, the first of every source."""
    for one in found:
        for problem in one.problems:
            err().print(f"problem {plain(problem)}", markup=False, style="yellow", soft_wrap=True)
        if one.refused > len(one.problems):
            more = counted(one.refused - len(one.problems), "more line")
            err().print(f"problem {plain(one.source)}: {more}", markup=False, style="yellow", soft_wrap=True)


def _show(found: "ExternalAnswers") -> None:
    if not found.sources:
        err().print(f"run {found.run}: there are no external answers.", markup=False)
    else:
        columns = number_columns("answers", "accepted", "rejected", "held")
        table = bare_table(*word_columns("phase", "source", "model", "licence"), *columns)
        for one in found.sources:
            words = (one.phase, plain(one.source), plain(one.model) or "-", plain(one.licence) or "-")
            counts = (one.answers, one.accepted, one.rejected, one.held)
            table.add_row(*words, *(f"{count:,}" for count in counts))
        show_table(table)
    for phase, mix in found.mixes.items():
        err().print(f"phase {phase}: {mix.text}", markup=False, soft_wrap=True)
