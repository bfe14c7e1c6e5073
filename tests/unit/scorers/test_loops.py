"""A loop is found in whatever text it stands, and length, refrains and tables are none."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lemfarm.scorers.loops import LOOPING, NEARLY_LOOPING, WINDOW, Looping, least_variety
from lemfarm.scorers.weighted import Text


def level(answer: str) -> float:
    return Looping()(Text.of(answer))


def places(answer: str) -> list[tuple[int, int]]:
    return list(Looping().places(Text.of(answer)))


def prose(words: int, seed: int = 1) -> list[str]:
    """Words as uneven as in prose: variety above 0.5 in every window."""
    dice = random.Random(seed)
    return [f"word{int(dice.paretovariate(0.25)) % 5_000}" for _ in range(words)]


def drifting(unit: int, words: int) -> list[str]:
    """A passage that repeats but for one counted word."""
    names = [letter * 3 for letter in "abcdefghijklmnopqrstuvwxyz"] + [letter * 4 for letter in "abcdefghijklmn"]
    return [f"new{index // unit}x" if index % unit == 0 else names[index % unit] for index in range(words)]


@pytest.mark.parametrize("words", [100, 1_000, 8_000, 30_000])
def test_length_alone_costs_nothing(words: int) -> None:
    assert level(" ".join(prose(words))) == 0


@pytest.mark.parametrize("unit", [5, 12, 25, 40])
def test_a_drifting_loop_is_found_wherever_it_stands(unit: int) -> None:
    loop = drifting(unit, 300)

    for text in (loop, prose(3_000) + loop, loop + prose(3_000), prose(1_500) + loop + prose(1_500, seed=2)):
        assert level(" ".join(text)) == 1


def test_an_exact_loop_is_found_whatever_its_length_and_letter_case() -> None:
    passage = " ".join(prose(150, seed=3))

    assert level(" ".join(prose(600)) + "\n" + f"{passage}. " * 5) == 1
    assert level("So It Goes on, so it goes On! " * 30) == 1


@pytest.mark.parametrize(
    "answer",
    [
        "A short refrain comes back:\n\n" + "Row, row, row your boat,\ngently down the stream.\n" * 3,
        "Above the rule stands one thing.\n\n" + "-" * 80 + "\n\nBelow it stands another.",
        "| place | may | june |\n" + "|------------" * 6 + "|\n| Lagos | 1 | 2 |\n| Lima |" + " " * 60 + "| 3 |",
        "Name: " + "_" * 60 + " and date: " + "_" * 60,
        "\n".join(f"{n} x {n + 1} = {n * (n + 1)}, and 0 0 0 remains" for n in range(3)),
        "x" + "\n" * 100 + "y",
    ],
    ids=["refrain", "rule", "table", "blanks to fill", "sums", "newlines"],
)
def test_refrains_rules_tables_and_sums_are_no_loops(answer: str) -> None:
    assert level(answer) == 0


@pytest.mark.parametrize(
    "answer", ["ha " * 40, "! " * 600, "\U0001f600" * 1_100, "1 0 " * 100, "\u8bdd\u8bed\u3002" * 100]
)
def test_marks_and_figures_without_end_are_loops(answer: str) -> None:
    assert level(answer) == 1


@pytest.mark.parametrize(("distinct", "expected"), [(49, 1), (50, 0.5), (59, 0.5), (60, 0)])
def test_the_two_limits_are_exact(distinct: int, expected: float) -> None:
    dice = random.Random(distinct)
    names = [f"w{index}" for index in range(distinct)]
    words = names + dice.choices(names, k=WINDOW - distinct)
    dice.shuffle(words)

    assert (LOOPING * WINDOW, NEARLY_LOOPING * WINDOW) == (50, 60)
    assert level(" ".join(words)) == expected


@given(st.lists(st.sampled_from("abcdef"), max_size=60), st.integers(1, 20))
def test_the_moving_window_agrees_with_counting_every_window(words: list[str], window: int) -> None:
    windows = [words[start : start + window] for start in range(max(1, len(words) - window + 1))]
    expected = min((len(set(part)) / len(part) for part in windows if part), default=1.0)

    assert least_variety(words, window) == expected


@given(st.lists(st.sampled_from("abcdefgh"), min_size=9), st.lists(st.sampled_from("abcdefgh"), min_size=9))
def test_no_text_around_a_passage_hides_it(passage: list[str], around: list[str]) -> None:
    assert least_variety(around + passage + around, 9) <= least_variety(passage, 9)


def test_the_places_are_the_looping_passage_and_little_around_it() -> None:
    before, loop, after = (" ".join(words) for words in (prose(900), drifting(12, 600), prose(900, seed=2)))

    [(start, end)] = places(f"{before} {loop} {after}")

    middle = len(before) + 1
    assert abs(start - middle) < 600
    assert abs(end - middle - len(loop)) < 600


def test_two_loops_have_two_places() -> None:
    text = " ".join([*drifting(10, 400), *prose(900), *drifting(15, 400)])

    assert len(places(text)) == 2


def test_a_repetition_too_long_for_the_window_is_shown_from_its_first_copy() -> None:
    before, passage = " ".join(prose(400)) + "\n", " ".join(prose(180, seed=3)) + ".\n"

    [(start, end)] = places(before + passage * 5 + "The end.")

    assert abs(start - len(before)) <= 2
    assert abs(end - start - 5 * len(passage)) <= 2


@given(st.lists(st.sampled_from(["one ", "two ", "- ", "| ", "3 ", "\n"]), max_size=90).map("".join))
def test_a_level_has_a_place_and_no_level_has_none(answer: str) -> None:
    assert bool(places(answer)) == (level(answer) > 0)
