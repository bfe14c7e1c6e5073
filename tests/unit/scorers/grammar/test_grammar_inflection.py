"""Forward forms: the lists, the rules, and where the rules are cruder than English."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lemfarm.scorers.grammar import english
from lemfarm.scorers.grammar.inflection import gerund, past, plural
from lemfarm.scorers.grammar.lookup import COLD, WARM, Vocabulary
from tests.unit.scorers.grammar import reference
from tests.unit.scorers.grammar.texts import made_up


@pytest.mark.parametrize(
    ("verb", "form"),
    [
        ("build", "built"),
        ("commit", "committed"),
        ("overwrite", "overwritten"),
        ("split", "split"),
        ("stop", "stopped"),
        ("walk", "walked"),
        ("use", "used"),
        ("copy", "copied"),
        ("play", "played"),
        ("y", "yed"),
        ("sled", "sled"),
        ("need", "needed"),
        ("ed", "eded"),
        ("edit", "edited"),
        ("open", "opened"),
        ("omit", "omitted"),
        ("shop", "shopped"),
        ("strip", "striped"),
        ("look", "looked"),
        ("fix", "fixed"),
        ("row", "rowed"),
    ],
)
def test_past_tense(verb: str, form: str) -> None:
    assert past(verb) == form


@pytest.mark.parametrize(
    ("verb", "form"),
    [
        ("be", "being"),
        ("begin", "beginning"),
        ("quit", "quitting"),
        ("unzip", "unzipping"),
        ("die", "dying"),
        ("ie", "ying"),
        ("make", "making"),
        ("see", "seeing"),
        ("dye", "dyeing"),
        ("shoe", "shoeing"),
        ("e", "eing"),
        ("run", "running"),
        ("edit", "editing"),
        ("strip", "striping"),
        ("walk", "walking"),
    ],
)
def test_gerund(verb: str, form: str) -> None:
    assert gerund(verb) == form


@pytest.mark.parametrize(
    ("noun", "form"),
    [
        ("child", "children"),
        ("sheep", "sheep"),
        ("bus", "buses"),
        ("brush", "brushes"),
        ("branch", "branches"),
        ("quiz", "quizes"),
        ("query", "queries"),
        ("day", "days"),
        ("y", "ys"),
        ("scarf", "scarves"),
        ("safe", "saves"),
        ("roof", "rooves"),
        ("potato", "potatoes"),
        ("photo", "photos"),
        ("volcano", "volcanos"),
    ],
)
def test_plural(noun: str, form: str) -> None:
    assert plural(noun) == form


@given(st.one_of(made_up, st.sampled_from(reference.NEVER_DOUBLED)).filter(str.isascii))
def test_the_rules_are_those_of_the_plain_reference(base: str) -> None:
    letters = base.encode()

    assert past(base).encode() == reference.past(letters)
    assert gerund(base).encode() == reference.gerund(letters)
    assert plural(base).encode() == reference.plural(letters)


@given(st.text(alphabet="aoybdtwx", min_size=1, max_size=6))
def test_the_last_letter_is_doubled_where_the_reference_doubles(verb: str) -> None:
    assert (past(verb) == verb + verb[-1] + "ed") == reference.doubles(verb.encode())


def test_the_lists_have_the_published_sizes() -> None:
    assert (len(english.BUILT_IN_VERBS), len(english.IRREGULAR_PLURAL)) == (168, 50)
    assert (len(english.LOCALE_VERBS), len(english.LOCALE_NOUNS), len(english.LOCALE_DOMAIN_WORDS)) == (8, 20, 25)
    assert (len(english.DETERMINERS), len(english.AUXILIARIES), len(english.CLAUSE_BREAKERS)) == (24, 35, 9)


@pytest.mark.parametrize("vocabulary", [WARM, COLD])
def test_no_form_leads_back_to_two_bases(vocabulary: Vocabulary) -> None:
    assert len(vocabulary.past_forms) == len(vocabulary.gerunds) == len(vocabulary.verbs)
    assert len(vocabulary.plurals) == len(vocabulary.nouns)


def test_what_the_locale_adds_is_regular_and_new() -> None:
    assert not english.LOCALE_VERBS & english.BUILT_IN_VERBS
    assert not english.LOCALE_NOUNS & english.IRREGULAR_PLURAL.keys()
