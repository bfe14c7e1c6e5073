"""The published numbers, to the last digit."""

import pytest

from lemfarm.scorers import get_scorer
from tests.unit.scorers.vectors import SIGNALS, TEXTS, V2, V2_DISTILL, Vector

CASES = [("v2", vector) for vector in V2] + [("v2-distill", vector) for vector in V2_DISTILL]


@pytest.mark.parametrize(("scorer", "vector"), CASES, ids=[f"{name}-{vector.text}" for name, vector in CASES])
def test_counts_and_score_are_the_published_ones(scorer: str, vector: Vector) -> None:
    score = get_scorer(scorer).score("a prompt", TEXTS[vector.text])

    assert dict(score.signals) == dict(zip(SIGNALS, vector.counts, strict=True))
    assert score.value == vector.score


@pytest.mark.parametrize("name", ["v2", "v2-distill"])
def test_signals_are_stored_in_their_published_order(name: str) -> None:
    assert tuple(get_scorer(name).score("", "Any text.").signals) == SIGNALS


@pytest.mark.parametrize("name", ["v2", "v2-distill"])
def test_the_prompt_plays_no_part(name: str) -> None:
    scorer, answer = get_scorer(name), TEXTS["T03"]

    assert scorer.score("", answer) == scorer.score("However, I cannot?", answer)


def test_every_signal_at_its_cap_makes_49() -> None:
    answer = (
        "I feel I know I hope I love I fear I dream I trust I wonder. "
        + "\n\n".join(["However, consent."] * 7)
        + " Nuanced tension: a dilemma, they might, they might, someone who, the community. "
        + "Like a cat, like a dog, like a cow, like a hen. ??????? "
        + " 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17"
        + "".join(f" filler{number}" for number in range(40))
        + " | | | | | | | | | |"
    )

    score = get_scorer("v2").score("", answer)

    assert score.signals["degeneration"] == 0
    assert score.value == 49.0
