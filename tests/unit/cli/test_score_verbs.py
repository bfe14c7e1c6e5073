"""`score`, `rescore`, `scorers list` and `scorers calibrate` as a person meets them."""

import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from lemfarm.scorers import get_scorer, scorer_names
from tests.command import lemfarm
from tests.ground import Ground
from tests.unit.scoring.shapes import LONG, PLAIN, SHORT, ab_record, answered, condition, read, summary, write

ROOT = Path(__file__).parents[3]


@pytest.fixture
def answers(tmp_path: Path) -> Path:
    return write(tmp_path / "answers.jsonl", [answered(LONG), answered(PLAIN, id="P2"), answered(SHORT, id="P3")])


@pytest.fixture
def ground(tmp_path: Path) -> Iterator[Ground]:
    made = Ground(tmp_path)
    made.plan()
    ids = made.ids()
    made.finish(ids[:2], LONG)
    made.finish(ids[2:4], PLAIN)
    yield made
    made.database.close()


def farm(ground: Ground) -> tuple[object, ...]:
    return "--home", ground.home.root, "--database", ground.database.url


def value(text: str) -> float:
    return get_scorer("v2").score("", text).value


# ---- score


def test_a_table_has_a_line_for_each_scorer(answers: Path, capsys: pytest.CaptureFixture[str]) -> None:
    ran = lemfarm(capsys, "score", answers, "--scorer", "v2", "--scorer", "v2-distill")
    lines = ran.out.splitlines()
    assert (ran.code, lines[0].split()) == (0, ["file", "scorer", "n", "mean", "median", "min", "max"])
    assert [line.split()[1:3] for line in lines[1:]] == [["v2", "3"], ["v2-distill", "3"]]
    assert "3 answers" in ran.err


def test_categories_and_conditions_are_told_apart(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    record = ab_record("P1", {"baseline": condition(PLAIN), "json": condition(LONG)})
    ran = lemfarm(capsys, "score", write(tmp_path / "ab.jsonl", [record, {**record, "category": "river"}]),
                  "--scorer", "v2")  # fmt: skip
    totals, groups = ran.out.split("\n\n")
    assert [line.split()[1] for line in totals.splitlines()] == ["condition", "baseline", "json"]
    assert [tuple(line.split()[1:3]) for line in groups.splitlines()[1:]] == [
        ("craft", "baseline"), ("craft", "json"), ("river", "baseline"), ("river", "json"),
    ]  # fmt: skip


def test_more_categories_than_a_person_reads_are_left_to_programs(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = write(tmp_path / "in.jsonl", [answered(PLAIN, domain=f"d{n}") for n in range(101)])
    ran = lemfarm(capsys, "score", path, "--scorer", "v2")
    assert (ran.code, len(ran.out.splitlines()), "101 rows by category" in ran.err) == (0, 2, True)
    assert len(lemfarm(capsys, "score", path, "--scorer", "v2", "--json").data["groups"]) == 101


def test_the_same_for_programs(answers: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data = lemfarm(capsys, "score", answers, "--scorer", "v2", "--json").data
    assert data["kind"] == "scores"
    assert data["files"] == [{"file": str(answers), "answers": 3, "summaries": 0, "bad_lines": 0, "problems": []}]
    (row,) = data["totals"]
    assert (row["scorer"], row["n"], row["max"]) == ("v2", 3, value(LONG))
    assert "explanations" not in data


def test_records_are_written_with_their_scores(
    answers: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "scored.jsonl"
    ran = lemfarm(capsys, "score", answers, "--scorer", "v2", "--out", out)
    assert (ran.code, str(out) in ran.err) == (0, True)
    assert [record["scores"]["v2"]["value"] for record in read(out)] == [value(LONG), value(PLAIN), value(SHORT)]


def test_bad_lines_are_named_and_the_rest_is_scored(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = write(tmp_path / "in.jsonl", [answered(LONG), *[b"{half \x1b[31m\n"] * 30])
    ran = lemfarm(capsys, "score", path, "--scorer", "v2")
    assert (ran.code, ran.out.splitlines()[1].split()[2]) == (2, "1")
    assert f"{path}:2: not JSON" in ran.err
    assert "10 more lines like these" in ran.err
    assert "\x1b" not in ran.err


def test_an_explanation_shows_each_hit_in_its_context(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text = "I ask for proof.\n\nHowever, [nobody] wrote it down, and that was that for a year or so."
    ran = lemfarm(capsys, "score", write(tmp_path / "in.jsonl", [answered(text)]), "--scorer", "v2", "--explain")
    assert ran.code == 0
    assert f"in.jsonl:1 P1  v2 {value(text):.2f}" in ran.out
    assert "+1.50  nuance 1" in ran.out
    assert "I ask for proof.↵↵»However«, [nobody] wrote it down" in ran.out


def test_explanations_for_programs(answers: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data = lemfarm(capsys, "score", answers, "--scorer", "v2", "--explain", "--json").data
    first = data["explanations"][0]
    assert (first["place"], first["value"]) == (f"{answers}:1", value(LONG))
    assert {"signal", "start", "end", "before", "text", "after", "points"} == first["hits"][0].keys()


def test_a_file_that_is_named_twice_is_read_once(answers: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data = lemfarm(capsys, "score", answers, answers, "--scorer", "v2", "--json").data
    assert ([row["n"] for row in data["totals"]], data["files"][0]["answers"]) == ([3], 3)
    ab_file = write(answers.with_name("ab.jsonl"), [ab_record("P1", {"baseline": condition(PLAIN)})])
    assert len(lemfarm(capsys, "rescore", ab_file, ab_file, "--json").data["files"]) == 1


def test_a_file_without_answers_has_no_table(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    ran = lemfarm(capsys, "score", write(tmp_path / "in.jsonl", []), "--scorer", "v2")
    assert (ran.code, ran.out, "in.jsonl: 0 answers" in ran.err) == (0, "", True)


def test_lines_that_are_all_named_are_not_counted_again(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    ran = lemfarm(capsys, "score", write(tmp_path / "my answers.jsonl", [b"{half\n"] * 2), "--scorer", "v2")
    assert "my answers.jsonl:2: not JSON" in ran.err
    assert "more line" not in ran.err


def test_a_reader_that_has_seen_enough_is_no_error(answers: Path, tmp_path: Path) -> None:
    # Given a pipe that nobody reads any more, when explanations go into it, then --out is written all the same.
    out = tmp_path / "out.jsonl"
    for more in (["--explain"], ["--json"], ["--explain", "--out", str(out)]):
        command = [sys.executable, "-m", "lemfarm", "score", str(answers), "--scorer", "v2", *more]
        reader, writer = os.pipe()
        os.close(reader)
        done = subprocess.run(command, stdout=writer, stderr=subprocess.PIPE, cwd=ROOT, check=False)
        os.close(writer)
        assert (done.returncode, b"Traceback" in done.stderr) == (0, False), done.stderr
    assert len(read(out)) == 3


def test_right_answers_come_from_another_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    source = write(tmp_path / "in.jsonl", [answered("#### 4", id="Q1")])
    questions = write(tmp_path / "q.jsonl", [{"id": "Q1", "question": "2 + 2?", "correct_answer": "4"}])
    assert lemfarm(capsys, "score", source, "--scorer", "gsm8k").code == 2
    ran = lemfarm(capsys, "score", source, "--scorer", "gsm8k", "--expected", questions, "--json")
    assert (ran.code, ran.data["totals"][0]["mean"]) == (0, 1.0)


def test_standard_input_is_read(answers: Path) -> None:
    command = [sys.executable, "-m", "lemfarm", "score", "-", "--scorer", "v2", "--json"]
    done = subprocess.run(command, input=answers.read_bytes(), capture_output=True, check=True, cwd=ROOT)
    assert json.loads(done.stdout)["totals"][0]["n"] == 3


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["in.jsonl"], "name a scorer with --scorer: v2, v2-distill"),
        (["--scorer", "v2"], "name at least one file"),
        (["none.jsonl", "--scorer", "v2"], "none.jsonl cannot be read: No such file"),
        ([".", "--scorer", "v2"], "is a folder"),
        (["x" * 5_000, "--scorer", "v2"], "cannot be read: File name too long"),
        (["in.jsonl", "--scorer", "v3"], "there is no scorer named 'v3'"),
        (["in.jsonl", "--scorer", "v2", "--out", "in.jsonl"], "is read and cannot be written"),
        (["in.jsonl", "--scorer", "v2", "--out", "no/out.jsonl"], "there is no folder"),
        (["in.jsonl", "--scorer", "v2", "--expected", "none.jsonl"], "none.jsonl cannot be read"),
        (["in.jsonl", "--scorer", "v2", "--run", "tiny", "--explain"], "leave out FILE, --explain"),
    ],
)
def test_bad_input_is_told_and_changes_nothing(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    arguments: list[str],
    said: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    source = write(tmp_path / "in.jsonl", [answered(LONG)])
    before = source.read_bytes()
    ran = lemfarm(capsys, "score", *arguments)
    assert (ran.code, ran.out, said in ran.err) == (2, "", True), ran.err
    assert (source.read_bytes(), len(list(tmp_path.iterdir()))) == (before, 1)


def test_ctrl_c_ends_with_130_and_leaves_no_half_file(tmp_path: Path) -> None:
    # Given a command whose input does not end, when it is interrupted midway, then nothing of its output is left.
    out = tmp_path / "out.jsonl"
    command = [sys.executable, "-m", "lemfarm", "score", "-", "--scorer", "v2", "--out", str(out), "--jobs", "2"]
    child = subprocess.Popen(
        command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True
    )
    assert child.stdin is not None
    records = write(tmp_path / "in.jsonl", [answered(LONG * 20)] * 200).read_bytes()
    while not any(path.stat().st_size for path in tmp_path.glob(".out.jsonl.*")):
        child.stdin.write(records)
        child.stdin.flush()
    os.killpg(child.pid, signal.SIGINT)
    said, errors = child.communicate(timeout=60)
    assert (child.returncode, said) == (130, b""), errors
    assert b"Traceback" not in errors
    assert [path.name for path in tmp_path.iterdir()] == ["in.jsonl"]


# ---- score --run


def test_stored_answers_of_a_run_are_scored(ground: Ground, capsys: pytest.CaptureFixture[str]) -> None:
    ran = lemfarm(capsys, "score", "--run", "tiny", "--scorer", "v2", "--jobs", 1, *farm(ground))
    assert (ran.code, ran.out.splitlines()[-1].split()) == (0, ["v2", get_scorer("v2").version, "4", "0", "0"])
    again = lemfarm(capsys, "score", "--run", "tiny", "--scorer", "v2", "--jobs", 1, "--json", *farm(ground)).data
    assert (again["run"], again["scorers"][0]["added"], again["scorers"][0]["known"]) == ("tiny", 0, 4)


def test_answers_of_a_run_that_cannot_be_scored_are_named(ground: Ground, capsys: pytest.CaptureFixture[str]) -> None:
    ran = lemfarm(capsys, "score", "--run", "tiny", "--scorer", "gsm8k", "--jobs", 1, *farm(ground))
    assert (ran.code, "needs an expected answer" in ran.err) == (2, True)


def test_a_run_that_does_not_exist_is_bad_input(ground: Ground, capsys: pytest.CaptureFixture[str]) -> None:
    ran = lemfarm(capsys, "score", "--run", "other", "--scorer", "v2", *farm(ground))
    assert (ran.code, "known: tiny" in ran.err) == (2, True)


# ---- rescore


def test_recorded_scores_stand_beside_fresh_ones(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    records = [
        ab_record(f"P{n}", {"baseline": condition(PLAIN, 8.0, later=False), "json": condition(LONG, 8.0, later=False)})
        for n in range(3)
    ]
    counts = {"delta_vs_baseline": 0.0, "improved": 0, "regressed": 0, "unchanged": 3}
    path = write(tmp_path / "ab-tiny.jsonl", [*records, summary({"name": "json", **counts})])
    ran = lemfarm(capsys, "rescore", path)
    assert ran.code == 0
    assert "6 of 6 recorded scores are of the older ab-v1" in ran.out
    rows = {
        line.split()[0]: line.split()[1:] for line in ran.out.splitlines() if line.startswith("  ") and line.split()
    }
    assert rows["baseline"] == ["3", "8.00", f"{value(PLAIN):.2f}", f"{value(PLAIN) - 8:+.2f}", "0"]
    gain = f"{value(LONG) - value(PLAIN):+.2f}"
    assert rows["json"] == [gain, gain, "to", gain, "3", "/", "0", "/", "0", "+0.00", "0", "/", "0", "/", "3"]
    data = lemfarm(capsys, "rescore", path, "--json").data
    assert data["files"][0]["changes"][0]["recorded"] == counts


def test_a_file_that_is_no_ab_file_is_told(answers: Path, capsys: pytest.CaptureFixture[str]) -> None:
    ran = lemfarm(capsys, "rescore", answers)
    assert (ran.code, "no A/B records" in ran.out, "answers.jsonl:1: not an A/B record" in ran.err) == (2, True, True)


def test_every_file_must_be_there(answers: Path, capsys: pytest.CaptureFixture[str]) -> None:
    ran = lemfarm(capsys, "rescore", answers, "none.jsonl")
    assert (ran.code, ran.out) == (2, "")


# ---- scorers


def test_scorers_are_listed_with_what_they_are_for(capsys: pytest.CaptureFixture[str]) -> None:
    ran = lemfarm(capsys, "scorers", "list")
    assert (ran.code, [line.split()[0] for line in ran.out.splitlines()]) == (0, ["name", *scorer_names()])
    entries = {entry["name"]: entry for entry in lemfarm(capsys, "scorers", "list", "--json").data["scorers"]}
    assert entries["v2"]["purpose"].startswith("The benchmark scorer")
    assert (entries["gsm8k"]["compares"], entries["v2"]["compares"]) == (True, False)
    assert all(entry["version"] and entry["purpose"] and not entry["problem"] for entry in entries.values())


def test_a_threshold_is_carried_over(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    versions = {name: get_scorer(name).version for name in ("v2", "tier1")}
    records = [
        answered(LONG, id=f"P{n}", scores={
            "v2": {"value": n, "version": versions["v2"]}, "tier1": {"value": 10 * n, "version": versions["tier1"]},
        })
        for n in range(40)
    ]  # fmt: skip
    path = write(tmp_path / "in.jsonl", records)
    arguments = ("scorers", "calibrate", path, "--from", "v2", "--at-least", 30, "--to", "tier1")
    ran = lemfarm(capsys, *arguments)
    assert ran.code == 0
    assert "v2 ≥ 30 passes 10 of 40 answers to 40 probes, 25.0%" in ran.out
    assert "tier1 ≥ 300 lets the same share pass" in ran.out
    assert "Only 40 answers" in ran.out
    data = lemfarm(capsys, *arguments, "--json").data
    assert (data["from"], data["to"], data["calibration"]["matched"]["threshold"]) == ("v2", "tier1", 300.0)
    assert data["calibration"]["matched"]["kappa"] == 1.0


def test_the_example_of_the_page_is_what_the_command_says(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(ROOT)
    page = (ROOT / "docs" / "which-scorer-do-i-use.md").read_text(encoding="utf-8")
    command, shown = re.findall(
        r"^```sh\nlemfarm (scorers calibrate docs/[^\n]*)\n```\n\n```\n(.*?)^```", page, re.DOTALL | re.MULTILINE
    )[0]
    said = lemfarm(capsys, *command.split()).out
    assert [line.rstrip() for line in said.splitlines()] == shown.splitlines()


def test_a_threshold_that_none_passes_is_told(answers: Path, capsys: pytest.CaptureFixture[str]) -> None:
    ran = lemfarm(capsys, "scorers", "calibrate", answers, "--from", "v2", "--at-least", 90, "--to", "v2-distill")
    assert (ran.code, "None of 3 answers passes" in ran.out, "they agree at" in ran.out) == (0, True, False)


@pytest.mark.parametrize("threshold", ["nan", "inf"])
def test_a_threshold_is_a_number(answers: Path, threshold: str, capsys: pytest.CaptureFixture[str]) -> None:
    ran = lemfarm(capsys, "scorers", "calibrate", answers, "--from", "v2", "--at-least", threshold, "--to", "v1")
    assert (ran.code, ran.out, f"a threshold is a number, not {threshold}" in ran.err) == (2, "", True)


def test_answers_of_a_run_are_scored_where_needed_and_compared(
    ground: Ground, capsys: pytest.CaptureFixture[str]
) -> None:
    threshold = (value(LONG) + value(PLAIN)) / 2
    arguments = ("--from", "v2", "--at-least", threshold, "--to", "v2-distill", "--jobs", 1, *farm(ground))
    data = lemfarm(capsys, "scorers", "calibrate", "--run", "tiny", *arguments, "--json").data["calibration"]
    assert (data["n"], data["passing"], data["matched"]["both"]) == (4, 2, 2)
    assert data["matched"]["threshold"] == get_scorer("v2-distill").score("", LONG).value


def test_files_and_a_run_exclude_each_other(answers: Path, capsys: pytest.CaptureFixture[str]) -> None:
    ran = lemfarm(
        capsys, "scorers", "calibrate", answers, "--run", "tiny", "--from", "v2", "--at-least", 1, "--to", "v2"
    )
    assert (ran.code, "leave out FILE" in ran.err) == (2, True)


def test_no_pair_is_bad_input(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = write(tmp_path / "in.jsonl", [b"{half\n"])
    ran = lemfarm(capsys, "scorers", "calibrate", path, "--from", "v2", "--at-least", 1, "--to", "v2-distill")
    assert (ran.code, "no answer has both scores" in ran.err, "in.jsonl:1" in ran.err) == (2, True, True)
