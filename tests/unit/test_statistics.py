"""Figures that a report may print, and the sentences it may put beside them."""

import math
import random
import statistics as reference

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lemfarm.evaluation.statistics import (
    FEWEST_PROBES_FOR_A_CLAIM,
    Interval,
    SignTest,
    bootstrap_mean,
    describe_change,
    mean,
    median,
    paired_difference,
    percentile,
    probe_means,
    sd,
    sign_test,
)

scores = st.lists(st.floats(-100, 100), min_size=2, max_size=30)


@given(scores)
def test_mean_and_sd_agree_with_the_standard_library(values: list[float]) -> None:
    assert mean(values) == pytest.approx(reference.fmean(values))
    assert sd(values) == pytest.approx(reference.stdev(values), abs=1e-9)


def test_a_mean_of_nothing_is_an_error_and_a_spread_of_one_is_none() -> None:
    with pytest.raises(ValueError, match="no values"):
        mean([])
    assert sd([3.0]) is None


def test_percentiles_interpolate_between_neighbours() -> None:
    ordered = [0.0, 10.0, 20.0, 30.0]
    assert percentile(ordered, 0.0) == 0.0
    assert percentile(ordered, 1.0) == 30.0
    assert percentile(ordered, 0.5) == 15.0


@given(scores)
def test_an_interval_holds_its_mean_and_stays_within_the_values(values: list[float]) -> None:
    interval = bootstrap_mean(values, seed=3, resamples=200)
    assert interval.low is not None and interval.high is not None
    assert min(values) - 1e-9 <= interval.low <= interval.high <= max(values) + 1e-9
    assert interval.n == len(values)


def test_the_same_scores_give_the_same_interval_in_any_order() -> None:
    generator = random.Random(1)
    values = [generator.gauss(0, 1) for _ in range(20)]
    shuffled = list(reversed(values))
    assert bootstrap_mean(values, seed=5, resamples=500) == bootstrap_mean(shuffled, seed=5, resamples=500)
    assert bootstrap_mean(values, seed=5, resamples=500) != bootstrap_mean(values, seed=6, resamples=500)


def test_the_interval_is_about_as_wide_as_theory_says() -> None:
    # Given 400 draws of a unit normal, when bootstrapped, then the half width is near 1.96 / sqrt(400).
    generator = random.Random(7)
    values = [generator.gauss(0.0, 1.0) for _ in range(400)]
    interval = bootstrap_mean(values, resamples=2000)
    assert interval.low is not None and interval.high is not None
    assert (interval.high - interval.low) / 2 == pytest.approx(1.96 / math.sqrt(400), rel=0.12)


def test_the_interval_covers_the_truth_about_as_often_as_it_promises() -> None:
    generator = random.Random(11)
    covered = 0
    for trial in range(200):
        interval = bootstrap_mean([generator.gauss(2.0, 1.0) for _ in range(30)], seed=trial, resamples=300)
        assert interval.low is not None and interval.high is not None
        covered += interval.low <= 2.0 <= interval.high
    assert 175 <= covered <= 199


def test_a_confidence_outside_zero_and_one_is_refused() -> None:
    with pytest.raises(ValueError, match="confidence"):
        bootstrap_mean([1.0, 2.0], confidence=1.0)


def test_answers_of_one_probe_are_averaged_before_anything_else() -> None:
    # Given a probe with many answers and one with few, when averaged, then both weigh the same.
    pairs = [("loud", 10.0)] * 9 + [("quiet", 0.0)]
    assert probe_means(pairs) == {"loud": 10.0, "quiet": 0.0}


def test_pairing_removes_the_spread_between_probes() -> None:
    # Given probes of very different difficulty that all gain one point, then the interval is that point.
    before = [(f"P{n}", float(10 * n)) for n in range(8)]
    after = [(probe, score + 1.0) for probe, score in before]
    change = paired_difference(before, after, resamples=200)
    assert (change.interval.mean, change.interval.low, change.interval.high) == (1.0, 1.0, 1.0)
    assert set(change.differences.values()) == {1.0}


def test_probes_that_one_side_did_not_answer_are_named_and_left_out() -> None:
    change = paired_difference([("a", 1.0), ("b", 2.0)], [("b", 5.0), ("c", 9.0)])
    assert change.differences == {"b": 3.0}
    assert change.unpaired == ("a", "c")


def test_nothing_in_common_cannot_be_compared() -> None:
    with pytest.raises(ValueError, match="both before and after"):
        paired_difference([("a", 1.0)], [("b", 1.0)])


@given(st.floats(-20, 0), st.floats(0, 20), st.integers(2, 200))
def test_no_change_is_claimed_where_the_interval_holds_zero(low: float, high: float, n: int) -> None:
    text = describe_change(Interval((low + high) / 2, low, high, n))
    assert "no change can be claimed" in text
    assert "higher" not in text and "lower" not in text


def test_a_clear_change_is_named_with_its_interval_and_direction() -> None:
    assert describe_change(Interval(10.5, 9.1, 12.0, 24)).endswith("24 probes): higher than before.")
    assert describe_change(Interval(-3.0, -4.0, -2.0, 24)).endswith("lower than before.")


def test_few_probes_claim_nothing_however_clear_they_look() -> None:
    few = Interval(10.5, 9.1, 12.0, FEWEST_PROBES_FOR_A_CLAIM - 1)
    assert "no change can be claimed from fewer than 6 probes" in describe_change(few)
    one = bootstrap_mean([4.0])
    assert one.crosses_zero
    assert "one probe cannot show a change" in describe_change(one)


# ---- against scipy 1.17.1 on fixed data

BEFORE = [18.5, 22.0, 14.25, 25.5, 19.75, 21.0, 8.5, 23.25, 20.0, 17.5, 24.0, 16.75]
AFTER = [20.0, 22.5, 16.75, 25.5, 18.25, 24.0, 13.0, 24.75, 21.5, 17.0, 26.5, 19.25]
MOVES = [after - before for before, after in zip(BEFORE, AFTER, strict=True)]


def test_mean_median_and_sd_are_those_of_scipy() -> None:
    assert mean(BEFORE) == pytest.approx(19.25)
    assert median(BEFORE) == pytest.approx(19.875)
    assert sd(BEFORE) == pytest.approx(4.666125509748668)  # stats.tstd


@pytest.mark.parametrize(
    ("values", "low", "high"), [(MOVES, 0.5833333333333334, 2.375), (BEFORE, 16.583333333333332, 21.625)]
)
def test_a_bootstrap_interval_is_that_of_scipy(values: list[float], low: float, high: float) -> None:
    """stats.bootstrap(method="percentile", n_resamples=200_000); 10,000 resamples leave a few hundredths of chance."""
    interval = bootstrap_mean(values)
    assert interval.low == pytest.approx(low, abs=0.1)
    assert interval.high == pytest.approx(high, abs=0.1)


def test_a_sign_test_is_that_of_scipy() -> None:
    assert sign_test(MOVES) == SignTest(up=9, down=2, same=1, p=pytest.approx(0.0654296875))  # stats.binomtest(9, 11)


@pytest.mark.parametrize(
    ("up", "n", "p"),
    [
        (0, 6, 0.03125), (1, 6, 0.21875), (3, 6, 1.0), (9, 20, 0.8238029479980469), (15, 20, 0.04138946533203125),
        (60, 101, 0.07275700687752425), (0, 1, 1.0),
    ],
)  # fmt: skip
def test_the_p_of_a_sign_test_is_that_of_a_binomial_test(up: int, n: int, p: float) -> None:
    found = sign_test([1.0] * up + [-1.0] * (n - up))
    assert found.p == pytest.approx(p, rel=1e-12)


def test_probes_that_stayed_as_they_were_tell_nothing() -> None:
    assert sign_test([0.0] * 50) == SignTest(up=0, down=0, same=50, p=1.0)
    assert sign_test([]) == SignTest(up=0, down=0, same=0, p=1.0)


@given(st.lists(st.floats(-10, 10), max_size=40))
def test_a_sign_test_does_not_care_which_side_is_which(moves: list[float]) -> None:
    found, turned = sign_test(moves), sign_test([-move for move in moves])
    assert (found.up, found.down, found.p) == (turned.down, turned.up, turned.p)
    assert 0.0 < found.p <= 1.0
