"""The model that is trained: the frozen base with LoRA layers, fresh or continued. Serves `lora.py` alone."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import mlx.core as mx
import mlx.nn as nn
import mlx.optimizers as optimizers
import mlx.optimizers.schedulers as schedulers
import mlx_lm
from mlx.utils import tree_flatten
from mlx_lm.tuner import linear_to_lora_layers

from lemfarm.training.adapters import WEIGHTS, verify
from lemfarm.training.job import LoraJob
from lemfarm.training.lora_rows import LoraProblem

OPTIMIZERS: Mapping[str, Callable[..., optimizers.Optimizer]] = {
    "adafactor": optimizers.Adafactor,
    "adam": optimizers.Adam,
    "adamw": optimizers.AdamW,
    "lion": optimizers.Lion,
    "muon": optimizers.Muon,
    "sgd": optimizers.SGD,
}

Rates = Callable[[Any], Any]

#: What follows the warm-up, from the full rate and the number of updates that are left.
SCHEDULES: Mapping[str, Callable[[float, int], Rates]] = {
    "constant": lambda rate, updates: schedulers.linear_schedule(rate, rate, updates),
    "cosine": lambda rate, updates: schedulers.cosine_decay(rate, updates),
    "linear": lambda rate, updates: schedulers.linear_schedule(rate, 0.0, updates),
}


def load_model(job: LoraJob) -> tuple[nn.Module, Any]:
    """The frozen base model with fresh LoRA layers, or with the parent's weights in them, and its tokenizer."""
    try:
        model, tokenizer = mlx_lm.load(str(job.model))[:2]
    except Exception as error:  # a broken folder raises anything from KeyError to SafetensorError
        raise LoraProblem(f"{job.model}: the model cannot be loaded: {type(error).__name__}: {error}") from error
    layers = len(model.layers)
    if job.num_layers != -1 and not 1 <= job.num_layers <= layers:
        raise LoraProblem(f"train.num_layers is {job.num_layers}; this model has {layers} layers (-1 means all).")
    model.freeze()
    linear_to_lora_layers(model, job.num_layers, job.lora_parameters())
    if not tree_flatten(model.trainable_parameters()):
        raise LoraProblem(f"no layer of the model matches the LoRA keys {job.keys}; nothing would be trained.")
    if job.parent is not None:
        continue_from(model, job, job.parent)
    return model, tokenizer


def continue_from(model: nn.Module, job: LoraJob, parent: Path) -> None:
    """Start where the parent ended. mlx-lm would ignore tensors that fit nowhere; here they are an error."""
    manifest = verify(parent)
    if manifest.id != job.parent_id:
        raise LoraProblem(f"{parent}: holds adapter {manifest.id}, the job continues {job.parent_id}.")
    _require_same_course(manifest.config, adapter_config(job), parent)
    weights = mx.load(str(parent / WEIGHTS))
    assert isinstance(weights, dict)
    expected = dict(tree_flatten(model.trainable_parameters()))
    problems = [f"{name} is missing" for name in sorted(expected.keys() - weights.keys())]
    problems += [f"{name} has no place in the model" for name in sorted(weights.keys() - expected.keys())]
    problems += [
        f"{name} has shape {weights[name].shape}, not {expected[name].shape}"
        for name in sorted(expected.keys() & weights.keys())
        if weights[name].shape != expected[name].shape
    ]
    if problems:
        raise LoraProblem(f"{parent / WEIGHTS}: does not fit this model: {'; '.join(problems[:5])}.")
    model.load_weights(list(weights.items()), strict=False)


def make_optimizer(job: LoraJob) -> optimizers.Optimizer:
    """The optimizer of that name with its usual settings. Raises LoraProblem naming those there are."""
    if job.optimizer not in OPTIMIZERS:
        raise LoraProblem(f"train.optimizer is {job.optimizer!r}; there are {', '.join(OPTIMIZERS)}.")
    return OPTIMIZERS[job.optimizer](learning_rate=learning_rates(job))


def learning_rates(job: LoraJob) -> Rates:
    """The function from updates done to the rate of the next one. Raises LoraProblem naming the schedules there are.

    Warm-up climbs in even steps that reach the full rate in the update after it; none of its updates has a rate of
    zero. What follows falls so that the update after the last would have a rate of zero.
    """
    if job.schedule not in SCHEDULES:
        raise LoraProblem(f"train.schedule is {job.schedule!r}; there are {', '.join(SCHEDULES)}.")
    after = SCHEDULES[job.schedule](job.learning_rate, job.iterations - job.warmup)
    if job.warmup == 0:
        return after
    climb = schedulers.linear_schedule(job.learning_rate / (job.warmup + 1), job.learning_rate, job.warmup)
    return schedulers.join_schedules([climb, after], [job.warmup])  # type: ignore[no-any-return]


def adapter_config(job: LoraJob) -> dict[str, Any]:
    """What stock mlx-lm reads to rebuild the layers, and the base model that they belong to."""
    return {
        "fine_tune_type": "lora",
        "model": job.model_hash,
        "num_layers": job.num_layers,
        "lora_parameters": job.lora_parameters(),
    }


def _require_same_course(parent: Mapping[str, Any], ours: Mapping[str, Any], folder: Path) -> None:
    """Rank, scale, keys, layers and base model are fixed for a course; dropout may change from phase to phase."""
    theirs, mine = _fixed(parent), _fixed(ours)
    different = [f"{name} {theirs.get(name)!r}, not {mine[name]!r}" for name in mine if theirs.get(name) != mine[name]]
    if different:
        raise LoraProblem(f"{folder}: was trained with {'; '.join(different)}; these are fixed for a whole course.")


def _fixed(config: Mapping[str, Any]) -> dict[str, Any]:
    parameters = config.get("lora_parameters", {})
    fixed = {name: parameters.get(name) for name in ("rank", "scale", "keys")}
    return fixed | {name: config.get(name) for name in ("model", "num_layers")}
