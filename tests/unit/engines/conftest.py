"""A tiny model for all tests of the engines, and a way to drive an engine to its end."""

import os

# Without it MLX calls the C++ compiler for every fused kernel on Linux; read when MLX is imported.
os.environ.setdefault("MLX_DISABLE_COMPILE", "1")

import json
import shutil
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import pytest

from lemfarm.engines.base import Engine, Finished, Request
from tests.tiny_model import make_tiny_model

Variant = Callable[..., Path]
"""A copy of the tiny model with other values in its config: `variant(eos_token_id=[7])`."""


@pytest.fixture(scope="session")
def model_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_tiny_model(tmp_path_factory.mktemp("model") / "tiny")


@pytest.fixture
def variant(model_folder: Path, tmp_path: Path) -> Variant:
    def make(**config: Any) -> Path:
        folder = Path(shutil.copytree(model_folder, tmp_path / "variant"))
        file = folder / "config.json"
        file.write_text(json.dumps(json.loads(file.read_text()) | config))
        return folder

    return make


def drive(engine: Engine, requests: Iterable[Request], *, most_steps: int = 5000) -> dict[str, Finished]:
    """Hand in all requests and step until each has ended."""
    waiting = set()
    for request in requests:
        engine.add(request)
        waiting.add(request.sample_id)
    return finish(engine, waiting, most_steps=most_steps)


def finish(engine: Engine, waiting: Iterable[str], *, most_steps: int = 5000) -> dict[str, Finished]:
    """Step until every one of the samples has ended."""
    left = set(waiting)
    ended: dict[str, Finished] = {}
    for _ in range(most_steps):
        if not left:
            return ended
        for finished in engine.step():
            ended[finished.sample_id] = finished
            left.discard(finished.sample_id)
    raise AssertionError(f"still waiting for {sorted(left)} after {most_steps} steps")
