"""A run on paper: planned, and worked on by hand."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from producer import handover, waves
from tests.ground import Ground


@pytest.fixture
def ground(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Ground]:
    made = Ground(tmp_path)
    monkeypatch.setattr(waves, "send_generate", made.queue.send_generate)
    monkeypatch.setattr(waves, "queue_length", made.queue.queue_length)
    monkeypatch.setattr(handover, "send_train", made.queue.send_train)
    monkeypatch.setattr(handover, "queue_length", made.queue.queue_length)
    yield made
    made.database.close()
