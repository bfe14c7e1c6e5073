"""What a set of scored answers says of one model under one condition: figures by probe, by domain, and what was wrong.

Everything here is pure. An answer is *degenerate* when the engine stopped it for repeating itself, or when fewer than
30 % of its words are distinct, the bound of the published scorer (`lemfarm.scorers.v2`); *truncated* when it was cut at
its longest length. Both are counted beside the scores and take nothing off them.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from lemfarm.evaluation.statistics import mean, median, probe_means, sd

LEAST_WORD_RATIO = 0.3
"""Below this share of distinct words an answer goes in circles."""

FEWEST_WORDS_JUDGED = 10
EXTREMES = 5
"""How many of the worst and of the best probes are named."""

REPETITION, LENGTH = "repetition", "length"  #: of `engines.base.FinishReason`, as they are stored


class Split(StrEnum):
    """Which probes a figure is about."""

    HELD_OUT = "held_out"  #: no adapter in question was trained on them
    TRAINED = "trained"  #: at least one was
    ALL = "all"  #: both


@dataclass(frozen=True, slots=True)
class ScoredAnswer:
    """One answer of an evaluation: whose, to what, and how it went. `tokens` are those of the answer."""

    model: str  #: an adapter's id; empty: the base model
    condition: str
    probe: str
    prompt: str  #: the last turn of what was asked
    domain: str
    trained: bool
    value: float
    finish: str
    tokens: int
    degenerate: bool


def is_degenerate(text: str, finish: str) -> bool:
    """Whether an answer went in circles."""
    return finish == REPETITION or word_ratio(text) < LEAST_WORD_RATIO


def word_ratio(text: str) -> float:
    """Distinct words of all words, as they stand between blanks; 1 for an answer too short to tell."""
    words = text.split()
    return 1.0 if len(words) <= FEWEST_WORDS_JUDGED else len(set(words)) / len(words)


def in_split(answers: Iterable[ScoredAnswer], split: Split) -> list[ScoredAnswer]:
    """Those answers whose probes are of the split."""
    return [answer for answer in answers if split == Split.ALL or answer.trained == (split == Split.TRAINED)]


def details_of(answers: Sequence[ScoredAnswer]) -> dict[str, Any]:
    """The figures of some answers, at least one, as they are stored and shown.

    `by_probe` averages the answers of a probe; `by_domain`, `median`, `sd`, `worst` and `best` are of these means, so
    that a probe counts once however often it was asked. `truncated`, `degenerate` and `tokens` count answers.
    """
    by_probe = probe_means((answer.probe, answer.value) for answer in answers)
    ranked = sorted(by_probe.items(), key=lambda item: (item[1], item[0]))
    values = list(by_probe.values())
    return {
        "samples": len(answers),
        "by_probe": by_probe,
        "by_domain": _by_domain(answers, by_probe),
        "median": median(values),
        "sd": sd(values),
        "worst": [list(item) for item in ranked[:EXTREMES]],
        "best": [list(item) for item in reversed(ranked[-EXTREMES:])],
        "truncated": _count(answers, lambda answer: answer.finish == LENGTH),
        "degenerate": _count(answers, lambda answer: answer.degenerate),
        "degenerate_probes": sorted({answer.probe for answer in answers if answer.degenerate}),
        "tokens": sum(answer.tokens for answer in answers),
    }


def _by_domain(answers: Iterable[ScoredAnswer], by_probe: Mapping[str, float]) -> dict[str, dict[str, float]]:
    """Domain -> its number of probes and their mean, sorted by name."""
    probes: dict[str, set[str]] = {}
    for answer in answers:
        probes.setdefault(answer.domain, set()).add(answer.probe)
    return {
        domain: {"probes": len(names), "mean": mean([by_probe[name] for name in sorted(names)])}
        for domain, names in sorted(probes.items())
    }


def _count(answers: Iterable[ScoredAnswer], holds: Callable[[ScoredAnswer], bool]) -> int:
    return sum(1 for answer in answers if holds(answer))
