"""The child process that trains: `python -m lemfarm.training.lora JOB.json` (see `job.py` for what it says).

A process of its own, because mlx-lm's gradient checkpointing changes a class for good, because a Metal out-of-memory
ends a process without an exception, and because memory comes back for certain only when a process ends. It leaves
`adapters.safetensors`, `adapter_config.json` and, last, `manifest.json` in the folder of the job file.
"""

import json
import os
import sys
import threading
import time
import traceback
from collections.abc import Callable, Mapping
from importlib.metadata import version
from math import isfinite
from pathlib import Path
from typing import Any

import mlx.core as mx
import mlx.nn as nn
import numpy as np
from mlx.utils import tree_flatten
from mlx_lm.tuner import TrainingArgs, train
from mlx_lm.tuner.callbacks import TrainingCallback
from mlx_lm.tuner.trainer import evaluate

from lemfarm.curation.dataset import read_dataset, read_rows
from lemfarm.errors import LemfarmError
from lemfarm.training.adapters import CONFIG, WEIGHTS, AdapterManifest, seal
from lemfarm.training.job import LoraJob, read_job
from lemfarm.training.lora_model import adapter_config, load_model, make_optimizer
from lemfarm.training.lora_rows import Batches, LoraProblem, Row, part_by_length, spread, tokenize

Emit = Callable[[Mapping[str, Any]], None]

_ORPHANED = 3  # exit code when the parent is gone
_LIBRARIES = ("lemfarm", "mlx", "mlx-lm", "numpy", "transformers")


class Stopped(Exception):
    """The parent asked to stop; not an error, nothing is kept."""


class Course(TrainingCallback):  # type: ignore[misc]
    """One training, from the first validation to the last update: counts updates, records the curve, saves."""

    def __init__(
        self, job: LoraJob, folder: Path, model: nn.Module, valid: list[Row], batches: Batches, emit: Emit
    ) -> None:
        self.job, self.folder, self.model, self.batches, self.emit = job, folder, model, batches, emit
        wanted = len(valid) if job.valid_batches < 0 else job.valid_batches * job.batch_size
        self.valid = spread(valid, wanted)
        self.curve: list[dict[str, Any]] = []

    def run(self, rows: list[Row]) -> None:
        """Train on the rows; mlx-lm counts micro-steps and calls back once per update."""
        job, accumulation = self.job, self.job.grad_accumulation_steps
        self.validate(0)
        arguments = TrainingArgs(
            batch_size=job.batch_size,
            iters=job.iterations * accumulation,
            steps_per_report=accumulation,
            steps_per_save=job.iterations * accumulation + 1,  # never: checkpoints are saved by update, below
            max_seq_length=job.max_seq_length,
            adapter_file=str(self.folder / WEIGHTS),
            grad_checkpoint=job.grad_checkpoint,
            grad_accumulation_steps=accumulation,
        )
        train(
            model=self.model,
            optimizer=make_optimizer(job),
            train_dataset=rows,
            args=arguments,
            iterate_batches=self.batches,
            training_callback=self,
        )

    def on_train_loss_report(self, train_info: dict[str, Any]) -> None:
        """Called by mlx-lm after each update: `iteration` is in micro-steps, `peak_memory` in 1e9 bytes."""
        update = train_info["iteration"] // self.job.grad_accumulation_steps
        self._require_finite("training", update, train_info["train_loss"], self.batches.recent)
        point = {
            "event": "train_loss",
            "iteration": update,
            "loss": train_info["train_loss"],
            "learning_rate": train_info["learning_rate"],
        }
        self.curve.append(point)
        self.emit(
            point
            | {
                "tokens_per_second": train_info["tokens_per_second"],
                "trained_tokens": train_info["trained_tokens"],
                "peak_memory": round(train_info["peak_memory"] * 1e9),
            }
        )
        last = update == self.job.iterations
        if last or update % self.job.steps_per_eval == 0:
            self.validate(update)
        if not last and update % self.job.save_every == 0:
            self.save_checkpoint(update)

    def validate(self, update: int) -> None:
        """The loss on the validation rows with the weights after `update` updates; training goes on undisturbed."""
        began = time.perf_counter()
        loss = evaluate(
            model=self.model,
            dataset=self.valid,
            batch_size=self.job.batch_size,
            num_batches=-1,
            max_seq_length=self.job.max_seq_length,
            iterate_batches=self.batches,
        )
        self.model.train()
        self._require_finite("validation", update, loss, ())
        point = {"event": "valid_loss", "iteration": update, "loss": loss}
        self.curve.append(point)
        self.emit(point | {"seconds": time.perf_counter() - began})

    def save_checkpoint(self, update: int) -> None:
        """Keep the weights of this moment beside the final ones; the name counts updates."""
        path = self.folder / f"{update:07d}_{WEIGHTS}"
        mx.save_safetensors(str(path), dict(tree_flatten(self.model.trainable_parameters())))
        self.emit({"event": "checkpoint", "iteration": update, "file": path.name})

    def _require_finite(self, kind: str, update: int, loss: float, samples: tuple[str, ...]) -> None:
        if isfinite(loss):
            return
        named = f" on samples {', '.join(samples)}" if samples else ""
        raise LoraProblem(
            f"the {kind} loss became {loss} at update {update}{named}; nothing of this training is kept. "
            "Lower the phase's learning_rate, or look at those answers.",
            samples,
        )


def train_job(job: LoraJob, folder: Path, emit: Emit, stop: threading.Event) -> AdapterManifest:
    """Everything from an empty folder to a sealed adapter. Raises LemfarmError, Stopped, and what MLX raises."""
    began = time.monotonic()
    batches = Batches(job.seed, lambda: _raise_if(stop), memory=job.grad_accumulation_steps)
    emit({"event": "progress", "stage": "loading"})
    mx.random.seed(job.seed)
    np.random.seed(job.seed % 2**32)
    model, tokenizer = load_model(job)
    _raise_if(stop)
    emit({"event": "progress", "stage": "reading"})
    train_rows, valid_rows, refused = prepare_rows(job, tokenizer)
    if refused:
        emit({"event": "refused", "rows": refused, "limit": job.max_seq_length})
    require_batch(job, train_rows, valid_rows, refused)
    amount = workload(job, train_rows, valid_rows)
    emit({"event": "progress", "stage": "training", **amount})
    course = Course(job, folder, model, valid_rows, batches, emit)
    course.run(train_rows)
    emit({"event": "progress", "stage": "saving"})
    seconds = time.monotonic() - began
    manifest = finish(job, folder, course.curve, refused, {"seconds": seconds, **amount})
    emit({"event": "done", "iteration": job.iterations, "adapter": manifest.id, "seconds": seconds})
    return manifest


def finish(
    job: LoraJob, folder: Path, curve: list[dict[str, Any]], refused: Mapping[str, int], record: Mapping[str, Any]
) -> AdapterManifest:
    """Write what stock mlx-lm needs beside the weights, then seal the folder."""
    (folder / CONFIG).write_text(json.dumps(adapter_config(job), indent=2, sort_keys=True) + "\n")
    return seal(
        folder,
        job=job.key,
        dataset=job.dataset_hash,
        parent=job.parent_id,
        curve=tuple(curve),
        refused=refused,
        versions={name: version(name) for name in _LIBRARIES},
        record={"label": job.label, "peak_memory": mx.get_peak_memory(), "settings": job.settings(), **record},
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


def workload(job: LoraJob, train_rows: list[Row], valid_rows: list[Row]) -> dict[str, Any]:
    """How much is seen: rows of either side, and the examples and epochs that the updates amount to."""
    seen = job.iterations * job.grad_accumulation_steps * job.batch_size
    return {
        "iterations": job.iterations,
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
