"""The published composites and deltas of either mode, to the last printed digit."""

import pytest

from lemfarm.scorers import get_scorer
from tests.unit.scorers.vectors import TEXTS

PROMPT = "How do we build trust, and who checks the files?"
PROMPT_COMPOSITE = {"grammar": 47.125, "grammar-cold": 46.75}

# tokens, distinct verbs and nouns, tense entropy, question ratio, composite; where cold differs, it has a row below.
TEXT_VECTORS = {
    "T01": "12 0 1 0 0 21.208333",
    "T02": "13 0 1 0 0 19.605769",
    "T03": "33 1 4 0 0.4 47.0",
    "T04": "30 3 1 0 0 26.875",
    "T05": "36 1 0 0 0 7.444444",
    "T06": "0 0 0 0 0 0",
    "T08": "11 1 0 0 0 23.227273",
    "T09": "15 1 1 0 0 25.875",
    "T10": "13 0 2 0 0 25.75",
    "T11": "21 2 3 0 0.25 47.125",
    "T12": "19 8 5 0.986716 0.333333 66.438339",
    "T13": "22 1 2 0 0 26.25",
    "T14": "19 1 2 0 0 26.25",
    "T15": "32 3 1 0.918296 0 41.359161",
}
COLD_TEXT_VECTORS = TEXT_VECTORS | {"T12": "19 6 0 0.985228 0.333333 63.539876"}

# echo, uplift, enrichment
DELTA_VECTORS = {
    "grammar": {
        "T01": "0.070711 -25.916667 -24.084082",
        "T02": "0.063246 -27.519231 -25.778762",
        "T03": "0.094281 -0.125 -0.113215",
        "T04": "0.404875 -20.25 -12.051286",
        "T05": "0.495918 -39.680556 -20.002247",
        "T06": "0 -47.125 -47.125",
        "T08": "0 -23.897727 -23.897727",
        "T09": "0.15 -21.25 -18.0625",
        "T10": "0 -21.375 -21.375",
        "T11": "0.086603 0 0",
        "T12": "0.654984 19.313339 6.663415",
        "T13": "0.35 -20.875 -13.56875",
        "T14": "0.566629 -20.875 -9.046623",
        "T15": "0.378885 -5.765839 -3.581246",
    },
    "grammar-cold": {
        "T01": "0.070711 -25.541667 -23.735598",
        "T02": "0.063246 -27.144231 -25.427479",
        "T03": "0.094281 0.25 0.22643",
        "T04": "0.404875 -19.875 -11.828114",
        "T05": "0.412132 -39.305556 -23.106477",
        "T06": "0 -46.75 -46.75",
        "T08": "0 -23.522727 -23.522727",
        "T09": "0.15 -20.875 -17.74375",
        "T10": "0 -21.0 -21.0",
        "T11": "0.086603 0.375 0.342524",
        "T12": "0.603782 16.789876 6.652456",
        "T13": "0.35 -20.5 -13.325",
        "T14": "0.482843 -20.5 -10.601724",
        "T15": "0.378885 -5.390839 -3.348328",
    },
}

CASES = [("grammar", *case) for case in TEXT_VECTORS.items()]
CASES += [("grammar-cold", *case) for case in COLD_TEXT_VECTORS.items()]


def numbers(row: str) -> list[float]:
    return [float(number) for number in row.split()]


@pytest.mark.parametrize(("scorer", "text", "row"), CASES)
def test_measures_and_composite_are_the_published_ones(scorer: str, text: str, row: str) -> None:
    score = get_scorer(scorer).score("a prompt", TEXTS[text])

    names = ("tokens", "unique_verbs", "unique_nouns", "tense_entropy", "question_ratio")
    assert [round(number, 6) for number in (*(score.signals[name] for name in names), score.value)] == numbers(row)


@pytest.mark.parametrize("text", TEXT_VECTORS)
@pytest.mark.parametrize("scorer", ["grammar", "grammar-cold"])
def test_deltas_are_the_published_ones(scorer: str, text: str) -> None:
    signals = get_scorer(scorer).score(PROMPT, TEXTS[text]).signals

    deltas = [signals[name] for name in ("echo", "uplift", "enrichment")]
    assert [round(number, 6) for number in deltas] == numbers(DELTA_VECTORS[scorer][text])
    assert signals["prompt_composite"] == pytest.approx(PROMPT_COMPOSITE[scorer], abs=1e-12)


@pytest.mark.parametrize("scorer", ["grammar", "grammar-cold"])
def test_the_prompt_scores_as_published(scorer: str) -> None:
    assert get_scorer(scorer).score("", PROMPT).value == pytest.approx(PROMPT_COMPOSITE[scorer], abs=1e-12)
