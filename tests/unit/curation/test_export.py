"""A run's answers as a dataset: what is in it, what it says of itself, what it refuses."""

import json
from pathlib import Path
from typing import Any

import pytest

from lemfarm.curation.export import CARD, CARD_JSON, ExportOrder, export_run
from lemfarm.curation.formats import Format
from lemfarm.curation.framing import Sign
from lemfarm.curation.training_set import freeze_training_set
from lemfarm.errors import InputError, NotFound
from lemfarm.identity import file_hash
from tests.ground import SHORT_ANSWER, Ground

TWO_PHASES = """\
run: tiny
model: {engine: simulated}
kernel: {file: kernel.txt}
sampling: {temperature: 0.8, top_p: 0.95, max_tokens: 64, seed: 42}
phases:
  - name: first
    probes: [probes.jsonl]
    samples: 2
    gates: [{min_chars: 20}]
    quota: {accepted: 24, at_most_per_probe: 3, enough: 4}
  - name: second
    probes: [probes.jsonl]
    samples: 3
    gates: [{min_chars: 20}]
    quota: {accepted: 40, at_most_per_probe: 5, enough: 4}
evaluate: {probes: probes.jsonl, held_out: 0.2, scorer: v2, conditions: {baseline: null}}
"""
SIDES = ("train", "valid", "test")


def make_ground(folder: Path) -> Ground:
    """Ten probes, of which two are held out; everything is answered, one answer is too short."""
    found = Ground(folder)
    found.write_probes(10)
    found.plan(TWO_PHASES)
    first, *rest = found.ids()
    found.finish([first], SHORT_ANSWER)
    found.finish(rest)
    return found


@pytest.fixture(scope="module")
def ground(tmp_path_factory: pytest.TempPathFactory) -> Ground:
    """Tests only read it."""
    return make_ground(tmp_path_factory.mktemp("farm"))


@pytest.fixture
def own_ground(tmp_path: Path) -> Ground:
    """One that a test may change."""
    return make_ground(tmp_path)


def export(ground: Ground, out: Path, **order: Any) -> Path:
    export_run(ground.database, None, out, ExportOrder(**order), "home")
    return out


def rows(folder: Path, side: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / f"{side}.jsonl").read_text().splitlines()]


def manifest(folder: Path) -> dict[str, Any]:
    return dict(json.loads((folder / "manifest.json").read_text()))


def test_no_probe_is_on_two_sides_in_any_phase_and_none_that_is_held_out_is_there(
    ground: Ground, tmp_path: Path
) -> None:
    out = export(ground, tmp_path / "out", format=Format.CHAT)
    probes = {side: {row["probe"] for row in rows(out, side)} for side in SIDES}
    assert all(probes.values())
    assert sum(map(len, probes.values())) == len(set().union(*probes.values())) == 8
    assert {row["phase"] for row in rows(out, "train")} == {"first", "second"}
    measured_only = ground.rows(
        """SELECT DISTINCT p.name FROM sample s JOIN probe p ON p.id = s.probe_id WHERE s.probe_id NOT IN
           (SELECT probe_id FROM sample WHERE purpose = 'distil')"""
    )
    assert len(measured_only) == 2 and not {row["name"] for row in measured_only} & set().union(*probes.values())


def test_the_manifest_names_the_sample_of_every_row_and_the_hash_of_every_file(ground: Ground, tmp_path: Path) -> None:
    out = export(ground, tmp_path / "out", format=Format.CHAT)
    said = manifest(out)
    for side in SIDES:
        assert said[side] == [row["id"] for row in rows(out, side)]
        assert said["files"][f"{side}.jsonl"] == file_hash(out / f"{side}.jsonl")
    taken = {one["id"] for one in ground.rows("SELECT id FROM sample WHERE outcome = 'accepted'")}
    assert set(said["train"]) <= taken


def test_the_same_answers_give_the_same_dataset_and_one_row_of_it(own_ground: Ground, tmp_path: Path) -> None:
    first, again = manifest(export(own_ground, tmp_path / "out")), manifest(export(own_ground, tmp_path / "out"))
    assert first == again
    kept = own_ground.rows("SELECT hash, phase_id FROM dataset")
    assert kept == [{"hash": first["hash"], "phase_id": None}]
    assert manifest(export(own_ground, tmp_path / "out", phase="second"))["hash"] != first["hash"]


def test_another_shape_in_the_same_folder_leaves_no_rows_of_the_first(ground: Ground, tmp_path: Path) -> None:
    export(ground, tmp_path / "out")
    out = export(ground, tmp_path / "out", format=Format.PARQUET)
    assert {path.name for path in out.iterdir()} == {
        *(f"{side}.parquet" for side in SIDES), "manifest.json", CARD, CARD_JSON,
    }  # fmt: skip


def test_an_export_and_a_training_have_the_same_sides(own_ground: Ground, tmp_path: Path) -> None:
    before = manifest(export(own_ground, tmp_path / "out"))
    config = own_ground.config()
    phase = own_ground.value("SELECT id FROM phase WHERE name = 'first'")
    frozen = freeze_training_set(own_ground.database, phase, config, config.phases[0], own_ground.home.datasets, "home")
    stored = json.loads(own_ground.value("SELECT manifest FROM dataset WHERE phase_id IS NOT NULL"))
    for side in SIDES:
        assert set(getattr(frozen.manifest, f"{side}_probes")) <= set(before[f"{side}_probes"])
        assert stored[side] == list(getattr(frozen.manifest, side))
    assert frozen.folder.name == frozen.manifest.hash.removeprefix("b2:")
    # When the run then gets further probes, then those of the training stay where they were
    own_ground.write_probes(30)
    own_ground.plan(TWO_PHASES)
    own_ground.finish(own_ground.ids())
    after = manifest(export(own_ground, tmp_path / "later"))
    for side in SIDES:
        elsewhere = {probe for other in SIDES if other != side for probe in after[f"{other}_probes"]}
        assert not set(getattr(frozen.manifest, f"{side}_probes")) & elsewhere


def test_a_signed_row_has_the_kernel_and_the_signature_in_its_question(ground: Ground, tmp_path: Path) -> None:
    kernel = (ground.folder / "kernel.txt").read_text()
    signed = rows(export(ground, tmp_path / "out", sign=Sign.SANDWICH, signature="Go well."), "valid")[0]["messages"][
        0
    ]["content"]
    plain = rows(export(ground, tmp_path / "out"), "valid")[0]["messages"][0]["content"]
    assert signed == f"{kernel}\n\n{plain}\n\nGo well."


def test_the_card_counts_what_was_judged(ground: Ground, tmp_path: Path) -> None:
    out = export(ground, tmp_path / "out", licence="cc-by-4.0", language="en")
    said = json.loads((out / CARD_JSON).read_text())
    first = said["phases"][0]
    assert (first["accepted"], first["rejected"]) == (31, 1)
    assert first["candidates_per_accepted"] == pytest.approx(32 / 31)
    assert said["rows"] == {side: len(rows(out, side)) for side in SIDES}
    page = (out / CARD).read_text()
    assert page.startswith("---\nlanguage: en\nlicense: cc-by-4.0\n")
    assert "| first |" in page and "96.9%" in page and said["hash"] in page
    assert "No person has reviewed" in page and "still active" in page
    assert str(ground.folder) not in page + (out / CARD_JSON).read_text()


def test_lem_rows_say_what_the_reference_says(ground: Ground, tmp_path: Path) -> None:
    meta = rows(export(ground, tmp_path / "out", format=Format.LEM), "train")[0]["meta"]
    assert {"probe_id", "category", "sample_idx", "lek_score", "model", "temperature", "chars", "ts"} <= meta.keys()


def test_what_cannot_be_exported_is_refused_before_anything_is_written(own_ground: Ground, tmp_path: Path) -> None:
    with pytest.raises(NotFound, match=r"no phase 'third'.*first, second"):
        export(own_ground, tmp_path / "out", phase="third")
    with pytest.raises(InputError, match="--signature"):
        export(own_ground, tmp_path / "out", sign=Sign.SANDWICH)
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "letter.txt").write_text("dear")
    with pytest.raises(InputError, match="holds something that is no export"):
        export(own_ground, tmp_path / "mine")
    own_ground.execute("UPDATE sample SET outcome = 'rejected'")
    with pytest.raises(InputError, match="none has any"):
        export(own_ground, tmp_path / "out")
    assert not (tmp_path / "out").exists()
