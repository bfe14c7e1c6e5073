"""What turns requests into text. `base` is the seam; the engines themselves are imported when one is opened."""

from pathlib import Path
from typing import TYPE_CHECKING

from lemfarm.errors import ModelError

if TYPE_CHECKING:
    from lemfarm.config import MlxModel, OpenAiModel, SimulatedModel
    from lemfarm.engine_record import EngineRecord
    from lemfarm.engines.base import Engine

__all__ = ["open_engine"]


def open_engine(
    model: "MlxModel | OpenAiModel | SimulatedModel",
    *,
    folder: Path | None,
    slots: int | None,
    at_most: int | None = None,
    tokens_per_sample: int | None = None,
    record: "EngineRecord | None" = None,
) -> "Engine":
    """Make the engine that a run file names, not loaded yet.

    `folder` is where the model's weights lie on this machine (an MLX model needs one); `slots` none lets the engine
    choose, for samples of up to `tokens_per_sample` tokens with their prompts. `at_most` bounds either where memory ran
    short before; `record` is what an MLX engine learns from and adds to. Raises ModelError where the folder is missing.
    """
    if model.engine == "simulated":
        from lemfarm.engines.simulated import SimulatedEngine

        settings = model.model_dump(exclude={"engine", "path"})
        wanted = slots or model.slots
        return SimulatedEngine(**settings | {"slots": min(wanted, at_most or wanted)})
    if model.engine == "openai":
        from lemfarm.engines.openai import OpenAiEngine

        return OpenAiEngine(model, slots=slots)
    if folder is None:
        raise ModelError(f"model {model.path}: no folder on this machine holds it; name one with --model ID=FOLDER")
    from lemfarm.engines.mlx import MlxEngine

    return MlxEngine(folder, slots=slots, at_most=at_most, tokens_per_sample=tokens_per_sample, record=record)
