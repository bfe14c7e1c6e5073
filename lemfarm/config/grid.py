"""What the probe files of a phase amount to: samples, reach and tokens, without the probes that are held out."""

from dataclasses import dataclass
from math import ceil

from lemfarm.config.phase import PhaseConfig
from lemfarm.config.run import EvaluateConfig
from lemfarm.probes import Variant, held_out_probes, read_probes

CHARACTERS_PER_TOKEN = 3.0
"""A cautious figure for texts whose tokenizer is not at hand; English has about four."""


@dataclass(frozen=True, slots=True)
class Grid:
    """What the probes of a phase allow: all samples, those within at_most_per_probe, the longest prompt in tokens."""

    probes: int
    samples: int
    reachable: int
    longest_prompt: int


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
