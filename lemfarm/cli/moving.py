"""`move`, `backup`, `restore`. Twins: `lemfarm.copies.moving`, `lemfarm.copies.backup`, `lemfarm.copies.restoring`."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from lemfarm.cli.shared import (
    BrokerOption,
    DatabaseOption,
    HomeOption,
    JsonOption,
    counted,
    emit,
    err,
    open_farm,
    out,
    size,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from lemfarm.copies.moving import Moved
    from lemfarm.copies.rows import OnProgress, TableCopy

TO_VARIABLE = "LEMFARM_MOVE_TO"


def add_to(app: typer.Typer) -> None:
    """Register the verbs."""
    app.command("move")(move)
    app.command("backup")(backup)
    app.command("restore")(restore)


def move(
    to: Annotated[
        str | None,
        typer.Option(
            "--to",
            metavar="URL|home",
            help=f"postgresql://..., or `home` for SQLite in the home; else {TO_VARIABLE}, else it is asked for.",
            show_default=False,
        ),
    ] = None,
    home: HomeOption = None,
    database: DatabaseOption = None,
    broker: Annotated[
        str | None,
        typer.Option(
            "--broker",
            help="URL of the head node's Redis or Valkey; else LEMFARM_BROKER, or that of the join file.",
            show_default=False,
        ),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Carry the farm to another database, every row compared, and let this home use that one from now on.

    Nothing may work on the farm meanwhile. Interrupted, the same command starts over or finishes.
    """
    from lemfarm.connections import BROKER_VARIABLE, DATABASE_VARIABLE
    from lemfarm.copies.moving import move as carry

    target = to or os.environ.get(TO_VARIABLE) or _ask_where()
    farm = open_farm(home, database, None)
    with _told() as tell:
        moved = carry(
            farm.home,
            farm.connections,
            to=target,
            broker=broker or os.environ.get(BROKER_VARIABLE),
            on_progress=tell,
        )
    if as_json:
        emit("moved", moved=moved)
    else:
        _show_move(moved)
    for variable in (DATABASE_VARIABLE, BROKER_VARIABLE):
        if os.environ.get(variable):
            err().print(f"[yellow]note[/] {variable} is set and goes before what this home knows: change it too.")


def backup(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="A name that ends in .tar, or .tar.gz.")],
    home: HomeOption = None,
    database: DatabaseOption = None,
    broker: BrokerOption = None,
    as_json: JsonOption = False,
) -> None:
    """Write the farm into one file: the database, this home's adapters, datasets and reports.

    The farm may go on working. An older backup of that name is replaced once the new one is whole.
    """
    from lemfarm.copies.backup import back_up

    farm = open_farm(home, database, broker)
    with _told() as tell:
        made = back_up(farm.home, farm.database(), file, tell)
    if as_json:
        emit("backup", file=file, bytes=file.stat().st_size, backup=made)
        return
    held = f"{_rows(made.tables)}, {counted(len(made.files) - 1, 'file')}, {size(file.stat().st_size)}"
    out().print(f"{file}: {held}", markup=False, soft_wrap=True)
    _tell_elsewhere(made.elsewhere)


def restore(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="What `lemfarm backup` wrote.")],
    home: HomeOption = None,
    database: DatabaseOption = None,
    broker: BrokerOption = None,
    as_json: JsonOption = False,
) -> None:
    """Bring a farm back out of its backup, into an empty home and an empty database; nothing is overwritten.

    Samples that were in flight when the backup was made are pending again.
    """
    from lemfarm.copies.restoring import restore as bring_back

    farm = open_farm(home, database, broker)
    with _told() as tell:
        found = bring_back(farm.home, farm.connections.database, file, tell)
    if as_json:
        emit("restored", restored=found)
        return
    held = f"{_rows(found.tables)} to {found.database}, {counted(found.files, 'file')} to {farm.home.root}"
    out().print(held, markup=False, soft_wrap=True)
    if found.returned:
        out().print(f"{counted(found.returned, 'sample')} that were in flight are pending again.")
    _tell_elsewhere(found.elsewhere)
    err().print("[dim]Next: `lemfarm verify`, then `lemfarm run CONFIG`.[/]")


def _ask_where() -> str:
    from lemfarm.errors import InputError

    if not os.isatty(0):
        raise InputError(f"where to? Name a database with --to, or set {TO_VARIABLE}.")
    return str(typer.prompt("URL of the new database (not shown)", hide_input=True))


@contextmanager
def _told() -> "Iterator[OnProgress]":
    """What is done and how much of it, on a terminal."""
    with err().status("looking") as status:
        yield lambda what, done, total: status.update(f"{what}: {done:,} of {total:,}")


def _show_move(moved: "Moved") -> None:
    console = out()
    rows = f"{_rows(moved.tables)} compared" if moved.tables else "the rows were there already"
    console.print(f"[green]moved[/]  {moved.source} [dim]->[/] {moved.target}", soft_wrap=True)
    console.print(f"  {rows}", soft_wrap=True)
    if moved.kept:
        console.print(f"  the old file is {moved.kept}, which may be deleted", soft_wrap=True)
    if moved.join_file:
        console.print(f"  {moved.join_file} keeps the new URLs, readable by you only", soft_wrap=True)
        err().print("[dim]Next: `lemfarm run CONFIG` here, `lemfarm join` and `lemfarm worker` on the other Macs.[/]")


def _rows(tables: "Sequence[TableCopy]") -> str:
    return f"{counted(sum(table.rows for table in tables), 'row')} in {len(tables)} tables"


def _tell_elsewhere(adapters: "Sequence[str]") -> None:
    if adapters:
        names = ", ".join(adapters)
        err().print(
            f"[yellow]note[/] not in it, because they lie in another home: adapters {names}. Back those homes up too.",
            soft_wrap=True,
        )
