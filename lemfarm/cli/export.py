"""`export`. Twin: `lemfarm.curation.export`."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

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
    one_of,
    open_farm,
    show_table,
    word_columns,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

    from lemfarm.cli.shared import Farm
    from lemfarm.curation.export import Exported, ExportOrder
    from lemfarm.curation.formats import Render


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
    to: Annotated[
        str | None,
        typer.Option("--to", metavar="OWNER/NAME", help="Send it to this dataset on the hub.", show_default=False),
    ] = None,
    private: Annotated[bool, typer.Option("--private", help="A new repository is seen by its owner only.")] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="With --to: write the folder, say what would be sent, send nothing.")
    ] = False,
    model: ModelOption = None,
    home: HomeOption = None,
    database: DatabaseOption = None,
    broker: BrokerOption = None,
    as_json: JsonOption = False,
) -> None:
    """Write a run's accepted answers as a dataset: train, valid and test by probe, with a page that describes it.

    With --to it goes to the hub; the token comes from HF_TOKEN or `hf auth login`.
    """
    from lemfarm.cli.progress import count_bar
    from lemfarm.curation.export import export_run
    from lemfarm.runs import find_run

    _check_destination(to, private=private, dry_run=dry_run, licence=licence)
    farm = open_farm(home, database, broker)
    opened = farm.database()
    found = find_run(opened, run)
    order = _order(farm, found.config, (format_, sign, signature), model, phase, (licence, language))
    folder = out or farm.home.exports / found.name / order.format
    with count_bar("exporting") as advance:
        exported = export_run(opened, found.name, folder, order, farm.home.identity, advance)
    sent = _deliver(exported, to, private=private, dry_run=dry_run) if to else None
    if as_json:
        emit("export", export=exported, rows=exported.facts.rows, hub=sent)
    else:
        _show(exported, order)
        if sent and sent["address"]:
            print(sent["address"])


def _check_destination(to: str | None, *, private: bool, dry_run: bool, licence: str | None) -> None:
    """What would stop the sending is said before hours of answers are written."""
    from lemfarm.errors import InputError
    from lemfarm.hub import require_hub_name, require_token

    if to is None:
        if private or dry_run:
            raise InputError(f"{'--private' if private else '--dry-run'} says how to send: add --to OWNER/NAME.")
        return
    require_hub_name(to, "--to")
    if dry_run:
        return
    if licence is None:
        raise InputError("nothing was written or sent: others must know the licence; name it with --license.")
    require_token()


def _deliver(exported: "Exported", to: str, *, private: bool, dry_run: bool) -> "Mapping[str, Any]":
    from lemfarm.cli.sending import send, show_parcel
    from lemfarm.curation.publishing import dataset_parcel

    parcel = dataset_parcel(to, exported)
    if dry_run:
        show_parcel(parcel)
    address = None if dry_run else send(parcel, private=private)
    return {"repo": to, "address": address, "files": parcel.sizes}


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

    format_, sign = one_of(Format, "--format", shape[0]), one_of(Sign, "--sign", shape[1])
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
