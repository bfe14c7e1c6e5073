"""Which files an import reads."""

import os
from pathlib import Path

import pytest

from lemfarm.importing.sources import Sources, find_sources

SETS = """
sets:
  core: {description: first, phase: 0, files: [ethics/core.json]}
  zen: {phase: 1, files: []}
  tension: {phase: 4, files: [tension/civil-seeds.json, tension/missing.json]}
"""


def lay(folder: Path, *names: str) -> None:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text("[]")


def find(*paths: Path, root: Path | None = None, out: Path | None = None) -> Sources:
    return find_sources(paths, root=root, out=out)


def names(sources: Sources, folder: Path) -> list[str]:
    return [source.path.relative_to(folder).as_posix() for source in sources.found.values()]


def test_a_folder_is_read_in_the_order_of_its_names_and_the_rest_of_it_is_told(tmp_path: Path) -> None:
    lay(tmp_path, "b/x.jsonl", "b/a.JSON", "a.txt", "B.ndjson", "notes.md", "b/model.bin", ".git/c.json", "b/.d.json")
    sources = find(tmp_path)
    assert names(sources, tmp_path) == ["B.ndjson", "a.txt", "b/a.JSON", "b/x.jsonl"]
    assert sources.ignored == [str(tmp_path / "notes.md"), str(tmp_path / "b/model.bin")]


def test_a_file_that_is_named_is_read_whatever_it_is_called(tmp_path: Path) -> None:
    lay(tmp_path, "notes.md", ".hidden")
    assert names(find(tmp_path / "notes.md", tmp_path / ".hidden"), tmp_path) == ["notes.md", ".hidden"]


def test_a_file_is_read_once_however_often_it_is_named(tmp_path: Path) -> None:
    lay(tmp_path, "a.json")
    (tmp_path / "link.json").symlink_to(tmp_path / "a.json")
    assert len(find(tmp_path, tmp_path / "a.json", tmp_path / ".." / tmp_path.name / "a.json").found) == 1


def test_an_earlier_result_in_the_folder_is_left_alone(tmp_path: Path) -> None:
    lay(tmp_path, "a.json", "out.jsonl")
    sources = find(tmp_path, out=tmp_path / "out.jsonl")
    assert (names(sources, tmp_path), sources.ignored) == (["a.json"], [str(tmp_path / "out.jsonl")])


def test_a_probe_set_stands_for_its_files_which_keep_set_and_phase(tmp_path: Path) -> None:
    (tmp_path / "probes.yaml").write_text(SETS)
    lay(tmp_path, "ethics/core.json", "tension/civil-seeds.json")
    sources = find(tmp_path / "probes.yaml")
    assert [(source.path.name, dict(source.fields)) for source in sources.found.values()] == [
        ("core.json", {"set": "core", "phase": 0}),
        ("civil-seeds.json", {"region": "civil", "set": "tension", "phase": 4}),
    ]
    (missing,) = sources.unreadable
    assert "sets.tension" in missing.place and "missing.json" in missing.place and "--root" in missing.reason


def test_what_a_set_says_about_a_file_wins_over_the_file_alone(tmp_path: Path) -> None:
    (tmp_path / "probes.yaml").write_text(SETS)
    lay(tmp_path, "ethics/core.json", "tension/civil-seeds.json", "tension/missing.json")
    found = find(tmp_path).found.values()
    assert [source.fields["set"] for source in found] == ["core", "tension", "tension"]


def test_a_file_of_two_sets_is_read_for_the_first_and_told(tmp_path: Path) -> None:
    (tmp_path / "probes.yaml").write_text("sets: {a: {files: [x.json]}, b: {files: [x.json]}}")
    lay(tmp_path, "x.json")
    sources = find(tmp_path / "probes.yaml")
    assert [source.fields for source in sources.found.values()] == [{"set": "a"}]
    assert sources.ignored == [f"{tmp_path / 'x.json'} in set b: read for set a"]


def test_the_files_of_a_set_can_lie_elsewhere(tmp_path: Path) -> None:
    (tmp_path / "probes.yaml").write_text("sets: {a: {files: [x.json]}}")
    lay(tmp_path, "training/x.json")
    assert len(find(tmp_path / "probes.yaml", root=tmp_path / "training").found) == 1
    assert len(find(tmp_path / "probes.yaml").unreadable) == 1


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("sets: {a: {files: x.json}}", "files is not a list of file names"),
        ("sets: {a: [x.json]}", "files is not a list of file names"),
        ("sets: {a: {files: []}, a: {files: []}}", "stands here twice"),
        ('sets: {"a\\0": {files: []}}', "U+0000"),
        (f"sets: {{a: {{files: [{'x' * 5000}]}}}}", "there is no such file"),
    ],
)
def test_a_set_that_is_wrong_is_told(tmp_path: Path, text: str, expected: str) -> None:
    (tmp_path / "probes.yaml").write_text(text)
    (found,) = find(tmp_path / "probes.yaml").unreadable
    assert expected in found.reason


def test_yaml_without_sets_is_a_file_like_others(tmp_path: Path) -> None:
    (tmp_path / "lesson.yaml").write_text("prompts: []")
    assert names(find(tmp_path / "lesson.yaml", tmp_path / "missing.yaml"), tmp_path) == ["lesson.yaml", "missing.yaml"]


@pytest.mark.parametrize(
    ("name", "region"),
    [
        ("arabic-seeds.json", "arabic"),
        ("lem-de-all-seeds.json", "de"),
        ("cn-hongkong-Seeds.json", "cn-hongkong"),
        ("en-mega-expansion-r2-seeds.json", None),
        ("seeds.jsonl", None),
        ("P01-P20.json", None),
    ],
)
def test_a_seed_file_is_named_after_its_region(tmp_path: Path, name: str, region: str | None) -> None:
    lay(tmp_path, name)
    (source,) = find(tmp_path).found.values()
    assert source.fields.get("region") == region


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read every folder")
def test_a_folder_that_may_not_be_read_is_told(tmp_path: Path) -> None:
    (tmp_path / "closed").mkdir(mode=0)
    (found,) = find(tmp_path).unreadable
    assert (found.place, "cannot be read" in found.reason) == (str(tmp_path / "closed"), True)
