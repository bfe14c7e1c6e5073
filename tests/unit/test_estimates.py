"""Memory, time, disk and training from a model's configuration."""

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lemfarm.engine_record import MOST_SLOTS
from lemfarm.errors import ModelError
from lemfarm.estimates import (
    adapter_bytes,
    adapters_bytes,
    disk_bytes,
    generation_seconds,
    kv_bytes,
    memory_limit,
    memory_plan,
    rate_for,
    read_shape,
    shape_of,
    training_memory,
    training_plan,
    training_rate,
    weights_bytes,
)

GIB = 1 << 30
GEMMA_27B = {
    "model_type": "gemma3",
    "text_config": {
        "model_type": "gemma3_text",
        "hidden_size": 5376,
        "intermediate_size": 21504,
        "num_attention_heads": 32,
        "num_key_value_heads": 16,
        "head_dim": 128,
        "num_hidden_layers": 62,
        "sliding_window": 1024,
    },
}
GEMMA_4B = {
    "model_type": "gemma3",
    "text_config": {
        "model_type": "gemma3_text",
        "hidden_size": 2560,
        "intermediate_size": 10240,
        "num_hidden_layers": 34,
        "sliding_window": 1024,
    },
}
LLAMA = {"model_type": "llama", "hidden_size": 4096, "num_hidden_layers": 32, "num_attention_heads": 32}


@pytest.mark.parametrize(
    ("config", "parameters", "megabytes"),
    [(GEMMA_27B, 27.0e9, 626), (GEMMA_4B, 3.9e9, 169), ({"model_type": "gemma3_text"}, 1.0e9, 21)],
)
def test_gemma_3_at_2316_tokens(config: dict[str, object], parameters: float, megabytes: int) -> None:
    """The figures of the architectures' published descriptions: 27B, 4B, and 1B from mlx-lm's defaults alone."""
    shape = shape_of(config)
    assert shape.parameters == pytest.approx(parameters, rel=0.01)
    assert kv_bytes(shape, 2316) / 1e6 == pytest.approx(megabytes, rel=0.01)


def test_a_window_bounds_the_cache_of_local_layers_only() -> None:
    shape = shape_of({"model_type": "gemma3_text"})
    assert (shape.global_layers, shape.local_layers, shape.window) == (4, 22, 512)
    per_token = 2 * shape.kv_heads * shape.head_dim * 2
    assert kv_bytes(shape, 512) == per_token * 26 * 512
    assert kv_bytes(shape, 1512) == kv_bytes(shape, 512) + per_token * 4 * 1000


@pytest.mark.parametrize(
    ("more", "local"),
    [
        ({"sliding_window": 4096}, 0),
        ({"sliding_window": 4096, "layer_types": ["sliding_attention"] * 8 + ["full_attention"] * 24}, 8),
        ({"model_type": "gemma2", "sliding_window": 4096, "layer_types": ["sliding_attention"] * 32}, 0),
    ],
)
def test_layers_count_as_windowed_only_where_that_is_certain(more: dict[str, object], local: int) -> None:
    assert shape_of(LLAMA | more).local_layers == local


def test_heads_share_keys_only_where_the_configuration_says_so_and_float32_takes_twice() -> None:
    half, whole = shape_of(LLAMA), shape_of(LLAMA | {"torch_dtype": "float32"})
    assert (half.kv_heads, half.head_dim) == (32, 128)
    assert kv_bytes(whole, 100) == 2 * kv_bytes(half, 100)


def test_a_folder_gives_its_shape_and_the_size_of_its_weights(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text(json.dumps(LLAMA))
    for name in ("model-1.safetensors", "model-2.safetensors"):
        (tmp_path / name).write_bytes(b"x" * 100)
    (tmp_path / "other.bin").write_bytes(b"x" * 1000)
    assert read_shape(tmp_path).layers == 32
    assert weights_bytes(tmp_path) == 200


@pytest.mark.parametrize("config", [{"model_type": "mamba"}, LLAMA | {"num_hidden_layers": "many"}])
def test_a_configuration_that_does_not_tell_is_no_crash(tmp_path: Path, config: dict[str, object]) -> None:
    (tmp_path / "config.json").write_text(json.dumps(config))
    with pytest.raises(ModelError, match="no memory estimate without"):
        read_shape(tmp_path)


def test_the_27b_model_fits_a_large_mac_and_not_a_small_one() -> None:
    def plan(memory: int) -> int:
        limit = memory_limit(memory * GIB, apple=True)
        shape = shape_of(GEMMA_27B)
        return memory_plan(shape, 16 * GIB, limit, kernel_tokens=2000, prompt_tokens=100, max_tokens=4096).slots

    assert plan(16) == plan(24) == 0
    assert 1 <= plan(36) < plan(64) < plan(96) <= MOST_SLOTS
    assert plan(512) == MOST_SLOTS


def test_macos_keeps_a_part_of_the_memory_from_the_gpu() -> None:
    assert memory_limit(36 * GIB, apple=True) == 24 * GIB
    assert memory_limit(96 * GIB, apple=True) == 72 * GIB
    assert memory_limit(96 * GIB, apple=False) == 96 * GIB


@given(limit=st.integers(0, 600 * GIB), weights=st.integers(0, 40 * GIB), tokens=st.integers(1, 30_000))
def test_a_plan_with_slots_keeps_within_four_fifths_of_the_limit(limit: int, weights: int, tokens: int) -> None:
    plan = memory_plan(shape_of(GEMMA_4B), weights, limit, kernel_tokens=2000, prompt_tokens=60, max_tokens=tokens)
    assert 0 <= plan.slots <= MOST_SLOTS
    assert plan.slots == 0 or plan.needed <= 0.8 * limit + 1


def test_a_measured_rate_goes_before_the_table() -> None:
    assert rate_for(27_000_000_000, mean_tokens=500, apple=True).seconds_per_sample == 60
    assert rate_for(27_000_000_000, mean_tokens=500, apple=True, measured=4.5).seconds_per_sample == 4.5
    assert "measured" in rate_for(1, mean_tokens=1, apple=True, measured=4.5).source


def test_the_table_grows_with_the_model_and_on_cpu_with_the_answer() -> None:
    small, large = (rate_for(size, mean_tokens=500, apple=True) for size in (1_000_000_000, 12_000_000_000))
    assert 1 <= small.seconds_per_sample < large.seconds_per_sample < 60
    short, long = (rate_for(3_800_000, mean_tokens=tokens, apple=False) for tokens in (112, 1120))
    assert short.seconds_per_sample == pytest.approx(1, rel=0.05)
    assert long.seconds_per_sample == pytest.approx(10 * short.seconds_per_sample)
    assert "CPU" in short.source


def test_the_curriculum_takes_as_long_as_its_document_says() -> None:
    rate = rate_for(27_000_000_000, mean_tokens=500, apple=True)
    hours = generation_seconds(4040, rate) / 3600
    assert 48 <= hours <= 72
    assert generation_seconds(4040, rate, machines=4) == pytest.approx(hours * 3600 / 4)


def test_disk_holds_samples_adapters_and_the_checkpoints_of_one_training() -> None:
    adapter = adapter_bytes(shape_of(GEMMA_27B), rank=16, num_layers=32)
    assert 100e6 < adapter < 400e6  # the curriculum's own estimate is about 200 MB
    assert adapter_bytes(shape_of(GEMMA_27B), 16, -1) == pytest.approx(adapter * 62 / 32)
    assert adapters_bytes(adapter, phases=5) == (5 + 3 * 3 + 1) * adapter
    assert adapters_bytes(adapter, phases=0) == 0
    assert disk_bytes(4040, 500) > 4040 * 500 * 4


def test_an_iteration_is_an_optimizer_update() -> None:
    plan = training_plan(100, 400, batch_size=1, grad_accumulation_steps=8)
    assert (plan.micro_steps, plan.examples_seen, plan.epochs, plan.warning) == (800, 800, 2.0, None)


def test_less_than_one_epoch_is_a_warning_that_says_how_many_iterations_it_takes() -> None:
    plan = training_plan(100, 1500, batch_size=1, grad_accumulation_steps=8)
    assert plan.warning is not None
    assert "see 800 of 1,500 examples (0.53 epochs); 188 iterations" in plan.warning
    assert training_plan(188, 1500, batch_size=1, grad_accumulation_steps=8).warning is None
    assert training_plan(10, 0, batch_size=1, grad_accumulation_steps=8).epochs == 0


#: Peaks of real trainings on MLX's CPU backend (rank 16 on all layers, two micro-steps an update, no compiler), in MB:
#: model type, vocabulary, hidden, layers, tokens, rows, gradient checkpointing, type, weights, peak.
MEASURED = [
    ("gemma3_text", 256, 128, 6, 256, 1, True, "float32", 6.2, 27.2),
    ("gemma3_text", 256, 128, 12, 256, 1, True, "float32", 12.1, 37.6),
    ("gemma3_text", 256, 128, 6, 256, 1, False, "float32", 6.2, 67.8),
    ("gemma3_text", 256, 128, 12, 256, 1, False, "float32", 12.1, 132.1),
    ("gemma3_text", 16384, 128, 6, 256, 1, True, "float32", 22.7, 105.6),
    ("gemma3_text", 16384, 128, 6, 256, 1, True, "bfloat16", 11.3, 56.8),
    ("gemma3_text", 256, 128, 6, 512, 1, True, "float32", 6.2, 62.1),
    ("gemma3_text", 256, 128, 6, 512, 1, False, "float32", 6.2, 160.1),
    ("gemma3_text", 256, 128, 6, 256, 1, True, "bfloat16", 3.1, 19.7),
    ("gemma3_text", 256, 128, 6, 256, 1, False, "bfloat16", 3.1, 43.9),
    ("llama", 256, 128, 6, 256, 1, False, "bfloat16", 3.0, 38.2),
    ("gemma3_text", 256, 256, 6, 256, 1, True, "float32", 24.1, 62.5),
    ("gemma3_text", 256, 256, 6, 256, 1, False, "float32", 24.1, 133.3),
    ("gemma3_text", 256, 128, 6, 256, 2, True, "float32", 6.2, 44.1),
]


@pytest.mark.parametrize(
    ("kind", "vocabulary", "hidden", "layers", "tokens", "rows", "saves", "type_", "weights", "peak"), MEASURED
)
def test_the_memory_of_a_training_is_a_bound_of_what_was_measured(
    kind: str,
    vocabulary: int,
    hidden: int,
    layers: int,
    tokens: int,
    rows: int,
    saves: bool,
    type_: str,
    weights: float,
    peak: float,
) -> None:
    shape = shape_of(
        {
            "model_type": kind,
            "vocab_size": vocabulary,
            "hidden_size": hidden,
            "num_hidden_layers": layers,
            "intermediate_size": 4 * hidden,
            "num_attention_heads": 8,
            "num_key_value_heads": 4,
            "head_dim": hidden // 8,
            "torch_dtype": type_,
        }
    )
    found = training_memory(
        shape, int(weights * 1e6), tokens, batch_size=rows, rank=16, num_layers=-1, grad_checkpoint=saves
    )
    assert peak <= found.needed / 1e6 <= 1.8 * peak


def test_training_a_27b_model_fits_where_the_curriculum_says_it_does() -> None:
    # Given the curriculum's settings and 14 GB of weights, then a Mac of 96 GB, of which a process has 72, has room.
    shape = shape_of(GEMMA_27B)
    found = training_memory(shape, 14 * 10**9, 4608, batch_size=1, rank=16, num_layers=32, grad_checkpoint=True)
    assert 20e9 < found.needed < memory_limit(96 * GIB, apple=True)
    without = training_memory(shape, 14 * 10**9, 4608, batch_size=1, rank=16, num_layers=32, grad_checkpoint=False)
    assert without.needed > memory_limit(96 * GIB, apple=True)


def test_training_the_curriculum_takes_as_long_as_its_document_says() -> None:
    rate = training_rate(27_000_000_000, apple=True)
    assert 22 <= 350 * 8 * 4096 * rate.seconds_per_token / 3600 <= 30
    assert "350 updates" in rate.source
    assert "CPU" in training_rate(10_000_000, apple=False).source
