"""`model get`, `model convert`, `model verify`. Twin: `lemfarm.models`."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer

from lemfarm.cli.shared import HomeOption, JsonOption, emit, err, out

app = typer.Typer(
    help="Fetch models, convert them to MLX's format, and make sure which one lies here.", no_args_is_help=True
)

RevisionOption = Annotated[
    str | None, typer.Option("--revision", help="Commit, tag or branch on the hub.", show_default="the newest")
]


@app.command()
def get(
    name: Annotated[str, typer.Argument(metavar="ID", help="A hub id, such as mlx-community/gemma-3-1b-it-4bit.")],
    revision: RevisionOption = None,
    as_json: JsonOption = False,
) -> None:
    """Download a model from the hub; run again, it fetches only what is missing. Prints the folder."""
    from lemfarm.models import get_model

    folder = get_model(name, revision, progress=lambda said: err().print(f"[dim]{said}[/]", soft_wrap=True))
    if as_json:
        emit("model-folder", name=name, folder=folder)
    else:
        print(folder)


@app.command()
def convert(
    source: Annotated[str, typer.Argument(metavar="SOURCE", help="A model folder, or a hub id.")],
    target: Annotated[Path, typer.Argument(metavar="TARGET", help="The folder to make.")],
    bits: Annotated[
        int | None,
        typer.Option("--bits", min=2, max=8, help="Quantize to so many bits.", show_default="full precision"),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Convert a model to MLX's format, quantized if asked. Prints the new folder."""
    from lemfarm.models import convert_model

    with _busy(f"converting {source}{f' to {bits} bits' if bits else ''}"):
        folder = convert_model(source, target, quantize_bits=bits)
    if as_json:
        emit("model-folder", name=source, folder=folder)
    else:
        print(folder)


@app.command()
def verify(
    name: Annotated[str, typer.Argument(metavar="NAME|FOLDER", help="A hub id that was fetched, or a model folder.")],
    revision: RevisionOption = None,
    home: HomeOption = None,
    as_json: JsonOption = False,
) -> None:
    """Say which model lies here: architecture, content hash, commit, size; fails when it is missing or not whole."""
    from lemfarm.home import open_home
    from lemfarm.models import check_architecture, find_model, model_files

    with _busy(f"reading {name}"):
        found = find_model(name, revision=revision, home=open_home(home))
    facts = {
        "name": found.name,
        "folder": found.folder,
        "architecture": check_architecture(found.folder),
        "content_hash": found.content_hash,
        "commit": found.commit,
        "bytes": sum(path.stat().st_size for path in model_files(found.folder)),
    }
    if as_json:
        emit("model", **facts)
        return
    shown = {**facts, "commit": found.commit or "none: a folder of one's own", "bytes": f"{facts['bytes']:,}"}
    for label, value in shown.items():
        out().print(f"[dim]{label.replace('_', ' '):<13}[/] {value}", soft_wrap=True)


@contextmanager
def _busy(what: str) -> Iterator[None]:
    """A spinner on a terminal, one plain line elsewhere."""
    console = err()
    if not sys.stderr.isatty():
        console.print(what, soft_wrap=True)
        yield
        return
    with console.status(what):
        yield
