"""What a phase is trained on: examples split by probe, written once, named by their content.

A probe's variants and samples resemble each other, so a split by line would put near copies of a training answer into
the validation set and make its loss worthless: whole probes go to one side. The files have the chat shape that mlx-lm
reads (`{"messages": [...]}`, one per line, without the kernel); which sample each line is stands in `manifest.json`,
written last, so that a folder with a manifest is a whole dataset.
"""

import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from lemfarm.candidates import CellCandidates
from lemfarm.dialogue import Message
from lemfarm.errors import InputError
from lemfarm.home import write_whole
from lemfarm.identity import content_hash
from lemfarm.probes import in_hash_order

MANIFEST = "manifest.json"
TRAIN_FILE = "train.jsonl"
VALID_FILE = "valid.jsonl"


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
    """The two sides of a dataset; no probe is on both, and each keeps the order in which the examples were given."""

    train: tuple[Example, ...]
    valid: tuple[Example, ...]


@dataclass(frozen=True, slots=True)
class DatasetManifest:
    """What lies in a dataset folder. `hash` names the rows of both sides, their order and their sample ids.

    `candidates` tells of every cell of the phase how many samples were judged for those accepted: choosing shifts what
    the model would say, and here one sees by how much. A dataset that was written without has none.
    """

    hash: str
    train: tuple[str, ...]
    valid: tuple[str, ...]
    train_probes: tuple[str, ...]
    valid_probes: tuple[str, ...]
    candidates: tuple[CellCandidates, ...] = ()


def split(examples: Sequence[Example], *, valid_share: float, batch_size: int, seed: int) -> Split:
    """Part the examples by probe so that about `valid_share` of the rows validate and the rest train.

    The same examples, in any order, with the same seed give the same sides. Raises InputError naming what is missing
    when no choice of probes gives both sides at least one probe and `batch_size` rows.
    """
    _refuse_twins(examples)
    rows = _rows_per_probe(examples)
    _require_enough(rows, batch_size)
    chosen = _choose_probes(rows, len(examples), valid_share, batch_size, seed)
    return Split(
        train=tuple(example for example in examples if example.probe not in chosen),
        valid=tuple(example for example in examples if example.probe in chosen),
    )


def write_dataset(parts: Split, folder: Path, candidates: Sequence[CellCandidates] = ()) -> DatasetManifest:
    """Write both sides and then the manifest; the same dataset again changes nothing. Raises OSError (disk full)."""
    manifest = _describe(parts, candidates)
    if (folder / MANIFEST).exists() and read_dataset(folder) == manifest:
        return manifest
    (folder / MANIFEST).unlink(missing_ok=True)
    write_whole(folder / TRAIN_FILE, _lines(parts.train))
    write_whole(folder / VALID_FILE, _lines(parts.valid))
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
    """The rows of both sides, checked against the hash in the manifest, in the order of its sample ids.

    Raises InputError when a file was changed after it was written.
    """
    manifest = read_dataset(folder)
    train, valid = _read_lines(folder / TRAIN_FILE), _read_lines(folder / VALID_FILE)
    if _hash(manifest.train, train, manifest.valid, valid) != manifest.hash:
        raise InputError(f"{folder}: {TRAIN_FILE} or {VALID_FILE} differs from {MANIFEST}; write the dataset again.")
    return train, valid


def _refuse_twins(examples: Sequence[Example]) -> None:
    seen: set[str] = set()
    for example in examples:
        if example.sample_id in seen:
            raise InputError(f"sample {example.sample_id} stands twice among the examples; each may train once.")
        seen.add(example.sample_id)


def _rows_per_probe(examples: Iterable[Example]) -> dict[str, int]:
    rows: dict[str, int] = {}
    for example in examples:
        rows[example.probe] = rows.get(example.probe, 0) + 1
    return rows


def _require_enough(rows: dict[str, int], batch_size: int) -> None:
    total = sum(rows.values())
    if len(rows) < 2:
        present = f"only {next(iter(rows))} has any" if rows else "none has any"
        raise InputError(f"training and validation need accepted answers of at least 2 probes; {present}.")
    if total < 2 * batch_size:
        raise InputError(
            f"training and validation need a batch of {batch_size} rows each, {2 * batch_size} in all; "
            f"there are {total}. Accept more answers or lower train.batch_size."
        )


def _choose_probes(rows: dict[str, int], total: int, share: float, batch_size: int, seed: int) -> frozenset[str]:
    """The probes that validate: of all sums of rows that leave both sides a batch, the one nearest the share.

    A subset-sum over the probes in hash order; sums beyond `ceiling` cannot be the nearest, since leaving out a probe
    would still leave enough.
    """
    wanted = max(batch_size, round(share * total))
    ceiling = min(total - batch_size, wanted + max(rows.values()))
    reached: dict[int, tuple[int, str]] = {}
    for probe in in_hash_order(rows, seed):
        for before in [0, *sorted(reached)]:
            after = before + rows[probe]
            if after <= ceiling and after not in reached:
                reached[after] = (before, probe)
    sums = [sum_ for sum_ in reached if sum_ >= batch_size]
    if not sums:
        raise InputError(_no_split(rows, batch_size))
    return _walk_back(reached, min(sums, key=lambda sum_: (abs(sum_ - wanted), sum_)))


def _walk_back(reached: dict[int, tuple[int, str]], total: int) -> frozenset[str]:
    probes = set()
    while total:
        total, probe = reached[total]
        probes.add(probe)
    return frozenset(probes)


def _no_split(rows: dict[str, int], batch_size: int) -> str:
    counts = ", ".join(f"{probe} {count}" for probe, count in sorted(rows.items(), key=lambda item: -item[1])[:5])
    return (
        f"no choice of whole probes leaves a batch of {batch_size} rows on both sides (rows of the largest: {counts}). "
        "Accept answers of more probes or lower train.batch_size."
    )


def _describe(parts: Split, candidates: Sequence[CellCandidates]) -> DatasetManifest:
    train, valid = [one.sample_id for one in parts.train], [one.sample_id for one in parts.valid]
    train_rows, valid_rows = [one.row() for one in parts.train], [one.row() for one in parts.valid]
    return DatasetManifest(
        hash=_hash(train, train_rows, valid, valid_rows),
        train=tuple(train),
        valid=tuple(valid),
        train_probes=tuple(sorted({one.probe for one in parts.train})),
        valid_probes=tuple(sorted({one.probe for one in parts.valid})),
        candidates=tuple(candidates),
    )


def _hash(train: Sequence[str], train_rows: Sequence[Any], valid: Sequence[str], valid_rows: Sequence[Any]) -> str:
    return content_hash({"train": [list(train), list(train_rows)], "valid": [list(valid), list(valid_rows)]})


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
