"""`replay`. Twin: `workers.replay`."""

from typing import TYPE_CHECKING, Annotated

import typer

from lemfarm.cli.campaign import ModelOption
from lemfarm.cli.shared import BrokerOption, DatabaseOption, HomeOption, JsonOption, emit, err, open_farm, out

if TYPE_CHECKING:
    from workers.replay import Replay


def add_to(app: typer.Typer) -> None:
    """Register the verb."""
    app.command("replay")(replay)


def replay(
    sample: Annotated[str, typer.Argument(metavar="SAMPLE", help="Id of a sample, or enough of its beginning.")],
    strict: Annotated[
        bool,
        typer.Option("--strict", help="Make the batch again too: its batch-mates join and leave as they did then."),
    ] = False,
    model: ModelOption = None,
    home: HomeOption = None,
    database: DatabaseOption = None,
    broker: BrokerOption = None,
    as_json: JsonOption = False,
) -> None:
    """Generate a stored sample again from its record and compare; exit 1 where it differs, with the likely reasons.

    Nothing is written. The model is loaded a second time where a worker has it already.
    """
    from lemfarm.cli.campaign import model_folders
    from lemfarm.cli.progress import count_bar
    from workers.replay import open_replay

    farm = open_farm(home, database, broker)
    loading = err().status("loading the model")
    loading.start()
    try:
        with open_replay(farm.database(), farm.home, sample, strict=strict, models=model_folders(model)) as player:
            loading.stop()
            with count_bar("generating") as bar:
                found = player.play(bar)
    finally:
        loading.stop()
    if as_json:
        emit("replay", replay=found, expected=found.expected)
    else:
        _show(found)
    raise typer.Exit(0 if found.identical else 1)


def _show(found: "Replay") -> None:
    from rich.markup import escape

    from lemfarm.cli.shared import plain

    console = out()
    name = f"{found.label}  [dim]{found.sample}[/]"
    name += f"  [dim]by adapter {found.adapter}[/]" if found.adapter else ""
    if found.identical:
        console.print(f"[green]identical[/]  {name}: {found.tokens} tokens", soft_wrap=True)
    else:
        console.print(f"[bold red]differs[/]  {name} {_where(found)}", soft_wrap=True)
        for title, text in (("stored", found.stored), ("replayed", found.replayed)):
            console.print(f"  [dim]{title:<9}[/] {escape(plain(text))}", soft_wrap=True)
        console.print(_verdict(found), soft_wrap=True)
    for one in found.differences:
        console.print(f"  {one.what:<9} {escape(one.then)} [dim]->[/] {escape(one.now)}", soft_wrap=True)


def _where(found: "Replay") -> str:
    return f"from token {found.parts_at} of {found.tokens}" if found.parts_at is not None else "in how it is put down"


def _verdict(found: "Replay") -> str:
    if found.expected:
        return f"This is to be expected: it was made by {found.made_by}, and since then is different:"
    return (
        f"Nothing that is known to change an answer is different from when {found.made_by} made it: "
        "check the model's files with `lemfarm model verify`, and the machine."
    )
