"""Scores of stored texts: what a scorer is to look at, which values are known, and those that are not.

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
PAGE = 500
"""Texts whose scores are looked up at once."""


def task_of(row: Any, text_id: int, scorer: str) -> ScoreTask:
    """What a scorer is to look at of a text, from a row with its `content`, the `messages` of its wording, of which
    scorers are given the last turn, and the `fields` of its probe."""
    prompt, expected = str(decoded(row.messages)[-1]["content"]), expected_of(decoded(row.fields))
    return ScoreTask(text_id, scorer, prompt, row.content, expected)


def stored_values(database: Database, rows: Sequence[Any], scorer: str) -> dict[int, float]:
    """Text -> what a scorer gives it, from rows as `task_of` takes them with a `text_id`: read where it is known, else
    computed and stored with the scorer's version.

    A scorer that is absent, or fails on a text, leaves it out, with a warning. Raises Unavailable.
    """
    versions, absent = versions_of([scorer])
    for reason in absent.values():
        log.warning("stored texts cannot be scored", scorer=scorer, reason=reason)
    values: dict[int, float] = {}
    for start in range(0, len(rows), PAGE):
        page = rows[start : start + PAGE]
        known = known_values(database, [row.text_id for row in page], versions) if versions else {}
        values |= {text_id: value for (text_id, _), value in known.items()}
        if versions:
            values |= _computed(database, [row for row in page if row.text_id not in values], scorer)
    return values


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


def _computed(database: Database, rows: Iterable[Any], scorer: str) -> dict[int, float]:
    scored = [score_task(task_of(row, row.text_id, scorer)) for row in rows]
    for one in scored:
        if one.score is None:
            log.warning("a stored text cannot be scored", scorer=scorer, text=one.text_id, reason=one.reason)
    found = [(one.text_id, one.score) for one in scored if one.score is not None]
    if found:
        with database.write() as connection:
            Ledger(database).add_scores(connection, found)
    return {text_id: score.value for text_id, score in found}


_KNOWN = text("SELECT text_id, scorer, version, value FROM score WHERE text_id IN :texts").bindparams(
    bindparam("texts", expanding=True)
)
