"""`fuse`, `gguf`, `publish`: what becomes of a finished course. Twins: `lemfarm.training.fuse`, `.gguf`, `.publish`."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from lemfarm.cli.campaign import ModelOption, model_folders
from lemfarm.cli.sending import send, show_parcel
from lemfarm.cli.shared import (
    BrokerOption,
    DatabaseOption,
    HomeOption,
    JsonOption,
    emit,
    err,
    open_farm,
    out,
    plain,
    size,
)

if TYPE_CHECKING:
    from lemfarm.cli.shared import Farm
    from lemfarm.training.chosen import ChosenAdapter
    from lemfarm.training.errands import Hear
    from lemfarm.training.fuse import Comparison, Fused

PhaseOption = Annotated[
    str | None,
    typer.Option("--phase", metavar="NAME", help="The newest adapter of this phase.", show_default="the promoted one"),
]
SourceArgument = Annotated[
    str, typer.Argument(metavar="FOLDER|RUN", help="A folder that `lemfarm fuse` made, a run, or an adapter's id.")
]


def add_to(app: typer.Typer) -> None:
    """Register the verbs."""
    app.command("fuse")(fuse)
    app.command("gguf")(gguf)
    app.command("publish")(publish)


def fuse(
    out_folder: Annotated[Path, typer.Option("--out", metavar="FOLDER", help="The folder to make.")],
    adapter: Annotated[
        str | None,
        typer.Argument(metavar="RUN|ADAPTER", help="A run, or an adapter's id.", show_default="the latest run"),
    ] = None,
    phase: PhaseOption = None,
    dequantize: Annotated[
        bool, typer.Option("--dequantize", help="Write weights of 16 or 32 bits where the base model is quantized.")
    ] = False,
    model: ModelOption = None,
    home: HomeOption = None,
    database: DatabaseOption = None,
    broker: BrokerOption = None,
    as_json: JsonOption = False,
) -> None:
    """Put an adapter into the base model's weights: one folder that stock mlx_lm loads, compared with the two apart."""
    farm = open_farm(home, database, broker)
    with _told("fusing") as hear:
        made = _fuse(farm, adapter, phase, out_folder, dequantize, model, hear)
    if as_json:
        emit("fused-model", folder=made.folder, adapter=made.origin.adapter, bytes=made.bytes,
             dequantized=made.dequantized, lost=made.comparison.lost, comparison=made.comparison)  # fmt: skip
        return
    _say(f"adapter {made.origin.adapter} ({made.origin.phase} of {made.origin.run}) in {size(made.bytes)}")
    _say(_compared(made.comparison))
    out().print(str(made.folder), markup=False, soft_wrap=True)


def gguf(
    source: SourceArgument,
    out_file: Annotated[Path, typer.Option("--out", metavar="FILE", help="The GGUF file to write.")],
    phase: PhaseOption = None,
    model: ModelOption = None,
    home: HomeOption = None,
    database: DatabaseOption = None,
    broker: BrokerOption = None,
    as_json: JsonOption = False,
) -> None:
    """Write a fused model, or a run's promoted adapter in its base model, as one GGUF file for llama.cpp."""
    from lemfarm.training.gguf import GgufFile, write_gguf

    def convert(folder: Path, hear: "Hear") -> GgufFile:
        return write_gguf(folder, out_file, os.environ, hear=hear)

    with _told("converting") as hear:
        if Path(source).expanduser().is_dir():
            _refuse_phase(phase)
            made = convert(Path(source).expanduser(), hear)
        else:
            farm = open_farm(home, database, broker)
            with _draft_folder(out_file) as folder:
                _fuse(farm, source, phase, folder, True, model, hear)
                made = convert(folder, hear)
    if as_json:
        emit("gguf", path=made.path, through=made.through, tensors=made.tensors, bytes=made.bytes)
        return
    _say(f"{made.tensors} tensors in {size(made.bytes)}, written through {made.through}")
    out().print(str(made.path), markup=False, soft_wrap=True)


def publish(
    source: SourceArgument,
    to: Annotated[str, typer.Option("--to", metavar="OWNER/NAME", help="The repository on the hub.")],
    phase: PhaseOption = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Print the page and the list of files; send nothing.")
    ] = False,
    private: Annotated[bool, typer.Option("--private", help="A new repository is seen by its owner only.")] = False,
    licence: Annotated[
        str | None,
        typer.Option("--license", help="Licence by the hub's short name.", show_default="that of the base model"),
    ] = None,
    base_model: Annotated[
        str | None,
        typer.Option("--base-model", metavar="OWNER/NAME", help="The base model on the hub, where it came from disk."),
    ] = None,
    dataset: Annotated[
        list[str] | None,
        typer.Option("--dataset", metavar="OWNER/NAME", help="A published dataset it was trained on; may be repeated."),
    ] = None,
    card: Annotated[
        Path | None, typer.Option("--card", metavar="FILE", help="Use this page instead of the one that is made.")
    ] = None,
    home: HomeOption = None,
    database: DatabaseOption = None,
    broker: BrokerOption = None,
    as_json: JsonOption = False,
) -> None:
    """Send a fused model's folder, or a run's promoted adapter, to the hub, with a page that has its evaluation.

    A run's adapter is published as such. The token comes from HF_TOKEN or `hf auth login`.
    """
    from lemfarm.training.publish import prepare

    farm = open_farm(home, database, broker)
    folder, chosen = _source(farm, source, phase)
    parcel = prepare(
        to,
        folder,
        farm.database(),
        adapter=chosen.origin if chosen else None,
        licence=licence,
        base_model=base_model,
        datasets=dataset or (),
        card=_read(card) if card else None,
    )
    address = None if dry_run else send(parcel, private=private)
    if as_json:
        emit("release", repo=to, address=address, files=parcel.sizes, card=parcel.card)
    elif address:
        out().print(address, markup=False, soft_wrap=True)
    else:
        print(parcel.card)
        show_parcel(parcel)


def _fuse(
    farm: "Farm", given: str | None, phase: str | None, folder: Path, dequantize: bool, model: list[str] | None,
    hear: "Hear",
) -> "Fused":  # fmt: skip
    from lemfarm.training.chosen import adapter_folder, base_model, choose_adapter
    from lemfarm.training.fuse import fuse as work

    chosen = choose_adapter(farm.database(), given, phase)
    base = base_model(chosen, farm.home, model_folders(model))
    adapter = adapter_folder(chosen, farm.home, farm.connections)
    return work(chosen.origin, base, adapter, folder, dequantize=dequantize, hear=hear)


def _source(farm: "Farm", given: str, phase: str | None) -> "tuple[Path, ChosenAdapter | None]":
    """The folder that is published, and the adapter where that is what it holds."""
    from lemfarm.training.chosen import adapter_folder, choose_adapter

    if Path(given).expanduser().is_dir():
        _refuse_phase(phase)
        return Path(given).expanduser(), None
    chosen = choose_adapter(farm.database(), given, phase)
    return adapter_folder(chosen, farm.home, farm.connections), chosen


def _refuse_phase(phase: str | None) -> None:
    from lemfarm.errors import InputError

    if phase:
        raise InputError(f"--phase {phase}: a folder holds one model; leave --phase out, or name the run.")


def _read(path: Path) -> str:
    from lemfarm.errors import InputError

    try:
        return path.read_text(encoding="utf-8")
    except (OSError, ValueError) as error:
        raise InputError(f"--card {path}: cannot be read: {error}") from error


def _compared(found: "Comparison") -> str:
    if found.is_exact:
        return f"equal to the base model with the adapter: largest difference of a logit {found.largest_difference:.1e}"
    how = "quantized again" if found.requantized else f"rounded to {found.precision}"
    return (
        f"{how}: the likeliest token is the same at {found.same_token:.1%} of {found.places} places; "
        f"{found.lost:.0%} of what the adapter changes is lost"
    )


@contextmanager
def _draft_folder(beside: Path) -> Iterator[Path]:
    """A folder that is gone afterwards, on the disk that the result goes to."""
    import tempfile

    from lemfarm.output_files import check_output

    check_output(beside, ())
    with tempfile.TemporaryDirectory(prefix=".lemfarm-fused-", dir=beside.expanduser().absolute().parent) as folder:
        yield Path(folder) / "fused"


@contextmanager
def _told(label: str) -> "Iterator[Hear]":
    """The last line that a child said, on a terminal; elsewhere nothing."""
    console = err()
    if not sys.stderr.isatty():
        yield lambda _line: None
        return
    with console.status(label) as status:
        yield lambda line: status.update(f"[dim]{_short(line)}[/]")


def _short(line: str) -> str:
    from rich.markup import escape

    return escape(plain(line)[:100])


def _say(text: str) -> None:
    err().print(text, markup=False, soft_wrap=True)
