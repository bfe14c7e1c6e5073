"""Each sample's random stream depends on its seed alone, and its tokens come from mlx-lm's nucleus."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

import mlx.core as mx
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from mlx_lm.sample_utils import apply_top_p

from lemfarm.engines import mlx_sampling
from lemfarm.engines.base import Sampling
from lemfarm.engines.mlx_sampling import Draw, draw, in_nucleus, tries_for
from lemfarm.engines.sampling import draw_key

ROW = [0.6, 0.3, 0.1]
PLAIN = Sampling(temperature=1.0, top_p=1.0)
DRAWS = 3000
ROUNDING = 2e-6


def logits_of(probabilities: Sequence[float], rows: int = 1) -> mx.array:
    return mx.broadcast_to(mx.log(mx.array(probabilities)), (rows, len(probabilities)))


def drawn(probabilities: Sequence[float], sampling: Sampling, *, seed: int = 5, count: int = DRAWS) -> list[int]:
    """The first `count` tokens of one sample, whose logits are the same each time."""
    draws = [Draw(sampling, seed, position) for position in range(count)]
    tokens: list[int] = draw(logits_of(probabilities, count), draws).tolist()
    return tokens


def kept(logits: mx.array, top_p: float) -> list[list[bool]]:
    """What mlx-lm's own top-p leaves."""
    left: list[list[bool]] = (apply_top_p(logits, top_p) > -mx.inf).tolist()
    return left


def judged(logits: mx.array, top_p: float) -> list[list[bool]]:
    """What is left of all tokens by the rule that draws are held to."""
    everything = mx.broadcast_to(mx.arange(logits.shape[1]), logits.shape)
    left: list[list[bool]] = in_nucleus(logits, everything, top_p).tolist()
    return left


def mass_above(logits: mx.array, row: int, token: int) -> float:
    """The share of the tokens that are more probable, in double precision."""
    scores = np.array(logits[row].tolist())
    masses = np.exp(scores - scores.max())
    return float(masses[scores > scores[token]].sum() / masses.sum())


def assert_same_nucleus(logits: mx.array, top_p: float) -> None:
    """They may part only where the mass above a token comes so near to top_p that rounding decides."""
    for row, pair in enumerate(zip(judged(logits, top_p), kept(logits, top_p), strict=True)):
        for token, (ours, theirs) in enumerate(zip(*pair, strict=True)):
            assert ours == theirs or abs(mass_above(logits, row, token) - top_p) < ROUNDING


def expected(probabilities: Sequence[float], sampling: Sampling) -> dict[int, float]:
    """mlx-lm's way: the nucleus first, the temperature then."""
    nucleus = kept(logits_of(probabilities), sampling.top_p)[0]
    weights = {
        token: mass ** (1 / sampling.temperature)
        for token, (mass, inside) in enumerate(zip(probabilities, nucleus, strict=True))
        if inside
    }
    return {token: weight / sum(weights.values()) for token, weight in weights.items()}


def distance(tokens: Sequence[int], shares: dict[int, float]) -> float:
    """Chi square per degree of freedom; about 1 where the tokens come from these shares."""
    counts = Counter(tokens)
    assert counts.keys() <= shares.keys()
    differences = [
        (counts[token] - share * len(tokens)) ** 2 / (share * len(tokens)) for token, share in shares.items()
    ]
    return sum(differences) / max(1, len(shares) - 1)


def test_keys_are_a_contract() -> None:
    assert draw_key(7, 0) == 7
    assert draw_key(7, 1) == 0x9E3779B97F4A7C1C
    assert draw_key(2**63 - 1, 10**6) < 2**64
    assert len({draw_key(7, position) for position in range(10_000)}) == 10_000


def test_words_of_a_key_are_those_that_mlx_makes() -> None:
    one = Draw(PLAIN, 2**63 - 5, 77)
    assert list(mlx_sampling._key(one)) == mx.random.key(draw_key(one.seed, one.position)).tolist()


def test_the_same_seed_draws_the_same_whatever_else_is_drawn() -> None:
    mine = [Draw(Sampling(1.0, 0.95), 5, position) for position in range(30)]
    others = [Draw(Sampling(1.0, 0.95), 6, position) for position in range(30)]
    alone = draw(logits_of(ROW, 30), mine).tolist()
    mx.random.seed(123)
    mixed = draw(logits_of(ROW, 60), [one for pair in zip(others, mine, strict=True) for one in pair]).tolist()
    assert mixed[1::2] == alone
    assert mixed[0::2] != alone
    by_itself = [draw(logits_of(ROW), [one]).item() for one in mine]
    assert by_itself == alone


@pytest.mark.parametrize(
    "sampling",
    [PLAIN, Sampling(0.8, 0.95), Sampling(0.5, 1.0), Sampling(1.0, 0.9), Sampling(0.8, 0.6), Sampling(1.7, 0.95)],
)
def test_tokens_come_as_often_as_mlx_lms_order_of_top_p_and_temperature_has_them(sampling: Sampling) -> None:
    row = [0.35, 0.25, 0.15, 0.1, 0.08, 0.04, 0.02, 0.01]
    tokens = drawn(row, sampling)
    assert distance(tokens, expected(row, sampling)) < 3.5


def test_a_wide_vocabulary_is_drawn_from_as_sorting_would_have_it(monkeypatch: pytest.MonkeyPatch) -> None:
    row = (mx.softmax(mx.random.normal((200,), key=mx.random.key(1)) * 2)).tolist()
    sampling = Sampling(0.8, 0.95)
    shares = expected(row, sampling)
    assert 40 < len(shares) < 199
    assert distance(drawn(row, sampling), shares) < 1.6
    monkeypatch.setattr(mlx_sampling, "_MOST_TRIES", 0)  # as it is where the vocabulary is sorted
    assert distance(drawn(row, sampling), shares) < 1.6


def test_top_p_comes_before_the_temperature() -> None:
    # At temperature 5 the row would be nearly flat, and 0.8 of its mass would need all three tokens.
    assert set(drawn(ROW, Sampling(5.0, 0.8), count=150)) == {0, 1}
    assert set(drawn(ROW, Sampling(5.0, 1.0), count=150)) == {0, 1, 2}


def test_rows_with_other_rules_do_not_change_what_a_row_draws() -> None:
    rules = [Sampling(0.8, 0.95), Sampling(0.0), Sampling(1.5, 0.9), Sampling(0.8, 0.5), Sampling(1.0, 1.0)]
    draws = [Draw(rule, seed, seed) for seed, rule in enumerate([*rules, *rules])]
    logits = mx.random.normal((len(draws), 64), key=mx.random.key(3))
    together = draw(logits, draws).tolist()
    assert together == [draw(logits[row : row + 1], [one]).item() for row, one in enumerate(draws)]


@pytest.mark.parametrize("seed", [0, 2**63 - 1])
def test_temperature_zero_is_greedy(seed: int) -> None:
    assert draw(logits_of(ROW), [Draw(Sampling(temperature=0.0), seed, 3)]).tolist() == [0]


def test_draws_that_all_miss_end_with_the_likeliest_token(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mlx_sampling, "_in_nucleus", lambda scores, masses, tokens, top_p: tokens < 0)
    assert drawn([0.2, 0.5, 0.3], Sampling(0.8, 0.95), count=4) == [1, 1, 1, 1]


def test_misses_of_all_tries_are_rarer_than_a_step_of_the_random_numbers() -> None:
    for top_p in (0.875, 0.9, 0.95, 0.99):
        tries = tries_for(1.0, top_p)
        assert tries is not None
        assert (1 - top_p) ** tries <= 2**-24
    assert tries_for(1.0, 0.95) == 6
    assert tries_for(1.0, 0.87) is None  # sorting is cheaper
    assert tries_for(1.01, 0.95) is None  # the tail gains weight, so that draws miss more often than 1 - top_p


rows_of_logits = st.one_of(
    st.lists(st.integers(-200, 200).map(lambda tenths: tenths / 10), min_size=2, max_size=40),  # any
    st.lists(st.sampled_from([-3.0, -1.0, 0.0, 0.5, 2.0]), min_size=2, max_size=40),  # tied
    st.integers(2, 40).map(lambda size: [1.0] * size),  # flat
    st.integers(2, 40).map(lambda size: [30.0] + [0.0] * size),  # peaked
)


@settings(max_examples=120, deadline=None)
@given(row=rows_of_logits, top_p=st.sampled_from([0.1, 0.5, 0.8, 0.9, 0.95, 0.99]))
def test_the_nucleus_is_mlx_lms(row: list[float], top_p: float) -> None:
    assert_same_nucleus(mx.array([row]), top_p)


@pytest.mark.parametrize("width", [0.1, 1.0, 3.0, 8.0])
def test_the_nucleus_is_mlx_lms_in_a_large_vocabulary(width: float) -> None:
    logits = mx.random.normal((3, 700), key=mx.random.key(int(width * 10))) * width
    assert_same_nucleus(logits, 0.95)
    assert sum(map(sum, judged(logits, 0.95))) == sum(map(sum, kept(logits, 0.95)))


def test_half_precision_logits_are_drawn_from() -> None:
    logits = mx.array([[9.0, 1.0, 0.5]]).astype(mx.bfloat16)
    assert draw(logits, [Draw(replace(PLAIN, top_p=0.9), 1, 0)]).tolist() == [0]
