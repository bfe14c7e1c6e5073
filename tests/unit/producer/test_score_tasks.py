"""One text for one scorer: a score, or the reason why there is none."""

import pytest

from lemfarm.scorers import get_scorer
from producer.score_tasks import ScoreTask, expected_of, score_task, score_tasks


def task(scorer: str, answer: str = "However, it depends.", expected: str | None = None) -> ScoreTask:
    return ScoreTask(7, scorer, "Why?", answer, expected)


def test_a_score_has_the_name_version_and_signals_of_its_scorer() -> None:
    scored = score_task(task("v2"))
    expected = get_scorer("v2").score("Why?", "However, it depends.")
    assert scored.score is not None
    assert (scored.text_id, scored.score.scorer, scored.score.version) == (7, "v2", get_scorer("v2").version)
    assert (scored.score.value, scored.score.signals) == (expected.value, dict(expected.signals))


def test_a_scorer_that_compares_is_told_what_is_right() -> None:
    found = [score_task(task("gsm8k", "It is 42", expected)).score for expected in ("42", "41")]
    assert [score.value for score in found if score] == [1.0, 0.0]


@pytest.mark.usefixtures("plugins")
@pytest.mark.parametrize(
    ("scorer", "answer", "reason"),
    [
        ("gsm8k", "It is 42", "gsm8k needs an expected answer"),
        ("v9", "Hm", "there is no scorer named 'v9'"),
        ("broken", "Hm", "its model is not at hand"),
        ("counting", "fail", "counting failed: RuntimeError('this answer is too much for it')"),
    ],
)
def test_what_has_no_score_says_why(scorer: str, answer: str, reason: str) -> None:
    scored = score_task(task(scorer, answer))
    assert scored.score is None
    assert reason in scored.reason


def test_tasks_are_done_in_their_order_whatever_becomes_of_them() -> None:
    found = score_tasks([task("v9"), task("v2"), task("tier1")])
    assert [(one.scorer, one.score is None) for one in found] == [("v9", True), ("v2", False), ("tier1", False)]


@pytest.mark.parametrize(("value", "expected"), [("7", "7"), (7, "7"), (0.5, "0.5"), ("", "")])
def test_texts_and_numbers_are_right_answers(value: object, expected: str) -> None:
    assert expected_of({"correct_answer": value}) == expected


@pytest.mark.parametrize("fields", [{}, {"correct_answer": None}, {"correct_answer": True}, {"correct_answer": ["7"]}])
def test_anything_else_is_none(fields: dict[str, object]) -> None:
    assert expected_of(fields) is None
