"""From a threshold of one scorer to one of another: the same share passes, and how far the two then agree.

A threshold says nothing beside another scorer's numbers. What can be carried over is the share of answers that pass
it: on answers that both scored, the second threshold is the value that lets as many pass (quantile matching). Which
answers pass is another question; agreement and Cohen's kappa (Educational and Psychological Measurement 20, 1960)
say how far it is the same ones. The interval is a bootstrap over probes, as everywhere (`evaluation.statistics`).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import isfinite
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lemfarm.errors import InputError
from lemfarm.evaluation.statistics import CONFIDENCE, percentile

RESAMPLES = 2_000

FEW_PAIRS = 100
"""Below this many answers a share is known to no better than some ten points in a hundred."""

FEW_ON_A_SIDE = 10
"""Below this many answers that pass, or fail, the threshold rests on them alone."""

POOR_KAPPA = 0.6
"""Up to here agreement is called moderate at best (Landis & Koch, Biometrics 33, 1977)."""

_FAR_OFF = 0.01  #: shares that differ by more are not the same share

_Numbers = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Pair:
    """Two scores of one answer to a probe."""

    probe: str
    first: float
    second: float


@dataclass(frozen=True, slots=True)
class Agreement:
    """How many answers pass what, when the second scorer asks for `threshold`."""

    threshold: float
    both: int
    only_first: int
    only_second: int
    neither: int
    share: float  #: of answers on which both say the same
    kappa: float | None  #: agreement beyond chance; None where one of them says the same of all

    @property
    def passing(self) -> int:
        """Answers that pass the second threshold."""
        return self.both + self.only_second


@dataclass(frozen=True, slots=True)
class Calibration:
    """`passing` of `n` answers pass the first threshold; `matched` lets as many pass, `best` agrees most often.

    `low` and `high` bound the matched threshold with `confidence`; None where there is one probe only. Correlations
    are None where a scorer gives all answers the same number. Nothing is matched where no answer passes.
    """

    at_least: float
    n: int
    probes: int
    passing: int
    matched: Agreement | None
    low: float | None
    high: float | None
    confidence: float
    best: Agreement
    pearson: float | None
    spearman: float | None
    warnings: tuple[str, ...]


def calibrate(pairs: Sequence[Pair], at_least: float, *, seed: int = 0, resamples: int = RESAMPLES) -> Calibration:
    """Find the threshold of the second scorer that lets as many pass as `at_least` of the first.

    Raises InputError for a threshold that is no number, and when there is no pair.
    """
    if not isfinite(at_least):
        raise InputError(f"a threshold is a number, not {at_least}.")
    if not pairs:
        raise InputError("no answer has both scores, so there is nothing to compare.")
    ordered = _Ordered.of(pairs, at_least)
    threshold = ordered.matching(np.ones(len(pairs)))
    matched = None if threshold is None else ordered.agreement(threshold)
    low, high = (None, None) if threshold is None else _bounds(ordered, seed, resamples)
    return Calibration(
        at_least=at_least,
        n=len(pairs),
        probes=ordered.probes,
        passing=int(ordered.passes.sum()),
        matched=matched,
        low=low,
        high=high,
        confidence=CONFIDENCE,
        best=ordered.agreement(ordered.most_agreeing(threshold)),
        pearson=_correlation(ordered.first, ordered.second),
        spearman=_correlation(_ranks(ordered.first), _ranks(ordered.second)),
        warnings=tuple(_warnings(ordered, matched)),
    )


@dataclass(frozen=True, slots=True)
class _Ordered:
    """The pairs by their second score, highest first. `ends`: the last place of each distinct value."""

    first: _Numbers
    second: _Numbers
    passes: NDArray[np.bool_]  #: the first threshold
    probe: NDArray[np.int64]  #: number of the probe
    probes: int
    ends: NDArray[np.int64]

    @classmethod
    def of(cls, pairs: Sequence[Pair], at_least: float) -> "_Ordered":
        highest_first = sorted(pairs, key=lambda pair: (-pair.second, -pair.first, pair.probe))
        first, second = (np.array([getattr(pair, side) for pair in highest_first]) for side in ("first", "second"))
        numbers: dict[str, int] = {}
        probe = np.array([numbers.setdefault(pair.probe, len(numbers)) for pair in highest_first])
        ends = np.flatnonzero(np.append(second[1:] != second[:-1], True))
        return cls(first, second, first >= at_least, probe, len(numbers), ends)

    def matching(self, weights: _Numbers) -> float | None:
        """The value of the second score at which the weight that passes comes nearest to the weight that passes the
        first threshold; the stricter of two as near; None where nothing passes."""
        wanted = weights[self.passes].sum()
        if wanted == 0:
            return None
        passing = np.cumsum(weights)[self.ends]
        return float(self.second[self.ends[np.argmin(np.abs(passing - wanted))]])

    def most_agreeing(self, near: float | None) -> float:
        """The value of the second score at which most verdicts are the same; of several that nearest to `near`."""
        agreeing: NDArray[np.int64] = (np.cumsum(self.passes) - np.cumsum(~self.passes))[self.ends]
        best = self.second[self.ends[agreeing == agreeing.max()]]
        return float(best[0] if near is None else best[np.argmin(np.abs(best - near))])

    def agreement(self, threshold: float) -> Agreement:
        """What passes which threshold."""
        passes = self.second >= threshold
        both, only_first = int((passes & self.passes).sum()), int((~passes & self.passes).sum())
        only_second = int(passes.sum()) - both
        neither = len(passes) - both - only_first - only_second
        share = (both + neither) / len(passes)
        return Agreement(threshold, both, only_first, only_second, neither, share, self._kappa(passes, share))

    def _kappa(self, passes: NDArray[np.bool_], share: float) -> float | None:
        one, other = self.passes.mean(), passes.mean()
        by_chance = float(one * other + (1 - one) * (1 - other))
        return None if by_chance == 1.0 else (share - by_chance) / (1 - by_chance)


def _bounds(ordered: _Ordered, seed: int, resamples: int) -> tuple[float | None, float | None]:
    """Bootstrap over probes: each resample weighs the answers of a probe by how often the probe was drawn."""
    if ordered.probes < 2:
        return None, None
    generator = np.random.default_rng(seed)
    even = np.full(ordered.probes, 1 / ordered.probes)
    drawn = (generator.multinomial(ordered.probes, even)[ordered.probe] for _ in range(resamples))
    thresholds = (ordered.matching(weights.astype(float)) for weights in drawn)
    strictest = float(ordered.second[0])
    found = sorted(strictest if threshold is None else threshold for threshold in thresholds)
    tail = (1 - CONFIDENCE) / 2
    return percentile(found, tail), percentile(found, 1 - tail)


def _ranks(values: _Numbers) -> _Numbers:
    """Ranks from 1; equal values share the mean of theirs."""
    _, inverse, counts = np.unique(values, return_inverse=True, return_counts=True)
    mean_ranks: Any = np.cumsum(counts) - (counts - 1) / 2
    ranks: _Numbers = mean_ranks[inverse]
    return ranks


def _correlation(one: _Numbers, other: _Numbers) -> float | None:
    if np.ptp(one) == 0 or np.ptp(other) == 0:
        return None
    return float(np.corrcoef(one, other)[0, 1])


def _warnings(ordered: _Ordered, matched: Agreement | None) -> list[str]:
    """What keeps the threshold from being trusted, in sentences."""
    n, passing = len(ordered.passes), int(ordered.passes.sum())
    found = []
    if matched is None:
        return [f"None of {n} answers passes the first threshold, so no share can be matched."]
    if passing == n:
        found.append(f"All {n} answers pass the first threshold: the second may lie anywhere below the lowest score.")
    elif min(passing, n - passing) < FEW_ON_A_SIDE:
        found.append(f"Only {min(passing, n - passing)} of {n} answers lie on one side: the threshold rests on them.")
    if n < FEW_PAIRS:
        error = 196 * (passing / n * (1 - passing / n) / n) ** 0.5
        found.append(f"Only {n} answers: the share that passes is known to ±{error:.0f} points in a hundred at best.")
    if abs(matched.passing - passing) > _FAR_OFF * n:
        found.append(f"Equal scores keep it from the same share: {matched.passing} pass instead of {passing}.")
    if matched.kappa is not None and matched.kappa <= POOR_KAPPA:
        other = matched.only_first + matched.only_second
        found.append(
            f"As many pass, but not the same ones: {other} of {n} get another verdict "
            f"(kappa {matched.kappa:.2f}, at most {POOR_KAPPA} is poor)."
        )
    return found
