"""Finished adapters: their names, their manifests, and what verification finds. No MLX."""

import json
import struct
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file

from lemfarm.errors import InputError, ModelError
from lemfarm.training.adapters import (
    CONFIG,
    MANIFEST,
    WEIGHTS,
    adapter_id,
    find_finished,
    is_complete,
    publish,
    read_manifest,
    seal,
    verify,
)
from lemfarm.training.job import read_job, write_job
from tests.unit.training.conftest import plain_job

SETTINGS = {"fine_tune_type": "lora", "num_layers": 2, "lora_parameters": {"rank": 4, "scale": 10.0, "dropout": 0.0}}
TENSORS = {"b.lora_a": np.arange(6, dtype=np.float32).reshape(2, 3), "a.lora_b": np.ones((3, 2), np.float16)}


def write_adapter(folder: Path, tensors: dict[str, np.ndarray] = TENSORS, settings: object = SETTINGS) -> Path:
    folder.mkdir(parents=True)
    save_file(tensors, folder / WEIGHTS)
    (folder / CONFIG).write_text(json.dumps(settings))
    return folder


def finished(folder: Path, **changes: object) -> Path:
    seal(write_adapter(folder), **({"job": "b2:j", "dataset": "b2:d"} | changes))  # type: ignore[arg-type]
    return folder


def test_equal_weights_have_one_name_whatever_their_order_padding_and_notes(tmp_path: Path) -> None:
    # Given the same tensors in another order, behind a padded header with metadata, when named, then the id is equal.
    plain = write_adapter(tmp_path / "plain") / WEIGHTS
    data = {name: TENSORS[name].tobytes() for name in ("a.lora_b", "b.lora_a")}
    header = {
        "__metadata__": {"format": "mlx"},
        "a.lora_b": {"dtype": "F16", "shape": [3, 2], "data_offsets": [0, 12]},
        "b.lora_a": {"dtype": "F32", "shape": [2, 3], "data_offsets": [12, 36]},
    }
    text = json.dumps(header).encode() + b"       "
    (tmp_path / "other").write_bytes(struct.pack("<Q", len(text)) + text + data["a.lora_b"] + data["b.lora_a"])
    assert adapter_id(SETTINGS, plain) == adapter_id(dict(reversed(SETTINGS.items())), tmp_path / "other")


def test_the_id_is_a_contract(tmp_path: Path) -> None:
    # Written down, so that a change of the recipe cannot pass unseen: adapters out there have these names.
    assert adapter_id(SETTINGS, write_adapter(tmp_path / "a") / WEIGHTS) == "3becb73ccd58f95dea3e3cf662011c10"


@pytest.mark.parametrize(
    "tensors",
    [
        {**TENSORS, "b.lora_a": TENSORS["b.lora_a"] + 1},
        {**TENSORS, "b.lora_a": TENSORS["b.lora_a"].reshape(3, 2)},
        {**TENSORS, "b.lora_a": TENSORS["b.lora_a"].view(np.int32)},
        {"b.lora_b": TENSORS["b.lora_a"], "a.lora_b": TENSORS["a.lora_b"]},
        {"b.lora_a": TENSORS["b.lora_a"]},
    ],
)
def test_every_difference_in_the_tensors_makes_another_name(tmp_path: Path, tensors: dict[str, np.ndarray]) -> None:
    first = adapter_id(SETTINGS, write_adapter(tmp_path / "one") / WEIGHTS)
    assert adapter_id(SETTINGS, write_adapter(tmp_path / "two", tensors) / WEIGHTS) != first
    assert adapter_id({**SETTINGS, "num_layers": 3}, tmp_path / "one" / WEIGHTS) != first


@pytest.mark.parametrize(
    "data", [b"", b"\x00", struct.pack("<Q", 1 << 60), struct.pack("<Q", 2) + b"[]", b"not it at all"]
)
def test_what_is_not_safetensors_is_named(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "broken").write_bytes(data)
    with pytest.raises(ModelError, match="broken: not a readable safetensors file"):
        adapter_id(SETTINGS, tmp_path / "broken")


def test_a_file_that_ends_too_early_is_named(tmp_path: Path) -> None:
    weights = write_adapter(tmp_path / "a") / WEIGHTS
    weights.write_bytes(weights.read_bytes()[:-5])
    with pytest.raises(ModelError, match="ends 5 bytes too early"):
        adapter_id(SETTINGS, weights)


def test_a_sealed_adapter_is_complete_and_reads_back(tmp_path: Path) -> None:
    folder = write_adapter(tmp_path / "a")
    save_file(TENSORS, folder / f"0000025_{WEIGHTS}")
    assert not is_complete(folder)
    points = tuple({"event": "train_loss", "iteration": update, "loss": 3.0 - update} for update in (1, 2))
    manifest = seal(folder, job="b2:j", dataset="b2:d", parent="feed", curve=points, refused={"s": 9}, record={"x": 1})
    assert is_complete(folder)
    assert read_manifest(folder) == verify(folder) == manifest
    assert set(manifest.files) == {WEIGHTS, CONFIG, f"0000025_{WEIGHTS}"}
    assert manifest.losses("train_loss") == [(1, 2.0), (2, 1.0)]
    assert manifest.losses("valid_loss") == []


@pytest.mark.parametrize("missing", [WEIGHTS, CONFIG])
def test_nothing_is_sealed_while_a_part_is_missing(tmp_path: Path, missing: str) -> None:
    folder = write_adapter(tmp_path / "a")
    (folder / missing).unlink()
    with pytest.raises(ModelError, match=missing):
        seal(folder, job="b2:j", dataset="b2:d")
    assert not is_complete(folder)


@pytest.mark.parametrize("name", [WEIGHTS, CONFIG])
@pytest.mark.parametrize("damage", ["changed", "gone"])
def test_verify_names_the_file_that_differs(tmp_path: Path, name: str, damage: str) -> None:
    path = finished(tmp_path / "a") / name
    if damage == "gone":
        path.unlink()
    else:
        path.write_bytes(path.read_bytes() + b" ")
    with pytest.raises(ModelError, match=str(path)):
        verify(tmp_path / "a")


def test_a_manifest_under_a_wrong_id_is_found_out(tmp_path: Path) -> None:
    path = finished(tmp_path / "a") / MANIFEST
    path.write_text(path.read_text().replace(read_manifest(tmp_path / "a").id, "0" * 32))
    with pytest.raises(ModelError, match="names adapter 0000"):
        verify(tmp_path / "a")


@pytest.mark.parametrize("text", ["", "[]", '{"id": "x"}', "{"])
def test_a_broken_manifest_is_named(tmp_path: Path, text: str) -> None:
    (finished(tmp_path / "a") / MANIFEST).write_text(text)
    with pytest.raises(ModelError, match="not an adapter's manifest"):
        read_manifest(tmp_path / "a")
    with pytest.raises(ModelError, match="never finished"):
        read_manifest(tmp_path)


def test_a_finished_job_is_found_by_its_key_unless_it_is_damaged(tmp_path: Path) -> None:
    finished(tmp_path / "one", job="b2:one")
    finished(tmp_path / ".partial-two", job="b2:two")
    assert find_finished(tmp_path, "b2:one") == tmp_path / "one"
    assert find_finished(tmp_path, "b2:two") is None
    (tmp_path / "one" / WEIGHTS).unlink()
    assert find_finished(tmp_path, "b2:one") is None


def test_publishing_names_the_folder_and_replaces_only_a_damaged_twin(tmp_path: Path) -> None:
    manifest = publish(finished(tmp_path / "new"), tmp_path)
    target = tmp_path / manifest.id
    assert verify(target) == manifest and not (tmp_path / "new").exists()
    # A twin that is whole stays as it is; a damaged one makes room.
    assert publish(finished(tmp_path / "again", job="b2:later"), tmp_path).job == "b2:j"
    (target / WEIGHTS).write_bytes(b"")
    assert publish(tmp_path / "again", tmp_path).job == "b2:later"
    assert verify(target).job == "b2:later"


def test_a_job_is_named_by_what_it_is_and_not_by_where_it_lies(tmp_path: Path) -> None:
    assert plain_job().key == plain_job(model=Path("/elsewhere"), adapters=tmp_path, label="x").key
    assert len({plain_job(**{name: 2}).key for name in ("seed", "iterations", "rank")} | {plain_job().key}) == 4


def test_a_job_survives_its_file(tmp_path: Path) -> None:
    job = plain_job(keys=("self_attn.q_proj",), parent=Path("/p"), parent_id="feed")
    write_job(job, tmp_path / "job.json")
    assert read_job(tmp_path / "job.json") == job


def test_a_jobs_file_names_places_that_hold_in_any_working_folder(tmp_path: Path) -> None:
    write_job(plain_job(model=Path("models/tiny")), tmp_path / "job.json")
    assert read_job(tmp_path / "job.json").model == Path.cwd() / "models/tiny"


def test_a_job_that_makes_no_sense_is_refused() -> None:
    with pytest.raises(InputError, match="steps_per_eval, batch_size must be above zero"):
        plain_job(steps_per_eval=0, batch_size=0)
    with pytest.raises(InputError, match="warmup is 8; it must leave some of 8 updates"):
        plain_job(warmup=8)
    with pytest.raises(InputError, match="both its folder and its id"):
        plain_job(parent=Path("/p"))


def test_supervising_a_training_needs_no_mlx() -> None:
    code = "import sys, lemfarm.training.child, lemfarm.curation.dataset; print('mlx.core' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout == "False\n"
