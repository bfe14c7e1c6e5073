"""The answers of a run's evaluation with their scores: read at once, scored where a scorer is new here."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import text

from lemfarm.database import Database, decoded
from lemfarm.evaluation.measurement import ScoredAnswer, Split, is_degenerate
from producer.text_scores import stored_values


@dataclass(frozen=True, slots=True)
class EvaluationAnswers:
    """What an evaluation has so far; `missing` counts rows without a score by (model, condition, trained)."""

    scored: tuple[ScoredAnswer, ...]
    missing: Mapping[tuple[str, str, bool], int]

    def without_score(self, model: str, condition: str, split: Split) -> int:
        """Rows of a model under a condition that are unanswered, failed, or cannot be scored."""
        wanted = [split == Split.TRAINED] if split != Split.ALL else [True, False]
        return sum(self.missing.get((model, condition, trained), 0) for trained in wanted)


def evaluation_answers(database: Database, run_id: int, scorer: str) -> EvaluationAnswers:
    """Every row of the run's evaluation that is in the configuration; answers that lack this score get it now.

    A scorer that cannot be had, or fails on an answer, leaves rows missing, and a warning. Raises Unavailable.
    """
    trained = trained_probes(database, run_id)
    with database.read() as connection:
        rows = connection.execute(text(_ROWS), {"run": run_id}).all()
    values = stored_values(database, [row for row in rows if row.text_id is not None], scorer)
    missing: Counter[tuple[str, str, bool]] = Counter()
    found = []
    for row in rows:
        if row.text_id in values:
            found.append(_scored(row, values[row.text_id], row.probe_id in trained))
        else:
            missing[row.adapter_id or "", row.condition, row.probe_id in trained] += 1
    return EvaluationAnswers(tuple(found), missing)


def trained_probes(database: Database, run_id: int) -> frozenset[str]:
    """Row ids of the probes that an adapter in question may have been trained on: those that its run, or this one,
    samples or has sampled for training."""
    with database.read() as connection:
        return frozenset(connection.execute(text(_TRAINED), {"run": run_id}).scalars())


def _scored(row: Any, value: float, trained: bool) -> ScoredAnswer:
    generation = decoded(row.generation) or {}
    finish = str(generation.get("finish_reason", ""))
    return ScoredAnswer(
        model=row.adapter_id or "",
        condition=row.condition,
        probe=row.name,
        prompt=str(decoded(row.messages)[-1]["content"]),
        domain=row.domain,
        trained=trained,
        value=value,
        finish=finish,
        tokens=int(generation.get("completion_tokens", 0)),
        degenerate=is_degenerate(row.content, finish),
    )


_ROWS = """SELECT s.adapter_id, s.condition, s.probe_id, p.name, p.domain, p.fields, v.messages, t.id AS text_id,
        t.content, a.generation
    FROM sample s JOIN probe p ON p.id = s.probe_id JOIN variant v ON v.id = s.variant_id
    LEFT JOIN text t ON t.sample_id = s.id AND t.revision = 0
    LEFT JOIN attempt a ON a.sample_id = s.id AND a.ending = 'done'
    WHERE s.run_id = :run AND s.purpose = 'evaluate' AND NOT s.superseded
    ORDER BY p.name, v.position, s.sample_index, s.id"""
_TRAINED = """SELECT DISTINCT probe_id FROM sample WHERE purpose = 'distil' AND (NOT superseded OR state = 'done')
    AND run_id IN (SELECT run_id FROM adapter WHERE id IN (SELECT adapter_id FROM sample WHERE run_id = :run
    AND purpose = 'evaluate') UNION SELECT :run)"""
