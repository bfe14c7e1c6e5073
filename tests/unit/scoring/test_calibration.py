"""From one scorer's threshold to another's: the share is matched, and no more is claimed than the pairs carry."""

import random
from itertools import product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lemfarm.errors import InputError
from lemfarm.scoring.calibration import Agreement, Calibration, Pair, calibrate

steps = st.integers(-6, 6).map(float)
some_pairs = st.lists(st.builds(Pair, st.sampled_from(["a", "b", "c", "d"]), steps, steps), min_size=1, max_size=40)


def found(*scores: tuple[float, float], at_least: float = 5.0, probes: int | None = None) -> Calibration:
    """A calibration of answers to as many probes."""
    number = probes or len(scores)
    pairs = [Pair(f"P{n % number}", first, second) for n, (first, second) in enumerate(scores)]
    return calibrate(pairs, at_least, resamples=200)


def correlated(n: int, noise: float, seed: int = 0, probes: int = 50) -> list[Pair]:
    """Answers whose second score is twice the first, and some noise."""
    dice = random.Random(seed)
    firsts = [dice.gauss(20, 5) for _ in range(n)]
    return [Pair(f"P{k % probes}", first, 2 * first + dice.gauss(0, noise)) for k, first in enumerate(firsts)]


def test_a_scorer_beside_itself_keeps_its_threshold() -> None:
    result = found(*((float(n), float(n)) for n in range(10)))
    assert result.matched is not None
    assert (result.matched.threshold, result.matched.share, result.matched.kappa) == (5.0, 1.0, 1.0)
    assert result.best == result.matched
    assert (result.pearson, result.spearman) == (pytest.approx(1.0), pytest.approx(1.0))
    assert (result.n, result.passing, result.probes) == (10, 5, 10)


def test_the_same_share_passes_on_another_scale() -> None:
    result = calibrate(correlated(2_000, noise=0.0), 24.0, resamples=200)
    assert result.matched is not None
    assert result.matched.passing == result.passing
    assert result.matched.threshold == pytest.approx(48.0, abs=0.2)
    assert result.low is not None and result.high is not None
    assert result.low <= result.matched.threshold <= result.high


def test_equal_scores_pass_together_and_the_nearer_share_is_taken() -> None:
    # Given three of six that pass, when values of the second let two or five pass, then it is two.
    result = found((9, 3), (9, 3), (9, 2), (0, 2), (0, 2), (0, 1))
    assert result.matched is not None
    assert (result.matched.threshold, result.matched.passing) == (3.0, 2)
    assert any("2 pass instead of 3" in warning for warning in result.warnings)


def test_verdicts_are_counted_in_four() -> None:
    result = found((9, 9), (9, 1), (0, 8), (0, 0))
    matched = result.matched
    assert matched == Agreement(8.0, both=1, only_first=1, only_second=1, neither=1, share=0.5, kappa=0.0)


def test_the_threshold_that_agrees_most_may_let_another_share_pass() -> None:
    # Given one answer that only the first lets pass, then asking as much as of the others agrees on all but that one.
    result = found((9, 9), (9, 8), (9, 0), (0, 2), (0, 1))
    assert result.matched is not None
    assert (result.matched.threshold, result.matched.share) == (2.0, pytest.approx(0.6))
    assert (result.best.threshold, result.best.share) == (8.0, pytest.approx(0.8))


@given(some_pairs, steps)
def test_the_most_agreeing_threshold_agrees_as_often_as_any(pairs: list[Pair], at_least: float) -> None:
    result = calibrate(pairs, at_least, resamples=20)
    shares = [
        sum((pair.first >= at_least) == (pair.second >= threshold.second) for pair in pairs) / len(pairs)
        for threshold in pairs
    ]
    assert result.best.share == pytest.approx(max(shares))


@given(some_pairs, steps)
def test_no_other_threshold_comes_nearer_to_the_share(pairs: list[Pair], at_least: float) -> None:
    result = calibrate(pairs, at_least, resamples=20)
    passing = sum(pair.first >= at_least for pair in pairs)
    if result.matched is None:
        assert passing == 0
        return
    distances = [abs(sum(p.second >= other.second for p in pairs) - passing) for other in pairs]
    assert abs(result.matched.passing - passing) == min(distances)


@given(some_pairs, steps)
def test_counts_add_up_and_the_order_of_the_pairs_does_not_matter(pairs: list[Pair], at_least: float) -> None:
    result = calibrate(pairs, at_least, resamples=20)
    assert result == calibrate(list(reversed(pairs)), at_least, resamples=20)
    for agreement in filter(None, (result.matched, result.best)):
        four = (agreement.both, agreement.only_first, agreement.only_second, agreement.neither)
        assert sum(four) == len(pairs)
        assert agreement.both + agreement.only_first == result.passing
        assert agreement.kappa is None or -1.0 <= agreement.kappa <= 1.0


@given(st.lists(st.tuples(steps, steps), min_size=3, max_size=20))
def test_correlations_are_those_of_the_textbook(scores: list[tuple[float, float]]) -> None:
    result = found(*scores, at_least=0.0)
    first, second = ([pair[side] for pair in scores] for side in (0, 1))
    if len(set(first)) == 1 or len(set(second)) == 1:
        assert (result.pearson, result.spearman) == (None, None)
        return
    ranks = [[sum(w < v for w in side) + (side.count(v) + 1) / 2 for v in side] for side in (first, second)]
    assert result.pearson == pytest.approx(np.corrcoef(first, second)[0, 1])
    assert result.spearman == pytest.approx(np.corrcoef(*ranks)[0, 1])


def test_kappa_is_that_of_the_textbook() -> None:
    # Given 20 + 15 of 50 judged alike, 25 passed by one and 30 by the other, then kappa is 0.4.
    cells = [((9, 9), 20), ((9, 0), 5), ((0, 9), 10), ((0, 0), 15)]
    result = found(*(scores for scores, times in cells for _ in range(times)))
    assert result.best.kappa == pytest.approx(0.4)


# ---- how sure it is


def test_the_interval_narrows_with_more_probes() -> None:
    widths = []
    for n in (100, 1_600):
        result = calibrate(correlated(n, noise=4.0, probes=n), 20.0, resamples=300)
        assert result.low is not None and result.high is not None
        widths.append(result.high - result.low)
    assert widths[1] < widths[0] / 2


def test_answers_to_few_probes_count_as_few() -> None:
    # Given the same answers, when they are answers to five probes that differ, then the interval is wider.
    dice = random.Random(4)
    levels = [dice.gauss(0, 5) for _ in range(5)]
    scores = [(dice.gauss(20, 1), level + dice.gauss(0, 2)) for level, _ in product(levels, range(80))]
    widths = []
    for probe_of in (lambda n: str(n // 80), str):
        result = calibrate([Pair(probe_of(n), *pair) for n, pair in enumerate(scores)], 20.0, resamples=300)
        assert result.low is not None and result.high is not None
        widths.append(result.high - result.low)
    assert widths[0] > 2 * widths[1]


def test_the_interval_holds_the_truth_about_as_often_as_it_promises() -> None:
    held = 0
    for trial in range(60):
        result = calibrate(correlated(150, noise=3.0, seed=trial, probes=150), 20.0, resamples=200)
        assert result.low is not None and result.high is not None
        held += result.low <= 40.0 <= result.high
    assert held >= 51


def test_the_same_pairs_give_the_same_interval() -> None:
    pairs = correlated(200, noise=3.0)
    assert calibrate(pairs, 20.0, resamples=100) == calibrate(pairs, 20.0, resamples=100)
    assert calibrate(pairs, 20.0, resamples=100) != calibrate(pairs, 20.0, resamples=100, seed=1)


def test_one_probe_has_no_interval() -> None:
    result = found((9, 9), (0, 0), probes=1)
    assert (result.low, result.high) == (None, None)


# ---- what it warns of


def test_many_answers_on_which_both_agree_need_no_warning() -> None:
    assert calibrate(correlated(1_000, noise=1.0), 20.0, resamples=50).warnings == ()


def test_few_answers_are_warned_of() -> None:
    assert any("Only 60 answers" in text for text in calibrate(correlated(60, 1.0), 20.0, resamples=50).warnings)


def test_poor_agreement_is_warned_of() -> None:
    warnings = calibrate(correlated(1_000, noise=40.0), 20.0, resamples=50).warnings
    assert any("not the same ones" in text for text in warnings)


def test_a_threshold_that_rests_on_few_answers_is_warned_of() -> None:
    warnings = calibrate(correlated(1_000, noise=0.1), 33.0, resamples=50).warnings
    assert any("answers lie on one side" in text for text in warnings)


def test_a_threshold_that_all_pass_is_warned_of() -> None:
    assert any("All 4 answers pass" in text for text in found((9, 1), (9, 2), (9, 3), (9, 4)).warnings)


def test_a_threshold_that_none_passes_matches_nothing() -> None:
    result = found((1, 9), (2, 8))
    assert (result.matched, result.low, result.high) == (None, None, None)
    assert result.warnings == ("None of 2 answers passes the first threshold, so no share can be matched.",)


def test_no_pairs_cannot_be_compared() -> None:
    with pytest.raises(InputError, match="no answer has both scores"):
        calibrate([], 1.0)
