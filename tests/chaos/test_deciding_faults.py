"""`kill -9` between measuring and deciding: at every write, an adapter is either judged and pointed at, or neither."""

import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text

from lemfarm.database import open_database
from producer import handover, waves
from tests.chaos.deciding_process import look
from tests.gated_course import answer, start, train
from tests.ground import Ground

pytestmark = pytest.mark.chaos
QUEUES = ((waves, "send_generate"), (waves, "queue_length"), (handover, "send_train"), (handover, "queue_length"))


@pytest.fixture
def measured(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The first adapter is measured above its gate, and nobody has looked since."""
    folder = tmp_path / "measured"
    folder.mkdir()
    ground = Ground(folder)
    for module, name in QUEUES:
        monkeypatch.setattr(module, name, getattr(ground.queue, name))
    start(ground)
    train(ground, "b2:one")
    ground.look()
    answer(ground, 6.0)
    ground.database.close()
    yield folder


def look_and_die(folder: Path, die_before: int) -> int:
    """Let a process of its own look; returns its exit code."""
    command = [sys.executable, "-m", "tests.chaos.deciding_process", str(folder), str(die_before)]
    return subprocess.run(command, check=False, timeout=300).returncode


def standing(folder: Path) -> dict[str, Any]:
    """What the gates left behind."""
    queries = {
        "promoted": "SELECT promoted FROM run",
        "decisions": "SELECT adapter_id, outcome, decided_by FROM gate_decision ORDER BY id",
        "phases": "SELECT name, state FROM phase ORDER BY position",
        "stages": "SELECT phase_id, attempt, state FROM training_stage ORDER BY id",
        "evaluations": "SELECT adapter_id, condition, split FROM evaluation ORDER BY 1, 2, 3",
        "samples": "SELECT purpose, adapter_id, state, count(*) FROM sample GROUP BY 1, 2, 3 ORDER BY 1, 2, 3",
        "notices": "SELECT count(*) FROM notice",
    }
    database = open_database(f"sqlite:///{folder / 'farm.db'}")
    try:
        with database.read() as connection:
            return {name: [tuple(row) for row in connection.execute(text(sql))] for name, sql in queries.items()}
    finally:
        database.close()


def test_a_watcher_is_killed_at_each_write_of_a_decision(measured: Path, tmp_path: Path) -> None:
    undisturbed = shutil.copytree(measured, tmp_path / "undisturbed")
    look(undisturbed)
    expected = standing(undisturbed)
    assert expected["promoted"] == [("b2:one",)]
    deaths = 0
    for number in count(1):
        folder = shutil.copytree(measured, tmp_path / str(number))
        code = look_and_die(folder, number)
        if code == 0:
            break
        # Given a watcher that was killed before its n-th write
        assert code == -signal.SIGKILL
        deaths += 1
        # Then an adapter is promoted exactly if its decision and its phase say so
        found = standing(folder)
        assert (found["promoted"] == [("b2:one",)]) == bool(found["decisions"]) == (found["phases"][0][1] == "trained")
        # And the next watcher ends where an undisturbed one ends
        look(folder)
        assert standing(folder) == expected
        shutil.rmtree(folder)
    assert deaths >= 5, "a decision is more than one write"
