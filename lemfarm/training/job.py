"""What the trainer and its child process say to each other: one job in, a line per event out.

The job is a JSON file; the child leaves its results in the folder that holds it. Every line of its standard output is
one JSON object with an `event`; `iteration` always counts optimizer updates that are done:

    {"event": "progress", "stage": "loading" | "reading" | "training" | "saving", ...}
    {"event": "warning", "message"}                                                  for a person; training goes on
    {"event": "refused", "rows": {sample id: tokens}, "limit": max_seq_length}       too long, left out of training
    {"event": "resumed", "iteration"}                        from a checkpoint; its curve follows, without the figures
    {"event": "valid_loss", "iteration", "loss", "seconds"}
    {"event": "train_loss", "iteration", "loss", "learning_rate", "tokens_per_second", "trained_tokens", "peak_memory"}
    {"event": "checkpoint", "iteration", "folder"}
    {"event": "enough", "iteration", "best"}                                         ended early: `patience` ran out
    {"event": "done", "iteration", "adapter", "used", "seconds"}                     the last line of a success
    {"event": "stopped"}                                                             the last line after a stop
    {"event": "error", "message", "sample_ids", "final"}                             the last line of a failure

Losses are means per trained token, times in seconds, `peak_memory` in bytes; `used` is the update whose weights the
adapter has; `final` is true where trying the same again cannot help. To the child, a line `stop` on standard input
means: stop at the next micro-step, after a checkpoint. The end of standard input means that the parent is dead: stop at
once.
"""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from lemfarm.errors import InputError
from lemfarm.identity import content_hash

Event = Mapping[str, Any]

#: The job's file, in the folder where the child leaves its results.
JOB_FILE = "job.json"

#: Fields that say where things lie on this machine or how it is guarded, and so are no part of what a job is.
_CIRCUMSTANCES = frozenset({"model", "dataset", "adapters", "parent", "label", "memory_guard"})


@dataclass(frozen=True, slots=True)
class LoraJob:
    """One phase of training. The names of the settings are those of the run file (`train` and `phases[].train`).

    model           folder of the base model; `model_hash` is its content hash, or any name that identifies it
    dataset         folder written by `curation.dataset`; `dataset_hash` is the hash in its manifest
    adapters        folder in which the finished adapter appears under its id
    parent          folder of the finished adapter to continue from; `parent_id` is its id
    iterations, steps_per_eval, save_every    optimizer updates; each is `grad_accumulation_steps` micro-steps
    max_seq_length  tokens; a longer row is left out, never cut
    num_layers      how many of the last layers get LoRA weights; -1 means all
    keys            which linear layers within them; None means all
    schedule        how the rate goes on after `warmup` updates of climbing: constant, cosine or linear, both to zero
    patience        validations without a better one that end the training; None: all iterations are made
    use             which weights become the adapter: those of the best validation, or the last
    stop_at_loss_ratio    a loss above this many times the first validation's ends it as broken; None: only NaN does
    memory_guard    refuse a training that will hardly fit into memory, or warn
    valid_batches   how many batches each validation looks at, spread over the validation rows; -1 means all
    label           for people: names the job in logs and messages
    """

    model: Path
    model_hash: str
    dataset: Path
    dataset_hash: str
    adapters: Path
    iterations: int
    learning_rate: float
    steps_per_eval: int
    save_every: int
    max_seq_length: int
    rank: int
    scale: float
    dropout: float
    num_layers: int
    batch_size: int
    grad_accumulation_steps: int
    grad_checkpoint: bool
    optimizer: str
    mask_prompt: bool
    seed: int
    parent: Path | None = None
    parent_id: str | None = None
    keys: tuple[str, ...] | None = None
    schedule: str = "constant"
    warmup: int = 0
    patience: int | None = None
    use: str = "best"
    stop_at_loss_ratio: float | None = None
    memory_guard: str = "refuse"
    valid_batches: int = 25
    label: str = "training"

    def __post_init__(self) -> None:
        counted = ("iterations", "steps_per_eval", "save_every", "max_seq_length", "rank", "batch_size")
        wrong = [name for name in (*counted, "grad_accumulation_steps", "learning_rate") if getattr(self, name) <= 0]
        if wrong:
            raise InputError(f"{self.label}: {', '.join(wrong)} must be above zero.")
        if not 0 <= self.warmup < self.iterations:
            raise InputError(f"{self.label}: warmup is {self.warmup}; it must leave some of {self.iterations} updates.")
        if (self.parent is None) != (self.parent_id is None):
            raise InputError(f"{self.label}: the adapter to continue needs both its folder and its id.")

    @property
    def key(self) -> str:
        """The name of this job by what it is, wherever its files lie: equal keys make equal adapters."""
        return content_hash(self.settings())

    def settings(self) -> dict[str, Any]:
        """What the job is, without where its files lie."""
        return {name: value for name, value in self.to_dict().items() if name not in _CIRCUMSTANCES}

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON values; places are absolute, since the child works in a folder of its own."""
        return {name: _plain(value) for name, value in asdict(self).items()}

    def examples_seen(self, updates: int) -> int:
        """Rows that so many updates learn from, repetitions counted."""
        return updates * self.grad_accumulation_steps * self.batch_size

    def lora_parameters(self) -> dict[str, Any]:
        """The part of `adapter_config.json` that must stay the same for a whole course (with `num_layers`)."""
        parameters: dict[str, Any] = {"rank": self.rank, "scale": self.scale, "dropout": self.dropout}
        return parameters if self.keys is None else {**parameters, "keys": list(self.keys)}


def write_job(job: LoraJob, path: Path) -> None:
    """Write the file that the child process is started with. Raises OSError."""
    path.write_text(json.dumps(job.to_dict(), indent=2) + "\n")


def read_job(path: Path) -> LoraJob:
    """The job in a file that `write_job` made. Raises OSError, ValueError, TypeError."""
    values = json.loads(path.read_text())
    for name in ("model", "dataset", "adapters", "parent"):
        values[name] = None if values.get(name) is None else Path(values[name])
    if values.get("keys") is not None:
        values["keys"] = tuple(values["keys"])
    unknown = values.keys() - {one.name for one in fields(LoraJob)}
    if unknown:
        raise ValueError(f"{path}: unknown settings {sorted(unknown)}")
    return LoraJob(**values)


def _plain(value: Any) -> Any:
    return str(value.absolute()) if isinstance(value, Path) else value
