"""What a campaign would be before anything is done: grid, quotas, expected yield, training, evaluation, costs.

The Python twin of `lemfarm plan`. Files are read, nothing is written, started or downloaded.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from lemfarm.config import PhaseConfig, RunConfig, config_warnings
from lemfarm.config.grid import estimated_tokens
from lemfarm.curation.external_files import FoundAnswer, read_answers
from lemfarm.estimates import Rate, Training, generation_seconds, training_plan
from lemfarm.home import Home
from lemfarm.machine import MachineFacts, machine_facts
from lemfarm.planning import TYPICAL_RATE, Cell, forecast
from lemfarm.planning import grid as grid_of
from lemfarm.probes import Probe, read_probes
from producer.costs import Costs, LocalModel, Work, costs_of, look_up, rate_of
from producer.course import Course
from producer.external_sources import probe_questions
from producer.training_costs import TrainingCosts, training_costs

_PREVIEWED = "preview"  #: stands where a model's key would: counts do not depend on it


@dataclass(frozen=True, slots=True)
class Outlook:
    """A phase if a share `rate` of its samples passes.

    `accepted` takes all probes to be alike, `accepted_if_uneven` lets them differ (see `lemfarm.planning.Forecast`).
    `generations` is the whole grid where the quota is not filled, or where the run file asks for all of it; `seconds`
    is what they take one machine, none when its speed is unknown.
    """

    rate: float
    accepted: float
    accepted_if_uneven: float
    fills: bool
    generations: float
    seconds: float | None


@dataclass(frozen=True, slots=True)
class PhasePreview:
    """One phase. Held-out probes are no part of its grid; tokens are estimates."""

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
    give_up_below: float
    outlooks: tuple[Outlook, ...]
    training: Training | None
    training_costs: TrainingCosts | None
    reviewed: float  #: answers that people look at, if the quota is just filled
    review_before_training: bool
    generate_with: str
    waits_for: str | None  #: the last phase that trains before it, where its adapter answers this one
    external: "ExternalPreview | None" = None

    @property
    def rows(self) -> int:
        """What it trains on if the quota is full and all external answers that are wanted are there."""
        return self.accepted + (self.external.wanted if self.external else 0)


@dataclass(frozen=True, slots=True)
class ExternalPreview:
    """Answers from elsewhere beside a full quota: how many the share asks for; how many in the `files` answer a
    question of the phase, before its gates have judged them; `refused` lines that do not; other runs that give some."""

    share: float
    wanted: int
    files: int
    found: int
    refused: int
    runs: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class EvaluationPreview:
    """The measuring before and after. `rows` are generations: those that ask the base model, and as many for each of
    the `adapters`, one a phase that trains. `held_out` of the probes are never trained on."""

    probes: int
    held_out: int
    texts: int
    conditions: tuple[str, ...]
    adapters: int
    rows: int
    scorer: str
    greedy: bool


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


def preview(
    config: RunConfig, home: Home, *, machine: MachineFacts | None = None, seconds_per_sample: float | None = None
) -> Preview:
    """Look ahead. `seconds_per_sample` is a measured figure; without one a cautious table is used.

    `machine` stands in for this computer in tests. Raises ProbeError and KernelError for files gone bad.
    """
    facts = machine or machine_facts()
    course, model = Course(config, _PREVIEWED), look_up(config)
    rate = rate_of(config, model, facts, seconds_per_sample)
    phases = tuple(_phase(course, phase, rate, model, facts) for phase in config.phases)
    evaluation = _evaluation(course)
    costs = costs_of(config, home, facts, model, rate, [*map(_work, phases), *_evaluation_work(course, evaluation)])
    warnings = (*config_warnings(config), *costs.warnings, *_training_warnings(phases))
    name = str(getattr(config.model, "path", config.model.engine))
    return Preview(config.run, config.model.engine, name, phases, evaluation, costs, warnings)


def _training_warnings(phases: Sequence[PhasePreview]) -> Iterator[str]:
    for phase in phases:
        if phase.training_costs:
            yield from phase.training_costs.warnings(phase.name)


def _phase(
    course: Course, phase: PhaseConfig, rate: Rate | None, model: LocalModel, facts: MachineFacts
) -> PhasePreview:
    probes = course.phase_probes[phase.name]
    cells, quota = grid_of(probes, phase.samples), phase.quota
    kernel = course.kernel_of(phase)
    prompt, answer = _longest(probes), course.config.sampling_for(phase).max_tokens
    return PhasePreview(
        name=phase.name,
        probes=len(probes),
        held_out=len({probe.id for probe in read_probes(phase.probes)} & course.held_out),
        texts=len(cells),
        samples_per_text=phase.samples,
        grid=course.grid(phase),
        kernel=kernel.name if kernel else None,
        kernel_tokens=estimated_tokens(len(kernel.text)) if kernel else 0,
        longest_prompt=prompt,
        max_tokens=answer,
        accepted=quota.accepted,
        enough=quota.enough,
        at_most_per_probe=quota.at_most_per_probe,
        stop_when_full=quota.stop_when_full,
        give_up_below=quota.give_up_below,
        outlooks=tuple(_outlooks(phase, cells, rate)),
        training=_training(course.config, phase),
        training_costs=training_costs(course.config, phase, model, facts, answered_tokens=prompt + answer),
        reviewed=phase.review.share * quota.accepted,
        review_before_training=phase.review.before_training,
        generate_with=phase.generate_with,
        waits_for=_waits_for(course.config, phase),
        external=_external(phase, probes),
    )


def _external(phase: PhaseConfig, probes: Sequence[Probe]) -> ExternalPreview | None:
    external = phase.external
    if not external.share:
        return None
    questions, found, refused = probe_questions(probes), 0, 0
    for answer in (one for path in external.files for one in read_answers(path)):
        is_taken = isinstance(answer, FoundAnswer) and questions.has(answer)
        found, refused = found + is_taken, refused + (not is_taken)
    wanted = external.beside(phase.quota.accepted)
    return ExternalPreview(external.share, wanted, len(external.files), found, refused, external.runs)


def _waits_for(config: RunConfig, phase: PhaseConfig) -> str | None:
    if phase.generate_with != "promoted":
        return None
    before = [one.name for one in config.phases[: config.phases.index(phase)] if one.train]
    return before[-1] if before else None


def _longest(probes: Sequence[Probe]) -> int:
    """Tokens of the longest prompt, estimated: a tokenizer is not loaded for this."""
    texts = (variant for probe in probes for variant in probe.variants)
    lengths = (sum(len(message.content) for message in text.messages) for text in texts)
    return estimated_tokens(max(lengths, default=0))


def _outlooks(phase: PhaseConfig, cells: Sequence[Cell], rate: Rate | None) -> Iterator[Outlook]:
    everything = float(sum(cell.pending for cell in cells))
    for one in forecast(cells, phase.quota.accepted, phase.quota.at_most_per_probe):
        wanted = one.generations if phase.quota.stop_when_full else None
        generations = everything if wanted is None else wanted
        yield Outlook(
            rate=one.rate,
            accepted=one.accepted,
            accepted_if_uneven=one.accepted_if_uneven,
            fills=one.generations is not None,
            generations=generations,
            seconds=generation_seconds(generations, rate) if rate else None,
        )


def _training(config: RunConfig, phase: PhaseConfig) -> Training | None:
    """How far training goes with a full quota and all external answers that are wanted; the part that validates is
    counted among the examples."""
    if phase.train is None or config.train is None:
        return None
    return training_plan(
        phase.train.iterations,
        phase.rows,
        batch_size=config.train.batch_size,
        grad_accumulation_steps=config.train.grad_accumulation_steps,
    )


def _evaluation(course: Course) -> EvaluationPreview | None:
    evaluate = course.config.evaluate
    if evaluate is None:
        return None
    texts = sum(len(probe.variants) for probe in course.evaluation_probes)
    adapters = sum(phase.train is not None for phase in course.config.phases)
    return EvaluationPreview(
        probes=len(course.evaluation_probes),
        held_out=len(course.held_out),
        texts=texts,
        conditions=tuple(course.conditions),
        adapters=adapters,
        rows=texts * evaluate.samples * len(course.conditions) * (1 + adapters),
        scorer=evaluate.scorer,
        greedy=evaluate.greedy,
    )


def _work(phase: PhasePreview) -> Work:
    typical = min(phase.outlooks, key=lambda outlook: abs(outlook.rate - TYPICAL_RATE))
    return Work(phase.grid, typical.generations, phase.kernel_tokens, phase.longest_prompt, phase.max_tokens)


def _evaluation_work(course: Course, evaluation: EvaluationPreview | None) -> Iterator[Work]:
    if evaluation is None or course.config.evaluate is None:
        return
    kernels = (estimated_tokens(len(kernel.text)) for kernel in course.conditions.values() if kernel)
    yield Work(
        samples=evaluation.rows,
        expected=evaluation.rows,
        kernel_tokens=max(kernels, default=0),
        prompt_tokens=_longest(course.evaluation_probes),
        max_tokens=course.config.evaluate.max_tokens,
    )
