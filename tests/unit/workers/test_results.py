"""What is stored of a completion."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lemfarm.config import FarmConfig
from lemfarm.dialogue import Message
from lemfarm.engines.base import Completion, FinishReason
from lemfarm.records import Purpose
from lemfarm.scorers import Score, get_scorer
from lemfarm.work import Claim
from tests.unit.workers.engine_double import one_phase
from workers.library import Rules, Wording
from workers.results import make_result, pack_tokens, unpack_tokens

WHY = Wording("P0", 0, (Message("user", "Why?"),))
SUM = Wording("P1", 0, (Message("user", "What is 17 and 25?"),), expected="42")


def rules(gates: list[dict[str, object]], scorer: str | None = None) -> Rules:
    return Rules("r", one_phase(gates), FarmConfig(), scorer)


def claim(purpose: str = Purpose.DISTIL) -> Claim:
    return Claim("s", 3, 1, 1, purpose, "v", 0, None, None, "none", {}, 7, 0)


@given(st.lists(st.integers(0, 2**32 - 1)))
def test_token_ids_come_back_as_they_went(tokens: list[int]) -> None:
    assert unpack_tokens(pack_tokens(tuple(tokens))) == tuple(tokens)


def test_the_scorers_that_the_gates_ask_for_are_stored_with_signals_and_version() -> None:
    gates: list[dict[str, object]] = [{"scorer": "v2", "at_least": 99.0}, {"scorer": "v2-distill", "at_least": 0.0}]
    found = make_result(claim(), "w", WHY, Completion("However, it depends.", FinishReason.STOP), rules(gates))
    assert [score.scorer for score in found.scores] == ["v2", "v2-distill"]
    assert all(score.version and score.signals["nuance"] == 2 for score in found.scores)
    assert found.outcome == "rejected"
    assert found.reason.startswith("v2 ")


def test_a_truncated_answer_is_rejected_and_kept() -> None:
    cut = Completion("and so on and", FinishReason.LENGTH)
    found = make_result(claim(), "w", WHY, cut, rules([{"truncated": "reject"}]))
    assert (found.outcome, found.content) == ("rejected", "and so on and")


def test_an_evaluation_answer_is_scored_by_its_scorer_and_not_judged() -> None:
    answer = Completion("no", FinishReason.LENGTH)
    found = make_result(claim(Purpose.EVALUATE), "w", WHY, answer, rules([{"truncated": "reject"}], "v2"))
    assert (found.outcome, found.gate_hash) == ("accepted", "")
    assert [score.scorer for score in found.scores] == ["v2"]


def test_the_record_of_the_generation_has_all_but_the_texts() -> None:
    made = Completion("hi", FinishReason.STOP, thoughts="hm", token_ids=(1, 2, 3), batch_mates=("a", "b"), seed=5)
    found = make_result(claim(), "w", WHY, made, rules([]))
    assert found.generation["completion_tokens"] == 3
    assert found.generation["batch_mates"] == ["a", "b"]
    assert found.generation["seed"] == 5
    assert not {"text", "thoughts", "token_ids"} & found.generation.keys()
    assert (found.content, found.thoughts) == ("hi", "hm")


@pytest.mark.parametrize(("answer", "outcome"), [("That makes 42", "accepted"), ("That makes 41", "rejected")])
def test_a_scorer_that_compares_is_told_the_right_answer_of_the_probe(answer: str, outcome: str) -> None:
    made = Completion(answer, FinishReason.STOP)
    found = make_result(claim(), "w", SUM, made, rules([{"scorer": "gsm8k", "at_least": 1.0}]))
    assert (found.outcome, found.scores[0].scorer) == (outcome, "gsm8k")


def test_an_evaluation_answer_is_compared_too() -> None:
    made = Completion("It is 42", FinishReason.STOP)
    found = make_result(claim(Purpose.EVALUATE), "w", SUM, made, rules([], "gsm8k"))
    assert [score.value for score in found.scores] == [1.0]


def test_a_probe_without_the_right_answer_leaves_the_sample_held() -> None:
    made = Completion("That makes 42", FinishReason.STOP)
    found = make_result(claim(), "w", WHY, made, rules([{"scorer": "gsm8k", "at_least": 1.0}]))
    assert (found.outcome, found.reason, found.scores) == ("held", "no score by gsm8k", [])


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_a_score_that_no_database_keeps_is_none(value: float, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(type(get_scorer("v2")), "score", lambda self, prompt, answer: Score(value))
    made = Completion("However, it depends.", FinishReason.STOP)
    found = make_result(claim(), "w", WHY, made, rules([{"scorer": "v2", "at_least": 0.0}]))
    assert (found.outcome, found.reason) == ("held", "no score by v2")
