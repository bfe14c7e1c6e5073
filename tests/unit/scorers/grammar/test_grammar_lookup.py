"""From forms back to bases: what a word is taken for, and which base wins."""

import pytest
from hypothesis import given

from lemfarm.scorers.grammar.lookup import COLD, WARM, Noun, Verb, Vocabulary, bytewise
from tests.unit.scorers.grammar import reference
from tests.unit.scorers.grammar.texts import known, made_up

VERBS = [
    # by the lists
    ("write", "write", "base"),
    ("wrote", "write", "past"),
    ("writing", "write", "gerund"),
    ("read", "read", "base"),
    ("was", "be", "past"),
    ("overwritten", "overwrite", "past"),
    # by the rules, each way round
    ("copied", "copy", "past"),
    ("planned", "plan", "past"),
    ("created", "create", "past"),
    ("walked", "walk", "past"),
    ("processed", "process", "past"),
    ("dying", "dy", "gerund"),
    ("planning", "plan", "gerund"),
    ("creating", "create", "gerund"),
    ("walking", "walk", "gerund"),
    ("agreeing", "agree", "gerund"),
    # whatever a rule leads to, word or not
    ("need", "nee", "past"),
    ("red", "r", "past"),
    ("indeed", "indee", "past"),
    ("thing", "th", "gerund"),
    ("during", "dure", "gerund"),
    ("yied", "yy", "past"),
    ("ying", "y", "gerund"),
    ("eing", "e", "gerund"),
]
NO_VERBS = ["walk", "been", "seen", "were", "has", "ed", "ing", "", "s", "files"]


@pytest.mark.parametrize(("word", "base", "tense"), VERBS)
def test_a_verb_is_found_by_its_form(word: str, base: str, tense: str) -> None:
    assert WARM.verb(word) == (base, tense)


@pytest.mark.parametrize("word", NO_VERBS)
def test_regular_bases_and_unlisted_forms_are_no_verbs(word: str) -> None:
    assert WARM.verb(word) is None


@pytest.mark.parametrize(
    ("word", "noun"),
    [
        ("child", Noun("child", plural=False)),
        ("children", Noun("child", plural=True)),
        ("fish", Noun("fish", plural=False)),
        ("queries", Noun("query", plural=True)),
        ("wolves", Noun("wolf", plural=True)),
        ("scarves", Noun("scarf", plural=True)),
        ("gloves", Noun("glof", plural=True)),
        ("boxes", Noun("box", plural=True)),
        ("quizzes", Noun("quizz", plural=True)),
        ("wishes", Noun("wish", plural=True)),
        ("benches", Noun("bench", plural=True)),
        ("houses", Noun("hous", plural=True)),
        ("walks", Noun("walk", plural=True)),
        ("is", Noun("i", plural=True)),
        ("this", Noun("thi", plural=True)),
        ("it's", Noun("it'", plural=True)),
        ("ves", Noun("ve", plural=True)),
        ("s", None),
        ("glass", None),
        ("table", None),
        ("", None),
    ],
)
def test_a_noun_is_found_by_its_form(word: str, noun: Noun | None) -> None:
    assert WARM.noun(word) == noun


@pytest.mark.parametrize("word", ["stop", "scan", "push", "delete", "file", "commits"])
def test_the_locale_makes_the_difference_between_the_modes(word: str) -> None:
    assert (WARM.verb(word), WARM.noun(word)) != (COLD.verb(word), None)


def test_six_words_are_both_in_warm_mode_and_none_in_cold() -> None:
    assert WARM.verbs & WARM.nouns == {"build", "check", "commit", "file", "run", "test"}
    assert not COLD.verbs & COLD.nouns


def test_a_known_base_wins_over_a_likelier_looking_one() -> None:
    vocabulary = Vocabulary.of(verbs=["hopp"], nouns=[])

    assert COLD.verb("hopped") == Verb("hop", "past")
    assert vocabulary.verb("hopped") == Verb("hopp", "past")


@pytest.mark.parametrize(
    ("word", "letters"),
    [("caf\u00e9", 5), ("\u03c9\u03c9", 4), ("\u3041", 3), ("\ud800", 3), ("\U0001f600", 4), ("plain", 5)],
)
def test_letters_are_bytes(word: str, letters: int) -> None:
    assert len(bytewise(word)) == letters


@given(known | made_up)
@pytest.mark.parametrize("vocabulary", [WARM, COLD])
def test_look_ups_are_those_of_the_plain_reference(vocabulary: Vocabulary, word: str) -> None:
    word = word.lower()
    letters = word.encode("utf-8", "surrogatepass")

    assert as_bytes(vocabulary.verb(bytewise(word))) == reference.find_verb(letters, vocabulary.verbs)
    assert as_bytes(vocabulary.noun(bytewise(word))) == reference.find_noun(letters, vocabulary.nouns)


def as_bytes(reading: Verb | Noun | None) -> tuple[bytes, str | bool] | None:
    return reading and (reading[0].encode("latin-1"), reading[1])
