"""Rows that join, decode and leave say what each would say alone in plain mlx-lm."""

import copy
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import mlx.core as mx
import mlx_lm
import pytest
from mlx_lm.generate import generate_step

from lemfarm.engines.base import FinishReason, Sampling
from lemfarm.engines.mlx_batch import Decoded, DecodingBatch
from lemfarm.engines.mlx_prefill import Cache, prefill
from lemfarm.engines.mlx_sampling import Draw, draw
from tests.tiny_model import WINDOW

pytestmark = pytest.mark.mlx

CHUNK = 32
LENGTHS = (2 * WINDOW + 9, WINDOW // 2, WINDOW + 1, 5)


def greedy(tokens: int) -> Sampling:
    return Sampling(temperature=0.0, max_tokens=tokens)


@pytest.fixture(scope="module")
def model(model_folder: Path) -> Any:
    return mlx_lm.load(str(model_folder))[0]


@pytest.fixture
def batch(model: Any) -> Iterator[DecodingBatch]:
    one = DecodingBatch(model)
    yield one
    one.close()


def prompt(number: int) -> list[int]:
    tokens = mx.random.randint(0, 256, (LENGTHS[number % len(LENGTHS)],), key=mx.random.key(number))
    return [int(token) for token in tokens.tolist()]


def cache_of(model: Any, number: int) -> Cache:
    return prefill(model, prompt(number)[:-1], CHUNK)


def alone(model: Any, number: int, tokens: int) -> list[int]:
    return [int(token) for token, _ in generate_step(mx.array(prompt(number)), model, max_tokens=tokens)]


def drain(batch: DecodingBatch, steps: int = 200) -> dict[int, list[Decoded]]:
    """What every row still says."""
    said: dict[int, list[Decoded]] = {}
    for _ in range(steps):
        for one in batch.step():
            said.setdefault(one.uid, []).append(one)
    return said


def tokens(said: Sequence[Decoded]) -> list[int]:
    return [one.token for one in said]


def test_rows_of_all_lengths_that_join_and_leave_say_what_they_would_alone(batch: DecodingBatch, model: Any) -> None:
    uids = {number: batch.join(prompt(number)[-1], cache_of(model, number), greedy(60), 0) for number in (0, 1)}
    said: dict[int, list[int]] = {}
    for step in range(100):
        if step == 6:
            uids[2] = batch.join(prompt(2)[-1], cache_of(model, 2), greedy(40), 0)
        if step == 9:
            uids[3] = batch.join(prompt(3)[-1], cache_of(model, 3), greedy(50), 0)
        if step == 20:
            batch.leave(uids[0])
        for one in batch.step():
            said.setdefault(one.uid, []).append(one.token)
    assert said[uids[0]] == alone(model, 0, 60)[:19]  # the token of its last step was never read
    for number, count in ((1, 60), (2, 40), (3, 50)):
        assert said[uids[number]] == alone(model, number, count)
        assert len(set(said[uids[number]])) >= 20


def test_samples_of_a_prompt_share_a_cache_that_stays_as_it_was(batch: DecodingBatch, model: Any) -> None:
    cache = cache_of(model, 0)
    before = copy.deepcopy([layer.state for layer in cache])
    for seed in range(3):
        batch.join(prompt(0)[-1], cache, Sampling(0.9, 0.95, 30), seed)
    said = drain(batch)
    assert len({tuple(tokens(one)) for one in said.values()}) == 3
    for layer, (keys, values, *_) in zip(cache, before, strict=True):
        assert mx.array_equal(layer.state[0], keys)
        assert mx.array_equal(layer.state[1], values)


def test_a_row_ends_by_length_and_is_not_computed_once_more(model: Any) -> None:
    rows: list[int] = []

    def counted(logits: mx.array, draws: Sequence[Draw]) -> mx.array:
        rows.append(len(draws))
        return draw(logits, draws)

    batch = DecodingBatch(model, draw=counted)
    short = batch.join(prompt(0)[-1], cache_of(model, 0), greedy(3), 0)
    longer = batch.join(prompt(1)[-1], cache_of(model, 1), greedy(5), 0)
    said = drain(batch, 10)
    assert [one.ended for one in said[short]] == [None, None, FinishReason.LENGTH]
    assert [one.ended for one in said[longer]] == [None] * 4 + [FinishReason.LENGTH]
    assert rows == [2, 2, 2, 1, 1]
    assert batch.nbytes == 0


def test_a_stop_token_ends_its_row_only(model: Any) -> None:
    said_alone = alone(model, 0, 20)
    place = next(at for at in range(3, 20) if said_alone[at] not in said_alone[:at])
    batch = DecodingBatch(model, stop_tokens=[said_alone[place]])
    stopped = batch.join(prompt(0)[-1], cache_of(model, 0), greedy(20), 0)
    other = batch.join(prompt(1)[-1], cache_of(model, 1), greedy(4), 0)
    said = drain(batch, 30)
    assert said[stopped][-1] == Decoded(stopped, said_alone[place], FinishReason.STOP)
    assert tokens(said[stopped]) == said_alone[: place + 1]
    assert tokens(said[other]) == alone(model, 1, 4)


def test_forced_tokens_are_taken_and_the_row_goes_on_from_them(batch: DecodingBatch, model: Any) -> None:
    said_alone = alone(model, 0, 12)
    led = batch.join(prompt(0)[-1], cache_of(model, 0), Sampling(1.5, 0.95, 6), 3, forced=said_alone[:6])
    wandering = batch.join(prompt(0)[-1], cache_of(model, 0), greedy(12), 0, forced=[7, 8])
    said = drain(batch)
    assert tokens(said[led]) == said_alone[:6]
    assert tokens(said[wandering])[:2] == [7, 8]
    assert tokens(said[wandering])[2:] != said_alone[2:]


def test_a_row_that_left_before_its_first_step_never_speaks(batch: DecodingBatch, model: Any) -> None:
    batch.leave(batch.join(prompt(0)[-1], cache_of(model, 0), greedy(5), 0))
    batch.leave(999)
    assert drain(batch, 5) == {}
    uid = batch.join(prompt(1)[-1], cache_of(model, 1), greedy(5), 0)
    assert tokens(drain(batch)[uid]) == alone(model, 1, 5)  # it may be filled again after it ran empty
