"""Datasets as files."""

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lemfarm.candidates import CellCandidates
from lemfarm.curation.dataset import (
    MANIFEST,
    TEST_FILE,
    TRAIN_FILE,
    VALID_FILE,
    Example,
    Split,
    describe,
    read_dataset,
    read_rows,
    split,
    write_dataset,
)
from lemfarm.curation.sides import Side
from lemfarm.dialogue import Message
from lemfarm.errors import InputError
from lemfarm.probes import held_out_probes


def examples(*rows_per_probe: int) -> list[Example]:
    """Probe n has as many rows as the n-th number says, in sample-index order across the probes."""
    return [
        Example(f"{n}-{index}", f"P{n:02}", (Message("user", f"prompt {n}"),), f"answer {n} {index}")
        for index in range(max(rows_per_probe, default=0))
        for n, rows in enumerate(rows_per_probe)
        if index < rows
    ]


def parted(rows: list[Example], *valid: str, test: str = "") -> Split:
    """Those probes validate, one may test, the others train."""
    sides = {one.probe: Side.VALID if one.probe in valid else Side.TRAIN for one in rows}
    return split(rows, sides | ({test: Side.TEST} if test else {}))


def test_each_side_keeps_the_order_of_its_examples() -> None:
    rows = examples(3, 2, 2)
    parts = parted(rows, "P01", test="P02")
    for side, probe in ((parts.train, "P00"), (parts.valid, "P01"), (parts.test, "P02")):
        assert list(side) == [one for one in rows if one.probe == probe]


def test_a_sample_that_stands_twice_is_named() -> None:
    with pytest.raises(InputError, match="sample 0-0 stands twice"):
        parted([*examples(2, 2), *examples(1)], "P01")


@given(st.sets(st.text(min_size=1, max_size=5), max_size=30), st.floats(0, 1), st.integers(0, 99))
def test_held_out_probes_are_some_but_never_all(probes: set[str], share: float, seed: int) -> None:
    held = held_out_probes(probes, share, seed)
    assert held <= probes
    assert held == held_out_probes(sorted(probes, reverse=True), share, seed)
    if share > 0 and len(probes) >= 2:
        assert 1 <= len(held) < len(probes)
    else:
        assert held == frozenset()


def test_held_out_probes_are_the_same_on_every_machine() -> None:
    names = [f"P{n:02}" for n in range(24)]
    assert held_out_probes(names, 0.1, 42) == {"P03", "P22"}
    assert len(held_out_probes(names, 0.25, 42)) == 6


def test_a_dataset_has_the_shape_that_mlx_lm_reads(tmp_path: Path) -> None:
    parts = parted(examples(3, 2, 2), "P01")
    manifest = write_dataset(parts, tmp_path / "set")
    lines = (tmp_path / "set" / TRAIN_FILE).read_text().splitlines()
    first = parts.train[0]
    assert json.loads(lines[0]) == {
        "messages": [
            {"role": "user", "content": first.prompt_messages[0].content},
            {"role": "assistant", "content": first.answer},
        ]
    }
    assert manifest.train == tuple(one.sample_id for one in parts.train)
    assert len(lines) == len(manifest.train)
    assert set(manifest.train_probes) | set(manifest.valid_probes) == {"P00", "P01", "P02"}


def test_a_row_of_a_dialogue_has_all_its_turns_before_the_answer() -> None:
    turns = (Message("user", "Who?"), Message("assistant", "Nobody."), Message("user", "And then?"))
    row = Example("1", "P00", turns, "Somebody.").row()
    assert [turn["role"] for turn in row["messages"]] == ["user", "assistant", "user", "assistant"]
    assert [turn["content"] for turn in row["messages"]] == ["Who?", "Nobody.", "And then?", "Somebody."]


def test_a_dataset_reads_back_whatever_its_answers_hold(tmp_path: Path) -> None:
    awkward = 'a\u2028b\r\nc\x85d \U0001f300 "quoted" \\ \x00'
    rows = [Example(f"s{n}", f"P{n}", (Message("user", "x"),), awkward) for n in range(2)]
    manifest = write_dataset(parted(rows, "P1"), tmp_path)
    train, valid = read_rows(tmp_path)
    assert train[0]["messages"][-1]["content"] == valid[0]["messages"][-1]["content"] == awkward
    assert read_dataset(tmp_path) == manifest


def test_the_manifest_says_how_many_candidates_the_accepted_ones_took(tmp_path: Path) -> None:
    parts = parted(examples(3, 3), "P01")
    cells = (CellCandidates("P00", 0, 6, 3, 2.0, 0), CellCandidates("P01", 2, 5, 0, None, 7))
    first = write_dataset(parts, tmp_path)
    second = write_dataset(parts, tmp_path, describe(parts, cells))
    assert (first.candidates, second.candidates, read_dataset(tmp_path).candidates) == ((), cells, cells)
    assert second.hash == first.hash, "what is trained on is the same"


def test_the_manifest_of_an_older_dataset_is_read(tmp_path: Path) -> None:
    manifest = write_dataset(parted(examples(3, 3), "P01"), tmp_path)
    fields = json.loads((tmp_path / MANIFEST).read_text())
    del fields["candidates"]
    (tmp_path / MANIFEST).write_text(json.dumps(fields))
    assert read_dataset(tmp_path) == manifest


def test_test_rows_lie_beside_the_others_and_are_not_read_for_training(tmp_path: Path) -> None:
    manifest = write_dataset(parted(examples(2, 2, 2), "P01", test="P02"), tmp_path)
    assert (manifest.test, manifest.test_probes) == (("2-0", "2-1"), ("P02",))
    assert len((tmp_path / TEST_FILE).read_text().splitlines()) == 2
    assert [len(side) for side in read_rows(tmp_path)] == [2, 2]
    write_dataset(parted(examples(2, 2), "P01"), tmp_path)
    assert not (tmp_path / TEST_FILE).exists(), "an empty file would stop mlx-lm"


def test_the_hash_names_rows_order_and_samples(tmp_path: Path) -> None:
    parts = parted(examples(4, 4), "P01")
    first = write_dataset(parts, tmp_path / "a").hash
    assert write_dataset(parts, tmp_path / "b").hash == first
    backwards = type(parts)(parts.train[::-1], parts.valid)
    assert write_dataset(backwards, tmp_path / "a").hash != first
    assert read_dataset(tmp_path / "a").hash != first
    read_rows(tmp_path / "a")


def test_the_manifest_is_written_last(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # Given a finished dataset, when writing another over it breaks in the middle, then it counts as unfinished.
    write_dataset(parted(examples(3, 3), "P01"), tmp_path)

    def full(path: Path, data: bytes) -> None:
        if path.name == VALID_FILE:
            raise OSError(28, "No space left on device")
        path.write_bytes(data)

    monkeypatch.setattr("lemfarm.curation.dataset.write_whole", full)
    with pytest.raises(OSError, match="No space"):
        write_dataset(parted(examples(4, 4), "P01"), tmp_path)
    assert not (tmp_path / MANIFEST).exists()
    with pytest.raises(InputError, match="never finished"):
        read_dataset(tmp_path)


@pytest.mark.parametrize("name", [TRAIN_FILE, VALID_FILE, TEST_FILE])
def test_a_changed_file_is_found_out(tmp_path: Path, name: str) -> None:
    write_dataset(parted(examples(3, 3, 3), "P01", test="P02"), tmp_path)
    (tmp_path / name).write_text((tmp_path / name).read_text().replace("answer", "anders"))
    with pytest.raises(InputError, match="write the dataset again"):
        read_rows(tmp_path)
    (tmp_path / name).write_text("{")
    with pytest.raises(InputError, match=name):
        read_rows(tmp_path)


def test_a_broken_manifest_is_named(tmp_path: Path) -> None:
    (tmp_path / MANIFEST).write_text('{"hash": 1}')
    with pytest.raises(InputError, match="not a dataset manifest"):
        read_dataset(tmp_path)
