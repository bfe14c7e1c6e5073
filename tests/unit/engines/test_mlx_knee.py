"""The knee: the decision on figures, and the measurement on a tiny model."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import mlx.core as mx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from mlx_lm.models.cache import make_prompt_cache

from lemfarm.engine_record import Knee
from lemfarm.engines import mlx_knee
from lemfarm.engines.mlx_knee import KneeSearch, find_knee, has_flattened, is_stale, knee_of, library_version, sizes
from lemfarm.engines.mlx_model import LoadedModel
from lemfarm.engines.mlx_prefill import feed
from tests.tiny_model import WINDOW

PROMPT = list(range(10, 40))


@pytest.fixture(scope="module")
def loaded(model_folder: Path) -> LoadedModel:
    return LoadedModel(model_folder)


def knee(**more: Any) -> Knee:
    known = Knee(4, {1: 10.0, 2: 19.0, 4: 30.0}, 4, True, 512, library_version(), "2026-11-21")
    return replace(known, **more)


def test_the_smallest_batch_that_is_as_good_as_the_best() -> None:
    assert knee_of({1: 20, 2: 39, 4: 76, 8: 110, 16: 114, 32: 112}) == 8
    assert knee_of({1: 20, 2: 19, 4: 18}) == 1
    assert knee_of({1: 20, 2: 40, 4: 80}) == 4


@given(rates=st.dictionaries(st.integers(1, 64), st.floats(0.1, 1e4), min_size=1, max_size=7))
def test_the_knee_is_one_of_the_sizes_and_nothing_smaller_is_as_good(rates: dict[int, float]) -> None:
    found = knee_of(rates)
    best = max(rates.values())
    assert rates[found] >= 0.95 * best
    assert all(rate < 0.95 * best for size, rate in rates.items() if size < found)


def test_growth_has_stopped_when_two_sizes_in_a_row_brought_nothing() -> None:
    assert not has_flattened({1: 20})
    assert not has_flattened({1: 20, 2: 39, 4: 40})
    assert has_flattened({1: 20, 2: 39, 4: 40, 8: 38})
    assert not has_flattened({1: 20, 2: 39, 4: 40, 8: 60})


def test_sizes_are_powers_of_two_and_the_most_that_memory_allows() -> None:
    assert list(sizes(13)) == [1, 2, 4, 8, 13]
    assert list(sizes(8)) == [1, 2, 4, 8]
    assert list(sizes(1)) == [1]


def test_a_knee_is_measured_again_only_where_that_may_change_it() -> None:
    assert not is_stale(knee(), 4)
    assert not is_stale(knee(slots=2, most=32), 64), "more memory is of no use beyond the knee"
    assert is_stale(knee(), 8), "the rate grew as far as memory reached"
    assert is_stale(knee(sure=False), 4)
    assert is_stale(knee(version="mlx 0.1"), 4)


@pytest.mark.mlx
def test_a_search_measures_every_size_once_at_least(loaded: LoadedModel, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mlx_knee, "has_flattened", lambda rates: False)
    monkeypatch.setattr(mlx_knee, "_ALIKE", 1000.0)  # whatever else this machine does
    found = find_knee(loaded.model, PROMPT, KneeSearch(length=2 * WINDOW, most=3, seconds=60, chunk=32))
    assert list(found.rates) == [1, 2, 3]
    assert found.sure
    assert found.slots in found.rates
    assert (found.tokens, found.most, found.version) == (2 * WINDOW, 3, library_version())
    assert all(rate > 0 for rate in found.rates.values())


@pytest.mark.parametrize(
    ("rates", "calm"),
    [
        ({1: [20.0, 21.0], 2: [39.0, 38.0, 40.0]}, True),
        ({1: [20.0, 21.0], 2: [39.0, 20.0, 40.0]}, False),
        ({1: [20.0, 21.0], 2: [39.0]}, False),
    ],
)
def test_a_search_is_sure_when_every_size_was_measured_twice_alike(rates: dict[int, list[float]], calm: bool) -> None:
    bursts = {size: [mlx_knee._Burst(rate, 0.1) for rate in seen] for size, seen in rates.items()}
    assert mlx_knee._is_calm(bursts) is calm


@pytest.mark.mlx
def test_a_search_without_time_measures_two_sizes_and_says_that_it_is_not_sure(loaded: LoadedModel) -> None:
    found = find_knee(loaded.model, PROMPT, KneeSearch(length=32, most=64, seconds=0, chunk=32))
    assert list(found.rates) == [1, 2]
    assert not found.sure


@pytest.mark.mlx
@pytest.mark.parametrize("length", [5, 32, 33, 3 * WINDOW + 1])
def test_a_stretched_cache_has_the_shape_of_a_computed_one(loaded: LoadedModel, length: int) -> None:
    """Windows included: after the step that every burst begins with, both hold the same number of tokens."""
    stretched = mlx_knee._context(loaded.model, PROMPT, KneeSearch(length, 4, 1.0, chunk=32))
    computed = make_prompt_cache(loaded.model)
    feed(loaded.model, computed, [7] * length)
    for cache in (stretched, computed):
        feed(loaded.model, cache, [7])
    held = [[(layer.offset, layer.state[0].shape) for layer in cache] for cache in (stretched, computed)]
    assert held[0] == held[1]
    assert mx.isfinite(stretched[0].state[0]).all()
