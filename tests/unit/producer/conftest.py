"""A run on paper: planned, and worked on by hand."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from producer import handover, waves
from tests.ground import Ground
from tests.plugins import Plugins


@pytest.fixture
def ground_url() -> str | None:
    """SQLite in the test's folder; modules that repeat tests on PostgreSQL replace this fixture."""
    return None


@pytest.fixture
def ground(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, ground_url: str | None) -> Iterator[Ground]:
    made = Ground(tmp_path, ground_url)
    monkeypatch.setattr(waves, "send_generate", made.queue.send_generate)
    monkeypatch.setattr(waves, "queue_length", made.queue.queue_length)
    monkeypatch.setattr(handover, "send_train", made.queue.send_train)
    monkeypatch.setattr(handover, "queue_length", made.queue.queue_length)
    yield made
    made.database.close()


@pytest.fixture
def plugins(tmp_path: Path) -> Iterator[Plugins]:
    made = Plugins(tmp_path)
    made.install()
    yield made
    made.uninstall()
