"""Real LoRA on a tiny model, in child processes: what is learnt, recorded, kept, and refused."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import psutil
import pytest

from lemfarm.training.adapters import CONFIG, MANIFEST, WEIGHTS, AdapterManifest, is_complete, verify
from lemfarm.training.checkpoints import newest_checkpoint
from lemfarm.training.child import TrainingFailed, TrainingStopped, run_lora
from lemfarm.training.job import Event, LoraJob, write_job
from tests.unit.training.conftest import MakeJob, job_maker, make_examples

pytestmark = pytest.mark.mlx


@dataclass
class Phase:
    job: LoraJob
    manifest: AdapterManifest
    events: list[Event]

    @property
    def folder(self) -> Path:
        return self.job.adapters / self.manifest.id

    def curve(self, event: str) -> list[tuple[int, float]]:
        return [(one["iteration"], one["loss"]) for one in self.events if one["event"] == event]

    def named(self, event: str) -> list[Event]:
        return [one for one in self.events if one["event"] == event]


def run(job: LoraJob, hear: Callable[[Event], None] = lambda event: None, stop: bool = False) -> Phase:
    events: list[Event] = []

    def listen(event: Event) -> None:
        events.append(event)
        hear(event)

    def stopping() -> bool:
        return stop and any(event["event"] == "train_loss" for event in events)

    manifest = run_lora(job, on_event=listen, should_stop=stopping, log=log_of(job))
    return Phase(job, manifest, events)


def log_of(job: LoraJob) -> Path:
    return job.adapters.parent / "train.log"


def leftovers(job: LoraJob) -> list[str]:
    return sorted(path.name for path in job.adapters.iterdir())


@pytest.fixture(scope="module")
def phases(model: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Phase, Phase]:
    make = job_maker(model, tmp_path_factory.mktemp("course"))
    too_long = make_examples(5, 1, answer_words=300)[4:]
    first = run(make([*make_examples(4, 4), *too_long]))
    continued = {"parent": first.folder, "parent_id": first.manifest.id}
    return first, run(make(iterations=2, learning_rate=1e-3, grad_checkpoint=True, optimizer="adamw", **continued))


def test_a_phase_learns_and_the_next_starts_where_it_ended(phases: tuple[Phase, Phase]) -> None:
    first, second = phases
    began, ended = first.curve("valid_loss")[0][1], first.curve("valid_loss")[-1][1]
    assert ended < began - 0.05
    assert second.curve("valid_loss")[0][1] == pytest.approx(ended, abs=1e-4)
    assert second.manifest.parent == first.manifest.id != second.manifest.id


def test_iterations_are_optimizer_updates_whatever_the_accumulation(phases: tuple[Phase, Phase]) -> None:
    # Given 4 updates of 2 micro-steps with 2 rows each, validated every 2 and saved every 3 updates.
    first = phases[0]
    assert [update for update, _ in first.curve("train_loss")] == [1, 2, 3, 4]
    assert [update for update, _ in first.curve("valid_loss")] == [0, 2, 4]
    assert [event["folder"] for event in first.named("checkpoint")] == ["checkpoint-0000003"]
    assert first.manifest.record["examples_seen"] == 4 * 2 * 2
    assert first.manifest.record["epochs"] == pytest.approx(16 / first.manifest.record["train_rows"])


def test_the_curve_is_recorded_with_the_adapter_as_it_was_told(phases: tuple[Phase, Phase]) -> None:
    first = phases[0]
    assert first.manifest.losses("train_loss") == first.curve("train_loss")
    assert first.manifest.losses("valid_loss") == first.curve("valid_loss")
    told = first.named("train_loss")[0]
    assert told["learning_rate"] == pytest.approx(5e-3)
    assert told["tokens_per_second"] > 0 and told["peak_memory"] > 1_000_000
    assert first.events[-1]["event"] == "done" and first.events[-1]["adapter"] == first.manifest.id


def test_the_finished_folder_has_the_adapters_name_and_nothing_else_is_left(phases: tuple[Phase, Phase]) -> None:
    first, second = phases
    assert leftovers(first.job) == sorted([first.manifest.id, second.manifest.id])
    assert verify(first.folder) == first.manifest
    assert first.manifest.dataset == first.job.dataset_hash
    assert set(first.manifest.versions) >= {"lemfarm", "mlx", "mlx-lm"}
    assert sorted(path.name for path in first.folder.iterdir()) == [CONFIG, WEIGHTS, MANIFEST]


def test_stock_mlx_lm_generates_with_the_adapter(phases: tuple[Phase, Phase]) -> None:
    command = [sys.executable, "-m", "mlx_lm", "generate", "--model", str(phases[1].job.model)]
    command += ["--adapter-path", str(phases[1].folder), "--prompt", "river stone", "--max-tokens", "4"]
    ended = subprocess.run(command, capture_output=True, text=True, env={**os.environ, "HF_HUB_OFFLINE": "1"})
    assert ended.returncode == 0, ended.stderr
    assert "Generation: " in ended.stdout


def test_a_finished_job_is_not_trained_again_but_told_again(phases: tuple[Phase, Phase]) -> None:
    first = phases[0]
    seen: list[Event] = []
    manifest = run_lora(first.job, on_event=seen.append, should_stop=lambda: False, log=Path("/nonexistent/never.log"))
    assert manifest == first.manifest
    assert [event["event"] for event in seen] == ["refused", *[one["event"] for one in manifest.curve], "done"]


def test_rows_that_are_too_long_are_left_out_and_named(phases: tuple[Phase, Phase]) -> None:
    # Given 16 short answers and one far beyond the limit, when trained, then that one is refused by its id.
    first = phases[0]
    (refused,) = first.named("refused")
    assert list(refused["rows"]) == ["P04-0"] and refused["rows"]["P04-0"] > refused["limit"] == 128
    assert first.manifest.refused == refused["rows"]
    assert first.manifest.record["train_rows"] + first.manifest.record["valid_rows"] == 16


def test_a_loss_that_breaks_ends_training_with_the_rows_to_blame(make_job: MakeJob) -> None:
    # Given a checkpoint of the update before: a training that can only break again does not go on from it.
    job = make_job(learning_rate=1e30, optimizer="sgd", grad_accumulation_steps=1, save_every=1)
    with pytest.raises(TrainingFailed, match=r"loss became (nan|inf).*Lower the phase's learning_rate") as failure:
        run(job)
    assert leftovers(job) == []
    assert len(failure.value.sample_ids) == 2 and failure.value.final
    assert "train_loss" in str(failure.value)  # the head of mlx-lm's own table, from the log


def test_a_stop_ends_training_and_keeps_a_checkpoint(make_job: MakeJob) -> None:
    job = make_job(iterations=10_000, save_every=9_999)
    with pytest.raises(TrainingStopped, match="run it again to go on"):
        run(job, stop=True)
    (partial,) = job.adapters.iterdir()
    kept = newest_checkpoint(partial, job.key)
    assert kept is not None and kept.progress.iteration >= 1


def test_a_killed_child_is_a_failure_that_says_so(make_job: MakeJob) -> None:
    job = make_job(iterations=10_000, save_every=9_999)

    def kill_child(event: Event) -> None:
        if event["event"] == "train_loss":
            (child,) = [one for one in psutil.Process().children() if "lemfarm.training.lora" in one.cmdline()]
            child.send_signal(signal.SIGKILL)

    with pytest.raises(TrainingFailed, match="ended by SIGKILL") as failure:
        run(job, kill_child)
    assert not failure.value.final
    assert leftovers(job) == []


def test_an_error_of_the_listener_ends_the_child_and_is_passed_on(make_job: MakeJob) -> None:
    job = make_job(iterations=10_000, save_every=9_999)

    def fall_over(event: Event) -> None:
        raise OSError("the database is gone")

    with pytest.raises(OSError, match="the database is gone"):
        run(job, fall_over)
    assert not [one for one in psutil.Process().children() if "lemfarm.training.lora" in one.cmdline()]
    assert leftovers(job) == []


PARENT = """
import sys, psutil
from pathlib import Path
from lemfarm.training.child import run_lora
from lemfarm.training.job import read_job
def hear(event):
    if event["event"] == "train_loss":
        (child,) = psutil.Process().children()
        child.suspend()
        print(child.pid, flush=True)
        sys.stdin.read()
job = read_job(Path(sys.argv[1]))
run_lora(job, on_event=hear, should_stop=lambda: False, log=Path(sys.argv[2]))
"""


def test_after_a_kill_in_the_middle_the_same_job_completes(make_job: MakeJob, tmp_path: Path) -> None:
    # Given a training whose parent is killed in the middle; the child, held up, is an orphan in its folder.
    job = make_job(save_every=9)
    write_job(job, tmp_path / "the-job.json")
    command = [sys.executable, "-c", PARENT, str(tmp_path / "the-job.json"), str(log_of(job))]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        orphan = psutil.Process(int(parent.stdout.readline()))
        parent.kill()
    (partial,) = leftovers(job)
    assert partial.startswith(".partial-") and not is_complete(job.adapters / partial)
    # When the same job is run again, then it waits for the orphan, which ends as soon as it can, and starts clean.
    with pytest.raises(TrainingFailed, match="in use by another process"):
        run_lora(job, on_event=print, should_stop=lambda: False, log=log_of(job), grace_seconds=0.0)
    orphan.resume()
    phase = run(job)
    assert not orphan.is_running() or orphan.status() == psutil.STATUS_ZOMBIE
    assert leftovers(job) == [phase.manifest.id]
    assert [update for update, _ in phase.curve("train_loss")] == [1, 2, 3, 4]
    verify(phase.folder)


def test_a_child_whose_parent_is_gone_ends_at_once(make_job: MakeJob, tmp_path: Path) -> None:
    # Given a child that could go on for hours and say so, when its standard input ends, then it ends itself.
    write_job(make_job(iterations=10_000), tmp_path / "job.json")
    command = [sys.executable, "-m", "lemfarm.training.lora", str(tmp_path / "job.json")]
    with (tmp_path / "said").open("wb") as said:
        child = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=said, stderr=subprocess.DEVNULL)
    assert child.stdin is not None
    child.stdin.close()
    assert child.wait(timeout=120) == 3
    assert not is_complete(tmp_path)
