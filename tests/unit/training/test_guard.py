"""What a training will take is told before it begins; what will hardly fit is refused, or warned of."""

import json
from pathlib import Path
from typing import Any

import pytest

from lemfarm.errors import InputError
from lemfarm.training.guard import Forecast, forecast, objections
from tests.unit.training.conftest import plain_job

GIB = 1 << 30
SHAPE = {
    "model_type": "llama",
    "hidden_size": 1024,
    "num_hidden_layers": 12,
    "intermediate_size": 4096,
    "num_attention_heads": 16,
    "num_key_value_heads": 4,
    "vocab_size": 32_000,
}


@pytest.fixture
def model(tmp_path: Path) -> Path:
    """A model's folder, as far as it is looked at: a gibibyte of weights that take no room."""
    (tmp_path / "config.json").write_text(json.dumps(SHAPE))
    with (tmp_path / "model.safetensors").open("wb") as file:
        file.truncate(GIB)
    return tmp_path


def ahead(model: Path, limit: int = 64 * GIB, free: int = 64 * GIB, **changes: Any) -> Forecast:
    found = forecast(plain_job(model=model, **changes), [200, 1000], limit=limit, free=free, apple=False)
    assert found is not None
    return found


def test_the_longest_row_decides_the_memory_and_the_mean_the_time(model: Path) -> None:
    one = ahead(model)
    assert one.memory.weights == GIB < one.memory.needed
    assert one.tokens == 8 * 8 * 600
    assert one.seconds > 0 and "CPU" in one.source
    assert one.facts()["estimated_memory"] == one.memory.needed


def test_a_training_that_fits_is_not_objected_to(model: Path) -> None:
    assert list(objections(plain_job(model=model), ahead(model))) == []


def test_what_will_hardly_fit_is_refused_with_the_figures(model: Path) -> None:
    tight = ahead(model, limit=GIB)
    with pytest.raises(InputError, match=r"about 1\.\d GB of memory \(weights 1\.1 GB.*may have 1\.1 GB.*memory_guard"):
        list(objections(plain_job(model=model), tight))
    (warning,) = objections(plain_job(model=model, memory_guard="warn"), tight)
    assert "this process may have 1.1 GB" in warning


def test_a_machine_that_is_full_for_the_moment_is_warned_of(model: Path) -> None:
    (warning,) = objections(plain_job(model=model), ahead(model, free=1000))
    assert "0.0 GB are free: close other programs" in warning


def test_a_model_that_does_not_tell_its_shape_has_no_forecast(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text("{}")
    assert forecast(plain_job(model=tmp_path), [10], limit=GIB, free=GIB, apple=True) is None


def test_the_guard_is_no_part_of_what_a_job_is() -> None:
    assert plain_job(memory_guard="warn").key == plain_job().key
