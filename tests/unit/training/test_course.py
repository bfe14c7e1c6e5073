"""How a training is judged on its way: which weights it keeps, when it ends early, when it has gone wrong."""

import threading
from pathlib import Path
from typing import Any

import mlx.core as mx
import mlx.optimizers as optimizers
import pytest
from mlx.utils import tree_flatten
from mlx_lm.tuner import TrainingArgs, train
from mlx_lm.tuner.callbacks import TrainingCallback

from lemfarm.training.adapters import WEIGHTS, AdapterManifest
from lemfarm.training.job import Event, LoraJob
from lemfarm.training.lora import prepare_rows, train_job
from lemfarm.training.lora_course import Course
from lemfarm.training.lora_model import SCHEDULES, learning_rates, load_model
from lemfarm.training.lora_rows import Batches, LoraProblem
from tests.unit.training.conftest import MakeJob

pytestmark = pytest.mark.mlx

#: A rate at which the first update helps and every later one does harm.
WORSE = {"iterations": 5, "steps_per_eval": 1, "learning_rate": 3.0, "grad_accumulation_steps": 1}


def train_here(job: LoraJob, folder: Path) -> tuple[AdapterManifest, list[Event]]:
    events: list[Event] = []
    folder.mkdir()
    return train_job(job, folder, events.append, threading.Event()), events


class Stock(TrainingCallback):  # type: ignore[misc]
    """Keeps what mlx-lm reports."""

    def __init__(self) -> None:
        self.losses: list[float] = []

    def on_train_loss_report(self, train_info: dict[str, Any]) -> None:
        self.losses.append(train_info["train_loss"])


def test_losses_and_weights_are_those_of_mlx_lm(make_job: MakeJob, tmp_path: Path) -> None:
    # Given the same data, seed and settings, when mlx-lm trains by itself, then it sees and makes the same.
    job = make_job(use="last")
    manifest, _ = train_here(job, tmp_path / "ours")
    mx.random.seed(job.seed)
    model, tokenizer = load_model(job)
    stock = Stock()
    train(
        model=model,
        optimizer=optimizers.Adam(learning_rate=job.learning_rate),
        train_dataset=prepare_rows(job, tokenizer)[0],
        args=TrainingArgs(
            batch_size=2, iters=8, steps_per_report=2, grad_accumulation_steps=2, adapter_file=str(tmp_path / WEIGHTS)
        ),
        iterate_batches=Batches(job.seed, lambda: None),
        training_callback=stock,
    )
    assert [loss for _, loss in manifest.losses("train_loss")] == pytest.approx(stock.losses, rel=1e-6)
    ours = mx.load(str(tmp_path / "ours" / WEIGHTS))
    assert all(mx.array_equal(ours[name], value) for name, value in tree_flatten(model.trainable_parameters()))


def test_the_adapter_has_the_best_or_the_last_weights(make_job: MakeJob, tmp_path: Path) -> None:
    best, told = train_here(make_job(**WORSE), tmp_path / "best")
    last, _ = train_here(make_job(**WORSE, use="last"), tmp_path / "last")
    first, _ = train_here(make_job(**WORSE | {"iterations": 1}), tmp_path / "first")
    assert (best.record["used"], last.record["used"]) == (1, 5)
    assert best.id == first.id != last.id
    assert best.curve == last.curve
    assert told[-1]["used"] == 1


def test_a_training_without_patience_ends_early(make_job: MakeJob, tmp_path: Path) -> None:
    manifest, told = train_here(make_job(**WORSE, patience=2), tmp_path / "impatient")
    assert [update for update, _ in manifest.losses("valid_loss")] == [0, 1, 2, 3]
    assert [event for event in told if event["event"] == "enough"] == [{"event": "enough", "iteration": 3, "best": 1}]
    assert manifest.record["used"] == 1 and manifest.record["examples_seen"] == 3 * 2
    assert told[-1]["event"] == "done" and told[-1]["iteration"] == 3


def test_a_loss_that_grows_beyond_the_ratio_names_the_worst_batch(make_job: MakeJob, tmp_path: Path) -> None:
    # Given updates of two batches, when the loss explodes without ever becoming infinite, then the phase ends there.
    job = make_job(optimizer="sgd", learning_rate=50.0, stop_at_loss_ratio=1.05)
    with pytest.raises(LoraProblem, match=r"loss grew to .* beyond .*stop_at_loss_ratio 1.05.*on samples P") as problem:
        train_here(job, tmp_path / "broken")
    assert len(problem.value.sample_ids) == 2


def rates(job: LoraJob) -> list[float]:
    at = learning_rates(job)
    return [at(mx.array(done)).item() for done in range(job.iterations)]


@pytest.mark.parametrize("name", sorted(SCHEDULES))
def test_warm_up_climbs_to_the_full_rate_which_then_falls_or_stays(make_job: MakeJob, name: str) -> None:
    found = rates(make_job(iterations=10, warmup=3, learning_rate=0.4, schedule=name))
    assert found[:4] == pytest.approx([0.1, 0.2, 0.3, 0.4])
    assert found[4:] == sorted(found[4:], reverse=True) and found[-1] > 0
    assert (found[-1] == pytest.approx(0.4)) is (name == "constant")


def test_without_warm_up_the_first_update_has_the_full_rate(make_job: MakeJob) -> None:
    assert rates(make_job(iterations=4, learning_rate=0.4)) == pytest.approx([0.4] * 4)
    assert rates(make_job(iterations=4, learning_rate=0.4, schedule="linear")) == pytest.approx([0.4, 0.3, 0.2, 0.1])


def test_the_rate_of_each_update_stands_in_the_curve(make_job: MakeJob, tmp_path: Path) -> None:
    job = make_job(schedule="linear", warmup=1)
    manifest, _ = train_here(job, tmp_path / "linear")
    told = [point["learning_rate"] for point in manifest.curve if point["event"] == "train_loss"]
    assert told == pytest.approx(rates(job))


def test_an_unknown_schedule_names_those_there_are(make_job: MakeJob) -> None:
    with pytest.raises(LoraProblem, match="'steps'; there are constant, cosine, linear"):
        learning_rates(make_job(schedule="steps"))


def test_memory_near_its_limit_is_told_once(make_job: MakeJob, tmp_path: Path) -> None:
    job = make_job()
    model, tokenizer = load_model(job)
    train_rows, valid_rows, _ = prepare_rows(job, tokenizer)
    events: list[Event] = []
    Course(job, tmp_path, model, valid_rows, Batches(1, lambda: None), events.append, memory_limit=1).run(train_rows)
    (warning,) = [event for event in events if event["event"] == "warning"]
    assert "lower max_seq_length" in warning["message"]
