"""A tiny model, a tiny dataset and jobs about them, for the tests of training."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from lemfarm.curation.dataset import DatasetManifest, Example, split, write_dataset
from lemfarm.curation.sides import Side
from lemfarm.dialogue import Message
from lemfarm.training.job import LoraJob
from tests.tiny_model import make_tiny_model, words

MakeJob = Callable[..., LoraJob]


@pytest.fixture(scope="session", autouse=True)
def _no_compiler() -> Any:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MLX_DISABLE_COMPILE", "1")  # else every new shape is compiled by a C++ compiler on Linux
        yield


@pytest.fixture(scope="session")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_tiny_model(tmp_path_factory.mktemp("models") / "tiny")


def make_examples(probes: int, answers: int, answer_words: int = 6) -> list[Example]:
    return [
        Example(f"P{probe:02}-{n}", f"P{probe:02}", (Message("user", words(4, probe)),), words(answer_words, n))
        for probe in range(probes)
        for n in range(answers)
    ]


def freeze(examples: list[Example], folder: Path) -> DatasetManifest:
    """Every fourth probe validates."""
    probes = sorted({example.probe for example in examples})
    sides = {probe: Side.VALID if place % 4 == 1 else Side.TRAIN for place, probe in enumerate(probes)}
    return write_dataset(split(examples, sides), folder)


def plain_job(**changes: Any) -> LoraJob:
    """A job about files that need not be there: nobody trains it."""
    fields: dict[str, Any] = dict.fromkeys(("iterations", "steps_per_eval", "save_every", "max_seq_length", "rank"), 8)
    fields |= {"model": Path("/m"), "model_hash": "b2:m", "dataset": Path("/d"), "dataset_hash": "b2:d"}
    fields |= {"adapters": Path("/a"), "learning_rate": 1e-5, "scale": 1.0, "dropout": 0.0, "num_layers": 2}
    fields |= {"batch_size": 1, "grad_accumulation_steps": 8, "grad_checkpoint": True, "optimizer": "adam"}
    return LoraJob(**(fields | {"mask_prompt": True, "seed": 1} | changes))


@pytest.fixture
def make_job(model: Path, tmp_path: Path) -> MakeJob:
    return job_maker(model, tmp_path)


def job_maker(model: Path, folder: Path) -> MakeJob:
    """A small job in the folder; any field can be replaced, and `examples` gives it rows of its own."""

    def make(examples: list[Example] | None = None, **changes: Any) -> LoraJob:
        rows = examples if examples is not None else make_examples(4, 4)
        dataset = folder / f"dataset-{len(rows)}"
        settings: dict[str, Any] = {
            "model": model,
            "model_hash": "b2:tiny",
            "dataset": dataset,
            "dataset_hash": freeze(rows, dataset).hash,
            "adapters": folder / "adapters",
            "iterations": 4,
            "learning_rate": 5e-3,
            "steps_per_eval": 2,
            "save_every": 3,
            "max_seq_length": 128,
            "rank": 4,
            "scale": 10.0,
            "dropout": 0.0,
            "num_layers": 2,
            "batch_size": 2,
            "grad_accumulation_steps": 2,
            "grad_checkpoint": False,
            "optimizer": "adam",
            "mask_prompt": True,
            "seed": 7,
        }
        return LoraJob(**(settings | changes))

    return make
