"""Slots from memory: figures of models that no test machine holds."""

import mlx.core as mx
import pytest

from lemfarm.engine_record import MOST_SLOTS
from lemfarm.engines import mlx_memory
from lemfarm.engines.mlx_memory import Footprint, memory_limit, planned_bytes, prefix_bytes, slots_for

GIB = 2**30


def test_a_27b_model_in_4_bits_on_64_and_96_gib() -> None:
    sample = Footprint(per_sample=int(0.94 * GIB), prefill_peak=GIB)
    assert slots_for(48 * GIB, 16 * GIB, 3 * GIB, sample) == 13
    assert slots_for(72 * GIB, 16 * GIB, 4 * GIB, sample) == 25


def test_a_small_model_is_capped() -> None:
    assert slots_for(48 * GIB, GIB, GIB, Footprint(10 * 2**20, GIB)) == MOST_SLOTS


def test_what_is_planned_keeps_within_four_fifths_of_the_limit() -> None:
    sample = Footprint(per_sample=int(0.94 * GIB), prefill_peak=GIB)
    slots = slots_for(48 * GIB, 16 * GIB, 3 * GIB, sample)
    assert planned_bytes(slots, 16 * GIB, 3 * GIB, sample) <= 0.8 * 48 * GIB
    assert planned_bytes(slots + 1, 16 * GIB, 3 * GIB, sample) > 0.8 * 48 * GIB


def test_where_nothing_fits_there_is_still_one_slot() -> None:
    assert slots_for(16 * GIB, 15 * GIB, GIB, Footprint(GIB, GIB)) == 1


def test_the_limit_is_what_metal_recommends_or_the_memory_of_the_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mx, "device_info", lambda: {"max_recommended_working_set_size": 48 * GIB})
    assert memory_limit() == 48 * GIB
    monkeypatch.setattr(mx, "device_info", dict)
    assert memory_limit() > GIB // 2


def test_prefixes_take_a_small_and_bounded_share() -> None:
    assert prefix_bytes(16 * GIB) == GIB
    assert prefix_bytes(512 * GIB) == 8 * GIB


class Layer:
    def __init__(self, held: int, window: int | None = None) -> None:
        self.keys = mx.zeros((1, 2, held, 4))
        self.nbytes = 2 * self.keys.nbytes
        if window is not None:
            self.max_size = window


def test_a_windowed_layer_stops_growing_at_its_window() -> None:
    per_token = 2 * 2 * 4 * 4
    assert mlx_memory._layer_bytes(Layer(256), 1000) == 1000 * per_token
    assert mlx_memory._layer_bytes(Layer(256, window=64), 1000) == 64 * per_token
