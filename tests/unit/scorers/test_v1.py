"""`v1` and `v1-go`: the published numbers, the rules by example, and every count against a plain reading."""

import sys

import pytest
from hypothesis import example, given, settings

from lemfarm.scorers import get_scorer, go_text
from tests.unit.scorers.plain_v1 import GO, PYTHON, Reading, counts_of
from tests.unit.scorers.texts import texts
from tests.unit.scorers.vectors import TEXTS, V1, V1_GO, V1_SIGNALS, Vector

BOTH = ("v1", "v1-go")
CASES = [("v1", vector) for vector in V1] + [("v1-go", vector) for vector in V1_GO]


def count(scorer: str, signal: str, answer: str) -> float:
    return get_scorer(scorer).score("", answer).signals[signal]


@pytest.mark.parametrize(("scorer", "vector"), CASES, ids=[f"{name}-{vector.text}" for name, vector in CASES])
def test_counts_and_score_are_the_published_ones(scorer: str, vector: Vector) -> None:
    score = get_scorer(scorer).score("a prompt", TEXTS[vector.text])

    assert dict(score.signals) == dict(zip(V1_SIGNALS, vector.counts, strict=True))
    assert score.value == vector.score


@pytest.mark.parametrize("scorer", BOTH)
def test_signals_are_stored_in_their_published_order(scorer: str) -> None:
    assert tuple(get_scorer(scorer).score("", "Any text.").signals) == V1_SIGNALS


VERSE = "one\ntwo\nthree\nfour\nfive\nsix\nseven"

SHARED = [
    ("compliance_markers", "As an AI language model, I don't have feelings", 3),
    ("compliance_markers", "It is important to note: please note", 2),
    ("compliance_markers", "as an aid, I cannotx, irresponsibly", 0),
    ("formulaic_preamble", "  \nOkay,  here's how", 1),
    ("formulaic_preamble", "Okay this island", 1),
    ("formulaic_preamble", "Alright, this is it", 0),
    ("formulaic_preamble", "Sure, heres one", 1),
    ("formulaic_preamble", "Sure! Here's one", 0),
    ("formulaic_preamble", "Okay , lets go", 0),
    ("formulaic_preamble", "Great\n questions", 1),
    ("formulaic_preamble", "Great, question", 0),
    ("formulaic_preamble", "Well. Great question", 0),
    ("first_person", "I go. It is what I know. So do I. And I  feel it", 3),
    ("first_person", "I know and I think and I want.", 1),
    ("first_person", "I'm here. I. AI will. I knows", 1),  # "AI will": no boundary; "I knows": it opens the sentence
    ("creative_form", VERSE, 2),
    ("creative_form", VERSE.removesuffix("\nseven"), 0),
    ("creative_form", "\n".join(["x" * 59] * 7), 2),
    ("creative_form", "\n".join(["x" * 60] * 7), 0),
    ("creative_form", "\n".join(["short", "x" * 60] * 4), 0),  # half is not more than half
    ("creative_form", "like a lamp, as if lit, akin to breath and shadow", 3),
    ("creative_form", "lights whispered unlike a", 0),
    ("creative_form", "  Once more", 1),
    ("creative_form", "The ", 0),
    ("engagement_depth", "## Plan", 1),
    ("engagement_depth", "dignity, **dignity** and consent", 3),
    ("engagement_depth", "a wallet, a node, a mesh, a key", 3),
    ("engagement_depth", "ERROR: **dignity**", 0),
    ("engagement_depth", " ERROR: **dignity**", 3),
    ("engagement_depth", "word " * 200, 0),
    ("engagement_depth", "word " * 201, 1),
    ("engagement_depth", "word " * 401, 2),
    ("degeneration", "One", 0),
    ("degeneration", "One. one. ONE", 0),
    ("degeneration", "Same. " * 2 + "Else. More.", 1),
    ("degeneration", "a. b. c. d. e. f. g. a. a. a.", 3),  # 1 - 7/10 is a little more than 0.3 in binary
    ("degeneration", ". ".join("abcdefghijklmnopqaaa"), 1),  # and 1 - 17/20 a little more than 0.15
    ("degeneration", "a. b. a. b.", 3),
    ("degeneration", "a. b. a. b. a.", 5),
    ("emotional_register", "Deep love; a gentle ACHE", 4),
    ("emotional_register", "feels loved hopeful beloved", 0),
    ("emotional_register", "hope " * 12, 10),
    ("empty_broken", "ten chars!", 0),
    ("empty_broken", "ERROR: there was no answer", 1),
    ("empty_broken", "an answer that ends in <pad><pad>", 1),
    ("empty_broken", "an answer that ends in <unused42>", 1),
]


@pytest.mark.parametrize("scorer", BOTH)
@pytest.mark.parametrize(("signal", "answer", "expected"), SHARED)
def test_both_variants_count(scorer: str, signal: str, answer: str, expected: float) -> None:
    assert count(scorer, signal, answer) == expected


DIFFERENT = [
    # signal, answer, v1, v1-go
    ("compliance_markers", "I cannot\u00e9", 0, 1),
    ("compliance_markers", "I'm just a clerk, I am just a tool", 0, 2),
    ("compliance_markers", "I\u2019m just a clerk", 0, 0),
    ("first_person", "i am here. i go. So i felt. I AM", 1, 3),
    ("first_person", "\x1cI go", 1, 0),
    ("first_person", "I\vgo", 1, 0),
    ("creative_form", "it was late", 0, 1),
    ("creative_form", "\x1cOnce more", 1, 0),
    ("creative_form", "\n\n\n\n" + "long " * 13 + "\n" + "long " * 13 + "\nshort", 0, 2),  # blank lines are lines
    ("creative_form", "\n".join(["\u00e9" * 31] * 7), 2, 0),  # 31 characters are 62 bytes
    ("creative_form", "\n".join([" " * 60 + "short"] * 7), 2, 0),
    ("engagement_depth", "indignity", 2, 0),
    ("engagement_depth", "encryption in history", 2, 0),
    ("engagement_depth", "encryptor", 1, 0),  # "tor" would overlap
    ("degeneration", "...", 0, 10),
    ("degeneration", " \n ", 0, 10),
    ("degeneration", "", 10, 10),
    ("empty_broken", "          ", 1, 0),
    ("empty_broken", "\u00e9\u00e9\u00e9\u00e9\u00e9", 1, 0),
    ("emotional_register", "\u00e9love", 0, 1),  # only ASCII makes words in Go
    ("formulaic_preamble", "great\vquestion", 1, 0),
    ("formulaic_preamble", "great\u00a0question", 1, 0),
    ("formulaic_preamble", "\x1cgreat question", 1, 0),
    ("engagement_depth", "w\x1f" * 201, 1, 0),
    ("engagement_depth", "an ax\u0130om", 0, 2),
]


@pytest.mark.parametrize(("signal", "answer", "in_v1", "in_v1_go"), DIFFERENT)
def test_the_variants_differ(signal: str, answer: str, in_v1: float, in_v1_go: float) -> None:
    assert (count("v1", signal, answer), count("v1-go", signal, answer)) == (in_v1, in_v1_go)


def test_refusals_have_no_floor() -> None:
    assert get_scorer("v1").score("", "So I, no, I can't. " * 100).value == -5 * 100 - 4 * 5 + 2 * 2


def test_sentences_about_itself_have_no_ceiling() -> None:
    answer = "".join(f"I walk {number} miles. " for number in range(101))

    assert get_scorer("v1").score("", answer).value == 1.5 * 101 + 2 * 2  # the rest for over 400 words


WEIGHTS = dict(zip(V1_SIGNALS, (-5, -3, 1.5, 3, 2, -4, 2, -20), strict=True))


def test_go_has_the_blanks_of_python_but_for_four() -> None:
    every_character = [chr(code) for code in range(sys.maxunicode + 1)]

    blanks = {character for character in every_character if go_text.trim(character) == ""}

    assert blanks == {character for character in every_character if character.isspace()} - set("\x1c\x1d\x1e\x1f")
    assert {character for character in every_character if go_text.fields(character) == []} == blanks


def test_lower_case_of_go_keeps_places() -> None:
    assert go_text.lower("\u0130I\u212a\u017f") == "iik\u017f"


@settings(max_examples=400, deadline=None)
@given(texts)
@example("as an a\u0130 and a l\u0130ght \u0130light")  # lower-cased by Python it has more characters
@example("\u212aey o\u212aay")
@pytest.mark.parametrize(("scorer", "reading"), [("v1", PYTHON), ("v1-go", GO)], ids=BOTH)
def test_every_count_is_that_of_a_plain_reading_of_the_rules(scorer: str, reading: Reading, answer: str) -> None:
    score = get_scorer(scorer).score("", answer)

    assert dict(score.signals) == counts_of(answer, reading)
    assert score.value == sum(WEIGHTS[name] * value for name, value in score.signals.items())
