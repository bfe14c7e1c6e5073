"""What a campaign would be before anything is done: grid, quotas, expected yield, time, memory, disk, training.

The Python twin of `lemfarm plan`. Files are read, nothing is written, started or downloaded. A figure that cannot be
had on this machine is none, and `missing` says why; every figure that is shown names its source.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from lemfarm.config import MlxModel, PhaseConfig, RunConfig, SimulatedModel, config_warnings
from lemfarm.config.rules import estimated_tokens
from lemfarm.errors import LemfarmError
from lemfarm.estimates import (
    Memory,
    Rate,
    Shape,
    Training,
    adapter_bytes,
    disk_bytes,
    generation_seconds,
    memory_limit,
    memory_plan,
    rate_for,
    read_shape,
    training_plan,
    weights_bytes,
)
from lemfarm.home import Home
from lemfarm.machine import MachineFacts, free_disk, machine_facts
from lemfarm.models import is_hub_id
from lemfarm.planning import TYPICAL_RATE, Cell, Forecast, forecast, reachable
from lemfarm.planning import grid as grid_of
from lemfarm.probes import Probe
from producer.course import Course

_PREVIEWED = "preview"  #: stands where a model's key would: counts do not depend on it
_SIZE_IN_NAME = re.compile(r"(?<![\d.])(\d+(?:\.\d+)?)b(?![a-z])", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Outlook:
    """A phase if a share `rate` of its samples passes. `generations` is the whole grid where the quota is not filled,
    or where the run file asks for all of it; `seconds` of one machine, none when its speed is unknown."""

    rate: float
    accepted: float
    accepted_if_uneven: float
    fills: bool
    generations: float
    seconds: float | None


@dataclass(frozen=True, slots=True)
class PhasePreview:
    """One phase. `reachable`: accepted samples if every one passes, caps taken into account."""

    name: str
    probes: int
    held_out: int
    texts: int
    samples_per_text: int
    grid: int
    kernel: str | None
    kernel_tokens: int
    longest_prompt: int
    max_tokens: int
    accepted: int
    enough: int
    at_most_per_probe: int | None
    stop_when_full: bool
    reachable: int
    outlooks: tuple[Outlook, ...]
    training: Training | None


@dataclass(frozen=True, slots=True)
class EvaluationPreview:
    """The measuring before and after: `rows` are generations, those of the trained adapter among them."""

    probes: int
    texts: int
    conditions: tuple[str, ...]
    asks_adapter: bool
    rows: int
    scorer: str
    greedy: bool


@dataclass(frozen=True, slots=True)
class Costs:
    """What it takes on this machine. Bytes and seconds; `seconds` at a typical pass rate, evaluation included.

    `sources` says of each figure where it comes from, `missing` which figures cannot be had and why.
    """

    machine: str
    rate: Rate | None
    seconds: float | None
    memory: Memory | None
    disk: int
    disk_free: int
    sources: dict[str, str]
    missing: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Preview:
    """A run before it is one."""

    run: str
    engine: str
    model: str
    phases: tuple[PhasePreview, ...]
    evaluation: EvaluationPreview | None
    costs: Costs
    warnings: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _Local:
    """What is known of the model without loading it."""

    folder: Path | None
    shape: Shape | None
    why_not: str


def preview(
    config: RunConfig, home: Home, *, machine: MachineFacts | None = None, seconds_per_sample: float | None = None
) -> Preview:
    """Look ahead. `seconds_per_sample` is a measured figure; without one a cautious table is used.

    `machine` stands in for this computer in tests. Raises ProbeError and KernelError for files gone bad.
    """
    facts = machine or machine_facts()
    course, model = Course(config, _PREVIEWED), _look_up(config)
    rate = _rate(config, model, facts, seconds_per_sample)
    phases = tuple(_phase(course, phase, rate) for phase in config.phases)
    evaluation = _evaluation(course)
    costs = _costs(config, home, facts, model, rate, phases, evaluation)
    warnings = (*config_warnings(config), *_beyond_reach(phases), *_beyond_machine(costs))
    return Preview(config.run, config.model.engine, _model_name(config), phases, evaluation, costs, warnings)


def _model_name(config: RunConfig) -> str:
    return str(getattr(config.model, "path", config.model.engine))


def _phase(course: Course, phase: PhaseConfig, rate: Rate | None) -> PhasePreview:
    probes = course.phase_probes[phase.name]
    cells, quota = grid_of(probes, phase.samples), phase.quota
    kernel = course.kernel_of(phase)
    return PhasePreview(
        name=phase.name,
        probes=len(probes),
        held_out=len(_held_out(course, phase)),
        texts=len(cells),
        samples_per_text=phase.samples,
        grid=course.grid(phase),
        kernel=kernel.name if kernel else None,
        kernel_tokens=estimated_tokens(len(kernel.text)) if kernel else 0,
        longest_prompt=_longest(probes),
        max_tokens=course.config.sampling_for(phase).max_tokens,
        accepted=quota.accepted,
        enough=quota.enough,
        at_most_per_probe=quota.at_most_per_probe,
        stop_when_full=quota.stop_when_full,
        reachable=reachable(cells, quota.at_most_per_probe),
        outlooks=tuple(_outlooks(phase, cells, rate)),
        training=_training(course.config, phase),
    )


def _held_out(course: Course, phase: PhaseConfig) -> set[str]:
    from lemfarm.probes import read_probes

    return {probe.id for probe in read_probes(phase.probes)} & course.held_out


def _longest(probes: tuple[Probe, ...]) -> int:
    """Tokens of the longest prompt, estimated: a tokenizer is not loaded for this."""
    lengths = (
        sum(len(message.content) for message in variant.messages) for probe in probes for variant in probe.variants
    )
    return estimated_tokens(max(lengths, default=0))


def _outlooks(phase: PhaseConfig, cells: tuple[Cell, ...], rate: Rate | None) -> Iterator[Outlook]:
    everything = sum(cell.pending for cell in cells)
    quota = phase.quota
    for one in forecast(cells, quota.accepted, quota.at_most_per_probe):
        stops = one.generations is not None and quota.stop_when_full
        generations = float(one.generations) if stops and one.generations is not None else float(everything)
        seconds = generation_seconds(generations, rate) if rate else None
        yield _outlook(one, generations, seconds)


def _outlook(one: Forecast, generations: float, seconds: float | None) -> Outlook:
    fills = one.generations is not None
    return Outlook(one.rate, one.accepted, one.accepted_if_uneven, fills, generations, seconds)


def _training(config: RunConfig, phase: PhaseConfig) -> Training | None:
    """How far training goes with a full quota; the part that validates is counted among the examples."""
    if phase.train is None or config.train is None:
        return None
    return training_plan(
        phase.train.iterations,
        phase.quota.accepted,
        batch_size=config.train.batch_size,
        grad_accumulation_steps=config.train.grad_accumulation_steps,
    )


def _evaluation(course: Course) -> EvaluationPreview | None:
    evaluate = course.config.evaluate
    if evaluate is None:
        return None
    texts = sum(len(probe.variants) for probe in course.evaluation_probes)
    trains = any(phase.train for phase in course.config.phases)
    rows = texts * len(course.conditions) * (2 if trains else 1)
    conditions = tuple(course.conditions)
    probes = len(course.evaluation_probes)
    return EvaluationPreview(probes, texts, conditions, trains, rows, evaluate.scorer, evaluate.greedy)


def _look_up(config: RunConfig) -> _Local:
    """The model's folder and shape if it lies here; its weights are neither read nor hashed."""
    if not isinstance(config.model, MlxModel):
        return _Local(None, None, "")
    folder = _folder(config.model)
    if folder is None:
        fetch = f"`lemfarm model get {config.model.path}` fetches it"
        return _Local(None, None, f"{config.model.path} is not on this machine; {fetch}")
    try:
        return _Local(folder, read_shape(folder), "")
    except LemfarmError as error:
        return _Local(folder, None, str(error))


def _folder(model: MlxModel) -> Path | None:
    if not is_hub_id(model.path):
        return Path(model.path)
    from huggingface_hub import try_to_load_from_cache

    found = try_to_load_from_cache(model.path, "config.json", revision=model.revision)
    return Path(found).parent if isinstance(found, str) else None


def _rate(config: RunConfig, model: _Local, facts: MachineFacts, measured: float | None) -> Rate | None:
    if isinstance(config.model, SimulatedModel):
        return _simulated_rate(config.model)
    parameters, named = _parameters(_model_name(config), model)
    if parameters is None and measured is None:
        return None
    rate = rate_for(parameters or 0, mean_tokens=config.sampling.max_tokens, apple=facts.apple, measured=measured)
    return Rate(rate.seconds_per_sample, rate.source + named) if measured is None else rate


def _parameters(name: str, model: _Local) -> tuple[int | None, str]:
    """How many, and a remark for the source when only the model's name tells."""
    if model.shape is not None:
        return model.shape.parameters, ""
    found = _SIZE_IN_NAME.search(name.rpartition("/")[2])
    return (int(float(found[1]) * 1e9), f"; {found[0].upper()} by the model's name") if found else (None, "")


def _simulated_rate(model: SimulatedModel) -> Rate:
    decode = model.mean_tokens / model.tokens_per_second if model.tokens_per_second else 0.0
    seconds = (model.first_token_seconds + decode) / model.slots
    if seconds == 0:
        return Rate(0.0, "simulated without waiting: as fast as the queue and the database")
    return Rate(seconds, f"simulated as configured, {model.slots} slots")


def _costs(
    config: RunConfig,
    home: Home,
    facts: MachineFacts,
    model: _Local,
    rate: Rate | None,
    phases: tuple[PhasePreview, ...],
    evaluation: EvaluationPreview | None,
) -> Costs:
    generations = sum(_typical(phase).generations for phase in phases) + (evaluation.rows if evaluation else 0)
    disk, disk_source = _disk(config, model, phases, evaluation)
    memory = _memory(model, facts, phases)
    sources = {"disk": disk_source}
    if rate:
        sources["time"] = rate.source
    if memory:
        sources["memory"] = f"config.json and weights in {model.folder}; 0.8 of what a worker may have is planned with"
    return Costs(
        machine=f"{facts.chip}, {facts.system}",
        rate=rate,
        seconds=generation_seconds(generations, rate) if rate else None,
        memory=memory,
        disk=disk,
        disk_free=free_disk(home.root),
        sources=sources,
        missing=tuple(_missing(config, model, rate, memory)),
    )


def _typical(phase: PhasePreview) -> Outlook:
    return min(phase.outlooks, key=lambda outlook: abs(outlook.rate - TYPICAL_RATE))


def _memory(model: _Local, facts: MachineFacts, phases: tuple[PhasePreview, ...]) -> Memory | None:
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
            kernel_tokens=phase.kernel_tokens,
            prompt_tokens=phase.longest_prompt,
            max_tokens=phase.max_tokens,
        )
        for phase in phases
    ]
    return min(plans, key=lambda plan: (plan.slots, -plan.needed))


def _disk(
    config: RunConfig, model: _Local, phases: tuple[PhasePreview, ...], evaluation: EvaluationPreview | None
) -> tuple[int, str]:
    """Bytes that the run may leave in the home, and how they were reckoned: answers as long as they can be."""
    simulated = isinstance(config.model, SimulatedModel)
    lengths = [config.model.mean_tokens if isinstance(config.model, SimulatedModel) else p.max_tokens for p in phases]
    total = sum(disk_bytes(phase.grid, length) for phase, length in zip(phases, lengths, strict=True))
    if evaluation and config.evaluate:
        total += disk_bytes(evaluation.rows, config.evaluate.max_tokens)
    source = "the whole grid, answers of mean length" if simulated else "the whole grid, every answer at its longest"
    adapters = _adapters(config, model)
    return total + adapters, source + (", adapters with their checkpoints" if adapters else "")


def _adapters(config: RunConfig, model: _Local) -> int:
    if model.shape is None or config.train is None:
        return 0
    size = adapter_bytes(model.shape, config.train.rank, config.train.num_layers)
    trains = [phase.train for phase in config.phases if phase.train]
    return sum(disk_bytes(0, 0, adapter=size, checkpoints=train.iterations // train.save_every) for train in trains)


def _missing(config: RunConfig, model: _Local, rate: Rate | None, memory: Memory | None) -> Iterator[str]:
    if isinstance(config.model, SimulatedModel):
        return
    figures = ["time"] * (rate is None) + ["memory"] * (memory is None)
    if config.train is not None and model.shape is None:
        figures.append("disk for adapters")
    if figures:
        why = model.why_not or f"{model.folder} holds no whole model; `lemfarm doctor` says what is wrong"
        yield f"{', '.join(figures)}: {why}"
    if any(phase.train for phase in config.phases):
        yield "time for training: known once a phase has been trained"


def _beyond_reach(phases: tuple[PhasePreview, ...]) -> Iterator[str]:
    """The configuration's own check counts all probes of the files; those held out cannot fill a quota."""
    for phase in phases:
        if phase.accepted > phase.reachable:
            yield (
                f"{phase.name}: the quota of {phase.accepted:,} cannot be filled: without the {phase.held_out} probes "
                f"held out for evaluation at most {phase.reachable:,} samples can be accepted; lower quota.accepted, "
                "or hold out less"
            )


def _beyond_machine(costs: Costs) -> Iterator[str]:
    if costs.memory is not None and costs.memory.slots == 0:
        yield "the model leaves no room for a sample in this machine's memory: it cannot be a worker of this run"
    if costs.disk > costs.disk_free:
        yield f"the home's disk has {costs.disk_free:,} bytes free, the run may need {costs.disk:,}"
