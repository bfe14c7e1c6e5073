"""Which files a library is, what stands where, and which phase, language and region a probe counts for."""

from pathlib import Path
from typing import Any

import pytest

from lemfarm.errors import InputError, ProbeError
from lemfarm.library.reading import UNSTATED, Excuse, read_library, read_some
from tests.probe_library import held, line, write


def places(*paths: Path) -> list[str]:
    return [one.place for one in read_library(paths).probes]


def test_a_folder_is_all_probe_files_below_it_in_order(tmp_path: Path) -> None:
    second = write(tmp_path / "b.jsonl", [line("P2")])
    third = write(tmp_path / "deeper" / "c.json", [[line("P3")]])
    first = write(tmp_path / "a.jsonl", [line("P1")])
    write(tmp_path / ".cache" / "d.jsonl", [line("P4")])
    write(tmp_path / "notes.txt", ["not probes"])
    assert places(tmp_path) == [f"{first}:1", f"{second}:1", f"{third}:1"]


def test_a_file_that_is_named_twice_counts_once(tmp_path: Path) -> None:
    path = write(tmp_path / "a.jsonl", [line("P1")])
    assert places(path, tmp_path, tmp_path / "x" / ".." / "a.jsonl") == [f"{path}:1"]


def test_a_probe_that_stands_twice_is_kept_twice(tmp_path: Path) -> None:
    path = write(tmp_path / "a.jsonl", [line("P1"), line("P1")])
    assert places(path) == [f"{path}:1", f"{path}:2"]


def test_bad_lines_are_problems_beside_good_ones(tmp_path: Path) -> None:
    path = write(tmp_path / "a: odd.jsonl", [line("P1"), "nonsense", {"id": "P3"}])
    library = read_library([path])
    assert [(one.place, one.text) for one in library.problems] == [
        (f"{path}:2", "not JSON: Expecting value (column 1)"),
        (f"{path}:3", "probe P3 has no prompt"),
    ]
    assert (len(library.probes), library.unreadable) == (1, ())


def test_a_file_without_any_probe_is_unreadable_and_told_in_a_few_lines(tmp_path: Path) -> None:
    good, bad = write(tmp_path / "a.jsonl", [line("P1")]), write(tmp_path / "b.jsonl", ["nonsense"] * 50)
    library = read_library([good, bad, tmp_path / "gone.jsonl"])
    assert len(library.probes) == 1
    assert [remark.place for remark in library.unreadable[:5]] == [f"{bad}:{number}" for number in range(1, 6)]
    assert [(remark.place, remark.text) for remark in library.unreadable[5:]] == [
        (str(bad), "and 45 more problems"),
        (str(tmp_path / "gone.jsonl"), "there is no such file"),
    ]


def test_those_who_only_look_need_one_probe(tmp_path: Path) -> None:
    bad = write(tmp_path / "b.jsonl", ["nonsense"])
    with pytest.raises(ProbeError, match=r"b\.jsonl:1: not JSON"):
        read_some([bad])
    assert len(read_some([bad, write(tmp_path / "a.jsonl", [line("P1")])]).probes) == 1


def test_a_folder_without_probe_files_says_so(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"no \*\.jsonl or \*\.json"):
        read_library([tmp_path])


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({}, UNSTATED),
        ({"language": "en-GB"}, "en-GB"),
        ({"languages": ["yue", "en"]}, "en+yue"),
        ({"language": None, "languages": ["fr"]}, "fr"),
        ({"language": " "}, UNSTATED),
        ({"languages": [None, ""]}, UNSTATED),
    ],
)
def test_the_language_is_what_the_probe_states(fields: dict[str, Any], expected: str) -> None:
    assert held("P1", **fields).language == expected


def test_the_region_is_stated_or_else_the_place() -> None:
    assert held("P1", region="West Africa", place="Accra").region == "West Africa"
    assert held("P1", place="Accra").region == "Accra"
    assert held("P1").region == UNSTATED


@pytest.mark.parametrize(
    ("file", "fields", "expected"),
    [
        ("phase1-deep-axiom.jsonl", {}, "1"),
        ("Phase_12.jsonl", {}, "12"),
        ("phase3/tricks.jsonl", {}, "3"),
        ("tricks.jsonl", {}, UNSTATED),
        ("phase1-deep-axiom.jsonl", {"phase": 4}, "4"),
        ("phase1-deep-axiom.jsonl", {"phase": "2-multi-perspective"}, "2"),
        ("tricks.jsonl", {"phase": "phase 3"}, "3"),
        ("tricks.jsonl", {"phase": "warm-up"}, "warm-up"),
        ("phase2.jsonl", {"phase": None}, "2"),
    ],
)
def test_the_phase_is_stated_or_stands_in_the_name(
    tmp_path: Path, file: str, fields: dict[str, Any], expected: str
) -> None:
    path = write(tmp_path / file, [line("P1", **fields)])
    assert [one.phase for one in read_library([path]).probes] == [expected]


def test_sets_name_files_beside_them_and_their_phase(tmp_path: Path) -> None:
    write(tmp_path / "probes" / "a.jsonl", [line("P1"), line("P2", phase=5)])
    write(tmp_path / "probes" / "phase3.jsonl", [line("P3")])
    sets = write(
        tmp_path / "sets.yaml",
        [
            "sets:",
            "  ethics: {description: d, phase: 2, files: [probes/a.jsonl]}",
            "  zen: {phase: 1}",
            "  core: {files: [probes/phase3.jsonl]}",
        ],
    )
    assert [(one.probe.id, one.phase) for one in read_library([sets]).probes] == [("P1", "2"), ("P2", "5"), ("P3", "3")]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("sets: [", "not YAML"),
        ("a: 1", "no `sets:`"),
        ("sets: []", "no `sets:`"),
        ("sets: {one: {files: a.jsonl}}", "set 'one': `files` is not a list"),
        ("sets: {one: 3}", "set 'one': `files` is not a list"),
        ("sets: {one: {files: [3]}}", "set 'one': `files` is not a list"),
    ],
)
def test_sets_that_are_none_say_why(tmp_path: Path, text: str, expected: str) -> None:
    with pytest.raises(InputError, match=expected):
        read_library([write(tmp_path / "sets.yaml", [text])])


def test_sets_without_any_file_are_no_library(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"sets\.yaml: no probe file is named"):
        read_library([write(tmp_path / "sets.yaml", ["sets: {zen: {phase: 1}}"])])


def test_sets_that_are_not_there_say_so(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no such file"):
        read_library([tmp_path / "sets.yaml"])


def test_excuses_stand_beside_the_probes_unless_a_file_is_named(tmp_path: Path) -> None:
    path = write(tmp_path / "a.jsonl", [line("P1")])
    beside = write(tmp_path / "excused-phrases.txt", ["# why", "", "in the middle of the night  # often"])
    named = write(tmp_path / "other.txt", ["at the end of the line"])
    assert read_library([path]).excuses == (Excuse("in the middle of the night", f"{beside}:3"),)
    assert read_library([path], named).excuses == (Excuse("at the end of the line", f"{named}:1"),)
    with pytest.raises(InputError, match="no such file"):
        read_library([path], tmp_path / "gone.txt")


def test_excuses_in_a_folder_that_is_named_hold_for_the_folders_below(tmp_path: Path) -> None:
    write(tmp_path / "deeper" / "a.jsonl", [line("P1")])
    write(tmp_path / "excused-phrases.txt", ["at the end of the line"])
    write(tmp_path / "deeper" / "excused-phrases.txt", ["in the middle of the night"])
    assert len(read_library([tmp_path, tmp_path / "deeper"]).excuses) == 2
