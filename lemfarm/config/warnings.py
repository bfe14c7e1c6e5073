"""What a run file may say, but whoever wrote it will hardly want. Shown, and nothing more."""

import json
import shlex
import shutil
from collections.abc import Iterator, Sequence
from math import ceil
from pathlib import Path

from lemfarm.config.grid import Grid, estimated_tokens, grid_of, held_out_of
from lemfarm.config.phase import PhaseConfig
from lemfarm.config.right_answers import comparisons
from lemfarm.config.run import RunConfig, TrainConfig
from lemfarm.config.sections import Sections, sections_of
from lemfarm.config.source import Problem
from lemfarm.scorers import EXPECTED_KEY

HARDLY = 0.6
"""Share of the grid above which a quota is hardly ever filled: 20 to 50 % of the samples usually pass (design.md 7)."""

TEMPLATE_TOKENS = 16
"""What a chat template adds around a prompt and its answer, rounded up."""

_NAMED = 5


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
    for comparison in comparisons(sections):
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
