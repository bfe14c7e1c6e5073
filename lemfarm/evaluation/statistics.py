"""Means with honest intervals: what a report may say about scores, and what it may not.

Everything here is pure and needs the standard library only. The unit of evidence is the probe, never the single
answer: several answers to one probe are averaged first, because they resemble each other and would otherwise make
an interval look narrower than it is. Intervals are percentile bootstraps (Efron & Tibshirani, "An Introduction to the
Bootstrap", 1993, chapter 13) with a fixed seed, so the same scores always give the same figures.
"""

import random
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from math import comb, fsum, sqrt

RESAMPLES = 10_000
CONFIDENCE = 0.95

#: Below this many probes no interval is read as evidence. Six changes in one direction are the fewest that a two-sided
#: sign test finds at 5 % (2 / 2**6 = 0.031), and the percentile bootstrap is far too narrow below that.
FEWEST_PROBES_FOR_A_CLAIM = 6


@dataclass(frozen=True, slots=True)
class Interval:
    """A mean over `n` probes and the bounds that hold it with `confidence`; no bounds where n is 1."""

    mean: float
    low: float | None
    high: float | None
    n: int
    confidence: float = CONFIDENCE

    @property
    def crosses_zero(self) -> bool:
        """True when zero is among the plausible values, and when nothing is known about them."""
        if self.low is None or self.high is None:
            return True
        return self.low <= 0.0 <= self.high


@dataclass(frozen=True, slots=True)
class PairedDifference:
    """How the probes that both sides answered changed; `unpaired` ones, answered by one side only, do not count."""

    differences: Mapping[str, float]
    interval: Interval
    unpaired: tuple[str, ...] = ()


def mean(values: Sequence[float]) -> float:
    """The arithmetic mean. Raises ValueError for no values: an average of nothing must not pass as a figure."""
    if not values:
        raise ValueError("the mean of no values is not defined")
    return fsum(values) / len(values)


def sd(values: Sequence[float]) -> float | None:
    """The sample standard deviation (n - 1), or None below two values, where there is none."""
    if len(values) < 2:
        return None
    centre = mean(values)
    return sqrt(fsum((value - centre) ** 2 for value in values) / (len(values) - 1))


def median(values: Sequence[float]) -> float:
    """The middle value, or the mean of the two in the middle. Raises ValueError for no values."""
    if not values:
        raise ValueError("the median of no values is not defined")
    return percentile(sorted(values), 0.5)


def probe_means(scores: Iterable[tuple[str, float]]) -> dict[str, float]:
    """Average the answers within each probe: (probe id, score) pairs in, one figure per probe out, sorted by id."""
    grouped: dict[str, list[float]] = {}
    for probe, score in scores:
        grouped.setdefault(probe, []).append(score)
    return {probe: mean(grouped[probe]) for probe in sorted(grouped)}


def bootstrap_mean(
    values: Sequence[float], *, seed: int = 0, resamples: int = RESAMPLES, confidence: float = CONFIDENCE
) -> Interval:
    """The mean of the values (one per probe) with its percentile bootstrap interval.

    The order of the values does not matter. Raises ValueError for no values, or a confidence outside (0, 1).
    """
    if not 0.0 < confidence < 1.0:
        raise ValueError(f"confidence must lie between 0 and 1, not {confidence}")
    centre = mean(values)
    if len(values) < 2:
        return Interval(centre, None, None, len(values), confidence)
    low, high = _bounds(tuple(sorted(values)), seed, resamples, confidence)
    return Interval(centre, low, high, len(values), confidence)


@lru_cache(maxsize=512)
def _bounds(pool: tuple[float, ...], seed: int, resamples: int, confidence: float) -> tuple[float, float]:
    """Kept, for a course measures the same models again after each phase: a hundred probes take a third of a second."""
    generator = random.Random(seed)
    means = sorted(fsum(generator.choices(pool, k=len(pool))) / len(pool) for _ in range(resamples))
    tail = (1.0 - confidence) / 2.0
    return percentile(means, tail), percentile(means, 1.0 - tail)


def percentile(ordered: Sequence[float], share: float) -> float:
    """The value below which `share` of the sorted values lie, interpolated linearly between neighbours."""
    place = share * (len(ordered) - 1)
    below = int(place)
    above = min(below + 1, len(ordered) - 1)
    return ordered[below] + (ordered[above] - ordered[below]) * (place - below)


def paired_difference(
    before: Iterable[tuple[str, float]],
    after: Iterable[tuple[str, float]],
    *,
    seed: int = 0,
    resamples: int = RESAMPLES,
    confidence: float = CONFIDENCE,
) -> PairedDifference:
    """After minus before, probe by probe, from two sets of (probe id, score) pairs.

    Pairing removes the spread between easy and hard probes, which is larger than most effects. Raises ValueError when
    no probe was answered by both sides.
    """
    first, second = probe_means(before), probe_means(after)
    shared = sorted(first.keys() & second.keys())
    if not shared:
        raise ValueError("no probe was answered both before and after, so there is nothing to compare")
    differences = {probe: second[probe] - first[probe] for probe in shared}
    interval = bootstrap_mean(list(differences.values()), seed=seed, resamples=resamples, confidence=confidence)
    return PairedDifference(differences, interval, tuple(sorted(first.keys() ^ second.keys())))


@dataclass(frozen=True, slots=True)
class SignTest:
    """How many probes went up, down, or stayed as they were, and how often chance alone would be as lopsided.

    `p` is two-sided and exact; 1.0 where nothing moved.
    """

    up: int
    down: int
    same: int
    p: float


def sign_test(differences: Iterable[float]) -> SignTest:
    """The sign test (Dixon & Mood 1946): needs no shape of the distribution, only directions; ties tell nothing."""
    moves = list(differences)
    up, down = sum(move > 0 for move in moves), sum(move < 0 for move in moves)
    n, fewer = up + down, min(up, down)
    tail = sum(comb(n, k) for k in range(fewer + 1)) / 2**n
    return SignTest(up, down, len(moves) - n, min(1.0, 2.0 * tail))


def describe_change(interval: Interval) -> str:
    """A sentence about a difference that claims no more than its interval carries.

    It says higher or lower only when the whole interval lies on one side of zero and enough probes stand behind it.
    """
    if interval.low is None or interval.high is None:
        return f"{interval.mean:+.2f} on one probe: one probe cannot show a change."
    bounds = f"{interval.confidence:.0%} interval {interval.low:+.2f} to {interval.high:+.2f}, {interval.n} probes"
    if interval.crosses_zero:
        return f"{interval.mean:+.2f} ({bounds}): no change can be claimed, the interval holds zero."
    if interval.n < FEWEST_PROBES_FOR_A_CLAIM:
        few = f"fewer than {FEWEST_PROBES_FOR_A_CLAIM} probes"
        return f"{interval.mean:+.2f} ({bounds}): no change can be claimed from {few}."
    return f"{interval.mean:+.2f} ({bounds}): {'higher' if interval.mean > 0 else 'lower'} than before."
