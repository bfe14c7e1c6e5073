"""Scoring files: the same records out with their scores, and figures about them."""

import json
import random
import statistics
import sys
from collections.abc import Iterator
from importlib.metadata import EntryPoint, EntryPoints
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import lemfarm.scorers as registry
from lemfarm.errors import InputError
from lemfarm.scorers import Score, get_scorer
from lemfarm.scoring import lines
from lemfarm.scoring.explain import Explanation
from lemfarm.scoring.files import PROBLEMS_KEPT, ScoredFiles, score_files
from tests.unit.scoring.shapes import (
    LONG,
    PLAIN,
    SHORT,
    ab_record,
    answered,
    condition,
    dialogue,
    phase_raw,
    read,
    summary,
    write,
)

EVERY_SHAPE: list[Any] = [
    answered(LONG, score=1.10, big=10**30, note=None),
    dialogue(("user", "Who?"), ("assistant", PLAIN)),
    phase_raw(SHORT, category="craft"),
    ab_record("P1", {"baseline": condition(PLAIN, 4.0), "json": condition(LONG, 8.0)}),
    summary({"name": "json", "delta_vs_baseline": 4.0}),
]


def score(*paths: Path, scorers: tuple[str, ...] = ("v2",), **more: Any) -> ScoredFiles:
    return score_files([str(path) for path in paths], scorers, **more)


def value(text: str, scorer: str = "v2") -> float:
    return get_scorer(scorer).score("", text).value


class Odd:
    """A plug-in that does what none should."""

    name, version = "odd", "1"

    def score(self, prompt: str, answer: str) -> Score:
        if answer == SHORT:
            raise RuntimeError("no short answers")
        return Score(float("nan") if answer == PLAIN else 1.0, {"length": len(answer)})


@pytest.fixture
def odd(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    points = EntryPoints([EntryPoint("odd", f"{__name__}:Odd", registry.ENTRY_POINT_GROUP)])
    monkeypatch.setattr(registry, "entry_points", lambda group: points.select(group=group))
    monkeypatch.setitem(sys.modules, __name__, SimpleNamespace(Odd=Odd))
    get_scorer.cache_clear()
    yield
    get_scorer.cache_clear()


def test_the_records_come_out_as_they_went_in_with_their_scores(tmp_path: Path) -> None:
    # Given a file with every shape, when two score it, then each answer has both scores and nothing else changed.
    source, out = write(tmp_path / "in.jsonl", EVERY_SHAPE), tmp_path / "out.jsonl"
    score(source, scorers=("v2", "v2-distill"), out=out)
    found = read(out)
    taken = [record.pop("scores") for record in found[:3]]
    taken += [held.pop("scores") for held in found[3]["conditions"].values()]
    assert found == EVERY_SHAPE
    assert [list(record) for record in found] == [list(record) for record in EVERY_SHAPE]
    texts = (LONG, PLAIN, SHORT, PLAIN, LONG)
    assert [{name: held["value"] for name, held in scores.items()} for scores in taken] == [
        {"v2": value(text), "v2-distill": value(text, "v2-distill")} for text in texts
    ]
    assert taken[0]["v2"] == {
        "value": value(LONG),
        "version": get_scorer("v2").version,
        "signals": get_scorer("v2").score("", LONG).signals,
    }


def test_without_out_nothing_is_written(tmp_path: Path) -> None:
    score(write(tmp_path / "in.jsonl", EVERY_SHAPE))
    assert [path.name for path in tmp_path.iterdir()] == ["in.jsonl"]


def test_scoring_what_is_scored_changes_nothing(tmp_path: Path) -> None:
    source, once, twice = write(tmp_path / "in.jsonl", EVERY_SHAPE), tmp_path / "1.jsonl", tmp_path / "2.jsonl"
    score(source, out=once)
    score(once, out=twice)
    assert once.read_bytes() == twice.read_bytes()


def test_figures_are_told_by_file_category_and_condition(tmp_path: Path) -> None:
    first = write(tmp_path / "a.jsonl", [answered(t, domain=d) for t, d in ((LONG, "x"), (PLAIN, "y"), (SHORT, "y"))])
    second = write(tmp_path / "b.jsonl", [ab_record("P1", {"baseline": condition(PLAIN), "json": condition(LONG)})])
    found = score(first, second)
    groups = {(Path(row.file).name, row.category, row.condition): (row.n, row.mean) for row in found.groups}
    assert groups == {
        ("a.jsonl", "x", ""): (1, value(LONG)),
        ("a.jsonl", "y", ""): (2, statistics.fmean([value(PLAIN), value(SHORT)])),
        ("b.jsonl", "craft", "baseline"): (1, value(PLAIN)),
        ("b.jsonl", "craft", "json"): (1, value(LONG)),
    }
    assert [(Path(row.file).name, row.condition, row.n) for row in found.totals] == [
        ("a.jsonl", "", 3),
        ("b.jsonl", "baseline", 1),
        ("b.jsonl", "json", 1),
    ]


@given(st.lists(st.sampled_from([LONG, PLAIN, SHORT, "", LONG * 3, "Sure. " * 9]), min_size=1, max_size=12))
def test_figures_are_those_of_the_scores(tmp_path_factory: pytest.TempPathFactory, texts: list[str]) -> None:
    path = write(tmp_path_factory.getbasetemp() / "figures.jsonl", [answered(text) for text in texts])
    (row,) = score(path).totals
    values = [value(text) for text in texts]
    assert (row.n, row.min, row.max) == (len(values), min(values), max(values))
    assert row.mean == pytest.approx(statistics.fmean(values))
    assert row.median == pytest.approx(statistics.median(values))


def test_a_bad_line_is_reported_and_skipped(tmp_path: Path) -> None:
    source = write(tmp_path / "in.jsonl", [answered(LONG), b"{half\n", b"\n", {"id": "P2"}, answered(PLAIN)])
    found = score(source, out=tmp_path / "out.jsonl")
    (report,) = found.files
    assert (report.answers, report.bad_lines, found.bad_lines) == (2, 2, 2)
    assert [problem.split(": ")[0] for problem in report.problems] == [f"{source}:2", f"{source}:4"]
    assert [record["response"] for record in read(tmp_path / "out.jsonl")] == [LONG, PLAIN]


def test_problems_of_a_wrong_file_are_counted_and_only_the_first_are_kept(tmp_path: Path) -> None:
    (report,) = score(write(tmp_path / "in.jsonl", [b"no\n"] * 3_000)).files
    assert (report.bad_lines, len(report.problems)) == (3_000, PROBLEMS_KEPT)


def test_a_condition_without_an_answer_costs_itself_only(tmp_path: Path) -> None:
    record = ab_record("P1", {"baseline": condition(PLAIN), "json": {"error": "out of memory"}})
    found = score(write(tmp_path / "in.jsonl", [record]), out=tmp_path / "out.jsonl")
    (kept,) = read(tmp_path / "out.jsonl")
    assert (found.bad_lines, found.files[0].answers) == (1, 1)
    assert kept["conditions"]["json"] == {"error": "out of memory"}
    assert kept["conditions"]["baseline"]["scores"]["v2"]["value"] == value(PLAIN)


@pytest.mark.usefixtures("odd")
def test_a_plugin_that_fails_costs_its_own_score_only(tmp_path: Path) -> None:
    source = write(tmp_path / "in.jsonl", [answered(LONG), answered(SHORT), answered(PLAIN)])
    found = score(source, scorers=("odd", "v2"), out=tmp_path / "out.jsonl")
    assert [list(record["scores"]) for record in read(tmp_path / "out.jsonl")] == [["odd", "v2"], ["v2"], ["v2"]]
    assert "odd failed: RuntimeError('no short answers')" in found.files[0].problems[0]
    assert "odd gave nan" in found.files[0].problems[1]
    assert {row.scorer: row.n for row in found.totals} == {"odd": 1, "v2": 3}


@pytest.mark.parametrize("names", [("nobody",), ("v2", "nobody")])
def test_an_unknown_scorer_is_refused_before_anything_is_written(tmp_path: Path, names: tuple[str, ...]) -> None:
    source = write(tmp_path / "in.jsonl", EVERY_SHAPE)
    with pytest.raises(InputError, match="no scorer named 'nobody'"):
        score(source, scorers=names, out=tmp_path / "out.jsonl")
    assert [path.name for path in tmp_path.iterdir()] == ["in.jsonl"]


def test_an_error_midway_leaves_the_old_output(tmp_path: Path) -> None:
    source, out = write(tmp_path / "in.jsonl", EVERY_SHAPE), tmp_path / "out.jsonl"
    out.write_text("old")

    def interrupt(_explanation: Explanation) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        score(source, out=out, on_explanation=interrupt)
    assert (out.read_text(), sorted(path.name for path in tmp_path.iterdir())) == ("old", ["in.jsonl", "out.jsonl"])


# ---- right answers


def test_a_right_answer_is_read_from_the_record(tmp_path: Path) -> None:
    records = [answered("It is 4, so #### 4", correct_answer=4), answered("#### 5", correct_answer="4")]
    found = score(write(tmp_path / "in.jsonl", records), scorers=("gsm8k",))
    assert (found.totals[0].n, found.totals[0].mean) == (2, 0.5)


def test_a_right_answer_is_joined_by_id(tmp_path: Path) -> None:
    questions = write(
        tmp_path / "questions.jsonl", [{"id": "Q1", "correct_answer": "4"}, {"id": 2, "correct_answer": 7}]
    )
    records = [answered("#### 4", id="Q1"), answered("#### 7", id=2), answered("#### 7", id="Q3")]
    found = score(write(tmp_path / "in.jsonl", records), scorers=("gsm8k", "v2"), expected=questions)
    assert {row.scorer: (row.n, row.mean) for row in found.totals if row.scorer == "gsm8k"} == {"gsm8k": (2, 1.0)}
    assert "in.jsonl:3: gsm8k needs an expected answer" in found.files[0].problems[0]


def test_the_file_of_right_answers_wins_over_the_record(tmp_path: Path) -> None:
    questions = write(tmp_path / "questions.jsonl", [{"id": "P1", "correct_answer": "5"}])
    source = write(tmp_path / "in.jsonl", [answered("#### 5", correct_answer="4")])
    assert score(source, scorers=("gsm8k",), expected=questions).totals[0].mean == 1.0


@pytest.mark.parametrize(
    ("questions", "said"),
    [
        ([{"id": "P1"}], ":1: an object with `id` and `correct_answer`"),
        ([{"id": "P1", "correct_answer": 1}, {"id": "P1", "correct_answer": 2}], ":2: P1 has another"),
        ([b"no\n"], ":1: not JSON"),
        ([b"\xff\n"], "not utf-8"),
    ],
)
def test_right_answers_that_cannot_be_trusted_are_refused(tmp_path: Path, questions: list[object], said: str) -> None:
    with pytest.raises(InputError, match=said):
        score(write(tmp_path / "in.jsonl", EVERY_SHAPE), expected=write(tmp_path / "q.jsonl", questions))


# ---- many processes, many bytes


def test_several_processes_give_what_one_gives(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # Given more than a few chunks with a bad line here and there, when two processes score, then all is the same.
    monkeypatch.setattr(lines, "CHUNK_BYTES", 10_000)
    dice = random.Random(3)
    records: list[Any] = [answered(" ".join(dice.choices([LONG, PLAIN, SHORT], k=8)), id=n) for n in range(400)]
    records[::100] = [b"{half\n"] * 4
    source = write(tmp_path / "in.jsonl", records)
    told: list[tuple[int, int | None]] = []
    one = score(source, out=tmp_path / "1.jsonl")
    two = score(source, out=tmp_path / "2.jsonl", processes=2, on_progress=lambda done, all_: told.append((done, all_)))
    assert one == two
    assert (tmp_path / "1.jsonl").read_bytes() == (tmp_path / "2.jsonl").read_bytes()
    size = source.stat().st_size
    assert [done for done, _ in told] == sorted(done for done, _ in told)
    assert told[-1] == (size, size)


def test_every_hit_is_explained_in_the_order_of_the_answers(tmp_path: Path) -> None:
    explanations: list[Explanation] = []
    source = write(tmp_path / "in.jsonl", EVERY_SHAPE)
    score(source, on_explanation=explanations.append)
    assert [(e.place, e.condition) for e in explanations] == [
        (f"{source}:1", ""),
        (f"{source}:2", ""),
        (f"{source}:3", ""),
        (f"{source}:4", "baseline"),
        (f"{source}:4", "json"),
    ]


def test_json_of_the_output_is_plain(tmp_path: Path) -> None:
    score(write(tmp_path / "in.jsonl", [answered("Grüße, 你好")]), out=tmp_path / "out.jsonl")
    text = (tmp_path / "out.jsonl").read_text(encoding="utf-8")
    assert "Grüße, 你好" in text
    assert json.loads(text)["response"] == "Grüße, 你好"
