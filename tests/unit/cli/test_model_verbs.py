"""`lemfarm model`: which model lies here, and how one comes here."""

import json
from pathlib import Path

import pytest

from lemfarm import models
from lemfarm.errors import Unavailable
from lemfarm.home import Home
from lemfarm.models import find_model
from tests.command import lemfarm


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A model folder as far as anyone looks who does not load it."""
    place = tmp_path / "tiny"
    place.mkdir()
    (place / "config.json").write_text(json.dumps({"model_type": "gemma3_text"}))
    (place / "tokenizer.json").write_text("{}")
    (place / "model.safetensors").write_bytes(b"x" * 1000)
    return place


def test_verify_names_architecture_hash_and_size(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    said = lemfarm(capsys, "model", "verify", folder, "--home", tmp_path / "home", "--json")
    assert said.data["architecture"] == "gemma3_text"
    assert said.data["content_hash"] == find_model(str(folder), home=Home(tmp_path / "home")).content_hash
    assert said.data["commit"] is None
    assert said.data["bytes"] == 1000 + 2 + len((folder / "config.json").read_bytes())


def test_verify_tells_people_the_same(folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    said = lemfarm(capsys, "model", "verify", folder, "--home", tmp_path / "home")
    assert said.code == 0
    for text in ("gemma3_text", "b2:", str(folder), "1,0"):
        assert text in said.out


@pytest.mark.parametrize("spoil", ["model.safetensors", "config.json"])
def test_verify_fails_for_a_folder_that_is_not_whole(
    spoil: str, folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (folder / spoil).unlink()
    said = lemfarm(capsys, "model", "verify", folder, "--home", tmp_path / "home")
    assert said.code == 2
    assert str(folder) in said.err


def test_verify_fails_for_an_architecture_that_mlx_lm_does_not_know(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (folder / "config.json").write_text(json.dumps({"model_type": "abacus"}))
    said = lemfarm(capsys, "model", "verify", folder, "--home", tmp_path / "home")
    assert said.code == 2
    assert "abacus" in said.err


def test_get_prints_nothing_but_the_folder_to_stdout(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    asked = []

    def fetched(name: str, revision: str | None, progress: object) -> Path:
        asked.append((name, revision))
        return folder

    monkeypatch.setattr(models, "get_model", fetched)
    said = lemfarm(capsys, "model", "get", "owner/tiny", "--revision", "abc")
    assert (said.code, said.out) == (0, f"{folder}\n")
    assert asked == [("owner/tiny", "abc")]


def test_get_without_network_ends_with_the_code_for_a_service_that_is_away(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def refused(name: str, revision: str | None, progress: object) -> Path:
        raise Unavailable("model owner/tiny cannot be fetched")

    monkeypatch.setattr(models, "get_model", refused)
    said = lemfarm(capsys, "model", "get", "owner/tiny")
    assert (said.code, said.out) == (4, "")
    assert "cannot be fetched" in said.err


def test_convert_passes_source_target_and_bits_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    asked = []

    def converted(source: str, target: Path, quantize_bits: int | None) -> Path:
        asked.append((source, target, quantize_bits))
        return target

    monkeypatch.setattr(models, "convert_model", converted)
    said = lemfarm(capsys, "model", "convert", "owner/tiny", tmp_path / "new", "--bits", "4")
    assert said.out == f"{tmp_path / 'new'}\n"
    assert asked == [("owner/tiny", tmp_path / "new", 4)]


def test_convert_does_not_touch_a_folder_that_exists(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    said = lemfarm(capsys, "model", "convert", folder, tmp_path)
    assert said.code == 2
    assert "exists already" in said.err
