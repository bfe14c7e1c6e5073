"""The engine that a run file names."""

from pathlib import Path

import pytest

from lemfarm.config import MlxModel, SimulatedModel
from lemfarm.engines import open_engine
from lemfarm.engines.mlx import MlxEngine
from lemfarm.engines.simulated import SimulatedEngine
from lemfarm.errors import ModelError


def test_a_simulated_model_takes_its_settings_from_the_file() -> None:
    engine = open_engine(SimulatedModel(engine="simulated", slots=5), folder=None, slots=None)
    assert isinstance(engine, SimulatedEngine)
    assert engine.slots == 5
    assert open_engine(SimulatedModel(engine="simulated", slots=5), folder=None, slots=2).slots == 2


def test_where_memory_ran_short_before_there_are_fewer_slots_than_wanted() -> None:
    model = SimulatedModel(engine="simulated", slots=5)
    assert open_engine(model, folder=None, slots=None, at_most=3).slots == 3
    assert open_engine(model, folder=None, slots=4, at_most=3).slots == 3
    assert open_engine(model, folder=None, slots=2, at_most=3).slots == 2


def test_an_mlx_model_needs_its_folder() -> None:
    model = MlxModel(engine="mlx", path="some/model")
    assert isinstance(open_engine(model, folder=Path("anywhere"), slots=None), MlxEngine)
    with pytest.raises(ModelError, match=r"some/model.*--model ID=FOLDER"):
        open_engine(model, folder=None, slots=None)
