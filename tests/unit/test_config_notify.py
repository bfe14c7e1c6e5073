"""The key `notify`: a command without a shell, whose program may lie beside the run file."""

import json
from pathlib import Path

import pytest

from lemfarm.config import config_data, config_from_data, config_hash, config_warnings
from tests.run_files import GOOD, load, problems, write_files


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write_files(tmp_path)
    return tmp_path


def text(command: str) -> str:
    return f"{GOOD}notify: {json.dumps(command)}\n"


@pytest.mark.parametrize("command", ["say hello", "/bin/echo 'a  b' $HOME", "sh -c 'curl -d \"$LEMFARM_MESSAGE\" x'"])
def test_a_command_is_kept_as_it_is_written(folder: Path, command: str) -> None:
    assert load(folder, text(command)).notify == command


def test_a_program_with_a_relative_path_lies_beside_the_run_file(folder: Path) -> None:
    config = load(folder, text("./tell.sh 'two words'"))
    assert config.notify == f"{folder / 'tell.sh'} 'two words'"
    assert config_from_data(config_data(config)) == config


def test_a_home_is_expanded_in_the_program(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/Users/me")
    assert load(folder, text("~/bin/tell ~/x")).notify == "/Users/me/bin/tell '~/x'"


@pytest.mark.parametrize(
    ("command", "problem"),
    [
        ("say 'hello", "cannot be read as a command: No closing quotation"),
        ("", "should not be empty; null: nobody is told"),
        ("  ", "should not be empty; null: nobody is told"),
    ],
)
def test_what_is_no_command_is_refused(folder: Path, command: str, problem: str) -> None:
    (found,) = problems(folder, text(command))
    assert found.endswith(f": notify: {problem}")


def test_another_command_is_another_configuration(folder: Path) -> None:
    assert config_hash(load(folder, text("say hello"))) != config_hash(load(folder))


def test_a_program_that_is_not_there_is_warned_of(folder: Path) -> None:
    (warning,) = config_warnings(load(folder, text("no-such-program hello")))
    assert "notify: there is no program 'no-such-program' on this machine" in warning
    assert config_warnings(load(folder, text("sh -c true"))) == []
    (folder / "tell.sh").write_text("#!/bin/sh\n")
    assert len(config_warnings(load(folder, text("./tell.sh")))) == 1, "it may not be executed"
    (folder / "tell.sh").chmod(0o755)
    assert config_warnings(load(folder, text("./tell.sh"))) == []
