"""Scores of one stored text: what a scorer is to look at, which values are known, and the one that is not.

`producer.judging` and `producer.run_scores` do so for many texts at once, with processes; `producer.score_tasks` is
the computing itself, which knows no database.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import structlog
from sqlalchemy import bindparam, text

from lemfarm.database import Database, decoded
from lemfarm.errors import InputError
from lemfarm.ledger import Ledger
from producer.score_tasks import ScoreTask, expected_of, find_scorer, score_task

log = structlog.get_logger()


def task_of(row: Any, text_id: int, scorer: str) -> ScoreTask:
    """What a scorer is to look at of a text, from a row with its `content`, the `messages` of its wording, of which
    scorers are given the last turn, and the `fields` of its probe."""
    prompt, expected = str(decoded(row.messages)[-1]["content"]), expected_of(decoded(row.fields))
    return ScoreTask(text_id, scorer, prompt, row.content, expected)


def stored_value(ledger: Ledger, task: ScoreTask) -> float | None:
    """What a scorer gives a text: read where it is known, else computed and stored with the scorer's version.

    None, and a warning, for a scorer that is absent or fails. Raises Unavailable.
    """
    known = known_values(ledger.database, [task.text_id], versions_of([task.scorer])[0])
    if known:
        return known[task.text_id, task.scorer]
    scored = score_task(task)
    if scored.score is None:
        log.warning("a stored text cannot be scored", scorer=task.scorer, text=task.text_id, reason=scored.reason)
        return None
    with ledger.database.write() as connection:
        ledger.add_scores(connection, [(task.text_id, scored.score)])
    return scored.score.value


def versions_of(names: Iterable[str]) -> tuple[dict[str, str], dict[str, str]]:
    """The versions of those scorers that can be had here, and of the others why not."""
    versions, absent = {}, {}
    for name in names:
        try:
            versions[name] = find_scorer(name).version
        except InputError as error:
            absent[name] = str(error)
    return versions, absent


def known_values(
    database: Database, text_ids: Sequence[int], versions: Mapping[str, str]
) -> dict[tuple[int, str], float]:
    """Stored values by text and scorer, of these versions of the scorers."""
    with database.read() as connection:
        rows = connection.execute(_KNOWN, {"texts": list(text_ids)}).all()
    return {(row.text_id, row.scorer): row.value for row in rows if versions.get(row.scorer) == row.version}


_KNOWN = text("SELECT text_id, scorer, version, value FROM score WHERE text_id IN :texts").bindparams(
    bindparam("texts", expanding=True)
)
