"""The page about scorers says what the scorers do: its names, its figures and its texts are checked against them."""

import json
from pathlib import Path
from typing import Any

import pytest

from lemfarm.scorers import scorer_for, scorer_names
from lemfarm.scorers.loops import LOOPING, NEARLY_LOOPING, WINDOW

ROOT = Path(__file__).parents[3]
PAGE = (ROOT / "docs/which-scorer-do-i-use.md").read_text(encoding="utf-8")
LENGTHS = (100, 200, 350, 500, 700, 1_000, 1_500, 2_000, 4_000, 8_000)


def records(path: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (ROOT / path).read_text(encoding="utf-8").splitlines()]


ANSWERS = {record["id"]: record for record in records("docs/data/answers.jsonl")}


def table_below(head: str) -> list[list[str]]:
    """The cells of the first table whose head begins so, row by row, the head first."""
    lines = PAGE[PAGE.index(head) :].partition("\n\n")[0].splitlines()
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]
    return [rows[0], *rows[2:]]


def test_every_scorer_has_its_line() -> None:
    rows = table_below("| scorer | use it for")

    assert {row[0].strip("`") for row in rows[1:]} == set(scorer_names())


def test_every_answer_has_its_line() -> None:
    assert [row[0] for row in table_below("| probe | kind")[1:]] == list(ANSWERS)


@pytest.mark.parametrize("row", table_below("| probe | kind")[1:], ids=lambda row: row[0])
def test_the_scores_of_the_page_are_those_of_the_scorers(row: list[str]) -> None:
    names, answer = table_below("| probe | kind")[0][3:], ANSWERS[row[0]]

    scores = [scorer_for(name, None).score(answer["prompt"], answer["response"]) for name in names]

    assert row[1:3] == [answer["kind"], f"{answer['words']:,}"]
    assert row[3:] == [f"{score.value:.1f}" for score in scores]


def test_the_good_answers_cover_the_lengths() -> None:
    found = [answer["words"] for answer in ANSWERS.values() if answer["kind"] == "good"]

    assert [abs(words / length - 1) < 0.11 for words, length in zip(found, LENGTHS, strict=True)] == [True] * 10
    assert all(answer["words"] == len(answer["response"].split()) for answer in ANSWERS.values())


def test_the_answers_belong_to_probes_of_the_library() -> None:
    probes = {probe["id"]: probe for probe in records("seeds/phase1-deep-axiom.jsonl")}

    for name, answer in ANSWERS.items():
        assert (answer["domain"], answer["prompt"]) == (probes[name]["domain"], probes[name]["prompt"])


def test_the_limits_of_the_page_are_those_of_the_code() -> None:
    assert f"**Why {WINDOW} words, {NEARLY_LOOPING} and {LOOPING}.**" in PAGE
    assert f"of any {WINDOW} words in a row below {NEARLY_LOOPING} or {LOOPING}" in PAGE
