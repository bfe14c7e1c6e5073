"""Scores of stored texts: known ones are read, missing ones computed and stored, the others left out."""

import pytest

from lemfarm.database import prepared
from producer.score_tasks import ScoreTask
from producer.text_scores import known_values, stored_values, task_of, versions_of
from tests.ground import Ground
from tests.plugins import Plugins

ROW = """SELECT text.id AS text_id, text.content, variant.messages, probe.fields FROM text
         JOIN sample ON sample.id = text.sample_id JOIN variant ON variant.id = sample.variant_id
         JOIN probe ON probe.id = sample.probe_id WHERE text.id = :id"""


@pytest.fixture
def text(ground: Ground) -> int:
    """The text of one answered sample."""
    ground.plan()
    ground.finish(ground.ids(limit=1), "It is 42")
    return int(ground.value("SELECT id FROM text"))


def task(ground: Ground, text: int, scorer: str) -> ScoreTask:
    with ground.database.read() as connection:
        return task_of(connection.execute(prepared(ROW), {"id": text}).one(), text, scorer)


def score(ground: Ground, text: int, scorer: str) -> float | None:
    with ground.database.read() as connection:
        row = connection.execute(prepared(ROW), {"id": text}).one()
    return stored_values(ground.database, [row], scorer).get(text)


def test_a_scorer_is_given_the_last_turn_the_answer_and_the_right_answer(ground: Ground, text: int) -> None:
    ground.execute("""UPDATE probe SET fields = '{"correct_answer": 42}'""")
    ground.execute(
        """UPDATE variant SET messages = '[{"role": "user", "content": "Hello."}, """
        """{"role": "assistant", "content": "Yes?"}, {"role": "user", "content": "17 and 25?"}]'"""
    )
    assert task(ground, text, "gsm8k") == ScoreTask(text, "gsm8k", "17 and 25?", "It is 42", "42")
    assert score(ground, text, "gsm8k") == 1.0


def test_what_is_computed_is_stored_and_not_computed_again(ground: Ground, text: int, plugins: Plugins) -> None:
    assert score(ground, text, "counting") == score(ground, text, "counting") == 3.0
    assert len(plugins.calls) == 1
    assert ground.value("SELECT value FROM score WHERE scorer = 'counting' AND version = '1'") == 3.0


def test_a_score_of_another_version_is_not_known(ground: Ground, text: int, plugins: Plugins) -> None:
    score(ground, text, "counting")
    ground.execute("UPDATE score SET version = '0', value = 99")
    assert known_values(ground.database, [text], {"counting": "1"}) == {}
    assert score(ground, text, "counting") == 3.0


@pytest.mark.usefixtures("plugins")
def test_a_scorer_that_cannot_be_had_or_lacks_the_right_answer_gives_nothing(ground: Ground, text: int) -> None:
    assert [score(ground, text, name) for name in ("broken", "v9", "gsm8k")] == [None, None, None]
    assert score(ground, text, "tier1") is not None
    versions, absent = versions_of(["broken", "v9", "gsm8k"])
    assert (list(versions), list(absent)) == (["gsm8k"], ["broken", "v9"])
