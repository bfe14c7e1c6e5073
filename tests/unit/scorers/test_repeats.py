"""The repetition test gives the boolean of the backtracking expression, for any text."""

import random
import re

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from lemfarm.scorers.repeats import COPIES, SHORTEST_UNIT, repeats_itself


def by_definition(text: str) -> bool:
    """Some period p >= 10 with text[i] == text[i + p] at 4p places in a row: every unit, every place, no cleverness."""
    for period in range(SHORTEST_UNIT, len(text) // COPIES + 1):
        equal = 0
        for index in range(len(text) - period):
            equal = equal + 1 if text[index] == text[index + period] else 0
            if equal >= (COPIES - 1) * period:
                return True
    return False


def by_backtracking(text: str) -> bool:
    return re.search(r"(.{10,})\1{4,}", text, re.DOTALL) is not None


def fibonacci_word(length: int) -> str:
    shorter, word = "a", "ab"
    while len(word) < length:
        shorter, word = word, word + shorter
    return word[:length]


def thue_morse_word(length: int) -> str:
    return "".join("ab"[index.bit_count() % 2] for index in range(length))


small_texts = st.text(alphabet="ab", max_size=160)
units = st.text(alphabet="abc\n", min_size=1, max_size=40)


@st.composite
def nearly_repeating(draw: st.DrawFn) -> str:
    """A unit about five times over, the last copy cut anywhere, amid other text, sometimes with one letter changed."""
    unit = draw(units)
    copies = draw(st.integers(3, 80 // len(unit) + 5))
    cut = draw(st.integers(0, len(unit)))
    text = draw(small_texts) + unit * copies + unit[:cut] + draw(small_texts)
    if draw(st.booleans()):
        place = draw(st.integers(0, len(text) - 1))
        text = text[:place] + draw(st.sampled_from("abcx")) + text[place + 1 :]
    return text


@given(small_texts)
@example("a" * 49)
@example("a" * 50)
@example("ha " * 20)
def test_small_alphabets_agree_with_the_definition(text: str) -> None:
    assert repeats_itself(text) == by_definition(text)


@settings(max_examples=300)
@given(nearly_repeating())
def test_texts_on_the_brink_agree_with_the_definition(text: str) -> None:
    assert repeats_itself(text) == by_definition(text)


@settings(max_examples=50)
@given(nearly_repeating())
def test_texts_on_the_brink_agree_with_the_backtracking_expression(text: str) -> None:
    assert repeats_itself(text) == by_backtracking(text)


@given(st.text(alphabet=st.characters(exclude_categories=()), min_size=10, max_size=30))
def test_any_characters_are_taken_lone_surrogates_too(unit: str) -> None:
    text = unit * COPIES + "\ud800"

    assert repeats_itself(text)
    assert repeats_itself(text[1:]) == by_definition(text[1:])


@pytest.mark.parametrize("period", [10, 11, 19, 97, 1000, 4096])
@pytest.mark.parametrize("offset", [0, 1, 7, 333])
def test_five_copies_count_and_one_character_less_does_not(period: int, offset: int) -> None:
    letters = random.Random(period)
    unit = "".join(letters.choices("abcdefgh", k=period - 1)) + "z"
    before = "".join(chr(0x4E00 + index) for index in range(offset))

    assert repeats_itself(before + unit * 5 + "!")
    assert not repeats_itself(before + (unit * 5)[:-1] + "!")


def test_no_period_is_left_out() -> None:
    filler = "".join(chr(0x4E00 + index) for index in range(6_000))

    for period in range(SHORTEST_UNIT, 600):
        unit = filler[3_000 : 3_000 + period]
        assert repeats_itself((filler[:777] + unit * COPIES + filler)[:6_000]), period


@pytest.mark.parametrize("unit", ["ab", "abc", "abcdefg", "abcdefghi"])
def test_units_under_ten_characters_are_found_through_their_multiples(unit: str) -> None:
    multiple = -(-SHORTEST_UNIT // len(unit)) * len(unit)
    copies = COPIES * multiple // len(unit)

    assert repeats_itself(unit * copies)
    assert not repeats_itself(unit * (copies - 1))


def test_a_rule_of_fifty_dashes_counts_and_one_of_49_does_not() -> None:
    assert repeats_itself("Above\n" + "-" * 50 + "\nbelow")
    assert not repeats_itself("Above\n" + "-" * 49 + "\nbelow")


def test_newlines_are_part_of_a_unit() -> None:
    assert repeats_itself("line one\nline two\n" * 5)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a" * 1_000_000, True),
        (fibonacci_word(200_000), False),
        (thue_morse_word(200_000), False),
        ((fibonacci_word(9_999) + "c") * 4 + fibonacci_word(9_999), False),
        ((fibonacci_word(9_999) + "c") * 5, True),
        ("".join("a" * 49 + chr(0x4E00 + index % 20_000) for index in range(4_000)), False),
    ],
    ids=["equal characters", "Fibonacci", "Thue-Morse", "nearly five", "five", "rows of 49"],
)
def test_hostile_texts_are_answered(text: str, expected: bool) -> None:
    assert repeats_itself(text) is expected
