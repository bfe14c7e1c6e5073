"""Rules between the sections of a run file, and what is allowed but hardly wanted.

A broken rule keeps the file from being used; a warning is only shown. The rules look at whichever sections are valid
by themselves, so that one bad key does not hide what else is wrong.
"""

import json
import shlex
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import ceil
from pathlib import Path

from lemfarm.config.gate_after import GateAfterConfig
from lemfarm.config.phase import PhaseConfig, ScoreGate
from lemfarm.config.run import EvaluateConfig, RunConfig, TrainConfig
from lemfarm.config.source import Problem
from lemfarm.errors import InputError, KernelError, ProbeError
from lemfarm.kernels import read_kernel
from lemfarm.probes import Probe, Variant, held_out_probes, measured_probes, read_probes
from lemfarm.scorers import EXPECTED_KEY, ComparingScorer, get_scorer

HARDLY = 0.6
"""Share of the grid above which a quota is hardly ever filled: 20 to 50 % of the samples usually pass (design.md 7)."""

CHARACTERS_PER_TOKEN = 3.0
"""A cautious figure for texts whose tokenizer is not at hand; English has about four."""

TEMPLATE_TOKENS = 16
"""What a chat template adds around a prompt and its answer, rounded up."""

_NAMED = 5


@dataclass(frozen=True, slots=True)
class Sections:
    """The sections of a file that are valid by themselves; phases with their position in the file."""

    phases: Sequence[tuple[int, PhaseConfig]]
    trains: bool
    evaluate: EvaluateConfig | None
    seed: int
    engine: str = ""


@dataclass(frozen=True, slots=True)
class Grid:
    """What the probes of a phase allow: all samples, those within at_most_per_probe, the longest prompt in tokens."""

    probes: int
    samples: int
    reachable: int
    longest_prompt: int


def sections_of(config: RunConfig) -> Sections:
    """All sections of a valid configuration."""
    return Sections(
        phases=tuple(enumerate(config.phases)),
        trains=config.train is not None,
        evaluate=config.evaluate,
        seed=config.sampling.seed,
        engine=config.model.engine,
    )


def held_out_of(evaluate: EvaluateConfig | None, seed: int) -> frozenset[str]:
    """Ids of the probes that are measured and never sampled for training. Raises ProbeError."""
    if evaluate is None:
        return frozenset()
    return held_out_probes([probe.id for probe in read_probes([evaluate.probes])], evaluate.held_out, seed)


def grid_of(phase: PhaseConfig, held_out: frozenset[str] = frozenset()) -> Grid:
    """Count the grid of a phase from its probe files, without held-out probes. Raises ProbeError."""
    probes = [probe for probe in read_probes(phase.probes) if probe.id not in held_out]
    sizes = [len(probe.variants) * phase.samples for probe in probes]
    cap = phase.quota.at_most_per_probe
    return Grid(
        probes=len(probes),
        samples=sum(sizes),
        reachable=sum(size if cap is None else min(size, cap) for size in sizes),
        longest_prompt=max((_tokens(variant) for probe in probes for variant in probe.variants), default=0),
    )


def _tokens(variant: Variant) -> int:
    return estimated_tokens(sum(len(message.content) for message in variant.messages))


def estimated_tokens(characters: int) -> int:
    """A cautious number of tokens for a text of that many characters."""
    return ceil(characters / CHARACTERS_PER_TOKEN)


def broken_rules(sections: Sections) -> list[Problem]:
    """Every rule between sections that does not hold; reads the probe files."""
    rules = (_names, _train_section, _trainable, _generators, _quotas, _evaluation, _gates_after, _right_answers)
    return [problem for rule in rules for problem in rule(sections)]


def _names(sections: Sections) -> Iterator[Problem]:
    first: dict[str, int] = {}
    for index, phase in sections.phases:
        if first.setdefault(phase.name, index) != index:
            yield Problem(("phases", index, "name"), f"phase {first[phase.name]} has the name {phase.name!r} already")


def _train_section(sections: Sections) -> Iterator[Problem]:
    if sections.trains or sections.engine == "openai":
        return
    for index, phase in sections.phases:
        if phase.train is not None:
            text = "this phase trains, so the file needs a `train` section with the LoRA settings"
            yield Problem(("phases", index, "train"), text, at_key=True)


def _trainable(sections: Sections) -> Iterator[Problem]:
    if sections.engine != "openai":
        return
    for index, phase in sections.phases:
        if phase.train is not None:
            text = (
                "a model behind an endpoint cannot be trained here; leave `train` out and take the accepted samples, "
                "or use `engine: mlx` with the model's weights"
            )
            yield Problem(("phases", index, "train"), text, at_key=True)


def _generators(sections: Sections) -> Iterator[Problem]:
    for index, phase in sections.phases:
        if phase.generate_with == "promoted" and sections.engine == "openai":
            text = "an endpoint cannot put an adapter on its model; leave this out, or use `engine: mlx`"
            yield Problem(("phases", index, "generate_with"), text)


def _quotas(sections: Sections) -> Iterator[Problem]:
    try:
        held_out = held_out_of(sections.evaluate, sections.seed)
    except ProbeError:
        held_out = frozenset()  # `_evaluation` reports it
    for index, phase in sections.phases:
        try:
            grid = grid_of(phase, held_out)
        except ProbeError as error:
            yield from _unreadable(("phases", index, "probes"), error)
            continue
        if phase.quota.accepted > grid.reachable:
            yield Problem(("phases", index, "quota", "accepted"), _out_of_reach(phase, grid))


def _out_of_reach(phase: PhaseConfig, grid: Grid) -> str:
    text = f"{phase.quota.accepted} accepted samples cannot be had: {grid.probes} probes give {grid.samples} samples"
    if grid.reachable == grid.samples:
        return text + f" ({phase.samples} per variant); add probes, raise samples, or lower this"
    cap = phase.quota.at_most_per_probe
    return (
        text + f", of which at_most_per_probe {cap} leaves {grid.reachable}; add probes, raise the cap, or lower this"
    )


def _evaluation(sections: Sections) -> Iterator[Problem]:
    if sections.evaluate is None:
        return
    try:
        read_probes([sections.evaluate.probes])
    except ProbeError as error:
        yield from _unreadable(("evaluate", "probes"), error)
    yield from _same_conditions(sections.evaluate)
    if sections.evaluate.adapter is not None and any(phase.train for _, phase in sections.phases):
        text = "a run that trains measures its own adapters; leave it out, or use `lemfarm evaluate`"
        yield Problem(("evaluate", "adapter"), text)


def _same_conditions(evaluate: EvaluateConfig) -> Iterator[Problem]:
    """Two conditions with one kernel are one question, whose answers could not be told apart."""
    first: dict[str | None, str] = {}
    for name, path in evaluate.conditions.items():
        try:
            kernel = None if path is None else read_kernel(path).hash
        except KernelError as error:
            yield Problem(("evaluate", "conditions", name), str(error))
            continue
        if first.setdefault(kernel, name) != name:
            same = "asks without a kernel too" if kernel is None else f"has the kernel of {first[kernel]!r} again"
            yield Problem(("evaluate", "conditions", name), f"{same}, so both would share their answers; leave one out")


def _gates_after(sections: Sections) -> Iterator[Problem]:
    """Gates that were written down must have something to look at; those that hold by default need nothing."""
    measured = _asked_in_evaluation(sections)
    for index, phase in sections.phases:
        if phase.gate_after in (None, GateAfterConfig()) or phase.train is None:
            continue
        path = ("phases", index, "gate_after")
        if sections.evaluate is None:
            yield Problem(path, "nothing is measured without an `evaluate` section; add one, or leave this out")
        elif None not in sections.evaluate.conditions.values():
            text = "is about answers without a kernel; give `evaluate` a condition such as `baseline: null`"
            yield Problem(path, text)
        elif measured is not None:
            missing = [name for name in _named(phase) if name not in measured]
            if missing:
                text = f"names probes that `evaluate` does not ask: {', '.join(missing[:_NAMED])}"
                yield Problem(path, text)


def _named(phase: PhaseConfig) -> tuple[str, ...]:
    return phase.gate_after.named_probes if phase.gate_after else ()


def _asked_in_evaluation(sections: Sections) -> frozenset[str] | None:
    """Ids of the probes that are measured; None where nothing is, or the file cannot be read."""
    if sections.evaluate is None:
        return None
    try:
        ids = [probe.id for probe in read_probes([sections.evaluate.probes])]
        held_out = held_out_of(sections.evaluate, sections.seed)
    except ProbeError:
        return None  # `_evaluation` reports it
    return measured_probes(ids, held_out, sections.evaluate.trained, sections.seed)


def _right_answers(sections: Sections) -> Iterator[Problem]:
    """A scorer that compares can score nothing where no probe says what is right."""
    for comparison in _comparisons(sections):
        if comparison.probes and len(comparison.unanswered) == len(comparison.probes):
            none = f"{comparison.scorer} compares with a right answer, and none of its probes has one"
            text = f"{none}; give them a `{EXPECTED_KEY}`, or name another scorer"
            yield Problem(comparison.path, text)


@dataclass(frozen=True, slots=True)
class _Comparison:
    """A scorer that compares with right answers: where it stands, and the probes whose answers it is given."""

    path: tuple[str | int, ...]
    scorer: str
    probes: Sequence[Probe]

    @property
    def unanswered(self) -> list[str]:
        """Ids of those that do not say what is right."""
        kinds = (str, int, float)
        return [probe.id for probe in self.probes if type(probe.fields.get(EXPECTED_KEY)) not in kinds]


def _comparisons(sections: Sections) -> Iterator[_Comparison]:
    try:
        held_out = held_out_of(sections.evaluate, sections.seed)
        for index, phase in sections.phases:
            for number, gate in enumerate(phase.gates):
                if isinstance(gate, ScoreGate) and _compares(gate.scorer):
                    probes = [probe for probe in read_probes(phase.probes) if probe.id not in held_out]
                    yield _Comparison(("phases", index, "gates", number, "scorer"), gate.scorer, probes)
        evaluate = sections.evaluate
        if evaluate is not None and _compares(evaluate.scorer):
            probes = [probe for probe in read_probes([evaluate.probes]) if probe.id in held_out]
            yield _Comparison(("evaluate", "scorer"), evaluate.scorer, probes)
    except ProbeError:
        return  # `_quotas` and `_evaluation` report it


def _compares(name: str) -> bool:
    try:
        return isinstance(get_scorer(name), ComparingScorer)
    except InputError:
        return False  # a plug-in that does not load: its samples are held, with that reason


def _unreadable(path: tuple[str | int, ...], error: ProbeError) -> Iterator[Problem]:
    return (Problem(path, line) for line in str(error).splitlines())


def warnings_of(config: RunConfig) -> list[Problem]:
    """What a valid configuration will hardly want. Raises ProbeError when a probe file has gone bad since."""
    found: list[Problem] = []
    context = _context_tokens(config)
    held_out = held_out_of(config.evaluate, config.sampling.seed)
    for index, phase in enumerate(config.phases):
        grid = grid_of(phase, held_out)
        found += _hardly_filled(index, phase, grid)
        found += _nothing_promoted(index, phase, config.phases[:index])
        found += _no_source(index, phase)
        found += _beyond_context(index, config, phase, grid, context)
        if phase.train is not None:
            found += _beyond_training(index, config, phase, grid)
            found += _below_one_epoch(index, phase, config.train)
    return [*found, *_partly_answered(sections_of(config)), *_unknown_program(config)]


def _partly_answered(sections: Sections) -> Iterator[Problem]:
    for comparison in _comparisons(sections):
        missing = comparison.unanswered
        if missing:
            names = ", ".join(missing[:_NAMED]) + (", ..." if len(missing) > _NAMED else "")
            text = (
                f"{len(missing)} of {len(comparison.probes)} probes have no `{EXPECTED_KEY}`, so {comparison.scorer} "
                f"cannot score their answers, and samples stay held for it: {names}"
            )
            yield Problem(comparison.path, text)


def _unknown_program(config: RunConfig) -> Iterator[Problem]:
    program = shlex.split(config.notify)[0] if config.notify else ""
    if program and shutil.which(program) is None:
        text = f"there is no program {program!r} on this machine; nobody will be told by a run that is started here"
        yield Problem(("notify",), text)


def _hardly_filled(index: int, phase: PhaseConfig, grid: Grid) -> Iterator[Problem]:
    if phase.quota.accepted > HARDLY * grid.samples:
        share = phase.quota.accepted / grid.samples
        text = f"will hardly be filled: {share:.0%} of all {grid.samples} samples would have to pass the gates"
        yield Problem(("phases", index, "quota", "accepted"), text)


def _no_source(index: int, phase: PhaseConfig) -> Iterator[Problem]:
    external = phase.external
    if external.share and not external.files and not external.runs:
        text = "names no files and no runs: only what `lemfarm external import` brings will be taken"
        yield Problem(("phases", index, "external", "share"), text)


def _nothing_promoted(index: int, phase: PhaseConfig, before: Sequence[PhaseConfig]) -> Iterator[Problem]:
    if phase.generate_with == "promoted" and not any(one.train for one in before):
        text = "no phase before it trains, so nothing will be promoted then: the model as it is answers"
        yield Problem(("phases", index, "generate_with"), text)


def _beyond_training(index: int, config: RunConfig, phase: PhaseConfig, grid: Grid) -> Iterator[Problem]:
    answer = config.sampling_for(phase).max_tokens
    row = answer + grid.longest_prompt + TEMPLATE_TOKENS
    limit = phase.train.max_seq_length if phase.train else row
    if row > limit:
        text = (
            f"an answer of max_tokens {answer} after the longest prompt (about {grid.longest_prompt} tokens) is longer "
            f"than {limit}, and such rows are left out of training; use {row} here, or a lower max_tokens"
        )
        yield Problem(("phases", index, "train", "max_seq_length"), text)


def _below_one_epoch(index: int, phase: PhaseConfig, train: TrainConfig | None) -> Iterator[Problem]:
    if phase.train is None or train is None:
        return
    per_update = train.batch_size * train.grad_accumulation_steps
    seen, rows = phase.train.iterations * per_update, phase.rows
    if seen < rows:
        text = (
            f"is less than one epoch: {phase.train.iterations} updates see {seen} of {rows} accepted samples; "
            f"{ceil(rows / per_update)} updates would see all"
        )
        yield Problem(("phases", index, "train", "iterations"), text)


def _beyond_context(
    index: int, config: RunConfig, phase: PhaseConfig, grid: Grid, context: int | None
) -> Iterator[Problem]:
    if context is None:
        return
    kernel = config.kernel_for(phase)
    prompt = grid.longest_prompt + (_file_tokens(kernel.file) if kernel and kernel.placement != "none" else 0)
    answer = config.sampling_for(phase).max_tokens
    if prompt + answer + TEMPLATE_TOKENS > context:
        text = (
            f"max_tokens {answer} after a kernel and prompt of about {prompt} tokens may exceed "
            f"the model's context of {context}; lower max_tokens"
        )
        yield Problem(("phases", index, "sampling", "max_tokens"), text)


def _file_tokens(path: Path) -> int:
    return estimated_tokens(len(path.read_text(encoding="utf-8", errors="replace")))


def _context_tokens(config: RunConfig) -> int | None:
    """The context of a model that lies in a folder here; None where that cannot be known without loading it."""
    if config.model.engine != "mlx":
        return None
    try:
        facts = json.loads((Path(config.model.path) / "config.json").read_text(encoding="utf-8"))
        length = facts.get("text_config", facts).get("max_position_embeddings")
    except (OSError, ValueError, AttributeError):
        return None  # a hub id, or a folder that is no model: whoever loads it says so
    return length if isinstance(length, int) else None
