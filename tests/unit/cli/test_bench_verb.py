"""`lemfarm bench engine` on a tiny model, as far as it is quick."""

from pathlib import Path

import pytest

from lemfarm.engine_record import EngineRecord, model_name
from lemfarm.home import open_home
from tests.command import lemfarm
from tests.tiny_model import make_tiny_model

pytestmark = pytest.mark.mlx


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_tiny_model(tmp_path_factory.mktemp("model") / "tiny")


def test_a_quick_look_compares_the_ways(model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    command = ["bench", "engine", "--model", str(model), "--slots", "2", "--home", str(tmp_path), "--json"]
    done = lemfarm(capsys, *command, "--quick")
    assert done.code == 0, done.err
    told = done.data
    assert told["kind"] == "engine-bench"
    assert told["rates"]["engine"]["engine_is_times_faster"] == 1.0
    assert told["result"]["slots"] == 2
    assert told["knee"] is None
    assert "plain loop" in done.err  # what it is at is told as it goes


def test_slots_that_pay_are_kept_for_the_workers(
    model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    short = ["--kernel-tokens", "64", "--answer-tokens", "64", "--turns", "1", "--waves", "1", "--slots", "2"]
    done = lemfarm(
        capsys, "bench", "engine", "--model", str(model), *short, "--knee-seconds", "0.2", "--home", str(tmp_path)
    )
    assert done.code == 0, done.err
    assert "Slots that pay:" in done.out
    assert "times" in done.out
    learnt = EngineRecord.of(open_home(tmp_path), model_name(model, str(model))).read()
    assert learnt.knees


def test_a_folder_that_is_no_model_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    done = lemfarm(capsys, "bench", "engine", "--model", str(tmp_path), "--home", str(tmp_path / "home"))
    assert done.code == 2
    assert "config.json" in done.err
    assert "Traceback" not in done.err


def test_a_farm_without_a_run_says_what_to_name(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    done = lemfarm(capsys, "bench", "engine", "--home", str(tmp_path))
    assert done.code != 0
    assert "--model" in done.err
