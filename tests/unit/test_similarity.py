"""Texts that are nearly the same are found, others are not."""

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lemfarm.similarity import SimilarTexts
from lemfarm.wording import runs

WORDS = [f"w{number}" for number in range(2_000)]


def text(dice: random.Random, length: int = 70) -> str:
    return " ".join(dice.choices(WORDS, k=length))


def changed(dice: random.Random, source: str, words: int) -> str:
    """The text with so many words replaced, far from each other."""
    found = source.split()
    for position in dice.sample(range(0, len(found), 5), words):
        found[position] = f"new{dice.randrange(10**6)}"
    return " ".join(found)


def jaccard(first: str, second: str) -> float:
    ours, theirs = set(runs(first, 3)), set(runs(second, 3))
    return len(ours & theirs) / len(ours | theirs)


def test_a_similar_text_is_found_with_its_similarity() -> None:
    dice = random.Random(1)
    texts = [text(dice) for _ in range(50)]
    index = SimilarTexts()
    assert [index.add(number, runs(one, 3)) for number, one in enumerate(texts)] == [None] * 50
    near = changed(dice, texts[31], 1)
    assert index.add(50, runs(near, 3)) == (31, pytest.approx(jaccard(texts[31], near)))


def test_the_most_similar_one_is_named() -> None:
    dice = random.Random(2)
    source = text(dice)
    index = SimilarTexts(0.5)
    index.add(0, runs(changed(dice, source, 5), 3))
    index.add(1, runs(changed(dice, source, 6), 3))
    found = index.add(2, runs(source, 3))
    assert found is not None and found[0] == 0


def test_a_text_that_resembles_another_is_not_noted_itself() -> None:
    """So that groups do not drift: each member is like the first, not like the one before."""
    dice = random.Random(3)
    source = text(dice)
    index = SimilarTexts()
    index.add(0, runs(source, 3))
    assert index.add(1, runs(changed(dice, source, 1), 3)) is not None
    assert index.add(2, runs(source, 3)) == (0, 1.0)


def test_texts_of_one_owner_are_not_compared() -> None:
    index = SimilarTexts()
    assert index.add(0, ["a b c"], owner="P1") is None
    assert index.add(1, ["a b c"], owner="P1") is None
    assert index.add(2, ["a b c"], owner="P2") == (0, 1.0)


def test_a_text_without_runs_resembles_none() -> None:
    index = SimilarTexts()
    assert index.add(0, []) is None
    assert index.add(1, []) is None


@pytest.mark.parametrize("threshold", [0.5, 0.6, 0.8, 0.9])
def test_hardly_a_pair_above_the_threshold_is_missed(threshold: float) -> None:
    dice = random.Random(4)
    pairs = []
    while len(pairs) < 300:
        source = text(dice)
        other = changed(dice, source, dice.randrange(1, 8))
        if jaccard(source, other) >= threshold:
            pairs.append((source, other))
    index = SimilarTexts(threshold)
    for number, (source, _) in enumerate(pairs):
        index.add(number, runs(source, 3))
    found = [index.add(300 + number, runs(other, 3)) for number, (_, other) in enumerate(pairs)]
    assert sum(one is not None and one[0] == number for number, one in enumerate(found)) >= 297


def test_a_template_in_every_text_neither_hides_twins_nor_makes_any() -> None:
    """Texts that all begin alike share bands; the comparison is exact, so only true twins are named."""
    dice = random.Random(5)
    frame = text(dice, 40)
    texts = [f"{frame} {text(dice, 40)}" for _ in range(400)]
    index = SimilarTexts()
    assert [index.add(number, runs(one, 3)) for number, one in enumerate(texts)] == [None] * 400
    assert index.add(400, runs(texts[17], 3)) == (17, 1.0)


@pytest.mark.parametrize("threshold", [0.0, -1.0, 1.01, float("nan")])
def test_a_threshold_is_a_share(threshold: float) -> None:
    with pytest.raises(ValueError, match="above 0"):
        SimilarTexts(threshold)


@settings(deadline=None)
@given(texts=st.lists(st.lists(st.sampled_from("abcdef"), max_size=6), max_size=12), threshold=st.floats(0.05, 1.0))
def test_what_is_called_similar_is_so(texts: list[list[str]], threshold: float) -> None:
    index = SimilarTexts(threshold)
    for position, runs_of_it in enumerate(texts):
        if found := index.add(position, runs_of_it):
            ours, theirs = set(runs_of_it), set(texts[found[0]])
            assert found[0] < position
            assert found[1] == len(ours & theirs) / len(ours | theirs) >= threshold


@given(texts=st.lists(st.lists(st.text(max_size=3), min_size=1, max_size=6), min_size=1, max_size=12))
def test_an_equal_set_is_always_found(texts: list[list[str]]) -> None:
    index = SimilarTexts()
    for position, runs_of_it in enumerate(texts):
        index.add(position, runs_of_it)
    found = index.add(len(texts), [*reversed(texts[0]), texts[0][0]])
    assert found == (0, 1.0)
