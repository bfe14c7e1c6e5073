"""`lemfarm notify`: a person tries the command of a run file."""

import json
from pathlib import Path

import pytest

from tests.command import Ran, lemfarm
from tests.notify_script import keeping, python, told
from tests.run_files import GOOD, write_files


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write_files(tmp_path)
    return tmp_path


def notify(capsys: pytest.CaptureFixture[str], folder: Path, command: str | None, *options: str) -> Ran:
    (folder / "run.yaml").write_text(f"{GOOD}notify: {json.dumps(command)}\n")
    return lemfarm(capsys, "notify", folder / "run.yaml", *options)


def test_the_command_is_told_a_test(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    said = notify(capsys, folder, keeping(folder / "told.jsonl"))
    assert (said.code, said.out.startswith("told after ")) == (0, True)
    (line,) = told(folder / "told.jsonl")
    assert (line["event"], line["run"], line["phase"]) == ("test", "tiny", "")


def test_a_command_that_fails_is_shown_with_what_it_printed(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    said = notify(capsys, folder, python("import sys; print('[trying]'); sys.exit('no network')"))
    assert said.code == 1
    assert said.err == "[trying]\nno network\n" or said.err == "no network\n[trying]\n"
    assert "ended with code 1: " in said.out


def test_the_outcome_is_an_object_too(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    said = notify(capsys, folder, "no-such-program", "--json")
    assert said.code == 1
    assert (said.data["ok"], said.data["text"]) == (False, "cannot be started: No such file or directory")


def test_a_run_file_without_a_command_is_bad_input(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    said = notify(capsys, folder, None)
    assert said.code == 2
    assert "`notify` is null" in said.err
