"""The figures of an evaluation, from scored answers."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lemfarm.evaluation.measurement import (
    EXTREMES,
    Split,
    details_of,
    in_split,
    is_degenerate,
    word_ratio,
)
from tests.answers import answer


def test_several_answers_of_a_probe_count_as_one() -> None:
    details = details_of([answer("A", 10.0), answer("A", 20.0), answer("B", 25.0)])
    assert details["by_probe"] == {"A": 15.0, "B": 25.0}
    assert (details["median"], details["samples"]) == (20.0, 3)
    assert details["sd"] == pytest.approx(50.0**0.5)


def test_a_domain_is_the_mean_of_its_probes() -> None:
    answers = [answer("A", 10.0, domain="x"), answer("A", 20.0, domain="x"), answer("B", 25.0, domain="x")]
    details = details_of([*answers, answer("C", 7.0, domain="y")])
    assert details["by_domain"] == {"x": {"probes": 2, "mean": 20.0}, "y": {"probes": 1, "mean": 7.0}}


def test_the_worst_are_named_from_below_and_the_best_from_above() -> None:
    details = details_of([answer(f"P{number}", float(number)) for number in range(8)])
    assert details["worst"] == [["P0", 0.0], ["P1", 1.0], ["P2", 2.0], ["P3", 3.0], ["P4", 4.0]]
    assert details["best"] == [["P7", 7.0], ["P6", 6.0], ["P5", 5.0], ["P4", 4.0], ["P3", 3.0]]


@given(st.lists(st.tuples(st.sampled_from("ABCDEFGHIJ"), st.floats(-50, 50)), min_size=1))
def test_worst_and_best_frame_all_probes(scores: list[tuple[str, float]]) -> None:
    details = details_of([answer(probe, value) for probe, value in scores])
    values = sorted(details["by_probe"].values())
    assert [value for _, value in details["worst"]] == values[:EXTREMES]
    assert [value for _, value in details["best"]] == values[::-1][:EXTREMES]
    assert values[0] - 1e-9 <= details["median"] <= values[-1] + 1e-9


def test_cut_and_circling_answers_are_counted_and_named() -> None:
    answers = [answer("A", 1.0, finish="length"), answer("B", 1.0, degenerate=True), answer("B", 2.0)]
    details = details_of(answers)
    assert (details["truncated"], details["degenerate"], details["degenerate_probes"]) == (1, 1, ["B"])


def test_an_answer_goes_in_circles_when_the_engine_said_so_or_its_words_are_few() -> None:
    assert is_degenerate("Fine words.", "repetition")
    assert is_degenerate("no " * 20, "stop")
    assert not is_degenerate("one two three four five six seven eight nine ten eleven twelve", "length")


def test_a_short_answer_is_too_short_to_tell() -> None:
    assert word_ratio("yes yes yes yes") == 1.0
    assert word_ratio("") == 1.0
    assert word_ratio("yes no " * 10) == 0.1


def test_splits_are_apart_and_all_is_both() -> None:
    answers = [answer("A", 1.0), answer("B", 2.0, trained=True)]
    assert [found.probe for found in in_split(answers, Split.HELD_OUT)] == ["A"]
    assert [found.probe for found in in_split(answers, Split.TRAINED)] == ["B"]
    assert in_split(answers, Split.ALL) == answers
