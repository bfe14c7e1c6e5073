"""Which folders of dead trainings are kept, and which are swept."""

import os
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file

from lemfarm.training.adapters import CONFIG, MANIFEST, WEIGHTS, find_finished, seal
from lemfarm.training.checkpoints import Progress, has_checkpoint, save_checkpoint
from lemfarm.training.job import JOB_FILE, LoraJob, write_job
from lemfarm.training.workplace import WorkplaceBusy, workplace
from tests.unit.training.conftest import plain_job

LONG_AGO = 1_600_000_000.0


@pytest.fixture
def make(tmp_path: Path) -> Callable[..., LoraJob]:
    """Jobs of one phase whose adapters would lie in the test's folder."""
    return partial(plain_job, adapters=tmp_path, label="run 1-first")


def die_with_checkpoint(job: LoraJob) -> Path:
    """What a training leaves that was killed after its first checkpoint."""
    with workplace(job, patience=0) as place:
        write_job(job, place.folder / JOB_FILE)
        save_checkpoint(place.folder, job.key, Progress(8), lambda folder: None)
        return place.folder


def open_once(job: LoraJob) -> None:
    with workplace(job, patience=0):
        pass


def test_a_folder_with_a_checkpoint_waits_for_the_same_job(make: Callable[..., LoraJob]) -> None:
    left = die_with_checkpoint(make())
    with workplace(make(), patience=0) as place:
        assert place.folder == left and has_checkpoint(place.folder)


def test_a_folder_without_a_checkpoint_is_gone(make: Callable[..., LoraJob]) -> None:
    with workplace(make(), patience=0) as place:
        (place.folder / "half.safetensors").write_bytes(b"x")
    assert not place.folder.exists()
    # Given that even its end was sudden, then the next training sweeps it.
    place.folder.mkdir()
    with workplace(make(), patience=0) as place:
        assert list(place.folder.iterdir()) == []


def test_another_phase_leaves_it_alone_and_the_changed_phase_sweeps_it(make: Callable[..., LoraJob]) -> None:
    left = die_with_checkpoint(make())
    open_once(make(label="run 2-second", seed=2))
    assert has_checkpoint(left)
    open_once(make(learning_rate=0.2))
    assert not left.exists()


def test_what_nobody_touched_for_a_month_is_swept_but_never_ones_own(make: Callable[..., LoraJob]) -> None:
    left = die_with_checkpoint(make())
    os.utime(left, (LONG_AGO, LONG_AGO))
    open_once(make())
    assert has_checkpoint(left)
    os.utime(left, (LONG_AGO, LONG_AGO))
    open_once(make(label="run 2-second", seed=2))
    assert not left.exists()


def test_a_folder_in_use_is_neither_taken_nor_swept(make: Callable[..., LoraJob]) -> None:
    with workplace(make(), patience=0) as place:
        with pytest.raises(WorkplaceBusy, match="in use"), workplace(make(), patience=0):
            pass
        open_once(make(learning_rate=0.2))
        assert place.folder.exists()


def test_a_leftover_that_was_finished_gets_its_name_and_loses_its_checkpoints(make: Callable[..., LoraJob]) -> None:
    # Given a training that died between its manifest and its name, then the next attempt finds it among the finished.
    left = die_with_checkpoint(make())
    (left / CONFIG).write_text("{}")
    save_file({"a": np.zeros(2)}, left / WEIGHTS)
    seal(left, job=make().key, dataset="b2:d")
    with workplace(make(), patience=0):
        found = find_finished(make().adapters, make().key)
        assert found is not None and sorted(path.name for path in found.iterdir()) == [CONFIG, WEIGHTS, MANIFEST]
