"""Which probes will hardly bring their share of a quota, and how many failures it takes to say so: pure functions.

A probe's chance is the beta-binomial tail: its successes among all that is left to it, under the posterior of its pass
rate. A chance moves as others' results come in, but on the whole only failures lower it.
"""

from bisect import bisect_left
from collections import Counter
from collections.abc import Iterator, Sequence
from math import ceil, exp, lgamma, log

from lemfarm.planning import Beta, Cell, Rates


def even_share(quota: int, probes: int, at_most_per_probe: int | None) -> int:
    """What each probe should bring: an even part of the quota, at most its cap."""
    even = ceil(quota / max(probes, 1))
    return even if at_most_per_probe is None else min(even, at_most_per_probe)


def hopeless(cells: Sequence[Cell], share: int, give_up_below: float) -> frozenset[str]:
    """Probes whose chance to reach `share` accepted with all that is left to them is below `give_up_below`; with 0
    nobody's is."""
    if give_up_below <= 0:
        return frozenset()
    tries = _tries(cells, share)
    return frozenset(probe for probe, missing, left, rate in tries if chance_of(missing, left, rate) < give_up_below)


def patience(cells: Sequence[Cell], share: int, give_up_below: float) -> dict[str, int]:
    """How many samples of a probe may fail in a row, those in flight included, until it is given up; 0: it is now.

    No more than these should be in flight: what is sent beyond them is wasted if they fail. Probes that have their
    share are not in it.
    """
    if give_up_below <= 0:
        return {}
    return {
        probe: _failures_until(missing, left, rate, give_up_below)
        for probe, missing, left, rate in _tries(cells, share)
        if missing > 0
    }


def chance_of(successes: int, trials: int, rate: Beta) -> float:
    """The chance of at least so many successes in so many trials whose rate is only believed to be `rate`."""
    if successes <= 0:
        return 1.0
    if successes > trials:
        return 0.0
    below, term = 0.0, _log_beta(rate.alpha, rate.beta + trials) - _log_beta(rate.alpha, rate.beta)
    for k in range(successes):
        below += exp(term)
        term += log((trials - k) / (k + 1) * (rate.alpha + k) / (rate.beta + trials - k - 1))
    return max(0.0, 1.0 - below)


def _tries(cells: Sequence[Cell], share: int) -> Iterator[tuple[str, int, int, Beta]]:
    """Each probe with what it misses, how many samples are left to it, and what is believed of its pass rate."""
    rates = Rates(cells)
    accepted: Counter[str] = Counter()
    left: Counter[str] = Counter()
    for cell in cells:
        accepted[cell.probe] += cell.accepted
        left[cell.probe] += cell.in_flight + cell.pending
    return ((probe, share - accepted[probe], left[probe], rates.of_probe(probe)) for probe in left)


def _failures_until(missing: int, left: int, rate: Beta, give_up_below: float) -> int:
    def is_given_up(failures: int) -> bool:
        return chance_of(missing, left - failures, Beta(rate.alpha, rate.beta + failures)) < give_up_below

    return bisect_left(range(left), True, key=is_given_up)


def _log_beta(a: float, b: float) -> float:
    return lgamma(a) + lgamma(b) - lgamma(a + b)
