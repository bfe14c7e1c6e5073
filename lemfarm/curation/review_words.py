"""The words of reviewers as they are stored: read for some answers, or for phases; what was taken back is left out."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from sqlalchemy import Connection, bindparam, text

from lemfarm.curation.review import Word
from lemfarm.records import ReviewDecision

_CHUNK = 500


def words_of(connection: Connection, sample_ids: Sequence[str]) -> dict[str, list[Word]]:
    """What was said of these samples, in its order; samples of which nothing was said are not in it."""
    found: dict[str, list[Word]] = {}
    for start in range(0, len(sample_ids), _CHUNK):
        rows = connection.execute(_OF_SAMPLES, {"samples": list(sample_ids[start : start + _CHUNK])})
        found |= _by_sample(rows)
    return found


def words_of_phases(connection: Connection, phase_ids: Sequence[int]) -> dict[str, list[Word]]:
    """What was said of the samples of these phases that count, by sample, in its order."""
    return _by_sample(connection.execute(_OF_PHASES, {"phases": list(phase_ids)}))


def changes_of(connection: Connection, sample_ids: Sequence[str]) -> Mapping[str, int]:
    """A number for each of these samples that grows with every word that is said of it or taken back."""
    return {row.sample_id: row.n for row in connection.execute(_CHANGES, {"samples": list(sample_ids)})}


def _by_sample(rows: Iterable[Any]) -> dict[str, list[Word]]:
    found: dict[str, list[Word]] = {}
    for row in rows:
        decision = ReviewDecision(row.decision)
        word = Word(row.sample_id, row.text_id, row.reviewer, decision, row.note, bool(row.settles), row.edited_text_id)
        found.setdefault(row.sample_id, []).append(word)
    return found


_COLUMNS = "r.sample_id, r.text_id, r.reviewer, r.decision, r.note, r.settles, r.edited_text_id"
_OF_SAMPLES = text(
    f"SELECT {_COLUMNS} FROM review r WHERE r.sample_id IN :samples AND r.undone IS NULL ORDER BY r.id"
).bindparams(bindparam("samples", expanding=True))
_OF_PHASES = text(
    f"""SELECT {_COLUMNS} FROM review r JOIN sample s ON s.id = r.sample_id
        WHERE s.phase_id IN :phases AND NOT s.superseded AND r.undone IS NULL ORDER BY r.id"""
).bindparams(bindparam("phases", expanding=True))
_CHANGES = text(
    "SELECT sample_id, count(*) + count(undone) AS n FROM review WHERE sample_id IN :samples GROUP BY sample_id"
).bindparams(bindparam("samples", expanding=True))
