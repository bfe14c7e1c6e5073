"""What every verb shares: the options that name a farm, how results are printed, how errors are told."""

import json
import os
import sys
from dataclasses import asdict, dataclass, is_dataclass
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import typer

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Column, Table
    from rich.text import Text

    from lemfarm.connections import Connections
    from lemfarm.database import Database
    from lemfarm.errors import LemfarmError
    from lemfarm.home import Home

Choice = TypeVar("Choice", bound=StrEnum)

#: Of every JSON object that a verb prints; grows when a key changes its meaning.
JSON_FORMAT = 1
_WIDE = 1000  #: columns of a table where no terminal limits it

HomeOption = Annotated[
    Path | None,
    typer.Option("--home", help="Folder of the farm; else LEMFARM_HOME, else ~/.lemfarm.", show_default=False),
]
DatabaseOption = Annotated[
    str | None,
    typer.Option(
        "--database",
        help="URL of the database; else LEMFARM_DATABASE, the join file, or SQLite in the home.",
        show_default=False,
    ),
]
BrokerOption = Annotated[
    str | None,
    typer.Option(
        "--broker",
        help="URL of Redis or Valkey; else LEMFARM_BROKER, the join file, or the embedded Valkey.",
        show_default=False,
    ),
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print one JSON object instead of text.")]
RunArgument = Annotated[
    str | None, typer.Argument(metavar="RUN", help="Name of the run; the latest when left out.", show_default=False)
]
JobsOption = Annotated[
    int | None,
    typer.Option(
        "--jobs", min=1, help="Processes that compute scores, where there are many.", show_default="one for each core"
    ),
]
ConfigArgument = Annotated[Path, typer.Argument(metavar="CONFIG", help="A run file (YAML).")]


@dataclass(frozen=True, slots=True)
class Farm:
    """The farm that a command talks to."""

    home: "Home"
    connections: "Connections"

    def database(self, *, migrate: bool = False) -> "Database":
        """Its database, checked for this version's schema."""
        from lemfarm.database import open_database

        return open_database(self.connections.database, migrate=migrate)


def open_farm(home: Path | None, database: str | None, broker: str | None) -> Farm:
    """Resolve the common options."""
    from lemfarm.connections import resolve
    from lemfarm.home import open_home

    opened = open_home(home)
    return Farm(opened, resolve(opened, database=database, broker=broker, environ=os.environ))


def emit(kind: str, **fields: Any) -> None:
    """Print a result as the one documented JSON object of its kind."""
    from lemfarm import __version__

    print(json.dumps({"kind": kind, "format": JSON_FORMAT, "lemfarm": __version__, **fields}, default=_plain, indent=2))


def _plain(value: Any) -> Any:
    if is_dataclass(value) and not isinstance(value, type):
        return asdict(value)
    if isinstance(value, (set, frozenset, tuple)):
        return list(value)
    return str(value)


def out() -> "Console":
    """Where results go."""
    from rich.console import Console

    return Console(highlight=False, soft_wrap=not sys.stdout.isatty())


def err() -> "Console":
    """Where words for people go."""
    from rich.console import Console

    return Console(stderr=True, highlight=False, soft_wrap=not sys.stderr.isatty())


def bare_table(*columns: "str | Column") -> "Table":
    """A table without lines, as results look."""
    from rich.table import Table

    return Table(*columns, box=None, padding=(0, 2, 0, 0), header_style="dim")


def word_columns(*titles: "str | Text") -> "list[Column]":
    """Columns of words: one that is longer than its column goes on in the next line, so that none is cut off."""
    from rich.table import Column

    return [Column(title, overflow="fold") for title in titles]


def number_columns(*titles: "str | Text", no_wrap: bool = False) -> "list[Column]":
    """Columns of numbers, which stand below each other by their last digit."""
    from rich.table import Column

    return [Column(title, justify="right", no_wrap=no_wrap) for title in titles]


def show_table(table: "Table") -> None:
    """Print a table; where no terminal limits it, lines stay whole, so that paths can be copied and searched."""
    console = out()
    if not console.is_terminal:
        console.width = _WIDE
    console.print(table)


def duration(seconds: float) -> str:
    """A time as a person says it: 0.7 s, 25 min, 14.5 h, 3.2 days."""
    units = (("s", 1, 120), ("min", 60, 120 * 60), ("h", 3600, 72 * 3600), ("days", 86_400, float("inf")))
    unit, length = next((unit, length) for unit, length, below in units if seconds < below)
    value = seconds / length
    return f"{value:,.{1 if value < 10 or unit == 'h' else 0}f} {unit}"


def size(amount: int) -> str:
    """Bytes in the unit that fits."""
    value = float(amount)
    for unit in ("B", "KiB", "MiB", "GiB"):
        if value < 1024:
            return f"{value:,.1f} {unit}" if unit != "B" else f"{amount} B"
        value /= 1024
    return f"{value:,.1f} TiB"


def counted(number: int, one: str, more: str = "") -> str:
    """A number with its noun: 1 probe, 2,000 probes, 3 entries (`more` where an `s` does not do)."""
    return f"{number:,} {one if number == 1 else more or one + 's'}"


def plain(text: str) -> str:
    """One line that cannot steer a terminal: a line feed is shown as an arrow, other control characters as dots."""
    return "".join(mark if mark.isprintable() else "↵" if mark == "\n" else "·" for mark in text)


def one_of(kind: "type[Choice]", flag: str, value: str) -> "Choice":
    """The member of an enum that a flag names. Raises InputError, naming all."""
    from lemfarm.errors import InputError

    try:
        return kind(value)
    except ValueError:
        raise InputError(f"{flag} {value}: one of {', '.join(kind)}") from None


def person(given: str | None, option: str) -> str:
    """Who decides: as named, else the user of this machine. Raises InputError where nobody is named and the system does
    not know either."""
    from getpass import getuser

    from lemfarm.errors import InputError

    try:
        name = (given if given is not None else os.environ.get("USER") or getuser()).strip()
    except (OSError, KeyError, ImportError):
        name = ""
    if not name:
        raise InputError(f"nobody is named: say who decides with {option} NAME.")
    return name


def fail(error: "LemfarmError") -> int:
    """Tell an error and return its exit code."""
    console = err()
    for line in str(error).splitlines():
        console.print(f"[bold red]error[/] {_escaped(plain(line))}", soft_wrap=True)
    return error.exit_code


def _escaped(text: str) -> str:
    from rich.markup import escape

    return escape(text)
