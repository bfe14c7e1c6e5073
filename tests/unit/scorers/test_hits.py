"""Scores show the places behind their counts, in the words of the answer."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lemfarm.scorers import Scorer, get_scorer, scorer_for
from lemfarm.scorers.repeats import COPIES, SHORTEST_UNIT, repeats_itself
from lemfarm.scorers.tier1 import Tier1

GSM8K = scorer_for("gsm8k", "18")


def shown(scorer: str | Scorer, signal: str, answer: str) -> list[str]:
    """The words that the signal points at."""
    asked = get_scorer(scorer) if isinstance(scorer, str) else scorer
    return [answer[hit.start : hit.end] for hit in asked.score("", answer).hits if hit.signal == signal]


OF_V2 = [
    ("compliance_markers", "So I CANNOT, as an AI.", ["I CANNOT", "as an AI"]),
    ("formulaic_preamble", "Surely", ["Sure"]),
    ("formulaic_preamble", " Surely", []),
    ("first_person", "I am my own", ["I ", "my "]),
    ("engagement_depth", "one\n\ntwo\n\n\n\nthree", ["\n\n", "\n\n", "\n\n"]),
    ("specificity", "Ada met Bea, for example, in 1999.", ["Bea", "for example", "1999"]),
    ("questioning", "Who? Why?", ["?", "?"]),
    ("degeneration", "no " * 30, []),
    ("empty_broken", "", []),
]


@pytest.mark.parametrize(("signal", "answer", "expected"), OF_V2)
def test_v2_shows(signal: str, answer: str, expected: list[str]) -> None:
    assert shown("v2", signal, answer) == expected


OF_V2_DISTILL = [
    ("compliance_markers", "hi cannot", ["i cannot"]),
    ("formulaic_preamble", "It is a good point. Let me help", ["It is a good point", "Let me help"]),
    ("degeneration", "<|eot_id|> once", []),
    ("degeneration", "<|eot_id|> twice <|eot_id|><|im_end|>", ["<|eot_id|>", "<|eot_id|>"]),
    ("degeneration", "I cannot. " * 4, []),
    ("degeneration", "I cannot a I cannot b I cannot c I cannot d I cannot", ["I cannot"] * 5),
    ("degeneration", "disallowed, not allowed, disallowed", ["disallowed", "not allowed", "disallowed"]),
    ("degeneration", "Above\n" + "-" * 50 + "\nbelow", ["-" * 50]),
    ("degeneration", "It went on.\n" + "and on and " * 7 + "ended.", ["and on and " * 5]),
]


@pytest.mark.parametrize(("signal", "answer", "expected"), OF_V2_DISTILL)
def test_v2_distill_shows(signal: str, answer: str, expected: list[str]) -> None:
    assert shown("v2-distill", signal, answer) == expected


@settings(deadline=None)
@given(
    st.text("ab", max_size=30),
    st.text("ab", min_size=1, max_size=20),
    st.integers(1, 30),
    st.text("ab", max_size=30),
)
def test_a_repeated_passage_is_five_copies_of_a_unit(before: str, unit: str, copies: int, behind: str) -> None:
    answer = before + unit * copies + behind

    passages = shown("v2-distill", "degeneration", answer)

    assert len(passages) == repeats_itself(answer)
    for passage in passages:
        repeated = passage[: len(passage) // COPIES]
        assert len(repeated) >= SHORTEST_UNIT
        assert passage == repeated * COPIES


OF_V1 = [
    ("compliance_markers", "As an AI, I cannot", ["As an AI", "I cannot"]),
    ("formulaic_preamble", "\n Okay,  here's how", ["Okay,  here's"]),
    ("first_person", " I go there. She goes. So I think so .", ["I go there", "So I think so"]),
    ("creative_form", "  The light", ["The ", "light"]),
    ("creative_form", "light and shadow and breath and silence", ["light", "shadow", "breath"]),  # three count
    ("creative_form", "one\n" * 7, []),
    (
        "engagement_depth",
        "## A **dignity**, dignity: hash, node, key, mesh",
        ["##", "dignity", "dignity", "hash", "node", "key"],  # the first of the ethical words counts twice
    ),
    ("engagement_depth", "ERROR ## dignity", []),
    ("degeneration", "Same. Other.  Same . Same.", ["Same", "Same"]),
    ("degeneration", "One. " + ". ".join("abcdefghi") + ". a", []),  # one of eleven is not enough
    ("emotional_register", "hope " * 12, ["hope"] * 10),  # ten count
    ("empty_broken", "ERROR: <pad>", ["ERROR"]),
    ("empty_broken", "an answer that ends in <pad><pad>", ["<pad>"]),
    ("empty_broken", "short", []),
]


@pytest.mark.parametrize("scorer", ["v1", "v1-go"])
@pytest.mark.parametrize(("signal", "answer", "expected"), OF_V1)
def test_both_variants_of_v1_show(scorer: str, signal: str, answer: str, expected: list[str]) -> None:
    assert shown(scorer, signal, answer) == expected


def test_places_fit_where_lower_case_has_more_characters_than_the_answer() -> None:
    answer = "\u0130\u0130 sees \u0130light, as an A\u0130, and I cannot"

    assert shown("v1", "creative_form", answer) == ["light"]
    assert shown("v1", "compliance_markers", answer) == ["as an A\u0130", "I cannot"]
    assert shown("v1-go", "compliance_markers", answer) == ["as an A\u0130", "I cannot"]


OF_TIER1 = [
    ("compliance_markers", "As an aid I cannot say, I cannot", ["As an ai", "I cannot"]),
    ("formulaic_preamble", " Okay, let us see what there is to see", ["Okay, let"]),
    ("structure", "First 1. this and then **that** too", ["1."]),
    ("creative_form", "A history that I only imagine for you", ["story"]),
    ("first_person", "I'd argue, I think, as much as I think", ["I'd argue", "I think"]),
    ("degeneration", "so it goes on again " * 5, []),
]


@pytest.mark.parametrize(("signal", "answer", "expected"), OF_TIER1)
def test_tier1_shows(signal: str, answer: str, expected: list[str]) -> None:
    assert shown(Tier1(), signal, answer) == expected


def test_gsm8k_shows_the_number_it_took() -> None:
    assert shown(GSM8K, "extracted", "20 less 2\n#### 18.") == ["18."]
    assert shown(GSM8K, "extracted", "none") == []


def test_hits_come_in_the_order_of_the_text() -> None:
    hits = get_scorer("v2").score("", "Sure. I hope, however, that you ask: why?").hits

    assert [hit.start for hit in hits] == sorted(hit.start for hit in hits)
    assert len({hit.signal for hit in hits}) == 5
