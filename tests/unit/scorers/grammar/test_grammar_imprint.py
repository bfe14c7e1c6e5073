"""Imprints: what is counted, in which shares, and how alike two of them are."""

import pytest
from hypothesis import given

from lemfarm.scorers.grammar.ambiguity import resolve
from lemfarm.scorers.grammar.imprint import Imprint, similarity
from lemfarm.scorers.grammar.lookup import WARM
from lemfarm.scorers.grammar.tokens import tokenise
from tests.unit.scorers.grammar import reference
from tests.unit.scorers.grammar.texts import texts


def imprint(text: str) -> Imprint:
    return Imprint.of(resolve(tokenise(text, WARM)))


def test_an_imprint_holds_shares_by_base() -> None:
    found = imprint("We wrote, writing; the children went, a child goes! Why?")

    assert found.tokens == 15
    assert found.verbs == pytest.approx({"write": 2 / 3, "go": 1 / 3})
    assert found.tenses == pytest.approx({"past": 2 / 3, "gerund": 1 / 3})
    assert found.nouns == pytest.approx({"child": 2 / 3, "goe": 1 / 3})
    assert found.articles == {"definite": 0.5, "indefinite": 0.5}
    assert found.marks == {"comma": 0.4, "separator": 0.2, "exclamation": 0.2, "question": 0.2}


def test_a_doubtful_word_is_in_both_lists() -> None:
    found = imprint("maybe build")

    assert (found.verbs, found.nouns, found.tenses) == ({"build": 1.0}, {"build": 1.0}, {"base": 1.0})


def test_a_reading_that_counts_nothing_is_listed_all_the_same() -> None:
    found = imprint("Run")

    assert (found.verbs, found.nouns) == ({"run": 1.0}, {"run": 0.0})


def test_domain_words_are_counted_one_by_one() -> None:
    assert imprint("The API, an api: OK").domain_words == 3


@pytest.mark.parametrize(
    ("one", "other", "expected"),
    [
        ("", "", 1.0),
        ("table", "chair", 1.0),
        ("", "went", 0.0),
        ("went", "went", 1.0),
        ("went", "saw", 0.4),  # of verbs 0.30 and tenses 0.20, only the tense is the same
        ("went", "cats", 0.0),
        ("went, cats", "went, dogs", 0.6 / 0.85),
        ("the", "a", 0.0),
        ("the went", "went", 0.5 / 0.65),
        ("Run", "table", 0.0),
        ("Run", "run", 0.5 / 0.75),  # the nouns are in the weighing, with nothing in common
    ],
)
def test_parts_that_both_texts_lack_give_their_weight_to_the_others(one: str, other: str, expected: float) -> None:
    assert similarity(imprint(one), imprint(other)) == pytest.approx(expected)


@given(texts, texts)
def test_similarity_is_that_of_the_plain_reference(one: str, other: str) -> None:
    left, right = imprint(one), imprint(other)
    pairs = [
        (0.30, dict(left.verbs), dict(right.verbs)),
        (0.20, dict(left.tenses), dict(right.tenses)),
        (0.25, dict(left.nouns), dict(right.nouns)),
        (0.15, dict(left.articles), dict(right.articles)),
        (0.10, dict(left.marks), dict(right.marks)),
    ]

    assert similarity(left, right) == pytest.approx(reference.similarity(pairs))


@given(texts, texts)
def test_similarity_is_symmetric_and_between_nothing_and_all(one: str, other: str) -> None:
    left, right = imprint(one), imprint(other)

    assert similarity(left, right) == pytest.approx(similarity(right, left))
    assert -1e-9 <= similarity(left, right) <= 1 + 1e-9


@given(texts)
def test_shares_sum_to_one_where_there_are_any(text: str) -> None:
    found = imprint(text)

    for shares in (found.verbs, found.tenses, found.articles, found.marks):
        assert sum(shares.values()) == pytest.approx(float(bool(shares)))
