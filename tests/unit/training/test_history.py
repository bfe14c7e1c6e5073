"""What is shown of trainings: curves, forecasts and what they came to, in Python, in the terminal, for TensorBoard."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from lemfarm.cli.loss_chart import draw
from lemfarm.errors import NotFound
from lemfarm.training import guard
from lemfarm.training.adapters import AdapterManifest
from lemfarm.training.history import read_trainings
from lemfarm.training.phases import (
    StageClaim,
    add_loss,
    claim_stage,
    fail_stage,
    finish_stage,
    note_forecast,
    open_stage,
    release_stage,
)
from tests.command import Ran, lemfarm
from tests.ground import RUN_FILE, Ground

FORECAST = dict(zip(guard.FORECAST, (2 << 30, 8 << 30, 90.0, "a guess"), strict=True))
RECORD = {"used": 4, "seconds": 75.0, "peak_memory": 1 << 30, "trained_tokens": 900, "resumed": [2], "settings": {}}


@pytest.fixture
def ground(tmp_path: Path) -> Ground:
    made = Ground(tmp_path)
    made.plan(RUN_FILE + "    train: {iterations: 5, learning_rate: 1e-4}\ntrain: {rank: 4}\n")
    return made


@pytest.fixture
def say(ground: Ground, capsys: pytest.CaptureFixture[str]) -> Callable[..., Ran]:
    return lambda *words: lemfarm(capsys, "train", "show", *words, "--database", ground.database.url)


def claim(ground: Ground) -> StageClaim:
    stage = open_stage(ground.database, ground.value("SELECT id FROM run"), ground.value("SELECT id FROM phase"))
    found = claim_stage(ground.database, stage, "w", 90.0)
    assert found is not None
    return found


def learn(ground: Ground, on: StageClaim, updates: int) -> None:
    add_loss(ground.database, on, "valid", 0, 3.0, {})
    for update in range(1, updates + 1):
        add_loss(ground.database, on, "train", update, 3.0 - update / 4, {})
        add_loss(ground.database, on, "valid", update, 2.5 - update / 5 + (update == 5), {})


def finish(ground: Ground, on: StageClaim) -> None:
    manifest = AdapterManifest(id="feed" * 8, files={}, config={}, job="b2:j", dataset="b2:d", record=RECORD)
    assert finish_stage(ground.database, on, manifest, "home", {})


def test_a_finished_training_shows_its_curve_what_was_expected_and_what_it_took(ground: Ground) -> None:
    mine = claim(ground)
    note_forecast(ground.database, mine, FORECAST)
    learn(ground, mine, 5)
    finish(ground, mine)
    name, (one,) = read_trainings(ground.database)
    assert (name, one.phase, one.state, one.done, one.iterations) == ("tiny", "first", "done", 5, 5)
    assert one.train[0] == (1, 2.75) and one.valid[-1] == (5, 2.5)
    assert (one.used, one.adapter) == (4, "feed" * 8)
    assert one.expected == FORECAST
    assert one.measured == {name: RECORD[name] for name in ("seconds", "peak_memory", "trained_tokens", "resumed")}


def test_an_interrupted_training_shows_what_it_had_until_it_is_resumed(ground: Ground) -> None:
    # Given a training that told three updates and was given back, then its curve stays, also under the next lease.
    first = claim(ground)
    learn(ground, first, 3)
    release_stage(ground.database, first)
    assert read_trainings(ground.database)[1][0].done == 3
    second = claim(ground)
    assert read_trainings(ground.database)[1][0].done == 3
    # When it is resumed, it tells its curve again, and only that one is shown.
    learn(ground, second, 4)
    assert read_trainings(ground.database)[1][0].train == tuple((n, 3.0 - n / 4) for n in range(1, 5))


def test_a_forecast_of_a_lost_lease_is_not_kept(ground: Ground) -> None:
    first = claim(ground)
    release_stage(ground.database, first)
    claim(ground)
    note_forecast(ground.database, first, FORECAST)
    assert read_trainings(ground.database)[1][0].expected == {}


def test_what_was_never_trained_is_not_found_and_what_could_be_is_named(ground: Ground) -> None:
    with pytest.raises(NotFound, match=r"run tiny has not been trained.*phases that train: first"):
        read_trainings(ground.database)
    claim(ground)
    with pytest.raises(NotFound, match="phase second of run tiny"):
        read_trainings(ground.database, phase="second")


def test_train_show_draws_the_curve_and_says_the_figures(ground: Ground, say: Callable[..., Ran]) -> None:
    mine = claim(ground)
    note_forecast(ground.database, mine, FORECAST)
    learn(ground, mine, 5)
    finish(ground, mine)
    ran = say("tiny", "--phase", "first")
    assert ran.code == 0
    for part in (
        "first  done, 5 of 5",
        "validation loss 3.000 -> 2.500 after 5 updates, lowest 1.700 after 4",
        "the weights of update 4",
        "expected: 90 s, 2.0 GiB of 8.0 GiB of memory (a guess)",
        "measured: 75 s, 1.0 GiB of memory at the peak, resumed after update 2",
    ):
        assert part in ran.out
    assert sum("│" in line for line in ran.out.splitlines()) >= 10


def test_train_show_tells_why_a_training_failed_and_answers_in_json(ground: Ground, say: Callable[..., Ran]) -> None:
    mine = claim(ground)
    fail_stage(ground.database, mine, "the loss became nan on samples a, b", final=True)
    assert "error: the loss became nan on samples a, b" in say().out
    data = say("--json").data
    assert (data["kind"], data["run"], data["trainings"][0]["state"]) == ("trainings", "tiny", "failed")
    assert say("nobody").code != 0


def test_curves_are_written_for_tensorboard_once_each(ground: Ground, say: Callable[..., Ran], tmp_path: Path) -> None:
    pytest.importorskip("tensorboardX")
    learn(ground, claim(ground), 2)
    for _ in range(2):
        ran = say("--tensorboard", tmp_path / "runs")
        assert (ran.code, "tiny/first" in ran.err) == (0, True)
    (file,) = (tmp_path / "runs" / "tiny" / "first").iterdir()
    written = file.read_bytes()
    assert b"loss/train" in written and b"loss/valid" in written


def test_without_the_extra_one_is_told_what_to_install(
    ground: Ground, say: Callable[..., Ran], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(__import__("sys").modules, "tensorboardX", None)
    claim(ground)
    ran = say("--tensorboard", tmp_path)
    assert (ran.code, "pip install 'lemfarm[tensorboard]'" in ran.err) == (2, True)


@pytest.mark.parametrize("valid", [[], [(0, 2.0)], [(0, 2.0), (100, 1.0)]])
def test_a_chart_keeps_to_its_size_and_marks_whole_updates(valid: list[Any]) -> None:
    lines = draw([(1, 2.0), (100, 1.0)], valid, width=60, height=12, colour=False).splitlines()
    assert len(lines) == 12 and {len(line.rstrip()) for line in lines} <= set(range(61))
    assert lines[-1].split()[0] == "0" and lines[-1].split()[-1] == "100"
    assert "\x1b" not in "".join(lines)
