"""What is asked of every probe by itself."""

from typing import Any

import pytest

from lemfarm.dialogue import Message
from lemfarm.library import rules
from lemfarm.library.reading import Held
from lemfarm.probes import NO_DOMAIN, Probe, Variant
from tests.probe_library import held, prose

ORIGINAL = prose("original", 60)


@pytest.mark.parametrize("rule", [rules.lengths, rules.closeness, rules.frames, rules.leftovers, rules.domains])
def test_a_probe_with_three_wordings_of_its_own_passes(rule: Any) -> None:
    assert list(rule(held("P1"))) == []


def dialogue(*turns: tuple[str, str]) -> Held:
    """A probe of one scripted dialogue."""
    messages = tuple(Message(role, text) for role, text in turns)
    return Held(Probe("P1", "Water", (Variant(0, "original", messages),)), "probes.jsonl:1", "1")


@pytest.mark.parametrize(("count", "wrong"), [(24, True), (25, False), (160, False), (161, True)])
def test_a_wording_has_25_to_160_words(count: int, wrong: bool) -> None:
    assert bool(list(rules.lengths(held("P1", prose(1, count))))) == wrong


def test_every_wording_that_is_too_short_or_too_long_is_named() -> None:
    found = list(rules.lengths(held("P1", prose(1, 10), prose(2), prose(3, 200))))
    assert [problem.partition(",")[0] for problem in found] == [
        "the original has 10 words",
        "variant 2 (kind2) has 200 words",
    ]


def test_lengths_can_be_set() -> None:
    assert list(rules.lengths(held("P1", prose(1, 10)), fewest=5, most=10)) == []
    assert len(list(rules.lengths(held("P1", prose(1, 11)), fewest=5, most=10))) == 1


def test_chinese_is_measured_by_what_it_says_and_not_by_its_blanks() -> None:
    assert list(rules.lengths(held("P1", "河" * 100))) == []
    assert len(list(rules.lengths(held("P1", "河" * 30)))) == 1


def test_of_a_dialogue_the_users_turns_are_measured() -> None:
    asked = dialogue(
        ("system", prose(1, 200)), ("user", prose(2, 80)), ("assistant", prose(3, 200)), ("user", prose(4))
    )
    assert list(rules.lengths(asked)) == []
    assert len(list(rules.lengths(dialogue(("user", prose(2, 120)), ("assistant", "Yes."), ("user", prose(4)))))) == 1


def changed(text: str, count: int) -> str:
    """The same with its last words exchanged for others."""
    kept = text.rstrip("?").split()[: len(text.split()) - count]
    return " ".join([*kept, *(f"new{number}" for number in range(count))])


@pytest.mark.parametrize(("count", "wrong"), [(0, True), (20, True), (21, False), (60, False)])
def test_two_wordings_differ_by_more_than_a_third_of_their_words(count: int, wrong: bool) -> None:
    assert bool(list(rules.closeness(held("P1", ORIGINAL, changed(ORIGINAL, count))))) == wrong


def test_variants_are_compared_with_each_other_too() -> None:
    variant = prose("variant", 60)
    (problem,) = rules.closeness(held("P1", ORIGINAL, variant, changed(variant, 6)))
    assert problem.startswith("variant 1 (kind1) and variant 2 (kind2) differ by 10.0% of their words; more than 33.3%")


@pytest.mark.parametrize("framed", [f"{prose(1, 90)} {ORIGINAL}", f"{ORIGINAL} {prose(1, 90)}"])
def test_a_frame_around_the_original_is_no_rephrasing_however_long(framed: str) -> None:
    probe = held("P1", ORIGINAL, framed)
    assert list(rules.closeness(probe)) == []
    (problem,) = rules.frames(probe)
    assert problem.startswith("variant 1 (kind1) keeps 100% of the original word for word; less than 50%")


@pytest.mark.parametrize(("count", "wrong"), [(30, True), (31, False)])
def test_a_variant_keeps_less_than_half_of_the_original(count: int, wrong: bool) -> None:
    assert bool(list(rules.frames(held("P1", ORIGINAL, changed(ORIGINAL, count))))) == wrong


def test_a_probe_without_variants_has_nothing_to_compare() -> None:
    assert [*rules.frames(held("P1", ORIGINAL)), *rules.closeness(held("P1", ORIGINAL))] == []


def test_leftovers_are_looked_for_in_every_turn_of_every_wording() -> None:
    found = list(rules.leftovers(dialogue(("system", "TODO"), ("user", "Go to {town}."))))
    assert found == [
        "the original has a note to oneself (TODO): finish the text",
        "the original has an unfilled placeholder (Go to {town}.): fill it in",
    ]


def test_a_probe_without_a_domain_is_told() -> None:
    assert list(rules.domains(held("P1", domain=NO_DOMAIN))) != []


@pytest.mark.parametrize(
    ("value", "wrong"),
    [
        (["fisher", "miller", "child"], False),
        (["fisher", "miller", "child", "heron", "state"], False),
        ([{"name": "fisher"}, {"name": "miller"}, {"name": "child"}], False),
        (None, False),
        (["fisher", "miller"], True),
        (["fisher", "Fisher", "miller"], True),
        (["fisher", "miller", " "], True),
        (["a", "b", "c", "d", "e", "f"], True),
        ("fisher, miller, child", True),
        ([], True),
    ],
)
def test_stakeholders_are_three_to_five_different_ones(value: Any, wrong: bool) -> None:
    assert bool(list(rules.stakeholders(held("P1", stakeholders=value)))) == wrong


def test_stakeholders_need_not_be_named() -> None:
    assert list(rules.stakeholders(held("P1"))) == []
