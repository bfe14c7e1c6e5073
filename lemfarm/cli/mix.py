"""`mix`. Twins: `lemfarm.curation.mixing.mixture` and `lemfarm.curation.mixing.writing`."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from lemfarm.cli.campaign import overrides
from lemfarm.cli.shared import (
    BrokerOption,
    DatabaseOption,
    HomeOption,
    JsonOption,
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
    from lemfarm.curation.mixing.facts import MixFacts

_SHOWN = 5


def add_to(app: typer.Typer) -> None:
    """Register the verb."""
    app.command("mix")(mix)


def mix(
    recipe: Annotated[Path, typer.Argument(metavar="RECIPE", help="A recipe (YAML), as in configs/recipes.")],
    out: Annotated[
        Path | None,
        typer.Option("--out", help="Folder for the dataset.", show_default="mixes/NAME/FORMAT in the home"),
    ] = None,
    format_: Annotated[
        str, typer.Option("--format", help="mlx, chat, text, lem or parquet: the shape of the rows.")
    ] = "mlx",
    licence: Annotated[
        str | None,
        typer.Option("--license", help="Licence that the page states, as the hub names it: cc-by-4.0, other ..."),
    ] = None,
    language: Annotated[
        str | None, typer.Option("--language", help="Language of the texts, by its code, for the page: en, de ...")
    ] = None,
    set_: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="KEY=VALUE", help="Override a key of the recipe, as `when_short=smaller`."),
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would be mixed; write nothing.")] = False,
    home: HomeOption = None,
    database: DatabaseOption = None,
    broker: BrokerOption = None,
    as_json: JsonOption = False,
) -> None:
    """Mix a dataset from files, exports and runs by a recipe: named categories in exact shares or numbers."""
    from lemfarm.cli.progress import count_bar
    from lemfarm.curation.formats import Format
    from lemfarm.curation.mixing.mixture import mix as mix_recipe
    from lemfarm.curation.mixing.recipe import load_recipe
    from lemfarm.curation.mixing.writing import write_mixture

    shape = one_of(Format, "--format", format_)
    farm = open_farm(home, database, broker)
    with count_bar("reading sources") as advance:
        mixture = mix_recipe(load_recipe(recipe, overrides(set_)), farm.database, advance)
    facts = mixture.facts
    folder = out or farm.home.mixes / facts.name / shape
    written = None if dry_run else write_mixture(mixture, folder, shape, licence, language)
    if as_json:
        shown = {"folder": folder, "hash": written.hash, "files": written.files} if written else None
        emit("mix", mix=facts.to_dict(), written=shown)
        return
    _show(facts)
    if written:
        print(written.folder)
        err().print(f"{counted(facts.taken, 'row')} as {shape}, dataset {written.hash}", markup=False, style="dim")


def _show(facts: "MixFacts") -> None:
    forms = ["pure", "explained"] if any(one.forms for one in facts.categories) else []
    numbers = number_columns("wanted", "found", "taken", "share", *facts.rows, *forms)
    table = bare_table(*word_columns("category"), *numbers)
    for one in facts.categories:
        counts = (one.wanted, one.found, one.taken, facts.share(one), *one.sides.values())
        words = [f"{count:.1%}" if isinstance(count, float) else f"{count:,}" for count in counts]
        table.add_row(one.name, *words, *(f"{one.forms.get(form, 0):,}" for form in forms))
    show_table(table)
    if facts.taken < facts.wanted:
        err().print(f"a source ran short: {facts.taken:,} of {facts.wanted:,} rows, in the same shares.")
    _tell_left_out(facts)
    for side, rows in facts.rows.items():
        if not rows:
            err().print(f"there is no {side} side.")


def _tell_left_out(facts: "MixFacts") -> None:
    if not facts.left_out:
        return
    kinds = ", ".join(f"{kind} {count:,}" for kind, count in facts.left_out_counts.items())
    err().print(f"left out: {kinds}", markup=False)
    for one in facts.left_out[:_SHOWN]:
        err().print(f"  {one.place}: {one.reason}", markup=False)
    if len(facts.left_out) > _SHOWN:
        err().print(f"  and {len(facts.left_out) - _SHOWN:,} more, in card.json", style="dim")
