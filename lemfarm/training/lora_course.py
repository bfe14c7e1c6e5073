"""One training from its first update, or from its last checkpoint, to the weights that become the adapter.

mlx-lm's own loop does the updates; here they are counted, judged, validated and saved. It knows no resume, so after
an interruption it is given what is left: the weights and the optimizer's state of a checkpoint, and the batches from
there on. Serves `lora.py` alone.
"""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from math import isfinite
from pathlib import Path
from typing import Any

import mlx.core as mx
import mlx.nn as nn
from mlx.utils import tree_flatten, tree_unflatten
from mlx_lm.tuner import TrainingArgs, train
from mlx_lm.tuner.callbacks import TrainingCallback
from mlx_lm.tuner.trainer import evaluate

from lemfarm.training.adapters import WEIGHTS
from lemfarm.training.checkpoints import (
    ADAPTER,
    BEST,
    OPTIMIZER,
    Checkpoint,
    Progress,
    newest_checkpoint,
    remove_leftovers,
    save_checkpoint,
)
from lemfarm.training.curves import best_validation, has_lost_patience, highest_sane_loss
from lemfarm.training.job import LoraJob
from lemfarm.training.lora_model import make_optimizer
from lemfarm.training.lora_rows import Batches, LoraProblem, Row, spread

Emit = Callable[[Mapping[str, Any]], None]

#: The share of the memory limit from which a person is warned.
_NEARLY_FULL = 0.9


class Stopped(Exception):
    """The parent asked to stop; not an error, a checkpoint is kept."""


class _Enough(Exception):
    """No validation got better for so long that the rest is not worth its time."""


@dataclass(frozen=True, slots=True)
class _MicroStep:
    loss: float
    tokens: float
    seconds: float
    samples: tuple[str, ...]


class Course(TrainingCallback):  # type: ignore[misc]
    """One training: counts updates, records the curve, keeps checkpoints and the best weights.

    `memory_limit` is in bytes; training beyond it goes on, with a warning.
    """

    def __init__(
        self,
        job: LoraJob,
        folder: Path,
        model: nn.Module,
        valid: list[Row],
        batches: Batches,
        emit: Emit,
        memory_limit: int,
    ) -> None:
        self.job, self.folder, self.model, self.batches, self.emit = job, folder, model, batches, emit
        self.memory_limit = memory_limit
        wanted = len(valid) if job.valid_batches < 0 else job.valid_batches * job.batch_size
        self.valid = spread(valid, wanted)
        self.optimizer = make_optimizer(job)
        self.iteration = 0
        self.curve: list[dict[str, Any]] = []
        self._before = Progress()
        self._began = time.monotonic()
        self._trained_tokens = 0
        self._micro_steps: list[_MicroStep] = []
        self._saved_at = 0
        self._warned = False

    @property
    def progress(self) -> Progress:
        """All that was done for this job so far, interruptions included."""
        before = self._before
        return Progress(
            iteration=self.iteration,
            curve=tuple(self.curve),
            trained_tokens=before.trained_tokens + self._trained_tokens,
            seconds=before.seconds + time.monotonic() - self._began,
            peak_memory=max(before.peak_memory, mx.get_peak_memory()),
            resumed=before.resumed,
        )

    def run(self, rows: list[Row]) -> int:
        """Train on the rows and leave the adapter's weights in the folder; returns the update they come from."""
        try:
            self._begin()
            self._train(rows)
        except _Enough:
            best = best_validation(self.curve)
            self.emit({"event": "enough", "iteration": self.iteration, "best": best and best["iteration"]})
        except Stopped:
            self._save()
            raise
        return self._finish()

    def on_train_loss_report(self, train_info: dict[str, Any]) -> None:
        """Called by mlx-lm after each micro-step. `trained_tokens` counts from the beginning of its loop."""
        tokens = train_info["trained_tokens"] - self._trained_tokens
        seconds = 1 / train_info["iterations_per_second"]
        step = _MicroStep(train_info["train_loss"], tokens, seconds, self.batches.recent)
        self._trained_tokens += tokens
        self._require_finite("training", self.iteration + 1, step.loss, step.samples)
        self._micro_steps.append(step)
        if len(self._micro_steps) == self.job.grad_accumulation_steps:
            self._after_update(train_info["learning_rate"])

    def _begin(self) -> None:
        found = newest_checkpoint(self.folder, self.job.key)
        remove_leftovers(self.folder)
        if found is None:
            self._validate()
        else:
            self._resume(found)

    def _train(self, rows: list[Row]) -> None:
        job = self.job
        left = (job.iterations - self.iteration) * job.grad_accumulation_steps
        if left == 0:
            return
        arguments = TrainingArgs(
            batch_size=job.batch_size,
            iters=left,
            steps_per_report=1,
            steps_per_save=left + 1,  # never: checkpoints are saved by update
            max_seq_length=job.max_seq_length,
            adapter_file=str(self.folder / WEIGHTS),
            grad_checkpoint=job.grad_checkpoint,
            grad_accumulation_steps=job.grad_accumulation_steps,
        )
        train(
            model=self.model,
            optimizer=self.optimizer,
            train_dataset=rows,
            args=arguments,
            iterate_batches=self.batches,
            training_callback=self,
        )

    def _after_update(self, rate: float) -> None:
        steps, self._micro_steps = self._micro_steps, []
        self.iteration += 1
        loss = sum(step.loss for step in steps) / len(steps)
        worst = max(steps, key=lambda step: step.loss)
        self._require_sane("training", loss, worst.samples)
        point = {"event": "train_loss", "iteration": self.iteration, "loss": loss, "learning_rate": rate}
        self.curve.append(point)
        progress = self.progress
        self.emit(
            point
            | {
                "tokens_per_second": sum(step.tokens for step in steps) / sum(step.seconds for step in steps),
                "trained_tokens": progress.trained_tokens,
                "peak_memory": progress.peak_memory,
            }
        )
        self._watch_memory(progress.peak_memory)
        self._look_after()

    def _look_after(self) -> None:
        """What is due at this update and was not done yet: a validation, an early end, a checkpoint."""
        last = self.iteration == self.job.iterations
        if (last or self.iteration % self.job.steps_per_eval == 0) and not self._is_validated():
            self._validate()
        if not last and has_lost_patience(self.curve, self.job.patience):
            raise _Enough
        if not last and self.iteration % self.job.save_every == 0:
            self._save()

    def _is_validated(self) -> bool:
        return any(point["event"] == "valid_loss" and point["iteration"] == self.iteration for point in self.curve)

    def _validate(self) -> None:
        """The loss on the validation rows with the weights of this moment; the best so far are kept."""
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
        self._require_finite("validation", self.iteration, loss, ())
        self._require_sane("validation", loss, ())
        point = {"event": "valid_loss", "iteration": self.iteration, "loss": loss}
        self.curve.append(point)
        if best_validation(self.curve) is point:
            self._write_weights(self.folder / BEST)
        self.emit(point | {"seconds": time.perf_counter() - began})

    def _save(self) -> None:
        if self.iteration == self._saved_at:
            return
        saved = save_checkpoint(self.folder, self.job.key, self.progress, self._fill)
        self._saved_at = self.iteration
        self.emit({"event": "checkpoint", "iteration": self.iteration, "folder": saved.folder.name})

    def _fill(self, folder: Path) -> None:
        """Write a checkpoint's tensors; the best weights are a second name of the file that is there."""
        self._write_weights(folder / ADAPTER)
        mx.save_safetensors(str(folder / OPTIMIZER), dict(tree_flatten(self.optimizer.state)))
        if (self.folder / BEST).exists():
            (folder / BEST).hardlink_to(self.folder / BEST)

    def _resume(self, found: Checkpoint) -> None:
        self.model.load_weights(list(_load(found.folder / ADAPTER).items()), strict=False)
        self.optimizer.state = tree_unflatten(list(_load(found.folder / OPTIMIZER).items()))
        mx.eval(self.model.parameters(), self.optimizer.state)
        if (found.folder / BEST).exists():
            (self.folder / BEST).hardlink_to(found.folder / BEST)
        self.iteration = self._saved_at = found.progress.iteration
        self.curve = [dict(point) for point in found.progress.curve]
        self._before = replace(found.progress, resumed=(*found.progress.resumed, self.iteration))
        self.batches.made = self.iteration * self.job.grad_accumulation_steps
        self.emit({"event": "resumed", "iteration": self.iteration})
        for point in self.curve:
            self.emit(point)
        self._look_after()

    def _finish(self) -> int:
        best = best_validation(self.curve)
        if self.job.use == "best" and best is not None:
            (self.folder / BEST).replace(self.folder / WEIGHTS)
            return int(best["iteration"])
        (self.folder / BEST).unlink(missing_ok=True)
        self._write_weights(self.folder / WEIGHTS)
        return self.iteration

    def _write_weights(self, path: Path) -> None:
        """The trained tensors, whole under that name or not at all; a file that had it stays as it was."""
        draft = path.with_name(f"draft-{path.name}")
        mx.save_safetensors(str(draft), dict(tree_flatten(self.model.trainable_parameters())))
        draft.replace(path)

    def _require_finite(self, kind: str, update: int, loss: float, samples: tuple[str, ...]) -> None:
        if not isfinite(loss):
            raise _broken(f"the {kind} loss became {loss} at update {update}", samples)

    def _require_sane(self, kind: str, loss: float, samples: tuple[str, ...]) -> None:
        limit = highest_sane_loss(self.curve, self.job.stop_at_loss_ratio)
        if limit is not None and loss > limit:
            grown = f"the {kind} loss grew to {loss:.3g} at update {self.iteration}, beyond {limit:.3g}"
            raise _broken(f"{grown} (stop_at_loss_ratio {self.job.stop_at_loss_ratio:g})", samples)

    def _watch_memory(self, peak: int) -> None:
        if self._warned or peak < _NEARLY_FULL * self.memory_limit:
            return
        self._warned = True
        used = f"training has used {peak / 1e9:.1f} GB at its peak, this process may have {self.memory_limit / 1e9:.1f}"
        self.emit({"event": "warning", "message": f"{used}: lower max_seq_length, batch_size or num_layers"})


def _broken(what: str, samples: tuple[str, ...]) -> LoraProblem:
    named = f" on samples {', '.join(samples)}" if samples else ""
    return LoraProblem(
        f"{what}{named}; nothing of this training is kept. Lower the phase's learning_rate, or look at those answers.",
        samples,
    )


def _load(path: Path) -> dict[str, mx.array]:
    tensors = mx.load(str(path))
    assert isinstance(tensors, dict)
    return tensors
