"""`export`. Twin: `lemfarm.curation.export`."""

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import typer

from lemfarm.cli.campaign import ModelOption
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
    show_table,
    word_columns,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

    from lemfarm.cli.shared import Farm
    from lemfarm.curation.export import Exported, ExportOrder
    from lemfarm.curation.formats import Render

Choice = TypeVar("Choice", bound=StrEnum)


def add_to(app: typer.Typer) -> None:
    """Register the verb."""
    app.command("export")(export)


def export(
    run: RunArgument = None,
    format_: Annotated[
        str, typer.Option("--format", help="mlx, chat, text, lem or parquet: the shape of the rows.")
    ] = "mlx",
    phase: Annotated[
        str | None, typer.Option("--phase", help="Only this phase; else all of them.", show_default=False)
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option("--out", help="Folder for the dataset.", show_default="exports/RUN/FORMAT in the home"),
    ] = None,
    sign: Annotated[
        str,
        typer.Option("--sign", help="none, kernel (before each prompt), or sandwich (kernel, prompt, signature)."),
    ] = "none",
    signature: Annotated[
        Path | None, typer.Option("--signature", help="File with the words that close a sandwich.", show_default=False)
    ] = None,
    licence: Annotated[
        str | None,
        typer.Option("--license", help="Licence that the page states, as the hub names it: cc-by-4.0, other ..."),
    ] = None,
    language: Annotated[
        str | None, typer.Option("--language", help="Language of the texts, by its code, for the page: en, de ...")
    ] = None,
    model: ModelOption = None,
    home: HomeOption = None,
    database: DatabaseOption = None,
    broker: BrokerOption = None,
    as_json: JsonOption = False,
) -> None:
    """Write a run's accepted answers as a dataset: train, valid and test by probe, with a page that describes it."""
    from lemfarm.cli.progress import count_bar
    from lemfarm.curation.export import export_run
    from lemfarm.status import find_run

    farm = open_farm(home, database, broker)
    opened = farm.database()
    found = find_run(opened, run)
    order = _order(farm, found.config, (format_, sign, signature), model, phase, (licence, language))
    folder = out or farm.home.exports / found.name / order.format
    with count_bar("exporting") as advance:
        exported = export_run(opened, found.name, folder, order, farm.home.identity, advance)
    if as_json:
        emit("export", export=exported, rows=exported.facts.rows)
    else:
        _show(exported, order)


def _order(
    farm: "Farm",
    config: "Mapping[str, Any]",
    shape: tuple[str, str, Path | None],
    models: list[str] | None,
    phase: str | None,
    stated: tuple[str | None, str | None],
) -> "ExportOrder":
    from lemfarm.curation.export import ExportOrder
    from lemfarm.curation.formats import Format
    from lemfarm.curation.framing import Sign, gemma_text, read_signature

    format_, sign = _one_of(Format, "--format", shape[0]), _one_of(Sign, "--sign", shape[1])
    words = _words(farm, config, models) if format_ is Format.TEXT else None
    return ExportOrder(
        format=format_,
        sign=sign,
        signature=read_signature(shape[2]) if shape[2] else "",
        phase=phase,
        render=words or gemma_text,
        template="the model's own chat template" if words else "Gemma's chat template",
        licence=stated[0],
        language=stated[1],
    )


def _one_of(kind: "type[Choice]", flag: str, value: str) -> "Choice":
    from lemfarm.errors import InputError

    try:
        return kind(value)
    except ValueError:
        raise InputError(f"{flag} {value}: one of {', '.join(kind)}") from None


def _words(farm: "Farm", config: "Mapping[str, Any]", models: list[str] | None) -> "Render | None":
    """The chat template of the run's model; none, and said so, where the model is not on this machine."""
    from lemfarm.cli.campaign import model_folders
    from lemfarm.curation.framing import model_text
    from lemfarm.errors import ModelError
    from lemfarm.models import find_model

    mapping = model_folders(models)
    path = config["model"].get("path")
    if path is None:
        err().print("the run's model has no template here: texts are in Gemma's words.")
        return None
    try:
        return model_text(find_model(path, mapping=mapping, home=farm.home).folder)
    except ModelError:
        err().print(f"{path} is not on this machine: texts are in Gemma's words.", markup=False)
        return None


def _show(exported: "Exported", order: "ExportOrder") -> None:
    facts = exported.facts
    table = bare_table(*word_columns("side"), *number_columns("rows", "probes"), *word_columns("file"))
    for side, rows in facts.rows.items():
        table.add_row(side, f"{rows:,}", f"{facts.probes[side]:,}", exported.files.get(side, "none"))
    show_table(table)
    print(exported.folder)
    if exported.goes_on:
        err().print(f"run {facts.run} is still {facts.state}: this is what was accepted so far.", markup=False)
    if "test" not in exported.files:
        err().print("there is no test side: the phases have too few probes or rows for one.")
    total = counted(sum(facts.rows.values()), "row")
    err().print(f"{total} as {order.format}, dataset {exported.hash}", markup=False, style="dim")
