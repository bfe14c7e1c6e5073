"""Verb or noun: each sign by itself, together, and against a reference that looks through the whole text each time."""

import pytest
from hypothesis import given

from lemfarm.scorers.grammar import english
from lemfarm.scorers.grammar.ambiguity import resolve
from lemfarm.scorers.grammar.lookup import COLD, WARM, Vocabulary
from lemfarm.scorers.grammar.tokens import Kind, Token, tokenise
from tests.unit.scorers.grammar import reference
from tests.unit.scorers.grammar.texts import doubtful_texts, texts


def read(text: str, vocabulary: Vocabulary = WARM) -> list[Token]:
    return resolve(tokenise(text, vocabulary))


def reading_of(word: str, text: str) -> Token:
    """The last token of that text."""
    return [token for token in read(text) if token.text == word][-1]


@pytest.mark.parametrize(
    ("text", "verb", "noun"),
    [
        # nothing but the default
        ("maybe build", 0.55, 0.45),
        # one sign each, and the default of 0.02 for the verb
        ("maybe the build", 0.02, 0.35),
        ("maybe don't build", 0.27, 0.0),
        ("maybe to build", 0.27, 0.0),
        ("maybe build the", 0.17, 0.0),
        ("maybe build that", 0.17, 0.0),
        ("maybe build houses", 0.17, 0.0),
        ("build", 0.12, 0.0),
        ("went maybe build", 0.02, 0.10),
        ("maybe build went", 0.02, 0.25),
        # the inflected forms alone are below the least evidence
        ("builds, maybe build", 0.55, 0.45),
        ("maybe build, building", 0.45, 0.55),
        ("the build, builds", 0.05, 0.35),
        ("the build, builds, built", 0.05, 0.38),
        # a clause ends at marks and at breakers, on both sides
        ("went, maybe build", 0.55, 0.45),
        ("went and build", 0.55, 0.45),
        ("maybe build now so went", 0.55, 0.45),
        ("maybe build now, went", 0.55, 0.45),
        ("maybe build now went", 0.02, 0.10),
        # a word that is ambiguous still says nothing to the one before it; as a certain verb it does to the one behind
        ("maybe build test", 0.55, 0.45),
        ("test build", 0.02, 0.10),
        ("maybe test build", 0.55, 0.45),
        # the mark stands between
        ("maybe the, build", 0.55, 0.45),
        ("maybe build, the", 0.55, 0.45),
    ],
)
def test_signs_are_weighed(text: str, verb: float, noun: float) -> None:
    token = reading_of("build", text)

    assert token.verb_share == pytest.approx(verb / (verb + noun))
    assert token.noun_share == pytest.approx(noun / (verb + noun))
    assert token.kind is (Kind.VERB if verb > noun else Kind.NOUN)


def test_a_word_keeps_both_readings_even_one_that_counts_nothing() -> None:
    token = reading_of("run", "run")

    assert token.verb and token.noun
    assert (token.verb_share, token.noun_share) == (1.0, 0.0)


def test_a_determiner_is_never_read_as_a_verb() -> None:
    kinds = {token.kind for token in read(" ".join(english.DETERMINERS))}

    assert Kind.VERB not in kinds


def test_a_text_without_ambiguous_words_is_left_as_it_is() -> None:
    tokens = tokenise("we went home", WARM)

    assert resolve(tokens) is tokens


@given(doubtful_texts | texts)
@pytest.mark.parametrize("vocabulary", [WARM, COLD])
def test_every_token_is_read_as_by_the_plain_reference(vocabulary: Vocabulary, text: str) -> None:
    expected = [(word.text, word.kind, word.verb_share, word.noun_share) for word in reference.read(text, vocabulary)]

    tokens = read(text, vocabulary)

    assert [(token.text, token.kind.value, token.verb_share, token.noun_share) for token in tokens] == expected


@given(doubtful_texts)
def test_the_shares_of_a_verb_or_noun_sum_to_one(text: str) -> None:
    for token in read(text):
        assert token.verb_share + token.noun_share == pytest.approx(float(token.kind in (Kind.VERB, Kind.NOUN)))
