"""Checkpoints of a training: whole or not there, so that a kill at any moment costs the updates since the last one.

A checkpoint is a folder `checkpoint-0000025` within the folder of the job: weights, the optimizer's state, the best
weights so far, and `state.json` with the hash of each. It is built under another name, flushed to disk and renamed.
The last two are kept: should the newest have suffered on the disk, the one before it serves. What a training does in
an update depends on nothing but weights, optimizer state, seed and the number of the update, so no more is stored.
"""

import json
import shutil
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from lemfarm.errors import ModelError
from lemfarm.identity import file_hash
from lemfarm.training.adapters import CONFIG, to_disk

ADAPTER = "adapters.safetensors"
OPTIMIZER = "optimizer.safetensors"
BEST = "best.safetensors"

_STATE = "state.json"
_DRAFT = "checkpoint.draft"
_NAMES = "checkpoint-*"
_KEPT = 2


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a training has come: updates done, its curve, tokens and seconds spent, peak memory in bytes.

    `resumed` holds the updates from which it went on after an interruption.
    """

    iteration: int = 0
    curve: tuple[Mapping[str, Any], ...] = ()
    trained_tokens: int = 0
    seconds: float = 0.0
    peak_memory: int = 0
    resumed: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """A whole checkpoint on disk."""

    folder: Path
    progress: Progress


def save_checkpoint(folder: Path, job: str, progress: Progress, write: Callable[[Path], None]) -> Checkpoint:
    """Let `write` fill a new checkpoint of the job with that key, then declare it whole. Raises OSError (disk full)."""
    draft = folder / _DRAFT
    shutil.rmtree(draft, ignore_errors=True)
    draft.mkdir()
    write(draft)
    files = {path.name: file_hash(path) for path in sorted(draft.iterdir())}
    (draft / _STATE).write_text(json.dumps({"job": job, "files": files, "progress": asdict(progress)}))
    for path in (*draft.iterdir(), draft):
        to_disk(path)
    target = folder / f"checkpoint-{progress.iteration:07d}"
    shutil.rmtree(target, ignore_errors=True)
    draft.rename(target)
    to_disk(folder)
    for old in _all(folder)[:-_KEPT]:
        shutil.rmtree(old)
    return Checkpoint(target, progress)


def newest_checkpoint(folder: Path, job: str) -> Checkpoint | None:
    """The latest whole checkpoint of the job with that key; one that does not match its hashes is passed over."""
    found = (_read(place, job) for place in reversed(_all(folder)))
    return next((checkpoint for checkpoint in found if checkpoint is not None), None)


def has_checkpoint(folder: Path) -> bool:
    """Whether a training could go on here, by the looks of it."""
    return any((place / _STATE).is_file() for place in _all(folder))


def remove_checkpoints(folder: Path) -> None:
    """Remove all of them: the training is over, or must not go on."""
    for place in _all(folder):
        shutil.rmtree(place, ignore_errors=True)


def remove_leftovers(folder: Path) -> None:
    """Remove what a dead child had written beside its checkpoints."""
    shutil.rmtree(folder / _DRAFT, ignore_errors=True)
    for path in (*folder.glob("*.safetensors"), folder / CONFIG):
        path.unlink(missing_ok=True)


def _all(folder: Path) -> list[Path]:
    """From the oldest to the newest."""
    return sorted(folder.glob(_NAMES))


def _read(place: Path, job: str) -> Checkpoint | None:
    try:
        state = json.loads((place / _STATE).read_text())
        whole = all(file_hash(place / name) == expected for name, expected in state["files"].items())
        if state["job"] != job or not whole:
            return None
        fields = state["progress"]
        tuples = {name: tuple(fields[name]) for name in ("curve", "resumed")}
        return Checkpoint(place, Progress(**{**fields, **tuples}))
    except (OSError, ValueError, KeyError, TypeError, ModelError):
        return None
