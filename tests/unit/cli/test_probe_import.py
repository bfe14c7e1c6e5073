"""`probes import`."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from lemfarm.importing.report import Report
from tests.command import Ran, lemfarm

Say = Callable[..., Ran]
SEEDS = [
    {"id": 1, "domain": "Ferry", "prompt": "Who pays the ferryman when the bridge is done?"},
    {"id": 1, "domain": "Ferry", "prompt": "Who mends the rope, and on whose Sunday?"},
    {"id": 2, "domain": "Ferry", "prompt": "who mends the ROPE and on whose sunday"},
    {"id": 3, "prompt": "Who pays the ferryman  when the bridge is done?", "response": "The town."},
    {"id": 4, "domain": "Ferry"},
]


@pytest.fixture
def say(capsys: pytest.CaptureFixture[str]) -> Say:
    return lambda *words: lemfarm(capsys, "probes", "import", *words)


@pytest.fixture
def seeds(tmp_path: Path) -> Path:
    return write(tmp_path / "river-seeds.json", SEEDS)


def write(path: Path, entries: Any) -> Path:
    path.write_text(json.dumps(entries, indent=1))
    return path


def test_a_report_without_out_writes_nothing(say: Say, seeds: Path) -> None:
    ran = say(seeds)
    first = ran.out.splitlines()[0]
    assert (ran.code, first) == (0, "5 entries in 1 file = 3 distinct + 1 repeated + 1 skipped")
    assert sorted(path.name for path in seeds.parent.iterdir()) == ["river-seeds.json"]


def test_the_figures_are_told_on_stdout(say: Say, seeds: Path) -> None:
    told = say(seeds).out
    for part in (
        "1 inside a file, 0 across files",
        "3 probes + 0 variants",
        "1 group with the same words, 0 groups with a Jaccard similarity of at least 0.8",
        "1 used for different texts, 1 probe renamed; 0 without",
        "1; 0 probes without",
        "1 entry without; 0 texts with an answer",
        "en 3 (3 guessed)",
        "Latin 3",
        "38 / 40 / 46 / 46 (shortest, median, 95th percentile, longest)",
        "JSON array        5      3        1        1         0",
    ):
        assert part in told, part


def test_near_duplicates_are_listed_with_probe_place_and_similarity(say: Say, seeds: Path) -> None:
    (line,) = [line for line in say(seeds).out.splitlines() if line.startswith("near ")]
    assert line.startswith("near 1.00  1~") and f"({seeds}:7), 2 ({seeds}:12)" in line


def test_everything_left_out_is_told_on_stderr_with_its_place(say: Say, seeds: Path) -> None:
    lines = say(seeds).err.splitlines()
    assert f"skipped {seeds}:22: no prompt" in lines
    assert f"repeat {seeds}:17: as {seeds}:2" in lines
    assert any(line.startswith(f"renamed {seeds}:7: 1 is 1~") for line in lines)


def test_with_out_the_probes_can_be_used(say: Say, seeds: Path, capsys: pytest.CaptureFixture[str]) -> None:
    target = seeds.parent / "probes.jsonl"
    ran = say(seeds, "--out", target)
    assert (ran.code, f"written to {target}" in ran.err) == (0, True)
    assert len(lemfarm(capsys, "probes", "list", target, "--json").data["probes"]) == 3


def test_json_prints_the_whole_report_as_one_object(say: Say, seeds: Path) -> None:
    ran = say(seeds, "--json")
    assert ran.data.keys() == {"kind", "format", "lemfarm", *Report.__slots__}
    assert (ran.data["kind"], ran.data["entries"], ran.data["distinct"]) == ("probes-import", 5, 3)
    assert ran.data["skipped"] == [{"place": f"{seeds}:22", "reason": "no prompt"}]
    assert ran.data["repeats"] == [{"place": f"{seeds}:17", "of": f"{seeds}:2", "same_file": True, "file": 0}]
    assert ran.data["lengths"]["longest"] == 46


def test_a_missing_file_is_bad_input_after_the_others_are_told(say: Say, seeds: Path) -> None:
    missing = seeds.parent / "missing.json"
    ran = say(missing, seeds, "--out", seeds.parent / "probes.jsonl")
    assert (ran.code, "3 probes" in ran.out) == (2, True)
    assert f"error {missing}: cannot be read: No such file or directory" in ran.err
    assert (seeds.parent / "probes.jsonl").exists()


def test_nothing_found_at_all_is_bad_input(say: Say, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    ran = say(tmp_path / "empty", "--out", tmp_path / "probes.jsonl")
    assert (ran.code, "no prompt was found" in ran.err) == (2, True)
    assert not (tmp_path / "probes.jsonl").exists()


def test_with_json_bad_input_is_told_and_counted_too(say: Say, tmp_path: Path) -> None:
    kernel = write(tmp_path / "kernel.json", {"axioms": [{"statement": "x"}]})
    ran = say(kernel, "--json")
    assert (ran.code, ran.data["unreadable"]) == (
        2,
        [{"place": str(kernel), "reason": "nothing in it can be taken for a prompt"}],
    )


def test_strict_fails_where_something_was_left_out(say: Say, seeds: Path, tmp_path: Path) -> None:
    whole = write(tmp_path / "whole.json", SEEDS[:2])
    cut = tmp_path / "cut.json"
    cut.write_text(whole.read_text()[:-2])
    assert [say(path, "--strict").code for path in (whole, seeds, cut)] == [0, 1, 1]
    assert [say(path).code for path in (seeds, cut)] == [0, 0]


def test_long_lists_are_cut_and_all_of_them_can_be_had(say: Say, tmp_path: Path) -> None:
    many = write(tmp_path / "many.json", ["Who?", *["Who?"] * 25])
    short, whole = say(many).err, say(many, "--all").err
    assert (short.count("repeat "), whole.count("repeat ")) == (20, 25)
    assert "5 more lines of 'repeat': --all lists them, --json too" in short


def test_a_file_that_holds_something_else_is_replaced_only_when_asked(say: Say, seeds: Path) -> None:
    target = write(seeds.parent / "mine.jsonl", {"id": "mine"})
    ran = say(seeds, "--out", target)
    assert (ran.code, "--replace" in ran.err, "mine" in target.read_text()) == (2, True, True)
    assert say(seeds, "--out", target, "--replace").code == 0


def test_plain_text_can_be_taken_by_lines(say: Say, tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("Who rings?\nWho answers?\n\nNobody.\n")
    assert say(tmp_path / "a.txt", "--json").data["entries"] == 2
    assert say(tmp_path / "a.txt", "--text", "lines", "--json").data["entries"] == 3


@pytest.mark.parametrize("words", [["--similar", "0"], ["--text", "words"], []])
def test_options_that_make_no_sense_are_bad_input(say: Say, words: list[str]) -> None:
    assert say(*words).code == 2


def test_what_files_say_cannot_steer_the_terminal(say: Say, tmp_path: Path) -> None:
    path = write(tmp_path / "a.json", [{"id": "\x1b[31m[bold]", "prompt": text} for text in ("a", "b")])
    told = say(path)
    assert "\x1b" not in told.out + told.err
    assert "·[31m[bold] is ·[31m[bold]~" in told.err
