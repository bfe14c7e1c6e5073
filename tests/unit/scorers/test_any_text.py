"""What every scorer promises of every text."""

from math import isfinite

import pytest
from hypothesis import given, settings

from lemfarm.scorers import Scorer, scorer_for, scorer_names
from tests.unit.scorers.texts import texts

NAMES = scorer_names()

_PUBLISHED = (
    *("compliance_markers", "formulaic_preamble", "first_person", "creative_form", "emotional_register", "nuance"),
    *("specificity", "axiom_resonance", "perspective_taking", "metaphor", "questioning"),
)

# The counts that are nothing but the number of their places.
COUNTS_OF_PLACES = {
    "v2": _PUBLISHED,
    "v2-distill": _PUBLISHED,
    "v2-long": _PUBLISHED,
    "v1": ("compliance_markers", "formulaic_preamble", "first_person", "emotional_register"),
    "v1-go": ("compliance_markers", "formulaic_preamble", "first_person", "emotional_register"),
    "tier1": ("compliance_markers", "formulaic_preamble", "structure", "creative_form", "first_person"),
    "tier1-go": ("compliance_markers", "formulaic_preamble", "structure", "creative_form", "first_person"),
}


def scorer_named(name: str) -> Scorer:
    return scorer_for(name, expected="18")


@pytest.mark.parametrize("name", NAMES)
def test_a_scorer_goes_by_the_name_it_is_registered_under_and_has_a_version(name: str) -> None:
    assert scorer_named(name).name == name
    assert scorer_named(name).version


@pytest.mark.parametrize("name", NAMES)
@settings(deadline=None)
@given(texts)
def test_a_score_is_a_number_and_its_hits_lie_in_the_text(name: str, answer: str) -> None:
    score = scorer_named(name).score("How many, and why?", answer)

    assert isfinite(score.value)
    assert all(isfinite(value) for value in score.signals.values())
    assert all(0 <= hit.start < hit.end <= len(answer) for hit in score.hits)


@pytest.mark.parametrize("name", [name for name in NAMES if name in COUNTS_OF_PLACES])
@settings(deadline=None)
@given(texts)
def test_a_count_of_places_has_as_many_hits(name: str, answer: str) -> None:
    score = scorer_named(name).score("", answer)

    found = [hit.signal for hit in score.hits]
    for signal in COUNTS_OF_PLACES[name]:
        assert found.count(signal) == score.signals[signal], signal


HUNDRED_THOUSAND = 100_000

HOSTILE = {
    "blanks": " " * HUNDRED_THOUSAND,
    "newlines": "\n" * HUNDRED_THOUSAND,
    "full stops": "." * HUNDRED_THOUSAND,
    "full stops and blanks": ". " * (HUNDRED_THOUSAND // 2),
    "hashes": "#" * HUNDRED_THOUSAND,
    "marks without a number": "####    " * (HUNDRED_THOUSAND // 8),
    "digits": "1" * HUNDRED_THOUSAND,
    "digits and commas, ended by a letter": "1," * (HUNDRED_THOUSAND // 2) + "x",
    "small numbers": "=1.5 -2" * (HUNDRED_THOUSAND // 7),
    "an opening that never ends": "okay," + " " * HUNDRED_THOUSAND + "no",
    "I and nothing but blanks": "I" + " " * HUNDRED_THOUSAND,
    "I and again I": "I  " * (HUNDRED_THOUSAND // 3),
    "sentences that begin in blanks": (" " * 99 + ".") * (HUNDRED_THOUSAND // 100),
    "nearly wildcards": "both while from consider think of right to " * (HUNDRED_THOUSAND // 43),
    "capitals that grow when lowered": "\u0130" * HUNDRED_THOUSAND,
    "capitals that grow, and markers": "a\u0130 I cannot. " * (HUNDRED_THOUSAND // 14),
    "lone surrogates": "\ud800" * HUNDRED_THOUSAND,
}


@pytest.mark.parametrize("answer", HOSTILE.values(), ids=HOSTILE.keys())
@pytest.mark.parametrize("name", NAMES)
def test_a_hostile_text_is_answered(name: str, answer: str) -> None:
    score = scorer_named(name).score("", answer)

    assert isfinite(score.value)
    assert all(0 <= hit.start < hit.end <= len(answer) for hit in score.hits)
