"""Cutting a text into tokens: blanks, marks, case, and where the tokens stand."""

import sys

import pytest
from hypothesis import given

from lemfarm.scorers.grammar.lookup import COLD, WARM, bytewise
from lemfarm.scorers.grammar.tokens import Kind, lower, places, tokenise
from tests.unit.scorers.grammar import reference
from tests.unit.scorers.grammar.texts import texts

EVERY_CHARACTER = "".join(map(chr, range(sys.maxunicode + 1)))


def tokens(text: str) -> list[str]:
    return [token.text for token in tokenise(text, WARM)]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", []),
        (" \n ", []),
        ("One, two; three: four! five?", ["one", ",", "two", ";", "three", ":", "four", "!", "five", "?"]),
        ("wait...", ["wait", "..."]),
        ("...", ["..."]),
        ("wait....", ["wait.", "..."]),
        ("what?!", ["what?", "!"]),
        ("end. (so) **bold**", ["end.", "(so)", "**bold**"]),
        ('why?" why?**', ['why?"', "why?**"]),
        ("? , !", ["?", ",", "!"]),
        ("??", ["?", "?"]),
        ("\u00e9?", ["\u00e9", "?"]),
        ("\uff1f done\u2026", ["\uff1f", "done\u2026"]),
    ],
)
def test_at_most_one_mark_is_cut_from_a_piece(text: str, expected: list[str]) -> None:
    assert tokens(text) == expected


def test_a_mark_by_itself_is_an_unknown_word() -> None:
    assert [token.kind for token in tokenise("? why?", WARM)] == [Kind.UNKNOWN, Kind.UNKNOWN, Kind.MARK]


def test_words_part_at_the_blanks_of_go_and_nowhere_else() -> None:
    words = [EVERY_CHARACTER[start:end] for start, end in places(EVERY_CHARACTER)]

    assert sorted(EVERY_CHARACTER) == sorted("".join(words) + reference.GO_BLANKS)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("\u0130STANBUL", "istanbul"),
        ("\u039f\u0394\u039f\u03a3", "\u03bf\u03b4\u03bf\u03c3"),
        ("\u212aelvin", "kelvin"),
        ("I\u0131", "i\u0131"),
    ],
)
def test_case_is_folded_letter_by_letter(text: str, expected: str) -> None:
    assert lower(text) == expected


def test_folding_keeps_the_length_of_every_character() -> None:
    assert all(len(lower(letter)) == 1 for letter in EVERY_CHARACTER)


@pytest.mark.parametrize(
    ("word", "kind"),
    [
        ("The", Kind.ARTICLE),
        ("an", Kind.ARTICLE),
        ("went", Kind.VERB),
        ("as", Kind.NOUN),
        ("API", Kind.DOMAIN),
        ("go.mod", Kind.DOMAIN),
        ("cpus", Kind.NOUN),
        ("package", Kind.NOUN),
        ("related_files", Kind.NOUN),
        ("build", Kind.AMBIGUOUS),
        ("builds", Kind.NOUN),
        ("committed", Kind.VERB),
        ("files.", Kind.UNKNOWN),
        ("table", Kind.UNKNOWN),
    ],
)
def test_a_word_is_classified_in_warm_mode(word: str, kind: Kind) -> None:
    (token,) = tokenise(word, WARM)

    assert token.kind is kind


def test_the_length_of_a_word_is_that_of_its_bytes() -> None:
    short, long = tokenise("zoopped \u044f\u044fopped", WARM)
    (doubled,) = tokenise("\u044fopped", WARM)

    assert short.verb == ("zoopp", "past")
    assert long.verb == (bytewise("\u044f\u044fopp"), "past")
    assert doubled.verb == (bytewise("\u044fop"), "past")


def test_cold_mode_has_no_ambiguous_and_no_domain_words() -> None:
    kinds = [token.kind for token in tokenise("build api file the", COLD)]

    assert kinds == [Kind.VERB, Kind.UNKNOWN, Kind.UNKNOWN, Kind.ARTICLE]


@given(texts)
def test_each_token_stands_where_it_was_found(text: str) -> None:
    found = [lower(text[start:end]) for start, end in places(text)]

    assert found == tokens(text)


@given(texts)
def test_texts_are_cut_as_by_the_plain_reference(text: str) -> None:
    pieces = [part for piece in reference.split(reference.lower(text)) for part in reference.cut(piece) if part]

    assert tokens(text) == pieces
