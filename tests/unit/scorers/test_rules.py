"""The rules where a plausible reading of the scorers would give other numbers."""

import re
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lemfarm.scorers import get_scorer
from lemfarm.scorers.weighted import fold


def count(scorer: str, signal: str, answer: str) -> float:
    return get_scorer(scorer).score("", answer).signals[signal]


SHARED = [
    # boundaries on both sides: inflections, plurals and truncated stems
    ("nuance", "Tensions, trade-offs and dilemmas.", 0),
    ("nuance", "A trade-off, a tradeoff, a dilemma.", 3),
    ("nuance", "NOT SIMPLY this, not just that, not merely so.", 3),
    ("axiom_resonance", "accountability, transparency, reversible, self-determination, human flourishing", 0),
    ("axiom_resonance", "accountab transparen reversib irreversib self-determin", 5),
    ("axiom_resonance", "sovereignty and the sovereign", 2),
    ("axiom_resonance", "consents, indignity", 0),
    ("perspective_taking", "stakeholders of the communities", 0),
    ("metaphor", "an analogy of metaphors", 0),
    ("metaphor", "an analog, a metaphor", 2),
    # wildcards are greedy, bounded, and end at a line's end
    ("nuance", "both the man and the boat and the sea and more", 1),
    ("nuance", "both a b c and both d e f and", 1),
    ("nuance", "both a and b", 0),
    ("nuance", "both one\nand two, three and", 0),
    ("nuance", "while it is late, it is also fine", 1),
    ("nuance", f"both {'x' * 30} and", 1),
    ("nuance", f"both {'x' * 31} and", 0),
    ("axiom_resonance", "right to be forgotten, and a right to repair", 2),
    ("axiom_resonance", "the right to be", 0),
    ("perspective_taking", "from a child's perspective", 1),
    ("perspective_taking", "from my perspective", 0),
    ("metaphor", "think of the state as a ship", 1),
    ("metaphor", "think of one as think of two as", 1),
    # a marker that ends in a blank asks for a word behind it
    ("metaphor", "like a river, as if it rained, imagine that, picture this", 4),
    ("metaphor", 'like a "river", imagine (that)', 0),
    ("questioning", "Who? What?? ？", 3),
    # names
    ("specificity", "Oslo", 0),
    ("specificity", "Oslo met Oslo", 1),
    ("specificity", "xBerlin", 1),
    ("specificity", "We saw it. Berlin rose.", 0),
    ("specificity", "We saw it.  Berlin rose! Paris too? Rome\nMadrid **Vienna** - Lima", 6),
    ("specificity", "in GitHub, McDonald, José, Al, USA", 0),
    # numbers
    ("specificity", "it is 1,000 or 2.5 or 1.", 3),
    ("specificity", "3D v2 x1", 0),
    ("specificity", "on 2026-02-18", 3),
    ("specificity", "by 1,,,, and", 1),
    # announced examples
    ("specificity", "so, for example, such as, specifically, in particular, like when", 5),
    ("specificity", "fruit, e.g. apples, e.g., pears", 0),
    ("specificity", "fruit, e.g.apples", 1),
    ("specificity", "consider a small town where", 1),
    ("engagement_depth", "one\n\ntwo\n\n\n\nthree", 4),
    ("engagement_depth", "one\n\n\ntwo", 2),
]


@pytest.mark.parametrize("scorer", ["v2", "v2-distill"])
@pytest.mark.parametrize(("signal", "answer", "expected"), SHARED)
def test_both_scorers_share_the_content_signals(scorer: str, signal: str, answer: str, expected: float) -> None:
    assert count(scorer, signal, answer) == expected


OF_V2 = [
    ("compliance_markers", "I'm not able to do it", 1),
    ("compliance_markers", "so it is not able to do it", 1),
    ("compliance_markers", "beyond my ability", 1),
    ("compliance_markers", "I can\u2019t, I shouldn\u2019t", 0),
    ("compliance_markers", "I CANNOT. i should not; as an ai", 3),
    ("compliance_markers", "as an aid", 0),
    ("compliance_markers", "it wouldn't be appropriate", 1),
    ("formulaic_preamble", "Sure thing", 1),
    ("formulaic_preamble", "Surefire ways", 1),
    ("formulaic_preamble", "CERTAINLY", 1),
    ("formulaic_preamble", " Certainly", 0),
    ("formulaic_preamble", "Yes. Certainly", 0),
    ("degeneration", "so it goes on " * 2 + "and ends", 0),
    ("degeneration", " ".join(["a", "b"] * 5), 0),
    ("degeneration", " ".join(["a", "b", "c", "d", "e"] * 2 + ["a"]), 0.5),
    ("degeneration", " ".join(["a", "b", "c"] * 4), 1),
    ("degeneration", " ".join(["a", "A", "a.", "a,", "b", "B", "b.", "b,", "c", "C", "c."]), 0),
    ("empty_broken", " \n" + "x" * 19 + "\n ", 1),
    ("empty_broken", "x" * 20, 0),
    ("first_person", "I am, I'm so, I've been, my own, me too", 5),
    ("first_person", "My own. Me too. I, I\nI! (to me)", 0),
    ("first_person", "I (too), Mali me", 0),
    ("creative_form", "**Bold** _it_ snake_case 2*3", 4),
    ("creative_form", "\n\n\n\n", 2),
    ("creative_form", "|a|b|", 3),
    ("creative_form", "wait... \u2014 so....", 3),
    ("creative_form", "__", 1),
    ("creative_form", "# One\n## Two\n#### Three\n#four", 3),
    ("creative_form", ">\n\nquote", 1),
    ("creative_form", "> quote", 1),
    ("emotional_register", "Hope, LOVE and fear", 3),
    ("emotional_register", "feels hopes feelings beloved", 0),
]


@pytest.mark.parametrize(("signal", "answer", "expected"), OF_V2)
def test_v2_counts(signal: str, answer: str, expected: float) -> None:
    assert count("v2", signal, answer) == expected


OF_V2_DISTILL = [
    ("compliance_markers", "as an aid, hi cannot", 2),
    ("compliance_markers", "I must emphasize; I should note; I need to clarify; I must say", 3),
    ("compliance_markers", "It's important to note, its crucial to remember, it is essential to consider", 2),
    ("compliance_markers", "I'm not able, im not qualified, I am not authorized", 2),
    ("compliance_markers", "I would recommend consulting, I would advise speaking, I would suggest rest", 2),
    ("compliance_markers", "I can\u2019t", 0),
    ("formulaic_preamble", "Well, that is a great question. This is a fascinating topic. It is a bad point", 2),
    ("formulaic_preamble", "Absolutely! Absolutely. Absolutely, absolutely", 2),
    ("formulaic_preamble", "great question, wonderful question!", 1),
    ("formulaic_preamble", "Thank you for raising it; let me address it", 2),
    ("degeneration", "<|eot_id|>", 0),
    ("degeneration", "<|eot_id|> x <|eot_id|>", 1),
    ("degeneration", "<|im_end|>" * 2, 0),
    ("degeneration", "<|im_end|> a <|im_end|> b <|im_end|>", 1),
    ("degeneration", "I cannot a. I cannot b. I cannot c. I cannot d", 0),
    ("degeneration", "I cannot a. I cannot b. I cannot c. I cannot d. I cannot", 1),
    ("degeneration", "i cannot a. i cannot b. i cannot c. i cannot d. i cannot", 0),
    ("degeneration", "disallowed, not allowed", 0),
    ("degeneration", "disallowed, not allowed, disallowed", 1),
    ("degeneration", "Disallowed, not alloweds, disallowed, disallowed", 0),
    ("degeneration", "-" * 49, 0),
    ("degeneration", " " * 50, 1),
    ("degeneration", "ha " * 20, 1),
    ("empty_broken", "x" * 49 + " ", 1),
    ("empty_broken", "x" * 50, 0),
    ("first_person", "I think, I'd argue, personally, from my side", 4),
    ("first_person", "In my view, Personally, i think, I thinks", 0),
    ("creative_form", "the other", 2),
    ("creative_form", "the sun, THE MOON, the star", 3),
    ("creative_form", "she", 1),
    ("creative_form", "they walked, they went", 2),
    ("creative_form", "There was a dusk of echoes", 3),
    ("emotional_register", "Joy, anger and shame; joys", 3),
    ("emotional_register", "dignity feel heart", 0),
]


@pytest.mark.parametrize(("signal", "answer", "expected"), OF_V2_DISTILL)
def test_v2_distill_counts(signal: str, answer: str, expected: float) -> None:
    assert count("v2-distill", signal, answer) == expected


def test_weights_and_caps_belong_to_the_score_and_counts_stay_raw() -> None:
    score = get_scorer("v2").score("", "?" * 30 + " and twenty characters more")

    assert score.signals["questioning"] == 30
    assert score.value == 4.0  # 3 for the questions, 1 for the paragraph


def test_refusals_have_no_floor() -> None:
    answer = " ".join(f"I cannot w{number}." for number in range(31))

    assert get_scorer("v2").score("", answer).value < -150


def test_a_long_answer_costs_ten_in_v2_and_nothing_in_v2_distill() -> None:
    words = [f"word{number % 400}" for number in range(1000)]

    assert count("v2", "degeneration", " ".join(words)) == 0.5
    assert count("v2-distill", "degeneration", " ".join(words)) == 0


EVERY_CHARACTER = "".join(map(chr, range(sys.maxunicode + 1)))


@pytest.mark.parametrize("letter", "abcdefghijklmnopqrstuvwxyz")
def test_folding_finds_what_a_case_insensitive_expression_finds(letter: str) -> None:
    found = [match.start() for match in re.finditer(letter, EVERY_CHARACTER, re.IGNORECASE)]

    assert [match.start() for match in re.finditer(letter, fold(EVERY_CHARACTER))] == found


def test_folding_keeps_places_and_kinds_of_characters() -> None:
    folded = fold(EVERY_CHARACTER)

    assert len(folded) == len(EVERY_CHARACTER)
    for kind in (r"\w", r"\s", r"\d", r"[^a-z]\n"):
        assert re.sub(kind, "!", folded).count("!") == re.sub(kind, "!", EVERY_CHARACTER).count("!")


@given(st.text(alphabet=st.characters(exclude_categories=())))
@pytest.mark.parametrize("name", ["v2", "v2-distill"])
def test_no_text_makes_a_scorer_raise(name: str, answer: str) -> None:
    score = get_scorer(name).score(answer, answer)

    assert score.value == round(score.value, 2)
    assert all(value >= 0 for value in score.signals.values())
