"""A mix as a folder: rows by side, a page, a manifest that names each row and where it came from, written last."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from lemfarm import __version__
from lemfarm.curation.data_card import Shape
from lemfarm.curation.dataset import MANIFEST
from lemfarm.curation.dataset_folder import CARD, CARD_JSON, empty, json_bytes, refuse_foreign
from lemfarm.curation.formats import ExportRow, Format, require_parquet, rows_file
from lemfarm.curation.framing import Sign, gemma_text
from lemfarm.curation.mixing.card import mix_card
from lemfarm.curation.mixing.choosing import TakenRow
from lemfarm.curation.mixing.facts import MixFacts
from lemfarm.curation.mixing.mixture import Mixture
from lemfarm.curation.sides import Side
from lemfarm.home import write_whole
from lemfarm.identity import content_hash, file_hash

_TEMPLATE = "Gemma's chat template"


@dataclass(frozen=True, slots=True)
class Written:
    """A mix that was written; `files` are its row files by side."""

    folder: Path
    hash: str
    files: Mapping[str, str]
    facts: MixFacts


def write_mixture(
    mixture: Mixture,
    folder: Path,
    format_: Format = Format.MLX,
    licence: str | None = None,
    language: str | None = None,
) -> Written:
    """Write a mix; the same one again gives the same files and the same hash.

    Raises InputError for a folder with something else in it and for Parquet without the library that writes it, NoSpace
    when it cannot be written.
    """
    if format_ is Format.PARQUET:
        require_parquet()
    refuse_foreign(folder)
    empty(folder)
    parts = {side: [row for row, own in mixture.rows if own is side] for side in Side}
    files = {str(side): f"{side}.{format_.suffix}" for side, rows in parts.items() if rows}
    for side, rows in parts.items():
        if rows:
            with rows_file(format_, folder / files[side], gemma_text) as add:
                add(map(_export_row, rows))
    hashes = {file: file_hash(folder / file) for file in files.values()}
    ids = {str(side): [row.item.row_id(row.row) for row in rows] for side, rows in parts.items()}
    name = content_hash({"files": hashes, "rows": content_hash(list(ids.values()))})
    template = _TEMPLATE if format_ is Format.TEXT else ""
    shape = Shape(name, format_, Sign.NONE, files, template, licence, language)
    probes = {f"{side}_probes": sorted({row.item.probe for row in rows} - {""}) for side, rows in parts.items()}
    described = {"hash": name, "recipe": mixture.facts.name, "format": format_, "files": hashes}
    origins = {side: [_origin(row) for row in rows] for side, rows in parts.items()}
    card = {**asdict(shape), **mixture.facts.to_dict(), "lemfarm": __version__}
    write_whole(folder / CARD, mix_card(mixture.facts, shape).encode())
    write_whole(folder / CARD_JSON, json_bytes(card))
    write_whole(folder / MANIFEST, json_bytes({**described, **ids, **probes, "rows": origins}))
    return Written(folder, name, files, mixture.facts)


def _export_row(one: TakenRow) -> ExportRow:
    """As exports have it; a category stands where a phase does."""
    item = one.item
    meta = {"category": item.category, "source": item.place, "form": one.row.form, "chars": len(one.row.answer)}
    if item.probe:
        meta["probe_id"] = item.probe
    return ExportRow(item.row_id(one.row), item.category, item.probe, one.row.prompt, one.row.answer, meta)


def _origin(one: TakenRow) -> dict[str, Any]:
    return {"category": one.item.category, "source": one.item.place, "form": one.row.form}
