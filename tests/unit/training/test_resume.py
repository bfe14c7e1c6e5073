"""A training that was interrupted goes on, and ends as if nothing had been: losses, rates, weights, bit by bit."""

import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from lemfarm.training.adapters import AdapterManifest, verify
from lemfarm.training.checkpoints import ADAPTER, newest_checkpoint
from lemfarm.training.child import run_lora
from lemfarm.training.job import Event, LoraJob, write_job
from lemfarm.training.lora import train_job
from lemfarm.training.lora_course import Stopped
from lemfarm.training.lora_model import OPTIMIZERS
from tests.unit.training.conftest import MakeJob

pytestmark = pytest.mark.mlx

#: All that could go wrong in a resume: dropout, accumulation, shuffling over several epochs, a moving rate.
HARD = {"dropout": 0.3, "iterations": 8, "schedule": "cosine", "warmup": 2, "steps_per_eval": 3, "save_every": 3}


def train_here(job: LoraJob, folder: Path, stop_after: int | None = None) -> tuple[AdapterManifest, list[Event]]:
    """Train in this process; a stop after some updates keeps a checkpoint of the update, as a stopped child does."""
    events: list[Event] = []
    stop = threading.Event()

    def hear(event: Event) -> None:
        events.append(event)
        if event["event"] == "train_loss" and event["iteration"] == stop_after:
            stop.set()

    folder.mkdir(exist_ok=True)
    return train_job(job, folder, hear, stop), events


def interrupted(job: LoraJob, folder: Path, *stops: int) -> tuple[AdapterManifest, list[Event]]:
    for after in stops:
        with pytest.raises(Stopped):
            train_here(job, folder, after)
    return train_here(job, folder)


def test_an_interrupted_training_ends_as_if_nothing_had_been(make_job: MakeJob, tmp_path: Path) -> None:
    job = make_job(**HARD)
    whole, told = train_here(job, tmp_path / "whole")
    # Given stops between checkpoints, right after one, and before the validation that was due.
    resumed, again = interrupted(job, tmp_path / "resumed", 2, 3, 7)
    assert resumed.id == whole.id
    assert resumed.curve == whole.curve
    assert resumed.record["resumed"] == [2, 3, 7] and whole.record["resumed"] == []
    assert resumed.record["trained_tokens"] == whole.record["trained_tokens"] > 0
    assert resumed.record["used"] == whole.record["used"]
    # Then listeners hear the whole curve again, so that what they store is whole.
    losses = ("train_loss", "valid_loss")
    assert [(one["event"], one["iteration"], one["loss"]) for one in again if one["event"] in losses] == [
        (one["event"], one["iteration"], one["loss"]) for one in told if one["event"] in losses
    ]


@pytest.mark.parametrize("name", sorted(OPTIMIZERS))
def test_every_optimizer_goes_on_where_it_was(make_job: MakeJob, tmp_path: Path, name: str) -> None:
    job = make_job(optimizer=name, iterations=3, steps_per_eval=9, learning_rate=1e-3, grad_accumulation_steps=1)
    whole, _ = train_here(job, tmp_path / "whole")
    resumed, _ = interrupted(job, tmp_path / "resumed", 2)
    assert resumed.id == whole.id and resumed.record["resumed"] == [2]


def test_a_torn_checkpoint_costs_the_updates_since_the_one_before(make_job: MakeJob, tmp_path: Path) -> None:
    job, folder = make_job(**HARD), tmp_path / "torn"
    whole, _ = train_here(job, tmp_path / "whole")
    with pytest.raises(Stopped):
        train_here(job, folder, 5)
    newest = newest_checkpoint(folder, job.key)
    assert newest is not None and newest.progress.iteration == 5
    (newest.folder / ADAPTER).write_bytes((newest.folder / ADAPTER).read_bytes()[:-9])
    resumed, _ = train_here(job, folder)
    assert resumed.record["resumed"] == [3] and resumed.id == whole.id


PARENT = """
import os, signal, sys
from pathlib import Path
from lemfarm.training.child import run_lora
from lemfarm.training.job import read_job
def hear(event):
    if event["event"] == "train_loss" and event["iteration"] == 5:
        os.kill(os.getpid(), signal.SIGKILL)
run_lora(read_job(Path(sys.argv[1])), on_event=hear, should_stop=lambda: False, log=Path(sys.argv[2]))
"""


def test_after_a_kill_between_two_checkpoints_the_curve_continues(make_job: MakeJob, tmp_path: Path) -> None:
    # Given a farm process that is killed with SIGKILL after update 5 of 8, its last checkpoint being that of update 3.
    job = make_job(**HARD)
    write_job(job, tmp_path / "the-job.json")
    command = [sys.executable, "-c", PARENT, str(tmp_path / "the-job.json"), str(tmp_path / "train.log")]
    assert subprocess.run(command).returncode == -signal.SIGKILL
    # When the same job is run again, then it goes on from there.
    events: list[Event] = []
    resumed = run_lora(job, on_event=events.append, should_stop=lambda: False, log=tmp_path / "train.log")
    assert [event["iteration"] for event in events if event["event"] == "resumed"] == [3]
    assert [point[0] for point in resumed.losses("train_loss")] == list(range(1, 9))
    # Then curve and adapter are those of a training that nobody disturbed, and no checkpoint is left.
    assert [path.name for path in job.adapters.iterdir()] == [resumed.id]
    assert verify(job.adapters / resumed.id) == resumed
    assert not list((job.adapters / resumed.id).glob("checkpoint*"))
    undisturbed, _ = train_here(job, tmp_path / "undisturbed")
    assert (resumed.id, resumed.curve) == (undisturbed.id, undisturbed.curve)


def test_the_best_weights_survive_an_interruption(make_job: MakeJob, tmp_path: Path) -> None:
    # Given a rate so high that all gets worse after the first update, and a stop when that was long over.
    job = make_job(iterations=4, steps_per_eval=1, learning_rate=3.0, grad_accumulation_steps=1)
    whole, _ = train_here(job, tmp_path / "whole")
    resumed, _ = interrupted(job, tmp_path / "resumed", 3)
    assert whole.record["used"] == resumed.record["used"] == 1
    assert resumed.id == whole.id
