"""Models and conditions beside each other: what each scores, and how they differ, probe by probe.

Everything here is pure. A *kernel effect* is what a condition changes against the baseline of the same model. On a
tuned model it says whether the kernel still adds anything; below zero it is the *realignment resistance* of the
published tables: the tuned model does worse when the kernel is put before it. A *change* is what a model scores against
another one under the same condition. Only probes that both sides answered, in the same words, are compared.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from lemfarm.evaluation.measurement import ScoredAnswer, Split, details_of, in_split
from lemfarm.evaluation.statistics import Interval, SignTest, bootstrap_mean, paired_difference, probe_means, sign_test

BASELINE = "baseline"
"""The condition without a kernel, with which the others are compared, in A/B files too."""

NOTICEABLE = 0.5
"""A probe whose score changes by more than this is better or worse, in the summaries of A/B files too."""


@dataclass(frozen=True, slots=True)
class Model:
    """One measured model: a label that nothing else in the comparison has, and its answers under all conditions."""

    label: str
    answers: tuple[ScoredAnswer, ...]
    missing: Mapping[tuple[str, Split], int] = field(default_factory=dict)  #: by condition and split

    @property
    def conditions(self) -> tuple[str, ...]:
        """Names of the conditions, the baseline first."""
        names = dict.fromkeys(answer.condition for answer in self.answers)
        return tuple(sorted(names, key=lambda name: name != BASELINE))

    def under(self, condition: str, split: Split = Split.ALL) -> list[ScoredAnswer]:
        """The answers under one condition."""
        return in_split((answer for answer in self.answers if answer.condition == condition), split)


@dataclass(frozen=True, slots=True)
class Standing:
    """What one model scores under one condition; `details` as `measurement.details_of` gives them."""

    model: str
    condition: str
    split: Split
    interval: Interval
    missing: int
    details: Mapping[str, Any]


class Kind(StrEnum):
    """What a difference is between."""

    KERNEL = "kernel effect"  #: a condition and the baseline of the same model
    CHANGE = "change"  #: two models under one condition
    EFFECT = "change of the kernel effect"  #: the kernel effects of two models


@dataclass(frozen=True, slots=True)
class Difference:
    """Something minus something else, over the probes that both have.

    `unpaired` probes only one side answered, `reworded` ones were asked in other words; neither counts. `by_domain`
    are mean differences.
    """

    kind: Kind
    model: str
    against: str  #: a model; of a kernel effect: the same
    condition: str
    split: Split
    interval: Interval
    sign: SignTest
    better: int
    worse: int
    by_probe: Mapping[str, float]
    by_domain: Mapping[str, float]
    unpaired: int = 0
    reworded: int = 0


def standings(model: Model) -> list[Standing]:
    """Every condition over held-out and trained probes, and over all of them where there are both."""
    return [
        _standing(model, name, split, answers)
        for split in splits_of(model)
        for name in model.conditions
        if (answers := model.under(name, split))
    ]


def splits_of(model: Model) -> list[Split]:
    """The splits that have probes; `all` only where it differs from the others."""
    found = [split for split in (Split.HELD_OUT, Split.TRAINED) if in_split(model.answers, split)]
    return [*found, Split.ALL] if len(found) > 1 else found


def _standing(model: Model, condition: str, split: Split, answers: Sequence[ScoredAnswer]) -> Standing:
    details = details_of(answers)
    interval = bootstrap_mean(list(details["by_probe"].values()))
    return Standing(model.label, condition, split, interval, model.missing.get((condition, split), 0), details)


def kernel_effects(model: Model, split: Split = Split.ALL) -> list[Difference]:
    """Every condition against the model's own baseline; none where it has no baseline."""
    before = model.under(BASELINE, split)
    others = (name for name in model.conditions if name != BASELINE)
    return list(_present(_difference(Kind.KERNEL, model, model, name, split, before, model.under(name, split))
                         for name in others))  # fmt: skip


def changes(before: Model, after: Model, split: Split = Split.ALL) -> list[Difference]:
    """One model against another under every condition that both have, then how the kernel's effect changed."""
    shared = [name for name in after.conditions if name in before.conditions]
    direct = (
        _difference(Kind.CHANGE, after, before, name, split, before.under(name, split), after.under(name, split))
        for name in shared
    )
    effects = {found.condition: found for found in kernel_effects(before, split)}
    of_effects = (
        _of_effects(effects[found.condition], found, split)
        for found in kernel_effects(after, split)
        if found.condition in effects
    )
    return [*_present(direct), *_present(of_effects)]


def _present(found: Iterable[Difference | None]) -> Iterator[Difference]:
    return (difference for difference in found if difference is not None)


def _difference(
    kind: Kind,
    model: Model,
    against: Model,
    condition: str,
    split: Split,
    before: Sequence[ScoredAnswer],
    after: Sequence[ScoredAnswer],
) -> Difference | None:
    """None where no probe was answered on both sides in the same words."""
    reworded = _reworded(before, after)
    pairs = [_pairs(answer for answer in side if answer.probe not in reworded) for side in (before, after)]
    domains = {answer.probe: answer.domain for answer in after}
    return _paired(kind, (model.label, against.label, condition, split), pairs, domains, len(reworded))


def _of_effects(before: Difference, after: Difference, split: Split) -> Difference | None:
    labels = (after.model, before.model, after.condition, split)
    return _paired(Kind.EFFECT, labels, [list(before.by_probe.items()), list(after.by_probe.items())], {}, 0)


def _paired(
    kind: Kind,
    labels: tuple[str, str, str, Split],
    pairs: Sequence[Sequence[tuple[str, float]]],
    domains: Mapping[str, str],
    reworded: int,
) -> Difference | None:
    before, after = pairs
    if not {probe for probe, _ in before} & {probe for probe, _ in after}:
        return None
    found = paired_difference(before, after)
    moves = found.differences
    model, against, condition, split = labels
    return Difference(
        kind=kind,
        model=model,
        against=against,
        condition=condition,
        split=split,
        interval=found.interval,
        sign=sign_test(moves.values()),
        better=sum(move > NOTICEABLE for move in moves.values()),
        worse=sum(move < -NOTICEABLE for move in moves.values()),
        by_probe=moves,
        by_domain=_by_domain(moves, domains),
        unpaired=len(found.unpaired),
        reworded=reworded,
    )


def _by_domain(moves: Mapping[str, float], domains: Mapping[str, str]) -> dict[str, float]:
    return probe_means((domains[probe], move) for probe, move in moves.items() if probe in domains)


def _reworded(before: Iterable[ScoredAnswer], after: Iterable[ScoredAnswer]) -> set[str]:
    """Probes that carry one id and were asked in other words: scores of two questions say nothing of a model."""
    first, second = _prompts(before), _prompts(after)
    return {probe for probe in first.keys() & second.keys() if not first[probe] & second[probe]}


def _prompts(answers: Iterable[ScoredAnswer]) -> dict[str, set[str]]:
    found: dict[str, set[str]] = {}
    for answer in answers:
        found.setdefault(answer.probe, set()).add(answer.prompt)
    return found


def _pairs(answers: Iterable[ScoredAnswer]) -> list[tuple[str, float]]:
    return [(answer.probe, answer.value) for answer in answers]
