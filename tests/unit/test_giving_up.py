"""Which probes are given up, and after how many failures."""

from math import comb

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lemfarm.giving_up import chance_of, even_share, hopeless, patience
from lemfarm.planning import TYPICAL_RATE, Beta, Cell


def test_the_chance_of_enough_successes_is_the_beta_binomial_tail() -> None:
    assert chance_of(0, 10, Beta(1, 1)) == 1
    assert chance_of(11, 10, Beta(1, 1)) == 0
    assert chance_of(5, 40, Beta(1, 1)) == pytest.approx(36 / 41)
    exact = sum(comb(10, k) * 0.35**k * 0.65 ** (10 - k) for k in range(3, 11))
    assert chance_of(3, 10, Beta(0.35e7, 0.65e7)) == pytest.approx(exact, abs=1e-4)


@given(
    successes=st.integers(0, 30),
    trials=st.integers(0, 60),
    alpha=st.floats(0.05, 50),
    beta=st.floats(0.05, 50),
)
def test_a_chance_grows_with_what_is_left_and_falls_with_what_is_missing(
    successes: int, trials: int, alpha: float, beta: float
) -> None:
    chance = chance_of(successes, trials, Beta(alpha, beta))
    assert 0 <= chance <= 1
    assert chance <= chance_of(successes, trials + 1, Beta(alpha, beta)) + 1e-9
    assert chance >= chance_of(successes + 1, trials, Beta(alpha, beta)) - 1e-9


def test_a_share_is_an_even_part_of_the_quota_and_no_larger_than_the_cap() -> None:
    assert even_share(1500, 101, 24) == 15
    assert even_share(1500, 101, 12) == 12
    assert even_share(10, 3, None) == 4
    assert even_share(10, 0, None) == 10


def test_a_probe_is_given_up_when_its_share_is_out_of_reach() -> None:
    cells = [Cell("P0", 0, 10, rejected=30), Cell("P1", 0, 20, accepted=5), Cell("P2", 0, 3), Cell("P3", 0, 40)]
    assert hopeless(cells, share=5, give_up_below=0.1) == {"P0", "P2"}
    assert hopeless(cells, share=5, give_up_below=0.0) == frozenset()


def test_the_variants_of_a_probe_are_given_up_together() -> None:
    cells = [Cell("P0", 0, 1, rejected=17), Cell("P0", 1, 2, rejected=16, accepted=1), Cell("P1", 0, 40)]
    assert hopeless(cells, share=5, give_up_below=0.1) == {"P0"}


@given(
    cells=st.lists(
        st.builds(Cell, st.sampled_from("abc"), st.integers(0, 1), *[st.integers(0, 12)] * 4),
        max_size=6,
        unique_by=lambda cell: cell.key,
    ),
    share=st.integers(1, 8),
    low=st.floats(0, 0.99),
    high=st.floats(0, 0.99),
)
def test_a_lower_threshold_gives_up_no_other_probes(cells: list[Cell], share: int, low: float, high: float) -> None:
    low, high = sorted((low, high))
    assert hopeless(cells, share, low) <= hopeless(cells, share, high)
    assert hopeless(cells, share, high) == {probe for probe, left in patience(cells, share, high).items() if left == 0}


def test_patience_is_how_many_failures_it_takes_to_be_given_up() -> None:
    for judged in range(0, 36, 5):
        cells = [Cell("P0", 0, 40 - judged, rejected=judged), Cell("P1", 0, 40)]
        left = patience(cells, 5, 0.1)["P0"]
        for failed in range(40 - judged + 1):
            after = [Cell("P0", 0, 40 - judged - failed, rejected=judged + failed), Cell("P1", 0, 40)]
            assert ("P0" in hopeless(after, 5, 0.1)) == (failed >= left)


def test_who_has_its_share_or_is_never_given_up_needs_no_patience() -> None:
    cells = [Cell("P0", 0, 20, accepted=5), Cell("P1", 0, 20)]
    assert set(patience(cells, 5, 0.1)) == {"P1"}
    assert patience(cells, 5, 0.0) == {}


def outcome_of_one_probe(concentration: float, give_up_below: float) -> tuple[float, float, float]:
    """Exactly, over all that 40 samples of one probe may come to: the share of them that is spared, the chance that its
    share of 5 is filled, and the chance that all 40 would have filled it and it was given up. One sample at a time;
    what is known of the other probes is the typical rate, and the rate itself is Beta of that mean.
    """
    samples, share = 40, 5
    alpha, beta = TYPICAL_RATE * concentration, (1 - TYPICAL_RATE) * concentration
    standing, spent, filled, lost = {0: 1.0}, 0.0, 0.0, 0.0
    for judged in range(samples):
        following: dict[int, float] = {}
        for accepted, chance in standing.items():
            rejected = judged - accepted
            cell = Cell("P0", 0, samples - judged, accepted=accepted, rejected=rejected)
            if hopeless([cell], share, give_up_below):
                posterior = Beta(alpha + accepted, beta + rejected)
                lost += chance * chance_of(share - accepted, samples - judged, posterior)
                continue
            spent += chance
            passes = (alpha + accepted) / (concentration + judged)
            if accepted + 1 == share:
                filled += chance * passes
            else:
                following[accepted + 1] = following.get(accepted + 1, 0.0) + chance * passes
            following[accepted] = following.get(accepted, 0.0) + chance * (1 - passes)
        standing = following
    return 1 - spent / samples, filled, lost


@pytest.mark.parametrize("concentration", [2, 5, 20])
def test_giving_up_below_a_tenth_spares_more_than_55_of_100_samples_and_loses_less_than_one_probe_of_100(
    concentration: float,
) -> None:
    spared, filled, lost = outcome_of_one_probe(concentration, 0.1)
    without, all_filled, none = outcome_of_one_probe(concentration, 0.0)

    assert spared > max(0.57, without)
    assert lost < 0.008
    assert none == 0
    assert filled == pytest.approx(all_filled - lost)
