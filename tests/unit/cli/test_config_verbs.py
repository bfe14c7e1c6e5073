"""`lemfarm config`: what is in force, what is wrong, what may be written."""

import json
from pathlib import Path

import pytest
import yaml

from lemfarm.config import json_schema, load_config
from tests.command import lemfarm
from tests.run_files import GOOD, write_files


@pytest.fixture
def run_file(tmp_path: Path) -> Path:
    write_files(tmp_path)
    (tmp_path / "run.yaml").write_text(GOOD)
    return tmp_path / "run.yaml"


def broken(run_file: Path) -> Path:
    file = run_file.with_name("broken.yaml")
    file.write_text(
        GOOD.replace("engine: simulated", "engine: simulated, speed: 3").replace("samples: 10", "samples: x")
    )
    return file


def test_show_prints_a_run_file_that_says_the_same(run_file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    shown = run_file.with_name("shown.yaml")
    shown.write_text(lemfarm(capsys, "config", "show", run_file).out)
    assert load_config(shown, environ={}) == load_config(run_file, environ={})


def test_show_lays_flags_over_the_file_and_names_them(run_file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    said = lemfarm(capsys, "config", "show", run_file, "--set", "phases.0.samples=12", "--set", "sampling.seed=7")
    values = yaml.safe_load(said.out)
    assert (values["phases"][0]["samples"], values["sampling"]["seed"]) == (12, 7)
    assert "# phases.0.samples: from --set phases.0.samples" in said.out


def test_show_as_json_is_one_object(run_file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data = lemfarm(capsys, "config", "show", run_file, "--json").data
    assert (data["kind"], data["config"]["run"]) == ("config", "tiny")


def test_show_refuses_a_flag_that_is_no_pair(run_file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    said = lemfarm(capsys, "config", "show", run_file, "--set", "sampling.seed")
    assert said.code == 2
    assert "KEY=VALUE" in said.err


def test_check_says_ok_for_each_good_file(run_file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    said = lemfarm(capsys, "config", "check", run_file, run_file)
    assert said.code == 0
    assert said.out.count(f"ok {run_file}: run tiny, 1 phase, simulated engine") == 2


def test_check_tells_every_problem_with_its_place_and_goes_on_with_the_other_files(
    run_file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = broken(run_file)
    said = lemfarm(capsys, "config", "check", file, run_file)
    assert said.code == 2
    assert f"error {file}:2:28: model.speed" in said.err
    assert f"error {file}:8:14: phases.0.samples" in said.err
    assert f"ok {run_file}" in said.out


def test_check_shows_warnings_and_lets_them_pass(run_file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run_file.write_text(GOOD.replace("iterations: 10", "iterations: 1"))
    said = lemfarm(capsys, "config", "check", run_file)
    assert said.code == 0
    assert "note" in said.err
    assert "less than one epoch" in said.err


def test_check_as_json_holds_all_files(run_file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    said = lemfarm(capsys, "config", "check", broken(run_file), run_file.with_name("gone.yaml"), run_file, "--json")
    assert said.code == 2
    assert [file["ok"] for file in said.data["files"]] == [False, False, True]
    assert len(said.data["files"][0]["problems"]) == 2
    assert "No such file" in said.data["files"][1]["problems"][0]


def test_check_shows_brackets_in_a_problem_as_they_stand(run_file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run_file.write_text(GOOD.replace("scorer: v2-distill", 'scorer: "[red]no[/red]"'))
    assert "[red]no[/red]" in lemfarm(capsys, "config", "check", run_file).err


def test_schema_is_the_schema(capsys: pytest.CaptureFixture[str]) -> None:
    assert json.loads(lemfarm(capsys, "config", "schema").out) == json_schema()
