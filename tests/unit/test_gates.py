"""Gates: verdicts with reasons in words and figures."""

import math

import pytest

from lemfarm.config import Gate, LoopingGate, MinCharsGate, ScoreGate, TruncatedGate
from lemfarm.engines.base import FinishReason
from lemfarm.gates import Answer, Outcome, Verdict, gate_hash, judge, required_scorers

SCORE = ScoreGate(scorer="v2-distill", at_least=24.0)
CUT = TruncatedGate(truncated="reject")
LOOPS = LoopingGate(looping="reject")
LONG = MinCharsGate(min_chars=200)
ALL: tuple[Gate, ...] = (SCORE, CUT, LOOPS, LONG)


def answer(
    score: float | None = 25.0, reason: FinishReason = FinishReason.STOP, characters: int = 300, tokens: int = 90
) -> Answer:
    return Answer("x" * characters, reason, {} if score is None else {"v2-distill": score}, tokens)


def rejected(reason: str) -> Verdict:
    return Verdict(Outcome.REJECTED, reason)


def test_an_answer_that_passes_every_gate_is_accepted() -> None:
    assert judge(ALL, answer()) == Verdict(Outcome.ACCEPTED, "passed every gate")


def test_without_gates_everything_is_accepted() -> None:
    assert judge((), answer(score=None, characters=0)) == Verdict(Outcome.ACCEPTED, "no gates")


def test_a_low_score_is_told_with_both_figures() -> None:
    assert judge(ALL, answer(score=18.3)) == rejected("v2-distill 18.3 < 24.0")


def test_a_score_at_the_threshold_passes() -> None:
    assert judge(ALL, answer(score=24.0)).outcome is Outcome.ACCEPTED


@pytest.mark.parametrize(
    ("score", "text"),
    [(23.96, "23.96 < 24.00"), (23.9999, "23.9999 < 24.0000"), (-math.inf, "-inf < 24.0"), (-2.0, "-2.0 < 24.0")],
)
def test_a_near_miss_does_not_read_like_a_hit(score: float, text: str) -> None:
    assert judge(ALL, answer(score=score)) == rejected(f"v2-distill {text}")


def test_a_score_that_is_no_number_does_not_pass() -> None:
    assert judge(ALL, answer(score=math.nan)) == rejected("v2-distill nan < 24.0")


def test_a_truncated_answer_is_told_with_its_length() -> None:
    assert judge(ALL, answer(reason=FinishReason.LENGTH, tokens=4096)) == rejected("truncated at 4096 tokens")
    assert judge(ALL, answer(reason=FinishReason.LENGTH, tokens=0)) == rejected("truncated")


def test_a_looping_answer_is_rejected() -> None:
    assert judge(ALL, answer(reason=FinishReason.REPETITION)) == rejected("looping")


def test_keep_lets_cut_and_looping_answers_through() -> None:
    lenient = (TruncatedGate(truncated="keep"), LoopingGate(looping="keep"))
    for reason in (FinishReason.LENGTH, FinishReason.REPETITION):
        assert judge(lenient, answer(reason=reason)).outcome is Outcome.ACCEPTED


def test_an_answer_that_an_endpoint_broke_off_is_told_so() -> None:
    assert judge(ALL, answer(reason=FinishReason.OTHER)) == rejected("ended by the endpoint")


def test_truncated_and_looping_gates_mind_their_own_reason() -> None:
    assert judge((CUT,), answer(reason=FinishReason.REPETITION)).outcome is Outcome.ACCEPTED
    assert judge((LOOPS,), answer(reason=FinishReason.LENGTH)).outcome is Outcome.ACCEPTED


def test_short_answers_are_told_in_characters_of_text() -> None:
    assert judge(ALL, answer(characters=143)) == rejected("143 of 200 characters")
    assert judge((LONG,), Answer(" " * 200 + "x\n", FinishReason.STOP)) == rejected("1 of 200 characters")
    assert judge((LONG,), Answer("é" * 200, FinishReason.STOP)).outcome is Outcome.ACCEPTED


def test_the_first_gate_that_fails_gives_the_reason() -> None:
    bad = answer(score=1.0, reason=FinishReason.LENGTH, characters=10)
    assert judge((SCORE, CUT, LONG), bad).reason == "v2-distill 1.0 < 24.0"
    assert judge((LONG, CUT, SCORE), bad).reason == "10 of 200 characters"


def test_a_missing_score_holds_the_sample() -> None:
    assert judge(ALL, answer(score=None)) == Verdict(Outcome.HELD, "no score by v2-distill")


def test_a_missing_score_does_not_save_what_another_gate_rejects() -> None:
    assert judge(ALL, answer(score=None, characters=1)) == rejected("1 of 200 characters")


def test_scorers_are_named_once_in_the_order_of_the_gates() -> None:
    other = ScoreGate(scorer="v2", at_least=1.0)
    assert required_scorers((CUT, other, SCORE, other)) == ("v2", "v2-distill")
    assert required_scorers((CUT, LONG)) == ()


def test_the_hash_follows_what_the_gates_say() -> None:
    same: tuple[Gate, ...] = (ScoreGate(scorer="v2-distill", at_least=24), CUT)
    assert gate_hash((SCORE, CUT)) == gate_hash(same)
    others: list[tuple[Gate, ...]] = [(), (SCORE,), (CUT,), (SCORE, CUT), (CUT, SCORE), ALL]
    assert len({gate_hash(gates) for gates in others}) == len(others)


def test_the_hash_is_a_contract() -> None:
    assert gate_hash(ALL) == "b2:7111c8c213aed4fa39eedcb21ca62229"
