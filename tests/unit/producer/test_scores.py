"""Scores of one stored text: known ones are read, missing ones computed and stored, the others left out."""

import pytest

from producer.scores import known_values, score_text, versions_of
from tests.ground import Ground
from tests.plugins import Plugins


@pytest.fixture
def text(ground: Ground) -> int:
    """The text of one answered sample."""
    ground.plan()
    ground.finish(ground.ids(limit=1), "It is 42")
    return int(ground.value("SELECT id FROM text"))


def score(ground: Ground, text: int, *names: str) -> dict[str, float]:
    return score_text(ground.ledger, text, "What is 17 and 25?", "It is 42", names)


def test_what_is_computed_is_stored_and_not_computed_again(ground: Ground, text: int, plugins: Plugins) -> None:
    assert score(ground, text, "counting") == score(ground, text, "counting") == {"counting": 3.0}
    assert len(plugins.calls) == 1
    assert ground.value("SELECT value FROM score WHERE scorer = 'counting' AND version = '1'") == 3.0


def test_a_score_of_another_version_is_not_known(ground: Ground, text: int, plugins: Plugins) -> None:
    score(ground, text, "counting")
    ground.execute("UPDATE score SET version = '0', value = 99")
    assert known_values(ground.database, [text], {"counting": "1"}) == {}
    assert score(ground, text, "counting") == {"counting": 3.0}


@pytest.mark.usefixtures("plugins")
def test_scorers_that_cannot_be_had_are_left_out(ground: Ground, text: int) -> None:
    assert list(score(ground, text, "broken", "v9", "gsm8k", "tier1")) == ["tier1"]
    versions, absent = versions_of(["broken", "v9", "gsm8k"])
    assert (list(versions), list(absent)) == (["gsm8k"], ["broken", "v9"])


def test_the_right_answer_is_that_of_the_probe(ground: Ground, text: int) -> None:
    ground.execute("""UPDATE probe SET fields = '{"correct_answer": 42}'""")
    assert score(ground, text, "gsm8k") == {"gsm8k": 1.0}
