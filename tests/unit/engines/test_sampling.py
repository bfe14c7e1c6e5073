"""Each sample's random stream depends on its seed alone."""

import math

import mlx.core as mx
import pytest

from lemfarm.engines.base import Sampling
from lemfarm.engines.mlx_sampling import SeededSampler, make_sampler
from lemfarm.engines.sampling import draw_key

ROW = mx.log(mx.array([[0.6, 0.3, 0.1]]))


def draws(sampler: SeededSampler, count: int) -> list[int]:
    return [int(sampler(ROW).tolist()[0]) for _ in range(count)]


def test_keys_are_a_contract() -> None:
    assert draw_key(7, 0) == 7
    assert draw_key(7, 1) == 0x9E3779B97F4A7C1C
    assert draw_key(2**63 - 1, 10**6) < 2**64
    assert len({draw_key(7, position) for position in range(10_000)}) == 10_000


def test_the_same_seed_draws_the_same_whatever_else_is_drawn() -> None:
    by_itself = draws(SeededSampler(5, 1.0, 1.0), 30)
    one, other = SeededSampler(5, 1.0, 1.0), SeededSampler(6, 1.0, 1.0)
    mx.random.seed(123)
    among_others = []
    for _ in range(30):
        among_others += draws(one, 1)
        draws(other, 1)
    assert by_itself == among_others
    assert by_itself != draws(SeededSampler(6, 1.0, 1.0), 30)


def test_top_p_comes_before_the_temperature() -> None:
    # At temperature 5 the row would be nearly flat, and 0.8 of its mass would need all three tokens.
    assert set(draws(SeededSampler(1, 5.0, 0.8), 150)) == {0, 1}
    assert set(draws(SeededSampler(1, 5.0, 1.0), 150)) == {0, 1, 2}


def test_frequencies_follow_the_temperature() -> None:
    count = 600
    share = draws(SeededSampler(2, 0.5, 1.0), count).count(0) / count
    expected = 0.6**2 / (0.6**2 + 0.3**2 + 0.1**2)
    assert math.isclose(share, expected, abs_tol=4 * math.sqrt(expected * (1 - expected) / count))


@pytest.mark.parametrize("seed", [0, 2**63 - 1])
def test_temperature_zero_is_greedy(seed: int) -> None:
    sampler = make_sampler(seed, Sampling(temperature=0.0))
    assert sampler(ROW).tolist() == [0]
    assert sampler is make_sampler(seed + 1, Sampling(temperature=0.0))  # shared, so that a batch takes one argmax
