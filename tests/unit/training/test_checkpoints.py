"""Checkpoints are whole or not there, whatever happens to the process or the disk."""

from pathlib import Path

import pytest

from lemfarm.training.checkpoints import (
    ADAPTER,
    BEST,
    OPTIMIZER,
    Checkpoint,
    Progress,
    has_checkpoint,
    newest_checkpoint,
    remove_checkpoints,
    remove_leftovers,
    save_checkpoint,
)

JOB = "b2:this-job"


def fill(folder: Path) -> None:
    (folder / ADAPTER).write_bytes(b"weights")
    (folder / OPTIMIZER).write_bytes(b"moments")


def progress(iteration: int) -> Progress:
    curve = ({"event": "valid_loss", "iteration": 0, "loss": 2.5},)
    return Progress(iteration, curve, trained_tokens=900, seconds=1.5, peak_memory=1 << 30, resumed=(5,))


def save(folder: Path, *iterations: int) -> list[Checkpoint]:
    return [save_checkpoint(folder, JOB, progress(iteration), fill) for iteration in iterations]


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_what_was_saved_is_read_again(tmp_path: Path) -> None:
    (saved,) = save(tmp_path, 25)
    assert newest_checkpoint(tmp_path, JOB) == saved == Checkpoint(tmp_path / "checkpoint-0000025", progress(25))


def test_the_last_two_are_kept(tmp_path: Path) -> None:
    save(tmp_path, 25, 50, 75)
    assert names(tmp_path) == ["checkpoint-0000050", "checkpoint-0000075"]


def test_a_checkpoint_of_another_job_is_none(tmp_path: Path) -> None:
    save(tmp_path, 25)
    assert newest_checkpoint(tmp_path, "b2:another-job") is None


@pytest.mark.parametrize("name", [ADAPTER, OPTIMIZER, "state.json"])
def test_a_torn_file_makes_the_checkpoint_before_it_serve(tmp_path: Path, name: str) -> None:
    older, newer = save(tmp_path, 25, 50)
    torn = newer.folder / name
    torn.write_bytes(torn.read_bytes()[:-3])
    assert newest_checkpoint(tmp_path, JOB) == older


@pytest.mark.parametrize("name", [ADAPTER, OPTIMIZER, "state.json"])
def test_a_missing_file_makes_the_checkpoint_before_it_serve(tmp_path: Path, name: str) -> None:
    older, newer = save(tmp_path, 25, 50)
    (newer.folder / name).unlink()
    assert newest_checkpoint(tmp_path, JOB) == older


def test_a_death_while_writing_leaves_the_checkpoint_before_it(tmp_path: Path) -> None:
    (older,) = save(tmp_path, 25)

    def die(folder: Path) -> None:
        (folder / ADAPTER).write_bytes(b"half")
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        save_checkpoint(tmp_path, JOB, progress(50), die)
    assert newest_checkpoint(tmp_path, JOB) == older
    # When the next child tidies up, then only the checkpoint is left, and it can save again.
    (tmp_path / BEST).write_bytes(b"of a dead child")
    remove_leftovers(tmp_path)
    assert names(tmp_path) == ["checkpoint-0000025"]
    assert save(tmp_path, 50)[0] == newest_checkpoint(tmp_path, JOB)


def test_the_same_update_saved_again_replaces_the_first(tmp_path: Path) -> None:
    save(tmp_path, 25, 25)
    assert names(tmp_path) == ["checkpoint-0000025"]


def test_an_empty_folder_has_none_and_removing_leaves_none(tmp_path: Path) -> None:
    assert newest_checkpoint(tmp_path, JOB) is None and not has_checkpoint(tmp_path)
    save(tmp_path, 25)
    assert has_checkpoint(tmp_path)
    remove_checkpoints(tmp_path)
    assert not has_checkpoint(tmp_path) and names(tmp_path) == []
