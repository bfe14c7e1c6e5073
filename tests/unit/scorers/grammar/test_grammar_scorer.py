"""The scorers as their users meet them: signals, delta, hits, and texts of any kind."""

import pytest
from hypothesis import given

from lemfarm.scorers import Scorer, get_scorer
from lemfarm.scorers.grammar import ColdGrammar, Grammar
from lemfarm.scorers.grammar.composite import Delta, Measures
from tests.unit.scorers.grammar.texts import texts

SIGNALS = (
    "tokens",
    "unique_verbs",
    "unique_nouns",
    "tense_entropy",
    "question_ratio",
    "vocab_richness",
    "domain_depth",
    "prompt_composite",
    "uplift",
    "echo",
    "enrichment",
    "sycophantic",
)

both_modes = pytest.mark.parametrize("scorer", [Grammar(), ColdGrammar()], ids=lambda scorer: scorer.name)


@pytest.mark.parametrize("name", ["grammar", "grammar-cold"])
def test_each_mode_is_registered_under_its_name(name: str) -> None:
    assert get_scorer(name).name == name
    assert get_scorer(name).version


@both_modes
def test_signals_have_a_fixed_order(scorer: Scorer) -> None:
    assert tuple(scorer.score("A prompt?", "An answer.").signals) == SIGNALS


@both_modes
def test_an_empty_answer_to_an_empty_prompt_is_all_echo(scorer: Scorer) -> None:
    score = scorer.score("", "")

    assert score.value == 0
    assert {name: value for name, value in score.signals.items() if value} == {"echo": 1, "sycophantic": 1}


def measures(**changes: float) -> Measures:
    return Measures(**(dict.fromkeys(Measures.__slots__, 0) | changes))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("counted", "composite"),
    [
        ({"tense_entropy": 1.585}, 25),
        ({"tense_entropy": 3.17}, 50),  # the only part without a limit
        ({"vocab_richness": 0.05}, 12.5),
        ({"vocab_richness": 0.4}, 25),
        ({"question_ratio": 0.1}, 10),
        ({"question_ratio": 1.0}, 20),
        ({"unique_verbs": 15}, 7.5),
        ({"unique_verbs": 90}, 15),
        ({"unique_nouns": 20}, 7.5),
        ({"unique_nouns": 90}, 15),
        ({"domain_depth": 9, "tokens": 9}, 0),
    ],
)
def test_each_measure_earns_its_share_of_the_composite(counted: dict[str, float], composite: float) -> None:
    assert measures(**counted).composite == pytest.approx(composite)


@pytest.mark.parametrize(
    ("echo", "uplift", "sycophantic"),
    [(0.6, 0.0, False), (0.61, 4.9, True), (0.61, 5.0, False), (0.9, -20.0, True), (0.5, -20.0, False)],
)
def test_an_echo_that_adds_little_is_sycophantic(echo: float, uplift: float, sycophantic: bool) -> None:
    assert Delta(prompt_composite=40.0, uplift=uplift, echo=echo).sycophantic is sycophantic


@both_modes
def test_saying_the_prompt_back_is_sycophantic(scorer: Scorer) -> None:
    prompt = "Who wrote the letters that were found, and why?"

    signals = scorer.score(prompt, prompt).signals

    assert signals["uplift"] == 0
    assert signals["echo"] == pytest.approx(1)
    assert signals["sycophantic"] == 1


@both_modes
def test_a_delta_is_the_difference_of_two_composites(scorer: Scorer) -> None:
    prompt, answer = "Who checks the files?", "We built it, testing and breaking; then children found three keys."

    signals = scorer.score(prompt, answer).signals

    assert signals["prompt_composite"] == scorer.score("", prompt).value
    assert signals["uplift"] == scorer.score("", answer).value - signals["prompt_composite"]
    assert signals["enrichment"] == signals["uplift"] * (1 - signals["echo"])


def test_hits_show_the_words_and_questions_behind_the_signals() -> None:
    answer = "Who went? The API: build\u00e9 mice, maybe build"

    hits = Grammar().score("", answer).hits

    assert [(hit.signal, answer[hit.start : hit.end]) for hit in hits] == [
        ("unique_verbs", "went"),
        ("question_ratio", "?"),
        ("domain_depth", "API"),
        ("unique_nouns", "mice"),
        ("unique_nouns", "build"),
        ("unique_verbs", "build"),
    ]


def test_cold_mode_knows_articles_from_the_first_word_of_a_text() -> None:
    assert ColdGrammar().score("the", "the").signals["echo"] == 1
    assert ColdGrammar().score("the", "a").signals["echo"] == 0


@both_modes
def test_a_score_does_not_depend_on_what_was_scored_before(scorer: Scorer) -> None:
    answer = "The committee stopped the scans; it was tested."
    before = scorer.score("Why?", answer)

    for other in ("the", "stopped", "A run of tests.", ""):
        scorer.score(other, other)

    assert scorer.score("Why?", answer) == before


@both_modes
@pytest.mark.parametrize("piece", ["build ", "q ", "run made ", "and build ", "? ", "... ", "ed", "\u3041", " "])
def test_a_text_of_one_piece_over_and_over_is_scored(scorer: Scorer, piece: str) -> None:
    """Of a length at which anything quadratic would run into the time limit of a test."""
    assert scorer.score("", piece * 100_000).value >= 0


@both_modes
@given(prompt=texts, answer=texts)
def test_no_text_makes_a_scorer_raise(scorer: Scorer, prompt: str, answer: str) -> None:
    score = scorer.score(prompt, answer)

    assert 0 <= score.value <= 100
    assert score.signals["unique_verbs"] + score.signals["unique_nouns"] <= 2 * score.signals["tokens"]
    assert all(answer[hit.start : hit.end].strip() for hit in score.hits)
