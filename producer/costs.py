"""What a campaign takes of one machine: time, memory, disk; each figure with its source, or why it cannot be had.

Nothing is loaded, hashed or downloaded: what a model's config.json and the sizes of its files tell has to do.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from lemfarm.config import MlxModel, OpenAiModel, RunConfig, SimulatedModel
from lemfarm.engine_record import EngineRecord, describe, findings, model_name
from lemfarm.errors import LemfarmError
from lemfarm.estimates import (
    Memory,
    Rate,
    Shape,
    adapter_bytes,
    adapters_bytes,
    disk_bytes,
    generation_seconds,
    memory_limit,
    memory_plan,
    rate_for,
    read_shape,
    weights_bytes,
)
from lemfarm.home import Home
from lemfarm.machine import MachineFacts, free_disk
from lemfarm.models import is_hub_id

#: `27b` in `gemma-3-27b-it`, but neither `4bit` nor the `1b` of `3.1b`.
_SIZE_IN_NAME = re.compile(r"(?<![\d.])(\d+(?:\.\d+)?)b(?![a-z])", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Work:
    """What a phase, or the evaluation, may ask of a machine. Tokens; `samples` is the most, `expected` is typical."""

    samples: int
    expected: float
    kernel_tokens: int
    prompt_tokens: int
    max_tokens: int


@dataclass(frozen=True, slots=True)
class Costs:
    """What it takes on this machine. Bytes and seconds; `seconds` at a typical pass rate, evaluation included.

    `sources` says of each figure where it comes from, `missing` which figures cannot be had and why; `measured` is what
    workers of this machine have found out about the model.
    """

    machine: str
    rate: Rate | None
    seconds: float | None
    memory: Memory | None
    disk: int
    disk_free: int
    sources: dict[str, str]
    missing: tuple[str, ...]
    measured: tuple[str, ...] = ()

    @property
    def warnings(self) -> Iterator[str]:
        """What this machine cannot do."""
        if self.memory is not None and self.memory.slots == 0:
            yield "the model leaves no room for a sample in this machine's memory: it cannot be a worker of this run"
        if self.disk > self.disk_free:
            yield f"the home's disk has {self.disk_free:,} bytes free, the run may need {self.disk:,}"


@dataclass(frozen=True, slots=True)
class LocalModel:
    """What is known of a run's model here. `why_not` is empty unless the shape is missing."""

    folder: Path | None
    shape: Shape | None
    why_not: str = ""


def look_up(config: RunConfig) -> LocalModel:
    """The model's folder and shape if it lies here; its weights are neither read nor hashed."""
    if isinstance(config.model, OpenAiModel):
        return LocalModel(None, None, "only a trial can tell how fast the endpoint is: `lemfarm try` measures it")
    if not isinstance(config.model, MlxModel):
        return LocalModel(None, None)
    folder = _folder(config.model)
    if folder is None:
        revision = f" --revision {config.model.revision}" if config.model.revision else ""
        fetch = f"`lemfarm model get {config.model.path}{revision}` fetches it"
        return LocalModel(None, None, f"{config.model.path} is not on this machine; {fetch}")
    try:
        return LocalModel(folder, read_shape(folder))
    except LemfarmError as error:
        return LocalModel(folder, None, str(error))


def _folder(model: MlxModel) -> Path | None:
    if not is_hub_id(model.path):
        return Path(model.path)
    from huggingface_hub import try_to_load_from_cache

    found = try_to_load_from_cache(model.path, "config.json", revision=model.revision)
    return Path(found).parent if isinstance(found, str) else None


def rate_of(config: RunConfig, model: LocalModel, facts: MachineFacts, measured: float | None = None) -> Rate | None:
    """Seconds per sample: measured, as simulated, by an endpoint's budgets, or by the model's size; none when that is
    not known."""
    if measured is not None:
        return rate_for(0, mean_tokens=0, apple=facts.apple, measured=measured)
    if isinstance(config.model, SimulatedModel):
        return _simulated_rate(config.model)
    if isinstance(config.model, OpenAiModel):
        return _budgeted_rate(config.model, config.sampling.max_tokens)
    parameters, remark = parameters_of(config, model)
    if parameters is None:
        return None
    rate = rate_for(parameters, mean_tokens=config.sampling.max_tokens, apple=facts.apple)
    return Rate(rate.seconds_per_sample, rate.source + remark)


def parameters_of(config: RunConfig, model: LocalModel) -> tuple[int | None, str]:
    """How many the run's model has, and a remark for the source when only its name tells."""
    if model.shape is not None:
        return model.shape.parameters, ""
    name = config.model.path if isinstance(config.model, MlxModel) else ""
    found = _SIZE_IN_NAME.search(name.rpartition("/")[2])
    return (int(float(found[1]) * 1e9), f"; {found[0].upper()} by the model's name") if found else (None, "")


def _simulated_rate(model: SimulatedModel) -> Rate:
    decode = model.mean_tokens / model.tokens_per_second if model.tokens_per_second else 0.0
    seconds = (model.first_token_seconds + decode) / model.slots
    if seconds == 0:
        return Rate(0.0, "simulated without waiting: as fast as the queue and the database")
    return Rate(seconds, f"simulated as configured, {model.slots} slots")


def _budgeted_rate(model: OpenAiModel, max_tokens: int) -> Rate | None:
    """As fast as one worker's budgets allow, if it has any, with every answer at its longest."""
    by_requests = 60 / model.requests_per_minute if model.requests_per_minute else 0.0
    by_tokens = 60 * max_tokens / model.tokens_per_minute if model.tokens_per_minute else 0.0
    seconds = max(by_requests, by_tokens)
    return Rate(seconds, "the budgets per minute of one worker, without prompts") if seconds else None


def costs_of(
    config: RunConfig,
    home: Home,
    facts: MachineFacts,
    model: LocalModel,
    rate: Rate | None,
    work: Sequence[Work],
) -> Costs:
    """Put the figures together. Raises OSError when the disk cannot be asked."""
    memory, adapters = _memory(model, facts, work), _adapters(config, model)
    sources = {"disk": _disk_source(config, adapters)}
    if rate:
        sources["time"] = rate.source
    if memory:
        sources["memory"] = f"config.json and weights in {model.folder}; a fifth of a worker's memory is left free"
    return Costs(
        machine=f"{facts.chip}, {facts.system}",
        rate=rate,
        seconds=generation_seconds(sum(one.expected for one in work), rate) if rate else None,
        memory=memory,
        disk=adapters + sum(disk_bytes(one.samples, _length(config, one)) for one in work),
        disk_free=free_disk(home.root),
        sources=sources,
        missing=tuple(_missing(config, model, rate, memory)),
        measured=_measured(config, home, model),
    )


def _measured(config: RunConfig, home: Home, model: LocalModel) -> tuple[str, ...]:
    learnt = EngineRecord.of(home, model_name(model.folder, config.model.path)).read()
    shortage = learnt.shortage()
    return (*findings(learnt), *([describe(shortage)] if shortage else []))


def _memory(model: LocalModel, facts: MachineFacts, work: Sequence[Work]) -> Memory | None:
    """The phase that needs most decides."""
    if model.folder is None or model.shape is None:
        return None
    try:
        weights = weights_bytes(model.folder)
    except LemfarmError:
        return None  # `_missing` names the folder; `lemfarm doctor` says what is wrong with it
    limit = memory_limit(facts.memory, apple=facts.apple)
    plans = [
        memory_plan(
            model.shape,
            weights,
            limit,
            kernel_tokens=one.kernel_tokens,
            prompt_tokens=one.prompt_tokens,
            max_tokens=one.max_tokens,
        )
        for one in work
    ]
    return min(plans, key=lambda plan: (plan.slots, -plan.needed))


def _length(config: RunConfig, work: Work) -> int:
    """Tokens of an answer as they are reckoned for the disk."""
    return config.model.mean_tokens if isinstance(config.model, SimulatedModel) else work.max_tokens


def _disk_source(config: RunConfig, adapters: int) -> str:
    simulated = isinstance(config.model, SimulatedModel)
    source = "the whole grid, answers of mean length" if simulated else "the whole grid, every answer at its longest"
    return source + (", adapters and checkpoints" if adapters else "")


def _adapters(config: RunConfig, model: LocalModel) -> int:
    if model.shape is None or config.train is None:
        return 0
    size = adapter_bytes(model.shape, config.train.rank, config.train.num_layers)
    return adapters_bytes(size, sum(phase.train is not None for phase in config.phases))


def _missing(config: RunConfig, model: LocalModel, rate: Rate | None, memory: Memory | None) -> Iterator[str]:
    if isinstance(config.model, SimulatedModel):
        return
    trains = any(phase.train for phase in config.phases)
    figures = ["time"] * (rate is None) + ["memory"] * (memory is None and isinstance(config.model, MlxModel))
    figures += ["disk for adapters"] * (trains and model.shape is None)
    if figures:
        why = model.why_not or f"{model.folder} holds no whole model; `lemfarm doctor` says what is wrong"
        yield f"{', '.join(figures)}: {why}"
