"""What a phase is trained on: examples split by probe, written once, named by their content.

Which side a probe stands on is decided in `sides`, for the whole course. The files have the chat shape that mlx-lm
reads (`{"messages": [...]}`, one per line, without the kernel); which sample each line is stands in `manifest.json`,
written last, so that a folder with a manifest is a whole dataset. Test rows are written beside the others, and nothing
trains on them.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from lemfarm.candidates import CellCandidates
from lemfarm.curation.sides import Side, Sides
from lemfarm.dialogue import Message
from lemfarm.errors import InputError
from lemfarm.home import write_whole
from lemfarm.identity import content_hash

MANIFEST = "manifest.json"
TRAIN_FILE = "train.jsonl"
VALID_FILE = "valid.jsonl"
TEST_FILE = "test.jsonl"


@dataclass(frozen=True, slots=True)
class Example:
    """One accepted answer with the prompt it is trained under: no kernel, no thoughts.

    `tokens` is the length of the whole dialogue where it is known; the trainer counts again with its own tokenizer.
    """

    sample_id: str
    probe: str
    prompt_messages: tuple[Message, ...]
    answer: str
    tokens: int | None = None

    def row(self) -> dict[str, list[dict[str, str]]]:
        """The line that mlx-lm reads: the prompt's turns, then the answer as the assistant's."""
        turns = [*self.prompt_messages, Message("assistant", self.answer)]
        return {"messages": [{"role": turn.role, "content": turn.content} for turn in turns]}


@dataclass(frozen=True, slots=True)
class Split:
    """The sides of a dataset; no probe is on two, and each keeps the order in which the examples were given."""

    train: tuple[Example, ...]
    valid: tuple[Example, ...]
    test: tuple[Example, ...] = ()


@dataclass(frozen=True, slots=True)
class DatasetManifest:
    """What lies in a dataset folder. `hash` names the rows of all sides, their order and their sample ids.

    `origins` says of every row from elsewhere, by its name, where it is from; `mix` how far the share of such rows that
    was wanted is reached, empty where none was. `candidates` tells of every cell of the phase how many samples were
    judged for those accepted: choosing shifts what the model would say, and here one sees by how much. A dataset that
    was written without has none.
    """

    hash: str
    train: tuple[str, ...]
    valid: tuple[str, ...]
    train_probes: tuple[str, ...]
    valid_probes: tuple[str, ...]
    candidates: tuple[CellCandidates, ...] = ()
    test: tuple[str, ...] = ()
    test_probes: tuple[str, ...] = ()
    origins: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    mix: Mapping[str, Any] = field(default_factory=dict)


def split(examples: Sequence[Example], sides: Sides) -> Split:
    """Part the examples by the sides of their probes. Raises InputError when one stands twice among them."""
    _refuse_twins(examples)
    return Split(*(tuple(one for one in examples if sides[one.probe] == side) for side in Side))


def describe(parts: Split, candidates: Sequence[CellCandidates] = ()) -> DatasetManifest:
    """What a dataset of these rows is, and its name, before it is written."""
    sides = [([one.sample_id for one in side], [one.row() for one in side]) for side in _sides_of(parts)]
    ids = [tuple(found) for found, _ in sides]
    probes = [tuple(sorted({one.probe for one in side})) for side in _sides_of(parts)]
    return DatasetManifest(
        hash=_hash(*sides),
        train=ids[0],
        valid=ids[1],
        train_probes=probes[0],
        valid_probes=probes[1],
        candidates=tuple(candidates),
        test=ids[2],
        test_probes=probes[2],
    )


def write_dataset(parts: Split, folder: Path, manifest: DatasetManifest | None = None) -> DatasetManifest:
    """Write all sides and then the manifest, by default what `describe` says; the same dataset again changes nothing.
    Raises OSError (disk full)."""
    manifest = manifest or describe(parts)
    if (folder / MANIFEST).exists() and read_dataset(folder) == manifest:
        return manifest
    (folder / MANIFEST).unlink(missing_ok=True)
    write_whole(folder / TRAIN_FILE, _lines(parts.train))
    write_whole(folder / VALID_FILE, _lines(parts.valid))
    if parts.test:
        write_whole(folder / TEST_FILE, _lines(parts.test))
    else:
        (folder / TEST_FILE).unlink(missing_ok=True)  # mlx-lm stumbles over an empty one
    write_whole(folder / MANIFEST, (json.dumps(asdict(manifest), indent=2) + "\n").encode())
    return manifest


def read_dataset(folder: Path) -> DatasetManifest:
    """The manifest of a finished dataset. Raises InputError when there is none, or when it cannot be read."""
    path = folder / MANIFEST
    try:
        fields = json.loads(path.read_text())
        cells = tuple(CellCandidates(**cell) for cell in fields.pop("candidates", ()))
        return DatasetManifest(**{name: _frozen(value) for name, value in fields.items()}, candidates=cells)
    except FileNotFoundError as error:
        raise InputError(f"{path}: not found, so the dataset was never finished; write it again.") from error
    except (ValueError, TypeError) as error:
        raise InputError(f"{path}: not a dataset manifest ({error}); write the dataset again.") from error


def read_rows(folder: Path) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """What trains and what validates, checked against the hash in the manifest, in the order of its sample ids.

    Raises InputError when a file was changed after it was written.
    """
    manifest = read_dataset(folder)
    train, valid = _read_lines(folder / TRAIN_FILE), _read_lines(folder / VALID_FILE)
    test = _read_lines(folder / TEST_FILE) if manifest.test else []
    if _hash((manifest.train, train), (manifest.valid, valid), (manifest.test, test)) != manifest.hash:
        raise InputError(
            f"{folder}: {TRAIN_FILE}, {VALID_FILE} or {TEST_FILE} differs from {MANIFEST}; write the dataset again."
        )
    return train, valid


def _refuse_twins(examples: Sequence[Example]) -> None:
    seen: set[str] = set()
    for example in examples:
        if example.sample_id in seen:
            raise InputError(f"sample {example.sample_id} stands twice among the examples; each may train once.")
        seen.add(example.sample_id)


def _sides_of(parts: Split) -> tuple[tuple[Example, ...], ...]:
    return parts.train, parts.valid, parts.test


def _hash(*sides: tuple[Sequence[str], Sequence[Any]]) -> str:
    """Of ids and rows, side by side; an empty test side is left out, as datasets had none once."""
    named = {side: [list(ids), list(rows)] for side, (ids, rows) in zip(Side, sides, strict=True)}
    return content_hash({side: named[side] for side in Side if side != Side.TEST or named[side][0]})


def _lines(examples: Iterable[Example]) -> bytes:
    return "".join(json.dumps(example.row(), ensure_ascii=False) + "\n" for example in examples).encode()


def _read_lines(path: Path) -> list[dict[str, Any]]:
    try:
        with path.open(encoding="utf-8") as file:
            return [json.loads(line) for line in file]
    except (OSError, ValueError) as error:
        raise InputError(f"{path}: cannot be read ({error}); write the dataset again.") from error


def _frozen(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value
