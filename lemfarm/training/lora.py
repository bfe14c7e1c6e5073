"""The child process that trains: `python -m lemfarm.training.lora JOB.json` (see `job.py` for what it says).

A process of its own, because mlx-lm's gradient checkpointing changes a class for good, because a Metal out-of-memory
ends a process without an exception, and because memory comes back for certain only when a process ends. It leaves
`adapters.safetensors`, `adapter_config.json` and, last, `manifest.json` in the folder of the job file, and checkpoints
on the way, from which the same job goes on after any interruption.
"""

import json
import os
import sys
import threading
import traceback
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any

import mlx.core as mx

from lemfarm import machine
from lemfarm.curation.dataset import read_dataset, read_rows
from lemfarm.errors import LemfarmError
from lemfarm.training.adapters import CONFIG, AdapterManifest, seal
from lemfarm.training.checkpoints import Progress
from lemfarm.training.guard import forecast, objections
from lemfarm.training.job import LoraJob, read_job
from lemfarm.training.lora_course import Course, Emit, Stopped
from lemfarm.training.lora_model import adapter_config, load_model
from lemfarm.training.lora_rows import Batches, LoraProblem, Row, part_by_length, tokenize

_ORPHANED = 3  # exit code when the parent is gone
_LIBRARIES = ("lemfarm", "mlx", "mlx-lm", "numpy", "transformers")


def train_job(job: LoraJob, folder: Path, emit: Emit, stop: threading.Event) -> AdapterManifest:
    """Everything from an empty folder, or one with checkpoints, to a sealed adapter.

    Raises LemfarmError, Stopped, and what MLX raises.
    """
    batches = Batches(job.seed, lambda: _raise_if(stop))
    emit({"event": "progress", "stage": "loading"})
    mx.random.seed(job.seed)  # the fresh LoRA weights
    model, tokenizer = load_model(job)
    _raise_if(stop)
    emit({"event": "progress", "stage": "reading"})
    train_rows, valid_rows, refused = prepare_rows(job, tokenizer)
    if refused:
        emit({"event": "refused", "rows": refused, "limit": job.max_seq_length})
    require_batch(job, train_rows, valid_rows, refused)
    limit = memory_limit_here()
    amount = workload(job, train_rows, valid_rows, job.iterations)
    emit({"event": "progress", "stage": "training", **amount, **look_ahead(job, train_rows, limit, emit)})
    course = Course(job, folder, model, valid_rows, batches, emit, limit)
    used = course.run(train_rows)
    emit({"event": "progress", "stage": "saving"})
    progress = course.progress
    done_amount = workload(job, train_rows, valid_rows, progress.iteration)
    manifest = finish(job, folder, progress, refused, {**done_amount, "used": used})
    done = {"iteration": progress.iteration, "adapter": manifest.id, "used": used, "seconds": progress.seconds}
    emit({"event": "done", **done})
    return manifest


def finish(
    job: LoraJob, folder: Path, progress: Progress, refused: Mapping[str, int], record: Mapping[str, Any]
) -> AdapterManifest:
    """Write what stock mlx-lm needs beside the weights, then seal the folder."""
    measured = {name: getattr(progress, name) for name in ("trained_tokens", "seconds", "peak_memory")}
    measured["resumed"] = list(progress.resumed)
    (folder / CONFIG).write_text(json.dumps(adapter_config(job), indent=2, sort_keys=True) + "\n")
    return seal(
        folder,
        job=job.key,
        dataset=job.dataset_hash,
        parent=job.parent_id,
        curve=progress.curve,
        refused=refused,
        versions={name: version(name) for name in _LIBRARIES},
        record={"label": job.label, "settings": job.settings(), **measured, **record},
    )


def prepare_rows(job: LoraJob, tokenizer: Any) -> tuple[list[Row], list[Row], dict[str, int]]:
    """Both sides as tokens without the rows that are too long, and those rows' lengths by sample id."""
    manifest = read_dataset(job.dataset)
    if manifest.hash != job.dataset_hash:
        raise LoraProblem(f"{job.dataset}: holds dataset {manifest.hash}, the job is about {job.dataset_hash}.")
    train_lines, valid_lines = read_rows(job.dataset)
    train_rows = tokenize(manifest.train, train_lines, tokenizer, mask_prompt=job.mask_prompt)
    valid_rows = tokenize(manifest.valid, valid_lines, tokenizer, mask_prompt=job.mask_prompt)
    train_fit, train_long = part_by_length(train_rows, job.max_seq_length)
    valid_fit, valid_long = part_by_length(valid_rows, job.max_seq_length)
    return train_fit, valid_fit, train_long | valid_long


def require_batch(job: LoraJob, train_rows: list[Row], valid_rows: list[Row], refused: Mapping[str, int]) -> None:
    """Raise LoraProblem, naming the refused samples, when a side has less than one batch."""
    for side, rows in (("training", train_rows), ("validation", valid_rows)):
        if len(rows) < job.batch_size:
            longest = ", ".join(f"{sample} ({tokens} tokens)" for sample, tokens in refused.items())
            refusal = f" Longer than max_seq_length {job.max_seq_length}: {longest}." if refused else ""
            needed = f"{len(rows)} {side} rows are left, a batch needs {job.batch_size}."
            raise LoraProblem(needed + refusal, list(refused))


def memory_limit_here() -> int:
    """Bytes that this process may have: what Metal recommends, else the machine's memory."""
    return int(mx.device_info().get("max_recommended_working_set_size") or machine.memory()[0])


def look_ahead(job: LoraJob, rows: list[Row], limit: int, emit: Emit) -> dict[str, Any]:
    """What it will take, where that can be told; warns, or raises InputError, where it will hardly fit."""
    lengths, (_, free) = [len(row.tokens) for row in rows], machine.memory()
    ahead = forecast(job, lengths, limit=limit, free=free, apple=mx.metal.is_available())
    if ahead is None:
        return {}
    for message in objections(job, ahead):
        emit({"event": "warning", "message": message})
    return ahead.facts()


def workload(job: LoraJob, train_rows: list[Row], valid_rows: list[Row], updates: int) -> dict[str, Any]:
    """How much is seen: rows of either side, and the examples and epochs that the updates amount to."""
    seen = job.examples_seen(updates)
    return {
        "iterations": updates,
        "train_rows": len(train_rows),
        "valid_rows": len(valid_rows),
        "examples_seen": seen,
        "epochs": seen / len(train_rows),
    }


def main(arguments: list[str]) -> int:
    """Run the job file named by the only argument; 0 after `done` or `stopped`, 1 after `error`."""
    emit = _take_stdout()
    stop = threading.Event()
    threading.Thread(target=_listen, args=(stop,), daemon=True).start()
    try:
        path = Path(arguments[0])
        train_job(read_job(path), path.parent, emit, stop)
    except Stopped:
        emit({"event": "stopped"})
    except LemfarmError as error:
        samples = list(getattr(error, "sample_ids", ()))
        emit({"event": "error", "message": str(error), "sample_ids": samples, "final": True})
        return 1
    except Exception as error:  # noqa: BLE001  the parent is told of every end, whatever its cause
        traceback.print_exc()
        message = f"{type(error).__name__}: {error}"
        emit({"event": "error", "message": message, "sample_ids": [], "final": False})
        return 1
    return 0


def _take_stdout() -> Emit:
    """Keep the real standard output for events; whatever libraries print goes to standard error from now on."""
    events = os.fdopen(os.dup(1), "w", buffering=1, encoding="utf-8")
    os.dup2(2, 1)

    def emit(event: Mapping[str, Any]) -> None:
        events.write(json.dumps(event, allow_nan=False) + "\n")

    return emit


def _listen(stop: threading.Event) -> None:
    """Wait for `stop`; end the process when the parent is gone. Reads the descriptor itself: a thread that waits
    inside Python's own stdin would abort the interpreter's exit."""
    said = b""
    while chunk := os.read(0, 64):
        said += chunk
        if b"stop\n" in said:
            stop.set()
    os._exit(_ORPHANED)


def _raise_if(stop: threading.Event) -> None:
    if stop.is_set():
        raise Stopped


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
