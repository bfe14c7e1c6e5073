"""Models and conditions beside each other, probe by probe."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lemfarm.evaluation.comparison import Kind, Model, changes, kernel_effects
from lemfarm.evaluation.measurement import ScoredAnswer, Split
from tests.answers import answer


def model(label: str, **scores: dict[str, float]) -> Model:
    """Condition -> probe -> score."""
    return Model(label, tuple(answer(p, v, name) for name, found in scores.items() for p, v in found.items()))


BASE = model("base", baseline={"A": 10.0, "B": 20.0}, json={"A": 16.0, "B": 22.0})
TUNED = model("tuned", baseline={"A": 15.0, "B": 23.0}, json={"A": 14.0, "B": 22.0})


def test_a_kernel_effect_is_a_condition_minus_the_own_baseline() -> None:
    (found,) = kernel_effects(BASE)
    assert (found.kind, found.model, found.against, found.condition) == (Kind.KERNEL, "base", "base", "json")
    assert found.by_probe == {"A": 6.0, "B": 2.0}
    assert (found.interval.mean, found.better, found.worse, found.sign.up) == (4.0, 2, 0, 2)


def test_a_tuned_model_that_does_worse_with_the_kernel_has_a_negative_effect() -> None:
    (found,) = kernel_effects(TUNED)
    assert (found.interval.mean, found.worse) == (-1.0, 2)


def test_changes_are_between_equal_conditions_and_then_between_kernel_effects() -> None:
    found = changes(BASE, TUNED)
    assert [(one.kind, one.condition) for one in found] == [
        (Kind.CHANGE, "baseline"),
        (Kind.CHANGE, "json"),
        (Kind.EFFECT, "json"),
    ]
    assert [one.interval.mean for one in found] == [4.0, -1.0, -5.0]
    assert {(one.model, one.against) for one in found} == {("tuned", "base")}


def test_a_condition_that_only_one_model_has_is_not_compared() -> None:
    other = model("other", baseline={"A": 1.0}, txt={"A": 2.0})
    assert [one.condition for one in changes(BASE, other)] == ["baseline"]


def test_a_model_without_a_baseline_has_no_kernel_effect() -> None:
    assert kernel_effects(model("m", json={"A": 1.0})) == []


def test_probes_of_one_side_are_counted_and_left_out() -> None:
    (found, *_) = changes(BASE, model("m", baseline={"A": 11.0, "C": 50.0}))
    assert (found.by_probe, found.unpaired) == ({"A": 1.0}, 2)
    assert changes(BASE, model("m", baseline={"C": 1.0})) == []


def test_a_probe_in_other_words_is_another_question() -> None:
    after = Model("m", (answer("A", 12.0, prompt="Who is it?"), answer("B", 21.0)))
    (found,) = [one for one in changes(BASE, after) if one.kind == Kind.CHANGE]
    assert (found.by_probe, found.reworded) == ({"B": 1.0}, 1)


def test_a_split_compares_its_own_probes() -> None:
    def both(label: str, held_out: float, trained: float) -> Model:
        return Model(label, (answer("A", held_out), answer("B", trained, trained=True)))

    before, after = both("base", 10.0, 10.0), both("tuned", 11.0, 19.0)
    assert [changes(before, after, split)[0].interval.mean for split in Split] == [1.0, 9.0, 5.0]


def test_small_moves_are_neither_better_nor_worse() -> None:
    (found,) = changes(model("a", baseline={"A": 1.0, "B": 1.0}), model("b", baseline={"A": 1.5, "B": 0.4}))
    assert (found.better, found.worse) == (0, 1)


def test_domains_are_compared_apart() -> None:
    before = Model("a", (answer("A", 1.0, domain="x"), answer("B", 1.0, domain="x"), answer("C", 1.0, domain="y")))
    after = Model("b", (answer("A", 2.0, domain="x"), answer("B", 4.0, domain="x"), answer("C", 0.0, domain="y")))
    (found,) = changes(before, after)
    assert found.by_domain == {"x": 2.0, "y": -1.0}


_ANSWERS = st.lists(
    st.builds(answer, st.sampled_from("ABCD"), st.floats(0, 30), st.sampled_from(["baseline", "json"])), min_size=1
)


@given(_ANSWERS, _ANSWERS)
def test_turning_the_comparison_round_turns_every_difference_round(
    first: list[ScoredAnswer], second: list[ScoredAnswer]
) -> None:
    one, other = Model("one", tuple(first)), Model("other", tuple(second))
    there = {(found.kind, found.condition): found.interval.mean for found in changes(one, other)}
    back = {(found.kind, found.condition): found.interval.mean for found in changes(other, one)}
    assert there.keys() == back.keys()
    assert all(there[key] == pytest.approx(-back[key], abs=1e-9) for key in there)
