"""Whether a training will fit into memory, and how long it may take: said before hours are spent on it."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from lemfarm.errors import InputError, ModelError
from lemfarm.estimates import TrainingMemory, read_shape, training_memory, training_rate, weights_bytes
from lemfarm.training.job import LoraJob

#: What the child tells of a forecast.
FORECAST = ("estimated_memory", "memory_limit", "estimated_seconds", "estimate_source")


@dataclass(frozen=True, slots=True)
class Forecast:
    """What a training will take: its memory in parts, tokens of all its rows with repetitions, seconds at the rate of
    `source`. `limit` is what this process may have, `free` what the machine has left once the model is loaded; bytes.
    """

    memory: TrainingMemory
    limit: int
    free: int
    tokens: float
    seconds: float
    source: str

    def facts(self) -> dict[str, Any]:
        """As the child tells it."""
        return dict(zip(FORECAST, (self.memory.needed, self.limit, self.seconds, self.source), strict=True))


def forecast(job: LoraJob, lengths: Sequence[int], *, limit: int, free: int, apple: bool) -> Forecast | None:
    """For training rows of these lengths in tokens; none where the model's config.json does not tell its shape."""
    try:
        shape, weights = read_shape(job.model), weights_bytes(job.model)
    except ModelError:
        return None
    memory = training_memory(
        shape,
        weights,
        max(lengths),
        batch_size=job.batch_size,
        rank=job.rank,
        num_layers=job.num_layers,
        grad_checkpoint=job.grad_checkpoint,
    )
    tokens = job.examples_seen(job.iterations) * sum(lengths) / len(lengths)
    rate = training_rate(shape.parameters, apple=apple)
    return Forecast(memory, limit, free, tokens, tokens * rate.seconds_per_token, rate.source)


def objections(job: LoraJob, ahead: Forecast) -> Iterator[str]:
    """What speaks against it, for a person. Raises InputError where the job refuses what will hardly fit."""
    needed = ahead.memory.needed
    if needed > ahead.limit:
        said = (
            f"training would take about {_gb(needed)} of memory (weights {_gb(ahead.memory.weights)}, activations "
            f"{_gb(ahead.memory.activations + ahead.memory.logits)}), this process may have {_gb(ahead.limit)}"
        )
        if job.memory_guard == "refuse":
            change = "lower max_seq_length, batch_size or num_layers, or set train.memory_guard to warn and try"
            raise InputError(f"{job.label}: {said}: {change}.")
        yield said
    elif needed - ahead.memory.weights > ahead.free:
        more = needed - ahead.memory.weights
        yield f"training needs about {_gb(more)} beside the model, {_gb(ahead.free)} are free: close other programs"


def _gb(amount: int) -> str:
    return f"{amount / 1e9:.1f} GB"
