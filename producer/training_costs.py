"""What the training of a phase takes of one machine: memory and time, reckoned before anything is loaded."""

from collections.abc import Iterator
from dataclasses import dataclass

from lemfarm.config import PhaseConfig, RunConfig
from lemfarm.errors import LemfarmError
from lemfarm.estimates import TrainingMemory, memory_limit, training_memory, training_rate, weights_bytes
from lemfarm.machine import MachineFacts
from producer.costs import LocalModel, parameters_of


@dataclass(frozen=True, slots=True)
class TrainingCosts:
    """A phase's training on this machine. None stands for a figure that the model's absence leaves open.

    `memory` is for a row of `row_tokens`, the longest there can be; `seconds` takes every row to be that long, at a
    rate from `source`. `limit` is what one process may have, in bytes.
    """

    row_tokens: int
    memory: TrainingMemory | None
    limit: int
    seconds: float | None
    source: str

    def warnings(self, phase: str) -> Iterator[str]:
        """What this machine cannot do."""
        if self.memory is not None and self.memory.needed > self.limit:
            yield (
                f"phases.{phase}.train: training on rows of {self.row_tokens:,} tokens may take {self.memory.needed:,} "
                f"bytes of memory, a process may have {self.limit:,} here; it will be refused unless rows are shorter"
            )


def training_costs(
    config: RunConfig, phase: PhaseConfig, model: LocalModel, facts: MachineFacts, *, answered_tokens: int
) -> TrainingCosts | None:
    """Of one phase whose rows have at most so many tokens before they are measured; none where nothing is trained."""
    parameters, remark = parameters_of(config, model)
    if phase.train is None or config.train is None or parameters is None:
        return None
    tokens = min(answered_tokens, phase.train.max_seq_length)
    rows = phase.train.iterations * config.train.grad_accumulation_steps * config.train.batch_size
    rate = training_rate(parameters, apple=facts.apple)
    limit = memory_limit(facts.memory, apple=facts.apple)
    seconds = rows * tokens * rate.seconds_per_token
    return TrainingCosts(tokens, _memory(config, model, tokens), limit, seconds, rate.source + remark)


def _memory(config: RunConfig, model: LocalModel, tokens: int) -> TrainingMemory | None:
    if model.folder is None or model.shape is None or config.train is None:
        return None
    try:
        weights = weights_bytes(model.folder)
    except LemfarmError:
        return None  # `costs` names what is missing
    return training_memory(
        model.shape,
        weights,
        tokens,
        batch_size=config.train.batch_size,
        rank=config.train.rank,
        num_layers=config.train.num_layers,
        grad_checkpoint=config.train.grad_checkpoint,
    )
