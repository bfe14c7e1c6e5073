"""Reading what a recipe mixes: files of rows, datasets that were exported or trained on, runs of this farm.

All rows are in memory at once: duplicates and leaks are found by looking at all of them.
"""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sqlmodel import Session, col, select

from lemfarm.config import config_from_data
from lemfarm.curation.dataset import MANIFEST, read_rows
from lemfarm.curation.mixing.items import Item, Row, read_item
from lemfarm.curation.mixing.recipe import Recipe, RunSource, source_path
from lemfarm.curation.selection import ChosenAnswer, choose_rows, pieces, read_examples, rows_per_probe
from lemfarm.curation.sides import Side, sides_of
from lemfarm.database import Database
from lemfarm.errors import InputError, NotFound
from lemfarm.identity import file_hash
from lemfarm.importing.spellings import Refused
from lemfarm.json_entries import entries_of
from lemfarm.records import Phase, Run
from lemfarm.runs import find_run
from lemfarm.text_files import decode

OpenDatabase = Callable[[], Database]
"""Opens the farm's database; called only where a recipe names a run."""

Advance = Callable[[int, int | None], None]
"""Told how many sources are read, and how many there are."""

_NOT_PARTED = ("text", "parquet")
_SHOWN = 3


@dataclass(frozen=True, slots=True)
class SourceFacts:
    """One source as the recipe names it: how many items it gave, and what it was then, by the hash of each file or by
    the run's configuration."""

    source: str
    category: str
    items: int
    hashes: Mapping[str, str]


@dataclass(slots=True)
class Material:
    """All that the sources of a recipe gave. `problems` are lines that are no rows, as `file:line: what is wrong`;
    `probe_sides` holds the probes of which a source says the side."""

    items: list[Item] = field(default_factory=list)
    sources: list[SourceFacts] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    probe_sides: dict[str, set[Side]] = field(default_factory=dict)


def read_material(recipe: Recipe, open_database: OpenDatabase, advance: Advance) -> Material:
    """Everything that a recipe's sources hold.

    Raises InputError for a source without a single row, for a dataset that was changed after it was written or is of a
    shape whose rows cannot be told apart; NotFound for a run or phase that is not there; DatabaseDown.
    """
    material = Material()
    named = [(category.name, source) for category in recipe.categories for source in category.sources]
    for done, (category, source) in enumerate(named):
        advance(done, len(named))
        if isinstance(source, RunSource):
            _read_run(material, category, source, open_database())
        else:
            _read_path(material, category, source, source_path(source, recipe.source.folder))
    return material


def _read_path(material: Material, category: str, name: str, path: Path) -> None:
    before, problems = len(material.items), len(material.problems)
    try:
        hashes = (_read_folder if path.is_dir() else _read_alone)(material, category, name, path)
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: cannot be read: {error}") from error
    if len(material.items) == before:
        raise InputError("\n".join([f"{path}: there is no row in it.", *material.problems[problems:][:_SHOWN]]))
    material.sources.append(SourceFacts(name, category, len(material.items) - before, hashes))


def _read_alone(material: Material, category: str, name: str, path: Path) -> dict[str, str]:
    _read_file(material, category, Path(name), path)
    return {path.name: file_hash(path)}


def _read_folder(material: Material, category: str, name: str, folder: Path) -> dict[str, str]:
    manifest = _manifest(folder)
    files = {side: folder / f"{side}.jsonl" for side in Side if (folder / f"{side}.jsonl").is_file()}
    hashes = {path.name: file_hash(path) for path in files.values()}
    _refuse_changed(folder, manifest, hashes)
    for side, path in files.items():
        _read_file(material, category, Path(name, path.name), path, side, manifest.get(side, ()))
        for probe in manifest.get(f"{side}_probes", ()):
            material.probe_sides.setdefault(probe, set()).add(side)
    return hashes


def _read_file(
    material: Material, category: str, shown: Path, path: Path, side: Side | None = None, ids: Any = ()
) -> None:
    """`ids` are those of the samples that the lines are, in order, where a dataset names them."""
    entries = entries_of(shown, decode(path.read_bytes()), material.problems)
    for number, entry in enumerate(entries):
        id_ = str(ids[number]) if number < len(ids) else ""
        try:
            material.items.append(read_item(entry.value, category, entry.place, side, id_))
        except Refused as refusal:
            material.problems.append(f"{entry.place}: {refusal}")


def _manifest(folder: Path) -> dict[str, Any]:
    path = folder / MANIFEST
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise InputError(
            f"{folder}: no {MANIFEST}, so this is no finished dataset. Name its files, or export it again."
        ) from error
    except ValueError as error:
        raise InputError(f"{path}: cannot be read ({error}); export the dataset again.") from error
    if not isinstance(found, dict):
        raise InputError(f"{path}: is no dataset's manifest; export the dataset again.")
    if found.get("format") in _NOT_PARTED:
        raise InputError(
            f"{folder}: rows of {found['format']} cannot be mixed. Export it as mlx, chat or lem, with --format."
        )
    return found


def _refuse_changed(folder: Path, manifest: Mapping[str, Any], hashes: Mapping[str, str]) -> None:
    """An export names its files by their hashes; what a training read is checked as the trainer checks it."""
    if "files" not in manifest:
        read_rows(folder)
    elif manifest["files"] != hashes:
        raise InputError(f"{folder}: its files differ from {MANIFEST}; export the dataset again.")


def _read_run(material: Material, category: str, source: RunSource, database: Database) -> None:
    run = find_run(database, source.run)
    with database.read() as connection, Session(bind=connection) as session:
        found = list(_run_items(session, run, category, source.phase))
    name = f"run {run.name}" + (f", phase {source.phase}" if source.phase else "")
    if not found:
        raise InputError(f"{name} has no accepted answers yet.")
    material.items += found
    material.sources.append(SourceFacts(name, category, len(found), {"configuration": run.config_hash}))


def _run_items(session: Session, run: Run, category: str, phase: str | None) -> Iterator[Item]:
    assert run.id is not None
    config = config_from_data(run.config)
    chosen = dict(_chosen(session, run, phase))
    answers = [answer for part in chosen.values() for answer in part]
    if not answers:
        return
    batch_size = config.train.batch_size if config.train else 1
    sides = sides_of(session, run.id, rows_per_probe(answers), batch_size=batch_size, seed=config.sampling.seed)
    for name, part in chosen.items():
        for piece in pieces(part):
            for one in read_examples(session, piece):
                place = f"run {run.name}, {name}, {one.sample_id}"
                row = Row(one.prompt_messages, one.answer)
                yield Item(category, place, (row,), one.probe, sides[one.probe], one.sample_id)


def _chosen(session: Session, run: Run, wanted: str | None) -> Iterator[tuple[str, Sequence[ChosenAnswer]]]:
    """What each phase trains on, or the one that is wanted."""
    query = select(Phase).where(Phase.run_id == run.id, col(Phase.retired).is_(False)).order_by(col(Phase.position))
    phases = {phase.name: phase.id for phase in session.exec(query)}
    if wanted is not None and wanted not in phases:
        raise NotFound(f"there is no phase {wanted!r} in run {run.name}; it has {', '.join(phases)}")
    for one in config_from_data(run.config).phases:
        phase_id = phases.get(one.name)
        if phase_id is not None and wanted in (None, one.name):
            yield one.name, choose_rows(session, phase_id, one).answers
