"""What a reviewer looks at: the prompt, the answer, its scores with the places that they count, what the gates said."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from lemfarm.curation.review import Word, standing_words
from lemfarm.curation.review_queue import Waiting
from lemfarm.curation.review_words import words_of
from lemfarm.database import Database, decoded, prepared
from lemfarm.errors import InputError, LemfarmError
from lemfarm.scorers import Hit, scorer_for
from producer.score_tasks import expected_of


@dataclass(frozen=True, slots=True)
class SheetScore:
    """One scorer's number for the text, with its signals and where it found them; hits are not stored, so a scorer that
    is absent, or of another version now, has none."""

    scorer: str
    value: float
    signals: Mapping[str, float]
    hits: tuple[Hit, ...]


@dataclass(frozen=True, slots=True)
class Sheet:
    """One answer as a reviewer sees it. `verdict` and `reason` are the newest; `words` what others said, for those who
    settle a disagreement."""

    sample_id: str
    label: str
    phase: str
    domain: str
    text_id: int
    messages: tuple[Mapping[str, str], ...]
    answer: str
    finish_reason: str
    scores: tuple[SheetScore, ...]
    verdict: str
    reason: str
    words: tuple[Word, ...]


def read_sheet(database: Database, waiting: Waiting) -> Sheet:
    """Everything about one answer of the queue. Raises DatabaseDown."""
    with database.read() as connection:
        row = connection.execute(prepared(_SHEET), {"sample": waiting.sample_id, "text": waiting.text_id}).one()
        scores = connection.execute(prepared(_SCORES), {"text": row.text_id}).all()
        words = standing_words(words_of(connection, [waiting.sample_id]).get(waiting.sample_id, ()))
    messages = tuple(decoded(row.messages))
    return Sheet(
        sample_id=waiting.sample_id,
        label=waiting.label,
        phase=waiting.phase,
        domain=row.domain,
        text_id=row.text_id,
        messages=messages,
        answer=row.content,
        finish_reason=decoded(row.generation).get("finish_reason", ""),
        scores=tuple(_score(score, row.content, messages[-1]["content"], decoded(row.fields)) for score in scores),
        verdict=row.outcome,
        reason=row.reason,
        words=tuple(words),
    )


def _score(row: Any, answer: str, prompt: str, fields: Mapping[str, Any]) -> SheetScore:
    return SheetScore(row.scorer, row.value, decoded(row.signals), _hits(row, answer, prompt, fields))


def _hits(row: Any, answer: str, prompt: str, fields: Mapping[str, Any]) -> tuple[Hit, ...]:
    """A review goes on without the hits of a scorer that is absent or fails."""
    try:
        return _find_hits(row, answer, prompt, fields)
    except LemfarmError:
        return ()


def _find_hits(row: Any, answer: str, prompt: str, fields: Mapping[str, Any]) -> tuple[Hit, ...]:
    """Raises InputError, whatever a scorer of somebody else raises."""
    scorer = scorer_for(row.scorer, expected_of(fields))
    if scorer.version != row.version:
        return ()
    try:
        return scorer.score(prompt, answer).hits
    except Exception as error:
        raise InputError(f"{row.scorer} failed: {error!r}") from error


_SHEET = """SELECT t.id AS text_id, t.content, v.messages, p.domain, p.fields, s.outcome, s.reason, a.generation
    FROM sample s JOIN variant v ON v.id = s.variant_id JOIN probe p ON p.id = s.probe_id
    JOIN attempt a ON a.sample_id = s.id AND a.ending = 'done'
    JOIN text t ON t.sample_id = s.id AND t.id = coalesce(:text,
        (SELECT x.id FROM text x WHERE x.sample_id = s.id ORDER BY x.revision DESC LIMIT 1))
    WHERE s.id = :sample"""
_SCORES = "SELECT scorer, version, value, signals FROM score WHERE text_id = :text ORDER BY id"
