"""The part of a run file that rules can look at: the sections that are valid by themselves."""

from collections.abc import Sequence
from dataclasses import dataclass

from lemfarm.config.phase import PhaseConfig
from lemfarm.config.run import EvaluateConfig, RunConfig


@dataclass(frozen=True, slots=True)
class Sections:
    """The sections of a file that are valid by themselves; phases with their position in the file."""

    phases: Sequence[tuple[int, PhaseConfig]]
    trains: bool
    evaluate: EvaluateConfig | None
    seed: int
    engine: str = ""


def sections_of(config: RunConfig) -> Sections:
    """All sections of a valid configuration."""
    return Sections(
        phases=tuple(enumerate(config.phases)),
        trains=config.train is not None,
        evaluate=config.evaluate,
        seed=config.sampling.seed,
        engine=config.model.engine,
    )
