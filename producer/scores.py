"""Scores of stored texts: read where they are known, computed where they are not. Nothing is generated."""

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import structlog
from sqlalchemy import bindparam, text

from lemfarm.database import Database, prepared
from lemfarm.errors import InputError
from lemfarm.ledger import Ledger
from lemfarm.scorers import ComparingScorer
from producer.score_tasks import ScoreTask, expected_of, find_scorer, score_task

log = structlog.get_logger()


def score_text(ledger: Ledger, text_id: int, prompt: str, content: str, wanted: Iterable[str]) -> dict[str, float]:
    """The value of each wanted scorer for one text; what is computed is stored with the scorer's version.

    A scorer that is absent or fails is left out: gates hold such a sample for a person. Raises Unavailable.
    """
    versions, absent = versions_of(wanted)
    for name, reason in absent.items():
        log.warning("a stored text cannot be scored", scorer=name, text=text_id, reason=reason)
    known = known_values(ledger.database, [text_id], versions)
    values = {name: known[text_id, name] for name in versions if (text_id, name) in known}
    for name in versions.keys() - values.keys():
        expected = _expected(ledger.database, text_id) if isinstance(find_scorer(name), ComparingScorer) else None
        scored = score_task(ScoreTask(text_id, name, prompt, content, expected))
        if scored.score is None:
            log.warning("a stored text cannot be scored", scorer=name, text=text_id, reason=scored.reason)
            continue
        values[name] = scored.score.value
        with ledger.database.write() as connection:
            ledger.add_scores(connection, [(text_id, scored.score)])
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


_KNOWN = text("SELECT text_id, scorer, version, value FROM score WHERE text_id IN :texts").bindparams(
    bindparam("texts", expanding=True)
)


def decoded(value: object) -> Any:
    """A JSON column as it came from a plain statement: SQLite gives its text, PostgreSQL its value."""
    return json.loads(value) if isinstance(value, str) else value


def prompt_of(messages: object) -> str:
    """What scorers are given of a wording: its last turn."""
    return str(decoded(messages)[-1]["content"])


def _expected(database: Database, text_id: int) -> str | None:
    query = """SELECT probe.fields FROM text JOIN sample ON sample.id = text.sample_id
               JOIN probe ON probe.id = sample.probe_id WHERE text.id = :id"""
    with database.read() as connection:
        fields = connection.execute(prepared(query), {"id": text_id}).scalar_one()
    return expected_of(decoded(fields))
